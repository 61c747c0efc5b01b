/**
 * Sums of rows in lanes (contract clause 2) whose values change. Lanes do not mix before a block is folded, so a changed value makes its
 * own lane to be added again, a sixteenth of its block, and the fold. The results of a long row's blocks are an exact sum, which gives back the old one.
 */
import { canonical } from "./exact.ts";
import { BLOCK, LANES } from "./lanes.ts";
import type { LiveStates } from "./live-states.ts";
import { quotient } from "./node.ts";
import type { FittedLevel } from "./resolve.ts";
import { ExactSums } from "./sums.ts";
import { childStart } from "./tree.ts";

/** Rows up to this length keep no lanes: adding them again costs no more than looking them up. */
const SHORT = 4 * LANES;

/** What a lane adds: values, products of weight and value, or the weights of the values that are not skipped. */
type Terms = "values" | "products" | "weights";

/** The sums of one kind of terms, of all rows, for each output. */
class LaneSums {
  readonly #terms: Terms;
  readonly #level: FittedLevel;
  readonly #values: Float64Array;
  readonly #skip: boolean;
  readonly #outputs: number;
  /** Blocks before each row. */
  readonly #blocks: Uint32Array;
  /** By block and output. */
  readonly #lanes: Float64Array | undefined;
  readonly #results: Float64Array;
  /** By row and output, where a row has several blocks. */
  readonly #rows: ExactSums | undefined;
  readonly #scratch = new Float64Array(LANES);
  readonly #folded = new Float64Array(LANES);

  constructor(terms: Terms, level: FittedLevel, values: Float64Array, skip: boolean, outputs: number) {
    this.#terms = terms;
    this.#level = level;
    this.#values = values;
    this.#skip = skip;
    this.#outputs = outputs;
    this.#blocks = new Uint32Array(level.nodes + 1);
    let longest = 0;
    for (let row = 0; row < level.nodes; row++) {
      const n = childStart(level, row + 1) - childStart(level, row);
      this.#blocks[row + 1] = this.#blocks[row]! + Math.max(1, Math.ceil(n / BLOCK));
      longest = Math.max(longest, n);
    }
    const blocks = outputs * this.#blocks[level.nodes]!;
    this.#lanes = longest > SHORT ? new Float64Array(LANES * blocks) : undefined;
    this.#results = new Float64Array(blocks);
    this.#rows = longest > BLOCK ? new ExactSums() : undefined;
    this.#rows?.grow(outputs * level.nodes);
  }

  get bytes(): number {
    return this.#blocks.byteLength + this.#results.byteLength + (this.#lanes?.byteLength ?? 0) + (this.#rows?.bytes ?? 0);
  }

  /** Adds a whole row. */
  build(row: number, r: number): void {
    for (let block = this.#blocks[row]!; block < this.#blocks[row + 1]!; block++) this.#add(row, block, r, -1, true);
  }

  /** Adds again what a leaf of a row has a part in. */
  change(row: number, r: number, leaf: number): void {
    const i = leaf - childStart(this.#level, row);
    this.#add(row, this.#blocks[row]! + Math.floor(i / BLOCK), r, i % LANES, false);
  }

  value(row: number, r: number): number {
    const blocks = this.#blocks[row + 1]! - this.#blocks[row]!;
    return blocks > 1 ? this.#rows!.value(this.#outputs * row + r) : this.#results[this.#outputs * this.#blocks[row]! + r]!;
  }

  /** Adds one lane of a block, or all of them (−1), and folds. */
  #add(row: number, block: number, r: number, lane: number, first: boolean): void {
    const level = this.#level;
    const start = childStart(level, row) + BLOCK * (block - this.#blocks[row]!);
    const end = Math.min(start + BLOCK, childStart(level, row + 1));
    const group = this.#outputs * block + r;
    const lanes = this.#lanes ?? this.#scratch;
    const at = this.#lanes ? LANES * group : 0;
    const every = lane < 0 || this.#lanes === undefined;
    const from = every ? 0 : lane;
    const to = every ? LANES : lane + 1;
    const { weights } = level;
    const values = this.#values;
    if (this.#terms === "values" || !("values" in weights))
      for (let j = from; j < to; j++) lanes[at + j] = laneOfValues(values, start + j, end, this.#skip);
    else {
      const base = firstWeight(level, row, start, r);
      const add = this.#terms === "products" ? laneOfProducts : laneOfWeights;
      for (let j = from; j < to; j++) lanes[at + j] = add(values, weights.values, base - start, start + j, end, this.#skip);
    }
    const result = fold(lanes, at, this.#folded);
    if (this.#rows !== undefined && this.#blocks[row + 1]! - this.#blocks[row]! > 1) {
      const sum = this.#outputs * row + r;
      if (!first) this.#rows.subtract(sum, this.#results[group]!);
      this.#rows.add(sum, result);
    }
    this.#results[group] = result;
  }
}

/** The weight of the first child of a block for output r; those of the others follow it. */
function firstWeight({ weights, ...level }: FittedLevel, row: number, start: number, r: number): number {
  switch (weights.form) {
    case "perNode":
      return start % weights.values.length; // of all rows, or of one frame's: no row lies in two frames
    case "matrix":
      return r * weights.extent + start - childStart(level, row);
    default:
      return start - childStart(level, row);
  }
}

// Hot: a skipped value adds +0, which changes no lane, as none is ever −0.

function laneOfValues(values: Float64Array, from: number, end: number, skip: boolean): number {
  let lane = 0;
  for (let i = from; i < end; i += LANES) {
    const x = values[i]!;
    if (!skip || x === x) lane += x;
  }
  return lane;
}

function laneOfProducts(values: Float64Array, weights: Float64Array, shift: number, from: number, end: number, skip: boolean): number {
  let lane = 0;
  for (let i = from; i < end; i += LANES) {
    const x = values[i]!;
    if (!skip || x === x) lane += weights[i + shift]! * x;
  }
  return lane;
}

function laneOfWeights(values: Float64Array, weights: Float64Array, shift: number, from: number, end: number, skip: boolean): number {
  let lane = 0;
  for (let i = from; i < end; i += LANES) if (!skip || values[i] === values[i]) lane += weights[i + shift]!;
  return lane;
}

function fold(lanes: Float64Array, at: number, folded: Float64Array): number {
  for (let j = 0; j < LANES; j++) folded[j] = lanes[at + j]!;
  for (let half = LANES / 2; half >= 1; half /= 2) for (let j = 0; j < half; j++) folded[j]! += folded[j + half]!;
  return canonical(folded[0]!);
}

/** Sums, weighted sums and means of rows. Values are read where they lie, so they change before they are told. */
export class LiveLanes implements LiveStates {
  readonly #level: FittedLevel;
  readonly #outputs: number;
  readonly #sums: LaneSums;
  readonly #divisors: LaneSums | undefined;
  /** The children of each row that are not skipped. */
  readonly #kept: Float64Array;
  #built = false;

  constructor(level: FittedLevel, values: Float64Array, skip: boolean, outputs: number) {
    const { kind } = level.reduction;
    this.#level = level;
    this.#outputs = outputs;
    const weighted = kind === "weightedSum" || kind === "weightedMean";
    this.#sums = new LaneSums(weighted ? "products" : "values", level, values, skip, outputs);
    this.#divisors = kind === "weightedMean" ? new LaneSums("weights", level, values, skip, outputs) : undefined;
    this.#kept = new Float64Array(outputs * level.nodes);
  }

  get bytes(): number {
    return this.#sums.bytes + (this.#divisors?.bytes ?? 0) + this.#kept.byteLength;
  }

  grow(): void {}

  /** Adds a row whose children have all been put. */
  build(node: number): void {
    const [row, r] = this.#place(node);
    this.#sums.build(row, r);
    this.#divisors?.build(row, r);
  }

  /** From now on changes are added as they come. */
  start(): void {
    this.#built = true;
  }

  put(node: number, child: number): void {
    this.#kept[node]! += 1;
    if (!this.#built) return;
    this.#change(node, child);
    this.#changeDivisor(node, child);
  }

  take(node: number, child: number): void {
    this.#kept[node]! -= 1;
    this.#change(node, child);
    this.#changeDivisor(node, child);
  }

  swap(node: number, child: number): void {
    this.#change(node, child);
  }

  value(node: number): number {
    const [row, r] = this.#place(node);
    const sum = this.#sums.value(row, r);
    if (this.#divisors !== undefined) return quotient(sum, this.#divisors.value(row, r));
    return this.#level.reduction.kind === "mean" ? quotient(sum, this.#kept[node]!) : sum;
  }

  #place(node: number): [row: number, output: number] {
    const r = node % this.#outputs;
    return [(node - r) / this.#outputs, r];
  }

  #change(node: number, child: number): void {
    const [row, r] = this.#place(node);
    this.#sums.change(row, r, (child - r) / this.#outputs);
  }

  #changeDivisor(node: number, child: number): void {
    if (this.#divisors === undefined) return;
    const [row, r] = this.#place(node);
    this.#divisors.change(row, r, (child - r) / this.#outputs);
  }
}
