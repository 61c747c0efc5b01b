/** Rows that wait in the queue of a stream. */
import type { TypedData } from "../types.ts";
import { type Columns, cut, cutColumns } from "./columns.ts";
import type { Slot } from "./frames.ts";

/** Rows that came together. */
export interface Segment extends Columns {
  readonly source: number;
  readonly rows: number;
  /** Values of records; undefined for frames, which are in their slot. */
  readonly data: TypedData | undefined;
  readonly slot: Slot | undefined;
  readonly bytes: number;
  /** When they came, in milliseconds. */
  readonly arrivedAt: number;
  /** Where the source goes on after them; undefined within a block. */
  next: number | undefined;
  /** Rows after `next` that an earlier run had reduced already: only where there are no rows here. */
  skipped?: number;
  /** True if the source has ended: there are no rows here, and none after. */
  readonly ends?: boolean;
  /** What the source failed with, after all that it gave. */
  readonly failure?: { readonly error: unknown };
}

/** Bytes of a segment of records besides its rows: 540 on the heap, 750 of a process (Node 20, segments of one record). */
export const SEGMENT_BYTES = 640;

/** Rows `from` … `to` − 1 of a segment. */
export function segmentPart(segment: Segment, from: number, to: number): Segment {
  const { source, rows, data, slot, bytes, arrivedAt, next } = segment;
  const { keys, times, weights, childWeights } = cutColumns(segment, from, to);
  return {
    keys,
    times,
    weights,
    childWeights,
    source,
    rows: to - from,
    data: data && cut(data, from, to),
    slot: slot?.part(from, to),
    // Whole numbers, so that the parts of a segment are as long as it was.
    bytes: Math.round((bytes * to) / rows) - Math.round((bytes * from) / rows),
    arrivedAt,
    next: to === rows ? next : undefined,
  };
}
