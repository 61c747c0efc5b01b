/**
 * The one error type of Fourfold. Messages hold the given, the expected and the way out;
 * programs switch on `code`, never on the message. docs/errors.md lists the codes.
 */

/** Every code an error of Fourfold can carry, with what it means. */
export const ERROR_CODES = {
  ERR_FOURFOLD_ABORTED: "the AbortSignal given to the call was aborted",
  ERR_FOURFOLD_ACCURACY: "the backend cannot keep the accuracy that was asked for",
  ERR_FOURFOLD_ARGUMENT: "an argument or option has the wrong type, range or name",
  ERR_FOURFOLD_BACKEND: "the named backend is not available here",
  ERR_FOURFOLD_CHAIN: "the levels do not make a chain",
  ERR_FOURFOLD_CHECKPOINT: "a checkpoint is damaged, in use, of another stream, or cannot be written",
  ERR_FOURFOLD_CLOSED: "the engine was closed before the call",
  ERR_FOURFOLD_COLUMN: "a column is missing or has the wrong type",
  ERR_FOURFOLD_DEVICE: "a device was lost, ran out of memory or did not answer",
  ERR_FOURFOLD_DTYPE: "the data type is not one Fourfold reduces",
  ERR_FOURFOLD_FORBIDDEN: "a spec asked for something that specs may not do",
  ERR_FOURFOLD_FORMAT: "a file is not what its format says",
  ERR_FOURFOLD_FRAMES: "one number was asked of a result that has several",
  ERR_FOURFOLD_INTEGER: "an integer is beyond 2^53, where float64 is no longer exact",
  ERR_FOURFOLD_JOB: "a job's folder is in use, damaged, of another job, or cannot be written",
  ERR_FOURFOLD_KEYS: "a key is null or NaN, or key columns differ in length",
  ERR_FOURFOLD_LEVEL: "no level or node has that name",
  ERR_FOURFOLD_MEMORY: "the call needs more memory than it may have",
  ERR_FOURFOLD_NAN: 'a NaN was met under nan: "error"',
  ERR_FOURFOLD_OFFSETS: "ragged offsets fall, or do not cover their children",
  ERR_FOURFOLD_OUTPUT: "the result could not be written",
  ERR_FOURFOLD_QUEUE: "too many calls wait on one engine",
  ERR_FOURFOLD_RECORD: "a record of a stream cannot be read",
  ERR_FOURFOLD_REDUCTION: "a user's reduction threw, or cannot run there",
  ERR_FOURFOLD_SETUP: "a backend could not be set up",
  ERR_FOURFOLD_SHAPE: "the shape does not fit the data or the chain",
  ERR_FOURFOLD_SOURCE: "a source is missing or cannot be read",
  ERR_FOURFOLD_SPEC: "the spec is not valid",
  ERR_FOURFOLD_STATE: "a state is damaged, of another make, or does not fit the one it is merged with",
  ERR_FOURFOLD_WEIGHTS: "weights do not fit their level",
  ERR_FOURFOLD_WORKER: "a worker failed again and again",
} as const;

/** A code of a {@link FourfoldError}. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** Where the trouble is; only what is known is set. Indices and rows count from 0, lines and columns from 1. */
export interface ErrorPosition {
  readonly file?: string;
  readonly line?: number;
  readonly column?: number | string;
  readonly row?: number;
  readonly index?: number;
  readonly level?: string;
  readonly axis?: number;
  readonly node?: number;
  /** A place inside a JSON document, as a JSON pointer: `/levels/1/weights`. */
  readonly pointer?: string;
}

/** What a {@link FourfoldError} holds beside its message. */
export interface ErrorDetail {
  readonly given?: unknown;
  readonly expected?: unknown;
  readonly fix?: string;
  readonly at?: ErrorPosition;
  readonly cause?: unknown;
}

/**
 * An error of Fourfold.
 *
 * @example
 * try { await engine.run(index, { data, shape }); }
 * catch (error) { if (error instanceof FourfoldError && error.code === "ERR_FOURFOLD_SHAPE") console.error(error.fix); }
 */
export class FourfoldError extends Error {
  /** Which error this is; stable across versions. */
  readonly code: ErrorCode;
  /** What the caller gave. */
  readonly given: unknown;
  /** What would have been right. */
  readonly expected: unknown;
  /** The way out, as a sentence. */
  readonly fix: string | undefined;
  /** Where it is. */
  readonly at: ErrorPosition | undefined;

  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}) {
    super(detail.fix === undefined ? message : `${message}. ${detail.fix}`, "cause" in detail ? { cause: detail.cause } : undefined);
    this.name = code === "ERR_FOURFOLD_ABORTED" ? "AbortError" : "FourfoldError";
    this.code = code;
    this.given = detail.given;
    this.expected = detail.expected;
    this.fix = detail.fix;
    this.at = detail.at;
  }
}

/** The error for an option outside its allowed values. */
export function badOption(option: string, given: unknown, expected: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_ARGUMENT", `option "${option}": given ${show(given)}, expected ${expected}`, { given, expected });
}

/** The error an aborted call rejects with. */
export function aborted(signal: AbortSignal): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_ABORTED", "the call was aborted", { cause: signal.reason });
}

/** The error of a call on an engine that is closed, or of a run that the closing ended. */
export function closed(): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_CLOSED", "the engine is closed", {
    fix: "Await its calls before you close it, or make another with createEngine()",
  });
}

/** Throws if `signal` is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw aborted(signal);
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "the permission is missing",
  EPERM: "the system does not permit it",
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
  EDQUOT: "the quota is used up",
  EFBIG: "the file would be larger than the limit",
  ENOENT: "the folder is gone",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of its path is no folder",
  EPIPE: "its reader is gone",
};

/** Why the system refused a write or a call on a file, in words; undefined for an error that is not the system's. */
export function systemReason(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("syscall" in error)) return undefined;
  return REASONS[(error as NodeJS.ErrnoException).code ?? ""] ?? error.message;
}

/** A value as it reads in a message: short, one line. */
export function show(value: unknown): string {
  return shown(value, 2);
}

/** Lists in lists are shown no deeper than `depth`: what strangers send may be nested without end. */
function shown(value: unknown, depth: number): string {
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
  if (typeof value === "bigint") return `${value}n`;
  if (ArrayBuffer.isView(value)) return `${value.constructor.name}(${(value as unknown as ArrayLike<number>).length})`;
  if (Array.isArray(value))
    return value.length <= 8 && depth > 0 ? `[${value.map((item) => shown(item, depth - 1)).join(", ")}]` : `array of ${value.length}`;
  if (typeof value === "function") return `function ${value.name}`;
  if (typeof value === "object" && value !== null) return `object with ${Object.keys(value).slice(0, 6).join(", ") || "no keys"}`;
  return String(value);
}

/** The Levenshtein distance between `a` and `b`, letters compared without case. */
function distance(a: string, b: string): number {
  const from = a.toLowerCase();
  const to = b.toLowerCase();
  let previous = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (let i = 1; i <= from.length; i++) {
    const current = [i];
    for (let j = 1; j <= to.length; j++) {
      const change = (previous[j - 1] as number) + (from[i - 1] === to[j - 1] ? 0 : 1);
      current.push(Math.min(change, (previous[j] as number) + 1, (current[j - 1] as number) + 1));
    }
    previous = current;
  }
  return previous[to.length] as number;
}

/** "Did you mean …": the candidate nearest to a mistyped `name`, if one is near enough to be meant: at most half of its letters differ. */
export function nearest(name: string, candidates: readonly string[]): string | undefined {
  if (name.length > 64) return undefined;
  let best: string | undefined;
  let least = Math.max(1, Math.floor(name.length / 2)) + 1;
  for (const candidate of candidates) {
    if (candidate.length > 64) continue;
    const d = distance(name, candidate);
    if (d < least) {
      best = candidate;
      least = d;
    }
  }
  return best;
}

/** Refuses options that there are not. @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function checkNames(what: string, options: object, known: readonly string[]): void {
  if (typeof options !== "object" || options === null)
    throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `${what}: the options are ${show(options)}, expected an object`, {
      given: options,
      fix: `The options are ${known.join(", ")}`,
    });
  for (const key of Object.keys(options))
    if (!known.includes(key))
      throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `${what}: there is no option "${key}"`, {
        given: key,
        expected: known,
        fix: `${suggestion(key, known)}The options are ${known.join(", ")}`,
      });
}

function suggestion(given: string, known: readonly string[]): string {
  const meant = nearest(given, known);
  return meant === undefined ? "" : `Did you mean ${meant}? `;
}
