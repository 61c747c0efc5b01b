import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { FourfoldError } from "../../src/errors.ts";
import { openNpy, readNpy } from "../../src/files/index.ts";
import { Folder, failure } from "./fixture.ts";

const folder = new Folder();
afterAll(() => folder.remove());

/** An NPY file as NumPy lays it out: the header padded to a multiple of 64. */
function npy(dict: string, data: ArrayBufferView, version: 1 | 2 | 3 = 1): Buffer {
  const start = version === 1 ? 10 : 12;
  const text = Buffer.from(dict, version === 3 ? "utf8" : "latin1");
  const length = Math.ceil((start + text.length + 1) / 64) * 64 - start;
  const head = Buffer.alloc(start + length, " ");
  head.write("\x93NUMPY", 0, "latin1");
  head[6] = version;
  head[7] = 0;
  if (version === 1) head.writeUInt16LE(length, 8);
  else head.writeUInt32LE(length, 8);
  text.copy(head, start);
  head[head.length - 1] = 10;
  return Buffer.concat([head, Buffer.from(data.buffer, data.byteOffset, data.byteLength)]);
}

const dict = (descr: string, shape: string, fortran = "False"): string =>
  `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }`;

const write = (bytes: Uint8Array, name = "a.npy"): string => folder.file(name, bytes);

describe("readNpy(path)", () => {
  test.each([
    ["<f8", "f64", Float64Array.of(1.5, -2, Number.NaN, Number.POSITIVE_INFINITY, 0, 1e-310)],
    ["<f4", "f32", Float32Array.of(1.5, -2, Number.NaN, 0.1, 0, 3)],
    ["<i4", "i32", Int32Array.of(1, -2, 2147483647, -2147483648, 0, 6)],
    ["<i2", "i16", Int16Array.of(1, -2, 32767, -32768, 0, 6)],
    ["|i1", "i8", Int8Array.of(1, -2, 127, -128, 0, 6)],
    ["|u1", "u8", Uint8Array.of(1, 2, 255, 128, 0, 6)],
  ] as const)("%s is read as %s, in versions 1, 2 and 3", async (descr, dtype, data) => {
    for (const version of [1, 2, 3] as const)
      expect(await readNpy(write(npy(dict(descr, "(2, 3)"), data, version)))).toEqual({ data, shape: [2, 3], dtype });
  });

  test("int64 within ±2^53 becomes float64; beyond it is an error that names item and byte", async () => {
    const edge = BigInt64Array.of(2n ** 53n, -(2n ** 53n), -1n, 0n, 1n << 40n, -(1n << 40n) - 1n);
    const { data, dtype } = await readNpy(write(npy(dict("<i8", "(6,)"), edge)));
    expect([dtype, data]).toEqual(["f64", Float64Array.from(edge, Number)]);
    for (const [i, bad] of [2n ** 53n + 1n, -(2n ** 53n) - 1n, 2n ** 63n - 1n, -(2n ** 63n)].entries()) {
      const values = new BigInt64Array(5);
      values[i] = bad;
      const error = await failure(readNpy(write(npy(dict("<i8", "(5,)"), values))));
      expect(error.code).toBe("ERR_FOURFOLD_INTEGER");
      expect(error.message).toContain(`item ${i} (byte ${128 + 8 * i})`);
      expect(error.given).toBe(bad);
    }
  });

  test("Fortran order is read whole, while others read parts of it, without mixing them up", async () => {
    const [rows, columns] = [4096, 512]; // 16 MiB: many windows of the file, and turns of the event loop between them
    const path = write(
      npy(
        dict("<f8", `(${rows}, ${columns})`, "True"),
        Float64Array.from({ length: rows * columns }, (_, i) => i),
      ),
    );
    const file = await openNpy(path, { memoryBytesMax: 1 << 18 });
    const whole = new Float64Array(rows * columns);
    const again = new Float64Array(rows * columns);
    const late = new Float64Array(64 * columns);
    const early = new Float64Array(64 * columns);
    await Promise.all([file.readInto(whole), file.read(late, 3000 * columns), file.readInto(again), file.read(early, 10 * columns)]);
    const wrong = (data: Float64Array, row: number): number =>
      data.reduce((n, value, i) => n + Number(value !== (i % columns) * rows + row + Math.floor(i / columns)), 0);
    expect([wrong(whole, 0), wrong(again, 0), wrong(late, 3000), wrong(early, 10)]).toEqual([0, 0, 0, 0]);
    await file.close();
  });

  test("Fortran order comes out in C order, for every shape", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 5 }), fc.constantFrom("<i4", "<i8"), async (shape, descr) => {
        const length = shape.reduce((a, b) => a * b, 1);
        const values = Int32Array.from({ length }, (_, i) => i); // item i in C order
        const file = new Int32Array(length);
        for (let i = 0; i < length; i++) {
          let rest = i;
          let place = 0;
          let stride = length;
          for (let axis = shape.length - 1; axis >= 0; axis--) {
            const extent = shape[axis] as number;
            stride /= extent;
            place += (rest % extent) * stride;
            rest = Math.floor(rest / extent);
          }
          file[place] = i;
        }
        const bytes = descr === "<i4" ? file : BigInt64Array.from(file, BigInt);
        const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
        const read = await readNpy(write(npy(dict(descr, tuple, "True"), bytes)));
        expect(read.shape).toEqual(shape);
        expect(Array.from(read.data)).toEqual(Array.from(values));
      }),
      { numRuns: 60 },
    );
  });

  test("fills memory of the caller, shared or not, in pieces", async () => {
    const data = Float32Array.from({ length: 3_000_000 }, (_, i) => i);
    const file = await openNpy(write(npy(dict("<f4", "(1000, 3000)"), data)));
    expect([file.shape, file.length, file.dtype, file.fortranOrder, file.dataStart]).toEqual([[1000, 3000], 3_000_000, "f32", false, 128]);
    const memory = new Float32Array(new SharedArrayBuffer(4 * 3_000_002), 4, 3_000_000);
    const done: number[] = [];
    await file.readInto(memory, { onProgress: (p) => done.push(p.done) });
    expect(memory.every((value, i) => value === i)).toBe(true);
    expect(done).toEqual([1 << 22, 1 << 23, 12_000_000]);
    expect((await failure(file.readInto(new Float32Array(3)))).code).toBe("ERR_FOURFOLD_ARGUMENT");
    expect((await failure(file.readInto(new Float64Array(3_000_000)))).code).toBe("ERR_FOURFOLD_ARGUMENT");
    const controller = new AbortController();
    expect((await failure(file.readInto(memory, { signal: controller.signal, onProgress: () => controller.abort() }))).code).toBe(
      "ERR_FOURFOLD_ABORTED",
    );
    await file.close();
  });

  test("a scalar has shape (), an empty array no items", async () => {
    expect(await readNpy(write(npy(dict("<f8", "()"), Float64Array.of(3))))).toEqual({ data: Float64Array.of(3), shape: [], dtype: "f64" });
    expect((await readNpy(write(npy(dict("<f8", "(0, 7)"), new Uint8Array(0))))).data).toEqual(new Float64Array(0));
  });

  test("more than memoryBytesMax is refused before it is allocated", async () => {
    const error = await failure(readNpy(write(npy(dict("<f8", "(3,)"), new Float64Array(3))), { memoryBytesMax: 23 }));
    expect(error.code).toBe("ERR_FOURFOLD_MEMORY");
  });
});

describe("bad files are refused with the byte", () => {
  const six = new Float64Array(6);
  const good = npy(dict("<f8", "(2, 3)"), six);
  const header = (text: string): Buffer => npy(text, six);

  test.each([
    ["an empty file", Buffer.alloc(0), "byte 0: this is not an NPY file"],
    ["text", Buffer.from("1,2,3\n4,5,6\n"), "byte 0: this is not an NPY file"],
    ["version 4", Buffer.concat([good.subarray(0, 6), Buffer.of(4, 0), good.subarray(8)]), "byte 6: NPY version 4.0 is not known"],
    ["a cut header", good.subarray(0, 50), "byte 50: the file ends inside its header, which claims to end at byte 128"],
    ["cut data", good.subarray(0, 150), 'byte 150: shape (2, 3) of "<f8" needs 48 bytes from byte 128, the file holds 22'],
    ["more data", Buffer.concat([good, Buffer.of(1)]), "needs 48 bytes from byte 128, the file holds 49"],
    ["a lying shape", header(dict("<f8", "(2, 4)")), "needs 64 bytes from byte 128, the file holds 48"],
    ["a huge shape", header(dict("<f8", "(4294967296, 4294967296, 0)")), "the file holds 48"],
    ["an overflowing shape", header(dict("<f8", "(99999999999999999999, 9999999999)")), "the file holds 48"],
    ["a negative shape", header(dict("<f8", "(-2, -3)")), "the header is not the dictionary that NumPy writes"],
    ["a shape of texts", header(dict("<f8", "('2', 3)")), "the header's shape is not a list of extents"],
    ["no shape", header("{'descr': '<f8', 'fortran_order': False}"), "the header's shape is not a list of extents"],
    ["no order", header("{'descr': '<f8', 'shape': (6,)}"), "fortran_order is not True or False"],
    ["an unknown key", header("{'descr': '<f8', 'fortran_order': False, 'shape': (6,), 'x': 1}"), 'unknown key "x"'],
    ["a key twice", header("{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (6,)}"), 'the key "descr" twice'],
    ["an expression", header("{'descr': __import__('os'), 'fortran_order': False, 'shape': (6,)}"), "the header is not the dictionary"],
    ["text behind", header(`${dict("<f8", "(6,)")} + 1`), "text follows the header's dictionary"],
  ])("%s", async (_, bytes, message) => {
    const error = await failure(readNpy(write(bytes)));
    expect(error.code).toBe("ERR_FOURFOLD_FORMAT");
    expect(error.message).toContain(message);
    expect(error.at?.index).toBeTypeOf("number");
  });

  test("a header that claims more than 10,000 bytes", async () => {
    const bytes = Buffer.concat([Buffer.from("\x93NUMPY\x02\x00", "latin1"), Buffer.of(0xff, 0xff, 0xff, 0xff), Buffer.alloc(100)]);
    expect((await failure(readNpy(write(bytes)))).message).toContain("claims 4294967295 bytes, at most 10000");
  });

  test.each([
    ["|O", '"|O"', "if it holds numbers"],
    ["<M8[ns]", '"<M8[ns]"', "a.astype('<f8')"],
    ["<f16", '"<f16"', "a.astype('<f8')"],
    ["<c8", '"<c8"', "Convert them"],
    ["__proto__", '"__proto__"', "Convert them"],
  ])("items of %s", async (descr, message, fix) => {
    const error = await failure(readNpy(write(npy(dict(descr, "(6,)"), six))));
    expect(error.code).toBe("ERR_FOURFOLD_DTYPE");
    expect(error.message).toContain(message);
    expect(error.fix).toContain(fix);
  });

  test("a structured array, a folder, a missing file", async () => {
    expect((await failure(readNpy(write(npy("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (6,)}", six))))).code).toBe(
      "ERR_FOURFOLD_DTYPE",
    );
    expect((await failure(readNpy(folder.path))).code).toBe("ERR_FOURFOLD_SOURCE");
    expect((await failure(readNpy(`${folder.path}/none.npy`))).code).toBe("ERR_FOURFOLD_SOURCE");
  });

  test("200 mutated headers end in an array or a typed error", async () => {
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ at: fc.nat({ max: 140 }), byte: fc.nat({ max: 255 }) }), { minLength: 1, maxLength: 4 }),
        fc.nat({ max: 200 }),
        async (changes, cut) => {
          const bytes = Buffer.from(good);
          for (const { at, byte } of changes) bytes[at] = byte;
          const path = write(cut > good.length ? bytes : bytes.subarray(0, cut));
          await readNpy(path).then(
            (array) => expect(array.data.length).toBe(array.shape.reduce((a, b) => a * b, 1)),
            (error) => {
              refused++;
              expect(error).toBeInstanceOf(FourfoldError);
            },
          );
        },
      ),
      { numRuns: 200, seed: 20261122 },
    );
    expect(refused).toBeGreaterThan(100);
  });
});
