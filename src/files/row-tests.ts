/** Rows of a table that tests are true of: a table without them, and what they hold. SQL only; it knows nothing of what the tests are for. */
import type { RejectedRow } from "../reduce/grouped.ts";
import type { Database, Watch } from "./duckdb.ts";
import { identifier } from "./sql.ts";

/** `table` without the rows that one of the tests is true of. */
export function withoutRows(table: string, tests: readonly RowTest[]): string {
  return `(select * from ${table} as source where not ${anyOf(tests)})`;
}

/** A test of a row, and the column that it is about. */
export interface RowTest {
  readonly column: string;
  readonly test: string;
}

const anyOf = (tests: readonly RowTest[]): string => `(${tests.map(({ test }) => `coalesce(${test}, false)`).join(" or ")})`;

/** The numbers, columns and cells of the rows that {@link withoutRows} leaves out. */
export async function* rowsWhere(
  db: Database,
  table: string,
  tests: readonly RowTest[],
  make: (row: number, column: string, text: string) => RejectedRow,
  watch: Watch,
): AsyncGenerator<RejectedRow[], void, void> {
  const first = (what: (test: RowTest, i: number) => string): string =>
    `case ${tests.map((one, i) => `when coalesce(${one.test}, false) then ${what(one, i)}`).join(" ")} end`;
  const text = first(({ column }) => `source.${identifier(column)}::VARCHAR`);
  const query = `select n, which, text from (select row_number() over () - 1 as n, ${first((_, i) => String(i))} as which, ${text} as text from ${table} as source) where which is not null`;
  for await (const chunk of db.chunks(query, watch)) {
    const [numbers, which, texts] = [chunk.cells(0), chunk.cells(1), chunk.cells(2)];
    yield Array.from({ length: chunk.rows }, (_, i) => make(Number(numbers[i]), tests[Number(which[i])]!.column, String(texts[i])));
  }
}
