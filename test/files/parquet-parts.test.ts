// Results become whole Parquet files, read back here with DuckDB; a stream that goes on from a checkpoint writes each row once.
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, expectTypeOf, test, vi } from "vitest";
import { type ParquetSink, type ParquetSinkOptions, parquetSink } from "../../src/files/index.ts";
import type { Sink, StreamResult } from "../../src/stream/types.ts";
import { failing, hex } from "../failing.ts";
import { random } from "../random.ts";
import { CONTEXT, frame, pane } from "../stream/sinks/results.ts";
import { Folder, query } from "./fixture.ts";

const folder = new Folder();
afterAll(() => folder.remove());
afterEach(() => {
  vi.useRealTimers();
});
let dirs = 0;
const fresh = (): string => join(folder.path, `it's part ${dirs++}`);
const one = (value: number, region: string | number | bigint | boolean | null = "eu", start = 0): StreamResult =>
  pane({ region: [[[region], [value], 3]] }, start);
const all = (dir: string, columns = "value"): Promise<unknown[][]> =>
  query(
    `select ${columns} from read_parquet('${dir.replaceAll("'", "''")}/*.parquet', filename = true) order by filename, file_row_number`,
  );

async function opened(dir: string, options: ParquetSinkOptions = {}): Promise<ParquetSink> {
  const sink = parquetSink(dir, options);
  await sink.open(undefined, CONTEXT);
  return sink;
}

test("the sink is one that streams take", () => {
  expectTypeOf<ParquetSink>().toExtend<Sink>();
});

describe("a part", () => {
  test("has a row for each node, with types that a reader expects", async () => {
    const dir = fresh();
    const sink = await opened(dir, { levels: "all" });
    await sink.write([pane({ site: [[["eu", 7n], [0.1], 2]], region: [[["eu"], [-0], 2]] })]);
    await sink.close();
    expect(readdirSync(dir)).toEqual(["part-000001.parquet"]);
    const described = await query(`describe select * from '${dir.replaceAll("'", "''")}/part-000001.parquet'`);
    expect(described.map(([name, type]) => `${name} ${type}`)).toEqual([
      ...["id VARCHAR", "start DOUBLE", "end DOUBLE", "timing VARCHAR", "pane BIGINT", "isLast BOOLEAN", "frame BIGINT"],
      ...["watermark DOUBLE", "weightsVersion BIGINT", "level VARCHAR", "region VARCHAR", "site BIGINT", "value DOUBLE", "records BIGINT"],
    ]);
    expect(await all(dir, "* exclude (filename)")).toEqual([
      ["0..60000/0", 0, 60000, "on-time", 0n, true, null, 60000, 2n, "site", "eu", 7n, 0.1, 2n],
      ["0..60000/0", 0, 60000, "on-time", 0n, true, null, 60000, 2n, "region", "eu", null, -0, 2n],
    ]);
  });

  test("keeps the bits of values and every text", async () => {
    const { numbers } = random(9);
    const values = [...numbers(3000, "cancelling"), ...numbers(2000, "specials")];
    const dir = fresh();
    const sink = await opened(dir);
    await sink.write(values.map((value, i) => one(value, `${"é\u0000'\"\n"[i % 5]}${i}`)));
    await sink.close();
    const rows = await all(dir, "value, region");
    expect(hex(rows.map(([value]) => value as number))).toEqual(hex(values));
    expect(rows.map(([, region]) => region)).toEqual(values.map((_, i) => `${"é\u0000'\"\n"[i % 5]}${i}`));
  });

  test("of frames has their number, and a column for each output", async () => {
    const dir = fresh();
    const sink = parquetSink(dir);
    await sink.open(undefined, { levels: [{ name: "k", keys: [], outputs: 2 }] });
    await sink.write([frame(4, [1, 2])]);
    await sink.close();
    expect(await all(dir, "id, start, frame, watermark, level, value0, value1")).toEqual([["frame 4", null, 4n, null, "k", 1, 2]]);
  });

  test("has keys of one kind, from part to part; others end the stream", async () => {
    for (const [first, other] of [
      ["eu", 1],
      [1, "eu"],
      [true, 1],
      [1n, 2n ** 63n],
    ] as const) {
      const dir = fresh();
      const sink = await opened(dir);
      await sink.write([one(1, null), one(1, first)]);
      const position = await sink.flush();
      await sink.close();
      const next = parquetSink(dir);
      await next.open(JSON.parse(JSON.stringify(position)), CONTEXT);
      const error = await failing(() => next.write([one(2, null), one(2, other)]));
      expect(error).toMatchObject({ code: "ERR_FOURFOLD_OUTPUT", given: other });
      expect(await failing(() => next.flush())).toBe(error);
      await next.close();
      expect((await all(dir)).flat()).toEqual([1, 1]);
    }
  });
});

describe("parts end", () => {
  test.each([
    ["rowsMax", { rowsMax: 2 }],
    ["bytesMax", { bytesMax: 200 }],
  ])("at %s", async (_, options) => {
    const dir = fresh();
    const sink = await opened(dir, options);
    await sink.write([one(1), one(2), one(3)]);
    expect(readdirSync(dir)).toEqual(["part-000001.parquet"]);
    await sink.write([one(4), one(5)]);
    await sink.close();
    expect(readdirSync(dir)).toEqual(["part-000001.parquet", "part-000002.parquet", "part-000003.parquet"]);
    expect((await all(dir)).flat()).toEqual([1, 2, 3, 4, 5]);
  });

  test("when their first row has waited msMax", async () => {
    const dir = fresh();
    const sink = await opened(dir, { msMax: 50 });
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    await sink.write([one(1)]);
    vi.advanceTimersByTime(30);
    await sink.write([one(2)]);
    vi.advanceTimersByTime(19);
    await sink.write([one(3)]);
    vi.advanceTimersByTime(1); // the part of the first three
    await sink.write([]);
    await sink.write([one(4)]);
    expect(await sink.flush()).toMatchObject({ parts: 2 });
    await sink.close();
    expect(
      (
        await query(
          `select list(value) from read_parquet('${dir.replaceAll("'", "''")}/*.parquet', filename = true) group by filename order by filename`,
        )
      ).map(([list]) => list),
    ).toEqual([[1, 2, 3], [4]]);
  });

  test("at each flush with rows, and there is none without", async () => {
    const dir = fresh();
    const sink = await opened(dir);
    expect(await sink.flush()).toEqual({ sink: "parquet", parts: 0, types: [null] });
    await sink.write([one(1)]);
    expect(await sink.flush()).toEqual({ sink: "parquet", parts: 1, types: ["VARCHAR"] });
    expect(await sink.flush()).toEqual({ sink: "parquet", parts: 1, types: ["VARCHAR"] });
    await sink.close();
    expect(readdirSync(dir)).toEqual(["part-000001.parquet"]);
  });
});

describe("a folder", () => {
  test("goes back to a position: later parts and unfinished ones go, files of others stay", async () => {
    const dir = fresh();
    const sink = await opened(dir);
    const start = await sink.flush();
    await sink.write([one(1)]);
    const position = await sink.flush();
    await sink.write([one(2)]);
    await sink.close();
    writeFileSync(join(dir, ".part-000003.parquet.tmp"), "half");
    writeFileSync(join(dir, "notes.txt"), "mine");
    const next = parquetSink(dir);
    await next.open(position, CONTEXT);
    expect(readdirSync(dir).sort()).toEqual(["notes.txt", "part-000001.parquet"]);
    await next.write([one(3)]);
    await next.close();
    expect((await all(dir)).flat()).toEqual([1, 3]);
    const again = parquetSink(dir);
    await again.open(start, CONTEXT);
    await again.close();
    expect(readdirSync(dir)).toEqual(["notes.txt"]);
  });

  test("with parts, and a stream without a position: it goes on counting", async () => {
    const dir = fresh();
    mkdirSync(dir);
    for (const name of ["part-000009.parquet", "part-000010.parquet"]) writeFileSync(join(dir, name), "");
    const sink = await opened(dir);
    await sink.write([one(1)]);
    await sink.close();
    expect(readdirSync(dir)).toContain("part-000011.parquet");
  });

  test("shows whole parts only, and a part that cannot be written leaves none", async () => {
    const dir = fresh();
    const sink = await opened(dir);
    await sink.write([one(1)]);
    mkdirSync(join(dir, "part-000001.parquet"));
    const error = await failing(() => sink.flush());
    expect(error).toMatchObject({ code: "ERR_FOURFOLD_OUTPUT", at: { file: join(dir, "part-000001.parquet") } });
    expect(await failing(() => sink.write([one(2)]))).toBe(error);
    await sink.close();
    expect(readdirSync(dir)).toEqual(["part-000001.parquet"]);
  });

  test("what the timer cannot write is thrown by the next call, or by the end", async () => {
    for (const call of ["write", "close"] as const) {
      const dir = fresh();
      const sink = await opened(dir, { msMax: 50 });
      mkdirSync(join(dir, "part-000001.parquet"));
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
      await sink.write([one(1)]);
      vi.advanceTimersByTime(50);
      vi.useRealTimers();
      expect(
        await failing(async () => {
          // The part fails after some turns of the event loop; until then rows are taken.
          for (let n = 0; call === "write" && n < 1e6; n++) {
            await sink.write([]);
            await new Promise(setImmediate);
          }
          await sink.close();
        }),
      ).toMatchObject({ code: "ERR_FOURFOLD_OUTPUT" });
      await sink.close();
    }
  });

  test("that is a file, or one of a checkpoint of another sink, is refused", async () => {
    const file = folder.file("a file", "");
    expect(await failing(() => opened(file))).toMatchObject({ code: "ERR_FOURFOLD_OUTPUT", at: { file } });
    for (const position of [{ sink: "csv", bytes: 1 }, { sink: "parquet", parts: -0.5, types: [] }, {}])
      expect(await failing(() => parquetSink(fresh()).open(position, CONTEXT))).toMatchObject({ code: "ERR_FOURFOLD_OUTPUT" });
  });

  test.each([
    ["no path", () => parquetSink(7 as never)],
    ["a URL of no file", () => parquetSink(new URL("https://example.org/"))],
    ["an unknown option", () => parquetSink("a", { rows: 1 } as never)],
    ["rowsMax 0", () => parquetSink("a", { rowsMax: 0 })],
    ["a long msMax", () => parquetSink("a", { msMax: 2 ** 31 })],
    ["levels that are no list", () => parquetSink("a", { levels: "site" as never })],
  ])("%s is refused", async (_, make) => {
    expect(await failing(make)).toMatchObject({ code: "ERR_FOURFOLD_ARGUMENT" });
  });

  test("is not used before it is opened, and a level that is not kept is refused", async () => {
    expect(await failing(() => parquetSink(fresh()).write([one(1)]))).toMatchObject({ code: "ERR_FOURFOLD_OUTPUT" });
    expect(await failing(() => opened(fresh(), { levels: ["x"] }))).toMatchObject({ code: "ERR_FOURFOLD_LEVEL" });
  });
});
