/**
 * The paths of a live tree over records: keys, outermost first, down to the leaf's own. A path of d keys leads to a place of depth d, which
 * has a number; paths come and go. Nodes and leaves are numbered by the places of their depth.
 */
import { FourfoldError, show } from "../errors.ts";
import { compareKeys, type Key } from "./key.ts";
import { LiveKeys, sortBy } from "./live-keys.ts";
import { LiveSteps } from "./live-steps.ts";

/** See the head of this file. */
export class LivePaths {
  readonly names: readonly string[];
  readonly #columns: readonly LiveKeys[];
  readonly #steps: readonly LiveSteps[];
  /** The places of the path that was looked up last, by depth; as many as were found or made. */
  readonly at: Int32Array;
  /** The depth that the look-up reached. */
  found = 0;
  /** Orders are kept until a place of their depth comes or goes. */
  readonly #orders: (Uint32Array | undefined)[];

  /** @param seed see {@link LiveSteps} */
  constructor(names: readonly string[], seed: number) {
    this.names = names;
    this.#columns = names.map(() => new LiveKeys());
    this.#steps = names.map((_, i) => new LiveSteps(seed + i));
    this.at = new Int32Array(names.length + 1);
    this.#orders = names.map(() => undefined);
  }

  /** The keys of a path. */
  get depth(): number {
    return this.names.length;
  }

  get bytes(): number {
    let bytes = 0;
    for (const column of this.#columns) bytes += column.bytes;
    for (const steps of this.#steps) bytes += steps.bytes;
    for (const order of this.#orders) bytes += order?.byteLength ?? 0;
    return bytes;
  }

  /** Makes room for so many leaves. */
  reserve(leaves: number): void {
    this.#steps.at(-1)!.reserve(leaves);
  }

  /** Numbers given to places of a depth so far. */
  length(depth: number): number {
    return depth === 0 ? 1 : this.#steps[depth - 1]!.length;
  }

  /** Places of a depth. */
  places(depth: number): number {
    return depth === 0 ? 1 : this.#steps[depth - 1]!.places;
  }

  /** True if there is a place with this number. */
  has(depth: number, place: number): boolean {
    return depth === 0 || this.#steps[depth - 1]!.from(place) >= 0;
  }

  /** The place that a path of any length leads to, or −1. Nothing about the keys is checked. */
  find(path: ArrayLike<Key>): number {
    let place = 0;
    for (let d = 0; d < path.length; d++) {
      const key = path[d]!;
      const code = this.#columns[d]!.find(key);
      place = code < 0 ? -1 : this.#steps[d]!.find(place, code);
      if (place < 0) {
        this.found = d;
        return -1;
      }
      this.at[d + 1] = place;
    }
    this.found = path.length;
    return place;
  }

  /** Makes the places of a path that are not there yet. The caller has looked it up. @throws FourfoldError ERR_FOURFOLD_MEMORY */
  add(path: ArrayLike<Key>): number {
    for (let d = this.found; d < path.length; d++)
      if (this.#columns[d]!.isFull)
        throw new FourfoldError("ERR_FOURFOLD_MEMORY", `key column "${this.names[d]}" has as many keys as a live tree can hold`, {
          given: path[d],
          fix: "Use several trees, each for a part of the keys",
        });
    for (let d = this.found; d < path.length; d++) {
      const code = this.#columns[d]!.code(path[d]!);
      this.#columns[d]!.hold(code);
      if (d > 0) this.#steps[d - 1]!.use(this.at[d]!, 1);
      this.at[d + 1] = this.#steps[d]!.add(this.at[d]!, code);
      this.#orders[d] = undefined;
    }
    return this.at[path.length]!;
  }

  /** The smallest depth whose place would go with a leaf. */
  lastDepth(leaf: number): number {
    let place = leaf;
    for (let depth = this.depth; ; depth--) {
      place = this.#steps[depth - 1]!.from(place);
      if (depth === 1 || this.#steps[depth - 2]!.uses(place) > 1) return depth;
    }
  }

  /** Takes a leaf away, and the places that lead to nothing else. Unless `reuse`, the leaf's number is not given again. */
  remove(leaf: number, reuse: boolean): void {
    let place = leaf;
    for (let depth = this.depth; depth > 0; depth--) {
      const steps = this.#steps[depth - 1]!;
      const from = steps.from(place);
      this.#columns[depth - 1]!.release(steps.code(place));
      steps.remove(place, reuse || depth < this.depth);
      this.#orders[depth - 1] = undefined;
      if (depth === 1 || this.#steps[depth - 2]!.use(from, -1) > 0) return;
      place = from;
    }
  }

  /** The place of a smaller depth on the way to a place. */
  above(depth: number, place: number, smaller: number): number {
    let above = place;
    for (let d = depth; d > smaller; d--) above = this.#steps[d - 1]!.from(above);
    return above;
  }

  /** The last key on the way to a place. */
  key(depth: number, place: number): Key {
    return this.#columns[depth - 1]!.key(this.#steps[depth - 1]!.code(place));
  }

  /** The keys that lead to a place. */
  path(depth: number, place: number): Key[] {
    const path: Key[] = [];
    let at = place;
    for (let d = depth; d > 0; d--) {
      path.unshift(this.key(d, at));
      at = this.#steps[d - 1]!.from(at);
    }
    return path;
  }

  /** The places of a depth in ascending order of their paths (clause 10a). */
  order(depth: number): Uint32Array {
    if (depth === 0) return Uint32Array.of(0);
    const known = this.#orders[depth - 1];
    if (known !== undefined) return known;
    const steps = this.#steps[depth - 1]!;
    const places = new Uint32Array(steps.places);
    for (let place = 0, n = 0; place < steps.length; place++) if (steps.from(place) >= 0) places[n++] = place;
    const column = this.#columns[depth - 1]!;
    const ranks = column.ranks();
    const outer = this.order(depth - 1);
    const before = new Uint32Array(this.length(depth - 1));
    for (let i = 0; i < outer.length; i++) before[outer[i]!] = i;
    const codes = new Uint32Array(steps.length);
    const starts = new Uint32Array(steps.length);
    for (const place of places) {
      codes[place] = ranks[steps.code(place)]!;
      starts[place] = before[steps.from(place)]!;
    }
    const order = sortBy(sortBy(places, codes, column.length), starts, outer.length);
    this.#orders[depth - 1] = order;
    return order;
  }

  /** Puts places of one depth under one place of a smaller one into ascending order. */
  sort(depth: number, places: readonly number[], smaller: number): number[] {
    const paths = places.map((place) => ({ place, keys: this.path(depth, place).slice(smaller) }));
    paths.sort((a, b) => {
      const d = a.keys.findIndex((key, i) => compareKeys(key, b.keys[i]!) !== 0);
      return d < 0 ? 0 : compareKeys(a.keys[d]!, b.keys[d]!);
    });
    return paths.map(({ place }) => place);
  }
}

/** A key as paths hold it: −0 is 0. @throws FourfoldError ERR_FOURFOLD_KEYS for what is no key */
export function checkKeyOf(given: unknown, column: string, row: number | undefined): Key {
  const type = typeof given;
  if (type === "string" || type === "boolean" || type === "bigint") return given as Key;
  if (type === "number" && given === given) return given === 0 ? 0 : (given as number);
  const missing = given === null || given === undefined || given !== given;
  throw new FourfoldError(
    "ERR_FOURFOLD_KEYS",
    `key column "${column}": ${row === undefined ? "the key" : `entry ${row}`} is ${show(given)}`,
    {
      given,
      expected: "a string, number, bigint or boolean",
      fix: missing ? "Give it a key: a live tree has no nodes without one" : "Turn it into one, for example a date into its ISO string",
      at: { column, ...(row === undefined ? {} : { row }) },
    },
  );
}
