/**
 * Random chains and the flights against test/oracle.py: the contract a second time, by another hand in another language, on Python's
 * `fractions`. What the two share is the text of the contract.
 */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadSpec } from "../src/files/index.ts";
import {
  chain,
  count,
  createEngine,
  type Engine,
  type Input,
  max,
  mean,
  min,
  type Reduction,
  sum,
  type TypedData,
  variance,
  type WeightsInput,
  weightedMean,
  weightedSum,
} from "../src/index.ts";
import { ROOT } from "./child.ts";
import { hex } from "./failing.ts";
import { query } from "./files/fixture.ts";
import { ask, type Question } from "./oracle.ts";
import { type Random, random } from "./random.ts";

const CASES = Number(process.env["FOURFOLD_RUNS"] ?? 300);

/** Cases that are asked at one go: their text is one string. */
const AT_ONCE = 500;

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ workers: 2 });
});
afterAll(() => engine.close());

const KINDS = { sum, mean, min, max, count, variance, weightedSum, weightedMean };

interface Case {
  readonly reductions: readonly Reduction[];
  readonly input: Input;
  /** One question for each output of a weight matrix. */
  readonly questions: readonly Question[];
}

const FLAVOURS = ["plain", "plain", "cancelling", "specials", "integers", "zeros"];

function draw(seed: number): Case {
  const r = random(seed);
  const depth = 1 + r.int(4);
  const form = r.pick(["dense", "ragged", "keyed"] as const);
  const long = r.int(5) === 0; // a row longer than a block
  const top = 1 + r.int(3); // frames, or outermost nodes
  // The offsets of each level, innermost first, from the outermost inwards.
  const levels: number[][] = [];
  const extents: number[] = [];
  for (let level = depth - 1, nodes = top; level >= 0; level--) {
    const rows = level === 0 && long && nodes <= 12;
    const extent = rows ? 4090 + r.int(4200) : nodes > 40 ? 1 : r.pick([0, 1, 1, 2, 3, 4, 7, 17]);
    const children = { dense: () => extent, keyed: () => 1 + r.int(rows ? 3000 : 5), ragged: () => r.int(2 * extent + 1) }[form];
    const cuts = [0];
    for (let node = 0; node < nodes; node++) cuts.push(cuts[node]! + children());
    levels.unshift(cuts);
    extents.push(extent);
    nodes = cuts.at(-1)!;
  }
  const leaves = r.data(levels[0]!.at(-1)!, r.pick(FLAVOURS));
  const nan = r.pick(["propagate", "skip"] as const);
  const accuracy = r.pick(["reproducible", "reproducible", "exact"] as const);

  let matrix: number | undefined;
  const weights: (readonly (Float64Array | "count")[] | undefined)[] = []; // for each level, one list of weights of all children for each output
  const reductions = levels.map((cuts, level): Reduction => {
    const kind = r.pick(Object.keys(KINDS) as (keyof typeof KINDS)[]);
    weights.push(undefined);
    if (kind === "variance") return variance({ ddof: r.int(2) });
    if (kind !== "weightedSum" && kind !== "weightedMean") return KINDS[kind]();
    const lengths = new Set(form === "dense" ? [extents[depth - 1 - level]!] : cuts.slice(1).map((cut, i) => cut - cuts[i]!));
    const shareable = lengths.size === 1 && !(form === "keyed" && level === 0);
    const own = r.pick(["perNode", "count", ...(shareable ? ["shared", "shared", ...(matrix === undefined ? ["matrix"] : [])] : [])]);
    if (own === "count") {
      weights[level] = ["count"];
      return KINDS[kind]("count");
    }
    const flavour = r.pick(["plain", "plain", "cancelling", "integers"]);
    const children = cuts.at(-1)!;
    if (own === "perNode") {
      const values = r.numbers(children, flavour);
      weights[level] = [values];
      return KINDS[kind]({ perNode: values });
    }
    const [extent] = lengths;
    const rows = Array.from({ length: own === "matrix" ? 1 + r.int(3) : 1 }, () => r.numbers(extent!, flavour));
    if (own === "matrix") matrix = level;
    weights[level] = rows.map((row) => Float64Array.from({ length: children }, (_, i) => row[i % extent!]!));
    return KINDS[kind]((own === "matrix" ? rows : rows[0]) as WeightsInput);
  });

  const outputs = matrix === undefined ? 1 : weights[matrix]!.length;
  const questions = Array.from(
    { length: outputs },
    (_, output): Question => ({
      levels: reductions.map(({ kind, ddof = 0 }, level) => {
        const all = weights[level];
        const mine = all?.[all.length > 1 ? output : 0];
        return { kind, ddof, offsets: levels[level]!, weights: mine === undefined ? null : mine === "count" ? "count" : hex(mine) };
      }),
      leaves: hex(leaves),
      form: form === "keyed" ? "records" : "rows",
      nan,
      accuracy,
    }),
  );

  if (form === "dense") return { reductions, input: { data: leaves, shape: [top, ...extents] }, questions };
  if (form === "ragged") return { reductions, input: { data: leaves, offsets: levels.map((cuts) => Uint32Array.from(cuts)) }, questions };
  return { ...shuffled(leaves, levels, reductions, r), questions };
}

/** The leaves as records in a random order, each with its node's index at each level as its keys; weights of leaves travel with them. */
function shuffled(
  leaves: TypedData,
  levels: readonly (readonly number[])[],
  reductions: readonly Reduction[],
  r: Random,
): Pick<Case, "reductions" | "input"> {
  const order = Array.from(leaves, (_, i) => i);
  for (let i = order.length - 1; i > 0; i--) {
    const j = r.int(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  const keys: Record<string, number[]> = {};
  let nodeOf = order;
  for (const [level, cuts] of levels.entries()) {
    const parent = cuts.slice(1).flatMap((cut, node) => new Array<number>(cut - cuts[node]!).fill(node));
    nodeOf = nodeOf.map((child) => parent[child]!);
    keys[`level${level}`] = nodeOf;
  }
  const [first, ...outer] = reductions;
  const weights = first!.weights?.form === "perNode" ? first!.weights.values : undefined;
  return {
    reductions: weights ? [KINDS[first!.kind as "weightedSum"]({ perNode: order.map((leaf) => weights[leaf]!) }), ...outer] : reductions,
    input: {
      values: leaves.map((_, record) => leaves[order[record]!]!) as TypedData,
      keys: Object.fromEntries(Object.entries(keys).reverse()),
    },
  };
}

describe("an independent oracle", () => {
  test(`gives the bits of ${CASES} random chains over dense, ragged and keyed inputs`, async () => {
    for (let first = 0; first < CASES; first += AT_ONCE) await compare(first, Math.min(first + AT_ONCE, CASES));
  });

  async function compare(first: number, end: number): Promise<void> {
    const cases = Array.from({ length: end - first }, (_, i) => draw(first + i));
    const answers = (await ask(cases.flatMap(({ questions }) => questions))) as string[][][];
    for (const [i, { reductions, input, questions }] of cases.entries()) {
      const [{ nan, accuracy }] = questions as [Question];
      const result = await engine.run(chain(...reductions), input, { keep: "all", nan, accuracy });
      const mine = answers.splice(0, questions.length);
      const told = `seed ${first + i}: ${reductions.map(({ kind, weights }) => `${kind} ${weights?.form ?? ""}`).join(" → ")}, ${questions[0]!.form}, ${nan}, ${accuracy}`;
      reductions.forEach((_, level) => {
        const name = ["f", "g", "h", "k"][level]!;
        const { values, length } = result.level(name);
        expect(values.length % Math.max(1, length)).toBe(0);
        mine.slice(0, values.length / Math.max(1, length)).forEach((answer, output) => {
          expect(hex(values.subarray(output * length, (output + 1) * length)), `${told}, level ${name}, output ${output}`).toEqual(
            answer[level],
          );
        });
      });
    }
  }

  test("gives the bits of every node of the flights: 3,399 routes, 229 airports, 52 states, 1 nation", async () => {
    const routes = await query(
      `select a.state, f.origin, f.destination, sum(f.delay)::double, count(*)::double, any_value(f.distance)::double
       from 'node_modules/vega-datasets/data/flights-3m.parquet' f join 'node_modules/vega-datasets/data/airports.csv' a on a.iata = f.origin group by all`,
    );
    const [levels] = (await ask([{ flights: routes }])) as [[string[], string][][]];
    expect(levels.map((level) => level.length)).toEqual([3399, 229, 52, 1]);
    const result = await engine.run(await loadSpec(join(ROOT, "examples/flights.json")), { keep: "all" });
    for (const [i, name] of ["route", "airport", "state", "nation"].entries())
      expect(
        [...result.level(name)].map(({ path, value }) => [path, hex([value])[0]]),
        name,
      ).toEqual(levels[i]);
    expect(result.value.toString().startsWith("5.01039")).toBe(true);
    expect(engine.stats.recordsReduced).toBeGreaterThanOrEqual(3_000_000);
  });
});
