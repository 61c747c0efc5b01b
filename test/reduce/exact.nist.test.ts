// NIST's reference data for univariate statistics, and its certified values (fixtures/nist/README.md). Contract clauses 6, 7, 11.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chain, createEngine, type Engine, mean, type Reduction, variance } from "../../src/index.ts";
import { ROOT } from "../child.ts";
import { digits, python } from "./oracle.ts";

const FOLDER = join(ROOT, "test/fixtures/nist");

interface Dataset {
  readonly name: string;
  readonly observations: number;
  readonly mean: string;
  readonly deviation: string;
  /** As NIST prints it. */
  readonly data: readonly string[];
}

const DATASETS = readdirSync(FOLDER)
  .filter((file) => file.endsWith(".dat"))
  .map((file): Dataset => {
    const text = readFileSync(join(FOLDER, file), "utf8");
    const certified = (what: RegExp): string => what.exec(text)![1]!;
    const data = text.slice(text.indexOf("Data: Y")).trim().split(/\s+/).slice(3);
    return {
      name: file.slice(0, -4),
      observations: Number(certified(/^Number of Observations: +(\d+)/m)),
      mean: certified(/^Sample Mean +ybar: +(\S+)/m),
      deviation: certified(/^Sample Standard Deviation .* s: +(\S+)/m),
      data,
    };
  });

/** Digits after the point of the longest number. */
const placesOf = ({ data }: Dataset): number => Math.max(...data.map((text) => text.split(".")[1]?.length ?? 0));

/** NIST certifies 15 digits, or all of them. */
const certifiedDigits = (x: number | string): string => Number(x).toPrecision(15);

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ workers: 0 });
});
afterAll(() => engine.close());

async function statistics(values: Float64Array): Promise<{ mean: number; variance: number }> {
  const of = async (reduction: Reduction): Promise<number> => (await engine.run(chain(reduction), values, { accuracy: "exact" })).value;
  return { mean: await of(mean()), variance: await of(variance({ ddof: 1 })) };
}

/** Python's statistics of the same float64, exact to the last rounding: [mean, variance] of each set. */
const STATISTICS = `
import json, statistics, struct, sys
from fractions import Fraction
for line in sys.stdin:
    x = [Fraction(float(text)) for text in json.loads(line)]
    print(json.dumps([struct.pack(">d", f.numerator / f.denominator).hex() for f in (statistics.mean(x), statistics.variance(x))]))
`;
let oracle: [string, string][] = [];
beforeAll(() => {
  const lines = python(["-c", STATISTICS], DATASETS.map(({ data }) => `${JSON.stringify(data)}\n`).join(""));
  oracle = lines
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as [string, string]);
});

test("all nine sets of NIST are here", () => {
  expect(DATASETS.map(({ name }) => name).sort()).toEqual(
    ["Lew", "Lottery", "Mavro", "Michelso", "NumAcc1", "NumAcc2", "NumAcc3", "NumAcc4", "PiDigits"].sort(),
  );
  for (const { name, observations, data } of DATASETS) expect(data.length, name).toBe(observations);
});

describe.each(DATASETS)("the mean and the standard deviation of $name", (dataset) => {
  const places = placesOf(dataset);

  test("are certified to all digits, its decimals read as integers", async () => {
    // 10000000.1 is no float64, and the deviation of the float64 near it is not 0.1: so in units of the last place, which are exact.
    const values = Float64Array.from(dataset.data, (text) => Math.round(Number(text) * 10 ** places));
    expect([...values].map((x) => (x / 10 ** places).toFixed(places))).toEqual(dataset.data.map((text) => Number(text).toFixed(places)));
    const found = await statistics(values);
    expect(certifiedDigits(found.mean / 10 ** places)).toBe(certifiedDigits(dataset.mean));
    expect(certifiedDigits(Math.sqrt(found.variance) / 10 ** places)).toBe(certifiedDigits(dataset.deviation));
  });

  test("are those of its float64 values, rounded once", async () => {
    const found = await statistics(Float64Array.from(dataset.data, Number));
    expect([digits(found.mean), digits(found.variance)]).toEqual(oracle[DATASETS.indexOf(dataset)]);
    expect(certifiedDigits(found.mean)).toBe(certifiedDigits(dataset.mean));
  });
});
