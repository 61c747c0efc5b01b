// The kernels that reduce down the columns of a matrix, against the reductions of the columns in plain loops.
import { describe, expect, test } from "vitest";
import { COLUMN_KERNELS, type ColumnFamily, evenly, instantiateKernels, type Kernels, loadKernelModule } from "../src/backends/kernels.ts";
import { BLOCK, LANES, laneBlock } from "../src/reduce/lanes.ts";
import type { Dtype, TypedData } from "../src/types.ts";
import { columnProduct } from "./products.ts";
import { type Random, random } from "./random.ts";

const ARRAYS = { f32: Float32Array, f64: Float64Array, i32: Int32Array, i16: Int16Array, i8: Int8Array, u8: Uint8Array } as const;
const AT = { x: 65536, w: 6 << 20, state: 7 << 20, out: 8 << 20, end: 9 << 20 } as const;
const memory = new WebAssembly.Memory({ initial: AT.end / 65536, maximum: AT.end / 65536, shared: true });
const kernels: Kernels = instantiateKernels(loadKernelModule(), memory);

const FLOATS = [1.5, -2, 0.1, 1e-40, -3e38, 3e38, 7, -1e-7];
/** A view of the memory. */
const at = (dtype: Dtype, address: number, length: number): TypedData => new ARRAYS[dtype](memory.buffer as never, address, length);

const SPECIALS = [...FLOATS, ...FLOATS, 0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

/** A matrix with some columns of plain values and some with specials. */
function matrix(dtype: Dtype, rows: number, stride: number, r: Random): TypedData {
  const x = new ARRAYS[dtype](rows * stride);
  for (let i = 0; i < x.length; i++)
    x[i] = dtype === "f32" ? r.pick((i % stride) % 3 === 1 ? SPECIALS : FLOATS) * (1 + r.next()) : r.int(2 ** 32);
  return x;
}

/** What each column is, from calls of at most `rowsPerCall` rows. */
function reduceColumns(
  family: ColumnFamily,
  dtype: Dtype,
  x: TypedData,
  columns: number,
  stride: number,
  w: Float64Array,
  rowsPerCall: number,
) {
  const rows = x.length / stride;
  const pairs = evenly(columns);
  at(dtype, AT.x, x.length + 64)
    .fill(-1)
    .set(x);
  new Float64Array(memory.buffer, AT.w, w.length).set(w);
  const state = new Float64Array(memory.buffer, AT.state, LANES * pairs);
  const extremes = at(dtype, AT.state, columns + 16);
  if (family === "min" || family === "max") {
    const worst = dtype === "f32" ? Number.POSITIVE_INFINITY : dtype === "i32" ? 2 ** 31 - 1 : 255;
    const best = dtype === "f32" ? Number.NEGATIVE_INFINITY : dtype === "i32" ? -(2 ** 31) : 0;
    extremes.fill(family === "min" ? worst : best);
  } else if (family === "product")
    state
      .fill(1, 0, pairs)
      .fill(0, pairs, 2 * pairs)
      .fill(1, 2 * pairs, 3 * pairs);
  else state.fill(Number.NaN);
  const kernel = kernels.columns(family, dtype);
  for (let row = 0; row < rows; row += rowsPerCall)
    kernel(
      AT.x + x.BYTES_PER_ELEMENT * row * stride,
      Math.min(rowsPerCall, rows - row),
      columns,
      stride,
      AT.w + 8 * row,
      AT.state,
      row === 0 ? 1 : 0,
    );
  if (family === "min" || family === "max") return Array.from(extremes.subarray(0, columns));
  if (family === "product") {
    const exponents = new BigInt64Array(memory.buffer, AT.state + 8 * pairs, columns);
    return Array.from({ length: columns }, (_, c) => [state[c]! * state[2 * pairs + c]!, Number(exponents[c])]);
  }
  const out = new Float64Array(memory.buffer, AT.out, 3 * columns).fill(-1);
  kernels.foldColumns(AT.state, columns, AT.out, 3);
  expect(out.every((v, i) => i % 3 === 0 || v === -1)).toBe(true);
  return Array.from({ length: columns }, (_, c) => out[3 * c]!);
}

function expected(family: ColumnFamily, column: number[], w: Float64Array, rowsPerCall: number): number | number[] {
  if (family === "product") return columnProduct(column, rowsPerCall);
  if (family === "min") return column.reduce((m, v) => Math.min(m, v));
  if (family === "max") return column.reduce((m, v) => Math.max(m, v));
  return laneBlock(column.length, (i) => column[i]! * (family === "weightedSum" ? w[i]! : 1));
}

for (const { family, dtypes } of COLUMN_KERNELS)
  describe.each(dtypes)(`${family}_columns_%s`, (dtype) => {
    test("gives each column what the row kernels' definition gives it, in one call or in pieces", () => {
      const r = random(family.length * 100 + dtype.charCodeAt(0));
      for (const rows of [1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 130, 1000, BLOCK])
        for (const columns of rows > 200 ? [1, 6] : [1, 2, 3, 4, 5, 16, 17, 64]) {
          const stride = columns + r.pick([0, 0, 3]);
          const x = matrix(dtype, rows, stride, r);
          const w = Float64Array.from({ length: rows }, () => r.next() - 0.5);
          for (const rowsPerCall of [rows, 16, 80]) {
            const got = reduceColumns(family, dtype, x, columns, stride, w, rowsPerCall);
            const want = Array.from({ length: columns }, (_, c) =>
              expected(
                family,
                Array.from({ length: rows }, (_, i) => x[i * stride + c]!),
                w,
                rowsPerCall,
              ),
            );
            expect(got, `${rows} rows, ${columns} of ${stride} columns, ${rowsPerCall} rows per call`).toEqual(want);
          }
        }
    });
  });

test("widen makes values float64, whatever their distance", () => {
  const x = Float32Array.from({ length: 300 }, (_, i) => 1 / (i + 1));
  new Float32Array(memory.buffer, AT.x, x.length).set(x);
  for (const stride of [1, 2, 7])
    for (const n of [0, 1, 2, 5, 40]) {
      const out = new Float64Array(memory.buffer, AT.out, n + 1).fill(-1);
      kernels.widen(AT.x + 4, n, stride, AT.out);
      expect(Array.from(out)).toEqual([...Array.from({ length: n }, (_, i) => x[1 + i * stride]!), -1]);
    }
});
