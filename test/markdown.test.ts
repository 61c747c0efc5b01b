import { describe, expect, test } from "vitest";
import { checksOf, SEAM } from "./markdown.ts";

const page = (...lines: string[]) => lines.join("\n").replaceAll("'''", "```");

describe("a page's blocks become checks", () => {
  test("a program and what it prints", () => {
    expect(checksOf(page("# T", "'''js", "a();", "'''", "It prints", "'''text", "1", "'''"))).toEqual([
      { kind: "module", line: 2, language: "js", source: "a();", expected: "1" },
    ]);
  });

  test("comments after console.log say what is printed, if all of them do", () => {
    const check = (...lines: string[]) => checksOf(page("'''ts", ...lines, "'''"))[0];
    expect(check("console.log(1); // one", "b();", "  console.log(f(2)); // two …")).toMatchObject({
      language: "ts",
      expected: "one\ntwo …",
    });
    expect(check("console.log(1); // one", "console.log(2);")).toMatchObject({ expected: undefined });
    expect(check("b(); // not printed")).toMatchObject({ expected: undefined });
  });

  test("a program goes on from the ones above it", () => {
    const [, second, third] = checksOf(page("'''js", "a();", "'''", "'''js continues", "b();", "'''", "'''js continues", "c();", "'''"));
    expect(second).toMatchObject({ source: `a();\nconsole.log("${SEAM}");\nb();` });
    expect(third).toMatchObject({ source: `a();\nb();\nconsole.log("${SEAM}");\nc();` });
  });

  test("commands run, but not those that set the project up", () => {
    expect(checksOf(page("'''sh", "npm install && npm start", "'''"))).toEqual([]);
    expect(checksOf(page("'''sh", "npm install fourfold", "npx fourfold doctor", "'''", "'''text", "Node …", "'''"))).toEqual([
      { kind: "commands", line: 1, source: "npx fourfold doctor", expected: "Node …" },
    ]);
    expect(checksOf(page("'''sh", "npm install && rm x", "'''"))).toMatchObject([{ source: "npm install && rm x" }]);
  });

  test("JSON is parsed, or compared with the file that it quotes", () => {
    expect(checksOf(page("'''json examples/a.json", "{}", "'''"))).toEqual([
      { kind: "json", line: 1, source: "{}", file: "examples/a.json" },
    ]);
  });

  test("a block without a check is told, unless it is excused", () => {
    expect(checksOf(page("'''yaml", "a: 1", "'''"))).toMatchObject(
      [{ kind: "unchecked", line: 1, why: /no check for "yaml"/ }].map((c) => ({ kind: c.kind, line: c.line })),
    );
    expect(checksOf(page("'''", "a", "'''"))).toMatchObject([{ kind: "unchecked" }]);
    expect(checksOf(page("'''text", "a", "'''"))).toMatchObject([{ kind: "unchecked", why: expect.stringContaining("none is above it") }]);
    expect(checksOf(page("'''yaml unchecked", "a: 1", "'''"))).toEqual([]);
  });

  test("a block in a list loses the list's indent, and a longer fence holds a shorter one", () => {
    expect(checksOf(page("- a", "  '''js", "  if (a)", "    b();", "  '''"))).toMatchObject([{ source: "if (a)\n  b();" }]);
    expect(checksOf(page("````md unchecked", "'''js", "a();", "'''", "````"))).toEqual([]);
  });

  test("a block without an end is an error", () => expect(() => checksOf(page("a", "'''js", "b();"))).toThrow("line 2"));
});
