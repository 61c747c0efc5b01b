/** Results of @duckdb/node-api that are in memory, or stream into it; told by what they have. Their chunks are DuckDB's memory: all is copied. */
import type { Numbers } from "../arrow/numbers.ts";
import { FourfoldError } from "../errors.ts";
import { typedArrayName } from "../reduce/arrays.ts";
import type { CellColumn, CellKind, CellPiece, MemoryTable } from "./memory-table.ts";

interface Vector {
  readonly items?: Numbers;
  readonly validity?: { readonly data?: BigUint64Array | null };
  getItem(i: number): unknown;
}

interface DataChunk {
  readonly rowCount: number;
  getColumnVector(index: number): Vector;
}

interface Result {
  readonly columnCount: number;
  columnNames(): string[];
  columnType(index: number): unknown;
  readonly chunkCount?: number;
  getChunk?(index: number): DataChunk;
  fetchAllChunks?(): Promise<DataChunk[]>;
  readAll?(): Promise<void>;
  readonly chunks?: readonly DataChunk[];
}

/** Columns that lie in typed arrays as their own numbers. */
const NUMBERS = ["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "FLOAT", "DOUBLE"];
const UNITS = { TIMESTAMP_S: "s", TIMESTAMP_MS: "ms", TIMESTAMP: "us", TIMESTAMP_NS: "ns" } as const;
/** Read as JavaScript values. */
const CELLS = /^(VARCHAR|BOOLEAN|HUGEINT|UHUGEINT|UUID|TIME|TIME_NS|TIME WITH TIME ZONE|ENUM\(.*|DECIMAL\(.*)$/s;

/** True for a result, or a reader of one. */
export function isDuckDBResult(table: unknown): table is Result {
  const { columnNames, columnType, columnCount } = (table ?? {}) as Partial<Result>;
  return typeof columnNames === "function" && typeof columnType === "function" && typeof columnCount === "number";
}

/** The result as columns in chunks. What has not come yet is fetched. */
export async function duckdbTable(result: Result): Promise<MemoryTable> {
  const chunks = await chunksOf(result);
  const names = result.columnNames();
  return { what: "the DuckDB result", names, column: (index) => columnOf(names[index]!, String(result.columnType(index)), chunks, index) };
}

async function chunksOf(result: Result): Promise<readonly DataChunk[]> {
  if (result.readAll !== undefined) {
    await result.readAll();
    if (Array.isArray(result.chunks)) return result.chunks;
  } else if (result.getChunk !== undefined && result.chunkCount !== undefined)
    return Array.from({ length: result.chunkCount }, (_, i) => result.getChunk!(i));
  else if (result.fetchAllChunks !== undefined) return result.fetchAllChunks();
  throw new FourfoldError("ERR_FOURFOLD_SOURCE", "the chunks of the DuckDB result are not found", {
    fix: "Use @duckdb/node-api 1.5, and give the result of connection.run(…), stream(…) or runAndReadAll(…)",
  });
}

function columnOf(name: string, type: string, chunks: readonly DataChunk[], index: number): CellColumn {
  return { name, type: kindOf(type), pieces: chunks.map((chunk) => pieceOf(chunk, index)), copiedBytes: 0, isBorrowed: true };
}

function kindOf(type: string): CellKind {
  if (NUMBERS.includes(type)) return { kind: "number" };
  if (type === "DATE") return { kind: "date" };
  if (type === "TIMESTAMP WITH TIME ZONE") return { kind: "timestamp", unit: "us", hasZone: true };
  if (Object.hasOwn(UNITS, type)) return { kind: "timestamp", unit: UNITS[type as keyof typeof UNITS], hasZone: false };
  return CELLS.test(type) ? { kind: "cells" } : { kind: "other", name: type };
}

function pieceOf(chunk: DataChunk, index: number): CellPiece {
  const { items, validity } = chunk.getColumnVector(index);
  const length = chunk.rowCount;
  const values = typedArrayName(items) === undefined ? undefined : (items!.subarray(0, length) as Numbers);
  // DuckDB's own memory, which a chunk holds and its vectors do not: whoever can still ask for a value keeps the chunk.
  const at = (i: number): unknown => chunk.getColumnVector(index).getItem(i);
  if (validity === undefined) return { length, values, shift: 0, isNull: (i) => at(i) === null, at, codes: undefined };
  const words = validity.data;
  // Eight bytes of BigInt for each test would take longer than the values.
  const bits = words ? new Uint8Array(words.buffer, words.byteOffset, words.byteLength) : undefined;
  const isNull = bits && ((i: number) => ((bits[i >> 3]! >> (i & 7)) & 1) === 0);
  return { length, values, shift: 0, isNull, at, codes: undefined };
}
