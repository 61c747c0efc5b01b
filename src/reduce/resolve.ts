/** Fits a chain to a tree: each level's weights beside its children, in one form for every backend. */
import { FourfoldError, show } from "../errors.ts";
import type { Accuracy, NanPolicy } from "../types.ts";
import { type Chain, outputsOf } from "./chain.ts";
import type { LevelKeys } from "./group.ts";
import { type BuiltIn, mean, type Reduction, sum } from "./reductions.ts";
import { childStart, type Tree, type TreeLevel } from "./tree.ts";
import { type KeyedWeights, weightAt } from "./weights.ts";

/** The weights of one level, fitted to its children. Child c of a node that starts at child s weighs: */
export type FittedWeights =
  | { readonly form: "none" }
  /** values[c − s] */
  | { readonly form: "shared"; readonly values: Float64Array }
  /** values[c % values.length]: of all children, or of one frame's */
  | { readonly form: "perNode"; readonly values: Float64Array }
  /** values[r · extent + c − s] for output r */
  | { readonly form: "matrix"; readonly values: Float64Array; readonly rows: number; readonly extent: number }
  /** the records below child c */
  | { readonly form: "count" };

/** Records in the order of their groups: record `order[i]` stands at leaf i. */
export interface GroupedRecords {
  readonly order: Uint32Array;
  /** Records given, those that were left out for a null key included. */
  readonly records: number;
}

/** One level of a chain fitted to a tree. */
export interface FittedLevel extends TreeLevel {
  readonly reduction: Reduction;
  readonly weights: FittedWeights;
}

/** A chain fitted to a tree: all that a backend needs beside the data. It does not hold the chain itself, so that plans kept for a chain end with it. */
export interface Fitted {
  readonly tree: Tree;
  readonly levels: readonly FittedLevel[];
  readonly nan: NanPolicy;
  readonly accuracy: Accuracy;
  /** Rows of the weight matrix; undefined where the chain has none. */
  readonly outputs: number | undefined;
}

/** The shape of a chain's values: that of the frames, with the outputs of a weight matrix as the last axis. */
export function resultShape(frames: readonly number[], outputs: number | undefined): readonly number[] {
  return outputs === undefined ? frames : [...frames, outputs];
}

/** A built-in level's way of summing (clauses 2, 3, 6, 11). */
export interface SumRules {
  readonly sums: "lanes" | "exact";
  readonly quotient: "rounded" | "real";
}

/** How level `index` of a fitted chain sums. */
export function sumRules(fitted: Pick<Fitted, "tree" | "accuracy">, index: number): SumRules {
  const exact = fitted.accuracy === "exact";
  return { sums: index === 0 && fitted.tree.form === "rows" && !exact ? "lanes" : "exact", quotient: exact ? "real" : "rounded" };
}

/** The built-in kind of a level, or undefined for a user's reduction. */
export function builtIn(level: { readonly reduction: Reduction }): BuiltIn | undefined {
  return level.reduction.kind === "user" ? undefined : level.reduction.kind;
}

/**
 * Fits the chain's weights to the tree. Where records were grouped, `grouped` says which record stands at which leaf.
 * @throws FourfoldError ERR_FOURFOLD_WEIGHTS with level and axis; ERR_FOURFOLD_REDUCTION for records under a reduction that needs an order;
 * ERR_FOURFOLD_NAN for a NaN weight under `nan: "error"`
 */
export function fit(
  chain: Chain,
  tree: Tree,
  nan: NanPolicy,
  accuracy: Accuracy,
  grouped?: GroupedRecords,
  keys?: readonly LevelKeys[],
): Fitted {
  const levels = chain.levels.map((given, i): FittedLevel => {
    const level = tree.levels[i]!;
    const reduction = i === 0 ? leafCounts(given.reduction) : given.reduction;
    const axis = tree.frames.length + chain.levels.length - 1 - i;
    if (reduction.user && tree.form === "records" && !reduction.user.orderFree)
      throw new FourfoldError(
        "ERR_FOURFOLD_REDUCTION",
        `level "${level.name}": reduction "${reduction.name}" needs an order, and records have none`,
        {
          fix: "Define it with orderFree: true if the order of children cannot change its result, or give rows",
          at: { level: level.name },
        },
      );
    const frame = frameOf(tree, i);
    const weights =
      reduction.weights?.form === "byKey"
        ? fitKeyed(reduction.weights, level, i === 0 ? undefined : keys?.[i - 1])
        : fitWeights(reduction, level, axis, frame, i === 0 ? grouped : undefined);
    if (nan === "error") refuseNan(weights, level);
    return { ...level, reduction, weights };
  });
  return { tree, levels, nan, accuracy, outputs: outputsOf(chain) };
}

/** At the leaves "count" weighs each child 1, which is the unweighted reduction. */
export function leafCounts(reduction: Reduction): Reduction {
  if (reduction.weights?.form !== "count") return reduction;
  return reduction.kind === "weightedSum" ? sum() : mean();
}

/** Weights by key as one for each child; `keys` are those of the level inside, undefined where children have none. */
function fitKeyed(weights: KeyedWeights, level: TreeLevel, keys: LevelKeys | undefined): FittedWeights {
  if (keys === undefined)
    throw new FourfoldError("ERR_FOURFOLD_WEIGHTS", `level "${level.name}": weights by key, and its children have no keys`, {
      given: "byKey",
      fix: "Weights by key are for levels above level f of keyed records: give { values, keys }, or weights by position",
      at: { level: level.name },
    });
  const values = new Float64Array(level.children);
  for (let child = 0; child < values.length; child++) {
    const path = keys.columns.map((column) => column[child]!);
    const weight = weightAt(weights, path);
    if (weight === undefined)
      throw new FourfoldError("ERR_FOURFOLD_WEIGHTS", `level "${level.name}": no weight for the child (${path.map(show).join(", ")})`, {
        given: path,
        fix: "Give it one, or say what those have that are not named: { byKey, missing: 0 } or 1; a stream takes setWeights(level, { byKey, missing })",
        at: { level: level.name, index: child },
      });
    values[child] = weight;
  }
  return { form: "perNode", values };
}

/** The children that one frame has at a level, where all frames are alike. */
function frameOf({ levels, frames }: Tree, index: number): number | undefined {
  if (frames.length === 0) return undefined;
  return levels
    .slice(index)
    .reduce<number | undefined>((product, { extent }) => (product === undefined || extent === undefined ? undefined : product * extent), 1);
}

function fitWeights(
  reduction: Reduction,
  level: TreeLevel,
  axis: number,
  frame: number | undefined,
  grouped: GroupedRecords | undefined,
): FittedWeights {
  const { weights } = reduction;
  if (weights === undefined || weights.form === "byKey") return { form: "none" };
  const given = weights.form === "count" ? 0 : weights.form === "matrix" ? weights.extent : weights.values.length;
  const refuse = (found: string, expected: number, fix: string): never => {
    throw new FourfoldError("ERR_FOURFOLD_WEIGHTS", `level "${level.name}" (axis ${axis}): ${found}, weights ${given}`, {
      given,
      expected,
      fix,
      at: { level: level.name, axis },
    });
  };
  switch (weights.form) {
    case "count":
      return weights;
    case "shared":
    case "matrix":
      if (grouped)
        return refuse(
          "records have no order",
          grouped.records,
          "Give { perNode: weights }, one for each record, or weigh an outer level, whose children are in order of key",
        );
      if (level.extent === undefined) {
        const node = firstOther(level, given);
        const extent = childStart(level, node + 1) - childStart(level, node);
        return refuse(
          `node ${node} has ${extent} children`,
          extent,
          "Shared weights need nodes of one length; give { perNode: weights } for ragged levels",
        );
      }
      if (level.extent !== given && level.nodes > 0)
        return refuse(`extent ${level.extent}`, level.extent, "Give one weight for each child of a node");
      return weights;
    case "perNode": {
      if (grouped) {
        if (given !== grouped.records) return refuse(`${grouped.records} records`, grouped.records, "Give one weight for each record");
        const values = new Float64Array(grouped.order.length);
        for (let leaf = 0; leaf < values.length; leaf++) values[leaf] = weights.values[grouped.order[leaf]!]!;
        return { form: "perNode", values };
      }
      if (given !== level.children && given !== frame)
        return refuse(`${level.children} children`, level.children, "Give one weight for each child of the level");
      return weights;
    }
  }
}

function firstOther(level: TreeLevel, extent: number): number {
  let node = 0;
  while (childStart(level, node + 1) - childStart(level, node) === extent) node++;
  return node;
}

function refuseNan(weights: FittedWeights, level: TreeLevel): void {
  if (!("values" in weights)) return;
  const { values } = weights;
  for (let index = 0; index < values.length; index++) {
    if (values[index] === values[index]) continue;
    throw new FourfoldError("ERR_FOURFOLD_NAN", `level "${level.name}": weight ${index} is NaN`, {
      fix: 'Give a number, or use nan: "propagate"',
      at: { level: level.name, index },
    });
  }
}
