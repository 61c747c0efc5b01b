/**
 * Many exact sums side by side, one for each group (contract clauses 3, 8, 9): a group takes a few words while its terms allow it.
 * reduce/exact.ts is the definition of what a group holds.
 */
import { ExactSum } from "./exact.ts";

/** Exact sums of groups 0 … groups − 1. */
export class ExactSums {
  readonly #sums: ExactSum[] = [];

  /** How many groups there are. */
  get groups(): number {
    return this.#sums.length;
  }

  /** Makes groups up to `groups`; the new ones are empty. */
  grow(groups: number): void {
    while (this.#sums.length < groups) this.#sums.push(new ExactSum());
  }

  /** Adds x to a group. */
  add(group: number, x: number): void {
    this.#sums[group]!.add(x);
  }

  /** Takes x out of a group. */
  subtract(group: number, x: number): void {
    this.#sums[group]!.subtract(x);
  }

  /** Adds the exact product w·x to a group. */
  addProduct(group: number, w: number, x: number): void {
    this.#sums[group]!.addProduct(w, x);
  }

  /** Takes w·x out of a group. */
  subtractProduct(group: number, w: number, x: number): void {
    this.#sums[group]!.subtractProduct(w, x);
  }

  /** Adds all that a sum holds to a group. */
  merge(group: number, sum: ExactSum): void {
    this.#sums[group]!.merge(sum);
  }

  /** Terms added to a group less terms taken out. */
  items(group: number): number {
    return this.#sums[group]!.items;
  }

  /** A group's sum, rounded once. */
  value(group: number): number {
    return this.#sums[group]!.value();
  }

  /** A copy of a group's sum. */
  sum(group: number): ExactSum {
    const copy = new ExactSum();
    copy.merge(this.#sums[group]!);
    return copy;
  }
}
