/** Work that lets others in: a generator yields between slices, and who runs it decides what happens then. */

/** Items handled between two yields: a fraction of a millisecond even where each takes 100 ns. */
export const SLICE: number = 1 << 12;

/** Runs a generator to its end at one go. */
export function finish<T>(work: Generator<void, T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}
