/**
 * When queued rows become a batch, and how many. Natural batching: who is free takes all that is queued, so that batches grow with the load
 * by themselves. A delay may hold a batch back until it is worth it, and a latency target moves its size as TCP moves its window
 * (AIMD: D.-M. Chiu and R. Jain, 1989). Pure: the clock is a parameter.
 */

/** What a batch may be. */
export interface BatchLimits {
  /** Rows of a batch at most. */
  readonly rowsMax: number;
  /** Bytes of a batch at most. */
  readonly bytesMax: number;
  /** Milliseconds that a row may wait for others. With 0 none waits while the stream is free. */
  readonly delayMsMax: number;
  /** The latency, in milliseconds, that the size of batches follows; undefined: only the limits count. */
  readonly latencyMsTarget: number | undefined;
}

/** Rows that wait. */
export interface Waiting {
  readonly rows: number;
  readonly bytes: number;
  /** When the oldest came, in milliseconds. */
  readonly since: number;
  /** True if no more can come before some of them go: the queue is full. */
  readonly full?: boolean;
}

/** A row that came in time moves the limit up by this part of rowsMax, a late one halves it. */
const STEPS = 64;

/** The size of batches, and when the next one is due. */
export class Batching {
  readonly #limits: BatchLimits;
  readonly #step: number;
  #rows: number;

  constructor(limits: BatchLimits) {
    this.#limits = limits;
    this.#step = Math.max(1, Math.floor(limits.rowsMax / STEPS));
    // From below: the first batches of a stream find code that is not compiled yet.
    this.#rows = limits.latencyMsTarget === undefined ? limits.rowsMax : this.#step;
  }

  /** Rows that the next batch takes at most. */
  get rows(): number {
    return this.#rows;
  }

  /** Milliseconds until what waits is due: 0 if it is, Infinity if nothing waits. `more` is false where no other rows can come. */
  dueIn({ rows, bytes, since, full = false }: Waiting, now: number, more: boolean): number {
    if (rows === 0) return Number.POSITIVE_INFINITY;
    if (!more || full || rows >= this.#rows || bytes >= this.#limits.bytesMax) return 0;
    return Math.max(0, since + this.#limits.delayMsMax - now);
  }

  /** A batch is done whose oldest row waited so long from its arrival to its result. */
  done(latencyMs: number): void {
    const { latencyMsTarget, rowsMax } = this.#limits;
    if (latencyMsTarget === undefined) return;
    if (latencyMs > latencyMsTarget) this.#rows = Math.max(1, this.#rows >>> 1);
    else this.#rows = Math.min(rowsMax, this.#rows + this.#step);
  }
}

/**
 * Cuts n rows into runs of sizes 2^k and 3·2^k, the largest first: two dozen plans serve batches of every size, and a batch is two runs or
 * three, mostly.
 */
export function runsOf(n: number): number[] {
  const runs: number[] = [];
  for (let left = n; left > 0; ) {
    const power = 2 ** Math.floor(Math.log2(left));
    const run = power >= 2 && left >= power + power / 2 ? power + power / 2 : power;
    runs.push(run);
    left -= run;
  }
  return runs;
}
