/**
 * A source of a spec, opened: what it reads, with absolute paths, what is kept of that, and the columns that hierarchies and expressions add,
 * all as one SELECT. Whoever reads an opened source gets them, however it reads.
 */
import { FourfoldError, show } from "../errors.ts";
import type { Column, Database, Watch } from "./duckdb.ts";
import { checkExpression } from "./expression.ts";
import { type Allowed, readerPath } from "./folders.ts";
import { checkKeys, joinOf, makeLines } from "./hierarchy-parents.ts";
import { checkPaths, pathColumns } from "./hierarchy-path.ts";
import type { JsonDocument } from "./json.ts";
import { type FilesTable, openFiles } from "./open-files.ts";
import type { SourceColumn } from "./source-column.ts";
import { type Opened, placed, ROW } from "./source-columns.ts";
import type { SpecSource } from "./spec-source.ts";
import { hasCollation, identifier, quoted, replacePaths, singleSelect, sqlPaths } from "./sql.ts";

export {
  asDouble,
  columnOf,
  isNumeric,
  keyCell,
  keySql,
  keyText,
  type NumberColumn,
  numberColumn,
  type Opened,
  placed,
  rowWhere,
  showKey,
  tableOf,
  weightColumn,
} from "./source-columns.ts";

/** A SELECT over another: it keeps all columns, and adds some at the end. */
type Layer = (from: string) => string;

/** Opens a source: its paths are checked, its columns known, its hierarchy whole. @throws FourfoldError with the place in the spec */
export async function openSource(
  db: Database,
  source: SpecSource,
  pointer: string,
  document: JsonDocument,
  allowed: Allowed,
  signal: AbortSignal | undefined,
  /** Opens the files of a source of files, if they are not to be read as they are. */
  open?: (db: Database) => Promise<FilesTable>,
): Promise<Opened> {
  const at = async <T>(part: string, work: () => T | Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw placed(error, document, part.startsWith("/") ? part : `${pointer}/${part}`);
    }
  };
  const base = await at("sql" in source ? "sql" : "file", () => openTable(db, source, allowed, signal, open));
  const watch: Watch = { signal, subject: base.subject };
  const builder = new SourceBuilder(db, base, source, `${pointer}/${"sql" in source ? "sql" : "file"}`, watch);
  const { where, path, parents, computed = [] } = source;
  if (where !== undefined)
    await at("where", async () => {
      const { sql, collated } = await checkExpression(db, where, allowed, watch);
      await builder.add((from) => `from ${from} where ${sql}`, [], collated);
    });
  if (path !== undefined)
    await at("path", async () => {
      const columns = pathColumns(builder.opened, path);
      await checkPaths(db, builder.opened, path, watch);
      await builder.add((from) => `select source.*, ${named(columns, path.names)} from ${from}`, path.names);
    });
  if (parents !== undefined) {
    const table = await openSource(db, parents.table, `${pointer}/parents/table`, document, allowed, signal);
    await at("parents", async () => {
      const lines = await makeLines(db, builder.opened, table, parents, `lines${pointer.replaceAll(/\W/g, "_")}`, watch);
      await checkKeys(db, builder.opened, table.subject, parents, lines, watch);
      const { columns, join } = joinOf(lines, parents.names);
      await builder.add((from) => `select source.*, ${named(columns, parents.names)} from ${from} ${join}`, parents.names);
    });
  }
  for (const { name, expression, pointer: place } of computed)
    await at(place, async () => {
      const { sql, collated } = await checkExpression(db, expression, allowed, watch);
      await builder.add((from) => `select source.*, ${named([sql], [name])} from ${from}`, [name], collated);
    });
  return builder.opened;
}

function named(columns: readonly string[], names: readonly string[]): string {
  return columns.map((sql, i) => `${sql} as ${identifier(names[i] as string)}`).join(", ");
}

/** What a source reads, before anything is added: a table expression. */
interface Table {
  readonly table: string;
  readonly columns: readonly SourceColumn[];
  readonly subject: string;
  readonly collated: boolean;
}

async function openTable(
  db: Database,
  source: SpecSource,
  allowed: Allowed,
  signal: AbortSignal | undefined,
  open: ((db: Database) => Promise<FilesTable>) | undefined,
): Promise<Table> {
  if ("file" in source) return { ...(await (open?.(db) ?? openFiles(db, source, allowed, signal))), collated: false };
  const statement = singleSelect(await db.syntax(source.sql, { signal }));
  const paths = sqlPaths(source.sql, statement);
  const sql = replacePaths(source.sql, paths, (path) => readerPath(path, allowed));
  const subject = paths.length === 1 ? (paths[0] as { path: string }).path : "the source";
  // The text reaches our own SQL as data, so that a comment or semicolon at its end cannot reach what stands around it.
  return {
    table: `query(${quoted(sql)})`,
    columns: await db.columns(sql, { signal, subject }),
    subject,
    collated: hasCollation(statement),
  };
}

/** An opened source while layers are put over it. */
class SourceBuilder {
  readonly #db: Database;
  readonly #watch: Watch;
  #opened: Opened;

  constructor(db: Database, { table, columns, subject, collated }: Table, { int64 }: SpecSource, pointer: string, watch: Watch) {
    this.#db = db;
    this.#watch = watch;
    const numbered = `select row_number() over () - 1 as ${identifier(ROW)}, source.* from ${table} as source`;
    this.#opened = { sql: `from ${table}`, numbered, columns, subject, pointer, collated, int64 };
  }

  get opened(): Opened {
    return this.#opened;
  }

  /** Puts a layer that adds columns over the source. @throws FourfoldError if it has one of them already, or the SQL is not valid */
  async add(layer: Layer, names: readonly string[], collated = false): Promise<void> {
    const before = this.#opened;
    for (const name of names)
      if (before.columns.some((column) => column.name.toLowerCase() === name.toLowerCase()))
        throw new FourfoldError("ERR_FOURFOLD_COLUMN", `${before.subject} has a column ${show(name)} already`, {
          given: name,
          at: { column: name },
          fix: "Give the new column another name",
        });
    const sql = layer(`(${before.sql}) as source`);
    const columns: readonly Column[] = await this.#db.columns(sql, this.#watch);
    this.#opened = {
      ...before,
      sql,
      numbered: layer(`(${before.numbered}) as source`),
      columns: [...before.columns, ...columns.slice(columns.length - names.length)],
      collated: before.collated || collated,
    };
  }
}
