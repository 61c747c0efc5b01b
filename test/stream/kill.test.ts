// A stream whose process is killed again and again, at any moment, ends with the bytes of one that was left alone, and with the numbers of a batch run.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEngine } from "../../src/engine.ts";
import { chain } from "../../src/reduce/chain.ts";
import { max, mean, sum } from "../../src/reduce/reductions.ts";
import { type Ended, ROOT, runChild, runNode } from "../child.ts";
import { query } from "../files/fixture.ts";
import { random } from "../random.ts";

const KILLS = Number(process.env["FOURFOLD_KILLS"] ?? 10);
const RECORDS = 3_000;
/** Rows of a batch; each has its checkpoint. */
const ROWS_MAX = 24;
const SIZE_MS = 1_000;
const DISORDER_MS = 200;
const CHILD = join(ROOT, "test/stream/streams-records.mjs");

const root = mkdtempSync(join(tmpdir(), "fourfold-kill-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let places = 0;
const place = (): string => join(root, `place-${places++}`);

const { int, next, pick } = random(20);
const records = Array.from({ length: RECORDS }, (_, i) => ({
  value: (next() - 0.5) * 2 ** (int(100) - 50),
  region: pick(["north", "east", "=south"]),
  site: int(5),
  time: i * 5 + int(DISORDER_MS),
}));
const lines = records.map((record) => `${JSON.stringify(record)}\n`);
const input = join(root, "records.ndjson");
writeFileSync(input, lines.join(""));
/** The last window that closes while more may come. */
const LAST_END = Math.floor((Math.max(...records.map(({ time }) => time)) - DISORDER_MS) / SIZE_MS) * SIZE_MS;

interface Setup {
  readonly input: string;
  readonly kind: "ndjson" | "csv" | "parquet";
  readonly output: string;
  readonly dir?: string;
  readonly rowsMax?: number;
  readonly follow?: boolean;
  readonly until?: number;
}

const argument = (setup: Setup): string =>
  JSON.stringify({ rowsMax: ROWS_MAX, ...setup, window: { sizeMs: SIZE_MS, outOfOrderMsMax: DISORDER_MS } });

const leftAlone = (setup: Setup): Promise<Ended> => runNode([CHILD, argument(setup)]);

/** Kills the process `kills` times, each time a little after one of its first flushes, then lets it end. Gives its last words. */
async function killed(setup: Setup, kills: number, onFlush: () => void = () => {}): Promise<string> {
  const flushes = RECORDS / (setup.rowsMax ?? ROWS_MAX);
  let words = "";
  for (let kill = 0; kill <= kills; kill++) {
    const child = spawn(process.execPath, [CHILD, argument(setup)], { stdio: ["ignore", "pipe", "inherit"] });
    const ended = once(child, "exit");
    let left = kill < kills ? 1 + int(Math.max(1, Math.floor((0.8 * flushes) / kills))) : Number.POSITIVE_INFINITY;
    for await (const line of createInterface(child.stdout)) {
      if (line !== "flush") words = line;
      else onFlush();
      // From before the checkpoint is written to some batches later.
      if (line === "flush" && --left === 0) setTimeout(() => child.kill("SIGKILL"), int(6));
    }
    await ended;
    if (kill < kills) expect(child.signalCode).toBe("SIGKILL");
    else expect(child.exitCode).toBe(0);
  }
  return words;
}

/** The values of a batch run over the records of each window, by window, level and keys; and how many records they are. */
async function batch(): Promise<Map<string, readonly [value: number, records: number]>> {
  const engine = await createEngine({ backend: "reference", workers: 0 });
  const fleet = chain({ site: sum(), region: mean(), fleet: max() });
  const nodes = new Map<string, readonly [number, number]>();
  const windows = grouped();
  for (const [start, inside] of windows) {
    const keys = { region: inside.map(({ region }) => region), site: inside.map(({ site }) => site) };
    const result = await engine.run(fleet, { values: inside.map(({ value }) => value), keys }, { keep: "all" });
    for (const level of ["site", "region", "fleet"])
      for (const { path, value, count } of result.level(level)) nodes.set(`${start} ${level} ${JSON.stringify(path)}`, [value, count]);
  }
  await engine.close();
  return nodes;
}

function grouped(): Map<number, (typeof records)[number][]> {
  const windows = new Map<number, (typeof records)[number][]>();
  for (const record of records) {
    const start = Math.floor(record.time / SIZE_MS) * SIZE_MS;
    windows.set(start, [...(windows.get(start) ?? []), record]);
  }
  return windows;
}

/** What a stream writes that is left alone. */
let undisturbed = "";
beforeAll(async () => {
  const output = place();
  expect(await leftAlone({ input, kind: "ndjson", output })).toMatchObject({ code: 0, stderr: "" });
  undisturbed = readFileSync(output, "utf8");
});

describe("a stream that is killed", () => {
  const share = Math.ceil(KILLS / 3);

  test("from a file to NDJSON writes each line once, with the values of the batch run", async () => {
    const output = place();
    const words = await killed({ input, kind: "ndjson", output, dir: place() }, share);
    expect(JSON.parse(words)).toEqual({ rowsIn: RECORDS, late: 0, rejected: 0 });
    expect(readFileSync(output, "utf8")).toBe(undisturbed);
    const expected = await batch();
    const found = undisturbed
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line));
    expect(
      new Map(
        found.map(({ start, level, keys, value, records: n }) => [`${start} ${level} ${JSON.stringify(Object.values(keys))}`, [value, n]]),
      ),
    ).toEqual(expected);
    expect(found.length).toBe(expected.size);
    expect(found.filter(({ level }) => level === "fleet").reduce((total, { records: n }) => total + n, 0)).toBe(RECORDS);
  });

  test("from a file that grows to CSV writes each row once", async () => {
    const follow = { kind: "csv", follow: true, until: LAST_END } as const;
    const [expected, output, growing] = [place(), place(), place()];
    expect(await leftAlone({ ...follow, input, output: expected })).toMatchObject({ code: 0, stderr: "" });
    writeFileSync(growing, "");
    let written = 0;
    // Bytes, not lines: pieces end inside of records.
    const bytes = readFileSync(input);
    const step = Math.ceil((bytes.length * ROWS_MAX) / RECORDS);
    await killed({ ...follow, input: growing, output, dir: place() }, share, () => {
      appendFileSync(growing, bytes.subarray(written, written + step));
      written += step;
    });
    expect(readFileSync(output, "utf8")).toBe(readFileSync(expected, "utf8"));
    expect(readFileSync(output, "utf8")).toContain("'=south");
  });

  test("from a file to Parquet parts writes each row once, and readers never meet half a part", async () => {
    const output = place();
    const rows = async (): Promise<unknown[][]> =>
      query(
        `select "start", level, region, site, value, records from read_parquet('${output}/*.parquet', filename = true) order by filename, file_row_number`,
      );
    let seen = 0;
    await killed({ input, kind: "parquet", output, dir: place(), rowsMax: 100 }, share, () => {
      // Each part that has its name can be read.
      for (const name of existsSync(output) ? readdirSync(output) : [])
        if (name.endsWith(".parquet")) {
          const bytes = readFileSync(join(output, name));
          expect([bytes.subarray(0, 4), bytes.subarray(-4)].map(String)).toEqual(["PAR1", "PAR1"]);
          seen++;
        }
    });
    expect(seen).toBeGreaterThan(0);
    const expected = undisturbed
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line))
      .map(({ start, level, keys: { region = null, site = null }, value, records: n }) => [start, level, region, site, value, BigInt(n)]);
    expect(await rows()).toEqual(expected);
  });
});

describe("a stream stops with an error, and goes on where it was,", () => {
  test("when the disk takes no more: what is there is whole lines", async () => {
    const setup = { input, kind: "ndjson", output: place(), dir: place() } as const;
    // The limit of file sizes stands for the disk: blocks of 512 or 1,024 bytes.
    const limited = await runChild("sh", ["-c", 'ulimit -f 32; exec "$0" "$@"', process.execPath, CHILD, argument(setup)]);
    expect(limited).toMatchObject({ code: 1, stderr: expect.stringMatching(/^ERR_FOURFOLD_OUTPUT: the sink's file .* cannot be written/) });
    const part = readFileSync(setup.output, "utf8");
    expect(part.length).toBeGreaterThan(0);
    expect(part.endsWith("\n") && undisturbed.startsWith(part)).toBe(true);
    expect(await leftAlone(setup)).toMatchObject({ code: 0 });
    expect(readFileSync(setup.output, "utf8")).toBe(undisturbed);
  });

  test("when its newest checkpoint is damaged: it goes on from the one before", async () => {
    const setup = { input, kind: "ndjson", output: place(), dir: place() } as const;
    const child = spawn(process.execPath, [CHILD, argument(setup)], { stdio: ["ignore", "pipe", "inherit"] });
    const ended = once(child, "exit");
    let left = 30;
    for await (const _ of createInterface(child.stdout)) if (--left === 0) child.kill("SIGKILL");
    await ended;
    const sequence = (name: string): bigint => readFileSync(join(setup.dir, name)).readBigUInt64LE(8);
    const newest = sequence("checkpoint-0") > sequence("checkpoint-1") ? "checkpoint-0" : "checkpoint-1";
    const bytes = readFileSync(join(setup.dir, newest));
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(join(setup.dir, newest), bytes);
    const { code, stderr } = await leftAlone(setup);
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining(`${newest} is damaged`) });
    expect(readFileSync(setup.output, "utf8")).toBe(undisturbed);
  });

  test("when another process has its checkpoints, or they are another stream's", async () => {
    const setup = { input, kind: "ndjson", output: place(), dir: place(), follow: true, until: -1 } as const;
    const first = spawn(process.execPath, [CHILD, argument(setup)], { stdio: ["ignore", "pipe", "inherit"] });
    const ended = once(first, "exit");
    await once(createInterface(first.stdout), "line");
    expect(await leftAlone({ ...setup, output: place() })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(new RegExp(`^ERR_FOURFOLD_CHECKPOINT: .* in use by process ${first.pid}`)),
    });
    first.kill("SIGKILL");
    await ended;
    const other = place();
    writeFileSync(other, lines.join(""));
    expect(await leftAlone({ ...setup, input: other })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^ERR_FOURFOLD_CHECKPOINT: .* with other sources/),
    });
  });
});
