/**
 * A live tree over keyed records: leaves have keys of their own, they come, change and go, and nodes with them. Its values are those of a run
 * over the same records (contract clauses 3, 4, 10a, 14).
 */
import { FourfoldError, show } from "../errors.ts";
import type { TypedData } from "../types.ts";
import { grown } from "./arrays.ts";
import type { Chain } from "./chain.ts";
import type { LevelKeys } from "./group.ts";
import type { Key, KeyColumn } from "./key.ts";
import { leafReduction } from "./layout.ts";
import { install, type LiveForm, type LivePolicy, rebuild } from "./live-form.ts";
import { checkKeyOf, LivePaths } from "./live-paths.ts";
import { LiveTier } from "./live-tier.ts";
import { LiveTree } from "./live-tree.ts";
import { nanLeaf } from "./nan.ts";
import { sum } from "./reductions.ts";
import { type Fitted, fit } from "./resolve.ts";
import { finish, SLICE } from "./slices.ts";
import { readRagged, type Tree, type TreeLevel } from "./tree.ts";
import { weightAt } from "./weights.ts";

/** Records to start with, as columns that have been read: none is of another length than `values`. */
export interface LiveBatch {
  readonly values: TypedData;
  readonly columns: Readonly<Record<string, KeyColumn>>;
  /** Undefined where level f is not weighted. */
  readonly weights: Float64Array | undefined;
}

/** A handle holds the number of a leaf, and above these bits how often the number was given back before. */
const LEAF_BITS = 2 ** 26;

/** Times that a number may be given back: then it is not used again, as its handles would be no safe integers. */
const GENERATIONS_MAX = 2 ** 26;

/** See the head of this file. */
export class LiveRecords implements LiveForm {
  readonly kind = "records";
  chain: Chain;
  readonly policy: LivePolicy;
  readonly tree: LiveTree;
  readonly paths: LivePaths;
  /** By tier: the keys of a path. */
  readonly #depths: readonly number[];
  readonly #path: Key[];
  #generations = new Uint32Array(0);

  constructor(chain: Chain, names: readonly string[], depths: readonly number[], policy: LivePolicy, seed: number) {
    this.chain = chain;
    this.policy = policy;
    this.paths = new LivePaths(names, seed);
    this.#depths = [names.length, ...depths];
    this.#path = new Array<Key>(names.length).fill(null);
    const tiers = this.#depths.map((depth) => new LiveTier({ stays: depth === 0, linked: true }));
    this.tree = new LiveTree(tiers, new Float64Array(0), policy.nan === "skip");
    for (const [t, depth] of this.#depths.entries())
      if (depth === 0) {
        tiers[t]!.grow(1);
        tiers[t]!.parent[0] = 0;
        // The innermost of them has children when there are leaves; each of the others has the one inside it.
        if (this.#depths[t - 1] === 0) tiers[t - 1]!.attach(0, tiers[t]!);
      }
  }

  get leaves(): number {
    return this.paths.places(this.paths.depth);
  }

  get frames(): readonly number[] {
    return this.#depths.at(-1) === 0 ? [] : [this.count(this.#depths.length - 1)];
  }

  get bytes(): number {
    return this.paths.bytes + this.#generations.byteLength;
  }

  /** Reads the records to start with. Yields between slices of work. @throws FourfoldError as a run does, and for a leaf that comes twice */
  *load({ values, columns, weights }: LiveBatch): Generator<void, void> {
    const { paths, tree, policy } = this;
    const lists = paths.names.map((name) => columns[name]!);
    const leafWeights = weights && new Float64Array(values.length);
    if (values.length > policy.leavesMax) throw this.#tooMany(values.length);
    paths.reserve(values.length);
    this.#generations = grown(this.#generations, values.length);
    tree.tiers[0]!.grow(values.length);
    tree.tiers[0]!.length = 0;
    tree.numbers[0]!.values = new Float64Array(values.length);
    for (let row = 0; row < values.length; row++) {
      for (let d = 0; d < lists.length; d++) this.#path[d] = checkKeyOf(lists[d]![row], paths.names[d]!, row);
      if (paths.find(this.#path) >= 0)
        throw new FourfoldError("ERR_FOURFOLD_KEYS", `record ${row} has the path (${this.#path.map(show).join(", ")}) of one before it`, {
          given: [...this.#path],
          expected: "one record for each path",
          fix: "A leaf of a live tree is one record: add a key column that tells records apart, or reduce them first",
          at: { row },
        });
      const x = values[row]!;
      if (policy.nan === "error" && x !== x) throw nanLeaf(this.chain.levels[0]!.name, row);
      const leaf = this.#add(true);
      tree.numbers[0]!.values[leaf] = x;
      if (leafWeights) leafWeights[leaf] = this.#checkWeight(weights![row]!);
      if (row % SLICE === SLICE - 1) yield;
    }
    install(this, 0, yield* rebuild(this, this.fit(this.chain), 0, leafWeights));
  }

  /** Fits a chain to the nodes there are. @throws FourfoldError as a run over these records does */
  fit(chain: Chain): Fitted {
    const { nan, accuracy } = this.policy;
    // Weights of level f come with the leaves.
    const plain: Chain = { levels: chain.levels.map((level, i) => (i === 0 ? { ...level, reduction: withoutWeights(chain) } : level)) };
    // An order of all nodes is needed where weights go by their places or keys.
    const placed = chain.levels.some(({ reduction }, i) => i > 0 && reduction.weights !== undefined && reduction.weights.form !== "count");
    const tree = placed ? this.shape(1) : empty(chain);
    const keys = placed ? chain.levels.map((_, i) => this.keys(i)) : undefined;
    const fitted = fit(plain, tree, nan, accuracy, undefined, keys);
    const levels = fitted.levels.map((level, i) => (i === 0 ? { ...level, reduction: leafReduction(chain) } : level));
    return { ...fitted, levels };
  }

  /** The leaf at a path of keys, or −1. @throws FourfoldError ERR_FOURFOLD_KEYS for what is no such path */
  locate(path: readonly Key[]): number {
    // A path with what is no key leads nowhere, so it is looked at closely only then.
    if (Array.isArray(path) && path.length === this.paths.depth) {
      const leaf = this.paths.find(path);
      if (leaf >= 0) return leaf;
    }
    this.#read(0, path);
    return this.paths.find(this.#path);
  }

  /** What adding the leaf that was located last, and is not there, would break. @throws FourfoldError ERR_FOURFOLD_WEIGHTS, ERR_FOURFOLD_MEMORY */
  checkNew(more: number): void {
    const { paths, policy } = this;
    if (this.leaves + more > policy.leavesMax) throw this.#tooMany(this.leaves + more);
    for (let t = 1; t < this.#depths.length - 1 && this.#depths[t]! > paths.found; t++) {
      const level = this.chain.levels[t]!;
      const { weights } = level.reduction;
      const path = this.#path.slice(0, this.#depths[t]);
      if (weights?.form === "byKey") {
        const weight = weightAt(weights, path);
        if (weight === undefined || (policy.nan === "error" && weight !== weight))
          throw new FourfoldError(
            weight === undefined ? "ERR_FOURFOLD_WEIGHTS" : "ERR_FOURFOLD_NAN",
            `level "${level.name}": ${weight === undefined ? "no weight" : "the weight is NaN"} for the child (${path.map(show).join(", ")})`,
            { given: path, fix: "Give it one with setWeights(), or say { missing: 0 } or { missing: 1 }", at: { level: level.name } },
          );
      } else if (weights !== undefined && weights.form !== "count") throw fixed(level.name, "come", path);
    }
  }

  /** Adds the leaf that was located last; its value and weight are to be written. */
  add(): number {
    return this.#add(false);
  }

  /** What removing a leaf would break. @throws FourfoldError ERR_FOURFOLD_WEIGHTS */
  checkRemoval(leaf: number): void {
    const last = this.paths.lastDepth(leaf);
    for (let t = 1; t < this.#depths.length - 1 && this.#depths[t]! >= last; t++) {
      const level = this.chain.levels[t]!;
      const { weights } = level.reduction;
      if (weights !== undefined && weights.form !== "count" && weights.form !== "byKey")
        throw fixed(level.name, "go", this.paths.path(this.paths.depth, leaf).slice(0, this.#depths[t]));
    }
  }

  /** Gives the numbers of a leaf back, and those of the nodes that are gone with it. Nothing holds it any more. */
  remove(leaf: number): void {
    const { paths, tree } = this;
    const last = paths.lastDepth(leaf);
    for (const [t, depth] of this.#depths.entries()) if (depth >= last) tree.tiers[t]!.parent[paths.above(paths.depth, leaf, depth)] = -1;
    paths.remove(leaf, this.#generations[leaf]! < GENERATIONS_MAX - 1);
    this.#generations[leaf]!++;
  }

  count(tier: number): number {
    return this.paths.places(this.#depths[tier]!);
  }

  order(tier: number): Uint32Array {
    return this.paths.order(this.#depths[tier]!);
  }

  children(tier: number, node: number): number[] {
    const { tiers } = this.tree;
    return this.paths.sort(this.#depths[tier - 1]!, tiers[tier - 1]!.childrenOf(node, tiers[tier]!), this.#depths[tier]!);
  }

  path(tier: number, node: number): Key[] {
    return this.paths.path(this.#depths[tier]!, node);
  }

  find(tier: number, path: readonly Key[]): number {
    this.#read(tier, path);
    return this.paths.find(this.#path.slice(0, this.#depths[tier]));
  }

  shape(first: number): Tree {
    const { chain, tree } = this;
    const offsets = chain.levels.map((_, i) => {
      if (i < first) return undefined;
      const nodes = this.order(i + 1);
      const sizes = tree.tiers[i + 1]!.size;
      const list = new Uint32Array(nodes.length + 1);
      for (let n = 0; n < nodes.length; n++) list[n + 1] = list[n]! + sizes[nodes[n]!]!;
      return list;
    });
    const inside = chain.levels.slice(0, first).map((level) => emptyLevel(level.name));
    const outside: Chain = { levels: chain.levels.slice(first) };
    const outer = finish(readRagged(outside, offsets.slice(first) as Uint32Array[], this.count(first), "records"));
    return { form: "records", leaves: this.leaves, levels: [...inside, ...outer.levels], frames: this.frames };
  }

  keys(level: number): LevelKeys {
    const depth = this.#depths[level + 1]!;
    const names = this.paths.names.slice(0, depth);
    const columns = names.map((_, d): Key[] =>
      Array.from(this.order(level + 1), (node) => this.paths.key(d + 1, this.paths.above(depth, node, d + 1))),
    );
    return { names, columns };
  }

  handle(leaf: number): number {
    return LEAF_BITS * this.#generations[leaf]! + leaf;
  }

  leafOf(handle: number): number {
    const leaf = handle % LEAF_BITS;
    if (!(handle >= 0) || !this.tree.tiers[0]!.has(leaf)) return -1;
    return handle === LEAF_BITS * this.#generations[leaf]! + leaf ? leaf : -1;
  }

  /** Checks a path of a tier and keeps it. */
  #read(tier: number, path: readonly Key[]): void {
    const depth = this.#depths[tier]!;
    const { names } = this.paths;
    if (!Array.isArray(path) || path.length !== depth)
      throw new FourfoldError("ERR_FOURFOLD_KEYS", `the path is ${show(path)}, expected ${depth} keys`, {
        given: path,
        expected: names.slice(0, depth),
        fix: `A path here has the keys ${names.slice(0, depth).join(", ") || "(none)"}, outermost first`,
      });
    for (let d = 0; d < depth; d++) {
      const key: unknown = path[d];
      // Most keys are strings: they need no further look.
      this.#path[d] = typeof key === "string" ? key : checkKeyOf(key, names[d]!, undefined);
    }
  }

  /** Adds the path that was looked up last. While loading, nodes are attached at once. */
  #add(loading: boolean): number {
    const { paths, tree } = this;
    const found = paths.found;
    const leaf = paths.add(this.#path);
    for (let t = 0; t < this.#depths.length && this.#depths[t]! > found; t++) {
      const tier = tree.tiers[t]!;
      const node = paths.at[this.#depths[t]!]!;
      if (node >= tier.length) tree.grow(t, node + 1);
      const isOutermost = t === this.#depths.length - 1;
      tier.parent[node] = isOutermost ? 0 : paths.at[this.#depths[t + 1]!]!;
      if (isOutermost) continue;
      if (loading) this.#attach(t, node);
      else if (t > 0) this.#weigh(t, node);
    }
    this.#generations = grown(this.#generations, leaf + 1);
    return leaf;
  }

  #attach(tier: number, node: number): void {
    const { tiers } = this.tree;
    const parent = tiers[tier]!.parent[node]!;
    if (parent >= tiers[tier + 1]!.length) this.tree.grow(tier + 1, parent + 1);
    tiers[tier]!.attach(node, tiers[tier + 1]!);
  }

  /** Gives a new node its weight by key. */
  #weigh(tier: number, node: number): void {
    const { weights } = this.chain.levels[tier]!.reduction;
    if (weights?.form === "byKey") this.tree.levels[tier]!.weights.values[node] = weightAt(weights, this.path(tier, node))!;
  }

  #checkWeight(weight: number): number {
    if (this.policy.nan === "error" && weight !== weight)
      throw new FourfoldError("ERR_FOURFOLD_NAN", `level "${this.chain.levels[0]!.name}": the weight of a leaf is NaN`, {
        fix: 'Give a number, or use nan: "propagate"',
        at: { level: this.chain.levels[0]!.name },
      });
    return weight;
  }

  #tooMany(leaves: number): FourfoldError {
    return new FourfoldError("ERR_FOURFOLD_MEMORY", `the tree would have ${leaves} leaves, leavesMax is ${this.policy.leavesMax}`, {
      given: leaves,
      expected: this.policy.leavesMax,
      fix: "Raise leavesMax, or delete leaves first",
    });
  }
}

/** Level f without its weights, which come with the leaves. */
function withoutWeights(chain: Chain) {
  const reduction = leafReduction(chain);
  return reduction.weights === undefined ? reduction : sum();
}

function emptyLevel(name: string): TreeLevel {
  return { name, nodes: 0, children: 0, extent: 0, offsets: undefined };
}

/** A hierarchy without nodes. */
function empty(chain: Chain): Tree {
  return { form: "records", leaves: 0, levels: chain.levels.map(({ name }) => emptyLevel(name)), frames: [0] };
}

function fixed(level: string, what: "come" | "go", path: readonly Key[]): FourfoldError {
  return new FourfoldError(
    "ERR_FOURFOLD_WEIGHTS",
    `level "${level}": its weights go by place, so no node below it can ${what}, and (${path.map(show).join(", ")}) would`,
    { given: path, fix: 'Weigh it by key: setWeights(level, { byKey: … }), or by "count"', at: { level } },
  );
}
