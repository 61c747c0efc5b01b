/**
 * A tensor backend as the calling thread sees it: a thread of its own (tensor-worker.ts) that runs chains one after the other.
 * Data in shared memory is read where it lies; other data is copied once and handed over. It computes nothing itself.
 *
 * The thread starts with the first call and does not keep Node alive while it is idle. If it is lost, the call under way fails with
 * ERR_FOURFOLD_WORKER and the next one starts another.
 */
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
  /** False leaves the error bound out. */
  readonly bound: boolean;
}

/** What the calling thread posts. `load` comes with the first run of a program in a thread. */
export type Request =
  | { readonly kind: "open"; readonly id: number }
  | ({ readonly kind: "run"; readonly id: number } & RunRequest)
  | { readonly kind: "bound"; readonly id: number; readonly fitted: Fitted; readonly data: TypedData }
  | { readonly kind: "upload"; readonly id: number; readonly copy: number; readonly data: TypedData }
  | { readonly kind: "forget"; readonly program: number }
  | { readonly kind: "drop"; readonly copy: number };

interface RunRequest {
  readonly program: number;
  readonly load: Program | undefined;
  readonly data: TypedData;
  /** The copy of the data on the device, where there is one. */
  readonly copy: number | undefined;
}

/** What the thread answers to each kind of request. */
interface Results {
  readonly open: Opened;
  readonly run: Ran;
  readonly bound: Float64Array;
  readonly upload: undefined;
}

/** What is known of a backend once it is loaded. */
export interface Opened {
  /** The version of what computes. */
  readonly version: string;
  /** What computes: devices on one processor share its cores. */
  readonly processor: "cpu" | "gpu";
}

/** What a run gave. */
interface Ran {
  readonly levels: readonly (LevelValues | undefined)[];
  /** Undefined where it was not asked for. */
  readonly bounds: Float64Array | undefined;
  readonly processMs: number;
  readonly boundMs: number;
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
export interface Copy {
  readonly id: number;
  readonly data: TypedData;
}

/** See the head of this file. */
export class TensorThread {
  readonly name: TensorBackendName;
  readonly #options: TensorThreadOptions;
  readonly #copies: Map<TypedData, Copy> = new Map();
  #thread: Thread | undefined;
  /** Settles when the thread has nothing to do: runs take turns, so that the copy of one run's data is all that waits. */
  #turn: Promise<unknown> = Promise.resolve();
  #programs = 0;
  #copiesMade = 0;
  #closed = false;

  constructor(name: TensorBackendName, options: TensorThreadOptions = {}) {
    this.name = name;
    this.#options = options;
  }

  /** Starts the thread and loads the backend. @throws FourfoldError ERR_FOURFOLD_BACKEND with the command that gets it */
  open(): Promise<Opened> {
    return this.#started().call("open", {});
  }

  /** Lets a tensor's leaves have a copy on the device: the first run makes it, and those that come later read it. */
  place(data: TypedData): Copy {
    this.drop(data);
    const copy = { id: this.#copiesMade++, data };
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

  /** A bound for each outermost value of a chain that ran in several places, this backend's arithmetic being the least exact of theirs. */
  bound(fitted: Fitted, data: TypedData): Promise<Float64Array> {
    return this.#inTurn(undefined, async () => {
      const { given, transfer } = await this.#handed(data, undefined);
      return this.#started().call("bound", { fitted, data: given }, transfer);
    });
  }

  /** A chain to be run on this backend. @throws FourfoldError ERR_FOURFOLD_ACCURACY for what tensors cannot do */
  prepare(fitted: Fitted, keep: readonly boolean[], bound: boolean = true): Executable {
    refuse(fitted, this.name);
    const id = this.#programs++;
    const program: Program = { fitted, keep, bound };
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
    const copy = this.#copies.get(data);
    if (copy) await this.#uploaded(copy);
    const { given, transfer } = await this.#handed(data, signal);
    const thread = this.#started();
    const load = thread.programs.has(id) ? undefined : program;
    thread.programs.add(id);
    const ran = await thread.call("run", { program: id, load, data: given, copy: copy?.id }, transfer);
    const { levels, bounds, processMs, boundMs } = ran;
    return { levels, processMs, aggregateMs: 0, outputMs: boundMs, ...(bounds && { bounds }) };
  }

  /** Copies leaves to the device, unless the thread that runs now has done so. */
  async #uploaded({ id, data }: Copy): Promise<void> {
    const thread = this.#started();
    if (thread.copies.has(id)) return;
    await thread.call("upload", { copy: id, data });
    thread.copies.add(id);
  }

  /** Data as the thread can have it: where it lies if memory is shared, else a copy. */
  async #handed(data: TypedData, signal: AbortSignal | undefined): Promise<{ given: TypedData; transfer: readonly ArrayBuffer[] }> {
    if (data.buffer instanceof SharedArrayBuffer) return { given: data, transfer: [] };
    const given = await copyOf(data, signal);
    return { given, transfer: [given.buffer as ArrayBuffer] };
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
    if (this.#thread === undefined || this.#thread.gone) this.#thread = new Thread(this.name, this.#options);
    return this.#thread;
  }
}

interface Call {
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
  /** Ends the thread if no answer comes. */
  readonly deadline: NodeJS.Timeout | undefined;
}

/** A started thread. */
class Thread {
  /** The programs it knows, and the copies of leaves that it holds. */
  readonly programs: Set<number> = new Set();
  readonly copies: Set<number> = new Set();
  gone = false;
  readonly #name: string;
  readonly #runMsMax: number;
  readonly #worker: Worker;
  readonly #calls: Map<number, Call> = new Map();
  #ids = 0;
  /** Why it is being ended. */
  #ending: Error | undefined;

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
      if (this.#calls.size === 0) worker.unref();
      if ("error" in reply) call.reject(uncarry(reply.error));
      else call.resolve(reply.result as never);
    });
    this.#worker = worker;
  }

  /** Posts a request; its answer. */
  call<K extends keyof Results>(
    kind: K,
    request: Omit<Extract<Request, { kind: K }>, "kind" | "id">,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<Results[K]> {
    return new Promise((resolve, reject) => {
      const id = this.#ids++;
      this.post({ ...request, kind, id } as unknown as Request, transfer);
      // Loading a library is not a run: it may take as long as it takes.
      const deadline = kind === "open" ? undefined : setTimeout(() => this.#giveUp(), this.#runMsMax);
      this.#calls.set(id, { resolve, reject, deadline });
      this.#worker.ref(); // an answer is awaited
    });
  }

  /** Leaves a thread that does not answer to itself: one that hangs in a library may not even end. */
  #giveUp(): void {
    this.#lose(
      new FourfoldError("ERR_FOURFOLD_DEVICE", `backend "${this.#name}" has not answered in ${this.#runMsMax} ms`, {
        given: this.#runMsMax,
        fix: 'Raise deviceMsMax if the work is as large as that, or use backend "wasm"',
      }),
    );
    void this.#worker.terminate();
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

  post(request: Request, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(request, transfer);
  }

  async end(error: Error): Promise<void> {
    this.#ending = error;
    await this.#worker.terminate();
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
