/**
 * WHERE a chain runs: which strata are computed in one pass, cut into which parts, on the caller or on workers.
 * A plan is a plain value made once from sizes; making one reads no data, no clock and no device.
 */
import { builtIn, type Fitted, resultShape } from "../reduce/resolve.ts";
import { leavesMax, type Stratum, strataOf, valuesBefore } from "../reduce/strata.ts";
import type { Accuracy, Dtype, NanPolicy } from "../types.ts";
import { type Candidate, type Choice, HOME, inMs } from "./choose.ts";
import type { Placement } from "./cost.ts";
import { partition, partitionBySize } from "./partition.ts";

/** The sizes at which a plan decides one way or the other. */
export interface PlanLimits {
  /**
   * Input of this many bytes or less runs on the calling thread: reading it takes 120 µs, as long as a trip to the pool and back
   * takes by itself, so that no number of cores would be faster (`npm run bench -- workers`).
   */
  readonly inlineBytesMax: number;
  /** A part for a worker: long enough (about 100 µs) to hide a claim, short enough to balance. */
  readonly partBytes: number;
  /** A part for the calling thread where each child takes some 100 ns of JavaScript: a few milliseconds. */
  readonly slowPartBytes: number;
  /** Parts of one phase: what the pool's board holds. */
  readonly partsMax: number;
  /** Parts for each worker, so that one slow part does not leave the others idle. */
  readonly partsPerWorker: number;
  /** A piece of a foreign array: copied and reduced while it is in the second-level cache. */
  readonly pieceBytes: number;
  /** A piece of a file: read and reduced while it is in the second-level cache (`npm run bench -- rest`). */
  readonly filePieceBytes: number;
  /** A unit with more children than this, times their outputs, has them stored whole instead of in a walker's scratch: 512 KiB of float64. */
  readonly scratchChildrenMax: number;
}

/** The limits plans are made with. */
export const PLAN_LIMITS: PlanLimits = {
  inlineBytesMax: 3 << 19,
  partBytes: 2 << 20,
  slowPartBytes: 64 << 10,
  partsMax: 4096,
  partsPerWorker: 8,
  pieceBytes: 256 << 10,
  filePieceBytes: 256 << 10,
  scratchChildrenMax: 65536,
};

/** The limits of backends that cut nothing. */
const IN_ONE_PART: PlanLimits = { ...PLAN_LIMITS, inlineBytesMax: Number.POSITIVE_INFINITY, pieceBytes: Number.POSITIVE_INFINITY };

/** A pass over some strata, cut into parts. */
export interface Phase {
  /** The stratum it reads; −1 is the leaves. */
  readonly from: number;
  /** The stratum whose units it writes. */
  readonly to: number;
  readonly where: "caller" | "workers";
  /** Part p is units parts[p] … parts[p + 1] − 1 of stratum `to`. */
  readonly parts: Uint32Array;
}

/** One level as a plan tells of it. */
export interface PlanLevel {
  readonly name: string;
  readonly reduction: string;
  readonly nodes: number;
  /** Children of each node; undefined where they differ. */
  readonly extent: number | undefined;
  /** True if it is a user's reduction that only the calling thread knows. */
  readonly callerOnly: boolean;
}

/** What a plan is made from. */
export interface PlanRequest {
  /** Its name; several joined by "+" where the work is split. */
  readonly backend: string;
  readonly reason: string;
  /** Undefined where nothing was predicted: a backend was named, or none was measured. */
  readonly predictedMs?: number | undefined;
  /** What `auto` compared. */
  readonly candidates?: readonly Candidate[];
  readonly form: "rows" | "records";
  readonly accuracy: Accuracy;
  readonly nan: NanPolicy;
  readonly dtype: Dtype;
  readonly bytesPerLeaf: number;
  readonly leaves: number;
  readonly shape: readonly number[];
  readonly levels: readonly PlanLevel[];
  readonly strata: readonly Stratum[];
  /** Levels whose values are kept. */
  readonly keep: readonly boolean[];
  /** Worker threads; 0 runs everything on the caller. */
  readonly workers: number;
  /** Whether the data lies in engine memory, is copied in pieces, or is read from files. */
  readonly placement: Placement | "files";
  readonly limits?: PlanLimits;
}

/** One device's piece of a split run. */
export interface PlanPiece {
  readonly device: string;
  readonly leaves: number;
}

/** What runs where: a plain value. */
export interface PlanData extends Omit<PlanRequest, "strata" | "limits"> {
  /** Empty where the work is split: each device then plans its own piece. */
  readonly phases: readonly Phase[];
  /** The pieces of split work, and the level that is cut. */
  readonly split?: { readonly level: string; readonly pieces: readonly PlanPiece[] };
  /** Which strata are stored whole. */
  readonly stored: readonly boolean[];
  /** For a table that was too large for memory: the parts that its records were cut into by their keys, and the bytes that went to disk. */
  readonly parts?: { readonly count: number; readonly spilledBytes: number };
}

/** A fitted chain and where its leaves lie. */
export interface Placed {
  readonly fitted: Fitted;
  readonly dtype: Dtype;
  readonly bytesPerLeaf: number;
  readonly placement: Placement | "files";
  /** Levels whose values are kept. */
  readonly keep: readonly boolean[];
}

/** Plans a fitted chain for a backend, as it was chosen. `workers` are the wasm backend's: the others have none, and do all in one part. */
export function planFor(
  { fitted, dtype, bytesPerLeaf, placement, keep }: Placed,
  backend: string,
  workers: number,
  choice?: Pick<Choice, "reason" | "predictedMs" | "candidates">,
): PlanData {
  const { tree, accuracy, nan } = fitted;
  return makePlan({
    backend,
    reason: choice?.reason ?? "",
    predictedMs: choice?.predictedMs,
    candidates: choice?.candidates ?? [],
    form: tree.form,
    accuracy,
    nan,
    dtype,
    bytesPerLeaf,
    leaves: tree.leaves,
    shape: resultShape(fitted.tree.frames, fitted.outputs),
    levels: fitted.levels.map((level) => ({
      name: level.name,
      reduction: level.reduction.name,
      nodes: level.nodes,
      extent: level.extent,
      callerOnly: builtIn(level) === undefined && level.reduction.user!.module === undefined,
    })),
    strata: strataOf(fitted),
    keep,
    workers: backend === HOME ? workers : 0,
    placement,
    ...(backend !== HOME && { limits: IN_ONE_PART }),
  });
}

/** Makes a plan. Pure. */
export function makePlan(request: PlanRequest): PlanData {
  const { strata, limits: _, ...told } = request;
  const last = strata.length - 1;
  const stored = strata.map((stratum, s) => s === last || (!stratum.blocks && request.keep[stratum.level] === true));
  const phases: Phase[] = [];
  for (let from = -1; from < last; ) {
    const phase = from === -1 ? firstPhase(request) : residentPhase(request, from);
    phases.push(phase);
    stored[phase.to] = true;
    from = phase.to;
  }
  return { ...told, phases, stored };
}

/** The pass over the leaves. */
function firstPhase(request: PlanRequest): Phase {
  switch (request.placement) {
    case "engine memory":
      return residentPhase(request, -1);
    case "foreign array":
      return foreignPhase(request);
    case "files":
      return filePhase(request);
  }
}

/** The next pass over data in engine memory. */
function residentPhase(request: PlanRequest, from: number): Phase {
  const { strata, workers, limits = PLAN_LIMITS } = request;
  const bytes = from < 0 ? request.leaves * request.bytesPerLeaf : strata[from]!.units * 8;
  const reach = furthest(strata, from, limits);
  const callerOnly = strata.findIndex((stratum, s) => s > from && request.levels[stratum.level]!.callerOnly);
  if (bytes <= limits.inlineBytesMax && !isSlow(request))
    return { from, to: reach, where: "caller", parts: cutFor(request, from, reach, 1) };
  if (workers === 0 || bytes <= limits.inlineBytesMax || callerOnly === from + 1) {
    // Between its parts the calling thread lets the event loop turn.
    const parts = Math.ceil(bytes / (isSlow(request) ? limits.slowPartBytes : limits.partBytes));
    const to = highestWith(strata, parts, from, reach);
    return { from, to, where: "caller", parts: cutFor(request, from, to, parts) };
  }
  const least = workers * limits.partsPerWorker;
  const to = highestWith(strata, least, from, callerOnly < 0 ? reach : Math.min(reach, callerOnly - 1));
  const parts = Math.min(limits.partsMax, Math.max(least, Math.ceil(bytes / limits.partBytes)));
  return { from, to, where: "workers", parts: cutFor(request, from, to, parts) };
}

/** The highest stratum up to `top` with `units` units or more; where none has so many, the one with the most of them. */
function highestWith(strata: readonly Stratum[], units: number, from: number, top: number): number {
  let most = top;
  for (let s = top; s > from; s--) {
    if (strata[s]!.units >= units) return s;
    if (strata[s]!.units > strata[most]!.units) most = s;
  }
  return most;
}

/** True if a level is computed child by child in JavaScript. */
function isSlow({ levels, accuracy }: PlanRequest): boolean {
  return levels.some(
    ({ reduction, callerOnly }) => callerOnly || (accuracy === "exact" && (reduction === "mean" || reduction === "weightedMean")),
  );
}

/** The first pass over a foreign array: pieces that the caller copies into engine memory and reduces at once. */
function foreignPhase(request: PlanRequest): Phase {
  const { strata, bytesPerLeaf, limits = PLAN_LIMITS } = request;
  const fits = (isSlow(request) ? Math.min(limits.pieceBytes, limits.slowPartBytes) : limits.pieceBytes) / bytesPerLeaf;
  let to = furthest(strata, -1, limits);
  while (to > 0 && leavesMax(strata, to) > fits) to--;
  const before = (unit: number): number => valuesBefore(strata, -1, to, unit);
  return { from: -1, to, where: "caller", parts: partitionBySize(strata[to]!.units, fits, before) };
}

/** The first pass over files: units of which a piece is read at one go, on the threads that read them. */
function filePhase(request: PlanRequest): Phase {
  const { strata, workers, leaves, bytesPerLeaf, limits = PLAN_LIMITS } = request;
  const bytes = leaves * bytesPerLeaf;
  const fits = limits.filePieceBytes / bytesPerLeaf;
  const callerOnly = strata.findIndex((stratum) => request.levels[stratum.level]!.callerOnly);
  const onCaller = workers === 0 || callerOnly === 0 || bytes <= limits.inlineBytesMax;
  const reach = furthest(strata, -1, limits);
  let to = onCaller || callerOnly < 0 ? reach : Math.min(reach, callerOnly - 1);
  while (to > 0 && leavesMax(strata, to) > fits) to--;
  if (onCaller) {
    const before = (unit: number): number => valuesBefore(strata, -1, to, unit);
    return { from: -1, to, where: "caller", parts: partitionBySize(strata[to]!.units, fits, before) };
  }
  const least = workers * limits.partsPerWorker;
  to = highestWith(strata, least, -1, to);
  const parts = Math.min(limits.partsMax, Math.max(least, Math.ceil(bytes / limits.partBytes)));
  return { from: -1, to, where: "workers", parts: cutFor(request, -1, to, parts) };
}

function cutFor({ strata }: PlanRequest, from: number, to: number, parts: number): Uint32Array {
  return partition(strata[to]!.units, Math.max(1, parts), (unit) => valuesBefore(strata, from, to, unit));
}

/** The highest stratum that one pass can reach from `from`: units with very many children, times their outputs, need them stored. */
function furthest(strata: readonly Stratum[], from: number, limits: PlanLimits): number {
  for (let s = from + 2; s < strata.length; s++)
    if (strata[s]!.childrenMax * strata[s - 1]!.outputs > limits.scratchChildrenMax) return s - 1;
  return strata.length - 1;
}

/** How a planned run went. */
export interface Ran {
  /** All of the run, in milliseconds. */
  readonly ranMs: number;
  /** When each device of a split run worked, in milliseconds from its start. */
  readonly devices: readonly { readonly device: string; readonly leaves: number; readonly startedMs: number; readonly endedMs: number }[];
  /** What moved to the wasm kernels, because the device that it was planned for failed. */
  readonly moved: readonly { readonly from: string; readonly reason: string }[];
}

/** A plan in words, under the five headings of the article; of a run that is over, with what it took. */
export function explain(plan: PlanData, ran?: Ran): string {
  const n = (value: number): string => value.toLocaleString("en-US");
  const plural = (count: number, noun: string): string => `${n(count)} ${noun}${count === 1 ? "" : "s"}`;
  const shape = plan.shape.length === 0 ? "one number" : `shape [${plan.shape.join(", ")}]`;
  const home = plan.backend === "wasm" || plan.backend === "reference" ? "the calling thread" : "the backend's own thread";
  const told = ran?.devices ?? plan.split?.pieces.map((piece) => ({ ...piece, startedMs: undefined, endedMs: undefined })) ?? [];
  const pieces = told.map(({ device, leaves, startedMs, endedMs }) => {
    const when = endedMs === undefined ? "" : `, from ${inMs(startedMs)} to ${inMs(endedMs)}`;
    return `${device}: ${plural(leaves, "value")}, whole nodes of level ${plan.split!.level}${when}`;
  });
  const passes = plan.phases.map(
    ({ where, parts }) => `${plural(parts.length - 1, "part")} on ${where === "workers" ? plural(plan.workers, "worker") : home}`,
  );
  const fused = levelsUpTo(plan, plan.phases[0]?.to ?? 0);
  const levels = plan.levels.map(({ name, reduction, nodes, extent, callerOnly }, i) => {
    const size = extent === undefined ? "" : ` of ${n(extent)}`;
    const notes = [
      ...(i > 0 && i < fused ? ["in the same pass"] : []),
      ...(callerOnly ? ["on the calling thread: the reduction has no module"] : []),
    ];
    return `${name}: ${reduction} over ${plural(nodes, "node")}${size}${notes.length > 0 ? ` (${notes.join("; ")})` : ""}`;
  });
  const rows: [string, string[]][] = [
    [
      "init",
      [
        `${n(plan.leaves)} ${plan.dtype} values (${bytesInWords(plan.leaves * plan.bytesPerLeaf)}) as ${plan.form}, ${plan.parts ? "read once, block by block" : `in ${plan.placement}`}`,
        `backend ${plan.backend}: ${plan.reason}`,
        ...(plan.candidates ?? []).map((candidate) =>
          "refused" in candidate
            ? `not ${candidate.device}: ${candidate.refused}`
            : `${candidate.device}: ${inMs(candidate.predictedMs)} predicted`,
        ),
        ...(ran?.moved ?? []).map(({ from, reason }) => `moved from ${from} to wasm: ${reason}`),
      ],
    ],
    ["distribute", [...pieces, ...passes, ...cutOf(plan)]],
    ["process", levels.slice(0, 1)],
    ["aggregate", levels.slice(1)],
    ["output", [`${shape}, accuracy ${plan.accuracy}, nan ${plan.nan}`, ...timesOf(plan, ran)]],
  ];
  return rows
    .map(([heading, lines]) => `${heading.padEnd(12)}${(lines.length > 0 ? lines : ["nothing left"]).join(`\n${" ".repeat(12)}`)}`)
    .join("\n");
}

/** How a table larger than memory was cut. */
function cutOf({ parts }: PlanData): string[] {
  if (parts === undefined) return [];
  const where = parts.spilledBytes > 0 ? `${bytesInWords(parts.spilledBytes)} of them on disk` : "all of them in memory";
  return [
    `blocks of records in ${parts.count === 1 ? "one part" : `${parts.count.toLocaleString("en-US")} parts by range of key`}, ${where}`,
  ];
}

/** What was predicted, and what it took. */
function timesOf({ predictedMs }: PlanData, ran: Ran | undefined): string[] {
  const times = [...(predictedMs === undefined ? [] : [`${inMs(predictedMs)} predicted`]), ...(ran ? [`took ${inMs(ran.ranMs)}`] : [])];
  return times.length > 0 ? [times.join(", ")] : [];
}

/** How many levels the first pass completes. */
function levelsUpTo(plan: PlanData, to: number): number {
  const blocks = plan.stored.length - plan.levels.length; // 1 where level f has a stratum of blocks below it
  return Math.max(0, to + 1 - blocks);
}

function bytesInWords(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value >= 999.5 ? Math.round(value) : value.toPrecision(3)} ${units[unit]}`;
}
