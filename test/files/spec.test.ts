import { readFileSync } from "node:fs";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { FourfoldError } from "../../src/errors.ts";
import { loadSpec } from "../../src/files/index.ts";
import { parseSpec, parseStreamSpec } from "../../src/files/spec.ts";
import { Folder, failure } from "./fixture.ts";

const folder = new Folder();
afterAll(() => folder.remove());

const GOOD = {
  source: { file: "x.csv" },
  value: "v",
  levels: [
    { name: "inner", by: ["a", "b"], reduce: "weightedMean", weights: { column: "w" } },
    { name: "outer", by: [], reduce: "mean" },
  ],
};

const PARENTS = { key: "s", table: { file: "n.csv" }, child: "id", parent: "up", names: ["a"] };

/** GOOD with the value at a path replaced; undefined removes it. */
function but(path: (string | number)[], value: unknown): string {
  const copy = structuredClone(GOOD) as Record<string | number, unknown>;
  let at = copy;
  for (const step of path.slice(0, -1)) at = at[step] as Record<string | number, unknown>;
  const last = path.at(-1) as string;
  if (value === undefined) delete at[last];
  else at[last] = value;
  return JSON.stringify(copy);
}

function refusal(text: string): FourfoldError {
  try {
    parseSpec(text, "s.json");
  } catch (error) {
    if (error instanceof FourfoldError) return error;
    throw error;
  }
  throw new Error(`accepted ${text}`);
}

describe("parseSpec(text)", () => {
  test("reads a spec; each level's keys begin with its outer level's", () => {
    const spec = parseSpec(
      JSON.stringify({
        source: { sql: "select 1" },
        value: "v",
        levels: [
          { name: "f", by: ["d", "c", "b", "a"], reduce: "sum" },
          { name: "g", by: ["b", "c"], reduce: "variance", ddof: 1 },
          { name: "h", by: ["c"], reduce: "weightedSum", weights: [1, 2] },
        ],
        nan: "skip",
        nullKeys: "group",
      }),
    );
    expect(spec.levels.map(({ by }) => by)).toEqual([["c", "b", "d", "a"], ["c", "b"], ["c"]]);
    expect([spec.nan, spec.nullKeys, spec.levels[1]?.ddof]).toEqual(["skip", "group", 1]);
  });

  test.each([
    ["{}", 'needs the key "source"', ""],
    ["[]", "expected an object", ""],
    [
      but(["valeu"], "v"),
      'no key "valeu"; known: $schema, source, value, levels, nan, nullKeys, int64, stream. Did you mean "value"?',
      "/valeu",
    ],
    [
      but(["source", "fiel"], "x"),
      'no key "fiel"; known: sql, file, format, csv, hivePartitions, where, path, parents. Did you mean "file"?',
      "/source/fiel",
    ],
    [
      but(["levels", 0, "weight"], "x"),
      'no key "weight"; known: name, by, reduce, weights, ddof. Did you mean "weights"?',
      "/levels/0/weight",
    ],
    [but(["levels", 0, "reduce"], "weightedmean"), 'expected "sum", "mean"', "/levels/0/reduce"],
    [but(["levels", 0, "reduce"], "wieghtedMean"), 'Did you mean "weightedMean"?', "/levels/0/reduce"],
    [but(["levels", 0, "weights"], undefined), '"weightedMean" needs "weights"', "/levels/0"],
    [but(["levels", 0, "weights"], "count"), "every record counts once", "/levels/0/weights"],
    [but(["levels", 0, "weights"], "distance"), 'For a column write { "column": "distance" }', "/levels/0/weights"],
    [but(["levels", 0, "weights"], [1, 2]), "a list needs an order", "/levels/0/weights"],
    [but(["levels", 0, "weights"], { table: { file: "w.csv" }, value: "w" }), "Join the table in the SQL", "/levels/0/weights"],
    [but(["levels", 0, "weights"], { column: "w", value: "x" }), 'cannot stand beside "column"', "/levels/0/weights/value"],
    [but(["levels", 1, "weights"], [1]), '"mean" takes no weights', "/levels/1/weights"],
    [but(["levels", 1, "ddof"], 1), 'only "variance" takes "ddof"', "/levels/1/ddof"],
    [
      but(["levels", 1, "by"], ["a", "z"]),
      'level "outer": "by" has "z", which level "inner" inside it has not; given ["a","z"], expected some of ["a","b"]',
      "/levels/1/by",
    ],
    [but(["levels", 1, "by"], ["a", "a"]), 'names "a" twice', "/levels/1/by/1"],
    [but(["levels", 1, "by"], "a"), "expected a list of column names", "/levels/1/by"],
    [but(["levels", 1, "name"], "inner"), 'two levels are called "inner"', "/levels/1/name"],
    [but(["levels"], []), "expected a list of 1 to 64 levels", "/levels"],
    [but(["levels"], Array(65).fill(GOOD.levels[1])), "expected a list of 1 to 64 levels", "/levels"],
    [but(["value"], 3), "given 3, expected a text", "/value"],
    [but(["nan"], "ignore"), 'expected "propagate", "skip" or "error"', "/nan"],
    [but(["nullKeys"], "drop"), 'expected "error", "skip" or "group"', "/nullKeys"],
    [but(["source"], { sql: "select 1", file: "x.csv" }), '"file" cannot stand beside "sql"', "/source/file"],
    [but(["source"], {}), 'needs "sql" or "file"', "/source"],
    [but(["source", "file"], "data.xlsx"), "does not tell its format", "/source/file"],
    [but(["int64"], "round"), 'expected "exact", "number" or "reject"', "/int64"],
    [but(["source", "file"], []), "0 files, expected 1 to 10000", "/source/file"],
    [but(["source", "file"], ["a.csv", 5]), "given 5, expected a text", "/source/file/1"],
    [but(["source", "file"], ["a.csv", "b.json"]), '"b.json" is json, and "a.csv" is csv', "/source/file/1"],
    [but(["source", "file"], "a.csv.bz2"), "packed in a way that cannot be read. Unpack it, or pack it with gzip or zstd", "/source/file"],
    [but(["source", "file"], "a.parquet.gz"), "a Parquet file is packed inside, and not as a whole", "/source/file"],
    [but(["source"], { file: "a.gz", format: "parquet" }), "a Parquet file is packed inside", "/source/file"],
    [but(["source", "hivePartitions"], "yes"), 'given "yes", expected true or false', "/source/hivePartitions"],
    [but(["source"], { sql: "select 1", hivePartitions: true }), '"hivePartitions" cannot stand beside "sql"', "/source/hivePartitions"],
    [but(["source"], { sql: "select 1", csv: {} }), '"csv" cannot stand beside "sql"', "/source/csv"],
    [but(["source"], { file: "x.json", csv: {} }), '"csv" is for CSV and TSV, the file is json', "/source/csv"],
    [but(["source", "csv"], { delimter: ";" }), 'Did you mean "delimiter"?', "/source/csv/delimter"],
    [but(["source", "csv"], { delimiter: "" }), "expected a text that is not empty", "/source/csv/delimiter"],
    [but(["source", "csv"], { delimiter: "\n" }), "expected 1 to 4 bytes that end no line", "/source/csv/delimiter"],
    [but(["source", "csv"], { delimiter: "abcde" }), "expected 1 to 4 bytes", "/source/csv/delimiter"],
    [but(["source", "csv"], { quote: "''" }), "expected one ASCII character", "/source/csv/quote"],
    [but(["source", "csv"], { escape: "é" }), "expected one ASCII character", "/source/csv/escape"],
    [but(["source", "csv"], { header: 1 }), "expected true or false", "/source/csv/header"],
    [but(["source", "csv"], { nullText: 0 }), "expected a text, or a list of texts", "/source/csv/nullText"],
    [but(["source", "csv"], { nullText: ["NA", null] }), "expected a text, or a list of texts", "/source/csv/nullText/1"],
    [but(["source", "csv"], { columns: {} }), "expected names with types", "/source/csv/columns"],
    [but(["source", "csv"], { columns: { a: "INT; drop table x" } }), "which is none of a column of text", "/source/csv/columns/a"],
    [but(["source", "csv"], { columns: { a: "DECIMAL(40,2)" } }), "which is none of a column of text", "/source/csv/columns/a"],
    [but(["source", "where"], true), "given true, expected a text", "/source/where"],
    [but(["source", "path"], { column: "p" }), 'needs the key "names"', "/source/path"],
    [but(["source", "path"], { names: ["a"] }), 'needs the key "column"', "/source/path"],
    [but(["source", "path"], { column: "p", names: [] }), "expected a list of 1 to 64 column names, outermost first", "/source/path/names"],
    [but(["source", "path"], { column: "p", names: ["a", "A"] }), '"names" has "A" twice', "/source/path/names/1"],
    [but(["source", "path"], { column: "p", names: ["a"], short: "pad" }), 'expected "error", "repeat" or "null"', "/source/path/short"],
    [but(["source", "path"], { column: "p", names: ["a"], separator: "" }), "not empty", "/source/path/separator"],
    [but(["source", "path"], { column: "p", names: ["a"], separator: "/".repeat(17) }), "at most 16", "/source/path/separator"],
    [but(["source", "path"], { column: "p", names: ["a"], seperator: "/" }), 'Did you mean "separator"?', "/source/path/seperator"],
    [but(["source", "parents"], { key: "s" }), 'needs the key "table"', "/source/parents"],
    [but(["source", "parents"], { ...PARENTS, key: undefined }), 'needs the key "key"', "/source/parents"],
    [but(["source", "parents"], { ...PARENTS, child: 1 }), "given 1, expected a text", "/source/parents/child"],
    [but(["source", "parents"], { ...PARENTS, parent: "" }), "not empty", "/source/parents/parent"],
    [but(["source", "parents"], { ...PARENTS, names: "a" }), "expected a list of 1 to 64 column names", "/source/parents/names"],
    [but(["source", "parents"], { ...PARENTS, short: true }), 'expected "error", "repeat" or "null"', "/source/parents/short"],
    [but(["source", "parents"], { ...PARENTS, table: { file: "n.csv", path: {} } }), 'no key "path"', "/source/parents/table/path"],
    [
      but(["source"], { file: "x.csv", path: { column: "p", names: ["a", "b"] }, parents: { ...PARENTS, names: ["B"] } }),
      '"path" and "parents" both give a column "b"',
      "/source/path/names/1",
    ],
    [but(["levels", 0, "weights"], { expression: "" }), "not empty", "/levels/0/weights/expression"],
    [
      but(["levels", 0, "weights"], { column: "w", expression: "w" }),
      '"expression" cannot stand beside "column"',
      "/levels/0/weights/expression",
    ],
    [but(["levels", 0, "weights"], { column: "w", missing: "0" }), "expected a finite number, such as 0 or 1", "/levels/0/weights/missing"],
    [but(["levels", 0, "weights"], { missing: 0 }), "the children of the innermost level are records", "/levels/0/weights"],
    [but(["source", "format"], "xlsx"), 'expected "parquet", "csv", "tsv", "json" or "ndjson"', "/source/format"],
  ])("%s is refused with its place", (text, message, pointer) => {
    const error = refusal(text);
    expect(error.code).toBe("ERR_FOURFOLD_SPEC");
    expect(error.message).toContain(message);
    expect(error.message).toMatch(/^s\.json:\d+:\d+: /);
    expect(error.at).toMatchObject({ file: "s.json", pointer });
  });

  test("__proto__ is an unknown key", () => {
    const error = refusal(`{ "__proto__": {}, ${JSON.stringify(GOOD).slice(1)}`);
    expect(error.message).toContain('no key "__proto__"');
    expect(error.at).toMatchObject({ line: 1, column: 3, pointer: "/__proto__" });
  });

  test("the module of a reduction cannot be named", () => {
    expect(refusal(but(["levels", 0, "module"], "./evil.js")).message).toContain('no key "module"');
    expect(refusal(but(["levels", 0, "reduce"], "./evil.js")).code).toBe("ERR_FOURFOLD_SPEC");
  });

  test("any JSON is accepted or refused with a typed error", () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 4 }),
        fc.constantFrom(...["source", "value", "levels", "nan"].map((key) => [key]), ["levels", 0, "weights"], ["levels", 1, "by"]),
        (value, path) => {
          try {
            parseSpec(but(path as string[], value), "s.json");
          } catch (error) {
            expect(error).toBeInstanceOf(FourfoldError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("loadSpec(path)", () => {
  test("a missing or huge spec is a typed error", async () => {
    expect((await failure(loadSpec(`${folder.path}/none.json`))).code).toBe("ERR_FOURFOLD_SOURCE");
    expect((await failure(loadSpec(folder.path))).code).toBe("ERR_FOURFOLD_SOURCE");
    expect((await failure(loadSpec(folder.spec("huge.json", " ".repeat(2 << 20))))).message).toContain("1048576");
  });

  test("describes itself in words, and reads nothing until asked", async () => {
    const spec = await loadSpec(folder.spec("s.json", GOOD));
    expect(spec.describe).toEqual([
      "source: csv x.csv",
      "value: v",
      'level inner: weightedMean by a, b, weighted by column "w"',
      "level outer: mean by nothing (one node)",
    ]);
    expect(spec.kind).toBe("fourfold.job");
  });

  test("describes sources, hierarchies, policies and weights, one line each, the levels last", async () => {
    const spec = await loadSpec(
      folder.spec("s.json", {
        source: {
          file: ["a.tsv", "b.tsv", "c.tsv", "d.tsv"],
          csv: { quote: "'", header: false, nullText: ["NA", "-"], columns: { id: "BIGINT", v: "DOUBLE" } },
          hivePartitions: true,
          where: "v >\n  1",
          path: { column: "place", separator: "|", names: ["eu", "de"], short: "repeat" },
          parents: { ...PARENTS, table: { file: "n.csv", where: "id > 0" }, names: ["region", "site"] },
        },
        value: "v",
        int64: "number",
        levels: [
          { name: "a", by: ["region", "site"], reduce: "weightedSum", weights: { expression: "qty *\nprice", missing: 0 } },
          { name: "b", by: ["region"], reduce: "weightedSum", weights: { column: "w", missing: 1 } },
          { name: "c", by: [], reduce: "weightedSum", weights: { table: { sql: "from 'w.csv'" }, value: "w", missing: 0.5 } },
        ],
      }),
    );
    expect(spec.describe).toEqual([
      `source: tsv a.tsv, b.tsv, c.tsv, … (4 files), quote "'", no header, null is "NA" or "-", id BIGINT v DOUBLE, hive partitions`,
      "where: v > 1",
      `path: eu, de from column "place", parted by "|"; a shorter one repeats its last part`,
      `parents: region, site are the ancestors of "s" by "id" and "up" of csv n.csv, where: id > 0; a shorter one is an error`,
      "value: v",
      "integers beyond 2^53 become the nearest float64",
      "level a: weightedSum by region, site, weighted by qty * price, 0 where it is missing",
      'level b: weightedSum by region, weighted by column "w", 1 where it is missing',
      `level c: weightedSum by nothing (one node), weighted by "w" of from 'w.csv', 0.5 where it is missing`,
    ]);
  });

  test("options are checked", async () => {
    const path = folder.spec("s.json", GOOD);
    expect((await failure(loadSpec(path, { threads: 0 }))).code).toBe("ERR_FOURFOLD_ARGUMENT");
    expect((await failure(loadSpec(path, { memoryBytesMax: 1.5 }))).code).toBe("ERR_FOURFOLD_ARGUMENT");
    expect((await failure((await loadSpec(path, { allowPaths: ["/no/such/folder"] })).read())).code).toBe("ERR_FOURFOLD_ARGUMENT");
  });
});

describe('the part "stream" of a spec', () => {
  const streaming = (stream: unknown): string => but(["stream"], stream);

  test("holds the column of event times and the windows; fourfold run leaves it alone", () => {
    const stream = {
      time: "at",
      timeUnit: "s",
      window: { sizeMs: 60_000, everyMs: 10_000, offsetMs: -5, early: { everyMs: 250 }, late: { everyRows: 9 }, panes: "discarding" },
    };
    expect(parseSpec(streaming(stream)).stream).toEqual(stream);
    expect(parseSpec(but(["nan"], "skip")).stream).toEqual({});
  });

  test("lets a spec be without a source, which fourfold run needs", () => {
    const text = but(["source"], undefined);
    expect(parseStreamSpec(text).source).toBeUndefined();
    expect(refusal(text).message).toMatch(/the spec needs the key "source".*fourfold stream/);
  });

  test.each([
    [[], "expected an object", "/stream"],
    [{ tiem: "at" }, 'no key "tiem"; known: time, timeUnit, window. Did you mean "time"?', "/stream/tiem"],
    [{ time: 5 }, "expected a text", "/stream/time"],
    [{ timeUnit: "s" }, '"timeUnit" needs "time"', "/stream/timeUnit"],
    [{ time: "at", timeUnit: "sec" }, 'expected "s", "ms", "us" or "ns"', "/stream/timeUnit"],
    [{ time: "at", window: { sizeMS: 5 } }, 'Did you mean "sizeMs"?', "/stream/window/sizeMS"],
    [{ time: "at", window: { sizeMs: 0 } }, '"sizeMs": given 0, expected a whole number from 1', "/stream/window/sizeMs"],
    [{ time: "at", window: { sizeMs: 1.5 } }, "expected a whole number", "/stream/window/sizeMs"],
    [{ time: "at", window: { sizeMs: 5, offsetMs: "1" } }, "expected a whole number", "/stream/window/offsetMs"],
    [{ window: { sizeMs: 5 } }, 'windows in event time need "time"', "/stream/window/sizeMs"],
    [{ window: { panes: "both" } }, 'expected "accumulating" or "discarding"', "/stream/window/panes"],
    [{ window: { early: 5 } }, "expected an object", "/stream/window/early"],
    [{ window: { early: { everyRow: 5 } } }, 'Did you mean "everyRows"?', "/stream/window/early/everyRow"],
    [{ window: { late: { everyMs: 5 } } }, 'no key "everyMs"; known: everyRows', "/stream/window/late/everyMs"],
  ])("refuses %j with its place", (stream, message, pointer) => {
    const error = refusal(streaming(stream));
    expect(error.message).toMatch(/^s\.json:1:\d+: /);
    expect(error.message).toContain(message);
    expect([error.code, error.at?.pointer]).toEqual(["ERR_FOURFOLD_SPEC", pointer]);
  });
});

test("the published schema names the same keys and words as the parser", () => {
  const schema = JSON.parse(readFileSync(new URL("../../src/files/spec.schema.json", import.meta.url), "utf8"));
  const known = (text: string): string[] => refusal(text).expected as string[];
  expect(Object.keys(schema.properties)).toEqual(known(but(["zzz"], 1)));
  expect(Object.keys(schema.$defs.level.properties).sort()).toEqual([...known(but(["levels", 0, "zzz"], 1))].sort());
  expect(schema.$defs.level.properties.reduce.enum).toEqual(known(but(["levels", 0, "reduce"], "zzz")));
  expect(schema.properties.nan.enum).toEqual(known(but(["nan"], "zzz")));
  const { time: _time, timeUnit, window: _window, ...others } = schema.properties.stream.properties;
  expect(others).toEqual({});
  expect(timeUnit.enum).toEqual(known(but(["stream"], { time: "t", timeUnit: "zzz" })));
  const named = known(but(["stream"], { window: { zzz: 1 } }));
  expect(Object.keys(schema.$defs.window.properties).sort()).toEqual([...named].sort());
  for (const name of ["early", "late"])
    expect(Object.keys(schema.$defs.window.properties[name].properties)).toEqual(
      known(but(["stream"], { window: { [name]: { zzz: 1 } } })),
    );
  expect(schema.$defs.window.properties.panes.enum).toEqual(known(but(["stream"], { window: { panes: "zzz" } })));
  expect(schema.properties.nullKeys.enum).toEqual(known(but(["nullKeys"], "zzz")));
  expect(schema.properties.int64.enum).toEqual(known(but(["int64"], "zzz")));
  expect(schema.$defs.format.enum).toEqual(known(but(["source", "format"], "zzz")));
  const keys = (...schemas: { properties: object }[]): string[] =>
    [...new Set(schemas.flatMap((one) => Object.keys(one.properties)))].sort();
  const keysOf = (path: (string | number)[], value: object): string[] => [...known(but(path, { ...value, zzz: 1 }))].sort();
  expect(keys(...schema.$defs.source.oneOf)).toEqual(keysOf(["source"], {}));
  const ofTable = known(but(["source", "parents"], { ...PARENTS, table: { zzz: 1 } }));
  expect(keys(...schema.$defs.table.oneOf)).toEqual([...ofTable].sort());
  expect(keys(schema.$defs.csv)).toEqual(keysOf(["source", "csv"], {}));
  expect(keys(schema.$defs.path)).toEqual(keysOf(["source", "path"], {}));
  expect(keys(schema.$defs.parents)).toEqual(keysOf(["source", "parents"], {}));
  expect(schema.$defs.short.enum).toEqual(known(but(["source", "path"], { column: "p", names: ["a"], short: "zzz" })));
  expect(keys(...schema.$defs.weights.oneOf.filter((one: object) => "properties" in one))).toEqual(keysOf(["levels", 0, "weights"], {}));
  const described = (node: unknown): boolean =>
    typeof node !== "object" ||
    node === null ||
    Object.values((node as { properties?: object }).properties ?? {}).every((one) => "description" in one && described(one));
  expect(described(schema) && Object.values(schema.$defs).every(described)).toBe(true);
});
