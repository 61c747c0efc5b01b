// Tables that other libraries made become keyed records: Apache Arrow, flechette, DuckDB, Polars by its form, and plain columns.

import { DuckDBInstance } from "@duckdb/node-api";
import * as flechette from "@uwdata/flechette";
import {
  Bool,
  DateDay,
  DateMillisecond,
  Decimal,
  Dictionary,
  Float16,
  Float32,
  Float64,
  Int16,
  Int32,
  Int64,
  makeData,
  Table,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  TimestampSecond,
  tableToIPC,
  Uint16,
  Uint32,
  Utf8,
  Vector,
  vectorFromArray,
} from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RecordsOptions, records } from "../../src/files/index.ts";
import { chain, createEngine, sum, weightedSum } from "../../src/index.ts";
import { random } from "../random.ts";
import { failure } from "./fixture.ts";

let instance: DuckDBInstance;
let connection: Awaited<ReturnType<DuckDBInstance["connect"]>>;
beforeAll(async () => {
  instance = await DuckDBInstance.create(":memory:");
  connection = await instance.connect();
  await connection.run("set TimeZone = 'UTC'");
});
afterAll(() => {
  connection.closeSync();
  instance.closeSync();
});

const v = { value: "v", keys: ["k"] } as const;
const list = (column: ArrayLike<unknown>): unknown[] => Array.from(column);

describe("nothing is copied where a column lies as it is reduced", () => {
  const value = Float64Array.of(1, 2, 3);
  const key = Int32Array.of(7, 8, 7);

  test("in a table of Apache Arrow", async () => {
    const table = new Table({
      v: new Vector([makeData({ type: new Float64(), data: value })]),
      k: new Vector([makeData({ type: new Int32(), data: key })]),
    });
    const { values, keys, copiedBytes } = await records(table, v);
    expect(values.buffer).toBe(value.buffer);
    expect((keys["k"] as Int32Array).buffer).toBe(key.buffer);
    expect([copiedBytes, list(values), list(keys["k"]!)]).toEqual([0, [1, 2, 3], [7, 8, 7]]);
    const slice = await records(table.slice(1, 3), v);
    expect(slice.values.buffer).toBe(value.buffer);
    expect([slice.copiedBytes, list(slice.values)]).toEqual([0, [2, 3]]);
  });

  test("in a table of flechette", async () => {
    const bytes = tableToIPC(
      new Table({ v: vectorFromArray([1, 2, 3], new Float64()), k: vectorFromArray([7, 8, 7], new Int32()) }),
      "stream",
    );
    const table = flechette.tableFromIPC(bytes);
    const { values, keys, copiedBytes } = await records(table, v);
    expect(values.buffer).toBe((table.getChild("v").data[0] as unknown as { values: Float64Array }).values.buffer);
    expect([copiedBytes, list(values), list(keys["k"]!)]).toEqual([0, [1, 2, 3], [7, 8, 7]]);
  });

  test("in an object of columns", async () => {
    const { values, keys, copiedBytes } = await records({ v: value, k: key }, v);
    expect([values === value, keys["k"] === key, copiedBytes]).toEqual([true, true, 0]);
  });
});

describe("what is not so is copied once", () => {
  test("chunks are joined", async () => {
    const chunk = (from: number) => makeData({ type: new Float32(), data: Float32Array.of(from, from + 1) });
    const key = (from: number) => makeData({ type: new Int16(), data: Int16Array.of(from, from) });
    const table = new Table({ v: new Vector([chunk(0), chunk(10)]), k: new Vector([key(1), key(2)]) });
    const { values, keys, copiedBytes } = await records(table, v);
    expect(values).toEqual(Float32Array.of(0, 1, 10, 11));
    expect(list(keys["k"]!)).toEqual([1, 1, 2, 2]);
    expect(copiedBytes).toBe(16 + 32);
    // Even one chunk of DuckDB's, whose memory is gone with the result.
    const one = await records(await connection.run("select v::double as v, v::integer as k from range(1000) t(v)"), v);
    expect([one.values.length, one.copiedBytes]).toEqual([1000, 16_000]);
    const result = await connection.run("select v::double as v, v::integer % 7 as k from range(5000) t(v)");
    const joined = await records(result, v);
    expect(joined.values).toEqual(Float64Array.from({ length: 5000 }, (_, i) => i));
    expect(list(joined.keys["k"]!)).toEqual(Array.from({ length: 5000 }, (_, i) => i % 7));
    expect(joined.copiedBytes).toBe(40_000 + 40_000);
  });

  test.each<readonly [string, Vector, new (n: number) => object, readonly number[]]>([
    ["float16", vectorFromArray([1.5, -0, 65504], new Float16()), Float32Array, [1.5, -0, 65504]],
    ["uint16", vectorFromArray([65535, 0], new Uint16()), Uint16Array, [65535, 0]],
    ["uint32", vectorFromArray([2 ** 32 - 1], new Uint32()), Float64Array, [2 ** 32 - 1]],
    ["int64", vectorFromArray([2n ** 53n, -1n], new Int64()), Float64Array, [2 ** 53, -1]],
    ["booleans", vectorFromArray([true, false, true], new Bool()), Uint8Array, [1, 0, 1]],
    ["float32 with nulls", vectorFromArray([0.5, null], new Float32()), Float32Array, [0.5, Number.NaN]],
    ["int32 with nulls", vectorFromArray([5, null], new Int32()), Float64Array, [5, Number.NaN]],
    ["int64 with nulls", vectorFromArray([5n, null], new Int64()), Float64Array, [5, Number.NaN]],
    ["booleans with nulls", vectorFromArray([true, null], new Bool()), Float64Array, [1, Number.NaN]],
    ["a dictionary of numbers", vectorFromArray([5, 7, 5], new Dictionary(new Int32(), new Int32())), Float64Array, [5, 7, 5]],
  ])("values of %s, null as NaN", async (name, vector, array, expected) => {
    const k = Int32Array.from(expected, () => 1);
    const table = new Table({ v: vector, k: new Vector([makeData({ type: new Int32(), data: k })]) });
    for (const given of [table, flechette.tableFromIPC(tableToIPC(table, "stream"))]) {
      const { values } = await records(given, v);
      expect(list(values)).toEqual(expected);
      expect(values).toBeInstanceOf(name === "uint16" ? Int32Array : array);
    }
  });
});

describe("keys", () => {
  const dictionary = vectorFromArray(["x", "y", null, "x"], new Dictionary(new Utf8(), new Int32()));
  const at = Date.UTC(2024, 4, 6, 7, 8, 9, 120);
  test.each<readonly [string, Vector, readonly unknown[]]>([
    ["text", vectorFromArray(["a", "é🎈", null, ""], new Utf8()), ["a", "é🎈", null, ""]],
    ["a dictionary", dictionary, ["x", "y", null, "x"]],
    ["booleans", vectorFromArray([true, null, false, true], new Bool()), [true, null, false, true]],
    ["int64", vectorFromArray([1n, 2n ** 53n, null, -(2n ** 60n)], new Int64()), [1, 2n ** 53n, null, -(2n ** 60n)]],
    ["float64 with nulls", vectorFromArray([0.5, null, 1, 2], new Float64()), [0.5, null, 1, 2]],
    [
      "dates in days",
      vectorFromArray([new Date(Date.UTC(2024, 4, 6)), null, new Date(0)], new DateDay()),
      ["2024-05-06", null, "1970-01-01"],
    ],
    ["dates in milliseconds", vectorFromArray([new Date(at), null], new DateMillisecond()), ["2024-05-06 07:08:09.12", null]],
    ["timestamps in seconds", vectorFromArray([at - 120, null], new TimestampSecond()), ["2024-05-06 07:08:09", null]],
    ["timestamps in milliseconds", vectorFromArray([at, null], new TimestampMillisecond()), ["2024-05-06 07:08:09.12", null]],
    ["timestamps in microseconds", vectorFromArray([at, null], new TimestampMicrosecond()), ["2024-05-06 07:08:09.12", null]],
    ["timestamps in nanoseconds", vectorFromArray([at, null], new TimestampNanosecond("UTC")), ["2024-05-06 07:08:09.12+00", null]],
  ])("of %s are the same from both Arrow libraries", async (_, vector, expected) => {
    const table = new Table({ v: new Vector([makeData({ type: new Float64(), data: new Float64Array(vector.length) })]), k: vector });
    for (const given of [table, flechette.tableFromIPC(tableToIPC(table, "stream"))]) {
      const keys = list((await records(given, v)).keys["k"]!);
      expect(keys).toEqual(expected);
    }
  });

  test("of a dictionary are decoded once for each distinct one", async () => {
    let decoded = 0;
    const values = vectorFromArray(["x", "y"], new Utf8());
    const get = values.get.bind(values);
    const counted = (i: number): unknown => {
      decoded++;
      return get(i);
    };
    Object.defineProperty(values, "get", { value: counted });
    const k = new Vector([
      makeData({
        type: new Dictionary(new Utf8(), new Int32()),
        data: Int32Array.from({ length: 1000 }, (_, i) => i % 2),
        dictionary: values,
      }),
    ]);
    const table = new Table({ v: new Vector([makeData({ type: new Float64(), data: new Float64Array(1000) })]), k });
    expect(list((await records(table, v)).keys["k"]!).slice(0, 3)).toEqual(["x", "y", "x"]);
    expect(decoded).toBe(2);
  });

  test("of dates and times from DuckDB are the texts that DuckDB makes of them, as from Arrow", async () => {
    const rng = random(11);
    for (const [type, arrow, perMs] of [
      ["TIMESTAMP", new TimestampMicrosecond(), 1000n],
      ["TIMESTAMP_MS", new TimestampMillisecond(), 1n],
      ["TIMESTAMP_NS", new TimestampNanosecond(), 1_000_000n],
    ] as const) {
      const numbers = Array.from(
        { length: 200 },
        () => BigInt(Math.floor((rng.next() - 0.5) * 2 ** 43)) * perMs + (perMs > 1n ? BigInt(rng.pick([0, 1, 120, 999])) : 0n),
      );
      const make = { TIMESTAMP: "make_timestamp(x)", TIMESTAMP_MS: "make_timestamp_ms(x)", TIMESTAMP_NS: "make_timestamp_ns(x)" }[type];
      const result = await connection.run(
        `select 1.0::double as v, ${make}::${type} as k, k::varchar as t from unnest([${numbers.join(",")}]) u(x)`,
      );
      const { keys } = await records(result, { value: "v", keys: ["k", "t"] });
      expect(list(keys["k"]!)).toEqual(list(keys["t"]!));
      const k = new Vector([makeData({ type: arrow, data: BigInt64Array.from(numbers) })]);
      const table = new Table({ v: new Vector([makeData({ type: new Float64(), data: new Float64Array(200) })]), k });
      expect(list((await records(table, v)).keys["k"]!)).toEqual(list(keys["t"]!));
    }
    const others = await connection.run(
      "select 1 as v, d, d::varchar as d2, z, z::varchar as z2, e, e::varchar as e2, u, u::varchar as u2, n, n::varchar as n2 from (select (date '2024-02-27' + i::integer) as d, " +
        "('2024-02-29 01:02:03.5+00'::timestamptz + to_days(i::integer)) as z, (['lo', 'hi'][i % 2 + 1])::enum('hi', 'lo') as e, uuid() as u, time '01:02:03.25' as n from range(9) t(i))",
    );
    const { keys } = await records(others, { value: "v", keys: ["d", "d2", "z", "z2", "e", "e2", "u", "u2", "n", "n2"] });
    for (const name of ["d", "z", "e", "u", "n"]) expect(list(keys[name]!)).toEqual(list(keys[`${name}2`]!));
  });
});

describe("results of DuckDB", () => {
  test("in every form they come in give the same records", async () => {
    const sql =
      "select i::double / 4 as v, (i % 3)::varchar as k, case when i % 5 = 0 then null else i end as n, sum(i) over () as h, (i / 8)::decimal(30, 3) as d from range(5000) t(i)";
    const options: RecordsOptions = { value: "n", keys: ["k", "h"], weight: "d" };
    const tables = [
      await connection.run(sql),
      await connection.runAndReadAll(sql),
      await connection.runAndReadUntil(sql, 100),
      await connection.stream(sql),
    ];
    const all = await Promise.all(tables.map((table) => records(table, options)));
    const rows = (await connection.runAndReadAll(sql)).getRowsJS();
    for (const { values, keys, weights } of all) {
      expect(list(values)).toEqual(rows.map((row) => (row[2] === null ? Number.NaN : Number(row[2]))));
      expect(list(keys["k"]!)).toEqual(rows.map((row) => row[1]));
      expect(keys["h"]![4999]).toBe((4999 * 5000) / 2);
      expect(list(weights!)).toEqual(rows.map((row) => row[4]));
    }
  });
});

describe("frames of Polars, by what they offer", () => {
  const series = (dtype: string, cells: readonly unknown[], typed?: Float64Array | BigInt64Array) => ({
    dtype: { toString: () => `DataType(${dtype})` },
    nullCount: () => cells.filter((cell) => cell === null).length,
    isNull: () => ({ toArray: () => cells.map((cell) => cell === null) }),
    fillNull: () =>
      series(
        dtype,
        cells.map((cell) => cell ?? 0),
        typed,
      ),
    toTypedArray: () => typed!,
    toArray: () => [...cells],
  });
  const columns = {
    v: series("Float64", [1, null, 3], Float64Array.of(1, 0, 3)),
    i: series("Int64", [1, null, 3], BigInt64Array.of(1n, 0n, 2n ** 60n)),
    k: series("String", ["a", null, "b"]),
    d: series("Date", [new Date(0), null, new Date(86_400_000)]),
    t: series("Datetime(ms,)", [new Date(0), null, null]),
  };
  const frame = { columns: Object.keys(columns), height: 3, getColumn: (name: keyof typeof columns) => columns[name] };

  test("give values and keys", async () => {
    const { values, keys, copiedBytes } = await records(frame, { value: "v", keys: ["k", "d", "i"] });
    expect(values).toEqual(Float64Array.of(1, Number.NaN, 3));
    expect(keys).toEqual({ k: ["a", null, "b"], d: ["1970-01-01", null, "1970-01-02"], i: [1, null, 2n ** 60n] });
    expect(copiedBytes).toBeGreaterThan(24);
    expect((await failure(records(frame, { value: "i", keys: [] }))).code).toBe("ERR_FOURFOLD_INTEGER");
    expect((await failure(records(frame, { value: "v", keys: ["t"] }))).message).toContain('column "t" is "Datetime"');
  });
});

describe("64-bit integers in values", () => {
  const big = 2n ** 53n + 1n;
  test.each<readonly [string, () => Promise<object> | object]>([
    ["Apache Arrow", () => new Table({ v: vectorFromArray([1n, big], new Int64()), k: vectorFromArray([1, 2], new Int32()) })],
    ["DuckDB", () => connection.run(`select unnest([1::bigint, ${big}]) as v, 1 as k`)],
    ["DuckDB's HUGEINT", () => connection.run(`select unnest([1::hugeint, ${big}]) as v, 1 as k`)],
    ["a typed array", () => ({ v: BigInt64Array.of(1n, big), k: [1, 2] })],
    ["an array", () => ({ v: [1, big], k: [1, 2] })],
  ])("follow the policy: %s", async (_, make) => {
    const error = await failure(records(await make(), v));
    expect([error.code, error.at]).toEqual(["ERR_FOURFOLD_INTEGER", { column: "v", row: 1 }]);
    expect(list((await records(await make(), { ...v, int64: "number" })).values)).toEqual([1, 2 ** 53]);
    expect((await failure(records(await make(), { ...v, int64: "reject" }))).code).toBe("ERR_FOURFOLD_COLUMN");
  });
});

describe("what cannot be is refused with the way out", () => {
  const table = { delay: [1, 2], state: ["a", "b"] };
  test("wrong names, wrong types, wrong lengths", async () => {
    expect((await failure(records(table, { value: "dely", keys: [] }))).fix).toBe('Did you mean "delay"?');
    expect((await failure(records(table, { value: "delay", keys: ["sate"] }))).fix).toBe('Did you mean "state"?');
    expect((await failure(records(table, { value: "state", keys: [] }))).message).toContain(
      'column "state", row 0 is "a", expected a number',
    );
    expect((await failure(records({ v: [1], k: [new Date(0)] }, v))).fix).toBe("Turn it into text where the table is made");
    expect((await failure(records({ v: [1], k: [1, 2] }, v))).message).toContain('column "k" has 2 values, column "v" 1');
    expect((await failure(records({ v: 1, k: [1] }, v))).message).toContain('column "v" is 1, expected an array');
    const arrow = new Table({
      v: vectorFromArray([1], new Float64()),
      k: new Vector([makeData({ type: new Decimal(2, 10), data: new Uint32Array(4) })]),
    });
    expect((await failure(records(arrow, v))).message).toContain('column "k" is "decimal"');
    const early = new Table({
      v: vectorFromArray([1], new Float64()),
      k: new Vector([makeData({ type: new TimestampSecond(), data: BigInt64Array.of(-(10n ** 12n)) })]),
    });
    expect((await failure(records(early, v))).message).toContain("expected a date in the years 1 to 9999");
    expect((await failure(records(await connection.run("select 1 as v, [1] as k"), v))).message).toContain('column "k" is "INTEGER[]"');
    expect((await failure(records(await connection.run("select 1 as v, 1 as k, 2 as k"), v))).message).toContain("2 columns called");
  });

  test("what is no table, and options that there are not", async () => {
    for (const given of [[1, 2], 5, null, new Map(), "x"] as unknown[])
      expect((await failure(records(given as object, v))).code).toBe("ERR_FOURFOLD_ARGUMENT");
    expect((await failure(records(table, { value: "delay", keys: "state" as never }))).code).toBe("ERR_FOURFOLD_ARGUMENT");
    expect((await failure(records(table, { value: "delay", keys: [], values: 1 } as never))).code).toBe("ERR_FOURFOLD_ARGUMENT");
    expect((await failure(records(table, { value: "delay", keys: [], int64: "no" as never }))).code).toBe("ERR_FOURFOLD_ARGUMENT");
  });
});

test("an engine gives the same bits for the same records from every table", async () => {
  const engine = await createEngine({ workers: 1 });
  try {
    const sql = "select (i * 7919 % 1000) / 7 as v, (i % 11)::varchar as k, (i % 3)::integer as g, (i % 5) / 3 as w from range(4000) t(i)";
    const rows = (await connection.runAndReadAll(sql)).getColumnsJS();
    const [value, k, g, w] = rows as [number[], string[], number[], number[]];
    const table = new Table({
      v: vectorFromArray(value, new Float64()),
      k: vectorFromArray(k, new Dictionary(new Utf8(), new Int32())),
      g: vectorFromArray(g, new Int32()),
      w: vectorFromArray(w, new Float64()),
    });
    const options: RecordsOptions = { value: "v", keys: ["g", "k"], weight: "w" };
    const results = [];
    for (const given of [{ v: value, k, g, w }, table, flechette.tableFromIPC(tableToIPC(table)), await connection.run(sql)]) {
      const { values, keys, weights } = await records(given, options);
      results.push((await engine.run(chain(weightedSum({ perNode: weights! }), sum(), sum()), { values, keys })).value);
    }
    expect(new Set(results).size).toBe(1);
    expect(results[0]).toBeGreaterThan(0);
  } finally {
    await engine.close();
  }
});
