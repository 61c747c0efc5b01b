// Tables of Apache Arrow with random nestings, nulls, batches and slices, their bytes in both formats, and what Arrow itself reads in them:
// the oracle of tests that read the same bytes with our own reader.

import zlib from "node:zlib";
import {
  Bool,
  CompressionType,
  compressionRegistry,
  type DataType,
  Field,
  FixedSizeList,
  Float16,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  LargeList,
  List,
  makeData,
  RecordBatch,
  RecordBatchFileWriter,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  Table,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Vector,
} from "apache-arrow";
import { compressFrameSync, decompressFrameSync } from "lz4-napi";
import type { Random } from "../random.ts";

/** A level of lists: 0 is a List, -1 a LargeList, anything else the size of a FixedSizeList. */
export type Level = number;

export interface ColumnCase {
  readonly levels: readonly Level[];
  readonly leaf: DataType;
  readonly vector: Vector;
}

export const LEAVES: readonly DataType[] = [
  new Float64(),
  new Float32(),
  new Float16(),
  new Int8(),
  new Int16(),
  new Int32(),
  new Int64(),
  new Uint8(),
  new Uint16(),
  new Uint32(),
  new Uint64(),
  new Bool(),
];

export function typeOf(levels: readonly Level[], leaf: DataType): DataType {
  return levels.reduceRight<DataType>((type, size) => {
    const child = new Field("item", type, true);
    return size === 0 ? new List(child) : size < 0 ? new LargeList(child) : new FixedSizeList(size, child);
  }, leaf);
}

/** A value of a leaf, as JavaScript has it. */
function leafValues(random: Random, leaf: DataType, n: number): object {
  const draw = (low: number, high: number) => low + Math.floor(random.next() * (high - low));
  const fill = <T extends { [i: number]: unknown }>(array: T, next: () => unknown): T => {
    for (let i = 0; i < n; i++) array[i] = next();
    return array;
  };
  if (leaf instanceof Float64)
    return fill(new Float64Array(n), () => random.pick([-0, 1.5, Number.NaN, 1e300, (random.next() - 0.5) * 1e6]));
  if (leaf instanceof Float32)
    return fill(new Float32Array(n), () => random.pick([-0, 0.1, Number.POSITIVE_INFINITY, random.next() * 100]));
  if (leaf instanceof Float16) return fill(new Uint16Array(n), () => draw(0, 0x7c00) | (random.int(2) << 15));
  if (leaf instanceof Int8) return fill(new Int8Array(n), () => draw(-128, 128));
  if (leaf instanceof Int16) return fill(new Int16Array(n), () => draw(-32768, 32768));
  if (leaf instanceof Int32) return fill(new Int32Array(n), () => draw(-(2 ** 31), 2 ** 31));
  if (leaf instanceof Int64)
    return fill(new BigInt64Array(n), () => random.pick([-1n, 2n ** 53n, -(2n ** 53n), BigInt(draw(-(2 ** 40), 2 ** 40))]));
  if (leaf instanceof Uint8) return fill(new Uint8Array(n), () => draw(0, 256));
  if (leaf instanceof Uint16) return fill(new Uint16Array(n), () => draw(0, 65536));
  if (leaf instanceof Uint32) return fill(new Uint32Array(n), () => draw(0, 2 ** 32));
  if (leaf instanceof Uint64) return fill(new BigUint64Array(n), () => random.pick([0n, 2n ** 53n, BigInt(draw(0, 2 ** 50))]));
  return fill(new Uint8Array(Math.ceil(n / 8) + 1), () => random.int(256));
}

function bitmap(random: Random, n: number): { nullBitmap: Uint8Array; nullCount: number } {
  const nullBitmap = new Uint8Array(Math.ceil(n / 8) + 1);
  let nullCount = 0;
  for (let i = 0; i < n; i++) {
    if (random.int(5) === 0) nullCount++;
    else nullBitmap[i >> 3]! |= 1 << (i & 7);
  }
  return { nullBitmap, nullCount };
}

type ChildData = ReturnType<typeof makeData>;

/** Data of `n` nodes. Lists begin anywhere in their children, and null ones may have some. */
function dataOf(random: Random, levels: readonly Level[], leaf: DataType, n: number, nulls: boolean): ChildData {
  const missing = nulls && random.int(2) === 0 ? bitmap(random, n) : {};
  const type = typeOf(levels, leaf);
  if (levels.length === 0) return makeData({ type, length: n, data: leafValues(random, leaf, n), ...missing } as never);
  const [size = 0, ...inner] = levels;
  if (size > 0) return makeData({ type, length: n, child: dataOf(random, inner, leaf, n * size, nulls), ...missing } as never);
  const ends = new Int32Array(n + 1);
  ends[0] = random.int(3);
  for (let i = 0; i < n; i++) ends[i + 1] = ends[i]! + random.pick([0, 1, 2, 3, random.int(6)]);
  const child = dataOf(random, inner, leaf, ends[n]! + random.int(3), nulls);
  const valueOffsets = size === 0 ? ends : BigInt64Array.from(ends, BigInt);
  return makeData({ type, length: n, valueOffsets, child, ...missing } as never);
}

/** A column of a few batches, some of them slices, some empty. */
export function randomColumn(random: Random, levels: readonly Level[], leaf: DataType, nulls: boolean): ColumnCase {
  const chunks = Array.from({ length: 1 + random.int(4) }, () => {
    const n = random.pick([0, 1, 5, 30]);
    const data = dataOf(random, levels, leaf, n, nulls);
    if (n < 3 || random.int(2) === 0) return data;
    const start = random.int(n - 1);
    return data.slice(start, random.int(n - start));
  });
  return { levels, leaf, vector: new Vector(chunks) };
}

export type Format = "file" | "stream";
/** As many bytes as an empty frame may claim. */
const SOME_BYTES = 100_000;

export type Codec = "lz4" | "zstd" | undefined;

/** The bytes of a table with the column, and another beside it. */
export function bytesOf({ vector }: { readonly vector: Vector }, format: Format, codec?: Codec): Uint8Array {
  const schema = new Schema([new Field("other", new Float64(), true), new Field("x", vector.type as DataType, true)]);
  const batches = vector.data.map((data) => {
    const other = makeData({ type: new Float64(), data: Float64Array.from({ length: data.length }, (_, i) => i) });
    const struct = makeData({ type: new Struct(schema.fields), length: data.length, children: [other, data] } as never);
    return new RecordBatch(schema, struct as never);
  });
  const options = codec === undefined ? {} : { compressionType: codec === "lz4" ? CompressionType.LZ4_FRAME : CompressionType.ZSTD };
  const writer = format === "file" ? new RecordBatchFileWriter(options) : new RecordBatchStreamWriter(options);
  for (const batch of batches) writer.write(batch as never);
  if (batches.length === 0) writer.write(new Table(schema) as never);
  const bytes = Buffer.from(writer.finish().toUint8Array(true));
  if (codec !== undefined) rightSizes(bytes, codec);
  return bytes;
}

/**
 * A compressed buffer begins with the size of what it holds (Message.fbs, BodyCompressionMethod); this version of the library writes the
 * size of the frame.
 */
function rightSizes(bytes: Buffer, codec: "lz4" | "zstd"): void {
  const magic = codec === "lz4" ? Buffer.of(0x04, 0x22, 0x4d, 0x18) : Buffer.of(0x28, 0xb5, 0x2f, 0xfd);
  for (let at = bytes.indexOf(magic); at >= 0; at = bytes.indexOf(magic, at + 4)) {
    const frame = bytes.subarray(at, at + Number(bytes.readBigInt64LE(at - 8)));
    const holds = codec === "lz4" ? decompressFrameSync(frame).length : (zstdDecompressSync?.(frame).length ?? SOME_BYTES);
    bytes.writeBigInt64LE(BigInt(holds), at - 8);
  }
}

compressionRegistry.set(CompressionType.LZ4_FRAME, {
  encode: (bytes) => compressFrameSync(Buffer.from(bytes)),
  decode: (bytes) => decompressFrameSync(Buffer.from(bytes)),
});

/** Node's Zstandard, where it has it. */
const { zstdCompressSync, zstdDecompressSync } = zlib as Readonly<
  Partial<Record<"zstdCompressSync" | "zstdDecompressSync", (bytes: Uint8Array) => Buffer>>
>;
export const HAS_ZSTD: boolean = zstdCompressSync !== undefined;

// Where Node has none, what is written is a frame of nothing (RFC 8878, 3.1.1): enough to be refused.
const emptyFrame = (): Buffer => Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0);
compressionRegistry.set(CompressionType.ZSTD, { encode: zstdCompressSync ?? emptyFrame });

/** What Arrow reads: leaves in order, and the lengths of the lists of each level, outermost first. */
export interface Expected {
  readonly leaves: number[];
  readonly lengths: number[][];
}

const numberOf = (value: unknown): number => (value === null || value === undefined ? Number.NaN : Number(value));

/** Reads a column through Arrow's own getters. A null list is empty, a null FixedSizeList holds nulls. */
export function expected(vector: Vector, levels: readonly Level[]): Expected {
  const leaves: number[] = [];
  const lengths: number[][] = levels.map(() => []);
  const visit = (value: unknown, depth: number): void => {
    if (depth === levels.length) {
      leaves.push(numberOf(value));
      return;
    }
    const size = levels[depth]!;
    const list = value as Vector | null;
    const length = size > 0 ? size : (list?.length ?? 0);
    lengths[depth]!.push(length);
    for (let i = 0; i < length; i++) visit(list === null ? null : list.get(i), depth + 1);
  };
  for (let i = 0; i < vector.length; i++) visit(vector.get(i), 0);
  return { leaves, lengths };
}
