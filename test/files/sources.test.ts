// The same records through every kind of source give the same bits, which are those of exact rational arithmetic.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openDatabase } from "../../src/files/duckdb.ts";
import { allowedPlaces } from "../../src/files/folders.ts";
import { openSource, tableOf } from "../../src/files/source.ts";
import { parseSpec } from "../../src/files/spec.ts";
import { createEngine, type Engine } from "../../src/index.ts";
import { random } from "../random.ts";
import { Folder, failure, nested, query } from "./fixture.ts";
import { type Rolled, reference, rolled } from "./reference.ts";

const folder = new Folder();
let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ workers: 0 });
});
afterAll(async () => {
  await engine.close();
  folder.remove();
});

const COLUMNS = ["region", "site", "sensor", "value", "weight"];
const rng = random(7);
/** Values whose sums depend on the order, if they are rounded on the way; some are integers, and two are the same but for their sign. */
const RECORDS: unknown[][] = Array.from({ length: 600 }, (_, i) => {
  const region = rng.int(3);
  const site = `s${rng.int(4)}`;
  const value = i % 7 === 0 ? rng.int(1000) - 500 : (rng.next() - 0.5) * 10 ** rng.int(12);
  return [region, site, `${site}-${rng.int(5)}`, value, rng.int(100) / 8];
});
const LEVELS = [
  { name: "sensor", by: ["region", "site", "sensor"], reduce: "weightedSum", weights: { column: "weight" } },
  { name: "site", by: ["region", "site"], reduce: "mean" },
  { name: "region", by: ["region"], reduce: "weightedMean", weights: "count" },
  { name: "all", by: [], reduce: "sum" },
];
const EXPECTED = (): Rolled =>
  reference(COLUMNS, RECORDS, [
    { by: ["region", "site", "sensor"], reduce: "weightedSum", weights: "weight" },
    { by: ["region", "site"], reduce: "mean" },
    { by: ["region"], reduce: "weightedMean", weights: "count" },
    { by: [], reduce: "sum" },
  ]);

const text = (rows: readonly unknown[][], delimiter: string): string =>
  `${[COLUMNS, ...rows].map((row) => row.join(delimiter)).join("\n")}\n`;
const objects = (rows: readonly unknown[][], names: readonly string[] = COLUMNS): object[] =>
  rows.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i]])));
const ndjson = (rows: readonly unknown[][], names?: readonly string[]): string =>
  objects(rows, names)
    .map((row) => `${JSON.stringify(row)}\n`)
    .join("");

beforeAll(async () => {
  const files: Record<string, string> = {
    "r.csv": text(RECORDS, ","),
    "r.tsv": text(RECORDS, "\t"),
    "odd.txt": text(RECORDS, ";"),
    "bare.csv": text(RECORDS, ",").split("\n").slice(1).join("\n"),
    "r.json": JSON.stringify(objects(RECORDS)),
    "r.ndjson": ndjson(RECORDS),
    "r.jsonl": ndjson(RECORDS),
    "parts/a.csv": text(RECORDS.slice(0, 200), ","),
    "parts/b.csv": text(RECORDS.slice(200), ","),
    "lists/a.ndjson": ndjson(RECORDS.slice(0, 1)),
    "lists/b.ndjson": ndjson(RECORDS.slice(1)),
  };
  for (const region of [0, 1, 2]) {
    const rows = RECORDS.filter((row) => row[0] === region).map((row) => row.slice(1));
    files[`hive/region=${region}/r.ndjson`] = ndjson(rows, COLUMNS.slice(1));
    files[`hivecsv/region=${region}/r.csv`] = text(
      RECORDS.filter((row) => row[0] === region),
      ",",
    )
      .split("\n")
      .map((line) => line.slice(line.indexOf(",") + 1))
      .join("\n");
  }
  for (const [name, content] of Object.entries(files)) {
    folder.file(name, content);
    if (!name.includes("/")) folder.file(`${name}.gz`, gzipSync(content));
  }
  const at = (name: string): string => `'${join(folder.path, name)}'`;
  const typed = `read_ndjson(${at("r.ndjson")}, columns = {region: 'BIGINT', site: 'VARCHAR', sensor: 'VARCHAR', value: 'DOUBLE', weight: 'DOUBLE'})`;
  mkdirSync(join(folder.path, "hiveparquet"));
  for (const sql of [
    `copy (from ${typed}) to ${at("r.parquet")}`,
    `copy (from ${typed}) to ${at("zstd.parquet")} (compression zstd, row_group_size 100)`,
    `copy (from read_csv(${at("r.csv")}, all_varchar = true)) to ${at("r.csv.zst")} (compression zstd)`,
    `copy (from read_csv(${at("r.csv")}, all_varchar = true)) to ${at("r.tsv.zst")} (compression zstd, delimiter '\t')`,
    `copy (from ${typed}) to ${at("r.ndjson.zst")} (format json, compression zstd)`,
    `copy (from ${typed}) to ${at("r.json.zst")} (format json, array true, compression zstd)`,
    `copy (from ${typed}) to ${at("hiveparquet")} (format parquet, partition_by (region), overwrite_or_ignore)`,
  ])
    await query(sql);
});

test.each([
  { file: "r.parquet" },
  { file: "zstd.parquet" },
  { file: "r.csv" },
  { file: "r.csv.gz" },
  { file: "r.csv.zst" },
  { file: "r.tsv" },
  { file: "r.tsv.gz" },
  { file: "r.tsv.zst" },
  { file: "r.json" },
  { file: "r.json.gz" },
  { file: "r.json.zst" },
  { file: "r.ndjson" },
  { file: "r.jsonl" },
  { file: "r.ndjson.gz" },
  { file: "r.ndjson.zst" },
  { file: ["parts/b.csv", "parts/a.csv"] },
  { file: "parts/*.csv" },
  { file: ["lists/a.ndjson", "lists/b.ndjson"] },
  { file: "hive/*/*.ndjson" },
  { file: "hive/**/*.ndjson", hivePartitions: true },
  { file: "hivecsv/*/*.csv" },
  { file: "hiveparquet/*/*.parquet" },
  { file: ["hive/region=2/r.ndjson", "hive/region=0/r.ndjson", "hive/region=1/r.ndjson"] },
  { file: "odd.txt", format: "csv", csv: { delimiter: ";", header: true } },
  {
    file: "bare.csv",
    csv: { header: false, columns: { region: "BIGINT", site: "VARCHAR", sensor: "VARCHAR", value: "DOUBLE", weight: "DOUBLE" } },
  },
  { file: "r.csv", csv: { columns: { region: "SMALLINT", weight: "DECIMAL(18,3)" } } },
  { file: "r.parquet", where: "region >= 0 and site in ('s0', 's1', 's2', 's3') -- all of them" },
  { sql: "from 'r.parquet'" },
  { sql: "select * from 'r.csv' where true" },
  { sql: "from 'r.parquet' order by value", where: "value is not null" },
])("%j gives the bits of exact rational arithmetic at every level (clauses 3, 4 and 6)", async (source) => {
  expected ??= EXPECTED();
  const given = await rolled(engine, folder.spec("spec.json", { source, value: "value", levels: LEVELS }));
  expect(given.map((level) => level.map(([key]) => key))).toEqual(expected.map((level) => level.map(([key]) => key)));
  for (const [i, level] of given.entries()) for (const [node, [, value]] of level.entries()) expect(value).toBe(expected[i]![node]![1]);
});
let expected: Rolled | undefined;

const over = (source: object, more: object = {}, by: string[] = ["k"]): object => ({
  source,
  value: "v",
  levels: [
    { name: "leaf", by, reduce: "sum" },
    { name: "all", by: [], reduce: "sum" },
  ],
  ...more,
});

describe("text whose types show late", () => {
  const early = (n: number): string[] => Array.from({ length: 30_000 }, (_, i) => (i % 7 === n ? "1" : "0"));
  const values = [...early(0), "1.5", "", "2e3"];

  test("integers that end in 1.5 are not rounded: DuckDB guesses BIGINT from the first 20,480 records", async () => {
    folder.file("late.csv", `k,v\n${values.map((v) => `a,${v}`).join("\n")}\n`);
    folder.file("late.ndjson", values.map((v) => `{"k":"a","v":${v || "null"}}\n`).join(""));
    folder.file("late.json", `[${values.map((v) => `{"k":"a","v":${v || "null"}}`).join(",")}]`);
    for (const file of ["late.csv", "late.ndjson", "late.json"]) {
      const { values: read } = await folder.read(over({ file }, { nan: "skip" }));
      expect(read.length).toBe(values.length);
      expect(
        Array.from(read)
          .filter((v) => !Number.isNaN(v))
          .reduce((a, b) => a + b),
      ).toBe(values.reduce((a, b) => a + Number(b), 0));
    }
  });

  test("nor are integer keys; one beyond 2^53 among small ones asks for its type", async () => {
    folder.file("keys.csv", `k,v\n${[...early(0), "2.5"].map((k) => `${k},1`).join("\n")}\n`);
    expect((await folder.read(over({ file: "keys.csv" }))).levels[0]?.keys).toEqual([[0, 1, 2.5]]);
    folder.file("large.csv", `k,v\n${[...early(0), "9007199254740993"].map((k) => `${k},1`).join("\n")}\n`);
    const error = await failure(folder.read(over({ file: "large.csv" })));
    expect(error.message).toContain('key column "k" begins with small integers and has one beyond 2^53');
    const said = { file: "large.csv", csv: { columns: { k: "BIGINT" } } };
    expect((await folder.read(over(said))).levels[0]?.keys).toEqual([[0n, 1n, 9007199254740993n]]);
    folder.file("ids.csv", "k,v\n9007199254740993,1\n9007199254740995,2\n");
    expect((await folder.read(over({ file: "ids.csv" }))).levels[0]?.keys).toEqual([[9007199254740993n, 9007199254740995n]]);
  });

  test("an integer value beyond 2^53 is an error wherever it stands", async () => {
    for (const at of [0, 30_000]) {
      const lines = early(0);
      lines.splice(at, 0, "9007199254740993");
      folder.file("beyond.csv", `k,v\n${lines.map((v) => `a,${v}`).join("\n")}\n`);
      const error = await failure(folder.read(over({ file: "beyond.csv" })));
      expect([error.code, error.at?.row]).toEqual(["ERR_FOURFOLD_INTEGER", at]);
    }
  });

  test("small integers of text are read as narrow ones", async () => {
    expect((await folder.read(over({ file: "parts/a.csv" }, { value: "region" }, ["site"]))).values).toBeInstanceOf(Int32Array);
  });
});

describe("hive partitions", () => {
  test("are columns where all paths have the same; their integers are numbers, all else is text", async () => {
    for (const [path, v] of [
      ["y/year=2024/site=007/a.csv", 1],
      ["y/year=2025/site=7/a.csv", 2],
      ["y/year=__HIVE_DEFAULT_PARTITION__/site=é%20/a.csv", 4],
    ] as const)
      folder.file(path, `v\n${v}\n`);
    const spec = over({ file: "y/**/*.csv" }, { nullKeys: "group" }, ["year", "site"]);
    expect(nested(await folder.read(spec))).toEqual([
      [
        [],
        [
          [[null, "é "], [4]],
          [[2024, "007"], [1]],
          [[2025, "7"], [2]],
        ],
      ],
    ]);
    const filtered = over({ file: "y/**/*.csv", where: "year = 2025" }, {}, ["year", "site"]);
    expect(nested(await folder.read(filtered))).toEqual([[[], [[[2025, "7"], [2]]]]]);
  });

  test("a folder above the spec adds no column, whatever its name", async () => {
    folder.file("run=5/data/k=a/x.csv", "v\n1\n");
    folder.file("run=5/data/k=b/x.csv", "v\n2\n");
    const { loadSpec } = await import("../../src/files/index.ts");
    const read = async (spec: object): Promise<unknown> => nested(await (await loadSpec(folder.spec("run=5/spec.json", spec))).read());
    expect(await read(over({ file: "data/*/x.csv" }))).toEqual([
      [
        [],
        [
          [["a"], [1]],
          [["b"], [2]],
        ],
      ],
    ]);
    const error = await failure(read(over({ file: "data/*/x.csv" }, {}, ["run"])) as Promise<unknown>);
    expect(error.message).toContain('has no column "run"; it has v, k');
  });

  test("paths that differ are plain files, or an error where partitions are asked for", async () => {
    folder.file("mixed/k=a/x.csv", "v\n1\n");
    folder.file("mixed/b/x.csv", "v\n2\n");
    expect(nested(await folder.read(over({ file: "mixed/*/x.csv" }, {}, [])))).toEqual([[[], [[[], [1, 2]]]]]);
    const error = await failure(folder.read(over({ file: "mixed/*/x.csv", hivePartitions: true })));
    expect(error.code).toBe("ERR_FOURFOLD_SOURCE");
    expect(error.message).toContain("are not in the same key=value folders");
    expect(error.at).toMatchObject({ pointer: "/source/file", line: 1 });
  });

  test("a column that the files have, too, is refused", async () => {
    folder.file("both/k=a/x.csv", "k,v\nz,1\n");
    const error = await failure(folder.read(over({ file: "both/*/x.csv" })));
    expect([error.code, error.at?.pointer]).toEqual(["ERR_FOURFOLD_COLUMN", "/source/file"]);
    expect(error.fix).toContain('"hivePartitions": false');
    expect(nested(await folder.read(over({ file: "both/*/x.csv", hivePartitions: false })))).toEqual([[[], [[["z"], [1]]]]]);
  });
});

describe("options of CSV", () => {
  test("quote, escape and null texts are values, never SQL", async () => {
    folder.file("q.csv", "k|v\n'it\\'s | x'|1\nNA|2\n-|3\n");
    const csv = { delimiter: "|", quote: "'", escape: "\\", nullText: ["NA", "-"], header: true };
    expect(nested(await folder.read(over({ file: "q.csv", csv }, { nullKeys: "group" })))).toEqual([
      [
        [],
        [
          [[null], [2, 3]],
          [["it's | x"], [1]],
        ],
      ],
    ]);
    folder.file("plain.csv", "k,v\n'); drop table x; --,1\n");
    const hostile = { nullText: "'); copy (select 1) to 'out.csv'; --", columns: { "v'": "DOUBLE" } };
    const error = await failure(folder.read(over({ file: "plain.csv", csv: hostile })));
    expect([error.code, error.message.includes("v'")]).toEqual(["ERR_FOURFOLD_SPEC", true]);
    expect(nested(await folder.read(over({ file: "plain.csv", csv: { ...hostile, columns: { v: "DOUBLE" } } })))).toEqual([
      [[], [[["'); drop table x; --"], [1]]]],
    ]);
  });

  test("a column of text that its type does not fit is an error", async () => {
    folder.file("t.csv", "k,v\n1,x\n");
    expect((await failure(folder.read(over({ file: "t.csv", csv: { columns: { v: "DOUBLE" } } })))).code).toBe("ERR_FOURFOLD_FORMAT");
  });
});

describe('"where"', () => {
  test("keeps the records for which it is true; null is not", async () => {
    folder.file("w.csv", "k,v\na,1\nb,2\nc,\nd,4\n");
    const read = async (where: string): Promise<unknown> =>
      nested(await folder.read(over({ file: "w.csv", where }))).flatMap((all) =>
        (all as [unknown, [string[]][]])[1].map(([key]) => key[0]),
      );
    expect(await read("v > 1")).toEqual(["b", "d"]);
    expect(await read("v > 1 -- and a comment")).toEqual(["b", "d"]);
    expect(await read("k in (select k from 'w.csv' where v = 4) or source.v = 1")).toEqual(["a", "d"]);
    expect(await read("v = 1 or v = 2")).toEqual(["a", "b"]);
  });

  test("rows of errors are rows of the file, whatever is left out", async () => {
    const error = await failure(folder.read(over({ file: "w.csv", where: "k <> 'a'" }, { nan: "error" })));
    expect([error.code, error.at?.row]).toEqual(["ERR_FOURFOLD_NAN", 2]);
  });

  test.each([
    ["1 = 1) union select * from (values (1)", "not a single expression"],
    ["true) order by (v", "not a single expression"],
    ["true) limit (1", "not a single expression"],
    ["true), (true", "not a single expression"],
    ["true) from 'w.csv' where (true", "not a single expression"],
    ["true); copy (select 1) to ('out.csv'", ""],
    ["true) qualify (true", "not a single expression"],
    ["k in (from read_text('/etc/passwd'))", "read_text"],
    ["k in (from '/etc/passwd')", "outside the folders"],
    ["exists (from enable_logging())", "enable_logging"],
    ["current_setting('allowed_directories') = 'x'", "current_setting"],
    ["random() < 0.5", "random() gives another number"],
    ["row_number() over () < 2", "window function"],
    ["* = 1", ""],
    ["columns('.*') = 1", "* stands for many columns"],
  ])("%s is refused, with its place", async (where, message) => {
    const error = await failure(folder.read(over({ file: "w.csv", where })));
    expect(["ERR_FOURFOLD_FORBIDDEN", "ERR_FOURFOLD_SPEC"]).toContain(error.code);
    expect(error.message).toContain(message);
    expect(error.at).toMatchObject({ pointer: "/source/where", line: 1 });
  });

  test.each([
    ["nothing > 1", "nothing"],
    ["v >", "syntax error"],
    ["v > $1", "parameters"],
    ["sum(v) > 1", "aggregates"],
    ["k in (select k from records)", 'no table "records"'],
    ["/* v > 1", ""],
  ])("%s is not valid, with its place", async (where, message) => {
    const error = await failure(folder.read(over({ file: "w.csv", where })));
    expect(["ERR_FOURFOLD_SPEC", "ERR_FOURFOLD_SOURCE"]).toContain(error.code);
    expect(error.message).toContain(message);
    expect(error.at).toMatchObject({ pointer: "/source/where" });
  });
});

test("projection and filter reach the scan of Parquet, through partitions, paths and expressions", async () => {
  writeFileSync(join(folder.path, "p.json"), "");
  const spec = parseSpec(
    JSON.stringify({
      source: {
        file: "r.parquet",
        where: "weight > 3",
        path: { column: "sensor", separator: "-", names: ["first", "second"] },
      },
      value: "value",
      levels: [{ name: "leaf", by: ["first"], reduce: "weightedSum", weights: { expression: "weight * 2" } }],
    }),
  );
  const places = allowedPlaces(folder.path, []);
  const db = await openDatabase(places, {});
  try {
    const opened = await openSource(db, spec.source, "/source", spec.document, places, undefined);
    const explain = async (sql: string): Promise<string> => {
      for await (const chunk of db.chunks(`explain ${sql}`, {})) return String(chunk.cells(1)[0]).replace(/[│\s]+/g, " ");
      throw new Error("no plan");
    };
    const one = await explain(`select "value" from ${tableOf(opened)}`);
    expect(one).toMatch(/READ_PARQUET.*Projections: value .*Filters: weight>3/);
    expect(one).not.toMatch(/region|site|sensor/);
    expect(await explain(`select first, "(weight * 2)" from ${tableOf(opened)}`)).toMatch(/Projections: sensor weight .*Filters: weight>3/);
    const hive = parseSpec(JSON.stringify(over({ file: "hiveparquet/*/*.parquet", where: "region = 1" })));
    const partitioned = await openSource(db, hive.source, "/source", hive.document, places, undefined);
    expect(await explain(`select "value" from ${tableOf(partitioned)}`)).toMatch(/Scanning Files: 1\/3/);
  } finally {
    db.close();
  }
});
