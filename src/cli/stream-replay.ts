/** The records of a spec's own source as a source of a stream: by event time, as fast as it goes or so many times faster than they came. */
import { setTimeout as wait } from "node:timers/promises";
import type { ReplayChunk, StreamSpec } from "../files/index.ts";
import type { Block, Chunk, ReadContext, Reader } from "../stream/index.ts";

/** Records that come due are gathered for so long: a chunk is not worth making for each of them. */
const GATHER_MS = 10;

/** A replay that knows how far it is. */
export interface Replay extends Reader {
  /** The latest event time that was given; undefined before the first. */
  readonly eventTime: number | undefined;
}

/**
 * The source of `spec`. Offsets count records.
 * @param speed event time by processing time; Infinity for as fast as it goes
 * @param now milliseconds, for the pace
 */
export function replaySource(spec: StreamSpec, speed: number, now: () => number = () => performance.now()): Replay {
  let eventTime: number | undefined;
  return {
    name: "replay",
    replayable: true,
    get eventTime() {
      return eventTime;
    },
    async *read(from: number, context: ReadContext): AsyncGenerator<Chunk> {
      const pace = new Pace(speed, now);
      let next = from;
      try {
        for await (const records of spec.replay({ from, signal: context.signal })) {
          for (let at = 0; at < records.rows; ) {
            const to = pace.due(records.times, at, records.rows);
            if (to === at) {
              await wait(Math.max(GATHER_MS, pace.waitFor(records.times[at]!)), undefined, { signal: context.signal });
              continue;
            }
            next += to - at;
            const last = records.times[to - 1]!;
            if (!Number.isNaN(last)) eventTime = last;
            yield { block: blockOf(records, at, to, context), rejected: [], next, bytes: 0 };
            at = to;
          }
        }
      } catch (error) {
        if (!context.signal.aborted) throw error; // the stream has ended, and nobody waits for the rest
      }
    },
  };
}

/** Which records are due. */
class Pace {
  readonly #speed: number;
  readonly #now: () => number;
  #origin: { readonly event: number; readonly at: number } | undefined;

  constructor(speed: number, now: () => number) {
    this.#speed = speed;
    this.#now = now;
  }

  /** The first record from `at` on that is not due yet. Records without a time are. */
  due(times: Float64Array, at: number, rows: number): number {
    if (this.#speed === Number.POSITIVE_INFINITY) return rows;
    if (this.#origin === undefined) {
      const event = times.subarray(at, rows).find((time) => !Number.isNaN(time));
      if (event === undefined) return rows;
      this.#origin = { event, at: this.#now() };
    }
    const until = this.#origin.event + (this.#now() - this.#origin.at) * this.#speed;
    let to = at;
    while (to < rows && !(times[to]! > until)) to++;
    return to;
  }

  /** Milliseconds until a record of this time is due. */
  waitFor(time: number): number {
    const { event, at } = this.#origin!;
    return Math.min((time - event) / this.#speed - (this.#now() - at), WAIT_MS_MAX);
  }
}

/** What timers can wait; then it is looked at again. */
const WAIT_MS_MAX = 2 ** 31 - 1;

function blockOf({ times, values, keys, weights, childWeights }: ReplayChunk, from: number, to: number, context: ReadContext): Block {
  return {
    rows: to - from,
    data: values.subarray(from, to),
    keys: keys.map(({ codes, dictionary }) => ({ codes: codes.subarray(from, to), dictionary })),
    times: context.timed ? times.subarray(from, to) : undefined,
    weights: context.weighted ? weights?.subarray(from, to) : undefined,
    ...(context.childWeights.length > 0 && {
      childWeights: Object.fromEntries(context.childWeights.map((level) => [level, childWeights[level]!.subarray(from, to)])),
    }),
  };
}
