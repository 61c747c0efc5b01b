/** Frames whose values do not fit the stream's dtype: what a conversion would change without a word. */
import { FourfoldError } from "../errors.ts";
import type { Dtype, TypedData } from "../types.ts";
import { cut, isDictionary } from "./columns.ts";
import type { Block, StreamKeys } from "./types.ts";

const ARRAYS = { f32: Float32Array, f64: Float64Array, i32: Int32Array, i16: Int16Array, i8: Int8Array, u8: Uint8Array } as const;

/** Arrays whose values all fit a dtype, beside its own. */
const WIDENED: Readonly<Record<Dtype, readonly Dtype[]>> = {
  f64: ["f32", "i32", "i16", "i8", "u8"],
  f32: ["i16", "i8", "u8"],
  i32: ["i16", "i8", "u8"],
  i16: ["i8", "u8"],
  i8: [],
  u8: [],
};

/** A frame with a value that its dtype cannot hold. */
export interface Unfit {
  /** Its place in the block. */
  readonly row: number;
  readonly error: FourfoldError;
}

/** The frames of a block that fit a dtype, as a block, and those that do not. */
export function narrow(block: Block, dtype: Dtype, size: number): { readonly block: Block | undefined; readonly unfit: readonly Unfit[] } {
  const { data, rows } = block;
  if (data instanceof ARRAYS[dtype] || WIDENED[dtype].some((other) => data instanceof ARRAYS[other])) return { block, unfit: [] };
  const held: TypedData = new ARRAYS[dtype](size);
  const kept: number[] = [];
  const unfit: Unfit[] = [];
  for (let row = 0; row < rows; row++) {
    const frame = data.subarray(row * size, (row + 1) * size);
    held.set(frame);
    const index = frame.findIndex((value: number, i: number) => value !== held[i] && (value === value || held[i] === held[i]));
    if (index < 0) kept.push(row);
    else unfit.push({ row, error: unfitError(frame[index]!, index, dtype) });
  }
  if (unfit.length === 0) return { block, unfit };
  return { block: kept.length === 0 ? undefined : pick(block, kept, size), unfit };
}

function unfitError(value: number, index: number, dtype: Dtype): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_RECORD", `the value ${value} at ${index} of a frame is no ${dtype}`, {
    given: value,
    expected: dtype,
    fix: `Give the option frame: { shape, dtype: "f64" }, or values that ${dtype} holds`,
    at: { index },
  });
}

/** Some rows of a block. */
function pick(block: Block, kept: readonly number[], size: number): Block {
  const { data, keys, times, weights, childWeights } = block;
  const numbers = (column: ArrayLike<number>): Float64Array => Float64Array.from(kept, (row) => column[row]!);
  const pickKeys = (column: StreamKeys): StreamKeys =>
    isDictionary(column)
      ? { codes: Int32Array.from(kept, (row) => column.codes[row]!), dictionary: column.dictionary }
      : kept.map((row) => column[row]);
  const values = new (data.constructor as Float64ArrayConstructor)(kept.length * size);
  kept.forEach((row, i) => {
    values.set(cut(data, row * size, (row + 1) * size), i * size);
  });
  return {
    rows: kept.length,
    data: values,
    keys: keys.map(pickKeys),
    times: times && numbers(times),
    weights: weights && numbers(weights),
    childWeights: childWeights && Object.fromEntries(Object.entries(childWeights).map(([level, column]) => [level, numbers(column)])),
  };
}
