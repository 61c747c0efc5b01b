/**
 * The open nodes of level f of a chain over records: its partial state (contract clause 4). Records go in, in any order and any cut;
 * other partial states are merged in; what is held depends on neither. Nothing above level f is reduced before the end.
 */
import { FourfoldError } from "../errors.ts";
import type { TypedData } from "../types.ts";
import type { ByteReader, ByteWriter } from "./bytes.ts";
import type { Chain } from "./chain.ts";
import { type Grouping, groupRecords, type LevelKeys } from "./group.ts";
import type { Key, KeyColumn } from "./key.ts";
import { type KeyLayout, leafReduction, type Policy } from "./layout.ts";
import { asChildren, levelFAsSum, reduceLevels } from "./levels.ts";
import { refuseNaN } from "./nan.ts";
import { checkKey, Paths, readColumns, writeColumns } from "./paths.ts";
import { type Reduction, weightedMean, weightedSum } from "./reductions.ts";
import { type Fitted, fit } from "./resolve.ts";
import type { LevelValues } from "./result.ts";
import type { RunLevels } from "./result-levels.ts";
import { finish } from "./slices.ts";
import { type NodeStates, nodeStates } from "./states.ts";
import { UserStates } from "./user-states.ts";
import type { NumberList, Weights } from "./weights.ts";

/** Records in groups, ready to be added: nothing about them can be wrong any more. */
export interface GroupedBatch {
  readonly grouping: Grouping;
  /** By leaf. */
  readonly values: Float64Array;
  /** By leaf; undefined where level f is not weighted. */
  readonly weights: Float64Array | undefined;
}

/** What closing gives: the values of the kept levels, and how many records are in them, skipped ones included. */
export type ClosedNodes = Omit<RunLevels, "leaves"> & {
  readonly records: number;
  readonly outermost: LevelValues;
  readonly outputs: number | undefined;
  /** The weights that records brought for the children of outer levels, by level; undefined where they bring none. */
  readonly childWeights?: ReadonlyMap<string, Weights> | undefined;
};

/** All levels of a fitted chain, innermost first, as closed nodes. */
export function closedNodes(
  { tree, outputs, levels: weighing }: Fitted,
  keys: readonly LevelKeys[],
  all: readonly LevelValues[],
  kept: readonly boolean[],
  records: number,
): ClosedNodes {
  const values = all.map((level, i) => (kept[i] ? level : undefined));
  return { tree, values, keys, order: undefined, weighing, records, outermost: all.at(-1)!, outputs };
}

/** See the head of this file. */
export class OpenNodes {
  readonly #chain: Chain;
  readonly #keys: KeyLayout;
  readonly #policy: Policy;
  readonly #paths: Paths;
  readonly #states: NodeStates;
  #skipped = 0;

  constructor(chain: Chain, keys: KeyLayout, policy: Policy) {
    this.#chain = chain;
    this.#keys = keys;
    this.#policy = policy;
    this.#paths = new Paths(keys.depths[0]!);
    this.#states = statesOf(chain, policy);
    this.#states.grow(this.#paths.nodes);
  }

  get nodes(): number {
    return this.#paths.nodes;
  }

  /** True if any record was added, skipped ones included. */
  get holdsRecords(): boolean {
    return this.#skipped > 0 || (this.#paths.depth > 0 ? this.nodes > 0 : this.items > 0);
  }

  /** Records that were skipped because their value is NaN. */
  get skipped(): number {
    return this.#skipped;
  }

  /** Records that were not. */
  get items(): number {
    let items = 0;
    for (let node = 0; node < this.nodes; node++) items += this.#states.items(node);
    return items;
  }

  add({ grouping: { tree, keys }, values, weights }: GroupedBatch): void {
    const skip = this.#policy.nan === "skip";
    const { columns } = keys[0]!;
    const { nodes, offsets, extent } = tree.levels[0]!;
    for (let group = 0; group < nodes; group++) {
      const node = this.#paths.node(columns.map((column) => column[group]!));
      this.#states.grow(this.nodes);
      const start = offsets ? offsets[group]! : group * extent!;
      const end = offsets ? offsets[group + 1]! : start + extent!;
      for (let leaf = start; leaf < end; leaf++) {
        const x = values[leaf]!;
        if (skip && x !== x) this.#skipped++;
        else this.#states.add(node, x, weights ? weights[leaf]! : 1);
      }
    }
  }

  /** Adds all that another state under the same layout holds. */
  merge(other: OpenNodes): void {
    const keys = other.#paths.keys();
    for (let theirs = 0, n = other.nodes; theirs < n; theirs++) {
      const node = this.#paths.node(keys.map((column) => column[theirs]!));
      this.#states.grow(this.nodes);
      this.#states.merge(node, other.#states, theirs);
    }
    this.#skipped += other.#skipped;
  }

  /** Closes all nodes and reduces the levels above them. The state stays as it is. */
  close(kept: readonly boolean[]): ClosedNodes {
    const { nodes } = this;
    const { names, depths } = this.#keys;
    const { nan, accuracy } = this.#policy;
    const columns = Object.fromEntries(this.#paths.keys().map((keys, i) => [names[i]!, keys]));
    // Each node stands for its records: one "record" at level f.
    const { tree, keys, order } = finish(groupRecords(this.#chain, nodes, columns, depths, "group"));
    const fitted = fit(levelFAsSum(this.#chain), tree, nan, accuracy, undefined, keys);
    const values = Float64Array.from(order, (node) => this.#states.value(node));
    const records = Float64Array.from(order, (node) => this.#states.items(node));
    const inner: LevelValues = { values, outputs: 1, records };
    const all = [inner, ...reduceLevels(fitted, 1, asChildren(inner, nan))];
    return closedNodes(fitted, keys, all, kept, this.items + this.#skipped);
  }

  /** Writes the skipped records, the keys of each column, then node by node, in order of key, its path and its state. */
  write(to: ByteWriter): void {
    to.unsigned(this.#skipped);
    const { columns, places, order } = this.#paths.sorted();
    writeColumns(to, columns);
    to.unsigned(order.length);
    for (const node of order) {
      for (const column of places) to.unsigned(column[node]!);
      this.#states.write(to, node);
    }
  }

  /** Reads what {@link OpenNodes.write} wrote into an empty state. @throws FourfoldError ERR_FOURFOLD_STATE unless it is in its one form */
  read(from: ByteReader, nodesMax: number): void {
    this.#skipped = from.unsigned();
    if (this.#skipped > 0 && this.#policy.nan !== "skip") from.fail(`has skipped records under nan "${this.#policy.nan}"`);
    const { depth } = this.#paths;
    const columns = readColumns(from, depth);
    const used = columns.map((keys) => new Uint8Array(keys.length));
    const nodes = from.count(depth + this.#states.bytesMin);
    if (nodes > nodesMax) throw tooManyNodes(nodes, nodesMax);
    if (depth === 0 && nodes !== 1) from.fail(`has ${nodes} nodes without keys, expected 1`);
    let previous: readonly number[] | undefined;
    for (let i = 0; i < nodes; i++) {
      const path = columns.map((keys, column) => {
        const place = from.unsigned();
        if (place >= keys.length) from.fail(`has a node with key ${place} of ${keys.length}`);
        used[column]![place] = 1;
        return place;
      });
      if (previous !== undefined && !isBefore(previous, path)) from.fail("has nodes that are not sorted");
      previous = path;
      const node = this.#paths.node(path.map((place, column): Key => columns[column]![place]!));
      this.#states.grow(this.nodes);
      this.#states.read(from, node);
    }
    if (used.some((column) => column.includes(0))) from.fail("has keys of no node");
  }
}

/** Empty states of level f of a chain over records. @throws FourfoldError ERR_FOURFOLD_REDUCTION for a user's that needs an order or has no bytes */
export function statesOf(chain: Chain, { nan, accuracy }: Policy): NodeStates {
  const { kind, ddof = 0, user } = leafReduction(chain);
  if (kind === "user") return new UserStates(user!, chain.levels[0]!.name);
  return nodeStates({ kind, ddof, quotient: accuracy === "exact" ? "real" : "rounded", skip: nan === "skip" });
}

function isBefore(a: readonly number[], b: readonly number[]): boolean {
  const column = a.findIndex((place, i) => place !== b[i]);
  return column >= 0 && a[column]! < b[column]!;
}

function tooManyNodes(nodes: number, nodesMax: number): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_STATE", `the state has ${nodes} nodes, nodesMax is ${nodesMax}`, {
    given: nodes,
    expected: nodesMax,
    fix: "Raise nodesMax if you trust where the state comes from",
  });
}

/** A batch of records as it comes. */
export interface Batch {
  readonly values: TypedData;
  readonly columns: Readonly<Record<string, KeyColumn>>;
  readonly weights: NumberList | undefined;
}

/** Groups a batch for level f of a chain and checks it. @throws FourfoldError for keys, weights and NaN, as a run does */
export function groupBatch(chain: Chain, { depths }: KeyLayout, { nan, accuracy, nullKeys }: Policy, batch: Batch): GroupedBatch {
  const { values, columns, weights } = batch;
  const level = { name: chain.levels[0]!.name, reduction: weighedBy(leafReduction(chain), weights, chain.levels[0]!.name) };
  const leaf: Chain = { levels: [level] };
  const grouping = finish(groupRecords(leaf, values.length, columns, [depths[0]!], nullKeys));
  const { order, keys } = grouping;
  const fitted = fit(leaf, grouping.tree, nan, accuracy, { order, records: values.length }).levels[0]!.weights;
  const ordered = Float64Array.from(order, (record) => values[record]!);
  if (nan === "error") finish(refuseNaN(level.name, ordered, order));
  keys[0]!.columns.forEach((column, i) => {
    for (const key of column) checkKey(key, keys[0]!.names[i]!);
  });
  return { grouping, values: ordered, weights: fitted.form === "perNode" ? fitted.values : undefined };
}

/** A reduction with the weights of one batch. */
function weighedBy(reduction: Reduction, weights: NumberList | undefined, level: string): Reduction {
  const isWeighted = reduction.weights !== undefined;
  if (isWeighted === (weights !== undefined))
    return !isWeighted ? reduction : { weightedSum, weightedMean }[reduction.kind as "weightedSum"]({ perNode: weights! });
  throw new FourfoldError(
    "ERR_FOURFOLD_WEIGHTS",
    `level "${level}" is a ${reduction.name}, and the records ${isWeighted ? "have no" : "have"} weights`,
    {
      given: weights,
      fix: isWeighted
        ? "Give { values, keys, weights }, one weight for each record"
        : "Leave them out, or make the level a weightedSum or weightedMean",
      at: { level },
    },
  );
}
