/** Rows of results as columns of one Parquet file. A key column has one type, found from its first key and kept from part to part. */
import { FourfoldError, show } from "../errors.ts";
import type { Key } from "../reduce/key.ts";
import { columnsOf, finiteOrNull, type RowLevel, type RowSource, rowsOf } from "../reduce/rows.ts";
import type { ColumnType, FileColumn } from "./parquet-writer.ts";

/** Bytes that a cell of a number takes here. */
const CELL_BYTES = 8;

const TYPES = {
  id: "VARCHAR",
  start: "DOUBLE",
  end: "DOUBLE",
  timing: "VARCHAR",
  pane: "BIGINT",
  isLast: "BOOLEAN",
  frame: "BIGINT",
  watermark: "DOUBLE",
  weightsVersion: "BIGINT",
  level: "VARCHAR",
} as const satisfies Record<string, ColumnType>;

type Cell = string | number | bigint | boolean | null;

/** See the head of this file. */
export class PartColumns {
  readonly #levels: readonly RowLevel[];
  readonly #names: readonly string[];
  readonly #keys: number;
  readonly #keyTypes: (ColumnType | undefined)[];
  #cells: Cell[][] = [];
  #rows = 0;
  #bytes = 0;

  /** `types` are those that the key columns of earlier parts had; null where no key came yet. */
  constructor(levels: readonly RowLevel[], types: readonly (ColumnType | null)[]) {
    const { all, keys } = columnsOf(levels);
    this.#levels = levels;
    this.#names = all;
    this.#keys = keys.length;
    this.#keyTypes = keys.map((_, i) => types[i] ?? undefined);
    this.#clear();
  }

  get rows(): number {
    return this.#rows;
  }

  /** About what the rows take in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  get keyTypes(): (ColumnType | null)[] {
    return this.#keyTypes.map((type) => type ?? null);
  }

  /** @throws FourfoldError ERR_FOURFOLD_OUTPUT for a key of another type than its column has */
  add(result: RowSource): void {
    const { id, pane, frame, watermark, weightsVersion } = result;
    const head: Cell[] = [
      id,
      finiteOrNull(pane?.start),
      finiteOrNull(pane?.end),
      pane?.timing ?? null,
      integer(pane?.index),
      pane?.isLast ?? null,
      integer(frame),
      finiteOrNull(watermark),
      integer(weightsVersion),
    ];
    const first = head.length + 1 + this.#keys;
    for (const { level, path, values, records } of rowsOf(result, this.#levels)) {
      const cells = this.#cells;
      for (let i = 0; i < head.length; i++) cells[i]!.push(head[i]!);
      cells[head.length]!.push(level);
      for (let i = 0; i < this.#keys; i++) cells[head.length + 1 + i]!.push(i < path.length ? this.#key(i, path[i]!) : null);
      for (let i = first; i < cells.length - 1; i++) cells[i]!.push(i - first < values.length ? values[i - first]! : null);
      cells[cells.length - 1]!.push(BigInt(records));
      this.#rows++;
      this.#bytes += CELL_BYTES * cells.length;
    }
  }

  /** The columns of all rows, which are gone here then. */
  take(): FileColumn[] {
    const fixed = Object.values(TYPES);
    const columns = this.#names.map((name, i): FileColumn => {
      const key = i - fixed.length;
      const type = fixed[i] ?? (key < this.#keys ? (this.#keyTypes[key] ?? "VARCHAR") : i === this.#names.length - 1 ? "BIGINT" : "DOUBLE");
      return { name, type, values: this.#cells[i]! };
    });
    this.#clear();
    return columns;
  }

  #clear(): void {
    this.#cells = this.#names.map(() => []);
    this.#rows = 0;
    this.#bytes = 0;
  }

  #key(column: number, key: Key): Cell {
    if (key === null) return null;
    const type = typeOf(key);
    this.#keyTypes[column] ??= type;
    const own = this.#keyTypes[column]!;
    if (type !== own || (typeof key === "bigint" && BigInt.asIntN(64, key) !== key))
      throw new FourfoldError(
        "ERR_FOURFOLD_OUTPUT",
        `key column ${show(this.#names[Object.keys(TYPES).length + column])} is ${own} in these Parquet files, and the key ${show(key)} does not fit it`,
        { given: key, expected: own, fix: "Give the column keys of one kind, integers below 2^63; or write NDJSON" },
      );
    if (typeof key === "string") this.#bytes += key.length;
    return key;
  }
}

const typeOf = (key: Exclude<Key, null>): ColumnType =>
  typeof key === "string" ? "VARCHAR" : typeof key === "number" ? "DOUBLE" : typeof key === "bigint" ? "BIGINT" : "BOOLEAN";

const integer = (value: number | undefined): bigint | null => (value === undefined ? null : BigInt(value));
