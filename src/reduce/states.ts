/**
 * The states of all open nodes of level f, by the number of the node: what a built-in reduction keeps of children without an order.
 * reduce/state.ts holds the same for one node; docs/state-format.md says how they are written.
 */
import type { ByteReader, ByteWriter } from "./bytes.ts";
import { EXACT_BYTES_MIN, readExact, writeExact } from "./encode.ts";
import type { ExactSum } from "./exact.ts";
import { exactValue, extremeOf, hasSecond, type StateRules } from "./state.ts";
import { ExactSums } from "./sums.ts";

/** States of nodes 0 … n − 1, all under one reduction. */
export interface NodeStates {
  /** Bytes that the smallest state takes. */
  readonly bytesMin: number;
  /** Makes states up to `nodes`; the new ones have no children. */
  grow(nodes: number): void;
  /** Adds a child that is not skipped. */
  add(node: number, x: number, w: number): void;
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
  return rules.kind === "min" || rules.kind === "max" ? new ExtremeStates(rules.kind) : new SumStates(rules);
}

/** Exact sums: Σ x or Σ w·x, for `count` Σ 1; beside it Σ w of a weighted mean, Σ x² of a variance. */
class SumStates implements NodeStates {
  readonly #rules: StateRules;
  readonly #main = new ExactSums();
  readonly #second: ExactSums | undefined;

  constructor(rules: StateRules) {
    this.#rules = rules;
    this.#second = hasSecond(rules.kind) ? new ExactSums() : undefined;
  }

  get bytesMin(): number {
    return this.#second === undefined ? EXACT_BYTES_MIN : 2 * EXACT_BYTES_MIN;
  }

  grow(nodes: number): void {
    this.#main.grow(nodes);
    this.#second?.grow(nodes);
  }

  add(node: number, x: number, w: number): void {
    switch (this.#rules.kind) {
      case "weightedMean":
        this.#main.addProduct(node, w, x);
        this.#second!.add(node, w);
        break;
      case "weightedSum":
        this.#main.addProduct(node, w, x);
        break;
      case "variance":
        this.#main.add(node, x);
        this.#second!.addProduct(node, x, x);
        break;
      case "count":
        this.#main.add(node, 1);
        break;
      default:
        this.#main.add(node, x);
    }
  }

  merge(node: number, from: SumStates, other: number): void {
    this.#main.merge(node, from.#main.sum(other));
    this.#second?.merge(node, from.#second!.sum(other));
  }

  items(node: number): number {
    return this.#main.items(node);
  }

  value(node: number): number {
    return exactValue(this.#rules, this.#main.sum(node), this.#second?.sum(node));
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
