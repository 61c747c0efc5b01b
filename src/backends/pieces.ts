/**
 * Several backends as one: runs the pieces of a cut chain on their devices at the same time, then the levels above the cut. It
 * decides nothing: where the chain is cut is the planner's, and each piece comes with what runs it.
 */
import type { LevelValues } from "../reduce/result.ts";
import type { TypedData } from "../types.ts";
import type { DeviceRun, Executable, Moved, RunContext, RunOutput } from "./backend.ts";
import { isFault } from "./guard.ts";

/** Neighbouring nodes of the level that is cut, with all below them: leaves `first` … `last − 1`. */
export interface PreparedPiece {
  readonly device: string;
  readonly first: number;
  readonly last: number;
  readonly executable: Executable;
}

/** What a cut chain is made of. */
export interface CutChain {
  readonly pieces: readonly PreparedPiece[];
  /** The level that is cut. */
  readonly level: number;
  /** Whether the values of that level are wanted. */
  readonly keepLevel: boolean;
  /** Runs the levels above it, on its values for one output. */
  readonly rest: Executable | undefined;
  /** Bounds the error of each outermost value; undefined where every piece keeps the contract. */
  readonly bounder: { bound(data: TypedData, signal: AbortSignal | undefined): Promise<Float64Array>; close(): void } | undefined;
}

/** Makes one executable of several. */
export function together({ pieces, level, keepLevel, rest, bounder }: CutChain): Executable {
  const kernels = pieces.filter(({ device }) => device === "wasm").length;
  const run = async (data: TypedData, context: RunContext): Promise<RunOutput> => {
    const started = performance.now();
    const { parts, devices, moved } = await runPieces(pieces, data, context);
    const processed = performance.now();
    const levels = Array.from({ length: level + 1 }, (_, i) => merge(parts.map((part) => part.levels[i])));
    if (rest) {
      const cut = levels[level]!;
      if (!keepLevel) levels[level] = undefined;
      levels.push(...(await runRest(rest, cut, context)));
    }
    const aggregated = performance.now();
    // What moved runs on the kernels; if all did, nothing is left to bound.
    const wanted = bounder !== undefined && context.errorBound !== false && moved.length < pieces.length - kernels;
    const bounds = wanted ? await boundOr(bounder, data, context, levels.at(-1)!.values.length) : undefined;
    return {
      levels,
      processMs: processed - started,
      aggregateMs: aggregated - processed,
      outputMs: performance.now() - aggregated,
      devices,
      moved,
      ...(bounds && { bounds }),
    };
  };
  const close = (): void => {
    for (const { executable } of pieces) executable.close();
    rest?.close();
    bounder?.close();
  };
  return { runSync: undefined, run, close };
}

/** Bounds, or, where the device fails at it, numbers that claim nothing: the values are there, and right. */
async function boundOr(
  bounder: NonNullable<CutChain["bounder"]>,
  data: TypedData,
  { signal }: RunContext,
  length: number,
): Promise<Float64Array> {
  try {
    return await bounder.bound(data, signal);
  } catch (error) {
    if (!isFault(error, true)) throw error;
    return new Float64Array(length).fill(Number.POSITIVE_INFINITY);
  }
}

interface Pieces {
  readonly parts: readonly RunOutput[];
  readonly devices: readonly DeviceRun[];
  readonly moved: readonly Moved[];
}

/** Runs all pieces to their ends, since they read the same memory: only then is a failure told. */
async function runPieces(pieces: readonly PreparedPiece[], data: TypedData, { signal, onProgress }: RunContext): Promise<Pieces> {
  let done = 0;
  const ended = await Promise.allSettled(
    pieces.map(async ({ device, first, last, executable }) => {
      const startedAt = performance.now();
      const part = await executable.run(data.subarray(first, last), { signal, errorBound: false });
      onProgress?.({ done: ++done, total: pieces.length, unit: "parts" });
      return { part, ran: { device, leaves: last - first, startedAt, endedAt: performance.now() } };
    }),
  );
  const runs = ended.map((end) => {
    if (end.status === "rejected") throw end.reason;
    return end.value;
  });
  return {
    parts: runs.map(({ part }) => part),
    devices: runs.map(({ ran }) => ran),
    moved: runs.flatMap(({ part }) => part.moved ?? []),
  };
}

/** The levels above the cut, output by output of the level below them. */
async function runRest(rest: Executable, { values, outputs }: LevelValues, context: RunContext): Promise<(LevelValues | undefined)[]> {
  const nodes = values.length / outputs;
  const planes: (readonly (LevelValues | undefined)[])[] = [];
  for (let r = 0; r < outputs; r++) {
    const { levels } = await rest.run(values.subarray(r * nodes, (r + 1) * nodes), { signal: context.signal });
    planes.push(levels);
  }
  return planes[0]!.map((_, i) => stack(planes.map((levels) => levels[i])));
}

/** The values of one level for output after output. */
function stack(planes: readonly (LevelValues | undefined)[]): LevelValues | undefined {
  const [first] = planes;
  if (first === undefined || planes.length === 1) return first;
  const values = new Float64Array(planes.length * first.values.length);
  for (const [r, plane] of planes.entries()) values.set(plane!.values, r * first.values.length);
  return { values, outputs: planes.length, records: first.records };
}

/** One level's neighbouring nodes, piece after piece. */
function merge(parts: readonly (LevelValues | undefined)[]): LevelValues | undefined {
  const [first] = parts;
  if (first === undefined || parts.length === 1) return first;
  const { outputs } = first;
  const nodes = parts.map((part) => part!.values.length / outputs);
  const join = (arrays: readonly Float64Array[], planes: number): Float64Array => {
    const total = nodes.reduce((sum, n) => sum + n, 0);
    const joined = new Float64Array(planes * total);
    let before = 0;
    arrays.forEach((array, p) => {
      const n = nodes[p]!;
      for (let r = 0; r < planes; r++) joined.set(array.subarray(r * n, (r + 1) * n), r * total + before);
      before += n;
    });
    return joined;
  };
  const records = parts.map((part) => part!.records);
  return {
    values: join(
      parts.map((part) => part!.values),
      outputs,
    ),
    outputs,
    records: records.every((r) => r !== undefined) ? join(records, records[0]!.length / nodes[0]!) : undefined,
  };
}
