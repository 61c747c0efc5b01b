/**
 * WHAT a level does with the children of a node. A reduction is a plain value; built-in and user reductions come
 * through the same door and are told apart only by the backends.
 */
import { badOption, checkNames, FourfoldError, show } from "../errors.ts";
import { readWeights, type Weights, type WeightsInput } from "./weights.ts";

/** The built-in reductions, by name. */
export type BuiltIn = "sum" | "weightedSum" | "mean" | "weightedMean" | "min" | "max" | "count" | "variance";

/** One reduction, ready to be a level of a chain. Make it with {@link sum}, {@link weightedSum}, … or {@link defineReduction}. */
export interface Reduction {
  /** The built-in's name, or the name a user's reduction was defined with. */
  readonly name: string;
  readonly kind: BuiltIn | "user";
  /** Weights, for `weightedSum` and `weightedMean`. */
  readonly weights?: Weights;
  /** Delta degrees of freedom, for `variance`. */
  readonly ddof?: number;
  /** The functions, for a user's reduction. */
  readonly user?: ReductionDefinition<unknown>;
}

/** Marks what the functions of this file made. Nothing else is a reduction, however much it looks like one; another copy of this package's is. */
const MADE: unique symbol = Symbol.for("fourfold.reduction");

function made(reduction: Reduction): Reduction {
  return Object.freeze(Object.defineProperty(reduction, MADE, { value: true }));
}

/** True if a value was made by {@link sum}, {@link mean}, …, or by what {@link defineReduction} returned. */
export function isReduction(value: unknown): value is Reduction {
  return typeof value === "object" && value !== null && MADE in value;
}

/** Σ x. Empty: 0. */
export function sum(): Reduction {
  return made({ name: "sum", kind: "sum" });
}

/**
 * Σ wᵢ·xᵢ. Empty: 0.
 * @param weights one vector for all nodes, `{ perNode }`, a matrix (one row for each output), or `"count"`
 * @throws FourfoldError ERR_FOURFOLD_WEIGHTS if they are not numbers
 * @example chain(weightedSum([0.2, 0.3, 0.5]))
 */
export function weightedSum(weights: WeightsInput): Reduction {
  return made({ name: "weightedSum", kind: "weightedSum", weights: readWeights(weights, "weightedSum") });
}

/** Σ x / n. Empty: NaN. */
export function mean(): Reduction {
  return made({ name: "mean", kind: "mean" });
}

/**
 * Σ wᵢ·xᵢ / Σ wᵢ. Where Σ wᵢ is 0 the quotient follows IEEE 754.
 * @param weights as for {@link weightedSum}
 * @throws FourfoldError ERR_FOURFOLD_WEIGHTS if they are not numbers
 * @example chain(mean(), weightedMean("count"))
 */
export function weightedMean(weights: WeightsInput): Reduction {
  return made({ name: "weightedMean", kind: "weightedMean", weights: readWeights(weights, "weightedMean") });
}

/** IEEE 754-2019 minimum: NaN propagates, −0 is below +0. Empty: NaN. */
export function min(): Reduction {
  return made({ name: "min", kind: "min" });
}

/** IEEE 754-2019 maximum: NaN propagates, −0 is below +0. Empty: NaN. */
export function max(): Reduction {
  return made({ name: "max", kind: "max" });
}

/** The number of children: all of them, or under `nan: "skip"` those that are kept. Empty: 0. */
export function count(): Reduction {
  return made({ name: "count", kind: "count" });
}

/**
 * (n·Σx² − (Σx)²) / (n·(n − ddof)), evaluated exactly and rounded once. NaN where n ≤ ddof or an x is not finite.
 * @param options.ddof delta degrees of freedom, an integer ≥ 0; 0 (the default) is the population's variance, 1 the sample's
 * @throws FourfoldError ERR_FOURFOLD_ARGUMENT if ddof is not such an integer
 */
export function variance(options: { readonly ddof?: number } = {}): Reduction {
  checkNames("variance", options, ["ddof"]);
  const ddof = options.ddof ?? 0;
  if (!Number.isSafeInteger(ddof) || ddof < 0) throw badOption("ddof", ddof, "an integer of 0 or more");
  return made({ name: "variance", kind: "variance", ddof });
}

/** The functions of a user's reduction over a state S. They must be pure: the same calls give the same state. */
export interface ReductionDefinition<S> {
  /** Its name, shown in plans and errors; unique within `module`. */
  readonly name: string;
  /** A new, empty state. */
  init(): S;
  /** The state with one child's value added; it may change and return the given state. */
  add(state: S, value: number): S;
  /** Two states as one, `left` from the children before those of `right`. */
  merge(left: S, right: S): S;
  /** The node's value. */
  finish(state: S): number;
  /** Writes a state that is to leave the process. */
  encode?(state: S): Uint8Array;
  /** Reads what `encode` wrote. */
  decode?(bytes: Uint8Array): S;
  /** True if the order of children cannot change the result; needed for records, which have no order. */
  readonly orderFree?: boolean;
  /** `import.meta.url` of the module that exports this reduction: then it runs in workers, too. Without it, on the calling thread. */
  readonly module?: string;
}

const DEFINITION = [
  "name",
  "init",
  "add",
  "merge",
  "finish",
  "encode",
  "decode",
  "orderFree",
  "module",
] as const satisfies readonly (keyof ReductionDefinition<unknown>)[];

/** What {@link defineReduction} returns: a reduction maker like {@link sum}. */
export interface UserReduction {
  (): Reduction;
  readonly reduction: Reduction;
}

/**
 * Defines a reduction of your own, used like the built-in ones.
 *
 * Children are added in index order on a grid of 4096; the states of the grid's blocks are merged from left to right.
 * With `module: import.meta.url` the module is imported by each worker, so it should have no other effects.
 * @throws FourfoldError ERR_FOURFOLD_REDUCTION if a function is missing
 * @example
 * export const product = defineReduction({
 *   name: "product", init: () => 1, add: (p, x) => p * x, merge: (a, b) => a * b, finish: (p) => p,
 * });
 * chain(sum(), product());
 */
export function defineReduction<S>(definition: ReductionDefinition<S>): UserReduction {
  if (typeof definition !== "object" || definition === null) throw invalid("a reduction", "definition", definition, "an object");
  checkNames("defineReduction", definition, DEFINITION);
  const { name } = definition;
  if (typeof name !== "string" || name === "") throw invalid("a reduction", "name", name, "a non-empty string");
  for (const method of ["init", "add", "merge", "finish"] as const)
    if (typeof definition[method] !== "function") throw invalid(`reduction "${name}"`, method, definition[method], "a function");
  const reduction = made({ name, kind: "user", user: definition as ReductionDefinition<unknown> });
  return Object.assign(() => reduction, { reduction });
}

function invalid(what: string, field: string, given: unknown, expected: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_REDUCTION", `${what}: "${field}" is ${show(given)}, expected ${expected}`, { given, expected });
}
