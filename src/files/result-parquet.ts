/** A result in a Parquet file, read through the locked door to DuckDB: metadata, then rows chunk by chunk. */
import { dirname } from "node:path";
import { FourfoldError, show } from "../errors.ts";
import { type Key, plainKey } from "../reduce/key.ts";
import { type Column, type Database, openDatabase, type Watch } from "./duckdb.ts";
import { isCount, METADATA_KEY, notResult, type ResultMetadata, readMetadata } from "./result-metadata.ts";
import { ResultRows } from "./result-rows.ts";
import { keyCell } from "./source.ts";
import { identifier, quoted } from "./sql.ts";

/** The metadata of a chain are some hundred bytes for each level. */
const METADATA_BYTES_MAX = 1 << 20;

const KEY_TYPES = [
  "VARCHAR",
  "BOOLEAN",
  "DOUBLE",
  "FLOAT",
  "TINYINT",
  "SMALLINT",
  "INTEGER",
  "BIGINT",
  "HUGEINT",
  "UTINYINT",
  "USMALLINT",
].concat(["UINTEGER", "UBIGINT", "UHUGEINT"]);

/** How a file is read. */
export interface ReadLimits {
  readonly memoryBytesMax: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Reads a file.
 * @param path its real path
 * @param name what messages call it
 */
export async function readParquetResult(
  path: string,
  name: string,
  { memoryBytesMax, signal }: ReadLimits,
): Promise<{ metadata: ResultMetadata; rows: ResultRows }> {
  const db = await openDatabase({ base: dirname(path), folders: [], files: [path] }, { memoryBytesMax });
  const watch: Watch = { signal, subject: name };
  try {
    const metadata = readMetadata(await metadataOf(db, path, name, watch), name);
    const table = `read_parquet(${quoted(path)}, hive_partitioning = false)`;
    const columns = columnsOf(await db.columns(`from ${table}`, watch), metadata, name);
    const rows = new ResultRows(name, metadata, memoryBytesMax);
    const places = new Map(metadata.levels.map((level, i) => [level.name, i]));
    let row = 0;
    for await (const chunk of db.chunks(`select ${columns.sql} from ${table}`, watch)) {
      const cells = columns.all.map((_, i) => chunk.cells(i));
      for (let i = 0; i < chunk.rows; i++, row++) addRow(rows, metadata, places, columns, (column) => cells[column]![i], row);
    }
    return { metadata, rows };
  } catch (error) {
    throw damaged(error, name);
  } finally {
    db.close();
  }
}

/** What DuckDB says of a file that it cannot read, with a way out. */
function damaged(error: unknown, name: string): unknown {
  if (!(error instanceof FourfoldError) || error.code !== "ERR_FOURFOLD_FORMAT" || error.fix !== undefined) return error;
  return new FourfoldError(error.code, error.message, {
    fix: "The file may be truncated or damaged: write the result again",
    at: { file: name },
    cause: error,
  });
}

async function metadataOf(db: Database, path: string, name: string, watch: Watch): Promise<unknown> {
  const key = `key = ${quoted(METADATA_KEY)}::blob`;
  const found: unknown[] = [];
  const sql = `select octet_length(value), case when octet_length(value) <= ${METADATA_BYTES_MAX} then decode(value) end from parquet_kv_metadata(${quoted(path)}) where ${key}`;
  for await (const chunk of db.chunks(sql, watch)) found.push(...chunk.cells(1));
  if (found.length === 0) throw notResult(name, `it has no metadata ${show(METADATA_KEY)}`);
  const [text] = found;
  if (found.length > 1 || typeof text !== "string")
    throw notResult(name, `its metadata ${show(METADATA_KEY)} are not one text of at most 1 MiB`);
  try {
    return JSON.parse(text);
  } catch {
    throw notResult(name, `its metadata ${show(METADATA_KEY)} are no JSON`);
  }
}

interface Columns {
  readonly all: readonly Column[];
  readonly sql: string;
  readonly keys: number;
  readonly outputs: number;
  /** For each key column, whether it holds keys of several kinds as text. */
  readonly mixed: readonly boolean[];
}

/** The columns of a result, which stand in one order: level, keys, values, count, weight. */
function columnsOf(all: readonly Column[], { levels, mixed }: ResultMetadata, name: string): Columns {
  const { keys } = levels[0]!;
  const fail = (column: Column | undefined, expected: string): never => {
    const given = column === undefined ? "no column" : `${show(column.name)}, ${column.type}`;
    throw notResult(
      name,
      `the columns are ${all
        .map((one) => one.name)
        .join(", ")
        .slice(0, 400)}: expected ${expected}, found ${given}`,
      column?.name,
    );
  };
  const is = (at: number, wanted: string, type: string): void => {
    const column = all[at];
    if (column?.name !== wanted || column.type !== type) fail(column, `a column "${wanted}" of type ${type}`);
  };
  is(0, "level", "VARCHAR");
  for (const [i, key] of keys.entries()) {
    const column = all[1 + i];
    // A key column with the name of another is called "key …".
    if (column?.name.replace(/^(key )+/, "") !== key.replace(/^(key )+/, "") || !KEY_TYPES.includes(column.type))
      fail(column, `the key column "${key}"`);
  }
  const outputs = all.length - keys.length - 3;
  if (outputs < 1) fail(all[1 + keys.length], "the columns value, count and weight");
  for (let r = 0; r < outputs; r++) is(1 + keys.length + r, outputs === 1 ? "value" : `value${r}`, "DOUBLE");
  is(1 + keys.length + outputs, "count", "BIGINT");
  is(2 + keys.length + outputs, "weight", "DOUBLE");
  return {
    all,
    sql: all.map((column) => identifier(column.name)).join(", "),
    keys: keys.length,
    outputs,
    mixed: keys.map((key) => mixed.includes(key)),
  };
}

function addRow(
  rows: ResultRows,
  { levels }: ResultMetadata,
  places: ReadonlyMap<unknown, number>,
  { keys, outputs, all, mixed }: Columns,
  cell: (column: number) => unknown,
  row: number,
): void {
  const level = places.get(cell(0));
  if (level === undefined) throw rows.fail(row, `the metadata have no level ${show(cell(0))}`, cell(0), "level");
  const depth = levels[level]!.keys.length;
  const path: Key[] = [];
  for (let i = 0; i < keys; i++) {
    const key = cell(1 + i);
    if (i < depth) path.push(mixed[i] && typeof key === "string" ? unmixed(key) : plain(key));
    else if (key !== null)
      throw rows.fail(row, `level ${show(levels[level]!.name)} has no key ${show(all[1 + i]!.name)}`, key, all[1 + i]!.name);
  }
  const values: number[] = [];
  for (let r = 0; r < outputs; r++) {
    const value = cell(1 + keys + r);
    if (typeof value === "number") values[r] = value;
  }
  if (values.length === 0 || values.includes(undefined as never)) throw rows.fail(row, "it has no value", null, all[1 + keys]!.name);
  const count = Number(cell(1 + keys + outputs) ?? Number.NaN);
  if (!isCount(count)) throw rows.fail(row, `its count is ${show(cell(1 + keys + outputs))}`, count, "count");
  const weight = cell(2 + keys + outputs);
  rows.add({ level, path, values, count, weight: typeof weight === "number" ? weight : undefined }, row);
}

/** What numbers and booleans look like as text in a column of several kinds. */
const OTHER_KIND = /^(?:true|false|-?Infinity|-?\d+(?:\.\d+)?(?:e[+-]\d+)?)$/;

/** A key in a column of several kinds: numbers and booleans as they are written, and strings that look like one, or begin with a quote, as JSON. */
function unmixed(text: string): Key {
  if (text === "true" || text === "false") return text === "true";
  if (OTHER_KIND.test(text)) return /^-?\d+$/.test(text) ? plainKey(BigInt(text)) : Number(text) + 0;
  if (!text.startsWith('"')) return text;
  try {
    const string: unknown = JSON.parse(text);
    return typeof string === "string" ? string : text;
  } catch {
    return text;
  }
}

/** A key as the grouping of records made it: NaN is null, and -0 is 0 (contract clause 10a). */
function plain(cell: unknown): Key {
  const key = keyCell(cell);
  return key !== key ? null : Object.is(key, -0) ? 0 : key;
}
