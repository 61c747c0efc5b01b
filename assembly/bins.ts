/**
 * Exact sums of terms whose range is known, without an account of errors. Let all terms be multiples of 2^L, none larger than 2^E,
 * and n ≤ 2^k of them, k ≥ 3.
 *
 * One bin: if E + k − L ≤ 53, every sum of some of them is a multiple of 2^L not above 2^(E+k), so a float64 (as long as L ≥ −1074 and
 * E + k ≤ 1023): plain addition is exact, in any order.
 *
 * Two bins: let M ≥ E + k and σ = 1.5·2^M. A lane starts at S = σ, and a term t goes into it so:
 *
 *   z = RN(S + t);  R += t − (z − S);  S = z
 *
 * A lane gets at most 2^(k−1) terms, so it stays within 2^(M−1) of σ, from 2^M to 2^(M+1), where numbers are 2^(M−52) apart. As S is
 * larger than t, z − S and t − (z − S) are exact (Dekker's FastTwoSum). What is left of a term is a multiple of 2^L not above
 * 2^(M−53), and n of those add up exactly, by the rule of one bin, if M − 53 + k − L ≤ 53. S − σ is exact, and the sum of these over
 * the lanes is a multiple of 2^(M−52) not above 2^M plus what is left: exact, too. So Q = Σ(S − σ) and R = ΣR, and Q + R is the sum.
 * If a lane's steps are finer than 2^L, nothing is left, and R is 0.
 *
 * More bins: what is left of each term is stored, has E' = M − 53 or less, and goes the same way, until two bins do.
 */
import { P0, P1, P2, P3, Sum, pair, weightBytes, weights } from "./children";
import { term } from "./lanes";

/** k: how n terms count. */
@inline export function logOf(n: u32): i32 {
  return n <= 8 ? 3 : 32 - <i32>clz(n - 1);
}

@inline export function fitsOneBin(e: i32, l: i32, k: i32): bool {
  return e + k - l <= 53 && e + k <= 1023 && l >= -1074;
}

/** M of the upper one of two bins. Not so low that σ would be subnormal: then nothing is left, and L ≥ −1074 allows it. */
@inline export function binOf(e: i32, k: i32): i32 {
  return max(e + k, -1000);
}

@inline export function fitsTwoBins(m: i32, l: i32, k: i32): bool {
  return m + k - l <= 106 && m <= 1022 && l >= -1074;
}

@inline export function sigmaOf(m: i32): f64 {
  return reinterpret<f64>((<u64>(m + 1023) << 52) | (1 << 51));
}

@inline function sumOf(v: v128): f64 {
  return f64x2.extract_lane(v, 0) + f64x2.extract_lane(v, 1);
}

/** Q to out, R to out + 8. Not inlined: V8 has sixteen registers, and this takes most of them. */
export function twoBins<F, T>(x: usize, w: usize, n: u32, sigma: f64, out: usize): void {
  const start = f64x2.splat(sigma);
  let a = start, b = start, c = start, d = start;
  let r = f64x2.splat(0), s = r, t: v128, z: v128;
  for (const end = x + (n & ~7) * sizeof<T>(); x < end; x += 8 * sizeof<T>()) {
    t = term<F>(pair<T, P0>(x), weights<F, P0>(w));
    z = f64x2.add(a, t); r = f64x2.add(r, f64x2.sub(t, f64x2.sub(z, a))); a = z;
    t = term<F>(pair<T, P1>(x), weights<F, P1>(w));
    z = f64x2.add(b, t); s = f64x2.add(s, f64x2.sub(t, f64x2.sub(z, b))); b = z;
    t = term<F>(pair<T, P2>(x), weights<F, P2>(w));
    z = f64x2.add(c, t); r = f64x2.add(r, f64x2.sub(t, f64x2.sub(z, c))); c = z;
    t = term<F>(pair<T, P3>(x), weights<F, P3>(w));
    z = f64x2.add(d, t); s = f64x2.add(s, f64x2.sub(t, f64x2.sub(z, d))); d = z;
    w += 8 * weightBytes<F>();
  }
  // At most one more term for each lane.
  if (n & 4) {
    t = term<F>(pair<T, P0>(x), weights<F, P0>(w));
    z = f64x2.add(a, t); r = f64x2.add(r, f64x2.sub(t, f64x2.sub(z, a))); a = z;
    t = term<F>(pair<T, P1>(x), weights<F, P1>(w));
    z = f64x2.add(b, t); s = f64x2.add(s, f64x2.sub(t, f64x2.sub(z, b))); b = z;
    x += 4 * sizeof<T>();
    w += 4 * weightBytes<F>();
  }
  if (n & 2) {
    t = term<F>(pair<T, P0>(x), weights<F, P0>(w));
    z = f64x2.add(c, t); r = f64x2.add(r, f64x2.sub(t, f64x2.sub(z, c))); c = z;
    x += 2 * sizeof<T>();
    w += 2 * weightBytes<F>();
  }
  if (n & 1) {
    t = v128.and(term<F>(pair<T, P0>(x), weights<F, P0>(w)), i64x2(-1, 0));
    z = f64x2.add(d, t); s = f64x2.add(s, f64x2.sub(t, f64x2.sub(z, d))); d = z;
  }
  a = f64x2.add(f64x2.sub(a, start), f64x2.sub(b, start));
  c = f64x2.add(f64x2.sub(c, start), f64x2.sub(d, start));
  store<f64>(out, sumOf(f64x2.add(a, c)));
  store<f64>(out, sumOf(f64x2.add(r, s)), 8);
}

/** Takes Q out of the n terms at x, leaves there what is left of each, and says how large that is: 2^E' is not below. */
function takeOut(x: usize, n: u32, sigma: f64, out: usize): i32 {
  const start = f64x2.splat(sigma);
  let a = start, b = start, t: v128, z: v128;
  const mask = i64x2.shr_u(i64x2.eq(start, start), 1);
  let high = i64x2.splat(0);
  // An odd number of terms is followed by a zero.
  for (const end = x + ((n + 1) & ~1) * 8; x < end; ) {
    t = v128.load(x);
    z = f64x2.add(a, t);
    t = f64x2.sub(t, f64x2.sub(z, a));
    a = z;
    v128.store(x, t);
    high = i32x4.max_s(high, v128.and(t, mask));
    x += 16;
    if (x == end) break;
    t = v128.load(x);
    z = f64x2.add(b, t);
    t = f64x2.sub(t, f64x2.sub(z, b));
    b = z;
    v128.store(x, t);
    high = i32x4.max_s(high, v128.and(t, mask));
    x += 16;
  }
  store<f64>(out, sumOf(f64x2.add(f64x2.sub(a, start), f64x2.sub(b, start))));
  return (max(i32x4.extract_lane(high, 1), i32x4.extract_lane(high, 3)) >> 20) - 1022;
}

/** More passes than this take longer than a rounding test, which has an answer for most sums of values so far apart: 0.3 ns for a term each. */
@inline const PASSES_MAX: i32 = 6;

/** Numbers that manyBins leaves at most. */
@inline export const MANY_MAX: u32 = PASSES_MAX + 2;

/**
 * The sum of n ≤ 2^k terms at x, which it overwrites, as at most MANY_MAX numbers from out on, whose sum is exact. Returns how
 * many, or 0 if more would be needed.
 */
export function manyBins(x: usize, n: u32, e: i32, l: i32, k: i32, out: usize): u32 {
  // Each pass takes 53 − k bits and leaves those of two bins, 106 − 2·k, at the end.
  if (l < -1074 || e + k > 1022 || e + 2 * k - l > 106 + PASSES_MAX * (53 - k)) return 0;
  for (let made = 0; made <= PASSES_MAX; made++) {
    const m = binOf(e, k);
    if (fitsTwoBins(m, l, k)) {
      twoBins<Sum, f64>(x, 0, n, sigmaOf(m), out);
      return made + 2;
    }
    e = min(m - 53, takeOut(x, n, sigmaOf(m), out));
    out += 8;
  }
  return 0;
}
