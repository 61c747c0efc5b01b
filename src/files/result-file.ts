/** Opens results at rest: what kind of file it is, and how much of it may be read. result-parquet.ts and result-json.ts read the formats. */
import { type FileHandle, open, realpath } from "node:fs/promises";
import { badOption, checkNames, FourfoldError, show, systemReason, throwIfAborted } from "../errors.ts";
import { readJsonResult } from "./result-json.ts";
import { notResult } from "./result-metadata.ts";
import { readParquetResult } from "./result-parquet.ts";
import { Stored } from "./result-view.ts";
import type { StoredResult } from "./stored-result.ts";

/** How a result is opened. */
export interface OpenResultOptions {
  /**
   * The most memory the nodes may take, and the most DuckDB may to read them; 1 GiB without it, which is enough for some ten million nodes. A JSON
   * document may have a quarter of it, since it is read whole.
   */
  readonly memoryBytesMax?: number;
  readonly signal?: AbortSignal;
}

/** Without memoryBytesMax. */
const MEMORY_BYTES_MAX = 2 ** 30;

/** A parsed document takes some times its text; V8 has no longer strings than this anyway. */
const JSON_PART = 4;
const TEXT_BYTES_MAX = 2 ** 29 - 1024;

/**
 * Opens a result that `fourfold run` wrote as Parquet or JSON, with the nodes of the levels that it kept.
 * @throws FourfoldError ERR_FOURFOLD_SOURCE if it cannot be read, ERR_FOURFOLD_FORMAT if it is no result, ERR_FOURFOLD_MEMORY beyond memoryBytesMax
 * @example
 * const result = await openResult("nodes.parquet");
 * for (const { node, contribution } of result.contributions(result.at([])).children) console.log(node.path, contribution);
 */
export async function openResult(path: string, options: OpenResultOptions = {}): Promise<StoredResult> {
  checkNames("openResult", options, ["memoryBytesMax", "signal"]);
  const { memoryBytesMax = MEMORY_BYTES_MAX, signal } = options;
  if (!Number.isSafeInteger(memoryBytesMax) || memoryBytesMax < 1)
    throw badOption("memoryBytesMax", memoryBytesMax, "a whole number above 0");
  throwIfAborted(signal);
  const { real, head, bytes } = await lookAt(path);
  const format = formatOf(path, head);
  const { metadata, rows } =
    format === "parquet"
      ? await readParquetResult(real, path, { memoryBytesMax, signal })
      : readJsonResult(await readText(real, path, bytes, memoryBytesMax), path, memoryBytesMax);
  return new Stored(path, metadata, rows);
}

/** The real place of a file, its size and its first bytes. */
async function lookAt(path: string): Promise<{ real: string; head: Buffer; bytes: number }> {
  let file: FileHandle | undefined;
  try {
    const real = await realpath(path);
    file = await open(real, "r");
    const found = await file.stat();
    if (!found.isFile()) throw unreadable(path, found.isDirectory() ? "it is a folder" : "it is no file");
    const head = Buffer.alloc(8);
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    return { real, head: head.subarray(0, bytesRead), bytes: found.size };
  } catch (error) {
    const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
    const reason = missing ? "there is no such file" : systemReason(error);
    throw reason === undefined ? error : unreadable(path, reason, error);
  } finally {
    await file?.close();
  }
}

function unreadable(path: string, reason: string, cause?: unknown): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_SOURCE", `the result ${show(path)} cannot be read: ${reason}`, {
    given: path,
    fix: "Name a file that fourfold run wrote",
    at: { file: path },
    cause,
  });
}

/** By its first bytes; the ending tells of formats that cannot be opened. */
function formatOf(path: string, head: Buffer): "parquet" | "json" {
  const ending = /\.(\w+)$/.exec(path.toLowerCase())?.[1];
  const way = "Write it as Parquet or JSON: fourfold run SPEC --keep all --format json --out RESULT.json";
  if (ending === "csv" || ending === "tsv" || ending === "ndjson" || ending === "jsonl")
    throw notResult(path, `${ending === "csv" || ending === "tsv" ? "CSV" : "NDJSON"} does not say how its levels reduce`, ending, way);
  if (head.toString("latin1", 0, 4) === "PAR1") return "parquet";
  if (/^(\ufeff|ï»¿)?\s*\{/.test(head.toString("latin1"))) return "json";
  if (head.toString("latin1", 0, 6) === "ARROW1") throw notResult(path, "it is Arrow, which inspect does not read", ending, way);
  throw notResult(path, "it is neither Parquet nor JSON", ending, way);
}

async function readText(real: string, path: string, bytes: number, memoryBytesMax: number): Promise<string> {
  const most = Math.min(TEXT_BYTES_MAX, Math.floor(memoryBytesMax / JSON_PART));
  if (bytes > most)
    throw new FourfoldError("ERR_FOURFOLD_MEMORY", `the result ${show(path)} is JSON of ${bytes} bytes, at most ${most} may be read`, {
      given: bytes,
      expected: most,
      fix: "Raise memoryBytesMax, or write the result as Parquet",
      at: { file: path },
    });
  const file = await open(real, "r");
  try {
    // A file that grows meanwhile is read as far as it was looked at.
    const buffer = Buffer.alloc(bytes);
    let at = 0;
    while (at < bytes) {
      const { bytesRead } = await file.read(buffer, at, bytes - at, at);
      if (bytesRead === 0) break;
      at += bytesRead;
    }
    const text = new TextDecoder("utf-8", { fatal: true }).decode(buffer.subarray(0, at));
    return text;
  } catch (error) {
    const reason = systemReason(error);
    throw reason === undefined ? notResult(path, "it is no UTF-8") : unreadable(path, reason, error);
  } finally {
    await file.close();
  }
}
