// Columns of Arrow tables in memory, as both libraries for JavaScript hold them; what Apache Arrow reads in them is the oracle.
import * as flechette from "@uwdata/flechette";
import { Float32, Float64, Int64, Table, tableFromIPC, Utf8, vectorFromArray } from "apache-arrow";
import { describe, expect, test } from "vitest";
import { tensor } from "../../src/files/index.ts";
import { random } from "../random.ts";
import { bytesOf, expected, LEAVES, randomColumn, typeOf } from "./arrow-cases.ts";
import { failure } from "./fixture.ts";

const RUNS = Number(process.env["FOURFOLD_RUNS"] ?? 60);

test("every leaf and offset is what Arrow reads, in random nestings of both libraries", async () => {
  for (let seed = 0; seed < RUNS; seed++) {
    const rng = random(seed + 90_001);
    const levels = Array.from({ length: rng.int(4) }, () => rng.pick([0, 0, -1, 1, 2, 3]));
    const column = randomColumn(rng, levels, rng.pick(LEAVES), rng.int(2) === 0);
    const bytes = bytesOf(column, "stream");
    const table = new Table({ x: column.vector });
    const want = expected(column.vector, levels);
    const isDense = levels.every((size) => size > 0);
    for (const given of [table, tableFromIPC(bytes), flechette.tableFromIPC(bytes)]) {
      const { data, shape, offsets } = await tensor(given, { column: "x" });
      const name = `seed ${seed}: ${levels.join(",")} ${column.leaf}`;
      expect(Array.from(data), name).toEqual(want.leaves);
      expect(shape, name).toEqual(isDense ? [column.vector.length, ...levels] : undefined);
      const lengths = offsets?.map((level) => Array.from(level.subarray(1), (end, i) => end - level[i]!));
      expect(lengths, name).toEqual(isDense ? undefined : want.lengths.toReversed());
    }
  }
});

test("leaves in one chunk, of a dtype of ours and without nulls, are used as they lie", async () => {
  const lists = vectorFromArray([[1, 2], [], [3]], typeOf([0], new Float32()));
  const { data, offsets, copiedBytes } = await tensor(new Table({ x: lists }), { column: "x" });
  expect(data.buffer).toBe(lists.data[0]!.children[0]!.values.buffer);
  expect([data, offsets, copiedBytes]).toEqual([Float32Array.of(1, 2, 3), [Uint32Array.of(0, 2, 2, 3)], 16]);
  const rest = await tensor(new Table({ x: lists }).slice(1), { column: "x" });
  expect([rest.data, rest.offsets]).toEqual([Float32Array.of(3), [Uint32Array.of(0, 0, 1)]]);
  const flat = vectorFromArray([1, 2], new Float64());
  expect(await tensor(new Table({ x: flat }), { column: "x" })).toEqual({ data: Float64Array.of(1, 2), shape: [2], copiedBytes: 0 });
});

describe("what cannot be is refused", () => {
  test("other columns, other tables, and integers beyond 2^53", async () => {
    const table = new Table({
      delays: vectorFromArray([[1n], [2n ** 60n]], typeOf([0], new Int64())),
      name: vectorFromArray(["a", "b"], new Utf8()),
    });
    const error = await failure(tensor(table, { column: "delays" }));
    expect([error.code, error.at]).toMatchObject(["ERR_FOURFOLD_INTEGER", { row: 1, index: 1 }]);
    expect((await tensor(table, { column: "delays", int64: "number" })).data).toEqual(Float64Array.of(1, 2 ** 60));
    expect((await failure(tensor(table, { column: "delays", int64: "reject" }))).code).toBe("ERR_FOURFOLD_COLUMN");
    expect((await failure(tensor(table, { column: "delay" }))).fix).toBe('Did you mean "delays"?');
    expect((await failure(tensor(table, { column: "name" }))).code).toBe("ERR_FOURFOLD_COLUMN");
    expect((await failure(tensor({ x: [1] }, { column: "x" }))).code).toBe("ERR_FOURFOLD_ARGUMENT");
  });
});
