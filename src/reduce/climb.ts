/**
 * The levels of a chain over nodes that come in order of key: of each level one node is open, with its exact state (contract clause 3). When its
 * key changes it closes: it is rounded once (clause 4) and becomes a child of the node above. What is not kept is forgotten, so memory does not
 * grow with the number of nodes. It knows no user's reductions, and no records: node-table.ts makes the innermost nodes.
 */

import type { Accuracy, NanPolicy } from "../types.ts";
import { firstDifference, type KeyWords } from "./key-words.ts";
import type { ClosedBatch } from "./node-table.ts";
import type { BuiltIn } from "./reductions.ts";
import { type NodeStates, nodeStates } from "./states.ts";

/** Weights by the path of a child: `words` in order, the digits of deeper columns being 0. */
export interface KeyedWeights {
  readonly words: readonly Float64Array[];
  readonly weights: Float64Array;
  /** The weight of a child that is not there; undefined if that is an error. */
  readonly missing: number | undefined;
}

/** Where a level's weights come from. `constant` is the place of a column that the records bring. */
export type ClimbWeights =
  | { readonly form: "none" }
  | { readonly form: "count" }
  | { readonly form: "list"; readonly values: readonly number[] }
  | { readonly form: "constant"; readonly at: number }
  | { readonly form: "table"; readonly table: KeyedWeights };

/** A level, as it is climbed. */
export interface ClimbLevel {
  readonly name: string;
  readonly kind: BuiltIn;
  readonly ddof: number;
  /** Key columns of its nodes. */
  readonly depth: number;
  /** Those of level f are the records' own. */
  readonly weights: ClimbWeights;
  readonly kept: boolean;
}

/** What was wrong with the weights of a child. The caller knows how its key reads. */
export interface WeightTrouble {
  readonly kind: "varies" | "missing" | "length" | "nan";
  /** The level whose children are weighed. */
  readonly level: number;
  /** The path of the child; of the node itself for `length`. */
  readonly words: readonly number[];
  /** The number of the child, or node, in its level. */
  readonly index: number;
  /** Two weights that differ; or the length of the list, and how many children there are. */
  readonly given: readonly number[];
}

/** Thrown by a climb for weights that do not fit. */
export class WeightError extends Error {
  readonly trouble: WeightTrouble;
  constructor(trouble: WeightTrouble) {
    super(`weights: ${trouble.kind}`);
    this.trouble = trouble;
  }
}

/** A level whose nodes have all closed. */
export interface ClimbedLevel {
  readonly nodes: number;
  /** What was kept of the nodes; undefined where the level was not. */
  readonly kept:
    | {
        readonly values: Float64Array;
        /** The records below each that were not skipped. */
        readonly records: Float64Array;
        readonly words: readonly Float64Array[];
        /** nodes + 1 places among the children. */
        readonly offsets: Float64Array;
        /** What each weighs in its parent; empty where parents do not weigh. */
        readonly weights: Float64Array;
      }
    | undefined;
}

/** Children of a level in order, with the outermost key column that differs from the child before: −1 for the first of all. */
interface Children extends Pick<ClosedBatch, "n" | "words" | "values" | "records"> {
  readonly changed: Int32Array;
}

/** Room that a growing column starts with. */
const ROOM_FIRST = 1024;

/** A column of numbers that grows. */
class Growing {
  #items = new Float64Array(ROOM_FIRST);
  length = 0;

  append(items: Float64Array): void {
    const needed = this.length + items.length;
    if (needed > this.#items.length) {
      const room = new Float64Array(Math.max(needed, 2 * this.#items.length));
      room.set(this.#items.subarray(0, this.length));
      this.#items = room;
    }
    this.#items.set(items, this.length);
    this.length = needed;
  }

  done(): Float64Array {
    return this.#items.slice(0, this.length);
  }
}

/** What is kept of a level. */
class Kept {
  readonly #values = new Growing();
  readonly #records = new Growing();
  readonly #starts = new Growing();
  readonly #weights = new Growing();
  readonly #words: Growing[];

  constructor(words: number) {
    this.#words = Array.from({ length: words }, () => new Growing());
  }

  append({ values, records, words }: Children, starts: Float64Array): void {
    this.#values.append(values);
    this.#records.append(records);
    this.#starts.append(starts);
    for (let w = 0; w < words.length; w++) this.#words[w]!.append(words[w]!);
  }

  /** Takes note of what nodes weigh, in their order. */
  weigh(weights: Float64Array): void {
    this.#weights.append(weights);
  }

  done(children: number): NonNullable<ClimbedLevel["kept"]> {
    this.#starts.append(Float64Array.of(children));
    return {
      values: this.#values.done(),
      records: this.#records.done(),
      words: this.#words.map((word) => word.done()),
      offsets: this.#starts.done(),
      weights: this.#weights.done(),
    };
  }
}

/** One level on the way up. */
class Step {
  readonly level: ClimbLevel;
  readonly kept: Kept | undefined;
  /** Closed nodes, and children met. */
  nodes = 0;
  children = 0;
  /** The open node: its state, where it stands in a store of one. */
  state: NodeStates | undefined;
  records = 0;
  start = 0;
  changed = -1;
  words: readonly number[] = [];
  /** The next row of a table of weights. */
  row = 0;
  /** Weights that records brought for children that have opened and not yet come: as many as there are levels, and those of a batch. */
  readonly waiting: number[] = [];

  constructor(level: ClimbLevel, words: number) {
    this.level = level;
    this.kept = level.kept ? new Kept(words) : undefined;
  }
}

/** See the head of this file. */
export class Climb {
  readonly #keys: KeyWords;
  readonly #steps: readonly Step[];
  readonly #skip: boolean;
  readonly #refuseNaN: boolean;
  readonly #quotient: "rounded" | "real";
  #last: readonly Float64Array[] | undefined;
  /** Of each level, the trouble of its weights that is told. */
  readonly #troubles = new Map<number, WeightTrouble>();

  /** @param levels innermost first; that one's nodes are given */
  constructor(levels: readonly ClimbLevel[], keys: KeyWords, nan: NanPolicy, accuracy: Accuracy) {
    this.#keys = keys;
    this.#steps = levels.map((level) => new Step(level, keys.spans.length));
    this.#skip = nan === "skip";
    this.#refuseNaN = nan === "error";
    this.#quotient = accuracy === "exact" ? "real" : "rounded";
  }

  /** Takes innermost nodes, which follow those before in order of key. @throws WeightError for a weight that differs within a child */
  add(batch: ClosedBatch): void {
    if (batch.n === 0) return;
    const changed = this.#changes(batch);
    const children = { ...batch, changed };
    for (let i = 1; i < this.#steps.length; i++) this.#readConstants(this.#steps[i]!, i, batch, changed);
    const first = this.#steps[0]!;
    first.kept?.append(children, startsFrom(first.nodes, batch.n));
    first.nodes += batch.n;
    this.#climb(1, this.#missing(children));
  }

  /** Closes what is open. @throws WeightError for what was wrong with the weights of the innermost level that has something wrong */
  finish(): ClimbedLevel[] {
    for (let i = 1; i < this.#steps.length; i++) {
      const step = this.#steps[i]!;
      // A level without key columns has its one node even when there are no records.
      if (step.state === undefined && step.level.depth === 0 && step.nodes === 0) step.state = this.#empty(step, 1);
      if (step.state === undefined) continue;
      const closed: Children = {
        n: 1,
        words: this.#keys.spans.map((_, w) => Float64Array.of(step.words[w] ?? 0)),
        values: Float64Array.of(step.state.value(0)),
        records: Float64Array.of(step.records),
        changed: Int32Array.of(step.changed),
      };
      this.#close(step, i, closed, Float64Array.of(step.start), Float64Array.of(step.children - step.start));
      step.state = undefined;
      this.#climb(i + 1, this.#missing(closed));
    }
    const worst = [...this.#troubles.values()].sort((a, b) => a.level - b.level)[0];
    if (worst !== undefined) throw new WeightError(worst);
    return this.#steps.map(({ nodes, kept }, i) => ({ nodes, kept: kept?.done(i === 0 ? 0 : this.#steps[i]!.children) }));
  }

  #empty({ level: { kind, ddof } }: Step, nodes: number): NodeStates {
    const states = nodeStates({ kind, ddof, quotient: this.#quotient, skip: this.#skip });
    states.grow(nodes);
    return states;
  }

  /** For each node, the outermost key column that differs from the node before. */
  #changes({ n, words }: ClosedBatch): Int32Array {
    const changed = new Int32Array(n);
    changed[0] = this.#last === undefined ? -1 : firstDifference(this.#keys, this.#last, 0, words, 0);
    for (let i = 1; i < n; i++) changed[i] = firstDifference(this.#keys, words, i - 1, words, i);
    this.#last = words.map((word) => word.slice(n - 1, n));
    return changed;
  }

  /** Under `skip` a node without records is missing: its parent skips it (clause 10). */
  #missing(children: Children): Children {
    if (!this.#skip) return children;
    const { values, records } = children;
    return { ...children, values: values.map((value, i) => (records[i] === 0 ? Number.NaN : value)) };
  }

  #climb(from: number, children: Children): void {
    let next = children;
    for (let i = from; i < this.#steps.length && next.n > 0; i++) next = this.#missing(this.#step(i, next));
  }

  /** Children into the nodes of a level; gives the nodes that close. */
  #step(i: number, children: Children): Children {
    const step = this.#steps[i]!;
    const { depth } = step.level;
    const { n, values, records, changed, words } = children;
    const groups = new Int32Array(n);
    let node = step.state === undefined ? -1 : 0;
    // Children of the last batch whose node is open come before all of these; one child may open a node, and all may.
    const starts = new Float64Array(n + 1);
    const heads = new Int32Array(n + 1).fill(-1);
    starts[0] = step.start;
    for (let j = 0; j < n; j++) {
      if (node < 0 || changed[j]! < depth) {
        node++;
        starts[node] = step.children + j;
        heads[node] = j;
      }
      groups[j] = node;
    }
    const weightOf = this.#weights(step, i, children, groups, starts);
    if (weightOf && i > 0) this.#steps[i - 1]!.kept?.weigh(weightOf);
    const below = new Float64Array(node + 1);
    below[0] = heads[0] === -1 ? step.records : 0;
    for (let j = 0; j < n; j++) {
      if (this.#skip && values[j]! !== values[j]!) groups[j] = -1;
      else below[groups[j]!]! += records[j]!;
    }
    const states = this.#empty(step, node + 1);
    if (step.state !== undefined) states.merge(0, step.state, 0);
    states.addAll(groups, values, weightOf, 0, n);

    const before = { words: step.words, changed: step.changed };
    const wordOf = (w: number, g: number): number => (heads[g]! < 0 ? before.words[w]! : words[w]![heads[g]!]!);
    const changedOf = (g: number): number => (heads[g]! < 0 ? before.changed : changed[heads[g]!]!);
    const closed: Children = {
      n: node,
      words: words.map((_, w) => Float64Array.from({ length: node }, (_, g) => wordOf(w, g))),
      values: Float64Array.from({ length: node }, (_, g) => states.value(g)),
      records: below.slice(0, node),
      changed: Int32Array.from({ length: node }, (_, g) => changedOf(g)),
    };
    const sizes = Float64Array.from({ length: node }, (_, g) => starts[g + 1]! - starts[g]!);
    step.children += n;
    step.words = words.map((_, w) => wordOf(w, node));
    step.changed = changedOf(node);
    step.start = starts[node]!;
    step.records = below[node]!;
    step.state = this.#empty(step, 1);
    step.state.merge(0, states, node);
    this.#close(step, i, closed, starts.slice(0, node), sizes);
    return closed;
  }

  /** Takes note of nodes that close. */
  #close(step: Step, level: number, closed: Children, starts: Float64Array, sizes: Float64Array): void {
    const { weights } = step.level;
    if (weights.form === "list")
      for (let g = 0; g < closed.n; g++)
        if (sizes[g] !== weights.values.length)
          this.#note("length", level, pathAt(closed.words, g), step.nodes + g, [weights.values.length, sizes[g]!]);
    step.kept?.append(closed, starts);
    step.nodes += closed.n;
  }

  /** The weights of a level's children. */
  #weights(step: Step, level: number, children: Children, groups: Int32Array, starts: Float64Array): Float64Array | undefined {
    const { weights } = step.level;
    switch (weights.form) {
      case "none":
        return undefined;
      case "count":
        return children.records;
      case "list": {
        const { values } = weights;
        // A place past the list is told when the node closes and its children are counted.
        return Float64Array.from(groups, (g, j) => values[step.children + j - starts[g]!] ?? 0);
      }
      case "constant":
        return this.#checked(step, level, children, Float64Array.from(step.waiting.splice(0, children.n)));
      case "table":
        return this.#checked(step, level, children, this.#lookUp(step, level, children, weights.table));
    }
  }

  #checked(step: Step, level: number, { words }: Children, weights: Float64Array): Float64Array {
    if (!this.#refuseNaN) return weights;
    const j = weights.findIndex((weight) => weight !== weight);
    if (j >= 0) this.#note("nan", level, pathAt(words, j), step.children + j, []);
    return weights;
  }

  /** Of a level the first trouble counts, and a child without a weight before one whose weight is NaN. */
  #note(kind: WeightTrouble["kind"], level: number, words: readonly number[], index: number, given: readonly number[]): void {
    const known = this.#troubles.get(level);
    if (known !== undefined && !(known.kind === "nan" && kind === "missing")) return;
    this.#troubles.set(level, { kind, level, words, index, given });
  }

  /** Children and rows of the table come in the same order. */
  #lookUp(step: Step, level: number, { n, words }: Children, { words: rows, weights, missing }: KeyedWeights): Float64Array {
    const prefix = this.#prefix(this.#steps[level - 1]!.level.depth);
    const found = new Float64Array(n);
    const target = words.map(() => 0);
    let { row } = step;
    for (let j = 0; j < n; j++) {
      for (let w = 0; w < target.length; w++) target[w] = prefix(words[w]![j]!, w);
      while (row < weights.length && isBefore(rows, row, target)) row++;
      let same = row < weights.length;
      for (let w = 0; same && w < target.length; w++) same = rows[w]![row] === target[w];
      if (!same && missing === undefined) this.#note("missing", level, pathAt(words, j), step.children + j, []);
      found[j] = same ? weights[row]! : (missing ?? Number.NaN);
    }
    step.row = row;
    return found;
  }

  /** What is left of a word of a path when the digits of columns from `depth` on are 0. */
  #prefix(depth: number): (word: number, w: number) => number {
    const strides = this.#keys.spans.map((span, w) => {
      const inside = this.#keys.columns.filter((column, c) => column.word === w && c < depth);
      return inside.at(-1)?.stride ?? Math.max(1, span); // without records there are no paths, and the span is 0
    });
    return (word, w) => word - (word % strides[w]!);
  }

  /** Reads the weights that innermost nodes bring for the children of a level, each from the first node of its child, and checks the rest. */
  #readConstants(
    { level: { weights }, waiting, children }: Step,
    level: number,
    { n, words, lows, highs }: ClosedBatch,
    changed: Int32Array,
  ): void {
    if (weights.form !== "constant") return;
    const low = lows[weights.at]!;
    const high = highs[weights.at]!;
    const { depth } = this.#steps[level - 1]!.level;
    for (let j = 0; j < n; j++) {
      if (level === 1 || changed[j]! < depth) waiting.push(low[j]!);
      const first = waiting.at(-1)!;
      const other = same(first, low[j]!) ? high[j]! : low[j]!;
      if (!same(first, other))
        throw new WeightError({
          kind: "varies",
          level,
          words: pathAt(words, j),
          index: children + waiting.length - 1,
          given: [first, other],
        });
    }
  }
}

const same = (a: number, b: number): boolean => a === b || (a !== a && b !== b);

const pathAt = (words: readonly Float64Array[], node: number): number[] => words.map((word) => word[node]!);

const startsFrom = (first: number, n: number): Float64Array => Float64Array.from({ length: n }, (_, i) => first + i);

/** True if a row comes before a path. */
function isBefore(rows: readonly Float64Array[], row: number, path: readonly number[]): boolean {
  for (let w = 0; w < path.length; w++) {
    const word = rows[w]![row]!;
    if (word !== path[w]) return word < path[w]!;
  }
  return false;
}
