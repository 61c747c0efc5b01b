/** Windows, watermarks and triggers: scripts that say for each rule of docs/event-time.md what comes in and what is fired. */
import { describe, expect, test } from "vitest";
import { chain, max, mean, sum, weightedMean, weightedSum } from "../../src/index.ts";
import { distinct } from "../states.ts";
import { play, type ScriptSetup, tidy, windowsOf } from "./script.ts";

const SCRIPTS: Readonly<Record<string, readonly [ScriptSetup, string]>> = {
  "a window fires once the watermark, the latest event time, passes its end": [
    { window: { sizeMs: 10 } },
    `
      a: x@1=1 x@9.5=2
      a: y@3=4
      a: x@10=8
        [0,10) on-time 0 last: x=3 y=4
      end a
        [10,20) on-time 0 last: x=8
    `,
  ],
  "a window is half-open: its end belongs to the next one": [
    { window: { sizeMs: 10 } },
    `
      a: x@10=1 x@0=2 x@9.999=4
        late x@0
        late x@9.999
      a: x@20=8
        [10,20) on-time 0 last: x=1
    `,
  ],
  "windows lie on multiples of their period, plus an offset, before 1970 too": [
    { window: { sizeMs: 10, offsetMs: 3 } },
    `
      a: x@-18=1 x@-17=2 x@-7=3 x@2.5=4 x@3=5
        [-27,-17) on-time 0 last: x=1
        [-17,-7) on-time 0 last: x=2
        [-7,3) on-time 0 last: x=7
    `,
  ],
  "an offset and the same offset plus periods are one": [
    { window: { sizeMs: 10, offsetMs: -17 } },
    `
      a: x@3=5 x@13=1
        [3,13) on-time 0 last: x=5
    `,
  ],
  "a time just below a start is in the window before it, however it is rounded on the way": [
    { window: { sizeMs: 10, offsetMs: -7 } },
    `
      a: x@2.9999999999999996=1 x@3=2
        [-7,3) on-time 0 last: x=1
    `,
  ],
  "and in windows that are closed only when the watermark has passed their lateness, not just before": [
    { window: { sizeMs: 10, offsetMs: -7, latenessMsMax: 7 } },
    `
      a: x@1=1 x@9.999999999999998=2 x@2=4
        [-7,3) on-time 0: x=1
        [-7,3) late 1: x=5
    `,
  ],
  "windows without records do not fire": [
    { window: { sizeMs: 10 } },
    `
      a: x@1=1 x@1000=2
        [0,10) on-time 0 last: x=1
      end a
        [1000,1010) on-time 0 last: x=2
    `,
  ],
  "the watermark waits for records out of order": [
    { window: { sizeMs: 10, outOfOrderMsMax: 5 } },
    `
      a: x@10=1 x@5=2
      a: x@14.5=4 x@9.5=8
      a: x@15=16
        [0,10) on-time 0 last: x=10
      a: x@9=32
        late x@9
    `,
  ],
  "a row meets the watermark of the rows before it, in one batch or in two": [
    { window: { sizeMs: 10 } },
    `
      a: x@1=1 x@12=2 x@2=4
        late x@2
        [0,10) on-time 0 last: x=1
    `,
  ],
  "late records are let in for as long as lateness allows, and fire the window again, once for a batch": [
    { window: { sizeMs: 10, latenessMsMax: 10 } },
    `
      a: x@1=1 x@12=2
        [0,10) on-time 0: x=1
      a: x@3=4 y@4=8
        [0,10) late 1: x=5 y=8
      a: x@19.5=16 x@9=32
        [0,10) late 2: x=37 y=8
      a: x@20=64
        [10,20) on-time 0: x=18
      a: x@9=128
        late x@9
    `,
  ],
  "late records that wait for others fire when their window closes": [
    { window: { sizeMs: 10, latenessMsMax: 10, late: { everyRows: 2 } } },
    `
      a: x@1=1 x@12=2
        [0,10) on-time 0: x=1
      a: x@2=4 x@3=8 x@4=16
        [0,10) late 1: x=13
      a: x@20=0
        [0,10) late 2 last: x=29
        [10,20) on-time 0: x=2
    `,
  ],
  "a pane is the last one where the watermark passes lateness at one go": [
    { window: { sizeMs: 10, latenessMsMax: 10 } },
    `
      a: x@1=1 x@25=2
        [0,10) on-time 0 last: x=1
      end a
        [20,30) on-time 0 last: x=2
    `,
  ],
  "a window whose first record is late has late panes alone": [
    { window: { sizeMs: 10, latenessMsMax: 10 } },
    `
      a: x@15=1
      a: y@5=2
        [0,10) late 0: y=2
      a: y@6=2
        [0,10) late 1: y=4
    `,
  ],
  "late rows of a batch that also closes their window fire once, as the last pane": [
    { window: { sizeMs: 10, latenessMsMax: 5 } },
    `
      a: x@1=1 x@12=2 x@2=4 x@15=8 x@3=16
        late x@3
        [0,10) on-time 0: x=1
        [0,10) late 1 last: x=5
    `,
  ],
  "a window closes at the row that brings the watermark there: later rows of the batch are not in it": [
    { window: { sizeMs: 10, everyMs: 5, latenessMsMax: 3 } },
    `
      a: x@6=1 x@11=2 x@7=4 x@13.5=8 x@8=16 x@15=0
        [0,10) on-time 0: x=1
        [0,10) late 1 last: x=5
        [5,15) on-time 0: x=31
    `,
  ],
  "sliding windows overlap": [
    { window: { sizeMs: 10, everyMs: 5 } },
    `
      a: x@1=1 x@6=2 y@7=4 x@11=8
        [-5,5) on-time 0 last: x=1
        [0,10) on-time 0 last: x=3 y=4
      end a
        [5,15) on-time 0 last: x=10 y=4
        [10,20) on-time 0 last: x=8
    `,
  ],
  "sliding windows whose size is no multiple of their period": [
    { window: { sizeMs: 5, everyMs: 3 } },
    `
      a: x@0=1 x@1=2 x@2=4 x@3=8 x@4=16 x@5=32 x@9=64
        [-3,2) on-time 0 last: x=3
        [0,5) on-time 0 last: x=31
        [3,8) on-time 0 last: x=56
      end a
        [6,11) on-time 0 last: x=64
        [9,14) on-time 0 last: x=64
    `,
  ],
  "a record that is late for one sliding window is in those that are open": [
    { window: { sizeMs: 10, everyMs: 5 } },
    `
      a: x@6=1 x@11=2
        [0,10) on-time 0 last: x=1
      a: x@7=4
      a: x@4=8
        late x@4
      a: x@15=0
        [5,15) on-time 0 last: x=7
    `,
  ],
  "a late record fires all sliding windows that it is in and that are not closed": [
    { window: { sizeMs: 10, everyMs: 5, latenessMsMax: 5 } },
    `
      a: x@1=1 x@6=2 x@16=4
        [-5,5) on-time 0: x=1
        [0,10) on-time 0 last: x=3
        [5,15) on-time 0: x=2
      a: x@7=8
        [5,15) late 1: x=10
    `,
  ],
  "a node leaves a sliding window with its last record": [
    { window: { sizeMs: 10, everyMs: 5 } },
    `
      a: x@1=1 y@6=2 z@11=3 x@16=4 y@21=5
        [-5,5) on-time 0 last: x=1
        [0,10) on-time 0 last: x=1 y=2
        [5,15) on-time 0 last: y=2 z=3
        [10,20) on-time 0 last: x=4 z=3
    `,
  ],
  "what is infinite leaves a sliding window, too": [
    { window: { sizeMs: 10, everyMs: 5 }, chain: chain(sum(), sum()) },
    `
      a: x@1=Infinity x@6=0.1 x@11=0.2 x@16=0.3
        [-5,5) on-time 0 last: Infinity
        [0,10) on-time 0 last: Infinity
        [5,15) on-time 0 last: 0.30000000000000004
    `,
  ],
  "the extremes of sliding windows": [
    { window: { sizeMs: 10, everyMs: 5 }, chain: chain(max(), sum()) },
    `
      a: x@1=9 x@6=2 y@7=3 x@11=1 x@16=0
        [-5,5) on-time 0 last: 9
        [0,10) on-time 0 last: 12
        [5,15) on-time 0 last: 5
    `,
  ],
  "a user's reduction in sliding windows": [
    { window: { sizeMs: 10, everyMs: 5 }, chain: chain(distinct()) },
    `
      a: x@1=9 x@6=2 x@7=9 y@8=9 x@11=2 x@16=0
        [-5,5) on-time 0 last: x=1
        [0,10) on-time 0 last: x=2 y=1
        [5,15) on-time 0 last: x=2 y=1
    `,
  ],
  "early panes by processing time since the first record, and the pane on time even so": [
    { window: { sizeMs: 10, early: { everyMs: 100 } } },
    `
      clock 1000
      a: x@1=1
      clock 1099
      a: x@2=2
      clock 1100
        [0,10) early 0: x=3
      clock 1300
      a: x@3=4
      clock 1400
        [0,10) early 1: x=7
      a: y@10=8
        [0,10) on-time 2 last: x=7
      clock 1500
        [10,20) early 0: y=8
    `,
  ],
  "a timer that is due goes before the records that come then": [
    { window: { sizeMs: 10, early: { everyMs: 100 } } },
    `
      a: x@1=1
      clock 99
      a: x@2=2
      clock 250
        [0,10) early 0: x=3
    `,
  ],
  "early panes by records, also within a batch": [
    { window: { sizeMs: 10, early: { everyRows: 2 } } },
    `
      a: x@1=1 y@2=2 x@3=4
        [0,10) early 0: x=1 y=2
      a: x@4=8
        [0,10) early 1: x=13 y=2
      a: x@10=16
        [0,10) on-time 2 last: x=13 y=2
    `,
  ],
  "discarding panes hold what came since the last one": [
    { window: { sizeMs: 10, latenessMsMax: 10, panes: "discarding", early: { everyRows: 2 } } },
    `
      a: x@1=1 y@2=2 x@3=4
        [0,10) early 0 since: x=1 y=2
      a: x@10=8
        [0,10) on-time 1 since: x=4
      a: y@4=16
        [0,10) late 2 since: y=16
      a: y@5=32
        [0,10) late 3 since: y=32
    `,
  ],
  "the pane on time comes even if nothing came since": [
    { window: { sizeMs: 10, panes: "discarding", early: { everyRows: 2 } } },
    `
      a: x@1=1 y@2=2
        [0,10) early 0 since: x=1 y=2
      a: x@10=8
        [0,10) on-time 1 last since: none
    `,
  ],
  "discarding sliding windows: each has its own firings": [
    { window: { sizeMs: 10, everyMs: 5, latenessMsMax: 10, panes: "discarding" }, chain: chain(max()) },
    `
      a: x@1=1 x@6=2 x@11=4
        [-5,5) on-time 0 since: x=1
        [0,10) on-time 0 since: x=2
      a: x@7=8
        [0,10) late 1 since: x=8
      a: x@15=0
        [5,15) on-time 0 since: x=8
      a: x@8=3
        [0,10) late 2 since: x=3
        [5,15) late 1 since: x=3
    `,
  ],
  "windows of records need no times, and the last one may be incomplete": [
    { window: { sizeRows: 3 }, untimed: true },
    `
      a: x=1 y=2
      a: x=4 x=8 x=16 x=32 y=64
        [0,3) on-time 0 last: x=5 y=2
        [3,6) on-time 0 last: x=56
      end a
        [6,9) on-time 0 last: y=64
    `,
  ],
  "sliding windows of records, the first ones of which are incomplete": [
    { window: { sizeRows: 4, everyRows: 2 }, untimed: true },
    `
      a: x=1 x=2 x=4 x=8
        [-2,2) on-time 0 last: x=3
        [0,4) on-time 0 last: x=15
      a: x=16 x=32
        [2,6) on-time 0 last: x=60
      end a
        [4,8) on-time 0 last: x=48
    `,
  ],
  "records of all sources stand in one order, and the last window waits for all of them to end": [
    { window: { sizeRows: 2 }, untimed: true, sources: "ab" },
    `
      a: x=1
      b: y=2
        [0,2) on-time 0 last: x=1 y=2
      end a
      b: y=4
      end b
        [2,4) on-time 0 last: y=4
    `,
  ],
  "a refused record takes no position, a record without a key that is left out does": [
    { window: { sizeRows: 2 }, untimed: true, policy: { nan: "error", nullKeys: "skip" } },
    `
      a: x=NaN x=1 null=NaN x=4 x=8
        ERR_FOURFOLD_NAN x
        [0,2) on-time 0 last: x=1
        [2,4) on-time 0 last: x=12
    `,
  ],
  "one window for all, which ends with the stream": [
    { window: { early: { everyMs: 50 } }, untimed: true },
    `
      a: x=1
      clock 50
        [-Infinity,Infinity) early 0: x=1
      a: y=2
      end a
        [-Infinity,Infinity) on-time 1 last: x=1 y=2
    `,
  ],
  "one window for all has no late records, however old": [
    { window: {} },
    `
      a: x@1000000=1 x@-5=2
      end a
        [-Infinity,Infinity) on-time 0 last: x=3
    `,
  ],
  "nothing comes of a stream without records": [{ window: { sizeMs: 10 } }, "end a"],
  "records of a source that has ended are late": [
    { window: { sizeMs: 10 }, sources: "ab" },
    `
      a: x@1=1
      b: x@2=2
      end a
      a: x@3=4
        late x@3
      end b
        [0,10) on-time 0 last: x=3
    `,
  ],
  "the watermark is that of the slowest source": [
    { window: { sizeMs: 10 }, sources: "ab" },
    `
      a: x@5=1 x@25=2
      b: x@9=4
      b: x@12=8
        [0,10) on-time 0 last: x=5
      end b
        [10,20) on-time 0 last: x=8
    `,
  ],
  "a source that has not begun holds the watermark back, and one that ends without records does not": [
    { window: { sizeMs: 10 }, sources: "abc" },
    `
      a: x@25=1
      b: x@30=2
      a: x@3=4
      end c
        [0,10) on-time 0 last: x=4
    `,
  ],
  "an idle source holds the watermark back no longer, and has late records when it wakes": [
    { window: { sizeMs: 10, idleMsMax: 100 }, sources: "ab" },
    `
      clock 0
      a: x@5=1
      b: x@3=2
      clock 60
      a: x@12=4
      clock 99
      clock 100
        [0,10) on-time 0 last: x=3
      b: x@4=8 x@11=16
        late x@4
      a: x@20=0
      b: x@20=32
        [10,20) on-time 0 last: x=20
    `,
  ],
  "where all sources are idle the watermark is the highest of theirs": [
    { window: { sizeMs: 10, idleMsMax: 100 }, sources: "ab" },
    `
      a: x@12=1
      b: x@3=2
      clock 100
        [0,10) on-time 0 last: x=2
    `,
  ],
  "a source that never had a record is idle after the same time": [
    { window: { sizeMs: 10, idleMsMax: 100 }, sources: "ab" },
    `
      clock 1000
      clock 1050
      a: x@12=1 x@5=2
      clock 1100
        [0,10) on-time 0 last: x=2
    `,
  ],
  "event times far ahead of the clock are refused and do not move the watermark": [
    { window: { sizeMs: 10, futureMsMax: 1000 } },
    `
      clock 50
      a: x@1=1 x@1051=2 x@1050=4
        ERR_FOURFOLD_RECORD x@1051
        [0,10) on-time 0 last: x=1
    `,
  ],
  "what is no event time is refused, and so are NaN and null keys where they are errors": [
    { window: { sizeMs: 10 }, policy: { nan: "error" } },
    `
      a: x@NaN=1 x@1=NaN null@1=1 x@8650000000000000=1 x@-Infinity=1 x@Infinity=1 x@1=2
        ERR_FOURFOLD_RECORD x@NaN
        ERR_FOURFOLD_NAN x@1
        ERR_FOURFOLD_KEYS null@1
        ERR_FOURFOLD_RECORD x@8650000000000000
        ERR_FOURFOLD_RECORD x@-Infinity
        ERR_FOURFOLD_RECORD x@Infinity
      end a
        [0,10) on-time 0 last: x=2
    `,
  ],
  "a null key that is a group of its own": [
    { window: { sizeMs: 10 }, policy: { nullKeys: "group" } },
    `
      a: x@1=1 null@2=2 null@3=4
      end a
        [0,10) on-time 0 last: null=6 x=1
    `,
  ],
  "a node whose records are all skipped is missing above, and there (clause 10)": [
    { window: { sizeMs: 10, everyMs: 5 }, policy: { nan: "skip" }, chain: chain(sum(), mean()), keys: ["region", "site"] },
    `
      a: n/x@1=NaN n/y@1=4 s/z@6=NaN n/y@6=2 n/x@11=1
        [-5,5) on-time 0 last: n=4
        [0,10) on-time 0 last: n=6 s=NaN
      end a
        [5,15) on-time 0 last: n=1.5 s=NaN
        [10,20) on-time 0 last: n=1
    `,
  ],
  "weights of records": [
    { window: { sizeMs: 10, everyMs: 5 }, chain: chain(weightedMean({ perNode: [] })) },
    `
      a: x@1=10*1 x@6=13*2 x@11=0*0
        [-5,5) on-time 0 last: x=10
        [0,10) on-time 0 last: x=12
      end a
        [5,15) on-time 0 last: x=13
        [10,20) on-time 0 last: x=NaN
    `,
  ],
  "weights of outer levels come with the records, and the first one counts": [
    {
      window: { sizeMs: 10 },
      chain: chain({ site: sum(), region: weightedSum({ perNode: [] }) }),
      keys: ["region", "site"],
      childWeight: "region",
    },
    `
      a: n/x@1=1^10 n/y@2=2^100 n/x@3=4^10 n/x@4=8^11 s/x@4=1^7
        ERR_FOURFOLD_RECORD n/x@4
      a: n/x@10=1^10
        [0,10) on-time 0 last: n=250 s=7
      a: n/y@11=1^3        # no open window has records of it: it is forgotten
      end a
        [10,20) on-time 0 last: n=13
    `,
  ],
  "a record without the weight of its child is refused, and one that is late teaches nothing": [
    {
      window: { sizeMs: 10 },
      chain: chain({ site: sum(), region: weightedSum({ perNode: [] }) }),
      keys: ["region", "site"],
      childWeight: "region",
    },
    `
      a: n/x@11=1^2 n/y@3=1^5 n/y@12=2^3
        late n/y@3
      a: n/z@13=1^NaN
      end a
        [10,20) on-time 0 last: n=NaN
    `,
  ],
};

describe.each(Object.entries(SCRIPTS))("%s", (_, [setup, script]) => {
  test("by the script", () => {
    expect(play(setup, script)).toBe(tidy(script));
  });

  test("through bytes after each step", () => {
    expect(play(setup, script, true)).toBe(tidy(script));
  });
});

describe("weights by the start of a window", () => {
  const by = (w: number) => chain({ site: sum(), all: weightedSum([w]) });
  const setup: ScriptSetup = {
    window: { sizeMs: 10 },
    chain: by(1),
    chainAt: (start) => ({ chain: by(start < 10 ? 1 : 5), version: start < 10 ? 0 : 1 }),
  };

  test("a window is closed with the weights of its start, and says which version", () => {
    const windows = windowsOf(setup);
    const times = [1, 12, 25];
    windows.add(0, { rows: 3, values: [3, 4, 5], keys: [["x", "x", "x"]], times, weights: undefined }, 0);
    expect(windows.take().map(({ version, closed, watermark }) => [version, closed.outermost.values[0], watermark])).toEqual([
      [0, 3, 12],
      [1, 20, 25],
    ]);
  });
});

describe("the watermark of a pane", () => {
  test.each([1, 2, 5])("is that of the row which fired it, in batches of %i", (cut) => {
    const windows = windowsOf({ window: { sizeMs: 10, outOfOrderMsMax: 4 } });
    const times = [1, 10, 13.5, 14.5, 17];
    for (let from = 0; from < times.length; from += cut) {
      const some = times.slice(from, from + cut);
      windows.add(0, { rows: some.length, values: some, keys: [some.map(() => "x")], times: some, weights: undefined }, 0);
    }
    expect(windows.take().map(({ watermark }) => watermark)).toEqual([10.5]);
    expect(windows.watermark).toBe(13);
  });
});

describe("what is open", () => {
  test("is counted, and nextAt says when time is to go on", () => {
    const windows = windowsOf({ window: { sizeMs: 10, everyMs: 5, latenessMsMax: 5, early: { everyMs: 7 }, idleMsMax: 100 } });
    expect([windows.watermark, windows.openWindows, windows.openNodes, windows.nextAt()]).toEqual([-Infinity, 0, 0, undefined]);
    const add = (times: number[], now: number) =>
      windows.add(0, { rows: times.length, values: times, keys: [times.map(() => "x")], times, weights: undefined }, now);
    add([1, 2], 1000);
    // [−5, 5) and [0, 10), one slice with one node
    expect([windows.watermark, windows.openWindows, windows.openNodes, windows.nextAt()]).toEqual([2, 2, 1, 1007]);
    windows.progress(1007);
    expect(windows.take()).toHaveLength(2);
    expect(windows.nextAt()).toBe(1100);
    add([11], 1050);
    // [−5, 5) is closed; [0, 10) has fired; [5, 15) and [10, 20) are to come
    expect([windows.openWindows, windows.nextAt()]).toEqual([3, 1057]);
    expect(add([-4], 1051)).toEqual([{ row: 0, why: "late" }]);
    expect(windows.late).toBe(1);
    windows.endOf(0);
    expect([windows.watermark, windows.openWindows, windows.openNodes, windows.nextAt()]).toEqual([Infinity, 0, 0, undefined]);
  });

  test("is limited: windows, slices and nodes beyond the limit are ERR_FOURFOLD_MEMORY", () => {
    const rows = (n: number) => ({
      rows: n,
      values: new Float64Array(n),
      keys: [Array.from({ length: n }, (_, i) => i)],
      times: Array.from({ length: n }, (_, i) => -10 * i),
      weights: undefined,
    });
    const few = windowsOf({ window: { sizeMs: 10, outOfOrderMsMax: 1000, windowsMax: 5 } });
    expect(few.add(0, rows(5), 0)).toEqual([]);
    expect(() => few.add(0, rows(6), 0)).toThrow(expect.objectContaining({ code: "ERR_FOURFOLD_MEMORY" }));
    const small = windowsOf({ window: { sizeMs: 10, outOfOrderMsMax: 1000, nodesMax: 5 } });
    expect(small.add(0, rows(5), 0)).toEqual([]);
    expect(() => small.add(0, rows(6), 0)).toThrow(/nodesMax is 5/);
  });

  test("what all windows have fired is not kept where panes discard", () => {
    const windows = windowsOf({ window: { sizeMs: 10, everyMs: 5, early: { everyRows: 2 }, panes: "discarding" } });
    for (let row = 1; row <= 20; row++) {
      windows.add(0, { rows: 1, values: [1], keys: [[row]], times: [6], weights: undefined }, 0);
      expect(windows.openNodes).toBe(row % 2);
    }
    expect(windows.take()).toHaveLength(20);
  });

  test("keys that no open window has are forgotten", () => {
    const windows = windowsOf({ window: { sizeMs: 10, everyMs: 5 } });
    for (let block = 0; block < 20; block++) {
      const n = 1000;
      const keys = Array.from({ length: n }, (_, i) => `${block}-${i}`);
      windows.add(0, { rows: n, values: keys.map(() => 1), keys: [keys], times: keys.map(() => block * 10), weights: undefined }, 0);
      expect(windows.openNodes).toBeLessThanOrEqual(4 * n);
      for (const { closed } of windows.take()) {
        expect(closed.outermost.values).toHaveLength(n);
        expect(new Set(closed.keys![0]!.columns[0]).size).toBe(n);
        expect(closed.keys![0]!.columns[0]![0]).toBe(`${block - 1}-0`);
      }
    }
  });
});

test("weights of children outlast the forgetting of other keys", () => {
  const setup: ScriptSetup = { window: { sizeMs: 10 }, chain: chain({ site: sum(), all: weightedSum({ perNode: [] }) }) };
  const windows = windowsOf(setup);
  const n = 200;
  for (let block = 0; block < 40; block++) {
    const keys = Array.from({ length: n }, (_, i) => 1000 * block + i);
    const rows = { rows: n, values: keys.map(() => 1), keys: [keys], times: keys.map(() => 10 * block), weights: undefined };
    for (const childWeights of [{ all: keys }, { all: keys }]) expect(windows.add(0, { ...rows, childWeights }, 0)).toEqual([]);
    expect(windows.add(0, { ...rows, rows: 1, childWeights: { all: [-1] } }, 0)).toMatchObject([{ row: 0, why: { given: -1 } }]);
    for (const { closed } of windows.take())
      expect(closed.outermost.values[0]).toBe(2 * keys.reduce((total, weight) => total + weight - 1000, 0));
  }
});

describe("keys", () => {
  test("of a dictionary are looked up once, also where it grows and where codes are wrong", () => {
    const dictionary = ["b", "a"];
    const windows = windowsOf({ window: { sizeRows: 100 }, untimed: true, policy: { nullKeys: "skip" } });
    const add = (codes: number[]) =>
      windows.add(
        0,
        { rows: codes.length, values: codes, keys: [{ codes: Int32Array.from(codes), dictionary }], times: undefined, weights: undefined },
        0,
      );
    expect(add([0, 1, 1])).toEqual([]);
    expect(add([2, -1, 0])).toEqual([
      { row: 0, why: expect.objectContaining({ code: "ERR_FOURFOLD_KEYS", at: { column: "key", row: 0 } }) },
      { row: 1, why: expect.objectContaining({ code: "ERR_FOURFOLD_KEYS" }) },
    ]);
    dictionary.push("c");
    expect(add([2, 2])).toEqual([]);
    windows.endOf(0);
    const [{ closed }] = windows.take() as [ReturnType<typeof windows.take>[0]];
    expect(closed.keys![0]!.columns).toEqual([["a", "b", "c"]]);
    expect([...closed.outermost.values]).toEqual([2, 0, 4]);
  });

  test.each([
    [{ column: 3 }, "object"],
    ["\ud800", "half of a surrogate pair"],
    [Number.NaN, "NaN"],
    [1n << 9000n, "more than"],
    [Symbol.iterator, "expected a string"],
  ])("%o is refused", (key, message) => {
    const windows = windowsOf({ window: {}, untimed: true });
    const refused = windows.add(0, { rows: 2, values: [1, 2], keys: [[key, "x"] as never], times: undefined, weights: undefined }, 0);
    expect(refused).toEqual([
      { row: 0, why: expect.objectContaining({ code: "ERR_FOURFOLD_KEYS", message: expect.stringContaining(message) }) },
    ]);
  });

  test("2 and 2n are one key, shown as the number once that came (clause 10a)", () => {
    const windows = windowsOf({ window: { sizeRows: 2 }, untimed: true });
    for (const keys of [
      [2n, 3n],
      [2, 3n],
    ])
      windows.add(0, { rows: 2, values: [1, 2], keys: [keys], times: undefined, weights: undefined }, 0);
    expect(windows.take().map(({ closed }) => closed.keys![0]!.columns[0])).toEqual([
      [2n, 3n],
      [2, 3n],
    ]);
  });

  test("weights that are missing, or that no level takes, throw", () => {
    const rows = { rows: 1, values: [1], keys: [["x"]], times: [1] };
    const weighted = windowsOf({ window: {}, chain: chain(weightedSum({ perNode: [] })) });
    expect(() => weighted.add(0, { ...rows, weights: undefined }, 0)).toThrow(expect.objectContaining({ code: "ERR_FOURFOLD_WEIGHTS" }));
    const plain = windowsOf({ window: {} });
    expect(() => plain.add(0, { ...rows, weights: [1] }, 0)).toThrow(expect.objectContaining({ code: "ERR_FOURFOLD_WEIGHTS" }));
  });

  test("columns that are missing or short, and times that are, throw", () => {
    const windows = windowsOf({ window: { sizeMs: 10 } });
    const rows = { rows: 2, values: [1, 2], keys: [["x", "y"]], times: [1, 2], weights: undefined };
    expect(() => windows.add(0, { ...rows, keys: [] }, 0)).toThrow(expect.objectContaining({ code: "ERR_FOURFOLD_KEYS" }));
    expect(() => windows.add(0, { ...rows, keys: [["x"]] }, 0)).toThrow(/1 entries for 2 rows/);
    expect(() => windows.add(0, { ...rows, times: undefined }, 0)).toThrow(expect.objectContaining({ code: "ERR_FOURFOLD_RECORD" }));
  });
});
