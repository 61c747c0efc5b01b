/**
 * How the children of a row are read: two at a time, as float64, exactly (contract clause 1). And the type tags by which the
 * generic @inline functions of this folder are instantiated; they fold at compile time and leave no branch in a loop.
 */

/**
 * Numbers as types, for load offsets and unrolling: offsetof<P3>() is 3. (An offset must be a compile-time constant to become
 * part of the load instruction; added to the pointer instead it costs an instruction per load.)
 */
export class P0 {}
export class P1 extends P0 { p0: u8; }
export class P2 extends P1 { p1: u8; }
export class P3 extends P2 { p2: u8; }
export class P4 extends P3 { p3: u8; }
export class P5 extends P4 { p4: u8; }
export class P6 extends P5 { p5: u8; }
export class P7 extends P6 { p6: u8; }
export class P8 extends P7 { p7: u8; }

/** Families of sums, in lanes or exact, by what a child adds. `Skip`: a child that is NaN adds +0, whatever its weight. */
export class Sum {}
export class WeightedSum {}
/** WeightedSum with weights in float32. */
export class Dot {}
export class SumSkip {}
export class WeightedSumSkip {}
export class WeightSkip {}
/** Other families. */
export class Min {}
export class Max {}
export class MinSkip {}
export class MaxSkip {}
export class CountSkip {}
export class Product {}
export class Moments {}
export class MomentsSkip {}

/** Whether a sum reads weights. */
@inline export function readsWeights<F>(): bool {
  return idof<F>() != idof<Sum>() && idof<F>() != idof<SumSkip>();
}

/** (float64(x[0]), float64(x[1])) at pair K: reads 2·sizeof(T) bytes from x + K·2·sizeof(T). */
@inline export function pair<T, K>(x: usize): v128 {
  if (sizeof<T>() == 8) return v128.load(x, offsetof<K>() * 16);
  if (isFloat<T>()) return f64x2.promote_low_f32x4(v128.load64_zero(x, offsetof<K>() * 8));
  if (sizeof<T>() == 4) return f64x2.convert_low_i32x4_s(v128.load64_zero(x, offsetof<K>() * 8));
  if (sizeof<T>() == 2) return f64x2.convert_low_i32x4_s(i32x4.extend_low_i16x8_s(v128.load32_zero(x, offsetof<K>() * 4)));
  const bytes = v128.load16_lane(x, i64x2.splat(0), 0, offsetof<K>() * 2);
  if (isSigned<T>()) return f64x2.convert_low_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(bytes)));
  return f64x2.convert_low_i32x4_s(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(bytes)));
}

/** Four narrow integers from pair K on as i32x4: one load serves two pairs. Other types do not use it. */
@inline export function quad<T, K>(x: usize): v128 {
  if (isFloat<T>() || sizeof<T>() == 4) return i64x2.splat(0);
  if (sizeof<T>() == 2) return v128.load16x4_s(x, offsetof<K>() * 4);
  const bytes = v128.load32_zero(x, offsetof<K>() * 2);
  if (isSigned<T>()) return i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(bytes));
  return i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(bytes));
}

/** Pair K, the first of the four children in `q` = quad<T, K>(x). */
@inline export function firstPair<T, K>(q: v128, x: usize): v128 {
  if (isFloat<T>() || sizeof<T>() == 4) return pair<T, K>(x);
  return f64x2.convert_low_i32x4_s(q);
}

/** Pair K, the second of the four children in `q`. */
@inline export function secondPair<T, K>(q: v128, x: usize): v128 {
  if (isFloat<T>() || sizeof<T>() == 4) return pair<T, K>(x);
  return f64x2.convert_low_i32x4_s(v128.shuffle<i32>(q, q, 2, 3, 2, 3));
}

/** Bytes of one weight. */
@inline export function weightBytes<F>(): u32 {
  return idof<F>() == idof<Dot>() ? 4 : 8;
}

/** The weights of pair K, for families that read any. */
@inline export function weights<F, K>(w: usize): v128 {
  if (idof<F>() == idof<Dot>()) return pair<f32, K>(w);
  return readsWeights<F>() ? v128.load(w, offsetof<K>() * 16) : i64x2.splat(0);
}

/** Ones where v is a number, zeros where it is NaN. */
@inline export function isNumber(v: v128): v128 {
  return f64x2.eq(v, v);
}

/** Two results: −0 becomes +0, and every NaN the one with the bits 0x7ff8000000000000 (clause 8), made of ones by two shifts. */
@inline export function canonicalPair(v: v128): v128 {
  v = f64x2.add(v, f64x2.splat(0));
  const nan = f64x2.ne(v, v);
  return v128.or(v128.andnot(v, nan), i64x2.shr_u(i64x2.shl(nan, 52), 1));
}

/** One result. */
@inline export function canonical(v: f64): f64 {
  return v == v ? v + 0 : NaN;
}

/** Ones in the first n of 16 bytes, n < 16. */
@inline export function firstBytes(n: u32): v128 {
  return i8x16.lt_s(i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), i8x16.splat(<i8>n));
}
