/**
 * What a certificate must know of values (exact.ts says why): over those that are not zero,
 *
 *   |v| < 2^E      v is a multiple of 2^L      |v| ≥ 2^M      v = m·2^k with |m| < 2^S
 *
 * E is never too low, L and M never too high; a value that is not finite makes E so large that nothing can be certified.
 */
import { Sum, SumSkip, WeightedSumSkip, firstBytes, isNumber } from "./children";

/** The four as one number. */
@inline function range(e: i32, l: i32, m: i32, s: i32): i64 {
  return (<i64>e << 48) | ((<i64>l & 0xffff) << 32) | ((<i64>m & 0xffff) << 16) | <i64>s;
}

@inline export function topOf(range: i64): i32 {
  return <i32>(range >> 48);
}

@inline export function lowestOf(range: i64): i32 {
  return <i32>((range << 16) >> 48);
}

@inline export function leastOf(range: i64): i32 {
  return <i32>((range << 32) >> 48);
}

@inline export function bitsOf(range: i64): i32 {
  return <i32>(range & 0xffff);
}

/** Not finite. */
@inline const UNFIT: i32 = 10000;

@inline function skips<F>(): bool {
  return idof<F>() == idof<SumSkip>() || idof<F>() == idof<WeightedSumSkip>();
}

/** The larger of two lanes of i32x4, all of them. */
@inline function largest(v: v128): i32 {
  v = i32x4.max_s(v, v128.shuffle<i64>(v, v, 1, 0));
  return max(i32x4.extract_lane(v, 0), i32x4.extract_lane(v, 1));
}

// ---- float32 -------------------------------------------------------------------------------------------------------------

/**
 * Sizes as bit patterns have the order of their values, and those of zeros, less one, are the largest unsigned ones. A value less the
 * same without its lowest set bit is that bit; where the only bit is the hidden one it is an exponent's that goes, and the
 * difference no more than the value and no less than half of it.
 */
@inline function lowestBits32(size: v128, minusOne: v128): v128 {
  return i32x4.add(f32x4.sub(size, v128.and(size, i32x4.add(size, minusOne))), minusOne);
}

@inline function kept32<F>(v: v128): v128 {
  return skips<F>() ? v128.and(v, f32x4.eq(v, v)) : v;
}

function rangeOf32<F>(x: usize, n: u32): i64 {
  // Made of what a compiler cannot know, or it would be made anew in every round.
  let v = v128.load(x);
  const minusOne = i32x4.eq(v, v), mask = i32x4.shr_u(minusOne, 1);
  let high = i32x4.splat(0), low = i32x4.splat(-1), size: v128;
  for (const end = x + (n & ~15) * 4; x < end; x += 64) {
    size = v128.and(kept32<F>(v128.load(x)), mask);
    high = i32x4.max_s(high, size);
    low = i32x4.min_u(low, lowestBits32(size, minusOne));
    size = v128.and(kept32<F>(v128.load(x, 16)), mask);
    high = i32x4.max_s(high, size);
    low = i32x4.min_u(low, lowestBits32(size, minusOne));
    size = v128.and(kept32<F>(v128.load(x, 32)), mask);
    high = i32x4.max_s(high, size);
    low = i32x4.min_u(low, lowestBits32(size, minusOne));
    size = v128.and(kept32<F>(v128.load(x, 48)), mask);
    high = i32x4.max_s(high, size);
    low = i32x4.min_u(low, lowestBits32(size, minusOne));
  }
  for (n &= 15; n; ) {
    size = v128.and(kept32<F>(v128.load(x)), mask);
    if (n < 4) size = v128.and(size, firstBytes(4 * n));
    high = i32x4.max_s(high, size);
    low = i32x4.min_u(low, lowestBits32(size, minusOne));
    n -= min(n, 4);
    x += 16;
  }
  low = i32x4.min_u(low, v128.shuffle<i64>(low, low, 1, 0));
  const top = largest(high);
  if (!top) return 0;
  if (top >= 0x7f800000) return range(UNFIT, 0, 0, 0);
  const lowest = min<u32>(i32x4.extract_lane(low, 0), i32x4.extract_lane(low, 1)) + 1;
  const e = (top >> 23) - 126;
  const l = lowest >> 23 ? <i32>(lowest >> 23) - 127 : -149;
  return range(e, l, l, min(24, e - l));
}

// ---- float64 -------------------------------------------------------------------------------------------------------------

@inline function kept64<F>(v: v128): v128 {
  return skips<F>() ? v128.and(v, isNumber(v)) : v;
}

/**
 * Here the lowest set bit is that of the least value if it had as many bits as the one with most. Zeros, less one, are NaN, which
 * pmin drops; so does it drop NaN children, but not the signed comparison of their upper halves.
 */
function rangeOf64<F>(x: usize, n: u32): i64 {
  let v = v128.load(x);
  const minusOne = i64x2.eq(v, v), mask = i64x2.shr_u(minusOne, 1);
  let high = i64x2.splat(0), low = f64x2.splat(Infinity), bits = i64x2.splat(0);
  for (const end = x + (n & ~7) * 8; x < end; x += 64) {
    v = v128.and(kept64<F>(v128.load(x)), mask);
    high = i32x4.max_s(high, v); bits = v128.or(bits, v); low = f64x2.pmin(low, i64x2.add(v, minusOne));
    v = v128.and(kept64<F>(v128.load(x, 16)), mask);
    high = i32x4.max_s(high, v); bits = v128.or(bits, v); low = f64x2.pmin(low, i64x2.add(v, minusOne));
    v = v128.and(kept64<F>(v128.load(x, 32)), mask);
    high = i32x4.max_s(high, v); bits = v128.or(bits, v); low = f64x2.pmin(low, i64x2.add(v, minusOne));
    v = v128.and(kept64<F>(v128.load(x, 48)), mask);
    high = i32x4.max_s(high, v); bits = v128.or(bits, v); low = f64x2.pmin(low, i64x2.add(v, minusOne));
  }
  for (n &= 7; n; ) {
    v = v128.and(kept64<F>(v128.load(x)), mask);
    if (n < 2) v = v128.and(v, i64x2(-1, 0));
    high = i32x4.max_s(high, v); bits = v128.or(bits, v); low = f64x2.pmin(low, i64x2.add(v, minusOne));
    n -= min(n, 2);
    x += 16;
  }
  low = f64x2.pmin(low, v128.shuffle<f64>(low, low, 1, 0));
  const all = <u64>i64x2.extract_lane(bits, 0) | <u64>i64x2.extract_lane(bits, 1);
  if (!all) return 0;
  const top = max(i32x4.extract_lane(high, 1), i32x4.extract_lane(high, 3)) >> 20;
  if (top == 0x7ff) return range(UNFIT, 0, 0, 0);
  const field = <i32>((i64x2.extract_lane(low, 0) + 1) >> 52);
  const zeros = <i32>ctz((all & 0xfffffffffffff) | (1 << 52));
  return range(top - 1022, max(field, 1) - 1075 + zeros, field ? field - 1023 : -1074, 53 - zeros);
}

/** The range of n ≥ 1 children of type T, of which F may skip some. */
@inline export function rangeOf<F, T>(x: usize, n: u32): i64 {
  if (!isFloat<T>()) {
    const bits = 8 * sizeof<T>();
    return range(bits, 0, 0, bits);
  }
  return sizeof<T>() == 4 ? rangeOf32<F>(x, n) : rangeOf64<F>(x, n);
}

/** The range of n ≥ 1 weights. */
@inline export function rangeOfWeights(w: usize, n: u32): i64 {
  return rangeOf64<Sum>(w, n);
}

/** The range of products of values of these ranges, as exact real numbers. */
@inline export function productRange(a: i64, b: i64): i64 {
  return range(topOf(a) + topOf(b), lowestOf(a) + lowestOf(b), leastOf(a) + leastOf(b), bitsOf(a) + bitsOf(b));
}
