/**
 * Tables that are cut into parts by range of key against the same tables read into memory, and against test/oracle.py: contract clauses 1, 3, 4,
 * 6, 7, 8, 10 and 10a do not know how a table was read.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FourfoldError } from "../../src/errors.ts";
import { allowedPlaces } from "../../src/files/folders.ts";
import { type LoadOptions, loadSpec } from "../../src/files/index.ts";
import { rollUp } from "../../src/files/large-table.ts";
import { parseSpec } from "../../src/files/spec.ts";
import { createEngine, type Engine, type Result } from "../../src/index.ts";
import type { Key } from "../../src/reduce/key.ts";
import { levelView } from "../../src/reduce/result.ts";
import { hex as hexes } from "../failing.ts";
import { ask, type Question } from "../oracle.ts";
import { type Random, random } from "../random.ts";
import { Folder } from "./fixture.ts";

const CASES = Number(process.env["FOURFOLD_TABLES"] ?? 12);

const folder = new Folder();
let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ workers: 0 });
});
afterAll(async () => {
  await engine.close();
  folder.remove();
});

type Cell = Key | undefined;
interface Row {
  readonly keys: readonly Cell[];
  readonly value: number | null;
  readonly weight: number | null;
  /** Weights of the levels above the innermost, the same for all rows of a child. */
  readonly outer: readonly (number | null)[];
}

interface Case {
  readonly spec: Record<string, unknown>;
  readonly rows: readonly Row[];
  readonly depths: readonly number[];
  readonly levels: readonly {
    readonly reduce: string;
    readonly ddof: number;
    readonly weights: "column" | "table" | "count" | "list" | undefined;
  }[];
  readonly nan: "propagate" | "skip";
  readonly nullKeys: "skip" | "group";
  /** The weight of a child of level i, by its key. */
  readonly weightOf: (i: number, key: readonly Key[]) => number | null;
  readonly list: readonly number[];
}

const COLUMNS: Record<string, { readonly type: string; readonly draw: (random: Random, spread: number) => Key }> = {
  text: { type: "VARCHAR", draw: (random, spread) => random.pick(["ä", "a", "Z", "\u{1f600}", "\uffee", "", "a b"]) + random.int(spread) },
  small: { type: "TINYINT", draw: (random) => random.int(5) - 2 },
  whole: { type: "BIGINT", draw: (random, spread) => (random.int(spread) - 3) * 1_000_003 },
  far: { type: "BIGINT", draw: (random) => random.pick([-(2 ** 51), 2 ** 51, 0, 17]) },
  real: { type: "DOUBLE", draw: (random, spread) => random.int(spread) / 8 - 1 },
  yes: { type: "BOOLEAN", draw: (random) => random.int(2) === 1 },
};

const REDUCES = ["sum", "mean", "min", "max", "count", "variance", "weightedSum", "weightedMean"];

const literal = (cell: Cell | number | null, type: string): string => {
  if (cell === null || cell === undefined) return `null::${type}`;
  if (typeof cell === "string") return `'${cell}'::${type}`;
  return `'${Object.is(cell, -0) ? "-0.0" : String(cell)}'::${type}`;
};

const compare = (a: Key, b: Key): number => {
  if (a === b) return 0;
  if (a === null || b === null) return a === null ? -1 : 1;
  if (typeof a === "string") return Buffer.compare(Buffer.from(a), Buffer.from(b as string)); // code points are in the order of their UTF-8
  return a < b ? -1 : 1;
};

const text = (key: readonly Key[]): string => JSON.stringify(key);

/** A weight made of a key, so that all rows of a child have it. */
const weightFrom = (salt: number, special: boolean, key: readonly Key[]): number | null => {
  const draw = random([...text(key)].reduce((hash, letter) => Math.imul(hash, 31) + letter.codePointAt(0)!, salt));
  return special && draw.int(6) === 0 ? draw.pick([null, 0, -1, Number.POSITIVE_INFINITY]) : draw.next() * 10 - 2;
};

function makeCase(seed: number): Case {
  const draw = random(seed);
  const kinds = Array.from({ length: draw.int(4) }, () => draw.pick(Object.keys(COLUMNS)));
  const names = kinds.map((_, k) => `key${k}`);
  const count = 1 + draw.int(4);
  const depths = [kinds.length];
  while (depths.length < count) depths.push(draw.int(depths.at(-1)! + 1));
  const nan = draw.pick(["propagate", "skip"] as const);
  const nullKeys = draw.pick(["skip", "group"] as const);
  const special = draw.int(2) === 0;
  const spread = draw.pick([2, 5, 40]);
  const flavour = draw.pick(["plain", "cancelling", "specials", "integers", "zeros"]);
  const list = Array.from({ length: 1 + draw.int(3) }, () => draw.int(9) / 4 - 1);
  const levels = depths.map((_, i) => {
    const reduce = draw.pick(REDUCES);
    const weighted = reduce.startsWith("weighted");
    return {
      reduce,
      ddof: draw.int(2),
      weights: !weighted ? undefined : i === 0 ? ("column" as const) : draw.pick(["column", "table", "count", "list"] as const),
    };
  });
  const weightOf = (i: number, key: readonly Key[]): number | null => weightFrom(seed + i, special, key);
  const rows = Array.from({ length: draw.pick([0, 1, 40, 300]) }, (): Row => {
    const keys = kinds.map((kind) => (draw.int(12) === 0 && kind !== "far" ? null : COLUMNS[kind]!.draw(draw, spread)));
    const value = draw.numbers(1, flavour)[0]!;
    return {
      keys,
      value: draw.int(15) === 0 ? null : value,
      weight: draw.int(15) === 0 ? null : draw.numbers(1, special ? flavour : "plain")[0]!,
      outer: depths.slice(1).map((_, i) => weightOf(i + 1, keys.slice(0, depths[i]!))),
    };
  });
  const cells = (row: Row): string =>
    `(${[
      ...row.keys.map((key, k) => literal(key, COLUMNS[kinds[k]!]!.type)),
      literal(row.value, "DOUBLE"),
      literal(row.weight, "DOUBLE"),
      ...row.outer.map((weight) => literal(weight, "DOUBLE")),
    ].join(", ")})`;
  const columns = [...names, "v", "w", ...depths.slice(1).map((_, i) => `w${i + 1}`)];
  const table = (header: readonly string[], lines: readonly string[], types: readonly string[]): string =>
    lines.length > 0
      ? `select * from (values ${lines.join(", ")}) t(${header.join(", ")})`
      : `select ${header.map((name, c) => `null::${types[c]} as ${name}`).join(", ")} where false`;
  const types = [...kinds.map((kind) => COLUMNS[kind]!.type), "DOUBLE", "DOUBLE", ...depths.slice(1).map(() => "DOUBLE")];
  const weightsOf = (i: number): unknown => {
    const { weights } = levels[i]!;
    if (weights === "column") return { column: i === 0 ? "w" : `w${i}` };
    if (weights === "count") return "count";
    if (weights === "list") return list;
    const depth = depths[i - 1]!;
    const seen = new Map(rows.map(({ keys }) => [text(keys.slice(0, depth) as Key[]), keys.slice(0, depth)]));
    const lines = [...seen.values()].map(
      (keys) =>
        `(${[...keys.map((key, k) => literal(key, COLUMNS[kinds[k]!]!.type)), literal(weightOf(i, keys as Key[]), "DOUBLE")].join(", ")})`,
    );
    return { table: { sql: table([...names.slice(0, depth), "x"], lines, [...types.slice(0, depth), "DOUBLE"]) }, value: "x" };
  };
  return {
    spec: {
      source: { sql: table(columns, rows.map(cells), types) },
      value: "v",
      nan,
      nullKeys,
      levels: levels.map(({ reduce, ddof, weights }, i) => ({
        name: `level${i}`,
        by: names.slice(0, depths[i]),
        reduce,
        ...(reduce === "variance" ? { ddof } : {}),
        ...(weights === undefined ? {} : { weights: weightsOf(i) }),
      })),
    },
    rows,
    depths,
    levels,
    nan,
    nullKeys,
    weightOf,
    list,
  };
}

const hex = (value: number): string => hexes([value])[0]!;

let specs = 0;

async function run(
  spec: unknown,
  options: LoadOptions,
  accuracy: "reproducible" | "exact" = "reproducible",
): Promise<Result | FourfoldError> {
  const loaded = await loadSpec(folder.spec(`${specs++}.json`, spec), options);
  return engine.run(loaded, { keep: "all", accuracy }).catch((error: unknown) => {
    if (error instanceof FourfoldError) return error;
    throw error;
  });
}

/** Every node of every level, and what `value` is. */
function told(result: Result, levels: number): unknown {
  const nodes = Array.from({ length: levels }, (_, i) =>
    Array.from(result.level(`level${i}`), ({ path, key, value, count, children }) => [
      path,
      key,
      hex(value),
      count,
      i === 0 ? undefined : children().map((child) => [child.path, hex(child.value)]),
    ]),
  );
  return [nodes, hexes(result.values), result.shape, result.records];
}

/** The chain as a question, its records grouped here. */
function questionOf({ rows, depths, levels, nan, nullKeys, weightOf, list }: Case, accuracy: "reproducible" | "exact"): Question {
  const kept = rows.filter(({ keys }) => nullKeys === "group" || !keys.includes(null));
  const sorted = kept.toSorted((a, b) => {
    for (const [k, key] of a.keys.entries()) if (key !== b.keys[k]) return compare(key as Key, b.keys[k] as Key);
    return 0;
  });
  let children: { readonly key: readonly Key[]; readonly weight?: number | null }[] = sorted.map(({ keys, weight }) => ({
    key: keys as Key[],
    weight,
  }));
  const asked = levels.map(({ reduce, ddof, weights }, i) => {
    const depth = depths[i]!;
    const offsets: number[] = [];
    const nodes: { key: readonly Key[] }[] = [];
    const within: number[] = [];
    for (const [c, child] of children.entries()) {
      if (nodes.length === 0 || text(nodes.at(-1)!.key) !== text(child.key.slice(0, depth))) {
        offsets.push(c);
        nodes.push({ key: child.key.slice(0, depth) });
      }
      within.push(c - offsets.at(-1)!);
    }
    if (depth === 0 && nodes.length === 0) {
      offsets.push(0);
      nodes.push({ key: [] });
    }
    offsets.push(children.length);
    const weightOfChild = (c: number): number | null =>
      weights === "list" ? (list[within[c]!] ?? 0) : i === 0 ? children[c]!.weight! : weightOf(i, children[c]!.key);
    const given =
      weights === undefined ? null : weights === "count" ? ("count" as const) : children.map((_, c) => hex(weightOfChild(c) ?? Number.NaN));
    children = nodes;
    return { kind: reduce, ddof: reduce === "variance" ? ddof : 0, offsets, weights: given };
  });
  return { levels: asked, leaves: sorted.map(({ value }) => hex(value ?? Number.NaN)), form: "records", nan, accuracy };
}

describe("random tables", () => {
  test(`${CASES} of them have the same bits in parts as in memory, at every node of every level, and the same errors; the values are those of Python's fractions`, {
    timeout: CASES * 2000,
  }, async () => {
    const questions: Question[] = [];
    const answers: string[][][] = [];
    for (let seed = 0; seed < CASES; seed++) {
      const one = makeCase(seed);
      const accuracy = seed % 3 === 0 ? "exact" : "reproducible";
      const inMemory = await run(one.spec, { spill: "never" }, accuracy);
      const inParts = await run(one.spec, { spill: "always" }, accuracy);
      if (inMemory instanceof FourfoldError) {
        const { code, at } = inMemory;
        expect({ seed, error: inParts }).toMatchObject({ seed, error: { code, at: { level: at?.level, pointer: at?.pointer } } });
        continue;
      }
      if (inParts instanceof FourfoldError) throw new Error(`case ${seed}`, { cause: inParts });
      expect(inParts.plan.backend).toBe("parts");
      expect({ seed, told: told(inParts, one.levels.length) }).toEqual({ seed, told: told(inMemory, one.levels.length) });
      questions.push(questionOf(one, accuracy));
      answers.push(one.levels.map((_, i) => hexes(inParts.level(`level${i}`).values)));
      // Two parts of two nodes at most, cut again and again.
      const options = { accuracy, keep: one.levels.map(() => true) } as const;
      const places = allowedPlaces(folder.path, []);
      const { views } = await rollUp(parseSpec(JSON.stringify(one.spec)), places, { nodesMax: 2, partsMax: 2 }, options);
      expect({ seed, cut: one.levels.map((_, i) => hexes(levelView(views, `level${i}`).values)) }).toEqual({ seed, cut: answers.at(-1) });
    }
    expect(questions.length).toBeGreaterThan(CASES / 3);
    expect(answers).toEqual(await ask(questions));
  });
});
