/** Rows that come one by one: how the queue and the readers of items put them together. What they add up to is in batch-equals-stream.test.ts. */
import { describe, expect, test } from "vitest";
import { chain, createEngine, type StreamItem, sum } from "../../src/index.ts";
import { Intake } from "../../src/stream/intake.ts";
import { itemReader } from "../../src/stream/items.ts";
import type { Block, Chunk, ReadContext } from "../../src/stream/types.ts";

const { signal } = new AbortController();
const LIMITS = { queueRowsMax: 1e6, queueBytesMax: 1e6, overflow: "block" } as const;
const CONTEXT: ReadContext = {
  keys: ["key"],
  nullKeys: false,
  frameValues: undefined,
  timed: true,
  weighted: false,
  childWeights: [],
  rowsMax: 4096,
  signal,
};

const rowOf = (i: number): Block => ({ rows: 1, data: Int32Array.of(i), keys: [[`k${i}`]], times: [10 * i], weights: undefined });

async function chunksOf(items: Iterable<StreamItem>): Promise<Chunk[]> {
  const chunks: Chunk[] = [];
  for await (const chunk of itemReader("items", items).read(0, CONTEXT)) chunks.push(chunk);
  return chunks;
}

describe("the queue", () => {
  test("gathers rows of one source in segments of up to 128, in order, each with its columns", async () => {
    const intake = new Intake(LIMITS);
    for (let i = 0; i < 300; i++) await intake.put(0, rowOf(i), i + 1, 1000 + i, signal);
    expect(intake.rows).toBe(300);
    const { segments, rows, since } = intake.take(1000, 1e6)!;
    expect([rows, since]).toEqual([300, 1000]);
    expect(segments.map((segment) => [segment.rows, segment.next, segment.arrivedAt])).toEqual([
      [128, 128, 1000],
      [128, 256, 1128],
      [44, 300, 1256],
    ]);
    const numbers = Array.from({ length: 300 }, (_, i) => i);
    expect(segments.flatMap((segment) => [...segment.data!].slice(0, segment.rows))).toEqual(numbers);
    expect(segments.flatMap((segment) => Array.from(segment.times!).slice(0, segment.rows))).toEqual(numbers.map((i) => 10 * i));
    expect(segments.flatMap((segment) => [...(segment.keys[0] as string[])])).toEqual(numbers.map((i) => `k${i}`));
  });

  test("never gathers rows of two sources, of other columns, with keys from a dictionary, or behind a block", async () => {
    const kinds: [source: number, block: Block][] = [
      [0, rowOf(0)],
      [1, rowOf(1)],
      [1, { ...rowOf(2), times: undefined }],
      [1, { ...rowOf(3), weights: [1] }],
      [1, { ...rowOf(4), keys: [{ codes: Uint8Array.of(0), dictionary: ["k4"] }] }],
      [1, { ...rowOf(5), childWeights: { g: [1] } }],
      [1, { rows: 2, data: new Float64Array(2), keys: [["a", "b"]], times: [1, 2], weights: undefined }],
      [1, rowOf(8)],
    ];
    const intake = new Intake(LIMITS);
    for (const [i, [source, block]] of kinds.entries()) await intake.put(source, block, i, 0, signal);
    expect(intake.take(1000, 1e6)!.segments.map(({ source, rows }) => [source, rows])).toEqual(
      kinds.map(([source, { rows }]) => [source, rows]),
    );
  });

  test("counts what rows take beside their values, and gives all of it back", async () => {
    const intake = new Intake(LIMITS);
    await intake.put(0, rowOf(0), 1, 0, signal);
    const alone = intake.bytes;
    expect(alone).toBeGreaterThan(500); // a segment of one record takes 540 bytes of heap
    for (let i = 1; i < 100; i++) await intake.put(0, rowOf(i), i + 1, 0, signal);
    expect(intake.bytes).toBeLessThan(alone + 99 * 100);
    while (intake.rows > 0) intake.take(7, 1e6);
    expect(intake.bytes).toBe(0);
  });

  test("drops the oldest of gathered rows, one by one, and says how many", async () => {
    const intake = new Intake({ ...LIMITS, queueRowsMax: 100, overflow: "latest" });
    for (let i = 0; i < 250; i++) await intake.put(0, rowOf(i), i + 1, 0, signal);
    expect([intake.rows, intake.dropped]).toEqual([100, 150]);
    const { segments, passed } = intake.take(1000, 1e6)!;
    expect([...segments[0]!.data!][0]).toBe(150);
    const [{ source, rows, next } = { source: -1, rows: 0, next: undefined }] = passed;
    expect([source, (next ?? 0) + rows]).toEqual([0, 150]);
  });
});

describe("a source that never waits", () => {
  test("is read in chunks of many rows, with the offset behind them, and its bad items by their own offsets", async () => {
    const items = Array.from({ length: 3000 }, (_, i) => (i % 1000 === 5 ? { value: "x" } : { value: i, time: i, keys: { key: i % 7 } }));
    const chunks = await chunksOf(items as StreamItem[]);
    expect(chunks.length).toBeLessThan(3000);
    expect(chunks.at(-1)!.next).toBe(3000);
    let before = 0;
    for (const { block, rejected, next } of chunks) {
      expect((block?.rows ?? 0) + rejected.length).toBe(next - before);
      expect(next - before).toBeLessThanOrEqual(1024);
      before = next;
    }
    expect(chunks.flatMap(({ rejected }) => rejected.map(({ from, to }) => [from, to]))).toEqual([
      [5, 6],
      [1005, 1006],
      [2005, 2006],
    ]);
    const kept = items.map((_, i) => i).filter((i) => i % 1000 !== 5);
    expect(chunks.flatMap(({ block }) => [...block!.data])).toEqual(kept);
    expect(chunks.flatMap(({ block }) => [...(block!.keys[0] as number[])])).toEqual(kept.map((i) => i % 7));
  });

  test("keeps its blocks and lists apart from rows, in order", async () => {
    const row = (value: number): StreamItem => ({ value, time: value, path: ["a"] });
    const chunks = await chunksOf([
      row(0),
      row(1),
      { data: [2, 3], times: [2, 3], keys: { key: ["a", "b"] } },
      row(4),
      [row(5), row(6)] as never,
    ]);
    expect(chunks.map(({ block }) => [...block!.data])).toEqual([[0, 1], [2, 3], [4], [5, 6]]);
    expect(chunks.map(({ next }) => next)).toEqual([2, 3, 4, 5]);
  });

  test("lets timers have their turn", async () => {
    const engine = await createEngine({ workers: 0 });
    let more = true;
    async function* forever(): AsyncGenerator<StreamItem> {
      while (more) yield 1;
    }
    setTimeout(() => {
      more = false;
    }, 20);
    for await (const { value, records } of engine.stream(chain(sum()), forever())) expect(value).toBe(records);
    await engine.close();
  });
});
