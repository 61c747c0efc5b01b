// What a node weighs in its parent, wherever nodes are looked at: results of runs, states, streams and live trees.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEngine, type Engine } from "../src/engine.ts";
import { chain, createState, type LevelView, mean, type Node, sum, type WeightsInput, weightedMean, weightedSum } from "../src/index.ts";
import { random } from "./random.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ workers: 0 });
});
afterAll(() => engine.close());

const weights = (view: LevelView): unknown[] => [...view].map(({ weight }) => weight);
const leaves = (nodes: Iterable<Node>): unknown[] => [...nodes].flatMap((node) => node.children().map(({ weight }) => weight));

const RECORDS = {
  values: [1, 2, 3, Number.NaN, 5],
  keys: { region: ["n", "n", "s", "s", "s"], site: ["b", "a", "c", "c", "d"] },
};
/** Sites in order of key: n/a, n/b, s/c, s/d. */
const over = (site: WeightsInput, region: WeightsInput) => chain({ site: sum(), region: weightedSum(site), all: weightedMean(region) });

describe("a run over records", () => {
  test.each<[string, WeightsInput, WeightsInput, unknown[], unknown[]]>([
    ["by key", { byKey: { a: 2, c: 3 }, missing: 0.5 }, { byKey: [["s", -0]], missing: 7 }, [2, 0.5, 3, 0.5], [7, -0]],
    ["by place", { perNode: [1, 2, 3, 4] }, [0.25, Number.NaN], [1, 2, 3, 4], [0.25, Number.NaN]],
    ["one vector for all nodes", [8, 9], { perNode: [1, 2] }, [8, 9, 8, 9], [1, 2]],
    [
      "a matrix: those of its first output",
      { perNode: [1, 2, 3, 4] },
      [
        [5, 6],
        [7, 8],
      ],
      [1, 2, 3, 4],
      [5, 6],
    ],
    ["the records below, skipped ones not counted (clause 10)", "count", "count", [1, 1, 1, 1], [2, 2]],
  ])("tells weights %s", async (_, site, region, sites, regions) => {
    const result = await engine.run(over(site, region), RECORDS, { keep: "all", nan: "skip" });
    expect(weights(result.level("site"))).toEqual(sites);
    expect(weights(result.level("region"))).toEqual(regions);
    expect(weights(result.level("all"))).toEqual([undefined]);
    expect(
      result
        .level("region")
        .at("s")
        .children()
        .map(({ weight }) => weight),
    ).toEqual(sites.slice(2));
    expect(result.level("region").at("s").weight).toBe(regions[1]);
  });

  test("tells the weights of leaves, in the order of their nodes", async () => {
    const c = chain({ site: weightedMean({ perNode: [10, 20, 30, 40, 50] }), all: sum() });
    const result = await engine.run(c, RECORDS, { keep: "all" });
    expect(leaves(result.level("site"))).toEqual([20, 10, 30, 40, 50]);
    expect(weights(result.level("site"))).toEqual([undefined, undefined, undefined, undefined]);
  });

  test("tells the weight in a parent that was not kept", async () => {
    const result = await engine.run(over([8, 9], "count"), RECORDS, { keep: ["site"] });
    expect(weights(result.level("site"))).toEqual([8, 9, 8, 9]);
  });

  test("says of its kept levels how they reduce and what their paths are called", async () => {
    const result = await engine.run(over([8, 9], [1, 2]), RECORDS, { keep: ["site"] });
    expect(result.levels).toEqual([
      {
        name: "site",
        index: 0,
        reduce: "sum",
        ddof: undefined,
        weighted: false,
        weighs: true,
        keys: ["region", "site"],
        outputs: 1,
        shape: [4],
      },
      { name: "all", index: 2, reduce: "weightedMean", ddof: undefined, weighted: true, weighs: false, keys: [], outputs: 1, shape: [] },
    ]);
    expect((await engine.run(over([8, 9], [1, 2]), RECORDS)).levels.map(({ name }) => name)).toEqual(["all"]);
  });
});

describe("a run over rows", () => {
  test("tells the weights of every level and of leaves, frame by frame", async () => {
    const [F, C, B, A] = [2, 2, 3, 4];
    const r = random(3);
    const [a, b, c] = [r.numbers(A, "plain"), r.numbers(C * B, "plain"), r.numbers(F * C, "plain")];
    const index = chain({ a: weightedSum(a), b: weightedSum({ perNode: b }), c: weightedMean({ perNode: c }) });
    const result = await engine.run(index, { data: r.numbers(F * C * B * A, "plain"), shape: [F, C, B, A] }, { keep: "all" });
    expect(leaves(result.level("a"))).toEqual(Array.from({ length: F * C * B }, () => [...a]).flat());
    expect(weights(result.level("a"))).toEqual([...b, ...b]); // those of one frame, repeated for each
    expect(weights(result.level("b"))).toEqual([...c]);
    expect(result.levels.map(({ keys, shape }) => [keys, shape])).toEqual([
      [
        ["frame", "b", "a"],
        [F, C, B],
      ],
      [
        ["frame", "b"],
        [F, C],
      ],
      [["frame"], [F]],
    ]);
  });

  test("tells them where rows differ in length", async () => {
    const offsets = [
      [0, 0, 2, 3],
      [0, 1, 3],
    ];
    const c = chain({ row: weightedSum({ perNode: [1, 2, 3] }), group: weightedSum({ perNode: [4, 5, 6] }), all: weightedSum("count") });
    const result = await engine.run(c, { data: [7, 8, 9], offsets }, { keep: "all" });
    expect(leaves(result.level("row"))).toEqual([1, 2, 3]);
    expect(weights(result.level("row"))).toEqual([4, 5, 6]);
    expect(weights(result.level("group"))).toEqual([0, 3]);
    expect(result.levels.map(({ shape }) => shape)).toEqual([[3], [2], []]);
  });
});

test("the weights of a node's children make its value", async () => {
  const r = random(11);
  const regions = Array.from({ length: 200 }, () => r.int(9));
  const sites = regions.map(() => r.int(5));
  const byKey = Array.from({ length: 9 }, (_, region) => [region, r.int(64) / 8] as const);
  const c = chain({ site: sum(), region: weightedSum("count"), all: weightedMean({ byKey }) });
  const result = await engine.run(c, { values: regions.map(() => r.int(32)), keys: { region: regions, site: sites } }, { keep: "all" });
  // Small integers and eighths: every sum here is exact in float64.
  for (const region of result.level("region"))
    expect(region.children().reduce((total, { weight, value }) => total + weight! * value, 0)).toBe(region.value);
  const all = [...result.level("region")];
  const [n, w] = all.reduce(([n, w], { weight, value }) => [n + weight! * value, w + weight!], [0, 0]);
  expect(result.value).toBe(n / w);
});

test("states, streams and live trees tell the same weights as a run", async () => {
  const c = over({ byKey: { a: 2, c: 3 }, missing: 0.5 }, "count");
  const run = await engine.run(c, RECORDS, { keep: "all" });
  const expected = ["site", "region", "all"].map((name) => weights(run.level(name)));
  const state = createState(c, { keys: ["region", "site"] });
  state.add(RECORDS);
  const closed = state.finish({ keep: "all" });
  expect(["site", "region", "all"].map((name) => weights(closed.level(name)))).toEqual(expected);

  const items = RECORDS.values.map((value, i) => ({ value, keys: { region: RECORDS.keys.region[i]!, site: RECORDS.keys.site[i]! } }));
  for await (const result of engine.stream(c, items, { keys: ["region", "site"], keep: "all" })) {
    expect(["site", "region", "all"].map((name) => weights(result.level(name)))).toEqual(expected);
    expect(weights(result.whatIf("region", [8, 9]).level("site"))).toEqual([8, 9, 8, 9]);
  }
});

test("a live tree tells what its nodes and leaves weigh now, and a snapshot what they weighed then", async () => {
  const records = { values: [1, 2, 3], keys: { region: ["n", "n", "s"], site: ["a", "b", "a"] } };
  const c = chain({ region: weightedSum({ perNode: [10, 20, 30] }), all: weightedMean({ byKey: { n: 3 }, missing: 1 }) });
  const live = await engine.live(c, records);
  const before = live.snapshot({ keep: "all" });
  expect(weights(live.level("region"))).toEqual([3, 1]);
  expect(leaves(live.level("region"))).toEqual([10, 20, 30]);
  live.set(["n", "b"], 2, 25);
  live.set(["z", "a"], 1, 5);
  live.setWeights("all", { byKey: { z: 4 }, missing: 2 });
  expect(weights(live.level("region"))).toEqual([2, 2, 4]);
  expect(leaves(live.level("region"))).toEqual([10, 25, 30, 5]);
  expect(weights(before.level("region"))).toEqual([3, 1]);
  expect(weights(live.whatIf("all", "count", { keep: "all" }).level("region"))).toEqual([2, 1, 1]);
  expect(weights(live.level("all"))).toEqual([undefined]);
});

test("a live tree over rows tells the weights of leaves by their place", async () => {
  for (const [given, expected] of [
    [{ perNode: [1, 2, 3, 4, 5, 6] }, [1, 2, 3, 4, 5, 6]],
    [
      [7, 8, 9],
      [7, 8, 9, 7, 8, 9],
    ],
    [
      [
        [7, 8, 9],
        [1, 1, 1],
      ],
      [7, 8, 9, 7, 8, 9],
    ],
  ] as const) {
    const live = await engine.live(chain({ row: weightedSum(given as WeightsInput), all: mean() }), {
      data: [1, 2, 3, 4, 5, 6],
      shape: [2, 3],
    });
    expect(leaves(live.level("row"))).toEqual(expected);
    expect(weights(live.level("row"))).toEqual([undefined, undefined]);
  }
});
