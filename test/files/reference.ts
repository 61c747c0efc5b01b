/** Asks reference.py what a roll-up of records is, in exact rational arithmetic; and runs one here. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { loadSpec } from "../../src/files/index.ts";
import type { Engine } from "../../src/index.ts";
import { ROOT } from "../child.ts";

/** A level as reference.py takes it. */
export interface ReferenceLevel {
  readonly by: readonly string[];
  readonly reduce: "sum" | "mean" | "max" | "weightedSum" | "weightedMean";
  /** A column, which expressions have been written into. */
  readonly weights?: string;
}

/** The nodes of each level, innermost first: key and value. */
export type Rolled = readonly (readonly (readonly [readonly unknown[], number])[])[];

/** The exact answer. */
export function reference(columns: readonly string[], records: readonly (readonly unknown[])[], levels: readonly ReferenceLevel[]): Rolled {
  const { status, stdout, stderr } = spawnSync("python3", [join(ROOT, "test/files/reference.py")], {
    input: `${JSON.stringify({ columns, records, levels })}\n`,
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  if (status !== 0) throw new Error(`reference.py ended with ${status}: ${stderr}`);
  return JSON.parse(stdout) as Rolled;
}

/** What Fourfold makes of a spec. */
export async function rolled(engine: Engine, spec: string): Promise<Rolled> {
  const job = await loadSpec(spec);
  const result = await engine.run(job, { keep: "all" });
  return job.levels.map(({ name }) => Array.from(result.level(name), ({ path, value }) => [path, value] as const));
}
