/** Rows as they come to windows, and what is said of those that no window takes. */
import { FourfoldError, show } from "../errors.ts";
import type { StreamKeys } from "./types.ts";
import { TIME_MAX } from "./windowing.ts";

/** Rows as windows take them: as a block, but one value for each row. */
export interface Rows {
  readonly rows: number;
  readonly values: ArrayLike<number>;
  readonly keys: readonly StreamKeys[];
  readonly times: ArrayLike<number> | undefined;
  readonly weights: ArrayLike<number> | undefined;
  readonly childWeights?: Readonly<Record<string, ArrayLike<number>>> | undefined;
}

/** A row that is in no window, and why. */
export interface Refused {
  readonly row: number;
  readonly why: "late" | FourfoldError;
}

/** The error of rows without event times where windows need them. */
export function untimed(): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_RECORD", "the rows have no event times, which the windows of this stream are measured in", {
    fix: "Give each record its event time in milliseconds",
  });
}

/** The error of a row without an event time that windows can have. */
export function badTime(row: number, time: unknown, now: number, futureMs: number): FourfoldError {
  if (typeof time === "number" && Math.abs(time) <= TIME_MAX)
    return new FourfoldError("ERR_FOURFOLD_RECORD", `row ${row}: the event time ${time} is ${time - now} ms ahead of the clock`, {
      given: time,
      expected: `at most ${futureMs} ms ahead`,
      fix: "Mend the clock of its source, or raise window.futureMsMax",
      at: { row },
    });
  return new FourfoldError("ERR_FOURFOLD_RECORD", `row ${row}: the event time is ${show(time)}`, {
    given: time,
    expected: "milliseconds since 1970, at most 8.64e15 in size",
    fix: "Give each record its event time in milliseconds",
    at: { row },
  });
}
