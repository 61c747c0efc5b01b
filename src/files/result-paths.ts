/** Keys of a path as people write them, and what to say where there is no such node. */
import { FourfoldError, nearest, show } from "../errors.ts";
import type { Key } from "../reduce/key.ts";

/** The error for a node or level that is not in a result. */
export function missing(message: string, given: unknown, fix: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_LEVEL", message, { given, fix });
}

/** The codes of a key: its own, then those of keys with the same text. */
export function codesOf(dictionary: readonly Key[], key: Key): number[] {
  const own: number[] = [];
  const alike: number[] = [];
  for (const [code, one] of dictionary.entries()) {
    if (one === key) own.push(code);
    else if (String(one) === String(key)) alike.push(code);
  }
  return [...own, ...alike];
}

/** Keys that are looked at to find the nearest, and keys that are named. */
const CANDIDATES_MAX = 10_000;
const NAMED_MAX = 8;

/** The error for a key that is not among `codes`, with the nearest. */
export function noKey(name: string, key: Key, path: readonly Key[], codes: Uint32Array, dictionary: readonly Key[]): FourfoldError {
  const there = new Set<string>();
  for (let i = 0; i < codes.length && there.size < CANDIDATES_MAX; i++) there.add(String(dictionary[codes[i]!]));
  const texts = [...there];
  const meant = nearest(String(key), texts);
  const named = `${texts.slice(0, NAMED_MAX).join(", ")}${texts.length > NAMED_MAX ? ", …" : ""}`;
  const where = path.length === 0 ? "" : ` in ${path.map(String).join("/")}`;
  return missing(
    `there is no ${name} ${show(key)}${where}`,
    key,
    `${meant === undefined ? "" : `Did you mean ${meant}? `}There are ${named}`,
  );
}
