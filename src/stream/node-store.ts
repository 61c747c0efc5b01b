/** The level-f states of some nodes of a {@link KeySpace}: those that had records in one slice, or in one window. */
import { FourfoldError } from "../errors.ts";
import type { NodeStates } from "../reduce/states.ts";
import { SumStates } from "../reduce/states.ts";
import { IntSet } from "./int-tables.ts";

/** How many nodes all stores of a stream hold, and may. */
export interface NodeBudget {
  held: number;
  readonly most: number;
}

/** What a store needs beside its records. */
export interface StoreRules {
  /** Makes empty states. */
  readonly states: () => NodeStates;
  /** Whether records with the value NaN have no effect. */
  readonly skip: boolean;
  readonly budget: NodeBudget;
}

/** See the head of this file. */
export class NodeStore {
  readonly #rules: StoreRules;
  readonly states: NodeStates;
  readonly #nodes = new IntSet();
  /** Records of each node, skipped ones included. */
  #records = new Float64Array(8);
  #all = 0;

  constructor(rules: StoreRules) {
    this.#rules = rules;
    this.states = rules.states();
  }

  /** Records, skipped ones included. */
  get records(): number {
    return this.#all;
  }

  /** Places of nodes; where records were taken out, some may be empty. */
  get places(): number {
    return this.#nodes.size;
  }

  /** The place of a node, or −1. */
  find(node: number): number {
    return this.#nodes.find(node);
  }

  /** The node at a place. */
  node(place: number): number {
    return this.#nodes.at(place);
  }

  /** Records at a place, skipped ones included. */
  recordsAt(place: number): number {
    return this.#records[place]!;
  }

  /** Makes a place for a node, without records. */
  ensure(node: number): void {
    this.#place(node);
  }

  /** Adds rows `from` to `to`, less those whose node is negative. */
  add(nodes: Int32Array, values: ArrayLike<number>, weights: ArrayLike<number> | undefined, from: number, to: number): void {
    const { skip } = this.#rules;
    const { states } = this;
    for (let row = from; row < to; row++) {
      const node = nodes[row]!;
      if (node < 0) continue;
      const place = this.#place(node);
      this.#records[place]! += 1;
      this.#all++;
      const x = values[row]!;
      if (!skip || x === x) states.add(place, x, weights === undefined ? 1 : weights[row]!);
    }
  }

  /** Adds all that another store holds. */
  merge(other: NodeStore): void {
    for (let theirs = 0; theirs < other.places; theirs++) {
      const records = other.#records[theirs]!;
      if (records === 0) continue;
      const place = this.#place(other.node(theirs));
      this.#records[place]! += records;
      this.states.merge(place, other.states, theirs);
    }
    this.#all += other.#all;
  }

  /** Takes out all that another store holds, which was merged in. Only for reductions whose states are exact sums. */
  unmerge(other: NodeStore): void {
    if (!(this.states instanceof SumStates && other.states instanceof SumStates)) return;
    for (let theirs = 0; theirs < other.places; theirs++) {
      const records = other.#records[theirs]!;
      if (records === 0) continue;
      const place = this.#place(other.node(theirs));
      this.#records[place]! -= records;
      this.states.unmerge(place, other.states, theirs);
    }
    this.#all -= other.#all;
  }

  /** The nodes that have records. */
  live(): Int32Array {
    const nodes = new Int32Array(this.places);
    let n = 0;
    for (let place = 0; place < this.places; place++) if (this.#records[place]! > 0) nodes[n++] = this.node(place);
    return nodes.subarray(0, n);
  }

  /** Gives the room of its nodes back. */
  drop(): void {
    this.#rules.budget.held -= this.places;
  }

  #place(node: number): number {
    const known = this.#nodes.find(node);
    return known >= 0 ? known : this.#add(node);
  }

  #add(node: number): number {
    const { budget } = this.#rules;
    if (budget.held === budget.most)
      throw new FourfoldError("ERR_FOURFOLD_MEMORY", `the open windows have ${budget.held} nodes, window.nodesMax is ${budget.most}`, {
        expected: budget.most,
        fix: "Raise window.nodesMax, make windows or lateness shorter, or use fewer keys",
      });
    budget.held++;
    const place = this.#nodes.add(node);
    if (place === this.#records.length) {
      const records = new Float64Array(2 * place);
      records.set(this.#records);
      this.#records = records;
    }
    this.states.grow(place + 1);
    return place;
  }
}
