/** Public names of `fourfold/files`: tables and tensors at rest, and results of streams that come to rest. */
export type { GroupedLevel, GroupedTable } from "../reduce/grouped.ts";
export { runJob } from "./job.ts";
export type { JobOptions, JobProgress, JobResult } from "./job-options.ts";
export { type LoadOptions, loadSpec, loadStreamSpec, type Spec, type StreamSpec } from "./load.ts";
export { type NpyArray, type NpyFile, type NpyHeader, type NpyOptions, openNpy, readNpy } from "./npy.ts";
export { type ParquetSink, type ParquetSinkOptions, parquetSink } from "./parquet-parts.ts";
export type { ReplayChunk, ReplayOptions } from "./replay.ts";
export type { Job, ReadOptions, ReduceName, SpecLevel, SpecSource, SpecWeights } from "./spec.ts";
export type { SpecStream, SpecTimeUnit, SpecWindow } from "./spec-stream.ts";
