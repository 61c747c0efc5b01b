/** The files that a spec reads, before anything opens them: their real paths and sizes. It decides nothing about their content. */
import { statSync } from "node:fs";
import { FourfoldError, show } from "../errors.ts";
import { type Database, openDatabase } from "./duckdb.ts";
import { expressionPaths } from "./expression.ts";
import { type Allowed, resolvePath } from "./folders.ts";
import { filesNamed, subjectOf } from "./open-files.ts";
import { placed } from "./source.ts";
import type { SpecContent } from "./spec.ts";
import type { FileFormat, SpecSource } from "./spec-source.ts";
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

/** A part of a spec that names files: a list of them, or SQL. */
interface Naming {
  readonly pointer: string;
  readonly files?: readonly string[];
  readonly sql?: string;
  /** SQL of one expression, not of a SELECT. */
  readonly expression?: string;
  readonly format?: FileFormat;
}

/** All parts of a spec that name files; sources are what has "sql", or "file" with "format". */
function namingsOf(value: unknown, pointer: string): Naming[] {
  if (typeof value !== "object" || value === null) return [];
  const object = value as Partial<Record<string, unknown>>;
  if (typeof object["sql"] !== "string" && typeof object["format"] !== "string")
    return Object.entries(object).flatMap(([key, part]) => namingsOf(part, `${pointer}/${key}`));
  const source = value as SpecSource;
  const { where, parents, computed = [] } = source;
  return [
    "sql" in source
      ? { pointer: `${pointer}/sql`, sql: source.sql }
      : { pointer: `${pointer}/file`, files: filesNamed(source), format: source.format },
    ...(where === undefined ? [] : [{ pointer: `${pointer}/where`, expression: where }]),
    ...(parents === undefined ? [] : namingsOf(parents.table, `${pointer}/parents/table`)),
    ...computed.map(({ expression, pointer: place }) => ({ pointer: place, expression })),
  ];
}

/**
 * The files of every source of a spec. Only SQL and patterns need a database, and it opens none of the files.
 * @throws FourfoldError ERR_FOURFOLD_FORBIDDEN, ERR_FOURFOLD_SOURCE, ERR_FOURFOLD_SPEC, with the place in the spec
 */
export async function filesOf(spec: SpecContent, allowed: Allowed, signal: AbortSignal | undefined): Promise<readonly SourceFiles[]> {
  const { document, ...content } = spec;
  let db: Database | undefined;
  const open = async (): Promise<Database> => {
    db ??= await openDatabase(allowed, { threads: 1 });
    return db;
  };
  const found: SourceFiles[] = [];
  try {
    for (const { pointer, sql, expression, format, files: named } of namingsOf(content, ""))
      try {
        let paths = named ?? [];
        if (sql !== undefined) paths = sqlPaths(sql, singleSelect(await (await open()).syntax(sql, { signal }))).map(({ path }) => path);
        if (expression !== undefined) paths = await expressionPaths(await open(), expression, { signal });
        const files: SourceFile[] = [];
        for (const path of paths) {
          const absolute = resolvePath(path, allowed);
          const size = sizeOf(absolute);
          if (size !== undefined) files.push({ path: absolute, bytes: size, format });
          else
            for (const matched of await matches(await open(), path, absolute, signal)) {
              resolvePath(matched, allowed); // a link that a pattern meets may lead elsewhere
              files.push({ path: matched, bytes: sizeOf(matched) ?? 0, format });
            }
        }
        found.push({ subject: named === undefined && paths.length !== 1 ? "the source" : subjectOf(paths), pointer, files });
      } catch (error) {
        throw placed(error, document, pointer);
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
