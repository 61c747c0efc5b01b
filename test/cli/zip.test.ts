// Archives made here byte by byte, and damaged ones.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { readEntries, unpack } from "../../src/cli/zip.ts";
import { failing } from "../failing.ts";

const folder = mkdtempSync(join(tmpdir(), "fourfold-zip-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A ZIP archive, as APPNOTE.TXT has it; checksums are not read, so they are 0. */
function zip(files: Readonly<Record<string, Buffer>>, method: 0 | 8, comment = ""): Buffer {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let at = 0;
  for (const [name, content] of Object.entries(files)) {
    const packed = method === 8 ? deflateRawSync(content) : content;
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    local.writeUInt16LE(3, 28);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(method, 10);
    entry.writeUInt32LE(packed.length, 20);
    entry.writeUInt32LE(content.length, 24);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt16LE(2, 30);
    entry.writeUInt32LE(at, 42);
    locals.push(local, Buffer.from(name), Buffer.alloc(3), packed);
    central.push(entry, Buffer.from(name), Buffer.alloc(2));
    at += local.length + name.length + 3 + packed.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Object.keys(files).length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(at, 16);
  end.writeUInt16LE(comment.length, 20);
  return Buffer.concat([...locals, directory, end, Buffer.from(comment)]);
}

const FILES = { "a/first.txt": Buffer.from("one"), "second.bin": Buffer.alloc(3_000_000, "abc") };
const file = (name: string, bytes: Buffer): string => {
  writeFileSync(join(folder, name), bytes);
  return join(folder, name);
};

describe.each([
  ["stored", 0],
  ["deflated", 8],
] as const)("a %s archive", (kind, method) => {
  const archive = file(`${kind}.zip`, zip(FILES, method, "a comment"));

  test("gives its files back", async () => {
    const entries = await readEntries(archive);
    expect(entries.map(({ name, size }) => [name, size])).toEqual(Object.entries(FILES).map(([name, { length }]) => [name, length]));
    for (const entry of entries) {
      let bytes = 0;
      await unpack(archive, entry, join(folder, "out"), (done) => (bytes = done), undefined);
      expect(bytes).toBe(entry.size);
      expect(readFileSync(join(folder, "out")).equals(FILES[entry.name as keyof typeof FILES])).toBe(true);
    }
  });

  test("that tells a wrong size is refused", async () => {
    const [entry] = await readEntries(archive);
    const error = await failing(() => unpack(archive, { ...entry!, size: 2 }, join(folder, "out"), () => undefined, undefined));
    expect([error.code, error.at]).toEqual(["ERR_FOURFOLD_FORMAT", { file: archive }]);
  });
});

test.each([
  ["nothing", Buffer.alloc(0)],
  ["no archive", Buffer.from("a text and no archive, but long enough to hold an end record")],
  ["one whose directory was cut out", Buffer.concat([Buffer.alloc(9), zip(FILES, 0).subarray(-22)])],
])("%s is refused", async (name, bytes) => {
  expect((await failing(async () => readEntries(file(`${name}.zip`, bytes)))).code).toBe("ERR_FOURFOLD_FORMAT");
});
