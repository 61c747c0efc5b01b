// The laws of exact sums, on their encoded bytes (contract clauses 3 and 15): what a sum is depends on what it holds, on nothing else.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ExactAccumulator, exactSum } from "../../src/exact-sum.ts";

const RUNS = { numRuns: Math.min(10_000, Number(process.env["FOURFOLD_RUNS"] ?? 300)) };

/** A number, or a product of two. */
type Term = number | readonly [number, number];

const terms = fc.array(fc.oneof(fc.double(), fc.double({ min: -1e6, max: 1e6 }), fc.tuple(fc.double(), fc.double())), { maxLength: 30 });

function sumOf(list: readonly Term[]): ExactAccumulator {
  const sum = exactSum();
  for (const term of list) {
    if (typeof term === "number") sum.add(term);
    else sum.addProduct(...term);
  }
  return sum;
}

const merged = (...sums: readonly ExactAccumulator[]): ExactAccumulator => {
  const all = exactSum();
  for (const sum of sums) all.merge(sum);
  return all;
};

describe("the bytes of an exact sum", () => {
  test("do not tell in which order two were merged", () => {
    fc.assert(
      fc.property(terms, terms, (a, b) => {
        expect(merged(sumOf(a), sumOf(b)).encode()).toEqual(merged(sumOf(b), sumOf(a)).encode());
        expect(merged(sumOf(a), sumOf(b)).encode()).toEqual(sumOf([...a, ...b]).encode());
      }),
      RUNS,
    );
  });

  test("do not tell which of three were merged first", () => {
    fc.assert(
      fc.property(terms, terms, terms, (a, b, c) => {
        const [x, y, z] = [sumOf(a), sumOf(b), sumOf(c)];
        expect(merged(merged(x, y), z).encode()).toEqual(merged(x, merged(y, z)).encode());
      }),
      RUNS,
    );
  });

  test("do not tell the order of the terms", () => {
    const shuffled = terms.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })));
    fc.assert(
      fc.property(shuffled, ([list, other]) => {
        expect(sumOf(other).encode()).toEqual(sumOf(list).encode());
      }),
      RUNS,
    );
  });

  test("do not tell what was added and taken out again", () => {
    fc.assert(
      fc.property(terms, terms, (kept, gone) => {
        const sum = sumOf([...gone, ...kept]);
        for (const term of gone) {
          if (typeof term === "number") sum.subtract(term);
          else sum.subtractProduct(...term);
        }
        expect(sum.encode()).toEqual(sumOf(kept).encode());
        const other = sumOf(kept);
        other.merge(sumOf(gone));
        other.unmerge(sumOf(gone));
        expect(other.encode()).toEqual(sum.encode());
      }),
      RUNS,
    );
  });

  test("do not tell a list from its numbers, and come back as what they were", () => {
    fc.assert(
      fc.property(fc.array(fc.double(), { maxLength: 300 }), fc.boolean(), (list, typed) => {
        const sum = exactSum();
        sum.addAll(typed ? Float64Array.from(list) : list);
        expect(sum.encode()).toEqual(sumOf(list).encode());
        const back = exactSum.decode(sum.encode());
        expect(back.encode()).toEqual(sum.encode());
        expect(back.value()).toBe(sum.value());
        expect(back.count).toBe(list.length);
        sum.subtractAll(list);
        expect(sum.encode()).toEqual(exactSum().encode());
      }),
      RUNS,
    );
  });
});
