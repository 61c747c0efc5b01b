/** The option `window`: how records of a stream are put into windows and when those fire. Read and checked here; docs/event-time.md explains it. */
import { badOption, checkNames, FourfoldError } from "../errors.ts";
import type { WindowOptions } from "../types.ts";

export type { WindowOptions } from "../types.ts";

/** What {@link readWindowing} gives: every option with its value. */
export interface Windowing {
  /** What windows are counted in. */
  readonly axis: "time" | "rows" | "none";
  /** Size and period on that axis; Infinity where there is one window. */
  readonly size: number;
  readonly every: number;
  readonly offset: number;
  readonly lateness: number;
  readonly outOfOrder: number;
  /** Infinity: never. */
  readonly idleMs: number;
  /** Infinity: no limit. */
  readonly futureMs: number;
  /** Infinity: not. */
  readonly earlyMs: number;
  readonly earlyRows: number;
  /** Infinity: by batch. */
  readonly lateRows: number;
  readonly discarding: boolean;
  readonly windowsMax: number;
  readonly nodesMax: number;
}

/** Event times, as dates of JavaScript: 8.64e15 milliseconds around 1970. With sizes of 2^48 or less all sums of them are exact. */
export const TIME_MAX = 8.64e15;
export const SPAN_MAX: number = 2 ** 48;

const WINDOWS_MAX = 2 ** 16;
const NODES_MAX = 2 ** 24;

const NAMES = [
  "sizeMs",
  "everyMs",
  "offsetMs",
  "sizeRows",
  "everyRows",
  "latenessMsMax",
  "outOfOrderMsMax",
  "idleMsMax",
  "futureMsMax",
  "early",
  "late",
  "panes",
  "windowsMax",
  "nodesMax",
] as const satisfies readonly (keyof WindowOptions)[];

/** Options that mean something only where windows are measured in event time. */
const OF_TIME = ["everyMs", "offsetMs", "latenessMsMax"] as const;
/** Options that need event times. */
const OF_TIMES = ["sizeMs", ...OF_TIME, "outOfOrderMsMax", "idleMsMax", "futureMsMax"] as const;

/**
 * Reads the option `window`. `timed` says whether the records of the stream bring event times.
 * @throws FourfoldError ERR_FOURFOLD_ARGUMENT for names and values that there are not, and options that do not go together
 */
export function readWindowing(options: WindowOptions | undefined, timed: boolean): Windowing {
  const given = options ?? {};
  checkNames("window", given, NAMES);
  const { sizeMs, sizeRows, panes = "accumulating" } = given;
  if (panes !== "accumulating" && panes !== "discarding") throw badOption("window.panes", panes, '"accumulating" or "discarding"');
  if (sizeMs !== undefined && sizeRows !== undefined)
    throw clash("sizeMs and sizeRows", "a window is measured in event time or in records", "Leave one of them out");
  if (!timed)
    for (const name of OF_TIMES)
      if (given[name] !== undefined)
        throw clash(
          name,
          "the records of this stream bring no event times",
          "Name the column of event times, or measure windows in records",
        );
  if (sizeMs === undefined)
    for (const name of OF_TIME)
      if (given[name] !== undefined)
        throw clash(name, "it is for windows in event time, which sizeMs makes", "Give sizeMs, too, or leave it out");
  if (sizeRows === undefined && given.everyRows !== undefined)
    throw clash("everyRows", "it is for windows of records, which sizeRows makes", "Give sizeRows, too, or leave it out");
  const rows = sizeRows !== undefined;
  const unit = rows ? "Rows" : "Ms";
  const none = !rows && sizeMs === undefined;
  const size = none ? Number.POSITIVE_INFINITY : whole(`size${unit}`, rows ? sizeRows : sizeMs, 1, SPAN_MAX);
  const every = none ? size : whole(`every${unit}`, (rows ? given.everyRows : given.everyMs) ?? size, 1, SPAN_MAX);
  if (every > size)
    throw new FourfoldError(
      "ERR_FOURFOLD_ARGUMENT",
      `window: every${unit} is ${every}, size${unit} ${size}: records in between had no window`,
      {
        given: every,
        expected: `at most ${size}`,
        fix: `Make size${unit} ${every} or more`,
      },
    );
  const windowsMax = whole("windowsMax", given.windowsMax ?? WINDOWS_MAX, 1, NODES_MAX);
  if (!none && size / every > windowsMax)
    throw new FourfoldError(
      "ERR_FOURFOLD_ARGUMENT",
      `window: each record is in ${Math.ceil(size / every)} windows, windowsMax is ${windowsMax}`,
      {
        given: size / every,
        expected: windowsMax,
        fix: `Make every${unit} longer, or raise windowsMax`,
      },
    );
  const early = nested("early", given.early, ["everyMs", "everyRows"]);
  const late = nested("late", given.late, ["everyRows"]);
  const span = (name: keyof WindowOptions, otherwise: number): number =>
    given[name] === undefined ? otherwise : whole(name, given[name], 0, SPAN_MAX);
  const times = (name: string, value: number | undefined): number =>
    value === undefined ? Number.POSITIVE_INFINITY : whole(name, value, 1, SPAN_MAX);
  return Object.freeze({
    axis: none ? "none" : rows ? "rows" : "time",
    size,
    every,
    offset: none || rows ? 0 : (whole("offsetMs", given.offsetMs ?? 0, -SPAN_MAX, SPAN_MAX) % every) + 0, // no −0
    lateness: span("latenessMsMax", 0),
    outOfOrder: span("outOfOrderMsMax", 0),
    idleMs: span("idleMsMax", Number.POSITIVE_INFINITY),
    futureMs: given.futureMsMax === Number.POSITIVE_INFINITY ? Number.POSITIVE_INFINITY : span("futureMsMax", Number.POSITIVE_INFINITY),
    earlyMs: times("early.everyMs", early.everyMs),
    earlyRows: times("early.everyRows", early.everyRows),
    lateRows: times("late.everyRows", late.everyRows),
    discarding: panes === "discarding",
    windowsMax,
    nodesMax: whole("nodesMax", given.nodesMax ?? NODES_MAX, 1, NODES_MAX),
  });
}

function nested(name: "early" | "late", given: unknown, known: readonly string[]): { everyMs?: number; everyRows?: number } {
  if (given === undefined) return {};
  checkNames(`window.${name}`, given as object, known);
  return given as { everyMs?: number; everyRows?: number };
}

function whole(name: string, given: unknown, least: number, most: number): number {
  if (Number.isInteger(given) && (given as number) >= least && (given as number) <= most) return given as number;
  throw badOption(`window.${name}`, given, `an integer from ${least} to ${most}`);
}

function clash(names: string, why: string, fix: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_ARGUMENT", `window: ${names}: ${why}`, { given: names, fix });
}

/** A windowing in words, for messages and plans. */
export function windowingText(w: Windowing): string {
  const unit = w.axis === "rows" ? "rows" : "ms";
  const kind =
    w.axis === "none"
      ? "one window"
      : w.every === w.size
        ? `tumbling ${w.size} ${unit}`
        : `sliding ${w.size} ${unit} every ${w.every} ${unit}`;
  const parts = [w.offset === 0 ? kind : `${kind} from ${w.offset} ms`];
  if (w.axis === "time") parts.push(`lateness ${w.lateness} ms`);
  if (w.outOfOrder > 0) parts.push(`out of order ${w.outOfOrder} ms`);
  if (w.earlyMs < Number.POSITIVE_INFINITY) parts.push(`early every ${w.earlyMs} ms`);
  if (w.earlyRows < Number.POSITIVE_INFINITY) parts.push(`early every ${w.earlyRows} rows`);
  if (w.lateRows < Number.POSITIVE_INFINITY) parts.push(`late every ${w.lateRows} rows`);
  parts.push(w.discarding ? "discarding" : "accumulating");
  return parts.join(", ");
}
