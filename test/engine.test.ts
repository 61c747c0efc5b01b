/** The public API, item by item. Accuracy is the oracle's business, bad input has a file of its own. */
import { threadId } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type Chain,
  chain,
  count,
  createEngine,
  defineReduction,
  distribute,
  type Engine,
  type Input,
  max,
  mean,
  min,
  type Progress,
  type Reduction,
  type RunOptions,
  sum,
  type UserReduction,
  variance,
  weightedMean,
  weightedSum,
} from "../src/index.ts";
import { outputOf, ROOT, runNode } from "./child.ts";
import { failing } from "./failing.ts";
import { random } from "./random.ts";

let engine: Engine;
beforeEach(async () => {
  engine = await createEngine({ workers: 2 });
});
afterEach(() => engine.close());

const oneOf = async (c: Chain, input: Input, options?: RunOptions): Promise<number> => (await engine.run(c, input, options)).value;
const allOf = async (c: Chain, input: Input, options?: RunOptions): Promise<number[]> => [...(await engine.run(c, input, options)).values];
const integers = (n: number, below: number, seed: number): Float64Array => {
  const r = random(seed);
  return Float64Array.from({ length: n }, () => r.int(2 * below + 1) - below);
};
const BIG = 1 << 19; // float32 values of 2 MiB: more than runs on the calling thread

describe("the article", () => {
  const program = chain(sum(), mean(), max());
  const halves = distribute([1, 2, 3, 4, 5], { parts: 2 });

  test("its program gives 7.5", async () => {
    const result = await engine.run(program, halves, { keep: "all" });
    expect(result.value).toBe(7.5);
    expect([...result.level("f").values]).toEqual([6, 9]);
    expect([...result.level("g").values]).toEqual([7.5]);
    expect(engine.runSync(program, halves).value).toBe(7.5);
  });

  test("its five steps are in every result, with their counts", async () => {
    const { steps } = await engine.run(program, halves);
    expect(steps.map(({ name }) => name)).toEqual(["init", "distribute", "process", "aggregate", "output"]);
    expect(steps.map(({ counts }) => counts)).toEqual([
      { values: 5, bytes: 40 },
      { parts: 1, workers: 2 },
      { nodes: 2 },
      { nodes: 2 },
      { numbers: 1 },
    ]);
    for (const { ms } of steps) expect(ms).toBeGreaterThanOrEqual(0);
  });

  test("its four weighted sums equal the same sums over BigInt", async () => {
    const [D, C, B, A] = [3, 4, 5, 6];
    const [a, b, c, d] = [integers(A, 9, 1), integers(B, 9, 2), integers(C, 9, 3), integers(D, 9, 4)];
    const data = integers(D * C * B * A, 99, 5);
    let expected = 0n;
    data.forEach((x, i) => {
      const weights = [a[i % A]!, b[Math.floor(i / A) % B]!, c[Math.floor(i / (A * B)) % C]!, d[Math.floor(i / (A * B * C))]!];
      expected += weights.reduce((product, w) => product * BigInt(w), BigInt(x));
    });
    expect(await oneOf(chain(weightedSum(a), weightedSum(b), weightedSum(c), weightedSum(d)), { data, shape: [D, C, B, A] })).toBe(
      Number(expected),
    );
  });
});

describe("a chain", () => {
  test("takes its level names from an object, or f, g, h, k, level5, …", async () => {
    expect(chain({ sensor: sum(), site: mean() }).levels.map(({ name }) => name)).toEqual(["sensor", "site"]);
    expect(chain(sum(), sum(), sum(), sum(), sum()).levels.map(({ name }) => name)).toEqual(["f", "g", "h", "k", "level5"]);
  });

  test("of any number of levels runs, one as well as sixty, on workers too", async () => {
    expect(await oneOf(chain(sum()), [1, 2, 3])).toBe(6);
    const deep = chain(...Array.from({ length: 60 }, () => sum()));
    const ones = engine.tensor([...Array.from({ length: 40 }, () => 1), ...Array.from({ length: 20 }, () => 2)], "f32");
    ones.data.fill(1);
    const result = await engine.run(deep, ones);
    expect(result.value).toBe(2 ** 20);
    expect(result.plan.phases[0]!.where).toBe("workers");
  });

  test("copies its weights when it is made", async () => {
    const weights = [1, 2];
    const c = chain(weightedSum(weights));
    weights[0] = 100;
    expect(await oneOf(c, [10, 10])).toBe(30);
  });

  test("takes a matrix of weights at any level, whose outputs are the last axis", async () => {
    const data = integers(2 * 3 * 4 * 5, 50, 7);
    for (const at of [0, 1, 2]) {
      const extents = [5, 4, 3];
      const rows = [0, 1].map((r) => integers(extents[at]!, 9, 10 * at + r));
      const reductions = (r?: number): Reduction[] =>
        extents.map((_, i) => (i === at ? weightedSum(r === undefined ? rows : rows[r]!) : sum()));
      const result = await engine.run(chain(...reductions()), { data, shape: [2, 3, 4, 5] }, { keep: "all" });
      expect(result.shape).toEqual([2, 2]);
      const vectors = [
        await allOf(chain(...reductions(0)), { data, shape: [2, 3, 4, 5] }),
        await allOf(chain(...reductions(1)), { data, shape: [2, 3, 4, 5] }),
      ];
      expect([...result.values]).toEqual([vectors[0]![0], vectors[1]![0], vectors[0]![1], vectors[1]![1]]);
      expect(result.level("h").at(1).values).toEqual([vectors[0]![1], vectors[1]![1]]);
      expect(result.level("h").at(1).value).toBe(vectors[0]![1]);
    }
  });

  test("takes weights for each node: of one frame, repeated, or of all frames", async () => {
    const data = [1, 2, 3, 4, 5, 6, 7, 8];
    const shape = [2, 2, 2];
    const one = weightedSum({ perNode: [1, 10, 100, 1000] });
    const all = weightedSum({ perNode: [1, 1, 1, 1, 2, 2, 2, 2] });
    expect(await allOf(chain(one, sum()), { data, shape })).toEqual([1 + 20 + 300 + 4000, 5 + 60 + 700 + 8000]);
    expect(await allOf(chain(all, sum()), { data, shape })).toEqual([10, 52]);
    expect(await allOf(chain(sum(), weightedSum({ perNode: [1, 10] })), { data, shape })).toEqual([3 + 70, 11 + 150]);
  });

  test('weighs by "count": the kept records below each child', async () => {
    const ragged = { data: [2, 4, 6, Number.NaN, 10], offsets: [[0, 1, 3, 5]] };
    expect(await oneOf(chain(mean(), weightedMean("count")), ragged, { nan: "skip" })).toBe((1 * 2 + 2 * 5 + 1 * 10) / 4);
    expect(await oneOf(chain(mean(), weightedSum("count")), { ...ragged, data: [2, 4, 6, 8, 10] })).toBe(2 + 10 + 18);
  });

  test("counts, means, extremes and variances are what they are called", async () => {
    const data = [3, 1, 4, 1, 5];
    const of = (r: Reduction): Promise<number> => oneOf(chain(r), data);
    expect(await of(count())).toBe(5);
    expect(await of(mean())).toBe(2.8);
    expect(await of(min())).toBe(1);
    expect(await of(max())).toBe(5);
    expect(await of(variance())).toBe(2.56);
    expect(await of(variance({ ddof: 1 }))).toBe(3.2);
    expect(await of(weightedMean([1, 0, 0, 0, 1]))).toBe(4);
  });
});

describe("dense tensors", () => {
  test("have the shape [...frames, D, C, B, A], and give one number for each frame", async () => {
    const data = integers(2 * 3 * 4 * 5, 9, 3);
    const result = await engine.run(chain(sum(), sum()), { data, shape: [2, 3, 4, 5] });
    expect(result.shape).toEqual([2, 3]);
    const expected = Array.from({ length: 6 }, (_, f) => data.subarray(20 * f, 20 * f + 20).reduce((a, b) => a + b));
    expect([...result.values]).toEqual(expected);
    expect((await engine.run(chain(sum(), sum()), { data, shape: [6, 4, 5] })).shape).toEqual([6]);
    expect((await engine.run(chain(sum(), sum()), { data, shape: [24, 5] })).shape).toEqual([]);
  });

  test("r.value is one number only: of several frames it is an error, that names values", async () => {
    const result = await engine.run(chain(sum()), { data: [1, 2], shape: [2, 1] });
    const error = await failing(() => result.value);
    expect(error.code).toBe("ERR_FOURFOLD_FRAMES");
    expect(error.message).toContain("Read values");
    expect((await engine.run(chain(sum()), { data: [1, 2], shape: [1, 2] })).value).toBe(3);
  });

  test("may be of any dtype, a number[], a BigInt64Array or a Buffer", async () => {
    const of = (data: Input): Promise<number> => oneOf(chain(sum()), data);
    for (const Type of [Float32Array, Float64Array, Int32Array, Int16Array, Int8Array, Uint8Array])
      expect(await of(Type.of(1, 2, 120))).toBe(123);
    expect(await of([1, 2, 120])).toBe(123);
    expect(await of(BigInt64Array.of(1n, 2n ** 53n - 2n))).toBe(2 ** 53 - 1);
    expect(await of(Buffer.from([1, 2, 255]))).toBe(258);
  });

  test("may start at any byte of a buffer, in engine memory or not, and end anywhere", async () => {
    const bytes = Uint8Array.from({ length: 9000 }, (_, i) => (7 * i) % 256);
    const inEngine = engine.tensor([9000], "u8");
    inEngine.data.set(bytes);
    for (const [start, end] of [
      [1, 2],
      [3, 8999],
      [63, 4160],
      [4095, 8193],
      [8999, 9000],
      [5, 5],
    ] as const) {
      const expected = bytes.slice(start, end).reduce((a, b) => a + b, 0);
      expect(await of(bytes.subarray(start, end)), `${start} to ${end}`).toBe(expected);
      expect(await of(inEngine.data.subarray(start, end)), `${start} to ${end} in engine memory`).toBe(expected);
      const shorts = new Int16Array(bytes.buffer, start & ~1, (end - start) >> 1);
      expect(await of(shorts)).toBe(shorts.reduce((a, b) => a + b, 0));
    }
    async function of(data: Uint8Array | Int16Array | Input): Promise<number> {
      return oneOf(chain(sum()), { data: data as Uint8Array, shape: [(data as Uint8Array).length] });
    }
  });

  test("in engine memory are not copied; foreign arrays are, and the copies are counted", async () => {
    const x = engine.tensor([512, 1024], "f32");
    x.data.fill(0.5);
    expect(x).toMatchObject({ shape: [512, 1024], dtype: "f32" });
    expect(await oneOf(chain(sum(), sum()), x)).toBe(BIG / 2);
    expect(engine.runSync(chain(sum(), sum()), x).value).toBe(BIG / 2);
    expect(engine.stats.bytesCopied).toBe(0);
    expect(await oneOf(chain(sum(), sum()), { data: Float32Array.from(x.data), shape: x.shape })).toBe(BIG / 2);
    expect(engine.stats.bytesCopied).toBe(4 * BIG);
  });

  test("are zero when they are made, also where other tensors lay before", () => {
    const first = engine.tensor([1000], "f64");
    expect(first.data.every((x) => Object.is(x, 0))).toBe(true);
    first.data.fill(7);
    first.free();
    const second = engine.tensor([4000], "i16");
    expect(second.data.every((x) => x === 0)).toBe(true);
    expect(engine.tensor([3000], "f32").data.every((x) => x === 0)).toBe(true);
  });

  test("freed twice are freed once", () => {
    const x = engine.tensor([10], "f64");
    expect(engine.stats.memoryBytes).toBeGreaterThanOrEqual(80);
    x.free();
    x.free();
    expect(engine.stats.memoryBytes).toBe(0);
  });
});

describe("ragged rows", () => {
  const data = [1, 2, 3, 4, 5, 6, 7];

  test("are cut by offsets, innermost first; a missing outer one means one node", async () => {
    const c = chain(sum(), max(), sum());
    const o0 = [0, 2, 2, 5, 6, 7]; // sums 3, 0, 12, 6, 7
    const o1 = Uint32Array.of(0, 3, 5); // max 12, 7
    expect(await oneOf(c, { data, offsets: [o0, o1] })).toBe(19);
    expect(await oneOf(c, { data, offsets: [o0] })).toBe(12);
    expect(await oneOf(c, { data, offsets: [] })).toBe(28);
    expect(await oneOf(c, { data })).toBe(28);
    expect(await oneOf(c, data)).toBe(28);
    const all = await engine.run(c, { data, offsets: [o0, o1, BigInt64Array.of(0n, 1n, 2n)] });
    expect(all.shape).toEqual([2]);
    expect([...all.values]).toEqual([12, 7]);
  });

  test("of one length give what a dense tensor gives", async () => {
    const ragged = await engine.run(chain(weightedSum([1, 2, 3]), mean()), { data: [1, 2, 3, 4, 5, 6], offsets: [Int32Array.of(0, 3, 6)] });
    expect(ragged.value).toBe((14 + 32) / 2);
  });

  test("empty data, empty rows and empty groups have the values the contract gives them", async () => {
    expect(await oneOf(chain(sum()), [])).toBe(0);
    expect(await oneOf(chain(count()), [])).toBe(0);
    expect(await oneOf(chain(mean()), [])).toBeNaN();
    expect(await oneOf(chain(max(), sum()), { data: [1], offsets: [[0, 0, 1]] })).toBeNaN();
    expect(await oneOf(chain(max(), sum()), { data: [1], offsets: [[0, 0, 1]] }, { nan: "skip" })).toBe(1);
    expect(await allOf(chain(sum(), min()), { data: [], offsets: [[0], [0, 0, 0]] })).toEqual([Number.NaN, Number.NaN]);
  });
});

describe("distribute", () => {
  // Lengths of numpy.array_split(range(n), parts).
  test.each([
    [5, 2, [3, 2]],
    [5, 1, [5]],
    [9, 3, [3, 3, 3]],
    [7, 3, [3, 2, 2]],
    [8, 3, [3, 3, 2]],
    [2, 4, [1, 1, 0, 0]],
    [0, 2, [0, 0]],
    [10, 4, [3, 3, 2, 2]],
  ])("cuts %i values into %i parts as array_split does", (n, parts, lengths) => {
    const cut = distribute(
      Float32Array.from({ length: n }, (_, i) => i),
      { parts },
    );
    const [offsets] = cut.offsets;
    expect(Array.from(lengths, (_, i) => offsets[i + 1]! - offsets[i]!)).toEqual(lengths);
    expect(cut.data).toBeInstanceOf(Float32Array);
    expect(offsets.at(-1)).toBe(n);
  });
});

describe("keyed records", () => {
  const values = [10, 20, 30, 40, 50];
  const state = ["TX", "CA", "TX", "CA", "TX"];
  const origin = ["DAL", "LAX", "AUS", "LAX", "DAL"];

  test("with equal keys are the children of one node, and keys are sorted, outermost first", async () => {
    const result = await engine.run(
      chain({ airport: sum(), state: mean(), nation: max() }),
      { values, keys: { state, origin } },
      { keep: "all" },
    );
    expect(result.level("airport").name).toBe("airport");
    expect([...result.level("airport")].map(({ path, value, count: n }) => [path, value, n])).toEqual([
      [["CA", "LAX"], 60, 2],
      [["TX", "AUS"], 30, 1],
      [["TX", "DAL"], 60, 2],
    ]);
    expect([...result.level("state")].map(({ key, value }) => [key, value])).toEqual([
      ["CA", 60],
      ["TX", 45],
    ]);
    expect(result.value).toBe(60);
    expect(result.shape).toEqual([]);
    expect(engine.stats.recordsReduced).toBe(5);
  });

  test("have one level fewer than keys if the outermost nodes are keyed: one value each", async () => {
    const result = await engine.run(chain(sum(), sum()), { values, keys: { state, origin } });
    expect(result.shape).toEqual([2]);
    expect([...result.values]).toEqual([60, 90]);
  });

  test("`by` says which leading keys name the nodes of each level", async () => {
    const c = chain({ airport: sum(), nation: sum() });
    const result = await engine.run(c, { values, keys: { state, origin }, by: [["state", "origin"], []] }, { keep: "all" });
    expect(result.level("airport").length).toBe(3);
    expect(result.value).toBe(150);
    const byState = await engine.run(c, { values, keys: { state, origin }, by: [["state"], ["state"]] }, { keep: "all" });
    expect([...byState.level("airport")].map(({ path }) => path)).toEqual([["CA"], ["TX"]]);
    expect([...byState.values]).toEqual([60, 90]);
  });

  test("null, undefined and NaN keys are skipped, or are a group of their own that comes first", async () => {
    const keys = { k: [1, null, Number.NaN, undefined, 1] };
    const skipped = await engine.run(chain(sum(), sum()), { values, keys, nullKeys: "skip" }, { keep: "all" });
    expect([...skipped.level("f")].map(({ key, value }) => [key, value])).toEqual([[1, 60]]);
    expect(skipped.records).toBe(2);
    const grouped = await engine.run(chain(sum(), sum()), { values, keys, nullKeys: "group" }, { keep: "all" });
    expect([...grouped.level("f")].map(({ key, value }) => [key, value])).toEqual([
      [null, 90],
      [1, 60],
    ]);
  });

  test("numbers sort by value, strings by code point: an astral character after every U+FFxx", async () => {
    const order = async (k: readonly (string | number | bigint)[]): Promise<unknown[]> =>
      [...(await engine.run(chain(sum()), { values: k.map(() => 1), keys: { k } })).level("f")].map(({ key }) => key);
    expect(await order([10, 9, -1, 0.5, -0, 1e300])).toEqual([-1, 0, 0.5, 9, 10, 1e300]);
    expect(await order(["\u{1F600}", "\uFF5E", "z", "Z", "a", "", "\uE000", "aa"])).toEqual([
      "",
      "Z",
      "a",
      "aa",
      "z",
      "\uE000",
      "\uFF5E",
      "\u{1F600}",
    ]);
    expect(await order([3n, 1, 2n])).toEqual([1, 2n, 3n]);
  });

  test("take weights for each record, which stay with their records, whatever is skipped", async () => {
    const c = chain(weightedSum({ perNode: [1, 2, 3, 4, 5] }), sum());
    expect(await oneOf(c, { values, keys: { origin } })).toBe(10 + 40 + 90 + 160 + 250);
    const some = { values, keys: { origin: ["a", null, "b", "a", null] }, nullKeys: "skip" } as const;
    expect(await oneOf(c, some)).toBe(10 + 90 + 160);
  });

  test("drill down to the records: key is the record's index, value its value", async () => {
    const result = await engine.run(chain({ airport: sum(), nation: sum() }), { values, keys: { origin } }, { keep: "all" });
    const leaves = result.level("airport").at("DAL").children();
    expect(leaves.map(({ key, path, value, count: n }) => ({ key, path, value, n }))).toEqual([
      { key: 0, path: ["DAL", 0], value: 10, n: 1 },
      { key: 4, path: ["DAL", 4], value: 50, n: 1 },
    ]);
    expect(leaves[0]!.children()).toEqual([]);
  });
});

describe("kept levels", () => {
  const c = chain({ sensor: sum(), site: mean(), region: max() });

  test("of a dense tensor are found by index, after the frame's", async () => {
    const data = Float64Array.from({ length: 2 * 2 * 3 * 2 }, (_, i) => i);
    const result = await engine.run(c, { data, shape: [2, 2, 3, 2] }, { keep: "all" });
    const site = result.level("site").at(1, 0);
    expect(site).toMatchObject({ key: 0, path: [1, 0], value: 29, values: [29], count: 6 });
    expect(site.children().map(({ key, path, value, count: n }) => [key, path, value, n])).toEqual([
      [0, [1, 0, 0], 25, 2],
      [1, [1, 0, 1], 29, 2],
      [2, [1, 0, 2], 33, 2],
    ]);
    expect(
      site
        .children()[1]!
        .children()
        .map(({ path, value }) => [path, value]),
    ).toEqual([
      [[1, 0, 1, 0], 14],
      [[1, 0, 1, 1], 15],
    ]);
    expect(result.level("sensor").length).toBe(12);
    expect(
      result
        .level("region")
        .at(0)
        .children()
        .map(({ value }) => value),
    ).toEqual([5, 17]);
  });

  test("of ragged rows are found by index in the parent", async () => {
    const result = await engine.run(
      c,
      {
        data: [1, 2, 3, 4, 5],
        offsets: [
          [0, 1, 3, 3, 5],
          [0, 1, 4],
        ],
      },
      { keep: "all" },
    );
    expect(result.level("sensor").at(1, 2)).toMatchObject({ value: 9, path: [1, 2], count: 2 });
    expect(result.level("sensor").at(1, 1)).toMatchObject({ value: 0, count: 0 });
    expect(
      result
        .level("site")
        .at(1)
        .children()
        .map(({ value }) => value),
    ).toEqual([5, 0, 9]);
    expect(result.level("region").at()).toMatchObject({ key: 0, path: [], value: result.value, count: 5 });
  });

  test("are those that were asked for; the outermost always is", async () => {
    const result = await engine.run(c, [1, 2, 3], { keep: ["sensor"] });
    expect(result.level("sensor").at(0, 0).value).toBe(6);
    expect(result.level("region").at().value).toBe(6);
    expect((await failing(() => result.level("site"))).message).toContain('keep: ["site"]');
    expect((await failing(() => result.level("region").at().children())).code).toBe("ERR_FOURFOLD_LEVEL");
  });

  test("under skip count what was kept, and show the empty value of a node without children", async () => {
    const data = [1, Number.NaN, Number.NaN, Number.NaN];
    const result = await engine.run(chain(sum(), mean()), { data, shape: [2, 2] }, { keep: "all", nan: "skip" });
    expect([...result.level("f")].map(({ value, count: n }) => [value, n])).toEqual([
      [1, 1],
      [0, 0],
    ]);
    expect(result.value).toBe(1);
    expect(result.level("g").at()).toMatchObject({ count: 1 });
  });

  test("under skip count what was kept for output 0, whose value is `value`", async () => {
    const matrix = [
      [1, Number.POSITIVE_INFINITY],
      [1, 1],
    ];
    const input = { data: [1, 0, 2, Number.NaN, 3, 4], shape: [3, 2] };
    const result = await engine.run(chain(weightedSum(matrix), sum()), input, { keep: "all", nan: "skip" });
    expect([...result.level("f")].map(({ value, values, count: n }) => [value, values, n])).toEqual([
      [Number.NaN, [Number.NaN, 1], 2],
      [2, [2, 2], 1],
      [Number.POSITIVE_INFINITY, [Number.POSITIVE_INFINITY, 7], 2],
    ]);
    expect(result.level("g").at()).toMatchObject({ value: Number.POSITIVE_INFINITY, values: [Number.POSITIVE_INFINITY, 10], count: 3 });
    const alone = await engine.run(chain(weightedSum(matrix[1]!), sum()), input, { keep: "all", nan: "skip" });
    expect(alone.level("g").at()).toMatchObject({ value: 10, count: 5 });
  });
});

describe("plans", () => {
  const c = chain(weightedSum([1, 2, 3, 4]), mean());
  const shape = [2, 3, 4];
  const data = Float32Array.from({ length: 24 }, (_, i) => i);

  test("are values that explain themselves, under the five steps", () => {
    const plan = engine.plan(c, { shape, dtype: "f32" });
    expect(String(plan)).toMatch(/^init .*\n.*\ndistribute .*\nprocess .*\naggregate .*\noutput .*$/);
    expect(structuredClone({ ...plan })).toEqual({ ...plan });
  });

  test("run, run into an array, and run synchronously, with the engine's bits", async () => {
    const plan = engine.plan(c, { shape, dtype: "f32" });
    const x = engine.tensor(shape, "f32");
    x.data.set(data);
    const expected = await allOf(c, { data, shape });
    expect([...(await plan.run(x)).values]).toEqual(expected);
    expect([...plan.runSync(x).values]).toEqual(expected);
    const foreign = engine.plan(c, { shape, dtype: "f32", foreign: true });
    expect([...(await foreign.run({ data })).values]).toEqual(expected);
    const into = new Float64Array(2);
    expect((await plan.run(x, { into })).values).toBe(into);
    expect([...into]).toEqual(expected);
    into.fill(0);
    expect(foreign.runSync({ data }, { into }).values).toBe(into);
    expect([...into]).toEqual(expected);
  });

  test("keep their options: levels to keep, accuracy, nan", async () => {
    const plan = engine.plan(c, { shape, dtype: "f32", foreign: true, keep: "all", accuracy: "exact", nan: "skip" });
    const result = await plan.run({ data });
    expect(result.level("f").length).toBe(6);
    expect(result.plan).toMatchObject({ accuracy: "exact", nan: "skip" });
  });

  test("of more than 64 shapes and chains give the memory of those idle for longest back", async () => {
    const own = await createEngine({ workers: 0 });
    const wide = chain(weightedSum(new Float64Array(100).fill(1)), sum());
    const run = async (rows: number): Promise<number> =>
      (await own.run(wide, { data: new Float64Array(100 * rows).fill(1), shape: [rows, 100] })).value;
    for (let rows = 1; rows <= 64; rows++) expect(await run(rows)).toBe(100 * rows);
    const full = own.stats.memoryBytes;
    expect(full).toBeGreaterThanOrEqual(64 * 800);
    for (let rows = 65; rows <= 80; rows++) expect(await run(rows)).toBe(100 * rows);
    expect(own.stats.memoryBytes).toBe(full);
    await Promise.all(Array.from({ length: 40 }, (_, i) => run(81 + i)));
    expect(own.stats.memoryBytes).toBe(full);
    expect(await run(1)).toBe(100);
    await own.close();
  });

  test("of ever new chains do not fill the memory, even where nothing is collected", async () => {
    const own = await createEngine({ workers: 0, memoryBytesMax: 4 << 20 });
    const weights = new Float64Array(1 << 14).fill(1); // 128 KiB: 64 plans would need twice the memory there is
    for (let i = 0; i < 200; i++) expect(own.runSync(chain(weightedSum(weights)), { data: weights, shape: [1 << 14] }).value).toBe(1 << 14);
    await own.close();
  });

  test("of a tensor that was freed are refused, and a tensor freed under a run lasts until its end", async () => {
    const own = await createEngine({ workers: 1 });
    const total = chain(sum());
    const x = own.tensor([1 << 20], "f64");
    x.data.fill(2);
    const running = own.run(total, x);
    const kept = own.runSync(chain(sum(), sum()), { data: x.data, shape: [2, 1 << 19] }, { keep: "all" });
    x.free();
    expect((await running).value).toBe(2 ** 21);
    expect((await failing(() => own.runSync(total, x))).message).toMatch(/the tensor was freed/);
    expect((await failing(() => kept.level("f").at(0).children())).message).toMatch(/the tensor was freed/);
    expect(own.stats.memoryBytes).toBeLessThan(4096);
    await own.close();
  });

  test("that were dropped for others still run, from a plan object too", async () => {
    const plan = engine.plan(c, { shape, dtype: "f32", foreign: true });
    for (let frames = 1; frames < 20; frames++) await engine.run(c, { data: new Float32Array(12 * frames), shape: [frames, 3, 4] });
    expect([...(await plan.run({ data })).values]).toEqual(await allOf(c, { data, shape }));
  });

  test("with different options on one chain are different plans", async () => {
    const x = { data: Float64Array.of(1, Number.NaN), shape: [2, 1] };
    const s = chain({ all: sum() });
    expect(await allOf(s, x)).toEqual([1, Number.NaN]);
    expect(await allOf(s, x, { nan: "skip" })).toEqual([1, 0]);
    expect((await engine.run(s, x, { keep: ["all"] })).level("all").length).toBe(2);
    expect((await engine.run(s, x, { keep: "all", backend: "reference" })).plan.backend).toBe("reference");
    expect((await engine.run(s, x, { accuracy: "exact" })).plan.accuracy).toBe("exact");
  });

  test("say in every result what ran where", async () => {
    const small = await engine.run(c, { data, shape });
    expect(small.plan).toMatchObject({ backend: "wasm", placement: "foreign array", accuracy: "fast", nan: "propagate", form: "rows" });
    expect(small.contract).toBe("1");
    const x = engine.tensor([BIG / 4, 4], "f32");
    const large = await engine.run(chain(sum(), sum()), x);
    expect(large.plan.phases.map(({ where }) => where)).toContain("workers");
    expect(String(large.plan)).toContain("on 2 workers");
    const keyed = await engine.run(chain(sum()), { values: [1], keys: { k: [1] } });
    expect(keyed.plan).toMatchObject({ accuracy: "reproducible", form: "records", placement: "engine memory" });
    expect(Object.keys(keyed.plan)).not.toContain("run");
  });
});

describe("watching a run", () => {
  test("onProgress never falls, and ends at its total", async () => {
    for (const workers of [0, 2]) {
      const own = await createEngine({ workers });
      const seen: Progress[] = [];
      const x = own.tensor([64, 512, 512], "f32");
      await own.run(chain(sum(), sum(), sum()), x, { onProgress: (progress) => seen.push(progress) });
      await own.close();
      expect(seen.length).toBeGreaterThan(0);
      for (const [i, { done, total, unit }] of seen.entries()) {
        expect(done).toBeGreaterThanOrEqual(seen[i - 1]?.done ?? 0);
        expect(done).toBeLessThanOrEqual(total!);
        expect(unit).toBe("parts");
      }
      expect(seen.at(-1)!.done).toBe(seen.at(-1)!.total);
    }
  });

  test("what onProgress throws ends the run, and the engine goes on", async () => {
    const x = engine.tensor([64, 512, 512], "f32");
    const used = engine.stats.memoryBytes;
    const stop = (): void => {
      throw new RangeError("stop");
    };
    await expect(engine.run(chain(sum(), sum(), sum()), x, { onProgress: stop })).rejects.toThrow(RangeError);
    expect(engine.stats.memoryBytes).toBe(used);
    expect(await oneOf(chain(sum(), sum(), sum()), x)).toBe(0);
  });
});

describe("many runs", () => {
  test("fifty at once, small and large, dense, ragged and keyed, give what each gives alone", async () => {
    const r = random(11);
    const shared = chain(weightedSum(r.numbers(64, "plain")), mean());
    const jobs = Array.from({ length: 50 }, (_, i): [Chain, Input] => {
      const rows = [3, 8192, 100][i % 3]!;
      const data = Float32Array.from(r.numbers(64 * rows, "plain"));
      switch (i % 5) {
        case 0:
          return [chain(sum(), variance()), { data, offsets: [[0, 5, 64 * rows]] }];
        case 1:
          return [chain(mean(), max()), { values: data, keys: { k: Array.from(data, (_, j) => j % 17) } }];
        default: {
          const x = engine.tensor([rows, 64], "f32");
          x.data.set(data);
          return [shared, i % 2 ? x : { data, shape: [rows, 64] }];
        }
      }
    });
    const together = await Promise.all(jobs.map(([c, input]) => oneOf(c, input)));
    for (const [i, [c, input]] of jobs.entries()) expect(engine.runSync(c, input).value, `job ${i}`).toBe(together[i]);
    expect(engine.stats).toMatchObject({ runs: 100, workersReplaced: 0, retries: 0 });
  });

  test("beyond runsMax are refused, and the others are not disturbed", async () => {
    const own = await createEngine({ workers: 0, runsMax: 2 });
    const plan = own.plan(chain(sum()), { shape: [3], dtype: "f64", foreign: true });
    const runs = [
      own.run(chain(sum()), [1, 2]),
      plan.run({ data: Float64Array.of(1, 2, 3) }),
      own.run(chain(sum()), [1]),
      plan.run({ data: new Float64Array(3) }),
    ];
    const ends = await Promise.allSettled(runs);
    expect(ends.map((end) => (end.status === "fulfilled" ? end.value.value : end.reason.code))).toEqual([
      3,
      6,
      "ERR_FOURFOLD_QUEUE",
      "ERR_FOURFOLD_QUEUE",
    ]);
    expect((await own.run(chain(sum()), [4])).value).toBe(4);
    await own.close();
  });
});

describe("a user's reduction", () => {
  const gcd = defineReduction<number>({
    name: "gcd",
    init: () => 0,
    add(a, x) {
      for (let b = x; b !== 0; ) [a, b] = [b, a % b];
      return a;
    },
    merge(a, b) {
      return this.add(a, b);
    },
    finish: (a) => a,
    orderFree: true,
  });
  /** Reductions of the modules in fixtures/, which import the built package as a worker does: made anew by this one. */
  const fixture = async (name: string): Promise<UserReduction> => {
    const exported = {
      ...(await import(`${ROOT}/test/fixtures/reductions.mjs`)),
      ...(await import(`${ROOT}/test/fixtures/engine-maker.mjs`)),
    };
    return defineReduction([exported[name]].flat()[0].reduction.user);
  };

  test("works at every level and on every kind of input", async () => {
    expect(await oneOf(chain(gcd(), gcd()), { data: [12, 18, 30, 42], shape: [2, 2] })).toBe(6);
    expect(await oneOf(chain(sum(), gcd()), { data: [12, 18, 15, 30], offsets: [[0, 2, 4]] })).toBe(15);
    expect(await oneOf(chain(gcd(), sum()), { values: [12, 18, 35], keys: { k: ["a", "a", "b"] } })).toBe(41);
    expect(await oneOf(chain(gcd()), [8, Number.NaN, 12], { nan: "skip" })).toBe(4);
  });

  test("without a module runs on the calling thread, and the plan says so", async () => {
    const seen = new Set<number>();
    const here = defineReduction({ name: "here", init: () => seen.add(threadId), add: (s) => s, merge: (s) => s, finish: () => threadId });
    const x = engine.tensor([64, BIG / 64], "f32");
    const result = await engine.run(chain(sum(), here()), x);
    expect(result.value).toBe(threadId);
    expect([...seen]).toEqual([threadId]);
    expect(String(result.plan)).toContain("on the calling thread: the reduction has no module");
  });

  test("with a module runs in workers", async () => {
    const [thread, product] = [await fixture("thread"), await fixture("product")];
    const x = engine.tensor([4096, BIG / 4096], "f32");
    x.data.fill(1);
    const threads = await engine.run(chain(sum(), thread()), { data: x.data, shape: [256, 16, BIG / 4096] });
    const ran = new Set(threads.values);
    expect(ran.has(threadId)).toBe(false);
    expect(ran.size).toBeGreaterThan(0);
    expect(await oneOf(chain(product(), max()), x)).toBe(1);
  });

  test("that its module does not export is an error that names both", async () => {
    const lost = await fixture("lost");
    const error = await failing(() => engine.run(chain(sum(), lost()), engine.tensor([64, 64, BIG / 4096], "f32")));
    expect(error.code).toBe("ERR_FOURFOLD_REDUCTION");
    expect(error.message).toMatch(/level "g".*reductions\.mjs does not export reduction "lost"/);
  });

  test("that throws on the calling thread names level, node and child; the engine goes on", async () => {
    const angry = defineReduction({
      name: "angry",
      init: () => 0,
      add(s, x) {
        if (x === 7) throw new RangeError("seven");
        return s + x;
      },
      merge: (a, b) => a + b,
      finish: (s) => s,
    });
    const c = chain({ rows: sum(), site: angry() });
    const used = engine.stats.memoryBytes;
    const error = await failing(() => engine.run(c, { data: [1, 2, 3, 4, 5, 7], shape: [2, 3, 1] }));
    expect(error).toMatchObject({ code: "ERR_FOURFOLD_REDUCTION", at: { level: "site", node: 1, index: 2 } });
    expect(error.message).toContain('level "site": reduction "angry" threw at child 2 of node 1: seven');
    expect(error.cause).toBeInstanceOf(RangeError);
    expect((await failing(() => engine.runSync(c, { data: [7], shape: [1, 1] }))).code).toBe("ERR_FOURFOLD_REDUCTION");
    expect(engine.stats.memoryBytes).toBe(used);
    expect(await allOf(c, { data: [1, 2, 3, 4, 5, 6], shape: [2, 3, 1] })).toEqual([6, 15]);
  });

  test("that throws in a worker names level, node and child; the engine goes on", async () => {
    const picky = await fixture("picky");
    const x = engine.tensor([512, 1024], "f32");
    x.data[300 * 1024 + 17] = -1;
    const used = engine.stats.memoryBytes;
    const c = chain({ sensor: picky(), site: sum() });
    const error = await failing(() => engine.run(c, x));
    expect(error).toMatchObject({ code: "ERR_FOURFOLD_REDUCTION", at: { level: "sensor", node: 300, index: 17 } });
    expect(error.message).toContain("a value is -1");
    expect((error.cause as Error).name).toBe("TypeError");
    expect(engine.stats).toMatchObject({ memoryBytes: used, workersReplaced: 0 });
    x.data[300 * 1024 + 17] = 1;
    expect(await oneOf(c, x)).toBe(1);
  });

  test("whose module makes an engine is refused in the worker", async () => {
    const nested = await fixture("nested");
    const error = await failing(() => engine.run(chain(nested(), sum()), engine.tensor([512, 1024], "f32")));
    expect(error.code).toBe("ERR_FOURFOLD_REDUCTION");
    expect(error.message).toContain("made an engine");
    expect(await oneOf(chain(sum()), [1])).toBe(1);
  });
});

describe("the end", () => {
  test("close() may come twice; afterwards every call says that the engine is closed", async () => {
    const x = engine.tensor([4], "f64");
    const plan = engine.plan(chain(sum()), { shape: [4], dtype: "f64" });
    await engine.close();
    await engine.close();
    const calls = [
      () => engine.run(chain(sum()), [1]),
      () => engine.runSync(chain(sum()), [1]),
      () => engine.plan(chain(sum()), { shape: [1], dtype: "f64" }),
      () => engine.tensor([1], "f64"),
      () => plan.run(x),
      () => plan.runSync(x),
    ];
    for (const call of calls) expect((await failing(call)).code).toBe("ERR_FOURFOLD_CLOSED");
    expect(engine.stats.runs).toBe(0);
    expect(x.data.length).toBe(4);
    x.free();
  });

  test("Symbol.asyncDispose closes", async () => {
    await engine[Symbol.asyncDispose]();
    expect((await failing(() => engine.run(chain(sum()), [1]))).code).toBe("ERR_FOURFOLD_CLOSED");
  });

  test("memory in use is 0 when tensors are freed and runs are over, but for the weights of plans that are kept", async () => {
    const x = engine.tensor([512, 1024], "f32");
    await engine.run(chain(sum(), mean()), x);
    await engine.run(chain(mean(), max()), { values: new Float64Array(1000), keys: { k: new Uint8Array(1000) } });
    await engine.run(chain(weightedSum({ perNode: new Float64Array(5) })), { data: [1, 2, 3, 4, 5], offsets: [[0, 2, 5]] });
    x.free();
    expect(engine.stats.memoryBytes).toBe(0);
    await engine.run(chain(weightedSum([1, 2, 3])), { data: [1, 2, 3], shape: [3] });
    expect(engine.stats.memoryBytes).toBeGreaterThanOrEqual(24);
    expect(engine.stats.memoryBytes).toBeLessThan(256); // three weights, and what rounding to whole cache lines adds
  });

  test("a chain that nobody holds any more gives its plans' memory back, before and after close()", async () => {
    expect(await outputOf(runNode(["--expose-gc", "test/fixtures/dropped-chains.mjs"]))).toBe("before: true after: 0 closed\n");
  });
});
