/**
 * Files and globs of a spec as a table expression of SQL: the reader, its options as checked values, partition columns from key=value folders,
 * and types that lose nothing (text-integers.ts).
 */
import { relative, sep } from "node:path";
import { FourfoldError, show } from "../errors.ts";
import type { Column, Database, Watch } from "./duckdb.ts";
import { type Allowed, literally, readerPath } from "./folders.ts";
import { globFiles } from "./globs.ts";
import { lenientReader, type Rejected } from "./lenient.ts";
import type { SourceColumn } from "./source-column.ts";
import type { FilePart, SpecFiles } from "./spec-source.ts";
import { identifier, quoted, struct } from "./sql.ts";
import { integersOf } from "./text-integers.ts";

/** What Hive and its followers write for null. */
const HIVE_NULL = "__HIVE_DEFAULT_PARTITION__";

/** Files as a table. */
export interface FilesTable {
  /** A table expression. */
  readonly table: string;
  readonly columns: readonly SourceColumn[];
  readonly subject: string;
  /** The rows that the table is read without, once it has been read to its end. */
  readonly rejected?: Rejected;
}

/** How files are read without the rows that cannot be converted. */
export interface Tolerance {
  /** The files that are there and whole, instead of those that the spec names. */
  readonly files: readonly string[];
  /** Columns that must hold numbers. */
  readonly numbers: readonly string[];
}

/** Reader and options of DuckDB by format. */
const READERS = { parquet: "read_parquet", csv: "read_csv", tsv: "read_csv", json: "read_json", ndjson: "read_ndjson" } as const;

/** The files and patterns that a spec names. */
export const filesNamed = ({ file }: SpecFiles): readonly string[] => (typeof file === "string" ? [file] : file);

/** What messages call them. */
export const subjectOf = (named: readonly string[]): string =>
  named.length === 1 ? (named[0] as string) : `${named[0]} and ${named.length - 1} more`;

const isGlob = (path: string): boolean => /[*?[]/.test(path);

/** Opens files: their paths are checked, their columns known. @throws FourfoldError */
export async function openFiles(
  db: Database,
  source: SpecFiles,
  allowed: Allowed,
  signal: AbortSignal | undefined,
  tolerance?: Tolerance,
): Promise<FilesTable> {
  const given = filesNamed(source);
  const paths = tolerance?.files.map(literally) ?? given.map((path) => readerPath(path, allowed));
  const subject = subjectOf(given);
  const watch: Watch = { signal, subject };
  const list = paths.length === 1 ? quoted(paths[0] as string) : `[${paths.map(quoted).join(", ")}]`;
  const { part, format } = source;
  const isCsv = format === "csv" || format === "tsv";
  // CSV that DuckDB passes over by its path would lend the others its order of columns: a part is read alone, with the types of all.
  const alone = isCsv ? part : undefined;
  const filtered = isCsv ? undefined : part;
  const several = alone === undefined && (paths.length > 1 || paths.some(isGlob));
  // JSON is read by name anyway. The others would be read with the types of the first file. (A reader that keeps rejected rows cannot.)
  const byName = several && (format === "parquet" || (isCsv && tolerance === undefined));
  const own = optionsOf(source);
  const options = byName ? [...own, "union_by_name = true"] : own;
  const files = alone === undefined ? list : quoted(literally(alone.path));
  const call = (...more: readonly string[]): string => `${READERS[format]}(${[files, ...options, ...more].join(", ")})`;
  const hive = await partitionsOf(db, source, given, paths, allowed, watch);
  const plain = "hive_partitioning = false";
  const lenient =
    tolerance &&
    (await lenientReader(db, { format: source.format, csv: source.csv, files: paths, options, numbers: tolerance.numbers }, watch));
  // By name a column that a file lacks would be null.
  const schemas = byName && lenient === undefined ? (isCsv ? await csvSchemas(db, paths, own, watch) : parquetSchemas(list)) : undefined;
  const lacking = schemas === undefined ? NONE : await lackingFiles(db, schemas, watch);
  const known = (columns: readonly SourceColumn[]): readonly SourceColumn[] =>
    columns.map((column) => (lacking.has(column.name) ? { ...column, lackedBy: lacking.get(column.name) as string } : column));
  if (hive === undefined) {
    if (lenient !== undefined) return { table: lenient.call([plain], []), columns: lenient.columns, subject, rejected: lenient.rejected };
    const columns = await db.columns(`from ${call(plain)}`, watch);
    const { retyped, columns: read } = alone ? withTypesOf(alone, columns) : await withoutRounding(db, source, columns, call(plain), watch);
    return { table: partOf(filtered, call, [plain, ...retyped], []), columns: known(read), subject };
  }
  const columnsOfFiles = lenient?.columns ?? (await db.columns(`from ${call(plain)}`, watch));
  const keys = [...hive.keys, ...hive.outside];
  const twice = columnsOfFiles.find(({ name }) => keys.some((key) => key.toLowerCase() === name.toLowerCase()));
  if (twice !== undefined)
    throw new FourfoldError("ERR_FOURFOLD_COLUMN", `${subject}: ${show(twice.name)} is a column of the files and a part of their paths`, {
      given: twice.name,
      at: { column: twice.name },
      fix: 'Say "hivePartitions": false to read the column of the files',
    });
  const types = `{${keys.map((key) => `${quoted(key)}: ${hive.integers.includes(key) ? "BIGINT" : "VARCHAR"}`).join(", ")}}`;
  const parts = ["hive_partitioning = true", "hive_types_autocast = false", `hive_types = ${types}`];
  const { retyped, columns: read } = lenient
    ? { retyped: [], columns: columnsOfFiles }
    : alone
      ? withTypesOf(alone, columnsOfFiles)
      : await withoutRounding(db, source, columnsOfFiles, call(plain), watch);
  const readThem = lenient === undefined ? call : (...options: readonly string[]): string => lenient.call(options, keys);
  const table = partOf(filtered, readThem, [...parts, ...retyped], hive.outside);
  const columns = await db.columns(`from ${table}`, watch);
  return {
    table,
    columns: [...known(read), ...columns.slice(columnsOfFiles.length)],
    subject,
    ...(lenient && { rejected: lenient.rejected }),
  };
}

/**
 * The call of a reader without some columns, and only for the part of its files that a source may name, with the columns and types that all of
 * them have: DuckDB looks at all, and opens none of the others if the column of paths is called "filename"; by any other name it opens them all and
 * finds that nothing in them passes.
 */
function partOf(
  part: FilePart | undefined,
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

const NONE: ReadonlyMap<string, string> = new Map();

/** The option that gives columns of one file the types that all files have, and the columns. Those of no other file stay as they are. */
function withTypesOf(
  { columns: all = [] }: FilePart,
  mine: readonly Column[],
): { readonly retyped: readonly string[]; readonly columns: readonly SourceColumn[] } {
  const columns = mine.map((column): SourceColumn => all.find(({ name }) => name === column.name) ?? column);
  return { retyped: columns.length === 0 ? [] : [`types = ${struct(columns.map((column) => [column.name, typeText(column)]))}`], columns };
}

/** The files and columns of Parquet files, as a table expression. */
function parquetSchemas(list: string): string {
  return `(select distinct file_name as file, name from parquet_schema(${list}) where num_children is null)`;
}

/** The same of CSV files: each is looked at alone. Undefined for one file. */
async function csvSchemas(db: Database, paths: readonly string[], options: readonly string[], watch: Watch): Promise<string | undefined> {
  const files = await globFiles(db, paths, watch);
  if (files.length < 2) return undefined;
  const rows: string[] = [];
  for (const file of files) {
    const alone = [quoted(literally(file)), ...options, "hive_partitioning = false"].join(", ");
    for (const { name } of await db.columns(`from read_csv(${alone})`, { ...watch, subject: file }))
      rows.push(`(${quoted(file)}, ${quoted(name)})`);
  }
  return `(select * from (values ${rows.join(", ")}) as t(file, name))`;
}

/** The columns that some files have and others lack, each with a file that lacks it. */
async function lackingFiles(db: Database, schemas: string, watch: Watch): Promise<ReadonlyMap<string, string>> {
  const files = `(select distinct file from ${schemas})`;
  const sql = `select name, min(file) from (select n.name, f.file from (select distinct name from ${schemas}) n cross join ${files} f
    except select name, file from ${schemas}) group by name`;
  const lacking = new Map<string, string>();
  for await (const chunk of db.chunks(sql, watch))
    for (let row = 0; row < chunk.rows; row++) lacking.set(String(chunk.cells(0)[row]), String(chunk.cells(1)[row]));
  return lacking;
}

/** A type as SQL has it. */
function typeText({ type, width, scale }: Column): string {
  if (type === "DECIMAL" && width !== undefined) return `DECIMAL(${width}, ${scale ?? 0})`;
  return type === "TIMESTAMP_TZ" ? "TIMESTAMPTZ" : type === "TIME_TZ" ? "TIMETZ" : type;
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
  const integers = await integersOf(db, columns, Object.keys(said), table, watch);
  const typed = columns.map(
    (column): SourceColumn => (integers.includes(column.name) ? { ...column, type: "DOUBLE", integers: true } : column),
  );
  if (format === "csv" || format === "tsv") {
    if (csv?.header === false && csv.columns !== undefined) return { retyped: [], columns };
    const types = [...integers.map((name) => [name, "DOUBLE"] as const), ...Object.entries(said)];
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
  if (hivePartitions !== true && !given.some((path) => isGlob(path) || path.includes("="))) return undefined;
  const files = await globFiles(db, paths, watch);
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
