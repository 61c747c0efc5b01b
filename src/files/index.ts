/** Public names of `fourfold/files`: tables and tensors at rest, and results of streams that come to rest. */
export type { GroupedLevel, GroupedTable } from "../reduce/grouped.ts";
export type { FileSegment, TensorSource } from "../types.ts";
export { type ArrowTensorOptions, openArrowTensor } from "./arrow-tensor.ts";
export type { FileDtype, Int64Policy } from "./items.ts";
export { runJob } from "./job.ts";
export type { JobOptions, JobProgress, JobResult } from "./job-options.ts";
export { type LoadOptions, loadSpec, loadStreamSpec, type Spec, type StreamSpec } from "./load.ts";
export { type TableTensor, type TableTensorOptions, tensor } from "./memory-tensor.ts";
export { type NpyArray, type NpyFile, type NpyOpenOptions, type NpyOptions, openNpy, readNpy } from "./npy.ts";
export type { NpyHeader } from "./npy-header.ts";
export { type NpzOptions, openNpz } from "./npz.ts";
export { type OutputFile, outputFile } from "./outputs/output-file.ts";
export type { Pieces } from "./outputs/pieces.ts";
export type { WritableResult } from "./outputs/result-table.ts";
export {
  type PiecesOptions,
  RESULT_FORMATS,
  type ResultFormat,
  resultFormat,
  resultPieces,
  type WriteResultOptions,
  writeResult,
} from "./outputs/write-result.ts";
export { type ParquetSink, type ParquetSinkOptions, parquetSink } from "./parquet-parts.ts";
export { openRaw, type RawOptions } from "./raw.ts";
export { type Records, type RecordsOptions, records } from "./records.ts";
export type { ReplayChunk, ReplayOptions } from "./replay.ts";
export { type OpenResultOptions, openResult } from "./result-file.ts";
export type { Job, ReadOptions, ReduceName, SpecLevel, SpecSource, SpecWeights } from "./spec.ts";
export type { SpecStream, SpecTimeUnit, SpecWindow } from "./spec-stream.ts";
export type {
  ChangePiece,
  Contribution,
  NodeChange,
  NodeContributions,
  StoredLevel,
  StoredNode,
  StoredResult,
  TopOptions,
  WhereOptions,
} from "./stored-result.ts";
export { openTensor, type TensorFormat, type TensorOptions } from "./tensor.ts";
export { openZarr, type ZarrOptions } from "./zarr.ts";
