/**
 * Exact sums of float64 values and of products of two, rounded once (contract clauses 3, 8, 9).
 * This is the definition: an integer M and an exponent e, the sum being M·2^e. It is slow and has no range limit;
 * assembly/exact.ts is the fast one and must agree with it bit for bit.
 */

/** A finite float64 as mantissa · 2^exponent, with an integer mantissa below 2^53 in size. */
export function decompose(x: number): { mantissa: bigint; exponent: number } {
  bits.setFloat64(0, x);
  const word = bits.getBigUint64(0);
  const field = Number((word >> 52n) & 0x7ffn);
  const fraction = word & 0xfffffffffffffn;
  const magnitude = field === 0 ? fraction : fraction | 0x10000000000000n;
  return { mantissa: word >> 63n ? -magnitude : magnitude, exponent: Math.max(field, 1) - 1075 };
}

const bits = new DataView(new ArrayBuffer(8));

/** Binary digits of n; 0 for 0. */
export const bitLength = (n: bigint): number => (n === 0n ? 0 : n.toString(2).length);

/**
 * Rounds num / den · 2^exponent to the nearest float64, ties to even; den > 0. Zero gives +0;
 * a non-zero value that underflows keeps its sign; beyond the largest float64 it gives ±Infinity.
 */
export function roundRatio(num: bigint, den: bigint, exponent: number): number {
  if (num === 0n) return 0;
  const sign = num < 0n ? -1 : 1;
  let n = num < 0n ? -num : num;
  // Scale so that the integer quotient has 64 bits or more: 53 for the result, the rest and a sticky bit for the rounding.
  const shift = Math.max(0, 64 + bitLength(den) - bitLength(n));
  n <<= BigInt(shift);
  let q = n / den;
  let e = exponent - shift;
  let sticky = q * den !== n;
  // Keep 53 bits, fewer where the result is subnormal.
  const drop = Math.max(bitLength(q) - 53, -1074 - e);
  if (drop > 0) {
    const d = BigInt(drop);
    const rest = q & ((1n << d) - 1n);
    const half = 1n << (d - 1n);
    q >>= d;
    e += drop;
    if (rest > half || (rest === half && (sticky || (q & 1n) === 1n))) q += 1n;
    sticky = false;
  }
  if (bitLength(q) + e > 1024) return sign * Number.POSITIVE_INFINITY;
  // Two exact steps: 2^e alone may be out of range where q·2^e is not.
  const low = Math.max(e, -1022);
  return sign * Number(q) * 2 ** low * 2 ** (e - low);
}

/** Every NaN with the bits 0x7ff8000000000000 (clause 8): hardware makes others. */
export function canonical(x: number): number {
  return x === x ? x : Number.NaN;
}

/** What an exact sum holds (contract clause 15): sign · M · 2^exponent with M odd (0: M = 0, exponent 0), and signed counts. */
export interface ExactParts {
  /** Odd, or 0; negative for a negative sum. */
  readonly m: bigint;
  readonly exponent: number;
  readonly nan: number;
  readonly positiveInfinity: number;
  readonly negativeInfinity: number;
  /** Terms added less terms subtracted. */
  readonly items: number;
}

/**
 * The exact sum of float64 values and products; `value()` rounds it once. Terms may be subtracted again, and sums merged,
 * in any order: what is held afterwards is the same. Counts are exact up to 2^53.
 */
export class ExactSum {
  #m = 0n;
  #e = 0;
  #nan = 0;
  #positive = 0;
  #negative = 0;
  #items = 0;

  /** The sum that holds these parts. */
  static from({ m, exponent, nan, positiveInfinity, negativeInfinity, items }: ExactParts): ExactSum {
    const sum = new ExactSum();
    sum.#addScaled(m, exponent);
    sum.#nan = nan;
    sum.#positive = positiveInfinity;
    sum.#negative = negativeInfinity;
    sum.#items = items;
    return sum;
  }

  /** The sum of the terms, which stand for `items` items. */
  static of(terms: readonly number[], items: number): ExactSum {
    const sum = new ExactSum();
    for (const x of terms) sum.add(x);
    sum.#items = items;
    return sum;
  }

  /** Adds x. */
  add(x: number): void {
    this.#add(x, 1);
  }

  /** Takes x out again. */
  subtract(x: number): void {
    this.#add(x, -1);
  }

  /** Adds the exact product w·x. A non-finite product is classified by IEEE: 0 × Infinity is NaN. */
  addProduct(w: number, x: number): void {
    this.#addProduct(w, x, 1);
  }

  /** Takes w·x out again. */
  subtractProduct(w: number, x: number): void {
    this.#addProduct(w, x, -1);
  }

  /** Adds all that another sum holds. Commutative and associative. */
  merge(other: ExactSum): void {
    this.#merge(other, 1);
  }

  /** Takes out all that another sum holds. */
  unmerge(other: ExactSum): void {
    this.#merge(other, -1);
  }

  /** The sum, rounded to nearest even. NaN if any NaN or both infinities are counted, else that infinity (clause 8). */
  value(): number {
    const special = this.special();
    return special === undefined ? roundRatio(this.#m, 1n, this.#e) : special;
  }

  /** NaN or an infinity if the sum is one, else undefined. */
  special(): number | undefined {
    if (this.#nan !== 0 || (this.#positive !== 0 && this.#negative !== 0)) return Number.NaN;
    if (this.#positive !== 0) return Number.POSITIVE_INFINITY;
    return this.#negative !== 0 ? Number.NEGATIVE_INFINITY : undefined;
  }

  /** Terms added less terms subtracted. */
  get items(): number {
    return this.#items;
  }

  /** Whether it holds nothing but items: a finite part of 0, and no NaN or infinity counted. */
  get isZero(): boolean {
    return this.#m === 0n && this.special() === undefined;
  }

  /** The finite part as an integer M and an exponent e, the sum being M·2^e. */
  scaled(): { m: bigint; e: number } {
    return { m: this.#m, e: this.#e };
  }

  /** What it holds, in the one form that equal sums share. */
  parts(): ExactParts {
    const zeros = trailingZeros(this.#m);
    return {
      m: this.#m >> BigInt(zeros),
      exponent: this.#m === 0n ? 0 : this.#e + zeros,
      nan: this.#nan,
      positiveInfinity: this.#positive,
      negativeInfinity: this.#negative,
      items: this.#items,
    };
  }

  #add(x: number, sign: 1 | -1): void {
    this.#items += sign;
    if (Number.isFinite(x)) {
      const { mantissa, exponent } = decompose(x);
      this.#addScaled(sign < 0 ? -mantissa : mantissa, exponent);
    } else this.#addSpecial(x, sign);
  }

  #addProduct(w: number, x: number, sign: 1 | -1): void {
    this.#items += sign;
    if (Number.isFinite(w) && Number.isFinite(x)) {
      const a = decompose(sign < 0 ? -w : w);
      const b = decompose(x);
      this.#addScaled(a.mantissa * b.mantissa, a.exponent + b.exponent);
    } else this.#addSpecial(w * x, sign);
  }

  #merge(other: ExactSum, sign: 1 | -1): void {
    const { m, e } = other.scaled();
    this.#addScaled(sign < 0 ? -m : m, e);
    this.#nan += sign * other.#nan;
    this.#positive += sign * other.#positive;
    this.#negative += sign * other.#negative;
    this.#items += sign * other.#items;
  }

  #addScaled(m: bigint, e: number): void {
    if (m === 0n) return;
    if (this.#m === 0n) {
      this.#m = m;
      this.#e = e;
    } else if (e >= this.#e) this.#m += m << BigInt(e - this.#e);
    else {
      this.#m = (this.#m << BigInt(this.#e - e)) + m;
      this.#e = e;
    }
  }

  #addSpecial(x: number, sign: 1 | -1): void {
    if (x > 0) this.#positive += sign;
    else if (x < 0) this.#negative += sign;
    else this.#nan += sign;
  }
}

/** Zero bits below the lowest set bit; 0 for zero. */
function trailingZeros(m: bigint): number {
  if (m === 0n) return 0;
  let zeros = 0;
  let rest = m;
  for (; (rest & 0xffffffffffffffffn) === 0n; rest >>= 64n) zeros += 64;
  const word = BigInt.asUintN(64, rest & -rest);
  return zeros + bitLength(word) - 1;
}

/**
 * The quotient of two exact sums, rounded once (clause 6, accuracy `"exact"`). A zero divisor or a non-finite operand follows
 * IEEE on the exact sums: neither is rounded first, so a sum beyond float64 is no infinity and one below it is no zero.
 */
export function exactQuotient(numerator: ExactSum, denominator: ExactSum): number {
  const n = numerator.scaled();
  const d = denominator.scaled();
  if (numerator.special() === undefined && denominator.special() === undefined && d.m !== 0n)
    return d.m > 0n ? roundRatio(n.m, d.m, n.e - d.e) : roundRatio(-n.m, -d.m, n.e - d.e);
  // What is left hangs on signs alone, so ±1 can stand for any finite sum but 0. An exact zero is +0 (clause 8).
  const stand = numerator.special() ?? signOf(n.m);
  const by = denominator.special() ?? signOf(d.m);
  return stand === 0 && by !== 0 && by === by ? 0 : canonical(stand / by);
}

const signOf = (m: bigint): number => (m > 0n ? 1 : m < 0n ? -1 : 0);

/**
 * The variance from exact Σx and Σx² (clause 7): (n·Σx² − (Σx)²) / (n·(n − ddof)), rounded once;
 * NaN where n ≤ ddof or a value was not finite.
 */
export function exactVariance(n: number, ddof: number, sum: ExactSum, squares: ExactSum): number {
  if (n <= ddof || sum.special() !== undefined || squares.special() !== undefined) return Number.NaN;
  const s = sum.scaled();
  const q = squares.scaled();
  const e = Math.min(q.e, 2 * s.e);
  const m = ((BigInt(n) * q.m) << BigInt(q.e - e)) - ((s.m * s.m) << BigInt(2 * s.e - e));
  return roundRatio(m, BigInt(n) * BigInt(n - ddof), e);
}
