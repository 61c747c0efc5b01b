/** engine.stream: batches, queue, weights, errors, checkpoints. What windows fire when is in windows.test.ts. */

import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  chain,
  count,
  createEngine,
  defineReduction,
  type Engine,
  FourfoldError,
  max,
  mean,
  min,
  prometheusText,
  type RecordItem,
  type Rejected,
  type StreamItem,
  type StreamResult,
  sum,
  variance,
  weightedMean,
  weightedSum,
} from "../../src/index.ts";
import { replayable } from "../../src/stream/items.ts";
import { ndjson } from "../../src/stream/sources/ndjson.ts";
import type { Reader } from "../../src/stream/types.ts";
import { random } from "../random.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ workers: 2 });
});
afterAll(() => engine.close());

async function all(results: AsyncIterable<StreamResult>): Promise<StreamResult[]> {
  const list: StreamResult[] = [];
  for await (const result of results) list.push(result);
  return list;
}

const values = (results: readonly StreamResult[]): number[] => results.map(({ value }) => value);

async function* slowly<T>(items: Iterable<T>): AsyncGenerator<T> {
  for (const item of items) {
    await undefined;
    yield item;
  }
}

/** A gate that a source waits at. */
function gate(): { readonly open: () => void; readonly opened: Promise<void> } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open: () => open(), opened };
}

describe("frames", () => {
  const weights = Float64Array.from({ length: 70 }, (_, i) => 1 / (i + 1));
  const index = chain(weightedSum(weights), mean());
  const frameOf = (seed: number): Float32Array => {
    const { next } = random(seed);
    return Float32Array.from({ length: 210 }, () => next() * 100 - 50);
  };

  test("have one result each, in order, with the bits of a run over the frame", async () => {
    const frames = Array.from({ length: 100 }, (_, i) => frameOf(i));
    const results = await all(engine.stream(index, slowly(frames), { frame: { shape: [3, 70] } }));
    expect(values(results)).toEqual(frames.map((data) => engine.runSync(index, { data, shape: [3, 70] }).value));
    expect(results.map(({ id, frame, pane }) => [id, frame, pane])).toEqual(frames.map((_, i) => [`frame ${i}`, i, undefined]));
  });

  test("may come in blocks, as plain numbers, in any dtype, and in any cut, with the same bits", async () => {
    const data = Float64Array.from({ length: 50 * 210 }, (_, i) => ((i * 7919) % 1000) - 500);
    const expected = [...engine.runSync(index, { data, shape: [50, 3, 70] }).values];
    const sources: StreamItem[][] = [
      [{ data }],
      [{ data: [...data] }],
      [{ data: Int16Array.from(data) }, { data: new Int16Array(0) }],
      Array.from({ length: 50 }, (_, i) => [...data.subarray(i * 210, (i + 1) * 210)]),
      [Array.from({ length: 50 }, (_, i) => ({ frame: data.subarray(i * 210, (i + 1) * 210) }))],
    ];
    for (const source of sources)
      for (const rowsMax of [1, 7, 64])
        expect(values(await all(engine.stream(index, source, { frame: { shape: [3, 70], dtype: "f64" }, rowsMax })))).toEqual(expected);
  });

  test("large batches run on all cores, with the same bits", async () => {
    const data = Float32Array.from({ length: 3000 * 210 }, (_, i) => ((i * 7919) % 1000) / 8);
    const before = engine.stats.partsRun;
    const results = await all(engine.stream(index, [{ data }], { frame: { shape: [3, 70] }, rowsMax: 3000 }));
    expect(Float64Array.from(values(results))).toEqual(engine.runSync(index, { data, shape: [3000, 3, 70] }).values);
    expect(engine.stats.partsRun - before).toBeGreaterThan(2);
  });

  test("of a chain with a weight matrix have all outputs", async () => {
    const two = chain(
      weightedSum([
        [1, 2],
        [3, 4],
      ]),
      sum(),
    );
    const results = await all(
      engine.stream(
        two,
        [
          [1, 1, 1, 1],
          [1, 0, 0, 1],
        ],
        { frame: { shape: [2, 2] } },
      ),
    );
    expect(results.map((result) => [...result.values])).toEqual([
      [6, 14],
      [3, 7],
    ]);
    expect(results[0]!.shape).toEqual([2]);
    expect(() => results[0]!.value).toThrow(expect.objectContaining({ code: "ERR_FOURFOLD_FRAMES" }));
  });

  test("grouped by key in windows have the bits of one run over all of them", async () => {
    const fleet = chain({ sample: weightedSum(weights), sensor: variance(), fleet: max() });
    const frames = Array.from({ length: 300 }, (_, i) => frameOf(i).subarray(0, 70));
    const sensors = frames.map((_, i) => `s${(i * i) % 7}`);
    const items = frames.map((frame, i) => ({ frame, keys: { sensor: sensors[i]! } }));
    const results = await all(
      engine.stream(fleet, items, { frame: { shape: [70] }, keys: ["sensor"], window: { sizeRows: 100 }, keep: "all" }),
    );
    expect(results).toHaveLength(3);
    for (const [w, result] of results.entries()) {
      for (const node of result.level("sensor")) {
        const mine = frames.slice(w * 100, w * 100 + 100).filter((_, i) => sensors[w * 100 + i] === node.key);
        const data = Float32Array.from(mine.flatMap((frame) => [...frame]));
        expect(node.value).toBe(engine.runSync(chain(weightedSum(weights), variance()), { data, shape: [mine.length, 70] }).value);
      }
      expect(result.value).toBe(Math.max(...[...result.level("sensor")].map(({ value }) => value)));
    }
  });

  test('with NaN under nan: "error" are rejected one by one, and the others have their results', async () => {
    const rejected: Rejected[] = [];
    const items = [
      [1, 2],
      [Number.NaN, 2],
      [3, 4],
      [5, Number.NaN],
    ];
    const results = await all(
      engine.stream(chain(sum()), [{ data: items.flat() }], {
        frame: { shape: [2], dtype: "f64" },
        nan: "error",
        onRejected: (one) => rejected.push(one),
      }),
    );
    expect(results.map(({ id, value }) => [id, value])).toEqual([
      ["frame 0", 3],
      ["frame 2", 7],
    ]);
    expect(rejected.map(({ error }) => error.code)).toEqual(["ERR_FOURFOLD_NAN", "ERR_FOURFOLD_NAN"]);
  });

  test("of another length are rejected with what was expected", async () => {
    const rejected: Rejected[] = [];
    const stream = engine.stream(chain(sum()), [[1, 2], [3], [4, 5], { value: 6 }], {
      frame: { shape: [2] },
      onRejected: (one) => rejected.push(one),
    });
    expect(values(await all(stream))).toEqual([3, 9]);
    expect(rejected.map(({ error }) => error.message)).toEqual([
      expect.stringMatching(/item 1 of "items" has 1 values, a frame has 2/),
      expect.stringMatching(/item 3 of "items" is a record, and the stream has frames/),
    ]);
    expect(stream.stats).toMatchObject({ rejected: 2, rowsIn: 2, resultsOut: 2 });
  });
});

describe("a ring", () => {
  test("is filled in place and gives each frame its result; nothing is copied", async () => {
    const ring = engine.frameRing([8], "f32", { framesMax: 16 });
    const copied = engine.stats.bytesCopied;
    const stream = engine.stream(chain(sum()), ring, { frame: { shape: [8] } });
    const produce = async (): Promise<void> => {
      for (let frame = 0; frame < 1000; ) {
        const view = ring.claim(Math.min(3, 1000 - frame));
        if (view === undefined) {
          await ring.ready();
          continue;
        }
        const frames = view.length / 8;
        for (let i = 0; i < frames; i++) view.fill(frame + i, i * 8, (i + 1) * 8);
        ring.commit(frames);
        frame += frames;
      }
      ring.end();
    };
    const [results] = await Promise.all([all(stream), produce()]);
    expect(values(results)).toEqual(Array.from({ length: 1000 }, (_, i) => 8 * i));
    expect(engine.stats.bytesCopied).toBe(copied);
  });

  test("takes what was written before the stream began, and fewer frames than were claimed", async () => {
    const ring = engine.frameRing([2], "f64", { framesMax: 8 });
    ring.claim(2)!.set([1, 2, 3, 4]);
    ring.commit(1);
    ring.claim(1)!.set([10, 20]);
    ring.commit(1);
    ring.end();
    expect(values(await all(engine.stream(chain(sum()), ring, { frame: { shape: [2], dtype: "f64" } })))).toEqual([3, 30]);
  });

  test('drops the oldest frames under overflow "latest" and counts them; gives its memory back', async () => {
    const memory = engine.stats.memoryBytes;
    const ring = engine.frameRing([1], "f64", { framesMax: 8 });
    const stream = engine.stream(chain(sum()), ring, { frame: { shape: [1], dtype: "f64" }, overflow: "latest" });
    const results = all(stream);
    await new Promise(setImmediate);
    for (let i = 0; i < 100; i++) {
      ring.claim(1)![0] = i;
      ring.commit(1);
    }
    ring.end();
    const kept = values(await results);
    expect(kept.at(-1)).toBe(99);
    expect(kept.length + stream.stats.dropped).toBe(100);
    expect(stream.stats.dropped).toBeGreaterThan(50);
    expect([...kept].sort((a, b) => a - b)).toEqual(kept);
    expect(engine.stats.memoryBytes).toBeLessThanOrEqual(memory + 1024 * 1024); // plans of this chain stay
  });

  test("lets its producer wait before a stream reads it and after it has ended, and keeps memory that is being written", async () => {
    const ring = engine.frameRing([2], "f64", { framesMax: 4 });
    let filled = 0;
    const produce = async (): Promise<void> => {
      for (; filled < 20; ) {
        const view = ring.claim(1);
        if (view === undefined) {
          await ring.ready();
          continue;
        }
        view.fill(filled++);
        ring.commit(1);
      }
      ring.end();
    };
    const producing = produce();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(filled).toBe(4);
    const stream = engine.stream(chain(sum()), ring, { frame: { shape: [2] } });
    expect(values(await all(stream))).toEqual(Array.from({ length: 20 }, (_, i) => 2 * i));
    await producing;
    await ring.ready();

    const other = engine.frameRing([1024], "f64", { framesMax: 4 });
    const view = other.claim(1)!;
    const ended = engine.stream(chain(sum()), other, { frame: { shape: [1024] } });
    const results = all(ended);
    await new Promise(setImmediate);
    ended.close();
    await results;
    const mine = Array.from({ length: 8 }, () => engine.tensor([1024], "f64"));
    view.fill(7);
    for (const { data } of mine) expect(data.every((value) => value === 0)).toBe(true);
    expect(() => other.commit(1)).toThrow(/has ended/);
    for (const tensor of mine) tensor.free();
  });

  test("asks for the columns that its stream reads", async () => {
    const ring = engine.frameRing([1], "f64", { framesMax: 4 });
    ring.claim(1);
    ring.commit(1);
    await expect(all(engine.stream(chain(sum(), sum()), ring, { frame: { shape: [1] }, keys: ["k"] }))).rejects.toThrow(
      /reads 1 key columns \(k\)/,
    );
  });

  test("refuses what cannot be", () => {
    const ring = engine.frameRing([2], "f32", { framesMax: 4 });
    expect(() => ring.commit(1)).toThrow(/none are claimed/);
    ring.claim(1);
    expect(() => ring.claim(1)).toThrow(/claimed and not committed/);
    expect(() => ring.commit(2)).toThrow(/given 2 frames, 1 are claimed/);
    expect(() => ring.commit(1, { times: [1, 2] })).toThrow(/times has 2 entries for 1 rows/);
    expect(() => engine.stream(chain(sum()), ring, { frame: { shape: [3] } })).toThrow(/the ring has frames of \[2\] f32/);
    expect(() => engine.frameRing([2], "f32", { framesMax: 1 })).toThrow(/framesMax/);
    ring.detach();
  });
});

describe("frames and the contract", () => {
  const nanRows = [
    [1, 1],
    [Number.NaN, Number.NaN],
    [3, 3],
  ];
  test.each([
    ["mean", mean()],
    ["count", count()],
    ["min", min()],
    ["weighted mean", weightedMean({ perNode: [] })],
  ] as const)("of which nothing is kept are missing for a %s above them (clause 10)", async (_, above) => {
    for (const inside of [sum(), count(), mean(), max()]) {
      const items = nanRows.map((frame) => ({ frame, weight: 2 }));
      const [result] = await all(engine.stream(chain(inside, above), items, { frame: { shape: [2] }, nan: "skip" }));
      const batch = chain(inside, above.weights ? weightedMean([2, 2, 2]) : above);
      expect(result!.value).toBe(engine.runSync(batch, { data: nanRows.flat(), shape: [3, 2] }, { nan: "skip" }).value);
    }
  });

  test('without NaN are taken under nan: "error" though their value is NaN', async () => {
    const frame = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    const stream = engine.stream(chain(sum(), sum()), [frame], { frame: { shape: [2] }, nan: "error" });
    expect(values(await all(stream))).toEqual([Number.NaN]);
    expect(stream.stats.rejected).toBe(0);
  });

  test("keep all bits unless a dtype is named, and then what it cannot hold is rejected", async () => {
    expect(values(await all(engine.stream(chain(sum()), [[0.1, 0.2]], { frame: { shape: [2] } })))).toEqual([0.1 + 0.2]);
    for (const [dtype, good, bad] of [
      ["f32", 0.5, 0.1],
      ["f32", Number.NaN, 1e300],
      ["i8", -128, 300],
      ["i32", 2 ** 31 - 1, Number.NaN],
      ["u8", 255, -1],
    ] as const) {
      const rejected: Rejected[] = [];
      const items = [
        [good, 0],
        [0, bad],
        [good, 1],
      ];
      const options = { frame: { shape: [2], dtype }, onRejected: (one: Rejected) => void rejected.push(one) };
      for (const source of [items, [{ data: items.flat() }]]) {
        rejected.length = 0;
        const expected = items.filter((_, i) => i !== 1).map(([a, b]) => a! + b!);
        expect(values(await all(engine.stream(chain(sum()), source, options)))).toEqual(expected);
        expect(rejected.map(({ error }) => error.message)).toEqual([
          expect.stringContaining(`the value ${bad} at 1 of a frame is no ${dtype}`),
        ]);
      }
    }
  });
});

describe("records", () => {
  const fleet = chain({ site: mean(), region: weightedMean("count"), fleet: sum() });
  const records = (n: number): RecordItem[] =>
    Array.from({ length: n }, (_, i) => ({ value: ((i * 37) % 101) / 7, keys: { region: `r${i % 3}`, site: `s${i % 8}` }, time: i }));
  const batch = (of: readonly RecordItem[]) =>
    engine.runSync(
      fleet,
      {
        values: of.map(({ value }) => value),
        keys: { region: of.map(({ keys }) => keys!["region"]!), site: of.map(({ keys }) => keys!["site"]!) },
      },
      { keep: "all" },
    );

  test("have one result when the source ends, with the bits of a batch over them, in any cut and order", async () => {
    const expected = batch(records(500));
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.constantFrom(1, 3, 50, 1000), fc.boolean(), async (seed, rowsMax, blocks) => {
        const { next } = random(seed);
        const shuffled = records(500)
          .map((record) => ({ record, at: next() }))
          .sort((a, b) => a.at - b.at)
          .map(({ record }) => record);
        const source: Iterable<StreamItem> = blocks ? [shuffled.slice(0, 200), shuffled.slice(200)] : shuffled;
        const [result, ...more] = await all(engine.stream(fleet, source, { keys: ["region", "site"], rowsMax, keep: "all" }));
        expect(more).toEqual([]);
        expect(result!.value).toBe(expected.value);
        expect(result!.records).toBe(500);
        for (const name of ["site", "region"])
          expect([...result!.level(name)].map(({ path, value, count: n }) => [path, value, n])).toEqual(
            [...expected.level(name)].map(({ path, value, count: n }) => [path, value, n]),
          );
      }),
      { numRuns: 20 },
    );
  });

  test("come from several sources, Node streams and Web streams", async () => {
    const { Readable } = await import("node:stream");
    const part = (from: number, to: number) => records(90).slice(from, to);
    const web = new ReadableStream<StreamItem>({
      start(controller) {
        for (const record of part(60, 90)) controller.enqueue(record);
        controller.close();
      },
    });
    const stream = engine.stream(fleet, [part(0, 30), Readable.from(part(30, 60)), web], { keys: ["region", "site"] });
    expect(values(await all(stream))).toEqual([batch(records(90)).value]);
    expect(stream.stats.sources.map(({ name, rowsIn, ended }) => [name, rowsIn, ended])).toEqual([
      ["items 0", 30, true],
      ["items 1", 30, true],
      ["items 2", 30, true],
    ]);
  });

  test("with null keys are rejected, skipped or grouped, from items and from NDJSON alike", async () => {
    const records = [{ value: 1, k: "a" }, { value: 2, k: null }, { value: 4 }];
    for (const [nullKeys, groups, rejected] of [
      ["error", [["a", 1]], 2],
      ["skip", [["a", 1]], 0],
      [
        "group",
        [
          [null, 6],
          ["a", 1],
        ],
        0,
      ],
    ] as const)
      for (const source of [
        records.map(({ value, k = null }) => ({ value, keys: { k } })),
        ndjson([records.map((record) => JSON.stringify(record)).join("\n")]),
      ]) {
        const stream = engine.stream(chain(sum(), sum()), source, { keys: ["k"], nullKeys, keep: "all" });
        const [result] = await all(stream);
        expect([...result!.level("f")].map(({ key, value }) => [key, value])).toEqual(groups);
        expect(stream.stats.rejected).toBe(rejected);
      }
  });

  test("that are poisoned go to the dead letters and do not stop the stream", async () => {
    const rejected: Rejected[] = [];
    const source = [
      { value: 1, keys: { k: "a" } },
      { value: "2", keys: { k: "a" } },
      { value: 3 },
      null,
      { value: 4, keys: { k: null } },
      { value: 5, path: ["a", "b"] },
      { value: 6, path: ["a"] },
      "7",
      { data: [8, 9], keys: { k: ["a"] } },
    ] as unknown as StreamItem[];
    const stream = engine.stream(chain(sum(), sum()), source, { keys: ["k"], onRejected: (one) => rejected.push(one) });
    expect(values(await all(stream))).toEqual([7]);
    expect(rejected).toHaveLength(7);
    expect(stream.stats.rejected).toBe(7);
    for (const { error, source: name } of rejected) {
      expect(error).toBeInstanceOf(FourfoldError);
      expect(error.fix).toMatch(/\w/);
      expect(name).toBe("items");
    }
  });

  test("that are poisoned stop it if asked to", async () => {
    const source = [{ value: 1 }, { value: "2" }] as unknown as StreamItem[];
    await expect(all(engine.stream(chain(sum()), source, { onError: "stop" }))).rejects.toMatchObject({ code: "ERR_FOURFOLD_RECORD" });
  });

  test("that fail while the stream lets others have their turn end it", async () => {
    async function* source(): AsyncGenerator<number> {
      yield 1;
      await new Promise(setImmediate);
      throw new Error("gone");
    }
    const stream = engine.stream(chain(sum()), source(), { window: { sizeRows: 1 } });
    const busy = async (): Promise<void> => {
      for await (const _ of stream) for (const start = performance.now(); performance.now() - start < 100; );
    };
    await expect(busy()).rejects.toThrow("gone");
  });

  test("that come after their window has closed go to the side output", async () => {
    const late: unknown[] = [];
    const source = [10, 25, 9, 31].map((time): RecordItem => ({ value: time, time, keys: { k: "x" } }));
    const stream = engine.stream(chain(sum(), sum()), source, {
      keys: ["k"],
      window: { sizeMs: 10 },
      rowsMax: 1,
      onLate: (row) => late.push(row),
    });
    expect(values(await all(stream))).toEqual([10, 25, 31]);
    expect(late).toEqual([{ source: "items", path: ["x"], time: 9, value: 9, weight: undefined, watermark: 25 }]);
    expect(stream.stats.late).toBe(1);
  });
});

describe("the queue", () => {
  test("makes sources wait: it never holds more than its limit", async () => {
    let given = 0;
    const { opened, open } = gate();
    async function* source(): AsyncGenerator<number> {
      for (; given < 1000; given++) yield given;
    }
    const stream = engine.stream(chain(sum()), source(), { queueRowsMax: 10, rowsMax: 5, batchesMax: 1, window: { sizeRows: 5 } });
    const iterator = stream[Symbol.asyncIterator]();
    await iterator.next();
    for (let i = 0; i < 100; i++) await new Promise(setImmediate); // the consumer is slow
    expect(given).toBeLessThanOrEqual(5 + 10 + 5 + 2);
    expect(stream.stats.queueRows).toBeLessThanOrEqual(10);
    open();
    await opened;
    let windows = 1;
    while (!(await iterator.next()).done) windows++;
    expect(windows).toBe(200);
    expect(stream.stats).toMatchObject({ rowsIn: 1000, dropped: 0 });
  });

  test('drops the oldest rows under "latest", and every one is counted', async () => {
    const stream = engine.stream(
      chain(count()),
      Array.from({ length: 1000 }, (_, i) => i),
      { queueRowsMax: 10, rowsMax: 5, overflow: "latest", window: { sizeRows: 5 } },
    );
    let records = 0;
    for await (const result of stream) {
      records += result.value;
      for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    }
    const { dropped, rowsIn } = stream.stats;
    expect(dropped).toBeGreaterThan(900);
    expect(rowsIn + dropped).toBe(1000);
    expect(records).toBe(rowsIn);
  });

  test('is an error under "error"', async () => {
    const stream = engine.stream(chain(sum()), [{ data: new Float64Array(100) }], { queueRowsMax: 10, overflow: "error" });
    await expect(all(stream)).rejects.toMatchObject({ code: "ERR_FOURFOLD_QUEUE", fix: expect.stringContaining("latest") });
  });
});

describe("dropping the oldest rows", () => {
  test("steps over the ends of sources", async () => {
    const many = Array.from({ length: 50 }, () => ({ data: new Float64Array(8) }));
    const stream = engine.stream(chain(count()), [slowly([1]), slowly(many)], { queueRowsMax: 8, overflow: "latest" });
    const [result] = await all(stream);
    expect(result!.value + stream.stats.dropped).toBe(401);
  });
});

describe("weights that change", () => {
  const fleet = chain({ site: sum(), region: weightedSum({ byKey: {}, missing: 1 }), fleet: sum() });
  const record = (time: number): RecordItem => ({ value: 1, time, path: ["r", "s"] });

  test("hold for windows from a time on, in all of their results, whenever they were given", async () => {
    const stream = engine.stream(
      fleet,
      Array.from({ length: 6 }, (_, i) => record(i * 10)),
      { keys: ["region", "site"], window: { sizeMs: 20 } },
    );
    expect(stream.setWeights("region", { byKey: { s: 10 } }, { from: 20 })).toBe(1);
    expect(stream.setWeights("region", { byKey: { s: 100 } }, { from: 40 })).toBe(2);
    expect((await all(stream)).map(({ value, weightsVersion }) => [value, weightsVersion])).toEqual([
      [2, 0],
      [20, 1],
      [200, 2],
    ]);
  });

  test("without a time hold for all that is still to be given", async () => {
    const stream = engine.stream(fleet, slowly(Array.from({ length: 6 }, (_, i) => record(i * 10))), {
      keys: ["region", "site"],
      window: { sizeMs: 20 },
      rowsMax: 1,
      queueRowsMax: 1,
      batchesMax: 1,
    });
    const seen: number[][] = [];
    for await (const { value, weightsVersion } of stream) {
      seen.push([value, weightsVersion]);
      if (seen.length === 1) stream.setWeights("region", { byKey: { s: 5 } });
    }
    expect(seen).toEqual([
      [2, 0],
      [10, 1],
      [10, 1],
    ]);
  });

  test("inside frames hold for frames from a number, or a time, on", async () => {
    const frames = Array.from({ length: 5 }, () => [1, 1]);
    const stream = engine.stream(chain(weightedSum([1, 1])), [{ data: frames.flat() }], { frame: { shape: [2], dtype: "f64" } });
    stream.setWeights("f", [10, 10], { from: 3 });
    expect((await all(stream)).map(({ value, weightsVersion }) => [value, weightsVersion])).toEqual([
      [2, 0],
      [2, 0],
      [2, 0],
      [20, 1],
      [20, 1],
    ]);
    const timed = engine.stream(
      chain(weightedSum([1, 1]), sum()),
      frames.map((frame, i) => ({ frame, time: i })),
      { frame: { shape: [2], dtype: "f64" }, window: { sizeMs: 10 } },
    );
    timed.setWeights("f", [10, 10], { from: 3 });
    expect(values(await all(timed))).toEqual([2 * 3 + 20 * 2]);
  });

  test("what-ifs read the nodes that were kept, and leave the result as it is", async () => {
    const [result] = await all(
      engine.stream(fleet, [record(0), { value: 5, path: ["r", "t"] }], { keys: ["region", "site"], keep: "all" }),
    );
    const other = result!.whatIf("region", { byKey: { s: 100, t: 1000 } });
    expect([result!.value, other.value, result!.value]).toEqual([6, 5100, 6]);
    expect([...other.level("region")].map(({ value }) => value)).toEqual([5100]);
    expect(other.whatIf("region", "count").value).toBe(6);
    expect(() => result!.whatIf("site", "count")).toThrow(FourfoldError);
  });

  test("are refused where they cannot change", () => {
    const options = { keys: ["region", "site"] };
    expect(() => engine.stream(fleet, [], options).setWeights("site", [1])).toThrow(/its weights come with the records/);
    expect(() => engine.stream(fleet, [], options).setWeights("fleet", [1])).toThrow(/is a sum, which has no weights/);
    expect(() => engine.stream(fleet, [], options).setWeights("regio", [1])).toThrow(/The levels are/);
    expect(() => engine.stream(fleet, [], options).setWeights("region", { byKey: { a: "1" as unknown as number } })).toThrow(
      /weight 0 by key/,
    );
  });
});

describe("a stream", () => {
  test("ends when its consumer leaves the loop, its signal is aborted, or close() is called; the source is told", async () => {
    let ended = 0;
    async function* endless(): AsyncGenerator<number> {
      try {
        for (let i = 0; ; i++) {
          if (i % 100 === 0) await new Promise(setImmediate);
          yield i;
        }
      } finally {
        ended++;
      }
    }
    const window = { sizeRows: 10 };
    for await (const _ of engine.stream(chain(sum()), endless(), { window })) break;
    expect(ended).toBe(1);
    const controller = new AbortController();
    const aborted = all(engine.stream(chain(sum()), endless(), { window, signal: controller.signal }));
    controller.abort(new Error("enough"));
    await expect(aborted).rejects.toMatchObject({ name: "AbortError", code: "ERR_FOURFOLD_ABORTED" });
    const closing = engine.stream(chain(sum()), endless(), { window });
    const results = all(closing);
    await new Promise(setImmediate);
    closing.close();
    await results;
    expect(ended).toBe(3);
  });

  test("lets timers and signals through while its source never waits", async () => {
    async function* greedy(): AsyncGenerator<number> {
      for (let i = 0; ; i++) yield i;
    }
    const signal = AbortSignal.timeout(50);
    await expect(all(engine.stream(chain(sum()), greedy(), { window: { sizeRows: 1000 }, signal }))).rejects.toMatchObject({
      name: "AbortError",
    });
  });

  test("ends though a source is silent: by leaving the loop, close(), its signal, or another source's error", async () => {
    async function* silent(): AsyncGenerator<number> {
      yield 1;
      await new Promise(() => undefined);
    }
    const window = { sizeRows: 1 };
    for await (const _ of engine.stream(chain(sum()), silent(), { window })) break;
    const closing = engine.stream(chain(sum()), silent(), { window });
    const results = all(closing);
    await new Promise(setImmediate);
    closing.close();
    await results;
    const signal = AbortSignal.timeout(20);
    await expect(all(engine.stream(chain(sum()), silent(), { window, signal }))).rejects.toMatchObject({ name: "AbortError" });
    async function* failing(): AsyncGenerator<number> {
      yield 2;
      throw new RangeError("gone");
    }
    await expect(all(engine.stream(chain(sum()), [silent(), failing()], { window }))).rejects.toThrow("gone");
  });

  test("holds memory for frames only while it runs", async () => {
    const before = engine.stats.memoryBytes;
    const frame = { shape: [1024] };
    engine.stream(chain(sum()), [], { frame });
    engine.stream(chain(sum()), [], { frame }).close();
    expect(engine.stats.memoryBytes).toBeLessThanOrEqual(before);
    await expect(all(engine.stream(chain(sum()), [], { frame, rowsMax: 1e9 }))).rejects.toMatchObject({ code: "ERR_FOURFOLD_MEMORY" });
    expect(engine.stats.memoryBytes).toBeLessThanOrEqual(before);
  });

  test("hears of a failure on the workers while its consumer is slow", async () => {
    const boom = defineReduction({
      name: "boom",
      init: () => 0,
      add: (s: number, x: number) => {
        if (x === 7) throw new Error("boom");
        return s + x;
      },
      merge: (a, b) => a + b,
      finish: (s) => s,
    });
    const data = new Float64Array(400_000);
    data[399_999] = 7;
    const stream = engine.stream(chain(boom()), [{ data }], { frame: { shape: [1] }, rowsMax: 200_000 });
    const consume = async (): Promise<void> => {
      for await (const _ of stream) await new Promise(setImmediate);
    };
    await expect(consume()).rejects.toThrow("boom");
  });

  test("gives what a source gave before it failed, then its error", async () => {
    async function* failing(): AsyncGenerator<number> {
      yield* [1, 2, 3, 4, 5];
      throw new RangeError("gone");
    }
    const seen: number[] = [];
    const stream = engine.stream(chain(sum()), failing(), { window: { sizeRows: 2 } });
    await expect(stream.to(({ value }) => void seen.push(value))).rejects.toThrow("gone");
    expect(seen).toEqual([3, 7]);
  });

  test("is ended by what its source throws", async () => {
    async function* broken(): AsyncGenerator<number> {
      yield 1;
      throw new RangeError("the sensor is gone");
    }
    await expect(all(engine.stream(chain(sum()), broken()))).rejects.toThrow("the sensor is gone");
  });

  test("is read once", async () => {
    const stream = engine.stream(chain(sum()), [1]);
    await all(stream);
    await expect(all(stream)).rejects.toThrow(/read once/);
  });

  test("hands its results to a sink, which it opens, waits for, flushes and closes", async () => {
    const calls: string[] = [];
    const stats = await engine.stream(chain(sum()), [1, 2, 3], { window: { sizeRows: 2 } }).to({
      open: async (position) => void calls.push(`open ${position}`),
      write: async (results) => {
        await new Promise(setImmediate);
        calls.push(`write ${values(results)}`);
      },
      flush: async () => {
        calls.push("flush");
        return {};
      },
      close: async () => void calls.push("close"),
    });
    expect(calls.join(", ")).toMatch(/^open undefined, write 3,( write)? ?3, flush, close$/);
    expect(stats.resultsOut).toBe(2);
    const seen: number[] = [];
    await engine.stream(chain(sum()), [1, 2]).to(({ value }) => void seen.push(value));
    expect(seen).toEqual([3]);
  });

  test("closes its sink when it fails", async () => {
    let closed = 0;
    const sink = { write: () => Promise.reject(new Error("disk full")), close: async () => void closed++ };
    await expect(engine.stream(chain(sum()), [1]).to(sink)).rejects.toThrow("disk full");
    expect(closed).toBe(1);
  });

  test("tells what it does: stats, Prometheus text, diagnostics channels", async () => {
    const batches: unknown[] = [];
    const listen = (message: unknown): void => void batches.push(message);
    subscribe("fourfold:stream:batch", listen);
    const stream = engine.stream(chain(sum()), [1, 2, 3], { window: { sizeRows: 2 } });
    await all(stream);
    unsubscribe("fourfold:stream:batch", listen);
    const { stats } = stream;
    expect(stats).toMatchObject({
      rowsIn: 3,
      resultsOut: 2,
      late: 0,
      dropped: 0,
      rejected: 0,
      queueRows: 0,
      queueBytes: 0,
      openWindows: 0,
    });
    expect(stats.latencyMs.p50).toBeGreaterThan(0);
    expect(stats.latencyMs.p999).toBeGreaterThanOrEqual(stats.latencyMs.p50);
    expect(batches.length).toBe(stats.batches);
    expect(batches[0]).toMatchObject({ rows: expect.any(Number), latencyMs: expect.any(Number), stream });
    const text = prometheusText(stats);
    expect(text).toMatch(/^# TYPE fourfold_stream_rows_in_total counter\nfourfold_stream_rows_in_total\{source="items"\} 3$/m);
    expect(text).toMatch(/^fourfold_stream_watermark_seconds \+?-?(Inf|\d+)/m);
    for (const line of text.trimEnd().split("\n"))
      expect(line).toMatch(/^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"\})? (NaN|[+-]Inf|-?[\d.e+-]+))$/);
  });

  test.each<[string, Parameters<Engine["stream"]>, RegExp]>([
    ["a source that is none", [chain(sum()), 3 as never], /the source is 3/],
    ["an option that there is not", [chain(sum()), [], { rowMax: 3 } as never], /Did you mean rowsMax/],
    ["a limit of 0", [chain(sum()), [], { rowsMax: 0 }], /rowsMax/],
    [
      "a window for frames that the chain takes whole",
      [chain(sum()), [], { frame: { shape: [2] }, window: {} }],
      /option "window" is for levels above a frame/,
    ],
    ["a frame of more axes than levels", [chain(sum()), [], { frame: { shape: [2, 2] } }], /frames of 2 axes for a chain of 1 levels/],
    ['the weight "count" above frames', [chain(sum(), weightedMean("count")), [], { frame: { shape: [2] } }], /counts records/],
    ["weights of level f in the chain", [chain(weightedSum([1, 2])), []], /come with the records|have no order/],
    [
      "a checkpoint of a source that cannot go back",
      [chain(sum()), [1], { checkpoint: { dir: "never-made" } }],
      /source "items" cannot go back to where the checkpoint was made/,
    ],
    ["two sources of one name", [chain(sum()), [replayable("a", () => []), replayable("a", () => [])]], /are called "a", "a"/],
    [
      "a level to keep that lies inside frames",
      [chain(sum(), sum()), [], { frame: { shape: [2] }, keep: ["f"] }],
      /lies inside the frames/,
    ],
    ["child weights for a level without", [chain(sum(), sum()), [], { keys: ["k"], childWeights: ["g"] }], /perNode/],
  ])("refuses %s at once", (_, args, message) => {
    expect(() => engine.stream(...args)).toThrow(message);
  });
});

describe("a checkpointed stream", () => {
  const fleet = chain({ site: sum(), fleet: weightedSum({ byKey: {}, missing: 1 }) });
  const options = { keys: ["site"], window: { sizeMs: 100, latenessMsMax: 50, outOfOrderMsMax: 20 } } as const;
  const record = (i: number): RecordItem => ({ value: i / 3, keys: { site: `s${i % 4}` }, time: i * 3 + ((i * 7) % 11) });
  const source = (n: number, stopAt = Number.POSITIVE_INFINITY) =>
    replayable("log", function* (from) {
      for (let i = from; i < n; i++) {
        if (i === stopAt) throw new Error("power cut");
        yield record(i);
      }
    });

  test("goes on where it was, and each record counts once", async () => {
    const expected = new Map((await all(engine.stream(fleet, source(500), options))).map(({ id, value }) => [id, value]));
    for (const stopAt of [1, 99, 250, 499]) {
      const dir = mkdtempSync(join(tmpdir(), "fourfold-stream-"));
      const seen = new Map<string, number>();
      const take = ({ id, value }: StreamResult): void => {
        if (seen.has(id)) expect(value).toBe(seen.get(id));
        seen.set(id, value);
      };
      const checkpoint = { dir, everyMs: 0 };
      const failing = engine.stream(fleet, source(500, stopAt), { ...options, checkpoint, rowsMax: 16, queueRowsMax: 16 });
      await expect(failing.to(take)).rejects.toThrow("power cut");
      const going = engine.stream(fleet, source(500), { ...options, checkpoint });
      await going.to(take);
      expect(seen).toEqual(expected);
      expect(going.stats.rowsIn).toBe(500);
      rmSync(dir, { recursive: true });
    }
  });

  test("keeps changes of weights", async () => {
    const dir = mkdtempSync(join(tmpdir(), "fourfold-stream-"));
    const checkpoint = { dir, everyMs: 0 };
    const failing = engine.stream(fleet, source(500, 100), { ...options, checkpoint });
    failing.setWeights("fleet", { byKey: { s1: 0.1 }, missing: 3 }, { from: 1000 });
    await expect(failing.to(() => undefined)).rejects.toThrow("power cut");
    const results = await all(engine.stream(fleet, source(500), { ...options, checkpoint }));
    const whole = engine.stream(fleet, source(500), options);
    whole.setWeights("fleet", { byKey: { s1: 0.1 }, missing: 3 }, { from: 1000 });
    const expected = new Map((await all(whole)).map(({ id, value, weightsVersion }) => [id, [value, weightsVersion]]));
    expect(results.length).toBeGreaterThan(10);
    for (const { id, value, weightsVersion } of results) expect([value, weightsVersion]).toEqual(expected.get(id));
    rmSync(dir, { recursive: true });
  });

  test("counts each row once though its source is cut into other pieces each time it starts", async () => {
    const rows = Array.from({ length: 300 }, (_, i) => i);
    // A source by bytes: any cut into blocks, offsets at the ends of its pieces only.
    const pieces = (size: number): Reader => ({
      name: "log",
      replayable: true,
      async *read(from) {
        for (let at = from; at < rows.length; at += size) {
          const own = rows.slice(at, at + size);
          yield {
            block: { rows: own.length, data: Float64Array.from(own), keys: [], times: undefined, weights: undefined },
            rejected: [],
            next: at + own.length,
            bytes: 0,
          };
        }
      },
    });
    const options = { window: { sizeRows: 10 }, rowsMax: 7, queueRowsMax: 7, batchesMax: 1 };
    const expected = new Map((await all(engine.stream(chain(sum()), pieces(300), options))).map(({ id, value }) => [id, value]));
    const dir = mkdtempSync(join(tmpdir(), "fourfold-stream-"));
    const seen = new Map<string, number>();
    // Left in the middle of a piece, after so many results: the last checkpoint is that of the batch before.
    for (const [size, leaveAfter] of [
      [100, 3],
      [10, 1],
      [50, 6],
      [3, 4],
      [41, 1000],
    ] as const) {
      let results = 0;
      for await (const { id, value } of engine.stream(chain(sum()), pieces(size), { ...options, checkpoint: { dir, everyMs: 0 } })) {
        seen.set(id, value);
        if (++results === leaveAfter) break;
      }
    }
    expect(seen).toEqual(expected);
    rmSync(dir, { recursive: true });
  });

  test("refuses other weights inside frames", async () => {
    const dir = mkdtempSync(join(tmpdir(), "fourfold-stream-"));
    const run = (w: number) =>
      all(
        engine.stream(
          chain(weightedSum([w, w]), sum()),
          replayable("log", () => []),
          { frame: { shape: [2] }, checkpoint: { dir, everyMs: 0 } },
        ),
      );
    await run(1);
    await expect(run(100)).rejects.toThrow(/other weights/);
    rmSync(dir, { recursive: true });
  });

  test("refuses the checkpoint of another stream, and says what differs", async () => {
    const dir = mkdtempSync(join(tmpdir(), "fourfold-stream-"));
    const checkpoint = { dir, everyMs: 0 };
    await all(engine.stream(fleet, source(10), { ...options, checkpoint }));
    const other = (changed: object, named = source(10)) => all(engine.stream(fleet, named, { ...options, ...changed, checkpoint }));
    await expect(other({ window: { sizeMs: 60 } })).rejects.toMatchObject({
      code: "ERR_FOURFOLD_CHECKPOINT",
      message: expect.stringMatching(/another window: it is .*100.* there, .*60.* here/),
    });
    await expect(other({ nan: "skip" })).rejects.toThrow(/another policy/);
    await expect(
      other(
        {},
        replayable("other", () => []),
      ),
    ).rejects.toThrow(/other sources: they are log there, other here/);
    rmSync(dir, { recursive: true });
  });
});
