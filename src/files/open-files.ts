/**
 * Files and globs of a spec as a table expression of SQL: the reader, its options as checked values, partition columns from key=value folders,
 * and types that lose nothing. DuckDB takes the types of CSV and JSON from their first records; an integer column whose later records hold 1.5
 * would round them without a word, so integers are read as DOUBLE and judged where they are used.
 */
import { relative, sep } from "node:path";
import { FourfoldError, show } from "../errors.ts";
import type { Column, Database, Watch } from "./duckdb.ts";
import { type Allowed, resolvePath } from "./folders.ts";
import type { SourceColumn } from "./source-columns.ts";
import type { SpecFiles } from "./spec-source.ts";
import { identifier, quoted } from "./sql.ts";

/** Records looked at for integers beyond 2^53, which keep their type: ids and hashes show at once. */
const LARGE_SAMPLE = 2048;
const EXACT_MAX = "9007199254740992";

/** What Hive and its followers write for null. */
const HIVE_NULL = "__HIVE_DEFAULT_PARTITION__";

/** Files as a table. */
export interface FilesTable {
  /** A table expression. */
  readonly table: string;
  readonly columns: readonly SourceColumn[];
  readonly subject: string;
}

/** Reader and options of DuckDB by format. */
const READERS = { parquet: "read_parquet", csv: "read_csv", tsv: "read_csv", json: "read_json", ndjson: "read_ndjson" } as const;

/** Opens files: their paths are checked, their columns known. @throws FourfoldError */
export async function openFiles(db: Database, source: SpecFiles, allowed: Allowed, signal: AbortSignal | undefined): Promise<FilesTable> {
  const given = typeof source.file === "string" ? [source.file] : source.file;
  const paths = given.map((path) => resolvePath(path, allowed));
  const subject = given.length === 1 ? (given[0] as string) : `${given[0]} and ${given.length - 1} more`;
  const watch: Watch = { signal, subject };
  const list = paths.length === 1 ? quoted(paths[0] as string) : `[${paths.map(quoted).join(", ")}]`;
  const options = optionsOf(source);
  const call = (...more: readonly string[]): string => `${READERS[source.format]}(${[list, ...options, ...more].join(", ")})`;
  const hive = await partitionsOf(db, source, given, paths, allowed, watch);
  const plain = "hive_partitioning = false";
  if (hive === undefined) {
    const columns = await db.columns(`from ${call(plain)}`, watch);
    const { retyped, columns: read } = await withoutRounding(db, source, columns, call(plain), watch);
    return { table: partOf(source, call, [plain, ...retyped], []), columns: read, subject };
  }
  const own = await db.columns(`from ${call(plain)}`, watch);
  const keys = [...hive.keys, ...hive.outside];
  const twice = own.find(({ name }) => keys.some((key) => key.toLowerCase() === name.toLowerCase()));
  if (twice !== undefined)
    throw new FourfoldError("ERR_FOURFOLD_COLUMN", `${subject}: ${show(twice.name)} is a column of the files and a part of their paths`, {
      given: twice.name,
      at: { column: twice.name },
      fix: 'Say "hivePartitions": false to read the column of the files',
    });
  const types = `{${keys.map((key) => `${quoted(key)}: ${hive.integers.includes(key) ? "BIGINT" : "VARCHAR"}`).join(", ")}}`;
  const parts = ["hive_partitioning = true", "hive_types_autocast = false", `hive_types = ${types}`];
  const { retyped, columns: read } = await withoutRounding(db, source, own, call(plain), watch);
  const table = partOf(source, call, [...parts, ...retyped], hive.outside);
  const columns = await db.columns(`from ${table}`, watch);
  return { table, columns: [...read, ...columns.slice(own.length)], subject };
}

/**
 * The call of a reader without some columns, and only for the part of its files that a source may name: DuckDB sniffs all of them, so the part has
 * the columns and types that all have. Of the others it opens none if the column of paths is called "filename"; by any other name it opens them all
 * and finds that nothing in them passes.
 */
function partOf(
  { part }: SpecFiles,
  call: (...options: readonly string[]) => string,
  options: readonly string[],
  without: readonly string[],
): string {
  const from = part === undefined ? call(...options) : call(...options, `filename = ${quoted(part.column)}`);
  const excluded = part === undefined ? without : [...without, part.column];
  if (excluded.length === 0) return from;
  const [first, end] = part?.rows ?? [];
  const within = first === undefined ? "" : ` and file_row_number >= ${first} and file_row_number < ${end}`;
  const where = part === undefined ? "" : ` where ${identifier(part.column)} = ${quoted(part.path)}${within}`;
  return `(select * exclude (${excluded.map(identifier).join(", ")}) from ${from}${where})`;
}

/** The options of a reader that the spec sets. */
function optionsOf({ format, csv = {} }: SpecFiles): string[] {
  const options: string[] = [];
  const delimiter = csv.delimiter ?? (format === "tsv" ? "\t" : undefined);
  if (delimiter !== undefined) options.push(`delim = ${quoted(delimiter)}`);
  if (csv.quote !== undefined) options.push(`quote = ${quoted(csv.quote)}`);
  if (csv.escape !== undefined) options.push(`escape = ${quoted(csv.escape)}`);
  if (csv.header !== undefined) options.push(`header = ${csv.header}`);
  if (csv.nullText !== undefined) options.push(`nullstr = [${csv.nullText.map(quoted).join(", ")}]`);
  if (csv.columns !== undefined && csv.header === false) options.push(`columns = ${struct(Object.entries(csv.columns))}`);
  return options;
}

function struct(entries: readonly (readonly [string, string])[]): string {
  return `{${entries.map(([name, type]) => `${quoted(name)}: ${quoted(type)}`).join(", ")}}`;
}

/** The options that read integers of text as DOUBLE, and the columns they give. */
async function withoutRounding(
  db: Database,
  { format, csv }: SpecFiles,
  columns: readonly Column[],
  table: string,
  watch: Watch,
): Promise<{ readonly retyped: readonly string[]; readonly columns: readonly SourceColumn[] }> {
  if (format === "parquet") return { retyped: [], columns };
  const said = csv?.columns ?? {};
  const isSaid = (name: string): boolean => Object.keys(said).some((one) => one.toLowerCase() === name.toLowerCase());
  const names = new Set(columns.map(({ name }) => name.toLowerCase()));
  const guessed =
    names.size < columns.length ? [] : columns.filter(({ name, type }) => (type === "BIGINT" || type === "UBIGINT") && !isSaid(name));
  const large = await largeOf(db, guessed, table, watch);
  const integers = guessed.filter((_, i) => !large[i]);
  const typed = columns.map((column): SourceColumn => (integers.includes(column) ? { ...column, type: "DOUBLE", integers: true } : column));
  if (format === "csv" || format === "tsv") {
    if (csv?.header === false && csv.columns !== undefined) return { retyped: [], columns };
    const types = [...integers.map(({ name }) => [name, "DOUBLE"] as const), ...Object.entries(said)];
    if (types.length === 0) return { retyped: [], columns };
    const retyped = [`types = ${struct(types)}`];
    // Types that the spec says are checked by DuckDB, which knows the columns.
    if (Object.keys(said).length === 0) return { retyped, columns: typed };
    const bound = await db.columns(`from ${table.slice(0, -1)}, ${retyped[0]})`, watch);
    return { retyped, columns: bound.map((column, i) => (typed[i]?.integers ? { ...column, integers: true } : column)) };
  }
  if (integers.length === 0) return { retyped: [], columns };
  // The JSON readers take the types of all columns or of none.
  const full: [string, string][] = [];
  for await (const chunk of db.chunks(`select column_name, column_type from (describe from ${table})`, watch))
    for (let row = 0; row < chunk.rows; row++) full.push([String(chunk.cells(0)[row]), String(chunk.cells(1)[row])]);
  return {
    retyped: [`columns = ${struct(full.map(([name, type], i) => [name, typed[i]?.integers ? "DOUBLE" : type]))}`],
    columns: typed,
  };
}

/** Which columns have an integer beyond 2^53 among their first. */
async function largeOf(db: Database, columns: readonly Column[], table: string, watch: Watch): Promise<readonly boolean[]> {
  if (columns.length === 0) return [];
  const tests = columns.map(({ name }) => `coalesce(bool_or(${identifier(name)} not between -${EXACT_MAX} and ${EXACT_MAX}), false)`);
  for await (const chunk of db.chunks(`select ${tests.join(", ")} from (from ${table} limit ${LARGE_SAMPLE})`, watch))
    return columns.map((_, i) => chunk.cells(i)[0] === true);
  return columns.map(() => false);
}

/** Partition columns. */
interface Partitions {
  readonly keys: readonly string[];
  /** Keys in the path of the folder that a relative path starts from: they are no part of the data. */
  readonly outside: readonly string[];
  /** Those whose values are all plain integers. */
  readonly integers: readonly string[];
}

/** The partition columns of files, if there are any. @throws FourfoldError ERR_FOURFOLD_SOURCE if they are asked for, and the paths differ in them */
async function partitionsOf(
  db: Database,
  { hivePartitions }: SpecFiles,
  given: readonly string[],
  paths: readonly string[],
  allowed: Allowed,
  watch: Watch,
): Promise<Partitions | undefined> {
  if (hivePartitions === false) return undefined;
  const isGlob = (path: string): boolean => /[*?[]/.test(path);
  if (hivePartitions !== true && !given.some((path) => isGlob(path) || path.includes("="))) return undefined;
  const files: string[] = [];
  for (const path of paths)
    for await (const chunk of db.chunks(`select file from glob(${quoted(path)})`, watch)) files.push(...(chunk.cells(0) as string[]));
  const inside = (file: string): string => {
    const way = relative(allowed.base, file);
    return way.startsWith("..") ? file : way;
  };
  let first: readonly (readonly [string, string])[] | undefined;
  const values = new Map<string, boolean>();
  for (const file of files) {
    const pairs = pairsOf(inside(file));
    first ??= pairs;
    if (pairs.length === 0 || pairs.map(([key]) => key).join("=") !== first.map(([key]) => key).join("=")) {
      if (hivePartitions !== true) return undefined;
      throw new FourfoldError(
        "ERR_FOURFOLD_SOURCE",
        `${show(inside(file))} and ${show(inside(files[0] as string))} are not in the same key=value folders`,
        {
          given: file,
          fix: 'Hive partitions look like data/year=2024/part.parquet; otherwise leave "hivePartitions" out',
        },
      );
    }
    for (const [key, value] of pairs)
      values.set(key, (values.get(key) ?? true) && (value === HIVE_NULL || /^(?:0|-?[1-9]\d{0,14})$/.test(value)));
  }
  if (first === undefined) return undefined; // no file at all, which the reader says
  const keys = first.map(([key]) => key);
  const outside = pairsOf(files[0] as string)
    .map(([key]) => key)
    .filter((key) => !keys.includes(key));
  return { keys, outside, integers: keys.filter((key) => values.get(key)) };
}

/** The key=value folders of a path. */
function pairsOf(path: string): [string, string][] {
  return path
    .split(sep)
    .slice(0, -1)
    .flatMap((folder) => {
      const [, key, value] = /^([^=]+)=([^=]*)$/.exec(folder) ?? [];
      return key === undefined || value === undefined ? [] : [[key, value] as [string, string]];
    });
}
