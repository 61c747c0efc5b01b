/** Weights that a table of their own holds, one for each key of a level's children. */
import { FourfoldError, show } from "../errors.ts";
import type { Key } from "../reduce/key.ts";
import type { Database, Watch } from "./duckdb.ts";
import type { Allowed } from "./folders.ts";
import { asDouble, keyCell, keySql, keyText, numberColumn, openSource, placed, showKey, tableOf } from "./source.ts";
import type { SpecBody, SpecLevel } from "./spec.ts";
import type { SpecWeights } from "./spec-weights.ts";

/** Weights that a table holds. */
export type TableWeights = Extract<SpecWeights, { readonly table: unknown }>;

/** A table of weights, as it was read: each key once. */
export interface WeightTable {
  /** By {@link keyText}. */
  readonly byText: ReadonlyMap<string, { readonly key: readonly Key[]; readonly weight: number }>;
  /** Keys whose weight is null, and for which no other stands. */
  readonly nulls: ReadonlySet<string>;
  /** The error for a child at `key`, with the place in the spec. */
  fail(what: string, key: readonly Key[], fix: string): FourfoldError;
}

/**
 * Reads the weights that level `i` of a spec takes from a table.
 * @throws FourfoldError ERR_FOURFOLD_WEIGHTS for a key with two rows, ERR_FOURFOLD_INTEGER, and what reading a source throws
 */
export async function readWeightTable(
  db: Database,
  spec: SpecBody,
  i: number,
  weights: TableWeights,
  allowed: Allowed,
  { signal }: Watch,
): Promise<WeightTable> {
  const { document } = spec;
  const level = spec.levels[i] as SpecLevel;
  const child = spec.levels[i - 1] as SpecLevel;
  const pointer = `/levels/${i}/weights`;
  const opened = await openSource(db, weights.table, `${pointer}/table`, document, allowed, signal);
  const role = `the weights of level ${show(level.name)}`;
  const at = <T>(part: string, work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw placed(error, document, `${pointer}/${part}`);
    }
  };
  const keys = child.by.map((name) => at("table", () => keySql(opened, name, role)));
  const value = at("value", () => numberColumn(opened, weights.value, role, false));
  const nulls = new Set<string>();
  const byText = new Map<string, { key: Key[]; weight: number }>();
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
  const sql = `select ${[...keys, asDouble(value), value.inexact ?? "false", value.absent ?? "false"].join(", ")} from ${tableOf(opened)}`;
  try {
    for await (const chunk of db.chunks(sql, { signal, subject: opened.subject })) {
      const cells = [...keys, "", "", ""].map((_, column) => chunk.cells(column));
      for (let row = 0; row < chunk.rows; row++) {
        const key = keys.map((_, k) => keyCell((cells[k] as unknown[])[row]));
        const text = keyText(key);
        if (byText.has(text) || nulls.has(text)) throw fail("has two rows for", key, "Keep one row for each key");
        if ((cells[keys.length + 1] as unknown[])[row] === true)
          throw new FourfoldError("ERR_FOURFOLD_INTEGER", `${role}: the weight of ${showKey(child.by, key)} is an integer beyond 2^53`, {
            at: { column: weights.value },
            fix: 'Cast it: value::DOUBLE, or say "int64": "number"',
          });
        if ((cells[keys.length + 2] as unknown[])[row] !== true)
          byText.set(text, { key, weight: Number((cells[keys.length] as unknown[])[row]) });
        else if (weights.missing === undefined) nulls.add(text);
        else byText.set(text, { key, weight: weights.missing });
      }
    }
  } catch (error) {
    throw placed(error, document, opened.pointer);
  }
  return { byText, nulls, fail };
}
