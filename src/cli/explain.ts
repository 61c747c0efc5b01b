/** `fourfold explain`: what a run would do, under the five headings, without reading the data. */
import { availableParallelism } from "node:os";
import { createEngine } from "../index.ts";
import { readArgs } from "./args.ts";
import { EXIT, harmless } from "./failure.ts";
import { engineOptions, keptNames, QUESTION_OPTIONS, type Question, readQuestion, runOptions } from "./question.ts";
import { openSpec } from "./spec.ts";
import { openTensor } from "./tensor.ts";

/** Explains it; returns the exit code. */
export async function explain(args: readonly string[], signal: AbortSignal): Promise<number> {
  const question = readQuestion("explain", readArgs("explain", args, QUESTION_OPTIONS));
  // Making the engine checks the backend and the workers that were asked for.
  await using engine = await createEngine(engineOptions(question));
  if (question.kind === "spec") process.stdout.write(await specInWords(question));
  else {
    const { levels, plan } = await openTensor(question, { signal });
    const text = String(await plan(engine, { ...runOptions(question), keep: keptNames(question.keep, levels) }));
    process.stdout.write(`${harmless(text, true)}\n`);
  }
  return EXIT.ok;
}

async function specInWords(question: Question): Promise<string> {
  const { spec, levels } = await openSpec(question);
  const keep = keptNames(question.keep, levels);
  const [source, value, ...told] = spec.describe.map((text) => harmless(text));
  const backend = question.backend ?? "auto";
  const workers = question.workers ?? availableParallelism();
  const [innermost, ...outer] = told;
  const nulls = { error: "an error", skip: "skipped", group: "a group of their own" }[spec.nullKeys];
  const outermost = levels.at(-1)!;
  const rows: [string, string[]][] = [
    ["init", [source!, value!, "DuckDB reads, filters, joins and groups; it reduces nothing", `backend ${backend}`]],
    [
      "distribute",
      [
        `records with the same ${levels[0]!.columns.join(", ") || "(no) key"} become one node; null keys are ${nulls}`,
        workers === 0
          ? "on the calling thread"
          : `in parts on ${workers} worker${workers === 1 ? "" : "s"}, small inputs on the calling thread`,
      ],
    ],
    ["process", [innermost!]],
    ["aggregate", outer.length > 0 ? outer : ["nothing left"]],
    [
      "output",
      [
        `${outermost.columns.length === 0 ? "one number" : `one number for each ${outermost.columns.join(", ")}`}, accuracy ${question.accuracy}, nan ${question.nan ?? spec.nan}`,
        `nodes kept: ${harmless(keep.join(", "))}`,
      ],
    ],
  ];
  return rows.map(([heading, lines]) => `${heading.padEnd(12)}${lines.join(`\n${" ".repeat(12)}`)}\n`).join("");
}
