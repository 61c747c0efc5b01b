/** Exact numbers m · 2^e, as every finite double is one; with them the exact terms of contributions, which are ratios of two. */
import { decompose, type ExactSum, roundRatio } from "./exact.ts";

/** m · 2^e. */
export interface Dyadic {
  readonly m: bigint;
  readonly e: number;
}

export const ZERO: Dyadic = { m: 0n, e: 0 };
export const ONE: Dyadic = { m: 1n, e: 0 };

/** A finite double. */
export function dyadic(x: number): Dyadic {
  if (x === 0) return ZERO;
  const { mantissa, exponent } = decompose(x);
  return { m: mantissa, e: exponent };
}

/** The finite part of an exact sum. */
export function dyadicSum(sum: ExactSum): Dyadic {
  const { m, exponent } = sum.parts();
  return { m, e: exponent };
}

export function times(a: Dyadic, b: Dyadic): Dyadic {
  return { m: a.m * b.m, e: a.e + b.e };
}

export function plus(a: Dyadic, b: Dyadic): Dyadic {
  if (a.m === 0n) return b;
  if (b.m === 0n) return a;
  return a.e >= b.e ? { m: (a.m << BigInt(a.e - b.e)) + b.m, e: b.e } : plus(b, a);
}

export function minus(a: Dyadic, b: Dyadic): Dyadic {
  return plus(a, { m: -b.m, e: b.e });
}

/** RN(a / b); b is not 0. */
export function roundedRatio(a: Dyadic, b: Dyadic): number {
  return b.m > 0n ? roundRatio(a.m, b.m, a.e - b.e) : roundRatio(-a.m, -b.m, a.e - b.e);
}
