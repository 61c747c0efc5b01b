/** The options of engines and runs, and the checks at their border. */

import { AUTO_BACKENDS, isTensorBackend, type TensorBackendName } from "./backends/tensor-backends.ts";
import { RUN_MS_MAX } from "./backends/tensors.ts";
import { badOption, checkNames, FourfoldError, show } from "./errors.ts";
import type { Accuracy, Dtype, NanPolicy, Progress } from "./types.ts";

/**
 * Names of the backends that an engine can be asked for.
 * - `"auto"`: the fastest one that keeps the accuracy that was asked for.
 * - `"wasm"`: the SIMD kernels, on all cores. Keeps the numeric contract.
 * - `"reference"`: the contract in plain loops, slow, on the calling thread.
 * - `"tensorflow"`: TensorFlow.js tensor ops in float32 on the native TensorFlow library, in a thread of its own; accuracy `"fast"`,
 *   with an error bound. `npx fourfold setup tensorflow` gets it.
 * - `"webgpu"`: the same ops on a GPU, through Dawn; accuracy `"fast"`, with an error bound. `npx fourfold setup webgpu` gets it.
 * - `"tfjs-cpu"`: the same ops on TensorFlow.js's backend in plain JavaScript, to compare with. Needs `@tensorflow/tfjs-core` and
 *   `@tensorflow/tfjs-backend-cpu`.
 * - `"tfjs-wasm"`: the same ops on TensorFlow.js's WebAssembly backend, likewise. Needs `@tensorflow/tfjs-core` and
 *   `@tensorflow/tfjs-backend-wasm`.
 */
export type BackendName = "auto" | "wasm" | "reference" | "tensorflow" | "webgpu" | "tfjs-cpu" | "tfjs-wasm";

/** Options of {@link createEngine}. */
export interface EngineOptions {
  /** Default `"auto"`. A named backend that is absent throws. */
  readonly backend?: BackendName;
  /** Worker threads, 0 to 256; default one for each core. With 0 everything runs on the calling thread. They start with the first large run. */
  readonly workers?: number;
  /** Default `"fast"` for tensors and rows, `"reproducible"` for keyed records and specs. */
  readonly accuracy?: Accuracy;
  /** Default `"propagate"`. */
  readonly nan?: NanPolicy;
  /** Bytes of engine memory: tensors, weights, offsets and what runs need while they last. Default 8 GiB. */
  readonly memoryBytesMax?: number;
  /** Calls of `run` that may be under way or waiting at once. Default 1024. */
  readonly runsMax?: number;
  /** The module that worker threads load, where a bundler moved it. */
  readonly workerUrl?: URL;
  /**
   * The tensor backends that `"auto"` may choose, where they are installed and were measured. Default `["tensorflow", "webgpu"]`; none: `[]`.
   * A device is measured once for each machine and version: by the first large run of accuracy `"fast"`, or `fourfold doctor --calibrate`.
   */
  readonly devices?: readonly TensorBackendName[];
  /** Milliseconds that a tensor backend may take for one run; then the run moves to the wasm kernels. Default 60,000. */
  readonly deviceMsMax?: number;
}

/** Options of {@link Engine.tensor}. */
export interface TensorOptions {
  /** A tensor backend that is to hold a copy: it is made with `upload()`, or before the first run there, and serves all later runs. */
  readonly device?: TensorBackendName;
}

/** Options of one run. */
export interface RunOptions {
  readonly accuracy?: Accuracy;
  readonly nan?: NanPolicy;
  readonly backend?: BackendName;
  /**
   * Splits one batch over several backends that work at the same time: name → its share, in proportion, such as
   * `{ wasm: 0.5, tensorflow: 0.5 }`. The accuracy must be `"fast"`. Not with `backend`.
   */
  readonly split?: Readonly<Partial<Record<"wasm" | TensorBackendName, number>>>;
  /** Levels whose nodes are kept for {@link Result.level}: their names, or `"all"`. The outermost is always kept. */
  readonly keep?: "all" | readonly string[];
  /**
   * True computes {@link Result.errorBounds}. Default false where the backend keeps the numeric contract: there it takes far longer
   * than the run itself. Results of tensor backends carry it unless this is false, which spares them a second look at every value.
   */
  readonly errorBound?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

/** Options of {@link Plan.run}. */
export interface PlanRunOptions {
  /** Written instead of a new array; its length must be that of `values`. */
  readonly into?: Float64Array;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

/** Options of {@link Engine.plan}. */
export interface PlanOptions extends Omit<RunOptions, "signal" | "onProgress"> {
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  /** True if the data will be plain arrays that are not in engine memory. Default false. */
  readonly foreign?: boolean;
  /** The device that holds a copy of the data, if the data will be such tensors. */
  readonly device?: TensorBackendName;
}

/** Bytes of engine memory unless `memoryBytesMax` says otherwise: 8 GiB. */
const MEMORY_BYTES_MAX = 8 * 2 ** 30;

const BACKENDS: readonly BackendName[] = ["auto", "wasm", "reference", "tensorflow", "webgpu", "tfjs-cpu", "tfjs-wasm"];
/** What timers can wait: 2^31 − 1 milliseconds. */
const TIMER_MS_MAX = 2 ** 31 - 1;

const DTYPES: readonly Dtype[] = ["f32", "f64", "i32", "i16", "i8", "u8"];

/** Reads engine options, filling in the defaults. `cores` is the number of worker threads unless told. @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function readEngineOptions(
  options: EngineOptions,
  cores: number,
): EngineOptions & Required<Pick<EngineOptions, "workers" | "memoryBytesMax" | "runsMax" | "devices" | "deviceMsMax">> {
  const names = ["backend", "workers", "accuracy", "nan", "memoryBytesMax", "runsMax", "workerUrl", "devices", "deviceMsMax"];
  checkNames("createEngine", options, names);
  checkModes(options);
  const { workers = Math.min(cores, 256), memoryBytesMax = MEMORY_BYTES_MAX, runsMax = 1024 } = options;
  const { devices = AUTO_BACKENDS, deviceMsMax = RUN_MS_MAX } = options;
  if (!Array.isArray(devices) || !devices.every(isTensorBackend)) throw badOption("devices", devices, "names of tensor backends");
  if (!(deviceMsMax > 0 && deviceMsMax <= TIMER_MS_MAX))
    throw badOption("deviceMsMax", deviceMsMax, `milliseconds, at most ${TIMER_MS_MAX}`);
  if (!Number.isInteger(workers) || workers < 0 || workers > 256) throw badOption("workers", workers, "an integer from 0 to 256");
  if (!(memoryBytesMax > 0)) throw badOption("memoryBytesMax", memoryBytesMax, "a number of bytes above 0");
  if (!Number.isInteger(runsMax) || runsMax < 1) throw badOption("runsMax", runsMax, "an integer of 1 or more");
  return { ...options, workers, memoryBytesMax, runsMax, devices, deviceMsMax };
}

/** Checks the options of a run. @throws FourfoldError ERR_FOURFOLD_ARGUMENT, ERR_FOURFOLD_BACKEND */
export function checkRunOptions(options: RunOptions): void {
  checkNames("run", options, ["accuracy", "nan", "backend", "split", "keep", "errorBound", "signal", "onProgress"]);
  checkModes(options);
  checkSplit(options);
  checkWatch(options);
}

/** Checks the options of a plan. @throws FourfoldError ERR_FOURFOLD_ARGUMENT, ERR_FOURFOLD_BACKEND, ERR_FOURFOLD_DTYPE */
export function checkPlanOptions(options: PlanOptions): void {
  checkNames("plan", options, ["shape", "dtype", "foreign", "device", "accuracy", "nan", "backend", "split", "keep", "errorBound"]);
  checkModes(options);
  checkSplit(options);
  checkDevice(options.device);
  checkDtype(options.dtype);
}

/** Checks the options of a tensor. @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function checkTensorOptions(options: TensorOptions): void {
  checkNames("tensor", options, ["device"]);
  checkDevice(options.device);
}

/** Checks the options of a planned run. @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function checkPlanRunOptions(options: PlanRunOptions): void {
  checkNames("plan.run", options, ["into", "signal", "onProgress"]);
  checkWatch(options);
  if (options.into !== undefined && !(options.into instanceof Float64Array)) throw badOption("into", options.into, "a Float64Array");
}

/** Checks a dtype's name. @throws FourfoldError ERR_FOURFOLD_DTYPE */
export function checkDtype(dtype: unknown): asserts dtype is Dtype {
  if (!DTYPES.includes(dtype as Dtype))
    throw new FourfoldError("ERR_FOURFOLD_DTYPE", `dtype is ${show(dtype)}, expected one of ${DTYPES.join(", ")}`, {
      given: dtype,
      expected: DTYPES,
    });
}

/** Which levels `keep` names, the outermost always. @throws FourfoldError ERR_FOURFOLD_LEVEL */
export function keptLevels(chain: { readonly levels: readonly { readonly name: string }[] }, keep: RunOptions["keep"]): boolean[] {
  const last = chain.levels.length - 1;
  if (keep !== undefined && keep !== "all" && !Array.isArray(keep)) throw badOption("keep", keep, 'level names in an array, or "all"');
  if (Array.isArray(keep))
    for (const name of keep as readonly string[])
      if (!chain.levels.some((level) => level.name === name))
        throw new FourfoldError(
          "ERR_FOURFOLD_LEVEL",
          `keep: there is no level "${name}", the levels are ${chain.levels.map((level) => `"${level.name}"`).join(", ")}`,
          { given: name, fix: 'Use their names, or "all"' },
        );
  return chain.levels.map(({ name }, i) => i === last || keep === "all" || (Array.isArray(keep) && keep.includes(name)));
}

/** A signal and a callback, if there are any. */
function checkWatch({ signal, onProgress }: { readonly signal?: unknown; readonly onProgress?: unknown }): void {
  if (signal !== undefined && typeof (signal as Partial<AbortSignal> | null)?.addEventListener !== "function")
    throw badOption("signal", signal, "an AbortSignal");
  if (onProgress !== undefined && typeof onProgress !== "function") throw badOption("onProgress", onProgress, "a function");
}

function checkModes({ accuracy, nan, backend }: { readonly accuracy?: unknown; readonly nan?: unknown; readonly backend?: unknown }): void {
  oneOf("accuracy", accuracy, ["fast", "reproducible", "exact"]);
  oneOf("nan", nan, ["propagate", "skip", "error"]);
  if (backend !== undefined && !BACKENDS.includes(backend as BackendName))
    throw new FourfoldError("ERR_FOURFOLD_BACKEND", `there is no backend ${show(backend)} here`, {
      given: backend,
      expected: BACKENDS,
      fix: `Use one of ${BACKENDS.map((name) => `"${name}"`).join(", ")}`,
    });
}

function checkDevice(device: string | undefined): void {
  if (device !== undefined && !isTensorBackend(device)) throw badOption("device", device, "the name of a tensor backend");
}

function checkSplit({ split, backend }: Pick<RunOptions, "split" | "backend">): void {
  if (split === undefined) return;
  if (backend !== undefined) throw badOption("split", split, "no backend beside it: the split names them");
  const shares = typeof split === "object" && split !== null ? Object.entries(split) : [];
  if (
    shares.length < 2 ||
    !shares.every(([name, share]) => (name === "wasm" || isTensorBackend(name)) && share > 0 && share < Number.POSITIVE_INFINITY)
  )
    throw badOption("split", split, "two backends or more with shares above 0, such as { wasm: 0.5, tensorflow: 0.5 }");
}

/** Checks an option that is one of some words. @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function oneOf(option: string, given: unknown, allowed: readonly string[]): void {
  if (given !== undefined && !allowed.includes(given as string)) throw badOption(option, given, allowed.map((a) => `"${a}"`).join(", "));
}
