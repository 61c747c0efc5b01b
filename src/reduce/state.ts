/**
 * The state of one node: the mergeable partial result of its reduction, while children may still come (contract clauses 3–8, 10, 14).
 * For children without an order: records, and closed nodes. States of linear reductions and of the variance are exact, so that children
 * can be taken out again; extremes, and users' reductions, only grow.
 */
import { canonical, ExactSum, exactQuotient, exactVariance } from "./exact.ts";
import { quotient } from "./node.ts";
import type { BuiltIn } from "./reductions.ts";

/** What makes a node's value beside its children. */
export interface StateRules {
  readonly kind: BuiltIn;
  /** Of `variance`. */
  readonly ddof: number;
  /** A mean divides rounded sums (`reproducible`), or the real quotient is rounded once (`exact`). */
  readonly quotient: "rounded" | "real";
  readonly skip: boolean;
}

/** A state that children can be taken out of, too. */
export interface ExactState {
  /** Adds a child; w is read by weighted reductions alone. A NaN is nothing under `skip`. */
  add(x: number, w: number): void;
  /** Takes a child out that was added. */
  subtract(x: number, w: number): void;
  /** Adds the children of another state under the same rules. */
  merge(other: this): void;
  /** The node's value as if it closed now. */
  value(): number;
}

/** The reductions with an {@link ExactState}. */
export type ExactKind = Exclude<BuiltIn, "min" | "max">;

/** A new state, without children. */
export function exactState(rules: StateRules & { readonly kind: ExactKind }): NodeState {
  return new NodeState(rules);
}

/** True for the reductions whose states can give children back. */
export function isExactKind(kind: BuiltIn): kind is ExactKind {
  return kind !== "min" && kind !== "max";
}

/** True for the reductions that keep two sums. */
export function hasSecond(kind: BuiltIn): boolean {
  return kind === "weightedMean" || kind === "variance";
}

/** The value of a node with these sums (clauses 3, 6, 7): `main` is Σ x or Σ w·x, `second` Σ w of a weighted mean, Σ x² of a variance. */
export function exactValue({ kind, ddof, quotient: division }: StateRules, main: ExactSum, second: ExactSum | undefined): number {
  const n = main.items;
  switch (kind) {
    case "mean": {
      if (division === "rounded") return quotient(main.value(), n);
      const children = new ExactSum();
      children.add(n);
      return exactQuotient(main, children);
    }
    case "weightedMean":
      return division === "real" ? exactQuotient(main, second!) : quotient(main.value(), second!.value());
    case "variance":
      return exactVariance(n, ddof, main, second!);
    default:
      return main.value();
  }
}

/** Exact sums: which ones, the reduction says. */
export class NodeState implements ExactState {
  readonly #rules: StateRules;
  /** Σ x or Σ w·x; its items are the children. */
  readonly main: ExactSum = new ExactSum();
  /** Σ w of a weighted mean, Σ x² of a variance. */
  readonly second: ExactSum | undefined;

  constructor(rules: StateRules & { readonly kind: ExactKind }) {
    this.#rules = rules;
    this.second = hasSecond(rules.kind) ? new ExactSum() : undefined;
  }

  add(x: number, w: number): void {
    this.#change(x, w, "add", "addProduct");
  }

  subtract(x: number, w: number): void {
    this.#change(x, w, "subtract", "subtractProduct");
  }

  merge(other: NodeState): void {
    this.main.merge(other.main);
    if (other.second) this.second!.merge(other.second);
  }

  value(): number {
    return exactValue(this.#rules, this.main, this.second);
  }

  #change(x: number, w: number, term: "add" | "subtract", product: "addProduct" | "subtractProduct"): void {
    const { kind, skip } = this.#rules;
    if (skip && x !== x) return;
    if (kind === "weightedSum" || kind === "weightedMean") this.main[product](w, x);
    else this.main[term](kind === "count" ? 1 : x);
    if (kind === "weightedMean") this.second![term](w);
    if (kind === "variance") this.second![product](x, x);
  }
}

/** The extreme of two values: IEEE 754-2019 minimum or maximum. */
export function extremeOf(kind: "min" | "max", a: number, b: number): number {
  return canonical(kind === "min" ? Math.min(a, b) : Math.max(a, b));
}
