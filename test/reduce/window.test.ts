/** Windows that do not drift (contract clause 14): what they hold is a fresh computation over their children, to the byte. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  chain,
  count,
  createEngine,
  defineReduction,
  type Engine,
  max,
  mean,
  min,
  type Reduction,
  type SlidingWindowOptions,
  slidingWindow,
  sum,
  variance,
  weightedMean,
  weightedSum,
} from "../../src/index.ts";
import { reduceNode } from "../../src/reduce/node.ts";
import type { BuiltIn } from "../../src/reduce/reductions.ts";
import { failing } from "../failing.ts";
import { random } from "../random.ts";

/** Slides of each window. Too few would not drift even in float64. */
const SLIDES = Math.max(1000, Number(process.env["FOURFOLD_RUNS"] ?? 10_000));

const { NaN: nan, POSITIVE_INFINITY: inf, MIN_VALUE: least } = Number;

const REDUCTIONS: Readonly<Record<string, Reduction>> = {
  sum: sum(),
  weightedSum: weightedSum("count"),
  mean: mean(),
  weightedMean: weightedMean("count"),
  min: min(),
  max: max(),
  count: count(),
  "variance of the population": variance(),
  "variance of a sample": variance({ ddof: 1 }),
};
const EXACT = Object.entries(REDUCTIONS).filter(([name]) => name !== "min" && name !== "max");
const isWeighted = ({ kind }: Reduction): boolean => kind === "weightedSum" || kind === "weightedMean";

interface Child {
  readonly x: number;
  readonly w: number;
}

/** Children in random numbers of a flavour; weights of another. */
function draw(seed: number, flavour: string): () => Child {
  const r = random(seed);
  return () => ({ x: r.numbers(1, flavour)[0]!, w: r.numbers(1, r.pick(["plain", "integers", flavour]))[0]! });
}

/** The node that the children make as records (clauses 3, 6–8, 10, 11): its definition. */
function node({ kind, ddof = 0 }: Reduction, children: readonly Child[], { nan = "propagate", accuracy }: SlidingWindowOptions): number {
  const rules = { sums: "exact", quotient: accuracy === "exact" ? "real" : "rounded", skip: nan === "skip" } as const;
  const x = (i: number): number => children[i]!.x;
  return reduceNode(kind as BuiltIn, ddof, children.length, x, (i) => children[i]!.w, rules);
}

/** The bytes of a window to which only these children came. */
function fresh(reduction: Reduction, children: readonly Child[], options: SlidingWindowOptions): Uint8Array {
  const window = slidingWindow(reduction, options);
  for (const { x, w } of children) window.push(x, isWeighted(reduction) ? w : undefined);
  return window.encode();
}

const MODES: readonly SlidingWindowOptions[] = [{}, { nan: "skip" }, { accuracy: "exact" }];

describe.each(Object.entries(REDUCTIONS))("a window of %s", (_, reduction) => {
  test.each(
    ["plain", "cancelling", "specials", "integers", "zeros"].flatMap((flavour) => MODES.map((options) => [flavour, options] as const)),
  )("has the value of its children as one node: %s, %o", (flavour, options) => {
    const r = random(14);
    const next = draw(1, flavour);
    const window = slidingWindow(reduction, options);
    const children: Child[] = [];
    for (let i = 0; i < 240; i++) {
      // Grows, empties, and grows again.
      if (r.int(40) < (i % 120 < 60 ? 25 : 15)) {
        children.push(next());
        window.push(children.at(-1)!.x, isWeighted(reduction) ? children.at(-1)!.w : undefined);
      } else expect(window.shift()).toBe(children.shift() !== undefined);
      expect(window.length).toBe(children.length);
      expect(window.value()).toBe(node(reduction, children, options));
    }
  });
});

describe.each(EXACT)(`after ${SLIDES} random slides the state of a %s`, (name, reduction) => {
  test.each(["plain", "cancelling", "specials"])("has the bytes of a fresh computation: %s", (flavour) => {
    const r = random(15);
    const next = draw(2, flavour);
    const options: SlidingWindowOptions = { countMax: 50, nan: name === "mean" ? "skip" : "propagate" };
    const window = slidingWindow(reduction, options);
    const children: Child[] = [];
    for (let i = 0; i < SLIDES; i++) {
      const child = next();
      children.push(child);
      window.push(child.x, isWeighted(reduction) ? child.w : undefined);
      if (children.length > 50) children.shift();
      if (r.int(10) === 0) expect(window.shift()).toBe(children.shift() !== undefined);
      if (r.int(SLIDES) < 10 || i === SLIDES - 1) {
        expect(window.encode()).toEqual(fresh(reduction, children, options));
        expect(window.value()).toBe(node(reduction, children, options));
      }
    }
    while (window.shift());
    expect(window.encode()).toEqual(fresh(reduction, [], options));
    window.push(1);
    window.clear();
    expect(window.encode()).toEqual(fresh(reduction, [], options));
  });
});

describe("the drift of float64", () => {
  test("is what a moving sum of prices gathers where float64 is added and taken away; ours has the bits of its last window alone", () => {
    const r = random(16);
    const length = 30;
    const bars: Child[] = [];
    const window = slidingWindow(sum(), { countMax: length });
    let plain = 0;
    for (let i = 0; i < SLIDES; i++) {
      const x = (10_000 + r.int(1000)) / 100; // cents, which float64 does not have
      bars.push({ x, w: 1 });
      plain += x;
      if (bars.length > length) plain -= bars.shift()!.x;
      window.push(x);
    }
    const right = node(sum(), bars, {});
    expect(plain).not.toBe(right);
    expect(window.value()).toBe(right);
  });

  test.each([
    ["a large value", 1e16, 3],
    ["a value that swallows all others", 1e300, 3],
    ["an infinity", inf, 3],
    ["NaN", nan, 3],
    ["a subnormal", least, 3],
  ])("%s that has left leaves no trace", (_, visitor, value) => {
    const window = slidingWindow(sum(), { countMax: 3 });
    for (const x of [visitor, 1, 1]) window.push(x);
    expect(window.value()).toBe(
      node(
        sum(),
        [visitor, 1, 1].map((x) => ({ x, w: 1 })),
        {},
      ),
    );
    window.push(1);
    expect(window.value()).toBe(value);
    expect(window.encode()).toEqual(
      fresh(
        sum(),
        [1, 1, 1].map((x) => ({ x, w: 1 })),
        {},
      ),
    );
  });

  test("a rolling mean is right where pandas-dev/pandas#61071 found one 22 times too large", () => {
    const values = [-3.333333e-1, 0, 1e15, -4.874588e14, 6.103516e-5, 0, 1.1, 0, 0, -8.581237e14, 0, 1e15, 0, 0, 0, 0, 0, -5.96e-3, 0, 0];
    const window = slidingWindow(mean(), { countMax: 8 });
    for (const x of values) window.push(x);
    expect(window.value()).toBe(-5.96e-3 / 8);
  });

  test("an overflow that ends gives the numbers back", () => {
    const window = slidingWindow(mean(), { countMax: 2 });
    const seen = [1e308, 1e308, 1e308, -1e308, 4].map((x) => {
      window.push(x);
      return window.value();
    });
    expect(seen).toEqual([1e308, inf, inf, 0, -5e307]);
  });
});

describe("windows and runs", () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await createEngine({ workers: 0 });
  });
  afterAll(() => engine.close());

  test.each([...EXACT, ["min", min()], ["max", max()]] as [string, Reduction][])(
    "give the same bits: records, %s",
    async (_, reduction) => {
      const next = draw(3, "cancelling");
      const children = Array.from({ length: 30 }, next);
      const window = slidingWindow(reduction, { countMax: 20 });
      for (const { x, w } of children) window.push(x, isWeighted(reduction) ? w : undefined);
      const kept = children.slice(10);
      const same = isWeighted(reduction)
        ? { weightedSum, weightedMean }[reduction.kind as "weightedSum"]({ perNode: kept.map(({ w }) => w) })
        : reduction;
      const result = await engine.run(chain(same), { values: kept.map(({ x }) => x), keys: { all: kept.map(() => 0) } });
      expect(window.value()).toBe(result.value);
    },
  );
});

describe("NaN", () => {
  test("has a place in the window and no effect under skip (clause 10)", () => {
    const window = slidingWindow(mean(), { countMax: 3, nan: "skip" });
    const seen = [nan, 2, 4, nan, nan, nan].map((x) => {
      window.push(x);
      return [window.length, window.value()];
    });
    expect(seen).toEqual([
      [1, nan],
      [2, 2],
      [3, 3],
      [3, 3],
      [3, 4],
      [3, nan],
    ]);
  });

  test('is refused with the number of its push under nan: "error", and changes nothing', async () => {
    const window = slidingWindow(weightedMean("count"), { nan: "error" });
    window.push(1, 2);
    for (const push of [() => window.push(nan), () => window.push(1, nan)]) {
      const error = await failing(push);
      expect(error).toMatchObject({ code: "ERR_FOURFOLD_NAN", at: { index: 1 } });
    }
    expect([window.length, window.value()]).toEqual([1, 1]);
  });
});

/** The children of a window, oldest first, as digits: order shows. */
const digits = defineReduction<{ digits: number; tens: number }>({
  name: "digits",
  init: () => ({ digits: 0, tens: 1 }),
  add: (s, x) => ({ digits: 10 * s.digits + x, tens: 10 * s.tens }),
  merge: (left, right) => ({ digits: left.digits * right.tens + right.digits, tens: left.tens * right.tens }),
  finish: (s) => s.digits,
  encode: (s) => Uint8Array.from(String(s.digits), Number),
});

describe("a user's reduction", () => {
  test("is merged in order of arrival", () => {
    const window = slidingWindow(digits(), { countMax: 6, associative: true });
    expect(window.value()).toBe(0);
    const all = "3141592653589793238462643383279502884197";
    for (let i = 0; i < all.length; i++) {
      window.push(Number(all[i]));
      expect(window.value()).toBe(Number(all.slice(Math.max(0, i - 5), i + 1)));
    }
    expect(window.encode()).toEqual(Uint8Array.of(8, 8, 4, 1, 9, 7));
    window.clear();
    expect([window.length, window.value()]).toEqual([0, 0]);
  });

  test("leaves NaN out under skip", () => {
    const window = slidingWindow(digits(), { countMax: 3, associative: true, nan: "skip" });
    for (const x of [1, 2, nan, 3]) window.push(x);
    expect([window.length, window.value()]).toEqual([3, 23]);
  });

  test("needs a word for it that grouping cannot change its bits", async () => {
    const product = {
      name: "product",
      init: () => 1,
      add: (p: number, x: number) => p * x,
      merge: (a: number, b: number) => a * b,
      finish: (p: number) => p,
    };
    expect(await failing(() => slidingWindow(defineReduction(product)()))).toMatchObject({ code: "ERR_FOURFOLD_REDUCTION" });
    const window = slidingWindow(defineReduction({ ...product, orderFree: true })());
    for (const x of [2, 3, 7]) window.push(x);
    expect(window.value()).toBe(42);
  });

  const longest = { init: () => ({ most: -inf }), finish: ({ most }: { most: number }) => most, orderFree: true };
  const add = (s: { most: number }, x: number): { most: number } => ({ most: Math.max(s.most, x) });
  test.each([
    ["changes its left state", { ...longest, add, merge: (a: { most: number }, b: { most: number }) => Object.assign(a, add(a, b.most)) }],
    ["changes its right state", { ...longest, add, merge: (a: { most: number }, b: { most: number }) => Object.assign(b, add(b, a.most)) }],
    ["forgets one of them", { ...longest, add, merge: (a: { most: number }) => a }],
  ])("is refused if its merge %s", async (_, definition) => {
    const window = slidingWindow(defineReduction({ name: "longest", ...definition })());
    window.push(1);
    window.push(1);
    const error = await failing(() => window.push(2));
    expect(error.code).toBe("ERR_FOURFOLD_REDUCTION");
    expect(error.message).toMatch(
      /^window: reduction "longest" gives \d for the merged states of \d and \d, and \d for both added to one\. Its merge/,
    );
    expect(window.length).toBe(2);
  });

  test("is refused if its init is not neutral to its merge", async () => {
    const one = defineReduction({
      name: "more",
      init: () => 1,
      add: (s: number, x) => s + x,
      merge: (a, b) => a + b,
      finish: (s) => s,
      orderFree: true,
    });
    const window = slidingWindow(one());
    window.push(1);
    expect((await failing(() => window.push(2))).message).toContain("gives 5 for the merged states of 1 and 2, and 4 for both");
  });

  test("may throw: a child that cannot be added changes nothing, a merge that fails ends the window until it is cleared", async () => {
    let angry = false;
    const touchy = defineReduction<number>({
      name: "touchy",
      init: () => 0,
      add: (s, x) => {
        if (x < 0) throw new RangeError("below zero");
        return s + x;
      },
      merge: (a, b) => {
        if (angry) throw new RangeError("no");
        return a + b;
      },
      finish: (s) => s,
      orderFree: true,
    });
    const window = slidingWindow(touchy());
    for (const x of [1, 2, 3]) window.push(x);
    const refused = await failing(() => window.push(-1));
    expect(refused).toMatchObject({ code: "ERR_FOURFOLD_REDUCTION", cause: expect.any(RangeError) });
    expect(refused.message).toBe('window: reduction "touchy" threw while adding -1: below zero');
    expect([window.length, window.value()]).toEqual([3, 6]);
    angry = true;
    const broken = await failing(() => window.push(4));
    angry = false;
    for (const call of [() => window.push(5), () => window.shift(), () => window.value(), () => window.encode()])
      expect(await failing(call)).toBe(broken);
    window.clear();
    window.push(7);
    expect(window.value()).toBe(7);
    expect(await failing(() => window.encode())).toMatchObject({ code: "ERR_FOURFOLD_REDUCTION", fix: "Define it with encode" });
  });

  test("must give a number", async () => {
    const text = defineReduction({
      name: "text",
      init: () => "",
      add: (s, x) => s + x,
      merge: (a, b) => a + b,
      finish: (s) => s as unknown as number,
    });
    const window = slidingWindow(text(), { associative: true });
    window.push(1);
    expect((await failing(() => window.value())).message).toContain('finish() gave "1", expected a number');
  });
});

describe("what a window refuses", () => {
  const bad = (value: unknown): never => value as never;
  test.each([
    ["something that is no reduction", () => slidingWindow(bad(sum)), "ERR_FOURFOLD_ARGUMENT", "given function sum"],
    ["weights by position", () => slidingWindow(weightedSum([1, 2])), "ERR_FOURFOLD_WEIGHTS", 'weightedSum("count")'],
    ["no options", () => slidingWindow(sum(), bad(null)), "ERR_FOURFOLD_ARGUMENT", "the options are null"],
    ["an unknown option", () => slidingWindow(sum(), bad({ countmax: 3 })), "ERR_FOURFOLD_ARGUMENT", "Did you mean countMax?"],
    ["no room", () => slidingWindow(sum(), { countMax: 0 }), "ERR_FOURFOLD_ARGUMENT", "an integer from 1 to 134217728"],
    ["half a place", () => slidingWindow(sum(), { countMax: 2.5 }), "ERR_FOURFOLD_ARGUMENT", "2.5"],
    ["another NaN policy", () => slidingWindow(sum(), { nan: bad("drop") }), "ERR_FOURFOLD_ARGUMENT", '"drop"'],
    ["accuracy fast", () => slidingWindow(sum(), { accuracy: bad("fast") }), "ERR_FOURFOLD_ARGUMENT", '"reproducible" or "exact"'],
    ["a word that is none", () => slidingWindow(sum(), { associative: bad("yes") }), "ERR_FOURFOLD_ARGUMENT", '"associative"'],
    ["a bigint", () => slidingWindow(sum()).push(bad(1n)), "ERR_FOURFOLD_ARGUMENT", "the value of push 0 is 1n"],
    [
      "text for a weight",
      () => slidingWindow(weightedSum("count")).push(1, bad("2")),
      "ERR_FOURFOLD_ARGUMENT",
      'the weight of push 0 is "2"',
    ],
    ["a weight that nothing reads", () => slidingWindow(max()).push(1, 2), "ERR_FOURFOLD_WEIGHTS", "max is none"],
  ] as const)("%s", async (_, call, code, says) => {
    const error = await failing(call);
    expect(error.code).toBe(code);
    expect(error.message).toContain(says);
  });
});
