/** Tables in memory, of whatever library, as columns in pieces. What a library calls its parts is known to the adapters beside this file only. */

import type { Numbers } from "../arrow/numbers.ts";
import { FourfoldError, nearest, show } from "../errors.ts";
import type { TimeUnit } from "./key-text.ts";

/** What a column holds. `number` lies in a typed array as its own type; `half` as the bits of a float16; `bits` as one bit for each value. */
export type CellKind =
  | { readonly kind: "number" }
  | { readonly kind: "half" }
  | { readonly kind: "bits" }
  | { readonly kind: "cells" }
  | { readonly kind: "date" }
  | { readonly kind: "timestamp"; readonly unit: TimeUnit; readonly hasZone: boolean }
  | { readonly kind: "other"; readonly name: string };

/** Values of a column that lie together. */
export interface CellPiece {
  readonly length: number;
  /** As they lie, from the first value on, rubbish where one is null; undefined for kinds that do not lie in typed arrays. */
  readonly values: Numbers | undefined;
  /** Which bit of `values` is the first value's, where they are bits. */
  readonly shift: number;
  /** Undefined where none is null. */
  readonly isNull: ((i: number) => boolean) | undefined;
  /** A value as a JavaScript value. */
  readonly at: (i: number) => unknown;
  /** Set where values are codes: equal codes are equal values. */
  readonly codes: ArrayLike<number | bigint> | undefined;
}

/** A column of a table in memory. */
export interface CellColumn {
  readonly name: string;
  readonly type: CellKind;
  readonly pieces: readonly CellPiece[];
  /** Bytes that the adapter itself has copied. */
  readonly copiedBytes: number;
  /** True if the values lie in memory that ends with the table: they are copied even where they could be used. */
  readonly isBorrowed?: boolean;
}

/** A table in memory. */
export interface MemoryTable {
  /** What messages call it. */
  readonly what: string;
  readonly names: readonly string[];
  readonly column: (index: number) => CellColumn;
}

/** The column of that name. @throws FourfoldError ERR_FOURFOLD_COLUMN */
export function cellColumn(table: MemoryTable, name: unknown, role: string): CellColumn {
  const { names, what } = table;
  const places = names.flatMap((other, i) => (other === name ? [i] : []));
  if (places.length === 1) return table.column(places[0]!);
  if (places.length > 1)
    throw new FourfoldError("ERR_FOURFOLD_COLUMN", `${role}: ${what} has ${places.length} columns called ${show(name)}`, {
      given: name,
      at: { column: String(name) },
      fix: "Name the columns apart where the table is made",
    });
  const meant = typeof name === "string" ? nearest(name, names) : undefined;
  throw new FourfoldError("ERR_FOURFOLD_COLUMN", `${role}: ${what} has no column ${show(name)}; it has ${names.slice(0, 40).join(", ")}`, {
    given: name,
    expected: names,
    at: { column: String(name) },
    fix: meant === undefined ? "Name one of its columns" : `Did you mean ${show(meant)}?`,
  });
}

/** The error for a column whose values are not what its role takes. */
export function wrongType(column: string, role: string, given: unknown, expected: string, fix: string, row?: number): FourfoldError {
  const where = row === undefined ? "" : `, row ${row}`;
  return new FourfoldError("ERR_FOURFOLD_COLUMN", `${role}: column ${show(column)}${where} is ${show(given)}, expected ${expected}`, {
    given,
    expected,
    fix,
    at: { column, ...(row === undefined ? {} : { row }) },
  });
}
