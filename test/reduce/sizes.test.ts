// The bound from row sizes: never below the true error, finite where the values are, and how much looser than bound.ts.
import { describe, expect, test } from "vitest";
import { type Arithmetic, CONTRACT_F64, errorBound, TENSOR_F32 } from "../../src/reduce/bound.ts";
import { chain } from "../../src/reduce/chain.ts";
import { count, max, mean, min, type Reduction, sum, variance, weightedMean, weightedSum } from "../../src/reduce/reductions.ts";
import { type Fitted, fit } from "../../src/reduce/resolve.ts";
import { boundOfSizes, rowSizes, sizingOf } from "../../src/reduce/sizes.ts";
import { denseTree, dtypeOf } from "../../src/reduce/tree.ts";
import type { NanPolicy, TypedData } from "../../src/types.ts";
import { randomCase, randomFrom, valuesOf } from "./cases.ts";
import { compare, distance, real, realChain, round } from "./real.ts";
import { type Habits, simulate } from "./simulated.ts";

/** The least that a kernel may tell of a row. */
const leastTold = (size: number): number => size * (1 - 2 ** -15);

/** The bound from sizes, undefined where bound.ts must look. */
function bySizes(fitted: Fitted, data: TypedData, arithmetic: Arithmetic = TENSOR_F32): Float64Array | undefined {
  const sizing = sizingOf(fitted, dtypeOf(data)!, arithmetic);
  return sizing && boundOfSizes(sizing, rowSizes(sizing, data).map(leastTold), data);
}

function dense(levels: readonly Reduction[], shape: readonly number[], nan: NanPolicy = "propagate"): Fitted {
  const c = chain(...levels);
  return fit(c, denseTree(c, shape, undefined), nan, "fast");
}

/** Chains for each simulated device. */
const CHAINS = Number(process.env["FOURFOLD_CHAINS"] ?? 1500);

const taken = (levels: readonly Reduction[], nan: NanPolicy = "propagate"): boolean =>
  sizingOf(
    dense(
      levels,
      levels.map(() => 2),
      nan,
    ),
    "f32",
    TENSOR_F32,
  ) !== undefined;

describe("the bound from sizes holds", () => {
  const devices: readonly Habits[] = [
    { rounding: "nearest", flush: true, fused: false },
    { rounding: "nearest", flush: false, fused: true },
    { rounding: "faithful", flush: true, fused: true },
    { rounding: "faithful", flush: true, fused: false },
  ];
  for (const habits of devices)
    test(`for float32 in any order: ${habits.rounding} rounding, ${habits.flush ? "flushed" : "gradual"} underflow, ${habits.fused ? "fused" : "rounded"} products, chains that it takes`, {
      timeout: 60_000 + 20 * CHAINS,
    }, () => {
      const arithmetic = habits.rounding === "nearest" ? TENSOR_F32 : { ...TENSOR_F32, unit: 2 ** -23 };
      const broken: string[] = [];
      let cases = 0;
      let finite = 0;
      let lost = 0;
      for (let seed = 0; cases < CHAINS; seed++) {
        const { title, fitted, data } = randomCase(seed);
        const bounds = bySizes(fitted, data, arithmetic);
        if (bounds === undefined) continue;
        cases++;
        const values = simulate(fitted, data, habits, randomFrom(seed));
        const precise = errorBound(fitted, data, arithmetic);
        realChain(fitted, data).forEach((exact, i) => {
          const [v, e] = [values[i]!, bounds[i]!];
          if (exact === "missing" || exact === "none") {
            if (!Number.isNaN(e)) broken.push(`${title}: no v*, value ${v}, bound ${e}`);
          } else if (!Number.isFinite(e)) {
            if (Number.isNaN(e) !== Number.isNaN(precise[i])) broken.push(`${title}: bound ${e}, precisely ${precise[i]}`);
            if (Number.isFinite(precise[i])) lost++;
          } else {
            finite++;
            if (!Number.isFinite(v) || compare(distance(v, exact), real(e)) > 0)
              broken.push(`${title}: value ${v}, v* ${round(exact)}, bound ${e}`);
          }
        });
      }
      expect(broken).toEqual([]);
      expect(finite).toBeGreaterThan(CHAINS);
      expect(lost).toBe(0);
    });

  test("for rows of several thousand children under every family", () => {
    for (const n of [4095, 4096, 4097, 9000]) {
      const random = randomFrom(n);
      const habits: Habits = { rounding: "nearest", flush: true, fused: false };
      for (const flavour of ["ordinary", "cancelling", "mixed", "wide"] as const)
        for (const f of [sum(), mean(), max(), weightedSum(valuesOf("ordinary", n, random)), weightedSum([valuesOf("mixed", n, random)])]) {
          const fitted = dense([f], [n]);
          const x = valuesOf(flavour, n, random);
          const exact = realChain(fitted, x)[0]!;
          if (typeof exact === "string") throw new Error("v* is a real number here");
          const [e] = bySizes(fitted, x)!;
          expect(compare(distance(simulate(fitted, x, habits, random)[0]!, exact), real(e!))).toBeLessThanOrEqual(0);
          expect(e!).toBeLessThan(Number.POSITIVE_INFINITY);
        }
    }
  });
});

describe("it is of use", () => {
  test("on ordinary data it is at most some times the one that sees every value", () => {
    const random = randomFrom(5);
    const w = (n: number): Float64Array => valuesOf("ordinary", n, random);
    const chains: readonly (readonly [readonly Reduction[], readonly number[], number])[] = [
      [[weightedSum(w(512))], [512], 1.01],
      [[sum()], [512], 1.01],
      [[mean(), max()], [8, 64], 1.6],
      [[weightedSum(w(64)), weightedSum(w(16)), weightedSum(w(16)), weightedSum(w(4))], [4, 16, 16, 64], 3],
      [[weightedSum([w(256), w(256)])], [256], 2],
      [[weightedSum({ perNode: w(4096) }), sum()], [16, 256], 3],
    ];
    for (const [levels, shape, times] of chains) {
      const fitted = dense(levels, shape);
      const x = Float32Array.from(w(fitted.tree.leaves));
      const precise = errorBound(fitted, x, TENSOR_F32);
      bySizes(fitted, x)!.forEach((e, i) => {
        expect(e / precise[i]!).toBeLessThan(times);
      });
    }
  });

  test("it is 0 where nothing is rounded, and more where a subnormal may be read as zero", () => {
    const x = Float32Array.of(0.1, 0.2, -0.3, 0);
    expect(bySizes(dense([max(), min()], [2, 2]), x)).toEqual(Float64Array.of(0));
    expect(bySizes(dense([max(), min()], [2, 2]), Float32Array.of(...x.subarray(1), 2 ** -130))![0]).toBeGreaterThan(2 ** -127);
    expect(bySizes(dense([count()], [4]), x)).toEqual(Float64Array.of(0));
    expect(bySizes(dense([min()], [4]), Int16Array.of(1, 2, 3, 4))).toEqual(Float64Array.of(0));
  });

  test("+Infinity where float32 overflows, NaN where there is no v*, and a count counts them", () => {
    const inf = Number.POSITIVE_INFINITY;
    expect(bySizes(dense([sum()], [2]), Float32Array.of(3e38, 3e38))).toEqual(Float64Array.of(inf));
    expect(bySizes(dense([max()], [2]), Float64Array.of(1e39, 1))).toEqual(Float64Array.of(inf));
    expect(bySizes(dense([weightedSum([0, 1])], [2]), Float64Array.of(1e39, 1))).toEqual(Float64Array.of(inf));
    expect(bySizes(dense([weightedSum([0, 1])], [2]), Float64Array.of(inf, 1))).toEqual(Float64Array.of(Number.NaN));
    expect(bySizes(dense([max(), weightedSum([0, 1])], [2, 1]), Float64Array.of(1e39, 1))).toEqual(Float64Array.of(inf));
    expect(bySizes(dense([sum(), count()], [2, 1]), Float32Array.of(Number.NaN, 1))).toEqual(Float64Array.of(0));
    expect(bySizes(dense([mean()], [1, 0]), new Float32Array(0))).toEqual(Float64Array.of(Number.NaN));
  });
});

describe("what it leaves to bound.ts", () => {
  test("is what values decide about, and weights that float32 does not hold", () => {
    expect(taken([variance()])).toBe(false);
    expect(taken([sum(), weightedMean("count")])).toBe(false);
    expect(taken([count()], "skip")).toBe(false);
    expect(taken([weightedMean([1, -1])])).toBe(false);
    for (const w of [1e39, 1e-39, Number.NaN, Number.POSITIVE_INFINITY]) expect(taken([weightedSum([w, 1])])).toBe(false);
    expect(taken([weightedMean([1, 2]), mean()], "skip")).toBe(true);
    expect(sizingOf(dense([sum()], [2]), "f32", CONTRACT_F64)).toBeUndefined();
  });

  test("is a skipped value, and squares that overflow", () => {
    expect(bySizes(dense([sum()], [2], "skip"), Float32Array.of(Number.NaN, 1))).toBeUndefined();
    const fitted = dense([weightedSum([[1e-20, 1]])], [2]);
    const sizing = sizingOf(fitted, "f32", TENSOR_F32)!;
    expect(boundOfSizes(sizing, Float64Array.of(Number.POSITIVE_INFINITY), Float32Array.of(1e30, 1))).toBeUndefined();
    expect(boundOfSizes(sizing, Float64Array.of(Number.NaN), Float32Array.of(Number.NaN, 1))).toEqual(Float64Array.of(Number.NaN));
  });
});
