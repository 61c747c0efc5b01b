/** Random streams: whatever the windows, the arrival, the cuts and the restarts, a pane has the bits of its records (contract clauses 3, 4, 10, 14). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  chain,
  count,
  createState,
  FourfoldError,
  type Key,
  max,
  mean,
  min,
  type Reduction,
  sum,
  variance,
  weightedMean,
  weightedSum,
} from "../../src/index.ts";
import { ByteReader } from "../../src/reduce/bytes.ts";
import { levelView } from "../../src/reduce/result.ts";
import type { WindowOptions } from "../../src/stream/windowing.ts";
import type { Fired } from "../../src/stream/windows.ts";
import { random } from "../random.ts";
import { damaged, distinct } from "../states.ts";
import { bytesOf, restarted, type ScriptSetup, windowsOf } from "./script.ts";

const RUNS = Math.max(150, Number(process.env["FOURFOLD_RUNS"] ?? 0));

const LEAVES: Readonly<Record<string, () => Reduction>> = {
  sum,
  mean,
  min,
  max,
  count,
  variance,
  distinct,
  weightedSum: () => weightedSum({ perNode: [] }),
  weightedMean: () => weightedMean({ perNode: [] }),
};
const OUTER: Readonly<Record<string, () => Reduction>> = {
  sum,
  mean,
  min,
  max,
  variance,
  distinct,
  byCount: () => weightedMean("count"),
};

interface Row {
  readonly source: number;
  readonly time: number;
  readonly keys: readonly Key[];
  readonly x: number;
  readonly w: number;
}

interface Case {
  readonly setup: ScriptSetup & { readonly chain: ReturnType<typeof chain>; readonly keys: readonly string[] };
  readonly rows: readonly Row[];
  /** Sizes of batches, over and over. */
  readonly cuts: readonly number[];
}

const value = fc.oneof(
  { arbitrary: fc.integer({ min: -9, max: 9 }), weight: 2 },
  { arbitrary: fc.double(), weight: 2 },
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 5e-324, 1e308, 0.1),
);
const key = fc.constantFrom<Key>("a", "b", "c", 1, 2n, null, true);
const row = fc.record({
  source: fc.nat(1),
  step: fc.nat(4),
  back: fc.oneof({ arbitrary: fc.constant(0), weight: 3 }, fc.nat(25)),
  keys: fc.tuple(key, fc.constantFrom<Key>("x", "y"), fc.constantFrom<Key>(1, 2)),
  x: value,
  w: value,
});
const size = fc.integer({ min: 1, max: 12 });
const maybe = (n: fc.Arbitrary<number>) => fc.option(n, { nil: undefined, freq: 1 });

const drawn = fc.record({
  leaf: fc.constantFrom(...Object.keys(LEAVES)),
  outer: fc.array(fc.constantFrom(...Object.keys(OUTER)), { maxLength: 3 }),
  depth: fc.nat(3),
  nan: fc.constantFrom("propagate" as const, "skip" as const),
  accuracy: fc.constantFrom("reproducible" as const, "exact" as const),
  nullKeys: fc.constantFrom("skip" as const, "group" as const),
  axis: fc.constantFrom("time" as const, "time" as const, "time" as const, "rows" as const, "none" as const),
  size,
  every: maybe(size),
  offset: fc.integer({ min: -20, max: 20 }),
  lateness: fc.constantFrom(0, 0, 3, 20),
  outOfOrder: fc.constantFrom(0, 4, 100),
  earlyRows: maybe(fc.integer({ min: 1, max: 4 })),
  lateRows: maybe(fc.integer({ min: 1, max: 3 })),
  from: fc.integer({ min: -30, max: 30 }),
  sources: fc.integer({ min: 1, max: 2 }),
  rows: fc.array(row, { maxLength: 60 }),
  cuts: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 6 }),
});

/** A case; `more` goes before what was drawn for its windows. */
const cases = (more: WindowOptions = {}, leaf?: string): fc.Arbitrary<Case> =>
  drawn.map((d) => {
    const { axis, earlyRows, lateRows } = d;
    const every = Math.min(d.size, d.every ?? d.size);
    const window: WindowOptions = {
      ...(axis === "time" && { sizeMs: d.size, everyMs: every, offsetMs: d.offset, latenessMsMax: d.lateness }),
      ...(axis === "rows" && { sizeRows: d.size, everyRows: every }),
      outOfOrderMsMax: d.outOfOrder,
      ...(earlyRows && { early: { everyRows: earlyRows } }),
      ...(lateRows && { late: { everyRows: lateRows } }),
      ...more,
    };
    let at = d.from;
    const rows = d.rows.map(({ source, step, back, keys, x, w }): Row => {
      at += step;
      return { source: source % d.sources, time: at - back, keys, x: leaf === undefined ? x : Math.trunc(x % 1000) || 0, w };
    });
    return {
      setup: {
        window,
        chain: chain(LEAVES[leaf ?? d.leaf]!(), ...d.outer.map((name) => OUTER[name]!())),
        keys: ["first", "second", "third"].slice(0, d.depth),
        policy: { nan: d.nan, accuracy: d.accuracy, nullKeys: d.nullKeys },
        sources: "ab".slice(0, d.sources),
      },
      rows,
      cuts: d.cuts,
    };
  });

const isWeighted = ({ chain }: Case["setup"]): boolean => chain.levels[0]!.reduction.weights !== undefined;

const columns = ({ keys }: Case["setup"], rows: readonly Row[]): Key[][] => keys.map((_, i) => rows.map((row) => row.keys[i]!));

interface Run {
  readonly fired: readonly Fired[];
  /** Numbers of rows. */
  readonly late: ReadonlySet<number>;
}

/** Plays a case; with `restarts` windows go through bytes now and then. */
function run({ setup, rows, cuts }: Case, restarts = false): Run {
  let windows = windowsOf(setup);
  const fired: Fired[] = [];
  const late = new Set<number>();
  const take = (): void => {
    fired.push(...windows.take());
    if (restarts) windows = restarted(windows, setup);
  };
  for (let from = 0, cut = 0; from < rows.length; cut++) {
    let to = from + 1;
    while (to < rows.length && to < from + cuts[cut % cuts.length]! && rows[to]!.source === rows[from]!.source) to++;
    const some = rows.slice(from, to);
    const refused = windows.add(
      some[0]!.source,
      {
        rows: some.length,
        values: some.map(({ x }) => x),
        keys: columns(setup, some),
        times: some.map(({ time }) => time),
        weights: isWeighted(setup) ? some.map(({ w }) => w) : undefined,
      },
      0,
    );
    for (const { row, why } of refused) {
      expect(why).toBe("late");
      late.add(from + row);
    }
    from = to;
    take();
  }
  expect(windows.late).toBe(late.size);
  for (let source = 0; source < setup.sources!.length; source++) windows.endOf(source);
  take();
  expect([windows.openWindows, windows.openNodes]).toEqual([0, 0]);
  return { fired, late };
}

/** Which rows are in which window, by the definition of windows and watermarks; and which are late. */
function model({ setup, rows }: Case): { readonly windows: ReadonlyMap<number, number[]>; readonly late: ReadonlySet<number> } {
  const { sizeMs, sizeRows, offsetMs = 0, latenessMsMax = 0, outOfOrderMsMax = 0, everyMs, everyRows } = setup.window;
  const size = sizeMs ?? sizeRows;
  const every = everyMs ?? everyRows ?? size;
  const isSkipped = ({ keys }: Row): boolean => setup.policy!.nullKeys === "skip" && setup.keys.some((_, i) => keys[i] === null);
  const windows = new Map<number, number[]>();
  const late = new Set<number>();
  const latest = Array.from(setup.sources!, () => Number.NEGATIVE_INFINITY);
  let watermark = Number.NEGATIVE_INFINITY;
  let position = 0;
  rows.forEach((row, number) => {
    const at = sizeRows === undefined ? row.time : position;
    const starts: number[] = [];
    if (size === undefined || every === undefined) starts.push(Number.NEGATIVE_INFINITY);
    else
      for (let start = -1000 * every + offsetMs; start <= at; start += every)
        if (at < start + size && !(sizeMs !== undefined && start + size + latenessMsMax <= watermark)) starts.push(start);
    if (starts.length === 0) {
      late.add(number);
      return;
    }
    position++;
    if (!isSkipped(row)) for (const start of starts) windows.set(start, [...(windows.get(start) ?? []), number]);
    latest[row.source] = Math.max(latest[row.source]!, row.time - outOfOrderMsMax);
    watermark = Math.max(watermark, Math.min(...latest));
  });
  return { windows, late };
}

/** All that a pane says, for comparison. */
function contents({ closed }: Pick<Fired, "closed">, { chain: { levels } }: Case["setup"]): unknown {
  const views = levels.map(({ name }) => [...levelView({ ...closed, leaves: undefined }, name)].map(nodeText));
  return { records: closed.records, values: [...closed.outermost.values], views };
}

const nodeText = ({ path, value, values, count }: { path: readonly Key[]; value: number; values: readonly number[]; count: number }) => [
  path.map(String),
  value,
  [...values],
  count,
];

/** What a state of these rows gives, which is what a run over them gives. */
function expected({ setup, rows }: Case, numbers: readonly number[]): unknown {
  const some = numbers.map((number) => rows[number]!);
  const state = createState(setup.chain, { keys: setup.keys, ...setup.policy });
  const keyColumns = columns(setup, some);
  state.add({
    values: some.map(({ x }) => x),
    keys: Object.fromEntries(setup.keys.map((name, i) => [name, keyColumns[i]!])),
    ...(isWeighted(setup) && { weights: some.map(({ w }) => w) }),
  });
  const result = state.finish({ keep: "all" });
  return {
    records: result.records,
    values: [...result.values],
    views: setup.chain.levels.map(({ name }) => [...result.level(name)].map(nodeText)),
  };
}

function lastPanes(fired: readonly Fired[]): Map<number, Fired> {
  return new Map(fired.map((one) => [one.pane.start, one]));
}

const sorted = (numbers: Iterable<number>): number[] => [...numbers].sort((a, b) => (a < b ? -1 : 1));

const text = ({ fired, late }: Run, setup: Case["setup"]): unknown => ({
  fired: fired.map((one) => ({ pane: one.pane, watermark: one.watermark, ...(contents(one, setup) as object) })),
  late: sorted(late),
});

describe("random streams", () => {
  test("the last accumulating pane of a window has the values of a state of its records; all others are late", () => {
    fc.assert(
      fc.property(cases(), (given) => {
        const { fired, late } = run(given);
        const wanted = model(given);
        expect(sorted(late)).toEqual(sorted(wanted.late));
        const last = lastPanes(fired);
        expect(sorted(last.keys())).toEqual(sorted(wanted.windows.keys()));
        for (const [start, numbers] of wanted.windows) expect(contents(last.get(start)!, given.setup)).toEqual(expected(given, numbers));
      }),
      { numRuns: 2 * RUNS },
    );
  });

  test("panes come in order: early ones, one on time, late ones; the last one ends them", () => {
    fc.assert(
      fc.property(cases(), (given) => {
        const { fired } = run(given);
        const windows = new Map<number, Fired[]>();
        for (const one of fired) windows.set(one.pane.start, [...(windows.get(one.pane.start) ?? []), one]);
        for (const panes of windows.values()) {
          const timings = panes.map(({ pane }) => pane.timing);
          expect(timings.join(" ")).toMatch(/^(early )*on-time( late)*$|^late( late)*$/);
          expect(panes.map(({ pane }) => pane.index)).toEqual(panes.map((_, i) => i));
          expect(panes.slice(0, -1).some(({ pane }) => pane.isLast)).toBe(false);
          for (const { pane, watermark } of panes) {
            expect(pane.timing === "early").toBe(watermark < pane.end);
            expect(pane.isLast).toBe(pane.end + (given.setup.window.latenessMsMax ?? 0) <= watermark);
          }
        }
      }),
      { numRuns: RUNS },
    );
  });

  test("discarding panes add up to what accumulating ones hold", () => {
    fc.assert(
      fc.property(cases({ panes: "discarding" }, "sum"), (given) => {
        const { fired, late } = run(given);
        const wanted = model(given);
        expect(sorted(late)).toEqual(sorted(wanted.late));
        const held = new Map<number, { records: number; nodes: Map<string, number> }>();
        for (const { pane, closed } of fired) {
          const window = held.get(pane.start) ?? { records: 0, nodes: new Map<string, number>() };
          held.set(pane.start, window);
          window.records += closed.records;
          const nodes = levelView({ ...closed, leaves: undefined }, "f");
          // Only the pane on time may be without records.
          if (pane.timing !== "on-time") expect(closed.records).toBeGreaterThan(0);
          for (const { path, value } of nodes) window.nodes.set(path.join(), (window.nodes.get(path.join()) ?? 0) + value);
        }
        expect(sorted(held.keys())).toEqual(sorted(wanted.windows.keys()));
        for (const [start, numbers] of wanted.windows) {
          const nodes = new Map<string, number>();
          for (const { keys, x } of numbers.map((number) => given.rows[number]!)) {
            const path = keys.slice(0, given.setup.keys.length).join();
            nodes.set(path, (nodes.get(path) ?? 0) + x);
          }
          expect(held.get(start)!.records).toBe(numbers.length);
          expect(new Map([...held.get(start)!.nodes].sort())).toEqual(new Map([...nodes].sort()));
        }
      }),
      { numRuns: RUNS },
    );
  });

  test.each(["accumulating", "discarding"] as const)("windows that go through bytes give the same %s panes", (panes) => {
    fc.assert(
      fc.property(cases({ panes }), (given) => {
        expect(text(run(given, true), given.setup)).toEqual(text(run(given), given.setup));
      }),
      { numRuns: RUNS },
    );
  });

  test("other cuts give the same panes, where late records fire by number", () => {
    fc.assert(
      fc.property(cases({ late: { everyRows: 2 } }), fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }), (given, cuts) => {
        // Early panes of one take() are in order of window, so all are taken at the end here.
        const [one, two] = [given, { ...given, cuts }].map((some) => {
          const { fired, late } = run(some);
          return {
            late: sorted(late),
            fired: fired
              .map((pane) => text({ fired: [pane], late: new Set() }, given.setup))
              .map((pane) => JSON.stringify(pane, (_, x) => (typeof x === "number" ? String(x) : x)))
              .sort(),
          };
        });
        expect(two).toEqual(one);
      }),
      { numRuns: RUNS },
    );
  });

  test("damaged bytes are a FourfoldError, or windows that go on", () => {
    fc.assert(
      fc.property(cases(), fc.nat(), fc.nat(60), (given, seed, upTo) => {
        const windows = windowsOf(given.setup);
        const { rows, setup } = given;
        for (const row of rows.slice(0, upTo))
          windows.add(
            row.source,
            {
              rows: 1,
              values: [row.x],
              keys: columns(setup, [row]),
              times: [row.time],
              weights: isWeighted(setup) ? [row.w] : undefined,
            },
            0,
          );
        windows.take();
        const r = random(seed);
        const bytes = bytesOf(windows);
        for (let i = 0; i < 20; i++) {
          const again = windowsOf(setup);
          try {
            again.read(new ByteReader(damaged(r, bytes, false)));
            for (let source = 0; source < setup.sources!.length; source++) again.endOf(source);
            again.take();
          } catch (error) {
            if (!(error instanceof FourfoldError)) throw error;
          }
        }
      }),
      { numRuns: RUNS },
    );
  });
});
