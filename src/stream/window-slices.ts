/** The open slices of a stream in order of start, and what each holds. Which windows a slice is in, {@link WindowAxis} says. */
import type { ByteReader, ByteWriter } from "../reduce/bytes.ts";
import type { NodeStore } from "./node-store.ts";
import type { WindowAxis } from "./window-axis.ts";

/** Records that came to a slice between two firings. */
interface Part {
  /** How many firings of the stream were before it. */
  readonly generation: number;
  readonly store: NodeStore;
}

/** Records between two neighbouring edges of windows. */
export class Slice {
  readonly start: number;
  readonly end: number;
  /** The starts of the first and the last window that it is in. */
  readonly firstWindow: number;
  readonly lastWindow: number;
  /** The ends of those. */
  readonly firstEnd: number;
  readonly lastEnd: number;
  #parts: Part[] = [];
  #sealed = false;

  constructor(axis: WindowAxis, start: number) {
    this.start = start;
    this.end = axis.sliceEnd(start);
    this.firstWindow = axis.firstWindow(this.end);
    this.lastWindow = axis.lastWindow(start);
    this.firstEnd = axis.windowEnd(this.firstWindow);
    this.lastEnd = axis.windowEnd(this.lastWindow);
  }

  get parts(): readonly Part[] {
    return this.#parts;
  }

  /** Where records go now. */
  open(generation: number, make: () => NodeStore): NodeStore {
    const last = this.#parts.at(-1);
    if (last !== undefined && !this.#sealed) return last.store;
    const store = make();
    this.#parts.push({ generation, store });
    this.#sealed = false;
    return store;
  }

  write(to: ByteWriter, numbers: ReadonlyMap<number, number>): void {
    to.float(this.start);
    to.byte(this.#sealed ? 1 : 0);
    to.unsigned(this.#parts.length);
    for (const { generation, store } of this.#parts) {
      to.unsigned(generation);
      store.write(to, numbers);
    }
  }

  /** Reads what {@link Slice.write} wrote; `store` reads the store of a part. @throws FourfoldError ERR_FOURFOLD_STATE */
  static read(from: ByteReader, axis: WindowAxis, generations: number, store: () => NodeStore): Slice {
    const start = from.float();
    if (!axis.isSliceStart(start)) from.fail(`has a slice that starts at ${start}`);
    const slice = new Slice(axis, start);
    const sealed = from.byte();
    if (sealed > 1) from.fail(`has a slice that is sealed ${sealed} times`);
    slice.#sealed = sealed === 1;
    let previous = -1;
    for (let left = from.count(2); left > 0; left--) {
      const generation = from.unsigned();
      if (generation <= previous || generation > generations) from.fail(`has generation ${generation} after ${previous}`);
      previous = generation;
      slice.#parts.push({ generation, store: store() });
    }
    return slice;
  }

  /** Some window has fired what is here: later records go into a part of their own. */
  seal(): void {
    this.#sealed = true;
  }

  /** Takes away the parts before a generation, which no window needs any more, and gives their stores. */
  cut(generation: number): NodeStore[] {
    const gone = this.#parts.filter((part) => part.generation < generation);
    if (gone.length > 0) this.#parts = this.#parts.filter((part) => part.generation >= generation);
    return gone.map(({ store }) => store);
  }
}

/** See the head of this file. */
export class Slices implements Iterable<Slice> {
  #list: Slice[] = [];
  /** The slice that was found last: most records go where the one before went. */
  #last: Slice | undefined;

  get size(): number {
    return this.#list.length;
  }

  [Symbol.iterator](): Iterator<Slice> {
    return this.#list[Symbol.iterator]();
  }

  /** The slice that holds t. */
  find(t: number): Slice | undefined {
    const last = this.#last;
    if (last !== undefined && t >= last.start && t < last.end) return last;
    const slice = this.#list[this.#after(t) - 1];
    if (slice === undefined || !(t < slice.end)) return undefined;
    this.#last = slice;
    return slice;
  }

  insert(slice: Slice): void {
    const at = this.#after(slice.start);
    if (at === this.#list.length) this.#list.push(slice);
    else this.#list.splice(at, 0, slice);
    this.#last = slice;
  }

  /** The slices that start from `from` on and before `to`. */
  between(from: number, to: number): Slice[] {
    const first = this.#from(from);
    let end = first;
    while (end < this.#list.length && this.#list[end]!.start < to) end++;
    return this.#list.slice(first, end);
  }

  /** Takes away the slices at the head for which this is so, and gives them. */
  dropWhile(is: (slice: Slice) => boolean): Slice[] {
    let n = 0;
    while (n < this.#list.length && is(this.#list[n]!)) n++;
    if (n === 0) return [];
    this.#last = undefined;
    return this.#list.splice(0, n);
  }

  /** How many windows, from the one that starts at `first` on, hold records. */
  windows(axis: WindowAxis, first: number): number {
    let windows = 0;
    let from = first;
    for (const { firstWindow, lastWindow } of this.#list) {
      from = Math.max(from, firstWindow);
      if (lastWindow < from) continue;
      if (axis.every === Number.POSITIVE_INFINITY) return 1;
      windows += (lastWindow - from) / axis.every + 1;
      from = lastWindow + axis.every;
    }
    return windows;
  }

  /** The place of the first slice that starts after t. */
  #after(t: number): number {
    let low = 0;
    let high = this.#list.length;
    if (high > 0 && this.#list[high - 1]!.start <= t) return high;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#list[middle]!.start <= t) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The place of the first slice that starts at t or after. */
  #from(t: number): number {
    const after = this.#after(t);
    return after > 0 && this.#list[after - 1]!.start === t ? after - 1 : after;
  }
}
