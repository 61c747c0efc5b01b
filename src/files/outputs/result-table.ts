/**
 * A result as a table: one row for each node of the kept levels, innermost level first. It says which columns there are and gives the rows in
 * batches of bounded size, so that a result of any size needs the memory of one batch. It knows no format.
 */
import { FourfoldError, nearest, show } from "../../errors.ts";
import { keyNames } from "../../reduce/cells.ts";
import type { RejectedRows } from "../../reduce/grouped.ts";
import type { Key } from "../../reduce/key.ts";
import type { LevelView } from "../../reduce/result.ts";
import type { ResultLevel } from "../../reduce/result-levels.ts";
import { type ColumnKind, type KeyKinds, kindsOf, mixedText } from "./key-kinds.ts";

/** What can be written: the result of `engine.run`. */
export interface WritableResult {
  readonly values: Float64Array;
  readonly shape: readonly number[];
  readonly errorBound: number | undefined;
  readonly records: number;
  readonly rejected?: RejectedRows | undefined;
  readonly contract: string;
  readonly plan: { readonly backend: string; readonly accuracy: string; readonly nan: string; readonly form: "rows" | "records" };
  readonly levels: readonly ResultLevel[];
  level(name: string): LevelView;
}

/** A level of a table. */
export interface TableLevel extends ResultLevel {
  readonly view: LevelView;
}

/** A column of the table. */
export interface TableColumn {
  readonly name: string;
  readonly kind: ColumnKind;
  readonly nullable: boolean;
}

/** The cells of one column in a batch. `valid` has 0 for null and 1 elsewhere; undefined where no cell is null. */
export type ColumnCells = { readonly valid: Uint8Array | undefined } & (
  | { readonly kind: "text"; readonly values: readonly string[] }
  | { readonly kind: "int64"; readonly values: BigInt64Array }
  | { readonly kind: "float64"; readonly values: Float64Array }
  | { readonly kind: "bool"; readonly values: Uint8Array }
);

/** Rows of one level. */
export interface Batch {
  readonly rows: number;
  /** In the order of the table's columns. */
  readonly cells: readonly ColumnCells[];
}

/** Rows of a batch: DuckDB's row group. */
const BATCH_ROWS = 122_880;

/** The columns beside keys and values: level, count, weight. */
const OTHER_COLUMNS = 3;

/** Characters of a batch's keys: long keys make shorter batches. */
const BATCH_CHARS = 1 << 24;

/** Nodes between two turns of the event loop: some ten milliseconds. */
const TURN_NODES = 1 << 14;

/** Handed on while there is nothing to write yet, so that the event loop may turn. */
export const NOTHING: Uint8Array = new Uint8Array(0);

/** See the head of this file. */
export class ResultTable {
  readonly result: WritableResult;
  /** Innermost first. */
  readonly levels: readonly TableLevel[];
  /** The original names of the key columns, outermost first: those of the innermost level begin with those of every other. */
  readonly keys: readonly string[];
  /** `value`, or `value0`, `value1`, … */
  readonly valueNames: readonly string[];

  /** @throws FourfoldError ERR_FOURFOLD_LEVEL for a level that the result does not keep */
  constructor(result: WritableResult, keep: "all" | readonly string[]) {
    this.result = result;
    this.levels = chosen(result.levels, keep).map((level) => ({ ...level, view: result.level(level.name) }));
    this.keys = this.levels[0]!.keys;
    const outputs = this.levels.reduce((most, level) => Math.max(most, level.outputs), 1);
    this.valueNames = outputs === 1 ? ["value"] : Array.from({ length: outputs }, (_, output) => `value${output}`);
  }

  /** True if nodes of any level have weights. */
  get hasWeights(): boolean {
    return this.levels.some(({ weighs }) => weighs);
  }

  /** The names of the key columns beside others: `own` are those. */
  keyNames(own: readonly string[]): string[] {
    return keyNames(this.keys, own);
  }

  /** What each key column holds. Yields while it looks. */
  *kinds(): Generator<Uint8Array, KeyKinds> {
    const kinds = kindsOf(this.keys.length, this.result.plan.form === "rows" ? "int64" : "text");
    let nodes = 0;
    for (const { view } of this.levels)
      for (const { path } of view) {
        kinds.see(path);
        if (++nodes % TURN_NODES === 0) yield NOTHING;
      }
    return kinds;
  }

  /** The columns of the binary formats. */
  columns(kinds: KeyKinds): TableColumn[] {
    const own = ["level", ...this.valueNames, "count", "weight"];
    return [
      { name: "level", kind: "text", nullable: false },
      ...this.keyNames(own).map((name, i): TableColumn => ({ name, kind: kinds.of(i), nullable: true })),
      ...this.valueNames.map((name, i): TableColumn => ({ name, kind: "float64", nullable: i > 0 })),
      { name: "count", kind: "int64", nullable: false },
      { name: "weight", kind: "float64", nullable: true },
    ];
  }

  /** What the file says of itself, as JSON. `names` are those of the key columns in it. */
  metadata(names: readonly string[], kinds?: KeyKinds): string {
    const { contract, records, plan } = this.result;
    const mixed = names.filter((_, i) => kinds?.isMixed(i));
    return JSON.stringify({
      version: 1,
      levels: this.levels.map(({ name, index, reduce, ddof, keys, weighted }) => ({
        name,
        index,
        reduce,
        ...(ddof === undefined ? {} : { ddof }),
        keys: names.slice(0, keys.length),
        weighted,
      })),
      contract,
      accuracy: plan.accuracy,
      nan: plan.nan,
      records,
      ...(mixed.length === 0 ? {} : { mixed }),
    });
  }

  /** All rows, as columns. A batch does not go beyond its level. Undefined where it lets others have their turn. */
  *batches(columns: readonly TableColumn[], kinds: KeyKinds): Generator<Batch | undefined> {
    for (const level of this.levels) {
      let batch: BatchWriter | undefined;
      let left = level.view.length;
      for (const node of level.view) {
        batch ??= new BatchWriter(columns, this.keys.length, kinds, level, Math.min(BATCH_ROWS, left));
        batch.add(node.path, node.values, node.count, level.weighs ? node.weight : undefined);
        if (--left % TURN_NODES === 0) yield undefined;
        if (!batch.full) continue;
        yield batch.end();
        batch = undefined;
      }
      if (batch !== undefined) yield batch.end();
    }
  }
}

function chosen(levels: readonly ResultLevel[], keep: "all" | readonly string[]): readonly ResultLevel[] {
  if (keep === "all") return levels;
  const names = levels.map(({ name }) => name);
  for (const name of keep) {
    if (names.includes(name)) continue;
    const meant = nearest(String(name), names);
    throw new FourfoldError("ERR_FOURFOLD_LEVEL", `keep: the result keeps no level ${show(name)}, it keeps ${names.join(", ")}`, {
      given: name,
      expected: names,
      fix: meant === undefined ? 'Run with keep: "all", or with the names of the levels' : `Did you mean ${show(meant)}?`,
    });
  }
  return levels.filter(({ name }) => keep.includes(name));
}

/** The cells of one batch while it is filled. */
class BatchWriter {
  readonly #columns: readonly TableColumn[];
  readonly #kinds: KeyKinds;
  readonly #level: TableLevel;
  readonly #keys: number;
  readonly #outputs: number;
  readonly #room: number;
  readonly #values: (string[] | BigInt64Array | Float64Array | Uint8Array)[];
  readonly #valid: (Uint8Array | undefined)[];
  #rows = 0;
  #chars = 0;

  constructor(columns: readonly TableColumn[], keys: number, kinds: KeyKinds, level: TableLevel, room: number) {
    this.#columns = columns;
    this.#kinds = kinds;
    this.#level = level;
    this.#keys = keys;
    this.#outputs = columns.length - OTHER_COLUMNS - keys;
    this.#room = room;
    this.#values = columns.map(({ kind }) => (kind === "text" ? [] : new ARRAYS[kind](room)));
    this.#valid = columns.map(() => undefined);
  }

  get full(): boolean {
    return this.#rows === this.#room || this.#chars >= BATCH_CHARS;
  }

  add(path: readonly Key[], values: readonly number[], count: number, weight: number | undefined): void {
    const row = this.#rows++;
    (this.#values[0] as string[])[row] = this.#level.name;
    let column = 1;
    for (let i = 0; i < this.#keys; i++, column++) this.#key(column, row, i, i < path.length ? path[i]! : null);
    for (let i = 0; i < this.#outputs; i++, column++) this.#number(column, row, values[i]);
    (this.#values[column++] as BigInt64Array)[row] = BigInt(count);
    this.#number(column, row, weight);
  }

  end(): Batch {
    const rows = this.#rows;
    const cells = this.#columns.map(({ kind }, i) => {
      const values = this.#values[i]!;
      return { kind, values: Array.isArray(values) ? values : values.subarray(0, rows), valid: this.#valid[i]?.subarray(0, rows) };
    });
    return { rows, cells: cells as ColumnCells[] };
  }

  #key(column: number, row: number, i: number, key: Key): void {
    const values = this.#values[column]!;
    if (key === null) {
      if (Array.isArray(values)) values[row] = "";
      this.#null(column, row);
    } else if (Array.isArray(values)) {
      const text = this.#kinds.isMixed(i) ? mixedText(key) : (key as string);
      this.#chars += text.length;
      values[row] = text;
    } else if (values instanceof BigInt64Array) values[row] = BigInt(key as number | bigint);
    else values[row] = Number(key);
  }

  #number(column: number, row: number, value: number | undefined): void {
    if (value === undefined) this.#null(column, row);
    else (this.#values[column] as Float64Array)[row] = value;
  }

  #null(column: number, row: number): void {
    let valid = this.#valid[column];
    if (valid === undefined) {
      valid = new Uint8Array(this.#room).fill(1);
      this.#valid[column] = valid;
    }
    valid[row] = 0;
  }
}

const ARRAYS = { int64: BigInt64Array, float64: Float64Array, bool: Uint8Array } as const;
