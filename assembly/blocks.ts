/**
 * Exact sums of rows in blocks (contract clause 11): the range of a block's values says which of these is exact, and so needs no account
 * of errors.
 *
 *   one bin      plain lanes, as at level f of rows: prices, counts, quantised data
 *   two bins     bins.ts: other data whose products are float64, which float32 times float32 always are
 *   many bins    the same over a copy of the terms; a product that is no float64 is two terms. For rows of HARD_MIN children and more
 *
 * Short rows share a block, and what is left of them goes through the stages of exact.ts, row by row. The blocks of a long row leave one
 * number or a few each, whose exact sum is the row's; those are rounded once.
 */
import { Sum, WeightSkip, canonical, pair, P0, readsWeights, weights } from "./children";
import { binOf, fitsOneBin, fitsTwoBins, logOf, manyBins, sigmaOf, twoBins } from "./bins";
import { exactRow, goTogether, settle, superaccumulated, twoExactRows } from "./exact";
import { integerSum } from "./integers";
import { laneRows, raggedLaneRows } from "./lanes";
import { bitsOf, leastOf, lowestOf, productRange, rangeOf, rangeOfWeights, topOf } from "./range";
import { HARD_MAX, MORE_TERMS, PARTIALS, PARTIALS_MAX, SLOW_BLOCKS, TERMS, count } from "./scratch";
import { isNarrow, productError, upper } from "./steps";
import { addend, factor, hasProducts } from "./terms";

/** Children of a block: with their weights they stay in the first-level cache from the scan to the sum. */
@inline const BLOCK: u32 = 2048;

/** Shorter rows without a certificate are faster by exact.ts. */
@inline const HARD_MIN: u32 = 96;

// ---- Certificates --------------------------------------------------------------------------------------------------------

/** The range of the terms: as real numbers, if they are products. */
@inline function rangeOfTerms<F>(xr: i64, wr: i64): i64 {
  if (idof<F>() == idof<WeightSkip>()) return wr;
  return hasProducts<F>() ? productRange(xr, wr) : xr;
}

/** Whether the terms are float64, but for underflow. */
@inline function areNumbers<F>(range: i64): bool {
  return !hasProducts<F>() || bitsOf(range) <= 53;
}

/** The range of children, if anything but whether they are NaN matters. */
@inline function childrenRange<F, T>(x: usize, n: u32): i64 {
  return idof<F>() == idof<WeightSkip>() ? 0 : rangeOf<F, T>(x, n);
}

/** Bins that are certain to do for the terms: 1, 2, or 0 for neither. */
@inline function binsFor<F>(range: i64, k: i32): i32 {
  if (!areNumbers<F>(range)) return 0;
  const l = lowestOf(range);
  return fitsOneBin(topOf(range), l, k) ? 1 : fitsTwoBins(binOf(topOf(range), k), l, k) ? 2 : 0;
}

// ---- Hard blocks ---------------------------------------------------------------------------------------------------------

/** Larger factors overflow where they are split; so would sums of products from here on. */
@inline const SPLIT_MAX: i32 = 990;
@inline const PRODUCT_TOP_MAX: i32 = 1020;

/** Writes the terms of n children to a and, of products that are no float64, what is left of them to b. A zero follows an odd n. */
@inline function writeTerms<F, T>(x: usize, w: usize, n: u32, a: usize, b: usize, numbers: bool): void {
  for (; n; n -= min<u32>(n, 2)) {
    let v = pair<T, P0>(x);
    let u = weights<F, P0>(w);
    const first = addend<F>(v, u), second = factor<F>(v, u);
    v = first;
    u = second;
    if (n == 1) {
      v = v128.and(v, i64x2(-1, 0));
      u = v128.and(u, i64x2(-1, 0));
    }
    if (!hasProducts<F>()) v128.store(a, v);
    else {
      const product = f64x2.mul(v, u);
      if (numbers) v128.store(a, product);
      else if (isNarrow<T>()) {
        const high = upper(u);
        v128.store(a, f64x2.mul(v, high));
        v128.store(b, f64x2.mul(v, f64x2.sub(u, high)));
      } else {
        v128.store(a, product);
        v128.store(b, productError<T>(v, u, product));
      }
      b += 16;
    }
    a += 16;
    x += 2 * sizeof<T>();
    w += 16;
  }
}

/**
 * The sum of at most HARD_MAX children as numbers from `out` on; returns how many, or 0 if it cannot be had like this.
 * A product that is no float64 is two terms. Narrow children: x·wh and x·wl, where w = wh + wl, wh is a multiple of
 * 2^(M − 25) if |w| ≥ 2^M, and |wl| ≤ 2^-27·2^E if |w| < 2^E. Others: the rounded product, a multiple of its own last place, and its error.
 */
function hardTerms<F, T>(x: usize, w: usize, n: u32, xr: i64, wr: i64, out: usize, scratch: usize): u32 {
  const range = rangeOfTerms<F>(xr, wr);
  const e = topOf(range), l = lowestOf(range), k = logOf(n);
  const numbers = areNumbers<F>(range);
  if (l < -1074 || e > PRODUCT_TOP_MAX) return 0;
  const a = scratch + TERMS, b = scratch + MORE_TERMS;
  if (numbers) {
    writeTerms<F, T>(x, w, n, a, b, true);
    return manyBins(a, n, e, l, k, out);
  }
  if (topOf(xr) > SPLIT_MAX || topOf(wr) > SPLIT_MAX) return 0;
  writeTerms<F, T>(x, w, n, a, b, false);
  const lowest = isNarrow<T>() ? lowestOf(xr) + max(leastOf(wr) - 25, lowestOf(wr)) : max(l, leastOf(range) - 52);
  const made = manyBins(a, n, e, lowest, k, out);
  if (!made) return 0;
  const more = manyBins(b, n, e - (isNarrow<T>() ? 27 : 53), l, k, out + made * 8);
  return more ? made + more : 0;
}

// ---- Rows ----------------------------------------------------------------------------------------------------------------

/** Numbers that a block may leave: two sums of terms for each half, PASSES_MAX + 2 numbers for each of those. */
@inline const MADE_MAX: u32 = 64;

/** Rounds the sum of what blocks left. */
function rounded(made: u32, scratch: usize): f64 {
  const at = scratch + PARTIALS;
  if (made > 2) {
    if (!joined(made, scratch)) return settle<Sum, f64>(at, 0, made, scratch);
    made = 2;
  }
  return canonical(made == 2 ? load<f64>(at) + load<f64>(at, 8) : made ? load<f64>(at) : 0);
}

/** Makes two numbers of many, if two bins do. */
function joined(made: u32, scratch: usize): bool {
  const at = scratch + PARTIALS;
  const range = rangeOf<Sum, f64>(at, made);
  const k = logOf(made), m = binOf(topOf(range), k);
  if (!fitsTwoBins(m, lowestOf(range), k)) return false;
  twoBins<Sum, f64>(at, 0, made, sigmaOf(m), at);
  return true;
}

/** A row that has its blocks to itself. `wr`: the range of all its weights, where others share them. */
function longRow<F, T>(x: usize, w: usize, n: u32, shared: bool, wr: i64, scratch: usize): f64 {
  let made: u32 = 0;
  let at = x, v = w;
  for (let left = n; left; ) {
    if (made > PARTIALS_MAX - MADE_MAX) {
      if (!joined(made, scratch)) return superaccumulated<F, T>(x, w, n, scratch);
      made = 2;
    }
    const m = min(left, BLOCK);
    const xr = childrenRange<F, T>(at, m);
    if (readsWeights<F>() && !shared) wr = rangeOfWeights(v, m);
    const range = rangeOfTerms<F>(xr, wr);
    const k = logOf(m);
    const bins = binsFor<F>(range, k);
    const out = scratch + PARTIALS + made * 8;
    if (bins == 1) {
      laneRows<F, T>(at, 1, m, v, 0, out);
      made++;
    } else if (bins == 2) {
      twoBins<F, T>(at, v, m, sigmaOf(binOf(topOf(range), k)), out);
      made += 2;
    } else {
      count(scratch, SLOW_BLOCKS);
      const more = hardRow<F, T>(at, v, m, xr, wr, out, scratch);
      if (!more) return superaccumulated<F, T>(x, w, n, scratch);
      made += more;
    }
    left -= m;
    at += m * sizeof<T>();
    if (readsWeights<F>()) v += m * 8;
  }
  return rounded(made, scratch);
}

/** As hardTerms, for at most BLOCK children. */
function hardRow<F, T>(x: usize, w: usize, n: u32, xr: i64, wr: i64, out: usize, scratch: usize): u32 {
  let made: u32 = 0;
  while (n) {
    const m = min(n, HARD_MAX);
    const more = hardTerms<F, T>(x, w, m, xr, wr, out + made * 8, scratch);
    if (!more) return 0;
    made += more;
    n -= m;
    x += m * sizeof<T>();
    w += m * 8;
  }
  return made;
}

/** A row without a certificate; its block's ranges. */
@inline function slowRow<F, T>(x: usize, w: usize, n: u32, xr: i64, wr: i64, out: usize, scratch: usize): void {
  if (n < HARD_MIN) exactRow<F, T>(x, w, n, out, scratch);
  else {
    const made = hardRow<F, T>(x, w, n, xr, wr, scratch + PARTIALS, scratch);
    store<f64>(out, made ? rounded(made, scratch) : superaccumulated<F, T>(x, w, n, scratch));
  }
}

/** One row in two bins. */
@inline function twoBinRow<F, T>(x: usize, w: usize, n: u32, sigma: f64, out: usize, scratch: usize): void {
  const at = scratch + PARTIALS;
  twoBins<F, T>(x, w, n, sigma, at);
  store<f64>(out, canonical(load<f64>(at) + load<f64>(at, 8)));
}

/**
 * Whether a scan of short rows would be in vain: of float64 products with weights of many bits, few are float64. Longer rows want the
 * ranges all the same.
 */
@inline function scansInVain<F, T>(n: u32, wr: i64): bool {
  return hasProducts<F>() && isFloat<T>() && sizeof<T>() == 8 && n < HARD_MIN && bitsOf(wr) > 29;
}

/** Rows of n children that make one block. */
function denseBlock<F, T>(x: usize, rows: u32, n: u32, w: usize, wstride: u32, wr: i64, out: usize, scratch: usize): void {
  if (readsWeights<F>() && wstride) wr = rangeOfWeights(w, rows * n);
  const k = logOf(n), size = n * sizeof<T>(), wsize = wstride * 8;
  let xr: i64 = 0;
  if (!scansInVain<F, T>(n, wr)) {
    xr = childrenRange<F, T>(x, rows * n);
    const range = rangeOfTerms<F>(xr, wr);
    const bins = binsFor<F>(range, k);
    if (bins == 1) return laneRows<F, T>(x, rows, n, w, wstride, out);
    if (bins == 2) {
      const sigma = sigmaOf(binOf(topOf(range), k));
      for (; rows; rows--) {
        twoBinRow<F, T>(x, w, n, sigma, out, scratch);
        x += size;
        w += wsize;
        out += 8;
      }
      return;
    }
  }
  count(scratch, SLOW_BLOCKS);
  if (goTogether<F, T>(n)) {
    for (; rows >= 2; rows -= 2) {
      twoExactRows<F, T>(x, x + size, w, w + wsize, n, out, scratch);
      x += 2 * size;
      w += 2 * wsize;
      out += 16;
    }
  }
  for (; rows; rows--) {
    slowRow<F, T>(x, w, n, xr, wr, out, scratch);
    x += size;
    w += wsize;
    out += 8;
  }
}

/** Rows of equal extent, one after another; row r's weights start at weight r·wstride of w. */
@inline export function exactDense<F, T>(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void {
  const size = extent * sizeof<T>(), wsize = wstride * 8;
  if ((!isFloat<T>() && !hasProducts<F>()) || extent <= (hasProducts<F>() ? 1 : 2)) {
    for (; rows; rows--) {
      if (!isFloat<T>() && !hasProducts<F>()) store<f64>(out, <f64>integerSum<T>(x, extent));
      else exactRow<F, T>(x, w, extent, out, scratch);
      x += size;
      w += wsize;
      out += 8;
    }
    return;
  }
  const wr: i64 = readsWeights<F>() && !wstride ? rangeOfWeights(w, extent) : 0;
  if (extent > BLOCK) {
    for (; rows; rows--) {
      store<f64>(out, longRow<F, T>(x, w, extent, !wstride, wr, scratch));
      x += size;
      w += wsize;
      out += 8;
    }
    return;
  }
  // Rows that share weights, or whose weights lie one after another, may share a block.
  const perBlock = !wstride || wstride == extent ? BLOCK / extent : 1;
  while (rows) {
    const some = min(rows, perBlock);
    denseBlock<F, T>(x, some, extent, w, wstride, wr, out, scratch);
    rows -= some;
    x += some * size;
    w += some * wsize;
    out += some * 8;
  }
}

/** Rows by offsets that make one block: `n` children in all, the longest row has `longest`. */
function raggedBlock<F, T>(x: usize, offsets: usize, rows: u32, n: u32, longest: u32, w: usize, out: usize, scratch: usize): void {
  let start = load<u32>(offsets);
  const k = logOf(longest), data = x + start * sizeof<T>();
  const wr: i64 = readsWeights<F>() ? rangeOfWeights(w + start * 8, n) : 0;
  const xr: i64 = childrenRange<F, T>(data, n);
  const range = rangeOfTerms<F>(xr, wr);
  const bins = binsFor<F>(range, k);
  if (bins == 1) return raggedLaneRows<F, T>(x, offsets, rows, w, out);
  const sigma = bins ? sigmaOf(binOf(topOf(range), k)) : 0;
  if (!bins) count(scratch, SLOW_BLOCKS);
  for (; rows; rows--) {
    offsets += 4;
    const end = load<u32>(offsets);
    if (bins) twoBinRow<F, T>(x + start * sizeof<T>(), w + start * 8, end - start, sigma, out, scratch);
    else slowRow<F, T>(x + start * sizeof<T>(), w + start * 8, end - start, xr, wr, out, scratch);
    start = end;
    out += 8;
  }
}

/** Row r holds the children offsets[r] … offsets[r + 1] − 1 of x, and their weights. */
@inline export function exactRagged<F, T>(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void {
  while (rows) {
    const start = load<u32>(offsets);
    let end = load<u32>(offsets, 4);
    let longest = end - start;
    if (!isFloat<T>() && !hasProducts<F>()) {
      store<f64>(out, <f64>integerSum<T>(x + start * sizeof<T>(), longest));
      offsets += 4; rows--; out += 8;
      continue;
    }
    if (longest > BLOCK) {
      store<f64>(out, longRow<F, T>(x + start * sizeof<T>(), w + start * 8, longest, false, 0, scratch));
      offsets += 4; rows--; out += 8;
      continue;
    }
    let some: u32 = 1;
    for (; some < rows; some++) {
      const next = load<u32>(offsets + some * 4, 4);
      if (next - start > BLOCK) break;
      longest = max(longest, next - end);
      end = next;
    }
    if (end == start) memory.fill(out, 0, some * 8);
    else raggedBlock<F, T>(x, offsets, some, end - start, longest, w, out, scratch);
    offsets += some * 4;
    rows -= some;
    out += some * 8;
  }
}
