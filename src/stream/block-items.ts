/**
 * Blocks as programs hand them over: checked, and copied, so that a producer may fill its arrays anew. Dictionaries are not copied: blocks that
 * share one are known by it. Values of frames are not either: the queue copies them to where kernels read them.
 */
import { show } from "../errors.ts";
import { isDetached, typedArrayName } from "../reduce/arrays.ts";
import type { Key } from "../reduce/key.ts";
import type { TypedData } from "../types.ts";
import { checkColumns } from "./columns.ts";
import { type Place, wrong } from "./place.ts";
import type { Block, DictionaryColumn, ReadContext, StreamKeys } from "./types.ts";

/** Many records, or many frames one after the other, in columns. */
export interface BlockItem {
  /** Values; of a BigInt64Array those within ±2^53. */
  readonly data: TypedData | BigInt64Array | readonly number[];
  readonly keys?: Readonly<Record<string, StreamKeys>>;
  readonly times?: ArrayLike<number>;
  readonly weights?: ArrayLike<number>;
  readonly childWeights?: Readonly<Record<string, ArrayLike<number>>>;
}

/** Typed arrays that are values as they are. */
const VALUES = new Map<string, new (values: ArrayLike<number>) => TypedData>(
  [Float64Array, Float32Array, Int32Array, Int16Array, Int8Array, Uint8Array].map((type) => [type.name, type]),
);

/** Typed arrays that can be codes. */
const CODES = new Map<string, new (codes: ArrayLike<number>) => DictionaryColumn["codes"]>(
  [Uint8Array, Uint16Array, Uint32Array, Int8Array, Int16Array, Int32Array].map((type) => [type.name, type]),
);

/** The block that an item is; undefined if it has no rows. @throws FourfoldError ERR_FOURFOLD_RECORD */
export function blockFrom({ data, keys, times, weights, childWeights }: BlockItem, place: Place, context: ReadContext): Block | undefined {
  const { frameValues, timed, weighted } = context;
  const size = frameValues ?? 1;
  const values = valuesOf(data, place);
  if (values.length % size !== 0) throw wrong(place, `has ${values.length} values, not a multiple of ${size}`, "Give whole frames");
  const rows = values.length / size;
  const named = keys === undefined || context.keys.length === 0 ? {} : objectOf(keys, "keys", place);
  const missing = context.keys.find((name) => !Object.hasOwn(named, name));
  if (missing !== undefined) throw wrong(place, `has no key column "${missing}"`, `Give keys: { ${context.keys.join(", ")} }`);
  if (timed && times === undefined) throw wrong(place, "has no times", "Give one time for each row");
  if (weighted && weights === undefined) throw wrong(place, "has no weights", "Give one weight for each row");
  const block: Block = {
    rows,
    data: frameValues === undefined && (data as unknown) === values ? new (VALUES.get(typedArrayName(values)!)!)(values) : values,
    keys: context.keys.map((name) => keysOf(named[name], name, place)),
    times: timed ? numbersOf(times, "times", place) : undefined,
    weights: weighted ? numbersOf(weights, "weights", place) : undefined,
    childWeights: context.childWeights.length > 0 ? childWeightsOf(childWeights, place, context) : undefined,
  };
  checkColumns(block, rows, `item ${place.from} of "${place.name}"`);
  return rows > 0 ? block : undefined;
}

/** Values of records or frames: typed arrays that need no conversion as they are. @throws FourfoldError ERR_FOURFOLD_RECORD */
export function valuesOf(values: unknown, place: Place): TypedData {
  const name = typedArrayName(values);
  if (name !== undefined && VALUES.has(name) && !isDetached(values as TypedData)) return values as TypedData;
  return numbersOf(values, "values", place);
}

/** A copy of a column of numbers. Where a time is missing there is NaN, which is no time: its row alone is refused. */
function numbersOf(column: unknown, what: string, place: Place): Float64Array {
  const name = typedArrayName(column);
  if (name !== undefined) {
    if (isDetached(column as Float64Array))
      throw wrong(place, `has ${what} whose memory was transferred away`, "Give them before it is, or give a copy");
    if (name.startsWith("Big")) return integersOf(column as BigInt64Array, what, place);
    return new Float64Array(column as Float64Array);
  }
  const list = listOf(column, what, place);
  const numbers = new Float64Array(list.length);
  for (let i = 0; i < numbers.length; i++) {
    const given: unknown = list[i];
    if (typeof given === "number") numbers[i] = given;
    else if (what === "times" && given instanceof Date) numbers[i] = given.getTime();
    else if (what === "times" && (given === undefined || given === null)) numbers[i] = Number.NaN;
    else throw wrong(place, `has the ${what} ${show(given)} at ${i}, expected numbers`, "Give numbers; NaN stands for a missing one");
  }
  return numbers;
}

/** What float64 counts up to without a gap. */
const INTEGER_MAX = 2n ** 53n;

function integersOf(column: BigInt64Array, what: string, place: Place): Float64Array {
  const numbers = new Float64Array(column.length);
  for (let i = 0; i < numbers.length; i++) {
    const given = column[i]!;
    if (given > INTEGER_MAX || given < -INTEGER_MAX)
      throw wrong(
        place,
        `has the ${what} ${given} at ${i}, beyond ±2^53`,
        "Scale them, or give Float64Array.from(column, Number) if they may be rounded",
      );
    numbers[i] = Number(given);
  }
  return numbers;
}

/** A copy of a key column. Codes that their dictionary lacks are refused row by row, where they are looked up. */
function keysOf(given: unknown, name: string, place: Place): StreamKeys {
  const what = `key column "${name}"`;
  if (typeof given !== "object" || given === null || !("codes" in given || "dictionary" in given)) {
    const type = typedArrayName(given);
    // A list of bigints, or of anything, keeps what it holds.
    if (type !== undefined && !type.startsWith("Big")) return numbersOf(given, what, place);
    return Array.prototype.slice.call(listOf(given, what, place)) as Key[];
  }
  const { codes, dictionary } = given as Partial<DictionaryColumn>;
  if (!Array.isArray(dictionary))
    throw wrong(place, `has ${show(dictionary)} as the dictionary of ${what}`, "Give { codes, dictionary: [key, …] }");
  const Codes = Array.isArray(codes) && codes.every(isCode) ? Int32Array : CODES.get(typedArrayName(codes) ?? "");
  if (Codes === undefined || (ArrayBuffer.isView(codes) && isDetached(codes)))
    throw wrong(place, `has ${show(codes)} as the codes of ${what}`, "Give an array of integers, one for each row, such as an Int32Array");
  return { codes: new Codes(codes!), dictionary };
}

function isCode(given: unknown): boolean {
  return typeof given === "number" && (given | 0) === given;
}

function childWeightsOf(given: unknown, place: Place, { childWeights }: ReadContext): Readonly<Record<string, Float64Array>> {
  const named = given === undefined ? {} : objectOf(given, "childWeights", place);
  const columns = childWeights.map((level) => {
    if (named[level] === undefined) throw wrong(place, `has no weights for level "${level}"`, `Give childWeights: { ${level}: [...] }`);
    return [level, numbersOf(named[level], `weights of level "${level}"`, place)] as const;
  });
  return Object.fromEntries(columns);
}

function objectOf(given: unknown, what: string, place: Place): Readonly<Record<string, unknown>> {
  if (typeof given === "object" && given !== null) return given as Readonly<Record<string, unknown>>;
  throw wrong(place, `has the ${what} ${show(given)}`, `Give ${what}: { name: [...] }`);
}

/** Anything with a length and entries, but no text. */
function listOf(given: unknown, what: string, place: Place): ArrayLike<unknown> {
  const length =
    typeof given === "object" && given !== null && !(given instanceof DataView) ? (given as Partial<ArrayLike<unknown>>).length : undefined;
  if (typeof length === "number" && Number.isInteger(length) && length >= 0) return given as ArrayLike<unknown>;
  throw wrong(place, `has the ${what} ${show(given)}, expected an array`, "Give an array, one entry for each row");
}
