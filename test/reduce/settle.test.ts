// The three rules of settle.ts, each where it is the one that serves. Random cases: contributions.test.ts.
import { describe, expect, test } from "vitest";
import { ExactSum } from "../../src/reduce/exact.ts";
import { bySize, settle, topOf } from "../../src/reduce/settle.ts";

/** `parts` settled to the sum of `target`, and what is left. */
function settled(parts: readonly number[], ...target: readonly number[]) {
  const changed = Float64Array.from(parts);
  const left = settle(changed, ExactSum.of(target, 1));
  const total = ExactSum.of([...changed, left.residual, left.rounding], 1);
  for (const x of target) total.subtract(x);
  expect(total.isZero, "parts, residual and rounding add up exactly").toBe(true);
  return { parts: [...changed], ...left };
}

describe("parts and one residual add up to the target exactly", () => {
  test("as they are, where what is left is a double", () => {
    expect(settled([0.1, 0.2], 0.3)).toEqual({ parts: [0.1, 0.2], residual: -(2 ** -55), rounding: 0 });
    expect(settled([], 5)).toEqual({ parts: [], residual: 5, rounding: 0 });
    expect(settled([1, 2], 3)).toEqual({ parts: [1, 2], residual: 0, rounding: 0 });
  });

  test("on a grid: only parts smaller than the residual change, in bits below its own", () => {
    const low = 2 ** -60 + 2 ** -110;
    expect(settled([1, low, 2 ** -200], 1)).toEqual({ parts: [1, low, 0], residual: -low, rounding: 0 });
    expect(settled([1, low, 2 ** -200, 3 * 2 ** -112], 1)).toEqual({
      parts: [1, low, 0, 3 * 2 ** -112],
      residual: -low - 3 * 2 ** -112,
      rounding: 0,
    });
    // What begins at the residual's first bit and ends 53 bits later stays.
    expect(settled([1, 2 ** -60, 2 ** -112, 2 ** -113], 1).parts).toEqual([1, 2 ** -60, 2 ** -112, 0]);
  });

  test("one after the other, where the target is below what the rounding lost: the largest take it", () => {
    const ulp = 2 ** -54;
    // Thirds whose errors do not cancel, beside a target far below their last bits.
    const { parts, residual } = settled([1 / 3, -1 / 3 - ulp, -ulp * (4 / 3)], 2 ** -146);
    expect(parts.slice(0, 2)).toEqual([1 / 3, -1 / 3 + ulp]);
    expect(Math.abs(parts[2]! + ulp * (4 / 3))).toBeLessThanOrEqual(ulp);
    expect(Math.abs(residual)).toBeLessThanOrEqual(ulp);
  });

  test("nothing comes of nothing", () => {
    expect(settled([0, 1, -1, 2 ** -70], 2 ** -70 + 2 ** -122).parts[0]).toBe(0);
    expect(settled([0, 0], 1e-300).parts).toEqual([0, 0]);
  });

  test("at both ends of the range", () => {
    const { MAX_VALUE: max, MIN_VALUE: min } = Number;
    settled([max, max, max], 0);
    settled([max, max, -max], -max);
    settled([max, min, min], max);
    settled([max, -max, min], 0);
    settled([min, 2 * min, max], 1);
  });

  test("to the difference of two doubles, too, with its rounding beside it where no residual can hold that", () => {
    expect(settled([1], 1, 2 ** -200)).toEqual({ parts: [1], residual: 2 ** -200, rounding: 0 });
    expect(settled([1, -1], 2 ** -60, -(2 ** -200))).toEqual({ parts: [1, -1], residual: 2 ** -60, rounding: -(2 ** -200) });
  });
});

describe("the largest parts, with the others as one line", () => {
  test("stand by size, equal ones in their order, what is not a number before all", () => {
    expect([...bySize([1, -3, 3, Number.NaN, 0])]).toEqual([3, 1, 2, 0, 4]);
  });

  test("add up exactly again", () => {
    const all = Float64Array.of(0.1, 0.7, 0.2, 0.4);
    const target = ExactSum.of([1.4], 1);
    const left = settle(all, target);
    const { places, parts, others, settled: again } = topOf(all, left, target, 2);
    expect([...places]).toEqual([1, 3]);
    expect(others?.parts).toBe(2);
    expect(others?.sum).toBe(0.1 + 0.2); // RN(0.1 + 0.2)
    const total = ExactSum.of([...parts, others!.sum, again!.residual], 1);
    total.subtract(1.4);
    expect(total.isZero).toBe(true);
  });

  test("are all of them where there are no more", () => {
    const all = Float64Array.of(1, 2);
    const left = settle(all, ExactSum.of([3], 1));
    expect(topOf(all, left, ExactSum.of([3], 1), 2)).toEqual({
      places: Uint32Array.of(1, 0),
      parts: Float64Array.of(2, 1),
      others: undefined,
      settled: left,
    });
  });
});
