// Writers of tensor files for tests, byte by byte from the formats' specifications, and independent of the readers: NPY (numpy.lib.format),
// ZIP (APPNOTE.TXT), Zarr 2 and 3 (storage specification 2, core 3.1, sharding 1.0).
import { crc32, deflateRawSync } from "node:zlib";
import { expect } from "vitest";
import type { FileDtype, TensorSource } from "../../src/files/index.ts";
import type { Dtype, TypedData } from "../../src/types.ts";
import type { Random } from "../random.ts";
import type { Folder } from "./fixture.ts";

/** How each type is written, what it is read as, and values of it at its edges. */
export const TYPES: readonly {
  readonly type: FileDtype;
  readonly numpy: string;
  readonly zarr: string;
  readonly dtype: Dtype;
  readonly bytes: number;
  readonly edges: readonly number[];
  write(view: DataView, at: number, value: number, little: boolean): void;
}[] = [
  {
    type: "f64",
    numpy: "f8",
    zarr: "float64",
    dtype: "f64",
    bytes: 8,
    edges: [Number.NaN, Number.POSITIVE_INFINITY, -0, 5e-324, 0.1],
    write: (view, at, value, little) => view.setFloat64(at, value, little),
  },
  {
    type: "f32",
    numpy: "f4",
    zarr: "float32",
    dtype: "f32",
    bytes: 4,
    edges: [Number.NaN, Number.NEGATIVE_INFINITY, -0, 2 ** -149, Math.fround(0.1)],
    write: (view, at, value, little) => view.setFloat32(at, value, little),
  },
  {
    type: "f16",
    numpy: "f2",
    zarr: "float16",
    dtype: "f32",
    bytes: 2,
    edges: [Number.NaN, Number.NEGATIVE_INFINITY, -0, 2 ** -24, 65504, -(2 ** -14), 1023 * 2 ** -24, 1 / 1024 + 1],
    write: (view, at, value, little) => view.setUint16(at, halfBits(value), little),
  },
  {
    type: "i64",
    numpy: "i8",
    zarr: "int64",
    dtype: "f64",
    bytes: 8,
    edges: [2 ** 53, -(2 ** 53), -1, 2 ** 32, -(2 ** 32) - 1],
    write: (view, at, value, little) => view.setBigInt64(at, BigInt(value), little),
  },
  {
    type: "u64",
    numpy: "u8",
    zarr: "uint64",
    dtype: "f64",
    bytes: 8,
    edges: [2 ** 53, 2 ** 32 - 1, 2 ** 32],
    write: (view, at, value, little) => view.setBigUint64(at, BigInt(value), little),
  },
  {
    type: "i32",
    numpy: "i4",
    zarr: "int32",
    dtype: "i32",
    bytes: 4,
    edges: [2 ** 31 - 1, -(2 ** 31), -1],
    write: (view, at, value, little) => view.setInt32(at, value, little),
  },
  {
    type: "u32",
    numpy: "u4",
    zarr: "uint32",
    dtype: "f64",
    bytes: 4,
    edges: [2 ** 32 - 1, 2 ** 31],
    write: (view, at, value, little) => view.setUint32(at, value, little),
  },
  {
    type: "i16",
    numpy: "i2",
    zarr: "int16",
    dtype: "i16",
    bytes: 2,
    edges: [32767, -32768, -1],
    write: (view, at, value, little) => view.setInt16(at, value, little),
  },
  {
    type: "u16",
    numpy: "u2",
    zarr: "uint16",
    dtype: "i32",
    bytes: 2,
    edges: [65535, 32768],
    write: (view, at, value, little) => view.setUint16(at, value, little),
  },
  { type: "i8", numpy: "i1", zarr: "int8", dtype: "i8", bytes: 1, edges: [127, -128], write: (view, at, value) => view.setInt8(at, value) },
  {
    type: "u8",
    numpy: "u1",
    zarr: "uint8",
    dtype: "u8",
    bytes: 1,
    edges: [255, 128],
    write: (view, at, value) => view.setUint8(at, value),
  },
  { type: "bool", numpy: "b1", zarr: "bool", dtype: "u8", bytes: 1, edges: [0, 1], write: (view, at, value) => view.setUint8(at, value) },
];

export type ItemType = (typeof TYPES)[number];

/** The type of that name. */
export const typeOf = (type: FileDtype): ItemType => TYPES.find((each) => each.type === type)!;

const ARRAYS = { f64: Float64Array, f32: Float32Array, i32: Int32Array, i16: Int16Array, i8: Int8Array, u8: Uint8Array };

/** An array of a type of ours. */
export const arrayOf = (dtype: Dtype, length: number): TypedData => new ARRAYS[dtype](length);

/** The bits of a value that a half can hold (IEEE 754 binary16), by way of float32's. */
function halfBits(value: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  const bits = view.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const exponent = ((bits >>> 23) & 255) - 127;
  const fraction = bits & 0x7fffff;
  if (exponent === 128) return sign | 0x7c00 | (fraction === 0 ? 0 : 0x200);
  if (exponent >= -14) return sign | ((exponent + 15) << 10) | (fraction >>> 13);
  return sign | Math.round(Math.abs(value) * 2 ** 24);
}

/** Random values of a type, some of them at its edges. */
export function valuesOf(type: ItemType, length: number, random: Random): TypedData {
  const plain: Record<string, () => number> = {
    f64: () => random.next() - 0.5,
    f32: () => Math.fround(random.next() - 0.5),
    f16: () => random.int(2048) * 2 ** (random.int(20) - 14),
    bool: () => random.int(2),
  };
  const next = plain[type.type] ?? (() => random.int(120));
  return arrayOf(type.dtype, length).map(() => (random.int(8) === 0 ? random.pick(type.edges) : next())) as TypedData;
}

/** Values as they lie in a file. */
export function bytesOf(type: ItemType, values: ArrayLike<number>, little = true): Buffer {
  const bytes = Buffer.alloc(values.length * type.bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let i = 0; i < values.length; i++) type.write(view, i * type.bytes, values[i]!, little);
  return bytes;
}

export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1);

/** The index of row-major item `i`. */
function indexOf(i: number, shape: readonly number[]): number[] {
  const index: number[] = [];
  let rest = i;
  for (const extent of shape.toReversed()) {
    index.unshift(rest % extent);
    rest = Math.floor(rest / extent);
  }
  return index;
}

/** Row-major values in the order of Fortran: the first index fastest. */
export function fortran<T extends TypedData>(values: T, shape: readonly number[]): T {
  const result = values.slice() as T;
  for (let i = 0; i < values.length; i++) {
    let place = 0;
    for (const [axis, at] of indexOf(i, shape).entries()) place += at * sizeOf(shape.slice(0, axis));
    result[place] = values[i]!;
  }
  return result;
}

/** An NPY file, version 1, its header padded to a multiple of 64. */
export function npyFile(descr: string, shape: readonly number[], data: Buffer, fortranOrder = false): Buffer {
  const list = `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
  const dict = `{'descr': '${descr}', 'fortran_order': ${fortranOrder ? "True" : "False"}, 'shape': ${list}, }`;
  const text = dict.padEnd(Math.ceil((10 + dict.length + 1) / 64) * 64 - 11);
  const head = Buffer.from(`\x93NUMPY\x01\x00..${text}\n`, "latin1");
  head.writeUInt16LE(text.length + 1, 8);
  return Buffer.concat([head, data]);
}

/** A member of an archive, with what may be wrong with it. */
export interface Member {
  readonly name: string;
  readonly data: Buffer;
  readonly method?: 0 | 8 | 12;
  readonly crc?: number;
  /** What the directory claims instead of the truth. */
  readonly size?: number;
  readonly packed?: number;
  readonly at?: number;
  readonly flags?: number;
  /** Bytes that lie there instead of the packed ones. */
  readonly body?: Buffer;
  readonly localName?: string;
}

/** A ZIP archive; with `zip64` every length stands in ZIP64 records. */
export function zipFile(members: readonly Member[], { zip64 = false, comment = "" }: { zip64?: boolean; comment?: string } = {}): Buffer {
  const parts: Buffer[] = [];
  const central: Buffer[] = [];
  let at = 0;
  for (const { name, data, method = 0, localName = name, flags = 0, ...lies } of members) {
    const body = lies.body ?? (method === 8 ? deflateRawSync(data) : data);
    const crc = lies.crc ?? crc32(data);
    const [size, packed, place] = [lies.size ?? data.length, lies.packed ?? body.length, lies.at ?? at];
    const extra = Buffer.alloc(7, 0xee); // of an unknown kind, with three bytes
    extra.writeUInt16LE(0xcafe, 0);
    extra.writeUInt16LE(3, 2);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(method, 8);
    local.writeUInt32LE(crc, 14);
    local.writeUInt32LE(body.length, 18);
    local.writeUInt32LE(data.length, 22);
    local.writeUInt16LE(localName.length, 26);
    local.writeUInt16LE(extra.length, 28);
    parts.push(local, Buffer.from(localName), extra, body);
    const wide = Buffer.alloc(zip64 ? 28 : 0);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(flags, 8);
    entry.writeUInt16LE(method, 10);
    entry.writeUInt32LE(crc, 16);
    entry.writeUInt32LE(zip64 ? 0xffff_ffff : packed, 20);
    entry.writeUInt32LE(zip64 ? 0xffff_ffff : size, 24);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt16LE(wide.length, 30);
    entry.writeUInt32LE(zip64 ? 0xffff_ffff : place, 42);
    if (zip64) {
      wide.writeUInt16LE(1, 0);
      wide.writeUInt16LE(24, 2);
      for (const [i, value] of [size, packed, place].entries()) wide.writeBigUInt64LE(BigInt(value), 4 + 8 * i);
    }
    central.push(entry, Buffer.from(name), wide);
    at += local.length + localName.length + extra.length + body.length;
  }
  const directory = Buffer.concat(central);
  const end64 = Buffer.alloc(zip64 ? 76 : 0);
  if (zip64) {
    end64.writeUInt32LE(0x06064b50, 0);
    end64.writeBigUInt64LE(44n, 4);
    end64.writeBigUInt64LE(BigInt(members.length), 24);
    end64.writeBigUInt64LE(BigInt(members.length), 32);
    end64.writeBigUInt64LE(BigInt(directory.length), 40);
    end64.writeBigUInt64LE(BigInt(at), 48);
    end64.writeUInt32LE(0x07064b50, 56);
    end64.writeBigUInt64LE(BigInt(at + directory.length), 64);
    end64.writeUInt32LE(1, 72);
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(zip64 ? 0xffff : members.length, 8);
  end.writeUInt16LE(zip64 ? 0xffff : members.length, 10);
  end.writeUInt32LE(zip64 ? 0xffff_ffff : directory.length, 12);
  end.writeUInt32LE(zip64 ? 0xffff_ffff : at, 16);
  end.writeUInt16LE(comment.length, 20);
  return Buffer.concat([...parts, directory, end64, end, Buffer.from(comment)]);
}

/** What a Zarr array is made of. */
export interface ZarrSpec {
  readonly type: ItemType;
  readonly shape: readonly number[];
  readonly chunks: readonly number[];
  readonly values: TypedData;
  readonly fill?: unknown;
  readonly little?: boolean;
  /** The order of items in a chunk, slowest axis first. */
  readonly order?: readonly number[];
  /** Packs the bytes of a chunk. */
  readonly pack?: (bytes: Buffer) => Buffer;
  /** Chunks that are not written. */
  readonly missing?: (coordinates: readonly number[]) => boolean;
}

/** The coordinates of all chunks. */
export function chunksOf(shape: readonly number[], chunks: readonly number[]): number[][] {
  const counts = shape.map((extent, axis) => Math.ceil(extent / chunks[axis]!));
  return Array.from({ length: sizeOf(counts) }, (_, i) => indexOf(i, counts));
}

/** The bytes of one chunk: its items in its order, and beyond the array's edge the largest number that there is. */
export function chunkBytes(spec: ZarrSpec, coordinates: readonly number[]): Buffer {
  const { type, shape, chunks, values, little = true, order = chunks.map((_, axis) => axis), pack = (bytes) => bytes } = spec;
  const bytes = Buffer.alloc(sizeOf(chunks) * type.bytes, 0xff);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let i = 0; i < sizeOf(chunks); i++) {
    const within = indexOf(
      i,
      order.map((axis) => chunks[axis]!),
    );
    let item = 0;
    let inside = true;
    for (let axis = 0; axis < shape.length; axis++) {
      const index = coordinates[axis]! * chunks[axis]! + within[order.indexOf(axis)]!;
      inside &&= index < shape[axis]!;
      item = item * shape[axis]! + index;
    }
    if (inside) type.write(view, i * type.bytes, values[item]!, little);
  }
  return pack(bytes);
}

/** Writes an array of version 2. */
export function zarr2(folder: Folder, name: string, spec: ZarrSpec, fields: Readonly<Record<string, unknown>> = {}): string {
  const { type, shape, chunks, little = true, fill = null, order } = spec;
  const separator = (fields["dimension_separator"] as string | undefined) ?? ".";
  const document = {
    zarr_format: 2,
    shape,
    chunks,
    dtype: `${type.bytes === 1 ? "|" : little ? "<" : ">"}${type.numpy}`,
    compressor: null,
    fill_value: fill,
    order: order === undefined ? "C" : "F",
    filters: null,
    ...fields,
  };
  folder.file(`${name}/.zarray`, JSON.stringify(document));
  for (const coordinates of chunksOf(shape, chunks))
    if (spec.missing?.(coordinates) !== true) folder.file(`${name}/${coordinates.join(separator) || "0"}`, chunkBytes(spec, coordinates));
  return `${folder.path}/${name}`;
}

/** Writes an array of version 3; `codecs` are those behind `bytes`. */
export function zarr3(
  folder: Folder,
  name: string,
  spec: ZarrSpec,
  codecs: readonly unknown[] = [],
  fields: Readonly<Record<string, unknown>> = {},
): string {
  const { type, shape, chunks, little = true, fill = 0, order } = spec;
  const transpose = order === undefined ? [] : [{ name: "transpose", configuration: { order } }];
  const document = {
    zarr_format: 3,
    node_type: "array",
    shape,
    data_type: type.zarr,
    chunk_grid: { name: "regular", configuration: { chunk_shape: chunks } },
    chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
    fill_value: fill,
    codecs: [...transpose, { name: "bytes", configuration: { endian: little ? "little" : "big" } }, ...codecs],
    attributes: { units: "K" },
    ...fields,
  };
  folder.file(`${name}/zarr.json`, JSON.stringify(document));
  for (const coordinates of chunksOf(shape, chunks))
    if (spec.missing?.(coordinates) !== true) folder.file(`${name}/${["c", ...coordinates].join("/")}`, chunkBytes(spec, coordinates));
  return `${folder.path}/${name}`;
}

/** The bytes of values, to compare: every bit counts, but all NaNs are one. */
const bits = (values: TypedData): Buffer => {
  const same = values.map((value) => (Number.isNaN(value) ? Number.NaN : value)) as TypedData;
  return Buffer.from(same.buffer, same.byteOffset, same.byteLength);
};

/** Reads a source whole and in random pieces, forwards, backwards and empty, into memory at odd places, and compares with `expected`. */
export async function expectReads(source: TensorSource, expected: TypedData, random: Random, pieces = 12): Promise<void> {
  expect([source.kind, source.length, source.offsets]).toEqual(["fourfold.tensor", expected.length, undefined]);
  expect(sizeOf(source.shape!)).toBe(expected.length);
  const whole = arrayOf(source.dtype, expected.length);
  await source.read(whole, 0);
  expect(bits(whole).equals(bits(expected)), `${source.name} as a whole`).toBe(true);
  let at = 0;
  for (let i = 0; i < pieces; i++) {
    const first = i % 3 === 0 ? Math.min(at, expected.length) : random.int(expected.length + 1);
    const n = random.int(Math.min(expected.length - first, i % 2 === 0 ? 40 : expected.length) + 1);
    const room = arrayOf(source.dtype, n + 2);
    const Shared = room.constructor as Float64ArrayConstructor;
    const target = i % 4 === 1 ? (new Shared(new SharedArrayBuffer(room.byteLength)) as TypedData) : room;
    await source.read(target.subarray(1, n + 1), first);
    expect(bits(target.slice(1, n + 1)).equals(bits(expected.slice(first, first + n))), `${source.name} from ${first}, ${n} items`).toBe(
      true,
    );
    expect([target[0], target[n + 1]]).toEqual([0, 0]);
    at = first + n;
  }
}
