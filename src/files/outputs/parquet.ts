/**
 * A result as a Parquet file (https://parquet.apache.org/docs/file-format/): a row group for each batch, text in dictionaries, pages with
 * checksums, no compression, and the metadata under the key `fourfold`. It is written here and not by DuckDB, which would hold the whole table.
 */
import { countBits } from "./bits.ts";
import type { ColumnKind } from "./key-kinds.ts";
import { type Chunk, chunkOf, ENCODING } from "./parquet-pages.ts";
import { type Batch, NOTHING, type ResultTable, type TableColumn } from "./result-table.ts";
import { type ThriftStruct, type ThriftValue, thriftBytes } from "./thrift.ts";

const MAGIC: Uint8Array = Buffer.from("PAR1");

/** Parquet's numbers for types. */
const TYPE: Readonly<Record<ColumnKind, number>> = { bool: 0, int64: 2, float64: 5, text: 6 };

/** A byte array that is text, in the older way and the newer. */
const TEXT: ThriftStruct = { 6: { i32: 0 }, 10: { struct: { 1: { struct: {} } } } };

/** The file, piece by piece. */
export function* parquet(table: ResultTable): Generator<Uint8Array> {
  const kinds = yield* table.kinds();
  const columns = table.columns(kinds);
  const names = columns.slice(1, 1 + table.keys.length).map(({ name }) => name);
  yield MAGIC;
  let offset = MAGIC.length;
  let rows = 0;
  const groups: ThriftValue[] = [];
  for (const batch of table.batches(columns, kinds)) {
    if (batch === undefined) {
      yield NOTHING;
      continue;
    }
    const chunks: Chunk[] = [];
    for (const [i, cells] of batch.cells.entries()) {
      const chunk = chunkOf(cells, columns[i]!.nullable);
      yield* chunk.pieces;
      chunks.push({ ...chunk, pieces: [] });
    }
    groups.push({ struct: rowGroup(columns, batch, chunks, offset) });
    for (const { bytes } of chunks) offset += bytes;
    rows += batch.rows;
  }
  const footer = thriftBytes({
    1: { i32: 1 },
    2: {
      list: [{ struct: { 4: { text: "result" }, 5: { i32: columns.length } } }, ...columns.map((column) => ({ struct: schemaOf(column) }))],
    },
    3: { i64: rows },
    4: { list: groups },
    5: { list: [{ struct: { 1: { text: "fourfold" }, 2: { text: table.metadata(names, kinds) } } }] },
    6: { text: "fourfold" },
  });
  yield footer;
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, footer.length, true);
  yield length;
  yield MAGIC;
}

function schemaOf({ name, kind, nullable }: TableColumn): ThriftStruct {
  return { 1: { i32: TYPE[kind] }, 3: { i32: Number(nullable) }, 4: { text: name }, ...(kind === "text" && TEXT) };
}

function rowGroup(columns: readonly TableColumn[], { rows, cells }: Batch, chunks: readonly Chunk[], start: number): ThriftStruct {
  let offset = start;
  const list = chunks.map(({ bytes, dictionaryBytes }, i): ThriftValue => {
    const { name, kind } = columns[i]!;
    const { valid } = cells[i]!;
    const encodings = dictionaryBytes === undefined ? [ENCODING.plain, ENCODING.rle] : [ENCODING.plain, ENCODING.rle, ENCODING.dictionary];
    const metadata: ThriftStruct = {
      1: { i32: TYPE[kind] },
      2: { list: encodings.map((encoding) => ({ i32: encoding })) },
      3: { list: [{ text: name }] },
      4: { i32: 0 }, // not compressed
      5: { i64: rows },
      6: { i64: bytes },
      7: { i64: bytes },
      9: { i64: offset + (dictionaryBytes ?? 0) },
      11: dictionaryBytes === undefined ? undefined : { i64: offset },
      12: { struct: { 3: { i64: valid === undefined ? 0 : rows - countBits(valid) } } },
    };
    const chunk: ThriftStruct = { 2: { i64: 0 }, 3: { struct: metadata } };
    offset += bytes;
    return { struct: chunk };
  });
  return { 1: { list }, 2: { i64: offset - start }, 3: { i64: rows }, 5: { i64: start }, 6: { i64: offset - start } };
}
