// A job gives the bits of one run, reads each piece once, and says what changed. What a killed process leaves is job-kill.test.ts.
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEngine, type Engine } from "../../src/engine.ts";
import { type JobOptions, type JobProgress, loadSpec, runJob } from "../../src/files/index.ts";
import { outputOf, ROOT, runChild } from "../child.ts";
import { random } from "../random.ts";
import { Folder, failure, query } from "./fixture.ts";

const folder = new Folder();
let engine: Engine;
let jobs = 0;
const place = (): string => join(folder.path, `job-${jobs++}`);

const { int, next, pick } = random(71);
const SITES = 9;
const FILES = 5;
const ROWS = 400;
/** A weight that is one for each site, and one for each region. */
const ofSite = (site: number): number => (site * 37) % 11;

/** Rows of a table, as SQL values. */
function rows(n: number, plain: boolean): string[] {
  return Array.from({ length: n }, () => {
    const site = int(SITES);
    const special = plain ? 0 : int(40);
    const value =
      special === 1 ? "'NaN'" : special === 2 ? "null" : special === 3 ? "'Infinity'" : String((next() - 0.5) * 2 ** (int(80) - 40));
    const region = !plain && int(50) === 0 ? "null" : `'${pick(["north", "=south", "ö"])}'`;
    return `(${region}, ${site}, ${value}::double, ${int(1000) - 300}::smallint, ${next() * 3}::double, ${ofSite(site)}::double)`;
  });
}

const table = (values: string[]): string => `(values ${values.join(", ")}) t(region, site, value, delta, w, ws)`;

beforeAll(async () => {
  engine = await createEngine({ backend: "wasm", workers: 0 });
  for (const name of ["parquet", "plain", "csv", "ndjson"]) mkdirSync(join(folder.path, name));
  for (let file = 0; file < FILES; file++) {
    await query(`copy (from ${table(rows(ROWS, false))}) to '${folder.path}/parquet/f${file}.parquet'`);
    await query(`copy (from ${table(rows(ROWS, true))}) to '${folder.path}/plain/f${file}.parquet'`);
    await query(`copy (from ${table(rows(ROWS, true))}) to '${folder.path}/csv/f${file}.csv'`);
    await query(`copy (from ${table(rows(ROWS, true))}) to '${folder.path}/ndjson/f${file}.ndjson'`);
  }
  await query(
    `copy (select (i % 7)::varchar as region, i % 40 as site, sin(i) as value from range(50000) t(i)) to '${folder.path}/groups.parquet' (row_group_size 2048)`,
  );
  folder.file("weights.csv", `site,weight\n${Array.from({ length: SITES - 2 }, (_, site) => `${site},${site / 7}`).join("\n")}\n`);
});

afterAll(async () => {
  await engine.close();
  folder.remove();
});

const LEVEL = { name: "site", by: ["region", "site"] };
const REGION = { name: "region", by: ["region"] };
const ALL = { name: "all", by: [] };
const PARQUET = { file: "parquet/*.parquet" };
const PLAIN = { file: "plain/*.parquet" };
const table_ = { table: { file: "weights.csv" }, value: "weight", missing: 1 };

/** Specs that between them have every reduction at level f, every source, and every kind of weights. */
const SPECS: Readonly<Record<string, object>> = {
  "sums of doubles with NaN, nulls and Infinity": {
    source: PARQUET,
    value: "value",
    nullKeys: "group",
    levels: [
      { ...LEVEL, reduce: "sum" },
      { ...REGION, reduce: "mean" },
      { ...ALL, reduce: "max" },
    ],
  },
  "sums of doubles, NaN skipped": {
    source: PARQUET,
    value: "value",
    nan: "skip",
    nullKeys: "skip",
    levels: [
      { ...LEVEL, reduce: "sum" },
      { ...REGION, reduce: "mean" },
      { ...ALL, reduce: "sum" },
    ],
  },
  "means weighted by a column, by another column, and by counts": {
    source: PLAIN,
    value: "value",
    levels: [
      { ...LEVEL, reduce: "weightedMean", weights: { column: "w" } },
      { ...REGION, reduce: "weightedMean", weights: { column: "ws" } },
      { ...ALL, reduce: "weightedMean", weights: "count" },
    ],
  },
  "the same with NaN skipped": {
    source: PARQUET,
    value: "value",
    nan: "skip",
    nullKeys: "group",
    levels: [
      { ...LEVEL, reduce: "weightedSum", weights: { column: "w" } },
      { ...REGION, reduce: "weightedSum", weights: { column: "ws" } },
      { ...ALL, reduce: "weightedMean", weights: "count" },
    ],
  },
  "variances weighted by a list": {
    source: PLAIN,
    value: "delta",
    levels: [
      { ...LEVEL, reduce: "variance", ddof: 1 },
      { ...REGION, reduce: "weightedSum", weights: Array.from({ length: SITES }, (_, i) => i / 3) },
      { ...ALL, reduce: "variance" },
    ],
  },
  "least of integers, weighted by a table": {
    source: PLAIN,
    value: "delta",
    levels: [
      { name: "bySite", by: ["site"], reduce: "min" },
      { ...ALL, reduce: "weightedSum", weights: table_ },
    ],
  },
  "greatest of CSV, weighted by a table": {
    source: { file: "csv/f*.csv" },
    value: "value",
    nan: "skip",
    nullKeys: "group",
    levels: [
      { name: "bySite", by: ["site"], reduce: "max" },
      { ...ALL, reduce: "weightedMean", weights: table_ },
    ],
  },
  "counts of NDJSON": {
    source: { file: "ndjson/*.ndjson" },
    value: "value",
    levels: [
      { ...LEVEL, reduce: "count" },
      { ...REGION, reduce: "sum" },
      { ...ALL, reduce: "count" },
    ],
  },
  "one node without keys": { source: PLAIN, value: "value", levels: [{ ...ALL, reduce: "mean" }] },
  "an outermost level of several nodes": {
    source: PLAIN,
    value: "value",
    levels: [
      { ...LEVEL, reduce: "mean" },
      { ...REGION, reduce: "sum" },
    ],
  },
  "an SQL source": {
    source: { sql: "select region, site, value * 2 as value from 'plain/*.parquet' where site > 2" },
    value: "value",
    levels: [
      { ...LEVEL, reduce: "mean" },
      { ...ALL, reduce: "sum" },
    ],
  },
  "row groups of one file": {
    source: { file: "groups.parquet" },
    value: "value",
    levels: [
      { ...LEVEL, reduce: "mean" },
      { ...REGION, reduce: "sum" },
      { ...ALL, reduce: "mean" },
    ],
  },
};

/** Every node of every level of a run and of a job: path, value and count. */
async function compare(path: string, options: Partial<JobOptions> = {}): Promise<{ pieces: number; nodes: number }> {
  const { nan, accuracy, allowPaths = [] } = options;
  const spec = await loadSpec(path, { allowPaths });
  const expected = await engine.run(spec, { keep: "all", ...(nan && { nan }), ...(accuracy && { accuracy }) });
  const found = await runJob(path, { dir: place(), ...options });
  let nodes = 0;
  for (const { name } of spec.levels) {
    const [here, there] = [expected.level(name), found.level(name)];
    expect(there.length).toBe(here.length);
    const others = [...there];
    for (const [i, { path: key, value, count }] of [...here].entries()) {
      const other = others[i]!;
      if (Object.is(other.value, value) && other.count === count) nodes++;
      else expect({ level: name, key: other.path, value: other.value, count: other.count }).toEqual({ level: name, key, value, count });
      expect(other.path).toEqual(key);
    }
  }
  expect([found.records, found.shape, found.contract]).toEqual([expected.records, expected.shape, expected.contract]);
  expect(found.values.every((value, i) => Object.is(value, expected.values[i]))).toBe(true);
  return { pieces: found.pieces, nodes };
}

describe("a job gives every node of every level the bits of one run (clauses 3, 4, 15)", () => {
  test.each(Object.entries(SPECS))("%s", async (_, spec) => {
    const path = folder.spec("spec.json", spec);
    const source = (spec as { source: { file?: string } }).source.file;
    const { pieces, nodes } = await compare(path, { pieceRowsMax: 5_000 });
    if (source?.startsWith("groups")) expect(pieces).toBeGreaterThan(9);
    else expect(pieces).toBe(source === undefined ? 1 : FILES);
    expect(nodes).toBeGreaterThan(0);
  });

  test.each(["reproducible", "exact"] as const)("under accuracy %s and a NaN policy of its own", async (accuracy) => {
    const path = folder.spec("spec.json", SPECS["sums of doubles with NaN, nulls and Infinity"]);
    await compare(path, { accuracy, nan: "skip" });
  });

  test("examples/flights.json, one piece of SQL", async () => {
    const { pieces, nodes } = await compare(join(ROOT, "examples/flights.json"), { allowPaths: [ROOT] });
    expect(pieces).toBe(1);
    expect(nodes).toBeGreaterThan(3_000);
  }, 60_000);

  test("whatever columns of one file would be read as if it stood alone", async () => {
    // Alone, the first CSV's keys are texts and the second's are integers; the years of the folders are numbers but for one.
    folder.file("mixed/year=2024/a.csv", "key,value\nx,1\n007,2\n");
    folder.file("mixed/year=abc/b.csv", "key,value\n007,4\n7,8\n");
    folder.file("mixed/year=2025/c.csv", "key,value\n");
    const spec = {
      source: { file: "mixed/*/*.csv" },
      value: "value",
      levels: [
        { name: "key", by: ["year", "key"], reduce: "sum" },
        { ...ALL, reduce: "sum" },
      ],
    };
    expect(await compare(folder.spec("spec.json", spec))).toMatchObject({ pieces: 3 });
  });

  test("keys of which one file alone has integers beyond 2^53, and columns called filename and file_row_number", async () => {
    mkdirSync(join(folder.path, "big"));
    await query(`copy (select 5::bigint as "0", 'a' as filename, 1.5 as v, 9 as file_row_number) to '${folder.path}/big/a.parquet'`);
    await query(
      `copy (select 9007199254740993::bigint as "0", 'a' as filename, 1.5 as v, 0 as file_row_number) to '${folder.path}/big/b.parquet'`,
    );
    const spec = {
      source: { file: "big/*.parquet" },
      value: "v",
      levels: [
        { name: "key", by: ["filename", "0"], reduce: "sum" },
        { ...ALL, reduce: "sum" },
      ],
    };
    const path = folder.spec("spec.json", spec);
    expect(await compare(path, { pieceRowsMax: 1 })).toMatchObject({ pieces: 2 });
    const result = await runJob(path, { dir: place() });
    expect([...result.level("key")].map(({ key }) => key)).toEqual([5n, 9007199254740993n]);
  });

  test("a pattern with names that are patterns themselves: each file once", async () => {
    folder.file("names/a1.csv", "key,value\nx,1\n");
    folder.file("names/a[1].csv", "key,value\nx,10\n");
    folder.file("names/a'2.csv", "key,value\nx,100\n");
    const spec = { source: { file: "names/*.csv" }, value: "value", levels: [{ name: "key", by: ["key"], reduce: "sum" }] };
    const path = folder.spec("spec.json", spec);
    expect(await compare(path)).toMatchObject({ pieces: 3 });
    expect((await runJob(path, { dir: place() })).values[0]).toBe(111);
  });

  test("no records at all", async () => {
    folder.file("none.csv", "key,value\n");
    for (const by of [["key"], []]) {
      const spec = {
        source: { sql: "select key, value::double as value from 'none.csv'" },
        value: "value",
        levels: [
          { name: "key", by, reduce: "sum" },
          { ...ALL, reduce: "mean" },
        ],
      };
      await compare(folder.spec("spec.json", spec));
    }
  });
});

const record = (value: number): string => `{"key":"x","value":${value}}\n`;

/** A folder with five files of one record each, and a spec that adds them up. */
function small(name: string): { readonly path: string; readonly files: readonly string[] } {
  const files = Array.from({ length: 5 }, (_, i) => folder.file(`${name}/data/f${i}.ndjson`, record(2 ** i)));
  const spec = { source: { file: "data/*.ndjson" }, value: "value", levels: [{ name: "key", by: ["key"], reduce: "sum" }] };
  return { path: folder.spec(`${name}/spec.json`, spec), files };
}

describe("a job goes on where it stopped", () => {
  test("after an abort: pieces that are finished are not read again, and a job that is done reads none", async () => {
    const { path } = small("abort");
    const dir = place();
    const ending = new AbortController();
    const told: JobProgress[] = [];
    const onProgress = (progress: JobProgress): void => {
      told.push(progress);
      if (progress.piecesDone === 2) ending.abort();
    };
    expect(await failure(runJob(path, { dir, readersMax: 1, signal: ending.signal, onProgress }))).toMatchObject({
      code: "ERR_FOURFOLD_ABORTED",
    });
    expect(told.map(({ piecesDone }) => piecesDone)).toEqual([0, 1, 2]);
    expect(told.at(-1)).toMatchObject({ pieces: 5, unit: "bytes", total: told[0]!.total });
    expect(told.at(-1)!.diskBytes).toBeGreaterThan(told[0]!.diskBytes);
    const result = await runJob(path, { dir });
    expect([result.value, result.pieces, result.piecesRead]).toEqual([31, 5, 3]);
    const again = await runJob(path, { dir });
    expect([again.value, again.records, again.piecesRead]).toEqual([31, 5, 0]);
    expect(readdirSync(dir).sort()).toEqual(["manifest-0", "manifest-1", "merged"]);
  });

  test("unless it is to start over, which removes its own files and no others", async () => {
    const { path } = small("fresh");
    const dir = place();
    await runJob(path, { dir });
    writeFileSync(join(dir, "notes.txt"), "mine");
    expect(await runJob(path, { dir, fresh: true })).toMatchObject({ value: 31, piecesRead: 5 });
    expect(readFileSync(join(dir, "notes.txt"), "utf8")).toBe("mine");
  });

  test("with many pieces, which are merged now and then", async () => {
    await query(
      `copy (select i % 3 as key, i as value, i as f from range(90) t(i)) to '${folder.path}/many' (format parquet, partition_by (f))`,
    );
    const path = folder.spec("many.json", {
      source: { file: "many/*/*.parquet" },
      value: "value",
      levels: [{ name: "key", by: ["key"], reduce: "sum" }],
    });
    const dir = place();
    const ending = new AbortController();
    let most = 0;
    const onProgress = ({ piecesDone }: JobProgress): void => {
      most = Math.max(most, readdirSync(dir).filter((name) => name.startsWith("piece")).length);
      if (piecesDone === 80) ending.abort();
    };
    expect(await failure(runJob(path, { dir, signal: ending.signal, onProgress }))).toMatchObject({ code: "ERR_FOURFOLD_ABORTED" });
    expect(existsSync(join(dir, "merged"))).toBe(true);
    const { values, piecesRead } = await runJob(path, { dir });
    expect([...values]).toEqual([0, 1, 2].map((key) => Array.from({ length: 30 }, (_, i) => 3 * i + key).reduce((a, b) => a + b)));
    expect(piecesRead).toBeLessThanOrEqual(10);
    expect(most).toBeLessThan(70);
  });
});

describe("a job refuses, and says why and what to do,", () => {
  /** A job of five pieces of which two or more are finished. */
  async function begun(name: string): Promise<{ readonly path: string; readonly files: readonly string[]; readonly dir: string }> {
    const made = small(name);
    const dir = place();
    const ending = new AbortController();
    const onProgress = ({ piecesDone }: JobProgress): void => void (piecesDone === 2 && ending.abort());
    await failure(runJob(made.path, { dir, signal: ending.signal, onProgress }));
    return { ...made, dir };
  }

  const CHANGES: Readonly<Record<string, readonly [change: (files: readonly string[]) => void, told: RegExp]>> = {
    "a file that grew": [([, file]) => appendFileSync(file!, record(1)), /another source: .*f1\.ndjson has 44 bytes, had 22\./],
    "a file with other bytes of the same number": [
      ([, file]) => writeFileSync(file!, record(3)),
      /another source: .*f1\.ndjson holds other bytes\./,
    ],
    "a file that was touched": [
      ([, file]) => utimesSync(file!, 1e9, 1e9),
      /another source: .*f1\.ndjson was written to on 2001-09-09T01:46:40\.000Z, before on 20/,
    ],
    "a file that is gone": [([, file]) => rmSync(file!), /another source: .*f1\.ndjson is gone\./],
    "a file that came": [([file]) => copyFileSync(file!, file!.replace("f0", "f9")), /another source: .*f9\.ndjson is new\./],
  };

  const FOUND_WHEN_DONE = ["a file that grew", "a file that came"];

  test.each(Object.entries(CHANGES))("%s", async (name, [change, told]) => {
    for (const done of FOUND_WHEN_DONE.includes(name) ? [false, true] : [false]) {
      const { path, files, dir } = await begun(`${name} ${done}`);
      if (done) await runJob(path, { dir });
      change(files);
      const error = await failure(runJob(path, { dir }));
      expect([error.code, error.message]).toEqual(["ERR_FOURFOLD_JOB", expect.stringMatching(told)]);
      expect(error.fix).toContain("--fresh");
      const values = readdirSync(join(path, "../data")).map((file) => readFileSync(join(path, "../data", file), "utf8").match(/:\d+/g)!);
      const total = values.flat().reduce((sum, text) => sum + Number(text.slice(1)), 0);
      expect(await runJob(path, { dir, fresh: true })).toMatchObject({ value: total, piecesRead: values.length });
    }
  });

  test("a file that is written to while the job runs", async () => {
    const { path, files } = small("meanwhile");
    const dir = place();
    const onProgress = ({ piecesDone }: JobProgress): void => void (piecesDone === 1 && appendFileSync(files[3]!, record(1)));
    const error = await failure(runJob(path, { dir, readersMax: 1, onProgress }));
    expect(error).toMatchObject({ code: "ERR_FOURFOLD_JOB", message: expect.stringContaining("f3.ndjson has changed since") });
    // One that was read before is found at the end.
    const other = small("before");
    const late = ({ piecesDone }: JobProgress): void => void (piecesDone === 4 && appendFileSync(other.files[0]!, record(1)));
    expect((await failure(runJob(other.path, { dir: place(), readersMax: 1, onProgress: late }))).message).toContain(
      "f0.ndjson has 44 bytes, had 22",
    );
  });

  test("another spec, by the part that differs; but not one that says the same in other words", async () => {
    const { path, dir } = await begun("spec");
    const spec = JSON.parse(readFileSync(path, "utf8"));
    writeFileSync(path, JSON.stringify({ ...spec, levels: [{ ...spec.levels[0], reduce: "mean" }] }));
    const error = await failure(runJob(path, { dir }));
    expect([error.code, error.message]).toEqual([
      "ERR_FOURFOLD_JOB",
      expect.stringMatching(/another spec: its "levels" was .*"sum".*, is .*"mean"/),
    ]);
    writeFileSync(path, JSON.stringify({ nullKeys: "error", ...spec }, null, 4));
    expect((await failure(runJob(path, { dir, accuracy: "exact" }))).message).toContain(
      'other options: accuracy was "reproducible", is "exact"',
    );
    expect((await failure(runJob(path, { dir, nan: "skip" }))).message).toContain('other options: nan was "propagate", is "skip"');
    expect(await runJob(path, { dir })).toMatchObject({ value: 31 });
  });

  test("a folder that another job has", async () => {
    const { path } = small("lock");
    const dir = place();
    const others: Promise<unknown>[] = [];
    const onProgress = (): void => void (others.length === 0 && others.push(failure(runJob(path, { dir }))));
    expect(await runJob(path, { dir, onProgress })).toMatchObject({ value: 31 });
    expect(await others[0]).toMatchObject({
      code: "ERR_FOURFOLD_JOB",
      message: expect.stringContaining(`is in use by process ${process.pid}`),
    });
  });

  test("weights that differ between pieces, records that are not numbers, and more nodes than memory, and keeps what is finished", async () => {
    const data = [0, 1].map((i) => folder.file(`wrong/f${i}.csv`, `key,value,w\nx,1,${i}\n`));
    const levels = [
      { name: "key", by: ["key"], reduce: "sum" },
      { name: "all", by: [], reduce: "weightedSum", weights: { column: "w" } },
    ];
    const path = folder.spec("wrong.json", { source: { file: "wrong/*.csv" }, value: "value", levels });
    expect(await failure(runJob(path, { dir: place() }))).toMatchObject({
      code: "ERR_FOURFOLD_WEIGHTS",
      message: expect.stringMatching(/level "all": column "w" is not constant within key \(key "x"\): it has 0 and 1/),
    });
    writeFileSync(data[1]!, "key,value,w\nx,2,0\nx,,0\n");
    const error = await failure(runJob(path, { dir: place(), nan: "error" }));
    expect([error.code, error.message, error.at]).toEqual([
      "ERR_FOURFOLD_NAN",
      expect.stringContaining(`(in ${data[1]})`),
      expect.objectContaining({ row: 1 }),
    ]);
    const big = folder.spec("big.json", { source: { file: "groups.parquet" }, value: "value", levels: [{ ...LEVEL, reduce: "sum" }] });
    const dir = place();
    const low = await failure(runJob(big, { dir, pieceRowsMax: 5_000, memoryBytesMax: 1_500_000, threads: 1 }));
    expect(low).toMatchObject({ code: "ERR_FOURFOLD_MEMORY" });
  });

  test("options that there are not, or of the wrong type, and more pieces than it may have", async () => {
    const { path } = small("options");
    const dir = place();
    const wrong = [
      { dir: "" },
      { dir: 1 },
      { dir, fresh: "yes" },
      { dir, piecesMax: 0 },
      { dir, readersMax: 1.5 },
      { dir, accuracy: "fast" },
      { dir, nan: "no" },
      { dir, threads: 0 },
      { dir, pieces: 3 },
    ];
    for (const options of wrong)
      expect(await failure(runJob(path, options as unknown as JobOptions))).toMatchObject({ code: "ERR_FOURFOLD_ARGUMENT" });
    expect(await failure(runJob(path, { dir, piecesMax: 4 }))).toMatchObject({
      code: "ERR_FOURFOLD_JOB",
      message: expect.stringContaining('"piecesMax" is 4'),
    });
    expect(await runJob(path, { dir, piecesMax: 5 })).toMatchObject({ value: 31 });
  });

  test("a pipe, which it does not wait for, and a pattern without files", async () => {
    await outputOf(runChild("sh", ["-c", 'mkfifo "$0"', join(folder.path, "pipe.ndjson")]));
    const levels = [{ name: "key", by: ["key"], reduce: "sum" }];
    for (const source of [{ file: "pipe.ndjson" }, { file: "none-*.ndjson" }, { sql: "from 'none-*.ndjson'" }]) {
      const error = await failure(runJob(folder.spec("pipe.json", { source, value: "value", levels }), { dir: place() }));
      expect([error.code, error.message]).toEqual([
        "ERR_FOURFOLD_SOURCE",
        expect.stringMatching(/^.*pipe.json:1:\d+: ".*" names no regular file/),
      ]);
    }
  });

  test("a spec with a slip in it, and takes it once it is mended", async () => {
    const { path } = small("slip");
    const dir = place();
    const text = readFileSync(path, "utf8");
    writeFileSync(path, text.replace('"value":"value"', '"value":"valeu"'));
    expect(await failure(runJob(path, { dir }))).toMatchObject({ code: "ERR_FOURFOLD_COLUMN" });
    writeFileSync(path, text);
    expect(await runJob(path, { dir })).toMatchObject({ value: 31 });
  });
});

describe("a damaged file of a job is noticed, and its pieces are read again or the job is refused:", () => {
  const changes = (bytes: Buffer): Buffer[] => {
    const places = [0, 5, 17, 61, int(64), 64 + int(bytes.length - 64)];
    const flipped = places.map((at) => Buffer.from(bytes.map((byte, i) => (i === at ? byte ^ (1 << int(8)) : byte))));
    return [
      ...flipped,
      Buffer.alloc(0),
      bytes.subarray(0, 40),
      bytes.subarray(0, bytes.length - 1),
      Buffer.concat([bytes, Buffer.alloc(1)]),
    ];
  };

  test("finished pieces, and the merged ones", async () => {
    const { path } = small("damage");
    const dir = place();
    const ending = new AbortController();
    const onProgress = ({ piecesDone }: JobProgress): void => void (piecesDone === 2 && ending.abort());
    await failure(runJob(path, { dir, signal: ending.signal, readersMax: 1, onProgress }));
    const kept = readdirSync(dir).map((name) => [name, readFileSync(join(dir, name))] as const);
    expect(kept.map(([name]) => name).sort()).toEqual(["manifest-0", "piece-0", "piece-1"]);
    await runJob(path, { dir });
    const done = readdirSync(dir).map((name) => [name, readFileSync(join(dir, name))] as const);
    for (const [files, name, again] of [
      [kept, "piece-1", 4],
      [done, "merged", 5],
    ] as const)
      for (const damaged of changes(files.find(([other]) => other === name)![1])) {
        rmSync(dir, { recursive: true });
        mkdirSync(dir);
        for (const [other, bytes] of files) writeFileSync(join(dir, other), other === name ? damaged : bytes);
        const told: string[] = [];
        const result = await runJob(path, { dir, onDamaged: ({ code, message }) => told.push(`${code} ${message}`) });
        expect([result.value, result.piecesRead]).toEqual([31, again]);
        expect(told).toEqual([expect.stringMatching(new RegExp(`^ERR_FOURFOLD_JOB the state .*${name} is damaged`))]);
      }
  });

  test("a piece that was copied from another job", async () => {
    const [one, other] = [small("mine"), small("theirs")];
    const dirs = [place(), place()];
    for (const [i, { path }] of [one, other].entries()) {
      const ending = new AbortController();
      const onProgress = ({ piecesDone }: JobProgress): void => void (piecesDone === 1 && ending.abort());
      await failure(runJob(path, { dir: dirs[i]!, signal: ending.signal, readersMax: 1, onProgress }));
    }
    copyFileSync(join(dirs[1]!, "piece-0"), join(dirs[0]!, "piece-0"));
    const told: string[] = [];
    const result = await runJob(one.path, { dir: dirs[0]!, onDamaged: ({ message }) => told.push(message) });
    expect([result.value, result.piecesRead, told]).toEqual([31, 5, [expect.stringContaining("is of another job")]]);
  });

  test("the manifest: the generation before stands in for one, and two are an error that --fresh mends", async () => {
    const { path } = small("manifest");
    const dir = place();
    await runJob(path, { dir });
    const names = ["manifest-0", "manifest-1"].map((name) => join(dir, name));
    const whole = names.map((name) => readFileSync(name));
    for (const [i, name] of names.entries())
      for (const damaged of changes(whole[i]!)) {
        for (const [k, other] of names.entries()) writeFileSync(other, whole[k]!);
        writeFileSync(name, damaged);
        const told: string[] = [];
        expect(await runJob(path, { dir, onDamaged: ({ message }) => told.push(message) })).toMatchObject({ value: 31, piecesRead: 0 });
        expect(told).toEqual([expect.stringContaining("is damaged")]);
      }
    for (const name of names) writeFileSync(name, "no");
    const error = await failure(runJob(path, { dir }));
    expect([error.code, error.message]).toEqual([
      "ERR_FOURFOLD_JOB",
      expect.stringMatching(/manifest-0 is damaged.*manifest-1 is damaged/),
    ]);
    expect(await runJob(path, { dir, fresh: true })).toMatchObject({ value: 31, piecesRead: 5 });
  });
});
