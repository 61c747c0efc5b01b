/** Steps without an error: what a rounded sum or product lost, as a number of its own. */

/** s = RN(a + b) is given: a + b − s, exactly (Knuth's TwoSum). NaN where something overflowed. */
@inline export function sumError(a: v128, b: v128, s: v128): v128 {
  const t = f64x2.sub(s, a);
  return f64x2.add(f64x2.sub(a, f64x2.sub(s, t)), f64x2.sub(b, t));
}

@inline export function sumErrorOf(a: f64, b: f64, s: f64): f64 {
  const t = s - a;
  return (a - (s - t)) + (b - t);
}

/** The upper 26 bits of a (Veltkamp). NaN from 2^997 on. */
@inline function upper(a: v128): v128 {
  return upperBy(a, f64x2.splat(SPLITTER));
}

@inline export function upperBy(a: v128, splitter: v128): v128 {
  const c = f64x2.mul(a, splitter);
  return f64x2.sub(c, f64x2.sub(c, a));
}

@inline export const SPLITTER: f64 = 134217729; // 2^27 + 1

/** p = RN(x·w) is given: x·w − p (Dekker), exactly if nothing underflows. x is of type T: up to 26 bits of it need no split. */
@inline export function productError<T>(x: v128, w: v128, p: v128): v128 {
  const wh = upper(w);
  const wl = f64x2.sub(w, wh);
  if (isNarrow<T>()) return f64x2.add(f64x2.sub(f64x2.mul(x, wh), p), f64x2.mul(x, wl));
  const xh = upper(x);
  const xl = f64x2.sub(x, xh);
  const e = f64x2.add(f64x2.add(f64x2.sub(f64x2.mul(xh, wh), p), f64x2.mul(xh, wl)), f64x2.mul(xl, wh));
  return f64x2.add(e, f64x2.mul(xl, wl));
}

@inline export function isNarrow<T>(): bool {
  return isFloat<T>() ? sizeof<T>() == 4 : sizeof<T>() < 4;
}

@inline export function swapLanes(v: v128): v128 {
  return v128.shuffle<f64>(v, v, 1, 0);
}
