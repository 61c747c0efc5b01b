/**
 * The WebAssembly backend: places a fitted chain in kernel memory and walks it, on the calling thread and on the pool.
 * What is one pass and what is one part was decided by the planner.
 */
import { aborted, closed, FourfoldError, throwIfAborted } from "../errors.ts";
import { emptyValue } from "../reduce/node.ts";
import { builtIn, type Fitted, type FittedLevel } from "../reduce/resolve.ts";
import type { LevelValues } from "../reduce/result.ts";
import { type Stratum, valuesBefore } from "../reduce/strata.ts";
import { reduceUser } from "../reduce/user.ts";
import type { Dtype, TypedData } from "../types.ts";
import type { Executable, RunContext, RunOutput } from "./backend.ts";
import { COUNTERS, type ExactWork, loadKernelModule } from "./kernels.ts";
import { type Block, BYTES, type Heap, Heaps } from "./memory.ts";
import { type Layout, type Placed, type Program, place, planesOf } from "./program.ts";
import { findLocal } from "./runner.ts";
import { Aborts, eventLoopTurn, TURN_MS_MAX } from "./turns.ts";
import { Walker, WORD } from "./walk.ts";
import { WorkerPool } from "./workers.ts";

/** What the planner decided, as far as this backend needs it. */
export interface WasmLayout extends Layout {
  readonly phases: readonly {
    readonly from: number;
    readonly to: number;
    readonly where: "caller" | "workers";
    readonly parts: Uint32Array;
  }[];
  readonly placement: "engine memory" | "foreign array";
  /** Levels that a run gives back. */
  readonly keep: readonly boolean[];
}

/** Counts since the engine was made. */
export interface WasmStats {
  bytesCopied: number;
  partsRun: number;
}

/** How to make the backend. */
export interface WasmOptions {
  readonly workers: number;
  readonly memoryBytesMax: number;
  readonly runsMax: number;
  readonly workerUrl: URL | undefined;
  /** Gives back memory that can be done without, such as an idle plan's; false if there is none. */
  readonly reclaim: () => boolean;
}

/** See the head of this file. */
export class WasmBackend {
  readonly heaps: Heaps;
  readonly stats: WasmStats = { bytesCopied: 0, partsRun: 0 };
  /** What exact sums took on the calling thread, in the order of ExactWork. */
  readonly counted: Float64Array = new Float64Array(COUNTERS);
  closed = false;
  readonly #pool: WorkerPool | undefined;
  #programs = 0;
  #turn: Promise<void> = Promise.resolve();
  readonly #aborts: Aborts = new Aborts();

  constructor({ workers, memoryBytesMax, runsMax, workerUrl, reclaim }: WasmOptions) {
    const module = loadKernelModule();
    if (workers > 0) this.#pool = new WorkerPool({ workers, setup: { module }, jobsMax: runsMax, ...(workerUrl && { workerUrl }) });
    this.heaps = new Heaps(module, memoryBytesMax, (heap) => this.#pool?.broadcast({ heap: heap.index, memory: heap.memory }), reclaim);
  }

  /** What exact sums took, here and on the workers. */
  get exactWork(): ExactWork {
    const onPool = this.#pool?.counted ?? this.counted.map(() => 0);
    const [slowBlocks, threeTermNodes, accumulatorNodes] = this.counted.map((here, i) => here + onPool[i]!);
    return { slowBlocks: slowBlocks!, threeTermNodes: threeTermNodes!, accumulatorNodes: accumulatorNodes! };
  }

  /** The pool's counts; zeros where there is no pool. */
  get poolStats(): { readonly workers: number; readonly replaced: number; readonly retries: number; readonly jobs: number } {
    return this.#pool?.stats ?? { workers: 0, replaced: 0, retries: 0, jobs: 0 };
  }

  /** Runs that use the pool take turns, since it does one job at a time: so only one of them has memory for its workers. */
  async inTurn<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const before = this.#turn;
    let done = (): void => undefined;
    this.#turn = new Promise((resolve) => {
      done = resolve;
    });
    try {
      await this.#unlessAborted(before, signal);
      if (this.closed) throw closed();
      return await work();
    } finally {
      void before.then(done);
    }
  }

  /** Waits for a promise that never rejects; an abort ends the wait. */
  #unlessAborted(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
    if (signal === undefined) return promise;
    return new Promise((resolve, reject) => {
      const stop = this.#aborts.on(signal, () => reject(aborted(signal)));
      void promise.then(() => {
        stop();
        resolve();
      });
    });
  }

  /** Prepares a fitted chain. */
  prepare(fitted: Fitted, strata: readonly Stratum[], layout: WasmLayout, dtype: Dtype): Executable {
    return new Prepared(this, this.#pool, fitted, strata, layout, dtype, () => ++this.#programs);
  }

  /** Ends the workers; runs under way reject. */
  close(): Promise<void> {
    this.closed = true;
    return this.#pool?.close() ?? Promise.resolve();
  }
}

/** What one run holds while it lasts. */
interface Run {
  readonly heap: Heap;
  readonly program: Program;
  readonly walker: Walker;
  readonly words: Float64Array;
  readonly block: Block;
  /** Where a piece of a foreign array is copied; 0 for data in engine memory. */
  readonly piece: number;
  readonly data: TypedData;
}

/** A program on a heap, and how the memory of one run is laid out: the walkers' scratch, the stored steps, a piece of a foreign array. */
interface Ready extends Placed {
  readonly walker: Walker;
  /** Where each stored step starts in a run's block. */
  readonly storedAt: readonly number[];
  readonly pieceAt: number;
  readonly runBytes: number;
}

class Prepared implements Executable {
  readonly #backend: WasmBackend;
  readonly #pool: WorkerPool | undefined;
  readonly #fitted: Fitted;
  readonly #strata: readonly Stratum[];
  readonly #layout: WasmLayout;
  readonly #dtype: Dtype;
  readonly #nextId: () => number;
  /** By heap, since weights must lie where the data lies. */
  readonly #placed: Map<Heap, Ready> = new Map();
  readonly #loaded: Set<number> = new Set();
  /** Bytes of the largest piece of a foreign array. */
  readonly #pieceBytes: number;

  constructor(
    backend: WasmBackend,
    pool: WorkerPool | undefined,
    fitted: Fitted,
    strata: readonly Stratum[],
    layout: WasmLayout,
    dtype: Dtype,
    nextId: () => number,
  ) {
    this.#backend = backend;
    this.#pool = pool;
    this.#fitted = fitted;
    this.#strata = strata;
    this.#layout = layout;
    this.#dtype = dtype;
    this.#nextId = nextId;
    this.#pieceBytes = layout.placement === "foreign array" ? BYTES[dtype] * largestPart(strata, layout) : 0;
  }

  runSync(data: TypedData): RunOutput {
    const run = this.#begin(data);
    try {
      const started = performance.now();
      let processed = started;
      this.#layout.phases.forEach((phase, p) => {
        for (let part = 0; part + 1 < phase.parts.length; part++) this.#runPart(run, p, part);
        if (p === 0) processed = performance.now();
      });
      return { levels: this.#collect(run), processMs: processed - started, aggregateMs: performance.now() - processed };
    } finally {
      this.#backend.heaps.free(run.block);
    }
  }

  async run(data: TypedData, context: RunContext): Promise<RunOutput> {
    throwIfAborted(context.signal);
    const onPool = this.#layout.phases.some(({ where }) => where === "workers");
    return onPool ? this.#backend.inTurn(context.signal, () => this.#run(data, context)) : this.#run(data, context);
  }

  async #run(data: TypedData, { signal, onProgress }: RunContext): Promise<RunOutput> {
    const run = this.#begin(data);
    try {
      const started = performance.now();
      let processed = started;
      let turn = started;
      const total = this.#layout.phases.reduce((parts, phase) => parts + phase.parts.length - 1, 0);
      let before = 0;
      for (const [p, phase] of this.#layout.phases.entries()) {
        const report = (done: number): void => onProgress?.({ done: before + done, total, unit: "parts" });
        const parts = phase.parts.length - 1;
        if (phase.where === "workers") await this.#runOnPool(run, p, signal, report);
        else
          for (let part = 0; part < parts; part++) {
            this.#runPart(run, p, part);
            if (performance.now() - turn < TURN_MS_MAX) continue;
            report(part + 1);
            await eventLoopTurn();
            throwIfAborted(signal);
            if (this.#backend.closed) throw closed();
            turn = performance.now();
          }
        before += parts;
        if (p === 0) processed = performance.now();
      }
      onProgress?.({ done: total, total, unit: "parts" });
      return { levels: this.#collect(run), processMs: processed - started, aggregateMs: performance.now() - processed };
    } finally {
      this.#backend.heaps.free(run.block);
    }
  }

  close(): void {
    for (const { program, blocks } of this.#placed.values()) {
      if (this.#loaded.has(program.id) && !this.#backend.closed) this.#pool?.unload(program.id);
      for (const block of blocks) this.#backend.heaps.free(block);
    }
    this.#placed.clear();
  }

  async #runOnPool(run: Run, p: number, signal: AbortSignal | undefined, report: (done: number) => void): Promise<void> {
    const pool = this.#pool!;
    const { program } = run;
    if (!this.#loaded.has(program.id)) {
      this.#loaded.add(program.id);
      pool.load(program);
    }
    const bounds = this.#layout.phases[p]!.parts;
    const parts = new Uint32Array(2 * (bounds.length - 1));
    for (let i = 0; i < parts.length; i += 2) parts.set(bounds.subarray(i / 2, i / 2 + 2), i);
    await pool.run({ program: program.id, phase: p, parts, words: run.words }, { signal, onProgress: report });
    this.#backend.stats.partsRun += bounds.length - 1;
  }

  /** Runs one part on the calling thread. */
  #runPart(run: Run, p: number, part: number): void {
    const { from, to, parts } = this.#layout.phases[p]!;
    const lo = parts[part]!;
    const hi = parts[part + 1]!;
    if (from === -1 && run.piece !== 0)
      this.#copyPiece(run, valuesBefore(this.#strata, -1, to, lo), valuesBefore(this.#strata, -1, to, hi));
    const { counted } = run.walker;
    counted.fill(0);
    run.walker.walk(p, lo, hi, run.words);
    for (let i = 0; i < COUNTERS; i++) this.#backend.counted[i]! += counted[i]!;
    this.#backend.stats.partsRun++;
  }

  /** Copies leaves first … last − 1 of a foreign array, and says where leaf 0 would lie. */
  #copyPiece({ heap, piece, data, words }: Run, first: number, last: number): void {
    const chunk = data.subarray(first, last);
    if (chunk.length !== last - first)
      throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `the data has ${data.length} values now, fewer than when the run began`, {
        given: data.length,
        fix: "Do not shrink, transfer or detach an array while it is reduced",
      });
    if (last > first) heap.view(this.#dtype, piece, last - first).set(chunk);
    words[WORD.data] = piece - BYTES[this.#dtype] * first;
    this.#backend.stats.bytesCopied += BYTES[this.#dtype] * (last - first);
  }

  #begin(data: TypedData): Run {
    const { heaps } = this.#backend;
    const leaves = this.#layout.placement === "engine memory" ? heaps.leavesOf(data)! : undefined;
    const { ready, block } = leaves ? this.#reserve(leaves.block.heap) : this.#reserveAnywhere();
    const { program, walker, storedAt, pieceAt } = ready;
    const words = new Float64Array(WORD.stored + storedAt.length);
    words[WORD.data] = leaves ? data.byteOffset : 0;
    words[WORD.scratch] = block.at;
    for (let s = 0; s < storedAt.length; s++) words[WORD.stored + s] = block.at + storedAt[s]!;
    return { heap: block.heap, program, walker, words, block, piece: leaves ? 0 : block.at + pieceAt, data };
  }

  #reserve(heap: Heap): { readonly ready: Ready; readonly block: Block } {
    const ready = this.#placed.get(heap) ?? this.#place(heap);
    return { ready, block: this.#backend.heaps.allocate(ready.runBytes, heap) };
  }

  /** For a foreign array any memory will do: one that has the weights already, any other, or a new one. */
  #reserveAnywhere(): { readonly ready: Ready; readonly block: Block } {
    const { heaps } = this.#backend;
    for (const heap of new Set([...this.#placed.keys(), ...heaps.all])) {
      try {
        return this.#reserve(heap);
      } catch (error) {
        if (!(error instanceof FourfoldError && error.code === "ERR_FOURFOLD_MEMORY")) throw error;
      }
    }
    return this.#reserve(heaps.add());
  }

  #place(heap: Heap): Ready {
    const layout = { stored: this.#layout.stored, phases: this.#layout.phases.map(({ from, to }) => ({ from, to })) };
    const placed = place(this.#nextId(), this.#fitted, this.#strata, layout, this.#dtype, this.#backend.heaps, heap);
    const { program } = placed;
    const walkers = 1 + (this.#layout.phases.some(({ where }) => where === "workers") ? this.#backend.poolStats.workers : 0);
    let at = walkers * program.scratchBytes;
    const storedAt = program.steps.map((step, s) => {
      const start = at;
      if (program.stored[s]) at += roundUp64(8 * planesOf(step) * step.units);
      return start;
    });
    const walker = new Walker(heap, program, findLocal(this.#fitted));
    const ready = { ...placed, walker, storedAt, pieceAt: at, runBytes: at + this.#pieceBytes };
    this.#placed.set(heap, ready);
    return ready;
  }

  /** The stored levels as arrays of the caller's own. */
  #collect({ heap, program, words }: Run): (LevelValues | undefined)[] {
    const levels: (LevelValues | undefined)[] = this.#fitted.levels.map(() => undefined);
    program.steps.forEach((step, s) => {
      if (step.blocks || !this.#layout.keep[step.level]) return;
      const view = (plane: number, planes: number): Float64Array =>
        heap.view("f64", words[WORD.stored + s]! + 8 * plane * step.units, planes * step.units) as Float64Array;
      const values = view(0, step.outputs).slice();
      const records = program.skip ? view(step.outputs, step.recordPlanes) : undefined;
      // A missing node is NaN to its parent, and shows the value of an empty one.
      if (records) {
        const empty = emptyOf(this.#fitted.levels[step.level]!);
        for (let i = 0; i < values.length; i++) if (records[i % records.length] === 0) values[i] = empty;
      }
      levels[step.level] = { values, outputs: step.outputs, records: records?.slice(0, step.units) };
    });
    return levels;
  }
}

/** The value of a node without children. */
function emptyOf(level: FittedLevel): number {
  const kind = builtIn(level);
  return kind === undefined
    ? reduceUser(level.reduction.user!, 0, () => Number.NaN, true, { level: level.name, node: 0 })
    : emptyValue(kind);
}

/** The leaves of the largest part of the first phase. */
function largestPart(strata: readonly Stratum[], layout: WasmLayout): number {
  const [first] = layout.phases;
  let most = 0;
  for (let part = 0; part + 1 < first!.parts.length; part++)
    most = Math.max(
      most,
      valuesBefore(strata, -1, first!.to, first!.parts[part + 1]!) - valuesBefore(strata, -1, first!.to, first!.parts[part]!),
    );
  return most;
}

function roundUp64(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}
