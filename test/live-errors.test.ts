/** What live trees refuse, and that they are as they were afterwards; their limits, handles, callbacks and callers. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  chain,
  count,
  createEngine,
  defineReduction,
  type Engine,
  type Key,
  type Live,
  max,
  mean,
  min,
  sum,
  variance,
  weightedMean,
  weightedSum,
} from "../src/index.ts";
import { failing } from "./failing.ts";
import { random } from "./random.ts";

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ workers: 0 });
});
afterAll(() => engine.close());

/** Two sites of two sensors each. */
const sensors = { values: [1, 2, 3, 4], keys: { site: ["a", "a", "b", "b"], sensor: [1, 2, 1, 2] } };

/** All that a tree shows. */
const seen = (live: Live): unknown =>
  live.chain.levels.map(({ name }) =>
    [...live.level(name)].map(({ path, values, count, children }) => [path, values, count, children().length]),
  );

describe("a path, a value or a weight that is wrong", () => {
  const wrong: readonly (readonly [string, string, (live: Live) => unknown])[] = [
    ["ERR_FOURFOLD_KEYS", "expected 2 keys", (live) => live.set(["a"], 1)],
    ["ERR_FOURFOLD_KEYS", "expected 2 keys", (live) => live.set("a1" as unknown as Key[], 1)],
    ["ERR_FOURFOLD_KEYS", 'key column "sensor": the key is NaN', (live) => live.set(["a", nan], 1)],
    ["ERR_FOURFOLD_KEYS", "is null", (live) => live.set([null, 1], 1)],
    ["ERR_FOURFOLD_KEYS", "is undefined", (live) => live.get([undefined as unknown as Key, 1])],
    ["ERR_FOURFOLD_KEYS", "object with", (live) => live.set([{} as Key, 1], 1)],
    ["ERR_FOURFOLD_KEYS", "expected 2 keys", (live) => live.delete([])],
    ["ERR_FOURFOLD_DTYPE", '"5", expected a number', (live) => live.set(["a", 1], "5" as unknown as number)],
    ["ERR_FOURFOLD_DTYPE", "5n", (live) => live.set(["a", 9], 5n as unknown as number)],
    ["ERR_FOURFOLD_WEIGHTS", "the leaf has a weight", (live) => live.set(["a", 1], 5, 2)],
    ["ERR_FOURFOLD_LEVEL", "no leaf at", (live) => live.leaf(["a", 3])],
    ["ERR_FOURFOLD_LEVEL", "stands for no leaf", (live) => live.setLeaf(17, 1)],
    ["ERR_FOURFOLD_LEVEL", "stands for no leaf", (live) => live.setLeaf(-1, 1)],
    ["ERR_FOURFOLD_LEVEL", "stands for no leaf", (live) => live.setLeaf(0.5, 1)],
    ["ERR_FOURFOLD_LEVEL", "stands for no leaf", (live) => live.setLeaf(nan, 1)],
    ["ERR_FOURFOLD_LEVEL", 'no level "x"', (live) => live.level("x")],
    ["ERR_FOURFOLD_LEVEL", 'no level "x"', (live) => live.subscribe("x", [], () => undefined)],
    ["ERR_FOURFOLD_LEVEL", 'no node at ("c")', (live) => live.level("f").at("c")],
    ["ERR_FOURFOLD_ARGUMENT", "callback", (live) => live.subscribe("f", ["a"], undefined as never)],
    ["ERR_FOURFOLD_ARGUMENT", "2 values for 1 leaves", (live) => live.setMany([["a", 1]], [1, 2])],
    ["ERR_FOURFOLD_ARGUMENT", "paths or numbers", (live) => live.setMany("a" as never, [1])],
    [
      "ERR_FOURFOLD_KEYS",
      "is null",
      (live) =>
        live.setMany(
          [
            ["a", 7],
            ["a", null],
          ],
          [1, 2],
        ),
    ],
    ["ERR_FOURFOLD_DTYPE", "expected a number", (live) => live.setMany([["a", 7]], ["1" as unknown as number])],
    ["ERR_FOURFOLD_WEIGHTS", "has no weights", (live) => live.setWeights("g", [1, 2])],
    ["ERR_FOURFOLD_LEVEL", "no level", (live) => live.setWeights("x", [1, 2])],
    ["ERR_FOURFOLD_LEVEL", "no level", (live) => live.snapshot({ keep: ["x"] })],
    ["ERR_FOURFOLD_ARGUMENT", "no option", (live) => live.snapshot({ kept: "all" } as never)],
  ];
  test.each(wrong)("%s: %s", async (code, message, call) => {
    const live = await engine.live(chain(mean(), max()), sensors);
    const before = [seen(live), live.stats];
    const error = await failing(() => call(live));
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
    expect([seen(live), live.stats]).toEqual(before);
  });

  const inputs: readonly (readonly [string, string, () => Promise<unknown>])[] = [
    ["ERR_FOURFOLD_KEYS", "record 2 has the path", () => engine.live(chain(sum()), { values: [1, 2, 3], keys: { a: [1, 2, 1n] } })],
    ["ERR_FOURFOLD_KEYS", "no key columns", () => engine.live(chain(sum()), { values: [1], keys: {} })],
    ["ERR_FOURFOLD_KEYS", "entry 1 is null", () => engine.live(chain(sum()), { values: [1, 2], keys: { a: ["x", null] } })],
    ["ERR_FOURFOLD_KEYS", "has 1 entries for 2 values", () => engine.live(chain(sum()), { values: [1, 2], keys: { a: ["x"] } })],
    ["ERR_FOURFOLD_KEYS", "expected an array", () => engine.live(chain(sum()), { values: [1], keys: { a: 1 as never } })],
    ["ERR_FOURFOLD_ARGUMENT", "no option", () => engine.live(chain(sum()), { ...sensors, nullKeys: "skip" } as never)],
    ["ERR_FOURFOLD_ARGUMENT", "the input is", () => engine.live(chain(sum()), undefined as never)],
    ["ERR_FOURFOLD_CHAIN", "the chain is", () => engine.live(undefined as never, sensors)],
    ["ERR_FOURFOLD_WEIGHTS", "no order", () => engine.live(chain(weightedSum([1, 2])), sensors)],
    ["ERR_FOURFOLD_WEIGHTS", "bring their weights", () => engine.live(chain(weightedSum({ byKey: { a: 1 } })), sensors)],
    ["ERR_FOURFOLD_WEIGHTS", "0 weights for 4 records", () => engine.live(chain(weightedSum({ perNode: [] })), sensors)],
    ["ERR_FOURFOLD_WEIGHTS", "the records have weights", () => engine.live(chain(sum()), { ...sensors, weights: [1, 2, 3, 4] })],
    ["ERR_FOURFOLD_WEIGHTS", "extent 2, weights 3", () => engine.live(chain(sum(), weightedSum([1, 2, 3])), sensors)],
    ["ERR_FOURFOLD_WEIGHTS", 'no weight for the child ("b")', () => engine.live(chain(sum(), weightedSum({ byKey: { a: 1 } })), sensors)],
    ["ERR_FOURFOLD_NAN", "data[1]", () => engine.live(chain(sum()), { values: [1, nan], keys: { a: [1, 2] } }, { nan: "error" })],
    ["ERR_FOURFOLD_NAN", "data[1]", () => engine.live(chain(sum()), [1, nan], { nan: "error" })],
    ["ERR_FOURFOLD_MEMORY", "leavesMax is 3", () => engine.live(chain(sum()), sensors, { leavesMax: 3 })],
    ["ERR_FOURFOLD_MEMORY", "leavesMax is 3", () => engine.live(chain(sum()), [1, 2, 3, 4], { leavesMax: 3 })],
    ["ERR_FOURFOLD_MEMORY", "leavesMax", () => engine.live(chain(sum(), sum()), { data: [], shape: [1e9, 0] })],
    ["ERR_FOURFOLD_ARGUMENT", "leavesMax", () => engine.live(chain(sum()), sensors, { leavesMax: 0 })],
    ["ERR_FOURFOLD_ARGUMENT", "leavesMax", () => engine.live(chain(sum()), sensors, { leavesMax: 2 ** 30 })],
    ["ERR_FOURFOLD_ARGUMENT", "accuracy", () => engine.live(chain(sum()), sensors, { accuracy: "fast" as never })],
    ["ERR_FOURFOLD_ARGUMENT", "signal", () => engine.live(chain(sum()), sensors, { signal: 1 as never })],
    ["ERR_FOURFOLD_ABORTED", "aborted", () => engine.live(chain(sum()), sensors, { signal: AbortSignal.abort() })],
  ];
  test.each(inputs)("to start with, %s: %s", async (code, message, call) => {
    const error = await failing(call);
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
  });

  test("two records of one path are told with the row of the second", async () => {
    const error = await failing(() => engine.live(chain(sum()), { values: [1, 2, 3], keys: { a: ["x", "y", "x"] } }));
    expect(error.at).toEqual({ row: 2 });
  });
});

describe("NaN and infinities that come and go leave no trace (clauses 8, 14)", () => {
  test.each(["propagate", "skip"] as const)("nan %s", async (policy) => {
    const levels = { f: sum(), g: mean(), h: variance(), k: max() };
    const keys = { a: [1, 1, 1, 2], b: [1, 1, 2, 1], c: [1, 2, 1, 1], d: [1, 1, 1, 1] };
    const live = await engine.live(chain(levels), { values: [0.1, 0.2, -0, 0.7], keys }, { nan: policy });
    const before = seen(live);
    for (const x of [nan, inf, -inf, 1e308, 5e-324]) {
      live.set([1, 1, 1, 1], x);
      live.set([1, 1, 1, 2], -x);
      live.set([9, 9, 9, 9], x);
    }
    live.set([1, 1, 1, 1], 0.1);
    live.delete([1, 1, 1, 2]);
    live.delete([9, 9, 9, 9]);
    expect(seen(live)).toEqual(before);
  });

  test('under "error" a NaN is refused, as a value and as a weight', async () => {
    const live = await engine.live(chain(weightedSum({ perNode: [] })), { ...sensors, weights: [1, 2, 3, 4] }, { nan: "error" });
    for (const call of [() => live.set(["a", 1], nan), () => live.set(["a", 1], 1, nan), () => live.setMany([["z", 1]], [nan], [1])])
      expect((await failing(call)).code).toBe("ERR_FOURFOLD_NAN");
    expect(live.get(["z", 1])).toBeUndefined();
    expect([...live.values]).toEqual([5, 25]);
  });

  test("the sign of zero is kept: −0 is the smaller of the two", async () => {
    const live = await engine.live(chain(min()), { values: [0, 0], keys: { a: [1, 2] } });
    live.set([2], -0);
    expect(live.value).toBe(-0);
    expect(live.get([2])).toBe(-0);
    live.set([2], 0);
    expect(live.value).toBe(0);
    live.set([-0], 7); // the key −0 is 0
    expect(live.get([0])).toBe(7);
  });
});

describe("nodes with weights by place", () => {
  test("stay: no update may add or remove one, and leaves inside them may come and go", async () => {
    const live = await engine.live(chain({ site: sum(), all: weightedSum([10, 1]) }), sensors);
    expect(live.value).toBe(37);
    live.set(["a", 3], 5);
    live.delete(["b", 1]);
    expect(live.value).toBe(84);
    for (const call of [
      () => live.set(["c", 1], 1),
      () =>
        live.setMany(
          [
            ["a", 1],
            ["c", 1],
          ],
          [0, 1],
        ),
      () => live.delete(["b", 2]),
    ]) {
      const error = await failing(call);
      expect([error.code, error.at]).toEqual(["ERR_FOURFOLD_WEIGHTS", { level: "all" }]);
      expect(live.value).toBe(84);
    }
    live.setWeights("all", { byKey: { a: 10, b: 1 }, missing: 0.5 });
    live.set(["c", 1], 8);
    expect(live.value).toBe(88);
    expect((await failing(() => live.setWeights("all", [10, 1]))).message).toContain("extent 3");
    live.setWeights("all", [10, 1, 2]);
    expect(live.value).toBe(100);
  });

  test("by key: a node without a weight cannot come", async () => {
    const live = await engine.live(chain({ site: sum(), all: weightedMean({ byKey: { a: 1, b: 3 } }) }), sensors);
    const error = await failing(() => live.set(["c", 1], 1));
    expect(error.message).toContain('no weight for the child ("c")');
    expect(live.stats.leaves).toBe(4);
    expect(live.value).toBe(6);
  });

  test("a matrix makes outputs, and other weights may make others", async () => {
    const live = await engine.live(
      chain({
        site: sum(),
        all: weightedSum([
          [1, 0],
          [0, 1],
        ]),
        top: max(),
      }),
      sensors,
    );
    expect([live.shape, [...live.values]]).toEqual([[2], [3, 7]]);
    const heard: unknown[] = [];
    live.subscribe("top", [], ({ values, previous }) => heard.push([values, previous]));
    live.set(["b", 1], 4);
    const what = live.whatIf("all", [
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
    expect([what.shape, [...what.values]]).toEqual([[3], [11, 22, 33]]);
    expect([...live.values]).toEqual([3, 8]);
    live.setWeights("all", "count");
    expect([live.shape, live.value]).toEqual([[], 22]);
    expect(heard).toEqual([
      [[3, 8], 3],
      [[22], 3],
    ]);
  });

  test("level f's weights are those of its leaves", async () => {
    const weights = [1, 2, 3, 4];
    const live = await engine.live(chain(weightedSum({ perNode: weights })), sensors);
    expect([...live.values]).toEqual([5, 25]);
    live.set(["a", 1], 1, 7);
    expect([...live.values]).toEqual([11, 25]);
    expect((await failing(() => live.set(["a", 9], 1))).code).toBe("ERR_FOURFOLD_WEIGHTS");
    expect((await failing(() => live.setWeights("f", [1]))).message).toContain("innermost");
    expect((await failing(() => live.setMany([["a", 1]], [1], []))).code).toBe("ERR_FOURFOLD_WEIGHTS");
  });
});

describe("a user's reduction that throws", () => {
  const picky = defineReduction<number>({
    name: "picky",
    init: () => 0,
    add: (total, x) => {
      if (x > 100) throw new RangeError(`${x} is too much`);
      return total + x;
    },
    merge: (a, b) => a + b,
    finish: (total) => total,
    orderFree: true,
  });

  test.each(["f", "g", "h"])("at level %s leaves the tree as it was", async (at) => {
    const level = (name: string, other: ReturnType<typeof sum>) => (name === at ? picky() : other);
    const c = chain({ f: level("f", sum()), g: level("g", max()), h: level("h", sum()) });
    const keys = { a: [1, 1, 1, 2], b: [1, 1, 2, 1], c: [1, 2, 1, 1] };
    const live = await engine.live(c, { values: [1, 2, 3, 4], keys });
    const heard: unknown[] = [];
    live.subscribe("f", [1, 1], (change) => heard.push(change));
    const before = [seen(live), live.stats];
    const many: Key[][] = [
      [1, 1, 1],
      [3, 3, 3],
      [2, 1, 1],
      [1, 1, 1],
      [3, 3, 4],
      [1, 2, 1],
    ];
    for (const call of [
      () => live.set([1, 1, 1], 1000),
      () => live.set([7, 1, 1], 1000),
      () => live.setMany(many, [1, 2, 3, 4, 5, 1000]),
    ]) {
      const error = await failing(call);
      expect(error.code).toBe("ERR_FOURFOLD_REDUCTION");
      expect([seen(live), { ...live.stats, bytes: 0 }]).toEqual([before[0], { ...(before[1] as object), bytes: 0 }]);
    }
    expect(heard).toEqual([]);
    live.setMany(many, [1, 2, 3, 4, 5, 6]);
    const fresh = await engine.live(c, {
      values: [4, 2, 6, 3, 2, 5],
      keys: { a: [1, 1, 1, 2, 3, 3], b: [1, 1, 2, 1, 3, 3], c: [1, 2, 1, 1, 3, 4] },
    });
    expect(seen(live)).toEqual(seen(fresh));
    expect(heard).toHaveLength(1);
  });

  test("may not change the tree while it is at work", async () => {
    let live: Live | undefined;
    const meddling = defineReduction<number>({
      name: "meddling",
      init: () => 0,
      add: (n) => {
        live?.set(["a", 1], 5);
        return n + 1;
      },
      merge: (a, b) => a + b,
      finish: (n) => n,
      orderFree: true,
    });
    live = await engine.live(chain(meddling()), sensors);
    const error = await failing(() => live!.set(["a", 1], 6));
    expect((error.cause as Error).message).toContain("while an update is under way");
    expect(live.get(["a", 1])).toBe(1);
  });

  test("and needs an order cannot have records", async () => {
    const ordered = defineReduction<number>({ name: "last", init: () => 0, add: (_, x) => x, merge: (_, b) => b, finish: (x) => x });
    expect((await failing(() => engine.live(chain(ordered()), sensors))).code).toBe("ERR_FOURFOLD_REDUCTION");
    const live = await engine.live(chain(ordered()), [1, 2, 3]);
    live.set([2], 9);
    live.set([0], 5);
    expect(live.value).toBe(9);
  });
});

describe("subscribers", () => {
  test("hear of a node that comes and goes, once for each update, when all of it is done", async () => {
    const live = await engine.live(chain({ site: sum(), all: sum() }), sensors);
    const heard: unknown[] = [];
    live.subscribe("site", ["c"], ({ value, previous, count, path }) => heard.push([path, previous, value, count, live.value]));
    const stop = live.subscribe("all", [], ({ value, previous }) => heard.push([previous, value]));
    live.set(["c", 1], 5);
    live.setMany(
      [
        ["c", 1],
        ["c", 2],
        ["a", 1],
      ],
      [6, 7, 8],
    );
    live.set(["c", 1], 6);
    stop();
    stop();
    live.delete(["c", 1]);
    live.delete(["c", 2]);
    expect(heard).toEqual([
      [["c"], undefined, 5, 1, 15],
      [10, 15],
      [["c"], 5, 13, 2, 30],
      [15, 30],
      [["c"], 13, 7, 1, 24],
      [["c"], 7, undefined, 0, 17],
    ]);
  });

  test("that throw stop neither the update nor the others", async () => {
    const live = await engine.live(chain(sum()), { values: [1], keys: { a: [1] } });
    const heard: number[] = [];
    const oops = new Error("oops");
    const fail = (): never => {
      throw oops;
    };
    const stop = live.subscribe("f", [], fail);
    live.subscribe("f", [], ({ value }) => heard.push(value!));
    expect(() => live.set([1], 2)).toThrow(oops);
    live.subscribe("f", [], fail);
    expect(() => live.set([2], 3)).toThrow(AggregateError);
    stop();
    expect(() => live.delete([1])).toThrow(oops);
    expect([heard, live.value]).toEqual([[2, 5, 3], 3]);
  });

  test("may look at the tree, and not change it", async () => {
    const live = await engine.live(chain(sum(), weightedSum("count")), sensors);
    for (const call of [
      () => live.set(["a", 1], 9),
      () => live.setLeaf(0, 9),
      () => live.setMany([], []),
      () => live.delete(["a", 1]),
      () => live.setWeights("g", [1, 2]),
    ]) {
      const errors: unknown[] = [];
      const stop = live.subscribe("g", [], () => {
        expect(live.snapshot().value).toBe(live.value);
        try {
          call();
        } catch (error) {
          errors.push((error as Error).message);
        }
      });
      live.set(["a", 1], live.get(["a", 1])! + 1);
      expect(errors).toEqual([expect.stringContaining("a subscriber called")]);
      stop();
    }
    expect(live.get(["a", 1])).toBe(6);
  });

  test("over rows hear of nodes that there are", async () => {
    const live = await engine.live(chain(sum(), sum()), { data: [1, 2, 3, 4], shape: [2, 2] });
    expect((await failing(() => live.subscribe("f", [2], () => undefined))).code).toBe("ERR_FOURFOLD_LEVEL");
    const heard: unknown[] = [];
    live.subscribe("f", [1], ({ value }) => heard.push(value));
    live.setMany(
      live
        .level("f")
        .at(1)
        .children()
        .map(({ path }) => path),
      [5, 6],
    );
    expect(heard).toEqual([11]);
  });
});

describe("handles", () => {
  test("are good until their leaf is deleted, whatever takes its place", async () => {
    const live = await engine.live(chain(sum()), sensors);
    const handle = live.leaf(["a", 2]);
    live.setLeaf(handle, 20);
    live.delete(["a", 2]);
    live.set(["b", 9], 90); // takes the number
    expect((await failing(() => live.setLeaf(handle, 1))).code).toBe("ERR_FOURFOLD_LEVEL");
    expect((await failing(() => live.setMany([handle], [1]))).code).toBe("ERR_FOURFOLD_LEVEL");
    const other = live.leaf(["b", 9]);
    expect(other).not.toBe(handle);
    live.setMany(Float64Array.of(other, other), [1, 91]);
    expect([live.get(["b", 9]), ...live.values]).toEqual([91, 1, 98]);
  });
});

describe("rows", () => {
  test("have the leaves that they were made with", async () => {
    const live = await engine.live(chain(sum(), max()), { data: [1, 2, 3], offsets: [[0, 1, 3]] });
    for (const [code, call] of [
      ["ERR_FOURFOLD_LEVEL", () => live.set([0, 1], 1)],
      ["ERR_FOURFOLD_LEVEL", () => live.set([-1, 0], 1)],
      ["ERR_FOURFOLD_KEYS", () => live.set([0.5, 0], 1)],
      ["ERR_FOURFOLD_KEYS", () => live.set([0], 1)],
      ["ERR_FOURFOLD_ARGUMENT", () => live.delete([0, 0])],
      ["ERR_FOURFOLD_WEIGHTS", () => live.set([0, 0], 1, 1)],
      [
        "ERR_FOURFOLD_LEVEL",
        () =>
          live.setMany(
            [
              [0, 0],
              [0, 1],
            ],
            [5, 6],
          ),
      ],
    ] as const)
      expect((await failing(call)).code).toBe(code);
    expect([live.value, live.get([0, 0]), live.get([0, 1])]).toEqual([5, 1, undefined]);
  });

  test("of a tensor are copied: the tensor may be freed, and the engine closed", async () => {
    const own = await createEngine({ workers: 0, nan: "skip" });
    const x = own.tensor([3, 2], "f32");
    x.data.set([1, 2, 3, 4, 5, 6]);
    const loading = own.live(chain(mean(), sum()), x);
    x.free();
    const live = await loading;
    await own.close();
    live.set([0, 0], nan);
    expect([live.value, live.level("f").at(0).count]).toEqual([11, 1]);
    expect((await failing(() => own.live(chain(sum()), [1]))).code).toBe("ERR_FOURFOLD_CLOSED");
  });
});

describe("a tree of 100,000 leaves", () => {
  test("with most of them in one node: is a run over them, and loads in turns with the event loop", async () => {
    const r = random(9);
    const n = 100_000;
    const skewed = (most: number) => Math.floor(most * r.next() ** 6);
    const keys = {
      a: Array.from({ length: n }, () => `a${skewed(40)}`),
      b: Array.from({ length: n }, () => skewed(300)),
      c: Array.from({ length: n }, (_, i) => `leaf ${i}`),
    };
    const values = r.numbers(n, "cancelling");
    const levels = { b: variance(), a: weightedMean("count"), all: max() };
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const live = await engine.live(chain(levels), { values, keys });
    clearInterval(timer);
    expect(turns).toBeGreaterThan(0);
    const gone = new Set<number>();
    for (let i = 0; i < 5000; i++) {
      const leaf = r.int(n);
      const path = [keys.a[leaf]!, keys.b[leaf]!, keys.c[leaf]!];
      if (r.int(4) === 0) {
        expect(live.delete(path)).toBe(!gone.has(leaf));
        gone.add(leaf);
      } else {
        values[leaf] = r.next();
        live.set(path, values[leaf]);
        gone.delete(leaf);
      }
    }
    const left = Array.from(values, (_, i) => i).filter((i) => !gone.has(i));
    const { a, b } = keys;
    const input = { values: left.map((i) => values[i]!), keys: { a: left.map((i) => a[i]!), b: left.map((i) => b[i]!) } };
    const result = await engine.run(chain(levels), input, { keep: "all" });
    for (const name of ["b", "a", "all"]) {
      const nodes = (of: { level(name: string): Iterable<{ path: readonly Key[]; value: number; count: number }> }) =>
        Array.from(of.level(name), ({ path, value, count }) => [...path, value, count]);
      expect(nodes(live)).toEqual(nodes(result));
    }
    expect(live.stats.leaves).toBe(left.length);
  });

  test("holds no more than leavesMax, and gives the room of deleted ones again", async () => {
    const live = await engine.live(chain(count()), { values: [], keys: { a: [], b: [] } }, { leavesMax: 100 });
    for (let round = 0; round < 50; round++) {
      for (let i = 0; i < 100; i++) live.set([round, i], i);
      const error = await failing(() => live.set([-1, 0], 0));
      expect([error.code, live.stats.leaves]).toEqual(["ERR_FOURFOLD_MEMORY", 100]);
      expect(
        (
          await failing(() =>
            live.setMany(
              [
                [round, 0],
                [-1, 0],
              ],
              [1, 2],
            ),
          )
        ).code,
      ).toBe("ERR_FOURFOLD_MEMORY");
      for (let i = 0; i < 100; i++) expect(live.delete([round, i])).toBe(true);
      expect([live.level("f").length, live.stats.nodes]).toEqual([0, 0]);
    }
    expect(live.stats.bytes).toBeLessThan(40_000);
  });
});

describe("an update ends", () => {
  test("where neither value nor records change", async () => {
    const live = await engine.live(chain({ site: max(), region: sum(), all: sum() }), {
      values: [1, 9, 3],
      keys: { region: [1, 1, 1], site: [1, 1, 2], sensor: [1, 2, 1] },
    });
    live.set([1, 1, 1], 2); // not the largest
    expect(live.stats).toMatchObject({ updates: 1, nodesTouched: 1 });
    live.set([1, 1, 2], 10);
    expect(live.stats).toMatchObject({ updates: 2, nodesTouched: 4 });
    live.set([1, 1, 3], 0); // the count goes all the way
    expect(live.stats).toMatchObject({ updates: 3, nodesTouched: 7 });
    expect(live.level("all").at().count).toBe(4);
  });
});

describe("a snapshot", () => {
  test("keeps what it showed, and no leaves", async () => {
    const live = await engine.live(chain({ site: sum(), all: weightedSum("count") }), sensors);
    const before = live.snapshot({ keep: "all" });
    const view = live.level("site");
    const [a] = view;
    live.set(["a", 1], 100);
    live.set(["aa", 1], 100);
    live.setWeights("all", "count");
    expect([before.value, before.weightsVersion, before.records, before.contract]).toEqual([20, 0, 4, "1"]);
    expect([...before.level("site").values]).toEqual([3, 7]);
    expect(
      before
        .level("all")
        .at()
        .children()
        .map(({ path }) => path),
    ).toEqual([["a"], ["b"]]);
    expect((await failing(() => before.level("site").at("a").children())).message).toContain("keeps no leaves");
    expect((await failing(() => live.snapshot().level("site"))).code).toBe("ERR_FOURFOLD_LEVEL");
    expect([a!.value, view.at("a").value, view.length, [...view.values]]).toEqual([3, 102, 3, [102, 100, 7]]);
    expect(a!.children().map(({ key, value, count, path, children }) => [key, value, count, path, children()])).toEqual([
      [1, 100, 1, ["a", 1], []],
      [2, 2, 1, ["a", 2], []],
    ]);
    expect((await failing(() => live.level("site").at("a", 1))).code).toBe("ERR_FOURFOLD_KEYS");
  });

  test("of several outermost nodes has no one value", async () => {
    const live = await engine.live(chain(sum()), sensors);
    expect((await failing(() => live.value)).code).toBe("ERR_FOURFOLD_FRAMES");
    expect((await failing(() => live.snapshot().value)).code).toBe("ERR_FOURFOLD_FRAMES");
    expect([live.shape, [...live.values]]).toEqual([[2], [3, 7]]);
  });
});
