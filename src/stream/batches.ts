/** Batches of frames, reduced to one value for each: in stretches of frames that lie side by side, on this thread or on all. */
import { FourfoldError } from "../errors.ts";
import { type Chain, chain, outputsOf } from "../reduce/chain.ts";
import type { TypedData } from "../types.ts";
import type { Batch } from "./intake.ts";
import type { StreamSetup } from "./options.ts";
import { type Segment, segmentPart } from "./segment.ts";
import type { ChainVersions } from "./versions.ts";

/** What an engine does for streams of frames. */
export interface FrameRunner {
  /**
   * Reduces `frames` frames that lie side by side; output r of frame i stands at i · outputs + r. Under `nan: "skip"` a frame of which nothing
   * is kept is missing, NaN, where levels above it are to skip it.
   */
  run(chain: Chain, data: TypedData, frames: number): Promise<Float64Array>;
  runSync(chain: Chain, data: TypedData, frames: number): Float64Array;
}

/** A frame that cannot be reduced: it holds NaN under `nan: "error"`. */
export interface BadFrame {
  /** Its place in the batch. */
  readonly row: number;
  readonly error: FourfoldError;
}

/** The values of a batch's frames. */
export interface FrameValues {
  readonly values: Float64Array;
  readonly bad: readonly BadFrame[];
}

/** Frames of a batch under the same weights, reduced or being so. */
export interface Reduced {
  readonly version: number;
  readonly rows: number;
  readonly values: FrameValues | Promise<FrameValues>;
}

/** Segments of one batch whose frames are under the same weights. */
interface Weighed {
  readonly chain: Chain;
  readonly version: number;
  readonly segments: Segment[];
  rows: number;
  bytes: number;
}

/** Reduces frames by the levels inside them, under the weights of their time or number. */
export class FrameReducer {
  readonly #setup: StreamSetup;
  readonly #runner: FrameRunner;
  readonly #versions: ChainVersions;
  readonly #inner: WeakMap<Chain, Chain> = new WeakMap();
  /** Frames that were reduced, or are being reduced. */
  begun = 0;

  constructor(setup: StreamSetup, runner: FrameRunner, versions: ChainVersions) {
    this.#setup = setup;
    this.#runner = runner;
    this.#versions = versions;
  }

  /** Begins to reduce a batch; small ones are done when it returns. Nothing for records. */
  reduce(batch: Batch): Reduced[] {
    const { frame, rank, chain: whole } = this.#setup;
    if (!frame || batch.rows === 0) return [];
    const outputs = rank === whole.levels.length ? (outputsOf(whole) ?? 1) : 1;
    return this.#weigh(batch).map((group) => {
      const values = reduceFrames(this.#runner, this.#innerOf(group.chain), group, frame.values, outputs);
      // It is heard when the batch is finished, which may be when nobody has listened for a while.
      if (values instanceof Promise) values.catch(() => undefined);
      return { version: group.version, rows: group.rows, values };
    });
  }

  /** A batch's segments, cut where the weights inside frames change. */
  #weigh(batch: Batch): Weighed[] {
    const groups: Weighed[] = [];
    const add = (segment: Segment, start: number): void => {
      const { chain: own, version } = this.#versions.at(start);
      const last = groups.at(-1);
      if (last?.chain === own) {
        last.segments.push(segment);
        last.rows += segment.rows;
        last.bytes += segment.bytes;
      } else groups.push({ chain: own, version, segments: [segment], rows: segment.rows, bytes: segment.bytes });
    };
    for (const segment of batch.segments) {
      const { rows, times } = segment;
      if (rows === 0) continue;
      const first = this.begun;
      this.begun += rows;
      const startOf = (row: number): number => (times ? times[row]! : first + row);
      if (this.#versions.isSettledAt(times ? leastOf(times) : first)) add(segment, startOf(0));
      else for (let row = 0; row < rows; row++) add(segmentPart(segment, row, row + 1), startOf(row));
    }
    return groups;
  }

  /** The levels inside frames, as a chain of their own. */
  #innerOf(whole: Chain): Chain {
    const { rank } = this.#setup;
    if (rank === whole.levels.length) return whole;
    let inner = this.#inner.get(whole);
    if (inner === undefined) {
      inner = chain(Object.fromEntries(whole.levels.slice(0, rank).map(({ name, reduction }) => [name, reduction])));
      this.#inner.set(whole, inner);
    }
    return inner;
  }
}

function leastOf(numbers: ArrayLike<number>): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < numbers.length; i++) least = Math.min(least, numbers[i]!);
  return least;
}

/** The values of the parts of a batch as one. */
export function joinedValues(parts: readonly { readonly rows: number; readonly values: FrameValues }[]): FrameValues {
  if (parts.length === 1) return parts[0]!.values;
  const values = new Float64Array(parts.reduce((total, { rows }) => total + rows, 0));
  const bad: BadFrame[] = [];
  let row = 0;
  for (const part of parts) {
    values.set(part.values.values, row);
    bad.push(...part.values.bad.map(({ row: own, error }) => ({ row: row + own, error })));
    row += part.rows;
  }
  return { values, bad };
}

/** Bytes that are reduced on this thread: under 100 µs of work, which is what waking workers costs. */
const INLINE_BYTES_MAX = 1 << 20;

/** Frames side by side, from row `row` of the batch on. */
interface Stretch {
  readonly row: number;
  readonly rows: number;
  readonly data: TypedData;
}

/** Reduces a batch. Small ones are done when it returns; the others when the promise resolves. */
function reduceFrames(
  runner: FrameRunner,
  chain: Chain,
  batch: Pick<Batch, "segments" | "rows" | "bytes">,
  size: number,
  outputs: number,
): FrameValues | Promise<FrameValues> {
  const runs = stretchesOf(batch.segments);
  const values = new Float64Array(batch.rows * outputs);
  if (batch.bytes > INLINE_BYTES_MAX) return reduceOnWorkers(runner, chain, runs, values, size, outputs);
  const bad: BadFrame[] = [];
  for (const run of runs) {
    try {
      values.set(runner.runSync(chain, run.data, run.rows), run.row * outputs);
    } catch (error) {
      bad.push(...oneByOne(runner, chain, run, values, size, outputs, error));
    }
  }
  return { values, bad };
}

async function reduceOnWorkers(
  runner: FrameRunner,
  chain: Chain,
  runs: readonly Stretch[],
  values: Float64Array,
  size: number,
  outputs: number,
): Promise<FrameValues> {
  const bad: BadFrame[] = [];
  for (const run of runs) {
    try {
      values.set(await runner.run(chain, run.data, run.rows), run.row * outputs);
    } catch (error) {
      bad.push(...oneByOne(runner, chain, run, values, size, outputs, error));
    }
  }
  return { values, bad };
}

/** Which frames of a run it is that hold NaN. */
function oneByOne(
  runner: FrameRunner,
  chain: Chain,
  { row, rows, data }: Stretch,
  values: Float64Array,
  size: number,
  outputs: number,
  error: unknown,
): BadFrame[] {
  const bad: BadFrame[] = [];
  for (let i = 0; i < rows; i++) {
    if (!(error instanceof FourfoldError && error.code === "ERR_FOURFOLD_NAN")) throw error;
    try {
      values.set(runner.runSync(chain, data.subarray(i * size, (i + 1) * size), 1), (row + i) * outputs);
    } catch (own) {
      if (!(own instanceof FourfoldError && own.code === "ERR_FOURFOLD_NAN")) throw own;
      bad.push({ row: row + i, error: own });
    }
  }
  return bad;
}

function stretchesOf(segments: readonly Segment[]): Stretch[] {
  const stretches: Stretch[] = [];
  let row = 0;
  let from: Segment | undefined;
  let last: Segment | undefined;
  let begun = 0;
  const end = (): void => {
    if (from && last) stretches.push({ row: begun, rows: row - begun, data: from.slot!.through(last.slot!) });
  };
  for (const segment of segments) {
    if (segment.rows === 0) continue;
    if (last === undefined || !last.slot!.isBefore(segment.slot!)) {
      end();
      from = segment;
      begun = row;
    }
    last = segment;
    row += segment.rows;
  }
  end();
  return stretches;
}
