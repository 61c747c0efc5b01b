/** Results of streams as Parquet files in a folder, part after part. A reader of the folder sees whole parts only. */
import { mkdir, readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { badOption, checkNames, FourfoldError, show, systemReason } from "../errors.ts";
import { chosenLevels, type RowLevel, type RowSource } from "../reduce/rows.ts";
import { type ColumnType, flushFolder, ParquetWriter, unwritable } from "./parquet-writer.ts";
import { PartColumns } from "./part-columns.ts";

/** DuckDB's row group. */
const ROWS_MAX = 122_880;
const BYTES_MAX = 64 << 20;
const MS_MAX = 60_000;

/** setTimeout takes no more. */
const TIMER_MS_MAX = 2 ** 31 - 1;

const PART = /^part-(\d{6,15})\.parquet$/;
const UNFINISHED = /^\.part-\d{6,15}\.parquet\.tmp$/;

/** Options of {@link parquetSink}. */
export interface ParquetSinkOptions {
  /** The levels whose nodes become rows: their names, or `"all"` that the stream keeps. Default: the outermost. */
  readonly levels?: "all" | readonly string[];
  /** Rows of a part; the results of one call are not torn apart, so the last may pass it. Default 122,880. */
  readonly rowsMax?: number;
  /** Bytes that the rows of a part may take in memory before they are written. Default 64 MiB. */
  readonly bytesMax?: number;
  /** Milliseconds that a row may wait for its part to be written. Default 60,000. */
  readonly msMax?: number;
}

/** What `flush` gives and `open` takes. */
type Position = Readonly<Record<string, unknown>>;

/** A sink for {@link Stream.to}. */
export interface ParquetSink {
  open(position: Position | undefined, context: { readonly levels: readonly RowLevel[] }): Promise<void>;
  write(results: readonly RowSource[]): Promise<void>;
  flush(): Promise<Position>;
  close(): Promise<void>;
}

/**
 * A sink of Parquet files `part-000001.parquet`, `part-000002.parquet`, … in a folder, which is made if it is not there. The columns are those of
 * `csvSink`: `start`, `end`, `watermark` and values DOUBLE, counts BIGINT, keys VARCHAR, DOUBLE, BIGINT or BOOLEAN as the first of them is.
 *
 * A part is written when it has `rowsMax` rows or `bytesMax` bytes, when its first row has waited `msMax`, at each checkpoint, and at the end. It
 * gets its name when it is whole and on the disk. A stream that goes on from a checkpoint removes the parts after it and writes them again; in a
 * folder with parts, a stream without a checkpoint goes on counting.
 *
 * It needs the optional package `@duckdb/node-api`. The sink throws ERR_FOURFOLD_OUTPUT where it cannot write, or where a key column holds keys of
 * several kinds, and ERR_FOURFOLD_LEVEL for a level that the stream does not keep.
 * @throws FourfoldError ERR_FOURFOLD_ARGUMENT
 * @example await engine.stream(fleet, source, options).to(parquetSink("totals", { levels: "all" }));
 */
export function parquetSink(dir: string | URL, options: ParquetSinkOptions = {}): ParquetSink {
  checkNames("parquetSink", options, ["levels", "rowsMax", "bytesMax", "msMax"]);
  const { levels, rowsMax = ROWS_MAX, bytesMax = BYTES_MAX, msMax = MS_MAX } = options;
  if (levels !== undefined && levels !== "all" && !(Array.isArray(levels) && levels.every((name) => typeof name === "string")))
    throw badOption("levels", levels, '"all" or a list of names of levels');
  for (const [name, value] of Object.entries({ rowsMax, bytesMax }))
    if (!Number.isSafeInteger(value) || value < 1) throw badOption(name, value, "an integer of 1 or more");
  if (!(msMax >= 0 && msMax <= TIMER_MS_MAX)) throw badOption("msMax", msMax, `a number of milliseconds from 0 to ${TIMER_MS_MAX}`);
  return new Parts(pathOf(dir), { levels, rowsMax, bytesMax, msMax });
}

function pathOf(dir: unknown): string {
  const isFile = dir instanceof URL && dir.protocol === "file:";
  const path = isFile ? fileURLToPath(dir) : dir;
  if (typeof path !== "string" || path === "" || path.includes("\0")) throw badOption("dir", dir, "the path or file: URL of a folder");
  return resolve(path);
}

interface Limits {
  readonly levels: "all" | readonly string[] | undefined;
  readonly rowsMax: number;
  readonly bytesMax: number;
  readonly msMax: number;
}

class Parts implements ParquetSink {
  readonly #dir: string;
  readonly #limits: Limits;
  #writer: ParquetWriter | undefined;
  #columns: PartColumns | undefined;
  #parts = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Settles when no part is being written; it never rejects. */
  #ending: Promise<void> = Promise.resolve();
  #failed: FourfoldError | undefined;
  /** Whether a call threw it: a part that the timer ended has nobody to throw to. */
  #told = false;

  constructor(dir: string, limits: Limits) {
    this.#dir = dir;
    this.#limits = limits;
  }

  async open(position: Position | undefined, { levels }: { readonly levels: readonly RowLevel[] }): Promise<void> {
    const chosen = chosenLevels("parquetSink", levels, this.#limits.levels);
    const { parts, types } = position === undefined ? { parts: undefined, types: [] } : this.#read(position);
    try {
      await mkdir(this.#dir, { recursive: true });
      this.#parts = await clear(this.#dir, parts);
    } catch (error) {
      throw systemReason(error) === undefined ? error : unwritable(this.#dir, error);
    }
    this.#columns = new PartColumns(chosen, types);
    this.#writer = await ParquetWriter.open(this.#dir);
  }

  async write(results: readonly RowSource[]): Promise<void> {
    const columns = this.#opened;
    const { rowsMax, bytesMax, msMax } = this.#limits;
    for (const result of results) {
      try {
        columns.add(result);
      } catch (error) {
        throw this.#fail(error as FourfoldError); // some of its rows are there, and must not be written
      }
      if (columns.rows >= rowsMax || columns.bytes >= bytesMax) await this.#end();
    }
    if (columns.rows === 0 || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => void this.#endUnasked(), msMax);
    this.#timer.unref();
  }

  async flush(): Promise<Position> {
    const columns = this.#opened;
    await this.#end();
    return { sink: "parquet", parts: this.#parts, types: columns.keyTypes };
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    try {
      if (this.#columns && !this.#told) {
        void this.#opened;
        await this.#end();
      }
    } finally {
      await this.#ending;
      this.#columns = undefined;
      this.#writer?.close();
      this.#writer = undefined;
    }
  }

  /** The rows that are gathered. @throws what went wrong before */
  get #opened(): PartColumns {
    if (this.#failed) throw this.#fail(this.#failed);
    if (this.#columns) return this.#columns;
    throw new FourfoldError("ERR_FOURFOLD_OUTPUT", `the sink of ${show(this.#dir)} is not open`, {
      fix: "A stream opens its sink; where you write to one yourself, open it first and close it last",
      at: { file: this.#dir },
    });
  }

  #fail(error: FourfoldError): FourfoldError {
    this.#failed ??= error;
    this.#told = true;
    return this.#failed;
  }

  /** Ends the part that rows are gathered for, after those that are being written. */
  #end(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const ending = this.#ending.then(() => this.#writePart());
    this.#ending = ending.catch(() => {});
    return ending.catch((error: FourfoldError) => {
      throw this.#fail(error);
    });
  }

  /** The next call throws what goes wrong here. */
  async #endUnasked(): Promise<void> {
    await this.#end().catch(() => {
      this.#told = false;
    });
  }

  async #writePart(): Promise<void> {
    if (this.#failed) throw this.#failed;
    if (!this.#columns || this.#columns.rows === 0) return;
    const path = join(this.#dir, `part-${String(this.#parts + 1).padStart(6, "0")}.parquet`);
    await this.#writer!.write(path, this.#columns.take());
    this.#parts++;
  }

  #read({ sink, parts, types }: Position): { parts: number; types: readonly (ColumnType | null)[] } {
    if (sink === "parquet" && Number.isSafeInteger(parts) && Array.isArray(types)) return { parts: parts as number, types };
    throw new FourfoldError(
      "ERR_FOURFOLD_OUTPUT",
      `the checkpoint was made with another sink (${show(sink)}), and ${show(this.#dir)} is one of Parquet files`,
      {
        given: sink,
        fix: "Use that sink, or other folders for both",
        at: { file: this.#dir },
      },
    );
  }
}

/** Removes what was left unfinished, and the parts after `parts`. Gives the number of the last part. */
async function clear(dir: string, parts: number | undefined): Promise<number> {
  let last = parts ?? 0;
  for (const name of await readdir(dir)) {
    const number = Number(PART.exec(name)?.[1] ?? 0);
    if (UNFINISHED.test(name) || (parts !== undefined && number > parts)) await rm(join(dir, name), { force: true });
    else if (parts === undefined) last = Math.max(last, number);
  }
  await flushFolder(dir);
  return last;
}
