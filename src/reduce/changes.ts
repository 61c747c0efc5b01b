/**
 * Why a node's value is another in a second result: which nodes moved it, by their values and by their weights. Exact pieces, each rounded once, that
 * add up to the change with one residual. It computes no node.
 *
 * A linear reduction is Σ a·v, with the weight a = 1 (sum), w (weightedSum), 1/n (mean), w/W (weightedMean), and for a count a = v = 1. For a child
 * that is in both results
 *
 *   a1·v1 − a0·v0 = (a0 + a1)/2 · (v1 − v0)  +  (v0 + v1)/2 · (a1 − a0)
 *                   value effect               weight effect
 *
 * and one that is in one result only gives a1·v1 (new) or −a0·v0 (gone). A value effect is opened in turn, v1 − v0 being the change of the child,
 * down to the innermost level: there it is a piece. So a piece has the product of the (a0 + a1)/2 above it as its factor. Where a node cannot be
 * opened, its value effect is one piece, and `why` says why: min, max, variance and reductions of the user's own are not linear.
 */

import { type ClosedTree, closedChildren, closedPath, closedValue, reducedOf, whyClosed } from "./closed-tree.ts";
import { builtInNamed, isWeighted, keptPlaces } from "./contributions.ts";
import { type Dyadic, dyadic, dyadicSum, minus, ONE, plus, roundedRatio, times, ZERO } from "./dyadic.ts";
import { canonical, ExactSum } from "./exact.ts";
import { compareKeys, type Key } from "./key.ts";
import { type Settled, settle } from "./settle.ts";

/** What a piece of a change is: another value, another weight, or a node that is in one result only. */
export type PieceKind = "value" | "weight" | "new" | "gone";

/** One piece of a change. */
export interface Piece {
  readonly kind: PieceKind;
  /** The places of the level and of its node in each result; -1 for a node that is not there. */
  readonly level: { readonly before: number; readonly after: number };
  readonly before: number;
  readonly after: number;
  /** Why a value effect was not opened further; undefined on the innermost level. */
  readonly why: string | undefined;
}

/** See the head of this file. */
export interface Change {
  readonly before: number;
  readonly after: number;
  /** RN(after − before). */
  readonly change: number;
  /** In the order of the tree. */
  readonly pieces: readonly Piece[];
  /** What each piece adds to the change. */
  readonly effects: Float64Array;
  /** Effects, residual and rounding add up to after − before exactly; undefined if that is not finite. */
  readonly settled: Settled | undefined;
}

/** A node in one result. */
interface Place {
  readonly tree: ClosedTree;
  readonly level: number;
  readonly node: number;
}

/** after − before, exactly. */
export function exactChange(before: number, after: number): ExactSum {
  const sum = ExactSum.of([after], 1);
  sum.subtract(before);
  return sum;
}

/** The change of a node that is in both results, for one output. The levels inside have to have the same names and keys, as far as they go. */
export function changeOf(before: Place, after: Place, output: number): Change {
  const value0 = valueAt(before, output);
  const value1 = valueAt(after, output);
  const change = canonical(value1 - value0);
  // Also where the difference of two finite values is beyond the doubles.
  if (!Number.isFinite(change))
    return { before: value0, after: value1, change, pieces: [], effects: new Float64Array(0), settled: undefined };
  const target = exactChange(value0, value1);
  const explained = new Explained(output);
  explained.open(before, after, { num: ONE, den: ONE });
  const effects = Float64Array.from(explained.effects);
  const settled = effects.every(Number.isFinite) ? settle(effects, target) : undefined;
  return { before: value0, after: value1, change, pieces: explained.pieces, effects, settled };
}

const valueAt = ({ tree, level, node }: Place, output: number): number => closedValue(tree.levels[level]!, node, output);

/** num / den. */
interface Factor {
  readonly num: Dyadic;
  readonly den: Dyadic;
}

/** The children of one node as terms w·v/W that add up to its value. */
interface Linear {
  /** Places among the children of those that count. */
  readonly kept: readonly number[];
  readonly weight: (child: number) => Dyadic;
  readonly value: (child: number) => number;
  /** What the weights are divided by; not 0. */
  readonly by: Dyadic;
  /** The first child's place in its level. */
  readonly first: number;
}

class Explained {
  readonly pieces: Piece[] = [];
  readonly effects: number[] = [];
  readonly #output: number;

  constructor(output: number) {
    this.#output = output;
  }

  /** Explains factor · (v1 − v0) of a node. */
  open(before: Place, after: Place, factor: Factor): void {
    const output = this.#output;
    const from = isCount(before) === isCount(after) ? this.#linear(before) : "one of the two is a count";
    const to = this.#linear(after);
    if (typeof from === "string" || typeof to === "string") {
      const off = minus(dyadic(valueAt(after, output)), dyadic(valueAt(before, output)));
      const why = typeof from === "string" ? from : (to as string);
      const innermost = before.level === 0 && after.level === 0;
      this.#add("value", before, after, times(factor.num, off), factor.den, innermost ? undefined : why);
      return;
    }
    const inside = (place: Place, linear: Linear | undefined, child: number): Place => ({
      tree: place.tree,
      level: place.level - 1,
      node: child < 0 ? -1 : linear!.first + child,
    });
    const den1 = times(factor.den, to.by);
    const den0 = times(factor.den, from.by);
    const both = times(den0, to.by);
    for (const [i, j] of this.#pairs(before, from, after, to)) {
      const child0 = inside(before, from, i);
      const child1 = inside(after, to, j);
      if (i < 0) this.#add("new", child0, child1, times(factor.num, times(to.weight(j), dyadic(to.value(j)))), den1);
      else if (j < 0) this.#add("gone", child0, child1, times(factor.num, minus(ZERO, times(from.weight(i), dyadic(from.value(i))))), den0);
      else {
        const w0 = times(from.weight(i), to.by);
        const w1 = times(to.weight(j), from.by);
        const v0 = dyadic(from.value(i));
        const v1 = dyadic(to.value(j));
        this.#add("weight", child0, child1, times(factor.num, half(times(plus(v0, v1), minus(w1, w0)))), both);
        const weight = half(plus(w0, w1));
        if (weight.m !== 0n && !isCount(after)) this.open(child0, child1, { num: times(factor.num, weight), den: both });
      }
    }
  }

  #add(kind: PieceKind, before: Place, after: Place, num: Dyadic, den: Dyadic, why?: string): void {
    if (num.m === 0n) return;
    const level = { before: before.level, after: after.level };
    this.pieces.push({ kind, level, before: before.node, after: after.node, why });
    this.effects.push(roundedRatio(num, den));
  }

  /** A node's children as linear terms, or why they are none. */
  #linear({ tree, level, node }: Place): Linear | string {
    const closed = whyClosed(tree, level, this.#output);
    if (closed !== undefined) return closed;
    const { reduce, starts } = tree.levels[level]!;
    const kind = builtInNamed(reduce);
    if (kind === undefined) return `"${reduce}" is a reduction of your own`;
    if (kind === "min" || kind === "max" || kind === "variance") return `${kind} is not linear`;
    const children = closedChildren(tree, level, node, this.#output);
    const { values, weights } = children;
    const first = starts![node]!;
    const kept = keptPlaces(reducedOf(tree, level).nan, children);
    if (kind === "count") return { kept, first, value: () => 1, weight: () => ONE, by: ONE };
    const weighted = isWeighted(kind);
    if (weighted && weights === undefined) return "the children's weights are not known";
    if (!kept.every((i) => Number.isFinite(values[i]) && (!weighted || Number.isFinite(weights![i]))))
      return "not all of its children are finite";
    const weight = (i: number): Dyadic => (weighted ? dyadic(weights![i]!) : ONE);
    const by = kind === "mean" ? { m: BigInt(kept.length), e: 0 } : kind === "weightedMean" ? sumOf(weights!, kept) : ONE;
    return by.m === 0n ? "its children's weights add up to 0" : { kept, first, value: (i) => values[i]!, weight, by };
  }

  /** Kept children of the two with the same key; -1 for one that is missing. Both are in the order of keys. */
  *#pairs(before: Place, from: Linear, after: Place, to: Linear): Generator<readonly [number, number]> {
    const depth = before.tree.levels[before.level]!.keys.length;
    const key = (place: Place, linear: Linear, child: number): readonly Key[] =>
      closedPath(place.tree, place.level - 1, linear.first + child).slice(depth);
    let i = 0;
    let j = 0;
    while (i < from.kept.length || j < to.kept.length) {
      const order =
        i === from.kept.length
          ? 1
          : j === to.kept.length
            ? -1
            : comparePaths(key(before, from, from.kept[i]!), key(after, to, to.kept[j]!));
      yield [order <= 0 ? from.kept[i++]! : -1, order >= 0 ? to.kept[j++]! : -1];
    }
  }
}

/** A count takes every child for 1, whatever its value. */
const isCount = ({ tree, level }: Place): boolean => tree.levels[level]!.reduce === "count";

const half = ({ m, e }: Dyadic): Dyadic => ({ m, e: e - 1 });

function sumOf(weights: ArrayLike<number>, kept: readonly number[]): Dyadic {
  const sum = new ExactSum();
  for (const i of kept) sum.add(weights[i]!);
  return dyadicSum(sum);
}

function comparePaths(a: readonly Key[], b: readonly Key[]): number {
  for (let i = 0; i < a.length; i++) {
    const order = compareKeys(a[i]!, b[i]!);
    if (order !== 0) return order;
  }
  return 0;
}
