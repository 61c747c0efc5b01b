// The main job through the command: three million real flights.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { outputOf, ROOT, runChild } from "../child.ts";
import { BIN, bitsOf, folderOf, fourfold } from "./bin.ts";

const SPEC = join(ROOT, "examples", "flights.json");
const DATA = join(ROOT, "node_modules", "vega-datasets", "data");
const folder = folderOf({});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Answer {
  value: number;
  values: number[];
  bits: string;
  records: number;
  elapsedMs: number;
  levels: { name: string; nodes: { path: string[]; value: number; bits: string; count: number; children: number }[] }[];
}

let answer: Answer;
beforeAll(async () => {
  answer = JSON.parse(await outputOf(fourfold(["run", SPEC, "--keep", "all", "--format", "json"]))) as Answer;
});

describe("fourfold run examples/flights.json", () => {
  test("the answer begins 5.01039 and its bits are those of its digits", () => {
    expect(String(answer.value)).toMatch(/^5\.01039/);
    expect(answer.values).toEqual([answer.value]);
    expect(answer.bits).toBe(bitsOf(answer.value));
    expect(answer.elapsedMs).toBeGreaterThan(0);
  });

  test("3,000,000 flights, 3,399 routes, 229 airports, 52 states, 1 nation; counts and children add up", () => {
    expect(answer.records).toBe(3_000_000);
    expect(answer.levels.map(({ name, nodes }) => [name, nodes.length])).toEqual([
      ["route", 3399],
      ["airport", 229],
      ["state", 52],
      ["nation", 1],
    ]);
    for (const [i, { nodes }] of answer.levels.entries()) {
      expect(nodes.reduce((total, { count }) => total + count, 0)).toBe(3_000_000);
      if (i > 0) expect(nodes.reduce((total, { children }) => total + children, 0)).toBe(answer.levels[i - 1]!.nodes.length);
    }
  });

  test("the table shows the answer with 17 digits, its bits, best and worst states, the plan and what ran; piped it has no colour", async () => {
    const text = await outputOf(fourfold(["run", SPEC, "--best", "lowest"], { env: { NO_COLOR: undefined, FORCE_COLOR: "1" } }));
    expect(text).not.toContain("\x1b");
    expect(text).toContain(`answer    ${answer.value.toPrecision(17)}\n`);
    expect(text).toContain(`bits      ${answer.bits}\n`);
    expect(text).toContain("3,399 routes → 229 airports → 52 states → 1 nation\n");
    expect(text).toMatch(/records {3}3,000,000 in [\d.]+ m?s, [\d,]+ a second\n/);
    expect(text).toMatch(/backend {3}wasm, accuracy reproducible, contract 1\n/);
    for (const heading of ["init", "distribute", "process", "aggregate", "output"]) expect(text).toMatch(new RegExp(`^  ${heading} `, "m"));
    const states = answer.levels[2]!.nodes.toSorted((a, b) => a.value - b.value);
    const shown = (title: string): string[] =>
      [
        ...text
          .split(`${title}\n`)[1]!
          .split("\n\n")[0]!
          .matchAll(/^ {2}(\w\w) /gm),
      ].map((match) => match[1]!);
    expect(shown("best states (lowest)")).toEqual(states.slice(0, 5).map(({ path }) => path[0]));
    expect(shown("worst states (highest)")).toEqual(
      states
        .slice(-5)
        .reverse()
        .map(({ path }) => path[0]),
    );
  });

  test("a reader that goes away ends it quietly", async () => {
    const command = `"$0" "$1" run "$2" --keep all --format ndjson | head -n 1`;
    const { code, stdout, stderr } = await runChild("sh", ["-c", command, process.execPath, BIN, SPEC]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({ level: "route", count: answer.levels[0]!.nodes[0]!.count });
  });
});

describe("a planted change in any level's weights changes the printed bits", () => {
  const original = JSON.parse(readFileSync(SPEC, "utf8")) as { source: { sql: string }; levels: Record<string, unknown>[] };
  const sql = original.source.sql.replaceAll("../node_modules/vega-datasets/data", DATA);
  const planted: Readonly<Record<string, readonly [string, number, Record<string, unknown>]>> = {
    route: [sql, 0, { reduce: "weightedMean", weights: { column: "planted" } }],
    airport: [sql, 1, { weights: { column: "longer" } }],
    state: [
      sql,
      2,
      {
        weights: {
          table: { sql: "select state, origin, count(*) + max((origin = 'LAX')::int) as n from planted group by state, origin" },
          value: "n",
        },
      },
    ],
    nation: [sql, 3, { reduce: "weightedMean", weights: Array.from({ length: 52 }, (_, i) => (i === 17 ? 1.0000001 : 1)) }],
  };
  test.each(Object.entries(planted))("%s", async (name, [, index, change]) => {
    const changed = structuredClone(original);
    const source = sql.replace(
      "select f.*,",
      "select f.*, 1.0 + (f.delay > 100)::int * 1e-6 as planted, f.distance + (f.origin = 'LAX' and f.destination = 'SFO')::int * 0.001 as longer,",
    );
    changed.source.sql = source;
    changed.levels[index] = { ...changed.levels[index], ...JSON.parse(JSON.stringify(change).replace("from planted", `from (${source})`)) };
    const file = join(folder, `${name}.json`);
    writeFileSync(file, JSON.stringify(changed));
    const { value, bits, records } = JSON.parse(await outputOf(fourfold(["run", file, "--format", "json"]))) as Answer;
    expect(records).toBe(3_000_000);
    expect(value).toBeCloseTo(answer.value, 2);
    expect(bits).not.toBe(answer.bits);
  });
});

describe.each(["SIGINT", "SIGTERM"] as const)("%s in the middle of a run", (signal) => {
  test("ends it with its own exit code, and the file that was there stays as it was", async () => {
    const out = join(folder, "kept.json");
    writeFileSync(out, "old");
    const child = spawn(process.execPath, [BIN, "run", SPEC, "--keep", "all", "--format", "json", "--out", out, "--verbose"], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stderr = "";
    const ended = once(child, "close") as Promise<[number | null, string | null]>;
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      if (stderr === "") child.kill(signal);
      stderr += text;
    });
    expect(await ended).toEqual([signal === "SIGINT" ? 130 : 143, null]);
    expect(stderr).toMatch(/^reading .*\nfourfold: (interrupted|terminated) \[ERR_FOURFOLD_ABORTED\]\n/);
    expect(readFileSync(out, "utf8")).toBe("old");
    expect(readdirSync(folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });
});
