/** What is wrong with a large table, in the words that table.ts uses: it names the first node in order of key that has the trouble. */
import { FourfoldError, show } from "../errors.ts";
import type { WeightTrouble } from "../reduce/climb.ts";
import type { Key } from "../reduce/key.ts";
import type { Database, Watch } from "./duckdb.ts";
import type { JsonDocument } from "./json.ts";
import { asDouble, type NumberColumn, placed, showKey } from "./source.ts";
import type { SpecLevel } from "./spec.ts";

/** What errors are told from. */
export interface Told {
  readonly db: Database;
  readonly document: JsonDocument;
  readonly levels: readonly SpecLevel[];
  /** The rows of the source. */
  readonly from: string;
  readonly watch: Watch;
}

/** The first row of the source, from 0, where `test` holds; a second reading that only errors pay for. */
async function rowWhere({ db, from, watch }: Told, test: string): Promise<{ row?: number }> {
  const sql = `select row from (select row_number() over () - 1 as row, ${test} as hit from ${from}) where hit order by row limit 1`;
  for await (const chunk of db.chunks(sql, watch)) return { row: Number(chunk.cells(0)[0]) };
  return {};
}

const inRow = ({ row }: { row?: number }): string => (row === undefined ? "" : ` in row ${row}`);

const namesOf = ({ levels }: Told): readonly string[] => (levels[0] as SpecLevel).by;

/** A key that is null where `nullKeys` says `"error"`. */
export async function nullKey(told: Told, key: readonly Key[], keys: readonly string[]): Promise<FourfoldError> {
  const k = key.indexOf(null);
  const name = namesOf(told)[k] as string;
  const at = await rowWhere(told, `(${keys[k]}) is null`);
  return new FourfoldError("ERR_FOURFOLD_KEYS", `key column ${show(name)} is null or NaN${inRow(at)}`, {
    expected: "a key",
    at: { column: name, ...at },
    fix: 'Fill it in, or say "nullKeys": "skip" or "group"',
  });
}

/** An integer that float64 does not hold. */
export async function inexactInteger(
  told: Told,
  columns: readonly (NumberColumn | undefined)[],
  key: readonly Key[],
): Promise<FourfoldError> {
  const inexact = columns.filter((one) => one?.inexact !== undefined) as NumberColumn[];
  const { name } = inexact[0] as NumberColumn;
  const at = await rowWhere(told, inexact.map((one) => one.inexact).join(" or "));
  return new FourfoldError(
    "ERR_FOURFOLD_INTEGER",
    `column ${show(name)} holds an integer beyond 2^53${inRow(at)} (${showKey(namesOf(told), key)})`,
    {
      expected: "integers from -2^53 to 2^53",
      at: { column: name, ...at },
      fix: `To accept rounding, cast it in the SQL: ${name}::DOUBLE`,
    },
  );
}

/** A NaN or null under `nan: "error"`. */
export async function missingValue(
  told: Told,
  value: NumberColumn,
  weight: NumberColumn | undefined,
  key: readonly Key[],
): Promise<FourfoldError> {
  const level = (told.levels[0] as SpecLevel).name;
  const tests = [value, ...(weight === undefined ? [] : [weight])].map((column) => `isnan(${asDouble(column)})`);
  const at = await rowWhere(told, tests.join(" or "));
  return new FourfoldError(
    "ERR_FOURFOLD_NAN",
    `level ${show(level)}: a NaN or null${inRow(at)} of column ${show(value.name)} (${showKey(namesOf(told), key)})`,
    {
      at: { level, column: value.name, ...at },
      fix: 'Fill it in, or use nan: "skip" or "propagate"',
    },
  );
}

/** Weights of a level that do not fit its children. `key` is the child's; the node's own where a list has another length. */
export function weightError(
  { document, levels }: Told,
  { kind, level: i, index, given }: WeightTrouble,
  key: readonly Key[],
): FourfoldError {
  const { name, by, weights } = levels[i] as SpecLevel;
  const child = levels[i - 1] as SpecLevel;
  const at = (error: FourfoldError): FourfoldError => placed(error, document, `/levels/${i}/weights`) as FourfoldError;
  if (kind === "length")
    return at(
      new FourfoldError(
        "ERR_FOURFOLD_WEIGHTS",
        `level ${show(name)}: ${given[0]} weights are listed, but ${showKey(by, key)} has ${given[1]} children`,
        {
          given: given[0],
          expected: given[1],
          at: { level: name, node: index },
          fix: "A list is shared by all nodes of its level; for weights of their own use a table",
        },
      ),
    );
  if (kind === "nan")
    return new FourfoldError(
      "ERR_FOURFOLD_NAN",
      `level ${show(name)}: the weight of ${child.name} (${showKey(child.by, key)}) is NaN or null`,
      {
        at: { level: name, node: index },
        fix: 'Fill the weight in, or use nan: "propagate"',
      },
    );
  const column = (weights as { readonly column: string }).column;
  return at(
    new FourfoldError(
      "ERR_FOURFOLD_WEIGHTS",
      `level ${show(name)}: column ${show(column)} is not constant within ${child.name} (${showKey(child.by, key)}): it has ${given[0]} and ${given[1]}`,
      {
        given,
        expected: "one value for each child",
        at: { level: name, column },
        fix: `Make it constant in the SQL, e.g. max(${column}) over (partition by ${child.by.join(", ") || "true"})`,
      },
    ),
  );
}

/** A source that gives other rows each time it is read. */
export function unsteady(subject: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_SOURCE", `${subject} gave other rows when it was read again`, {
    fix: "Write its rows to a file first: a large table is read more than once",
  });
}
