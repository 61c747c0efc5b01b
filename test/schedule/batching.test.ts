import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Batching, runsOf } from "../../src/schedule/batching.ts";

const limits = { rowsMax: 640, bytesMax: 1000, delayMsMax: 5, latencyMsTarget: undefined };

describe("a batch is due", () => {
  const batching = new Batching(limits);
  test("never while nothing waits", () => {
    expect(batching.dueIn({ rows: 0, bytes: 0, since: 0 }, 100, true)).toBe(Number.POSITIVE_INFINITY);
  });
  test("when its oldest row has waited as long as it may", () => {
    expect(batching.dueIn({ rows: 1, bytes: 8, since: 100 }, 102, true)).toBe(3);
    expect(batching.dueIn({ rows: 1, bytes: 8, since: 100 }, 105, true)).toBe(0);
    expect(batching.dueIn({ rows: 1, bytes: 8, since: 100 }, 999, true)).toBe(0);
  });
  test("at once when it is full, by rows or by bytes, or no more can come", () => {
    expect(batching.dueIn({ rows: 640, bytes: 8, since: 100 }, 100, true)).toBe(0);
    expect(batching.dueIn({ rows: 1, bytes: 1000, since: 100 }, 100, true)).toBe(0);
    expect(batching.dueIn({ rows: 1, bytes: 8, since: 100 }, 100, false)).toBe(0);
  });
  test("at once when the queue is full: the delay waits for rows that cannot come", () => {
    const small = new Batching({ ...limits, delayMsMax: 500 });
    expect(small.dueIn({ rows: 10, bytes: 80, since: 100, full: true }, 100, true)).toBe(0);
    expect(small.dueIn({ rows: 10, bytes: 80, since: 100, full: false }, 100, true)).toBe(500);
    expect(small.dueIn({ rows: 0, bytes: 0, since: 0, full: true }, 100, true)).toBe(Number.POSITIVE_INFINITY);
  });
  test("at once without a delay: who is free takes what is there", () => {
    expect(new Batching({ ...limits, delayMsMax: 0 }).dueIn({ rows: 1, bytes: 8, since: 100 }, 100, true)).toBe(0);
  });
});

describe("the size of batches", () => {
  test("is the limit without a latency target", () => {
    const batching = new Batching(limits);
    batching.done(1e9);
    expect(batching.rows).toBe(640);
  });
  test("rises by a 64th of the limit while latency is met, halves when it is not, and stays within 1 and the limit", () => {
    const batching = new Batching({ ...limits, latencyMsTarget: 2 });
    expect(batching.rows).toBe(10);
    for (let i = 0; i < 100; i++) batching.done(2);
    expect(batching.rows).toBe(640);
    batching.done(2.1);
    expect(batching.rows).toBe(320);
    for (let i = 0; i < 100; i++) batching.done(3);
    expect(batching.rows).toBe(1);
  });
  test("settles around the size that just meets the target", () => {
    const batching = new Batching({ ...limits, latencyMsTarget: 2 });
    const sizes: number[] = [];
    for (let i = 0; i < 2000; i++) {
      if (i >= 1000) sizes.push(batching.rows);
      batching.done(batching.rows / 100); // 100 rows a millisecond: 200 are just in time
    }
    expect(Math.min(...sizes)).toBeGreaterThanOrEqual(100);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(210);
  });
});

test("runs add up to the batch, the largest first, from two dozen sizes", () => {
  const sizes = new Set<number>();
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 65_536 }), (n) => {
      const runs = runsOf(n);
      for (const run of runs) sizes.add(run);
      expect(runs.reduce((sum, run) => sum + run, 0)).toBe(n);
      expect([...runs].sort((a, b) => b - a)).toEqual(runs);
      if (n > 0) expect(runs[0]!).toBeGreaterThan(n / 2);
    }),
  );
  expect(sizes.size).toBeLessThanOrEqual(33);
  expect(runsOf(13)).toEqual([12, 1]);
  expect(runsOf(1000)).toEqual([768, 192, 32, 8]);
});
