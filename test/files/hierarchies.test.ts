// Hierarchies that a spec makes: from a column of paths and from a table of parents, against exact rational arithmetic over columns made here.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEngine, type Engine } from "../../src/index.ts";
import { random } from "../random.ts";
import { Folder, failure, nested } from "./fixture.ts";
import { type Rolled, reference, rolled } from "./reference.ts";

const folder = new Folder();
let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ workers: 0 });
});
afterAll(async () => {
  await engine.close();
  folder.remove();
});

const NAMES = ["continent", "country", "city", "sensor"];
const rng = random(11);
const PATHS = Array.from({ length: 40 }, () => ["eu", "us"].map(() => `${rng.int(3)}`)).map(([a, b], i) => [
  `w${a}`,
  `w${a}.${b}`,
  `w${a}.${b}.${i % 4}`,
  `s${i}`,
]);
const RECORDS = Array.from({ length: 500 }, () => ({ path: rng.pick(PATHS), value: (rng.next() - 0.5) * 10 ** rng.int(14) }));

/** Levels over the columns of a hierarchy, outermost first. */
const levelsOf = (names: readonly string[]): { name: string; by: string[]; reduce: "sum" | "mean" }[] =>
  [...names, ""].map((_, i) => ({
    name: `level ${i}`,
    by: names.slice(0, names.length - i),
    reduce: i % 2 === 0 ? "sum" : "mean",
  }));

function same(given: Rolled, expected: Rolled): void {
  expect(given.map((level) => level.map(([key]) => key))).toEqual(expected.map((level) => level.map(([key]) => key)));
  for (const [i, level] of given.entries()) for (const [node, [, value]] of level.entries()) expect(value).toBe(expected[i]![node]![1]);
}

describe('"path"', () => {
  const path = { column: "place", separator: "/", names: NAMES };
  const spec = (rows: readonly (readonly [unknown, number])[], more: object = {}, rest: object = {}): object => {
    writeFileSync(join(folder.path, "p.ndjson"), rows.map(([place, value]) => `${JSON.stringify({ place, value })}\n`).join(""));
    return { source: { file: "p.ndjson", path: { ...path, ...more } }, value: "value", levels: levelsOf(NAMES), ...rest };
  };

  test.each(["/", " > ", "'é"])("parted by %j gives one column for each name", async (separator) => {
    const given = await rolled(
      engine,
      folder.spec(
        "spec.json",
        spec(
          RECORDS.map((one) => [one.path!.join(separator), one.value] as const),
          { separator },
        ),
      ),
    );
    same(
      given,
      reference(
        [...NAMES, "value"],
        RECORDS.map((one) => [...one.path!, one.value]),
        levelsOf(NAMES),
      ),
    );
  });

  const SHORT = RECORDS.map((one, i) => ({ ...one, path: one.path!.slice(0, 1 + (i % 4)) }));
  const rows = SHORT.map((one) => [one.path.join("/"), one.value] as const);

  test('short: "repeat" puts the last part in place of those that are missing', async () => {
    const given = await rolled(engine, folder.spec("spec.json", spec(rows, { short: "repeat" })));
    const padded = SHORT.map(({ path: parts, value }) => [...NAMES.map((_, i) => parts[i] ?? parts.at(-1)), value]);
    same(given, reference([...NAMES, "value"], padded, levelsOf(NAMES)));
  });

  test('short: "null" leaves them null: a group of their own, or what nullKeys says', async () => {
    const grouped = folder.spec("spec.json", spec(rows, { short: "null" }, { nullKeys: "group" }));
    const padded = SHORT.map(({ path: parts, value }) => [...NAMES.map((_, i) => parts[i] ?? null), value]);
    same(await rolled(engine, grouped), reference([...NAMES, "value"], padded, levelsOf(NAMES)));
    const skipped = folder.spec("spec.json", spec(rows, { short: "null" }, { nullKeys: "skip" }));
    const whole = padded.filter((row) => !row.includes(null));
    same(await rolled(engine, skipped), reference([...NAMES, "value"], whole, levelsOf(NAMES)));
    const error = await failure(folder.read(spec(rows, { short: "null" })));
    expect([error.code, error.message.includes('key column "country" is null')]).toEqual(["ERR_FOURFOLD_KEYS", true]);
  });

  test("a null path is a null key at every level; columns of numbers can be paths of one part", async () => {
    const one = { names: ["a"] };
    const by = { levels: [{ name: "x", by: ["a"], reduce: "sum" }], nullKeys: "group" };
    expect(
      nested(
        await folder.read(
          spec(
            [
              [null, 1],
              ["b", 2],
            ],
            one,
            by,
          ),
        ),
      ),
    ).toEqual([
      [[null], [1]],
      [["b"], [2]],
    ]);
    expect(
      nested(
        await folder.read(
          spec(
            [
              [7, 1],
              [12, 2],
            ],
            one,
            by,
          ),
        ),
      ),
    ).toEqual([
      [["12"], [2]],
      [["7"], [1]],
    ]);
  });

  test.each([
    ["eu/de/berlin/s17/x", {}, 'the path "eu/de/berlin/s17/x" in row 1 of column "place" has 5 parts, expected 4 parts'],
    ["eu/de/berlin", {}, 'the path "eu/de/berlin" in row 1 of column "place" has 3 parts'],
    ["eu//berlin/s1", {}, 'the path "eu//berlin/s1" in row 1 of column "place" has an empty part'],
    ["/de/berlin/s1", {}, "has an empty part"],
    ["eu/de/", { short: "repeat" }, "has an empty part"],
    ["", { short: "null" }, "has an empty part"],
    ["a/b/c/d/e", { short: "repeat" }, "has 5 parts"],
  ])("%j %j is an error that names row and path", async (bad, more, message) => {
    const good = "eu/de/berlin/s17";
    const error = await failure(
      folder.read(
        spec(
          [
            [good, 1],
            [bad, 2],
            [good, 3],
            [bad, 4],
          ],
          more,
        ),
      ),
    );
    expect(error.message).toContain(message);
    expect(error.code).toBe("ERR_FOURFOLD_KEYS");
    expect(error.at).toMatchObject({ pointer: "/source/path", row: 1, column: "place", line: 1 });
  });

  test.each([
    [{ column: "plaec" }, 'Did you mean "place"?', "ERR_FOURFOLD_COLUMN"],
    [{ names: ["Value", "b", "c", "d"] }, 'p.ndjson has a column "Value" already', "ERR_FOURFOLD_COLUMN"],
  ])("%j is an error with its place", async (more, message, code) => {
    const error = await failure(folder.read(spec([["a/b/c/d", 1]], more)));
    expect(error.message).toContain(message);
    expect([error.code, error.at?.pointer]).toEqual([code, "/source/path"]);
  });
});

describe('"parents"', () => {
  const NAMES2 = ["continent", "country", "city"];
  /** Child and parent: a row for each node, or none for those without a parent. */
  const EDGES = new Map<string, string | null>();
  for (const [continent, country, city, sensor] of PATHS as [string, string, string, string][]) {
    EDGES.set(sensor, city);
    EDGES.set(city, country);
    EDGES.set(country, continent);
  }
  const table = (edges: Iterable<readonly [unknown, unknown]>): void =>
    writeFileSync(
      join(folder.path, "nodes.ndjson"),
      [...edges].map(([id, parent]) => `${JSON.stringify({ id, parent })}\n`).join("") || '{"id":null,"parent":null}\n',
    );
  const spec = (
    rows: readonly (readonly [unknown, number])[],
    edges: Iterable<readonly [unknown, unknown]>,
    more: object = {},
    rest: object = {},
  ): object => {
    table(edges);
    writeFileSync(join(folder.path, "r.ndjson"), rows.map(([sensor, value]) => `${JSON.stringify({ sensor, value })}\n`).join(""));
    const parents = { key: "sensor", table: { file: "nodes.ndjson" }, child: "id", parent: "parent", names: NAMES2, ...more };
    return { source: { file: "r.ndjson", parents }, value: "value", levels: levelsOf([...NAMES2, "sensor"]), ...rest };
  };
  const rows = RECORDS.map((one) => [one.path![3], one.value] as const);
  const ALL = [...NAMES2, "sensor"];

  test.each([
    ["without rows for the topmost", EDGES],
    ["with rows for the topmost", [...EDGES, ...[...new Set(PATHS.map(([top]) => top))].map((top) => [top, null] as const)]],
    ["with rows given twice", [...EDGES, ...EDGES]],
    [
      "with branches that no record uses, deeper than the names",
      [...EDGES, ["x1", "s1"], ["x2", "x1"], ["x3", "x2"]] as [string, string][],
    ],
  ])("a table %s gives each record its ancestors, outermost first", async (_, edges) => {
    const given = await rolled(engine, folder.spec("spec.json", spec(rows, edges as Iterable<[string, string]>)));
    same(
      given,
      reference(
        [...ALL, "value"],
        RECORDS.map((one) => [...one.path!, one.value]),
        levelsOf(ALL),
      ),
    );
  });

  test("keys may be numbers, and the table anything that a source may be", async () => {
    folder.file("n.csv", "child;up\n1;10\n2;10\n3;20\n10;100\n20;100\n999;1\n");
    const parents = {
      key: "k",
      table: { file: "n.csv", csv: { delimiter: ";" }, where: "child < 900" },
      child: "child",
      parent: "up",
      names: ["top", "mid"],
    };
    const read = await folder.read({
      source: { sql: "select unnest([1, 2, 3, 1]) as k, unnest([1, 2, 4, 8]) as v", parents },
      value: "v",
      levels: [
        { name: "mid", by: ["mid"], reduce: "sum" },
        { name: "all", by: [], reduce: "sum" },
      ],
    });
    expect(nested(read)).toEqual([
      [
        [],
        [
          [[10], [1, 2, 8]],
          [[20], [4]],
        ],
      ],
    ]);
  });

  // s1 hangs below a city, s2 below a country, s3 below a continent, and w0 is a continent with records of its own.
  const UNEVEN = [
    ["s1", "c"],
    ["c", "b"],
    ["b", "w0"],
    ["s2", "b"],
    ["s3", "w0"],
  ] as const;
  const unevenRows = [
    ["s1", 1],
    ["s2", 2],
    ["s3", 4],
    ["w0", 8],
    ["s1", 16],
  ] as const;

  test('short: "repeat" puts the nearest ancestor in place of those that are missing', async () => {
    const given = await rolled(engine, folder.spec("spec.json", spec(unevenRows, UNEVEN, { short: "repeat" })));
    const lines: Record<string, string[]> = {
      s1: ["w0", "b", "c"],
      s2: ["w0", "b", "b"],
      s3: ["w0", "w0", "w0"],
      w0: ["w0", "w0", "w0"],
    };
    same(
      given,
      reference(
        [...ALL, "value"],
        unevenRows.map(([s, v]) => [...lines[s]!, s, v]),
        levelsOf(ALL),
      ),
    );
  });

  test('short: "null" leaves them null', async () => {
    const given = await rolled(engine, folder.spec("spec.json", spec(unevenRows, UNEVEN, { short: "null" }, { nullKeys: "group" })));
    const lines: Record<string, (string | null)[]> = {
      s1: ["w0", "b", "c"],
      s2: ["w0", "b", null],
      s3: ["w0", null, null],
      w0: [null, null, null],
    };
    same(
      given,
      reference(
        [...ALL, "value"],
        unevenRows.map(([s, v]) => [...lines[s]!, s, v]),
        levelsOf(ALL),
      ),
    );
  });

  test.each([
    [
      [
        ["s1", 1],
        ["zz", 2],
        ["zz", 3],
      ],
      UNEVEN,
      { short: "repeat" },
      'sensor "zz" in row 1 is not in the parents table nodes.ndjson',
      1,
    ],
    [
      [
        ["s1", 1],
        ["s2", 2],
      ],
      UNEVEN,
      {},
      'sensor "s2" in row 1 has 2 ancestors in nodes.ndjson, expected 3 (continent, country, city)',
      1,
    ],
    [[["s1", 1]], UNEVEN, { names: ["a", "b"] }, 'sensor "s1" in row 0 has more than 2 ancestors', 0],
    [[["s1", 1]], [...UNEVEN, ["s1", "b"]], {}, 'the parents table nodes.ndjson gives "s1" two parents: "b" and "c"', undefined],
    [[["s1", 1]], [...UNEVEN, ["c", null]], {}, 'gives "c" two parents: null and "b"', undefined],
    [[["s1", 1]], [...UNEVEN, ["w0", "c"]], {}, /goes round in a circle: ("\w+" → ){3}"\w+"/, undefined],
    [[["s1", 1]], [...UNEVEN, ["x", "x"]], {}, 'goes round in a circle: "x" → "x"', undefined],
    [[["s1", 1]], [...UNEVEN, [null, "x"]], {}, 'the parents table nodes.ndjson has no "id" in row 5', 5],
    [[[1, 1]], UNEVEN, {}, 'column "id" holds texts, and column "sensor" numbers', undefined],
  ] as [[unknown, number][], [unknown, unknown][], object, string | RegExp, number | undefined][])(
    "%j over %j %j is an error that names the key",
    async (records, edges, more, message, row) => {
      const error = await failure(folder.read(spec(records, edges, more)));
      expect(error.message).toMatch(message);
      expect(["ERR_FOURFOLD_KEYS", "ERR_FOURFOLD_COLUMN"]).toContain(error.code);
      expect(error.at).toMatchObject({ pointer: "/source/parents", line: 1 });
      expect(error.at?.row).toBe(row);
    },
  );

  test("a long circle below a long line is found in as many rounds as its length has digits", async () => {
    const n = 5000;
    const edges = Array.from({ length: n }, (_, i) => [`n${i}`, `n${i < n - 1 ? i + 1 : n / 2}`] as const);
    const error = await failure(folder.read(spec([["n0", 1]], edges)));
    expect(error.message).toMatch(/goes round in a circle: "n\d+" → .*…/);
  });

  test("a line of 5,000 ancestors is deeper than the names, and an error like any other", async () => {
    const edges = Array.from({ length: 5000 }, (_, i) => [`n${i}`, `n${i + 1}`] as const);
    expect((await failure(folder.read(spec([["n0", 1]], edges)))).message).toContain("has more than 3 ancestors");
    expect(nested(await folder.read(spec([["n4999", 1]], edges, { names: ["top"] }, { levels: levelsOf(["top"]) })))).toEqual([
      [[], [[["n5000"], [1]]]],
    ]);
  });

  test("a table of parents and a path go together: the key may be a part of the path", async () => {
    folder.file("both.csv", "place,v\na/s1,1\nb/s2,2\na/s1,4\n");
    folder.file("up.csv", "id,parent\ns1,north\ns2,south\n");
    const read = await folder.read({
      source: {
        file: "both.csv",
        path: { column: "place", names: ["hall", "sensor"] },
        parents: { key: "sensor", table: { file: "up.csv" }, child: "id", parent: "parent", names: ["region"] },
      },
      value: "v",
      levels: [{ name: "region", by: ["region", "hall"], reduce: "sum" }],
    });
    expect(nested(read)).toEqual([
      [
        ["north", "a"],
        [1, 4],
      ],
      [["south", "b"], [2]],
    ]);
  });
});
