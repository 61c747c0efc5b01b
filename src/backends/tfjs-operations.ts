/**
 * The operations that the embedded backend computes itself. Each takes what TensorFlow.js's cpu kernel of that name takes and gives
 * what it gives, but for rounding; whatever is not worth kernels, or not a number, it leaves to that kernel.
 */
import type { DataType, TensorInfo } from "@tensorflow/tfjs-core";
import { type Matrix, type Target, VECTORS_MAX, type Weights } from "./matrix.ts";
import type { Operand } from "./resident.ts";
import type { FourfoldBackend, Values } from "./tfjs-backend.ts";
import { core } from "./tfjs-modules.ts";

type TypedArray = Float32Array | Int32Array | Uint8Array;

/** What TensorFlow.js gives a kernel. */
export interface Call {
  readonly inputs: Readonly<Record<string, TensorInfo>>;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly backend: FourfoldBackend;
}

/** A kernel of TensorFlow.js. */
export type Operation = (call: Call) => TensorInfo;

/** Several matrices of fewer values are transposed in pieces: a pass down the columns of each would cost more than its work. */
const COLUMNS_VALUES_MIN = 4096;

/** Several products of fewer terms are left to the cpu kernel, for the same reason. */
const PRODUCT_TERMS_MIN = 4096;

/** TensorFlow.js's cpu kernel of a name. */
function onCpu(name: string, { inputs, attrs, backend }: Call): TensorInfo {
  return core.getKernel(name, "cpu").kernelFunc({ inputs, attrs: attrs as never, backend }) as TensorInfo;
}

// ---- Reductions along axes ---------------------------------------------------------------------------------------------------

/** A tensor as `outer` matrices of `rows` × `columns`, to be reduced down their columns. */
interface Cut {
  readonly outer: number;
  readonly rows: number;
  readonly columns: number;
}

/** The cut for the axes, or undefined if other axes lie between them. */
function cutOf(shape: readonly number[], axes: readonly number[]): Cut | undefined {
  let outer = 1;
  let rows = 1;
  let columns = 1;
  let state: "outer" | "rows" | "columns" = "outer";
  for (let axis = 0; axis < shape.length; axis++) {
    const extent = shape[axis]!;
    if (extent === 1) continue;
    if (axes.includes(axis)) {
      if (state === "columns") return undefined;
      state = "rows";
      rows *= extent;
    } else if (state === "outer") outer *= extent;
    else {
      state = "columns";
      columns *= extent;
    }
  }
  return { outer, rows, columns };
}

/** How one family of reductions is computed. */
interface Reduction {
  readonly name: string;
  /** The attribute that holds the axes. */
  readonly axes: "axis" | "reductionIndices";
  /** The result's dtype, from the tensor's; undefined where the cpu kernel is to do it. */
  dtype(of: DataType, values: Values): DataType | undefined;
  /** What a result is divided by. */
  divisor?(children: number): number;
  rows(backend: FourfoldBackend, matrix: Matrix, target: Target): void;
  columns(backend: FourfoldBackend, matrix: Matrix, target: Target): void;
}

/** The operation that reduces so. */
function reducing(reduction: Reduction): Operation {
  return (call) => {
    const { backend } = call;
    const x = call.inputs["x"]!;
    const axes = [...new Set(core.util.parseAxisParam(call.attrs[reduction.axes] as number | number[], x.shape))];
    const size = core.util.sizeFromShape(x.shape);
    const values = x.dtype === "complex64" || x.dtype === "string" || size === 0 ? undefined : backend.valuesOf(x);
    const dtype = values && reduction.dtype(x.dtype, values);
    if (values === undefined || dtype === undefined) return onCpu(reduction.name, call);
    const cut = cutOf(x.shape, axes);
    if (cut === undefined) return transposedFirst(reduction, call, axes);
    const [outShape] = core.backend_util.computeOutAndReduceShapes(x.shape, axes);
    const shape = call.attrs["keepDims"] ? core.backend_util.expandShapeToKeepDim(outShape, axes) : outShape;
    const results = arrayOf(dtype, size / cut.rows);
    const target: Target = { values: results, first: 0, step: 1, vectorStep: 0, divisor: reduction.divisor?.(cut.rows) ?? 1 };
    reduce(reduction, backend, x, values, cut, target);
    return backend.makeTensorInfo(shape, dtype, results);
  };
}

function reduce(reduction: Reduction, backend: FourfoldBackend, x: TensorInfo, values: Values, cut: Cut, target: Target): void {
  const { outer, rows, columns } = cut;
  if (columns === 1 || rows === 1) {
    const matrix = { values: backend.operand(x, values), first: 0, rows: outer * columns, columns: rows };
    reduction.rows(backend, matrix, target);
  } else if (outer > 1 && rows * columns < COLUMNS_VALUES_MIN) {
    const matrix = { values: backend.transposed(values, rows, columns), first: 0, rows: outer * columns, columns: rows };
    reduction.rows(backend, matrix, target);
  } else {
    const operand = backend.operand(x, values);
    for (let i = 0; i < outer; i++)
      reduction.columns(backend, { values: operand, first: i * rows * columns, rows, columns }, { ...target, first: i * columns });
  }
}

/** Moves the axes to the end first, as the cpu kernels do. */
function transposedFirst(reduction: Reduction, call: Call, axes: number[]): TensorInfo {
  const { backend } = call;
  const x = call.inputs["x"]!;
  const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const moved = onCpu("Transpose", { inputs: { x }, attrs: { perm: [...kept, ...axes] }, backend });
  const last = axes.map((_, i) => kept.length + i);
  const result = reducing(reduction)({ inputs: { x: moved }, attrs: { [reduction.axes]: last, keepDims: false }, backend });
  backend.disposeIntermediateTensorInfo(moved);
  return call.attrs["keepDims"] ? { ...result, shape: core.backend_util.expandShapeToKeepDim(result.shape, axes) } : result;
}

function arrayOf(dtype: DataType, size: number): TypedArray {
  if (dtype === "float32") return new Float32Array(size);
  return dtype === "int32" ? new Int32Array(size) : new Uint8Array(size);
}

const sum: Operation = reducing({
  name: "Sum",
  axes: "axis",
  dtype: (of) => (of === "float32" ? "float32" : "int32"),
  rows: (backend, matrix, target) => backend.matrices.sumRows(matrix, undefined, target),
  columns: (backend, matrix, target) => backend.matrices.sumColumns(matrix, undefined, target),
});

const mean: Operation = reducing({
  name: "Mean",
  axes: "axis",
  dtype: () => "float32",
  divisor: (children) => children,
  rows: (backend, matrix, target) => backend.matrices.sumRows(matrix, undefined, target),
  columns: (backend, matrix, target) => backend.matrices.sumColumns(matrix, undefined, target),
});

const min: Operation = reducing({
  name: "Min",
  axes: "axis",
  dtype: (of) => of,
  rows: (backend, matrix, target) => backend.matrices.extremesOfRows("min", matrix, target),
  columns: (backend, matrix, target) => backend.matrices.extremesOfColumns("min", matrix, target),
});

const max: Operation = reducing({
  name: "Max",
  axes: "reductionIndices",
  dtype: (of) => of,
  rows: (backend, matrix, target) => backend.matrices.extremesOfRows("max", matrix, target),
  columns: (backend, matrix, target) => backend.matrices.extremesOfColumns("max", matrix, target),
});

/** Integers overflow in the order in which the cpu kernel multiplies them, so it does that itself. */
const prod: Operation = reducing({
  name: "Prod",
  axes: "axis",
  dtype: (of, values) => (of === "float32" && values.dtype === "f32" ? of : undefined),
  rows: (backend, matrix, target) => backend.matrices.productsOfRows(matrix, target),
  columns: (backend, matrix, target) => backend.matrices.productsOfColumns(matrix, target),
});

// ---- Products of matrices ----------------------------------------------------------------------------------------------------

/** One factor of a product: `few` vectors or `many`, each of `depth` values. */
interface Factor {
  readonly values: Operand;
  readonly count: number;
  /** Whether a vector lies in one stretch. */
  readonly rows: boolean;
}

/** Products in which one factor has at most {@link VECTORS_MAX} columns (or rows): these are the weights of sums over the other. */
const batchMatMul: Operation = (call) => {
  const { backend } = call;
  const a = call.inputs["a"]!;
  const b = call.inputs["b"]!;
  const { transposeA, transposeB } = call.attrs as { transposeA: boolean; transposeB: boolean };
  const [aRows, aColumns] = a.shape.slice(-2) as [number, number];
  const [bRows, bColumns] = b.shape.slice(-2) as [number, number];
  const [m, depth] = transposeA ? [aColumns, aRows] : [aRows, aColumns];
  const [n, depthB] = transposeB ? [bRows, bColumns] : [bColumns, bRows];
  const batches = Math.max(a.shape.length, b.shape.length) > 2;
  const terms = m * n * depth;
  const worth = depth === depthB && Math.min(m, n) <= VECTORS_MAX && terms >= (batches ? PRODUCT_TERMS_MIN : 1);
  const aValues = worth ? backend.valuesOf(a) : undefined;
  const bValues = worth ? backend.valuesOf(b) : undefined;
  if (aValues?.dtype !== "f32" || bValues?.dtype !== "f32") return onCpu("BatchMatMul", call);
  const aBatch = a.shape.slice(0, -2);
  const bBatch = b.shape.slice(0, -2);
  const batch = core.broadcast_util.assertAndGetBroadcastShape(aBatch, bBatch);
  const aCount = core.util.sizeFromShape(aBatch);
  const bCount = core.util.sizeFromShape(bBatch);
  const results = new Float32Array(Math.max(aCount, bCount) * m * n);
  const byColumns = n <= m; // the few are columns of b
  const left: Factor = { values: backend.operand(a, aValues, byColumns ? "x" : "w"), count: m, rows: !transposeA };
  const right: Factor = { values: backend.operand(b, bValues, byColumns ? "w" : "x"), count: n, rows: transposeB };
  const [many, few] = byColumns ? [left, right] : [right, left];
  for (let i = 0; i * m * n < results.length; i++) {
    const aFirst = (i % aCount) * m * depth;
    const bFirst = (i % bCount) * n * depth;
    const target = { values: results, first: i * m * n, step: byColumns ? n : 1, vectorStep: byColumns ? 1 : n, divisor: 1 };
    multiply(backend, many, byColumns ? aFirst : bFirst, few, byColumns ? bFirst : aFirst, depth, target);
  }
  return backend.makeTensorInfo([...batch, m, n], "float32", results);
};

function multiply(
  backend: FourfoldBackend,
  many: Factor,
  manyFirst: number,
  few: Factor,
  fewFirst: number,
  depth: number,
  target: Target,
): void {
  const weights: Weights = {
    values: few.values,
    first: fewFirst,
    vectors: few.count,
    step: few.rows ? 1 : few.count,
    vectorStep: few.rows ? depth : 1,
  };
  const { matrices } = backend;
  if (many.rows || many.count === 1)
    matrices.sumRows({ values: many.values, first: manyFirst, rows: many.count, columns: depth }, weights, target);
  else matrices.sumColumns({ values: many.values, first: manyFirst, rows: depth, columns: many.count }, weights, target);
}

// ---- Sums of segments --------------------------------------------------------------------------------------------------------

/** Each segment is the sum of its rows in their order. Rows whose segment is none of those asked for are left out. */
const unsortedSegmentSum: Operation = (call) => {
  const { backend } = call;
  const x = call.inputs["x"]!;
  const ids = call.inputs["segmentIds"]!;
  const segments = call.attrs["numSegments"] as number;
  const values = x.dtype === "float32" || x.dtype === "int32" ? backend.valuesOf(x) : undefined;
  const segmentOf = backend.valuesOf(ids)?.array;
  const rows = core.util.sizeFromShape(ids.shape);
  const size = core.util.sizeFromShape(x.shape);
  if (values === undefined || segmentOf === undefined || size === 0 || segments === 0 || !startsWith(x.shape, ids.shape))
    return onCpu("UnsortedSegmentSum", call);
  const width = size / rows;
  const dtype = x.dtype;
  const results = arrayOf(dtype, segments * width);
  const { offsets, order } = sortRows(segmentOf, segments);
  const rowsInOrder = order === undefined ? backend.operand(x, values) : backend.gathered(values, width, order);
  const target: Target = { values: results, first: 0, step: 1, vectorStep: 0, divisor: 1 };
  if (width === 1) backend.matrices.sumRagged(rowsInOrder, offsets, target);
  else
    for (let s = 0; s < segments; s++) {
      const matrix = { values: rowsInOrder, first: offsets[s]! * width, rows: offsets[s + 1]! - offsets[s]!, columns: width };
      if (matrix.rows > 0) backend.matrices.sumColumns(matrix, undefined, { ...target, first: s * width });
    }
  return backend.makeTensorInfo([segments, ...x.shape.slice(ids.shape.length)], dtype, results);
};

function startsWith(shape: readonly number[], start: readonly number[]): boolean {
  return start.every((extent, axis) => extent === shape[axis]);
}

/** Where each segment's rows lie in `order`, which lists the rows by segment and keeps their order within one; no `order`: where they are. */
function sortRows(segmentOf: ArrayLike<number>, segments: number): { offsets: Uint32Array; order: Uint32Array | undefined } {
  const offsets = new Uint32Array(segments + 1);
  let sorted = true;
  let before = 0;
  for (let row = 0; row < segmentOf.length; row++) {
    const segment = segmentOf[row]!;
    if (segment < before || segment >= segments) sorted = false;
    before = segment;
    if (segment >= 0 && segment < segments) offsets[segment + 1]!++;
  }
  for (let s = 0; s < segments; s++) offsets[s + 1]! += offsets[s]!;
  if (sorted) return { offsets, order: undefined };
  const order = new Uint32Array(offsets[segments]!);
  const next = offsets.slice();
  for (let row = 0; row < segmentOf.length; row++) {
    const segment = segmentOf[row]!;
    if (segment >= 0 && segment < segments) order[next[segment]!++] = row;
  }
  return { offsets, order };
}

// ---- Einsum ------------------------------------------------------------------------------------------------------------------

/** The dims of one operand by what becomes of them, in the order of `all`. */
interface Dims {
  /** In both operands and in the result. */
  readonly batch: readonly number[];
  /** In this operand and the result. */
  readonly own: readonly number[];
  /** In both operands, summed. */
  readonly summed: readonly number[];
}

/** Two operands whose summed dims are in both of them are one product of matrices. */
const einsum: Operation = (call) => {
  const { backend, inputs, attrs } = call;
  const equation = attrs["equation"] as string;
  const operands = Object.values(inputs);
  const [a, b] = operands;
  if (a !== undefined && b === undefined) return einsumOfOne(a, call);
  if (a === undefined || b === undefined || operands.some(({ dtype }) => dtype !== "float32")) return onCpu("Einsum", call);
  const { allDims, summedDims, idDims } = core.backend_util.decodeEinsumEquation(equation, operands.length);
  core.backend_util.checkEinsumDimSizes(allDims.length, idDims, operands as never);
  const [aDims, bDims] = idDims as [number[], number[]];
  const inBoth = (dim: number): boolean => aDims.includes(dim) && bDims.includes(dim);
  if (!summedDims.every(inBoth)) return onCpu("Einsum", call);
  const results = allDims.map((_, dim) => dim).filter((dim) => !summedDims.includes(dim));
  const batch = results.filter(inBoth);
  const partsOf = (dims: readonly number[]): Dims => ({
    batch,
    own: results.filter((dim) => dims.includes(dim) && !inBoth(dim)),
    summed: aDims.filter((dim) => summedDims.includes(dim)), // in a's order, for both
  });
  const sizes = new Map([...aDims.map((dim, i) => [dim, a.shape[i]!] as const), ...bDims.map((dim, i) => [dim, b.shape[i]!] as const)]);
  const left = asMatrices(backend, a, aDims, partsOf(aDims), sizes);
  const right = asMatrices(backend, b, bDims, partsOf(bDims), sizes);
  const product = batchMatMul({
    inputs: { a: left.matrices, b: right.matrices },
    attrs: { transposeA: left.transposed, transposeB: !right.transposed },
    backend,
  });
  for (const { matrices } of [left, right]) backend.disposeIntermediateTensorInfo(matrices);
  // The product has the dims batch, own of a, own of b; the result those of `results`.
  const dims = [...batch, ...partsOf(aDims).own, ...partsOf(bDims).own];
  const shaped = { ...product, shape: dims.map((dim) => sizes.get(dim)!) };
  const perm = results.map((dim) => dims.indexOf(dim));
  if (core.backend_util.isIdentityPermutation(perm)) return shaped;
  const result = onCpu("Transpose", { inputs: { x: shaped }, attrs: { perm }, backend });
  backend.disposeIntermediateTensorInfo(shaped);
  return result;
};

/** One operand: the sum over the dims that the result has not. */
function einsumOfOne(x: TensorInfo, call: Call): TensorInfo {
  const { backend, attrs } = call;
  const { allDims, summedDims, idDims } = core.backend_util.decodeEinsumEquation(attrs["equation"] as string, 1);
  if (summedDims.length === 0) return onCpu("Einsum", call);
  const [dims] = idDims as [number[]];
  core.backend_util.checkEinsumDimSizes(allDims.length, idDims, [x] as never);
  const axis = summedDims.map((dim) => dims.indexOf(dim));
  const kept = dims.filter((dim) => !summedDims.includes(dim));
  const summed = sum({ inputs: { x }, attrs: { axis, keepDims: false }, backend });
  const perm = allDims.slice(0, kept.length).map((_, dim) => kept.indexOf(dim));
  if (core.backend_util.isIdentityPermutation(perm)) return summed;
  const result = onCpu("Transpose", { inputs: { x: summed }, attrs: { perm }, backend });
  backend.disposeIntermediateTensorInfo(summed);
  return result;
}

/** An operand as matrices [batch, own, summed], or [batch, summed, own] if it lies so (`transposed`). The caller disposes of it. */
function asMatrices(
  backend: FourfoldBackend,
  x: TensorInfo,
  dims: readonly number[],
  { batch, own, summed }: Dims,
  sizes: ReadonlyMap<number, number>,
): { matrices: TensorInfo; transposed: boolean } {
  const size = (of: readonly number[]): number => of.reduce((product, dim) => product * sizes.get(dim)!, 1);
  const straight = [...batch, ...own, ...summed].map((dim) => dims.indexOf(dim));
  const across = [...batch, ...summed, ...own].map((dim) => dims.indexOf(dim));
  const transposed = core.backend_util.isIdentityPermutation(across) && !core.backend_util.isIdentityPermutation(straight);
  const lies = transposed || core.backend_util.isIdentityPermutation(straight);
  const moved = lies
    ? onCpu("Identity", { inputs: { x }, attrs: {}, backend })
    : onCpu("Transpose", { inputs: { x }, attrs: { perm: straight }, backend });
  const shape = transposed ? [size(batch), size(summed), size(own)] : [size(batch), size(own), size(summed)];
  return { matrices: { ...moved, shape }, transposed };
}

/** The operations by the names of their kernels. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  Sum: sum,
  Mean: mean,
  Min: min,
  Max: max,
  Prod: prod,
  BatchMatMul: batchMatMul,
  UnsortedSegmentSum: unsortedSegmentSum,
  Einsum: einsum,
};
