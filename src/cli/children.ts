/** Programs that a command starts: found by name, never through a shell, ended with the command or after a time. */
import { spawn } from "node:child_process";

/** How a program ended. */
export interface Ended {
  /** Undefined if it could not be started, or was ended by a signal. */
  readonly code: number | undefined;
  readonly stdout: string;
  /** The end of what it said on stderr, or why it did not start. */
  readonly stderr: string;
}

/** How to start a program. */
export interface ChildOptions {
  readonly cwd?: string;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
  /** True to show its output on stderr as it comes, instead of keeping it. */
  readonly shown?: boolean;
}

/** Kept of each output. */
const KEPT_MAX = 64 << 10;

/** Runs a program to its end. It does not throw: a program that is not there has no code. */
export function runProgram(program: string, args: readonly string[], options: ChildOptions = {}): Promise<Ended> {
  const { cwd, signal, timeoutMs, shown } = options;
  return new Promise((resolve) => {
    const output = shown ? (["ignore", 2, 2] as const) : (["ignore", "pipe", "pipe"] as const);
    const child = spawn(program, args, {
      stdio: [...output],
      ...(cwd !== undefined && { cwd }),
      ...(signal && { signal }),
      ...(timeoutMs !== undefined && { timeout: timeoutMs }),
    });
    const kept = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const)
      child[name]?.setEncoding("utf8").on("data", (text: string) => {
        kept[name] = (kept[name] + text).slice(-KEPT_MAX);
      });
    let ended = false;
    const end = (code: number | undefined, why: string): void => {
      if (!ended) resolve({ code, stdout: kept.stdout, stderr: kept.stderr.trim() === "" ? why : kept.stderr });
      ended = true;
    };
    child.on("error", (error) => end(undefined, error.message));
    child.on("close", (code, by) => end(code ?? undefined, by === null ? "" : `it was ended by ${by}`));
  });
}
