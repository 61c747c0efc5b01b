// What each format holds: its columns and their types, what the file says of itself, and what cannot be written.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEngine, type Engine } from "../../../src/engine.ts";
import { type ResultFormat, resultFormat, resultPieces, writeResult } from "../../../src/files/index.ts";
import { chain, max, mean, sum, variance, weightedMean, weightedSum } from "../../../src/index.ts";
import type { KeyColumn } from "../../../src/reduce/key.ts";
import type { Result } from "../../../src/result.ts";
import { failing, hex } from "../../failing.ts";
import { random } from "../../random.ts";
import { Folder, query } from "../fixture.ts";
import { type Npy, readArrow, readByPython, readJson, readParquet, rowsOf } from "./readers.ts";

const folder = new Folder();
let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ workers: 0 });
});
afterAll(async () => {
  await engine.close();
  folder.remove();
});
const at = (name: string): string => join(folder.path, name);

/** One node for each key of `column`. */
const keyed = (column: KeyColumn, name = "k"): Promise<Result> =>
  engine.run(
    chain({ leaf: sum(), all: mean() }),
    { values: Array.from(column, (_, i) => i), keys: { [name]: column }, nullKeys: "group" },
    { keep: "all" },
  );

const REGIONS = { values: [1, 2, 4], keys: { region: ["n", "n", "s"], site: [1, 2, 1] } };
const regions = (): Promise<Result> =>
  engine.run(chain({ site: variance({ ddof: 1 }), region: max(), all: weightedMean("count") }), REGIONS, { keep: "all", nan: "skip" });

test("a file says of itself what made its numbers, the same in Parquet, Arrow and JSON", async () => {
  const result = await regions();
  for (const name of ["a.parquet", "a.arrow", "a.json"]) await writeResult(result, at(name));
  const { metadata } = await readParquet(at("a.parquet"));
  expect(metadata).toEqual({
    version: 1,
    levels: [
      { name: "site", index: 0, reduce: "variance", ddof: 1, keys: ["region", "site"], weighted: false },
      { name: "region", index: 1, reduce: "max", keys: ["region"], weighted: false },
      { name: "all", index: 2, reduce: "weightedMean", keys: [], weighted: true },
    ],
    contract: "1",
    accuracy: "reproducible",
    nan: "skip",
    records: 3,
  });
  expect(readArrow(at("a.arrow")).metadata).toEqual(metadata);
  expect((await readJson(at("a.json"))).metadata).toEqual(metadata);
});

describe("columns", () => {
  test("are the level, the keys outermost first, the value, the count and the weight, with types that readers expect", async () => {
    await writeResult(await regions(), at("b.parquet"));
    expect((await readParquet(at("b.parquet"))).columns).toEqual([
      ...["level BYTE_ARRAY UTF8", "region BYTE_ARRAY UTF8", "site INT64", "value DOUBLE", "count INT64", "weight DOUBLE"],
    ]);
    await writeResult(await regions(), at("b.arrow"));
    expect(readArrow(at("b.arrow")).columns).toEqual([
      ...["level: Utf8", "region: Utf8", "site: Int64", "value: Float64", "count: Int64", "weight: Float64"],
    ]);
  });

  test.each<[string, KeyColumn, string]>([
    ["text", ["a", "b", null], "Utf8"],
    ["integers", [1, 2n, -(2 ** 62), 2n ** 62n + 1n], "Int64"],
    ["numbers", [1, 2n, 0.5, 2 ** 63], "Float64"],
    ["booleans", [true, false, null], "Bool"],
    ["several kinds", ["a", 1, true], "Utf8"],
    ["integers beyond int64", [2n ** 64n + 1n], "Utf8"],
    ["an integer that only int64 holds beside a fraction", [2n ** 62n + 1n, 0.5], "Utf8"],
    ["nothing but null", [null], "Utf8"],
  ])("of keys that are %s have a type that holds them exactly", async (_, column, type) => {
    const result = await keyed(column);
    await writeResult(result, at("c.arrow"));
    const { rows, columns } = readArrow(at("c.arrow"));
    expect(columns[1]).toBe(`k: ${type}`);
    expect(rows).toEqual(rowsOf(result));
  });

  test("of indices are integers, also where there is no node", async () => {
    const result = await engine.run(chain({ f: sum(), g: sum() }), { data: [], shape: [0, 2, 3] }, { keep: "all" });
    await writeResult(result, at("d.parquet"));
    const { rows, columns } = await readParquet(at("d.parquet"));
    expect([rows, columns.slice(1, 3)]).toEqual([[], ["frame INT64", "f INT64"]]);
  });

  test("in a column of several kinds have texts that tell all keys apart", async () => {
    await writeResult(await keyed([true, "true", 2, "2", '"2"', "x", 1e21, "1e+21", -0.5, "-0.5.", "1.", "Infinity"]), at("e.arrow"));
    const { metadata } = readArrow(at("e.arrow"));
    await writeResult(await keyed([true, "true", 2, "2", '"2"', "x", 1e21, "1e+21", -0.5, "-0.5.", "1.", "Infinity"]), at("e.parquet"));
    expect(metadata.mixed).toEqual(["k"]);
    const texts = (await query(`select k from '${at("e.parquet")}' where level = 'leaf'`)).flat();
    expect(new Set(texts)).toEqual(
      new Set(["true", '"true"', "2", '"2"', '"\\"2\\""', "x", "1e+21", '"1e+21"', "-0.5", "-0.5.", "1.", '"Infinity"']),
    );
  });

  test("called like those of the table, or like one another, say that they are keys", async () => {
    const keys = { weight: ["a"], level: ["b"], "key level": ["c"] };
    const result = await engine.run(chain({ leaf: sum() }), { values: [1], keys }, { keep: "all" });
    await writeResult(result, at("f.parquet"));
    const { columns, metadata } = await readParquet(at("f.parquet"));
    expect(columns.slice(0, 4).map((column) => column.replace(/ BYTE.*/, ""))).toEqual([
      "level",
      "key weight",
      "key level",
      "key key level",
    ]);
    expect(metadata.levels[0]!.keys).toEqual(["key weight", "key level", "key key level"]);
    // CSV has no column of weights where there are none.
    expect([...resultPieces(result, { format: "csv" })].join("")).toBe(
      "level,weight,key level,key key level,value,count\r\nleaf,a,b,c,1,1\r\n",
    );
  });

  test("of keys may be called like values of several outputs, where there is one", async () => {
    const result = await keyed(["a", "b"], "value1");
    await writeResult(result, at("v.parquet"));
    const { rows, columns } = await readParquet(at("v.parquet"));
    expect(columns[1]).toBe("value1 BYTE_ARRAY UTF8");
    expect(rows).toEqual(rowsOf(result));
  });

  test("of several outputs are value0, value1, …, null at levels with fewer", async () => {
    const c = chain({
      f: sum(),
      g: weightedSum([
        [1, 2],
        [3, Number.NaN],
      ]),
    });
    const result = await engine.run(c, { data: [1, 2, 3, 4], shape: [2, 2] }, { keep: "all" });
    await writeResult(result, at("g.parquet"));
    expect(await query(`select level, f, value0, value1, weight from '${at("g.parquet")}'`)).toEqual([
      ["f", 0n, 3, null, 1],
      ["f", 1n, 7, null, 2],
      ["g", null, 17, Number.NaN, null],
    ]);
    expect([...resultPieces(result, { format: "csv", keep: ["g"] })].join("")).toBe("level,value0,value1,count\r\ng,17,NaN,4\r\n");
  });
});

test("more rows than a batch has come back in order, as several row groups and record batches", async () => {
  const n = 250_000;
  const values = random(8).numbers(n, "cancelling");
  const result = await engine.run(chain({ f: sum() }), { data: values, shape: [n, 1] }, { keep: "all" });
  const bits = hex(result.values);
  await writeResult(result, at("h.parquet"));
  const found = await query(
    `select list(value), list(frame = i and count = 1) from (select *, row_number() over () - 1 as i from '${at("h.parquet")}')`,
  );
  const [[list, all]] = found as [[number[], boolean[]]];
  expect([hex(list).join() === bits.join(), all.every(Boolean)]).toEqual([true, true]);
  expect(await query(`select count(distinct row_group_id) from parquet_metadata('${at("h.parquet")}')`)).toEqual([[3n]]);
  await writeResult(result, at("h.arrow"));
  expect(
    readArrow(at("h.arrow"))
      .rows.map(([, , values]) => values[0])
      .join() === bits.join(),
  ).toBe(true);
});

test("long keys make short batches", async () => {
  const result = await keyed(Array.from({ length: 40 }, (_, i) => `${i}${"é".repeat(1 << 20)}`));
  await writeResult(result, at("i.parquet"));
  expect(
    await query(
      `select count(distinct row_group_id) > 2, max(length(k)) from (select row_group_id, null as k from parquet_metadata('${at("i.parquet")}') union all select null, k from '${at("i.parquet")}')`,
    ),
  ).toEqual([[true, BigInt((1 << 20) + 2)]]);
});

test("equal results give equal bytes", async () => {
  for (const format of ["parquet", "arrow", "csv", "ndjson", "json", "npz"] as const) {
    for (const name of ["x", "y"]) await writeResult(await regions(), at(`${name}.${format}`));
    expect(readFileSync(at(`x.${format}`)).equals(readFileSync(at(`y.${format}`))), format).toBe(true);
  }
});

test("members of an archive stay in its folder, whatever their levels are called", async () => {
  const c = chain({ "../a": sum(), "/b\\c": sum(), "d%2F\n": sum(), "": sum() });
  const result = await engine.run(c, { data: [1], shape: [1, 1, 1, 1] }, { keep: "all" });
  await writeResult(result, at("j.npz"));
  const [members] = await readByPython<[Record<string, Npy>]>(at("j.npz"));
  expect(Object.keys(members)).toEqual(["%2E.%2Fa.npy", "%2Fb%5Cc.npy", "d%252F%0A.npy", ".npy"]);
});

describe("the format", () => {
  test.each<[string, ResultFormat | undefined]>([
    ["a.parquet", "parquet"],
    ["a.PQ", "parquet"],
    ["a.b/c.arrow", "arrow"],
    ["c.feather", "arrow"],
    ["c.jsonl", "ndjson"],
    ["c.npz", "npz"],
    ["parquet", undefined],
    ["a.txt", undefined],
    ["a.constructor", undefined],
  ])("of %s is %s", (path, format) => {
    expect(resultFormat(path)).toBe(format);
  });

  test("that is named goes before the ending, and a URL is a path, too", async () => {
    await writeResult(await regions(), pathToFileURL(at("k.csv")), { format: "ndjson", keep: ["all"] });
    expect(readFileSync(at("k.csv"), "utf8")).toMatch(/^\{"level":"all","keys":\{\},"value":.*,"count":0\}\n$/);
  });
});

describe("what cannot be written is refused before a file is touched", () => {
  const cases: readonly [string, (result: Result) => Promise<void>, string, RegExp][] = [
    ["an ending that says nothing", (r) => writeResult(r, at("a.parqet")), "ARGUMENT", /says no format of results.*Did you mean \.parquet/],
    ["an unknown format", (r) => writeResult(r, at("a.csv"), { format: "xlsx" as "csv" }), "ARGUMENT", /option "format": given "xlsx"/],
    ["a level that is not there", (r) => writeResult(r, at("a.csv"), { keep: ["sites"] }), "LEVEL", /Did you mean "site"/],
    ["no level", (r) => writeResult(r, at("a.csv"), { keep: [] }), "ARGUMENT", /option "keep": given \[\]/],
    ["several levels as NPY", (r) => writeResult(r, at("a.npy")), "ARGUMENT", /holds one level, given site, region, all/],
    ["no result", () => writeResult({} as Result, at("a.csv")), "ARGUMENT", /option "result"/],
    ["no path", (r) => writeResult(r, ""), "ARGUMENT", /option "path"/],
    ["an unknown option", (r) => writeResult(r, at("a.csv"), { fromat: 1 } as object), "ARGUMENT", /fromat/],
    ["a folder that is not there", (r) => writeResult(r, at("none/a.csv")), "OUTPUT", /there is no folder/],
  ];
  test.each(cases)("%s", async (_, write, code, message) => {
    const result = await regions();
    const error = await failing(() => write(result));
    expect([error.code, `${error.message} ${error.fix}`]).toEqual([`ERR_FOURFOLD_${code}`, expect.stringMatching(message)]);
  });

  test.each(["parquet", "arrow"] as const)("text that UTF-8 cannot say: %s", async (format) => {
    const result = await keyed(["fine", "half \ud83d"]);
    const error = await failing(() => writeResult(result, at(`l.${format}`)));
    expect([error.code, error.message]).toEqual(["ERR_FOURFOLD_OUTPUT", expect.stringContaining("half of a surrogate pair")]);
    await expect(query(`select 1 from '${at(`l.${format}`)}'`)).rejects.toThrow();
  });

  test("an abort ends it", async () => {
    const result = await regions();
    const error = await failing(() => writeResult(result, at("m.csv"), { signal: AbortSignal.abort() }));
    expect(error.code).toBe("ERR_FOURFOLD_ABORTED");
  });
});
