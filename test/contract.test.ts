/**
 * The numeric contract, clause by clause, in small cases that can be checked by hand. The proofs in numbers stand elsewhere: oracle.test.ts,
 * reduce/, kernels.test.ts and backends/ compare thousands of random cases with rational arithmetic.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  chain,
  count,
  createEngine,
  createState,
  defineReduction,
  type Engine,
  exactSum,
  FourfoldError,
  type Input,
  max,
  mean,
  min,
  type Reduction,
  type RunOptions,
  slidingWindow,
  sum,
  variance,
  weightedMean,
  weightedSum,
} from "../src/index.ts";
import { ROOT } from "./child.ts";

const { NaN: nan, POSITIVE_INFINITY: inf, MAX_VALUE: largest, MIN_VALUE: least } = Number;

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ workers: 2 });
});
afterAll(() => engine.close());

async function valuesOf(levels: readonly Reduction[], input: Input, options: RunOptions = {}): Promise<number[]> {
  return Array.from((await engine.run(chain(...levels), input, options)).values);
}

/** One node over rows: lanes at level f. */
async function row(level: Reduction, data: readonly number[], options: RunOptions = {}): Promise<number> {
  return (await valuesOf([level], { data: Float64Array.from(data), shape: [data.length] }, options))[0]!;
}

/** One node over records: exact at level f. */
async function records(level: Reduction, values: readonly number[], options: RunOptions = {}): Promise<number> {
  return (await valuesOf([level], { values: Float64Array.from(values), keys: {} }, options))[0]!;
}

/** Clause 2 in its own words, for at most 4096 terms. */
function lanes(terms: readonly number[]): number {
  const s = new Array<number>(16).fill(0);
  terms.forEach((term, i) => {
    s[i % 16]! += term;
  });
  for (let j = 0; j < 8; j++) s[j]! += s[j + 8]!;
  for (let j = 0; j < 4; j++) s[j]! += s[j + 4]!;
  for (let j = 0; j < 2; j++) s[j]! += s[j + 2]!;
  return s[0]! + s[1]!;
}

/** Numbers whose sum hangs on the order. */
const ragged = (n: number): number[] => Array.from({ length: n }, (_, i) => Math.sin(i + 1) * 10 ** ((i * 7) % 12));

const bitsOf = (x: number): bigint => new BigUint64Array(Float64Array.of(x).buffer)[0]!;

describe("clause 1: what the bits depend on", () => {
  test("rows use lanes and records do not, and under exact both give the same bits", async () => {
    const x = ragged(1000);
    const [asRow, asRecords] = [await row(sum(), x), await records(sum(), x)];
    expect(asRow).not.toBe(asRecords);
    expect(await row(sum(), x, { accuracy: "exact" })).toBe(asRecords);
    expect(await records(sum(), x, { accuracy: "exact" })).toBe(asRecords);
  });

  test("the dtype does not matter, only the values", async () => {
    const x = Array.from({ length: 500 }, (_, i) => (i * 37) % 200);
    const w = x.map((v) => 1 / (v + 1));
    const results: number[] = [];
    for (const data of [Float32Array.from(x), Float64Array.from(x), Int32Array.from(x), Int16Array.from(x), Uint8Array.from(x)])
      results.push(...(await valuesOf([weightedSum(w)], { data, shape: [500] })));
    expect(new Set(results).size).toBe(1);
  });

  test("a result names the version", async () => {
    const version = /^# Numeric contract, version (\d+)/.exec(readFileSync(join(ROOT, "docs/numeric-contract.md"), "utf8"))![1];
    expect((await engine.run(chain(sum()), { data: [1], shape: [1] })).contract).toBe(version);
  });
});

describe("clause 2: level f of rows", () => {
  test("sixteen lanes and their fold", async () => {
    for (const n of [1, 15, 16, 17, 100, 4096]) {
      const x = ragged(n);
      const w = x.map((_, i) => 1 / (i + 3));
      expect(await row(sum(), x)).toBe(lanes(x));
      expect(await row(weightedSum(w), x)).toBe(lanes(x.map((v, i) => v * w[i]!)));
    }
  });

  test("a longer row is the exact sum of its blocks of 4096, rounded once", async () => {
    const x = ragged(4096 + 1000);
    const blocks = [lanes(x.slice(0, 4096)), lanes(x.slice(4096))];
    expect(await row(sum(), x)).toBe(blocks[0]! + blocks[1]!);
  });

  test("an output of a matrix has the bits of its row as a vector", async () => {
    const x = ragged(100);
    const matrix = [x.map((_, i) => 1 / (i + 1)), x.map((_, i) => 1 / (i + 2)), x.map((_, i) => -1 / (i + 3))];
    const each: number[] = [];
    for (const w of matrix) each.push(await row(weightedSum(w), x));
    expect(await valuesOf([weightedSum(matrix)], { data: Float64Array.from(x), shape: [100] })).toEqual(each);
  });
});

describe("clause 3: records, and every outer level", () => {
  test("the exact sum, rounded once", async () => {
    expect(await records(sum(), [1e16, 1, -1e16])).toBe(1);
    expect(await valuesOf([max(), sum()], { data: [1e16, 1, -1e16], shape: [3, 1] })).toEqual([1]);
  });

  test("of exact products", async () => {
    // (1 + 2^-52)² = 1 + 2^-51 + 2^-104: the last bit is what remains.
    const a = 1 + 2 ** -52;
    const input = { data: [a, 1 + 2 ** -51], shape: [2, 1] };
    expect(await valuesOf([max(), weightedSum([a, -1])], input)).toEqual([2 ** -104]);
  });
});

describe("clause 4: a node is rounded once, when it closes", () => {
  test("a parent takes rounded children", async () => {
    const input = { values: [1, 2 ** -53, 2 ** -53], keys: { group: ["a", "a", "b"] } };
    expect(await valuesOf([sum()], { values: input.values, keys: {} })).toEqual([1 + 2 ** -52]);
    expect(await valuesOf([sum(), sum()], input)).toEqual([1]); // RN(1 + 2^-53) = 1, and RN(1 + 2^-53) = 1 again
  });
});

describe("clause 5: pieces of a row", () => {
  test("pieces without positions are rows of their own", async () => {
    const x = ragged(100);
    const parts = await valuesOf([sum()], { data: x, offsets: [[0, 37, 100]] });
    expect(parts).toEqual([lanes(x.slice(0, 37)), lanes(x.slice(37))]);
  });
});

describe("clause 6: means", () => {
  // Found with Python's fractions: RN(RN(S)/n) and RN(S/n) differ, as do RN(RN(N)/RN(W)) and RN(N/W).
  test("divide rounded sums, or round the real quotient under exact", async () => {
    expect(await records(mean(), [3.3, 3.3, 0.1])).toBe(2.233333333333333);
    expect(await records(mean(), [3.3, 3.3, 0.1], { accuracy: "exact" })).toBe(2.2333333333333334);
  });

  test("with weights, too", async () => {
    const input = { data: [3.3, 0.7, 0.3], shape: [3, 1] };
    const levels = [max(), weightedMean([3.3, 7.7, 0.2])];
    expect(await valuesOf(levels, input)).toEqual([1.4589285714285716]);
    expect(await valuesOf(levels, input, { accuracy: "exact" })).toEqual([1.4589285714285714]);
  });

  test("W = 0 follows IEEE", async () => {
    const input = { data: [1, 2, 2, 1, 1, 1], shape: [3, 2, 1] };
    expect(await valuesOf([max(), weightedMean([1, -1])], input)).toEqual([-inf, inf, nan]);
  });
});

describe("clause 7: variance", () => {
  test("is evaluated exactly and rounded once", async () => {
    expect(await row(variance(), [1e15 + 1, 1e15 + 2, 1e15 + 4])).toBe(14 / 9);
    expect(await row(variance(), [0.1, 0.2, 0.4, 0.7])).toBe(0.05249999999999999); // Python's fractions
    expect(await row(variance({ ddof: 1 }), [0.1, 0.2, 0.4, 0.7])).toBe(0.06999999999999999);
  });

  test("is NaN for n ≤ ddof and for values that are not finite", async () => {
    expect(await row(variance({ ddof: 1 }), [3])).toBe(nan);
    expect(await row(variance(), [3])).toBe(0);
    expect(await row(variance(), [3, inf])).toBe(nan);
  });
});

describe("clause 8: specials", () => {
  test("every NaN has the bits 0x7ff8000000000000", async () => {
    const odd = new Float64Array(new BigUint64Array([0xfff8dead00000000n, 0x3ff0000000000000n]).buffer);
    for (const level of [sum(), mean(), min(), max(), weightedSum([1, 1])])
      for (const value of await valuesOf([level], { data: odd, shape: [2] })) expect(bitsOf(value)).toBe(0x7ff8000000000000n);
  });

  test("an exact zero is +0, and what underflows keeps its sign", async () => {
    expect(await records(sum(), [-0, -0])).toBe(0);
    expect(await records(sum(), [1, -1])).toBe(0);
    expect(await valuesOf([max(), weightedSum([least])], { data: [-least], shape: [1, 1] })).toEqual([-0]);
    expect(await row(weightedSum([least]), [-least])).toBe(0); // lanes start at +0
  });

  test("min and max order the zeros, and NaN wins", async () => {
    expect(await row(min(), [0, -0])).toBe(-0);
    expect(await row(max(), [-0, 0])).toBe(0);
    expect(await row(min(), [1, nan, -inf])).toBe(nan);
  });

  test("terms that are not finite count as their IEEE product", async () => {
    expect(await records(sum(), [inf, largest, largest])).toBe(inf);
    expect(await records(sum(), [inf, -inf, 1])).toBe(nan);
    expect(await valuesOf([max(), weightedSum([0, 1])], { data: [inf, 1], shape: [2, 1] })).toEqual([nan]);
  });

  test("of nothing: 0 for sums and counts, else NaN", async () => {
    const none = { data: [], offsets: [[0, 0]] };
    for (const level of [sum(), weightedSum({ perNode: [] }), count()]) expect(await valuesOf([level], none)).toEqual([0]);
    for (const level of [mean(), weightedMean({ perNode: [] }), min(), max(), variance()])
      expect(await valuesOf([level], none)).toEqual([nan]);
  });
});

describe("clause 9: range", () => {
  test("nothing overflows on the way of an exact sum", async () => {
    expect(await records(sum(), [largest, largest, -largest, -largest, 1])).toBe(1);
    const input = { data: [largest, -largest, 1], shape: [3, 1] };
    expect(await valuesOf([max(), weightedSum([largest, largest, 1])], input)).toEqual([1]);
    expect(await records(sum(), [largest, largest])).toBe(inf);
  });

  test("lanes overflow as IEEE says", async () => {
    expect(await row(sum(), [largest, ...new Array<number>(15).fill(0), largest, -largest, -largest])).toBe(inf);
  });
});

describe('clause 10: nan: "skip"', () => {
  const skip = { nan: "skip" } as const;

  test("a skipped child keeps its position and leaves n and Σw", async () => {
    expect(await row(weightedSum([1, 10, 100]), [2, nan, 3], skip)).toBe(302);
    expect(await row(weightedMean([1, 10, 3]), [2, nan, 6], skip)).toBe(5);
    expect(await row(mean(), [2, nan, 6], skip)).toBe(4);
    expect(await row(weightedSum([1, inf]), [2, nan], skip)).toBe(2);
  });

  test("a node without children is missing to its parent, and shows the value of an empty one", async () => {
    const result = await engine.run(chain({ f: sum(), g: mean() }), { data: [nan, nan, 1, 3], shape: [2, 2] }, { ...skip, keep: "all" });
    expect(result.value).toBe(4);
    expect(Array.from(result.level("f")).map(({ value }) => value)).toEqual([0, 4]);
  });

  test('the weight "count" is the number of records below, and count() counts what is kept', async () => {
    const input = { values: [1, nan, 3, 10], keys: { group: ["a", "a", "a", "b"] } };
    expect(await valuesOf([mean(), weightedMean("count")], input, skip)).toEqual([(2 * 2 + 10) / 3]);
    expect(await valuesOf([count(), sum()], input, skip)).toEqual([3]);
    expect(await valuesOf([count(), sum()], input)).toEqual([4]);
  });
});

describe("clause 10a: keys", () => {
  test("nodes ascend by key: numbers by value, strings by code point", async () => {
    const keysOf = async (keys: readonly (string | number | null)[]): Promise<unknown[]> => {
      const values = Float64Array.from(keys, () => 1);
      const result = await engine.run(chain({ f: sum(), g: sum() }), { values, keys: { key: keys }, nullKeys: "group" }, { keep: "all" });
      return Array.from(result.level("f")).map(({ key }) => key);
    };
    expect(await keysOf([10, 9, -1, null])).toEqual([null, -1, 9, 10]);
    expect(await keysOf(["é", "z", "Z", "\u{1F600}", "\uFFFD"])).toEqual(["Z", "z", "é", "\uFFFD", "\u{1F600}"]);
  });

  test("a null or NaN key is an error unless nullKeys says otherwise", async () => {
    for (const key of [null, nan]) {
      const input = { values: [1, 2], keys: { key: ["a", key] } };
      await expect(engine.run(chain(sum(), sum()), input)).rejects.toMatchObject({ code: "ERR_FOURFOLD_KEYS" });
      expect(await valuesOf([sum(), sum()], { ...input, nullKeys: "skip" })).toEqual([1]);
    }
  });
});

describe("clause 11: exact", () => {
  test("level f, too, is the exact sum rounded once, and blocks are not rounded before the row", async () => {
    const x = [2 ** 53, ...new Array<number>(4095).fill(0), 1, ...new Array<number>(4095).fill(0), 1];
    expect(await row(sum(), x)).toBe(2 ** 53 + 2);
    const y = [2 ** 53, 1, ...new Array<number>(4094).fill(0), 1, ...new Array<number>(4095).fill(0), -(2 ** 53)];
    expect(await row(sum(), y)).toBe(1); // the first block rounds 2^53 + 1 to even
    expect(await row(sum(), y, { accuracy: "exact" })).toBe(2);
  });
});

describe("clause 12: fast", () => {
  test("the result lies within errorBound of the chain over the real numbers", async () => {
    // Multiples of 2^-30 below 1, and weights that are powers of two: the truth is an integer sum.
    const x = Float64Array.from({ length: 512 }, (_, i) => ((i * 2654435761) % 2 ** 30) / 2 ** 30);
    const w = Array.from(x, (_, i) => 2 ** -(i % 8));
    const truth = x.reduce((total, v, i) => total + BigInt(v * 2 ** 30) * BigInt(2 ** 7 * w[i]!), 0n);
    const { value, errorBound } = await engine.run(chain(weightedSum(w)), { data: x, shape: [512] }, { backend: "tfjs-cpu" });
    const error = Math.abs(Number(BigInt(Math.round(value * 2 ** 37)) - truth)) / 2 ** 37;
    expect(error).toBeGreaterThan(0);
    expect(error).toBeLessThanOrEqual(errorBound!);
  });
});

describe("clause 13: users' reductions", () => {
  const traced = (seen: string[]) =>
    defineReduction<{ first: number; last: number; text: string }>({
      name: "traced",
      init: () => ({ first: nan, last: nan, text: "" }),
      add: ({ first, text }, x) => ({ first: text === "" ? x : first, last: x, text: "." }),
      merge: (left, right) => ({ first: left.first, last: right.last, text: `(${left.first}…${left.last}|${right.first}…${right.last})` }),
      finish: ({ first, last, text }) => {
        seen.push(text);
        return last - first;
      },
    });

  test("run in index order, merged from left to right on the grid of 4096", async () => {
    const seen: string[] = [];
    const data = Float64Array.from({ length: 9000 }, (_, i) => i);
    expect(await valuesOf([traced(seen)()], { data, shape: [9000] })).toEqual([8999]);
    expect(seen).toEqual(["(0…8191|8192…8999)"]);
  });

  test("refuse records unless they are orderFree", async () => {
    const input = { values: [1, 2], keys: {} };
    await expect(engine.run(chain(traced([])()), input)).rejects.toMatchObject({ code: "ERR_FOURFOLD_REDUCTION" });
    const largestOf = defineReduction({
      name: "largest",
      init: () => -inf,
      add: Math.max,
      merge: Math.max,
      finish: (m) => m,
      orderFree: true,
    });
    expect(await valuesOf([largestOf()], input)).toEqual([2]);
  });
});

describe("clause 14: windows", () => {
  test("what leaves a window leaves no trace, and its value is that of its children as records", async () => {
    const window = slidingWindow(sum(), { countMax: 3 });
    for (const x of [inf, nan, 1e300, -1e300, 0.1, 0.2, 0.3]) window.push(x);
    expect(window.value()).toBe(await records(sum(), [0.1, 0.2, 0.3]));
  });

  test("so the state after a slide is that of a window which never slid", () => {
    const slid = slidingWindow(variance(), { countMax: 100 });
    const x = ragged(1000);
    for (const v of x) slid.push(v);
    const fresh = slidingWindow(variance());
    for (const v of x.slice(-100)) fresh.push(v);
    expect(slid.encode()).toEqual(fresh.encode());
  });
});

describe("clause 14: live", () => {
  test("a leaf that changes, comes or goes leaves the tree of a run over what is there", async () => {
    const c = chain(sum(), mean());
    const live = await engine.live(c, { values: [0.1, 0.2, 0.3], keys: { site: [1, 1, 2], sensor: [1, 2, 1] } });
    for (const x of [inf, nan, 1e300, 0.7]) live.set([1, 2], x);
    live.set([3, 1], -1e300);
    live.delete([3, 1]);
    expect(live.value).toBe((await engine.run(c, { values: [0.1, 0.7, 0.3], keys: { site: [1, 1, 2] } })).value);
  });

  test("in a row only the leaf's own lane is added again", async () => {
    const x = ragged(5000);
    const live = await engine.live(chain(sum()), Float64Array.from(x));
    x[4100] = 0.1;
    live.set([4100], 0.1);
    expect(live.value).toBe(await row(sum(), x, { accuracy: "reproducible" }));
  });
});

describe("clause 15: states", () => {
  test("equal bytes stand for an equal value, however it came about", () => {
    const one = exactSum();
    for (const x of [1e300, 0.5, 2 ** -1074, -1e300, 2.5]) one.add(x);
    const other = exactSum();
    other.add(3);
    const rest = exactSum();
    for (const x of [0, -0, 2 ** -1075, 2 ** -1074]) rest.add(x);
    other.merge(rest);
    expect(one.encode()).toEqual(other.encode());
  });

  test("the encoding is sign, exponent and odd integer, then the counts", () => {
    const three = exactSum();
    for (const x of [1, 5, 6]) three.add(x); // 12 = 3·2^2
    const zigzag = (n: number): number => (n < 0 ? -2 * n - 1 : 2 * n);
    expect([...three.encode()]).toEqual([1, zigzag(2), 1, 3, 0, 0, 0, zigzag(3)]);
  });

  test("what was read before is dropped, and what overlaps in part is refused", () => {
    const state = createState(chain(sum()));
    const read = (from: number, to: number) => ({ source: "s", partition: 0, from, to });
    expect(state.add({ values: [1, 2] }, read(0, 2))).toEqual({ replayed: false });
    expect(state.add({ values: [1, 2] }, read(0, 2))).toEqual({ replayed: true });
    expect(() => state.add({ values: [2, 3] }, read(1, 3))).toThrow("overlaps with");
    expect(state.finish().value).toBe(3);
  });

  test("states of other chains, weights or policies do not merge, and a digest covers the value alone", () => {
    const state = createState(chain(sum()));
    for (const other of [createState(chain(mean())), createState(chain(sum()), { nan: "skip" })])
      expect(() => state.merge(other)).toThrow(FourfoldError);
    const twin = createState(chain(sum()));
    state.add({ values: [1, 2] });
    twin.add({ values: [2, 1] }, { source: "s", partition: 0, from: 0, to: 2 });
    expect(twin.digest()).toBe(state.digest());
    expect(twin.encode()).not.toEqual(state.encode());
  });
});

test("every clause of docs/numeric-contract.md has its tests here", () => {
  const clauses = [...readFileSync(join(ROOT, "docs/numeric-contract.md"), "utf8").matchAll(/^\*\*(\d+a?)\. /gm)].map(([, n]) => n!);
  const tested = new Set(
    [...readFileSync(join(ROOT, "test/contract.test.ts"), "utf8").matchAll(/^describe\(["']clause (\d+a?): /gm)].map(([, n]) => n!),
  );
  expect(clauses.length).toBeGreaterThan(15);
  expect(clauses.filter((clause) => !tested.has(clause))).toEqual([]);
});
