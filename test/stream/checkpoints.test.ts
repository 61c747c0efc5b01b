// A checkpoint is whole or not there, whatever ends the process, and the one before it is never at risk.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, describe, expect, test } from "vitest";
import { crc32 } from "../../src/reduce/crc.ts";
import { CheckpointStore } from "../../src/stream/checkpoints.ts";
import { ROOT, runChild } from "../child.ts";
import { failing } from "../failing.ts";
import { random } from "../random.ts";

const root = mkdtempSync(join(tmpdir(), "fourfold-checkpoints-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const folder = (): string => join(root, `deep-${folders++}`, "state");
const LIMIT = { bytesMax: 1 << 20 };
const WRITER = join(ROOT, "test/stream/writes-checkpoints.mjs");
const KILLS = Number(process.env["FOURFOLD_KILLS"] ?? 10);

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array | undefined): string | undefined => bytes && new TextDecoder().decode(bytes);

/** A folder with the checkpoints "1" … "n". */
async function written(n: number): Promise<string> {
  const dir = folder();
  const store = await CheckpointStore.open(dir, LIMIT);
  for (let i = 1; i <= n; i++) await store.write(bytesOf(String(i)));
  await store.close();
  return dir;
}

async function latestOf(dir: string, damaged: string[] = [], bytesMax = LIMIT.bytesMax): Promise<string | undefined> {
  const store = await CheckpointStore.open(dir, { bytesMax, onDamaged: (error) => damaged.push(error.message) });
  return store
    .latest()
    .then(textOf)
    .finally(() => store.close());
}

/** The file that holds a payload. */
function fileOf(dir: string, payload: string): string {
  return ["checkpoint-0", "checkpoint-1"]
    .map((name) => join(dir, name))
    .find((file) => readFileSync(file).subarray(64).toString() === payload)!;
}

describe("a store", () => {
  test("gives the newest of what was written, and undefined before the first", async () => {
    const dir = folder();
    expect(await latestOf(dir)).toBeUndefined();
    const store = await CheckpointStore.open(dir, LIMIT);
    for (const text of ["one", "two", "", "four"]) {
      await store.write(bytesOf(text));
      expect(textOf(await store.latest())).toBe(text);
    }
    await store.close();
    expect(await latestOf(dir)).toBe("four");
    expect(readdirSync(dir).sort()).toEqual(["checkpoint-0", "checkpoint-1"]);
  });

  test("goes on where another process stopped, over the older generation", async () => {
    const dir = await written(3);
    const store = await CheckpointStore.open(dir, LIMIT);
    await store.write(bytesOf("4"));
    await store.close();
    expect([fileOf(dir, "3"), fileOf(dir, "4")].every((file) => existsSync(file))).toBe(true);
  });

  test("refuses a payload beyond bytesMax, written or read", async () => {
    const dir = await written(2);
    const store = await CheckpointStore.open(dir, LIMIT);
    expect(await failing(() => store.write(new Uint8Array(LIMIT.bytesMax + 1)))).toMatchObject({ code: "ERR_FOURFOLD_CHECKPOINT" });
    await store.write(new Uint8Array(LIMIT.bytesMax));
    await store.close();
    expect(await failing(() => latestOf(dir, [], LIMIT.bytesMax - 1))).toMatchObject({ code: "ERR_FOURFOLD_CHECKPOINT" });
  });

  test.each([
    ["no path", "", LIMIT],
    ["NUL in the path", "a\0b", LIMIT],
    ["no limit", "a", { bytesMax: 0 }],
  ])("refuses %s", async (_, dir, options) => {
    expect(await failing(() => CheckpointStore.open(dir, options))).toMatchObject({ code: "ERR_FOURFOLD_ARGUMENT" });
  });

  test("names a folder that it cannot make", async () => {
    const file = join(root, "file");
    writeFileSync(file, "");
    const error = await failing(() => CheckpointStore.open(join(file, "state"), LIMIT));
    expect(error).toMatchObject({ code: "ERR_FOURFOLD_CHECKPOINT", message: expect.stringContaining("no folder") });
  });
});

describe("damage", () => {
  test("of the newest generation at any byte is seen, and the one before stands in for it", async () => {
    const dir = await written(3);
    const file = fileOf(dir, "3");
    const whole = readFileSync(file);
    const spoilt: Buffer[] = [];
    for (let at = 0; at < whole.length; at++) {
      const bytes = Buffer.from(whole);
      bytes[at]! ^= 1 << (at % 8);
      spoilt.push(bytes, whole.subarray(0, at));
    }
    spoilt.push(Buffer.concat([whole, Buffer.from([0])]));
    const damaged: string[] = [];
    for (const bytes of spoilt) {
      writeFileSync(file, bytes);
      expect(await latestOf(dir, damaged)).toBe("2");
    }
    expect(damaged.length).toBe(spoilt.length);
    for (const message of damaged) expect(message).toContain(`${file} is damaged`);
  });

  test("of the newest generation does not cost the one before: the next write goes over the damaged file", async () => {
    const dir = await written(3);
    const spoilt = fileOf(dir, "3");
    const good = fileOf(dir, "2");
    truncateSync(spoilt, 10);
    const store = await CheckpointStore.open(dir, LIMIT);
    await store.write(bytesOf("again"));
    await store.close();
    expect([fileOf(dir, "again"), fileOf(dir, "2")]).toEqual([spoilt, good]);
  });

  test.each([1, 2])("of all generations (%i) is an error that names each file and its damage, and nothing is written over", async (n) => {
    const dir = await written(n);
    const files = readdirSync(dir).map((name) => join(dir, name));
    for (const file of files) truncateSync(file, 10);
    const error = await failing(() => latestOf(dir));
    expect(error.code).toBe("ERR_FOURFOLD_CHECKPOINT");
    for (const file of files) expect(error.message).toContain(`${file} is damaged: it ends after 10 bytes`);
    const store = await CheckpointStore.open(dir, LIMIT);
    expect(await failing(() => store.write(bytesOf("x")))).toMatchObject({ code: "ERR_FOURFOLD_CHECKPOINT" });
    await store.close();
    expect(files.map((file) => readFileSync(file).length)).toEqual(files.map(() => 10));
  });

  test("a file of zeros, or an empty one, is damage", async () => {
    const dir = await written(2);
    const file = fileOf(dir, "2");
    const damaged: string[] = [];
    writeFileSync(file, Buffer.alloc(65));
    expect(await latestOf(dir, damaged)).toBe("1");
    writeFileSync(file, "");
    expect(await latestOf(dir, damaged)).toBe("1");
    expect(damaged[0]).toContain("does not start with FFCP");
    expect(damaged[1]).toContain("ends after 0 bytes");
  });

  test("of a later format is none: what another version wrote is refused, not passed over", async () => {
    const dir = await written(2);
    const file = fileOf(dir, "2");
    const bytes = readFileSync(file);
    bytes[4] = 2;
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 60)), 60);
    writeFileSync(file, bytes);
    expect(await failing(() => latestOf(dir))).toMatchObject({
      code: "ERR_FOURFOLD_CHECKPOINT",
      message: expect.stringContaining("format version 2"),
    });
  });

  test("what a write left behind is cleared away", async () => {
    const dir = await written(2);
    writeFileSync(join(dir, "checkpoint.tmp"), "half");
    expect(await latestOf(dir)).toBe("2");
    expect(existsSync(join(dir, "checkpoint.tmp"))).toBe(false);
  });
});

describe("one folder, one process", () => {
  test("a second store is refused with the number of the process, and let in once the first is closed", async () => {
    const dir = folder();
    const first = await CheckpointStore.open(dir, LIMIT);
    const error = await failing(() => CheckpointStore.open(dir, LIMIT));
    expect(error).toMatchObject({ code: "ERR_FOURFOLD_CHECKPOINT", message: expect.stringContaining(`in use by process ${process.pid}`) });
    await first.close();
    await (await CheckpointStore.open(dir, LIMIT)).close();
    expect(readdirSync(dir)).toEqual([]);
  });

  test("of many that come at once at most one gets it, and one gets it in the end", async () => {
    const dir = folder();
    const all = await Promise.allSettled(Array.from({ length: 8 }, () => CheckpointStore.open(dir, LIMIT)));
    const open = all.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    expect(open.length).toBeLessThanOrEqual(1);
    for (const store of open) await store.close();
    await (await CheckpointStore.open(dir, LIMIT)).close();
    expect(readdirSync(dir)).toEqual([]);
  });

  const lockOf = async (dir: string): Promise<string> => {
    const store = await CheckpointStore.open(dir, LIMIT);
    const [name] = readdirSync(dir).filter((entry) => entry.startsWith("lock."));
    await store.close();
    return name!;
  };

  test.runIf(process.platform === "linux")(
    "the lock of a process that is gone, of an earlier one with the same number, or of an earlier boot is taken over",
    async () => {
      const dir = folder();
      const [, pid, started, boot, ...rest] = (await lockOf(dir)).split(".") as [string, string, string, string, string, string];
      const ended = String((await runChild("sh", ["-c", "echo $$"])).stdout.trim());
      for (const parts of [
        [ended, started, boot],
        [pid, String(Number(started) - 1), boot],
        [pid, started, "00000000"],
      ]) {
        writeFileSync(join(dir, ["lock", ...parts, ...rest].join(".")), "");
        await (await CheckpointStore.open(dir, LIMIT)).close();
        expect(readdirSync(dir)).toEqual([]);
      }
    },
  );

  test.runIf(process.platform === "linux")("so is the lock of a process that was killed and that nobody has waited for", async () => {
    const dir = folder();
    const parts = (await lockOf(dir)).split(".");
    const script = "import os, time\nchild = os.fork()\nif child == 0: os._exit(0)\nprint(child, flush=True)\ntime.sleep(60)";
    const parent = spawn("python3", ["-c", script], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      const [line] = (await once(createInterface(parent.stdout), "line")) as [string];
      const statOf = (): string[] => {
        const text = readFileSync(`/proc/${line}/stat`, "utf8");
        return text.slice(text.lastIndexOf(")") + 2).split(" ");
      };
      while (statOf()[0] !== "Z") await new Promise(setImmediate);
      [parts[1], parts[2]] = [line, statOf()[19]!];
      writeFileSync(join(dir, parts.join(".")), "");
      await (await CheckpointStore.open(dir, LIMIT)).close();
      expect(readdirSync(dir)).toEqual([]);
    } finally {
      parent.kill();
    }
  });

  test("the lock of another machine or container holds while it is touched, and is taken over when it stands still", async () => {
    const dir = folder();
    const parts = (await lockOf(dir)).split(".");
    parts[4] = "00000000";
    const lock = join(dir, parts.join("."));
    writeFileSync(lock, "");
    const touching = setInterval(() => utimesSync(lock, new Date(), new Date()), 5);
    const error = await failing(() => CheckpointStore.open(dir, { ...LIMIT, leaseMs: 200 }));
    clearInterval(touching);
    expect(error).toMatchObject({ code: "ERR_FOURFOLD_CHECKPOINT", at: { file: lock } });
    await (await CheckpointStore.open(dir, { ...LIMIT, leaseMs: 20 })).close();
    expect(readdirSync(dir)).toEqual([]);
  });

  test("a store whose lock was taken away writes no more", async () => {
    const dir = await written(1);
    const store = await CheckpointStore.open(dir, LIMIT);
    for (const name of readdirSync(dir)) if (name.startsWith("lock.")) rmSync(join(dir, name));
    expect(await failing(() => store.write(bytesOf("2")))).toMatchObject({ code: "ERR_FOURFOLD_CHECKPOINT" });
    await store.close();
    expect(await latestOf(dir)).toBe("1");
  });
});

describe("a write that fails leaves the checkpoint before", () => {
  test("where the disk takes no more", async () => {
    const dir = await written(2);
    // The limit of file sizes stands for the disk: 4 blocks of 512 or 1,024 bytes.
    const { code, stderr } = await runChild("sh", ["-c", 'ulimit -f 4; exec "$0" "$@"', process.execPath, WRITER, dir, "100000"]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^ERR_FOURFOLD_CHECKPOINT: .* cannot be written: .*The checkpoint before is as it was/),
    });
    expect(await latestOf(dir)).toBe("2");
    expect(readdirSync(dir).sort()).toEqual(["checkpoint-0", "checkpoint-1"]);
  });

  test("where the system refuses the file", async () => {
    const dir = await written(2);
    const store = await CheckpointStore.open(dir, LIMIT);
    mkdirSync(join(dir, "checkpoint.tmp"));
    expect(await failing(() => store.write(bytesOf("3")))).toMatchObject({
      code: "ERR_FOURFOLD_CHECKPOINT",
      message: expect.stringContaining("it is a folder"),
    });
    rmSync(join(dir, "checkpoint.tmp"), { recursive: true });
    await store.write(bytesOf("3"));
    await store.close();
    expect(await latestOf(dir)).toBe("3");
  });

  test("where the folder is gone", async () => {
    const dir = await written(2);
    const store = await CheckpointStore.open(dir, LIMIT);
    rmSync(dir, { recursive: true });
    expect(await failing(() => store.write(bytesOf("3")))).toMatchObject({ code: "ERR_FOURFOLD_CHECKPOINT" });
    await store.close();
  });
});

describe("a process that is killed while it writes", () => {
  test.each([4096, 1 << 22])("leaves its last checkpoint or the one under way, of %i bytes, whole", async (bytes) => {
    const dir = folder();
    const { int } = random(bytes);
    let said = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const child = spawn(process.execPath, [WRITER, dir, String(bytes)], { stdio: ["ignore", "pipe", "inherit"] });
      let left = 1 + int(4); // lines until the kill, and then some work more
      for await (const line of createInterface(child.stdout)) {
        if (line.startsWith("from ")) {
          // What was acknowledged is there; one more may be, if the word of it did not get out.
          const from = Number(line.slice(5));
          expect(from - said).toBeGreaterThanOrEqual(0);
          expect(from - said).toBeLessThanOrEqual(1);
          said = from;
        } else said = Number(line);
        if (--left === 0) setTimeout(() => child.kill("SIGKILL"), int(8));
      }
      await (child.exitCode !== null || child.signalCode !== null ? undefined : once(child, "exit"));
      expect(child.signalCode).toBe("SIGKILL");
    }
    const store = await CheckpointStore.open(dir, { bytesMax: 1 << 26 });
    const last = (await store.latest())!;
    await store.close();
    const n = new DataView(last.buffer, last.byteOffset).getUint32(0);
    expect(n - said).toBeGreaterThanOrEqual(0);
    expect(n - said).toBeLessThanOrEqual(1);
    expect(last.subarray(4).every((byte) => byte === (n & 255))).toBe(true);
  });
});
