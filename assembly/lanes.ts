/**
 * Level f of rows (contract clause 2; a row here has at most 4096 children):
 *
 *   s[0..15] = +0;  for i in 0..n:  s[i mod 16] += RN(w[i]·x[i])
 *   fold: s[j] += s[j+8] (j < 8);  s[j] += s[j+4] (j < 4);  s[j] += s[j+2] (j < 2);  s[0] += s[1]
 *
 * The sixteen lanes are eight pairs a0..a7. A lane is never −0, since it starts at +0. So the kernels may start it at its first
 * term, leave out lanes without children, and add +0 to the result instead: the bits are the same.
 */
import {
  Dot, P0, P1, P2, P3, P4, P5, P6, P7, P8, Sum, SumSkip, WeightSkip, WeightedSum,
  canonical, canonicalPair, firstPair, isNumber, pair, quad, readsWeights, secondPair, weightBytes, weights,
} from "./children";

/** What two children p with the weights w add: RN(w·x), or +0 where a NaN is skipped. The product is masked: w may be infinite. */
@inline export function term<F>(p: v128, w: v128): v128 {
  if (idof<F>() == idof<Sum>()) return p;
  if (idof<F>() == idof<SumSkip>()) return v128.and(p, isNumber(p));
  if (idof<F>() == idof<WeightSkip>()) return v128.and(w, isNumber(p));
  const product = f64x2.mul(w, p);
  if (idof<F>() == idof<WeightedSum>() || idof<F>() == idof<Dot>()) return product;
  return v128.and(product, isNumber(p));
}

/** The fold over the first P pairs; the others are zero. Leaves lanes 0 and 1. */
@inline function fold<P>(a0: v128, a1: v128, a2: v128, a3: v128, a4: v128, a5: v128, a6: v128, a7: v128): v128 {
  if (offsetof<P>() > 4) a0 = f64x2.add(a0, a4);
  if (offsetof<P>() > 5) a1 = f64x2.add(a1, a5);
  if (offsetof<P>() > 6) a2 = f64x2.add(a2, a6);
  if (offsetof<P>() > 7) a3 = f64x2.add(a3, a7);
  if (offsetof<P>() > 2) a0 = f64x2.add(a0, a2);
  if (offsetof<P>() > 3) a1 = f64x2.add(a1, a3);
  if (offsetof<P>() > 1) a0 = f64x2.add(a0, a1);
  return a0;
}

/** The last addition of the fold. */
@inline function total(s: v128): f64 {
  return canonical(f64x2.extract_lane(s, 0) + f64x2.extract_lane(s, 1));
}

/** The last addition of two folds at once. */
@inline function totals(s: v128, t: v128): v128 {
  return canonicalPair(f64x2.add(v128.shuffle<f64>(s, t, 0, 2), v128.shuffle<f64>(s, t, 1, 3)));
}

/**
 * The term at pair K of a row of P pairs. An odd row's last pair holds one child and what lies after it, which is masked.
 * The branch is cheaper than a mask: V8 would build that again in every round.
 */
@inline function shortTerm<F, T, K, P>(x: usize, w: v128, odd: u32): v128 {
  if (offsetof<K>() >= offsetof<P>()) return i64x2.splat(0);
  let t = term<F>(pair<T, K>(x), w);
  if (offsetof<K>() + 1 == offsetof<P>()) {
    if (odd) t = v128.and(t, i64x2(-1, 0));
  }
  return t;
}

@inline function shortWeights<F, K, P>(w: usize): v128 {
  return offsetof<K>() < offsetof<P>() ? weights<F, K>(w) : i64x2.splat(0);
}

/** A row of P pairs, one term per lane: lanes 0 and 1 of its fold. */
@inline function shortRow<F, T, P>(
  x: usize, odd: u32, w0: v128, w1: v128, w2: v128, w3: v128, w4: v128, w5: v128, w6: v128, w7: v128,
): v128 {
  return fold<P>(
    shortTerm<F, T, P0, P>(x, w0, odd), shortTerm<F, T, P1, P>(x, w1, odd),
    shortTerm<F, T, P2, P>(x, w2, odd), shortTerm<F, T, P3, P>(x, w3, odd),
    shortTerm<F, T, P4, P>(x, w4, odd), shortTerm<F, T, P5, P>(x, w5, odd),
    shortTerm<F, T, P6, P>(x, w6, odd), shortTerm<F, T, P7, P>(x, w7, odd),
  );
}

/** The same with its own weights. */
@inline function shortRowAlone<F, T, P>(x: usize, w: usize, odd: u32): v128 {
  return shortRow<F, T, P>(
    x, odd, shortWeights<F, P0, P>(w), shortWeights<F, P1, P>(w), shortWeights<F, P2, P>(w), shortWeights<F, P3, P>(w),
    shortWeights<F, P4, P>(w), shortWeights<F, P5, P>(w), shortWeights<F, P6, P>(w), shortWeights<F, P7, P>(w),
  );
}

/** Dense rows of P pairs that share their weights, which stay in registers. Two rows at a time where registers suffice. */
@inline function shortRows<F, T, P>(x: usize, rows: u32, extent: u32, w: usize, out: usize): void {
  const odd = extent & 1;
  const size = extent * sizeof<T>();
  const w0 = shortWeights<F, P0, P>(w), w1 = shortWeights<F, P1, P>(w), w2 = shortWeights<F, P2, P>(w), w3 = shortWeights<F, P3, P>(w);
  const w4 = shortWeights<F, P4, P>(w), w5 = shortWeights<F, P5, P>(w), w6 = shortWeights<F, P6, P>(w), w7 = shortWeights<F, P7, P>(w);
  if (offsetof<P>() <= 4) {
    for (; rows >= 2; rows -= 2) {
      const s = shortRow<F, T, P>(x, odd, w0, w1, w2, w3, w4, w5, w6, w7);
      x += size;
      const t = shortRow<F, T, P>(x, odd, w0, w1, w2, w3, w4, w5, w6, w7);
      x += size;
      v128.store(out, totals(s, t));
      out += 16;
    }
  }
  for (; rows; rows--) {
    store<f64>(out, total(shortRow<F, T, P>(x, odd, w0, w1, w2, w3, w4, w5, w6, w7)));
    x += size;
    out += 8;
  }
}

/** Families of short rows that are worth code of their own for every length. */
@inline function isHot<F, T>(): bool {
  return isFloat<T>() && (idof<F>() == idof<Sum>() || idof<F>() == idof<WeightedSum>() || idof<F>() == idof<Dot>());
}

/** Rows of at most this many children have at most one term per lane. */
@inline const SHORT: u32 = 16;

/** Dense rows of 1 … 16 children that share their weights. */
@inline function shortLaneRows<F, T>(x: usize, rows: u32, extent: u32, w: usize, out: usize): void {
  switch ((extent + 1) >> 1) {
    case 1: return shortRows<F, T, P1>(x, rows, extent, w, out);
    case 2: return shortRows<F, T, P2>(x, rows, extent, w, out);
    case 3: return shortRows<F, T, P3>(x, rows, extent, w, out);
    case 4: return shortRows<F, T, P4>(x, rows, extent, w, out);
    case 5: return shortRows<F, T, P5>(x, rows, extent, w, out);
    case 6: return shortRows<F, T, P6>(x, rows, extent, w, out);
    case 7: return shortRows<F, T, P7>(x, rows, extent, w, out);
    case 8: return shortRows<F, T, P8>(x, rows, extent, w, out);
  }
}

/** A row of n ≤ 16 children. */
@inline function shortLaneRow<F, T>(x: usize, w: usize, n: u32): v128 {
  const odd = n & 1;
  switch ((n + 1) >> 1) {
    case 0: return f64x2.splat(0);
    case 1: return shortRowAlone<F, T, P1>(x, w, odd);
    case 2: return shortRowAlone<F, T, P2>(x, w, odd);
    case 3: return shortRowAlone<F, T, P3>(x, w, odd);
    case 4: return shortRowAlone<F, T, P4>(x, w, odd);
    case 5: return shortRowAlone<F, T, P5>(x, w, odd);
    case 6: return shortRowAlone<F, T, P6>(x, w, odd);
    case 7: return shortRowAlone<F, T, P7>(x, w, odd);
    default: return shortRowAlone<F, T, P8>(x, w, odd);
  }
}

/** The term of a single child at pair K. */
@inline function oddTerm<F, T, K>(x: usize, w: usize): v128 {
  return v128.and(term<F>(pair<T, K>(x), weights<F, K>(w)), i64x2(-1, 0));
}

/** A row of n > 16 children: whole steps of sixteen, then the rest pair by pair. */
@inline function longLaneRow<F, T>(x: usize, w: usize, n: u32): v128 {
  let q = quad<T, P0>(x);
  let a0 = term<F>(firstPair<T, P0>(q, x), weights<F, P0>(w)), a1 = term<F>(secondPair<T, P1>(q, x), weights<F, P1>(w));
  q = quad<T, P2>(x);
  let a2 = term<F>(firstPair<T, P2>(q, x), weights<F, P2>(w)), a3 = term<F>(secondPair<T, P3>(q, x), weights<F, P3>(w));
  q = quad<T, P4>(x);
  let a4 = term<F>(firstPair<T, P4>(q, x), weights<F, P4>(w)), a5 = term<F>(secondPair<T, P5>(q, x), weights<F, P5>(w));
  q = quad<T, P6>(x);
  let a6 = term<F>(firstPair<T, P6>(q, x), weights<F, P6>(w)), a7 = term<F>(secondPair<T, P7>(q, x), weights<F, P7>(w));
  x += 16 * sizeof<T>();
  if (readsWeights<F>()) w += 16 * weightBytes<F>();
  for (const end = x + (n & ~15) * sizeof<T>() - 16 * sizeof<T>(); x < end; x += 16 * sizeof<T>()) {
    q = quad<T, P0>(x);
    a0 = f64x2.add(a0, term<F>(firstPair<T, P0>(q, x), weights<F, P0>(w)));
    a1 = f64x2.add(a1, term<F>(secondPair<T, P1>(q, x), weights<F, P1>(w)));
    q = quad<T, P2>(x);
    a2 = f64x2.add(a2, term<F>(firstPair<T, P2>(q, x), weights<F, P2>(w)));
    a3 = f64x2.add(a3, term<F>(secondPair<T, P3>(q, x), weights<F, P3>(w)));
    q = quad<T, P4>(x);
    a4 = f64x2.add(a4, term<F>(firstPair<T, P4>(q, x), weights<F, P4>(w)));
    a5 = f64x2.add(a5, term<F>(secondPair<T, P5>(q, x), weights<F, P5>(w)));
    q = quad<T, P6>(x);
    a6 = f64x2.add(a6, term<F>(firstPair<T, P6>(q, x), weights<F, P6>(w)));
    a7 = f64x2.add(a7, term<F>(secondPair<T, P7>(q, x), weights<F, P7>(w)));
    if (readsWeights<F>()) w += 16 * weightBytes<F>();
  }
  if (n & 15) {
    switch (n & 15) { // an odd child has its pair to itself
      case 1: a0 = f64x2.add(a0, oddTerm<F, T, P0>(x, w)); break;
      case 3: a1 = f64x2.add(a1, oddTerm<F, T, P1>(x, w)); break;
      case 5: a2 = f64x2.add(a2, oddTerm<F, T, P2>(x, w)); break;
      case 7: a3 = f64x2.add(a3, oddTerm<F, T, P3>(x, w)); break;
      case 9: a4 = f64x2.add(a4, oddTerm<F, T, P4>(x, w)); break;
      case 11: a5 = f64x2.add(a5, oddTerm<F, T, P5>(x, w)); break;
      case 13: a6 = f64x2.add(a6, oddTerm<F, T, P6>(x, w)); break;
      case 15: a7 = f64x2.add(a7, oddTerm<F, T, P7>(x, w)); break;
    }
    switch ((n & 15) >> 1) {
      case 7: a6 = f64x2.add(a6, term<F>(pair<T, P6>(x), weights<F, P6>(w)));
      case 6: a5 = f64x2.add(a5, term<F>(pair<T, P5>(x), weights<F, P5>(w)));
      case 5: a4 = f64x2.add(a4, term<F>(pair<T, P4>(x), weights<F, P4>(w)));
      case 4: a3 = f64x2.add(a3, term<F>(pair<T, P3>(x), weights<F, P3>(w)));
      case 3: a2 = f64x2.add(a2, term<F>(pair<T, P2>(x), weights<F, P2>(w)));
      case 2: a1 = f64x2.add(a1, term<F>(pair<T, P1>(x), weights<F, P1>(w)));
      case 1: a0 = f64x2.add(a0, term<F>(pair<T, P0>(x), weights<F, P0>(w)));
    }
  }
  return fold<P8>(a0, a1, a2, a3, a4, a5, a6, a7);
}

/** One row of any length up to 4096. */
@inline function laneRow<F, T>(x: usize, w: usize, n: u32): f64 {
  return total(n <= SHORT ? shortLaneRow<F, T>(x, w, n) : longLaneRow<F, T>(x, w, n));
}

/** Rows of equal extent. Dense rows that are short and share their weights have loops of their own. */
export function laneRows<F, T>(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void {
  if (isHot<F, T>()) {
    if (extent && extent <= SHORT && !wstride) return shortLaneRows<F, T>(x, rows, extent, w, out);
  }
  const size = extent * sizeof<T>(), wsize = wstride * weightBytes<F>();
  for (; rows; rows--) {
    store<f64>(out, laneRow<F, T>(x, w, extent));
    x += size;
    w += wsize;
    out += 8;
  }
}

/** Rows by offsets. Families that are not hot have one copy of the row's code, in laneRows. */
export function raggedLaneRows<F, T>(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void {
  let start = load<u32>(offsets);
  for (; rows; rows--) {
    offsets += 4;
    const end = load<u32>(offsets);
    const data = x + start * sizeof<T>(), own = w + start * weightBytes<F>();
    if (isHot<F, T>()) store<f64>(out, laneRow<F, T>(data, own, end - start));
    else laneRows<F, T>(data, 1, end - start, own, 0, out);
    start = end;
    out += 8;
  }
}
