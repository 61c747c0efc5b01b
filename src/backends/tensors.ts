/**
 * A tensor backend as the calling thread sees it: a thread of its own (tensor-worker.ts) that runs chains one after the other.
 * Data in shared memory is read where it lies; other data is copied once and handed over. It computes nothing itself.
 *
 * The thread starts with the first call and does not keep Node alive while it is idle. If it is lost, the call under way fails with
 * ERR_FOURFOLD_WORKER and the next one starts another.
 */
import { once } from "node:events";
import { SHARE_ENV, Worker, type WorkerOptions } from "node:worker_threads";
import { aborted, closed, FourfoldError, throwIfAborted } from "../errors.ts";
import type { Fitted } from "../reduce/resolve.ts";
import type { LevelValues } from "../reduce/result.ts";
import type { TypedData } from "../types.ts";
import type { Executable, RunOutput } from "./backend.ts";
import { type CarriedError, uncarry } from "./carried.ts";
import { refuse, type TensorBackendName } from "./tfjs.ts";

/** A chain that a thread runs again and again. */
export interface Program {
  readonly fitted: Fitted;
  readonly keep: readonly boolean[];
}

/** What the calling thread posts. `load` comes with the first run of a program in a thread. */
export type Request =
  | { readonly kind: "open"; readonly id: number }
  | { readonly kind: "run"; readonly id: number; readonly program: number; readonly load: Program | undefined; readonly data: TypedData }
  | { readonly kind: "forget"; readonly program: number }
  | { readonly kind: "end" };

/** What a run gave; opening gives the backend's version. */
interface Ran {
  readonly levels: readonly (LevelValues | undefined)[];
  readonly bounds: Float64Array;
  readonly processMs: number;
  readonly boundMs: number;
}

/** What the thread posts. */
export type Reply = { readonly id: number; readonly result: Ran | string } | { readonly id: number; readonly error: CarriedError };

/** See the head of this file. */
export class TensorThread {
  readonly name: TensorBackendName;
  readonly #workerUrl: URL | undefined;
  #thread: Thread | undefined;
  /** Settles when the thread has nothing to do: runs take turns, so that the copy of one run's data is all that waits. */
  #turn: Promise<unknown> = Promise.resolve();
  #programs = 0;
  #closed = false;

  /** @param workerUrl the thread's module; default this package's own */
  constructor(name: TensorBackendName, workerUrl?: URL) {
    this.name = name;
    this.#workerUrl = workerUrl;
  }

  /** Starts the thread and loads the backend; gives its version. @throws FourfoldError ERR_FOURFOLD_BACKEND with the command that gets it */
  async open(): Promise<string> {
    return (await this.#started().call({ kind: "open" })) as string;
  }

  /** A chain to be run on this backend. @throws FourfoldError ERR_FOURFOLD_ACCURACY for what tensors cannot do */
  prepare(fitted: Fitted, keep: readonly boolean[]): Executable {
    refuse(fitted, this.name);
    const id = this.#programs++;
    const program: Program = { fitted, keep };
    return {
      runSync: undefined,
      run: (data, { signal }) => this.#inTurn(signal, () => this.#run(id, program, data, signal)),
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

  async #run(id: number, program: Program, data: TypedData, signal: AbortSignal | undefined): Promise<RunOutput> {
    const shared = data.buffer instanceof SharedArrayBuffer;
    const given = shared ? data : await copyOf(data, signal);
    const thread = this.#started();
    const load = thread.programs.has(id) ? undefined : program;
    thread.programs.add(id);
    const ran = await thread.call({ kind: "run", program: id, load, data: given }, shared ? [] : [given.buffer as ArrayBuffer]);
    const { levels, bounds, processMs, boundMs } = ran as Ran;
    return { levels, bounds, processMs, aggregateMs: 0, outputMs: boundMs };
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

/** A thread that does not end when it is asked to, hangs: milliseconds. */
const END_MS_MAX = 10_000;

interface Call {
  readonly resolve: (result: Ran | string) => void;
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
  /** Whether it is asked to end, and not stopped. */
  readonly #asked: boolean;

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
    this.#asked = name === "webgpu";
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
      else call.resolve(reply.result);
    });
    this.#worker = worker;
  }

  /** Posts a request; its answer. */
  call(
    request: { readonly kind: "open" } | Omit<Extract<Request, { kind: "run" }>, "id">,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<Ran | string> {
    return new Promise((resolve, reject) => {
      const id = this.#ids++;
      this.post({ ...request, id } as Request, transfer);
      this.#calls.set(id, { resolve, reject });
      this.#worker.ref(); // an answer is awaited
    });
  }

  post(request: Request, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(request, transfer);
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

/** Bytes copied before the event loop may turn: about a millisecond. */
const SLICE_BYTES = 4 << 20;

/** A copy that can be handed to the thread, made in slices that let the event loop turn. */
async function copyOf(data: TypedData, signal: AbortSignal | undefined): Promise<TypedData> {
  // A Buffer is a Uint8Array, but its constructor makes no array.
  const Kind = (data instanceof Uint8Array ? Uint8Array : data.constructor) as new (length: number) => TypedData;
  const copy = new Kind(data.length);
  const slice = SLICE_BYTES / data.BYTES_PER_ELEMENT;
  for (let start = 0; start < data.length; start += slice) {
    if (start > 0) await new Promise((next) => setImmediate(next));
    throwIfAborted(signal);
    copy.set(data.subarray(start, start + slice), start);
  }
  return copy;
}

function lost(name: string, cause: unknown): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_WORKER", `the thread of backend "${name}" ended in the middle of a run`, {
    fix: 'Run again: another thread starts. If it ends again, use backend "wasm"',
    cause,
  });
}
