/**
 * min and max (contract clause 8: IEEE 754-2019 minimum and maximum, NaN propagates, −0 < +0; none of an empty row is NaN):
 *
 *   m = x[0];  for i in 1..n:  m = minimum(m, x[i])
 *
 * and what looks for NaN. The order of children does not matter, so lanes are whatever a vector holds.
 */
import { Max, MaxSkip, Min, MinSkip, firstBytes } from "./children";

@inline function isMin<F>(): bool {
  return idof<F>() == idof<Min>() || idof<F>() == idof<MinSkip>();
}

@inline function skips<F>(): bool {
  return idof<F>() == idof<MinSkip>() || idof<F>() == idof<MaxSkip>();
}

@inline export function better<F, T>(a: v128, b: v128): v128 {
  return isMin<F>() ? v128.min<T>(a, b) : v128.max<T>(a, b);
}

/** What loses against everything. */
@inline function worst<F, T>(): T {
  if (isFloat<T>()) return <T>(isMin<F>() ? Infinity : -Infinity);
  if (sizeof<T>() == 4) return <T>(isMin<F>() ? i32.MAX_VALUE : i32.MIN_VALUE);
  if (sizeof<T>() == 2) return <T>(isMin<F>() ? i16.MAX_VALUE : i16.MIN_VALUE);
  if (isSigned<T>()) return <T>(isMin<F>() ? i8.MAX_VALUE : i8.MIN_VALUE);
  return <T>(isMin<F>() ? u8.MAX_VALUE : u8.MIN_VALUE);
}

/** A vector of children, skipped ones replaced. */
@inline function candidates<F, T>(v: v128): v128 {
  return skips<F>() ? v128.bitselect(v, v128.splat<T>(worst<F, T>()), v128.eq<T>(v, v)) : v;
}

/** The best of the vector's lanes. */
@inline function best<F, T>(v: v128): T {
  v = better<F, T>(v, v128.shuffle<i64>(v, v, 1, 0));
  if (sizeof<T>() <= 4) v = better<F, T>(v, v128.shuffle<i32>(v, v, 1, 0, 3, 2));
  if (sizeof<T>() <= 2) v = better<F, T>(v, v128.shuffle<i16>(v, v, 1, 0, 3, 2, 5, 4, 7, 6));
  if (sizeof<T>() <= 1) v = better<F, T>(v, v128.shuffle<i8>(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14));
  return v128.extract_lane<T>(v, 0);
}

/** One row of any length. */
@inline export function extremeRow<F, T>(x: usize, n: u32): f64 {
  if (!n) return NaN;
  const bytes = n * sizeof<T>();
  let v: v128;
  if (bytes < 16) v = v128.bitselect(candidates<F, T>(v128.load(x)), v128.splat<T>(worst<F, T>()), firstBytes(bytes));
  else {
    // Whole vectors, four at a time; the last one overlaps: a child may count twice.
    const last = x + bytes - 16;
    v = candidates<F, T>(v128.load(last));
    if (bytes >= 64) {
      let a = v, b = v, c = v;
      for (const end = x + (bytes & ~63); x < end; x += 64) {
        v = better<F, T>(v, candidates<F, T>(v128.load(x)));
        a = better<F, T>(a, candidates<F, T>(v128.load(x, 16)));
        b = better<F, T>(b, candidates<F, T>(v128.load(x, 32)));
        c = better<F, T>(c, candidates<F, T>(v128.load(x, 48)));
      }
      v = better<F, T>(better<F, T>(v, a), better<F, T>(b, c));
    }
    for (; x < last; x += 16) v = better<F, T>(v, candidates<F, T>(v128.load(x)));
    x = last + 16 - bytes;
  }
  const m = best<F, T>(v);
  if (!isFloat<T>()) return <f64>m;
  // A row that is skipped whole leaves the worst; so do children that are all infinite.
  if (skips<F>()) return m == worst<F, T>() && !countNumbers<T>(x, n) ? NaN : <f64>m;
  return m == m ? <f64>m : NaN;
}

/** How many of n children are not NaN. */
@inline export function countNumbers<T>(x: usize, n: u32): u32 {
  let counts = i64x2.splat(0);
  const perVector = 16 / sizeof<T>();
  for (const end = x + (n & ~(perVector - 1)) * sizeof<T>(); x < end; x += 16) {
    const v = v128.load(x);
    counts = sizeof<T>() == 4 ? i32x4.sub(counts, f32x4.eq(v, v)) : i64x2.sub(counts, f64x2.eq(v, v));
  }
  let count: u32;
  if (sizeof<T>() == 4)
    count = i32x4.extract_lane(counts, 0) + i32x4.extract_lane(counts, 1) + i32x4.extract_lane(counts, 2) + i32x4.extract_lane(counts, 3);
  else count = <u32>(i64x2.extract_lane(counts, 0) + i64x2.extract_lane(counts, 1));
  for (n &= perVector - 1; n; n--) {
    const v = load<T>(x);
    count += u32(v == v);
    x += sizeof<T>();
  }
  return count;
}

/** The index of the first NaN of n children, or −1. */
@inline export function firstNaN<T>(x: usize, n: u32): i32 {
  const perVector = 16 / sizeof<T>();
  let i: u32 = 0;
  for (const whole = n & ~(perVector - 1); i < whole; i += perVector) {
    const v = v128.load(x + i * sizeof<T>());
    if (v128.any_true(v128.ne<T>(v, v))) break;
  }
  for (; i < n; i++) {
    const v = load<T>(x + i * sizeof<T>());
    if (v != v) return i;
  }
  return -1;
}
