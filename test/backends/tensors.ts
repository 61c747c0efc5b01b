/**
 * What every tensor backend must do, as one suite: results within their error bound, NaN and empty nodes as the contract has them,
 * no tensor left behind. A backend's own test file runs it in this process; test/backends/threads.ts has what is about its thread.
 */
import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { runReference } from "../../src/backends/reference.ts";
import type { TensorBackendName } from "../../src/backends/tensor-backends.ts";
import { createTfjs, loadTfjs, type TensorBackend } from "../../src/backends/tfjs.ts";
import { FourfoldError } from "../../src/errors.ts";
import { type Arithmetic, errorBound } from "../../src/reduce/bound.ts";
import { chain } from "../../src/reduce/chain.ts";
import { ExactSum } from "../../src/reduce/exact.ts";
import {
  count,
  defineReduction,
  max,
  mean,
  min,
  type Reduction,
  sum,
  variance,
  weightedMean,
  weightedSum,
} from "../../src/reduce/reductions.ts";
import { type Fitted, fit } from "../../src/reduce/resolve.ts";
import { boundOfSizes, rowSizes, sizingOf } from "../../src/reduce/sizes.ts";
import { denseTree, dtypeOf, type Offsets, raggedTree } from "../../src/reduce/tree.ts";
import type { NanPolicy, TypedData } from "../../src/types.ts";
import { randomCase, randomFrom, valuesOf } from "../reduce/cases.ts";
import { compare, distance, real, realChain, round } from "../reduce/real.ts";

/** Random chains that are compared with rational arithmetic. */
const CHAINS = Number(process.env["FOURFOLD_CHAINS"] ?? 1500);

/** Runs after which no tensor may be left. */
const RUNS = Number(process.env["FOURFOLD_RUNS"] ?? 300);

/** For the tests whose length these set. */
const LONG = { timeout: 600_000 + 20 * CHAINS };

/** Their names in TensorFlow.js. */
const OWN = { tensorflow: "tensorflow", webgpu: "webgpu", "tfjs-cpu": "cpu", "tfjs-wasm": "wasm" } as const;

/** What their versions look like. */
const VERSIONS = {
  tensorflow: /^2\.([7-9]|1[0-6])\.\d+$/,
  webgpu: /^4\.22\.0 on \w.*, \w/,
  "tfjs-cpu": /^4\.22\.0$/,
  "tfjs-wasm": /^4\.22\.0$/,
} as const;

/** Why a backend cannot be tested here; undefined if it can. With FOURFOLD_NEEDS=name its absence is an error. */
export async function absence(name: TensorBackendName): Promise<string | undefined> {
  try {
    await loadTfjs(name);
    return undefined;
  } catch (error) {
    if (process.env["FOURFOLD_NEEDS"] === name) throw error;
    return (error as Error).message;
  }
}

async function failure(promise: Promise<unknown>): Promise<FourfoldError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof FourfoldError)) throw new Error(`expected a FourfoldError, got ${error}`);
  return error;
}

/** Declares the suite for a backend. */
export function tensorSuite(name: TensorBackendName): void {
  let backend: TensorBackend;

  beforeAll(async () => {
    backend = await loadTfjs(name);
  });

  function dense(levels: readonly Reduction[], shape: readonly number[], nan: NanPolicy = "propagate"): Fitted {
    const c = chain(...levels);
    return fit(c, denseTree(c, shape, undefined), nan, "fast");
  }

  function ragged(levels: readonly Reduction[], offsets: readonly Offsets[], leaves: number, nan: NanPolicy = "propagate"): Fitted {
    const c = chain(...levels);
    return fit(c, raggedTree(c, offsets, leaves), nan, "fast");
  }

  async function outermost(fitted: Fitted, data: TypedData): Promise<number[]> {
    return Array.from((await backend.run(fitted, data, [])).at(-1)!.values);
  }

  describe("results lie within the bound of v*", () => {
    const ratios: number[] = [];

    test("for random chains: every reduction, weight form, dtype, NaN policy, dense and ragged, hard values", LONG, async () => {
      const broken: string[] = [];
      let cases = 0;
      let sized = 0;
      let infinite = 0;
      for (let seed = 0; seed < CHAINS; seed++) {
        const { title, fitted, data } = randomCase(seed);
        const v = (await backend.run(fitted, data, [])).at(-1)!.values;
        const bounds = errorBound(fitted, data, backend.arithmetic);
        const sizing = sizingOf(fitted, dtypeOf(data)!, backend.arithmetic);
        const bySizes = sizing && boundOfSizes(sizing, rowSizes(sizing, data), data);
        if (bySizes) sized++;
        let finite = false;
        realChain(fitted, data).forEach((exact, i) => {
          const e = bounds[i]!;
          if (bySizes && Number.isFinite(bySizes[i]))
            if (typeof exact === "string" || !Number.isFinite(v[i]) || compare(distance(v[i]!, exact), real(bySizes[i]!)) > 0)
              broken.push(
                `${title}: value ${v[i]}, v* ${typeof exact === "string" ? exact : round(exact)}, bound from sizes ${bySizes[i]}`,
              );
          if (typeof exact === "string") {
            if (Number.isFinite(e) && !(exact === "missing" && e === 0 && v[i] === 0)) broken.push(`${title}: no v*, bound ${e}`);
          } else if (!Number.isFinite(e)) infinite++;
          else {
            finite = true;
            const error = Number.isFinite(v[i]) ? distance(v[i]!, exact) : undefined;
            if (error === undefined || compare(error, real(e)) > 0) broken.push(`${title}: value ${v[i]}, v* ${round(exact)}, bound ${e}`);
            else if (error.m !== 0n) ratios.push(e / round(error));
          }
        });
        if (finite) cases++;
      }
      expect(broken).toEqual([]);
      expect(cases).toBeGreaterThan(CHAINS / 3);
      expect(sized).toBeGreaterThan(CHAINS / 6);
      expect(infinite).toBeLessThan(cases / 5);
    });

    test("and the bound is met: somewhere the error is all of it", () => {
      expect(Math.min(...ratios)).toBeLessThan(1.001);
    });

    test("for four weighted sums over 65,536 values, and the bound is below 1e-3 of Σ|w·x|", async () => {
      for (const flavour of ["ordinary", "cancelling", "wide", "integer"] as const) {
        const random = randomFrom(7);
        const [a, b, c, d] = [64, 16, 16, 4].map((n) => valuesOf("ordinary", n, random)) as [
          Float64Array,
          Float64Array,
          Float64Array,
          Float64Array,
        ];
        const x = valuesOf(flavour, 65536, random);
        const fitted = dense([weightedSum(a), weightedSum(b), weightedSum(c), weightedSum(d)], [4, 16, 16, 64]);
        const exact = realChain(fitted, x)[0]!;
        if (typeof exact === "string") throw new Error("v* is a real number here");
        let scale = 0;
        for (let i = 0; i < x.length; i++) scale += Math.abs(x[i]! * a[i % 64]! * b[(i >> 6) % 16]! * c[(i >> 10) % 16]! * d[i >> 14]!);
        const [e] = errorBound(fitted, x, backend.arithmetic);
        expect(compare(distance((await outermost(fitted, x))[0]!, exact), real(e!))).toBeLessThanOrEqual(0);
        expect(e!).toBeLessThan(1e-3 * scale);
      }
    });

    test("for one row of 100,000 values, against the exact sum", async () => {
      const random = randomFrom(3);
      const x = Float32Array.from(valuesOf("ordinary", 100_000, random));
      const w = valuesOf("ordinary", 100_000, random);
      const exact = new ExactSum();
      for (let i = 0; i < x.length; i++) exact.addProduct(w[i]!, x[i]!);
      const fitted = dense([weightedSum(w)], [100_000]);
      const [e] = errorBound(fitted, x, backend.arithmetic);
      expect(Math.abs((await outermost(fitted, x))[0]! - exact.value())).toBeLessThan(e!);
    });

    test("a bound four times smaller would be broken on ordinary data, and often", async () => {
      const smaller: Arithmetic = { ...backend.arithmetic, unit: backend.arithmetic.unit / 4 };
      const random = randomFrom(11);
      let broken = 0;
      for (let i = 0; i < 100; i++) {
        const fitted = dense([weightedSum(Float32Array.from(valuesOf("ordinary", 1, random)))], [1]);
        const x = Float32Array.from(valuesOf("ordinary", 1, random));
        const exact = realChain(fitted, x)[0]!;
        if (typeof exact === "string") throw new Error("v* is a real number here");
        const error = distance((await outermost(fitted, x))[0]!, exact);
        expect(compare(error, real(errorBound(fitted, x, backend.arithmetic)[0]!))).toBeLessThanOrEqual(0);
        if (compare(error, real(errorBound(fitted, x, smaller)[0]!)) > 0) broken++;
      }
      expect(broken).toBeGreaterThan(10);
    });
  });

  describe("kept levels are the reference's", () => {
    // Small integers and powers of two: float32 computes their sums exactly, and quotients as float64 does but for the last
    // rounding, so every level must be equal, NaN and missing nodes included.
    const N = Number.NaN;
    const x = Float32Array.of(1, N, 2, 4, N, N, N, N, 8, 2, 6, 4, N, 16, 2, 2);
    const chains: readonly (readonly Reduction[])[] = [
      [sum(), sum(), sum()],
      [sum(), mean(), max()],
      [count(), sum(), count()],
      [min(), max(), count()],
      [mean(), weightedSum("count"), sum()],
      [max(), weightedMean("count"), weightedSum("count")],
      [weightedSum([1, 2]), weightedSum([-1, 4, 2, 2]), min()],
      [weightedSum([1, Number.POSITIVE_INFINITY]), min(), max()],
      [
        weightedSum([
          [1, 2],
          [4, 8],
          [-1, 0],
        ]),
        weightedSum([1, 2, 1, 2]),
        sum(),
      ],
      [
        max(),
        weightedMean([
          [1, 1, 1, 1],
          [4, 4, 4, 4],
        ]),
        sum(),
      ],
      [weightedSum({ perNode: [1, 2, 4, 8, 1, 2, 4, 8] }), sum(), sum()],
      [weightedMean({ perNode: [1, 1, 4, 4, 1, 1, 8, 8] }), max(), sum()],
      [sum(), variance(), sum()],
      [weightedSum("count"), weightedMean("count"), mean()],
      [variance({ ddof: 1 }), max(), count()],
    ];
    for (const nan of ["propagate", "skip"] as const)
      for (const levels of chains)
        test(`${levels.map((l) => `${l.name}${l.weights ? ` ${l.weights.form}` : ""}`).join(", ")} under ${nan}`, async () => {
          const fitted = dense(levels, [2, 1, 4, 2], nan);
          const expected = runReference(fitted, x);
          const got = await backend.run(fitted, x, [true, true, true]);
          expect(got.map((level) => Array.from(level!.values))).toEqual(expected.map((level) => Array.from(level.values, Math.fround)));
          expect(got.map((level) => level!.outputs)).toEqual(expected.map((level) => level.outputs));
          if (nan === "skip") expect(got.map((level) => level!.records)).toEqual(expected.map((level) => level.records));
        });

    test("ragged rows, skewed ones in groups of like length, empty ones among them", async () => {
      const random = randomFrom(5);
      const lengths = [3, 0, 1, 200, 2, 0, 17, 1, 1, 64, 5, 0];
      const offsets = [0];
      for (const n of lengths) offsets.push(offsets.at(-1)! + n);
      const leaves = offsets.at(-1)!;
      const outer = [0, 2, 2, 11, 12];
      for (const nan of ["propagate", "skip"] as const) {
        const data = Float32Array.from({ length: leaves }, () =>
          nan === "skip" && random() < 0.2 ? Number.NaN : Math.floor(random() * 16),
        );
        for (const levels of [
          [sum(), sum()],
          [sum(), max()],
          [min(), sum()],
          [max(), min()],
          [count(), max()],
          [count(), weightedSum("count")],
          [weightedSum({ perNode: Float64Array.from({ length: leaves }, (_, i) => 2 ** (i % 3)) }), sum()],
          [sum(), weightedSum({ perNode: Float64Array.from(lengths, (_, i) => i) })],
        ]) {
          const fitted = ragged(levels, [offsets, outer], leaves, nan);
          const expected = runReference(fitted, data);
          const got = await backend.run(fitted, data, [true, true]);
          expect(got.map((level) => Array.from(level!.values))).toEqual(expected.map((level) => Array.from(level.values)));
        }
      }
    });

    test("levels that are not to be kept are left out, the outermost never is", async () => {
      const fitted = dense([sum(), sum(), sum()], [2, 2, 2]);
      const levels = await backend.run(fitted, new Float32Array(8).fill(1), [false, true, false]);
      expect(levels.map((level) => level && Array.from(level.values))).toEqual([undefined, [4, 4], [8]]);
      expect(levels[1]!.records).toBeUndefined();
    });

    test("the article's chain gives 7.5", async () => {
      const fitted = ragged([sum(), mean(), max()], [[0, 3, 5]], 5);
      expect(await outermost(fitted, Float64Array.of(1, 2, 3, 4, 5))).toEqual([7.5]);
    });
  });

  describe("empty tensors", () => {
    const empties: readonly [string, Reduction, number][] = [
      ["sum", sum(), 0],
      ["weightedSum", weightedSum([]), 0],
      ["count", count(), 0],
      ["mean", mean(), Number.NaN],
      ["weightedMean", weightedMean([]), Number.NaN],
      ["min", min(), Number.NaN],
      ["max", max(), Number.NaN],
      ["variance", variance(), Number.NaN],
    ];
    for (const [name, reduction, value] of empties)
      test(`${name} of no children is ${value}, and of no rows nothing`, async () => {
        for (const nan of ["propagate", "skip", "error"] as const) {
          expect(await outermost(dense([reduction], [2, 0], nan), new Float32Array(0))).toEqual([value, value]);
          expect(await outermost(dense([reduction], [0, 0], nan), new Float32Array(0))).toEqual([]);
          expect(await outermost(ragged([reduction], [[0, 0, 0]], 0, nan), new Float64Array(0))).toEqual([value, value]);
        }
      });

    test("rows of no frames give no values", async () => {
      expect(await outermost(dense([sum(), max(), mean()], [0, 3, 4, 5]), new Float32Array(0))).toEqual([]);
      expect(
        await outermost(
          dense(
            [
              weightedSum([
                [1, 2],
                [3, 4],
              ]),
              max(),
            ],
            [0, 3, 2],
          ),
          new Float32Array(0),
        ),
      ).toEqual([]);
    });
  });

  describe("NaN", () => {
    const x = Float64Array.of(1, 2, Number.NaN, 4);

    test("propagates through every reduction but count, whatever TensorFlow's own does", async () => {
      for (const r of [sum(), mean(), weightedSum([1, 0]), weightedMean([1, 1]), min(), max(), variance()])
        expect(await outermost(dense([r], [2, 2]), x)).toEqual([expect.any(Number), Number.NaN]);
      expect(await outermost(dense([count()], [2, 2]), x)).toEqual([2, 2]);
      expect(await outermost(dense([sum(), max()], [2, 2, 1].reverse()), x)).toEqual([Number.NaN]);
    });

    test("every NaN that comes out has the contract's bits", async () => {
      const bits = new Float32Array(Uint32Array.of(0xffc12345, 0x7fa00001).buffer);
      const values = (await backend.run(dense([max()], [2, 1]), bits, [])).at(-1)!.values;
      expect(Array.from(new BigUint64Array(values.buffer, values.byteOffset, 2))).toEqual([0x7ff8000000000000n, 0x7ff8000000000000n]);
    });

    test('under "error" it is refused with its index', async () => {
      const error = await failure(backend.run(dense([sum()], [4], "error"), x, []));
      expect([error.code, error.at]).toEqual(["ERR_FOURFOLD_NAN", { index: 2 }]);
      expect(await outermost(dense([sum()], [3], "error"), Float64Array.of(1, 2, Number.POSITIVE_INFINITY))).toEqual([
        Number.POSITIVE_INFINITY,
      ]);
    });

    test("a skipped child adds nothing under an infinite or NaN weight", async () => {
      const data = Float64Array.of(3, Number.NaN);
      for (const w of [Number.POSITIVE_INFINITY, Number.NaN, 1e300]) {
        expect(await outermost(dense([weightedSum([2, w])], [2], "skip"), data)).toEqual([6]);
        expect(await outermost(dense([weightedMean([2, w])], [2], "skip"), data)).toEqual([3]);
        expect(
          await outermost(
            dense(
              [
                weightedSum([
                  [2, w],
                  [1, w],
                ]),
              ],
              [2],
              "skip",
            ),
            data,
          ),
        ).toEqual([6, 3]);
        expect(await outermost(dense([weightedMean({ perNode: [2, w] })], [2], "skip"), data)).toEqual([3]);
      }
    });
  });

  describe("input", () => {
    test("of every dtype, and from views at any offset", async () => {
      const fitted = dense([sum()], [3]);
      for (const Type of [Float32Array, Float64Array, Int32Array, Int16Array, Int8Array, Uint8Array]) {
        expect(await outermost(fitted, new Type([9, 1, 2, 3, 9]).subarray(1, 4))).toEqual([6]);
        expect(await outermost(dense([max()], [3]), new Type([9, 1, 2, 3, 9]).subarray(1, 4))).toEqual([3]);
      }
      const shared = new Float32Array(new SharedArrayBuffer(64), 4, 3).fill(2);
      expect(await outermost(fitted, shared as unknown as Float32Array<ArrayBuffer>)).toEqual([6]);
    });

    test("is read before run returns: what the caller writes afterwards changes nothing, and results are the caller's own", async () => {
      const data = Float32Array.of(1, 2, 3);
      for (const level of [sum(), max(), weightedSum([1, 1, 1])]) {
        for (const shape of [[3], [3, 1]]) {
          if (shape.length === 2 && level.weights) continue;
          const fitted = dense([level], shape);
          const before = await outermost(fitted, data);
          const running = backend.run(fitted, data, []);
          data.fill(100);
          const values = (await running).at(-1)!.values;
          expect(Array.from(values)).toEqual(before);
          values.fill(-1);
          expect(Array.from(data)).toEqual([100, 100, 100]);
          data.set([1, 2, 3]);
        }
      }
    });

    test("beyond float32 overflows, and the bound says so", async () => {
      const fitted = dense([max()], [2]);
      const data = Float64Array.of(1e300, 1);
      expect(await outermost(fitted, data)).toEqual([Number.POSITIVE_INFINITY]);
      expect(errorBound(fitted, data, backend.arithmetic)[0]).toBe(Number.POSITIVE_INFINITY);
    });
  });

  describe("what tensors cannot do is refused", () => {
    test("accuracies that float32 cannot keep, with the way out", async () => {
      for (const accuracy of ["reproducible", "exact"] as const) {
        const c = chain(sum());
        const error = await failure(backend.run(fit(c, denseTree(c, [1], 1), "propagate", accuracy), Float32Array.of(1), []));
        expect([error.code, error.given, error.expected]).toEqual(["ERR_FOURFOLD_ACCURACY", accuracy, "fast"]);
        expect(error.fix).toContain('backend "wasm"');
      }
    });

    test("user reductions, by level and name", async () => {
      const product = defineReduction({ name: "product", init: () => 1, add: (p, v) => p * v, merge: (a, b) => a * b, finish: (p) => p });
      const error = await failure(backend.run(dense([sum(), product()], [1, 1]), Float32Array.of(1), []));
      expect([error.code, error.at]).toEqual(["ERR_FOURFOLD_ACCURACY", { level: "g" }]);
      expect(error.message).toContain('"product"');
    });
  });

  describe("loading", () => {
    test("is asserted: the operations run on the backend that was asked for, and its version is told", async () => {
      const running: string[] = [];
      const watchedSum = (x: tf.Tensor, axis: number): tf.Tensor => {
        running.push(tf.getBackend());
        return tf.sum(x, axis);
      };
      const watched = createTfjs({ ...tf, sum: watchedSum }, name);
      await watched.run(dense([sum()], [2]), Float32Array.of(1, 2), []);
      expect(running).toEqual([OWN[name]]);
      expect(backend.version).toMatch(VERSIONS[name]);
      process.stderr.write(`backend ${name}: tf.getBackend() is "${running[0]}", version ${backend.version}\n`);
    });

    test("the program's own TensorFlow.js backend stays chosen, during and after a run", async () => {
      tf.registerBackend(
        "mine",
        () =>
          new (class extends tf.KernelBackend {
            override dispose(): void {}
          })(),
        0,
      );
      try {
        await tf.setBackend("mine");
        const own = await loadTfjs(name);
        expect(tf.getBackend()).toBe("mine");
        const running = own.run(dense([sum()], [2]), Float32Array.of(1, 2), []);
        expect(tf.getBackend()).toBe("mine");
        expect((await running)[0]!.values[0]).toBe(3);
        await failure(own.run(dense([sum()], [1], "error"), Float32Array.of(Number.NaN), []));
        expect(tf.getBackend()).toBe("mine");
      } finally {
        await tf.setBackend(OWN[name]);
        tf.removeBackend("mine");
      }
    });

    test("nothing is printed on the caller's console", async () => {
      const warn = vi.spyOn(console, "warn");
      await (await loadTfjs(name)).run(dense([sum()], [1]), Float32Array.of(1), []);
      expect(warn).not.toHaveBeenCalled();
    });
  });

  describe("tensors", () => {
    test("are all disposed: many runs leave as many as before, whoever's tidy they run in, and take no memory", LONG, async () => {
      const { numTensors, numBytes } = tf.memory();
      let rss = 0;
      for (let seed = 0; seed < RUNS; seed++) {
        if (seed === RUNS >> 1) rss = process.memoryUsage.rss();
        const { fitted, data } = randomCase(seed);
        await backend.run(
          fitted,
          data,
          fitted.levels.map((_, i) => (seed + i) % 2 === 0),
        );
      }
      let running: Promise<unknown> | undefined;
      tf.tidy(() => {
        running = backend.run(dense([sum(), max()], [2, 2]), Float32Array.of(1, 2, 3, 4), [true, true]);
      });
      expect(await running).toMatchObject([{ outputs: 1 }, { outputs: 1 }]);
      expect(tf.memory()).toMatchObject({ numTensors, numBytes });
      expect((process.memoryUsage.rss() - rss) / 2 ** 20).toBeLessThan(64); // MiB; what is not collected yet is less
    });

    test("are disposed when an operation or a read fails", async () => {
      const { numTensors } = tf.memory();
      const fitted = dense([sum(), mean(), max()], [2, 2, 2]);
      const data = new Float32Array(8);
      const failing = (operation: "max" | "div"): TensorBackend =>
        createTfjs(
          {
            ...tf,
            [operation]: () => {
              throw new Error("out of memory");
            },
          },
          name,
        );
      for (const operation of ["div", "max"] as const)
        await expect(failing(operation).run(fitted, data, [true, true, true])).rejects.toThrow("out of memory");
      const keep = (t: tf.Tensor) => Object.assign(tf.keep(t), { data: () => Promise.reject(new Error("device lost")) });
      const lost = createTfjs({ ...tf, keep }, name);
      await expect(lost.run(fitted, data, [true, true, true])).rejects.toThrow("device lost");
      expect(tf.memory().numTensors).toBe(numTensors);
    });

    test("few operations say a chain: one matrix product for each level of weighted sums, none per row", async () => {
      let operations = 0;
      const counting = new Proxy(tf, {
        get(target, name: keyof typeof tf) {
          const member = target[name];
          if (["matMul", "mul", "sum", "div", "where", "gather", "concat", "isNaN"].includes(name)) operations++;
          return member;
        },
      });
      const own = createTfjs(counting, name);
      await own.run(
        dense(
          [
            weightedSum([1, 2]),
            weightedSum([1, 2, 3]),
            weightedSum([
              [1, 2],
              [3, 4],
            ]),
            weightedSum([1]),
          ],
          [5, 1, 2, 3, 2],
        ),
        new Float32Array(60),
        [],
      );
      expect(operations).toBe(4);
    });
  });
}
