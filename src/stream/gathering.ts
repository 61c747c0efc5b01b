/**
 * Rows that came one by one from one source, as one segment of the queue: a segment each would take 30 times the memory of its row, and most of
 * the time of its way through the stream.
 */
import type { Key } from "../reduce/key.ts";
import { isDictionary } from "./columns.ts";
import type { Slot } from "./frames.ts";
import { SEGMENT_BYTES, type Segment } from "./segment.ts";

/** Rows of one such segment: few enough that its keys are copied in no time where the oldest row is dropped. */
const ROWS_MAX = 128;

/** See the head of this file. */
export class Gathering implements Segment {
  readonly source: number;
  readonly keys: readonly Key[][];
  readonly childWeights: undefined;
  readonly arrivedAt: number;
  rows = 0;
  bytes = 0;
  readonly data: Float64Array | undefined;
  readonly times: Float64Array | undefined;
  readonly weights: Float64Array | undefined;
  slot: Slot | undefined;
  next: number | undefined;

  /** Two segments of one row each as one; undefined if they do not go together. */
  static of(first: Segment, second: Segment): Gathering | undefined {
    if (!isPlain(first) || !isPlain(second)) return undefined;
    const both = new Gathering(first);
    return both.add(second) ? both : undefined;
  }

  private constructor(first: Segment) {
    this.source = first.source;
    this.keys = first.keys.map(() => []);
    this.arrivedAt = first.arrivedAt;
    // All its room at once: buffers that grow leave holes in the memory of a process. float64 holds the values of every dtype.
    this.data = first.data && new Float64Array(ROWS_MAX);
    this.times = first.times && new Float64Array(ROWS_MAX);
    this.weights = first.weights && new Float64Array(ROWS_MAX);
    this.slot = first.slot;
    this.#put(first);
  }

  /** Adds a segment of one row behind the others, or does nothing. */
  add(segment: Segment): boolean {
    const { source, times, weights, slot } = segment;
    if (this.rows === ROWS_MAX || source !== this.source || !times !== !this.times || !weights !== !this.weights) return false;
    if (!isPlain(segment) || (slot && !this.slot?.isBefore(slot))) return false;
    if (slot) this.slot = this.slot!.with(slot);
    this.#put(segment);
    return true;
  }

  #put({ keys, data, times, weights, bytes, next }: Segment): void {
    const row = this.rows++;
    for (let i = 0; i < keys.length; i++) this.keys[i]!.push((keys[i] as readonly Key[])[0]!);
    if (data) this.data![row] = data[0]!;
    if (times) this.times![row] = times[0]!;
    if (weights) this.weights![row] = weights[0]!;
    this.bytes += row === 0 || this.slot ? bytes : bytes - SEGMENT_BYTES;
    this.next = next;
  }
}

/** One row whose columns can be added to others. */
function isPlain({ rows, ends, keys, childWeights }: Segment): boolean {
  return rows === 1 && !ends && childWeights === undefined && !keys.some(isDictionary);
}
