/** Random live trees, and the leaves that they should hold: for the tests of live trees. */
import { expect } from "vitest";
import type {
  Chain,
  DenseInput,
  Engine,
  Key,
  KeyedInput,
  Live,
  LiveKeyedInput,
  LiveOptions,
  Node,
  RaggedInput,
  Reduction,
  UserReduction,
  WeightsInput,
} from "../src/index.ts";
import { chain, count, defineReduction, max, mean, min, sum, variance, weightedMean, weightedSum } from "../src/index.ts";
import { pathId } from "../src/reduce/key.ts";
import { type Random, random } from "./random.ts";
import { distinct } from "./states.ts";

/** The largest jump between neighbours: a reduction that hangs on the order of its children. */
const jump: UserReduction = defineReduction<number[]>({
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
  /** By level: the keys of a path. */
  readonly depths: readonly number[];
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
    depths: [leaf, ...outer].map((_, i) => (by ? by[i]!.length : Math.max(0, inner.length - i))),
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

/** Listens to some nodes of a tree, and holds what it hears to the values before and after each update. */
export class Ear {
  readonly #live: Live;
  readonly #watched: { readonly level: string; readonly path: readonly Key[]; values: readonly number[]; heard: number }[] = [];

  constructor(live: Live) {
    this.#live = live;
  }

  listen(level: string, path: readonly Key[]): void {
    const watched = { level, path, values: this.#values(level, path), heard: 0 };
    this.#watched.push(watched);
    this.#live.subscribe(level, path, (change) => {
      watched.heard++;
      expect([change.level, pathId(change.path)]).toEqual([level, pathId(path)]);
      expect(change.values).toEqual(this.#values(level, path));
      expect(change.value).toBe(change.values[0]);
      expect(change.previous).toBe(watched.values[0]);
      if (change.value !== undefined) expect(change.count).toBe(this.#live.level(level).at(...path).count);
    });
  }

  /** After one update. */
  check(): void {
    for (const watched of this.#watched) {
      const now = this.#values(watched.level, watched.path);
      const same = now.length === watched.values.length && now.every((x, r) => Object.is(x, watched.values[r]));
      expect(watched.heard).toBe(same ? 0 : 1);
      watched.heard = 0;
      watched.values = now;
    }
  }

  /** The values of a node, none where there is no node. */
  #values(level: string, path: readonly Key[]): readonly number[] {
    const id = pathId(path);
    return [...this.#live.level(level)].find((node) => pathId(node.path) === id)?.values ?? [];
  }
}

/** The chain of a run over records: level f with the weights of the records. */
export function chainOfRun(levels: readonly Reduction[], weighted: boolean, weights: readonly number[]): Chain {
  const [leaf, ...outer] = levels;
  const weigh = leaf!.kind === "weightedSum" ? weightedSum : weightedMean;
  return chain(...(weighted ? [weigh({ perNode: weights }), ...outer] : levels));
}

export interface RowsCase {
  readonly title: string;
  readonly r: Random;
  readonly c: Chain;
  readonly options: LiveOptions;
  readonly data: Float64Array;
  /** The input of a tree, or of a run, over these leaves. */
  input(data: Float64Array): DenseInput | RaggedInput;
  /** The path of each leaf. */
  readonly paths: readonly (readonly number[])[];
  /** Levels whose weights can be others, and those weights. */
  readonly weigh: readonly { readonly level: string; weights(): WeightsInput }[];
  value(): number;
}

/** A chain over dense or ragged rows: any reductions, weights and policies; one row in eight longer than a block. */
export function rowsCase(seed: number): RowsCase {
  const r = random(seed);
  const nan = r.pick(["propagate", "skip", "error"] as const);
  const flavour = r.pick(["plain", "cancelling", "specials", "integers", "zeros"]);
  const tame = (x: number): number => (nan === "error" && Number.isNaN(x) ? 1 : x);
  const depth = 1 + r.int(3);
  const dense = r.int(2) === 0;
  const extent = r.int(8) === 0 ? 4000 + r.int(5000) : r.int(3) === 0 ? 70 + r.int(100) : 1 + r.int(20);
  // Innermost first.
  const extents = Array.from({ length: depth }, (_, i) => (i === 0 ? extent : 1 + r.int(4)));
  const frames = dense ? Array.from({ length: r.int(3) }, () => 1 + r.int(3)) : [];
  const nodesOf = (level: number): number => [...frames, ...extents.slice(level + 1)].reduce((a, b) => a * b, 1);
  const offsets = dense ? undefined : raggedOffsets(r, extents);
  const childrenOf = (level: number): number => (dense ? nodesOf(level) * extents[level]! : offsets![level]!.at(-1)!);
  const list = (n: number): number[] => Array.from(r.numbers(n, r.pick(["plain", "cancelling", "specials"])), tame);
  let matrix = r.int(4) === 0 ? r.int(depth) : -1;
  const weightsOf = (level: number): WeightsInput => {
    if (level === matrix && dense) return Array.from({ length: 1 + (seed % 3) }, () => list(extents[level]!));
    const form = r.int(3);
    if (form === 0 && level > 0) return "count";
    return form === 1 && dense ? list(extents[level]!) : { perNode: list(childrenOf(level)) };
  };
  if (!dense) matrix = -1;
  const levels = extents.map((_, level) => {
    if (level === matrix || r.int(2) === 0) return r.pick([weightedSum, weightedMean])(weightsOf(level));
    return r.pick([sum(), mean(), min(), max(), count(), variance({ ddof: r.int(2) }), level > 0 || extent < 100 ? jump() : sum()]);
  });
  const c = chain(...levels);
  const shape = [...frames, ...[...extents].reverse()];
  const leaves = childrenOf(0);
  return {
    title: `case ${seed}: ${levels.map(({ name }) => name).join(" ")} of ${flavour}, ${dense ? `shape ${shape}` : "ragged"}, nan ${nan}`,
    r,
    c,
    options: { nan, accuracy: r.pick(["reproducible", "exact"] as const) },
    data: Float64Array.from(r.numbers(leaves, flavour), tame),
    input: (data) => (dense ? { data, shape } : { data, offsets: offsets! }),
    paths: dense ? densePaths(shape) : raggedPaths(offsets!),
    weigh: c.levels.flatMap(({ name, reduction }, level) =>
      level > 0 && reduction.weights ? [{ level: name, weights: () => weightsOf(level) }] : [],
    ),
    value: () => tame(r.numbers(1, flavour)[0]!),
  };
}

/** Offsets of all levels, innermost first; the outermost makes one node or two. Some nodes are empty. */
function raggedOffsets(r: Random, extents: readonly number[]): number[][] {
  let nodes = 1 + r.int(2);
  const offsets: number[][] = [];
  for (const extent of [...extents].reverse()) {
    const o = [0];
    for (let i = 0; i < nodes; i++) o.push(o[i]! + (r.int(7) === 0 ? 0 : r.int(2 * extent + 1)));
    offsets.unshift(o);
    nodes = o[nodes]!;
  }
  return offsets;
}

function densePaths(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>((paths, extent) => paths.flatMap((path) => Array.from({ length: extent }, (_, i) => [...path, i])), [[]]);
}

function raggedPaths(offsets: readonly (readonly number[])[]): number[][] {
  let paths = Array.from({ length: offsets.at(-1)!.length - 1 }, (_, i) => [i]);
  for (const o of [...offsets].reverse())
    paths = paths.flatMap((path, n) => Array.from({ length: o[n + 1]! - o[n]! }, (_, i) => [...path, i]));
  return paths;
}
