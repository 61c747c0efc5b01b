/**
 * NPY files, versions 1 to 3 (numpy.lib.format): one dense array, little endian, in C or Fortran order. A header is untrusted:
 * it must fit the file's real size before anything is allocated, and messages name the byte. No objects, no pickles.
 */

import { readSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { aborted, FourfoldError, show, throwIfAborted } from "../errors.ts";
import type { Dtype, Progress, TypedData } from "../types.ts";

/** NumPy's own limit (`max_header_size`): a header that is longer is not one. */
const HEADER_BYTES_MAX = 10_000;
/** NumPy's limit on dimensions since 2.0. */
const DIMENSIONS_MAX = 64;
/** Bytes read between two turns of the event loop: about a millisecond from the page cache. */
const PIECE_BYTES = 1 << 22;

const MAGIC = "\x93NUMPY";

/** How an item lies in the file; int64 becomes f64. */
type FileType = Dtype | "i64";
const BYTES_OF: Readonly<Record<FileType, number>> = { f64: 8, i64: 8, f32: 4, i32: 4, i16: 2, i8: 1, u8: 1 };
const TYPE_OF: Readonly<Record<string, FileType>> = { f8: "f64", f4: "f32", i8: "i64", i4: "i32", i2: "i16", i1: "i8", u1: "u8" };

/** What an NPY header says. */
export interface NpyHeader {
  readonly shape: readonly number[];
  /** Items in all: the product of the shape. */
  readonly length: number;
  /** The type the values are read as: f64 for int64. */
  readonly dtype: Dtype;
  /** The type string of the file, as NumPy writes it. */
  readonly descr: string;
  readonly fortranOrder: boolean;
  /** The byte at which the data start. */
  readonly dataStart: number;
}

/** How long reading is watched. */
export interface NpyOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

/** An open NPY file. */
export interface NpyFile extends NpyHeader {
  readonly path: string;
  /** Fills `target`, an array of `length` items of type `dtype`, in C order. `target` may be a view of shared or kernel memory. */
  readInto(target: TypedData, options?: NpyOptions): Promise<void>;
  close(): Promise<void>;
}

/** An array that was read. */
export interface NpyArray {
  readonly data: TypedData;
  readonly shape: readonly number[];
  readonly dtype: Dtype;
}

function formatError(
  path: string,
  byte: number,
  what: string,
  detail: { given?: unknown; expected?: unknown; fix?: string; code?: "ERR_FOURFOLD_FORMAT" | "ERR_FOURFOLD_DTYPE" } = {},
): FourfoldError {
  const { code = "ERR_FOURFOLD_FORMAT", ...rest } = detail;
  return new FourfoldError(code, `${path}: byte ${byte}: ${what}`, { ...rest, at: { file: path, index: byte } });
}

/** A value of a Python literal: what headers are made of. */
type Literal = string | number | boolean | Literal[];

/** Reads the dictionary of a header, which is a Python literal; nothing is evaluated. */
function parseHeader(text: string, path: string, start: number): Map<string, Literal> {
  const token = /\s*(?:('[^'\\\n]*'|"[^"\\\n]*")|(\d{1,20})L?|(True|False)|([{}()[\],:]))/y;
  let at = 0;
  const fail = (what: string): never => {
    throw formatError(path, start + at, what, { expected: "{'descr': …, 'fortran_order': …, 'shape': …}" });
  };
  const next = (): RegExpExecArray => {
    token.lastIndex = at;
    const match = token.exec(text);
    if (match === null) return fail("the header is not the dictionary that NumPy writes");
    at = token.lastIndex;
    return match;
  };
  const value = (match: RegExpExecArray, depth: number): Literal => {
    const [, quotedText, digits, truth, mark] = match;
    if (quotedText !== undefined) return quotedText.slice(1, -1);
    if (digits !== undefined) return Number(digits);
    if (truth !== undefined) return truth === "True";
    if ((mark !== "(" && mark !== "[") || depth > 4) return fail(`the header has ${show(mark)} where a value should be`);
    const close = mark === "(" ? ")" : "]";
    const items: Literal[] = [];
    for (;;) {
      const item = next();
      if (item[4] === close) return items;
      items.push(value(item, depth + 1));
      const after = next();
      if (after[4] === close) return items;
      if (after[4] !== ",") return fail("a comma is missing in the header");
    }
  };
  const result = new Map<string, Literal>();
  if (next()[4] !== "{") fail("the header is not a dictionary");
  for (;;) {
    const key = next();
    if (key[4] === "}") break;
    if (key[1] === undefined) fail("a key of the header is not a text");
    const name = (key[1] as string).slice(1, -1);
    if (result.has(name)) fail(`the header has the key ${show(name)} twice`);
    if (next()[4] !== ":") fail(`the key ${show(name)} of the header has no value`);
    result.set(name, value(next(), 0));
    const after = next();
    if (after[4] === "}") break;
    if (after[4] !== ",") fail("a comma is missing in the header");
  }
  if (text.slice(at).trim() !== "") fail("text follows the header's dictionary");
  for (const key of result.keys())
    if (!["descr", "fortran_order", "shape"].includes(key)) fail(`the header has the unknown key ${show(key)}`);
  return result;
}

/** The item type of a `descr`. */
function itemType(descr: Literal | undefined, path: string, start: number): FileType {
  const refuse = (what: string, fix: string): never => {
    throw formatError(path, start, what, { code: "ERR_FOURFOLD_DTYPE", given: descr, expected: "<f8 <f4 <i8 <i4 <i2 |i1 |u1", fix });
  };
  if (typeof descr !== "string")
    return refuse("a structured array is not one array of numbers", "Save one field: np.save(path, a['field'])");
  if (descr.startsWith(">"))
    return refuse(`the data are big endian (${show(descr)})`, `Save them little endian: np.save(path, a.astype('<${descr.slice(1)}'))`);
  const type = /^[<|=]/.test(descr) && Object.hasOwn(TYPE_OF, descr.slice(1)) ? TYPE_OF[descr.slice(1)] : undefined;
  if (type !== undefined) return type;
  const better = /[bu]/.test(descr) ? "a.astype('<f8')" : /O/.test(descr) ? "a.astype('<f8'), if it holds numbers" : "a.astype('<f4')";
  return refuse(`items of type ${show(descr)} are not reduced here`, `Convert them: ${better}`);
}

async function readHeader(handle: FileHandle, path: string): Promise<{ header: NpyHeader; type: FileType }> {
  const { size } = await handle.stat();
  const head = Buffer.alloc(12);
  const { bytesRead } = await handle.read(head, 0, 12, 0);
  if (bytesRead < 10 || head.toString("latin1", 0, 6) !== MAGIC)
    throw formatError(path, 0, "this is not an NPY file", {
      given: head.toString("latin1", 0, Math.min(6, bytesRead)),
      expected: MAGIC,
      fix: "Save it with numpy.save",
    });
  const major = head[6] as number;
  if (major < 1 || major > 3 || head[7] !== 0)
    throw formatError(path, 6, `NPY version ${major}.${head[7]} is not known`, { given: major, expected: "1.0, 2.0 or 3.0" });
  const start = major === 1 ? 10 : 12;
  if (bytesRead < start) throw formatError(path, bytesRead, "the file ends inside its header", { given: size });
  const length = major === 1 ? head.readUInt16LE(8) : head.readUInt32LE(8);
  if (length > HEADER_BYTES_MAX)
    throw formatError(path, 8, `the header claims ${length} bytes, at most ${HEADER_BYTES_MAX} are read`, {
      given: length,
      expected: HEADER_BYTES_MAX,
    });
  const dataStart = start + length;
  if (dataStart > size)
    throw formatError(path, size, `the file ends inside its header, which claims to end at byte ${dataStart}`, {
      given: size,
      expected: dataStart,
    });
  const text = Buffer.alloc(length);
  await handle.read(text, 0, length, start);
  const fields = parseHeader(text.toString(major === 3 ? "utf8" : "latin1"), path, start);
  const type = itemType(fields.get("descr"), path, start);
  const shape = fields.get("shape");
  const fortranOrder = fields.get("fortran_order");
  if (typeof fortranOrder !== "boolean")
    throw formatError(path, start, "the header's fortran_order is not True or False", { given: fortranOrder });
  if (!Array.isArray(shape) || shape.length > DIMENSIONS_MAX || !shape.every((extent) => typeof extent === "number"))
    throw formatError(path, start, "the header's shape is not a list of extents", {
      given: shape,
      expected: `up to ${DIMENSIONS_MAX} whole numbers`,
    });
  const count = shape.reduce((product, extent) => product * extent, 1);
  const bytes = count * BYTES_OF[type];
  if (!Number.isSafeInteger(bytes) || !shape.every(Number.isSafeInteger) || dataStart + bytes !== size)
    throw formatError(
      path,
      size,
      `shape (${shape.join(", ")}) of ${show(fields.get("descr"))} needs ${bytes} bytes from byte ${dataStart}, the file holds ${size - dataStart}`,
      {
        given: size - dataStart,
        expected: bytes,
        fix: "The file may be truncated: fetch or save it again",
      },
    );
  return {
    header: { shape, length: count, dtype: type === "i64" ? "f64" : type, descr: String(fields.get("descr")), fortranOrder, dataStart },
    type,
  };
}

/** Opens an NPY file and checks its header against its size. */
export async function openNpy(path: string): Promise<NpyFile> {
  let handle: FileHandle;
  try {
    handle = await open(path, "r");
  } catch (cause) {
    throw new FourfoldError("ERR_FOURFOLD_SOURCE", `${path} cannot be opened`, {
      cause,
      given: path,
      at: { file: path },
      fix: "Check the path",
    });
  }
  try {
    const { header, type } = await readHeader(handle, path);
    return {
      ...header,
      path,
      readInto: (target, options = {}) => fill(handle.fd, path, header, type, target, options),
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    if (error instanceof FourfoldError) throw error;
    throw new FourfoldError("ERR_FOURFOLD_SOURCE", `${path} cannot be read`, { cause: error, given: path, at: { file: path } });
  }
}

/**
 * Reads an NPY file whole.
 *
 * @example
 * const { data, shape } = await readNpy("x.npy");
 * await engine.run(index, { data, shape });
 */
export async function readNpy(path: string, options: NpyOptions & { readonly memoryBytesMax?: number } = {}): Promise<NpyArray> {
  const file = await openNpy(path);
  try {
    const bytes = file.length * BYTES_OF[file.dtype];
    if (options.memoryBytesMax !== undefined && bytes > options.memoryBytesMax)
      throw new FourfoldError("ERR_FOURFOLD_MEMORY", `${path} holds ${bytes} bytes, ${options.memoryBytesMax} are allowed`, {
        given: bytes,
        expected: options.memoryBytesMax,
        fix: "Raise memoryBytesMax",
        at: { file: path },
      });
    const data = new ARRAY_OF[file.dtype](file.length);
    await file.readInto(data, options);
    return { data, shape: file.shape, dtype: file.dtype };
  } finally {
    await file.close();
  }
}

const ARRAY_OF = { f64: Float64Array, f32: Float32Array, i32: Int32Array, i16: Int16Array, i8: Int8Array, u8: Uint8Array } as const;

/** Whether the items lie in the file as they will in memory: C order, or at most one extent that is not 1. */
function liesStraight({ fortranOrder, shape, length }: NpyHeader): boolean {
  return !fortranOrder || length === 0 || shape.filter((extent) => extent !== 1).length < 2;
}

async function fill(
  fd: number,
  path: string,
  header: NpyHeader,
  type: FileType,
  target: TypedData,
  { signal, onProgress }: NpyOptions,
): Promise<void> {
  const { length, dtype, dataStart } = header;
  if (!(target instanceof ARRAY_OF[dtype]) || target.length !== length)
    throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `${path} fills ${ARRAY_OF[dtype].name}(${length}), given ${show(target)}`, {
      given: show(target),
      expected: `${ARRAY_OF[dtype].name}(${length})`,
    });
  const size = BYTES_OF[type];
  const bytes = length * size;
  const direct = liesStraight(header) && type !== "i64";
  const piece = Math.floor(PIECE_BYTES / size) * size;
  const own = direct ? undefined : new ArrayBuffer(Math.min(piece, bytes));
  const order = liesStraight(header) ? undefined : new FortranOrder(header.shape);
  for (let at = 0; at < bytes; ) {
    throwIfAborted(signal);
    const want = Math.min(piece, bytes - at);
    const into = own === undefined ? new Uint8Array(target.buffer, target.byteOffset + at, want) : new Uint8Array(own, 0, want);
    for (let got = 0; got < want; ) {
      const n = readSync(fd, into, got, want - got, dataStart + at + got);
      if (n === 0)
        throw formatError(path, dataStart + at + got, "the file became shorter while it was read", { expected: dataStart + bytes });
      got += n;
    }
    if (own !== undefined) {
      const first = at / size;
      const items = type === "i64" ? narrowed(own, want / size, path, first, dataStart) : new ARRAY_OF[type](own, 0, want / size);
      if (order === undefined) target.set(items, first);
      else order.scatter(items, target);
    }
    at += want;
    onProgress?.({ done: at, total: bytes, unit: "bytes" });
    if (at < bytes) await new Promise((resolve) => setImmediate(resolve));
  }
  if (signal?.aborted) throw aborted(signal);
}

/** int64 as float64; what float64 cannot hold is an error. */
function narrowed(buffer: ArrayBuffer, n: number, path: string, first: number, dataStart: number): Float64Array {
  const words = new Int32Array(buffer, 0, 2 * n);
  const result = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const high = words[2 * i + 1]!;
    const low = words[2 * i]! >>> 0;
    // ±2^53 itself is exact: high words from -2^21 to 2^21, the upper end only with low 0.
    if (high < -0x200000 || high > 0x200000 || (high === 0x200000 && low !== 0))
      throw new FourfoldError("ERR_FOURFOLD_INTEGER", `${path}: item ${first + i} (byte ${dataStart + 8 * (first + i)}) is beyond 2^53`, {
        given: new BigInt64Array(buffer, 8 * i, 1)[0],
        expected: "integers from -2^53 to 2^53",
        at: { file: path, index: first + i },
        fix: "To accept rounding, save it as float64: a.astype('<f8')",
      });
    result[i] = high * 0x1_0000_0000 + low;
  }
  return result;
}

/** Walks a Fortran-order file (first index fastest) and knows each item's place in C order. */
class FortranOrder {
  readonly #shape: readonly number[];
  readonly #strides: number[];
  readonly #index: number[];
  #place = 0;

  constructor(shape: readonly number[]) {
    this.#shape = shape;
    this.#strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, extent) => product * extent, 1));
    this.#index = shape.map(() => 0);
  }

  scatter(items: ArrayLike<number>, target: TypedData): void {
    const shape = this.#shape;
    const strides = this.#strides;
    const index = this.#index;
    let place = this.#place;
    for (let i = 0; i < items.length; i++) {
      target[place] = items[i]!;
      for (let axis = 0; axis < shape.length; axis++) {
        place += strides[axis]!;
        if (++index[axis]! < shape[axis]!) break;
        place -= strides[axis]! * shape[axis]!;
        index[axis] = 0;
      }
    }
    this.#place = place;
  }
}
