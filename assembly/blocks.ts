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
import { Sum, canonical, readsWeights } from "./children";
import { MANY_MAX, binOf, fitsTwoBins, logOf, sigmaOf, twoBins } from "./bins";
import { binsFor, childrenRange, rangeOfTerms } from "./certificate";
import { anyRow, firstTry, firstTryOfTwo, goTogether, settle, single, singleMax } from "./exact";
import { hardTerms } from "./hard";
import { integerSum } from "./integers";
import { laneRows, raggedLaneRows } from "./lanes";
import { bitsOf, lowestOf, rangeOf, rangeOfWeights, topOf } from "./range";
import { HARD_MAX, PARTIALS, PARTIALS_MAX, SLOW_BLOCKS, count } from "./scratch";
import { hasProducts } from "./terms";

/** Children of a block: with their weights they stay in the first-level cache from the scan to the sum. */
@inline const BLOCK: u32 = 2048;

/** Shorter rows without a certificate are faster by exact.ts. */
@inline const HARD_MIN: u32 = 96;

/** Shorter rows that are in doubt are faster by three terms. */
@inline const DOUBT_MIN: u32 = 20;

// ---- Rows ----------------------------------------------------------------------------------------------------------------

/** Numbers that a block may leave: for the upper and the lower terms of each half. */
@inline const MADE_MAX: u32 = (2 * MANY_MAX * BLOCK) / HARD_MAX;

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
export function joined(made: u32, scratch: usize): bool {
  const at = scratch + PARTIALS;
  const range = rangeOf<Sum, f64>(at, made);
  const k = logOf(made), m = binOf(topOf(range), k);
  if (!fitsTwoBins(m, lowestOf(range), k)) return false;
  twoBins<Sum, f64>(at, 0, made, sigmaOf(m), at);
  return true;
}

/**
 * Leaves what the blocks of a row come to at PARTIALS and returns how many numbers those are, or −1 if bins will not do.
 * `wr`: the range of all its weights, where others share them.
 */
export function collect<F, T>(x: usize, w: usize, n: u32, shared: bool, wr: i64, scratch: usize): i32 {
  let made: u32 = 0;
  for (let left = n; left; ) {
    if (made > PARTIALS_MAX - MADE_MAX) {
      if (!joined(made, scratch)) return -1;
      made = 2;
    }
    const m = min(left, BLOCK);
    const xr = childrenRange<F, T>(x, m);
    if (readsWeights<F>() && !shared) wr = rangeOfWeights(w, m);
    const range = rangeOfTerms<F>(xr, wr);
    const k = logOf(m);
    const bins = binsFor<F>(range, k);
    const out = scratch + PARTIALS + made * 8;
    if (bins == 1) {
      if (!isFloat<T>() && !hasProducts<F>()) store<f64>(out, <f64>integerSum<T>(x, m));
      else laneRows<F, T>(x, 1, m, w, 0, out);
      made++;
    } else if (bins == 2) {
      twoBins<F, T>(x, w, m, sigmaOf(binOf(topOf(range), k)), out);
      made += 2;
    } else {
      count(scratch, SLOW_BLOCKS);
      const more = hardTerms<F, T>(x, w, m, xr, wr, out, scratch);
      if (!more) return -1;
      made += more;
    }
    left -= m;
    x += m * sizeof<T>();
    if (readsWeights<F>()) w += m * 8;
  }
  return made;
}

/** A row that has its blocks to itself. */
function longRow<F, T>(x: usize, w: usize, n: u32, shared: bool, wr: i64, scratch: usize): f64 {
  const made = collect<F, T>(x, w, n, shared, wr, scratch);
  return made >= 0 ? rounded(made, scratch) : anyRow<F, T>(x, w, n, scratch);
}

/** A row that stage 1 was in doubt about. */
function inDoubt<F, T>(x: usize, w: usize, n: u32, scratch: usize): f64 {
  if (n >= DOUBT_MIN) {
    const wr: i64 = readsWeights<F>() ? rangeOfWeights(w, n) : 0;
    const made = hardTerms<F, T>(x, w, n, childrenRange<F, T>(x, n), wr, scratch + PARTIALS, scratch);
    if (made) return rounded(made, scratch);
  }
  return settle<F, T>(x, w, n, scratch);
}

/** A row without a certificate; its block's ranges. */
function slowRow<F, T>(x: usize, w: usize, n: u32, xr: i64, wr: i64, out: usize, scratch: usize): void {
  let sum: f64;
  if (n <= singleMax<F>()) sum = single<F, T>(x, w, n);
  else if (n < HARD_MIN) {
    sum = firstTry<F, T>(x, w, n);
    if (sum != sum) sum = inDoubt<F, T>(x, w, n, scratch);
  } else {
    const made = hardTerms<F, T>(x, w, n, xr, wr, scratch + PARTIALS, scratch);
    sum = made ? rounded(made, scratch) : anyRow<F, T>(x, w, n, scratch);
  }
  store<f64>(out, sum);
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
      const doubts = firstTryOfTwo<F, T>(x, x + size, w, w + wsize, n, out);
      if (doubts & 1) store<f64>(out, inDoubt<F, T>(x, w, n, scratch));
      if (doubts & 2) store<f64>(out, inDoubt<F, T>(x + size, w + wsize, n, scratch), 8);
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
  if ((!isFloat<T>() && !hasProducts<F>()) || extent <= singleMax<F>()) {
    for (; rows; rows--) {
      if (!isFloat<T>() && !hasProducts<F>()) store<f64>(out, <f64>integerSum<T>(x, extent));
      else store<f64>(out, single<F, T>(x, w, extent));
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
