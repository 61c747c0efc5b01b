// Careful reading beside all that a spec can say of its files: lists, folders of partitions, reader options, conditions, hierarchies, int64.
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { createEngine } from "../../src/engine.ts";
import { type LoadOptions, loadSpec, resultPieces } from "../../src/files/index.ts";
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

async function quarantined(spec: object, options: LoadOptions = {}): Promise<[GroupedTable, RejectedRow[]]> {
  const path = join(folder.path, `rejected-${Math.random()}.ndjson`);
  const table = await folder.read(spec, { ...options, onError: "quarantine", quarantine: path });
  const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
  return [table, lines.map((line) => JSON.parse(line) as RejectedRow)];
}

const { bytes } = parquetFile({ k: BigInt64Array.of(1n, 2n), v: Float64Array.of(1, 2) });
const cut = bytes.subarray(0, -5);

describe.each([false, true])("left out, behind the barrier: %s", (untrusted) => {
  test("rows and files of a list of files", async () => {
    folder.file("list/a.csv", "k,v\n1,2\n2,oops\n");
    folder.file("list/b.csv", "k,v\n1,4\n1,5,6\n");
    folder.file("list/c.csv.gz", gzipSync("k,v\n1,8\n".repeat(9999)).subarray(0, 60));
    const spec = over({ file: ["list/a.csv", "list/b.csv", "list/c.csv.gz"] });
    const [table, rows] = await quarantined(spec, { untrusted, check: true });
    expect(nested(table)).toEqual([[[], [[[1], [2, 4]]]]]);
    expect(table.rejected).toMatchObject({ rows: 2, files: 1 });
    expect(rows.map(({ source, line, column }) => [source.slice(folder.path.length), line, column])).toEqual([
      ["/list/c.csv.gz", null, null],
      ["/list/a.csv", 3, "v"],
      ["/list/b.csv", 3, null],
    ]);
  });

  test.each([
    ["csv", "v,w\n1,1\noops,1\n", "v,w\n4,1\n"],
    ["ndjson", '{"v":1}\n{"v":"oops"}\n', '{"v":4}\n'],
  ])("rows of %s in folders of partitions, which are columns still", async (format, one, other) => {
    folder.file(`parts-${format}/k=7/a.${format}`, one);
    folder.file(`parts-${format}/k=8/b.${format}`, other);
    const [table, rows] = await quarantined(over({ file: `parts-${format}/*/*.${format}` }), { untrusted });
    expect(nested(table)).toEqual([
      [
        [],
        [
          [[7], [1]],
          [[8], [4]],
        ],
      ],
    ]);
    expect(rows).toMatchObject([{ column: "v", line: format === "csv" ? 3 : 2 }]);
  });

  test("damaged Parquet files in folders of partitions", async () => {
    folder.file("hive/y=1/a.parquet", bytes);
    folder.file("hive/y=2/b.parquet", cut);
    const spec = over({ file: "hive/*/*.parquet" }, { levels: [{ name: "leaf", by: ["y"], reduce: "sum" }] });
    const [table, rows] = await quarantined(spec, { untrusted });
    expect(nested(table)).toEqual([[[1], [1, 2]]]);
    expect(rows.map(({ source }) => source.slice(-9))).toEqual(["b.parquet"]);
  });

  test("rows of TSV, and of CSV with options of its reader", async () => {
    folder.file("a.tsv", "k\tv\n1\t2\n1\toops\n");
    const [tsv, tsvRows] = await quarantined(over({ file: "a.tsv" }), { untrusted });
    expect([nested(tsv), tsvRows.length]).toEqual([[[[], [[[1], [2]]]]], 1]);
    folder.file("bare.csv", "1;2\n1;oops\n1;-\n2;3\n");
    const csv = { delimiter: ";", header: false, nullText: "-", columns: { k: "VARCHAR", v: "DOUBLE" } };
    const [table, rows] = await quarantined(over({ file: "bare.csv", csv }), { untrusted });
    expect(nested(table)).toEqual([
      [
        [],
        [
          [["1"], [2, Number.NaN]],
          [["2"], [3]],
        ],
      ],
    ]);
    expect(rows).toMatchObject([{ line: 2, text: "1;oops" }]);
  });

  test("beside a condition, a path and parents", async () => {
    folder.file("tree.csv", "p,c,v,ok\na/x,1,2,true\na/y,2,oops,true\nb/z,2,8,true\nb/z,1,16,false\n");
    folder.file("parents.csv", "child,parent\n1,\n2,\n1x,1\n");
    folder.file("lines.csv", "child,parent\n1,10\n2,20\n");
    const source = {
      file: "tree.csv",
      where: "ok",
      path: { column: "p", names: ["top", "bottom"] },
      parents: { key: "c", table: { file: "lines.csv" }, child: "child", parent: "parent", names: ["above"] },
    };
    const levels = [
      { name: "leaf", by: ["above", "top"], reduce: "sum" },
      { name: "all", by: ["above"], reduce: "sum" },
    ];
    const [table, rows] = await quarantined(over(source, { levels }), { untrusted });
    expect(nested(table)).toEqual([
      [[10], [[[10, "a"], [2]]]],
      [[20], [[[20, "b"], [8]]]],
    ]);
    expect(rows).toMatchObject([{ line: 3, column: "v" }]);
  });
});

test("rows that are bad only in columns that the table does not use are in it, and are not counted", async () => {
  folder.file("unused.csv", `p,k,v\n${"1,1,2\n".repeat(25_000)}z,1,3\n`);
  const [table, rows] = await quarantined(over({ file: "unused.csv", path: { column: "p", names: ["top"] } }));
  expect([table.records, table.rejected!.rows, rows]).toEqual([25_001, 0, []]);
});

describe("integers among texts", () => {
  test("that become fractions after the sample are read as fractions, not rounded", async () => {
    folder.file("half.csv", `k,v\n${"1,2\n".repeat(25_000)}2,1.5\n2,no\n`);
    folder.file("half.ndjson", `${'{"k":1,"v":2}\n'.repeat(25_000)}{"k":2,"v":1.5}\n{"k":2,"v":"no"}\n`);
    for (const file of ["half.csv", "half.ndjson"]) {
      const [table, rows] = await quarantined(over({ file }));
      expect(table.values.at(-1)).toBe(1.5);
      expect(rows.map(({ line }) => line)).toEqual([file === "half.csv" ? 25_003 : 25_002]);
    }
  });

  test('beyond 2^53 are left out under int64 "exact", rounded under "number", an error under "reject"', async () => {
    folder.file("large.csv", "k,v,w\n1,9007199254740993,1\n1,2,9007199254740993\n1,4,1\n");
    const levels = [{ name: "leaf", by: ["k"], reduce: "weightedSum", weights: { column: "w" } }];
    const spec = over({ file: "large.csv" }, { levels });
    const [exact, rows] = await quarantined(spec);
    expect([...exact.values]).toEqual([4]);
    expect(rows.map(({ code, column, row }) => [code, column, row])).toEqual([
      ["ERR_FOURFOLD_INTEGER", "v", 0],
      ["ERR_FOURFOLD_INTEGER", "w", 1],
    ]);
    const [rounded, none] = await quarantined({ ...spec, int64: "number" });
    expect([[...rounded.values], none]).toEqual([[9007199254740992, 2, 4], []]);
    const error = await failure(folder.read({ ...spec, int64: "reject" }, { onError: "skip" }));
    expect([error.code, error.message]).toEqual(["ERR_FOURFOLD_COLUMN", expect.stringContaining('"int64" is "reject"')]);
  });
});

describe("every file that a spec names is checked", () => {
  const levels = [{ name: "leaf", by: ["k"], reduce: "sum" }];
  folder.file("ok.parquet", bytes);
  folder.file("cut.parquet", cut);
  test.each([
    ["a condition", { file: "ok.parquet", where: "k in (select k from 'cut.parquet')" }, "/source/where"],
    [
      "a table of parents",
      {
        file: "ok.parquet",
        parents: { key: "k", table: { file: "cut.parquet" }, child: "k", parent: "v", names: ["p"] },
      },
      "/source/parents/table/file",
    ],
    ["a list", { file: ["ok.parquet", "cut.parquet"] }, "/source/file"],
    ["SQL", { sql: "from 'ok.parquet' union all from 'cut.parquet'" }, "/source/sql"],
  ])("in %s", async (_, source, pointer) => {
    const error = await failure(folder.read(over(source, { levels }), { check: true }));
    expect([error.code, error.at]).toEqual(["ERR_FOURFOLD_FORMAT", expect.objectContaining({ pointer })]);
    expect(error.message).toContain("cut.parquet");
  });

  test("and only those of the source itself can be left out", async () => {
    folder.file("w.csv.gz", gzipSync("k,w\n1,2\n2,3\n".repeat(999)).subarray(0, 40));
    const weights = { table: { file: "w.csv.gz" }, value: "w" };
    const spec = over(
      { file: ["ok.parquet", "cut.parquet"] },
      { levels: [...levels, { name: "all", by: [], reduce: "weightedSum", weights }] },
    );
    const error = await failure(folder.read(spec, { check: true, onError: "skip" }));
    expect([error.code, error.at?.pointer]).toEqual(["ERR_FOURFOLD_FORMAT", "/levels/1/weights/table/file"]);
  });

  test("the bytes of all of them count for the limits", async () => {
    const spec = over({ file: ["ok.parquet", "ok.parquet"], where: "k in (select k from 'ok.parquet')" }, { levels });
    expect((await folder.read(spec, { untrusted: true })).records).toBe(4);
  });
});

describe("a file whose name has *, ? or [", () => {
  const table = "k,v\n1,10\n";
  test.each([
    ["a[1].csv", "a1.csv"],
    ["s*t?.csv", "sxty.csv"],
    ["deep[1]/b.csv", "deep1/b.csv"],
  ])("%s is read itself, and not %s", async (file, other) => {
    folder.file(`odd/${file}`, table);
    folder.file(`odd/${other}`, "k,v\n1,99\n");
    for (const source of [{ file: `odd/${file}` }, { file: [`odd/${file}`] }, { sql: `from 'odd/${file}'` }])
      for (const options of [{}, { untrusted: true }] as const)
        expect(nested(await folder.read(over(source), options))).toEqual([[[], [[[1], [10]]]]]);
    const skipped = await folder.read(over({ file: `odd/${file}` }), { onError: "skip" });
    expect(nested(skipped)).toEqual([[[], [[[1], [10]]]]]);
    expect(nested(await folder.read(over({ file: `odd/${other}`, where: `k in (select k from 'odd/${file}')` })))).toEqual([
      [[], [[[1], [99]]]],
    ]);
  });

  test("patterns are patterns still", async () => {
    folder.file("some/a1.csv", table);
    folder.file("some/a2.csv", "k,v\n1,20\n");
    expect((await folder.read(over({ file: "some/a[12].csv" }))).records).toBe(2);
  });

  test("a folder of such a name may hold a spec, and a file of such a name be allowed alone", async () => {
    mkdirSync(join(folder.path, "own[1]"));
    folder.file("own[1]/x.csv", table);
    const path = folder.spec("own[1]/spec.json", over({ file: "x.csv" }));
    expect(nested(await (await loadSpec(path)).read())).toEqual([[[], [[[1], [10]]]]]);
    const other = new Folder();
    try {
      const alone = other.file("y[1].csv", table);
      other.file("y1.csv", "k,v\n1,99\n");
      const spec = folder.spec("alone.json", over({ file: alone }));
      expect(nested(await (await loadSpec(spec, { allowPaths: [alone] })).read())).toEqual([[[], [[[1], [10]]]]]);
    } finally {
      other.remove();
    }
  });
});

describe("a table that is read carefully", () => {
  test.each([{ untrusted: true }, { check: true }, { onError: "skip" }] as const)("is not kept on disk: %j", async (options) => {
    folder.file("broken.parquet", cut);
    const path = folder.spec("broken.json", over({ file: "broken.parquet" }));
    const spec = await loadSpec(path, options);
    // DuckDB in this process would end with an error.
    for (const outgrown of [false, true]) expect(await spec.rollUp({ accuracy: "fast", keep: [true, true], outgrown })).toBeUndefined();
    const error = await failure(loadSpec(path, { ...options, spill: "always" }));
    expect([error.code, error.given]).toEqual(["ERR_FOURFOLD_ARGUMENT", "always"]);
  });

  test.each([false, true])("gives a result that tells what was left out, in JSON, too; behind the barrier: %s", async (untrusted) => {
    folder.file("told.csv", "k,v\n1,2\n1,oops\n");
    await using engine = await createEngine({ workers: 0 });
    const spec = await loadSpec(folder.spec("told.json", over({ file: "told.csv" })), { untrusted, onError: "skip" });
    const result = await engine.run(spec);
    expect(result.rejected).toMatchObject({ rows: 1, files: 0, first: [{ line: 3, column: "v" }] });
    const json = JSON.parse([...resultPieces(result, { format: "json" })].join("")) as { rejected: unknown; records: number };
    expect([json.rejected, json.records]).toEqual([result.rejected, 1]);
  });
});
