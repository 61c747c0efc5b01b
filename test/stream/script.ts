/**
 * A script language for windows, in the manner of Apache Beam's TestStream. A script is a transcript: steps, and below each what it brings
 * about, two spaces further in. {@link play} does the steps alone and writes the transcript, which a test compares with the script.
 *
 *     a: x@5=1 y@12=2*3      records of source a in one batch: key x, event time 5, value 1; y at 12 with the value 2 and the weight 3
 *       [0,10) on-time 0 last: x=1
 *     clock 100              processing time
 *     end a                  the source has ended
 *       late x@5             a record that was refused; or a code, such as ERR_FOURFOLD_RECORD
 *
 * A pane is its window, timing, index, `last` if no other will come, and key=value for each node of the outermost level.
 * `#` begins a comment. Where records have no event times they are written x=1.
 */
import { type Chain, chain, sum } from "../../src/index.ts";
import { ByteReader, ByteWriter } from "../../src/reduce/bytes.ts";
import type { Policy } from "../../src/reduce/layout.ts";
import { readWindowing, type WindowOptions } from "../../src/stream/windowing.ts";
import { type Fired, type Refused, Windows } from "../../src/stream/windows.ts";

/** What a script is played with. */
export interface ScriptSetup {
  readonly window: WindowOptions;
  /** Default one sum by key. */
  readonly chain?: Chain;
  /** Names of key columns; the keys of a record are written x/y. Default one. */
  readonly keys?: readonly string[];
  readonly policy?: Partial<Policy>;
  /** Letters of the sources. Default "a". */
  readonly sources?: string;
  readonly untimed?: boolean;
  /** The level whose weight is written after `^`. */
  readonly childWeight?: string;
  chainAt?(start: number): { readonly chain: Chain; readonly version: number };
}

/** Windows of a setup. */
export function windowsOf(setup: ScriptSetup): Windows {
  const { chain: given = chain(sum()), keys: names = ["key"], policy, sources = "a", untimed = false } = setup;
  return new Windows({
    chain: given,
    keys: { names, depths: given.levels.map((_, i) => Math.max(0, names.length - i)) },
    policy: { nan: "propagate", accuracy: "reproducible", nullKeys: "error", ...policy },
    windowing: readWindowing(setup.window, !untimed),
    kept: given.levels.map(() => true),
    sources: sources.length,
    chainAt: setup.chainAt ?? (() => ({ chain: given, version: 0 })),
  });
}

/** The same windows once they went through bytes, which are the same bytes again. */
export function restarted(windows: Windows, setup: ScriptSetup): Windows {
  const bytes = bytesOf(windows);
  const again = windowsOf(setup);
  const from = new ByteReader(bytes);
  again.read(from);
  from.end();
  if (Buffer.compare(bytesOf(again), bytes) !== 0) throw new Error("windows that were read write other bytes");
  return again;
}

export function bytesOf(windows: Windows): Uint8Array {
  const to = new ByteWriter();
  windows.write(to);
  return to.finish();
}

/** Plays the steps of a script and gives the transcript. With `restarts` the windows go through bytes after each step. */
export function play(setup: ScriptSetup, script: string, restarts = false): string {
  const { sources = "a" } = setup;
  let windows = windowsOf(setup);
  let now = 0;
  const transcript: string[] = [];
  for (const step of lines(script)) {
    if (step.startsWith("  ")) continue;
    transcript.push(step);
    const [word, ...rest] = step.split(/\s+/) as [string, ...string[]];
    if (word === "clock") {
      now = Number(rest[0]);
      windows.progress(now);
    } else if (word === "end") windows.endOf(sources.indexOf(rest[0]!));
    else {
      const refused = windows.add(sources.indexOf(word[0]!), rowsOf(rest, setup), now);
      for (const { row, why } of refused) transcript.push(`  ${said(why)} ${rest[row]!.replace(/=.*/, "")}`);
    }
    for (const fired of windows.take()) transcript.push(`  ${paneText(fired)}`);
    if (restarts) windows = restarted(windows, setup);
  }
  return transcript.join("\n");
}

/** A script as {@link play} would write it: without comments, empty lines and the indentation of the source. */
export function tidy(script: string): string {
  return lines(script).join("\n");
}

function lines(script: string): string[] {
  const kept = script
    .split("\n")
    .map((line) => line.replace(/\s*#.*/, "").trimEnd())
    .filter((line) => line !== "");
  const indent = Math.min(...kept.map((line) => line.search(/\S/)));
  return kept.map((line) => line.slice(indent));
}

const said = (why: Refused["why"]): string => (why === "late" ? "late" : why.code);

/** A pane as scripts write it. */
function paneText({ pane, closed }: Fired): string {
  const { start, end, timing, index, isLast, discarding } = pane;
  const nodes = closed.keys!.at(-1)!.columns;
  const { values } = closed.outermost;
  const texts = Array.from(values, (value, i) => {
    const path = nodes.map((column) => String(column[i])).join("/");
    return path === "" ? `${value}` : `${path}=${value}`;
  });
  const words = [`[${start},${end})`, timing, index, ...(isLast ? ["last"] : []), ...(discarding ? ["since"] : [])];
  return `${words.join(" ")}: ${texts.join(" ") || "none"}`;
}

const RECORD = /^([^@=]*)(?:@([^=]+))?=([^*^]+)(?:\*([^^]+))?(?:\^(.+))?$/;

function rowsOf(words: readonly string[], { keys = ["key"], untimed, childWeight }: ScriptSetup): Parameters<Windows["add"]>[1] {
  const records = words.map((word) => {
    const [, key, time, value, weight, child] = RECORD.exec(word) ?? [];
    if (value === undefined) throw new Error(`the script has the record ${word}`);
    return { path: key!.split("/"), time: Number(time), value: Number(value), weight: Number(weight), child: Number(child) };
  });
  return {
    rows: records.length,
    values: records.map(({ value }) => value),
    keys: keys.map((_, i) => records.map(({ path }) => (path[i] === "null" ? null : path[i]!))),
    times: untimed ? undefined : records.map(({ time }) => time),
    weights: words.some((word) => word.includes("*")) ? records.map(({ weight }) => weight) : undefined,
    ...(childWeight !== undefined && { childWeights: { [childWeight]: records.map(({ child }) => child) } }),
  };
}
