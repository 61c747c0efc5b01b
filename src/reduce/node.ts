/**
 * What one node's value is, for each built-in reduction: contract clauses 2, 3, 6–8, 10 and 11 in plain loops.
 * The reference backend is this file in a loop; every other backend is compared with it.
 */
import { canonical, ExactSum, exactQuotient, exactVariance } from "./exact.ts";
import { laneSum } from "./lanes.ts";
import type { BuiltIn } from "./reductions.ts";

/** How the sums of a level are made. */
export interface NodeRules {
  /** Lanes (level f of rows) or the exact sum rounded once (everything else). */
  readonly sums: "lanes" | "exact";
  /** A mean divides rounded sums (`reproducible`), or the real quotient is rounded once (`exact`). */
  readonly quotient: "rounded" | "real";
  readonly skip: boolean;
}

type Term = (i: number) => number;

/** Reduces the n children of a node; `weight` is read by weighted reductions only. */
export function reduceNode(kind: BuiltIn, ddof: number, n: number, value: Term, weight: Term, rules: NodeRules): number {
  const skipped: (i: number) => boolean = rules.skip ? (i) => Number.isNaN(value(i)) : () => false;
  let kept = 0;
  for (let i = 0; i < n; i++) if (!skipped(i)) kept++;
  const total = (term: (sum: ExactSum, i: number) => void): ExactSum => {
    const sum = new ExactSum();
    for (let i = 0; i < n; i++) if (!skipped(i)) term(sum, i);
    return sum;
  };
  const plain = (): ExactSum => total((sum, i) => sum.add(value(i)));
  const weighted = (): ExactSum => total((sum, i) => sum.addProduct(weight(i), value(i)));
  const weights = (): ExactSum => total((sum, i) => sum.add(weight(i)));
  const lanes = (term: Term): number => laneSum(n, (i) => (skipped(i) ? 0 : term(i)));
  const inLanes = rules.sums === "lanes";
  switch (kind) {
    case "sum":
      return inLanes ? lanes(value) : plain().value();
    case "weightedSum":
      return inLanes ? lanes((i) => weight(i) * value(i)) : weighted().value();
    case "mean":
      if (rules.quotient === "real") return exactQuotient(plain(), constant(kept));
      return quotient(inLanes ? lanes(value) : plain().value(), kept);
    case "weightedMean": {
      if (rules.quotient === "real") return exactQuotient(weighted(), weights());
      const numerator = inLanes ? lanes((i) => weight(i) * value(i)) : weighted().value();
      return quotient(numerator, inLanes ? lanes(weight) : weights().value());
    }
    case "min":
    case "max": {
      let extreme = kind === "min" ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
      // Math.min and Math.max are IEEE 754-2019 minimum and maximum: NaN propagates, −0 < +0.
      for (let i = 0; i < n; i++) if (!skipped(i)) extreme = kind === "min" ? Math.min(extreme, value(i)) : Math.max(extreme, value(i));
      return kept === 0 ? Number.NaN : canonical(extreme);
    }
    case "count":
      return kept;
    case "variance":
      return exactVariance(
        kept,
        ddof,
        plain(),
        total((sum, i) => sum.addProduct(value(i), value(i))),
      );
  }
}

/** RN(n / w), an exact zero over a non-zero number being +0 (clause 8). */
export function quotient(n: number, w: number): number {
  return Object.is(n, 0) && w < 0 ? 0 : canonical(n / w);
}

/** The value of a node that has no children: 0 for sums and counts, NaN for the others (clause 8). */
export function emptyValue(kind: BuiltIn): number {
  return kind === "sum" || kind === "weightedSum" || kind === "count" ? 0 : Number.NaN;
}

function constant(x: number): ExactSum {
  const sum = new ExactSum();
  sum.add(x);
  return sum;
}
