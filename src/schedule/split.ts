/**
 * Cuts a fitted chain between devices: each gets a run of neighbouring nodes of one level and everything below them, as a fitted chain
 * of its own; the levels above, if any, are reduced from what the devices give back. Pure: it decides neither shares nor devices.
 */
import type { Fitted, FittedLevel, FittedWeights } from "../reduce/resolve.ts";
import { valuesBefore } from "../reduce/strata.ts";
import { childStart, type Tree, type TreeLevel } from "../reduce/tree.ts";
import { firstAtLeast } from "./partition.ts";

/** One device's piece. Its leaves are `first` … `last − 1` of the input. */
export interface Piece {
  readonly device: string;
  readonly fitted: Fitted;
  readonly first: number;
  readonly last: number;
}

/** A cut chain. */
export interface Split {
  readonly pieces: readonly Piece[];
  /** The level whose nodes were dealt out. */
  readonly level: number;
  /** The levels above it, over its nodes as leaves; undefined where it is the outermost. */
  readonly rest: Fitted | undefined;
}

/** A level is cut where it has this many nodes, so that shares come out within a few percent; further in the rest would only grow. */
const NODES_MIN = 32;

/** Why a fitted chain cannot be cut; undefined if it can. */
export function wholeReason(fitted: Fitted): string | undefined {
  if (fitted.levels[cutLevel(fitted)]!.nodes > 1) return undefined;
  return needsWholeFrames(fitted) ? "it has one frame, whose levels need the records that are kept below their children" : "it has one row";
}

/** Cuts a fitted chain into shares, which add up to 1. A share of too little for a node is left to the others. */
export function split(fitted: Fitted, shares: Readonly<Record<string, number>>): Split {
  const level = cutLevel(fitted);
  const pieces = cuts(fitted, level, shares).map(({ device, from, to }) => pieceOf(fitted, level, device, from, to));
  return { pieces, level, rest: level === fitted.levels.length - 1 ? undefined : restOf(fitted, level) };
}

/** What becomes of shares where whole nodes are dealt: the share of the leaves that each device really gets. */
export function deal(fitted: Fitted, shares: Readonly<Record<string, number>>): Record<string, number> {
  const level = cutLevel(fitted);
  const { leaves } = fitted.tree;
  const before = (node: number): number => valuesBefore(fitted.levels, -1, level, node);
  return Object.fromEntries(
    cuts(fitted, level, shares).map(({ device, from, to }) => [device, (before(to) - before(from)) / Math.max(1, leaves)]),
  );
}

/** The nodes of a level for each device: cut where the leaves before come nearest to what the shares say. */
function cuts(fitted: Fitted, level: number, shares: Readonly<Record<string, number>>): { device: string; from: number; to: number }[] {
  const { nodes } = fitted.levels[level]!;
  const before = (node: number): number => valuesBefore(fitted.levels, -1, level, node);
  // Where there is no leaf, nodes count.
  const work = fitted.tree.leaves > 0 ? before : (node: number): number => node;
  const total = work(nodes);
  const found: { device: string; from: number; to: number }[] = [];
  const entries = Object.entries(shares);
  let dealt = 0;
  let from = 0;
  for (const [i, [device, share]] of entries.entries()) {
    dealt += share;
    const to = i === entries.length - 1 ? nodes : Math.max(from, nearest(nodes, work, dealt * total));
    if (to > from) found.push({ device, from, to });
    from = to;
  }
  return found;
}

/** The node u with work(u) nearest to `wanted`. */
function nearest(nodes: number, work: (node: number) => number, wanted: number): number {
  const above = Math.min(nodes, firstAtLeast(nodes, work, wanted));
  return above > 0 && wanted - work(above - 1) < work(above) - wanted ? above - 1 : above;
}

/** The outermost level with nodes enough, or the frames, where a level above the cut could not go without what its pieces leave out. */
export function cutLevel(fitted: Fitted): number {
  let level = fitted.levels.length - 1;
  if (needsWholeFrames(fitted)) return level;
  while (level > 0 && fitted.levels[level]!.nodes < NODES_MIN) level--;
  return level;
}

/** True if an outer level reads more than its children's values (which are missing, how many records lie below them), or frames share weights. */
function needsWholeFrames({ levels, nan }: Fitted): boolean {
  if (nan === "skip") return true;
  return levels.some(
    ({ weights, children }) => weights.form === "count" || (weights.form === "perNode" && weights.values.length !== children),
  );
}

function pieceOf(fitted: Fitted, top: number, device: string, from: number, to: number): Piece {
  let lo = from;
  let hi = to;
  const levels: FittedLevel[] = [];
  for (let i = top; i >= 0; i--) {
    const level = fitted.levels[i]!;
    const first = childStart(level, lo);
    const last = childStart(level, hi);
    levels.unshift({
      ...level,
      nodes: hi - lo,
      children: last - first,
      offsets: level.offsets?.subarray(lo, hi + 1).map((offset) => offset - first),
      weights: weightsOf(level, first, last),
    });
    lo = first;
    hi = last;
  }
  const tree: Tree = { form: fitted.tree.form, leaves: hi - lo, levels: levels.map(bare), frames: [to - from] };
  return { device, fitted: { ...fitted, tree, levels, outputs: outputsOf(levels) }, first: lo, last: hi };
}

/** Weights for each child are cut like the children; those of one frame serve every frame, and frames are then cut whole. */
function weightsOf({ weights, children }: FittedLevel, first: number, last: number): FittedWeights {
  if (weights.form !== "perNode" || weights.values.length !== children) return weights;
  return { form: "perNode", values: weights.values.subarray(first, last) };
}

/**
 * The levels above the cut. Their sums are exact (contract clause 3), which the form says: its leaves are nodes, not rows. A NaN
 * among them is a value like any other: that the leaves have none was seen to below.
 */
function restOf(fitted: Fitted, level: number): Fitted {
  const levels = fitted.levels.slice(level + 1);
  const tree: Tree = { form: "records", leaves: levels[0]!.children, levels: levels.map(bare), frames: fitted.tree.frames };
  return { ...fitted, nan: "propagate", tree, levels, outputs: outputsOf(levels) };
}

function bare({ name, nodes, children, extent, offsets }: FittedLevel): TreeLevel {
  return { name, nodes, children, extent, offsets };
}

function outputsOf(levels: readonly FittedLevel[]): number | undefined {
  for (const { weights } of levels) if (weights.form === "matrix") return weights.rows;
  return undefined;
}
