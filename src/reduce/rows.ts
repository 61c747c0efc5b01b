/** Results of streams as rows, one for each node of the levels that a sink writes: which levels, which columns, which order. Shapes and names only. */
import { FourfoldError, nearest, show } from "../errors.ts";
import { keyNames } from "./cells.ts";
import type { Key } from "./key.ts";
import type { LevelView } from "./result.ts";

/** A level that a stream keeps. */
export interface RowLevel {
  readonly name: string;
  /** The columns of its nodes' keys, outermost first. */
  readonly keys: readonly string[];
  /** Values of one node: 1, or the rows of the weight matrix at this level or inside it. */
  readonly outputs: number;
}

/** What rows are made from: a result of a stream. */
export interface RowSource {
  readonly id: string;
  readonly pane:
    | { readonly start: number; readonly end: number; readonly index: number; readonly timing: string; readonly isLast: boolean }
    | undefined;
  readonly frame: number | undefined;
  readonly values: Float64Array;
  readonly records: number;
  readonly weightsVersion: number;
  readonly watermark: number;
  level(name: string): LevelView;
}

/** The part of a row that differs from node to node. */
export interface ResultRow {
  readonly level: string;
  readonly path: readonly Key[];
  readonly values: ArrayLike<number>;
  readonly records: number;
}

/** Columns before the keys: what a result is. */
const RESULT_COLUMNS = ["id", "start", "end", "timing", "pane", "isLast", "frame", "watermark", "weightsVersion", "level"] as const;

/** Columns of a table of rows. */
export interface RowColumns {
  readonly keys: readonly string[];
  readonly values: readonly string[];
  /** All of them, in order. */
  readonly all: readonly string[];
}

/** The levels that a sink writes. Default: the outermost. @throws FourfoldError ERR_FOURFOLD_ARGUMENT, ERR_FOURFOLD_LEVEL if one is not kept */
export function chosenLevels(sink: string, kept: readonly RowLevel[], levels: "all" | readonly string[] | undefined): readonly RowLevel[] {
  if (levels === "all") return kept;
  if (levels === undefined) return kept.slice(-1);
  const names = kept.map(({ name }) => name);
  for (const name of levels)
    if (!names.includes(name)) {
      const meant = nearest(name, names);
      throw new FourfoldError("ERR_FOURFOLD_LEVEL", `${sink}: the stream keeps no level ${show(name)}, it keeps ${names.join(", ")}`, {
        given: name,
        expected: names,
        fix: meant === undefined ? 'Keep it: keep: "all", or the names of the levels' : `Did you mean ${show(meant)}?`,
        at: { level: name },
      });
    }
  return kept.filter(({ name }) => levels.includes(name));
}

/** The columns for some levels: keys of the level that has most, which begin with those of every other. */
export function columnsOf(levels: readonly RowLevel[]): RowColumns {
  const outputs = Math.max(1, ...levels.map((level) => level.outputs));
  const values = outputs === 1 ? ["value"] : Array.from({ length: outputs }, (_, i) => `value${i}`);
  const most = levels.reduce<readonly string[]>((longest, { keys }) => (keys.length > longest.length ? keys : longest), []);
  const keys = keyNames(most, [...RESULT_COLUMNS, ...values, "records"]);
  return { keys, values, all: [...RESULT_COLUMNS, ...keys, ...values, "records"] };
}

/** The rows of a result: for a pane the nodes of each level, innermost level first, in order of key; for a frame its one row. */
export function* rowsOf(result: RowSource, levels: readonly RowLevel[]): Generator<ResultRow, void, undefined> {
  if (result.pane === undefined) {
    for (const { name } of levels) yield { level: name, path: [], values: result.values, records: result.records };
    return;
  }
  for (const { name } of levels)
    for (const { path, values, count } of result.level(name)) yield { level: name, path, values, records: count };
}

/** A time as a cell has it: null where there is none. */
export function finiteOrNull(time: number | undefined): number | null {
  return time !== undefined && Number.isFinite(time) ? time : null;
}
