/** The wiring: an engine owns backends and memory and turns calls into plans, runs and results. The only file that sees all folders. */
import { availableParallelism } from "node:os";
import type { Executable, RunOutput } from "./backends/backend.ts";
import { isPoolWorker } from "./backends/board.ts";
import { BYTES, type LeafBlock } from "./backends/memory.ts";
import { runReference } from "./backends/reference.ts";
import { TensorThread } from "./backends/tensors.ts";
import type { TensorBackendName } from "./backends/tfjs.ts";
import { finishInTurns } from "./backends/turns.ts";
import { WasmBackend } from "./backends/wasm.ts";
import { closed, FourfoldError, show, throwIfAborted } from "./errors.ts";
import {
  type BackendName,
  checkDtype,
  checkPlanOptions,
  checkPlanRunOptions,
  checkRunOptions,
  type EngineOptions,
  keptLevels,
  type PlanOptions,
  type PlanRunOptions,
  type RunOptions,
  readEngineOptions,
} from "./options.ts";
import { PlanCache, type Prepared } from "./plans.ts";
import { CONTRACT_F64, errorBound } from "./reduce/bound.ts";
import { type Chain, checkChain } from "./reduce/chain.ts";
import type { LevelKeys } from "./reduce/group.ts";
import { type GroupedTable, readGrouped } from "./reduce/grouped.ts";
import { type Input, isDense, readInput, type Tensor } from "./reduce/input.ts";
import { refuseNaN } from "./reduce/nan.ts";
import { builtIn, type Fitted, fit } from "./reduce/resolve.ts";
import type { Levels } from "./reduce/result.ts";
import { finish } from "./reduce/slices.ts";
import { strataOf } from "./reduce/strata.ts";
import { checkShape, denseTree, dtypeOf, type Tree } from "./reduce/tree.ts";
import { outputsLast, type Result, RunResult } from "./result.ts";
import { explain, makePlan, type PlanData } from "./schedule/plan.ts";
import type { Accuracy, Dtype, NanPolicy, Progress, TypedData } from "./types.ts";

/** A plan that can be run many times. `String(plan)` explains it. */
export interface Plan extends PlanData {
  run(x: Tensor | { readonly data: TypedData }, options?: PlanRunOptions): Promise<Result>;
  runSync(x: Tensor | { readonly data: TypedData }, options?: Pick<PlanRunOptions, "into">): Result;
}

/** Counts of an engine since it was made. */
export interface EngineStats {
  readonly runs: number;
  readonly recordsReduced: number;
  /** Bytes of foreign arrays copied into engine memory. */
  readonly bytesCopied: number;
  /** Parts run on the calling thread and on workers. */
  readonly partsRun: number;
  /** Bytes of engine memory in use. */
  readonly memoryBytes: number;
  /** Worker threads that ended and were replaced, and parts that ran again because of it. */
  readonly workersReplaced: number;
  readonly retries: number;
}

/** A job: a source and a chain in one, such as a loaded spec. */
export interface Job {
  readonly kind: "fourfold.job";
  readonly nan: NanPolicy;
  read(options: JobReadOptions): Promise<GroupedTable>;
}

/** How an engine reads a job. */
export interface JobReadOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  readonly nan?: NanPolicy;
  /** Where the values go: called once, with the exact length, before any value is copied. */
  readonly allocate?: (dtype: Dtype, length: number) => TypedData;
}

/** A piece of a foreign array that is reduced at one go: some milliseconds. */
const PIECE_BYTES_MAX = 8 << 20;

/**
 * Makes an engine. Close it when you are done: `await engine.close()`, or `await using`.
 * @throws FourfoldError ERR_FOURFOLD_ARGUMENT for an option out of range, ERR_FOURFOLD_BACKEND for a backend that is absent
 * @example
 * const engine = await createEngine();
 * try {
 *   const { value } = await engine.run(chain(sum(), mean(), max()), distribute([1, 2, 3, 4, 5], { parts: 2 }));
 *   console.log(value); // 7.5
 * } finally { await engine.close(); }
 */
export async function createEngine(options: EngineOptions = {}): Promise<Engine> {
  if (isPoolWorker())
    throw new FourfoldError("ERR_FOURFOLD_REDUCTION", "a module imported for its reduction made an engine", {
      fix: "Keep reductions in a module of their own, without other effects",
    });
  const engine = new Engine(options);
  try {
    await engine.start();
  } catch (error) {
    await engine.close();
    throw error;
  }
  return engine;
}

/** What an input became: all that a plan and a run need. */
interface Problem {
  readonly chain: Chain;
  readonly fitted: Fitted;
  readonly data: TypedData;
  readonly keys: readonly LevelKeys[] | undefined;
  readonly order: Uint32Array | undefined;
  /** The leaf values as the caller gave them, for drill-down; undefined where they are gone after the run. */
  readonly given: TypedData | undefined;
  /** Engine memory that holds a copy of the data for this run. */
  readonly copy: LeafBlock | undefined;
}

/** Owns backends and memory. Make one with {@link createEngine}; many runs may share it. */
export class Engine {
  readonly #wasm: WasmBackend;
  readonly #tensors: Map<TensorBackendName, TensorThread> = new Map();
  readonly #workers: number;
  readonly #options: EngineOptions;
  readonly #runsMax: number;
  readonly #plans: PlanCache = new PlanCache();
  #closed = false;
  #runs = 0;
  #inFlight = 0;
  #records = 0;

  /** @internal */
  constructor(options: EngineOptions) {
    const { workers, memoryBytesMax, runsMax } = readEngineOptions(options, availableParallelism());
    this.#options = options;
    this.#workers = workers;
    this.#runsMax = runsMax;
    this.#wasm = new WasmBackend({ workers, memoryBytesMax, runsMax, workerUrl: options.workerUrl, reclaim: () => this.#plans.dropOne() });
  }

  /** Starts the backend that the options name, where it can be absent; tells the version of what computes there. @internal */
  async start(): Promise<string | undefined> {
    const { backend } = this.#options;
    return isTensorBackend(backend) ? this.#tensorThread(backend).open() : undefined;
  }

  /** Counts since the engine was made. */
  get stats(): EngineStats {
    const { bytesCopied, partsRun } = this.#wasm.stats;
    const { replaced, retries } = this.#wasm.poolStats;
    return {
      runs: this.#runs,
      recordsReduced: this.#records,
      bytesCopied,
      partsRun,
      memoryBytes: this.#wasm.heaps.bytesUsed,
      workersReplaced: replaced,
      retries,
    };
  }

  /**
   * A tensor in engine memory, zero at first. Fill `data`; runs read it without a copy.
   * @param shape row-major extents, outermost first
   * @throws FourfoldError ERR_FOURFOLD_MEMORY beyond memoryBytesMax or 3.87 GiB; ERR_FOURFOLD_SHAPE, ERR_FOURFOLD_DTYPE
   * @example const x = engine.tensor([8, 16, 1024, 512], "f32"); x.data.fill(1);
   */
  tensor(shape: readonly number[], dtype: Dtype): Tensor {
    this.#open();
    const length = extentOf(shape);
    checkDtype(dtype);
    const leaves = this.#wasm.heaps.allocateLeaves(length * BYTES[dtype]);
    const { heap, at, usedBytes } = leaves.block;
    heap.view("u8", at, usedBytes).fill(0); // the rest is as the machine gave it
    return { data: heap.view(dtype, at, length), shape: [...shape], dtype, free: () => leaves.free() };
  }

  /**
   * Runs a chain on an input, or a job such as a loaded spec. The event loop stays free; large inputs run on workers.
   * @throws FourfoldError for every kind of bad input, with the level, axis or index
   * @example const { value } = await engine.run(chain(weightedSum(a), weightedSum(b)), { data, shape: [3, 4] });
   */
  async run(job: Job, options?: RunOptions): Promise<Result>;
  async run(chain: Chain, input: Input, options?: RunOptions): Promise<Result>;
  async run(first: Chain | Job, second?: Input | RunOptions, third?: RunOptions): Promise<Result> {
    this.#open();
    const isJob = isJobLike(first);
    if (!isJob) checkChain(first);
    const options = (isJob ? (second as RunOptions | undefined) : third) ?? {};
    checkRunOptions(options);
    return this.#admit(options.signal, async () => {
      const started = performance.now();
      if (isJob) return this.#runNew(await this.#readJob(first, options), options, started, false);
      const input = second as Input;
      const leaves = this.#leavesOfInput(input);
      leaves?.hold(); // from the call on: freeing the tensor takes effect when the run is over
      try {
        const known = this.#known(first, input, options, this.#workers);
        if (known) return await this.#runProblem(known.problem, options, started, true, known.prepared);
        const problem = await this.#inTurns(this.#normalise(first, input, options), options.signal);
        return await this.#runNew(problem, options, started, problem.fitted.tree.form === "rows" && isDense(input));
      } finally {
        leaves?.release();
      }
    });
  }

  /**
   * Runs a chain on the calling thread and returns when it is done: for small inputs and synchronous callers.
   * @throws FourfoldError as {@link Engine.run}
   * @example const { value } = engine.runSync(chain(mean()), [1, 2, 3]); // 2
   */
  runSync(chain: Chain, input: Input, options: Omit<RunOptions, "signal" | "onProgress"> = {}): Result {
    this.#open();
    checkChain(chain);
    checkRunOptions(options);
    const started = performance.now();
    const known = this.#known(chain, input, options, 0);
    const problem = known?.problem ?? finish(this.#normalise(chain, input, options));
    try {
      return this.#runProblemSync(problem, options, started, problem.fitted.tree.form === "rows" && isDense(input), known?.prepared);
    } finally {
      problem.copy?.free();
    }
  }

  /**
   * Plans a chain for dense tensors of one shape and dtype. The plan decides once and keeps its decision.
   * @throws FourfoldError as {@link Engine.run}
   * @example
   * const plan = engine.plan(index, { shape: [8, 16, 1024, 512], dtype: "f32" });
   * console.log(String(plan));
   * const { value } = await plan.run(x);
   */
  plan(chain: Chain, options: PlanOptions): Plan {
    this.#open();
    checkChain(chain);
    checkPlanOptions(options);
    const tree = denseTree(chain, options.shape, undefined);
    const fitted = fit(chain, tree, options.nan ?? this.#options.nan ?? "propagate", this.#accuracy(options, tree));
    const asked = { chain, fitted, dtype: options.dtype, foreign: options.foreign === true };
    const problemOf = ({ data }: { readonly data: TypedData }, into: Float64Array | undefined): Problem => {
      if (into !== undefined) checkInto(into, fitted);
      if (dtypeOf(data) !== options.dtype)
        throw new FourfoldError("ERR_FOURFOLD_DTYPE", `plan.run: data is ${show(data)}, the plan is for ${options.dtype}`, {
          given: dtypeOf(data),
          expected: options.dtype,
          fix: "Make a plan for the dtype of the data",
        });
      if (data.length !== tree.leaves) denseTree(chain, options.shape, data.length); // which tells what does not fit
      return { chain, fitted, data, keys: undefined, order: undefined, given: data, copy: undefined };
    };
    const { plan } = this.#cached(asked, options, this.#workers);
    return Object.defineProperties(
      { ...plan },
      {
        toString: { value: () => explain(plan) },
        run: {
          value: async (x: Tensor, runOptions: PlanRunOptions = {}) => {
            this.#open();
            checkPlanRunOptions(runOptions);
            const { into, ...watched } = runOptions;
            return this.#admit(watched.signal, async () =>
              withInto(await this.#runProblem(problemOf(x, into), { ...options, ...watched }, performance.now(), true), into),
            );
          },
        },
        runSync: {
          value: (x: Tensor, runOptions: Pick<PlanRunOptions, "into"> = {}) => {
            this.#open();
            checkPlanRunOptions(runOptions);
            const { into } = runOptions;
            return withInto(this.#runProblemSync(problemOf(x, into), options, performance.now(), true), into);
          },
        },
      },
    ) as Plan;
  }

  /** Ends the workers and refuses further calls. Runs under way reject. Closing twice is no error. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.#wasm, ...this.#tensors.values()].map((backend) => backend.close()));
  }

  /** For `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Counts a call among those under way. */
  async #admit<T>(signal: AbortSignal | undefined, call: () => Promise<T>): Promise<T> {
    throwIfAborted(signal);
    if (this.#inFlight >= this.#runsMax)
      throw new FourfoldError("ERR_FOURFOLD_QUEUE", `${this.#inFlight} runs are under way, runsMax is ${this.#runsMax}`, {
        given: this.#inFlight + 1,
        expected: this.#runsMax,
        fix: "Await earlier runs, or raise runsMax",
      });
    this.#inFlight++;
    try {
      return await call();
    } finally {
      this.#inFlight--;
    }
  }

  /** Runs a problem that was read for this run alone. */
  async #runNew(problem: Problem, options: RunOptions, started: number, cached: boolean): Promise<Result> {
    try {
      return await this.#runProblem(problem, options, started, cached);
    } finally {
      problem.copy?.free();
    }
  }

  async #runProblem(problem: Problem, options: RunOptions, started: number, cached: boolean, known?: Prepared): Promise<Result> {
    const placed = performance.now();
    const prepared = known ?? this.#prepare(problem, options, this.#workers, cached);
    const planned = performance.now();
    const leaves = this.#hold(prepared, problem.data);
    try {
      if (refusesNaN(problem) && prepared.plan.backend !== "wasm") await this.#inTurns(refuseNaNOf(problem), options.signal);
      const output = await prepared.executable.run(problem.data, options);
      return this.#result(problem, prepared.plan, output, options, [placed - started, planned - placed]);
    } catch (error) {
      // A part names the NaN that it met first; the caller is told the first of all.
      if (isNaNError(error)) await this.#inTurns(refuseNaNOf(problem), options.signal);
      throw error;
    } finally {
      this.#release(prepared, leaves, cached);
    }
  }

  #runProblemSync(problem: Problem, options: RunOptions, started: number, cached: boolean, known?: Prepared): Result {
    const placed = performance.now();
    const prepared = known ?? this.#prepare(problem, options, 0, cached);
    const planned = performance.now();
    const leaves = this.#hold(prepared, problem.data);
    try {
      if (refusesNaN(problem) && prepared.plan.backend !== "wasm") finish(refuseNaNOf(problem));
      if (!prepared.executable.runSync) throw notSynchronous(prepared.plan.backend);
      const output = prepared.executable.runSync(problem.data);
      return this.#result(problem, prepared.plan, output, options, [placed - started, planned - placed]);
    } catch (error) {
      if (isNaNError(error)) finish(refuseNaNOf(problem));
      throw error;
    } finally {
      this.#release(prepared, leaves, cached);
    }
  }

  /** The leaves in engine memory that an input shows; undefined for all others, bad ones included. */
  #leavesOfInput(input: Input): LeafBlock | undefined {
    const data = typeof input === "object" && input !== null && "data" in input ? input.data : input;
    return dtypeOf(data) === undefined ? undefined : this.#wasm.heaps.leavesOf(data as TypedData);
  }

  /** Says that a run uses a plan and reads leaves in engine memory. */
  #hold(prepared: Prepared, data: TypedData): LeafBlock | undefined {
    const leaves = this.#wasm.heaps.leavesOf(data);
    leaves?.hold();
    prepared.inFlight++;
    return leaves;
  }

  #release(prepared: Prepared, leaves: LeafBlock | undefined, cached: boolean): void {
    leaves?.release();
    prepared.inFlight--;
    if (!cached) prepared.executable.close();
  }

  /** Runs a generator to its end, letting the event loop turn; an abort or `close()` ends it. */
  #inTurns<T>(work: Generator<void, T>, signal: AbortSignal | undefined): Promise<T> {
    return finishInTurns(work, () => {
      this.#open();
      throwIfAborted(signal);
    });
  }

  async #readJob(job: Job, { signal, onProgress, nan = job.nan, ...options }: RunOptions): Promise<Problem> {
    let copy: LeafBlock | undefined;
    const allocate = (dtype: Dtype, length: number): TypedData => {
      copy?.free(); // a source may think again
      copy = this.#wasm.heaps.allocateLeaves(length * BYTES[dtype]);
      return copy.block.heap.view(dtype, copy.block.at, length);
    };
    try {
      const table = await job.read({ nan, allocate, ...(signal && { signal }), ...(onProgress && { onProgress }) });
      this.#open();
      const { chain, tree, keys } = readGrouped(table);
      const fitted = fit(chain, tree, nan, this.#accuracy(options, tree));
      // The records' memory is given back after the run, so drill-down to the leaves needs a copy of its own.
      const given = keptLevels(chain, options.keep)[0] ? table.values.slice() : undefined;
      return { chain, fitted, data: table.values, keys, order: undefined, given, copy };
    } catch (error) {
      copy?.free();
      throw error;
    }
  }

  /** An input as a fitted chain and leaves. A generator that yields between slices of work. */
  *#normalise(chain: Chain, input: Input, options: RunOptions): Generator<void, Problem> {
    const { tree, data, keys, order } = yield* readInput(chain, input);
    const grouped = order && { order, records: data.length };
    const fitted = fit(chain, tree, options.nan ?? this.#options.nan ?? "propagate", this.#accuracy(options, tree), grouped);
    if (order === undefined && !this.#hasLongPieces(fitted, data))
      return { chain, fitted, data, keys, order, given: data, copy: undefined };
    return { chain, fitted, ...(yield* this.#place(data, order)), keys, order, given: data };
  }

  /** True for a foreign array that cannot be reduced in short pieces, because one node alone reads more: it is placed whole instead. */
  #hasLongPieces(fitted: Fitted, data: TypedData): boolean {
    if (data.byteLength <= PIECE_BYTES_MAX || this.#wasm.heaps.leavesOf(data)) return false;
    return strataOf(fitted)[0]!.childrenMax * data.BYTES_PER_ELEMENT > PIECE_BYTES_MAX;
  }

  /** Copies leaves into engine memory, in the order of their groups, where workers can read them. */
  *#place(given: TypedData, order: Uint32Array | undefined): Generator<void, { data: TypedData; copy: LeafBlock }> {
    const dtype = dtypeOf(given)!;
    const length = order?.length ?? given.length;
    const copy = this.#wasm.heaps.allocateLeaves(length * BYTES[dtype]);
    const { heap, at, bytes } = copy.block;
    const data = heap.view(dtype, at, length);
    const slice = 1 << 16;
    try {
      for (let start = 0; start < length; start += slice) {
        const end = Math.min(start + slice, length);
        if (order) for (let i = start; i < end; i++) data[i] = given[order[i]!]!;
        else data.set(given.subarray(start, end), start);
        yield;
      }
    } catch (error) {
      copy.free();
      throw error;
    }
    this.#wasm.stats.bytesCopied += bytes;
    return { data, copy };
  }

  #prepare(problem: Problem, options: RunOptions, workers: number, cached: boolean): Prepared {
    const asked = {
      chain: problem.chain,
      fitted: problem.fitted,
      dtype: dtypeOf(problem.data)!,
      foreign: this.#wasm.heaps.leavesOf(problem.data) === undefined,
    };
    return cached ? this.#cached(asked, options, workers) : this.#make(asked, options, workers);
  }

  /**
   * The short way for small inputs: a dense input like one that ran before has its plan found by comparing sizes, and is neither
   * fitted nor planned again. Undefined for all others, bad ones included: those go the long way, which says what is wrong.
   */
  #known(
    chain: Chain,
    input: Input,
    options: RunOptions,
    workers: number,
  ): { readonly problem: Problem; readonly prepared: Prepared } | undefined {
    if (options.keep !== undefined || !isDense(input) || "keys" in input) return undefined;
    const { shape } = input;
    const data = input.data as TypedData;
    const dtype = dtypeOf(data);
    if (dtype === undefined || !Array.isArray(shape)) return undefined;
    const foreign = this.#wasm.heaps.leavesOf(data) === undefined;
    if (foreign && data.byteLength > PIECE_BYTES_MAX) return undefined;
    const nan = options.nan ?? this.#options.nan ?? "propagate";
    const accuracy = options.accuracy ?? this.#options.accuracy ?? "fast";
    const prepared = this.#plans.find({
      chain,
      shape,
      dtype,
      foreign,
      nan,
      accuracy,
      keep: undefined,
      ...this.#executor(options, workers),
    });
    if (prepared?.fitted.tree.leaves !== data.length) return undefined;
    return { problem: { chain, fitted: prepared.fitted, data, keys: undefined, order: undefined, given: data, copy: undefined }, prepared };
  }

  #cached(asked: Asked, options: RunOptions, workers: number): Prepared {
    const { chain, fitted, dtype, foreign } = asked;
    const shape = [...fitted.tree.frames, ...fitted.levels.map(({ extent }) => extent!).reverse()];
    const { nan, accuracy } = fitted;
    const keep = keptLevels(chain, options.keep);
    const known = this.#plans.find({ chain, shape, dtype, foreign, nan, accuracy, keep, ...this.#executor(options, workers) });
    if (known) return known;
    const prepared = this.#make(asked, options, workers);
    this.#plans.add(prepared, chain);
    return prepared;
  }

  #make({ chain, fitted, dtype, foreign }: Asked, options: RunOptions, workers: number): Prepared {
    const { backend, workers: threads } = this.#executor(options, workers);
    const keep = keptLevels(chain, options.keep);
    const strata = strataOf(fitted);
    const plan = makePlan({
      backend,
      reason: backend === "wasm" ? "SIMD kernels keep the contract in every mode" : "asked for by name",
      form: fitted.tree.form,
      accuracy: fitted.accuracy,
      nan: fitted.nan,
      dtype,
      bytesPerLeaf: BYTES[dtype],
      leaves: fitted.tree.leaves,
      shape: resultShape(fitted),
      levels: fitted.levels.map((level) => ({
        name: level.name,
        reduction: level.reduction.name,
        nodes: level.nodes,
        extent: level.extent,
        callerOnly: builtIn(level) === undefined && level.reduction.user!.module === undefined,
      })),
      strata,
      keep,
      workers: threads,
      placement: foreign ? "foreign array" : "engine memory",
    });
    const executable = isTensorBackend(backend)
      ? this.#tensorThread(backend).prepare(fitted, keep)
      : backend === "reference"
        ? referenceExecutable(fitted, keep)
        : this.#wasm.prepare(fitted, strata, plan, dtype);
    Object.defineProperty(plan, "toString", { value: () => explain(plan) });
    return { chain: new WeakRef(chain), fitted, plan, executable, inFlight: 0, wanted: 0 };
  }

  #tensorThread(name: TensorBackendName): TensorThread {
    let thread = this.#tensors.get(name);
    if (thread === undefined) {
      thread = new TensorThread(name);
      this.#tensors.set(name, thread);
    }
    return thread;
  }

  /** The backend that runs a call, and its threads: the others have none. */
  #executor(options: RunOptions, workers: number): { readonly backend: Exclude<BackendName, "auto">; readonly workers: number } {
    const asked = options.backend ?? this.#options.backend ?? "auto";
    const backend = asked === "auto" ? "wasm" : asked;
    return { backend, workers: backend === "wasm" ? workers : 0 };
  }

  #accuracy(options: RunOptions, tree: Tree): Accuracy {
    return options.accuracy ?? this.#options.accuracy ?? (tree.form === "rows" ? "fast" : "reproducible");
  }

  #result(
    problem: Problem,
    plan: PlanData,
    output: RunOutput,
    options: RunOptions,
    [initMs, distributeMs]: readonly [number, number],
  ): Result {
    const reduced = performance.now();
    const { fitted, data } = problem;
    const outermost = output.levels.at(-1)!;
    const values = outputsLast(outermost.values, outermost.outputs);
    const bounds = output.bounds ?? (options.errorBound ? errorBound(fitted, data, CONTRACT_F64) : undefined);
    const errorBounds = bounds && outputsLast(bounds, outermost.outputs);
    this.#runs++;
    this.#records += plan.leaves;
    const { processMs, aggregateMs } = output;
    const ms = [initMs, distributeMs, processMs, aggregateMs, (output.outputMs ?? 0) + performance.now() - reduced] as const;
    return new RunResult(plan, this.#levels(problem, output, options), values, errorBounds, ms);
  }

  /** What the views of a result read. Leaves are read where they lie, if the innermost level was to be kept. */
  #levels({ fitted: { tree }, keys, order, given }: Problem, { levels }: RunOutput, { keep }: RunOptions): Levels {
    const wanted = keep !== undefined && given !== undefined && levels[0] !== undefined;
    const at = (position: number): number => {
      this.#wasm.heaps.leavesOf(given!); // which throws if the tensor was freed
      return given![order ? order[position]! : position]!;
    };
    return { tree, values: levels, keys, leaves: wanted ? { at } : undefined, order };
  }

  #open(): void {
    if (this.#closed) throw closed();
  }
}

function notSynchronous(backend: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_BACKEND", `backend "${backend}" has no synchronous way to run`, {
    given: backend,
    fix: 'Use run(), or backend "wasm"',
  });
}

interface Asked {
  readonly chain: Chain;
  readonly fitted: Fitted;
  readonly dtype: Dtype;
  readonly foreign: boolean;
}

function referenceExecutable(fitted: Fitted, keep: readonly boolean[]): Executable {
  const runSync = (data: TypedData): RunOutput => {
    const started = performance.now();
    const levels = runReference(fitted, data).map((level, i) => (keep[i] ? level : undefined));
    return { levels, processMs: performance.now() - started, aggregateMs: 0 };
  };
  return { runSync, run: async (data) => runSync(data), close: () => undefined };
}

function isTensorBackend(name: BackendName | undefined): name is TensorBackendName {
  return name === "tensorflow" || name === "webgpu" || name === "tfjs-cpu" || name === "tfjs-wasm";
}

function resultShape({ tree, outputs }: Fitted): readonly number[] {
  return outputs === undefined ? tree.frames : [...tree.frames, outputs];
}

function checkInto(into: Float64Array, fitted: Fitted): void {
  const expected = extentOf(resultShape(fitted));
  if (into.length !== expected)
    throw new FourfoldError("ERR_FOURFOLD_SHAPE", `into has ${into.length} values, the result has ${expected}`, {
      given: into.length,
      expected,
      fix: "Give a Float64Array as long as the result's values",
    });
}

function withInto(result: Result, into: Float64Array | undefined): Result {
  if (into === undefined) return result;
  into.set(result.values);
  return Object.defineProperty(result, "values", { value: into, enumerable: true });
}

function isJobLike(first: unknown): first is Job {
  return typeof first === "object" && first !== null && (first as Partial<Job>).kind === "fourfold.job";
}

function refusesNaN({ fitted, data }: Problem): boolean {
  const dtype = dtypeOf(data);
  return fitted.nan === "error" && (dtype === "f64" || dtype === "f32");
}

function refuseNaNOf({ fitted, data, order }: Problem): Generator<void, void> {
  return refuseNaN(fitted.levels[0]!.name, data, order);
}

function isNaNError(error: unknown): boolean {
  return error instanceof FourfoldError && error.code === "ERR_FOURFOLD_NAN";
}

function extentOf(shape: readonly number[]): number {
  checkShape(shape);
  return shape.reduce((product, extent) => product * extent, 1);
}
