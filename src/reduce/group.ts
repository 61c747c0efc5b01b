/**
 * Keyed records → a tree: records with equal keys become the children of one node (contract clauses 1 and 10a).
 * Pure. Written as generators that yield between slices of work, so that the engine can let the event loop breathe.
 */
import { FourfoldError, show } from "../errors.ts";
import type { Chain } from "./chain.ts";
import { compareKeys, type Key, type KeyColumn } from "./key.ts";
import { KeyMap } from "./key-map.ts";
import { SLICE } from "./slices.ts";
import { readRagged, type Tree } from "./tree.ts";

/** The keys of a level's nodes: one column for each key name, one entry for each node. */
export interface LevelKeys {
  readonly names: readonly string[];
  readonly columns: readonly (readonly Key[])[];
}

/** Grouped records: record `order[i]` stands at leaf i. */
export interface Grouping {
  readonly tree: Tree;
  readonly keys: readonly LevelKeys[];
  readonly order: Uint32Array;
}

/** What to do with null and NaN keys. */
export type NullKeys = "error" | "skip" | "group";

/**
 * Groups n records by key columns, outermost first. `by[i]`, one for each level of the chain and never rising,
 * is the number of leading columns that name the nodes of level i; 0 means one node.
 * @throws FourfoldError ERR_FOURFOLD_KEYS for null keys (unless `nullKeys` says otherwise) and columns of another length
 */
export function* groupRecords(
  chain: Chain,
  n: number,
  columns: Readonly<Record<string, KeyColumn>>,
  by: readonly number[],
  nullKeys: NullKeys,
): Generator<void, Grouping> {
  const names = Object.keys(columns);
  const encoded: Encoded[] = [];
  for (const name of names) encoded.push(yield* encode(name, columns[name]!, n, nullKeys));
  let order = yield* keptRecords(n, encoded);
  if (order.length < n) for (const [i, column] of encoded.entries()) yield* settleTwins(column, columns[names[i]!]!, order);
  // A stable counting sort by each column, the innermost first, puts records in key order.
  for (const column of [...encoded].reverse()) order = yield* countingSort(order, column);

  const offsets: Uint32Array[] = [];
  const keys: LevelKeys[] = [];
  let heads: Uint32Array | undefined; // for each node of the level inside, the place of its first record in `order`
  for (const depth of by) {
    const groups = yield* cutGroups(order, encoded.slice(0, depth), heads);
    const columns: Key[][] = [];
    for (const column of encoded.slice(0, depth)) columns.push(yield* keysAt(column, order, groups.heads));
    keys.push({ names: names.slice(0, depth), columns });
    offsets.push(groups.offsets);
    heads = groups.heads;
  }
  const tree = yield* readRagged(chain, offsets, order.length, "records");
  return { tree: by.at(-1) === 0 ? { ...tree, frames: [] } : tree, keys, order };
}

/** The keys of a column at the places where nodes start. */
function* keysAt({ codes, keys }: Encoded, order: Uint32Array, heads: Uint32Array): Generator<void, Key[]> {
  const found: Key[] = [];
  for (let node = 0; node < heads.length; node++) {
    found.push(keys[codes[order[heads[node]!]!]!]!);
    if (node % SLICE === SLICE - 1) yield;
  }
  return found;
}

/** A column as codes: record i has the key keys[codes[i]]; keys ascend; code keys.length means "skip". */
export interface Encoded {
  readonly codes: Uint32Array;
  readonly keys: Key[];
  /** The codes of keys that came as number and as bigint, with the bigint. They are shown as the number. */
  readonly twins?: ReadonlyMap<number, bigint>;
}

/** Shows a bigint as it came where all records that have it as a number were left out. */
function* settleTwins({ codes, keys, twins = new Map() }: Encoded, column: KeyColumn, order: Uint32Array): Generator<void> {
  if (twins.size === 0) return;
  const asNumber = new Set<number>();
  for (let i = 0; i < order.length; i++) {
    const record = order[i]!;
    if (typeof column[record] === "number") asNumber.add(codes[record]!);
    if (i % SLICE === SLICE - 1) yield;
  }
  for (const [code, key] of twins) if (!asNumber.has(code)) keys[code] = key;
}

function* encode(name: string, column: KeyColumn, n: number, nullKeys: NullKeys): Generator<void, Encoded> {
  if (typeof column !== "object" || column === null || column.length === undefined)
    throw new FourfoldError("ERR_FOURFOLD_KEYS", `key column "${name}" is ${show(column)}, expected an array`, {
      given: column,
      fix: "Give one key for each value",
      at: { column: name },
    });
  if (column.length !== n)
    throw new FourfoldError("ERR_FOURFOLD_KEYS", `key column "${name}" has ${column.length} entries for ${n} values`, {
      given: column.length,
      expected: n,
      fix: "Give one key for each value",
      at: { column: name },
    });
  const codeOf = new KeyMap();
  const found: Key[] = []; // by code, in the order of their first records
  const codes = new Uint32Array(n);
  for (let i = 0; i < n; i++) {
    const given = column[i];
    const missing = given === null || given === undefined || given !== given;
    if (missing && nullKeys === "error")
      throw new FourfoldError("ERR_FOURFOLD_KEYS", `key column "${name}": entry ${i} is ${show(given)}`, {
        given,
        expected: "a key",
        fix: 'Give it a key, or say nullKeys: "skip" or "group"',
        at: { column: name, row: i },
      });
    const key: Key = missing ? null : Object.is(given, -0) ? 0 : given;
    let code = codeOf.get(key);
    if (code === undefined) {
      if (typeof key === "object" && key !== null)
        throw new FourfoldError(
          "ERR_FOURFOLD_KEYS",
          `key column "${name}": entry ${i} is ${show(key)}, expected a string, number, bigint or boolean`,
          {
            given: key,
            fix: "Turn it into one, for example a date into its ISO string",
            at: { column: name, row: i },
          },
        );
      code = found.length;
      codeOf.set(key, code);
      found.push(key);
    }
    codes[i] = code;
    if (i % SLICE === SLICE - 1) yield;
  }
  const keys: Key[] = [];
  const twins = new Map<number, bigint>();
  const rank = new Uint32Array(found.length);
  let skipped = -1;
  const ascending = yield* sortedCodes(found);
  for (let i = 0; i < ascending.length; i++) {
    const code = ascending[i]!;
    const key = found[code]!;
    if (key === null && nullKeys === "skip") skipped = code;
    else {
      // 2 and 2n are one key, whichever came first.
      const last = keys[keys.length - 1];
      if (last === undefined || typeof last === typeof key || compareKeys(last, key) < 0) keys.push(key);
      else {
        const [number, bigint] = typeof key === "number" ? [key, last] : [last, key];
        keys[keys.length - 1] = number;
        twins.set(keys.length - 1, bigint as bigint);
      }
      rank[code] = keys.length - 1;
    }
    if (i % SLICE === SLICE - 1) yield;
  }
  if (skipped >= 0) rank[skipped] = keys.length;
  for (let i = 0; i < n; i++) {
    codes[i] = rank[codes[i]!]!;
    if (i % SLICE === SLICE - 1) yield;
  }
  return { codes, keys, twins };
}

/** Codes that are sorted at one go: a millisecond or two of comparisons. */
const RUN = 1024;

/** True if `<` orders these keys as {@link compareKeys} does, which takes four times as long: numbers alone, or strings without surrogates. */
function* comparable(keys: readonly Key[]): Generator<void, boolean> {
  const type = typeof keys[0];
  if (type !== "number" && type !== "string") return false;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    if (typeof key !== type || (typeof key === "string" && /[\ud800-\udfff]/.test(key))) return false;
    if (i % SLICE === SLICE - 1) yield;
  }
  return true;
}

const plainly = (a: Key, b: Key): number => (a! < b! ? -1 : a! > b! ? 1 : 0);

/** The codes of distinct keys in ascending order of key: runs are sorted, then merged in pairs. */
export function* sortedCodes(keys: readonly Key[]): Generator<void, Uint32Array> {
  const n = keys.length;
  const before = (yield* comparable(keys)) ? plainly : compareKeys;
  const compare = (a: number, b: number): number => before(keys[a]!, keys[b]!);
  let from = new Uint32Array(n);
  for (let code = 0; code < n; code++) from[code] = code;
  for (let start = 0; start < n; start += RUN) {
    from.subarray(start, start + RUN).sort(compare);
    yield;
  }
  let to = new Uint32Array(n);
  for (let width = RUN; width < n; width *= 2) {
    for (let start = 0; start < n; start += 2 * width) {
      const middle = Math.min(start + width, n);
      const end = Math.min(middle + width, n);
      for (let i = start, left = start, right = middle; i < end; i++) {
        to[i] = right === end || (left < middle && compare(from[left]!, from[right]!) <= 0) ? from[left++]! : from[right++]!;
        if (i % SLICE === SLICE - 1) yield;
      }
    }
    [from, to] = [to, from];
  }
  return from;
}

function* keptRecords(n: number, columns: readonly Encoded[]): Generator<void, Uint32Array> {
  const order = new Uint32Array(n);
  let kept = 0;
  for (let i = 0; i < n; i++) {
    let keep = true;
    for (const { codes, keys } of columns) if (codes[i] === keys.length) keep = false;
    if (keep) order[kept++] = i;
    if (i % SLICE === SLICE - 1) yield;
  }
  return order.subarray(0, kept);
}

/** Sorts places by the code at each, stably; codes are below `keys.length`. */
export function* countingSort(
  order: Uint32Array,
  { codes, keys }: { readonly codes: Uint32Array; readonly keys: { readonly length: number } },
): Generator<void, Uint32Array> {
  const next = new Uint32Array(keys.length + 1);
  for (let i = 0; i < order.length; i++) {
    next[codes[order[i]!]! + 1]!++;
    if (i % SLICE === SLICE - 1) yield;
  }
  for (let code = 1; code < next.length; code++) next[code]! += next[code - 1]!;
  const sorted = new Uint32Array(order.length);
  for (let i = 0; i < order.length; i++) {
    const record = order[i]!;
    sorted[next[codes[record]!]!++] = record;
    if (i % SLICE === SLICE - 1) yield;
  }
  return sorted;
}

/** Cuts places in `order` (or the nodes that start at the places `inner`) into groups that agree in all columns. */
function* cutGroups(
  order: Uint32Array,
  columns: readonly Encoded[],
  inner: Uint32Array | undefined,
): Generator<void, { offsets: Uint32Array; heads: Uint32Array }> {
  const n = inner?.length ?? order.length;
  if (columns.length === 0) return { offsets: Uint32Array.of(0, n), heads: Uint32Array.of(0) };
  const offsets = new Uint32Array(n + 1);
  const heads = new Uint32Array(n);
  let groups = 0;
  let previous = -1;
  for (let i = 0; i < n; i++) {
    const place = inner ? inner[i]! : i;
    const record = order[place]!;
    let starts = i === 0;
    for (const { codes } of columns) if (codes[record] !== codes[previous]) starts = true;
    if (starts) {
      offsets[groups] = i;
      heads[groups++] = place;
    }
    previous = record;
    if (i % SLICE === SLICE - 1) yield;
  }
  offsets[groups] = n;
  return { offsets: offsets.slice(0, groups + 1), heads: heads.slice(0, groups) };
}
