/** What a job is, as JSON: its spec, its files, and the pieces that they are cut into. It opens nothing. */
import { createHash } from "node:crypto";
import { FourfoldError, show } from "../errors.ts";
import type { Policy } from "../reduce/layout.ts";
import type { Interval } from "../reduce/provenance.ts";
import { CONTRACT_VERSION } from "../types.ts";
import { changesOf, type JobInput } from "./job-inputs.ts";
import type { SpecContent } from "./spec.ts";

const FORMAT = 1;

/** One piece: a file, rows of a Parquet file, or all that an SQL source gives. */
export interface JobPiece {
  /** The file's path; null for an SQL source. */
  readonly file: string | null;
  /** Rows of a Parquet file, bytes of another, 0 to 1 for SQL: half-open. */
  readonly from: number;
  readonly to: number;
  /** True if the rows are less than the file. */
  readonly part: boolean;
  /** The column that names each record's file while the piece is read. */
  readonly column: string;
  /** Bytes of the source that it stands for, for telling how far a job is. */
  readonly bytes: number;
}

/** Names of the column of files: the one that DuckDB knows to skip files by, and one that no table has. */
export const FILE_COLUMNS: readonly string[] = ["filename", "fourfold file"];

/** All that a job's results depend on, in the order in which it is written. */
export interface JobPlan {
  readonly format: number;
  readonly contract: string;
  readonly duckdb: string;
  /** The spec as it was understood, part by part, as JSON. */
  readonly spec: Readonly<Record<string, string>>;
  readonly policy: Policy;
  readonly inputs: readonly JobInput[];
  readonly pieces: readonly JobPiece[];
}

/** What lies in the folder. */
export interface JobManifest {
  readonly plan: JobPlan;
  readonly status: "running" | "done";
  /** SHA-256 of the states of the pieces that were merged, by the number of the piece; null for one that was not yet. */
  readonly digests: readonly (string | null)[];
}

/** The parts of a spec that its numbers depend on. */
function partsOf(spec: SpecContent): Record<string, string> {
  const parts: Record<string, string> = {};
  // Formatting, $schema and how records stream change no number; nan may be given from outside and is part of the policy.
  for (const [name, part] of Object.entries(spec))
    if (name !== "document" && name !== "stream" && name !== "nan" && part !== undefined) parts[name] = JSON.stringify(part);
  return parts;
}

/** A plan of this version. */
export function planOf(
  spec: SpecContent,
  policy: Policy,
  duckdb: string,
  inputs: readonly JobInput[],
  pieces: readonly JobPiece[],
): JobPlan {
  return { format: FORMAT, contract: CONTRACT_VERSION, duckdb, spec: partsOf(spec), policy, inputs, pieces };
}

/** What the states of a job are marked with, so that no state of another is merged. */
export function identityOf(plan: JobPlan): string {
  return createHash("sha256").update(JSON.stringify(plan)).digest("hex");
}

/** What a piece reads, as states say it. */
export function intervalOf({ file, from, to }: JobPiece): Interval {
  return { source: file ?? "sql", partition: 0, from, to: Math.max(to, from + 1) };
}

/** The manifest as bytes. */
export function encodeManifest(manifest: JobManifest): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(manifest, null, 1)}\n`);
}

/** Reads what {@link encodeManifest} wrote; its bytes are those that were written, which does not say by whom. @throws FourfoldError ERR_FOURFOLD_JOB */
export function decodeManifest(bytes: Uint8Array, dir: string): JobManifest {
  const refuse = (problem: string, fix: string): FourfoldError =>
    new FourfoldError("ERR_FOURFOLD_JOB", `the manifest of the job in ${show(dir)} ${problem}`, { given: dir, fix, at: { file: dir } });
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    value = undefined;
  }
  const { plan, status, digests } = (value ?? {}) as Partial<JobManifest>;
  if (plan?.format !== FORMAT && typeof plan?.format === "number")
    throw refuse(`has format ${plan.format}, this package reads ${FORMAT}`, "Use the version that began it, or add --fresh (option fresh)");
  const isPiece = (piece: JobPiece): boolean =>
    (piece.file === null || plan?.inputs.some(({ path }) => path === piece.file) === true) &&
    [piece.from, piece.to, piece.bytes].every((n) => Number.isSafeInteger(n) && n >= 0) &&
    piece.from <= piece.to &&
    typeof piece.part === "boolean" &&
    FILE_COLUMNS.includes(piece.column);
  const whole =
    plan !== undefined &&
    (status === "running" || status === "done") &&
    Array.isArray(digests) &&
    Array.isArray(plan.inputs) &&
    plan.inputs.every(
      ({ path, bytes, changedNs, ends }) => [path, changedNs, ends].every((text) => typeof text === "string") && bytes >= 0,
    ) &&
    Array.isArray(plan.pieces) &&
    plan.pieces.every(isPiece) &&
    digests.length === plan.pieces.length &&
    typeof plan.spec === "object" &&
    typeof plan.policy === "object";
  if (!whole) throw refuse("is none", "Add --fresh (option fresh) to start over, or name another folder");
  return { plan, status, digests };
}

/** What differs between a job and what is asked for now, in words; undefined if nothing does. */
export function differenceOf(before: JobPlan, now: Omit<JobPlan, "pieces">): string | undefined {
  if (before.contract !== now.contract)
    return `another version of the numeric contract: it has ${before.contract}, this package ${now.contract}`;
  if (before.duckdb !== now.duckdb) return `another version of DuckDB: ${before.duckdb}, now ${now.duckdb}`;
  for (const name of new Set([...Object.keys(before.spec), ...Object.keys(now.spec)]))
    if (before.spec[name] !== now.spec[name])
      return `another spec: its ${show(name)} was ${before.spec[name] ?? "not there"}, is ${now.spec[name] ?? "not there"}`;
  for (const name of ["nan", "accuracy", "nullKeys"] as const)
    if (before.policy[name] !== now.policy[name])
      return `other options: ${name} was ${show(before.policy[name])}, is ${show(now.policy[name])}`;
  const changes = changesOf(before.inputs, now.inputs);
  if (changes.length === 0) return undefined;
  const more = changes.length > 3 ? `; and ${changes.length - 3} more` : "";
  return `another source: ${changes.slice(0, 3).join("; ")}${more}`;
}
