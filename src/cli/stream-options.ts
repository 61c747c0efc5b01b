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
  listen: { type: "string" },
  "tls-key": { type: "string" },
  "tls-cert": { type: "string" },
  "token-file": { type: "string" },
  replay: { type: "string" },
  format: { type: "string" },
  out: { type: "string" },
  parquet: { type: "string" },
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
export type InputFormat = "ndjson" | "csv" | "arrow";

/** Where records come from. */
export type StreamInput =
  | { readonly kind: "stdin"; readonly format: InputFormat }
  | { readonly kind: "file"; readonly path: string; readonly format: InputFormat }
  | { readonly kind: "tail"; readonly path: string; readonly format: "ndjson" | "csv" }
  | ListenInput
  /** The spec's own source; Infinity is as fast as it goes. */
  | { readonly kind: "replay"; readonly speed: number };

/** A server that records are sent to. */
export interface ListenInput {
  readonly kind: "listen";
  readonly protocol: "tcp" | "http";
  readonly host: string;
  readonly port: number;
  /** Undefined: the content type of each request tells. */
  readonly format: InputFormat | undefined;
  /** Files in PEM. */
  readonly tls: { readonly key: string; readonly cert: string } | undefined;
  readonly tokenFile: string | undefined;
}

/** A checked question. */
export interface StreamQuestion {
  readonly spec: string;
  readonly input: StreamInput;
  /** How results are written; undefined: a table on a terminal, NDJSON elsewhere. */
  readonly format: "table" | "ndjson" | "csv" | undefined;
  readonly out: string | undefined;
  /** The folder of Parquet files that results go to instead. */
  readonly parquet: string | undefined;
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

const SOURCES = ["file", "tail", "listen", "replay"] as const;
const FORMATS = ["ndjson", "csv", "arrow"] as const;
const FORMAT_OF_ENDING: Readonly<Record<string, InputFormat>> = { csv: "csv", arrow: "arrow", arrows: "arrow" };
/** Nodes shown unless --top says otherwise: with the lines around them they fit a terminal of 24 lines. */
const TOP = 10;

/** Reads the question from the command line. */
export function readStreamQuestion({ values, positionals }: Parsed<typeof STREAM_OPTIONS>): StreamQuestion {
  const [spec, extra] = positionals;
  if (spec === undefined) throw usageError("stream needs a spec", "fourfold stream --help shows examples");
  if (extra !== undefined)
    throw usageError(`stream takes one spec, given ${show(spec)} and ${show(extra)}`, "Name a file of records with --file", positionals);
  const format = choice("format", values.format, ["table", "ndjson", "csv"]);
  const { out, parquet } = values;
  if (format === "table" && (out ?? parquet) !== undefined)
    throw usageError("--format table is for people, and goes to stdout", "Leave it out, or use --format ndjson or csv with --out", format);
  if (parquet !== undefined && (out ?? format) !== undefined)
    throw usageError(`--parquet and --${out === undefined ? "format" : "out"} are two outputs`, "Keep one of them", parquet);
  const keep = listed("keep", values.keep) ?? [];
  const dir = values.checkpoint;
  const everyMs = wholeNumber("checkpoint-every-ms", values["checkpoint-every-ms"]);
  if (dir === undefined && everyMs !== undefined)
    throw usageError("--checkpoint-every-ms needs --checkpoint", "Name the folder: --checkpoint DIR", everyMs);
  const input = inputOf(values);
  const once =
    input.kind === "stdin" || input.kind === "listen" ? input.kind : "format" in input && input.format === "arrow" ? "Arrow" : "";
  if (dir !== undefined && once !== "")
    throw usageError(
      `--checkpoint needs records that can be read again, and ${once === "listen" ? "those of a network" : once} cannot`,
      "Use --file or --tail with NDJSON or CSV, or --replay",
      dir,
    );
  return {
    spec,
    input,
    format,
    out,
    parquet,
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
  if (kind !== "listen")
    for (const name of ["tls-key", "tls-cert", "token-file"] as const)
      if (values[name] !== undefined) throw usageError(`--${name} belongs to --listen`, "Leave it out, or add --listen", values[name]);
  if (kind === undefined) return { kind: "stdin", format: format ?? "ndjson" };
  if (kind === "listen") return listenOf(values, format);
  if (kind === "replay") {
    if (format !== undefined) throw usageError("--replay reads the spec's own source", "Leave --input out", format);
    return { kind, speed: speedOf(values.replay!) };
  }
  const path = values[kind]!;
  const ending = /\.([a-z]+)$/i.exec(path)?.[1]?.toLowerCase() ?? "";
  const told = format ?? (Object.hasOwn(FORMAT_OF_ENDING, ending) ? FORMAT_OF_ENDING[ending]! : "ndjson");
  if (kind === "file") return { kind, path, format: told };
  if (told === "arrow") throw usageError("--tail follows text, and Arrow is none", "Use --input ndjson or csv, or --file", path);
  return { kind, path, format: told };
}

function listenOf(values: Parsed<typeof STREAM_OPTIONS>["values"], format: InputFormat | undefined): ListenInput {
  const given = values.listen!;
  const url = URL.canParse(given) ? new URL(given) : undefined;
  const protocol = url?.protocol.slice(0, -1);
  const isBare = url !== undefined && url.hostname !== "" && ["", "/"].includes(url.pathname + url.search + url.hash + url.username);
  if ((protocol !== "tcp" && protocol !== "http") || !isBare || (protocol === "tcp" && url.port === ""))
    throw usageError(
      `option --listen: given ${show(given)}, expected an address`,
      "Write --listen http://127.0.0.1:8080 or --listen tcp://127.0.0.1:7070",
      given,
    );
  const { "tls-key": key, "tls-cert": cert } = values;
  if ((key === undefined) !== (cert === undefined))
    throw usageError(`--tls-${key === undefined ? "cert" : "key"} needs --tls-${key === undefined ? "key" : "cert"}`, "Give both", given);
  return {
    kind: "listen",
    protocol,
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: Number(url.port || 80), // a URL leaves out the port of HTTP
    format: format ?? (protocol === "tcp" ? "ndjson" : undefined),
    tls: key === undefined || cert === undefined ? undefined : { key, cert },
    tokenFile: values["token-file"],
  };
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
