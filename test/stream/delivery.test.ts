// The rows of docs/delivery.md that kill.test.ts does not show: what a source that cannot go back does after a restart, and what a sink without a position gets again.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { tableFromArrays, tableToIPC } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEngine, type Engine } from "../../src/engine.ts";
import { chain } from "../../src/reduce/chain.ts";
import { sum } from "../../src/reduce/reductions.ts";
import { arrow, callbackSink, listen, ndjson, ndjsonSink, replayable } from "../../src/stream/index.ts";
import type { Sink } from "../../src/stream/types.ts";
import type { StreamSource } from "../../src/streams.ts";
import { failing } from "../failing.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ backend: "reference", workers: 0 });
});
const root = mkdtempSync(join(tmpdir(), "fourfold-delivery-"));
afterAll(async () => {
  await engine.close();
  rmSync(root, { recursive: true, force: true });
});
const arrowFile = join(root, "numbers.arrows");
writeFileSync(arrowFile, tableToIPC(tableFromArrays({ value: Float64Array.of(1, 2, 3) }), "stream"));
let dirs = 0;
const fresh = (): string => join(root, `state-${dirs++}`);

/** Streams windows of four records into a sink, with a checkpoint after each batch. */
const run = (source: StreamSource, dir: string, sink: Sink) =>
  engine.stream(chain(sum()), source, { window: { sizeRows: 4 }, rowsMax: 1, checkpoint: { dir, everyMs: 0 } }).to(sink);

/** The ids and values of a Writable that fails after `lines` lines. */
function limited(lines: number): { readonly sink: Sink; readonly got: string[] } {
  const got: string[] = [];
  const to = new Writable({
    write(chunk, _, done) {
      if (got.length === lines) done(Object.assign(new Error("write EPIPE"), { code: "EPIPE", syscall: "write" }));
      else {
        const { id, value } = JSON.parse(String(chunk));
        got.push(`${id} ${value}`);
        done();
      }
    },
  });
  return { sink: ndjsonSink(to), got };
}

describe("a source that cannot go back", () => {
  test.each([
    ["an iterable", () => [1, 2, 3, 4, 5]],
    ["an Arrow stream", () => arrow(arrowFile)],
    ["a Readable", () => ndjson(Readable.from(['{"value":1}\n{"value":2}\n']), { name: "in" })],
  ])("%s: a checkpoint of it is refused, for started again it could give the same again", (_, source) => {
    const ignore = callbackSink(() => {});
    expect(() => run(source(), fresh(), ignore)).toThrow(expect.objectContaining({ code: "ERR_FOURFOLD_SOURCE" }));
  });

  test("a listener goes on with what comes: windows that were open keep what they had", async () => {
    const dir = fresh();
    const values: number[] = [];
    for (const [body, expected] of [
      ['{"value":1}\n{"value":2}\n{"value":4}\n', [7]],
      ['{"value":8}\n{"value":16}\n', [7, 15, 16]],
    ] as const) {
      const incoming = await listen({ protocol: "http", port: 0 });
      const stream = engine.stream(chain(sum()), incoming, {
        window: { sizeRows: 4, early: { everyRows: 3 } },
        checkpoint: { dir, everyMs: 0 },
      });
      const ended = stream.to(callbackSink(({ value }) => void values.push(value)));
      const { host, port } = incoming.address;
      const answer = await fetch(`http://${host}:${port}/`, { method: "POST", headers: { "content-type": "application/x-ndjson" }, body });
      expect(answer.status).toBe(200);
      if (expected.length === 1) {
        // As a crash would leave it: the rows are in, and the window is open.
        while (stream.stats.rowsIn < 3 || values.length < 1) await new Promise(setImmediate);
        stream.close();
      }
      await incoming.close();
      await ended;
      expect(values).toEqual(expected);
    }
  });
});

describe("a sink without a position", () => {
  test("gets again, with the same ids and values, what came after the last checkpoint", async () => {
    const dir = fresh();
    const source = (): StreamSource => replayable("numbers", (from) => Array.from({ length: 40 - from }, (_, i) => from + i));
    const first = limited(4);
    expect(await failing(() => run(source(), dir, first.sink))).toMatchObject({ code: "ERR_FOURFOLD_OUTPUT" });
    const second = limited(100);
    await run(source(), dir, second.sink);
    const whole = limited(100);
    await run(source(), fresh(), whole.sink);
    expect(new Set([...first.got, ...second.got])).toEqual(new Set(whole.got));
    expect(whole.got.length).toBe(10);
  });

  test("a callback that fails is given its result again", async () => {
    const dir = fresh();
    const source = (): StreamSource => replayable("numbers", (from) => Array.from({ length: 20 - from }, (_, i) => from + i));
    const ids: string[] = [];
    const flaky = callbackSink(({ id }) => {
      ids.push(id);
      if (ids.length === 3) throw new Error("the table is locked");
    });
    expect(await failing(() => run(source(), dir, flaky))).toMatchObject({ code: "ERR_FOURFOLD_OUTPUT", given: ids[2] });
    await run(source(), dir, flaky);
    expect(ids.filter((id) => id === ids[2]).length).toBe(2);
    expect(new Set(ids).size).toBe(5);
  });
});
