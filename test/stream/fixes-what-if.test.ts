/** What-ifs of results whose chain takes the weights of outer levels from the records. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chain, createEngine, type Engine, type StreamResult, sum, weightedMean, weightedSum } from "../../src/index.ts";
import { random } from "../random.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ workers: 0 });
});
afterAll(() => engine.close());

// Records (country, site) with values 1, 2, 3; sites weigh 10, 20, 30, countries 2 and 5.
const records = [
  { value: 1, keys: { country: "a", site: "r" }, childWeights: { country: 10, all: 2 } },
  { value: 2, keys: { country: "a", site: "s" }, childWeights: { country: 20, all: 2 } },
  { value: 3, keys: { country: "b", site: "t" }, childWeights: { country: 30, all: 5 } },
];
const both = chain({ site: sum(), country: weightedSum({ perNode: [] }), all: weightedSum({ perNode: [] }) });
const options = { keys: ["country", "site"], childWeights: ["country", "all"], keep: "all" } as const;

async function last(results: AsyncIterable<StreamResult>): Promise<StreamResult> {
  let result: StreamResult | undefined;
  for await (const one of results) result = one;
  return result!;
}

describe("a what-if where levels take their weights from the records", () => {
  test("keeps the weights that the window was closed with at the levels it leaves alone", async () => {
    const result = await last(engine.stream(both, records, options));
    expect(result.value).toBe(2 * (10 * 1 + 20 * 2) + 5 * (30 * 3));
    expect(result.whatIf("all", [1, 1]).value).toBe(50 + 90);
    const other = result.whatIf("country", { byKey: { r: 1, s: 1, t: 0 } });
    expect(other.value).toBe(2 * 3 + 5 * 0);
    expect([...other.level("country")].map(({ value }) => value)).toEqual([3, 0]);
    expect(result.value).toBe(550);
  });

  test("can follow another, and { perNode: [] } asks for the records' own weights again", async () => {
    const result = await last(engine.stream(both, records, options));
    const other = result.whatIf("country", { perNode: [1, 1, 1] });
    expect(other.whatIf("all", { byKey: { a: 100, b: 1 } }).value).toBe(303);
    expect(other.whatIf("country", { perNode: [] }).value).toBe(550);
    expect(result.whatIf("all", [0, 0]).whatIf("all", { perNode: [] }).value).toBe(550);
  });

  test("changes a level of fixed weights beside one that takes its own from the records, window by window", async () => {
    const mixed = chain({ site: sum(), country: weightedSum({ perNode: [] }), all: weightedMean({ byKey: { a: 1, b: 1 } }) });
    const timed = records.map(({ value, keys, childWeights: { country } }, i) => ({
      value,
      keys,
      time: i < 2 ? 0 : 10,
      childWeights: { country },
    }));
    const whatIfs: number[] = [];
    const run = engine.stream(mixed, timed, { ...options, childWeights: ["country"], window: { sizeMs: 10 } });
    for await (const result of run)
      whatIfs.push(result.whatIf("country", { byKey: { r: 3, s: 5 }, missing: 7 }).value, result.whatIf("all", "count").value);
    expect(whatIfs).toEqual([3 + 10, 50, 21, 90]);
  });

  test("is what a run gives whose records bring the other weights, bit for bit (clause 3)", async () => {
    const r = random(7);
    for (let run = 0; run < 20; run++) {
      const sites = 1 + r.int(12);
      const own = Array.from({ length: sites }, () => r.int(9) / 8);
      const others = Array.from({ length: sites }, () => r.int(9) / 7);
      const countries = Array.from({ length: 4 }, () => r.int(9) / 3);
      const numbers = r.numbers(50, "cancelling");
      const items = (weights: readonly number[]) =>
        Array.from(numbers, (value, i) => {
          const site = i % sites;
          const keys = { country: site % 4, site };
          return { value, keys, childWeights: { country: weights[site]!, all: countries[site % 4]! } };
        });
      const result = await last(engine.stream(both, items(own), options));
      const expected = await last(engine.stream(both, items(others), options));
      const bySite = others.map((weight, site) => [[site % 4, site], weight] as const);
      expect(result.whatIf("country", { byKey: bySite }).value).toBe(expected.value);
    }
  });
});
