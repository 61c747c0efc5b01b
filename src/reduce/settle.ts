/**
 * Parts that add up exactly: doubles and one residual whose real sum is a given number. It knows nothing of nodes.
 *
 * Let c be the parts, P the number they should add up to, and E = P − Σ c, exactly. Three rules, the first that serves:
 *
 * 1. *As they are.* E is a double: it is the residual.
 * 2. *On a grid.* E has more than 53 bits because small parts reach further down than one double does that begins at E. Let a be the least
 *    exponent with |E| < 2^(a+53). If P is a multiple of 2^a, every part is rounded to a multiple of 2^a. Then E is a multiple of 2^a, too, and a
 *    double, unless the rounding made it reach 2^(a+53), for which a + 1 is tried. A part of 2^(a+52) or more is such a multiple already, so only
 *    parts change that are smaller than 2·|E|, each by 2^(a-1) at most: 2^-52 of E.
 * 3. *One after the other.* P itself reaches further down: it is smaller than what the rounding of the parts lost. From the largest part to the
 *    smallest, c becomes RN(c + E), and E what that lost, until E is a double. It is one in the end if P is a double: RN takes the nearest and c is
 *    one of the doubles to choose from, so |E| never grows and stays within half an ulp of every part done. Let u be the smallest of those ulps.
 *    All parts are multiples of u, so E ≡ P modulo u and |E| ≤ u/2. Let 2^p be the lowest bit of P, so that |P| < 2^(p+53). If u ≤ 2^p, then E is a
 *    multiple of u no larger than u/2: 0. Otherwise E is a multiple of 2^p, and either |P| ≤ u/2 and E = ±P, or |E| ≤ u/2 < |P| < 2^(p+53): a double.
 *    Parts of 0 stay 0. Where the parts are what P was rounded from, none but the largest moves by more than the largest's ulp.
 *
 * Rule 1 is what happens nearly always, rule 3 only where the parts cancel to less than their last bits.
 */
import { bitLength, ExactSum } from "./exact.ts";
import { ExactSums } from "./sums.ts";

/** Tries of rule 2: rounding n parts to a grid moves E by n/2 steps at most, out of 2^52. */
const GRIDS_MAX = 3;

/** The exact sum of the parts. */
export function exactTotal(parts: ArrayLike<number>): ExactSum {
  const sums = new ExactSums();
  sums.grow(1);
  for (let i = 0; i < parts.length; i++) sums.add(0, parts[i]!);
  return sums.sum(0);
}

/** What is left beside settled parts. */
export interface Settled {
  /** Parts, residual and `rounding` add up to the target, as real numbers. */
  readonly residual: number;
  /** 0, unless the target is the difference of two doubles that no double is, and no residual makes the parts add up to: then what its rounding lost. */
  readonly rounding: number;
}

/**
 * Changes finite parts as little as the rules above say, so that they add up with a residual.
 * @param target a double, or the difference of two, within the range of doubles
 */
export function settle(parts: Float64Array, target: ExactSum): Settled {
  const residual = settleTo(parts, target);
  if (residual !== undefined) return { residual, rounding: 0 };
  const rounded = target.value();
  const left = ExactSum.from(target.parts());
  left.subtract(rounded); // what the addition of two doubles loses is a double
  return { residual: settleTo(parts, ExactSum.of([rounded], 1))!, rounding: left.value() };
}

/** The residual; undefined, and the parts as they were, if no rule serves. */
function settleTo(parts: Float64Array, target: ExactSum): number | undefined {
  return residualOf(parts, target) ?? onGrid(parts, target) ?? oneByOne(parts, target);
}

/** target − Σ parts. */
function restOf(parts: Float64Array, target: ExactSum): ExactSum {
  const rest = exactTotal(parts);
  const { m, e } = rest.scaled();
  const negated = ExactSum.from({ m: -m, exponent: e, nan: 0, positiveInfinity: 0, negativeInfinity: 0, items: 0 });
  negated.merge(target);
  return negated;
}

/** A sum as a double, if it is one. */
function asDouble(sum: ExactSum): number | undefined {
  const value = sum.value();
  if (value - value !== 0) return undefined;
  const left = ExactSum.from(sum.parts());
  left.subtract(value);
  return left.isZero ? value : undefined;
}

const residualOf = (parts: Float64Array, target: ExactSum): number | undefined => asDouble(restOf(parts, target));

/** Rule 2. */
function onGrid(parts: Float64Array, target: ExactSum): number | undefined {
  const { m, exponent } = restOf(parts, target).parts();
  const low = target.parts();
  const first = bitLength(m < 0n ? -m : m) + exponent - 53;
  for (let a = first; a < first + GRIDS_MAX; a++) {
    if (low.m !== 0n && low.exponent < a) return undefined;
    const rounded = parts.map((part) => toGrid(part, a));
    const residual = rounded.every(Number.isFinite) ? residualOf(rounded, target) : undefined;
    if (residual === undefined) continue;
    parts.set(rounded);
    return residual;
  }
  return undefined;
}

/** The multiple of 2^a nearest to x. From 2^(a+52) on doubles are such multiples; below, adding that much leaves no finer bits. */
function toGrid(x: number, a: number): number {
  const step = 2 ** (a + 52);
  if (Math.abs(x) >= step) return x;
  return x < 0 ? x - step + step : x + step - step;
}

/** Rule 3. */
function oneByOne(parts: Float64Array, target: ExactSum): number | undefined {
  const moved = parts.slice();
  const rest = restOf(parts, target);
  for (const i of bySize(parts)) {
    if (moved[i] === 0) break;
    rest.add(moved[i]!);
    // Beyond the largest double the next part takes what this one cannot.
    const value = Math.min(Math.max(rest.value(), -Number.MAX_VALUE), Number.MAX_VALUE);
    rest.subtract(value);
    moved[i] = value;
    const residual = asDouble(rest);
    if (residual === undefined) continue;
    parts.set(moved);
    return residual;
  }
  return undefined;
}

/** Places of the parts, those of the largest size first (what is not a number before all), equal ones in their order. */
export function bySize(parts: ArrayLike<number>): Uint32Array {
  const places = Uint32Array.from({ length: parts.length }, (_, i) => i);
  const size = (i: number): number => (parts[i] === parts[i] ? Math.abs(parts[i]!) : Number.POSITIVE_INFINITY);
  return places.sort((a, b) => {
    const x = size(a);
    const y = size(b);
    return x === y ? a - b : y - x;
  });
}

/** The largest parts, and the others as one. */
export interface Top {
  /** Places of the parts that are listed, those of the largest size first. */
  readonly places: Uint32Array;
  /** What they are, in that order. */
  readonly parts: Float64Array;
  /** The sum of all others, rounded once; undefined if there are none. */
  readonly others: { readonly parts: number; readonly sum: number } | undefined;
  /** What the listed parts and the others leave; undefined where all parts have no residual, or the sum of the others is beyond the doubles. */
  readonly settled: Settled | undefined;
}

/**
 * The `top` parts of the largest size, with the others as one part: settled again, so that the shorter list adds up exactly, too.
 * @param settled what all parts leave; undefined if they are not all finite
 * @param target what all parts add up to
 */
export function topOf(all: Float64Array, settled: Settled | undefined, target: ExactSum, top: number): Top {
  const order = bySize(all);
  const places = order.slice(0, top);
  const left = order.subarray(top);
  const parts = Float64Array.from(places, (i) => all[i]!);
  if (left.length === 0) return { places, parts, others: undefined, settled };
  const lines = Float64Array.of(...parts, exactTotal(Float64Array.from(left, (i) => all[i]!)).value());
  const resettled = settled === undefined || !lines.every(Number.isFinite) ? undefined : settle(lines, target);
  return { places, parts: lines.subarray(0, -1), others: { parts: left.length, sum: lines.at(-1)! }, settled: resettled };
}
