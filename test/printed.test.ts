import { describe, expect, test } from "vitest";
import { departure } from "./printed.ts";

describe("what was printed is compared with what should be", () => {
  test.each([
    ["the same text", "a\nb", "a\nb\n"],
    ["trailing blanks do not count", "a  \nb", "\na\nb  \n\n"],
    ["… stands for text inside a line", "took … ms (…)", "took 1.25 ms (2 parts)"],
    ["… stands for nothing, too", "took… ms", "took ms"],
    ["a line of … stands for lines", "a\n…\nz", "a\nb\nc\nz"],
    ["a line of … stands for no line, too", "a\n…\nz", "a\nz"],
    ["other signs stand for themselves", "a.b (c) [d] * $1", "a.b (c) [d] * $1"],
  ])("%s", (_, expected, actual) => expect(departure(expected, actual)).toBeUndefined());

  test.each([
    ["another text", "a\nb", "a\nc", /line 2: expected "b", printed "c"/],
    ["a missing line", "a\nb", "a", /line 2: expected "b", printed undefined/],
    ["a line too many", "a", "a\nb", /all that was printed:\na\nb/],
    ["… does not reach over the end of a line", "a … c", "a\nc", /line 1/],
    ["a dot is a dot", "a.b", "axb", /line 1/],
  ])("%s is told", (_, expected, actual, message) => expect(departure(expected, actual)).toMatch(message));
});
