// Any result survives a round trip through each format: what other programs read has the keys, counts and the very bits of values and weights.
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEngine, type Engine } from "../../../src/engine.ts";
import { type ResultFormat, writeResult } from "../../../src/files/index.ts";
import {
  type Chain,
  chain,
  count,
  type Input,
  max,
  mean,
  min,
  type Reduction,
  sum,
  variance,
  weightedMean,
  weightedSum,
} from "../../../src/index.ts";
import type { Key } from "../../../src/reduce/key.ts";
import type { Result } from "../../../src/result.ts";
import { type Random, random } from "../../random.ts";
import { Folder } from "../fixture.ts";
import { csvRows, jsonKeyText, type Npy, readArrow, readByPython, readJson, readNdjson, readParquet, rowsOf } from "./readers.ts";

const RUNS = Number(process.env["FOURFOLD_TABLES"] ?? 24);
const folder = new Folder();
let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ workers: 0 });
});
afterAll(async () => {
  await engine.close();
  folder.remove();
});

const TEXTS = [
  "=1+1",
  "+1",
  "-1",
  "@a",
  "'=x",
  "''",
  'say "hi"',
  "a,b",
  "two\nlines",
  "a\r\nb",
  "\ttab",
  "\rcr",
  "",
  " ",
  "Ölñ",
  "😀",
  "2",
  "-0.5",
];
const KEYS: Readonly<Record<string, (random: Random) => Key>> = {
  text: ({ pick }) => pick([...TEXTS, "true", "1e+21", '"2"', "NaN", "null"]),
  integers: ({ int }) => int(7) - 3,
  long: ({ pick }) => pick([2n ** 62n, -(2n ** 63n), 2n ** 63n - 1n, 0n, 5n, -(2 ** 60)]),
  numbers: ({ pick }) => pick([0.1, -2, 2 ** 63, 1e300, 5e-324, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3n, 2n ** 64n]),
  booleans: ({ pick }) => pick([true, false]),
  mixed: ({ pick }) => pick([...TEXTS, "true", '"2"', true, false, 2, -0.5, 5n, 1e21, Number.POSITIVE_INFINITY, "1e+21", "Infinity"]),
  huge: ({ pick }) => pick([2n ** 70n + 1n, -(2n ** 90n) - 1n, 0.5, 7]),
  nulls: ({ pick }) => pick([null, Number.NaN, "a"]),
};

/** A result over records: keys of any kind, some levels kept, weights by key or count. */
async function keyed(r: Random): Promise<Result> {
  const n = r.pick([0, 1, 40, 300]);
  const names = ["level", "k b", "k"].slice(r.int(3));
  const keys = Object.fromEntries(
    names.map((name) => {
      const draw = KEYS[r.pick(Object.keys(KEYS))]!;
      return [name, Array.from({ length: n }, () => draw(r))];
    }),
  );
  const values = r.numbers(n, r.pick(["plain", "specials", "cancelling"]));
  const inner = (): Reduction => r.pick([sum(), mean(), min(), max(), count(), variance()]);
  const outer = (): Reduction => r.pick([weightedMean("count"), weightedSum("count"), inner(), weightedSum({ byKey: [], missing: 0.1 })]);
  const leaf = r.pick([inner(), weightedMean({ perNode: r.numbers(n, "specials") })]);
  const levels = Object.fromEntries([["leaf", leaf], ...names.map((_, i) => [`=o${i}`, outer()])]) as Record<string, Reduction>;
  const keep = r.pick(["all", ["leaf"], ["leaf", "=o0"]] as const);
  return engine.run(chain(levels), { values, keys, nullKeys: "group" }, { keep, nan: r.pick(["propagate", "skip"]) });
}

/** A result over rows: dense, with frames and perhaps a matrix of weights, or ragged with empty rows. */
async function rows(r: Random): Promise<Result> {
  if (r.int(3) === 0) {
    const lengths = Array.from({ length: 1 + r.int(6) }, () => r.int(4));
    const offsets = [0, ...lengths.map((_, i) => lengths.slice(0, i + 1).reduce((a, b) => a + b))];
    const data = r.numbers(offsets.at(-1)!, "specials");
    const c = chain({ row: mean(), all: weightedSum({ perNode: r.numbers(lengths.length, "plain") }) });
    return engine.run(c, { data, offsets: [offsets] }, { keep: "all" });
  }
  const [F, C, B, A] = [r.int(4), 1 + r.int(4), r.pick([0, 1, 3]), 1 + r.int(4)] as const;
  const weights = [A, B, C].map((extent) => r.numbers(extent, "plain"));
  const matrixAt = r.int(4);
  const levels = weights.map((vector, i) =>
    i === matrixAt && vector.length > 0
      ? weightedSum([vector, r.numbers(vector.length, "specials")])
      : r.pick([weightedSum(vector), sum()]),
  );
  const c: Chain = chain({ a: levels[0]!, b: levels[1]!, "c/d": levels[2]! });
  const input: Input = { data: r.numbers(F * C * B * A, r.pick(["plain", "specials"])), shape: [F, C, B, A] };
  return engine.run(c, input, { keep: r.pick(["all", ["a", "c/d"], ["b"]]) });
}

const cases = Array.from({ length: RUNS }, (_, seed) => seed);
const results: Result[] = [];
beforeAll(async () => {
  for (const seed of cases) results.push(await (seed % 3 === 2 ? rows : keyed)(random(7000 + seed)));
});

async function written(seed: number, format: ResultFormat, keep?: readonly string[]): Promise<string> {
  const path = join(folder.path, `${seed}.${format}`);
  await writeResult(results[seed]!, path, keep ? { keep } : {});
  return path;
}

describe.each(cases)("result %i", (seed) => {
  test("comes back from Parquet, read by DuckDB", async () => {
    const { rows, metadata } = await readParquet(await written(seed, "parquet"));
    expect(rows).toEqual(rowsOf(results[seed]!));
    expect(metadata.levels.map(({ name }) => name)).toEqual(results[seed]!.levels.map(({ name }) => name));
  });

  test("comes back from an Arrow file, read by Apache Arrow", async () => {
    const { rows, metadata } = readArrow(await written(seed, "arrow"));
    expect(rows).toEqual(rowsOf(results[seed]!));
    expect(metadata.records).toBe(results[seed]!.records);
  });

  test("comes back from NDJSON and JSON, read by DuckDB", async () => {
    const expected = rowsOf(results[seed]!, jsonKeyText);
    expect(await readNdjson(await written(seed, "ndjson"))).toEqual(expected);
    const { rows, metadata } = await readJson(await written(seed, "json"));
    expect(rows).toEqual(expected);
    expect(metadata.version).toBe(1);
  });
});

test("all results come back from CSV, read by Python", async () => {
  const paths = await Promise.all(cases.map((seed) => written(seed, "csv")));
  const files = await readByPython<string[][][]>(...paths);
  for (const seed of cases) {
    const result = results[seed]!;
    // A text that looks like another kind of key is in quotes, where its column has other kinds.
    const kinds = result.levels[0]!.keys.map(
      (_, i) => new Set([...result.level(result.levels[0]!.name)].map(({ path }) => typeof path[i])),
    );
    const cell = (key: Key, i: number): string => {
      if (key === null) return "";
      if (typeof key !== "string") return String(key);
      const isMixed = [...kinds[i]!].some((kind) => kind !== "string" && kind !== "object");
      return isMixed && (key.startsWith('"') || /^(true|-?\d.*|Infinity)$/.test(key)) ? JSON.stringify(key) : key;
    };
    expect(csvRows(files[seed]!, result), `result ${seed}`).toEqual(rowsOf(result, cell));
    for (const line of files[seed]!) expect(line[0]).not.toMatch(/^[=+\-@\t\r]/);
  }
});

test("all values come back from NPZ and NPY, read by Python, in the shape of the level", async () => {
  const archives = await readByPython<Record<string, Npy>[]>(...(await Promise.all(cases.map((seed) => written(seed, "npz")))));
  const outermost = await Promise.all(cases.map((seed) => written(seed, "npy", [results[seed]!.levels.at(-1)!.name])));
  const arrays = await readByPython<Npy[]>(...outermost);
  for (const seed of cases) {
    const result = results[seed]!;
    const rows = rowsOf(result);
    const members = Object.entries(archives[seed]!);
    expect(members.map(([name]) => name)).toEqual(result.levels.map(({ name }) => `${name.replace("/", "%2F")}.npy`));
    for (const [i, { name, shape, outputs }] of result.levels.entries()) {
      const bits = rows.filter(([level]) => level === name).flatMap(([, , values]) => values);
      expect(members[i]![1]).toEqual({ shape: outputs === 1 ? shape : [...shape, outputs], bits });
    }
    expect(arrays[seed]).toEqual(members.at(-1)![1]);
    expect(arrays[seed]!.shape).toEqual(result.shape);
  }
});
