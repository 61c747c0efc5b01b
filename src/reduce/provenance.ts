/**
 * What a state has read (contract clause 15): for each partition of a source, disjoint intervals of offsets. Never first to last: what
 * lies between may not have come yet. Equal sets have one form, and with it equal bytes.
 */
import { badOption, checkNames, FourfoldError } from "../errors.ts";
import { type ByteReader, type ByteWriter, isWellFormed } from "./bytes.ts";
import { compareKeys } from "./key.ts";

/** Offsets `from` … `to` − 1 of one partition of a source. */
export interface Interval {
  /** For example a topic, a table, or the path of a file. */
  readonly source: string;
  /** An integer of 0 or more; 0 where a source has no partitions. */
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

/** Checks an interval as a caller gives it. @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function checkInterval(given: unknown): asserts given is Interval {
  const { source, partition, from, to } = (given ?? {}) as Partial<Record<keyof Interval, unknown>>;
  if (typeof source !== "string" || !isWellFormed(source)) throw badOption("source", source, "a string");
  for (const [name, value] of Object.entries({ partition, from, to }))
    if (!Number.isSafeInteger(value) || (value as number) < 0) throw badOption(name, value, "an integer from 0 to 2^53 − 1");
  if ((from as number) >= (to as number)) throw badOption("to", to, `an offset above from, ${from}: intervals are half-open`);
  checkNames("what was read", given as object, ["source", "partition", "from", "to"]);
}

/** How a set of intervals stands to another: nothing in common, or all of it is there. */
export type Relation = "disjoint" | "contained";

/** See the head of this file. */
export class Provenance {
  /** By source, then partition: disjoint intervals that do not touch, in ascending order. */
  readonly #read = new Map<string, Map<number, Range[]>>();

  /** True if nothing is said about what was read. */
  get isEmpty(): boolean {
    return this.#read.size === 0;
  }

  /** The intervals in order of source (by code point), partition and offset. */
  list(): Interval[] {
    const all: Interval[] = [];
    for (const source of [...this.#read.keys()].sort(compareKeys)) {
      const partitions = this.#read.get(source)!;
      for (const partition of [...partitions.keys()].sort((a, b) => a - b))
        for (const [from, to] of partitions.get(partition)!) all.push({ source, partition, from, to });
    }
    return all;
  }

  /**
   * How intervals that are to come in stand to what was read: all disjoint, or all contained. None at all are disjoint.
   * @throws FourfoldError ERR_FOURFOLD_STATE for an overlap in part, or for some that are contained beside some that are not
   */
  relation(coming: readonly Interval[]): Relation {
    let known: Overlap | undefined;
    let fresh: Interval | undefined;
    for (const interval of coming) {
      const { source, partition, from, to } = interval;
      const met = firstAfter(this.#read.get(source)?.get(partition) ?? [], from);
      if (met === undefined || met[0] >= to) fresh ??= interval;
      else if (met[0] > from || met[1] < to) throw overlap(interval, met);
      else known ??= { interval, met };
    }
    if (known === undefined) return "disjoint";
    if (fresh === undefined) return "contained";
    throw overlap(known.interval, known.met, `${show(fresh)} was not`);
  }

  /** Adds intervals that are disjoint from those that are there, and joins those that touch. */
  add(coming: readonly Interval[]): void {
    if (coming.length <= FEW) {
      for (const interval of coming) this.#insert(interval);
      return;
    }
    const grown = new Map<Map<number, Range[]>, Set<number>>();
    for (const { source, partition, from, to } of coming) {
      const partitions = this.#read.get(source) ?? new Map<number, Range[]>();
      this.#read.set(source, partitions);
      const ranges = partitions.get(partition) ?? [];
      partitions.set(partition, ranges);
      ranges.push([from, to]);
      grown.set(partitions, (grown.get(partitions) ?? new Set()).add(partition));
    }
    for (const [partitions, numbers] of grown) for (const number of numbers) partitions.set(number, joined(partitions.get(number)!));
  }

  /** Adds one interval at its place. */
  #insert({ source, partition, from, to }: Interval): void {
    const partitions = this.#read.get(source) ?? new Map<number, Range[]>();
    this.#read.set(source, partitions);
    const ranges = partitions.get(partition) ?? [];
    partitions.set(partition, ranges);
    const at = placeAfter(ranges, from);
    const before = ranges[at - 1]?.[1] === from;
    const after = ranges[at]?.[0] === to;
    const whole: Range = [before ? ranges[at - 1]![0] : from, after ? ranges[at]![1] : to];
    ranges.splice(before ? at - 1 : at, Number(before) + Number(after), whole);
  }

  /** Writes, for each partition of each source, its intervals as gap and length. */
  write(to: ByteWriter): void {
    const partitions: Interval[][] = [];
    for (const interval of this.list()) {
      const last = partitions.at(-1);
      const [first] = last ?? [];
      if (first?.source === interval.source && first.partition === interval.partition) last!.push(interval);
      else partitions.push([interval]);
    }
    to.unsigned(partitions.length);
    for (const intervals of partitions) {
      to.text(intervals[0]!.source);
      to.unsigned(intervals[0]!.partition);
      to.unsigned(intervals.length);
      let end = 0;
      for (const interval of intervals) {
        to.unsigned(interval.from - end);
        to.unsigned(interval.to - interval.from);
        end = interval.to;
      }
    }
  }

  /** Reads what {@link Provenance.write} wrote. @throws FourfoldError ERR_FOURFOLD_STATE unless it is in its one form */
  static read(from: ByteReader): Provenance {
    const provenance = new Provenance();
    let previous: { readonly source: string; readonly partition: number } | undefined;
    // A partition takes 5 bytes or more: length of the source, partition, count, gap, length.
    for (let left = from.count(5); left > 0; left--) {
      const source = from.text();
      const partition = from.unsigned();
      const order = previous === undefined ? 1 : compareKeys(source, previous.source) || partition - previous.partition;
      if (order <= 0) from.fail("has provenance that is not sorted");
      previous = { source, partition };
      const intervals = from.count(2);
      if (intervals === 0) from.fail("has a partition without intervals");
      let end = 0;
      const read: Range[] = [];
      for (let i = 0; i < intervals; i++) {
        const gap = from.unsigned();
        const length = from.unsigned();
        if (length === 0 || (i > 0 && gap === 0)) from.fail("has intervals that are empty or touch");
        const start = end + gap;
        end = start + length;
        if (!Number.isSafeInteger(end)) from.fail("has an offset of 2^53 or more");
        read.push([start, end]);
      }
      const partitions = provenance.#read.get(source) ?? new Map<number, Range[]>();
      partitions.set(partition, read);
      provenance.#read.set(source, partitions);
    }
    return provenance;
  }
}

/** Offsets `from` … `to` − 1. */
type Range = readonly [from: number, to: number];

/** So many intervals are put where they belong one by one; more are sorted. */
const FEW = 8;

/** The first of ascending ranges that ends after an offset. */
function firstAfter(ranges: readonly Range[], offset: number): Range | undefined {
  return ranges[placeAfter(ranges, offset)];
}

/** Where that range stands, or the number of ranges. */
function placeAfter(ranges: readonly Range[], offset: number): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ranges[middle]![1] <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Disjoint ranges in ascending order, those that touch as one. */
function joined(ranges: Range[]): Range[] {
  const all: [number, number][] = [];
  for (const [from, to] of ranges.sort((a, b) => a[0] - b[0])) {
    const last = all.at(-1);
    if (last?.[1] === from) last[1] = to;
    else all.push([from, to]);
  }
  return all;
}

interface Overlap {
  readonly interval: Interval;
  readonly met: Range;
}

const show = ({ source, partition, from, to }: Interval): string => `${JSON.stringify(source)}, partition ${partition}: [${from}, ${to})`;

function overlap(interval: Interval, [from, to]: Range, rest?: string): FourfoldError {
  const within = rest === undefined ? "overlaps with" : "was read before, in";
  return new FourfoldError(
    "ERR_FOURFOLD_STATE",
    `source ${show(interval)} ${within} [${from}, ${to})${rest === undefined ? ", which was read before" : `, but ${rest}`}`,
    {
      given: interval,
      expected: "offsets that were all read before (a replay, which is dropped), or none of them",
      fix:
        interval.from <= from && to <= interval.to
          ? "If the part that comes in holds all that was read, merge the other way round; else read again from an offset where both agree"
          : "Read again from an offset where both agree",
    },
  );
}
