/** Why a column that should hold numbers was read as text: the first row that is none. A second reading that only the error pays for. */
import { FourfoldError, show } from "../errors.ts";
import type { Database, Watch } from "./duckdb.ts";
import { type Opened, rowWhere, tableOf } from "./source.ts";
import { identifier } from "./sql.ts";

/** `error` with the row that made its column one of texts, if it is the error of such a column; else as it is. */
export async function nameTextRow(db: Database, source: Opened, error: unknown, watch: Watch): Promise<unknown> {
  if (!(error instanceof FourfoldError) || error.code !== "ERR_FOURFOLD_COLUMN" || error.given !== "VARCHAR") return error;
  const { fix, given, expected, at, cause } = error;
  const column = at?.column;
  if (typeof column !== "string") return error;
  const text = `source.${identifier(column)}`;
  // A column without any number is not one that a row has spoilt.
  const test = `${text} is not null and try_cast(${text} as DOUBLE) is null and (select count(try_cast(${text} as DOUBLE)) from ${tableOf(source)}) > 0`;
  try {
    const found = await rowWhere(db, source, test, watch, [`left(${text}, 100)`]);
    if (found !== undefined) {
      const message = fix === undefined ? error.message : error.message.slice(0, -(fix.length + 2));
      return new FourfoldError(error.code, `${message}; row ${found.row} holds ${show(found.cells[0])}`, {
        given,
        expected,
        cause,
        ...(fix === undefined ? {} : { fix }),
        at: { ...at, row: found.row },
      });
    }
  } catch {
    // The column is wrong whatever else is: its error stands.
  }
  return error;
}
