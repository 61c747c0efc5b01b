// CPython's own vectors for math.fsum (fixtures/fsum.py says where they come from), and its random construction with a seed.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { exactSum } from "../../src/exact-sum.ts";
import { ExactSum } from "../../src/reduce/exact.ts";
import { ROOT } from "../child.ts";
import { ask, digits, python } from "./oracle.ts";

const { vectors } = JSON.parse(readFileSync(join(ROOT, "test/fixtures/fsum.json"), "utf8")) as { vectors: [string[], string][] };

/** Lists of the random construction: 260 numbers each. */
const LISTS = 250;
const SEED = 2937;

function numbers(hex: readonly string[]): Float64Array {
  const view = new DataView(new ArrayBuffer(8));
  return Float64Array.from(hex, (text) => {
    view.setBigUint64(0, BigInt(`0x${text}`));
    return view.getFloat64(0);
  });
}

/** The sum by definition, one by one, and of the list at once. */
function sums(values: Float64Array): string[] {
  const definition = new ExactSum();
  const alone = exactSum();
  const listed = exactSum();
  for (const x of values) {
    definition.add(x);
    alone.add(x);
  }
  listed.addAll(values);
  return [definition, alone, listed].map((sum) => digits(sum.value()));
}

describe("an exact sum is what CPython expects of math.fsum", () => {
  test.each(vectors.map(([values, result], i) => [i, values.length, values, result] as const))(
    "vector %s, of %s",
    (_i, _n, values, result) => {
      expect(sums(numbers(values))).toEqual([result, result, result]);
    },
  );

  test(`${LISTS} random lists, against integers`, () => {
    const lists = python([join(ROOT, "test/fixtures/fsum.py"), "random", String(LISTS), String(SEED)])
      .trimEnd()
      .split("\n")
      .map((line) => numbers(JSON.parse(line) as string[]));
    const expected = ask(lists.map((values) => ({ steps: [...values].map((x) => ({ sign: 1 as const, what: [x] as const })) })));
    expect(lists.map(sums)).toEqual(expected.map(([value]) => [value, value, value]));
    expect(new Set(expected.map(([value]) => value)).size).toBeGreaterThan(LISTS / 2);
  });
});
