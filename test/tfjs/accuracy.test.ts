// How far results are from the exact real ones, beside @tensorflow/tfjs-backend-wasm on the same data.
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-wasm";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { ExactSum } from "../../src/reduce/exact.ts";
import { type Scaled, timesExactly } from "../products.ts";
import { random } from "../random.ts";
import { useFourfold } from "./backend.ts";

const RUNS = Math.min(300, Number(process.env["FOURFOLD_RUNS"] ?? 60));

beforeAll(async () => {
  await useFourfold();
  if (!(await tf.setBackend("wasm"))) throw new Error("tfjs-backend-wasm does not start");
});

/** Rows of float32 that are hard to add: long, cancelling, of mixed size, growing, or with a small mean on a large offset. */
const HARD: Readonly<Record<string, (i: number, next: () => number) => number>> = {
  uniform: (_, next) => next(),
  signed: (_, next) => next() - 0.5,
  "mixed sizes": (_, next) => (next() - 0.5) * 2 ** Math.floor(next() * 40 - 20),
  "pairs that cancel": (i, next) => (i % 2 ? -1 : 1) * (1000 + next()),
  "one large, many small": (i, next) => (i === 0 ? 1e7 : next() * 1e-2),
  "an offset": (_, next) => 1e6 + next(),
  falling: (i) => 1 / (i + 1),
};

const rows = fc.record({ kind: fc.constantFrom(...Object.keys(HARD)), n: fc.integer({ min: 1, max: 20_000 }), seed: fc.nat() });

/** A − b in float64, from the exact sum: the exact real error rounded once. */
function errorOf(result: number, terms: readonly (readonly [number, number])[], scale = 1): number {
  const sum = new ExactSum();
  for (const [a, b] of terms) sum.addProduct(a, b);
  sum.addProduct(-result, scale);
  return Math.abs(sum.value());
}

/** What float64 lanes may be off by, before the last rounding: n additions in each of 16 lanes, four of the fold, one of the blocks. */
const slackOf = (terms: readonly (readonly [number, number])[]): number =>
  (terms.length / 16 + 6) * 2 ** -53 * terms.reduce((total, [a, b]) => total + Math.abs(a * b), 0);

type Case = { readonly terms: readonly (readonly [number, number])[]; readonly scale: number; work(): tf.Tensor };

const CASES: Readonly<Record<string, (x: Float32Array, w: Float32Array) => Case>> = {
  sum: (x) => ({ terms: Array.from(x, (v) => [v, 1]), scale: 1, work: () => tf.sum(tf.tensor1d(x)) }),
  "sum of a column": (x) => ({ terms: Array.from(x, (v) => [v, 1]), scale: 1, work: () => tf.sum(tf.tensor2d(x, [x.length, 1]), 0) }),
  mean: (x) => ({ terms: Array.from(x, (v) => [v, 1]), scale: x.length, work: () => tf.mean(tf.tensor1d(x)) }),
  matMul: (x, w) => ({
    terms: Array.from(x, (v, i) => [v, w[i]!]),
    scale: 1,
    work: () => tf.matMul(tf.tensor2d(x, [1, x.length]), tf.tensor2d(w, [x.length, 1])),
  }),
};

describe.each(Object.keys(CASES))("%s", (name) => {
  test("is never further from the exact result than that of tfjs-backend-wasm, but for float64's own rounding", async () => {
    let [better, equal] = [0, 0];
    const check = async ({ kind, n, seed }: { kind: string; n: number; seed: number }): Promise<void> => {
      const { next } = random(seed);
      const x = Float32Array.from({ length: n }, (_, i) => HARD[kind]!(i, next));
      const w = Float32Array.from({ length: n }, () => next());
      const { terms, scale, work } = CASES[name]!(x, w);
      const results: number[] = [];
      for (const backend of ["fourfold", "wasm"]) {
        await tf.setBackend(backend);
        results.push(tf.tidy(() => work().dataSync()[0]!));
      }
      const [ours, theirs] = results.map((result) => errorOf(result, terms, scale)) as [number, number];
      const slack = slackOf(terms);
      if (ours < theirs) better++;
      else if (ours === theirs) equal++;
      expect(ours, `${kind}, ${n} values: ${ours} beside ${theirs}`).toBeLessThanOrEqual(theirs + slack);
      // And it is the float32 next to the exact result, up to that slack.
      const half = 2 ** -24 * Math.abs(results[0]!) * scale + 2 ** -150;
      expect(ours, `${kind}, ${n} values`).toBeLessThanOrEqual(half + 2 * slack);
    };
    await fc.assert(fc.asyncProperty(rows, check), { numRuns: RUNS, seed: 20261122 });
    expect(better).toBeGreaterThan(equal / 4);
  });
});

test("products are never further from the exact product than those of tfjs-backend-wasm", async () => {
  const { next } = random(7);
  for (let round = 0; round < 100; round++) {
    const x = Float32Array.from({ length: 1 + Math.floor(next() * 400) }, () => 0.5 + next());
    const exact = x.reduce<Scaled>(timesExactly, { m: 1n, e: 0 });
    const distances: bigint[] = [];
    for (const backend of ["fourfold", "wasm"]) {
      await tf.setBackend(backend);
      const result = timesExactly(
        { m: 1n, e: 0 },
        tf.tidy(() => tf.prod(tf.tensor1d(x)).dataSync()[0]!),
      );
      // Every float32 is a coarser multiple of a power of two than the exact product.
      const off = (result.m << BigInt(result.e - exact.e)) - exact.m;
      distances.push(off < 0n ? -off : off);
    }
    expect(distances[0]! <= distances[1]!, `${x.length} factors`).toBe(true);
  }
});
