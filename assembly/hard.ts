/**
 * Blocks whose terms neither one bin nor two can hold. A product that is no float64 is two terms, an upper and a lower one, and each kind has
 * two bins (fourBins). What does not fit there either is written to scratch memory and goes through as many bins as it takes (manyBins).
 */
import { P0, P1, pair, weights } from "./children";
import { binOf, fitsTwoBins, logOf, manyBins, sigmaOf } from "./bins";
import { areNumbers, rangeOfTerms } from "./certificate";
import { leastOf, lowestOf, topOf } from "./range";
import { HARD_MAX, MORE_TERMS, TERMS } from "./scratch";
import { SPLITTER, isNarrow, productError, upperBy } from "./steps";
import { addend, factor, hasProducts } from "./terms";

/** Larger factors overflow where they are split; so would sums of products from here on. */
@inline const SPLIT_MAX: i32 = 990;
@inline const PRODUCT_TOP_MAX: i32 = 1020;

/**
 * The product of two children and two weights as two terms each. Narrow children: v·wh and v·wl, where w = wh + wl. Others: the rounded
 * product and its error.
 */
@inline function upperTerm<T>(v: v128, u: v128, high: v128): v128 {
  return f64x2.mul(v, isNarrow<T>() ? high : u);
}

@inline function lowerTerm<T>(v: v128, u: v128, high: v128, term: v128): v128 {
  return isNarrow<T>() ? f64x2.mul(v, f64x2.sub(u, high)) : productError<T>(v, u, term);
}

@inline function upperFactor<T>(u: v128, splitter: v128): v128 {
  return isNarrow<T>() ? upperBy(u, splitter) : u;
}

/** Writes the terms of pair K, of a last odd child too: a zero follows it. */
@inline function writePair<F, T, K>(x: usize, w: usize, a: usize, b: usize, numbers: bool, splitter: v128, odd: bool): void {
  const children = pair<T, K>(x), own = weights<F, K>(w);
  let v = addend<F>(children, own), u = factor<F>(children, own);
  if (odd) {
    v = v128.and(v, i64x2(-1, 0));
    u = v128.and(u, i64x2(-1, 0));
  }
  if (!hasProducts<F>()) v128.store(a, v, offsetof<K>() * 16);
  else if (numbers) v128.store(a, f64x2.mul(v, u), offsetof<K>() * 16);
  else {
    const high = upperFactor<T>(u, splitter), term = upperTerm<T>(v, u, high);
    v128.store(a, term, offsetof<K>() * 16);
    v128.store(b, lowerTerm<T>(v, u, high, term), offsetof<K>() * 16);
  }
}

/** Writes the terms of n children to a and, of products that are no float64, the lower ones to b. A zero follows an odd n. */
function writeTerms<F, T>(x: usize, w: usize, n: u32, a: usize, b: usize, numbers: bool, splitter: v128): void {
  for (const end = x + (n & ~3) * sizeof<T>(); x < end; x += 4 * sizeof<T>()) {
    writePair<F, T, P0>(x, w, a, b, numbers, splitter, false);
    writePair<F, T, P1>(x, w, a, b, numbers, splitter, false);
    w += 32;
    a += 32;
    b += 32;
  }
  if (n & 2) {
    writePair<F, T, P0>(x, w, a, b, numbers, splitter, false);
    x += 2 * sizeof<T>();
    w += 16;
    a += 16;
    b += 16;
  }
  if (n & 1) writePair<F, T, P0>(x, w, a, b, numbers, splitter, true);
}

/** Two bins for the upper terms of products, two for the lower ones: four numbers to out. */
function fourBins<F, T>(x: usize, w: usize, n: u32, sigma: f64, lower: f64, splitter: v128, out: usize): void {
  const start = f64x2.splat(sigma), second = f64x2.splat(lower);
  let a = start, b = start, c = second, d = second, r = f64x2.splat(0), s = r;
  let v: v128, u: v128, h: v128, t: v128, z: v128;
  for (const end = x + (n & ~3) * sizeof<T>(); x < end; x += 4 * sizeof<T>()) {
    v = addend<F>(pair<T, P0>(x), v128.load(w)); u = factor<F>(pair<T, P0>(x), v128.load(w));
    h = upperFactor<T>(u, splitter); t = upperTerm<T>(v, u, h);
    z = f64x2.add(a, t); r = f64x2.add(r, f64x2.sub(t, f64x2.sub(z, a))); a = z;
    t = lowerTerm<T>(v, u, h, t);
    z = f64x2.add(c, t); s = f64x2.add(s, f64x2.sub(t, f64x2.sub(z, c))); c = z;
    v = addend<F>(pair<T, P1>(x), v128.load(w, 16)); u = factor<F>(pair<T, P1>(x), v128.load(w, 16));
    h = upperFactor<T>(u, splitter); t = upperTerm<T>(v, u, h);
    z = f64x2.add(b, t); r = f64x2.add(r, f64x2.sub(t, f64x2.sub(z, b))); b = z;
    t = lowerTerm<T>(v, u, h, t);
    z = f64x2.add(d, t); s = f64x2.add(s, f64x2.sub(t, f64x2.sub(z, d))); d = z;
    w += 32;
  }
  // At most one more term for each lane, and a last odd child.
  for (n &= 3; n; n -= min<u32>(n, 2)) {
    v = addend<F>(pair<T, P0>(x), v128.load(w)); u = factor<F>(pair<T, P0>(x), v128.load(w));
    if (n == 1) {
      v = v128.and(v, i64x2(-1, 0));
      u = v128.and(u, i64x2(-1, 0));
    }
    h = upperFactor<T>(u, splitter); t = upperTerm<T>(v, u, h);
    z = f64x2.add(a, t); r = f64x2.add(r, f64x2.sub(t, f64x2.sub(z, a))); a = z;
    t = lowerTerm<T>(v, u, h, t);
    z = f64x2.add(c, t); s = f64x2.add(s, f64x2.sub(t, f64x2.sub(z, c))); c = z;
    x += 2 * sizeof<T>();
    w += 16;
  }
  storeSum(f64x2.add(f64x2.sub(a, start), f64x2.sub(b, start)), out);
  storeSum(r, out + 8);
  storeSum(f64x2.add(f64x2.sub(c, second), f64x2.sub(d, second)), out + 16);
  storeSum(s, out + 24);
}

@inline function storeSum(v: v128, out: usize): void {
  store<f64>(out, f64x2.extract_lane(v, 0) + f64x2.extract_lane(v, 1));
}

/** The lowest bit of the upper terms: wh is a multiple of 2^(M − 25) if |w| ≥ 2^M, and a rounded product one of its own last place. */
@inline function upperLowest<T>(xr: i64, wr: i64, range: i64): i32 {
  if (isNarrow<T>()) return lowestOf(xr) + max(leastOf(wr) - 25, lowestOf(wr));
  return max(lowestOf(range), leastOf(range) - 52);
}

/** How much smaller the lower terms are: |wl| ≤ 2^-27·2^E if |w| < 2^E, and half of a last place. */
@inline function lowerBy<T>(): i32 {
  return isNarrow<T>() ? 27 : 53;
}

/** The sum of children whose products are no float64 as four numbers to `out`, or false if four bins will not do. */
@inline export function fitsFourBins<F, T>(x: usize, w: usize, n: u32, xr: i64, wr: i64, out: usize): bool {
  const range = rangeOfTerms<F>(xr, wr);
  const e = topOf(range), k = logOf(n);
  if (e > PRODUCT_TOP_MAX || topOf(xr) > SPLIT_MAX || topOf(wr) > SPLIT_MAX) return false;
  const m = binOf(e, k), lower = binOf(e - lowerBy<T>(), k);
  if (!fitsTwoBins(m, upperLowest<T>(xr, wr, range), k) || !fitsTwoBins(lower, lowestOf(range), k)) return false;
  fourBins<F, T>(x, w, n, sigmaOf(m), sigmaOf(lower), f64x2.splat(SPLITTER), out);
  return true;
}

/** The sum of at most BLOCK children as numbers from `out` on; returns how many, or 0 if it cannot be had like this. */
export function hardTerms<F, T>(x: usize, w: usize, n: u32, xr: i64, wr: i64, out: usize, scratch: usize): u32 {
  const range = rangeOfTerms<F>(xr, wr);
  const numbers = areNumbers<F>(range);
  const e = topOf(range), l = lowestOf(range);
  let lowest = l;
  if (hasProducts<F>() && !numbers) {
    if (fitsFourBins<F, T>(x, w, n, xr, wr, out)) return 4;
    if (topOf(xr) > SPLIT_MAX || topOf(wr) > SPLIT_MAX) return 0;
    lowest = upperLowest<T>(xr, wr, range);
  }
  if (l < -1074 || e > PRODUCT_TOP_MAX) return 0;
  const splitter = f64x2.splat(SPLITTER);
  const a = scratch + TERMS, b = scratch + MORE_TERMS;
  let made: u32 = 0;
  while (n) {
    const some = min(n, HARD_MAX), k = logOf(some);
    writeTerms<F, T>(x, w, some, a, b, numbers, splitter);
    let more = manyBins(a, some, e, lowest, k, out + made * 8);
    if (!more) return 0;
    made += more;
    if (!numbers) {
      more = manyBins(b, some, e - lowerBy<T>(), l, k, out + made * 8);
      if (!more) return 0;
      made += more;
    }
    n -= some;
    x += some * sizeof<T>();
    w += some * 8;
  }
  return made;
}
