/**
 * What a variance needs (contract clause 7): n, Σx and Σx², exactly. Six float64 per row:
 *
 *   [n, SH, SL, QH, QL, flag]   flag 1: Σx = SH + SL and Σx² = QH + QL exactly
 *                               flag 2: a child is not finite    flag 0: the sums do not fit; use the chunks
 *
 * As in stage 1 of exact.ts: double-double in two lanes, with an account of whether anything was lost.
 */
import { MomentsSkip } from "./children";
import { CHUNKS_BYTES, addNumber, addProduct, clear } from "./accumulator";
import { countNumbers } from "./extremes";
import { isNarrow, productError, sumError, swapLanes } from "./steps";
import { oneOfEach } from "./terms";

/** Bytes of one row's moments. */
@inline export const MOMENTS_BYTES: u32 = 48;

/** Below this a square's error may not be a float64 (see PRODUCT_MIN in exact.ts). */
@inline const SQUARE_MIN: f64 = 1.0261342003245941e-289; // 2^-960

@inline function keep<F, T>(v: v128): v128 {
  return idof<F>() == idof<MomentsSkip>() ? v128.and(v, f64x2.eq(v, v)) : v;
}

/** Ones where the error of x² may have underflowed. */
@inline function underflows<T>(x: v128, square: v128): v128 {
  if (!isFloat<T>() || sizeof<T>() == 4) return i64x2.splat(0);
  return v128.and(f64x2.lt(square, f64x2.splat(SQUARE_MIN)), f64x2.ne(x, f64x2.splat(0)));
}

@inline export function momentsRow<F, T>(x: usize, n: u32, out: usize): void {
  const start = x;
  const half = (n >> 1) * sizeof<T>();
  let s = f64x2.splat(0), q = s, sc = s, qc = s, lost = s;
  if (n & 1) {
    s = keep<F, T>(f64x2.replace_lane(s, 0, <f64>load<T>(x + 2 * half)));
    q = f64x2.mul(s, s);
    if (!isNarrow<T>()) qc = productError<T>(s, s, q);
    lost = underflows<T>(s, q);
  }
  for (const end = x + half; x < end; x += sizeof<T>()) {
    const v = keep<F, T>(oneOfEach<T>(x, x + half));
    let sum = f64x2.add(s, v), t = sumError(s, v, sum), lower = f64x2.add(sc, t);
    lost = v128.or(lost, sumError(sc, t, lower));
    s = sum;
    sc = lower;
    const square = f64x2.mul(v, v);
    if (!isNarrow<T>()) {
      const e = productError<T>(v, v, square);
      lower = f64x2.add(qc, e);
      lost = v128.or(v128.or(lost, sumError(qc, e, lower)), underflows<T>(v, square));
      qc = lower;
    }
    sum = f64x2.add(q, square);
    t = sumError(q, square, sum);
    lower = f64x2.add(qc, t);
    lost = v128.or(lost, sumError(qc, t, lower));
    q = sum;
    qc = lower;
  }
  // From here on lane 0 is Σx and lane 1 is Σx²: first the two halves together, then high and low parts.
  const a = v128.shuffle<f64>(s, q, 0, 2), b = v128.shuffle<f64>(s, q, 1, 3);
  const ac = v128.shuffle<f64>(sc, qc, 0, 2), bc = v128.shuffle<f64>(sc, qc, 1, 3);
  const sum = f64x2.add(a, b), t = sumError(a, b, sum);
  const lower = f64x2.add(ac, bc), all = f64x2.add(lower, t);
  lost = v128.or(v128.or(lost, swapLanes(lost)), v128.or(sumError(ac, bc, lower), sumError(lower, t, all)));
  const high = f64x2.add(sum, all), low = sumError(sum, all, high);
  lost = v128.or(lost, f64x2.sub(high, high)); // an infinity is lost, too
  const exact = !v128.any_true(i64x2.shl(lost, 1));
  store<f64>(out, <f64>(idof<F>() == idof<MomentsSkip>() ? countNumbers<T>(start, n) : n));
  v128.store(out, v128.shuffle<f64>(high, low, 0, 2), 8);
  v128.store(out, v128.shuffle<f64>(high, low, 1, 3), 24);
  store<f64>(out, exact ? 1 : isFloat<T>() ? unfit<T>(start, n, idof<F>() == idof<MomentsSkip>()) : 0, 40);
}

/** The flag of a row that did not fit. */
function unfit<T>(x: usize, n: u32, skip: bool): f64 {
  for (; n; n--) {
    const v = load<T>(x);
    if (v - v != 0 && !(skip && v != v)) return 2;
    x += sizeof<T>();
  }
  return 0;
}

/** The same as chunks of two superaccumulators, whatever the row: [n, 1 if a child is not finite, Σx chunks, Σx² chunks]. */
@inline export function momentsChunks<T>(x: usize, n: u32, skip: u32, out: usize): void {
  const sums = out + 16, squares = sums + CHUNKS_BYTES;
  let kept: u32 = 0, wild = false;
  clear(sums);
  clear(squares);
  for (; n; n--) {
    const v = <f64>load<T>(x);
    if (!(skip && v != v)) {
      kept++;
      if (v - v == 0) {
        addNumber(sums, v);
        addProduct(squares, v, v);
      } else wild = true;
    }
    x += sizeof<T>();
  }
  store<f64>(out, <f64>kept);
  store<f64>(out, wild ? 1 : 0, 8);
}
