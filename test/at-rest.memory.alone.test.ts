/** A file is rolled up in memory that does not grow with it: FOURFOLD_MIB says how large a file (the soak: 10 GiB). */
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";

const MIB = Number(process.env["FOURFOLD_MIB"] ?? 256);
const WORKERS = 2;
/** What two pieces for each worker take, and 64 MiB. */
const GROWTH_MAX = (64 << 20) + 2 * WORKERS * (256 << 10);

const folder = mkdtempSync(join(tmpdir(), "fourfold-rest-"));
afterAll(() => rmSync(folder, { recursive: true }));

interface Ran {
  readonly value: number;
  readonly baseline: number;
  readonly peak: number;
  readonly nsPerItem: number;
}

test(`${MIB} MiB of float32 take at most 64 MiB and two pieces for each worker`, { timeout: 600_000 }, () => {
  const path = join(folder, "x.f32");
  const fd = openSync(path, "w");
  const mebibyte = new Float32Array(2 ** 18);
  for (let i = 0; i < mebibyte.length; i++) mebibyte[i] = (i % 1000) / 8;
  for (let i = 0; i < MIB; i++) writeSync(fd, mebibyte);
  closeSync(fd);
  const program = fileURLToPath(new URL("fixtures/resting.mjs", import.meta.url));
  const ran = (mib: number): Ran => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [program, path, `${mib}`, `${WORKERS}`], { encoding: "utf8" });
    expect(stderr).toBe("");
    expect(status).toBe(0);
    return JSON.parse(stdout) as Ran;
  };
  const whole = ran(MIB);
  const tenth = ran(Math.ceil(MIB / 10));
  // The same node over and over: all sums are of multiples of 1/8 below 2^53, so exact.
  const node = mebibyte.reduce((sum, x) => sum + x, 0) / 512;
  expect(whole.value).toBe(node * MIB);
  expect(whole.peak - whole.baseline).toBeLessThanOrEqual(GROWTH_MAX);
  const grown = ((whole.peak - whole.baseline) / 2 ** 20).toFixed(1);
  const told = `${MIB} MiB: ${grown} MiB above its start, ${whole.nsPerItem.toFixed(3)} ns a value; a tenth of it: ${tenth.nsPerItem.toFixed(3)} ns\n`;
  if (process.env["FOURFOLD_SOAK"]) process.stdout.write(told);
});
