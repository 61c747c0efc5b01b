import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Folder, failure, nested, query } from "./fixture.ts";

const folder = new Folder();
afterAll(() => folder.remove());

const RECORDS = [
  // region, site, sensor, value, weight, area
  ["eu", "s2", "b", 4, 1, 20],
  ["eu", "s1", "a", 1, 2, 10],
  ["us", "s9", "c", 8, 3, 90],
  ["eu", "s1", "a", 2, 4, 10],
  ["eu", "s2", "d", 16, 5, 20],
] as const;

const LEVELS = [
  { name: "sensor", by: ["region", "site", "sensor"], reduce: "weightedMean", weights: { column: "weight" } },
  { name: "site", by: ["region", "site"], reduce: "sum" },
  { name: "region", by: ["region"], reduce: "weightedSum", weights: { column: "area" } },
  { name: "fleet", by: [], reduce: "max" },
];

beforeAll(async () => {
  const header = "region,site,sensor,value,weight,area";
  folder.file("r.csv", [header, ...RECORDS.map((row) => row.join(","))].join("\n"));
  folder.file(
    "r.ndjson",
    RECORDS.map((row) => JSON.stringify(Object.fromEntries(header.split(",").map((name, i) => [name, row[i]])))).join("\n"),
  );
  folder.file("parts/one.csv", [header, ...RECORDS.slice(0, 2).map((row) => row.join(","))].join("\n"));
  folder.file("parts/two.csv", [header, ...RECORDS.slice(2).map((row) => row.join(","))].join("\n"));
  await query(`copy (from '${folder.path}/r.csv') to '${folder.path}/r.parquet'`);
  await query(`copy (from '${folder.path}/r.csv') to '${folder.path}/r.json' (array true)`);
});

/** A spec over rows given as SQL, rolled up into one node by the keys. */
const over = (sql: string, by: string[] = ["k"], more: object = {}): object => ({
  source: { sql },
  value: "v",
  levels: [
    { name: "leaf", by, reduce: "sum" },
    { name: "all", by: [], reduce: "sum" },
  ],
  ...more,
});

describe("sources", () => {
  const grouped = [
    [
      [],
      [
        [
          ["eu"],
          [
            [
              ["eu", "s1"],
              [
                [
                  ["eu", "s1", "a"],
                  [1, 2],
                ],
              ],
            ],
            [
              ["eu", "s2"],
              [
                [["eu", "s2", "b"], [4]],
                [["eu", "s2", "d"], [16]],
              ],
            ],
          ],
        ],
        [["us"], [[["us", "s9"], [[["us", "s9", "c"], [8]]]]]],
      ],
    ],
  ];

  test.each([
    [{ file: "r.csv" }],
    [{ file: "r.parquet" }],
    [{ file: "r.json" }],
    [{ file: "r.ndjson" }],
    [{ file: "parts/*.csv" }],
    [{ file: "./parts/../r.csv", format: "csv" }],
    [{ sql: "from 'r.parquet';" }],
    [{ sql: "select * from 'r.csv' -- a comment at the end" }],
    [{ sql: "with r as (from read_csv(['parts/one.csv', 'parts/two.csv'])) select * from r" }],
    [{ sql: `select 'é' as é, r.* from read_csv('r.csv', header = true) r where region <> 'it''s'` }],
    [{ sql: 'select * from "parts/one.csv" union all by name select * from "parts/two.csv"' }],
  ])("%j gives the same tree", async (source) => {
    const table = await folder.read({ source, value: "value", levels: LEVELS });
    expect(nested(table)).toEqual(grouped);
    expect(table.levels.map(({ name, nodes, keyNames }) => [name, nodes, keyNames])).toEqual([
      ["sensor", 4, ["region", "site", "sensor"]],
      ["site", 3, ["region", "site"]],
      ["region", 2, ["region"]],
      ["fleet", 1, []],
    ]);
    expect(table.levels[2]?.weights).toEqual(Float64Array.of(10, 20, 90));
  });

  test("weights per record stay beside their values", async () => {
    const table = await folder.read({ source: { file: "r.csv" }, value: "value", levels: LEVELS });
    const weights = table.levels[0]?.weights as Float64Array;
    const pairs = Array.from(table.values, (value, i) => [value, weights[i]]).sort((a, b) => (a[0] as number) - (b[0] as number));
    expect(pairs).toEqual([
      [1, 2],
      [2, 4],
      [4, 1],
      [8, 3],
      [16, 5],
    ]);
  });

  test("weights stay beside their values over many chunks and threads", async () => {
    const sql = "select i % 7 as k, i::double as v, i::double * 2 as w from range(300000) t(i)";
    const table = await folder.read({
      source: { sql },
      value: "v",
      levels: [{ name: "leaf", by: ["k"], reduce: "weightedSum", weights: { column: "w" } }],
    });
    const weights = table.levels[0]?.weights as Float64Array;
    expect(table.values.every((value, i) => weights[i] === 2 * value)).toBe(true);
    expect(Array.from(table.values).reduce((a, b) => a + b)).toBe((300000 * 299999) / 2);
  });

  test("relative paths start at the spec, whatever the current folder holds", async () => {
    // package.json of the current folder must not shadow the spec's.
    folder.file("package.json", '[{"k": "mine", "v": 1}]');
    expect(nested(await folder.read({ ...over(""), source: { file: "package.json" } }))).toEqual([[[], [[["mine"], [1]]]]]);
    expect(nested(await folder.read(over("from 'package.json'")))).toEqual([[[], [[["mine"], [1]]]]]);
  });

  test("a folder with glob marks in its name holds files all the same", async () => {
    const odd = join(folder.path, "a[b]*c");
    mkdirSync(odd);
    folder.file("a[b]*c/x.csv", "k,v\n1,2\n");
    folder.spec("a[b]*c/spec.json", over("from 'x.csv'"));
    const { loadSpec } = await import("../../src/files/index.ts");
    expect(nested(await (await loadSpec(join(odd, "spec.json"))).read())).toEqual([[[], [[[1], [2]]]]]);
    folder.spec("a[b]*c/glob.json", over("from '*.csv'"));
    expect((await failure((await loadSpec(join(odd, "glob.json"))).read())).code).toBe("ERR_FOURFOLD_SOURCE");
  });
});

describe("keys", () => {
  test("numbers ascend by value, texts by code point, outermost first", async () => {
    const sql = "select unnest([10, 9, -1, 10, 100]) as n, unnest(['é', 'z', 'Z', '\u{1F600}', '\uFF5E']) as s, 1 as v";
    const table = await folder.read(over(sql, ["n", "s"]));
    expect(table.levels[0]?.keys).toEqual([
      [-1, 9, 10, 10, 100],
      ["Z", "z", "é", "\u{1F600}", "\uFF5E"],
    ]);
    expect((await folder.read(over(sql, ["s"]))).levels[0]?.keys).toEqual([["Z", "z", "é", "\uFF5E", "\u{1F600}"]]);
  });

  test("a collation of the SQL changes neither groups nor order", async () => {
    const sql = "select unnest(['b', 'A', 'a']) collate nocase as k, 1 as v";
    expect((await folder.read(over(sql))).levels[0]?.keys).toEqual([["A", "a", "b"]]);
  });

  test.each([
    ["true, false", [false, true]],
    ["1::tinyint, 2::tinyint", [1, 2]],
    ["1.5::float, -2.5::float", [-2.5, 1.5]],
    ["0.0::double, '-0.0'::double", [0]],
    ["1.10::decimal(9, 2), 1.2::decimal(9, 2)", [1.1, 1.2]],
    ["9007199254740991, 3", [3, 9007199254740991]],
    ["9007199254740993, 3", [3n, 9007199254740993n]],
    ["170141183460469231731687303715884105727::hugeint, 3", [3n, 170141183460469231731687303715884105727n]],
    ["date '2001-02-03', date '1999-01-01'", ["1999-01-01", "2001-02-03"]],
    ["timestamptz '2001-02-03 04:05:06+02', timestamptz '2001-02-03 04:05:06+00'", ["2001-02-03 02:05:06+00", "2001-02-03 04:05:06+00"]],
    ["'b'::enum('b', 'a'), 'a'::enum('b', 'a')", ["a", "b"]],
  ])("keys of %s", async (list, keys) => {
    expect((await folder.read(over(`select unnest([${list}]) as k, 1 as v`))).levels[0]?.keys).toEqual([keys]);
  });

  test("null and NaN keys are an error, skipped, or one group that comes first", async () => {
    const sql = "select unnest([2.0, null, 'nan'::double, 1.0]) as k, unnest([1, 2, 4, 8]) as v";
    const error = await failure(folder.read(over(sql)));
    expect(error.code).toBe("ERR_FOURFOLD_KEYS");
    expect(error.message).toContain('key column "k" is null or NaN in row 1');
    expect(error.at).toMatchObject({ column: "k", row: 1 });
    expect(nested(await folder.read(over(sql, ["k"], { nullKeys: "skip" })))).toEqual([
      [
        [],
        [
          [[1], [8]],
          [[2], [1]],
        ],
      ],
    ]);
    expect(nested(await folder.read(over(sql, ["k"], { nullKeys: "group" })))).toEqual([
      [
        [],
        [
          [[null], [2, 4]],
          [[1], [8]],
          [[2], [1]],
        ],
      ],
    ]);
  });

  test("a list is no key", async () => {
    const error = await failure(folder.read(over("select [1] as k, 1 as v")));
    expect(error.code).toBe("ERR_FOURFOLD_COLUMN");
    expect(error.message).toContain('column "k" is LIST');
  });
});

describe("values", () => {
  test.each([
    ["1::tinyint, -2::tinyint", Int8Array.of(-2, 1)],
    ["1::utinyint, 255::utinyint", Uint8Array.of(1, 255)],
    ["1::smallint, -300::smallint", Int16Array.of(-300, 1)],
    ["1::usmallint, 65535::usmallint", Float64Array.of(1, 65535)],
    ["1::integer, -70000::integer", Int32Array.of(-70000, 1)],
    ["1::bigint, -70000::bigint", Int32Array.of(-70000, 1)],
    ["1::bigint, 9007199254740992::bigint", Float64Array.of(1, 9007199254740992)],
    ["1::hugeint, -9007199254740992::hugeint", Float64Array.of(-9007199254740992, 1)],
    ["1::ubigint, 3000000000::ubigint", Float64Array.of(1, 3000000000)],
    ["1.5::float, 0.1::float", Float32Array.of(0.1, 1.5)],
    ["1.5::double, 0.1::double", Float64Array.of(0.1, 1.5)],
    ["0.1::decimal(9, 2), 0.2::decimal(9, 2)", Float64Array.of(0.1, 0.2)],
    ["0.1::decimal(30, 2), 90071992547409.94::decimal(30, 2)", Float64Array.of(0.1, 90071992547409.94)],
    ["1::decimal(38, 26), 0.12345678901234567890123456::decimal(38, 26)", Float64Array.of(0.12345678901234568, 1)],
    ["1::integer, null", Float64Array.of(1, Number.NaN)],
    ["1::bigint, null", Float64Array.of(1, Number.NaN)],
    ["1::float, null", Float32Array.of(1, Number.NaN)],
    ["1::double, null, 'nan'::double, 'inf'::double", Float64Array.of(1, Number.POSITIVE_INFINITY, Number.NaN, Number.NaN)],
    ["1::decimal(20, 2), null", Float64Array.of(1, Number.NaN)],
  ])("values of %s", async (list, expected) => {
    const { values } = await folder.read(over(`select unnest([${list}]) as v, 'x' as k`));
    expect(values.sort()).toEqual(expected);
  });

  test.each([
    ["9007199254740993::bigint"],
    ["-9007199254740993::bigint"],
    ["18446744073709551615::ubigint"],
    ["170141183460469231731687303715884105727::hugeint"],
    ["9007199254740993::decimal(38, 0)"],
    ["9007199254740992.5::decimal(30, 1)"],
  ])("%s is beyond 2^53 and an error that names its row", async (value) => {
    const error = await failure(folder.read(over(`select unnest([1, 2, ${value}]) as v, 'x' as k`)));
    expect(error.code).toBe("ERR_FOURFOLD_INTEGER");
    expect(error.message).toContain('column "v" holds an integer beyond 2^53 in row 2 (k "x")');
    expect(error.fix).toContain("v::DOUBLE");
  });

  test("nan: error names level, key and row; an option overrides the spec", async () => {
    const sql = "select unnest(['a', 'b', 'b']) as k, unnest([1, 2, null]) as v";
    const error = await failure(folder.read(over(sql, ["k"], { nan: "error" })));
    expect(error.code).toBe("ERR_FOURFOLD_NAN");
    expect(error.message).toContain('level "leaf": a NaN or null in row 2 of column "v" (k "b")');
    expect(error.at).toMatchObject({ level: "leaf", row: 2, column: "v" });
    expect((await failure(folder.read(over(sql), { nan: "error" }))).code).toBe("ERR_FOURFOLD_NAN");
    expect((await folder.read(over(sql, ["k"], { nan: "error" }), { nan: "skip" })).records).toBe(3);
    const weighted = { levels: [{ name: "leaf", by: ["k"], reduce: "weightedSum", weights: { column: "w" } }], nan: "error" };
    expect((await failure(folder.read(over("select 'a' as k, 1 as v, 'nan'::double as w", ["k"], weighted)))).code).toBe(
      "ERR_FOURFOLD_NAN",
    );
  });

  test("an empty source keeps the one node of a level without keys", async () => {
    const table = await folder.read(over("select 'a' as k, 1 as v where false"));
    expect([table.records, table.values.length]).toEqual([0, 0]);
    expect(table.levels.map(({ nodes, offsets }) => [nodes, [...offsets]])).toEqual([
      [0, [0]],
      [1, [0, 0]],
    ]);
    const flat = await folder.read({ ...over("select 1 as v where false"), levels: [{ name: "all", by: [], reduce: "sum" }] });
    expect(flat.levels.map(({ nodes, offsets }) => [nodes, [...offsets]])).toEqual([[1, [0, 0]]]);
  });

  test("one node of millions of records comes in pieces", async () => {
    const done: number[] = [];
    const table = await folder.read(
      { ...over("select i::integer as v from range(5000000) t(i)"), levels: [{ name: "all", by: [], reduce: "sum" }] },
      { onProgress: (p) => done.push(p.done) },
    );
    expect(Array.from(table.values).reduce((a, b) => a + b)).toBe(12499997500000);
    expect(done.filter((n) => n <= 5000000).length).toBeGreaterThan(4);
    expect(done.at(-1)).toBe(5000000);
  });

  // 300,000 lists fit one read, 3,000,000 do not and are streamed; both are made by several threads.
  test.each([300_000, 3_000_000])("%i records in three nodes keep their node and the weights beside them", async (n) => {
    const sql = `select i % 3 as k, i::double as v, case when i % 5 <> 0 then i else 'nan'::double end as w from range(${n}) t(i)`;
    await query(`copy (${sql}) to '${folder.path}/large.parquet'`);
    const leaf = { name: "leaf", by: ["k"], reduce: "weightedSum", weights: { column: "w" } };
    const { values, levels } = await folder.read({ source: { file: "large.parquet" }, value: "v", levels: [leaf] });
    const weights = levels[0]?.weights as Float64Array;
    expect([...(levels[0]?.offsets ?? [])]).toEqual([0, n / 3, (2 * n) / 3, n]);
    let wrong = 0;
    values.forEach((value, i) => {
      if (value % 3 !== Math.floor(i / (n / 3)) || !Object.is(weights[i], value % 5 === 0 ? Number.NaN : value)) wrong++;
    });
    expect(wrong).toBe(0);
    expect(Array.from(values).reduce((a, b) => a + b)).toBe((n * (n - 1)) / 2);
  });

  test("many small nodes keep their order and their records", async () => {
    const table = await folder.read(over("select (i * 7919) % 50000 as k, i as v from range(100000) t(i)"));
    expect(table.levels[0]?.keys[0]).toEqual(Array.from({ length: 50000 }, (_, k) => k));
    const { offsets } = table.levels[0] as { offsets: Uint32Array };
    for (let node = 0; node < 50000; node += 997)
      for (const value of table.values.subarray(offsets[node], offsets[node + 1])) expect((value * 7919) % 50000).toBe(node);
  });

  test("values go where the caller says, once the length is known", async () => {
    const asked: [string, number][] = [];
    const memory = new Float64Array(new SharedArrayBuffer(8 * 4), 8, 2);
    const table = await folder.read(over("select unnest([0.5, 1.5]) as v, 'x' as k"), {
      allocate: (type, length) => {
        asked.push([type, length]);
        return memory;
      },
    });
    expect(asked).toEqual([["f64", 2]]);
    expect(table.values).toBe(memory);
    expect([...memory].sort()).toEqual([0.5, 1.5]);
  });

  test("more memory than allowed is a typed error", async () => {
    const sql = "select i::double as v, 'x' as k from range(40000000) t(i)";
    expect((await failure(folder.read(over(sql), { memoryBytesMax: 64 << 20 }))).code).toBe("ERR_FOURFOLD_MEMORY");
  });
});

describe("columns", () => {
  test("a missing column names the nearest, a text column the numeric ones", async () => {
    const missing = await failure(folder.read({ source: { file: "r.csv" }, value: "valeu", levels: LEVELS }));
    expect(missing.code).toBe("ERR_FOURFOLD_COLUMN");
    expect(missing.message).toContain(
      'r.csv has no column "valeu"; it has region, site, sensor, value, weight, area. Did you mean "value"?',
    );
    expect(missing.at).toMatchObject({ pointer: "/value", column: "valeu" });
    const text = await failure(folder.read({ source: { file: "r.csv" }, value: "site", levels: LEVELS }));
    expect(text.code).toBe("ERR_FOURFOLD_COLUMN");
    expect(text.message).toContain('column "site" is VARCHAR, expected numbers. Numeric columns: value, weight, area');
    const key = await failure(
      folder.read({ source: { file: "r.csv" }, value: "value", levels: [{ name: "x", by: ["Region"], reduce: "sum" }] }),
    );
    expect(key.fix).toBe('Did you mean "region"?');
    const weight = await failure(
      folder.read({
        source: { file: "r.csv" },
        value: "value",
        levels: [{ name: "x", by: [], reduce: "weightedSum", weights: { column: "wieght" } }],
      }),
    );
    expect(weight.at).toMatchObject({ pointer: "/levels/0/weights/column" });
  });

  test("a name that two columns share is refused", async () => {
    expect((await failure(folder.read(over("select 1 as v, 2 as v, 3 as k")))).message).toContain('2 columns called "v"');
  });

  test("hostile names are names", async () => {
    const name = `a"'; drop table x; --`;
    const table = await folder.read({
      source: { sql: `select 1 as "a""'; drop table x; --", 2 as k` },
      value: name,
      levels: [{ name: "x", by: ["k"], reduce: "sum" }],
    });
    expect([...table.values]).toEqual([1]);
  });
});

describe("weights", () => {
  const two = (weights: unknown): object[] => [
    { name: "leaf", by: ["g", "k"], reduce: "sum" },
    { name: "group", by: ["g"], reduce: "weightedSum", weights },
    { name: "all", by: [], reduce: "weightedSum", weights: "count" },
  ];
  const sql =
    "select unnest(['x', 'x', 'y', 'y', 'y']) as g, unnest([1, 2, 1, 2, 2]) as k, unnest([1, 2, 3, 4, 5]) as v, unnest([10, 20, 30, 40, 41]) as w";

  test("a column that varies within a child names the first such child, with two of its values", async () => {
    const error = await failure(folder.read({ source: { sql }, value: "v", levels: two({ column: "w" }) }));
    expect(error.code).toBe("ERR_FOURFOLD_WEIGHTS");
    expect(error.message).toContain('level "group": column "w" is not constant within leaf (g "y", k 2): it has 40 and 41');
    expect(error.at).toMatchObject({ level: "group", pointer: "/levels/1/weights" });
  });

  test("a column two levels up is compared over the whole child, NaN included", async () => {
    const levels = [
      { name: "leaf", by: ["g", "k"], reduce: "sum" },
      { name: "group", by: ["g"], reduce: "sum" },
      { name: "all", by: [], reduce: "weightedSum", weights: { column: "w" } },
    ];
    const error = await failure(folder.read({ source: { sql }, value: "v", levels }));
    expect(error.message).toContain('not constant within group (g "x"): it has 10 and 20');
    const half = "select 'x' as g, unnest([1, 1, 2]) as k, 1 as v, unnest([3, 'nan'::double, 3]) as w";
    expect((await failure(folder.read({ source: { sql: half }, value: "v", levels }))).message).toContain("it has 3 and NaN");
    const none = "select 'x' as g, unnest([1, 2]) as k, 1 as v, 'nan'::double as w";
    expect((await folder.read({ source: { sql: none }, value: "v", levels })).levels[2]?.weights).toEqual(Float64Array.of(Number.NaN));
    expect((await failure(folder.read({ source: { sql: none }, value: "v", levels, nan: "error" }))).code).toBe("ERR_FOURFOLD_NAN");
  });

  test("a table gives weights by key; extra rows are ignored, missing and double ones are errors", async () => {
    folder.file("w.csv", "k,g,w\n2,y,5\n1,x,1\n1,y,3\n9,z,9\n2,x,2\n");
    const table = await folder.read({ source: { sql }, value: "v", levels: two({ table: { file: "w.csv" }, value: "w" }) });
    expect(table.levels[1]?.weights).toEqual(Float64Array.of(1, 2, 3, 5));
    expect(table.levels[2]?.weights).toBe("count");
    const missing = await failure(
      folder.read({ source: { sql }, value: "v", levels: two({ table: { sql: "from 'w.csv' where k <> 2" }, value: "w" }) }),
    );
    expect(missing.code).toBe("ERR_FOURFOLD_WEIGHTS");
    expect(missing.message).toContain('the weights table has no row for leaf (g "x", k 2)');
    const partly = { table: { sql: "from 'w.csv' where k <> 2" }, value: "w", missing: 0.5 };
    const filled = await folder.read({ source: { sql }, value: "v", levels: two(partly) });
    expect(filled.levels[1]?.weights).toEqual(Float64Array.of(1, 0.5, 3, 0.5));
    const twice = await failure(
      folder.read({ source: { sql }, value: "v", levels: two({ table: { sql: "from 'w.csv' union all from 'w.csv'" }, value: "w" }) }),
    );
    expect(twice.message).toContain("the weights table has two rows for leaf (g ");
    const column = await failure(
      folder.read({ source: { sql }, value: "v", levels: two({ table: { sql: "select k, w from 'w.csv'" }, value: "w" }) }),
    );
    expect(column.code).toBe("ERR_FOURFOLD_COLUMN");
    expect(column.at).toMatchObject({ pointer: "/levels/1/weights/table", column: "g" });
  });

  test("a list must have as many weights as every node has children", async () => {
    const table = await folder.read({ source: { sql }, value: "v", levels: two([0.5, 2]) });
    expect(table.levels[1]?.weights).toEqual([0.5, 2]);
    const error = await failure(folder.read({ source: { sql }, value: "v", levels: two([1, 2, 3]) }));
    expect(error.message).toContain('level "group": 3 weights are listed, but g "x" has 2 children');
  });

  test("a weight beyond 2^53 is an error", async () => {
    const error = await failure(
      folder.read({ source: { sql: "select 1 as g, 1 as k, 1 as v, 9007199254740993 as w" }, value: "v", levels: two({ column: "w" }) }),
    );
    expect(error.code).toBe("ERR_FOURFOLD_INTEGER");
    expect(error.message).toContain('column "w"');
  });
});
