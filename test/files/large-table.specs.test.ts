/**
 * Whatever a spec says (conditions, paths, tables of parents, expressions, integers of 64 bits, weights that are missing), a table that is cut into
 * parts has the nodes, weights, files and errors of the same table in memory: contract clauses do not know how a table was read.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FourfoldError } from "../../src/errors.ts";
import { allowedPlaces } from "../../src/files/folders.ts";
import { loadSpec, writeResult } from "../../src/files/index.ts";
import { rollUp } from "../../src/files/large-table.ts";
import { parseSpec } from "../../src/files/spec.ts";
import { createEngine, type Engine, type Result } from "../../src/index.ts";
import { levelView } from "../../src/reduce/result.ts";
import { type Random, random } from "../random.ts";
import { Folder } from "./fixture.ts";

const CASES = Number(process.env["FOURFOLD_TABLES"] ?? 10);
/** The seed of the first case. */
const FIRST = Number(process.env["FOURFOLD_SEED"] ?? 0);

const folder = new Folder();
let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ workers: 0 });
});
afterAll(async () => {
  await engine.close();
  folder.remove();
});

type Cell = string | number | boolean | null;
const literal = (cell: Cell, type: string): string =>
  cell === null ? `null::${type}` : `'${Object.is(cell, -0) ? "-0.0" : cell}'::${type}`;

const table = (columns: readonly (readonly [string, string])[], rows: readonly (readonly Cell[])[]): string =>
  rows.length > 0
    ? `select * from (values ${rows.map((row) => `(${row.map((cell, i) => literal(cell, columns[i]![1])).join(", ")})`).join(", ")}) t(${columns.map(([name]) => name).join(", ")})`
    : `select ${columns.map(([name, type]) => `null::${type} as ${name}`).join(", ")} where false`;

const VALUE_TYPES = ["DOUBLE", "BIGINT", "HUGEINT", "UBIGINT", "INTEGER", "FLOAT", "DECIMAL(9, 2)", "DECIMAL(30, 3)", "TINYINT"];

/** A number that a type holds; now and then one that float64 does not. */
function numberOf(draw: Random, type: string, large: number): Cell {
  if (type === "DOUBLE" && draw.int(8) === 0) return draw.pick([-0, 0, 1e300, 1e-300]);
  if (["BIGINT", "HUGEINT", "UBIGINT"].includes(type) && draw.next() < large) return "9007199254740993";
  if (type === "DECIMAL(30, 3)" && draw.next() < large) return "9007199254740993.000";
  if (type === "DOUBLE" || type === "FLOAT") return (draw.next() - 0.5) * 10 ** draw.int(9);
  if (type.startsWith("DECIMAL")) return draw.int(100_000) / 100;
  return draw.int(100) + (type.startsWith("U") ? 0 : -50 * draw.int(2));
}

/** A spec that uses what a spec may say, and its faults with a chance of `faults`. */
function makeSpec(seed: number): Record<string, unknown> {
  const draw = random(seed);
  const faults = draw.pick([0, 0, 0.003, 0.02]);
  const fault = (): boolean => draw.next() < faults;
  const some = (chance: number): boolean => draw.next() < chance;
  const type = draw.pick(VALUE_TYPES);
  const weightType = draw.pick(VALUE_TYPES);
  const keyType = draw.pick(["VARCHAR", "BIGINT", "DOUBLE", "HUGEINT", "BOOLEAN", "DATE"]);
  const nulls = draw.pick([0, 0, 0.1]);
  const short = draw.pick(["error", "repeat", "null"]);
  const hierarchy = draw.pick(["path", "parents", "both", "none"]);
  const far = draw.int(3) === 0;
  const key = (): Cell => {
    if (some(nulls)) return null;
    const n = draw.int(6);
    if (keyType === "BOOLEAN") return n < 3;
    if (keyType === "DATE") return `2024-01-0${n + 1}`;
    if (keyType === "VARCHAR") return ["a", "Z", "ä", "1", "1.5", ""][n]!;
    if (keyType === "DOUBLE") return draw.pick([1, 1.5, 2, -3, far ? "inf" : 4, far ? 2 ** 60 : 0]);
    return draw.pick([1, 2, 3, -3, far ? "1152921504606846976" : 5]);
  };
  const place = (): Cell => {
    if (some(nulls)) return null;
    const parts = ["eu", "us", "as"]
      .slice(draw.int(3))
      .concat(["x", "y"].slice(draw.int(2)))
      .slice(0, 2);
    while (parts.length < 2) parts.push("z");
    if (short !== "error" && some(0.2)) parts.pop();
    if (fault()) parts.push(draw.pick(["", "more"]));
    return parts.join("/");
  };
  const sensors = Array.from({ length: 9 }, (_, i) => [`s${i}`, `r${i % 4}`]);
  const sensor = (): Cell => (some(nulls) ? null : fault() ? "nowhere" : `s${draw.int(9)}`);
  const columns: (readonly [string, string])[] = [
    ["k", keyType],
    ["place", "VARCHAR"],
    ["sensor", "VARCHAR"],
    ["v", type],
    ["w", weightType],
    ["o", weightType],
    ["kept", "BOOLEAN"],
  ];
  const weightNulls = draw.pick([0, faults, 0.1]);
  const constant = new Map<Cell, Cell>();
  const rows = Array.from({ length: draw.pick([0, 1, 60, 200]) }, (): Cell[] => {
    const k = key();
    if (!constant.has(k)) constant.set(k, some(weightNulls) ? null : numberOf(draw, weightType, faults));
    return [
      k,
      place(),
      sensor(),
      some(0.05) ? null : numberOf(draw, type, faults),
      some(weightNulls) ? null : numberOf(draw, weightType, faults),
      fault() ? numberOf(draw, weightType, faults) : (constant.get(k) as Cell),
      some(0.9),
    ];
  });
  const path = { column: "place", names: ["continent", "city"], short };
  const edges = [...sensors, ["r0", "top"], ["r1", "top"], ["r2", "end"], ...(draw.int(20) === 0 ? [["s1", "r0"]] : []), ["r3", "end"]];
  const parents = {
    key: "sensor",
    table: {
      sql: table(
        [
          ["id", "VARCHAR"],
          ["up", "VARCHAR"],
        ],
        edges,
      ),
    },
    child: "id",
    parent: "up",
    names: draw.int(20) === 0 ? ["region"] : ["country", "region"],
    short: draw.pick(["error", "null"]),
  };
  const names = [
    "k",
    ...(hierarchy === "path" || hierarchy === "both" ? ["continent", "city"] : []),
    ...(hierarchy === "parents" || hierarchy === "both" ? ["country", "region", "sensor"].slice(0, 1 + draw.int(3)) : []),
  ];
  const depths = [names.length];
  while (depths.length < 4 && draw.int(4) > 0) depths.push(Math.max(depths.at(-1)! > 1 ? 1 : 0, draw.int(depths.at(-1)! + 1)));
  const missing = (): object => (draw.int(3) === 0 ? {} : { missing: draw.pick([0, 1, -2.5]) });
  const weightsOf = (i: number): unknown => {
    if (i === 0)
      return draw.pick([
        { column: "w", ...missing() },
        { expression: "w * 2", ...missing() },
        { expression: "v + w", ...missing() },
      ]);
    const depth = depths[i - 1]!;
    const kind = draw.int(6);
    if (kind === 0) return "count";
    if (kind === 1) return Array.from({ length: 1 + draw.int(6) }, () => draw.int(9) / 4 - 1);
    if (kind === 2 && depth > 0) return { column: "o", ...missing() };
    if (kind === 3 && depth > 0)
      return { expression: draw.pick(["case when k is null then 3 else 4.5 end", "length(k::VARCHAR) + 0.25", "o"]), ...missing() };
    const own = draw.int(4) === 0 ? draw.pick(["DOUBLE", "BIGINT", "VARCHAR"]) : keyType;
    const seen = new Map(rows.map((row) => [JSON.stringify(row[0]), row[0] as Cell]));
    const lines: Cell[] = [...seen.values()]
      .map((cell): Cell => cell)
      .filter(() => !some(0.05))
      .concat(draw.int(3) === 0 ? [1] : [], fault() ? [2, 2] : [], [null])
      .map((cell) =>
        own === keyType || cell === null || typeof cell === "boolean" || !Number.isFinite(Number(cell))
          ? cell
          : own === "BIGINT"
            ? Math.round(Number(cell))
            : Number(cell),
      );
    const fits = (cell: Cell): boolean => {
      if (cell === null || own === "VARCHAR") return true;
      if (own === "BOOLEAN") return typeof cell === "boolean";
      if (own === "DATE") return typeof cell === "string" && cell.startsWith("2024");
      return cell !== "" && typeof cell !== "boolean" && (Number.isFinite(Number(cell)) || (cell === "inf" && own === "DOUBLE"));
    };
    const unique = new Map<string, Cell>(lines.filter(fits).map((cell) => [String(cell), cell]));
    const kept = fault() ? lines.filter(fits) : [...unique.values()];
    // Children with more keys than k have no table of their own here: those of k are joined to all that the other columns hold.
    const rest = names.slice(1, depth);
    const made = table(
      [
        ["k", own],
        ["x", weightType],
      ],
      kept.map((cell) => [cell, some(weightNulls) ? null : numberOf(draw, weightType, faults)]),
    );
    const others = rest.map((name) => {
      const text = name === "sensor" ? sensors.map(([id]) => id!) : ["eu", "us", "as", "x", "y", "z", "top", "end", "r0", "r1", "r2", "r3"];
      return `(select * from (values ${text.map((one) => `('${one}')`).join(", ")}, (null::VARCHAR)) t_${name}(${name}))`;
    });
    return {
      table: { sql: depth === 0 ? "select 2 as x" : `select * from (${made}) ${others.map((one) => `cross join ${one}`).join(" ")}` },
      value: "x",
      ...missing(),
    };
  };
  const levels = depths.map((depth, i) => {
    const reduce = draw.pick([
      "sum",
      "mean",
      "min",
      "max",
      "count",
      "variance",
      "weightedSum",
      "weightedMean",
      "weightedSum",
      "weightedMean",
    ]);
    return { name: `level${i}`, by: names.slice(0, depth), reduce, ...(reduce.startsWith("weighted") ? { weights: weightsOf(i) } : {}) };
  });
  return {
    source: {
      sql: table(columns, rows),
      ...(draw.int(2) === 0
        ? { where: draw.pick(["kept", "v is not null -- the rest", "k is not null and kept", "sensor in (select 's1' union select 's2')"]) }
        : {}),
      ...(hierarchy === "path" || hierarchy === "both" ? { path } : {}),
      ...(hierarchy === "parents" || hierarchy === "both" ? { parents } : {}),
    },
    value: "v",
    int64: draw.pick(["exact", "exact", "exact", "number", "number", "reject"]),
    nan: draw.pick(["propagate", "skip", "error"]),
    nullKeys: draw.pick(["error", "skip", "group", "group"]),
    levels,
  };
}

type Told = Pick<FourfoldError, "code" | "message" | "fix" | "at" | "given" | "expected">;
const told = ({ code, message, fix, at, given, expected }: FourfoldError): Told => ({ code, message, fix, at, given, expected });

async function run(path: string, spill: "never" | "always", accuracy: "reproducible" | "exact"): Promise<Result | FourfoldError> {
  return engine.run(await loadSpec(path, { spill }), { keep: "all", accuracy }).catch((error: unknown) => {
    if (error instanceof FourfoldError) return error;
    throw error;
  });
}

/** Every node of every level; `toEqual` compares numbers by Object.is. */
const nodesOf = (levels: readonly unknown[], view: (name: string) => ReturnType<Result["level"]>): unknown =>
  levels.map((_, i) =>
    Array.from(view(`level${i}`), (node) => [
      node.path,
      node.value,
      node.count,
      node.weight,
      i === 0 ? 0 : node.children().map(({ path, weight }) => [path, weight]),
    ]),
  );

describe("random specs", () => {
  test(`${CASES} of them give the same nodes, weights and files in parts as in memory, or the same error`, {
    timeout: CASES * 2000,
  }, async () => {
    const codes = new Map<string, number>();
    const places = allowedPlaces(folder.path, []);
    for (let seed = FIRST; seed < FIRST + CASES; seed++) {
      const spec = makeSpec(seed);
      const levels = spec["levels"] as unknown[];
      const path = folder.spec("spec.json", spec);
      const accuracy = seed % 3 === 0 ? "exact" : "reproducible";
      const inMemory = await run(path, "never", accuracy);
      const inParts = await run(path, "always", accuracy);
      const code = inMemory instanceof FourfoldError ? inMemory.code : "none";
      codes.set(code, (codes.get(code) ?? 0) + 1);
      if (inMemory instanceof FourfoldError) {
        expect({ seed, error: inParts instanceof FourfoldError ? told(inParts) : "none" }).toEqual({ seed, error: told(inMemory) });
        continue;
      }
      if (inParts instanceof FourfoldError) throw new Error(`case ${seed}`, { cause: inParts });
      expect(inParts.plan.backend).toBe("parts");
      const nodes = nodesOf(levels, (name) => inMemory.level(name));
      expect({ seed, nodes: nodesOf(levels, (name) => inParts.level(name)) }).toEqual({ seed, nodes });
      // Two parts of two nodes at most, cut again and again.
      const options = { accuracy, keep: levels.map(() => true) } as const;
      const { views } = await rollUp(parseSpec(JSON.stringify(spec)), places, { nodesMax: 2, partsMax: 2 }, options);
      expect({ seed, nodes: nodesOf(levels, (name) => levelView(views, name)) }).toEqual({ seed, nodes });
      await writeResult(inMemory, `${folder.path}/memory.parquet`);
      await writeResult(inParts, `${folder.path}/parts.parquet`);
      expect({ seed, same: folder.bytes("parts.parquet").equals(folder.bytes("memory.parquet")) }).toEqual({ seed, same: true });
    }
    if (process.env["FOURFOLD_TABLES"] !== undefined) process.stderr.write(`${JSON.stringify(Object.fromEntries(codes))}\n`);
    expect(codes.get("none")).toBeGreaterThan(CASES / 5);
    expect(codes.size).toBeGreaterThan(2);
  });
});
