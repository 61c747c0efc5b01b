/** What a key column holds, found from its keys; and the one text of a key in a column of several kinds. */
import { numberCell } from "../../reduce/cells.ts";
import type { Key } from "../../reduce/key.ts";

/** What a column holds. */
export type ColumnKind = "text" | "int64" | "float64" | "bool";

/** What was seen in a column, as bits. */
const TEXT = 1;
const BOOL = 2;
/** An integer that int64 and float64 both hold. */
const INTEGER = 4;
/** A number that only float64 holds. */
const FRACTION = 8;
/** An integer that only int64 holds. */
const LONG = 16;
/** An integer that neither holds. */
const HUGE = 32;

/** The kinds of some key columns. */
export interface KeyKinds {
  /** Takes one path into account. */
  see(path: readonly Key[]): void;
  of(column: number): ColumnKind;
  /** True for a column of text that holds keys of other kinds, too, or integers that no column of numbers holds: see {@link mixedText}. */
  isMixed(column: number): boolean;
}

/** Kinds of `columns` columns; `none` is that of a column without keys. */
export function kindsOf(columns: number, none: ColumnKind): KeyKinds {
  const seen = new Uint8Array(columns);
  const last: (Key | undefined)[] = Array.from({ length: columns });
  const of = (column: number): ColumnKind => {
    const bits = seen[column]!;
    if (bits === 0) return none;
    if (bits === BOOL) return "bool";
    if ((bits & ~(INTEGER | LONG)) === 0) return "int64";
    if ((bits & ~(INTEGER | FRACTION)) === 0) return "float64";
    return "text";
  };
  return {
    see(path) {
      for (let i = 0; i < path.length; i++) {
        const key = path[i]!;
        if (key === last[i]) continue; // nodes come in order of key
        last[i] = key;
        if (key !== null) seen[i]! |= bitOf(key);
      }
    },
    of,
    isMixed: (column) => of(column) === "text" && (seen[column]! & ~TEXT) !== 0,
  };
}

function bitOf(key: Exclude<Key, null>): number {
  if (typeof key === "string") return TEXT;
  if (typeof key === "boolean") return BOOL;
  if (typeof key === "number") return Number.isInteger(key) && key >= -(2 ** 63) && key < 2 ** 63 ? INTEGER : FRACTION;
  const isLong = BigInt.asIntN(64, key) === key;
  const near = Number(key);
  const isNumber = Number.isFinite(near) && BigInt(near) === key;
  return isLong ? (isNumber ? INTEGER : LONG) : isNumber ? FRACTION : HUGE;
}

/** What numbers and booleans look like as text. */
const OTHER_KIND = /^(?:true|false|-?Infinity|-?\d+(?:\.\d+)?(?:e[+-]\d+)?)$/;

/**
 * The text of a key in a column of several kinds, different for different keys: numbers and booleans as they are written, strings as they are,
 * but as JSON, in quotes, where they look like a number or a boolean or begin with a quote.
 */
export function mixedText(key: Exclude<Key, null>): string {
  if (typeof key === "number") return numberCell(key);
  if (typeof key !== "string") return String(key);
  return key.startsWith('"') || OTHER_KIND.test(key) ? JSON.stringify(key) : key;
}
