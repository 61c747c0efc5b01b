import { describe, expect, test } from "vitest";
import { FourfoldError } from "../../src/errors.ts";
import { chain, checkChain, outputsOf } from "../../src/reduce/chain.ts";
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

describe("chain", () => {
  test("is a frozen plain value, innermost first", () => {
    const c = chain(sum(), mean());
    expect(c).toEqual({
      levels: [
        { name: "f", reduction: { name: "sum", kind: "sum" } },
        { name: "g", reduction: { name: "mean", kind: "mean" } },
      ],
    });
    expect(Object.isFrozen(c) && Object.isFrozen(c.levels) && Object.isFrozen(c.levels[0])).toBe(true);
  });

  test("keeps the order of an object's names, and takes names that only look odd", () => {
    const names = ["z", "a", "01", "-1", "constructor", "", "1.5"];
    expect(chain(Object.fromEntries(names.map((name) => [name, sum()]))).levels.map(({ name }) => name)).toEqual(names);
  });

  test("has as many outputs as its weight matrix has rows", () => {
    expect(outputsOf(chain(sum(), weightedSum([1])))).toBeUndefined();
    expect(outputsOf(chain(sum(), weightedSum([[1], [2], [3]])))).toBe(3);
  });
});

describe("reductions", () => {
  test("are plain values that say what they are", () => {
    expect([sum(), mean(), min(), max(), count()].map(({ kind }) => kind)).toEqual(["sum", "mean", "min", "max", "count"]);
    expect(variance()).toEqual({ name: "variance", kind: "variance", ddof: 0 });
    expect(variance({ ddof: 1 }).ddof).toBe(1);
    expect(weightedSum("count").weights).toEqual({ form: "count" });
    expect(weightedMean([1, 2])).toEqual({
      name: "weightedMean",
      kind: "weightedMean",
      weights: { form: "shared", values: Float64Array.of(1, 2) },
    });
  });

  test("of a user come through the same door: a maker, and the reduction it makes", () => {
    const mine = defineReduction<number>({
      name: "mine",
      init: () => 0,
      add: (s, x) => s + x,
      merge: (a, b) => a + b,
      finish: (s) => s,
      module: "file:///m.js",
    });
    expect(mine()).toBe(mine.reduction);
    expect(mine()).toMatchObject({ name: "mine", kind: "user", user: { module: "file:///m.js" } });
    expect(chain(mine(), sum()).levels).toHaveLength(2);
  });
});

describe("what a chain trusts", () => {
  const codeOf = (call: () => unknown): unknown => {
    try {
      call();
    } catch (error) {
      return error instanceof FourfoldError ? error.code : error;
    }
    return "nothing thrown";
  };

  test("is what chain() made, and no copy or look-alike of it", () => {
    const c = chain(sum());
    expect(codeOf(() => checkChain(c))).toBe("nothing thrown");
    for (const other of [{ levels: c.levels }, { ...c }, structuredClone(c), { levels: [] }, null, sum()])
      expect(codeOf(() => checkChain(other))).toBe("ERR_FOURFOLD_CHAIN");
  });

  test("is what the makers of reductions made, and no look-alike", () => {
    for (const other of [{ name: "sum", kind: "sum" }, { name: "weightedSum", kind: "weightedSum" }, { ...mean() }])
      expect(codeOf(() => chain(sum(), other as Reduction))).toBe("ERR_FOURFOLD_CHAIN");
  });

  test("cannot be changed afterwards", () => {
    const weights = [weightedSum([1]), weightedMean({ perNode: [1] }), weightedSum([[1], [2]]), weightedMean("count")];
    for (const reduction of [sum(), mean(), min(), max(), count(), variance(), ...weights]) expect(Object.isFrozen(reduction)).toBe(true);
    for (const reduction of weights) expect(Object.isFrozen(reduction.weights)).toBe(true);
  });

  test("variance and defineReduction refuse null with a code", () => {
    expect(codeOf(() => variance(null as never))).toBe("ERR_FOURFOLD_ARGUMENT");
    expect(codeOf(() => variance(1 as never))).toBe("ERR_FOURFOLD_ARGUMENT");
    expect(codeOf(() => defineReduction(null as never))).toBe("ERR_FOURFOLD_REDUCTION");
  });
});
