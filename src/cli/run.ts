/** `fourfold run`: one question, one answer, in one format, to one place. */
import { createEngine } from "../index.ts";
import { choice, readArgs, usageError } from "./args.ts";
import { openDestination } from "./destination.ts";
import { EXIT } from "./failure.ts";
import { csv, json, ndjson } from "./formats.ts";
import { answerOfJob, jobOf } from "./job.ts";
import { progressBar } from "./progress.ts";
import {
  type Answer,
  engineOptions,
  keptNames,
  QUESTION_OPTIONS,
  type Question,
  readQuestion,
  runOptions,
  type Subject,
} from "./question.ts";
import { openSpec } from "./spec.ts";
import { stepsInWords, table } from "./table.ts";
import { openTensor } from "./tensor.ts";

const FORMATS = ["table", "json", "csv", "ndjson"] as const;

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
  const format = choice("format", parsed.values.format, FORMATS) ?? "table";
  const best = choice("best", parsed.values.best, ["lowest", "highest"]);
  if (best !== undefined && format !== "table")
    throw usageError(`--best belongs to the table, given --format ${format}`, "Leave --best out", best);
  const job = jobOf(question, parsed.values);
  const destination = await openDestination(parsed.values.out);
  const inner = format === "table";
  const answer = await (job === undefined ? answerTo(question, inner, signal) : answerOfJob(question, job, inner, signal));
  const texts = {
    table: () => table(answer, { best, colour: destination.colour }),
    json: () => json(answer),
    csv: () => csv(answer),
    ndjson: () => ndjson(answer),
  };
  await destination.write(texts[format](), signal);
  if (question.verbose) process.stderr.write(stepsInWords(answer));
  return EXIT.ok;
}

async function answerTo(question: Question, inner: boolean, signal: AbortSignal): Promise<Answer> {
  const started = performance.now();
  const bar = progressBar(process.stderr, question.verbose);
  await using engine = await createEngine(engineOptions(question));
  try {
    const subject: Subject =
      question.kind === "spec" ? await openSpec(question) : await openTensor(question, { signal, onProgress: bar.show });
    const { levels } = subject;
    const names = keptNames(question.keep, levels);
    // A table for people also shows the ends of the level below the outermost.
    const keep = [...new Set([...names, ...levels.slice(inner ? -2 : -1).map(({ name }) => name)])];
    bar.begin(question.file);
    const result = await subject.run(engine, { ...runOptions(question), keep, signal, onProgress: bar.show });
    const elapsedMs = performance.now() - started;
    const kept = levels.flatMap((level, index) => (keep.includes(level.name) ? [{ ...level, index, view: result.level(level.name) }] : []));
    return { result, levels, kept, elapsedMs };
  } finally {
    bar.end();
  }
}
