/** What `run` and `explain` are asked: the options that both have, checked as far as the command line alone can tell. */

import { FourfoldError, nearest, show } from "../errors.ts";
import type { LoadOptions, TensorOptions } from "../files/index.ts";
import type { BackendName, Engine, Result, RunOptions } from "../index.ts";
import type { LevelView } from "../reduce/result.ts";
import type { Accuracy, NanPolicy } from "../types.ts";
import { byteCount, choice, listed, type Parsed, usageError, wholeNumber } from "./args.ts";
import { type ReadingQuestion, readReading } from "./reading-options.ts";

/** The options of both. */
export const QUESTION_OPTIONS = {
  keep: { type: "string", multiple: true },
  accuracy: { type: "string" },
  backend: { type: "string" },
  nan: { type: "string" },
  workers: { type: "string" },
  "allow-path": { type: "string", multiple: true },
  memory: { type: "string" },
  spill: { type: "string" },
  "spill-dir": { type: "string" },
  "spill-bytes-max": { type: "string" },
  weights: { type: "string", multiple: true },
  reduce: { type: "string", multiple: true },
  untrusted: { type: "boolean" },
  check: { type: "boolean" },
  "deadline-ms": { type: "string" },
  "on-error": { type: "string" },
  quarantine: { type: "string" },
  array: { type: "string" },
  column: { type: "string" },
  shape: { type: "string" },
  dtype: { type: "string" },
  int64: { type: "string" },
  verbose: { type: "boolean" },
} as const;

/** What a tensor's file is called; a raw file has any name. */
const TENSOR_ENDING = /\.(npy|npz|zarr|arrow|arrows|feather|ipc)[/\\]?$/i;

/** What tables and results are called that people try to run. */
const TABLE_ENDING = /\.(csv|tsv|ndjson|jsonl|parquet)(\.(gz|zst))?$/i;

/** The options of tensors alone. */
const TENSOR_OPTIONS = ["weights", "reduce", "array", "column", "shape", "dtype", "int64"] as const;

/** The options of tables alone. */
const TABLE_OPTIONS = ["memory", "spill", "spill-dir", "spill-bytes-max"] as const;

/** A checked question. */
export interface Question {
  /** A spec, or a tensor at rest. */
  readonly file: string;
  readonly kind: "spec" | "tensor";
  /** How the tensor is opened. */
  readonly tensor: TensorOptions;
  readonly keep: "all" | readonly string[];
  readonly accuracy: Accuracy;
  readonly backend: BackendName | undefined;
  readonly nan: NanPolicy | undefined;
  readonly workers: number | undefined;
  readonly allowPaths: readonly string[];
  /** What a table may use that is larger than memory. */
  readonly limits: Pick<LoadOptions, "memoryBytesMax" | "spill" | "spillDir" | "spillBytesMax">;
  readonly weights: readonly string[];
  readonly reduce: readonly string[];
  /** How a spec's files are read. */
  readonly reading: ReadingQuestion;
  readonly verbose: boolean;
}

/** A level of an answer: its name, and what the parts of its nodes' paths are called. */
export interface AnswerLevel {
  readonly name: string;
  readonly columns: readonly string[];
}

/** What is printed of a result. */
export type Printed = Pick<Result, "values" | "shape" | "records" | "contract" | "errorBound" | "steps" | "levels" | "level"> & {
  readonly rejected?: Result["rejected"];
  readonly plan: Pick<Result["plan"], "backend" | "accuracy" | "nan" | "form" | "parts"> & {
    readonly levels: readonly Pick<Result["plan"]["levels"][number], "name" | "nodes">[];
    toString(): string;
  };
};

/** The outcome of a run, ready to be printed. */
export interface Answer {
  readonly result: Printed;
  /** Innermost first. */
  readonly levels: readonly AnswerLevel[];
  /** The levels that were asked for, innermost first, and the outermost; `index` is the place in `levels`. */
  readonly kept: readonly (AnswerLevel & { readonly index: number; readonly view: LevelView })[];
  readonly elapsedMs: number;
}

/** What can be run: a spec or a tensor, opened. */
export interface Subject {
  /** Innermost first. */
  readonly levels: readonly AnswerLevel[];
  run(engine: Engine, options: RunOptions): Promise<Result>;
}

/** Reads a question from the command line of `command`. */
export function readQuestion(command: string, { values, positionals }: Parsed<typeof QUESTION_OPTIONS>): Question {
  const [file, extra] = positionals;
  if (file === undefined) throw usageError(`${command} needs a spec or a tensor`, `fourfold ${command} --help shows examples`);
  if (extra !== undefined)
    throw usageError(
      `${command} takes one file, given ${show(file)} and ${show(extra)}`,
      "Separate lists by commas, without blanks",
      positionals,
    );
  const weights = listed("weights", values.weights) ?? [];
  const reduce = listed("reduce", values.reduce) ?? [];
  const isTensor = TENSOR_ENDING.test(file) || (values.shape !== undefined && values.dtype !== undefined);
  if (!isTensor && TABLE_ENDING.test(file))
    throw usageError(
      `${show(file)} is no spec`,
      `${command} takes a spec, a JSON file that names a source and levels: docs/spec.md; fourfold inspect opens results`,
      file,
    );
  const foreign = TENSOR_OPTIONS.find((name) => values[name] !== undefined);
  if (!isTensor && foreign !== undefined)
    throw usageError(
      `--${foreign} belongs to a tensor, given ${show(file)}`,
      "A spec names its own reductions and weights; a raw file needs --shape and --dtype",
      file,
    );
  const reading = readReading(values);
  const [forTables] = Object.keys(reading);
  if (isTensor && forTables !== undefined)
    throw usageError("options on how tables are read belong to a spec, given a tensor", "Leave them out", forTables);
  const foreignTable = TABLE_OPTIONS.find((name) => values[name] !== undefined);
  if (isTensor && foreignTable !== undefined)
    throw usageError(
      `--${foreignTable} belongs to a spec, given ${show(file)}`,
      "A tensor in a file is read piece by piece, and may be larger than memory anyway",
      file,
    );
  const keep = listed("keep", values.keep) ?? [];
  return {
    file,
    kind: isTensor ? "tensor" : "spec",
    tensor: tensorOptions(values),
    keep: keep.includes("all") ? "all" : keep,
    accuracy: choice("accuracy", values.accuracy, ["reproducible", "exact", "fast"]) ?? "reproducible",
    backend: values.backend as BackendName | undefined, // the engine knows which there are
    nan: choice("nan", values.nan, ["propagate", "skip", "error"]),
    workers: wholeNumber("workers", values.workers),
    allowPaths: values["allow-path"] ?? [],
    limits: tableLimits(values),
    weights,
    reduce,
    reading,
    verbose: values.verbose === true,
  };
}

function tableLimits(values: Parsed<typeof QUESTION_OPTIONS>["values"]): Question["limits"] {
  const memoryBytesMax = byteCount("memory", values.memory);
  const spill = choice("spill", values.spill, ["auto", "always", "never"]);
  const spillDir = values["spill-dir"];
  const spillBytesMax = byteCount("spill-bytes-max", values["spill-bytes-max"]);
  return {
    ...(memoryBytesMax !== undefined && { memoryBytesMax }),
    ...(spill !== undefined && { spill }),
    ...(spillDir !== undefined && { spillDir }),
    ...(spillBytesMax !== undefined && { spillBytesMax }),
  };
}

function tensorOptions({ array, column, shape, dtype, int64: given }: Parsed<typeof QUESTION_OPTIONS>["values"]): TensorOptions {
  const extents = listed("shape", shape === undefined ? undefined : [shape])?.map((extent) => wholeNumber("shape", extent)!);
  const int64 = choice("int64", given, ["exact", "number", "reject"]);
  return {
    ...(int64 !== undefined && { int64 }),
    ...(array !== undefined && { array }),
    ...(column !== undefined && { column }),
    ...(extents !== undefined && { shape: extents }),
    ...(dtype !== undefined && { dtype: dtype as NonNullable<TensorOptions["dtype"]> }), // whoever opens it knows which there are
  };
}

/** The levels that `keep` names, as the engine wants them; checked before any data is read. */
export function keptNames(keep: Question["keep"], levels: readonly AnswerLevel[]): readonly string[] {
  const names = levels.map(({ name }) => name);
  if (keep === "all") return names;
  for (const name of keep) {
    if (names.includes(name)) continue;
    const meant = nearest(name, names);
    throw new FourfoldError("ERR_FOURFOLD_LEVEL", `--keep: there is no level ${show(name)}, the levels are ${names.join(", ")}`, {
      given: name,
      expected: names,
      fix: meant === undefined ? "Name one of them, or all" : `Did you mean ${meant}?`,
    });
  }
  return names.filter((name, i) => keep.includes(name) || i === names.length - 1);
}

/** The levels that a run must keep for a format, and those that are written, both by name. */
export function levelsFor(
  format: string,
  keep: Question["keep"],
  levels: readonly AnswerLevel[],
): { readonly keep: readonly string[]; readonly shown: readonly string[] } {
  const shown = format === "npy" ? [npyLevel(keep, levels)] : keptNames(keep, levels);
  // A table for people also shows the ends of the level below the outermost.
  const kept = [...new Set([...shown, ...levels.slice(format === "table" ? -2 : -1).map(({ name }) => name)])];
  return { keep: kept, shown: format === "table" ? kept : shown };
}

/** The one level of an NPY file: the one that --keep names, or the outermost. */
function npyLevel(keep: Question["keep"], levels: readonly AnswerLevel[]): string {
  const names = keptNames(keep, levels);
  const [only, other] = keep === "all" ? names : keep;
  if (other === undefined) return only ?? names.at(-1)!;
  throw usageError("an NPY file holds one level", "Name one level with --keep, or write --format npz, which holds several", keep);
}

/** The engine's options for a question. */
export function engineOptions({ backend, workers }: Question): { backend?: BackendName; workers?: number } {
  return { ...(backend === undefined ? {} : { backend }), ...(workers === undefined ? {} : { workers }) };
}

/** A run's options for a question. */
export function runOptions({ accuracy, nan }: Question): RunOptions {
  return { accuracy, ...(nan === undefined ? {} : { nan }) };
}
