/** The wiring: an engine owns backends and memory and turns calls into plans, runs and results. The only file that sees all folders. */
import { availableParallelism } from "node:os";
import type { Executable, RunOutput } from "./backends/backend.ts";
import { isPoolWorker } from "./backends/board.ts";
import { type Block, BYTES } from "./backends/memory.ts";
import { runReference } from "./backends/reference.ts";
import { loadTfjs } from "./backends/tfjs.ts";
import { WasmBackend } from "./backends/wasm.ts";
import { FourfoldError, show, throwIfAborted } from "./errors.ts";
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
import { CONTRACT_F64, errorBound, TENSOR_F32 } from "./reduce/bound.ts";
import { type Chain, checkChain } from "./reduce/chain.ts";
import type { LevelKeys } from "./reduce/group.ts";
import { type GroupedTable, readGrouped } from "./reduce/grouped.ts";
import { type Input, isDense, readInput, type Tensor } from "./reduce/input.ts";
import { refuseNaN } from "./reduce/nan.ts";
import { builtIn, type Fitted, fit } from "./reduce/resolve.ts";
import { type LevelView, levelView } from "./reduce/result.ts";
import { finish } from "./reduce/slices.ts";
import { strataOf } from "./reduce/strata.ts";
import { checkShape, denseTree, dtypeOf, type Tree } from "./reduce/tree.ts";
import { explain, makePlan, type PlanData } from "./schedule/plan.ts";
import { type Accuracy, CONTRACT_VERSION, type Dtype, type NanPolicy, type Progress, type TypedData } from "./types.ts";

/** A plan that can be run many times. `String(plan)` explains it. */
export interface Plan extends PlanData {
  run(x: Tensor | { readonly data: TypedData }, options?: PlanRunOptions): Promise<Result>;
  runSync(x: Tensor | { readonly data: TypedData }, options?: Pick<PlanRunOptions, "into">): Result;
}

/** One of the five steps of a run. */
export interface RunStep {
  readonly name: "init" | "distribute" | "process" | "aggregate" | "output";
  readonly ms: number;
  /** What the step handled: values, parts, nodes, numbers. */
  readonly counts: Readonly<Record<string, number>>;
}

/** The result of a run. */
export interface Result {
  /** The one number of a chain that ran on one frame. @throws FourfoldError ERR_FOURFOLD_FRAMES if there are several, or none */
  readonly value: number;
  /** All values, row-major in `shape`. */
  readonly values: Float64Array;
  /** The frames' shape; the outputs of a weight matrix are its last axis. */
  readonly shape: readonly number[];
  readonly plan: PlanData;
  /** Times and counts of init, distribute, process, aggregate and output. */
  readonly steps: readonly RunStep[];
  /** |value − v*| is at most this, where v* is the chain over the real numbers. Undefined unless `errorBound` was asked for or a tensor backend ran. */
  readonly errorBound: number | undefined;
  /** The bound of each of `values`; NaN where there is no v*, Infinity where nothing can be said. */
  readonly errorBounds: Float64Array | undefined;
  /** Leaves that were reduced, the skipped ones included. */
  readonly records: number;
  /** The version of the numeric contract the values keep. */
  readonly contract: string;
  /** The nodes of a kept level. @throws FourfoldError ERR_FOURFOLD_LEVEL */
  level(name: string): LevelView;
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

/** Prepared plans kept for one chain; the oldest idle one is dropped for a new one. */
const PLANS_PER_CHAIN_MAX = 8;

/** A piece of a foreign array that is reduced at one go: some milliseconds. */
const PIECE_BYTES_MAX = 8 << 20;

/** Work on the calling thread lets the event loop turn after this many milliseconds. */
const TURN_MS_MAX = 2;

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
  if (options.backend === "tfjs-cpu") await loadTfjs(options.backend);
  return new Engine(options);
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
  readonly copy: Block | undefined;
}

interface Prepared {
  readonly fitted: Fitted;
  readonly plan: PlanData;
  readonly executable: Executable;
  inFlight: number;
}

/** Owns backends and memory. Make one with {@link createEngine}; many runs may share it. */
export class Engine {
  readonly #wasm: WasmBackend;
  readonly #workers: number;
  readonly #options: EngineOptions;
  readonly #runsMax: number;
  readonly #prepared: WeakMap<Chain, Prepared[]> = new WeakMap();
  readonly #dropped: FinalizationRegistry<Prepared[]> = new FinalizationRegistry((plans) => {
    for (const { executable } of plans) executable.close();
  });
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
    this.#wasm = new WasmBackend({ workers, memoryBytesMax, runsMax, workerUrl: options.workerUrl });
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
   * @throws FourfoldError ERR_FOURFOLD_MEMORY beyond memoryBytesMax or 4 GiB; ERR_FOURFOLD_SHAPE, ERR_FOURFOLD_DTYPE
   * @example const x = engine.tensor([8, 16, 1024, 512], "f32"); x.data.fill(1);
   */
  tensor(shape: readonly number[], dtype: Dtype): Tensor {
    this.#open();
    const length = extentOf(shape);
    checkDtype(dtype);
    const block = this.#wasm.heaps.allocate(length * BYTES[dtype]);
    block.heap.view("u8", block.at, block.usedBytes).fill(0); // the rest is as the machine gave it
    const data = block.heap.view(dtype, block.at, length);
    let freed = false;
    return {
      data,
      shape: [...shape],
      dtype,
      free: () => {
        if (!freed) this.#wasm.heaps.free(block);
        freed = true;
      },
    };
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
      const known = isJob ? undefined : this.#known(first, second as Input, options, this.#workers);
      const problem =
        known?.problem ??
        (isJob
          ? await this.#readJob(first, options)
          : await this.#inTurns(this.#normalise(first, second as Input, options), options.signal));
      try {
        const cached = !isJob && problem.fitted.tree.form === "rows" && isDense(second as Input);
        return await this.#runProblem(problem, options, started, cached, known?.prepared);
      } finally {
        if (problem.copy) this.#wasm.heaps.free(problem.copy);
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
      if (problem.copy) this.#wasm.heaps.free(problem.copy);
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
    await this.#wasm.close();
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

  async #runProblem(problem: Problem, options: RunOptions, started: number, cached: boolean, known?: Prepared): Promise<Result> {
    const placed = performance.now();
    const prepared = known ?? this.#prepare(problem, options, this.#workers, cached);
    const planned = performance.now();
    prepared.inFlight++;
    try {
      if (refusesNaN(problem) && prepared.plan.backend !== "wasm") await this.#inTurns(refuseNaNOf(problem), options.signal);
      const output = await prepared.executable.run(problem.data, options);
      return this.#result(problem, prepared.plan, output, options, [placed - started, planned - placed]);
    } catch (error) {
      // A part names the NaN that it met first; the caller is told the first of all.
      if (isNaNError(error)) await this.#inTurns(refuseNaNOf(problem), options.signal);
      throw error;
    } finally {
      prepared.inFlight--;
      this.#done(problem.chain, prepared, cached);
    }
  }

  #runProblemSync(problem: Problem, options: RunOptions, started: number, cached: boolean, known?: Prepared): Result {
    const placed = performance.now();
    const prepared = known ?? this.#prepare(problem, options, 0, cached);
    const planned = performance.now();
    try {
      if (refusesNaN(problem) && prepared.plan.backend !== "wasm") finish(refuseNaNOf(problem));
      if (!prepared.executable.runSync) throw notSynchronous(prepared.plan.backend);
      const output = prepared.executable.runSync(problem.data);
      return this.#result(problem, prepared.plan, output, options, [placed - started, planned - placed]);
    } catch (error) {
      if (isNaNError(error)) finish(refuseNaNOf(problem));
      throw error;
    } finally {
      this.#done(problem.chain, prepared, cached);
    }
  }

  /** Gives a prepared plan back, to its chain's others or to nobody. */
  #done(chain: Chain, prepared: Prepared, cached: boolean): void {
    if (!cached) prepared.executable.close();
    else dropIdle(this.#prepared.get(chain)!, PLANS_PER_CHAIN_MAX);
  }

  /** Runs a generator to its end, letting the event loop turn; an abort or `close()` ends it. */
  #inTurns<T>(work: Generator<void, T>, signal: AbortSignal | undefined): Promise<T> {
    return finishInTurns(work, () => {
      this.#open();
      throwIfAborted(signal);
    });
  }

  async #readJob(job: Job, { signal, onProgress, nan = job.nan, ...options }: RunOptions): Promise<Problem> {
    let copy: Block | undefined;
    const allocate = (dtype: Dtype, length: number): TypedData => {
      copy = this.#wasm.heaps.allocate(length * BYTES[dtype]);
      return copy.heap.view(dtype, copy.at, length);
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
      if (copy) this.#wasm.heaps.free(copy);
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
    if (data.byteLength <= PIECE_BYTES_MAX || this.#wasm.locate(data)) return false;
    return strataOf(fitted)[0]!.childrenMax * data.BYTES_PER_ELEMENT > PIECE_BYTES_MAX;
  }

  /** Copies leaves into engine memory, in the order of their groups, where workers can read them. */
  *#place(given: TypedData, order: Uint32Array | undefined): Generator<void, { data: TypedData; copy: Block }> {
    const dtype = dtypeOf(given)!;
    const length = order?.length ?? given.length;
    const copy = this.#wasm.heaps.allocate(length * BYTES[dtype]);
    const data = copy.heap.view(dtype, copy.at, length);
    const slice = 1 << 16;
    try {
      for (let start = 0; start < length; start += slice) {
        const end = Math.min(start + slice, length);
        if (order) for (let i = start; i < end; i++) data[i] = given[order[i]!]!;
        else data.set(given.subarray(start, end), start);
        yield;
      }
    } catch (error) {
      this.#wasm.heaps.free(copy);
      throw error;
    }
    this.#wasm.stats.bytesCopied += copy.bytes;
    return { data, copy };
  }

  #prepare(problem: Problem, options: RunOptions, workers: number, cached: boolean): Prepared {
    const asked = {
      chain: problem.chain,
      fitted: problem.fitted,
      dtype: dtypeOf(problem.data)!,
      foreign: this.#wasm.locate(problem.data) === undefined,
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
    const plans = this.#prepared.get(chain);
    if (plans === undefined || dtype === undefined || !Array.isArray(shape)) return undefined;
    const foreign = this.#wasm.locate(data) === undefined;
    if (foreign && data.byteLength > PIECE_BYTES_MAX) return undefined;
    const nan = options.nan ?? this.#options.nan ?? "propagate";
    const accuracy = options.accuracy ?? this.#options.accuracy ?? "fast";
    const prepared = findPlan(plans, { shape, dtype, foreign, nan, accuracy, backend: this.#backend(options), keep: undefined, workers });
    if (prepared?.fitted.tree.leaves !== data.length) return undefined;
    return { problem: { chain, fitted: prepared.fitted, data, keys: undefined, order: undefined, given: data, copy: undefined }, prepared };
  }

  #cached(asked: Asked, options: RunOptions, workers: number): Prepared {
    const { chain, fitted, dtype, foreign } = asked;
    let plans = this.#prepared.get(chain);
    if (plans === undefined) {
      plans = [];
      this.#prepared.set(chain, plans);
      this.#dropped.register(chain, plans);
    }
    const shape = [...fitted.tree.frames, ...fitted.levels.map(({ extent }) => extent!).reverse()];
    const { nan, accuracy } = fitted;
    let prepared = findPlan(plans, {
      shape,
      dtype,
      foreign,
      nan,
      accuracy,
      backend: this.#backend(options),
      keep: keptLevels(chain, options.keep),
      workers,
    });
    if (prepared === undefined) {
      dropIdle(plans, PLANS_PER_CHAIN_MAX - 1);
      prepared = this.#make(asked, options, workers);
      plans.push(prepared);
    }
    return prepared;
  }

  #make({ chain, fitted, dtype, foreign }: Asked, options: RunOptions, workers: number): Prepared {
    const backend = this.#backend(options);
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
      workers: backend === "wasm" ? workers : 0,
      placement: foreign ? "foreign array" : "engine memory",
    });
    const executable =
      backend === "wasm"
        ? this.#wasm.prepare(fitted, strata, plan, dtype)
        : backend === "reference"
          ? referenceExecutable(fitted, keep)
          : tensorExecutable(backend, fitted, keep);
    Object.defineProperty(plan, "toString", { value: () => explain(plan) });
    return { fitted, plan, executable, inFlight: 0 };
  }

  #backend(options: RunOptions): Exclude<BackendName, "auto"> {
    const asked = options.backend ?? this.#options.backend ?? "auto";
    return asked === "auto" ? "wasm" : asked;
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
    const onTensors = plan.backend === "tfjs-cpu";
    const errorBounds =
      onTensors || options.errorBound
        ? outputsLast(errorBound(fitted, data, onTensors ? TENSOR_F32 : CONTRACT_F64), outermost.outputs)
        : undefined;
    this.#runs++;
    this.#records += plan.leaves;
    return new RunResult(problem, plan, output, values, errorBounds, [
      initMs,
      distributeMs,
      output.processMs,
      output.aggregateMs,
      performance.now() - reduced,
    ]);
  }

  #open(): void {
    if (this.#closed) throw new FourfoldError("ERR_FOURFOLD_CLOSED", "the engine is closed", { fix: "Make another with createEngine()" });
  }
}

function notSynchronous(backend: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_BACKEND", `backend "${backend}" has no synchronous way to run`, {
    given: backend,
    fix: 'Use run(), or backend "wasm"',
  });
}

/** A result. What few callers look at is made when they do: it would take longer than a small run. */
class RunResult implements Result {
  readonly values: Float64Array;
  readonly errorBounds: Float64Array | undefined;
  readonly plan: PlanData;
  readonly contract: string = CONTRACT_VERSION;
  readonly #problem: Problem;
  readonly #levels: RunOutput["levels"];
  readonly #ms: readonly number[];
  #steps: readonly RunStep[] | undefined;

  constructor(
    problem: Problem,
    plan: PlanData,
    { levels }: RunOutput,
    values: Float64Array,
    errorBounds: Float64Array | undefined,
    ms: readonly number[],
  ) {
    this.values = values;
    this.errorBounds = errorBounds;
    this.plan = plan;
    this.#problem = problem;
    this.#levels = levels;
    this.#ms = ms;
  }

  get value(): number {
    const { values, shape } = this;
    if (values.length === 1) return values[0]!;
    throw new FourfoldError("ERR_FOURFOLD_FRAMES", `the result has ${values.length} values, shape [${shape.join(", ")}]`, {
      given: values.length,
      expected: 1,
      fix: "Read values instead of value",
    });
  }

  get errorBound(): number | undefined {
    return this.errorBounds?.reduce((most, bound) => Math.max(most, bound), 0);
  }

  get shape(): readonly number[] {
    return this.plan.shape;
  }

  get records(): number {
    return this.plan.leaves;
  }

  get steps(): readonly RunStep[] {
    const [init, distribute, process, aggregate, output] = this.#ms;
    const { leaves, bytesPerLeaf, phases, workers, levels } = this.plan;
    const parts = phases.reduce((total, phase) => total + phase.parts.length - 1, 0);
    const outer = levels.slice(1).reduce((total, { nodes }) => total + nodes, 0);
    this.#steps ??= [
      { name: "init", ms: init!, counts: { values: leaves, bytes: leaves * bytesPerLeaf } },
      { name: "distribute", ms: distribute!, counts: { parts, workers } },
      { name: "process", ms: process!, counts: { nodes: levels[0]!.nodes } },
      { name: "aggregate", ms: aggregate!, counts: { nodes: outer } },
      { name: "output", ms: output!, counts: { numbers: this.values.length } },
    ];
    return this.#steps;
  }

  level(name: string): LevelView {
    const { fitted, given, order, keys } = this.#problem;
    const leaves = given && { at: (position: number): number => given[order ? order[position]! : position]! };
    return levelView({ tree: fitted.tree, values: this.#levels, keys, leaves, order }, name);
  }
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

function tensorExecutable(name: "tfjs-cpu", fitted: Fitted, keep: readonly boolean[]): Executable {
  return {
    runSync: undefined,
    async run(data, { signal }) {
      const backend = await loadTfjs(name);
      throwIfAborted(signal);
      const started = performance.now();
      const levels = await backend.run(fitted, data, keep);
      return { levels, processMs: performance.now() - started, aggregateMs: 0 };
    },
    close: () => undefined,
  };
}

function resultShape({ tree, outputs }: Fitted): readonly number[] {
  return outputs === undefined ? tree.frames : [...tree.frames, outputs];
}

/** The values of the outermost level with the outputs as their last axis. */
function outputsLast(values: Float64Array, outputs: number): Float64Array {
  const nodes = values.length / outputs;
  if (outputs <= 1) return values;
  return Float64Array.from(values, (_, i) => values[(i % outputs) * nodes + Math.floor(i / outputs)]!);
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

/** What decides whether a prepared plan is the right one. */
interface Wanted extends Pick<PlanData, "dtype" | "nan" | "accuracy" | "backend" | "workers"> {
  readonly shape: readonly number[];
  readonly foreign: boolean;
  /** Undefined: the outermost level alone. */
  readonly keep: readonly boolean[] | undefined;
}

/** The plan for a dense input, of those prepared for its chain. A comparison of numbers: a key would take longer to make than a small run. */
function findPlan(plans: readonly Prepared[], wanted: Wanted): Prepared | undefined {
  const { shape, dtype, foreign, nan, accuracy, backend, keep, workers } = wanted;
  for (const prepared of plans) {
    const { fitted, plan } = prepared;
    if (plan.dtype !== dtype || (plan.placement === "foreign array") !== foreign || plan.nan !== nan || plan.accuracy !== accuracy)
      continue;
    if (plan.backend !== backend || plan.workers !== (backend === "wasm" ? workers : 0)) continue;
    if (hasShape(fitted, shape) && keepsSame(plan.keep, keep)) return prepared;
  }
  return undefined;
}

function hasShape({ tree: { frames, levels } }: Fitted, shape: readonly number[]): boolean {
  if (shape.length !== frames.length + levels.length) return false;
  for (let axis = 0; axis < frames.length; axis++) if (shape[axis] !== frames[axis]) return false;
  for (let i = 0; i < levels.length; i++) if (shape[shape.length - 1 - i] !== levels[i]!.extent) return false;
  return true;
}

function keepsSame(kept: readonly boolean[], keep: readonly boolean[] | undefined): boolean {
  for (let i = 0; i < kept.length - 1; i++) if (kept[i] !== (keep?.[i] ?? false)) return false;
  return true;
}

/** Drops the oldest idle plans until there are `most`. */
function dropIdle(plans: Prepared[], most: number): void {
  for (let i = 0; i < plans.length && plans.length > most; ) {
    const { executable, inFlight } = plans[i]!;
    if (inFlight > 0) i++;
    else {
      executable.close();
      plans.splice(i, 1);
    }
  }
}

function isJobLike(first: unknown): first is Job {
  return typeof first === "object" && first !== null && (first as Partial<Job>).kind === "fourfold.job";
}

function refusesNaN({ fitted, data }: Problem): boolean {
  return fitted.nan === "error" && (data instanceof Float64Array || data instanceof Float32Array);
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

/** Runs a generator to its end, letting the event loop turn; what `check` throws then ends the generator. */
async function finishInTurns<T>(work: Generator<void, T>, check: () => void): Promise<T> {
  for (let turn = performance.now(); ; ) {
    const { done, value } = work.next();
    if (done) return value;
    if (performance.now() - turn < TURN_MS_MAX) continue;
    await new Promise((resolve) => setImmediate(resolve));
    try {
      check();
    } catch (error) {
      work.throw(error);
    }
    turn = performance.now();
  }
}
