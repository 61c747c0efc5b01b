// Files of Arrow with changed, cut and repeated bytes end in a tensor or in a typed error; what is held stays in proportion to what is there.
import { Float64, makeData, Vector } from "apache-arrow";
import { afterAll, expect, test } from "vitest";
import { FourfoldError } from "../../src/errors.ts";
import { openArrowTensor } from "../../src/files/index.ts";
import { type Random, random } from "../random.ts";
import { bytesOf, LEAVES, randomColumn } from "./arrow-cases.ts";
import { Folder } from "./fixture.ts";

const RUNS = Number(process.env["FOURFOLD_RUNS"] ?? 300);
const folder = new Folder();
afterAll(() => folder.remove());

const ARRAY_OF = { f64: Float64Array, f32: Float32Array, i32: Int32Array, i16: Int16Array, i8: Int8Array, u8: Uint8Array } as const;
const NASTY = [0, 1, 7, 8, 0x7f, 0x80, 0xff];

/** One change: most of them where lengths and offsets stand, and a length becomes a large one more often than chance has it. */
function change(rng: Random, bytes: Buffer): Buffer {
  const at = rng.int(bytes.length);
  switch (rng.int(7)) {
    case 0:
      return bytes.subarray(0, at);
    case 1:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(rng.int(bytes.length))]);
    case 2:
      if (at + 8 <= bytes.length)
        bytes.writeBigInt64LE(rng.pick([-1n, 2n ** 31n, 2n ** 40n, 2n ** 62n, BigInt(rng.int(1000))]), at & ~7 & (bytes.length - 8));
      return bytes;
    case 3:
      if (at + 4 <= bytes.length) bytes.writeInt32LE(rng.pick([-1, 2 ** 31 - 1, -(2 ** 31), 2 ** 20, rng.int(100)]), at);
      return bytes;
    default:
      bytes[at] = rng.int(2) === 0 ? rng.pick(NASTY) : rng.int(256);
      return bytes;
  }
}

test("damaged files end in a tensor or a typed error, within memory in proportion to their bytes", async () => {
  let refused = 0;
  const before = process.memoryUsage().rss;
  for (let seed = 0; seed < RUNS; seed++) {
    const rng = random(seed + 20261123);
    const levels = Array.from({ length: rng.int(4) }, () => rng.pick([0, -1, 2]));
    const column = randomColumn(rng, levels, rng.pick(LEAVES), rng.int(2) === 0);
    let bytes: Buffer = Buffer.from(bytesOf(column, rng.pick(["file", "stream"]), rng.pick([undefined, undefined, "lz4"])));
    for (let n = 1 + rng.int(3); n > 0 && bytes.length > 0; n--) bytes = change(rng, bytes);
    const path = folder.file("damaged.arrow", bytes);
    try {
      const source = await openArrowTensor(path, { column: "x", int64: "number" });
      try {
        // A byte holds eight booleans, and LZ4 makes at most 255 bytes of one, of a small buffer a block.
        expect(source.length, `seed ${seed}`).toBeLessThan(8 * (255 * bytes.length + (1 << 17)));
        for (const offsets of source.offsets ?? []) expect(offsets.length, `seed ${seed}`).toBeLessThan(255 * bytes.length + (1 << 17));
        const some = new ARRAY_OF[source.dtype](Math.min(source.length, 1 << 16));
        await source.read(some, 0);
      } finally {
        await source.close();
      }
    } catch (error) {
      if (!(error instanceof FourfoldError)) throw new Error(`seed ${seed}: ${error}`, { cause: error });
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(RUNS / 4);
  expect(process.memoryUsage().rss - before).toBeLessThan(256 << 20);
});

test("blocks that lie over one another are refused: they would make more of the bytes than there are", async () => {
  const data = makeData({ type: new Float64(), data: new Float64Array(100) });
  const bytes = Buffer.from(bytesOf({ vector: new Vector([data, data]) }, "file"));
  const footer = bytes.subarray(bytes.length - 10 - bytes.readInt32LE(bytes.length - 10));
  // A block is the byte at which a message begins, the size of its description, and that of its body.
  const isBlock = (at: number): boolean => {
    const message = Number(footer.readBigInt64LE(at));
    if (!(message > 0 && message < bytes.length - 8) || bytes.readUInt32LE(message) !== 0xffffffff) return false;
    return bytes.readInt32LE(message + 4) + 8 === footer.readInt32LE(at + 8);
  };
  const [first, second] = Array.from({ length: footer.length - 24 }, (_, at) => at).filter(isBlock);
  footer.copy(footer, second!, first!, first! + 24);
  await expect(openArrowTensor(folder.file("over.arrow", bytes), { column: "x" })).rejects.toMatchObject({
    code: "ERR_FOURFOLD_FORMAT",
    message: expect.stringContaining("does not lie between the others and the footer"),
  });
});
