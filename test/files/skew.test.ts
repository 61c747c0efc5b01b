// One key with half of all records: every node keeps its records, whichever way the lists are read.
import { afterAll, expect, test } from "vitest";
import { createEngine } from "../../src/index.ts";
import { random } from "../random.ts";
import { Folder, query } from "./fixture.ts";
import { reference, rolled } from "./reference.ts";

const folder = new Folder();
afterAll(() => folder.remove());

/** Records against exact rational arithmetic; more of them in a soak. */
const RECORDS = 50 * Number(process.env["FOURFOLD_RUNS"] ?? 300);

const leaf = { name: "leaf", by: ["k"], reduce: "weightedSum", weights: { column: "w" } };

test("half of the records in one key, the rest in 2,000: the bits of exact rational arithmetic (clause 3)", async () => {
  const rng = random(5);
  const rows = Array.from({ length: RECORDS }, (_, i) => [
    i % 2 === 0 ? 1234 : rng.int(2000),
    (rng.next() - 0.5) * 10 ** rng.int(15),
    rng.next(),
  ]);
  folder.file("skew.csv", `k,v,w\n${rows.map((row) => row.join(",")).join("\n")}\n`);
  const all = { name: "all", by: [], reduce: "mean" };
  const spec = folder.spec("spec.json", { source: { file: "skew.csv" }, value: "v", levels: [leaf, all] });
  await using engine = await createEngine({ workers: 0 });
  const given = await rolled(engine, spec);
  const expected = reference(["k", "value", "w"], rows, [
    { by: ["k"], reduce: "weightedSum", weights: "w" },
    { by: [], reduce: "mean" },
  ]);
  expect(given.map((level) => level.length)).toEqual(expected.map((level) => level.length));
  for (const [i, level] of given.entries()) for (const [node, [, value]] of level.entries()) expect(value).toBe(expected[i]![node]![1]);
});

test("a list too long to be read as one, among 5,000 others: its vector is streamed, the others are not", async () => {
  // Eighths and quarters, so that DuckDB's sums of integers are exact. The long list lies in the second of three vectors of 2,048.
  const n = 4_600_000;
  const v = "((i * 7919) % 100003)";
  const w = "((i * 31) % 97)";
  const source = `select case when i % 2 = 0 then 2500 else i % 5000 end as k, ${v} / 8.0 as v, ${w} / 4.0 as w from range(${n}) t(i)`;
  await query(`copy (${source}) to '${folder.path}/long.parquet'`);
  const done: number[] = [];
  const { values, levels } = await folder.read(
    { source: { file: "long.parquet" }, value: "v", levels: [leaf] },
    { onProgress: (progress) => done.push(progress.done) },
  );
  const [{ offsets, keys, weights }] = levels as unknown as [{ offsets: Uint32Array; keys: number[][]; weights: Float64Array }];
  const expected = await query(
    `select k::DOUBLE, count(*)::DOUBLE, sum(p)::DOUBLE / 32 from (select case when i % 2 = 0 then 2500 else i % 5000 end as k, ${v} * ${w} as p from range(${n}) t(i)) group by k order by k`,
  );
  const found = Array.from(keys[0]!, (key, node) => {
    let sum = 0;
    for (let i = offsets[node]!; i < offsets[node + 1]!; i++) sum += values[i]! * weights[i]!;
    return [key, offsets[node + 1]! - offsets[node]!, sum];
  });
  expect(found).toEqual(expected);
  expect(done.at(-1)).toBe(n);
});
