/**
 * Level f of rows: sixteen float64 lanes over blocks of 4096 children (contract clause 2), stated in plain loops.
 * The SIMD kernels in assembly/ must give these bits.
 */
import { canonical, ExactSum } from "./exact.ts";

/** Float64 lanes of a block. Lane j takes the children i ≡ j (mod 16). */
export const LANES = 16;

/** Children of a block. Blocks lie on a grid that starts at the row's first child. */
export const BLOCK = 4096;

/** The lane sum of one block of n ≤ 4096 terms. */
export function laneBlock(n: number, term: (i: number) => number): number {
  const lanes = new Float64Array(LANES); // each starts at +0, so no lane is ever −0
  for (let i = 0; i < n; i++) lanes[i % LANES]! += term(i);
  for (let half = LANES / 2; half >= 1; half /= 2) for (let j = 0; j < half; j++) lanes[j]! += lanes[j + half]!;
  return canonical(lanes[0]!);
}

/** The lane sum of a row of any length: its one block, or the exact sum of its blocks rounded once. */
export function laneSum(n: number, term: (i: number) => number): number {
  if (n <= BLOCK) return laneBlock(n, term);
  const sum = new ExactSum();
  for (let start = 0; start < n; start += BLOCK) sum.add(laneBlock(Math.min(BLOCK, n - start), (i) => term(start + i)));
  return sum.value();
}
