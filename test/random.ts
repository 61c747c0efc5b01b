/** Random inputs for tests, from a seed. */
import type { TypedData } from "../src/types.ts";

export interface Random {
  /** A number in [0, 1). */
  next(): number;
  /** An integer in [0, n). */
  int(n: number): number;
  pick<T>(from: readonly T[]): T;
  /** Numbers of a flavour: plain, cancelling, specials, integers or zeros. */
  numbers(n: number, flavour: string): Float64Array;
  /** Numbers of a flavour in a typed array of any dtype. */
  data(n: number, flavour: string): TypedData;
}

/** A generator with 32 bits of state (mulberry32). */
export function random(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (n: number): number => Math.floor(next() * n);
  const pick = <T>(from: readonly T[]): T => from[int(from.length)]!;
  const draw: Record<string, () => number> = {
    plain: () => (next() - 0.5) * 100,
    cancelling: () => (next() - 0.5) * 2 ** (int(120) - 60),
    specials: () =>
      pick([0, -0, 1, -1, Number.NaN, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 5e-324, -5e-324, 1e308, -1e308, 2.5]),
    integers: () => int(200) - 100,
    zeros: () => pick([0, -0]),
  };
  const numbers = (n: number, flavour: string): Float64Array => Float64Array.from({ length: n }, draw[flavour]!);
  return {
    next,
    int,
    pick,
    numbers,
    data: (n, flavour) => pick([Float32Array, Float64Array, Int32Array, Int16Array, Int8Array, Uint8Array]).from(numbers(n, flavour)),
  };
}
