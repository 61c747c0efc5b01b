import { describe, expect, test } from "vitest";
import { type Chain, chain } from "../../src/reduce/chain.ts";
import { defineReduction, max, mean, sum, weightedSum } from "../../src/reduce/reductions.ts";
import { fit } from "../../src/reduce/resolve.ts";
import { strataOf } from "../../src/reduce/strata.ts";
import { denseTree, raggedTree, type Tree } from "../../src/reduce/tree.ts";
import { explain, makePlan, type PlanData, type PlanRequest } from "../../src/schedule/plan.ts";

/** The plan of a chain over a tree of float32, for 4 workers and data in engine memory unless told otherwise. */
function planOf(c: Chain, tree: Tree, told: Partial<PlanRequest> = {}): PlanData {
  const fitted = fit(c, tree, "propagate", told.accuracy ?? "fast");
  return makePlan({
    backend: "wasm",
    reason: "a test",
    form: tree.form,
    accuracy: "fast",
    nan: "propagate",
    dtype: "f32",
    bytesPerLeaf: 4,
    leaves: tree.leaves,
    shape: tree.frames,
    levels: fitted.levels.map(({ name, reduction, nodes, extent }) => ({
      name,
      reduction: reduction.name,
      nodes,
      extent,
      callerOnly: reduction.kind === "user",
    })),
    strata: strataOf(fitted),
    keep: fitted.levels.map((_, i) => i === fitted.levels.length - 1),
    workers: 4,
    placement: "engine memory",
    ...told,
  });
}

const phasesOf = (plan: PlanData): unknown[] =>
  plan.phases.map(({ from, to, where, parts }) => ({ from, to, where, parts: parts.length - 1 }));
const four = chain(
  weightedSum(new Float64Array(512)),
  weightedSum(new Float64Array(1024)),
  weightedSum(new Float64Array(16)),
  weightedSum(new Float64Array(8)),
);

describe("a plan", () => {
  test("is a plain value: this one", () => {
    expect(planOf(chain(sum(), mean()), denseTree(chain(sum(), mean()), [2, 3, 4], undefined))).toEqual({
      backend: "wasm",
      reason: "a test",
      form: "rows",
      accuracy: "fast",
      nan: "propagate",
      dtype: "f32",
      bytesPerLeaf: 4,
      leaves: 24,
      shape: [2],
      levels: [
        { name: "f", reduction: "sum", nodes: 6, extent: 4, callerOnly: false },
        { name: "g", reduction: "mean", nodes: 2, extent: 3, callerOnly: false },
      ],
      keep: [false, true],
      workers: 4,
      placement: "engine memory",
      phases: [{ from: -1, to: 1, where: "caller", parts: Uint32Array.of(0, 2) }],
      stored: [false, true],
    });
  });

  test("runs small input on the calling thread in one pass", () => {
    expect(phasesOf(planOf(four, denseTree(four, [8, 16, 1024, 512], undefined), { workers: 0 }))).toEqual([
      { from: -1, to: 1, where: "caller", parts: 128 },
      { from: 1, to: 3, where: "caller", parts: 1 },
    ]);
    const tiny = chain(sum(), sum());
    expect(phasesOf(planOf(tiny, denseTree(tiny, [512, 512], undefined)))).toEqual([{ from: -1, to: 1, where: "caller", parts: 1 }]);
  });

  test("cuts the normal case, 8 × 16 × 1024 × 512, for the workers at the highest level that has parts enough", () => {
    const plan = planOf(four, denseTree(four, [8, 16, 1024, 512], undefined));
    expect(phasesOf(plan)).toEqual([
      { from: -1, to: 1, where: "workers", parts: 128 },
      { from: 1, to: 3, where: "caller", parts: 1 },
    ]);
    expect(plan.stored).toEqual([false, true, false, true]);
  });

  test("cuts one row longer than a block at its blocks", () => {
    const c = chain(sum());
    const plan = planOf(c, denseTree(c, [2 ** 24], undefined));
    expect(phasesOf(plan)).toEqual([
      { from: -1, to: 0, where: "workers", parts: 32 },
      { from: 0, to: 1, where: "caller", parts: 1 },
    ]);
    expect(plan.stored).toEqual([true, true]);
  });

  test("stores the levels that are kept, and the children of very large nodes", () => {
    const c = chain(sum(), mean(), max());
    const keep = planOf(c, denseTree(c, [2, 3, 4], undefined), { keep: [true, false, true] });
    expect(keep.stored).toEqual([true, false, true]);
    const wide = planOf(c, denseTree(c, [1, 100_000, 4], undefined), { workers: 0 });
    expect(wide.phases.map(({ from, to }) => [from, to])).toEqual([
      [-1, 0],
      [0, 2],
    ]);
  });

  test("reads a foreign array in pieces that stay in the cache, on the calling thread", () => {
    const c = chain(sum(), sum());
    const plan = planOf(c, denseTree(c, [1024, 1024], undefined), { placement: "foreign array" });
    expect(phasesOf(plan)).toEqual([
      { from: -1, to: 0, where: "caller", parts: 16 },
      { from: 0, to: 1, where: "caller", parts: 1 },
    ]);
  });

  test("keeps a reduction without a module on the calling thread, and the levels inside it on workers", () => {
    const mine = defineReduction<number>({ name: "mine", init: () => 0, add: (s) => s, merge: (s) => s, finish: (s) => s });
    const c = chain(sum(), sum(), mine());
    expect(phasesOf(planOf(c, denseTree(c, [64, 64, 1024], undefined)))).toEqual([
      { from: -1, to: 1, where: "workers", parts: 32 },
      { from: 1, to: 2, where: "caller", parts: 1 },
    ]);
    const inner = chain(mine(), sum());
    expect(planOf(inner, denseTree(inner, [1024, 1024], undefined)).phases[0]).toMatchObject({ from: -1, to: 0, where: "caller" });
  });

  test("lets the calling thread breathe: its parts are small where the work is large or slow", () => {
    const c = chain(sum(), sum());
    const quick = planOf(c, denseTree(c, [4096, 1024], undefined), { workers: 0 });
    expect(phasesOf(quick)[0]).toEqual({ from: -1, to: 0, where: "caller", parts: 8 }); // 2 MiB each
    const m = chain(mean(), sum());
    const slow = planOf(m, denseTree(m, [512, 512], undefined), { workers: 0, accuracy: "exact" });
    expect(phasesOf(slow)[0]).toEqual({ from: -1, to: 0, where: "caller", parts: 16 }); // 64 KiB each
  });

  test("counts the outputs of a weight matrix among what a pass keeps of a large node's children", () => {
    const c = chain(weightedSum([[1], [2], [3], [4]]), sum());
    const passes = (children: number): unknown[] =>
      planOf(c, denseTree(c, [1, children, 1], undefined), { workers: 0 }).phases.map(({ from, to }) => [from, to]);
    expect(passes(16_384)).toEqual([[-1, 1]]);
    expect(passes(16_385)).toEqual([
      [-1, 0],
      [0, 1],
    ]);
  });

  test("is made from extents, not unit by unit, where all nodes are alike", () => {
    const c = chain(sum(), sum());
    const plan = planOf(c, denseTree(c, [2 ** 31, 1, 0], undefined), { placement: "foreign array" });
    expect(phasesOf(plan)).toEqual([{ from: -1, to: 1, where: "caller", parts: 1 }]);
    const many = planOf(c, denseTree(c, [2 ** 19, 64, 64], undefined), { placement: "foreign array" });
    expect(phasesOf(many)).toEqual([{ from: -1, to: 1, where: "caller", parts: 32_768 }]);
  });

  test("of nothing has a pass over nothing", () => {
    const c = chain(sum(), sum());
    expect(phasesOf(planOf(c, denseTree(c, [0, 0], undefined)))).toEqual([{ from: -1, to: 1, where: "caller", parts: 1 }]);
    expect(phasesOf(planOf(c, raggedTree(c, [[0], [0]], 0)))).toEqual([{ from: -1, to: 1, where: "caller", parts: 1 }]);
  });
});

describe("explain", () => {
  test("tells a plan under the five steps of the article", () => {
    expect(explain(planOf(four, denseTree(four, [8, 16, 1024, 512], undefined)))).toBe(
      `init        67,108,864 f32 values (256 MiB) as rows, in engine memory
            backend wasm: a test
distribute  128 parts on 4 workers
            1 part on the calling thread
process     f: weightedSum over 131,072 nodes of 512
aggregate   g: weightedSum over 128 nodes of 1,024 (in the same pass)
            h: weightedSum over 8 nodes of 16
            k: weightedSum over 1 node of 8
output      one number, accuracy fast, nan propagate`,
    );
  });

  test("tells of ragged rows, frames, and reductions that stay on the calling thread", () => {
    const mine = defineReduction<number>({ name: "mine", init: () => 0, add: (s) => s, merge: (s) => s, finish: (s) => s });
    const c = chain({ sensor: sum(), site: mine() });
    expect(
      explain(
        planOf(
          c,
          raggedTree(
            c,
            [
              [0, 1, 5, 6],
              [0, 1, 3],
            ],
            6,
          ),
        ),
      ),
    ).toBe(
      `init        6 f32 values (24 bytes) as rows, in engine memory
            backend wasm: a test
distribute  1 part on the calling thread
process     sensor: sum over 3 nodes
aggregate   site: mine over 2 nodes (in the same pass; on the calling thread: the reduction has no module)
output      shape [2], accuracy fast, nan propagate`,
    );
  });

  test("tells of a chain of one level that nothing is left to aggregate", () => {
    expect(explain(planOf(chain(sum()), denseTree(chain(sum()), [3], undefined)))).toContain("\naggregate   nothing left\n");
  });
});
