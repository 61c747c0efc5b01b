import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { runReference } from "../../src/backends/reference.ts";
import { chain } from "../../src/reduce/chain.ts";
import { count, max, mean, min, type Reduction, sum, variance, weightedMean, weightedSum } from "../../src/reduce/reductions.ts";
import { type Fitted, fit } from "../../src/reduce/resolve.ts";
import { denseTree, raggedTree } from "../../src/reduce/tree.ts";
import { deal, split, wholeReason } from "../../src/schedule/split.ts";
import type { NanPolicy } from "../../src/types.ts";

function dense(levels: readonly Reduction[], shape: readonly number[], nan: NanPolicy = "propagate"): Fitted {
  const c = chain(...levels);
  return fit(c, denseTree(c, shape, undefined), nan, "fast");
}

/** Pieces as [device, first leaf, last leaf]. */
function told(fitted: Fitted, shares: Record<string, number>): unknown {
  const { pieces, level, rest } = split(fitted, shares);
  return { level, rest: rest?.levels.length, pieces: pieces.map(({ device, first, last }) => [device, first, last]) };
}

/** The outermost values of a split run: each piece and the rest by the reference. */
function inPieces(fitted: Fitted, data: Float64Array, shares: Record<string, number>): Float64Array {
  const { pieces, level, rest } = split(fitted, shares);
  const parts = pieces.map((piece) => runReference(piece.fitted, data.subarray(piece.first, piece.last)).at(-1)!);
  const planes = parts[0]!.outputs;
  const { nodes } = fitted.levels[level]!;
  const merged = new Float64Array(planes * nodes);
  let before = 0;
  for (const { values } of parts) {
    const own = values.length / planes;
    for (let r = 0; r < planes; r++) merged.set(values.subarray(r * own, (r + 1) * own), r * nodes + before);
    before += own;
  }
  if (rest === undefined) return merged;
  return Float64Array.from(
    Array.from({ length: planes }, (_, r) => [...runReference(rest, merged.subarray(r * nodes, (r + 1) * nodes)).at(-1)!.values]).flat(),
  );
}

describe("a split", () => {
  test("cuts at the outermost level that has nodes enough", () => {
    const four = [sum(), sum(), sum(), sum()];
    expect(told(dense(four, [8, 16, 1024, 512]), { wasm: 0.5, webgpu: 0.5 })).toEqual({
      level: 1,
      rest: 2,
      pieces: [
        ["wasm", 0, 2 ** 25],
        ["webgpu", 2 ** 25, 2 ** 26],
      ],
    });
    expect(told(dense(four, [64, 8, 16, 8, 4]), { wasm: 0.25, webgpu: 0.75 })).toEqual({
      level: 3,
      rest: undefined,
      pieces: [
        ["wasm", 0, 16 * 512 * 8],
        ["webgpu", 16 * 512 * 8, 64 * 512 * 8],
      ],
    });
    expect(told(dense([sum()], [10]), { wasm: 0.5, webgpu: 0.5 })).toMatchObject({ level: 0, pieces: [["wasm", 0, 10]] });
  });

  test("cuts ragged rows by their leaves", () => {
    const c = chain(sum());
    const fitted = fit(c, raggedTree(c, [[0, 90, 91, 92, 93, 94, 95, 96, 97, 98, 100]], 100), "propagate", "fast");
    expect(told(fitted, { wasm: 0.5, webgpu: 0.5 })).toMatchObject({
      pieces: [
        ["wasm", 0, 90],
        ["webgpu", 90, 100],
      ],
    });
    expect(deal(fitted, { wasm: 0.5, webgpu: 0.5 })).toEqual({ wasm: 0.9, webgpu: 0.1 });
    expect(deal(fitted, { wasm: 0.02, webgpu: 0.98 })).toEqual({ webgpu: 1 });
  });

  test("leaves a share of less than half a node to the others", () => {
    expect(told(dense([sum()], [10, 3]), { wasm: 0.04, webgpu: 0.96 })).toMatchObject({ pieces: [["webgpu", 0, 30]] });
    expect(told(dense([sum()], [10, 3]), { wasm: 0.97, webgpu: 0.03 })).toMatchObject({ pieces: [["wasm", 0, 30]] });
  });

  test("is refused for one row, and inside a frame whose levels need what lies below their children", () => {
    expect(wholeReason(dense([sum()], [10]))).toBe("it has one row");
    const skip = dense([sum(), sum(), mean()], [4, 100, 10], "skip");
    expect(wholeReason(skip)).toBe("it has one frame, whose levels need the records that are kept below their children");
    expect(wholeReason(dense([sum(), weightedMean("count")], [100, 10]))).toMatch(/^it has one frame/);
    expect(wholeReason(dense([sum(), sum(), mean()], [2, 4, 100, 10], "skip"))).toBeUndefined();
    expect(wholeReason(dense([sum(), sum(), mean()], [4, 100, 10]))).toBeUndefined();
  });

  test("cuts between frames that share their weights for each child", () => {
    const weights = { perNode: Float64Array.from({ length: 40 * 3 }, (_, i) => i) };
    expect(told(dense([weightedSum(weights), sum()], [5, 40, 3]), { a: 0.5, b: 0.5 })).toMatchObject({ level: 1, rest: undefined });
    const own = { perNode: Float64Array.from({ length: 5 * 40 * 3 }, (_, i) => i) };
    expect(told(dense([weightedSum(own), sum()], [5, 40, 3]), { a: 0.5, b: 0.5 })).toMatchObject({ level: 0, rest: 1 });
  });

  test("gives back what the whole gives, to the bit where one contract computes both", () => {
    const reductions = fc.constantFrom("sum", "mean", "max", "min", "variance", "count", "weightedSum", "perNode", "matrix");
    fc.assert(
      fc.property(
        fc.array(reductions, { minLength: 1, maxLength: 4 }),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 5, maxLength: 5 }),
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 3 }),
        fc.constantFrom<NanPolicy>("propagate", "skip"),
        fc.boolean(),
        fc.integer(),
        (kinds, extents, weights, nan, ragged, seed) => {
          let state = seed >>> 0;
          const next = (): number => {
            state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
            return state / 2 ** 32 - 0.5;
          };
          const list = (n: number): Float64Array => Float64Array.from({ length: n }, next);
          const shape = [extents[4]!, ...extents.slice(0, kinds.length).map((extent) => extent * 2)];
          const children = (level: number): number => shape.slice(0, shape.length - level).reduce((all, extent) => all * extent, 1);
          let matrix = false;
          const levels = kinds.map((kind, i): Reduction => {
            const extent = shape[shape.length - 1 - i]!;
            if (kind === "perNode") return weightedSum({ perNode: list(next() > 0 ? children(i) : children(i) / shape[0]!) });
            if (kind === "matrix" && !matrix && !ragged) {
              matrix = true;
              return weightedSum([list(extent), list(extent), list(extent)]);
            }
            if (kind === "weightedSum" && !ragged) return weightedSum(list(extent));
            return { sum, mean, max, min, variance, count }[kind as "sum"]?.() ?? sum();
          });
          const c = chain(...levels);
          // Ragged rows of the dense lengths, but for one child that moves from the second row to the first.
          const rows = children(1);
          const offsets = Uint32Array.from({ length: rows + 1 }, (_, i) => i * shape.at(-1)! + (i === 1 && rows > 1 ? 1 : 0));
          const uniform = kinds
            .slice(1)
            .map((_, i) => Uint32Array.from({ length: children(i + 2) + 1 }, (_, n) => n * shape[shape.length - 2 - i]!));
          const own = levels.every(({ weights: w }, i) => w?.form !== "perNode" || w.values.length === children(i));
          const tree = ragged && own ? raggedTree(c, [offsets, ...uniform], children(0)) : denseTree(c, shape, undefined);
          const fitted = fit(c, tree, nan, "fast");
          fc.pre(wholeReason(fitted) === undefined);
          const data = list(children(0)).map((x) => (x > 0.45 ? Number.NaN : x));
          const all = weights.reduce((sum, w) => sum + w, 0);
          const shares = Object.fromEntries(weights.map((w, i) => [`device ${i}`, w / all]));
          expect([...inPieces(fitted, data, shares)]).toEqual([...runReference(fitted, data).at(-1)!.values]);
        },
      ),
      { numRuns: Number(process.env["FOURFOLD_RUNS"] ?? 150) },
    );
  });
});
