/** An answer for people: the value with all of its digits, the ends of each kept level, and what ran. */
import { hexBits } from "../reduce/cells.ts";
import type { Node } from "../reduce/result.ts";
import { harmless } from "./failure.ts";
import { bytes } from "./progress.ts";
import type { Answer } from "./question.ts";

/** Nodes shown at each end of a level. */
const ENDS = 5;

/** Values shown of an answer with several. */
const VALUES_MAX = 20;

/** How a table is drawn. */
export interface TableOptions {
  /** Which end of the values is the best one; without it the ends are called lowest and highest. */
  readonly best: "lowest" | "highest" | undefined;
  readonly colour: boolean;
}

/** The table, part by part. */
export function* table(answer: Answer, { best, colour }: TableOptions): Generator<string> {
  const bold = (text: string): string => (colour ? `\x1b[1m${text}\x1b[22m` : text);
  const { result, levels, kept, elapsedMs } = answer;
  const { plan, values, shape, records } = result;
  yield* valueLines(values, shape, bold);
  if (result.errorBound !== undefined) yield line("error", `at most ${result.errorBound}`);
  yield line("nodes", plan.levels.map(({ name, nodes }) => counted(nodes, harmless(name))).join(" → "));
  yield line("records", `${grouped(records)} in ${inWords(elapsedMs)}, ${grouped(Math.round(records / (elapsedMs / 1000)))} a second`);
  yield line("backend", `${plan.backend}, accuracy ${plan.accuracy}, contract ${result.contract}`);
  if (plan.parts !== undefined) yield line("on disk", onDisk(plan.parts));
  if (plan.levels.at(-1)!.nodes === 1)
    for (const { name, view } of kept.toReversed()) if (name !== levels.at(-1)!.name) yield* ends(name, [...view], best, bold);
  yield `\n${bold("plan")}\n${indented(harmless(String(plan), true))}\n`;
}

function* valueLines(values: Float64Array, shape: readonly number[], bold: (text: string) => string): Generator<string> {
  if (values.length === 1) {
    yield line("answer", bold(digits(values[0]!)));
    yield line("bits", hexBits(values[0]!));
    return;
  }
  yield line("answer", `${counted(values.length, "value")}, shape [${shape.join(", ")}]`);
  for (const value of values.subarray(0, VALUES_MAX)) yield line("", `${digits(value).padEnd(24)}  ${hexBits(value)}`);
  if (values.length > VALUES_MAX) yield line("", `… and ${grouped(values.length - VALUES_MAX)} more: --format csv gives all`);
}

function* ends(name: string, nodes: readonly Node[], best: TableOptions["best"], bold: (text: string) => string): Generator<string> {
  const ranked = nodes.filter(({ value }) => !Number.isNaN(value)).sort((a, b) => a.value - b.value);
  const label = plural(harmless(name));
  const few = ranked.length <= 2 * ENDS;
  const low = few ? ranked : ranked.slice(0, ENDS);
  const high = few ? [] : ranked.slice(-ENDS).reverse();
  const title = (end: "lowest" | "highest"): string =>
    best === undefined ? `${end} ${label}` : `${best === end ? "best" : "worst"} ${label} (${end})`;
  const order = best === "highest" ? (["highest", "lowest"] as const) : (["lowest", "highest"] as const);
  for (const end of few ? (["lowest"] as const) : order)
    yield `\n${bold(few ? `${label}, lowest first` : title(end))}\n${rows(end === "lowest" ? low : high)}`;
  const missing = nodes.length - ranked.length;
  if (missing > 0) yield `  ${counted(missing, harmless(name))} without a value (NaN)\n`;
}

/** Nodes as rows: path, value by its point, records. */
export function rows(nodes: readonly Pick<Node, "path" | "value" | "count">[]): string {
  const labels = nodes.map(({ path }) => harmless(path.map(String).join(" / ")));
  const values = nodes.map(({ value }) => digits(value));
  const counts = nodes.map(({ count }) => grouped(count));
  const widest = (texts: readonly string[]): number => Math.max(0, ...texts.map((text) => text.length));
  const before = values.map((value) => `${value}.`.indexOf("."));
  const point = Math.max(0, ...before);
  const aligned = values.map((value, i) => " ".repeat(point - before[i]!) + value);
  return nodes
    .map(
      (_, i) =>
        `  ${labels[i]!.padEnd(widest(labels))}  ${aligned[i]!.padEnd(widest(aligned))}  ${counts[i]!.padStart(widest(counts))} records\n`,
    )
    .join("");
}

/** What a table that was cut into parts took there. */
function onDisk({ count, spilledBytes }: NonNullable<Answer["result"]["plan"]["parts"]>): string {
  return `${bytes(spilledBytes)} of ${grouped(count)} ${count === 1 ? "part" : "parts"}`;
}

/** The times of the five steps, for --verbose. */
export function stepsInWords({ result }: Answer): string {
  const { parts } = result.plan;
  return result.steps
    .map(({ name, ms, counts }) => {
      const what =
        name === "distribute" && parts !== undefined
          ? [`${grouped(parts.count)} parts`, `${grouped(parts.spilledBytes)} bytes on disk`]
          : Object.entries(counts).map(([noun, n]) => `${grouped(n)} ${noun}`);
      return `${name.padEnd(12)}${ms.toFixed(1).padStart(9)} ms  ${what.join(", ")}\n`;
    })
    .join("");
}

/** All 17 significant digits: enough to tell any two float64 apart. */
export function digits(value: number): string {
  return Object.is(value, -0) ? "-0" : Number.isFinite(value) ? value.toPrecision(17) : String(value);
}

/** A count with commas. */
export const grouped = (n: number): string => n.toLocaleString("en-US");
const line = (heading: string, text: string): string => `${heading.padEnd(10)}${text}\n`;
const indented = (text: string): string => text.replace(/^/gm, "  ");

/** `3 states`; a name that is no word, such as f, stays as it is: `3 f nodes`. */
function counted(n: number, noun: string): string {
  if (/^\p{L}{3,}$/u.test(noun)) return `${grouped(n)} ${n === 1 ? noun : plural(noun)}`;
  return `${grouped(n)} ${noun} ${n === 1 ? "node" : "nodes"}`;
}

/** A level's nodes: `states`, or `nodes of f` where its name is no word. */
export function plural(noun: string): string {
  if (!/^\p{L}{3,}$/u.test(noun)) return `nodes of ${noun}`;
  if (/[^aeiou]y$/.test(noun)) return `${noun.slice(0, -1)}ies`;
  return /(s|x|z|ch|sh)$/.test(noun) ? `${noun}es` : `${noun}s`;
}

function inWords(ms: number): string {
  return ms < 1000 ? `${ms.toPrecision(3)} ms` : `${(ms / 1000).toPrecision(3)} s`;
}
