// The pace of a replay, on a clock of the test's own, and what a reader is handed.
import { expect, test } from "vitest";
import { replaySource } from "../../src/cli/stream-replay.ts";
import type { ReplayChunk, StreamSpec } from "../../src/files/index.ts";
import type { Chunk, ReadContext } from "../../src/stream/index.ts";

const DICTIONARY = ["a", "b"];

/** A spec whose source has records of these times, two chunks of them; record i has the value i, key i % 2, weight 10 i. */
function specOf(times: readonly number[]): StreamSpec {
  const chunk = (from: number, to: number): ReplayChunk => {
    const own = Array.from({ length: to - from }, (_, i) => from + i);
    return {
      rows: own.length,
      times: Float64Array.from(times.slice(from, to)),
      values: Float64Array.from(own),
      keys: [{ codes: Int32Array.from(own, (i) => i % 2), dictionary: DICTIONARY }],
      weights: Float64Array.from(own, (i) => 10 * i),
      childWeights: { outer: Float64Array.from(own, (i) => -i) },
    };
  };
  return {
    async *replay({ from = 0 } = {}) {
      const middle = Math.max(from, times.length >> 1);
      if (from < middle) yield chunk(from, middle);
      if (middle < times.length) yield chunk(middle, times.length);
    },
  } as Partial<StreamSpec> as StreamSpec;
}

const context = (changes: Partial<ReadContext> = {}): ReadContext => ({
  keys: ["k"],
  nullKeys: false,
  frameValues: undefined,
  timed: true,
  weighted: true,
  childWeights: ["outer"],
  rowsMax: 100,
  signal: new AbortController().signal,
  ...changes,
});

async function read(
  source: { read(from: number, context: ReadContext): AsyncIterable<Chunk> },
  from = 0,
  asked = context(),
): Promise<Chunk[]> {
  const chunks: Chunk[] = [];
  for await (const chunk of source.read(from, asked)) chunks.push(chunk);
  return chunks;
}

const sizes = (chunks: readonly Chunk[]): (number | undefined)[] => chunks.map(({ block }) => block?.rows);

test("records come as soon as they are due at the speed asked for; those without a time at once", async () => {
  const times = [Number.NaN, 1000, 1000, 2000, 3999, 4000, 5000, 9000];
  // Every look at the clock is a tenth of a second after the one before, which is a second of the records' time.
  let looks = 0;
  const source = replaySource(specOf(times), 10, () => 100 * looks++);
  const chunks = await read(source);
  // At the second look it is 2000, at the fifth 5000.
  expect(sizes(chunks)).toEqual([4, 3, 1]);
  expect(chunks.map(({ next }) => next)).toEqual([4, 7, 8]);
  expect(source.eventTime).toBe(9000);
});

test("at no speed limit a chunk is handed over as it comes, and reading goes on at any record", async () => {
  const times = Array.from({ length: 10 }, (_, i) => i * 1e9);
  const source = replaySource(specOf(times), Number.POSITIVE_INFINITY);
  expect(sizes(await read(source))).toEqual([5, 5]);
  const [first, second] = await read(source, 3);
  expect([first!.next, second!.next]).toEqual([5, 10]);
  expect(first!.block).toMatchObject({
    rows: 2,
    data: Float64Array.of(3, 4),
    keys: [{ codes: Int32Array.of(1, 0), dictionary: DICTIONARY }],
    times: Float64Array.of(3e9, 4e9),
    weights: Float64Array.of(30, 40),
    childWeights: { outer: Float64Array.of(-3, -4) },
  });
  expect((first!.block!.keys[0] as { dictionary: unknown }).dictionary).toBe(
    (second!.block!.keys[0] as { dictionary: unknown }).dictionary,
  );
});

test("columns that the stream does not ask for stay behind", async () => {
  const [chunk] = await read(
    replaySource(specOf([1, 2]), Number.POSITIVE_INFINITY),
    0,
    context({ timed: false, weighted: false, childWeights: [] }),
  );
  expect(chunk!.block).toMatchObject({ times: undefined, weights: undefined });
  expect(chunk!.block).not.toHaveProperty("childWeights");
});

test("an abort ends the waiting for a record of the far future without an error", async () => {
  const controller = new AbortController();
  const source = replaySource(specOf([0, 1e15]), 1);
  const chunks: Chunk[] = [];
  for await (const chunk of source.read(0, context({ signal: controller.signal }))) {
    chunks.push(chunk);
    setImmediate(() => controller.abort());
  }
  expect(sizes(chunks)).toEqual([1]);
});
