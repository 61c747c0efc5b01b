/**
 * The records of a spec in order of their event time, in chunks of columns. DuckDB sorts, within its own limit on memory; here there is one chunk
 * at a time, and each key once. Records of one time are ordered by their keys, value and weights, so that a reading can go on at any record.
 */
import { FourfoldError, show } from "../errors.ts";
import type { Key } from "../reduce/key.ts";
import { type Chunk, type Database, type DatabaseLimits, openDatabase, type Watch } from "./duckdb.ts";
import type { Allowed } from "./folders.ts";
import {
  asDouble,
  columnOf,
  isNumeric,
  keyCell,
  keySql,
  type NumberColumn,
  numberColumn,
  type Opened,
  openSource,
  placed,
  tableOf,
  weightColumn,
} from "./source.ts";
import type { SpecBody, SpecContent } from "./spec.ts";
import { specError } from "./spec-checks.ts";
import type { SpecTimeUnit } from "./spec-stream.ts";

/** Up to 2,048 records, in columns: entry i of each belongs to record i. */
export interface ReplayChunk {
  readonly rows: number;
  /** Event times in milliseconds since 1970; NaN where there is none. */
  readonly times: Float64Array;
  /** NaN for null. */
  readonly values: Float64Array;
  /** One for each key column of the innermost level. All chunks share the dictionaries. */
  readonly keys: readonly { readonly codes: Int32Array; readonly dictionary: readonly Key[] }[];
  /** Weights of the innermost level, where a column holds them. */
  readonly weights: Float64Array | undefined;
  /** By level: weights of outer levels that a column holds. */
  readonly childWeights: Readonly<Record<string, Float64Array>>;
}

/** How records are replayed. */
export interface ReplayOptions {
  /** The record to begin with, counted from 0. */
  readonly from?: number;
  readonly signal?: AbortSignal;
}

const DATES = ["DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP_TZ"];
const MS_PER: Readonly<Record<SpecTimeUnit, string>> = { s: "* 1000.0", ms: "", us: "/ 1000.0", ns: "/ 1000000.0" };

/** Columns of the query before the numbers: the time and two tests. */
const BEFORE = 3;

/** Reads the source of `spec` by its event time. @throws FourfoldError with the place in the spec, and what reading a source throws */
export async function* replayTable(
  spec: SpecContent,
  allowed: Allowed,
  limits: DatabaseLimits,
  { from = 0, signal }: ReplayOptions,
): AsyncGenerator<ReplayChunk, void, void> {
  const db = await openDatabase(allowed, limits);
  try {
    const source = await openSource(db, spec.source, "/source", spec.document, allowed, signal);
    const watch: Watch = { signal, subject: source.subject };
    const columns = columnsOf(spec, source);
    const dictionaries: (readonly Key[])[] = [];
    for (const [k, sql] of columns.keys.entries()) dictionaries.push(await dictionaryOf(db, k, sql, source, watch));
    try {
      let row = from;
      for await (const chunk of db.chunks(queryOf(columns, source, from), watch)) {
        yield read(chunk, columns, dictionaries, row);
        row += chunk.rows;
      }
    } catch (error) {
      throw placed(error, spec.document, source.pointer);
    }
  } finally {
    db.close();
  }
}

/** SQL for what is read of each record. */
interface Columns {
  readonly time: string;
  readonly keys: readonly string[];
  /** The value, then the weights: of the innermost level, and of outer ones. */
  readonly numbers: readonly NumberColumn[];
  readonly weighted: boolean;
  readonly levels: readonly string[];
}

function columnsOf(spec: SpecContent, source: Opened): Columns {
  const { document, levels, stream } = spec;
  const at = <T>(pointer: string, work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw placed(error, document, pointer);
    }
  };
  const numbers = [at("/value", () => numberColumn(source, spec.value, "the value", false))];
  const weighed: string[] = [];
  for (const [i, { name, weights }] of levels.entries()) {
    if (typeof weights !== "object" || !("column" in weights)) continue;
    const part = weights.expression === undefined ? "column" : "expression";
    const column = at(`/levels/${i}/weights/${part}`, () => weightColumn(source, weights, `the weights of level ${show(name)}`, false));
    // A record that is skipped needs no weight of its own.
    const skipped = i === 0 && spec.nan === "skip" && column.absent !== undefined;
    numbers.push(skipped ? { ...column, absent: `(${column.absent} and not isnan(${asDouble(numbers[0]!)}))` } : column);
    if (i > 0) weighed.push(name);
  }
  return {
    time: at("/stream/time", () => timeSql(source, timeOf(spec), stream.timeUnit ?? "ms")),
    keys: levels[0]!.by.map((name) => at("/levels/0/by", () => keySql(source, name, "a key"))),
    numbers,
    weighted: numbers.length > weighed.length + 1,
    levels: weighed,
  };
}

/** The column of event times. @throws FourfoldError ERR_FOURFOLD_SPEC if the spec names none */
export function timeOf({ document, stream: { time } }: SpecBody): string {
  if (time !== undefined) return time;
  throw specError(document, "", "a replay needs the column of event times", {
    expected: "stream.time",
    fix: 'Add "stream": { "time": "…" } with the name of the column',
  });
}

/** A column as milliseconds since 1970, null where it holds no time. */
function timeSql(source: Opened, name: string, unit: SpecTimeUnit): string {
  const column = columnOf(source, name, "the event time");
  // The policy on integers is for values and weights.
  if (isNumeric(column))
    return `nullif(${asDouble(numberColumn({ ...source, int64: "exact" }, name, "the event time", false))} ${MS_PER[unit]}, 'NaN'::DOUBLE)`;
  const reference = `source."${name.replaceAll('"', '""')}"`;
  if (DATES.includes(column.type)) return `epoch_us(${reference}::TIMESTAMPTZ)::DOUBLE / 1000.0`;
  if (column.type === "VARCHAR") return `epoch_us(try_cast(${reference} as TIMESTAMPTZ))::DOUBLE / 1000.0`;
  throw new FourfoldError("ERR_FOURFOLD_COLUMN", `the event time: column ${show(name)} is ${column.type}, which is no time`, {
    given: column.type,
    expected: "timestamps, dates, text in ISO 8601, or numbers",
    at: { column: name },
    fix: `Cast it in the SQL: ${name}::TIMESTAMP`,
  });
}

/** The keys of a column, once each: as the table `keys…` with their codes, and as a list. */
async function dictionaryOf(db: Database, k: number, sql: string, source: Opened, watch: Watch): Promise<readonly Key[]> {
  await db.execute(
    `create temp table keys${k} as select (row_number() over (order by key nulls first) - 1)::INTEGER as code, key from (select distinct ${sql} as key from ${tableOf(source)})`,
    watch,
  );
  const dictionary: Key[] = [];
  for await (const chunk of db.chunks(`select key from keys${k} order by code`, watch))
    for (const cell of chunk.cells(0)) dictionary.push(keyCell(cell));
  // A column with one integer beyond 2^53 is a column of bigints: its keys have one type.
  return dictionary.some((key) => typeof key === "bigint")
    ? dictionary.map((key) => (typeof key === "number" ? BigInt(key) : key))
    : dictionary;
}

function queryOf({ time, keys, numbers }: Columns, source: Opened, from: number): string {
  const inexact = numbers.flatMap((column) => (column.inexact === undefined ? [] : [column.inexact]));
  // The first number is the value, which may be missing.
  const absent = numbers.slice(1).flatMap((column) => (column.absent === undefined ? [] : [column.absent]));
  const records = [
    `${time} as t`,
    ...keys.map((sql, k) => `${sql} as k${k}`),
    ...numbers.map((column, n) => `${asDouble(column)} as n${n}`),
    `${inexact.length === 0 ? "false" : inexact.join(" or ")} as inexact`,
    `${absent.length === 0 ? "false" : absent.join(" or ")} as absent`,
  ];
  const joins = keys.map((_, k) => ` join keys${k} on records.k${k} is not distinct from keys${k}.key`);
  const codes = keys.map((_, k) => `keys${k}.code`);
  const values = numbers.map((_, n) => `n${n}`);
  const order = ["t nulls first", ...codes, ...values];
  return `select coalesce(t, 'NaN'::DOUBLE), coalesce(inexact, false), absent, ${[...values, ...codes].join(", ")} from (select ${records.join(", ")} from ${tableOf(source)}) records${joins.join("")} order by ${order.join(", ")} offset ${from}`;
}

function read(
  chunk: Chunk,
  { numbers, keys, weighted, levels }: Columns,
  dictionaries: readonly (readonly Key[])[],
  row: number,
): ReplayChunk {
  const { rows } = chunk;
  if (numbers.some(({ inexact }) => inexact !== undefined)) {
    const at = chunk.cells(1).indexOf(true);
    if (at >= 0) throw inexactInteger(numbers, row + at);
  }
  if (numbers.length > 1) {
    const at = chunk.cells(2).indexOf(true);
    if (at >= 0) throw missingWeight(row + at);
  }
  // Copies: DuckDB's own memory goes with the chunk.
  const number = (n: number): Float64Array => (chunk.items(BEFORE + n) as Float64Array).slice(0, rows);
  const first = weighted ? 2 : 1;
  return {
    rows,
    times: (chunk.items(0) as Float64Array).slice(0, rows),
    values: number(0),
    keys: keys.map((_, k) => ({
      codes: (chunk.items(BEFORE + numbers.length + k) as Int32Array).slice(0, rows),
      dictionary: dictionaries[k]!,
    })),
    weights: weighted ? number(1) : undefined,
    childWeights: Object.fromEntries(levels.map((level, i) => [level, number(first + i)])),
  };
}

function inexactInteger(numbers: readonly NumberColumn[], row: number): FourfoldError {
  const { name } = numbers.find(({ inexact }) => inexact !== undefined)!;
  return new FourfoldError("ERR_FOURFOLD_INTEGER", `column ${show(name)} holds an integer beyond 2^53, in record ${row} by event time`, {
    expected: "integers from -2^53 to 2^53",
    at: { column: name, row },
    fix: `To accept rounding, cast it in the SQL: ${name}::DOUBLE`,
  });
}

function missingWeight(row: number): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_WEIGHTS", `a weight is null, in record ${row} by event time`, {
    expected: "a weight",
    at: { row },
    fix: 'Fill it in, or say "missing": 0 or 1 beside it',
  });
}
