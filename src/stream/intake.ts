/**
 * The queue between sources and batches: bounded in rows and bytes, whatever comes in. Who meets a full queue waits, or the oldest rows go,
 * or it is an error. Frames lie in a store of their own (frames.ts), where kernels read them; records lie in their blocks.
 */
import { FourfoldError } from "../errors.ts";
import { type Columns, cut, cutColumns, isDictionary } from "./columns.ts";
import type { FrameStore, Slot } from "./frames.ts";
import { Gathering } from "./gathering.ts";
import { SEGMENT_BYTES, type Segment, segmentPart } from "./segment.ts";
import type { Block } from "./types.ts";

/** What a producer that is too fast, or a consumer that is too slow, meets. */
export type Overflow = "block" | "latest" | "error";

/** Rows that are reduced together. */
export interface Batch {
  readonly segments: readonly Segment[];
  readonly rows: number;
  readonly bytes: number;
  /** When its oldest row came. */
  readonly since: number;
  /** Rows that were dropped before these. */
  readonly passed: readonly Passed[];
}

/** Rows of a source that were dropped: it stands `rows` rows after `next`, or after where it stood. */
export interface Passed {
  readonly source: number;
  readonly rows: number;
  readonly next: number | undefined;
}

/** Limits of the queue. */
export interface IntakeLimits {
  readonly queueRowsMax: number;
  readonly queueBytesMax: number;
  readonly overflow: Overflow;
}

/** Bytes of a short string. Keys of a plain column may be one each; those of a dictionary are shared. */
const STRING_BYTES = 32;

/** Bytes of a row besides its values: time, weight and keys, each as long as a pointer, and the keys themselves. */
function overheadOf({ keys, times, weights, childWeights = {} }: Columns): number {
  const strings = keys.filter((column) => !isDictionary(column) && typeof column[0] === "string");
  return 8 * (keys.length + (times ? 1 : 0) + (weights ? 1 : 0) + Object.keys(childWeights).length) + STRING_BYTES * strings.length;
}

/** See the head of this file. */
export class Intake {
  readonly #limits: IntakeLimits;
  #frames: FrameStore | undefined;
  readonly #queue: Segment[] = [];
  /** Segments of `#queue` that were taken; they are cut off now and then. */
  #first = 0;
  #rows = 0;
  #bytes = 0;
  #dropped = 0;
  #ends = 0;
  /** By source: what the position of the source has yet to be moved by, for rows that were dropped. */
  readonly #passed: Map<number, Passed> = new Map();
  #room: (() => void)[] = [];
  #rang: (() => void) | undefined;

  constructor(limits: IntakeLimits, frames?: FrameStore) {
    this.#limits = limits;
    this.#frames = frames;
  }

  /** Where frames wait, from now on. */
  useFrames(store: FrameStore): void {
    this.#frames = store;
  }

  /** True if no more rows fit. */
  get isFull(): boolean {
    const { queueRowsMax, queueBytesMax } = this.#limits;
    return this.#frames ? this.#frames.isFull : this.#rows >= queueRowsMax || this.#bytes >= queueBytesMax;
  }

  /** Rows that wait. */
  get rows(): number {
    return this.#rows;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** True if neither rows nor ends of sources wait. */
  get isEmpty(): boolean {
    return this.#rows === 0 && this.#ends === 0;
  }

  /** True if the end of a source waits. */
  get hasEnds(): boolean {
    return this.#ends > 0;
  }

  /** When the oldest row came that waits. */
  get since(): number {
    for (let i = this.#first; i < this.#queue.length; i++) if (this.#queue[i]!.rows > 0) return this.#queue[i]!.arrivedAt;
    return Number.POSITIVE_INFINITY;
  }

  /** Rows that were dropped because the queue was full. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * Takes a block in, in pieces as there is room. Resolves when all of it is in.
   * @throws FourfoldError ERR_FOURFOLD_QUEUE under overflow "error"
   */
  async put(source: number, block: Block, next: number | undefined, now: number, signal: AbortSignal): Promise<void> {
    for (let from = 0; from < block.rows; ) {
      if (signal.aborted) return;
      const rows = this.#offer(source, block, from, next, now);
      from += rows;
      if (rows === 0) await this.room();
    }
  }

  /** Puts in as many rows of a block as there is room for, from `from` on. Gives their number. */
  #offer(source: number, block: Block, from: number, next: number | undefined, now: number): number {
    const left = block.rows - from;
    const frames = this.#frames;
    const rowBytes = frames ? frames.bytesPerFrame : block.data.BYTES_PER_ELEMENT + overheadOf(block);
    const slot = this.reserve(Math.min(left, this.#roomFor(rowBytes, left)), rowBytes);
    const rows = frames ? (slot?.rows ?? 0) : Math.min(left, this.#roomFor(rowBytes, left));
    if (rows === 0) return 0;
    const size = frames?.valuesPerFrame ?? 1;
    const data = cut(block.data, from * size, (from + rows) * size);
    if (slot) slot.data.set(data);
    const { keys, times, weights, childWeights } = cutColumns(block, from, from + rows);
    this.commit({
      keys,
      times,
      weights,
      childWeights,
      source,
      rows,
      data: frames ? undefined : data,
      slot,
      bytes: rows * rowBytes + (frames ? 0 : SEGMENT_BYTES),
      arrivedAt: now,
      next: rows === left ? next : undefined,
    });
    return rows;
  }

  /** Room for `rows` rows of so many bytes, made as the overflow policy says; less, or none, if they must wait. */
  #roomFor(rowBytes: number, rows: number): number {
    const { overflow } = this.#limits;
    // Frames are bounded by their store.
    const { queueRowsMax, queueBytesMax } = this.#frames ? UNBOUNDED : this.#limits;
    const free = (): number =>
      Math.min(
        queueRowsMax - this.#rows,
        Math.max(Math.floor((queueBytesMax - SEGMENT_BYTES - this.#bytes) / rowBytes), this.#rows === 0 ? 1 : 0),
      );
    if (free() > 0 && (overflow === "block" || free() >= rows)) return free();
    if (overflow === "latest") while (this.#rows > 0 && free() < Math.min(rows, queueRowsMax)) this.#dropOldest(rows - Math.max(0, free()));
    if (overflow === "error")
      throw new FourfoldError("ERR_FOURFOLD_QUEUE", `the stream's queue is full: ${this.#rows} rows, ${this.#bytes} bytes`, {
        given: this.#rows + rows,
        expected: `queueRowsMax ${queueRowsMax}, queueBytesMax ${queueBytesMax}`,
        fix: 'Raise the limits, or use overflow "block" (the source waits) or "latest" (the oldest rows are dropped and counted)',
      });
    return Math.max(0, free());
  }

  /** A slot for frames, undefined for records or where there is none. */
  reserve(rows: number, rowBytes: number): Slot | undefined {
    const frames = this.#frames;
    if (!frames || rows === 0) return undefined;
    const slot = frames.claim(rows);
    if (slot || this.#limits.overflow === "block") return slot;
    if (this.#limits.overflow === "error") this.#roomFor(rowBytes, Number.POSITIVE_INFINITY);
    while (this.#rows > 0) {
      this.#dropOldest(1);
      const freed = frames.claim(rows);
      if (freed) return freed;
    }
    return undefined; // all of the store is being reduced
  }

  /** Adds rows that are in place, at the end. */
  commit(segment: Segment): void {
    if (this.#first > 1024 && this.#first * 2 > this.#queue.length) {
      this.#queue.splice(0, this.#first);
      this.#first = 0;
    }
    this.#rows += segment.rows;
    this.#bytes += segment.bytes;
    if (segment.rows !== 1 || !this.#gather(segment)) this.#queue.push(segment);
    else if (!segment.slot) this.#bytes -= SEGMENT_BYTES;
    this.ring();
  }

  /** Adds one row to the last segment that waits, if it goes there. */
  #gather(segment: Segment): boolean {
    const last = this.#queue.at(-1);
    if (last instanceof Gathering) return last.add(segment);
    const both = last?.rows === 1 ? Gathering.of(last, segment) : undefined;
    if (both) this.#queue[this.#queue.length - 1] = both;
    return both !== undefined;
  }

  /** The source goes on `skipped` rows after `next`, after what is in the queue: what lay before could not be read, or was before. */
  note(source: number, next: number, skipped: number): void {
    for (let i = this.#queue.length - 1; i >= this.#first; i--) {
      const segment = this.#queue[i]!;
      if (segment.source !== source || segment.ends) continue;
      segment.next = next;
      segment.skipped = skipped;
      return;
    }
    this.commit({ ...EMPTY, source, next, skipped });
  }

  /** The source has ended, or failed: what it gave before comes first. */
  end(source: number, failure?: { readonly error: unknown }): void {
    this.#ends++;
    this.commit({ ...EMPTY, source, next: undefined, ends: true, ...(failure && { failure }) });
  }

  /** The oldest rows, at most `rowsMax` and `bytesMax`, but one row at least; undefined if none wait. */
  take(rowsMax: number, bytesMax: number): Batch | undefined {
    const segments: Segment[] = [];
    let rows = 0;
    let bytes = 0;
    let since = Number.POSITIVE_INFINITY;
    const passed = [...this.#passed.values()];
    this.#passed.clear();
    while (this.#first < this.#queue.length && rows < rowsMax && (rows === 0 || bytes < bytesMax)) {
      const segment = this.#queue[this.#first]!;
      const perRow = segment.rows === 0 ? 0 : segment.bytes / segment.rows;
      const fit = Math.min(rowsMax - rows, Math.max(1, perRow === 0 ? 1 : Math.floor((bytesMax - bytes) / perRow)));
      let taken = segment;
      if (fit < segment.rows) {
        taken = segmentPart(segment, 0, fit);
        this.#queue[this.#first] = segmentPart(segment, fit, segment.rows);
      } else this.#queue[this.#first++] = TAKEN;
      segments.push(taken);
      if (taken.ends) this.#ends--;
      rows += taken.rows;
      bytes += taken.bytes;
      if (taken.rows > 0) since = Math.min(since, taken.arrivedAt);
    }
    this.#rows -= rows;
    this.#bytes -= bytes;
    if (rows > 0 && !this.#frames) this.freed();
    return segments.length === 0 && passed.length === 0 ? undefined : { segments, rows, bytes, since, passed };
  }

  /** A batch is done: the memory of its frames is free again. */
  done({ segments }: Batch): void {
    if (!this.#frames) return;
    for (const { slot } of segments) if (slot) this.#frames.release(slot);
    this.freed();
  }

  /** Resolves when there may be room again. */
  room(): Promise<void> {
    return new Promise((resolve) => this.#room.push(resolve));
  }

  /** Resolves when something came, a source ended, or after so many milliseconds. */
  arrival(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = waitMs < TIMER_MS_MAX ? setTimeout(() => this.ring(), Math.max(0, waitMs)) : undefined;
      this.#rang = () => {
        clearTimeout(timer);
        this.#rang = undefined;
        resolve();
      };
    });
  }

  /** Wakes who waits for an arrival. */
  ring(): void {
    this.#rang?.();
  }

  /** Wakes who waits for room. */
  freed(): void {
    const waiting = this.#room;
    this.#room = [];
    for (const wake of waiting) wake();
  }

  #dropOldest(rows: number): void {
    let left = rows;
    for (let at = this.#first; left > 0 && at < this.#queue.length; ) {
      const segment = this.#queue[at]!;
      if (segment.ends) {
        at++; // it stays: nothing of its source comes after it
        continue;
      }
      const gone = Math.min(left, segment.rows);
      const ends = gone === segment.rows;
      this.#pass(segment, gone, ends);
      if (ends) {
        this.#bytes -= segment.bytes;
        if (segment.slot) this.#frames!.release(segment.slot);
        if (at === this.#first) {
          this.#queue[at++] = TAKEN;
          this.#first = at;
        } else this.#queue.splice(at, 1);
      } else {
        const rest = segmentPart(segment, gone, segment.rows);
        this.#bytes -= segment.bytes - rest.bytes;
        this.#queue[at] = rest;
        if (segment.slot) this.#frames!.release(segment.slot.part(0, gone));
      }
      this.#rows -= gone;
      this.#dropped += gone;
      left -= gone;
    }
  }

  /** Notes how far the source of dropped rows has come. */
  #pass({ source, next, skipped = 0 }: Segment, gone: number, ends: boolean): void {
    const passed = this.#passed.get(source) ?? { source, rows: 0, next: undefined };
    this.#passed.set(source, ends && next !== undefined ? { source, rows: skipped, next } : { ...passed, rows: passed.rows + gone });
  }
}

/** A segment without rows. */
const EMPTY = {
  rows: 0,
  keys: [],
  times: undefined,
  weights: undefined,
  data: undefined,
  slot: undefined,
  bytes: 0,
  arrivedAt: 0,
} as const;

const UNBOUNDED = { queueRowsMax: Number.MAX_SAFE_INTEGER, queueBytesMax: Number.MAX_SAFE_INTEGER };

/** What stands in the queue for a segment that was taken, so that its memory is free. */
const TAKEN: Segment = { ...EMPTY, source: 0, next: undefined };

/** What timers can wait. */
const TIMER_MS_MAX = 2 ** 31 - 1;
