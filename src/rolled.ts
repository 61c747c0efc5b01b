/** Jobs that roll themselves up because their records do not fit in memory: when they are asked to, and what becomes of it. */
import { FourfoldError } from "./errors.ts";
import type { Job } from "./job.ts";
import { keptLevels, type RunOptions } from "./options.ts";
import type { RolledUp } from "./reduce/rolled.ts";
import { type Result, RunResult } from "./result.ts";
import type { Accuracy } from "./types.ts";

/** Runs a job: `inMemory` is the way of those that fit. `count` is told the records of those that do not. */
export async function runJob(
  job: Job,
  options: RunOptions,
  accuracy: Accuracy,
  inMemory: () => Promise<Result>,
  count: (records: number) => void,
): Promise<Result> {
  const started = performance.now();
  const { keep, signal, onProgress, nan = job.nan } = options;
  const rollUp = async (outgrown: boolean): Promise<Result | undefined> => {
    if (job.rollUp === undefined || job.levels === undefined || needsValues(options)) return undefined;
    const kept = keptLevels({ levels: job.levels }, keep);
    const rolled = await job.rollUp({ nan, accuracy, keep: kept, outgrown, ...(signal && { signal }), ...(onProgress && { onProgress }) });
    if (rolled === undefined) return undefined;
    count(rolled.records);
    return resultOf(rolled, { nan, accuracy, keep: kept }, started);
  };
  const rolled = await rollUp(false);
  if (rolled) return rolled;
  try {
    return await inMemory();
  } catch (error) {
    if (!(error instanceof FourfoldError) || error.code !== "ERR_FOURFOLD_MEMORY") throw error;
    const result = await rollUp(true);
    if (result) return result;
    throw error;
  }
}

/** True for runs that look at all values at once: on a device, for a bound. */
function needsValues({ backend = "auto", split, errorBound }: RunOptions): boolean {
  return backend !== "auto" || split !== undefined || errorBound === true;
}

function resultOf(
  rolled: RolledUp,
  policy: Pick<RunOptions, "nan"> & { readonly accuracy: Accuracy; readonly keep: readonly boolean[] },
  started: number,
): Result {
  const { records, levels, views, parts, spilledBytes, readMs, reduceMs } = rolled;
  const { values } = views.values.at(-1)!;
  const endedAt = performance.now();
  const plan = {
    backend: "parts",
    reason: "the table does not fit in memory",
    parts: { count: parts, spilledBytes },
    form: "records",
    accuracy: policy.accuracy,
    nan: policy.nan!,
    dtype: "f64",
    bytesPerLeaf: 8,
    leaves: records,
    shape: views.tree.frames,
    levels: levels.map(({ name, reduction, nodes }) => ({ name, reduction, nodes, extent: undefined, callerOnly: false })),
    keep: policy.keep,
    workers: 0,
    placement: "foreign array",
    phases: [],
    stored: [],
  } as const;
  const reduced = started + readMs + reduceMs;
  const ms = [readMs, 0, reduceMs, 0, Math.max(0, endedAt - reduced)] as const;
  return new RunResult(plan, views, values, undefined, ms, { startedAt: started, endedAt, devices: undefined, moved: undefined });
}
