/** Weights from a table of their own, by the codes of their keys and in their order, so that they can be met one after the other: see weight-table.ts. */
import { FourfoldError } from "../errors.ts";
import type { KeyedWeights } from "../reduce/climb.ts";
import type { Key } from "../reduce/key.ts";
import type { KeyWords } from "../reduce/key-words.ts";
import type { Chunk } from "./duckdb.ts";
import type { Allowed } from "./folders.ts";
import { type CodedColumn, isReal, joinSql, kindOf, wordsSql } from "./key-codes.ts";
import type { Surveyed } from "./large-survey.ts";
import { asDouble, columnOf, keyCell, keyText, placed, tableOf } from "./source.ts";
import type { SourceColumn } from "./source-column.ts";
import { ROW } from "./source-columns.ts";
import type { SpecLevel } from "./spec.ts";
import { identifier, quoted } from "./sql.ts";
import { openWeightTable, type TableWeights } from "./weight-table.ts";

/** Integers up to here are the same keys as DOUBLE. */
const SAFE_MAX = Number.MAX_SAFE_INTEGER;

/** A table of weights in order of key. */
export interface LargeWeights extends KeyedWeights {
  /** The error for a child without a weight. */
  without(key: readonly Key[]): Promise<FourfoldError>;
}

/**
 * Reads the weights that level `i` takes from a table.
 * @throws FourfoldError as readWeightTable does; ERR_FOURFOLD_MEMORY for more than `rowsMax` rows
 */
export async function largeWeights(
  { db, spec, watch }: Surveyed,
  i: number,
  weights: TableWeights,
  coded: readonly CodedColumn[],
  layout: KeyWords,
  allowed: Allowed,
  rowsMax: number,
): Promise<LargeWeights> {
  const child = spec.levels[i - 1] as SpecLevel;
  const { opened, keys, value, faults } = await openWeightTable(db, spec, i, weights, allowed, watch);
  const names = keys.map((_, k) => `k${k}`);
  const absent = value.absent ?? "false";
  const described = [...keys.map((sql, k) => `${sql} as k${k}`), `${value.inexact ?? "false"} as x`, `${absent} as m`].join(", ");
  const numbered = `(select source.${identifier(ROW)} as place, ${described} from query(${quoted(opened.numbered)}) as source)`;
  const rows = `(select ${described}, ${asDouble(value)} as w from ${tableOf(opened)})`;
  const look = { signal: watch.signal, subject: opened.subject };
  const any = async (sql: string): Promise<boolean> => {
    for await (const chunk of db.chunks(`${sql} limit 1`, look)) if (chunk.rows > 0) return true;
    return false;
  };
  /** The first row of a query by its place, as its key and one more cell. */
  const first = async (cell: string, from: string): Promise<{ readonly key: Key[]; readonly cell: unknown } | undefined> => {
    const sql = `select ${[...names, cell].join(", ")} from ${from} order by place limit 1`;
    for await (const chunk of db.chunks(sql, look))
      if (chunk.rows > 0) return { key: names.map((_, k) => keyCell(chunk.cells(k)[0])), cell: chunk.cells(names.length)[0] };
    return undefined;
  };
  try {
    const grouped = names.length === 0 ? "" : ` group by ${names.join(", ")}`;
    if ((await any(`select 1 from ${rows} where x`)) || (await any(`select 1 from ${rows}${grouped} having count(*) > 1`))) {
      const partition = names.length === 0 ? "" : `partition by ${names.join(", ")} `;
      const counted = `(select *, row_number() over (${partition}order by place) as nth from ${numbered})`;
      const bad = await first("nth > 1", `${counted} where nth > 1 or x`);
      if (bad !== undefined) throw bad.cell === true ? faults.twoRows(bad.key) : faults.inexact(bad.key);
    }
    const columns = names.map((_, k) => coded[k] as CodedColumn);
    const matches = columns.map((column, k) => matchSql(column, columnOf(opened, child.by[k] as string, "a key"), `k${k}`));
    const kept = [...matches.flatMap(({ test }) => test ?? []), ...(weights.missing === undefined ? ["not m"] : [])];
    const weight = weights.missing === undefined ? "w" : `case when m then '${weights.missing}'::DOUBLE else w end as w`;
    const matching = `(select ${[...matches.map(({ key }, k) => `${key} as k${k}`), weight].join(", ")} from ${rows}${kept.length === 0 ? "" : ` where ${kept.join(" and ")}`}) as s`;
    const joins = columns.map((column, k) => joinSql(column, `s.k${k}`, k)).join("");
    const words = wordsSql(columns, layout, "s");
    const named = words.map((_, w) => `w${w}`);
    const order = words.length === 0 ? "" : ` where not (${named.map((w) => `isnan(${w})`).join(" or ")}) order by ${named.join(", ")}`;
    const sql = `select * from (select ${[...words.map((word, w) => `${word} as w${w}`), "s.w"].join(", ")} from ${matching}${joins})${order}`;
    const read = await readColumns(db.chunksAhead(sql, look), words.length + 1, rowsMax);
    const without = async (key: readonly Key[]): Promise<FourfoldError> => {
      for await (const chunk of db.chunks(`select ${[...names, "m"].join(", ")} from ${rows} where m`, look)) {
        const cells = names.map((_, k) => chunk.cells(k));
        for (let row = 0; row < chunk.rows; row++)
          if (keyText(cells.map((column) => keyCell(column[row]))) === keyText(key)) return faults.nullWeight(key);
      }
      return faults.noRow(key, (await first("m", `${numbered} where not m`))?.key);
    };
    return { words: words.map((_, w) => read[w]!), weights: read[words.length]!, missing: weights.missing, without };
  } catch (error) {
    throw placed(error, spec.document, opened.pointer);
  }
}

/** A key of a table as SQL, for a comparison with the keys of a column, and which rows can be equal to one: "2" is not 2, and 1.5 is no integer. */
function matchSql(column: CodedColumn, own: SourceColumn, key: string): { readonly key: string; readonly test: string | undefined } {
  if (kindOf(own) !== column.kind) return { key: "null", test: `${key} is null` };
  const tests: string[] = [];
  if (column.kind === "number" && isReal(own) !== column.real) tests.push(`${key} between -${SAFE_MAX} and ${SAFE_MAX}`);
  if (column.kind === "number" && isReal(own) && column.dictionary === undefined) tests.push(`${key} = floor(${key})`);
  return { key, test: tests.length === 0 ? undefined : `(${key} is null or (${tests.join(" and ")}))` };
}

/** Some columns of numbers, read whole. */
async function readColumns(chunks: AsyncIterable<Chunk>, count: number, rowsMax: number): Promise<Float64Array[]> {
  const pieces: Float64Array[][] = Array.from({ length: count }, () => []);
  let rows = 0;
  for await (const chunk of chunks) {
    rows += chunk.rows;
    if (rows > rowsMax)
      throw new FourfoldError("ERR_FOURFOLD_MEMORY", `a table of weights has more than ${rowsMax} rows`, {
        expected: rowsMax,
        fix: "Raise memoryBytesMax, or join the weights in the SQL and take them from a column",
      });
    for (let c = 0; c < count; c++) pieces[c]!.push(Float64Array.from(chunk.items(c)));
  }
  return pieces.map((column) => {
    const whole = new Float64Array(rows);
    let at = 0;
    for (const piece of column) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  });
}
