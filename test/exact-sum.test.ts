// The public exact sums: what they are called, refuse and cost. That their bits are right is shown in test/reduce/exact.*.test.ts.
import { describe, expect, test, vi } from "vitest";
import {
  type ExactAccumulator,
  type ExactAccumulators,
  type ExactSumOptions,
  exactSum,
  exactSums,
  type FourfoldError,
} from "../src/index.ts";
import { outputOf, runNode } from "./child.ts";
import { failing } from "./failing.ts";

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

function sumOf(...values: readonly number[]): ExactAccumulator {
  const sum = exactSum();
  for (const x of values) sum.add(x);
  return sum;
}

describe("exactSum()", () => {
  test("adds, takes out, merges, and rounds once (clause 3)", () => {
    const sum = sumOf(1e100, 0.1, 0.2, -1e100);
    expect(sum.value()).toBe(0.30000000000000004); // RN of the exact sum of the two float64
    sum.addAll([1, 2, 3]);
    sum.subtractAll(Float32Array.of(1, 2));
    sum.addProduct(0.5, 4);
    sum.subtractProduct(1, 2);
    sum.addProducts([2, 3], Int16Array.of(5, 7));
    sum.subtractProducts(Float64Array.of(31), [1]);
    sum.merge(sumOf(2 ** -60));
    sum.unmerge(sumOf(2 ** -60, 3));
    sum.subtract(0.1);
    expect(sum.value()).toBe(0.2);
    expect(sum.count).toBe(4 + 3 - 2 + 1 - 1 + 2 - 1 + 1 - 2 - 1);
  });

  test("is empty at first: 0, with no items", () => {
    expect(exactSum().value()).toBe(0);
    expect(exactSum().count).toBe(0);
    const sum = sumOf(1, 2);
    sum.merge(exactSum());
    sum.addAll([]);
    expect(sum.value()).toBe(3);
  });

  test("merges with itself", () => {
    const sum = sumOf(0.1, nan);
    sum.merge(sum);
    expect(sum.count).toBe(4);
    sum.unmerge(sum);
    expect(sum.encode()).toEqual(exactSum().encode());
  });

  test("counts NaN and infinities, so that they go again (clause 8)", () => {
    const sum = sumOf(1, inf);
    expect(sum.value()).toBe(inf);
    sum.add(-inf);
    expect(sum.value()).toBeNaN();
    sum.subtract(inf);
    expect(sum.value()).toBe(-inf);
    sum.addAll([nan, 0.5]);
    sum.subtractAll([nan, -inf]);
    expect(sum.value()).toBe(1.5);
  });

  test("tells 64-bit integers beyond 2^53 apart", () => {
    const sum = exactSum();
    sum.addAll(BigInt64Array.of(2n ** 60n + 1n));
    sum.subtractAll([2 ** 60]);
    expect(sum.value()).toBe(1);
  });

  test("writes as many bytes as its bits need: tens, as a rule", () => {
    expect(exactSum().encode()).toEqual(Uint8Array.of(0, 0, 0, 0, 0));
    const sum = exactSum();
    for (let i = 0; i < 1e5; i++) sum.add(Math.sqrt(i));
    expect(sum.encode().length).toBeLessThan(30);
    expect(sumOf(Number.MAX_VALUE, Number.MIN_VALUE).encode().length).toBeLessThan(280);
  });

  test("reads no more and no less than it wrote", async () => {
    const bytes = sumOf(0.1, 0.2, inf).encode();
    const back = exactSum.decode(bytes);
    expect([back.value(), back.count]).toEqual([inf, 3]);
    back.subtract(inf);
    expect(back.value()).toBe(0.30000000000000004);
    for (let length = 0; length < bytes.length; length++)
      expect((await failing(() => exactSum.decode(bytes.subarray(0, length)))).code).toBe("ERR_FOURFOLD_STATE");
    expect((await failing(() => exactSum.decode(Uint8Array.of(...bytes, 0)))).message).toMatch("1 bytes too many");
  });
});

describe('exactSum({ zero: "sumPrecise" }) is Math.sumPrecise', () => {
  const precise = (values: Iterable<number>): number => {
    const sum = exactSum({ zero: "sumPrecise" });
    sum.addAll(values);
    return sum.value();
  };

  // The cases of the proposal's tests: https://github.com/tc39/proposal-math-sum.
  test.each([
    [[], -0],
    [[-0], -0],
    [[-0, -0], -0],
    [[-0, 0], 0],
    [[0], 0],
    [[1, -1], 0],
    [[-0, 1, -1], 0],
    [[0.1, 0.2, 0.3], 0.6],
    [[1e308, 1e308, 0.1, 0.1, 1e30, 0.1, -1e30, -1e308, -1e308], 0.30000000000000004],
    [[1e308, 1e308], inf],
    [[inf, -inf], nan],
    [[inf, 1], inf],
    [[nan, 1], nan],
    [[Number.MAX_VALUE, 2 ** 970], inf],
  ])("of %j: %d", (values, value) => {
    expect(precise(values)).toBe(value);
    expect(precise(values.values())).toBe(value);
    expect(precise(Float64Array.from(values))).toBe(value);
    const each = exactSum({ zero: "sumPrecise" });
    for (const x of values) each.add(x);
    expect(each.value()).toBe(value);
    const merged = exactSum({ zero: "sumPrecise" });
    merged.merge(each);
    expect(merged.value()).toBe(value);
  });

  test("of many −0, through the kernels", () => {
    expect(precise(new Float64Array(10_000).fill(-0))).toBe(-0);
    expect(precise(new Float64Array(10_000).fill(-0).fill(0, 9999))).toBe(0);
  });

  test("once a product came in, or something was taken out, a zero is +0", () => {
    const make = (change: (sum: ExactAccumulator) => void): number => {
      const sum = exactSum({ zero: "sumPrecise" });
      change(sum);
      return sum.value();
    };
    expect(make((sum) => sum.addProduct(-0, 1))).toBe(0);
    expect(make((sum) => sum.subtract(-0))).toBe(0);
    expect(make((sum) => sum.subtractAll([-0]))).toBe(0);
    expect(make((sum) => sum.merge(sumOf(0)))).toBe(0);
    expect(make((sum) => sum.merge(sumOf(-0)))).toBe(-0);
  });

  test("the bytes of a zero have no sign: a decoded sum of nothing is −0, one of zeros +0", () => {
    const zero: ExactSumOptions = { zero: "sumPrecise" };
    expect(exactSum.decode(exactSum().encode(), zero).value()).toBe(-0);
    expect(exactSum.decode(sumOf(-0).encode(), zero).value()).toBe(0);
  });
});

describe("exactSums()", () => {
  test("adds to groups, one by one and as lists", () => {
    const sums = exactSums({ groups: 2 });
    sums.addAll(Uint32Array.of(0, 1, 0), [1e16, 0.5, 1]);
    sums.grow(3);
    sums.add(2, 7);
    sums.subtract(2, 4);
    sums.subtractAll([0], Float32Array.of(1));
    expect([...sums.values()]).toEqual([1e16, 0.5, 3]);
    expect([sums.groups, sums.bytes, sums.value(2), sums.count(0)]).toEqual([3, 128, 3, 1]);
    expect(exactSum.decode(sums.encode(1)).value()).toBe(0.5);
  });

  test("holds a million groups with their sums in less than 200 MB", async () => {
    const program = `
      import { exactSums } from ${JSON.stringify(new URL("../dist/index.js", import.meta.url).href)};
      const used = () => { gc(); const { rss, heapUsed, arrayBuffers } = process.memoryUsage(); return [rss, heapUsed + arrayBuffers]; };
      const before = used();
      const sums = exactSums({ groups: 1e6 });
      for (let i = 0; i < 3e6; i++) sums.add((i * 7919) % 1e6, Math.sqrt(i) - 700); // 7919 is prime: each group three times
      const after = used();
      console.log(JSON.stringify({ rss: after[0] - before[0], held: after[1] - before[1], bytes: sums.bytes, count: sums.count(999_999) }));`;
    const told = JSON.parse(await outputOf(runNode(["--expose-gc", "--input-type=module", "-e", program]))) as Record<string, number>;
    expect(told["count"]).toBe(3);
    expect(told["bytes"]).toBe(32e6);
    expect(told["held"]).toBeLessThan(200e6);
    expect(told["rss"]).toBeLessThan(200e6);
  });
});

describe("what is refused", () => {
  const bad = (value: unknown) => value as never;
  const one = exactSum;
  const two = (): ExactAccumulators => exactSums({ groups: 2 });

  test.each([
    ["a string", () => one().add(bad("1")), "ERR_FOURFOLD_DTYPE", 'x is "1"'],
    ["a bigint", () => one().subtract(bad(1n)), "ERR_FOURFOLD_DTYPE", "x is 1n"],
    ["no weight", () => one().addProduct(bad(undefined), 1), "ERR_FOURFOLD_DTYPE", "w is undefined"],
    ["no factor", () => one().subtractProduct(1, bad(null)), "ERR_FOURFOLD_DTYPE", "x is null"],
    ["a number for a list", () => one().addAll(bad(1)), "ERR_FOURFOLD_DTYPE", "values is 1"],
    ["nothing for a list", () => one().subtractAll(bad(undefined)), "ERR_FOURFOLD_DTYPE", "values is undefined"],
    ["a text for a list", () => one().addAll(bad("12")), "ERR_FOURFOLD_DTYPE", 'values[0] is "1"'],
    ["a DataView", () => one().addAll(bad(new DataView(new ArrayBuffer(8)))), "ERR_FOURFOLD_DTYPE", "values is DataView"],
    ["what looks like a list", () => one().addAll(bad({ length: 1, 0: 5 })), "ERR_FOURFOLD_DTYPE", "values is object"],
    [
      "64-bit integers as factors",
      () => one().addProducts(bad(BigInt64Array.of(1n)), [1]),
      "ERR_FOURFOLD_DTYPE",
      "weights is BigInt64Array",
    ],
    ["an iterable as factors", () => one().addProducts([1], bad(new Set([1]))), "ERR_FOURFOLD_DTYPE", "values is"],
    ["two lengths", () => one().addProducts([1], [1, 2]), "ERR_FOURFOLD_WEIGHTS", "1 weights for 2 values"],
    ["what is no sum", () => one().merge(bad({ value: 1 })), "ERR_FOURFOLD_ARGUMENT", "the other sum is object with value"],
    ["what is no bytes", () => exactSum.decode(bad("0")), "ERR_FOURFOLD_ARGUMENT", 'the bytes are "0"'],
    ["another zero", () => exactSum(bad({ zero: "negative" })), "ERR_FOURFOLD_ARGUMENT", 'option "zero": given "negative"'],
    ["another option", () => exactSum(bad({ zeros: 1 })), "ERR_FOURFOLD_ARGUMENT", 'option "zeros"'],
    ["no options", () => exactSum(bad(null)), "ERR_FOURFOLD_ARGUMENT", "exactSum: the options are null"],
    ["a group that is not there", () => two().add(2, 1), "ERR_FOURFOLD_ARGUMENT", "group 2 is not there, expected an integer below 2"],
    ["half a group", () => two().value(0.5), "ERR_FOURFOLD_ARGUMENT", "group 0.5"],
    ["a group by name", () => two().add(bad("0"), 1), "ERR_FOURFOLD_ARGUMENT", 'group "0"'],
    ["a text for a group's number", () => two().subtract(0, bad("1")), "ERR_FOURFOLD_DTYPE", 'the value is "1"'],
    ["half a number of groups", () => exactSums({ groups: 1.5 }), "ERR_FOURFOLD_ARGUMENT", "groups is 1.5"],
    ["another option of groups", () => exactSums(bad({ group: 2 })), "ERR_FOURFOLD_ARGUMENT", 'option "group"'],
    ["groups of another length", () => two().addAll([0], [1, 2]), "ERR_FOURFOLD_SHAPE", "1 groups for 2 values"],
    ["groups that are no list", () => two().addAll(bad(0), [1]), "ERR_FOURFOLD_DTYPE", "groups are 0"],
    ["more groups than there can be", () => exactSums({ groups: 2 ** 40 }), "ERR_FOURFOLD_ARGUMENT", "expected an integer from 0 to 2^30"],
  ] as [string, () => unknown, string, string][])("%s", async (_, call, code, says) => {
    const error = await failing(call);
    expect(error.code).toBe(code);
    expect(error.message).toContain(says);
  });

  test.each([
    ["an array", (sum: ExactAccumulator) => sum.addAll([1, 2, bad("3")]), 2],
    ["an array longer than a slice", (sum: ExactAccumulator) => sum.addAll([...new Float64Array(5000).fill(1), bad(null)]), 5000],
    ["an array with a hole", (sum: ExactAccumulator) => sum.addAll(Object.assign(new Array(100).fill(1), { 70: undefined })), 70],
    ["a set", (sum: ExactAccumulator) => sum.subtractAll(new Set([1, bad({})])), 1],
    ["weights", (sum: ExactAccumulator) => sum.addProducts([1, bad("2")], [1, 2]), 1],
  ])("a list with something else in it, whole, with the index: %s", async (_, add, index) => {
    const sum = sumOf(0.5);
    const error: FourfoldError = await failing(() => add(sum));
    expect(error.code).toBe("ERR_FOURFOLD_DTYPE");
    expect(error.at).toEqual({ index });
    expect([sum.value(), sum.count], "nothing was added").toEqual([0.5, 1]);
  });

  test("a list of groups, whole, with the index", async () => {
    const sums = two();
    const error = await failing(() => sums.addAll([0, 1, 2], [1, 2, 3]));
    expect([error.code, error.at]).toEqual(["ERR_FOURFOLD_ARGUMENT", { index: 2 }]);
    expect([...sums.values()]).toEqual([0, 0]);
  });

  test("groups for which there is no memory", async () => {
    class Full {
      constructor() {
        throw new RangeError("Array buffer allocation failed");
      }
    }
    const sums = exactSums();
    vi.stubGlobal("Float64Array", Full);
    try {
      const error = await failing(() => sums.grow(2));
      expect([error.code, error.message]).toEqual(["ERR_FOURFOLD_MEMORY", expect.stringContaining("no room for 2 groups of 32 bytes")]);
    } finally {
      vi.unstubAllGlobals();
    }
  });

  test("an array whose memory was transferred away", async () => {
    for (const length of [3, 1000]) {
      const gone = new Float64Array(length);
      structuredClone(gone.buffer, { transfer: [gone.buffer] });
      expect((await failing(() => one().addAll(gone))).code).toBe("ERR_FOURFOLD_ARGUMENT");
      expect((await failing(() => one().addProducts(gone, []))).code).toBe("ERR_FOURFOLD_ARGUMENT");
    }
  });
});

test("a process that makes no exact sum of a list compiles no kernels for it", async () => {
  const program = `
    const compiled = [];
    WebAssembly.Module = class extends WebAssembly.Module { constructor(bytes) { compiled.push(bytes.length > 0); super(bytes); } };
    const { exactSum } = await import(${JSON.stringify(new URL("../dist/index.js", import.meta.url).href)});
    const sum = exactSum();
    sum.add(1);
    sum.addAll([2, 3]);
    const before = compiled.length;
    for (let i = 0; i < 3; i++) sum.addAll(new Float64Array(1000));
    console.log(before, compiled.length);`;
  expect(await outputOf(runNode(["--input-type=module", "-e", program]))).toBe("0 1\n");
});
