/** Values and keys as text: JSON that reads back to the same bits, and cells of CSV that no spreadsheet runs. */
import type { Key } from "./key.ts";

/**
 * A number in JSON: the shortest digits that read back as the same float64; NaN and the infinities, which JSON lacks, as strings. "-0.0" and
 * not "-0", which readers with integers take for 0.
 */
export function jsonNumber(value: number): string {
  return Number.isFinite(value) ? numberCell(value) : `"${value}"`;
}

/** A key in JSON; a bigint as a string, for readers would round it. */
export function jsonKey(key: Key): string {
  if (typeof key === "bigint") return `"${key}"`;
  return typeof key === "number" ? jsonNumber(key) : JSON.stringify(key);
}

/** A list of numbers in JSON. */
export function jsonNumbers(values: Iterable<number>): string {
  return `[${Array.from(values, jsonNumber).join(",")}]`;
}

/** A line of CSV as RFC 4180 has it. */
export function csvRow(cells: readonly string[]): string {
  return `${cells.join(",")}\r\n`;
}

/** A number as a cell, with the digits that read back as the same float64. */
export function numberCell(value: number): string {
  return Object.is(value, -0) ? "-0.0" : String(value);
}

/** A key as a cell; empty for null. */
export function keyCell(key: Key): string {
  if (key === null) return "";
  if (typeof key === "string") return textCell(key);
  return typeof key === "number" ? numberCell(key) : String(key);
}

/** A text cell, quoted where RFC 4180 wants it; an apostrophe keeps a spreadsheet from running it as a formula. */
export function textCell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return safe === "" || /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** The big-endian bytes of a float64 in hexadecimal. */
export function hexBits(value: number): string {
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setFloat64(0, value);
  return bytes.getBigUint64(0).toString(16).padStart(16, "0");
}

/** Names of key columns beside columns that are always there: one with the name of such a column says that it is a key. */
export function keyNames(keys: readonly string[], taken: readonly string[]): string[] {
  return keys.map((name) => (taken.includes(name) ? `key ${name}` : name));
}
