/**
 * How large the values of a row are, for the error bound of tensor backends (src/reduce/sizes.ts). A child counts as the float32 that a
 * tensor holds, f(x) = RN32(x), and w is a float32 that is not negative:
 *
 *   sizeSum       Σ |f(x[i])|        sizeSquares   Σ f(x[i])²
 *   sizeWeighted  Σ w[i]·|f(x[i])|   sizeLargest   max |f(x[i])|, negative if a float32 child is subnormal
 *
 * Sums add in float32 within blocks of 4096 children, sixteen lanes each, and in float64 from block to block: what is written lies
 * within a factor of 1 ± 2^-15 of the real sum, and within 2^-149 for each product that underflows. A result is finite only if all
 * children are.
 */
import { P0, P1, P2, P3, P4, firstBytes } from "./children";

/** What a row's result is made of. */
export class SizeSum {}
export class SizeWeighted {}
export class SizeSquares {}
export class SizeLargest {}

/** Children that are added in float32. */
@inline const BLOCK: u32 = 4096;

/** Children K·4 … K·4 + 3 as float32. */
@inline function four<T, K>(x: usize): v128 {
  if (sizeof<T>() == 8)
    return v128.shuffle<i64>(
      f32x4.demote_f64x2_zero(v128.load(x, offsetof<K>() * 32)), f32x4.demote_f64x2_zero(v128.load(x, offsetof<K>() * 32 + 16)), 0, 2,
    );
  if (isFloat<T>()) return v128.load(x, offsetof<K>() * 16);
  if (sizeof<T>() == 4) return f32x4.convert_i32x4_s(v128.load(x, offsetof<K>() * 16));
  if (sizeof<T>() == 2) return f32x4.convert_i32x4_s(v128.load16x4_s(x, offsetof<K>() * 8));
  const bytes = v128.load32_zero(x, offsetof<K>() * 4);
  if (isSigned<T>()) return f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(bytes)));
  return f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(bytes)));
}

/** What the four children v add. */
@inline function term<F, K>(v: v128, w: usize, abs: v128): v128 {
  if (idof<F>() == idof<SizeSquares>()) return f32x4.mul(v, v);
  v = v128.and(v, abs);
  return idof<F>() == idof<SizeWeighted>() ? f32x4.mul(v, v128.load(w, offsetof<K>() * 16)) : v;
}

/** As bit patterns, terms have the order of their values, with NaN above all: none of them is negative. */
@inline function join<F>(a: v128, b: v128): v128 {
  return idof<F>() == idof<SizeLargest>() ? i32x4.max_s(a, b) : f32x4.add(a, b);
}

/** Whether one of n children is subnormal. */
@inline function hasSubnormal(x: usize, n: u32, abs: v128): bool {
  // Less one, bit patterns of subnormals are the least unsigned ones: that of zero becomes the greatest.
  const one = i32x4.splat(1);
  let least = i32x4.splat(-1);
  for (; n >= 4; n -= 4) {
    least = i32x4.min_u(least, i32x4.sub(v128.and(v128.load(x), abs), one));
    x += 16;
  }
  if (n) least = i32x4.min_u(least, i32x4.sub(v128.and(v128.and(v128.load(x), abs), firstBytes(4 * n)), one));
  return v128.any_true(i32x4.lt_u(least, i32x4.splat(0x7fffff)));
}

/** At most BLOCK children. */
@inline function block<F, T>(x: usize, w: usize, n: u32, abs: v128): f64 {
  let a = i64x2.splat(0), b = a, c = a, d = a;
  for (; n >= 16; n -= 16) {
    a = join<F>(a, term<F, P0>(four<T, P0>(x), w, abs));
    b = join<F>(b, term<F, P1>(four<T, P1>(x), w, abs));
    c = join<F>(c, term<F, P2>(four<T, P2>(x), w, abs));
    d = join<F>(d, term<F, P3>(four<T, P3>(x), w, abs));
    x += 16 * sizeof<T>();
    w += 64;
  }
  for (; n >= 4; n -= 4) {
    a = join<F>(a, term<F, P0>(four<T, P0>(x), w, abs));
    x += 4 * sizeof<T>();
    w += 16;
  }
  if (n) b = join<F>(b, v128.and(term<F, P0>(four<T, P0>(x), w, abs), firstBytes(4 * n)));
  a = join<F>(join<F>(a, b), join<F>(c, d));
  a = join<F>(a, v128.shuffle<i64>(a, a, 1, 0));
  a = join<F>(a, v128.shuffle<i32>(a, a, 1, 0, 3, 2));
  return <f64>f32x4.extract_lane(a, 0);
}

/** Rows of equal extent, one after another; row r's weights start at w + 4·r·wstride. Writes one float64 for each row. */
@inline export function sizes<F, T>(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void {
  const abs = i32x4.splat(0x7fffffff);
  for (; rows; rows--) {
    let at = x, weight = w, size: f64 = 0;
    let subnormal = false;
    for (let left = extent; left; ) {
      const n = min<u32>(left, BLOCK);
      const s = block<F, T>(at, weight, n, abs);
      size = idof<F>() == idof<SizeLargest>() ? max<f64>(size, s) : size + s;
      // Reads the block again, from the first-level cache.
      if (idof<F>() == idof<SizeLargest>() && isFloat<T>() && sizeof<T>() == 4) subnormal = subnormal || hasSubnormal(at, n, abs);
      left -= n;
      at += n * sizeof<T>();
      weight += n * 4;
    }
    store<f64>(out, subnormal ? -size : size);
    x += extent * sizeof<T>();
    w += wstride * 4;
    out += 8;
  }
}
