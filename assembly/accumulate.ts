/**
 * Terms into a sum that outlives the call: a superaccumulator's chunks, then how many NaN, +Infinity and −Infinity it counts, all i64.
 * Blocks that bins hold leave it a number or a few each; others go in term by term. Only the sum's own memory is there to write to, so
 * what a block comes to lies in its first chunks for a moment, and what they held in registers.
 */
import { CHUNKS_BYTES, addNumber, addProduct, carry } from "./accumulator";
import { binOf, fitsTwoBins, logOf, sigmaOf, twoBins } from "./bins";
import { areNumbers, rangeOfTerms } from "./certificate";
import { Sum, WeightedSum } from "./children";
import { fitsFourBins } from "./hard";
import { lowestOf, rangeOf, rangeOfWeights, topOf } from "./range";

@inline const NANS: u32 = CHUNKS_BYTES;

/** Children of a block, as in blocks.ts. */
@inline const BLOCK: u32 = 2048;

/** Blocks between two calls of carry: far fewer terms than ADDS_MAX. */
@inline const CARRY_MASK: u32 = (1 << 14) - 1;

/** Counts a term that is not finite. */
@inline function addSpecial(sum: usize, x: f64): void {
  const at = sum + NANS + (x != x ? 0 : x > 0 ? 8 : 16);
  store<i64>(at, load<i64>(at) + 1);
}

/** Term by term. */
function addEach<F, T>(x: usize, w: usize, n: u32, sum: usize): void {
  for (; n; n--) {
    const v = <f64>load<T>(x);
    if (idof<F>() == idof<WeightedSum>()) {
      const u = load<f64>(w);
      if (v - v == 0 && u - u == 0) addProduct(sum, u, v);
      else addSpecial(sum, u * v);
      w += 8;
    } else if (v - v == 0) addNumber(sum, v);
    else addSpecial(sum, v);
    x += sizeof<T>();
  }
}

/** A block by bins, or false. */
@inline function addByBins<F, T>(x: usize, w: usize, n: u32, sum: usize): bool {
  const wr: i64 = idof<F>() == idof<WeightedSum>() ? rangeOfWeights(w, n) : 0;
  const xr = rangeOf<F, T>(x, n);
  const range = rangeOfTerms<F>(xr, wr);
  const numbers = areNumbers<F>(range), k = logOf(n);
  const m = binOf(topOf(range), k);
  if (numbers && !fitsTwoBins(m, lowestOf(range), k)) return false;
  const a = load<i64>(sum), b = load<i64>(sum, 8), c = load<i64>(sum, 16), d = load<i64>(sum, 24);
  let fits = numbers;
  if (numbers) twoBins<F, T>(x, w, n, sigmaOf(m), sum);
  else if (idof<F>() == idof<WeightedSum>()) fits = fitsFourBins<F, T>(x, w, n, xr, wr, sum);
  const p = load<f64>(sum), q = load<f64>(sum, 8), r = load<f64>(sum, 16), s = load<f64>(sum, 24);
  store<i64>(sum, a);
  store<i64>(sum, b, 8);
  store<i64>(sum, c, 16);
  store<i64>(sum, d, 24);
  if (!fits) return false;
  addNumber(sum, p);
  addNumber(sum, q);
  if (!numbers) {
    addNumber(sum, r);
    addNumber(sum, s);
  }
  return true;
}

/** Below this many terms a scan is not worth its while. */
@inline const SCAN_MIN: u32 = 24;

@inline function addBlocks<F, T>(x: usize, w: usize, n: u32, sum: usize): void {
  for (let blocks: u32 = 1; n; blocks++) {
    const some = min(n, BLOCK);
    if (some < SCAN_MIN || !addByBins<F, T>(x, w, some, sum)) addEach<F, T>(x, w, some, sum);
    n -= some;
    x += some * sizeof<T>();
    w += some * 8;
    if (!(blocks & CARRY_MASK)) carry(sum);
  }
  carry(sum);
}

/** Adds x[0] … x[n − 1] to the sum, whose chunks it leaves carried. */
@inline export function accumulate<T>(x: usize, n: u32, sum: usize): void {
  addBlocks<Sum, T>(x, 0, n, sum);
}

/** Adds the products w[i]·x[i] to the sum, likewise; one that is not finite counts as its IEEE product. */
@inline export function accumulateProducts<T>(x: usize, w: usize, n: u32, sum: usize): void {
  addBlocks<WeightedSum, T>(x, w, n, sum);
}
