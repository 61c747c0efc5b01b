/** One key of a node: what it may be, and the order of keys (contract clause 10a). */

/** One value of a key column. */
export type Key = string | number | bigint | boolean | null;

/** A column of keys, one entry for each record. */
export type KeyColumn = ArrayLike<Key | undefined>;

const KINDS = ["object", "boolean", "number", "bigint", "string"]; // typeof null is "object": null comes first

const numeric = (key: Key): boolean => typeof key === "number" || typeof key === "bigint";

/** Null, then booleans, numbers by value, strings by code point. */
export function compareKeys(a: Key, b: Key): number {
  if (typeof a !== typeof b && !(numeric(a) && numeric(b))) return KINDS.indexOf(typeof a) - KINDS.indexOf(typeof b);
  if (typeof a === "string") return compareCodePoints(a, b as string);
  return a! < b! ? -1 : a! > b! ? 1 : 0;
}

/** Surrogates stand for code points above all other units. */
const aboveUnits = (unit: number): number => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit);

function compareCodePoints(a: string, b: string): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    return aboveUnits(x) - aboveUnits(y);
  }
  return a.length - b.length;
}

/** 2 and 2n are one key: the number that a bigint equals, or the bigint where float64 has none. */
export function plainKey(key: bigint): Key {
  const number = Number(key);
  return Number.isFinite(number) && BigInt(number) === key ? number : key;
}

/** A path of keys as one string, equal for equal paths: 2 and 2n are one key, "2" is another. */
export function pathId(path: readonly Key[]): string {
  return path.map((key) => (typeof key === "string" ? JSON.stringify(key) : String(key))).join("/");
}
