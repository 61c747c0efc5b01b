/**
 * A program: a fitted chain as addresses and counts in one kernel memory, so that it can be posted to workers once
 * and walked many times. Plain data; walk.ts runs it.
 */
import { BLOCK } from "../reduce/lanes.ts";
import type { BuiltIn } from "../reduce/reductions.ts";
import { builtIn, type Fitted, type FittedLevel, type FittedWeights, sumRules } from "../reduce/resolve.ts";
import type { Stratum } from "../reduce/strata.ts";
import { childStart } from "../reduce/tree.ts";
import type { Dtype, FileSegment } from "../types.ts";
import { MOMENTS_WORDS, OVERREAD_BYTES, SCRATCH_BYTES } from "./kernels.ts";
import type { Block, Heap, Heaps } from "./memory.ts";

/** Units closed by one kernel call: enough to hide the call, few enough to stay in the first-level cache. */
export const UNITS_PER_CALL = 1024;

/** Values that a pass over children in scratch memory may hold, unless one unit alone has more: 16 KiB of float64. */
const CHILDREN_PER_CALL = 2048;

/** Where the weight of a child is found. */
export type WeightPlace =
  | { readonly form: "none" }
  | { readonly form: "shared" | "matrix"; readonly at: number; readonly extent: number }
  | { readonly form: "perNode"; readonly at: number; readonly length: number }
  /** The records planes of the children, which only a run knows. */
  | { readonly form: "records" };

/** A user's reduction by the module that exports it; without a module it is known on the calling thread alone. */
export interface UserPlace {
  readonly name: string;
  readonly module: string | undefined;
}

/** Where the leaves of a program lie in files. File descriptors are the process's, threads share them. */
export interface FilePlace {
  /** What messages call it. */
  readonly name: string;
  readonly segments: readonly FileSegment[];
  readonly bytesPerLeaf: number;
  /** Bytes of the buffer that each walker reads into. */
  readonly pieceBytes: number;
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
  /** Where units differ in extent: the address of units + 1 offsets. They are in the memory alone, so posting a program copies none. */
  readonly offsetsAt: number;
  readonly childrenMax: number;
  readonly weights: WeightPlace;
  /** Σ w of each output, where it is the same for every node. */
  readonly weightSums: readonly number[] | undefined;
  readonly outputs: number;
  /**
   * Planes of the records kept below each unit, under `skip`; else 0. As many as its children have planes of values, since a child may be
   * NaN, and skipped, for one output and not for another.
   */
  readonly recordPlanes: number;
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
  /** Where the leaves lie, if in files. */
  readonly file?: FilePlace;
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
  readonly file?: FilePlace;
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
  try {
    const steps: Step[] = [];
    for (const stratum of strata) {
      const level = fitted.levels[stratum.level]!;
      const kind = builtIn(level);
      const skips = skip && (stratum.level > 0 || dtype === "f32" || dtype === "f64");
      const inside = steps.at(-1);
      const joins = inside?.blocks === true;
      const weights = joins ? ({ form: "none" } as const) : placeWeights(level, fitted, skip, put);
      const rules = sumRules(fitted, stratum.level);
      steps.push({
        level: stratum.level,
        name: level.name,
        kind: kind ?? "user",
        blocks: stratum.blocks,
        joins,
        ...rules,
        skips,
        ddof: level.reduction.ddof ?? 0,
        units: stratum.units,
        extent: stratum.extent,
        offsetsAt: stratum.offsets ? put(stratum.offsets) : 0,
        childrenMax: stratum.childrenMax,
        weights,
        weightSums: skips ? undefined : joins ? inside.weightSums : weightSums(level, weights, rules.sums, heaps, heap),
        outputs: stratum.outputs,
        recordPlanes: !skip ? 0 : stratum.level === 0 ? 1 : inside!.outputs,
        rowExtent: level.extent ?? 0,
        user: level.reduction.user && { name: level.reduction.name, module: level.reduction.user.module },
      });
    }
    const program = { id, heap: heap.index, dtype, skip, refuseNan: fitted.nan === "error", steps, ...layout };
    return { program: { ...program, scratchBytes: layScratch(program).bytes }, blocks };
  } catch (error) {
    for (const block of blocks) heaps.free(block);
    throw error;
  }
}

/** Planes of values a step writes: its outputs, then what its parent needs beside them. */
export function planesOf(step: Step): number {
  return step.outputs + (step.blocks ? denominatorPlanes(step) : 0) + step.recordPlanes;
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
  const records = new Float64Array(fitted.levels[at]!.children);
  for (let child = 0; child < records.length; child++) records[child] = leaf(child + 1) - leaf(child);
  return records;
}

/** Σ w of each row of a weighted mean's shared weights, by the kernels: in lanes at level f of rows, else exact. */
function weightSums(
  { reduction, weights }: FittedLevel,
  placed: WeightPlace,
  sums: Step["sums"],
  heaps: Heaps,
  heap: Heap,
): number[] | undefined {
  if (reduction.kind !== "weightedMean" || (placed.form !== "shared" && placed.form !== "matrix")) return undefined;
  const rows = weights.form === "matrix" ? weights.rows : 1;
  const n = (weights as { readonly values: Float64Array }).values.length / rows;
  const whole = Math.floor(n / BLOCK);
  const room = heaps.allocate(SCRATCH_BYTES + 8 * (whole + 2), heap);
  try {
    const out = room.at + SCRATCH_BYTES;
    const blocks = out + 8;
    const exact = heap.kernels.dense("exactSum", "f64");
    const lanes = heap.kernels.dense("sum", "f64");
    return Array.from({ length: rows }, (_, r) => {
      const row = placed.at + 8 * n * r;
      if (sums === "exact") exact(row, 1, n, 0, 0, out, room.at);
      else {
        lanes(row, whole, BLOCK, 0, 0, blocks, room.at);
        lanes(row + 8 * BLOCK * whole, 1, n - BLOCK * whole, 0, 0, blocks + 8 * whole, room.at);
        exact(blocks, 1, whole + 1, 0, 0, out, room.at);
      }
      return heap.view("f64", out, 1)[0]!;
    });
  } finally {
    heaps.free(room);
  }
}

/** What a walker keeps in scratch memory, by distances from its start; the kernels' own comes first. */
export interface Scratch {
  /** For each step: the planes of its children, where they are not stored whole. */
  readonly below: readonly number[];
  /** For each step: the planes it divides by, or its units' moments. */
  readonly aside: readonly number[];
  readonly bytes: number;
}

/** Lays out the scratch of one walker. */
export function layScratch({ steps, stored }: Pick<Program, "steps" | "stored">): Scratch {
  let bytes = SCRATCH_BYTES;
  const take = (words: number): number => {
    const at = bytes;
    bytes = Math.ceil((at + 8 * words + OVERREAD_BYTES) / 64) * 64;
    return at;
  };
  const below: number[] = [];
  const aside: number[] = [];
  steps.forEach((step, s) => {
    const inside = steps[s - 1];
    const children = Math.max(childrenPerCall(inside), step.childrenMax);
    below.push(inside === undefined || stored[s - 1] ? 0 : take(planesOf(inside) * children));
    aside.push(take(UNITS_PER_CALL * Math.max(MOMENTS_WORDS, step.outputs)));
  });
  return { below, aside, bytes };
}

/** Children of one round of kernel calls, unless one unit alone has more, of a step above the step `inside`. */
export function childrenPerCall(inside: Step | undefined): number {
  return Math.max(1, Math.floor(CHILDREN_PER_CALL / (inside?.outputs ?? 1)));
}
