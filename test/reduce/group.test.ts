import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chain } from "../../src/reduce/chain.ts";
import { type Grouping, groupRecords, type NullKeys } from "../../src/reduce/group.ts";
import { compareKeys, type Key, type KeyColumn } from "../../src/reduce/key.ts";
import { sum } from "../../src/reduce/reductions.ts";
import { finish } from "../../src/reduce/slices.ts";

const group = (n: number, columns: Record<string, KeyColumn>, by: readonly number[], nullKeys: NullKeys = "error"): Grouping =>
  finish(groupRecords(chain(...by.map(() => sum())), n, columns, by, nullKeys));

const key = fc.oneof(
  fc.string({ maxLength: 2, unit: fc.constantFrom("a", "b", "\uFF5E", "\u{1F600}", "\uE000", "z") }),
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom<Key>(1.5, -0, 2n, true, false, null, Number.POSITIVE_INFINITY),
);

describe("compareKeys", () => {
  test("orders null, booleans, numbers by value, strings by code point", () => {
    const keys: Key[] = ["\u{1F600}", "\uFF5E", "b", "a", "", 2, 1n, -1, 0.5, true, false, null];
    expect([...keys].sort(compareKeys)).toEqual([null, false, true, -1, 0.5, 1n, 2, "", "a", "b", "\uFF5E", "\u{1F600}"]);
  });

  test("orders strings as their code points are ordered", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (a, b) => {
        const [x, y] = [Array.from(a, (c) => c.codePointAt(0)!), Array.from(b, (c) => c.codePointAt(0)!)];
        const at = x.findIndex((point, i) => point !== y[i]);
        const expected = at >= 0 ? x[at]! - (y[at] ?? -1) : x.length - y.length;
        expect(Math.sign(compareKeys(a, b))).toBe(Math.sign(expected));
      }),
    );
  });

  test("is an order", () => {
    fc.assert(
      fc.property(key, key, key, (a, b, c) => {
        expect(Math.sign(compareKeys(a, b)) + Math.sign(compareKeys(b, a))).toBe(0);
        if (compareKeys(a, b) <= 0 && compareKeys(b, c) <= 0) expect(compareKeys(a, c)).toBeLessThanOrEqual(0);
      }),
    );
  });
});

describe("groupRecords", () => {
  test("puts every record below the node of its keys, and nodes in ascending order", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(key, key), { maxLength: 60 }), fc.constantFrom<NullKeys>("skip", "group"), (records, nullKeys) => {
        const columns = { outer: records.map(([k]) => k), inner: records.map(([, k]) => k) };
        const { tree, keys, order } = group(records.length, columns, [2, 1, 0], nullKeys);
        const kept = records.flatMap((pair, i) => (nullKeys === "skip" && pair.includes(null) ? [] : [i]));
        expect([...order].sort((a, b) => a - b)).toEqual(kept);
        const [rows, groups, top] = tree.levels;
        expect(top).toMatchObject({ nodes: 1, children: groups!.nodes });
        const same = (a: Key, b: Key): boolean => compareKeys(a, b) === 0;
        const start = (level: typeof rows, node: number): number => level!.offsets?.[node] ?? node * level!.extent!;
        for (let node = 0; node < rows!.nodes; node++) {
          for (let leaf = start(rows, node); leaf < start(rows, node + 1); leaf++)
            for (const c of [0, 1] as const) expect(same(records[order[leaf]!]![c], keys[0]!.columns[c]![node]!)).toBe(true);
          if (node > 0) {
            const outer = compareKeys(keys[0]!.columns[0]![node - 1]!, keys[0]!.columns[0]![node]!);
            expect(outer < 0 || (outer === 0 && compareKeys(keys[0]!.columns[1]![node - 1]!, keys[0]!.columns[1]![node]!) < 0)).toBe(true);
          }
        }
        for (let node = 0; node < groups!.nodes; node++)
          for (let row = start(groups, node); row < start(groups, node + 1); row++)
            expect(same(keys[0]!.columns[0]![row]!, keys[1]!.columns[0]![node]!)).toBe(true);
      }),
    );
  });

  test("keeps the order of records within a node", () => {
    expect([...group(5, { k: ["b", "a", "b", "a", "b"] }, [1]).order]).toEqual([1, 3, 0, 2, 4]);
  });

  test("takes 2 and 2n as one key, whichever comes first", () => {
    expect(group(3, { k: [2n, 2, 3n] }, [1]).keys[0]!.columns).toEqual([[2, 3n]]);
    expect(group(3, { k: [2, 3n, 2n] }, [1]).keys[0]!.columns).toEqual([[2, 3n]]);
  });

  test("takes −0 as 0, and typed arrays as columns", () => {
    expect(group(3, { k: [0, -0, 0] }, [1]).keys[0]!.columns).toEqual([[0]]);
    expect(group(3, { k: Int16Array.of(3, 1, 3) }, [1, 0]).keys).toEqual([
      { names: ["k"], columns: [[1, 3]] },
      { names: [], columns: [] },
    ]);
  });

  test("orders a hundred thousand distinct keys of every kind, never for long at a time", () => {
    const n = 100_000;
    const shuffled = Array.from({ length: n }, (_, i) => (i * 7919) % 100_003);
    for (const keyOf of [
      (i: number) => i - 0.5,
      (i: number) => `k${i}`,
      (i: number) => `${i % 3 === 0 ? "\uFF5E" : "\u{1F600}"}${i}`,
      (i: number) => [i, BigInt(i), `${i}`][i % 3]!,
    ]) {
      const column = shuffled.map(keyOf);
      const work = groupRecords(chain(sum()), n, { k: column }, [1], "error");
      let yields = 0;
      let step = work.next();
      for (; !step.done; step = work.next()) yields++;
      expect(step.value.keys[0]!.columns[0]).toEqual([...column].sort(compareKeys));
      expect([...step.value.order].map((record) => column[record])).toEqual(step.value.keys[0]!.columns[0]);
      expect(yields, "98 runs, 7 merges of 24 slices, and the loops over records").toBeGreaterThan(98 + 7 * 24 + 6 * 24);
    }
  });

  test("lets others in while it works", () => {
    const n = 100_000;
    const work = groupRecords(chain(sum()), n, { k: new Uint8Array(n) }, [1], "error");
    let yields = 0;
    while (!work.next().done) yields++;
    expect(yields).toBeGreaterThan(20);
  });
});
