// Exact sums of lists through the kernels, against the definition (contract clauses 3, 8, 9).
import { describe, expect, test } from "vitest";
import { dotOf, sumOf } from "../../src/backends/accumulator.ts";
import { ExactSum } from "../../src/reduce/exact.ts";
import { random } from "../random.ts";
import { KINDS } from "../reduce/numbers.ts";

/** Around the length of a slice, and of none. */
const LENGTHS = [0, 1, 2, 5, 4095, 4096, 4097, 9000];

function defined(values: Iterable<number>): ExactSum {
  const sum = new ExactSum();
  for (const x of values) sum.add(x);
  return sum;
}

describe("the kernels", () => {
  test.each(Object.keys(KINDS))("add lists of float64 and of float32: %s", (kind) => {
    const r = random(31);
    for (const length of LENGTHS) {
      const values = Float64Array.from({ length }, () => KINDS[kind]!(r));
      const weights = Float64Array.from({ length }, (_, i) => (r.int(3) ? KINDS[kind]!(r) : (values[i] ?? 0)));
      expect(sumOf(values, "x").sum.parts()).toEqual(defined(values).parts());
      const singles = Float32Array.from(values);
      expect(sumOf(singles, "x").sum.parts()).toEqual(defined(singles).parts());
      const dot = new ExactSum();
      values.forEach((x, i) => {
        dot.addProduct(weights[i]!, x);
      });
      expect(dotOf(weights, values).parts()).toEqual(dot.parts());
      expect(dotOf([...weights], values).parts()).toEqual(dot.parts());
    }
  });

  test("add what is negative, however far down it reaches", () => {
    for (const values of [
      [-1],
      [-Number.MIN_VALUE],
      [-Number.MAX_VALUE],
      [1, -(2 ** -52)],
      [-(2 ** 31), 2 ** 31, -(2 ** -1074)],
      [-(2 ** 1023), 1],
    ])
      expect(sumOf(values, "x").sum.parts()).toEqual(defined(values).parts());
  });

  test("add integers of every kind", () => {
    const r = random(32);
    for (const kind of [Int32Array, Uint32Array, Int16Array, Uint16Array, Int8Array, Uint8Array, Uint8ClampedArray]) {
      const values = new kind(5000);
      for (let i = 0; i < values.length; i++) values[i] = r.int(2 ** 32) - 2 ** 31;
      let sum = 0; // below 2^53
      for (const x of values) sum += x;
      expect(sumOf(values, "x").sum.value(), kind.name).toBe(sum);
    }
  });

  test("add 64-bit integers beyond 2^53 exactly", () => {
    const values = BigInt64Array.of(2n ** 62n + 1n, -(2n ** 62n), 2n ** 53n, 1n);
    expect(sumOf(values, "x").sum.parts()).toMatchObject({ m: 2n ** 52n + 1n, exponent: 1, items: 4 });
    expect(sumOf(BigUint64Array.of(2n ** 64n - 1n), "x").sum.parts()).toMatchObject({ m: 2n ** 64n - 1n, exponent: 0, items: 1 });
  });

  test("add any iterable, in slices", () => {
    const values = Float64Array.from({ length: 9001 }, (_, i) => 1 / (i + 1));
    function* each(): Generator<number> {
      yield* values;
    }
    for (const list of [each(), new Set(values), [...values], values.values()])
      expect(sumOf(list, "x").sum.parts()).toEqual(defined(values).parts());
  });

  test("hold nothing between two calls, though a list may add another one while it is read", () => {
    function* nested(): Generator<number> {
      for (let i = 0; i < 10_000; i++) {
        if (i % 3000 === 0) expect(sumOf([i, 1], "inner").sum.value()).toBe(i + 1);
        yield i;
      }
    }
    expect(sumOf(nested(), "outer").sum.value()).toBe((9999 * 10_000) / 2);
    function* broken(): Generator<number> {
      yield* new Float64Array(5000).fill(1);
      throw new Error("the source broke");
    }
    expect(() => sumOf(broken(), "x")).toThrow("the source broke");
    expect(sumOf([2], "x").sum.value()).toBe(2);
  });

  test("read a list whose class is another's by its own memory", () => {
    class Odd extends Float64Array {
      override subarray(): Float64Array<ArrayBuffer> {
        return new Float64Array(1);
      }
    }
    expect(sumOf(new Odd([1, 2, 3]), "x").sum.value()).toBe(6);
    const shared = new Float64Array(new SharedArrayBuffer(800)).fill(0.5);
    expect(sumOf(shared, "x").sum.value()).toBe(50);
  });

  test("tell a list of nothing but −0", () => {
    expect(sumOf([], "x").negativeZero).toBe(true);
    expect(sumOf(new Float32Array(5000).fill(-0), "x").negativeZero).toBe(true);
    expect(sumOf([-0, -0, 0], "x").negativeZero).toBe(false);
    expect(sumOf(BigInt64Array.of(0n), "x").negativeZero).toBe(false);
  });
});
