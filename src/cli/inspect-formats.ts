/** What `fourfold inspect` found, for programs: JSON and CSV, line by line. */
import type { ChangePiece, Contribution, NodeChange, NodeContributions, StoredNode, StoredResult } from "../files/index.ts";
import { csvRow, hexBits, jsonKey, jsonNumber, jsonNumbers, keyCell, keyNames, numberCell, textCell } from "../reduce/cells.ts";

/** A node's value for an output; levels inside the one with the weight matrix have one value. */
export const valueFor = ({ values }: StoredNode, output: number): number => values[values.length === 1 ? 0 : output]!;

const jsonOr = (value: number | undefined): string => (value === undefined ? "null" : jsonNumber(value));

/** The fields of a node; the value that was asked for, and with several outputs all of them. */
function fieldsOf({ level, path, value, values, count, weight }: StoredNode): string {
  const several = values.length === 1 ? "" : `,"values":${jsonNumbers(values)}`;
  const weighs = weight === undefined ? "" : `,"weight":${jsonNumber(weight)}`;
  return `"level":${JSON.stringify(level)},"path":[${path.map(jsonKey).join(",")}],"value":${jsonNumber(value)}${several},"bits":"${hexBits(value)}","count":${count}${weighs}`;
}

function aboutResult({ file, contract, accuracy, nan, records }: StoredResult): string {
  return `{ "file": ${JSON.stringify(file)}, "contract": ${JSON.stringify(contract)}, "accuracy": ${JSON.stringify(accuracy)}, "nan": ${JSON.stringify(nan)}, "records": ${records} }`;
}

function* list<T>(items: Iterable<T>, text: (item: T) => string): Generator<string> {
  let first = true;
  for (const item of items) {
    yield `${first ? "" : ","}\n    ${text(item)}`;
    first = false;
  }
  yield first ? "]" : "\n  ]";
}

/** A node and its children; without `opened` they are not in the result. */
export function* jsonChildren(result: StoredResult, node: StoredNode, opened: NodeContributions | undefined): Generator<string> {
  const level = result.levels.find(({ name }) => name === node.level)!;
  yield `{\n  "result": ${aboutResult(result)},\n  "node": {${fieldsOf(node)}},\n  "reduce": ${JSON.stringify(level.reduce)}`;
  if (opened !== undefined) {
    const { value, children, others, residual, why, differs } = opened;
    yield `,\n  "value": ${jsonNumber(value)},\n  "children": [`;
    yield* list(children, jsonChild);
    if (others) yield `,\n  "others": { "children": ${others.children}, "contribution": ${jsonOr(others.contribution)} }`;
    yield `,\n  "residual": ${jsonOr(residual)}`;
    if (why !== undefined) yield `,\n  "why": ${JSON.stringify(why)}`;
    if (differs !== undefined) yield `,\n  "childrenGive": ${jsonNumber(differs)}`;
  }
  yield "\n}\n";
}

function jsonChild({ node, contribution, kept, decides }: Contribution): string {
  return `{${fieldsOf(node)},"contribution":${jsonOr(contribution)}${kept ? "" : ',"skipped":true'}${decides ? ',"decides":true' : ""}}`;
}

/** All nodes of a level. */
export function* jsonNodes(result: StoredResult, level: string): Generator<string> {
  yield `{\n  "result": ${aboutResult(result)},\n  "level": ${JSON.stringify(level)},\n  "nodes": [`;
  yield* list(result.nodes(level), (node) => `{${fieldsOf(node)}}`);
  yield "\n}\n";
}

/** Why a node changed. */
export function* jsonChange(before: StoredResult, after: StoredResult, change: NodeChange): Generator<string> {
  const { pieces, others, residual, rounding, totals } = change;
  yield `{\n  "before": { "result": ${aboutResult(before)}, "node": {${fieldsOf(change.node.before)}}, "value": ${jsonNumber(change.before)} }`;
  yield `,\n  "after": { "result": ${aboutResult(after)}, "node": {${fieldsOf(change.node.after)}}, "value": ${jsonNumber(change.after)} }`;
  yield `,\n  "change": ${jsonNumber(change.change)},\n  "totals": { ${Object.entries(totals)
    .map(([kind, total]) => `"${kind}": ${jsonNumber(total)}`)
    .join(", ")} },\n  "pieces": [`;
  yield* list(pieces, jsonPiece);
  if (others) yield `,\n  "others": { "pieces": ${others.pieces}, "effect": ${jsonNumber(others.effect)} }`;
  yield `,\n  "residual": ${jsonOr(residual)},\n  "rounding": ${jsonOr(rounding)}\n}\n`;
}

function jsonPiece({ kind, before, after, effect, why }: ChangePiece): string {
  const { level, path } = after ?? before!;
  const side = (node: StoredNode | undefined): string =>
    node === undefined
      ? "null"
      : `{"value":${jsonNumber(node.value)}${node.weight === undefined ? "" : `,"weight":${jsonNumber(node.weight)}`}}`;
  const reason = why === undefined ? "" : `,"why":${JSON.stringify(why)}`;
  return `{"kind":"${kind}","level":${JSON.stringify(level)},"path":[${path.map(jsonKey).join(",")}],"before":${side(before)},"after":${side(after)},"effect":${jsonNumber(effect)}${reason}}`;
}

const cell = (value: number | undefined): string => (value === undefined ? "" : numberCell(value));

/** Column names, those of the keys of a level after the first one. */
function head(keys: readonly string[], first: string, ...rest: readonly string[]): string {
  return csvRow([first, "level", ...keyNames(keys, [first, "level", ...rest]), ...rest].map(textCell));
}

/** A row: what it is, level, keys and numbers. */
function row(kind: string, keys: readonly string[], node: StoredNode | undefined, ...numbers: readonly (number | undefined)[]): string {
  const cells = keys.map((_, i) => (node !== undefined && i < node.path.length ? keyCell(node.path[i]!) : ""));
  return csvRow([kind, node === undefined ? "" : textCell(node.level), ...cells, ...numbers.map(cell)]);
}

const keysAt = ({ levels }: StoredResult, level: string): readonly string[] => levels.find(({ name }) => name === level)!.keys;

/** Children, others, residual, and the node, whose contribution is the sum of all rows above it. */
export function* csvChildren(result: StoredResult, node: StoredNode, opened: NodeContributions | undefined): Generator<string> {
  const inner = opened?.children[0]?.node.level ?? node.level;
  const keys = keysAt(result, inner);
  yield head(keys, "row", "value", "weight", "count", "contribution");
  if (opened !== undefined) {
    for (const { node: child, contribution, kept } of opened.children)
      yield row(kept ? "child" : "skipped", keys, child, valueFor(child, opened.output), child.weight, child.count, contribution);
    if (opened.others) yield row("others", keys, undefined, undefined, undefined, undefined, opened.others.contribution);
    if (opened.residual !== undefined) yield row("residual", keys, undefined, undefined, undefined, undefined, opened.residual);
  }
  yield row("node", keys, node, opened?.value ?? node.value, node.weight, node.count, opened?.value ?? node.value);
}

/** All nodes of a level. */
export function* csvNodes(result: StoredResult, level: string): Generator<string> {
  const keys = keysAt(result, level);
  yield head(keys, "row", "value", "weight", "count");
  for (const node of result.nodes(level)) yield row("node", keys, node, node.value, node.weight, node.count);
}

/** Pieces, others, residual, and the change, whose effect is the sum of all rows above it. */
export function* csvChange(
  result: StoredResult,
  { pieces, others, residual, rounding, change, node, before, after }: NodeChange,
): Generator<string> {
  const { keys } = result.levels[0]!;
  yield head(keys, "row", "before", "after", "weight before", "weight after", "effect");
  for (const { kind, before, after, effect } of pieces)
    yield row(kind, keys, after ?? before, before?.value, after?.value, before?.weight, after?.weight, effect);
  const line = (kind: string, effect: number | undefined): string =>
    row(kind, keys, undefined, undefined, undefined, undefined, undefined, effect);
  if (others) yield line("others", others.effect);
  if (residual !== undefined) yield line("residual", residual);
  if (rounding !== undefined && rounding !== 0) yield line("rounding", rounding);
  yield row("change", keys, node.after, before, after, node.before.weight, node.after.weight, change);
}
