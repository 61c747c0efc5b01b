// Results at rest: nodes by path, contributions, changes, and files that are no results.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openResult, type StoredResult } from "../../src/files/index.ts";
import { ExactSum } from "../../src/reduce/exact.ts";
import { Folder, failure } from "./fixture.ts";
import { jsonResult, kv, type Level, metadata, parquetResult, type Row, runSql } from "./results.ts";

const folder = new Folder();
afterAll(() => folder.remove());

const LEVELS: readonly Level[] = [
  { name: "site", reduce: "mean", keys: ["region", "site"], weighted: false },
  { name: "region", reduce: "weightedMean", keys: ["region"], weighted: true },
  { name: "fleet", reduce: "mean", keys: [], weighted: false },
];

/** (1·0.1 + 3·0.7)/4, by exact sums rounded once: not 0.55. */
const EU = 0.5499999999999999;
const FLEET = (EU + 5) / 2;

const ROWS: readonly Row[] = [
  ["site", ["eu", "s1"], 0.1, 2, 1],
  ["site", ["eu", "s2"], 0.7, 3, 3],
  ["site", ["us", "s1"], 5, 4, 2],
  ["region", ["eu"], EU, 5],
  ["region", ["us"], 5, 4],
  ["fleet", [], FLEET, 9],
];

/** The same result in each format. */
async function each(name: string, meta: Record<string, unknown>, rows: readonly Row[], types?: readonly string[]): Promise<StoredResult[]> {
  const parquet = folder.file(`${name}.parquet`, "");
  await parquetResult(parquet, meta, rows, types);
  return [await openResult(parquet), await openResult(folder.file(`${name}.json`, jsonResult(meta, rows)))];
}

let results: StoredResult[];
beforeAll(async () => {
  results = await each("fleet", metadata(LEVELS), ROWS);
});

/** Whether numbers add up to `value` as real numbers. */
function addsUp(parts: readonly (number | undefined)[], value: number): boolean {
  const total = ExactSum.of(parts as number[], 1);
  total.subtract(value);
  return total.isZero;
}

describe.each([
  ["Parquet", 0],
  ["JSON", 1],
] as const)("a result in %s", (_, format) => {
  const fleet = (): StoredResult => results[format]!;

  test("says what it is", () => {
    const { contract, accuracy, nan, records, outputs, levels } = fleet();
    expect({ contract, accuracy, nan, records, outputs }).toEqual({
      contract: "1",
      accuracy: "reproducible",
      nan: "propagate",
      records: 9,
      outputs: 1,
    });
    expect(levels).toEqual(LEVELS.map((level, index) => ({ ...level, index, nodes: [3, 2, 1][index] })));
  });

  test("finds nodes by their keys, and their children", () => {
    const node = fleet().at(["eu", "s2"]);
    expect([node.level, node.index, node.path, node.value, node.values, node.count, node.weight]).toEqual([
      "site",
      1,
      ["eu", "s2"],
      0.7,
      [0.7],
      3,
      3,
    ]);
    expect(fleet().at([]).weight).toBeUndefined();
    expect(
      fleet()
        .children(fleet().at(["eu"]))
        .map(({ path }) => path),
    ).toEqual([
      ["eu", "s1"],
      ["eu", "s2"],
    ]);
    expect([...fleet().nodes("region")].map(({ value }) => value)).toEqual([EU, 5]);
  });

  test("gives contributions that add up to the node's value", () => {
    const { children, residual, why, differs, others } = fleet().contributions(fleet().at(["eu"]));
    // 3·0.7/4 with the double that 0.7 is lies in the middle of two doubles: to even.
    expect(children.map(({ contribution }) => contribution)).toEqual([0.1 / 4, 0.5249999999999999]);
    expect(addsUp([...children.map(({ contribution }) => contribution), residual], EU)).toBe(true);
    expect({ why, differs, others }).toEqual({ why: undefined, differs: undefined, others: undefined });
    const top = fleet().contributions(fleet().at([]), { top: 1 });
    expect(top.children.map(({ node, contribution }) => [node.path, contribution])).toEqual([[["us"], 2.5]]);
    expect(top.others).toEqual({ children: 1, contribution: EU / 2 });
    expect(addsUp([2.5, EU / 2, top.residual], FLEET)).toBe(true);
  });
});

describe("paths", () => {
  test("find a key by itself or by its text, and by itself first", async () => {
    const levels = [{ name: "year", reduce: "sum", keys: ["year"], weighted: false }];
    const rows: Row[] = [
      ["year", [2001], 1, 1],
      ["year", [2002], 2, 1],
      ["year", [null], 3, 1],
    ];
    for (const result of await each("years", metadata(levels), rows, ["bigint"])) {
      expect([2001, "2002", null, "null"].map((key) => result.at([key]).value)).toEqual([1, 2, 3, 3]);
      expect([...result.nodes("year")].map(({ path }) => path)).toEqual([[null], [2001], [2002]]);
    }
    const mixed = await openResult(
      folder.file(
        "mixed.json",
        jsonResult(metadata(levels), [
          ["year", ["7"], 1, 1],
          ["year", [7], 2, 1],
        ]),
      ),
    );
    expect([mixed.at([7]).value, mixed.at(["7"]).value]).toEqual([2, 1]);
  });

  test("of a Parquet column with several kinds of keys have the kinds again", async () => {
    const levels = [{ name: "a", reduce: "sum", keys: ["a"], weighted: false }];
    const texts = ["7", '"7"', "true", '"true"', "x", '"\\"q"', "0.5", "9007199254740993"];
    const path = folder.file("kinds.parquet", "");
    await parquetResult(
      path,
      metadata(levels, { mixed: ["a"] }),
      texts.map((text, i): Row => ["a", [text], i, 1]),
    );
    const result = await openResult(path);
    expect([...result.nodes("a")].map(({ path: [key] }) => key)).toEqual([true, 0.5, 7, 9007199254740993n, '"q', "7", "true", "x"]);
  });

  test("that lead nowhere name the nearest key and the ones there are", async () => {
    const [fleet] = results as [StoredResult];
    const said = (work: () => unknown) => failure((async () => work())());
    expect(await said(() => fleet.at(["eu", "s9"]))).toMatchObject({
      code: "ERR_FOURFOLD_LEVEL",
      message: expect.stringMatching(/no site "s9" in eu\. Did you mean s1\? There are s1, s2/),
    });
    expect((await said(() => fleet.at(["us", "s2"]))).message).toMatch(/no site "s2" in us/);
    expect((await said(() => fleet.at(["a", "b", "c"]))).message).toMatch(
      /no level has 3 keys.*fleet: \(none\), region: region, site: region\/site/,
    );
    expect((await said(() => fleet.at(["eu"], { level: "sites" }))).message).toMatch(/no level "sites".*Did you mean site\?/);
    expect((await said(() => fleet.at(["eu"], { level: "site" }))).message).toMatch(/level "site" has 2 keys, given 1/);
    expect((await said(() => fleet.children(fleet.at(["eu", "s1"])))).message).toMatch(/level "site" is the innermost/);
    expect(await said(() => fleet.contributions(fleet.at([]), { output: 1 }))).toMatchObject({ code: "ERR_FOURFOLD_ARGUMENT" });
    expect(await said(() => fleet.contributions(fleet.at([]), { top: 0 }))).toMatchObject({ code: "ERR_FOURFOLD_ARGUMENT" });
    expect(await said(() => fleet.contributions(fleet.at([]), { tops: 1 } as never))).toMatchObject({ code: "ERR_FOURFOLD_ARGUMENT" });
  });

  test("name the outermost of several levels with as many keys, or the one that is asked for", async () => {
    const levels: Level[] = [
      { name: "inner", reduce: "sum", keys: ["a"], weighted: false },
      { name: "outer", reduce: "max", keys: ["a"], weighted: false },
    ];
    const rows: Row[] = [
      ["inner", ["x"], 3, 1],
      ["outer", ["x"], 3, 1],
    ];
    for (const result of await each("same", metadata(levels), rows)) {
      expect(result.at(["x"]).level).toBe("outer");
      expect(result.at(["x"], { level: "inner" }).level).toBe("inner");
      const { children, residual } = result.contributions(result.at(["x"]));
      expect(children).toMatchObject([{ contribution: 3, decides: true }]);
      expect(residual).toBe(0);
    }
  });
});

describe("contributions", () => {
  const two = async (reduce: string, rows: readonly Row[], changes: Record<string, unknown> = {}): Promise<StoredResult> => {
    const levels: Level[] = [
      { name: "site", reduce: "sum", keys: ["site"], weighted: false },
      { name: "fleet", reduce, keys: [], weighted: rows[0]![4] !== undefined, ...(reduce === "variance" ? { ddof: 1 } : {}) },
    ];
    return openResult(folder.file("two.json", jsonResult(metadata(levels, changes), rows)));
  };
  const given = async (result: StoredResult) => result.contributions(result.at([]));

  test("of a minimum are all of the first child that has it", async () => {
    const rows: Row[] = [
      ["site", ["a"], 4, 1],
      ["site", ["b"], 2, 1],
      ["site", ["c"], 2, 1],
      ["fleet", [], 2, 3],
    ];
    const { children, residual } = await given(await two("min", rows));
    expect(children.map(({ contribution, decides }) => [contribution, decides])).toEqual([
      [0, false],
      [2, true],
      [0, false],
    ]);
    expect(residual).toBe(0);
  });

  test("of a variance are the squares off the mean, of a count 1 for each child", async () => {
    const rows: Row[] = [
      ["site", ["a"], 1, 1],
      ["site", ["b"], 2, 1],
      ["site", ["c"], 6, 1],
    ];
    const squares = await given(await two("variance", [...rows, ["fleet", [], 7, 3]]));
    expect(squares.children.map(({ contribution }) => contribution)).toEqual([2, 0.5, 4.5]);
    expect(squares.residual).toBe(0);
    const counted = await given(await two("count", [...rows, ["fleet", [], 3, 3]]));
    expect(counted.children.map(({ contribution }) => contribution)).toEqual([1, 1, 1]);
  });

  test("of a reduction of one's own are none, and it says so", async () => {
    const { children, residual, why } = await given(
      await two("geometricMean", [
        ["site", ["a"], 4, 1],
        ["fleet", [], 4, 1],
      ]),
    );
    expect(children.map(({ contribution }) => contribution)).toEqual([undefined]);
    expect([residual, why]).toEqual([undefined, "a reduction of your own does not say what each child gives"]);
  });

  test("of children that nan: skip leaves out are +0 (clause 10)", async () => {
    const rows: Row[] = [
      ["site", ["a"], Number.NaN, 0],
      ["site", ["b"], 3, 2],
      ["site", ["c"], 0, 0],
      ["fleet", [], 3, 2],
    ];
    const { children, differs } = await given(await two("mean", rows, { nan: "skip" }));
    expect(children.map(({ contribution, kept }) => [contribution, kept])).toEqual([
      [0, false],
      [3, true],
      [0, false],
    ]);
    expect(differs).toBeUndefined();
  });

  test("of what is not finite have no residual, and it says so", async () => {
    const { children, residual, why } = await given(
      await two("sum", [
        ["site", ["a"], Number.NaN, 1],
        ["site", ["b"], 1, 1],
        ["fleet", [], Number.NaN, 2],
      ]),
    );
    expect(children.map(({ contribution }) => contribution)).toEqual([Number.NaN, 1]);
    expect([residual, why]).toEqual([undefined, "not all of it is finite, so there is no residual"]);
  });

  test("say where the children do not give the node's value, and add up all the same", async () => {
    const { children, residual, differs } = await given(
      await two("sum", [
        ["site", ["a"], 1, 1],
        ["site", ["b"], 2, 1],
        ["fleet", [], 4, 2],
      ]),
    );
    expect([children.map(({ contribution }) => contribution), residual, differs]).toEqual([[1, 2], 1, 3]);
  });

  test("need the children's weights", async () => {
    const { why } = await given(
      await two("weightedSum", [
        ["site", ["a"], 1, 1],
        ["fleet", [], 1, 1],
      ]),
    );
    expect(why).toBe("the children's weights are not known");
  });

  test("are for one output of several", async () => {
    const levels: Level[] = [
      { name: "site", reduce: "weightedSum", keys: ["site"], weighted: true },
      { name: "fleet", reduce: "sum", keys: [], weighted: false },
    ];
    const rows: Row[] = [
      ["site", ["a"], [1, 10], 1],
      ["site", ["b"], [2, 20], 1],
      ["fleet", [], [3, 30], 2],
    ];
    for (const result of await each("outputs", metadata(levels), rows)) {
      expect(result.outputs).toBe(2);
      expect(result.contributions(result.at([]), { output: 1 })).toMatchObject({
        value: 30,
        residual: 0,
        children: [{ contribution: 10 }, { contribution: 20 }],
      });
    }
  });

  test("are not given across a level that the chain has and the result does not name", async () => {
    const levels = [LEVELS[0]!, LEVELS[2]!].map((level, i) => ({ ...level, index: 2 * i }));
    const rows = ROWS.filter(([level]) => level !== "region");
    for (const result of await each("unnamed", metadata(levels), rows)) {
      const error = await failure((async () => result.contributions(result.at([])))());
      expect(error.message).toMatch(/the level inside "fleet" was not kept/);
    }
  });

  test("are not given across a level that was not kept", async () => {
    const rows = ROWS.filter(([level]) => level !== "region");
    for (const result of await each("gap", metadata(LEVELS), rows)) {
      const error = await failure((async () => result.contributions(result.at([])))());
      expect(error.message).toMatch(/the level inside "fleet" was not kept/);
    }
  });
});

describe("changes", () => {
  const LATER: readonly Row[] = [
    ["site", ["eu", "s1"], 0.1, 2, 2],
    ["site", ["eu", "s2"], 0.9, 3, 3],
    ["site", ["eu", "s3"], 1, 3, 1],
    ["region", ["eu"], (0.2 + 2.7 + 1) / 6, 8],
    ["fleet", [], (0.2 + 2.7 + 1) / 6, 8],
  ];

  test("open down to the nodes that moved it, by values and weights, and add up exactly", async () => {
    for (const [i, later] of (await each("later", metadata(LEVELS), LATER)).entries()) {
      const change = later.diff(results[i]!, later.at([]));
      expect([change.before, change.after, change.rounding]).toEqual([FLEET, LATER[4]![2], 0]);
      const pieces = change.pieces.map(({ kind, before, after, effect }) => [kind, (after ?? before)!.path.join("/"), effect]);
      // The fleet's mean had two regions and has one: a0 = 1/2, a1 = 1. In eu W goes from 4 to 6.
      const eu = 3 / 4;
      const expected = [
        ["weight", "eu", ((0.55 + 0.65) / 2) * 0.5],
        ["weight", "eu/s1", eu * 0.1 * (2 / 6 - 1 / 4)],
        ["value", "eu/s2", eu * ((3 / 4 + 3 / 6) / 2) * (0.9 - 0.7)],
        ["weight", "eu/s2", eu * 0.8 * (3 / 6 - 3 / 4)],
        ["new", "eu/s3", (eu * 1) / 6],
        ["gone", "us", -2.5],
      ];
      expect(pieces.map(([kind, path]) => `${kind} ${path}`).sort()).toEqual(expected.map(([kind, path]) => `${kind} ${path}`).sort());
      for (const [kind, path, effect] of expected)
        expect(pieces.find((piece) => piece[0] === kind && piece[1] === path)![2], `${kind} ${path}`).toBeCloseTo(effect as number, 12);
      expect(addsUp([change.before, ...change.pieces.map(({ effect }) => effect), change.residual], change.after)).toBe(true);
      const top = later.diff(results[i]!, later.at([]), { top: 2 });
      expect(top.pieces.map(({ kind }) => kind)).toEqual(["gone", "weight"]);
      expect(top.others!.pieces).toBe(4);
      expect(addsUp([top.before, ...top.pieces.map(({ effect }) => effect), top.others!.effect, top.residual], top.after)).toBe(true);
      expect(change.totals.gone).toBe(-2.5);
    }
  });

  test("are nothing between a result and itself", () => {
    const [result] = results as [StoredResult];
    expect(result.diff(result, result.at([]))).toMatchObject({ change: 0, pieces: [], residual: 0, rounding: 0 });
  });

  test("of a maximum are one piece, which says why", async () => {
    const levels: Level[] = [
      { name: "site", reduce: "sum", keys: ["site"], weighted: false },
      { name: "fleet", reduce: "max", keys: [], weighted: false },
    ];
    const at = (value: number) =>
      openResult(
        folder.file(
          `max${value}.json`,
          jsonResult(metadata(levels), [
            ["site", ["a"], value, 1],
            ["fleet", [], value, 1],
          ]),
        ),
      );
    const later = await at(5);
    expect(later.diff(await at(3), later.at([]))).toMatchObject({
      change: 2,
      residual: 0,
      pieces: [{ kind: "value", effect: 2, why: "max is not linear" }],
    });
  });

  test("need the same levels in both, and the node", async () => {
    const [result] = results as [StoredResult];
    const other = LEVELS.map((level) => (level.name === "region" ? { ...level, name: "area" } : level));
    const renamed = await openResult(
      folder.file(
        "area.json",
        jsonResult(
          metadata(other),
          ROWS.map((row) => (row[0] === "region" ? (["area", ...row.slice(1)] as unknown as Row) : row)),
        ),
      ),
    );
    expect((await failure((async () => renamed.diff(result, renamed.at([])))())).message).toMatch(
      /other levels: "area" by region, and "region" by region/,
    );
    const [later] = await each("less", metadata(LEVELS), LATER);
    expect((await failure((async () => result.diff(later!, result.at(["us"])))())).message).toMatch(/no region "us"/);
  });
});

describe("a file that is no result is refused, with what is wrong", () => {
  const meta = metadata(LEVELS);
  const document = (
    change: (value: { fourfold: Record<string, unknown>; levels: { name: string; nodes: Record<string, unknown>[] }[] }) => void,
  ): string => {
    const value = JSON.parse(jsonResult(meta, ROWS));
    change(value);
    return JSON.stringify(value);
  };
  test.each([
    ["no metadata", document((value) => delete (value as Partial<typeof value>).fourfold), /no metadata "fourfold"/],
    ["a newer version", document((value) => (value.fourfold["version"] = 2)), /version 2, and this package reads 1\. Use a newer fourfold/],
    ["no version", document((value) => delete value.fourfold["version"]), /"version" is 1, given undefined/],
    ["no levels", document((value) => (value.fourfold["levels"] = [])), /"levels" is a list of 1 to 64/],
    [
      "a level without a reduction",
      document((value) => delete (value.fourfold["levels"] as Record<string, unknown>[])[0]!["reduce"]),
      /"levels" 0: "reduce" is a text/,
    ],
    [
      "keys that do not begin as the inner ones",
      document((value) => ((value.fourfold["levels"] as Record<string, unknown>[])[1]!["keys"] = ["site"])),
      /keys of level "region" are the first ones/,
    ],
    [
      "two levels of one name",
      document((value) => ((value.fourfold["levels"] as Record<string, unknown>[])[1]!["name"] = "site")),
      /a name of its own/,
    ],
    ["a policy that is none", document((value) => (value.fourfold["nan"] = "drop")), /"nan" is propagate, skip or error/],
    ["nodes of no level", document((value) => (value.levels[0]!.name = "place")), /"levels" 0 is "place"/],
    ["a path that is too short", document((value) => (value.levels[0]!.nodes[1]!["path"] = ["eu"])), /row 1: its path has 2 keys/],
    [
      "a value that is no number",
      document((value) => (value.levels[0]!.nodes[1]!["value"] = "0.7")),
      /row 1: its value is a number, given "0\.7"/,
    ],
    [
      "bits of another value",
      document((value) => (value.levels[0]!.nodes[1]!["bits"] = "3ff0000000000000")),
      /row 1: its bits are those of its value/,
    ],
    ["a count below 0", document((value) => (value.levels[0]!.nodes[1]!["count"] = -1)), /row 1: its count is a whole number, given -1/],
    [
      "a weight here and none there",
      document((value) => delete value.levels[0]!.nodes[1]!["weight"]),
      /row 1: some rows of level "site" have a weight/,
    ],
    [
      "a node twice",
      document((value) => (value.levels[0]!.nodes[1]!["path"] = ["eu", "s1"])),
      /level "site" has two rows for \("eu", "s1"\)/,
    ],
    [
      "a node without its parent",
      document((value) => (value.levels[0]!.nodes[1]!["path"] = ["as", "s1"])),
      /level "site" has a row for \("as", "s1"\), level "region" none/,
    ],
    ["no nodes", document((value) => (value.levels = [])), /it has no nodes/],
    ["no JSON", '{"fourfold"', /it is no JSON/],
    ["neither Parquet nor JSON", "hello", /neither Parquet nor JSON/],
    ["nothing", "", /neither Parquet nor JSON/],
    ["Parquet that ends early", "PAR1", /./],
    ["Arrow", "ARROW1\0\0", /it is Arrow, which inspect does not read\. Write it as Parquet or JSON/],
  ])("%s", async (name, text, expected) => {
    const error = await failure(openResult(folder.file(`bad ${name}.json`, text)));
    expect(error.code).toBe("ERR_FOURFOLD_FORMAT");
    expect(error.message).toMatch(expected);
    expect(error.fix).toBeDefined();
  });

  test("CSV and NDJSON, which do not say how levels reduce", async () => {
    for (const ending of ["csv", "ndjson", "jsonl", "tsv"]) {
      const error = await failure(openResult(folder.file(`a.${ending}`, "{}")));
      expect(error.message).toMatch(/(CSV|NDJSON) does not say how its levels reduce\. Write it as Parquet or JSON/);
    }
  });

  test.each([
    ["no metadata", "select 1 as a", "{other: 'x'}", /no metadata "fourfold"/],
    ["metadata that are no JSON", "select 1 as a", "{fourfold: '{'}", /are no JSON/],
    ["other columns", "select 1 as a", kv(meta), /expected a column "level" of type VARCHAR, found "a", INTEGER/],
    [
      "no key column",
      "select 'fleet' as level, 1::double as value, 1::bigint as count, null::double as weight",
      kv(meta),
      /expected the key column "region", found "value"/,
    ],
    [
      "counts that are no integers",
      "select 'fleet' as level, null::varchar as region, null::varchar as site, 1::double as value, 1::double as count, null::double as weight",
      kv(meta),
      /expected a column "count" of type BIGINT, found "count", DOUBLE/,
    ],
    [
      "a level that the metadata do not have",
      "select 'nation' as level, null::varchar as region, null::varchar as site, 1::double as value, 1::bigint as count, null::double as weight",
      kv(meta),
      /row 0: the metadata have no level "nation"/,
    ],
    [
      "a key that the level has not",
      "select 'fleet' as level, 'eu' as region, null::varchar as site, 1::double as value, 1::bigint as count, null::double as weight",
      kv(meta),
      /row 0: level "fleet" has no key "region"/,
    ],
    [
      "no value",
      "select 'fleet' as level, null::varchar as region, null::varchar as site, null::double as value, 1::bigint as count, null::double as weight",
      kv(meta),
      /row 0: it has no value/,
    ],
  ])("Parquet with %s", async (name, select, own, expected) => {
    const path = folder.file(`bad ${name}.parquet`, "");
    await runSql(`copy (${select}) to '${path}' (format parquet, kv_metadata ${own})`);
    const error = await failure(openResult(path));
    expect(error.code).toBe("ERR_FOURFOLD_FORMAT");
    expect(error.message).toMatch(expected);
  });

  test("a file that is not there, or a folder", async () => {
    expect(await failure(openResult(`${folder.path}/none.json`))).toMatchObject({
      code: "ERR_FOURFOLD_SOURCE",
      message: expect.stringMatching(/there is no such file/),
    });
    expect(await failure(openResult(folder.path))).toMatchObject({
      code: "ERR_FOURFOLD_SOURCE",
      message: expect.stringMatching(/it is a folder/),
    });
  });

  test("more than memoryBytesMax, before it is held", async () => {
    const path = folder.file("large.json", jsonResult(meta, ROWS));
    expect(await failure(openResult(path, { memoryBytesMax: 1000 }))).toMatchObject({ code: "ERR_FOURFOLD_MEMORY" });
    expect(await failure(openResult(path, { memoryBytesMax: 10_000 }))).toMatchObject({
      code: "ERR_FOURFOLD_MEMORY",
      message: expect.stringMatching(/its nodes take more than memoryBytesMax/),
    });
    expect((await openResult(path, { memoryBytesMax: 1 << 20 })).records).toBe(9);
    expect(await failure(openResult(path, { memoryBytesMax: 0 }))).toMatchObject({ code: "ERR_FOURFOLD_ARGUMENT" });
    expect(await failure(openResult(path, { signal: AbortSignal.abort() }))).toMatchObject({ code: "ERR_FOURFOLD_ABORTED" });
  });
});
