// The command as a process that streams: records go in while results come out.
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import type { Ended } from "../child.ts";
import { BIN } from "./bin.ts";

/** A process of `fourfold stream`. */
export interface Streaming {
  readonly child: ChildProcessWithoutNullStreams;
  /** What it has said so far. */
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Resolves when its output, or the other one, matches. Rejects if it ends before. */
  until(pattern: RegExp, of?: "stdout" | "stderr"): Promise<RegExpMatchArray>;
  readonly ended: Promise<Ended & { readonly signal: NodeJS.Signals | null }>;
}

/** Starts the command. */
export function streaming(args: readonly string[], options: { cwd: string; env?: NodeJS.ProcessEnv }): Streaming {
  const child = spawn(process.execPath, [BIN, "stream", ...args], {
    cwd: options.cwd,
    env: { ...process.env, NODE_OPTIONS: "", NO_COLOR: "1", ...options.env },
  });
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (text: string) => {
      said[name] += text;
    });
  child.stdin.on("error", () => undefined); // it may end before it has read all
  const ended = once(child, "close").then(([code, signal]) => ({ code, signal, ...said }) as Ended & { signal: NodeJS.Signals | null });
  return {
    child,
    stdout: () => said.stdout,
    stderr: () => said.stderr,
    ended,
    async until(pattern, of = "stdout") {
      for (;;) {
        const found = said[of].match(pattern);
        if (found) return found;
        const end = await Promise.race([once(child[of], "data").then(() => undefined), ended]);
        if (end !== undefined && !pattern.test(said[of])) throw new Error(`it ended with ${end.code}\n${end.stdout}\n${end.stderr}`);
      }
    },
  };
}

/** Runs it over records on stdin, to its end. */
export function streamed(args: readonly string[], input: string | Uint8Array, cwd: string): Promise<Ended> {
  const { child, ended } = streaming(args, { cwd });
  child.stdin.end(input);
  return ended;
}
