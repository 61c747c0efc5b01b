/**
 * Times runs on a device: what rates are measured by (calibration.ts). They have a memory, workers and a thread of their own, so that
 * neither the limits of an engine nor its other runs become facts of the machine, and nothing is left of them.
 */
import { BYTES } from "./backends/memory.ts";
import { isTensorBackend, type TensorBackendName } from "./backends/tensor-backends.ts";
import { TensorThread } from "./backends/tensors.ts";
import { WasmBackend } from "./backends/wasm.ts";
import type { TimedRuns } from "./calibration.ts";
import { fit } from "./reduce/resolve.ts";
import { strataOf } from "./reduce/strata.ts";
import { denseTree } from "./reduce/tree.ts";
import type { HOME } from "./schedule/choose.ts";
import { planFor } from "./schedule/plan.ts";
import type { Dtype, TypedData } from "./types.ts";

/** One device with all that its runs need. Close it. */
export class Bench {
  readonly #device: typeof HOME | TensorBackendName;
  readonly #workers: number;
  readonly #wasm: WasmBackend;
  readonly #thread: TensorThread | undefined;
  readonly #samples: Map<string, TypedData> = new Map();

  constructor(device: typeof HOME | TensorBackendName, workers: number) {
    this.#device = device;
    this.#workers = workers;
    this.#wasm = new WasmBackend({ workers, memoryBytesMax: MEMORY_BYTES_MAX, runsMax: 1, workerUrl: undefined, reclaim: () => false });
    if (isTensorBackend(device)) this.#thread = new TensorThread(device, this.#wasm.heaps);
  }

  /** What the device is. @throws FourfoldError ERR_FOURFOLD_BACKEND if it is absent */
  async open(): Promise<{ readonly processor: "cpu" | "gpu"; readonly software: boolean }> {
    return this.#thread?.open() ?? { processor: "cpu", software: false };
  }

  /** Times runs, until the signal says that they have taken too long. */
  timed(signal: AbortSignal): TimedRuns {
    return async (chain, { shape, dtype, where }, { runsMax, msMax }) => {
      const sample = this.#sample(shape, dtype);
      const data = where === "foreign array" ? sample.slice() : sample;
      if (where === "device") this.#thread!.place(data);
      const fitted = fit(chain, denseTree(chain, shape, undefined), "propagate", "fast");
      const keep = fitted.levels.map((_, i) => i === fitted.levels.length - 1);
      const placement = where === "foreign array" ? where : "engine memory";
      const plan = planFor({ fitted, dtype, bytesPerLeaf: BYTES[dtype], placement, keep }, this.#device, this.#workers);
      const executable = this.#thread?.prepare(fitted, keep) ?? this.#wasm.prepare(fitted, strataOf(fitted), plan, dtype);
      const taken: number[] = [];
      try {
        const until = performance.now() + msMax;
        for (let run = 0; run < runsMax && (run === 0 || performance.now() < until); run++) {
          const started = performance.now();
          await executable.run(data, { signal });
          taken.push(performance.now() - started);
        }
      } finally {
        executable.close();
        if (where === "device") this.#thread!.drop(data);
      }
      return taken;
    };
  }

  /** Ends what it started; runs under way reject. */
  async close(): Promise<void> {
    await Promise.all([this.#thread?.close(), this.#wasm.close()]);
  }

  /** Leaves of each dtype and length that is asked for, made once. */
  #sample(shape: readonly number[], dtype: Dtype): TypedData {
    const length = shape.reduce((n, extent) => n * extent);
    const name = `${length} ${dtype}`;
    let data = this.#samples.get(name);
    if (data === undefined) {
      const { heap, at } = this.#wasm.heaps.allocateLeaves(length * BYTES[dtype]).block;
      data = heap.view(dtype, at, length);
      for (let i = 0; i < length; i++) data[i] = (Math.imul(i, 0x9e3779b1) >>> 8) / 2 ** 17; // 0 … 127 and a fraction
      this.#samples.set(name, data);
    }
    return data;
  }
}

/** More than all samples and copies together: about 300 MiB. */
const MEMORY_BYTES_MAX = 2 ** 30;
