/**
 * The threads of a pool: starts them, tells each one everything it must know, and ends them. It knows no jobs: whether a
 * lost thread is started again, and what its end means for the part it held, is the pool's (workers.ts).
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
import { FourfoldError } from "../errors.ts";
import { uncarry } from "../reduce/carried.ts";
import { BELL, type Board, LETTERS, ring } from "./board.ts";
import type { Failure, Hello, Letter } from "./serve.ts";

/** What a crew is made from. */
export interface CrewOptions {
  readonly board: Board;
  readonly workers: number;
  readonly setup: unknown;
  readonly workerUrl: URL | undefined;
  readonly heapMiBMax: number | undefined;
  /** Called when a thread is gone and writes no more, with what ended it. Its seat stays taken until `leave`. */
  readonly onLost: (slot: number, cause: unknown) => void;
}

/** A fixed number of seats, each empty or with a worker thread. */
export class Crew {
  readonly #options: CrewOptions;
  readonly #seats: (Seat | undefined)[];
  /** What a worker that starts later must be told, oldest first. */
  #letters: readonly Letter[] = [];
  #posted = 0;

  constructor(options: CrewOptions) {
    this.#options = options;
    this.#seats = new Array(options.workers).fill(undefined);
  }

  /** Whether every seat has a thread, ready or not. */
  get complete(): boolean {
    return !this.#seats.includes(undefined);
  }

  /** Whether every worker serves. */
  get ready(): boolean {
    return this.complete && this.#seats.every((_, slot) => Atomics.load(this.#options.board.ready, slot) === 1);
  }

  /** Starts a thread on every empty seat. */
  start(): void {
    const { board, workers, setup } = this.#options;
    for (let slot = 0; slot < workers; slot++) {
      const hello = { board: board.buffer, slot, workers, setup, letters: this.#letters, posted: this.#posted };
      this.#seats[slot] ??= new Seat(hello, this.#options);
    }
  }

  /** Empties the seat of a lost thread. */
  leave(slot: number): void {
    this.#seats[slot] = undefined;
    Atomics.store(this.#options.board.ready, slot, 0);
  }

  /** Posts a letter to every worker; those who start later get what still matters of it. */
  post(letter: Letter): void {
    const { board } = this.#options;
    if (letter.kind === "unload") this.#letters = this.#letters.filter((other) => other.kind !== "load" || other.program.id !== letter.id);
    else this.#letters = [...this.#letters, letter];
    for (const seat of this.#seats) seat?.port.postMessage(letter);
    this.#posted = (this.#posted + 1) | 0;
    Atomics.store(board.control, LETTERS, this.#posted); // counted after it is there to be read
    ring(board, BELL);
  }

  /** The error of a FAILED part; older ones, of jobs that had ended by another error, are dropped. */
  errorOf(slot: number, epoch: number, part: number): Error {
    const port = this.#seats[slot]!.port;
    for (let got = receiveMessageOnPort(port); got; got = receiveMessageOnPort(port)) {
      const failure = got.message as Failure;
      if (failure.epoch === epoch && failure.part === part) return uncarry(failure.error);
    }
    return new FourfoldError("ERR_FOURFOLD_WORKER", "a part failed, and its error was lost with its worker");
  }

  /** Ends one thread; resolves when it is gone, after `onLost`. */
  async terminate(slot: number): Promise<void> {
    await this.#seats[slot]?.thread.terminate();
  }

  /** Ends them all. */
  async disband(): Promise<void> {
    this.#letters = [];
    await Promise.all(this.#seats.map((_, slot) => this.terminate(slot)));
  }
}

/** A started thread and the port to it. */
class Seat {
  readonly thread: Worker;
  readonly port: MessagePort;

  constructor(hello: Omit<Hello, "port">, { workerUrl, heapMiBMax, onLost }: CrewOptions) {
    const { port1, port2 } = new MessageChannel();
    const options = {
      name: `fourfold ${hello.slot}`,
      workerData: { ...hello, port: port2 } satisfies Hello,
      transferList: [port2],
      ...(heapMiBMax !== undefined && { resourceLimits: { maxOldGenerationSizeMb: heapMiBMax } }),
      // A parent run by `node --input-type=module --eval` hands that flag down, and no file can be loaded under it.
      ...(process.execArgv.some((flag) => flag.startsWith("--input-type")) && { execArgv: [] }),
    };
    // The literal form is what bundlers look for.
    const thread =
      workerUrl === undefined
        ? new Worker(new URL("../../dist/backends/worker.js", import.meta.url), options)
        : new Worker(workerUrl, options);
    thread.unref(); // what waits for a worker keeps Node alive by itself; a worker that waits for work must not
    let fault: unknown;
    thread.on("error", (error) => {
      fault = error;
    });
    thread.on("exit", (status) => {
      onLost(hello.slot, fault ?? new Error(`the worker exited with status ${status}`));
      port1.close();
    });
    this.thread = thread;
    this.port = port1;
  }
}
