/**
 * What the state of a node hangs on: the mergeable partial result of a reduction while children without an order may still come
 * (contract clauses 3–8, 10, 14). reduce/states.ts keeps states, for the nodes of a chain and for windows.
 */
import { canonical } from "./exact.ts";
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

/** The reductions whose states are exact sums, so that children can be taken out again. */
export type ExactKind = Exclude<BuiltIn, "min" | "max">;

/** True for the reductions whose states can give children back. */
export function isExactKind(kind: BuiltIn): kind is ExactKind {
  return kind !== "min" && kind !== "max";
}

/** The extreme of two values: IEEE 754-2019 minimum or maximum. */
export function extremeOf(kind: "min" | "max", a: number, b: number): number {
  return canonical(kind === "min" ? Math.min(a, b) : Math.max(a, b));
}
