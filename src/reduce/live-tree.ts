/**
 * The numbers of a live tree: leaves, and nodes level by level, each with what it holds of its children (contract clauses 4, 14). A change
 * of leaves is carried upwards one level at a time: what a parent holds of a changed child is taken out and put in again, the parent is
 * rounded anew, and where neither its value nor its records have changed, that is the end. How leaves are found and named is not its
 * business: see live-records.ts and live-rows.ts.
 *
 * Tier 0 are the leaves, tier i + 1 the nodes of level i. Numbers of nodes say nothing about their order.
 */
import { grown } from "./arrays.ts";
import { LiveLanes } from "./live-lanes.ts";
import { LiveLog } from "./live-log.ts";
import { type LiveStates, LiveUser } from "./live-states.ts";
import type { LiveTier } from "./live-tier.ts";
import { SLICE } from "./slices.ts";

/** The values of one tier, by node and output, and the records below each: those that are not skipped. */
export interface LiveNumbers {
  readonly planes: number;
  values: Float64Array;
  /** Of leaves undefined: each is one. */
  records: Float64Array | undefined;
}

/** What the children of a level weigh: 1, the records below them, a number each, or a number by output and place. */
export interface LiveWeights {
  readonly form: "one" | "count" | "own" | "matrix";
  /** By child; of a matrix its rows. */
  values: Float64Array;
  readonly extent: number;
  /** Of a matrix: each child's column. */
  readonly ranks: Uint32Array | undefined;
}

/** One level as it stands: how it reduces, what its nodes hold. */
export interface LiveLevel {
  readonly states: LiveStates;
  readonly weights: LiveWeights;
  readonly planes: number;
}

/** See the head of this file. */
export class LiveTree {
  readonly skip: boolean;
  readonly tiers: readonly LiveTier[];
  /** By level. */
  readonly levels: LiveLevel[] = [];
  /** By tier. */
  readonly numbers: LiveNumbers[];
  /** By tier: what the change under way has altered. */
  readonly logs: LiveLog[];
  /** Nodes that changes of leaves reduced again. */
  touched = 0;

  /** A tree of leaves; its levels are added with {@link LiveTree.build}. */
  constructor(tiers: readonly LiveTier[], leaves: Float64Array, skip: boolean) {
    this.skip = skip;
    this.tiers = tiers;
    this.numbers = [{ planes: 1, values: leaves, records: undefined }];
    this.logs = [new LiveLog(1)];
  }

  get bytes(): number {
    let bytes = 0;
    for (const tier of this.tiers) bytes += tier.bytes;
    for (const log of this.logs) bytes += log.bytes;
    for (const { states, weights } of this.levels) bytes += states.bytes + weights.values.byteLength + (weights.ranks?.byteLength ?? 0);
    for (const { values, records } of this.numbers) bytes += values.byteLength + (records?.byteLength ?? 0);
    return bytes;
  }

  /** Reduces all nodes of a level from those below, which stay as they are. Gives their numbers. Yields between slices of work. */
  *build(level: number, { states, weights, planes }: LiveLevel, below: LiveNumbers): Generator<void, LiveNumbers> {
    const children = this.tiers[level]!;
    const nodes = this.tiers[level + 1]!;
    const skip = this.skip;
    const records = new Float64Array(planes * nodes.capacity);
    const values = new Float64Array(planes * nodes.capacity);
    states.grow(planes * nodes.capacity, planes * children.capacity);
    for (let child = 0, n = children.length; child < n; child++) {
      if (child % SLICE === SLICE - 1) yield;
      if (!children.has(child)) continue;
      const parent = children.parent[child]!;
      for (let r = 0; r < planes; r++) {
        const at = below.planes * child + (below.planes === 1 ? 0 : r);
        const x = below.values[at]!;
        const n = below.records === undefined ? 1 : below.records[at]!;
        if (skip && (x !== x || n === 0)) continue;
        states.put(planes * parent + r, planes * child + r, x, weightOf(weights, child, r, n));
        records[planes * parent + r]! += n;
      }
    }
    const lanes = states instanceof LiveLanes ? states : undefined;
    for (let node = 0, n = nodes.length; node < n; node++) {
      if (node % SLICE === SLICE - 1) yield;
      if (!nodes.has(node)) continue;
      for (let group = planes * node; group < planes * (node + 1); group++) {
        lanes?.build(group);
        values[group] = states.value(group);
      }
    }
    lanes?.start();
    return { planes, values, records };
  }

  /** Makes room for nodes (or leaves) of a tier with numbers below `length`. */
  grow(tier: number, length: number): void {
    const t = this.tiers[tier]!;
    t.grow(length);
    const { capacity } = t;
    const numbers = this.numbers[tier];
    if (numbers === undefined) return; // not built yet
    const { planes } = numbers;
    numbers.values = grown(numbers.values, planes * capacity);
    if (numbers.records !== undefined) numbers.records = grown(numbers.records, planes * capacity);
    const inner = this.levels[tier - 1];
    const outer = this.levels[tier];
    inner?.states.grow(planes * capacity, 0);
    if (outer === undefined) return;
    outer.states.grow(0, outer.planes * capacity);
    if (outer.weights.form === "own") outer.weights.values = grown(outer.weights.values, capacity);
  }

  /** Says that a leaf is about to change, come (`was` 0) or go, with the value and weight it has now. Gives the entry. */
  note(leaf: number, was: 0 | 1): number {
    const log = this.logs[0]!;
    const entry = log.push(leaf, was);
    log.values[entry] = this.numbers[0]!.values[leaf]!;
    log.records[entry] = leafWeight(this.levels[0]!.weights, leaf);
    return entry;
  }

  /** True if one leaf's change may go the short way: no reduction can throw, and there is one output. */
  get isPlain(): boolean {
    return this.levels.every(({ states, planes }) => planes === 1 && !(states instanceof LiveUser));
  }

  /**
   * Sets the value and weight of a leaf and carries that upwards, the short way: what {@link LiveTree.note} and {@link LiveTree.carry} do,
   * with nothing noted. Only where {@link LiveTree.isPlain}.
   */
  change(leaf: number, value: number, weight: number | undefined): void {
    const { skip, tiers, levels, numbers } = this;
    const leaves = numbers[0]!.values;
    const leafWeights = levels[0]!.weights;
    let x0 = leaves[leaf]!;
    let x1 = value;
    let n0 = 1;
    let n1 = 1;
    const weightBefore = leafWeight(leafWeights, leaf);
    leaves[leaf] = value;
    if (weight !== undefined) leafWeights.values[leaf] = weight;
    for (let level = 0, child = leaf; level < levels.length; level++) {
      const { states, weights } = levels[level]!;
      const parent = tiers[level]!.parent[child]!;
      let w0 = 1;
      let w1 = 1;
      if (weights.form === "count") {
        w0 = n0;
        w1 = n1;
      } else if (weights.form !== "one") {
        w1 = weightOf(weights, child, 0, 1); // a matrix of one row has one output
        w0 = level === 0 && weights.form === "own" ? weightBefore : w1;
      }
      const kept0 = !skip || (x0 === x0 && n0 !== 0);
      const kept1 = !skip || (x1 === x1 && n1 !== 0);
      if (kept0 && kept1) {
        if (!Object.is(x0, x1) || !Object.is(w0, w1)) states.swap(parent, child, x0, w0, x1, w1);
      } else if (kept0) states.take(parent, child, x0, w0);
      else if (kept1) states.put(parent, child, x1, w1);
      const { values, records } = numbers[level + 1]!;
      const recordsBefore = records![parent]!;
      const recordsNow = recordsBefore + (kept1 ? n1 : 0) - (kept0 ? n0 : 0);
      const before = values[parent]!;
      const now = states.value(parent);
      this.touched++;
      if (Object.is(before, now) && recordsBefore === recordsNow) return;
      values[parent] = now;
      records![parent] = recordsNow;
      child = parent;
      x0 = before;
      x1 = now;
      n0 = recordsBefore;
      n1 = recordsNow;
    }
  }

  /**
   * Carries the changes of the noted leaves upwards. Afterwards the logs hold the nodes that have changed, until {@link LiveTree.settle}.
   * If a user's reduction throws, all numbers are as they were, those of the leaves, too.
   */
  carry(): void {
    let level = 0;
    const touched = this.touched;
    try {
      for (; level < this.levels.length && this.logs[level]!.length > 0; level++) {
        const many = this.logs[level]!.length > 1;
        if (many) this.tiers[level + 1]!.startMarks();
        for (let entry = 0; entry < this.logs[level]!.length; entry++) this.#carry(level, entry, many, false);
        this.#close(level);
      }
    } catch (error) {
      this.#undo(level);
      this.touched = touched;
      throw error;
    }
  }

  /** Ends a change: the logs are empty again. */
  settle(): void {
    for (const log of this.logs) log.length = 0;
  }

  /** Takes what a parent holds of a child out, and puts in what the child is now. */
  #carry(level: number, entry: number, many: boolean, undo: boolean): void {
    const log = this.logs[level]!;
    const { states, weights, planes } = this.levels[level]!;
    const { values, records, planes: childPlanes } = this.numbers[level]!;
    const children = this.tiers[level]!;
    const child = log.ids[entry]!;
    const was = log.was[entry]!;
    const is = log.is[entry]!;
    const parent = children.parent[child]!;
    if (!undo) this.#notice(level + 1, parent, many);
    if (was === 0 && is === 1) children.attach(child, this.tiers[level + 1]!);
    else if (was === 1 && is === 0) children.detach(child, this.tiers[level + 1]!);
    const skip = this.skip;
    const parentRecords = this.numbers[level + 1]!.records!;
    for (let r = 0; r < planes; r++) {
      const plane = childPlanes === 1 ? 0 : r;
      const before = childPlanes * entry + plane;
      const now = childPlanes * child + plane;
      const x0 = log.values[before]!;
      const x1 = values[now]!;
      const n0 = records === undefined ? 1 : log.records[before]!;
      const n1 = records === undefined ? 1 : records[now]!;
      const kept0 = was === 1 && !(skip && (x0 !== x0 || n0 === 0));
      const kept1 = is === 1 && !(skip && (x1 !== x1 || n1 === 0));
      const w1 = weightOf(weights, child, r, n1);
      const w0 = records === undefined && weights.form === "own" ? log.records[entry]! : weights.form === "count" ? n0 : w1;
      const group = planes * parent + r;
      if (kept0 && kept1) {
        if (!Object.is(x0, x1) || !Object.is(w0, w1)) states.swap(group, planes * child + r, x0, w0, x1, w1);
      } else if (kept0) states.take(group, planes * child + r, x0, w0);
      else if (kept1) states.put(group, planes * child + r, x1, w1);
      if (!undo) parentRecords[group]! += (kept1 ? n1 : 0) - (kept0 ? n0 : 0);
    }
  }

  /** Says that a node is about to change. */
  #notice(tier: number, node: number, many: boolean): void {
    const nodes = this.tiers[tier]!;
    if (many && !nodes.mark(node)) return;
    const log = this.logs[tier]!;
    const { planes, values, records } = this.numbers[tier]!;
    const entry = log.push(node, nodes.isThere(node) ? 1 : 0);
    for (let r = 0; r < planes; r++) {
      log.values[planes * entry + r] = values[planes * node + r]!;
      log.records[planes * entry + r] = records![planes * node + r]!;
    }
  }

  /** Rounds the noticed nodes of a level, and forgets those that have not changed. */
  #close(level: number): void {
    const { states, planes } = this.levels[level]!;
    const log = this.logs[level + 1]!;
    const nodes = this.tiers[level + 1]!;
    const { values, records } = this.numbers[level + 1]!;
    let changed = 0;
    for (let entry = 0, n = log.length; entry < n; entry++) {
      const node = log.ids[entry]!;
      const is = nodes.isThere(node);
      log.is[entry] = is ? 1 : 0;
      let differs = log.was[entry] !== log.is[entry];
      if (is)
        for (let r = 0; r < planes; r++) {
          const value = states.value(planes * node + r);
          if (!Object.is(value, log.values[planes * entry + r]!)) differs = true;
          if (records![planes * node + r] !== log.records[planes * entry + r]) differs = true;
          values[planes * node + r] = value;
        }
      this.touched++;
      if (differs) log.move(entry, changed++);
    }
    log.length = changed;
  }

  /** Takes a change back that failed while the nodes of a level were rounded. */
  #undo(failed: number): void {
    const nodes = this.logs[failed + 1]!;
    const { planes, values, records } = this.numbers[failed + 1]!;
    for (let entry = 0; entry < nodes.length; entry++)
      for (let r = 0; r < planes; r++) {
        values[planes * nodes.ids[entry]! + r] = nodes.values[planes * entry + r]!;
        records![planes * nodes.ids[entry]! + r] = nodes.records[planes * entry + r]!;
      }
    for (let level = failed; level >= 0; level--) {
      this.#exchange(level);
      for (let entry = 0; entry < this.logs[level]!.length; entry++) this.#carry(level, entry, false, true);
    }
    this.settle();
  }

  /** Puts back what the nodes or leaves of a tier were, and keeps in the log what they had become. */
  #exchange(tier: number): void {
    const log = this.logs[tier]!;
    const { planes, values, records } = this.numbers[tier]!;
    const own = tier === 0 ? this.levels[0]!.weights : undefined;
    for (let entry = 0; entry < log.length; entry++) {
      const id = log.ids[entry]!;
      [log.was[entry], log.is[entry]] = [log.is[entry]!, log.was[entry]!];
      for (let r = 0; r < planes; r++) {
        const [at, old] = [planes * id + r, planes * entry + r];
        [values[at], log.values[old]] = [log.values[old]!, values[at]!];
        if (records !== undefined) [records[at], log.records[old]] = [log.records[old]!, records[at]!];
      }
      if (own?.form === "own") [own.values[id], log.records[entry]] = [log.records[entry]!, own.values[id]!];
    }
  }
}

function weightOf(weights: LiveWeights, child: number, r: number, records: number): number {
  switch (weights.form) {
    case "one":
      return 1;
    case "count":
      return records;
    case "own":
      return weights.values[child]!;
    case "matrix":
      return weights.values[r * weights.extent + weights.ranks![child]!]!;
  }
}

/** What a child weighs in its node, for output 0; undefined where children have no weights. `records` are those below it. */
export function childWeight(weights: LiveWeights, child: number, records: number): number | undefined {
  return weights.form === "one" ? undefined : weightOf(weights, child, 0, records);
}

/** The weight of a leaf, where leaves have weights of their own. */
function leafWeight({ form, values }: LiveWeights, leaf: number): number {
  return form === "own" ? values[leaf]! : 1;
}
