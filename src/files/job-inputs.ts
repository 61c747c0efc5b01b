/**
 * The files that a job reads, and how a changed one is noticed without reading all of it: by its size, by the time of its last change, and by a
 * hash of its two ends (where Parquet has its metadata). An edit in the middle that keeps the size and sets the time back is not noticed.
 */
import { createHash } from "node:crypto";
import { open, stat } from "node:fs/promises";
import { FourfoldError, show, systemReason } from "../errors.ts";
import type { Database } from "./duckdb.ts";
import { expressionPaths } from "./expression.ts";
import { type Allowed, readerPath } from "./folders.ts";
import { globFiles } from "./globs.ts";
import type { JsonDocument } from "./json.ts";
import { filesNamed } from "./open-files.ts";
import { placed } from "./source.ts";
import type { SpecContent, SpecSource } from "./spec.ts";
import { singleSelect, sqlPaths } from "./sql.ts";

/** Bytes hashed at each end: a read that costs nothing beside opening the file, and all of a small file. */
const END_BYTES = 1 << 16;

/** A file as it was when the job began. */
export interface JobInput {
  /** Absolute. */
  readonly path: string;
  readonly bytes: number;
  /** Nanoseconds since 1970, as text: more digits than float64 has. */
  readonly changedNs: string;
  /** SHA-256 of the first and the last 64 KiB, as hex. */
  readonly ends: string;
}

/** The files of the source and of the tables of weights, each once, in order of their paths. @throws FourfoldError with the place in the spec */
export async function listInputs(
  db: Database,
  spec: SpecContent,
  allowed: Allowed,
  signal: AbortSignal | undefined,
): Promise<readonly JobInput[]> {
  const paths = new Set<string>();
  const add = async (source: SpecSource, pointer: string): Promise<void> => {
    for (const path of await filesOf(db, source, pointer, spec.document, allowed, signal)) paths.add(path);
    if (source.parents !== undefined) await add(source.parents.table, `${pointer}/parents/table`);
    for (const text of [source.where, ...(source.computed ?? []).map(({ expression }) => expression)]) {
      const named = text === undefined ? [] : await expressionPaths(db, text, { signal });
      for (const path of await globFiles(db, readerPaths(named, allowed), { signal })) paths.add(path);
    }
  };
  await add(spec.source, "/source");
  for (const [i, { weights }] of spec.levels.entries())
    if (typeof weights === "object" && "table" in weights) await add(weights.table, `/levels/${i}/weights/table`);
  const inputs: JobInput[] = [];
  for (const path of [...paths].sort()) inputs.push(await inputOf(path));
  return inputs;
}

/** The files that a source names, by their absolute paths, in DuckDB's order. */
export async function filesOf(
  db: Database,
  source: SpecSource,
  pointer: string,
  document: JsonDocument,
  allowed: Allowed,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const place = `${pointer}/${"sql" in source ? "sql" : "file"}`;
  try {
    const watch = { signal };
    const named =
      "file" in source
        ? filesNamed(source)
        : sqlPaths(source.sql, singleSelect(await db.syntax(source.sql, watch))).map(({ path }) => path);
    const files: string[] = [];
    for (const path of named) {
      const found = await globFiles(db, readerPaths([path], allowed), { signal, subject: path });
      // A pipe would keep who opens it waiting for ever.
      for (const file of found.length === 0 ? [""] : found)
        if ((await stat(file).catch(() => undefined))?.isFile() !== true) throw noFile(path);
      files.push(...found);
    }
    return files;
  } catch (error) {
    throw placed(error, document, place);
  }
}

const readerPaths = (paths: readonly string[], allowed: Allowed): string[] => paths.map((path) => readerPath(path, allowed));

function noFile(path: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_SOURCE", `${show(path)} names no regular file, which a job needs so that it can read it again`, {
    given: path,
    fix: "Check the pattern; copy what a pipe gives to a file, or run without a job",
  });
}

async function inputOf(path: string): Promise<JobInput> {
  try {
    const file = await open(path, "r");
    try {
      const { size, mtimeNs } = await file.stat({ bigint: true });
      const bytes = Number(size);
      const hash = createHash("sha256");
      const head = Math.min(bytes, END_BYTES);
      for (const [at, length] of [
        [0, head],
        [Math.max(head, bytes - END_BYTES), Math.min(bytes - head, END_BYTES)],
      ] as const) {
        const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, at);
        hash.update(buffer.subarray(0, bytesRead));
      }
      return { path, bytes, changedNs: String(mtimeNs), ends: hash.digest("hex") };
    } finally {
      await file.close();
    }
  } catch (cause) {
    const reason = systemReason(cause);
    if (reason === undefined) throw cause;
    throw new FourfoldError("ERR_FOURFOLD_SOURCE", `${path} cannot be read: ${reason}`, { given: path, cause, at: { file: path } });
  }
}

/** True if a file still has its size and time: asked before and after each piece, so that no piece is half one thing and half another. */
export async function isUnchanged({ path, bytes, changedNs }: JobInput): Promise<boolean> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found !== undefined && Number(found.size) === bytes && String(found.mtimeNs) === changedNs;
}

/** What of the files changed, in words; none if nothing did. */
export function changesOf(before: readonly JobInput[], now: readonly JobInput[]): string[] {
  const found = new Map(now.map((input) => [input.path, input]));
  const changes: string[] = [];
  for (const input of before) {
    const other = found.get(input.path);
    found.delete(input.path);
    if (other === undefined) changes.push(`${input.path} is gone`);
    else if (other.bytes !== input.bytes) changes.push(`${input.path} has ${other.bytes} bytes, had ${input.bytes}`);
    else if (other.ends !== input.ends) changes.push(`${input.path} holds other bytes`);
    else if (other.changedNs !== input.changedNs)
      changes.push(`${input.path} was written to on ${dateOf(other)}, before on ${dateOf(input)}`);
  }
  for (const path of found.keys()) changes.push(`${path} is new`);
  return changes;
}

function dateOf({ changedNs }: JobInput): string {
  const ms = Number(BigInt(changedNs) / 1_000_000n);
  return Number.isFinite(ms) && Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : show(changedNs);
}
