import { describe, expect, test } from "vitest";
import { chain } from "../../src/reduce/chain.ts";
import { sum } from "../../src/reduce/reductions.ts";
import { type Levels, levelView } from "../../src/reduce/result.ts";
import { denseTree, raggedTree } from "../../src/reduce/tree.ts";
import { failing } from "../failing.ts";

const two = chain({ row: sum(), top: sum() });
const leavesOf = (...values: number[]): Levels["leaves"] => ({ at: (position) => values[position]! });
const kept = (...values: number[]): Levels["values"][number] => ({ values: Float64Array.from(values), outputs: 1, records: undefined });

describe("a level's view", () => {
  const levels: Levels = {
    tree: raggedTree(
      two,
      [
        [0, 1, 1, 4],
        [0, 1, 3],
      ],
      4,
    ),
    values: [kept(10, 0, 60), kept(10, 60)],
    keys: undefined,
    leaves: leavesOf(10, 10, 20, 30),
    order: undefined,
    weighing: [],
  };

  test("walks nodes in order, and tells each one's path, value and records", () => {
    expect([...levelView(levels, "row")].map(({ key, path, value, count }) => ({ key, path, value, count }))).toEqual([
      { key: 0, path: [0, 0], value: 10, count: 1 },
      { key: 0, path: [1, 0], value: 0, count: 0 },
      { key: 1, path: [1, 1], value: 60, count: 3 },
    ]);
    expect(levelView(levels, "top").at(1)).toMatchObject({ value: 60, count: 3 });
  });

  test("opens a node down to its leaves", () => {
    const [, last] = levelView(levels, "top").at(1).children();
    expect(last!.children().map(({ path, value, count }) => [path, value, count])).toEqual([
      [[1, 1, 0], 10, 1],
      [[1, 1, 1], 20, 1],
      [[1, 1, 2], 30, 1],
    ]);
    expect(levelView(levels, "row").at(1, 0).children()).toEqual([]);
  });

  test('keeps 1, 1n and "1" apart only where they differ, and finds null', () => {
    const keyed: Levels = {
      tree: raggedTree(chain({ row: sum() }), [[0, 1, 2, 3]], 3, "records"),
      values: [kept(1, 2, 3)],
      keys: [{ names: ["k"], columns: [[null, 1, "1"]] }],
      leaves: leavesOf(1, 2, 3),
      order: Uint32Array.of(2, 1, 0),
      weighing: [],
    };
    const view = levelView(keyed, "row");
    expect([view.at(null).value, view.at(1).value, view.at(1n).value, view.at("1").value]).toEqual([1, 2, 2, 3]);
    expect(view.at(null).key).toBeNull();
    expect(view.at("1").children()[0]).toMatchObject({ key: 0, path: ["1", 0] });
  });

  test("cannot confuse two paths", async () => {
    const keyed: Levels = {
      tree: raggedTree(chain({ row: sum() }), [[0, 1]], 1, "records"),
      values: [kept(1)],
      keys: [{ names: ["a", "b"], columns: [['x"/"y'], ["z"]] }],
      leaves: leavesOf(1),
      order: Uint32Array.of(0),
      weighing: [],
    };
    expect(levelView(keyed, "row").at('x"/"y', "z").value).toBe(1);
    expect((await failing(() => levelView(keyed, "row").at("x", 'y"/"z'))).code).toBe("ERR_FOURFOLD_LEVEL");
  });

  test("has the outputs of a weight matrix as values; value is the first", () => {
    const outputs: Levels = {
      ...levels,
      tree: denseTree(two, [1, 2, 1], 2),
      values: [{ values: Float64Array.of(1, 2, 3, 4), outputs: 2, records: undefined }, kept(0)],
    };
    expect([...levelView(outputs, "row")].map(({ value, values }) => [value, values])).toEqual([
      [1, [1, 3]],
      [2, [2, 4]],
    ]);
  });

  test("of a level that was not kept says how to keep it, and of leaves that are gone, too", async () => {
    expect((await failing(() => levelView({ ...levels, values: [undefined, kept(1, 2)] }, "row"))).message).toContain('keep: ["row"]');
    expect(
      (
        await failing(() =>
          levelView({ ...levels, leaves: undefined }, "row")
            .at(0, 0)
            .children(),
        )
      ).message,
    ).toContain("not kept");
  });
});
