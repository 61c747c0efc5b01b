/**
 * Reading a spec's table without what cannot be read: rows of CSV and NDJSON that do not convert, integers beyond 2^53, and damaged files
 * among several. What is left out is counted and told row by row. Tables of weights are read as strictly as ever.
 */
import { FourfoldError } from "../errors.ts";
import type { GroupedTable, RejectedRow } from "../reduce/grouped.ts";
import type { DamagedFile } from "./checks.ts";
import { type Database, type DatabaseLimits, openDatabase, type Watch } from "./duckdb.ts";
import type { Allowed } from "./folders.ts";
import { forgetRejects } from "./lenient.ts";
import { type FilesTable, openFiles, type Tolerance } from "./open-files.ts";
import { type RowTest, rowsWhere, withoutRows } from "./row-tests.ts";
import { isNumeric, numberColumn, placed } from "./source.ts";
import type { SourceFiles } from "./source-files.ts";
import type { ReadOptions, SpecContent } from "./spec.ts";
import type { SpecFiles, SpecSource } from "./spec-source.ts";
import { readTable } from "./table.ts";

/** Rows that a table tells without being asked. */
const FIRST_MAX = 5;
/** Whole readings: after each, the files that broke it are left out. More than two means that it is not the files. */
const READINGS_MAX = 2;

/** What is known before DuckDB reads. */
export interface Tolerated {
  readonly sources: readonly SourceFiles[];
  /** Files that are damaged for sure. */
  readonly damaged: readonly DamagedFile[];
  /** Takes every row that was left out. */
  readonly onRejected?: ((rows: readonly RejectedRow[]) => Promise<void>) | undefined;
}

/** @throws FourfoldError what {@link readTable} throws, and ERR_FOURFOLD_ARGUMENT for a source of SQL */
export async function readTolerant(
  spec: SpecContent,
  allowed: Allowed,
  limits: DatabaseLimits,
  options: ReadOptions,
  { sources, damaged, onRejected }: Tolerated,
): Promise<GroupedTable> {
  if ("sql" in spec.source)
    throw placed(
      new FourfoldError("ERR_FOURFOLD_ARGUMENT", "bad rows can be left out of a source with a file, and this one has SQL", {
        fix: `Give "file" and "format", or say it in the SQL: read_csv('…', ignore_errors = true)`,
      }),
      spec.document,
      "/source/sql",
    );
  const { source } = spec;
  const { pointer, files, subject } = sources.find((source) => source.pointer === "/source/file")!;
  const bad = new Map<string, FourfoldError>();
  for (const { path, error } of damaged) {
    const other = sources.find((one) => one.pointer !== pointer && one.files.some((file) => file.path === path));
    if (other !== undefined) throw placed(error, spec.document, other.pointer);
    bad.set(path, error);
  }
  const watch: Watch = { signal: options.signal, subject };
  const weighed = spec.levels.flatMap(({ weights }) => (typeof weights === "object" && "column" in weights ? [weights.column] : []));
  const numbers = [...new Set([spec.value, ...weighed])];
  for (let reading = 1; ; reading++) {
    const whole = files.map(({ path }) => path).filter((path) => !bad.has(path));
    if (whole.length === 0) throw placed([...bad.values()][0] ?? new Error("no files"), spec.document, pointer);
    let opened: Tolerant | undefined;
    const rejected: RejectedRow[] = [];
    let rows = 0;
    const tell = async (some: RejectedRow[]): Promise<void> => {
      rejected.push(...some.slice(0, FIRST_MAX - rejected.length));
      await onRejected?.(some);
    };
    try {
      const table = await readTable(spec, allowed, limits, options, {
        open: async (db) => {
          opened = await openTolerant(db, source, allowed, { files: whole, numbers }, options.signal);
          return opened.kept;
        },
        opened: (db) => forgetRejects(db, watch),
        done: async (db) => {
          if (bad.size > 0) await tell([...bad].map(([path, error]) => fileRow(path, error)));
          const { all, inexact } = opened!;
          for (const rest of [
            all.rejected?.(db, watch),
            inexact.length > 0 && rowsWhere(db, all.table, inexact, integerRow(subject), watch),
          ])
            if (rest)
              for await (const some of rest) {
                rows += some.length;
                await tell(some);
              }
        },
      });
      return { ...table, rejected: { rows, files: bad.size, first: rejected } };
    } catch (error) {
      const mayBeFiles = error instanceof FourfoldError && ["ERR_FOURFOLD_FORMAT", "ERR_FOURFOLD_SOURCE"].includes(error.code);
      if (!mayBeFiles || reading === READINGS_MAX || files.length === 1) throw error;
      const more = await brokenOf(source, allowed, limits, whole, watch);
      if (more.length === 0) throw error;
      for (const { path, error: reason } of more) bad.set(path, reason);
    }
  }
}

/** A source with and without its integers beyond 2^53. */
interface Tolerant {
  readonly all: FilesTable;
  readonly kept: FilesTable;
  readonly inexact: readonly RowTest[];
}

async function openTolerant(
  db: Database,
  source: SpecFiles & Pick<SpecSource, "int64">,
  allowed: Allowed,
  tolerance: Tolerance,
  signal: AbortSignal | undefined,
): Promise<Tolerant> {
  const all = await openFiles(db, source, allowed, signal, tolerance);
  // "number" takes them as they are, and "reject" is about columns.
  const opened = { ...all, sql: "", numbered: "", pointer: "", collated: false, int64: source.int64 };
  const inexact = (source.int64 === "exact" ? tolerance.numbers : []).flatMap((name): RowTest[] => {
    const column = all.columns.find((one) => one.name === name);
    const test = column && isNumeric(column) ? numberColumn(opened, name, "the value", false).inexact : undefined;
    return test === undefined ? [] : [{ column: name, test }];
  });
  return { all, kept: inexact.length === 0 ? all : { ...all, table: withoutRows(all.table, inexact) }, inexact };
}

/** Reads each file by itself, to its end, and gives those that break. */
async function brokenOf(
  source: SpecFiles,
  allowed: Allowed,
  limits: DatabaseLimits,
  files: readonly string[],
  watch: Watch,
): Promise<DamagedFile[]> {
  const broken: DamagedFile[] = [];
  const db = await openDatabase(allowed, limits);
  try {
    for (const path of files)
      try {
        const alone = { ...source, file: path, hivePartitions: false };
        const { table } = await openFiles(db, alone, allowed, watch.signal, { files: [path], numbers: [] });
        for await (const _ of db.chunks(`select bit_xor(hash(columns(*))) from ${table}`, { ...watch, subject: path }));
      } catch (error) {
        if (!(error instanceof FourfoldError) || error.code === "ERR_FOURFOLD_ABORTED" || error.code === "ERR_FOURFOLD_MEMORY") throw error;
        broken.push({ path, error });
      }
  } finally {
    db.close();
  }
  return broken;
}

function fileRow(source: string, { code, message, at }: FourfoldError): RejectedRow {
  const column = at?.column === undefined ? null : String(at.column);
  return { source, line: null, byte: at?.index ?? null, row: null, column, code, message, text: null };
}

const integerRow =
  (source: string) =>
  (row: number, column: string, text: string): RejectedRow => {
    const message = "an integer is beyond 2^53, where float64 is no longer exact";
    return { source, line: null, byte: null, row, column, code: "ERR_FOURFOLD_INTEGER", message, text };
  };
