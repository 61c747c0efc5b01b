/**
 * One suite for every backend that keeps the numeric contract: random chains over random hierarchies give the bits of the
 * reference backend, however the work is cut.
 */
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import type { LeafBlock } from "../../src/backends/memory.ts";
import { runReference } from "../../src/backends/reference.ts";
import { loadTfjs } from "../../src/backends/tfjs.ts";
import { WasmBackend } from "../../src/backends/wasm.ts";
import { CONTRACT_F64, errorBound } from "../../src/reduce/bound.ts";
import { type Chain, chain } from "../../src/reduce/chain.ts";
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
import { builtIn, fit } from "../../src/reduce/resolve.ts";
import type { LevelValues } from "../../src/reduce/result.ts";
import { strataOf } from "../../src/reduce/strata.ts";
import { denseTree, dtypeOf, raggedTree, type Tree } from "../../src/reduce/tree.ts";
import { makePlan, PLAN_LIMITS, type PlanLimits } from "../../src/schedule/plan.ts";
import type { Accuracy, NanPolicy, TypedData } from "../../src/types.ts";
import { random } from "../random.ts";

const RUNS = Number(process.env["FOURFOLD_RUNS"] ?? 400);

/** Limits that cut small inputs as others cut gigabytes. */
const TINY: PlanLimits = {
  inlineBytesMax: 64,
  partBytes: 256,
  slowPartBytes: 64,
  partsMax: 4096,
  partsPerWorker: 2,
  pieceBytes: 512,
  scratchChildrenMax: 8,
};

const WORKERS = [1, 2, 3, 8];
const backends = new Map(
  [0, ...WORKERS].map((workers) => [
    workers,
    new WasmBackend({ workers, memoryBytesMax: 2 ** 30, runsMax: 64, workerUrl: undefined, reclaim: () => false }),
  ]),
);
afterAll(() => Promise.all([...backends.values()].map((backend) => backend.close())));

const spread = defineReduction({
  name: "spread",
  init: () => [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  add: ([lo, hi], x) => [Math.min(lo!, x), Math.max(hi!, x)],
  merge: (a, b) => [Math.min(a[0]!, b[0]!), Math.max(a[1]!, b[1]!)],
  finish: ([lo, hi]) => hi! - lo!,
  orderFree: true,
});

interface Case {
  readonly chain: Chain;
  readonly tree: Tree;
  readonly data: TypedData;
  readonly nan: NanPolicy;
  readonly accuracy: Accuracy;
}

const KINDS = ["sum", "weightedSum", "mean", "weightedMean", "min", "max", "count", "variance", "user"];
const FLAVOURS = ["plain", "cancelling", "specials", "integers", "zeros"];

/** A case from a seed: everything about it is drawn from one generator. */
function draw(seed: number): Case {
  const r = random(seed);
  const depth = 1 + r.int(4);
  const form = r.pick(["dense", "dense", "ragged", "records"]);
  const long = r.int(6) === 0; // a level f of rows longer than a block
  const extents = Array.from({ length: depth }, (_, i) =>
    i === 0 ? (long ? 4000 + r.int(5000) : r.pick([0, 1, 2, 3, 7, 16, 17, 40, 130])) : r.pick([0, 1, 2, 3, 5, long ? 2 : 12]),
  );
  const named = (reductions: readonly Reduction[]): Chain => chain(...reductions);
  const placeholder = named(extents.map(() => sum()));
  const frames = form === "dense" ? r.pick([[], [], [3], [2, 2]]) : [];
  let tree: Tree;
  if (form === "dense") tree = denseTree(placeholder, [...frames, ...[...extents].reverse()], undefined);
  else {
    const offsets: number[][] = [];
    let nodes = 1 + r.int(4);
    for (let i = depth - 1; i >= 0; i--) {
      const o = [0];
      for (let n = 0; n < nodes; n++) o.push(o[n]! + (i === 0 && long ? r.int(9000) : r.int(2 * extents[i]! + 2)));
      offsets.unshift(o);
      nodes = o.at(-1)!;
    }
    tree = raggedTree(
      placeholder,
      r.int(3) === 0 ? offsets.slice(0, depth - 1) : offsets,
      offsets.length === depth ? offsets[0]!.at(-1)! : 0,
      form === "records" ? "records" : "rows",
    );
  }
  let matrices = 0;
  const reductions = tree.levels.map((level) => {
    const kind = r.pick(KINDS);
    if (kind === "user") return spread();
    if (kind === "variance") return variance({ ddof: r.int(2) });
    if (kind === "weightedSum" || kind === "weightedMean") {
      const make = kind === "weightedSum" ? weightedSum : weightedMean;
      const flavour = r.pick(["plain", "plain", "integers", "cancelling"]);
      const forms = [
        "perNode",
        "count",
        ...(level.extent === undefined ? [] : ["shared", "shared", ...(matrices === 0 ? ["matrix"] : [])]),
      ];
      switch (r.pick(forms)) {
        case "shared":
          return make(r.numbers(level.extent!, flavour));
        case "matrix":
          matrices++;
          return make(Array.from({ length: 1 + r.int(3) }, () => r.numbers(level.extent!, flavour)));
        case "count":
          return make("count");
        default: {
          const frame = tree.frames.reduce((a, b) => a * b, 1);
          const one = form === "dense" && frame > 0 && r.int(2) === 0 ? level.children / frame : level.children;
          return make({ perNode: r.numbers(one, flavour) });
        }
      }
    }
    return { sum, mean, min, max, count }[kind as "sum"]();
  });
  const named2 = named(reductions);
  const data = r.data(tree.leaves, r.pick(FLAVOURS));
  return {
    chain: named2,
    tree: { ...tree, levels: tree.levels },
    data,
    nan: r.pick(["propagate", "skip"]),
    accuracy: r.pick(["reproducible", "reproducible", "exact"]),
  };
}

function plan(c: Case, workers: number, limits: PlanLimits, keepAll: boolean, foreign: boolean) {
  const fitted = fit(c.chain, c.tree, c.nan, c.accuracy);
  const strata = strataOf(fitted);
  const dtype = dtypeOf(c.data)!;
  const last = fitted.levels.length - 1;
  const layout = makePlan({
    backend: "wasm",
    reason: "test",
    form: c.tree.form,
    accuracy: c.accuracy,
    nan: c.nan,
    dtype,
    bytesPerLeaf: c.data.BYTES_PER_ELEMENT,
    leaves: c.tree.leaves,
    shape: c.tree.frames,
    levels: fitted.levels.map((level) => ({
      name: level.name,
      reduction: level.reduction.name,
      nodes: level.nodes,
      extent: level.extent,
      callerOnly: builtIn(level) === undefined,
    })),
    strata,
    keep: fitted.levels.map((_, i) => keepAll || i === last),
    workers,
    placement: foreign ? "foreign array" : "engine memory",
    limits,
  });
  return { fitted, strata, dtype, layout };
}

/** The bits of kept levels, with the nodes below each where they are told. */
function bits(levels: readonly (LevelValues | undefined)[], skip: boolean): string[] {
  const hex = (values: Float64Array): string => Buffer.from(values.slice().buffer).toString("hex");
  return levels.map((level) =>
    level === undefined ? "not kept" : `${level.outputs}: ${hex(level.values)}${skip && level.records ? ` ${hex(level.records)}` : ""}`,
  );
}

function describeCase({ chain: { levels }, tree, data, nan, accuracy }: Case): string {
  const shape = tree.levels
    .map(({ name, nodes, children, extent }) => `${name}: ${children} in ${nodes} (${extent ?? "ragged"})`)
    .join(", ");
  return `${levels.map(({ reduction }) => `${reduction.name}${reduction.weights ? ` ${reduction.weights.form}` : ""}`).join(" → ")} over ${shape}, ${tree.form} ${data.constructor.name} ${nan} ${accuracy}`;
}

async function agree(
  seed: number,
  workers: number,
  limits: PlanLimits,
  placement: "foreign" | "engine",
  keepAll: boolean,
  sync: boolean,
): Promise<void> {
  const c = draw(seed);
  const backend = backends.get(workers)!;
  const { fitted, strata, dtype, layout } = plan(c, sync ? 0 : workers, limits, keepAll, placement === "foreign");
  const skip = c.nan === "skip";
  const expected = bits(
    runReference(fitted, c.data).map((level, i) => (keepAll || i === fitted.levels.length - 1 ? level : undefined)),
    skip,
  );
  const used = backend.heaps.bytesUsed;
  let leaves: LeafBlock | undefined;
  let data = c.data;
  if (placement === "engine") {
    leaves = backend.heaps.allocateLeaves(data.byteLength);
    data = leaves.block.heap.view(dtype, leaves.block.at, data.length);
    data.set(c.data);
  }
  const executable = backend.prepare(fitted, strata, layout, dtype);
  try {
    const output = sync ? executable.runSync!(data) : await executable.run(data, {});
    expect(bits(output.levels, skip), describeCase(c)).toEqual(expected);
  } finally {
    executable.close();
    leaves?.free();
  }
  expect(backend.heaps.bytesUsed, "memory is given back").toBe(used);
}

describe("the tfjs-cpu backend", () => {
  it("stays within its certified bound of the reference", async () => {
    const tensors = await loadTfjs("tfjs-cpu");
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const c = { ...draw(seed), accuracy: "fast" as const };
        const fitted = fit(c.chain, c.tree, c.nan, c.accuracy);
        fc.pre(fitted.levels.every((level) => builtIn(level) !== undefined));
        // With a matrix under skip, tensors decide for each output which nodes are missing; the contract's backends by output 0 (clause 10).
        fc.pre(c.nan !== "skip" || fitted.outputs === undefined);
        const outermost = (await tensors.run(fitted, c.data, []))!.at(-1)!;
        const reference = runReference(fitted, c.data).at(-1)!;
        expect(outermost.outputs).toBe(reference.outputs);
        // Both are near the real value: what they differ by is at most the sum of their bounds.
        const bounds = errorBound(fitted, c.data, tensors.arithmetic);
        const slack = errorBound(fitted, c.data, CONTRACT_F64);
        reference.values.forEach((value, i) => {
          const bound = bounds[i]! + slack[i]!;
          if (bound < Number.POSITIVE_INFINITY)
            expect(Math.abs(outermost.values[i]! - value), describeCase(c)).toBeLessThanOrEqual(bound * (1 + 1e-15));
        });
      }),
      { numRuns: RUNS },
    );
  });
});

describe("the wasm backend", () => {
  it("gives the reference's bits on the calling thread", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.boolean(),
        fc.constantFrom<"foreign" | "engine">("foreign", "engine"),
        fc.boolean(),
        (seed, keepAll, placement, tiny) => agree(seed, 0, tiny ? TINY : PLAN_LIMITS, placement, keepAll, true),
      ),
      { numRuns: RUNS },
    );
  });

  it("gives the reference's bits on 1, 2, 3 and 8 workers with parts of any size", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.boolean(),
        fc.constantFrom(...WORKERS),
        fc.integer({ min: 1, max: 4096 }),
        (seed, keepAll, workers, partBytes) => agree(seed, workers, { ...TINY, partBytes }, "engine", keepAll, false),
      ),
      { numRuns: RUNS },
    );
  });
});
