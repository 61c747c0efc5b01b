// Weights of a spec: columns, expressions, tables and counts, with what stands for those that are missing, against exact rational arithmetic.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEngine, type Engine } from "../../src/index.ts";
import { random } from "../random.ts";
import { Folder, failure } from "./fixture.ts";
import { reference, rolled } from "./reference.ts";

const folder = new Folder();
let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ workers: 0 });
});
afterAll(async () => {
  await engine.close();
  folder.remove();
});

const rng = random(23);
const COLUMNS = ["g", "k", "value", "qty", "price", "area"];
/** qty and area are null now and then; area is one for each k. */
const RECORDS = Array.from({ length: 400 }, () => {
  const k = rng.int(6);
  return [
    `g${k % 3}`,
    k,
    (rng.next() - 0.5) * 10 ** rng.int(9),
    rng.int(5) === 0 ? null : rng.int(90),
    rng.next() * 10,
    k === 2 ? null : k * 1.5,
  ];
});
const of = (name: string): number => COLUMNS.indexOf(name);
beforeAll(() => {
  folder.file(
    "r.ndjson",
    RECORDS.map((row) => `${JSON.stringify(Object.fromEntries(COLUMNS.map((name, i) => [name, row[i]])))}\n`).join(""),
  );
  folder.file("areas.csv", "k,m2\n0,3.5\n1,\n2,7\n4,0.1\n5,\n9,\n");
});

const spec = (inner: unknown, outer: unknown, more: object = {}): object => ({
  source: { file: "r.ndjson" },
  value: "value",
  levels: [
    { name: "leaf", by: ["k"], reduce: "weightedSum", weights: inner },
    { name: "all", by: [], reduce: "weightedMean", weights: outer },
  ],
  ...more,
});

/** What the spec gives, against the reference with the weights as plain numbers. */
async function agrees(
  given: object,
  inner: (row: readonly unknown[]) => number,
  outer: (row: readonly unknown[]) => number | "count",
): Promise<void> {
  const records = RECORDS.map((row) => [row[of("k")], row[of("value")], inner(row), outer(row)]);
  const levels = [
    { by: ["k"], reduce: "weightedSum", weights: "inner" },
    { by: [], reduce: "weightedMean", weights: records[0]![3] === "count" ? "count" : "outer" },
  ] as const;
  const expected = reference(["k", "value", "inner", "outer"], records, levels);
  const found = await rolled(engine, folder.spec("spec.json", given));
  for (const [i, level] of found.entries()) for (const [node, [, value]] of level.entries()) expect(value).toBe(expected[i]![node]![1]);
}

const num = (cell: unknown, missing: number): number => (cell === null ? missing : (cell as number));

describe("weights of each kind give the bits of exact rational arithmetic", () => {
  test.each([0, 1, -2.5, 1e-300])("a null weight of a column is %d where the spec says so", async (missing) => {
    await agrees(
      spec({ column: "qty", missing }, { column: "area", missing }),
      (row) => num(row[of("qty")], missing),
      (row) => num(row[of("area")], missing),
    );
  });

  test("an expression at any level; a null of it is missing, too", async () => {
    await agrees(
      spec({ expression: "qty * price", missing: 0 }, { expression: "area + 1 -- and more", missing: 0.5 }),
      (row) => (row[of("qty")] === null ? 0 : (row[of("qty")] as number) * (row[of("price")] as number)),
      (row) => (row[of("area")] === null ? 0.5 : (row[of("area")] as number) + 1),
    );
    await agrees(
      spec({ expression: "price" }, { expression: "k + 1" }),
      (row) => row[of("price")] as number,
      (row) => (row[of("k")] as number) + 1,
    );
  });

  test("expressions that differ only in the case of a text are two", async () => {
    await agrees(
      spec({ expression: "case when g = 'g1' then 2 else 3 end" }, { expression: "case when g = 'G1' then 2 else 3 end" }),
      (row) => (row[0] === "g1" ? 2 : 3),
      () => 3,
    );
  });

  test("a table's null weight is missing like a row that is not there; a count needs nothing", async () => {
    const areas = new Map([
      [0, 3.5],
      [2, 7],
      [4, 0.1],
    ]);
    await agrees(
      spec({ column: "price" }, { table: { file: "areas.csv" }, value: "m2", missing: 2 }),
      (row) => row[of("price")] as number,
      (row) => areas.get(row[of("k")] as number) ?? 2,
    );
    await agrees(
      spec({ column: "price" }, "count"),
      (row) => row[of("price")] as number,
      () => "count",
    );
  });

  test("records that are skipped need no weight", async () => {
    folder.file("skip.ndjson", '{"k":1,"value":2,"w":3}\n{"k":1,"value":null,"w":null}\n');
    const levels = [{ name: "leaf", by: ["k"], reduce: "weightedMean", weights: { column: "w", missing: "error" } }];
    const skipping = { source: { file: "skip.ndjson" }, value: "value", levels, nan: "skip" };
    expect(await rolled(engine, folder.spec("spec.json", skipping))).toEqual([[[[1], 2]]]);
    const error = await failure(folder.read({ ...skipping, nan: "propagate" }));
    expect([error.code, error.at?.row]).toEqual(["ERR_FOURFOLD_WEIGHTS", 1]);
  });
});

describe("a weight that is missing is an error that names where, if it is asked for or in a table", () => {
  const row = RECORDS.findIndex((record) => record[1] === 0 && record[of("qty")] === null);

  test.each([
    [spec({ column: "qty", missing: "error" }, "count"), "/levels/0/weights", `level "leaf": column "qty" is null in row`],
    [
      spec({ expression: "qty * price", missing: "error" }, "count"),
      "/levels/0/weights",
      'level "leaf": column "(qty * price)" is null in row',
    ],
    [spec({ column: "price" }, { column: "area", missing: "error" }), "/levels/1/weights", 'level "all": column "area" is null in row'],
    [
      spec({ column: "price" }, { table: { file: "areas.csv" }, value: "m2" }),
      "/levels/1/weights",
      'level "all": the weights table has a null for leaf (k 1)',
    ],
    [
      spec({ column: "price" }, { table: { file: "areas.csv", where: "m2 is not null" }, value: "m2" }),
      "/levels/1/weights",
      'level "all": the weights table has no row for leaf (k 1)',
    ],
  ])("%j", async (given, pointer, message) => {
    const error = await failure(folder.read(given));
    expect(error.message).toContain(message);
    expect(error.message).toContain('"missing": 0 or 1');
    expect([error.code, error.at?.pointer, error.at?.line]).toEqual(["ERR_FOURFOLD_WEIGHTS", pointer, 1]);
    if (error.at?.row !== undefined && pointer === "/levels/0/weights") expect(RECORDS[error.at.row]?.[of("qty")]).toBe(null);
  });

  test("the row is the first of all", async () => {
    const weights = { column: "qty", missing: "error" };
    const error = await failure(folder.read(spec(weights, "count", { source: { file: "r.ndjson", where: "k = 0" } })));
    expect(error.at?.row).toBe(row);
  });

  test("otherwise a null in a column is NaN (contract clause 10)", async () => {
    folder.file("nulls.ndjson", '{"k":1,"value":2,"w":3}\n{"k":1,"value":2,"w":null}\n{"k":2,"value":5,"w":4}\n');
    const levels = [{ name: "leaf", by: ["k"], reduce: "weightedSum", weights: { column: "w" } }];
    const propagating = { source: { file: "nulls.ndjson" }, value: "value", levels };
    expect(await rolled(engine, folder.spec("spec.json", propagating))).toEqual([
      [
        [[1], Number.NaN],
        [[2], 20],
      ],
    ]);
    expect((await failure(folder.read({ ...propagating, nan: "error" }))).code).toBe("ERR_FOURFOLD_NAN");
  });
});

describe("an expression", () => {
  test.each([
    ["qty), (price", "ERR_FOURFOLD_FORBIDDEN", "not a single expression"],
    ["(select max(m2) from '/etc/passwd')", "ERR_FOURFOLD_FORBIDDEN", "outside the folders"],
    ["(select count(*) from duckdb_secrets())", "ERR_FOURFOLD_FORBIDDEN", "duckdb_secrets"],
    ["sum(qty) over ()", "ERR_FOURFOLD_FORBIDDEN", "window function"],
    ["random()", "ERR_FOURFOLD_FORBIDDEN", "random()"],
    ["qty * prices", "ERR_FOURFOLD_SPEC", "prices"],
    ["sum(qty)", "ERR_FOURFOLD_SPEC", ""],
    ["g", "ERR_FOURFOLD_COLUMN", 'column "(g)" is VARCHAR, expected numbers'],
    ["1; copy (select 1) to 'out.csv'", "ERR_FOURFOLD_SPEC", ""],
  ])("%s is refused, with its place", async (expression, code, message) => {
    for (const [i, levels] of [
      [0, spec({ expression }, "count")],
      [1, spec({ column: "price" }, { expression })],
    ] as const) {
      const error = await failure(folder.read(levels));
      expect(error.message).toContain(message);
      expect(error.code).toBe(code);
      expect(error.at?.pointer).toMatch(new RegExp(`^/levels/${i}/weights`));
    }
  });

  test("may look a weight up in a file that the spec may read", async () => {
    await agrees(
      spec({ expression: "coalesce((select a.m2 from 'areas.csv' a where a.k = source.k), 4)" }, "count"),
      (row) =>
        new Map<unknown, number>([
          [0, 3.5],
          [2, 7],
          [4, 0.1],
        ]).get(row[1]) ?? 4,
      () => "count",
    );
  });
});

describe('"int64"', () => {
  const of64 = (sql: string, int64: string, more: object = {}): object => ({
    source: { sql: `select unnest([${sql}]) as v, 1 as k, unnest([${sql}]) as w` },
    value: "v",
    int64,
    levels: [{ name: "leaf", by: ["k"], reduce: "weightedSum", weights: { column: "w" }, ...more }],
  });

  test.each([
    ["9007199254740993::BIGINT", 9007199254740992],
    ["9007199254740995::BIGINT", 9007199254740996],
    ["-9223372036854775807::BIGINT", -(2 ** 63)],
    ["18446744073709549569::UBIGINT", 2 ** 64 - 2048],
    ["18446744073709550591::UBIGINT", 2 ** 64 - 2048],
    // Rounded in two halves, the lower and the upper 64 bits, it would be 2 ** 117.
    ["((9007199254740993::HUGEINT << 64) + 1)::HUGEINT", 2 ** 117 + 2 ** 65],
    ["170141183460469231731687303715884105727::HUGEINT", 2 ** 127],
    ["9007199254740993::DECIMAL(38,0)", 9007199254740992],
  ])('"number" makes %s the nearest float64', async (sql, expected) => {
    const { values, levels } = await folder.read(of64(sql, "number"));
    expect(values[0]).toBe(expected);
    expect((levels[0]!.weights as Float64Array)[0]).toBe(expected);
    expect((await failure(folder.read(of64(sql, "exact")))).code).toBe("ERR_FOURFOLD_INTEGER");
  });

  test('"number" keeps text integers, too', async () => {
    folder.file("i.csv", "k,v\n1,9007199254740995\n1,2\n");
    const csv = { source: { file: "i.csv" }, value: "v", levels: [{ name: "x", by: ["k"], reduce: "sum" }] };
    expect([...(await folder.read({ ...csv, int64: "number" })).values].sort()).toEqual([2, 9007199254740996]);
    expect((await failure(folder.read(csv))).code).toBe("ERR_FOURFOLD_INTEGER");
  });

  test.each(["BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT"])(
    '"reject" refuses columns of %s as values and weights, by their type',
    async (type) => {
      const value = await failure(folder.read(of64(`1::${type}`, "reject")));
      expect(value.message).toContain(`the value: column "v" is ${type}, and "int64" is "reject"`);
      expect([value.code, value.at?.pointer]).toEqual(["ERR_FOURFOLD_COLUMN", "/value"]);
      const weighted = { source: { sql: `select 1.5::DOUBLE as v, 1::BIGINT as k, 1::${type} as w` }, value: "v", int64: "reject" };
      const weight = await failure(
        folder.read({ ...weighted, levels: [{ name: "x", by: ["k"], reduce: "weightedSum", weights: { column: "w" } }] }),
      );
      expect([weight.code, weight.at?.pointer]).toEqual(["ERR_FOURFOLD_COLUMN", "/levels/0/weights/column"]);
      const table = { table: { sql: `select 1::BIGINT as k, 1::${type} as w` }, value: "w" };
      const levels = [
        { name: "x", by: ["k"], reduce: "sum" },
        { name: "y", by: [], reduce: "weightedSum", weights: table },
      ];
      expect((await failure(folder.read({ ...weighted, levels }))).at?.pointer).toBe("/levels/1/weights/value");
    },
  );

  test('"reject" takes smaller integers, and keys of any type', async () => {
    const { values } = await folder.read(of64("1::INTEGER", "reject"));
    expect([...values]).toEqual([1]);
  });
});
