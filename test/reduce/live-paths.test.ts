/** The paths of a live tree against a Map: what comes, goes, and is numbered anew; and their order (contract clause 10a). */
import { describe, expect, test } from "vitest";
import { compareKeys, type Key, pathId } from "../../src/reduce/key.ts";
import { LivePaths } from "../../src/reduce/live-paths.ts";
import { LiveSteps } from "../../src/reduce/live-steps.ts";
import { random } from "../random.ts";

const comparePaths = (a: readonly Key[], b: readonly Key[]): number => {
  const d = a.findIndex((key, i) => compareKeys(key, b[i]!) !== 0);
  return d < 0 ? 0 : compareKeys(a[d]!, b[d]!);
};

describe("paths", () => {
  test.each([1, 2, 3, 4])("%i: find what was added and not removed, and list it in order", (seed) => {
    const r = random(seed);
    const keys: readonly Key[] = ["a", "b", "\u{1F600}", "\uFF5E", 1, 2n, 2.5, -(2n ** 80n), true, false, ""];
    const paths = new LivePaths(["x", "y", "z"], seed * 7919);
    const known = new Map<string, { path: Key[]; leaf: number }>();
    for (let i = 0; i < 1500; i++) {
      const path = [r.pick(keys), r.pick(keys), r.int(60)];
      const found = known.get(pathId(path));
      expect(paths.find(path)).toBe(found?.leaf ?? -1);
      if (found === undefined) {
        const leaf = paths.add(path);
        expect([...known.values()].some((other) => other.leaf === leaf)).toBe(false);
        known.set(pathId(path), { path, leaf });
      } else if (i % 500 > 250) {
        paths.remove(found.leaf, r.int(10) > 0);
        known.delete(pathId(path));
      }
      if (i % 300 > 0) continue;
      const sorted = [...known.values()].sort((a, b) => comparePaths(a.path, b.path));
      expect(Array.from(paths.order(3), (leaf) => paths.path(3, leaf))).toEqual(sorted.map(({ path }) => path));
      const outer = new Set(sorted.map(({ path }) => pathId(path.slice(0, 1))));
      expect(Array.from(paths.order(1), (place) => pathId(paths.path(1, place)))).toEqual([...outer]);
      expect([paths.places(3), paths.places(1)]).toEqual([known.size, outer.size]);
    }
    for (const { leaf } of known.values()) paths.remove(leaf, true);
    expect([1, 2, 3].map((depth) => paths.places(depth))).toEqual([0, 0, 0]);
  });

  test("2 and 2n are one key, shown as the number", () => {
    const paths = new LivePaths(["x"], 0);
    paths.find([2n]);
    const leaf = paths.add([2n]);
    expect(paths.find([2])).toBe(leaf);
    paths.find([3n]);
    const other = paths.add([3n]);
    expect([paths.path(1, leaf), paths.path(1, other)]).toEqual([[2n], [3n]]);
  });
});

describe("steps", () => {
  test("with one seed or another lead to the same places", () => {
    const tables = [0, -1, 123456789].map((seed) => new LiveSteps(seed));
    const r = random(5);
    const there = new Map<string, number>();
    for (let i = 0; i < 2000; i++) {
      const [from, code] = [r.int(20), r.int(40)];
      const place = there.get(`${from} ${code}`);
      for (const table of tables) {
        expect(table.find(from, code)).toBe(place ?? -1);
        if (place === undefined) there.set(`${from} ${code}`, table.add(from, code));
        else if (i % 3 === 0) table.remove(place, true);
      }
      if (place !== undefined && i % 3 === 0) there.delete(`${from} ${code}`);
    }
  });
});
