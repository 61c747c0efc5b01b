/** A live tree over rows: tensors, ragged rows, numbers. Its leaves have places, which stay; their values change (contract clauses 2, 4, 14). */
import { FourfoldError, show } from "../errors.ts";
import type { Chain } from "./chain.ts";
import type { Key } from "./key.ts";
import { install, type LiveForm, type LivePolicy, rebuild } from "./live-form.ts";
import { LiveTier } from "./live-tier.ts";
import { LiveTree } from "./live-tree.ts";
import { type Fitted, fit } from "./resolve.ts";
import { SLICE } from "./slices.ts";
import { childStart, type Tree } from "./tree.ts";

/** See the head of this file. Leaves and nodes are numbered in their order. */
export class LiveRows implements LiveForm {
  readonly kind = "rows";
  chain: Chain;
  readonly policy: LivePolicy;
  readonly tree: LiveTree;
  readonly bytes: number;
  readonly #shape: Tree;

  /** @param values one for each leaf; the tree changes them */
  constructor(chain: Chain, shape: Tree, policy: LivePolicy, values: Float64Array) {
    this.chain = chain;
    this.policy = policy;
    this.#shape = shape;
    this.bytes = shape.levels.reduce((bytes, { offsets }) => bytes + (offsets?.byteLength ?? 0), 0);
    const tiers = [0, ...shape.levels].map(() => new LiveTier({ stays: true, linked: false }));
    this.tree = new LiveTree(tiers, values, policy.nan === "skip");
  }

  get leaves(): number {
    return this.#shape.leaves;
  }

  get frames(): readonly number[] {
    return this.#shape.frames;
  }

  /** Reduces all levels. Yields between slices of work. */
  *load(): Generator<void, void> {
    const { tiers } = this.tree;
    for (let t = 0; t < tiers.length; t++) {
      const tier = tiers[t]!;
      tier.grow(this.count(t));
      const level = this.#shape.levels[t];
      if (level === undefined) tier.parent.fill(0);
      else
        for (let node = 0; node < level.nodes; node++) {
          tier.parent.fill(node, childStart(level, node), childStart(level, node + 1));
          if (node % SLICE === SLICE - 1) yield;
        }
    }
    for (const [i, level] of this.#shape.levels.entries())
      for (let node = 0; node < level.nodes; node++) {
        tiers[i + 1]!.size[node] = childStart(level, node + 1) - childStart(level, node);
        if (node % SLICE === SLICE - 1) yield;
      }
    install(this, 0, yield* rebuild(this, this.fit(this.chain), 0, undefined));
  }

  /** Fits a chain to the rows. @throws FourfoldError as a run over them does */
  fit(chain: Chain): Fitted {
    return fit(chain, this.#shape, this.policy.nan, this.policy.accuracy);
  }

  count(tier: number): number {
    return tier === 0 ? this.#shape.leaves : this.#shape.levels[tier - 1]!.nodes;
  }

  order(tier: number): ArrayLike<number> {
    return Uint32Array.from({ length: this.count(tier) }, (_, node) => node);
  }

  children(tier: number, node: number): number[] {
    const level = this.#shape.levels[tier - 1]!;
    const start = childStart(level, node);
    return Array.from({ length: childStart(level, node + 1) - start }, (_, i) => start + i);
  }

  path(tier: number, node: number): Key[] {
    const { levels, frames } = this.#shape;
    const path: number[] = [];
    let place = node;
    for (let t = tier; t < levels.length; t++) {
      const parent = this.tree.tiers[t]!.parent[place]!;
      path.unshift(place - childStart(levels[t]!, parent));
      place = parent;
    }
    for (let axis = frames.length - 1; axis >= 0; axis--) {
      path.unshift(place % frames[axis]!);
      place = Math.floor(place / frames[axis]!);
    }
    return path;
  }

  find(tier: number, path: readonly Key[]): number {
    const { levels, frames } = this.#shape;
    const length = frames.length + levels.length - tier;
    if (!Array.isArray(path) || path.length !== length || !path.every((index) => Number.isInteger(index)))
      throw new FourfoldError("ERR_FOURFOLD_KEYS", `the path is ${show(path)}, expected ${length} indices`, {
        given: path,
        expected: `${length} integers`,
        fix: "A path here has the indices of the frame, then one for each level, outermost first",
      });
    let node = 0;
    for (let axis = 0; axis < frames.length; axis++) {
      const index = path[axis] as number;
      if (!(index >= 0 && index < frames[axis]!)) return -1;
      node = node * frames[axis]! + index;
    }
    for (let t = levels.length - 1, i = frames.length; t >= tier; t--, i++) {
      const start = childStart(levels[t]!, node);
      const index = path[i] as number;
      if (!(index >= 0 && start + index < childStart(levels[t]!, node + 1))) return -1;
      node = start + index;
    }
    return node;
  }

  locate(path: readonly Key[]): number {
    return this.find(0, path);
  }

  shape(): Tree {
    return this.#shape;
  }

  keys(): undefined {}

  handle(leaf: number): number {
    return leaf;
  }

  leafOf(handle: number): number {
    return Number.isInteger(handle) && handle >= 0 && handle < this.#shape.leaves ? handle : -1;
  }
}
