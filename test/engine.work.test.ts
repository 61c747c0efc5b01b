/** What `engine.stats` tells of exact sums: how often their fast path did not do. Results never depend on it (contract clause 1). */
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Chain, chain, createEngine, type Engine, sum, weightedSum } from "../src/index.ts";
import { random } from "./random.ts";

let engine: Engine;
beforeEach(async () => {
  engine = await createEngine({ workers: 2 });
});
afterEach(() => engine.close());

const work = ({ stats: { slowBlocks, threeTermNodes, accumulatorNodes } }: Engine): number[] => [
  slowBlocks,
  threeTermNodes,
  accumulatorNodes,
];

/** More float64 values than run on the calling thread alone: 2 MiB. */
const MANY = 1 << 18;

const r = random(3);
const drawn = (n: number): number[] => Array.from({ length: n }, () => r.next() + 2 ** -40);
const FAR_APART = [1e300, 1e200, 1e100, 1, 1e-100];

/** Rows that all take the same way, their weights, and what each of them counts. */
const CASES: [string, readonly number[], readonly number[], number[]][] = [
  ["blocks of products of 106 bits are slow blocks", drawn(2048), drawn(2048), [1, 0, 0]],
  ["ties and zeros take three terms", [1, -1, 3, -3, 2 ** -60], [0.1, 0.1, 0.3, 0.3, 0.1], [0, 1, 0]],
  [
    "values very far apart take the accumulator",
    [...FAR_APART, ...FAR_APART.map((v) => -v), 1e-200],
    [...FAR_APART.map(() => 1 + 2 ** -40), ...FAR_APART.map(() => 1 + 2 ** -40), 1],
    [0, 1, 1],
  ],
];

test.each(CASES)("%s: on the calling thread and on workers, each counted once", async (_, row, weights, [slow, three, accumulator]) => {
  const rows = Math.ceil(MANY / row.length);
  const x = engine.tensor([rows, row.length], "f64");
  for (let i = 0; i < rows; i++) x.data.set(row, i * row.length);
  const plan = engine.plan(chain(weightedSum(weights)), { shape: x.shape, dtype: "f64", accuracy: "exact" });
  const expected = ([slowBefore, threeBefore, accumulatorBefore]: number[]): unknown[] => [
    // Short rows share blocks, and where a block ends is the schedule's business.
    slow === 1 ? slowBefore! + rows : expect.any(Number),
    threeBefore! + three! * rows,
    accumulatorBefore! + accumulator! * rows,
  ];
  const here = plan.runSync(x);
  expect(work(engine)).toEqual(expected([0, 0, 0]));
  const before = work(engine);
  const { values, steps } = await plan.run(x);
  expect(steps[1]!.counts["workers"]).toBe(2);
  expect(values).toEqual(here.values);
  expect(work(engine)).toEqual(expected(before));
});

const runOnce = (c: Chain, data: readonly number[], shape: number[], accuracy: "exact" | "reproducible"): number[] => {
  engine.runSync(c, { data: Float64Array.from(data), shape }, { accuracy });
  return work(engine);
};

test("plain sums of data that bins hold count nothing", () => {
  expect(runOnce(chain(sum(), sum()), drawn(5000), [5, 1000], "exact")).toEqual([0, 0, 0]);
});

test("blocks count at level f under exact, nodes at every level and accuracy", () => {
  const c = chain(weightedSum(drawn(100)), weightedSum(drawn(100)));
  expect(runOnce(c, drawn(10_000), [100, 100], "reproducible")).toEqual([0, 0, 0]);
  expect(runOnce(c, drawn(10_000), [100, 100], "exact")[0]).toBeGreaterThan(0);
  const [slow] = work(engine);
  const zero = chain(sum(), weightedSum([0.1, 0.1, 0.3, 0.3, 0.1]));
  expect(runOnce(zero, [1, -1, 3, -3, 2 ** -60], [5, 1], "reproducible")).toEqual([slow, 1, 0]);
});
