// Every kind of tensor at rest gives the values that were written, read whole or in any pieces; what is plain is told as segments.
import { spawnSync } from "node:child_process";
import { readSync } from "node:fs";
import { Float64, Table, tableToIPC, vectorFromArray } from "apache-arrow";
import { afterAll, describe, expect, test } from "vitest";
import { createEngine } from "../../src/engine.ts";
import { openNpy, openRaw, openTensor } from "../../src/files/index.ts";
import { chain } from "../../src/reduce/chain.ts";
import { sum } from "../../src/reduce/reductions.ts";
import type { TensorSource } from "../../src/types.ts";
import { random } from "../random.ts";
import { Folder, failure } from "./fixture.ts";
import { arrayOf, bytesOf, expectReads, fortran, npyFile, sizeOf, TYPES, typeOf, valuesOf, zarr2, zarr3, zipFile } from "./tensor-files.ts";

const folder = new Folder();
afterAll(() => folder.remove());

const RUNS = Number(process.env["FOURFOLD_TIMES"] ?? 1);
const SHAPES = [[], [7], [3, 5], [5, 1, 4], [2, 3, 4, 5], [0, 3], [37, 11]];

/** Each type in each byte order; one run reads a third of the shapes of each. */
const CASES = TYPES.flatMap((type) => (type.bytes === 1 ? [true] : [true, false]).map((little) => ({ type, little }))).map((each, i) => ({
  ...each,
  title: `${each.type.type}, ${each.little ? "little" : "big"} endian`,
  turn: i,
}));

describe.each(CASES)("$title", ({ type, little, turn }) => {
  const descr = `${type.bytes === 1 ? "|" : little ? "<" : ">"}${type.numpy}`;
  const plain = little && type.type === type.dtype;

  test("any range of NPY, NPZ, raw and Zarr is what was written", async () => {
    for (let run = 0; run < RUNS; run++)
      for (const [seed, shape] of SHAPES.entries()) {
        if (RUNS === 1 && (seed + turn) % 3 !== 0) continue;
        const r = random(1000 * run + seed);
        const values = valuesOf(type, sizeOf(shape), r);
        const data = bytesOf(type, values, little);
        const f = bytesOf(type, fortran(values, shape), little);
        const c = npyFile(descr, shape, data);
        const npz = folder.file(
          "a.npz",
          zipFile(
            [
              { name: "c.npy", data: c },
              { name: "packed.npy", data: c, method: 8 },
              { name: "f.npy", data: npyFile(descr, shape, f, true), method: 8 },
            ],
            { zip64: seed % 2 === 0 },
          ),
        );
        const chunks = shape.map((extent) => 1 + r.int(extent + 1));
        const order = shape.map((_, axis) => shape.length - 1 - axis);
        const dtype = type.type;
        const spec = { type, shape, chunks, values, little };
        const sources = [
          ["npy", await openTensor(folder.file("c.npy", c))],
          ["fortran", await openTensor(folder.file("f.npy", npyFile(descr, shape, f, true)), { memoryBytesMax: 1 + r.int(200) })],
          ["npz", await openTensor(npz, { array: "c", verify: true })],
          ["packed", await openTensor(npz, { array: "packed", verify: true })],
          ["packed fortran", await openTensor(npz, { array: "f.npy" })],
          [
            "raw",
            await openTensor(folder.file("r.bin", Buffer.concat([Buffer.alloc(seed), data])), {
              shape,
              dtype,
              offsetBytes: seed,
              byteOrder: little ? "little" : "big",
            }),
          ],
          ["zarr 2", await openTensor(zarr2(folder, `two-${seed}.zarr`, spec))],
          ["zarr 2 F", await openTensor(zarr2(folder, `two-f-${seed}.zarr`, { ...spec, order }, { dimension_separator: "/" }))],
          ["zarr 3", await openTensor(zarr3(folder, `three-${seed}.zarr`, { ...spec, order }), { memoryBytesMax: 8 * sizeOf(chunks) })],
        ] as const;
        for (const [kind, source] of sources) {
          expect([kind, source.dtype, source.shape]).toEqual([kind, type.dtype, shape]);
          const lies = plain && (["npy", "npz", "raw"].includes(kind) || (kind === "fortran" && shape.filter((n) => n !== 1).length < 2));
          expect([kind, source.segments !== undefined]).toEqual([kind, lies || (kind === "fortran" && plain && values.length === 0)]);
          await expectReads(source, values, r, 7);
          for (const { fd, at, items } of source.segments ?? []) {
            const bytes = Buffer.alloc(items * type.bytes);
            expect(readSync(fd, bytes, 0, bytes.length, at)).toBe(data.length);
            expect(bytes.equals(data)).toBe(true);
          }
          await source.close();
        }
      }
  });
});

describe("64-bit integers beyond 2^53", () => {
  const words = BigInt64Array.of(1n, 2n ** 53n + 1n, -(2n ** 63n), 2n ** 63n - 1n);
  const bytes = Buffer.from(words.buffer);
  const signed = npyFile("<i8", [4], bytes);

  test('are an error that names item and byte; int64: "number" rounds to the nearest', async () => {
    const path = folder.file("i.npy", signed);
    const source = await openTensor(path);
    await source.read(new Float64Array(1), 0);
    const error = await failure(source.read(new Float64Array(2), 0));
    expect([error.code, error.given]).toEqual(["ERR_FOURFOLD_INTEGER", 2n ** 53n + 1n]);
    expect(error.message).toContain("item 1 (byte 136)");
    await source.close();
    const rounded = await openTensor(path, { int64: "number" });
    const target = new Float64Array(4);
    await rounded.read(target, 0);
    expect([...target]).toEqual([1, Number(2n ** 53n + 1n), -(2 ** 63), 2 ** 63]);
    await rounded.close();
  });

  test("random ones round as Number(bigint) does, signed and unsigned, in both byte orders", async () => {
    const r = random(5);
    const words = BigUint64Array.from({ length: 4096 }, () => {
      const bits = (BigInt(r.int(2 ** 32)) << 32n) | BigInt(r.int(2 ** 32));
      return bits >> BigInt(r.int(64));
    });
    const little = Buffer.from(words.buffer);
    for (const [dtype, numbers] of [
      ["u64", Array.from(words, Number)],
      ["i64", Array.from(new BigInt64Array(words.buffer), Number)],
    ] as const)
      for (const byteOrder of ["little", "big"] as const) {
        const data = byteOrder === "little" ? little : Buffer.from(little).swap64();
        const source = await openRaw(folder.file("w.bin", data), { shape: [4096], dtype, byteOrder, int64: "number" });
        const target = new Float64Array(4096);
        await source.read(target, 0);
        expect([...target]).toEqual(numbers);
        await source.close();
      }
  });

  test('int64: "reject" refuses the type, in every format', async () => {
    const values = Float64Array.of(1, 2);
    for (const type of [typeOf("i64"), typeOf("u64")]) {
      const spec = { type, shape: [2], chunks: [2], values };
      for (const path of [
        folder.file("j.npy", npyFile(`<${type.numpy}`, [2], bytesOf(type, values))),
        folder.file("j.npz", zipFile([{ name: "a.npy", data: npyFile(`<${type.numpy}`, [2], bytesOf(type, values)) }])),
        zarr2(folder, "j2.zarr", spec),
        zarr3(folder, "j3.zarr", spec),
      ])
        expect((await failure(openTensor(path, { int64: "reject" }))).code).toBe("ERR_FOURFOLD_DTYPE");
      expect((await failure(openRaw(folder.file("j.bin", ""), { shape: [0], dtype: type.type, int64: "reject" }))).code).toBe(
        "ERR_FOURFOLD_DTYPE",
      );
    }
  });

  test("another policy is refused", async () => {
    const error = await failure(openTensor(folder.file("i.npy", signed), { int64: "maybe" as "exact" }));
    expect(error.code).toBe("ERR_FOURFOLD_ARGUMENT");
  });
});

test("a boolean that is neither 0 nor 1 is an error that names item and byte", async () => {
  const source = await openTensor(folder.file("b.npy", npyFile("|b1", [3], Buffer.of(1, 0, 7))));
  const error = await failure(source.read(new Uint8Array(3), 0));
  expect([error.code, error.at]).toEqual(["ERR_FOURFOLD_FORMAT", { file: source.name, index: 2 }]);
  expect(error.message).toContain("item 2 (byte 130) is 7");
  await source.close();
});

describe("Fortran order", () => {
  test("is read in bands, whatever they may hold, and whole with nothing kept", async () => {
    const r = random(9);
    const shape = [61, 7, 19];
    const values = valuesOf(typeOf("f32"), sizeOf(shape), r);
    const path = folder.file("f.npy", npyFile("<f4", shape, bytesOf(typeOf("f32"), fortran(values, shape)), true));
    for (const memoryBytesMax of [200, 19 * 4, 7 * 19 * 4, 5 * 7 * 19 * 4, 1 << 20]) {
      const source = await openNpy(path, { memoryBytesMax });
      await expectReads(source, values, r, 24);
      const target = new Float32Array(values.length);
      const done: number[] = [];
      await source.readInto(target, { onProgress: (progress) => done.push(progress.done) });
      expect([target, done]).toEqual([values, [4 * values.length]]);
      await source.close();
    }
  });

  test("runs far apart are read one by one, runs near by with what lies between", async () => {
    const r = random(10);
    for (const shape of [
      [3000, 40],
      [40, 3000],
      [70_000, 3],
      [2, 3, 30_000],
    ]) {
      const values = valuesOf(typeOf("f64"), sizeOf(shape), r);
      const path = folder.file("g.npy", npyFile("<f8", shape, bytesOf(typeOf("f64"), fortran(values, shape)), true));
      const source = await openNpy(path, { memoryBytesMax: 64_000 });
      await expectReads(source, values, r, 4);
      await source.close();
    }
  });

  test("can be left by its signal", async () => {
    const path = folder.file("h.npy", npyFile("<f8", [300, 40], Buffer.alloc(8 * 300 * 40), true));
    const source = await openNpy(path, { memoryBytesMax: 8000 });
    expect((await failure(source.read(new Float64Array(12_000).subarray(1), 0, { signal: AbortSignal.abort() }))).code).toBe(
      "ERR_FOURFOLD_ABORTED",
    );
    await source.read(new Float64Array(5), 0);
    await source.close();
  });
});

describe("a source", () => {
  const path = folder.file("s.npy", npyFile("<f4", [6], Buffer.alloc(24)));

  test("refuses targets that do not fit, with what would", async () => {
    const source = await openTensor(path);
    for (const [target, first] of [
      [new Float64Array(1), 0],
      [new Float32Array(7), 0],
      [new Float32Array(1), 6],
      [new Float32Array(1), -1],
      [new Float32Array(1), 0.5],
    ] as const)
      expect((await failure(source.read(target, first))).code).toBe("ERR_FOURFOLD_ARGUMENT");
    await source.close();
  });

  test("that is closed says so; closing again does nothing", async () => {
    const values = Float32Array.of(1, 2);
    const npy = npyFile("<f4", [2], bytesOf(typeOf("f32"), values));
    const spec = { type: typeOf("f32"), shape: [2], chunks: [1], values };
    const npz = folder.file("k.npz", zipFile([{ name: "a", data: npy, method: 8 }]));
    for (const each of [path, npz, zarr3(folder, "k.zarr", spec)]) {
      const source = await openTensor(each);
      await source.close();
      await source.close();
      const error = await failure(source.read(arrayOf(source.dtype, 1), 0));
      expect([error.code, error.message]).toEqual(["ERR_FOURFOLD_SOURCE", expect.stringContaining("is closed")]);
    }
  });
});

describe("a source that is closed", () => {
  const N = 1 << 16;
  const f64 = typeOf("f64");
  const ones = new Float64Array(N).fill(1);
  const plain = npyFile("<f8", [N], bytesOf(f64, ones));
  const kinds: readonly (readonly [string, () => string])[] = [
    ["as it lies in memory", () => folder.file("held.npy", plain)],
    ["big endian", () => folder.file("held-big.npy", npyFile(">f8", [N], bytesOf(f64, ones, false)))],
    ["in Fortran order", () => folder.file("held-f.npy", npyFile("<f8", [256, N / 256], bytesOf(f64, ones), true))],
    ["deflated", () => folder.file("held.npz", zipFile([{ name: "a.npy", data: plain, method: 8 }]))],
    ["in chunks", () => zarr3(folder, "held.zarr", { type: f64, shape: [N], chunks: [N / 4], values: ones })],
    [
      "in an Arrow column",
      () => folder.file("held.arrow", tableToIPC(new Table({ x: vectorFromArray([...ones], new Float64()) }), "file")),
    ],
  ];
  /** Another file, of the same size, which takes the number of a file that was closed. */
  const openOther = (): Promise<TensorSource> =>
    openTensor(folder.file("other.npy", npyFile("<f8", [N], bytesOf(f64, new Float64Array(N).fill(7)))));

  test.each(kinds)("%s, is refused by a run, though another file has its number", async (_, pathOf) => {
    const engine = await createEngine({ workers: 1 });
    const source = await openTensor(pathOf());
    await source.close();
    const other = await openOther();
    const error = await failure(engine.run(chain(sum()), source));
    expect([error.code, error.message]).toEqual(["ERR_FOURFOLD_SOURCE", expect.stringContaining("is closed")]);
    expect(error.fix).toBe("Close a source after the last read of it");
    await Promise.all([other.close(), engine.close()]);
  });

  test("keeps its number, and is read, until the last hold of it ends", async () => {
    const source = await openTensor(kinds[0]![1]());
    const [first, second] = [source.hold!(), source.hold!()];
    const closing = source.close();
    first();
    first(); // which says nothing new
    const other = await openOther();
    expect(other.segments![0]!.fd).not.toBe(source.segments![0]!.fd);
    const target = new Float64Array(N);
    await source.read(target, 0);
    expect(target).toEqual(ones);
    second();
    await closing;
    expect((await failure((async () => source.hold!())())).code).toBe("ERR_FOURFOLD_SOURCE");
    await other.close();
  });

  test.each(kinds)("%s, while a run is under way, stays open for that run and no other", async (_, pathOf) => {
    for (const workers of [0, 1]) {
      const engine = await createEngine({ workers });
      const source = await openTensor(pathOf());
      const before = new Float64Array(N);
      const reading = source.read(before, 0);
      const running = engine.run(source.shape!.length === 1 ? chain(sum()) : chain(sum(), sum()), source);
      const closing = source.close();
      const refused = failure(engine.run(chain(sum()), source));
      const other = await openOther();
      expect((await running).value).toBe(N);
      await reading;
      expect(before).toEqual(ones);
      expect((await refused).code).toBe("ERR_FOURFOLD_SOURCE");
      await closing;
      expect((await failure(source.read(before, 0))).code).toBe("ERR_FOURFOLD_SOURCE");
      await Promise.all([other.close(), engine.close()]);
    }
  });
});

describe("openTensor(path)", () => {
  const npy = npyFile("<f4", [2], Buffer.alloc(8));

  test("goes by the content before the ending", async () => {
    const zip = zipFile([{ name: "only.npy", data: npy }]);
    for (const [name, bytes] of [
      ["a.dat", npy],
      ["b.npz", npy],
      ["c.npy", zip],
    ] as const) {
      const source = await openTensor(folder.file(name, bytes));
      expect(source.shape).toEqual([2]);
      await source.close();
    }
  });

  test.each([
    ["a text", "a.txt", "x,y\n", {}, "ERR_FOURFOLD_FORMAT", "of no format that is known here"],
    ["nothing", "a.bin", "", {}, "ERR_FOURFOLD_FORMAT", "give shape and dtype"],
    ["a text called NPY", "a.npy", "x,y\n", {}, "ERR_FOURFOLD_FORMAT", "byte 0: this is not an NPY file"],
    ["a text called NPZ", "a.npz", "x,y\n", {}, "ERR_FOURFOLD_FORMAT", "no directory at its end"],
    ["an option of another format", "a.npy", npy, { array: "x" }, "ERR_FOURFOLD_ARGUMENT", 'the option "array" does not concern npy'],
    ["half of a raw file's options", "a.npy", npy, { shape: [2] }, "ERR_FOURFOLD_ARGUMENT", 'the option "shape" does not concern npy'],
    ["an unknown option", "a.npy", npy, { shap: [2] }, "ERR_FOURFOLD_ARGUMENT", "Did you mean shape?"],
    ["an unknown format", "a.npy", npy, { format: "zar" }, "ERR_FOURFOLD_ARGUMENT", 'Did you mean "zarr"?'],
    ["too little memory to say", "a.npy", npy, { memoryBytesMax: 0 }, "ERR_FOURFOLD_ARGUMENT", "memoryBytesMax"],
    ["a raw file of another size", "a.bin", "12345", { shape: [2], dtype: "f32" }, "ERR_FOURFOLD_FORMAT", "holds 5 bytes, 3 too few"],
    ["a raw file with more", "a.bin", "123456789", { shape: [2], dtype: "f32" }, "ERR_FOURFOLD_FORMAT", "1 too many"],
    ["a raw file of an unknown type", "a.bin", "1234", { shape: [1], dtype: "f33" }, "ERR_FOURFOLD_DTYPE", "Did you mean"],
    ["a raw file of a huge shape", "a.bin", "1", { shape: [2 ** 40, 2 ** 40], dtype: "u8" }, "ERR_FOURFOLD_ARGUMENT", "shape"],
    ["a raw file of a broken shape", "a.bin", "1", { shape: [1.5], dtype: "u8" }, "ERR_FOURFOLD_ARGUMENT", "shape"],
    ["a raw file from before it", "a.bin", "1", { shape: [1], dtype: "u8", offsetBytes: -1 }, "ERR_FOURFOLD_ARGUMENT", "offsetBytes"],
    ["a byte order of its own", "a.bin", "1", { shape: [1], dtype: "u8", byteOrder: "pdp" }, "ERR_FOURFOLD_ARGUMENT", "byteOrder"],
  ])("refuses %s", async (_, name, bytes, options, code, message) => {
    const error = await failure(openTensor(folder.file(name, bytes), options as object));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(message)]);
  });

  test("refuses what is no file, at once", async () => {
    expect((await failure(openTensor(`${folder.path}/none.npy`))).code).toBe("ERR_FOURFOLD_SOURCE");
    expect((await failure(openTensor(3 as unknown as string))).code).toBe("ERR_FOURFOLD_ARGUMENT");
    expect((await failure(openTensor("/dev/null"))).message).toContain("is no file");
    const pipe = `${folder.path}/pipe.npy`;
    expect(spawnSync("sh", ["-c", 'mkfifo "$0"', pipe]).status).toBe(0);
    expect((await failure(openTensor(pipe))).message).toContain("is no file");
  });
});
