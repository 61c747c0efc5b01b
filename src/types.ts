/** The words that several folders share. Values and shapes only: no code. */

/** A data type of leaf values. */
export type Dtype = "f32" | "f64" | "i32" | "i16" | "i8" | "u8";

/** A typed array that holds leaf values of a {@link Dtype}. */
export type TypedData = Float32Array | Float64Array | Int32Array | Int16Array | Int8Array | Uint8Array;

/** Leaf values as a caller may give them. `number[]` is read as f64; BigInt64Array must lie within ±2^53. */
export type Data = TypedData | BigInt64Array | readonly number[];

/** What happens to NaN: it propagates, its child is skipped, or it is an error with its index. */
export type NanPolicy = "propagate" | "skip" | "error";

/** How right a result is (numeric contract, clauses 2–3, 11, 12). */
export type Accuracy = "fast" | "reproducible" | "exact";

/** The version of the numeric contract that results of this package keep. */
export const CONTRACT_VERSION = "1";

/** How far long work has come. */
export interface Progress {
  readonly done: number;
  /** Undefined while it is not known. */
  readonly total: number | undefined;
  readonly unit: "parts" | "bytes" | "records";
}

/** Windows of a stream. With neither a size in time nor in rows there is one window, which ends with the stream. */
export interface WindowOptions {
  /** Length of a window in event time. */
  readonly sizeMs?: number;
  /** From the start of one window to the start of the next, at most `sizeMs`. Default `sizeMs`: windows follow one another. */
  readonly everyMs?: number;
  /** Windows start at multiples of `everyMs`, plus this. Default 0: 1970-01-01T00:00Z. */
  readonly offsetMs?: number;
  /** Length of a window in records, in the order in which they come. */
  readonly sizeRows?: number;
  /** Records from the start of one window to the start of the next, at most `sizeRows`. Default `sizeRows`. */
  readonly everyRows?: number;
  /** How long after the watermark has passed the end of a window late records are still let in, in event time. Default 0. */
  readonly latenessMsMax?: number;
  /** How much earlier than the latest record of its source a record may be: the watermark of a source is its latest event time less this. Default 0. */
  readonly outOfOrderMsMax?: number;
  /** Processing time after which a source without records holds the watermark back no longer. Default never. */
  readonly idleMsMax?: number;
  /** Records whose event time is further ahead of the processing clock than this are refused. Default a day; Infinity: none are. */
  readonly futureMsMax?: number;
  /** Fire windows that are not complete: so much processing time after the first record since the last firing, or after so many records. */
  readonly early?: { readonly everyMs?: number; readonly everyRows?: number };
  /** Fire a window again after so many late records. Default once for the late records of one batch. */
  readonly late?: { readonly everyRows?: number };
  /** Whether each firing holds all records of the window (`"accumulating"`, the default) or those since the last one. */
  readonly panes?: "accumulating" | "discarding";
  /** Open windows and slices of windows at most. Default 2^16. */
  readonly windowsMax?: number;
  /** Open level-f nodes at most, over all windows. Default 2^24. */
  readonly nodesMax?: number;
}

/** Items that lie in a file one after the other as they lie in memory: little endian, at any byte. */
export interface FileSegment {
  /** Open for as long as the source is. */
  readonly fd: number;
  /** The byte at which the first item starts. */
  readonly at: number;
  readonly items: number;
}

/**
 * Leaf values at rest, of any size: what `fourfold/files` opens and an engine runs a chain on without holding them all. Dense with a
 * shape, or ragged with offsets; leaves are numbered in row-major order.
 */
export interface TensorSource {
  readonly kind: "fourfold.tensor";
  /** What messages call it: a path as it was given, as a rule. */
  readonly name: string;
  readonly dtype: Dtype;
  /** Leaves in all. */
  readonly length: number;
  /** Row-major extents, outermost first; undefined where it is ragged. */
  readonly shape: readonly number[] | undefined;
  /** Offsets of the ragged levels, innermost first, in the manner of Arrow lists; undefined where it is dense. */
  readonly offsets: readonly (Uint32Array | Int32Array | BigInt64Array)[] | undefined;
  /** Where all leaves lie, in order, if they lie in files as they do in memory: then workers read their own ranges. Else undefined. */
  readonly segments: readonly FileSegment[] | undefined;
  /**
   * Fills `target`, an array of type `dtype` that may be a view of shared memory, with the leaves from `first` on. Any order of calls is
   * right; a rising one is quick.
   * @throws FourfoldError ERR_FOURFOLD_FORMAT, ERR_FOURFOLD_SOURCE, ERR_FOURFOLD_INTEGER, with file and byte or item
   */
  read(target: TypedData, first: number, options?: { readonly signal?: AbortSignal | undefined }): Promise<void>;
  /**
   * Keeps the source open until what it returns is called; runs do so for as long as they last, since a thread that reads `fd` after it was
   * closed may read another file.
   * @throws FourfoldError ERR_FOURFOLD_SOURCE if it is closed
   */
  hold?(): () => void;
  /** Refuses what comes after it; resolves when the runs and reads under way are over and the files are closed. */
  close(): Promise<void>;
}
