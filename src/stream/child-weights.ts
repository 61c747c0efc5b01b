/**
 * Weights of outer levels that records carry: what the first record below a child says holds for as long as an open window has records below
 * it, and another weight refuses its record.
 */
import { FourfoldError, show } from "../errors.ts";
import type { Chain, Level } from "../reduce/chain.ts";
import type { KeyLayout } from "../reduce/layout.ts";
import type { KeySpace } from "./key-space.ts";

/** One level whose weights come with the records. */
interface Carried {
  readonly name: string;
  /** Key columns of its children. */
  readonly depth: number;
  readonly weights: Map<number, number>;
  /** Nodes of slices below each child. */
  readonly held: Map<number, number>;
}

/** True for an outer level whose weights come with the records: one made with `{ perNode: [] }`. */
export function takesWeights({ reduction: { weights } }: Level): boolean {
  return weights?.form === "perNode" && weights.values.length === 0;
}

/** See the head of this file. */
export class ChildWeights {
  readonly #levels: readonly Carried[];
  readonly #space: KeySpace;
  readonly #refusesNaN: boolean;

  constructor(chain: Chain, { depths }: KeyLayout, space: KeySpace, refusesNaN: boolean) {
    this.#levels = chain.levels.flatMap((level, i) =>
      i > 0 && takesWeights(level) ? [{ name: level.name, depth: depths[i - 1]!, weights: new Map(), held: new Map() }] : [],
    );
    this.#space = space;
    this.#refusesNaN = refusesNaN;
  }

  /** How many such levels the chain has. */
  get levels(): number {
    return this.#levels.length;
  }

  /** Learns the weights of a row, or says why it cannot be taken; then nothing was learned. */
  take(columns: Readonly<Record<string, ArrayLike<number>>> | undefined, row: number, node: number): FourfoldError | undefined {
    for (const { name, depth, weights } of this.#levels) {
      const weight = columns?.[name]?.[row];
      if (typeof weight !== "number") return this.#refusal(row, node, name, depth, `has the weight ${show(weight)}`, weight);
      if (this.#refusesNaN && weight !== weight) return this.#refusal(row, node, name, depth, "has the weight NaN", weight);
      const known = weights.get(this.#space.above(node, depth));
      if (known !== undefined && known !== weight && !(known !== known && weight !== weight))
        return this.#refusal(row, node, name, depth, `has the weight ${weight}, records before it said ${known}`, weight);
    }
    for (const { name, depth, weights } of this.#levels) weights.set(this.#space.above(node, depth), columns![name]![row]!);
    return undefined;
  }

  /** A slice holds a node. */
  hold(node: number): void {
    for (const { depth, held } of this.#levels) {
      const child = this.#space.above(node, depth);
      held.set(child, (held.get(child) ?? 0) + 1);
    }
  }

  /** A slice no longer holds a node. */
  release(node: number): void {
    for (const { depth, held, weights } of this.#levels) {
      const child = this.#space.above(node, depth);
      const left = held.get(child)! - 1;
      if (left > 0) held.set(child, left);
      else {
        held.delete(child);
        weights.delete(child);
      }
    }
  }

  /** The weights of children of a level; undefined where records bring none for it. */
  of(level: string, children: Int32Array): Float64Array | undefined {
    const found = this.#levels.find(({ name }) => name === level);
    return found && Float64Array.from(children, (child) => found.weights.get(child)!);
  }

  /** For each level, the weights of the children that nodes are below. */
  list(nodes: Int32Array): Float64Array[] {
    return this.#levels.map(({ depth, weights }) => Float64Array.from(nodes, (node) => weights.get(this.#space.above(node, depth))!));
  }

  /** Forgets what it knows and learns a {@link ChildWeights.list} instead; false if two of its nodes do not agree. Slices hold their nodes anew. */
  learn(nodes: Int32Array, lists: readonly Float64Array[]): boolean {
    let agree = true;
    for (const [level, { depth, weights, held }] of this.#levels.entries()) {
      weights.clear();
      held.clear();
      for (const [i, node] of nodes.entries()) {
        const child = this.#space.above(node, depth);
        const weight = lists[level]![i]!;
        if (weights.has(child) && !Object.is(weights.get(child), weight)) agree = false;
        weights.set(child, weight);
      }
    }
    return agree;
  }

  #refusal(row: number, node: number, level: string, depth: number, problem: string, given: unknown): FourfoldError {
    const path = this.#space.path(this.#space.above(node, depth), depth).map(show).join(", ");
    return new FourfoldError("ERR_FOURFOLD_RECORD", `row ${row}: level "${level}": the child (${path}) ${problem}`, {
      given,
      fix: "All records below a child must bring the same weight for it",
      at: { row, level },
    });
  }
}
