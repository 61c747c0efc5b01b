// The oracle for times is the engine's own calendar, asked with a zone in the text, where it knows no local time.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { timeOfNumber, timeOfText } from "../../../src/stream/sources/time.ts";

const RUNS = Number(process.env["FOURFOLD_RUNS"] ?? 2000);

describe("text as a time", () => {
  test.each([
    ["1970-01-01", 0],
    ["1970-01-01T00:00:00Z", 0],
    ["2024-05-06", Date.UTC(2024, 4, 6)],
    ["2024/05/06", Date.UTC(2024, 4, 6)],
    ["2001/01/10 18:20", Date.UTC(2001, 0, 10, 18, 20)],
    ["2024-05-06 07:08", Date.UTC(2024, 4, 6, 7, 8)],
    ["2024-05-06T07:08:09", Date.UTC(2024, 4, 6, 7, 8, 9)],
    ["2024-05-06 07:08:09.1", Date.UTC(2024, 4, 6, 7, 8, 9, 100)],
    ["2024-05-06T07:08:09,123Z", Date.UTC(2024, 4, 6, 7, 8, 9, 123)],
    ["2024-05-06T07:08:09.123456789z", Date.UTC(2024, 4, 6, 7, 8, 9) + 123.456789],
    ["2024-05-06T07:08+02", Date.UTC(2024, 4, 6, 5, 8)],
    ["2024-05-06T07:08:09+0230", Date.UTC(2024, 4, 6, 4, 38, 9)],
    ["2024-05-06t07:08:09-02:30", Date.UTC(2024, 4, 6, 9, 38, 9)],
    ["2000-02-29", Date.UTC(2000, 1, 29)],
    ["0001-01-01", -62_135_596_800_000],
    ["9999-12-31T23:59:59.999Z", 253_402_300_799_999],
  ])("%s is read, in UTC where no zone stands", (text, ms) => expect(timeOfText(text)).toBe(ms));

  test.each([
    "",
    "now",
    "2024",
    "2024-05",
    "2024-5-6",
    "2024-05/06",
    "2024-02-30",
    "2023-02-29",
    "1900-02-29",
    "2024-13-01",
    "2024-00-10",
    "2024-01-00",
    "2024-01-01T24:00",
    "2024-01-01T12:60",
    "2024-01-01T12:30:60",
    "2024-01-01T12",
    "2024-01-01T12:30:",
    "2024-01-01T12:30:00.",
    "2024-01-01T12:30:00Zulu",
    "2024-01-01T12:30:00+24:00",
    "2024-01-01T12:30:00+02:3",
    "2024-01-01T12:30:00 CET",
    "2024-01-01  12:30",
    " 2024-01-01",
    "2024-01-01 ",
    "٢٠٢٤-٠١-٠١",
    "01/02/2024",
    "Mon, 01 Jan 2024 00:00:00 GMT",
    "1700000000000",
  ])("%j is refused", (text) => expect(timeOfText(text)).toBeNaN());

  test("every day and millisecond of four-digit years is what the calendar says", () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date("0001-01-01T00:00:00Z"), max: new Date("9999-12-31T23:59:59.999Z"), noInvalidDate: true }),
        (date) => {
          const text = date.toISOString();
          expect(timeOfText(text)).toBe(date.getTime());
          expect(timeOfText(text.slice(0, -1).replace("T", " "))).toBe(date.getTime());
        },
      ),
      { numRuns: RUNS },
    );
  });

  test("no text throws, and what is read has a date that prints the same day", () => {
    const piece = fc.constantFrom("2024", "0000", "-", "/", "02", "30", "T", " ", ":", "59", "60", ".", "5", "Z", "+", "é", "");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
        const text = pieces.join("");
        const time = timeOfText(text);
        if (time === time && !/[+-]\d\d:?(\d\d)?$/.test(text.slice(10)))
          expect(new Date(time).toISOString().slice(0, 10)).toBe(text.slice(0, 10).replaceAll("/", "-"));
      }),
      { numRuns: RUNS },
    );
  });
});

describe("a number as a time", () => {
  test.each([
    [1.5, "s", 1500],
    [1_700_000_000_123, "ms", 1_700_000_000_123],
    [1_700_000_000_123_456, "us", 1_700_000_000_123.456],
    [1_700_000_000_000_000_000, "ns", 1_700_000_000_000],
    [-1, "s", -1000],
  ] as const)("%d %s", (value, unit, ms) => expect(timeOfNumber(value, unit)).toBe(ms));

  test.each([Number.NaN, Number.POSITIVE_INFINITY, 8.64e15 + 2, -1e300])("%d is none, or too far for a date", (value) => {
    expect(timeOfNumber(value, "ms")).toBeNaN();
  });
});
