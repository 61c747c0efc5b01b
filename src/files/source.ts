/**
 * A source of a spec, opened: its SQL with absolute paths, its columns, and how a column is read as numbers or as keys. It runs no query;
 * table.ts, weight-table.ts and replay.ts put the pieces of SQL together.
 */
import { FourfoldError, nearest, show } from "../errors.ts";
import type { Key } from "../reduce/key.ts";
import type { Dtype } from "../types.ts";
import type { Column, Database, Watch } from "./duckdb.ts";
import { type Allowed, resolvePath } from "./folders.ts";
import type { JsonDocument } from "./json.ts";
import type { FileFormat, FilePart, SpecSource } from "./spec.ts";
import { hasCollation, identifier, quoted, replacePaths, singleSelect, sqlPaths } from "./sql.ts";

/** Beyond it float64 does not hold every integer. */
const EXACT_MAX = "9007199254740992";

/** A source as SQL with absolute paths, and its columns. */
export interface Opened {
  readonly sql: string;
  readonly columns: readonly Column[];
  /** What messages call it. */
  readonly subject: string;
  /** Its place in the spec. */
  readonly pointer: string;
  /** The SQL names a collation, which would group other texts together than the contract does. */
  readonly collated: boolean;
}

/** A column as numbers: an SQL expression, its type, and a test that is true where float64 is not exact. */
export interface NumberColumn {
  readonly name: string;
  readonly sql: string;
  readonly type: Dtype;
  readonly inexact: string | undefined;
  /** A wide type read as INTEGER, which fails where it does not fit. */
  readonly narrowed: boolean;
}

const RAW_TYPES: Readonly<Record<string, Dtype>> = { TINYINT: "i8", SMALLINT: "i16", INTEGER: "i32", UTINYINT: "u8" };
const EXACT_INTEGERS = ["TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER"];
const WIDE_INTEGERS = ["BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT"];
const TEXT_KEYS = [
  "VARCHAR",
  "ENUM",
  "UUID",
  "DATE",
  "TIME",
  "TIME_TZ",
  "TIME_NS",
  "TIMESTAMP",
  "TIMESTAMP_S",
  "TIMESTAMP_MS",
  "TIMESTAMP_NS",
  "TIMESTAMP_TZ",
];

/** `error` with the place of the part of the spec that caused it. */
export function placed(error: unknown, document: JsonDocument, pointer: string): unknown {
  if (!(error instanceof FourfoldError) || error.at?.pointer !== undefined || error.code === "ERR_FOURFOLD_ABORTED") return error;
  const { fix, given, expected, cause } = error;
  const place = document.valueAt(pointer);
  const text = fix === undefined ? error.message : error.message.slice(0, -(fix.length + 2));
  return new FourfoldError(error.code, `${document.file ?? "spec"}:${place.line}:${place.column}: ${text}`, {
    given,
    expected,
    ...(fix === undefined ? {} : { fix }),
    cause: cause ?? error,
    at: { ...(document.file === undefined ? {} : { file: document.file }), ...place, ...error.at, pointer },
  });
}

/** Opens a source: its paths are checked, its columns known. @throws FourfoldError with the place in the spec */
export async function openSource(
  db: Database,
  source: SpecSource,
  pointer: string,
  document: JsonDocument,
  allowed: Allowed,
  signal: AbortSignal | undefined,
): Promise<Opened> {
  const place = "sql" in source ? `${pointer}/sql` : `${pointer}/file`;
  try {
    if ("file" in source) {
      const file = resolvePath(source.file, allowed);
      const watch: Watch = { signal, subject: source.file };
      const sql = source.part === undefined ? `from read_${source.format}(${quoted(file)})` : partSql(source.format, file, source.part);
      return { sql, columns: await db.columns(sql, watch), subject: source.file, pointer: place, collated: false };
    }
    const watch: Watch = { signal };
    const statement = singleSelect(await db.syntax(source.sql, watch));
    const paths = sqlPaths(source.sql, statement);
    const sql = replacePaths(source.sql, paths, (path) => resolvePath(path, allowed));
    const subject = paths.length === 1 ? (paths[0] as { path: string }).path : "the source";
    return { sql, columns: await db.columns(sql, { signal, subject }), subject, pointer: place, collated: hasCollation(statement) };
  } catch (error) {
    throw placed(error, document, place);
  }
}

/**
 * A part of what a file or glob names, with the columns and types that all of it has: DuckDB sniffs the same files. Of the others it opens none if
 * the column is called "filename"; by any other name it opens them all and finds that nothing in them passes.
 */
function partSql(format: FileFormat, file: string, { path, column, rows }: FilePart): string {
  const name = identifier(column);
  const within = rows === undefined ? "" : ` and file_row_number >= ${rows[0]} and file_row_number < ${rows[1]}`;
  return `select * exclude (${name}) from read_${format}(${quoted(file)}, filename = ${quoted(column)}) where ${name} = ${quoted(path)}${within}`;
}

/** `query` takes the text as data, so that a comment or semicolon at its end cannot reach the SQL around it. */
export function tableOf(opened: Opened): string {
  return `query(${quoted(opened.sql)}) as source`;
}

/** The column of that name, spelled so. @throws FourfoldError ERR_FOURFOLD_COLUMN */
export function columnOf(opened: Opened, name: string, role: string): Column {
  const same = opened.columns.filter((column) => column.name.toLowerCase() === name.toLowerCase());
  const exact = same.filter((column) => column.name === name);
  if (exact.length === 1 && same.length === 1) return exact[0] as Column;
  if (same.length > 1)
    throw new FourfoldError("ERR_FOURFOLD_COLUMN", `${role}: ${opened.subject} has ${same.length} columns called ${show(name)}`, {
      given: name,
      at: { column: name },
      fix: "Name the columns apart in the SQL: select a.x as left_x, …",
    });
  const names = opened.columns.map((column) => column.name);
  const meant = nearest(name, names);
  throw new FourfoldError(
    "ERR_FOURFOLD_COLUMN",
    `${role}: ${opened.subject} has no column ${show(name)}; it has ${names.slice(0, 40).join(", ")}`,
    {
      given: name,
      expected: names,
      at: { column: name },
      ...(meant === undefined ? {} : { fix: `Did you mean ${show(meant)}?` }),
    },
  );
}

/** True for a column of numbers. */
export const isNumeric = ({ type }: Column): boolean =>
  EXACT_INTEGERS.includes(type) || WIDE_INTEGERS.includes(type) || ["FLOAT", "DOUBLE", "DECIMAL"].includes(type);

/**
 * A column as numbers: small integers and FLOAT as they are, the rest as DOUBLE with NaN for null. `narrow` reads wide integers
 * as INTEGER, which they nearly always are: lists of 4 bytes instead of 8 save a quarter of the reading.
 */
export function numberColumn(opened: Opened, name: string, role: string, narrow: boolean): NumberColumn {
  const column = columnOf(opened, name, role);
  if (!isNumeric(column)) {
    const numeric = opened.columns.filter(isNumeric).map((other) => other.name);
    throw new FourfoldError("ERR_FOURFOLD_COLUMN", `${role}: column ${show(name)} is ${column.type}, expected numbers`, {
      given: column.type,
      expected: "a numeric column",
      at: { column: name },
      fix: numeric.length === 0 ? "The source has no numeric column" : `Numeric columns: ${numeric.join(", ")}`,
    });
  }
  const reference = `source.${identifier(name)}`;
  const wide = WIDE_INTEGERS.includes(column.type);
  const raw = wide && narrow ? "i32" : Object.hasOwn(RAW_TYPES, column.type) ? RAW_TYPES[column.type] : undefined;
  if (raw !== undefined)
    return { name, sql: raw === "i32" ? `${reference}::INTEGER` : reference, type: raw, inexact: undefined, narrowed: wide };
  const sqlType = column.type === "FLOAT" ? "FLOAT" : "DOUBLE";
  const limit = exactLimit(column);
  // Through text a wide decimal becomes the nearest float64; DuckDB's own cast divides and rounds twice.
  const cast = column.type === "DECIMAL" && (column.width ?? 38) > 15 ? `${reference}::VARCHAR::DOUBLE` : `${reference}::${sqlType}`;
  return {
    name,
    sql: `coalesce(${cast}, 'NaN'::${sqlType})`,
    type: sqlType === "FLOAT" ? "f32" : "f64",
    inexact: limit === undefined ? undefined : `(${reference} > ${limit} or ${reference} < -${limit})`,
    narrowed: false,
  };
}

/** The magnitude beyond which a column may hold integers that float64 does not; undefined if it cannot reach there. */
function exactLimit({ type, width = 38, scale = 0 }: Column): string | undefined {
  return WIDE_INTEGERS.includes(type) || (type === "DECIMAL" && width - scale > 15) ? EXACT_MAX : undefined;
}

/** A key column as SQL that groups and orders as the contract says: -0 is 0, NaN is null, texts by code point. */
export function keySql(opened: Opened, name: string, role: string): string {
  const column = columnOf(opened, name, role);
  const reference = `source.${identifier(name)}`;
  if (column.type === "BOOLEAN") return reference;
  if (EXACT_INTEGERS.includes(column.type) || column.type === "BIGINT") return `${reference}::BIGINT`;
  if (WIDE_INTEGERS.includes(column.type)) return `${reference}::HUGEINT`;
  if (column.type === "FLOAT" || column.type === "DOUBLE" || (column.type === "DECIMAL" && (column.width ?? 38) <= 15))
    return `case when isnan(${reference}::DOUBLE) then null else ${reference}::DOUBLE + 0.0 end`;
  if (TEXT_KEYS.includes(column.type)) return opened.collated ? `(${reference}::VARCHAR collate C)` : `${reference}::VARCHAR`;
  throw new FourfoldError("ERR_FOURFOLD_COLUMN", `${role}: column ${show(name)} is ${column.type}, which is no key`, {
    given: column.type,
    expected: "numbers, texts, booleans or dates",
    at: { column: name },
    fix: `Cast it in the SQL: ${name}::VARCHAR`,
  });
}

/** A column as float64, NaN for null. */
export const asDouble = (column: NumberColumn): string => `coalesce((${column.sql})::DOUBLE, 'NaN'::DOUBLE)`;

/** A key as DuckDB gave it. */
export function keyCell(cell: unknown): Key {
  if (typeof cell === "bigint") return Number.isSafeInteger(Number(cell)) ? Number(cell) : cell;
  return cell as Key;
}

/** A node's key as messages show it. */
export function showKey(names: readonly string[], key: readonly Key[]): string {
  if (names.length === 0) return "the only node";
  return names.map((name, i) => `${name} ${typeof key[i] === "bigint" ? `${key[i]}` : JSON.stringify(key[i])}`).join(", ");
}

/** A key as text that differs where keys do. */
export const keyText = (key: readonly Key[]): string =>
  key.map((cell) => (typeof cell === "bigint" ? `${cell}n` : JSON.stringify(cell))).join(",");
