/**
 * Bad input to the engine: a typed error that says what, where and the way out; nothing half-done. After each case the memory
 * is given back and the engine runs. Files, specs and the command have their own tests.
 */
import { getEventListeners } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  chain,
  count,
  createEngine,
  type Data,
  defineReduction,
  distribute,
  type Engine,
  ERROR_CODES,
  type ErrorPosition,
  type FourfoldError,
  type Input,
  max,
  mean,
  min,
  type Reduction,
  type RunOptions,
  sum,
  variance,
  weightedMean,
  weightedSum,
} from "../src/index.ts";
import { failing } from "./failing.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ workers: 2 });
});
afterAll(() => engine.close());

const fired = new Set<string>();

/** What a case should end with. */
interface Expected {
  readonly code: keyof typeof ERROR_CODES;
  /** In the message. */
  readonly says: string | RegExp;
  readonly at?: ErrorPosition;
}

/** Runs a call that must fail so, and checks that nothing of it is left. */
async function refused(call: () => unknown, { code, says, at }: Expected): Promise<FourfoldError> {
  const used = engine.stats.memoryBytes;
  const error = await failing(call);
  fired.add(error.code);
  expect(error.code).toBe(code);
  expect(error.message).toMatch(says);
  if (at) expect(error.at).toMatchObject(at);
  expect(error.message, "it names a way out").toContain(error.fix ?? (code === "ERR_FOURFOLD_ABORTED" ? "aborted" : "expected"));
  expect(error.message).not.toMatch(/\[object|\n/);
  // Or less: the collector may find plans of chains that are gone.
  expect(engine.stats.memoryBytes, "memory is given back").toBeLessThanOrEqual(used);
  expect((await engine.run(chain(sum(), mean(), max()), distribute([1, 2, 3, 4, 5], { parts: 2 }))).value, "the engine goes on").toBe(7.5);
  return error;
}

/** The same for a run, asynchronous and synchronous. */
async function refusedRun(c: unknown, input: unknown, expected: Expected, options: RunOptions = {}): Promise<void> {
  await refused(() => engine.run(c as never, input as Input, options), expected);
  await refused(() => engine.runSync(c as never, input as Input, options), expected);
}

const site = chain({ sensor: sum(), site: weightedSum([1, 2, 3, 4, 5, 6, 7]), fleet: mean() });

describe("weights", () => {
  test("of the wrong length name the level, the axis and both lengths", async () => {
    await refusedRun(
      site,
      { data: new Float32Array(2 * 8 * 3), shape: [2, 8, 3] },
      { code: "ERR_FOURFOLD_WEIGHTS", says: 'level "site" (axis 1): extent 8, weights 7', at: { level: "site", axis: 1 } },
    );
    await refusedRun(
      site,
      { data: new Float32Array(5 * 2 * 8 * 3), shape: [5, 2, 8, 3] },
      { code: "ERR_FOURFOLD_WEIGHTS", says: 'level "site" (axis 2): extent 8, weights 7', at: { level: "site", axis: 2 } },
    );
    await refused(() => engine.plan(site, { shape: [2, 8, 3], dtype: "f32" }), {
      code: "ERR_FOURFOLD_WEIGHTS",
      says: "extent 8, weights 7",
    });
  });

  test("shared by ragged nodes of another length name the first such node", async () => {
    await refusedRun(
      chain(weightedSum([1, 2])),
      { data: [1, 2, 3, 4, 5], offsets: [[0, 2, 5]] },
      { code: "ERR_FOURFOLD_WEIGHTS", says: /level "f" \(axis 1\): node 1 has 3 children, weights 2.*perNode/, at: { level: "f" } },
    );
  });

  test("for each node are one for each child of the level, or of one frame where all frames are alike", async () => {
    const three = chain(weightedMean({ perNode: [1, 2, 3] }), sum());
    await refusedRun(
      three,
      { data: [1, 2, 3, 4], shape: [2, 2] },
      { code: "ERR_FOURFOLD_WEIGHTS", says: 'level "f" (axis 1): 4 children, weights 3' },
    );
    // 6 leaves in 2 outermost nodes of 1 and 2 rows: 3 weights are those of no frame.
    await refusedRun(
      three,
      {
        data: [1, 2, 3, 4, 5, 6],
        offsets: [
          [0, 2, 4, 6],
          [0, 1, 3],
        ],
      },
      { code: "ERR_FOURFOLD_WEIGHTS", says: "6 children, weights 3" },
    );
    await refusedRun(three, { values: [1, 2], keys: { k: ["a", "b"] } }, { code: "ERR_FOURFOLD_WEIGHTS", says: "2 records, weights 3" });
  });

  test("shared by the records of a node are refused: records have no order", async () => {
    await refusedRun(
      chain(weightedSum([1, 2])),
      { values: [1, 2], keys: { k: ["a", "a"] } },
      { code: "ERR_FOURFOLD_WEIGHTS", says: /level "f".*records have no order, weights 2/ },
    );
    await refusedRun(
      chain(
        weightedSum([
          [1, 2],
          [3, 4],
        ]),
      ),
      { values: [1, 2], keys: { k: ["a", "a"] } },
      { code: "ERR_FOURFOLD_WEIGHTS", says: "records have no order" },
    );
  });

  test("that are no numbers are refused when the chain is made", async () => {
    for (const [given, says] of [
      [[1, "2"], 'weightedSum: weight 1 is "2", expected a number'],
      [undefined, "weights are undefined"],
      ["counts", 'weights are "counts"'],
      [{ perNode: [[1]] }, "weights are object with perNode"],
      [[[1, 2], [3]], "row 1 of the weight matrix is \\[3\\], row 0 has 2 weights"],
      [[[1], null], "row 1 of the weight matrix is null"],
      [[null], "row 0 of the weight matrix is null"],
      [Int32Array.of(1), "Int32Array\\(1\\)"],
    ] as const) {
      const error = await failing(() => weightedSum(given as never));
      fired.add(error.code);
      expect(error.code).toBe("ERR_FOURFOLD_WEIGHTS");
      expect(error.message).toMatch(new RegExp(says));
      expect(error.message).toMatch(/Give|expected/);
    }
  });

  test('NaN weights are an error under nan: "error" alone, with level and index', async () => {
    const c = chain(sum(), weightedSum([1, Number.NaN]));
    const input = { data: [1, 2], shape: [2, 1] };
    await refusedRun(
      c,
      input,
      { code: "ERR_FOURFOLD_NAN", says: 'level "g": weight 1 is NaN', at: { level: "g", index: 1 } },
      { nan: "error" },
    );
    expect((await engine.run(c, input)).value).toBeNaN();
    expect((await engine.run(c, input, { nan: "skip" })).value).toBeNaN();
  });
});

describe("shapes", () => {
  const f32 = new Float32Array(24);

  test("that do not multiply out name both numbers", async () => {
    await refusedRun(
      chain(sum()),
      { data: f32, shape: [5, 5] },
      { code: "ERR_FOURFOLD_SHAPE", says: "shape [5, 5] holds 25 values, data has 24" },
    );
    const plan = engine.plan(chain(sum()), { shape: [5, 5], dtype: "f32" });
    await refused(() => plan.run({ data: f32 }), { code: "ERR_FOURFOLD_SHAPE", says: "holds 25 values, data has 24" });
    await refused(() => plan.runSync({ data: f32 }), { code: "ERR_FOURFOLD_SHAPE", says: "holds 25 values, data has 24" });
  });

  test("with fewer axes than levels, or extents that are none, name the axis", async () => {
    await refusedRun(
      chain(sum(), sum()),
      { data: f32, shape: [24] },
      { code: "ERR_FOURFOLD_SHAPE", says: "shape [24] has 1 axes, the chain has 2 levels" },
    );
    for (const bad of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "4"])
      await refusedRun(chain(sum()), { data: f32, shape: [6, bad] }, { code: "ERR_FOURFOLD_SHAPE", says: "axis 1 is", at: { axis: 1 } });
    await refused(() => engine.tensor([2, -1], "f32"), { code: "ERR_FOURFOLD_SHAPE", says: "axis 1 is -1", at: { axis: 1 } });
    await refusedRun(chain(sum()), { data: f32, shape: 24 }, { code: "ERR_FOURFOLD_SHAPE", says: "shape is 24" });
    await refused(() => engine.tensor(24 as never, "f32"), { code: "ERR_FOURFOLD_SHAPE", says: "shape is 24" });
  });

  test("`into` must fit the result, and is written only by a run that succeeds", async () => {
    const plan = engine.plan(chain(sum()), { shape: [2, 12], dtype: "f32", nan: "error", foreign: true });
    const into = Float64Array.of(7, 7);
    await refused(() => plan.run({ data: f32 }, { into: new Float64Array(3) }), {
      code: "ERR_FOURFOLD_SHAPE",
      says: "into has 3 values, the result has 2",
    });
    await refused(() => plan.runSync({ data: f32 }, { into: [0, 0] as never }), { code: "ERR_FOURFOLD_ARGUMENT", says: "into" });
    await refused(() => plan.run({ data: f32.map((_, i) => (i === 20 ? Number.NaN : 1)) }, { into }), {
      code: "ERR_FOURFOLD_NAN",
      says: "data[20]",
    });
    expect([...into]).toEqual([7, 7]);
  });
});

describe("offsets", () => {
  const data = [1, 2, 3, 4];
  const bad = (offsets: unknown, says: string | RegExp, at?: ErrorPosition): Promise<void> =>
    refusedRun(chain({ sensor: sum(), site: sum() }), { data, offsets }, { code: "ERR_FOURFOLD_OFFSETS", says, ...(at && { at }) });

  test("that fall, run past the end, stop before it or do not start at 0 name the level and the index", async () => {
    await bad([[0, 3, 2, 4]], 'level "sensor": offsets[2] is 2, below the one before it (3)', { level: "sensor", index: 2 });
    await bad([[0, 2, 5]], "offsets[2] is 5, past the end of 4 children", { level: "sensor", index: 2 });
    await bad([[0, 2, 3]], "offsets[2] is 3, expected 4, the number of children", { level: "sensor", index: 2 });
    await bad([[1, 4]], "offsets[0] is 1, expected 0", { level: "sensor", index: 0 });
    await bad([[0, 2, 4], Uint32Array.of(0, 3)], 'level "site": offsets[1] is 3, past the end of 2 children', { level: "site", index: 1 });
    await bad([Int32Array.of(0, -1, 4)], "offsets[1] is -1");
    await bad([BigInt64Array.of(0n, 2n ** 60n)], "offsets[1] is 1152921504606846976n");
  });

  test("that are no numbers, no arrays or too many say so", async () => {
    await bad([[0, 1.5, 4]], "offsets[1] is 1.5, expected an integer");
    await bad([[0, Number.NaN, 4]], "offsets[1] is NaN, expected an integer");
    await bad([[0, "2", 4]], 'offsets[1] is "2", expected an integer');
    await bad([[0, null, 4]], "offsets[1] is null, expected an integer");
    await bad([[]], "the offsets are empty");
    await bad([0, 2, 4], "3 offset arrays for 2 levels");
    await bad([0, 4], /level "sensor": the offsets are 0, expected an array/);
    await bad({}, "offsets");
    await bad(
      [
        [0, 4],
        [0, 1],
        [0, 1],
      ],
      "3 offset arrays for 2 levels",
    );
  });
});

describe("NaN and infinities", () => {
  const data = [1, Number.NaN, 3, Number.NaN];

  test("propagate by default", async () => {
    for (const reduction of [sum(), mean(), min(), max(), variance(), weightedSum([1, 1, 1, 1]), weightedMean([1, 1, 1, 1])])
      expect((await engine.run(chain(reduction), data)).value).toBeNaN();
    expect((await engine.run(chain(count()), data)).value).toBe(4);
    expect((await engine.run(chain(sum()), [1, Number.POSITIVE_INFINITY])).value).toBe(Number.POSITIVE_INFINITY);
    expect((await engine.run(chain(sum()), [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY])).value).toBeNaN();
    expect((await engine.run(chain(variance()), [1, Number.POSITIVE_INFINITY])).value).toBeNaN();
  });

  test("under skip NaN is left out, and infinities are not", async () => {
    const of = async (reduction: Reduction, values: Data): Promise<number> =>
      (await engine.run(chain(reduction), values, { nan: "skip" })).value;
    expect(await of(sum(), data)).toBe(4);
    expect(await of(mean(), data)).toBe(2);
    expect(await of(min(), data)).toBe(1);
    expect(await of(count(), data)).toBe(2);
    expect(await of(weightedMean([1, 5, 3, 5]), data)).toBe(2.5);
    expect(await of(mean(), [Number.NaN])).toBeNaN();
    expect(await of(sum(), [Number.NaN, Number.POSITIVE_INFINITY])).toBe(Number.POSITIVE_INFINITY);
  });

  test("under error infinities pass, and a NaN is refused with its index, on every backend and kind of input", async () => {
    const nan = "error" as const;
    expect((await engine.run(chain(sum()), [1, Number.POSITIVE_INFINITY], { nan })).value).toBe(Number.POSITIVE_INFINITY);
    const expected: Expected = { code: "ERR_FOURFOLD_NAN", says: "data[1] is NaN", at: { level: "sensor", index: 1 } };
    const c = chain({ sensor: sum(), site: sum() });
    await refusedRun(c, data, expected, { nan });
    await refusedRun(c, { data: Float32Array.from(data), shape: [2, 2] }, expected, { nan });
    await refusedRun(c, { data, offsets: [[0, 3, 4]] }, expected, { nan });
    await refusedRun(c, { data, shape: [2, 2] }, expected, { nan, backend: "reference" });
    // Sorted by key the last record comes first; the first NaN is still record 1.
    await refusedRun(c, { values: data, keys: { k: [4, 3, 2, 1] } }, expected, { nan });
    expect((await engine.run(c, { values: data, keys: { k: ["a", null, "a", null] }, nullKeys: "skip" }, { nan })).values[0]).toBe(4);
    const strict = await createEngine({ workers: 0, nan });
    fired.add((await failing(() => strict.run(c, data))).code);
    await strict.close();
  });

  test("under error the first NaN is named, though workers and parts find others before it", async () => {
    const x = engine.tensor([2048, 1024], "f32");
    for (const [first, ...others] of [[1_500_000, 1_900_000, 2_097_151], [7, 1_048_576, 2_000_000], [2_097_151]]) {
      x.data.fill(1);
      for (const i of [first!, ...others]) x.data[i] = Number.NaN;
      for (let again = 0; again < 3; again++)
        await refused(() => engine.run(chain(sum(), sum()), x, { nan: "error" }), {
          code: "ERR_FOURFOLD_NAN",
          says: `data[${first}] is NaN`,
          at: { level: "f", index: first! },
        });
    }
    x.free();
  });
});

describe("emptiness", () => {
  test("empty input, zero extents and no frames give empty values or none, and no error", async () => {
    const of = async (shape: readonly number[], ...reductions: Reduction[]): Promise<number[]> => [
      ...(await engine.run(chain(...reductions), { data: [], shape })).values,
    ];
    expect(await of([3, 0], sum())).toEqual([0, 0, 0]);
    expect(await of([0, 5], sum())).toEqual([]);
    expect(await of([0], mean())).toEqual([Number.NaN]);
    expect(await of([2, 0, 4], sum(), max())).toEqual([Number.NaN, Number.NaN]);
    expect(await of([2, 3, 0], weightedSum([]), weightedMean([1, 2, 3]))).toEqual([0, 0]);
    expect(await of([0, 3, 4], weightedSum({ perNode: new Float64Array(12) }), sum())).toEqual([]);
    expect((await engine.run(chain(sum()), { data: [], shape: [0, 5] })).shape).toEqual([0]);
    await refused(async () => (await engine.run(chain(sum()), { data: [], shape: [0, 5] })).value, {
      code: "ERR_FOURFOLD_FRAMES",
      says: "the result has 0 values",
    });
  });

  test("no records give no nodes, or the one node that always is", async () => {
    const none = { values: [], keys: { k: [] } };
    expect((await engine.run(chain(sum()), none)).shape).toEqual([0]);
    expect((await engine.run(chain(sum(), sum()), none)).value).toBe(0);
    expect((await engine.run(chain(sum(), mean()), none, { keep: "all" })).level("f").length).toBe(0);
    expect((await engine.run(chain(sum(), mean()), { values: [1], keys: { k: [null] }, nullKeys: "skip" })).value).toBeNaN();
  });
});

describe("values", () => {
  test("of kinds that are not reduced say which are", async () => {
    for (const [data, says] of [
      [Uint16Array.of(1), /data is Uint16Array\(1\), expected numbers/],
      [new Uint8ClampedArray(1), /Uint8ClampedArray/],
      [new DataView(new ArrayBuffer(8)), /DataView/],
      ["123", /data is "123"/],
      [new Map(), /data is object/],
      [[1, "2"], /data\[1\] is "2", expected a number/],
      [[1, undefined], /data\[1\] is/],
      [new Array(3), /data\[0\] is/],
      [[1n], /data\[0\] is 1n/],
    ] as const) {
      const error = await failing(() => engine.run(chain(sum()), { data: data as never, shape: [1] }));
      fired.add(error.code);
      expect(error.code).toBe("ERR_FOURFOLD_DTYPE");
      expect(error.message).toMatch(says);
      expect(error.message).toContain(error.fix ?? "expected");
    }
    await refused(() => engine.tensor([1], "f16" as never), { code: "ERR_FOURFOLD_DTYPE", says: 'dtype is "f16"' });
    const plan = engine.plan(chain(sum()), { shape: [2], dtype: "f32" });
    await refused(() => plan.run({ data: Float64Array.of(1, 2) }), { code: "ERR_FOURFOLD_DTYPE", says: "the plan is for f32" });
  });

  test("beyond 2^53 in a BigInt64Array are refused with their index; 2^53 itself is exact", async () => {
    const limit = 2n ** 53n;
    await refusedRun(chain(sum()), BigInt64Array.of(1n, limit + 1n), {
      code: "ERR_FOURFOLD_INTEGER",
      says: "data[1] is 9007199254740993, beyond ±2^53",
      at: { index: 1 },
    });
    await refusedRun(chain(sum()), BigInt64Array.of(-limit - 1n), { code: "ERR_FOURFOLD_INTEGER", says: "data[0]", at: { index: 0 } });
    expect((await engine.run(chain(max()), BigInt64Array.of(limit, -limit))).value).toBe(2 ** 53);
  });

  test("that are missing are an error that lists the kinds of input", async () => {
    for (const input of [undefined, null, {}, 5, { values: [1] }, { shape: [1] }])
      await refusedRun(chain(sum()), input, { code: "ERR_FOURFOLD_ARGUMENT", says: "Give { data, shape }" });
  });
});

describe("keys", () => {
  const values = [1, 2, 3];
  const c = chain({ airport: sum(), nation: sum() });

  test("that are null, undefined or NaN are refused with column and row", async () => {
    for (const missing of [null, undefined, Number.NaN])
      await refusedRun(
        c,
        { values, keys: { k: ["a", "b", missing] } },
        { code: "ERR_FOURFOLD_KEYS", says: /key column "k": entry 2 is .*nullKeys/, at: { column: "k", row: 2 } },
      );
  });

  test("of another length than the values, in another order of `by`, or under an unknown policy are refused", async () => {
    await refusedRun(
      c,
      { values, keys: { k: ["a", "b"] } },
      { code: "ERR_FOURFOLD_KEYS", says: 'key column "k" has 2 entries for 3 values', at: { column: "k" } },
    );
    const keys = { state: ["a", "a", "b"], origin: [1, 2, 3] };
    await refusedRun(
      c,
      { values, keys, by: [["origin"], []] },
      { code: "ERR_FOURFOLD_KEYS", says: 'level "airport": by [origin]', at: { level: "airport" } },
    );
    await refusedRun(
      c,
      { values, keys, by: [["state"], ["state", "origin"]] },
      { code: "ERR_FOURFOLD_KEYS", says: 'level "nation"', at: { level: "nation" } },
    );
    await refusedRun(c, { values, keys, by: [["state"], [], []] }, { code: "ERR_FOURFOLD_KEYS", says: "by has 3 entries" });
    await refusedRun(c, { values, keys, by: "state" }, { code: "ERR_FOURFOLD_KEYS", says: "by" });
    await refusedRun(c, { values, keys, nullKeys: "drop" }, { code: "ERR_FOURFOLD_ARGUMENT", says: 'option "nullKeys": given "drop"' });
    await refusedRun(c, { values, keys: { k: 5 } }, { code: "ERR_FOURFOLD_KEYS", says: 'key column "k" is 5' });
    await refusedRun(c, { values, keys: null }, { code: "ERR_FOURFOLD_KEYS", says: "keys are null" });
    await refusedRun(
      c,
      { values, keys: { k: [{}, {}, {}] } },
      { code: "ERR_FOURFOLD_KEYS", says: 'key column "k": entry 0 is object', at: { column: "k", row: 0 } },
    );
  });

  test("a reduction that needs an order is refused for records", async () => {
    const first = defineReduction({
      name: "first",
      init: () => Number.NaN,
      add: (s, x) => (Number.isNaN(s) ? x : s),
      merge: (a) => a,
      finish: (s) => s,
    });
    await refusedRun(
      chain(first()),
      { values, keys: { k: [1, 1, 1] } },
      { code: "ERR_FOURFOLD_REDUCTION", says: 'reduction "first" needs an order', at: { level: "f" } },
    );
  });
});

describe("chains", () => {
  test("that are none, or hold what is no reduction, say how to make one", async () => {
    for (const [make, says] of [
      [() => chain(), "needs one level or more"],
      [() => chain({}), "needs one level or more"],
      [() => chain(sum as never), "Call it: sum\\(\\), not sum"],
      [() => chain(sum(), null as never), 'level "g" is null'],
      [() => chain({ a: sum(), b: 3 as never }), 'level "b" is 3'],
      [() => chain({ 1: sum() }), 'level name "1" is an integer'],
      [() => chain(weightedSum([[1]]), weightedSum([[1]])), 'levels "f" and "g" have a weight matrix'],
      [() => chain(...Array.from({ length: 61 }, () => sum())), "at most 60 levels, given 61"],
    ] as const) {
      const error = await failing(make);
      fired.add(error.code);
      expect(error.code).toBe("ERR_FOURFOLD_CHAIN");
      expect(error.message).toMatch(new RegExp(says));
      expect(error.fix).toBeTruthy();
    }
    await refusedRun(sum(), [1], { code: "ERR_FOURFOLD_CHAIN", says: "Wrap it: chain(sum(" });
    await refusedRun(null, [1], { code: "ERR_FOURFOLD_CHAIN", says: "the chain is null" });
    await refused(() => engine.plan(mean() as never, { shape: [1], dtype: "f32" }), { code: "ERR_FOURFOLD_CHAIN", says: "Wrap it" });
  });

  test("reductions with a missing function or a wrong ddof are refused when they are made", async () => {
    expect((await failing(() => defineReduction({ name: "half", init: () => 0, add: (s: number) => s } as never))).message).toContain(
      'reduction "half": "merge" is undefined, expected a function',
    );
    expect((await failing(() => defineReduction({ name: "" } as never))).code).toBe("ERR_FOURFOLD_REDUCTION");
    expect((await failing(() => variance({ ddof: -1 }))).code).toBe("ERR_FOURFOLD_ARGUMENT");
    expect((await failing(() => variance({ ddof: 0.5 }))).message).toContain('option "ddof": given 0.5');
  });
});

describe("options", () => {
  test("that are unknown or out of range name what is allowed", async () => {
    const bad = (options: object, says: string, code: Expected["code"] = "ERR_FOURFOLD_ARGUMENT"): Promise<void> =>
      refusedRun(chain(sum()), [1], { code, says }, options as RunOptions);
    await bad({ accurracy: "fast" }, 'there is no option "accurracy"');
    await bad({ accuracy: "best" }, 'option "accuracy": given "best"');
    await bad({ nan: "drop" }, 'option "nan": given "drop"');
    await bad({ keep: "f" }, 'option "keep": given "f"');
    await bad({ keep: ["site"] }, 'keep: there is no level "site", the levels are "f"', "ERR_FOURFOLD_LEVEL");
    await bad({ backend: "quantum" }, 'there is no backend "quantum"', "ERR_FOURFOLD_BACKEND");
    await bad({ signal: 5 }, 'option "signal": given 5');
    await bad({ onProgress: 5 }, 'option "onProgress": given 5');
    const plan = engine.plan(chain(sum()), { shape: [1], dtype: "f64" });
    await refused(() => plan.run({ data: Float64Array.of(1) }, { keep: "all" } as never), {
      code: "ERR_FOURFOLD_ARGUMENT",
      says: 'plan.run: there is no option "keep"',
    });
    await refused(() => engine.plan(chain(sum()), { shape: [1], dtype: "f64", workers: 2 } as never), {
      code: "ERR_FOURFOLD_ARGUMENT",
      says: 'there is no option "workers"',
    });
    await refused(() => engine.plan(chain(sum()), undefined as never), {
      code: "ERR_FOURFOLD_ARGUMENT",
      says: "plan: the options are undefined",
    });
  });

  test("of an engine are checked before it exists", async () => {
    for (const [options, code, says] of [
      [{ workers: -1 }, "ERR_FOURFOLD_ARGUMENT", 'option "workers": given -1'],
      [{ workers: 257 }, "ERR_FOURFOLD_ARGUMENT", "an integer from 0 to 256"],
      [{ memoryBytesMax: 0 }, "ERR_FOURFOLD_ARGUMENT", "memoryBytesMax"],
      [{ memoryBytesMax: Number.NaN }, "ERR_FOURFOLD_ARGUMENT", "memoryBytesMax"],
      [{ memoryBytesMax: "1 GiB" }, "ERR_FOURFOLD_ARGUMENT", "memoryBytesMax"],
      [{ runsMax: 0 }, "ERR_FOURFOLD_ARGUMENT", "runsMax"],
      [{ thread: 2 }, "ERR_FOURFOLD_ARGUMENT", 'there is no option "thread"'],
      [{ backend: "cuda" }, "ERR_FOURFOLD_BACKEND", 'there is no backend "cuda"'],
    ] as const) {
      const error = await failing(() => createEngine(options as never));
      fired.add(error.code);
      expect(error.code).toBe(code);
      expect(error.message).toContain(says);
    }
  });

  test("distribute takes a whole number of parts", async () => {
    for (const parts of [0, -1, 1.5, Number.NaN, "2", 2 ** 25])
      expect((await failing(() => distribute([1], { parts: parts as never }))).message).toContain("distribute: parts is");
  });
});

describe("levels and nodes", () => {
  test("that are not there name those that are", async () => {
    const result = await engine.run(chain({ sensor: sum(), site: sum() }), { data: [1, 2, 3, 4], shape: [2, 2] }, { keep: "all" });
    await refused(() => result.level("sites"), {
      code: "ERR_FOURFOLD_LEVEL",
      says: 'there is no level "sites", the levels are "sensor", "site"',
    });
    await refused(() => result.level("sensor").at(5), {
      code: "ERR_FOURFOLD_LEVEL",
      says: /level "sensor" has no node at \(5\).*1 indices/,
      at: { level: "sensor" },
    });
    const keyed = await engine.run(chain({ airport: sum(), nation: sum() }), { values: [1], keys: { state: ["TX"] } }, { keep: "all" });
    await refused(() => keyed.level("airport").at("tx"), {
      code: "ERR_FOURFOLD_LEVEL",
      says: /no node at \("tx"\).*the keys state; the first is at\("TX"\)/,
    });
  });
});

describe("memory", () => {
  test("beyond memoryBytesMax is refused: tensors, keyed records, weights; and what was there stays", async () => {
    const small = await createEngine({ workers: 0, memoryBytesMax: 1 << 20 });
    const x = small.tensor([1000], "f64");
    x.data.fill(1);
    const used = small.stats.memoryBytes;
    const tooMuch = async (call: () => unknown): Promise<void> => {
      const error = await failing(call);
      fired.add(error.code);
      expect(error.code).toBe("ERR_FOURFOLD_MEMORY");
      expect(error.message).toMatch(/no room for \d+ bytes: .*memoryBytesMax is 1048576.*raise memoryBytesMax/);
      expect(small.stats.memoryBytes).toBe(used);
      expect((await small.run(chain(sum()), x)).value).toBe(1000);
    };
    await tooMuch(() => small.tensor([1 << 20], "f32"));
    await tooMuch(() => small.run(chain(sum()), { values: new Float64Array(1 << 18), keys: { k: new Uint8Array(1 << 18) } }));
    await tooMuch(() => small.run(chain(weightedSum(new Float64Array(1 << 18))), { data: new Float32Array(1 << 18), shape: [1 << 18] }));
    await tooMuch(() =>
      small.runSync(chain(weightedSum({ perNode: new Float64Array(1 << 18) }), sum()), {
        data: new Float32Array(1 << 18),
        offsets: [[0, 5, 1 << 18]],
      }),
    );
    const foreign = new Float32Array(1 << 22).fill(1); // larger than all memory, and reduced in pieces
    expect((await small.run(chain(sum(), sum()), { data: foreign, shape: [4096, 1024] })).value).toBe(2 ** 22);
    await small.close();
  });

  test("of more than one block can be is refused", async () => {
    await refused(() => engine.tensor([2 ** 30], "f32"), { code: "ERR_FOURFOLD_MEMORY", says: "one block holds less than" });
    await refused(() => engine.tensor([2 ** 40], "f32"), { code: "ERR_FOURFOLD_MEMORY", says: "memoryBytesMax is" });
  });
});

describe("an abort", () => {
  const reason = new Error("enough");

  async function aborts(call: (signal: AbortSignal, abort: () => void) => Promise<unknown>): Promise<void> {
    const controller = new AbortController();
    const error = await refused(() => call(controller.signal, () => controller.abort(reason)), {
      code: "ERR_FOURFOLD_ABORTED",
      says: "aborted",
    });
    expect(error.name).toBe("AbortError");
    expect(error.cause).toBe(reason);
  }

  test("before the call", () =>
    aborts((signal, abort) => {
      abort();
      return engine.run(chain(sum()), [1], { signal });
    }));

  test("while workers run", async () => {
    const x = engine.tensor([512, 64, 1024], "f32");
    for (const later of [0, 1, 3, 6, 10])
      await aborts(async (signal, abort) => {
        const runs = Array.from({ length: 20 }, () => engine.run(chain(variance(), sum(), sum()), x, { signal, accuracy: "exact" }));
        setTimeout(abort, later);
        await Promise.allSettled(runs);
        return runs.at(-1);
      });
    x.free();
  });

  test("while the calling thread runs, between its slices", async () => {
    const own = await createEngine({ workers: 0 });
    const x = own.tensor([4096, 4096], "f32");
    const used = own.stats.memoryBytes;
    for (const data of [x.data, new Float32Array(1 << 24)]) {
      const controller = new AbortController();
      const run = own.run(
        chain(variance(), sum()),
        { data, shape: [4096, 4096] },
        { signal: controller.signal, onProgress: ({ done }) => done > 1 && controller.abort(reason) },
      );
      expect(await failing(() => run)).toMatchObject({ code: "ERR_FOURFOLD_ABORTED", cause: reason });
      expect(own.stats.runs).toBe(0);
    }
    x.free();
    expect(own.stats.memoryBytes).toBeLessThanOrEqual(used - 4 * 2 ** 24);
    await own.close();
  });

  test("while records are grouped and placed", async () => {
    const n = 1_000_000;
    const input = {
      values: new Float32Array(n),
      keys: {
        a: Uint32Array.from({ length: n }, (_, i) => (i * 7919) % 1000),
        b: Uint32Array.from({ length: n }, (_, i) => (i * 104729) % 50),
      },
    };
    for (const later of [0, 5, 15, 40])
      await aborts((signal, abort) => {
        setTimeout(abort, later);
        return engine
          .run(chain(sum(), mean()), input, { signal })
          .then(() => engine.run(chain(sum(), mean()), input, { signal }).then(() => engine.run(chain(sum(), mean()), input, { signal })));
      });
  });

  test("leaves no listener on the signal", async () => {
    const controller = new AbortController();
    const x = engine.tensor([1024, 1024], "f32");
    await engine.run(chain(sum(), sum()), x, { signal: controller.signal });
    x.free();
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  });
});

test("every code that an engine can throw was thrown by this file", () => {
  // Of files, specs, streams, the command, closed engines, queues, faulty workers and devices others tell.
  const elsewhere = [
    "ACCURACY",
    "CHECKPOINT",
    "CLOSED",
    "COLUMN",
    "DEADLINE",
    "DEVICE",
    "FORBIDDEN",
    "FORMAT",
    "JOB",
    "OUTPUT",
    "QUEUE",
    "RECORD",
    "SETUP",
    "SOURCE",
    "SPEC",
    "STATE",
    "WORKER",
  ].map((code) => `ERR_FOURFOLD_${code}`);
  expect([...fired, ...elsewhere].sort()).toEqual(Object.keys(ERROR_CODES).sort());
});
