// Missing, truncated and damaged tables end in a typed error or in an answer, and never in a crash or a hang.
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { FourfoldError } from "../../src/errors.ts";
import { Folder, failure, query } from "./fixture.ts";

const folder = new Folder();
afterAll(() => folder.remove());

const over = (source: object): object => ({
  source,
  value: "v",
  levels: [
    { name: "leaf", by: ["k"], reduce: "sum" },
    { name: "all", by: [], reduce: "sum" },
  ],
});

describe("files that are not there, or not what they say", () => {
  test("a missing file names the nearest one, a glob that matches nothing says so", async () => {
    folder.file("sales.csv", "k,v\n1,2\n");
    const missing = await failure(folder.read(over({ file: "sale.csv" })));
    expect(missing.code).toBe("ERR_FOURFOLD_SOURCE");
    expect(missing.message).toContain(`there is no file ${join(folder.path, "sale.csv")}. Did you mean "sales.csv"?`);
    expect(missing.at).toMatchObject({ pointer: "/source/file", file: join(folder.path, "sale.csv") });
    expect((await failure(folder.read(over({ sql: "from 'none.parquet'" })))).code).toBe("ERR_FOURFOLD_SOURCE");
    expect((await failure(folder.read(over({ file: "none*.csv" })))).code).toBe("ERR_FOURFOLD_SOURCE");
    mkdirSync(join(folder.path, "dir.csv"));
    expect((await failure(folder.read(over({ file: "dir.csv" })))).code).toMatch(/ERR_FOURFOLD_(SOURCE|FORMAT)/);
  });

  test("files of another format are a typed error that names the file", async () => {
    for (const [name, content] of [
      ["a.parquet", "k,v\n1,2\n"],
      ["b.parquet", ""],
      ["c.json", "{"],
      ["d.ndjson", '{"k":1,"v":'],
      ["e.parquet", "PAR1PAR1"],
    ] as const) {
      folder.file(name, content);
      const error = await failure(folder.read(over({ file: name })));
      expect(error.code).toMatch(/ERR_FOURFOLD_(FORMAT|COLUMN)/);
      expect(error.message).toContain(name);
    }
  });

  test("a value that its column's type does not hold is a typed error", async () => {
    folder.file("bad.csv", `k,v\n${"1,2\n".repeat(30000)}1,oops\n`);
    const error = await failure(folder.read(over({ file: "bad.csv" })));
    expect(error.code).toMatch(/ERR_FOURFOLD_(FORMAT|COLUMN)/);
  });
});

describe("bad SQL says where", () => {
  test.each([
    ["selec 1", "ERR_FOURFOLD_SPEC", 'syntax error at or near "selec"'],
    ["select v, k from 'sales.csv' where", "ERR_FOURFOLD_SPEC", "syntax error"],
    ["select nope as v, k from 'sales.csv'", "ERR_FOURFOLD_SPEC", 'Referenced column "nope" not found'],
    ["select v, k\nfrom 'sales.csv'\nwhere nofunction(v)", "ERR_FOURFOLD_SPEC", "(line 3 of the SQL"],
    ["select * from sales", "ERR_FOURFOLD_SOURCE", 'there is no table "sales"'],
    ["with sale as (select 1 as v, 2 as k) select * from sales", "ERR_FOURFOLD_SOURCE", 'Did you mean "sale"?'],
    ["select error('no') as v, 1 as k", "ERR_FOURFOLD_", "no"],
    ["select 'x'::int as v, 1 as k", "ERR_FOURFOLD_FORMAT", "Could not convert string 'x' to INT32"],
    ["select $1 as v, 2 as k", "ERR_FOURFOLD_SPEC", "parameters"],
    ["select ? as v, 2 as k", "ERR_FOURFOLD_SPEC", "parameters"],
    ["", "ERR_FOURFOLD_SPEC", "expected a text"],
    [";", "ERR_FOURFOLD_FORBIDDEN", "statements"],
    ["-- nothing", "ERR_FOURFOLD_FORBIDDEN", "statements"],
  ])("%s", async (sql, code, message) => {
    const error = await failure(folder.read(over({ sql })));
    expect(error.code).toContain(code);
    expect(error.message).toContain(message);
    expect(error.at?.pointer).toBe("/source/sql");
  });
});

test("expressions nested thousands deep end in a typed error or an answer", async () => {
  for (const [open, close] of [
    ["(", ")"],
    ["-(", ")"],
    ["(select ", ")"],
    ["[", "]"],
  ] as const)
    await folder
      .read(over({ sql: `select ${open.repeat(3000)}1${close.repeat(3000)} as v, 1 as k` }))
      .catch((error) => expect(error).toBeInstanceOf(FourfoldError));
});

describe("damaged Parquet", () => {
  test("truncations and mutations end in a typed error or an answer", async () => {
    const path = join(folder.path, "whole.parquet");
    await query(`copy (select i % 50 as k, i as v, 'text ' || (i % 9) as t from range(5000) r(i)) to '${path}' (row_group_size 2048)`);
    const whole = readFileSync(path);
    let state = 7;
    const random = (n: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return Math.floor((state / 2 ** 32) * n);
    };
    let refused = 0;
    for (let round = 0; round < 60; round++) {
      let bytes = Buffer.from(whole);
      if (round < 20) bytes = bytes.subarray(0, random(bytes.length));
      // Half of the mutations hit the metadata at the end, where most of a file's lies are told.
      else for (let n = 0; n <= round % 4; n++) bytes[round % 2 ? random(bytes.length) : bytes.length - 1 - random(600)] = random(256);
      folder.file("damaged.parquet", bytes);
      await folder.read(over({ file: "damaged.parquet" }), { signal: AbortSignal.timeout(10_000) }).then(
        (table) => expect(table.values.length).toBe(table.records),
        (error) => {
          refused++;
          expect(error).toBeInstanceOf(FourfoldError);
          expect(error.code).not.toBe("ERR_FOURFOLD_ABORTED");
        },
      );
    }
    expect(refused).toBeGreaterThan(20);
  });
});
