/**
 * Batch = stream: whatever the cuts into batches, the order of arrival (within what the watermark allows), and the restarts from checkpoints,
 * the last firing of each window has the bits of one batch run over its records (contract clauses 1, 3, 4 and 14).
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type Chain,
  chain,
  count,
  createEngine,
  type Engine,
  max,
  mean,
  min,
  type RecordItem,
  type StreamResult,
  sum,
  variance,
  type WindowOptions,
  weightedMean,
  weightedSum,
} from "../../src/index.ts";
import { replayable } from "../../src/stream/items.ts";
import { random } from "../random.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ workers: 0 });
});
afterAll(() => engine.close());

const CHAINS: Readonly<Record<string, (perNode: Float64Array | number[]) => Chain>> = {
  "weighted records": (perNode) => chain({ site: weightedMean({ perNode }), region: mean(), fleet: weightedSum("count") }),
  "sums of products": (perNode) => chain({ site: weightedSum({ perNode }), region: weightedMean("count"), fleet: max() }),
  variances: () => chain({ site: variance(), region: max(), fleet: sum() }),
  extremes: () => chain({ site: min(), region: weightedMean("count"), fleet: variance({ ddof: 1 }) }),
  "weights by key": () => chain({ site: sum(), region: weightedSum({ byKey: { a: 0.1, b: -7 }, missing: 1 / 3 }), fleet: count() }),
};

interface Case {
  readonly seed: number;
  readonly records: number;
  readonly name: string;
  readonly flavour: string;
  readonly nan: "propagate" | "skip";
  readonly accuracy: "reproducible" | "exact";
  readonly window: WindowOptions;
  readonly disorderMs: number;
  readonly rowsMax: number;
  readonly cuts: readonly number[];
}

const windows = fc.oneof(
  fc.record({ sizeMs: fc.constantFrom(1, 50, 333), latenessMsMax: fc.constantFrom(0, 100) }),
  fc.record({
    sizeMs: fc.constant(120),
    everyMs: fc.constantFrom(120, 40, 50, 7),
    offsetMs: fc.constantFrom(0, 13),
    latenessMsMax: fc.constantFrom(0, 60),
  }),
  fc.record({ sizeRows: fc.constantFrom(1, 10, 64), everyRows: fc.constant(1) }),
  fc.record({ sizeRows: fc.constantFrom(16, 100) }),
  fc.constant({}),
);

const cases = fc.record<Case>({
  seed: fc.integer(),
  records: fc.integer({ min: 0, max: 400 }),
  name: fc.constantFrom(...Object.keys(CHAINS)),
  flavour: fc.constantFrom("plain", "cancelling", "specials", "integers", "zeros"),
  nan: fc.constantFrom("propagate", "skip"),
  accuracy: fc.constantFrom("reproducible", "exact"),
  window: windows,
  disorderMs: fc.constantFrom(0, 10, 80),
  rowsMax: fc.constantFrom(1, 2, 17, 1000),
  cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 4 }),
});

interface Row {
  readonly record: RecordItem & { readonly time: number; readonly weight: number; readonly path: readonly string[] };
  readonly position: number;
}

/** Records in their order of arrival: none comes later than `disorderMs` after one with a later time. */
function rowsOf({ seed, records, flavour, disorderMs }: Case): Row[] {
  const draw = random(seed);
  const values = draw.numbers(records, flavour);
  const weights = draw.numbers(records, "plain");
  const keys = ["a", "b", "c", "d"];
  return Array.from({ length: records }, (_, i) => {
    const time = i * 3 + draw.int(5);
    const record = { value: values[i]!, weight: weights[i]!, time, path: [draw.pick(keys), draw.pick(keys)] };
    return { record, arrives: time + draw.next() * disorderMs };
  })
    .sort((a, b) => a.arrives - b.arrives)
    .map(({ record }, position) => ({ record, position }));
}

/** The rows of a window, by the definition: half-open, by time or by position. */
function rowsIn(rows: readonly Row[], window: WindowOptions, start: number, end: number): Row[] {
  const at = ({ record, position }: Row): number => (window.sizeMs === undefined ? position : record.time);
  return rows.filter((row) => at(row) >= start && at(row) < end);
}

/** All windows that hold a row. */
function windowsOf(
  rows: readonly Row[],
  { sizeMs, everyMs = sizeMs, offsetMs = 0, sizeRows, everyRows = sizeRows }: WindowOptions,
): Set<string> {
  const size = sizeMs ?? sizeRows ?? Number.POSITIVE_INFINITY;
  const every = (everyMs ?? everyRows)!;
  const found = new Set<string>();
  for (const { record, position } of rows) {
    if (size === Number.POSITIVE_INFINITY) found.add("-Infinity..Infinity");
    else {
      const at = sizeMs === undefined ? position : record.time;
      for (let start = Math.floor((at - offsetMs) / every) * every + offsetMs; start > at - size; start -= every)
        found.add(`${start}..${start + size}`);
    }
  }
  return found;
}

async function streamed(given: Case, rows: readonly Row[]): Promise<Map<string, StreamResult>> {
  const { name, window, nan, accuracy, rowsMax, disorderMs } = given;
  const weighted = name === "weighted records" || name === "sums of products";
  const dir = mkdtempSync(join(tmpdir(), "fourfold-equal-"));
  const stops = given.cuts.map((cut) => Math.floor(cut * rows.length)).sort((a, b) => a - b);
  const results = new Map<string, StreamResult>();
  try {
    for (let attempt = 0; ; attempt++) {
      const stopAt = stops[attempt];
      const source = replayable("log", function* (from) {
        for (let i = from; i < rows.length; i++) {
          if (i === stopAt) throw new Error("stopped");
          const { weight, ...record } = rows[i]!.record;
          yield weighted ? { ...record, weight } : record;
        }
      });
      const timed = window.sizeMs !== undefined;
      const stream = engine.stream(CHAINS[name]!([]), source, {
        keys: ["region", "site"],
        window: timed ? { ...window, outOfOrderMsMax: disorderMs } : window,
        nan,
        accuracy,
        rowsMax,
        queueRowsMax: rowsMax,
        keep: "all",
        checkpoint: { dir, everyMs: given.cuts.length > 0 ? 5 : 1000 },
      });
      try {
        await stream.to((result) => void results.set(`${result.pane!.start}..${result.pane!.end}`, result));
        expect(stream.stats).toMatchObject({ rowsIn: rows.length, late: 0, rejected: 0, dropped: 0 });
        return results;
      } catch (error) {
        if ((error as Error).message !== "stopped") throw error;
      }
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
}

test("the last firing of every window has the bits of a batch run over its records", async () => {
  await fc.assert(
    fc.asyncProperty(cases, async (given) => {
      const rows = rowsOf(given);
      const results = await streamed(given, rows);
      expect(new Set(results.keys())).toEqual(windowsOf(rows, given.window));
      for (const result of results.values()) {
        const { start, end } = result.pane!;
        const mine = rowsIn(rows, given.window, start, end).map(({ record }) => record);
        expect(result.records).toBe(mine.length);
        const values = mine.map(({ value }) => value);
        const weights = mine.map(({ weight }) => weight);
        const keys = { region: mine.map(({ path }) => path[0]!), site: mine.map(({ path }) => path[1]!) };
        const { nan, accuracy } = given;
        const batch = engine.runSync(CHAINS[given.name]!(weights), { values, keys }, { nan, accuracy, keep: "all" });
        for (const level of ["site", "region", "fleet"]) {
          const nodes = [...result.level(level)].map(({ path, value, count: n }) => [path, value, n]);
          expect(nodes).toStrictEqual([...batch.level(level)].map(({ path, value, count: n }) => [path, value, n]));
        }
      }
    }),
    { numRuns: Number(process.env["FOURFOLD_RUNS"] ?? 100) / 2 },
  );
});
