// A file is written whole or not at all.
import { chmodSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { openDestination } from "../../src/cli/destination.ts";
import { runChild } from "../child.ts";
import { BIN, folderOf, fourfold, npy, specOf } from "./bin.ts";

const folder = folderOf({
  "old.json": "old",
  "cities.csv": `country,city,x\n${Array.from({ length: 500 }, (_, i) => `de,c${i},1`).join("\n")}\n`,
  "spec.json": specOf("cities.csv"),
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const never = new AbortController().signal;

const leftovers = (): string[] => readdirSync(folder).filter((name) => name.endsWith(".tmp"));

test("an error while the answer is made leaves the old file and no other", async () => {
  const old = join(folder, "old.json");
  const destination = await openDestination(old);
  function* texts(): Generator<string> {
    yield "x".repeat(1 << 20);
    throw new Error("planted");
  }
  await expect(destination.write(texts(), never)).rejects.toThrow("planted");
  expect([readFileSync(old, "utf8"), leftovers()]).toEqual(["old", []]);
});

test("an abort between two pieces leaves the old file and no other", async () => {
  const old = join(folder, "old.json");
  const controller = new AbortController();
  const destination = await openDestination(old);
  function* texts(): Generator<string> {
    yield "x".repeat(1 << 20);
    expect(leftovers().length).toBe(1);
    controller.abort();
    yield "y".repeat(1 << 20);
  }
  await expect(destination.write(texts(), controller.signal)).rejects.toMatchObject({ code: "ERR_FOURFOLD_ABORTED" });
  expect([readFileSync(old, "utf8"), leftovers()]).toEqual(["old", []]);
});

test("a disk that takes no more leaves the old file and no other", async () => {
  const old = join(folder, "old.json");
  const command = `ulimit -f 4; exec "$0" "$1" run "$2" --keep all --format json --out "$3"`;
  const { code, stdout, stderr } = await runChild("sh", ["-c", command, process.execPath, BIN, join(folder, "spec.json"), old]);
  expect(stderr).toMatch(/^fourfold: the output .* cannot be written: .*\[ERR_FOURFOLD_OUTPUT\]\n$/);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect([readFileSync(old, "utf8"), leftovers()]).toEqual(["old", []]);
});

test("a replaced file keeps its permissions, and a link to it stays a link", async () => {
  const file = join(folder, "shared.json");
  const link = join(folder, "link.json");
  writeFileSync(file, "old");
  chmodSync(file, 0o640);
  symlinkSync(file, link);
  await (await openDestination(link)).write(["new"], never);
  expect([readFileSync(file, "utf8"), statSync(file).mode & 0o777]).toEqual(["new", 0o640]);
});

test("a device is written to and not replaced", async () => {
  await (await openDestination("/dev/null")).write(["gone"], never);
  expect(statSync("/dev/null").isCharacterDevice()).toBe(true);
});

test.each([
  ["a folder", ".", "it is a folder"],
  ["a file in a missing folder", "none/a.json", "there is no folder"],
  ["a file below a file", "old.json/a.json", "not a folder"],
])("%s is refused before the work begins", async (_, name, reason) => {
  mkdirSync(folder, { recursive: true });
  await expect(openDestination(join(folder, name))).rejects.toMatchObject({
    code: "ERR_FOURFOLD_OUTPUT",
    message: expect.stringContaining(reason),
  });
});

describe("an output that would be written over what is read is refused", () => {
  test.each([
    ["the source", ["run", "spec.json", "--out", "rows.csv"], "rows.csv"],
    ["the spec", ["run", "spec.json", "--keep", "all", "--out", "spec.json"], "spec.json"],
    ["a link to the source", ["run", "spec.json", "--out", "link.csv"], "rows.csv"],
    ["the tensor", ["run", "x.npy", "--reduce", "sum", "--out", "x.npy"], "x.npy"],
    ["the weights", ["run", "x.npy", "--weights", "w.npy", "--out", "w.npy"], "w.npy"],
  ])("%s", async (_, args, input) => {
    const folder = folderOf({
      "rows.csv": "k,v\na,1\n",
      "spec.json": JSON.stringify({ source: { file: "rows.csv" }, value: "v", levels: [{ name: "k", by: ["k"], reduce: "sum" }] }),
      "x.npy": npy([2], Float64Array.of(1, 2)),
      "w.npy": npy([2], Float64Array.of(1, 2)),
    });
    try {
      linkSync(join(folder, "rows.csv"), join(folder, "link.csv"));
      const before = readFileSync(join(folder, input));
      const { code, stderr } = await fourfold(args, { cwd: folder });
      expect([code, stderr]).toEqual([2, expect.stringContaining("which is read: it would be overwritten")]);
      expect(readFileSync(join(folder, input))).toEqual(before);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("an ending that says no format is refused, too", async () => {
    const { code, stderr } = await fourfold(["run", "x.npy", "--reduce", "sum", "--out", "o.xlsx"]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('the ending of "o.xlsx" says no format')]);
  });
});
