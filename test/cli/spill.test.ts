// Tables larger than memory through the command: the same answer, and what it says of the disk.
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { outputOf } from "../child.ts";
import { folderOf, fourfold, npy, specOf } from "./bin.ts";

const rows = Array.from({ length: 3000 }, (_, i) => `${i % 7},${i % 100},${(i * 7919) % 1000}.5`);
const folder = folderOf({
  "city.csv": `country,city,x\n${rows.join("\n")}\n`,
  "spec.json": specOf("city.csv"),
  "x.npy": npy([2, 2], Float64Array.of(1, 2, 3, 4)),
});
const spillDir = join(folder, "spill");
mkdirSync(spillDir);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const run = (...args: readonly string[]): ReturnType<typeof fourfold> => fourfold(["run", ...args], { cwd: folder });

describe("fourfold run --spill", () => {
  test("always has the files of never, byte for byte, and leaves nothing behind", async () => {
    const files = await Promise.all(
      ["always", "never"].map((spill) =>
        outputOf(run("spec.json", "--keep", "all", "--format", "csv", "--spill", spill, "--spill-dir", spillDir)),
      ),
    );
    expect(files[0]).toBe(files[1]);
    expect(readdirSync(spillDir)).toEqual([]);
  });

  test("the table and --verbose say how many parts there were, and what was on disk", async () => {
    const { code, stdout, stderr } = await run(
      "spec.json",
      "--spill=always",
      "--spill-dir",
      spillDir,
      "--memory",
      "512000000",
      "--verbose",
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/^backend {3}parts, accuracy reproducible/m);
    expect(stdout).toMatch(/^on disk {3}0 B of 1 part$/m);
    expect(stderr).toMatch(/^distribute +[\d.]+ ms {2}1 parts?, 0 bytes on disk$/m);
    expect(await outputOf(run("spec.json", "--spill", "never"))).not.toMatch(/^on disk/m);
  });

  test("beyond --spill-bytes-max it is an error that names the way out", async () => {
    const { code, stderr } = await run("spec.json", "--spill=always", "--memory", "40000", "--spill-bytes-max", "1");
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringMatching(/\[ERR_FOURFOLD_MEMORY\]\n$/) });
  });

  test.each([
    [["spec.json", "--memory", "2GiB"], /--memory: given "2GiB", expected a number of bytes/],
    [["spec.json", "--memory", "0"], /--memory: given "0"/],
    [["spec.json", "--spill-bytes-max", "99999999999999999"], /expected a number of bytes/],
    [["spec.json", "--spill", "allways"], /expected auto, always, never\. Did you mean always\?/],
    [["x.npy", "--reduce", "sum", "--spill", "always"], /--spill belongs to a spec, given "x\.npy"/],
    [["spec.json", "--spill", "always", "--job", "job"], /belong to a run without a job/],
  ])("%j is refused", async (args, expected) => {
    const { code, stdout, stderr } = await run(...args);
    expect(stderr).toMatch(expected);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });
});
