/** Laws of the public API: what may change without changing a bit. Each engine here is one that a caller could make. */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  chain,
  count,
  createEngine,
  type Engine,
  type Input,
  max,
  mean,
  min,
  type Reduction,
  type RunOptions,
  sum,
  type TypedData,
  variance,
  type WeightsInput,
  weightedMean,
  weightedSum,
} from "../src/index.ts";
import { hex } from "./failing.ts";
import { type Random, random } from "./random.ts";

const RUNS = Math.ceil(Number(process.env["FOURFOLD_RUNS"] ?? 400) / 10);
const WORKERS = [0, 1, 2, 3, 8];
const engines = new Map<number, Engine>();
beforeAll(async () => {
  for (const workers of WORKERS) engines.set(workers, await createEngine({ workers }));
});
afterAll(() => Promise.all([...engines.values()].map((engine) => engine.close())));

const FLAVOURS = ["plain", "cancelling", "integers", "specials"];
const MODES = [{}, { nan: "skip" }, { accuracy: "exact" }, { accuracy: "reproducible" }] as const;

/** The bits of every node of a run. */
async function bitsOf(
  reductions: readonly Reduction[],
  input: Input,
  options: RunOptions = {},
  engine: Engine = engines.get(0)!,
): Promise<string[][]> {
  const result = await engine.run(chain(...reductions), input, { ...options, keep: "all" });
  return reductions.map((_, i) => hex(result.level(["f", "g", "h", "k"][i]!).values));
}

/** A reduction for nodes of one extent; `scale` is how far its weights may be from 1. */
function reduction(r: Random, extent: number, weighted: (w: WeightsInput) => WeightsInput = (w) => w): Reduction {
  return r.pick([
    sum,
    mean,
    min,
    max,
    count,
    variance,
    () => weightedSum(weighted(r.numbers(extent, "plain"))),
    () => weightedMean(weighted(r.numbers(extent, "integers"))),
  ])();
}

/** Shared weights, said as one weight for each child. */
const spelledOut = (c: readonly Reduction[], level: number, children: number): Reduction => {
  const { kind, weights } = c[level]!;
  if (weights?.form !== "shared") return c[level]!;
  const { values } = weights;
  const perNode = Float64Array.from({ length: children }, (_, i) => values[i % values.length]!);
  return kind === "weightedSum" ? weightedSum({ perNode }) : weightedMean({ perNode });
};

const holds = (law: (r: Random) => Promise<void>, numRuns: number = RUNS): Promise<void> =>
  fc.assert(
    fc.asyncProperty(fc.integer(), (seed) => law(random(seed))),
    { numRuns },
  );

describe("the bits do not change", () => {
  test("with the number of workers: 0, 1, 2, 3 or 8, for inputs that are cut into many parts", () =>
    holds(async (r) => {
      const rows = 600 + r.int(3000);
      const extent = r.pick([333, 1024, 4097]);
      const data = Float64Array.from({ length: rows * extent }, (_, i) => ((i * 2654435761) % 1000003) / 7 - 7e4);
      const c = [reduction(r, extent), reduction(r, rows)];
      const values = data.subarray(0, 400_000);
      const input: Input =
        r.int(3) === 0 ? { values, keys: { k: Uint16Array.from(values, (_, i) => (i * 40503) % 999) } } : { data, shape: [rows, extent] };
      const records = "keys" in input ? [sum(), variance()] : c;
      const options = r.pick(MODES.slice(0, 2));
      const expected = await bitsOf(records, input, options);
      for (const workers of WORKERS.slice(1)) {
        const engine = engines.get(workers)!;
        expect(await bitsOf(records, input, options, engine), `${workers} workers`).toEqual(expected);
        if ("keys" in input) continue;
        const x = engine.tensor([rows, extent], "f64");
        x.data.set(data);
        expect(await bitsOf(records, x, options, engine), `${workers} workers, engine memory`).toEqual(expected);
        x.free();
      }
    }, 4));

  test("with the order of keyed records", () =>
    holds(async (r) => {
      const n = 1 + r.int(300);
      const values = r.data(n, r.pick(FLAVOURS));
      const [a, b] = [Array.from(values, () => r.int(5)), Array.from(values, () => `n${r.int(7)}`)];
      const weights = r.numbers(n, "cancelling");
      const order = Array.from(values, (_, i) => i);
      for (let i = n - 1; i > 0; i--) {
        const j = r.int(i + 1);
        [order[i], order[j]] = [order[j]!, order[i]!];
      }
      const first = r.pick([
        () => sum(),
        () => mean(),
        () => variance(),
        () => max(),
        (w: Float64Array) => weightedSum({ perNode: w }),
        (w: Float64Array) => weightedMean({ perNode: w }),
      ]);
      const outer = [reduction(r, 1, () => "count"), reduction(r, 1, () => "count")];
      const options = r.pick(MODES);
      const shuffled = {
        values: values.map((_, i) => values[order[i]!]!) as TypedData,
        keys: { a: order.map((i) => a[i]!), b: order.map((i) => b[i]!) },
      };
      expect(await bitsOf([first(Float64Array.from(order, (i) => weights[i]!)), ...outer], shuffled, options)).toEqual(
        await bitsOf([first(weights), ...outer], { values, keys: { a, b } }, options),
      );
    }));

  test("with frames: all in one batch, some, or one by one", () =>
    holds(async (r) => {
      const [frames, C, A] = [1 + r.int(6), r.pick([1, 3, 8]), r.pick([1, 15, 16, 17, 100, 5000])];
      const c = [reduction(r, A), reduction(r, C)];
      const data = r.data(frames * C * A, r.pick(FLAVOURS));
      const options = r.pick(MODES);
      const [, all] = await bitsOf(c, { data, shape: [frames, C, A] }, options);
      const one: string[] = [];
      for (let f = 0; f < frames; f++)
        one.push(...(await bitsOf(c, { data: data.subarray(f * C * A, (f + 1) * C * A), shape: [C, A] }, options))[1]!);
      expect(one).toEqual(all);
    }));

  test("with the form: a tensor in engine memory, a foreign array, ragged offsets of one length, weights spelled out, run or runSync", () =>
    holds(async (r) => {
      const [C, A] = [1 + r.int(9), r.pick([0, 1, 7, 64, 129, 4095, 4096, 4097, 9000])];
      const engine = engines.get(2)!;
      const c = [reduction(r, A), reduction(r, C)];
      const data = r.data(C * A, r.pick(FLAVOURS));
      const options = r.pick(MODES);
      const x = engine.tensor([C, A], "f64");
      x.data.set(data);
      const expected = await bitsOf(c, x, options, engine);
      x.free();
      expect(await bitsOf(c, { data, shape: [C, A] }, options, engine)).toEqual(expected);
      expect(await bitsOf(c, { data, shape: [1, C, A] }, options, engine)).toEqual(expected);
      const offsets = [Uint32Array.from({ length: C + 1 }, (_, i) => i * A)];
      expect(await bitsOf(c, { data, offsets }, options, engine)).toEqual(expected);
      const spelled = [spelledOut(c, 0, C * A), spelledOut(c, 1, C)];
      expect(await bitsOf(spelled, { data, offsets }, options, engine)).toEqual(expected);
      // A last row of another length makes the rows before it truly ragged.
      const longer = new Float64Array(data.length + A + 1);
      longer.set(data);
      if (c[0]!.weights === undefined && c[1]!.weights === undefined) {
        const ragged = await bitsOf([c[0]!, sum()], { data: longer, offsets: [[...offsets[0]!, longer.length]] }, options, engine);
        expect(ragged[0]!.slice(0, C)).toEqual(expected[0]);
      }
      const sync = engine.runSync(chain(...c), { data, shape: [C, A] }, options);
      expect(hex(sync.values)).toEqual(expected[1]);
    }));

  test("with the dtype, number[] included, where it holds the values", () =>
    holds(async (r) => {
      const [C, A] = [1 + r.int(5), r.pick([1, 17, 300, 4100])];
      const c = [reduction(r, A), reduction(r, C)];
      const data = Float64Array.from({ length: C * A }, () => r.int(128));
      const options = r.pick(MODES);
      const shape = [C, A];
      const expected = await bitsOf(c, { data, shape }, options);
      for (const Type of [Float32Array, Int32Array, Int16Array, Int8Array, Uint8Array])
        expect(await bitsOf(c, { data: Type.from(data), shape }, options), Type.name).toEqual(expected);
      expect(await bitsOf(c, { data: Array.from(data), shape }, options)).toEqual(expected);
      expect(await bitsOf(c, { data: BigInt64Array.from(data, BigInt), shape }, options)).toEqual(expected);
    }));

  test("between rows and records, where accuracy is exact", () =>
    holds(async (r) => {
      const rows = Array.from({ length: 1 + r.int(8) }, () => 1 + r.int(40));
      const offsets = [0];
      for (const n of rows) offsets.push(offsets.at(-1)! + n);
      const data = r.data(offsets.at(-1)!, r.pick(FLAVOURS));
      const perNode = r.numbers(data.length, "cancelling");
      const first = r.pick([sum(), mean(), min(), max(), count(), variance(), weightedSum({ perNode }), weightedMean({ perNode })]);
      const c = [first, reduction(r, rows.length)];
      const k = rows.flatMap((n, row) => new Array<number>(n).fill(row));
      const nan = r.pick(["skip", "propagate"] as const);
      expect(await bitsOf(c, { values: data, keys: { k } }, { accuracy: "exact", nan })).toEqual(
        await bitsOf(c, { data, offsets: [offsets] }, { accuracy: "exact", nan }),
      );
    }));

  test("between output r of a weight matrix and the vector weights[r]", () =>
    holds(async (r) => {
      const [frames, C, A] = [1 + r.int(3), 1 + r.int(6), r.pick([1, 16, 100, 5000])];
      const data = r.data(frames * C * A, r.pick(FLAVOURS));
      const at = r.int(2);
      const make = r.pick([weightedSum, weightedMean]);
      const rows = Array.from({ length: 1 + r.int(4) }, () => r.numbers(at === 0 ? A : C, "plain"));
      const other = reduction(r, at === 0 ? C : A);
      const c = (w: WeightsInput): Reduction[] => (at === 0 ? [make(w), other] : [other, make(w)]);
      const options = r.pick(MODES);
      const shape = [frames, C, A];
      const result = await engines.get(0)!.run(chain(...c(rows)), { data, shape }, options);
      expect(result.shape).toEqual([frames, rows.length]);
      for (const [i, row] of rows.entries()) {
        const [, alone] = await bitsOf(c(row), { data, shape }, options);
        expect(hex(Array.from({ length: frames }, (_, f) => result.values[f * rows.length + i]!))).toEqual(alone);
      }
    }));

  test("between one run and the next, whatever ran in between", () =>
    holds(async (r) => {
      const engine = engines.get(2)!;
      const A = 1 + r.int(5000);
      const c = chain(reduction(r, A));
      const data = r.data(A, r.pick(FLAVOURS));
      const before = hex((await engine.run(c, { data, shape: [A] })).values);
      await engine.run(chain(sum()), r.data(1 + r.int(9999), "specials"));
      expect(hex((await engine.run(c, { data, shape: [A] })).values)).toEqual(before);
    }));
});
