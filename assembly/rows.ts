/** The row loops. Every kernel is one of the two; which code a row gets is decided by the family's type tag. */
import {
  CountSkip, Dot, ExactSum, ExactSumSkip, ExactWeightSkip, ExactWeightedSum, ExactWeightedSumSkip,
  Moments, MomentsSkip, Product, Sum, SumSkip, WeightSkip, WeightedSum, WeightedSumSkip, weightBytes,
} from "./children";
import { exactRow, goTogether, integerSum, twoExactRows } from "./exact";
import { countNumbers, extremeRow } from "./extremes";
import { SHORT, laneRow, shortLaneRows } from "./lanes";
import { MOMENTS_BYTES, momentsRow } from "./moments";
import { PRODUCT_BYTES, productRow } from "./products";

@inline function isLanes<F, T>(): bool {
  if (!isFloat<T>() && idof<F>() == idof<Sum>()) return false; // exact in any order
  return (
    idof<F>() == idof<Sum>() || idof<F>() == idof<WeightedSum>() || idof<F>() == idof<SumSkip>() ||
    idof<F>() == idof<WeightedSumSkip>() || idof<F>() == idof<WeightSkip>() || idof<F>() == idof<Dot>()
  );
}

/** Families whose rows are inlined into both row loops, and which have loops of their own for short dense rows. */
@inline function isHot<F, T>(): bool {
  return isFloat<T>() && (idof<F>() == idof<Sum>() || idof<F>() == idof<WeightedSum>() || idof<F>() == idof<Dot>());
}

/** Bytes that one row writes. */
@inline function resultBytes<F>(): u32 {
  if (idof<F>() == idof<Product>()) return PRODUCT_BYTES;
  return idof<F>() == idof<Moments>() || idof<F>() == idof<MomentsSkip>() ? MOMENTS_BYTES : 8;
}

/** One row of n children at x, with weights at w, into out. Returns 1 if its fast path was in doubt. */
@inline function row<F, T>(x: usize, w: usize, n: u32, out: usize, scratch: usize): i32 {
  if (!isHot<F, T>()) return calledRow<F, T>(x, w, n, out, scratch);
  store<f64>(out, laneRow<F, T>(x, w, n));
  return 0;
}

function calledRow<F, T>(x: usize, w: usize, n: u32, out: usize, scratch: usize): i32 {
  if (idof<F>() == idof<ExactSum>()) return exactRow<Sum, T>(x, w, n, out, scratch);
  if (idof<F>() == idof<ExactWeightedSum>()) return exactRow<WeightedSum, T>(x, w, n, out, scratch);
  if (idof<F>() == idof<ExactSumSkip>()) return exactRow<SumSkip, T>(x, w, n, out, scratch);
  if (idof<F>() == idof<ExactWeightedSumSkip>()) return exactRow<WeightedSumSkip, T>(x, w, n, out, scratch);
  if (idof<F>() == idof<ExactWeightSkip>()) return exactRow<WeightSkip, T>(x, w, n, out, scratch);
  if (isLanes<F, T>()) store<f64>(out, laneRow<F, T>(x, w, n));
  else if (idof<F>() == idof<Sum>()) store<f64>(out, <f64>integerSum<T>(x, n));
  else if (idof<F>() == idof<CountSkip>()) store<f64>(out, <f64>countNumbers<T>(x, n));
  else if (resultBytes<F>() == MOMENTS_BYTES) momentsRow<F, T>(x, n, out);
  else if (idof<F>() == idof<Product>()) productRow(x, n, out);
  else store<f64>(out, extremeRow<F, T>(x, n));
  return 0;
}

/** Two rows of the exact families. */
@inline function twoRows<F, T>(x: usize, y: usize, v: usize, w: usize, n: u32, out: usize, scratch: usize): i32 {
  if (idof<F>() == idof<ExactSum>()) return twoExactRows<Sum, T>(x, y, v, w, n, out, scratch);
  if (idof<F>() == idof<ExactWeightedSum>()) return twoExactRows<WeightedSum, T>(x, y, v, w, n, out, scratch);
  if (idof<F>() == idof<ExactSumSkip>()) return twoExactRows<SumSkip, T>(x, y, v, w, n, out, scratch);
  if (idof<F>() == idof<ExactWeightedSumSkip>()) return twoExactRows<WeightedSumSkip, T>(x, y, v, w, n, out, scratch);
  if (idof<F>() == idof<ExactWeightSkip>()) return twoExactRows<WeightSkip, T>(x, y, v, w, n, out, scratch);
  return 0;
}

/** Whether dense rows of n children go two at a time, one per SIMD lane. */
@inline function inTwos<F, T>(n: u32): bool {
  if (idof<F>() == idof<ExactSum>()) return goTogether<Sum, T>(n);
  if (idof<F>() == idof<ExactWeightedSum>()) return goTogether<WeightedSum, T>(n);
  if (idof<F>() == idof<ExactSumSkip>()) return goTogether<SumSkip, T>(n);
  if (idof<F>() == idof<ExactWeightedSumSkip>()) return goTogether<WeightedSumSkip, T>(n);
  if (idof<F>() == idof<ExactWeightSkip>()) return goTogether<WeightSkip, T>(n);
  return false;
}

/** Rows of equal extent, one after another; row r's weights start at weight r·wstride of w. Returns how many rows were in doubt. */
@inline export function dense<F, T>(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): i32 {
  const size = extent * sizeof<T>();
  const wsize = wstride * weightBytes<F>();
  let doubts = 0;
  if (isHot<F, T>()) {
    if (extent && extent <= SHORT && !wstride) {
      shortLaneRows<F, T>(x, rows, extent, w, out);
      return 0;
    }
  }
  if (inTwos<F, T>(extent)) {
    for (; rows >= 2; rows -= 2) {
      doubts += twoRows<F, T>(x, x + size, w, w + wsize, extent, out, scratch);
      x += 2 * size;
      w += 2 * wsize;
      out += 16;
    }
  }
  for (; rows; rows--) {
    doubts += row<F, T>(x, w, extent, out, scratch);
    x += size;
    w += wsize;
    out += resultBytes<F>();
  }
  return doubts;
}

/** Row r holds the children offsets[r] … offsets[r + 1] − 1 of x, and their weights. Returns how many rows were in doubt. */
@inline export function ragged<F, T>(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): i32 {
  let doubts = 0;
  let start = load<u32>(offsets);
  for (; rows; rows--) {
    offsets += 4;
    const end = load<u32>(offsets);
    doubts += row<F, T>(x + start * sizeof<T>(), w + start * weightBytes<F>(), end - start, out, scratch);
    start = end;
    out += resultBytes<F>();
  }
  return doubts;
}
