/** What a change of a live tree has altered so far at one level, nodes or leaves, with what they were: to carry it upwards, or to take it back. */
import { grown } from "./arrays.ts";

/** See the head of this file. */
export class LiveLog {
  /** Values that each entry has: the outputs of the level. */
  readonly planes: number;
  length = 0;
  ids: Int32Array;
  /** 1 where the node or leaf was there before, and where it is there now. */
  was: Uint8Array;
  is: Uint8Array;
  values: Float64Array;
  /** Records below, or the weight of a leaf. */
  records: Float64Array;

  constructor(planes: number) {
    this.planes = planes;
    this.ids = new Int32Array(1);
    this.was = new Uint8Array(1);
    this.is = new Uint8Array(1);
    this.values = new Float64Array(planes);
    this.records = new Float64Array(planes);
  }

  get bytes(): number {
    return this.ids.byteLength + this.was.byteLength + this.is.byteLength + this.values.byteLength + this.records.byteLength;
  }

  /** A new entry for a node or leaf. Gives its index; values and records are to be written. */
  push(id: number, was: number): number {
    const index = this.length++;
    if (this.length > this.ids.length) {
      this.ids = grown(this.ids, this.length);
      this.was = grown(this.was, this.length);
      this.is = grown(this.is, this.length);
      this.values = grown(this.values, this.planes * this.length);
      this.records = grown(this.records, this.planes * this.length);
    }
    this.ids[index] = id;
    this.was[index] = was;
    this.is[index] = 1;
    return index;
  }

  /** Moves an entry to a smaller index, over one that is not wanted. */
  move(from: number, to: number): void {
    if (from === to) return;
    const p = this.planes;
    this.ids[to] = this.ids[from]!;
    this.was[to] = this.was[from]!;
    this.is[to] = this.is[from]!;
    for (let r = 0; r < p; r++) {
      this.values[p * to + r] = this.values[p * from + r]!;
      this.records[p * to + r] = this.records[p * from + r]!;
    }
  }
}
