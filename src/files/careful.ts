/**
 * The reading of a spec's table with the checks that were asked for, on whichever side of a barrier: what is there, its sizes and checksums, then
 * DuckDB; and what is left out where rows or files are bad.
 */
import { badOption } from "../errors.ts";
import type { GroupedTable, RejectedRow } from "../reduce/grouped.ts";
import type { Present } from "./barrier-limits.ts";
import { checkFiles } from "./checks.ts";
import type { DatabaseLimits } from "./duckdb.ts";
import type { Allowed } from "./folders.ts";
import { filesOf } from "./source-files.ts";
import type { ReadOptions, SpecContent } from "./spec.ts";
import { readTable } from "./table.ts";
import { readTolerant } from "./tolerant.ts";

/** What becomes of rows and files that cannot be read. */
export type OnError = "stop" | "skip" | "quarantine";

/** How careful a reading is. */
export interface Care {
  readonly check: boolean;
  readonly onError: OnError;
}

/** What a careful reading is given beside the spec. */
export interface CarefulOptions {
  /** DuckDB's limits, once it is known what is there. */
  readonly limitsFor: (present: Present) => DatabaseLimits;
  /** Told before anything is opened. */
  readonly onPresent?: (present: Present & { readonly subject: string }) => void;
  /** Takes all rows that were left out, piece by piece, once the table is read. */
  readonly onRejected?: (rows: readonly RejectedRow[]) => Promise<void>;
  readonly read: ReadOptions;
}

/** Reads and groups the source of `spec`. @throws FourfoldError as the options say, and what {@link readTable} throws */
export async function readCarefully(
  spec: SpecContent,
  allowed: Allowed,
  { check, onError }: Care,
  { limitsFor, onPresent, onRejected, read }: CarefulOptions,
): Promise<GroupedTable> {
  const sources = await filesOf(spec, allowed, read.signal);
  const files = sources.flatMap((source) => source.files);
  const present = { files: files.length, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) };
  onPresent?.({ ...present, subject: sources[0]?.subject ?? "the source" });
  const limits = limitsFor(present);
  const damaged = check ? await checkFiles(spec, sources, onError === "stop", read.signal, limits.memoryBytesMax) : [];
  if (onError === "stop") return readTable(spec, allowed, limits, read);
  return readTolerant(spec, allowed, limits, read, { sources, damaged, onRejected });
}

/** Refuses a policy that there is not. @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function checkOnError(onError: unknown): void {
  if (onError !== undefined && onError !== "stop" && onError !== "skip" && onError !== "quarantine")
    throw badOption("onError", onError, '"stop", "skip" or "quarantine"');
}
