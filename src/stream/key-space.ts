/**
 * The nodes that a stream knows, by their keys: a number for each path of keys, the same in all windows, so that a key is looked up once and a
 * dictionary once for all its blocks. Numbers say nothing about order; {@link KeySpace.sorted} puts nodes in order of key (contract clause 10a).
 */
import { FourfoldError, show } from "../errors.ts";
import type { ByteReader, ByteWriter } from "../reduce/bytes.ts";
import { type NullKeys, sortedCodes } from "../reduce/group.ts";
import { type Key, plainKey } from "../reduce/key.ts";
import { KeyMap } from "../reduce/key-map.ts";
import type { KeyLayout } from "../reduce/layout.ts";
import { checkKey, Paths, readColumns, writeColumns } from "../reduce/paths.ts";
import { finish } from "../reduce/slices.ts";
import { PairSet } from "./int-tables.ts";
import type { DictionaryColumn, StreamKeys } from "./types.ts";

/** What a row has instead of a node: its keys are left out by `nullKeys`, or refused. */
export const SKIPPED = -1;
export const REFUSED = -2;
/** A dictionary entry that was not looked up yet. */
const UNKNOWN = -3;

/** Distinct keys of a column, and nodes: what a Map holds. */
const NUMBERS_MAX = 2 ** 24;

type Refuse = (row: number, error: FourfoldError) => void;

/** One key column. */
class Column {
  readonly name: string;
  readonly keys: Key[] = [];
  /** Keys that are shown in another way than they were. */
  respelt = 0;
  readonly #nullKeys: NullKeys;
  readonly #codes = new KeyMap();
  #dictionaries = new WeakMap<readonly Key[], Int32Array<ArrayBuffer>>();
  #last: unknown;
  #lastCode = UNKNOWN;
  #ranks = new Int32Array(0);

  constructor(name: string, nullKeys: NullKeys) {
    this.name = name;
    this.#nullKeys = nullKeys;
  }

  /** Writes the code of each row's key, or SKIPPED, or REFUSED. */
  resolve(keys: StreamKeys, rows: number, into: Int32Array, refuse: Refuse): void {
    if ("codes" in keys) this.#resolveCodes(keys, rows, into, refuse);
    else
      for (let row = 0; row < rows; row++) {
        const key = keys[row];
        if (key !== this.#last || this.#lastCode < 0) {
          this.#lastCode = this.code(key, row, refuse);
          this.#last = key;
        }
        into[row] = this.#lastCode;
      }
  }

  /** The code of a key, which is the next one if it is new. */
  code(given: Key | undefined, row: number, refuse: Refuse): number {
    const missing = given === null || given === undefined || given !== given;
    if (missing && this.#nullKeys === "skip") return SKIPPED;
    if (missing && this.#nullKeys === "error") {
      refuse(row, refusal(this.name, row, given, `is ${show(given)}`, 'Give it a key, or say nullKeys: "skip" or "group"'));
      return REFUSED;
    }
    const shown = missing ? null : Object.is(given, -0) ? 0 : given;
    const key = typeof shown === "bigint" ? plainKey(shown) : shown;
    const known = this.#codes.get(key);
    if (known !== undefined) {
      if (typeof shown === "number" && typeof this.keys[known] === "bigint") {
        this.keys[known] = shown;
        this.respelt++;
      }
      return known;
    }
    if (typeof key === "object" ? key !== null : !["string", "number", "bigint", "boolean"].includes(typeof key)) {
      refuse(row, refusal(this.name, row, given, `is ${show(key)}, expected a string, number, bigint or boolean`, "Turn it into one"));
      return REFUSED;
    }
    try {
      checkKey(key, this.name);
    } catch (error) {
      refuse(row, error as FourfoldError);
      return REFUSED;
    }
    if (this.keys.length === NUMBERS_MAX) throw tooMany("keys in one column");
    this.#codes.set(key, this.keys.length);
    return this.keys.push(shown) - 1;
  }

  /** The places of all keys in ascending order, as far as they are known: those of keys that came since are missing. */
  ranks(): Int32Array {
    if (this.#ranks.length < this.keys.length) this.#ranks = ranksOf(this.keys);
    return this.#ranks;
  }

  get isRanked(): boolean {
    return this.#ranks.length === this.keys.length;
  }

  #resolveCodes({ codes, dictionary }: DictionaryColumn, rows: number, into: Int32Array, refuse: Refuse): void {
    let known = this.#dictionaries.get(dictionary);
    if (known === undefined || known.length < dictionary.length) {
      const more = new Int32Array(dictionary.length).fill(UNKNOWN);
      if (known !== undefined) more.set(known);
      known = more;
      this.#dictionaries.set(dictionary, known);
    }
    for (let row = 0; row < rows; row++) {
      const place = codes[row]!;
      const code = known[place];
      into[row] = code !== undefined && code >= SKIPPED ? code : this.#entry(dictionary, known, place, row, refuse);
    }
  }

  #entry(dictionary: readonly Key[], known: Int32Array, place: number, row: number, refuse: Refuse): number {
    if (!(place >= 0 && place < dictionary.length)) {
      const problem = `has the code ${show(place)} of a dictionary of ${dictionary.length}`;
      refuse(row, refusal(this.name, row, place, problem, "Give codes of the dictionary"));
      return REFUSED;
    }
    const code = this.code(dictionary[place], row, refuse);
    if (code >= SKIPPED) known[place] = code;
    return code;
  }
}

function ranksOf(keys: readonly Key[]): Int32Array<ArrayBuffer> {
  const ranks = new Int32Array(keys.length);
  const ascending = finish(sortedCodes(keys));
  for (let i = 0; i < ascending.length; i++) ranks[ascending[i]!] = i;
  return ranks;
}

function refusal(column: string, row: number, given: unknown, problem: string, fix: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_KEYS", `key column "${column}": entry ${row} ${problem}`, { given, fix, at: { column, row } });
}

function tooMany(what: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_MEMORY", `a stream knows at most ${NUMBERS_MAX} ${what} at a time`, {
    expected: NUMBERS_MAX,
    fix: "Use several streams, each for a part of the keys, or shorter windows",
  });
}

/** See the head of this file. */
export class KeySpace {
  readonly #names: readonly string[];
  readonly #nullKeys: NullKeys;
  /** Columns that name nodes of level f: the leading ones. */
  readonly depth: number;
  #columns: readonly Column[] = [];
  /** The second and later steps of paths. */
  #steps: readonly PairSet[] = [];
  #codes = new Int32Array(0);
  /** All nodes in order of key, as far as they were known when one was asked for, and the place of each there. */
  #inOrder = new Int32Array(0);
  #rank = new Int32Array(0);

  constructor({ names, depths }: KeyLayout, nullKeys: NullKeys) {
    this.#names = names;
    this.#nullKeys = nullKeys;
    this.depth = depths[0]!;
    this.#clear();
  }

  /** Nodes known; without key columns there is one. */
  get nodes(): number {
    return this.depth === 0 ? 1 : this.depth === 1 ? this.#columns[0]!.keys.length : this.#steps.at(-1)!.size;
  }

  /** Nodes known, or keys of one column if they are more: what memory grows with. */
  get size(): number {
    return this.#columns.reduce((most, { keys }) => Math.max(most, keys.length), this.nodes);
  }

  /** Keys that are shown in another way than they were: as a number, where they had come as bigints. */
  get respelt(): number {
    return this.#columns.reduce((sum, { respelt }) => sum + respelt, 0);
  }

  /** Forgets all nodes but these. Gives the new number of each old node that stays. */
  compact(live: Int32Array): Int32Array {
    const numbers = new Int32Array(this.nodes);
    const paths = Array.from(live, (node) => this.path(node, this.depth));
    this.#clear();
    paths.forEach((path, i) => {
      numbers[live[i]!] = this.node(path);
    });
    return numbers;
  }

  /** Writes nodes in order of key, and gives them in that order. */
  write(to: ByteWriter, nodes: Int32Array): Int32Array {
    const paths = new Paths(this.depth);
    for (const node of nodes) paths.node(this.path(node, this.depth));
    const { columns, places, order } = paths.sorted();
    writeColumns(to, columns);
    if (this.depth === 0) return Int32Array.of(0);
    to.unsigned(order.length);
    for (const node of order) for (const column of places) to.unsigned(column[node]!);
    return Int32Array.from(order, (i) => nodes[i]!);
  }

  /** Reads what {@link KeySpace.write} wrote and gives the nodes. @throws FourfoldError ERR_FOURFOLD_STATE */
  read(from: ByteReader): Int32Array {
    const columns = readColumns(from, this.depth);
    if (this.depth === 0) return Int32Array.of(0);
    const nodes = new Int32Array(from.count(this.depth));
    for (let i = 0; i < nodes.length; i++) {
      const path = columns.map((keys): Key => {
        const place = from.unsigned();
        if (place >= keys.length) from.fail(`has a node with key ${place} of ${keys.length}`);
        if (keys[place] === null && this.#nullKeys !== "group") from.fail("has a null key");
        return keys[place]!;
      });
      nodes[i] = this.node(path);
      if (nodes[i] !== i) from.fail("has a node twice");
    }
    return nodes;
  }

  /** Writes the node of each row, or SKIPPED, or REFUSED, having said why. @throws FourfoldError ERR_FOURFOLD_KEYS for missing columns */
  resolve(columns: readonly StreamKeys[], rows: number, into: Int32Array, refuse: Refuse): void {
    if (columns.length !== this.#columns.length) throw wrongColumns(columns.length, this.#columns.length);
    into.fill(0, 0, rows);
    const said: Refuse = (row, error) => {
      if (into[row] !== REFUSED) refuse(row, error);
      into[row] = REFUSED;
    };
    if (this.#codes.length < rows) this.#codes = new Int32Array(rows);
    for (const [i, column] of this.#columns.entries()) {
      const keys = columns[i]!;
      const length = "codes" in keys ? keys.codes.length : keys.length;
      if (length < rows) throw shortColumn(column.name, length, rows);
      // The first column's codes are nodes; later ones are steps from there.
      const codes = i === 0 && this.depth > 0 ? into : this.#codes;
      column.resolve(keys, rows, codes, said);
      if (codes !== into) this.#step(i < this.depth ? this.#steps[i - 1]! : undefined, codes, into, rows);
    }
  }

  /** The node at a path. */
  node(path: readonly Key[]): number {
    let place = 0;
    path.forEach((key, i) => {
      const code = this.#columns[i]!.code(key, 0, (_, error) => {
        throw error;
      });
      place = i === 0 ? code : this.#steps[i - 1]!.number(place, code);
    });
    if (this.nodes > NUMBERS_MAX) throw tooMany("nodes");
    return place;
  }

  /** What the leading `depth` columns of a place of `from` columns are: a place among those, 0 for depth 0. */
  above(at: number, depth: number, from: number = this.depth): number {
    if (depth === 0) return 0;
    let place = at;
    for (let column = from - 1; column >= depth; column--) place = this.#steps[column - 1]!.first(place);
    return place;
  }

  /** The last key of the path of a node of `depth` columns. */
  key(place: number, depth: number): Key {
    return this.#columns[depth - 1]!.keys[depth === 1 ? place : this.#steps[depth - 2]!.second(place)]!;
  }

  /** The path of a node of `depth` columns. */
  path(place: number, depth: number): Key[] {
    const path: Key[] = [];
    for (let at = place, column = depth; column > 0; column--) {
      path.unshift(this.key(at, column));
      if (column > 1) at = this.#steps[column - 2]!.first(at);
    }
    return path;
  }

  /** The nodes in order of key. */
  sorted(nodes: Int32Array): Int32Array {
    const isNew = nodes.some((node) => node >= this.#rank.length);
    // Ranking all nodes costs some sorts of these, and serves windows to come.
    if (isNew && this.nodes > 4 * nodes.length) return this.#sort(nodes);
    if (isNew) {
      this.#inOrder = this.#sort(Int32Array.from({ length: this.nodes }, (_, node) => node));
      this.#rank = new Int32Array(this.nodes);
      for (const [place, node] of this.#inOrder.entries()) this.#rank[node] = place;
    }
    const [order, rank] = [this.#inOrder, this.#rank];
    return nodes
      .map((node) => rank[node]!)
      .sort()
      .map((place) => order[place]!);
  }

  #sort(nodes: Int32Array): Int32Array<ArrayBuffer> {
    const n = nodes.length;
    let order = Uint32Array.from({ length: n }, (_, i) => i);
    const places = Int32Array.from(nodes);
    // Stable sorts, the innermost column first.
    for (let column = this.depth - 1; column >= 0; column--) {
      const codes = new Int32Array(n);
      const steps = column > 0 ? this.#steps[column - 1]! : undefined;
      for (let i = 0; i < n; i++) {
        codes[i] = steps ? steps.second(places[i]!) : places[i]!;
        if (steps) places[i] = steps.first(places[i]!);
      }
      const ranks = this.#ranks(this.#columns[column]!, codes);
      order = order.sort((a, b) => ranks[a]! - ranks[b]!);
    }
    return Int32Array.from(order, (i) => nodes[i]!);
  }

  /** The place of each entry's key in ascending order. Ranking all keys of a column serves later calls, too, unless it has many more. */
  #ranks(column: Column, codes: Int32Array): Int32Array {
    if (column.isRanked || column.keys.length <= 4 * codes.length) {
      const ranks = column.ranks();
      return codes.map((code) => ranks[code]!);
    }
    const distinct = [...new Set(codes)];
    const ranks = ranksOf(distinct.map((code) => column.keys[code]!));
    const rankOf = new Map(distinct.map((code, i) => [code, ranks[i]!]));
    return codes.map((code) => rankOf.get(code)!);
  }

  #clear(): void {
    this.#columns = this.#names.map((name) => new Column(name, this.#nullKeys));
    this.#steps = Array.from({ length: Math.max(0, this.depth - 1) }, () => new PairSet());
    this.#inOrder = new Int32Array(0);
    this.#rank = new Int32Array(0);
  }

  #step(steps: PairSet | undefined, codes: Int32Array, into: Int32Array, rows: number): void {
    for (let row = 0; row < rows; row++) {
      const code = codes[row]!;
      const place = into[row]!;
      if (code < 0 || place < 0) into[row] = Math.min(code, place);
      else if (steps) into[row] = steps.number(place, code);
    }
    if (this.nodes > NUMBERS_MAX) throw tooMany("nodes");
  }
}

function wrongColumns(given: number, expected: number): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_KEYS", `the rows have ${given} key columns, the stream ${expected}`, {
    given,
    expected,
    fix: "Give one column for each key of the stream",
  });
}

function shortColumn(column: string, given: number, expected: number): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_KEYS", `key column "${column}" has ${given} entries for ${expected} rows`, {
    given,
    expected,
    fix: "Give one key for each row",
    at: { column },
  });
}
