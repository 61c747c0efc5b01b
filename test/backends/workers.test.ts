import { spawn } from "node:child_process";
import { getEventListeners, once } from "node:events";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import type { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { claim, FREE, nextEpoch, openBoard, partWord, publish, SETTLED, tally, withdraw } from "../../src/backends/board.ts";
import { type PoolOptions, WorkerPool } from "../../src/backends/workers.ts";
import { FourfoldError } from "../../src/errors.ts";

const CHILDREN = 2048;
const FAULTY = new URL("./fixtures/faulty.mjs", import.meta.url);

let pool: WorkerPool;
let out: Float64Array<SharedArrayBuffer>;
let entered: Int32Array<SharedArrayBuffer>;
let inside: Int32Array<SharedArrayBuffer>;
const threads = new Set<Worker>(); // alive, as Node reports them: the pool shows none

function onThread(thread: Worker): void {
  threads.add(thread);
  thread.on("exit", () => threads.delete(thread));
}

beforeEach(() => {
  process.on("worker", onThread);
});

afterEach(async () => {
  await pool?.close();
  process.off("worker", onThread);
  expect(threads.size).toBe(0);
});

function makePool(options: Partial<PoolOptions> & { refuseSetup?: boolean } = {}): WorkerPool {
  out = new Float64Array(new SharedArrayBuffer(8 * CHILDREN));
  entered = new Int32Array(new SharedArrayBuffer(4 * CHILDREN));
  inside = new Int32Array(new SharedArrayBuffer(4 * 65536));
  const setup = { out: out.buffer, entered: entered.buffer, inside: inside.buffer, refuseSetup: options.refuseSetup };
  pool = new WorkerPool({ workers: 2, workerUrl: FAULTY, setup, ...options });
  return pool;
}

/** CHILDREN cut into parts of `size`. */
function cut(size: number, children: number = CHILDREN): Uint32Array {
  const parts: number[] = [];
  for (let lo = 0; lo < children; lo += size) parts.push(lo, Math.min(lo + size, children));
  return Uint32Array.from(parts);
}

function expected(phase: number): Float64Array {
  return Float64Array.from({ length: CHILDREN }, (_, i) => Math.sqrt(i + phase) * 1e3);
}

function sameBytes(a: Float64Array, b: Float64Array): boolean {
  return Buffer.from(a.buffer).equals(Buffer.from(b.buffer));
}

/** Numbers in [0, 1), the same for the same seed. */
function mulberry32(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const after = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until(condition: () => boolean): Promise<void> {
  for (const end = performance.now() + 10_000; !condition(); await after(1))
    if (performance.now() > end) throw new Error("it did not come true in 10 s");
}

async function rejection(promise: Promise<unknown>): Promise<FourfoldError> {
  return promise.then(
    () => expect.fail("it resolved"),
    (error) => error,
  );
}

describe("the board", () => {
  test("each part is claimed once, and a worker late from an older job claims nothing of a newer one", () => {
    const board = openBoard();
    publish(board, 1, 0, cut(256), []);
    const taken = [0, 1, 2, 3, 4, 5, 6, 7].map((n) => claim(board.parts, 1, 8, n % 2, n));
    expect(taken).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    publish(board, 1, 0, cut(256), []);
    expect(claim(board.parts, 1, 8, 0, 0)).toBe(SETTLED);
    expect(claim(board.parts, 2, 8, 0, 5)).toBe(5);
    expect(tally(board)).toEqual({ done: 0, open: 8, failed: -1 });
    withdraw(board);
    expect(tally(board)).toEqual({ done: 0, open: 1, failed: -1 });
  });

  test("epochs wrap without ever making an unused word look free", () => {
    const last = 2 ** 21 - 1;
    expect(nextEpoch(last)).toBe(1);
    const board = openBoard();
    board.parts[0] = partWord(last, 0, FREE);
    expect(claim(board.parts, last, 1, 255, 0)).toBe(0);
  });
});

describe("a job", () => {
  test("runs every part once and reports who ran what", async () => {
    makePool();
    pool.load({ id: 1, kind: "fill" } as { id: number });
    const before = performance.now();
    const report = await pool.run({ program: 1, phase: 3, parts: cut(16), words: [0.2] });
    expect(sameBytes(out, expected(3))).toBe(true);
    expect(report.workers.reduce((sum, { parts }) => sum + parts, 0)).toBe(CHILDREN / 16);
    for (const share of report.workers) {
      expect(share.startedAt).toBeGreaterThan(before);
      expect(share.endedAt).toBeLessThanOrEqual(report.endedAt);
    }
    expect(pool.stats).toEqual({ workers: 2, replaced: 0, retries: 0, jobs: 1 });
  });

  test("of no parts resolves, and so does one of as many parts as the board holds", async () => {
    makePool();
    pool.load({ id: 1, kind: "fill" } as { id: number });
    expect((await pool.run({ program: 1, phase: 0, parts: new Uint32Array() })).workers).toEqual([]);
    const parts = new Uint32Array(8192).map((_, i) => (i >> 1) % CHILDREN).map((lo, i) => lo + (i % 2));
    await pool.run({ program: 1, phase: 1, parts });
    expect(sameBytes(out, expected(1))).toBe(true);
    expect(() => pool.run({ program: 1, phase: 1, parts: new Uint32Array(8194) })).toThrow(/4097 parts, at most 4096/);
  });

  test("is shared by all workers that are ready", async () => {
    makePool({ workers: 3 });
    pool.load({ id: 1, kind: "fill" } as { id: number });
    await pool.ready();
    const { workers } = await pool.run({ program: 1, phase: 1, parts: cut(64), words: [3] });
    expect(workers.map(({ worker }) => worker)).toEqual([0, 1, 2]);
  });

  test("waits its turn: 50 calls at once end in the order they came", async () => {
    makePool();
    pool.load({ id: 1, kind: "fill" } as { id: number });
    const ended: number[] = [];
    const { signal } = new AbortController();
    await Promise.all(
      Array.from({ length: 50 }, (_, phase) => pool.run({ program: 1, phase, parts: cut(512) }, { signal }).then(() => ended.push(phase))),
    );
    expect(ended).toEqual(Array.from({ length: 50 }, (_, phase) => phase));
    expect(getEventListeners(signal, "abort")).toEqual([]);
    expect(sameBytes(out, expected(49))).toBe(true);
  });

  test("is refused when jobsMax wait", async () => {
    makePool({ jobsMax: 2 });
    pool.load({ id: 1, kind: "fill" } as { id: number });
    const job = { program: 1, phase: 0, parts: cut(512) };
    const calls = [pool.run(job), pool.run(job), pool.run(job)]; // one runs, two wait
    expect((await rejection(pool.run(job))).code).toBe("ERR_FOURFOLD_QUEUE");
    await Promise.all(calls);
  });

  test("reports progress, up to all of it; a callback that throws ends the job", async () => {
    makePool();
    pool.load({ id: 1, kind: "fill" } as { id: number });
    const seen: number[] = [];
    await pool.run({ program: 1, phase: 0, parts: cut(64), words: [10] }, { onProgress: (done, total) => seen.push(done / total) });
    expect(seen.length).toBeGreaterThan(1);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBe(1);
    const onProgress = (): never => {
      throw new Error("the bar broke");
    };
    expect((await rejection(pool.run({ program: 1, phase: 0, parts: cut(64), words: [10] }, { onProgress }))).message).toBe(
      "the bar broke",
    );
  });
});

describe("programs and messages", () => {
  test("that arrive while workers wait are known before the next part", async () => {
    makePool();
    await pool.ready();
    for (let id = 1; id <= 20; id++) {
      pool.load({ id, kind: "fill" } as { id: number });
      await pool.run({ program: id, phase: id, parts: cut(256) });
      expect(sameBytes(out, expected(id))).toBe(true);
      if (id % 2) pool.unload(id);
    }
    const later = new Float64Array(new SharedArrayBuffer(8 * CHILDREN));
    pool.broadcast({ out: later.buffer });
    await pool.run({ program: 20, phase: 7, parts: cut(256) });
    expect(sameBytes(later, expected(7))).toBe(true);
    await Promise.all([...threads].map((thread) => thread.terminate())); // those who start next are told as well
    await pool.run({ program: 18, phase: 8, parts: cut(256) });
    expect(sameBytes(later, expected(8))).toBe(true);
  });

  test("may import a user's module; one that does not load fails its own jobs only", async () => {
    makePool();
    pool.load({ id: 1, kind: "module", module: new URL("./fixtures/user-module.mjs", import.meta.url).href } as { id: number });
    pool.load({ id: 2, kind: "module", module: "file:///nowhere/at/all.mjs" } as { id: number });
    pool.load({ id: 3, refuse: true } as { id: number });
    const absent = await rejection(pool.run({ program: 2, phase: 0, parts: cut(256) }));
    expect([absent.name, absent.code]).toEqual(["Error", "ERR_MODULE_NOT_FOUND"]);
    const refused = await rejection(pool.run({ program: 3, phase: 0, parts: cut(256) }));
    expect([refused.name, refused.message]).toEqual(["SyntaxError", "program 3 is refused"]);
    await pool.run({ program: 1, phase: 1, parts: cut(256) });
    expect(
      sameBytes(
        out,
        expected(1).map((x) => 2 * x),
      ),
    ).toBe(true);
    expect(pool.stats.replaced).toBe(0);
  });

  test("run in a thread that knows it is a pool's worker", async () => {
    makePool();
    pool.load({ id: 1, kind: "whereAmI" } as { id: number });
    await pool.run({ program: 1, phase: 0, parts: Uint32Array.of(5, 6) });
    expect(out[5]).toBe(1);
  });
});

/** Workers that are ended, and that trap: a multiple of 50; .ci/run has 200. */
const FAULTS = Number(process.env["FOURFOLD_FAULTS"] ?? 50);

/** For the tests whose length it sets. */
const LONG = { timeout: 180_000 };

describe("a lost worker", () => {
  test(`${FAULTS} terminations mid-part at random times change no byte`, LONG, async () => {
    makePool({ retriesMax: 1000 });
    pool.load({ id: 1, kind: "fill" } as { id: number });
    const random = mulberry32(20260411);
    const isInside = (thread: Worker): boolean => Atomics.load(inside, thread.threadId) === 1;
    let killing = true;
    async function kill(): Promise<void> {
      for (; killing; await after(4 * random())) {
        const victims = [...threads].filter(isInside);
        const victim = victims[Math.floor(random() * victims.length)];
        if (victim) await victim.terminate();
      }
    }
    const killer = kill();
    for (let phase = 0; pool.stats.retries < FAULTS; phase++) {
      out.fill(0);
      await pool.run({ program: 1, phase, parts: cut(64), words: [2] });
      expect(sameBytes(out, expected(phase))).toBe(true);
    }
    killing = false;
    await killer;
    expect(pool.stats.replaced).toBeGreaterThanOrEqual(FAULTS);
  });

  test(`${FAULTS} traps change no byte`, LONG, async () => {
    makePool();
    pool.load({ id: 1, kind: "trapAtFirst" } as { id: number });
    for (let phase = 0; phase < FAULTS / 50; phase++) {
      entered.fill(0);
      out.fill(0);
      const { retries } = await pool.run({ program: 1, phase, parts: cut(41) }); // 50 parts, each traps once
      expect(retries).toBe(50);
      expect(sameBytes(out, expected(phase))).toBe(true);
    }
    expect(pool.stats).toMatchObject({ retries: FAULTS, jobs: FAULTS / 50 });
  });

  test.each(["trap", "exit", "grow"])("is replaced until a part that always ends it (%s) is given up; the pool goes on", async (kind) => {
    makePool({ retriesMax: 2, heapMiBMax: 24 });
    pool.load({ id: 1, kind } as { id: number });
    pool.load({ id: 2, kind: "fill" } as { id: number });
    const error = await rejection(pool.run({ program: 1, phase: 0, parts: Uint32Array.of(0, 1) }));
    expect([error.code, error.given]).toEqual(["ERR_FOURFOLD_WORKER", 3]);
    const cause = error.cause as Error & { code?: string };
    if (kind === "trap") expect([cause.name, cause.message]).toEqual(["RuntimeError", "unreachable"]);
    if (kind === "exit") expect(cause.message).toBe("the worker exited with status 7");
    if (kind === "grow") expect(cause.code).toBe("ERR_WORKER_OUT_OF_MEMORY");
    await pool.run({ program: 2, phase: 5, parts: cut(64) });
    expect(sameBytes(out, expected(5))).toBe(true);
  });

  test("that cannot start is an error with its cause, not a loop", async () => {
    makePool({ refuseSetup: true });
    pool.load({ id: 1, kind: "fill" } as { id: number });
    const error = await rejection(pool.run({ program: 1, phase: 0, parts: cut(64) }));
    expect([error.code, (error.cause as Error).message]).toEqual(["ERR_FOURFOLD_WORKER", "this setup is refused"]);
    expect((await rejection(pool.ready())).code).toBe("ERR_FOURFOLD_WORKER");
    await pool.close();
    makePool({ workerUrl: new URL("./fixtures/absent.mjs", import.meta.url) });
    expect(((await rejection(pool.ready())).cause as FourfoldError).code).toMatch(/MODULE_NOT_FOUND/);
  });

  test("while idle is replaced by the next job", async () => {
    makePool();
    pool.load({ id: 1, kind: "fill" } as { id: number });
    for (let phase = 0; phase < 5; phase++) {
      await pool.ready();
      await Promise.all([...threads].map((thread) => thread.terminate()));
      await pool.run({ program: 1, phase, parts: cut(64) });
      expect(sameBytes(out, expected(phase))).toBe(true);
    }
  });
});

describe("an error thrown in a part", () => {
  test("comes back as it was, is not tried again, and leaves the pool usable", async () => {
    makePool();
    pool.load({ id: 1, kind: "throw" } as { id: number });
    pool.load({ id: 2, kind: "throwFourfold" } as { id: number });
    pool.load({ id: 3, kind: "fill" } as { id: number });
    for (let round = 0; round < 20; round++) {
      const error = await rejection(pool.run({ program: 1, phase: 0, parts: cut(1, 32) }));
      expect([error.name, error.code, (error.cause as Error).message]).toEqual(["TypeError", "ERR_MINE", "deep"]);
      expect(error.message).toMatch(/^add\(\) of "mine" met child \d+$/);
      expect(error.stack).toContain("faulty.mjs");
      const ours = await rejection(pool.run({ program: 2, phase: 0, parts: Uint32Array.of(round, round + 1) }));
      expect(ours).toBeInstanceOf(FourfoldError);
      expect(ours).toMatchObject({
        code: "ERR_FOURFOLD_REDUCTION",
        message: 'reduction "mine" threw. Mend it',
        fix: "Mend it",
        at: { level: "f", node: round },
        given: "object with no keys",
      });
      await pool.run({ program: 3, phase: round, parts: cut(256) });
      expect(sameBytes(out, expected(round))).toBe(true);
    }
    expect(pool.stats).toEqual({ workers: 2, replaced: 0, retries: 0, jobs: 20 });
  });
});

describe("an abort", () => {
  test("before the start or in the queue rejects at once; the others go on", async () => {
    makePool();
    pool.load({ id: 1, kind: "fill" } as { id: number });
    const job = { program: 1, phase: 0, parts: cut(512) };
    const error = await rejection(pool.run(job, { signal: AbortSignal.abort("why") }));
    expect([error.code, error.cause]).toEqual(["ERR_FOURFOLD_ABORTED", "why"]);
    const controller = new AbortController();
    const first = pool.run(job);
    const second = pool.run({ ...job, phase: 1 }, { signal: controller.signal });
    const third = pool.run({ ...job, phase: 2 });
    controller.abort();
    expect((await rejection(second)).code).toBe("ERR_FOURFOLD_ABORTED");
    await Promise.all([first, third]);
    expect(sameBytes(out, expected(2))).toBe(true);
    controller.abort();
  });

  test("mid-job rejects when no worker is inside a part, at any time", async () => {
    makePool();
    pool.load({ id: 1, kind: "fill" } as { id: number });
    await pool.ready();
    const random = mulberry32(7);
    for (let round = 0; round < 25; round++) {
      out.fill(0);
      const controller = new AbortController();
      const call = pool.run({ program: 1, phase: round, parts: cut(1), words: [1] }, { signal: controller.signal });
      setTimeout(() => controller.abort(), 12 * random());
      expect((await rejection(call)).name).toBe("AbortError");
      expect(inside.every((word) => word === 0)).toBe(true);
      const left = out.slice();
      const right = expected(round);
      expect(out.every((x, i) => x === 0 || x === right[i])).toBe(true);
      await after(2);
      expect(sameBytes(out, left)).toBe(true); // nobody writes any more
    }
    await pool.run({ program: 1, phase: 1, parts: cut(64) });
    expect(sameBytes(out, expected(1))).toBe(true);
    expect(pool.stats).toMatchObject({ replaced: 0, retries: 0, jobs: 1 });
  });

  test("terminates a worker that stays in its part beyond graceMsMax", async () => {
    makePool({ graceMsMax: 30 });
    pool.load({ id: 1, kind: "hang" } as { id: number });
    pool.load({ id: 2, kind: "fill" } as { id: number });
    const controller = new AbortController();
    const call = pool.run({ program: 1, phase: 0, parts: Uint32Array.of(0, 1) }, { signal: controller.signal });
    await until(() => Atomics.load(entered, 0) === 1);
    controller.abort();
    expect((await rejection(call)).code).toBe("ERR_FOURFOLD_ABORTED");
    await pool.run({ program: 2, phase: 2, parts: cut(64) });
    expect(sameBytes(out, expected(2))).toBe(true);
  });
});

describe("close()", () => {
  test("rejects the job that runs and those that wait, then every later call", async () => {
    makePool();
    pool.load({ id: 1, kind: "hang" } as { id: number });
    const job = { program: 1, phase: 0, parts: Uint32Array.of(0, 1) };
    const calls = [pool.run(job), pool.run(job)].map(rejection);
    await until(() => Atomics.load(entered, 0) === 1);
    await Promise.all([pool.close(), pool.close()]);
    expect(threads.size).toBe(0);
    expect((await Promise.all(calls)).map(({ code }) => code)).toEqual(["ERR_FOURFOLD_CLOSED", "ERR_FOURFOLD_CLOSED"]);
    expect((await rejection(pool.run(job))).code).toBe("ERR_FOURFOLD_CLOSED");
    expect((await rejection(pool.ready())).code).toBe("ERR_FOURFOLD_CLOSED");
    expect(() => pool.broadcast({})).toThrow(/closed/);
  });

  test("of a pool that never started, or is just starting, resolves", async () => {
    await makePool().close();
    makePool();
    const ready = rejection(pool.ready());
    await pool.close();
    expect((await ready).code).toBe("ERR_FOURFOLD_CLOSED");
  });

  const run = async (...args: string[]): Promise<string> => {
    const child = spawn(process.execPath, [fileURLToPath(new URL("./fixtures/pool-child.mjs", import.meta.url)), ...args], {
      timeout: 8000,
    });
    let text = "";
    child.stdout.on("data", (chunk) => {
      text += chunk;
    });
    child.stderr.pipe(process.stderr);
    const [status, signal] = await once(child, "close");
    return `${text}${status ?? signal}`;
  };

  test("leaves nothing that keeps Node alive, nor does an idle pool that nobody closed; a job does until it ends", async () => {
    expect(await run("close", "fill")).toBe("7937.253933193772 0");
    expect(await run("idle", "fill")).toBe("7937.253933193772 0");
    expect(await run("close during", "hang")).toBe("ERR_FOURFOLD_CLOSED 0 handles 0");
  });
});

describe("the calling thread", () => {
  test("stays free while workers are busy", async () => {
    makePool();
    pool.load({ id: 1, kind: "fill" } as { id: number });
    await pool.ready();
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    for (let round = 0; round < 10; round++) await pool.run({ program: 1, phase: 0, parts: cut(32), words: [2] });
    delay.disable();
    expect(delay.percentile(99) / 1e6).toBeLessThan(50); // a sanity check, on any machine: the figure is in the benchmarks
  });
});
