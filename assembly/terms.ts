/**
 * The terms of exact sums: an addend for each child, or the two factors of a product. What a family skips is +0, and so is its weight.
 */
import { Sum, SumSkip, WeightSkip, WeightedSum, WeightedSumSkip, isNumber } from "./children";

/** (x[0], y[0]). */
@inline export function oneOfEach<T>(x: usize, y: usize): v128 {
  if (isFloat<T>()) {
    if (sizeof<T>() == 8) return v128.load64_lane(y, v128.load64_zero(x), 1);
    return f64x2.promote_low_f32x4(v128.load32_lane(y, v128.load32_zero(x), 1));
  }
  return f64x2.replace_lane(f64x2.splat(<f64>load<T>(x)), 1, <f64>load<T>(y));
}

/** Whether F is a sum of products; else it is a sum of children, or of the weights of some. */
@inline export function hasProducts<F>(): bool {
  return idof<F>() == idof<WeightedSum>() || idof<F>() == idof<WeightedSumSkip>();
}

/** What is added, or the first factor of it. */
@inline export function addend<F>(x: v128, w: v128): v128 {
  if (idof<F>() == idof<WeightSkip>()) return v128.and(w, isNumber(x));
  if (idof<F>() == idof<SumSkip>() || idof<F>() == idof<WeightedSumSkip>()) return v128.and(x, isNumber(x));
  return x;
}

/** The second factor. Beside a skipped child it is +0: the weight may be infinite. */
@inline export function factor<F>(x: v128, w: v128): v128 {
  return idof<F>() == idof<WeightedSumSkip>() ? v128.and(w, isNumber(x)) : w;
}

/** One child: addend and factor as above. */
@inline export function addendOf<F, T>(x: usize, w: usize): f64 {
  const v = <f64>load<T>(x);
  if (idof<F>() == idof<WeightSkip>()) return v == v ? load<f64>(w) : 0;
  if (idof<F>() == idof<SumSkip>() || idof<F>() == idof<WeightedSumSkip>()) return v == v ? v : 0;
  return v;
}

@inline export function factorOf<F, T>(x: usize, w: usize): f64 {
  if (idof<F>() == idof<WeightedSumSkip>()) {
    const v = <f64>load<T>(x);
    if (v != v) return 0;
  }
  return load<f64>(w);
}
