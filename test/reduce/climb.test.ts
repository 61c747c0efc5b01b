/** Nodes that come in order and climb: clause 4 does not know in which batches they came. */
import { describe, expect, test } from "vitest";
import { Climb, type ClimbedLevel, type ClimbLevel, type WeightError } from "../../src/reduce/climb.ts";
import { codeIn, firstDifference, keyWords } from "../../src/reduce/key-words.ts";
import { type ClosedBatch, NodeTable } from "../../src/reduce/node-table.ts";
import { hex } from "../failing.ts";
import { random } from "../random.ts";

describe("words of paths", () => {
  test("hold the codes of as many columns as fit in 53 bits, outermost in the highest digits", () => {
    const { columns, spans } = keyWords([2 ** 20, 2 ** 30, 8, 8, 5]);
    expect(spans).toEqual([2 ** 53, 40]);
    expect(columns.map(({ word, stride }) => [word, stride])).toEqual([
      [0, 2 ** 33],
      [0, 8],
      [0, 1],
      [1, 5],
      [1, 1],
    ]);
    const codes = [2 ** 20 - 1, 2 ** 30 - 1, 7, 6, 4];
    const words = spans.map((_, w) => columns.reduce((sum, { word, stride }, c) => sum + (word === w ? codes[c]! * stride : 0), 0));
    expect(words).toEqual([2 ** 53 - 1, 34]);
    expect(columns.map((place) => codeIn(place, words[place.word]!))).toEqual(codes);
  });

  test("differ first where their codes do", () => {
    const keys = keyWords([2 ** 30, 2 ** 30, 4]);
    const a = [Float64Array.of(3), Float64Array.of(4 * 7 + 2)];
    const differs = (b: number[]): number =>
      firstDifference(
        keys,
        a,
        0,
        b.map((word) => Float64Array.of(word)),
        0,
      );
    expect(
      [
        [3, 30],
        [3, 29],
        [3, 34],
        [4, 30],
      ].map(differs),
    ).toEqual([3, 2, 1, 0]);
  });

  test("of no columns are none, and of columns without keys have no digits", () => {
    expect(keyWords([])).toEqual({ columns: [], spans: [] });
    expect(keyWords([3, 0]).spans).toEqual([0]);
  });
});

const level = (name: string, depth: number, more: Partial<ClimbLevel>): ClimbLevel => ({
  name,
  kind: "sum",
  ddof: 0,
  depth,
  weights: { form: "none" },
  kept: true,
  ...more,
});

/** Nodes of three key columns of five codes each, some left out. */
function nodes(seed: number): ClosedBatch {
  const draw = random(seed);
  const words = Float64Array.from(Array.from({ length: 125 }, (_, i) => i).filter(() => draw.int(3) > 0));
  const weights = words.map((word) => Math.floor(word / 5) / 7);
  return {
    n: words.length,
    words: [words],
    values: draw.numbers(words.length, "cancelling"),
    records: words.map(() => draw.int(4)),
    lows: [weights],
    highs: [weights],
  };
}

const piece = ({ words, values, records, lows, highs }: ClosedBatch, from: number, to: number): ClosedBatch => {
  const cut = (column: Float64Array): Float64Array => column.slice(from, to);
  return { n: to - from, words: words.map(cut), values: cut(values), records: cut(records), lows: lows.map(cut), highs: highs.map(cut) };
};

const bits = (levels: readonly ClimbedLevel[]): unknown =>
  levels.map(({ nodes, kept }) => [nodes, hex(kept!.values), [...kept!.records], kept!.words.map(hex), [...kept!.offsets]]);

describe("a climb", () => {
  const keys = keyWords([5, 5, 5]);
  const levels = [
    level("leaf", 3, {}),
    level("low", 2, { kind: "weightedMean", weights: { form: "count" } }),
    level("high", 1, { kind: "weightedSum", weights: { form: "constant", at: 0 } }),
    level("all", 0, { kind: "variance" }),
  ];

  test.each(["propagate", "skip"] as const)("gives the same bits in batches of every size, under %s", (nan) => {
    for (let seed = 0; seed < 20; seed++) {
      const all = nodes(seed);
      const draw = random(seed + 1000);
      const climbIn = (size: () => number): unknown => {
        const climb = new Climb(levels, keys, nan, "reproducible");
        for (let from = 0; from < all.n; ) {
          const to = Math.min(all.n, from + size());
          climb.add(piece(all, from, to));
          from = to;
        }
        return bits(climb.finish());
      };
      const whole = climbIn(() => all.n);
      expect(climbIn(() => 1)).toEqual(whole);
      expect(climbIn(() => draw.int(30))).toEqual(whole);
    }
  });

  test("names the child whose weight varies, is missing or is NaN, by its path and number", () => {
    const all = nodes(1);
    const trouble = (one: ClosedBatch, changed: Partial<ClimbLevel>, nan: "error" | "propagate" = "propagate"): unknown => {
      const climb = new Climb([levels[0]!, levels[1]!, { ...levels[2]!, ...changed }, levels[3]!], keys, nan, "reproducible");
      try {
        climb.add(one);
        climb.finish();
      } catch (error) {
        return (error as WeightError).trouble;
      }
      return undefined;
    };
    const at = 40; // some node in the middle of its parent
    const child = new Set([...all.words[0]!.slice(0, at + 1)].map((word) => Math.floor(word / 5))).size - 1;
    const weights = all.lows[0]!.slice();
    weights[at] = -1;
    expect(Math.floor(all.words[0]![at]! / 5)).toBe(Math.floor(all.words[0]![at - 1]! / 5));
    expect(trouble({ ...all, lows: [weights], highs: [weights] }, {})).toMatchObject({
      kind: "varies",
      level: 2,
      index: child,
      given: [all.lows[0]![at], -1],
    });
    const table = { words: [Float64Array.of(0, 5)], weights: Float64Array.of(1, Number.NaN), missing: 1 };
    expect(trouble(all, { weights: { form: "table", table } }, "error")).toMatchObject({ kind: "nan", level: 2, index: 1 });
    expect(trouble(all, { weights: { form: "table", table: { ...table, missing: undefined } } })).toMatchObject({
      kind: "missing",
      index: 2,
    });
    expect(trouble(all, { weights: { form: "list", values: [1] } })).toMatchObject({ kind: "length", level: 2, index: 0, given: [1, 5] });
  });
});

describe("a table of nodes", () => {
  const rules = { kind: "sum", ddof: 0, quotient: "rounded", skip: false } as const;

  test("adds records in any order, and closes nodes in order of their paths, one word or two", () => {
    const draw = random(5);
    const n = 5000;
    const values = draw.numbers(n, "cancelling");
    for (const count of [1, 2]) {
      const words = Array.from({ length: count }, () => Float64Array.from({ length: n }, () => draw.int(60) * 2 ** 40));
      const sums = new Map<string, number[]>();
      for (let i = 0; i < n; i++) {
        const path = words.map((word) => word[i]! / 2 ** 40).join();
        sums.set(path, [...(sums.get(path) ?? []), values[i]!]);
      }
      const table = new NodeTable(rules, count, 0, n);
      for (let from = 0; from < n; from += 1000)
        expect(
          table.add({
            n: 1000,
            words: words.map((word) => word.slice(from, from + 1000)),
            values: values.slice(from, from + 1000),
            weights: undefined,
            constants: [],
          }),
        ).toBe(true);
      const closed = table.close();
      const paths = Array.from({ length: closed.n }, (_, i) => closed.words.map((word) => word[i]! / 2 ** 40));
      expect(paths).toEqual([...sums.keys()].map((path) => path.split(",").map(Number)).toSorted((a, b) => a[0]! - b[0]! || a[1]! - b[1]!));
      expect([...closed.records]).toEqual(paths.map((path) => sums.get(path.join())!.length));
    }
  });

  test("says when it has more nodes than it may", () => {
    const table = new NodeTable(rules, 1, 0, 2);
    const add = (...words: number[]): boolean =>
      table.add({
        n: words.length,
        words: [Float64Array.from(words)],
        values: new Float64Array(words.length),
        weights: undefined,
        constants: [],
      });
    expect([add(1, 2, 1), add(2, 1), add(3)]).toEqual([true, true, false]);
  });
});
