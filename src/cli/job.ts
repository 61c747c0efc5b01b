/** `fourfold run SPEC --job DIR`: the answer of a job, which goes on where an earlier process stopped. */
import { type JobResult, loadSpec, runJob, type Spec } from "../files/index.ts";
import { usageError } from "./args.ts";
import { progressBar } from "./progress.ts";
import { type Answer, type AnswerLevel, keptNames, type Question } from "./question.ts";

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
export async function answerOfJob(question: Question, { dir, fresh }: JobQuestion, inner: boolean, signal: AbortSignal): Promise<Answer> {
  const started = performance.now();
  const bar = progressBar(process.stderr, question.verbose);
  const { keep, file, accuracy, nan, allowPaths, verbose } = question;
  let told = "";
  try {
    const { levels } = await loadSpec(file, { allowPaths });
    keptNames(keep, levelsOf(levels)); // a slip in --keep is told before the work
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
    return answered(result, keep, inner, performance.now() - started);
  } finally {
    bar.end();
    if (verbose) process.stderr.write(told);
  }
}

const levelsOf = (levels: JobResult["levels"] | Spec["levels"]): AnswerLevel[] => levels.map(({ name, by }) => ({ name, columns: by }));

function answered(result: JobResult, keep: Question["keep"], inner: boolean, elapsedMs: number): Answer {
  const levels = levelsOf(result.levels);
  const names = [...keptNames(keep, levels), ...levels.slice(inner ? -2 : -1).map(({ name }) => name)];
  const kept = levels.flatMap((level, index) => (names.includes(level.name) ? [{ ...level, index, view: result.level(level.name) }] : []));
  const { accuracy, nan, pieces, piecesRead } = result;
  const plan = {
    backend: "states",
    accuracy,
    nan,
    levels: result.levels,
    toString: () => `job: ${pieces} ${pieces === 1 ? "piece" : "pieces"}, ${piecesRead} read now\n`,
  };
  const { values, shape, records, contract } = result;
  return { result: { values, shape, records, contract, plan, steps: [], errorBound: undefined }, levels, kept, elapsedMs };
}
