/**
 * The backend object that TensorFlow.js sees: its own cpu backend, whose tensors stay arrays of JavaScript, with kernel memory
 * beside it for the operations of tfjs-operations.ts. One for each time that TensorFlow.js makes the backend.
 */
import type { TensorInfo } from "@tensorflow/tfjs-core";
import { dtypeOf } from "../reduce/tree.ts";
import type { Dtype, TypedData } from "../types.ts";
import { MatrixReducer } from "./matrix.ts";
import { type Operand, Residents, type Side } from "./resident.ts";
import { cpu } from "./tfjs-modules.ts";

type DataId = TensorInfo["dataId"];

/** A tensor's values, as its kernels find them. A cast to a wider dtype leaves them as they are, so their type may differ from the tensor's. */
export interface Values {
  readonly array: TypedData;
  readonly dtype: Dtype;
}

/** What has kernels. */
const KERNEL_DTYPES: readonly (Dtype | undefined)[] = ["f32", "i32", "u8"];

/** See the head of this file. */
export class FourfoldBackend extends cpu.MathBackendCPU {
  readonly #module: WebAssembly.Module;
  readonly #bytesMax: number;
  #memory: { readonly residents: Residents; readonly matrices: MatrixReducer } | undefined;

  constructor(module: WebAssembly.Module, bytesMax: number) {
    super();
    this.#module = module;
    this.#bytesMax = bytesMax;
    // The cpu backend greets its first tensor with advice to install another backend.
    Reflect.set(this, "firstUse", false);
  }

  /** Reductions in kernel memory. */
  get matrices(): MatrixReducer {
    return this.#kernelMemory().matrices;
  }

  /** A tensor's values if kernels take their kind. */
  valuesOf(x: TensorInfo): Values | undefined {
    const array: unknown = this.data.get(x.dataId).values;
    const dtype = dtypeOf(array);
    return KERNEL_DTYPES.includes(dtype) ? { array: array as TypedData, dtype: dtype! } : undefined;
  }

  /** A tensor's values for kernels. */
  operand(x: TensorInfo, { array, dtype }: Values, side: Side = "x"): Operand {
    return this.#kernelMemory().residents.operand(x.dataId, array, dtype, side);
  }

  /** The values with their matrices [rows, columns] transposed. */
  transposed({ array, dtype }: Values, rows: number, columns: number): Operand {
    return this.#kernelMemory().residents.transposed(array, dtype, rows, columns);
  }

  /** The values' rows of `width` in the order of their indices. */
  gathered({ array, dtype }: Values, width: number, order: Uint32Array): Operand {
    return this.#kernelMemory().residents.gathered(array, dtype, width, order);
  }

  override disposeData(dataId: DataId, force = false): boolean {
    const gone = super.disposeData(dataId, force);
    if (!this.data.has(dataId)) this.#memory?.residents.drop(dataId);
    return gone;
  }

  override memory(): { unreliable: boolean; reasons: string[]; numBytesInKernelMemory: number } {
    return { ...super.memory(), numBytesInKernelMemory: this.#memory?.residents.bytesUsed ?? 0 };
  }

  override dispose(): void {
    super.dispose();
    this.#memory = undefined;
  }

  #kernelMemory(): { readonly residents: Residents; readonly matrices: MatrixReducer } {
    if (this.#memory === undefined) {
      const residents = new Residents(this.#module, this.#bytesMax);
      this.#memory = { residents, matrices: new MatrixReducer(residents) };
    }
    return this.#memory;
  }
}
