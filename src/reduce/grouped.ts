/** Records that a source has grouped already: what a job (such as a loaded spec) reads, as a chain and a tree. */
import type { TypedData } from "../types.ts";
import { type Chain, chain } from "./chain.ts";
import type { LevelKeys } from "./group.ts";
import type { Key } from "./key.ts";
import { count, max, mean, min, type Reduction, sum, variance, weightedMean, weightedSum } from "./reductions.ts";
import { raggedTree, type Tree } from "./tree.ts";
import type { WeightsInput } from "./weights.ts";

/** One level of a grouped table; its nodes in ascending order of key (contract clause 10a). */
export interface GroupedLevel {
  readonly name: string;
  /** The key columns of its nodes, outermost first. */
  readonly keyNames: readonly string[];
  /** One column for each key name, one entry for each node. */
  readonly keys: readonly (readonly Key[])[];
  readonly nodes: number;
  /** nodes + 1 offsets: level 0 cuts the values into nodes, level i cuts the nodes of level i − 1. */
  readonly offsets: Uint32Array;
  readonly reduce: "sum" | "mean" | "min" | "max" | "count" | "variance" | "weightedSum" | "weightedMean";
  readonly ddof?: number;
  /** One weight for each child, in the children's order; or the word "count"; or one list that every node shares. */
  readonly weights?: Float64Array | "count" | readonly number[];
}

/** Records grouped for a chain, innermost level first. The order of records inside a node does not matter. */
export interface GroupedTable {
  readonly values: TypedData;
  readonly records: number;
  readonly levels: readonly GroupedLevel[];
  /** Milliseconds that reading took. */
  readonly readMs: number;
  /** Bytes that were copied on this side of a process border; none without one. */
  readonly bytesCopied?: number;
  /** What was left out of it, where that was asked for. */
  readonly rejected?: RejectedRows;
}

/** A row, or a whole file, that a table was read without. */
export interface RejectedRow {
  /** The file. */
  readonly source: string;
  /** Its line, from 1, and the byte it starts at, from 0; null where the format has no lines, or for a whole file. */
  readonly line: number | null;
  readonly byte: number | null;
  /** Its number among the rows of the source, from 0, where it has no line. */
  readonly row: number | null;
  readonly column: string | null;
  readonly code: string;
  readonly message: string;
  /** What stood there, cut after some kilobytes. */
  readonly text: string | null;
}

/** How much was left out of a table. */
export interface RejectedRows {
  readonly rows: number;
  readonly files: number;
  /** The first few. */
  readonly first: readonly RejectedRow[];
}

/** The chain and the tree of a grouped table. @throws FourfoldError ERR_FOURFOLD_WEIGHTS, ERR_FOURFOLD_OFFSETS */
export function readGrouped({ values, levels }: GroupedTable): {
  readonly chain: Chain;
  readonly tree: Tree;
  readonly keys: readonly LevelKeys[];
} {
  const named = chain(Object.fromEntries(levels.map((level) => [level.name, reductionOf(level)])));
  const tree = raggedTree(
    named,
    levels.map(({ offsets }) => offsets),
    values.length,
    "records",
  );
  return {
    chain: named,
    tree: levels.at(-1)!.keyNames.length === 0 ? { ...tree, frames: [] } : tree,
    keys: levels.map(({ keyNames, keys }) => ({ names: keyNames, columns: keys })),
  };
}

/** The reduction of a level, with its weights. */
export function reductionOf({ reduce, ddof, weights }: Pick<GroupedLevel, "reduce" | "ddof" | "weights">): Reduction {
  const given: WeightsInput = weights instanceof Float64Array ? { perNode: weights } : (weights ?? []);
  switch (reduce) {
    case "weightedSum":
      return weightedSum(given);
    case "weightedMean":
      return weightedMean(given);
    case "variance":
      return variance(ddof === undefined ? {} : { ddof });
    default:
      return { sum, mean, min, max, count }[reduce]();
  }
}
