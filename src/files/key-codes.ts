/**
 * Key columns as codes: small integers in ascending order of key (contract clause 10a). Whole numbers are their own codes, counted from the least; other
 * keys get theirs from a dictionary, a table of the distinct keys that DuckDB makes and joins. Null, where it is a key, has code 0.
 */
import type { Key } from "../reduce/key.ts";
import type { CodePlace, KeyWords } from "../reduce/key-words.ts";
import type { Column, Database, Watch } from "./duckdb.ts";
import { keyCell } from "./source.ts";

/** What a column's keys are; keys of two kinds are never equal. */
export type KeyKind = "boolean" | "number" | "text";

/** A key column, before its codes are known. */
export interface KeyColumn {
  readonly name: string;
  /** The key as SQL that groups and orders as the contract says. */
  readonly sql: string;
  readonly kind: KeyKind;
  /** Numbers that DuckDB holds as DOUBLE, and no integers. */
  readonly real: boolean;
}

/** A key column with codes. */
export interface CodedColumn extends KeyColumn {
  /** How many codes there are. */
  readonly radix: number;
  /** True if null has code 0. */
  readonly nulls: boolean;
  /** The key of code 0, or of code 1 where null has code 0; undefined where a dictionary tells. */
  readonly least: number | undefined;
  /** The dictionary's table: k and its code c. */
  readonly dictionary: string | undefined;
}

/** What was found about a key column: how many keys are there, and of numbers the least and greatest and whether all are whole. */
export interface KeyRange {
  readonly nulls: boolean;
  readonly least: unknown;
  readonly greatest: unknown;
  readonly whole: boolean;
}

const BOOLEAN = "BOOLEAN";
const NUMBERS = /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|FLOAT|DOUBLE|DECIMAL)$/;

/** What the keys of a column are. */
export function kindOf({ type }: Column): KeyKind {
  if (type === BOOLEAN) return "boolean";
  return NUMBERS.test(type) ? "number" : "text";
}

/** True for a column whose keys are DOUBLE: integers beyond 2^53 are other keys than those. */
export const isReal = ({ type }: Column): boolean => /^(FLOAT|DOUBLE|DECIMAL)$/.test(type);

/** The number of a cell if float64 holds it and its neighbours, or undefined. */
function safe(cell: unknown): number | undefined {
  const number = typeof cell === "boolean" ? Number(cell) : typeof cell === "bigint" || typeof cell === "number" ? Number(cell) : undefined;
  return Number.isSafeInteger(number) ? number : undefined;
}

/** Gives a column its codes; makes a dictionary where it needs one, of the rows of `from`. */
export async function codeColumn(
  db: Database,
  column: KeyColumn,
  place: number,
  range: KeyRange,
  from: string,
  watch: Watch,
): Promise<CodedColumn> {
  const { nulls, whole } = range;
  const shift = nulls ? 1 : 0;
  const least = safe(range.least);
  const greatest = safe(range.greatest);
  if (column.kind !== "text" && range.least === null) return { ...column, nulls, radix: shift, least: 0, dictionary: undefined };
  if (
    column.kind !== "text" &&
    whole &&
    least !== undefined &&
    greatest !== undefined &&
    Number.isSafeInteger(greatest - least + 1 + shift)
  )
    return { ...column, nulls, radix: greatest - least + 1 + shift, least, dictionary: undefined };
  const dictionary = `keys${place}`;
  const distinct = `select distinct ${column.sql} as k from ${from}`;
  const kept = nulls ? "" : " where k is not null";
  await db.execute(
    `create temp table ${dictionary} as select k, row_number() over (order by k nulls first) - 1 as c from (${distinct})${kept}`,
    watch,
  );
  return { ...column, nulls, radix: await countOf(db, dictionary, watch), least: undefined, dictionary };
}

async function countOf(db: Database, table: string, watch: Watch): Promise<number> {
  for await (const chunk of db.chunks(`select count(*) from ${table}`, watch)) return Number(chunk.cells(0)[0]);
  return 0;
}

/** A column's code as SQL, of its key as `key`; null for a key that has none. */
function codeSql({ least, nulls, radix, dictionary, kind }: CodedColumn, key: string, place: number): string {
  if (dictionary !== undefined) return `d${place}.c`;
  const shift = nulls ? 1 : 0;
  const number = kind === "boolean" ? `${key}::INTEGER` : key;
  const most = (least as number) + radix - 1 - shift;
  const start = BigInt(least as number) - BigInt(shift);
  const code = `when ${number} between ${least} and ${most} then ${number}::BIGINT - (${start})`;
  return `case ${nulls ? `when ${key} is null then 0 ` : ""}${code} end`;
}

/**
 * The words of paths as SQL, for some columns, outermost first, that `table` has as k0, k1, …; NaN for a path that has none. Digits of columns that are not
 * among them are 0.
 */
export function wordsSql(columns: readonly CodedColumn[], layout: KeyWords, table: string): string[] {
  return layout.spans.map((_, w) => {
    const digits = columns.flatMap((column, k) => {
      const { word, stride } = layout.columns[k] as CodePlace;
      return word === w ? [`(${codeSql(column, `${table}.k${k}`, k)}) * ${stride}`] : [];
    });
    return digits.length === 0 ? "0::DOUBLE" : `coalesce((${digits.join(" + ")})::DOUBLE, 'NaN'::DOUBLE)`;
  });
}

/** The join that gives a column its code from its dictionary; nothing where it has none. */
export function joinSql({ dictionary, nulls }: CodedColumn, key: string, place: number): string {
  if (dictionary === undefined) return "";
  return ` left join ${dictionary} d${place} on d${place}.k ${nulls ? "is not distinct from" : "="} ${key}`;
}

/** The keys of a column by their codes, for those that are whole numbers. */
export function keyOfCode({ kind, least, nulls }: CodedColumn, code: number): Key {
  if (nulls && code === 0) return null;
  const number = (least as number) + code - (nulls ? 1 : 0);
  return kind === "boolean" ? number === 1 : number;
}

/** Reads a dictionary: its keys by code. */
export async function readDictionary(db: Database, { dictionary, radix }: CodedColumn, watch: Watch): Promise<Key[]> {
  const keys: Key[] = new Array<Key>(radix).fill(null);
  for await (const chunk of db.chunksAhead(`select k, c::DOUBLE from ${dictionary}`, watch)) {
    const cells = chunk.cells(0);
    const codes = chunk.items(1);
    for (let row = 0; row < chunk.rows; row++) keys[codes[row] as number] = keyCell(cells[row]);
  }
  return keys;
}

/** One key of a dictionary. */
export async function lookUp(db: Database, { dictionary }: CodedColumn, code: number, watch: Watch): Promise<Key> {
  for await (const chunk of db.chunks(`select k from ${dictionary} where c = ${code}`, watch)) return keyCell(chunk.cells(0)[0]);
  return null;
}
