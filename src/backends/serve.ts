/**
 * A worker's side of the pool: wait for the bell, claim parts one at a time, run them.
 * It is not what a part computes (that is the {@link Runner}) and it decides nothing: retries, cancelling and replacing
 * belong to the calling thread (workers.ts). The words of both sides are in board.ts.
 *
 * A part that throws is FAILED and its error posted; the worker goes on. A trap of WebAssembly says that a kernel broke its
 * memory or its promise, so this thread ends with it: the part stays claimed, and the calling thread takes it back
 * when the thread is gone and can no longer write.
 */
import { type MessagePort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { type CarriedError, carry } from "../reduce/carried.ts";
import {
  BELL,
  COUNT,
  COUNTS_MAX,
  claim,
  clockMs,
  DONE,
  EPOCH,
  FAILED,
  LETTERS,
  markPoolWorker,
  openBoard,
  PHASE,
  PROGRAM,
  partWord,
  REPLY,
  ring,
  SETTLED,
} from "./board.ts";

/** A wait for the bell ends after this many milliseconds; only a lost call or a user module's late output needs it. */
const BELL_WAIT_MS = 1000;

/** What a worker runs. Where a method may return a promise, the worker waits for it before its next part. */
export interface Runner {
  /** Prepares a program. What it throws is thrown by every part of that program. */
  load(program: { readonly id: number }): void | Promise<void>;
  /** Forgets a program. */
  unload(id: number): void;
  /** Takes a broadcast message, such as a new shared memory. Throwing ends the worker. */
  message(message: unknown): void | Promise<void>;
  /** Computes children lo to hi − 1. May run again for the same part, so it must write and never add up. `words` is valid during the call only. */
  run(program: number, phase: number, lo: number, hi: number, words: Float64Array): void;
  /** What its runs have counted so far: at most COUNTS_MAX numbers, which the pool adds up over its workers. */
  readonly counted?: Float64Array;
}

/** What a pool posts to its workers, in order. */
export type Letter =
  | { readonly kind: "load"; readonly program: { readonly id: number } }
  | { readonly kind: "unload"; readonly id: number }
  | { readonly kind: "message"; readonly message: unknown };

/** What a worker posts about a FAILED part. */
export interface Failure {
  readonly epoch: number;
  readonly part: number;
  readonly error: CarriedError;
}

/** What a worker starts with. */
export interface Hello {
  readonly board: SharedArrayBuffer;
  readonly slot: number;
  readonly workers: number;
  readonly port: MessagePort;
  readonly setup: unknown;
  /** The letters of before that still matter, and how many were ever posted. */
  readonly letters: readonly Letter[];
  readonly posted: number;
}

/** Runs this worker thread; never returns. `create` gets the pool's `setup`, and the slot that no other living worker has. */
export async function serve(create: (setup: never, slot: number) => Runner | Promise<Runner>): Promise<never> {
  markPoolWorker();
  const { board: buffer, slot, workers, port, setup, letters, posted } = workerData as Hello;
  const board = openBoard(buffer);
  const { control, parts, ranges } = board;
  const runner = await create(setup as never, slot);
  const refused = new Map<number, unknown>(); // programs that did not load, and why
  for (const letter of letters) await open(runner, letter, refused);
  const { counted = new Float64Array(0) } = runner;
  const before = board.counts.slice(COUNTS_MAX * slot, COUNTS_MAX * (slot + 1)); // by workers that were here before
  let read = posted;
  let stamped = 0; // the epoch that this worker's times belong to
  Atomics.store(board.ready, slot, 1);
  ring(board, REPLY);

  for (;;) {
    const bell = Atomics.load(control, BELL); // before looking, so that a call made while looking ends the wait at once
    if (read !== Atomics.load(control, LETTERS)) read = await catchUp();
    const epoch = Atomics.load(control, EPOCH);
    const count = Atomics.load(control, COUNT);
    let ran = false;
    let part = claim(parts, epoch, count, slot, Math.floor((slot * count) / workers)); // neighbours stay with one worker
    for (; part >= 0; part = claim(parts, epoch, count, slot, part + 1 === count ? 0 : part + 1)) {
      if (read !== Atomics.load(control, LETTERS)) read = await catchUp();
      if (stamped !== epoch) board.times[2 * slot] = clockMs();
      stamped = epoch;
      const state = runPart(epoch, part);
      for (let i = 0; i < counted.length; i++) board.counts[COUNTS_MAX * slot + i] = before[i]! + counted[i]!;
      board.times[2 * slot + 1] = clockMs();
      Atomics.store(parts, part, partWord(epoch, slot, state));
      if (state === FAILED) ring(board, REPLY);
      ran = true;
    }
    if (ran && part === SETTLED) ring(board, REPLY);
    // A thread that only ever waits never runs its event loop, where a user module's console output leaves.
    if (Atomics.wait(control, BELL, bell, BELL_WAIT_MS) === "timed-out") await new Promise((next) => setImmediate(next));
  }

  function runPart(epoch: number, part: number): typeof DONE | typeof FAILED {
    const program = control[PROGRAM]!;
    try {
      if (refused.has(program)) throw refused.get(program);
      runner.run(program, control[PHASE]!, ranges[2 * part]!, ranges[2 * part + 1]!, board.words);
      return DONE;
    } catch (error) {
      if (error instanceof WebAssembly.RuntimeError) throw error;
      port.postMessage({ epoch, part, error: carry(error) } satisfies Failure);
      return FAILED;
    }
  }

  async function catchUp(): Promise<number> {
    const upTo = Atomics.load(control, LETTERS);
    while (read !== upTo) {
      const got = receiveMessageOnPort(port); // posted before it was counted
      if (got) await open(runner, got.message as Letter, refused);
      read = (read + 1) | 0;
    }
    return read;
  }
}

async function open(runner: Runner, letter: Letter, refused: Map<number, unknown>): Promise<void> {
  if (letter.kind === "message") return runner.message(letter.message);
  if (letter.kind === "unload") {
    if (!refused.delete(letter.id)) runner.unload(letter.id);
    return;
  }
  try {
    await runner.load(letter.program);
  } catch (error) {
    refused.set(letter.program.id, error);
  }
}
