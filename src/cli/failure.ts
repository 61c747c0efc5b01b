/** How a command ends: its exit code, and an error as one readable line. docs/errors.md lists both. */
import { inspect } from "node:util";
import { type ErrorCode, type ErrorPosition, FourfoldError } from "../errors.ts";

/** The exit codes of `fourfold`. */
export const EXIT = {
  ok: 0,
  /** The data, a file or the machine was in the way. */
  failed: 1,
  /** The command line or the spec asks for something that cannot be: running it again cannot help. */
  usage: 2,
  /** A bug in Fourfold (the number is EX_SOFTWARE of sysexits.h). */
  bug: 70,
  /** 128 + SIGINT, as shells count. */
  interrupted: 130,
  /** 128 + SIGTERM. */
  terminated: 143,
} as const;

/** The codes that are the question's fault, not the data's. */
const USAGE: readonly ErrorCode[] = [
  "ERR_FOURFOLD_ACCURACY",
  "ERR_FOURFOLD_ARGUMENT",
  "ERR_FOURFOLD_BACKEND",
  "ERR_FOURFOLD_CHAIN",
  "ERR_FOURFOLD_FORBIDDEN",
  "ERR_FOURFOLD_LEVEL",
  "ERR_FOURFOLD_SPEC",
];

/** What is printed on stderr, and the exit code. */
export interface Failure {
  readonly text: string;
  readonly exitCode: number;
}

/** The exit code of an error that carries `code`. */
export function exitCodeOf(code: ErrorCode): number {
  return USAGE.includes(code) ? EXIT.usage : EXIT.failed;
}

/** An error as `fourfold: message [CODE]`; with `verbose`, its stack and cause follow. */
export function failureOf(error: unknown, signal: AbortSignal, verbose: boolean): Failure {
  const more = verbose ? `${harmless(inspect(error, { depth: 4 }), true)}\n` : "";
  if (signal.aborted) {
    const terminated = signal.reason === "SIGTERM";
    return {
      text: `fourfold: ${terminated ? "terminated" : "interrupted"} [ERR_FOURFOLD_ABORTED]\n${more}`,
      exitCode: terminated ? EXIT.terminated : EXIT.interrupted,
    };
  }
  if (error instanceof FourfoldError)
    return {
      text: `fourfold: ${oneLine(error.message)}${placeOf(error.message, error.at)} [${error.code}]\n${more}`,
      exitCode: exitCodeOf(error.code),
    };
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return {
    text: `fourfold: a bug in Fourfold: ${oneLine(what)}${verbose ? "" : " (--verbose shows where; please report it)"}\n${more}`,
    exitCode: EXIT.bug,
  };
}

/** What is known of the place and not yet in the message. */
function placeOf(message: string, at: ErrorPosition | undefined): string {
  if (at === undefined) return "";
  const pieces: string[] = [];
  for (const name of ["file", "line", "row", "index", "level"] as const) {
    const value = at[name];
    if (value !== undefined && !message.includes(String(value))) pieces.push(name === "file" ? String(value) : `${name} ${value}`);
  }
  return pieces.length === 0 ? "" : ` (${harmless(pieces.join(", "))})`;
}

function oneLine(message: string): string {
  return harmless(message.replace(/\s*\n\s*/g, " ").trim());
}

/** Text from a file or a spec without control characters, which a terminal would obey. */
export function harmless(text: string, lines = false): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (character) =>
    lines && character === "\n" ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
