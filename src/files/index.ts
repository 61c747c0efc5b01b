/** Public names of `fourfold/files`: tables and tensors at rest. */
export { type LoadOptions, loadSpec, type Spec } from "./load.ts";
export { type NpyArray, type NpyFile, type NpyHeader, type NpyOptions, openNpy, readNpy } from "./npy.ts";
export type {
  GroupedLevel,
  GroupedTable,
  Job,
  ReadOptions,
  ReduceName,
  SpecLevel,
  SpecSource,
  SpecWeights,
  TableType,
  TableValues,
} from "./spec.ts";
