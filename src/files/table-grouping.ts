/** How a source is grouped: the one statement that makes the table `grouped`. Its aggregates describe nodes; none of them adds or averages anything. */
import { FourfoldError } from "../errors.ts";
import type { NanPolicy } from "../types.ts";
import type { Database, Watch } from "./duckdb.ts";
import { asDouble, type NumberColumn, type Opened, placed, tableOf } from "./source.ts";
import type { SpecContent } from "./spec.ts";
import { recordColumns } from "./table-columns.ts";

/** A weight column above the innermost level: for each innermost node its least and greatest value, and how many are not null. */
export interface ConstantWeight {
  readonly column: NumberColumn;
  readonly level: number;
  readonly low: number;
  readonly high: number;
  readonly present: number;
  readonly inexact: number | undefined;
  readonly absent: number | undefined;
}

/** How the source is grouped. */
export interface Grouping {
  /** Makes the table `grouped`. */
  readonly sql: string;
  /** The same rows in the same order, without their lists, and without a table. */
  readonly described: string;
  /** The columns of `grouped` beside the lists: keys first; the numbers below index them. */
  readonly columns: number;
  readonly count: number;
  readonly nulls: number;
  readonly nans: number | undefined;
  readonly inexact: number | undefined;
  /** Records without a weight. */
  readonly absent: number | undefined;
  readonly value: NumberColumn;
  /** The weight of each record. */
  readonly weight: NumberColumn | undefined;
  readonly constants: readonly ConstantWeight[];
}

/** Groups the source into the table `grouped`: one row for each innermost node, in key order. @throws FourfoldError with the place in the spec */
export async function groupSource(db: Database, spec: SpecContent, source: Opened, nan: NanPolicy, watch: Watch): Promise<Grouping> {
  for (const narrow of [true, false]) {
    const plan = planOf(spec, source, nan, narrow);
    const narrowed = plan.value.narrowed || plan.constants.some(({ column }) => column.narrowed);
    if (narrow && !narrowed) continue;
    try {
      await db.execute(plan.sql, watch);
      return plan;
    } catch (error) {
      // A value beyond 2^31 ends the narrow attempt, as a rule in its first rows; the wide one says what is wrong, if anything is.
      if (narrow && error instanceof FourfoldError && error.code === "ERR_FOURFOLD_FORMAT") continue;
      throw placed(error, spec.document, source.pointer);
    }
  }
  throw new Error("unreachable: the wide attempt returns or throws");
}

/** How the nodes of a source are described, without the lists of their values. @throws FourfoldError with the place in the spec */
export function describeNodes(spec: SpecContent, source: Opened, nan: NanPolicy): Grouping {
  return planOf(spec, source, nan, false);
}

function planOf(spec: SpecContent, source: Opened, nan: NanPolicy, narrow: boolean): Grouping {
  const { keys, value, weight, constants: outerWeights } = recordColumns(spec, source, nan, narrow);
  const names = keys.map((_, k) => `k${k}`);
  const inner = [...keys.map(({ sql }, k) => `${sql} as k${k}`), `${value.sql} as v`];
  const outer = [...names];
  const add = (sql: string): number => outer.push(sql) - 1;
  const countIf = (test: string): string => `count(*) filter (where ${test})`;
  if (weight !== undefined) inner.push(`${asDouble(weight)} as w`);
  const count = add("count(*)");
  const nulls = add("count(*) - count(v)");
  const nans = nan === "error" ? add(countIf(`v is null or isnan(v::DOUBLE)${weight === undefined ? "" : " or isnan(w)"}`)) : undefined;
  const tests = [value.inexact, weight?.inexact].filter((test) => test !== undefined);
  if (tests.length > 0) inner.push(`(${tests.join(" or ")}) as x`);
  const inexact = tests.length > 0 ? add(countIf("x")) : undefined;
  if (weight?.absent !== undefined) inner.push(`${weight.absent} as m`);
  const absent = weight?.absent === undefined ? undefined : add(countIf("m"));
  const constants: ConstantWeight[] = [];
  for (const { level, column } of outerWeights) {
    inner.push(`${column.sql} as c${level}`);
    if (column.inexact !== undefined) inner.push(`${column.inexact} as x${level}`);
    if (column.absent !== undefined) inner.push(`${column.absent} as m${level}`);
    constants.push({
      column,
      level,
      low: add(leastSql(`c${level}`, column)),
      high: add(`max(c${level})::DOUBLE`),
      present: add(`count(c${level})`),
      inexact: column.inexact === undefined ? undefined : add(countIf(`x${level}`)),
      absent: column.absent === undefined ? undefined : add(countIf(`m${level}`)),
    });
  }
  const kept = spec.nullKeys === "skip" && keys.length > 0 ? ` where ${names.map((name) => `${name} is not null`).join(" and ")}` : "";
  const by = keys.length === 0 ? "" : ` group by ${names.join(", ")} order by ${names.map((name) => `${name} nulls first`).join(", ")}`;
  const rows = ` from (select ${inner.join(", ")} from ${tableOf(source)})${kept}${by}`;
  const described = `select ${outer.map((sql, i) => `${sql} as a${i}`).join(", ")}`;
  const lists = weight === undefined ? "list(v) as l" : "list(v) as l, list(w) as lw";
  const sql = `create or replace temp table grouped as ${described}, ${lists}${rows}`;
  return { sql, described: described + rows, columns: outer.length, count, nulls, nans, inexact, absent, value, weight, constants };
}

/** The least of some weights as float64. Of zeros it is the negative one, if there is one: which of them DuckDB meets first is chance. */
function leastSql(column: string, { type }: NumberColumn): string {
  if (type !== "f64" && type !== "f32") return `min(${column})::DOUBLE`;
  return `case when min(${column}) = 0 and bool_or(signbit(${column})) then '-0.0'::DOUBLE else min(${column})::DOUBLE end`;
}
