/**
 * Exact sums of short rows, rounded once (contract clauses 3, 8, 9):  RN(Σ x[i])  or  RN(Σ w[i]·x[i])  over the real products.
 *
 * Three stages, each right whenever it gives an answer; a row goes on to the next only if it gets none:
 *   1. double-double in two SIMD lanes. Unweighted: no step was inexact. Weighted: the rounding test.
 *   2. three terms, no step inexact: exact ties, zeros, power-of-two weights.
 *   3. the superaccumulator: everything, slowly.
 * What needs no account of errors, and longer rows, are blocks.ts's business.
 */
import { ADDS_MAX, addNumber, addProduct, carry, clear, round } from "./accumulator";
import { canonical, readsWeights } from "./children";
import { ACCUMULATOR_NODES, THREE_TERM_NODES, count } from "./scratch";
import { productError, sumError, sumErrorOf, swapLanes } from "./steps";
import { addend, addendOf, factor, factorOf, hasProducts, oneOfEach } from "./terms";

// ---- Stage 1 -----------------------------------------------------------------------------------------------------------

/** n < 2^31 children: the bound below holds with room (n·2^-53 ≪ 1). */
@inline const BOUND: f64 = 4.440892098500626e-16; // 2^-51
@inline const TINY: f64 = 3.952525166729972e-323; // 2^-1071

/** How a result is checked: by what was lost, or by a bound of it. */
class Lossless {}
class Bounded {}

@inline function isBounded<C>(): bool {
  return idof<C>() == idof<Bounded>();
}

/**
 * Two lanes walk from x and y (and v and w) over `steps` children each; `a` and `b` are an addend and factor to begin with.
 * Per lane, exactly s + c = the sum so far but for c's roundings, which the third keeps an account of:
 *   products: r += |c|, and the result is accepted if it is the same at both ends of the error bound (the rounding test);
 *   no products: r |= what c's additions lost, and the result is accepted if that is nothing.
 * `join`: both lanes belong to one row; else each is a row. Returns the results; NaN is doubt.
 */
@inline function doubleDouble<F, T, C>(x: usize, y: usize, v: usize, w: usize, steps: u32, a: v128, b: v128, n: u32, join: bool): v128 {
  let s = a, c = f64x2.splat(0), r = f64x2.splat(0);
  if (hasProducts<F>()) {
    s = f64x2.mul(a, b);
    c = productError<T>(a, b, s);
    r = f64x2.abs(c);
  }
  for (; steps; steps--) {
    const children = oneOfEach<T>(x, y);
    const weights = readsWeights<F>() ? oneOfEach<f64>(v, w) : children;
    const p = addend<F>(children, weights);
    if (hasProducts<F>()) {
      const q = factor<F>(children, weights);
      const product = f64x2.mul(p, q);
      const sum = f64x2.add(s, product);
      c = f64x2.add(c, f64x2.add(sumError(s, product, sum), productError<T>(p, q, product)));
      r = f64x2.add(r, f64x2.abs(c));
      s = sum;
    } else {
      const sum = f64x2.add(s, p);
      const t = sumError(s, p, sum);
      const lower = f64x2.add(c, t);
      r = isBounded<C>() ? f64x2.add(r, f64x2.abs(lower)) : v128.or(r, sumError(c, t, lower));
      c = lower;
      s = sum;
    }
    x += sizeof<T>();
    y += sizeof<T>();
    if (readsWeights<F>()) {
      v += 8;
      w += 8;
    }
  }
  if (join) {
    const s1 = swapLanes(s), c1 = swapLanes(c);
    const sum = f64x2.add(s, s1), t = sumError(s, s1, sum);
    const lower = f64x2.add(c, c1), all = f64x2.add(lower, t);
    r = isBounded<C>()
      ? f64x2.add(f64x2.add(r, swapLanes(r)), f64x2.abs(lower))
      : v128.or(v128.or(r, swapLanes(r)), v128.or(sumError(c, c1, lower), sumError(lower, t, all)));
    s = sum;
    c = all;
  }
  if (isBounded<C>()) {
    const high = f64x2.add(s, c), low = sumError(s, c, high);
    r = f64x2.add(r, f64x2.add(f64x2.abs(c), f64x2.abs(low)));
    const bound = f64x2.add(f64x2.mul(r, f64x2.splat(BOUND)), f64x2.splat(<f64>n * TINY));
    const least = f64x2.add(high, f64x2.sub(low, bound)), most = f64x2.add(high, f64x2.add(low, bound));
    // A NaN compares unequal; an infinity becomes NaN by Inf − Inf.
    return v128.or(f64x2.add(least, f64x2.sub(least, least)), f64x2.ne(least, most));
  }
  // Any bit of r but its signs: something was lost. All ones are a NaN.
  return v128.or(f64x2.add(f64x2.add(s, c), f64x2.splat(0)), i64x2.ne(i64x2.shl(r, 1), i64x2.splat(0)));
}

/** One row of n ≥ 1 children. */
function doubleDoubleRow<F, T, C>(x: usize, w: usize, n: u32): f64 {
  const steps = n >> 1;
  let a = f64x2.splat(0), b = f64x2.splat(0);
  if (n & 1) {
    // An odd row's last child starts the first lane.
    const end = (n - 1) * sizeof<T>();
    a = f64x2.replace_lane(a, 0, addendOf<F, T>(x + end, w + (n - 1) * 8));
    if (hasProducts<F>()) b = f64x2.replace_lane(b, 0, factorOf<F, T>(x + end, w + (n - 1) * 8));
  }
  return f64x2.extract_lane(doubleDouble<F, T, C>(x, x + steps * sizeof<T>(), w, w + steps * 8, steps, a, b, n, true), 0);
}

// ---- Stages 2 and 3 ----------------------------------------------------------------------------------------------------

/** RN(a + b + c) (Boldo and Melquiond 2008: the middle sum is rounded to odd). */
@inline function sumOfThree(a: f64, b: f64, c: f64): f64 {
  const uh = b + c, ul = sumErrorOf(b, c, uh);
  const th = a + uh, tl = sumErrorOf(a, uh, th);
  let v = tl + ul;
  const rest = sumErrorOf(tl, ul, v);
  if (rest != 0) {
    const bits = reinterpret<i64>(v);
    if (!(bits & 1)) v = reinterpret<f64>(bits + (rest > 0 == v > 0 ? 1 : -1));
  }
  return th + v;
}

/** Below this a product's error may not be a float64: its lowest bit lies 105 bits under the highest. */
@inline const PRODUCT_MIN: f64 = 1.0261342003245941e-289; // 2^-960

/** The sum as three terms, or NaN if one step was inexact. */
function threeTerms<F, T>(x: usize, w: usize, n: u32): f64 {
  let s: f64 = 0, c: f64 = 0, d: f64 = 0, lost = false;
  for (; n; n--) {
    const a = addendOf<F, T>(x, w);
    let p = a;
    if (hasProducts<F>()) {
      const b = factorOf<F, T>(x, w);
      p = a * b;
      if (abs(p) < PRODUCT_MIN && a != 0 && b != 0) return NaN;
      const e = f64x2.extract_lane(productError<T>(f64x2.splat(a), f64x2.splat(b), f64x2.splat(p)), 0);
      const lower = c + e;
      const rest = sumErrorOf(c, e, lower);
      const lowest = d + rest;
      lost = lost || sumErrorOf(d, rest, lowest) != 0;
      c = lower;
      d = lowest;
    }
    const sum = s + p;
    const t = sumErrorOf(s, p, sum);
    const lower = c + t;
    const rest = sumErrorOf(c, t, lower);
    const lowest = d + rest;
    lost = lost || sumErrorOf(d, rest, lowest) != 0;
    s = sum;
    c = lower;
    d = lowest;
    x += sizeof<T>();
    if (readsWeights<F>()) w += 8;
  }
  if (lost) return NaN;
  const result = sumOfThree(s, c, d);
  return result - result == 0 ? result + 0 : NaN;
}

/** Any row. Specials are classified by their IEEE product (clause 8); once there is one, no number matters any more. */
function superaccumulated<F, T>(x: usize, w: usize, n: u32, scratch: usize): f64 {
  const chunks = scratch;
  count(scratch, ACCUMULATOR_NODES);
  clear(chunks);
  let special: f64 = 0; // the IEEE sum of the non-finite terms: NaN, an infinity, or 0 for none
  while (n) {
    const part = min(n, ADDS_MAX);
    n -= part;
    for (let i = part; i; i--) {
      const a = addendOf<F, T>(x, w);
      if (hasProducts<F>()) {
        const b = factorOf<F, T>(x, w);
        if (a - a != 0 || b - b != 0) special += a * b;
        else if (special == 0) addProduct(chunks, a, b);
      } else {
        if (a - a != 0) special += a;
        else if (special == 0) addNumber(chunks, a);
      }
      if (special != special) return NaN;
      x += sizeof<T>();
      if (readsWeights<F>()) w += 8;
    }
    if (n) carry(chunks);
  }
  return special == 0 ? round(chunks) : canonical(special);
}

/** Whether every addend, or one factor of every finite product, is zero. Ends at the first that is not. */
function isZero<F, T>(x: usize, w: usize, n: u32): bool {
  for (; n; n--) {
    const a = addendOf<F, T>(x, w);
    if (hasProducts<F>()) {
      const b = factorOf<F, T>(x, w);
      if (!(a == 0 && b - b == 0) && !(b == 0 && a - a == 0)) return false;
    } else if (a != 0) return false;
    x += sizeof<T>();
    if (readsWeights<F>()) w += 8;
  }
  return true;
}

/** Stages 2 and 3 of a row that stage 1 was in doubt about. Rows of zeros, which are common, end here at once. */
export function settle<F, T>(x: usize, w: usize, n: u32, scratch: usize): f64 {
  if (isZero<F, T>(x, w, n)) return 0;
  if (!hasProducts<F>()) {
    const sum = doubleDoubleRow<F, T, Bounded>(x, w, n);
    if (sum == sum) return sum;
  }
  count(scratch, THREE_TERM_NODES);
  const sum = threeTerms<F, T>(x, w, n);
  return sum == sum ? sum : superaccumulated<F, T>(x, w, n, scratch);
}

// ---- Rows --------------------------------------------------------------------------------------------------------------

/** A long row of any values: as good as never in doubt about three terms, so they are left out. */
export function anyRow<F, T>(x: usize, w: usize, n: u32, scratch: usize): f64 {
  const sum = doubleDoubleRow<F, T, Bounded>(x, w, n);
  return sum == sum ? sum : superaccumulated<F, T>(x, w, n, scratch);
}

/** Stage 1 of a row of any length: its exact sum, or NaN. */
export function firstTry<F, T>(x: usize, w: usize, n: u32): f64 {
  return hasProducts<F>() ? doubleDoubleRow<F, T, Bounded>(x, w, n) : doubleDoubleRow<F, T, Lossless>(x, w, n);
}

/** Rows of at most this many children are one addition or one product, which is its own exact rounding. */
@inline export function singleMax<F>(): u32 {
  return hasProducts<F>() ? 1 : 2;
}

/** Such a row. A product that underflows keeps its sign; a zero factor gives +0. */
@inline export function single<F, T>(x: usize, w: usize, n: u32): f64 {
  if (!n) return 0;
  const a = addendOf<F, T>(x, w);
  if (hasProducts<F>()) {
    const b = factorOf<F, T>(x, w);
    const p = a * b;
    return p != p ? NaN : a == 0 || b == 0 ? p + 0 : p;
  }
  return canonical(n == 2 ? a + addendOf<F, T>(x + sizeof<T>(), w + 8) : a);
}

/** Stage 1 of two rows of n ≥ 3 children each, one per lane: x and y with the weights v and w. Returns which are in doubt: bits 0 and 1. */
export function firstTryOfTwo<F, T>(x: usize, y: usize, v: usize, w: usize, n: u32, out: usize): i32 {
  const zero = f64x2.splat(0);
  const sums = hasProducts<F>()
    ? doubleDouble<F, T, Bounded>(x, y, v, w, n, zero, zero, n, false)
    : doubleDouble<F, T, Lossless>(x, y, v, w, n, zero, zero, n, false);
  v128.store(out, sums);
  return i64x2.bitmask(f64x2.ne(sums, sums));
}

/** Longer rows of products are faster with both lanes in one row: 32 children 2.3 against 2.9 ns each, 64 children 2.7 against 2.3. */
@inline const TOGETHER_MAX: u32 = 48;

/** Whether rows of n children go through firstTryOfTwo. */
@inline export function goTogether<F, T>(n: u32): bool {
  if (hasProducts<F>()) return n > 2 && n <= TOGETHER_MAX;
  return isFloat<T>() && n > 2;
}

