/**
 * A grouped table as frames and back: its values first, then its shape with a place for each column, then the columns in that order.
 * The receiving side allocates nothing beyond its budget, and believes no length without it. It opens no file and knows no processes.
 */
import { FourfoldError } from "../errors.ts";
import type { GroupedTable } from "../reduce/grouped.ts";
import type { Dtype, TypedData } from "../types.ts";
import { broken, bytesFrame, jsonFrame, PIECE_BYTES } from "./barrier-frames.ts";

const ARRAYS = { Float64Array, Float32Array, Uint32Array, Int32Array, Int16Array, Int8Array, Uint8Array } as const;
const VALUES = { f64: Float64Array, f32: Float32Array, i32: Int32Array, i16: Int16Array, i8: Int8Array, u8: Uint8Array } as const;
type Column = TypedData | Uint32Array;

/** Characters of cells in one frame. */
const CELLS_LENGTH = 1 << 17;
/** What an entry of an array takes in memory. */
const CELL_BYTES = 8;
/** A table is an object of lists of objects of lists of columns. */
const DEPTH_MAX = 8;

type Cell = null | string | number | bigint | boolean;
const isCell = (value: unknown): value is Cell => value === null || ["string", "number", "bigint", "boolean"].includes(typeof value);

/** The frames of a table, in order. */
export function* framesOf({ values, ...rest }: GroupedTable): Generator<readonly Uint8Array[]> {
  const dtype = (Object.keys(VALUES) as Dtype[]).find((name) => values instanceof VALUES[name]);
  yield jsonFrame("values", { dtype, length: values.length });
  yield* framesOfBytes(values);
  const columns: (Column | readonly Cell[])[] = [];
  yield jsonFrame("table", shapeOf(rest, columns));
  for (const column of columns)
    if (ArrayBuffer.isView(column)) yield* framesOfBytes(column);
    else yield* framesOfCells(column);
}

/** `value` with columns replaced by their kind and length; they are added to `columns`. */
function shapeOf(value: unknown, columns: (Column | readonly Cell[])[]): unknown {
  if (ArrayBuffer.isView(value)) {
    const column = value as Column;
    columns.push(column);
    return { $array: column.constructor.name, length: column.length };
  }
  if (Array.isArray(value)) {
    if (!value.every(isCell)) return value.map((one) => shapeOf(one, columns));
    columns.push(value);
    return { $cells: value.length };
  }
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, shapeOf(one, columns)]));
}

function* framesOfBytes({ buffer, byteOffset, byteLength }: Column): Generator<readonly Uint8Array[]> {
  for (let at = 0; at < byteLength; at += PIECE_BYTES)
    yield bytesFrame(new Uint8Array(buffer, byteOffset + at, Math.min(PIECE_BYTES, byteLength - at)));
}

/** JSON has neither integers beyond 2^53 nor infinities: they travel as text in a list of their own. */
const packed = (cell: Cell): unknown =>
  typeof cell === "bigint" ? [String(cell)] : typeof cell === "number" && !Number.isFinite(cell) ? [[String(cell)]] : cell;

function unpacked(cell: unknown): Cell {
  if (isCell(cell)) return cell;
  const [inner] = Array.isArray(cell) ? (cell as unknown[]) : [];
  if (typeof inner === "string" && /^-?\d{1,40}$/.test(inner)) return BigInt(inner);
  const [text] = Array.isArray(inner) ? (inner as unknown[]) : [];
  if (text === "NaN" || text === "Infinity" || text === "-Infinity") return Number(text);
  throw broken("a key that is none");
}

function* framesOfCells(cells: readonly Cell[]): Generator<readonly Uint8Array[]> {
  let piece: unknown[] = [];
  let length = 0;
  for (const cell of cells) {
    piece.push(packed(cell));
    length += typeof cell === "string" ? cell.length + CELL_BYTES : 2 * CELL_BYTES;
    if (length < CELLS_LENGTH) continue;
    yield jsonFrame("cells", piece);
    piece = [];
    length = 0;
  }
  if (piece.length > 0) yield jsonFrame("cells", piece);
}

/** Puts a table together from its frames. Each method throws FourfoldError for what does not fit. */
export class TableBuilder {
  readonly #allocate: (type: Dtype, length: number) => TypedData;
  /** Bytes that may be allocated, which is not known from the start. */
  readonly #bytesMax: () => number;
  #bytes = 0;
  #bytesCopied = 0;
  #values: TypedData | undefined;
  #rest: Record<string, unknown> | undefined;
  /** Columns that are not full, the one that is due first. */
  readonly #due: (Column | unknown[])[] = [];
  readonly #lengths: Map<unknown, number> = new Map();
  #at = 0;

  constructor(allocate: ((type: Dtype, length: number) => TypedData) | undefined, bytesMax: () => number) {
    this.#allocate = allocate ?? ((type, length) => new VALUES[type](length));
    this.#bytesMax = bytesMax;
  }

  /** Takes the values' type and length, and allocates them. */
  values(frame: unknown): void {
    const { dtype, length } = (frame ?? {}) as { dtype?: unknown; length?: unknown };
    if (this.#values !== undefined || typeof dtype !== "string" || !Object.hasOwn(VALUES, dtype)) throw broken("values of no type");
    this.#spend(length, VALUES[dtype as Dtype].BYTES_PER_ELEMENT);
    this.#values = this.#allocate(dtype as Dtype, length as number);
    this.#expect(this.#values, length as number);
  }

  /** Takes the table's shape, and allocates its columns. */
  table(frame: unknown): void {
    if (this.#rest !== undefined || this.#due.length > 0) throw broken("a table before its values");
    const rest = this.#column(frame, 0);
    if (typeof rest !== "object" || rest === null || Array.isArray(rest)) throw broken("a table that is none");
    this.#rest = rest as Record<string, unknown>;
  }

  #column(value: unknown, depth: number): unknown {
    if (depth > DEPTH_MAX) throw broken("a table that is too deep");
    if (Array.isArray(value)) return value.map((one) => this.#column(one, depth + 1));
    if (typeof value !== "object" || value === null) return value;
    const { $array, $cells, length } = value as { $array?: unknown; $cells?: unknown; length?: unknown };
    if ($cells !== undefined) {
      this.#spend($cells, CELL_BYTES);
      const cells: unknown[] = [];
      this.#expect(cells, $cells as number);
      return cells;
    }
    if ($array !== undefined) {
      if (typeof $array !== "string" || !Object.hasOwn(ARRAYS, $array)) throw broken("a column of no type");
      const make = ARRAYS[$array as keyof typeof ARRAYS];
      this.#spend(length, make.BYTES_PER_ELEMENT);
      const column = new make(length as number);
      this.#expect(column, length as number);
      return column;
    }
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, this.#column(one, depth + 1)]));
  }

  #spend(length: unknown, bytesEach: number): void {
    if (!Number.isSafeInteger(length) || (length as number) < 0) throw broken("a column of no length");
    this.#bytes += (length as number) * bytesEach;
    if (this.#bytes > this.#bytesMax())
      throw new FourfoldError("ERR_FOURFOLD_MEMORY", "the table takes more bytes than the files may", {
        given: (length as number) * bytesEach,
        fix: "Raise readBytesMax, select fewer columns or rows, or roll up in parts",
      });
  }

  #expect(column: Column | unknown[], length: number): void {
    if (length === 0) return;
    this.#due.push(column);
    this.#lengths.set(column, length);
  }

  /** Copies bytes into the column that is due. */
  bytes(part: Uint8Array): void {
    const column = this.#due[0];
    if (!ArrayBuffer.isView(column) || this.#at + part.length > column.byteLength) throw broken("bytes of no column");
    new Uint8Array(column.buffer, column.byteOffset + this.#at, part.length).set(part);
    this.#bytesCopied += part.length;
    this.#at += part.length;
    if (this.#at === column.byteLength) this.#next();
  }

  /** Adds cells to the column that is due. */
  cells(frame: unknown): void {
    const column = this.#due[0];
    if (!Array.isArray(column) || !Array.isArray(frame) || column.length + frame.length > this.#lengths.get(column)!)
      throw broken("cells of no column");
    for (const packedCell of frame as unknown[]) {
      const cell = unpacked(packedCell);
      if (typeof cell === "string") this.#spend(cell.length, 1);
      column.push(cell);
    }
    if (column.length === this.#lengths.get(column)) this.#next();
  }

  #next(): void {
    this.#due.shift();
    this.#at = 0;
  }

  /** The table, if it is whole. */
  finish(): GroupedTable {
    if (this.#values === undefined || this.#rest === undefined || this.#due.length > 0) throw broken("a table that is not whole");
    return { ...(this.#rest as unknown as GroupedTable), values: this.#values, bytesCopied: this.#bytesCopied };
  }
}
