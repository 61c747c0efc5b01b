/**
 * `exactSum`: the exact sum alone, without a chain and without an engine (contract clauses 3, 8, 9, 15). What it holds is defined
 * by reduce/exact.ts; single numbers are added as in reduce/sums.ts, lists by the kernels of backends/accumulator.ts.
 */
import { type Addends, dotOf, type Factors, shortList, sumOf } from "./backends/accumulator.ts";
import { badOption, checkNames, FourfoldError, show } from "./errors.ts";
import { ByteReader, ByteWriter } from "./reduce/bytes.ts";
import { readExact, writeExact } from "./reduce/encode.ts";
import { ExactSums } from "./reduce/sums.ts";

/** Options of {@link exactSum}. */
export interface ExactSumOptions {
  /**
   * What a sum of nothing, or of nothing but −0, is. `"positive"` (default): +0, as every exact zero (clause 8).
   * `"sumPrecise"`: −0, as `Math.sumPrecise` has it.
   */
  readonly zero?: "positive" | "sumPrecise";
}

/**
 * An exact sum of float64 values and products of two. `value()` is the real sum rounded once, to nearest even (clause 3), so
 * neither the order of the terms nor the way they were merged can change a bit of it. Nothing overflows on the way (clause 9), and what was
 * added can be taken out again without a trace. NaN and infinities are counted, so that they can be taken out, too (clause 8).
 *
 * A call that throws has added nothing.
 *
 * Sources: R. Neal, Fast exact summation using small and large superaccumulators, arXiv 1505.05571 (lists); J. Shewchuk, Adaptive
 * precision floating-point arithmetic, 1997 (single numbers).
 */
export class ExactAccumulator {
  readonly #sums = new ExactSums();
  readonly #zero: "positive" | "sumPrecise";
  /** Nothing but −0 was ever added, and nothing taken out. */
  #negativeZero = true;

  /** Use {@link exactSum}. */
  constructor(zero: "positive" | "sumPrecise") {
    this.#sums.grow(1);
    this.#zero = zero;
  }

  /** Adds x. @throws FourfoldError ERR_FOURFOLD_DTYPE if it is no number */
  add(x: number): void {
    checkNumber(x, "x");
    if (x !== 0 || 1 / x > 0) this.#negativeZero = false;
    this.#sums.add(0, x);
  }

  /** Takes x out again. @throws FourfoldError ERR_FOURFOLD_DTYPE if it is no number */
  subtract(x: number): void {
    checkNumber(x, "x");
    this.#negativeZero = false;
    this.#sums.subtract(0, x);
  }

  /**
   * Adds all numbers of a list. Typed arrays are fastest, float64 and float32 first; 64-bit integers are added exactly.
   * @throws FourfoldError ERR_FOURFOLD_DTYPE, with the index of what is no number; ERR_FOURFOLD_ARGUMENT for a transferred array
   */
  addAll(values: Addends): void {
    const short = shortList(values, "values");
    if (short !== undefined) {
      for (const x of short) this.add(x);
      return;
    }
    const { sum, negativeZero } = sumOf(values, "values");
    this.#negativeZero &&= negativeZero;
    this.#sums.merge(0, sum);
  }

  /** Takes all numbers of a list out again. @throws FourfoldError as {@link ExactAccumulator.addAll} */
  subtractAll(values: Addends): void {
    this.#sums.unmerge(0, sumOf(values, "values").sum);
    this.#negativeZero = false;
  }

  /** Adds the exact product w·x. One that is not finite is classified by IEEE: 0 × Infinity is NaN. @throws FourfoldError ERR_FOURFOLD_DTYPE */
  addProduct(w: number, x: number): void {
    checkNumber(w, "w");
    checkNumber(x, "x");
    this.#negativeZero = false;
    this.#sums.addProduct(0, w, x);
  }

  /** Takes w·x out again. @throws FourfoldError ERR_FOURFOLD_DTYPE */
  subtractProduct(w: number, x: number): void {
    checkNumber(w, "w");
    checkNumber(x, "x");
    this.#negativeZero = false;
    this.#sums.subtractProduct(0, w, x);
  }

  /**
   * Adds the exact products of two lists, weights[i]·values[i].
   * @throws FourfoldError ERR_FOURFOLD_DTYPE and ERR_FOURFOLD_ARGUMENT as {@link ExactAccumulator.addAll}; ERR_FOURFOLD_WEIGHTS for lists of two lengths
   */
  addProducts(weights: Factors, values: Factors): void {
    this.#sums.merge(0, dotOf(weights, values));
    this.#negativeZero = false;
  }

  /** Takes the products of two lists out again. @throws FourfoldError as {@link ExactAccumulator.addProducts} */
  subtractProducts(weights: Factors, values: Factors): void {
    this.#sums.unmerge(0, dotOf(weights, values));
    this.#negativeZero = false;
  }

  /** Adds all that another sum holds, which stays as it is. Commutative and associative. @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
  merge(other: ExactAccumulator): void {
    this.#sums.merge(0, checkSum(other).#sums.sum(0));
    this.#negativeZero &&= other.#negativeZero;
  }

  /** Takes out all that another sum holds. @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
  unmerge(other: ExactAccumulator): void {
    this.#sums.unmerge(0, checkSum(other).#sums.sum(0));
    this.#negativeZero = false;
  }

  /** The sum, rounded once. NaN if any NaN or both infinities are counted, else that infinity (clause 8); ±Infinity beyond float64. */
  value(): number {
    return this.#negativeZero && this.#zero === "sumPrecise" ? -0 : this.#sums.value(0);
  }

  /** Terms added less terms taken out: exact up to 2^53. */
  get count(): number {
    return this.#sums.items(0);
  }

  /**
   * The sum as bytes, "Exact value" of docs/state-format.md: the same for the same sum, whatever way it came about (clause 15). The sign of a zero is
   * no part of them.
   */
  encode(): Uint8Array {
    const bytes = new ByteWriter();
    writeExact(bytes, this.#sums.sum(0));
    return bytes.finish();
  }

  /** @internal Puts what bytes hold into an empty sum. */
  read(bytes: Uint8Array): this {
    const reader = new ByteReader(bytes);
    const sum = readExact(reader);
    reader.end();
    this.#sums.merge(0, sum);
    this.#negativeZero = sum.isZero && sum.items === 0;
    return this;
  }
}

/**
 * Makes an empty exact sum.
 *
 * @example
 * const total = exactSum();
 * total.add(0.1);
 * total.addAll([0.2, 0.3, 1e100, -1e100]);
 * total.value(); // 0.6
 *
 * @throws FourfoldError ERR_FOURFOLD_ARGUMENT for an unknown option
 */
export const exactSum: {
  (options?: ExactSumOptions): ExactAccumulator;
  /**
   * The sum that `encode()` wrote.
   * @throws FourfoldError ERR_FOURFOLD_STATE for bytes that are no encoding of a sum; ERR_FOURFOLD_ARGUMENT for what is no bytes
   */
  decode(bytes: Uint8Array, options?: ExactSumOptions): ExactAccumulator;
} = Object.assign((options: ExactSumOptions = {}) => new ExactAccumulator(readZero(options)), {
  decode(bytes: Uint8Array, options: ExactSumOptions = {}): ExactAccumulator {
    if (!(bytes instanceof Uint8Array))
      throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `the bytes are ${show(bytes)}, expected a Uint8Array`, {
        given: bytes,
        expected: "Uint8Array",
        fix: "Give what encode() returned",
      });
    return new ExactAccumulator(readZero(options)).read(bytes);
  },
});

const ZEROS = ["positive", "sumPrecise"] as const;

function readZero(options: ExactSumOptions): "positive" | "sumPrecise" {
  checkNames("exactSum", options, ["zero"]);
  const { zero = "positive" } = options;
  if (!ZEROS.includes(zero)) throw badOption("zero", zero, '"positive" or "sumPrecise"');
  return zero;
}

function checkNumber(x: unknown, name: string): void {
  if (typeof x === "number") return;
  throw new FourfoldError("ERR_FOURFOLD_DTYPE", `${name} is ${show(x)}, expected a number`, {
    given: x,
    expected: "number",
    fix: "Convert it",
  });
}

function checkSum(other: unknown): ExactAccumulator {
  if (other instanceof ExactAccumulator) return other;
  throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `the other sum is ${show(other)}, expected one of exactSum()`, {
    given: other,
    expected: "an exactSum()",
    fix: "Add numbers with add and addAll; read bytes with exactSum.decode",
  });
}
