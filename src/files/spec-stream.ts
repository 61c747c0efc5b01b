/** The part `"stream"` of a spec: which column is the event time, and the windows. What windows mean together is checked where they are made. */
import { show } from "../errors.ts";
import type { WindowOptions } from "../types.ts";
import type { JsonDocument, JsonValue } from "./json.ts";
import { choiceAt, objectAt, specError, textAt } from "./spec-checks.ts";

/** What a time given as a number counts. */
export type SpecTimeUnit = "s" | "ms" | "us" | "ns";

/** Windows as a spec names them: the option `window` of a stream. */
export type SpecWindow = WindowOptions;

/** How the records of a spec stream. */
export interface SpecStream {
  /** The column of event times. */
  readonly time?: string;
  readonly timeUnit?: SpecTimeUnit;
  readonly window?: SpecWindow;
}

const UNITS: readonly SpecTimeUnit[] = ["s", "ms", "us", "ns"];

/** Whole numbers, and the least of each. */
const WHOLE: Readonly<Record<string, number>> = {
  sizeMs: 1,
  everyMs: 1,
  offsetMs: Number.NEGATIVE_INFINITY,
  sizeRows: 1,
  everyRows: 1,
  latenessMsMax: 0,
  outOfOrderMsMax: 0,
  idleMsMax: 0,
  futureMsMax: 0,
  windowsMax: 1,
  nodesMax: 1,
};
const WINDOW_KEYS = [...Object.keys(WHOLE), "early", "late", "panes"];

/** Checks the part `"stream"`; without it a stream has no event time and one window. @throws FourfoldError ERR_FOURFOLD_SPEC */
export function streamAt(document: JsonDocument, value: JsonValue | undefined): SpecStream {
  if (value === undefined) return {};
  const object = objectAt(document, value, "/stream", ["time", "timeUnit", "window"], '"stream"');
  const time = object["time"] === undefined ? undefined : textAt(document, object["time"], "/stream/time", '"stream", "time"');
  if (object["timeUnit"] !== undefined && time === undefined)
    throw specError(document, "/stream/timeUnit", '"stream": "timeUnit" needs "time"', {
      atKey: true,
      fix: 'Name the column of event times: "time": "…"',
    });
  const timeUnit =
    object["timeUnit"] === undefined
      ? undefined
      : choiceAt(document, object["timeUnit"], "/stream/timeUnit", UNITS, '"stream", "timeUnit"');
  const window = object["window"] === undefined ? undefined : windowAt(document, object["window"]);
  if (window?.sizeMs !== undefined && time === undefined)
    throw specError(document, "/stream/window/sizeMs", '"stream": windows in event time need "time"', {
      atKey: true,
      fix: 'Name the column of event times, "time": "…", or measure windows in records: "sizeRows"',
    });
  return {
    ...(time === undefined ? {} : { time }),
    ...(timeUnit === undefined ? {} : { timeUnit }),
    ...(window === undefined ? {} : { window }),
  };
}

function windowAt(document: JsonDocument, value: JsonValue): SpecWindow {
  const pointer = "/stream/window";
  const what = '"stream", "window"';
  const object = objectAt(document, value, pointer, WINDOW_KEYS, what);
  for (const [name, least] of Object.entries(WHOLE)) wholeAt(document, object[name], `${pointer}/${name}`, `${what}, "${name}"`, least);
  if (object["panes"] !== undefined)
    choiceAt(document, object["panes"], `${pointer}/panes`, ["accumulating", "discarding"], `${what}, "panes"`);
  for (const [name, keys] of [
    ["early", ["everyMs", "everyRows"]],
    ["late", ["everyRows"]],
  ] as const) {
    if (object[name] === undefined) continue;
    const firing = objectAt(document, object[name], `${pointer}/${name}`, keys, `${what}, "${name}"`);
    for (const key of keys) wholeAt(document, firing[key], `${pointer}/${name}/${key}`, `${what}, "${name}", "${key}"`, 1);
  }
  return object as SpecWindow;
}

function wholeAt(document: JsonDocument, value: JsonValue | undefined, pointer: string, what: string, least: number): void {
  if (value === undefined || (Number.isSafeInteger(value) && (value as number) >= least)) return;
  const expected = least === Number.NEGATIVE_INFINITY ? "a whole number" : `a whole number from ${least}`;
  throw specError(document, pointer, `${what}: given ${show(value)}, expected ${expected}`, { given: value, expected });
}
