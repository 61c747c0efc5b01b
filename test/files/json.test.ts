import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FourfoldError } from "../../src/errors.ts";
import { parseJson } from "../../src/files/json.ts";

describe("parseJson(text)", () => {
  test("reads what JSON.parse reads", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), fc.constantFrom(0, 2), (text, indent) => {
        const pretty = JSON.stringify(JSON.parse(text), null, indent);
        expect(JSON.stringify(parseJson(pretty).value)).toBe(JSON.stringify(JSON.parse(pretty)));
      }),
    );
  });

  test("refuses what JSON.parse refuses, and ends", () => {
    fc.assert(
      fc.property(
        fc.json({ maxDepth: 4 }),
        fc.nat(),
        fc.constantFrom("", "{", "]", ",", '"', "\\", "\n", "1", "\u0000"),
        (text, at, put) => {
          const cut = at % (text.length + 1);
          const broken = text.slice(0, cut) + put + text.slice(cut + 1);
          let valid = true;
          try {
            JSON.parse(broken);
          } catch {
            valid = false;
          }
          try {
            parseJson(broken);
          } catch (error) {
            expect(error).toBeInstanceOf(FourfoldError);
            // Stricter than JSON.parse in two ways only: keys given twice, and depth.
            if (valid) expect(String(error)).toMatch(/given twice|nested deeper/);
            return;
          }
          expect(valid).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("knows line and column of values and keys", () => {
    const doc = parseJson('{\n  "a": [1,\n    { "b/c": true }]\n}', "s.json");
    expect(doc.valueAt("/a/1/b~1c")).toEqual({ line: 3, column: 14 });
    expect(doc.keyAt("/a/1/b~1c")).toEqual({ line: 3, column: 7 });
    expect(doc.valueAt("")).toEqual({ line: 1, column: 1 });
  });

  test("__proto__ is a key like any other, and pollutes nothing", () => {
    const { value } = parseJson('{"__proto__": {"polluted": 1}, "constructor": 2}');
    expect(Object.keys(value as object)).toEqual(["__proto__", "constructor"]);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  test.each([
    ['{"a": 1,}', "s.json:1:9: expected a key in double quotes"],
    ['{"a" 1}', 's.json:1:6: expected ":" after the key'],
    ['{"a": 1 "b": 2}', 's.json:1:9: expected "," or "}"'],
    ['{\n"a": "x\ny"}', "s.json:2:8: a line break or control character"],
    ['{"a": 1, "a": 2}', 's.json:1:10: the key "a" is given twice'],
    ["[1, 2", 's.json:1:6: expected "," or "]", found the end of the file'],
    ['["x', "s.json:1:2: this string has no closing quote"],
    ["01", "s.json:1:2: expected the end of the file"],
    ["NaN", "s.json:1:1: expected a value"],
    ["", "s.json:1:1: expected a value, found the end of the file"],
    ['"\\x"', "JSON has no escape \\x"],
    ['"\\u12"', "four hexadecimal digits"],
    ["[".repeat(100), "nested deeper than 32"],
  ])("%j fails with its place", (text, message) => {
    expect(() => parseJson(text, "s.json")).toThrow(message);
  });
});
