/**
 * What an opened source is, and how a column of it is read as numbers, keys or texts: pieces of SQL, which table.ts, weight-table.ts and
 * replay.ts put together. It opens nothing; the only query it runs finds the row that an error is about.
 */
import { FourfoldError, nearest, show } from "../errors.ts";
import type { Key } from "../reduce/key.ts";
import type { Dtype } from "../types.ts";
import type { Column, Database, Watch } from "./duckdb.ts";
import type { Int64Policy } from "./items.ts";
import type { JsonDocument } from "./json.ts";
import type { SourceColumn } from "./source-column.ts";
import type { SpecWeights } from "./spec-weights.ts";
import { identifier, quoted } from "./sql.ts";

/** Beyond it float64 does not hold every integer. */
const EXACT_MAX = "9007199254740992";

/** The name that {@link Opened.numbered} gives the number of a record. */
export const ROW = "number of the record";

/** A source as SQL with absolute paths, and its columns. */
export interface Opened {
  /** Holds the columns of the source, and those that its hierarchies and expressions add. */
  readonly sql: string;
  /** The same, and each record's number in the file or SQL, from 0, as the column {@link ROW}. */
  readonly numbered: string;
  readonly columns: readonly SourceColumn[];
  /** What messages call it. */
  readonly subject: string;
  /** Its place in the spec. */
  readonly pointer: string;
  /** The SQL names a collation, which would group other texts together than the contract does. */
  readonly collated: boolean;
  readonly int64: Int64Policy;
}

/** A column as numbers: an SQL expression, its type, and a test that is true where float64 is not exact. */
export interface NumberColumn {
  readonly name: string;
  readonly sql: string;
  readonly type: Dtype;
  readonly inexact: string | undefined;
  /** Another type read as INTEGER, which fails where it does not fit. */
  readonly narrowed: boolean;
  /** A test that is true where it is null and that is not said to be anything. */
  readonly absent: string | undefined;
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

/** `query` takes the text as data, so that a comment or semicolon at its end cannot reach the SQL around it. */
export function tableOf(opened: Opened): string {
  return `query(${quoted(opened.sql)}) as source`;
}

/** The column of that name, spelled so. @throws FourfoldError ERR_FOURFOLD_COLUMN */
export function columnOf(opened: Opened, name: string, role: string): SourceColumn {
  const same = opened.columns.filter((column) => column.name.toLowerCase() === name.toLowerCase());
  const exact = same.filter((column) => column.name === name);
  if (exact.length === 1 && same.length === 1) return whole(exact[0] as SourceColumn, role);
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

/** @throws FourfoldError ERR_FOURFOLD_COLUMN where a file has no such column */
function whole(column: SourceColumn, role: string): SourceColumn {
  const { name, lackedBy } = column;
  if (lackedBy === undefined) return column;
  throw new FourfoldError("ERR_FOURFOLD_COLUMN", `${role}: ${lackedBy} has no column ${show(name)}, which other files have`, {
    given: name,
    at: { file: lackedBy, column: name },
    fix: "Leave the file out, or read the files apart by SQL",
  });
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
  const absent = `${reference} is null`;
  const wide = WIDE_INTEGERS.includes(column.type);
  if (wide && opened.int64 === "reject")
    throw new FourfoldError("ERR_FOURFOLD_COLUMN", `${role}: column ${show(name)} is ${column.type}, and "int64" is "reject"`, {
      given: column.type,
      expected: "a type that float64 holds",
      at: { column: name },
      fix: `Cast it in the SQL: ${name}::DOUBLE; or say "int64": "exact" or "number"`,
    });
  if (column.integers && narrow) {
    const sql = `case when ${reference} = ${reference}::INTEGER and signbit(${reference}) = (${reference} < 0) then ${reference}::INTEGER when ${reference} is not null then error('no integer') end`;
    return { name, sql, type: "i32", inexact: undefined, narrowed: true, absent };
  }
  const raw = wide && narrow ? "i32" : Object.hasOwn(RAW_TYPES, column.type) ? RAW_TYPES[column.type] : undefined;
  if (raw !== undefined)
    return { name, sql: raw === "i32" ? `${reference}::INTEGER` : reference, type: raw, inexact: undefined, narrowed: wide, absent };
  const sqlType = column.type === "FLOAT" ? "FLOAT" : "DOUBLE";
  return {
    name,
    sql: `coalesce(${asFloat(column, reference, sqlType)}, 'NaN'::${sqlType})`,
    type: sqlType === "FLOAT" ? "f32" : "f64",
    inexact: opened.int64 === "number" ? undefined : inexactTest(column, reference),
    narrowed: false,
    absent,
  };
}

/** The weights that a column holds, with what stands for null. @throws FourfoldError ERR_FOURFOLD_COLUMN */
export function weightColumn(opened: Opened, { column, missing }: WeightColumn, role: string, narrow: boolean): NumberColumn {
  const number = numberColumn(opened, column, role, narrow && typeof missing !== "number");
  if (missing === "error") return number;
  if (missing === undefined) return { ...number, absent: undefined };
  // As text a number is read to the nearest float64, which it is; as a literal it may be a DECIMAL.
  const filled = `case when ${number.absent} then '${missing}'::DOUBLE else (${number.sql})::DOUBLE end`;
  return { ...number, sql: filled, type: "f64", absent: undefined };
}

/** Weights that a column holds. */
export type WeightColumn = Extract<SpecWeights, { readonly column: string }>;

/** A column as the nearest float. Through text where DuckDB's own cast rounds twice: wide decimals are divided, huge integers added up. */
function asFloat({ type, width = 38 }: Column, reference: string, sqlType: "FLOAT" | "DOUBLE"): string {
  const twice = type === "HUGEINT" || type === "UHUGEINT" || (type === "DECIMAL" && width > 15);
  return twice ? `${reference}::VARCHAR::DOUBLE` : `${reference}::${sqlType}`;
}

/** A test that is true where a column holds an integer that float64 does not; undefined if it cannot. */
function inexactTest({ type, width = 38, scale = 0, integers }: SourceColumn, reference: string): string | undefined {
  // What is 2^53 as DOUBLE may have been 2^53 + 1 in the text.
  if (integers) return `(${reference} >= ${EXACT_MAX} or ${reference} <= -${EXACT_MAX})`;
  if (!WIDE_INTEGERS.includes(type) && !(type === "DECIMAL" && width - scale > 15)) return undefined;
  return `(${reference} > ${EXACT_MAX} or ${reference} < -${EXACT_MAX})`;
}

/** A key column as SQL that groups and orders as the contract says: -0 is 0, NaN is null, texts by code point. */
export function keySql(opened: Opened, name: string, role: string): string {
  const column = columnOf(opened, name, role);
  const reference = `source.${identifier(name)}`;
  if (column.integers)
    return `case when abs(${reference}) < ${EXACT_MAX} then ${reference} + 0.0 when ${reference} is not null then error(${quoted(largeKey(name))}) end`;
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

const largeKey = (name: string): string =>
  `key column ${show(name)} begins with small integers and has one beyond 2^53, or none: say its type, as "csv": { "columns": … }, or with SQL`;

/** A column as text, for paths. @throws FourfoldError ERR_FOURFOLD_COLUMN */
export function textSql(opened: Opened, name: string, role: string): string {
  const column = columnOf(opened, name, role);
  const reference = `source.${identifier(name)}`;
  if (column.integers) return `${reference}::BIGINT::VARCHAR`;
  if (TEXT_KEYS.includes(column.type) || EXACT_INTEGERS.includes(column.type) || WIDE_INTEGERS.includes(column.type))
    return opened.collated ? `(${reference}::VARCHAR collate C)` : `${reference}::VARCHAR`;
  throw new FourfoldError("ERR_FOURFOLD_COLUMN", `${role}: column ${show(name)} is ${column.type}, expected texts`, {
    given: column.type,
    expected: "texts",
    at: { column: name },
    fix: `Cast it in the SQL: ${name}::VARCHAR`,
  });
}

/** The first record, from 0 in the order of the source, where `test` holds, and `cells` of it; a second reading that only errors pay for. */
export async function rowWhere(
  db: Database,
  opened: Pick<Opened, "numbered">,
  test: string,
  watch: Watch,
  cells: readonly string[] = [],
): Promise<{ readonly row: number; readonly cells: readonly unknown[] } | undefined> {
  const found = [`source.${identifier(ROW)} as "row"`, ...cells.map((cell, i) => `${cell} as "cell${i}"`)];
  const sql = `select ${found.join(", ")} from query(${quoted(opened.numbered)}) as source where ${test} order by "row" limit 1`;
  for await (const chunk of db.chunks(sql, watch)) {
    if (chunk.rows > 0) return { row: Number(chunk.cells(0)[0]), cells: cells.map((_, i) => chunk.cells(i + 1)[0]) };
  }
  return undefined;
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
  key.map((cell) => (typeof cell === "bigint" ? `${cell}n` : typeof cell === "number" ? String(cell) : JSON.stringify(cell))).join(",");
