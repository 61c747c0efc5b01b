/** What iterables may give that is no item: rejected by itself, with what is wrong, while the stream goes on. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chain, createEngine, type Engine, type StreamItem, type StreamOptions, sum, weightedSum } from "../../src/index.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ workers: 0 });
});
afterAll(() => engine.close());

const KEYED = { form: chain({ k: sum(), all: sum() }), options: { keys: ["k"] } };
const FRAMES = { form: chain(sum()), options: { frame: { shape: [2] } } };
const PLAIN = { form: chain(sum()), options: {} };
const TIMED = { form: chain(sum()), options: { window: { sizeMs: 10 } } };
const WEIGHTED = { form: chain(weightedSum({ perNode: [] })), options: {} };
const CHILDREN = { form: chain({ k: sum(), all: weightedSum({ perNode: [] }) }), options: { keys: ["k"], childWeights: ["all"] } };
type Kind = typeof PLAIN;

async function run(items: Iterable<unknown>, { form, options }: Kind): Promise<{ values: number[]; rejected: string[] }> {
  const [values, rejected]: [number[], string[]] = [[], []];
  const all: StreamOptions = { ...options, onRejected: ({ error }) => void rejected.push(`${error.code} ${error.message}`) };
  for await (const { value } of engine.stream(form, items as Iterable<StreamItem>, all)) values.push(value);
  return { values, rejected };
}

const k = { codes: Int32Array.of(0), dictionary: ["a"] };
const gone = (): Float64Array => {
  const array = new Float64Array(2);
  structuredClone(array, { transfer: [array.buffer] });
  return array;
};

describe("is rejected by itself, and the stream goes on", () => {
  test.each<readonly [string, Kind, unknown, RegExp]>([
    ["a block without values", PLAIN, { data: undefined }, /has the values undefined/],
    ["a number as a block's values", PLAIN, { data: 5 }, /has the values 5/],
    ["a list with a hole", PLAIN, { data: [1, undefined] }, /has the values undefined at 1/],
    ["a view of bytes", PLAIN, { data: new DataView(new ArrayBuffer(8)) }, /has the values DataView/],
    ["memory that was transferred away", PLAIN, { data: gone() }, /transferred away/],
    ["an int64 beyond ±2^53", PLAIN, { data: BigInt64Array.of(3n, 2n ** 53n + 1n) }, /9007199254740993 at 1, beyond/],
    ["a number as a key column", KEYED, { data: [1], keys: { k: 5 } }, /has the key column "k" 5/],
    ["a text as a key column", KEYED, { data: [1], keys: { k: "a" } }, /has the key column "k" "a"/],
    ["null as the keys of a block", KEYED, { data: [1], keys: null }, /has the keys null/],
    ["null as the keys of a record", KEYED, { value: 1, keys: null }, /has the keys null/],
    ["null as the path of a record", KEYED, { value: 1, path: null }, /has the path null/],
    [
      "a dictionary without codes",
      KEYED,
      { data: [1], keys: { k: { dictionary: ["a"] } } },
      /has undefined as the codes of key column "k"/,
    ],
    ["codes without a dictionary", KEYED, { data: [1], keys: { k: { codes: k.codes } } }, /has undefined as the dictionary/],
    ["a number as a dictionary", KEYED, { data: [1], keys: { k: { ...k, dictionary: 5 } } }, /has 5 as the dictionary/],
    ["codes that are no integers", KEYED, { data: [1], keys: { k: { ...k, codes: Float64Array.of(0.5) } } }, /as the codes/],
    [
      "a code beyond its dictionary",
      KEYED,
      { data: [1], keys: { k: { ...k, codes: Int32Array.of(1) } } },
      /has the code 1 of a dictionary of 1/,
    ],
    ["a negative code", KEYED, { data: [1], keys: { k: { ...k, codes: Int32Array.of(-1) } } }, /has the code -1 of a dictionary of 1/],
    ["null as times", TIMED, { data: [1], times: null }, /has the times null/],
    ["text as a time", TIMED, { data: [1, 2], times: [1, "5"] }, /has the times "5" at 1/],
    ["a time that is missing", TIMED, { data: [1], times: [undefined] }, /event time is NaN/],
    ["null as weights", WEIGHTED, { data: [1], weights: null }, /has the weights null/],
    ["text as a weight", WEIGHTED, { data: [1], weights: ["2"] }, /has the weights "2" at 0/],
    [
      "null as weights of children",
      CHILDREN,
      { data: [1], keys: { k: ["a"] }, childWeights: { all: null } },
      /weights of level "all" null/,
    ],
    ["a column of another length", KEYED, { data: [1, 2], keys: { k } }, /has 1 entries for 2 rows/],
    ["text as a frame", FRAMES, { frame: "ab" }, /has the values "ab"/],
    ["null among frames", FRAMES, [{ frame: new Float32Array(0) }, null], /is null|has 0 values/],
    ["an array of blocks", PLAIN, [{ data: [1, 2] }, { data: [3] }], /is an array with a block in it/],
    ["an array of blocks of frames", FRAMES, [{ data: [1, 2, 3, 4] }], /is an array with a block in it/],
  ])("%s", async (_, kind, item, why) => {
    const good = kind === FRAMES ? { frame: [8, 0] } : { value: 8, keys: { k: "z" }, time: 1, weight: 1, childWeights: { all: 1 } };
    const { values, rejected } = await run([item, good], kind);
    expect(values).toEqual([8]);
    for (const one of rejected) expect(one).toMatch(why);
    expect(rejected.length).toBeGreaterThan(0);
  });

  test("an array of more frames than memory is made for", async () => {
    const many = Array.from({ length: 100_000 }, () => ({ frame: 1 }));
    const { rejected } = await run([many], { form: chain(sum()), options: { frame: { shape: [65_536] } } } as Kind);
    expect(rejected).toEqual([expect.stringMatching(/is an array of 100000 frames/)]);
  });
});

describe("is taken", () => {
  test("an int64 within ±2^53, in blocks and frames, as times and weights", async () => {
    expect(await run([{ data: BigInt64Array.of(2n ** 53n, -3n) }], PLAIN)).toEqual({ values: [2 ** 53 - 3], rejected: [] });
    expect(await run([BigInt64Array.of(1n, 2n), { frame: BigInt64Array.of(3n, 4n) }], FRAMES)).toEqual({ values: [3, 7], rejected: [] });
    expect(await run([{ data: [1, 2], times: BigInt64Array.of(1n, 11n) }], TIMED)).toEqual({ values: [1, 2], rejected: [] });
    expect(await run([{ data: [1, 2], weights: BigInt64Array.of(5n, 7n) }], WEIGHTED)).toEqual({ values: [19], rejected: [] });
  });

  test("an empty array as no items, an empty block as none", async () => {
    expect(await run([[], { data: [] }, 1], PLAIN)).toEqual({ values: [1], rejected: [] });
    expect(await run([[], [1, 2]], FRAMES)).toEqual({ values: [3], rejected: [] });
  });

  test("a block as it was when it was given, though its producer fills its arrays anew", async () => {
    const data = new Float64Array(4);
    const times = new Float64Array(4);
    const weights = new Float64Array(4);
    const codes = new Int32Array(4);
    const plain = ["", "", "", ""];
    const dictionary = ["a", "b", "c", "d"];
    function* blocks(keys: unknown): Generator<unknown> {
      for (let i = 1; i <= 3; i++) {
        for (const column of [data, weights, codes]) column.fill(i);
        times.fill(10 * i);
        plain.fill(dictionary[i]!);
        yield { data, times, weights, keys: { k: keys }, childWeights: { all: weights } };
      }
    }
    const { form } = CHILDREN;
    for (const keys of [{ codes, dictionary }, plain])
      expect(await run(blocks(keys), { form, options: { ...CHILDREN.options, window: { sizeMs: 10 } } } as Kind)).toEqual({
        values: [4, 16, 36],
        rejected: [],
      });
    expect((await run(blocks(plain), PLAIN)).values).toEqual([24]);
    expect((await run(blocks(plain), WEIGHTED)).values).toEqual([4 + 16 + 36]);
  });
});
