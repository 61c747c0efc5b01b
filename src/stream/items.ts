/** Iterables as sources: numbers, frames, records, blocks of them, as programs have them at hand. */
import { badOption, FourfoldError, show } from "../errors.ts";
import type { Key } from "../reduce/key.ts";
import type { NumberList } from "../reduce/weights.ts";
import type { TypedData } from "../types.ts";
import { checkColumns, cutColumns } from "./columns.ts";
import type { Block, Chunk, ReadContext, Reader, Rejected, StreamKeys } from "./types.ts";

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
  readonly frame: NumberList;
}

/** Many records, or many frames one after the other, in columns. */
export interface BlockItem {
  readonly data: TypedData | readonly number[];
  readonly keys?: Readonly<Record<string, StreamKeys>>;
  readonly times?: ArrayLike<number>;
  readonly weights?: ArrayLike<number>;
  readonly childWeights?: Readonly<Record<string, ArrayLike<number>>>;
}

/**
 * What an iterable may give. A bare number is a record without keys, a bare array of numbers a frame; an array of objects is many items.
 */
export type StreamItem = number | TypedData | readonly number[] | RecordItem | FrameItem | BlockItem | readonly (RecordItem | FrameItem)[];

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
type RowItem = number | NumberList | RecordItem | FrameItem;

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

interface Place {
  readonly name: string;
  readonly from: number;
  readonly next: number;
}

type Read = Pick<Chunk, "block" | "rejected">;

/** Many items of one row as one block. */
function joined(items: readonly RowItem[], placeOf: (i: number) => Place, context: ReadContext): Read {
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
  return item instanceof Float32Array || (typeof item === "object" && "frame" in item && item.frame instanceof Float32Array);
}

function isNumbers(item: object): item is NumberList {
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
  throw unknownItem(item, place, context);
}

function blockOf(item: StreamItem, place: Place, context: ReadContext): Block {
  if (typeof item === "object" && item !== null && "data" in item) return columns(item, place, context);
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

function frameOf(values: NumberList, place: Place, { frameValues }: ReadContext): TypedData {
  if (frameValues === undefined)
    throw wrong(place, "is a frame, and the stream has records", "Give the option frame: { shape }, or { value } for each record");
  if (values?.length !== frameValues)
    throw wrong(place, `has ${values?.length} values, a frame has ${frameValues}`, "Give the values of one frame, row-major");
  return numbers(values, place);
}

function checkPath({ keys: given, path }: Omit<RecordItem, "value">, place: Place, { keys }: ReadContext): void {
  if (keys.length > 0 && path === undefined && given === undefined)
    throw wrong(place, "has no keys", `Give keys: { ${keys.join(", ")} }, or path: […]`);
  if (path !== undefined && path.length !== keys.length)
    throw wrong(place, `has a path of ${path.length} keys, expected ${keys.length}`, `The keys are ${keys.join(", ") || "none"}`);
}

function keyOf({ keys, path }: Omit<RecordItem, "value">, i: number, name: string): Key {
  return (path === undefined ? keys![name] : path[i]) ?? null;
}

function timeOf({ time }: Omit<RecordItem, "value">, place: Place): number {
  return numberOf(time instanceof Date ? time.getTime() : time, "time", place);
}

function childWeightOf({ childWeights }: Omit<RecordItem, "value">, level: string, place: Place): number {
  return numberOf(childWeights?.[level], `weight for level "${level}"`, place);
}

function columns({ data, keys = {}, times, weights, childWeights }: BlockItem, place: Place, context: ReadContext): Block {
  const size = context.frameValues ?? 1;
  const values = numbers(data as NumberList, place);
  if (values.length % size !== 0) throw wrong(place, `has ${values.length} values, not a multiple of ${size}`, "Give whole frames");
  const rows = values.length / size;
  const missing = context.keys.find((name) => !Object.hasOwn(keys, name));
  if (missing !== undefined) throw wrong(place, `has no key column "${missing}"`, `Give keys: { ${context.keys.join(", ")} }`);
  if (context.timed && times === undefined) throw wrong(place, "has no times", "Give one time for each row");
  if (context.weighted && weights === undefined) throw wrong(place, "has no weights", "Give one weight for each row");
  const other = context.childWeights.find((level) => childWeights?.[level] === undefined);
  if (other !== undefined) throw wrong(place, `has no weights for level "${other}"`, `Give childWeights: { ${other}: [...] }`);
  const block: Block = {
    rows,
    data: values,
    keys: context.keys.map((name) => keys[name]!),
    times: context.timed ? times : undefined,
    weights: context.weighted ? weights : undefined,
    childWeights: context.childWeights.length > 0 ? childWeights : undefined,
  };
  checkColumns(block, rows, `item ${place.from} of "${place.name}"`);
  return block;
}

function numbers(values: NumberList | TypedData, place: Place): TypedData {
  if (ArrayBuffer.isView(values)) return values as TypedData;
  const bad = (values as readonly unknown[]).findIndex((value) => typeof value !== "number");
  if (bad >= 0) throw wrong(place, `has ${show(values[bad])} at ${bad}, expected a number`, "Give numbers; NaN stands for a missing one");
  return Float64Array.from(values);
}

function numberOf(value: unknown, what: string, place: Place): number {
  if (typeof value === "number" && (what !== "time" || Number.isFinite(value))) return value;
  throw wrong(place, `has the ${what} ${show(value)}, expected a ${what === "time" ? "finite " : ""}number`, `Give each item its ${what}`);
}

function wrong({ name, from }: Place, problem: string, fix: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_RECORD", `item ${from} of "${name}" ${problem}`, { fix, at: { file: name, index: from } });
}

function reject({ name, from, next }: Place, error: FourfoldError): Rejected {
  return { source: name, from, to: next, line: undefined, error, text: undefined };
}
