// A job whose process is killed at any moment, or whose disk is full, ends with the bytes of one that was left alone and of a run without a job.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Ended, runChild, runNode } from "../child.ts";
import { BIN } from "../cli/bin.ts";
import { random } from "../random.ts";
import { Folder, query } from "./fixture.ts";

const KILLS = Math.min(1_000, Number(process.env["FOURFOLD_KILLS"] ?? 10));
const FILES = 24;

const folder = new Folder();
afterAll(() => folder.remove());
let places = 0;
const place = (): string => join(folder.path, `place-${places++}`);

const { int } = random(72);
const spec = folder.spec("spec.json", {
  source: { file: "data/*/*.parquet" },
  value: "value",
  levels: [
    { name: "site", by: ["region", "site"], reduce: "weightedMean", weights: { column: "w" } },
    { name: "region", by: ["region"], reduce: "weightedSum", weights: { table: { file: "weights.csv" }, value: "weight", missing: 1 } },
    { name: "all", by: [], reduce: "weightedMean", weights: "count" },
  ],
});

const argumentsOf = (out: string, dir?: string): string[] => [
  ...["run", spec, "--keep", "all", "--format", "csv", "--out", out],
  ...(dir === undefined ? [] : ["--job", dir]),
];

const toEnd = (out: string, dir?: string): Promise<Ended> => runNode([BIN, ...argumentsOf(out, dir)]);

/** What a run without a job writes. */
let expected = "";
/** How long a job takes that is left alone: for choosing moments, and nothing else. */
let usualMs = 0;

beforeAll(async () => {
  const value = "(hash(i) / 1.8e19 - 0.5) * pow(2, (hash(i + 7) % 90)::int - 45)";
  await query(
    `copy (select chr(65 + (i % 5)::int) as region, i % 300 as site, ${value} as value, hash(i + 3) % 100 / 7.0 as w, i % ${FILES} as part from range(24000) t(i))
     to '${folder.path}/data' (format parquet, partition_by (part))`,
  );
  folder.file("weights.csv", `region,site,weight\n${Array.from({ length: 60 }, (_, i) => `${"ABCDE"[i % 5]},${i},${i / 7}`).join("\n")}\n`);
  const out = place();
  expect(await toEnd(out)).toMatchObject({ code: 0 });
  expected = readFileSync(out, "utf8");
  const began = performance.now();
  const alone = place();
  expect(await toEnd(alone, place())).toMatchObject({ code: 0, stderr: "" });
  usualMs = performance.now() - began;
  expect(readFileSync(alone, "utf8")).toBe(expected);
}, 120_000);

describe("a job that is killed", () => {
  test(`${KILLS} times at any moment gives the bytes of a run, and leaves no half-written output`, async () => {
    let [dir, out] = [place(), place()];
    let kills = 0;
    let ends = 0;
    for (let began = 0; kills < KILLS || began < 2; ) {
      const child = spawn(process.execPath, [BIN, ...argumentsOf(out, dir)], { stdio: ["ignore", "ignore", "pipe"] });
      const ended = once(child, "close");
      let words = "";
      child.stderr.on("data", (text: Buffer) => {
        words += String(text);
      });
      const timer = kills < KILLS ? setTimeout(() => child.kill("SIGKILL"), int(Math.ceil(usualMs))) : undefined;
      const [code, signal] = (await ended) as [number | null, string | null];
      clearTimeout(timer);
      expect(words).toBe("");
      if (signal === "SIGKILL") kills++;
      else expect(code).toBe(0);
      const written = readdirSync(folder.path).includes(out.slice(folder.path.length + 1));
      if (written) expect(readFileSync(out, "utf8")).toBe(expected);
      if (code !== 0) continue;
      expect(written).toBe(true);
      // Killed before its first piece as well as after its last, and then once more from the beginning.
      ends++;
      began = ends;
      rmSync(dir, { recursive: true });
      [dir, out] = [place(), place()];
    }
    expect(kills).toBe(KILLS);
  }, 0);

  test("is refused to others while it runs, with its process number, and free at once when it is dead", async () => {
    const dir = place();
    const first = spawn(process.execPath, [BIN, ...argumentsOf(place(), dir)], { stdio: "ignore" });
    const ended = once(first, "close");
    mkdirSync(dir, { recursive: true });
    while (!readdirSync(dir).some((name) => name.startsWith("manifest"))) await new Promise((later) => setImmediate(later));
    first.kill("SIGSTOP");
    expect(await toEnd(place(), dir)).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(
        new RegExp(`^fourfold: the job in .* is in use by process ${first.pid}\\. .*\\[ERR_FOURFOLD_JOB\\]\n$`),
      ),
    });
    first.kill("SIGKILL");
    await ended;
    const out = place();
    expect(await toEnd(out, dir)).toMatchObject({ code: 0, stderr: "" });
    expect(readFileSync(out, "utf8")).toBe(expected);
  }, 60_000);
});

describe("a job whose disk is full", () => {
  test.each([4, 16])(
    "at files of %i blocks stops with an error, and goes on when there is room",
    async (blocks) => {
      const [dir, out] = [place(), place()];
      // The limit of file sizes stands for the disk: blocks of 512 or 1,024 bytes.
      const limited = await runChild("sh", ["-c", `ulimit -f ${blocks}; exec "$0" "$@"`, process.execPath, BIN, ...argumentsOf(out, dir)]);
      expect(limited).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/^fourfold: .* cannot be written: .*\[ERR_FOURFOLD_(JOB|OUTPUT)\]\n$/),
      });
      expect(readdirSync(dir).filter((name) => name.endsWith(".tmp") || name.startsWith("lock"))).toEqual([]);
      expect(await toEnd(out, dir)).toMatchObject({ code: 0, stderr: "" });
      expect(readFileSync(out, "utf8")).toBe(expected);
    },
    60_000,
  );
});
