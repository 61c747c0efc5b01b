/** Weights by key: `{ byKey }` weighs nodes of keyed records as `{ perNode }` does, however many there are. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chain, createEngine, createState, type Engine, sum, type WeightsInput, weightedMean, weightedSum } from "../src/index.ts";
import { withWeights } from "../src/reduce/chain.ts";

const values = [1, 2, 3, 4, 5];
const keys = { region: ["south", "north", "north", "east", "south"], site: ["b", "a", "b", "a", "a"] };
const by = (weights: WeightsInput) => chain({ site: sum(), region: weightedSum(weights), fleet: sum() });

describe("weights by key", () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await createEngine({ workers: 0 });
  });
  afterAll(() => engine.close());

  // Sites in order: east a 4 · north a 2, b 3 · south a 5, b 1
  const perNode = [0.5, 2, 3, 0.25, 7];
  const byPath: [[string, string], number][] = [
    [["south", "b"], 7],
    [["south", "a"], 0.25],
    [["north", "b"], 3],
    [["north", "a"], 2],
    [["east", "a"], 0.5],
  ];

  test("by path give the bits of the same weights by position, in runs and in states", () => {
    const expected = engine.runSync(by({ perNode }), { values, keys }).value;
    expect(expected).toBe(0.5 * 4 + 2 * 2 + 3 * 3 + 0.25 * 5 + 7);
    for (const weights of [{ byKey: byPath }, { byKey: new Map(byPath) }]) {
      expect(engine.runSync(by(weights), { values, keys }).value).toBe(expected);
      const state = createState(by(weights), { keys: ["region", "site"] });
      state.add({ values, keys });
      expect(state.finish().value).toBe(expected);
    }
  });

  test("by a child's own key count wherever it stands; a path goes first, and `missing` is for the rest", () => {
    expect(engine.runSync(by({ byKey: { a: 10, b: 100 } }), { values, keys }).value).toBe(40 + 20 + 300 + 50 + 100);
    const mixed = { byKey: [["b", 100] as const, [["south", "b"], 1000] as const], missing: 0 };
    expect(engine.runSync(by(mixed), { values, keys }).value).toBe(300 + 1000);
  });

  test("a child without a weight is an error that names it", () => {
    expect(() => engine.runSync(by({ byKey: { a: 1 } }), { values, keys })).toThrow(
      expect.objectContaining({ code: "ERR_FOURFOLD_WEIGHTS", message: expect.stringContaining('("north", "b")') }),
    );
  });

  test("are refused where children have no keys", () => {
    expect(() => engine.runSync(by({ byKey: {} }), { data: [1, 2], shape: [1, 1, 2] })).toThrow(/have no keys/);
    expect(() => createState(chain(weightedSum({ byKey: {} })))).toThrow(/no keys of their own/);
  });

  test.each([
    [{ byKey: 3 }, /weights by key are 3/],
    [{ byKey: { a: "1" } }, /weight 0 by key/],
    [{ byKey: [[Number.NaN, 1]] }, /weight 0 by key has the path/],
    [
      {
        byKey: [
          ["a", 1],
          [["a"], 2],
        ],
      },
      /two weights/,
    ],
    [{ byKey: {}, missing: "0" }, /the weight of missing keys/],
    [{ byKey: {}, mising: 0 }, /Did you mean missing/],
  ])("%j is refused", (weights, message) => {
    expect(() => weightedMean(weights as WeightsInput)).toThrow(message);
  });

  test("states under other weights by key do not merge", () => {
    const [one, two] = [1, 2].map((w) => createState(by({ byKey: { a: w }, missing: 0 }), { keys: ["region", "site"] }));
    expect(() => one!.merge(two!)).toThrow(/weights/);
  });
});

describe("withWeights", () => {
  test("changes one level and leaves the chain as it was", () => {
    const before = by({ perNode: [1] });
    const after = withWeights(before, "region", "count");
    expect(after.levels.map(({ name, reduction }) => [name, reduction.kind, reduction.weights?.form])).toEqual([
      ["site", "sum", undefined],
      ["region", "weightedSum", "count"],
      ["fleet", "sum", undefined],
    ]);
    expect(before.levels[1]!.reduction.weights!.form).toBe("perNode");
  });

  test("names the levels that there are, and refuses those without weights", () => {
    expect(() => withWeights(by("count"), "regio", "count")).toThrow(/The levels are site, region, fleet/);
    expect(() => withWeights(by("count"), "fleet", "count")).toThrow(/level "fleet" is a sum, which has no weights/);
  });
});
