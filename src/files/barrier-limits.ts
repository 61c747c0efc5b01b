/** What the reading of untrusted files may take, from the bytes that are really there. Both sides of the barrier count alike. */
import { badOption } from "../errors.ts";

/** How much the reading of untrusted files may take; each has a default that grows with the bytes of the files. */
export interface UntrustedLimits {
  /** Milliseconds for the reading, without the start of its process. Default: 30 s, 1 s for each MiB and 10 ms for each file. */
  readonly deadlineMsMax?: number;
  /** Bytes of memory that the reading process may hold, at least 128 MiB. Default: 256 MiB and 16 times the bytes of the files. */
  readonly readBytesMax?: number;
}

const MIB = 2 ** 20;
/** A reading of some kilobytes takes 20 to 60 ms on an idle core; with ten times more to do than cores, seconds. */
const DEADLINE_MS = 30_000;
/** 1 MiB/s: DuckDB reads tens of MiB of compressed CSV in a second, where it has a core to itself. */
const DEADLINE_MS_PER_MIB = 1000;
const DEADLINE_MS_PER_FILE = 10;
/** Node with DuckDB loaded and a database opened holds 85 to 110 MiB before it has read anything. */
const PROCESS_BYTES = 96 * MIB;
/** DuckDB reads CSV in a few buffers of 32 MB. */
const READ_BYTES = 256 * MIB;
/** Dictionaries and compression make records up to some 20 times larger than their file; what is more should be asked for. */
const READ_BYTES_PER_BYTE = 16;
const READ_BYTES_LEAST = 128 * MIB;
/** What timers can wait. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** What is there to be read. */
export interface Present {
  readonly files: number;
  readonly bytes: number;
}

/** Milliseconds that reading may take. */
export function deadlineMs({ deadlineMsMax }: UntrustedLimits, { files, bytes }: Present): number {
  return (
    deadlineMsMax ?? Math.min(TIMER_MS_MAX, Math.ceil(DEADLINE_MS + (bytes / MIB) * DEADLINE_MS_PER_MIB + files * DEADLINE_MS_PER_FILE))
  );
}

/** Bytes that the reading process may hold, and its table may have on this side. */
export function readBytes({ readBytesMax }: UntrustedLimits, { bytes }: Present): number {
  return readBytesMax ?? READ_BYTES + READ_BYTES_PER_BYTE * bytes;
}

/** Bytes of `readBytes` that DuckDB may count as its own. */
export function databaseBytes(most: number): number {
  return most - PROCESS_BYTES;
}

/** Refuses limits out of range. @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function checkLimits({ deadlineMsMax, readBytesMax }: UntrustedLimits): void {
  if (deadlineMsMax !== undefined && !(deadlineMsMax > 0 && deadlineMsMax <= TIMER_MS_MAX))
    throw badOption("deadlineMsMax", deadlineMsMax, `milliseconds, at most ${TIMER_MS_MAX}`);
  if (readBytesMax !== undefined && !(Number.isSafeInteger(readBytesMax) && readBytesMax >= READ_BYTES_LEAST))
    throw badOption("readBytesMax", readBytesMax, `a whole number of bytes, at least ${READ_BYTES_LEAST}`);
}
