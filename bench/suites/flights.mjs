// The flights roll-up, reading included, against the nested SQL that computes the same in DuckDB, in one process.
import { fileURLToPath } from "node:url";
import { DuckDBInstance } from "@duckdb/node-api";
import { loadSpec } from "../../dist/files/index.js";
import { createEngine } from "../../dist/index.js";
import { interleave, speedOf } from "../harness/interleave.mjs";
import { machine } from "../harness/machine.mjs";
import { check } from "../harness/report.mjs";

const SLOWER_MAX = 4;

const data = fileURLToPath(new URL("../../node_modules/vega-datasets/data/", import.meta.url));

/** The same four levels as examples/flights.json. */
const SQL = `
  with route as (
    select a.state, f.origin, f.destination, avg(f.delay) as value, any_value(f.distance) as distance, count(*) as records
    from '${data}flights-3m.parquet' f join '${data}airports.csv' a on a.iata = f.origin
    group by a.state, f.origin, f.destination),
  airport as (
    select state, origin, sum(value * distance) / sum(distance) as value, sum(records) as records from route group by state, origin),
  state as (select state, sum(value * records) / sum(records) as value from airport group by state)
  select avg(value) as nation from state`;

export default async function flightsSuite({ quick }) {
  const { cores } = machine();
  const engine = await createEngine();
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    const spec = fileURLToPath(new URL("../../examples/flights.json", import.meta.url));
    const ours = async () => engine.run(await loadSpec(spec));
    const theirs = async () => (await connection.runAndReadAll(SQL)).getRows()[0][0];
    const [result, nation] = [await ours(), await theirs()];
    if (Math.abs(result.value - nation) > 1e-9 * Math.abs(nation)) throw new Error(`DuckDB computed ${nation}, Fourfold ${result.value}`);
    const measured = await interleave(
      [
        { name: "fourfold, examples/flights.json", threads: cores, run: ours },
        { name: "DuckDB, nested SQL", threads: cores, run: theirs },
      ],
      { samples: quick ? 5 : 31, warmups: 2 },
    );
    for (const c of measured) c.sound = c.times.map(() => true); // both wait for files and for each other's stages
    const { median, low, high, best } = speedOf(measured[1], measured[0]);
    return {
      cases: measured,
      checks: [check("time against DuckDB's nested SQL", median, { atMost: SLOWER_MAX, spread: [low, high], best })],
      notes: [
        `${result.records.toLocaleString("en-US")} records, warm file cache; ours opens the file and a database for each run, DuckDB keeps its connection`,
      ],
    };
  } finally {
    connection.closeSync();
    instance.closeSync();
    await engine.close();
  }
}
