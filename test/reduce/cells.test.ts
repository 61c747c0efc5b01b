import { describe, expect, test } from "vitest";
import { csvRow, hexBits, keyNames, textCell } from "../../src/reduce/cells.ts";
import { random } from "../random.ts";

describe("a text cell", () => {
  test("starts no formula, and gives its text back to who takes one apostrophe away", () => {
    const { int, pick } = random(21);
    for (let run = 0; run < 5000; run++) {
      const text = Array.from({ length: int(6) }, () => pick(["'", "=", "+", "-", "@", "\t", "\r", "a", "1", '"', ",", "\n"])).join("");
      const cell = textCell(text);
      const unquoted = cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell;
      expect(unquoted).not.toMatch(/^[=+\-@\t\r]/);
      expect(/^'+[=+\-@\t\r]/.test(unquoted) ? unquoted.slice(1) : unquoted).toBe(text);
    }
  });

  test("is quoted where RFC 4180 wants it", () => {
    expect(csvRow(["", "a", "a,b", 'a"b', "=1", "'=1", "'a"].map(textCell))).toBe(`"",a,"a,b","a""b",'=1,''=1,'a\r\n`);
  });
});

test("names of keys differ from those of other columns and from one another", () => {
  expect(keyNames(["a", "level", "key level", "a"], ["level", "value"])).toEqual(["a", "key level", "key key level", "key a"]);
  expect(keyNames(["a", "b"], ["level"])).toEqual(["a", "b"]);
});

test.each([
  [1, "3ff0000000000000"],
  [-0, "8000000000000000"],
  [Number.NaN, "7ff8000000000000"],
  [5e-324, "0000000000000001"],
])("the bits of %f are %s", (value, bits) => {
  expect(hexBits(value)).toBe(bits);
});
