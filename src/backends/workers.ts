/**
 * A fixed pool of worker threads over shared memory, seen from the calling thread: one job at a time on the board, workers
 * woken by Atomics, no message per job. It is not what a part computes (serve.ts runs a {@link Runner}), not how work is
 * cut, and not a thread pool for anything else: parts must be safe to run again.
 *
 * One loop watches one job. It looks at the part words, then waits for REPLY; whatever happens (a worker is through, an
 * error, an exit, an abort, a tick of the clock) rings REPLY, and the loop looks again. So nothing is decided from events alone.
 */
import { aborted, badOption, closed, FourfoldError } from "../errors.ts";
import {
  BELL,
  type Board,
  CANCELLED,
  COUNTS_MAX,
  clockMs,
  EPOCH,
  FREE,
  heldBy,
  openBoard,
  PARTS_MAX,
  partWord,
  publish,
  REPLY,
  ring,
  slotOf,
  tally,
  WORDS_MAX,
  WORKERS_MAX,
  withdraw,
} from "./board.ts";
import { Crew } from "./crew.ts";
import type { Letter } from "./serve.ts";

/** How often a busy pool looks without being called, in milliseconds: progress, and a worker that died before it could call. */
const TICK_MS = 50;

/** What a pool is made from. */
export interface PoolOptions {
  /** Threads, 1 to 256. They start with the first job. */
  readonly workers: number;
  /** Given to every worker's `create`; must be structured-cloneable. */
  readonly setup: unknown;
  /** The worker's module; default this package's own. */
  readonly workerUrl?: URL;
  /** How often one part may end its worker and be run again. Default 3. */
  readonly retriesMax?: number;
  /** Jobs that may wait. Default 1024. */
  readonly jobsMax?: number;
  /** After an abort or error, how long a worker may stay in its part before it is terminated. Default 1000. */
  readonly graceMsMax?: number;
  /** JavaScript heap of each worker. Default Node's own. */
  readonly heapMiBMax?: number;
}

/** What all workers do together, once. */
export interface Job {
  /** A loaded program's id. */
  readonly program: number;
  readonly phase: number;
  /** lo, hi of each part, one after the other. */
  readonly parts: Uint32Array;
  /** Numbers for the runner: addresses, counts. */
  readonly words?: ArrayLike<number>;
}

/** How a job may be watched and ended. */
export interface JobOptions {
  readonly signal?: AbortSignal | undefined;
  /** Parts done so far; called at most every 50 ms, and at the end. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** One worker's share of a job. Times as of `performance.now()` in the calling thread. */
export interface WorkerShare {
  readonly worker: number;
  readonly parts: number;
  readonly startedAt: number;
  readonly endedAt: number;
}

/** What a job took. Workers that had no part are left out. */
export interface JobReport {
  readonly startedAt: number;
  readonly endedAt: number;
  readonly workers: readonly WorkerShare[];
  /** Parts that ran again because their worker was lost. */
  readonly retries: number;
}

interface Task {
  readonly job: Job;
  readonly options: JobOptions;
  readonly resolve: (report: JobReport) => void;
  readonly reject: (error: unknown) => void;
  startedAt: number;
  done: number;
  /** Part → how often its worker was lost. */
  readonly lost: Map<number, number>;
  retries: number;
  /** Why it ends early; set once. */
  failure?: { readonly error: unknown };
  graceUntil: number;
}

/** See the head of this file. */
export class WorkerPool {
  readonly #options: PoolOptions & { readonly retriesMax: number; readonly jobsMax: number; readonly graceMsMax: number };
  readonly #board: Board = openBoard();
  readonly #crew: Crew;
  readonly #programs: Set<number> = new Set();
  readonly #waiting: Task[] = [];
  #task: Task | undefined;
  #loop: Promise<void> | undefined;
  #looping = false;
  #readying = 0;
  #holds = 0;
  #ticker: NodeJS.Timeout | undefined;
  #closed = false;
  #closing: Promise<void> | undefined;
  /** Workers lost outside any part since a part was last done: many of them mean that workers cannot start. */
  #fruitless = 0;
  #fault: unknown;
  #replaced = 0;
  #retries = 0;
  #jobs = 0;

  constructor(options: PoolOptions) {
    const { workers } = options;
    if (!Number.isInteger(workers) || workers < 1 || workers > WORKERS_MAX)
      throw badOption("workers", workers, `an integer from 1 to ${WORKERS_MAX}`);
    this.#options = { retriesMax: 3, jobsMax: 1024, graceMsMax: 1000, ...options };
    const { setup, workerUrl, heapMiBMax } = options;
    const onLost = (slot: number, cause: unknown): void => this.#lost(slot, cause);
    this.#crew = new Crew({ board: this.#board, workers, setup, workerUrl, heapMiBMax, onLost });
  }

  /** Counts since the pool was made. */
  get stats(): { readonly workers: number; readonly replaced: number; readonly retries: number; readonly jobs: number } {
    return { workers: this.#options.workers, replaced: this.#replaced, retries: this.#retries, jobs: this.#jobs };
  }

  /** What the runners counted since the pool was made, over all workers. */
  get counted(): Float64Array {
    const totals = new Float64Array(COUNTS_MAX);
    this.#board.counts.forEach((count, i) => {
      totals[i % COUNTS_MAX]! += count;
    });
    return totals;
  }

  /** Tells every worker of a program (structured-cloneable), now and whenever one starts. */
  load(program: { readonly id: number }): void {
    assert(!this.#programs.has(program.id), `program ${program.id} is loaded already`);
    this.#programs.add(program.id);
    this.#post({ kind: "load", program });
  }

  /** Lets every worker forget a program. Jobs that use it must be over. */
  unload(id: number): void {
    if (!this.#programs.delete(id)) return;
    this.#post({ kind: "unload", id });
  }

  /** Hands a message (a new shared memory) to every worker, now and whenever one starts, before any later job. */
  broadcast(message: unknown): void {
    this.#post({ kind: "message", message });
  }

  /** Starts the workers and waits until each serves. Not needed before `run`: it only takes the start out of the first job. */
  async ready(): Promise<void> {
    if (this.#closed) throw closed();
    this.#hold(1);
    this.#readying++;
    this.#fruitless = 0;
    try {
      this.#crew.start();
      for (;;) {
        const seen = Atomics.load(this.#board.control, REPLY);
        if (this.#closed) throw closed();
        if (this.#crew.ready) return;
        if (!this.#crew.complete) throw cannotStart(this.#fault); // #lost gave up on it
        await this.#reply(seen);
      }
    } finally {
      this.#readying--;
      this.#hold(-1);
    }
  }

  /** Runs every part of a job once; jobs run one after the other, in the order they came. */
  run(job: Job, options: JobOptions = {}): Promise<JobReport> {
    const { signal, onProgress } = options;
    const count = job.parts.length / 2;
    assert(this.#programs.has(job.program), `program ${job.program} is not loaded`);
    assert(Number.isInteger(count) && count <= PARTS_MAX, `a job of ${count} parts, at most ${PARTS_MAX}`);
    assert((job.words?.length ?? 0) <= WORDS_MAX, `a job has at most ${WORDS_MAX} words`);
    if (this.#closed) return Promise.reject(closed());
    if (signal?.aborted) return Promise.reject(aborted(signal));
    if (this.#waiting.length >= this.#options.jobsMax) return Promise.reject(queueFull(this.#options.jobsMax));
    return new Promise((resolve, reject) => {
      this.#waiting.push({
        job,
        options: { signal, onProgress },
        resolve,
        reject,
        startedAt: 0,
        done: 0,
        lost: new Map(),
        retries: 0,
        graceUntil: 0,
      });
      signal?.addEventListener("abort", this.#onAbort); // one listener, however many jobs share the signal
      if (!this.#looping) this.#loop = this.#work();
    });
  }

  /** Ends the workers. Jobs that run or wait reject; resolves when no thread is left. */
  close(): Promise<void> {
    this.#closed = true;
    this.#closing ??= this.#shut();
    return this.#closing;
  }

  async #shut(): Promise<void> {
    this.#hold(1);
    for (const task of this.#waiting.splice(0)) this.#end(task, { error: closed() });
    if (this.#task) this.#stop(this.#task, closed());
    await this.#crew.disband();
    ring(this.#board, REPLY);
    await this.#loop;
    this.#hold(-1);
  }

  /** Runs the waiting jobs until there is none. */
  async #work(): Promise<void> {
    this.#looping = true;
    this.#hold(1);
    for (let task = this.#waiting.shift(); task; task = this.#waiting.shift()) {
      this.#fruitless = 0;
      try {
        this.#crew.start();
      } catch (error) {
        this.#end(task, { error });
        continue;
      }
      this.#task = task;
      task.startedAt = performance.now();
      publish(this.#board, task.job.program, task.job.phase, task.job.parts, task.job.words ?? []);
      for (;;) {
        const seen = Atomics.load(this.#board.control, REPLY);
        if (this.#settled(task)) break;
        await this.#reply(seen);
      }
      this.#task = undefined;
      this.#end(task, task.failure);
    }
    this.#looping = false;
    this.#hold(-1);
  }

  /** Looks at every part of the job on the board: whether it is over, by whatever end. */
  #settled(task: Task): boolean {
    const { done, open, failed } = tally(this.#board);
    if (failed >= 0 && !task.failure) {
      this.#stop(task, this.#crew.errorOf(slotOf(this.#board.parts[failed]!), this.#epoch, failed));
    }
    if (done > task.done) {
      task.done = done;
      this.#fruitless = 0;
      try {
        task.options.onProgress?.(done, task.job.parts.length / 2);
      } catch (error) {
        this.#stop(task, error);
      }
    }
    if (open > 0 && task.failure && performance.now() > task.graceUntil) this.#evict();
    return open === 0;
  }

  /** Ends a job early: it waits no longer, or no further part of it starts. */
  #stop(task: Task, error: unknown): void {
    if (task.failure) return;
    task.failure = { error };
    task.graceUntil = performance.now() + this.#options.graceMsMax;
    if (task === this.#task) {
      withdraw(this.#board);
      ring(this.#board, REPLY);
      return;
    }
    const at = this.#waiting.indexOf(task);
    if (at >= 0) this.#end(this.#waiting.splice(at, 1)[0]!, task.failure);
  }

  /** The jobs that are not over. */
  #open(): Task[] {
    return this.#task ? [this.#task, ...this.#waiting] : [...this.#waiting];
  }

  readonly #onAbort = (): void => {
    for (const task of this.#open()) if (task.options.signal?.aborted) this.#stop(task, aborted(task.options.signal));
  };

  /** Settles the caller's promise. */
  #end(task: Task, failure: Task["failure"]): void {
    const { signal } = task.options;
    if (signal && !this.#open().some((other) => other.options.signal === signal)) signal.removeEventListener("abort", this.#onAbort);
    if (failure) task.reject(failure.error);
    else {
      this.#jobs++;
      task.resolve(this.#report(task));
    }
  }

  #report(task: Task): JobReport {
    const { parts, times } = this.#board;
    const endedAt = performance.now();
    const shift = endedAt - clockMs();
    const counts = new Map<number, number>();
    for (let i = 0; i < task.job.parts.length / 2; i++) {
      const slot = slotOf(parts[i]!);
      counts.set(slot, (counts.get(slot) ?? 0) + 1);
    }
    const shares = [...counts].sort(([a], [b]) => a - b);
    const workers = shares.map(([worker, n]) => ({
      worker,
      parts: n,
      startedAt: times[2 * worker]! + shift,
      endedAt: times[2 * worker + 1]! + shift,
    }));
    return { startedAt: task.startedAt, endedAt, workers, retries: task.retries };
  }

  /** A thread is gone and writes no more: its part is free again, its seat is filled again if there is work. */
  #lost(slot: number, cause: unknown): void {
    const task = this.#task;
    if (task) this.#settled(task); // may find an error that it posted before it went
    this.#crew.leave(slot);
    this.#fault = cause;
    const part = task ? heldBy(this.#board, slot) : -1;
    if (task && part >= 0) this.#again(task, part, cause);
    else this.#fruitless++;
    const hopeless = this.#fruitless > this.#options.retriesMax * this.#options.workers;
    try {
      if (task && hopeless) throw cause;
      if (!this.#closed && !hopeless && (task || this.#readying > 0)) {
        this.#crew.start();
        this.#replaced++;
      }
    } catch (error) {
      if (task) this.#stop(task, cannotStart(error));
    }
    ring(this.#board, BELL);
    ring(this.#board, REPLY);
  }

  /** Gives a part back that its worker did not end, unless it has ended too many. */
  #again(task: Task, part: number, cause: unknown): void {
    const { retriesMax } = this.#options;
    const times = (task.lost.get(part) ?? 0) + 1;
    task.lost.set(part, times);
    if (times > retriesMax) {
      const fix = "Run it with another backend to see whether the input or the machine is at fault";
      const detail = { given: times, expected: `at most ${retriesMax}`, fix, cause };
      this.#stop(task, new FourfoldError("ERR_FOURFOLD_WORKER", `part ${part} ended its worker ${times} times`, detail));
    } else if (!task.failure) {
      task.retries++;
      this.#retries++;
    }
    Atomics.store(this.#board.parts, part, partWord(this.#epoch, 0, task.failure ? CANCELLED : FREE));
  }

  get #epoch(): number {
    return this.#board.control[EPOCH]!;
  }

  /** Terminates the workers that are still inside a part. */
  #evict(): void {
    for (let slot = 0; slot < this.#options.workers; slot++) if (heldBy(this.#board, slot) >= 0) void this.#crew.terminate(slot);
  }

  #post(letter: Letter): void {
    if (this.#closed) throw closed();
    this.#crew.post(letter);
  }

  /** Resolves when REPLY is no longer `seen`. */
  async #reply(seen: number): Promise<void> {
    const wait = Atomics.waitAsync(this.#board.control, REPLY, seen);
    if (wait.async) await wait.value;
  }

  /** Keeps Node alive, and the clock ticking, while there is something to wait for. */
  #hold(change: 1 | -1): void {
    this.#holds += change;
    if (this.#holds === 0) clearInterval(this.#ticker);
    else if (this.#holds === 1 && change === 1) this.#ticker = setInterval(() => ring(this.#board, REPLY), TICK_MS);
  }
}

function cannotStart(cause: unknown): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_WORKER", "workers end before they do any work", { fix: "See the error's cause", cause });
}

function queueFull(jobsMax: number): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_QUEUE", `${jobsMax} jobs wait already`, { given: jobsMax, fix: "Await some of them first" });
}

/** For what only this package can do wrong. */
function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`assertion: ${message}`);
}
