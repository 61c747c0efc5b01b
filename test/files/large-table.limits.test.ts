/** Tables that are cut into parts: what they may use and leave behind, what they say, and when a table is one. */
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, watch } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FourfoldError } from "../../src/errors.ts";
import { allowedPlaces } from "../../src/files/folders.ts";
import { type LoadOptions, loadSpec } from "../../src/files/index.ts";
import { outgrows } from "../../src/files/large-estimate.ts";
import { parseSpec } from "../../src/files/spec.ts";
import { createEngine, type Engine, type Result, type RunOptions } from "../../src/index.ts";
import type { Job } from "../../src/job.ts";
import { ROOT } from "../child.ts";
import { Folder, failure, query } from "./fixture.ts";

const folder = new Folder();
const spillDir = join(folder.path, "spill");
let engine: Engine;
beforeAll(async () => {
  mkdirSync(spillDir);
  engine = await createEngine({ workers: 0 });
});
afterAll(async () => {
  await engine.close();
  folder.remove();
});

let specs = 0;
const load = (spec: unknown, options: LoadOptions) => loadSpec(folder.spec(`limits${specs++}.json`, spec), { spillDir, ...options });
const run = async (spec: unknown, load_: LoadOptions, options: RunOptions = {}) => engine.run(await load(spec, load_), options);

/** Rows of DuckDB's own making: half of all records lie in one node. */
const skewed = (records: number): object => ({
  source: {
    sql: `select case when i % 2 = 0 then 7 else hash(i) % 100003 end as sensor, (hash(i + 1) % 1000003) / 7.0 as v, i % 5 + 0.5 as w from range(${records}) t(i)`,
  },
  value: "v",
  levels: [
    { name: "sensor", by: ["sensor"], reduce: "weightedMean", weights: { column: "w" } },
    { name: "all", by: [], reduce: "weightedSum", weights: "count" },
  ],
});

const bytes = (result: Result): Buffer => Buffer.from(result.level("sensor").values.buffer);

/** Memory of which an eighth holds few of 300,000 records of three numbers. */
const SMALL = 32e6;

describe("on disk", () => {
  test("a table with half of its records in one node spills, tells how much, and has the bits of the table in memory", async () => {
    const spec = skewed(3e5);
    const inParts = await run(spec, { spill: "always", memoryBytesMax: SMALL }, { keep: "all" });
    const inMemory = await run(spec, { spill: "never" }, { keep: "all" });
    expect(inParts.value).toBe(inMemory.value);
    expect(Buffer.compare(bytes(inParts), bytes(inMemory))).toBe(0);
    expect(inParts.level("sensor").at(7).count).toBe(inMemory.level("sensor").at(7).count);
    const { parts } = inParts.plan;
    expect(parts!.count).toBeGreaterThan(1);
    expect(parts!.spilledBytes).toBeGreaterThan(1e6);
    expect(String(inParts.plan)).toMatch(/distribute {2}blocks of records in \d+ parts by range of key, [\d.]+ MiB of them on disk/);
    expect(inParts.records).toBe(3e5);
    expect(inParts.steps.map(({ name }) => name)).toEqual(["init", "distribute", "process", "aggregate", "output"]);
    expect(readdirSync(spillDir)).toEqual([]);
  });

  test("beyond spillBytesMax it is an error that names the option, and nothing stays", async () => {
    const error = await failure(run(skewed(3e5), { spill: "always", memoryBytesMax: SMALL, spillBytesMax: 1e6 }));
    expect(error).toMatchObject({ code: "ERR_FOURFOLD_MEMORY", expected: 1e6, fix: expect.stringContaining("spillBytesMax") });
    expect(readdirSync(spillDir)).toEqual([]);
  });

  test("an abort ends reading and reducing, and nothing stays", async () => {
    for (const share of [0.1, 0.6]) {
      const abort = new AbortController();
      const onProgress: RunOptions["onProgress"] = ({ done, total }) => {
        if (done > share * total! && done <= total!) abort.abort();
      };
      const error = await failure(run(skewed(3e5), { spill: "always", memoryBytesMax: SMALL }, { signal: abort.signal, onProgress }));
      expect(error.code).toBe("ERR_FOURFOLD_ABORTED");
      expect(readdirSync(spillDir)).toEqual([]);
    }
  });

  test("a killed run leaves nothing", { timeout: 60_000 }, async () => {
    const spec = folder.spec("killed.json", skewed(2e6));
    const script = `
      import { loadSpec } from ${JSON.stringify(join(ROOT, "dist/files/index.js"))};
      const spec = await loadSpec(${JSON.stringify(spec)}, { spill: "always", memoryBytesMax: ${SMALL}, spillDir: ${JSON.stringify(spillDir)} });
      await spec.rollUp({ accuracy: "exact", keep: [false, true], outgrown: true, onProgress: ({ done }) => { if (done > 5e5) process.kill(process.pid, "SIGKILL"); } });
    `;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: "ignore" });
    const signal = await new Promise((resolve) => child.on("exit", (_, signal) => resolve(signal)));
    expect(signal).toBe("SIGKILL");
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (readdirSync(spillDir).length > 0) return;
        watcher.close();
        resolve();
      };
      const watcher = watch(spillDir, look);
      look();
    });
    expect(readdirSync(spillDir)).toEqual([]);
  });

  test("a folder that is not there is an error with the way out", async () => {
    const error = await failure(run(skewed(10), { spill: "always", spillDir: join(folder.path, "nowhere") }));
    expect(error).toMatchObject({ code: "ERR_FOURFOLD_SOURCE", fix: expect.stringContaining("spillDir") });
  });
});

describe("when", () => {
  test("by DuckDB's estimate against the limit", async () => {
    await query(`copy (select i % 1000 as sensor, i / 7.0 as v, 1 as w from range(300000) t(i)) to '${folder.path}/auto.parquet'`);
    const spec = { ...skewed(1), source: { file: "auto.parquet" } };
    expect((await run(spec, { memoryBytesMax: 24e6 })).plan.backend).toBe("parts");
    expect((await run(spec, { memoryBytesMax: 400e6 })).plan.backend).toBe("wasm");
    expect((await run(spec, { memoryBytesMax: 400e6, spill: "always" })).plan.backend).toBe("parts");
    expect((await run(spec, { spill: "always" }, { backend: "reference" })).plan.backend).toBe("reference");
  });

  test("files that are too small to hold so many records are not asked about", async () => {
    const places = allowedPlaces(folder.path, []);
    const asked = (file: string, records: number): Promise<boolean> => {
      folder.file(file, `sensor,v,w\n${"1,2,3\n".repeat(records)}`);
      const spec = parseSpec(JSON.stringify({ ...skewed(1), source: { file } }));
      // DuckDB cannot so much as open a CSV file in this memory.
      return outgrows(spec, places, { memoryBytesMax: 1e6 }, undefined);
    };
    expect(await asked("small.csv", 1000)).toBe(false);
    expect((await failure(asked("larger.csv", 5000))).code).toBe("ERR_FOURFOLD_MEMORY");
    expect((await failure(asked("pattern*.csv", 1))).code).toBe("ERR_FOURFOLD_MEMORY");
  });

  test("where the estimate was wrong, memory that runs out sends the table to disk, unless it may not go there", async () => {
    const read = () => Promise.reject(new FourfoldError("ERR_FOURFOLD_MEMORY", "too much", {}));
    const wrong = async (options: LoadOptions): Promise<Job> => ({ ...(await load(skewed(1000), options)), read }) as Job;
    const result = await engine.run(await wrong({}));
    expect(result.plan.backend).toBe("parts");
    expect(result.value).toBe((await run(skewed(1000), { spill: "never" })).value);
    const error = await failure(engine.run(await wrong({ spill: "never" })));
    expect(error.code).toBe("ERR_FOURFOLD_MEMORY");
  });

  test("options out of range are refused", async () => {
    for (const options of [{ spill: "yes" }, { spillBytesMax: 0 }, { spillDir: 7 }])
      expect((await failure(load(skewed(1), options as unknown as LoadOptions))).code).toBe("ERR_FOURFOLD_ARGUMENT");
  });
});

describe("what is kept", () => {
  test("nodes of kept levels have keys, values, counts and children; other levels and the records say that they were not kept", async () => {
    const rows = "(values ('b', 1, 2.0), ('a', 2, 3.0), ('a', 1, 5.0), ('a', 1, 7.0)) t(region, site, v)";
    const spec = {
      source: { sql: `select * from ${rows}` },
      value: "v",
      levels: [
        { name: "site", by: ["region", "site"], reduce: "sum" },
        { name: "region", by: ["region"], reduce: "max" },
        { name: "all", by: [], reduce: "mean" },
      ],
    };
    const some = await run(spec, { spill: "always" }, { keep: ["region"] });
    expect(Array.from(some.level("region"), ({ key, path, value, count }) => [key, path, value, count])).toEqual([
      ["a", ["a"], 12, 3],
      ["b", ["b"], 2, 1],
    ]);
    expect(
      some
        .level("all")
        .at()
        .children()
        .map(({ key }) => key),
    ).toEqual(["a", "b"]);
    expect(() => some.level("region").at("a").children()).toThrow('level "site" was not kept');
    expect(() => some.level("site")).toThrow('level "site" was not kept');
    const all = await run(spec, { spill: "always" }, { keep: "all" });
    expect(
      all
        .level("region")
        .at("a")
        .children()
        .map(({ key, value }) => [key, value]),
    ).toEqual([
      [1, 12],
      [2, 3],
    ]);
    expect(() => all.level("site").at("a", 1).children()).toThrow("select those of one node in the SQL");
    expect((await failure(run(spec, { spill: "always" }, { keep: ["nation"] }))).code).toBe("ERR_FOURFOLD_LEVEL");
  });
});

describe("errors are those of tables in memory", () => {
  const over = (rows: string, more: object = {}, outer: object = { reduce: "sum" }, leaf: object = { reduce: "sum" }): object => ({
    source: { sql: `select * from (values ${rows}) t(k, v, w, x)` },
    value: "v",
    levels: [
      { name: "leaf", by: ["k"], ...leaf },
      { name: "all", by: [], ...outer },
    ],
    ...more,
  });
  const weighted = (weights: unknown): object => ({ reduce: "weightedSum", weights });
  const table = (rows: string, more: object = {}): object =>
    weighted({ table: { sql: `select * from (values ${rows}) t(k, y)` }, value: "y", ...more });
  const two = "('b', 1, 2, 3), ('a', 2, 3, 4)";
  test.each([
    ["a null key", over("('b', 1, 2, 3), (null, 2, 3, 4)")],
    ["an integer beyond 2^53", over("('b', 1, 2, 3), ('a', 9007199254740993, 3, 4)")],
    [
      "a weight beyond 2^53",
      over("('b', 1, 9007199254740993, 3), ('a', 2, 2, 4)", {}, { reduce: "sum" }, weighted({ column: "w", missing: "error" })),
    ],
    ["a NaN", over("('b', 1, 2, 3), ('a', 'nan'::double, 3, 4)", { nan: "error" })],
    ["a null", over("('b', null, 2, 3), ('a', null, 3, 4)", { nan: "error" })],
    ["a weight that varies", over("('b', 1, 2, 3), ('b', 2, 3, 4), ('a', 2, 3, 4)", {}, weighted({ column: "x" }))],
    ["a weight that is null for some records", over("('b', 1, 2, 3), ('b', 2, 3, null)", {}, weighted({ column: "x" }))],
    ["an outer weight beyond 2^53", over("('b', 1, 2, 9007199254740993)", {}, weighted({ column: "x" }))],
    ["a NaN weight of an outer level", over("('b', 1, 2, 'nan'::double), ('a', 1, 2, 3)", { nan: "error" }, weighted({ column: "x" }))],
    ["a list of another length", over(two, {}, weighted([1, 2, 3]))],
    ["a table without a row for a child", over(two, {}, table("('a', 1)"))],
    ["an empty table", over(two, {}, weighted({ table: { sql: "select 'a' as k, 1 as y where false" }, value: "y" }))],
    ["a table of numbers for keys that are texts", over("('1', 1, 2, 3)", {}, table("(1, 1)"))],
    ["a table with two rows for a child", over(two, {}, table("('a', 1), ('b', 1), ('a', 2)"))],
    ["a table with an integer beyond 2^53", over(two, {}, table("('a', 1), ('b', 9007199254740993)"))],
    ["a table with a NaN", over(two, { nan: "error" }, table("('a', 'nan'::double), ('b', 1)"))],
    ["a table with a null", over(two, {}, table("('a', 1), ('b', null)"))],
    ["a table without a weight for a child, whose first weight is null", over(two, {}, table("('c', null), ('d', 1), ('b', 1)"))],
    ["a table with 1.5 for a key that is 2", over("(2, 1, 2, 3), (1, 1, 2, 3)", {}, table("(1, 1), (1.5::DOUBLE, 1)"))],
    [
      "a table with 2^60 as DOUBLE for a key that is an integer",
      over("(1152921504606846976, 1, 2, 3)", {}, table("(1152921504606846976::DOUBLE, 1)")),
    ],
    ["a table with infinity for a null key", over("(null::DOUBLE, 1, 2, 3)", { nullKeys: "group" }, table("('inf'::DOUBLE, 1)"))],
    [
      "a weight that is null",
      over("('b', 1, null, 3), ('a', 1, 2, 3)", {}, { reduce: "sum" }, weighted({ column: "w", missing: "error" })),
    ],
    ["a weight of an outer level that is null", over("('b', 1, 2, null), ('a', 1, 2, 3)", {}, weighted({ column: "x", missing: "error" }))],
    ["an expression that is null", over("('b', 1, null, 3)", {}, { reduce: "sum" }, weighted({ expression: "w + 1", missing: "error" }))],
    ["an integer type that is refused", over("('b', 1::BIGINT, 2, 3)", { int64: "reject" })],
    ["a condition that is none", over(two, { source: { sql: "select 'a' as k, 1 as v", where: "nothing > 1" } })],
    [
      "a weight that varies before an integer beyond 2^53",
      over("('a', 1, 2, 3), ('a', 1, 2, 4), ('b', 9007199254740993, 2, 3)", {}, weighted({ column: "x" })),
    ],
    [
      "an integer beyond 2^53 before a weight that varies",
      over("('a', 9007199254740993, 2, 3), ('b', 1, 2, 4), ('b', 1, 2, 3)", {}, weighted({ column: "x" })),
    ],
    [
      "a weight that varies beside a table that is not there",
      {
        ...over("('a', 1, 2, 3), ('a', 1, 2, 4)"),
        levels: [
          { name: "leaf", by: ["k"], reduce: "sum" },
          { name: "mid", by: [], ...weighted({ column: "x" }) },
          { name: "all", by: [], ...weighted({ table: { file: "nowhere.csv" }, value: "y" }) },
        ],
      },
    ],
    [
      "a list of another length beside a table that is not there",
      {
        ...over("('a', 1, 2, 3), ('b', 1, 2, 4)"),
        levels: [
          { name: "leaf", by: ["k"], reduce: "sum" },
          { name: "mid", by: [], ...weighted([1]) },
          { name: "all", by: [], ...weighted({ table: { file: "nowhere.csv" }, value: "y" }) },
        ],
      },
    ],
    ["a table without a row after one with a NaN", over(two, { nan: "error" }, table("('a', 'nan'::double)"))],
    ["a column that is not there", over(two, { value: "z" })],
    ["a key that is no key", { ...over(two), source: { sql: "select [1] as k, 2 as v" } }],
    ["a file that is not there", { ...over(two), source: { file: "nowhere.parquet" } }],
  ])("%s", async (_, spec) => {
    const name = `error${specs++}.json`;
    const path = folder.spec(name, spec);
    const errors = await Promise.all(
      (["never", "always"] as const).map(async (spill) => failure(engine.run(await loadSpec(path, { spill, spillDir })))),
    );
    const [inMemory, inParts] = errors.map(({ code, message, fix, at, given, expected }) => ({ code, message, fix, at, given, expected }));
    expect(inParts).toEqual(inMemory);
    expect(readdirSync(spillDir)).toEqual([]);
  });

  test("a weight that a table leaves out is what `missing` says", async () => {
    const spec = over(two, {}, table("('a', 10)", { missing: 1 }));
    expect((await run(spec, { spill: "always" })).value).toBe(21);
  });

  test("zeros, infinite keys and integers of text have the bits of the table in memory", async () => {
    folder.file("zeros.csv", `k,v\n${"1,-0\n".repeat(3)}2,5\n`);
    const minimum = { source: { file: "zeros.csv" }, value: "v", levels: [{ name: "k", by: ["k"], reduce: "min" }] };
    const mixed = over("('a', 1, 2, 0.0::DOUBLE), ('a', 1, 2, '-0.0'::DOUBLE)", {}, weighted({ column: "x" }));
    const infinite = over("('inf'::DOUBLE, 1, 2, 3), (null, 2, 2, 3)", { nullKeys: "group" }, table("('inf'::DOUBLE, 4), (null, 8)"));
    for (const [spec, expected] of [
      [minimum, [-0, 5]],
      [infinite, [20]],
    ] as const) {
      expect(Array.from((await run(spec, { spill: "never" })).values)).toEqual(expected);
      expect(Array.from((await run(spec, { spill: "always" })).values)).toEqual(expected);
    }
    for (const spill of ["never", "always"] as const)
      expect((await run(mixed, { spill }, { keep: "all" })).level("leaf").at("a").weight).toBe(-0);
  });

  test("a source that gives other rows each time is told", async () => {
    const spec = { ...skewed(1), source: { sql: "select random()::VARCHAR as sensor, 1 as v, 1 as w from range(100)" } };
    expect(await failure(run(spec, { spill: "always" }))).toMatchObject({
      code: "ERR_FOURFOLD_SOURCE",
      fix: expect.stringContaining("file"),
    });
  });
});
