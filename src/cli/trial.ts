/** Whether a backend works here: tried on a small chain, not guessed. */
import { fileURLToPath } from "node:url";
import { FourfoldError } from "../errors.ts";
import { type BackendName, chain, createEngine, type EngineOptions, max, mean, type Result, weightedMean, weightedSum } from "../index.ts";
import { runProgram } from "./children.ts";
import { harmless } from "./failure.ts";

/** One thing that a run may use. */
export interface Finding {
  readonly present: boolean;
  /** How it was tried, or what went wrong. */
  readonly note: string;
  readonly version?: string;
  /** The command or the change that gets it. */
  readonly fix?: string;
}

/** A native library that does not answer in this time is not waited for: loading it takes seconds, the chain milliseconds. */
const PROBE_MS_MAX = 60_000;

/** The shape of a chain of four levels on awkward values. */
export type TrialShape = readonly [number, number, number, number];

/** A chain of four levels on awkward values. */
export async function tried(shape: TrialShape, options: EngineOptions): Promise<Result & { readonly backendVersion: string | undefined }> {
  const weights = (n: number): number[] => Array.from({ length: n }, (_, i) => Math.sin(i + 1) / 3);
  const [, , b, a] = shape;
  const four = chain(weightedSum(weights(a)), weightedMean(weights(b).map(Math.abs)), mean(), max());
  await using engine = await createEngine(options);
  const x = engine.tensor(shape, "f64");
  for (let i = 0; i < x.data.length; i++) x.data[i] = Math.cos(i) * 2 ** ((i % 41) - 20);
  return Object.assign(await engine.run(four, x), { backendVersion: await engine.start() });
}

/** Tries tensor operations against the reference. */
export async function tryTensors(backend: BackendName): Promise<Finding> {
  const shape = [3, 5, 7, 257] as const;
  try {
    const { value, errorBound, backendVersion } = await tried(shape, { backend, accuracy: "fast", workers: 0 });
    const version = backendVersion === undefined ? {} : { version: backendVersion };
    const expected = (await tried(shape, { backend: "reference" })).value;
    const off = Math.abs(value - expected);
    if (errorBound !== undefined && off <= errorBound)
      return {
        present: true,
        ...version,
        note: "float32 tensor operations, for --accuracy fast; a chain of four levels was within its error bound",
      };
    return { present: false, ...version, note: `a small chain was ${off} off, its error bound is ${errorBound}` };
  } catch (error) {
    return { present: false, note: messageOf(error), ...fixOf(error) };
  }
}

/** {@link tryTensors} in a process of its own, so that a library that crashes or hangs ends nothing else. */
export async function tryInChild(backend: BackendName, signal?: AbortSignal): Promise<Finding> {
  const probe = fileURLToPath(new URL("../../dist/cli/probe.js", import.meta.url));
  const { code, stdout, stderr } = await runProgram(process.execPath, [probe, backend], { signal, timeoutMs: PROBE_MS_MAX });
  try {
    if (code === 0) return JSON.parse(stdout) as Finding;
  } catch {
    // It printed something else: told below.
  }
  return { present: false, note: `the process that tried it failed: ${harmless((stderr.trim() || stdout.trim()).split("\n").at(-1)!)}` };
}

/** The command that gets what is absent, without the words before it. */
export function fixOf(error: unknown): { fix?: string } {
  const fix = error instanceof FourfoldError ? error.fix : undefined;
  return fix === undefined ? {} : { fix: fix.replace(/^.*?(?=(npm install|npx fourfold) )/, "") };
}

/** What went wrong, on one line. */
export function messageOf(error: unknown): string {
  return harmless(error instanceof Error ? error.message.replace(/\s*\n\s*/g, " ") : String(error));
}
