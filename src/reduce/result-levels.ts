/** What the kept levels of a run are, beside their nodes: how they reduce, and what the parts of their paths are called. Names and shapes only. */
import type { FittedLevel } from "./resolve.ts";
import type { Levels } from "./result.ts";
import type { Tree } from "./tree.ts";

/** A kept level of a result. */
export interface ResultLevel {
  readonly name: string;
  /** Its place in the chain; 0 is the innermost. */
  readonly index: number;
  /** Its reduction: the name of a built-in, or that of a user's. */
  readonly reduce: string;
  /** Delta degrees of freedom, of a variance. */
  readonly ddof: number | undefined;
  /** Whether its reduction weighs its children. */
  readonly weighted: boolean;
  /** Whether its parent's reduction weighs its nodes: then each has a `weight`. */
  readonly weighs: boolean;
  /**
   * What the parts of its nodes' paths are called, outermost first: the key columns; or for rows `frame` (`frame0`, `frame1` … where there
   * are several axes of frames), then the levels inside the outermost, down to its own.
   */
  readonly keys: readonly string[];
  /** Values of each node: 1, or the rows of the weight matrix at this level or inside it. */
  readonly outputs: number;
  /** Its nodes as an array: one axis for each part of the path where all nodes have as many children, otherwise one axis. */
  readonly shape: readonly number[];
}

/** What the views of a run's result read. */
export interface RunLevels extends Levels {
  readonly weighing: readonly FittedLevel[];
}

/** The levels that have values, innermost first. */
export function resultLevels({ tree, values, keys, weighing }: RunLevels): ResultLevel[] {
  const left = tree.levels.length - weighing.length; // inner levels that are left out were not kept
  const names = tree.levels.map(({ name }) => name);
  return tree.levels.flatMap(({ name }, index): ResultLevel[] => {
    const kept = values[index];
    if (kept === undefined) return [];
    const { reduction, weights } = weighing[index - left]!;
    const parent = weighing[index + 1 - left];
    return [
      {
        name,
        index,
        reduce: reduction.name,
        ddof: reduction.kind === "variance" ? (reduction.ddof ?? 0) : undefined,
        weighted: weights.form !== "none",
        weighs: parent !== undefined && parent.weights.form !== "none",
        keys: keys?.[index]?.names ?? indexNames(names, index, tree.frames.length),
        outputs: kept.outputs,
        shape: shapeOf(tree, index),
      },
    ];
  });
}

/** What the indices of a node's path are called: of its frame, then of each level around it inside the outermost, and its own. */
export function indexNames(levels: readonly string[], index: number, frames: number): string[] {
  const ofFrames = frames === 1 ? ["frame"] : Array.from({ length: frames }, (_, axis) => `frame${axis}`);
  return [...ofFrames, ...levels.slice(index, -1).reverse()];
}

function shapeOf({ form, frames, levels }: Tree, index: number): readonly number[] {
  const around = levels.slice(index + 1);
  if (around.length === 0) return frames;
  if (form === "records" || around.some(({ extent }) => extent === undefined)) return [levels[index]!.nodes];
  return [...frames, ...around.map(({ extent }) => extent!).reverse()];
}
