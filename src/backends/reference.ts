/**
 * The reference backend: the numeric contract in plain loops, level by level, node by node.
 * Not fast and not parallel: every other backend is compared with it.
 */
import { reduceLevels } from "../reduce/levels.ts";
import type { Fitted } from "../reduce/resolve.ts";
import type { LevelValues } from "../reduce/result.ts";
import type { TypedData } from "../types.ts";

/** Runs a fitted chain on data and returns all of its levels. */
export function runReference(fitted: Fitted, data: TypedData): LevelValues[] {
  return reduceLevels(fitted, 0, { values: data, records: undefined });
}
