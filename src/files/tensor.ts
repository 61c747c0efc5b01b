/** The one door to tensors at rest: says by content, then by ending, what a path holds, and opens it. The formats have files of their own. */
import { readSync, type Stats } from "node:fs";
import { stat } from "node:fs/promises";
import { checkNames, FourfoldError, nearest, show } from "../errors.ts";
import type { TensorSource } from "../types.ts";
import { type ArrowTensorOptions, openArrowTensor } from "./arrow-tensor.ts";
import type { FileDtype, Int64Policy } from "./items.ts";
import { openNpy } from "./npy.ts";
import { openNpz } from "./npz.ts";
import { openRaw } from "./raw.ts";
import { cannotOpen, openFile, unreadable } from "./reading.ts";
import { openZarr } from "./zarr.ts";

/** How a tensor is opened. What does not concern a format is refused there. */
export interface TensorOptions {
  /** The format; left out, it is told from the content and the ending. */
  readonly format?: TensorFormat | undefined;
  /** NPZ and Zarr: the name of the array. May be left out where there is only one. */
  readonly array?: string | undefined;
  /** Arrow: the name of the column. May be left out where there is only one. */
  readonly column?: string | undefined;
  /** Raw files: row-major extents, outermost first. With `dtype`, it says that the file is raw. */
  readonly shape?: readonly number[] | undefined;
  /** Raw files: the type of an item in the file. */
  readonly dtype?: FileDtype | undefined;
  /** Raw files: bytes before the first item. Default 0. */
  readonly offsetBytes?: number | undefined;
  /** Raw files. Default `"little"`. */
  readonly byteOrder?: "little" | "big" | undefined;
  /** What is done with 64-bit integers: an error beyond ±2^53 (the default), the nearest float64, or the type is refused. */
  readonly int64?: Int64Policy | undefined;
  /** Bytes of decoded items that the source may keep between reads. Default 2^26, for Zarr 2^28. */
  readonly memoryBytesMax?: number | undefined;
  /** NPZ: whether the CRC-32 of the array is compared when it is opened. Default false. */
  readonly verify?: boolean | undefined;
}

/** A format that {@link openTensor} knows. */
export type TensorFormat = "npy" | "npz" | "raw" | "zarr" | "arrow";

interface Format {
  /** The first bytes of every file; undefined where nothing in a file says what it is. */
  readonly magic: readonly string[];
  readonly endings: readonly string[];
  /** The options that concern it. */
  readonly options: readonly (keyof TensorOptions)[];
  open(path: string, options: TensorOptions): Promise<TensorSource>;
}

const FORMATS: Readonly<Record<TensorFormat, Format>> = {
  npy: { magic: ["\x93NUMPY"], endings: [".npy"], options: ["int64", "memoryBytesMax"], open: openNpy },
  npz: {
    magic: ["PK\x03\x04", "PK\x05\x06"],
    endings: [".npz"],
    options: ["array", "int64", "memoryBytesMax", "verify"],
    open: openNpz,
  },
  arrow: {
    magic: ["ARROW1", "\xff\xff\xff\xff"], // a file, a stream
    endings: [".arrow", ".arrows", ".feather", ".ipc"],
    options: ["column", "int64", "memoryBytesMax"],
    open: (path, options) => openArrowTensor(path, options as ArrowTensorOptions),
  },
  zarr: { magic: [], endings: [".zarr"], options: ["array", "int64", "memoryBytesMax"], open: openZarr },
  raw: {
    magic: [],
    endings: [],
    options: ["shape", "dtype", "offsetBytes", "byteOrder", "int64"],
    open: (path, options) => openRaw(path, options as Parameters<typeof openRaw>[1]),
  },
};
const NAMES = Object.keys(FORMATS) as TensorFormat[];
const OPTIONS: readonly string[] = ["format", ...new Set(NAMES.flatMap((name) => FORMATS[name].options))];
const MAGIC_BYTES = Math.max(...NAMES.flatMap((name) => FORMATS[name].magic.map(({ length }) => length)));

/**
 * Opens a tensor of any size: an NPY file, an array of an NPZ file or of a Zarr folder, a column of an Arrow file or stream, or a raw file
 * whose `shape` and `dtype` are given.
 * An engine runs a chain on it without holding it all; {@link TensorSource} says what is a view of the file and what is decoded. Close it
 * after the last use.
 *
 * @throws FourfoldError ERR_FOURFOLD_SOURCE (not there, cannot be read, or zarrita is not installed), ERR_FOURFOLD_FORMAT (damaged, or of no
 * known format), ERR_FOURFOLD_ARGUMENT (an option that does not fit), ERR_FOURFOLD_DTYPE, ERR_FOURFOLD_MEMORY
 * @example
 * const x = await openTensor("x.npy");
 * const w = await openTensor("model.npz", { array: "weights" });
 * const l = await openTensor("readings.arrow", { column: "readings" }); // lists are ragged levels
 * const t = await openTensor("era5.zarr", { array: "t2m" });
 * const r = await openTensor("x.bin", { shape: [1000, 64], dtype: "f32" });
 * const row = new Float32Array(64);
 * await r.read(row, 7 * 64);
 * await r.close();
 */
export async function openTensor(path: string, options: TensorOptions = {}): Promise<TensorSource> {
  if (typeof path !== "string")
    throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `openTensor takes a path, given ${show(path)}`, { given: path });
  checkNames("openTensor", options, OPTIONS);
  const { format: named, ...rest } = options;
  if (named !== undefined && !NAMES.includes(named)) {
    const meant = typeof named === "string" ? nearest(named, NAMES) : undefined;
    throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `openTensor: there is no format ${show(named)}`, {
      given: named,
      expected: NAMES,
      fix: meant === undefined ? `The formats are ${NAMES.join(", ")}` : `Did you mean "${meant}"?`,
    });
  }
  const format = named ?? (options.shape !== undefined && options.dtype !== undefined ? "raw" : await recognised(path));
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  const foreign = Object.keys(given).find((key) => !(FORMATS[format].options as readonly string[]).includes(key));
  if (foreign !== undefined)
    throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `${path}: the option "${foreign}" does not concern ${format}`, {
      given: foreign,
      expected: FORMATS[format].options,
      at: { file: path },
      fix:
        format === "raw" || foreign === "array" || foreign === "verify"
          ? "Leave it out"
          : "Leave it out, or give shape and dtype for a raw file",
    });
  return FORMATS[format].open(path, given);
}

async function recognised(path: string): Promise<TensorFormat> {
  let stats: Stats;
  try {
    stats = await stat(path);
  } catch (cause) {
    throw cannotOpen(path, cause);
  }
  if (stats.isDirectory()) return "zarr";
  const head = await firstBytes(path);
  const format =
    NAMES.find((name) => FORMATS[name].magic.some((magic) => head.startsWith(magic))) ??
    NAMES.find((name) => FORMATS[name].endings.some((ending) => path.toLowerCase().endsWith(ending)));
  if (format === undefined)
    throw new FourfoldError("ERR_FOURFOLD_FORMAT", `${path} is of no format that is known here`, {
      given: head,
      expected: NAMES,
      at: { file: path },
      fix: "For a raw file, give shape and dtype",
    });
  return format;
}

function firstBytes(path: string): Promise<string> {
  return openFile(path, async (handle) => {
    const bytes = Buffer.alloc(MAGIC_BYTES);
    try {
      return bytes.toString("latin1", 0, readSync(handle.fd, bytes, 0, bytes.length, 0));
    } catch (error) {
      throw unreadable(path, error);
    } finally {
      await handle.close();
    }
  });
}
