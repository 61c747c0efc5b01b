/** Weights from a table of their own, by the codes of their keys and in their order, so that they can be met one after the other: see weight-table.ts. */
import { FourfoldError, show } from "../errors.ts";
import type { KeyedWeights } from "../reduce/climb.ts";
import type { Key } from "../reduce/key.ts";
import type { KeyWords } from "../reduce/key-words.ts";
import type { Chunk } from "./duckdb.ts";
import type { Allowed } from "./folders.ts";
import { type CodedColumn, joinSql, kindOf, wordsSql } from "./key-codes.ts";
import type { Told } from "./large-errors.ts";
import { asDouble, columnOf, keyCell, keySql, numberColumn, openSource, placed, showKey, tableOf } from "./source.ts";
import type { SpecLevel, SpecSource } from "./spec.ts";

/** A table of weights in order of key. */
export interface LargeWeights extends KeyedWeights {
  /** The error for a child without a row. */
  missingRow(key: readonly Key[]): FourfoldError;
}

/**
 * Reads the weights that level `i` takes from a table.
 * @throws FourfoldError as readWeightTable does; ERR_FOURFOLD_MEMORY for more than `rowsMax` rows
 */
export async function largeWeights(
  told: Told,
  i: number,
  weights: { readonly table: SpecSource; readonly value: string; readonly missing?: number },
  coded: readonly CodedColumn[],
  layout: KeyWords,
  allowed: Allowed,
  rowsMax: number,
): Promise<LargeWeights> {
  const { db, document, levels, watch } = told;
  const level = levels[i] as SpecLevel;
  const child = levels[i - 1] as SpecLevel;
  const pointer = `/levels/${i}/weights`;
  const opened = await openSource(db, weights.table, `${pointer}/table`, document, allowed, watch.signal);
  const role = `the weights of level ${show(level.name)}`;
  const at = <T>(part: string, work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw placed(error, document, `${pointer}/${part}`);
    }
  };
  const keys = child.by.map((name) => at("table", () => keySql(opened, name, role)));
  const kinds = child.by.map((name) => kindOf(columnOf(opened, name, role)));
  const value = at("value", () => numberColumn(opened, weights.value, role, false));
  const names = keys.map((_, k) => `k${k}`);
  const inner = [...keys.map((sql, k) => `${sql} as k${k}`), `${asDouble(value)} as w`, `${value.inexact ?? "false"} as x`];
  const rows = `(select ${inner.join(", ")} from ${tableOf(opened)}) as s`;
  const fail = (what: string, key: readonly Key[], fix: string): FourfoldError =>
    placed(
      new FourfoldError(
        "ERR_FOURFOLD_WEIGHTS",
        `level ${show(level.name)}: the weights table ${what} ${child.name} (${showKey(child.by, key)})`,
        {
          given: key,
          at: { level: level.name },
          fix,
        },
      ),
      document,
      pointer,
    ) as FourfoldError;
  const look = { signal: watch.signal, subject: opened.subject };
  const first = async (rest: string): Promise<Key[] | undefined> => {
    const sql = `select ${[...names, "1"].join(", ")} from ${rows} ${rest} limit 1`;
    for await (const chunk of db.chunks(sql, look)) return names.map((_, k) => keyCell(chunk.cells(k)[0]));
    return undefined;
  };
  try {
    const inexact = value.inexact === undefined ? undefined : await first("where x");
    if (inexact !== undefined)
      throw new FourfoldError("ERR_FOURFOLD_INTEGER", `${role}: the weight of ${showKey(child.by, inexact)} is an integer beyond 2^53`, {
        at: { column: weights.value },
        fix: "Cast it: value::DOUBLE",
      });
    const by = names.length === 0 ? "having count(*) > 1" : `group by ${names.join(", ")} having count(*) > 1 order by ${names.join(", ")}`;
    const twice = await first(by);
    if (twice !== undefined) throw fail("has two rows for", twice, "Keep one row for each key");
    const example = await first("");
    // Keys of another kind are never equal: "2" is not 2.
    const comparable = kinds.every((kind, k) => kind === (coded[k] as CodedColumn).kind);
    const columns = names.map((_, k) => coded[k] as CodedColumn);
    const joins = columns.map((column, k) => joinSql(column, `s.k${k}`, k)).join("");
    const words = wordsSql(columns, layout, "s");
    const named = words.map((_, w) => `w${w}`);
    const order = words.length === 0 ? "" : ` where not (${named.map((w) => `isnan(${w})`).join(" or ")}) order by ${named.join(", ")}`;
    const sql = `select * from (select ${[...words.map((word, w) => `${word} as w${w}`), "s.w"].join(", ")} from ${rows}${joins})${order}`;
    const read = comparable ? await readColumns(db.chunksAhead(sql, look), words.length + 1, rowsMax) : [];
    const missingRow = (key: readonly Key[]): FourfoldError =>
      fail(
        "has no row for",
        key,
        example === undefined
          ? "The table is empty"
          : `Add the row, or "missing": 0 or 1; the table's keys look like (${showKey(child.by, example)})`,
      );
    return {
      words: words.map((_, w) => read[w] ?? new Float64Array(0)),
      weights: read[words.length] ?? new Float64Array(0),
      missing: weights.missing,
      missingRow,
    };
  } catch (error) {
    throw placed(error, document, opened.pointer);
  }
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
