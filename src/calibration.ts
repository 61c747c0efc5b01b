/**
 * What the devices of this machine were measured at: a file for each machine and set of versions, and the runs that measure.
 * It chooses nothing: the cost model (schedule/cost.ts) reads the rates.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, homedir } from "node:os";
import { dirname, join } from "node:path";
import type { Chain } from "./reduce/chain.ts";
import { chain } from "./reduce/chain.ts";
import { max, sum, variance, weightedSum } from "./reduce/reductions.ts";
import { type Device, KERNELS, PLACEMENTS, type Rates } from "./schedule/cost.ts";
import type { Dtype } from "./types.ts";

/** A device as it was measured. */
export interface Measured extends Device {
  /** What ran: the versions of its packages, and of its library. Other versions are measured again. */
  readonly versions: string;
  /** ISO 8601. */
  readonly measuredAt: string;
}

/** What is stored: the measured devices, and why those that failed could not be measured. */
export interface Calibration {
  readonly devices: readonly Measured[];
  readonly failed: Readonly<Record<string, Failed>>;
}

/** A device that could not be measured. */
export interface Failed {
  readonly versions: string;
  readonly reason: string;
}

/** The layout of the file; another one is not read. */
const FORMAT = 1;

/**
 * The file for this machine, this version of Fourfold and this number of workers: `FOURFOLD_CALIBRATION` if it is set, else below
 * the user's cache folder. Undefined if `FOURFOLD_CALIBRATION` is `off`: then nothing is measured, and `auto` is the wasm kernels.
 */
export function calibrationFile(workers: number, env: Readonly<Record<string, string | undefined>> = process.env): string | undefined {
  const named = env["FOURFOLD_CALIBRATION"];
  if (named !== undefined && named !== "") return named === "off" ? undefined : named;
  const machine = [cpus()[0]?.model, `${availableParallelism()} cores`, `${workers} workers`, `node ${process.version}`, ownVersion()];
  const name = machine.join(" ").replace(/[^A-Za-z0-9.]+/g, "-");
  return join(env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "fourfold", `calibration-${name}.json`);
}

/** Tells the drafts of one process apart. */
let drafts = 0;

/** Reads a stored calibration; undefined where there is none that can be read, which is then made anew. */
export function readCalibration(file: string): Calibration | undefined {
  try {
    const stored = JSON.parse(readFileSync(file, "utf8")) as { format: number } & Calibration;
    const { devices, failed } = stored;
    return stored.format === FORMAT && devices.every(isMeasured) && Object.values(failed).every(isFailed) ? { devices, failed } : undefined;
  } catch {
    return undefined;
  }
}

/** Stores a calibration: whole or not at all. False where the folder cannot be written; then it is measured again next time. */
export function writeCalibration(file: string, calibration: Calibration): boolean {
  const draft = `${file}.${process.pid}-${drafts++}`;
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(draft, `${JSON.stringify({ format: FORMAT, ...calibration }, null, 2)}\n`);
    try {
      renameSync(draft, file);
    } catch (error) {
      rmSync(draft, { force: true });
      throw error;
    }
    return true;
  } catch {
    return false;
  }
}

function isMeasured({ name, versions, processor, memoryBytesMax, leaves, rates }: Measured): boolean {
  const isRate = (n: unknown): boolean => Number.isFinite(n) && (n as number) >= 0;
  const hasAll = (table: Readonly<Record<string, unknown>>, names: readonly string[]): boolean => names.every((key) => isRate(table[key]));
  return (
    [name, versions, processor].every((text) => typeof text === "string") &&
    (leaves === "given" || leaves === "f32") &&
    [memoryBytesMax, rates.fixedMs, rates.nsPerByte, rates.convertNsPerLeaf].every(isRate) &&
    hasAll(rates.nsPerOperation, KERNELS) &&
    hasAll(rates.nsPerNode, KERNELS) &&
    hasAll(rates.moveNsPerByte, PLACEMENTS)
  );
}

function isFailed({ versions, reason }: Failed): boolean {
  return typeof versions === "string" && typeof reason === "string";
}

function ownVersion(): string {
  return (JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }).version;
}

/** Runs a chain on the device that is measured, again and again on the same leaves. Resolves to the milliseconds of each run. */
export type TimedRuns = (c: Chain, leaves: Leaves, effort: Effort) => Promise<number[]>;

/** When enough runs were timed: at so many, or when they took so long together. */
export interface Effort {
  readonly runsMax: number;
  readonly msMax: number;
}

/** What is reduced. */
export interface Leaves {
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  readonly where: "engine memory" | "foreign array" | "device";
}

/** Leaves that all but the smallest runs have: from 1 MiB of float32 up to 32, so that a run takes some 10 ms. */
const LEAVES = { least: 2 ** 18, most: 2 ** 23, runMsMin: 10 } as const;

/**
 * How often a kind is run. The shortest run counts: other work only makes runs longer, and rates are differences, which one longer run
 * would spoil. One more comes first, for what is compiled and placed once in a plan's life.
 */
const EFFORT: Effort = { runsMax: 6, msMax: 300 };

/** Children of the long rows and of the short ones. */
const [LONG, SHORT] = [1024, 8];

/** Outputs of the matrix; it gets as many fewer leaves, down to the least. */
const OUTPUTS = 64;

/**
 * Measures a device: runs of different shapes, placements and reductions, whose differences are the rates. About a second on a CPU.
 * @param leaves how the device holds leaves, as {@link Device.leaves}
 */
export async function measure(time: TimedRuns, leaves: Device["leaves"]): Promise<Rates> {
  const shortest = async (c: Chain, given: Leaves): Promise<number> => {
    const [first, ...taken] = await time(c, given, EFFORT);
    return Math.min(...(taken.length > 0 ? taken : [first!]));
  };
  const rows = (n: number, extent: number, dtype: Dtype = "f32", where: Leaves["where"] = "engine memory"): Leaves => ({
    shape: [n / extent, extent],
    dtype,
    where,
  });
  const sums = chain(sum(), sum());
  const fixedMs = await shortest(sums, rows(16, 16));
  let n: number = LEAVES.least;
  while (n < LEAVES.most && (await shortest(sums, rows(n, LONG))) < LEAVES.runMsMin) n = Math.min(8 * n, LEAVES.most);

  /** What a kernel takes for a leaf, in rows of the long kind, and for a node: rows of the short kind have so many more. */
  const kernel = async (make: (extent: number) => Chain, leaves: number): Promise<{ readonly leaf: number; readonly node: number }> => {
    const long = await shortest(make(LONG), rows(leaves, LONG));
    const short = await shortest(make(SHORT), rows(leaves, SHORT));
    const node = rate(short - long, leaves / SHORT - leaves / LONG);
    return { leaf: Math.max(0, rate(long - fixedMs, leaves) - node / LONG), node };
  };
  const matrixOf = (extent: number): Float64Array[] => Array.from({ length: OUTPUTS }, (_, r) => new Float64Array(extent).fill(1 + r / 8));
  const plain = await kernel(() => sums, n);
  const extreme = await kernel(() => chain(max(), sum()), n);
  const spread = await kernel(() => chain(variance(), sum()), n);
  const matrix = await kernel((extent) => chain(weightedSum(matrixOf(extent)), sum()), Math.max(LEAVES.least, n / OUTPUTS));
  const nsPerNode = { sum: plain.node, extreme: extreme.node, variance: spread.node, matrix: matrix.node / OUTPUTS };
  /** Nanoseconds for a leaf of a sum, of another dtype or in another place. */
  const leafOf = async (dtype: Dtype, where?: Leaves["where"]): Promise<number> =>
    Math.max(0, rate((await shortest(sums, rows(n, LONG, dtype, where))) - fixedMs, n) - plain.node / LONG);
  const foreign = await leafOf("f32", "foreign array");

  if (leaves === "f32") {
    const resident = Math.min(plain.leaf, await leafOf("f32", "device"));
    const wide = await leafOf("f64");
    const move = (plain.leaf - resident) / 4;
    const own = (ns: number): number => Math.max(0, ns - plain.leaf);
    return {
      fixedMs,
      nsPerByte: resident / 4,
      nsPerOperation: { sum: 0, extreme: own(extreme.leaf), variance: own(spread.leaf), matrix: own(matrix.leaf) / OUTPUTS },
      nsPerNode,
      moveNsPerByte: { "engine memory": move, "foreign array": Math.max(move, (foreign - resident) / 4) },
      convertNsPerLeaf: Math.max(0, wide - resident - 8 * move),
    };
  }
  // Bytes and operations told apart: leaves of one byte need as many operations.
  const narrow = Math.min(plain.leaf, await leafOf("u8"));
  const nsPerByte = (plain.leaf - narrow) / 3;
  const own = (ns: number): number => Math.max(0, ns - 4 * nsPerByte);
  return {
    fixedMs,
    nsPerByte,
    nsPerOperation: { sum: own(plain.leaf), extreme: own(extreme.leaf), variance: own(spread.leaf), matrix: own(matrix.leaf) / OUTPUTS },
    nsPerNode,
    moveNsPerByte: { "engine memory": 0, "foreign array": Math.max(0, (foreign - plain.leaf) / 4) },
    convertNsPerLeaf: 0,
  };
}

/** Nanoseconds for one thing. */
function rate(ms: number, things: number): number {
  return Math.max(0, (ms * 1e6) / things);
}
