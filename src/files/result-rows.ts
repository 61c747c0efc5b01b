/** Rows of a result at rest, gathered into columns level by level, within a limit of memory. It knows no file format. */
import { FourfoldError, show } from "../errors.ts";
import type { ClosedInput, ClosedRows } from "../reduce/closed-tree.ts";
import type { Key } from "../reduce/key.ts";
import { KeyMap } from "../reduce/key-map.ts";
import type { ResultMetadata } from "./result-metadata.ts";

/** What a text in a dictionary takes beside its characters. */
const TEXT_BYTES = 64;

/** Rows a level's columns begin with; they double. */
const ROWS_MIN = 256;

/** One row, as a format reads it. */
export interface ResultRow {
  /** The place of its level in the metadata. */
  readonly level: number;
  /** One for each key of the level. */
  readonly path: readonly Key[];
  /** One for each output of the level. */
  readonly values: readonly number[];
  readonly count: number;
  readonly weight: number | undefined;
}

class LevelRows {
  readonly codes: Uint32Array[];
  values: Float64Array[] = [];
  counts: Float64Array = new Float64Array(0);
  weights: Float64Array = new Float64Array(0);
  weighted = false;
  rows = 0;

  constructor(keys: number) {
    this.codes = Array.from({ length: keys }, () => new Uint32Array(0));
  }

  get bytesPerRow(): number {
    return 4 * this.codes.length + 8 * (this.values.length + 2);
  }

  /** Doubles the room. */
  grow(): void {
    const rows = Math.max(ROWS_MIN, 2 * this.counts.length);
    const doubles = (from: Float64Array): Float64Array => {
      const to = new Float64Array(rows);
      to.set(from);
      return to;
    };
    for (const [i, column] of this.codes.entries()) {
      this.codes[i] = new Uint32Array(rows);
      this.codes[i].set(column);
    }
    this.values = this.values.map(doubles);
    this.counts = doubles(this.counts);
    this.weights = doubles(this.weights);
  }

  take(): ClosedRows {
    const { rows } = this;
    const outputs = Math.max(1, this.values.length);
    const values = new Float64Array(outputs * rows);
    for (const [r, plane] of this.values.entries()) values.set(plane.subarray(0, rows), r * rows);
    return {
      codes: this.codes.map((column) => column.subarray(0, rows)),
      values,
      outputs,
      counts: this.counts.subarray(0, rows),
      weights: this.weighted ? this.weights.subarray(0, rows) : undefined,
    };
  }
}

/** See the head of this file. */
export class ResultRows {
  readonly #file: string;
  readonly #bytesMax: number;
  readonly #levels: readonly LevelRows[];
  readonly #codeOf: readonly KeyMap[];
  /** The keys that codes stand for, column by column. */
  readonly dictionaries: readonly Key[][];
  readonly #metadata: ResultMetadata;
  #bytes = 0;

  constructor(file: string, metadata: ResultMetadata, bytesMax: number) {
    this.#file = file;
    this.#metadata = metadata;
    this.#bytesMax = bytesMax;
    this.#levels = metadata.levels.map(({ keys }) => new LevelRows(keys.length));
    const columns = metadata.levels[0]!.keys;
    this.#codeOf = columns.map(() => new KeyMap());
    this.dictionaries = columns.map(() => []);
  }

  /** Adds a row; `row` is its number, for messages. @throws FourfoldError ERR_FOURFOLD_FORMAT, ERR_FOURFOLD_MEMORY */
  add({ level, path, values, count, weight }: ResultRow, row: number): void {
    const rows = this.#levels[level]!;
    const { name } = this.#metadata.levels[level]!;
    if (rows.rows === 0) {
      rows.values = values.map(() => new Float64Array(0));
      rows.weighted = weight !== undefined;
    }
    if (values.length === 0 || values.length !== rows.values.length)
      throw this.fail(row, `level ${show(name)} has ${values.length} values here and ${rows.values.length} in its first row`);
    if ((weight !== undefined) !== rows.weighted) throw this.fail(row, `some rows of level ${show(name)} have a weight and some have none`);
    if (rows.rows === rows.counts.length) {
      this.#hold(Math.max(ROWS_MIN, rows.rows) * rows.bytesPerRow);
      rows.grow();
    }
    const at = rows.rows++;
    for (let column = 0; column < path.length; column++) rows.codes[column]![at] = this.#code(column, path[column]!);
    for (let r = 0; r < values.length; r++) rows.values[r]![at] = values[r]!;
    rows.counts[at] = count;
    rows.weights[at] = weight ?? 0;
  }

  /** The levels that have rows, innermost first. @throws FourfoldError ERR_FOURFOLD_FORMAT if none has */
  take(): ClosedInput[] {
    const inputs: ClosedInput[] = [];
    let last: number | undefined; // the place in the chain of the level before
    for (const [i, rows] of this.#levels.entries()) {
      const { name, index, reduce, ddof = 0, keys } = this.#metadata.levels[i]!;
      if (rows.rows === 0) continue;
      inputs.push({ rules: { name, reduce, ddof, keys }, rows: rows.take(), gap: last !== undefined && index - last > 1 });
      last = index;
    }
    return inputs;
  }

  /** The error for a row that no result has. */
  fail(row: number, what: string, given?: unknown, column?: string): FourfoldError {
    return new FourfoldError("ERR_FOURFOLD_FORMAT", `${this.#file}: row ${row}: ${what}`, {
      given,
      fix: "Write the result again",
      at: { file: this.#file, row, ...(column === undefined ? {} : { column }) },
    });
  }

  #code(column: number, key: Key): number {
    const found = this.#codeOf[column]!.get(key);
    if (found !== undefined) return found;
    const keys = this.dictionaries[column]!;
    this.#hold(TEXT_BYTES + (typeof key === "string" ? 2 * key.length : 0));
    this.#codeOf[column]!.set(key, keys.length);
    return keys.push(key) - 1;
  }

  #hold(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes <= this.#bytesMax) return;
    throw new FourfoldError("ERR_FOURFOLD_MEMORY", `${this.#file}: its nodes take more than memoryBytesMax, ${this.#bytesMax} bytes`, {
      given: this.#bytesMax,
      fix: "Raise memoryBytesMax, or keep fewer levels in the result",
      at: { file: this.#file },
    });
  }
}
