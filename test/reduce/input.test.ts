import { describe, expect, test } from "vitest";
import { chain } from "../../src/reduce/chain.ts";
import { type Input, isDense, type ReadInput, readInput } from "../../src/reduce/input.ts";
import { sum } from "../../src/reduce/reductions.ts";
import { finish } from "../../src/reduce/slices.ts";

const read = (input: Input): ReadInput => finish(readInput(chain(sum()), input));

describe("readInput", () => {
  test("refuses key columns that JavaScript would list in another order", () => {
    for (const name of ["0", "7", "2024"])
      expect(() => read({ values: [1, 2], keys: { b: ["x", "y"], [name]: [1, 2] } })).toThrow(
        expect.objectContaining({ code: "ERR_FOURFOLD_KEYS", given: name, fix: `Use a name such as "key${name}"` }),
      );
    for (const name of ["01", "-1", "1.5", "", "y2024"])
      expect(read({ values: [1, 2], keys: { b: ["x", "y"], [name]: [1, 2] } }).keys?.[0]?.names).toEqual(["b", name]);
  });

  test("takes a shape that is undefined as none, and refuses a shape beside offsets", () => {
    const offsets = [[0, 1, 3]];
    expect(read({ data: [1, 2, 3], shape: undefined, offsets } as Input).tree).toEqual(read({ data: [1, 2, 3], offsets }).tree);
    expect(read({ data: [1, 2, 3], shape: [3], offsets: undefined } as Input).tree).toEqual(read({ data: [1, 2, 3], shape: [3] }).tree);
    expect(() => read({ data: [1, 2, 3], shape: [3], offsets } as Input)).toThrow(
      expect.objectContaining({ code: "ERR_FOURFOLD_ARGUMENT", expected: "shape or offsets" }),
    );
  });
});

test("a dense input says all about its tree in its shape", () => {
  const data = [1, 2, 3];
  expect(isDense({ data, shape: [3] })).toBe(true);
  for (const input of [{ data, shape: undefined }, { data, shape: [3], offsets: [[0, 3]] }, { data }, data, null, 5])
    expect(isDense(input as Input)).toBe(false);
});
