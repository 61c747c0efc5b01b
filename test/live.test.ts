/** Live trees (contract clauses 2-4, 10, 10a, 14): after any updates they hold what a run over the same leaves gives, to the bit. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chain, createEngine, type Engine, type Key, weightedMean, weightedSum } from "../src/index.ts";
import { withWeights } from "../src/reduce/chain.ts";
import { hex } from "./failing.ts";
import { chainOfRun, Ear, expectRun, Model, recordsCase, recordsOf, rowsCase } from "./live-cases.ts";
import { ask, type Question } from "./oracle.ts";
import { random } from "./random.ts";

/** Random trees of each form. */
const CASES = Math.ceil(Number(process.env["FOURFOLD_RUNS"] ?? 300) / 5);
const LONG = { timeout: 60_000 + 300 * CASES };

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ workers: 0 });
});
afterAll(() => engine.close());

describe("over records", () => {
  test(`${CASES} random trees are runs over the same records, after any updates`, LONG, async () => {
    for (let seed = 0; seed < CASES; seed++) {
      const c = recordsCase(seed);
      const { r } = c;
      const model = new Model();
      const somePath = (): Key[] => c.names.map((_, i) => c.key(i));
      const knownPath = (): Key[] => (model.leaves.size > 0 && r.int(2) ? r.pick([...model.leaves.values()]).path : somePath());
      for (let n = r.int(30); n > 0; n--) model.set(somePath(), c.value(), c.value());
      const first = recordsOf(model, c.names, c.by);
      let levels = c.levels;
      const live = await engine.live(chain(...levels), { ...first.live, ...(c.weighted && { weights: first.weights }) }, c.options);
      // Without listeners single leaves go a shorter way.
      const ear = r.int(2) ? new Ear(live) : undefined;
      const check = (): void => {
        const { run, weights } = recordsOf(model, c.names, c.by);
        expectRun(engine, live, chainOfRun(levels, c.weighted, weights), run, c.options);
      };
      try {
        check();
        for (let step = 0; step < 12; step++) {
          const level = r.int(levels.length);
          const known = knownPath();
          ear?.listen(live.chain.levels[level]!.name, known.slice(0, c.depths[level]));
          for (let n = 1 + r.int(4); n > 0; n--) {
            const path = knownPath();
            const { updates, nodesTouched } = live.stats;
            if (r.int(3) === 0) expect(live.delete(path)).toBe(model.delete(path));
            else {
              const [value, weight] = [c.value(), c.value()];
              live.set(path, value, c.weighted ? weight : undefined);
              model.set(path, value, weight);
              expect(live.get(path)).toBe(value);
            }
            ear?.check();
            expect(live.stats.nodesTouched - nodesTouched).toBeLessThanOrEqual(levels.length * (live.stats.updates - updates));
          }
          if (r.int(3) === 0) {
            const paths = Array.from({ length: r.int(12) }, knownPath);
            const [values, weights] = [paths.map(c.value), paths.map(c.value)];
            paths.forEach((path, i) => {
              model.set(path, values[i]!, weights[i]!);
            });
            live.setMany(paths, values, c.weighted ? weights : undefined);
            ear?.check();
          }
          const weighed = live.chain.levels.flatMap(({ name, reduction }, i) => (i > 0 && reduction.weights ? [{ i, name }] : []));
          if (weighed.length > 0 && r.int(3) === 0) {
            const { i, name } = r.pick(weighed);
            const byKey = {
              byKey: [
                ["a", 2 / 3],
                [[1, "b"], -1],
                [true, 7],
              ],
              missing: 1e-3,
            } as const;
            const weights = r.int(2) ? "count" : byKey;
            const what = live.whatIf(name, weights, { keep: "all" });
            check();
            live.setWeights(name, weights);
            ear?.check();
            const weigh = levels[i]!.kind === "weightedSum" ? weightedSum : weightedMean;
            levels = levels.map((level, at) => (at === i ? weigh(weights) : level));
            for (const { name } of live.chain.levels) expect([...what.level(name).values]).toEqual([...live.level(name).values]);
          }
          check();
        }
      } catch (error) {
        throw new Error(c.title, { cause: error });
      }
    }
  });

  test("Python's fractions have the bits of all levels after 20,000 updates", { timeout: 60_000 }, async () => {
    const r = random(3);
    const leaf = () => ({ value: (r.next() - 0.5) * 2 ** (r.int(140) - 70), weight: r.int(1000) / 8 });
    const paths = Array.from({ length: 600 }, (_, i) => [`region ${i % 4}`, Math.floor(i / 4) % 25, `leaf ${i}`] as const);
    const start = paths.slice(0, 300);
    const leaves = new Map(start.map((path) => [path, leaf()]));
    const c = chain({
      site: weightedMean({ perNode: [] }),
      region: weightedSum("count"),
      all: weightedMean({ byKey: { "region 1": 0.1 }, missing: 3 }),
    });
    const keys = { region: start.map(([a]) => a), site: start.map(([, b]) => b), leaf: start.map(([, , d]) => d) };
    const first = start.map((path) => leaves.get(path)!);
    const input = { values: first.map(({ value }) => value), weights: first.map(({ weight }) => weight), keys };
    const live = await engine.live(c, input, { accuracy: "exact" });
    for (let i = 0; i < 20_000; i++) {
      const path = r.pick(paths);
      if (r.int(3) === 0) expect(live.delete(path)).toBe(leaves.delete(path));
      else {
        const { value, weight } = leaf();
        leaves.set(path, { value, weight });
        live.set(path, value, weight);
      }
    }
    const order = (a: string | number, b: string | number): number => (a < b ? -1 : a > b ? 1 : 0);
    const sorted = [...leaves].sort(([a], [b]) => order(a[0], b[0]) || order(a[1], b[1]) || order(a[2], b[2]));
    const starts = (depth: number): number[] => {
      const own = sorted.map(([path]) => path.slice(0, depth).join());
      return own.flatMap((path, i) => (path === own[i - 1] ? [] : [i])).concat(own.length);
    };
    const [sites, regions] = [starts(2), starts(1)];
    const question: Question = {
      levels: [
        { kind: "weightedMean", ddof: 0, offsets: sites, weights: hex(sorted.map(([, { weight }]) => weight)) },
        { kind: "weightedSum", ddof: 0, offsets: regions.map((at) => sites.indexOf(at)), weights: "count" },
        { kind: "weightedMean", ddof: 0, offsets: [0, 4], weights: hex([3, 0.1, 3, 3]) },
      ],
      leaves: hex(sorted.map(([, { value }]) => value)),
      form: "records",
      nan: "propagate",
      accuracy: "exact",
    };
    const [answer] = (await ask([question])) as string[][][];
    expect(["site", "region", "all"].map((name) => hex(live.level(name).values))).toEqual(answer);
  });
});

describe("over rows", () => {
  test(`${CASES} random trees are runs over the same rows, after any updates`, LONG, async () => {
    for (let seed = 0; seed < CASES; seed++) {
      const { r, c, options, data, input, paths, weigh, value, title } = rowsCase(seed);
      try {
        let now = c;
        const live = await engine.live(c, input(data), options);
        const leaves = Float64Array.from(data);
        const ear = r.int(2) && leaves.length < 1000 ? new Ear(live) : undefined;
        expectRun(engine, live, now, input(leaves), options);
        for (let step = 0; step < 8; step++) {
          const level = r.int(c.levels.length);
          const [some] = live.level(c.levels[level]!.name);
          if (some) ear?.listen(c.levels[level]!.name, some.path);
          for (let n = leaves.length && 1 + r.int(4); n > 0; n--) {
            const leaf = r.int(leaves.length);
            const { nodesTouched } = live.stats;
            leaves[leaf] = value();
            if (r.int(2)) live.set(paths[leaf]!, leaves[leaf]!);
            else live.setLeaf(live.leaf(paths[leaf]!), leaves[leaf]!);
            ear?.check();
            expect(live.stats.nodesTouched - nodesTouched).toBeLessThanOrEqual(c.levels.length);
          }
          if (r.int(3) === 0) {
            const some = Array.from({ length: Math.min(leaves.length, 1 + r.int(40)) }, () => r.int(leaves.length));
            const values = some.map(value);
            some.forEach((leaf, i) => {
              leaves[leaf] = values[i]!;
            });
            live.setMany(r.int(2) ? some.map((leaf) => live.leaf(paths[leaf]!)) : some.map((leaf) => paths[leaf]!), values);
            ear?.check();
          }
          if (weigh.length > 0 && r.int(3) === 0) {
            const { level, weights } = r.pick(weigh);
            const other = weights();
            const version = live.weightsVersion;
            const what = live.whatIf(level, other, { keep: "all" });
            expectRun(engine, live, now, input(leaves), options);
            now = withWeights(now, level, other);
            live.setWeights(level, other);
            ear?.check();
            for (const { name } of c.levels) expect([...what.level(name).values]).toEqual([...live.level(name).values]);
            expect([what.weightsVersion, live.weightsVersion]).toEqual([version, version + 1]);
          }
          expectRun(engine, live, now, input(leaves), options);
        }
      } catch (error) {
        throw new Error(title, { cause: error });
      }
    }
  });
});
