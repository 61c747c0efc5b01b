/**
 * One suite for every backend that keeps the numeric contract: random chains over random hierarchies give the bits of the
 * reference backend, however the work is cut.
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
import type { WeightsInput } from "../../src/reduce/weights.ts";
import { makePlan, PLAN_LIMITS, type PlanLimits, type PlanRequest } from "../../src/schedule/plan.ts";
import type { Accuracy, NanPolicy, TensorSource, TypedData } from "../../src/types.ts";
import { hex } from "../failing.ts";
import { random } from "../random.ts";

const RUNS = Number(process.env["FOURFOLD_RUNS"] ?? 250);

/** Limits that cut small inputs as others cut gigabytes. */
const TINY: PlanLimits = {
  inlineBytesMax: 64,
  partBytes: 256,
  slowPartBytes: 64,
  partsMax: 4096,
  partsPerWorker: 2,
  filePieceBytes: 512,
  pieceBytes: 512,
  scratchChildrenMax: 8,
};

const folder = mkdtempSync(join(tmpdir(), "fourfold-leaves-"));
afterAll(() => rmSync(folder, { recursive: true }));

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

type Rows = readonly (readonly number[])[];

/** A case whose values are known. */
interface Directed {
  readonly title: string;
  /** The weight matrix. */
  readonly rows: Rows;
  readonly of: (weights: WeightsInput) => Chain;
  readonly tree: (chain: Chain, data: readonly number[]) => Tree;
  readonly data: readonly number[];
  /** The values of each level, innermost first, for each output it has. */
  readonly levels: readonly Rows[];
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

function plan(c: Case, workers: number, limits: PlanLimits, keepAll: boolean, placement: PlanRequest["placement"]) {
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
    placement,
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

type Place = "foreign" | "engine" | "files" | "decoded";

const PLACEMENTS = { foreign: "foreign array", engine: "engine memory", files: "files", decoded: "files" } as const;

/** Leaves in a file: in two stretches, the second first, at odd bytes, where they are read as they lie. */
function resting(data: TypedData, inFile: boolean): TensorSource {
  const path = join(folder, "leaves.bin");
  const half = data.length >> 1;
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const cut = half * data.BYTES_PER_ELEMENT;
  writeFileSync(path, Buffer.concat([Buffer.alloc(3), bytes.subarray(cut), Buffer.alloc(2), bytes.subarray(0, cut)]));
  const fd = openSync(path, "r");
  const segments = [
    { fd, at: 5 + data.byteLength - cut, items: half },
    { fd, at: 3, items: data.length - half },
  ];
  return {
    kind: "fourfold.tensor",
    name: "leaves.bin",
    dtype: dtypeOf(data)!,
    length: data.length,
    shape: undefined,
    offsets: undefined,
    segments: inFile ? segments : undefined,
    read: async (target, first) => target.set(data.subarray(first, first + target.length)),
    close: async () => closeSync(fd),
  };
}

async function agree(c: Case, workers: number, limits: PlanLimits, place: Place, keepAll: boolean, sync: boolean): Promise<void> {
  const backend = backends.get(workers)!;
  const { fitted, strata, dtype, layout } = plan(c, sync ? 0 : workers, limits, keepAll, PLACEMENTS[place]);
  const skip = c.nan === "skip";
  const expected = bits(
    runReference(fitted, c.data).map((level, i) => (keepAll || i === fitted.levels.length - 1 ? level : undefined)),
    skip,
  );
  const used = backend.heaps.bytesUsed;
  let leaves: LeafBlock | undefined;
  let data = c.data;
  if (place === "engine") {
    leaves = backend.heaps.allocateLeaves(data.byteLength);
    data = leaves.block.heap.view(dtype, leaves.block.at, data.length);
    data.set(c.data);
  }
  const source = place === "files" || place === "decoded" ? resting(data, place === "files") : undefined;
  const executable = backend.prepare(fitted, strata, layout, dtype, source && { source, pieceBytes: limits.filePieceBytes });
  try {
    const output = sync ? executable.runSync!(data) : await executable.run(data, {});
    expect(bits(output.levels, skip), describeCase(c)).toEqual(expected);
  } finally {
    executable.close();
    leaves?.free();
    await source?.close();
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
      { numRuns: Math.min(RUNS, 100) }, // the tensor suites have 10,000
    );
  });
});

describe("the wasm backend", () => {
  it("gives the reference's bits on the calling thread", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.boolean(),
        fc.constantFrom<Place>("foreign", "engine"),
        fc.boolean(),
        (seed, keepAll, place, tiny) => agree(draw(seed), 0, tiny ? TINY : PLAN_LIMITS, place, keepAll, true),
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
        (seed, keepAll, workers, partBytes) => agree(draw(seed), workers, { ...TINY, partBytes }, "engine", keepAll, false),
      ),
      { numRuns: RUNS },
    );
  });

  it("gives the reference's bits from files, read or decoded in pieces of any size, on any number of workers", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.boolean(),
        fc.constantFrom(0, ...WORKERS),
        fc.integer({ min: 1, max: 4096 }),
        fc.constantFrom<Place>("files", "decoded"),
        (seed, keepAll, workers, bytes, place) =>
          agree(draw(seed), workers, { ...TINY, partBytes: bytes, filePieceBytes: Math.max(8, bytes) }, place, keepAll, false),
      ),
      { numRuns: RUNS },
    );
  });
});

describe("under skip each output of a weight matrix has its own missing nodes and records (clauses 2 and 10)", () => {
  const NAN = Number.NaN;
  const INF = Number.POSITIVE_INFINITY;
  /** A zero makes NaN of the infinite weight; a skipped child leaves it out. */
  const infiniteWeight: Rows = [
    [1, 1],
    [INF, 1],
  ];
  const leaves = [NAN, 1, 0, 2, 0, 3, 0, 4, NAN, 5, NAN, 6, 0, 7, NAN, NAN];
  /** The same numbers as sums of one leaf or two. */
  const apart = leaves.map((x) => (x === 0 ? [1, -1] : [x]));
  const offsets = [0];
  for (const { length } of apart) offsets.push(offsets.at(-1)! + length);
  const pairs = (n: number): number[] => Array.from({ length: n + 1 }, (_, i) => 2 * i);
  const dense = (c: Chain, data: readonly number[]): Tree => denseTree(c, [2, 2, 2, 2], data.length);
  const ragged =
    (form: "rows" | "records") =>
    (c: Chain, data: readonly number[]): Tree =>
      raggedTree(c, [offsets, pairs(8), pairs(4), pairs(2), pairs(1)], data.length, form);

  const directed: readonly Directed[] = [
    {
      title: "an infinite weight makes NaN in output 1 only, rows",
      rows: infiniteWeight,
      of: (w) => chain(weightedSum(w), sum(), weightedSum("count"), weightedMean("count")),
      tree: dense,
      data: leaves,
      levels: [
        [
          [1, 2, 3, 4, 5, 6, 7, 0],
          [1, NAN, NAN, NAN, 5, 6, NAN, 0],
        ],
        [
          [3, 7, 11, 7],
          [1, 0, 11, 0],
        ],
        [
          [37, 36],
          [1, 22],
        ],
        [[403 / 11], [15]],
      ],
    },
    ...(["rows", "records"] as const).map(
      (form): Directed => ({
        title: `an infinite weight above level f makes NaN in output 1 only, ${form}`,
        rows: infiniteWeight,
        of: (w) => chain(sum(), weightedSum(w), sum(), weightedSum("count"), weightedMean("count")),
        tree: ragged(form),
        data: apart.flat(),
        levels: [
          [leaves.map((x) => (Number.isNaN(x) ? 0 : x))],
          [
            [1, 2, 3, 4, 5, 6, 7, 0],
            [1, NAN, NAN, NAN, 5, 6, NAN, 0],
          ],
          [
            [3, 7, 11, 7],
            [1, 0, 11, 0],
          ],
          [
            [54, 43],
            [1, 22],
          ],
          [[755 / 15], [15]],
        ],
      }),
    ),
    {
      title: "an infinite leaf makes NaN in output 1 only, rows",
      rows: [
        [1, 0],
        [0, 1],
      ],
      of: (w) => chain(weightedSum(w), min(), min(), weightedMean("count")),
      tree: dense,
      data: [1, 2, INF, 3, INF, 4, INF, 5, 3, 4, 5, 6, INF, 1, 9, 9],
      levels: [
        [
          [1, INF, INF, INF, 3, 5, INF, 9],
          [2, NAN, NAN, NAN, 4, 6, NAN, 9],
        ],
        [
          [1, INF, 3, 9],
          [2, NAN, 4, 9],
        ],
        [
          [1, 3],
          [2, 4],
        ],
        [[2], [3.5]],
      ],
    },
    {
      title: "lanes that overflow make NaN in output 1 only, rows",
      rows: [
        [1, 1],
        [1e10, 1e10],
      ],
      of: (w) => chain(weightedSum(w), mean(), weightedSum("count"), sum()),
      tree: dense,
      data: [1, 2, 1e308, -1e308, 1e308, -1e308, 1e308, -1e308, 1, 1, 1, 1, 2, 2, 2, 2],
      levels: [
        [
          [3, 0, 0, 0, 2, 2, 4, 4],
          [3e10, NAN, NAN, NAN, 2e10, 2e10, 4e10, 4e10],
        ],
        [
          [1.5, 0, 2, 4],
          [3e10, NAN, 2e10, 4e10],
        ],
        [
          [6, 24],
          [6e10, 24e10],
        ],
        [[30], [30e10]],
      ],
    },
  ];

  /** Both ways round: the output with the NaNs second, and first. */
  const cases = directed.flatMap((d): Directed[] => [
    d,
    {
      ...d,
      title: d.title.replace("output 1", "output 0"),
      rows: [...d.rows].reverse(),
      levels: d.levels.map((outputs) => [...outputs].reverse()),
    },
  ]);
  const caseOf = ({ rows, of, tree, data }: Directed): Case => {
    const c = of(rows);
    return { chain: c, tree: tree(c, data), data: Float64Array.from(data), nan: "skip", accuracy: "reproducible" };
  };

  for (const d of cases) {
    it(`${d.title}: in the reference`, () => {
      const { chain: c, tree, data, nan, accuracy } = caseOf(d);
      const got = runReference(fit(c, tree, nan, accuracy), data);
      expect(got.map(({ values }) => hex(values))).toEqual(d.levels.map((outputs) => hex(outputs.flat())));
    });

    it(`${d.title}: in the wasm backend, on the calling thread and on workers`, async () => {
      for (const accuracy of ["reproducible", "exact"] as const) {
        const c = { ...caseOf(d), accuracy };
        for (const keepAll of [true, false]) {
          for (const limits of [TINY, PLAN_LIMITS]) await agree(c, 0, limits, "foreign", keepAll, true);
          for (const workers of WORKERS) await agree(c, workers, TINY, "engine", keepAll, false);
        }
      }
    });
  }

  /** A small hierarchy with so many NaNs and infinities that its outputs differ in what is missing. */
  function drawOutputs(seed: number): { readonly rows: Rows; readonly caseOf: (weights: WeightsInput) => Case } {
    const r = random(seed);
    const numbers = (n: number): number[] => Array.from({ length: n }, () => r.pick([0, 0, 1, 1, 2, -1, NAN, INF, -INF, 1e308]));
    const extents = Array.from({ length: 2 + r.int(4) }, () => 1 + r.int(3));
    const at = r.int(extents.length);
    const make = r.pick([weightedSum, weightedMean]);
    const kinds = [sum, mean, min, max, count, variance, spread, () => weightedSum("count"), () => weightedMean("count")];
    const others = extents.map(() => r.pick(kinds)());
    const offsets: number[][] = [];
    let nodes = 2;
    for (const extent of [...extents].reverse()) {
      offsets.unshift(Array.from({ length: nodes + 1 }, (_, node) => node * extent));
      nodes *= extent;
    }
    const form = r.pick(["rows", "records"] as const);
    const data = Float64Array.from(numbers(nodes));
    const accuracy = r.pick(["reproducible", "exact"] as const);
    return {
      rows: Array.from({ length: 2 + r.int(2) }, () => numbers(extents[at]!)),
      caseOf: (weights) => {
        const c = chain(...others.map((other, level) => (level === at ? make(weights) : other)));
        return { chain: c, tree: raggedTree(c, offsets, nodes, form), data, nan: "skip", accuracy };
      },
    };
  }

  it("gives each output the bits of its vector, at every level, in the reference and in the wasm backend", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.boolean(), fc.constantFrom(0, ...WORKERS), async (seed, keepAll, workers) => {
        const { rows, caseOf: of } = drawOutputs(seed);
        const reference = ({ chain: c, tree, data, nan, accuracy }: Case) => runReference(fit(c, tree, nan, accuracy), data);
        const c = of(rows);
        const together = reference(c);
        for (const [r, row] of rows.entries())
          for (const [level, { values, records }] of reference(of(row)).entries()) {
            const { outputs, values: all, records: first } = together[level]!;
            const start = outputs === 1 ? 0 : r * values.length;
            expect(hex(all.subarray(start, start + values.length)), describeCase(c)).toEqual(hex(values));
            if (r === 0) expect(first).toEqual(records);
          }
        await agree(c, workers, TINY, "engine", keepAll, workers === 0);
      }),
      { numRuns: RUNS },
    );
  });
});
