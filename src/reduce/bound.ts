/**
 * A certified bound of |computed − v*| for every outermost node, v* being the chain on real numbers with no rounding
 * anywhere (contract clause 12). docs/error-bound.md derives every line. Pure, O(values), one pass from the leaves out.
 *
 * Each node carries a ball around v* (centre and radius, from a plain float64 evaluation) and an error E ≥ |computed − v*|.
 * The same formulas give both: the radius is the error of float64 operations in index order, E that of the arithmetic
 * that is asked about. A bound that is not finite claims nothing: NaN where v* is no real number or a user's reduction
 * is in the way, +Infinity where one exists but is not held (overflow, a divisor that may be 0, too many terms).
 */

import type { TypedData } from "../types.ts";
import { BLOCK, LANES } from "./lanes.ts";
import { emptyValue } from "./node.ts";
import type { BuiltIn } from "./reductions.ts";
import { builtIn, type Fitted, type FittedLevel, sumRules } from "./resolve.ts";
import { childStart } from "./tree.ts";

/** How a backend rounds: |fl(a ∘ b) − a ∘ b| ≤ unit·|a ∘ b| + smallest, and what it does to its inputs. */
export interface Arithmetic {
  /** `f32`: values and weights are rounded to float32 first. */
  readonly storage: "f32" | "f64";
  readonly unit: number;
  /** The absolute error of one operation near zero; with `storage: "f32"` also the size below which an input may count as zero. */
  readonly smallest: number;
  /** The largest finite number. */
  readonly largest: number;
  /** `any`: each operation rounds, in an order nobody knows. `contract`: lanes at level f of rows, above it one rounding a node. */
  readonly order: "any" | "contract";
}

/** float32 tensor operations, rounded to nearest, subnormals kept or flushed. */
export const TENSOR_F32: Arithmetic = {
  storage: "f32",
  unit: 2 ** -24,
  smallest: 2 ** -126,
  largest: (2 - 2 ** -23) * 2 ** 127,
  order: "any",
};

/** float32 in WGSL, which may round to either neighbour (its specification, "Floating Point Accuracy"). */
export const GPU_F32: Arithmetic = { ...TENSOR_F32, unit: 2 ** -23 };

/** The arithmetic of backends that keep the numeric contract. */
export const CONTRACT_F64: Arithmetic = {
  storage: "f64",
  unit: 2 ** -53,
  smallest: 2 ** -1074,
  largest: Number.MAX_VALUE,
  order: "contract",
};

/** The arithmetic of this file's own centres. */
const CENTRE: Arithmetic = { ...CONTRACT_F64, order: "any" };

/** Roundings charged for a division: one in IEEE arithmetic; graphics hardware may be off by 2.5 units in the last place. */
export const DIVISION = { any: 6, contract: 1 } as const;

/** One level's nodes: the ball [centre ± radius] holds v*, and |computed − v*| ≤ error. Plane r of node n stands at r · nodes + n. */
interface Balls {
  readonly centre: Float64Array;
  readonly radius: Float64Array;
  readonly error: Float64Array;
  /** 1 where the value is certainly NaN and its parent skips it (clause 10). */
  readonly absent: Uint8Array;
  /** The kept records below each node. */
  readonly records: Float64Array;
  readonly planes: number;
}

/** A quantity made from a node's children: as {@link Balls}, and the size that its intermediate results cannot exceed. */
interface Ball {
  centre: number;
  radius: number;
  error: number;
  size: number;
}

/**
 * An upper bound of |computed − v*| for every outermost node and output: output r of node n stands at r · nodes + n.
 * @param arithmetic how the backend that computed rounds
 */
export function errorBound(fitted: Fitted, data: TypedData, arithmetic: Arithmetic): Float64Array {
  let below: Balls | undefined;
  fitted.levels.forEach((_, index) => {
    below = boundLevel(fitted, index, data, below, arithmetic);
  });
  return below!.error;
}

function boundLevel(fitted: Fitted, index: number, data: TypedData, below: Balls | undefined, arithmetic: Arithmetic): Balls {
  const level = fitted.levels[index]!;
  const { nodes } = level;
  const kind = builtIn(level);
  const ddof = level.reduction.ddof ?? 0;
  const skip = fitted.nan === "skip";
  const last = index === fitted.levels.length - 1;
  const planes = level.weights.form === "matrix" ? level.weights.rows : (below?.planes ?? 1);
  const balls: Balls = {
    centre: new Float64Array(planes * nodes),
    radius: new Float64Array(planes * nodes),
    error: new Float64Array(planes * nodes),
    absent: new Uint8Array(planes * nodes),
    records: new Float64Array(planes * nodes),
    planes,
  };
  const children = new Children(level, skip, data, below, arithmetic);
  const ball = newBall();
  for (let r = 0; r < planes; r++) {
    for (let node = 0; node < nodes; node++) {
      const at = r * nodes + node;
      children.enter(r, childStart(level, node), childStart(level, node + 1));
      const { n, doubt } = children;
      if (kind === undefined) set(ball, 0, 0, Number.NaN);
      // Of leaves, and without `skip`, how many children are kept does not hang on computed values.
      else if (doubt !== 0 && !(kind === "count" && (below === undefined || !skip))) set(ball, 0, 0, doubt);
      else if (kind === "count") setCount(ball, n, arithmetic);
      else if (n === 0) set(ball, 0, 0, Number.isNaN(emptyValue(kind)) ? Number.NaN : 0);
      else if (kind === "variance" && n <= ddof) set(ball, 0, 0, Number.NaN);
      else {
        reduce(ball, kind, ddof, children, roundingOf(fitted, index, arithmetic, children.end - children.start), arithmetic);
        settle(ball, arithmetic, last);
      }
      balls.centre[at] = ball.centre;
      balls.radius[at] = ball.radius;
      balls.error[at] = ball.error;
      balls.absent[at] = skip && (n === 0 || (kind === "variance" && n <= ddof && doubt === 0)) ? 1 : 0;
      balls.records[at] = children.records;
    }
  }
  return balls;
}

/** Children that are read at a time: six arrays of them stay in the second-level cache, and most nodes fit and are read once. */
const CHUNK = 2048;

/** The children of one node, read chunk by chunk: balls of the level below, or leaves as they are stored. */
class Children {
  /** The kept children of the chunk. */
  readonly centre: Float64Array;
  readonly radius: Float64Array;
  readonly error: Float64Array;
  readonly weight: Float64Array;
  /** |the weight as stored − the weight|. */
  readonly drift: Float64Array;
  /** Which child of the level, and which ball of the level below, stands there. */
  readonly #child: Uint32Array;
  readonly #level: FittedLevel;
  readonly #skip: boolean;
  readonly #data: TypedData;
  readonly #below: Balls | undefined;
  readonly #arithmetic: Arithmetic;
  #plane = 0;
  /** The first child of the chunk in the arrays, how many it keeps, and the sum of their errors and drifts. */
  #loaded = -1;
  #read = 0;
  #errors = 0;
  start = 0;
  end = 0;
  /** How many children of the node are kept, and the kept records below it. */
  n = 0;
  records = 0;
  /** 0 if every error and drift is finite, else +Infinity or NaN: what the node's bound must be. */
  doubt = 0;

  constructor(level: FittedLevel, skip: boolean, data: TypedData, below: Balls | undefined, arithmetic: Arithmetic) {
    this.#level = level;
    this.#skip = skip;
    this.#data = data;
    this.#below = below;
    this.#arithmetic = arithmetic;
    const make = (): Float64Array => new Float64Array(Math.min(CHUNK, level.children));
    this.centre = make();
    this.radius = make();
    this.error = make();
    this.weight = make().fill(1);
    this.drift = make();
    this.#child = new Uint32Array(this.centre.length);
  }

  get weighted(): boolean {
    return this.#level.weights.form !== "none";
  }

  /** Goes to a node and counts its children. */
  enter(plane: number, start: number, end: number): void {
    this.#plane = plane;
    this.start = start;
    this.end = end;
    this.n = 0;
    this.records = 0;
    this.doubt = 0;
    this.#loaded = -1;
    for (let from = start; from < end; from += CHUNK) {
      const n = this.read(from);
      // A sum that overflows though each is finite counts as infinite, which claims less.
      if (!Number.isFinite(this.#errors)) this.doubt += this.#worst(n);
      this.n += n;
      this.records += this.#recordsBelow(n);
    }
  }

  /** Reads the kept ones of the children `from` … `from + CHUNK − 1` of the node; gives how many they are. */
  read(from: number): number {
    if (from === this.#loaded) return this.#read;
    const to = Math.min(from + CHUNK, this.end);
    const n = this.#below === undefined ? this.#readLeaves(from, to) : this.#readBalls(this.#below, from, to);
    if (this.weighted) {
      this.#readWeightsOf(n);
      this.#errors += storageErrors(this.drift, this.weight, n, this.#arithmetic);
    }
    this.#loaded = from;
    this.#read = n;
    return n;
  }

  /** As {@link read}, of the weights as if they were values of weight 1. */
  readWeights(from: number): number {
    const n = this.read(from);
    this.#loaded = -1; // what follows overwrites the chunk
    const { centre, radius, error, weight, drift } = this;
    for (let i = 0; i < n; i++) {
      centre[i] = weight[i]!;
      radius[i] = 0;
      error[i] = drift[i]!;
      weight[i] = 1;
      drift[i] = 0;
    }
    return n;
  }

  #readLeaves(from: number, to: number): number {
    const { centre, error } = this;
    const child = this.#child;
    const data = this.#data;
    const skip = this.#skip;
    let n = 0;
    for (let c = from; c < to; c++) {
      const x = data[c]!;
      if (skip && x !== x) continue;
      centre[n] = x;
      child[n++] = c;
    }
    this.#errors = storageErrors(error, centre, n, this.#arithmetic);
    return n;
  }

  #readBalls(below: Balls, from: number, to: number): number {
    const shift = this.#shift(below);
    let n = 0;
    let errors = 0;
    for (let c = from; c < to; c++) {
      if (below.absent[shift + c] === 1) continue;
      this.centre[n] = below.centre[shift + c]!;
      this.radius[n] = below.radius[shift + c]!;
      this.error[n] = below.error[shift + c]!;
      errors += this.error[n]!;
      this.#child[n++] = c;
    }
    this.#errors = errors;
    return n;
  }

  /** Where the plane of this node begins in the level below. */
  #shift(below: Balls): number {
    return below.planes > 1 ? this.#plane * this.#level.children : 0;
  }

  #recordsBelow(n: number): number {
    const below = this.#below;
    if (below === undefined) return n;
    const shift = this.#shift(below);
    let records = 0;
    for (let i = 0; i < n; i++) records += below.records[shift + this.#child[i]!]!;
    return records;
  }

  #readWeightsOf(n: number): void {
    const { weight } = this;
    const child = this.#child;
    const { weights } = this.#level;
    if (weights.form === "count") {
      const below = this.#below;
      const shift = below === undefined ? 0 : this.#shift(below);
      for (let i = 0; i < n; i++) weight[i] = below === undefined ? 1 : below.records[shift + child[i]!]!;
    } else if (weights.form === "perNode") {
      const { values } = weights;
      for (let i = 0; i < n; i++) weight[i] = values[child[i]! % values.length]!;
    } else if (weights.form !== "none") {
      const { values } = weights;
      const first = weights.form === "matrix" ? this.#plane * weights.extent - this.start : -this.start;
      for (let i = 0; i < n; i++) weight[i] = values[first + child[i]!]!;
    }
  }

  /** NaN if an error or drift of the chunk is NaN, else +Infinity. */
  #worst(n: number): number {
    for (let i = 0; i < n; i++) if (Number.isNaN(this.error[i]!) || Number.isNaN(this.drift[i]!)) return Number.NaN;
    return Number.POSITIVE_INFINITY;
  }
}

/** How the sums of one node are rounded. */
interface Rounding {
  /** Roundings that a term of a sum may pass through, its product aside; `once` rounds the exact sum, `never` leaves it real. */
  readonly sums: number | "once" | "never";
  readonly division: number;
  readonly variance: "two-pass" | "exact";
}

function roundingOf(fitted: Fitted, index: number, arithmetic: Arithmetic, extent: number): Rounding {
  if (arithmetic.order === "any") return { sums: Math.max(0, extent - 1), division: DIVISION.any, variance: "two-pass" };
  const { sums, quotient } = sumRules(fitted, index);
  const division = DIVISION.contract;
  if (sums === "exact") return { sums: quotient === "real" ? "never" : "once", division, variance: "exact" };
  // A lane's first term is added to +0, which is exact; then come the other terms of its block, four folds, and the sum of the blocks.
  const lane = Math.ceil(Math.min(extent, BLOCK) / LANES);
  return { sums: lane - 1 + Math.log2(LANES) + (extent > BLOCK ? 1 : 0), division, variance: "exact" };
}

function reduce(
  out: Ball,
  kind: Exclude<BuiltIn, "count">,
  ddof: number,
  children: Children,
  rounding: Rounding,
  arithmetic: Arithmetic,
): void {
  const { sums, division } = rounding;
  if (kind === "min" || kind === "max") extreme(out, kind, children);
  else if (kind === "variance") spread(out, ddof, children, rounding, arithmetic);
  // A plain or weighted sum is rounded in every mode: only a quotient's sums can wait for its rounding.
  else if (kind === "sum" || kind === "weightedSum") linear(out, children, sums === "never" ? "once" : sums, arithmetic);
  else {
    const by = counted(children.n, arithmetic);
    linear(out, children, sums, arithmetic);
    if (kind === "weightedMean") linear(by, children, sums, arithmetic, true);
    divide(out, by, division, arithmetic);
  }
}

/** Σ w·x of the children, or Σ w: E ≤ Σ(|w|·Eᵢ + driftᵢ·|x̂ᵢ|) + the local rounding. */
function linear(out: Ball, children: Children, sums: Rounding["sums"], arithmetic: Arithmetic, ofWeights: boolean = false): void {
  const { n, start, end } = children;
  let value = 0;
  let size = 0; // Σ|w|·|centre|
  let spans = 0; // Σ|w|·radius
  let inherited = 0;
  let stored = 0; // ≥ Σ|ŵ|·|x̂|
  const { centre, radius, error, weight, drift } = children;
  for (let from = start; from < end; from += CHUNK) {
    const read = ofWeights ? children.readWeights(from) : children.read(from);
    for (let i = 0; i < read; i++) {
      const w = Math.abs(weight[i]!);
      const c = Math.abs(centre[i]!);
      const computed = c + radius[i]! + error[i]!;
      value += weight[i]! * centre[i]!;
      size += w * c;
      spans += w * radius[i]!;
      inherited += w * error[i]! + drift[i]! * computed;
      stored += (w + drift[i]!) * computed;
    }
  }
  size = up(size, n);
  stored = up(stored, n);
  inherited = up(inherited, n);
  out.centre = value;
  out.radius = up(spans + gamma(n, CENTRE.unit) * size + n * CENTRE.smallest, n);
  const { unit, smallest } = arithmetic;
  let local = 0;
  if (sums === "once") local = unit * (Math.abs(value) + out.radius + inherited) + smallest;
  else if (sums !== "never") {
    // The product rounds too; a sum of weights may instead be made in float64 and rounded to float32, one rounding more.
    const relative = gamma(children.weighted ? sums + 1 : sums, unit);
    // One flush for each product and addition, one for each operand that is read as zero.
    local = relative * stored + 4 * n * smallest * (1 + relative);
  }
  out.error = up(inherited + local, 2);
  out.size = sums === "once" || sums === "never" ? Math.abs(value) + out.radius + out.error : up(stored + local, 2);
}

/** out / by. With N = out and W = by: |N̂/Ŵ − N/W| ≤ (E_N + |N/W|·E_W) / (|W| − E_W), and the division's own rounding. */
function divide(out: Ball, by: Ball, roundings: number, arithmetic: Arithmetic): void {
  const least = down(Math.abs(by.centre) - by.radius);
  const leastComputed = down(least - by.error);
  const size = Math.max(out.size, by.size);
  // Above a quarter of the range the reciprocal that graphics hardware divides with is subnormal.
  const most = arithmetic.order === "any" && arithmetic.storage === "f32" ? arithmetic.largest / 4 : arithmetic.largest;
  if (!(leastComputed > arithmetic.smallest && by.size <= most && size <= arithmetic.largest)) {
    set(out, 0, 0, Number.POSITIVE_INFINITY);
    return;
  }
  const quotient = up((Math.abs(out.centre) + out.radius) / least, 2); // ≥ |v*|
  const centre = out.centre / by.centre;
  out.radius = up((out.radius + quotient * by.radius) / least + CENTRE.unit * Math.abs(centre) + CENTRE.smallest, 4);
  const carried = up((out.error + quotient * by.error) / leastComputed, 4);
  out.error = up(carried + gamma(roundings, arithmetic.unit) * (quotient + carried) + roundings * arithmetic.smallest, 4);
  out.centre = centre;
  out.size = up(quotient + out.error, 2);
}

/** min or max: its error is at most the largest of its children's. */
function extreme(out: Ball, kind: "min" | "max", children: Children): void {
  const { start, end } = children;
  let value = kind === "min" ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  let radius = 0;
  let error = 0;
  for (let from = start; from < end; from += CHUNK) {
    const read = children.read(from);
    for (let i = 0; i < read; i++) {
      const x = children.centre[i]!;
      value = kind === "min" ? Math.min(value, x) : Math.max(value, x);
      radius = Math.max(radius, children.radius[i]!);
      error = Math.max(error, children.error[i]!);
    }
  }
  set(out, value, radius, error);
}

/** Variance: Σ(x − mean)² / (n − ddof), in two passes or exactly. Errors of the mean cancel to first order, since Σ(x − mean) = 0. */
function spread(out: Ball, ddof: number, children: Children, rounding: Rounding, arithmetic: Arithmetic): void {
  const { n, start, end } = children;
  const twoPass = rounding.variance === "two-pass";
  const { unit, smallest } = arithmetic;
  const mean = newBall();
  linear(mean, children, twoPass ? rounding.sums : "never", arithmetic);
  divide(mean, counted(n, arithmetic), twoPass ? rounding.division : 0, arithmetic);
  if (!Number.isFinite(mean.error)) {
    set(out, 0, 0, Number.POSITIVE_INFINITY);
    return;
  }
  let value = 0;
  let squares = 0; // ≥ Σd², d = x − mean in float64
  let spans = 0;
  let computed = 0; // ≥ Σd̂²
  let wrongs = 0;
  for (let from = start; from < end; from += CHUNK) {
    const read = children.read(from);
    for (let i = 0; i < read; i++) {
      const radius = children.radius[i]!;
      const error = children.error[i]!;
      const d = children.centre[i]! - mean.centre;
      value += d * d;
      const real = (Math.abs(d) + radius + mean.radius) * (1 + 2 ** -50); // ≥ |x* − mean*|
      const off = radius + mean.radius + CENTRE.unit * (real + radius + mean.radius) + CENTRE.smallest;
      spans += 2 * real * off + off * off;
      squares += (real + off) * (real + off);
      if (twoPass) {
        const rounded = unit * (real + error + mean.error) + 2 * smallest;
        const wrong = error + mean.error + rounded;
        wrongs += 2 * real * (error + rounded) + wrong * wrong;
        computed += (real + wrong) * (real + wrong);
      } else {
        wrongs += 2 * real * error + error * error;
      }
    }
  }
  const radius = up(spans + gamma(n + 1, CENTRE.unit) * squares + 2 * n * CENTRE.smallest, n);
  const local = twoPass ? gamma(n + 1, unit) * up(computed, n) + 4 * n * smallest : 0;
  set(out, value, radius, up(wrongs + local, n));
  out.size = Math.max(mean.size, twoPass ? up(computed, n) + out.error : out.size);
  divide(out, counted(n - ddof, arithmetic), rounding.division, arithmetic);
}

/** Turns what cannot be held into +Infinity, and counts what reading a subnormal as zero may cost the parent. */
function settle(ball: Ball, arithmetic: Arithmetic, last: boolean): void {
  const held = Number.isFinite(ball.centre) && Number.isFinite(ball.radius) && Number.isFinite(ball.error);
  if (!held || ball.size > arithmetic.largest) {
    set(ball, 0, 0, Number.POSITIVE_INFINITY);
    return;
  }
  const exactZero = ball.centre === 0 && ball.radius === 0 && ball.error === 0;
  const tiny = Math.abs(ball.centre) - ball.radius - ball.error < 2 * arithmetic.smallest;
  if (tiny && !exactZero && !last && arithmetic.storage === "f32") ball.error = up(ball.error + arithmetic.smallest, 2);
}

/**
 * |x as stored − x| for n numbers, and their sum: the rounding to float32, and all of x where it may be read as zero. NaN for
 * what is no real number, +Infinity beyond float32. The difference is exact: a multiple of x's last place, smaller than x.
 */
function storageErrors(out: Float64Array, x: Float64Array, n: number, { storage, smallest }: Arithmetic): number {
  let total = 0;
  for (let i = 0; i < n; i++) {
    const stored = storage === "f32" ? Math.fround(x[i]!) : x[i]!;
    const size = Math.abs(stored);
    const error = Math.abs(stored - x[i]!) + (storage === "f32" && size < smallest ? size : 0);
    out[i] = error;
    total += error;
  }
  return total;
}

function set(ball: Ball, centre: number, radius: number, error: number): void {
  ball.centre = centre;
  ball.radius = radius;
  ball.error = error;
  ball.size = Math.abs(centre) + radius + error;
}

function newBall(): Ball {
  return { centre: 0, radius: 0, error: 0, size: 0 };
}

function counted(n: number, arithmetic: Arithmetic): Ball {
  const ball = newBall();
  setCount(ball, n, arithmetic);
  return ball;
}

function setCount(ball: Ball, n: number, arithmetic: Arithmetic): void {
  set(ball, n, 0, arithmetic.storage === "f32" ? Math.abs(Math.fround(n) - n) : 0);
}

/** γ_k = k·u / (1 − k·u): k roundings in a row change a value by at most this, relatively (Higham, 2002, lemma 3.1). */
export function gamma(k: number, unit: number): number {
  return k * unit < 0.5 ? (k * unit * (1 + 2 ** -50)) / (1 - k * unit) : Number.POSITIVE_INFINITY;
}

/** An upper bound of a float64 sum of n products of numbers ≥ 0, with room for a few more operations. */
export function up(x: number, n: number): number {
  return x * (1 + (n + 16) * 2 ** -52) + (n + 16) * 2 ** -1072;
}

/** A lower bound of a difference that was rounded. */
export function down(x: number): number {
  return x > 0 ? x * (1 - 2 ** -50) : x;
}
