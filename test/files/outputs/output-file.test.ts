// A file is written whole or not at all: when the process is killed, when the disk is full, when what makes the pieces fails.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { outputFile, type ResultFormat } from "../../../src/files/index.ts";
import { ROOT, runChild } from "../../child.ts";
import { BIN } from "../../cli/bin.ts";
import { failing } from "../../failing.ts";
import { random } from "../../random.ts";
import { Folder } from "../fixture.ts";

const folder = new Folder();
afterAll(() => folder.remove());
let folders = 0;
const fresh = (): string => {
  const path = join(folder.path, `d${folders++}`);
  mkdirSync(path);
  return path;
};
/** Files that a reader could take for a result. */
const shown = (dir: string): string[] => readdirSync(dir).filter((name) => !name.startsWith("."));
const hidden = (dir: string): string[] => readdirSync(dir).filter((name) => name.startsWith("."));

/** Starts a process that writes `path` and kills it with SIGKILL where it waits, before its piece number `stop`. */
async function killed(path: string, format: ResultFormat, stop: number): Promise<void> {
  const program = join(ROOT, "test/files/outputs/writes-slowly.mjs");
  const child = spawn(process.execPath, [program, path, format, String(stop)], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  const [, signal] = (await once(child, "close")) as [number | null, string | null];
  expect(signal).toBe("SIGKILL");
}

describe("kill -9 in the middle of writing", () => {
  test.each<[ResultFormat, number]>([
    ["parquet", 1],
    ["arrow", 9],
    ["csv", 40],
    ["ndjson", 100],
    ["npz", 1000], // when all of it is written, and the name is not yet given
  ])("leaves the old file, or none: %s, at piece %i", async (format, stop) => {
    const dir = fresh();
    const path = join(dir, `nodes.${format}`);
    await killed(path, format, stop);
    expect(shown(dir)).toEqual([]);
    writeFileSync(path, "old");
    await killed(path, format, stop);
    expect([shown(dir), readFileSync(path, "utf8")]).toEqual([[`nodes.${format}`], "old"]);
    // What the two have left is removed by the next writer, but not what may be another machine's.
    const [left, young] = hidden(dir);
    utimesSync(join(dir, left!), 0, 0);
    await (await outputFile(path)).write(["new"]);
    expect([hidden(dir), readFileSync(path, "utf8")]).toEqual([[young], "new"]);
  });
});

describe("a full disk", () => {
  const spec = folder.spec("full.json", {
    source: { file: "full.csv" },
    value: "x",
    levels: [
      { name: "city", by: ["city"], reduce: "sum" },
      { name: "all", by: [], reduce: "sum" },
    ],
  });
  folder.file("full.csv", `city,x\n${Array.from({ length: 4000 }, (_, i) => `c${i * 7919},${i}.5`).join("\n")}\n`);

  /** A folder that holds 16 KiB where this user can make one, otherwise undefined. */
  function small(): string | undefined {
    const dir = fresh();
    if (process.platform !== "linux" || process.getuid?.() !== 0) return undefined;
    return spawnSync("sh", ["-c", 'mount -t tmpfs -o size=16k tmpfs "$0"', dir]).status === 0 ? dir : undefined;
  }

  test.each<ResultFormat>(["parquet", "arrow", "csv", "ndjson", "json", "npz"])("leaves the old file and no other: %s", async (format) => {
    const mounted = small();
    const dir = mounted ?? fresh();
    try {
      const path = join(dir, `nodes.${format}`);
      writeFileSync(path, "old");
      // Where no small disk can be had, the system's limit on files stands for it, in blocks of 512 bytes or of 1,024.
      const limit = mounted === undefined ? "ulimit -f 16; " : "";
      const command = `${limit}exec "$0" "$1" run "$2" --keep all --out "$3"`;
      const { code, stdout, stderr } = await runChild("sh", ["-c", command, process.execPath, BIN, spec, path]);
      expect(stderr).toMatch(/^fourfold: the output .* cannot be written: .*\[ERR_FOURFOLD_OUTPUT\]\n$/);
      if (mounted !== undefined) expect(stderr).toContain("the disk is full");
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect([readdirSync(dir), readFileSync(path, "utf8")]).toEqual([[`nodes.${format}`], "old"]);
    } finally {
      if (mounted !== undefined) spawnSync("sh", ["-c", 'umount "$0"', mounted]);
    }
  });

  test("of a device is told, too", async () => {
    const error = await failing(async () => (await outputFile("/dev/full")).write(["x".repeat(1 << 17)]));
    expect([error.code, error.message]).toEqual(["ERR_FOURFOLD_OUTPUT", expect.stringContaining("the disk is full")]);
  });
});

test("what makes the pieces may fail at any of them: the old file stays, and no other", async () => {
  const { int } = random(5);
  const dir = fresh();
  const path = join(dir, "a.bin");
  writeFileSync(path, "old");
  for (let run = 0; run < 20; run++) {
    const last = int(5);
    function* pieces(): Generator<Uint8Array> {
      for (let i = 0; i < last; i++) yield new Uint8Array(1 + int(1 << 18));
      throw new RangeError("planted");
    }
    await expect((await outputFile(path)).write(pieces())).rejects.toThrow("planted");
    expect([readdirSync(dir), readFileSync(path, "utf8")]).toEqual([["a.bin"], "old"]);
  }
});

test("files of one name that are written at once are each whole: the last that ends stays", async () => {
  const dir = fresh();
  const path = join(dir, "a.txt");
  const texts = Array.from({ length: 20 }, (_, i) => String(i % 10).repeat(1 << 17));
  await Promise.all(texts.map(async (text) => (await outputFile(path)).write([text, text])));
  expect(readdirSync(dir)).toEqual(["a.txt"]);
  expect(readFileSync(path, "utf8")).toMatch(/^(\d)\1*$/);
});

test("discard() removes what a write under way has made", async () => {
  const dir = fresh();
  const file = await outputFile(join(dir, "a.txt"));
  function* pieces(): Generator<Uint8Array> {
    yield new Uint8Array(1 << 16);
    expect(hidden(dir).length).toBe(1);
    file.discard();
    expect(hidden(dir)).toEqual([]);
    throw new RangeError("the process ends");
  }
  await expect(file.write(pieces())).rejects.toThrow("the process ends");
  rmSync(dir, { recursive: true });
});
