import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { partition, partitionBySize } from "../../src/schedule/partition.ts";

/** Units of random work: `workBefore(u)` is the work of those before u. */
const work = fc.array(fc.nat(100), { maxLength: 200 }).map((sizes) => {
  const sums = [0];
  for (const size of sizes) sums.push(sums.at(-1)! + size);
  return { units: sizes.length, most: Math.max(0, ...sizes), workBefore: (unit: number): number => sums[unit]! };
});

describe("partition", () => {
  test("cuts equal units into equal parts", () => {
    expect([...partition(8, 4, (u) => u)]).toEqual([0, 2, 4, 6, 8]);
    expect([...partition(10, 4, (u) => u)]).toEqual([0, 3, 5, 8, 10]);
    expect([...partition(3, 8, (u) => u)]).toEqual([0, 1, 2, 3]);
    expect([...partition(0, 4, (u) => u)]).toEqual([0, 0]);
  });

  test("covers all units in order, with no empty part, and no part beyond its share by more than one unit", () => {
    fc.assert(
      fc.property(work, fc.integer({ min: 1, max: 50 }), ({ units, most, workBefore }, parts) => {
        const bounds = partition(units, parts, workBefore);
        expect(bounds[0]).toBe(0);
        expect(bounds.at(-1)).toBe(units);
        expect(bounds.length - 1).toBeLessThanOrEqual(parts);
        for (let p = 0; p + 1 < bounds.length; p++) {
          if (units > 0) expect(bounds[p + 1]!).toBeGreaterThan(bounds[p]!);
          expect(workBefore(bounds[p + 1]!) - workBefore(bounds[p]!)).toBeLessThanOrEqual(workBefore(units) / parts + most);
        }
      }),
    );
  });
});

describe("partitionBySize", () => {
  test("fills each part as far as it goes; a unit that is larger is a part of its own", () => {
    const starts = [0, 3, 6, 20, 21, 22];
    expect([...partitionBySize(5, 7, (u) => starts[u]!)]).toEqual([0, 2, 3, 5]);
    expect([...partitionBySize(0, 7, () => 0)]).toEqual([0, 0]);
  });

  test("covers all units, and only a single unit exceeds the size", () => {
    fc.assert(
      fc.property(work, fc.integer({ min: 1, max: 150 }), ({ units, workBefore }, size) => {
        const bounds = partitionBySize(units, size, workBefore);
        expect(bounds[0]).toBe(0);
        expect(bounds.at(-1)).toBe(units);
        for (let p = 0; p + 1 < bounds.length; p++) {
          const [lo, hi] = [bounds[p]!, bounds[p + 1]!];
          if (units > 0) expect(hi).toBeGreaterThan(lo);
          if (hi - lo > 1) expect(workBefore(hi) - workBefore(lo)).toBeLessThanOrEqual(size);
          if (hi < units) expect(workBefore(hi + 1) - workBefore(lo), "one more would not fit").toBeGreaterThan(size);
        }
      }),
    );
  });
});

describe("very many units", () => {
  const units = 2 ** 32 - 1;

  test("are cut as few are", () => {
    expect([...partition(units, 2, (u) => u)]).toEqual([0, 2 ** 31, units]);
    expect([...partitionBySize(units, 2 ** 31, (u) => u)]).toEqual([0, 2 ** 31, units]);
  });

  test("of no work are one part", () => {
    expect([...partition(units, 8, () => 0)]).toEqual([0, units]);
    expect([...partitionBySize(units, 8, () => 0)]).toEqual([0, units]);
  });
});
