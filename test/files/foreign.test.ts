/**
 * Files that NumPy, pyarrow, zarr and Python wrote, against what NumPy, awkward-array, xarray and Python's fractions compute from them
 * (test/fixtures/foreign/make.py). What the same numbers give must not depend on the file they come from.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEngine, type Engine } from "../../src/engine.ts";
import { loadSpec, openTensor, type TensorOptions } from "../../src/files/index.ts";
import type { RunOptions } from "../../src/options.ts";
import { type Chain, chain } from "../../src/reduce/chain.ts";
import { max, mean, sum, weightedMean, weightedSum } from "../../src/reduce/reductions.ts";
import type { Result } from "../../src/result.ts";
import type { TensorSource } from "../../src/types.ts";
import { Folder } from "./fixture.ts";

const here = (name: string): string => fileURLToPath(new URL(`../fixtures/foreign/${name}`, import.meta.url));

interface Expected {
  readonly ragged: { readonly leaves: number; readonly sumMeanMaxSum: number; readonly h: readonly number[]; readonly exact: string };
  readonly dense: {
    readonly shape: readonly number[];
    readonly weights: readonly number[][];
    readonly chain: number;
    readonly chain32: number;
    readonly i64: number;
  };
  readonly grid: { readonly weights: readonly number[]; readonly means: readonly (number | "NaN")[] };
  readonly records: {
    readonly nodes: readonly [string, number, number][];
    readonly shops: readonly [string, number][];
    readonly total: number;
  };
}

const expected = JSON.parse(readFileSync(here("expected.json"), "utf8")) as Expected;
const folder = new Folder();
let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ workers: 2 });
});
afterAll(() => {
  folder.remove();
  return engine.close();
});

/** The same leaves as another tensor. */
function as(x: TensorSource, told: { readonly shape?: readonly number[]; readonly offsets?: TensorSource["offsets"] }): TensorSource {
  const { kind, name, dtype, length, segments } = x;
  const read: TensorSource["read"] = (target, first, options) => x.read(target, first, options);
  return { kind, name, dtype, length, segments, shape: told.shape, offsets: told.offsets, read, close: () => x.close() };
}

async function runOn(name: string, c: Chain, options: RunOptions = {}, how: TensorOptions = {}): Promise<Result> {
  const x = await openTensor(here(name), how);
  try {
    return await engine.run(c, x, { keep: "all", ...options });
  } finally {
    await x.close();
  }
}

/** |ours − theirs| is at most our bound and what float64 sums in another order may be off by. */
function near(ours: number, theirs: number, relative = 1e-12): void {
  expect(Math.abs(ours - theirs)).toBeLessThanOrEqual(relative * Math.abs(theirs));
}

describe("dense tensors", () => {
  const { shape, weights } = expected.dense;
  const four = chain(...weights.map((w) => weightedSum(w)));
  const raw = { shape, dtype: "f64" } as const;

  test("of every format have the same bits, and NumPy's value within a few units of its last place", async () => {
    const { value } = await runOn("c.npy", four);
    near(value, expected.dense.chain);
    for (const name of ["fortran.npy", "big-endian.npy", "deflated.npz", "v2.zarr", "v3.zarr"])
      expect((await runOn(name, four)).value, name).toBe(value);
    expect((await runOn("stored.npz", four, {}, { array: "x" })).value).toBe(value);
    expect((await runOn("x.f64", four, {}, raw)).value).toBe(value);
    const fixed = await openTensor(here("fixed.arrow"));
    expect(fixed.shape).toEqual([15, 7, 11]);
    expect((await engine.run(four, as(fixed, { shape }))).value).toBe(value);
    await fixed.close();
  });

  test("of float32 and int64 are NumPy's, too", async () => {
    const { value } = await runOn("f32.npy", four);
    near(value, expected.dense.chain32);
    expect((await runOn("x.f32", four, {}, { ...raw, dtype: "f32" })).value).toBe(value);
    near((await runOn("i64.npy", four)).value, expected.dense.i64);
  });

  test("with missing values: a weighted mean under skip is xarray's", async () => {
    const { weights, means } = expected.grid;
    const { values } = await runOn("grid.npy", chain(weightedMean(weights)), { nan: "skip" });
    expect(values.length).toBe(means.length);
    for (const [i, theirs] of means.entries()) {
      if (theirs === "NaN") expect(values[i]).toBeNaN();
      else near(values[i]!, theirs, 1e-13);
    }
  });
});

describe("ragged rows of rank 4", () => {
  const nested = chain(sum(), mean(), max(), sum());

  test("are awkward-array's, at the level of partitions and in all", async () => {
    const { value, level } = await runOn("ragged.arrow", nested).then((result) => ({ value: result.value, level: result.level("h") }));
    near(value, expected.ragged.sumMeanMaxSum);
    expect(level.length).toBe(expected.ragged.h.length);
    for (const [i, theirs] of expected.ragged.h.entries()) near(level.values[i]!, theirs);
  });

  test("have the same bits in files and streams, in 32-bit and 64-bit lists", async () => {
    const { value } = await runOn("ragged.arrow", nested);
    expect((await runOn("ragged.arrows", nested)).value).toBe(value);
    expect((await runOn("large.arrow", nested)).value).toBe(value);
  });

  test("sum to the exact sum of their leaves, rounded once", async () => {
    const [numerator, denominator] = expected.ragged.exact.split("/").map(BigInt);
    const x = await openTensor(here("ragged.arrow"));
    expect(x.length).toBe(expected.ragged.leaves);
    // One row of all leaves: the denominator is a power of two.
    const { value } = await engine.run(chain(sum()), as(x, { offsets: [] }), { accuracy: "exact" });
    expect(value).toBe(Number(numerator) / Number(denominator ?? 1n));
    await x.close();
  });
});

describe("keyed records", () => {
  test.each(["records.parquet", "records.csv", "records.ndjson"])("of %s are the exact sums that Python's fractions give", async (file) => {
    const spec = {
      source: { file: here(file) },
      value: "price",
      nan: "skip",
      levels: [
        { name: "item", by: ["shop", "item"], reduce: "weightedSum", weights: { column: "quantity" } },
        { name: "shop", by: ["shop"], reduce: "sum" },
        { name: "total", by: [], reduce: "sum" },
      ],
    };
    const result = await engine.run(await loadSpec(folder.spec("spec.json", spec), { allowPaths: [here("")] }), { keep: "all" });
    const { nodes, shops, total } = expected.records;
    expect(result.value).toBe(total);
    for (const [shop, value] of shops) expect(result.level("shop").at(shop).value).toBe(value);
    for (const [shop, item, value] of nodes) expect(result.level("item").at(shop, item).value).toBe(value);
  });
});
