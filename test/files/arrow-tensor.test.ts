// The files are written by Apache Arrow's own library for JavaScript, and what it reads in them is the oracle.
import {
  DateDay,
  Dictionary,
  Field,
  FixedSizeList,
  Float32,
  Float64,
  Int32,
  Int64,
  List,
  makeData,
  TimestampMillisecond,
  tableFromIPC,
  Uint64,
  Utf8,
  Vector,
  vectorFromArray,
} from "apache-arrow";
import { afterAll, describe, expect, test } from "vitest";
import { type ArrowTensorOptions, openArrowTensor } from "../../src/files/index.ts";
import { chain, createEngine, max, mean, min, sum } from "../../src/index.ts";
import type { TensorSource, TypedData } from "../../src/types.ts";
import { type Random, random } from "../random.ts";
import { bytesOf, expected, type Format, HAS_ZSTD, LEAVES, randomColumn, typeOf } from "./arrow-cases.ts";
import { Folder, failure } from "./fixture.ts";

const RUNS = Number(process.env["FOURFOLD_RUNS"] ?? 120);
const FORMATS: readonly Format[] = ["file", "stream"];
const folder = new Folder();
afterAll(() => folder.remove());

const ARRAY_OF = { f64: Float64Array, f32: Float32Array, i32: Int32Array, i16: Int16Array, i8: Int8Array, u8: Uint8Array } as const;

const write = (bytes: Uint8Array): string => folder.file("x.arrow", bytes);
const open = (bytes: Uint8Array, options: ArrowTensorOptions = {}): Promise<TensorSource> =>
  openArrowTensor(write(bytes), { column: "x", ...options });

/** All leaves, read in pieces of random sizes in random order, into shared memory. */
async function leavesOf(source: TensorSource, rng: Random = random(1)): Promise<TypedData> {
  const Target = ARRAY_OF[source.dtype];
  const all = new Target(new SharedArrayBuffer(source.length * Target.BYTES_PER_ELEMENT) as unknown as ArrayBuffer);
  const cuts: [number, number][] = [];
  for (let at = 0; at < source.length; ) {
    const n = Math.min(source.length - at, rng.pick([1, 3, 17, source.length]));
    cuts.push([at, n]);
    at += n;
  }
  while (cuts.length > 0) {
    const [[at, n]] = cuts.splice(rng.int(cuts.length), 1) as [[number, number]];
    await source.read(all.subarray(at, at + n), at);
  }
  return all;
}

/** Reads and closes. */
async function readAll(bytes: Uint8Array, options: ArrowTensorOptions = {}): Promise<{ source: TensorSource; leaves: number[] }> {
  const source = await open(bytes, options);
  try {
    return { source, leaves: Array.from(await leavesOf(source)) };
  } finally {
    await source.close();
  }
}

const ofVector = (vector: Vector, format: Format = "file"): Uint8Array => bytesOf({ vector }, format);
const doubles = (values: readonly (number | null)[]): Vector => vectorFromArray(values, new Float64());

describe("every leaf and offset is what Arrow reads", () => {
  test.each(FORMATS)("in random nestings, types, batches, nulls and slices: %s", async (format) => {
    const seen = new Map<string, number>();
    const note = (what: string, is: unknown): void => void (is && seen.set(what, (seen.get(what) ?? 0) + 1));
    for (let seed = 0; seed < RUNS; seed++) {
      const rng = random(seed * 7919 + FORMATS.indexOf(format));
      const levels = Array.from({ length: rng.int(5) }, () => rng.pick([0, 0, -1, 1, 2, 3]));
      const column = randomColumn(rng, levels, rng.pick(LEAVES), rng.int(2) === 0);
      const codec = rng.pick([undefined, undefined, "lz4", HAS_ZSTD ? "zstd" : "lz4"] as const);
      const bytes = bytesOf(column, format, codec);
      // Arrow reads what was not compressed: its reader and its writer disagree about compressed bitmaps that are empty.
      const want = expected(tableFromIPC(bytesOf(column, format)).getChild("x")!, levels);
      const name = `seed ${seed}: ${levels.join(",")} ${column.leaf} ${codec}`;
      const source = await open(bytes);
      try {
        const isDense = levels.every((size) => size > 0);
        expect(source.length, name).toBe(want.leaves.length);
        expect(source.shape, name).toEqual(isDense ? [column.vector.length, ...levels] : undefined);
        const lengths = source.offsets?.map((level) => Array.from(level.subarray(1) as Uint32Array, (end, i) => end - Number(level[i])));
        expect(lengths, name).toEqual(isDense ? undefined : want.lengths.toReversed());
        const leaves = await leavesOf(source, rng);
        const wrong = leaves.findIndex((leaf, i) => !Object.is(leaf, want.leaves[i]));
        expect([wrong, leaves[wrong]], name).toEqual([-1, undefined]);
        note("dense", isDense && levels.length > 0 && source.length > 0);
        note("rank 4", !isDense && levels.length === 4 && source.length > 0);
        note("segments", source.segments && source.length > 0);
        note("batches", (source.segments?.length ?? 0) > 1);
        note("nulls", want.leaves.some(Number.isNaN));
        note("compressed", codec !== undefined && source.length > 0 && source.segments === undefined);
      } finally {
        await source.close();
      }
    }
    if (RUNS >= 100)
      for (const what of ["dense", "rank 4", "segments", "batches", "nulls", "compressed"])
        expect([what, (seen.get(what) ?? 0) > RUNS / 100]).toEqual([what, true]);
  });

  test("offsets that do not begin at 0, and null lists with values, keep what their lists hold", async () => {
    const type = new List(new Field("item", new Float64(), true));
    const child = makeData({ type: new Float64(), data: Float64Array.of(9, 1, 2, 3, 9, 9, 4, 9) });
    const missing = { nullCount: 1, nullBitmap: Uint8Array.of(0b1011) };
    const lists = makeData({ type, length: 4, valueOffsets: Int32Array.of(0, 3, 4, 6, 8), child, ...missing } as never);
    const bytes = Buffer.from(ofVector(new Vector([lists])));
    // The library lets offsets begin at 0. Now the lists are [1, 2], [3], null with two values, and [4].
    const at = bytes.indexOf(Buffer.from(Int32Array.of(0, 3, 4, 6, 8).buffer));
    Buffer.from(Int32Array.of(1, 3, 4, 6, 7).buffer).copy(bytes, at);
    const { source, leaves } = await readAll(bytes);
    expect(source.offsets).toEqual([Uint32Array.of(0, 2, 3, 3, 4)]);
    expect(leaves).toEqual([1, 2, 3, 4]);
    const [first] = source.segments!;
    expect(source.segments).toEqual([
      { ...first, items: 3 },
      { ...first, at: first!.at + 5 * 8, items: 1 },
    ]);
  });
});

describe("an engine reads", () => {
  test("a ragged column of rank 4 as it reads the arrays", async () => {
    const engine = await createEngine({ workers: 2 });
    try {
      for (let seed = 0; seed < 12; seed++) {
        const rng = random(seed + 41);
        const column = randomColumn(rng, [0, -1, 2], rng.pick([new Float32(), new Float64(), new Int32()]), seed % 2 === 0);
        const source = await open(bytesOf(column, rng.pick(FORMATS)));
        const four = chain(sum(), mean(), min(), max());
        const data = await leavesOf(source);
        const offsets = source.offsets!;
        for (const nan of ["propagate", "skip"] as const) {
          const here = await engine.run(four, source, { nan });
          const there = await engine.run(four, { data: data.slice(), offsets }, { nan });
          expect(Object.is(here.value, there.value), `seed ${seed}: ${here.value} ${there.value}`).toBe(true);
        }
        await source.close();
      }
    } finally {
      await engine.close();
    }
  });
});

describe("values", () => {
  test("that lie as they are read are told as segments into the file, and not copied", async () => {
    for (const format of FORMATS) {
      const chunks = [Float64Array.of(1, 2, 3), new Float64Array(0), Float64Array.of(4, 5)];
      const bytes = ofVector(new Vector(chunks.map((data) => makeData({ type: new Float64(), data }))), format);
      const source = await open(bytes);
      expect([source.dtype, source.shape, source.offsets, source.length]).toEqual(["f64", [5], undefined, 5]);
      expect(source.segments!.map(({ items }) => items)).toEqual([3, 2]);
      for (const [i, { fd, at, items }] of source.segments!.entries()) {
        expect(fd).toBeTypeOf("number");
        expect(Buffer.from(bytes).subarray(at, at + 8 * items)).toEqual(Buffer.from(chunks[[0, 2][i]!]!.buffer));
      }
      await source.close();
    }
  });

  test("a null is NaN, a null list is empty, and a null list of one size holds nulls", async () => {
    const lists = vectorFromArray([[1, null], null, [3]], new List(new Field("item", new Float32(), true)));
    const { source, leaves } = await readAll(ofVector(lists));
    expect([leaves, source.dtype, source.offsets]).toEqual([[1, Number.NaN, 3], "f32", [Uint32Array.of(0, 2, 2, 3)]]);
    const fixed = vectorFromArray([[1, 2], null, [3, 4]], new FixedSizeList(2, new Field("item", new Int32(), true)));
    const dense = await readAll(ofVector(fixed));
    expect([dense.leaves, dense.source.dtype, dense.source.shape]).toEqual([[1, 2, Number.NaN, Number.NaN, 3, 4], "f64", [3, 2]]);
  });

  test("of 64 bits beyond 2^53 are an error with the row, or rounded, or refused, as int64 says", async () => {
    const big = 2n ** 53n + 1n;
    const flat = ofVector(vectorFromArray([1n, 2n ** 53n, big], new Int64()));
    const source = await open(flat);
    const error = await failure(source.read(new Float64Array(3), 0));
    expect(error.code).toBe("ERR_FOURFOLD_INTEGER");
    expect(error.at).toEqual({ file: source.name, column: "x", row: 2, index: 2 });
    expect(error.given).toBe(big);
    await source.read(new Float64Array(2), 0);
    await source.close();
    expect((await readAll(flat, { int64: "number" })).leaves).toEqual([1, 2 ** 53, 2 ** 53]);
    expect((await failure(open(flat, { int64: "reject" }))).code).toBe("ERR_FOURFOLD_COLUMN");
    const unsigned = ofVector(vectorFromArray([2n ** 64n - 1n, 2n ** 63n + 1025n], new Uint64()));
    expect((await readAll(unsigned, { int64: "number" })).leaves).toEqual([2 ** 64, Number(2n ** 63n + 1025n)]);
    expect((await failure(readAll(unsigned))).at?.row).toBe(0);
    const nested = ofVector(
      vectorFromArray(
        [
          [[1n], []],
          [],
          [
            [2n, 3n],
            [4n, -big],
          ],
        ],
        typeOf([0, 0], new Int64()),
      ),
    );
    expect((await failure(readAll(nested))).at).toMatchObject({ row: 2, index: 4 });
    const fixed = ofVector(
      vectorFromArray(
        [
          [1n, 2n],
          [3n, big],
        ],
        typeOf([2], new Int64()),
      ),
    );
    expect((await failure(readAll(fixed))).at).toMatchObject({ row: 1, index: 3 });
    // What a null slot holds does not matter.
    const slots = makeData({ type: new Int64(), data: BigInt64Array.of(big, 5n), nullCount: 1, nullBitmap: Uint8Array.of(0b10) });
    expect((await readAll(ofVector(new Vector([slots])))).leaves).toEqual([Number.NaN, 5]);
  });

  test("compressed by Zstandard are read where Node can, and refused with the way out where it cannot", async () => {
    const values = Array.from({ length: 5000 }, (_, i) => i % 3);
    const bytes = bytesOf({ vector: doubles(values) }, "file", "zstd");
    if (HAS_ZSTD) expect((await readAll(bytes)).leaves).toEqual(values);
    else {
      const error = await failure(open(bytes));
      expect([error.code, error.fix]).toEqual(["ERR_FOURFOLD_SOURCE", expect.stringContaining("Use a newer Node")]);
    }
  });

  test("compressed to another size than is claimed are damage, and a claim beyond all compression is refused at once", async () => {
    const vector = doubles(Array.from({ length: 1000 }, (_, i) => i % 7));
    const bytes = Buffer.from(bytesOf({ vector }, "file", "lz4"));
    const at = bytes.lastIndexOf(Buffer.from(BigInt64Array.of(8000n).buffer), bytes.lastIndexOf(Buffer.of(4, 0x22, 0x4d, 0x18)));
    for (const [claim, code] of [
      [8008n, "ERR_FOURFOLD_FORMAT"],
      [7999n, "ERR_FOURFOLD_FORMAT"],
      [2n ** 50n, "ERR_FOURFOLD_FORMAT"],
      [-2n, "ERR_FOURFOLD_FORMAT"],
    ] as const) {
      bytes.writeBigInt64LE(claim, at);
      expect([claim, (await failure(readAll(bytes))).code]).toEqual([claim, code]);
    }
    bytes.writeBigInt64LE(8000n, at);
    expect((await readAll(bytes)).leaves[999]).toBe(999 % 7);
    expect((await failure(readAll(bytes, { memoryBytesMax: 7999 }))).code).toBe("ERR_FOURFOLD_MEMORY");
  });
});

describe("what cannot be is refused with the reason", () => {
  const text = vectorFromArray(["a", "b"], new Utf8());
  test.each<readonly [string, Vector, string]>([
    ["text", text, "holds utf8, expected numbers"],
    ["a dictionary", vectorFromArray([1, 2], new Dictionary(new Int32(), new Int32())), "is a dictionary: it holds codes"],
    ["a timestamp", vectorFromArray([1, 2], new TimestampMillisecond()), "holds timestamp"],
    ["a date", vectorFromArray([new Date(0)], new DateDay()), "holds date"],
    ["lists of text", vectorFromArray([["a"], ["b"]], new List(new Field("item", new Utf8()))), "holds utf8"],
  ])("%s", async (_, vector, message) => {
    const error = await failure(open(ofVector(vector)));
    expect([error.code, error.message]).toEqual(["ERR_FOURFOLD_COLUMN", expect.stringContaining(message)]);
    expect(error.fix).toContain("Cast it");
  });

  test("a column that is not there, or not said among several", async () => {
    const bytes = ofVector(doubles([1]));
    const error = await failure(open(bytes, { column: "othr" }));
    expect([error.code, error.fix]).toEqual(["ERR_FOURFOLD_COLUMN", 'Did you mean "other"?']);
    expect((await failure(openArrowTensor(write(bytes)))).message).toContain(
      'it has 2 columns. Name one with the option column: "other", "x"',
    );
  });

  test("options and ranges", async () => {
    const bytes = ofVector(doubles([1, 2]));
    const source = await open(bytes);
    for (const work of [
      openArrowTensor(source.name, { colum: "x" } as ArrowTensorOptions),
      open(bytes, { int64: "no" as "exact" }),
      open(bytes, { memoryBytesMax: 0 }),
      source.read(new Float64Array(2), 1),
      source.read(new Float64Array(1), -1),
      source.read(new Float32Array(1), 0),
    ])
      expect((await failure(work)).code).toBe("ERR_FOURFOLD_ARGUMENT");
    expect((await failure(source.read(new Float64Array(1), 0, { signal: AbortSignal.abort() }))).code).toBe("ERR_FOURFOLD_ABORTED");
    await source.close();
    expect((await failure(source.read(new Float64Array(1), 0))).message).toContain("is closed");
  });

  test("lists that need more than memoryBytesMax", async () => {
    const lists = vectorFromArray([[1], [2], [3]], new List(new Field("item", new Float64())));
    expect((await failure(open(ofVector(lists), { memoryBytesMax: 15 }))).code).toBe("ERR_FOURFOLD_MEMORY");
    await (await open(ofVector(lists), { memoryBytesMax: 16 })).close();
  });

  test("other files, folders and nothing at all", async () => {
    const whole = Buffer.from(ofVector(doubles([1, 2])));
    const stream = Buffer.from(ofVector(doubles([1, 2]), "stream"));
    for (const [bytes, message] of [
      [Buffer.alloc(0), "it is empty"],
      [Buffer.from("PAR1 and more"), "this is a file of Parquet"],
      [Buffer.from("FEA1 and more"), "this is a file of Feather version 1"],
      [Buffer.from("a,b\n1,2\n"), "announces a description of"],
      [whole.subarray(0, whole.length - 1), "its end is missing"],
      [whole.subarray(0, 12), "its end is missing"],
      [stream.subarray(0, stream.length - 20), "the file has"],
      [Buffer.concat([stream, Buffer.of(1)]), "bytes after the end"],
    ] as const) {
      const error = await failure(open(bytes));
      expect([error.code, error.message]).toEqual(["ERR_FOURFOLD_FORMAT", expect.stringContaining(message)]);
      expect(error.at?.index).toBeTypeOf("number");
    }
    // A stream may lack its end.
    expect((await readAll(stream.subarray(0, stream.length - 8))).leaves).toEqual([1, 2]);
    expect((await failure(openArrowTensor(folder.path))).code).toBe("ERR_FOURFOLD_SOURCE");
    expect((await failure(openArrowTensor(`${folder.path}/none.arrow`))).code).toBe("ERR_FOURFOLD_SOURCE");
  });
});
