/** The level-f states of some nodes of a {@link KeySpace}: those that had records in one slice, or in one window. */
import { FourfoldError } from "../errors.ts";
import type { ByteReader, ByteWriter } from "../reduce/bytes.ts";
import type { NodeStates } from "../reduce/states.ts";
import { SumStates } from "../reduce/states.ts";
import { IntSet } from "./int-tables.ts";
import { SKIPPED } from "./key-space.ts";

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
  /** Room for the places of rows, which all stores share. */
  places: Int32Array;
}

/** Nodes that there is room for from the start: small windows come by the thousand, and each array that grows costs a microsecond. */
const ROOM = 8;

/** See the head of this file. */
export class NodeStore {
  readonly #rules: StoreRules;
  readonly states: NodeStates;
  #nodes = new IntSet();
  /** Records of each node, skipped ones included. */
  #records = new Float64Array(ROOM);
  #all = 0;
  /** Places that have records. */
  #live = 0;

  constructor(rules: StoreRules) {
    this.#rules = rules;
    this.states = rules.states();
    if (this.states instanceof SumStates) this.states.reserve(ROOM);
  }

  /** Records, skipped ones included. */
  get records(): number {
    return this.#all;
  }

  /** Places of nodes; where records were taken out, some may be empty. */
  get places(): number {
    return this.#nodes.size;
  }

  /** How many nodes have records. */
  get nodes(): number {
    return this.#live;
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
    if (this.#rules.places.length < to) this.#rules.places = new Int32Array(nodes.length);
    const { places } = this.#rules;
    for (let row = from; row < to; row++) {
      const node = nodes[row]!;
      places[row] = node;
      if (node < 0) continue;
      const place = this.#place(node);
      if (this.#records[place]!++ === 0) this.#live++;
      this.#all++;
      const x = values[row]!;
      places[row] = skip && x !== x ? SKIPPED : place;
    }
    this.states.addAll(places, values, weights, from, to);
  }

  /** Adds all that another store holds. */
  merge(other: NodeStore): void {
    for (let theirs = 0; theirs < other.places; theirs++) {
      const records = other.#records[theirs]!;
      if (records === 0) continue;
      const place = this.#place(other.node(theirs));
      if (this.#records[place] === 0) this.#live++;
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
      if (this.#records[place] === 0) this.#live--;
      this.states.unmerge(place, other.states, theirs);
    }
    this.#all -= other.#all;
  }

  /** The nodes that have records. */
  live(): Int32Array {
    const nodes = new Int32Array(this.#live);
    for (let place = 0, n = 0; place < this.places; place++) if (this.#records[place]! > 0) nodes[n++] = this.node(place);
    return nodes;
  }

  /** Nodes have other numbers now. */
  renumber(numbers: Int32Array): void {
    this.#nodes = this.#nodes.mapped(numbers);
  }

  /** Writes the nodes that have records and their states, in the order of `numbers`, which says for each node how it is called there. */
  write(to: ByteWriter, numbers: ReadonlyMap<number, number>): void {
    const named = Array.from(this.live(), (node): [number, number] => [numbers.get(node)!, this.find(node)]);
    named.sort(([a], [b]) => a - b);
    to.unsigned(named.length);
    for (const [number, place] of named) {
      to.unsigned(number);
      to.unsigned(this.#records[place]!);
      this.states.write(to, place);
    }
  }

  /** Reads what {@link NodeStore.write} wrote into an empty store. @throws FourfoldError ERR_FOURFOLD_STATE */
  read(from: ByteReader, nodes: Int32Array): void {
    let previous = -1;
    for (let left = from.count(2 + this.states.bytesMin); left > 0; left--) {
      const number = from.unsigned();
      if (number <= previous || number >= nodes.length) from.fail(`has node ${number} of ${nodes.length} after node ${previous}`);
      previous = number;
      const place = this.#add(nodes[number]!);
      const records = from.unsigned();
      this.states.read(from, place);
      const items = this.states.items(place);
      if (records === 0 || (this.#rules.skip ? items > records : items !== records))
        from.fail(`has a node of ${records} records with ${items} in its state`);
      this.#records[place] = records;
      this.#all += records;
      this.#live++;
    }
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
