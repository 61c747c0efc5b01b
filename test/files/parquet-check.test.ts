// The check of Parquet files before they are decoded: whole files pass, lies about sizes and places do not, and with page checksums no
// changed page does. DuckDB is the judge of whole files, and shows what it would have made of the others.
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { FourfoldError } from "../../src/errors.ts";
import { checkParquet } from "../../src/files/parquet-check.ts";
import { random } from "../random.ts";
import { Folder, failure, query } from "./fixture.ts";
import { crc32, type PageSays, parquetFile, type Writing } from "./parquet-file.ts";

const folder = new Folder();
afterAll(() => folder.remove());

const ROWS = 1000;
const k = BigInt64Array.from({ length: ROWS }, (_, i) => BigInt(i % 10));
const v = Float64Array.from({ length: ROWS }, (_, i) => i / 8);
const check = (bytes: Uint8Array, pageBytesMax = 2 ** 31 - 1): ReturnType<typeof checkParquet> =>
  checkParquet(folder.file("x.parquet", bytes), pageBytesMax);
const sum = async (): Promise<unknown> => (await query(`select sum(v), sum(k), count(*) from '${join(folder.path, "x.parquet")}'`))[0];

test("CRC-32 of the tests is that of the standards", () => {
  expect(crc32(Buffer.from("123456789")) >>> 0).toBe(0xcbf43926);
});

describe("whole files pass", () => {
  test.each([[{}], [{ crc: false }], [{ gzip: true }], [{ gzip: true, crc: false }], [{ rowsPerPage: 7 }]] as readonly (readonly [
    Writing,
  ])[])("of the tests' own writer: %o", async (writing) => {
    const pages = 2 * Math.ceil(ROWS / (writing.rowsPerPage ?? 100));
    expect(await check(parquetFile({ k, v }, writing).bytes)).toEqual({ rows: ROWS, pages, checksums: writing.crc === false ? 0 : pages });
    expect(await sum()).toEqual([v.reduce((a, b) => a + b), 4500n, BigInt(ROWS)]);
  });

  test.each(["uncompressed", "snappy", "gzip", "zstd", "brotli", "lz4_raw"])(
    "of DuckDB, %s, nested columns and nulls among them",
    async (codec) => {
      const path = join(folder.path, `${codec}.parquet`);
      const rows =
        "select i, 'text ' || (i % 9) as t, [i, i + 1] as l, {'a': i} as s, case when i % 2 = 0 then i end as n, 0.0 as z from range(9000) r(i)";
      for (const version of ["v1", "v2"]) {
        await query(`copy (${rows}) to '${path}' (compression ${codec}, parquet_version ${version}, row_group_size 4096)`);
        expect(await checkParquet(path, 2 ** 31 - 1)).toMatchObject({ rows: 9000 });
      }
    },
  );

  test("without rows, and the flights", async () => {
    const path = join(folder.path, "none.parquet");
    await query(`copy (select 1 as k where false) to '${path}'`);
    expect(await checkParquet(path, 2 ** 31 - 1)).toMatchObject({ rows: 0 });
    expect(await checkParquet("node_modules/vega-datasets/data/flights-3m.parquet", 2 ** 31 - 1)).toMatchObject({ rows: 3_000_000 });
  });
});

describe("lies are refused, with file, byte, row group and column", () => {
  const refused = async (writing: Writing, what: RegExp): Promise<FourfoldError> => {
    const error = await failure(check(parquetFile({ k, v }, writing).bytes));
    expect(error.code).toBe("ERR_FOURFOLD_FORMAT");
    expect(error.message).toMatch(what);
    return error;
  };
  const page = (change: Partial<PageSays>, writing: Writing = {}): Writing => ({
    ...writing,
    lie: (says, column, number) => (column === "v" && number === 3 ? { ...says, ...change } : says),
  });

  test("a checksum that is not the page's", async () => {
    const error = await refused(
      page({ crc: 7 }),
      /byte \d+: row group 0, column "v": the checksum of a page is [0-9a-f]{8}, its header says 00000007/,
    );
    expect(error.at).toMatchObject({ file: join(folder.path, "x.parquet"), column: "v", index: expect.any(Number) });
  });

  test.each([
    ["more packed bytes than are there", page({ packed: 2 ** 30 }), /a page of 1073741824 bytes, the column has \d+ left/],
    ["fewer than none", page({ packed: -1 }), /a page of -1 bytes/],
    ["2 GiB unpacked from nothing", page({ unpacked: 2 ** 31 - 1 }), /claims to unpack to 2147483647, at most 800 are believed/],
    ["2 GiB from gzip", page({ unpacked: 2 ** 31 - 1 }, { gzip: true }), /claims to unpack to 2147483647/],
    ["unpacked less than none", page({ unpacked: -5 }), /claims to unpack to -5/],
    ["fewer values than the column", page({ values: 1 }), /the column's pages have 901 values, it has 1000/],
    ["no values at all", page({ values: -3 }), /a page of -3 values/],
    [
      "a column beyond the file",
      { lieOf: (says) => ({ ...says, bytes: 2 ** 40 }) },
      /the column is said to lie at \d+ with 1099511627776 bytes/,
    ],
    ["a column before the file", { lieOf: (says) => ({ ...says, offset: -9 }) }, /said to lie at -9/],
    ["columns in one place", { lieOf: (says) => ({ ...says, offset: 4 }) }, /begins inside another/],
    ["a column of other length", { lieOf: (says) => ({ ...says, values: says.values + 1 }) }, /pages have 1000 values, it has 1001/],
  ] as readonly (readonly [string, Writing, RegExp])[])("%s", async (_, writing, what) => {
    await refused(writing, what);
  });

  test("a page that would unpack to more than the reading may hold", async () => {
    const { bytes } = parquetFile({ v }, { gzip: true, rowsPerPage: ROWS });
    expect((await failure(check(bytes, 5000))).message).toMatch(/claims to unpack to 8000, at most 5000 are believed/);
  });

  test("files that are cut, empty or something else, wherever they are cut", async () => {
    const { bytes } = parquetFile({ k, v });
    for (const length of [0, 4, 11, 12, 100, bytes.length - 9, bytes.length - 1])
      expect((await failure(check(bytes.subarray(0, length)))).code).toBe("ERR_FOURFOLD_FORMAT");
    expect((await failure(check(Buffer.from("PAR1\xff\xff\xff\xffPAR1", "latin1")))).message).toMatch(/metadata of 4294967295 bytes/);
    expect((await failure(check(Buffer.from(`PAR1${"\x1c".repeat(400)}\x90\x01\0\0PAR1`, "latin1")))).message).toMatch(/nested deeper/);
    expect((await failure(checkParquet(join(folder.path, "none"), 1))).code).toBe("ERR_FOURFOLD_SOURCE");
  });
});

describe("mutated files", () => {
  const runs = Number(process.env["FOURFOLD_RUNS"] ?? 100);
  const { bytes, bodies } = parquetFile({ k, v }, { rowsPerPage: 50 });

  test("any change of a page's bytes is noticed where it has a checksum", async () => {
    const { int, pick } = random(1);
    for (let run = 0; run < runs; run++) {
      const mutant = Buffer.from(bytes);
      const body = pick(bodies);
      mutant[body.at + int(body.length)]! ^= 1 << int(8);
      expect((await failure(check(mutant))).message).toMatch(/checksum/);
    }
  });

  test("any change anywhere ends in a typed error or a pass, and nothing else", async () => {
    const { int } = random(2);
    let refused = 0;
    for (let run = 0; run < runs; run++) {
      const mutant = Buffer.from(bytes);
      for (let n = 0; n <= run % 3; n++) mutant[run % 2 ? int(bytes.length) : bytes.length - 1 - int(220)] = int(256);
      await check(mutant).catch((error: unknown) => {
        refused++;
        expect(error).toBeInstanceOf(FourfoldError);
      });
    }
    expect(refused).toBeGreaterThan(runs / 2);
  });

  test("DuckDB itself gives wrong values without a sign, which is why this check is there", async () => {
    const mutant = Buffer.from(bytes);
    mutant[bodies.at(-1)!.at + 6]! ^= 0x10;
    expect((await failure(check(mutant))).message).toMatch(/checksum/);
    const [total, , count] = (await sum()) as unknown[];
    expect(count).toBe(BigInt(ROWS));
    expect(total).not.toBe(v.reduce((a, b) => a + b));
  });
});
