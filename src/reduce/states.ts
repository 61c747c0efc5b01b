/**
 * States by the number of the node: what a built-in reduction keeps of children without an order. Those of linear reductions and of the
 * variance are exact sums, which children can be taken out of again; extremes only grow. docs/state-format.md says how they are written.
 */
import type { ByteReader, ByteWriter } from "./bytes.ts";
import { EXACT_BYTES_MIN, readExact, writeExact } from "./encode.ts";
import { ExactSum, exactQuotient, exactVariance } from "./exact.ts";
import { quotient } from "./node.ts";
import { extremeOf, isExactKind, type StateRules } from "./state.ts";
import { ExactSums } from "./sums.ts";

/** States of nodes 0 … n − 1, all under one reduction. */
export interface NodeStates {
  /** Bytes that the smallest state takes. */
  readonly bytesMin: number;
  /** Makes states up to `nodes`; the new ones have no children. */
  grow(nodes: number): void;
  /** Adds a child that is not skipped. */
  add(node: number, x: number, w: number): void;
  /** Adds children `from` to `to`, each to its node; none where that is negative. Each weighs 1 where there are no weights. */
  addAll(nodes: Int32Array, values: ArrayLike<number>, weights: ArrayLike<number> | undefined, from: number, to: number): void;
  /** Adds all children of a node of another store. */
  merge(node: number, from: this, other: number): void;
  /** Children of a node. */
  items(node: number): number;
  /** The node's value as if it closed now. */
  value(node: number): number;
  write(to: ByteWriter, node: number): void;
  /** Reads what `write` wrote into an empty node. */
  read(from: ByteReader, node: number): void;
}

/** The states of a built-in reduction. */
export function nodeStates(rules: StateRules): NodeStates {
  const { kind } = rules;
  return isExactKind(kind) ? new SumStates(rules) : new ExtremeStates(kind);
}

/** Exact sums: Σ x or Σ w·x, for `count` Σ 1; beside it Σ w of a weighted mean, Σ x² of a variance. */
export class SumStates implements NodeStates {
  readonly #rules: StateRules;
  readonly #main = new ExactSums();
  readonly #second: ExactSums | undefined;

  constructor(rules: StateRules) {
    this.#rules = rules;
    this.#second = rules.kind === "weightedMean" || rules.kind === "variance" ? new ExactSums() : undefined;
  }

  get bytesMin(): number {
    return this.#second === undefined ? EXACT_BYTES_MIN : 2 * EXACT_BYTES_MIN;
  }

  /** Makes room for nodes at one go, where none are yet. */
  reserve(nodes: number): void {
    this.#main.reserve(nodes);
    this.#second?.reserve(nodes);
  }

  grow(nodes: number): void {
    this.#main.grow(nodes);
    this.#second?.grow(nodes);
  }

  add(node: number, x: number, w: number): void {
    this.#change(node, x, w, true);
  }

  addAll(nodes: Int32Array, values: ArrayLike<number>, weights: ArrayLike<number> | undefined, from: number, to: number): void {
    const { kind } = this.#rules;
    const isWeighted = kind === "weightedSum" || kind === "weightedMean";
    if (kind === "count" || (isWeighted && weights === undefined)) {
      addEach(this, nodes, values, weights, from, to);
      return;
    }
    if (isWeighted) this.#main.addAllProducts(nodes, weights!, values, from, to);
    else this.#main.addAll(nodes, values, from, to);
    if (kind === "weightedMean") this.#second!.addAll(nodes, weights!, from, to);
    else if (kind === "variance") this.#second!.addAllProducts(nodes, values, values, from, to);
  }

  /** Takes a child out that was added. */
  subtract(node: number, x: number, w: number): void {
    this.#change(node, x, w, false);
  }

  /** Takes a child out that was added, and adds another. */
  exchange(node: number, x0: number, w0: number, x1: number, w1: number): void {
    const { kind } = this.#rules;
    if (kind === "sum" || kind === "mean") this.#main.exchange(node, x0, x1);
    else {
      this.#change(node, x0, w0, false);
      this.#change(node, x1, w1, true);
    }
  }

  merge(node: number, from: SumStates, other: number): void {
    this.#main.mergeFrom(node, from.#main, other);
    this.#second?.mergeFrom(node, from.#second!, other);
  }

  /** Takes out all children of a node of another store, which were merged in. */
  unmerge(node: number, from: SumStates, other: number): void {
    this.#main.unmergeFrom(node, from.#main, other);
    this.#second?.unmergeFrom(node, from.#second!, other);
  }

  items(node: number): number {
    return this.#main.items(node);
  }

  value(node: number): number {
    const { kind, ddof, quotient: division } = this.#rules;
    const main = this.#main;
    const second = this.#second;
    if (kind === "variance") return exactVariance(main.items(node), ddof, main.sum(node), second!.sum(node));
    if (kind !== "mean" && kind !== "weightedMean") return main.value(node);
    if (division === "rounded") return quotient(main.value(node), second ? second.value(node) : main.items(node));
    return exactQuotient(main.sum(node), second ? second.sum(node) : ExactSum.of([main.items(node)], 1));
  }

  write(to: ByteWriter, node: number): void {
    writeExact(to, this.#main.sum(node));
    if (this.#second) writeExact(to, this.#second.sum(node));
  }

  read(from: ByteReader, node: number): void {
    const main = readChildren(from);
    if (this.#rules.kind === "count" && main.value() !== main.items) from.fail("has a count that is not the number of its items");
    this.#main.merge(node, main);
    if (this.#second === undefined) return;
    const second = readChildren(from);
    if (second.items !== main.items) from.fail(`has a node with ${main.items} and ${second.items} items in its two sums`);
    this.#second.merge(node, second);
  }

  #change(node: number, x: number, w: number, adds: boolean): void {
    const { kind } = this.#rules;
    const main = this.#main;
    if (kind === "weightedSum" || kind === "weightedMean") {
      if (adds) main.addProduct(node, w, x);
      else main.subtractProduct(node, w, x);
    } else {
      const term = kind === "count" ? 1 : x;
      if (adds) main.add(node, term);
      else main.subtract(node, term);
    }
    if (this.#second === undefined) return;
    if (kind === "weightedMean") {
      if (adds) this.#second.add(node, w);
      else this.#second.subtract(node, w);
    } else if (adds) this.#second.addProduct(node, x, x);
    else this.#second.subtractProduct(node, x, x);
  }
}

/** Adds children one by one: what {@link NodeStates.addAll} does where nothing is faster. */
export function addEach(
  states: Pick<NodeStates, "add">,
  nodes: Int32Array,
  values: ArrayLike<number>,
  weights: ArrayLike<number> | undefined,
  from: number,
  to: number,
): void {
  for (let i = from; i < to; i++) {
    const node = nodes[i]!;
    if (node >= 0) states.add(node, values[i]!, weights === undefined ? 1 : weights[i]!);
  }
}

/** An exact sum that children may have made: only in others is a count negative, or more counted than there are items. */
function readChildren(from: ByteReader): ExactSum {
  const sum = readExact(from);
  const { m, nan, positiveInfinity, negativeInfinity, items } = sum.parts();
  const special = nan + positiveInfinity + negativeInfinity;
  if (Math.min(nan, positiveInfinity, negativeInfinity) < 0 || special > items || (m !== 0n && special === items))
    from.fail("has a node whose counts are not those of any children");
  return sum;
}

/** Extremes with the number of children, which may be 0. They only grow. */
class ExtremeStates implements NodeStates {
  readonly bytesMin = 1;
  readonly #kind: "min" | "max";
  readonly #extremes: number[] = [];
  readonly #items: number[] = [];

  constructor(kind: "min" | "max") {
    this.#kind = kind;
  }

  grow(nodes: number): void {
    while (this.#items.length < nodes) {
      this.#extremes.push(Number.NaN);
      this.#items.push(0);
    }
  }

  add(node: number, x: number, _w: number): void {
    this.#take(node, x, 1);
  }

  addAll(nodes: Int32Array, values: ArrayLike<number>, weights: ArrayLike<number> | undefined, from: number, to: number): void {
    addEach(this, nodes, values, weights, from, to);
  }

  merge(node: number, from: ExtremeStates, other: number): void {
    const items = from.#items[other]!;
    if (items > 0) this.#take(node, from.#extremes[other]!, items);
  }

  items(node: number): number {
    return this.#items[node]!;
  }

  value(node: number): number {
    return this.#extremes[node]!;
  }

  write(to: ByteWriter, node: number): void {
    to.unsigned(this.#items[node]!);
    if (this.#items[node]! > 0) to.float(this.#extremes[node]!);
  }

  read(from: ByteReader, node: number): void {
    const items = from.unsigned();
    if (items > 0) this.#take(node, from.float(), items);
  }

  #take(node: number, x: number, items: number): void {
    this.#extremes[node] = this.#items[node] === 0 ? extremeOf(this.#kind, x, x) : extremeOf(this.#kind, this.#extremes[node]!, x);
    this.#items[node]! += items;
  }
}
