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
