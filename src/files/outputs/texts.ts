/** A result as text: JSON, NDJSON and CSV, made piece by piece. */
import { csvRow, hexBits, jsonKey, jsonNumber, jsonNumbers, keyCell, numberCell, textCell } from "../../reduce/cells.ts";
import type { Node } from "../../reduce/result.ts";
import { mixedText } from "./key-kinds.ts";
import type { ResultTable } from "./result-table.ts";

const jsonBits = (values: Iterable<number>): string => `[${Array.from(values, (value) => `"${hexBits(value)}"`).join(",")}]`;

/** One JSON object, a node a line. `elapsedMs` is told where it is known. */
export function* json(table: ResultTable, elapsedMs: number | undefined): Generator<string> {
  const { values, shape, plan, records, contract, errorBound, rejected } = table.result;
  const single = values.length === 1;
  yield "{\n";
  yield `  "fourfold": ${table.metadata(table.keys)},\n`;
  yield `  "value": ${single ? jsonNumber(values[0]!) : "null"},\n`;
  yield `  "values": ${jsonNumbers(values)},\n`;
  yield `  "shape": ${JSON.stringify(shape)},\n`;
  yield `  "bits": ${single ? `"${hexBits(values[0]!)}"` : jsonBits(values)},\n`;
  if (errorBound !== undefined) yield `  "errorBound": ${jsonNumber(errorBound)},\n`;
  yield '  "levels": [';
  for (const [i, { name, keys, index, view }] of table.levels.entries()) {
    yield `${i === 0 ? "" : ","}\n    { "name": ${JSON.stringify(name)}, "keys": ${JSON.stringify(keys)}, "nodes": [`;
    const counted = table.levels[i - 1]?.index === index - 1; // children are nodes: they can be counted where the level inside is kept, too
    let first = true;
    for (const node of view) {
      yield `${first ? "" : ","}\n      ${jsonNode(node, counted)}`;
      first = false;
    }
    yield "\n    ] }";
  }
  yield "\n  ],\n";
  yield `  "records": ${records},\n`;
  if (rejected !== undefined) yield `  "rejected": ${JSON.stringify(rejected)},\n`;
  if (elapsedMs !== undefined) yield `  "elapsedMs": ${jsonNumber(elapsedMs)},\n`;
  yield `  "backend": ${JSON.stringify(plan.backend)},\n  "accuracy": ${JSON.stringify(plan.accuracy)},\n  "nan": ${JSON.stringify(plan.nan)},\n  "contract": ${JSON.stringify(contract)}\n}\n`;
}

function jsonNode(node: Node, counted: boolean): string {
  const { path } = node;
  const key = path.length === 0 ? "null" : jsonKey(path.at(-1)!);
  return `{"key":${key},"path":[${path.map(jsonKey).join(",")}],${jsonValue(node)}${counted ? `,"children":${node.children().length}` : ""}}`;
}

/** A node's value, bits, count and, where it has one, weight; lists where the chain has several outputs. */
function jsonValue({ values, count, weight }: Node): string {
  const value =
    values.length === 1
      ? `"value":${jsonNumber(values[0]!)},"bits":"${hexBits(values[0]!)}"`
      : `"value":null,"values":${jsonNumbers(values)},"bits":${jsonBits(values)}`;
  return `${value},"count":${count}${weight === undefined ? "" : `,"weight":${jsonNumber(weight)}`}`;
}

/** One JSON object for each node, a node a line. */
export function* ndjson({ levels }: ResultTable): Generator<string> {
  for (const { name, keys, view } of levels)
    for (const node of view) {
      const named = node.path.map((key, i) => `${JSON.stringify(keys[i]!)}:${jsonKey(key)}`).join(",");
      yield `{"level":${JSON.stringify(name)},"keys":{${named}},${jsonValue(node)}}\n`;
    }
}

/** A row for each node, as RFC 4180 has it; a column of weights where any node has one. */
export function* csv(table: ResultTable): Generator<string | Uint8Array> {
  const { levels, valueNames, hasWeights } = table;
  const kinds = yield* table.kinds();
  const last = hasWeights ? ["count", "weight"] : ["count"];
  const keys = table.keyNames(["level", ...valueNames, ...last]);
  yield csvRow(["level", ...keys, ...valueNames, ...last].map(textCell));
  for (const { name, view } of levels)
    for (const { path, values, count, weight } of view) {
      const parts = keys.map((_, i) => {
        const key = i < path.length ? path[i]! : null;
        return typeof key === "string" ? textCell(kinds.isMixed(i) ? mixedText(key) : key) : keyCell(key);
      });
      // Levels inside the one with the weight matrix have one value.
      const cells = valueNames.map((_, i) => (i < values.length ? numberCell(values[i]!) : ""));
      const weights = hasWeights ? [weight === undefined ? "" : numberCell(weight)] : [];
      yield csvRow([textCell(name), ...parts, ...cells, String(count), ...weights]);
    }
}
