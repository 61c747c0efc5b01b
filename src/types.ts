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
