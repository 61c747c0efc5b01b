/** `fourfold run`: one question, one answer, in one format, to one place. */
import { RESULT_FORMATS, type ResultFormat, resultFormat, resultPieces } from "../files/index.ts";
import { createEngine } from "../index.ts";
import { choice, readArgs, usageError } from "./args.ts";
import { isTerminal, openDestination } from "./destination.ts";
import { EXIT } from "./failure.ts";
import { progressBar } from "./progress.ts";
import {
  type Answer,
  type AnswerLevel,
  engineOptions,
  keptNames,
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
} as const;

/** Runs it; returns the exit code. */
export async function run(args: readonly string[], signal: AbortSignal): Promise<number> {
  const parsed = readArgs("run", args, RUN_OPTIONS);
  const question = readQuestion("run", parsed);
  const { out } = parsed.values;
  const format = choice("format", parsed.values.format, FORMATS) ?? resultFormat(out ?? "") ?? "table";
  const best = choice("best", parsed.values.best, ["lowest", "highest"]);
  if (best !== undefined && format !== "table")
    throw usageError(`--best belongs to the table, the format is ${format}`, "Leave --best out, or say --format table", best);
  if (BINARY.includes(format) && isTerminal(out))
    throw usageError(`--format ${format} is not for a terminal`, `Name a file: --out nodes.${format}; or a pipe`, format);
  const destination = await openDestination(out);
  const answer = await answerTo(question, format, signal);
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
    const names = format === "npy" ? [npyLevel(question.keep, levels)] : keptNames(question.keep, levels);
    // A table for people also shows the ends of the level below the outermost.
    const keep = [...new Set([...names, ...levels.slice(format === "table" ? -2 : -1).map(({ name }) => name)])];
    bar.begin(question.file);
    const result = await subject.run(engine, { ...runOptions(question), keep, signal, onProgress: bar.show });
    const elapsedMs = performance.now() - started;
    const shown = format === "table" ? keep : names;
    const kept = levels.flatMap((level, index) =>
      shown.includes(level.name) ? [{ ...level, index, view: result.level(level.name) }] : [],
    );
    return { result, levels, kept, elapsedMs };
  } finally {
    bar.end();
  }
}

/** The one level of an NPY file: the one that --keep names, or the outermost. */
function npyLevel(keep: Question["keep"], levels: readonly AnswerLevel[]): string {
  const names = keptNames(keep, levels);
  const [only, other] = keep === "all" ? names : keep;
  if (other === undefined) return only ?? names.at(-1)!;
  throw usageError("an NPY file holds one level", "Name one level with --keep, or write --format npz, which holds several", keep);
}
