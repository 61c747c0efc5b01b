/**
 * NPZ: a ZIP archive of NPY files, as numpy.savez and savez_compressed write them. A stored member is read where it lies, like an NPY file
 * of its own; a deflated one is unpacked on the way, as a stream. The archive is zip.ts, the header npy-header.ts.
 */
import type { FileHandle } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { checkNames, FourfoldError, nearest, show, throwIfAborted } from "../errors.ts";
import type { Dtype, TensorSource, TypedData } from "../types.ts";
import { boxesOf, columnMajorStrides, copyBox, rowMajorStrides } from "./boxes.ts";
import { type Flat, FlatSource } from "./flat.ts";
import { Holds } from "./holds.ts";
import { InflatedMember } from "./inflate.ts";
import { ARRAY_OF, BYTES_OF, decodeItems, type Int64Policy, type Items, int64Policy, isPlain } from "./items.ts";
import { NPY_HEAD_BYTES, type NpyHeader, parseNpyHeader } from "./npy-header.ts";
import { checkTarget, memoryLimit, openFile, readBytes } from "./reading.ts";
import { DEFLATED, damagedZip, memberStart, readZipDirectory, STORED, type ZipMember } from "./zip.ts";

/** Bytes of items that are unpacked between two looks at the signal. */
const PIECE_BYTES = 1 << 20;

/** How an NPZ file is opened. */
export interface NpzOptions {
  /** The name of the array. May be left out where there is only one. */
  readonly array?: string | undefined;
  /** What is done with 64-bit integers. Default `"exact"`. */
  readonly int64?: Int64Policy | undefined;
  /**
   * Bytes of decoded items kept while Fortran order is turned into C order: bands of a stored array, all of a deflated one. Default 2^26.
   */
  readonly memoryBytesMax?: number | undefined;
  /**
   * Whether the whole member is read once and its CRC-32 compared when it is opened. Default false: a deflated member is checked whenever
   * it has been read to its end, a stored one is not, since workers read parts of it for themselves.
   */
  readonly verify?: boolean | undefined;
}

const OPTIONS = ["array", "int64", "memoryBytesMax", "verify"] as const;

/**
 * Opens one array of an NPZ file. A stored array is as good as an NPY file. Of a deflated one, reading on is quick, and going back starts
 * the unpacking again.
 *
 * @throws FourfoldError ERR_FOURFOLD_SOURCE (no such file), ERR_FOURFOLD_ARGUMENT (no such array, or several and none named),
 * ERR_FOURFOLD_FORMAT (damaged), ERR_FOURFOLD_DTYPE, ERR_FOURFOLD_MEMORY (deflated in Fortran order, beyond `memoryBytesMax`)
 * @example
 * const w = await openNpz("model.npz", { array: "weights" });
 */
export async function openNpz(path: string, options: NpzOptions = {}): Promise<TensorSource> {
  checkNames("openNpz", options, OPTIONS);
  const int64 = int64Policy(options.int64);
  const memoryBytesMax = memoryLimit(options.memoryBytesMax);
  return openFile(path, async (handle, { size }) => {
    const member = chosen(await readZipDirectory(handle, path, size), options.array, path);
    const name = `${path}:${arrayName(member)}`;
    const start = await memberStart(handle, path, member);
    const head = Buffer.alloc(Math.min(member.size, NPY_HEAD_BYTES));
    const inflated = member.method === DEFLATED ? new InflatedMember(handle, path, member, start) : undefined;
    try {
      if (inflated === undefined) await readBytes(handle, path, head, start);
      else await inflated.read(head, 0, undefined);
      const { header, items } = parseNpyHeader(head, member.size, name, int64);
      if (options.verify === true) await (inflated === undefined ? checkStored(handle, path, member, start) : inflated.check());
      const { shape, length, fortranOrder } = header;
      const flat = { handle, path, name, at: start + header.dataStart, shape, length, items, fortranOrder, memoryBytesMax };
      return inflated === undefined ? new FlatSource(flat) : new DeflatedSource(flat, header, inflated);
    } catch (error) {
      await inflated?.close();
      throw error;
    }
  });
}

/** `weights` of `weights.npy`. */
function arrayName({ name }: ZipMember): string {
  return name.endsWith(".npy") ? name.slice(0, -4) : name;
}

function chosen(members: readonly ZipMember[], array: string | undefined, path: string): ZipMember {
  const names = members.map(arrayName);
  const list = names.length === 0 ? "it has none" : `it has ${names.slice(0, 8).join(", ")}${names.length > 8 ? ", …" : ""}`;
  const refuse = (what: string, fix: string): never => {
    throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `${path}: ${what}`, {
      given: array,
      expected: names.slice(0, 64),
      fix,
      at: { file: path },
    });
  };
  if (array === undefined && members.length !== 1)
    return refuse(
      `${members.length} arrays, and none is named`,
      members.length === 0 ? "Save one" : `Name one with the option array; ${list}`,
    );
  const wanted = array ?? names[0]!;
  const found = members.filter(({ name }, i) => names[i] === wanted || name === wanted);
  if (found.length > 1)
    throw new FourfoldError("ERR_FOURFOLD_FORMAT", `${path} has ${found.length} arrays ${show(wanted)}`, {
      given: wanted,
      at: { file: path },
    });
  const member = found[0];
  if (member === undefined) {
    const meant = typeof array === "string" ? nearest(array, names) : undefined;
    return refuse(`there is no array ${show(array)}`, meant === undefined ? list.replace(/^i/, "I") : `Did you mean "${meant}"?`);
  }
  if (member.encrypted) throw damagedZip(path, member.at, `array ${show(wanted)} is encrypted, which is not read`);
  if (member.method !== STORED && member.method !== DEFLATED)
    throw damagedZip(path, member.at, `array ${show(wanted)} is packed by method ${member.method}, which is not read`, {
      given: member.method,
      expected: "0 (stored) or 8 (deflated)",
    });
  return member;
}

async function checkStored(handle: FileHandle, path: string, { name, size, crc32: expected }: ZipMember, start: number): Promise<void> {
  const piece = Buffer.alloc(Math.min(PIECE_BYTES, size));
  let sum = 0;
  for (let at = 0; at < size; at += piece.length) {
    const part = piece.subarray(0, Math.min(piece.length, size - at));
    await readBytes(handle, path, part, start + at);
    sum = crc32(part, sum);
  }
  if (sum !== expected)
    throw damagedZip(path, start, `member ${show(name)} is damaged: its CRC-32 is not the directory's`, { given: sum, expected });
}

/** An array that is unpacked while it is read. Reads wait for one another. */
class DeflatedSource implements TensorSource {
  readonly kind = "fourfold.tensor";
  readonly name: string;
  readonly dtype: Dtype;
  readonly length: number;
  readonly shape: readonly number[];
  readonly offsets = undefined;
  readonly segments = undefined;
  readonly #holds: Holds;
  readonly #items: Items;
  readonly #dataStart: number;
  readonly #inflated: InflatedMember;
  readonly #fortranOrder: boolean;
  /** All items in the order of the file, where that is Fortran's, after the first read. */
  #whole: TypedData | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor({ handle, path, name, shape, length, items, memoryBytesMax }: Flat, header: NpyHeader, inflated: InflatedMember) {
    this.name = name;
    this.dtype = header.dtype;
    this.length = length;
    this.shape = shape;
    this.#holds = new Holds(name, async () => {
      this.#whole = undefined;
      await inflated.close();
      await handle.close();
    });
    this.#items = items;
    this.#dataStart = header.dataStart;
    this.#inflated = inflated;
    this.#fortranOrder = header.fortranOrder && shape.filter((extent) => extent !== 1).length > 1 && length > 0;
    const bytes = length * BYTES_OF[header.dtype];
    if (this.#fortranOrder && bytes > memoryBytesMax)
      throw new FourfoldError(
        "ERR_FOURFOLD_MEMORY",
        `${name} is deflated in Fortran order: to read its rows all ${bytes} bytes must be held, ${memoryBytesMax} are allowed`,
        {
          given: bytes,
          expected: memoryBytesMax,
          fix: "Raise memoryBytesMax, or save it with numpy.savez, or in C order: np.ascontiguousarray(a)",
          at: { file: path },
        },
      );
  }

  async read(target: TypedData, first: number, { signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    checkTarget(this, target, first);
    await this.#holds.during(() => {
      const work = this.#last.then(() => (this.#fortranOrder ? this.#rows(target, first, signal) : this.#unpack(target, first, signal)));
      this.#last = work.catch(() => {});
      return work;
    });
  }

  async #unpack(target: TypedData, first: number, signal: AbortSignal | undefined): Promise<void> {
    const size = BYTES_OF[this.#items.type];
    const plain = isPlain(this.#items);
    const n = PIECE_BYTES / size;
    for (let done = 0; done < target.length; done += n) {
      throwIfAborted(signal);
      const piece = target.subarray(done, done + n);
      const byte = this.#dataStart + (first + done) * size;
      const bytes = plain ? new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength) : new Uint8Array(piece.length * size);
      await this.#inflated.read(bytes, byte, signal);
      // The byte that messages name is the array's own: there is none in the archive.
      if (!plain) decodeItems(bytes as Uint8Array<ArrayBuffer>, this.#items, piece, 0, { file: this.name, byte, item: first + done });
    }
  }

  async #rows(target: TypedData, first: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#whole === undefined) {
      const whole = new ARRAY_OF[this.dtype](this.length);
      await this.#unpack(whole, 0, signal);
      this.#whole = whole;
    }
    const source = columnMajorStrides(this.shape);
    const strides = rowMajorStrides(this.shape);
    for (const { from, to, at } of boxesOf(this.shape, first, target.length)) {
      const place = from.reduce((sum, index, axis) => sum + index * source[axis]!, 0);
      const extents = to.map((end, axis) => end - from[axis]!);
      copyBox({ items: this.#whole, at: place, strides: source }, { items: target, at, strides }, extents);
    }
  }

  hold(): () => void {
    return this.#holds.hold();
  }

  close(): Promise<void> {
    return this.#holds.close();
  }
}
