/**
 * The ancestors of each record's key by a table of children and parents. The table is made into one of lines (key → its ancestors, outermost
 * first) inside DuckDB, and the source is joined with that. Nothing here grows with the number of records.
 */
import { FourfoldError, show } from "../errors.ts";
import type { Database, Watch } from "./duckdb.ts";
import type { SourceColumn } from "./source-column.ts";
import { columnOf, isNumeric, keyCell, keySql, type Opened, rowWhere, tableOf } from "./source-columns.ts";
import type { SpecParents } from "./spec-source.ts";

/** A cycle is shown so far. */
const CYCLE_SHOWN = 6;

/** What a line holds beside its ancestors: the key, and how many there are, which is one more than the names where there are too many. */
const KEY = "line_key";
const COUNT = "line_count";

/** The lines of a table of parents. */
export interface Lines {
  /** The temporary table: {@link KEY}, c0, c1 …, {@link COUNT}. */
  readonly name: string;
  /** The SQL of a record's key. */
  readonly key: string;
}

/** Makes the lines. @throws FourfoldError ERR_FOURFOLD_KEYS for a child with two parents, a cycle, or a row without a child */
export async function makeLines(
  db: Database,
  opened: Opened,
  table: Opened,
  parents: SpecParents,
  name: string,
  watch: Watch,
): Promise<Lines> {
  const { names, short } = parents;
  const child = keySql(table, parents.child, '"parents", "child"');
  const parent = keySql(table, parents.parent, '"parents", "parent"');
  const key = keySql(opened, parents.key, '"parents", "key"');
  const kinds = [
    columnOf(table, parents.child, '"parents", "child"'),
    columnOf(table, parents.parent, '"parents", "parent"'),
    columnOf(opened, parents.key, '"parents", "key"'),
  ];
  sameKind(kinds);
  await noNullChild(db, table, parents, child, watch);
  const edges = `${name}_edges`;
  await db.execute(`create temp table ${edges} as select distinct ${child} as child, ${parent} as parent from ${tableOf(table)}`, watch);
  await oneParent(db, table, edges, watch);
  await noCycle(db, table, edges, `${name}_hops`, watch);
  const depth = names.length;
  const ancestors = Array.from({ length: depth + 1 }, (_, i) => `e${i}.parent`);
  const joins = ancestors.slice(1).map((_, i) => `left join ${edges} e${i + 1} on e${i + 1}.child = e${i}.parent`);
  // Those above all others need no row of their own.
  const roots = `select distinct parent as child, null as parent from ${edges} where parent is not null and parent not in (select child from ${edges})`;
  const all = `with ${edges}_all as (select * from ${edges} union all ${roots}) `;
  const counted = ancestors.map((one) => `(${one} is not null)::INTEGER`).join(" + ");
  const inner = `select e0.child as child, [${ancestors.join(", ")}] as up, ${counted} as n from ${edges}_all e0 ${joins.join(" ")}`;
  const columns = names.map((_, i) => {
    const missing = short === "repeat" ? "coalesce(up[1], child)" : "null";
    return `case when n > ${i} then up[n - ${i}] else ${missing} end as c${i}`;
  });
  await db.execute(
    `create temp table ${name} as ${all}select child as ${KEY}, ${columns.join(", ")}, n as ${COUNT} from (${inner})`,
    watch,
  );
  return { name, key };
}

/** The join that adds the ancestors, and the columns it adds. */
export function joinOf({ name, key }: Lines, names: readonly string[]): { readonly columns: readonly string[]; readonly join: string } {
  return { columns: names.map((_, i) => `${name}.c${i}`), join: `left join ${name} on ${name}.${KEY} = ${key}` };
}

/** Looks every key up. @throws FourfoldError ERR_FOURFOLD_KEYS for the first record whose key the table has not, or whose line does not fit the names */
export async function checkKeys(
  db: Database,
  opened: Opened,
  subject: string,
  { key: column, names, short }: SpecParents,
  { name, key }: Lines,
  watch: Watch,
): Promise<void> {
  const fits = `${name}.${COUNT} ${short === "error" ? "=" : "<="} ${names.length}`;
  const test = `(${key}) is not null and not exists (select 1 from ${name} where ${name}.${KEY} = (${key}) and ${fits})`;
  let found = false;
  for await (const chunk of db.chunks(`select 1 from ${tableOf(opened)} where ${test} limit 1`, watch)) found ||= chunk.rows > 0;
  if (!found) return;
  const count = `(select any_value(${COUNT}) from ${name} where ${name}.${KEY} = (${key}))`;
  const first = await rowWhere(db, opened, test, watch, [key, count]);
  const cell = keyCell(first?.cells[0]);
  const given = first?.cells[1];
  const shown = `${column} ${show(cell)}${first === undefined ? "" : ` in row ${first.row}`}`;
  const detail = { given: cell, at: { column, ...(first === undefined ? {} : { row: first.row }) } };
  if (given === null || given === undefined)
    throw new FourfoldError("ERR_FOURFOLD_KEYS", `${shown} is not in the parents table ${subject}`, {
      ...detail,
      fix: "Add its row there",
    });
  const deep = Number(given) > names.length;
  throw new FourfoldError(
    "ERR_FOURFOLD_KEYS",
    `${shown} has ${deep ? `more than ${names.length}` : given} ancestors in ${subject}, expected ${names.length} (${names.join(", ")})`,
    { ...detail, fix: deep ? 'Name all of them in "names"' : 'Say "short": "repeat" or "null"' },
  );
}

/** Numbers are compared with numbers, texts with texts. */
function sameKind(columns: readonly SourceColumn[]): void {
  const kind = (column: SourceColumn): string => (isNumeric(column) ? "numbers" : column.type === "BOOLEAN" ? "booleans" : "texts");
  const [child, ...others] = columns as [SourceColumn, ...SourceColumn[]];
  for (const other of others)
    if (kind(other) !== kind(child))
      throw new FourfoldError(
        "ERR_FOURFOLD_COLUMN",
        `"parents": column ${show(child.name)} holds ${kind(child)}, and column ${show(other.name)} ${kind(other)}`,
        { given: other.type, expected: child.type, at: { column: other.name }, fix: `Cast one of them in the SQL: ${other.name}::VARCHAR` },
      );
}

async function noNullChild(db: Database, table: Opened, { child: column }: SpecParents, child: string, watch: Watch): Promise<void> {
  const first = await rowWhere(db, table, `(${child}) is null`, watch);
  if (first === undefined) return;
  throw new FourfoldError("ERR_FOURFOLD_KEYS", `the parents table ${table.subject} has no ${show(column)} in row ${first.row}`, {
    at: { column, row: first.row },
    fix: "Fill it in, or leave the row out",
  });
}

async function oneParent(db: Database, { subject }: Opened, edges: string, watch: Watch): Promise<void> {
  const sql = `select child, list(parent order by parent nulls first)[1], max(parent) from ${edges} group by child having count(*) > 1 order by child limit 1`;
  for await (const chunk of db.chunks(sql, watch)) {
    if (chunk.rows === 0) return;
    const [child, one, other] = [0, 1, 2].map((column) => keyCell(chunk.cells(column)[0]));
    throw new FourfoldError(
      "ERR_FOURFOLD_KEYS",
      `the parents table ${subject} gives ${show(child)} two parents: ${show(one)} and ${show(other)}`,
      {
        given: child,
        fix: "Keep one row for each child",
      },
    );
  }
}

/**
 * Pointer doubling: after r rounds a hop is 2^r edges long, and hops that end above a root are gone. In a forest all of them are, after as many
 * rounds as its height has binary digits; on a cycle and below it they stay for ever.
 */
async function noCycle(db: Database, { subject }: Opened, edges: string, hops: string, watch: Watch): Promise<void> {
  await db.execute(`create temp table ${hops} as select child, parent from ${edges} where parent is not null`, watch);
  const rows = async (): Promise<number> => {
    for await (const chunk of db.chunks(`select count(*) from ${hops}`, watch)) return Number(chunk.cells(0)[0]);
    return 0;
  };
  const most = await rows();
  for (let length = 1; (await rows()) > 0; length *= 2) {
    if (length > most) throw await cycleError(db, subject, edges, hops, watch);
    await db.execute(
      `create or replace temp table ${hops} as select a.child, b.parent from ${hops} a join ${hops} b on b.child = a.parent`,
      watch,
    );
  }
  await db.execute(`drop table ${hops}`, watch);
}

async function cycleError(db: Database, subject: string, edges: string, hops: string, watch: Watch): Promise<FourfoldError> {
  const walk = `with recursive walk(n, node) as (select 0, (select min(parent) from ${hops}) union all select n + 1, parent from walk join ${edges} on child = node where n < ${CYCLE_SHOWN}) select node from walk order by n`;
  const way: unknown[] = [];
  for await (const chunk of db.chunks(walk, watch)) for (const cell of chunk.cells(0)) way.push(keyCell(cell));
  const again = way.findIndex((key, i) => i > 0 && Object.is(key, way[0]));
  const shown = [...(again < 0 ? [...way, "…"] : way.slice(0, again + 1))].map((key) => (key === "…" ? key : show(key)));
  return new FourfoldError("ERR_FOURFOLD_KEYS", `the parents table ${subject} goes round in a circle: ${shown.join(" → ")}`, {
    given: way[0],
    fix: "Leave the parent of the topmost one empty",
  });
}
