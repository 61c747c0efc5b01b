/** The columns that a column of paths holds, such as eu/de/berlin/s17: pieces of SQL, and the check that every path is one. */
import { FourfoldError, show } from "../errors.ts";
import type { Database, Watch } from "./duckdb.ts";
import { type Opened, rowWhere, tableOf, textSql } from "./source-columns.ts";
import type { SpecPath } from "./spec-source.ts";
import { quoted } from "./sql.ts";

/** The columns of a path, outermost first, as SQL. A path is null as a whole or not at all. */
export function pathColumns(opened: Opened, { column, separator, names, short }: SpecPath): string[] {
  const path = textSql(opened, column, '"path"');
  const mark = quoted(separator);
  return names.map((_, i) => {
    const part = `nullif(split_part(${path}, ${mark}, ${i + 1}), '')`;
    return short === "repeat" ? `coalesce(${part}, split_part(${path}, ${mark}, -1))` : part;
  });
}

/** Reads the paths once. @throws FourfoldError ERR_FOURFOLD_KEYS for the first record whose path is longer than the names, too short, or has an empty part */
export async function checkPaths(db: Database, opened: Opened, { column, separator, names, short }: SpecPath, watch: Watch): Promise<void> {
  const path = textSql(opened, column, '"path"');
  const parts = `string_split(${path}, ${quoted(separator)})`;
  const length = short === "error" ? `len(${parts}) <> ${names.length}` : `len(${parts}) > ${names.length}`;
  const test = `(${length} or list_contains(${parts}, ''))`;
  let found = false;
  for await (const chunk of db.chunks(`select 1 from ${tableOf(opened)} where ${test} limit 1`, watch)) found ||= chunk.rows > 0;
  if (!found) return;
  const first = await rowWhere(db, opened, test, watch, [path]);
  const text = String(first?.cells[0]);
  const given = text.split(separator);
  const row = first === undefined ? "" : ` in row ${first.row}`;
  const expected = `${names.length} parts (${names.join(separator)})`;
  const [what, fix] = given.includes("")
    ? ["has an empty part", "Fill the part in; a path neither begins nor ends with the separator"]
    : given.length > names.length
      ? [`has ${given.length} parts, expected ${expected}`, 'Name all parts in "names"']
      : [`has ${given.length} parts, expected ${expected}`, 'Say "short": "repeat" or "null"'];
  throw new FourfoldError("ERR_FOURFOLD_KEYS", `the path ${show(text)}${row} of column ${show(column)} ${what}`, {
    given: text,
    expected,
    at: { column, ...(first === undefined ? {} : { row: first.row }) },
    fix,
  });
}
