// Child processes for the tests that try the package from outside: a command is an argument list, never a shell line.
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder that holds package.json. */
export const ROOT: string = join(dirname(fileURLToPath(import.meta.url)), "..");

/** How a child process ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** How to start a child process. */
export interface ChildOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs?: number;
}

/** Runs a program to its end, without a terminal and without input. Colours are off, so that output compares. */
export function runChild(program: string, args: readonly string[], options: ChildOptions = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd ?? ROOT,
      env: { ...process.env, NODE_OPTIONS: "", NO_COLOR: "1", FORCE_COLOR: undefined, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: options.timeoutMs ?? 60_000,
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
}

/** Runs a JavaScript file with this Node. */
export function runNode(args: readonly string[], options: ChildOptions = {}): Promise<Ended> {
  return runChild(process.execPath, args, options);
}

/** The output of a child that must succeed; its errors become the test's message. */
export async function outputOf(ending: Promise<Ended>): Promise<string> {
  const { code, stdout, stderr } = await ending;
  if (code !== 0) throw new Error(`the child ended with ${code}\n${stdout}\n${stderr}`);
  return stdout;
}

/** The command file of an installed package, to be run by {@link runNode}: the same on every platform. */
export function packageFile(name: string, file: string): string {
  return join(ROOT, "node_modules", name, file);
}
