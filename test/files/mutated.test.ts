// Damaged files of every format, read as untrusted: each ends in a table or a typed error, within two seconds and 512 MiB, and this
// process goes on. FOURFOLD_RUNS says how many of each.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ERROR_CODES, FourfoldError } from "../../src/errors.ts";
import { readNpy } from "../../src/files/index.ts";
import { random } from "../random.ts";
import { Folder, query } from "./fixture.ts";
import { mutant } from "./mutants.ts";
import { parquetFile } from "./parquet-file.ts";

const RUNS = Number(process.env["FOURFOLD_RUNS"] ?? 60);
const DEADLINE_MS = 2000;
const BYTES_MAX = 512 * 2 ** 20;
/** A reading may take its deadline, and a new process its start. */
const TIMEOUT_MS = 60_000 + RUNS * 2 * DEADLINE_MS;

const folder = new Folder();
afterAll(() => folder.remove());

const ROWS = 400;
const files: Record<string, Uint8Array> = {};
beforeAll(async () => {
  const rows = `select i % 10 as k, i / 8.0 as v, 'text ' || (i % 7) as t from range(${ROWS}) r(i)`;
  const write = async (name: string, options: string): Promise<void> => {
    await query(`copy (${rows}) to '${join(folder.path, name)}' (${options})`);
    files[name] = readFileSync(join(folder.path, name));
  };
  await write("x.parquet", "format parquet");
  await write("zstd.parquet", "format parquet, compression zstd, parquet_version v2");
  await write("x.csv", "format csv");
  await write("x.json", "format json, array true");
  await write("x.ndjson", "format json");
  files["x.csv.gz"] = gzipSync(files["x.csv"]!);
  const k = BigInt64Array.from({ length: ROWS }, (_, i) => BigInt(i % 10));
  files["checksums.parquet"] = parquetFile({ k, v: Float64Array.from(k, Number), t: k }).bytes;
  const header = `{'descr': '<f8', 'fortran_order': False, 'shape': (20, 20), }`.padEnd(117);
  files["x.npy"] = Buffer.concat([Buffer.from(`\x93NUMPY\x01\0\x76\0${header}\n`, "latin1"), Buffer.from(new Float64Array(ROWS).buffer)]);
});

/** The most memory that a reading process of this one has held so far; 0 where the system does not say. */
function peakBytes(): number {
  let peak = 0;
  try {
    for (const pid of readFileSync(`/proc/self/task/${process.pid}/children`, "latin1").split(" ").filter(Boolean))
      peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? 0) * 1024);
  } catch {
    // It has just ended, or this is not Linux.
  }
  return peak;
}

const levels = [
  { name: "leaf", by: ["t", "k"], reduce: "sum" },
  { name: "all", by: [], reduce: "sum" },
];

/** With the check most damage never comes to DuckDB; without it all does. */
async function readTable(name: string, check: boolean, skip: boolean): Promise<void> {
  const options = { untrusted: true, deadlineMsMax: DEADLINE_MS, check, ...(skip && { onError: "skip" as const }) };
  const table = await folder.read({ source: { file: name }, value: "v", levels, nullKeys: "group" }, options);
  expect(table.values.length).toBe(table.records);
  expect(table.levels[0]!.offsets.at(-1)).toBe(table.records);
}

const FORMATS = ["x.parquet", "zstd.parquet", "checksums.parquet", "x.csv", "x.csv.gz", "x.json", "x.ndjson", "x.npy"];

test.each(FORMATS)("the whole file is read: %s", async (name) => {
  const path = folder.file(name, files[name]!);
  if (name.endsWith(".npy")) expect((await readNpy(path)).shape).toEqual([20, 20]);
  else await readTable(name, true, false);
});

test.each(FORMATS)(
  `${RUNS} mutants of %s`,
  async (name) => {
    const chance = random(FORMATS.indexOf(name) + 1);
    // Parquet has three files here, and their mutants are shared out.
    for (let run = 0; run < (name.endsWith(".parquet") ? Math.ceil(RUNS / 3) : RUNS); run++) {
      const path = folder.file(name, mutant(files[name]!, chance));
      const reading = name.endsWith(".npy") ? readNpy(path, { memoryBytesMax: BYTES_MAX }) : readTable(name, run % 2 === 0, run % 3 === 2);
      await reading.catch((error: unknown) => {
        if (!(error instanceof FourfoldError)) throw error;
        expect(Object.keys(ERROR_CODES)).toContain(error.code);
        expect(error.message).not.toMatch(/\n/);
      });
      expect(peakBytes()).toBeLessThanOrEqual(BYTES_MAX);
    }
  },
  TIMEOUT_MS,
);
