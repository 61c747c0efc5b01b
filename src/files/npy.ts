/**
 * NPY files: one dense array, of any type that items.ts reads, in C or Fortran order. The header is npy-header.ts; reading the items is
 * flat.ts.
 */
import { checkNames, FourfoldError, show } from "../errors.ts";
import type { Dtype, Progress, TensorSource, TypedData } from "../types.ts";
import { type Flat, FlatSource, wholeArray } from "./flat.ts";
import { ARRAY_OF, type Int64Policy, int64Policy } from "./items.ts";
import { NPY_HEAD_BYTES, type NpyHeader, parseNpyHeader } from "./npy-header.ts";
import { memoryLimit, openFile, readBytes } from "./reading.ts";

/** How long reading is watched. */
export interface NpyOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

/** How an NPY file is opened. */
export interface NpyOpenOptions {
  /** What is done with 64-bit integers. Default `"exact"`. */
  readonly int64?: Int64Policy | undefined;
  /** Bytes of decoded items kept while Fortran order is turned into C order. Default 2^26. */
  readonly memoryBytesMax?: number | undefined;
}

const OPTIONS = ["int64", "memoryBytesMax"] as const;

/** An open NPY file. */
export interface NpyFile extends NpyHeader, TensorSource {
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  readonly length: number;
  readonly path: string;
  /** Fills `target`, an array of `length` items of type `dtype`, in C order. `target` may be a view of shared or kernel memory. */
  readInto(target: TypedData, options?: NpyOptions): Promise<void>;
}

/** An array that was read. */
export interface NpyArray {
  readonly data: TypedData;
  readonly shape: readonly number[];
  readonly dtype: Dtype;
}

/**
 * Opens an NPY file and checks its header against its size. It is a {@link TensorSource}: an engine runs a chain on it without reading it
 * whole. Little-endian items of f64, f32, i32, i16, i8 and u8 in C order are its one segment; others are decoded by `read`.
 *
 * @throws FourfoldError ERR_FOURFOLD_SOURCE (no such file), ERR_FOURFOLD_FORMAT (damaged), ERR_FOURFOLD_DTYPE
 * @example
 * const file = await openNpy("x.npy");
 * const row = new Float32Array(file.shape[1]);
 * await file.read(row, 7 * row.length); // row 7
 * await file.close();
 */
export async function openNpy(path: string, options: NpyOpenOptions = {}): Promise<NpyFile> {
  checkNames("openNpy", options, OPTIONS);
  const int64 = int64Policy(options.int64);
  const memoryBytesMax = memoryLimit(options.memoryBytesMax);
  return openFile(path, async (handle, { size }) => {
    const head = Buffer.alloc(Math.min(size, NPY_HEAD_BYTES));
    await readBytes(handle, path, head, 0);
    const { header, items } = parseNpyHeader(head, size, path, int64);
    const { shape, length, fortranOrder, dataStart: at } = header;
    return new OpenNpy({ handle, path, name: path, at, shape, length, items, fortranOrder, memoryBytesMax }, header);
  });
}

class OpenNpy extends FlatSource implements NpyFile {
  readonly path: string;
  readonly descr: string;
  readonly fortranOrder: boolean;
  readonly dataStart: number;

  constructor(flat: Flat, header: NpyHeader) {
    super(flat);
    this.path = flat.path;
    this.descr = header.descr;
    this.fortranOrder = header.fortranOrder;
    this.dataStart = header.dataStart;
  }

  async readInto(target: TypedData, options: NpyOptions = {}): Promise<void> {
    const { dtype, length, path } = this;
    if (!(target instanceof ARRAY_OF[dtype]) || target.length !== length)
      throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `${path} fills ${ARRAY_OF[dtype].name}(${length}), given ${show(target)}`, {
        given: show(target),
        expected: `${ARRAY_OF[dtype].name}(${length})`,
      });
    await this.fill(target, 0, options);
  }
}

/**
 * Reads an NPY file whole.
 *
 * @throws FourfoldError as {@link openNpy}, and ERR_FOURFOLD_MEMORY above `memoryBytesMax`, ERR_FOURFOLD_INTEGER
 * @example
 * const { data, shape } = await readNpy("x.npy");
 * await engine.run(index, { data, shape });
 */
export async function readNpy(
  path: string,
  options: NpyOptions & { readonly int64?: Int64Policy; readonly memoryBytesMax?: number } = {},
): Promise<NpyArray> {
  const file = await openNpy(path, { int64: options.int64 });
  try {
    const data = wholeArray(file, options.memoryBytesMax);
    await file.readInto(data, options);
    return { data, shape: file.shape, dtype: file.dtype };
  } finally {
    await file.close();
  }
}
