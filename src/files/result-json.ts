/** A result in a JSON document, as `fourfold run --format json` writes it: the metadata under "fourfold", the nodes under "levels". */
import { show } from "../errors.ts";
import { hexBits } from "../reduce/cells.ts";
import type { Key } from "../reduce/key.ts";
import { fieldsOf, isCount, METADATA_KEY, notResult, type ResultMetadata, readMetadata } from "./result-metadata.ts";
import { ResultRows } from "./result-rows.ts";

/** Reads the text of a document. @param name what messages call it */
export function readJsonResult(text: string, name: string, memoryBytesMax: number): { metadata: ResultMetadata; rows: ResultRows } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw notResult(name, `it is no JSON (${(error as Error).message.split("\n")[0]!.slice(0, 200)})`);
  }
  const document = fieldsOf(value);
  if (document?.[METADATA_KEY] === undefined) throw notResult(name, `it has no metadata ${show(METADATA_KEY)}`);
  const metadata = readMetadata(document[METADATA_KEY], name);
  const rows = new ResultRows(name, metadata, memoryBytesMax);
  const { levels } = document;
  if (!Array.isArray(levels)) throw notResult(name, `its "levels" are ${show(levels)}, expected a list`);
  const seen = new Set<number>();
  let row = 0;
  for (const [i, entry] of (levels as unknown[]).entries()) {
    const { name: level, nodes } = fieldsOf(entry) ?? {};
    const place = metadata.levels.findIndex((one) => one.name === level);
    if (place < 0 || seen.has(place))
      throw notResult(name, `"levels" ${i} is ${show(level)}, expected a level of the metadata, once`, level);
    seen.add(place);
    if (!Array.isArray(nodes)) throw notResult(name, `the nodes of level ${show(level)} are ${show(nodes)}, expected a list`, nodes);
    for (const node of nodes as unknown[]) addNode(rows, metadata, place, node, row++);
  }
  return { metadata, rows };
}

function addNode(rows: ResultRows, { levels }: ResultMetadata, level: number, node: unknown, row: number): void {
  const fail = (what: string, given: unknown, column: string): never => {
    throw rows.fail(row, `${what}, given ${show(given)}`, given, column);
  };
  const { path, value, values, bits, count, weight } = fieldsOf(node) ?? fail("a node is an object", node, "nodes");
  const { keys } = levels[level]!;
  if (!Array.isArray(path) || path.length !== keys.length || !path.every(isKey)) fail(`its path has ${keys.length} keys`, path, "path");
  const several = Array.isArray(values);
  const read = (several ? (values as unknown[]) : [value]).map((one) => numberOf(one) ?? fail("its value is a number", one, "value"));
  const exact = several ? bits : [bits];
  if (bits !== undefined && !(Array.isArray(exact) && exact.length === read.length && read.every((one, r) => hexBits(one) === exact[r])))
    fail("its bits are those of its value", bits, "bits");
  if (!isCount(count)) fail("its count is a whole number", count, "count");
  const weighs =
    weight === undefined || weight === null ? undefined : (numberOf(weight) ?? fail("its weight is a number", weight, "weight"));
  rows.add(
    { level, path: (path as Key[]).map((key) => (Object.is(key, -0) ? 0 : key)), values: read, count: count as number, weight: weighs },
    row,
  );
}

const isKey = (key: unknown): key is Key => key === null || typeof key === "string" || typeof key === "boolean" || typeof key === "number";

const SPECIALS: ReadonlyMap<unknown, number> = new Map([
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
]);

/** A number, or one of those that JSON writes as texts. */
function numberOf(value: unknown): number | undefined {
  return typeof value === "number" ? value : SPECIALS.get(value);
}
