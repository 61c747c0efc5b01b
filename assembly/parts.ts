/**
 * Exact sums that are not rounded: what a quotient of two is made of (contract clause 6, accuracy "exact"). Three float64 for each row:
 *
 *   [H, L, flag]   flag 1: the sum is H + L exactly, and H is the sum rounded
 *                  flag 3: it is H + L within 2^-104·|H|
 *                  flag 2: it is NaN    flag 0: none of these; H is the sum rounded
 */
import { collect, joined } from "./blocks";
import { readsWeights } from "./children";
import { anyRow } from "./exact";
import { rangeOfWeights } from "./range";
import { PARTIALS } from "./scratch";
import { sumErrorOf } from "./steps";

/** Bytes of one row's parts. */
@inline const PARTS_BYTES: u32 = 24;

@inline function put(out: usize, high: f64, low: f64, flag: f64): void {
  store<f64>(out, high == high ? high + 0 : NaN);
  store<f64>(out, low, 8);
  store<f64>(out, flag, 16);
}

/** The sum of n numbers at x as H + L, exactly or within 2^-104·|H|, if three terms hold it. */
function ofThree(x: usize, n: u32, out: usize): bool {
  let s: f64 = 0, c: f64 = 0, d: f64 = 0, lost = false;
  for (; n; n--) {
    const v = load<f64>(x);
    const sum = s + v, t = sumErrorOf(s, v, sum);
    const lower = c + t, rest = sumErrorOf(c, t, lower);
    const lowest = d + rest;
    lost = lost || sumErrorOf(d, rest, lowest) != 0;
    s = sum;
    c = lower;
    d = lowest;
    x += 8;
  }
  const cd = c + d, rest = sumErrorOf(c, d, cd);
  const high = s + cd, t = sumErrorOf(s, cd, high);
  const low = t + rest;
  if (lost || !(abs(low) <= abs(high) * 4.440892098500626e-16)) return false;
  // What the addition of low lost is at most 2^-53·|low|; where it lost nothing, high + low is the sum, and can be made to begin with its RN.
  const exact = sumErrorOf(t, rest, low) == 0;
  const whole = high + low;
  put(out, exact ? whole : high, exact ? sumErrorOf(high, low, whole) : low, exact ? 1 : 3);
  return true;
}

/** One row of n children. */
function partsRow<F, T>(x: usize, w: usize, n: u32, shared: bool, wr: i64, out: usize, scratch: usize): void {
  const at = scratch + PARTIALS;
  let made = collect<F, T>(x, w, n, shared, wr, scratch);
  if (made > 2 && joined(made, scratch)) made = 2;
  if (made > 2) {
    if (ofThree(at, made, out)) return;
    made = -1;
  }
  if (made >= 0) {
    const a = made > 0 ? load<f64>(at) : 0, b = made > 1 ? load<f64>(at, 8) : 0;
    const high = a + b;
    if (high - high == 0) return put(out, high, sumErrorOf(a, b, high), 1);
  }
  const sum = anyRow<F, T>(x, w, n, scratch);
  put(out, sum, 0, sum == sum ? 0 : 2);
}

/** Rows of equal extent, one after another; row r's weights start at weight r·wstride of w. */
@inline export function partsDense<F, T>(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void {
  const wr: i64 = readsWeights<F>() && !wstride && extent ? rangeOfWeights(w, extent) : 0;
  for (; rows; rows--) {
    partsRow<F, T>(x, w, extent, !wstride, wr, out, scratch);
    x += extent * sizeof<T>();
    w += wstride * 8;
    out += PARTS_BYTES;
  }
}

/** Row r holds the children offsets[r] … offsets[r + 1] − 1 of x, and their weights. */
@inline export function partsRagged<F, T>(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void {
  let start = load<u32>(offsets);
  for (; rows; rows--) {
    offsets += 4;
    const end = load<u32>(offsets);
    partsRow<F, T>(x + start * sizeof<T>(), w + start * 8, end - start, false, 0, out, scratch);
    start = end;
    out += PARTS_BYTES;
  }
}
