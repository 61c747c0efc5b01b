/** What `fourfold stream` is asked: its options, checked as far as the command line alone can tell. */
import { show } from "../errors.ts";
import type { StreamOptions } from "../index.ts";
import type { NanPolicy } from "../types.ts";
import { choice, listed, type Parsed, usageError, wholeNumber } from "./args.ts";

/** The options of the command. */
export const STREAM_OPTIONS = {
  input: { type: "string" },
  file: { type: "string" },
  tail: { type: "string" },
  replay: { type: "string" },
  format: { type: "string" },
  out: { type: "string" },
  keep: { type: "string", multiple: true },
  top: { type: "string" },
  best: { type: "string" },
  rejected: { type: "string" },
  late: { type: "string" },
  "on-error": { type: "string" },
  accuracy: { type: "string" },
  nan: { type: "string" },
  workers: { type: "string" },
  "allow-path": { type: "string", multiple: true },
  checkpoint: { type: "string" },
  "checkpoint-every-ms": { type: "string" },
  "rows-max": { type: "string" },
  "bytes-max": { type: "string" },
  "delay-ms-max": { type: "string" },
  "latency-target-ms": { type: "string" },
  "batches-max": { type: "string" },
  "queue-rows-max": { type: "string" },
  "queue-bytes-max": { type: "string" },
  overflow: { type: "string" },
  metrics: { type: "string" },
  verbose: { type: "boolean" },
} as const;

/** How records are written. */
export type InputFormat = "ndjson" | "csv";

/** Where records come from. */
export type StreamInput =
  | { readonly kind: "stdin"; readonly format: InputFormat }
  | { readonly kind: "file" | "tail"; readonly path: string; readonly format: InputFormat }
  /** The spec's own source; Infinity is as fast as it goes. */
  | { readonly kind: "replay"; readonly speed: number };

/** A checked question. */
export interface StreamQuestion {
  readonly spec: string;
  readonly input: StreamInput;
  /** How results are written; undefined: a table on a terminal, NDJSON elsewhere. */
  readonly format: "table" | "ndjson" | "csv" | undefined;
  readonly out: string | undefined;
  readonly keep: "all" | readonly string[];
  /** Nodes that the table shows, and which end of the values comes first. */
  readonly top: number;
  readonly best: "lowest" | "highest";
  readonly rejected: string | undefined;
  readonly late: string | undefined;
  readonly nan: NanPolicy | undefined;
  readonly workers: number | undefined;
  readonly allowPaths: readonly string[];
  readonly metrics: number | undefined;
  readonly verbose: boolean;
  /** What the stream itself takes as it stands. */
  readonly limits: Pick<
    StreamOptions,
    | "accuracy"
    | "onError"
    | "overflow"
    | "checkpoint"
    | "rowsMax"
    | "bytesMax"
    | "delayMsMax"
    | "latencyMsTarget"
    | "batchesMax"
    | "queueRowsMax"
    | "queueBytesMax"
  >;
}

const SOURCES = ["file", "tail", "replay"] as const;
const FORMATS = ["ndjson", "csv"] as const;
/** Nodes shown unless --top says otherwise: with the lines around them they fit a terminal of 24 lines. */
const TOP = 10;

/** Reads the question from the command line. */
export function readStreamQuestion({ values, positionals }: Parsed<typeof STREAM_OPTIONS>): StreamQuestion {
  const [spec, extra] = positionals;
  if (spec === undefined) throw usageError("stream needs a spec", "fourfold stream --help shows examples");
  if (extra !== undefined)
    throw usageError(`stream takes one spec, given ${show(spec)} and ${show(extra)}`, "Name a file of records with --file", positionals);
  const format = choice("format", values.format, ["table", "ndjson", "csv"]);
  if (format === "table" && values.out !== undefined)
    throw usageError("--format table is for the terminal, --out for programs", "Use --format ndjson or csv with --out", values.out);
  const keep = listed("keep", values.keep) ?? [];
  const dir = values.checkpoint;
  const everyMs = wholeNumber("checkpoint-every-ms", values["checkpoint-every-ms"]);
  if (dir === undefined && everyMs !== undefined)
    throw usageError("--checkpoint-every-ms needs --checkpoint", "Name the folder: --checkpoint DIR", everyMs);
  const input = inputOf(values);
  if (dir !== undefined && input.kind === "stdin")
    throw usageError("--checkpoint needs records that can be read again, and stdin cannot", "Use --file, --tail or --replay", dir);
  return {
    spec,
    input,
    format,
    out: values.out,
    keep: keep.includes("all") ? "all" : keep,
    top: counted("top", values.top) ?? TOP,
    best: choice("best", values.best, ["lowest", "highest"]) ?? "highest",
    rejected: values.rejected,
    late: values.late,
    nan: choice("nan", values.nan, ["propagate", "skip", "error"]),
    workers: wholeNumber("workers", values.workers),
    allowPaths: values["allow-path"] ?? [],
    metrics: port("metrics", values.metrics),
    verbose: values.verbose === true,
    limits: {
      ...given("accuracy", choice("accuracy", values.accuracy, ["reproducible", "exact"] as const)),
      ...given("onError", choice("on-error", values["on-error"], ["continue", "stop"] as const)),
      ...given("overflow", choice("overflow", values.overflow, ["block", "latest", "error"] as const)),
      ...given("checkpoint", dir === undefined ? undefined : { dir, ...given("everyMs", everyMs) }),
      ...given("rowsMax", counted("rows-max", values["rows-max"])),
      ...given("bytesMax", counted("bytes-max", values["bytes-max"])),
      ...given("delayMsMax", wholeNumber("delay-ms-max", values["delay-ms-max"])),
      ...given("latencyMsTarget", wholeNumber("latency-target-ms", values["latency-target-ms"])),
      ...given("batchesMax", counted("batches-max", values["batches-max"])),
      ...given("queueRowsMax", counted("queue-rows-max", values["queue-rows-max"])),
      ...given("queueBytesMax", counted("queue-bytes-max", values["queue-bytes-max"])),
    },
  };
}

function inputOf(values: Parsed<typeof STREAM_OPTIONS>["values"]): StreamInput {
  const named = SOURCES.filter((name) => values[name] !== undefined);
  if (named.length > 1)
    throw usageError(`--${named[0]} and --${named[1]} are two sources`, "Keep one of them; without either stdin is read", named);
  const format = choice("input", values.input, FORMATS);
  const [kind] = named;
  if (kind === undefined) return { kind: "stdin", format: format ?? "ndjson" };
  if (kind !== "replay") return { kind, path: values[kind]!, format: format ?? (/\.csv$/i.test(values[kind]!) ? "csv" : "ndjson") };
  if (format !== undefined) throw usageError("--replay reads the spec's own source", "Leave --input out", format);
  return { kind, speed: speedOf(values.replay!) };
}

function speedOf(given: string): number {
  if (given === "max") return Number.POSITIVE_INFINITY;
  const speed = /^\d+(\.\d+)?$/.test(given) ? Number(given) : 0;
  if (!(speed > 0 && Number.isFinite(speed)))
    throw usageError(
      `option --replay: given ${show(given)}, expected how many times faster than the records came, or max`,
      "Write --replay 1000 or --replay max",
      given,
    );
  return speed;
}

function counted(option: string, text: string | undefined): number | undefined {
  const value = wholeNumber(option, text);
  if (value === 0) throw usageError(`option --${option}: given 0, expected a whole number from 1`, `Write --${option} 1`, text);
  return value;
}

function port(option: string, text: string | undefined): number | undefined {
  const value = wholeNumber(option, text);
  if (value !== undefined && value > 65_535)
    throw usageError(`option --${option}: given ${value}, expected a port`, `Write --${option} 9464, or 0 for a free one`, text);
  return value;
}

function given<K extends string, T>(name: K, value: T | undefined): Partial<Record<K, T>> {
  return value === undefined ? {} : ({ [name]: value } as Record<K, T>);
}
