/**
 * Walks a program over a range of units: fills each step's scratch from the step below and closes it while it is in cache,
 * so that every leaf is read from memory once. The same code runs on the calling thread and in workers;
 * who walks which range is the planner's and the pool's business.
 */
import { ExactSum, exactVariance } from "../reduce/exact.ts";
import { BLOCK } from "../reduce/lanes.ts";
import { nanLeaf } from "../reduce/nan.ts";
import { quotient, reduceNode } from "../reduce/node.ts";
import { PARTS_FLAG, quotientOfParts } from "../reduce/quotient.ts";
import type { ReductionDefinition } from "../reduce/reductions.ts";
import { unitStart, valuesBefore } from "../reduce/strata.ts";
import { reduceUser } from "../reduce/user.ts";
import type { Dtype, TypedData } from "../types.ts";
import {
  COUNTERS,
  COUNTERS_AT,
  type DenseKernel,
  type ExactMoments,
  type Family,
  type Kernels,
  MOMENTS_FLAG,
  MOMENTS_WORDS,
  PARTS_WORDS,
  type RaggedKernel,
} from "./kernels.ts";
import { BYTES } from "./memory.ts";
import { childrenPerCall, denominatorPlanes, layScratch, type Program, type Step, UNITS_PER_CALL } from "./program.ts";

/** The words of a run: where its data, its scratch and its stored steps lie. */
export const WORD = { data: 0, scratch: 1, stored: 2 } as const;

/** Leaves that several passes over them may share: 16 Ki values stay in the second-level cache. */
const LEAVES_PER_PASS = 16384;

/** The kernel memory a walker reads and writes. */
export interface Ground {
  readonly memory: WebAssembly.Memory;
  readonly kernels: Kernels;
}

/** The children of a range of units: where they would start if child 0 lay in memory, and the distance of their planes. */
interface Children {
  readonly x: number;
  readonly stride: number;
  readonly dtype: Dtype;
}

/** A step as a walker knows it. */
interface Stage extends Step {
  /** A view of those at `offsetsAt`. */
  readonly offsets: Uint32Array | undefined;
  /** Where its children's scratch and its temporary planes start, from the start of the scratch. */
  readonly below: number;
  readonly aside: number;
}

/** Finds a user's reduction by its step. */
export type FindUser = (step: Step) => ReductionDefinition<unknown>;

/** Runs one program on one memory. Not reentrant: one walker for each thread. */
export class Walker {
  readonly #ground: Ground;
  readonly #program: Program;
  readonly #findUser: FindUser;
  readonly #stages: readonly Stage[];
  #words: Float64Array = new Float64Array(WORD.stored);
  #from = -1;
  #view: Float64Array = new Float64Array(0);
  #words32: Uint32Array = new Uint32Array(0);
  /** Where the kernels' counters lie, in words of four bytes. */
  #counterAt = 0;
  /** What exact sums took since this walker was made, in the order of ExactWork. Slow blocks are those of level f under `"exact"`. */
  readonly counted: Float64Array = new Float64Array(COUNTERS);

  constructor(ground: Ground, program: Program, findUser: FindUser) {
    this.#ground = ground;
    this.#program = program;
    this.#findUser = findUser;
    const { below, aside } = layScratch(program);
    this.#stages = program.steps.map((step, s) => ({
      ...step,
      offsets: step.extent === undefined ? new Uint32Array(ground.memory.buffer, step.offsetsAt, step.units + 1) : undefined,
      below: below[s]!,
      aside: aside[s]!,
    }));
  }

  /** The leaves before a unit of the step that `phase` ends with. */
  leavesBefore(phase: number, unit: number): number {
    return valuesBefore(this.#stages, -1, this.#program.phases[phase]!.to, unit);
  }

  /** Where the units from `a` on end that have no leaf at `leafEnd` or after it; one unit at least, and none after `hi`. */
  unitsWithin(phase: number, a: number, hi: number, leafEnd: number): number {
    let low = a + 1;
    let high = hi;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.leavesBefore(phase, middle) <= leafEnd) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** A view of memory. */
  bytes(at: number, length: number): Uint8Array {
    return new Uint8Array(this.#ground.memory.buffer, at, length);
  }

  /** Computes units lo … hi − 1 of the step that `phase` ends with, into that step's stored planes. */
  walk(phase: number, lo: number, hi: number, words: Float64Array): void {
    const { from, to } = this.#program.phases[phase]!;
    this.#words = words;
    this.#from = from;
    this.#counterAt = (words[WORD.scratch]! + COUNTERS_AT) / 4;
    this.#u32().fill(0, this.#counterAt, this.#counterAt + COUNTERS);
    this.#fill(to, lo, hi, words[WORD.stored + to]! + 8 * lo, 8 * this.#stages[to]!.units);
  }

  /** Writes the planes of units lo … hi − 1 of step s, each plane `stride` bytes after the one before. */
  #fill(s: number, lo: number, hi: number, out: number, stride: number): void {
    const step = this.#stages[s]!;
    for (let a = lo; a < hi; ) {
      const b = this.#callEnd(s, step, a, hi);
      this.#close(s, step, a, b, this.#childrenOf(s, step, a, b), out + 8 * (a - lo), stride);
      a = b;
    }
  }

  /** The children of units a … b − 1, computed first where they are not there yet. */
  #childrenOf(s: number, step: Stage, a: number, b: number): Children {
    const words = this.#words;
    if (s === 0) return { x: words[WORD.data]!, stride: 0, dtype: this.#program.dtype };
    const first = unitStart(step, a);
    const last = unitStart(step, b);
    if (this.#program.stored[s - 1]) {
      const x = words[WORD.stored + s - 1]!;
      const stride = 8 * this.#stages[s - 1]!.units;
      if (s - 1 !== this.#from) this.#fill(s - 1, first, last, x + 8 * first, stride);
      return { x, stride, dtype: "f64" };
    }
    const at = words[WORD.scratch]! + step.below;
    const stride = 8 * (last - first);
    this.#fill(s - 1, first, last, at, stride);
    return { x: at - 8 * first, stride, dtype: "f64" };
  }

  /** Where the units that one round of kernel calls may close end. */
  #callEnd(s: number, step: Stage, a: number, hi: number): number {
    const passes = step.outputs > 1 || step.kind === "weightedMean" || step.kind === "variance" || this.#program.skip;
    const children = s > 0 ? childrenPerCall(this.#stages[s - 1]) : passes ? LEAVES_PER_PASS : Number.POSITIVE_INFINITY;
    let b = Math.min(hi, a + UNITS_PER_CALL);
    if (step.extent !== undefined) {
      if (step.extent > 0) b = Math.min(b, a + Math.max(1, Math.floor(children / step.extent)));
    } else {
      const offsets = step.offsets!;
      const limit = offsets[a]! + children;
      while (b > a + 1 && offsets[b]! > limit) b = a + ((b - a) >>> 1);
    }
    const { weights } = step;
    // A call's weights lie in one stretch: shared ones start again with each row of blocks, one frame's with each frame.
    if (step.blocks && (weights.form === "shared" || weights.form === "matrix")) return Math.min(b, this.#rowEnd(step, a));
    if (weights.form === "perNode") {
      const total = unitStart(step, step.units);
      if (weights.length < total) {
        const frame = (step.units * weights.length) / total;
        return Math.min(b, (Math.floor(a / frame) + 1) * frame);
      }
    }
    return b;
  }

  #rowEnd(step: Stage, a: number): number {
    const perRow = Math.ceil(step.rowExtent / BLOCK);
    return (Math.floor(a / perRow) + 1) * perRow;
  }

  #close(s: number, step: Stage, a: number, b: number, children: Children, out: number, stride: number): void {
    if (s === 0 && this.#program.refuseNan) this.#refuseNan(step, a, b, children);
    if (step.joins) this.#join(s, step, a, b, children, out, stride);
    else if (step.kind === "user") this.#closeSlowly(s, step, a, b, children, out, stride);
    else if (step.kind === "variance") this.#closeMoments(s, step, a, b, children, out, stride);
    else if (step.quotient === "real" && (step.kind === "mean" || step.kind === "weightedMean"))
      this.#closeQuotients(s, step, a, b, children, out, stride);
    else if (step.kind === "count") this.#counts(s, step, a, b, children, out, stride);
    else this.#closeSums(s, step, a, b, children, out, stride);
    if (!step.blocks && this.#program.skip) {
      if (!step.joins) this.#countRecords(s, step, a, b, children, out + step.outputs * stride, stride);
      this.#markMissing(step, b - a, out, stride);
    }
  }

  /** Sums, means and extremes by kernels. Blocks leave their divisors beside their sums, and rows divide. */
  #closeSums(s: number, step: Stage, a: number, b: number, children: Children, out: number, stride: number): void {
    const { kind, outputs, blocks } = step;
    const units = b - a;
    this.#numerators(s, step, a, b, children, out, stride);
    const by = blocks ? out + outputs * stride : this.#words[WORD.scratch]! + step.aside;
    const byStride = blocks ? stride : 8 * units;
    const planes = this.#denominators(s, step, a, b, children, by, byStride);
    if (blocks) {
      if (this.#program.skip) this.#countChildren(step, a, b, children, 0, step.skips, by + planes * byStride);
    } else if (kind === "weightedMean") this.#divide(step, units, out, stride, by, planes > 1 ? byStride : 0);
    else if (kind === "mean") {
      this.#counts(s, step, a, b, children, by, byStride);
      for (let r = 0; r < outputs; r++) this.#divideBy(units, out + r * stride, by + r * byStride);
    }
  }

  /** Each output's number of children, or of those that are kept. */
  #counts(s: number, step: Stage, a: number, b: number, children: Children, out: number, stride: number): void {
    for (let r = 0; r < step.outputs; r++) this.#countChildren(step, a, b, children, this.#planeOf(s, r), step.skips, out + r * stride);
  }

  /** Each output's sum, weighted sum or extreme. */
  #numerators(s: number, step: Stage, a: number, b: number, children: Children, out: number, stride: number): void {
    const { kind, weights } = step;
    const weighted = kind === "weightedSum" || kind === "weightedMean";
    const own = weights.form === "perNode" || weights.form === "records";
    const exact = step.sums === "exact";
    const family = (
      kind === "min" || kind === "max" ? kind : weighted ? (exact ? "exactWeightedSum" : "weightedSum") : exact ? "exactSum" : "sum"
    ) satisfies Family;
    const kernel = step.skips ? (`${family}Skip` as const) : family;
    for (let r = 0; r < step.outputs; r++) {
      const x = children.x + this.#planeOf(s, r) * children.stride;
      const w = weighted ? this.#weightsAt(s, step, r, a, children) : 0;
      this.#call(kernel, step, a, b, x, children.dtype, w, own, out + r * stride);
    }
  }

  /** Σ w where it differs from node to node: how many planes of it. */
  #denominators(s: number, step: Stage, a: number, b: number, children: Children, out: number, stride: number): number {
    const planes = denominatorPlanes(step);
    const own = step.weights.form === "perNode" || step.weights.form === "records";
    const exact = step.sums === "exact";
    for (let r = 0; r < planes; r++) {
      const w = this.#weightsAt(s, step, r, a, children);
      const x = children.x + this.#planeOf(s, r) * children.stride;
      if (step.skips) this.#call(exact ? "exactWeightSkip" : "weightSkip", step, a, b, x, children.dtype, w, own, out + r * stride);
      else this.#call(exact ? "exactSum" : "sum", step, a, b, this.#asChildren(step, w, a), "f64", 0, false, out + r * stride);
    }
    return planes;
  }

  /** Closes rows from the planes of their blocks. */
  #join(s: number, step: Stage, a: number, b: number, children: Children, out: number, stride: number): void {
    const { kind, outputs } = step;
    const units = b - a;
    const skip = this.#program.skip;
    const aside = this.#words[WORD.scratch]! + step.aside;
    const extreme = kind === "min" || kind === "max";
    // A block with no kept child has no extreme: its NaN says nothing about the row.
    const family = extreme ? (skip ? (`${kind}Skip` as const) : kind) : "exactSum";
    for (let r = 0; r < outputs; r++) this.#call(family, step, a, b, children.x + r * children.stride, "f64", 0, false, out + r * stride);
    const denominators = denominatorPlanes(this.#stages[s - 1]!);
    for (let r = 0; r < denominators; r++)
      this.#call("exactSum", step, a, b, children.x + (outputs + r) * children.stride, "f64", 0, false, aside + 8 * units * r);
    const kept = out + outputs * stride;
    if (skip) this.#call("exactSum", step, a, b, children.x + (outputs + denominators) * children.stride, "f64", 0, false, kept);
    if (kind === "weightedMean") this.#divide(step, units, out, stride, aside, denominators > 1 ? 8 * units : 0);
    else if (kind === "mean") {
      if (!skip) this.#f64().fill(step.rowExtent, aside / 8, aside / 8 + units);
      if (!skip && step.rowExtent === 0) this.#fillRowLengths(step, a, b, aside);
      for (let r = 0; r < outputs; r++) this.#divideBy(units, out + r * stride, skip ? kept : aside);
    }
  }

  /** The lengths of ragged rows that were cut into blocks. */
  #fillRowLengths(step: Stage, a: number, b: number, out: number): void {
    const blocks = this.#stages[0]!;
    const values = this.#f64();
    for (let row = a; row < b; row++)
      values[out / 8 + row - a] = unitStart(blocks, unitStart(step, row + 1)) - unitStart(blocks, unitStart(step, row));
  }

  /** Means that are rounded after the division: from the parts of exact sums, or, in doubt, by the reference definition. */
  #closeQuotients(s: number, step: Stage, a: number, b: number, children: Children, out: number, stride: number): void {
    const units = b - a;
    const numerators = this.#words[WORD.scratch]! + step.aside;
    const divisors = numerators + 8 * PARTS_WORDS * units;
    for (let r = 0; r < step.outputs; r++) {
      const x = children.x + this.#planeOf(s, r) * children.stride;
      const to = out + r * stride;
      const every = this.#quotientParts(s, step, r, a, b, children, x, numerators, divisors);
      const values = this.#f64();
      for (let u = 0; u < units; u++) {
        const n = numerators / 8 + PARTS_WORDS * u;
        const d = divisors / 8 + every * u;
        const [dl, dFlag] = step.kind === "mean" ? [0, PARTS_FLAG.exact] : [values[d + 1]!, values[d + 2]!];
        const quotient = quotientOfParts(values[n]!, values[n + 1]!, values[n + 2]!, values[d]!, dl, dFlag);
        if (quotient === undefined) this.#closeSlowly(s, step, a + u, a + u + 1, children, to + 8 * u, 0, r);
        else values[to / 8 + u] = quotient;
      }
    }
  }

  /** The parts of each unit's sums, and what they are divided by: how many words for each unit, 0 if one divisor is for all. */
  #quotientParts(
    s: number,
    step: Stage,
    r: number,
    a: number,
    b: number,
    children: Children,
    x: number,
    numerators: number,
    divisors: number,
  ): number {
    const { weights, skips } = step;
    if (step.kind === "mean") {
      this.#call(skips ? "partsSumSkip" : "partsSum", step, a, b, x, children.dtype, 0, false, numerators);
      this.#countChildren(step, a, b, children, this.#planeOf(s, r), skips, divisors);
      return 1;
    }
    const own = weights.form === "perNode" || weights.form === "records";
    const w = this.#weightsAt(s, step, r, a, children);
    this.#call(skips ? "partsWeightedSumSkip" : "partsWeightedSum", step, a, b, x, children.dtype, w, own, numerators);
    if (skips) this.#call("partsWeightSkip", step, a, b, x, children.dtype, w, own, divisors);
    else this.#call("partsSum", step, a, own ? b : a + 1, this.#asChildren(step, w, a), "f64", 0, false, divisors);
    return skips || own ? PARTS_WORDS : 0;
  }

  /** Variances, from exact moments. */
  #closeMoments(s: number, step: Stage, a: number, b: number, children: Children, out: number, stride: number): void {
    const { dtype } = children;
    const aside = this.#words[WORD.scratch]! + step.aside;
    for (let r = 0; r < step.outputs; r++) {
      const x = children.x + this.#planeOf(s, r) * children.stride;
      const to = (out + r * stride) / 8 - a;
      this.#call(step.skips ? "momentsSkip" : "moments", step, a, b, x, dtype, 0, false, aside);
      const values = this.#f64();
      for (let u = a; u < b; u++) {
        const m = aside / 8 + (u - a) * MOMENTS_WORDS;
        const flag = values[m + 5]!;
        if (flag === MOMENTS_FLAG.exact) {
          const sum = exactly(values[m + 1]!, values[m + 2]!);
          values[to + u] = exactVariance(values[m]!, step.ddof, sum, exactly(values[m + 3]!, values[m + 4]!));
        } else if (flag === MOMENTS_FLAG.unfit) {
          const { n, sum, squares } = this.#exactMoments(step, u, x, dtype);
          values[to + u] = exactVariance(n, step.ddof, sum, squares);
        } else values[to + u] = Number.NaN;
      }
    }
  }

  /** The moments of one unit that do not fit what the kernel writes. */
  #exactMoments(step: Stage, unit: number, x: number, dtype: Dtype): ExactMoments {
    const first = unitStart(step, unit);
    const n = unitStart(step, unit + 1) - first;
    return this.#ground.kernels.exactMoments(dtype, x + BYTES[dtype] * first, n, step.skips, this.#words[WORD.scratch]!);
  }

  /** Users' functions, and quotients in doubt: one node at a time, by the reference definition; of one output if it is given. */
  #closeSlowly(s: number, step: Stage, a: number, b: number, children: Children, out: number, stride: number, only?: number): void {
    const { skip } = this.#program;
    const values = typedView(this.#ground.memory.buffer, children.dtype);
    const bytes = BYTES[children.dtype];
    const weights = this.#f64();
    for (let r = only ?? 0; r < (only === undefined ? step.outputs : only + 1); r++) {
      const plane = (children.x + this.#planeOf(s, r) * children.stride) / bytes;
      for (let u = a; u < b; u++) {
        const first = unitStart(step, u);
        const n = unitStart(step, u + 1) - first;
        const value = (i: number): number => values[plane + first + i]!;
        let result: number;
        if (step.kind === "user") result = reduceUser(this.#findUser(step), n, value, skip, { level: step.name, node: u });
        else {
          const w = step.weights.form === "none" ? 0 : this.#weightOfChild(s, step, r, u, children) / 8;
          result = reduceNode(step.kind, step.ddof, n, value, (i) => weights[w + i]!, { sums: step.sums, quotient: step.quotient, skip });
        }
        // A user's function may have grown the memory, so the view is taken afresh.
        this.#f64()[(out + r * stride) / 8 + u - a] = result;
      }
    }
  }

  /** Under skip: the kept records below each unit, which are those below its kept children. */
  #countRecords(s: number, step: Stage, a: number, b: number, children: Children, out: number, stride: number): void {
    for (let plane = 0; plane < step.recordPlanes; plane++) {
      const to = out + plane * stride;
      if (s === 0) this.#countChildren(step, a, b, children, plane, step.skips, to);
      else {
        const w = this.#asWeights(step, this.#recordsOf(s, plane, children), a);
        this.#call("exactWeightSkip", step, a, b, children.x + plane * children.stride, "f64", w, true, to);
      }
    }
  }

  /** Under skip: a unit with no records below it is missing, which its parent reads as NaN. */
  #markMissing(step: Stage, units: number, out: number, stride: number): void {
    const values = this.#f64();
    for (let r = 0; r < step.outputs; r++) {
      const shown = (out + r * stride) / 8;
      const records = (out + (step.outputs + (step.recordPlanes > 1 ? r : 0)) * stride) / 8;
      for (let u = 0; u < units; u++) if (values[records + u] === 0) values[shown + u] = Number.NaN;
    }
  }

  /** The number of children of each unit, or of those that are kept. */
  #countChildren(step: Stage, a: number, b: number, children: Children, plane: number, skip: boolean, out: number): void {
    const values = this.#f64();
    if (skip) this.#call("countSkip", step, a, b, children.x + plane * children.stride, children.dtype, 0, false, out);
    else if (step.extent !== undefined) values.fill(step.extent, out / 8, out / 8 + b - a);
    else for (let u = a; u < b; u++) values[out / 8 + u - a] = step.offsets![u + 1]! - step.offsets![u]!;
  }

  #refuseNan(step: Stage, a: number, b: number, { x, dtype }: Children): void {
    if (!isFloat(dtype)) return;
    const first = unitStart(step, a);
    const found = this.#ground.kernels.firstNaN(dtype, x + BYTES[dtype] * first, unitStart(step, b) - first);
    if (found < 0) return;
    throw nanLeaf(step.name, first + found);
  }

  #divide(step: Stage, units: number, out: number, stride: number, by: number, byStride: number): void {
    const values = this.#f64();
    for (let r = 0; r < step.outputs; r++) {
      const sum = step.weightSums?.[step.weightSums.length > 1 ? r : 0];
      for (let u = 0; u < units; u++) {
        const i = (out + r * stride) / 8 + u;
        values[i] = quotient(values[i]!, sum ?? values[(by + r * byStride) / 8 + u]!);
      }
    }
  }

  #divideBy(units: number, out: number, by: number): void {
    const values = this.#f64();
    for (let u = 0; u < units; u++) values[out / 8 + u] = quotient(values[out / 8 + u]!, values[by / 8 + u]!);
  }

  /** One kernel call over units a … b − 1. `w` is as #weightsAt gives it; `own` says that each child has its own weight. */
  #call(family: Family, step: Stage, a: number, b: number, x: number, dtype: Dtype, w: number, own: boolean, out: number): void {
    const { kernels } = this.#ground;
    const scratch = this.#words[WORD.scratch]!;
    if (step.extent !== undefined) {
      const kernel: DenseKernel = kernels.dense(family, dtype);
      kernel(x + BYTES[dtype] * a * step.extent, b - a, step.extent, w, own ? step.extent : 0, out, scratch);
    } else {
      const kernel: RaggedKernel = kernels.ragged(family, dtype);
      kernel(x, step.offsetsAt + 4 * a, b - a, w, out, scratch);
    }
    this.#count(step);
  }

  /** Takes over what a kernel counted. Outer levels have blocks, too, but no faster sums that theirs could be told from. */
  #count(step: Stage): void {
    const words = this.#u32();
    const at = this.#counterAt;
    if (words[at] === 0 && words[at + 1] === 0 && words[at + 2] === 0) return;
    if (step.level === 0 && step.sums === "exact") this.counted[0]! += words[at]!;
    this.counted[1]! += words[at + 1]!;
    this.counted[2]! += words[at + 2]!;
    words.fill(0, at, at + COUNTERS);
  }

  /** The weights of output r as a kernel takes them: of unit a's first child (dense), or as if of child 0 (ragged). */
  #weightsAt(s: number, step: Stage, r: number, a: number, children: Children): number {
    const first = this.#weightOfChild(s, step, r, a, children);
    return step.extent !== undefined ? first : first - 8 * unitStart(step, a);
  }

  /** The address of the weight of unit u's first child, for output r. */
  #weightOfChild(s: number, step: Stage, r: number, u: number, children: Children): number {
    const { weights } = step;
    const first = unitStart(step, u);
    switch (weights.form) {
      case "none":
        return 0;
      case "shared":
      case "matrix":
        return weights.at + 8 * (weights.form === "matrix" ? r * weights.extent : 0) + (step.blocks ? 8 * (first % step.rowExtent) : 0);
      case "perNode":
        return weights.at + 8 * (weights.length === 0 ? 0 : first % weights.length);
      case "records":
        return this.#recordsOf(s, r, children) + 8 * first;
    }
  }

  /** Weights at `at` (as #weightsAt gives them) as the children of a sum. */
  #asChildren(step: Stage, at: number, a: number): number {
    return step.extent !== undefined ? at - 8 * a * step.extent : at;
  }

  /** A plane of values that starts at child 0 as the weights of a call. */
  #asWeights(step: Stage, plane: number, a: number): number {
    return step.extent !== undefined ? plane + 8 * a * step.extent : plane;
  }

  /** The plane of the children that output r reads: its own, or the only one. */
  #planeOf(s: number, r: number): number {
    return s > 0 && this.#stages[s - 1]!.outputs > 1 ? r : 0;
  }

  /** Under skip: the plane of the records below the children that output r reads. */
  #recordsOf(s: number, r: number, children: Children): number {
    const { outputs, recordPlanes } = this.#stages[s - 1]!;
    return children.x + (outputs + (recordPlanes > 1 ? r : 0)) * children.stride;
  }

  /** All of the memory as float64. Memory only grows, so an older view is short but never wrong. */
  #f64(): Float64Array {
    const { buffer } = this.#ground.memory;
    if (this.#view.byteLength !== buffer.byteLength) this.#view = new Float64Array(buffer);
    return this.#view;
  }

  /** The same as words of four bytes. */
  #u32(): Uint32Array {
    const { buffer } = this.#ground.memory;
    if (this.#words32.byteLength !== buffer.byteLength) this.#words32 = new Uint32Array(buffer);
    return this.#words32;
  }
}

function exactly(high: number, low: number): ExactSum {
  const sum = new ExactSum();
  sum.add(high);
  sum.add(low);
  return sum;
}

function isFloat(dtype: Dtype): dtype is "f32" | "f64" {
  return dtype === "f32" || dtype === "f64";
}

function typedView(buffer: SharedArrayBuffer, dtype: Dtype): ArrayLike<number> {
  const views: Record<Dtype, new (buffer: SharedArrayBuffer) => TypedData> = {
    f32: Float32Array,
    f64: Float64Array,
    i32: Int32Array,
    i16: Int16Array,
    i8: Int8Array,
    u8: Uint8Array,
  };
  return new views[dtype](buffer);
}
