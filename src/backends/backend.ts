/** What a backend does: it runs a fitted chain on leaves and gives back levels. It knows nothing of files, keys or streams. */
import type { LevelValues } from "../reduce/result.ts";
import type { Progress, TypedData } from "../types.ts";

/** What a run may be told beside its data. */
export interface RunContext {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** False spares a backend that keeps no contract its error bounds. */
  readonly errorBound?: boolean | undefined;
}

/** What one device did of a run. Times as of `performance.now()`. */
export interface DeviceRun {
  readonly device: string;
  readonly leaves: number;
  readonly startedAt: number;
  readonly endedAt: number;
}

/** Work that another device than the planned one did. */
export interface Moved {
  readonly from: string;
  readonly reason: string;
}

/** The levels of one run, innermost first; undefined where a level was not kept. And what the run took, in milliseconds. */
export interface RunOutput {
  readonly levels: readonly (LevelValues | undefined)[];
  readonly processMs: number;
  readonly aggregateMs: number;
  /** An error bound for each value of the outermost level, output-major, and the time it took: from backends that keep no contract. */
  readonly bounds?: Float64Array;
  readonly outputMs?: number;
  /** The devices of a run that was split over several. */
  readonly devices?: readonly DeviceRun[];
  /** What moved to the wasm kernels because its device failed. */
  readonly moved?: readonly Moved[];
}

/** A fitted chain, prepared once for data of one dtype and length. */
export interface Executable {
  /** Runs on the calling thread until it is done; undefined where the backend has no synchronous way. */
  readonly runSync: ((data: TypedData) => RunOutput) | undefined;
  run(data: TypedData, context: RunContext): Promise<RunOutput>;
  /** Gives back what preparing took. */
  close(): void;
}
