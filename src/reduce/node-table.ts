/**
 * The innermost nodes of a part of the keys, by the words of their paths (key-words.ts): records come in any order, each is added to the exact
 * state of its node (contract clause 3), and at the end the nodes close in order of key. Memory grows with nodes, never with records.
 */
import type { StateRules } from "./state.ts";
import { type NodeStates, nodeStates } from "./states.ts";

/** Some records: column by column, `n` of each. */
export interface RecordBatch {
  readonly n: number;
  readonly words: readonly Float64Array[];
  readonly values: ArrayLike<number>;
  readonly weights: ArrayLike<number> | undefined;
  /** Weights of outer levels, which must be the same for all records of a child there. */
  readonly constants: readonly Float64Array[];
}

/** Closed nodes in order of key. */
export interface ClosedBatch {
  readonly n: number;
  readonly words: readonly Float64Array[];
  readonly values: Float64Array;
  /** The records of each that were not skipped. */
  readonly records: Float64Array;
  /** The least and the greatest weight of each; NaN is the greatest. */
  readonly lows: readonly Float64Array[];
  readonly highs: readonly Float64Array[];
}

/** Places in the table for each node, so that searches stay short. */
const SLOTS_PER_NODE = 2;
/** Nodes that a new table has room for. */
const NODES_FIRST = 1024;

/** See the head of this file. */
export class NodeTable {
  readonly #words: Float64Array[];
  readonly #lows: Float64Array[];
  readonly #highs: Float64Array[];
  readonly #rules: StateRules;
  readonly #states: NodeStates;
  readonly #nodesMax: number;
  #slots: Int32Array = new Int32Array(SLOTS_PER_NODE * NODES_FIRST).fill(-1);
  #room: number = NODES_FIRST;
  #nodes = 0;
  #groups: Int32Array = new Int32Array(0);
  /** Nodes whose weights of outer levels have been met. */
  #met = 0;

  /** @param words of each path  @param constants weights of outer levels that records bring  @param nodesMax at which `add` gives up */
  constructor(rules: StateRules, words: number, constants: number, nodesMax: number) {
    this.#rules = rules;
    this.#states = nodeStates(rules);
    this.#nodesMax = nodesMax;
    const columns = (count: number): Float64Array[] => Array.from({ length: count }, () => new Float64Array(NODES_FIRST));
    this.#words = columns(words);
    this.#lows = columns(constants);
    this.#highs = columns(constants);
  }

  get nodes(): number {
    return this.#nodes;
  }

  /** Makes the one node of paths without keys. */
  openOnly(): void {
    if (this.#nodes > 0) return;
    this.#nodes = 1;
    for (const column of [...this.#lows, ...this.#highs]) column[0] = Number.NaN;
  }

  /** Adds records. False where they have more nodes than the table may hold: it is then of no more use. */
  add(batch: RecordBatch): boolean {
    const { n, words, values, weights, constants } = batch;
    if (this.#groups.length < n) this.#groups = new Int32Array(n);
    const groups = this.#groups;
    if (words.length === 0) {
      this.openOnly();
      groups.fill(0, 0, n);
    } else {
      if (this.#room < this.#nodes + n) this.#enlarge(this.#nodes + n); // each record may be a node of its own
      this.#nodes = findAll(this.#slots, this.#words, this.#nodes, words, groups, 0, n);
    }
    if (this.#nodes > this.#nodesMax) return false;
    for (let c = 0; c < constants.length; c++) widen(this.#lows[c]!, this.#highs[c]!, groups, constants[c]!, n, this.#met);
    this.#met = this.#nodes;
    this.#states.grow(this.#nodes);
    if (this.#rules.skip) leaveOut(groups, values, n);
    this.#states.addAll(groups, values, weights, 0, n);
    return true;
  }

  /** Closes all nodes; the table is then of no more use. */
  close(): ClosedBatch {
    const n = this.#nodes;
    const order = this.#order();
    this.#states.grow(n);
    const values = new Float64Array(n);
    const records = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      values[i] = this.#states.value(order[i]!);
      records[i] = this.#states.items(order[i]!);
    }
    const inOrder = (column: Float64Array): Float64Array => {
      const sorted = new Float64Array(n);
      for (let i = 0; i < n; i++) sorted[i] = column[order[i]!]!;
      return sorted;
    };
    return { n, words: this.#words.map(inOrder), values, records, lows: this.#lows.map(inOrder), highs: this.#highs.map(inOrder) };
  }

  #order(): Int32Array {
    const n = this.#nodes;
    const order = new Int32Array(n);
    const [first] = this.#words;
    if (this.#words.length === 1) {
      // Sorting plain numbers and looking their nodes up again takes a third of the time of sorting with a comparison.
      const sorted = first!.slice(0, n).sort();
      findAll(this.#slots, this.#words, n, [sorted], order, 0, n);
      return order;
    }
    for (let i = 0; i < n; i++) order[i] = i;
    return order.sort((a, b) => {
      for (const word of this.#words) if (word[a] !== word[b]) return word[a]! - word[b]!;
      return 0;
    });
  }

  #enlarge(nodes: number): void {
    this.#room = Math.max(2 * this.#room, nodes);
    const larger = (column: Float64Array): Float64Array => {
      const room = new Float64Array(this.#room);
      room.set(column);
      return room;
    };
    for (const columns of [this.#words, this.#lows, this.#highs]) for (const [i, column] of columns.entries()) columns[i] = larger(column);
    let slots = this.#slots.length;
    while (slots < SLOTS_PER_NODE * this.#room) slots *= 2;
    this.#slots = new Int32Array(slots).fill(-1);
    reseat(this.#slots, this.#words, this.#nodes);
  }
}

/** The place where the search for a path begins. */
function slotOf(words: readonly Float64Array[], i: number, mask: number): number {
  let h = 0;
  for (let w = 0; w < words.length; w++) {
    const word = words[w]![i]!;
    h = Math.imul(h ^ (word | 0), 0x9e3779b1); // 2^32 divided by the golden ratio (Knuth, TAOCP 3, 6.4)
    h = Math.imul(h ^ (h >>> 15) ^ ((word * 2 ** -32) | 0), 0x85ebca6b);
  }
  return (h ^ (h >>> 13)) & mask;
}

/** The node of each path from `start` to `end`; new paths become nodes from `nodes` on. Gives the number of nodes then. */
function findAll(
  slots: Int32Array,
  known: readonly Float64Array[],
  nodes: number,
  words: readonly Float64Array[],
  found: Int32Array,
  start: number,
  end: number,
): number {
  const mask = slots.length - 1;
  const [knownFirst] = known;
  const [first] = words;
  const more = words.length > 1;
  for (let i = start; i < end; i++) {
    const word = first![i]!;
    for (let slot = slotOf(words, i, mask); ; slot = (slot + 1) & mask) {
      const node = slots[slot]!;
      if (node < 0) {
        for (let w = 0; w < words.length; w++) known[w]![nodes] = words[w]![i]!;
        slots[slot] = nodes;
        found[i] = nodes++;
        break;
      }
      if (knownFirst![node] === word && (!more || sameRest(known, node, words, i))) {
        found[i] = node;
        break;
      }
    }
  }
  return nodes;
}

function sameRest(known: readonly Float64Array[], node: number, words: readonly Float64Array[], i: number): boolean {
  for (let w = 1; w < words.length; w++) if (known[w]![node] !== words[w]![i]) return false;
  return true;
}

function reseat(slots: Int32Array, words: readonly Float64Array[], nodes: number): void {
  const mask = slots.length - 1;
  for (let node = 0; node < nodes; node++) {
    let slot = slotOf(words, node, mask);
    while (slots[slot]! >= 0) slot = (slot + 1) & mask;
    slots[slot] = node;
  }
}

/** Takes weights into the least and greatest of their nodes; nodes from `fresh` on have none yet. */
function widen(lows: Float64Array, highs: Float64Array, groups: Int32Array, weights: Float64Array, n: number, fresh: number): void {
  let next = fresh; // new nodes come in the order of their numbers
  for (let i = 0; i < n; i++) {
    const node = groups[i]!;
    const x = weights[i]!;
    if (node === next) {
      lows[node] = x;
      highs[node] = x;
      next++;
      continue;
    }
    const low = lows[node]!;
    if (x < low || low !== low || (x === 0 && low === 0 && Object.is(x, -0))) lows[node] = x; // a number is below NaN, −0 below 0
    if (x > highs[node]! || x !== x) highs[node] = x;
  }
}

/** Takes records whose value is NaN out of their nodes (contract clause 10). */
function leaveOut(groups: Int32Array, values: ArrayLike<number>, n: number): void {
  for (let i = 0; i < n; i++) if (values[i]! !== values[i]!) groups[i] = -1;
}
