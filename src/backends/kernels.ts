/**
 * The AssemblyScript kernels: THE table of them, and their instance on a memory. assembly/index.ts is the ABI.
 * This file knows no chains and no plans: dispatch, tests and benchmarks loop over the table.
 */
import { readFileSync } from "node:fs";
import { ExactSum } from "../reduce/exact.ts";
import type { SizeFamily } from "../reduce/sizes.ts";
import type { Dtype } from "../types.ts";

const FLOATS: readonly Dtype[] = ["f32", "f64"];
const ALL: readonly Dtype[] = ["f32", "f64", "i32", "i16", "i8", "u8"];

/** The name of a family of kernels. */
export type Family =
  | "sum"
  | "weightedSum"
  | "dot"
  | "sumSkip"
  | "weightedSumSkip"
  | "weightSkip"
  | "exactSum"
  | "exactWeightedSum"
  | "exactSumSkip"
  | "exactWeightedSumSkip"
  | "exactWeightSkip"
  | "partsSum"
  | "partsWeightedSum"
  | "partsSumSkip"
  | "partsWeightedSumSkip"
  | "partsWeightSkip"
  | "min"
  | "max"
  | "minSkip"
  | "maxSkip"
  | "countSkip"
  | "moments"
  | "momentsSkip"
  | "product";

/** One family of kernels. Each exists for rows of equal extent ("dense") and for rows by offsets ("ragged"). */
export interface KernelFamily {
  readonly family: Family;
  readonly dtypes: readonly Dtype[];
  /** Whether each child has a weight: a float64; those of `dot` are float32. */
  readonly weighted: boolean;
  /** NaN children are skipped. */
  readonly skip: boolean;
  /** The reference whose bits it gives: the lane sum of a block, the exact sum, … */
  readonly equals: "lanes" | "exact" | "minimum" | "maximum" | "count" | "parts" | "moments" | "product";
}

/**
 * The table. Rows of "lanes" have at most 4096 children, the others any number. `exact…` and `parts…` write to scratch, and count
 * there.
 */
export const KERNELS: readonly KernelFamily[] = [
  { family: "sum", dtypes: ALL, weighted: false, skip: false, equals: "lanes" },
  { family: "weightedSum", dtypes: ALL, weighted: true, skip: false, equals: "lanes" },
  { family: "dot", dtypes: ["f32"], weighted: true, skip: false, equals: "lanes" },
  { family: "sumSkip", dtypes: FLOATS, weighted: false, skip: true, equals: "lanes" },
  { family: "weightedSumSkip", dtypes: FLOATS, weighted: true, skip: true, equals: "lanes" },
  { family: "weightSkip", dtypes: FLOATS, weighted: true, skip: true, equals: "lanes" },
  { family: "exactSum", dtypes: ALL, weighted: false, skip: false, equals: "exact" },
  { family: "exactWeightedSum", dtypes: ALL, weighted: true, skip: false, equals: "exact" },
  { family: "exactSumSkip", dtypes: FLOATS, weighted: false, skip: true, equals: "exact" },
  { family: "exactWeightedSumSkip", dtypes: FLOATS, weighted: true, skip: true, equals: "exact" },
  { family: "exactWeightSkip", dtypes: FLOATS, weighted: true, skip: true, equals: "exact" },
  { family: "partsSum", dtypes: ALL, weighted: false, skip: false, equals: "parts" },
  { family: "partsWeightedSum", dtypes: ALL, weighted: true, skip: false, equals: "parts" },
  { family: "partsSumSkip", dtypes: FLOATS, weighted: false, skip: true, equals: "parts" },
  { family: "partsWeightedSumSkip", dtypes: FLOATS, weighted: true, skip: true, equals: "parts" },
  { family: "partsWeightSkip", dtypes: FLOATS, weighted: true, skip: true, equals: "parts" },
  { family: "min", dtypes: ALL, weighted: false, skip: false, equals: "minimum" },
  { family: "max", dtypes: ALL, weighted: false, skip: false, equals: "maximum" },
  { family: "minSkip", dtypes: FLOATS, weighted: false, skip: true, equals: "minimum" },
  { family: "maxSkip", dtypes: FLOATS, weighted: false, skip: true, equals: "maximum" },
  { family: "countSkip", dtypes: FLOATS, weighted: false, skip: true, equals: "count" },
  { family: "moments", dtypes: ALL, weighted: false, skip: false, equals: "moments" },
  { family: "momentsSkip", dtypes: FLOATS, weighted: false, skip: true, equals: "moments" },
  { family: "product", dtypes: ["f32"], weighted: false, skip: false, equals: "product" },
];

/** The name of a family that also reduces down the columns of a matrix. */
export type ColumnFamily = "sum" | "weightedSum" | "min" | "max" | "product";

/** The families of column kernels, with their dtypes. Their bits are those of the rows' kernels, products apart. */
export const COLUMN_KERNELS: readonly { readonly family: ColumnFamily; readonly dtypes: readonly Dtype[] }[] = [
  { family: "sum", dtypes: ["f32", "i32", "u8"] },
  { family: "weightedSum", dtypes: ["f32"] },
  { family: "min", dtypes: ["f32", "i32", "u8"] },
  { family: "max", dtypes: ["f32", "i32", "u8"] },
  { family: "product", dtypes: ["f32"] },
];

/**
 * Reduces `rows` rows of `extent` children each: x is the first child, w its weight (0: none), and row r's weights start at
 * weight r·wstride. Writes one float64 per row to out (moments: six, parts: three, products: two). Addresses are byte offsets into the memory.
 */
export type DenseKernel = (x: number, rows: number, extent: number, w: number, wstride: number, out: number, scratch: number) => void;

/** Reduces rows cut by u32 offsets; child i lies at x + i·bytes, its weight is weight i of w. */
export type RaggedKernel = (x: number, offsets: number, rows: number, w: number, out: number, scratch: number) => void;

/** The kernels that say how large rows are, for every dtype; reduce/sizes.ts has their definition, `rowSizes`. */
export const SIZE_KERNELS: readonly SizeFamily[] = ["sizeSum", "sizeWeighted", "sizeSquares", "sizeLargest"];

/** As a {@link DenseKernel} without scratch, but w are float32 weights: row r's start at w + 4·r·wstride. */
export type SizeKernel = (x: number, rows: number, extent: number, w: number, wstride: number, out: number) => void;

/**
 * Reduces rows into the state of the columns; child i of column c lies at x + bytes·(i·stride + c), its weight at w + 8·i.
 * Sums: state = 16 lanes of float64, each {@link evenly} many columns, set by a call with fresh = 1; at most 4096 rows, a
 * multiple of 16 in each call but the last; then {@link Kernels.foldColumns}. Extremes: state = the columns' best so far. Products: state = three planes
 * of {@link evenly} many columns: m (float64, 1 at first), e (int64, 0), s (float64, 1); the product is m·s·2^e.
 */
export type ColumnKernel = (x: number, rows: number, columns: number, stride: number, w: number, state: number, fresh: number) => void;

/** Columns are reduced two at a time. */
export function evenly(columns: number): number {
  return columns + (columns & 1);
}

/** Bytes that a call of an exact kernel, or of `exactMoments`, needs for itself at `scratch`, 16-byte aligned. */
export const SCRATCH_BYTES = 21632;

/** Where in scratch exact kernels count what they could not do at once, as u32 (assembly/scratch.ts); callers reset it. */
export const COUNTERS_AT = 21568;

/** What they count there, in this order. */
export interface ExactWork {
  /** Blocks of at most 2048 children that neither one bin nor two could hold. */
  readonly slowBlocks: number;
  /** Nodes that needed three terms. */
  readonly threeTermNodes: number;
  /** Nodes that needed the superaccumulator. */
  readonly accumulatorNodes: number;
}

/** How many numbers that is. */
export const COUNTERS = 3;

/** Bytes past the end of data and weights that kernels may read. */
export const OVERREAD_BYTES = 64;

/** float64 words that a moments kernel writes for a row: n, Σx as two words, Σx² as two, and a flag. */
export const MOMENTS_WORDS = 6;

/** float64 words that a parts kernel writes for a row: two whose sum is the row's, and what that means (src/reduce/quotient.ts). */
export const PARTS_WORDS = 3;

/** float64 words that a product kernel writes for a row: m and e of m·2^e, 1 ≤ |m| < 2, or m alone if it is 0, ±Infinity or NaN. */
export const PRODUCT_WORDS = 2;

/** What the sixth word of a row's moments says. */
export const MOMENTS_FLAG = { unfit: 0, exact: 1, notFinite: 2 } as const;

/** A superaccumulator is Σ chunk[i]·2^(32·i + CHUNK_LOWEST), each chunk an i64 of either sign (assembly/exact.ts). */
const CHUNKS = 136;
const CHUNK_LOWEST = -2148;

/** Moments of one row, whatever its values; not finite ones make the sums NaN. */
export interface ExactMoments {
  readonly n: number;
  readonly sum: ExactSum;
  readonly squares: ExactSum;
}

type Exports = Readonly<Record<string, ((...args: number[]) => number | undefined) | undefined>>;
type ByDtype<F> = Readonly<Record<Dtype, F>>;

/** The kernels on one memory. Look a kernel up once, not in a loop. */
export class Kernels {
  readonly #memory: WebAssembly.Memory;
  readonly #dense: Readonly<Record<string, ByDtype<DenseKernel>>>;
  readonly #ragged: Readonly<Record<string, ByDtype<RaggedKernel>>>;
  readonly #sizes: Readonly<Record<SizeFamily, ByDtype<SizeKernel>>>;
  readonly #columns: Readonly<Record<string, ByDtype<ColumnKernel>>>;
  /** Writes the sums of columns from their lanes: (state, columns, out, ostride), column c to out + 8·c·ostride. */
  readonly foldColumns: (state: number, columns: number, out: number, ostride: number) => void;
  /** Makes float32 values x[i·stride], i < n, float64: (x, n, stride, out). */
  readonly widen: (x: number, n: number, stride: number, out: number) => void;
  readonly #firstNaN: ByDtype<(x: number, n: number) => number>;
  readonly #momentsChunks: ByDtype<(x: number, n: number, skip: number, out: number) => void>;

  constructor(module: WebAssembly.Module, memory: WebAssembly.Memory) {
    const exports = new WebAssembly.Instance(module, { env: { memory } }).exports as Exports;
    const byDtype = <F>(prefix: string): ByDtype<F> =>
      Object.fromEntries(ALL.map((dtype) => [dtype, exports[`${prefix}_${dtype}`]])) as ByDtype<F>;
    const byFamily = <F>(layout: string): Readonly<Record<string, ByDtype<F>>> =>
      Object.fromEntries(KERNELS.map(({ family }) => [family, byDtype<F>(`${family}_${layout}`)]));
    this.#memory = memory;
    this.#dense = byFamily("dense");
    this.#ragged = byFamily("ragged");
    this.#sizes = Object.fromEntries(SIZE_KERNELS.map((family) => [family, byDtype<SizeKernel>(family)])) as Record<
      SizeFamily,
      ByDtype<SizeKernel>
    >;
    this.#columns = Object.fromEntries(COLUMN_KERNELS.map(({ family }) => [family, byDtype<ColumnKernel>(`${family}_columns`)]));
    this.foldColumns = exports["foldColumns"] as Kernels["foldColumns"];
    this.widen = exports["widen"] as Kernels["widen"];
    this.#firstNaN = byDtype("firstNaN");
    this.#momentsChunks = byDtype("momentsChunks");
  }

  /** The kernel of a family for rows of equal extent. The table says which dtypes there are. */
  dense(family: Family, dtype: Dtype): DenseKernel {
    return this.#dense[family]![dtype];
  }

  /** The kernel of a family for rows by offsets. */
  ragged(family: Family, dtype: Dtype): RaggedKernel {
    return this.#ragged[family]![dtype];
  }

  /** The kernel of a size family for rows of equal extent. */
  sizes(family: SizeFamily, dtype: Dtype): SizeKernel {
    return this.#sizes[family][dtype];
  }

  /** The kernel of a family for the columns of a matrix. {@link COLUMN_KERNELS} says which dtypes there are. */
  columns(family: ColumnFamily, dtype: Dtype): ColumnKernel {
    return this.#columns[family]![dtype];
  }

  /** The index of the first NaN of n children, or −1. */
  firstNaN(dtype: "f32" | "f64", x: number, n: number): number {
    return this.#firstNaN[dtype](x, n);
  }

  /** The exact moments of one row, slowly: for rows whose moments kernel says that they do not fit. */
  exactMoments(dtype: Dtype, x: number, n: number, skip: boolean, scratch: number): ExactMoments {
    this.#momentsChunks[dtype](x, n, skip ? 1 : 0, scratch);
    const { buffer } = this.#memory;
    const [kept, notFinite] = new Float64Array(buffer, scratch, 2);
    const sumAt = (of: number): ExactSum => {
      const chunks = new BigInt64Array(buffer, scratch + 16 + 8 * CHUNKS * of, CHUNKS);
      const m = chunks.reduceRight((total, chunk) => (total << 32n) + chunk, 0n);
      return ExactSum.from({ m, exponent: CHUNK_LOWEST, nan: notFinite!, positiveInfinity: 0, negativeInfinity: 0, items: kept! });
    };
    return { n: kept!, sum: sumAt(0), squares: sumAt(1) };
  }
}

/** The kernels on `memory`, which any number of instances, one per thread, may share. */
export function instantiateKernels(module: WebAssembly.Module, memory: WebAssembly.Memory): Kernels {
  return new Kernels(module, memory);
}

/** The compiled kernels. The path holds from src/backends and from dist/backends. */
export function loadKernelModule(): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(new URL("../../dist/kernels.wasm", import.meta.url)));
}
