// What fourfold inspect prints, for people and for programs, and what it refuses. The arithmetic: test/reduce/contributions.test.ts.
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { outputOf } from "../child.ts";
import { jsonResult, type Level, metadata, parquetResult, type Row } from "../files/results.ts";
import { bitsOf, folderOf, fourfold } from "./bin.ts";

const LEVELS: readonly Level[] = [
  { name: "site", reduce: "sum", keys: ["region", "site"], weighted: false },
  { name: "region", reduce: "weightedMean", keys: ["region"], weighted: true },
  { name: "fleet", reduce: "max", keys: [], weighted: false },
];
const ROWS: readonly Row[] = [
  ["site", ["eu", "s/1"], 2, 2, 1],
  ["site", ["eu", "s2"], 6, 1200, 3],
  ["site", ["us", "s1"], -1, 4, 2],
  ["site", ["us", "=cmd()"], 0.5, 1, 2],
  ["region", ["eu"], 5, 1202],
  ["region", ["us"], -0.25, 5],
  ["fleet", [], 5, 1207],
];
const LATER: readonly Row[] = [
  ["site", ["eu", "s/1"], 2, 2, 1],
  ["site", ["eu", "s2"], 7, 1200, 3],
  ["site", ["us", "new"], 1, 4, 2],
  ["site", ["us", "s1"], -1, 4, 2],
  ["region", ["eu"], 5.75, 1202],
  ["region", ["us"], 0, 8],
  ["fleet", [], 5.75, 1210],
];

const folder = folderOf({
  "a.json": jsonResult(metadata(LEVELS), ROWS),
  "b.json": jsonResult(metadata(LEVELS), LATER),
  "rows.csv": "level,value\n",
  "frames.json": jsonResult(metadata([{ name: "k", reduce: "sum", keys: ["frame"], weighted: false }]), [
    ["k", [0], 1, 2],
    ["k", [1], -3, 2],
  ]),
  "evil.json": jsonResult(metadata([{ name: "x", reduce: "sum", keys: ["x"], weighted: false }]), [["x", ["\x1b[2J"], 1, 1]]),
});
beforeAll(() => parquetResult(join(folder, "a.parquet"), metadata(LEVELS), ROWS));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const inspect = (...args: readonly string[]): Promise<string> => outputOf(fourfold(["inspect", ...args], { cwd: folder }));

describe("the table", () => {
  test.each(["a.json", "a.parquet"])("shows a node's children by what they give, the residual and the sum: %s", async (file) => {
    expect(await inspect(file, "--path", "eu")).toBe(`node      region eu, weightedMean
result    accuracy reproducible, nan propagate, contract 1
value     5.0000000000000000
bits      ${bitsOf(5)}
records   1,202

  site                   value  weight  records         contribution    share
  s2        6.0000000000000000       3    1,200  4.5000000000000000   90.00 %
  s/1       2.0000000000000000       1        2  0.50000000000000000  10.00 %
  residual                                       0.0000000000000000
  sum                                            5.0000000000000000
`);
  });

  test("says which child decides a maximum", async () => {
    const text = await inspect("a.json");
    expect(text).toMatch(/^node {6}fleet, max$/m);
    expect(text).toMatch(/^ {2}eu \(decides\) +5\.0+ +1,202 +5\.0+ +100\.00 %$/m);
    expect(text).toMatch(/^ {2}us +-0\.250+ +5 +0\.0+ +0\.00 %$/m);
  });

  test("lists --top children and the rest as one line", async () => {
    const text = await inspect("a.json", "--path", "us", "--top", "1");
    expect(text).toMatch(/^ {2}s1 +-1\.0+ +2 +4 +-0\.50+ +200\.00 %$/m);
    expect(text).toMatch(/^ {2}… 1 more +0\.250+ +-100\.00 %$/m);
    expect(text).toMatch(/^ {2}sum +-0\.250+$/m);
  });

  test("lists the nodes of a level that has several", async () => {
    expect(await inspect("frames.json")).toBe("2 nodes of k\n  1  -3.0000000000000000  2 records\n  0   1.0000000000000000  2 records\n");
    expect(await inspect("a.json", "--level", "region", "--top", "1")).toMatch(/^2 regions\n {2}eu .*\n {2}… 1 more\n$/);
  });

  test("says of an innermost node that its children are not there", async () => {
    expect(await inspect("a.json", "--key", "eu", "--key", "s/1")).toMatch(
      /^children {2}not in the result: site is the innermost level that was kept$/m,
    );
  });

  test("has no control characters from the file", async () => {
    expect(await inspect("evil.json", "--level", "x")).not.toContain("\x1b");
  });
});

describe("a node is found", () => {
  test.each([
    [["--path", "fleet/eu"], "region eu"],
    [["--path", "fleet"], "fleet"],
    [["--path", "eu/s2"], "site eu / s2"],
    [["--path", "eu|s/1", "--separator", "|"], "site eu / s/1"],
    [["--key", "eu", "--key", "s/1"], "site eu / s/1"],
    [["--path", "us", "--level", "region"], "region us"],
  ] as const)("by %j", async (args, name) => {
    expect((await inspect("a.json", ...args)).split("\n")[0]).toMatch(new RegExp(`^node {6}${name}, `));
  });
});

describe("for programs", () => {
  test("JSON has every child with its contribution, in the order of keys", async () => {
    const answer = JSON.parse(await inspect("a.json", "--path", "eu", "--format", "json"));
    expect(answer).toMatchObject({
      result: { file: "a.json", contract: "1", accuracy: "reproducible", nan: "propagate", records: 9 },
      node: { level: "region", path: ["eu"], value: 5, bits: bitsOf(5), count: 1202 },
      reduce: "weightedMean",
      value: 5,
      children: [
        { level: "site", path: ["eu", "s/1"], value: 2, weight: 1, contribution: 0.5 },
        { level: "site", path: ["eu", "s2"], value: 6, weight: 3, contribution: 4.5 },
      ],
      residual: 0,
    });
    expect(answer.others).toBeUndefined();
  });

  test("CSV has the node last, whose contribution is the sum of the rows above; formulas are defused", async () => {
    expect(await inspect("a.json", "--path", "us", "--format", "csv")).toBe(
      [
        "row,level,region,site,value,weight,count,contribution",
        "child,site,us,'=cmd(),0.5,2,1,0.25",
        "child,site,us,s1,-1,2,4,-0.5",
        "residual,,,,,,,0",
        "node,region,us,,-0.25,,5,-0.25",
        "",
      ].join("\r\n"),
    );
  });

  test("--out writes a whole file", async () => {
    expect(await inspect("a.json", "--level", "region", "--format", "json", "--out", "nodes.json")).toBe("");
    expect(JSON.parse(readFileSync(join(folder, "nodes.json"), "utf8"))).toMatchObject({
      level: "region",
      nodes: [{ path: ["eu"] }, { path: ["us"] }],
    });
  });
});

describe("--diff", () => {
  test("shows the nodes that moved a value, by values and weights", async () => {
    const text = await inspect("b.json", "--diff", "a.json", "--path", "us");
    expect(text).toMatch(/^before {4}-0\.25000000000000000 {2}a\.json$/m);
    expect(text).toMatch(/^change {4}0\.25000000000000000$/m);
    // s1 weighs 1/2 in both; =cmd() gave 1/4, new gives 1/2.
    expect(text).toMatch(/^by {8}new nodes 0\.50+, nodes that are gone -0\.250+$/m);
    expect(text).toMatch(/^ {2}new +new +1\.0+ +0\.50+ +200\.00 %$/m);
    expect(text).toMatch(/^ {2}=cmd\(\) +gone +0\.50+ +-0\.250+ +-100\.00 %$/m);
    expect(text).toMatch(/^ {2}residual +0\.0+$/m);
  });

  test("says what it does not open", async () => {
    const text = await inspect("b.json", "--diff", "a.json");
    expect(text).toMatch(/^ {2}fleet +value +5\.0+ +5\.750+ +0\.750+ +100\.00 %$/m);
    expect(text).toMatch(/^note {6}not opened further: max is not linear$/m);
  });

  test("is JSON and CSV, too", async () => {
    expect(JSON.parse(await inspect("b.json", "--diff", "a.json", "--path", "eu", "--format", "json"))).toMatchObject({
      before: { result: { file: "a.json" }, value: 5 },
      after: { result: { file: "b.json" }, value: 5.75 },
      change: 0.75,
      totals: { value: 0.75, weight: 0, new: 0, gone: 0 },
      pieces: [
        { kind: "value", level: "site", path: ["eu", "s2"], before: { value: 6, weight: 3 }, after: { value: 7, weight: 3 }, effect: 0.75 },
      ],
      residual: 0,
      rounding: 0,
    });
    expect(await inspect("b.json", "--diff", "a.json", "--path", "eu", "--format", "csv")).toBe(
      "row,level,region,site,before,after,weight before,weight after,effect\r\nvalue,site,eu,s2,6,7,3,3,0.75\r\nresidual,,,,,,,,0\r\nchange,region,eu,,5,5.75,,,0.75\r\n",
    );
  });
});

describe("what cannot be done is one line on stderr, with its code", () => {
  test.concurrent.each([
    ["no result", [], 2, "ARGUMENT", /inspect needs a result/],
    ["two results", ["a.json", "b.json"], 2, "ARGUMENT", /Compare two with --diff/],
    ["a path and keys", ["a.json", "--path", "eu", "--key", "eu"], 2, "ARGUMENT", /--path and --key/],
    ["a top of 0", ["a.json", "--top", "0"], 2, "ARGUMENT", /--top: given 0/],
    ["a format that is not there", ["a.json", "--format", "ndjson"], 2, "ARGUMENT", /expected table, json, csv/],
    ["an output that is not there", ["a.json", "--output", "1"], 2, "ARGUMENT", /"output": given 1, expected 0 to 0/],
    [
      "a key that is not there, with the nearest",
      ["a.json", "--path", "fleet/eu/s3"],
      2,
      "LEVEL",
      /no site "s3" in eu\. Did you mean s2\? There are s\/1, s2/,
    ],
    ["a level that is not there, with the nearest", ["a.json", "--level", "regions"], 2, "LEVEL", /Did you mean region\?/],
    ["a comparison of several nodes", ["frames.json", "--diff", "frames.json"], 2, "ARGUMENT", /--diff compares one/],
    ["a result of another hierarchy", ["a.json", "--path", "eu", "--diff", "frames.json"], 2, "LEVEL", /no level "region"/],
    ["CSV", ["rows.csv"], 1, "FORMAT", /CSV does not say how its levels reduce/],
    ["a file that is missing", ["none.json"], 1, "SOURCE", /there is no such file/],
  ] as const)("%s", async (_, args, exitCode, code, expected) => {
    const { code: ended, stdout, stderr } = await fourfold(["inspect", ...args], { cwd: folder });
    expect(stderr).toMatch(/^fourfold: .+\n$/);
    expect(stderr).toMatch(expected);
    expect(stderr.endsWith(`[ERR_FOURFOLD_${code}]\n`), stderr).toBe(true);
    expect({ ended, stdout }).toEqual({ ended: exitCode, stdout: "" });
  });
});
