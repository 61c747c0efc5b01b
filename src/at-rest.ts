/**
 * Tensors at rest as inputs of an engine: how a chain on one is prepared, their progress in bytes, and which of several NaN leaves is
 * named. How files are read is the formats' (files/) and the threads' that reduce them (backends/).
 */
import type { Executable } from "./backends/backend.ts";
import { BYTES } from "./backends/memory.ts";
import { together } from "./backends/pieces.ts";
import type { WasmBackend } from "./backends/wasm.ts";
import { badOption, FourfoldError, throwIfAborted } from "./errors.ts";
import { told, type Way } from "./prepare.ts";
import { refuseNaN } from "./reduce/nan.ts";
import { type Fitted, resultShape } from "./reduce/resolve.ts";
import { finish } from "./reduce/slices.ts";
import { strataOf } from "./reduce/strata.ts";
import { CHILDREN_MAX, ofDtype } from "./reduce/tree.ts";
import { HOME } from "./schedule/choose.ts";
import { PLAN_LIMITS, type PlanData, planFor } from "./schedule/plan.ts";
import { cutLevel, type Piece, split, wholeReason } from "./schedule/split.ts";
import type { Dtype, FileSegment, Progress, TensorSource } from "./types.ts";

/** Bytes looked at between two turns of the event loop: about a millisecond. */
const LOOK_BYTES = 1 << 22;

/** Leaves of one program: positions in it are 32-bit. More are cut into pieces of about this many, one after the other. */
const LEAVES_MAX = 2 ** 31;

/** Bytes of values that a piece stores, so that a block holds them beside its leaves. */
const STORED_BYTES_MAX = 2 ** 29;

/** Pieces at most: of this many, plans alone take minutes and hundreds of megabytes. */
const PIECES_MAX = 4096;

/** True for what `fourfold/files` opened. */
export function isTensorSource(input: unknown): input is TensorSource {
  return typeof input === "object" && input !== null && (input as Partial<TensorSource>).kind === "fourfold.tensor";
}

/** A chain on a tensor at rest, prepared for one run. */
export interface PreparedResting {
  readonly plan: PlanData;
  readonly executable: Executable;
}

/**
 * Prepares a chain on a tensor at rest, which the kernels' threads read themselves; `keep` says which levels are wanted. A generator that
 * yields between pieces.
 * @throws FourfoldError ERR_FOURFOLD_BACKEND for another backend; ERR_FOURFOLD_SHAPE for more leaves in one node than 32 bits count, and for
 * too many pieces; ERR_FOURFOLD_MEMORY for a level that is too large where it must be cut
 */
export function* prepareResting(
  wasm: WasmBackend,
  fitted: Fitted,
  source: TensorSource,
  keep: readonly boolean[],
  way: Way,
  leavesMax: number = LEAVES_MAX,
): Generator<void, PreparedResting> {
  refuseOthers(source, way);
  const reason = source.segments ? "each thread reads its own ranges of the file" : "leaves are decoded in slabs while others are reduced";
  const planOf = (some: Fitted, dtype: Dtype, kept: readonly boolean[], placement: PlanData["placement"]): PlanData =>
    planFor({ fitted: some, dtype, bytesPerLeaf: BYTES[dtype], placement, keep: kept }, HOME, way.workers, {
      reason,
      predictedMs: undefined,
      candidates: [],
    });
  const whole = (some: Fitted, from: TensorSource, kept: readonly boolean[]): PreparedResting => {
    const plan = planOf(some, from.dtype, kept, "files");
    const resting = { source: from, pieceBytes: PLAN_LIMITS.filePieceBytes, isPiece: from !== source };
    return { plan, executable: wasm.prepare(some, strataOf(some), plan, from.dtype, resting) };
  };
  const { leaves } = fitted.tree;
  if (leaves <= leavesMax) {
    const { plan, executable } = whole(fitted, source, keep);
    return { plan: told(plan), executable };
  }
  const { pieces, level, rest } = cut(fitted, source, leavesMax, wasm.heaps.bytesMax);
  const last = fitted.levels.length - 1;
  const prepared: PreparedResting[] = [];
  for (const piece of pieces) {
    prepared.push(whole(piece.fitted, pieceOf(source, piece), keep.slice(0, level).concat(true)));
    yield;
  }
  const restPlan = rest && planOf(rest, "f64", keep.slice(level + 1, last).concat(true), "foreign array");
  const executable = together({
    pieces: pieces.map((piece, i) => ({ ...piece, executable: prepared[i]!.executable })),
    level,
    keepLevel: keep[level] === true,
    rest: rest && restPlan && wasm.prepare(rest, strataOf(rest), restPlan, "f64"),
    bounder: undefined,
  });
  const nodes = fitted.levels.map(({ nodes: n }) => n);
  const plan: PlanData = {
    ...prepared[0]!.plan,
    leaves,
    shape: resultShape(fitted.tree.frames, fitted.outputs),
    levels: planLevels(prepared[0]!.plan, restPlan, nodes),
    keep,
    phases: [],
    split: { level: fitted.levels[level]!.name, pieces: pieces.map(({ device, first, last: end }) => ({ device, leaves: end - first })) },
  };
  return { plan: told(plan), executable };
}

/** Progress in parts as progress in bytes of the source. */
export function inBytes(tell: (progress: Progress) => void, { leaves, bytesPerLeaf }: PlanData): (progress: Progress) => void {
  const bytes = leaves * bytesPerLeaf;
  return ({ done, total }) => tell({ done: total ? Math.round((bytes * done) / total) : bytes, total: bytes, unit: "bytes" });
}

/** Throws for the first NaN of a source. @throws FourfoldError ERR_FOURFOLD_NAN with its index */
export async function refuseNaNAt(wasm: WasmBackend, level: string, source: TensorSource, signal: AbortSignal | undefined): Promise<void> {
  const { dtype, length } = source;
  const piece = ofDtype(dtype, Math.min(length, LOOK_BYTES / BYTES[dtype]));
  for (let first = 0; first < length; first += piece.length) {
    throwIfAborted(signal);
    const some = piece.subarray(0, Math.min(piece.length, length - first));
    await wasm.unlessEnded((async () => source.read(some, first, { signal }))(), signal);
    finish(refuseNaN(level, some, undefined, first));
  }
}

function refuseOthers({ name }: TensorSource, { backend, split: shares }: Way): void {
  if (shares !== undefined) throw badOption("split", shares, "nothing for a tensor at rest: it is read by the kernels' threads");
  if (backend === "auto" || backend === HOME) return;
  throw new FourfoldError("ERR_FOURFOLD_BACKEND", `${name} is a tensor at rest, which backend "${backend}" does not read`, {
    given: backend,
    expected: [HOME, "auto"],
    fix: `Use backend "${HOME}", or read the leaves into engine.tensor() first`,
  });
}

/** Cuts a chain into pieces that a program can hold each. */
function cut(fitted: Fitted, { name, shape }: TensorSource, leavesMax: number, bytesMax: number): ReturnType<typeof split> {
  const { leaves } = fitted.tree;
  const level = cutLevel(fitted);
  const bytes = fitted.levels.slice(0, level + 1).map(({ nodes }) => 8 * nodes * (fitted.outputs ?? 1));
  const stored = bytes.reduce((sum, some) => sum + some, 0);
  const pieces = Math.max(Math.ceil(leaves / leavesMax), Math.ceil(stored / STORED_BYTES_MAX));
  if (bytes[level]! > bytesMax)
    throw new FourfoldError(
      "ERR_FOURFOLD_MEMORY",
      `${name} has ${leaves} leaves and is reduced in pieces: all values of level "${fitted.levels[level]!.name}" are held between them and the levels above, ${bytes[level]} bytes, and memoryBytesMax is ${bytesMax}`,
      {
        given: bytes[level],
        expected: bytesMax,
        fix: "Give the chain a level between, so that a level below its outermost has fewer nodes, or raise memoryBytesMax",
        at: { level: fitted.levels[level]!.name },
      },
    );
  if (pieces > PIECES_MAX)
    throw new FourfoldError("ERR_FOURFOLD_SHAPE", `${name} has ${leaves} leaves and would be cut into ${pieces} pieces`, {
      given: shape,
      expected: `at most ${PIECES_MAX} pieces of ${leavesMax} leaves`,
      fix: "Run parts of the file one after the other, and the outer levels on their values",
    });
  const shares = Object.fromEntries(Array.from({ length: pieces }, (_, i) => [`${HOME} ${i + 1}`, 1 / pieces]));
  const why = wholeReason(fitted);
  const made = why === undefined ? split(fitted, shares) : undefined;
  if (made?.pieces.every(({ first, last }) => last - first <= Math.max(CHILDREN_MAX, leavesMax))) return made;
  throw new FourfoldError(
    "ERR_FOURFOLD_SHAPE",
    `${name} has ${leaves} leaves and cannot be cut: ${why ?? "one of its nodes has too many"}`,
    {
      given: shape,
      expected: `at most ${CHILDREN_MAX} leaves in what cannot be cut`,
      fix: "Give the chain more frames or levels, so that whole nodes are small, or run parts of the file one after the other",
    },
  );
}

/** The leaves of a piece, as a source. */
function pieceOf(source: TensorSource, { first, last, fitted }: Piece): TensorSource {
  const bytes = BYTES[source.dtype];
  return {
    ...source,
    length: last - first,
    shape: undefined,
    offsets: fitted.tree.levels.flatMap(({ offsets }) => offsets ?? []),
    segments: source.segments && cutSegments(source.segments, first, last, bytes),
    read: (target, from, options) => source.read(target, first + from, options),
  };
}

function cutSegments(segments: readonly FileSegment[], first: number, last: number, bytes: number): FileSegment[] {
  const some: FileSegment[] = [];
  let before = 0;
  for (const { fd, at, items } of segments) {
    const from = Math.max(first - before, 0);
    const to = Math.min(last - before, items);
    if (from < to) some.push({ fd, at: at + from * bytes, items: to - from });
    before += items;
  }
  return some;
}

/** The levels of a cut chain in words: those of its pieces, with all their nodes, then those above the cut. */
function planLevels(piece: PlanData, rest: PlanData | undefined, nodes: readonly number[]): PlanData["levels"] {
  return [...piece.levels, ...(rest?.levels ?? [])].map((level, i) => ({ ...level, nodes: nodes[i]! }));
}
