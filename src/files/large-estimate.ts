/** When a table is large: what it would take in memory, reckoned before it is read. See large-table.ts for what becomes of it. */
import { statSync } from "node:fs";
import { freemem } from "node:os";
import { FourfoldError } from "../errors.ts";
import { type Database, type DatabaseLimits, openDatabase, type Watch } from "./duckdb.ts";
import { type Allowed, resolvePath } from "./folders.ts";
import { openSource, tableOf } from "./source.ts";
import type { SpecContent } from "./spec.ts";
import type { SpecSource } from "./spec-source.ts";

/** Of the memory that is free, what a table may take that was given no limit. */
const FREE_SHARE = 1 / 2;
/** Of the limit: what a table that is read into memory may take by this reckoning. */
const IN_MEMORY_SHARE = 1 / 2;
/** In memory a value or weight is there twice, and a key, if all are different, as DuckDB holds it and as a text of ours. */
const RECORD_BYTES = 16;
const KEY_BYTES = 16;
/** A line of text has an end, and all else may be missing. */
const TEXT_RECORD_BYTES = 1;
/**
 * Parquet holds a sorted key as runs, and a value out of four in two bits. (The flights take 4.5 bytes.) Files that hold less for a record are mostly
 * repetition; where such a one is taken for small and is not, memory that runs out sends it to disk all the same.
 */
const PARQUET_RECORD_BYTES = 1 / 4;

/** The bytes of memory for all of it. */
export function memoryFor({ memoryBytesMax }: DatabaseLimits): number {
  return memoryBytesMax ?? freemem() * FREE_SHARE;
}

/**
 * True if a source has, as DuckDB estimates, more records than memory holds twice: grouped by DuckDB, and copied for the kernels. Files that are
 * too small for that are not asked about: a database is not opened twice.
 * @throws FourfoldError as reading the source does
 */
export async function outgrows(
  spec: SpecContent,
  allowed: Allowed,
  limits: DatabaseLimits,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const weights = spec.levels.filter((level) => typeof level.weights === "object" && "column" in level.weights).length;
  const bytes = RECORD_BYTES * (1 + weights) + KEY_BYTES * spec.levels[0]!.by.length;
  const recordsMax = (memoryFor(limits) * IN_MEMORY_SHARE) / bytes;
  const most = recordsAtMost(spec.source, allowed);
  if (most !== undefined && most <= recordsMax) return false;
  // Hierarchies and expressions add columns and no records, and checking them reads the table.
  const { path: _path, parents: _parents, computed: _computed, ...rows } = spec.source;
  const db = await openDatabase(allowed, limits);
  try {
    const source = await openSource(db, rows, "/source", spec.document, allowed, signal);
    return (await estimate(db, tableOf(source), { signal, subject: source.subject })) > recordsMax;
  } finally {
    db.close();
  }
}

/** How many records some files can hold, by their sizes; undefined for SQL, which may join them, and for patterns and packed files. */
function recordsAtMost(source: SpecSource, allowed: Allowed): number | undefined {
  if ("sql" in source) return undefined;
  const each = source.format === "parquet" ? PARQUET_RECORD_BYTES : TEXT_RECORD_BYTES;
  const files = typeof source.file === "string" ? [source.file] : source.file;
  let records = 0;
  for (const file of files) {
    if (/[*?[]|\.(gz|zst)$/i.test(file)) return undefined;
    const size = sizeOf(file, allowed);
    if (size === undefined) return undefined;
    records += size / each;
  }
  return records;
}

/** The size of a regular file; undefined for what is none, or may not be read: opening the source says why. */
function sizeOf(file: string, allowed: Allowed): number | undefined {
  try {
    const found = statSync(resolvePath(file, allowed));
    return found.isFile() ? found.size : undefined;
  } catch (error) {
    if (error instanceof FourfoldError || (error instanceof Error && "code" in error)) return undefined;
    throw error;
  }
}

/** The records that DuckDB expects of some rows; 0 where it does not say. */
async function estimate(db: Database, from: string, watch: Watch): Promise<number> {
  for await (const chunk of db.chunks(`explain (format json) select * from ${from}`, watch)) {
    const found = /"Estimated Cardinality": "(\d+)"/.exec(String(chunk.cells(1)[0]));
    if (found) return Number(found[1]);
  }
  return 0;
}
