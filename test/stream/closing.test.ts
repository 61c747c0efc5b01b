/** Closing a window gives what closing a state does: tree, keys, every level (contract clauses 3, 4, 10). */
import { describe, expect, test } from "vitest";
import {
  chain,
  count,
  defineReduction,
  type Key,
  max,
  mean,
  min,
  type Reduction,
  sum,
  variance,
  weightedMean,
  weightedSum,
} from "../../src/index.ts";
import { groupBatch, OpenNodes } from "../../src/reduce/open.ts";
import { random } from "../random.ts";
import { distinct } from "../states.ts";
import { windowsOf } from "./script.ts";

/** Children in order: what comes out hangs on the blocks of 4096 children, which clause 13 fixes. */
const inBlocks = defineReduction<number>({
  name: "inBlocks",
  init: () => 0,
  add: (state, x) => 0.5 * state + x,
  merge: (left, right) => 3 * left + right,
  finish: (state) => state,
  encode: (state) => new Uint8Array(Float64Array.of(state).buffer),
  decode: (bytes) => new Float64Array(bytes.slice().buffer)[0]!,
  orderFree: true,
});

const SITES = ["b", "a", "c"];
const byKey = { byKey: { a: 0.1, b: -2, c: 3 } };

const CHAINS: Readonly<Record<string, readonly Reduction[]>> = {
  "one level": [sum()],
  "four levels": [sum(), mean(), max(), weightedSum("count")],
  "more levels than keys": [mean(), variance({ ddof: 1 }), min(), count(), sum()],
  "weights shared by all nodes": [sum(), weightedMean([0.1, 0.2, 0.3]), sum()],
  "weights of each child": [sum(), weightedSum({ perNode: [1, 2, 3, 4, 5, 6] }), mean()],
  "weights by key": [sum(), weightedMean(byKey), sum()],
  "a matrix of weights": [
    sum(),
    weightedSum([
      [1, 2, 3],
      [0.1, 0.2, 0.3],
    ]),
    weightedMean("count"),
    max(),
  ],
  "a user's reduction outside": [mean(), distinct(), inBlocks()],
};

describe.each(Object.entries(CHAINS))("%s", (_, levels) => {
  test.each(["propagate", "skip"] as const)("nan %s", (nan) => {
    const r = random(4);
    const given = chain(...levels);
    const n = 200;
    const values = r.numbers(n, "cancelling").map((x) => (r.int(4) === 0 ? Number.NaN : x));
    // Each region has each site; the records of one node are all skipped.
    const keys: Key[][] = [[], []];
    for (let i = 0; i < n; i++) {
      keys[0]!.push(["south", "north"][i % 2]!);
      keys[1]!.push(SITES[i % 3]!);
      if (i % 6 === 0) values[i] = Number.NaN;
    }
    const names = ["region", "site"];
    const policy = { nan, accuracy: "reproducible", nullKeys: "error" } as const;
    const layout = { names, depths: levels.map((_, i) => Math.max(0, 2 - i)) };
    const open = new OpenNodes(given, layout, policy);
    open.add(groupBatch(given, layout, policy, { values, columns: { region: keys[0]!, site: keys[1]! }, weights: undefined }));
    const expected = open.close(levels.map(() => true));

    const windows = windowsOf({ window: { sizeRows: n }, untimed: true, chain: given, keys: names, policy });
    windows.add(0, { rows: n, values, keys, times: undefined, weights: undefined }, 0);
    expect(windows.take().map(({ closed }) => closed)).toEqual([expected]);
  });
});

test("a window with other nodes than the one before it has a tree of its own, and the same tree again if they are the same", () => {
  const windows = windowsOf({ window: { sizeRows: 2 }, untimed: true, chain: chain(sum(), sum()) });
  windows.add(0, { rows: 6, values: [1, 2, 3, 4, 5, 6], keys: [["x", "y", "y", "x", "y", "z"]], times: undefined, weights: undefined }, 0);
  const [one, two, three] = windows.take().map(({ closed }) => closed);
  expect([one, two, three].map((closed) => [closed!.keys![0]!.columns[0], [...closed!.values[0]!.values]])).toEqual([
    [
      ["x", "y"],
      [1, 2],
    ],
    [
      ["x", "y"],
      [4, 3],
    ],
    [
      ["y", "z"],
      [5, 6],
    ],
  ]);
  expect(two!.tree).toBe(one!.tree);
});

test("a node without children, and a window without records, close as those of a state do (clause 8)", () => {
  const windows = windowsOf({
    window: { early: { everyRows: 1 }, panes: "discarding" },
    untimed: true,
    keys: [],
    chain: chain(mean(), sum()),
  });
  windows.add(0, { rows: 1, values: [7], keys: [], times: undefined, weights: undefined }, 0);
  windows.endOf(0);
  expect(windows.take().map(({ closed }) => [closed.records, [...closed.outermost.values]])).toEqual([
    [1, [7]],
    [0, [Number.NaN]],
  ]);
});
