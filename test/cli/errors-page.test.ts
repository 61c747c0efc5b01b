// docs/errors.md lists exactly the codes that there are, each with what a reader needs.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { EXIT, exitCodeOf, failureOf } from "../../src/cli/failure.ts";
import { ERROR_CODES, type ErrorCode, FourfoldError } from "../../src/errors.ts";
import { ROOT } from "../child.ts";

const page = readFileSync(join(ROOT, "docs", "errors.md"), "utf8");
const sections = new Map(
  page
    .split(/^### /m)
    .slice(1)
    .map((text) => [text.split("\n")[0]!, text.split(/^## /m)[0]!]),
);
const codes = Object.keys(ERROR_CODES) as ErrorCode[];

test("the page has a section for every code, in their order, and no other", () => {
  expect([...sections.keys()]).toEqual(codes);
});

describe("each section says when, shows a message, tells the way out and the exit code", () => {
  test.each(codes)("%s", (code) => {
    const text = sections.get(code)!;
    expect(text).toMatch(new RegExp(`^fourfold: .*\\[${code}\\]$`, "m"));
    expect(text).toMatch(/^Way out: /m);
    expect(text).toContain(
      `Exit code ${code === "ERR_FOURFOLD_ABORTED" ? `${EXIT.interrupted} or ${EXIT.terminated}` : exitCodeOf(code)}.`,
    );
  });
});

test("the page lists the exit codes that the command has", () => {
  const listed = [...page.matchAll(/^\| (\d+) \|/gm)].map((match) => Number(match[1]));
  expect(listed).toEqual(Object.values(EXIT));
});

describe("an error is one harmless line", () => {
  const never = new AbortController().signal;
  test("line breaks and control characters do not reach the terminal", () => {
    const { text, exitCode } = failureOf(new FourfoldError("ERR_FOURFOLD_COLUMN", "column \x1b[2J\nof\u202e x"), never, false);
    expect(text).toBe("fourfold: column \\u001b[2J of\\u202e x [ERR_FOURFOLD_COLUMN]\n");
    expect(exitCode).toBe(1);
  });

  test("a place that the message does not name is added", () => {
    const { text } = failureOf(
      new FourfoldError("ERR_FOURFOLD_NAN", "a NaN", { at: { file: "a.csv", row: 7, level: "site" } }),
      never,
      false,
    );
    expect(text).toBe("fourfold: a NaN (a.csv, row 7, level site) [ERR_FOURFOLD_NAN]\n");
  });

  test("an error that is not ours is called a bug, with its own exit code", () => {
    const { text, exitCode } = failureOf(new TypeError("x is undefined"), never, false);
    expect(text).toBe("fourfold: a bug in Fourfold: TypeError: x is undefined (--verbose shows where; please report it)\n");
    expect(exitCode).toBe(70);
  });
});
