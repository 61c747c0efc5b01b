/** Batches of frames, reduced to one value for each: in stretches of frames that lie side by side, on this thread or on all. */
import { FourfoldError } from "../errors.ts";
import type { Chain } from "../reduce/chain.ts";
import type { TypedData } from "../types.ts";
import type { Batch, Segment } from "./intake.ts";

/** What an engine does for streams of frames. */
export interface FrameRunner {
  /** Reduces `frames` frames that lie side by side; output r of frame i stands at i · outputs + r. */
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

/** Bytes that are reduced on this thread: under 100 µs of work, which is what waking workers costs. */
const INLINE_BYTES_MAX = 1 << 20;

/** Frames side by side, from row `row` of the batch on. */
interface Stretch {
  readonly row: number;
  readonly rows: number;
  readonly data: TypedData;
}

/** Reduces a batch. Small ones are done when it returns; the others when the promise resolves. */
export function reduceFrames(
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
