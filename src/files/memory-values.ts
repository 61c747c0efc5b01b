/** Columns of tables in memory → the numbers and keys that an engine takes. What can be used as it lies is; everything else is copied once. */
import { half, isExact } from "../arrow/numbers.ts";
import { FourfoldError, show } from "../errors.ts";
import { typedArrayName } from "../reduce/arrays.ts";
import type { Key, KeyColumn } from "../reduce/key.ts";
import { dtypeOf, ofDtype } from "../reduce/tree.ts";
import type { Dtype, TypedData } from "../types.ts";
import { turn } from "./arrow-bytes.ts";
import type { Int64Policy } from "./items.ts";
import { dateText, timestampText } from "./key-text.ts";
import { type CellColumn, type CellPiece, wrongType } from "./memory-table.ts";

/** Values handled between two turns of the event loop: a few milliseconds where each is an object. */
const CELLS_PER_TURN = 1 << 16;

/** Something read from a column, and how many bytes that copied. */
export interface Copied<T> {
  readonly data: T;
  readonly copiedBytes: number;
}

const REJECT_FIX = 'Set int64 to "exact" or "number", or cast the column';

const lengthOf = ({ pieces }: CellColumn): number => pieces.reduce((sum, { length }) => sum + length, 0);

/** Calls `visit` for ranges of pieces, with the row at which each begins, and lets others have turns between them. */
async function eachRange(column: CellColumn, visit: (piece: CellPiece, from: number, to: number, row: number) => void): Promise<void> {
  let row = 0;
  let since = 0;
  for (const piece of column.pieces) {
    for (let from = 0; from < piece.length; from += CELLS_PER_TURN) {
      const to = Math.min(piece.length, from + CELLS_PER_TURN);
      visit(piece, from, to, row + from);
      since += to - from;
      if (since < CELLS_PER_TURN) continue;
      since = 0;
      await turn();
    }
    row += piece.length;
  }
}

/**
 * A column as numbers, null as NaN. One piece of a type of ours without nulls is used as it is.
 * @throws FourfoldError ERR_FOURFOLD_COLUMN, ERR_FOURFOLD_INTEGER
 */
export async function numbersOf(column: CellColumn, role: string, int64: Int64Policy): Promise<Copied<TypedData>> {
  const { type, pieces, name } = column;
  if (type.kind !== "number" && type.kind !== "half" && type.kind !== "bits" && type.kind !== "cells")
    throw wrongType(name, role, type.kind === "other" ? type.name : type.kind, "numbers", "Cast it where the table is made");
  const names = new Set(pieces.map(({ values }) => typedArrayName(values)));
  if (int64 === "reject" && (names.has("BigInt64Array") || names.has("BigUint64Array")))
    throw wrongType(name, role, "a column of 64-bit integers", 'other numbers: int64 is "reject"', REJECT_FIX);
  const hasNulls = pieces.some(({ isNull }) => isNull !== undefined);
  const first = pieces[0]?.values;
  const own = type.kind === "number" && names.size === 1 ? dtypeOf(first) : undefined;
  if (own !== undefined && !hasNulls && pieces.length === 1 && !column.isBorrowed)
    return { data: first as TypedData, copiedBytes: column.copiedBytes };
  const data = ofDtype(dtypeFor(type.kind, own, names, hasNulls), lengthOf(column));
  await eachRange(column, (piece, from, to, row) => copyNumbers(piece, from, to, data, row, type.kind, { column: name, role, int64 }));
  return { data, copiedBytes: column.copiedBytes + data.byteLength };
}

/** The type that numbers are joined in: their own where it has room for them and for nulls. */
function dtypeFor(kind: string, own: Dtype | undefined, names: ReadonlySet<string | undefined>, hasNulls: boolean): Dtype {
  if (kind === "half" || own === "f32") return "f32";
  if (hasNulls) return "f64";
  if (kind === "bits") return "u8";
  return own ?? (names.size === 1 && names.has("Uint16Array") ? "i32" : "f64");
}

interface NumberContext {
  readonly column: string;
  readonly role: string;
  readonly int64: Int64Policy;
}

function copyNumbers(
  { values, isNull, shift, at }: CellPiece,
  from: number,
  to: number,
  target: TypedData,
  row: number,
  kind: string,
  context: NumberContext,
): void {
  if (kind === "half") for (let i = from; i < to; i++) target[row + i - from] = half(values![i] as number);
  else if (kind === "bits") {
    const bits = values as Uint8Array;
    for (let i = from; i < to; i++) target[row + i - from] = (bits[(shift + i) >> 3]! >> ((shift + i) & 7)) & 1;
  } else if (values === undefined || values instanceof BigInt64Array || values instanceof BigUint64Array)
    for (let i = from; i < to; i++)
      target[row + i - from] = isNull?.(i) ? Number.NaN : numberOf(values === undefined ? at(i) : values[i], row + i - from, context);
  else target.set(values.subarray(from, to) as TypedData, row);
  if (isNull !== undefined) for (let i = from; i < to; i++) if (isNull(i)) target[row + i - from] = Number.NaN;
}

/** A cell as a number. */
function numberOf(cell: unknown, row: number, { column, role, int64 }: NumberContext): number {
  if (typeof cell === "number") return cell;
  if (cell === null || cell === undefined) return Number.NaN;
  if (typeof cell === "boolean") return Number(cell);
  if (typeof cell === "bigint") {
    if (int64 === "reject") throw wrongType(column, role, cell, 'other numbers: int64 is "reject"', REJECT_FIX, row);
    if (int64 === "number" || isExact(cell)) return Number(cell);
    throw new FourfoldError("ERR_FOURFOLD_INTEGER", `${role}: column ${show(column)}, row ${row} is ${cell}, beyond 2^53`, {
      given: cell,
      expected: "integers from -2^53 to 2^53",
      at: { column, row },
      fix: 'To accept rounding, set int64: "number" or cast the column to float64',
    });
  }
  // A decimal of DuckDB: through its text it becomes the nearest float64.
  if (typeof cell === "object" && "scale" in cell && "width" in cell) return Number(String(cell));
  throw wrongType(column, role, cell, "a number", "Cast it where the table is made", row);
}

/**
 * A column as keys: null stays null, a 64-bit integer becomes a number where it is one, dates and times become the texts that DuckDB makes
 * of them, and equal codes of a dictionary are read once.
 * @throws FourfoldError ERR_FOURFOLD_COLUMN
 */
export async function keysOf(column: CellColumn, role: string): Promise<Copied<KeyColumn>> {
  const { type, pieces, name } = column;
  if (type.kind === "other")
    throw wrongType(name, role, type.name, "keys: texts, numbers, booleans, dates or times", "Cast it to text where the table is made");
  const [only] = pieces;
  const isPlain = pieces.length === 1 && only!.isNull === undefined && type.kind === "number";
  // Numbers that are keys as they are.
  if (isPlain && typeof (only!.values![0] ?? 0) === "number" && !column.isBorrowed)
    return { data: only!.values as KeyColumn, copiedBytes: column.copiedBytes };
  const keys = new Array<Key>(lengthOf(column));
  let decoded: CellPiece | undefined;
  let byCode = new Map<number | bigint, Key>();
  await eachRange(column, (piece, from, to, row) => {
    if (piece !== decoded) byCode = new Map();
    decoded = piece;
    const { isNull, codes } = piece;
    for (let i = from; i < to; i++) {
      const place = row + i - from;
      if (isNull?.(i)) keys[place] = null;
      else if (codes === undefined) keys[place] = keyOf(cellOf(piece, i, column, role, place), name, role, place);
      else {
        const code = codes[i]!;
        let key = byCode.get(code);
        if (key === undefined) {
          key = keyOf(piece.at(i), name, role, place);
          byCode.set(code, key);
        }
        keys[place] = key;
      }
    }
  });
  return { data: keys, copiedBytes: column.copiedBytes + KEY_BYTES * keys.length };
}

/** A key in a list, as a rule. */
const KEY_BYTES = 8;

/** A cell as what may be a key. */
function cellOf({ values, shift, at }: CellPiece, i: number, { type, name }: CellColumn, role: string, row: number): unknown {
  switch (type.kind) {
    case "number":
      return values![i];
    case "half":
      return half(values![i] as number);
    case "bits":
      return (((values as Uint8Array)[(shift + i) >> 3]! >> ((shift + i) & 7)) & 1) === 1;
    case "date":
    case "timestamp": {
      const text = type.kind === "date" ? dateText(Number(values![i])) : timestampText(BigInt(values![i]!), type.unit, type.hasZone);
      if (text === undefined)
        throw wrongType(name, role, values![i], "a date in the years 1 to 9999", "Cast it to text where the table is made", row);
      return text;
    }
    default:
      return at(i);
  }
}

function keyOf(cell: unknown, column: string, role: string, row: number): Key {
  switch (typeof cell) {
    case "string":
    case "number":
    case "boolean":
      return cell;
    case "bigint": {
      const number = Number(cell);
      return Number.isSafeInteger(number) ? number : cell;
    }
    case "undefined":
      return null;
    default:
      if (cell === null) return null;
      if (typeof cell === "object" && isText(cell)) return String(cell);
      throw wrongType(column, role, cell, "a key: text, a number or a boolean", "Turn it into text where the table is made", row);
  }
}

/** DuckDB's values of UUID, TIME and DECIMAL have a text that is theirs alone; those of lists and structs are no keys. */
function isText(cell: object): boolean {
  return ["DuckDBUUIDValue", "DuckDBTimeValue", "DuckDBTimeTZValue", "DuckDBTimeNSValue"].includes(cell.constructor?.name);
}
