// A spec is untrusted: what it may not do is refused, with a message that says the way out. docs/security.md is the threat model.
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openDatabase } from "../../src/files/duckdb.ts";
import { allowedPlaces } from "../../src/files/folders.ts";
import { loadSpec } from "../../src/files/index.ts";
import { Folder, failure, nested } from "./fixture.ts";

const folder = new Folder();
const inside = join(folder.path, "inside");
const outside = join(folder.path, "outside");
afterAll(() => folder.remove());

beforeAll(() => {
  for (const path of [inside, outside]) mkdirSync(path);
  for (const path of [inside, outside]) writeFileSync(join(path, "x.csv"), "k,v\n1,2\n");
  writeFileSync(join(outside, "y.csv"), "k,v\n1,3\n");
  symlinkSync(join(outside, "x.csv"), join(inside, "link.csv"));
  symlinkSync(outside, join(inside, "linked"));
  symlinkSync(inside, join(folder.path, "door"));
});

const levels = [{ name: "all", by: [], reduce: "sum" }];

function spec(source: object, place: string = inside): string {
  const path = join(place, "spec.json");
  writeFileSync(path, JSON.stringify({ source, value: "v", levels }));
  return path;
}

const read = async (source: object, allowPaths: string[] = [], place: string = inside): Promise<unknown> =>
  nested(await (await loadSpec(spec(source, place), { allowPaths })).read());

describe("statements other than one SELECT are refused", () => {
  test.each([
    ["copy (select 1 as v) to 'out.csv'"],
    ["copy (select 1 as v) to '/tmp/fourfold-out.csv'"],
    ["attach 'x.db' as x"],
    ["attach ':memory:' as x"],
    ["install httpfs"],
    ["load httpfs"],
    ["set threads = 1"],
    ["set enable_external_access = true"],
    ["reset lock_configuration"],
    ["pragma version"],
    ["pragma database_list"],
    ["call pragma_version()"],
    ["call enable_logging(storage = 'file', storage_path = 'log')"],
    ["create table t as select 1 as v"],
    ["insert into t values (1)"],
    ["export database 'e'"],
    ["explain analyze select 1 as v"],
    ["checkpoint"],
    ["prepare p as select 1"],
    ["select 1 as v; select 2 as v"],
    ["select 1 as v; copy (select 1) to 'out.csv'"],
    ["select 1 as v; attach 'x.db'"],
    ["describe 'x.csv'"],
    ["show tables"],
    ["summarize 'x.csv'"],
  ])("%s", async (sql) => {
    const error = await failure(read({ sql }));
    expect(error.code).toBe("ERR_FOURFOLD_FORBIDDEN");
    expect(error.fix).toBeTruthy();
    expect(error.at).toMatchObject({ pointer: "/source/sql", line: 1 });
    expect(readdirSync(inside).filter((name) => !["link.csv", "linked", "spec.json", "x.csv"].includes(name))).toEqual([]);
  });

  test("nothing was written", () => {
    expect(existsSync("/tmp/fourfold-out.csv")).toBe(false);
    expect(readdirSync(inside).sort()).toEqual(["link.csv", "linked", "spec.json", "x.csv"]);
    expect(existsSync(".tmp")).toBe(false);
  });
});

describe("functions with effects, or that look outside, are refused", () => {
  test.each([
    ["select * from enable_logging(storage = 'file', storage_path = 'log')"],
    ["select 1 as v where exists (from enable_logging(storage = 'file', storage_path = 'log'))"],
    ["with a as (from enable_logging(storage = 'file', storage_path = 'log')) select 1 as v from a"],
    ["select write_log('x') as v"],
    ["from query('copy (select 1) to ''out.csv''')"],
    ["from query('from enable_logging()')"],
    ["from duckdb_secrets()"],
    ["from duckdb_settings()"],
    ["from which_secret('x', 's3')"],
    ["from read_text('/etc/passwd')"],
    ["from read_text('x.csv')"],
    ["from read_blob('/proc/self/environ')"],
    ["from glob('/etc/*')"],
    ["from sniff_csv('/etc/passwd')"],
    ["from checkpoint()"],
    ["from parquet_metadata('/etc/passwd')"],
    ["select current_setting('allowed_directories') as v"],
    ["from read_csv('/etc/' || 'passwd')"],
    ["from read_csv(getvariable('x'))"],
    ["from read_csv($1)"],
    ["from read_csv(E'\\x2fetc/passwd')"],
  ])("%s", async (sql) => {
    const error = await failure(read({ sql }));
    expect(["ERR_FOURFOLD_FORBIDDEN", "ERR_FOURFOLD_SPEC"]).toContain(error.code);
    expect(readdirSync(inside).sort()).toEqual(["link.csv", "linked", "spec.json", "x.csv"]);
  });

  test("the environment is not readable", async () => {
    expect((await failure(read({ sql: "select getenv('HOME') as v" }))).code).toBe("ERR_FOURFOLD_SPEC");
  });
});

describe("paths outside the allowed folders are refused", () => {
  test.each([
    [{ sql: "from read_csv('/etc/passwd')" }],
    [{ sql: "from '/etc/passwd'" }],
    [{ file: "/etc/passwd", format: "csv" }],
    [{ file: "../outside/x.csv" }],
    [{ file: "../outside/*.csv" }],
    [{ file: "./nothing/../../outside/x.csv" }],
    [{ file: "link.csv" }],
    [{ file: "linked/x.csv" }],
    [{ file: "linked/*.csv" }],
    [{ sql: "from '../outside/x.csv'" }],
    [{ sql: "select * from 'x.csv' where exists (from '../outside/x.csv')" }],
    [{ sql: "from read_csv(['x.csv', '../outside/x.csv'])" }],
    [{ sql: "from 'x.csv' union all from \"../outside/x.csv\"" }],
    [{ sql: `from '${outside}/x.csv'` }],
  ])("%j", async (source) => {
    const error = await failure(read(source));
    expect(error.code).toBe("ERR_FOURFOLD_FORBIDDEN");
    expect(error.fix).toContain("--allow-path");
    expect(error.message).toContain(inside);
  });

  test.each([[{ file: "*.csv" }], [{ sql: "from '*.csv'" }]])("a glob does not follow links out: %j", async (source) => {
    const result = await read(source).catch((error: Error) => error);
    if (result instanceof Error) expect(result).toMatchObject({ code: "ERR_FOURFOLD_FORBIDDEN" });
    else expect(result).toEqual([[[], [2]]]);
  });

  test.each([
    ["http://127.0.0.1:1/x.csv"],
    ["https://example.com/x.parquet"],
    ["s3://bucket/x.parquet"],
    ["gcs://bucket/x.parquet"],
    ["hf://datasets/x/y.parquet"],
    ["file:///etc/passwd"],
  ])("%s is refused", async (url) => {
    for (const source of [{ file: url, format: "csv" }, { sql: `from read_csv('${url}')` }, { sql: `from '${url}'` }]) {
      const error = await failure(read(source));
      expect(error.code).toBe("ERR_FOURFOLD_FORBIDDEN");
      expect(error.message).toContain("network");
    }
  });

  test("the message's way out works, for folders and for single files", async () => {
    const source = { file: "../outside/x.csv" };
    expect((await failure(read(source))).fix).toBe(`If you trust the spec, add --allow-path ${outside} (option allowPaths)`);
    expect(await read(source, [outside])).toEqual([[[], [2]]]);
    expect(await read(source, [join(outside, "x.csv")])).toEqual([[[], [2]]]);
    expect((await failure(read({ file: "../outside/y.csv" }, [join(outside, "x.csv")]))).code).toBe("ERR_FOURFOLD_FORBIDDEN");
    expect(await read({ file: "link.csv" }, [outside])).toEqual([[[], [2]]]);
  });

  test("the spec's own folder may be reached through a link, and absolute paths through it, too", async () => {
    const door = join(folder.path, "door");
    expect(await read({ file: "x.csv" }, [], door)).toEqual([[[], [2]]]);
    expect(await read({ file: join(door, "x.csv") }, [], door)).toEqual([[[], [2]]]);
  });

  test("a folder whose name only begins alike is outside", async () => {
    mkdirSync(`${inside}-2`);
    writeFileSync(`${inside}-2/x.csv`, "k,v\n1,2\n");
    expect((await failure(read({ file: "../inside-2/x.csv" }))).code).toBe("ERR_FOURFOLD_FORBIDDEN");
  });
});

describe("tables of the database itself are out of reach", () => {
  test.each([
    ["from duckdb_tables"],
    ["from information_schema.tables"],
    ["from pg_catalog.pg_class"],
    ["from grouped"],
    ["from main.grouped"],
    ["from temp.main.grouped"],
  ])("%s", async (sql) => {
    expect((await failure(read({ sql }))).code).toBe("ERR_FOURFOLD_SOURCE");
  });
});

test("a query that would run for hours can be aborted, and one that would fill memory is ended", async () => {
  const controller = new AbortController();
  const endless = await loadSpec(spec({ sql: "select count(*) as v from range(1000000000000) t(i) where i % 7 = 3" }));
  setTimeout(() => controller.abort(), 200);
  expect((await failure(endless.read({ signal: controller.signal }))).code).toBe("ERR_FOURFOLD_ABORTED");
  const huge = await loadSpec(
    spec({ sql: "select repeat('x', 1000000)::varchar as k, i as v from range(100000) t(i) order by k, hash(i)" }),
    { memoryBytesMax: 100 << 20 },
  );
  expect((await failure(huge.read())).code).toBe("ERR_FOURFOLD_MEMORY");
});

test("the database stays shut when the first check is passed by", async () => {
  const db = await openDatabase(allowedPlaces(inside, []), {});
  try {
    for (const sql of [
      "copy (select 1) to 'out.csv'",
      "attach ':memory:' as x",
      "set threads = 1",
      "select 1; select 2",
      "create table t (a int)",
    ])
      expect((await failure(db.columns(sql, {}))).code).toBe("ERR_FOURFOLD_FORBIDDEN");
    for (const path of [
      "/etc/passwd",
      join(outside, "x.csv"),
      join(inside, "link.csv"),
      join(inside, "linked/x.csv"),
      "https://example.com/x.csv",
    ])
      expect((await failure(db.columns(`from read_csv('${path}')`, {}))).code).toBe("ERR_FOURFOLD_FORBIDDEN");
    for (const sql of [
      "set threads = 1",
      "set enable_external_access = true",
      "install httpfs",
      "load httpfs",
      `copy (select 1) to '${outside}/out.csv'`,
    ])
      await failure(db.execute(sql, {}));
    expect(readdirSync(outside).sort()).toEqual(["x.csv", "y.csv"]);
  } finally {
    db.close();
  }
});
