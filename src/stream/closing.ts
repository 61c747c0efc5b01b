/**
 * Closes windows: the nodes of a store in order of key, and the levels above them. It gives what `OpenNodes.close` gives, and is quick for
 * small windows that come by the thousand: a tree is made once for windows with the same nodes, and outer levels are added up in exact sums.
 */
import type { Chain, Level } from "../reduce/chain.ts";
import type { LevelKeys } from "../reduce/group.ts";
import type { Key } from "../reduce/key.ts";
import type { KeyLayout, Policy } from "../reduce/layout.ts";
import { asChildren, type Children, levelFAsSum, reduceLevels } from "../reduce/levels.ts";
import { type ClosedNodes, closedNodes } from "../reduce/open.ts";
import { builtIn, type Fitted, type FittedLevel, fit } from "../reduce/resolve.ts";
import type { LevelValues } from "../reduce/result.ts";
import { nodeStates } from "../reduce/states.ts";
import { childStart, type Tree, type TreeLevel } from "../reduce/tree.ts";
import { reduceUser } from "../reduce/user.ts";
import type { Weights } from "../reduce/weights.ts";
import { takesWeights } from "./child-weights.ts";
import type { KeySpace } from "./key-space.ts";
import type { NodeStore } from "./node-store.ts";

/** The tree of some nodes. */
interface Shape {
  /** The nodes in order of key. */
  readonly order: Int32Array;
  readonly tree: Tree;
  readonly keys: readonly LevelKeys[];
  /** For each level, its nodes as the key space numbers them. */
  readonly places: readonly Int32Array[];
  /** What the key space had respelt by then. */
  readonly respelt: number;
}

/** Gives the weights that records brought for the children of a level, or undefined where they bring none for it. */
export type WeightsOf = (level: string, children: Int32Array) => Float64Array | undefined;

/** See the head of this file. */
export class Closing {
  readonly #space: KeySpace;
  readonly #keys: KeyLayout;
  readonly #policy: Policy;
  readonly #kept: readonly boolean[];
  #shape: Shape | undefined;
  /** The last chain that was fitted to the shape, where nothing but the two decides on its weights. */
  #fitted: { readonly chain: Chain; readonly shape: Shape; readonly fitted: Fitted } | undefined;

  constructor(space: KeySpace, keys: KeyLayout, policy: Policy, kept: readonly boolean[]) {
    this.#space = space;
    this.#keys = keys;
    this.#policy = policy;
    this.#kept = kept;
  }

  /** Closes the nodes of a store, which stays as it is. @throws FourfoldError ERR_FOURFOLD_WEIGHTS, ERR_FOURFOLD_REDUCTION as a run does */
  close(store: NodeStore, chain: Chain, weightsOf: WeightsOf | undefined): ClosedNodes {
    // Without keys there is one node, which may have no records.
    if (this.#space.depth === 0) store.ensure(0);
    const shape = this.#shapeOf(store, chain);
    const childWeights = weightsOf && broughtWeights(chain, shape, weightsOf);
    const fitted = this.#fit(chain, shape, childWeights);
    const n = shape.order.length;
    const values = new Float64Array(n);
    const records = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      const place = store.find(shape.order[i]!);
      values[i] = store.states.value(place);
      records[i] = store.states.items(place);
    }
    const inner: LevelValues = { values, outputs: 1, records };
    const all = [inner, ...reduceAbove(fitted, asChildren(inner, this.#policy.nan))];
    return { ...closedNodes(fitted, shape.keys, all, this.#kept, store.records), childWeights };
  }

  /** Forgets what it knows of the numbers of nodes. */
  forget(): void {
    this.#shape = undefined;
    this.#fitted = undefined;
  }

  #shapeOf(store: NodeStore, chain: Chain): Shape {
    const last = this.#shape;
    if (last !== undefined && last.respelt === this.#space.respelt && isShapeOf(last, store)) return last;
    const order = this.#space.depth === 0 ? Int32Array.of(0) : this.#space.sorted(store.live());
    this.#shape = shapeOf(order, chain.levels, this.#keys, this.#space);
    return this.#shape;
  }

  #fit(chain: Chain, shape: Shape, childWeights: ReadonlyMap<string, Weights> | undefined): Fitted {
    if (this.#fitted?.chain === chain && this.#fitted.shape === shape) return this.#fitted.fitted;
    const plain = levelFAsSum(withChildWeights(chain, childWeights));
    const fitted = fit(plain, shape.tree, this.#policy.nan, this.#policy.accuracy, undefined, shape.keys);
    if (childWeights === undefined) this.#fitted = { chain, shape, fitted };
    return fitted;
  }
}

/** The chain with the weights that records brought at the levels that take theirs from records. */
export function withChildWeights({ levels }: Chain, childWeights: ReadonlyMap<string, Weights> | undefined): Chain {
  return {
    levels: levels.map((level, i): Level => {
      const weights = i > 0 && takesWeights(level) ? childWeights?.get(level.name) : undefined;
      return weights === undefined ? level : { ...level, reduction: { ...level.reduction, weights } };
    }),
  };
}

function broughtWeights({ levels }: Chain, { places }: Shape, weightsOf: WeightsOf): ReadonlyMap<string, Weights> {
  const brought = new Map<string, Weights>();
  for (let i = 1; i < levels.length; i++) {
    const { name } = levels[i]!;
    const values = weightsOf(name, places[i - 1]!);
    if (values !== undefined) brought.set(name, { form: "perNode", values });
  }
  return brought;
}

/** Whether a shape's nodes are those of a store that have records. Without keys there is always one node. */
function isShapeOf({ order }: Shape, store: NodeStore): boolean {
  if (store.nodes !== order.length) return false;
  for (let i = 0; i < order.length; i++) {
    const place = store.find(order[i]!);
    if (place < 0 || store.recordsAt(place) === 0) return false;
  }
  return true;
}

function shapeOf(order: Int32Array, chain: readonly Level[], { names, depths }: KeyLayout, space: KeySpace): Shape {
  const levels: TreeLevel[] = [];
  const keys: LevelKeys[] = [];
  const places: Int32Array[] = [];
  let inner = order;
  let innerDepth = space.depth;
  for (const [i, { name }] of chain.entries()) {
    const depth = depths[i]!;
    const children = inner.length;
    const offsets: number[] = [];
    const nodes: number[] = [];
    if (i === 0) {
      for (let node = 0; node < children; node++) {
        nodes.push(order[node]!);
        offsets.push(node);
      }
    } else if (depth === 0) {
      nodes.push(0);
      offsets.push(0);
    } else
      for (let child = 0; child < children; child++) {
        const node = space.above(inner[child]!, depth, innerDepth);
        if (child > 0 && node === nodes.at(-1)) continue;
        nodes.push(node);
        offsets.push(child);
      }
    offsets.push(children);
    levels.push(levelOf(name, Uint32Array.from(offsets), children));
    inner = Int32Array.from(nodes);
    innerDepth = depth;
    places.push(inner);
    keys.push({ names: names.slice(0, depth), columns: columnsOf(inner, depth, space) });
  }
  const frames = depths.at(-1) === 0 ? [] : [inner.length];
  return { order, tree: { form: "records", leaves: order.length, levels, frames }, keys, places, respelt: space.respelt };
}

function levelOf(name: string, offsets: Uint32Array, children: number): TreeLevel {
  const nodes = offsets.length - 1;
  const extent = nodes === 0 ? 0 : offsets[1]!;
  let uniform = true;
  for (let node = 0; node < nodes; node++) if (offsets[node + 1]! - offsets[node]! !== extent) uniform = false;
  return uniform ? { name, nodes, children, extent, offsets: undefined } : { name, nodes, children, extent: undefined, offsets };
}

function columnsOf(places: Int32Array, depth: number, space: KeySpace): Key[][] {
  const columns: Key[][] = Array.from({ length: depth }, () => []);
  let at = places;
  for (let column = depth; column > 0; column--) {
    for (const place of at) columns[column - 1]!.push(space.key(place, column));
    if (column > 1) at = at.map((place) => space.above(place, column - 1, column));
  }
  return columns;
}

/** The levels above level f, as reduceLevels() gives them. */
function reduceAbove(fitted: Fitted, nodes: Children): LevelValues[] {
  if (fitted.outputs !== undefined) return reduceLevels(fitted, 1, nodes);
  const reduced: LevelValues[] = [];
  let children = nodes;
  for (let index = 1; index < fitted.levels.length; index++) {
    const level = fitted.levels[index]!;
    const below = new Float64Array(level.nodes);
    const closed: LevelValues = {
      values: reduceLevel(level, fitted, children.values, children.records!, below),
      outputs: 1,
      records: below,
    };
    reduced.push(closed);
    children = asChildren(closed, fitted.nan);
  }
  return reduced;
}

function reduceLevel(
  level: FittedLevel,
  { nan, accuracy }: Fitted,
  values: ArrayLike<number>,
  records: ArrayLike<number>,
  below: Float64Array,
): Float64Array {
  const { nodes, weights, reduction } = level;
  const skip = nan === "skip";
  const kind = builtIn(level);
  const states = kind && nodeStates({ kind, ddof: reduction.ddof ?? 0, quotient: accuracy === "exact" ? "real" : "rounded", skip });
  const closed = new Float64Array(nodes);
  states?.grow(nodes);
  for (let node = 0; node < nodes; node++) {
    const start = childStart(level, node);
    const end = childStart(level, node + 1);
    for (let child = start; child < end; child++) {
      const x = values[child]!;
      if (skip && x !== x) continue;
      below[node]! += records[child]!;
      states?.add(node, x, weightOf(weights, child, child - start, records));
    }
    closed[node] = states
      ? states.value(node)
      : reduceUser(reduction.user!, end - start, (i) => values[start + i]!, skip, { level: level.name, node });
  }
  return closed;
}

function weightOf(weights: FittedLevel["weights"], child: number, place: number, records: ArrayLike<number>): number {
  switch (weights.form) {
    case "shared":
      return weights.values[place]!;
    case "perNode":
      return weights.values[child % weights.values.length]!;
    case "count":
      return records[child]!;
    default:
      return 1;
  }
}
