/**
 * How far event time has come: a source's watermark is its latest event time less what records may be out of order, the stream's is the lowest
 * of the sources that still matter. It never goes back. Processing time is a parameter.
 */
import type { ByteReader, ByteWriter } from "../reduce/bytes.ts";
import { TIME_MAX } from "./windowing.ts";

/** An event time, or −Infinity. */
function readTime(from: ByteReader): number {
  const time = from.float();
  if (!(time <= TIME_MAX && (time >= -TIME_MAX || time === Number.NEGATIVE_INFINITY))) from.fail(`has the event time ${time}`);
  return time;
}

/** See the head of this file. */
export class Watermark {
  readonly #outOfOrder: number;
  readonly #idleMs: number;
  /** The latest event time of each source. */
  readonly #latest: Float64Array;
  /** When each source last had records; NaN before the clock was first seen. */
  readonly #seen: Float64Array;
  readonly #ended: Uint8Array;
  readonly #idle: Uint8Array;
  #value = Number.NEGATIVE_INFINITY;

  constructor(sources: number, outOfOrder: number, idleMs: number) {
    this.#outOfOrder = outOfOrder;
    this.#idleMs = idleMs;
    this.#latest = new Float64Array(sources).fill(Number.NEGATIVE_INFINITY);
    this.#seen = new Float64Array(sources).fill(Number.NaN);
    this.#ended = new Uint8Array(sources);
    this.#idle = new Uint8Array(sources);
  }

  get sources(): number {
    return this.#latest.length;
  }

  /** Infinity once all sources have ended. */
  get value(): number {
    return this.#value;
  }

  get allEnded(): boolean {
    return !this.#ended.includes(0);
  }

  hasEnded(source: number): boolean {
    return this.#ended[source] === 1;
  }

  /** The latest event time of a source; −Infinity before its first record. */
  latest(source: number): number {
    return this.#latest[source]!;
  }

  /** Processing time has come to `now`: sources without records for long are idle. */
  progress(now: number): void {
    if (this.#idleMs === Number.POSITIVE_INFINITY) return;
    for (let source = 0; source < this.sources; source++) {
      if (!(this.#seen[source]! <= now)) this.#seen[source] = now;
      if (now - this.#seen[source]! >= this.#idleMs) this.#idle[source] = 1;
    }
    this.#update();
  }

  /** A source has records again. */
  wake(source: number, now: number): void {
    this.#seen[source] = now;
    this.#idle[source] = 0;
  }

  /** A source's latest event time, which may be one it had before. */
  reach(source: number, time: number): void {
    if (!(time > this.#latest[source]!)) return;
    this.#latest[source] = time;
    this.#update();
  }

  end(source: number): void {
    this.#ended[source] = 1;
    this.#update();
  }

  /** The lowest watermark of the other sources that matter: what this one's cannot bring the stream's beyond. */
  others(source: number): number {
    let least = Number.POSITIVE_INFINITY;
    for (let other = 0; other < this.sources; other++)
      if (other !== source && this.#ended[other] === 0 && this.#idle[other] === 0) least = Math.min(least, this.#of(other));
    return least;
  }

  /** When a source becomes idle next, if no records come. */
  nextAt(): number {
    if (this.#idleMs === Number.POSITIVE_INFINITY) return this.#idleMs;
    let next = Number.POSITIVE_INFINITY;
    for (let source = 0; source < this.sources; source++)
      if (this.#ended[source] === 0 && this.#idle[source] === 0 && this.#seen[source] === this.#seen[source])
        next = Math.min(next, this.#seen[source]! + this.#idleMs);
    return next;
  }

  write(to: ByteWriter): void {
    to.unsigned(this.sources);
    for (let source = 0; source < this.sources; source++) {
      to.float(this.#latest[source]!);
      to.float(this.#seen[source]!);
      to.byte(this.#ended[source]! + 2 * this.#idle[source]!);
    }
    to.float(this.#value);
  }

  /** Reads what {@link Watermark.write} wrote. @throws FourfoldError ERR_FOURFOLD_STATE */
  read(from: ByteReader): void {
    const sources = from.unsigned();
    if (sources !== this.sources) from.fail(`has ${sources} sources, expected ${this.sources}`);
    for (let source = 0; source < sources; source++) {
      this.#latest[source] = readTime(from);
      const seen = from.float();
      if (Math.abs(seen) === Number.POSITIVE_INFINITY) from.fail("has a source that was never seen, or always");
      this.#seen[source] = seen;
      const flags = from.byte();
      if (flags > 3) from.fail(`has the flags ${flags} for source ${source}, expected 0 to 3`);
      this.#ended[source] = flags & 1;
      this.#idle[source] = flags >> 1;
    }
    this.#value = from.float();
    if (this.#value !== this.#value) from.fail("has a watermark that is no number");
  }

  #of(source: number): number {
    return this.#latest[source]! - this.#outOfOrder;
  }

  /** The lowest of those that are neither ended nor idle. Where all are idle, the highest of them: it does not hang on which went last. */
  #update(): void {
    let least = Number.POSITIVE_INFINITY;
    let highest = Number.NEGATIVE_INFINITY;
    let active = false;
    for (let source = 0; source < this.sources; source++) {
      if (this.#ended[source] === 1) continue;
      highest = Math.max(highest, this.#of(source));
      if (this.#idle[source] === 1) continue;
      active = true;
      least = Math.min(least, this.#of(source));
    }
    const value = this.allEnded || active ? least : highest;
    if (value > this.#value) this.#value = value;
  }
}
