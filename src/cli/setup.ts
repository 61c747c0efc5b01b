/** `fourfold setup`: gets what a backend needs beside the package, and proves that it works. */
import { choice, readArgs, usageError } from "./args.ts";
import { EXIT, harmless } from "./failure.ts";
import { progressBar } from "./progress.ts";
import { planTensorflow, SOURCES, setUpTensorflow } from "./tensorflow.ts";

/** Sets a backend up; returns the exit code. */
export async function setup(args: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = readArgs("setup", args, {
    "dry-run": { type: "boolean" },
    source: { type: "string" },
    from: { type: "string" },
    verbose: { type: "boolean" },
  });
  choice("backend", positionals[0], ["tensorflow"]);
  if (positionals.length !== 1) throw usageError("setup takes the name of one backend", "Write: fourfold setup tensorflow", positionals);
  const { from } = values;
  const source = choice("source", values.source, SOURCES);
  if (source !== undefined && from !== undefined) throw usageError("--source and --from exclude each other", "Keep one of them");
  if (values["dry-run"]) {
    process.stdout.write(harmless(planTensorflow({ source, from }), true));
    return EXIT.ok;
  }
  const bar = progressBar(process.stderr, false);
  await setUpTensorflow({
    source,
    from,
    signal,
    shown: process.stderr.isTTY === true,
    tell: (step, what) => {
      bar.end();
      process.stdout.write(`${step.padEnd(14)}${harmless(what)}\n`);
    },
    onProgress: (progress) => (progress ? bar.show(progress) : bar.end()),
  }).finally(() => bar.end());
  return EXIT.ok;
}
