/**
 * What each child gives to the value of its closed parent, exactly: doubles that add up to the value with one residual. The reductions
 * themselves are in node.ts; nothing here computes a node.
 *
 * The exact term of a kept child with value v, weight w, among n kept children whose weights sum to W:
 *
 *   sum v · weightedSum w·v · mean v/n · weightedMean w·v/W · count 1 · variance (v − m)²/(n − ddof), m being the real mean of the children
 *   min, max: all of the value for the child that decides, the first of several; 0 for the others
 *
 * A contribution is its term, rounded once (RN), and the residual is what the roundings lost, those of the parent among them: its value less the sum of
 * the contributions. settle.ts says when one double holds that, and how contributions change where it does not. Children that `nan: "skip"` leaves
 * out (contract clause 10) give +0. A reduction of the user's own has no terms.
 */
import type { NanPolicy } from "../types.ts";
import { type Dyadic, dyadic, dyadicSum, minus, roundedRatio, times } from "./dyadic.ts";
import { ExactSum } from "./exact.ts";
import { type NodeRules, reduceNode } from "./node.ts";
import type { BuiltIn } from "./reductions.ts";
import { type Settled, settle } from "./settle.ts";

/** How a parent was reduced. */
export interface Reduced {
  /** A built-in's name, or the user's. */
  readonly reduce: string;
  /** For `variance`. */
  readonly ddof: number;
  readonly nan: NanPolicy;
}

/** The children of one node, by place. */
export interface ClosedChildren {
  readonly values: ArrayLike<number>;
  /** The weight of each in the parent; undefined where it has none. */
  readonly weights: ArrayLike<number> | undefined;
  /** The records below each that were not skipped. */
  readonly counts: ArrayLike<number>;
}

/** See the head of this file. */
export interface Contributions {
  /** One for each child, in their order; undefined if the reduction has none. */
  readonly values: Float64Array | undefined;
  /** What the contributions leave of the parent's value; undefined if one of them, or the value, is not finite. */
  readonly settled: Settled | undefined;
  /** The place of the child that decides a min or max. */
  readonly decidedBy: number | undefined;
  /** Why there are no contributions, or no residual; undefined if there are both. */
  readonly why: string | undefined;
}

const KINDS: readonly BuiltIn[] = ["sum", "weightedSum", "mean", "weightedMean", "min", "max", "count", "variance"];

/** The built-in reduction of that name. */
export function builtInNamed(name: string): BuiltIn | undefined {
  return KINDS.find((kind) => kind === name);
}

/** Whether a node of the reduction needs a weight of each child. */
export const isWeighted = (name: string): boolean => name === "weightedSum" || name === "weightedMean";

/** Whether a child counts: under `skip` NaN and nodes without records are missing (clause 10). */
export function isKept(nan: NanPolicy, value: number, count: number): boolean {
  return nan !== "skip" || (value === value && count !== 0);
}

/** Places of the children that count. */
export function keptPlaces(nan: NanPolicy, { values, counts }: ClosedChildren): number[] {
  const places: number[] = [];
  for (let i = 0; i < values.length; i++) if (isKept(nan, values[i]!, counts[i]!)) places.push(i);
  return places;
}

/** The contributions of the children of a node whose value is `value`. */
export function contributionsOf(value: number, reduced: Reduced, children: ClosedChildren): Contributions {
  const kind = builtInNamed(reduced.reduce);
  if (kind === undefined) return without("a reduction of your own does not say what each child gives");
  if (isWeighted(kind) && children.weights === undefined) return without("the children's weights are not known");
  const kept = keptPlaces(reduced.nan, children);
  const values = new Float64Array(children.values.length);
  const decidedBy = kind === "min" || kind === "max" ? kept.find((i) => Object.is(children.values[i], value)) : undefined;
  if (decidedBy !== undefined) values[decidedBy] = value;
  else if (kind === "min" || kind === "max") {
    if (kept.length > 0) return without("no child has the node's value");
  } else {
    const term = termOf(kind, reduced.ddof, kept, children);
    if (term === undefined) return without("a variance has contributions only where it is finite, and all of its values are");
    for (const i of kept) values[i] = term(i) + 0; // no -0
  }
  const finite = Number.isFinite(value) && values.every(Number.isFinite);
  const settled = finite ? settle(values, ExactSum.of([value], 1)) : undefined;
  return { values, settled, decidedBy, why: finite ? undefined : "not all of it is finite, so there is no residual" };
}

const without = (why: string): Contributions => ({ values: undefined, settled: undefined, decidedBy: undefined, why });

/** A child's exact term, rounded once; undefined for a variance that has none. */
function termOf(
  kind: Exclude<BuiltIn, "min" | "max">,
  ddof: number,
  kept: readonly number[],
  { values, weights }: ClosedChildren,
): ((i: number) => number) | undefined {
  const n = kept.length;
  switch (kind) {
    case "sum":
      return (i) => values[i]!;
    case "count":
      return () => 1;
    // One IEEE operation on doubles rounds once.
    case "weightedSum":
      return (i) => weights![i]! * values[i]!;
    case "mean":
      return (i) => values[i]! / n;
    case "weightedMean": {
      const total = new ExactSum();
      for (const i of kept) total.add(weights![i]!);
      const by = dyadicSum(total);
      const rounded = total.value();
      const real = total.special() === undefined && by.m !== 0n;
      return (i) => {
        const v = values[i]!;
        const w = weights![i]!;
        return real && Number.isFinite(v) ? roundedRatio(times(dyadic(w), dyadic(v)), by) : (w * v) / rounded;
      };
    }
    case "variance":
      return n > ddof && kept.every((i) => Number.isFinite(values[i])) ? squareTerm(n, ddof, kept, values) : undefined;
  }
}

/** (v − Σv/n)²/(n − ddof) = (n·v − Σv)²/(n²·(n − ddof)), rounded once. */
function squareTerm(n: number, ddof: number, kept: readonly number[], values: ArrayLike<number>): (i: number) => number {
  const total = new ExactSum();
  for (const i of kept) total.add(values[i]!);
  const sum = dyadicSum(total);
  const count: Dyadic = { m: BigInt(n), e: 0 };
  const by: Dyadic = { m: BigInt(n) * BigInt(n) * BigInt(n - ddof), e: 0 };
  return (i) => {
    const off = minus(times(count, dyadic(values[i]!)), sum);
    return roundedRatio(times(off, off), by);
  };
}

/**
 * What the children give as the numeric contract has it (clauses 3, 6 to 8 and 10): the node's value, unless it was computed in float32, or the file
 * was changed, or levels between the two are missing. Undefined for a reduction of the user's own, and where weights are not known.
 */
export function valueOfChildren(reduced: Reduced, quotient: NodeRules["quotient"], children: ClosedChildren): number | undefined {
  const kind = builtInNamed(reduced.reduce);
  const { values, weights, counts } = children;
  if (kind === undefined || (isWeighted(kind) && weights === undefined)) return undefined;
  const rules: NodeRules = { sums: "exact", quotient, skip: reduced.nan === "skip" };
  const value = (i: number): number => (isKept(reduced.nan, values[i]!, counts[i]!) ? values[i]! : Number.NaN);
  return reduceNode(kind, reduced.ddof, values.length, value, (i) => weights![i]!, rules);
}
