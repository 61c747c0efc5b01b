/** What a run gives back: the values, and views of the levels that were kept for drill-down. Plain values: nothing is computed here. */
import { FourfoldError, show } from "../errors.ts";
import type { LevelKeys } from "./group.ts";
import { type Key, pathId } from "./key.ts";
import type { FittedWeights } from "./resolve.ts";
import { childStart, type Tree } from "./tree.ts";

/** The kept values of one level. */
export interface LevelValues {
  /** Output-major: output r of node n stands at r · nodes + n. */
  readonly values: Float64Array;
  readonly outputs: number;
  /** The kept records below each node, for output 0; undefined where every child is kept. */
  readonly records: Float64Array | undefined;
}

/** One node of a level, or one leaf. */
export interface Node {
  /** The last part of its path. */
  readonly key: Key;
  /** From the outermost key or index inwards. */
  readonly path: readonly Key[];
  /** Its value; of output 0 where the chain has several. */
  readonly value: number;
  /** Its value for each output. */
  readonly values: readonly number[];
  /** The records below it that were not skipped; for output 0 where the chain has several. */
  readonly count: number;
  /**
   * What it weighs in its parent: its own weight, or the records below it where the parent weighs by `"count"`; for output 0 of a weight
   * matrix. Undefined where the parent's reduction has no weights, and for a node of the outermost level.
   */
  readonly weight: number | undefined;
  /** The nodes inside it, or the leaves of an innermost node. @throws FourfoldError ERR_FOURFOLD_LEVEL if their level was not kept */
  children(): Node[];
}

/** The nodes of one level, in order. */
export interface LevelView extends Iterable<Node> {
  readonly name: string;
  readonly length: number;
  /** Output-major values of all nodes. */
  readonly values: Float64Array;
  /**
   * The node at a path: keys (records) or indices (tensors, ragged rows), outermost first.
   * @throws FourfoldError ERR_FOURFOLD_LEVEL if there is none
   */
  at(...path: readonly Key[]): Node;
}

/** What the views read. */
export interface Levels {
  readonly tree: Tree;
  readonly values: readonly (LevelValues | undefined)[];
  /** For keyed records. */
  readonly keys: readonly LevelKeys[] | undefined;
  /** The value of each leaf, where it is still to be had; and for records the record that stands there. */
  readonly leaves: { at(position: number): number } | undefined;
  /** What to do about leaves that are not to be had, if that is not to keep them. */
  readonly leavesFix?: string;
  readonly order: Uint32Array | undefined;
  /** What the children of each level weigh, outermost level last; inner levels may be left out, then none of them is known. */
  readonly weighing: readonly { readonly weights: FittedWeights }[];
}

/** The view of a level by its name. @throws FourfoldError ERR_FOURFOLD_LEVEL if there is no such level or it was not kept */
export function levelView(levels: Levels, name: string): LevelView {
  const index = levels.tree.levels.findIndex((level) => level.name === name);
  if (index < 0) {
    const names = levels.tree.levels.map((level) => `"${level.name}"`).join(", ");
    throw new FourfoldError("ERR_FOURFOLD_LEVEL", `there is no level "${name}", the levels are ${names}`, {
      given: name,
      expected: names,
      fix: "Use the name of a level of the chain",
    });
  }
  return new View(levels, index);
}

class View implements LevelView {
  readonly name: string;
  readonly length: number;
  readonly #levels: Levels;
  readonly #index: number;
  readonly #kept: LevelValues;
  #places: Map<string, number> | undefined;

  constructor(levels: Levels, index: number) {
    const { name, nodes } = levels.tree.levels[index]!;
    const kept = levels.values[index];
    if (kept === undefined)
      throw new FourfoldError("ERR_FOURFOLD_LEVEL", `level "${name}" was not kept`, {
        given: name,
        fix: `Run with keep: ["${name}"] or keep: "all"`,
        at: { level: name },
      });
    this.name = name;
    this.length = nodes;
    this.#levels = levels;
    this.#index = index;
    this.#kept = kept;
  }

  get values(): Float64Array {
    return this.#kept.values;
  }

  *[Symbol.iterator](): Iterator<Node> {
    for (let node = 0; node < this.length; node++) yield this.#node(node);
  }

  at(...path: readonly Key[]): Node {
    if (this.#places === undefined) {
      this.#places = new Map();
      for (let node = 0; node < this.length; node++) this.#places.set(pathId(this.#path(node)), node);
    }
    const node = this.#places.get(pathId(path));
    if (node !== undefined) return this.#node(node);
    const names = this.#levels.keys?.[this.#index]?.names;
    const first = this.length > 0 ? this.#path(0) : [];
    throw new FourfoldError("ERR_FOURFOLD_LEVEL", `level "${this.name}" has no node at (${path.map(show).join(", ")})`, {
      given: path,
      fix: `A path here has ${names ? `the keys ${names.join(", ") || "(none)"}` : `${first.length} indices`}; the first is at(${first.map(show).join(", ")})`,
      at: { level: this.name },
    });
  }

  #node(node: number): Node {
    const path = this.#path(node);
    const { values, outputs } = this.#kept;
    const count = this.#count(node);
    return new ViewNode(
      path.length > 0 ? path.at(-1)! : node, // a key may be null
      path,
      outputs === 1 ? [values[node]!] : Array.from({ length: outputs }, (_, r) => values[r * this.length + node]!),
      count,
      () => this.#weight(this.#index + 1, node, count),
      () => this.#children(node, path),
    );
  }

  /** What child `child` of level `index` weighs in its node. */
  #weight(index: number, child: number, count: number): number | undefined {
    const { tree, weighing } = this.#levels;
    const weights = weighing[index + weighing.length - tree.levels.length]?.weights;
    if (weights === undefined || weights.form === "none") return undefined;
    if (weights.form === "count") return count;
    const { values } = weights;
    if (weights.form === "perNode") return values[child % values.length]!;
    const level = tree.levels[index]!;
    return values[child - childStart(level, parentOf(level, child))]!;
  }

  #children(node: number, path: readonly Key[]): Node[] {
    const level = this.#levels.tree.levels[this.#index]!;
    const start = childStart(level, node);
    const n = childStart(level, node + 1) - start;
    if (this.#index > 0) {
      const inner = new View(this.#levels, this.#index - 1);
      return Array.from({ length: n }, (_, i) => inner.#node(start + i));
    }
    const { leaves, order } = this.#levels;
    if (leaves === undefined)
      throw new FourfoldError("ERR_FOURFOLD_LEVEL", `the leaves of level "${this.name}" were not kept`, {
        fix: this.#levels.leavesFix ?? 'Run with keep: "all"',
        at: { level: this.name },
      });
    return Array.from({ length: n }, (_, i): Node => {
      const key = order ? order[start + i]! : i;
      return new ViewNode(
        key,
        [...path, key],
        [leaves.at(start + i)],
        1,
        () => this.#weight(0, start + i, 1),
        () => [],
      );
    });
  }

  #count(node: number): number {
    if (this.#kept.records) return this.#kept.records[node]!;
    const leaf = (position: number): number => {
      for (let i = this.#index, p = position; ; i--) {
        p = childStart(this.#levels.tree.levels[i]!, p);
        if (i === 0) return p;
      }
    };
    return leaf(node + 1) - leaf(node);
  }

  /** Keys where there are keys, else the index in the parent, level by level, after the indices of the frame. */
  #path(node: number): Key[] {
    const keys = this.#levels.keys?.[this.#index];
    if (keys) return keys.columns.map((column) => column[node]!);
    const { tree } = this.#levels;
    const path: number[] = [];
    let position = node;
    for (let i = this.#index + 1; i < tree.levels.length; i++) {
      const parent = parentOf(tree.levels[i]!, position);
      path.unshift(position - childStart(tree.levels[i]!, parent));
      position = parent;
    }
    for (let axis = tree.frames.length - 1; axis >= 0; axis--) {
      path.unshift(position % tree.frames[axis]!);
      position = Math.floor(position / tree.frames[axis]!);
    }
    return path;
  }
}

/** A node as a view gives it. Its weight is looked up when it is asked for. */
class ViewNode implements Node {
  readonly key: Key;
  readonly path: readonly Key[];
  readonly value: number;
  readonly values: readonly number[];
  readonly count: number;
  readonly children: () => Node[];
  readonly #weigh: () => number | undefined;

  constructor(
    key: Key,
    path: readonly Key[],
    values: readonly number[],
    count: number,
    weigh: () => number | undefined,
    children: () => Node[],
  ) {
    this.key = key;
    this.path = path;
    this.value = values[0]!;
    this.values = values;
    this.count = count;
    this.#weigh = weigh;
    this.children = children;
  }

  get weight(): number | undefined {
    return this.#weigh();
  }
}

function parentOf(level: Tree["levels"][number], child: number): number {
  if (level.offsets === undefined) return Math.floor(child / level.extent!);
  let low = 0;
  let high = level.nodes;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (level.offsets[middle + 1]! <= child) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The one value of a result. @throws FourfoldError ERR_FOURFOLD_FRAMES if there are several, or none */
export function onlyValue(values: Float64Array, shape: readonly number[]): number {
  if (values.length === 1) return values[0]!;
  throw new FourfoldError("ERR_FOURFOLD_FRAMES", `the result has ${values.length} values, shape [${shape.join(", ")}]`, {
    given: values.length,
    expected: 1,
    fix: "Read values instead of value",
  });
}

/** Values of the outermost level with the outputs as their last axis. */
export function outputsLast(values: Float64Array, outputs: number): Float64Array {
  if (outputs <= 1) return values;
  const nodes = values.length / outputs;
  const last = new Float64Array(values.length);
  for (let r = 0, i = 0; r < outputs; r++) for (let node = 0; node < nodes; node++) last[node * outputs + r] = values[i++]!;
  return last;
}
