/** Iterables as sources: numbers, frames, records, blocks of them, as programs have them at hand. */
import { badOption, FourfoldError, show } from "../errors.ts";
import type { Key } from "../reduce/key.ts";
import type { NumberList } from "../reduce/weights.ts";
import type { TypedData } from "../types.ts";
import { type BlockItem, blockFrom, valuesOf } from "./block-items.ts";
import { cutColumns } from "./columns.ts";
import { type Place, wrong } from "./place.ts";
import type { Block, Chunk, ReadContext, Reader, Rejected } from "./types.ts";

/** One record. */
export interface RecordItem {
  readonly value: number;
  /** Its keys by name, or in order, outermost first. */
  readonly keys?: Readonly<Record<string, Key>>;
  readonly path?: readonly Key[];
  /** Event time: milliseconds since 1970, or a Date. */
  readonly time?: number | Date;
  readonly weight?: number;
  readonly childWeights?: Readonly<Record<string, number>>;
}

/** One frame: the values of one tensor, row-major. */
export interface FrameItem extends Omit<RecordItem, "value"> {
  /** Values; of a BigInt64Array those within ±2^53. */
  readonly frame: NumberList | TypedData | BigInt64Array;
}

/**
 * What an iterable may give. A bare number is a record without keys, a bare array of numbers a frame; an array of objects is many items.
 */
export type StreamItem =
  | number
  | TypedData
  | BigInt64Array
  | readonly number[]
  | RecordItem
  | FrameItem
  | BlockItem
  | readonly (RecordItem | FrameItem)[];

/** An iterable as a source. Offsets count rows. */
export function itemReader(name: string, items: AsyncIterable<StreamItem> | Iterable<StreamItem>): Reader {
  return {
    name,
    replayable: false,
    read: (from, context) => {
      if (from > 0) throw notReplayable(name);
      return readItems(name, items, 0, context);
    },
  };
}

/**
 * A source of your own that can go on from an offset, so that a checkpointed stream counts each of its items once.
 * @param name names the source in checkpoints and errors
 * @param open gives the items from the one with this number on
 * @example
 * const ticks = replayable("ticks", (from) => readTicksFromLog(from));
 */
export function replayable(name: string, open: (from: number) => AsyncIterable<StreamItem> | Iterable<StreamItem>): Reader {
  if (typeof name !== "string" || name === "") throw badOption("name", name, "a string that is not empty");
  if (typeof open !== "function") throw badOption("open", open, "a function from an item's number to the items from there on");
  return { name, replayable: true, read: (from, context) => readItems(name, open(from), from, context) };
}

/** The error of a source that is asked to go back. */
function notReplayable(name: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_SOURCE", `source "${name}" cannot go back to an earlier position`, {
    fix: "Read a file, tail(), or replayable(), or start with an empty checkpoint folder",
  });
}

async function* readItems(
  name: string,
  items: AsyncIterable<StreamItem> | Iterable<StreamItem>,
  from: number,
  context: ReadContext,
): AsyncGenerator<Chunk> {
  let next = from;
  const chunkOf = (some: readonly StreamItem[]): Chunk => {
    const first = next;
    next += some.length;
    const { block, rejected } = readAll(some, (i) => ({ name, from: first + i, next: first + i + 1 }), context);
    return { block, rejected, next, bytes: 0 };
  };
  if (Symbol.asyncIterator in items)
    for await (const item of items) {
      if (context.signal.aborted) return;
      yield chunkOf([item]);
    }
  else
    for (const some of gathered(items, context)) {
      if (context.signal.aborted) return;
      yield chunkOf(some);
    }
}

/** Several items of one row each, or one item of any kind. */
function readAll(items: readonly StreamItem[], placeOf: (i: number) => Place, context: ReadContext): Read {
  const [item] = items;
  if (items.length > 1) return joined(items as readonly RowItem[], placeOf, context);
  if (Array.isArray(item) && item.length === 0) return { block: undefined, rejected: [] };
  // The offset moves with a whole array: its parts are one block.
  if (Array.isArray(item) && typeof item[0] === "object" && item[0] !== null)
    return joined(item as readonly RowItem[], () => placeOf(0), context);
  const place = placeOf(0);
  try {
    return { block: blockOf(item!, place, context), rejected: [] };
  } catch (error) {
    if (!(error instanceof FourfoldError)) throw error;
    return { block: undefined, rejected: [reject(place, error)] };
  }
}

/** Items of one row. */
type RowItem = number | NumberList | TypedData | BigInt64Array | RecordItem | FrameItem;

/** Values of an array of items at most: 1 GiB. */
const ARRAY_VALUES_MAX = 2 ** 27;

/** Items, values and milliseconds of a chunk at most that is put together here: enough to be worth it, and no delay that is felt. */
const ITEMS_MAX = 1024;
const VALUES_MAX = 1 << 16;
const GATHER_MS_MAX = 1;

/** Items of a source that cannot wait between them: those of one row each in lists, the others alone. */
function* gathered(items: Iterable<StreamItem>, { frameValues = 1 }: ReadContext): Generator<readonly StreamItem[]> {
  const most = Math.min(ITEMS_MAX, Math.floor(VALUES_MAX / frameValues));
  let list: StreamItem[] = [];
  let since = 0;
  for (const item of items) {
    if (!isRow(item)) {
      if (list.length > 0) yield list;
      list = [];
      yield [item];
      continue;
    }
    const now = performance.now();
    if (list.length === 0) since = now;
    list.push(item);
    if (list.length < most && now - since < GATHER_MS_MAX) continue;
    yield list;
    list = [];
  }
  if (list.length > 0) yield list;
}

function isRow(item: StreamItem): boolean {
  if (typeof item !== "object" || item === null) return typeof item === "number";
  return Array.isArray(item) ? typeof item[0] === "number" : !("data" in item);
}

type Read = Pick<Chunk, "block" | "rejected">;

/** Many items of one row as one block. */
function joined(items: readonly RowItem[], placeOf: (i: number) => Place, context: ReadContext): Read {
  const values = items.length * (context.frameValues ?? 1);
  if (values > ARRAY_VALUES_MAX) {
    const problem = `is an array of ${items.length} frames, ${values} values in all, which is more than ${ARRAY_VALUES_MAX}`;
    return { block: undefined, rejected: [reject(placeOf(0), wrong(placeOf(0), problem, "Give fewer at a time, or each by itself"))] };
  }
  const rejected: Rejected[] = [];
  const rows = new Rows(items, context);
  for (const [i, item] of items.entries())
    try {
      rows.add(item, placeOf(i));
    } catch (error) {
      if (!(error instanceof FourfoldError)) throw error;
      rejected.push(reject(placeOf(i), error));
    }
  return { block: rows.block, rejected };
}

/** Columns that rows are added to. */
class Rows {
  readonly #context: ReadContext;
  readonly #size: number;
  readonly #data: TypedData;
  readonly #keys: Key[][];
  readonly #times: Float64Array | undefined;
  readonly #weights: Float64Array | undefined;
  readonly #childWeights: Record<string, Float64Array> | undefined;
  #rows = 0;

  constructor(items: readonly RowItem[], context: ReadContext) {
    const { keys, frameValues = 1, timed, weighted, childWeights } = context;
    const n = items.length;
    this.#context = context;
    this.#size = frameValues;
    // float64 holds values of every dtype; float32 saves frames that have it a conversion there and back.
    this.#data = items.every(isFloat32) ? new Float32Array(n * frameValues) : new Float64Array(n * frameValues);
    this.#keys = keys.map(() => []);
    this.#times = timed ? new Float64Array(n) : undefined;
    this.#weights = weighted ? new Float64Array(n) : undefined;
    this.#childWeights =
      childWeights.length > 0 ? Object.fromEntries(childWeights.map((level) => [level, new Float64Array(n)])) : undefined;
  }

  /** Undefined without rows. */
  get block(): Block | undefined {
    const rows = this.#rows;
    if (rows === 0) return undefined;
    const { keys, times, weights, childWeights } = cutColumns(
      { keys: this.#keys, times: this.#times, weights: this.#weights, childWeights: this.#childWeights },
      0,
      rows,
    );
    return { rows, data: this.#data.subarray(0, rows * this.#size), keys, times, weights, childWeights };
  }

  /** Adds a row, or nothing if it throws. @throws FourfoldError ERR_FOURFOLD_RECORD */
  add(item: RowItem, place: Place): void {
    const row = this.#rows;
    const context = this.#context;
    const given = rowOf(item, place, context);
    if (typeof given === "number") this.#data[row] = given;
    else this.#data.set(given, row * this.#size);
    const more: Omit<RecordItem, "value"> = typeof item === "object" && !isNumbers(item) ? item : {};
    const { keys } = context;
    checkPath(more, place, context);
    for (let i = 0; i < keys.length; i++) this.#keys[i]![row] = keyOf(more, i, keys[i]!);
    if (this.#times) this.#times[row] = timeOf(more, place);
    if (this.#weights) this.#weights[row] = numberOf(more.weight, "weight", place);
    if (this.#childWeights) for (const level of context.childWeights) this.#childWeights[level]![row] = childWeightOf(more, level, place);
    this.#rows++;
  }
}

function isFloat32(item: RowItem): boolean {
  return (
    item instanceof Float32Array || (typeof item === "object" && item !== null && "frame" in item && item.frame instanceof Float32Array)
  );
}

function isNumbers(item: object): item is NumberList | TypedData | BigInt64Array {
  return ArrayBuffer.isView(item) || Array.isArray(item);
}

/** The value of a record, or the values of a frame. */
function rowOf(item: RowItem, place: Place, context: ReadContext): number | TypedData {
  if (typeof item === "number") return recordValue(item, place, context);
  if (typeof item === "object" && item !== null) {
    if (isNumbers(item)) return frameOf(item, place, context);
    if ("frame" in item) return frameOf(item.frame, place, context);
    if ("value" in item) return recordValue(item.value, place, context);
  }
  if (typeof item === "object" && item !== null && "data" in item)
    throw wrong(place, "is an array with a block in it", "Give each block, { data, … }, as an item of its own: yield* blocks");
  throw unknownItem(item, place, context);
}

function blockOf(item: StreamItem, place: Place, context: ReadContext): Block | undefined {
  if (typeof item === "object" && item !== null && "data" in item) return blockFrom(item, place, context);
  if (Array.isArray(item) && typeof item[0] !== "number") throw unknownItem(item, place, context);
  const given = rowOf(item as RowItem, place, context);
  const more: Omit<RecordItem, "value"> = typeof item === "object" && !isNumbers(item) ? (item as RecordItem) : {};
  const { keys, timed, weighted, childWeights } = context;
  checkPath(more, place, context);
  return {
    rows: 1,
    data: typeof given === "number" ? Float64Array.of(given) : given,
    keys: keys.map((name, i) => [keyOf(more, i, name)]),
    times: timed ? [timeOf(more, place)] : undefined,
    weights: weighted ? [numberOf(more.weight, "weight", place)] : undefined,
    childWeights:
      childWeights.length > 0 ? Object.fromEntries(childWeights.map((level) => [level, [childWeightOf(more, level, place)]])) : undefined,
  };
}

function unknownItem(item: unknown, place: Place, { frameValues }: ReadContext): FourfoldError {
  return wrong(
    place,
    `is ${show(item)}, expected ${frameValues === undefined ? "a number, { value, … }" : "{ frame, … }"} or { data, … }`,
    "docs/streams.md lists what a source may give",
  );
}

function recordValue(value: unknown, place: Place, { frameValues }: ReadContext): number {
  if (frameValues !== undefined) throw wrong(place, `is a record, and the stream has frames of ${frameValues} values`, "Give { frame }");
  if (typeof value === "number") return value;
  throw wrong(place, `has the value ${show(value)}, expected a number`, "Give a number; NaN stands for a missing one");
}

function frameOf(values: NumberList | TypedData | BigInt64Array, place: Place, { frameValues }: ReadContext): TypedData {
  if (frameValues === undefined)
    throw wrong(place, "is a frame, and the stream has records", "Give the option frame: { shape }, or { value } for each record");
  if (values?.length !== frameValues)
    throw wrong(place, `has ${values?.length} values, a frame has ${frameValues}`, "Give the values of one frame, row-major");
  return valuesOf(values, place);
}

function checkPath({ keys: given, path }: Omit<RecordItem, "value">, place: Place, { keys }: ReadContext): void {
  if (keys.length > 0 && (path === undefined ? given !== undefined && !isObject(given) : !isObject(path)))
    throw wrong(
      place,
      `has the ${path === undefined ? `keys ${show(given)}` : `path ${show(path)}`}`,
      `Give keys: { ${keys.join(", ")} }, or path: […]`,
    );
  if (keys.length > 0 && path === undefined && given === undefined)
    throw wrong(place, "has no keys", `Give keys: { ${keys.join(", ")} }, or path: […]`);
  if (path !== undefined && path.length !== keys.length)
    throw wrong(place, `has a path of ${path.length} keys, expected ${keys.length}`, `The keys are ${keys.join(", ") || "none"}`);
}

function keyOf({ keys, path }: Omit<RecordItem, "value">, i: number, name: string): Key {
  return (path === undefined ? keys![name] : path[i]) ?? null;
}

function isObject(given: unknown): boolean {
  return typeof given === "object" && given !== null;
}

function timeOf({ time }: Omit<RecordItem, "value">, place: Place): number {
  return numberOf(time instanceof Date ? time.getTime() : time, "time", place);
}

function childWeightOf({ childWeights }: Omit<RecordItem, "value">, level: string, place: Place): number {
  return numberOf(childWeights?.[level], `weight for level "${level}"`, place);
}

function numberOf(value: unknown, what: string, place: Place): number {
  if (typeof value === "number" && (what !== "time" || Number.isFinite(value))) return value;
  throw wrong(place, `has the ${what} ${show(value)}, expected a ${what === "time" ? "finite " : ""}number`, `Give each item its ${what}`);
}

function reject({ name, from, next }: Place, error: FourfoldError): Rejected {
  return { source: name, from, to: next, line: undefined, error, text: undefined };
}
