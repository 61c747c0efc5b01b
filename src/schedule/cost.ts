/**
 * What a chain costs on a device: fixed + for each byte + for each operation + for each node + moving the data there. The rates are
 * measured (calibration.ts) or declared (tests). It predicts and decides nothing.
 */
import type { BuiltIn } from "../reduce/reductions.ts";
import { builtIn, type Fitted } from "../reduce/resolve.ts";

/** Reductions that cost alike for each child. A weight matrix is a matrix product. */
export type Kernel = "sum" | "extreme" | "variance" | "matrix";

/** The kernels, in the order in which they are measured. */
export const KERNELS: readonly Kernel[] = ["sum", "extreme", "variance", "matrix"];

/** What a device takes for its work. Nanoseconds for one thing, but where the name says otherwise. */
export interface Rates {
  /** A run of next to nothing, in milliseconds. */
  readonly fixedMs: number;
  /** A byte of leaves that is read. */
  readonly nsPerByte: number;
  /** A multiply and add, a comparison, a deviation squared: one for each child, for each output of a matrix. */
  readonly nsPerOperation: Readonly<Record<Kernel, number>>;
  /** A node, for each output of a matrix: what it costs beside its children. */
  readonly nsPerNode: Readonly<Record<Kernel, number>>;
  /** Bringing a byte of leaves to the device: out of a plain array, or out of engine memory. What is resident there costs nothing. */
  readonly moveNsPerByte: Readonly<Record<Placement, number>>;
  /** Making a leaf a value of the device: another dtype, a place in padded rows. 0 for a device that reads leaves as they are. */
  readonly convertNsPerLeaf: number;
}

/** A device that a planner may choose: the wasm kernels, or a tensor backend. */
export interface Device {
  readonly name: string;
  /** What computes. Devices on one processor share its cores, so a batch is not split between them. */
  readonly processor: string;
  /** Bytes of leaves that it can hold. */
  readonly memoryBytesMax: number;
  /** How it holds leaves: as they are given, or all as float32. */
  readonly leaves: "given" | "f32";
  readonly rates: Rates;
}

/** Where leaves may lie before a run. */
export const PLACEMENTS = ["engine memory", "foreign array"] as const;

/** Where leaves lie before a run. */
export type Placement = (typeof PLACEMENTS)[number];

/** What there is to do, as far as its cost depends on it. */
export interface Work {
  readonly leaves: number;
  readonly bytesPerLeaf: number;
  readonly placement: Placement;
  /** The device that holds a copy of the leaves. */
  readonly residentOn: string | undefined;
  /** True if the leaves are float32 in rows of one length, which a device with float32 leaves takes as they are. */
  readonly plain: boolean;
  readonly operations: Readonly<Record<Kernel, number>>;
  readonly nodes: Readonly<Record<Kernel, number>>;
}

/** The work of a fitted chain. */
export function workOf(fitted: Fitted, dtype: string, bytesPerLeaf: number, placement: Placement, residentOn?: string): Work {
  const operations = { sum: 0, extreme: 0, variance: 0, matrix: 0 };
  const nodes = { ...operations };
  let planes = 1;
  for (const level of fitted.levels) {
    const { weights } = level;
    const outputs = weights.form === "matrix" ? weights.rows : planes;
    const kind = builtIn(level);
    const sums = kind === "weightedMean" ? 2 : 1;
    const kernel = weights.form === "matrix" ? "matrix" : kernelOf(kind);
    operations[kernel] += sums * level.children * outputs;
    nodes[kernel] += level.nodes * outputs;
    planes = outputs;
  }
  const plain = dtype === "f32" && fitted.levels.every(({ extent }) => extent !== undefined);
  return { leaves: fitted.tree.leaves, bytesPerLeaf, placement, residentOn, plain, operations, nodes };
}

function kernelOf(kind: BuiltIn | undefined): Kernel {
  if (kind === "min" || kind === "max") return "extreme";
  return kind === "variance" ? "variance" : "sum";
}

/** Milliseconds for a run of all of the work, and for each further share of it: `fixedMs + share × shareMs`. */
export interface Cost {
  readonly fixedMs: number;
  readonly shareMs: number;
}

/** What the work costs on a device. */
export function costOf(work: Work, device: Device): Cost {
  const { rates } = device;
  const resident = work.residentOn === device.name;
  const givenBytes = work.leaves * work.bytesPerLeaf;
  const readBytes = device.leaves === "f32" ? 4 * work.leaves : givenBytes;
  const moved = resident ? 0 : givenBytes * rates.moveNsPerByte[work.placement];
  const converted = resident || work.plain ? 0 : work.leaves * rates.convertNsPerLeaf;
  const computed = KERNELS.reduce(
    (ns, kernel) => ns + work.operations[kernel] * rates.nsPerOperation[kernel] + work.nodes[kernel] * rates.nsPerNode[kernel],
    0,
  );
  return { fixedMs: rates.fixedMs, shareMs: (moved + converted + computed + readBytes * rates.nsPerByte) / 1e6 };
}
