// Files that grow while they are read: each step waits for what the reader gives, never for time to pass.
import { appendFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FourfoldError } from "../../../src/errors.ts";
import { tail } from "../../../src/stream/index.ts";
import type { Chunk, ReadContext, Reader } from "../../../src/stream/types.ts";
import { contextOf, type Row, rowsOf, scratch } from "./reading.ts";

const folder = scratch();
let files = 0;
const fresh = (text: string): string => {
  const path = join(folder, `${files++}.ndjson`);
  writeFileSync(path, text);
  return path;
};

/** A reading that goes on: `rows(n)` waits until n records, rejected ones included, have come since the last call. */
function follow(reader: Reader, from = 0, changes: Partial<ReadContext> = {}) {
  const end = new AbortController();
  const chunks = reader.read(from, contextOf({ ...changes, signal: end.signal }))[Symbol.asyncIterator]();
  let next = from;
  return {
    async rows(n: number): Promise<{ values: Row["value"][]; rejected: string[]; next: number }> {
      const values: Row["value"][] = [];
      const rejected: string[] = [];
      while (values.length + rejected.length < n) {
        const { value, done } = (await chunks.next()) as IteratorResult<Chunk, undefined>;
        if (done === true) throw new Error(`the reading ended after ${values.length} of ${n} records`);
        values.push(...rowsOf(value.block).map((row) => row.value));
        rejected.push(...value.rejected.map((one) => one.error.message));
        next = value.next;
      }
      return { values, rejected, next };
    },
    next: () => chunks.next(),
    async end(): Promise<void> {
      const last = chunks.next();
      end.abort();
      expect(await last).toEqual({ done: true, value: undefined });
    },
  };
}

test("new lines are read as they come, and a line once it is whole", async () => {
  const path = fresh('{"value":1}\n{"val');
  const reading = follow(tail(path, { format: "ndjson", pollMs: 5 }));
  expect(await reading.rows(1)).toEqual({ values: [1], rejected: [], next: 12 });
  appendFileSync(path, 'ue":2}\n{"value":3}\nx\n');
  expect(await reading.rows(3)).toMatchObject({ values: [2, 3], rejected: [expect.stringContaining(`${path}:4: not JSON`)] });
  await reading.end();
});

test("a reading goes on where another ended", async () => {
  const path = fresh('{"value":1}\n{"value":2}\n{"value":3}\n');
  const reading = follow(tail(path, { format: "ndjson", pollMs: 5 }), 12);
  expect(await reading.rows(2)).toEqual({ values: [2, 3], rejected: [], next: 36 });
  appendFileSync(path, '{"value":4}\n');
  expect(await reading.rows(1)).toEqual({ values: [4], rejected: [], next: 48 });
  await reading.end();
});

test("a long wait ends when the signal is aborted", async () => {
  const reading = follow(tail(fresh(""), { format: "ndjson", pollMs: 2 ** 31 - 1 }));
  await reading.end();
});

test.each([
  ["truncated", (path: string) => truncateSync(path, 3), "was truncated to 3 bytes after 24 had been read"],
  [
    "replaced",
    (path: string) => {
      writeFileSync(`${path}.new`, '{"value":9}\n{"value":9}\n{"value":9}\n');
      renameSync(`${path}.new`, path);
    },
    "was replaced by another file after 24 bytes had been read",
  ],
])("a file that is %s ends the reading with a typed error", async (_, change, message) => {
  const path = fresh('{"value":1}\n{"value":2}\n');
  const reading = follow(tail(path, { format: "ndjson", pollMs: 5 }));
  await reading.rows(2);
  change(path);
  const error = await reading.next().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(FourfoldError);
  expect(error).toMatchObject({ code: "ERR_FOURFOLD_SOURCE", message: expect.stringContaining(message) });
});

test('with rotation "follow" the old file is read to its end, then the new one, and offsets count on', async () => {
  const path = fresh('{"value":1}\n');
  const reader = tail(path, { format: "ndjson", pollMs: 5, rotation: "follow" });
  expect(reader.replayable).toBe(false);
  const reading = follow(reader);
  await reading.rows(1);
  appendFileSync(path, '{"value":2}\n{"value":');
  renameSync(path, `${path}.1`);
  writeFileSync(path, '{"value":3}\nbad\n');
  const { values, rejected, next } = await reading.rows(4);
  expect(values).toEqual([2, 3]);
  expect(rejected).toEqual([expect.stringContaining("may have been cut off"), expect.stringContaining(`${path}:2: not JSON`)]);
  expect(next).toBe(12 + 21 + 16);
  truncateSync(path, 0);
  appendFileSync(path, '{"value":4}\n');
  expect(await reading.rows(1)).toMatchObject({ values: [4], next: 12 + 21 + 16 + 12 });
  await reading.end();
});

test('with rotation "follow" a file may be missing for a while', async () => {
  const path = fresh('{"value":1}\n');
  const reading = follow(tail(path, { format: "ndjson", pollMs: 5, rotation: "follow" }));
  await reading.rows(1);
  rmSync(path);
  const coming = reading.rows(1);
  writeFileSync(path, '{"value":2}\n');
  expect(await coming).toMatchObject({ values: [2] });
  await reading.end();
});

test("a reading cannot go on in another file", async () => {
  const path = fresh('{"value":1}\n{"value":2}\n');
  for (const [from, message] of [
    [100, "has 24 bytes, but was read up to byte 100"],
    [5, "has no line that begins at byte 5"],
  ] as const)
    await expect(follow(tail(path, { format: "ndjson" }), from).next()).rejects.toMatchObject({
      code: "ERR_FOURFOLD_SOURCE",
      message: expect.stringContaining(message),
    });
  await expect(follow(tail(join(folder, "none"), { format: "ndjson" })).next()).rejects.toMatchObject({ code: "ERR_FOURFOLD_SOURCE" });
});
