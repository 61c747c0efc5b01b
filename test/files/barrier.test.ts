// Reading behind the barrier gives what reading without it gives; and whatever the process there does, the caller gets a typed error.
import { spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test, vi } from "vitest";
import { Barrier } from "../../src/files/barrier.ts";
import type { ReadRequest } from "../../src/files/barrier-child.ts";
import { loadSpec } from "../../src/files/index.ts";
import type { TypedData } from "../../src/types.ts";
import { ROOT } from "../child.ts";
import { Folder, failure, nested } from "./fixture.ts";

const folder = new Folder();
const faulty = new Barrier(new URL("./faulty-reader.mjs", import.meta.url));
afterAll(() => {
  faulty.close();
  folder.remove();
});

const over = (source: object, more: object = {}): object => ({
  source,
  value: "v",
  levels: [
    { name: "leaf", by: ["k"], reduce: "sum" },
    { name: "all", by: [], reduce: "mean" },
  ],
  ...more,
});

describe("a table that is read behind the barrier is the same", () => {
  const KEYS: readonly (readonly [string, string])[] = [
    ["integers", "i % 7"],
    ["integers beyond 2^53", "9007199254740993 + i % 7"],
    ["texts", "'schlüssel \u{1f600} ' || (i % 300)"],
    ["empty texts", "''"],
    ["fractions", "(i % 7) / 2.0"],
    ["infinities", "case i % 3 when 0 then 'inf'::double when 1 then '-inf'::double else 0 end"],
    ["booleans", "i % 2 = 0"],
    ["nulls", "case when i % 5 = 0 then null else i % 5 end"],
    ["one for each record", "i"],
  ];
  test.each(KEYS)("keys that are %s", async (_, key) => {
    const spec = over({ sql: `select ${key} as k, i * 0.5 as v from range(5000) r(i)` }, { nullKeys: "group" });
    expect(nested(await folder.read(spec, { untrusted: true }))).toEqual(nested(await folder.read(spec)));
  });

  test.each(["double", "float", "integer", "smallint", "tinyint", "utinyint", "bigint"])("values of type %s", async (type) => {
    const spec = over({ sql: `select i % 3 as k, (i % 100)::${type} as v from range(3000) r(i)` });
    const [there, here] = [await folder.read(spec, { untrusted: true }), await folder.read(spec)];
    expect(there.values.constructor).toBe(here.values.constructor);
    expect(nested(there)).toEqual(nested(here));
  });

  test("weights, no records at all, and the policies of NaN and null keys", async () => {
    folder.file("weights.csv", "k,w\n0,0.5\n1,2\n2,3\n");
    const weighted = {
      source: { sql: "select i % 3 as k, i % 2 as l, i as v, i / 7 as w from range(100) r(i)" },
      value: "v",
      levels: [
        { name: "l", by: ["k", "l"], reduce: "weightedMean", weights: { column: "w" } },
        { name: "k", by: ["k"], reduce: "weightedSum", weights: [1, 2] },
        { name: "all", by: [], reduce: "weightedMean", weights: { table: { file: "weights.csv" }, value: "w" } },
      ],
    };
    const strip = ({ levels, records, values }: Awaited<ReturnType<typeof folder.read>>): unknown => ({ levels, records, values });
    expect(strip(await folder.read(weighted, { untrusted: true }))).toEqual(strip(await folder.read(weighted)));
    const none = over({ sql: "select 1 as k, 1.5::double as v where false" });
    expect(strip(await folder.read(none, { untrusted: true }))).toEqual(strip(await folder.read(none)));
    const nulls = over({ sql: "select null::int as k, 'nan'::double as v" });
    for (const options of [{}, { nan: "error" }] as const) {
      const a = await failure(folder.read(nulls, { ...options, untrusted: true }));
      const b = await failure(folder.read(nulls, options));
      expect([a.code, a.message, a.at, a.fix]).toEqual([b.code, b.message, b.at, b.fix]);
    }
  });

  test("its values are copied once, into the memory that was asked for", async () => {
    const spec = over({ sql: "select 1 as k, i::double as v from range(100000) r(i)" });
    const shared = new Float64Array(new SharedArrayBuffer(8 * 100_000 + 64), 64, 100_000);
    const asked: unknown[] = [];
    const allocate = (dtype: string, length: number): TypedData => {
      asked.push([dtype, length]);
      return shared;
    };
    const seen: number[] = [];
    const table = await folder.read(spec, { untrusted: true, allocate, onProgress: ({ done }) => seen.push(done) });
    expect(asked).toEqual([["f64", 100_000]]);
    expect(table.values).toBe(shared);
    expect(shared.toSorted()).toEqual(Float64Array.from({ length: 100_000 }, (_, i) => i));
    const offsets = table.levels.reduce((sum, level) => sum + level.offsets.byteLength, 0);
    expect(table.bytesCopied).toBe(8 * 100_000 + offsets);
    expect(seen.length).toBeGreaterThan(0);
  });

  test("errors come back with code, message, place and way out", async () => {
    folder.file("sales.csv", "k,v\n1,2\n");
    for (const source of [
      { file: "sale.csv" },
      { sql: "select nope from 'sales.csv'" },
      { file: "../x.csv" },
      { sql: "copy 'x' to 'y'" },
    ]) {
      const [there, here] = [await failure(folder.read(over(source), { untrusted: true })), await failure(folder.read(over(source)))];
      expect([there.code, there.message, there.at, there.fix]).toEqual([here.code, here.message, here.at, here.fix]);
    }
    const missing = over({ file: "sales.csv" }, { value: "w" });
    const [there, here] = [await failure(folder.read(missing, { untrusted: true })), await failure(folder.read(missing))];
    expect([there.code, there.message, there.at]).toEqual([here.code, here.message, here.at]);
  });
});

describe("what takes too long or too much is ended", () => {
  const endless = over({ sql: "select i % 3 as k, i as v from range(100000000000) r(i)" });

  test("at its deadline", async () => {
    const error = await failure(folder.read(endless, { untrusted: true, deadlineMsMax: 100 }));
    expect([error.code, error.given]).toEqual(["ERR_FOURFOLD_DEADLINE", 100]);
  });

  test("by its caller, with the signal's reason", async () => {
    const controller = new AbortController();
    const reading = failure(folder.read(endless, { untrusted: true, signal: controller.signal, deadlineMsMax: 60_000 }));
    setImmediate(() => controller.abort("enough"));
    const error = await reading;
    expect([error.code, error.cause]).toEqual(["ERR_FOURFOLD_ABORTED", "enough"]);
    expect((await failure(folder.read(endless, { untrusted: true, signal: AbortSignal.abort() }))).code).toBe("ERR_FOURFOLD_ABORTED");
  });

  test("at the memory that its bytes allow", async () => {
    const wide = over({ sql: "select i % 3 as k, i as v, repeat('x', 1000) || i as t from range(10000000) r(i) order by t" });
    expect((await failure(folder.read(wide, { untrusted: true, deadlineMsMax: 60_000 }))).code).toBe("ERR_FOURFOLD_MEMORY");
  });

  test("and the next reading goes well", async () => {
    expect(nested(await folder.read(over({ sql: "select 1 as k, 2.5::double as v" }), { untrusted: true }))).toEqual([
      [[], [[[1], [2.5]]]],
    ]);
  });

  test("what a progress callback throws is the caller's", async () => {
    const onProgress = (): never => {
      throw new RangeError("mine");
    };
    const spec = over({ sql: "select 1 as k, i::double as v from range(300000) r(i)" });
    await expect(folder.read(spec, { untrusted: true, onProgress })).rejects.toThrow(new RangeError("mine"));
  });

  test("not more than a few processes run at a time, and all readings are served", async () => {
    const spec = over({ sql: "select 1 as k, i::double as v from range(10) r(i)" });
    const tables = await Promise.all(Array.from({ length: 5 }, () => folder.read(spec, { untrusted: true })));
    for (const table of tables) expect(table.records).toBe(10);
  });
});

describe("a reader that breaks is a typed error", () => {
  const request = (file: string, limits: object = {}): ReadRequest => ({
    text: "{}",
    file,
    allowed: { base: folder.path, folders: [], files: [] },
    nan: null,
    limits: { deadlineMsMax: 20_000, ...limits },
    memoryBytesMax: null,
    threads: 1,
    care: { check: true, onError: "stop" },
    quarantine: false,
  });
  const fault = (file: string, limits?: object): ReturnType<typeof failure> => failure(faulty.read(request(file, limits), {}));

  test.each([
    ["abort", "SIGABRT"],
    ["segfault", "SIGSEGV"],
    ["exit", "status 0"],
  ])("that ends by %s", async (name, how) => {
    const error = await fault(name);
    expect(error.code).toBe("ERR_FOURFOLD_FORMAT");
    expect(error.message).toContain(`the reader crashed on "${name}" (${how})`);
    expect(error.at).toMatchObject({ file: name });
  });

  test.each(["loop", "silence"])("that hangs: %s", async (name) => {
    expect((await fault(name, { deadlineMsMax: 200 })).code).toBe("ERR_FOURFOLD_DEADLINE");
  });

  test.each(["swell", "reports memory", "many values", "huge column"])("that wants too much memory: %s", async (name) => {
    expect((await fault(name)).code).toBe("ERR_FOURFOLD_MEMORY");
  });

  test.each([
    "closes",
    "long frame",
    "long bytes",
    "unknown kind",
    "no JSON",
    "negative values",
    "fractional values",
    "no type",
    "values twice",
    "null values",
    "too many bytes",
    "bytes first",
    "table early",
    "table twice",
    "no table",
    "deep table",
    "column of no type",
    "many cells",
    "odd cells",
    "cells of bytes",
    "done early",
    "done at once",
    "no error",
    "no files",
    "out of turn",
  ])("that lies: %s", async (name) => {
    const error = await fault(name, name === "closes" ? { deadlineMsMax: 500 } : {});
    expect(error.code).toMatch(name === "closes" ? /FORMAT|DEADLINE/ : /FORMAT/);
  });

  test("that does not start", async () => {
    vi.stubEnv("FAULTY_READER_START", "exit");
    try {
      const error = await failure(new Barrier(new URL("./faulty-reader.mjs", import.meta.url)).read(request("silence"), {}));
      expect([error.code, error.given]).toEqual(["ERR_FOURFOLD_FORMAT", 3]);
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

test("options that do not fit are refused", async () => {
  const spec = folder.spec("options.json", over({ sql: "select 1 as k, 2 as v" }));
  for (const options of [
    { untrusted: 1 },
    { untrusted: true, deadlineMsMax: 0 },
    { untrusted: true, readBytesMax: 1000 },
    { deadlineMsMax: 100 },
    { onError: "ignore" },
    { onError: "quarantine" },
    { quarantine: "x.ndjson" },
  ])
    expect((await failure(loadSpec(spec, options as object))).code).toBe("ERR_FOURFOLD_ARGUMENT");
});

test("a pipe or a folder among the files is refused before it is opened", async () => {
  const error = await failure(folder.read(over({ file: "/dev/null", format: "csv" }), { untrusted: true, allowPaths: ["/dev/null"] }));
  expect([error.code, error.message]).toEqual(["ERR_FOURFOLD_SOURCE", expect.stringContaining("is not a file")]);
});

test("the reading process ends with its parent, however that ends", async () => {
  const spec = folder.spec("endless.json", over({ sql: "select i % 3 as k, i as v from range(100000000000) r(i)" }));
  const pidFile = join(folder.path, "pid");
  const program = `
    import { execFile } from "node:child_process";
    import { readFileSync, writeFileSync } from "node:fs";
    import { loadSpec } from ${JSON.stringify(join(ROOT, "dist/files/index.js"))};
    const spec = await loadSpec(${JSON.stringify(spec)}, { untrusted: true, deadlineMsMax: 60000 });
    void spec.read({ onProgress: () => undefined }).catch(() => undefined);
    const children = () => readFileSync("/proc/self/task/" + process.pid + "/children", "utf8").trim();
    const watch = setInterval(() => { if (children()) { clearInterval(watch); writeFileSync(${JSON.stringify(pidFile)}, children()); } }, 5);
  `;
  writeFileSync(join(folder.path, "parent.mjs"), program);
  if (!existsSync(`/proc/self/task/${process.pid}/children`)) return; // a system without it shows no children
  const parent = spawn(process.execPath, [join(folder.path, "parent.mjs")], { stdio: "ignore" });
  const pid = await vi.waitFor(() => {
    const text = readFileSync(pidFile, "utf8");
    if (!/^\d+$/.test(text)) throw new Error("no child yet");
    return Number(text);
  }, 30_000);
  process.kill(pid, 0); // it is there
  parent.kill("SIGKILL");
  await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow(/ESRCH/), 10_000);
});
