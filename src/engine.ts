/** The wiring: an engine owns backends and memory and turns calls into plans, runs and results. The only file that sees all folders. */
import { availableParallelism } from "node:os";
import type { Executable, RunOutput } from "./backends/backend.ts";
import { isPoolWorker } from "./backends/board.ts";
import { type Block, BYTES } from "./backends/memory.ts";
import { runReference } from "./backends/reference.ts";
import { WasmBackend } from "./backends/wasm.ts";
import { FourfoldError, show, throwIfAborted } from "./errors.ts";
import { checkDtype, checkPlanOptions, checkRunOptions, type EngineOptions, keptLevels, type PlanOptions, type PlanRunOptions, type RunOptions, readEngineOptions } from "./options.ts";
import type { Chain } from "./reduce/chain.ts";
import type { LevelKeys } from "./reduce/group.ts";
import { type Input, isDense, readInput, type Tensor } from "./reduce/input.ts";
import { builtIn, type Fitted, fit } from "./reduce/resolve.ts";
import { type LevelValues, type LevelView, levelView } from "./reduce/result.ts";
import { strataOf } from "./reduce/strata.ts";
import { denseTree, dtypeOf, type Offsets, raggedTree, type Tree } from "./reduce/tree.ts";
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

/** Records that a job read, grouped, with the chain to run on them. */
export interface JobInput {
  readonly chain: Chain;
  readonly values: TypedData;
  readonly offsets: readonly Offsets[];
  readonly keys: readonly LevelKeys[];
}

/** A job: a source and a chain in one, such as a loaded spec. */
export interface Job {
  readonly kind: "fourfold.job";
  readonly nan: NanPolicy;
  read(options: { readonly signal?: AbortSignal | undefined; readonly onProgress?: ((progress: Progress) => void) | undefined }): Promise<JobInput>;
}

/** Prepared plans kept for one chain; the oldest idle one is dropped for a new one. */
const PLANS_PER_CHAIN_MAX = 8;

/** Work on the calling thread lets the event loop turn after this many milliseconds. */
const TURN_MS_MAX = 4;

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
  return new Engine(options);
}

/** What an input became: all that a plan and a run need. */
interface Problem {
  readonly fitted: Fitted;
  readonly data: TypedData;
  readonly keys: readonly LevelKeys[] | undefined;
  readonly order: Uint32Array | undefined;
  /** The leaf values as the caller gave them, for drill-down. */
  readonly given: TypedData;
  /** Engine memory that holds a copy of the data for this run. */
  readonly copy: Block | undefined;
}

interface Prepared {
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
  readonly #prepared: WeakMap<Chain, Map<string, Prepared>> = new WeakMap();
  readonly #dropped: FinalizationRegistry<Map<string, Prepared>> = new FinalizationRegistry((plans) => {
    for (const { executable } of plans.values()) executable.close();
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
    const data = block.heap.view(dtype, block.at, length);
    data.fill(0);
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
    const isJob = "kind" in first && first.kind === "fourfold.job";
    const options = (isJob ? (second as RunOptions | undefined) : third) ?? {};
    checkRunOptions(options);
    throwIfAborted(options.signal);
    if (this.#inFlight >= this.#runsMax)
      throw new FourfoldError("ERR_FOURFOLD_QUEUE", `${this.#inFlight} runs are under way, runsMax is ${this.#runsMax}`, {
        given: this.#inFlight + 1,
        expected: this.#runsMax,
        fix: "Await earlier runs, or raise runsMax",
      });
    this.#inFlight++;
    try {
      const started = performance.now();
      const problem = isJob ? await this.#readJob(first, options) : await this.#read(first as Chain, second as Input, options);
      try {
        const cached = !isJob && problem.fitted.tree.form === "rows" && isDense(second as Input);
        return await this.#runProblem(problem, options, started, cached);
      } finally {
        if (problem.copy) this.#wasm.heaps.free(problem.copy);
      }
    } finally {
      this.#inFlight--;
    }
  }

  /**
   * Runs a chain on the calling thread and returns when it is done: for small inputs and synchronous callers.
   * @throws FourfoldError as {@link Engine.run}
   * @example const { value } = engine.runSync(chain(mean()), [1, 2, 3]); // 2
   */
  runSync(chain: Chain, input: Input, options: Omit<RunOptions, "signal" | "onProgress"> = {}): Result {
    this.#open();
    checkRunOptions(options);
    const started = performance.now();
    const problem = finish(this.#normalise(chain, input, options));
    try {
      const placed = performance.now();
      const cached = problem.fitted.tree.form === "rows" && isDense(input);
      const prepared = this.#prepare(problem, options, 0, cached);
      const planned = performance.now();
      try {
        const output = prepared.executable.runSync!(problem.data);
        return this.#result(problem, prepared.plan, output, [placed - started, planned - placed], performance.now());
      } finally {
        if (!cached) prepared.executable.close();
      }
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
    checkPlanOptions(options);
    const tree = denseTree(chain, options.shape, undefined);
    const fitted = fit(chain, tree, options.nan ?? this.#options.nan ?? "propagate", this.#accuracy(options, tree));
    const asked = { fitted, dtype: options.dtype, foreign: options.foreign === true };
    const prepare = (workers: number): Prepared => this.#cached(asked, options, workers);
    const problemOf = (x: Tensor | { readonly data: TypedData }): Problem => {
      const { data } = x;
      if (dtypeOf(data) !== options.dtype)
        throw new FourfoldError("ERR_FOURFOLD_DTYPE", `plan.run: data is ${show(data)}, the plan is for ${options.dtype}`, { given: dtypeOf(data), expected: options.dtype });
      denseTree(chain, options.shape, data.length);
      return { fitted, data, keys: undefined, order: undefined, given: data, copy: undefined };
    };
    const { plan } = prepare(this.#workers);
    return Object.defineProperties(plan, {
      run: {
        configurable: true,
        value: async (x: Tensor, { into, ...runOptions }: PlanRunOptions = {}) => {
          this.#open();
          return withInto(await this.#runProblem(problemOf(x), { ...options, ...runOptions }, performance.now(), true), into);
        },
      },
      runSync: {
        configurable: true,
        value: (x: Tensor, { into }: PlanRunOptions = {}) => {
          this.#open();
          const started = performance.now();
          const problem = problemOf(x);
          const prepared = this.#prepare(problem, options, 0, true);
          const planned = performance.now();
          return withInto(this.#result(problem, prepared.plan, prepared.executable.runSync!(problem.data), [0, planned - started], performance.now()), into);
        },
      },
    }) as Plan;
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

  async #runProblem(problem: Problem, options: RunOptions, started: number, cached: boolean): Promise<Result> {
    const placed = performance.now();
    const prepared = this.#prepare(problem, options, this.#workers, cached);
    const planned = performance.now();
    prepared.inFlight++;
    try {
      const output = await prepared.executable.run(problem.data, options);
      return this.#result(problem, prepared.plan, output, [placed - started, planned - placed], performance.now());
    } finally {
      prepared.inFlight--;
      if (!cached) prepared.executable.close();
    }
  }

  async #read(chain: Chain, input: Input, options: RunOptions): Promise<Problem> {
    return finishInTurns(this.#normalise(chain, input, options), options.signal);
  }

  async #readJob(job: Job, options: RunOptions): Promise<Problem> {
    const { chain, values, offsets, keys } = await job.read(options);
    const tree = raggedTree(chain, offsets, values.length, "records");
    const fitted = fit(chain, keys.at(-1)?.names.length === 0 ? { ...tree, frames: [] } : tree, options.nan ?? job.nan, this.#accuracy(options, tree));
    const placed = await finishInTurns(this.#place(values, undefined), options.signal);
    return { fitted, ...placed, keys, order: undefined, given: values };
  }

  /** An input as a fitted chain and leaves. A generator that yields between slices of work. */
  *#normalise(chain: Chain, input: Input, options: RunOptions): Generator<void, Problem> {
    const { tree, data, keys, order } = yield* readInput(chain, input);
    const fitted = fit(chain, tree, options.nan ?? this.#options.nan ?? "propagate", this.#accuracy(options, tree), order);
    if (order === undefined) return { fitted, data, keys, order, given: data, copy: undefined };
    return { fitted, ...(yield* this.#place(data, order)), keys, order, given: data };
  }

  /** Copies records into engine memory, in the order of their groups, where workers can read them. */
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
    const asked = { fitted: problem.fitted, dtype: dtypeOf(problem.data)!, foreign: this.#wasm.locate(problem.data) === undefined };
    return cached ? this.#cached(asked, options, workers) : this.#make(asked, options, workers);
  }

  #cached(asked: Asked, options: RunOptions, workers: number): Prepared {
    const { fitted, dtype, foreign } = asked;
    let plans = this.#prepared.get(fitted.chain);
    if (plans === undefined) {
      plans = new Map();
      this.#prepared.set(fitted.chain, plans);
      this.#dropped.register(fitted.chain, plans);
    }
    const shape = fitted.tree.levels.map((level) => level.extent).join();
    const key = `${dtype} ${foreign} ${shape} ${fitted.tree.frames.join()} ${fitted.nan} ${fitted.accuracy} ${options.keep ?? ""} ${options.backend ?? ""} ${workers}`;
    let prepared = plans.get(key);
    if (prepared === undefined) {
      if (plans.size >= PLANS_PER_CHAIN_MAX) dropIdle(plans);
      prepared = this.#make(asked, options, workers);
      plans.set(key, prepared);
    }
    return prepared;
  }

  #make({ fitted, dtype, foreign }: Asked, options: RunOptions, workers: number): Prepared {
    const backend = this.#backend(options);
    const keep = keptLevels(fitted.chain, options.keep);
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
    const executable = backend === "wasm" ? this.#wasm.prepare(fitted, strata, plan, dtype) : referenceExecutable(fitted, keep);
    Object.defineProperty(plan, "toString", { value: () => explain(plan) });
    return { plan, executable, inFlight: 0 };
  }

  #backend(options: RunOptions): "wasm" | "reference" {
    const asked = options.backend ?? this.#options.backend ?? "auto";
    return asked === "auto" ? "wasm" : asked;
  }

  #accuracy(options: RunOptions, tree: Tree): Accuracy {
    return options.accuracy ?? this.#options.accuracy ?? (tree.form === "rows" ? "fast" : "reproducible");
  }

  #result(problem: Problem, plan: PlanData, output: RunOutput, [initMs, distributeMs]: readonly [number, number], reduced: number): Result {
    const { fitted, given, order, keys } = problem;
    const { tree } = fitted;
    const outermost = output.levels.at(-1)!;
    const values = outputsLast(outermost);
    this.#runs++;
    this.#records += tree.leaves;
    const nodes = (levels: Fitted["levels"]): number => levels.reduce((total, level) => total + level.nodes, 0);
    const leaves = { at: (position: number): number => given[order ? order[position]! : position]! };
    const shape = resultShape(fitted);
    const steps: RunStep[] = [
      { name: "init", ms: initMs, counts: { values: tree.leaves, bytes: tree.leaves * plan.bytesPerLeaf } },
      { name: "distribute", ms: distributeMs, counts: { parts: plan.phases.reduce((total, { parts }) => total + parts.length - 1, 0), workers: plan.workers } },
      { name: "process", ms: output.processMs, counts: { nodes: nodes(fitted.levels.slice(0, 1)) } },
      { name: "aggregate", ms: output.aggregateMs, counts: { nodes: nodes(fitted.levels.slice(1)) } },
      { name: "output", ms: performance.now() - reduced, counts: { numbers: values.length } },
    ];
    return {
      get value() {
        if (values.length === 1) return values[0]!;
        throw new FourfoldError("ERR_FOURFOLD_FRAMES", `the result has ${values.length} values, shape [${shape.join(", ")}]`, {
          given: values.length,
          expected: 1,
          fix: "Read values instead of value",
        });
      },
      values,
      shape,
      plan,
      steps,
      records: tree.leaves,
      contract: CONTRACT_VERSION,
      level: (name) => levelView({ tree, values: output.levels, keys, leaves, order }, name),
    };
  }

  #open(): void {
    if (this.#closed) throw new FourfoldError("ERR_FOURFOLD_CLOSED", "the engine is closed", { fix: "Make another with createEngine()" });
  }
}

interface Asked {
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

function resultShape({ tree, outputs }: Fitted): readonly number[] {
  return outputs === undefined ? tree.frames : [...tree.frames, outputs];
}

/** The values of the outermost level with the outputs as their last axis. */
function outputsLast({ values, outputs }: LevelValues): Float64Array {
  const nodes = values.length / outputs;
  if (outputs <= 1) return values;
  return Float64Array.from(values, (_, i) => values[(i % outputs) * nodes + Math.floor(i / outputs)]!);
}

function withInto(result: Result, into: Float64Array | undefined): Result {
  if (into === undefined) return result;
  if (into.length !== result.values.length)
    throw new FourfoldError("ERR_FOURFOLD_SHAPE", `into has ${into.length} values, the result has ${result.values.length}`, { given: into.length, expected: result.values.length });
  into.set(result.values);
  return Object.defineProperty(result, "values", { value: into, enumerable: true });
}

function dropIdle(plans: Map<string, Prepared>): void {
  for (const [key, { executable, inFlight }] of plans) {
    if (inFlight > 0) continue;
    executable.close();
    plans.delete(key);
    return;
  }
}

function extentOf(shape: readonly number[]): number {
  const bad = shape.findIndex((extent) => !Number.isSafeInteger(extent) || extent < 0);
  if (bad >= 0)
    throw new FourfoldError("ERR_FOURFOLD_SHAPE", `tensor: axis ${bad} is ${show(shape[bad])}, expected an integer of 0 or more`, { given: shape, at: { axis: bad } });
  return shape.reduce((product, extent) => product * extent, 1);
}

/** Runs a generator to its end. */
function finish<T>(work: Generator<void, T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

/** Runs a generator to its end, letting the event loop turn. */
async function finishInTurns<T>(work: Generator<void, T>, signal: AbortSignal | undefined): Promise<T> {
  for (let turn = performance.now(); ; ) {
    const { done, value } = work.next();
    if (done) return value;
    if (performance.now() - turn < TURN_MS_MAX) continue;
    await new Promise((resolve) => setImmediate(resolve));
    if (signal?.aborted) {
      try {
        throwIfAborted(signal);
      } catch (error) {
        work.throw(error);
      }
    }
    turn = performance.now();
  }
}
