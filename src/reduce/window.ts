/**
 * A window that slides over values, in order of arrival (contract clause 14): what it holds is the node of its children as records, to the
 * bit, however it came to hold them. Exact sums take a child out as exactly as they took it in; extremes and users' reductions, which
 * cannot, are combined by DABA Lite. No clock: when a child goes is the caller's word, or a count.
 */
import { badOption, checkNames, FourfoldError, show } from "../errors.ts";
import type { Accuracy, NanPolicy } from "../types.ts";
import { type BuiltIn, isReduction, type Reduction } from "./reductions.ts";
import { isExactKind } from "./state.ts";
import { type Contents, ExactContents, ExtremeContents, UserContents } from "./window-contents.ts";

/** Children that a window holds at most: 2^27 take 1 GiB of values, and as much again of weights. */
const COUNT_MAX = 2 ** 27;

/** Options of {@link slidingWindow}. */
export interface SlidingWindowOptions {
  /** The window slides by itself: a push beyond this number of children takes out the oldest. Left out: only `shift()` does. */
  readonly countMax?: number;
  /** Default `"propagate"`: while a NaN is in the window, its value is NaN. Under `"skip"` a NaN has its place in the window, and no effect. */
  readonly nan?: NanPolicy;
  /** Means alone differ: `"exact"` rounds the real quotient once. Default `"reproducible"`. */
  readonly accuracy?: Exclude<Accuracy, "fast">;
  /**
   * Your word that a user's `merge` is associative to the last bit, that `init()` is neutral to it, and that adding a child is merging
   * its state. Then the reduction may depend on order. With `orderFree: true` in its definition it need not be given.
   */
  readonly associative?: boolean;
}

/** What {@link slidingWindow} returns. */
export interface SlidingWindow {
  /**
   * Adds the youngest child; beyond `countMax` the oldest goes.
   * @param weight of a weighted reduction's child: 1 if left out
   * @throws FourfoldError ERR_FOURFOLD_ARGUMENT if one is no number; ERR_FOURFOLD_WEIGHTS for a weight that nothing reads; ERR_FOURFOLD_NAN
   * under `nan: "error"`; ERR_FOURFOLD_REDUCTION if a user's reduction throws; ERR_FOURFOLD_MEMORY beyond 2^27 children
   */
  push(value: number, weight?: number): void;
  /** Takes the oldest child out. False if there was none. */
  shift(): boolean;
  /** The value of the children as one node. Empty: 0 for sums and counts, NaN for the others. */
  value(): number;
  /** How many children there are. */
  readonly length: number;
  /** Takes all children out. */
  clear(): void;
  /**
   * The window's state: its exact sums in the one form that equal sums share (contract clause 15), the float64 of a minimum or
   * maximum, or what a user's `encode` writes.
   * @throws FourfoldError ERR_FOURFOLD_REDUCTION if the reduction has no `encode`
   */
  encode(): Uint8Array;
}

/**
 * Makes an empty window that slides over values in order of arrival. It does not drift: its value is that of a run over the same children
 * as records, bit for bit, after any number of slides; an infinity or NaN that has left leaves no trace.
 *
 * A weighted reduction is made with the weight `"count"`, the one that travels with a child: `push(value, weight)` brings it.
 * A user's reduction needs `orderFree: true` in its definition, or the option `associative`: its children are merged in order, but
 * not on the grid of 4096, so a `merge` that rounds would tell how the window came about.
 * @throws FourfoldError ERR_FOURFOLD_ARGUMENT, ERR_FOURFOLD_WEIGHTS, ERR_FOURFOLD_REDUCTION
 * @example
 * const latest = slidingWindow(mean(), { countMax: 100 });
 * latest.push(21.5);
 * latest.value(); // 21.5
 */
export function slidingWindow(reduction: Reduction, options: SlidingWindowOptions = {}): SlidingWindow {
  checkReduction(reduction);
  const { countMax, nan = "propagate", accuracy = "reproducible", associative = false } = readOptions(options);
  const skip = nan === "skip";
  const { name, kind, user, ddof = 0 } = reduction;
  const make = (): Contents => {
    if (kind === "user") return new UserContents(user!, skip);
    return isExactKind(kind)
      ? new ExactContents({ kind, ddof, skip, quotient: accuracy === "exact" ? "real" : "rounded" })
      : new ExtremeContents(kind, skip);
  };
  if (user && !user.orderFree && !associative)
    throw new FourfoldError(
      "ERR_FOURFOLD_REDUCTION",
      `window: reduction "${name}" does not say that its children may be merged in any grouping`,
      {
        fix: "Define it with orderFree: true, or give associative: true, if grouping cannot change a bit of its result; else run it over the values",
      },
    );
  return new Window(make, { countMax, refuseNaN: nan === "error", weighted: isWeighted(kind), name });
}

interface WindowRules {
  readonly countMax: number | undefined;
  readonly refuseNaN: boolean;
  readonly weighted: boolean;
  /** Of the reduction, for errors. */
  readonly name: string;
}

class Window implements SlidingWindow {
  readonly #make: () => Contents;
  readonly #rules: WindowRules;
  #contents: Contents;
  #length = 0;
  #pushed = 0;

  constructor(make: () => Contents, rules: WindowRules) {
    this.#make = make;
    this.#rules = rules;
    this.#contents = make();
  }

  push(value: number, weight?: number): void {
    const { countMax } = this.#rules;
    this.#check(value, weight);
    if (countMax === undefined && this.#length === COUNT_MAX)
      throw new FourfoldError("ERR_FOURFOLD_MEMORY", `window: it holds ${COUNT_MAX} children, and none more`, {
        fix: "Give countMax, or take children out with shift()",
      });
    this.#contents.push(value, weight ?? 1);
    this.#pushed++;
    if (this.#length === countMax) this.#contents.shift();
    else this.#length++;
  }

  shift(): boolean {
    if (this.#length === 0) return false;
    this.#contents.shift();
    this.#length--;
    return true;
  }

  value(): number {
    return this.#contents.value();
  }

  get length(): number {
    return this.#length;
  }

  clear(): void {
    this.#contents = this.#make();
    this.#length = 0;
  }

  encode(): Uint8Array {
    return this.#contents.encode();
  }

  #check(value: number, weight: number | undefined): void {
    const { weighted, refuseNaN, name } = this.#rules;
    if (typeof value !== "number") throw this.#refusal("ERR_FOURFOLD_ARGUMENT", "value", value, "Give a number");
    if (weight !== undefined && !weighted) {
      const fix = `Leave it out, or slide over a weighted reduction: ${name} is none`;
      throw this.#refusal("ERR_FOURFOLD_WEIGHTS", "weight", weight, fix);
    }
    if (weight !== undefined && typeof weight !== "number") throw this.#refusal("ERR_FOURFOLD_ARGUMENT", "weight", weight, "Give a number");
    if (!refuseNaN || (value === value && weight === weight)) return;
    throw this.#refusal(
      "ERR_FOURFOLD_NAN",
      value === value ? "weight" : "value",
      Number.NaN,
      'Give a number, or use nan: "skip" or "propagate"',
    );
  }

  #refusal(
    code: "ERR_FOURFOLD_ARGUMENT" | "ERR_FOURFOLD_NAN" | "ERR_FOURFOLD_WEIGHTS",
    what: string,
    given: unknown,
    fix: string,
  ): FourfoldError {
    const index = this.#pushed;
    return new FourfoldError(code, `window: the ${what} of push ${index} is ${show(given)}`, { given, fix, at: { index } });
  }
}

function isWeighted(kind: BuiltIn | "user"): boolean {
  return kind === "weightedSum" || kind === "weightedMean";
}

function checkReduction(reduction: Reduction): void {
  if (!isReduction(reduction))
    throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `slidingWindow: given ${show(reduction).trim()}, expected a reduction such as sum()`, {
      given: reduction,
      fix: typeof reduction === "function" ? "Call it: sum(), not sum" : "Make it with sum(), mean(), min(), … or defineReduction",
    });
  const { name, weights } = reduction;
  if (weights && weights.form !== "count")
    throw new FourfoldError("ERR_FOURFOLD_WEIGHTS", `window: ${name} has weights by position, and positions change as it slides`, {
      given: weights.form,
      expected: "count",
      fix: `Make it with ${name}("count") and give each child's weight to push(value, weight)`,
    });
}

function readOptions(options: SlidingWindowOptions): SlidingWindowOptions {
  checkNames("slidingWindow", options, ["countMax", "nan", "accuracy", "associative"]);
  const { countMax, nan, accuracy, associative } = options;
  if (countMax !== undefined && !(Number.isInteger(countMax) && countMax >= 1 && countMax <= COUNT_MAX))
    throw badOption("countMax", countMax, `an integer from 1 to ${COUNT_MAX}`);
  if (nan !== undefined && !["propagate", "skip", "error"].includes(nan)) throw badOption("nan", nan, '"propagate", "skip" or "error"');
  if (accuracy !== undefined && accuracy !== "reproducible" && accuracy !== "exact")
    throw badOption("accuracy", accuracy, '"reproducible" or "exact"');
  if (associative !== undefined && typeof associative !== "boolean") throw badOption("associative", associative, "true or false");
  return options;
}
