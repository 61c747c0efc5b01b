/** Random chains over keyed records, and their states: for the tests of states and of the Python that reads them. */
import type { Key, NullKeys, Reduction, State, StateOptions, StateRecords, UserReduction } from "../src/index.ts";
import {
  chain,
  count,
  createState,
  decodeState,
  defineReduction,
  max,
  mean,
  min,
  sum,
  variance,
  weightedMean,
  weightedSum,
} from "../src/index.ts";
import { crc32 } from "../src/reduce/crc.ts";
import { type Random, random } from "./random.ts";

/** The set of the distinct values below a node, and with it a reduction that is neither a sum nor an extreme. */
export const distinct: UserReduction = defineReduction<Set<number>>({
  name: "distinct",
  init: () => new Set(),
  add: (seen, x) => seen.add(x),
  merge: (a, b) => {
    for (const x of b) a.add(x);
    return a;
  },
  finish: (seen) => seen.size,
  encode: (seen) => new Uint8Array(Float64Array.from(seen).sort().buffer),
  decode: (bytes) => {
    if (bytes.length % 8 > 0) throw new RangeError(`${bytes.length} bytes are no float64 values`);
    return new Set(new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8));
  },
  orderFree: true,
});

export interface Case {
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
export function caseOf(seed: number): Case {
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
export function pick({ values, keys, weights }: Case["records"], numbers: readonly number[]): StateRecords {
  return {
    values: numbers.map((i) => Number(values[i])),
    keys: Object.fromEntries(Object.entries(keys).map(([name, column]) => [name, numbers.map((i) => (column as Key[])[i]!)])),
    ...(weights && { weights: numbers.map((i) => weights[i]!) }),
  };
}

/** The numbers 0 … n − 1 in random order, dealt to parts of which some stay empty. */
export function deal(r: Random, n: number, parts: number): number[][] {
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
export function mergedState(r: Random, { levels, options, records }: Case): State {
  const states = deal(r, records.values.length, 1 + r.int(6)).map((numbers) => {
    const state = createState(chain(...levels), options);
    for (const batch of deal(r, numbers.length, 1 + r.int(3))) {
      const some = batch.map((i) => numbers[i]!);
      state.add(pick(records, some));
    }
    return state;
  });
  return tree(r, states, levels, false);
}

/** As {@link mergedState}, but each batch says what it has read, and some of it comes twice. */
export function positionedState(r: Random, { levels, options, records }: Case): State {
  const n = records.values.length;
  const half = n >> 1;
  const cuts = new Set([0, half, n]);
  for (let i = r.int(8); i > 0; i--) cuts.add(r.int(n + 1));
  const ends = [...cuts].sort((a, b) => a - b);
  const states = Array.from({ length: 1 + r.int(4) }, () => createState(chain(...levels), options));
  for (const i of deal(r, ends.length - 1, 1)[0]!) {
    const [from, to] = [ends[i]!, ends[i + 1]!];
    const numbers = Array.from({ length: to - from }, (_, k) => from + k);
    const read = { source: from < half ? "\uFF5E" : "\u{1F600}", partition: from < half ? 7 : 0, from, to };
    const state = r.pick(states);
    state.add(pick(records, numbers), read);
    if (r.int(3) === 0) state.add(pick(records, numbers), read);
  }
  return tree(r, states, levels, true);
}

/** Merges states in a random tree, some of them as bytes, and some twice. */
function tree(r: Random, states: State[], levels: readonly Reduction[], twice: boolean): State {
  const travelled = (state: State): State => (r.int(2) ? decodeState(state.encode(), chain(...levels)) : state);
  while (states.length > 1) {
    const [other] = states.splice(r.int(states.length), 1).map(travelled);
    const state = r.pick(states);
    state.merge(other!);
    if (twice && other!.provenance.length > 0 && r.int(3) === 0) state.merge(other!);
  }
  return travelled(states[0]!);
}

/** Bytes of a state that is not signed, changed somewhere; with a checksum that fits if `restamp` says so, so that readers look further. */
export function damaged(r: Random, bytes: Uint8Array, restamp: boolean): Uint8Array {
  let changed = [...bytes.subarray(0, restamp ? -4 : bytes.length)];
  for (let changes = 1 + r.int(3); changes > 0; changes--) {
    // Half of them behind the header, which is most of a small state and is told by its hashes.
    const start = r.int(2) ? Math.min(changed.length, 104) : 0;
    const at = start + r.int(changed.length - start + 1);
    switch (r.int(6)) {
      case 0:
        changed[at] = (changed[at] ?? 0) ^ (1 << r.int(8));
        break;
      case 1:
        changed[at] = r.int(256);
        break;
      case 2:
        changed.splice(at, r.int(4));
        break;
      case 3:
        changed.splice(at, 0, ...Array.from({ length: 1 + r.int(4) }, () => r.pick([0, 1, 2, 127, 128, 255])));
        break;
      case 4:
        changed = changed.slice(0, at);
        break;
      default: // a number that no memory holds
        changed.splice(at, 1, ...Array.from({ length: 3 + r.int(200) }, () => r.pick([128, 255])), r.int(128));
    }
  }
  const result = Uint8Array.from(changed);
  return restamp ? stamped(result) : result;
}

/** Bytes with the checksum that fits them. */
export function stamped(bytes: Uint8Array): Uint8Array {
  const all = new Uint8Array(bytes.length + 4);
  all.set(bytes);
  new DataView(all.buffer).setUint32(bytes.length, crc32(bytes), true);
  return all;
}
