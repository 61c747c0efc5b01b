// Contributions and changes against Python's fractions (contributions.py): terms rounded once, and sums that are exact as real numbers.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { changeOf } from "../../src/reduce/changes.ts";
import { closedPath } from "../../src/reduce/closed-tree.ts";
import { contributionsOf, valueOfChildren } from "../../src/reduce/contributions.ts";
import type { NanPolicy } from "../../src/types.ts";
import { type Random, random } from "../random.ts";
import { changed, hex, type PlainNode, type PlainRules, plain, randomNode, treeOf } from "./closed-trees.ts";
import { KINDS } from "./numbers.ts";

const RUNS = Number(process.env["FOURFOLD_RUNS"] ?? 200);

const SCRIPT = fileURLToPath(new URL("contributions.py", import.meta.url));

/** What Python finds wrong, with the case. */
function faults(cases: readonly unknown[]): string[] {
  const { stdout, stderr, status } = spawnSync("python3", [SCRIPT], {
    input: cases.map((one) => JSON.stringify(one)).join("\n"),
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  const answers = stdout.split("\n").slice(0, -1);
  expect(answers.length).toBe(cases.length);
  return answers.flatMap((answer, i) => (answer === "" ? [] : [`${answer} in ${JSON.stringify(cases[i])}`])).slice(0, 3);
}

/** Lists of children whose contributions are hard to add. */
const LISTS: Readonly<Record<string, (r: Random) => number[]>> = {
  ...Object.fromEntries(
    Object.entries(KINDS).map(([name, one]) => [name, (r: Random) => Array.from({ length: 1 + r.int(12) }, () => one(r))]),
  ),
  "small beside large": (r) => Array.from({ length: 2 + r.int(6) }, () => (r.next() - 0.5) * 2 ** (-60 * r.int(8))),
  "what cancels but for the last bits": (r) => {
    const a = 1 + r.next();
    return [a, -a * (1 + 2 ** -r.int(60)), (r.next() - 0.5) * 2 ** -r.int(120), (r.next() - 0.5) * 2 ** -r.int(120)].slice(0, 2 + r.int(3));
  },
  "thirds that cancel": (r) => {
    const a = 1 + r.int(9);
    const b = 1 + r.int(9);
    const rest = () => (1 + r.next()) * 2 ** -(50 + r.int(90));
    return [a, b, -(a + b) + r.pick([0, 2 ** -49]), rest(), -rest(), ...Array.from({ length: r.int(5) }, () => 0)];
  },
  "a sum far below the last bits": (r) => [
    1 + 2 ** -52,
    -1,
    -(2 ** -52) + 2 ** -(92 + r.int(12)),
    ...Array.from({ length: r.int(3) }, rest0),
  ],
  "the edge of the range": (r) => Array.from({ length: 2 + r.int(5) }, () => r.pick([1, -1]) * Number.MAX_VALUE * r.pick([1, 0.5, 0.25])),
};
const rest0 = (): number => 0;

const REDUCTIONS = ["sum", "weightedSum", "mean", "weightedMean", "count", "min", "max", "variance"];

const WEIGHTS: readonly ((r: Random) => number)[] = [
  (r) => 1 + r.int(99),
  (r) => r.next(),
  (r) => r.pick([0, 1, 1, 3]),
  (r) => (r.next() - 0.5) * 2 ** (r.int(100) - 50),
];

/** A case for Python: the children, and what was made of them. */
function contributionCase(r: Random, reduce: string, values: readonly number[], given?: number): unknown {
  const nan: NanPolicy = r.pick(["propagate", "skip"]);
  const ddof = reduce === "variance" ? r.int(2) : 0;
  const weigh = r.pick(WEIGHTS);
  const weights = values.map(() => weigh(r));
  const counts = values.map(() => (r.int(10) === 0 ? 0 : 1 + r.int(5)));
  const children = { values, weights, counts };
  const value = given ?? valueOfChildren({ reduce, ddof, nan }, r.pick(["rounded", "real"]), children)!;
  const made = contributionsOf(value, { reduce, ddof, nan }, children);
  if (!Number.isFinite(value)) {
    expect(made.settled).toBeUndefined();
    expect(made.why).toMatch(/finite/);
    return undefined;
  }
  if (made.values === undefined) {
    expect(given === undefined, "there is always a sum for what the children gave").toBe(false);
    return undefined;
  }
  return {
    reduce,
    ddof,
    nan,
    value: hex(value),
    values: values.map(hex),
    weights: weights.map(hex),
    counts,
    got: Array.from(made.values, hex),
    residual: made.settled === undefined ? null : hex(made.settled.residual),
    honest: given === undefined,
  };
}

describe("contributions are their exact terms, rounded once, and add up with one residual to the node's value exactly", () => {
  test("for every reduction and kind of numbers", () => {
    const r = random(1);
    const lists = Object.values(LISTS);
    const cases = Array.from({ length: 4 * RUNS }, (_, i) => contributionCase(r, r.pick(REDUCTIONS), lists[i % lists.length]!(r)));
    expect(faults(cases.filter((one) => one !== undefined))).toEqual([]);
  });

  test("also to a value that the children do not give, as one of float32 operations or of a changed file", () => {
    const r = random(2);
    const lists = Object.values(LISTS);
    const cases = Array.from({ length: 3 * RUNS }, (_, i) => {
      const kind = r.pick(["sum", "weightedSum", "mean", "weightedMean", "count", "variance"]);
      return contributionCase(r, kind, lists[i % lists.length]!(r), r.pick([(r.next() - 0.5) * 2 ** (r.int(2000) - 1000), 0, 5e-324]));
    });
    expect(faults(cases.filter((one) => one !== undefined))).toEqual([]);
  });
});

const CHAINS: readonly (readonly string[])[] = [
  ["sum", "sum"],
  ["mean", "weightedMean", "mean"],
  ["weightedMean", "mean", "weightedSum", "sum"],
  ["mean", "max", "sum"],
  ["count", "mean"],
  ["mean", "count"],
  ["weightedSum", "variance", "mean"],
];

const VALUES: Readonly<Record<string, (r: Random) => number>> = {
  plain: KINDS["plain"]!,
  prices: KINDS["prices"]!,
  cancelling: (r) => r.pick([1, -1]) * (1 + r.int(2) * 2 ** -52) * r.pick([1, 1, 2 ** -70, 2 ** -200]),
  subnormal: KINDS["subnormal"]!,
  "the full range": KINDS["the full range"]!,
  "with NaN": KINDS["with NaN"]!,
};

function changeCase(r: Random, chain: readonly string[], value: (r: Random) => number): unknown {
  const nan: NanPolicy = r.pick(["propagate", "skip"]);
  const rules: PlainRules[] = chain.map((reduce) => ({ reduce, ddof: reduce === "variance" ? r.int(2) : 0 }));
  const weight = r.pick(WEIGHTS.slice(0, 3));
  const before = randomNode(r, rules, nan, value, weight);
  const after: PlainNode = changed(r, before, rules, nan, value, weight);
  const [tree0, tree1] = [treeOf(before, rules, nan), treeOf(after, rules, nan)];
  const level = rules.length;
  const { pieces, effects, settled } = changeOf({ tree: tree0, level, node: 0 }, { tree: tree1, level, node: 0 }, 0);
  const pathOf = (piece: (typeof pieces)[number]): string =>
    (piece.after >= 0 ? closedPath(tree1, piece.level.after, piece.after) : closedPath(tree0, piece.level.before, piece.before))
      .map((key) => `/${key}`)
      .join("");
  return {
    rules: rules.map(({ reduce, ddof }) => [reduce, ddof]),
    nan,
    before: plain(before),
    after: plain(after),
    got: pieces.map((piece, i) => [piece.kind, pathOf(piece), hex(effects[i]!)]),
    residual: settled === undefined ? null : hex(settled.residual),
    rounding: settled === undefined ? null : hex(settled.rounding),
  };
}

describe("the pieces of a change are exact effects, rounded once, and add up with one residual to the change exactly", () => {
  test("for every chain and kind of numbers", () => {
    const r = random(3);
    const kinds = Object.values(VALUES);
    expect(faults(Array.from({ length: RUNS }, (_, i) => changeCase(r, r.pick(CHAINS), kinds[i % kinds.length]!)))).toEqual([]);
  });
});
