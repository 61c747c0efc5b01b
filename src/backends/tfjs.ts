/**
 * The tensor backends as TensorFlow.js has them: how they are loaded and told to run, in the thread that has them. How a chain becomes
 * operations is in tfjs-levels.ts; what the calling thread must know of them, in tensor-backends.ts.
 */
import util from "node:util";
import { FourfoldError } from "../errors.ts";
import type { Arithmetic } from "../reduce/bound.ts";
import type { Fitted } from "../reduce/resolve.ts";
import type { LevelValues } from "../reduce/result.ts";
import type { NanPolicy, TypedData } from "../types.ts";
import { arithmeticOf, refuse, TENSOR_BACKENDS, type TensorBackendName } from "./tensor-backends.ts";
import {
  buildLevels,
  floats,
  isResident,
  type Resident,
  type RunLevels,
  readLevels,
  type Tensor,
  type TensorModule,
} from "./tfjs-levels.ts";
import { adapterOf, isSoftware, loadWebgpu, onDevice, tensorBytesMaxOf } from "./tfjs-webgpu.ts";

/** A TensorFlow.js backend that runs chains. */
export interface TensorBackend {
  /** Its name in Fourfold: `tfjs-cpu`. */
  readonly name: TensorBackendName;
  /** The version of what computes: of the native TensorFlow library, or of TensorFlow.js. */
  readonly version: string;
  /** What computes: devices on one processor share its cores. */
  readonly processor: "cpu" | "gpu";
  /** True for a GPU whose work the CPU does. */
  readonly software: boolean;
  /** How it rounds, for the bound of its results. */
  readonly arithmetic: Arithmetic;
  /**
   * Runs a chain. `keep` says which levels are wanted; the outermost always is. `clean` says that no leaf is NaN, which spares a look.
   * @throws FourfoldError ERR_FOURFOLD_ACCURACY unless the accuracy is `fast` and all reductions are built in; ERR_FOURFOLD_NAN under `nan: "error"`;
   * ERR_FOURFOLD_MEMORY if the device cannot hold a row; ERR_FOURFOLD_DEVICE if it fails
   */
  run(fitted: Fitted, data: TypedData | Resident, keep: readonly boolean[], clean?: boolean): Promise<readonly (LevelValues | undefined)[]>;
  /** Copies leaves to the device. Give them back with `dispose()`. */
  upload(data: TypedData): Promise<Resident>;
}

/** How a backend of TensorFlow.js is loaded: a row here and one in tensor-backends.ts, and it is in. */
interface Device {
  /** Its name in TensorFlow.js. */
  readonly backend: string;
  /** Imports the packages; gives what TensorFlow.js's core exports. */
  load(): Promise<unknown>;
  /** The version of what computes, from TensorFlow.js's core and from its backend. @throws if it is one that gives wrong results */
  version(core: TensorModule, backend: unknown): string;
  /** What a device of its own asks for; undefined where the CPU computes. */
  readonly gpu?: {
    /** Runs `work` on a device that works; see {@link onDevice}. */
    run<T>(core: TensorModule, work: () => Promise<T>): Promise<T>;
    /** Bytes that one tensor may have. */
    tensorBytesMax(backend: unknown): number;
    /** True if the CPU does its work. */
    isSoftware(backend: unknown): boolean;
  };
}

const DEVICES: Readonly<Record<TensorBackendName, Device>> = {
  "tfjs-cpu": {
    backend: "cpu",
    load: async () => {
      const core = await import("@tensorflow/tfjs-core");
      await import("@tensorflow/tfjs-backend-cpu");
      return core;
    },
    version: ({ version_core }) => version_core,
  },
  "tfjs-wasm": {
    backend: "wasm",
    load: async () => {
      const core = await import("@tensorflow/tfjs-core");
      await import("@tensorflow/tfjs-backend-wasm");
      return core;
    },
    version: ({ version_core }) => version_core,
  },
  tensorflow: {
    backend: "tensorflow",
    load: async () => {
      prepareProcess();
      return (await import("@tensorflow/tfjs-node")).default;
    },
    version: (_, backend) => libraryVersion(backend),
  },
  webgpu: {
    backend: "webgpu",
    load: loadWebgpu,
    version: ({ version_core }, backend) => `${version_core} on ${adapterOf(backend)}`,
    gpu: { run: onDevice, tensorBytesMax: tensorBytesMaxOf, isSoftware },
  },
};

/** What the native library and its JavaScript read from their surroundings. */
function prepareProcess(): void {
  process.env["TF_CPP_MIN_LOG_LEVEL"] ??= "2"; // no reports on stderr, but errors
  // The error bound holds for float32 products. These let a GPU (10 bits) and oneDNN (8 bits) round their factors further.
  process.env["NVIDIA_TF32_OVERRIDE"] = "0";
  process.env["ONEDNN_DEFAULT_FPMATH_MODE"] = "STRICT";
  // Node 23 dropped two functions that tfjs-node 4.22 calls (tensorflow/tfjs#8425).
  const old = util as { isNullOrUndefined?: (x: unknown) => boolean; isArray?: (x: unknown) => boolean };
  old.isNullOrUndefined ??= (x) => x === null || x === undefined;
  old.isArray ??= Array.isArray;
}

/** TensorFlow before 2.7 is untried with tfjs-node 4.22; from 2.17 on its rounding of int32 tensors silently gives zeros. */
const LIBRARY = { major: 2, minorMin: 7, minorMax: 16 } as const;

function libraryVersion(backend: unknown): string {
  const version = String((backend as { binding?: { TF_Version?: unknown } }).binding?.TF_Version);
  const [major, minor] = version.split(".").map(Number);
  if (major === LIBRARY.major && minor! >= LIBRARY.minorMin && minor! <= LIBRARY.minorMax) return version;
  const { major: m, minorMin, minorMax } = LIBRARY;
  throw new Error(`the TensorFlow library is version ${version}, it works with ${m}.${minorMin} to ${m}.${minorMax}`);
}

/**
 * Imports TensorFlow.js and makes a tensor backend of it. The program's own choice of a TensorFlow.js backend stays as it is.
 * @param load imports the packages; a parameter so that tests can be without them
 * @throws FourfoldError ERR_FOURFOLD_BACKEND with the command that installs what is missing
 */
export async function loadTfjs(name: TensorBackendName, load: () => Promise<unknown> = DEVICES[name].load): Promise<TensorBackend> {
  const device = DEVICES[name];
  try {
    const tf = (await load()) as TensorModule;
    const before = tf.getBackend();
    if (!(await tf.setBackend(device.backend)) || tf.getBackend() !== device.backend)
      throw new Error(`TensorFlow.js could not start its backend "${device.backend}"`);
    quiet(tf.findBackend(device.backend));
    if (before && before !== device.backend) await tf.setBackend(before);
    return createTfjs(tf, name);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split("\n")[0]! : String(cause);
    // tfjs-node without its native part says in words that there is no file of that name.
    const absent = (cause as { code?: unknown } | null)?.code === "ERR_MODULE_NOT_FOUND" || /addon module.*can not be found/.test(reason);
    throw new FourfoldError("ERR_FOURFOLD_BACKEND", `backend "${name}" ${absent ? "is not installed" : `did not load: ${reason}`}`, {
      given: name,
      expected: TENSOR_BACKENDS[name].packages,
      fix: `Run: ${TENSOR_BACKENDS[name].command}`,
      cause,
    });
  }
}

/** The plain JavaScript backend recommends another package on its first use, on the caller's console. */
function quiet(backend: unknown): void {
  if (typeof backend === "object" && backend !== null && "firstUse" in backend) backend.firstUse = false;
}

/**
 * A tensor backend on a loaded TensorFlow.js.
 * @param core what `@tensorflow/tfjs-core` exports; its backend for `name` is registered and started. Its type stays out of ours.
 */
export function createTfjs(core: unknown, name: TensorBackendName = "tfjs-cpu"): TensorBackend {
  const tf = core as TensorModule;
  const { backend, version, gpu } = DEVICES[name];
  const bytesMaxOf = (): number => gpu?.tensorBytesMax(tf.findBackend(backend)) ?? Number.POSITIVE_INFINITY;
  return {
    name,
    version: version(tf, tf.findBackend(backend)),
    processor: gpu ? "gpu" : "cpu",
    software: gpu?.isSoftware(tf.findBackend(backend)) === true,
    arithmetic: arithmeticOf(name),
    upload: async (data) => {
      const work = async (): Promise<Tensor> => {
        const given = { bytes: 4 * data.length, most: bytesMaxOf() };
        if (given.bytes > given.most)
          throw new FourfoldError(
            "ERR_FOURFOLD_MEMORY",
            `a copy of ${given.bytes} bytes on the device, whose tensors have at most ${given.most}`,
            {
              given: given.bytes,
              expected: given.most,
              fix: "Use a tensor without a copy there, which is handed over in pieces",
            },
          );
        return onBackend(tf, backend, () => uploaded(tf, data));
      };
      const tensor = await (gpu ? gpu.run(tf, work) : work());
      // What the device may not hold as it is, is kept beside the copy: the error bound counts its rounding.
      const kept = isHeldByF32(data) ? undefined : data.slice();
      const read = async (): Promise<TypedData> => new Float32Array(await tensor.data());
      const leaves = async (): Promise<TypedData> => kept ?? (gpu ? gpu.run(tf, read) : read());
      return { tensor, firstNan: findNan(data), leaves, dispose: () => tensor.dispose() };
    },
    run: async (fitted, data, keep, clean = false) => {
      refuse(fitted, name);
      const hasNan = clean ? false : fitted.nan === "propagate" ? undefined : hasNanIn(data, fitted.nan);
      const work = (): Promise<RunLevels> => {
        const bytesMax = bytesMaxOf();
        return readLevels(
          fitted,
          onBackend(tf, backend, () => buildLevels(tf, fitted, data, keep, hasNan, bytesMax)),
        );
      };
      return gpu ? gpu.run(tf, work) : work();
    },
  };
}

/** Whether there is a NaN among the leaves. @throws FourfoldError ERR_FOURFOLD_NAN under `nan: "error"` */
function hasNanIn(data: TypedData | Resident, nan: NanPolicy): boolean {
  const index = isResident(data) ? data.firstNan : findNan(data);
  if (index >= 0 && nan === "error")
    throw new FourfoldError("ERR_FOURFOLD_NAN", `data[${index}] is NaN`, {
      given: Number.NaN,
      fix: 'Use nan: "skip" or "propagate", or clean the data',
      at: { index },
    });
  return index >= 0;
}

/** True if float32 holds every leaf, and no device reads one as zero. */
function isHeldByF32(data: TypedData): boolean {
  if (data instanceof Float64Array || data instanceof Int32Array) return false;
  return !(data instanceof Float32Array) || data.every((x) => x === 0 || !(Math.abs(x) < 2 ** -126));
}

/** The index of the first NaN, or −1. */
function findNan(data: TypedData): number {
  return data instanceof Float32Array || data instanceof Float64Array ? data.findIndex((x) => x !== x) : -1;
}

/** Leaves as a tensor [1, leaves] that lies on the device. A backend may wait with its copy until an operation reads the values. */
function uploaded(tf: TensorModule, data: TypedData): Tensor {
  let there: Tensor | undefined;
  tf.tidy(() => {
    const given = tf.tensor(floats(data), [1, data.length], "float32");
    there = tf.keep(tf.mul(given, tf.scalar(1, "float32"))); // a multiplication by 1 changes no value
  });
  return there!;
}

/** Runs synchronous `work` on a TensorFlow.js backend and gives the program its own back: the choice is global there. */
function onBackend<T>(tf: TensorModule, backend: string, work: () => T): T {
  const before = tf.getBackend();
  if (before === backend) return work();
  // A started backend is set before the first await inside setBackend.
  void tf.setBackend(backend);
  try {
    return work();
  } finally {
    if (before) void tf.setBackend(before);
  }
}
