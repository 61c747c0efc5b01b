/** A stream as people see it, while it runs and when it has ended: its newest result, its counts, the first nodes of a level. Pure: states to lines. */
import type { StreamResult, StreamStats } from "../index.ts";
import { hexBits } from "../reduce/cells.ts";
import type { Node } from "../reduce/result.ts";
import { harmless } from "./failure.ts";
import { digits, grouped, plural, rows } from "./table.ts";

/** What is shown. */
export interface LiveState {
  /** What the view is about: the spec's file. */
  readonly title: string;
  readonly stats: StreamStats;
  /** Of the last seconds, or of the whole run when it has ended. */
  readonly rowsPerSecond: number;
  /** How far a replay is; undefined for other sources. */
  readonly eventTime: number | undefined;
  /** What windows are measured in. */
  readonly axis: "time" | "rows" | "none";
  /** The newest result. */
  readonly result: Pick<StreamResult, "pane" | "values" | "records" | "level"> | undefined;
  /** The level whose nodes are listed; it is kept. */
  readonly level: string;
  /** How many of them, and which end of the values comes first. */
  readonly top: number;
  readonly best: "lowest" | "highest";
}

/** Where it is shown. */
export interface LiveSpace {
  readonly columns: number;
  readonly rows: number;
  readonly colour: boolean;
}

/** Width of the words before each line. */
const HEADING = 10;

/** The lines of a running stream, no more and no longer than the terminal holds. */
export function liveView(state: LiveState, { columns, rows: height, colour }: LiveSpace): string[] {
  const { title, stats, eventTime } = state;
  const at = eventTime === undefined ? "" : `  ${timeText(eventTime)}`;
  const head = [
    `${harmless(title)}${at}`,
    ...answerLines(state),
    ...countLines(state),
    line("queue", `${grouped(stats.queueRows)} rows, batch ${grouped(stats.batchRows)} of at most ${grouped(stats.batchRowsMax)}`),
    latencyLine(stats),
    line(
      "watermark",
      `${timeText(stats.watermark)}, ${counted(stats.openWindows, "window")} open, ${counted(stats.openNodes, "node")}, weights version ${stats.weightsVersion}`,
    ),
  ];
  const room = Math.min(state.top, height - head.length - 2); // an empty line and a title
  const top = room > 0 ? topLines(state, room) : [];
  const list = top.length > 0 ? ["", ...top] : [];
  const bold = new Set([0, 1, head.length + 1]);
  return [...head, ...list]
    .slice(0, Math.max(0, height))
    .map((text) => text.slice(0, columns))
    .map((text, i) => (colour && bold.has(i) && text !== "" ? `\x1b[1m${text}\x1b[22m` : text));
}

/** What is left when a stream has ended. */
export function streamTable(state: LiveState, colour: boolean): string {
  const lines = [...answerLines(state), ...countLines(state), latencyLine(state.stats)];
  const list = topLines(state, state.top);
  const bold = (text: string): string => (colour ? `\x1b[1m${text}\x1b[22m` : text);
  const [title, ...nodes] = list;
  return `${[...lines, ...(title === undefined ? [] : ["", bold(title), ...nodes])].join("\n")}\n`;
}

function answerLines({ result, axis }: LiveState): string[] {
  if (result === undefined) return [line("answer", "none yet")];
  const { values, pane } = result;
  const answer =
    values.length === 1
      ? [line("answer", digits(values[0]!)), line("bits", hexBits(values[0]!))]
      : [line("answer", counted(values.length, "value"))];
  return pane === undefined ? answer : [...answer, line("window", windowText(pane, axis))];
}

function windowText({ start, end, index, timing, isLast }: NonNullable<StreamResult["pane"]>, axis: LiveState["axis"]): string {
  const span =
    axis === "none"
      ? "all records"
      : axis === "time"
        ? `${timeText(start)} to ${timeText(end)}`
        : `records ${grouped(start)} to ${grouped(end - 1)}`;
  return `${span}, firing ${grouped(index + 1)}, ${timing}${isLast ? ", the last" : ""}`;
}

function countLines({ stats, rowsPerSecond }: LiveState): string[] {
  const { rowsIn, resultsOut, late, rejected, dropped } = stats;
  return [
    line("rows", `${grouped(rowsIn)}, ${grouped(Math.round(rowsPerSecond))} a second`),
    line("results", `${grouped(resultsOut)}, late ${grouped(late)}, rejected ${grouped(rejected)}, dropped ${grouped(dropped)}`),
  ];
}

function latencyLine({ latencyMs: { p50, p99, p999 } }: StreamStats): string {
  return line("latency", Number.isNaN(p50) ? "none yet" : `p50 ${ms(p50)}, p99 ${ms(p99)}, p99.9 ${ms(p999)}`);
}

function topLines({ result, level, best, top }: LiveState, room: number): string[] {
  if (result?.pane === undefined) return [];
  const nodes = first(result.level(level), Math.min(top, room), best);
  if (nodes.length === 0) return [];
  return [`${best} ${plural(harmless(level))}`, ...rows(nodes).trimEnd().split("\n")];
}

/** The first nodes by value; those without one are left out. */
function first(nodes: Iterable<Node>, n: number, best: LiveState["best"]): Node[] {
  const sign = best === "lowest" ? 1 : -1;
  const order = (a: Node, b: Node): number => sign * (a.value - b.value) || 0; // two infinities have no difference
  let found: Node[] = [];
  for (const node of nodes) {
    if (Number.isNaN(node.value)) continue;
    found.push(node);
    if (found.length >= SORTED_AT + n) found = found.sort(order).slice(0, n);
  }
  return found.sort(order).slice(0, n);
}

/** Nodes are sorted so many at a time, so that a level of millions is not. */
const SORTED_AT = 4096;

/** A time to the second, in UTC; "none" where there is none. */
function timeText(time: number): string {
  if (!Number.isFinite(time)) return "none";
  const text = new Date(time).toISOString();
  return text.replace("T", " ").replace(/\.\d+Z$/, "");
}

function ms(value: number): string {
  return value < 1000 ? `${value.toPrecision(3)} ms` : `${(value / 1000).toPrecision(3)} s`;
}

const line = (heading: string, text: string): string => `${heading.padEnd(HEADING)}${text}`;
const counted = (n: number, noun: string): string => `${grouped(n)} ${noun}${n === 1 ? "" : "s"}`;
