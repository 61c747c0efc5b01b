import { describe, expect, test } from "vitest";
import { runReference } from "../../src/backends/reference.ts";
import { type Arithmetic, CONTRACT_F64, errorBound, TENSOR_F32 } from "../../src/reduce/bound.ts";
import { chain } from "../../src/reduce/chain.ts";
import {
  count,
  defineReduction,
  max,
  mean,
  min,
  type Reduction,
  sum,
  variance,
  weightedMean,
  weightedSum,
} from "../../src/reduce/reductions.ts";
import { fit } from "../../src/reduce/resolve.ts";
import { denseTree, raggedTree } from "../../src/reduce/tree.ts";
import type { Accuracy, NanPolicy, TypedData } from "../../src/types.ts";
import { type Case, randomCase, randomFrom, valuesOf } from "./cases.ts";
import { compare, distance, real, realChain, round } from "./real.ts";
import { type Habits, simulate } from "./simulated.ts";

/** Random chains for each kind of arithmetic. */
const CHAINS = Number(process.env["FOURFOLD_CHAINS"] ?? 1500);

/** For the tests whose length this sets. */
const LONG = { timeout: 60_000 + 20 * CHAINS };

function dense(
  levels: readonly Reduction[],
  shape: readonly number[],
  data: TypedData,
  options: { nan?: NanPolicy; accuracy?: Accuracy } = {},
): Case {
  const c = chain(...levels);
  const fitted = fit(c, denseTree(c, shape, data.length), options.nan ?? "propagate", options.accuracy ?? "fast");
  return { title: `[${shape}]`, fitted, data };
}

const bound = ({ fitted, data }: Case, arithmetic: Arithmetic = TENSOR_F32): number[] => Array.from(errorBound(fitted, data, arithmetic));

interface Tally {
  finite: number;
  infinite: number;
  readonly broken: string[];
}

/** Compares values with v* and the bound, in exact arithmetic. */
function check(tally: Tally, { title, fitted, data }: Case, values: Float64Array, arithmetic: Arithmetic): void {
  const bounds = errorBound(fitted, data, arithmetic);
  realChain(fitted, data).forEach((exact, i) => {
    const v = values[i]!;
    const e = bounds[i]!;
    if (exact === "missing" || exact === "none") {
      // Where there is no real v*, nothing is claimed; a missing sum is reported as 0, exactly.
      if (Number.isFinite(e) && !(exact === "missing" && e === 0 && v === 0)) tally.broken.push(`${title}: no v*, value ${v}, bound ${e}`);
    } else if (!Number.isFinite(e)) tally.infinite++;
    else {
      tally.finite++;
      if (!Number.isFinite(v) || compare(distance(v, exact), real(e)) > 0)
        tally.broken.push(`${title}: value ${v}, v* ${round(exact)}, bound ${e}`);
    }
  });
}

describe("the bound holds", () => {
  const contract: readonly [string, Accuracy][] = [
    ["lanes and rounded quotients", "reproducible"],
    ["exact sums and real quotients", "exact"],
  ];
  for (const [title, accuracy] of contract)
    test(`for the contract's arithmetic with ${title}, random chains`, LONG, () => {
      const tally: Tally = { finite: 0, infinite: 0, broken: [] };
      for (let seed = 0; seed < CHAINS; seed++) {
        const c = randomCase(seed, accuracy);
        check(tally, c, runReference(c.fitted, c.data).at(-1)!.values, CONTRACT_F64);
      }
      expect(tally.broken).toEqual([]);
      expect(tally.finite).toBeGreaterThan(CHAINS);
      expect(tally.infinite).toBeLessThan(tally.finite / 50);
    });

  const devices: readonly Habits[] = [
    { rounding: "nearest", flush: true, fused: false },
    { rounding: "nearest", flush: false, fused: true },
    { rounding: "faithful", flush: true, fused: true },
    { rounding: "faithful", flush: true, fused: false },
  ];
  for (const habits of devices)
    test(
      `for float32 in any order: ${habits.rounding} rounding, ${habits.flush ? "flushed" : "gradual"} underflow, ${habits.fused ? "fused" : "rounded"} products, random chains`,
      LONG,
      () => {
        const arithmetic = habits.rounding === "nearest" ? TENSOR_F32 : { ...TENSOR_F32, unit: 2 ** -23 };
        const tally: Tally = { finite: 0, infinite: 0, broken: [] };
        for (let seed = 0; seed < CHAINS; seed++) {
          const c = randomCase(seed);
          check(tally, c, simulate(c.fitted, c.data, habits, randomFrom(seed)), arithmetic);
        }
        expect(tally.broken).toEqual([]);
        expect(tally.finite).toBeGreaterThan(CHAINS);
        expect(tally.infinite).toBeLessThan(tally.finite / 10);
      },
    );

  test("for lanes over several blocks of a long row", () => {
    for (const n of [15, 16, 17, 4095, 4096, 4097, 9000]) {
      const random = randomFrom(n);
      const tally: Tally = { finite: 0, infinite: 0, broken: [] };
      for (const flavour of ["ordinary", "cancelling", "mixed", "wide"] as const)
        for (const f of [sum(), weightedSum(valuesOf("ordinary", n, random)), mean(), weightedMean(valuesOf("wide", n, random))]) {
          const c = dense([f], [n], valuesOf(flavour, n, random), { accuracy: "reproducible" });
          check(tally, c, runReference(c.fitted, c.data).at(-1)!.values, CONTRACT_F64);
        }
      expect(tally.broken).toEqual([]);
      expect(tally.finite).toBeGreaterThanOrEqual(15); // a weight sum near 0 may have none
    }
  });
});

describe("the bound can fail", () => {
  test("a value off by the bound and a little is caught", () => {
    const c = dense([weightedSum([0.1, 0.2, 0.3]), mean()], [2, 3], Float64Array.of(1, 2, 3, 4, 5, 6));
    const [e] = bound(c);
    const exact = realChain(c.fitted, c.data)[0]!;
    if (typeof exact === "string") throw new Error("v* is a real number here");
    expect(compare(distance(round(exact) + 1.01 * e!, exact), real(e!))).toBe(1);
    expect(compare(distance(round(exact) + 0.99 * e!, exact), real(e!))).toBe(-1);
  });

  test("it is the error itself where storing a value in float32 is all that happens", () => {
    for (const x of [0.1, 1 / 3, 1e10 + 1 / 3, -Math.PI]) {
      const error = Math.abs(Math.fround(x) - x);
      const [e] = bound(dense([max()], [1], Float64Array.of(x)));
      expect(e! / error).toBeCloseTo(1, 9);
    }
    expect(bound(dense([min()], [3], Float32Array.of(0.1, 0.2, 0.3)))).toEqual([0]);
    expect(bound(dense([max()], [2], Int32Array.of(2 ** 24 + 1, 3)))).toEqual([1]);
    expect(bound(dense([count()], [3], Float64Array.of(0.1, 0.2, 0.3)))).toEqual([0]);
  });

  test("on ordinary data it stays within n roundings of Σ|w·x|", () => {
    for (const n of [10, 100, 512, 4096]) {
      const random = randomFrom(n);
      const w = valuesOf("ordinary", n, random);
      const x = valuesOf("ordinary", n, random);
      const scale = x.reduce((total, v, i) => total + Math.abs(v * w[i]!), 0);
      const [e] = bound(dense([weightedSum(w)], [n], x));
      expect(e!).toBeLessThan(1e-3 * scale);
      expect(e!).toBeLessThan(1.01 * (n + 2) * 2 ** -24 * scale);
      const [lanes] = bound(dense([weightedSum(w)], [n], x), CONTRACT_F64);
      expect(lanes!).toBeLessThan(1.01 * (n / 16 + 6) * 2 ** -53 * scale);
    }
  });

  test("above level f the contract rounds once a node, and cancellation there costs nothing", () => {
    const x = Float64Array.of(1e8, -1e8, 1e8, -1e8, 1e8, -1e8, 1, 1 / 3);
    const [e] = bound(dense([max(), sum()], [8, 1], x), CONTRACT_F64);
    expect(e!).toBeLessThan(2 ** -53 * 1.34);
    const [any] = bound(dense([max(), sum()], [8, 1], x), TENSOR_F32);
    expect(any!).toBeGreaterThan(1);
  });

  test("errors of the mean cancel in a variance to first order", () => {
    const x = valuesOf("ordinary", 100, randomFrom(1)).map((v) => v + 100);
    const [e] = bound(dense([variance()], [100], Float32Array.from(x)));
    expect(e!).toBeLessThan(1e-3); // of a variance near 1/3: Σx² − n·mean² would lose 100²·2^-24·100 of it
  });
});

describe("a bound that is not finite claims nothing", () => {
  const one = (level: Reduction, data: TypedData, nan: NanPolicy = "propagate"): number =>
    bound(dense([level], [data.length], data, { nan }))[0]!;

  test("NaN where a value or a weight is not a real number", () => {
    expect(one(sum(), Float64Array.of(1, Number.NaN))).toBeNaN();
    expect(one(max(), Float64Array.of(1, Number.POSITIVE_INFINITY))).toBeNaN();
    expect(one(weightedSum([1, Number.NaN]), Float64Array.of(1, 2))).toBeNaN();
    expect(one(weightedSum([1, Number.NEGATIVE_INFINITY]), Float64Array.of(1, 0), "skip")).toBeNaN();
  });

  test("NaN for an empty mean, a variance of too few, and a user's reduction", () => {
    expect(bound(dense([mean()], [2, 0], new Float64Array(0)))).toEqual([Number.NaN, Number.NaN]);
    expect(one(variance({ ddof: 1 }), Float64Array.of(3))).toBeNaN();
    const product = defineReduction({ name: "product", init: () => 1, add: (p, x) => p * x, merge: (a, b) => a * b, finish: (p) => p });
    expect(one(product(), Float64Array.of(3))).toBeNaN();
    expect(bound(dense([product(), sum()], [2, 2], Float64Array.of(1, 2, 3, 4)))).toEqual([Number.NaN]);
  });

  test("+Infinity where float32 overflows: a value, a product, a partial sum, a square", () => {
    expect(one(max(), Float64Array.of(1e39, 1))).toBe(Number.POSITIVE_INFINITY);
    expect(one(weightedSum([1e20]), Float64Array.of(1e20))).toBe(Number.POSITIVE_INFINITY);
    expect(one(sum(), Float64Array.of(3e38, 3e38, -6e38 / 2))).toBe(Number.POSITIVE_INFINITY);
    expect(one(variance(), Float64Array.of(1e20, -1e20))).toBe(Number.POSITIVE_INFINITY);
    expect(bound(dense([sum()], [3], Float64Array.of(3e38, 3e38, -3e38)), CONTRACT_F64)[0]).toBeLessThan(1e24);
  });

  test("+Infinity where the weights' sum may be 0", () => {
    expect(one(weightedMean([1, -1]), Float64Array.of(1, 2))).toBe(Number.POSITIVE_INFINITY);
    expect(one(weightedMean([1, -1 + 1e-9]), Float64Array.of(1, 2))).toBe(Number.POSITIVE_INFINITY);
    expect(one(weightedMean([1, -1 + 1e-3]), Float64Array.of(1, 2))).toBeLessThan(1);
    expect(bound(dense([weightedMean([1, -1 + 1e-9])], [2], Float64Array.of(1, 2)), CONTRACT_F64)[0]).toBeLessThan(1e-5 * 1e9);
  });

  test("+Infinity for a float32 sum of more than 2^23 terms, whose relative bound would pass 1", () => {
    const n = 2 ** 23 + 2;
    const c = chain(sum());
    const x = new Uint8Array(n).fill(1);
    expect(errorBound(fit(c, denseTree(c, [n], n), "propagate", "fast"), x, TENSOR_F32)[0]).toBe(Number.POSITIVE_INFINITY);
    expect(errorBound(fit(c, denseTree(c, [n], n), "propagate", "fast"), x, CONTRACT_F64)[0]).toBeLessThan(1e-6);
  });

  test("it spreads to the nodes above, except through a count that does not depend on values", () => {
    const x = Float64Array.of(1, Number.NaN, 3, 4);
    expect(bound(dense([min(), max()], [2, 2, 1], Float32Array.from(x)))).toEqual([Number.NaN, 0]);
    expect(bound(dense([sum(), count()], [1, 2, 2], x))).toEqual([0]);
    expect(bound(dense([weightedMean([1, -1]), count()], [1, 2, 2], Float64Array.of(1, 2, 3, 4), { nan: "skip" }))).toEqual([
      Number.POSITIVE_INFINITY,
    ]);
  });
});

describe("what is skipped costs nothing", () => {
  test("a skipped value, and a node that is missing", () => {
    const x = Float32Array.of(Number.NaN, Number.NaN, 3, Number.NaN);
    expect(bound(dense([max(), max()], [1, 2, 2], x, { nan: "skip" }))).toEqual([0]);
    expect(bound(dense([sum()], [2, 2], Float32Array.of(Number.NaN, Number.NaN, 3, 4), { nan: "skip" }))[0]).toBe(0);
    const c = chain(max(), max());
    const tree = raggedTree(c, [Uint32Array.of(0, 0, 2, 2, 3)], 3);
    expect(Array.from(errorBound(fit(c, tree, "skip", "fast"), Float32Array.of(1, 2, 3), TENSOR_F32))).toEqual([0]);
    expect(Array.from(errorBound(fit(c, tree, "propagate", "fast"), Float32Array.of(1, 2, 3), TENSOR_F32))).toEqual([Number.NaN]);
  });

  test("a variance of too few is skipped by its parent", () => {
    const c = chain(variance({ ddof: 1 }), mean());
    const tree = raggedTree(c, [Uint32Array.of(0, 1, 4)], 4);
    const [e] = errorBound(fit(c, tree, "skip", "fast"), Float32Array.of(9, 1, 2, 4), TENSOR_F32);
    expect(e).toBeLessThan(1e-4);
    expect(e).toBeGreaterThan(0);
  });
});
