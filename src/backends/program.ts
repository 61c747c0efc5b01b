/**
 * A program: a fitted chain as addresses and counts in one kernel memory, so that it can be posted to workers once
 * and walked many times. Plain data; walk.ts runs it.
 */
import { ExactSum } from "../reduce/exact.ts";
import { laneSum } from "../reduce/lanes.ts";
import type { BuiltIn } from "../reduce/reductions.ts";
import { builtIn, type Fitted, type FittedLevel, type FittedWeights, sumRules } from "../reduce/resolve.ts";
import type { Stratum } from "../reduce/strata.ts";
import { childStart } from "../reduce/tree.ts";
import type { Dtype } from "../types.ts";
import type { Block, Heap, Heaps } from "./memory.ts";

/** Units closed by one kernel call: enough to hide the call, few enough to stay in the first-level cache. */
export const UNITS_PER_CALL = 1024;

/** Values that a pass over children in scratch memory may hold, unless one unit alone has more: 16 KiB of float64. */
export const CHILDREN_PER_CALL = 2048;

/** Bytes that the exact kernels ask for their accumulator. */
export const ACCUMULATOR_BYTES = 4096;

/** Where the weight of a child is found. */
export type WeightPlace =
  | { readonly form: "none" }
  | { readonly form: "shared" | "matrix"; readonly at: number; readonly extent: number }
  | { readonly form: "perNode"; readonly at: number; readonly length: number }
  /** The records plane of the children, which only a run knows. */
  | { readonly form: "records" };

/** A user's reduction by the module that exports it; without a module it is known on the calling thread alone. */
export interface UserPlace {
  readonly name: string;
  readonly module: string | undefined;
}

/** One stratum of a program. */
export interface Step {
  readonly level: number;
  readonly name: string;
  readonly kind: BuiltIn | "user";
  readonly blocks: boolean;
  /** True where this step closes rows from their blocks. */
  readonly joins: boolean;
  readonly sums: "lanes" | "exact";
  readonly quotient: "rounded" | "real";
  /** True where a child may be NaN and is then skipped: never at integer leaves. */
  readonly skips: boolean;
  readonly ddof: number;
  readonly units: number;
  readonly extent: number | undefined;
  /** Address of the offsets, where there are any. */
  readonly offsetsAt: number;
  readonly offsets: Uint32Array | undefined;
  readonly childrenMax: number;
  readonly weights: WeightPlace;
  /** Σ w of each output, where it is the same for every node. */
  readonly weightSums: readonly number[] | undefined;
  readonly outputs: number;
  /** For blocks: the row's extent where rows are equal, to find a block's place in shared weights. */
  readonly rowExtent: number;
  readonly user: UserPlace | undefined;
}

/** A program: posted to workers once. */
export interface Program {
  readonly id: number;
  readonly heap: number;
  readonly dtype: Dtype;
  readonly skip: boolean;
  readonly refuseNan: boolean;
  readonly steps: readonly Step[];
  /** From which step (−1: the leaves) to which, for each phase. */
  readonly phases: readonly { readonly from: number; readonly to: number }[];
  /** The step's planes of values are stored whole, by an address in the run's words. */
  readonly stored: readonly boolean[];
  /** Bytes of scratch one walker needs. */
  readonly scratchBytes: number;
}

/** A program and the memory it holds. */
export interface Placed {
  readonly program: Program;
  readonly blocks: readonly Block[];
}

/** What the planner decided about a program. */
export interface Layout {
  readonly phases: Program["phases"];
  readonly stored: readonly boolean[];
}

/** Places a fitted chain in a heap. @throws FourfoldError ERR_FOURFOLD_MEMORY */
export function place(
  id: number,
  fitted: Fitted,
  strata: readonly Stratum[],
  layout: Layout,
  dtype: Dtype,
  heaps: Heaps,
  heap: Heap,
): Placed {
  const blocks: Block[] = [];
  const put = (values: Float64Array | Uint32Array): number => {
    const block = heaps.allocate(values.byteLength, heap);
    blocks.push(block);
    const dtypeOfCopy = values instanceof Float64Array ? "f64" : "i32";
    heap.view(dtypeOfCopy, block.at, values.length).set(values);
    return block.at;
  };
  const skip = fitted.nan === "skip";
  let outputs = 1;
  try {
    const steps = strata.map((stratum): Step => {
      const level = fitted.levels[stratum.level]!;
      const kind = builtIn(level);
      const skips = skip && (stratum.level > 0 || dtype === "f32" || dtype === "f64");
      const joins = strata.indexOf(stratum) > 0 && stratum.level === 0;
      if (level.weights.form === "matrix") outputs = level.weights.rows;
      const weights = joins ? ({ form: "none" } as const) : placeWeights(level, fitted, skip, put);
      return {
        level: stratum.level,
        name: level.name,
        kind: kind ?? "user",
        blocks: stratum.blocks,
        joins,
        ...sumRules(fitted, stratum.level),
        skips,
        ddof: level.reduction.ddof ?? 0,
        units: stratum.units,
        extent: stratum.extent,
        offsetsAt: stratum.offsets ? put(stratum.offsets) : 0,
        offsets: stratum.offsets,
        childrenMax: stratum.childrenMax,
        weights,
        weightSums: skips ? undefined : weightSums(level, fitted),
        outputs,
        rowExtent: level.extent ?? 0,
        user: level.reduction.user && { name: level.reduction.name, module: level.reduction.user.module },
      };
    });
    const program = { id, heap: heap.index, dtype, skip, refuseNan: fitted.nan === "error", steps, ...layout, scratchBytes: 0 };
    return { program: { ...program, scratchBytes: scratchBytes(program) }, blocks };
  } catch (error) {
    for (const block of blocks) heaps.free(block);
    throw error;
  }
}

/** Planes of values a step writes: its outputs, then what its parent needs beside them. */
export function planesOf(step: Step, skip: boolean): number {
  if (!step.blocks) return step.outputs + (skip ? 1 : 0);
  return step.outputs + denominatorPlanes(step) + (skip ? 1 : 0);
}

/** Planes of Σ w that differ from node to node: where children are skipped each output has its own. */
export function denominatorPlanes(step: Step): number {
  if (step.kind !== "weightedMean" || step.weightSums !== undefined) return 0;
  return step.skips ? step.outputs : 1;
}

function placeWeights(
  { weights, nodes, extent }: FittedLevel,
  fitted: Fitted,
  skip: boolean,
  put: (values: Float64Array) => number,
): WeightPlace {
  switch (weights.form) {
    case "none":
      return weights;
    case "shared":
    case "matrix":
      return { form: weights.form, at: put(weights.values), extent: nodes === 0 ? (extent ?? 0) : extent! };
    case "perNode":
      return { form: "perNode", at: put(weights.values), length: weights.values.length };
    case "count": {
      if (skip) return { form: "records" };
      const values = recordsBelow(fitted, weights);
      return { form: "perNode", at: put(values), length: values.length };
    }
  }
}

/** The records below each child of the level with these weights, where no child is skipped. */
function recordsBelow(fitted: Fitted, weights: FittedWeights): Float64Array {
  const at = fitted.levels.findIndex((level) => level.weights === weights);
  const leaf = (node: number): number => {
    let position = node;
    for (let i = at - 1; i >= 0; i--) position = childStart(fitted.levels[i]!, position);
    return position;
  };
  return Float64Array.from({ length: fitted.levels[at]!.children }, (_, child) => leaf(child + 1) - leaf(child));
}

function weightSums(level: FittedLevel, fitted: Fitted): number[] | undefined {
  const { weights } = level;
  if (level.reduction.kind !== "weightedMean" || (weights.form !== "shared" && weights.form !== "matrix")) return undefined;
  const rules = sumRules(fitted, fitted.levels.indexOf(level));
  const rows = weights.form === "matrix" ? weights.rows : 1;
  const extent = weights.values.length / rows;
  return Array.from({ length: rows }, (_, r) => {
    const row = weights.values.subarray(r * extent, (r + 1) * extent);
    return rules.sums === "lanes" ? laneSum(extent, (i) => row[i]!) : exact(row);
  });
}

function exact(values: Float64Array): number {
  const sum = new ExactSum();
  for (const value of values) sum.add(value);
  return sum.value();
}

function scratchBytes(program: Omit<Program, "scratchBytes">): number {
  let bytes = ACCUMULATOR_BYTES;
  program.steps.forEach((step, s) => {
    // The values of the step's children, if they are not stored whole; and the planes it divides by.
    if (s > 0 && !program.stored[s - 1])
      bytes += 8 * planesOf(program.steps[s - 1]!, program.skip) * Math.max(CHILDREN_PER_CALL, step.childrenMax) + 64;
    bytes += 8 * UNITS_PER_CALL * (step.outputs + 2 + 6) + 64;
  });
  return Math.ceil(bytes / 64) * 64;
}
