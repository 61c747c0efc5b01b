/**
 * Where windows and slices lie on their axis, which is event time or positions of records. Slices are cut at every start and every end of a
 * window, so that each window is some slices after one another and a record goes into one slice, however many windows it is in (J. Traub et
 * al., "Scotty: Efficient Window Aggregation for Out-of-Order Stream Processing", ICDE 2018). A period has one slice, or two where the
 * size is no multiple of it.
 */
import { SPAN_MAX, TIME_MAX, type Windowing } from "./windowing.ts";

/** The first window of the earliest record starts no further out. */
const PLACE_MAX = TIME_MAX + SPAN_MAX;

/** See the head of this file. All results are exact: sizes and offsets are integers. */
export class WindowAxis {
  readonly size: number;
  readonly every: number;
  readonly #offset: number;
  /** From the start of a period to the end of a window in it; 0 where that is the start of the next. */
  readonly #cut: number;

  constructor({ size, every, offset }: Pick<Windowing, "size" | "every" | "offset">) {
    this.size = size;
    this.every = every;
    this.#offset = offset;
    this.#cut = size === Number.POSITIVE_INFINITY ? 0 : size % every;
  }

  /** The start of the slice that holds t. */
  sliceStart(t: number): number {
    const start = this.#periodStart(t);
    return this.#cut > 0 && t >= start + this.#cut ? start + this.#cut : start;
  }

  /** The end of the slice that starts at `start`. */
  sliceEnd(start: number): number {
    if (this.every === Number.POSITIVE_INFINITY) return this.every;
    if (this.#cut === 0) return start + this.every;
    const period = this.#periodStart(start);
    return start === period ? period + this.#cut : period + this.every;
  }

  /** The end of the window that starts at `start`. */
  windowEnd(start: number): number {
    return this.every === Number.POSITIVE_INFINITY ? this.every : start + this.size;
  }

  /** The start of the window after the one that starts at `start`; Infinity if there is none. */
  next(start: number): number {
    return this.every === Number.POSITIVE_INFINITY ? this.every : start + this.every;
  }

  /** The start of the first window that the slice from `start` to `end` is in. */
  firstWindow(end: number): number {
    return this.#startFrom(end - this.size);
  }

  /** The start of the last window that the slice that starts at `start` is in. */
  lastWindow(start: number): number {
    return this.#periodStart(start);
  }

  /** The start of the first window that ends after t, or whose end and `more` after it does. */
  firstEndingAfter(t: number, more = 0): number {
    if (t === Number.NEGATIVE_INFINITY || this.every === Number.POSITIVE_INFINITY) return Number.NEGATIVE_INFINITY;
    const start = this.#periodStart(t - this.size - more);
    // The difference is rounded, which may carry it up to a start; sums of whole numbers are exact.
    return start + this.size + more > t ? start : start + this.every;
  }

  /** Whether a slice starts at t. */
  isSliceStart(t: number): boolean {
    return this.#isPlace(t) && this.sliceStart(t) === t;
  }

  /** Whether a window starts at t. */
  isWindowStart(t: number): boolean {
    return this.#isPlace(t) && this.#periodStart(t) === t;
  }

  /** Beyond these no record lies, and the sums of places are not exact. */
  #isPlace(t: number): boolean {
    return this.every === Number.POSITIVE_INFINITY ? t === Number.NEGATIVE_INFINITY : Math.abs(t) <= PLACE_MAX;
  }

  /** The first start of a period at t or later. */
  #startFrom(t: number): number {
    const start = this.#periodStart(t);
    return start < t ? start + this.every : start;
  }

  /** The last start of a period at t or before. */
  #periodStart(t: number): number {
    const { every } = this;
    if (every === Number.POSITIVE_INFINITY) return Number.NEGATIVE_INFINITY;
    const start = Math.floor((t - this.#offset) / every) * every + this.#offset;
    // t less the offset is rounded, which may carry it up to the next start.
    return start > t ? start - every : start;
  }
}
