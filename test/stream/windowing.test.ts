/** The option `window`: what it may be, what it becomes, and what is said of it. */
import { describe, expect, test } from "vitest";
import { readWindowing, type WindowOptions, windowingText } from "../../src/stream/windowing.ts";

const { POSITIVE_INFINITY: never } = Number;

test("defaults: one window, accumulating, nothing late, nothing early", () => {
  expect(readWindowing(undefined, false)).toEqual({
    axis: "none",
    size: never,
    every: never,
    offset: 0,
    lateness: 0,
    outOfOrder: 0,
    idleMs: never,
    futureMs: never,
    earlyMs: never,
    earlyRows: never,
    lateRows: never,
    discarding: false,
    windowsMax: 2 ** 16,
    nodesMax: 2 ** 24,
  });
  expect(Object.isFrozen(readWindowing({}, true))).toBe(true);
});

test("an offset is taken within a period, and is never −0", () => {
  expect(readWindowing({ sizeMs: 10, offsetMs: 23 }, true).offset).toBe(3);
  expect(readWindowing({ sizeMs: 10, offsetMs: -20 }, true).offset).toBe(0);
});

describe("is said in words", () => {
  test.each<[WindowOptions, string]>([
    [{ sizeMs: 60_000 }, "tumbling 60000 ms, lateness 0 ms, accumulating"],
    [
      { sizeMs: 60_000, everyMs: 1000, offsetMs: 1, latenessMsMax: 5, outOfOrderMsMax: 7, panes: "discarding" },
      "sliding 60000 ms every 1000 ms from 1 ms, lateness 5 ms, out of order 7 ms, discarding",
    ],
    [{ sizeRows: 100, everyRows: 10 }, "sliding 100 rows every 10 rows, accumulating"],
    [
      { early: { everyMs: 5, everyRows: 6 }, late: { everyRows: 7 } },
      "one window, early every 5 ms, early every 6 rows, late every 7 rows, accumulating",
    ],
  ])("%j", (options, words) => {
    expect(windowingText(readWindowing(options, true))).toBe(words);
  });
});

describe("is refused", () => {
  test.each<[unknown, RegExp, boolean?]>([
    [{ sizems: 5 }, /no option "sizems".*Did you mean sizeMs/],
    [3, /window: the options are 3/],
    [{ sizeMs: 0 }, /"window.sizeMs": given 0, expected an integer from 1/],
    [{ sizeMs: 1.5 }, /window.sizeMs/],
    [{ sizeMs: "5" }, /window.sizeMs/],
    [{ sizeMs: Number.NaN }, /window.sizeMs/],
    [{ sizeMs: 2 ** 49 }, /window.sizeMs/],
    [{ sizeMs: 5, sizeRows: 5 }, /sizeMs and sizeRows/],
    [{ sizeMs: 5, everyMs: 6 }, /everyMs is 6, sizeMs 5: records in between had no window/],
    [{ sizeRows: 5, everyRows: 6 }, /everyRows is 6/],
    [{ everyMs: 5 }, /everyMs: it is for windows in event time/],
    [{ everyRows: 5 }, /everyRows: it is for windows of records/],
    [{ sizeRows: 5, latenessMsMax: 5 }, /latenessMsMax: it is for windows in event time/],
    [{ sizeMs: 5 }, /no event times.*measure windows in records/, false],
    [{ sizeRows: 5, outOfOrderMsMax: 5 }, /outOfOrderMsMax: the records of this stream bring no event times/, false],
    [{ sizeMs: 5, latenessMsMax: -1 }, /window.latenessMsMax/],
    [{ panes: "both" }, /window.panes.*"accumulating" or "discarding"/],
    [{ early: { everyMS: 5 } }, /window.early: there is no option "everyMS"/],
    [{ early: null }, /window.early: the options are null/],
    [{ early: { everyRows: 0 } }, /window.early.everyRows|"window.early.everyRows"/],
    [{ late: { everyMs: 5 } }, /window.late: there is no option "everyMs"/],
    [{ sizeMs: 86_400_000, everyMs: 1 }, /each record is in 86400000 windows, windowsMax is 65536/],
    [{ windowsMax: 0 }, /window.windowsMax/],
    [{ nodesMax: 2 ** 25 }, /window.nodesMax/],
  ])("%j", (options, message, timed = true) => {
    expect(() => readWindowing(options as WindowOptions, timed)).toThrow(
      expect.objectContaining({ code: "ERR_FOURFOLD_ARGUMENT", message: expect.stringMatching(message) }),
    );
  });
});
