/** `fourfold run SPEC --job DIR`: the answer of a job, which goes on where an earlier process stopped. */
import { type JobResult, loadSpec, runJob } from "../files/index.ts";
import type { LevelView } from "../index.ts";
import { usageError } from "./args.ts";
import { progressBar } from "./progress.ts";
import { type Answer, type AnswerLevel, levelsFor, type Question } from "./question.ts";

/** What the command line says of a job. */
export interface JobQuestion {
  readonly dir: string;
  readonly fresh: boolean;
}

/** The job that the options name, if they do. @throws FourfoldError ERR_FOURFOLD_ARGUMENT for what no job can do */
export function jobOf(
  { kind, file, accuracy, backend, workers }: Question,
  { job, fresh }: { readonly job?: string | undefined; readonly fresh?: boolean | undefined },
): JobQuestion | undefined {
  if (job === undefined) {
    if (fresh === true) throw usageError("--fresh belongs to a job", "Name its folder: --job DIR");
    return undefined;
  }
  if (kind !== "spec") throw usageError("--job belongs to a spec, whose table is read piece by piece", "Leave --job out", file);
  for (const [name, given] of Object.entries({ backend, workers }))
    if (given !== undefined)
      throw usageError(`--${name} says where a run computes; a job adds records to states`, `Leave --${name} out`, given);
  if (accuracy === "fast")
    throw usageError("a job keeps the numeric contract: it has no --accuracy fast", "Leave --accuracy out", accuracy);
  return { dir: job, fresh: fresh === true };
}

/** Runs the job to its end. */
export async function answerOfJob(question: Question, { dir, fresh }: JobQuestion, format: string, signal: AbortSignal): Promise<Answer> {
  const started = performance.now();
  const bar = progressBar(process.stderr, question.verbose);
  const { keep, file, accuracy, nan, allowPaths, verbose } = question;
  let told = "";
  try {
    const spec = await loadSpec(file, { allowPaths });
    const levels = spec.levels.map(({ name, by }) => ({ name, columns: by }));
    const { shown } = levelsFor(format, keep, levels); // a slip in --keep is told before the work
    bar.begin(file);
    const result = await runJob(file, {
      dir,
      fresh,
      accuracy: accuracy === "exact" ? accuracy : "reproducible",
      ...(nan === undefined ? {} : { nan }),
      allowPaths,
      signal,
      onProgress: (progress) => {
        const { piecesDone, pieces, diskBytes } = progress;
        told = `job         ${piecesDone} of ${pieces} pieces, ${diskBytes} bytes in ${dir}\n`;
        bar.show(progress);
      },
    });
    return answered(result, levels, shown, performance.now() - started);
  } finally {
    bar.end();
    if (verbose) process.stderr.write(told);
  }
}

function answered(result: JobResult, levels: readonly AnswerLevel[], shown: readonly string[], elapsedMs: number): Answer {
  const kept = levels.flatMap((level, index) => (shown.includes(level.name) ? [{ ...level, index, view: result.level(level.name) }] : []));
  const { values, shape, records, contract, errorBound, pieces, piecesRead } = result;
  const told = `job: ${pieces} ${pieces === 1 ? "piece" : "pieces"}, ${piecesRead} read now\n`;
  const plan = { ...result.plan, toString: () => told };
  const level = (name: string): LevelView => result.level(name);
  return {
    result: { values, shape, records, contract, errorBound, levels: result.levels, level, plan, steps: [] },
    levels,
    kept,
    elapsedMs,
  };
}
