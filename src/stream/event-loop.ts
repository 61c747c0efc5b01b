/** Turns of the event loop, for loops that would keep it to themselves. */

/** Milliseconds of work without a turn of the event loop. */
export const TURN_MS_MAX = 4;

/** Resolves when timers, signals and input had their turn. */
export function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
