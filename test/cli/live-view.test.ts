// The live view: lines from states, a screen from lines, a rate from samples. No clock, no terminal.
import { describe, expect, test } from "vitest";
import { type LiveState, liveView, streamTable } from "../../src/cli/live-view.ts";
import { Rate } from "../../src/cli/stream-rate.ts";
import { openScreen } from "../../src/cli/stream-screen.ts";
import type { LevelView, Node } from "../../src/reduce/result.ts";

const node = (path: readonly string[], value: number, count: number): Node => ({
  key: path.at(-1)!,
  path,
  value,
  values: [value],
  count,
  weight: undefined,
  children: () => [],
});

const STATES = [
  node(["AK"], 9.5, 20),
  node(["CO"], -0.25, 1500),
  node(["\x1b[2J"], 12, 3),
  node(["GA"], Number.NaN, 0),
  node(["WY"], 0.5, 446),
];

const state = (changes: Partial<LiveState> = {}): LiveState => ({
  title: "flights-live.json",
  stats: {
    rowsIn: 1_234_567,
    resultsOut: 12,
    late: 3,
    dropped: 0,
    rejected: 4,
    queueRows: 2048,
    queueBytes: 65_536,
    batches: 9,
    batchRows: 512,
    batchRowsMax: 65_536,
    latencyMs: { p50: 0.30521, p99: 2.5, p999: 1234 },
    watermark: Date.UTC(2001, 1, 3, 4, 5, 6, 789),
    openWindows: 1,
    openNodes: 3399,
    weightsVersion: 2,
    checkpoints: 0,
    checkpointAt: undefined,
    sources: [],
  },
  rowsPerSecond: 50_123.4,
  eventTime: Date.UTC(2001, 1, 3, 4, 5, 6),
  axis: "time",
  result: {
    pane: { start: 0, end: 60_000, index: 1, timing: "early", isLast: false, discarding: false },
    values: Float64Array.of(5.25),
    records: 1000,
    level: () => STATES as unknown as LevelView,
  },
  level: "state",
  top: 10,
  best: "highest",
  ...changes,
});
const space = { columns: 100, rows: 30, colour: false };

describe("liveView(state, space)", () => {
  test("shows the newest result, the counts, and the first nodes of the level; text of the data moves no cursor", () => {
    expect(liveView(state(), space)).toEqual([
      "flights-live.json  2001-02-03 04:05:06",
      "answer    5.2500000000000000",
      "bits      4015000000000000",
      "window    1970-01-01 00:00:00 to 1970-01-01 00:01:00, firing 2, early",
      "rows      1,234,567, 50,123 a second",
      "results   12, late 3, rejected 4, dropped 0",
      "queue     2,048 rows, batch 512 of at most 65,536",
      "latency   p50 0.305 ms, p99 2.50 ms, p99.9 1.23 s",
      "watermark 2001-02-03 04:05:06, 1 window open, 3,399 nodes, weights version 2",
      "",
      "highest states",
      "  \\u001b[2J  12.000000000000000        3 records",
      "  AK          9.5000000000000000      20 records",
      "  WY          0.50000000000000000    446 records",
      "  CO         -0.25000000000000000  1,500 records",
    ]);
  });

  test("before the first result, and without latencies, times or windows", () => {
    const { stats } = state();
    const empty = {
      ...stats,
      latencyMs: { p50: Number.NaN, p99: Number.NaN, p999: Number.NaN },
      watermark: Number.NEGATIVE_INFINITY,
      openWindows: 0,
    };
    const lines = liveView(state({ result: undefined, stats: empty, eventTime: undefined }), space);
    expect(lines[0]).toBe("flights-live.json");
    expect(lines[1]).toBe("answer    none yet");
    expect(lines.slice(-2)).toEqual(["latency   none yet", "watermark none, 0 windows open, 3,399 nodes, weights version 2"]);
  });

  test("a window of records, one window, several values, the lowest first", () => {
    const { result } = state();
    const pane = { ...result!.pane!, start: 1000, end: 1100, isLast: true, timing: "on-time" as const };
    const rowsWindow = liveView(
      state({ axis: "rows", result: { ...result!, pane, values: Float64Array.of(1, 2, 3) }, best: "lowest", top: 2 }),
      space,
    );
    expect(rowsWindow.slice(1, 3)).toEqual(["answer    3 values", "window    records 1,000 to 1,099, firing 2, on-time, the last"]);
    expect(rowsWindow.slice(-3).map((line) => line.slice(0, 6).trim())).toEqual(["lowest", "CO", "WY"]);
    expect(liveView(state({ axis: "none" }), space)[3]).toBe("window    all records, firing 2, early");
  });

  test("it is no wider and no higher than the terminal, down to nothing", () => {
    for (const [columns, rows] of [
      [20, 30],
      [100, 13],
      [100, 10],
      [100, 4],
      [1, 1],
      [3, 0],
    ] as const) {
      const lines = liveView(state(), { columns, rows, colour: false });
      expect(lines.length).toBeLessThanOrEqual(rows);
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
    }
    expect(liveView(state(), { ...space, rows: 13 }).at(-1)).toMatch(/^ {2}AK/);
    expect(liveView(state(), { ...space, rows: 11 }).at(-1)).toMatch(/^watermark/);
  });

  test("colours are around whole lines only", () => {
    const lines = liveView(state(), { ...space, colour: true });
    expect(lines[1]).toBe("\x1b[1manswer    5.2500000000000000\x1b[22m");
    expect(lines.map((line) => line.replaceAll("\x1b[1m", "").replaceAll("\x1b[22m", ""))).toEqual(liveView(state(), space));
  });

  test("of a level of many nodes it finds the first without sorting them all", () => {
    const many = Array.from({ length: 20_000 }, (_, i) => node([`n${i}`], (i * 7919) % 20_011, 1));
    const { result } = state();
    const lines = liveView(state({ result: { ...result!, level: () => many as unknown as LevelView }, top: 3 }), space);
    const expected = many.toSorted((a, b) => b.value - a.value).slice(0, 3);
    expect(lines.slice(-3).map((line) => line.trim().split(" ")[0])).toEqual(expected.map(({ key }) => key));
  });
});

test("streamTable(state) is what is left at the end", () => {
  expect(streamTable(state({ top: 1 }), false)).toBe(`answer    5.2500000000000000
bits      4015000000000000
window    1970-01-01 00:00:00 to 1970-01-01 00:01:00, firing 2, early
rows      1,234,567, 50,123 a second
results   12, late 3, rejected 4, dropped 0
latency   p50 0.305 ms, p99 2.50 ms, p99.9 1.23 s

highest states
  \\u001b[2J  12.000000000000000  3 records
`);
  expect(streamTable(state({ result: undefined }), false)).toMatch(/^answer {4}none yet\nrows/);
});

describe("openScreen(terminal, view)", () => {
  const terminal = () => {
    const listeners = new Set<() => void>();
    let written = "";
    return {
      columns: 80,
      rows: 24,
      write: (text: string) => {
        written += text;
      },
      on: (_: "resize", draw: () => void) => listeners.add(draw),
      off: (_: "resize", draw: () => void) => listeners.delete(draw),
      taken: () => {
        const text = written;
        written = "";
        return text;
      },
      listeners,
    };
  };

  test("draws on the second screen without clearing it, again at each new size, and leaves no trace", () => {
    const before = process.listenerCount("exit");
    const screen = terminal();
    const view = openScreen(screen, (columns, rows) => [`${columns}`, `${rows}`]);
    const frame = (columns: number, rows: number): string => `\x1b[?2026h\x1b[H${columns}\x1b[K\r\n${rows}\x1b[K\x1b[J\x1b[?2026l`;
    expect(screen.taken()).toBe(`\x1b[?1049h\x1b[?25l${frame(80, 24)}`);
    screen.columns = 40;
    for (const draw of screen.listeners) draw();
    expect(screen.taken()).toBe(frame(40, 24));
    view.close();
    view.close();
    expect(screen.taken()).toBe("\x1b[?25h\x1b[?1049l");
    expect([screen.listeners.size, process.listenerCount("exit") - before]).toEqual([0, 0]);
  });

  test("gives the terminal back when the process ends in its midst", () => {
    const screen = terminal();
    const others = new Set(process.listeners("exit"));
    const view = openScreen(screen, () => []);
    screen.taken();
    const [own] = process.listeners("exit").filter((listener) => !others.has(listener));
    own!(0);
    expect(screen.taken()).toBe("\x1b[?25h\x1b[?1049l");
    view.close();
    expect(screen.taken()).toBe("");
  });
});

test("Rate.at(now, rows) is rows a second over the last two seconds", () => {
  const rate = new Rate();
  expect(rate.at(1000, 50)).toBe(0);
  expect(rate.at(1500, 550)).toBe(1000);
  expect(rate.at(3000, 2050)).toBe(1000);
  expect(rate.at(3500, 2050)).toBe(750);
  expect(rate.at(10_000, 2050)).toBe(0);
});
