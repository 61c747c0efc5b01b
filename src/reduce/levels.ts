/** The levels of a fitted chain, one after the other, node by node: the numeric contract in plain loops. */
import type { NanPolicy } from "../types.ts";
import type { Chain } from "./chain.ts";
import { type NodeRules, reduceNode } from "./node.ts";
import { sum } from "./reductions.ts";
import { builtIn, type Fitted, type FittedLevel, sumRules } from "./resolve.ts";
import type { LevelValues } from "./result.ts";
import { childStart } from "./tree.ts";
import { reduceUser } from "./user.ts";

/** The chain over nodes of level f that are closed already: each node stands for its records, as the one child of itself. */
export function levelFAsSum({ levels }: Chain): Chain {
  return { levels: levels.map((level, i) => (i === 0 ? { ...level, reduction: sum() } : level)) };
}

/** Closed nodes as the children of the level above them: under skip a node without records is missing (clause 10). */
export function asChildren({ values, records }: Pick<LevelValues, "values" | "records">, nan: NanPolicy): Children {
  const missing = nan === "skip" && records !== undefined;
  return { values: missing ? values.map((value, i) => (records[i] === 0 ? Number.NaN : value)) : values, records };
}

/** Where reducing starts: the children of one level. */
export interface Children {
  /** Their values; NaN for one that is missing, which its parent skips under `skip`. */
  readonly values: ArrayLike<number>;
  /** The kept records below each; undefined where every child is one. */
  readonly records: ArrayLike<number> | undefined;
}

/** Reduces level `first` of a fitted chain and all levels above it. Gives their values, in that order. */
export function reduceLevels(fitted: Fitted, first: number, children: Children): LevelValues[] {
  const skip = fitted.nan === "skip";
  const reduced: LevelValues[] = [];
  let carried = children.values;
  let { records } = children; // plane by plane, as the values are
  let planes = 1;
  for (let index = first; index < fitted.levels.length; index++) {
    const level = fitted.levels[index]!;
    const { nodes, children } = level;
    const outputs = level.weights.form === "matrix" ? level.weights.rows : planes;
    const values = new Float64Array(outputs * nodes);
    const next = new Float64Array(outputs * nodes);
    const below = new Float64Array(outputs * nodes);
    const rules = { ...sumRules(fitted, index), skip };
    for (let node = 0; node < nodes; node++) {
      const start = childStart(level, node);
      const n = childStart(level, node + 1) - start;
      for (let r = 0; r < outputs; r++) {
        const at = r * nodes + node;
        const plane = planes === 1 ? 0 : r * children;
        const value = (i: number): number => carried[plane + start + i]!;
        const count = (i: number): number => (records ? records[plane + start + i]! : 1);
        // The records below a node are those below its kept children; under `skip` a node with none is missing.
        for (let i = 0; i < n; i++) if (!(skip && Number.isNaN(value(i)))) below[at]! += count(i);
        values[at] = reduceOne(level, n, value, weightOf(level, r, start, count), rules, node);
        next[at] = skip && below[at] === 0 ? Number.NaN : values[at]!;
      }
    }
    reduced.push({ values, outputs, records: below.subarray(0, nodes) });
    carried = next;
    records = below;
    planes = outputs;
  }
  return reduced;
}

function reduceOne(
  level: FittedLevel,
  n: number,
  value: (i: number) => number,
  weight: (i: number) => number,
  rules: NodeRules,
  node: number,
): number {
  const kind = builtIn(level);
  if (kind === undefined) return reduceUser(level.reduction.user!, n, value, rules.skip, { level: level.name, node });
  return reduceNode(kind, level.reduction.ddof ?? 0, n, value, weight, rules);
}

/** The weight of child i of the node that starts at child `start`, for output r; `count` gives the records below it. */
function weightOf({ weights }: FittedLevel, r: number, start: number, count: (i: number) => number): (i: number) => number {
  switch (weights.form) {
    case "none":
      return () => 1;
    case "shared":
      return (i) => weights.values[i]!;
    case "perNode":
      return (i) => weights.values[(start + i) % weights.values.length]!;
    case "matrix":
      return (i) => weights.values[r * weights.extent + i]!;
    case "count":
      return count;
  }
}
