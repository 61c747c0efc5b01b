/** Random live trees, and the leaves that they should hold: for the tests of live trees. */
import { expect } from "vitest";
import type {
  Chain,
  Engine,
  Key,
  KeyedInput,
  Live,
  LiveKeyedInput,
  LiveOptions,
  NanPolicy,
  Node,
  Reduction,
  UserReduction,
} from "../src/index.ts";
import { chain, count, defineReduction, max, mean, min, sum, variance, weightedMean, weightedSum } from "../src/index.ts";
import { pathId } from "../src/reduce/key.ts";
import { type Random, random } from "./random.ts";
import { distinct } from "./states.ts";

/** The largest jump between neighbours: a reduction that hangs on the order of its children. */
export const jump: UserReduction = defineReduction<number[]>({
  name: "jump",
  init: () => [],
  add: (seen, x) => [...seen, x],
  merge: (a, b) => [...a, ...b],
  finish: (seen) => seen.reduce((most, x, i) => (i === 0 ? most : Math.max(most, Math.abs(x - seen[i - 1]!))), 0),
});

/** A leaf as the test keeps it. */
interface Leaf {
  readonly path: Key[];
  value: number;
  weight: number;
}

/** Leaves by path, beside a live tree. */
export class Model {
  readonly leaves: Map<string, Leaf> = new Map();

  set(path: Key[], value: number, weight: number): void {
    this.leaves.set(pathId(path), { path, value, weight });
  }

  delete(path: Key[]): boolean {
    return this.leaves.delete(pathId(path));
  }
}

const KEYS: readonly (readonly Key[])[] = [
  ["a", "b", "\uFF5E", "\u{1F600}", ""],
  [1, -0, 2.5, Number.NEGATIVE_INFINITY, 2n, 3n, 2n ** 70n, -(2n ** 70n)],
  [true, false, "true", 1, "1"],
];

export interface RecordsCase {
  readonly title: string;
  readonly r: Random;
  readonly levels: readonly Reduction[];
  readonly names: readonly string[];
  readonly by: readonly (readonly string[])[] | undefined;
  readonly options: LiveOptions;
  readonly weighted: boolean;
  readonly nan: NanPolicy;
  key(column: number): Key;
  value(): number;
}

/** A chain over keyed records: any reductions, keys and policies, without weights by place. */
export function recordsCase(seed: number): RecordsCase {
  const r = random(seed);
  const nan = r.pick(["propagate", "skip", "error"] as const);
  const depth = 1 + r.int(4);
  const names = Array.from({ length: depth }, (_, i) => `key${"abcd"[i]}`);
  const pools = names.map((_, i) => (i === depth - 1 && r.int(2) ? Array.from({ length: 12 }, (_, k) => `leaf ${k}`) : r.pick(KEYS)));
  const flavour = r.pick(["plain", "cancelling", "specials", "integers", "zeros"]);
  const tame = (x: number): number => (nan === "error" && Number.isNaN(x) ? 1 : x);
  const plain = [sum(), mean(), min(), max(), count(), variance({ ddof: r.int(2) }), distinct()];
  const weigh = r.pick([weightedSum, weightedMean]);
  const leaf = r.int(3) === 0 ? weigh({ perNode: [] }) : r.int(8) === 0 ? weigh("count") : r.pick(plain);
  const byKey = (): Reduction =>
    r.pick([weightedSum, weightedMean])({
      byKey: [
        ["a", 0.3],
        [2n, -1 / 3],
        [[true], 1e300],
      ],
      missing: r.pick([0.1, 0, 1]),
    });
  const outer = Array.from({ length: r.int(4) }, () =>
    r.int(3) === 0 ? r.pick([weightedSum, weightedMean])("count") : r.int(4) === 0 ? byKey() : r.pick(plain),
  );
  const inner = names.slice(0, -1);
  const by =
    r.int(3) === 0 ? Array.from({ length: 1 + outer.length }, (_, i) => inner.slice(0, Math.max(0, inner.length - (i >> 1)))) : undefined;
  return {
    title: `case ${seed}: ${[leaf, ...outer].map(({ name }) => name).join(" ")} of ${flavour}, ${depth} keys, nan ${nan}`,
    r,
    levels: [leaf, ...outer],
    names,
    by,
    options: { nan, accuracy: r.pick(["reproducible", "exact"] as const) },
    weighted: leaf.weights?.form === "perNode",
    nan,
    key: (column) => r.pick(pools[column]!),
    value: () => tame(r.numbers(1, flavour)[0]!),
  };
}

interface Told {
  readonly live: LiveKeyedInput;
  readonly run: KeyedInput;
  readonly weights: readonly number[];
}

/** The records of a model as a run takes them: the last key is the leaf's own. */
export function recordsOf(model: Model, names: readonly string[], by: RecordsCase["by"]): Told {
  const leaves = [...model.leaves.values()];
  const keys = Object.fromEntries(names.map((name, i) => [name, leaves.map(({ path }) => path[i]!)]));
  const { [names.at(-1)!]: _, ...outer } = keys;
  const values = Float64Array.from(leaves, ({ value }) => value);
  return {
    live: { values, keys, ...(by && { by }) },
    run: { values, keys: outer, ...(by && { by }) },
    weights: leaves.map(({ weight }) => weight),
  };
}

/** Nodes as text that tells −0 from 0, and NaN from other numbers. */
const told = (nodes: Iterable<Node>): string[] =>
  Array.from(nodes, ({ path, values, count }) => {
    const numbers = values.map((x) => (Object.is(x, -0) ? "-0" : String(x))).join(",");
    return `${pathId(path)}: ${numbers} of ${count}`;
  });

/** Holds all levels of a live tree, and of a snapshot, to those of a run over the same leaves. */
export function expectRun(engine: Engine, live: Live, c: Chain, input: Parameters<Engine["runSync"]>[1], options: LiveOptions): void {
  const { nan = "propagate", accuracy = "reproducible" } = options;
  const result = engine.runSync(c, input, { nan, accuracy, keep: "all" });
  const snapshot = live.snapshot({ keep: "all" });
  for (const { name } of c.levels) {
    const expected = told(result.level(name));
    expect(told(live.level(name)), name).toEqual(expected);
    expect(told(snapshot.level(name)), `${name} of a snapshot`).toEqual(expected);
    for (const { path, values } of result.level(name)) expect([...live.level(name).at(...path).values]).toEqual([...values]);
  }
  expect([...live.values]).toEqual([...result.values]);
  expect([...snapshot.values]).toEqual([...result.values]);
  expect(live.shape).toEqual(result.shape);
  expect(snapshot.records).toBe(result.records);
}

/** The chain of a run over records: level f with the weights of the records. */
export function chainOfRun(levels: readonly Reduction[], weighted: boolean, weights: readonly number[]): Chain {
  const [leaf, ...outer] = levels;
  const weigh = leaf!.kind === "weightedSum" ? weightedSum : weightedMean;
  return chain(...(weighted ? [weigh({ perNode: weights }), ...outer] : levels));
}
