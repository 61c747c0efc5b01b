/** Long work on the calling thread, in turns with everything else that wants it. */
import { aborted } from "../errors.ts";

/** Work on the calling thread lets the event loop turn after this many milliseconds. */
export const TURN_MS_MAX = 2;

/** Resolves when the event loop has turned. */
export function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Runs a generator to its end, letting the event loop turn; what `check` throws then ends the generator. */
export async function finishInTurns<T>(work: Generator<void, T>, check: () => void): Promise<T> {
  for (let turn = performance.now(); ; ) {
    const { done, value } = work.next();
    if (done) return value;
    if (performance.now() - turn < TURN_MS_MAX) continue;
    await eventLoopTurn();
    try {
      check();
    } catch (error) {
      work.throw(error);
    }
    turn = performance.now();
  }
}

/** Waits for work that goes on for others, too; an abort ends the wait, and not the work. */
export async function unlessAborted(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return work;
  work.catch(() => undefined); // it is told to those who still wait
  let stop = (): void => undefined;
  const abort = new Promise<never>((_, reject) => {
    const onAbort = (): void => reject(aborted(signal));
    signal.addEventListener("abort", onAbort, { once: true });
    stop = () => signal.removeEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
  });
  try {
    await Promise.race([work, abort]);
  } finally {
    stop();
  }
}

/** Calls back when a signal is aborted: one listener for each signal, however many calls wait under it, as Node warns of many. */
export class Aborts {
  readonly #waiting: Map<AbortSignal, Set<() => void>> = new Map();

  /** Returns what ends the waiting. */
  on(signal: AbortSignal, callback: () => void): () => void {
    let callbacks = this.#waiting.get(signal);
    if (callbacks === undefined) {
      callbacks = new Set();
      this.#waiting.set(signal, callbacks);
      signal.addEventListener("abort", this.#ring);
    }
    callbacks.add(callback);
    return () => {
      callbacks.delete(callback);
      if (callbacks.size > 0) return;
      this.#waiting.delete(signal);
      signal.removeEventListener("abort", this.#ring);
    };
  }

  readonly #ring = ({ target }: Event): void => {
    for (const callback of this.#waiting.get(target as AbortSignal) ?? []) callback();
  };
}
