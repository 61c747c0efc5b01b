/**
 * The one pass that a tensor backend's run makes over its leaves beside the operations: it brings them into engine memory, if they are
 * not there yet, and in the same pieces, while they are in cache, finds the sizes of their rows or whether one is NaN. It knows nothing
 * of tensors, and what sizes are good for is told in reduce/sizes.ts.
 */
import type { Sizing } from "../reduce/sizes.ts";
import { childStart } from "../reduce/tree.ts";
import type { Dtype, TypedData } from "../types.ts";
import type { Kernels, SizeKernel } from "./kernels.ts";
import { BYTES, type Heap, type Heaps } from "./memory.ts";

/** Bytes handled between two yields: some 40 µs, and no more than the second-level cache keeps between copy and kernel. */
const PIECE_BYTES = 256 << 10;

/** Leaves in engine memory. */
export interface Placed {
  readonly heap: Heap;
  readonly at: number;
  readonly dtype: Dtype;
  readonly length: number;
}

/** What a pass is to do. */
export interface PassOptions {
  /** Where the leaves are to be copied from; undefined if they are in place. */
  readonly from: TypedData | undefined;
  /** Asks for the sizes of rows. */
  readonly sizing: Sizing | undefined;
  /** Asks whether all leaves are numbers. */
  readonly nan: boolean;
}

/** What a pass found. */
export interface Passed {
  readonly sizes: Float64Array | undefined;
  /** True if no leaf is NaN. False where one may be, or where nobody asked. */
  readonly clean: boolean;
}

/** Makes the pass; yields between pieces. @throws FourfoldError ERR_FOURFOLD_MEMORY where there is no room for the sizes */
export function* passOver(heaps: Heaps, placed: Placed, { from, sizing, nan }: PassOptions): Generator<void, Passed> {
  const { heap, at, dtype, length } = placed;
  const bytes = BYTES[dtype];
  const measure = sizing && new Measure(heaps, heap, sizing, dtype);
  const copy = from && heap.view(dtype, at, length);
  const looks = nan && measure === undefined && (dtype === "f32" || dtype === "f64") ? dtype : undefined;
  let clean = nan;
  try {
    const most = PIECE_BYTES / bytes;
    const piece = measure?.wholeRows(most) ?? most;
    for (let start = 0; start < length; start += piece) {
      const end = Math.min(start + piece, length);
      copy?.set(from!.subarray(start, end), start);
      measure?.take(at, start, end);
      if (looks && clean) clean = hasNone(heap.kernels, looks, at + start * bytes, end - start);
      yield;
    }
    const sizes = measure?.sizes();
    return { sizes, clean: sizes === undefined ? clean : sizes.every(Number.isFinite) };
  } finally {
    measure?.free();
  }
}

function hasNone(kernels: Kernels, dtype: "f32" | "f64", at: number, n: number): boolean {
  return kernels.firstNaN(dtype, at, n) < 0;
}

/** The sizes of rows while they are being measured. */
class Measure {
  readonly #sizing: Sizing;
  readonly #bytes: number;
  readonly #kernel: SizeKernel;
  readonly #weights: number;
  /** Where a kernel writes; the sizes of pieces of rows go through the first of them. */
  readonly #out: number;
  readonly #outView: Float64Array;
  readonly #sizes: Float64Array;
  readonly #rowsPerCall: number;
  readonly free: () => void;
  /** The row of the next leaf, where rows come in pieces. */
  #row = 0;

  constructor(heaps: Heaps, heap: Heap, sizing: Sizing, dtype: Dtype) {
    const { family, weights, fitted } = sizing;
    const f = fitted.levels[0]!;
    this.#sizing = sizing;
    this.#bytes = BYTES[dtype];
    this.#kernel = heap.kernels.sizes(family, dtype);
    this.#sizes = new Float64Array(f.nodes);
    this.#rowsPerCall = f.extent ? Math.floor(PIECE_BYTES / this.#bytes / f.extent) : 0;
    const weightBytes = Math.ceil((weights?.byteLength ?? 0) / 16) * 16;
    const block = heaps.allocate(weightBytes + 8 * Math.max(1, this.#rowsPerCall), heap);
    this.free = () => heaps.free(block);
    this.#weights = block.at;
    this.#out = block.at + weightBytes;
    this.#outView = heap.view("f64", this.#out, Math.max(1, this.#rowsPerCall)) as Float64Array;
    if (weights) heap.view("f32", this.#weights, weights.length).set(weights);
  }

  /** The leaves of as many whole rows of one length as `most` leaves hold; undefined where rows come in pieces. */
  wholeRows(most: number): number | undefined {
    const { extent } = this.#sizing.fitted.levels[0]!;
    return extent && extent <= most ? Math.floor(most / extent) * extent : undefined;
  }

  /** Measures the leaves start … end − 1, the first of all being at `at`. They come in order. */
  take(at: number, start: number, end: number): void {
    const level = this.#sizing.fitted.levels[0]!;
    const x = at + start * this.#bytes;
    if (this.#rowsPerCall > 0) {
      const extent = level.extent!;
      const rows = (end - start) / extent;
      this.#kernel(x, rows, extent, this.#weights, 0, this.#out);
      this.#sizes.set(rows === this.#outView.length ? this.#outView : this.#outView.subarray(0, rows), start / extent);
      return;
    }
    for (let from = start; from < end; ) {
      const first = childStart(level, this.#row);
      const next = childStart(level, this.#row + 1);
      const to = Math.min(next, end);
      if (to > from) this.#join(this.#row, x + (from - start) * this.#bytes, to - from, from - first);
      from = to;
      if (to === next) this.#row++;
    }
  }

  sizes(): Float64Array {
    return this.#sizes;
  }

  /** Adds a piece of a row that begins at its child `offset`. */
  #join(row: number, x: number, n: number, offset: number): void {
    this.#kernel(x, 1, n, this.#weights + 4 * offset, 0, this.#out);
    const piece = this.#outView[0]!;
    const before = this.#sizes[row]!;
    if (this.#sizing.family !== "sizeLargest") this.#sizes[row] = before + piece;
    else {
      const largest = Math.max(Math.abs(before), Math.abs(piece));
      this.#sizes[row] = before < 0 || piece < 0 ? -largest : largest;
    }
  }
}
