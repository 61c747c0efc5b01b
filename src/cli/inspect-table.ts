/** What `fourfold inspect` found, for people: a node, its children by the size of what they give, and the lines that make the sum exact. */
import type { ChangePiece, NodeChange, NodeContributions, StoredNode, StoredResult } from "../files/index.ts";
import { hexBits, numberCell } from "../reduce/cells.ts";
import type { Key } from "../reduce/key.ts";
import { harmless } from "./failure.ts";
import { valueFor } from "./inspect-formats.ts";
import { digits, grouped, plural, rows } from "./table.ts";

const line = (heading: string, text: string): string => `${heading.padEnd(10)}${text}\n`;

const pathText = (path: readonly Key[]): string => harmless(path.map(String).join(" / "));

/** A node by its level and path: `state TX`. */
function nameOf({ level, path }: StoredNode): string {
  return `${harmless(level)}${path.length === 0 ? "" : ` ${pathText(path)}`}`;
}

const percent = (part: number, whole: number): string => {
  const share = (part / whole) * 100;
  return Number.isFinite(share) ? `${share.toFixed(2)} %` : "";
};

/** A table: texts to the left, numbers aligned by their points. Columns without any text are left out. */
function* columns(
  headings: readonly string[],
  lines: readonly (readonly string[])[],
  isText: (column: number) => boolean,
  bold: (text: string) => string,
): Generator<string> {
  const shown = headings.flatMap((heading, column) => {
    const cells = lines.map((cells) => cells[column] ?? "");
    if (cells.every((cell) => cell === "")) return [];
    const texts = isText(column) ? cells : aligned(cells);
    const inner = widest(texts);
    const width = Math.max(heading.length, inner);
    return isText(column)
      ? [[heading, ...texts].map((text) => text.padEnd(width))]
      : [[heading.padStart(width), ...texts.map((text) => text.padEnd(inner).padStart(width))]];
  });
  const text = (i: number): string => `  ${shown.map((column) => column[i]).join("  ")}`.trimEnd();
  yield `${bold(text(0))}\n`;
  for (let i = 1; i <= lines.length; i++) yield `${text(i)}\n`;
}

const widest = (texts: readonly string[]): number => texts.reduce((most, text) => Math.max(most, text.length), 0);

function aligned(cells: readonly string[]): string[] {
  const before = cells.map((cell) => (cell === "" ? 0 : `${cell}.`.indexOf(".")));
  const point = Math.max(0, ...before);
  return cells.map((cell, i) => (cell === "" ? "" : " ".repeat(point - before[i]!) + cell));
}

const bolder =
  (colour: boolean) =>
  (text: string): string =>
    colour ? `\x1b[1m${text}\x1b[22m` : text;

function* about({ accuracy, nan, contract, levels }: StoredResult, bold: (text: string) => string, node: StoredNode): Generator<string> {
  const { reduce } = levels.find(({ name }) => name === node.level)!;
  yield line("node", `${bold(nameOf(node))}, ${harmless(reduce)}`);
  yield line("result", `accuracy ${harmless(accuracy)}, nan ${nan}, contract ${harmless(contract)}`);
}

/** A node and its children; without `opened` they are not in the result. */
export function* tableChildren(
  result: StoredResult,
  node: StoredNode,
  opened: NodeContributions | undefined,
  colour: boolean,
): Generator<string> {
  const bold = bolder(colour);
  yield* about(result, bold, node);
  const value = opened?.value ?? node.value;
  yield line("value", bold(digits(value)));
  yield line("bits", hexBits(value));
  if (node.weight !== undefined) yield line("weight", numberCell(node.weight));
  yield line("records", grouped(node.count));
  if (opened === undefined) {
    yield line("children", `not in the result: ${harmless(node.level)} is the innermost level that was kept`);
    return;
  }
  const { children, others, residual, why, differs, output } = opened;
  const share = (part: number | undefined): string => (part === undefined ? "" : percent(part, value));
  const given = (part: number | undefined): string => (part === undefined ? "" : digits(part));
  const lines = children
    .toSorted((a, b) => Number(b.decides) - Number(a.decides))
    .map(({ node: child, contribution, kept, decides }) => [
      `${pathText(child.path.slice(node.path.length))}${kept ? "" : " (skipped)"}${decides ? " (decides)" : ""}`,
      digits(valueFor(child, output)),
      child.weight === undefined ? "" : numberCell(child.weight),
      grouped(child.count),
      given(contribution),
      share(contribution),
    ]);
  if (others) lines.push([`… ${grouped(others.children)} more`, "", "", "", given(others.contribution), share(others.contribution)]);
  if (residual !== undefined) lines.push(["residual", "", "", "", digits(residual), ""], ["sum", "", "", "", digits(value), ""]);
  const heading = harmless(children[0]?.node.level ?? "children");
  yield "\n";
  yield* columns([heading, "value", "weight", "records", "contribution", "share"], lines, (column) => column === 0, bold);
  if (why !== undefined) yield `\n${line("note", harmless(why))}`;
  if (differs !== undefined)
    yield `\n${line("note", `the children give ${digits(differs)}: levels between may not have been kept, or the value was computed in float32`)}`;
}

/** Nodes of a level, those of the largest values first. */
export function* tableNodes(result: StoredResult, level: string, top: number, colour: boolean): Generator<string> {
  const bold = bolder(colour);
  const nodes = [...result.nodes(level)];
  const ranked = nodes.toSorted((a, b) => size(b.value) - size(a.value));
  yield `${bold(`${grouped(nodes.length)} ${plural(harmless(level))}`)}\n${rows(ranked.slice(0, top))}`;
  if (nodes.length > top) yield `  … ${grouped(nodes.length - top)} more\n`;
}

const size = (value: number): number => (value === value ? Math.abs(value) : -1);

/** Why a node changed. */
export function* tableChange(before: StoredResult, after: StoredResult, change: NodeChange, colour: boolean): Generator<string> {
  const bold = bolder(colour);
  const { pieces, others, residual, rounding, totals } = change;
  yield* about(after, bold, change.node.after);
  yield line("before", `${digits(change.before)}  ${harmless(before.file)}`);
  yield line("after", `${digits(change.after)}  ${harmless(after.file)}`);
  yield line("change", bold(digits(change.change)));
  const kinds = (["value", "weight", "new", "gone"] as const).filter((kind) => totals[kind] !== 0);
  if (kinds.length > 0) yield line("by", kinds.map((kind) => `${KINDS[kind]} ${digits(totals[kind])}`).join(", "));
  const start = change.node.after.path.length;
  const part = (x: number): string => percent(x, change.change);
  const lines = pieces.map((piece) => {
    const node = (piece.after ?? piece.before)!;
    return [...sides(piece, node, start), digits(piece.effect), part(piece.effect)];
  });
  if (others) lines.push([`… ${grouped(others.pieces)} more`, "", "", "", digits(others.effect), part(others.effect)]);
  if (residual !== undefined) {
    lines.push(["residual", "", "", "", digits(residual), ""]);
    if (rounding !== undefined && rounding !== 0) lines.push(["rounding", "", "", "", digits(rounding), ""]);
    lines.push(["change", "", "", "", digits(change.change), ""]);
  }
  if (lines.length > 0) {
    yield "\n";
    yield* columns(["node", "by its", "before", "after", "effect", "share"], lines, (column) => column <= 1, bold);
  }
  const closed = new Set(pieces.flatMap(({ why }) => (why === undefined ? [] : [why])));
  if (closed.size > 0) yield `\n${line("note", `not opened further: ${harmless([...closed].join("; "))}`)}`;
  if (residual === undefined) yield `\n${line("note", "not all of it is finite, so there is no residual")}`;
}

const KINDS = { value: "values", weight: "weights", new: "new nodes", gone: "nodes that are gone" } as const;

/** Node, kind, and what was there before and after: values, or weights where the level has them. */
function sides({ kind, before, after }: ChangePiece, node: StoredNode, start: number): string[] {
  const name = node.path.length === start ? harmless(node.level) : pathText(node.path.slice(start));
  const side = (one: StoredNode | undefined): string => {
    if (one === undefined) return "";
    if (kind !== "weight") return digits(one.value);
    return one.weight === undefined ? "" : numberCell(one.weight);
  };
  return [name, kind, side(before), side(after)];
}
