import { describe, expect, test } from "vitest";
import { loadKernelModule } from "../../src/backends/kernels.ts";
import { Heaps } from "../../src/backends/memory.ts";
import { layScratch, type Program, place } from "../../src/backends/program.ts";
import { type Chain, chain } from "../../src/reduce/chain.ts";
import { ExactSum } from "../../src/reduce/exact.ts";
import { laneSum } from "../../src/reduce/lanes.ts";
import { sum, variance, weightedMean, weightedSum } from "../../src/reduce/reductions.ts";
import { fit } from "../../src/reduce/resolve.ts";
import { strataOf } from "../../src/reduce/strata.ts";
import { denseTree, raggedTree, type Tree } from "../../src/reduce/tree.ts";
import type { Accuracy } from "../../src/types.ts";
import { random } from "../random.ts";

const heaps = new Heaps(
  loadKernelModule(),
  2 ** 30,
  () => {},
  () => false,
);

/** The program of a chain over a tree, in one pass; its memory is given back at once. */
function programOf(c: Chain, tree: Tree, accuracy: Accuracy = "fast"): Program {
  const fitted = fit(c, tree, "propagate", accuracy);
  const strata = strataOf(fitted);
  const layout = { phases: [{ from: -1, to: strata.length - 1 }], stored: strata.map((_, s) => s === strata.length - 1) };
  const before = heaps.bytesUsed;
  const { program, blocks } = place(1, fitted, strata, layout, "f64", heaps, heaps.all[0]!);
  for (const block of blocks) heaps.free(block);
  expect(heaps.bytesUsed).toBe(before);
  return program;
}

/** Σ w by the definitions of the contract. */
function exact(row: Float64Array): number {
  const total = new ExactSum();
  for (const w of row) total.add(w);
  return total.value();
}
const lanes = (row: Float64Array): number => laneSum(row.length, (i) => row[i]!);

describe("the sum of a weighted mean's shared weights", () => {
  const { numbers } = random(11);

  test.each([0, 1, 17, 4095, 4096, 4097, 8192, 12_345])("of %i weights is that of the contract, in lanes and exact", (n) => {
    for (const flavour of ["plain", "cancelling", "specials", "integers", "zeros"]) {
      const rows = [numbers(n, flavour), numbers(n, flavour)].map((row) => Float64Array.from(row));
      const one = chain(weightedMean(rows[0]!));
      const two = chain(sum(), weightedMean(rows));
      const [a, b] = rows as [Float64Array, Float64Array];
      for (const { weightSums } of programOf(one, denseTree(one, [n], undefined)).steps) expect(weightSums).toEqual([lanes(a)]);
      for (const { weightSums } of programOf(one, denseTree(one, [n], undefined), "exact").steps) expect(weightSums).toEqual([exact(a)]);
      expect(programOf(two, denseTree(two, [n, 1], undefined)).steps.at(-1)!.weightSums).toEqual([exact(a), exact(b)]);
    }
  });
});

test("a program holds addresses and counts: what is posted to workers does not grow with the input", () => {
  const n = 10_000;
  const offsets = Uint32Array.from({ length: n + 1 }, (_, i) => (i === n ? 2 * n : i));
  const c = chain(weightedSum({ perNode: new Float64Array(2 * n) }), sum());
  const program = programOf(c, raggedTree(c, [offsets], 2 * n));
  expect(JSON.stringify(program).length).toBeLessThan(2000);
  expect(program.steps[0]!.offsetsAt).toBeGreaterThan(0);
});

describe("the scratch of a walker", () => {
  test("has room for each step apart from the others, in cache lines", () => {
    const c = chain(weightedSum([[1], [2], [3]]), variance(), sum());
    const program = programOf(c, denseTree(c, [2, 5000, 3, 1], undefined));
    const { below, aside, bytes } = layScratch(program);
    const starts = [...below.slice(1), ...aside, bytes].sort((x, y) => x - y);
    expect(starts.every((at) => at % 64 === 0)).toBe(true);
    expect(new Set(starts).size).toBe(starts.length);
    expect(program.scratchBytes).toBe(bytes);
    const sizeOf = (at: number): number => starts[starts.indexOf(at) + 1]! - at;
    expect(sizeOf(below[1]!), "three outputs of the 2048 values of a call").toBeGreaterThanOrEqual(8 * 3 * Math.floor(2048 / 3));
    expect(sizeOf(below[2]!), "three outputs of a node of 5000").toBeGreaterThanOrEqual(8 * 3 * 5000);
    expect(sizeOf(aside[1]!), "the moments of 1024 units").toBeGreaterThanOrEqual(8 * 6 * 1024);
  });

  test("does not multiply outputs with the children of a call", () => {
    const c = chain(weightedSum(Array.from({ length: 1024 }, () => [1])), sum());
    expect(programOf(c, denseTree(c, [64, 1], undefined)).scratchBytes).toBeLessThan(18 << 20);
  });
});
