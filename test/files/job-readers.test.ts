// A job that ends early leaves no reader behind: when it rejects, all of them are through, and the folder may be another's.
import { afterAll, expect, test, vi } from "vitest";
import type * as duckdb from "../../src/files/duckdb.ts";
import { runJob } from "../../src/files/index.ts";
import { Folder } from "./fixture.ts";

const folder = new Folder();
afterAll(() => folder.remove());

/** Databases that are open, and the number of the one that does not open. */
const databases = vi.hoisted(() => ({ opened: 0, open: 0, failing: 0 }));

vi.mock("../../src/files/duckdb.ts", async (original) => {
  const real = await original<typeof duckdb>();
  let go = (): void => undefined;
  const after = new Promise<void>((resolve) => {
    go = resolve;
  });
  const openDatabase: typeof real.openDatabase = async (...given) => {
    const number = ++databases.opened;
    if (number === databases.failing) {
      await after; // the readers that came later are at work
      throw new Error("no memory for another database");
    }
    const db = await real.openDatabase(...given);
    databases.open++;
    if (number === databases.failing + 1) go();
    const close = db.close.bind(db);
    db.close = () => {
      databases.open--;
      close();
    };
    return db;
  };
  return { ...real, openDatabase };
});

test("where the database of one reader does not open, the job rejects when the others are through, and can be resumed", async () => {
  for (let i = 0; i < 3; i++) folder.file(`f${i}.csv`, `s,v\n${Array.from({ length: 500 }, (_, k) => `k${k % 5},${k}`).join("\n")}\n`);
  const levels = [
    { name: "site", by: ["s"], reduce: "sum" },
    { name: "all", by: [], reduce: "sum" },
  ];
  const spec = folder.file("spec.json", JSON.stringify({ source: { file: "f*.csv" }, value: "v", levels }));
  const options = { dir: `${folder.path}/job`, readersMax: 3 };
  databases.failing = Number.POSITIVE_INFINITY;
  const whole = (await runJob(spec, { ...options, dir: `${folder.path}/whole` })).value;
  expect(whole).toBe((3 * 500 * 499) / 2);
  const planning = databases.opened - 3; // what a job opens beside its readers
  expect(planning).toBeGreaterThanOrEqual(0);
  databases.opened = 0;
  databases.failing = planning + 2;
  await expect(runJob(spec, options)).rejects.toThrow("no memory for another database");
  expect(databases.open).toBe(0);
  databases.failing = Number.POSITIVE_INFINITY;
  expect((await runJob(spec, options)).value).toBe(whole);
});
