/** Frames of nodejs-polars, and plain objects of columns, as columns of one piece; told by what they have. */
import type { Numbers } from "../arrow/numbers.ts";
import { FourfoldError, show } from "../errors.ts";
import { typedArrayName } from "../reduce/arrays.ts";
import type { CellColumn, CellKind, CellPiece, MemoryTable } from "./memory-table.ts";

interface Series {
  readonly dtype: unknown;
  nullCount(): number;
  isNull(): { toArray(): boolean[] };
  fillNull(strategy: "zero"): Series;
  toTypedArray(): Numbers;
  toArray(): unknown[];
}

interface Frame {
  readonly columns: readonly string[];
  readonly height: number;
  getColumn(name: string): Series;
}

/** True for a frame of nodejs-polars. */
export function isPolarsFrame(table: unknown): table is Frame {
  const { columns, getColumn, height } = (table ?? {}) as Partial<Frame>;
  return typeof getColumn === "function" && Array.isArray(columns) && typeof height === "number";
}

const POLARS_NUMBERS = /^(U?Int(8|16|32|64)|Float(32|64))$/;
const POLARS_CELLS = /^(String|Utf8|Categorical|Enum|Bool|Boolean|Date)$/;

/** The frame as columns. Polars keeps its memory to itself: its own copy of a column is the one copy. */
export function polarsTable(frame: Frame): MemoryTable {
  const names = frame.columns;
  return {
    what: "the Polars frame",
    names,
    column: (index): CellColumn => {
      const name = names[index]!;
      const series = frame.getColumn(name);
      const type = /^DataType\((\w+)/.exec(String(series.dtype))?.[1] ?? String(series.dtype);
      if (POLARS_NUMBERS.test(type)) {
        // A list would round 64-bit integers.
        const nulls = series.nullCount() > 0 ? series.isNull().toArray() : undefined;
        const values = (nulls ? series.fillNull("zero") : series).toTypedArray();
        const piece = { ...pieceOf(values, values), isNull: nulls && ((i: number) => nulls[i]!) };
        return { name, type: { kind: "number" }, pieces: [piece], copiedBytes: values.byteLength };
      }
      if (!POLARS_CELLS.test(type)) return { name, type: { kind: "other", name: type }, pieces: [], copiedBytes: 0 };
      const cells = series.toArray();
      return {
        name,
        type: { kind: "cells" },
        pieces: [pieceOf(type === "Date" ? cells.map(dateOf) : cells, undefined)],
        copiedBytes: 8 * cells.length,
      };
    },
  };
}

/** Polars gives dates as Date, which are no keys; DuckDB and we write them so. */
function dateOf(cell: unknown): unknown {
  return cell instanceof Date && !Number.isNaN(cell.getTime()) ? cell.toISOString().slice(0, 10) : cell;
}

/** An object of columns. */
export function plainTable(table: Readonly<Record<string, unknown>>): MemoryTable {
  const names = Object.keys(table);
  let length: number | undefined;
  for (const name of names) {
    const column = table[name];
    if (typedArrayName(column) === undefined && !Array.isArray(column))
      throw new FourfoldError("ERR_FOURFOLD_COLUMN", `column ${show(name)} is ${show(column)}, expected an array`, {
        given: column,
        fix: "Give an object of columns, each a typed array or an array, or a table of a library that is known here",
        at: { column: name },
      });
    const { length: found } = column as ArrayLike<unknown>;
    length ??= found;
    if (found !== length)
      throw new FourfoldError("ERR_FOURFOLD_COLUMN", `column ${show(name)} has ${found} values, column ${show(names[0])} ${length}`, {
        given: found,
        expected: length,
        fix: "Give columns of one length",
        at: { column: name },
      });
  }
  return {
    what: "the table",
    names,
    column: (index): CellColumn => {
      const name = names[index]!;
      const column = table[name] as ArrayLike<unknown>;
      const type: CellKind = { kind: Array.isArray(column) ? "cells" : "number" };
      return { name, type, pieces: [pieceOf(column, Array.isArray(column) ? undefined : (column as Numbers))], copiedBytes: 0 };
    },
  };
}

function pieceOf(cells: ArrayLike<unknown>, values: Numbers | undefined): CellPiece {
  return { length: cells.length, values, shift: 0, isNull: undefined, at: (i) => cells[i], codes: undefined };
}
