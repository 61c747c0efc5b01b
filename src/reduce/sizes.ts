/**
 * The certified bound of a chain from how large its rows are: one fast pass over the values, whoever makes it, then work for each row
 * and no longer for each value. docs/error-bound.md derives every line. It is looser than bound.ts, which takes every chain; this file
 * says which ones it takes (sums, means, min, max and count, under weights that no value changes) and what it must know of their rows.
 *
 * Each node has a size ≥ |v*|, and one pair of numbers serves a whole level: |computed − v*| ≤ relative·size + absolute.
 */
import type { Dtype, TypedData } from "../types.ts";
import { type Arithmetic, DIVISION, down, gamma, up } from "./bound.ts";
import type { BuiltIn } from "./reductions.ts";
import { builtIn, type Fitted, type FittedLevel } from "./resolve.ts";
import { childStart } from "./tree.ts";

/** What the size of a row is made of, f(x) being the float32 that stands for a child: Σ|f(x)|, Σ w·|f(x)|, Σ f(x)², or max |f(x)|. */
export type SizeFamily = "sizeSum" | "sizeWeighted" | "sizeSquares" | "sizeLargest";

/** What a bound must know of the rows of a chain, and what follows from it. */
export interface Sizing {
  readonly family: SizeFamily;
  /** For `sizeWeighted`: |w| of a row's children, never rounded down. */
  readonly weights: Float32Array | undefined;
  readonly fitted: Fitted;
  /** One for each level, innermost first. */
  readonly rules: readonly Rule[];
}

/** |computed − v*| ≤ relative·size + absolute, for every node of a level. */
interface Errors {
  readonly relative: number;
  readonly absolute: number;
  /** Nothing was rounded, unless a subnormal value was read as zero. */
  readonly exact: boolean;
}

/** What one level does to sizes and errors. */
interface Rule {
  readonly errors: Errors;
  /** A node whose Σ|w|·size is larger may overflow. */
  readonly sizeMax: number;
  readonly sets: WeightSets | undefined;
  /** Lower bounds of |Σw| of each set, for a weighted mean. */
  readonly divisors: Float64Array | undefined;
}

/** The weights of a level as sets: one for each output, or one for all nodes, or one for each node of a frame. */
interface WeightSets {
  readonly of: "outputs" | "nodes";
  /** Σw in index order. */
  readonly sums: Float64Array;
  /** Not below Σ|w|, and √Σw². */
  readonly sizes: Float64Array;
  readonly norms: Float64Array;
  /** Relative error of weights stored as float32. */
  readonly drift: number;
}

/** The unit of rounding to float32. */
const STORED = 2 ** -24;

/** The least float32 that is not subnormal: what is smaller may count as zero. */
const NORMAL_MIN = 2 ** -126;

/** How much too small, relatively, a kernel's size may be: 2^-15 for its roundings, 2^-23 for those of its children, and room. */
const LACK = 2 ** -14;

/** What each child may be short of beside that: a product that underflows, or a value that does. */
const LOST = 2 ** -148;

/** Longer rows take their weights as √Σw²: 32 KiB of them would push one another out of the first-level cache. */
const WEIGHTS_MAX = 8192;

/** If a divisor may be further off, relatively, bound.ts must look: one pair of numbers for all nodes would be too large for most. */
const DIVISOR_ERROR_MAX = 2 ** -8;

/** What must be known of the rows of a chain on leaves of a dtype; undefined if bound.ts must see every value. */
export function sizingOf(fitted: Fitted, dtype: Dtype, arithmetic: Arithmetic): Sizing | undefined {
  if (arithmetic.storage !== "f32" || arithmetic.order !== "any" || arithmetic.smallest > NORMAL_MIN) return undefined;
  const rules: Rule[] = [];
  let below = leafErrors(dtype, arithmetic);
  for (const level of fitted.levels) {
    const rule = takes(level, fitted.nan === "skip") ? ruleOf(level, below, arithmetic) : undefined;
    if (rule === undefined) return undefined;
    rules.push(rule);
    // A computed value that may be subnormal may be read as zero by the level above.
    below = rule.errors.exact ? rule.errors : { ...rule.errors, absolute: up(rule.errors.absolute + arithmetic.smallest, 1) };
  }
  const f = fitted.levels[0]!;
  const family = familyOf(f);
  const weights = family === "sizeWeighted" ? Float32Array.from(valuesOf(f)!, notBelow) : undefined;
  return { family, weights, fitted, rules };
}

/**
 * The sizes of a chain's rows, in float64: the definition of what kernels give, which add in float32 and may overflow earlier.
 * Not finite where a child is not. `sizeLargest` is negative where a float32 child is subnormal.
 */
export function rowSizes({ family, weights, fitted }: Sizing, data: TypedData): Float64Array {
  const f = fitted.levels[0]!;
  return Float64Array.from({ length: f.nodes }, (_, row) => {
    const start = childStart(f, row);
    const end = childStart(f, row + 1);
    let size = 0;
    let sign = 1;
    for (let c = start; c < end; c++) {
      const x = Math.abs(Math.fround(data[c]!));
      if (family === "sizeSum") size += x;
      else if (family === "sizeWeighted") size += weights![c - start]! * x;
      else if (family === "sizeSquares") size += x * x;
      else size = Math.max(size, x);
      if (data instanceof Float32Array && x > 0 && x < NORMAL_MIN) sign = -1;
    }
    return family === "sizeLargest" ? sign * size : size;
  });
}

/**
 * An upper bound of |computed − v*| for every outermost node and output, laid out as bound.ts has it; undefined where the sizes do
 * not tell and bound.ts must see every value.
 * @param rows the size of each row: a kernel's, or {@link rowSizes}
 * @param data the leaves, of which only rows that are not finite are read
 */
export function boundOfSizes({ family, fitted, rules }: Sizing, rows: Float64Array, data: TypedData): Float64Array | undefined {
  let size = leafSizes(family, fitted, rules[0]!, rows, data);
  if (size === undefined) return undefined;
  let planes = outputsOf(fitted.levels[0]!, 1);
  for (let index = 1; index < rules.length; index++) {
    size = raise(fitted.levels[index]!, rules[index]!, size, planes);
    planes = outputsOf(fitted.levels[index]!, planes);
  }
  const { relative, absolute, exact } = rules.at(-1)!.errors;
  const spared = exact && (family !== "sizeLargest" || rows.every((row) => row >= 0));
  for (let i = 0; i < size.length; i++)
    if (size[i]! < Number.POSITIVE_INFINITY) size[i] = spared ? 0 : up(relative * size[i]! + absolute, 2);
  return size;
}

/** Whether a level's errors follow from sizes: no value may change what a weight or a count is. */
function takes(level: FittedLevel, skip: boolean): boolean {
  const kind = builtIn(level);
  if (kind === undefined || kind === "variance" || level.weights.form === "count") return false;
  // A node without children is missing under skip, and its parent has one child less.
  return !skip || (kind !== "count" && lengths(level).shortest > 0);
}

/** How far a leaf as it is stored may be from the leaf. */
function leafErrors(dtype: Dtype, { smallest }: Arithmetic): Errors {
  if (dtype === "f64") return { relative: STORED, absolute: 2 * smallest, exact: false };
  if (dtype === "i32") return { relative: STORED, absolute: 0, exact: false };
  return { relative: 0, absolute: dtype === "f32" ? smallest : 0, exact: true };
}

/** What a level makes of its children's errors; undefined if a weight is no plain number in float32, or a divisor is in doubt. */
function ruleOf(level: FittedLevel, below: Errors, arithmetic: Arithmetic): Rule | undefined {
  const { unit, smallest, largest } = arithmetic;
  const kind = builtIn(level)!;
  const { longest: n, shortest } = lengths(level);
  const plain = { sets: undefined, divisors: undefined };
  if (kind === "count") {
    const exact = n <= 2 ** 24;
    return { ...plain, errors: { relative: exact ? 0 : STORED, absolute: 0, exact }, sizeMax: largest };
  }
  if (kind === "min" || kind === "max")
    return { ...plain, errors: below, sizeMax: down((largest - below.absolute) / up(1 + below.relative, 2)) };
  const values = valuesOf(level);
  const sets = values && weightSets(level, values, arithmetic);
  if (values && !sets) return undefined;
  // Σ w·x as in bound.ts, with Eᵢ ≤ relative·Mᵢ + absolute and δᵢ ≤ drift·|wᵢ|: what comes from below, then the node's own rounding.
  const drift = sets?.drift ?? 0;
  const total = sets ? sets.sizes.reduce((a, b) => Math.max(a, b), 0) : n;
  const own = gamma(sets ? n : Math.max(0, n - 1), unit);
  const stored = { relative: (1 + drift) * (1 + below.relative), absolute: (1 + drift) * total * below.absolute };
  const local = { relative: own * stored.relative, absolute: own * stored.absolute + 4 * n * smallest * (1 + own) };
  const sum = {
    relative: up(below.relative + drift * (1 + below.relative) + local.relative, 8),
    absolute: up(stored.absolute + local.absolute, 8),
  };
  const sizeMax = down((largest - up(stored.absolute + local.absolute, 8)) / up(stored.relative + local.relative, 8));
  if (kind === "sum" || kind === "weightedSum") return { errors: { ...sum, exact: false }, sizeMax, sets, divisors: undefined };

  // A sum of more than 2^23 terms has no bound, and the number of fewer is a float32.
  const by = kind === "weightedMean" ? divisorsOf(sets!, n, arithmetic) : { divisors: undefined, least: Math.max(1, shortest), off: 0 };
  if (by === undefined) return undefined;
  const carried = { relative: up(sum.relative * (1 + by.off) + by.off, 4), absolute: up(sum.absolute / by.least, 2) };
  const rounded = gamma(DIVISION.any, unit);
  const errors = {
    relative: up(carried.relative + rounded * (1 + carried.relative), 4),
    absolute: up(carried.absolute * (1 + rounded) + DIVISION.any * smallest, 4),
    exact: false,
  };
  return { errors, sizeMax, sets, divisors: by.divisors };
}

/** Of each set a lower bound of |Σw|; the least of what may be computed for them, and how far that may be off, relatively. */
function divisorsOf(
  { sums, sizes, drift }: WeightSets,
  n: number,
  { unit, smallest, largest }: Arithmetic,
): { divisors: Float64Array; least: number; off: number } | undefined {
  const own = gamma(n, unit);
  let least = Number.POSITIVE_INFINITY;
  let off = 0;
  const divisors = sums.map((sum, set) => {
    const size = sizes[set]!;
    const real = down(Math.abs(sum) - up(gamma(n, 2 ** -53) * size, 4));
    const error = up(drift * size + own * size * (1 + drift) + 4 * n * smallest * (1 + own), 8);
    const computed = down(real - error);
    // Above a quarter of the range the reciprocal that graphics hardware divides with is subnormal.
    const held = computed > smallest && up(size + error, 4) <= largest / 4;
    least = Math.min(least, computed);
    off = Math.max(off, held ? up(error / computed, 4) : Number.POSITIVE_INFINITY);
    return real;
  });
  return off <= DIVISOR_ERROR_MAX ? { divisors, least, off } : undefined;
}

/** The weights of a level by sets; undefined if one is neither 0 nor a normal number in float32. */
function weightSets(level: FittedLevel, values: Float64Array, { largest }: Arithmetic): WeightSets | undefined {
  const { form } = level.weights;
  let count = 1;
  if (level.weights.form === "matrix") count = level.weights.rows;
  else if (form === "perNode") count = values.length === level.children ? level.nodes : level.nodes * (values.length / level.children);
  const [sums, sizes, norms] = [new Float64Array(count), new Float64Array(count), new Float64Array(count)];
  let drift = 0;
  for (let set = 0, i = 0; set < count; set++) {
    const start = i;
    const end = form === "perNode" ? childStart(level, set + 1) : ((set + 1) * values.length) / count;
    let sum = 0;
    let size = 0;
    let squares = 0;
    for (; i < end; i++) {
      const w = values[i]!;
      const of = Math.abs(w);
      if (!(of === 0 || (of >= NORMAL_MIN && of <= largest))) return undefined;
      if (Math.fround(w) !== w) drift = STORED;
      sum += w;
      size += of;
      squares += of * of;
    }
    sums[set] = sum;
    sizes[set] = up(size, i - start);
    norms[set] = up(Math.sqrt(up(squares, i - start)), 1);
  }
  return { of: form === "perNode" ? "nodes" : "outputs", sums, sizes, norms, drift };
}

/** The sizes of rows from what a kernel tells, output by output; undefined where bound.ts must look. */
function leafSizes(family: SizeFamily, fitted: Fitted, rule: Rule, rows: Float64Array, data: TypedData): Float64Array | undefined {
  const level = fitted.levels[0]!;
  const { nodes } = level;
  const { sets } = rule;
  const kind = builtIn(level)!;
  const squares = family === "sizeSquares";
  // Σ|x|, Σ|w·x|, √Σx² or max |x| of each row, or what its size must be where that is not finite.
  const held = new Float64Array(nodes);
  for (let node = 0; node < nodes; node++) {
    const start = childStart(level, node);
    const end = childStart(level, node + 1);
    const told = Math.abs(rows[node]!);
    const whole = told * (1 + LACK) + (end - start) * LOST;
    held[node] = squares ? Math.sqrt(whole) : whole;
    if (Number.isFinite(told) || kind === "count") continue;
    held[node] = data.subarray(start, end).every(Number.isFinite) ? Number.POSITIVE_INFINITY : Number.NaN;
    // Skipped values leave counts and weights; squares overflow where sums do not.
    if (fitted.nan === "skip" || (squares && held[node]! > 0)) return undefined;
  }
  const outputs = outputsOf(level, 1);
  const size = new Float64Array(outputs * nodes);
  for (let r = 0; r < outputs; r++)
    for (let node = 0; node < nodes; node++) {
      const n = childStart(level, node + 1) - childStart(level, node);
      let linear = held[node]!;
      if (sets) {
        const set = setOf(sets, r, node);
        linear = squares ? sets.norms[set]! * linear : linear + sets.sizes[set]! * LOST;
        // Under weights that are all 0.
        if (linear !== linear) linear = held[node]!;
      }
      size[r * nodes + node] = sizeOf(kind, rule, linear, n, r, node);
    }
  return size;
}

/** The sizes of a level's nodes from those of its children, which come in planes of their own for each output further in. */
function raise(level: FittedLevel, rule: Rule, below: Float64Array, planes: number): Float64Array {
  const { nodes, children, weights } = level;
  const kind = builtIn(level)!;
  const outputs = outputsOf(level, planes);
  const size = new Float64Array(outputs * nodes);
  const extreme = kind === "min" || kind === "max";
  for (let r = 0; r < outputs; r++) {
    const plane = planes === 1 ? 0 : r * children;
    for (let node = 0; node < nodes; node++) {
      const start = childStart(level, node);
      const end = childStart(level, node + 1);
      let sum = 0;
      if (extreme) for (let c = start; c < end; c++) sum = Math.max(sum, below[plane + c]!);
      else if (weights.form === "shared") for (let c = start; c < end; c++) sum += Math.abs(weights.values[c - start]!) * below[plane + c]!;
      else if (weights.form === "perNode")
        for (let c = start; c < end; c++) sum += Math.abs(weights.values[c % weights.values.length]!) * below[plane + c]!;
      else if (weights.form === "matrix") {
        const first = r * weights.extent - start;
        for (let c = start; c < end; c++) sum += Math.abs(weights.values[first + c]!) * below[plane + c]!;
      } else if (kind !== "count") for (let c = start; c < end; c++) sum += below[plane + c]!;
      // An infinite size under a weight of 0 gives NaN, which says something else.
      if (!Number.isFinite(sum)) sum = hasNaN(below, plane + start, plane + end) ? Number.NaN : Number.POSITIVE_INFINITY;
      size[r * nodes + node] = sizeOf(kind, rule, sum, end - start, r, node);
    }
  }
  return size;
}

/** The size of one node of n children, `linear` being max or Σ|w|·size of theirs: +Infinity where it may overflow, NaN without a value. */
function sizeOf(kind: BuiltIn, { sizeMax, sets, divisors }: Rule, linear: number, n: number, r: number, node: number): number {
  if (kind === "count") return n;
  if (n === 0) return kind === "sum" || kind === "weightedSum" ? 0 : Number.NaN;
  const size = up(linear, n);
  if (Number.isNaN(size)) return size;
  if (!(size <= sizeMax)) return Number.POSITIVE_INFINITY; // sizeMax is NaN where a sum has too many terms for any bound
  if (divisors) return up(size / divisors[setOf(sets!, r, node)]!, 1);
  return kind === "mean" ? up(size / n, 1) : size;
}

/** Which set of weights node `node` has for output r. */
function setOf({ of, sums }: WeightSets, r: number, node: number): number {
  if (of === "nodes") return node % sums.length;
  return sums.length === 1 ? 0 : r;
}

function outputsOf({ weights }: FittedLevel, planes: number): number {
  return weights.form === "matrix" ? weights.rows : planes;
}

function familyOf(level: FittedLevel): SizeFamily {
  const kind = builtIn(level)!;
  if (kind === "min" || kind === "max" || kind === "count") return "sizeLargest";
  if (level.weights.form === "none") return "sizeSum";
  return level.weights.form === "shared" && level.weights.values.length <= WEIGHTS_MAX ? "sizeWeighted" : "sizeSquares";
}

function valuesOf({ weights }: FittedLevel): Float64Array | undefined {
  return "values" in weights ? weights.values : undefined;
}

/** The least float32 that is not below |w|. */
function notBelow(w: number): number {
  const size = Math.abs(w);
  const stored = Math.fround(size);
  return stored >= size ? stored : Math.fround(size * (1 + 2 ** -23));
}

/** The most and the fewest children of a level's nodes. */
function lengths(level: FittedLevel): { readonly longest: number; readonly shortest: number } {
  if (level.extent !== undefined) return { longest: level.extent, shortest: level.extent };
  let longest = 0;
  let shortest = Number.POSITIVE_INFINITY;
  for (let node = 0; node < level.nodes; node++) {
    const n = childStart(level, node + 1) - childStart(level, node);
    longest = Math.max(longest, n);
    shortest = Math.min(shortest, n);
  }
  return { longest, shortest };
}

function hasNaN(values: Float64Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (values[i] !== values[i]) return true;
  return false;
}
