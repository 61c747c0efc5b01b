// fourfold run --untrusted, --check, --on-error, --quarantine and --deadline-ms: what they change, say and refuse.
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { rejectedInWords } from "../../src/cli/reading-options.ts";
import { folderOf, fourfold, specOf } from "./bin.ts";

const CSV = "country,city,x\nde,berlin,1\nde,bonn,two\nfr,paris,4\nfr,lyon,8,9\n";
const folder = folderOf({
  "bad.csv": CSV,
  "bad.json": specOf("bad.csv"),
  "clean.csv": CSV.replace("de,bonn,two\n", "").replace(",9", ""),
  "clean.json": specOf("clean.csv"),
  "endless.json": specOf("", { source: { sql: "select 'a' as country, 'b' as city, i as x from range(100000000000) r(i)" } }),
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string): string => join(folder, name);

describe("rows that cannot be read", () => {
  test("end the run without --on-error, with their line", async () => {
    const { code, stderr } = await fourfold(["run", at("bad.json")]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/\[ERR_FOURFOLD_(COLUMN|FORMAT)\]\n$/);
  });

  test("are left out, and stderr and JSON say so", async () => {
    const { code, stdout, stderr } = await fourfold(["run", at("bad.json"), "--on-error", "skip", "--format", "json"]);
    expect(code).toBe(0);
    expect(stderr).toContain("fourfold: 2 rows left out\n");
    expect(stderr).toMatch(/bad\.csv:3: .*"two".* \[ERR_FOURFOLD_FORMAT\]\n/);
    expect(JSON.parse(stdout)).toMatchObject({ value: 5, rejected: { rows: 2, files: 0 } });
  });

  test("go to a file, behind the barrier, too", async () => {
    const { code, stdout } = await fourfold([
      ...["run", at("bad.json"), "--on-error", "quarantine", "--quarantine", at("rows.ndjson"), "--untrusted", "--format", "json"],
    ]);
    expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ value: 5 })]);
    const rows = readFileSync(at("rows.ndjson"), "utf8").trimEnd().split("\n");
    expect(rows.map((row) => JSON.parse(row))).toMatchObject([
      { line: 3, column: "x", text: "de,bonn,two" },
      { line: 5, column: null, text: "fr,lyon,8,9" },
    ]);
  });

  test("a clean file says nothing", async () => {
    const { stdout, stderr } = await fourfold([
      "run",
      at("clean.json"),
      "--on-error",
      "skip",
      "--check",
      "--untrusted",
      "--format",
      "json",
    ]);
    expect(JSON.parse(stdout)).toMatchObject({ value: 7, rejected: { rows: 0, files: 0, first: [] } });
    expect(stderr).toBe("");
  });
});

test("a reading that takes too long ends at --deadline-ms", async () => {
  const { code, stderr } = await fourfold(["run", at("endless.json"), "--untrusted", "--deadline-ms", "100"]);
  expect([code, stderr]).toEqual([1, expect.stringMatching(/was not read in 100 ms.*\[ERR_FOURFOLD_DEADLINE\]\n$/)]);
});

test.each([
  [["--deadline-ms", "9"], /--deadline-ms belongs to untrusted files/],
  [["--on-error", "quarantine"], /needs a file for the rows/],
  [["--quarantine", "x"], /takes the rows of --on-error quarantine/],
  [["--on-error", "skp"], /Did you mean skip\?/],
  [["--untrusted", "--deadline-ms", "0"], /deadlineMsMax/],
] as const)("%j is refused", async (args, message) => {
  const { code, stderr } = await fourfold(["run", at("clean.json"), ...args]);
  expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
});

test("a tensor takes none of them", async () => {
  const { code, stderr } = await fourfold(["run", "x.npy", "--reduce", "sum", "--untrusted"]);
  expect([code, stderr]).toEqual([2, expect.stringMatching(/belong to a spec, given a tensor/)]);
});

test("a job takes none of them", async () => {
  const { code, stderr } = await fourfold(["run", at("clean.json"), "--job", at("job"), "--untrusted"]);
  expect([code, stderr]).toEqual([2, expect.stringMatching(/a job reads its files in this process/)]);
});

test("what was left out in words: counts, the first, and how many more; no control characters", () => {
  const row = { source: "a\x1b.csv", line: 3, byte: 9, row: null, column: "v", code: "ERR_FOURFOLD_FORMAT", message: "no", text: "x" };
  expect(rejectedInWords(undefined)).toBe("");
  expect(rejectedInWords({ rows: 1, files: 0, first: [row] })).toBe(
    "fourfold: 1 row left out\n  a\\u001b.csv:3: no [ERR_FOURFOLD_FORMAT]\n",
  );
  expect(rejectedInWords({ rows: 2000, files: 1, first: [{ ...row, source: "b", line: null, row: 7 }] })).toBe(
    "fourfold: 2,000 rows and 1 file left out\n  b, row 7: no [ERR_FOURFOLD_FORMAT]\n  and 2,000 more\n",
  );
});
