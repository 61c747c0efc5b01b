/**
 * Columns to Parquet files, through DuckDB: a database in memory that may touch one folder and nothing else. A file appears whole under its name or
 * not at all. It knows nothing of streams.
 */

import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import type { DuckDBConnection, DuckDBValue } from "@duckdb/node-api";
import { FourfoldError, systemReason } from "../errors.ts";
import { type DuckDB, loadDuckDB } from "./duckdb.ts";
import { identifier, quoted } from "./sql.ts";

/** Rows of one chunk of DuckDB; between two of them others have their turn. */
const CHUNK_ROWS = 2048;

/** Types that columns may have. */
export type ColumnType = "VARCHAR" | "DOUBLE" | "BIGINT" | "BOOLEAN";

/** A column of a file. */
export interface FileColumn {
  readonly name: string;
  readonly type: ColumnType;
  /** One value for each row: text, number, bigint or boolean as the type says, or null. */
  readonly values: readonly DuckDBValue[];
}

/** See the head of this file. */
export class ParquetWriter {
  readonly #duckdb: DuckDB;
  readonly #connection: DuckDBConnection;
  readonly #close: () => void;

  private constructor(duckdb: DuckDB, connection: DuckDBConnection, close: () => void) {
    this.#duckdb = duckdb;
    this.#connection = connection;
    this.#close = close;
  }

  /** A writer of files in `dir`, an absolute path. @throws FourfoldError ERR_FOURFOLD_OUTPUT if DuckDB is not installed */
  static async open(dir: string): Promise<ParquetWriter> {
    const duckdb = await loadDuckDB("ERR_FOURFOLD_OUTPUT", "writing Parquet files");
    const instance = await duckdb.DuckDBInstance.create(":memory:", {
      autoload_known_extensions: "false",
      autoinstall_known_extensions: "false",
      preserve_insertion_order: "true", // rows stay in the order of results
      temp_directory: "",
    });
    const connection = await instance.connect();
    for (const setting of [
      `set allowed_directories = [${quoted(dir)}]`,
      "set enable_external_access = false",
      "set lock_configuration = true",
    ])
      await connection.run(setting);
    return new ParquetWriter(duckdb, connection, () => {
      connection.closeSync();
      instance.closeSync();
    });
  }

  /** Writes a file: beside its place first, then on the disk, then under its name. @throws FourfoldError ERR_FOURFOLD_OUTPUT */
  async write(path: string, columns: readonly FileColumn[]): Promise<void> {
    const unfinished = unfinishedOf(path);
    try {
      await this.#fill(columns);
      await this.#connection.run(`copy part to ${quoted(unfinished)} (format parquet)`);
      const file = await open(unfinished, "r+");
      await file.sync().finally(() => file.close());
      await rename(unfinished, path);
      await flushFolder(dirname(path));
    } catch (error) {
      await rm(unfinished, { force: true }).catch(() => {});
      throw unwritable(path, error);
    } finally {
      await this.#connection.run("drop table if exists part");
    }
  }

  async #fill(columns: readonly FileColumn[]): Promise<void> {
    const { DuckDBDataChunk, VARCHAR, DOUBLE, BIGINT, BOOLEAN } = this.#duckdb;
    const types = { VARCHAR, DOUBLE, BIGINT, BOOLEAN };
    const definitions = columns.map(({ name, type }) => `${identifier(name)} ${type}`);
    await this.#connection.run(`create table part (${definitions.join(", ")})`);
    const appender = await this.#connection.createAppender("part");
    try {
      const rows = columns[0]!.values.length;
      for (let row = 0; row < rows; row += CHUNK_ROWS) {
        const chunk = DuckDBDataChunk.create(columns.map(({ type }) => types[type]));
        chunk.setColumns(columns.map(({ values }) => values.slice(row, row + CHUNK_ROWS)));
        appender.appendDataChunk(chunk);
        await turn();
      }
    } finally {
      appender.closeSync();
    }
  }

  close(): void {
    this.#close();
  }
}

/** What a file is called until it is whole: no pattern for Parquet files finds it. */
function unfinishedOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.tmp`);
}

/** Flushes a folder's entries, where the system can. */
export async function flushFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, "r");
    await handle.sync().finally(() => handle.close());
  } catch (error) {
    if (!["EISDIR", "EPERM", "EACCES", "EINVAL", "ENOTSUP"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}

/** What DuckDB or the system refused, as ours. */
export function unwritable(path: string, error: unknown): FourfoldError {
  if (error instanceof FourfoldError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const reason = systemReason(error) ?? (/No space left/i.test(message) ? "the disk is full" : message.split("\n")[0]!);
  return new FourfoldError("ERR_FOURFOLD_OUTPUT", `the sink's file ${JSON.stringify(path)} cannot be written: ${reason}`, {
    given: path,
    fix: "Make room, or name another folder; the parts before it are whole",
    cause: error,
    at: { file: path },
  });
}
