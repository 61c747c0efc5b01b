/**
 * A tensor backend as the calling thread sees it: a thread of its own (tensor-worker.ts) that runs chains one after the other. Both
 * read the leaves in engine memory, where other data is copied first. All that this side does with leaves is the pass of pass.ts, in
 * slices that let the event loop turn: while it copies, or beside the operations where nothing is to be copied.
 *
 * The thread starts with the first call and does not keep Node alive while it is idle. If it is lost, the call under way fails with
 * ERR_FOURFOLD_WORKER and the next one starts another.
 */
import { once } from "node:events";
import { SHARE_ENV, Worker, type WorkerOptions } from "node:worker_threads";
import { aborted, closed, FourfoldError, throwIfAborted } from "../errors.ts";
import { type CarriedError, uncarry } from "../reduce/carried.ts";
import type { Fitted } from "../reduce/resolve.ts";
import type { LevelValues } from "../reduce/result.ts";
import { type Sizing, sizingOf } from "../reduce/sizes.ts";
import { dtypeOf } from "../reduce/tree.ts";
import type { TypedData } from "../types.ts";
import type { Executable, RunContext, RunOutput } from "./backend.ts";
import type { Heap, Heaps } from "./memory.ts";
import { type Passed, passOver } from "./pass.ts";
import { arithmeticOf, refuse, type TensorBackendName } from "./tensor-backends.ts";
import { Aborts, finishInTurns } from "./turns.ts";

/** A chain that a thread runs again and again, on data of one dtype. */
export interface Program {
  readonly fitted: Fitted;
  readonly keep: readonly boolean[];
  /** What the error bound follows from; undefined where it must see every value. */
  readonly sizing: Sizing | undefined;
}

/** What the calling thread posts. `load` comes with the first use of a program in a thread. */
export type Request =
  | { readonly kind: "open"; readonly id: number }
  | {
      readonly kind: "run";
      readonly id: number;
      readonly program: number;
      readonly load: Program | undefined;
      readonly data: TypedData;
      /** The copy of the data on the device, where there is one. */
      readonly copy: number | undefined;
      /** True if no leaf is NaN; false where nobody knows. */
      readonly clean: boolean;
    }
  /** Asks for the error bound of a run, from the sizes of its rows if they are known. */
  | {
      readonly kind: "bound";
      readonly id: number;
      readonly program: number;
      readonly load: Program | undefined;
      readonly data: TypedData;
      readonly sizes: Float64Array | undefined;
      /** The copy whose leaves it is for, instead of `data`. */
      readonly copy: number | undefined;
    }
  | { readonly kind: "upload"; readonly id: number; readonly copy: number; readonly data: TypedData }
  | { readonly kind: "forget"; readonly program: number }
  | { readonly kind: "drop"; readonly copy: number }
  | { readonly kind: "end" };

/** What a run gave. */
interface Ran {
  readonly levels: readonly (LevelValues | undefined)[];
  readonly processMs: number;
}

/** What is known of a backend once it is loaded. */
export interface Opened {
  /** The version of what computes. */
  readonly version: string;
  /** What computes: devices on one processor share its cores. */
  readonly processor: "cpu" | "gpu";
  /** True for a GPU whose work the CPU does. */
  readonly software: boolean;
}

/** What each kind of request is answered with. */
interface Results {
  readonly open: Opened;
  readonly run: Ran;
  readonly bound: Float64Array;
  readonly upload: undefined;
}

/** What the thread posts. */
export type Reply =
  | { readonly id: number; readonly result: Results[keyof Results] }
  | { readonly id: number; readonly error: CarriedError };

/** How a tensor backend's thread is run. */
export interface TensorThreadOptions {
  /** The thread's module; default this package's own. */
  readonly workerUrl?: URL;
  /** Milliseconds after which a run that has not ended counts as one that never will. Default 60,000. */
  readonly runMsMax?: number;
}

/** {@link TensorThreadOptions.runMsMax} unless it is given. */
export const RUN_MS_MAX = 60_000;

/** Leaves that have a copy on the device: made before the first run that reads it, and again in a thread that does not have it. */
interface Copy {
  readonly id: number;
  readonly data: TypedData;
  /** The error bounds of programs that ran on it: they follow from the leaves, which the copy keeps as they are. */
  readonly bounds: Map<number, Float64Array>;
}

/** Loading a library takes seconds where the disk is slow; one that takes longer than this will never be loaded: milliseconds. */
const OPEN_MS_MAX = 120_000;

/** Error bounds kept for one copy. */
const BOUNDS_MAX = 64;

/** See the head of this file. */
export class TensorThread {
  readonly name: TensorBackendName;
  readonly #heaps: Heaps;
  readonly #options: TensorThreadOptions;
  readonly #copies: Map<TypedData, Copy> = new Map();
  #thread: Thread | undefined;
  /** Settles when the thread has nothing to do: runs take turns, so that the copy of one run's data is all that waits. */
  #turn: Promise<unknown> = Promise.resolve();
  readonly #aborts: Aborts = new Aborts();
  #programs = 0;
  #copiesMade = 0;
  #closed = false;

  /** @param heaps engine memory, where data is read */
  constructor(name: TensorBackendName, heaps: Heaps, options: TensorThreadOptions = {}) {
    this.name = name;
    this.#heaps = heaps;
    this.#options = options;
  }

  /** Starts the thread and loads the backend. @throws FourfoldError ERR_FOURFOLD_BACKEND with the command that gets it */
  async open(): Promise<Opened> {
    return this.#started().open();
  }

  /** Lets a tensor's leaves have a copy on the device: the first run makes it, and those that come later read it. */
  place(data: TypedData): Copy {
    this.drop(data);
    const copy = { id: this.#copiesMade++, data, bounds: new Map() };
    this.#copies.set(data, copy);
    return copy;
  }

  /** Copies a tensor's leaves to the device, in the turn of the runs; once more copies them anew. */
  async upload(data: TypedData): Promise<void> {
    const copy = this.place(data);
    await this.#inTurn(undefined, () => this.#uploaded(copy));
  }

  /** Gives the copy of a tensor's leaves back, if there is one. */
  drop(data: TypedData): void {
    const copy = this.#copies.get(data);
    this.#copies.delete(data);
    if (copy && this.#thread?.copies.delete(copy.id)) this.#thread.post({ kind: "drop", copy: copy.id });
  }

  /** True if a tensor's leaves have a copy on the device. */
  holds(data: TypedData): boolean {
    return this.#copies.has(data);
  }

  /** A chain to be run on this backend. @throws FourfoldError ERR_FOURFOLD_ACCURACY for what tensors cannot do */
  prepare(fitted: Fitted, keep: readonly boolean[]): Executable {
    refuse(fitted, this.name);
    const id = this.#programs++;
    const programFor = this.#programFor(fitted, keep);
    return {
      runSync: undefined,
      run: (data, context) => this.#inTurn(context.signal, () => this.#run(id, programFor(data), data, context)),
      close: () => this.#forget(id),
    };
  }

  /**
   * Bounds the values of a chain that ran in several places, of whose arithmetics this backend's is the least exact. For data of one
   * dtype; `close` gives back what preparing took.
   */
  bounder(fitted: Fitted): { bound(data: TypedData, signal: AbortSignal | undefined): Promise<Float64Array>; close(): void } {
    const id = this.#programs++;
    const programFor = this.#programFor(fitted, []);
    return {
      bound: (data, signal) =>
        this.#inTurn(signal, () =>
          this.#withLeaves(data, async (leaves) => {
            const program = programFor(data);
            const passed = leaves.from || program.sizing ? await this.#pass(leaves, program.sizing, false, signal) : undefined;
            return this.#bound(id, program, leaves.data, passed?.sizes);
          }),
        ),
      close: () => this.#forget(id),
    };
  }

  /** Ends the thread; what runs or waits rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#thread?.end(closed());
  }

  /** The program of a chain, once the dtype of its data is known. */
  #programFor(fitted: Fitted, keep: readonly boolean[]): (data: TypedData) => Program {
    let program: Program | undefined;
    return (data) => {
      program ??= { fitted, keep, sizing: sizingOf(fitted, dtypeOf(data)!, arithmeticOf(this.name)) };
      return program;
    };
  }

  #forget(id: number): void {
    if (this.#thread?.programs.delete(id)) this.#thread.post({ kind: "forget", program: id });
  }

  async #run(id: number, program: Program, given: TypedData, { signal, errorBound = true }: RunContext): Promise<RunOutput> {
    const copy = this.#copies.get(given);
    if (copy) await this.#uploaded(copy);
    return this.#withLeaves(given, async (leaves) => {
      const { data } = leaves;
      const nan = program.fitted.nan !== "propagate" && copy === undefined;
      const sizing = copy === undefined && (errorBound || nan) ? program.sizing : undefined;
      const passed = leaves.from || nan ? await this.#pass(leaves, sizing, nan, signal) : undefined;
      const thread = await this.#opened();
      throwIfAborted(signal);
      const load = this.#loadOf(thread, id, program);
      let reduced = 0;
      const running = thread.call("run", { program: id, load, data, copy: copy?.id, clean: passed?.clean === true }).finally(() => {
        reduced = performance.now();
      });
      const bounding = async (): Promise<Float64Array | undefined> => {
        if (!errorBound) return undefined;
        const known = copy?.bounds.get(id);
        if (known) return known.slice();
        if (copy || passed?.clean === false) await running; // which may refuse a NaN, or fail
        const { sizes } = passed ?? (sizing ? await this.#pass(leaves, sizing, false, signal) : { sizes: undefined });
        const bounds = await this.#bound(id, program, data, sizes, copy);
        if (copy) keep(copy.bounds, id, bounds.slice());
        return bounds;
      };
      // Both to their ends, however they end: until then the thread reads the leaves.
      const [ran, bounds] = await Promise.allSettled([running, bounding()]);
      if (ran.status === "rejected") throw ran.reason;
      if (bounds.status === "rejected") throw bounds.reason;
      const outputMs = performance.now() - reduced;
      return { ...ran.value, ...(bounds.value && { bounds: bounds.value }), aggregateMs: 0, outputMs };
    });
  }

  /** @param copy whose leaves the bound is for: they may be others than those in engine memory by now */
  async #bound(id: number, program: Program, data: TypedData, sizes: Float64Array | undefined, copy?: Copy): Promise<Float64Array> {
    const thread = await this.#opened();
    return thread.call("bound", { program: id, load: this.#loadOf(thread, id, program), data, sizes, copy: copy?.id });
  }

  /** What a thread must be told of a program, if it does not know it yet. */
  #loadOf(thread: Thread, id: number, program: Program): Program | undefined {
    if (thread.programs.has(id)) return undefined;
    thread.programs.add(id);
    return program;
  }

  /** Copies leaves to the device, unless the thread that runs now has done so. */
  async #uploaded(copy: Copy): Promise<void> {
    const thread = await this.#opened();
    if (thread.copies.has(copy.id)) return;
    copy.bounds.clear(); // of what an earlier thread had
    await this.#withLeaves(copy.data, ({ data }) => thread.call("upload", { copy: copy.id, data }));
    // It may have been given back, or made anew, while it was uploaded.
    if (this.#copies.get(copy.data) === copy) thread.copies.add(copy.id);
    else thread.post({ kind: "drop", copy: copy.id });
  }

  /** The thread with its backend loaded, which counts as no part of a run. */
  async #opened(): Promise<Thread> {
    const thread = this.#started();
    await thread.open();
    return thread;
  }

  /** Holds leaves in engine memory while `work` lasts: those of a tensor, or room for a copy, which {@link #pass} fills. */
  async #withLeaves<T>(given: TypedData, work: (leaves: Leaves) => Promise<T>): Promise<T> {
    const own = this.#heaps.leavesOf(given);
    const leaves = own ?? this.#heaps.allocateLeaves(given.byteLength);
    leaves.hold();
    if (own === undefined) leaves.free(); // which takes effect when the work is over
    try {
      const { heap, at } = leaves.block;
      const data = own ? given : heap.view(dtypeOf(given)!, at, given.length);
      return await work({ heap, data, from: own ? undefined : given });
    } finally {
      leaves.release();
    }
  }

  #pass({ heap, data, from }: Leaves, sizing: Sizing | undefined, nan: boolean, signal: AbortSignal | undefined): Promise<Passed> {
    const placed = { heap, at: data.byteOffset, dtype: dtypeOf(data)!, length: data.length };
    return finishInTurns(passOver(this.#heaps, placed, { from, sizing, nan }), () => {
      if (this.#closed) throw closed();
      throwIfAborted(signal);
    });
  }

  /**
   * Runs `call` when those before it are through. An abort is answered at once; operations under way cannot be stopped, so
   * the next call waits for their end, and what they give is dropped.
   */
  #inTurn<T>(signal: AbortSignal | undefined, call: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() => {
      throwIfAborted(signal);
      return call();
    });
    this.#turn = turn.catch(() => undefined);
    if (!signal) return turn;
    return new Promise<T>((resolve, reject) => {
      const stop = this.#aborts.on(signal, () => reject(aborted(signal)));
      turn.then(resolve, reject).finally(stop);
    });
  }

  #started(): Thread {
    if (this.#closed) throw closed();
    if (this.#thread === undefined || this.#thread.gone) this.#thread = new Thread(this.name, this.#options);
    return this.#thread;
  }
}

/** Leaves in engine memory, and where they are still to be copied from. */
interface Leaves {
  readonly heap: Heap;
  readonly data: TypedData;
  readonly from: TypedData | undefined;
}

/** Keeps an entry, and lets the oldest go if there are too many. */
function keep(bounds: Map<number, Float64Array>, id: number, made: Float64Array): void {
  const [oldest] = bounds.keys();
  if (oldest !== undefined && bounds.size >= BOUNDS_MAX) bounds.delete(oldest);
  bounds.set(id, made);
}

/** A thread that does not end when it is asked to, hangs: milliseconds. */
const END_MS_MAX = 10_000;

interface Call {
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
  /** Ends the thread if no answer comes. */
  readonly deadline: NodeJS.Timeout;
}

/** A started thread. */
class Thread {
  /** The programs it knows, and the copies of leaves that it holds. */
  readonly programs: Set<number> = new Set();
  readonly copies: Set<number> = new Set();
  gone = false;
  readonly #name: string;
  readonly #runMsMax: number;
  #opening: Promise<Opened> | undefined;
  readonly #worker: Worker;
  readonly #calls: Map<number, Call> = new Map();
  #ids = 0;
  /** Why it is being ended. */
  #ending: Error | undefined;
  /** Whether it is asked to end, and not stopped. */
  readonly #asked: boolean;

  constructor(name: TensorBackendName, { workerUrl, runMsMax = RUN_MS_MAX }: TensorThreadOptions) {
    this.#name = name;
    this.#runMsMax = runMsMax;
    const options: WorkerOptions = {
      name: `fourfold ${name}`,
      workerData: name,
      // The native library reads the process's own environment, which a worker's copy does not change.
      env: SHARE_ENV,
      // A parent run by `node --input-type=module --eval` hands that flag down, and no file can be loaded under it.
      ...(process.execArgv.some((flag) => flag.startsWith("--input-type")) && { execArgv: [] }),
    };
    // The literal form is what bundlers look for.
    const worker =
      workerUrl === undefined
        ? new Worker(new URL("../../dist/backends/tensor-worker.js", import.meta.url), options)
        : new Worker(workerUrl, options);
    worker.unref();
    this.#asked = name === "webgpu";
    let fault: unknown;
    worker.on("error", (error) => {
      fault = error;
    });
    worker.on("exit", (status) => {
      this.#lose(this.#ending ?? lost(name, fault ?? new Error(`the thread exited with status ${status}`)));
    });
    worker.on("message", (reply: Reply) => {
      const call = this.#calls.get(reply.id);
      if (call === undefined) return; // it was given up
      this.#calls.delete(reply.id);
      clearTimeout(call.deadline);
      if (this.#calls.size === 0 && this.#ending === undefined) worker.unref(); // its end is awaited
      if ("error" in reply) {
        const error = uncarry(reply.error);
        // Another device takes the place of one that failed, and has none of its memory.
        if (error instanceof FourfoldError && error.code === "ERR_FOURFOLD_DEVICE") this.copies.clear();
        call.reject(error);
      } else call.resolve(reply.result as never);
    });
    this.#worker = worker;
  }

  /** Loads the backend, once; a library that does not load is tried again by the next call. */
  open(): Promise<Opened> {
    this.#opening ??= this.call("open", {}, OPEN_MS_MAX).catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  /** Posts a request; its answer. */
  call<K extends keyof Results>(
    kind: K,
    request: Omit<Extract<Request, { kind: K }>, "kind" | "id">,
    msMax: number = this.#runMsMax,
  ): Promise<Results[K]> {
    return new Promise((resolve, reject) => {
      const id = this.#ids++;
      this.post({ ...request, kind, id } as unknown as Request);
      const deadline = setTimeout(() => this.#giveUp(msMax), msMax);
      this.#calls.set(id, { resolve, reject, deadline });
      this.#worker.ref(); // an answer is awaited
    });
  }

  /** Leaves a thread that does not answer to itself: one that hangs in a library may not even end. */
  #giveUp(msMax: number): void {
    this.#lose(
      new FourfoldError("ERR_FOURFOLD_DEVICE", `backend "${this.#name}" has not answered in ${msMax} ms`, {
        given: msMax,
        fix: 'Raise deviceMsMax if the work is as large as that, or use backend "wasm"',
      }),
    );
    if (!this.#asked) void this.#worker.terminate(); // else it is left alone: see end()
    this.#worker.unref();
  }

  /** Answers every call with an error; the next one starts another thread. */
  #lose(error: Error): void {
    this.gone = true;
    for (const { reject, deadline } of this.#calls.values()) {
      clearTimeout(deadline);
      reject(error);
    }
    this.#calls.clear();
  }

  post(request: Request): void {
    this.#worker.postMessage(request);
  }

  /** Ends the thread. One on a GPU is asked to end: stopped in the middle of a call into Dawn, it would abort the whole process. */
  async end(error: Error): Promise<void> {
    if (this.gone) return;
    this.#ending = error;
    if (!this.#asked) return void (await this.#worker.terminate());
    this.post({ kind: "end" });
    const timer = setTimeout(() => void this.#worker.terminate(), END_MS_MAX);
    this.#worker.ref();
    await once(this.#worker, "exit");
    clearTimeout(timer);
  }
}

function lost(name: string, cause: unknown): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_WORKER", `the thread of backend "${name}" ended in the middle of a run`, {
    fix: 'Run again: another thread starts. If it ends again, use backend "wasm"',
    cause,
  });
}
