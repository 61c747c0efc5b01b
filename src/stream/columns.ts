/** Columns of a block, cut. */
import { FourfoldError, show } from "../errors.ts";
import type { Key } from "../reduce/key.ts";
import type { Block, DictionaryColumn, StreamKeys } from "./types.ts";

/** The columns of a block without its values. */
export type Columns = Pick<Block, "keys" | "times" | "weights" | "childWeights">;

/** True for keys as codes. */
export function isDictionary(column: StreamKeys): column is DictionaryColumn {
  return "dictionary" in column;
}

/** Entry i of a column of keys. */
export function keyAt(column: StreamKeys, i: number): Key {
  return (isDictionary(column) ? column.dictionary[column.codes[i]!] : column[i]) ?? null;
}

/** How many entries a column of keys has. */
function lengthOf(column: StreamKeys): number {
  return isDictionary(column) ? column.codes.length : column.length;
}

/** Entries `from` … `to` − 1. Typed arrays are not copied. */
export function cut<T extends ArrayLike<unknown>>(column: T, from: number, to: number): T {
  if (from === 0 && to === column.length) return column;
  const { subarray } = column as unknown as Partial<Float64Array>;
  if (typeof subarray === "function") return subarray.call(column, from, to) as unknown as T;
  return Array.prototype.slice.call(column, from, to) as unknown as T;
}

function cutKeys(column: StreamKeys, from: number, to: number): StreamKeys {
  return isDictionary(column) ? { codes: cut(column.codes, from, to), dictionary: column.dictionary } : cut(column, from, to);
}

/** The columns of rows `from` … `to` − 1. */
export function cutColumns({ keys, times, weights, childWeights }: Columns, from: number, to: number): Columns {
  return {
    keys: keys.map((column) => cutKeys(column, from, to)),
    times: times && cut(times, from, to),
    weights: weights && cut(weights, from, to),
    childWeights: childWeights && Object.fromEntries(Object.entries(childWeights).map(([level, column]) => [level, cut(column, from, to)])),
  };
}

/** The column that is not as long as there are rows, as an error. */
export function checkColumns({ keys, times, weights, childWeights = {} }: Columns, rows: number, what: string): void {
  const lengths: [string, number][] = keys.map((column, i) => [`key column ${i}`, lengthOf(column)]);
  if (times) lengths.push(["times", times.length]);
  if (weights) lengths.push(["weights", weights.length]);
  for (const [level, column] of Object.entries(childWeights)) lengths.push([`weights of level ${show(level)}`, column.length]);
  for (const [name, length] of lengths)
    if (length !== rows)
      throw new FourfoldError("ERR_FOURFOLD_RECORD", `${what}: ${name} has ${length} entries for ${rows} rows`, {
        given: length,
        expected: rows,
        fix: "Give one entry for each row",
      });
}
