/** Live trees (contract clauses 3, 4, 10, 10a, 14): after any updates they hold what a run over the same leaves gives, to the bit. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chain, createEngine, type Engine, type Key } from "../src/index.ts";
import { chainOfRun, expectRun, Model, recordsCase, recordsOf } from "./live-cases.ts";

/** Random trees of each form. */
const CASES = Number(process.env["FOURFOLD_RUNS"] ?? 200);

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ workers: 0 });
});
afterAll(() => engine.close());

describe("over records", () => {
  test(`${CASES} random trees are runs over the same records, after any updates`, { timeout: 60_000 + 300 * CASES }, async () => {
    for (let seed = 0; seed < CASES; seed++) {
      const c = recordsCase(seed);
      const { r } = c;
      const model = new Model();
      const somePath = (): Key[] => c.names.map((_, i) => c.key(i));
      for (let n = r.int(30); n > 0; n--) model.set(somePath(), c.value(), c.value());
      const first = recordsOf(model, c.names, c.by);
      const live = await engine.live(chain(...c.levels), { ...first.live, ...(c.weighted && { weights: first.weights }) }, c.options);
      const check = (): void => {
        const { run, weights } = recordsOf(model, c.names, c.by);
        expectRun(engine, live, chainOfRun(c.levels, c.weighted, weights), run, c.options);
      };
      try {
        check();
        for (let step = 0; step < 12; step++) {
          for (let n = 1 + r.int(4); n > 0; n--) {
            const path = model.leaves.size > 0 && r.int(2) ? r.pick([...model.leaves.values()]).path : somePath();
            const { updates, nodesTouched } = live.stats;
            if (r.int(3) === 0) expect(live.delete(path)).toBe(model.delete(path));
            else {
              const [value, weight] = [c.value(), c.value()];
              live.set(path, value, c.weighted ? weight : undefined);
              model.set(path, value, weight);
              expect(live.get(path)).toBe(value);
            }
            expect(live.stats.nodesTouched - nodesTouched).toBeLessThanOrEqual(c.levels.length * (live.stats.updates - updates));
          }
          check();
        }
      } catch (error) {
        throw new Error(c.title, { cause: error });
      }
    }
  });
});
