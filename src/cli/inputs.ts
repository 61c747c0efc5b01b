/** An answer is not written over what it is made from. */
import { statSync } from "node:fs";
import { show } from "../errors.ts";
import { loadSpec } from "../files/index.ts";
import { usageError } from "./args.ts";
import type { Question } from "./question.ts";

/** The files that a question reads: of a spec also its sources and tables. */
export async function inputsOf({ file, kind, weights, allowPaths }: Question, signal: AbortSignal): Promise<readonly string[]> {
  if (kind === "tensor") return [file, ...weights];
  return [file, ...(await (await loadSpec(file, { allowPaths })).files(signal))];
}

/** Refuses an output that is one of the inputs, by whatever name. `inputs` are asked for only if there is such a file. */
export async function refuseInput(out: string | undefined, inputs: () => Promise<readonly string[]>): Promise<void> {
  const target = out === undefined || out === "-" ? undefined : statSync(out, { throwIfNoEntry: false });
  if (!target?.isFile()) return;
  for (const input of await inputs()) {
    const found = statSync(input, { throwIfNoEntry: false });
    if (found?.ino === target.ino && found.dev === target.dev)
      throw usageError(`--out ${show(out)} is ${show(input)}, which is read: it would be overwritten`, "Name another file", out);
  }
}
