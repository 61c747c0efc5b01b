/** Why a column that should hold numbers was read as text: the first row that is none. A second reading that only the error pays for. */
import { FourfoldError, show } from "../errors.ts";
import type { Database, Watch } from "./duckdb.ts";
import { type Opened, tableOf } from "./source.ts";
import { identifier } from "./sql.ts";

/** `error` with the row that made its column one of texts, if it is the error of such a column; else as it is. */
export async function nameTextRow(db: Database, source: Opened, error: unknown, watch: Watch): Promise<unknown> {
  if (!(error instanceof FourfoldError) || error.code !== "ERR_FOURFOLD_COLUMN" || error.given !== "VARCHAR") return error;
  const { fix, given, expected, at, cause } = error;
  const column = at?.column;
  if (typeof column !== "string") return error;
  const text = `source.${identifier(column)}`;
  // A column without any number is not one that a row has spoilt.
  const sql = `select row, t from (select row_number() over () - 1 as row, left(${text}, 100) as t, try_cast(${text} as DOUBLE) as d from ${tableOf(source)}) where t is not null and d is null and (select count(try_cast(${text} as DOUBLE)) from ${tableOf(source)}) > 0 order by row limit 1`;
  try {
    for await (const chunk of db.chunks(sql, watch)) {
      const row = Number(chunk.cells(0)[0]);
      const message = fix === undefined ? error.message : error.message.slice(0, -(fix.length + 2));
      return new FourfoldError(error.code, `${message}; row ${row} holds ${show(chunk.cells(1)[0])}`, {
        given,
        expected,
        cause,
        ...(fix === undefined ? {} : { fix }),
        at: { ...at, row },
      });
    }
  } catch {
    // The column is wrong whatever else is: its error stands.
  }
  return error;
}
