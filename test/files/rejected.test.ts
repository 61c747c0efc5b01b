// Rows and files that cannot be read: named when they stop a reading, left out and counted when that is asked for, and written to a file
// with their place, reason and text. What is left gives what a clean file would.
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { createEngine } from "../../src/engine.ts";
import { type LoadOptions, loadSpec } from "../../src/files/index.ts";
import type { GroupedTable, RejectedRow } from "../../src/reduce/grouped.ts";
import { Folder, failure, nested } from "./fixture.ts";
import { parquetFile } from "./parquet-file.ts";

const folder = new Folder();
afterAll(() => folder.remove());

const over = (source: object, more: object = {}): object => ({
  source,
  value: "v",
  levels: [
    { name: "leaf", by: ["k"], reduce: "sum" },
    { name: "all", by: [], reduce: "sum" },
  ],
  ...more,
});

/** A reading with quarantine: the table and the lines of the file. */
async function quarantined(source: object, options: LoadOptions = {}, more: object = {}): Promise<[GroupedTable, RejectedRow[]]> {
  const path = join(folder.path, `rejected-${Math.random()}.ndjson`);
  const table = await folder.read(over(source, more), { ...options, onError: "quarantine", quarantine: path });
  const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
  return [table, lines.map((line) => JSON.parse(line) as RejectedRow)];
}

const CSV = "k,v\n1,2\n2,oops\n3,4,5\n4\n5,6\n";
const CSV_BAD = [
  [3, 8, "v", "2,oops"],
  [4, 15, null, "3,4,5"],
  [5, 21, "v", "4"],
];
/** Bad rows after those that DuckDB looks at to find the types. */
const LATE = `k,v\n${"1,2\n".repeat(25_000)}1,oops\n5,6\n`;

describe.each([false, true])("rows of CSV, behind the barrier: %s", (untrusted) => {
  test("are left out, counted, and told with line, byte, column and text", async () => {
    const path = folder.file("bad.csv", CSV);
    const [table, rows] = await quarantined({ file: "bad.csv" }, { untrusted });
    expect(nested(table)).toEqual([
      [
        [],
        [
          [[1], [2]],
          [[5], [6]],
        ],
      ],
    ]);
    expect(table.values).toBeInstanceOf(Int32Array);
    expect(table.rejected).toMatchObject({ rows: 3, files: 0 });
    expect(table.rejected!.first).toEqual(rows);
    expect(rows.map(({ line, byte, column, text }) => [line, byte! - 1, column, text])).toEqual(CSV_BAD);
    for (const row of rows)
      expect(row).toMatchObject({ source: path, row: null, code: "ERR_FOURFOLD_FORMAT", message: expect.any(String) });
    expect(rows[0]!.message).toContain("Could not convert string \"oops\" to 'DOUBLE'");
  });

  test("after the sample, in compressed files, and in several of them", async () => {
    folder.file("late/a.csv.gz", gzipSync(LATE));
    folder.file("late/b.csv.gz", gzipSync("k,v\n7,8\nx,9\n8,y\n"));
    const [table, rows] = await quarantined({ file: "late/*.csv.gz" }, { untrusted });
    expect(table.records).toBe(25_002);
    expect((table.values as Int32Array).reduce((a, b) => a + b, 0)).toBe(50_000 + 6 + 8);
    expect(rows.map(({ source, line, column }) => [source.slice(folder.path.length), line, column])).toEqual([
      ["/late/a.csv.gz", 25_002, "v"],
      ["/late/b.csv.gz", 3, "k"],
      ["/late/b.csv.gz", 4, "v"],
    ]);
  });
});

describe("rows of CSV", () => {
  test("stop the reading without a word from its caller, with file, line and column", async () => {
    folder.file("late.csv", LATE);
    const error = await failure(folder.read(over({ file: "late.csv" })));
    expect(error.code).toBe("ERR_FOURFOLD_FORMAT");
    expect(error.message).toMatch(/late\.csv: .*line 25002.*"v".*"oops"/i);
    expect(error.at).toMatchObject({ line: 25_002, column: "v" });
  });

  test("stop it, too, where they make their column one of texts", async () => {
    folder.file("early.csv", "k,v\n1,2\n1,3\n1,oops\n");
    const error = await failure(folder.read(over({ file: "early.csv" })));
    expect([error.code, error.at]).toEqual(["ERR_FOURFOLD_COLUMN", expect.objectContaining({ column: "v", row: 2 })]);
    expect(error.message).toContain('column "v" is VARCHAR, expected numbers; row 2 holds "oops"');
  });

  test("fractions among texts stay fractions, and integers stay exact", async () => {
    folder.file("mixed.csv", "k,v\n1,0.5\n1,none\n1,2\n");
    expect(nested((await quarantined({ file: "mixed.csv" }))[0])).toEqual([[[], [[[1], [0.5, 2]]]]]);
    folder.file("large.csv", "k,v\n1,9007199254740992\n1,none\n1,9007199254740993\n1,1\n");
    const [table, rows] = await quarantined({ file: "large.csv" });
    expect(nested(table)).toEqual([[[], [[[1], [1, 9007199254740992]]]]]);
    expect(rows.map(({ code, text }) => [code, text])).toEqual([
      ["ERR_FOURFOLD_FORMAT", "1,none"],
      ["ERR_FOURFOLD_INTEGER", "9007199254740993"],
    ]);
  });

  test("a clean file is read as ever, and nothing is counted", async () => {
    folder.file("clean.csv", "k,v\n1,2\n3,4\n");
    const [table, rows] = await quarantined({ file: "clean.csv" });
    expect(nested(table)).toEqual(nested(await folder.read(over({ file: "clean.csv" }))));
    expect([table.rejected, rows]).toEqual([{ rows: 0, files: 0, first: [] }, []]);
    expect((await folder.read(over({ file: "clean.csv" }))).rejected).toBeUndefined();
  });

  test("a column that is not there, or holds no numbers at all, is an error still", async () => {
    folder.file("texts.csv", "k,v\n1,a\n2,b\n");
    for (const file of ["texts.csv", "clean.csv"]) {
      const spec = over({ file }, file === "clean.csv" ? { value: "w" } : {});
      expect((await failure(folder.read(spec, { onError: "skip" }))).code).toBe("ERR_FOURFOLD_COLUMN");
    }
  });
});

const NDJSON =
  '{"k":1,"v":2}\n{"k":2,"v":"oops"}\nnot json\n{"k":3,"v":4}\n\n[1]\n{"k":5,"v":6\n"text"\n{"k":"x","v":8}\n{"k":9,"v":null}\n';

describe.each([false, true])("lines of NDJSON, behind the barrier: %s", (untrusted) => {
  test("are left out, counted, and told with line, column and text", async () => {
    const path = folder.file("bad.ndjson", NDJSON);
    const [table, rows] = await quarantined({ file: "bad.ndjson" }, { untrusted });
    // A column of numbers and texts is one of JSON, as without onError.
    expect(nested(table)).toEqual([
      [
        [],
        [
          [['"x"'], [8]],
          [["1"], [2]],
          [["3"], [4]],
          [["9"], [Number.NaN]],
        ],
      ],
    ]);
    expect(rows.map(({ line, column, text }) => [line, column, text])).toEqual([
      [2, "v", '{"k":2,"v":"oops"}'],
      [3, null, "not json"],
      [6, null, "[1]"],
      [7, null, '{"k":5,"v":6'],
      [8, null, '"text"'],
    ]);
    for (const row of rows) expect(row).toMatchObject({ source: path, code: "ERR_FOURFOLD_FORMAT" });
    expect(table.rejected).toMatchObject({ rows: 5, files: 0 });
  });

  test("after the sample, and lines that are no text", async () => {
    const lines = Buffer.concat([
      Buffer.from('{"k":1,"v":2}\n'.repeat(100)),
      Buffer.from([0x7b, 0xff, 0xfe, 0x7d, 0x0a]),
      Buffer.from('{"k":1,"v":2}\n'.repeat(25_000)),
      Buffer.from('{"k":1,"v":{}}\n{"k":1}\n'),
    ]);
    folder.file("late.ndjson", lines);
    const [table, rows] = await quarantined({ file: "late.ndjson" }, { untrusted });
    expect(table.records).toBe(25_101);
    expect(rows.map(({ line, column }) => [line, column])).toEqual([
      [25_102, "v"],
      [101, null],
    ]);
  });
});

describe("damaged files among several", () => {
  const k = BigInt64Array.of(1n, 2n, 3n);
  const v = Float64Array.of(1, 2, 4);
  const { bytes, bodies } = parquetFile({ k, v });
  const damaged = Buffer.from(bytes);
  damaged[bodies[1]!.at]! ^= 1;

  test("are left out and said, whatever broke", async () => {
    mkdirSync(join(folder.path, "many"));
    folder.file("many/a.parquet", bytes);
    folder.file("many/b.parquet", damaged);
    folder.file("many/c.parquet", bytes.subarray(0, -5));
    folder.file("many/d.parquet", "");
    const [table, rows] = await quarantined({ file: "many/*.parquet" }, { check: true });
    expect(nested(table)).toEqual([
      [
        [],
        [
          [[1], [1]],
          [[2], [2]],
          [[3], [4]],
        ],
      ],
    ]);
    expect(table.rejected).toMatchObject({ rows: 0, files: 3 });
    expect(rows.map(({ source, column, line }) => [source.slice(-9), column, line])).toEqual([
      ["b.parquet", "v", null],
      ["c.parquet", null, null],
      ["d.parquet", null, null],
    ]);
    expect(rows[0]!.message).toContain("checksum");
    const there = await folder.read(over({ file: "many/*.parquet" }), { untrusted: true, onError: "skip" });
    expect(there.rejected).toEqual(table.rejected);
  });

  test("also where DuckDB finds it, without the check", async () => {
    folder.file("some/a.parquet", bytes);
    folder.file("some/c.parquet", bytes.subarray(0, -5));
    expect((await folder.read(over({ file: "some/*.parquet" }), { onError: "skip" })).rejected).toMatchObject({ files: 1 });
    folder.file("zipped/a.csv.gz", gzipSync("k,v\n1,2\n"));
    folder.file("zipped/b.csv.gz", gzipSync("k,v\n1,2\n".repeat(9999)).subarray(0, 60));
    folder.file("zipped/c.json", '[{"k":1,"v":2}]');
    folder.file("zipped/d.json", '[{"k":1,"v":');
    for (const file of ["zipped/*.csv.gz", "zipped/*.json"])
      expect((await folder.read(over({ file }), { onError: "skip", check: file.endsWith("gz") })).rejected).toMatchObject({ files: 1 });
  });

  test("stop the reading otherwise, and always where none is left", async () => {
    expect((await failure(folder.read(over({ file: "many/*.parquet" }), { check: true }))).message).toContain("checksum");
    folder.file("lone.parquet", damaged);
    const error = await failure(folder.read(over({ file: "lone.parquet" }), { check: true, onError: "skip" }));
    expect([error.code, error.at]).toEqual(["ERR_FOURFOLD_FORMAT", expect.objectContaining({ pointer: "/source/file", column: "v" })]);
  });
});

test("SQL says itself what it leaves out", async () => {
  const error = await failure(folder.read(over({ sql: "from 'clean.csv'" }), { onError: "skip" }));
  expect([error.code, error.at?.pointer]).toEqual(["ERR_FOURFOLD_ARGUMENT", "/source/sql"]);
});

test("a result carries the counts", async () => {
  await using engine = await createEngine({ workers: 0 });
  const spec = folder.spec("bad.json", over({ file: "bad.csv" }));
  const result = await engine.run(await loadSpec(spec, { onError: "skip" }));
  expect(result.value).toBe(8);
  expect(result.rejected).toMatchObject({ rows: 3, files: 0 });
  expect((await engine.run(await loadSpec(folder.spec("clean.json", over({ file: "clean.csv" }))))).rejected).toBeUndefined();
});

test("a file for rejected rows that cannot be written ends the reading", async () => {
  const spec = over({ file: "bad.csv" });
  const error = await failure(folder.read(spec, { onError: "quarantine", quarantine: join(folder.path, "no", "such", "folder") }));
  expect(error.code).toBe("ERR_FOURFOLD_OUTPUT");
});
