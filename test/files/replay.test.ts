// A spec's records by their event time: the order, the columns, what they hold where there is none, and where a reading goes on.
import { afterAll, describe, expect, test } from "vitest";
import { type LoadOptions, loadStreamSpec, type ReplayChunk, type StreamSpec } from "../../src/files/index.ts";
import type { Key } from "../../src/reduce/key.ts";
import { random } from "../random.ts";
import { Folder, failure, query } from "./fixture.ts";

const folder = new Folder();
afterAll(() => folder.remove());

const LEVELS = [
  { name: "route", by: ["state", "town"], reduce: "weightedSum", weights: { column: "w" } },
  { name: "state", by: ["state"], reduce: "weightedMean", weights: { column: "c" } },
  { name: "nation", by: [], reduce: "mean" },
];

function load(changes: Record<string, unknown> = {}, options: LoadOptions = {}): Promise<StreamSpec> {
  const spec = { source: { file: "r.csv" }, value: "v", stream: { time: "at" }, levels: LEVELS, ...changes };
  return loadStreamSpec(folder.spec("spec.json", spec), options);
}

interface Row {
  readonly time: number;
  readonly value: number;
  readonly path: readonly Key[];
  readonly weight: number | undefined;
  readonly child: number | undefined;
}

function rowsOf({ rows, times, values, keys, weights, childWeights }: ReplayChunk): Row[] {
  return Array.from({ length: rows }, (_, i) => ({
    time: times[i]!,
    value: values[i]!,
    path: keys.map(({ codes, dictionary }) => dictionary[codes[i]!]!),
    weight: weights?.[i],
    child: childWeights["state"]?.[i],
  }));
}

async function replay(spec: StreamSpec, from = 0): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const chunk of spec.replay({ from })) rows.push(...rowsOf(chunk));
  return rows;
}

/** A source of one SELECT without files. */
const sql = (text: string): Record<string, unknown> => ({ source: { sql: text } });
const ONE = { levels: [{ name: "f", by: ["k"], reduce: "sum" }] };

describe("loadStreamSpec(path).replay()", () => {
  test("gives every record once, by time, then keys, value and weights, as DuckDB itself orders them", async () => {
    const { int: pick, next } = random(7);
    const lines = Array.from({ length: 5000 }, () => {
      const state = `s${pick(5)}`;
      return `2024-01-0${1 + pick(3)} 00:00:0${pick(10)},${state},t${pick(7)},${next() - 0.5},${pick(3)},${state.charCodeAt(1)}`;
    });
    folder.file("r.csv", `at,state,town,v,w,c\n${lines.join("\n")}\n`);
    const expected = (
      await query(
        `select epoch_ms("at")::DOUBLE, v, state, town, w::DOUBLE, c::DOUBLE from read_csv('${folder.path}/r.csv') order by "at", state, town, v, w, c`,
      )
    ).map(([time, value, state, town, weight, child]) => ({ time, value, path: [state, town], weight, child }));
    const rows = await replay(await load());
    expect(rows).toEqual(expected);
    // A reading goes on at any record, inside chunks of 2,048 and between them.
    for (const from of [1, 2047, 2048, 4999, 5000]) expect(await replay(await load(), from)).toEqual(expected.slice(from));
  });

  test.each([
    ["TIMESTAMP '2024-05-06 07:08:09.123'", undefined, Date.UTC(2024, 4, 6, 7, 8, 9, 123)],
    ["DATE '2024-05-06'", undefined, Date.UTC(2024, 4, 6)],
    ["TIMESTAMPTZ '2024-05-06 07:08:09+02'", undefined, Date.UTC(2024, 4, 6, 5, 8, 9)],
    ["'2024-05-06 07:08:09'", undefined, Date.UTC(2024, 4, 6, 7, 8, 9)],
    ["'2024-05-06T07:08:09+02:00'", undefined, Date.UTC(2024, 4, 6, 5, 8, 9)],
    ["1715000000::BIGINT", "s", 1_715_000_000_000],
    ["1715000000123.5", undefined, 1_715_000_000_123.5],
    ["1715000000123456::BIGINT", "us", 1_715_000_000_123.456],
    ["1500000000::BIGINT", "ns", 1500],
    ["'soon'", undefined, Number.NaN],
    ["null::TIMESTAMP", undefined, Number.NaN],
  ])("reads the time %s in unit %s", async (text, timeUnit, expected) => {
    const stream = { time: "at", ...(timeUnit && { timeUnit }) };
    const [row] = await replay(await load({ ...sql(`select ${text} as at, 1 as v, 'a' as k`), stream, ...ONE }));
    expect(row?.time).toBe(expected);
  });

  test("records without a time come first, missing values are NaN, missing keys null, and keys are of one kind", async () => {
    const text = `select * from (values (2, null, 1::HUGEINT), (null, 5.5, null), (1, 'nan'::DOUBLE, 9007199254740993)) as t("at", v, k)`;
    const rows = await replay(await load({ ...sql(text), ...ONE }));
    expect(rows.map(({ time, value, path }) => [time, value, path[0]])).toEqual([
      [Number.NaN, 5.5, null],
      [1, Number.NaN, 9007199254740993n],
      [2, Number.NaN, 1n],
    ]);
  });

  test("−0 and 0 are one key, and true and false are two", async () => {
    const text = `select * from (values (1, 1, -0.0::DOUBLE, true), (2, 2, 0.0::DOUBLE, false)) as t("at", v, k, b)`;
    const levels = [{ name: "f", by: ["k", "b"], reduce: "sum" }];
    const rows = await replay(await load({ ...sql(text), levels }));
    expect(rows.map(({ path }) => path)).toEqual([
      [0, true],
      [0, false],
    ]);
    expect(rows.every(({ path }) => Object.is(path[0], 0))).toBe(true);
  });

  test.each([
    [{ source: undefined }, "SPEC", 'the spec needs the key "source"'],
    [{ stream: {} }, "SPEC", 'Add "stream": { "time": "…" }'],
    [{ stream: { time: "ta" }, ...sql("select 1 as at, 1 as v, 'a' as k") }, "COLUMN", 'the event time: the source has no column "ta"'],
    [sql("select true as at, 1 as v, 'a' as k"), "COLUMN", 'column "at" is BOOLEAN, which is no time'],
    [sql("select 1 as at, 'x' as v, 'a' as k"), "COLUMN", 'column "v" is VARCHAR, expected numbers'],
    [sql("select 1 as at, 9007199254740993 as v, 'a' as k"), "INTEGER", "an integer beyond 2^53, in record 0 by event time"],
    [sql("select 1 as at, error('boom') as v, 'a' as k"), "FORMAT", "boom"],
  ])("refuses %j", async (changes, code, message) => {
    const error = await failure(load({ ...ONE, ...changes }).then((spec) => replay(spec)));
    expect([error.code, error.message]).toEqual([`ERR_FOURFOLD_${code}`, expect.stringContaining(message)]);
    expect(error.message).toMatch(/spec\.json:1:\d+: /);
  });

  test("has the columns that a hierarchy and expressions make, the weights that stand for missing ones, and the filter", async () => {
    const text =
      "select * from (values (2, 'de/berlin', 1.5, null, 3), (1, 'de/bonn', 2.5, 4, 3), (3, 'fr/lyon', 9, 1, 1)) as t(\"at\", place, v, w, c)";
    const source = { sql: text, where: "v < 9", path: { column: "place", names: ["state", "town"] } };
    const levels = [
      { ...LEVELS[0], weights: { column: "w", missing: 0.5 } },
      { ...LEVELS[1], weights: { expression: "c * 2" } },
      LEVELS[2],
    ];
    expect(await replay(await load({ source, levels }))).toEqual([
      { time: 1, value: 2.5, path: ["de", "bonn"], weight: 4, child: 6 },
      { time: 2, value: 1.5, path: ["de", "berlin"], weight: 0.5, child: 6 },
    ]);
    // Without a word on it a null is NaN (contract clause 10).
    expect((await replay(await load({ source }))).map(({ weight }) => weight)).toEqual([4, Number.NaN]);
    const strict = [{ ...LEVELS[0], weights: { column: "w", missing: "error" } }, ...LEVELS.slice(1)];
    const error = await failure(load({ source, levels: strict }).then((spec) => replay(spec)));
    expect([error.code, error.message]).toEqual([
      "ERR_FOURFOLD_WEIGHTS",
      expect.stringContaining("a weight is null, in record 1 by event time"),
    ]);
  });

  test("times may be 64-bit integers whatever int64 says of values", async () => {
    const source = { sql: "select 5::BIGINT as at, 1.5::DOUBLE as v, 'a' as k" };
    const rows = await replay(await load({ source, int64: "reject", ...ONE }));
    expect(rows.map(({ time, value }) => [time, value])).toEqual([[5, 1.5]]);
  });

  test("an abort ends it", async () => {
    const spec = await load({ ...sql("select range as at, range as v, range % 7 as k from range(1000000)"), ...ONE });
    const controller = new AbortController();
    const reading = async (): Promise<void> => {
      for await (const _ of spec.replay({ signal: controller.signal })) controller.abort();
    };
    expect((await failure(reading())).code).toBe("ERR_FOURFOLD_ABORTED");
  });

  test("a consumer that leaves closes the database, and another reading starts anew", async () => {
    const spec = await load({ ...sql("select range as at, range as v, 'a' as k from range(10000)"), ...ONE });
    for (let i = 0; i < 2; i++)
      for await (const { times } of spec.replay()) {
        expect(times[0]).toBe(0);
        break;
      }
  });
});

describe("loadStreamSpec(path).weightsOf(level)", () => {
  const levels = (table: string): unknown[] => [
    { name: "town", by: ["state", "town"], reduce: "sum" },
    { name: "state", by: ["state"], reduce: "weightedMean", weights: { table: { sql: table }, value: "w" } },
  ];

  test("gives the path of each child and its weight; a null is none", async () => {
    const text = "select * from (values ('a', 'x', 0.5), ('b', null, 2), ('b', 'y', null)) as t(state, town, w)";
    const spec = await load({ source: undefined, levels: levels(text) });
    expect(await spec.weightsOf("state")).toEqual([
      [["a", "x"], 0.5],
      [["b", null], 2],
    ]);
    expect((await failure(spec.weightsOf("town"))).code).toBe("ERR_FOURFOLD_ARGUMENT");
  });

  test("refuses a key with two rows, with its place in the spec", async () => {
    const spec = await load({ source: undefined, levels: levels("select 'a' as state, 'x' as town, range as w from range(2)") });
    const error = await failure(spec.weightsOf("state"));
    expect(error.message).toMatch(/spec\.json:1:\d+: level "state": the weights table has two rows for town \(state "a", town "x"\)/);
    expect(error.at?.pointer).toBe("/levels/1/weights");
  });
});
