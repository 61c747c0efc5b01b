/** A table that its source has rolled up by itself: all levels are closed, and what was kept of them can be looked at. */
import type { ClimbedLevel } from "./climb.ts";
import type { LevelKeys } from "./group.ts";
import { type GroupedLevel, reductionOf } from "./grouped.ts";
import type { Key } from "./key.ts";
import type { FittedLevel, FittedWeights } from "./resolve.ts";
import type { RunLevels } from "./result-levels.ts";
import type { TreeLevel } from "./tree.ts";

/** A level of a rolled-up table. */
export interface RolledLevel {
  readonly name: string;
  readonly reduction: string;
  readonly nodes: number;
}

/** See the head of this file. */
export interface RolledUp {
  readonly records: number;
  /** Innermost first. */
  readonly levels: readonly RolledLevel[];
  /** What views of the result read; the leaves are not there. */
  readonly views: RunLevels;
  /** Parts that the records were cut into by their keys. */
  readonly parts: number;
  /** Bytes that were on disk at most. */
  readonly spilledBytes: number;
  /** Milliseconds of reading and cutting, and of reducing. */
  readonly readMs: number;
  readonly reduceMs: number;
}

/** Of children that were not kept, or are records. */
const NO_WEIGHTS = new Float64Array(0);

/** What the views of a result read of levels that have been climbed; `keys` are those of kept levels. */
export function rolledViews(
  chain: readonly Pick<GroupedLevel, "name" | "reduce" | "ddof">[],
  records: number,
  climbed: readonly ClimbedLevel[],
  keys: readonly LevelKeys[],
  single: boolean,
): RunLevels {
  const levels = climbed.map(({ nodes, kept }, i): TreeLevel => {
    // Which children are whose is known where both levels were kept.
    const known = i > 0 && kept !== undefined && climbed[i - 1]!.kept !== undefined;
    return {
      name: chain[i]!.name,
      nodes,
      children: i === 0 ? records : climbed[i - 1]!.nodes,
      extent: undefined,
      offsets: known ? Uint32Array.from(kept.offsets) : undefined,
    };
  });
  return {
    tree: { form: "records", leaves: records, levels, frames: single ? [] : [climbed.at(-1)!.nodes] },
    values: climbed.map(({ kept }) => kept && { values: kept.values, outputs: 1, records: kept.records }),
    keys,
    leaves: undefined,
    leavesFix: "The records of a table that does not fit in memory are not kept; select those of one node in the SQL",
    order: undefined,
    weighing: levels.map((level, i): FittedLevel => {
      const { reduce, ddof } = chain[i]!;
      const weighted = reduce === "weightedSum" || reduce === "weightedMean";
      const weights: FittedWeights = weighted ? { form: "perNode", values: climbed[i - 1]?.kept?.weights ?? NO_WEIGHTS } : { form: "none" };
      return { ...level, reduction: reductionOf({ reduce, ...(ddof !== undefined && { ddof }) }), weights };
    }),
  };
}

/** A column of keys; with one integer beyond 2^53 it is a column of bigints, as its keys have one type. */
export function oneType(column: readonly Key[]): readonly Key[] {
  if (!column.some((key) => typeof key === "bigint")) return column;
  return column.map((key) => (typeof key === "number" ? BigInt(key) : key));
}
