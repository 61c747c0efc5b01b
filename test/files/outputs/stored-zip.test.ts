// Archives beyond 4 GiB, which have fields of 64 bits, as Python reads them. The members are holes: they take no room on the disk.
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { directoryOf, localHeader, type Member } from "../../../src/files/outputs/stored-zip.ts";
import { outputOf, runChild } from "../../child.ts";
import { Folder } from "../fixture.ts";

const folder = new Folder();
afterAll(() => folder.remove());

test.each([
  ["a member of 5 GiB", [5 * 2 ** 30, 16]],
  ["a member that begins beyond 4 GiB", [3 * 2 ** 30, 2 ** 30, 16]],
  ["a member as long as a field of 32 bits can say", [2 ** 32 - 1]],
  ["small members", [8, 16]],
])("an archive with %s says where each member is", async (_, sizes) => {
  const path = join(folder.path, `${sizes.length}-${sizes[0]}.npz`);
  const file = openSync(path, "w");
  const members: Member[] = [];
  let offset = 0;
  for (const [i, bytes] of sizes.entries()) {
    const member = { name: Buffer.from(`é${i}.npy`), crc: i, bytes, offset };
    members.push(member);
    const head = localHeader(member);
    writeSync(file, head, 0, head.length, offset);
    offset += head.length + bytes;
  }
  const directory = directoryOf(members, offset);
  writeSync(file, directory, 0, directory.length, offset);
  ftruncateSync(file, offset + directory.length);
  closeSync(file);
  const program = `
import json, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
print(json.dumps([[m.filename, m.file_size, m.compress_size, m.header_offset, m.CRC] for m in archive.infolist()]))
for member in archive.infolist():
    archive.open(member).close()  # compares the member's own header
`;
  expect(JSON.parse(await outputOf(runChild("python3", ["-c", program, path])))).toEqual(
    members.map(({ name, bytes, crc }, i) => [name.toString(), bytes, bytes, members[i]!.offset, crc]),
  );
});
