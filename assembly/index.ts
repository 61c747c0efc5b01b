/**
 * The exported ABI: pointers and counts in one 32-bit shared memory, nothing else. `${family}_${layout}_${dtype}`.
 *
 *   dense:  x = first child of the first row; rows lie one after another, `extent` children each; w = weight of row 0's first child
 *           (0 if the family has none), a float64, of dot a float32; row r's weights start at weight r·wstride (0: shared; extent: one per child)
 *   ragged: offsets = u32[rows + 1] in children from x; w absolute, too: child i has weight i of w
 *   columns: children of column c lie `stride` elements apart; w = one float64 weight per row; state = what is kept between calls, none yet for sums if fresh (columns.ts, products.ts)
 *   out:    one float64 per row or column (moments: six, products: two)
 *   scratch: ≥ 4096 bytes that belong to the calling thread, 16-byte aligned, contents arbitrary
 *
 * Kernels may read up to 16 bytes past the end of a row and of its weights; what lies there never matters.
 */
import { accumulate, accumulateProducts } from "./accumulator";
import { CountSkip, Dot, ExactSum, ExactSumSkip, ExactWeightSkip, ExactWeightedSum, ExactWeightedSumSkip, Max, MaxSkip, Min, MinSkip, Moments, MomentsSkip, Product, Sum, SumSkip, WeightSkip, WeightedSum, WeightedSumSkip } from "./children";
import { columnExtremes, columnSums, foldColumns, widen } from "./columns";
import { firstNaN } from "./extremes";
import { momentsChunks } from "./moments";
import { columnProducts } from "./products";
import { dense, ragged } from "./rows";
import { SizeLargest, SizeSquares, SizeSum, SizeWeighted, sizes } from "./sizes";

// Lane sums of rows of at most 4096 children (lanes.ts).
export function sum_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Sum, f32>(x, rows, extent, w, wstride, out, 0); }
export function sum_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Sum, f32>(x, offsets, rows, w, out, 0); }
export function sum_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Sum, f64>(x, rows, extent, w, wstride, out, 0); }
export function sum_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Sum, f64>(x, offsets, rows, w, out, 0); }
export function sum_dense_i32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Sum, i32>(x, rows, extent, w, wstride, out, 0); }
export function sum_ragged_i32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Sum, i32>(x, offsets, rows, w, out, 0); }
export function sum_dense_i16(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Sum, i16>(x, rows, extent, w, wstride, out, 0); }
export function sum_ragged_i16(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Sum, i16>(x, offsets, rows, w, out, 0); }
export function sum_dense_i8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Sum, i8>(x, rows, extent, w, wstride, out, 0); }
export function sum_ragged_i8(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Sum, i8>(x, offsets, rows, w, out, 0); }
export function sum_dense_u8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Sum, u8>(x, rows, extent, w, wstride, out, 0); }
export function sum_ragged_u8(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Sum, u8>(x, offsets, rows, w, out, 0); }
export function weightedSum_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<WeightedSum, f32>(x, rows, extent, w, wstride, out, 0); }
export function weightedSum_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<WeightedSum, f32>(x, offsets, rows, w, out, 0); }
export function weightedSum_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<WeightedSum, f64>(x, rows, extent, w, wstride, out, 0); }
export function weightedSum_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<WeightedSum, f64>(x, offsets, rows, w, out, 0); }
export function weightedSum_dense_i32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<WeightedSum, i32>(x, rows, extent, w, wstride, out, 0); }
export function weightedSum_ragged_i32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<WeightedSum, i32>(x, offsets, rows, w, out, 0); }
export function weightedSum_dense_i16(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<WeightedSum, i16>(x, rows, extent, w, wstride, out, 0); }
export function weightedSum_ragged_i16(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<WeightedSum, i16>(x, offsets, rows, w, out, 0); }
export function weightedSum_dense_i8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<WeightedSum, i8>(x, rows, extent, w, wstride, out, 0); }
export function weightedSum_ragged_i8(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<WeightedSum, i8>(x, offsets, rows, w, out, 0); }
export function weightedSum_dense_u8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<WeightedSum, u8>(x, rows, extent, w, wstride, out, 0); }
export function weightedSum_ragged_u8(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<WeightedSum, u8>(x, offsets, rows, w, out, 0); }
export function dot_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Dot, f32>(x, rows, extent, w, wstride, out, 0); }
export function dot_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Dot, f32>(x, offsets, rows, w, out, 0); }
export function sumSkip_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<SumSkip, f32>(x, rows, extent, w, wstride, out, 0); }
export function sumSkip_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<SumSkip, f32>(x, offsets, rows, w, out, 0); }
export function sumSkip_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<SumSkip, f64>(x, rows, extent, w, wstride, out, 0); }
export function sumSkip_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<SumSkip, f64>(x, offsets, rows, w, out, 0); }
export function weightedSumSkip_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<WeightedSumSkip, f32>(x, rows, extent, w, wstride, out, 0); }
export function weightedSumSkip_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<WeightedSumSkip, f32>(x, offsets, rows, w, out, 0); }
export function weightedSumSkip_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<WeightedSumSkip, f64>(x, rows, extent, w, wstride, out, 0); }
export function weightedSumSkip_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<WeightedSumSkip, f64>(x, offsets, rows, w, out, 0); }
export function weightSkip_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<WeightSkip, f32>(x, rows, extent, w, wstride, out, 0); }
export function weightSkip_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<WeightSkip, f32>(x, offsets, rows, w, out, 0); }
export function weightSkip_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<WeightSkip, f64>(x, rows, extent, w, wstride, out, 0); }
export function weightSkip_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<WeightSkip, f64>(x, offsets, rows, w, out, 0); }

// Extremes and counts of rows of any length (extremes.ts).
export function min_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Min, f32>(x, rows, extent, w, wstride, out, 0); }
export function min_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Min, f32>(x, offsets, rows, w, out, 0); }
export function min_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Min, f64>(x, rows, extent, w, wstride, out, 0); }
export function min_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Min, f64>(x, offsets, rows, w, out, 0); }
export function min_dense_i32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Min, i32>(x, rows, extent, w, wstride, out, 0); }
export function min_ragged_i32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Min, i32>(x, offsets, rows, w, out, 0); }
export function min_dense_i16(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Min, i16>(x, rows, extent, w, wstride, out, 0); }
export function min_ragged_i16(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Min, i16>(x, offsets, rows, w, out, 0); }
export function min_dense_i8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Min, i8>(x, rows, extent, w, wstride, out, 0); }
export function min_ragged_i8(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Min, i8>(x, offsets, rows, w, out, 0); }
export function min_dense_u8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Min, u8>(x, rows, extent, w, wstride, out, 0); }
export function min_ragged_u8(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Min, u8>(x, offsets, rows, w, out, 0); }
export function max_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Max, f32>(x, rows, extent, w, wstride, out, 0); }
export function max_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Max, f32>(x, offsets, rows, w, out, 0); }
export function max_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Max, f64>(x, rows, extent, w, wstride, out, 0); }
export function max_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Max, f64>(x, offsets, rows, w, out, 0); }
export function max_dense_i32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Max, i32>(x, rows, extent, w, wstride, out, 0); }
export function max_ragged_i32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Max, i32>(x, offsets, rows, w, out, 0); }
export function max_dense_i16(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Max, i16>(x, rows, extent, w, wstride, out, 0); }
export function max_ragged_i16(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Max, i16>(x, offsets, rows, w, out, 0); }
export function max_dense_i8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Max, i8>(x, rows, extent, w, wstride, out, 0); }
export function max_ragged_i8(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Max, i8>(x, offsets, rows, w, out, 0); }
export function max_dense_u8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Max, u8>(x, rows, extent, w, wstride, out, 0); }
export function max_ragged_u8(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Max, u8>(x, offsets, rows, w, out, 0); }
export function minSkip_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<MinSkip, f32>(x, rows, extent, w, wstride, out, 0); }
export function minSkip_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<MinSkip, f32>(x, offsets, rows, w, out, 0); }
export function minSkip_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<MinSkip, f64>(x, rows, extent, w, wstride, out, 0); }
export function minSkip_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<MinSkip, f64>(x, offsets, rows, w, out, 0); }
export function maxSkip_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<MaxSkip, f32>(x, rows, extent, w, wstride, out, 0); }
export function maxSkip_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<MaxSkip, f32>(x, offsets, rows, w, out, 0); }
export function maxSkip_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<MaxSkip, f64>(x, rows, extent, w, wstride, out, 0); }
export function maxSkip_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<MaxSkip, f64>(x, offsets, rows, w, out, 0); }
export function countSkip_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<CountSkip, f32>(x, rows, extent, w, wstride, out, 0); }
export function countSkip_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<CountSkip, f32>(x, offsets, rows, w, out, 0); }
export function countSkip_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<CountSkip, f64>(x, rows, extent, w, wstride, out, 0); }
export function countSkip_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<CountSkip, f64>(x, offsets, rows, w, out, 0); }

// Exact sums of rows of any length (exact.ts); they return how many rows were in doubt.
export function exactSum_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): i32 { return dense<ExactSum, f32>(x, rows, extent, w, wstride, out, scratch); }
export function exactSum_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): i32 { return ragged<ExactSum, f32>(x, offsets, rows, w, out, scratch); }
export function exactSum_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): i32 { return dense<ExactSum, f64>(x, rows, extent, w, wstride, out, scratch); }
export function exactSum_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): i32 { return ragged<ExactSum, f64>(x, offsets, rows, w, out, scratch); }
export function exactSum_dense_i32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): i32 { return dense<ExactSum, i32>(x, rows, extent, w, wstride, out, scratch); }
export function exactSum_ragged_i32(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): i32 { return ragged<ExactSum, i32>(x, offsets, rows, w, out, scratch); }
export function exactSum_dense_i16(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): i32 { return dense<ExactSum, i16>(x, rows, extent, w, wstride, out, scratch); }
export function exactSum_ragged_i16(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): i32 { return ragged<ExactSum, i16>(x, offsets, rows, w, out, scratch); }
export function exactSum_dense_i8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): i32 { return dense<ExactSum, i8>(x, rows, extent, w, wstride, out, scratch); }
export function exactSum_ragged_i8(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): i32 { return ragged<ExactSum, i8>(x, offsets, rows, w, out, scratch); }
export function exactSum_dense_u8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): i32 { return dense<ExactSum, u8>(x, rows, extent, w, wstride, out, scratch); }
export function exactSum_ragged_u8(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): i32 { return ragged<ExactSum, u8>(x, offsets, rows, w, out, scratch); }
export function exactWeightedSum_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): i32 { return dense<ExactWeightedSum, f32>(x, rows, extent, w, wstride, out, scratch); }
export function exactWeightedSum_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): i32 { return ragged<ExactWeightedSum, f32>(x, offsets, rows, w, out, scratch); }
export function exactWeightedSum_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): i32 { return dense<ExactWeightedSum, f64>(x, rows, extent, w, wstride, out, scratch); }
export function exactWeightedSum_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): i32 { return ragged<ExactWeightedSum, f64>(x, offsets, rows, w, out, scratch); }
export function exactWeightedSum_dense_i32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): i32 { return dense<ExactWeightedSum, i32>(x, rows, extent, w, wstride, out, scratch); }
export function exactWeightedSum_ragged_i32(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): i32 { return ragged<ExactWeightedSum, i32>(x, offsets, rows, w, out, scratch); }
export function exactWeightedSum_dense_i16(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): i32 { return dense<ExactWeightedSum, i16>(x, rows, extent, w, wstride, out, scratch); }
export function exactWeightedSum_ragged_i16(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): i32 { return ragged<ExactWeightedSum, i16>(x, offsets, rows, w, out, scratch); }
export function exactWeightedSum_dense_i8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): i32 { return dense<ExactWeightedSum, i8>(x, rows, extent, w, wstride, out, scratch); }
export function exactWeightedSum_ragged_i8(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): i32 { return ragged<ExactWeightedSum, i8>(x, offsets, rows, w, out, scratch); }
export function exactWeightedSum_dense_u8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): i32 { return dense<ExactWeightedSum, u8>(x, rows, extent, w, wstride, out, scratch); }
export function exactWeightedSum_ragged_u8(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): i32 { return ragged<ExactWeightedSum, u8>(x, offsets, rows, w, out, scratch); }
export function exactSumSkip_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): i32 { return dense<ExactSumSkip, f32>(x, rows, extent, w, wstride, out, scratch); }
export function exactSumSkip_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): i32 { return ragged<ExactSumSkip, f32>(x, offsets, rows, w, out, scratch); }
export function exactSumSkip_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): i32 { return dense<ExactSumSkip, f64>(x, rows, extent, w, wstride, out, scratch); }
export function exactSumSkip_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): i32 { return ragged<ExactSumSkip, f64>(x, offsets, rows, w, out, scratch); }
export function exactWeightedSumSkip_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): i32 { return dense<ExactWeightedSumSkip, f32>(x, rows, extent, w, wstride, out, scratch); }
export function exactWeightedSumSkip_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): i32 { return ragged<ExactWeightedSumSkip, f32>(x, offsets, rows, w, out, scratch); }
export function exactWeightedSumSkip_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): i32 { return dense<ExactWeightedSumSkip, f64>(x, rows, extent, w, wstride, out, scratch); }
export function exactWeightedSumSkip_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): i32 { return ragged<ExactWeightedSumSkip, f64>(x, offsets, rows, w, out, scratch); }
export function exactWeightSkip_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): i32 { return dense<ExactWeightSkip, f32>(x, rows, extent, w, wstride, out, scratch); }
export function exactWeightSkip_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): i32 { return ragged<ExactWeightSkip, f32>(x, offsets, rows, w, out, scratch); }
export function exactWeightSkip_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): i32 { return dense<ExactWeightSkip, f64>(x, rows, extent, w, wstride, out, scratch); }
export function exactWeightSkip_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): i32 { return ragged<ExactWeightSkip, f64>(x, offsets, rows, w, out, scratch); }

// Exact n, Σx and Σx² of rows of any length (moments.ts).
export function moments_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Moments, f32>(x, rows, extent, w, wstride, out, 0); }
export function moments_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Moments, f32>(x, offsets, rows, w, out, 0); }
export function moments_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Moments, f64>(x, rows, extent, w, wstride, out, 0); }
export function moments_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Moments, f64>(x, offsets, rows, w, out, 0); }
export function moments_dense_i32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Moments, i32>(x, rows, extent, w, wstride, out, 0); }
export function moments_ragged_i32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Moments, i32>(x, offsets, rows, w, out, 0); }
export function moments_dense_i16(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Moments, i16>(x, rows, extent, w, wstride, out, 0); }
export function moments_ragged_i16(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Moments, i16>(x, offsets, rows, w, out, 0); }
export function moments_dense_i8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Moments, i8>(x, rows, extent, w, wstride, out, 0); }
export function moments_ragged_i8(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Moments, i8>(x, offsets, rows, w, out, 0); }
export function moments_dense_u8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Moments, u8>(x, rows, extent, w, wstride, out, 0); }
export function moments_ragged_u8(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Moments, u8>(x, offsets, rows, w, out, 0); }
export function momentsSkip_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<MomentsSkip, f32>(x, rows, extent, w, wstride, out, 0); }
export function momentsSkip_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<MomentsSkip, f32>(x, offsets, rows, w, out, 0); }
export function momentsSkip_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<MomentsSkip, f64>(x, rows, extent, w, wstride, out, 0); }
export function momentsSkip_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<MomentsSkip, f64>(x, offsets, rows, w, out, 0); }

// One row: both superaccumulators of its moments; [n, 1 if a child is not finite, Σx chunks, Σx² chunks].
export function momentsChunks_f32(x: usize, n: u32, skip: u32, out: usize): void { momentsChunks<f32>(x, n, skip, out); }
export function momentsChunks_f64(x: usize, n: u32, skip: u32, out: usize): void { momentsChunks<f64>(x, n, skip, out); }
export function momentsChunks_i32(x: usize, n: u32, skip: u32, out: usize): void { momentsChunks<i32>(x, n, skip, out); }
export function momentsChunks_i16(x: usize, n: u32, skip: u32, out: usize): void { momentsChunks<i16>(x, n, skip, out); }
export function momentsChunks_i8(x: usize, n: u32, skip: u32, out: usize): void { momentsChunks<i8>(x, n, skip, out); }
export function momentsChunks_u8(x: usize, n: u32, skip: u32, out: usize): void { momentsChunks<u8>(x, n, skip, out); }

// Terms into a sum that outlives the call: 136 chunks and three counts, all i64 (accumulator.ts).
export function accumulate_f32(x: usize, n: u32, sum: usize): void { accumulate<f32>(x, n, sum); }
export function accumulate_f64(x: usize, n: u32, sum: usize): void { accumulate<f64>(x, n, sum); }
export function accumulateProducts_f32(x: usize, w: usize, n: u32, sum: usize): void { accumulateProducts<f32>(x, w, n, sum); }
export function accumulateProducts_f64(x: usize, w: usize, n: u32, sum: usize): void { accumulateProducts<f64>(x, w, n, sum); }

// The index of the first NaN, or −1.
export function firstNaN_f32(x: usize, n: u32): i32 { return firstNaN<f32>(x, n); }
export function firstNaN_f64(x: usize, n: u32): i32 { return firstNaN<f64>(x, n); }

// How large the values of rows are (sizes.ts). Dense rows only, and w = float32 weights: row r's start at w + 4·r·wstride.
export function sizeSum_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { sizes<SizeSum, f32>(x, rows, extent, w, wstride, out); }
export function sizeSum_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { sizes<SizeSum, f64>(x, rows, extent, w, wstride, out); }
export function sizeSum_i32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { sizes<SizeSum, i32>(x, rows, extent, w, wstride, out); }
export function sizeSum_i16(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { sizes<SizeSum, i16>(x, rows, extent, w, wstride, out); }
export function sizeSum_i8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { sizes<SizeSum, i8>(x, rows, extent, w, wstride, out); }
export function sizeSum_u8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { sizes<SizeSum, u8>(x, rows, extent, w, wstride, out); }
export function sizeWeighted_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { sizes<SizeWeighted, f32>(x, rows, extent, w, wstride, out); }
export function sizeWeighted_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { sizes<SizeWeighted, f64>(x, rows, extent, w, wstride, out); }
export function sizeWeighted_i32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { sizes<SizeWeighted, i32>(x, rows, extent, w, wstride, out); }
export function sizeWeighted_i16(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { sizes<SizeWeighted, i16>(x, rows, extent, w, wstride, out); }
export function sizeWeighted_i8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { sizes<SizeWeighted, i8>(x, rows, extent, w, wstride, out); }
export function sizeWeighted_u8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { sizes<SizeWeighted, u8>(x, rows, extent, w, wstride, out); }
export function sizeSquares_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { sizes<SizeSquares, f32>(x, rows, extent, w, wstride, out); }
export function sizeSquares_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { sizes<SizeSquares, f64>(x, rows, extent, w, wstride, out); }
export function sizeSquares_i32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { sizes<SizeSquares, i32>(x, rows, extent, w, wstride, out); }
export function sizeSquares_i16(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { sizes<SizeSquares, i16>(x, rows, extent, w, wstride, out); }
export function sizeSquares_i8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { sizes<SizeSquares, i8>(x, rows, extent, w, wstride, out); }
export function sizeSquares_u8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { sizes<SizeSquares, u8>(x, rows, extent, w, wstride, out); }
export function sizeLargest_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { sizes<SizeLargest, f32>(x, rows, extent, w, wstride, out); }
export function sizeLargest_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { sizes<SizeLargest, f64>(x, rows, extent, w, wstride, out); }
export function sizeLargest_i32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { sizes<SizeLargest, i32>(x, rows, extent, w, wstride, out); }
export function sizeLargest_i16(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { sizes<SizeLargest, i16>(x, rows, extent, w, wstride, out); }
export function sizeLargest_i8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { sizes<SizeLargest, i8>(x, rows, extent, w, wstride, out); }
export function sizeLargest_u8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { sizes<SizeLargest, u8>(x, rows, extent, w, wstride, out); }

// Products of rows of any length (products.ts).
export function product_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Product, f32>(x, rows, extent, w, wstride, out, 0); }
export function product_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Product, f32>(x, offsets, rows, w, out, 0); }

// Down the columns (columns.ts, products.ts).
export function sum_columns_f32(x: usize, rows: u32, columns: u32, stride: u32, w: usize, state: usize, fresh: u32): void { columnSums<Sum, f32>(x, rows, columns, stride, w, state, fresh); }
export function sum_columns_i32(x: usize, rows: u32, columns: u32, stride: u32, w: usize, state: usize, fresh: u32): void { columnSums<Sum, i32>(x, rows, columns, stride, w, state, fresh); }
export function sum_columns_u8(x: usize, rows: u32, columns: u32, stride: u32, w: usize, state: usize, fresh: u32): void { columnSums<Sum, u8>(x, rows, columns, stride, w, state, fresh); }
export function weightedSum_columns_f32(x: usize, rows: u32, columns: u32, stride: u32, w: usize, state: usize, fresh: u32): void { columnSums<WeightedSum, f32>(x, rows, columns, stride, w, state, fresh); }
export function min_columns_f32(x: usize, rows: u32, columns: u32, stride: u32, w: usize, state: usize, fresh: u32): void { columnExtremes<Min, f32>(x, rows, columns, stride, state); }
export function min_columns_i32(x: usize, rows: u32, columns: u32, stride: u32, w: usize, state: usize, fresh: u32): void { columnExtremes<Min, i32>(x, rows, columns, stride, state); }
export function min_columns_u8(x: usize, rows: u32, columns: u32, stride: u32, w: usize, state: usize, fresh: u32): void { columnExtremes<Min, u8>(x, rows, columns, stride, state); }
export function max_columns_f32(x: usize, rows: u32, columns: u32, stride: u32, w: usize, state: usize, fresh: u32): void { columnExtremes<Max, f32>(x, rows, columns, stride, state); }
export function max_columns_i32(x: usize, rows: u32, columns: u32, stride: u32, w: usize, state: usize, fresh: u32): void { columnExtremes<Max, i32>(x, rows, columns, stride, state); }
export function max_columns_u8(x: usize, rows: u32, columns: u32, stride: u32, w: usize, state: usize, fresh: u32): void { columnExtremes<Max, u8>(x, rows, columns, stride, state); }
export function product_columns_f32(x: usize, rows: u32, columns: u32, stride: u32, w: usize, state: usize, fresh: u32): void { columnProducts(x, rows, columns, stride, state); }
export { foldColumns, widen };
