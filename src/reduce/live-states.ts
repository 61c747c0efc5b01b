/**
 * What the nodes of one level of a live tree hold of their children, so that one child can change without a look at the others: exact sums,
 * which take children out again (contract clause 14), or, where the reduction is the user's, nothing. reduce/live-extremes.ts and
 * live-lanes.ts hold the rest. Nodes, and children, are numbered; of a chain with several outputs each has its own number for each.
 */
import type { StateRules } from "./state.ts";
import { SumStates } from "./states.ts";

/** See the head of this file. Children that are skipped are not told. */
export interface LiveStates {
  /** Bytes of memory held, estimated. */
  readonly bytes: number;
  /** Makes room for nodes and children with numbers below these. */
  grow(nodes: number, children: number): void;
  /** A child comes, with its value and weight. */
  put(node: number, child: number, x: number, w: number): void;
  /** A child goes. */
  take(node: number, child: number, x: number, w: number): void;
  /** A child's value or weight changes. */
  swap(node: number, child: number, x0: number, w0: number, x1: number, w1: number): void;
  /** The node's value. A user's reduction throws here what its functions throw, as ERR_FOURFOLD_REDUCTION. */
  value(node: number): number;
}

/** Bytes of an exact sum (reduce/sums.ts). */
const SUM_BYTES = 32;

/** Exact sums. */
export class LiveSums implements LiveStates {
  readonly #states: SumStates;
  readonly #sums: number;
  #nodes = 0;

  constructor(rules: StateRules) {
    this.#states = new SumStates(rules);
    this.#sums = rules.kind === "weightedMean" || rules.kind === "variance" ? 2 : 1;
  }

  get bytes(): number {
    return SUM_BYTES * this.#sums * this.#nodes;
  }

  grow(nodes: number): void {
    this.#nodes = Math.max(this.#nodes, nodes);
    this.#states.grow(nodes);
  }

  put(node: number, _child: number, x: number, w: number): void {
    this.#states.add(node, x, w);
  }

  take(node: number, _child: number, x: number, w: number): void {
    this.#states.subtract(node, x, w);
  }

  swap(node: number, _child: number, x0: number, w0: number, x1: number, w1: number): void {
    this.#states.exchange(node, x0, w0, x1, w1);
  }

  value(node: number): number {
    return this.#states.value(node);
  }
}

/** Nothing: a node is reduced again from its children's values. */
export class LiveUser implements LiveStates {
  readonly bytes = 0;
  readonly #reduce: (node: number) => number;

  constructor(reduce: (node: number) => number) {
    this.#reduce = reduce;
  }

  grow(): void {}

  put(): void {}

  take(): void {}

  swap(): void {}

  value(node: number): number {
    return this.#reduce(node);
  }
}
