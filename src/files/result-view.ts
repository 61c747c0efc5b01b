/**
 * The nodes of an opened result: looked up by path, with what each child gives to its parent, and compared with those of another result. The
 * arithmetic is in reduce/contributions.ts and reduce/changes.ts.
 */
import { badOption, checkNames, nearest, show } from "../errors.ts";
import { changeOf, exactChange, type PieceKind } from "../reduce/changes.ts";
import { type ClosedTree, closedChildren, closedPath, closedTree, reducedOf, whyClosed } from "../reduce/closed-tree.ts";
import { contributionsOf, isKept, valueOfChildren } from "../reduce/contributions.ts";
import { ExactSum } from "../reduce/exact.ts";
import type { Key } from "../reduce/key.ts";
import { exactTotal, topOf } from "../reduce/settle.ts";
import type { NanPolicy } from "../types.ts";
import { notResult, type ResultMetadata } from "./result-metadata.ts";
import { codesOf, missing, noKey } from "./result-paths.ts";
import type { ResultRows } from "./result-rows.ts";
import type {
  ChangePiece,
  Contribution,
  NodeChange,
  NodeContributions,
  StoredLevel,
  StoredNode,
  StoredResult,
  TopOptions,
  WhereOptions,
} from "./stored-result.ts";

/** A node as it is given out. */
class Item implements StoredNode {
  readonly level: string;
  readonly index: number;
  readonly #tree: ClosedTree;
  readonly #level: number;

  constructor(tree: ClosedTree, level: number, index: number) {
    this.level = tree.levels[level]!.name;
    this.index = index;
    this.#tree = tree;
    this.#level = level;
  }

  get path(): readonly Key[] {
    return closedPath(this.#tree, this.#level, this.index);
  }

  get value(): number {
    return this.values[0]!;
  }

  get values(): readonly number[] {
    const { values, outputs, nodes } = this.#tree.levels[this.#level]!;
    return Array.from({ length: outputs }, (_, r) => values[r * nodes + this.index]!);
  }

  get count(): number {
    return this.#tree.levels[this.#level]!.counts[this.index]!;
  }

  get weight(): number | undefined {
    return this.#tree.levels[this.#level]!.weights?.[this.index];
  }
}

/** See the head of this file. */
export class Stored implements StoredResult {
  readonly file: string;
  readonly levels: readonly StoredLevel[];
  readonly contract: string;
  readonly accuracy: string;
  readonly nan: NanPolicy;
  readonly records: number;
  readonly outputs: number;
  readonly #tree: ClosedTree;

  constructor(file: string, metadata: ResultMetadata, rows: ResultRows) {
    const tree = closedTree(rows.take(), rows.dictionaries, metadata.nan);
    if (tree.levels.length === 0) throw notResult(file, "it has no nodes");
    this.file = file;
    this.#tree = tree;
    this.levels = tree.levels.map(({ name, nodes }) => ({ ...metadata.levels.find((level) => level.name === name)!, nodes }));
    this.contract = metadata.contract;
    this.accuracy = metadata.accuracy;
    this.nan = metadata.nan;
    this.records = metadata.records;
    this.outputs = tree.levels.at(-1)!.outputs;
  }

  *nodes(level: string): Generator<StoredNode> {
    const place = this.#levelNamed(level);
    for (let i = 0; i < this.#tree.levels[place]!.nodes; i++) yield new Item(this.#tree, place, i);
  }

  at(path: readonly Key[], { level }: WhereOptions = {}): StoredNode {
    const place = level === undefined ? this.#levelOf(path) : this.#levelNamed(level);
    const { name, nodes, codes, keys } = this.#tree.levels[place]!;
    if (keys.length !== path.length)
      throw missing(
        `a path to level "${name}" has ${keys.length} keys, given ${path.length}`,
        path,
        `They are ${keys.join(", ") || "(none)"}`,
      );
    let from = 0;
    let to = nodes;
    for (const [column, key] of path.entries()) {
      const dictionary = this.#tree.dictionaries[column]!;
      const wanted = codesOf(dictionary, key);
      const inside = codes[column]!.subarray(from, to);
      const code = wanted.find((one) => inside.includes(one));
      if (code === undefined) throw noKey(keys[column]!, key, path.slice(0, column), inside, dictionary);
      // Nodes are in the order of keys: those with one key lie side by side.
      const first = from + inside.indexOf(code);
      to = from + inside.lastIndexOf(code) + 1;
      from = first;
    }
    if (from === to) throw missing(`level "${name}" has no nodes`, path, "Name another level");
    return new Item(this.#tree, place, from);
  }

  children(node: StoredNode): StoredNode[] {
    const level = this.#open(node, 0);
    const { starts } = this.#tree.levels[level]!;
    const from = starts![node.index]!;
    return Array.from({ length: starts![node.index + 1]! - from }, (_, i) => new Item(this.#tree, level - 1, from + i));
  }

  contributions(node: StoredNode, options: TopOptions = {}): NodeContributions {
    const { output, top } = this.#checked("contributions", options);
    const level = this.#open(node, output);
    const reduced = reducedOf(this.#tree, level);
    const inside = closedChildren(this.#tree, level, node.index, output);
    const value = valueFor(node, output);
    const { values, settled, decidedBy, why } = contributionsOf(value, reduced, inside);
    const given = valueOfChildren(reduced, this.accuracy === "exact" ? "real" : "rounded", inside);
    const first = this.#tree.levels[level]!.starts![node.index]!;
    const child = (i: number, contribution: number | undefined): Contribution => ({
      node: new Item(this.#tree, level - 1, first + i),
      contribution,
      kept: isKept(reduced.nan, inside.values[i]!, inside.counts[i]!),
      decides: i === decidedBy,
    });
    const n = inside.values.length;
    const common = { node, output, value, why, differs: given === undefined || Object.is(given, value) ? undefined : given };
    if (values === undefined) {
      const children = Array.from({ length: Math.min(n, top) }, (_, i) => child(i, undefined));
      const others = n > top ? { children: n - top, contribution: undefined } : undefined;
      return { ...common, children, others, residual: undefined };
    }
    if (top === Number.POSITIVE_INFINITY)
      return { ...common, children: Array.from(values, (x, i) => child(i, x)), others: undefined, residual: settled?.residual };
    const largest = topOf(values, settled, ExactSum.of([value], 1), top);
    return {
      ...common,
      children: Array.from(largest.places, (i, at) => child(i, largest.parts[at]!)),
      others: largest.others && { children: largest.others.parts, contribution: largest.others.sum },
      residual: largest.settled?.residual,
    };
  }

  diff(other: StoredResult, node: StoredNode, options: TopOptions = {}): NodeChange {
    const { output, top } = this.#checked("diff", options);
    if (!(other instanceof Stored)) throw badOption("other", other, "a result that openResult gave");
    const level = this.#placeOf(node);
    const earlier = other.at(node.path, { level: node.level });
    const from = { tree: other.#tree, level: other.#placeOf(earlier), node: earlier.index };
    const to = { tree: this.#tree, level, node: node.index };
    this.#sameLevels(other, level, from.level);
    const { before, after, change, pieces, effects, settled } = changeOf(from, to, output);
    const piece = (i: number, effect: number): ChangePiece => {
      const { kind, level: at, before: old, after: now, why } = pieces[i]!;
      return {
        kind,
        before: old < 0 ? undefined : new Item(other.#tree, at.before, old),
        after: now < 0 ? undefined : new Item(this.#tree, at.after, now),
        effect,
        why,
      };
    };
    const total = (kind: PieceKind): number => exactTotal(effects.filter((_, i) => pieces[i]!.kind === kind)).value();
    const totals = { value: total("value"), weight: total("weight"), new: total("new"), gone: total("gone") };
    const common = { node: { before: earlier, after: node }, before, after, change, totals };
    const largest = top === Number.POSITIVE_INFINITY ? undefined : topOf(effects, settled, exactChange(before, after), top);
    const left = largest === undefined ? settled : largest.settled;
    return {
      ...common,
      pieces: largest ? Array.from(largest.places, (i, at) => piece(i, largest.parts[at]!)) : Array.from(effects, (x, i) => piece(i, x)),
      others: largest?.others && { pieces: largest.others.parts, effect: largest.others.sum },
      residual: left?.residual,
      rounding: left?.rounding,
    };
  }

  /** From the node's level inwards both results have the same levels, as far as both go. */
  #sameLevels(other: Stored, level: number, earlier: number): void {
    for (let depth = 0; depth <= Math.min(level, earlier); depth++) {
      const one = this.levels[level - depth]!;
      const two = other.levels[earlier - depth]!;
      if (one.name === two.name && one.keys.join("\0") === two.keys.join("\0")) continue;
      throw missing(
        `the results have other levels: ${show(one.name)} by ${one.keys.join(", ") || "nothing"}, and ${show(two.name)} by ${two.keys.join(", ") || "nothing"}`,
        two.name,
        "Compare results of one hierarchy, with the same levels kept",
      );
    }
  }

  #checked(what: string, options: TopOptions): { output: number; top: number } {
    checkNames(what, options, ["output", "top"]);
    const { output = 0, top = Number.POSITIVE_INFINITY } = options;
    if (!Number.isSafeInteger(output) || output < 0 || output >= this.outputs)
      throw badOption("output", output, `0 to ${this.outputs - 1}, the outputs of the result`);
    if (top !== Number.POSITIVE_INFINITY && (!Number.isSafeInteger(top) || top < 1)) throw badOption("top", top, "a whole number above 0");
    return { output, top };
  }

  #placeOf(node: StoredNode): number {
    const place = this.#levelNamed(node.level);
    if (node.index < this.#tree.levels[place]!.nodes) return place;
    throw missing(`level "${node.level}" has no node ${node.index}`, node.index, "Take nodes from this result");
  }

  /** The place of a node's level, whose children are there. */
  #open(node: StoredNode, output: number): number {
    const place = this.#placeOf(node);
    const why = whyClosed(this.#tree, place, output);
    if (why === undefined) return place;
    throw missing(why, node.level, "Run again with --keep all to open it further");
  }

  #levelNamed(name: string): number {
    const names = this.levels.map((level) => level.name);
    const place = names.indexOf(name);
    if (place >= 0) return place;
    const meant = nearest(name, names);
    throw missing(
      `the result has no level ${show(name)}, its levels are ${names.join(", ")}`,
      name,
      meant === undefined ? "Name one of them" : `Did you mean ${meant}?`,
    );
  }

  /** The outermost level with as many keys as the path. */
  #levelOf(path: readonly Key[]): number {
    for (let i = this.levels.length - 1; i >= 0; i--) if (this.levels[i]!.keys.length === path.length) return i;
    const known = this.levels.toReversed().map(({ name, keys }) => `${name}: ${keys.join("/") || "(none)"}`);
    throw missing(`no level has ${path.length} keys`, path, `The levels and their keys, outermost first, are ${known.join(", ")}`);
  }
}

const valueFor = ({ values }: StoredNode, output: number): number => values[values.length === 1 ? 0 : output]!;
