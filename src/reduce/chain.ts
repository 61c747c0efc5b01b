/** A chain: the ordered reductions of a hierarchy, innermost first. A plain value: no device, no I/O. */
import { FourfoldError, show } from "../errors.ts";
import { isReduction, type Reduction, weightedMean, weightedSum } from "./reductions.ts";
import type { WeightsInput } from "./weights.ts";

/** One step of a chain. */
export interface Level {
  readonly name: string;
  readonly reduction: Reduction;
}

/** The ordered reductions, innermost (f) first. Make it with {@link chain}. */
export interface Chain {
  readonly levels: readonly Level[];
}

/** Levels of one chain: what a run can tell its workers about. */
const LEVELS_MAX = 60;

/** Marks what chain() made. Backends trust a chain, so nothing else passes for one. */
const MADE: unique symbol = Symbol.for("fourfold.chain");

const DEFAULT_NAMES = ["f", "g", "h", "k"];

/**
 * Makes a chain of one level or more, innermost first.
 * @param levels the reductions in order (named f, g, h, k, level5, …), or an object of named ones in its own order
 * @throws FourfoldError ERR_FOURFOLD_CHAIN if there is no level, a level is no reduction, a name is an integer (JavaScript
 * would reorder it), or more than one level has a weight matrix
 * @example chain(weightedSum(a), weightedSum(b), mean(), max())
 * @example chain({ sensor: weightedSum(w), site: mean(), region: max() })
 */
export function chain(...levels: [Readonly<Record<string, Reduction>>] | readonly Reduction[]): Chain {
  const [first] = levels;
  const named = levels.length === 1 && typeof first === "object" && first !== null && !isReduction(first);
  const entries: (readonly [string, Reduction])[] = named
    ? Object.entries(first)
    : (levels as readonly Reduction[]).map((reduction, i) => [DEFAULT_NAMES[i] ?? `level${i + 1}`, reduction]);
  if (entries.length === 0)
    throw new FourfoldError("ERR_FOURFOLD_CHAIN", "a chain needs one level or more, given none", {
      fix: "Give reductions, innermost first: chain(sum(), mean())",
    });
  if (entries.length > LEVELS_MAX)
    throw new FourfoldError("ERR_FOURFOLD_CHAIN", `a chain has at most ${LEVELS_MAX} levels, given ${entries.length}`, {
      given: entries.length,
      expected: LEVELS_MAX,
      fix: "Run the inner levels first, and the outer ones on their values",
    });
  for (const [name, reduction] of entries) {
    if (!isReduction(reduction))
      throw new FourfoldError("ERR_FOURFOLD_CHAIN", `level "${name}" is ${show(reduction)}, expected a reduction`, {
        given: reduction,
        fix: typeof reduction === "function" ? "Call it: sum(), not sum" : "Use sum(), weightedSum(w), mean(), … or defineReduction",
        at: { level: name },
      });
    if (/^(0|[1-9]\d*)$/.test(name))
      throw new FourfoldError("ERR_FOURFOLD_CHAIN", `level name "${name}" is an integer, which JavaScript objects move to the front`, {
        given: name,
        fix: 'Use a name such as "level1"',
        at: { level: name },
      });
  }
  const matrices = entries.filter(([, r]) => r.weights?.form === "matrix").map(([name]) => name);
  if (matrices.length > 1)
    throw new FourfoldError(
      "ERR_FOURFOLD_CHAIN",
      `levels ${matrices.map((n) => `"${n}"`).join(" and ")} have a weight matrix, at most one may`,
      {
        given: matrices,
        expected: 1,
        fix: "Keep the matrix at one level and run the chain once for each output of the other",
      },
    );
  const made: Chain = { levels: Object.freeze(entries.map(([name, reduction]) => Object.freeze({ name, reduction }))) };
  return Object.freeze(Object.defineProperty(made, MADE, { value: true }));
}

/** Refuses what is no chain. @throws FourfoldError ERR_FOURFOLD_CHAIN */
export function checkChain(value: unknown): asserts value is Chain {
  if (typeof value === "object" && value !== null && MADE in value) return;
  throw new FourfoldError("ERR_FOURFOLD_CHAIN", `the chain is ${show(value)}`, {
    given: value,
    expected: "what chain() returns",
    fix: isReduction(value) ? `Wrap it: chain(${value.name}(…))` : "Make one with chain(sum(), mean(), …)",
  });
}

/**
 * The chain with other weights at one level, which must be a `weightedSum` or `weightedMean`.
 * @throws FourfoldError ERR_FOURFOLD_LEVEL, ERR_FOURFOLD_WEIGHTS
 */
export function withWeights(given: Chain, level: string, weights: WeightsInput): Chain {
  const names = given.levels.map(({ name }) => name);
  const found = given.levels.find(({ name }) => name === level);
  if (found === undefined)
    throw new FourfoldError("ERR_FOURFOLD_LEVEL", `there is no level ${show(level)}`, {
      given: level,
      expected: names,
      fix: `The levels are ${names.join(", ")}`,
    });
  const { kind } = found.reduction;
  if (kind !== "weightedSum" && kind !== "weightedMean")
    throw new FourfoldError("ERR_FOURFOLD_WEIGHTS", `level "${level}" is a ${found.reduction.name}, which has no weights`, {
      given: weights,
      fix: "Make it a weightedSum or weightedMean",
      at: { level },
    });
  const changed = { weightedSum, weightedMean }[kind](weights);
  return chain(Object.fromEntries(given.levels.map(({ name, reduction }) => [name, name === level ? changed : reduction])));
}

/** The number of outputs of a chain: the rows of its weight matrix, or 1 and `undefined` where it has none. */
export function outputsOf(c: Chain): number | undefined {
  for (const { reduction } of c.levels) if (reduction.weights?.form === "matrix") return reduction.weights.rows;
  return undefined;
}
