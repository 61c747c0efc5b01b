/**
 * The one door to DuckDB: a fresh in-memory database, locked down before a spec's SQL reaches it, and errors turned into ours.
 * It knows nothing of specs or levels. DuckDB is loaded on first use; without it everything else of Fourfold still works.
 */
import type { DuckDBConnection, DuckDBDataChunk, DuckDBPreparedStatement } from "@duckdb/node-api";
import { aborted, type ErrorCode, FourfoldError, throwIfAborted } from "../errors.ts";
import type { Progress } from "../types.ts";
import { textError } from "./csv-error.ts";
import { type Allowed, literally } from "./folders.ts";
import { quoted } from "./sql.ts";

/** The version that package.json names: what the message says must be what was tested. */
const INSTALL = "npm install @duckdb/node-api@1.5.6-r.1";
/** DuckDB's number for a SELECT statement. */
const SELECT = 1;
/** How often a running query is asked for its progress: seldom enough to cost nothing, often enough for a moving bar. */
const PROGRESS_EVERY_MS = 100;
/** An interrupt that comes just before a query starts is lost, so it is repeated until the query gives up. */
const INTERRUPT_EVERY_MS = 10;

/** What DuckDB may use. */
export interface DatabaseLimits {
  readonly memoryBytesMax?: number;
  readonly threads?: number;
  /** Where it may write what does not fit in memory, and how much; nowhere without it. */
  readonly spill?: { readonly folder: string; readonly bytesMax: number };
}

/** A column of a query: its name and its type's name, without width or members (`DECIMAL`, `STRUCT`). */
export interface Column {
  readonly name: string;
  readonly type: string;
  /** Digits and digits after the point, of DECIMAL. */
  readonly width?: number;
  readonly scale?: number;
}

/** Up to 2,048 rows of a result. */
export interface Chunk {
  readonly rows: number;
  /** The cells of a column as JavaScript values. */
  cells(column: number): readonly unknown[];
  /** The items of a numeric column as they lie in memory; null cells hold rubbish. */
  items(column: number): ArrayLike<number>;
  /** The items of a column of lists, and where each list lies among them: two 64-bit words (start, length) for each row. */
  lists(column: number): { readonly items: ArrayLike<number>; readonly entries: BigUint64Array };
}

/** How a query is watched. */
export interface Watch {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** What the query reads, for messages: a file or "source". */
  readonly subject?: string | undefined;
}

/** A locked database. */
export interface Database {
  /** The syntax tree of `sql` as JSON text. */
  syntax(sql: string, watch: Watch): Promise<string>;
  /** The columns of the one SELECT that `sql` must be; binds it, which opens the files. */
  columns(sql: string, watch: Watch): Promise<Column[]>;
  /** Runs a statement of ours for its effect. */
  execute(sql: string, watch: Watch): Promise<void>;
  /** The result of a query of ours, chunk by chunk. */
  chunks(sql: string, watch: Watch): AsyncGenerator<Chunk, void, void>;
  /** The same for long results: the next chunk is on its way while one is looked at, so no other statement may run meanwhile. */
  chunksAhead(sql: string, watch: Watch): AsyncGenerator<Chunk, void, void>;
  close(): void;
}

/** The package. */
export type DuckDB = typeof import("@duckdb/node-api");

/** Loads the package; `code` and `work` are for where it is missing. */
export async function loadDuckDB(code: ErrorCode = "ERR_FOURFOLD_SOURCE", work = "reading tables"): Promise<DuckDB> {
  try {
    return await import("@duckdb/node-api");
  } catch (cause) {
    throw new FourfoldError(code, `${work} needs the package @duckdb/node-api, which cannot be loaded`, {
      fix: `Install it: ${INSTALL}`,
      cause,
    });
  }
}

/**
 * Opens a database that reads below the allowed places and nothing else. The order matters: options that must precede the
 * database, then those that close the doors, then the lock.
 */
export async function openDatabase(allowed: Allowed, limits: DatabaseLimits): Promise<Database> {
  const duckdb = await loadDuckDB();
  const instance = await duckdb.DuckDBInstance.create(":memory:", {
    autoload_known_extensions: "false",
    autoinstall_known_extensions: "false",
    allow_community_extensions: "false",
    allow_persistent_secrets: "false",
    preserve_insertion_order: "true", // node i of a stored table stays row i
    temp_directory: limits.spill?.folder ?? "", // without one never write, not even what does not fit in memory
    ...(limits.spill === undefined ? {} : { max_temp_directory_size: `${Math.floor(limits.spill.bytesMax / 1024)}KiB` }),
    ...(limits.memoryBytesMax === undefined ? {} : { memory_limit: `${Math.max(1, Math.floor(limits.memoryBytesMax / 1024))}KiB` }),
    ...(limits.threads === undefined ? {} : { threads: String(limits.threads) }),
  });
  try {
    const connection = await instance.connect();
    for (const setting of [
      "set TimeZone = 'UTC'", // a date that becomes a key is the same key everywhere
      "set enable_progress_bar = true",
      "set enable_progress_bar_print = false",
      `set allowed_directories = ${patterns(allowed.folders)}`,
      `set allowed_paths = ${patterns(allowed.files)}`,
      "set enable_external_access = false",
      "set lock_configuration = true",
    ])
      await connection.run(setting);
    return new LockedDatabase(duckdb, connection, () => {
      connection.closeSync();
      instance.closeSync();
    });
  } catch (error) {
    instance.closeSync();
    throw translate(error, "DuckDB");
  }
}

/** Places as a list of SQL, and as they are spelled in patterns (folders.ts), which DuckDB compares before it follows them. */
function patterns(places: readonly string[]): string {
  return `[${[...new Set([...places, ...places.map(literally)])].map(quoted).join(", ")}]`;
}

class LockedDatabase implements Database {
  readonly #duckdb: DuckDB;
  readonly #connection: DuckDBConnection;
  readonly #close: () => void;
  #closed = false;

  constructor(duckdb: DuckDB, connection: DuckDBConnection, close: () => void) {
    this.#duckdb = duckdb;
    this.#connection = connection;
    this.#close = close;
  }

  syntax(sql: string, watch: Watch): Promise<string> {
    return this.#watched(watch, async () => {
      const flags = "skip_null := true, skip_empty := true, skip_default := true";
      const reader = await this.#connection.runAndReadAll(`select json_serialize_sql($1::varchar, ${flags})`, [sql]);
      return String(reader.getRows()[0]?.[0]);
    });
  }

  columns(sql: string, watch: Watch): Promise<Column[]> {
    return this.#watched(watch, async () => {
      const statement = await this.#prepareSelect(sql);
      const columns: Column[] = [];
      for (let i = 0; i < statement.columnCount; i++) {
        const type = statement.columnType(i);
        const name = statement.columnName(i);
        const typeName = this.#duckdb.DuckDBTypeId[statement.columnTypeId(i)] ?? "INVALID";
        columns.push(
          "width" in type && "scale" in type ? { name, type: typeName, width: type.width, scale: type.scale } : { name, type: typeName },
        );
      }
      statement.destroySync();
      return columns;
    });
  }

  /** The second lock on the door: whatever the syntax tree said, what runs is one SELECT. */
  async #prepareSelect(sql: string): Promise<DuckDBPreparedStatement> {
    const statements = await this.#connection.extractStatements(sql);
    if (statements.count === 1) {
      const statement = await statements.prepare(0);
      if (statement.statementType === SELECT) return statement;
      statement.destroySync();
    }
    throw new FourfoldError("ERR_FOURFOLD_FORBIDDEN", "the SQL is not a single SELECT", {
      given: statements.count,
      fix: "A spec may hold one SELECT and nothing else",
    });
  }

  execute(sql: string, watch: Watch): Promise<void> {
    return this.#watched(watch, async () => {
      await this.#connection.run(sql);
    });
  }

  async *chunks(sql: string, watch: Watch): AsyncGenerator<Chunk, void, void> {
    const result = await this.#watched(watch, () => this.#connection.stream(sql));
    for (;;) {
      const chunk = await this.#watched({ signal: watch.signal, subject: watch.subject }, () => result.fetchChunk());
      if (chunk === null || chunk.rowCount === 0) return;
      yield chunkOf(chunk);
    }
  }

  async *chunksAhead(sql: string, { signal, subject }: Watch): AsyncGenerator<Chunk, void, void> {
    const watch: Watch = { signal, subject };
    const result = await this.#watched(watch, () => this.#connection.stream(sql));
    const fetch = (): Promise<DuckDBDataChunk | null> => {
      const next = this.#watched(watch, () => result.fetchChunk());
      next.catch(() => undefined); // told when it is awaited, if ever
      return next;
    };
    let next = fetch();
    try {
      for (;;) {
        const chunk = await next;
        if (chunk === null || chunk.rowCount === 0) return;
        next = fetch();
        yield chunkOf(chunk);
      }
    } finally {
      await next.catch(() => undefined);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#close();
  }

  async #watched<T>({ signal, onProgress, subject }: Watch, work: () => Promise<T>): Promise<T> {
    throwIfAborted(signal);
    let interrupting: NodeJS.Timeout | undefined;
    const interrupt = (): void => {
      this.#connection.interrupt();
      interrupting ??= setInterval(() => this.#connection.interrupt(), INTERRUPT_EVERY_MS);
    };
    signal?.addEventListener("abort", interrupt, { once: true });
    const asking = onProgress && setInterval(() => this.#tell(onProgress), PROGRESS_EVERY_MS);
    try {
      const result = await work();
      throwIfAborted(signal);
      return result;
    } catch (error) {
      if (signal?.aborted) throw aborted(signal);
      throw translate(error, subject ?? "the source");
    } finally {
      signal?.removeEventListener("abort", interrupt);
      clearInterval(interrupting);
      clearInterval(asking);
    }
  }

  #tell(onProgress: (progress: Progress) => void): void {
    const { percentage, rows_processed: done, total_rows_to_process: total } = this.#connection.progress;
    if (percentage > 0) onProgress({ done: Number(done), total: Number(total), unit: "records" });
  }
}

function chunkOf(chunk: DuckDBDataChunk): Chunk {
  return {
    rows: chunk.rowCount,
    cells: (column) => chunk.getColumnValues(column),
    items: (column) => (chunk.getColumnVector(column) as unknown as { items: ArrayLike<number> }).items,
    lists: (column) => {
      const vector = chunk.getColumnVector(column) as unknown as {
        childVector: { items: ArrayLike<number> };
        entryData: BigUint64Array;
      };
      return { items: vector.childVector.items, entries: vector.entryData };
    },
  };
}

/** The first line of DuckDB's message, without its kind, and the word its caret points at. */
function firstLine(message: string): { kind: string; text: string; where: string } {
  const match = /^(?:Failed to [a-z ]+: )?([A-Z][A-Za-z -]*?) Error: ([^\n]*)/.exec(message);
  const caret = /LINE (\d+): ([^\n]*)\n( *)\^/.exec(message);
  let where = "";
  if (caret) {
    const [, line = "", excerpt = "", blanks = ""] = caret;
    const word = /^[\w."']+|^./.exec(excerpt.slice(Math.max(0, blanks.length - `LINE ${line}: `.length)))?.[0];
    where = word === undefined ? ` (line ${line} of the SQL)` : ` (line ${line} of the SQL, at ${JSON.stringify(word.slice(0, 40))})`;
  }
  return { kind: match?.[1] ?? "", text: match?.[2] ?? (message.split("\n")[0] as string), where };
}

/** DuckDB's error as ours. */
function translate(error: unknown, subject: string): FourfoldError {
  if (error instanceof FourfoldError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const told = textError(message, subject);
  if (told) return new FourfoldError("ERR_FOURFOLD_FORMAT", told.text, { cause: error, at: told.at });
  const { kind, text, where } = firstLine(message);
  const candidates = /^Candidate bindings: (.*)$/m.exec(message)?.[1];
  const meant = candidates === undefined ? {} : { fix: `Columns there: ${candidates.replaceAll('"', "")}` };
  switch (kind) {
    case "Permission":
    case "Missing Extension":
      return new FourfoldError("ERR_FOURFOLD_FORBIDDEN", `${subject}: ${text}`, {
        cause: error,
        fix: "A spec reads files below its own folder, the current folder and --allow-path folders, and never the network",
      });
    case "Out of Memory":
      return new FourfoldError("ERR_FOURFOLD_MEMORY", `${subject}: ${text}`, {
        cause: error,
        fix: text.includes("max_temp_directory_size")
          ? "Raise spillBytesMax, give a spillDir with more room, or raise memoryBytesMax"
          : "Raise memoryBytesMax, select fewer columns or rows, or roll up in parts",
      });
    case "Parser":
    case "Binder":
    case "Catalog":
    case "Syntax":
    case "Parameter Not Resolved":
      return new FourfoldError("ERR_FOURFOLD_SPEC", `${subject}: the SQL is not valid: ${text}${where}`, { cause: error, ...meant });
    case "IO":
    case "Http":
      if (/No files found/.test(text))
        return new FourfoldError("ERR_FOURFOLD_SOURCE", `${subject}: ${text}`, {
          cause: error,
          fix: "Paths are relative to the spec's folder",
        });
      if (/Cannot open file|Could not read|Permission denied/.test(text))
        return new FourfoldError("ERR_FOURFOLD_SOURCE", `${subject}: ${text}`, { cause: error });
      return new FourfoldError("ERR_FOURFOLD_FORMAT", `${subject}: ${text}`, {
        cause: error,
        fix: "The file may be truncated or damaged: fetch it again",
      });
    default:
      return new FourfoldError("ERR_FOURFOLD_FORMAT", `${subject}: ${text}${where}`, { cause: error });
  }
}
