/**
 * The columns of a large table, and a first look at it: how many records there are, what is an error, and which keys. See large-table.ts.
 */
import { type FourfoldError, show } from "../errors.ts";
import type { NullKeys } from "../reduce/group.ts";
import type { NanPolicy } from "../types.ts";
import { type CodedColumn, codeColumn, type KeyColumn, kindOf } from "./key-codes.ts";
import { inexactInteger, missingValue, nullKey, type Told, unsteady } from "./large-errors.ts";
import { asDouble, columnOf, keyCell, keySql, type NumberColumn, numberColumn, type Opened, placed } from "./source.ts";
import type { SpecContent, SpecLevel } from "./spec.ts";

/** A source, and what a spec says of its gaps. */
export interface Surveyed extends Told {
  readonly nan: NanPolicy;
  readonly nullKeys: NullKeys;
}

/** The columns of the records, beside their keys. */
export interface Columns {
  readonly keys: readonly KeyColumn[];
  readonly value: NumberColumn;
  readonly weight: NumberColumn | undefined;
  /** Weights of outer levels, with the level each is of. */
  readonly constants: readonly { readonly level: number; readonly column: NumberColumn }[];
}

/** The columns that a spec names in its source. @throws FourfoldError with the place in the spec */
export function readColumns({ levels, value: name, document }: SpecContent, source: Opened): Columns {
  const at = <T>(pointer: string, work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw placed(error, document, pointer);
    }
  };
  const keys = levels[0]!.by.map((name): KeyColumn => {
    const sql = at("/levels/0/by", () => keySql(source, name, "a key"));
    return { name, sql, kind: kindOf(columnOf(source, name, "a key")) };
  });
  const value = at("/value", () => numberColumn(source, name, "the value", false));
  const weightOf = ({ weights, name }: SpecLevel, i: number): NumberColumn | undefined =>
    typeof weights === "object" && "column" in weights
      ? at(`/levels/${i}/weights/column`, () => numberColumn(source, weights.column, `the weights of level ${show(name)}`, false))
      : undefined;
  const [weight, ...outer] = levels.map(weightOf);
  const constants = outer.flatMap((column, i) => (column === undefined ? [] : [{ level: i + 1, column }]));
  return { keys, value, weight, constants };
}

/** The rows that count, with keys k0, k1, … and what else is selected. */
export function rowsSql({ from, nullKeys }: Surveyed, { keys }: Columns, select: readonly string[]): string {
  const inner = [...keys.map(({ sql }, k) => `${sql} as k${k}`), ...select, "1 as one"];
  const kept = nullKeys === "skip" && keys.length > 0 ? ` where ${keys.map((_, k) => `k${k} is not null`).join(" and ")}` : "";
  return `(select * from (select ${inner.join(", ")} from ${from})${kept}) as s`;
}

/** Counts the records, looks for what is an error, and gives the keys their codes. */
export async function survey(
  told: Surveyed,
  columns: Columns,
): Promise<{ readonly records: number; readonly coded: readonly CodedColumn[] }> {
  const { keys, value, weight, constants } = columns;
  const { db, nullKeys, nan, watch } = told;
  const inexact = [value.inexact, weight?.inexact].filter((test) => test !== undefined);
  const missing = nan === "error" ? [value, ...(weight === undefined ? [] : [weight])].map((one) => `isnan(${asDouble(one)})`) : [];
  // In the order in which a node's troubles are told.
  const tests: readonly string[] = [
    nullKeys === "error" && keys.length > 0 ? keys.map(({ sql }) => `(${sql}) is null`).join(" or ") : "false",
    inexact.length > 0 ? inexact.join(" or ") : "false",
    missing.length > 0 ? missing.join(" or ") : "false",
    ...constants.map(({ column }) => column.inexact ?? "false"),
  ];
  const trouble = `case ${tests.map((test, t) => `when ${test} then ${t}`).join(" ")} end as t`;
  const rows = rowsSql(told, columns, [trouble]);
  const found = ["count(*)", "count(t)"];
  for (const [k, { kind }] of keys.entries()) {
    const number = kind === "boolean" ? `k${k}::INTEGER` : `k${k}`;
    found.push(`count(*) - count(k${k})`);
    if (kind === "text") found.push("null", "null", "false");
    else found.push(`min(${number})`, `max(${number})`, `coalesce(bool_and(${number} = floor(${number}::DOUBLE)), false)`);
  }
  let cells: unknown[] = [];
  for await (const chunk of db.chunks(`select ${found.join(", ")} from ${rows}`, watch))
    cells = found.map((_, column) => chunk.cells(column)[0]);
  if (Number(cells[1]) > 0) throw await troubleOf(told, columns, rows);
  const coded: CodedColumn[] = [];
  for (const [k, column] of keys.entries()) {
    const [nulls, least, greatest, whole] = cells.slice(2 + 4 * k);
    const range = { nulls: Number(nulls) > 0, least, greatest, whole: whole === true };
    coded.push(await codeColumn(db, column, k, range, told.from, watch));
  }
  return { records: Number(cells[0]), coded };
}

/** What is wrong with the first node in order of key that has something wrong. */
async function troubleOf(told: Surveyed, { keys, value, weight, constants }: Columns, rows: string): Promise<FourfoldError> {
  const names = keys.map((_, k) => `k${k}`);
  const order = [...names.map((name) => `${name} nulls first`), "t"].join(", ");
  for await (const chunk of told.db.chunks(
    `select ${[...names, "t"].join(", ")} from ${rows} where t is not null order by ${order} limit 1`,
    told.watch,
  )) {
    const key = names.map((_, k) => keyCell(chunk.cells(k)[0]));
    const t = Number(chunk.cells(names.length)[0]);
    if (t === 0)
      return nullKey(
        told,
        key,
        keys.map(({ sql }) => sql),
      );
    if (t === 1) return inexactInteger(told, [value, weight], key);
    if (t === 2) return missingValue(told, value, weight, key);
    return inexactInteger(told, [constants[t - 3]!.column], key);
  }
  return unsteady(told.watch.subject ?? "the source");
}
