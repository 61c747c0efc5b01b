/**
 * The nodes of a level by their keys: each key column has its distinct keys once, and a path of keys leads to the number of its node.
 * Nodes are numbered in the order in which they came; {@link Paths.sorted} gives them in order of key (contract clause 10a).
 */
import { FourfoldError, show } from "../errors.ts";
import { type ByteReader, type ByteWriter, isWellFormed } from "./bytes.ts";
import { fromLittleEndian, littleEndian } from "./encode.ts";
import { countingSort, sortedCodes } from "./group.ts";
import { compareKeys, type Key, plainKey } from "./key.ts";
import { KeyMap } from "./key-map.ts";
import { finish } from "./slices.ts";

/** Nodes, and distinct keys of a column: what a Map holds. */
const NUMBERS_MAX = 2 ** 24;

/** Bytes of a bigint key: 2,466 decimal digits, which every language prints without being asked twice. */
const BIGINT_BYTES_MAX = 1024;

/** What kind of key follows. */
const TAG = { null: 0, false: 1, true: 2, number: 3, positive: 4, negative: 5, text: 6 } as const;

/** Refuses a key that has no bytes. @throws FourfoldError ERR_FOURFOLD_KEYS */
export function checkKey(key: Key, column: string): void {
  const refuse = (problem: string, fix: string): never => {
    throw new FourfoldError("ERR_FOURFOLD_KEYS", `key column "${column}": ${show(key)} ${problem}`, { given: key, fix, at: { column } });
  };
  if (typeof key === "string" && !isWellFormed(key)) refuse("holds half of a surrogate pair, which UTF-8 cannot say", "Mend the text");
  if (typeof key === "bigint" && littleEndian(key < 0n ? -key : key).length > BIGINT_BYTES_MAX)
    refuse(`takes more than ${BIGINT_BYTES_MAX} bytes`, "Turn it into a string");
}

/** The distinct keys of one column. */
class Column {
  readonly #codes = new KeyMap();
  readonly keys: Key[] = [];
  /** Nodes come in order of key, so most keys are the one before again. */
  #last: Key | undefined;
  #lastCode = 0;

  /** The number of a key; it gets the next one if it is new. 2 and 2n are one key, shown as 2. */
  code(key: Key): number {
    if (key !== this.#last) {
      this.#lastCode = this.#find(key);
      this.#last = key;
    }
    return this.#lastCode;
  }

  #find(key: Key): number {
    const same = typeof key === "bigint" ? plainKey(key) : key;
    const known = this.#codes.get(same);
    if (known !== undefined) {
      if (typeof key === "number" && typeof this.keys[known] === "bigint") this.keys[known] = key;
      return known;
    }
    const code = this.keys.length;
    if (code === NUMBERS_MAX) throw tooMany("keys in one column");
    this.#codes.set(same, code);
    this.keys.push(key);
    return code;
  }
}

/** The second and later steps of paths: a step is known by where it starts and the key it takes. */
class Steps {
  readonly #places = new Map<number, number>();
  readonly starts: number[] = [];
  readonly codes: number[] = [];

  place(start: number, code: number): number {
    const step = start * NUMBERS_MAX + code;
    const known = this.#places.get(step);
    if (known !== undefined) return known;
    const place = this.starts.length;
    if (place === NUMBERS_MAX) throw tooMany("nodes");
    this.#places.set(step, place);
    this.starts.push(start);
    this.codes.push(code);
    return place;
  }
}

function tooMany(what: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_MEMORY", `a state holds at most ${NUMBERS_MAX} ${what}`, {
    expected: NUMBERS_MAX,
    fix: "Use several states, each for a part of the keys",
  });
}

/** Nodes in order of key. */
export interface SortedPaths {
  /** For each column, its keys in ascending order. */
  readonly columns: readonly (readonly Key[])[];
  /** For each column, the place of each node's key in `columns`. */
  readonly places: readonly Uint32Array[];
  /** The nodes in order. */
  readonly order: Uint32Array;
}

/** See the head of this file. */
export class Paths {
  readonly #columns: readonly Column[];
  readonly #steps: readonly Steps[];

  constructor(depth: number) {
    this.#columns = Array.from({ length: depth }, () => new Column());
    this.#steps = Array.from({ length: Math.max(0, depth - 1) }, () => new Steps());
  }

  /** Key columns; without any there is one node. */
  get depth(): number {
    return this.#columns.length;
  }

  get nodes(): number {
    return this.#columns.length === 0 ? 1 : (this.#steps.at(-1)?.starts ?? this.#columns[0]!.keys).length;
  }

  /** The node at a path, which is the next new one if there is none. */
  node(path: readonly Key[]): number {
    let place = 0;
    for (let column = 0; column < path.length; column++) {
      const code = this.#columns[column]!.code(path[column]!);
      place = column === 0 ? code : this.#steps[column - 1]!.place(place, code);
    }
    return place;
  }

  /** For each column, the key of each node. */
  keys(): Key[][] {
    return this.#codes().map((codes, column) => Array.from(codes, (code) => this.#columns[column]!.keys[code]!));
  }

  /** The nodes in order of key. */
  sorted(): SortedPaths {
    let order: Uint32Array = Uint32Array.from({ length: this.nodes }, (_, node) => node);
    const codes = this.#codes();
    const columns: Key[][] = [];
    for (let column = this.depth - 1; column >= 0; column--) {
      const { keys } = this.#columns[column]!;
      const ascending = finish(sortedCodes(keys));
      const rank = new Uint32Array(keys.length);
      for (let i = 0; i < ascending.length; i++) rank[ascending[i]!] = i;
      const places = codes[column]!;
      for (let node = 0; node < places.length; node++) places[node] = rank[places[node]!]!;
      columns.unshift(Array.from(ascending, (code) => keys[code]!));
      // Stable: the innermost column first.
      order = finish(countingSort(order, { codes: places, keys }));
    }
    return { columns, places: codes, order };
  }

  /** For each column, the number of each node's key. */
  #codes(): Uint32Array<ArrayBuffer>[] {
    const { nodes, depth } = this;
    const places = Uint32Array.from({ length: nodes }, (_, node) => node);
    const codes: Uint32Array<ArrayBuffer>[] = [];
    for (let column = depth - 1; column > 0; column--) {
      const steps = this.#steps[column - 1]!;
      const mine = new Uint32Array(nodes);
      for (let node = 0; node < nodes; node++) {
        mine[node] = steps.codes[places[node]!]!;
        places[node] = steps.starts[places[node]!]!;
      }
      codes.unshift(mine);
    }
    return depth === 0 ? [] : [places, ...codes];
  }
}

/** Writes the keys of each column in ascending order, each once. */
export function writeColumns(to: ByteWriter, columns: SortedPaths["columns"]): void {
  for (const keys of columns) {
    to.unsigned(keys.length);
    for (const key of keys) writeKey(to, key);
  }
}

/** Reads what {@link writeColumns} wrote. @throws FourfoldError ERR_FOURFOLD_STATE unless each key is there once, in order */
export function readColumns(from: ByteReader, depth: number): Key[][] {
  return Array.from({ length: depth }, () => {
    const keys: Key[] = [];
    for (let left = from.count(1); left > 0; left--) {
      const key = readKey(from);
      if (keys.length > 0 && compareKeys(keys.at(-1)!, key) >= 0) from.fail("has keys that are not sorted");
      keys.push(key);
    }
    return keys;
  });
}

/** Writes one key. */
export function writeKey(to: ByteWriter, key: Key): void {
  if (typeof key === "string") {
    to.byte(TAG.text);
    to.text(key);
  } else if (typeof key === "number") {
    to.byte(TAG.number);
    to.float(key);
  } else if (typeof key === "bigint") {
    to.byte(key < 0n ? TAG.negative : TAG.positive);
    const magnitude = key === 0n ? new Uint8Array(0) : littleEndian(key < 0n ? -key : key);
    to.unsigned(magnitude.length);
    to.bytes(magnitude);
  } else to.byte(key === null ? TAG.null : key ? TAG.true : TAG.false);
}

/** Reads what {@link writeKey} wrote. @throws FourfoldError ERR_FOURFOLD_STATE */
export function readKey(from: ByteReader): Key {
  const tag = from.byte();
  switch (tag) {
    case TAG.null:
      return null;
    case TAG.false:
    case TAG.true:
      return tag === TAG.true;
    case TAG.number: {
      const key = from.float();
      if (key !== key || Object.is(key, -0)) from.fail("has NaN or −0 as a key");
      return key;
    }
    case TAG.positive:
    case TAG.negative: {
      const magnitude = from.bytes(from.unsigned());
      if (magnitude.length > BIGINT_BYTES_MAX) from.fail(`has an integer key of more than ${BIGINT_BYTES_MAX} bytes`);
      if (magnitude.at(-1) === 0 || (magnitude.length === 0 && tag === TAG.negative))
        from.fail("has an integer key that is not in its shortest form");
      const key = fromLittleEndian(magnitude);
      return tag === TAG.negative ? -key : key;
    }
    case TAG.text:
      return from.text();
    default:
      return from.fail(`has a key of the kind ${tag}, expected 0 to 6`);
  }
}
