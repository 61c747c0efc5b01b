/** What is wrong with a record, as a Rejected: the one place where its message is put together. */
import { FourfoldError, show } from "../../errors.ts";
import type { Rejected } from "../types.ts";

/** Characters of a rejected record that are kept. */
export const TEXT_MAX = 1024;
/** Rejected records in one chunk at most: each is an error with a stack, thousands of times the bytes that caused it. */
export const REJECTED_MAX = 1024;

/** What is wrong with a record. */
export interface Fault {
  /** As it goes on after "source:line: ". */
  readonly what: string;
  readonly expected?: string;
  readonly given?: unknown;
  readonly fix?: string;
  /** The field, or the column from 1. */
  readonly column?: string | number;
}

/** Where a record stands. */
export interface Place {
  readonly source: string;
  readonly from: number;
  readonly to: number;
  readonly line: number | undefined;
  /** Its row in a batch, from 0, where there are no lines. */
  readonly row?: number;
}

/** A record that cannot be taken. */
export function rejected(place: Place, text: string | undefined, fault: Fault): Rejected {
  const { source, from, to, line, row } = place;
  const { what, column, given, ...detail } = fault;
  const error = (): FourfoldError =>
    new FourfoldError("ERR_FOURFOLD_RECORD", `${source}:${line ?? (row === undefined ? `byte ${from}` : `row ${row}`)}: ${what}`, {
      ...detail,
      ...(given === undefined ? {} : { given: short(given) }),
      at: {
        file: source,
        ...(row === undefined ? {} : { row }),
        ...(line === undefined ? { index: from } : { line }),
        ...(column === undefined ? {} : { column }),
      },
    });
  return {
    source,
    from,
    to,
    line,
    error: withoutStack(error),
    text: text === undefined || text.length <= TEXT_MAX ? text : text.slice(0, TEXT_MAX),
  };
}

/** What was given, without what would keep a whole line in memory as long as the error lives. */
function short(given: unknown): unknown {
  return typeof given === "string" || (typeof given === "object" && given !== null) ? show(given) : given;
}

/** The fault of a line, or another piece, that is too long. */
export function tooLong(what: string, length: number, bytesMax: number): Fault {
  return {
    what: `${what} of ${length} bytes, beyond lineBytesMax ${bytesMax}`,
    given: length,
    expected: `at most ${bytesMax} bytes`,
    fix: "Raise lineBytesMax if such lines are meant",
  };
}

/**
 * Runs what makes an error without the places in the code that led to it: those are always the same ones here, say nothing about the record, and
 * take most of the time of a source that sends nothing but errors.
 */
export function withoutStack<T>(make: () => T): T {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return make();
  } finally {
    Error.stackTraceLimit = limit;
  }
}
