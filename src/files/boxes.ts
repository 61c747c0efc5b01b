/**
 * Boxes of an array: a range of items in row-major order is at most 2·rank − 1 of them, and a box can be copied between two arrays of
 * any strides. Plain numbers; no files.
 */
import type { TypedData } from "../types.ts";

/** The items whose index lies in [from, to) on every axis. */
export interface Box {
  readonly from: readonly number[];
  readonly to: readonly number[];
  /** How many items of the range come before the box. */
  readonly at: number;
}

/** Items between neighbours on each axis of a row-major array. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  return stridesOf(
    shape,
    shape.map((_, axis) => axis),
  );
}

/** The same where the first axis is the fastest (Fortran order). */
export function columnMajorStrides(shape: readonly number[]): number[] {
  return stridesOf(
    shape,
    shape.map((_, axis) => shape.length - 1 - axis),
  );
}

function stridesOf(shape: readonly number[], slowestFirst: readonly number[]): number[] {
  const strides = shape.map(() => 0);
  let stride = 1;
  for (const axis of slowestFirst.toReversed()) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}

/** Cuts `count` items of a row-major array, from item `first` on, into boxes, in order. */
export function* boxesOf(shape: readonly number[], first: number, count: number): Generator<Box> {
  if (count === 0) return;
  const strides = rowMajorStrides(shape);
  yield* cut(shape, strides, [], first, count, 0);
}

/** `first` counts within the subtree of the index `prefix`. */
function* cut(
  shape: readonly number[],
  strides: readonly number[],
  prefix: readonly number[],
  first: number,
  count: number,
  at: number,
): Generator<Box> {
  const axis = prefix.length;
  const box = (start: number, end: number): Box => ({
    from: [...prefix, start, ...shape.slice(axis + 1).map(() => 0)],
    to: [...prefix.map((i) => i + 1), end, ...shape.slice(axis + 1)],
    at,
  });
  if (axis === shape.length) {
    yield { from: prefix, to: prefix.map((i) => i + 1), at };
    return;
  }
  const stride = strides[axis]!;
  let index = Math.floor(first / stride);
  const skipped = first - index * stride;
  if (skipped > 0) {
    const part = Math.min(stride - skipped, count);
    yield* cut(shape, strides, [...prefix, index], skipped, part, at);
    index++;
    at += part;
    count -= part;
  }
  const whole = Math.floor(count / stride);
  if (whole > 0) {
    yield box(index, index + whole);
    index += whole;
    at += whole * stride;
    count -= whole * stride;
  }
  if (count > 0) yield* cut(shape, strides, [...prefix, index], 0, count, at);
}

/** An array's items and where they lie: item (i, j, …) is `items[at + i·strides[0] + j·strides[1] + …]`. */
export interface Strided {
  readonly items: TypedData;
  readonly at: number;
  readonly strides: readonly number[];
}

/** Copies a box of `extents` items from `source` to `target`. */
export function copyBox(source: Strided, target: Strided, extents: readonly number[]): void {
  if (extents.length === 0) target.items[target.at] = source.items[source.at]!;
  else copyAxis(source, source.at, target, target.at, extents, 0);
}

function copyAxis(source: Strided, from: number, target: Strided, to: number, extents: readonly number[], axis: number): void {
  const n = extents[axis]!;
  const step = source.strides[axis]!;
  const stride = target.strides[axis]!;
  if (axis === extents.length - 1) copyRun(source.items, from, step, target.items, to, stride, n);
  else for (let i = 0; i < n; i++) copyAxis(source, from + i * step, target, to + i * stride, extents, axis + 1);
}

/** `n` items, `step` apart in the source and `stride` apart in the target. */
function copyRun(source: TypedData, from: number, step: number, target: TypedData, to: number, stride: number, n: number): void {
  if (step === 1 && stride === 1 && n > 16) {
    target.set(source.subarray(from, from + n), to);
    return;
  }
  for (let i = 0; i < n; i++) target[to + i * stride] = source[from + i * step]!;
}
