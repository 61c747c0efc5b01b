// The files are written by Apache Arrow's own library for JavaScript, and what it reads in them is the oracle.
import { tableFromIPC } from "apache-arrow";
import { afterAll, expect, test } from "vitest";
import { openArrowTensor } from "../../src/files/index.ts";
import type { TensorSource, TypedData } from "../../src/types.ts";
import { type Random, random } from "../random.ts";
import { bytesOf, expected, LEAVES, randomColumn } from "./arrow-cases.ts";
import { Folder } from "./fixture.ts";

const RUNS = Number(process.env["FOURFOLD_RUNS"] ?? 300);
const folder = new Folder();
afterAll(() => folder.remove());

const ARRAY_OF = { f64: Float64Array, f32: Float32Array, i32: Int32Array, i16: Int16Array, i8: Int8Array, u8: Uint8Array } as const;

/** All leaves, read in pieces of random sizes in random order. */
async function leavesOf(source: TensorSource, rng: Random): Promise<TypedData> {
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

test.each(["file", "stream"] as const)("every leaf and offset is what Arrow reads, in random nestings: %s", async (format) => {
  for (let seed = 0; seed < RUNS; seed++) {
    const rng = random(seed * 7919 + (format === "file" ? 1 : 2));
    const levels = Array.from({ length: rng.int(5) }, () => rng.pick([0, 0, 1, 2, 3]));
    const column = randomColumn(rng, levels, rng.pick(LEAVES), rng.int(2) === 0);
    const bytes = bytesOf(column, format);
    const path = folder.file("random.arrow", bytes);
    const want = expected(tableFromIPC(bytes).getChild("x")!, levels);
    const source = await openArrowTensor(path, { column: "x" });
    const name = `seed ${seed}: ${levels.join(",")} ${column.leaf}`;
    try {
      expect(source.length, name).toBe(want.leaves.length);
      const isDense = levels.every((size) => size > 0);
      expect(source.shape, name).toEqual(isDense ? [column.vector.length, ...levels] : undefined);
      const lengths = source.offsets?.map((o) => Array.from(o.subarray(1) as Uint32Array, (end, i) => end - Number(o[i])));
      expect(lengths, name).toEqual(isDense ? undefined : want.lengths.toReversed());
      const leaves = await leavesOf(source, rng);
      for (let i = 0; i < leaves.length; i++)
        if (!Object.is(leaves[i], want.leaves[i])) expect(leaves[i], `${name}: leaf ${i}`).toBe(want.leaves[i]);
    } finally {
      await source.close();
    }
  }
});
