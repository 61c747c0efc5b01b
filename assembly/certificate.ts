/** What the ranges of a block's children and weights say of its terms: whether they are float64, and in how many bins they add up exactly. */
import { WeightSkip } from "./children";
import { binOf, fitsOneBin, fitsTwoBins } from "./bins";
import { bitsOf, lowestOf, productRange, rangeOf, topOf } from "./range";
import { hasProducts } from "./terms";

/** The range of the terms: as real numbers, if they are products. */
@inline export function rangeOfTerms<F>(xr: i64, wr: i64): i64 {
  if (idof<F>() == idof<WeightSkip>()) return wr;
  return hasProducts<F>() ? productRange(xr, wr) : xr;
}

/** Whether the terms are float64, but for underflow. */
@inline export function areNumbers<F>(range: i64): bool {
  return !hasProducts<F>() || bitsOf(range) <= 53;
}

/** The range of children, if anything but whether they are NaN matters. */
@inline export function childrenRange<F, T>(x: usize, n: u32): i64 {
  return idof<F>() == idof<WeightSkip>() ? 0 : rangeOf<F, T>(x, n);
}

/** Bins that are certain to do for the terms: 1, 2, or 0 for neither. */
@inline export function binsFor<F>(range: i64, k: i32): i32 {
  if (!areNumbers<F>(range)) return 0;
  const l = lowestOf(range);
  return fitsOneBin(topOf(range), l, k) ? 1 : fitsTwoBins(binOf(topOf(range), k), l, k) ? 2 : 0;
}
