/**
 * A tensor backend as the calling thread sees it: a thread of its own (tensor-worker.ts) that runs chains one after the other. Both
 * read the leaves in engine memory, where other data is copied first. All that this side does with leaves is the pass of pass.ts, in
 * slices that let the event loop turn: while it copies, or beside the operations where nothing is to be copied.
 *
 * The thread starts with the first call and does not keep Node alive while it is idle. If it is lost, the call under way fails with
 * ERR_FOURFOLD_WORKER and the next one starts another.
 */
import { SHARE_ENV, Worker, type WorkerOptions } from "node:worker_threads";
import { aborted, closed, FourfoldError, throwIfAborted } from "../errors.ts";
import type { Fitted } from "../reduce/resolve.ts";
import type { LevelValues } from "../reduce/result.ts";
import { type Sizing, sizingOf } from "../reduce/sizes.ts";
import { dtypeOf } from "../reduce/tree.ts";
import type { TypedData } from "../types.ts";
import type { Executable, RunContext, RunOutput } from "./backend.ts";
import { type CarriedError, uncarry } from "./carried.ts";
import type { Heaps } from "./memory.ts";
import { type Passed, passOver } from "./pass.ts";
import { arithmeticOf, refuse, type TensorBackendName } from "./tfjs.ts";
import { finishInTurns } from "./turns.ts";

/** A chain that a thread runs again and again, on data of one dtype. */
export interface Program {
  readonly fitted: Fitted;
  readonly keep: readonly boolean[];
  /** What the error bound follows from; undefined where it must see every value. */
  readonly sizing: Sizing | undefined;
}

/** What the calling thread posts. `load` comes with the first run of a program in a thread. */
export type Request =
  | { readonly kind: "open"; readonly id: number }
  | {
      readonly kind: "run";
      readonly id: number;
      readonly program: number;
      readonly load: Program | undefined;
      readonly data: TypedData;
      /** True if no leaf is NaN; false where nobody knows. */
      readonly clean: boolean;
    }
  /** Asks for the error bound of a run, from the sizes of its rows if they are known. */
  | {
      readonly kind: "bound";
      readonly id: number;
      readonly program: number;
      readonly data: TypedData;
      readonly sizes: Float64Array | undefined;
    }
  | { readonly kind: "forget"; readonly program: number };

/** What a run gave. */
interface Ran {
  readonly levels: readonly (LevelValues | undefined)[];
  readonly processMs: number;
}

/** What each kind of request is answered with: opening tells the backend's version. */
interface Results {
  readonly open: string;
  readonly run: Ran;
  readonly bound: Float64Array;
}

/** What the thread posts. */
export type Reply =
  | { readonly id: number; readonly result: Results[keyof Results] }
  | { readonly id: number; readonly error: CarriedError };

/** See the head of this file. */
export class TensorThread {
  readonly name: TensorBackendName;
  readonly #heaps: Heaps;
  readonly #workerUrl: URL | undefined;
  #thread: Thread | undefined;
  /** Settles when the thread has nothing to do: runs take turns, so that the copy of one run's data is all that waits. */
  #turn: Promise<unknown> = Promise.resolve();
  #programs = 0;
  #closed = false;

  /**
   * @param heaps engine memory, where data is read
   * @param workerUrl the thread's module; default this package's own
   */
  constructor(name: TensorBackendName, heaps: Heaps, workerUrl?: URL) {
    this.name = name;
    this.#heaps = heaps;
    this.#workerUrl = workerUrl;
  }

  /** Starts the thread and loads the backend; gives its version. @throws FourfoldError ERR_FOURFOLD_BACKEND with the command that gets it */
  async open(): Promise<string> {
    return this.#started().call("open", {});
  }

  /** A chain to be run on this backend. @throws FourfoldError ERR_FOURFOLD_ACCURACY for what tensors cannot do */
  prepare(fitted: Fitted, keep: readonly boolean[]): Executable {
    refuse(fitted, this.name);
    const id = this.#programs++;
    let program: Program | undefined;
    return {
      runSync: undefined,
      run: (data, context) => {
        program ??= { fitted, keep, sizing: sizingOf(fitted, dtypeOf(data)!, arithmeticOf(this.name)) };
        return this.#inTurn(context.signal, () => this.#run(id, program!, data, context));
      },
      close: () => {
        if (this.#thread?.programs.delete(id)) this.#thread.post({ kind: "forget", program: id });
      },
    };
  }

  /** Ends the thread; what runs or waits rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#thread?.end(closed());
  }

  async #run(id: number, program: Program, given: TypedData, { signal, errorBound = true }: RunContext): Promise<RunOutput> {
    const own = this.#heaps.leavesOf(given);
    const leaves = own ?? this.#heaps.allocateLeaves(given.byteLength);
    leaves.hold();
    if (own === undefined) leaves.free(); // which takes effect when the run is over
    try {
      const dtype = dtypeOf(given)!;
      const { heap, at } = leaves.block;
      const data = own ? given : heap.view(dtype, at, given.length);
      const nan = program.fitted.nan !== "propagate";
      const sizing = errorBound || nan ? program.sizing : undefined;
      const pass = (): Promise<Passed> =>
        finishInTurns(
          passOver(this.#heaps, { heap, at: data.byteOffset, dtype, length: data.length }, { from: own ? undefined : given, sizing, nan }),
          () => {
            if (this.#closed) throw closed();
            throwIfAborted(signal);
          },
        );
      const passed = own === undefined || nan ? await pass() : undefined;
      throwIfAborted(signal);

      const thread = this.#started();
      const load = thread.programs.has(id) ? undefined : program;
      thread.programs.add(id);
      let reduced = 0;
      const running = thread.call("run", { program: id, load, data, clean: passed?.clean === true }).finally(() => {
        reduced = performance.now();
      });
      const bounding = async (): Promise<Float64Array | undefined> => {
        if (!errorBound) return undefined;
        if (passed?.clean === false) await running; // which may refuse a NaN
        const { sizes } = passed ?? (sizing ? await pass() : { sizes: undefined });
        return thread.call("bound", { program: id, data, sizes });
      };
      // Both to their ends, however they end: until then the thread reads the leaves.
      const [ran, bounds] = await Promise.allSettled([running, bounding()]);
      if (ran.status === "rejected") throw ran.reason;
      if (bounds.status === "rejected") throw bounds.reason;
      const outputMs = performance.now() - reduced;
      return { ...ran.value, ...(bounds.value && { bounds: bounds.value }), aggregateMs: 0, outputMs };
    } finally {
      leaves.release();
    }
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
      const onAbort = (): void => reject(aborted(signal));
      signal.addEventListener("abort", onAbort, { once: true });
      turn.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
    });
  }

  #started(): Thread {
    if (this.#closed) throw closed();
    if (this.#thread === undefined || this.#thread.gone) this.#thread = new Thread(this.name, this.#workerUrl);
    return this.#thread;
  }
}

interface Call {
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
}

/** A started thread. */
class Thread {
  /** The programs it knows. */
  readonly programs: Set<number> = new Set();
  gone = false;
  readonly #worker: Worker;
  readonly #calls: Map<number, Call> = new Map();
  #ids = 0;
  /** Why it is being ended. */
  #ending: Error | undefined;

  constructor(name: TensorBackendName, workerUrl: URL | undefined) {
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
    let fault: unknown;
    worker.on("error", (error) => {
      fault = error;
    });
    worker.on("exit", (status) => {
      this.gone = true;
      const error = this.#ending ?? lost(name, fault ?? new Error(`the thread exited with status ${status}`));
      for (const { reject } of this.#calls.values()) reject(error);
      this.#calls.clear();
    });
    worker.on("message", (reply: Reply) => {
      const call = this.#calls.get(reply.id)!;
      this.#calls.delete(reply.id);
      if (this.#calls.size === 0) worker.unref();
      if ("error" in reply) call.reject(uncarry(reply.error));
      else call.resolve(reply.result as never);
    });
    this.#worker = worker;
  }

  /** Posts a request; its answer. */
  call<K extends keyof Results>(kind: K, request: Omit<Extract<Request, { kind: K }>, "kind" | "id">): Promise<Results[K]> {
    return new Promise((resolve, reject) => {
      const id = this.#ids++;
      this.post({ ...request, kind, id } as Request);
      this.#calls.set(id, { resolve, reject });
      this.#worker.ref(); // an answer is awaited
    });
  }

  post(request: Request): void {
    this.#worker.postMessage(request);
  }

  async end(error: Error): Promise<void> {
    this.#ending = error;
    await this.#worker.terminate();
  }
}

function lost(name: string, cause: unknown): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_WORKER", `the thread of backend "${name}" ended in the middle of a run`, {
    fix: 'Run again: another thread starts. If it ends again, use backend "wasm"',
    cause,
  });
}
