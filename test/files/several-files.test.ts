/** Files of one source that differ in types, order or number of columns: read by name, with types that hold all of them, by runs and by jobs alike. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEngine, type Engine } from "../../src/engine.ts";
import { loadSpec, runJob } from "../../src/files/index.ts";
import { Folder, failure, query } from "./fixture.ts";

const folder = new Folder();
let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ workers: 0 });
});
afterAll(() => {
  folder.remove();
  return engine.close();
});

const parquet = (name: string, sql: string): Promise<unknown> => query(`copy (${sql}) to '${folder.path}/${name}' (format parquet)`);

const levels = [
  { name: "site", by: ["s"], reduce: "sum" },
  { name: "all", by: [], reduce: "sum" },
];

/** The value of a run, and of a job, over files. */
async function both(source: Record<string, unknown>): Promise<number[]> {
  const path = folder.spec("spec.json", { source, value: "v", levels });
  const run = await engine.run(await loadSpec(path));
  const large = await engine.run(await loadSpec(path, { spill: "always" }));
  const job = await runJob(path, { dir: `${folder.path}/job`, fresh: true });
  return [run.value, large.value, job.value];
}

describe("files of one source", () => {
  test.each([
    ["INTEGER and DOUBLE", "2::integer", "2.7::double", 4.7],
    ["DECIMAL of other scales", "1.5::decimal(5,1)", "1.25::decimal(9,4)", 2.75],
    ["FLOAT and DOUBLE", "0.1::float", "0.1::double", Math.fround(0.1) + 0.1],
  ])("Parquet of %s keep every digit, in any order", async (_, first, second, sum) => {
    await parquet("1.parquet", `select 1 as s, ${first} as v`);
    await parquet("2.parquet", `select 1 as s, ${second} as v`);
    expect(await both({ file: ["1.parquet", "2.parquet"] })).toEqual([sum, sum, sum]);
    expect(await both({ file: ["2.parquet", "1.parquet"] })).toEqual([sum, sum, sum]);
  });

  test("Parquet keys of INTEGER and DOUBLE stay apart", async () => {
    await parquet("k1-1.parquet", "select 1 as s, 2 as v");
    await parquet("k1-2.parquet", "select 1.4 as s, 2 as v");
    const path = folder.spec("spec.json", { source: { file: "k1-*.parquet" }, value: "v", levels });
    const { nodes } = (await engine.run(await loadSpec(path), { keep: "all" })).plan.levels[0]!;
    expect(nodes).toBe(2);
  });

  test.each([
    ["other orders of columns", "s,u,v\n1,5,10\n2,5,20\n", "v,s,u\n10,1,7\n20,2,7\n", 60],
    ["columns that others lack", "s,v\n1,10\n2,20\n", "s,v,x\n1,10,9\n2,20,9\n", 60],
    ["integers and fractions", "s,v\n1,10\n", "s,v\n1,10.5\n", 20.5],
  ])("CSV with %s are read by name", async (_, first, second, sum) => {
    folder.file("1.csv", first);
    folder.file("2.csv", second);
    expect(await both({ file: ["1.csv", "2.csv"] })).toEqual([sum, sum, sum]);
  });

  test("CSV in key=value folders, of which a condition leaves out the first", async () => {
    folder.file("h/y=1/a.csv", "s,u,v\n1,5,10\n");
    folder.file("h/y=2/a.csv", "s,v,u\n1,30,1\n");
    expect(await both({ file: "h/*/*.csv", where: "y = 2" })).toEqual([30, 30, 30]);
  });

  test("a condition that ends in a comment is one for a job, too", async () => {
    folder.file("1.csv", "s,v\n1,10\n2,20\n");
    expect(await both({ file: "1.csv", where: "v > 10 -- the large ones" })).toEqual([20, 20, 20]);
  });

  test.each(["csv", "parquet"])("%s without a column that is used is an error that names the file", async (format) => {
    if (format === "csv") {
      folder.file("have.csv", "s,v\n1,10\n");
      folder.file("lack.csv", "s,w\n1,10\n");
    } else {
      await parquet("have.parquet", "select 1 as s, 2 as v");
      await parquet("lack.parquet", "select 1 as s, 2 as w");
    }
    const path = folder.spec("spec.json", { source: { file: [`have.${format}`, `lack.${format}`] }, value: "v", levels });
    const error = await failure(loadSpec(path).then((spec) => engine.run(spec)));
    expect(error.code).toBe("ERR_FOURFOLD_COLUMN");
    expect(error.message).toContain(`lack.${format} has no column "v", which other files have`);
  });
});
