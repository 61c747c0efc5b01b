// Contract clauses 1, 3, 4, 10, 10a and 15: a state of any split, merged in any order and tree, closes with the bits of one run.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Engine, Key, NullKeys, Reduction, Result, State, StateOptions, StateRecords } from "../src/index.ts";
import {
  chain,
  count,
  createEngine,
  createState,
  decodeState,
  defineReduction,
  type FourfoldError,
  max,
  mean,
  min,
  sum,
  variance,
  weightedMean,
  weightedSum,
} from "../src/index.ts";
import { type Random, random } from "./random.ts";

/** Cases of the random tests; the soak asks for more. */
const RUNS = Number(process.env["FOURFOLD_RUNS"] ?? 150);

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ backend: "reference", workers: 0 });
});
afterAll(() => engine.close());

/** The set of the distinct values below a node, and with it a reduction that is neither a sum nor an extreme. */
const distinct = defineReduction<Set<number>>({
  name: "distinct",
  init: () => new Set(),
  add: (seen, x) => seen.add(x),
  merge: (a, b) => {
    for (const x of b) a.add(x);
    return a;
  },
  finish: (seen) => seen.size,
  encode: (seen) => new Uint8Array(Float64Array.from([...seen].sort((a, b) => a - b || 0)).buffer),
  decode: (bytes) => {
    if (bytes.length % 8 > 0) throw new RangeError(`${bytes.length} bytes are no float64 values`);
    return new Set(new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8));
  },
  orderFree: true,
});

interface Case {
  readonly title: string;
  readonly levels: readonly Reduction[];
  /** Level f of a run over all records has all of their weights. */
  readonly leafOfRun: Reduction;
  readonly options: StateOptions;
  readonly records: Required<StateRecords> | (StateRecords & { readonly keys: Record<string, Key[]> });
}

const KEYS: readonly (readonly Key[])[] = [
  ["a", "b", "\uFF5E", "\u{1F600}", ""],
  [1, -0, 2.5, Number.NEGATIVE_INFINITY, 2n, 2, 3n, 2n ** 70n, -(2n ** 70n)],
  [true, false, "true", 1, null],
];

/** A chain over keyed records: any reductions, key kinds, weights and policies. */
function caseOf(seed: number): Case {
  const r = random(seed);
  const n = r.int(40);
  const nan = r.pick(["propagate", "skip", "error"] as const);
  const depth = r.int(4);
  const nullKeys = r.pick<NullKeys>(["skip", "group"]);
  const keys = Object.fromEntries(
    Array.from({ length: depth }, (_, i) => {
      const from = KEYS[r.int(KEYS.length)]!;
      return [`key${"abc"[i]}`, Array.from({ length: n }, () => r.pick(from))];
    }),
  );
  const flavour = r.pick(["plain", "cancelling", "specials", "integers", "zeros"]);
  const tame = (x: number): number => (nan === "error" && Number.isNaN(x) ? 1 : x);
  const values = r.numbers(n, flavour).map(tame);
  const weights = r.numbers(n, r.pick(["plain", "cancelling", "specials"])).map(tame);
  const plain = [sum(), mean(), min(), max(), count(), variance({ ddof: r.int(2) }), distinct()];
  const weighted = r.pick([weightedSum, weightedMean]);
  const leaf = r.int(3) === 0 ? weighted({ perNode: [] }) : r.int(8) === 0 ? weighted("count") : r.pick(plain);
  const outer = Array.from({ length: r.int(4) }, () => (r.int(3) === 0 ? r.pick([weightedSum, weightedMean])("count") : r.pick(plain)));
  const hasWeights = leaf.weights?.form === "perNode";
  const by =
    r.int(3) === 0
      ? Array.from({ length: 1 + outer.length }, (_, i) => Object.keys(keys).slice(0, Math.max(0, depth - (i >> 1))))
      : undefined;
  return {
    title: `case ${seed}: ${[leaf, ...outer].map(({ name }) => name).join(" ")} of ${flavour}, ${depth} keys, nan ${nan}`,
    levels: [leaf, ...outer],
    leafOfRun: hasWeights ? weighted({ perNode: weights }) : leaf,
    options: { keys: Object.keys(keys), nan, nullKeys, accuracy: r.pick(["reproducible", "exact"] as const), ...(by && { by }) },
    records: { values, keys, ...(hasWeights && { weights }) },
  };
}

/** Some of the records, by number. */
function pick({ values, keys, weights }: Case["records"], numbers: readonly number[]): StateRecords {
  return {
    values: numbers.map((i) => Number(values[i])),
    keys: Object.fromEntries(Object.entries(keys).map(([name, column]) => [name, numbers.map((i) => (column as Key[])[i]!)])),
    ...(weights && { weights: numbers.map((i) => weights[i]!) }),
  };
}

/** The numbers 0 … n − 1 in random order, dealt to parts of which some stay empty. */
function deal(r: Random, n: number, parts: number): number[][] {
  const dealt: number[][] = Array.from({ length: parts }, () => []);
  const order = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = r.int(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  for (const i of order) r.pick(dealt).push(i);
  return dealt;
}

/** Reduces each part to a state, and merges them in a random tree, some of them as bytes. */
function mergedState(r: Random, { levels, options, records }: Case): State {
  const c = chain(...levels);
  const travelled = (state: State): State => (r.int(2) ? decodeState(state.encode(), chain(...levels)) : state);
  const states = deal(r, records.values.length, 1 + r.int(6)).map((numbers) => {
    const state = createState(c, options);
    for (const batch of deal(r, numbers.length, 1 + r.int(3)))
      state.add(
        pick(
          records,
          batch.map((i) => numbers[i]!),
        ),
      );
    return travelled(state);
  });
  while (states.length > 1) {
    const [other] = states.splice(r.int(states.length), 1);
    const state = r.pick(states);
    state.merge(other!);
  }
  return travelled(states[0]!);
}

async function runOf({ levels, leafOfRun, options, records }: Case): Promise<Result> {
  const { by, nullKeys, nan, accuracy } = options;
  const input = { values: records.values, keys: records.keys, ...(by && { by }), ...(nullKeys && { nullKeys }) };
  return engine.run(chain(leafOfRun, ...levels.slice(1)), input, { keep: "all", ...(nan && { nan }), ...(accuracy && { accuracy }) });
}

const codeOf = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    return `${(error as FourfoldError).code}: ${(error as Error).message}`;
  }
  return "no error";
};

describe("states of parts of the records, merged", () => {
  test("close with the bits of one run, at every node of every level (clauses 3, 4, 6, 7, 10, 10a)", async () => {
    let nodes = 0;
    for (let seed = 0; seed < RUNS; seed++) {
      const given = caseOf(seed);
      const [run, result] = [await runOf(given), mergedState(random(seed + 1), given).finish({ keep: "all" })];
      const told = (r: typeof result | Result) => ({
        title: given.title,
        values: [...r.values],
        shape: r.shape,
        records: r.records,
        contract: r.contract,
        levels: given.levels.map((_, i) =>
          [...r.level(["f", "g", "h", "k"][i]!)].map(({ key, path, value, values, count }) => ({ key, path, value, values, count })),
        ),
      });
      expect(told(result)).toStrictEqual(told(run));
      nodes += result.level("f").length;
    }
    expect(nodes).toBeGreaterThan(RUNS);
  });
});
