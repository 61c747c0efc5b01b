/** `fourfold run`: one question, one answer, in one format, to one place. */

import { show } from "../errors.ts";
import { RESULT_FORMATS, type ResultFormat, resultFormat, resultPieces } from "../files/index.ts";
import { createEngine } from "../index.ts";
import { choice, readArgs, usageError } from "./args.ts";
import { isTerminal, openDestination } from "./destination.ts";
import { EXIT } from "./failure.ts";
import { inputsOf, refuseInput } from "./inputs.ts";
import { answerOfJob, jobOf } from "./job.ts";
import { progressBar } from "./progress.ts";
import {
  type Answer,
  engineOptions,
  levelsFor,
  QUESTION_OPTIONS,
  type Question,
  readQuestion,
  runOptions,
  type Subject,
} from "./question.ts";
import { rejectedInWords } from "./reading-options.ts";
import { openSpec } from "./spec.ts";
import { stepsInWords, table } from "./table.ts";
import { openTensor } from "./tensor.ts";

const FORMATS: readonly ("table" | ResultFormat)[] = ["table", ...RESULT_FORMATS];

/** No person reads these. */
const BINARY: readonly string[] = ["parquet", "arrow", "npy", "npz"];

const RUN_OPTIONS = {
  ...QUESTION_OPTIONS,
  format: { type: "string" },
  out: { type: "string" },
  best: { type: "string" },
  job: { type: "string" },
  fresh: { type: "boolean" },
} as const;

/** Runs it; returns the exit code. */
export async function run(args: readonly string[], signal: AbortSignal): Promise<number> {
  const parsed = readArgs("run", args, RUN_OPTIONS);
  const question = readQuestion("run", parsed);
  const { out } = parsed.values;
  const format = choice("format", parsed.values.format, FORMATS) ?? formatOf(out);
  const best = choice("best", parsed.values.best, ["lowest", "highest"]);
  if (best !== undefined && format !== "table")
    throw usageError(`--best belongs to the table, the format is ${format}`, "Leave --best out, or say --format table", best);
  if (BINARY.includes(format) && isTerminal(out))
    throw usageError(`--format ${format} is not for a terminal`, `Name a file: --out nodes.${format}; or a pipe`, format);
  const job = jobOf(question, parsed.values);
  await refuseInput(out, () => inputsOf(question, signal));
  if (job !== undefined && Object.keys(question.limits).length > 0)
    throw usageError("--memory and --spill belong to a run without a job, which reads piece by piece anyway", "Leave them out, or --job");
  const destination = await openDestination(out);
  const answer = await (job === undefined ? answerTo(question, format, signal) : answerOfJob(question, job, format, signal));
  const { result, kept, elapsedMs } = answer;
  const pieces =
    format === "table"
      ? table(answer, { best, colour: destination.colour })
      : resultPieces(result, { format, keep: kept.map(({ name }) => name), elapsedMs });
  await destination.write(pieces, signal);
  process.stderr.write(rejectedInWords(answer.result.rejected));
  if (question.verbose) process.stderr.write(stepsInWords(answer));
  return EXIT.ok;
}

async function answerTo(question: Question, format: (typeof FORMATS)[number], signal: AbortSignal): Promise<Answer> {
  const started = performance.now();
  const bar = progressBar(process.stderr, question.verbose);
  await using engine = await createEngine(engineOptions(question));
  try {
    const subject: Subject =
      question.kind === "spec" ? await openSpec(question) : await openTensor(question, { signal, onProgress: bar.show });
    const { levels } = subject;
    const { keep, shown } = levelsFor(format, question.keep, levels);
    bar.begin(question.file);
    const result = await subject.run(engine, { ...runOptions(question), keep, signal, onProgress: bar.show });
    const elapsedMs = performance.now() - started;
    const kept = levels.flatMap((level, index) =>
      shown.includes(level.name) ? [{ ...level, index, view: result.level(level.name) }] : [],
    );
    return { result, levels, kept, elapsedMs };
  } finally {
    bar.end();
  }
}

/** What the ending of a file says; without one, and for plain text, the table for people. */
function formatOf(out = ""): "table" | ResultFormat {
  const format = resultFormat(out);
  if (format !== undefined) return format;
  const ending = /\.([^.\\/]+)$/.exec(out)?.[1]?.toLowerCase();
  if (ending === undefined || ending === "txt" || ending === "log") return "table";
  throw usageError(
    `the ending of ${show(out)} says no format`,
    `End it in one of ${RESULT_FORMATS.map((name) => `.${name}`).join(", ")}, or say --format`,
    out,
  );
}
