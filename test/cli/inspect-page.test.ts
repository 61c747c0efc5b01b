// The figures of docs/inspect.md: the flights, and the flights before June, as the page says.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { outputOf, ROOT } from "../child.ts";
import { query } from "../files/fixture.ts";
import { departure } from "../printed.ts";
import { folderOf, fourfold } from "./bin.ts";

interface Document {
  fourfold?: unknown;
  levels: { nodes: { path: string[]; count: number; weight?: number }[] }[];
}

const spec = readFileSync(join(ROOT, "examples", "flights.json"), "utf8").replaceAll("../node_modules", join(ROOT, "node_modules"));
const DATA = join(ROOT, "node_modules", "vega-datasets", "data");
const folder = folderOf({
  "flights.json": spec,
  "may.json": spec.replace("a.iata = f.origin", "a.iata = f.origin where f.date < '2001-06-01'"),
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeAll(async () => {
  const distances = new Map(
    (
      await query(
        `select a.state, f.origin, f.destination, any_value(f.distance)::double from '${DATA}/flights-3m.parquet' f join '${DATA}/airports.csv' a on a.iata = f.origin group by all`,
      )
    ).map(([state, origin, destination, distance]) => [`${state}/${origin}/${destination}`, distance as number]),
  );
  const { levels } = JSON.parse(spec) as { levels: { name: string; reduce: string; by: string[] }[] };
  for (const name of ["flights", "may"]) {
    const run = ["run", `${name}.json`, "--keep", "all", "--format", "json", "--allow-path", DATA];
    const document = JSON.parse(await outputOf(fourfold(run, { cwd: folder }))) as Document;
    // What the result says of itself, from the spec and the data: its own weights and metadata have to be these.
    const meta = levels.map((level, index) => ({
      name: level.name,
      index,
      reduce: level.reduce,
      keys: level.by,
      weighted: level.reduce === "weightedMean",
    }));
    document.fourfold = { version: 1, levels: meta, contract: "1", accuracy: "reproducible", nan: "propagate", records: 3_000_000 };
    for (const node of document.levels[0]!.nodes) node.weight = distances.get(node.path.join("/"))!;
    for (const node of document.levels[1]!.nodes) node.weight = node.count;
    writeFileSync(join(folder, `${name}.result.json`), JSON.stringify(document));
  }
}, 120_000);

const blocks = [
  ...readFileSync(join(ROOT, "docs", "inspect.md"), "utf8").matchAll(/npx fourfold (inspect .*)\n```\n\n```text\n([^`]*)```/g),
].map(([, command, text]) => [command!, text!] as const);

test("the page has its examples", () => expect(blocks.length).toBe(2));

test.each(blocks)("fourfold %s prints what the page shows", async (command, text) => {
  expect(departure(text, await outputOf(fourfold(command.split(" "), { cwd: folder })))).toBeUndefined();
});

test("the contributions to every state add up, and are what it says", async () => {
  const nation = JSON.parse(await outputOf(fourfold(["inspect", "flights.result.json", "--format", "json"], { cwd: folder })));
  expect(nation.children.length).toBe(52);
  expect(nation.childrenGive).toBeUndefined();
  for (const { value, contribution } of nation.children) expect(contribution).toBe(value / 52);
});
