/**
 * The nodes of a result at rest: for each kept level columns of values, counts, weights and keys, and who is whose child. It is built from rows in
 * any order and refuses rows that make no tree. Plain values: it reads no file and reduces nothing.
 */
import { FourfoldError, show } from "../errors.ts";
import type { NanPolicy } from "../types.ts";
import type { ClosedChildren, Reduced } from "./contributions.ts";
import { compareKeys, type Key } from "./key.ts";

/** What a level does, as the result says. */
export interface ClosedRules {
  readonly name: string;
  /** The name of its reduction. */
  readonly reduce: string;
  readonly ddof: number;
  /** Names of its key columns, outermost first. */
  readonly keys: readonly string[];
}

/** Rows of one level, by place. */
export interface ClosedRows {
  /** One column of codes for each key of the level; code c stands for `dictionaries[column][c]`. */
  readonly codes: readonly Uint32Array[];
  /** Output-major: output r of row i stands at r · rows + i. */
  readonly values: Float64Array;
  readonly outputs: number;
  readonly counts: Float64Array;
  /** Undefined where the rows have none. */
  readonly weights: Float64Array | undefined;
}

/** A kept level: its nodes in ascending order of their keys (contract clause 10a), so that siblings lie side by side. */
export interface ClosedLevel extends ClosedRules, ClosedRows {
  readonly nodes: number;
  /** True if there is a level between this one and the next one inwards: then the nodes there are not the children. */
  readonly gap: boolean;
  /** nodes + 1 places in the level inside; undefined for the innermost. */
  readonly starts: Uint32Array | undefined;
}

/** See the head of this file. */
export interface ClosedTree {
  /** Innermost first. */
  readonly levels: readonly ClosedLevel[];
  /** The keys that codes stand for, column by column. */
  readonly dictionaries: readonly (readonly Key[])[];
  readonly nan: NanPolicy;
}

/** A kept level with its rows. */
export interface ClosedInput {
  readonly rules: ClosedRules;
  readonly rows: ClosedRows;
  readonly gap: boolean;
}

/**
 * The tree of levels, innermost first, each level's keys being the first of those of the level inside.
 * @throws FourfoldError ERR_FOURFOLD_FORMAT for two rows with one path, and for rows without their parent
 */
export function closedTree(inputs: readonly ClosedInput[], dictionaries: readonly (readonly Key[])[], nan: NanPolicy): ClosedTree {
  const ranks = dictionaries.map(ranksOf);
  const levels: ClosedLevel[] = [];
  for (const { rules, rows, gap } of inputs) {
    const sorted = inKeyOrder(rules, rows, ranks, dictionaries);
    const inner = levels.at(-1);
    const nodes = sorted.counts.length;
    const starts = inner && startsOf(rules.name, { ...sorted, nodes }, inner, ranks, dictionaries);
    levels.push({ ...rules, ...sorted, nodes, gap, starts });
  }
  return { levels, dictionaries, nan };
}

/** The rank of each code in the order of keys. */
function ranksOf(keys: readonly Key[]): Uint32Array {
  const codes = Uint32Array.from(keys, (_, code) => code).sort((a, b) => compareKeys(keys[a]!, keys[b]!));
  const ranks = new Uint32Array(keys.length);
  for (let rank = 0; rank < codes.length; rank++) ranks[codes[rank]!] = rank;
  return ranks;
}

type Codes = readonly Uint32Array[];

/** The order of two paths of `depth` keys. */
function compareAt(ranks: Codes, depth: number, a: Codes, i: number, b: Codes, j: number): number {
  for (let column = 0; column < depth; column++) {
    const order = ranks[column]![a[column]![i]!]! - ranks[column]![b[column]![j]!]!;
    if (order !== 0) return order;
  }
  return 0;
}

function inKeyOrder(rules: ClosedRules, rows: ClosedRows, ranks: Codes, dictionaries: ClosedTree["dictionaries"]): ClosedRows {
  const { codes } = rows;
  const depth = codes.length;
  const n = rows.counts.length;
  let ascending = true;
  for (let i = 1; i < n && ascending; i++) ascending = compareAt(ranks, depth, codes, i - 1, codes, i) < 0;
  if (ascending) return rows;
  const places = Uint32Array.from({ length: n }, (_, i) => i).sort((i, j) => compareAt(ranks, depth, codes, i, codes, j) || i - j);
  for (let i = 1; i < n; i++)
    if (compareAt(ranks, depth, codes, places[i - 1]!, codes, places[i]!) === 0)
      throw noTree(`level "${rules.name}" has two rows for ${showPath(pathOf(codes, dictionaries, places[i]!))}`, rules.name);
  const gathered = (from: Float64Array, plane = 0): Float64Array => Float64Array.from(places, (i) => from[plane * n + i]!);
  const values = new Float64Array(rows.values.length);
  for (let r = 0; r < rows.outputs; r++) values.set(gathered(rows.values, r), r * n);
  return {
    codes: codes.map((column) => Uint32Array.from(places, (i) => column[i]!)),
    values,
    outputs: rows.outputs,
    counts: gathered(rows.counts),
    weights: rows.weights && gathered(rows.weights),
  };
}

/** Where each node's children begin: both levels are in key order, so one pass over the two finds all parents. */
function startsOf(
  name: string,
  { codes, nodes }: Pick<ClosedLevel, "codes" | "nodes">,
  inner: ClosedLevel,
  ranks: Codes,
  dictionaries: ClosedTree["dictionaries"],
): Uint32Array {
  const depth = codes.length;
  const starts = new Uint32Array(nodes + 1);
  let child = 0;
  for (let node = 0; node < nodes; node++) {
    starts[node] = child;
    while (child < inner.nodes && compareAt(ranks, depth, inner.codes, child, codes, node) === 0) child++;
  }
  starts[nodes] = child;
  if (child < inner.nodes) {
    const path = pathOf(inner.codes, dictionaries, child);
    throw noTree(`level "${inner.name}" has a row for ${showPath(path)}, level "${name}" none for its parent`, inner.name);
  }
  return starts;
}

function noTree(message: string, level: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_FORMAT", message, {
    fix: "A result has one row for each node of its levels: write it again",
    at: { level },
  });
}

const showPath = (path: readonly Key[]): string => (path.length === 0 ? "the only node" : `(${path.map(show).join(", ")})`);

function pathOf(codes: Codes, dictionaries: ClosedTree["dictionaries"], node: number): Key[] {
  return codes.map((column, i) => dictionaries[i]![column[node]!]!);
}

/** A node's keys, outermost first. */
export function closedPath(tree: ClosedTree, level: number, node: number): Key[] {
  return pathOf(tree.levels[level]!.codes, tree.dictionaries, node);
}

/** How the nodes of a level were reduced. */
export function reducedOf(tree: ClosedTree, level: number): Reduced {
  const { reduce, ddof } = tree.levels[level]!;
  return { reduce, ddof, nan: tree.nan };
}

/** The value of a node for one output; levels inside the one with the weight matrix have one value for all. */
export function closedValue({ values, outputs, nodes }: ClosedLevel, node: number, output: number): number {
  return values[(outputs === 1 ? 0 : output) * nodes + node]!;
}

/** Why a node's children are not there to be opened; undefined if they are. */
export function whyClosed(tree: ClosedTree, level: number, output: number): string | undefined {
  const { name, gap, outputs } = tree.levels[level]!;
  const inner = tree.levels[level - 1];
  if (inner === undefined) return `level "${name}" is the innermost of the result`;
  if (gap) return `the level inside "${name}" was not kept`;
  return outputs > inner.outputs && output > 0
    ? `level "${name}" has a matrix of weights, of which a result holds those of output 0`
    : undefined;
}

/** The children of a node for one output, as views. The level inside has to be there. */
export function closedChildren(tree: ClosedTree, level: number, node: number, output: number): ClosedChildren {
  const starts = tree.levels[level]!.starts!;
  const inner = tree.levels[level - 1]!;
  const from = starts[node]!;
  const to = starts[node + 1]!;
  const plane = (inner.outputs === 1 ? 0 : output) * inner.nodes;
  return {
    values: inner.values.subarray(plane + from, plane + to),
    weights: inner.weights?.subarray(from, to),
    counts: inner.counts.subarray(from, to),
  };
}
