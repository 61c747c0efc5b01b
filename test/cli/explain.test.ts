// What a run would do, told without reading the data.
import { rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { outputOf } from "../child.ts";
import { folderOf, fourfold, npy, specOf } from "./bin.ts";

const HEADINGS = ["init", "distribute", "process", "aggregate", "output"];
const folder = folderOf({
  "spec.json": specOf("nowhere.parquet"),
  "a.npy": npy([1000], new Float64Array(1000)),
  "x.npy": npy([2, 3, 1000, 1000], new Float64Array(0)),
});
// Forty-eight megabytes that are nowhere: a hole.
truncateSync(join(folder, "x.npy"), 128 + 8 * 6_000_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const headings = (text: string): string[] => text.split("\n").flatMap((line) => /^(\w+) {2}/.exec(line)?.[1] ?? []);

describe("fourfold explain", () => {
  test("tells a spec's five steps, even where its data is missing", async () => {
    const text = await outputOf(fourfold(["explain", "spec.json", "--keep", "country", "--workers", "3"], { cwd: folder }));
    expect(headings(text)).toEqual(HEADINGS);
    expect(text).toMatch(/init +source: parquet nowhere\.parquet\n +value: x\n/);
    expect(text).toContain("3 workers");
    expect(text).toMatch(
      /process +level city: sum by country, city\naggregate +level country: mean by country\n +level world: sum by nothing/,
    );
    expect(text).toMatch(/output +one number, accuracy reproducible, nan propagate\n +nodes kept: country, world\n$/);
  });

  test("tells filters, hierarchies, policies and what stands for missing weights", async () => {
    const more = {
      source: { file: "nowhere.csv", where: "x > 0", path: { column: "p", names: ["country", "city"], short: "repeat" } },
      int64: "reject",
      levels: [{ name: "city", by: ["country", "city"], reduce: "weightedSum", weights: { expression: "a * b", missing: 1 } }],
    };
    writeFileSync(join(folder, "more.json"), specOf("nowhere.csv", more));
    const text = await outputOf(fourfold(["explain", "more.json"], { cwd: folder }));
    expect(headings(text)).toEqual(HEADINGS);
    expect(text).toContain(
      `init        source: csv nowhere.csv
            where: x > 0
            path: country, city from column "p", parted by "/"; a shorter one repeats its last part
            value: x
            64-bit integers are refused as values and weights
            DuckDB reads`,
    );
    expect(text).toContain("process     level city: weightedSum by country, city, weighted by a * b, 1 where it is missing\n");
  });

  test("tells a tensor's five steps from the header of its file", async () => {
    const text = await outputOf(
      fourfold(["explain", "x.npy", "--reduce", "weightedSum,mean,max", "--weights", "a.npy", "--workers", "2"], { cwd: folder }),
    );
    expect(headings(text)).toEqual(HEADINGS);
    expect(text).toContain("6,000,000 f64 values");
    expect(text).toContain("f: weightedSum over 6,000 nodes of 1,000");
    expect(text).toContain("2 workers");
    expect(text).toContain("shape [2]");
  });

  test("refuses what a run would refuse", async () => {
    expect(await fourfold(["explain", "spec.json", "--keep", "town"], { cwd: folder })).toMatchObject({ code: 2, stdout: "" });
    expect(await fourfold(["explain", "x.npy", "--reduce", "sum,sum,sum,sum,sum"], { cwd: folder })).toMatchObject({ code: 1, stdout: "" });
    expect(await fourfold(["explain", "spec.json", "--backend", "abacus"], { cwd: folder })).toMatchObject({ code: 2, stdout: "" });
    expect(await fourfold(["explain", "spec.json", "--format", "json"], { cwd: folder })).toMatchObject({ code: 2, stdout: "" });
  });
});
