/** Weights that a table of their own holds, one for each key of a level's children. */
import { show } from "../errors.ts";
import type { Key } from "../reduce/key.ts";
import type { Database, Watch } from "./duckdb.ts";
import type { Allowed } from "./folders.ts";
import { asDouble, keyCell, keySql, keyText, type NumberColumn, numberColumn, type Opened, openSource, placed, tableOf } from "./source.ts";
import type { SpecBody, SpecLevel } from "./spec.ts";
import type { SpecWeights } from "./spec-weights.ts";
import { type WeightTableFaults, weightTableFaults } from "./weight-faults.ts";

/** Weights that a table holds. */
export type TableWeights = Extract<SpecWeights, { readonly table: unknown }>;

/** A table of weights, as it was read: each key once. */
export interface WeightTable {
  /** By {@link keyText}. */
  readonly byText: ReadonlyMap<string, { readonly key: readonly Key[]; readonly weight: number }>;
  /** Keys whose weight is null, and for which no other stands. */
  readonly nulls: ReadonlySet<string>;
  readonly faults: WeightTableFaults;
}

/** A table of weights that is open. */
export interface OpenedWeights {
  readonly opened: Opened;
  /** The keys of the level's children as SQL, outermost first. */
  readonly keys: readonly string[];
  readonly value: NumberColumn;
  readonly faults: WeightTableFaults;
}

/** Opens the table that level `i` of a spec takes its weights from. @throws FourfoldError as reading a source does, with the place in the spec */
export async function openWeightTable(
  db: Database,
  spec: SpecBody,
  i: number,
  weights: TableWeights,
  allowed: Allowed,
  { signal }: Watch,
): Promise<OpenedWeights> {
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
  return { opened, keys, value, faults: weightTableFaults(spec, i, weights.value) };
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
  watch: Watch,
): Promise<WeightTable> {
  const { opened, keys, value, faults } = await openWeightTable(db, spec, i, weights, allowed, watch);
  const nulls = new Set<string>();
  const byText = new Map<string, { key: Key[]; weight: number }>();
  const sql = `select ${[...keys, asDouble(value), value.inexact ?? "false", value.absent ?? "false"].join(", ")} from ${tableOf(opened)}`;
  try {
    for await (const chunk of db.chunks(sql, { signal: watch.signal, subject: opened.subject })) {
      const cells = [...keys, "", "", ""].map((_, column) => chunk.cells(column));
      for (let row = 0; row < chunk.rows; row++) {
        const key = keys.map((_, k) => keyCell((cells[k] as unknown[])[row]));
        const text = keyText(key);
        if (byText.has(text) || nulls.has(text)) throw faults.twoRows(key);
        if ((cells[keys.length + 1] as unknown[])[row] === true) throw faults.inexact(key);
        if ((cells[keys.length + 2] as unknown[])[row] !== true)
          byText.set(text, { key, weight: Number((cells[keys.length] as unknown[])[row]) });
        else if (weights.missing === undefined) nulls.add(text);
        else byText.set(text, { key, weight: weights.missing });
      }
    }
  } catch (error) {
    throw placed(error, spec.document, opened.pointer);
  }
  return { byText, nulls, faults };
}
