/** A first look at a large table: how many records there are, whether anything is an error, and which keys. See large-table.ts. */
import { FourfoldError } from "../errors.ts";
import type { NanPolicy } from "../types.ts";
import type { Database, Watch } from "./duckdb.ts";
import { type CodedColumn, codeColumn, isReal, kindOf } from "./key-codes.ts";
import { asDouble, type NumberColumn, type Opened, tableOf } from "./source.ts";
import type { SpecContent } from "./spec.ts";
import type { RecordColumns } from "./table-columns.ts";
import { TableFaults } from "./table-faults.ts";
import { describeNodes } from "./table-grouping.ts";
import { checkNodes } from "./table-nodes.ts";

/** A source that is read in parts. */
export interface Surveyed {
  readonly db: Database;
  readonly spec: SpecContent;
  readonly source: Opened;
  readonly nan: NanPolicy;
  readonly watch: Watch;
}

/** The rows that count, with keys k0, k1, … and what else is selected. */
export function rowsSql({ source, spec: { nullKeys } }: Surveyed, { keys }: RecordColumns, select: readonly string[]): string {
  const inner = [...keys.map(({ sql }, k) => `${sql} as k${k}`), ...select, "1 as one"];
  const kept = nullKeys === "skip" && keys.length > 0 ? ` where ${keys.map((_, k) => `k${k} is not null`).join(" and ")}` : "";
  return `(select * from (select ${inner.join(", ")} from ${tableOf(source)})${kept}) as s`;
}

/** Counts the records, looks for what is an error, and gives the keys their codes. */
export async function survey(
  told: Surveyed,
  columns: RecordColumns,
): Promise<{ readonly records: number; readonly coded: readonly CodedColumn[] }> {
  const { keys, value, weight, constants } = columns;
  const { db, spec, source, nan, watch } = told;
  const numbers = [value, ...(weight === undefined ? [] : [weight])];
  const tests: readonly string[] = [
    ...(spec.nullKeys === "error" ? keys.map(({ sql }) => `(${sql}) is null`) : []),
    ...(nan === "error" ? numbers.map((one) => `isnan(${asDouble(one)})`) : []),
    ...[...numbers, ...constants.map(({ column }) => column)].flatMap((one) => faultTests(one, one === value)),
  ];
  const rows = rowsSql(told, columns, [`${tests.length === 0 ? "false" : `coalesce(${tests.join(" or ")}, false)`} as fault`]);
  const found = ["count(*)", "coalesce(bool_or(fault), false)"];
  for (const [k, { column }] of keys.entries()) {
    const kind = kindOf(column);
    const number = kind === "boolean" ? `k${k}::INTEGER` : `k${k}`;
    found.push(`count(*) - count(k${k})`);
    if (kind === "text") found.push("null", "null", "false");
    else found.push(`min(${number})`, `max(${number})`, `coalesce(bool_and(${number} = floor(${number}::DOUBLE)), false)`);
  }
  let cells: unknown[] = [];
  for await (const chunk of db.chunks(`select ${found.join(", ")} from ${rows}`, watch))
    cells = found.map((_, column) => chunk.cells(column)[0]);
  if (cells[1] === true) throw await faultOf(told);
  const coded: CodedColumn[] = [];
  for (const [k, { column, sql }] of keys.entries()) {
    const [nulls, least, greatest, whole] = cells.slice(2 + 4 * k);
    const range = { nulls: Number(nulls) > 0, least, greatest, whole: whole === true };
    const key = { name: column.name, sql, kind: kindOf(column), real: isReal(column) };
    coded.push(await codeColumn(db, key, k, range, tableOf(source), watch));
  }
  return { records: Number(cells[0]), coded };
}

/** What makes the number of a record an error: the value may be absent, which is what `nan` is for. */
function faultTests({ inexact, absent }: NumberColumn, isValue: boolean): string[] {
  return [inexact, isValue ? undefined : absent].filter((test) => test !== undefined);
}

/** What is wrong with the records of a source in which something is, in the words and the order of table.ts: it looks at the nodes as that does. */
export async function faultOf({ db, spec, source, nan, watch }: Surveyed): Promise<FourfoldError> {
  try {
    await checkNodes(db, spec, describeNodes(spec, source, nan), new TableFaults(db, spec, source, watch), watch);
  } catch (error) {
    if (error instanceof FourfoldError) return error;
    throw error;
  }
  return unsteady(watch.subject ?? "the source");
}

/** A source that gives other rows each time it is read. */
export function unsteady(subject: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_SOURCE", `${subject} gave other rows when it was read again`, {
    fix: "Write its rows to a file first: a large table is read more than once",
  });
}
