/** What is known of open windows beside their records: firings, records that wait for one, timers. Most windows of a stream need none of it. */
import type { ByteReader, ByteWriter } from "../reduce/bytes.ts";
import type { WindowAxis } from "./window-axis.ts";
import { tooManyWindows } from "./window-contents.ts";

/** One of them. */
export interface OpenWindow {
  readonly start: number;
  readonly end: number;
  /** Firings so far. */
  index: number;
  /** Records since the last firing. */
  pending: number;
  /** When it is fired early next; Infinity if not by processing time. */
  timerAt: number;
  /** Parts of slices from this generation on were not fired. */
  since: number;
}

/** Bytes of the smallest window, as it is written. */
const OPEN_BYTES = 19;

/** See the head of this file. */
export class OpenWindows {
  readonly #axis: WindowAxis;
  readonly #windowsMax: number;
  readonly #windows = new Map<number, OpenWindow>();

  constructor(axis: WindowAxis, windowsMax: number) {
    this.#axis = axis;
    this.#windowsMax = windowsMax;
  }

  /** The window that starts there, if anything is known of it. */
  get(start: number): OpenWindow | undefined {
    return this.#windows.get(start);
  }

  /** The window that starts there. @throws FourfoldError ERR_FOURFOLD_MEMORY */
  at(start: number): OpenWindow {
    const known = this.#windows.get(start);
    if (known !== undefined) return known;
    if (this.#windows.size === this.#windowsMax) throw tooManyWindows(this.#windowsMax);
    const open = { start, end: this.#axis.windowEnd(start), index: 0, pending: 0, timerAt: Number.POSITIVE_INFINITY, since: 0 };
    this.#windows.set(start, open);
    return open;
  }

  /** Those for which this is so, in order. */
  which(is: (open: OpenWindow) => boolean): OpenWindow[] {
    const found: OpenWindow[] = [];
    for (const open of this.#windows.values()) if (is(open)) found.push(open);
    return found.sort(inOrder);
  }

  /** The least of what this gives for each; Infinity if there is none. */
  least(of: (open: OpenWindow) => number): number {
    let least = Number.POSITIVE_INFINITY;
    for (const open of this.#windows.values()) least = Math.min(least, of(open));
    return least;
  }

  delete({ start }: OpenWindow): void {
    this.#windows.delete(start);
  }

  write(to: ByteWriter): void {
    const all = this.which(() => true);
    to.unsigned(all.length);
    for (const { start, index, pending, timerAt, since } of all) {
      to.float(start);
      to.unsigned(index);
      to.unsigned(pending);
      to.float(timerAt);
      to.unsigned(since);
    }
  }

  /** Reads what {@link OpenWindows.write} wrote. @throws FourfoldError ERR_FOURFOLD_STATE */
  read(from: ByteReader, generations: number): void {
    let previous = Number.NaN;
    for (let left = from.count(OPEN_BYTES); left > 0; left--) {
      const start = from.float();
      if (!this.#axis.isWindowStart(start) || start <= previous) from.fail(`has a window that starts at ${start} after ${previous}`);
      previous = start;
      const open = this.at(start);
      open.index = from.unsigned();
      open.pending = from.unsigned();
      open.timerAt = from.float();
      open.since = from.unsigned();
      if (open.timerAt !== open.timerAt || open.since > generations) from.fail("has a window with a timer or firings that there cannot be");
    }
  }
}

/** The order of windows by where they start. */
export function inOrder(a: OpenWindow, b: OpenWindow): number {
  return a.start < b.start ? -1 : a.start > b.start ? 1 : 0;
}
