/**
 * The exported ABI: pointers and counts in one 32-bit shared memory, nothing else. `${family}_${layout}_${dtype}`.
 *
 *   dense:  x = first child of the first row; rows lie one after another, `extent` children each; w = weight of row 0's first child
 *           (0 if the family has none), a float64, of dot a float32; row r's weights start at weight r·wstride (0: shared; extent: one per child)
 *   ragged: offsets = u32[rows + 1] in children from x; w absolute, too: child i has weight i of w
 *   columns: children of column c lie `stride` elements apart; w = one float64 weight per row; state = what is kept between calls, none yet for sums if fresh (columns.ts, products.ts)
 *   out:    one float64 per row or column (moments: six, parts: three, products: two)
 *   scratch: SCRATCH_BYTES of kernels.ts that belong to the calling thread, 16-byte aligned. Contents are arbitrary, but for three u32 counters at
 *           COUNTERS_AT, which exact kernels count up and callers reset: slow blocks, nodes that needed three terms, nodes that needed the accumulator
 *
 * Kernels may read up to 16 bytes past the end of a row and of its weights; what lies there never matters.
 */
import { accumulate, accumulateProducts } from "./accumulate";
import { exactDense, exactRagged } from "./blocks";
import { CountSkip, Dot, Max, MaxSkip, Min, MinSkip, Moments, MomentsSkip, Product, Sum, SumSkip, WeightSkip, WeightedSum, WeightedSumSkip } from "./children";
import { columnExtremes, columnSums, foldColumns, widen } from "./columns";
import { firstNaN } from "./extremes";
import { laneRows, raggedLaneRows } from "./lanes";
import { momentsChunks } from "./moments";
import { partsDense, partsRagged } from "./parts";
import { columnProducts } from "./products";
import { dense, ragged } from "./rows";
import { SizeLargest, SizeSquares, SizeSum, SizeWeighted, sizes } from "./sizes";

// Lane sums of rows of at most 4096 children (lanes.ts).
export function sum_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { laneRows<Sum, f32>(x, rows, extent, w, wstride, out); }
export function sum_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { raggedLaneRows<Sum, f32>(x, offsets, rows, w, out); }
export function sum_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { laneRows<Sum, f64>(x, rows, extent, w, wstride, out); }
export function sum_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { raggedLaneRows<Sum, f64>(x, offsets, rows, w, out); }
export function sum_dense_i32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Sum, i32>(x, rows, extent, out); }
export function sum_ragged_i32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Sum, i32>(x, offsets, rows, out); }
export function sum_dense_i16(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Sum, i16>(x, rows, extent, out); }
export function sum_ragged_i16(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Sum, i16>(x, offsets, rows, out); }
export function sum_dense_i8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Sum, i8>(x, rows, extent, out); }
export function sum_ragged_i8(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Sum, i8>(x, offsets, rows, out); }
export function sum_dense_u8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Sum, u8>(x, rows, extent, out); }
export function sum_ragged_u8(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Sum, u8>(x, offsets, rows, out); }
export function weightedSum_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { laneRows<WeightedSum, f32>(x, rows, extent, w, wstride, out); }
export function weightedSum_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { raggedLaneRows<WeightedSum, f32>(x, offsets, rows, w, out); }
export function weightedSum_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { laneRows<WeightedSum, f64>(x, rows, extent, w, wstride, out); }
export function weightedSum_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { raggedLaneRows<WeightedSum, f64>(x, offsets, rows, w, out); }
export function weightedSum_dense_i32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { laneRows<WeightedSum, i32>(x, rows, extent, w, wstride, out); }
export function weightedSum_ragged_i32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { raggedLaneRows<WeightedSum, i32>(x, offsets, rows, w, out); }
export function weightedSum_dense_i16(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { laneRows<WeightedSum, i16>(x, rows, extent, w, wstride, out); }
export function weightedSum_ragged_i16(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { raggedLaneRows<WeightedSum, i16>(x, offsets, rows, w, out); }
export function weightedSum_dense_i8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { laneRows<WeightedSum, i8>(x, rows, extent, w, wstride, out); }
export function weightedSum_ragged_i8(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { raggedLaneRows<WeightedSum, i8>(x, offsets, rows, w, out); }
export function weightedSum_dense_u8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { laneRows<WeightedSum, u8>(x, rows, extent, w, wstride, out); }
export function weightedSum_ragged_u8(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { raggedLaneRows<WeightedSum, u8>(x, offsets, rows, w, out); }
export function dot_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { laneRows<Dot, f32>(x, rows, extent, w, wstride, out); }
export function dot_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { raggedLaneRows<Dot, f32>(x, offsets, rows, w, out); }
export function sumSkip_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { laneRows<SumSkip, f32>(x, rows, extent, w, wstride, out); }
export function sumSkip_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { raggedLaneRows<SumSkip, f32>(x, offsets, rows, w, out); }
export function sumSkip_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { laneRows<SumSkip, f64>(x, rows, extent, w, wstride, out); }
export function sumSkip_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { raggedLaneRows<SumSkip, f64>(x, offsets, rows, w, out); }
export function weightedSumSkip_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { laneRows<WeightedSumSkip, f32>(x, rows, extent, w, wstride, out); }
export function weightedSumSkip_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { raggedLaneRows<WeightedSumSkip, f32>(x, offsets, rows, w, out); }
export function weightedSumSkip_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { laneRows<WeightedSumSkip, f64>(x, rows, extent, w, wstride, out); }
export function weightedSumSkip_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { raggedLaneRows<WeightedSumSkip, f64>(x, offsets, rows, w, out); }
export function weightSkip_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { laneRows<WeightSkip, f32>(x, rows, extent, w, wstride, out); }
export function weightSkip_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { raggedLaneRows<WeightSkip, f32>(x, offsets, rows, w, out); }
export function weightSkip_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { laneRows<WeightSkip, f64>(x, rows, extent, w, wstride, out); }
export function weightSkip_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { raggedLaneRows<WeightSkip, f64>(x, offsets, rows, w, out); }

// Extremes and counts of rows of any length (extremes.ts).
export function min_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Min, f32>(x, rows, extent, out); }
export function min_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Min, f32>(x, offsets, rows, out); }
export function min_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Min, f64>(x, rows, extent, out); }
export function min_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Min, f64>(x, offsets, rows, out); }
export function min_dense_i32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Min, i32>(x, rows, extent, out); }
export function min_ragged_i32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Min, i32>(x, offsets, rows, out); }
export function min_dense_i16(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Min, i16>(x, rows, extent, out); }
export function min_ragged_i16(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Min, i16>(x, offsets, rows, out); }
export function min_dense_i8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Min, i8>(x, rows, extent, out); }
export function min_ragged_i8(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Min, i8>(x, offsets, rows, out); }
export function min_dense_u8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Min, u8>(x, rows, extent, out); }
export function min_ragged_u8(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Min, u8>(x, offsets, rows, out); }
export function max_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Max, f32>(x, rows, extent, out); }
export function max_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Max, f32>(x, offsets, rows, out); }
export function max_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Max, f64>(x, rows, extent, out); }
export function max_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Max, f64>(x, offsets, rows, out); }
export function max_dense_i32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Max, i32>(x, rows, extent, out); }
export function max_ragged_i32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Max, i32>(x, offsets, rows, out); }
export function max_dense_i16(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Max, i16>(x, rows, extent, out); }
export function max_ragged_i16(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Max, i16>(x, offsets, rows, out); }
export function max_dense_i8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Max, i8>(x, rows, extent, out); }
export function max_ragged_i8(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Max, i8>(x, offsets, rows, out); }
export function max_dense_u8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Max, u8>(x, rows, extent, out); }
export function max_ragged_u8(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Max, u8>(x, offsets, rows, out); }
export function minSkip_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<MinSkip, f32>(x, rows, extent, out); }
export function minSkip_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<MinSkip, f32>(x, offsets, rows, out); }
export function minSkip_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<MinSkip, f64>(x, rows, extent, out); }
export function minSkip_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<MinSkip, f64>(x, offsets, rows, out); }
export function maxSkip_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<MaxSkip, f32>(x, rows, extent, out); }
export function maxSkip_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<MaxSkip, f32>(x, offsets, rows, out); }
export function maxSkip_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<MaxSkip, f64>(x, rows, extent, out); }
export function maxSkip_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<MaxSkip, f64>(x, offsets, rows, out); }
export function countSkip_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<CountSkip, f32>(x, rows, extent, out); }
export function countSkip_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<CountSkip, f32>(x, offsets, rows, out); }
export function countSkip_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<CountSkip, f64>(x, rows, extent, out); }
export function countSkip_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<CountSkip, f64>(x, offsets, rows, out); }

// Exact sums of rows of any length (blocks.ts, exact.ts).
export function exactSum_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { exactDense<Sum, f32>(x, rows, extent, w, wstride, out, scratch); }
export function exactSum_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { exactRagged<Sum, f32>(x, offsets, rows, w, out, scratch); }
export function exactSum_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { exactDense<Sum, f64>(x, rows, extent, w, wstride, out, scratch); }
export function exactSum_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { exactRagged<Sum, f64>(x, offsets, rows, w, out, scratch); }
export function exactSum_dense_i32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { exactDense<Sum, i32>(x, rows, extent, w, wstride, out, scratch); }
export function exactSum_ragged_i32(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { exactRagged<Sum, i32>(x, offsets, rows, w, out, scratch); }
export function exactSum_dense_i16(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { exactDense<Sum, i16>(x, rows, extent, w, wstride, out, scratch); }
export function exactSum_ragged_i16(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { exactRagged<Sum, i16>(x, offsets, rows, w, out, scratch); }
export function exactSum_dense_i8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { exactDense<Sum, i8>(x, rows, extent, w, wstride, out, scratch); }
export function exactSum_ragged_i8(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { exactRagged<Sum, i8>(x, offsets, rows, w, out, scratch); }
export function exactSum_dense_u8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { exactDense<Sum, u8>(x, rows, extent, w, wstride, out, scratch); }
export function exactSum_ragged_u8(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { exactRagged<Sum, u8>(x, offsets, rows, w, out, scratch); }
export function exactWeightedSum_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { exactDense<WeightedSum, f32>(x, rows, extent, w, wstride, out, scratch); }
export function exactWeightedSum_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { exactRagged<WeightedSum, f32>(x, offsets, rows, w, out, scratch); }
export function exactWeightedSum_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { exactDense<WeightedSum, f64>(x, rows, extent, w, wstride, out, scratch); }
export function exactWeightedSum_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { exactRagged<WeightedSum, f64>(x, offsets, rows, w, out, scratch); }
export function exactWeightedSum_dense_i32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { exactDense<WeightedSum, i32>(x, rows, extent, w, wstride, out, scratch); }
export function exactWeightedSum_ragged_i32(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { exactRagged<WeightedSum, i32>(x, offsets, rows, w, out, scratch); }
export function exactWeightedSum_dense_i16(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { exactDense<WeightedSum, i16>(x, rows, extent, w, wstride, out, scratch); }
export function exactWeightedSum_ragged_i16(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { exactRagged<WeightedSum, i16>(x, offsets, rows, w, out, scratch); }
export function exactWeightedSum_dense_i8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { exactDense<WeightedSum, i8>(x, rows, extent, w, wstride, out, scratch); }
export function exactWeightedSum_ragged_i8(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { exactRagged<WeightedSum, i8>(x, offsets, rows, w, out, scratch); }
export function exactWeightedSum_dense_u8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { exactDense<WeightedSum, u8>(x, rows, extent, w, wstride, out, scratch); }
export function exactWeightedSum_ragged_u8(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { exactRagged<WeightedSum, u8>(x, offsets, rows, w, out, scratch); }
export function exactSumSkip_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { exactDense<SumSkip, f32>(x, rows, extent, w, wstride, out, scratch); }
export function exactSumSkip_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { exactRagged<SumSkip, f32>(x, offsets, rows, w, out, scratch); }
export function exactSumSkip_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { exactDense<SumSkip, f64>(x, rows, extent, w, wstride, out, scratch); }
export function exactSumSkip_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { exactRagged<SumSkip, f64>(x, offsets, rows, w, out, scratch); }
export function exactWeightedSumSkip_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { exactDense<WeightedSumSkip, f32>(x, rows, extent, w, wstride, out, scratch); }
export function exactWeightedSumSkip_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { exactRagged<WeightedSumSkip, f32>(x, offsets, rows, w, out, scratch); }
export function exactWeightedSumSkip_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { exactDense<WeightedSumSkip, f64>(x, rows, extent, w, wstride, out, scratch); }
export function exactWeightedSumSkip_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { exactRagged<WeightedSumSkip, f64>(x, offsets, rows, w, out, scratch); }
export function exactWeightSkip_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { exactDense<WeightSkip, f32>(x, rows, extent, w, wstride, out, scratch); }
export function exactWeightSkip_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { exactRagged<WeightSkip, f32>(x, offsets, rows, w, out, scratch); }
export function exactWeightSkip_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { exactDense<WeightSkip, f64>(x, rows, extent, w, wstride, out, scratch); }
export function exactWeightSkip_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { exactRagged<WeightSkip, f64>(x, offsets, rows, w, out, scratch); }

// Exact sums of rows of any length, not rounded (parts.ts).
export function partsSum_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { partsDense<Sum, f32>(x, rows, extent, w, wstride, out, scratch); }
export function partsSum_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { partsRagged<Sum, f32>(x, offsets, rows, w, out, scratch); }
export function partsSum_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { partsDense<Sum, f64>(x, rows, extent, w, wstride, out, scratch); }
export function partsSum_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { partsRagged<Sum, f64>(x, offsets, rows, w, out, scratch); }
export function partsSum_dense_i32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { partsDense<Sum, i32>(x, rows, extent, w, wstride, out, scratch); }
export function partsSum_ragged_i32(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { partsRagged<Sum, i32>(x, offsets, rows, w, out, scratch); }
export function partsSum_dense_i16(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { partsDense<Sum, i16>(x, rows, extent, w, wstride, out, scratch); }
export function partsSum_ragged_i16(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { partsRagged<Sum, i16>(x, offsets, rows, w, out, scratch); }
export function partsSum_dense_i8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { partsDense<Sum, i8>(x, rows, extent, w, wstride, out, scratch); }
export function partsSum_ragged_i8(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { partsRagged<Sum, i8>(x, offsets, rows, w, out, scratch); }
export function partsSum_dense_u8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { partsDense<Sum, u8>(x, rows, extent, w, wstride, out, scratch); }
export function partsSum_ragged_u8(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { partsRagged<Sum, u8>(x, offsets, rows, w, out, scratch); }
export function partsWeightedSum_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { partsDense<WeightedSum, f32>(x, rows, extent, w, wstride, out, scratch); }
export function partsWeightedSum_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { partsRagged<WeightedSum, f32>(x, offsets, rows, w, out, scratch); }
export function partsWeightedSum_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { partsDense<WeightedSum, f64>(x, rows, extent, w, wstride, out, scratch); }
export function partsWeightedSum_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { partsRagged<WeightedSum, f64>(x, offsets, rows, w, out, scratch); }
export function partsWeightedSum_dense_i32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { partsDense<WeightedSum, i32>(x, rows, extent, w, wstride, out, scratch); }
export function partsWeightedSum_ragged_i32(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { partsRagged<WeightedSum, i32>(x, offsets, rows, w, out, scratch); }
export function partsWeightedSum_dense_i16(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { partsDense<WeightedSum, i16>(x, rows, extent, w, wstride, out, scratch); }
export function partsWeightedSum_ragged_i16(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { partsRagged<WeightedSum, i16>(x, offsets, rows, w, out, scratch); }
export function partsWeightedSum_dense_i8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { partsDense<WeightedSum, i8>(x, rows, extent, w, wstride, out, scratch); }
export function partsWeightedSum_ragged_i8(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { partsRagged<WeightedSum, i8>(x, offsets, rows, w, out, scratch); }
export function partsWeightedSum_dense_u8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { partsDense<WeightedSum, u8>(x, rows, extent, w, wstride, out, scratch); }
export function partsWeightedSum_ragged_u8(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { partsRagged<WeightedSum, u8>(x, offsets, rows, w, out, scratch); }
export function partsSumSkip_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { partsDense<SumSkip, f32>(x, rows, extent, w, wstride, out, scratch); }
export function partsSumSkip_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { partsRagged<SumSkip, f32>(x, offsets, rows, w, out, scratch); }
export function partsSumSkip_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { partsDense<SumSkip, f64>(x, rows, extent, w, wstride, out, scratch); }
export function partsSumSkip_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { partsRagged<SumSkip, f64>(x, offsets, rows, w, out, scratch); }
export function partsWeightedSumSkip_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { partsDense<WeightedSumSkip, f32>(x, rows, extent, w, wstride, out, scratch); }
export function partsWeightedSumSkip_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { partsRagged<WeightedSumSkip, f32>(x, offsets, rows, w, out, scratch); }
export function partsWeightedSumSkip_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { partsDense<WeightedSumSkip, f64>(x, rows, extent, w, wstride, out, scratch); }
export function partsWeightedSumSkip_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { partsRagged<WeightedSumSkip, f64>(x, offsets, rows, w, out, scratch); }
export function partsWeightSkip_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { partsDense<WeightSkip, f32>(x, rows, extent, w, wstride, out, scratch); }
export function partsWeightSkip_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { partsRagged<WeightSkip, f32>(x, offsets, rows, w, out, scratch); }
export function partsWeightSkip_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize, scratch: usize): void { partsDense<WeightSkip, f64>(x, rows, extent, w, wstride, out, scratch); }
export function partsWeightSkip_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize, scratch: usize): void { partsRagged<WeightSkip, f64>(x, offsets, rows, w, out, scratch); }

// Exact n, Σx and Σx² of rows of any length (moments.ts).
export function moments_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Moments, f32>(x, rows, extent, out); }
export function moments_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Moments, f32>(x, offsets, rows, out); }
export function moments_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Moments, f64>(x, rows, extent, out); }
export function moments_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Moments, f64>(x, offsets, rows, out); }
export function moments_dense_i32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Moments, i32>(x, rows, extent, out); }
export function moments_ragged_i32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Moments, i32>(x, offsets, rows, out); }
export function moments_dense_i16(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Moments, i16>(x, rows, extent, out); }
export function moments_ragged_i16(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Moments, i16>(x, offsets, rows, out); }
export function moments_dense_i8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Moments, i8>(x, rows, extent, out); }
export function moments_ragged_i8(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Moments, i8>(x, offsets, rows, out); }
export function moments_dense_u8(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Moments, u8>(x, rows, extent, out); }
export function moments_ragged_u8(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Moments, u8>(x, offsets, rows, out); }
export function momentsSkip_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<MomentsSkip, f32>(x, rows, extent, out); }
export function momentsSkip_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<MomentsSkip, f32>(x, offsets, rows, out); }
export function momentsSkip_dense_f64(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<MomentsSkip, f64>(x, rows, extent, out); }
export function momentsSkip_ragged_f64(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<MomentsSkip, f64>(x, offsets, rows, out); }

// One row: both superaccumulators of its moments; [n, 1 if a child is not finite, Σx chunks, Σx² chunks].
export function momentsChunks_f32(x: usize, n: u32, skip: u32, out: usize): void { momentsChunks<f32>(x, n, skip, out); }
export function momentsChunks_f64(x: usize, n: u32, skip: u32, out: usize): void { momentsChunks<f64>(x, n, skip, out); }
export function momentsChunks_i32(x: usize, n: u32, skip: u32, out: usize): void { momentsChunks<i32>(x, n, skip, out); }
export function momentsChunks_i16(x: usize, n: u32, skip: u32, out: usize): void { momentsChunks<i16>(x, n, skip, out); }
export function momentsChunks_i8(x: usize, n: u32, skip: u32, out: usize): void { momentsChunks<i8>(x, n, skip, out); }
export function momentsChunks_u8(x: usize, n: u32, skip: u32, out: usize): void { momentsChunks<u8>(x, n, skip, out); }

// Terms into a sum that outlives the call: 136 chunks and three counts, all i64 (accumulate.ts).
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
export function product_dense_f32(x: usize, rows: u32, extent: u32, w: usize, wstride: u32, out: usize): void { dense<Product, f32>(x, rows, extent, out); }
export function product_ragged_f32(x: usize, offsets: usize, rows: u32, w: usize, out: usize): void { ragged<Product, f32>(x, offsets, rows, out); }

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
