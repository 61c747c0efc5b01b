/** The wiring: an engine owns backends and memory and turns calls into plans, runs and results. The only file that sees all folders. */
import { availableParallelism } from "node:os";
import { inBytes, isTensorSource, type PreparedResting, prepareResting, refuseNaNAt } from "./at-rest.ts";
import { checkResting, holdResting } from "./at-rest-checks.ts";
import type { RunOutput } from "./backends/backend.ts";
import { isPoolWorker } from "./backends/board.ts";
import { BYTES, freedTensor, type LeafBlock } from "./backends/memory.ts";
import { isTensorBackend, type TensorBackendName } from "./backends/tensor-backends.ts";
import { finishInTurns, unlessAborted } from "./backends/turns.ts";
import { WasmBackend } from "./backends/wasm.ts";
import type { Calibration } from "./calibration.ts";
import { Devices } from "./devices.ts";
import { badOption, closed, FourfoldError, show, throwIfAborted } from "./errors.ts";
import { isJobLike, type Job } from "./job.ts";
import { Live, type LiveOptions, liveOptions } from "./live.ts";
import { type LiveInput, readLive } from "./live-input.ts";
import {
  checkDtype,
  checkPlanOptions,
  checkPlanRunOptions,
  checkRunOptions,
  checkTensorOptions,
  type EngineOptions,
  keptLevels,
  type PlanOptions,
  type PlanRunOptions,
  type RunOptions,
  readEngineOptions,
  type TensorOptions,
} from "./options.ts";
import { PlanCache, type Prepared } from "./plans.ts";
import { Preparer, type Way } from "./prepare.ts";
import { isNaNError, PIECE_BYTES_MAX, type Problem, Problems, refuseNaNOf, refusesNaN } from "./problem.ts";
import { CONTRACT_F64, errorBound } from "./reduce/bound.ts";
import { type Chain, checkChain } from "./reduce/chain.ts";
import { type Input, isDense, type Tensor } from "./reduce/input.ts";
import { type Fitted, fit, resultShape } from "./reduce/resolve.ts";
import { outputsLast } from "./reduce/result.ts";
import type { RunLevels } from "./reduce/result-levels.ts";
import { finish } from "./reduce/slices.ts";
import { checkShape, denseTree, dtypeOf } from "./reduce/tree.ts";
import { type Result, RunResult } from "./result.ts";
import { runJob } from "./rolled.ts";
import { explain, type PlanData } from "./schedule/plan.ts";
import { readStreamOptions, type StreamOptions } from "./stream/options.ts";
import { FrameRing } from "./stream/ring.ts";
import type { Stream } from "./stream/stream.ts";
import { openRing, openStream, type StreamSource } from "./streams.ts";
import type { Dtype, TensorSource, TypedData } from "./types.ts";

/** A plan that can be run many times. `String(plan)` explains it. */
export interface Plan extends PlanData {
  run(x: Tensor | { readonly data: TypedData }, options?: PlanRunOptions): Promise<Result>;
  runSync(x: Tensor | { readonly data: TypedData }, options?: Pick<PlanRunOptions, "into">): Result;
}

/** A tensor with a copy on a device. */
export interface DeviceTensor extends Tensor {
  readonly device: TensorBackendName;
  /**
   * Copies `data` to the device: at once, so that the first run need not, and again whenever `data` has changed since. Runs on the
   * device read the copy; all others read `data`.
   * @throws FourfoldError ERR_FOURFOLD_BACKEND if the device is absent, ERR_FOURFOLD_DEVICE if it cannot hold the copy
   */
  upload(): Promise<void>;
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
  /**
   * What exact sums took beyond their fast path, on the calling thread and on workers; results do not depend on it. Blocks of at most 2048
   * leaves, under accuracy `"exact"`, whose values are too far apart for plain sums in one bin or two.
   */
  readonly slowBlocks: number;
  /** Nodes of any level whose sum, by its double-double, lay too near to a tie or to zero, and so was computed with three terms. */
  readonly threeTermNodes: number;
  /** Nodes that took an accumulator over the whole range of float64: sums of values very far apart, or that are not finite. */
  readonly accumulatorNodes: number;
}

/** The form of dense inputs. */
const ROWS = { form: "rows" } as const;

/** Multiplications and additions of a run for which devices are measured: 25 ms and more on one core. */
const MEASURED_OPERATIONS_MIN = 5e7;

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

/** Owns backends and memory. Make one with {@link createEngine}; many runs may share it. */
export class Engine {
  readonly #wasm: WasmBackend;
  readonly #problems: Problems;
  readonly #devices: Devices;
  readonly #preparer: Preparer;
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
    const { workers, memoryBytesMax, runsMax, devices, deviceMsMax } = readEngineOptions(options, availableParallelism());
    this.#options = options;
    this.#workers = workers;
    this.#runsMax = runsMax;
    this.#wasm = new WasmBackend({ workers, memoryBytesMax, runsMax, workerUrl: options.workerUrl, reclaim: () => this.#plans.dropOne() });
    this.#problems = new Problems(this.#wasm, options);
    this.#devices = new Devices({ names: devices, workers, memoryBytesMax, heaps: this.#wasm.heaps, runMsMax: deviceMsMax });
    this.#preparer = new Preparer(this.#wasm, this.#devices);
  }

  /** Starts the backend that the options name, where it can be absent; tells the version of what computes there. @internal */
  async start(): Promise<string | undefined> {
    const { backend } = this.#options;
    return isTensorBackend(backend) ? (await this.#devices.thread(backend).open()).version : undefined;
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
      ...this.#wasm.exactWork,
    };
  }

  /**
   * A tensor in engine memory, zero at first. Fill `data`; runs read it without a copy.
   * @param shape row-major extents, outermost first
   * @throws FourfoldError ERR_FOURFOLD_MEMORY beyond memoryBytesMax or 3.87 GiB; ERR_FOURFOLD_SHAPE, ERR_FOURFOLD_DTYPE, ERR_FOURFOLD_ARGUMENT
   * @example const x = engine.tensor([8, 16, 1024, 512], "f32"); x.data.fill(1);
   * @example
   * const x = engine.tensor([8, 16, 1024, 512], "f32", { device: "tensorflow" });
   * x.data.fill(1);
   * await x.upload(); // once; then reduce it often
   */
  tensor(shape: readonly number[], dtype: Dtype, options: { readonly device: TensorBackendName }): DeviceTensor;
  tensor(shape: readonly number[], dtype: Dtype, options?: TensorOptions): Tensor;
  tensor(shape: readonly number[], dtype: Dtype, options: TensorOptions = {}): Tensor {
    this.#open();
    checkTensorOptions(options);
    const length = extentOf(shape);
    checkDtype(dtype);
    const leaves = this.#wasm.heaps.allocateLeaves(length * BYTES[dtype]);
    const { heap, at, usedBytes } = leaves.block;
    heap.view("u8", at, usedBytes).fill(0); // the rest is as the machine gave it
    const data = heap.view(dtype, at, length);
    const tensor = { data, shape: [...shape], dtype };
    const { device } = options;
    if (device === undefined) return { ...tensor, free: () => leaves.free() };
    const thread = this.#devices.thread(device);
    thread.place(data);
    const upload = async (): Promise<void> => {
      this.#open();
      if (leaves.freed) throw freedTensor();
      leaves.hold();
      try {
        await thread.upload(data);
      } finally {
        leaves.release();
      }
    };
    const free = (): void => {
      thread.drop(data);
      leaves.free();
    };
    return Object.assign(tensor, { device, upload, free });
  }

  /**
   * Runs a chain on an input, or a job such as a loaded spec. The event loop stays free; large inputs run on workers.
   * @throws FourfoldError for every kind of bad input, with the level, axis or index
   * @example const { value } = await engine.run(chain(weightedSum(a), weightedSum(b)), { data, shape: [3, 4] });
   */
  async run(job: Job, options?: RunOptions): Promise<Result>;
  async run(chain: Chain, input: Input | TensorSource, options?: RunOptions): Promise<Result>;
  async run(first: Chain | Job, second?: Input | TensorSource | RunOptions, third?: RunOptions): Promise<Result> {
    this.#open();
    const isJob = isJobLike(first);
    if (!isJob) checkChain(first);
    const options = (isJob ? (second as RunOptions | undefined) : third) ?? {};
    checkRunOptions(options);
    return this.#admit(options.signal, async () => {
      const started = performance.now();
      if (isJob) {
        const inMemory = async (): Promise<Result> =>
          this.#runNew(await this.#problems.ofJob(first, options, () => this.#open()), options, started, false);
        return runJob(first, options, this.#problems.accuracy(options, { form: "records" }), inMemory, (records) => this.#count(records));
      }
      if (isTensorSource(second)) return this.#runResting(first, second, options, started);
      const input = second as Input;
      const leaves = this.#leavesOfInput(input);
      leaves?.hold(); // from the call on: freeing the tensor takes effect when the run is over
      try {
        const known = this.#known(first, input, options, false);
        if (known) return await this.#runProblem(known.problem, options, started, true, known.prepared);
        const problem = await this.#inTurns(this.#problems.ofInput(first, input, options), options.signal);
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
    const known = this.#known(chain, input, options, true);
    const problem = known?.problem ?? finish(this.#problems.ofInput(chain, input, options));
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
    const fitted = fit(chain, tree, this.#problems.nan(options), this.#problems.accuracy(options, tree));
    const asked = { chain, fitted, dtype: options.dtype, foreign: options.foreign === true, residentOn: options.device };
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
    const { plan, choice } = this.#cached(asked, options, this.#way(options, false));
    // What was compared once is not compared again, wherever the data lies that the plan is run on.
    const decided = choice.candidates.length > 0 ? choice : undefined;
    return Object.defineProperties(
      { ...plan },
      {
        toString: { value: () => explain(plan) },
        run: {
          value: async (x: Tensor, runOptions: PlanRunOptions = {}) => {
            this.#open();
            checkPlanRunOptions(runOptions);
            const { into, ...watched } = runOptions;
            return this.#admit(watched.signal, async () => {
              const all = { ...options, ...watched };
              const way = { ...this.#way(all, false), decided };
              return withInto(await this.#runProblem(problemOf(x, into), all, performance.now(), true, undefined, way), into);
            });
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

  /**
   * What {@link Engine.run} would do with a chain and a tensor at rest; it reads no leaves. `String(plan)` explains it.
   * @throws FourfoldError as {@link Engine.run}
   * @example
   * const x = await openTensor("x.npy"); // fourfold/files
   * console.log(String(await engine.planAtRest(index, x)));
   */
  async planAtRest(chain: Chain, source: TensorSource, options: RunOptions = {}): Promise<PlanData> {
    this.#open();
    checkChain(chain);
    checkRunOptions(options);
    checkResting(source);
    const { plan, executable } = (await this.#atRest(chain, source, options)).prepared;
    executable.close();
    return plan;
  }

  /**
   * Rolls up what never ends: batches of records or frames are reduced as they come, windows fire results, and their bits are those of a
   * batch run over the same records.
   * @param source iterables of items, Node and Web streams, readers of `fourfold/stream` (files, stdin, sockets), a ring, or several of them
   * @throws FourfoldError ERR_FOURFOLD_ARGUMENT and what else is wrong with chain, options and source, at once; all other errors end the
   * iteration
   * @example
   * const fleet = chain({ site: mean(), fleet: weightedMean("count") });
   * for await (const result of engine.stream(fleet, readings, { keys: ["site"], window: { sizeMs: 60_000 } }))
   *   console.log(new Date(result.pane.end), result.value);
   */
  stream(chain: Chain, source: StreamSource | readonly StreamSource[], options: StreamOptions = {}): Stream {
    this.#open();
    checkChain(chain);
    return openStream(this, readStreamOptions(chain, options, BYTES, source instanceof FrameRing ? source.store.dtype : "f64"), source);
  }

  /**
   * A ring of engine memory that a producer writes frames into, as the source of one stream. Nothing is copied.
   * @param shape of one frame, row-major
   * @param options.framesMax frames that may wait or be under way
   * @throws FourfoldError as {@link Engine.tensor}
   */
  frameRing(shape: readonly number[], dtype: Dtype, options: { readonly framesMax: number }): FrameRing {
    return openRing(this, shape, dtype, options);
  }

  /**
   * Makes a tree whose leaves can be changed one by one: all nodes of the chain stay what a run over the same leaves would give, to the bit.
   * It copies what it is given, and outlives the engine.
   * @param x0 keyed records, whose last key column names the leaf in its node, or rows: a tensor, ragged rows, numbers
   * @throws FourfoldError as {@link Engine.run}; ERR_FOURFOLD_KEYS for two records of one path; ERR_FOURFOLD_MEMORY beyond leavesMax;
   * ERR_FOURFOLD_WEIGHTS for weights of level f that do not come with the records
   * @example
   * const live = await engine.live(chain({ site: mean(), region: max() }), { values: [20, 22], keys: { region, site, sensor } });
   * live.set(["eu", "s17", "t3"], 21.5);
   * live.level("site").at("eu", "s17").value;
   */
  async live(chain: Chain, x0: LiveInput, options: LiveOptions = {}): Promise<Live> {
    this.#open();
    checkChain(chain);
    const policy = liveOptions(options, this.#options);
    return this.#admit(options.signal, async () => {
      const leaves = this.#leavesOfInput(x0 as Input);
      leaves?.hold();
      try {
        // The seed moves keys about in tables, and no number hangs on it.
        return new Live(await this.#inTurns(readLive(chain, x0, policy, Math.random() * 2 ** 32), options.signal));
      } finally {
        leaves?.release();
      }
    });
  }

  /** Ends the workers and refuses further calls. Runs under way reject. Closing twice is no error. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.#wasm.close(), this.#devices.close()]);
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

  async #runProblem(
    problem: Problem,
    options: RunOptions,
    started: number,
    cached: boolean,
    known?: Prepared,
    way: Way = this.#way(options, false),
  ): Promise<Result> {
    const placed = performance.now();
    const leaves = this.#wasm.heaps.leavesOf(problem.data);
    leaves?.hold(); // before the first wait: freeing the tensor takes effect when the run is over
    try {
      if (!known) await this.#measureFor(problem.fitted, way, options.signal);
      const prepared = known ?? this.#prepare(problem, options, way, cached);
      return await this.#runPrepared(problem, prepared, options, [started, placed, performance.now()], cached);
    } finally {
      leaves?.release();
    }
  }

  async #runPrepared(problem: Problem, prepared: Prepared, options: RunOptions, times: RunTimes, cached: boolean): Promise<Result> {
    prepared.inFlight++;
    try {
      if (refusesNaN(problem) && prepared.plan.backend === "reference") await this.#inTurns(refuseNaNOf(problem), options.signal);
      const output = await prepared.executable.run(problem.data, options);
      return this.#result(problem, prepared.plan, output, options, times);
    } catch (error) {
      // A part names the NaN that it met first; the caller is told the first of all.
      if (isNaNError(error)) await this.#inTurns(refuseNaNOf(problem), options.signal);
      throw error;
    } finally {
      this.#release(prepared, cached);
    }
  }

  /** Runs a chain on a tensor at rest: a plan of its own, for leaves that are read while they are reduced. */
  async #runResting(chain: Chain, source: TensorSource, options: RunOptions, started: number): Promise<Result> {
    checkResting(source);
    const release = holdResting(source);
    try {
      return await this.#runHeld(chain, source, options, started);
    } finally {
      release();
    }
  }

  async #runHeld(chain: Chain, source: TensorSource, options: RunOptions, started: number): Promise<Result> {
    const { signal, onProgress } = options;
    const { problem, placed, prepared } = await this.#atRest(chain, source, options);
    const { plan, executable } = prepared;
    const planned = performance.now();
    try {
      const output = await executable.run(problem.data, { signal, onProgress: onProgress && inBytes(onProgress, plan) });
      return this.#result(problem, plan, output, options, [started, placed, planned]);
    } catch (error) {
      if (isNaNError(error)) await refuseNaNAt(this.#wasm, problem.fitted.levels[0]!.name, source, signal);
      throw error;
    } finally {
      executable.close();
    }
  }

  async #atRest(
    chain: Chain,
    source: TensorSource,
    options: RunOptions,
  ): Promise<{ readonly problem: Problem; readonly placed: number; readonly prepared: PreparedResting }> {
    if (options.errorBound) throw badOption("errorBound", true, "nothing for a tensor at rest: it runs on kernels that keep the contract");
    const problem = await this.#inTurns(this.#problems.ofResting(chain, source, options), options.signal);
    const placed = performance.now();
    const way = this.#way(options, false);
    const preparing = prepareResting(this.#wasm, problem.fitted, source, keptLevels(chain, options.keep), way);
    return { problem, placed, prepared: await this.#inTurns(preparing, options.signal) };
  }

  #runProblemSync(problem: Problem, options: RunOptions, started: number, cached: boolean, known?: Prepared): Result {
    const placed = performance.now();
    const prepared = known ?? this.#prepare(problem, options, this.#way(options, true), cached);
    const planned = performance.now();
    const leaves = this.#wasm.heaps.leavesOf(problem.data);
    leaves?.hold();
    prepared.inFlight++;
    try {
      if (refusesNaN(problem) && prepared.plan.backend !== "wasm") finish(refuseNaNOf(problem));
      if (!prepared.executable.runSync) throw notSynchronous(prepared.plan.backend);
      const output = prepared.executable.runSync(problem.data);
      return this.#result(problem, prepared.plan, output, options, [started, placed, planned]);
    } catch (error) {
      if (isNaNError(error)) finish(refuseNaNOf(problem));
      throw error;
    } finally {
      leaves?.release();
      this.#release(prepared, cached);
    }
  }

  /** The leaves in engine memory that an input shows; undefined for all others, bad ones included. */
  #leavesOfInput(input: Input): LeafBlock | undefined {
    const data = typeof input === "object" && input !== null && "data" in input ? input.data : input;
    return dtypeOf(data) === undefined ? undefined : this.#wasm.heaps.leavesOf(data as TypedData);
  }

  /** Ends a run's use of a plan. */
  #release(prepared: Prepared, cached: boolean): void {
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

  #prepare(problem: Problem, options: RunOptions, way: Way, cached: boolean): Prepared {
    const { chain, fitted, data } = problem;
    const foreign = this.#wasm.heaps.leavesOf(data) === undefined;
    const asked = { chain, fitted, dtype: dtypeOf(data)!, foreign, residentOn: this.#devices.holderOf(data) };
    return cached ? this.#cached(asked, options, way) : this.#make(asked, options, way);
  }

  /**
   * The short way for small inputs: a dense input like one that ran before has its plan found by comparing sizes, and is neither
   * fitted nor planned again. Undefined for all others, bad ones included: those go the long way, which says what is wrong.
   */
  #known(
    chain: Chain,
    input: Input,
    options: RunOptions,
    sync: boolean,
  ): { readonly problem: Problem; readonly prepared: Prepared } | undefined {
    if (options.keep !== undefined || !isDense(input) || "keys" in input) return undefined;
    const { shape } = input;
    const data = input.data as TypedData;
    const dtype = dtypeOf(data);
    if (dtype === undefined || !Array.isArray(shape)) return undefined;
    const foreign = this.#wasm.heaps.leavesOf(data) === undefined;
    if (foreign && data.byteLength > PIECE_BYTES_MAX) return undefined;
    const nan = this.#problems.nan(options);
    const accuracy = this.#problems.accuracy(options, ROWS);
    const prepared = this.#plans.find({
      chain,
      shape,
      dtype,
      foreign,
      nan,
      accuracy,
      keep: undefined,
      way: this.#way(options, sync),
      residentOn: this.#devices.holderOf(data),
    });
    if (prepared?.fitted.tree.leaves !== data.length) return undefined;
    return { problem: { chain, fitted: prepared.fitted, data, keys: undefined, order: undefined, given: data, copy: undefined }, prepared };
  }

  #cached(asked: Asked, options: RunOptions, way: Way): Prepared {
    const { chain, fitted, dtype, foreign, residentOn } = asked;
    const shape = [...fitted.tree.frames, ...fitted.levels.map(({ extent }) => extent!).reverse()];
    const { nan, accuracy } = fitted;
    const keep = keptLevels(chain, options.keep);
    const known = this.#plans.find({ chain, shape, dtype, foreign, nan, accuracy, keep, residentOn, way });
    if (known) return known;
    const prepared = this.#make(asked, options, way);
    this.#plans.add(prepared, chain);
    return prepared;
  }

  #make({ chain, ...asked }: Asked, options: RunOptions, way: Way): Prepared {
    const { choice, plan, executable } = this.#preparer.prepare({ ...asked, keep: keptLevels(chain, options.keep) }, way);
    const { fitted, residentOn } = asked;
    return { chain: new WeakRef(chain), fitted, way, choice, residentOn, plan, executable, inFlight: 0, wanted: 0 };
  }

  /** How a call is to be run; threads are the wasm backend's, which a synchronous call has none of. */
  #way({ backend = this.#options.backend ?? "auto", split }: RunOptions, sync: boolean): Way {
    return { backend, split: split as Way["split"], decided: undefined, workers: sync ? 0 : this.#workers, sync };
  }

  /**
   * Measures the devices before the first run that is large enough for them to matter: some seconds, once for a machine. Not while other
   * runs hold the cores: what is measured then would be wrong for all later ones.
   */
  async #measureFor(fitted: Fitted, way: Way, signal: AbortSignal | undefined): Promise<void> {
    const operations = fitted.levels.reduce(
      (sum, { children, weights }) => sum + children * (weights.form === "matrix" ? weights.rows : 1),
      0,
    );
    if (operations < MEASURED_OPERATIONS_MIN || this.#inFlight > 1 || !this.#preparer.mayLeave(fitted, way) || !this.#devices.unmeasured)
      return;
    await unlessAborted(this.#devices.measure(), signal);
    this.#open();
  }

  /** Measures what `auto` may choose from and stores it; gives what is known then. For `fourfold doctor --calibrate`. @internal */
  async calibrate(): Promise<Calibration> {
    this.#open();
    await this.#devices.measure(true);
    return this.#devices.calibration!;
  }

  #result(problem: Problem, plan: PlanData, output: RunOutput, options: RunOptions, [started, placed, planned]: RunTimes): Result {
    const reduced = performance.now();
    const { fitted, data } = problem;
    const outermost = output.levels.at(-1)!;
    const values = outputsLast(outermost.values, outermost.outputs);
    const bounds = output.bounds ?? (options.errorBound ? errorBound(fitted, data, CONTRACT_F64) : undefined);
    const errorBounds = bounds && outputsLast(bounds, outermost.outputs);
    this.#count(plan.leaves);
    const { processMs, aggregateMs } = output;
    const ms = [placed - started, planned - placed, processMs, aggregateMs, (output.outputMs ?? 0) + performance.now() - reduced] as const;
    const where = { startedAt: started, endedAt: performance.now(), devices: output.devices, moved: output.moved };
    return new RunResult(plan, this.#levels(problem, output, options), values, errorBounds, ms, where, problem.rejected);
  }

  /** What the views of a result read. Leaves are read where they lie, if the innermost level was to be kept. */
  #levels({ fitted, keys, order, given }: Problem, { levels }: RunOutput, { keep }: RunOptions): RunLevels {
    const wanted = keep !== undefined && given !== undefined && levels[0] !== undefined;
    const at = (position: number): number => {
      this.#wasm.heaps.leavesOf(given!); // which throws if the tensor was freed
      return given![order ? order[position]! : position]!;
    };
    // Where only the outermost level is kept, the weights of the others need not live as long as the result.
    const weighing = keep === undefined ? fitted.levels.slice(-1) : fitted.levels;
    return { tree: fitted.tree, values: levels, keys, leaves: wanted ? { at } : undefined, order, weighing };
  }

  #count(records: number): void {
    this.#runs++;
    this.#records += records;
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

/** When a run was asked for, its input read, its plan found. */
type RunTimes = readonly [number, number, number];

interface Asked {
  readonly chain: Chain;
  readonly fitted: Fitted;
  readonly dtype: Dtype;
  readonly foreign: boolean;
  readonly residentOn: string | undefined;
}

function checkInto(into: Float64Array, fitted: Fitted): void {
  const expected = extentOf(resultShape(fitted.tree.frames, fitted.outputs));
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

function extentOf(shape: readonly number[]): number {
  checkShape(shape);
  return shape.reduce((product, extent) => product * extent, 1);
}
