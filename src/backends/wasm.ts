/**
 * The WebAssembly backend: places a fitted chain in kernel memory and walks it, on the calling thread and on the pool.
 * What is one pass and what is one part was decided by the planner.
 */
import { aborted, closed, FourfoldError, throwIfAborted } from "../errors.ts";
import { emptyValue } from "../reduce/node.ts";
import { builtIn, type Fitted, type FittedLevel } from "../reduce/resolve.ts";
import type { LevelValues } from "../reduce/result.ts";
import { leavesMax, type Stratum, valuesBefore } from "../reduce/strata.ts";
import { reduceUser } from "../reduce/user.ts";
import type { Dtype, FileSegment, TensorSource, TypedData } from "../types.ts";
import type { Executable, RunContext, RunOutput } from "./backend.ts";
import { COUNTERS, type ExactWork, loadKernelModule } from "./kernels.ts";
import { LeafReader, walkFile } from "./leaf-files.ts";
import { type Block, BYTES, type Heap, Heaps } from "./memory.ts";
import { type FilePlace, type Layout, type Placed, type Program, place, planesOf } from "./program.ts";
import { findLocal } from "./runner.ts";
import { decoded, type Slab, slabLeavesMax, slabsOf } from "./slabs.ts";
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
  readonly placement: "engine memory" | "foreign array" | "files";
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
  readonly #closing: AbortController = new AbortController();

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
      await this.unlessEnded(before, signal);
      return await work();
    } finally {
      void before.then(done);
    }
  }

  /** Waits for what may never end, such as a turn or the read of a source; an abort and `close()` end the wait, and not the work. */
  async unlessEnded(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
    work.catch(() => undefined); // it may fail when nobody waits
    throwIfAborted(signal);
    if (this.closed) throw closed();
    const stops: (() => void)[] = [];
    const ended = new Promise<never>((_, reject) => {
      stops.push(this.#aborts.on(this.#closing.signal, () => reject(closed())));
      if (signal) stops.push(this.#aborts.on(signal, () => reject(aborted(signal))));
    });
    try {
      await Promise.race([work, ended]);
    } finally {
      for (const stop of stops) stop();
    }
  }

  /** Prepares a fitted chain; for one tensor at rest, if its leaves lie in files. */
  prepare(fitted: Fitted, strata: readonly Stratum[], layout: WasmLayout, dtype: Dtype, resting?: Resting): Executable {
    return new Prepared(this, this.#pool, fitted, strata, layout, dtype, () => ++this.#programs, resting);
  }

  /** Ends the workers; runs under way reject. */
  close(): Promise<void> {
    this.closed = true;
    this.#closing.abort();
    return this.#pool?.close() ?? Promise.resolve();
  }
}

/** A tensor at rest, and the bytes of it that a thread reads at one go. */
export interface Resting {
  readonly source: TensorSource;
  readonly pieceBytes: number;
  /** True for one of several that are run: they take turns, so that only one of them has memory. */
  readonly isPiece?: boolean;
}

/** What one run holds while it lasts. */
interface Run {
  readonly heap: Heap;
  readonly program: Program;
  readonly walker: Walker;
  readonly words: Float64Array;
  readonly block: Block;
  /** Where leaves are copied or read to, a piece at a time; 0 for data in engine memory. */
  readonly piece: number;
  readonly data: TypedData;
  /** Reads of a source that write into the block. */
  readonly writing: Set<Promise<void>>;
}

/** A program on a heap, and how the memory of one run is laid out: the walkers' scratch, the stored steps, pieces of leaves. */
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
  /** Bytes of one buffer for leaves that do not lie in engine memory. */
  readonly #pieceBytes: number;
  readonly #source: TensorSource | undefined;
  readonly #isPiece: boolean;
  /** Undefined where leaves need no decoding. */
  readonly #slabs: readonly Slab[] | undefined;
  /** What reads leaves on the calling thread. */
  readonly #reader: LeafReader | undefined;

  constructor(
    backend: WasmBackend,
    pool: WorkerPool | undefined,
    fitted: Fitted,
    strata: readonly Stratum[],
    layout: WasmLayout,
    dtype: Dtype,
    nextId: () => number,
    resting: Resting | undefined,
  ) {
    this.#backend = backend;
    this.#pool = pool;
    this.#fitted = fitted;
    this.#strata = strata;
    this.#layout = layout;
    this.#dtype = dtype;
    this.#nextId = nextId;
    const { source, pieceBytes = 0, isPiece = false } = resting ?? {};
    this.#source = source;
    this.#isPiece = isPiece;
    if (source === undefined) this.#pieceBytes = layout.placement === "foreign array" ? BYTES[dtype] * largestPart(strata, layout) : 0;
    else if (source.segments) {
      this.#pieceBytes = roundUp64(Math.max(pieceBytes, BYTES[dtype] * leavesMax(strata, layout.phases[0]!.to)));
      this.#reader = new LeafReader(this.#filePlace(source, source.segments));
    } else {
      this.#slabs = slabsOf(layout.phases[0]!.parts.length - 1, (part) => this.#leavesBefore(part), BYTES[dtype]);
      this.#pieceBytes = roundUp64(BYTES[dtype] * slabLeavesMax(this.#slabs));
    }
  }

  /** Undefined for a tensor at rest: reading it takes waiting. */

  get runSync(): ((data: TypedData) => RunOutput) | undefined {
    return this.#source === undefined ? (data) => this.#runSync(data) : undefined;
  }

  #runSync(data: TypedData): RunOutput {
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
    const takesTurns = this.#isPiece || this.#layout.phases.some(({ where }) => where === "workers");
    return takesTurns ? this.#backend.inTurn(context.signal, () => this.#run(data, context)) : this.#run(data, context);
  }

  async #run(data: TypedData, context: RunContext): Promise<RunOutput> {
    const run = this.#begin(data);
    const free = (): void => this.#backend.heaps.free(run.block);
    try {
      return await this.#runBegun(run, context);
    } finally {
      // A run that ended early leaves a read behind, as a rule one that has nearly ended. While it writes, nobody else gets the memory.
      if (run.writing.size > 0) await eventLoopTurn();
      if (run.writing.size === 0) free();
      else void Promise.all(run.writing).then(free);
    }
  }

  async #runBegun(run: Run, { signal, onProgress }: RunContext): Promise<RunOutput> {
    const started = performance.now();
    let processed = started;
    let turn = started;
    const total = this.#layout.phases.reduce((parts, phase) => parts + phase.parts.length - 1, 0);
    let before = 0;
    for (const [p, phase] of this.#layout.phases.entries()) {
      const report = (done: number): void => onProgress?.({ done: before + done, total, unit: "parts" });
      const parts = phase.parts.length - 1;
      const runParts = async (from: number, to: number): Promise<void> => {
        if (phase.where === "workers") return this.#runOnPool(run, p, from, to, signal, report);
        for (let part = from; part < to; part++) {
          this.#runPart(run, p, part);
          if (performance.now() - turn < TURN_MS_MAX) continue;
          report(part + 1);
          await eventLoopTurn();
          throwIfAborted(signal);
          if (this.#backend.closed) throw closed();
          turn = performance.now();
        }
      };
      if (p === 0 && this.#slabs) await this.#runSlabs(run, this.#slabs, signal, runParts);
      else await runParts(0, parts);
      before += parts;
      if (p === 0) processed = performance.now();
    }
    onProgress?.({ done: total, total, unit: "parts" });
    return { levels: this.#collect(run), processMs: processed - started, aggregateMs: performance.now() - processed };
  }

  close(): void {
    for (const { program, blocks } of this.#placed.values()) {
      if (this.#loaded.has(program.id) && !this.#backend.closed) this.#pool?.unload(program.id);
      for (const block of blocks) this.#backend.heaps.free(block);
    }
    this.#placed.clear();
  }

  /** Runs the first pass of a source that must be decoded, slab by slab. */
  async #runSlabs(
    { heap, piece, words, writing }: Run,
    slabs: readonly Slab[],
    signal: AbortSignal | undefined,
    runParts: (from: number, to: number) => Promise<void>,
  ): Promise<void> {
    const at = (buffer: number): number => piece + buffer * this.#pieceBytes;
    const viewOf = (buffer: number, leaves: number): TypedData => heap.view(this.#dtype, at(buffer), leaves);
    const onRead = (read: Promise<void>): void => {
      writing.add(read);
      void read.then(() => writing.delete(read));
    };
    const wait = (read: Promise<void>): Promise<void> => this.#backend.unlessEnded(read, signal);
    for await (const { slab, buffer } of decoded(this.#source!, slabs, { signal, viewOf, wait, onRead })) {
      throwIfAborted(signal);
      words[WORD.data] = at(buffer) - BYTES[this.#dtype] * slab.first;
      await runParts(slab.from, slab.to);
    }
  }

  async #runOnPool(
    run: Run,
    p: number,
    from: number,
    to: number,
    signal: AbortSignal | undefined,
    report: (done: number) => void,
  ): Promise<void> {
    const pool = this.#pool!;
    const { program } = run;
    if (!this.#loaded.has(program.id)) {
      this.#loaded.add(program.id);
      pool.load(program);
    }
    const bounds = this.#layout.phases[p]!.parts;
    const parts = new Uint32Array(2 * (to - from));
    for (let part = from; part < to; part++) parts.set(bounds.subarray(part, part + 2), 2 * (part - from));
    const onProgress = (done: number): void => report(from + done);
    await pool.run({ program: program.id, phase: p, parts, words: run.words }, { signal, onProgress });
    this.#backend.stats.partsRun += to - from;
  }

  /** Runs one part on the calling thread. */
  #runPart(run: Run, p: number, part: number): void {
    const { from, parts } = this.#layout.phases[p]!;
    const lo = parts[part]!;
    const hi = parts[part + 1]!;
    const { counted } = run.walker;
    counted.fill(0);
    if (from === -1 && this.#reader) walkFile(run.walker, this.#reader, lo, hi, run.words.slice(), run.piece);
    else {
      if (from === -1 && run.piece !== 0 && !this.#source) this.#copyPiece(run, this.#leavesBefore(part), this.#leavesBefore(part + 1));
      run.walker.walk(p, lo, hi, run.words);
    }
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
    const { ready, block } = leaves ? this.#reserve(leaves.block.heap) : this.#source ? this.#reserveResting() : this.#reserveAnywhere();
    const { program, walker, storedAt, pieceAt } = ready;
    const words = new Float64Array(WORD.stored + storedAt.length);
    words[WORD.data] = leaves ? data.byteOffset : block.at + pieceAt;
    words[WORD.scratch] = block.at;
    for (let s = 0; s < storedAt.length; s++) words[WORD.stored + s] = block.at + storedAt[s]!;
    return { heap: block.heap, program, walker, words, block, piece: leaves ? 0 : block.at + pieceAt, data, writing: new Set() };
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

  /** What a run on a tensor at rest needs depends on its chain, and on nothing that a caller could free or give in another form. */
  #reserveResting(): { readonly ready: Ready; readonly block: Block } {
    try {
      return this.#reserveAnywhere();
    } catch (error) {
      if (!(error instanceof FourfoldError && error.code === "ERR_FOURFOLD_MEMORY")) throw error;
      const { message, fix = "", given, expected } = error;
      const name = this.#source!.name;
      throw new FourfoldError("ERR_FOURFOLD_MEMORY", `${name}: ${message.slice(0, message.length - fix.length - 2)}`, {
        given,
        expected,
        cause: error,
        fix: "Needed are all values of a level whose nodes are too large or too many for one pass, and room for pieces of the file, each at least a node of level f for every thread: give the chain levels between, so that nodes are smaller and fewer, or raise memoryBytesMax",
      });
    }
  }

  #place(heap: Heap): Ready {
    const file = this.#reader && { file: this.#reader.place };
    const layout = { stored: this.#layout.stored, phases: this.#layout.phases.map(({ from, to }) => ({ from, to })), ...file };
    const placed = place(this.#nextId(), this.#fitted, this.#strata, layout, this.#dtype, this.#backend.heaps, heap);
    const { program } = placed;
    const walkers = 1 + (this.#layout.phases.some(({ where }) => where === "workers") ? this.#backend.poolStats.workers : 0);
    const buffers = this.#slabs ? Math.min(2, this.#slabs.length) : this.#reader ? walkers : 1;
    let at = walkers * program.scratchBytes;
    const storedAt = program.steps.map((step, s) => {
      const start = at;
      if (program.stored[s]) at += roundUp64(8 * planesOf(step) * step.units);
      return start;
    });
    const walker = new Walker(heap, program, findLocal(this.#fitted));
    const ready = { ...placed, walker, storedAt, pieceAt: at, runBytes: at + buffers * this.#pieceBytes };
    this.#placed.set(heap, ready);
    return ready;
  }

  /** The leaves before a part of the first pass. */
  #leavesBefore(part: number): number {
    const { to, parts } = this.#layout.phases[0]!;
    return valuesBefore(this.#strata, -1, to, parts[part]!);
  }

  #filePlace({ name }: TensorSource, segments: readonly FileSegment[]): FilePlace {
    return { name, segments, bytesPerLeaf: BYTES[this.#dtype], pieceBytes: this.#pieceBytes };
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
