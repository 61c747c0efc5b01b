/**
 * Reductions down the columns of a matrix: column c has the children x[0][c], x[1][c], … Rows are read in the order in which they
 * lie, so a column costs no more than a row. State is kept between calls, so that a matrix may come in pieces.
 *
 * Sums (contract clause 2; at most 4096 rows from a fresh state to its fold), state = 16 lanes of every column:
 *
 *   for i in 0..rows:  state[i mod 16][c] += RN(w[i]·x[i][c])          a piece starts at a multiple of 16 rows
 *   out[c] = fold of state[0..15][c], as in lanes.ts
 *
 * Extremes, state = one value per column:  for i in 0..rows:  state[c] = minimum(state[c], x[i][c])
 *
 * Columns are taken two at a time; an odd last one has its pair to itself, and the state has room for both.
 */
import { P0, P1, P2, P3, P4, canonicalPair, pair, readsWeights } from "./children";
import { better } from "./extremes";
import { term } from "./lanes";

const LANES: u32 = 16;

/** Rows of one lane that are added at a time: the lane is loaded and stored once for all of them. */
const DEPTH: u32 = 4;

/** The weight of a row, for both columns of a pair. */
@inline function weightOf<F>(w: usize, row: u32): v128 {
  return readsWeights<F>() ? v128.load64_splat(w + row * 8) : i64x2.splat(0);
}

@inline function evenBytes(columns: u32): u32 {
  return ((columns + 1) & ~1) * 8;
}

/** A lane and its next D terms at pair K. */
@inline function sumOf<F, T, K, D>(sum: v128, a: usize, b: usize, c: usize, d: usize, wa: v128, wb: v128, wc: v128, wd: v128): v128 {
  sum = f64x2.add(sum, term<F>(pair<T, K>(a), wa));
  if (offsetof<D>() > 1) sum = f64x2.add(sum, term<F>(pair<T, K>(b), wb));
  if (offsetof<D>() > 2) sum = f64x2.add(sum, term<F>(pair<T, K>(c), wc));
  if (offsetof<D>() > 3) sum = f64x2.add(sum, term<F>(pair<T, K>(d), wd));
  return sum;
}

/** A lane at s as it was, or +0 if it is new (N is P0). */
@inline function laneSoFar<N>(s: usize): v128 {
  return offsetof<N>() ? v128.load(s) : f64x2.splat(0);
}

/** Adds D rows, `gap` bytes apart, to the lane from s to end. */
@inline function addRows<F, T, D, N>(a: usize, gap: u32, w: usize, s: usize, end: usize): void {
  let b = a + gap, c = b + gap, d = c + gap;
  const wa = weightOf<F>(w, 0);
  const wb = offsetof<D>() > 1 ? weightOf<F>(w, LANES) : wa, wc = offsetof<D>() > 2 ? weightOf<F>(w, 2 * LANES) : wa;
  const wd = offsetof<D>() > 3 ? weightOf<F>(w, 3 * LANES) : wa;
  for (; s + 32 <= end; s += 32) {
    v128.store(s, sumOf<F, T, P0, D>(laneSoFar<N>(s), a, b, c, d, wa, wb, wc, wd));
    v128.store(s, sumOf<F, T, P1, D>(laneSoFar<N>(s + 16), a, b, c, d, wa, wb, wc, wd), 16);
    a += 4 * sizeof<T>();
    b += 4 * sizeof<T>();
    c += 4 * sizeof<T>();
    d += 4 * sizeof<T>();
  }
  if (s < end) v128.store(s, sumOf<F, T, P0, D>(laneSoFar<N>(s), a, b, c, d, wa, wb, wc, wd));
}

/** Adds rows to the lanes of all columns; to new lanes if `fresh`, whatever the state holds. */
@inline export function columnSums<F, T>(x: usize, rows: u32, columns: u32, stride: u32, w: usize, state: usize, fresh: u32): void {
  const step: u32 = stride * sizeof<T>();
  const gap = LANES * step;
  const lane = evenBytes(columns);
  for (let row: u32 = 0; row < rows; row += LANES * DEPTH) {
    const left = rows - row;
    const lanes = left < LANES ? left : LANES;
    for (let j: u32 = 0; j < lanes; j++) {
      const a = x + (row + j) * step, v = w + (row + j) * 8, s = state + j * lane, end = s + lane;
      const depth = (left - j + LANES - 1) / LANES;
      if (fresh) {
        switch (depth) {
          case 1: addRows<F, T, P1, P0>(a, gap, v, s, end); break;
          case 2: addRows<F, T, P2, P0>(a, gap, v, s, end); break;
          case 3: addRows<F, T, P3, P0>(a, gap, v, s, end); break;
          default: addRows<F, T, P4, P0>(a, gap, v, s, end);
        }
      } else {
        switch (depth) {
          case 1: addRows<F, T, P1, P1>(a, gap, v, s, end); break;
          case 2: addRows<F, T, P2, P1>(a, gap, v, s, end); break;
          case 3: addRows<F, T, P3, P1>(a, gap, v, s, end); break;
          default: addRows<F, T, P4, P1>(a, gap, v, s, end);
        }
      }
    }
    if (fresh && lanes < LANES) memory.fill(state + lanes * lane, 0, (LANES - lanes) * lane);
    fresh = 0;
  }
}

@inline function laneAt(s: usize, lane: u32, j: u32): v128 {
  return v128.load(s + j * lane);
}

@inline function eighth(s: usize, lane: u32, j: u32): v128 {
  return f64x2.add(laneAt(s, lane, j), laneAt(s, lane, j + 8));
}

/** Writes the sum of column c to out + 8·c·ostride. */
export function foldColumns(state: usize, columns: u32, out: usize, ostride: u32): void {
  const lane = evenBytes(columns);
  for (let c: u32 = 0; c < columns; c += 2) {
    const s = state + c * 8;
    const s04 = f64x2.add(eighth(s, lane, 0), eighth(s, lane, 4)), s26 = f64x2.add(eighth(s, lane, 2), eighth(s, lane, 6));
    const s15 = f64x2.add(eighth(s, lane, 1), eighth(s, lane, 5)), s37 = f64x2.add(eighth(s, lane, 3), eighth(s, lane, 7));
    const sums = canonicalPair(f64x2.add(f64x2.add(s04, s26), f64x2.add(s15, s37)));
    store<f64>(out, f64x2.extract_lane(sums, 0));
    out += 8 * ostride;
    if (c + 1 < columns) store<f64>(out, f64x2.extract_lane(sums, 1));
    out += 8 * ostride;
  }
}

/** The better of each column's value and its children. State and rows may be read and the state written up to 16 bytes past their end. */
@inline export function columnExtremes<F, T>(x: usize, rows: u32, columns: u32, stride: u32, state: usize): void {
  const step: u32 = stride * sizeof<T>();
  const bytes: u32 = columns * sizeof<T>();
  let row: u32 = 0;
  for (; row + DEPTH <= rows; row += DEPTH) {
    let a = x + row * step;
    let b = a + step, c = b + step, d = c + step;
    for (let s = state, end = state + bytes; s < end; s += 16) {
      const ab = better<F, T>(v128.load(a), v128.load(b)), cd = better<F, T>(v128.load(c), v128.load(d));
      v128.store(s, better<F, T>(v128.load(s), better<F, T>(ab, cd)));
      a += 16;
      b += 16;
      c += 16;
      d += 16;
    }
  }
  for (; row < rows; row++) {
    let a = x + row * step;
    for (let s = state, end = state + bytes; s < end; s += 16) {
      v128.store(s, better<F, T>(v128.load(s), v128.load(a)));
      a += 16;
    }
  }
}

/** out[i] = x[i·stride], i < n: float32 as the float64 weights that other kernels read. */
export function widen(x: usize, n: u32, stride: u32, out: usize): void {
  let i: u32 = 0;
  if (stride == 1) for (; i + 2 <= n; i += 2) v128.store(out + i * 8, pair<f32, P0>(x + i * 4));
  for (; i < n; i++) store<f64>(out + i * 8, <f64>load<f32>(x + i * stride * 4));
}
