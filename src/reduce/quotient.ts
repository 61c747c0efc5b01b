/**
 * The quotient of two exact sums, rounded once (contract clause 6, accuracy `"exact"`), in plain numbers: a double-double quotient and
 * a rounding test. It is not the definition, which is {@link exactQuotient}, and where it is in doubt it says so.
 *
 * Let N = (H + L)(1 + δ) and D likewise, |δ| ≤ 2^-104, |L| ≤ 2^-51·|H|, all within the range below, so that nothing overflows and no
 * error underflows. q = RN(H_N / H_D) is off by less than 2^-50·|q|, and r = N − q·D is computed from H_N − q·H_D, which two products give
 * exactly, and two terms of less than 2^-50·|H_N|, with three roundings: off by less than 2^-100·|H_N|. So q + r/H_D is the quotient but for
 * that, for RN of r/H_D (2^-53 of it), for L_D in its divisor (2^-51 of it), and for the δ: less than 2^-98·|q| together.
 */
import { productError } from "./dekker.ts";

/** What the flag of an exact sum in two parts says of H + L. */
export const PARTS_FLAG = { other: 0, exact: 1, notANumber: 2, near: 3 } as const;

/** Beyond these the error of a product, or a product, may be no float64. */
const LEAST = 2 ** -400;
const MOST = 2 ** 400;

const BOUND = 2 ** -98;

const inRange = (x: number): boolean => Math.abs(x) >= LEAST && Math.abs(x) <= MOST;

/** Whether n is a power of two: dividing by it is exact. */
const isPowerOfTwo = (n: number): boolean => Number.isInteger(n) && n > 0 && n <= 2 ** 30 && (n & (n - 1)) === 0;

/**
 * RN(N / D) of two sums in parts, as a parts kernel writes them; undefined in doubt.
 * @param nh the numerator's H, which is RN(N) if its flag says `exact`
 * @param nl its L
 * @param nFlag what they are
 */
export function quotientOfParts(nh: number, nl: number, nFlag: number, dh: number, dl: number, dFlag: number): number | undefined {
  if (nFlag === PARTS_FLAG.notANumber || dFlag === PARTS_FLAG.notANumber) return Number.NaN;
  if (nFlag === PARTS_FLAG.other || dFlag === PARTS_FLAG.other || !inRange(dh)) return undefined;
  if (nh === 0 && nl === 0 && nFlag === PARTS_FLAG.exact) return 0;
  if (!inRange(nh)) return undefined;
  if (dl === 0 && isPowerOfTwo(dh) && nFlag === PARTS_FLAG.exact && dFlag === PARTS_FLAG.exact) return nh / dh;
  const q = nh / dh;
  if (!inRange(q)) return undefined;
  const product = q * dh;
  const r = nh - product - productError(q, dh, product) + (nl - q * dl);
  const more = r / dh;
  const high = q + more;
  const low = q - high + more;
  const bound = BOUND * Math.abs(q);
  return high + (low - bound) === high + (low + bound) ? high : undefined;
}
