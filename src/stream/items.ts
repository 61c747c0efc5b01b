/** Iterables as sources: numbers, frames, records, blocks of them, as programs have them at hand. */
import { badOption, FourfoldError, show } from "../errors.ts";
import type { Key } from "../reduce/key.ts";
import type { NumberList } from "../reduce/weights.ts";
import type { TypedData } from "../types.ts";
import { checkColumns } from "./columns.ts";
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
export function notReplayable(name: string): FourfoldError {
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
  for await (const item of items) {
    if (context.signal.aborted) return;
    next++;
    const place = { name, from: next - 1, next };
    if (Array.isArray(item) && typeof item[0] === "object" && item[0] !== null) {
      // The offset moves with the whole item: its parts are one block.
      const { block, rejected } = joined(item as readonly (RecordItem | FrameItem)[], place, context);
      yield { block, rejected, next, bytes: 0 };
    } else yield { ...chunkOf(item as StreamItem, place, context), next, bytes: 0 };
  }
}

interface Place {
  readonly name: string;
  readonly from: number;
  readonly next: number;
}

type Read = Pick<Chunk, "block" | "rejected">;

function chunkOf(item: StreamItem, place: Place, context: ReadContext): Read {
  try {
    return { block: blockOf(item, place, context), rejected: [] };
  } catch (error) {
    if (!(error instanceof FourfoldError)) throw error;
    return { block: undefined, rejected: [reject(place, error)] };
  }
}

/** Many small items as one block. */
function joined(items: readonly (RecordItem | FrameItem)[], place: Place, context: ReadContext): Read {
  const rejected: Rejected[] = [];
  const blocks: Block[] = [];
  for (const item of items) {
    const read = chunkOf(item, place, context);
    rejected.push(...read.rejected);
    if (read.block) blocks.push(read.block);
  }
  if (blocks.length === 0) return { block: undefined, rejected };
  const size = context.frameValues ?? 1;
  const data = new Float64Array(blocks.length * size);
  blocks.forEach((block, i) => {
    data.set(block.data, i * size);
  });
  const column = (of: (block: Block) => ArrayLike<number> | undefined): Float64Array | undefined =>
    of(blocks[0]!) && Float64Array.from(blocks, (block) => of(block)![0]!);
  const block: Block = {
    rows: blocks.length,
    data,
    keys: context.keys.map((_, i) => blocks.map(({ keys }) => (keys[i] as readonly Key[])[0]!)),
    times: column(({ times }) => times),
    weights: column(({ weights }) => weights),
    ...(context.childWeights.length > 0 && {
      childWeights: Object.fromEntries(context.childWeights.map((level) => [level, column((one) => one.childWeights![level])!])),
    }),
  };
  return { block, rejected };
}

function blockOf(item: StreamItem, place: Place, context: ReadContext): Block {
  const { frameValues } = context;
  if (typeof item === "number") return one({}, Float64Array.of(item), place, context);
  if (ArrayBuffer.isView(item) || (Array.isArray(item) && typeof item[0] === "number"))
    return frame({ frame: item as NumberList }, place, context);
  if (typeof item === "object" && item !== null && !Array.isArray(item)) {
    if ("data" in item) return columns(item, place, context);
    if ("frame" in item) return frame(item, place, context);
    if ("value" in item) {
      if (frameValues !== undefined)
        throw wrong(place, `is a record, and the stream has frames of ${frameValues} values`, "Give { frame }");
      if (typeof item.value !== "number")
        throw wrong(place, `has the value ${show(item.value)}, expected a number`, "Give a number; NaN stands for a missing one");
      return one(item, Float64Array.of(item.value), place, context);
    }
  }
  throw wrong(
    place,
    `is ${show(item)}, expected ${frameValues === undefined ? "a number, { value, … }" : "{ frame, … }"} or { data, … }`,
    "docs/streams.md lists what a source may give",
  );
}

function frame(item: FrameItem, place: Place, context: ReadContext): Block {
  const { frameValues } = context;
  const values = item.frame;
  if (frameValues === undefined)
    throw wrong(place, "is a frame, and the stream has records", "Give the option frame: { shape }, or { value } for each record");
  if (values?.length !== frameValues)
    throw wrong(place, `has ${values?.length} values, a frame has ${frameValues}`, "Give the values of one frame, row-major");
  return one(item, numbers(values, place), place, context);
}

function one(item: Omit<RecordItem, "value">, data: TypedData, place: Place, context: ReadContext): Block {
  const { keys, timed, weighted, childWeights } = context;
  const path = keys.map((name, i): Key => {
    const key = item.path ? item.path[i] : item.keys?.[name];
    if (key === undefined && item.path === undefined && item.keys === undefined && keys.length > 0)
      throw wrong(place, "has no keys", `Give keys: { ${keys.join(", ")} }, or path: […]`);
    return key ?? null;
  });
  if (item.path && item.path.length !== keys.length)
    throw wrong(place, `has a path of ${item.path.length} keys, expected ${keys.length}`, `The keys are ${keys.join(", ") || "none"}`);
  return {
    rows: 1,
    data,
    keys: path.map((key) => [key]),
    times: timed ? [numberOf(item.time instanceof Date ? item.time.getTime() : item.time, "time", place)] : undefined,
    weights: weighted ? [numberOf(item.weight, "weight", place)] : undefined,
    ...(childWeights.length > 0 && {
      childWeights: Object.fromEntries(
        childWeights.map((level) => [level, [numberOf(item.childWeights?.[level], `weight for level "${level}"`, place)]]),
      ),
    }),
  };
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
    ...(context.childWeights.length > 0 && { childWeights: childWeights! }),
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
