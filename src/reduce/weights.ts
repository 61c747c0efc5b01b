/** The weights of one level: what a caller may give, and the one form the rest of the package reads. */
import { checkNames, FourfoldError, show } from "../errors.ts";
import { isDetached, typedArrayName } from "./arrays.ts";
import { compareKeys, type Key, pathId } from "./key.ts";

/** A list of numbers: weights are copied to float64 when the chain is made. */
export type NumberList = readonly number[] | Float32Array | Float64Array;

/**
 * Weights of keyed children by key, however many there are: an object from a child's own key, or pairs of a path of keys (outermost first,
 * as long as the child's) or its own key, and the weight. A path goes before a key alone. `missing` is the weight of a child that is not
 * named; without it, that is an error.
 */
export interface WeightsByKey {
  readonly byKey: Readonly<Record<string, number>> | Iterable<readonly [Key | readonly Key[], number]>;
  readonly missing?: number;
}

/**
 * Weights of a level.
 * - a list: one vector shared by all nodes of the level; its length is the level's extent.
 * - `{ perNode }`: one weight for each child of the level, row-major; of one frame (repeated for each) or of all.
 * - a list of lists: a matrix, one row for each output; one level of a chain may have it.
 * - `"count"`: the number of non-skipped records below each child.
 * - `{ byKey }`: one weight for each key of the children, which are nodes of keyed records.
 */
export type WeightsInput = NumberList | { readonly perNode: NumberList } | readonly NumberList[] | "count" | WeightsByKey;

/**
 * Weights as a level holds them, frozen. Their values are a copy that plans made from the chain share:
 * JavaScript cannot freeze a typed array, so do not write to it.
 */
export type Weights =
  | { readonly form: "shared"; readonly values: Float64Array }
  | { readonly form: "perNode"; readonly values: Float64Array }
  | { readonly form: "matrix"; readonly values: Float64Array; readonly rows: number; readonly extent: number }
  | { readonly form: "count" }
  | KeyedWeights;

/** Weights by key: entries in ascending order of path, and places to look them up. */
export interface KeyedWeights {
  readonly form: "byKey";
  readonly entries: readonly (readonly [path: readonly Key[], weight: number])[];
  /** By {@link pathId}. */
  readonly places: ReadonlyMap<string, number>;
  readonly missing: number | undefined;
}

/** Reads weights, copying them. @throws FourfoldError ERR_FOURFOLD_WEIGHTS */
export function readWeights(input: WeightsInput, reduction: string): Weights {
  if (input === "count") return Object.freeze({ form: "count" });
  if (isList(input)) return Object.freeze({ form: "shared", values: copy(input, reduction) });
  if (Array.isArray(input)) return readMatrix(input as readonly NumberList[], reduction);
  if (typeof input === "object" && input !== null && "byKey" in input) return readKeyed(input, reduction);
  const perNode = (input as { perNode?: unknown } | null | undefined)?.perNode;
  if (isList(perNode)) return Object.freeze({ form: "perNode", values: copy(perNode, reduction) });
  throw new FourfoldError("ERR_FOURFOLD_WEIGHTS", `${reduction}: weights are ${show(input)}`, {
    given: input,
    expected: 'a list of numbers, { perNode: list }, a list of lists, { byKey }, or "count"',
    fix: 'Give a list of numbers, { perNode: list }, a list of lists (a matrix), { byKey: weights }, or "count"',
  });
}

/** The weight of the child at a path; undefined where it has none. */
export function weightAt({ entries, places, missing }: KeyedWeights, path: readonly Key[]): number | undefined {
  const place = places.get(pathId(path)) ?? places.get(pathId(path.slice(-1)));
  return place === undefined ? missing : entries[place]![1];
}

function readKeyed(input: WeightsByKey, reduction: string): Weights {
  checkNames(`${reduction}: weights by key`, input, ["byKey", "missing"]);
  const { byKey, missing } = input;
  const refuse = (found: string, given: unknown, fix: string): FourfoldError =>
    new FourfoldError("ERR_FOURFOLD_WEIGHTS", `${reduction}: ${found}`, { given, fix });
  if (typeof byKey !== "object" || byKey === null)
    throw refuse(`weights by key are ${show(byKey)}`, byKey, "Give an object from key to weight, a Map, or a list of [path, weight]");
  if (missing !== undefined && typeof missing !== "number")
    throw refuse(
      `the weight of missing keys is ${show(missing)}`,
      missing,
      "Give a number, or leave it out: then a missing key is an error",
    );
  const pairs = Symbol.iterator in byKey ? [...byKey] : Object.entries(byKey);
  const read = pairs.map((pair, index): [Key[], number] => {
    const [key, weight] = Array.isArray(pair) ? (pair as readonly unknown[]) : [];
    if (typeof weight !== "number")
      throw refuse(`weight ${index} by key is ${show(pair)}`, pair, "Give pairs of a key, or a path of keys, and a number");
    const path = (Array.isArray(key) ? key : [key]).map((part: Key) => (Object.is(part, -0) ? 0 : part));
    if (!path.every(isKey))
      throw refuse(`weight ${index} by key has the path ${show(path)}`, key, "Give strings, numbers, bigints, booleans or null");
    return [path, weight];
  });
  read.sort(([a], [b]) => comparePaths(a, b));
  const places = new Map(read.map(([path], place) => [pathId(path), place]));
  if (places.size < read.length) {
    const twice = read.find(([path], place) => places.get(pathId(path)) !== place)!;
    throw refuse(`the path (${twice[0].map(show).join(", ")}) has two weights`, twice[0], "Give each path one weight");
  }
  return Object.freeze({ form: "byKey", entries: read, places, missing });
}

function isKey(key: unknown): key is Key {
  return (
    key === null ||
    typeof key === "string" ||
    typeof key === "bigint" ||
    typeof key === "boolean" ||
    (typeof key === "number" && key === key)
  );
}

function comparePaths(a: readonly Key[], b: readonly Key[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = compareKeys(a[i]!, b[i]!);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function readMatrix(rows: readonly NumberList[], reduction: string): Weights {
  const extent = isList(rows[0]) ? rows[0].length : 0;
  const values = new Float64Array(rows.length * extent);
  for (let r = 0; r < rows.length; r++) {
    const row: unknown = rows[r]; // undefined where the list has a hole
    if (!isList(row) || row.length !== extent)
      throw new FourfoldError(
        "ERR_FOURFOLD_WEIGHTS",
        `${reduction}: row ${r} of the weight matrix is ${show(row)}, row 0 has ${extent} weights`,
        {
          given: row,
          expected: extent,
          fix: "Give every output as many weights as row 0 has",
          at: { row: r },
        },
      );
    values.set(copy(row, reduction), r * extent);
  }
  return Object.freeze({ form: "matrix", values, rows: rows.length, extent });
}

function isList(value: unknown): value is NumberList {
  const name = typedArrayName(value);
  if (name === "Float64Array" || name === "Float32Array") return true;
  return Array.isArray(value) && (value.length === 0 || typeof value[0] !== "object");
}

function copy(list: NumberList, reduction: string): Float64Array {
  if (Array.isArray(list)) {
    const bad = list.findIndex((w) => typeof w !== "number");
    if (bad >= 0)
      throw new FourfoldError("ERR_FOURFOLD_WEIGHTS", `${reduction}: weight ${bad} is ${show(list[bad])}, expected a number`, {
        given: list[bad],
        expected: "number",
        at: { index: bad },
      });
  } else if (isDetached(list as Float64Array))
    throw new FourfoldError("ERR_FOURFOLD_WEIGHTS", `${reduction}: the weights are an array whose memory was transferred away`, {
      given: list,
      fix: "Make the chain before the array is transferred, or give a copy",
    });
  return new Float64Array(list);
}
