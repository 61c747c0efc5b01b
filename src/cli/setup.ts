/** `fourfold setup`: gets what a backend needs beside the package, and proves that it works. */
import { choice, readArgs, usageError } from "./args.ts";
import { EXIT, harmless } from "./failure.ts";
import { progressBar } from "./progress.ts";
import { isBound, planTensorflow, SOURCES, setUpTensorflow } from "./tensorflow.ts";
import { planWebgpu, setUpWebgpu } from "./webgpu.ts";

/** Sets a backend up; returns the exit code. */
export async function setup(args: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = readArgs("setup", args, {
    "dry-run": { type: "boolean" },
    source: { type: "string" },
    from: { type: "string" },
    verbose: { type: "boolean" },
  });
  const backend = choice("backend", positionals[0], ["tensorflow", "webgpu"]);
  if (positionals.length !== 1) throw usageError("setup takes the name of one backend", "Write: fourfold setup tensorflow", positionals);
  const { from } = values;
  const source = choice("source", values.source, SOURCES);
  if (source !== undefined && from !== undefined) throw usageError("--source and --from exclude each other", "Keep one of them");
  if (backend === "webgpu" && (source ?? from) !== undefined)
    throw usageError("--source and --from are for tensorflow", "Write: fourfold setup webgpu");
  if (values["dry-run"]) {
    process.stdout.write(harmless(backend === "webgpu" ? planWebgpu() : planTensorflow({ source, from }), true));
    return EXIT.ok;
  }
  const bar = progressBar(process.stderr, false);
  const shown = process.stderr.isTTY === true;
  const tell = (step: string, what: string): void => {
    bar.end();
    process.stdout.write(`${step.padEnd(14)}${harmless(what)}\n`);
  };
  const tensorflow = (): Promise<void> =>
    setUpTensorflow({
      source,
      from,
      signal,
      shown,
      tell,
      onProgress: (progress) => (progress ? bar.show(progress) : bar.end()),
    }).finally(() => bar.end());
  if (backend === "tensorflow") await tensorflow();
  else {
    const bound = isBound();
    try {
      await setUpWebgpu({ signal, tell, shown });
    } finally {
      // npm puts the package of another backend anew, without what was built into it.
      if (bound && !isBound()) await tensorflow();
    }
  }
  return EXIT.ok;
}
