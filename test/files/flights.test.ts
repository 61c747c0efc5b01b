// The 3,000,000 flights of examples/flights.json, against a query that shares nothing with the reader but the files.
import { readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { expect, test } from "vitest";
import { type GroupedLevel, loadSpec } from "../../src/files/index.ts";
import { failure, query } from "./fixture.ts";

const FLIGHTS = "node_modules/vega-datasets/data/flights-3m.parquet";
const AIRPORTS = "node_modules/vega-datasets/data/airports.csv";

test("the flights are 3,399 routes of 229 airports of 52 states of 1 nation, record for record", async () => {
  const spec = await loadSpec("examples/flights.json");
  const seen: number[] = [];
  const table = await spec.read({ onProgress: ({ done, unit }) => unit === "records" && seen.push(done) });
  expect(table.records).toBe(3_000_000);
  expect(table.levels.map(({ name, nodes }) => [name, nodes])).toEqual([
    ["route", 3399],
    ["airport", 229],
    ["state", 52],
    ["nation", 1],
  ]);
  expect(table.levels.map(({ offsets }) => offsets.at(-1))).toEqual([3_000_000, 3399, 229, 52]);
  expect(seen.at(-1)).toBe(3_000_000);

  const expected = await query(
    `select a.state, f.origin, f.destination, sum(f.delay)::double, count(*)::double, min(f.distance)::double, sum(f.delay * f.delay)::double
     from '${FLIGHTS}' f join '${AIRPORTS}' a on a.iata = f.origin group by all order by 1, 2, 3`,
  );
  const [route, airport] = table.levels as [GroupedLevel, GroupedLevel];
  const read = Array.from({ length: 3399 }, (_, node) => {
    const records = Array.from(table.values.slice(route.offsets[node], route.offsets[node + 1]));
    const sum = records.reduce((a, b) => a + b, 0);
    const squares = records.reduce((a, b) => a + b * b, 0);
    return [...route.keys.map((column) => column[node]), sum, records.length, (airport.weights as Float64Array)[node], squares];
  });
  expect(read).toEqual(expected);
  expect(table.levels[2]?.weights).toBe("count");
});

test("the example is the text of the documentation, and names no level twice", () => {
  const spec = JSON.parse(readFileSync("examples/flights.json", "utf8"));
  expect(spec.levels.map((level: { name: string }) => level.name)).toEqual(["route", "airport", "state", "nation"]);
});

test("reading the flights leaves the event loop free", async () => {
  const spec = await loadSpec("examples/flights.json");
  await spec.read(); // loads DuckDB itself, which is not what this test measures
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await spec.read();
  delay.disable();
  // Copies take about 3 ms each; the bound leaves room for a busy machine, and a single copy of all 12 MB would break it there, too.
  expect(delay.percentile(99) / 1e6).toBeLessThan(25);
});

test("an abort ends the reading within a moment, wherever it comes", async () => {
  const spec = await loadSpec("examples/flights.json");
  for (const afterMs of [0, 1, 20, 60, 150]) {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), afterMs);
    const began = performance.now();
    const error = await failure(spec.read({ signal: controller.signal }));
    clearTimeout(timer);
    expect(error.code).toBe("ERR_FOURFOLD_ABORTED");
    expect(performance.now() - began).toBeLessThan(afterMs + 1500);
  }
});
