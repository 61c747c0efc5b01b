// What the formats hold, on a table whose keys are as awkward as keys can be.
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { outputOf, runChild } from "../child.ts";
import { query } from "../files/fixture.ts";
import { BIN, bitsOf, folderOf, fourfold, specOf } from "./bin.ts";

const KEYS = ["=1+1", "+1", "-1", "@a", 'say "hi"', "a,b", "two\nlines", "plain", "\tTab", "\u001b[31mred", "Ölñ"];
const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
const rows = KEYS.map((key, i) => `de,${quoted(key)},${i}.5`);
const folder = folderOf({
  "awkward.csv": `country,city,x\n${rows.join("\n")}\nfr,Paris,nan\n`,
  "awkward.json": specOf("awkward.csv"),
  "weighted.json": specOf("awkward.csv", {
    levels: [
      { name: "city", by: ["country", "city"], reduce: "sum" },
      { name: "country", by: ["country"], reduce: "weightedMean", weights: "count" },
      { name: "world", by: [], reduce: "max" },
    ],
  }),
  "clash.csv": "value,x\n1,2\n3,4\n",
  "clash.json": JSON.stringify({ source: { file: "clash.csv" }, value: "x", levels: [{ name: "only", by: ["value"], reduce: "sum" }] }),
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const spec = join(folder, "awkward.json");
const output = (...args: string[]): Promise<string> => outputOf(fourfold(["run", spec, ...args]));

interface Answer {
  value: unknown;
  values: unknown[];
  bits: unknown;
  levels: {
    name: string;
    keys: string[];
    nodes: { key: unknown; path: unknown[]; value: unknown; bits: string; count: number; children?: number }[];
  }[];
}

describe("--format json", () => {
  let answer: Answer;
  beforeAll(async () => {
    answer = JSON.parse(await output("--keep", "all", "--format", "json")) as Answer;
  });

  test("holds NaN as a string and every value's bits, big endian", () => {
    expect(answer).toMatchObject({
      value: "NaN",
      values: ["NaN"],
      bits: "7ff8000000000000",
      records: KEYS.length + 1,
      backend: "wasm",
      contract: "1",
    });
    const plain = answer.levels[0]!.nodes.find(({ key }) => key === "plain")!;
    expect(plain).toMatchObject({ path: ["de", "plain"], value: 7.5, bits: bitsOf(7.5), count: 1 });
  });

  test("lists the kept levels innermost first, nodes in order of key, with their children counted", () => {
    expect(answer.levels.map(({ name, keys, nodes }) => [name, keys, nodes.length])).toEqual([
      ["city", ["country", "city"], KEYS.length + 1],
      ["country", ["country"], 2],
      ["world", [], 1],
    ]);
    expect(answer.levels[1]!.nodes.map(({ path, children }) => [path, children])).toEqual([
      [["de"], KEYS.length],
      [["fr"], 1],
    ]);
    expect(new Set(answer.levels[0]!.nodes.map(({ key }) => key))).toEqual(new Set([...KEYS, "Paris"]));
  });

  test("without --keep holds the outermost level alone", async () => {
    expect((JSON.parse(await output("--format", "json")) as Answer).levels.map(({ name }) => name)).toEqual(["world"]);
  });
});

test("--format ndjson is one JSON object a line, a node each", async () => {
  const lines = (await output("--keep", "city,country", "--format", "ndjson")).trimEnd().split("\n");
  const nodes = lines.map((line) => JSON.parse(line) as { level: string; keys: Record<string, unknown>; value: unknown; count: number });
  expect(nodes.length).toBe(KEYS.length + 1 + 2 + 1);
  expect(nodes.find(({ keys }) => keys["city"] === "two\nlines")).toEqual({
    level: "city",
    keys: { country: "de", city: "two\nlines" },
    value: 6.5,
    bits: bitsOf(6.5),
    count: 1,
  });
  expect(nodes.at(-1)).toMatchObject({ level: "world", keys: {}, value: "NaN" });
});

describe("--format csv", () => {
  let csv: string[][];
  beforeAll(async () => {
    csv = parseCsv(await output("--keep", "all", "--format", "csv"));
  });

  test("is RFC 4180: every row has the header's cells and comes back as it was", () => {
    expect(csv[0]).toEqual(["level", "country", "city", "value", "count"]);
    expect(csv.every((row) => row.length === 5)).toBe(true);
    const cities = csv.filter(([level]) => level === "city").map(([, , city]) => city!.replace(/^'/, ""));
    expect(new Set(cities)).toEqual(new Set([...KEYS, "Paris"]));
    expect(csv.find(([level]) => level === "world")).toEqual(["world", "", "", "NaN", "12"]);
  });

  test("no text cell starts a formula in a spreadsheet, and numbers stay numbers", () => {
    const texts = csv.flatMap(([level, country, city]) => [level!, country!, city!]);
    expect(texts.filter((text) => /^[=+\-@\t\r]/.test(text))).toEqual([]);
    expect(texts.filter((text) => text.startsWith("'")).length).toBe(5);
    expect(csv.find(([, , city]) => city === "'-1")![3]).toBe("2.5");
  });

  test("a key column called like one of the command's own gets another name", async () => {
    const text = await outputOf(fourfold(["run", join(folder, "clash.json"), "--format", "csv"]));
    expect(parseCsv(text)).toEqual([
      ["level", "key value", "value", "count"],
      ["only", "1", "2", "1"],
      ["only", "3", "4", "1"],
    ]);
  });
});

describe("--format table", () => {
  test("passes on no control character of a key to the terminal", async () => {
    const text = await output("--keep", "city");
    expect(text).toContain("\\u001b[31mred");
    expect(text).not.toMatch(/[^\P{Cc}\n]/u);
  });

  test("--best says which end is best", async () => {
    expect(await output("--keep", "city", "--best", "highest")).toMatch(/best cities \(highest\)[\s\S]*worst cities \(lowest\)/);
    expect(await output("--keep", "city")).toMatch(/lowest cities[\s\S]*highest cities/);
  });

  test("nodes without a value are counted and not ranked", async () => {
    expect(await output()).toContain("1 country without a value (NaN)");
  });
});

test("--out holds the same bytes that stdout would, and prints nothing", async () => {
  const file = join(folder, "nodes.csv");
  const ended = await fourfold(["run", spec, "--keep", "all", "--format", "csv", "--out", file]);
  expect(ended).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(readFileSync(file, "utf8")).toBe(await output("--keep", "all", "--format", "csv"));
});

describe("where a level weighs its children, its nodes have their weight", () => {
  const weighted = (...args: string[]): Promise<string> =>
    outputOf(fourfold(["run", join(folder, "weighted.json"), "--keep", "all", ...args]));

  test("as the last column of CSV, empty at other levels", async () => {
    const rows = parseCsv(await weighted("--format", "csv"));
    expect(rows[0]).toEqual(["level", "country", "city", "value", "count", "weight"]);
    expect(new Set(rows.slice(1).map((row) => `${row[0]} ${row[5]}`))).toEqual(new Set(["city 1", "country ", "world "]));
  });

  test("as a field of NDJSON and JSON, absent at other levels", async () => {
    const lines = (await weighted("--format", "ndjson")).trimEnd().split("\n");
    const nodes = lines.map((line) => JSON.parse(line) as { level: string; weight?: number });
    expect(new Set(nodes.map(({ level, weight }) => `${level} ${weight}`))).toEqual(
      new Set(["city 1", "country undefined", "world undefined"]),
    );
    const { levels } = JSON.parse(await weighted("--format", "json")) as { levels: { nodes: { weight?: number }[] }[] };
    expect(levels.map(({ nodes }) => nodes[0]!.weight)).toEqual([1, undefined, undefined]);
  });
});

describe("--out", () => {
  const run = async (...args: string[]): Promise<void> => {
    expect(await fourfold(["run", spec, ...args])).toEqual({ code: 0, stdout: "", stderr: "" });
  };

  test("says the format by its ending: Parquet and Arrow hold the rows that CSV holds", async () => {
    const path = join(folder, "nodes.parquet");
    await run("--keep", "all", "--out", path);
    const cities = await query(`select level, country, city, value, count, weight from '${path}' where level = 'city'`);
    expect(new Set(cities.map((row) => row[2]))).toEqual(new Set([...KEYS, "Paris"]));
    const json = await query(`select decode(value) from parquet_kv_metadata('${path}') where decode(key) = 'fourfold'`);
    expect(JSON.parse(json[0]![0] as string)).toMatchObject({ version: 1, records: 12 });
    const arrow = join(folder, "nodes.arrow");
    await run("--keep", "all", "--out", arrow);
    expect(readFileSync(arrow).toString("latin1", 0, 6)).toBe("ARROW1");
  });

  test("--format goes before the ending, and other endings hold the table", async () => {
    for (const [name, format, start] of [
      ["a.csv", "ndjson", "{"],
      ["b.csv", "table", "answer"],
      ["c.txt", undefined, "answer"],
      ["d.jsonl", undefined, "{"],
    ] as const) {
      await run(...(format ? ["--format", format] : []), "--out", join(folder, name));
      expect(readFileSync(join(folder, name), "utf8").startsWith(start), name).toBe(true);
    }
  });

  test("NPY holds the one level that --keep names, and without it the outermost", async () => {
    for (const [keep, values] of [[["--keep", "country"], 2] as const, [[], 1] as const]) {
      const path = join(folder, "values.npy");
      await run(...keep, "--out", path);
      expect(readFileSync(path).length).toBe(128 + 8 * values);
    }
  });

  test("holds the bytes that a pipe is given", async () => {
    for (const format of ["parquet", "arrow", "npz"]) {
      const path = join(folder, `pipe.${format}`);
      const command = '"$0" "$1" run "$2" --keep all --format "$3" | cat > "$4"';
      await outputOf(runChild("sh", ["-c", command, process.execPath, BIN, spec, format, path]));
      await run("--keep", "all", "--out", `${path}.${format}`);
      expect(readFileSync(path).equals(readFileSync(`${path}.${format}`)), format).toBe(true);
    }
  });
});

test("a format that is not text is refused on a terminal, before any work", async () => {
  const program = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
  for (const format of ["parquet", "arrow", "npy", "npz"]) {
    const { code, stdout } = await runChild("python3", ["-c", program, process.execPath, BIN, "run", spec, "--format", format]);
    expect(code).toBe(2);
    expect(stdout).toContain(`--format ${format} is not for a terminal. Name a file: --out nodes.${format}`);
  }
  expect(readdirSync(folder).filter((name) => name.startsWith("."))).toEqual([]);
});

/** A reader of RFC 4180 that knows nothing of the writer. */
function parseCsv(text: string): string[][] {
  const table: string[][] = [[]];
  let cell = "";
  let inside = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (inside) {
      if (c !== '"') cell += c;
      else if (text[i + 1] === '"') cell += text[++i];
      else inside = false;
    } else if (c === '"') inside = true;
    else if (c === ",") {
      table.at(-1)!.push(cell);
      cell = "";
    } else if (c === "\r" && text[i + 1] === "\n") {
      table.at(-1)!.push(cell);
      cell = "";
      table.push([]);
      i++;
    } else cell += c;
  }
  expect(table.pop()).toEqual([]);
  return table;
}
