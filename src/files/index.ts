/** Public names of `fourfold/files`: tables and tensors at rest. */
export type { GroupedLevel, GroupedTable } from "../reduce/grouped.ts";
export { type LoadOptions, loadSpec, loadStreamSpec, type Spec, type StreamSpec } from "./load.ts";
export { type NpyArray, type NpyFile, type NpyHeader, type NpyOptions, openNpy, readNpy } from "./npy.ts";
export type { ReplayChunk, ReplayOptions } from "./replay.ts";
export type { Job, ReadOptions, ReduceName, SpecLevel, SpecSource, SpecWeights } from "./spec.ts";
export type { SpecStream, SpecTimeUnit, SpecWindow } from "./spec-stream.ts";
