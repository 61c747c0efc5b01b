// A line of hundreds of megabytes goes by in a process of its own, whose memory is watched. FOURFOLD_SOAK makes it a gigabyte.
import { join } from "node:path";
import { expect, test } from "vitest";
import { outputOf, ROOT, runNode } from "../../child.ts";

const MEGABYTES = process.env["FOURFOLD_SOAK"] === undefined ? 200 : 1024;
const MIB = 2 ** 20;

test.each([
  ["ndjson", '{"value":2,"note":"', '"}\n'],
  ["csv", '2,"', '"\n'],
])(`a line of ${MEGABYTES} MiB of %s is rejected with its size, and never held`, async (format, head, tail) => {
  const child = runNode([join(ROOT, "test/fixtures/long-line.mjs"), format, String(MEGABYTES)], { timeoutMs: 120_000 });
  const { values, rejected, grown } = JSON.parse(await outputOf(child)) as { values: number[]; rejected: object[]; grown: number };
  expect(values).toEqual([1, 3]);
  expect(rejected).toEqual([{ line: format === "csv" ? 3 : 2, bytes: head.length + MEGABYTES * MIB + tail.length, text: 1024 }]);
  expect(grown).toBeLessThan(64 * MIB);
});
