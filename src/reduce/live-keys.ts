/** The distinct keys of one column of a live tree, numbered. A key that no path uses any more gives its number back. */
import { countingSort, sortedCodes } from "./group.ts";
import { type Key, plainKey } from "./key.ts";
import { KeyMap } from "./key-map.ts";
import { finish } from "./slices.ts";

/** Distinct keys of a column: what a Map holds. */
const KEYS_MAX = 2 ** 24;

/** Bytes of one key: its places in a Map and a list, and a short string; estimated. */
const KEY_BYTES = 64;

/** See the head of this file. */
export class LiveKeys {
  readonly #codes = new KeyMap();
  readonly #keys: (Key | undefined)[] = [];
  readonly #free: number[] = [];
  /** How many steps take each key. */
  readonly #uses: number[] = [];
  #ranks: Uint32Array | undefined;

  /** How many numbers there are, those that are free included. */
  get length(): number {
    return this.#keys.length;
  }

  get bytes(): number {
    return KEY_BYTES * (this.#keys.length - this.#free.length);
  }

  /** True if no further key has room. */
  get isFull(): boolean {
    return this.#free.length === 0 && this.#keys.length >= KEYS_MAX;
  }

  key(code: number): Key {
    return this.#keys[code]!;
  }

  /** The number of a key, or −1. 2 and 2n are one key. */
  find(key: Key): number {
    return this.#codes.get(typeof key === "bigint" ? plainKey(key) : key) ?? -1;
  }

  /** The number of a key, which gets one if it has none. */
  code(key: Key): number {
    const known = this.find(key);
    if (known >= 0) {
      if (typeof key === "number" && typeof this.#keys[known] === "bigint") this.#keys[known] = key; // shown as the number (clause 10a)
      return known;
    }
    const code = this.#free.pop() ?? this.#keys.length;
    this.#codes.set(typeof key === "bigint" ? plainKey(key) : key, code);
    this.#keys[code] = key;
    this.#uses[code] = 0;
    this.#ranks = undefined;
    return code;
  }

  /** Counts one more step that takes a key. */
  hold(code: number): void {
    this.#uses[code]!++;
  }

  /** Counts one less; the last one takes the key away. */
  release(code: number): void {
    if (--this.#uses[code]! > 0) return;
    const key = this.#keys[code]!;
    this.#codes.delete(typeof key === "bigint" ? plainKey(key) : key);
    this.#keys[code] = undefined;
    this.#free.push(code);
    this.#ranks = undefined;
  }

  /** The place of each numbered key among all of them in ascending order (clause 10a). */
  ranks(): Uint32Array {
    if (this.#ranks === undefined) {
      const codes: number[] = [];
      for (let code = 0; code < this.#keys.length; code++) if (this.#keys[code] !== undefined) codes.push(code);
      const ascending = finish(sortedCodes(codes.map((code) => this.#keys[code]!)));
      this.#ranks = new Uint32Array(this.#keys.length);
      for (let i = 0; i < ascending.length; i++) this.#ranks[codes[ascending[i]!]!] = i;
    }
    return this.#ranks;
  }
}

/** Sorts ids by a code of each, stably. */
export function sortBy(ids: Uint32Array, codes: Uint32Array, codesMax: number): Uint32Array {
  return finish(countingSort(ids, { codes, keys: { length: codesMax } }));
}
