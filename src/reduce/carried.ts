/**
 * Errors on their way from one thread to another. Structured cloning would lose `code`, `fix` and `at`, and refuses
 * an error that holds a function; this keeps what a caller reads, as plain values. It wraps and translates nothing.
 */
import { ERROR_CODES, type ErrorCode, type ErrorPosition, FourfoldError, show } from "../errors.ts";

/** Causes of causes that travel. */
const DEPTH_MAX = 4;

/** An error as plain values. */
export interface CarriedError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  readonly code?: string;
  readonly given?: unknown;
  readonly expected?: unknown;
  readonly fix?: string;
  readonly at?: ErrorPosition;
  readonly cause?: CarriedError;
}

/** What was thrown, as plain values. */
export function carry(thrown: unknown, depth: number = 0): CarriedError {
  if (!(thrown instanceof Error)) return { name: "Error", message: `thrown: ${show(thrown)}` };
  const error = thrown as Error & { code?: unknown; given?: unknown; expected?: unknown; fix?: unknown; at?: unknown };
  return {
    name: String(error.name),
    message: String(error.message),
    ...(typeof error.stack === "string" && { stack: error.stack }),
    ...(typeof error.code === "string" && { code: error.code }),
    ...(error.given !== undefined && { given: plain(error.given) }),
    ...(error.expected !== undefined && { expected: plain(error.expected) }),
    ...(typeof error.fix === "string" && { fix: error.fix }),
    ...(typeof error.at === "object" && error.at !== null && { at: position(error.at) }),
    ...(error.cause !== undefined && depth < DEPTH_MAX && { cause: carry(error.cause, depth + 1) }),
  };
}

/** The error that was carried. A FourfoldError comes back as one; any other as an Error of the same name, message, code and stack. */
export function uncarry(carried: CarriedError): Error {
  const { name, message, stack, code, fix } = carried;
  const cause = carried.cause && { cause: uncarry(carried.cause) };
  let error: Error;
  if (code !== undefined && Object.hasOwn(ERROR_CODES, code)) {
    const ending = fix === undefined ? "" : `. ${fix}`; // the constructor puts it there again
    error = new FourfoldError(code as ErrorCode, message.endsWith(ending) ? message.slice(0, message.length - ending.length) : message, {
      given: carried.given,
      expected: carried.expected,
      ...(fix !== undefined && { fix }),
      ...(carried.at && { at: carried.at }),
      ...cause,
    });
  } else {
    error = Object.assign(new Error(message, cause), code !== undefined && { code });
    Object.defineProperty(error, "name", { value: name, configurable: true, writable: true });
  }
  if (stack !== undefined) error.stack = stack;
  return error;
}

/** Primitives as they are, anything else as it reads. */
function plain(value: unknown): unknown {
  return (typeof value === "object" && value !== null) || typeof value === "function" || typeof value === "symbol" ? show(value) : value;
}

function position(at: object): ErrorPosition {
  return Object.fromEntries(Object.entries(at).map(([key, value]) => [key, plain(value)]));
}
