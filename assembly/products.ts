/**
 * Products of float32 children that neither overflow nor underflow on the way: (m, e) stands for m·2^e, 1 ≤ |m| < 2.
 *
 *   a factor p on a lane m:   p is 0, ±Infinity or NaN:  s = s·p        else:  m = m·p, and m's exponent moves to e
 *
 * Rows: m[0..7] = 1, e = 0, s = 1. The factors are ((x[i]·x[i+8])·x[i+16])·x[i+24] on m[i mod 8] for each whole 32 children, then
 * x[i] on m[i mod 8] for each whole 8, then what is left on m[0] and m[1] in turn; last m[j+4] on m[j], m[j+2] on m[j], m[1] on m[0].
 * Columns: (m, e, s) for each; the factors are ((x[i][c]·x[i+1][c])·x[i+2][c])·x[i+3][c] for each whole four rows of a call, then x[i][c].
 *
 * Four float32 factors stay within 2^±596, so all p and m·p are normal float64 numbers. The result is m·s and e.
 */
import { P0, P1, P2, P3, pair } from "./children";

const FIELD: i64 = 0x7ff;
const BIAS: i64 = 1023;
const FRACTION_AND_SIGN: i64 = 0x800fffffffffffff;
const ONE: i64 = 0x3ff0000000000000;

/** Bytes that a row writes: m·s and e, both float64. */
@inline export const PRODUCT_BYTES: u32 = 16;

@inline function fields(p: v128): v128 {
  return v128.and(i64x2.shr_u(p, 52), i64x2.splat(FIELD));
}

/** Ones where a factor is 0, infinite or NaN. */
@inline function special(p: v128): v128 {
  const f = fields(p);
  return v128.or(i64x2.eq(f, i64x2.splat(0)), i64x2.eq(f, i64x2.splat(FIELD)));
}

/** s times the special factors. */
@inline function timesSpecial(s: v128, p: v128): v128 {
  return f64x2.mul(s, v128.bitselect(p, f64x2.splat(1), special(p)));
}

/** m times the other factors, its exponent still in place. */
@inline function timesOther(m: v128, p: v128): v128 {
  return f64x2.mul(m, v128.bitselect(f64x2.splat(1), p, special(p)));
}

/** What m's exponents add to e. */
@inline function exponents(m: v128): v128 {
  return i64x2.sub(fields(m), i64x2.splat(BIAS));
}

/** m without its exponents. */
@inline function fractions(m: v128): v128 {
  return v128.or(v128.and(m, i64x2.splat(FRACTION_AND_SIGN)), i64x2.splat(ONE));
}

/** The product of four children for each of the lanes of pair K. */
@inline function four<K>(x: usize): v128 {
  return f64x2.mul(f64x2.mul(f64x2.mul(pair<f32, K>(x), pair<f32, K>(x + 32)), pair<f32, K>(x + 64)), pair<f32, K>(x + 96));
}

/** Ones where m is a product with a special factor: all others lie between these bounds. */
@inline function outside(size: v128): v128 {
  return v128.not(v128.and(f64x2.gt(size, f64x2.splat(1e-250)), f64x2.lt(size, f64x2.splat(1e250))));
}

/** One row: m·s and e to out. */
export function productRow(x: usize, n: u32, out: usize): void {
  let a = f64x2.splat(1), b = a, c = a, d = a, s = a, p: v128;
  let e = i64x2.splat(0);
  for (const end = x + (n & ~31) * 4; x < end; x += 128) {
    const pa = four<P0>(x), pb = four<P1>(x), pc = four<P2>(x), pd = four<P3>(x);
    const ma = f64x2.mul(a, pa), mb = f64x2.mul(b, pb), mc = f64x2.mul(c, pc), md = f64x2.mul(d, pd);
    const sa = f64x2.abs(ma), sb = f64x2.abs(mb), sc = f64x2.abs(mc), sd = f64x2.abs(md);
    if (v128.any_true(v128.or(v128.or(outside(sa), outside(sb)), v128.or(outside(sc), outside(sd))))) {
      s = timesSpecial(s, pa); a = timesOther(a, pa); e = i64x2.add(e, exponents(a)); a = fractions(a);
      s = timesSpecial(s, pb); b = timesOther(b, pb); e = i64x2.add(e, exponents(b)); b = fractions(b);
      s = timesSpecial(s, pc); c = timesOther(c, pc); e = i64x2.add(e, exponents(c)); c = fractions(c);
      s = timesSpecial(s, pd); d = timesOther(d, pd); e = i64x2.add(e, exponents(d)); d = fractions(d);
    } else {
      const two = i64x2.add(i64x2.shr_u(sa, 52), i64x2.shr_u(sb, 52)), other = i64x2.add(i64x2.shr_u(sc, 52), i64x2.shr_u(sd, 52));
      e = i64x2.add(e, i64x2.sub(i64x2.add(two, other), i64x2.splat(4 * BIAS)));
      a = fractions(ma); b = fractions(mb); c = fractions(mc); d = fractions(md);
    }
  }
  for (const end = x + (n & 24) * 4; x < end; x += 32) {
    p = pair<f32, P0>(x); s = timesSpecial(s, p); a = timesOther(a, p); e = i64x2.add(e, exponents(a)); a = fractions(a);
    p = pair<f32, P1>(x); s = timesSpecial(s, p); b = timesOther(b, p); e = i64x2.add(e, exponents(b)); b = fractions(b);
    p = pair<f32, P2>(x); s = timesSpecial(s, p); c = timesOther(c, p); e = i64x2.add(e, exponents(c)); c = fractions(c);
    p = pair<f32, P3>(x); s = timesSpecial(s, p); d = timesOther(d, p); e = i64x2.add(e, exponents(d)); d = fractions(d);
  }
  for (n &= 7; n; n -= n > 1 ? 2 : 1) {
    p = pair<f32, P0>(x); x += 8;
    if (n == 1) p = f64x2.replace_lane(p, 1, 1);
    s = timesSpecial(s, p); a = timesOther(a, p); e = i64x2.add(e, exponents(a)); a = fractions(a);
  }
  a = f64x2.mul(a, c); e = i64x2.add(e, exponents(a)); a = fractions(a);
  b = f64x2.mul(b, d); e = i64x2.add(e, exponents(b)); b = fractions(b);
  a = f64x2.mul(a, b); e = i64x2.add(e, exponents(a)); a = fractions(a);
  a = f64x2.mul(a, v128.shuffle<f64>(a, a, 1, 0));
  // Both halves of a are the same now, so only one of them counts.
  const total = i64x2.extract_lane(e, 0) + i64x2.extract_lane(e, 1) + i64x2.extract_lane(exponents(a), 0);
  const sign = f64x2.extract_lane(s, 0) * f64x2.extract_lane(s, 1);
  const m = f64x2.extract_lane(fractions(a), 0) * sign;
  store<f64>(out, m == m ? m : NaN);
  store<f64>(out, <f64>total, 8);
}

/** Multiplies the rows into the state of each column: all m, then all e, then all s, each for an even number of columns. */
export function columnProducts(x: usize, rows: u32, columns: u32, stride: u32, state: usize): void {
  const step: u32 = stride * 4;
  const plane: u32 = ((columns + 1) & ~1) * 8;
  for (let row: u32 = 0; row < rows; ) {
    const depth: u32 = row + 4 <= rows ? 4 : 1;
    let y = x + row * step;
    for (let at = state, end = state + plane; at < end; at += 16) {
      let p = pair<f32, P0>(y);
      if (depth == 4) {
        p = f64x2.mul(p, pair<f32, P0>(y + step));
        p = f64x2.mul(p, pair<f32, P0>(y + 2 * step));
        p = f64x2.mul(p, pair<f32, P0>(y + 3 * step));
      }
      const m = timesOther(v128.load(at), p);
      v128.store(at, fractions(m));
      v128.store(at + plane, i64x2.add(v128.load(at + plane), exponents(m)));
      v128.store(at + 2 * plane, timesSpecial(v128.load(at + 2 * plane), p));
      y += 8;
    }
    row += depth;
  }
}
