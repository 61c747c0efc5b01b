/** What lies where in the scratch memory that exact kernels get from their caller. kernels.ts has the same figures. */
import { CHUNKS_BYTES } from "./accumulator";

/** Float64 numbers whose exact sum is a row's: what its blocks came to. */
@inline export const PARTIALS: u32 = (CHUNKS_BYTES + 63) & ~63;
@inline export const PARTIALS_MAX: u32 = 512;

/** Two arrays for the terms of a hard block. */
@inline export const HARD_MAX: u32 = 1024;
@inline export const TERMS: u32 = PARTIALS + PARTIALS_MAX * 8;
@inline export const MORE_TERMS: u32 = TERMS + HARD_MAX * 8;

/** u32 counters, which kernels count up and callers reset. */
@inline const COUNTERS: u32 = MORE_TERMS + HARD_MAX * 8;
/** Blocks without a certificate for one or two bins. */
@inline export const SLOW_BLOCKS: u32 = COUNTERS;
/** Nodes that double-double, or the sum of what blocks came to, left in doubt. */
@inline export const THREE_TERM_NODES: u32 = COUNTERS + 4;
/** Nodes that needed the superaccumulator. */
@inline export const ACCUMULATOR_NODES: u32 = COUNTERS + 8;

@inline export function count(scratch: usize, counter: u32): void {
  const at = scratch + counter;
  store<u32>(at, load<u32>(at) + 1);
}
