// NPZ archives: by Python's own zipfile and by the writer of these tests, damaged and hostile.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { deflateRawSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { FourfoldError } from "../../src/errors.ts";
import { openNpz, openTensor } from "../../src/files/index.ts";
import { random } from "../random.ts";
import { Folder, failure } from "./fixture.ts";
import { bytesOf, expectReads, type Member, npyFile, typeOf, valuesOf, zipFile } from "./tensor-files.ts";

const folder = new Folder();
afterAll(() => folder.remove());

const RUNS = Number(process.env["FOURFOLD_TIMES"] ?? 1);
const f32 = typeOf("f32");
const values = valuesOf(f32, 600, random(1));
const npy = npyFile("<f4", [20, 30], bytesOf(f32, values));

/** Opens an array and reads it to its end. */
async function readAll(path: string, array?: string): Promise<void> {
  const source = await openNpz(path, { array });
  try {
    await source.read(new Float32Array(source.length), 0);
  } finally {
    await source.close();
  }
}

test.each([
  ["into a file", "sys.argv[1]"],
  ["into a pipe, with lengths behind the data", "sys.stdout.buffer"],
])("what Python's zipfile writes %s is read, stored and deflated", async (_, target) => {
  const program = `
import struct, sys, zipfile
def npy(descr, shape, data, fortran=False):
    head = repr({"descr": descr, "fortran_order": fortran, "shape": shape}).encode()
    head += b" " * (-(11 + len(head)) % 64) + b"\\n"
    return b"\\x93NUMPY\\x01\\x00" + struct.pack("<H", len(head)) + head + data
small = npy(">i4", (3, 5), struct.pack(">15i", *[5 * (i % 3) + i // 3 for i in range(15)]), True)
large = npy("<f8", (40000,), struct.pack("<40000d", *[i / 8 for i in range(40000)]))
with zipfile.ZipFile(${target}, "w") as archive:
    with archive.open("wide.npy", "w", force_zip64=True) as member:
        member.write(large)
    archive.writestr("packed.npy", large, zipfile.ZIP_DEFLATED)
    archive.writestr("fortran.npy", small, zipfile.ZIP_DEFLATED)
`;
  const path = `${folder.path}/python.npz`;
  const { status, stdout, stderr } = spawnSync("python3", ["-c", program, path], { maxBuffer: 1 << 24 });
  expect([status, stderr.toString()]).toEqual([0, ""]);
  if (stdout.length > 0) folder.file("python.npz", stdout);
  const expected = Float64Array.from({ length: 40_000 }, (_, i) => i / 8);
  for (const [array, whole, shape] of [
    ["wide", expected, [40_000]],
    ["packed", expected, [40_000]],
    ["fortran", Int32Array.from({ length: 15 }, (_, i) => i), [3, 5]],
  ] as const) {
    const source = await openTensor(path, { array, verify: true });
    expect(source.shape).toEqual(shape);
    expect(source.name).toBe(`${path}:${array}`);
    expect(source.segments === undefined).toBe(array !== "wide");
    await expectReads(source, whole, random(2), 6);
    await source.close();
  }
});

describe("the array", () => {
  const path = folder.file(
    "two.npz",
    zipFile(
      [
        { name: "weights.npy", data: npy },
        { name: "bias.npy", data: npy, method: 8 },
      ],
      { comment: "PK\x05\x06" },
    ),
  );

  test("needs no name where there is one", async () =>
    readAll(folder.file("one.npz", zipFile([{ name: "arr_0.npy", data: npy, method: 8 }]))));

  test("may be named with or without its ending", async () => {
    await readAll(path, "bias");
    await readAll(path, "bias.npy");
  });

  test.each([
    ["none of two", undefined, "ERR_FOURFOLD_ARGUMENT", "it has weights, bias"],
    ["one that is not there", "wieghts", "ERR_FOURFOLD_ARGUMENT", 'Did you mean "weights"?'],
    ["one unlike any", "x", "ERR_FOURFOLD_ARGUMENT", "It has weights, bias"],
  ])("%s is an error with the names", async (_, array, code, message) => {
    const error = await failure(openNpz(path, { array }));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(message)]);
    expect(error.expected).toEqual(["weights", "bias"]);
  });
});

describe("a hostile archive is refused", () => {
  const bomb = deflateRawSync(Buffer.concat([npy, Buffer.alloc(1 << 26)]));
  const lie = (member: Partial<Member>, data = npy): Buffer => zipFile([{ name: "a.npy", data, ...member }]);
  const inside = zipFile([
    { name: "a.npy", data: npy },
    { name: "b.npy", data: npy, at: 20 },
  ]);
  const huge = npyFile("<f4", [2 ** 31, 2 ** 10], Buffer.alloc(100));

  test.each([
    ["members that overlap", inside, "overlap"],
    ["a member that unpacks to more than it claims", lie({ method: 8, body: bomb }), "unpacks to more than the"],
    ["a member that unpacks to less", lie({ method: 8, body: deflateRawSync(npy.subarray(0, 1000)) }), "unpacks to 1000 bytes"],
    ["a claim that deflate cannot reach", lie({ method: 8, size: 2 ** 31 }), "which cannot be"],
    ["a stored member of two sizes", lie({ size: 2 ** 31 }), "which cannot be"],
    ["a member behind the directory", lie({ packed: 2 ** 31, size: 2 ** 31 }), "claims to end behind"],
    ["a member that starts nowhere", lie({ at: 2 ** 31 }), "claims to end behind"],
    ["a member with another header", lie({ localName: "b.npy" }), "is not the one in the directory"],
    ["a member without a header", lie({ at: 1 }), "is missing"],
    ["a wrong CRC-32", lie({ method: 8, crc: 1 }), "its CRC-32 is not the directory's"],
    ["bytes that are not deflated", lie({ method: 8, body: Buffer.alloc(900, 0xff) }), "does not unpack"],
    ["a shape beyond the member", lie({}, huge), "the file holds"],
    ["a shape beyond the deflated member", lie({ method: 8 }, huge), "the file holds"],
    ["an encrypted member", lie({ flags: 1 }), "is encrypted"],
    ["a member packed by bzip2", lie({ method: 12 }), "by method 12"],
    ["a member that is no NPY", lie({}, Buffer.from("pickle")), "this is not an NPY file"],
    ["an empty member", lie({ method: 8 }, Buffer.alloc(0)), "this is not an NPY file"],
    [
      "two members of one name",
      zipFile([
        { name: "a.npy", data: npy },
        { name: "a.npy", data: npy },
      ]),
      "none is named",
    ],
  ])("%s", async (_, bytes, message) => {
    const error = await failure(readAll(folder.file("hostile.npz", bytes)));
    expect(error.message).toContain(message);
    expect(["ERR_FOURFOLD_FORMAT", "ERR_FOURFOLD_ARGUMENT"]).toContain(error.code);
  });

  test("two members of the name that is asked for", async () => {
    const path = folder.file(
      "twice.npz",
      zipFile([
        { name: "a.npy", data: npy },
        { name: "a.npy", data: npy },
      ]),
    );
    expect((await failure(openNpz(path, { array: "a" }))).message).toContain('has 2 arrays "a"');
  });

  test("a directory of more members than its bytes can hold", async () => {
    const bytes = zipFile([{ name: "a.npy", data: npy }]);
    bytes.writeUInt16LE(60_000, bytes.length - 12);
    bytes.writeUInt16LE(60_000, bytes.length - 14);
    expect((await failure(readAll(folder.file("many.npz", bytes)))).message).toContain("claims 60000 members");
  });

  test("ZIP64 records that lead elsewhere", async () => {
    const good = zipFile([{ name: "a.npy", data: npy }], { zip64: true });
    const locator = good.length - 42;
    for (const [at, value, message] of [
      [locator + 8, 2n ** 60n, "beyond 2^53"],
      [locator + 8, BigInt(good.length), "points behind itself"],
      [locator + 8, 0n, "the ZIP64 end record is missing"],
      [locator - 56 + 40, 2n ** 40n, "which cannot be"],
      [locator - 56 + 48, 0n, "member 0 of the directory is missing"],
    ] as const) {
      const bytes = Buffer.from(good);
      bytes.writeBigUInt64LE(value, at);
      expect((await failure(readAll(folder.file("wide.npz", bytes)))).message).toContain(message);
    }
  });
});

test("verify finds a changed byte of a stored array, which reading does not", async () => {
  const bytes = zipFile([{ name: "a.npy", data: npy }]);
  bytes[1000] = bytes[1000]! ^ 1;
  const path = folder.file("changed.npz", bytes);
  await readAll(path);
  const error = await failure(openNpz(path, { verify: true }));
  expect([error.code, error.message]).toEqual(["ERR_FOURFOLD_FORMAT", expect.stringContaining("CRC-32")]);
});

test("a changed byte of a deflated array is found when its end is read, and the start can be read again", async () => {
  const many = valuesOf(f32, 20_000, random(3));
  const whole = npyFile("<f4", [20_000], bytesOf(f32, many));
  const packed = deflateRawSync(whole, { level: 0 });
  packed[50_000] = packed[50_000]! ^ 1;
  const source = await openNpz(folder.file("changed.npz", zipFile([{ name: "a.npy", data: whole, method: 8, body: packed }])));
  const target = new Float32Array(100);
  await source.read(target, 300);
  expect(target).toEqual(many.slice(300, 400));
  for (let i = 0; i < 2; i++) expect((await failure(source.read(target, 19_900))).message).toContain("CRC-32");
  await source.read(target, 300);
  expect(target).toEqual(many.slice(300, 400));
  await source.close();
});

test("an array that is shorter than a header can be is checked when it is opened", async () => {
  const path = folder.file("short.npz", zipFile([{ name: "a.npy", data: npy, method: 8, crc: 1 }]));
  expect((await failure(openNpz(path))).message).toContain("CRC-32");
});

test("a deflated array in Fortran order must fit in memoryBytesMax", async () => {
  const path = folder.file("f.npz", zipFile([{ name: "a.npy", data: npyFile("<f4", [20, 30], bytesOf(f32, values), true), method: 8 }]));
  const error = await failure(openNpz(path, { memoryBytesMax: 2399 }));
  expect([error.code, error.given, error.expected]).toEqual(["ERR_FOURFOLD_MEMORY", 2400, 2399]);
  await (await openNpz(path, { memoryBytesMax: 2400 })).close();
});

describe.each([
  ["stored", 0, false],
  ["deflated", 8, true],
] as const)("a damaged %s archive ends in values or a typed error", (_, method, zip64) => {
  const small = npyFile("<f4", [5], bytesOf(f32, values.slice(0, 5)));
  const good = zipFile(
    [
      { name: "a.npy", data: small, method },
      { name: "b.npy", data: small, method },
    ],
    { zip64 },
  );

  test("cut at any byte", async () => {
    for (let length = 0; length < good.length; length++)
      expect((await failure(readAll(folder.file("cut.npz", good.subarray(0, length)), "a"))).code).toBe("ERR_FOURFOLD_FORMAT");
  });

  test("with changed bytes", async () => {
    const r = random(7);
    let refused = 0;
    for (let run = 0; run < 150 * RUNS; run++) {
      const bytes = Buffer.from(good);
      for (let i = 0; i <= r.int(3); i++) bytes[r.int(bytes.length)] = r.int(256);
      await readAll(folder.file("changed.npz", bytes), "a").catch((error: unknown) => {
        refused++;
        if (!(error instanceof FourfoldError)) throw error;
      });
    }
    expect(refused).toBeGreaterThan(50);
  });
});

test.runIf(process.platform === "linux")("no file stays open after an error", async () => {
  const open = (): number => readdirSync("/proc/self/fd").length;
  const path = folder.file("bad.npz", zipFile([{ name: "a.npy", data: npy, method: 8, crc: 1 }]));
  const before = open();
  for (let i = 0; i < 20; i++) await failure(openNpz(path, { verify: true }));
  expect(open()).toBeLessThan(before + 10);
});
