/** Results to files: the formats by their names, and the one door to all of them. */
import { fileURLToPath } from "node:url";
import { badOption, checkNames, FourfoldError, nearest, show } from "../../errors.ts";
import { arrow } from "./arrow.ts";
import { npy, npz } from "./npy.ts";
import { outputFile } from "./output-file.ts";
import { parquet } from "./parquet.ts";
import { gathered, type Pieces } from "./pieces.ts";
import { ResultTable, type WritableResult } from "./result-table.ts";
import { csv, json, ndjson } from "./texts.ts";

/** A format of result files. */
export type ResultFormat = "parquet" | "arrow" | "csv" | "ndjson" | "json" | "npy" | "npz";

/** What is written of a result, and how. */
export interface PiecesOptions {
  readonly format: ResultFormat;
  /** The levels whose nodes are written: their names, or `"all"` that the run kept. Default `"all"`. */
  readonly keep?: "all" | readonly string[];
  /** Milliseconds that the run took, for JSON to tell. */
  readonly elapsedMs?: number;
}

/** Options of {@link writeResult}. */
export interface WriteResultOptions extends Omit<PiecesOptions, "format"> {
  /** Default: what the ending of the path says. */
  readonly format?: ResultFormat;
  readonly signal?: AbortSignal;
}

/** One writer for each format. */
const WRITERS: Readonly<Record<ResultFormat, (table: ResultTable, elapsedMs: number | undefined) => Pieces>> = {
  parquet,
  arrow,
  csv,
  ndjson,
  json,
  npy,
  npz,
};

/** The formats of result files. */
export const RESULT_FORMATS: readonly ResultFormat[] = Object.keys(WRITERS) as ResultFormat[];

/** What files of a format end in, beside the format's own name. */
const ENDINGS: Readonly<Record<string, ResultFormat>> = { feather: "arrow", ipc: "arrow", jsonl: "ndjson", pq: "parquet" };

/** The format that the ending of a path says, or undefined. */
export function resultFormat(path: string): ResultFormat | undefined {
  const ending = /\.([a-z]+)$/i.exec(path)?.[1]?.toLowerCase() ?? "";
  return RESULT_FORMATS.find((format) => format === ending) ?? (Object.hasOwn(ENDINGS, ending) ? ENDINGS[ending] : undefined);
}

/**
 * Writes the kept levels of a result to a file, one row for each node, innermost level first (docs/results.md). The file appears whole and on the
 * disk, or not at all. Rows are made piece by piece: memory does not grow with them.
 * @param result what `engine.run` gave
 * @throws FourfoldError ERR_FOURFOLD_OUTPUT for what cannot be written; ERR_FOURFOLD_LEVEL for a level that was not kept; ERR_FOURFOLD_ARGUMENT for
 * an ending that says no format, and for several levels in one NPY file; ERR_FOURFOLD_ABORTED
 * @example
 * const result = await engine.run(spec, { keep: "all" });
 * await writeResult(result, "nodes.parquet");
 * await writeResult(result, "airports.npy", { keep: ["airport"] });
 */
export async function writeResult(result: WritableResult, path: string | URL, options: WriteResultOptions = {}): Promise<void> {
  checkNames("writeResult", options, ["format", "keep", "elapsedMs", "signal"]);
  const { format, signal, ...rest } = options;
  const name = path instanceof URL && path.protocol === "file:" ? fileURLToPath(path) : path;
  if (typeof name !== "string" || name === "" || name.includes("\0")) throw badOption("path", path, "the path or file: URL of a file");
  const pieces = resultPieces(result, { ...rest, format: format ?? resultFormat(name) ?? unknownEnding(name) });
  const file = await outputFile(name);
  await file.write(pieces, signal);
}

/**
 * What {@link writeResult} writes, piece by piece, for any other place: texts, or bytes. A piece may be empty: it only says that more is to come.
 * @throws FourfoldError as {@link writeResult}
 * @example for (const piece of resultPieces(result, { format: "csv" })) response.write(piece);
 */
export function resultPieces(result: WritableResult, options: PiecesOptions): Pieces {
  checkNames("resultPieces", options, ["format", "keep", "elapsedMs"]);
  const { format, keep = "all", elapsedMs } = options;
  if (!RESULT_FORMATS.includes(format)) throw badOption("format", format, `one of ${RESULT_FORMATS.join(", ")}`);
  if (keep !== "all" && !(Array.isArray(keep) && keep.length > 0)) throw badOption("keep", keep, '"all" or a list of names of levels');
  if (!Array.isArray((result as Partial<WritableResult> | null | undefined)?.levels))
    throw badOption("result", result, "the result of engine.run");
  return gathered(WRITERS[format](new ResultTable(result, keep), elapsedMs));
}

function unknownEnding(path: string): never {
  const ending = /[^./\\]*$/.exec(path)![0];
  const meant = nearest(ending, RESULT_FORMATS);
  throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `the ending of ${show(path)} says no format of results`, {
    given: path,
    expected: RESULT_FORMATS,
    fix: `${meant === undefined ? "" : `Did you mean .${meant}? Or g`}${meant === undefined ? "G" : ""}ive format: ${RESULT_FORMATS.join(", ")}`,
  });
}
