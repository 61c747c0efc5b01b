// What the command says when it is asked how it works, or asked for what it does not have.
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { ROOT } from "../child.ts";
import { folderOf, fourfold, npy, specOf } from "./bin.ts";

const CSV = "country,city,x\nde,Ulm,1\nde,Bonn,2\nfr,Paris,4\n";
const folder = folderOf({
  "cities.csv": CSV,
  "good.json": specOf("cities.csv"),
  "nested/escape.json": specOf("/etc/passwd", { source: { file: "/etc/passwd", format: "csv" } }),
  "misspelt.json": specOf("cities.csv").replace('"reduce":"mean"', '"reduces":"mean"'),
  "broken.json": '{\n  "source": { "file": "cities.csv" },\n  "value" "x"\n}',
  "copy.json": specOf("", { source: { sql: "copy (select 1) to 'stolen.csv'" } }),
  "absent.json": specOf("city.csv"),
  "text.json": specOf("cities.csv", { value: "city" }),
  "x.npy": npy([2, 3], Float64Array.of(1, 2, 3, 4, 5, 6)),
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string): string => join(folder, name);

describe("help and version go to stdout and end with 0", () => {
  test.each([
    [["--help"], /^fourfold \d.*\n\nUsage: fourfold COMMAND/],
    [["-h"], /^fourfold \d/],
    [["help"], /^fourfold \d/],
    [["run", "--help"], /^Usage: fourfold run SPEC/],
    [["help", "run"], /^Usage: fourfold run SPEC/],
    [["explain", "-h"], /^Usage: fourfold explain/],
    [["stream", "--help"], /^Usage: fourfold stream SPEC/],
    [["inspect", "--help"], /^Usage: fourfold inspect RESULT/],
    [["doctor", "--help"], /^Usage: fourfold doctor/],
    [["setup", "--help"], /^Usage: fourfold setup tensorflow/],
    [["run", "nowhere.json", "--help"], /^Usage: fourfold run SPEC/],
  ] as const)("fourfold %j", async (args, expected) => {
    const { code, stdout, stderr } = await fourfold(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(expected);
    for (const line of stdout.split("\n")) expect(line.length, line).toBeLessThanOrEqual(120);
  });

  test("--version is that of package.json", async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
    expect(await fourfold(["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
  });

  test("help names no command that is not there", async () => {
    const { stdout } = await fourfold(["--help"]);
    expect(stdout).not.toMatch(/\b(bench|worker)\b/);
  });

  test("without a command the help goes to stderr and the exit code is 2", async () => {
    const { code, stdout, stderr } = await fourfold([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("Usage: fourfold COMMAND");
  });
});

/** A command line, its exit code, and what its one line on stderr says. */
const REFUSED: readonly (readonly [string, readonly string[], number, string, RegExp])[] = [
  ["a command that is not there, with the nearest", ["runn"], 2, "ARGUMENT", /no command "runn"\. Did you mean run\?/],
  ["a command like no other", ["zzzzzzzz"], 2, "ARGUMENT", /fourfold --help lists the commands/],
  ["a command of a later version", ["worker"], 2, "ARGUMENT", /no command "worker"/],
  [
    "an option that is not there, with the nearest",
    ["run", at("good.json"), "--fromat", "csv"],
    2,
    "ARGUMENT",
    /no option "--fromat"\. Did you mean --format\?/,
  ],
  ["a short option that is not there", ["run", at("good.json"), "-x"], 2, "ARGUMENT", /no option "-x"/],
  ["an option before the command", ["--verison"], 2, "ARGUMENT", /Did you mean --version\?/],
  ["an option without its value", ["run", at("good.json"), "--out"], 2, "ARGUMENT", /--out needs a value/],
  ["an option whose value is the next option", ["run", at("good.json"), "--out", "--keep"], 2, "ARGUMENT", /--out needs a value/],
  ["a flag with a value", ["doctor", "--json=yes"], 2, "ARGUMENT", /--json takes no value/],
  ["an option given twice", ["run", at("good.json"), "--out", "a", "--out", "b"], 2, "ARGUMENT", /--out is given twice/],
  ["a format that is not there, with the nearest", ["run", at("good.json"), "--format", "jsn"], 2, "ARGUMENT", /Did you mean json\?/],
  ["an accuracy that is not there", ["run", at("good.json"), "--accuracy", "perfect"], 2, "ARGUMENT", /expected reproducible, exact, fast/],
  [
    "workers that are no number",
    ["run", at("good.json"), "--workers", "many"],
    2,
    "ARGUMENT",
    /--workers: given "many", expected a whole number/,
  ],
  ["workers without number", ["run", at("good.json"), "--workers=-1"], 2, "ARGUMENT", /expected a whole number/],
  ["more workers than there may be", ["run", at("good.json"), "--workers", "257"], 2, "ARGUMENT", /256/],
  ["a backend that is not there", ["run", at("good.json"), "--backend", "abacus"], 2, "BACKEND", /abacus/],
  ["no spec", ["run"], 2, "ARGUMENT", /run needs a spec/],
  ["two specs", ["run", "a.json", "b.json"], 2, "ARGUMENT", /takes one file/],
  [
    "--best beside a format for programs",
    ["run", at("good.json"), "--best", "lowest", "--format", "csv"],
    2,
    "ARGUMENT",
    /--best belongs to the table/,
  ],
  [
    "--best beside an ending that says such a format",
    ["run", at("good.json"), "--best", "lowest", "--out", at("a.csv")],
    2,
    "ARGUMENT",
    /is csv/,
  ],
  ["several levels in an NPY file", ["run", at("good.json"), "--keep", "all", "--format", "npy"], 2, "ARGUMENT", /holds one level/],
  ["weights for a spec", ["run", at("good.json"), "--weights", "a.npy"], 2, "ARGUMENT", /belongs to a tensor/],
  ["a tensor without reductions", ["run", at("x.npy")], 2, "ARGUMENT", /needs --weights or --reduce/],
  ["a reduction that is not there, with the nearest", ["run", at("x.npy"), "--reduce", "sum,maen"], 2, "ARGUMENT", /Did you mean mean\?/],
  [
    "a weighted level without its file",
    ["run", at("x.npy"), "--reduce", "weightedSum,mean"],
    2,
    "ARGUMENT",
    /1 weighted levels, --weights 0 files/,
  ],
  ["a level that is not kept because it is not there", ["run", at("good.json"), "--keep", "contry"], 2, "LEVEL", /Did you mean country\?/],
  ["a list with a hole", ["run", at("good.json"), "--keep", "city,,country"], 2, "ARGUMENT", /is empty/],
  [
    "a spec with an unknown key, its place and the nearest",
    ["run", at("misspelt.json")],
    2,
    "SPEC",
    /misspelt\.json:1:\d+: .*"reduces".*Did you mean "reduce"\?/,
  ],
  ["a spec that is no JSON, with line and column", ["run", at("broken.json")], 2, "SPEC", /broken\.json:3:11: /],
  ["a spec that writes", ["run", at("copy.json")], 2, "FORBIDDEN", /SELECT/],
  ["a spec that reads outside its folder, with the way to allow it", ["run", at("nested/escape.json")], 2, "FORBIDDEN", /--allow-path/],
  ["a spec that is missing", ["run", at("no.json")], 1, "SOURCE", /no\.json/],
  ["a spec that is a folder", ["run", folder], 1, "SOURCE", /cannot be read/],
  ["a source that is missing, with the nearest", ["run", at("absent.json")], 1, "SOURCE", /city\.csv/],
  ["a value column of texts", ["run", at("text.json")], 1, "COLUMN", /"city" is VARCHAR/],
  ["a tensor that is missing", ["run", at("no.npy"), "--reduce", "sum"], 1, "SOURCE", /no\.npy/],
  ["a tensor with too few axes", ["run", at("x.npy"), "--reduce", "sum,sum,sum"], 1, "SHAPE", /2 axes/],
  ["a place to write that is a folder", ["run", at("good.json"), "--out", folder], 1, "OUTPUT", /it is a folder/],
  ["a place to write in no folder", ["run", at("good.json"), "--out", at("none/a.json")], 1, "OUTPUT", /there is no folder/],
  ["an argument to doctor", ["doctor", "now"], 2, "ARGUMENT", /takes no arguments/],
];

describe("what cannot be done is one line on stderr, with its code", () => {
  test.concurrent.each(REFUSED)("%s", async (_, args, exitCode, code, expected) => {
    const { code: ended, stdout, stderr } = await fourfold(args, { cwd: folder });
    expect(stderr).toMatch(/^fourfold: .+\n$/);
    expect(stderr).toMatch(expected);
    expect(stderr.endsWith(`[ERR_FOURFOLD_${code}]\n`), stderr).toBe(true);
    expect({ ended, stdout }).toEqual({ ended: exitCode, stdout: "" });
  });

  test("--verbose adds the stack and the cause", async () => {
    const { code, stderr } = await fourfold(["run", at("broken.json"), "--verbose"]);
    expect(code).toBe(2);
    const [line, ...rest] = stderr.split("\n").filter((text) => !text.startsWith("reading "));
    expect(line).toMatch(/^fourfold: .*\[ERR_FOURFOLD_SPEC\]$/);
    expect(rest.join("\n")).toMatch(/\n\s+at .*json\.js/);
  });

  test("--allow-path lets a spec read where it says", async () => {
    const other = folderOf({ "far.csv": CSV });
    const near = folderOf({ "near.json": specOf(join(other, "far.csv")) });
    try {
      expect((await fourfold(["run", join(near, "near.json")], { cwd: near })).code).toBe(2);
      const allowed = await fourfold(["run", join(near, "near.json"), "--allow-path", other, "--format", "json"], { cwd: near });
      expect(allowed).toMatchObject({ code: 0, stderr: "" });
      expect(JSON.parse(allowed.stdout)).toMatchObject({ value: 5.5, records: 3 });
    } finally {
      for (const path of [other, near]) rmSync(path, { recursive: true, force: true });
    }
  });
});
