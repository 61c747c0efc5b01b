/**
 * Columns of text whose first records are integers. DuckDB takes the types of CSV and JSON from their first records; an integer column whose later
 * records hold 1.5 would round them without a word, so integers are read as DOUBLE and judged where they are used.
 */
import type { Column, Database, Watch } from "./duckdb.ts";
import { identifier } from "./sql.ts";

/** Records looked at for integers beyond 2^53, which keep their type: ids and hashes show at once. */
const LARGE_SAMPLE = 2048;
const EXACT_MAX = "9007199254740992";

/** The names of those of `columns` to be read as DOUBLE. `said` are columns whose types the spec says; `table` holds the columns. */
export async function integersOf(
  db: Database,
  columns: readonly Column[],
  said: readonly string[],
  table: string,
  watch: Watch,
): Promise<readonly string[]> {
  const isSaid = (name: string): boolean => said.some((one) => one.toLowerCase() === name.toLowerCase());
  const names = new Set(columns.map(({ name }) => name.toLowerCase()));
  if (names.size < columns.length) return []; // the readers take types by name
  const guessed = columns.filter(({ name, type }) => (type === "BIGINT" || type === "UBIGINT") && !isSaid(name)).map(({ name }) => name);
  if (guessed.length === 0) return [];
  const tests = guessed.map((name) => `coalesce(bool_or(${identifier(name)} not between -${EXACT_MAX} and ${EXACT_MAX}), false)`);
  for await (const chunk of db.chunks(`select ${tests.join(", ")} from (from ${table} limit ${LARGE_SAMPLE})`, watch))
    return guessed.filter((_, i) => chunk.cells(i)[0] !== true);
  return guessed;
}
