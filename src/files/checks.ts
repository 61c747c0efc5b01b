/** Files of a spec before anything reads them: which are checked, and as what. */
import { closeSync, openSync, readSync } from "node:fs";
import { FourfoldError } from "../errors.ts";
import { checkGzip } from "./gzip-check.ts";
import { checkParquet } from "./parquet-check.ts";
import { placed } from "./source.ts";
import type { SourceFile, SourceFiles } from "./source-files.ts";
import type { SpecContent } from "./spec.ts";

/** A file that is not what it should be. */
export interface DamagedFile {
  readonly path: string;
  readonly error: FourfoldError;
}

/** Parquet's own limit on a page, which is counted in 31 bits. */
const PAGE_BYTES_MAX = 2 ** 31 - 1;
/** Endings that SQL reads as something else, unless it says `read_parquet`. */
const OTHER = /\.(?:csv|tsv|json|ndjson|jsonl)(?:\.(?:gz|zst))?$/i;

/**
 * Checks the Parquet and gzip files of a spec's sources, and gives those that are damaged; with `stop`, the first of them is thrown.
 * @throws FourfoldError ERR_FOURFOLD_FORMAT, ERR_FOURFOLD_SOURCE, with the place in the spec
 */
export async function checkFiles(
  spec: SpecContent,
  sources: readonly SourceFiles[],
  stop: boolean,
  signal: AbortSignal | undefined,
  pageBytesMax: number = PAGE_BYTES_MAX,
): Promise<readonly DamagedFile[]> {
  const damaged: DamagedFile[] = [];
  const seen = new Set<string>();
  for (const { files, pointer } of sources)
    for (const file of files) {
      if (seen.has(file.path)) continue;
      seen.add(file.path);
      try {
        if (isParquet(file)) await checkParquet(file.path, pageBytesMax, signal);
        else if (/\.gz$/i.test(file.path)) await checkGzip(file.path, signal);
      } catch (error) {
        if (stop || !(error instanceof FourfoldError) || error.code === "ERR_FOURFOLD_ABORTED") throw placed(error, spec.document, pointer);
        damaged.push({ path: file.path, error });
      }
    }
  return damaged;
}

/** DuckDB reads a file as Parquet if the spec says so, or SQL by its ending or `read_parquet`: then only if it ends as Parquet does. */
function isParquet({ path, bytes, format }: SourceFile): boolean {
  if (format !== undefined) return format === "parquet";
  if (/\.parquet$/i.test(path)) return true;
  if (bytes < 8) return false;
  const ends = Buffer.alloc(8);
  const file = openSync(path, "r");
  try {
    readSync(file, ends, 0, 4, 0);
    readSync(file, ends, 4, 4, bytes - 4);
  } finally {
    closeSync(file);
  }
  return ends.toString("latin1", 4) === "PAR1" && (!OTHER.test(path) || ends.toString("latin1", 0, 4) === "PAR1");
}
