/** Tables in memory as keyed records: what `engine.run(chain, { values, keys })` takes, of tables that other libraries made. */
import { badOption, checkNames, FourfoldError, show } from "../errors.ts";
import type { KeyColumn } from "../reduce/key.ts";
import type { TypedData } from "../types.ts";
import { type Int64Policy, int64Policy } from "./items.ts";
import { arrowTable, isArrowTable } from "./memory-arrow.ts";
import { duckdbTable, isDuckDBResult } from "./memory-duckdb.ts";
import { isPolarsFrame, plainTable, polarsTable } from "./memory-plain.ts";
import { cellColumn, type MemoryTable } from "./memory-table.ts";
import { keysOf, numbersOf } from "./memory-values.ts";

/** Which columns of a table become records. */
export interface RecordsOptions {
  /** The column of the values. */
  readonly value: string;
  /** The columns of the keys, outermost first. */
  readonly keys: readonly string[];
  /** The column of the records' weights. */
  readonly weight?: string;
  /** What becomes of 64-bit integers in values and weights: `"exact"` (the default), an error beyond ±2^53; `"number"`; `"reject"`. */
  readonly int64?: Int64Policy;
}

/** Keyed records, as `engine.run` takes them. */
export interface Records {
  /** [rows]: the table's own memory where that was possible. */
  readonly values: TypedData;
  /** One column of [rows] for each key, outermost first. */
  readonly keys: Readonly<Record<string, KeyColumn>>;
  /** [rows]: for `weightedSum({ perNode: weights })` at level f. Only where `weight` was given. */
  readonly weights?: Float32Array | Float64Array;
  /** Bytes that were copied out of the table: 0 where all columns are used as they lie. */
  readonly copiedBytes: number;
}

/**
 * Takes columns of a table in memory as keyed records: a Table of apache-arrow or of flechette, a result or reader of @duckdb/node-api (what
 * has not come yet is fetched), a DataFrame of nodejs-polars, or an object of columns (typed arrays, arrays). None of the libraries is loaded.
 *
 * A column in one chunk, of a dtype Fourfold reduces and without nulls, is used as it is: do not change it while a run lasts. Anything else is
 * copied once; `copiedBytes` says how much. Null values are NaN, null keys stay null (`nullKeys` of the run says what becomes of them).
 * As keys, 64-bit integers are numbers where float64 holds them; dates and times are the texts that DuckDB makes of them ("2024-05-06",
 * "2024-05-06 07:08:09.12"), in UTC, so that specs over files give the same keys.
 *
 * @throws FourfoldError ERR_FOURFOLD_COLUMN (no such column, or not of numbers or keys), ERR_FOURFOLD_INTEGER with row, ERR_FOURFOLD_ARGUMENT
 * @example
 * const table = tableFromIPC(bytes); // apache-arrow
 * const { values, keys } = await records(table, { value: "delay", keys: ["state", "origin"] });
 * await engine.run(chain({ origin: mean(), state: mean(), nation: mean() }), { values, keys });
 */
export async function records(table: object, options: RecordsOptions): Promise<Records> {
  checkNames("records", options, ["value", "keys", "weight", "int64"]);
  const { value, keys: names, weight } = options;
  const int64 = int64Policy(options.int64);
  if (!Array.isArray(names)) throw badOption("keys", names, "a list of column names, outermost first");
  const memory = await openTable(table);
  const values = await numbersOf(cellColumn(memory, value, "value"), "value", int64);
  let { copiedBytes } = values;
  const keys: Record<string, KeyColumn> = {};
  for (const name of names) {
    const column = await keysOf(cellColumn(memory, name, "keys"), "keys");
    // Defined, because a column may be called __proto__.
    Object.defineProperty(keys, name, { value: column.data, enumerable: true });
    copiedBytes += column.copiedBytes;
  }
  if (weight === undefined) return { values: values.data, keys, copiedBytes };
  const given = await numbersOf(cellColumn(memory, weight, "weight"), "weight", int64);
  const isFloat = given.data instanceof Float64Array || given.data instanceof Float32Array;
  const weights = isFloat ? (given.data as Float32Array | Float64Array) : Float64Array.from(given.data);
  return { values: values.data, keys, weights, copiedBytes: copiedBytes + (isFloat ? given.copiedBytes : weights.byteLength) };
}

async function openTable(table: object): Promise<MemoryTable> {
  if (isArrowTable(table)) return arrowTable(table);
  if (isDuckDBResult(table)) return duckdbTable(table);
  if (isPolarsFrame(table)) return polarsTable(table);
  const prototype = typeof table === "object" && table !== null && !Array.isArray(table) ? Object.getPrototypeOf(table) : undefined;
  if (prototype === Object.prototype || prototype === null) return plainTable(table as Record<string, unknown>);
  throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `the table is ${show(table)}`, {
    given: table,
    expected: "a table of apache-arrow, flechette, @duckdb/node-api or nodejs-polars, or an object of columns",
    fix: "Give an object of columns: { state: […], delay: […] }",
  });
}
