// Zarr folders: written by hand from the specifications, by zarrita, with each codec, in groups; damaged and hostile.
import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { deflateSync, gzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import * as zarrita from "zarrita";
import { FourfoldError } from "../../src/errors.ts";
import { openTensor, openZarr } from "../../src/files/index.ts";
import { random } from "../random.ts";
import { Folder, failure } from "./fixture.ts";
import { chunkBytes, chunksOf, expectReads, sizeOf, typeOf, valuesOf, type ZarrSpec, zarr2, zarr3 } from "./tensor-files.ts";

const folder = new Folder();
afterAll(() => folder.remove());

const RUNS = Number(process.env["FOURFOLD_TIMES"] ?? 1);
const f32 = typeOf("f32");
const shape = [7, 10, 5];
const values = valuesOf(f32, sizeOf(shape), random(1));
const spec: ZarrSpec = { type: f32, shape, chunks: [3, 4, 5], values };

/** CRC-32C (RFC 3720), a bit at a time. */
function crc32c(bytes: Uint8Array): number {
  let sum = 0xffff_ffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum & 1) === 0 ? sum >>> 1 : (sum >>> 1) ^ 0x82f63b78;
  }
  return (sum ^ 0xffff_ffff) >>> 0;
}

function withSum(bytes: Buffer): Buffer {
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc32c(bytes));
  return Buffer.concat([bytes, sum]);
}

/** A packer of numcodecs, whose results are made beforehand since it takes its time. */
async function packer(name: string, configuration: object, of: ZarrSpec): Promise<(bytes: Buffer) => Buffer> {
  const Codec = (await zarrita.registry.get(name)!()) as unknown as {
    fromConfig(configuration: object): { encode(bytes: Uint8Array): Promise<Uint8Array> };
  };
  const codec = Codec.fromConfig(configuration);
  const packed = new Map<string, Buffer>();
  for (const coordinates of chunksOf(of.shape, of.chunks)) {
    const bytes = chunkBytes(of, coordinates);
    packed.set(bytes.toString("latin1"), Buffer.from(await codec.encode(new Uint8Array(bytes))));
  }
  return (bytes) => packed.get(bytes.toString("latin1"))!;
}

/** The bytes of float32 items, all first ones first. */
function shuffled(bytes: Buffer): Buffer {
  const n = bytes.length / 4;
  return Buffer.from(bytes.map((_, i) => bytes[(i % n) * 4 + Math.floor(i / n)]!));
}

async function expectArray(path: string, expected = values): Promise<void> {
  const source = await openTensor(path, { memoryBytesMax: 1000 });
  await expectReads(source, expected, random(3), 6);
  await source.close();
}

test("CRC-32C is that of the RFC's examples", () => {
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
});

describe("codecs", () => {
  test("gzip, zlib and checksums", async () => {
    await expectArray(zarr2(folder, "v2-gzip", { ...spec, pack: (b) => gzipSync(b) }, { compressor: { id: "gzip", level: 5 } }));
    await expectArray(zarr2(folder, "v2-zlib", { ...spec, pack: (b) => deflateSync(b) }, { compressor: { id: "zlib", level: 1 } }));
    await expectArray(zarr3(folder, "v3-gzip", { ...spec, pack: (b) => gzipSync(b) }, [{ name: "gzip", configuration: { level: 1 } }]));
    await expectArray(zarr3(folder, "v3-sum", { ...spec, pack: (b) => withSum(gzipSync(b)) }, ["gzip", { name: "crc32c" }]));
    await expectArray(zarr3(folder, "v3-zlib", { ...spec, pack: (b) => deflateSync(b) }, [{ name: "numcodecs.zlib" }]));
  });

  test("blosc of every kind, zstd and lz4", async () => {
    for (const [i, cname] of ["lz4", "lz4hc", "blosclz", "zlib", "zstd"].entries()) {
      const configuration = { cname, clevel: 5, shuffle: i % 3, blocksize: 0 };
      const pack = await packer("blosc", configuration, spec);
      await expectArray(zarr2(folder, `v2-blosc-${cname}`, { ...spec, pack }, { compressor: { id: "blosc", ...configuration } }));
    }
    const zstd = await packer("zstd", { level: 3 }, spec);
    await expectArray(zarr3(folder, "v3-zstd", { ...spec, pack: zstd }, [{ name: "zstd", configuration: { level: 3, checksum: false } }]));
    const lz4 = await packer("lz4", { acceleration: 1 }, spec);
    await expectArray(zarr2(folder, "v2-lz4", { ...spec, pack: lz4 }, { compressor: { id: "lz4", acceleration: 1 } }));
  });

  test("shuffle and delta filters", async () => {
    await expectArray(
      zarr2(
        folder,
        "v2-shuffle",
        { ...spec, pack: (b) => gzipSync(shuffled(b)) },
        {
          filters: [{ id: "shuffle", elementsize: 4 }],
          compressor: { id: "gzip" },
        },
      ),
    );
    const i32 = typeOf("i32");
    const numbers = valuesOf(i32, 40, random(4)) as Int32Array;
    const differences = (bytes: Buffer): Buffer => {
      const items = new Int32Array(new Uint8Array(bytes).buffer);
      return Buffer.from(items.map((item, i) => item - (i === 0 ? 0 : items[i - 1]!)).buffer);
    };
    const delta: ZarrSpec = { type: i32, shape: [40], chunks: [8], values: numbers, pack: differences };
    await expectArray(zarr2(folder, "v2-delta", delta, { filters: [{ id: "delta", dtype: "<i4" }] }), numbers as never);
  });

  test("transposed chunks of any order", async () => {
    for (const order of [
      [0, 1, 2],
      [0, 2, 1],
      [1, 0, 2],
      [1, 2, 0],
      [2, 0, 1],
      [2, 1, 0],
    ])
      await expectArray(zarr3(folder, `order-${order.join("")}`, { ...spec, order }));
  });

  test("shards, with inner chunks that are missing", async () => {
    for (const checked of [true, false]) {
      const path = shards(`shards-${checked}`, checked);
      const expected = values.slice() as Float32Array;
      for (let i = 0; i < expected.length; i++) if (Math.floor(i / 50) < 2 && Math.floor(i / 5) % 10 < 2) expected[i] = -0;
      await expectArray(path, expected);
    }
  });
});

/** Shards of [4, 8, 5] with inner chunks of [2, 2, 5], of which the first is missing. */
function shards(name: string, checked: boolean): string {
  const inner = { ...spec, chunks: [2, 2, 5], pack: (b: Buffer) => gzipSync(b) };
  const outer = [4, 8, 5];
  const sum = checked ? [{ name: "crc32c" }] : [];
  const endian = { name: "bytes", configuration: { endian: "little" } };
  const codecs = [
    {
      name: "sharding_indexed",
      configuration: {
        chunk_shape: inner.chunks,
        codecs: [endian, { name: "gzip" }],
        index_codecs: [endian, ...sum],
        index_location: "end",
      },
    },
  ];
  const path = zarr3(folder, name, { ...spec, chunks: outer, missing: () => true }, [], { codecs });
  const file = `${folder.path}/${name}/zarr.json`;
  rmSync(file);
  // JSON.stringify has no -0.
  folder.file(
    `${name}/zarr.json`,
    JSON.stringify({
      zarr_format: 3,
      node_type: "array",
      shape,
      data_type: "float32",
      chunk_grid: { name: "regular", configuration: { chunk_shape: outer } },
      chunk_key_encoding: { name: "default" },
      fill_value: "MINUS ZERO",
      codecs,
    }).replace('"MINUS ZERO"', "-0.0"),
  );
  for (const shard of chunksOf(shape, outer)) {
    const parts: Buffer[] = [];
    const index = new BigUint64Array(16);
    let at = 0;
    for (let i = 0; i < 8; i++) {
      const within = [Math.floor(i / 4), i % 4, 0];
      const coordinates = within.map((step, axis) => shard[axis]! * [2, 4, 1][axis]! + step);
      const outside = coordinates.some((c, axis) => c * inner.chunks[axis]! >= shape[axis]!);
      const bytes = outside || coordinates.every((c) => c === 0) ? undefined : chunkBytes(inner, coordinates);
      index[2 * i] = bytes === undefined ? 2n ** 64n - 1n : BigInt(at);
      index[2 * i + 1] = bytes === undefined ? 2n ** 64n - 1n : BigInt(bytes.length);
      if (bytes === undefined) continue;
      parts.push(bytes);
      at += bytes.length;
    }
    const tail = Buffer.from(index.buffer);
    folder.file(`${name}/c/${shard.join("/")}`, Buffer.concat([...parts, checked ? withSum(tail) : tail]));
  }
  return path;
}

test("what zarrita writes is read", async () => {
  for (const [name, codecs] of [
    ["plain", []],
    ["big", [{ name: "bytes", configuration: { endian: "big" } }]],
  ] as const) {
    const store = new Map<string, Uint8Array>();
    const array = await zarrita.create(zarrita.root(store), {
      shape,
      chunkShape: [3, 4, 5],
      dtype: "float32",
      fillValue: 0,
      codecs: [...codecs],
    });
    await zarrita.set(array, null, { data: values as Float32Array, shape, stride: [50, 5, 1] });
    for (const [key, bytes] of store) folder.file(`zarrita-${name}${key}`, bytes);
    await expectArray(`${folder.path}/zarrita-${name}`);
  }
});

describe("chunks that are not there have the fill value", () => {
  const fills: readonly (readonly ["f64" | "f32" | "f16" | "i64" | "u64" | "i8" | "bool", string, number])[] = [
    ["f64", '"NaN"', Number.NaN],
    ["f32", '"-Infinity"', Number.NEGATIVE_INFINITY],
    ["f64", "-0.0", -0],
    ["f64", "1e-320", 1e-320],
    ["f32", "0.1", Math.fround(0.1)],
    ["f16", '"NaN"', Number.NaN],
    ["f16", "1.5", 1.5],
    ["i64", "-12345678901", -12345678901],
    ["u64", "4294967296", 2 ** 32],
    ["i8", "-128", -128],
    ["bool", "true", 1],
  ];

  test.each(fills)("%s %s", async (name, text, value) => {
    const type = typeOf(name);
    const written = valuesOf(type, 12, random(6));
    const missing = ([first]: readonly number[]): boolean => first === 1;
    const of: ZarrSpec = { type, shape: [12], chunks: [4], values: written, missing, fill: "FILL" };
    const expected = written.slice() as typeof written;
    expected.fill(value, 4, 8);
    for (const path of [zarr2(folder, "fill2", of), zarr3(folder, "fill3", of)]) {
      for (const file of [".zarray", "zarr.json"]) replaceIn(path, file, '"FILL"', text);
      const source = await openZarr(path);
      await expectReads(source, expected, random(7));
      await source.close();
    }
  });

  test("in hexadecimal digits", async () => {
    for (const [type, fill, value] of [
      ["f64", "0x7ff0000000000000", Number.POSITIVE_INFINITY],
      ["f32", "0x80000000", -0],
      ["f16", "0x3c00", 1],
    ] as const)
      await expectFill({ type: typeOf(type), shape: [2], chunks: [1], values: new Float64Array(2), missing: () => true, fill }, value);
  });

  test("beyond 2^53 follows the policy, where it is needed", async () => {
    const of: ZarrSpec = {
      type: typeOf("i64"),
      shape: [2],
      chunks: [1],
      values: new Float64Array(2),
      missing: ([at]) => at === 1,
      fill: "FILL",
    };
    for (const [text, nearest] of [
      ["9223372036854775807", 2 ** 63],
      ["-9223372036854775808", -(2 ** 63)],
      ["9007199254740993", 2 ** 53],
    ] as const) {
      const path = zarr3(folder, "fill-far", of);
      replaceIn(path, "zarr.json", '"FILL"', text);
      const exact = await openZarr(path);
      await exact.read(new Float64Array(1), 0);
      expect((await failure(exact.read(new Float64Array(1), 1))).code).toBe("ERR_FOURFOLD_INTEGER");
      const rounded = await openZarr(path, { int64: "number" });
      const target = new Float64Array(2);
      await rounded.read(target, 0);
      expect([...target]).toEqual([0, nearest]);
    }
  });

  test("without one, version 2 refuses", async () => {
    const source = await openZarr(zarr2(folder, "null", { ...spec, missing: ([first]) => first === 2 }));
    await source.read(new Float32Array(300), 0);
    const error = await failure(source.read(new Float32Array(1), 349));
    expect([error.code, error.message]).toEqual([
      "ERR_FOURFOLD_FORMAT",
      expect.stringContaining("2.2.0 is missing, and there is no fill value"),
    ]);
  });

  test("of a huge array at once, wherever it is read", async () => {
    const huge = { ...spec, shape: [2 ** 20, 2 ** 20, 5], chunks: [16, 16, 5], values: new Float32Array(0), fill: 7, missing: () => true };
    const path = zarr3(folder, "huge", { ...huge, shape: [1, 1, 5] }, [], { shape: huge.shape });
    const source = await openZarr(path);
    const target = new Float32Array(1000);
    await source.read(target, 5 * 2 ** 39 + 5 * 2 ** 20 - 500);
    expect(target.every((value) => value === 7)).toBe(true);
    await source.close();
  });
});

async function expectFill(of: ZarrSpec, value: number): Promise<void> {
  const source = await openZarr(zarr3(folder, "hex", of));
  const target = source.dtype === "f64" ? new Float64Array(1) : new Float32Array(1);
  await source.read(target, 0);
  expect(target[0]).toBe(value);
  await source.close();
}

function replaceIn(path: string, file: string, from: string, to: string): void {
  const name = `${path.slice(folder.path.length + 1)}/${file}`;
  if (folder.has(name)) folder.file(name, folder.text(name).replace(from, to));
}

describe("only what is needed is decoded, and kept within memoryBytesMax", () => {
  test("chunks outside the range are not opened", async () => {
    const path = zarr2(folder, "partial", spec);
    folder.file("partial/2.0.0", "damaged");
    const source = await openZarr(path);
    await source.read(new Float32Array(300), 0);
    expect((await failure(source.read(new Float32Array(1), 300))).code).toBe("ERR_FOURFOLD_FORMAT");
    await source.close();
  });

  test("a row of chunks is kept where it fits, its first ones where it does not", async () => {
    for (const [memoryBytesMax, left] of [
      [3 * 240, 3],
      [2 * 240, 2],
      [240, 1],
    ] as const) {
      const path = zarr2(folder, "kept", { ...spec, fill: 9 });
      const source = await openZarr(path, { memoryBytesMax });
      const target = new Float32Array(50);
      await source.read(target, 0);
      for (const file of ["0.0.0", "0.1.0", "0.2.0"]) rmSync(`${path}/${file}`);
      await source.read(target, 50);
      expect(Array.from({ length: 10 }, (_, i) => target[5 * i] === 9 && target[5 * i + 1] === 9)).toEqual(
        Array.from({ length: 10 }, (_, i) => Math.floor(i / 4) >= left),
      );
      await source.close();
    }
  });

  test("a chunk beyond it is an error that says what it needs", async () => {
    const error = await failure(openZarr(zarr2(folder, "large", spec), { memoryBytesMax: 239 }));
    expect([error.code, error.given, error.expected]).toEqual(["ERR_FOURFOLD_MEMORY", 240, 239]);
  });
});

describe("a group", () => {
  folder.file("group.zarr/zarr.json", JSON.stringify({ zarr_format: 3, node_type: "group", attributes: {} }));
  zarr3(folder, "group.zarr/t2m", spec);
  zarr2(folder, "group.zarr/old", spec);
  folder.file("group.zarr/deep/.zgroup", JSON.stringify({ zarr_format: 2 }));
  zarr2(folder, "group.zarr/deep/one", spec);
  const path = `${folder.path}/group.zarr`;

  test("gives the array that is named, at any depth", async () => {
    for (const array of ["t2m", "old", "deep/one"]) {
      const source = await openZarr(path, { array });
      await expectReads(source, values, random(8), 3);
      expect(source.name).toBe(`${path}:${array}`);
      await source.close();
    }
    await expectArray(`${path}/deep`);
    await expectArray(`${path}/t2m`);
  });

  test.each([
    ["none of several", undefined, "ERR_FOURFOLD_ARGUMENT", "2 arrays, and none is named"],
    ["one that is not there", "t2n", "ERR_FOURFOLD_ARGUMENT", 'Did you mean "t2m"?'],
    ["one outside", "../group.zarr/t2m", "ERR_FOURFOLD_ARGUMENT", "a path below the folder"],
    ["an absolute one", "/t2m", "ERR_FOURFOLD_ARGUMENT", "a path below the folder"],
    ["an empty one", "", "ERR_FOURFOLD_ARGUMENT", "a path below the folder"],
    ["one with NUL", "a\0b", "ERR_FOURFOLD_ARGUMENT", "a path below the folder"],
  ])("%s is an error", async (_, array, code, message) => {
    const error = await failure(openZarr(path, { array }));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(message)]);
  });

  test("without arrays, or a folder of something else, says so", async () => {
    mkdirSync(`${folder.path}/empty`);
    expect((await failure(openZarr(`${folder.path}/empty`))).message).toContain("is no Zarr array, nor a group of any");
    expect((await failure(openZarr(`${folder.path}/none`))).code).toBe("ERR_FOURFOLD_SOURCE");
    expect((await failure(openZarr(folder.file("file.zarr", "x")))).code).toBe("ERR_FOURFOLD_SOURCE");
  });
});

test("a link may lead about in the folder, not out of it", async () => {
  const path = zarr2(folder, "linked", spec);
  folder.file("secret", chunkBytes(spec, [0, 0, 0]));
  for (const [target, code] of [
    ["0.1.0", undefined],
    ["../secret", "ERR_FOURFOLD_FORBIDDEN"],
    ["/etc/passwd", "ERR_FOURFOLD_FORBIDDEN"],
  ] as const) {
    rmSync(`${path}/0.0.0`);
    symlinkSync(target, `${path}/0.0.0`);
    const source = await openZarr(path);
    const reading = source.read(new Float32Array(1), 0);
    if (code === undefined) await reading;
    else expect((await failure(reading)).code).toBe(code);
    await source.close();
  }
  mkdirSync(`${folder.path}/away`);
  symlinkSync(path, `${folder.path}/away/array`);
  expect((await failure(openZarr(`${folder.path}/away`, { array: "array" }))).code).toBe("ERR_FOURFOLD_FORBIDDEN");
});

describe("metadata that are not right are refused", () => {
  const v3 = (fields: object): string => zarr3(folder, "bad3", { ...spec, missing: () => true }, [], fields as Record<string, unknown>);
  const v2 = (fields: object): string => zarr2(folder, "bad2", { ...spec, missing: () => true }, fields as Record<string, unknown>);
  const bytes = { name: "bytes", configuration: { endian: "little" } };
  const sharding = (configuration: object): object => ({
    codecs: [
      { name: "sharding_indexed", configuration: { chunk_shape: [1, 2, 5], codecs: [bytes], index_codecs: [bytes], ...configuration } },
    ],
  });

  test.each<[string, object, string]>([
    ["no shape", { shape: null }, "shape is null"],
    ["a shape of texts", { shape: ["7", 10, 5] }, "shape is"],
    ["a negative shape", { shape: [-1, 10, 5] }, "shape is"],
    ["a shape beyond counting", { shape: [2 ** 30, 2 ** 30, 5] }, "fewer than 2^50"],
    ["chunks of nothing", { chunk_grid: { name: "regular", configuration: { chunk_shape: [0, 4, 5] } } }, "chunk_shape is"],
    ["chunks of another rank", { chunk_grid: { name: "regular", configuration: { chunk_shape: [4, 5] } } }, "chunk_shape has 2 extents"],
    ["another grid", { chunk_grid: { name: "rectilinear" } }, 'chunk grid "rectilinear"'],
    ["no grid", { chunk_grid: 3 }, "chunk_grid is 3"],
    ["other keys", { chunk_key_encoding: { name: "hash" } }, 'chunk keys "hash"'],
    ["another separator", { chunk_key_encoding: { name: "default", configuration: { separator: "../" } } }, "chunk keys"],
    ["a transformer", { storage_transformers: [{ name: "x" }] }, "storage transformers"],
    ["an extension", { topology: { name: "torus" } }, 'an extension "topology"'],
    ["no fill value", { fill_value: undefined }, "fill_value is missing"],
    ["a fill value of another type", { fill_value: "seven" }, 'fill_value "seven"'],
    ["no codecs", { codecs: undefined }, "codecs is undefined"],
    ["codecs without bytes", { codecs: ["gzip"] }, "no codec bytes"],
    ["bytes without an order", { codecs: ["bytes"] }, "the endian undefined"],
    ["bytes behind packing", { codecs: [{ name: "gzip" }, bytes] }, 'the codec "gzip" is not known here, or not at this place'],
    ["an unknown codec", { codecs: [bytes, "brotli"] }, 'the codec "brotli"'],
    ["a codec called __proto__", { codecs: [bytes, "__proto__"] }, 'the codec "__proto__"'],
    [
      "a transposition of fewer axes",
      { codecs: [{ name: "transpose", configuration: { order: [0, 0, 1] } }, bytes] },
      "each of 3 axes once",
    ],
    ["shards that do not divide", sharding({ chunk_shape: [2, 2, 5] }), "do not divide"],
    ["an index in front", sharding({ index_location: "start" }), "index_location"],
    ["a packed index", sharding({ index_codecs: [bytes, "gzip"] }), "index_codecs other than"],
    ["shards in shards", sharding({ codecs: [{ name: "sharding_indexed" }] }), "no codec bytes"],
    ["packed shards", { codecs: [{ name: "sharding_indexed" }, "gzip"] }, "before or behind sharding_indexed"],
    ["another format", { zarr_format: 4 }, "zarr_format is 4"],
  ])("version 3: %s", async (_, fields, message) => {
    const error = await failure(openZarr(v3(fields)));
    expect([error.code, error.message]).toEqual(["ERR_FOURFOLD_FORMAT", expect.stringContaining(message)]);
    expect(error.at?.file).toContain("zarr.json");
  });

  test.each<[string, object, string]>([
    ["another order", { order: "A" }, 'order is "A"'],
    ["a filter without a name", { filters: [{}] }, "the id undefined"],
    ["filters that are none", { filters: 3 }, "filters is 3"],
    ["an unknown compressor", { compressor: { id: "lzma" } }, 'the codec "lzma"'],
    ["a compressor called constructor", { compressor: { id: "constructor" } }, 'the codec "constructor"'],
    ["a shuffle of another size", { filters: [{ id: "shuffle", elementsize: 8 }] }, "a shuffle filter of 8 bytes for items of 4"],
    ["a delta to another type", { filters: [{ id: "delta", dtype: "<f4", astype: "<f2" }] }, 'a delta filter of "<f2"'],
    ["a separator that climbs", { dimension_separator: "/../" }, "chunk keys"],
    ["a fill value out of range", { dtype: "|u1", fill_value: 256 }, "fill_value 256"],
  ])("version 2: %s", async (_, fields, message) => {
    const error = await failure(openZarr(v2(fields)));
    expect([error.code, error.message]).toEqual(["ERR_FOURFOLD_FORMAT", expect.stringContaining(message)]);
  });

  test.each(["complex64", "string", "r16", "__proto__", 7])("items of type %s", async (type) => {
    expect((await failure(openZarr(v3({ data_type: type })))).code).toBe("ERR_FOURFOLD_DTYPE");
    expect((await failure(openZarr(v2({ dtype: type })))).code).toBe("ERR_FOURFOLD_DTYPE");
  });

  test("no JSON, and JSON of something else", async () => {
    for (const text of ["", "{", "null", "[]", "7", '"x"']) {
      folder.file("bad/zarr.json", text);
      expect((await failure(openZarr(`${folder.path}/bad`))).code).toBe("ERR_FOURFOLD_FORMAT");
    }
  });

  test("changed bytes end in a tensor or a typed error", async () => {
    const path = zarr3(folder, "mutated", { ...spec, pack: (b) => gzipSync(b) }, ["gzip"]);
    const good = Buffer.from(folder.text("mutated/zarr.json"));
    const r = random(11);
    for (let run = 0; run < 100 * RUNS; run++) {
      const bytes = Buffer.from(good);
      for (let i = 0; i <= r.int(2); i++) bytes[r.int(bytes.length)] = r.int(2) === 0 ? 32 + r.int(95) : r.int(256);
      folder.file("mutated/zarr.json", bytes);
      await expectTyped(path);
    }
  });
});

/** Opens an array and reads a little of it: it ends in values or a typed error. */
async function expectTyped(path: string): Promise<void> {
  try {
    const source = await openZarr(path, { memoryBytesMax: 1 << 20 });
    const target = { f64: Float64Array, f32: Float32Array, i32: Int32Array, i16: Int16Array, i8: Int8Array, u8: Uint8Array }[source.dtype];
    await source.read(new target(Math.min(source.length, 1000)), 0);
    await source.close();
  } catch (error) {
    if (!(error instanceof FourfoldError)) throw error;
  }
}

describe("chunks that are not right are refused", () => {
  const one: ZarrSpec = { type: f32, shape: [50], chunks: [50], values: values.slice(0, 50) };
  const zeros = Buffer.alloc(1 << 22);

  test("cut short, whatever they are packed by", async () => {
    for (const [name, pack] of [
      ["gzip", (b: Buffer) => gzipSync(b)],
      ["numcodecs.zlib", (b: Buffer) => deflateSync(b)],
      ["crc32c", withSum],
      ["zstd", await packer("zstd", { level: 1 }, one)],
      ["blosc", await packer("blosc", { cname: "lz4", clevel: 5, shuffle: 1, blocksize: 0 }, one)],
      ["numcodecs.lz4", await packer("lz4", { acceleration: 1 }, one)],
    ] as const) {
      const path = zarr3(folder, "cut", { ...one, pack }, [name]);
      const whole = pack(chunkBytes(one, [0]));
      const source = await openZarr(path);
      for (let length = 0; length < whole.length; length += RUNS > 1 ? 1 : 7) {
        folder.file("cut/c/0", whole.subarray(0, length));
        expect((await failure(source.read(new Float32Array(1), 0))).code, `${name}, ${length} bytes`).toBe("ERR_FOURFOLD_FORMAT");
      }
      folder.file("cut/c/0", whole);
      await expectReads(source, one.values, random(1), 2);
      await source.close();
    }
    const path = zarr3(folder, "cut-plain", one);
    for (let length = 0; length < 200; length += RUNS > 1 ? 1 : 7) {
      folder.file("cut-plain/c/0", Buffer.alloc(length));
      expect((await failure(openZarr(path).then((source) => source.read(new Float32Array(1), 0)))).code).toBe("ERR_FOURFOLD_FORMAT");
    }
  });

  test("that would unpack to more than a chunk, before they are unpacked", async () => {
    const lz4 = Buffer.from([0, 0, 0, 0x7f, 0]);
    const zstd = Buffer.from("28b52ffd e0 0000000001000000 010000".replaceAll(" ", ""), "hex");
    const blosc = Buffer.alloc(16);
    blosc.set([2, 1, 1, 4]);
    blosc.writeUInt32LE(0x7fff_ffff, 4);
    blosc.writeUInt32LE(16, 12);
    for (const [name, bytes, message] of [
      ["gzip", gzipSync(zeros), 'via codec "gzip"'],
      ["numcodecs.zlib", deflateSync(zeros), 'via codec "zlib"'],
      ["numcodecs.lz4", lz4, "claims to unpack to 2130706432 bytes"],
      ["zstd", zstd, "claims to unpack to 4294967296 bytes"],
      ["zstd", Buffer.from("28b52ffd0058010000", "hex"), "does not say how many bytes"],
      ["zstd", Buffer.from("not zstd at all"), "it is no zstd frame"],
      ["blosc", blosc, "claims to unpack to 2147483647 bytes"],
      ["gzip", Buffer.alloc(1 << 16), "at most"],
    ] as const) {
      const source = await openZarr(zarr3(folder, "bomb", { ...one, pack: () => bytes }, [name]));
      const error = await failure(source.read(new Float32Array(1), 0));
      expect([error.code, error.message]).toEqual(["ERR_FOURFOLD_FORMAT", expect.stringContaining(message)]);
      await source.close();
    }
  });

  test("with a wrong CRC-32C, in a chunk and in a shard's index", async () => {
    const sum = (b: Buffer): Buffer => withSum(b).map((byte, i) => (i === 7 ? byte ^ 1 : byte)) as Buffer;
    const source = await openZarr(zarr3(folder, "sum", { ...one, pack: (b) => Buffer.from(sum(b)) }, ["crc32c"]));
    expect((await failure(source.read(new Float32Array(1), 0))).message).toContain("its CRC-32C is wrong");
    const path = shards("sum-shards", true);
    const shard = folder.bytes("sum-shards/c/0/0/0");
    shard[shard.length - 5] = 1;
    folder.file("sum-shards/c/0/0/0", shard);
    expect((await failure(openZarr(path).then((s) => s.read(new Float32Array(1), 0)))).message).toContain("its CRC-32C is wrong");
  });

  test("shards whose index leads elsewhere", async () => {
    const path = shards("index", false);
    const good = folder.bytes("index/c/0/0/0");
    for (const [offset, length] of [
      [2n ** 63n, 10n],
      [0n, 2n ** 40n],
      [BigInt(good.length), 1n],
      [0n, 0n],
    ] as const) {
      const shard = Buffer.from(good);
      shard.writeBigUInt64LE(offset, shard.length - 128 + 16);
      shard.writeBigUInt64LE(length, shard.length - 128 + 24);
      folder.file("index/c/0/0/0", shard);
      const source = await openZarr(path);
      expect((await failure(source.read(new Float32Array(1), 10))).code).toBe("ERR_FOURFOLD_FORMAT");
      await source.close();
    }
    folder.file("index/c/0/0/0", good.subarray(0, 100));
    expect((await failure(openZarr(path).then((s) => s.read(new Float32Array(1), 10)))).code).toBe("ERR_FOURFOLD_FORMAT");
  });

  test("with changed bytes end in values or a typed error, and good ones are still read", async () => {
    const r = random(12);
    for (const [name, pack] of [
      ["gzip", (b: Buffer) => gzipSync(b)],
      ["zstd", await packer("zstd", { level: 1 }, one)],
      ["blosc", await packer("blosc", { cname: "lz4", clevel: 5, shuffle: 1, blocksize: 0 }, one)],
      ["blosc", await packer("blosc", { cname: "blosclz", clevel: 9, shuffle: 2, blocksize: 0 }, one)],
      ["numcodecs.lz4", await packer("lz4", { acceleration: 1 }, one)],
    ] as const) {
      const path = zarr3(folder, "changed", { ...one, pack }, [name]);
      const good = pack(chunkBytes(one, [0]));
      for (let run = 0; run < 30 * RUNS; run++) {
        const bytes = Buffer.from(good);
        for (let i = 0; i <= r.int(3); i++) bytes[r.int(bytes.length)] = r.int(256);
        folder.file("changed/c/0", bytes);
        await expectTyped(path);
      }
      folder.file("changed/c/0", good);
      const source = await openZarr(path);
      await expectReads(source, one.values, random(1), 2);
      await source.close();
    }
  });
});

test("big chunks of little are read: zstd and blosc of zeros", async () => {
  const large: ZarrSpec = { type: f32, shape: [1 << 18], chunks: [1 << 18], values: new Float32Array(1 << 18) };
  for (const name of ["zstd", "blosc"]) {
    const pack = await packer(name, { cname: "lz4", clevel: 5, shuffle: 1, blocksize: 0, level: 1 }, large);
    const source = await openZarr(zarr3(folder, "zeros", { ...large, pack }, [name]));
    const target = new Float32Array(1000).fill(1);
    await source.read(target, 261_000);
    expect(target.every((value) => value === 0)).toBe(true);
    await source.close();
  }
});
