/** An answer for programs: JSON, CSV and NDJSON. Texts are made piece by piece, so that millions of nodes need no one string. */
import { csvRow, jsonKey, jsonNumber, jsonNumbers, keyCell, keyNames, numberCell, textCell } from "../reduce/cells.ts";
import type { Node } from "../reduce/result.ts";
import type { Answer } from "./question.ts";

/** The big-endian bytes of a float64 in hexadecimal. */
export function bitsOf(value: number): string {
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setFloat64(0, value);
  return bytes.getBigUint64(0).toString(16).padStart(16, "0");
}

const jsonBits = (values: Iterable<number>): string => `[${Array.from(values, (value) => `"${bitsOf(value)}"`).join(",")}]`;

/** One JSON object, a node a line. */
export function* json({ result, kept, elapsedMs }: Answer): Generator<string> {
  const { values, shape, plan, records, contract } = result;
  const single = values.length === 1;
  yield "{\n";
  yield `  "value": ${single ? jsonNumber(values[0]!) : "null"},\n`;
  yield `  "values": ${jsonNumbers(values)},\n`;
  yield `  "shape": ${JSON.stringify(shape)},\n`;
  yield `  "bits": ${single ? `"${bitsOf(values[0]!)}"` : jsonBits(values)},\n`;
  const { errorBound } = result;
  if (errorBound !== undefined) yield `  "errorBound": ${jsonNumber(errorBound)},\n`;
  yield '  "levels": [';
  for (const [i, { name, columns, index, view }] of kept.entries()) {
    yield `${i === 0 ? "" : ","}\n    { "name": ${JSON.stringify(name)}, "keys": ${JSON.stringify(columns)}, "nodes": [`;
    const counted = kept[i - 1]?.index === index - 1; // children are nodes: they can be counted where the level inside is kept, too
    let first = true;
    for (const node of view) {
      yield `${first ? "" : ","}\n      ${jsonNode(node, counted)}`;
      first = false;
    }
    yield "\n    ] }";
  }
  yield "\n  ],\n";
  if (result.rejected !== undefined) yield `  "rejected": ${JSON.stringify(result.rejected)},\n`;
  yield `  "records": ${records},\n  "elapsedMs": ${jsonNumber(elapsedMs)},\n`;
  yield `  "backend": ${JSON.stringify(plan.backend)},\n  "accuracy": ${JSON.stringify(plan.accuracy)},\n  "nan": ${JSON.stringify(plan.nan)},\n  "contract": ${JSON.stringify(contract)}\n}\n`;
}

function jsonNode({ path, values, count, children }: Node, counted: boolean): string {
  const key = path.length === 0 ? "null" : jsonKey(path.at(-1)!);
  return `{"key":${key},"path":[${path.map(jsonKey).join(",")}],${jsonValue(values)},"count":${count}${counted ? `,"children":${children().length}` : ""}}`;
}

/** A node's value and bits; lists where the chain has several outputs. */
function jsonValue(values: readonly number[]): string {
  if (values.length === 1) return `"value":${jsonNumber(values[0]!)},"bits":"${bitsOf(values[0]!)}"`;
  return `"value":null,"values":${jsonNumbers(values)},"bits":${jsonBits(values)}`;
}

/** One JSON object for each node, a node a line. */
export function* ndjson({ kept }: Answer): Generator<string> {
  for (const { name, columns, view } of kept)
    for (const { path, values, count } of view) {
      const keys = path.map((key, i) => `${JSON.stringify(columns[i]!)}:${jsonKey(key)}`).join(",");
      yield `{"level":${JSON.stringify(name)},"keys":{${keys}},${jsonValue(values)},"count":${count}}\n`;
    }
}

/** A row for each node, as RFC 4180 has it. */
export function* csv({ kept }: Answer): Generator<string> {
  const columns = kept[0]!.columns; // the innermost level's keys begin with those of every other
  const outermost = kept.at(-1)!.view;
  const outputs = outermost.length === 0 ? 1 : outermost.values.length / outermost.length;
  const values = outputs === 1 ? ["value"] : Array.from({ length: outputs }, (_, i) => `value${i}`);
  const own = ["level", ...values, "count"];
  yield csvRow(["level", ...keyNames(columns, own), ...values, "count"].map(textCell));
  for (const { name, view } of kept)
    for (const node of view) {
      const keys = columns.map((_, i) => (i < node.path.length ? keyCell(node.path[i]!) : ""));
      // Levels inside the one with the weight matrix have one value.
      const cells = values.map((_, i) => (i < node.values.length ? numberCell(node.values[i]!) : ""));
      yield csvRow([textCell(name), ...keys, ...cells, String(node.count)]);
    }
}
