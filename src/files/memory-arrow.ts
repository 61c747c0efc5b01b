/** Tables of the packages apache-arrow and @uwdata/flechette, told by what they have; neither is imported. */
import type { Numbers } from "../arrow/numbers.ts";
import { typedArrayName } from "../reduce/arrays.ts";
import type { CellColumn, CellKind, CellPiece, MemoryTable } from "./memory-table.ts";

/** A type of either package: the numbers are Arrow's own. */
export interface LibraryType {
  readonly typeId: number;
  readonly precision?: number;
  readonly unit?: number;
  readonly timezone?: string | null;
  readonly listSize?: number;
  readonly stride?: number;
  readonly bitWidth?: number;
  readonly isSigned?: boolean;
  readonly signed?: boolean;
  readonly children?: readonly { readonly type: LibraryType }[] | null;
  /** The type of what a dictionary holds. */
  readonly dictionary?: LibraryType;
}

/** A chunk of either package: `Data` of apache-arrow, `Batch` of flechette. */
export interface LibraryChunk {
  readonly type: LibraryType;
  readonly length: number;
  readonly nullCount: number;
  readonly values?: Numbers;
  readonly children?: readonly LibraryChunk[];
  // apache-arrow
  readonly offset?: number;
  readonly nullBitmap?: Uint8Array;
  readonly valueOffsets?: Int32Array | BigInt64Array;
  readonly dictionary?: { get(code: number): unknown };
  // flechette
  readonly validity?: Uint8Array;
  readonly offsets?: Int32Array | BigInt64Array;
  at?(i: number): unknown;
}

interface LibraryColumn {
  readonly data: readonly LibraryChunk[];
  readonly type: LibraryType;
  get?(i: number): unknown;
}

interface LibraryTable {
  readonly schema: { readonly fields: readonly { readonly name: string; readonly type: LibraryType }[] };
  getChildAt(index: number): LibraryColumn | null;
}

/** Arrow's numbers of types (format/Schema.fbs), and both packages' own for dictionaries. */
const TYPE = { dictionary: -1, int: 2, float: 3, utf8: 5, bool: 6, date: 8, timestamp: 10, largeUtf8: 20, utf8View: 24 } as const;
const NAMES: Readonly<Record<number, string>> = {
  1: "null",
  4: "binary",
  7: "decimal",
  9: "time",
  11: "interval",
  12: "list",
  13: "struct",
  14: "union",
  15: "fixed-size binary",
  16: "fixed-size list",
  17: "map",
  18: "duration",
  19: "large binary",
  21: "large list",
};

const UNITS = ["s", "ms", "us", "ns"] as const;

/** True for a table of one of the two. */
export function isArrowTable(table: unknown): table is LibraryTable {
  const { schema, getChildAt } = (table ?? {}) as { schema?: { fields?: unknown }; getChildAt?: unknown };
  return typeof getChildAt === "function" && Array.isArray(schema?.fields);
}

/** The table as columns in chunks. */
export function arrowTable(table: LibraryTable): MemoryTable {
  const names = table.schema.fields.map(({ name }) => String(name));
  return { what: "the Arrow table", names, column: (index) => columnOf(names[index]!, table.getChildAt(index)!) };
}

/** The chunks of a column. */
export function arrowChunks(table: LibraryTable, index: number): readonly LibraryChunk[] {
  return table.getChildAt(index)?.data ?? [];
}

function columnOf(name: string, column: LibraryColumn): CellColumn {
  let before = 0;
  const pieces = column.data.map((chunk) => {
    const first = before;
    before += chunk.length;
    return pieceOf(chunk, (i) => (chunk.at ? chunk.at(i) : column.get!(first + i)));
  });
  return { name, type: kindOf(column.type), pieces, copiedBytes: 0 };
}

function kindOf(type: LibraryType): CellKind {
  switch (type.typeId) {
    case TYPE.int:
      return { kind: "number" };
    case TYPE.float:
      return { kind: type.precision === 0 ? "half" : "number" };
    case TYPE.bool:
      return { kind: "bits" };
    case TYPE.utf8:
    case TYPE.largeUtf8:
    case TYPE.utf8View:
      return { kind: "cells" };
    case TYPE.date:
      return type.unit === 0 ? { kind: "date" } : { kind: "timestamp", unit: "ms", hasZone: false };
    case TYPE.timestamp:
      return { kind: "timestamp", unit: UNITS[type.unit ?? 0] ?? "s", hasZone: Boolean(type.timezone) };
    case TYPE.dictionary: {
      const inner = kindOf(type.dictionary!);
      return inner.kind === "cells" || inner.kind === "number" || inner.kind === "bits"
        ? { kind: "cells" }
        : { kind: "other", name: "dictionary of what is no key" };
    }
    default:
      return { kind: "other", name: NAMES[type.typeId] ?? `type ${type.typeId}` };
  }
}

/** Which values of a chunk are null; undefined if none is. */
function nullTest({ nullCount, nullBitmap, validity, offset = 0 }: LibraryChunk): ((i: number) => boolean) | undefined {
  const bits = nullBitmap ?? validity;
  if (nullCount === 0 || bits === undefined || bits.length === 0) return undefined;
  return (i) => ((bits[(offset + i) >> 3]! >> ((offset + i) & 7)) & 1) === 0;
}

function pieceOf(chunk: LibraryChunk, at: (i: number) => unknown): CellPiece {
  const { type, length, values } = chunk;
  const isBits = type.typeId === TYPE.bool;
  const lies = values !== undefined && typedArrayName(values) !== undefined;
  const own = lies && !isBits ? (values.subarray(0, length) as Numbers) : values;
  const isDictionary = type.typeId === TYPE.dictionary;
  return {
    length,
    values: isDictionary ? undefined : own,
    shift: isBits ? (chunk.offset ?? 0) : 0,
    isNull: nullTest(chunk),
    at: isDictionary && chunk.dictionary ? (i) => chunk.dictionary!.get(Number(own![i])) : at,
    codes: isDictionary ? own : undefined,
  };
}
