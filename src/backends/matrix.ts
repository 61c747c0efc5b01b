/**
 * Reductions of matrices: of their rows, which lie one after another, and down their columns. Sums are the contract's lane sums
 * (clause 2), whether weighted or not, in float64; extremes are IEEE's; products neither overflow nor underflow on the way.
 * It calls kernels piece by piece and knows addresses; what the matrices mean is others' business.
 */
import { BLOCK, LANES } from "../reduce/lanes.ts";
import type { TypedData } from "../types.ts";
import { evenly, PRODUCT_WORDS, SCRATCH_BYTES } from "./kernels.ts";
import { BYTES } from "./memory.ts";
import { type Operand, PIECE, type Residents, type Space } from "./resident.ts";

/** Vectors of weights that one pass takes. */
export const VECTORS_MAX = 8;

/** Columns of one pass. More of them read longer stretches of a row, fewer have smaller lanes (32 KiB here): bench/suites/tfjs.mjs. */
const PANEL = 256;

/** float64 results of one round of kernel calls. */
const RESULTS = 8192;

/** Rows of one call of a column kernel are whole steps of its fastest loop. */
const ROWS_STEP = 64;

/** A matrix: `rows` rows of `columns` values, from value `first` of the operand on. */
export interface Matrix {
  readonly values: Operand;
  readonly first: number;
  readonly rows: number;
  readonly columns: number;
}

/** `vectors` ≤ {@link VECTORS_MAX} vectors of float32 weights: weight k of vector v is value first + k·step + v·vectorStep. One of the steps is 1. */
export interface Weights {
  readonly values: Operand;
  readonly first: number;
  readonly vectors: number;
  readonly step: number;
  readonly vectorStep: number;
}

/** Where results go: result i of vector v becomes value first + i·step + v·vectorStep of the target, divided by the divisor. */
export interface Target {
  readonly values: TypedData;
  readonly first: number;
  readonly step: number;
  readonly vectorStep: number;
  readonly divisor: number;
}

/** Weights as kernels take them: {@link Factors.at} makes weights start … start + n − 1 ready, n ≤ stretch, and gives the first one's address. */
interface Factors {
  readonly family: "sum" | "weightedSum" | "dot";
  readonly vectors: number;
  /** Of one weight. */
  readonly bytes: number;
  /** From one vector to the next. */
  readonly vectorBytes: number;
  readonly stretch: number;
  readonly at: (start: number, n: number) => number;
}

const NO_FACTORS: Factors = { family: "sum", vectors: 1, bytes: 0, vectorBytes: 0, stretch: PIECE, at: () => 0 };

/** Rows from which it is worth making their weights float64, which kernels read faster. */
const WIDE_ROWS_MIN = 4;

/** See the head of this file. */
export class MatrixReducer {
  readonly #residents: Residents;
  readonly #scratch: number;
  readonly #results: number;
  readonly #values: Float64Array;
  readonly #offsets: Int32Array;
  readonly #vectors: number;
  readonly #state: number;
  readonly #lanes: Float64Array;
  readonly #exponents: BigInt64Array;

  constructor(residents: Residents) {
    this.#residents = residents;
    this.#scratch = residents.space(SCRATCH_BYTES).at;
    this.#results = residents.space(8 * RESULTS).at;
    this.#values = residents.view("f64", this.#results, RESULTS) as Float64Array;
    this.#offsets = residents.view("i32", residents.space(4 * (RESULTS + 1)).at, RESULTS + 1) as Int32Array;
    this.#vectors = residents.space(8 * BLOCK * VECTORS_MAX).at;
    this.#state = residents.space(8 * LANES * PANEL * VECTORS_MAX).at;
    this.#lanes = residents.view("f64", this.#state, LANES * PANEL * VECTORS_MAX) as Float64Array;
    this.#exponents = new BigInt64Array(this.#lanes.buffer, this.#state, 2 * PANEL);
  }

  /** The sum of each row; with weights, the weighted sum of each row for each vector. */
  sumRows(matrix: Matrix, weights: Weights | undefined, target: Target): void {
    const { rows, columns } = matrix;
    // Weights that few rows share, or that are too many for the cache, are read as they are, if they lie in one stretch.
    const asTheyAre = weights?.vectors === 1 && weights.step === 1 && (rows < WIDE_ROWS_MIN || columns > BLOCK);
    const factors = weights === undefined ? NO_FACTORS : asTheyAre ? this.#inPlace(weights) : this.#wide(weights);
    if (columns > BLOCK) this.#sumLongRows(matrix, factors, target);
    else this.#sumShortRows(matrix, factors, target);
  }

  #sumShortRows({ values, first, rows, columns }: Matrix, factors: Factors, target: Target): void {
    const kernel = this.#residents.kernels.dense(factors.family, values.dtype);
    const { vectors, vectorBytes } = factors;
    const w = factors.at(0, columns);
    const group = Math.min(RESULTS, Math.floor(PIECE / columns));
    for (let row = 0; row < rows; row += group) {
      const n = Math.min(group, rows - row);
      const x = values.at(first + row * columns, n * columns);
      for (let v = 0; v < vectors; v++) {
        kernel(x, n, columns, w + v * vectorBytes, 0, this.#results, this.#scratch);
        this.#put(target, row, v, n);
      }
    }
  }

  /** Rows of several blocks: the exact sum of their block results. */
  #sumLongRows({ values, first, rows, columns }: Matrix, factors: Factors, target: Target): void {
    const kernel = this.#residents.kernels.dense(factors.family, values.dtype);
    const { vectors, vectorBytes, stretch } = factors;
    const blocks = Math.ceil(columns / BLOCK);
    const space = this.#residents.space(8 * vectors * rows * blocks);
    for (let start = 0; start < columns; start += stretch) {
      const n = Math.min(stretch, columns - start);
      const whole = Math.floor(n / BLOCK);
      const rest = whole * BLOCK;
      const w = factors.at(start, n);
      for (let row = 0; row < rows; row++) {
        const x = values.at(first + row * columns + start, n);
        for (let v = 0; v < vectors; v++) {
          const out = space.at + 8 * ((v * rows + row) * blocks + start / BLOCK);
          const wv = w + v * vectorBytes;
          kernel(x, whole, BLOCK, wv, BLOCK, out, this.#scratch);
          if (n > rest) kernel(x + BYTES[values.dtype] * rest, 1, n - rest, wv + factors.bytes * rest, 0, out + 8 * whole, this.#scratch);
        }
      }
    }
    this.#joinBlocks(space, rows, vectors, blocks, target, 0);
  }

  /** The sum of each column; with weights, one for each row, the weighted sum of each column for each vector. */
  sumColumns(matrix: Matrix, weights: Weights | undefined, target: Target): void {
    const { values, first, rows, columns } = matrix;
    const { kernels } = this.#residents;
    const kernel = kernels.columns(weights ? "weightedSum" : "sum", values.dtype);
    const { at: weightsAt, vectors, vectorBytes } = weights ? this.#wide(weights) : NO_FACTORS;
    const blocks = Math.ceil(rows / BLOCK);
    for (let column = 0; column < columns; column += PANEL) {
      const width = Math.min(PANEL, columns - column);
      const state = LANES * evenly(width);
      const space = blocks > 1 ? this.#residents.space(8 * vectors * width * blocks) : undefined;
      const step = rowsPerCall(width);
      for (let block = 0; block < blocks; block++) {
        const start = block * BLOCK;
        const end = Math.min(rows, start + BLOCK);
        const w = weightsAt(start, end - start);
        for (let row = start; row < end; row += step) {
          const n = Math.min(step, end - row);
          const { at, stride } = values.window(first + row * columns + column, n, width, columns);
          for (let v = 0; v < vectors; v++)
            kernel(at, n, width, stride, w + v * vectorBytes + 8 * (row - start), this.#state + 8 * v * state, row === start ? 1 : 0);
        }
        for (let v = 0; v < vectors; v++) {
          const out = space ? space.at + 8 * (v * width * blocks + block) : this.#results;
          kernels.foldColumns(this.#state + 8 * v * state, width, out, blocks);
          if (!space) this.#put(target, column, v, width);
        }
      }
      if (space) this.#joinBlocks(space, width, vectors, blocks, target, column);
    }
  }

  /** Writes and frees the exact sums of block results that lie as [vectors, nodes, blocks]. */
  #joinBlocks(space: Space, nodes: number, vectors: number, blocks: number, target: Target, from: number): void {
    const exactSum = this.#residents.kernels.dense("exactSum", "f64");
    for (let v = 0; v < vectors; v++)
      for (let node = 0; node < nodes; node += RESULTS) {
        const n = Math.min(RESULTS, nodes - node);
        exactSum(space.at + 8 * (v * nodes + node) * blocks, n, blocks, 0, 0, this.#results, this.#scratch);
        this.#put(target, from + node, v, n);
      }
    space.free();
  }

  /** The sums of rows cut by offsets: row r holds the values offsets[r] … offsets[r + 1] − 1. */
  sumRagged(values: Operand, offsets: Uint32Array, target: Target): void {
    const kernel = this.#residents.kernels.ragged("sum", values.dtype);
    const local = this.#offsets;
    const rows = offsets.length - 1;
    for (let row = 0; row < rows; ) {
      const start = offsets[row]!;
      let n = 0;
      for (; n < RESULTS && row + n < rows; n++) {
        const end = offsets[row + n + 1]!;
        if (end - offsets[row + n]! > BLOCK || end - start > PIECE) break;
        local[n + 1] = end - start;
      }
      if (n > 0) {
        kernel(values.at(start, local[n]!), local.byteOffset, n, 0, this.#results, this.#scratch);
        this.#put(target, row, 0, n);
      } else {
        const columns = offsets[row + 1]! - start;
        this.sumRows({ values, first: start, rows: 1, columns }, undefined, { ...target, first: target.first + row * target.step });
        n = 1;
      }
      row += n;
    }
  }

  /** The least or greatest value of each row that is not empty. */
  extremesOfRows(family: "min" | "max", { values, first, rows, columns }: Matrix, target: Target): void {
    const kernel = this.#residents.kernels.dense(family, values.dtype);
    const better = family === "min" ? Math.min : Math.max;
    if (columns <= PIECE) {
      const group = Math.min(RESULTS, Math.floor(PIECE / columns));
      for (let row = 0; row < rows; row += group) {
        const n = Math.min(group, rows - row);
        kernel(values.at(first + row * columns, n * columns), n, columns, 0, 0, this.#results, this.#scratch);
        this.#put(target, row, 0, n);
      }
      return;
    }
    for (let row = 0; row < rows; row++) {
      let best = family === "min" ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
      for (let column = 0; column < columns; column += PIECE) {
        const n = Math.min(PIECE, columns - column);
        kernel(values.at(first + row * columns + column, n), 1, n, 0, 0, this.#results, this.#scratch);
        best = better(best, this.#values[0]!);
      }
      target.values[target.first + row * target.step] = best;
    }
  }

  /** The least or greatest value of each column that is not empty. */
  extremesOfColumns(family: "min" | "max", { values, first, rows, columns }: Matrix, target: Target): void {
    const kernel = this.#residents.kernels.columns(family, values.dtype);
    const state = this.#residents.view(values.dtype, this.#state, 2 * PANEL);
    for (let column = 0; column < columns; column += PANEL) {
      const width = Math.min(PANEL, columns - column);
      state.fill(worst(family, values.dtype));
      const step = rowsPerCall(width);
      for (let row = 0; row < rows; row += step) {
        const n = Math.min(step, rows - row);
        const { at, stride } = values.window(first + row * columns + column, n, width, columns);
        kernel(at, n, width, stride, 0, this.#state, 0);
      }
      for (let c = 0; c < width; c++) target.values[target.first + (column + c) * target.step] = state[c]!;
    }
  }

  /** The product of each row. */
  productsOfRows({ values, first, rows, columns }: Matrix, target: Target): void {
    const kernel = this.#residents.kernels.dense("product", values.dtype);
    const results = this.#values;
    const group = Math.max(1, Math.min(RESULTS / PRODUCT_WORDS, Math.floor(PIECE / columns)));
    for (let row = 0; row < rows; row += group) {
      const n = Math.min(group, rows - row);
      if (columns <= PIECE) kernel(values.at(first + row * columns, n * columns), n, columns, 0, 0, this.#results, this.#scratch);
      else this.#longProduct(values, first + row * columns, columns);
      for (let i = 0; i < n; i++)
        target.values[target.first + (row + i) * target.step] = scaled(results[PRODUCT_WORDS * i]!, results[PRODUCT_WORDS * i + 1]!);
    }
  }

  /** The product of one row of several pieces, as the first two results. */
  #longProduct(values: Operand, first: number, columns: number): void {
    const kernel = this.#residents.kernels.dense("product", values.dtype);
    const results = this.#values;
    let m = 1;
    let e = 0;
    for (let column = 0; column < columns; column += PIECE) {
      const n = Math.min(PIECE, columns - column);
      kernel(values.at(first + column, n), 1, n, 0, 0, this.#results, this.#scratch);
      m *= results[0]!;
      e += results[1]!;
      if (Math.abs(m) >= 2) {
        m /= 2;
        e++;
      }
    }
    results[0] = m;
    results[1] = e;
  }

  /** The product of each column. */
  productsOfColumns({ values, first, rows, columns }: Matrix, target: Target): void {
    const kernel = this.#residents.kernels.columns("product", values.dtype);
    const lanes = this.#lanes;
    for (let column = 0; column < columns; column += PANEL) {
      const width = Math.min(PANEL, columns - column);
      const plane = evenly(width);
      lanes
        .fill(1, 0, plane)
        .fill(0, plane, 2 * plane)
        .fill(1, 2 * plane, 3 * plane);
      const step = rowsPerCall(width);
      for (let row = 0; row < rows; row += step) {
        const n = Math.min(step, rows - row);
        const { at, stride } = values.window(first + row * columns + column, n, width, columns);
        kernel(at, n, width, stride, 0, this.#state, 0);
      }
      for (let c = 0; c < width; c++)
        target.values[target.first + (column + c) * target.step] = scaled(
          lanes[c]! * lanes[2 * plane + c]!,
          Number(this.#exponents[plane + c]),
        );
    }
  }

  /** One vector's weights in float32, where they lie. */
  #inPlace({ values, first }: Weights): Factors {
    return { family: "dot", vectors: 1, bytes: 4, vectorBytes: 0, stretch: PIECE, at: (start, n) => values.at(first + start, n) };
  }

  /** Weights made float64, a block at a time. */
  #wide({ values, first, vectors, step, vectorStep }: Weights): Factors {
    const { widen } = this.#residents.kernels;
    const to = this.#vectors;
    const at = (start: number, n: number): number => {
      if (step === 1) for (let v = 0; v < vectors; v++) widen(values.at(first + v * vectorStep + start, n), n, 1, to + 8 * BLOCK * v);
      else {
        const from = values.at(first + start * step, (n - 1) * step + vectors);
        for (let v = 0; v < vectors; v++) widen(from + 4 * v, n, step, to + 8 * BLOCK * v);
      }
      return to;
    };
    return { family: "weightedSum", vectors, bytes: 8, vectorBytes: 8 * BLOCK, stretch: BLOCK, at };
  }

  /** Hands over n results, those of nodes from … from + n − 1. */
  #put({ values, first, step, vectorStep, divisor }: Target, from: number, vector: number, n: number): void {
    const results = this.#values;
    let to = first + from * step + vector * vectorStep;
    for (let i = 0; i < n; i++, to += step) values[to] = results[i]! / divisor;
  }
}

/** Rows of one call of a column kernel: a piece, in whole steps. */
function rowsPerCall(width: number): number {
  return Math.min(BLOCK, Math.floor(PIECE / width / ROWS_STEP) * ROWS_STEP);
}

/** What loses against every value of a dtype. */
function worst(family: "min" | "max", dtype: Operand["dtype"]): number {
  if (dtype === "i32") return family === "min" ? 2 ** 31 - 1 : -(2 ** 31);
  if (dtype === "u8") return family === "min" ? 255 : 0;
  return family === "min" ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
}

/** m·2^e for float32: what is beyond its range is beyond it here, too. */
function scaled(m: number, e: number): number {
  return m * 2 ** Math.max(-300, Math.min(300, e));
}
