/** The files that a spec reads, before anything opens them: their real paths and sizes. It decides nothing about their content. */
import { statSync } from "node:fs";
import { FourfoldError, show } from "../errors.ts";
import { type Database, openDatabase } from "./duckdb.ts";
import { type Allowed, resolvePath } from "./folders.ts";
import { placed } from "./source.ts";
import type { FileFormat, SpecContent, SpecSource } from "./spec.ts";
import { quoted, singleSelect, sqlPaths } from "./sql.ts";

/** Files of one pattern; a spec that reads more should name a folder less deep. */
const FILES_MAX = 100_000;

/** A file that a spec reads. */
export interface SourceFile {
  readonly path: string;
  readonly bytes: number;
  /** What it is read as; undefined where SQL tells, or its ending. */
  readonly format: FileFormat | undefined;
}

/** What one source of a spec reads. */
export interface SourceFiles {
  /** As the spec calls it: a path or pattern, or "the source" for SQL over several. */
  readonly subject: string;
  /** The place in the spec. */
  readonly pointer: string;
  readonly files: readonly SourceFile[];
}

/** Every source of a spec with its place; sources are what has "sql", or "file" with "format". */
function sourcesOf(value: unknown, pointer: string): (readonly [string, SpecSource])[] {
  if (typeof value !== "object" || value === null) return [];
  const object = value as Partial<Record<string, unknown>>;
  if (typeof object["sql"] === "string" || (typeof object["file"] === "string" && typeof object["format"] === "string"))
    return [[pointer, value as SpecSource]];
  return Object.entries(object).flatMap(([key, part]) => sourcesOf(part, `${pointer}/${key}`));
}

/**
 * The files of every source of a spec. Only SQL and patterns need a database, and it opens none of the files.
 * @throws FourfoldError ERR_FOURFOLD_FORBIDDEN, ERR_FOURFOLD_SOURCE, ERR_FOURFOLD_SPEC, with the place in the spec
 */
export async function filesOf(spec: SpecContent, allowed: Allowed, signal: AbortSignal | undefined): Promise<readonly SourceFiles[]> {
  const { document, ...content } = spec;
  let db: Database | undefined;
  const found: SourceFiles[] = [];
  try {
    for (const [pointer, source] of sourcesOf(content, "")) {
      const place = "sql" in source ? `${pointer}/sql` : `${pointer}/file`;
      try {
        const format = "sql" in source ? undefined : source.format;
        let paths: readonly string[];
        if ("sql" in source) {
          db ??= await openDatabase(allowed, { threads: 1 });
          paths = sqlPaths(source.sql, singleSelect(await db.syntax(source.sql, { signal }))).map(({ path }) => path);
        } else paths = [source.file];
        const files: SourceFile[] = [];
        for (const path of paths) {
          const absolute = resolvePath(path, allowed);
          const size = sizeOf(absolute);
          if (size !== undefined) files.push({ path: absolute, bytes: size, format });
          else {
            db ??= await openDatabase(allowed, { threads: 1 });
            for (const matched of await matches(db, path, absolute, signal)) {
              resolvePath(matched, allowed); // a link that a pattern meets may lead elsewhere
              files.push({ path: matched, bytes: sizeOf(matched) ?? 0, format });
            }
          }
        }
        found.push({ subject: paths.length === 1 ? paths[0]! : "the source", pointer: place, files });
      } catch (error) {
        throw placed(error, document, place);
      }
    }
    return found;
  } finally {
    db?.close();
  }
}

/** Its bytes; undefined if there is nothing of that name. A pipe or device would be read without end, or never answer. */
function sizeOf(path: string): number | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined || found.isFile()) return found?.size;
  throw new FourfoldError("ERR_FOURFOLD_SOURCE", `${show(path)} is not a file`, {
    given: path,
    at: { file: path },
    fix: found.isDirectory() ? "Name the files in it: folder/*.parquet" : "Copy what it gives into a file",
  });
}

async function matches(db: Database, path: string, pattern: string, signal: AbortSignal | undefined): Promise<string[]> {
  const files: string[] = [];
  for await (const chunk of db.chunks(`select file from glob(${quoted(pattern)}) order by file limit ${FILES_MAX + 1}`, {
    signal,
    subject: path,
  }))
    files.push(...(chunk.cells(0) as string[]));
  if (files.length > FILES_MAX)
    throw new FourfoldError("ERR_FOURFOLD_SOURCE", `${show(path)} matches more than ${FILES_MAX} files`, {
      given: path,
      expected: FILES_MAX,
    });
  if (files.length === 0)
    throw new FourfoldError("ERR_FOURFOLD_SOURCE", `no file matches ${show(path)}`, {
      given: path,
      fix: "Paths are relative to the spec's folder",
    });
  return files;
}
