/**
 * Many exact sums side by side, one for each group (contract clauses 3, 8, 9): a group takes 32 bytes while its sum is three
 * float64 words. reduce/exact.ts is the definition of what a group holds, and what a group grows into that needs more.
 *
 * A group is high + middle + low, exactly, and the count of its items. A term goes into `high`, what that addition loses into
 * `middle`, what that one loses into `low` (TwoSum: Knuth, TAOCP 2, 4.2.2; expansions: Shewchuk 1997). When the third addition
 * loses something, too, the words move into an ExactSum beside them, and the term starts the next three.
 */
import { productError } from "./dekker.ts";
import { ExactSum } from "./exact.ts";

/** float64 words of a group: high, middle, low, items. */
const WORDS = 4;

/** Bytes of a group's ExactSum and its place in the map, besides its integer: 130 to 150 measured. */
const GROWN_BYTES = 150;

/** Under this a product's error may not be a float64: its lowest bit lies 105 bits under the highest. */
const PRODUCT_MIN = 2 ** -960;

/** Digits of an integer that may be three words of 53 bits. */
const HEX_MAX = 40;

/** Exact sums of groups 0 … groups − 1. Groups are not checked: who calls has done so. */
export class ExactSums {
  #words = new Float64Array(0);
  #groups = 0;
  /** What three words could not hold, without items. */
  readonly #grown: Map<number, ExactSum> = new Map();

  /** How many groups there are. */
  get groups(): number {
    return this.#groups;
  }

  /** Bytes of memory held. */
  get bytes(): number {
    let bytes = this.#words.byteLength;
    for (const sum of this.#grown.values()) bytes += GROWN_BYTES + Math.ceil(sum.scaled().m.toString(16).length / 2);
    return bytes;
  }

  /** Makes groups up to `groups`; the new ones are empty. Doubles the room if that is more, so that many small steps cost little. */
  grow(groups: number): void {
    if (groups <= this.#groups) return;
    if (WORDS * groups > this.#words.length) {
      const words = new Float64Array(WORDS * (this.#groups === 0 ? groups : Math.max(groups, 2 * this.#groups)));
      words.set(this.#words);
      this.#words = words;
    }
    this.#groups = groups;
  }

  /** Makes room for `groups` at one go, where none are yet. */
  reserve(groups: number): void {
    if (this.#groups === 0) this.#words = new Float64Array(WORDS * groups);
  }

  /** Adds x to a group. */
  add(group: number, x: number): void {
    const at = WORDS * group;
    this.#words[at + 3]! += 1;
    if (!addWord(this.#words, at, x)) this.#addLarge(group, x, 1);
  }

  /** Adds values `from` to `to`, each to its group; none where that is negative. */
  addAll(groups: Int32Array, values: ArrayLike<number>, from: number, to: number): void {
    const words = this.#words;
    for (let i = from; i < to; i++) {
      const group = groups[i]!;
      if (group < 0) continue;
      const at = WORDS * group;
      const x = values[i]!;
      words[at + 3]! += 1;
      if (!addWord(words, at, x)) this.#addLarge(group, x, 1);
    }
  }

  /** Takes x out of a group. */
  subtract(group: number, x: number): void {
    const at = WORDS * group;
    this.#words[at + 3]! -= 1;
    if (!addWord(this.#words, at, -x)) this.#addLarge(group, x, -1);
  }

  /** Takes x out of a group and adds y: as {@link ExactSums.subtract} and {@link ExactSums.add}, in one go where three words hold all of it. */
  exchange(group: number, x: number, y: number): void {
    const words = this.#words;
    const at = WORDS * group;
    const a = words[at]!;
    const b = words[at + 1]!;
    const c = words[at + 2]!;
    // Six TwoSums: −x down the words, then y.
    const h = a - x;
    const x1 = h - a;
    const l = a - (h - x1) + (-x - x1);
    const m = b + l;
    const x2 = m - b;
    const l2 = b - (m - x2) + (l - x2);
    const n = c + l2;
    const x3 = n - c;
    const lost = c - (n - x3) + (l2 - x3);
    const high = h + y;
    const y1 = high - h;
    const k = h - (high - y1) + (y - y1);
    const middle = m + k;
    const y2 = middle - m;
    const k2 = m - (middle - y2) + (k - y2);
    const low = n + k2;
    const y3 = low - n;
    if (lost !== 0 || n - (low - y3) + (k2 - y3) !== 0) {
      // Something is beyond three words, or not finite.
      this.subtract(group, x);
      this.add(group, y);
      return;
    }
    words[at] = high;
    words[at + 1] = middle;
    words[at + 2] = low;
  }

  /** Adds the exact product w·x to a group. */
  addProduct(group: number, w: number, x: number): void {
    this.#words[WORDS * group + 3]! += 1;
    this.#addProduct(group, w, x, 1);
  }

  /** Adds products `from` to `to`, each to its group; none where that is negative. */
  addAllProducts(groups: Int32Array, ws: ArrayLike<number>, xs: ArrayLike<number>, from: number, to: number): void {
    for (let i = from; i < to; i++) if (groups[i]! >= 0) this.addProduct(groups[i]!, ws[i]!, xs[i]!);
  }

  /** Takes w·x out of a group. */
  subtractProduct(group: number, w: number, x: number): void {
    this.#words[WORDS * group + 3]! -= 1;
    this.#addProduct(group, w, x, -1);
  }

  /** Adds all that a sum holds to a group. */
  merge(group: number, sum: ExactSum): void {
    this.#merge(group, sum, 1);
  }

  /** Takes out of a group all that a sum holds. */
  unmerge(group: number, sum: ExactSum): void {
    this.#merge(group, sum, -1);
  }

  /** Adds all that a group of another store holds to a group. */
  mergeFrom(group: number, from: ExactSums, other: number): void {
    this.#mergeFrom(group, from, other, 1);
  }

  /** Takes out of a group all that a group of another store holds. */
  unmergeFrom(group: number, from: ExactSums, other: number): void {
    this.#mergeFrom(group, from, other, -1);
  }

  /** Terms added to a group less terms taken out. */
  items(group: number): number {
    return this.#words[WORDS * group + 3]!;
  }

  /** A group's sum, rounded once. */
  value(group: number): number {
    const at = WORDS * group;
    const words = this.#words;
    const value = this.#grown.size > 0 && this.#grown.has(group) ? Number.NaN : roundWords(words[at]!, words[at + 1]!, words[at + 2]!);
    return value === value ? value : this.sum(group).value();
  }

  /** A copy of a group's sum. */
  sum(group: number): ExactSum {
    const at = WORDS * group;
    const sum = ExactSum.of([...this.#words.subarray(at, at + 3)], this.#words[at + 3]!);
    const grown = this.#grown.get(group);
    if (grown !== undefined) sum.merge(grown);
    return sum;
  }

  /** Adds sign·x where three words do not hold the sum, or x is not finite. */
  #addLarge(group: number, x: number, sign: 1 | -1): void {
    if (x - x === 0) {
      this.#spill(group);
      this.#words[WORDS * group] = sign * x;
    } else this.#addGrown(group, ExactSum.of([x], 0), sign);
  }

  #addProduct(group: number, w: number, x: number, sign: 1 | -1): void {
    const at = WORDS * group;
    const product = sign * w * x;
    const error = errorOf(sign * w, x, product);
    if (error - error !== 0) {
      // The product or its error is no float64, or not finite.
      const exact = ExactSum.of([], -1);
      exact.addProduct(w, x);
      this.#addGrown(group, exact, sign);
      return;
    }
    if (!addWord(this.#words, at, product)) this.#addLarge(group, product, 1);
    if (error !== 0 && !addWord(this.#words, at, error)) this.#addLarge(group, error, 1);
  }

  #mergeFrom(group: number, from: ExactSums, other: number, sign: 1 | -1): void {
    const words = from.#words;
    const at = WORDS * other;
    this.#words[WORDS * group + 3]! += sign * words[at + 3]!;
    for (let word = 0; word < 3; word++) {
      const x = sign * words[at + word]!;
      if (x !== 0 && !addWord(this.#words, WORDS * group, x)) this.#addLarge(group, x, 1);
    }
    const grown = from.#grown.get(other);
    if (grown !== undefined) this.#addGrown(group, grown, sign);
  }

  #merge(group: number, sum: ExactSum, sign: 1 | -1): void {
    this.#words[WORDS * group + 3]! += sign * sum.items;
    const parts = sum.parts();
    const rest = ExactSum.from({ ...parts, items: 0 });
    // A sum of three words or fewer is peeled into them: its rounded value, then that of what is left, then the last.
    if (parts.m.toString(16).length <= HEX_MAX)
      for (let word = 0; word < 3 && !rest.isZero; word++) {
        const x = rest.value();
        if (x - x !== 0) break; // beyond float64, or special
        rest.merge(ExactSum.of([-x], 0));
        if (!addWord(this.#words, WORDS * group, sign * x)) this.#addLarge(group, sign * x, 1);
      }
    if (!rest.isZero) this.#addGrown(group, rest, sign);
  }

  /** Adds sign·sum beside the group's words. What cancels there gives its room back. */
  #addGrown(group: number, sum: ExactSum, sign: 1 | -1): void {
    let grown = this.#grown.get(group);
    if (grown === undefined) {
      grown = new ExactSum();
      this.#grown.set(group, grown);
    }
    if (sign > 0) grown.merge(sum);
    else grown.unmerge(sum);
    if (grown.isZero) this.#grown.delete(group);
  }

  /** Moves a group's words beside them, which leaves them 0. */
  #spill(group: number): void {
    const words = this.#words.subarray(WORDS * group, WORDS * group + 3);
    this.#addGrown(group, ExactSum.of([...words], 0), 1);
    words.fill(0);
  }
}

/** Adds x to the three words at `at`, exactly, or returns false and leaves them as they were. What is not finite never fits. */
function addWord(words: Float64Array, at: number, x: number): boolean {
  // Each step is TwoSum: the sum, then what it lost, which is NaN if the sum overflowed.
  const a = words[at]!;
  const high = a + x;
  const x1 = high - a;
  const lost = a - (high - x1) + (x - x1);
  if (lost === 0) {
    words[at] = high;
    return true;
  }
  const b = words[at + 1]!;
  const middle = b + lost;
  const x2 = middle - b;
  const lost2 = b - (middle - x2) + (lost - x2);
  if (lost2 === 0) {
    words[at] = high;
    words[at + 1] = middle;
    return true;
  }
  const c = words[at + 2]!;
  const low = c + lost2;
  const x3 = low - c;
  if (c - (low - x3) + (lost2 - x3) !== 0) return false;
  words[at] = high;
  words[at + 1] = middle;
  words[at + 2] = low;
  return true;
}

/** w·x − product, product being RN(w·x); not finite where that is no float64, or may not be, or something overflows. */
function errorOf(w: number, x: number, product: number): number {
  if (product < PRODUCT_MIN && product > -PRODUCT_MIN) return w === 0 || x === 0 ? product - product : Number.NaN;
  return productError(w, x, product);
}

/** Passes until the words do not overlap: two are common, and more than four were not seen. */
const PASSES_MAX = 8;

/** RN(a + b + c), or NaN where this way does not tell: beyond the largest float64. */
function roundWords(a: number, b: number, c: number): number {
  let high = a;
  let middle = b;
  let low = c;
  for (let pass = 0; pass < PASSES_MAX; pass++) {
    const s = middle + low;
    const x1 = s - middle;
    const l = middle - (s - x1) + (low - x1);
    const h = high + s;
    const x2 = h - high;
    const m = high - (h - x2) + (s - x2);
    if (h === high && m === middle && l === low) {
      // high is RN(high + middle), a tie to even: low decides a tie (as CPython's math.fsum).
      if (low !== 0 && low > 0 === middle > 0) {
        const twice = 2 * middle;
        const up = high + twice;
        if (up - high === twice) return up;
      }
      return high;
    }
    high = h;
    middle = m;
    low = l;
  }
  return Number.NaN;
}
