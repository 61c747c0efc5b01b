/** The public names of `fourfold`. */
export type { Calibration, Measured } from "./calibration.ts";
export {
  createEngine,
  type DeviceTensor,
  type Engine,
  type EngineStats,
  type Plan,
} from "./engine.ts";
export { ERROR_CODES, type ErrorCode, type ErrorDetail, type ErrorPosition, FourfoldError } from "./errors.ts";
export { type ExactAccumulator, type ExactSumOptions, exactSum } from "./exact-sum.ts";
export { type ExactAccumulators, type ExactSumsOptions, exactSums, type GroupList } from "./exact-sums.ts";
export type { Job, JobReadOptions } from "./job.ts";
export type { Live, LiveOptions, LiveResult, LiveStats } from "./live.ts";
export type { LiveInput, LiveKeyedInput } from "./live-input.ts";
export type { BackendName, EngineOptions, PlanOptions, PlanRunOptions, RunOptions, TensorOptions } from "./options.ts";
export { type Chain, chain, type Level } from "./reduce/chain.ts";
export type { LevelKeys, NullKeys } from "./reduce/group.ts";
export type { GroupedLevel, GroupedTable, RejectedRow, RejectedRows } from "./reduce/grouped.ts";
export type { DenseInput, Input, KeyedInput, RaggedInput, Tensor } from "./reduce/input.ts";
export type { Key, KeyColumn } from "./reduce/key.ts";
export type { LiveChange } from "./reduce/live-watches.ts";
export type { Interval } from "./reduce/provenance.ts";
export {
  count,
  defineReduction,
  max,
  mean,
  min,
  type Reduction,
  type ReductionDefinition,
  sum,
  type UserReduction,
  variance,
  weightedMean,
  weightedSum,
} from "./reduce/reductions.ts";
export type { LevelView, Node } from "./reduce/result.ts";
export type { ResultLevel } from "./reduce/result-levels.ts";
export { type Distributed, distribute, type Offsets } from "./reduce/tree.ts";
export type { NumberList, WeightsByKey, WeightsInput } from "./reduce/weights.ts";
export { type SlidingWindow, type SlidingWindowOptions, slidingWindow } from "./reduce/window.ts";
export type { Result, RunStep } from "./result.ts";
export type { Candidate } from "./schedule/choose.ts";
export type { Device, Rates } from "./schedule/cost.ts";
export type { Phase, PlanData, PlanLevel, PlanPiece, Ran } from "./schedule/plan.ts";
export {
  createState,
  type DecodeOptions,
  decodeState,
  type EncodeOptions,
  type State,
  type StateOptions,
  type StateRecords,
  type StateResult,
  type Taken,
} from "./state.ts";
export type { BlockItem } from "./stream/block-items.ts";
export type { FrameItem, RecordItem, StreamItem } from "./stream/items.ts";
export type { StreamOptions } from "./stream/options.ts";
export type { FrameColumns, FrameRing } from "./stream/ring.ts";
export { type Percentiles, prometheusText, type SourceStats, type StreamStats } from "./stream/stats.ts";
export type { Stream } from "./stream/stream.ts";
export type { DictionaryColumn, LateRow, Pane, Rejected, Sink, SinkPosition, StreamKeys, StreamResult, Timing } from "./stream/types.ts";
export type { WindowOptions } from "./stream/windowing.ts";
export type { StreamSource } from "./streams.ts";
export type { Accuracy, Data, Dtype, FileSegment, NanPolicy, Progress, TensorSource, TypedData } from "./types.ts";
