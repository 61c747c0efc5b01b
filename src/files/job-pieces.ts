/**
 * Cuts a source into pieces that can be read again: one for each file, several for a large Parquet file, one for a whole SQL source. Every piece
 * is opened through the same name or pattern, so that all have the columns and types that a run over all of it has.
 */
import { FourfoldError } from "../errors.ts";
import type { Database } from "./duckdb.ts";
import { type Allowed, resolvePath } from "./folders.ts";
import type { JobInput } from "./job-inputs.ts";
import { FILE_COLUMNS, type JobPiece } from "./job-manifest.ts";
import { openSource, placed } from "./source.ts";
import type { SourceColumn } from "./source-column.ts";
import type { SpecContent, SpecSource } from "./spec.ts";
import { quoted } from "./sql.ts";

/** How finely a source is cut. */
export interface CutLimits {
  readonly piecesMax: number;
  /** Rows of a piece of a Parquet file, unless one row group alone has more. */
  readonly pieceRowsMax: number;
}

/** The pieces of a spec's source. @throws FourfoldError ERR_FOURFOLD_JOB for more than `piecesMax`, and what opening a source throws */
export async function cutSource(
  db: Database,
  spec: SpecContent,
  allowed: Allowed,
  inputs: readonly JobInput[],
  files: readonly string[],
  limits: CutLimits,
  signal: AbortSignal | undefined,
): Promise<JobPiece[]> {
  const { source, document } = spec;
  const opened = await openSource(db, source, "/source", document, allowed, signal);
  const sizes = new Map(inputs.map(({ path, bytes }) => [path, bytes]));
  const sizeOf = (path: string): number => sizes.get(path) ?? 0;
  const has = (wanted: string): boolean => opened.columns.some(({ name }) => name.toLowerCase() === wanted);
  const column = FILE_COLUMNS.find((name) => !has(name)) as string;
  if ("sql" in source) {
    const bytes = [...new Set(files)].reduce((total, path) => total + sizeOf(path), 0);
    return [{ file: null, from: 0, to: 1, part: false, column, bytes }];
  }
  let groups: ReadonlyMap<string, readonly number[]> = new Map();
  // A column of that name would stand in for the numbers of the rows.
  const numbered = !has("file_row_number");
  try {
    const named = [source.file].flat().map((path) => resolvePath(path, allowed));
    if (source.format === "parquet") groups = await rowGroups(db, named, signal);
  } catch (error) {
    throw placed(error, document, opened.pointer);
  }
  const pieces: JobPiece[] = [];
  for (const path of files) {
    const found = groups.get(path);
    if (found === undefined) pieces.push({ file: path, from: 0, to: sizeOf(path), part: false, column, bytes: sizeOf(path) });
    else
      pieces.push(
        ...cutRows({ file: path, column, bytes: sizeOf(path) }, found, numbered ? limits.pieceRowsMax : Number.POSITIVE_INFINITY),
      );
    checkPieces(pieces.length, limits);
  }
  return pieces;
}

/** Refuses more pieces than a job may have. @throws FourfoldError ERR_FOURFOLD_JOB */
export function checkPieces(pieces: number, { piecesMax, pieceRowsMax }: CutLimits): void {
  if (pieces <= piecesMax) return;
  throw new FourfoldError("ERR_FOURFOLD_JOB", `the job has ${pieces} pieces or more, option "piecesMax" is ${piecesMax}`, {
    given: pieces,
    expected: piecesMax,
    fix: `Raise piecesMax; for Parquet files also pieceRowsMax, which is ${pieceRowsMax}`,
  });
}

/** The rows of each row group of Parquet files, in order, by file. Reads the ends of the files. */
async function rowGroups(db: Database, patterns: readonly string[], signal: AbortSignal | undefined): Promise<Map<string, number[]>> {
  const groups = new Map<string, number[]>();
  const metadata = `select file_name, row_group_id, any_value(row_group_num_rows) from parquet_metadata([${patterns.map(quoted).join(", ")}]) group by all order by all`;
  for await (const chunk of db.chunks(metadata, { signal, subject: patterns[0] })) {
    const [names, , rows] = [0, 1, 2].map((column) => chunk.cells(column)) as [string[], unknown, bigint[]];
    for (let i = 0; i < chunk.rows; i++) {
      const name = names[i] as string;
      const found = groups.get(name);
      if (found === undefined) groups.set(name, [Number(rows[i])]);
      else found.push(Number(rows[i]));
    }
  }
  return groups;
}

/** Whole row groups together, up to a number of rows: to read part of one costs nearly as much as to read all of it. */
function cutRows(whole: Pick<JobPiece, "file" | "column" | "bytes">, groups: readonly number[], rowsMax: number): JobPiece[] {
  const total = groups.reduce((sum, rows) => sum + rows, 0);
  const ends: number[] = [];
  let from = 0;
  let end = 0;
  for (const rows of groups) {
    if (end > from && end + rows - from > rowsMax) {
      ends.push(end);
      from = end;
    }
    end += rows;
  }
  ends.push(end);
  return ends.map((to, i) => {
    const start = ends[i - 1] ?? 0;
    const share = total === 0 ? 1 : (to - start) / total;
    return { ...whole, from: start, to, part: ends.length > 1, bytes: Math.round(whole.bytes * share) };
  });
}

/** The source of one piece. */
export function sourceOf(
  source: SpecSource,
  { file, from, to, part, column }: JobPiece,
  columns: readonly SourceColumn[] | undefined,
): SpecSource {
  if ("sql" in source || file === null) return source;
  return { ...source, part: { path: file, column, ...(part ? { rows: [from, to] as const } : {}), ...(columns && { columns }) } };
}
