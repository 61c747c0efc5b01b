// Contract clauses 1, 3, 4, 10, 10a and 15: a state of any split, merged in any order and tree, closes with the bits of one run.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Engine, Reduction, Result, State, StateOptions, StateRecords, StateResult } from "../src/index.ts";
import {
  chain,
  createEngine,
  createState,
  decodeState,
  defineReduction,
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
import { type Case, caseOf, distinct, mergedState, positionedState } from "./states.ts";

/** Cases of the random tests; the soak asks for more. */
const RUNS = Number(process.env["FOURFOLD_RUNS"] ?? 150);

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ backend: "reference", workers: 0 });
});
afterAll(() => engine.close());

async function runOf({ levels, leafOfRun, options, records }: Case): Promise<Result> {
  const { by, nullKeys, nan, accuracy } = options;
  const input = { values: records.values, keys: records.keys, ...(by && { by }), ...(nullKeys && { nullKeys }) };
  return engine.run(chain(leafOfRun, ...levels.slice(1)), input, { keep: "all", ...(nan && { nan }), ...(accuracy && { accuracy }) });
}

/** All that a result says. */
const told = ({ title, levels }: Case, r: Result | StateResult) => ({
  title,
  values: [...r.values],
  shape: r.shape,
  records: r.records,
  contract: r.contract,
  levels: levels.map((_, i) =>
    [...r.level(["f", "g", "h", "k"][i]!)].map(({ key, path, value, values, count }) => ({ key, path, value, values, count })),
  ),
});

describe("states of parts of the records, merged", () => {
  test("close with the bits of one run, at every node of every level (clauses 3, 4, 6, 7, 10, 10a)", async () => {
    let nodes = 0;
    for (let seed = 0; seed < RUNS; seed++) {
      const given = caseOf(seed);
      const run = await runOf(given);
      expect(told(given, mergedState(random(seed + 1), given).finish({ keep: "all" }))).toStrictEqual(told(given, run));
      nodes += run.level("f").length;
    }
    expect(nodes).toBeGreaterThan(RUNS);
  });

  test("have the same bytes, however they were split and merged, and those of what they are decoded to (clause 15)", () => {
    for (let seed = 0; seed < RUNS; seed++) {
      const given = caseOf(seed);
      const states = [seed + 1, seed + 2, seed + 3].map((s) => mergedState(random(s), given));
      const bytes = states[0]!.encode();
      for (const state of states) expect({ title: given.title, bytes: state.encode() }).toEqual({ title: given.title, bytes });
      expect(decodeState(bytes, chain(...given.levels)).encode()).toEqual(bytes);
    }
  });

  test("have the same bytes with what they have read, replays included; the digest leaves that out (clause 15)", () => {
    for (let seed = 0; seed < RUNS; seed++) {
      const given = caseOf(seed);
      const [one, other] = [positionedState(random(seed + 1), given), positionedState(random(seed + 2), given)];
      expect({ title: given.title, bytes: one.encode({ hmacKey: "k" }) }).toEqual({
        title: given.title,
        bytes: other.encode({ hmacKey: "k" }),
      });
      const unread = mergedState(random(seed + 3), given);
      expect([one.digest(), unread.provenance]).toEqual([unread.digest(), []]);
    }
  });

  test("close with the bits of one run where outer levels have lists and matrices of weights", async () => {
    const r = random(5);
    const n = 200;
    const keys = { a: Array.from({ length: n }, (_, i) => i % 2), b: Array.from({ length: n }, (_, i) => (i >> 1) % 3) };
    const values = r.numbers(n, "cancelling");
    for (const outer of [
      [0.1, 0.2, 0.3],
      { perNode: r.numbers(6, "plain") },
      [
        [1, 2, 3],
        [0.1, 0.7, -0.3],
      ],
    ]) {
      const c = chain(sum(), weightedSum(outer), weightedMean([1, 3]));
      const state = createState(c, { keys: ["a", "b"] });
      for (let from = 0; from < n; from += 40) {
        const part = createState(c, { keys: ["a", "b"] });
        const cut = <T>(list: readonly T[]): readonly T[] => list.slice(from, from + 40);
        part.add({ values: values.slice(from, from + 40), keys: { b: cut(keys.b), a: cut(keys.a) } });
        state.merge(part);
      }
      const [run, result] = [await engine.run(c, { values, keys }, { keep: "all" }), state.finish({ keep: "all" })];
      expect([...result.values, ...result.level("g").values, ...result.shape]).toStrictEqual([
        ...run.values,
        ...run.level("g").values,
        ...run.shape,
      ]);
    }
  });

  test("of unkeyed records close to one number, even of none", () => {
    const state = createState(chain(sum(), mean()));
    expect(state.finish()).toMatchObject({ value: 0, shape: [], records: 0 });
    state.add({ values: [1, 2] });
    const other = createState(chain(sum(), mean()));
    other.add({ values: BigInt64Array.of(39n) });
    expect(state.merge(other)).toEqual({ replayed: false });
    expect([state.nodes, state.items, state.finish().value, other.finish().value]).toEqual([1, 3, 42, 39]);
  });

  test("are not changed by finish, and a state can be merged with itself", () => {
    const state = createState(chain(max()), { keys: ["a"], nan: "skip" });
    state.add({ values: [1, -0, Number.NaN], keys: { a: ["x", "y", "z"] } });
    const before = state.encode();
    const result = state.finish();
    expect([...result.values, result.records]).toStrictEqual([1, -0, Number.NaN, 3]);
    expect(state.encode()).toEqual(before);
    state.merge(state);
    expect([...state.finish().level("f")].map(({ count }) => count)).toEqual([2, 2, 0]);
  });
});

describe("a state says", () => {
  const c = chain(sum());
  const empty = (): State => createState(c, { keys: ["a"] });
  const one: StateRecords = { values: [1], keys: { a: ["x"] } };

  test("that a contribution which was read before is dropped, whole", () => {
    const state = empty();
    expect(state.add(one, { source: "s", partition: 0, from: 0, to: 10 })).toEqual({ replayed: false });
    expect(state.add(one, { source: "s", partition: 0, from: 3, to: 10 })).toEqual({ replayed: true });
    expect(state.add(one, { source: "s", partition: 1, from: 3, to: 10 })).toEqual({ replayed: false });
    expect(state.finish().value).toBe(2);
    expect(state.provenance).toEqual([
      { source: "s", partition: 0, from: 0, to: 10 },
      { source: "s", partition: 1, from: 3, to: 10 },
    ]);
  });

  test("so for all of its records or for none: others could not be told from a replay, and would be lost with it", async () => {
    const read = { source: "s", partition: 0, from: 0, to: 1 };
    const [says, silent] = [empty(), empty()];
    says.add(one, read);
    silent.add(one);
    const before = [says.encode(), silent.encode()];
    for (const call of [() => says.add(one), () => silent.add(one, read), () => says.merge(silent), () => silent.merge(says)])
      expect(await failing(call)).toMatchObject({ code: "ERR_FOURFOLD_STATE", message: expect.stringContaining("what was read") });
    expect([says.encode(), silent.encode()]).toEqual(before);
    for (const state of [says, silent]) {
      const fresh = empty();
      expect(fresh.merge(state)).toEqual({ replayed: false });
      expect(state.merge(empty())).toEqual({ replayed: false });
      expect(fresh.encode()).toEqual(state.encode());
    }
  });

  test("which intervals overlap in part, and stays as it was", async () => {
    const state = empty();
    state.add(one, { source: "sales", partition: 3, from: 5, to: 10 });
    const before = state.encode();
    const larger = empty();
    larger.add(one, { source: "sales", partition: 3, from: 0, to: 20 });
    for (const call of [() => state.add(one, { source: "sales", partition: 3, from: 9, to: 12 }), () => state.merge(larger)])
      expect(await failing(call)).toMatchObject({
        code: "ERR_FOURFOLD_STATE",
        message: expect.stringMatching(/source "sales", partition 3: \[\d+, \d+\) overlaps with \[5, 10\), which was read before/),
      });
    expect((await failing(() => state.merge(larger))).fix).toContain("merge the other way round");
    const mixed = empty();
    mixed.add(one, { source: "sales", partition: 3, from: 6, to: 7 });
    mixed.add(one, { source: "sales", partition: 3, from: 30, to: 31 });
    expect((await failing(() => state.merge(mixed))).message).toContain(
      '[6, 7) was read before, in [5, 10), but "sales", partition 3: [30, 31) was not',
    );
    expect(state.encode()).toEqual(before);
  });

  const shop = { shop: sum(), region: mean() };
  const keyed: StateOptions = { keys: ["region", "shop"] };
  test.each<[string, State, State, RegExp]>([
    [
      "chain",
      createState(chain(shop), keyed),
      createState(chain({ shop: sum(), region: max() }), keyed),
      /the chain here is \{ shop: sum, region: mean \} by "region", "shop" \(2, 1\), there \{ shop: sum, region: max \}/,
    ],
    [
      "names",
      createState(chain(shop), keyed),
      createState(chain({ store: sum(), region: mean() }), keyed),
      /chain here .* shop: .* store: /,
    ],
    [
      "keys",
      createState(chain(shop), keyed),
      createState(chain(shop), { keys: ["region", "store"] }),
      /by "region", "shop" .*by "region", "store"/,
    ],
    ["depths", createState(chain(shop), keyed), createState(chain(shop), { ...keyed, by: [["region"]] }), /\(2, 1\).*\(1, 0\)/],
    ["ddof", createState(chain(variance())), createState(chain(variance({ ddof: 1 }))), /ddof 0.*ddof 1/],
    [
      "weights",
      createState(chain(sum(), weightedSum([1]))),
      createState(chain(sum(), weightedSum([2]))),
      /the weights here are [0-9a-f]{64}, there [0-9a-f]{64}/,
    ],
    ["count", createState(chain(sum(), weightedSum([1]))), createState(chain(sum(), weightedSum("count"))), /the weights here/],
    [
      "nan",
      createState(chain(sum())),
      createState(chain(sum()), { nan: "skip" }),
      /the policy here is nan "propagate", .*there nan "skip"/,
    ],
    [
      "accuracy",
      createState(chain(mean())),
      createState(chain(mean()), { accuracy: "exact" }),
      /accuracy "reproducible".*accuracy "exact"/,
    ],
    ["null keys", createState(chain(sum())), createState(chain(sum()), { nullKeys: "group" }), /nullKeys "error".*nullKeys "group"/],
  ])("that another does not fit, and why: %s", async (_, here, there, message) => {
    expect(await failing(() => here.merge(there))).toMatchObject({ code: "ERR_FOURFOLD_STATE", message: expect.stringMatching(message) });
  });

  test("that bytes are of another chain or weights than it is given", async () => {
    const bytes = createState(chain(sum(), weightedSum([1, 2])), { keys: ["a"] }).encode();
    expect(decodeState(bytes, chain(sum(), weightedSum([1, 2]))).nodes).toBe(0);
    expect(await failing(() => decodeState(bytes, chain(sum(), weightedSum([1, 3]))))).toMatchObject({
      code: "ERR_FOURFOLD_STATE",
      message: expect.stringContaining("the weights here are"),
    });
    expect(await failing(() => decodeState(bytes, chain(min(), weightedSum([1, 2]))))).toMatchObject({
      code: "ERR_FOURFOLD_STATE",
      message: expect.stringContaining(
        'the chain here is { f: min, g: weightedSum } by "a" (1, 0), there { f: sum, g: weightedSum } by "a" (1, 0)',
      ),
    });
  });

  test("that its key is wrong, missing or not needed", async () => {
    const state = empty();
    const [signed, plain] = [state.encode({ hmacKey: "right" }), state.encode()];
    expect(signed.length).toBe(plain.length + 32);
    expect(decodeState(signed, c, { hmacKey: new TextEncoder().encode("right") }).encode()).toEqual(plain);
    for (const [bytes, options, message] of [
      [signed, { hmacKey: "wrong" }, "signed with another hmacKey"],
      [signed, {}, "no hmacKey was given"],
      [plain, { hmacKey: "right" }, "the state is not signed"],
    ] as const)
      expect(await failing(() => decodeState(bytes, c, options))).toMatchObject({
        code: "ERR_FOURFOLD_STATE",
        message: expect.stringContaining(message),
      });
    expect(await failing(() => state.encode({ hmacKey: "" }))).toMatchObject({ code: "ERR_FOURFOLD_ARGUMENT" });
    expect((await failing(() => state.encode({ hmacKey: 12345 as never }))).message).not.toContain("12345");
  });

  test("that it keeps no records", async () => {
    const state = empty();
    state.add(one);
    expect(await failing(() => state.finish({ keep: "all" }).level("f").at("x").children())).toMatchObject({ code: "ERR_FOURFOLD_LEVEL" });
  });
});

describe("what cannot be in a state is refused, and leaves it as it was", () => {
  const c = chain(weightedSum({ perNode: [] }), sum());
  test.each<[string, unknown, string, RegExp]>([
    ["rows", { data: [1, 2], shape: [2] }, "ARGUMENT", /States hold records, which have no order/],
    ["numbers", [1, 2], "ARGUMENT", /expected \{ values, keys \}/],
    ["a key too few", { values: [1], weights: [1] }, "KEYS", /the records have the key columns \[\], the state \[a\]/],
    ["another key", { values: [1], keys: { b: [1] }, weights: [1] }, "KEYS", /\[b\], the state \[a\]/],
    ["keys of another length", { values: [1], keys: { a: [1, 2] }, weights: [1] }, "KEYS", /2 entries for 1/],
    ["a null key", { values: [1], keys: { a: [null] }, weights: [1] }, "KEYS", /entry 0 is null/],
    ["half a surrogate pair", { values: [1, 2], keys: { a: ["x", "\ud800"] }, weights: [1, 1] }, "KEYS", /half of a surrogate pair/],
    ["a key of 1,025 bytes", { values: [1], keys: { a: [2n ** 8192n] }, weights: [1] }, "KEYS", /more than 1024 bytes/],
    ["no weights", { values: [1], keys: { a: [1] } }, "WEIGHTS", /the records have no weights/],
    ["weights of another length", { values: [1], keys: { a: [1] }, weights: [1, 2] }, "WEIGHTS", /1 records, weights 2/],
    ["a NaN weight", { values: [1], keys: { a: [1] }, weights: [Number.NaN] }, "NAN", /weight 0 is NaN/],
    ["a NaN value", { values: [1, Number.NaN], keys: { a: [2, 1] }, weights: [1, 1] }, "NAN", /data\[1\] is NaN/],
    ["values that are no numbers", { values: ["1"], keys: { a: [1] }, weights: [1] }, "DTYPE", /expected a number/],
    ["a misspelt option", { values: [1], keys: { a: [1] }, weight: [1] }, "ARGUMENT", /no option "weight"/],
  ])("%s", async (_, records, code, message) => {
    const state = createState(c, { keys: ["a"], nan: "error" });
    state.add({ values: [1], keys: { a: ["x"] }, weights: [2] });
    const before = state.encode();
    const read = { source: "s", partition: 0, from: 0, to: 1 };
    expect(await failing(() => state.add(records as StateRecords, read))).toMatchObject({
      code: `ERR_FOURFOLD_${code}`,
      message: expect.stringMatching(message),
    });
    expect(state.encode()).toEqual(before);
  });

  test.each<[string, unknown]>([
    ["source", { source: 3, partition: 0, from: 0, to: 1 }],
    ["source", { source: "\udc00", partition: 0, from: 0, to: 1 }],
    ["partition", { source: "s", partition: -1, from: 0, to: 1 }],
    ["from", { source: "s", partition: 0, from: 0.5, to: 1 }],
    ["to", { source: "s", partition: 0, from: 0, to: 2 ** 53 }],
    ["to", { source: "s", partition: 0, from: 1, to: 1 }],
    ["source", null],
  ])("an interval with a wrong %s", async (option, read) => {
    const state = createState(chain(sum()));
    expect(await failing(() => state.add({ values: [1] }, read as never))).toMatchObject({
      code: "ERR_FOURFOLD_ARGUMENT",
      message: expect.stringContaining(`option "${option}"`),
    });
  });

  test("weights where the level has none", async () => {
    const state = createState(chain(sum()));
    expect(await failing(() => state.add({ values: [1], weights: [1] }))).toMatchObject({ code: "ERR_FOURFOLD_WEIGHTS" });
  });

  test.each<[string, Reduction, StateOptions | null, string]>([
    ["a shared list of weights at level f", weightedMean([1, 2]), {}, "WEIGHTS"],
    ["a matrix of weights at level f", weightedSum([[1, 2]]), {}, "WEIGHTS"],
    ["accuracy fast", sum(), { accuracy: "fast" as never }, "ARGUMENT"],
    ["a nan policy that is none", sum(), { nan: "drop" as never }, "ARGUMENT"],
    ["two keys of one name", sum(), { keys: ["a", "a"] }, "ARGUMENT"],
    ["keys that are no list", sum(), { keys: { a: [] } as never }, "ARGUMENT"],
    ["a key named by an integer", sum(), { keys: ["1"] }, "KEYS"],
    ["levels that do not nest", sum(), { keys: ["a", "b"], by: [["b"]] }, "KEYS"],
    ["options that are none", sum(), null, "ARGUMENT"],
    ["a reduction that needs an order", defineReduction({ ...distinct().user!, orderFree: false })(), {}, "REDUCTION"],
    ["a reduction whose states cannot leave", withoutEncode(), {}, "REDUCTION"],
  ])("by createState: %s", async (_, reduction, options, code) => {
    expect(await failing(() => createState(chain(reduction), options!))).toMatchObject({ code: `ERR_FOURFOLD_${code}` });
  });

  test("what is no state, no chain, no bytes", async () => {
    const state = createState(chain(sum()));
    expect(await failing(() => state.merge(state.encode() as never))).toMatchObject({ code: "ERR_FOURFOLD_ARGUMENT" });
    expect(await failing(() => createState(sum() as never))).toMatchObject({ code: "ERR_FOURFOLD_CHAIN" });
    expect(await failing(() => decodeState("FFST" as never, chain(sum())))).toMatchObject({ code: "ERR_FOURFOLD_ARGUMENT" });
    expect(await failing(() => decodeState(state.encode(), chain(sum()), { nodesMax: 0 }))).toMatchObject({
      code: "ERR_FOURFOLD_ARGUMENT",
    });
  });
});

describe("a user's reduction", () => {
  test("may reduce outer levels without bytes of its own", () => {
    const state = createState(chain(sum(), withoutEncode()), { keys: ["a"] });
    state.add({ values: [1, 2, 1], keys: { a: [1, 2, 3] } });
    expect(state.finish().value).toBe(2);
  });

  test("that throws half-way leaves a state that says so", async () => {
    const touchy = defineReduction<number>({
      name: "touchy",
      init: () => 0,
      add: (total, x) => {
        if (x === 13) throw new RangeError("13");
        return total + x;
      },
      merge: (a, b) => a + b,
      finish: (total) => total,
      encode: (total) => new Uint8Array(Float64Array.of(total).buffer),
      decode: (bytes) => new Float64Array(bytes.buffer)[0]!,
      orderFree: true,
    });
    const state = createState(chain(touchy()));
    state.add({ values: [1, 2] });
    const kept = state.encode();
    expect(await failing(() => state.add({ values: [3, 13] }))).toMatchObject({
      code: "ERR_FOURFOLD_REDUCTION",
      message: expect.stringContaining('add of reduction "touchy" threw at node 0: 13'),
    });
    for (const call of [() => state.finish(), () => state.encode(), () => state.add({ values: [1] }), () => state.digest()])
      expect(await failing(call)).toMatchObject({ code: "ERR_FOURFOLD_STATE", message: expect.stringContaining("half-way") });
    expect(decodeState(kept, chain(touchy())).finish().value).toBe(3);
  });

  test("shares no state between two merged ones", () => {
    const [a, b] = [createState(chain(distinct())), createState(chain(distinct()))];
    b.add({ values: [1] });
    a.merge(b);
    a.add({ values: [2] });
    expect([a.finish().value, b.finish().value]).toEqual([2, 1]);
  });
});

/** A reduction whose states cannot be written. */
function withoutEncode(): Reduction {
  const { name, init, add, merge, finish } = distinct().user!;
  return defineReduction({ name, init, add, merge, finish, orderFree: true })();
}

describe("what could take long or share memory does not", () => {
  test("large bigint keys that V8 hashes alike are as fast as others: 20,000 of them", () => {
    const n = 20_000;
    const state = createState(chain(sum()), { keys: ["id"] });
    const id = Array.from({ length: n }, (_, i) => (1n << 80n) + (BigInt(i) << 64n));
    state.add({ values: new Float64Array(n).fill(1), keys: { id } });
    expect(state.nodes).toBe(n);
    expect(decodeState(state.encode(), chain(sum())).digest()).toBe(state.digest());
  });

  test("20,000 intervals with gaps, in any order, are one list in order", () => {
    const state = createState(chain(sum()));
    const r = random(5);
    const starts = Array.from({ length: 20_000 }, (_, i) => 3 * i);
    for (let i = starts.length - 1; i > 0; i--) {
      const j = r.int(i + 1);
      [starts[i], starts[j]] = [starts[j]!, starts[i]!];
    }
    for (const from of starts) state.add({ values: [1] }, { source: "s", partition: 0, from, to: from + 2 });
    expect(state.provenance.map(({ from }) => from)).toEqual([...starts].sort((a, b) => a - b));
    for (const from of starts) state.add({ values: [1] }, { source: "s", partition: 0, from: from + 2, to: from + 3 });
    expect(state.provenance).toEqual([{ source: "s", partition: 0, from: 0, to: 60_000 }]);
  });

  test("a user's states are copied, also where encode and decode are not", () => {
    const first = defineReduction<Uint8Array>({
      name: "first",
      init: () => new Uint8Array(1),
      add: (s, x) => {
        s[0]! += x;
        return s;
      },
      merge: (a, b) => (a[0] === 0 ? b : Uint8Array.of(a[0]! + b[0]!)),
      finish: (s) => s[0]!,
      encode: (s) => s,
      decode: (b) => b,
      orderFree: true,
    });
    const [a, b] = [createState(chain(first())), createState(chain(first()))];
    b.add({ values: [2] });
    a.merge(b);
    a.add({ values: [9] });
    expect([a.finish().value, b.finish().value]).toEqual([11, 2]);
  });
});
