#!/usr/bin/env node
/**
 * The command `fourfold`: finds the command, runs it, and turns how it ended into one line and an exit code.
 * It loads nothing that help and version do not need; docs/cli.md is the reader's page.
 */
import { readFileSync } from "node:fs";
import { systemReason } from "../errors.ts";
import { unknownName } from "./args.ts";
import { EXIT, type Failure, failureOf } from "./failure.ts";
import { commandHelp, generalHelp, isCommand } from "./usage.ts";

/** The first of `args` that asks for help or the version; what follows `--` is not an option. */
function asks(args: readonly string[], ...options: readonly string[]): boolean {
  const end = args.indexOf("--");
  return (end < 0 ? args : args.slice(0, end)).some((arg) => options.includes(arg));
}

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
  return version;
}

async function dispatch(args: readonly string[], signal: AbortSignal): Promise<number> {
  const [first, ...rest] = args;
  if (first === undefined) {
    process.stderr.write(generalHelp(version()));
    return EXIT.usage;
  }
  if (first === "help" || first === "--help" || first === "-h") {
    const [about] = rest;
    if (about !== undefined && !isCommand(about)) throw unknownName("command", about);
    process.stdout.write(about === undefined ? generalHelp(version()) : commandHelp(about));
    return EXIT.ok;
  }
  if (first === "--version" || first === "-V") {
    process.stdout.write(`${version()}\n`);
    return EXIT.ok;
  }
  if (!isCommand(first)) throw unknownName(first.startsWith("-") ? "option" : "command", first);
  if (asks(rest, "--help", "-h")) {
    process.stdout.write(commandHelp(first));
    return EXIT.ok;
  }
  switch (first) {
    case "run":
      return (await import("./run.ts")).run(rest, signal);
    case "stream":
      return (await import("./stream.ts")).stream(rest, signal);
    case "explain":
      return (await import("./explain.ts")).explain(rest, signal);
    case "inspect":
      return (await import("./inspect.ts")).inspect(rest, signal);
    case "doctor":
      return (await import("./doctor.ts")).doctor(rest);
    case "setup":
      return (await import("./setup.ts")).setup(rest, signal);
  }
}

/** Ends the work in hand at the first signal and the process at the second. */
function interruptible(): AbortController {
  const controller = new AbortController();
  for (const [signal, code] of [
    ["SIGINT", EXIT.interrupted],
    ["SIGTERM", EXIT.terminated],
  ] as const)
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(code);
      controller.abort(signal);
    });
  return controller;
}

// The reader of a pipe went away: it has what it wanted.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(EXIT.ok);
  process.stderr.write(`fourfold: stdout cannot be written: ${systemReason(error) ?? error.message} [ERR_FOURFOLD_OUTPUT]\n`);
  process.exit(EXIT.failed);
});
process.stderr.on("error", () => undefined);

const args = process.argv.slice(2);
const { signal } = interruptible();
try {
  process.exitCode = await dispatch(args, signal);
} catch (error) {
  const failure: Failure = failureOf(error, signal, asks(args, "--verbose"));
  process.stderr.write(failure.text);
  process.exitCode = failure.exitCode;
}
