/**
 * One input in many layouts: workers, parts, micro-batches, orders of arrival, placements and threads differ, and the bytes do not
 * (contract clause 1). What they must be is told by test/oracle.py, so every Node that runs this file is held to the same bytes.
 */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chain, createEngine, type Engine, mean, sum, variance, weightedMean, weightedSum } from "../src/index.ts";
import { hex } from "./failing.ts";
import { ask, type Question } from "./oracle.ts";
import { type Random, random } from "./random.ts";
import { type Case, mergedState } from "./states.ts";

/** Layouts of each form of input. */
const LAYOUTS = Math.ceil(Number(process.env["FOURFOLD_RUNS"] ?? 200) / 2);
const LONG = { timeout: 120_000 + 30 * LAYOUTS };

const WORKERS = [0, 1, 2, 3];
let engines: Engine[];
beforeAll(async () => {
  engines = await Promise.all(WORKERS.map((workers) => createEngine({ workers })));
});
afterAll(() => Promise.all(engines.map((engine) => engine.close())));

const sha256 = (lines: readonly string[]): string => createHash("sha256").update(lines.join("\n")).digest("hex");

/** Numbers that a sum in another order gets wrong at once. */
const hard = (r: Random, n: number): Float64Array => Float64Array.from({ length: n }, () => (r.next() - 0.5) * 2 ** (r.int(140) - 70));

/** Where 0 … n may be cut into consecutive pieces. */
function cuts(r: Random, n: number): number[] {
  const at = new Set([0, n]);
  for (let k = r.int(Math.min(n, 6)); k > 0; k--) at.add(r.int(n));
  return [...at].sort((a, b) => a - b);
}

function shuffle<T>(r: Random, list: T[]): T[] {
  for (let i = list.length - 1; i > 0; i--) {
    const j = r.int(i + 1);
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
  return list;
}

describe("rows", () => {
  // Frames of two groups of three rows, one row of them longer than a block.
  const FRAMES = 24;
  const lengths = [5, 16, 4100, 0, 33, 700];
  const perFrame = lengths.reduce((a, b) => a + b);
  const r = random(7);
  const data = hard(r, FRAMES * perFrame);
  const weights = hard(r, perFrame);
  const outer = [3, 1 / 3];
  const levels = [weightedSum({ perNode: weights }), mean(), weightedSum(outer)];
  const offsetsOf = (frames: number): Uint32Array[] => {
    const rows = [0];
    for (let f = 0; f < frames; f++) for (const length of lengths) rows.push(rows.at(-1)! + length);
    const groups = Array.from({ length: 2 * frames + 1 }, (_, i) => 3 * i);
    const whole = Array.from({ length: frames + 1 }, (_, i) => 2 * i);
    return [rows, groups, whole].map((list) => Uint32Array.from(list));
  };
  let expected: string;
  beforeAll(async () => {
    const all = offsetsOf(FRAMES).map((list) => Array.from(list));
    const repeat = (w: ArrayLike<number>, n: number): string[] => Array.from({ length: n }, () => hex(w)).flat();
    const question: Question = {
      levels: [
        { kind: "weightedSum", ddof: 0, offsets: all[0]!, weights: repeat(weights, FRAMES) },
        { kind: "mean", ddof: 0, offsets: all[1]!, weights: null },
        { kind: "weightedSum", ddof: 0, offsets: all[2]!, weights: repeat(outer, FRAMES) },
      ],
      leaves: hex(data),
      form: "rows",
      nan: "propagate",
      accuracy: "reproducible",
    };
    const [answer] = (await ask([question])) as string[][][];
    expected = sha256(answer!.at(-1)!);
  });

  test("in any micro-batches, in any order, on any number of workers", LONG, async () => {
    for (let seed = 0; seed < LAYOUTS; seed++) {
      const layout = random(1000 + seed);
      const at = cuts(layout, FRAMES);
      const batches = shuffle(
        layout,
        at.slice(1).map((to, i) => ({ from: at[i]!, to })),
      );
      const values = new Float64Array(FRAMES);
      await Promise.all(
        batches.map(async ({ from, to }) => {
          const engine = layout.pick(engines);
          const slice = data.subarray(from * perFrame, to * perFrame);
          let leaves: Float64Array = slice;
          if (layout.int(2)) {
            const tensor = engine.tensor([slice.length], "f64");
            tensor.data.set(slice);
            leaves = tensor.data as Float64Array;
          }
          const own = Float64Array.from({ length: slice.length }, (_, i) => weights[i % perFrame]!);
          const c = chain(weightedSum({ perNode: own }), mean(), levels[2]!);
          const result = await engine.run(c, { data: leaves, offsets: offsetsOf(to - from) }, { accuracy: "reproducible" });
          values.set(result.values, from);
        }),
      );
      expect(sha256(hex(values)), `layout ${seed}`).toBe(expected);
    }
  });
});

/** SHA-256 of the state of all records: what one Node writes, every other writes. */
const STATE = "169700b5aeaee241bd8b03f0091807e5cc8633dd79287e8103d7a64361af5741";

describe("records", () => {
  const RECORDS = 3000;
  const r = random(11);
  const values = hard(r, RECORDS);
  const weights = Float64Array.from({ length: RECORDS }, () => r.int(1000) / 8);
  const region = Array.from({ length: RECORDS }, () => `region ${r.int(4)}`);
  const site = Array.from({ length: RECORDS }, () => r.int(20));
  let expected: string;
  beforeAll(async () => {
    // Leaves in order of key, as the oracle takes them.
    const order = Array.from(values, (_, i) => i).sort((a, b) =>
      region[a]! < region[b]! ? -1 : region[a]! > region[b]! ? 1 : site[a]! - site[b]!,
    );
    const starts = (same: (a: number, b: number) => boolean): number[] =>
      order.flatMap((record, i) => (i > 0 && same(record, order[i - 1]!) ? [] : [i])).concat(RECORDS);
    const sites = starts((a, b) => region[a] === region[b] && site[a] === site[b]);
    const regions = starts((a, b) => region[a] === region[b]);
    const question: Question = {
      levels: [
        { kind: "weightedMean", ddof: 0, offsets: sites, weights: hex(order.map((i) => weights[i]!)) },
        { kind: "variance", ddof: 0, offsets: regions.map((at) => sites.indexOf(at)), weights: null },
        { kind: "sum", ddof: 0, offsets: [0, regions.length - 1], weights: null },
      ],
      leaves: hex(order.map((i) => values[i]!)),
      form: "records",
      nan: "propagate",
      accuracy: "reproducible",
    };
    const [answer] = (await ask([question])) as string[][][];
    expected = sha256(answer!.flat());
  });

  test("in any order of arrival, on any number of workers", LONG, async () => {
    for (let seed = 0; seed < LAYOUTS; seed++) {
      const layout = random(5000 + seed);
      const order = shuffle(
        layout,
        Array.from(values, (_, i) => i),
      );
      const c = chain({ site: weightedMean({ perNode: order.map((i) => weights[i]!) }), region: variance(), all: sum() });
      const input = {
        values: order.map((i) => values[i]!),
        keys: { region: order.map((i) => region[i]!), site: order.map((i) => site[i]!) },
      };
      const result = await layout.pick(engines).run(c, input, { keep: "all" });
      const bytes = ["site", "region", "all"].flatMap((level) => hex(Array.from(result.level(level), ({ value }) => value)));
      expect(sha256(bytes), `layout ${seed}`).toBe(expected);
    }
  });

  test("as states of any batches, merged in any tree: one result, and one set of bytes", LONG, async () => {
    const leaf = weightedMean({ perNode: [] });
    const whole: Case = {
      title: "records of four regions",
      levels: [leaf, variance(), sum()],
      leafOfRun: weightedMean({ perNode: weights }),
      options: { keys: ["region", "site"], by: [["region", "site"], ["region"], []] },
      records: { values, keys: { region, site }, weights },
    };
    for (let seed = 0; seed < LAYOUTS; seed++) {
      const state = mergedState(random(9000 + seed), whole);
      const result = state.finish({ keep: "all" });
      const told = ["f", "g", "h"].flatMap((level) => hex(Array.from(result.level(level), ({ value }) => value)));
      expect(sha256(told), `layout ${seed}`).toBe(expected);
      expect(createHash("sha256").update(state.encode()).digest("hex"), `layout ${seed}`).toBe(STATE);
    }
  });
});
