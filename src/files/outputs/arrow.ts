/**
 * A result as an Arrow IPC file (https://arrow.apache.org/docs/format/Columnar.html): Utf8, Int64, Float64 and Bool columns, no dictionaries, no
 * compression, and the metadata in the schema.
 */
import { bytesOf, countBits, packBits } from "./bits.ts";
import { type FlatField, FlatWriter } from "./flatbuffer.ts";
import type { ColumnKind } from "./key-kinds.ts";
import { type Batch, type ColumnCells, NOTHING, type ResultTable, type TableColumn } from "./result-table.ts";
import { TextBytes } from "./utf8.ts";

const MAGIC: Uint8Array = Buffer.from("ARROW1");

/** Arrow's number for its format 1.0 and later. */
const VERSION = 4;

const HEADER = { schema: 1, recordBatch: 3 } as const;

/** Type numbers of Schema.fbs with the fields of their tables. */
const TYPES: Readonly<Record<ColumnKind, readonly [number, readonly FlatField[]]>> = {
  int64: [
    2,
    [
      [0, "i32", 64],
      [1, "u8", 1],
    ],
  ],
  float64: [3, [[0, "i16", 2]]],
  text: [5, []],
  bool: [6, []],
};

/** Where a record batch lies in the file. */
interface Block {
  readonly offset: number;
  readonly headBytes: number;
  readonly bodyBytes: number;
}

/** The file, piece by piece. */
export function* arrow(table: ResultTable): Generator<Uint8Array> {
  const kinds = yield* table.kinds();
  const columns = table.columns(kinds);
  const metadata = table.metadata(
    columns.slice(1, 1 + table.keys.length).map(({ name }) => name),
    kinds,
  );
  const schema = (flat: FlatWriter): number => schemaOf(flat, columns, metadata);
  const head = messageOf(HEADER.schema, schema, 0);
  yield padded(MAGIC);
  yield head;
  let offset = padded(MAGIC).length + head.length;
  const blocks: Block[] = [];
  for (const batch of table.batches(columns, kinds)) {
    if (batch === undefined) {
      yield NOTHING;
      continue;
    }
    const buffers = batch.cells.flatMap(buffersOf);
    const bodyBytes = buffers.reduce((total, { length }) => total + up8(length), 0);
    const message = messageOf(HEADER.recordBatch, (flat) => recordBatchOf(flat, batch, buffers), bodyBytes);
    yield message;
    for (const buffer of buffers) yield padded(buffer);
    blocks.push({ offset, headBytes: message.length, bodyBytes });
    offset += message.length + bodyBytes;
  }
  yield Uint8Array.of(255, 255, 255, 255, 0, 0, 0, 0); // no message follows
  const flat = new FlatWriter();
  const recordBatches = flat.structs(
    blocks.flatMap((block) => [block.offset, block.headBytes, block.bodyBytes]),
    3,
  );
  const dictionaries = flat.structs([], 3);
  const fields: FlatField[] = [
    [0, "i16", VERSION],
    [1, "offset", schema(flat)],
    [2, "offset", dictionaries],
    [3, "offset", recordBatches],
  ];
  const footer = flat.end(flat.table(fields));
  yield footer;
  yield bytesOf(Int32Array.of(footer.length));
  yield MAGIC;
}

function messageOf(type: number, header: (flat: FlatWriter) => number, bodyBytes: number): Uint8Array {
  const flat = new FlatWriter();
  const at = header(flat);
  const fields: FlatField[] = [
    [0, "i16", VERSION],
    [1, "u8", type],
    [2, "offset", at],
    [3, "i64", bodyBytes],
  ];
  const bytes = flat.end(flat.table(fields));
  return Buffer.concat([bytesOf(Int32Array.of(-1, bytes.length)), bytes]);
}

function schemaOf(flat: FlatWriter, columns: readonly TableColumn[], metadata: string): number {
  const fields = columns.map(({ name, kind, nullable }) => {
    const [type, given] = TYPES[kind];
    return flat.table([
      [0, "offset", flat.string(name)],
      [1, "u8", Number(nullable)],
      [2, "u8", type],
      [3, "offset", flat.table(given)],
      [5, "offset", flat.vector([])],
    ]);
  });
  const pair = flat.table([
    [0, "offset", flat.string("fourfold")],
    [1, "offset", flat.string(metadata)],
  ]);
  return flat.table([
    [0, "i16", 0], // little endian
    [1, "offset", flat.vector(fields)],
    [2, "offset", flat.vector([pair])],
  ]);
}

function recordBatchOf(flat: FlatWriter, { rows, cells }: Batch, buffers: readonly Uint8Array[]): number {
  const nodes = cells.flatMap(({ valid }) => [rows, valid === undefined ? 0 : rows - countBits(valid)]);
  let offset = 0;
  const places = buffers.flatMap(({ length }) => {
    const place = [offset, length];
    offset += up8(length);
    return place;
  });
  return flat.table([
    [0, "i64", rows],
    [1, "offset", flat.structs(nodes, 2)],
    [2, "offset", flat.structs(places, 2)],
  ]);
}

/** The buffers of a column: which cells are there, and the cells. */
function buffersOf(cells: ColumnCells): Uint8Array[] {
  const valid = cells.valid === undefined ? new Uint8Array(0) : packBits(cells.valid);
  if (cells.kind === "bool") return [valid, packBits(cells.values)];
  if (cells.kind !== "text") return [valid, bytesOf(cells.values)];
  const { values } = cells;
  const texts = new TextBytes();
  const offsets = new Int32Array(values.length + 1);
  for (let i = 0; i < values.length; i++) {
    texts.add(values[i]!);
    offsets[i + 1] = texts.length;
  }
  return [valid, bytesOf(offsets), texts.end()];
}

const up8 = (bytes: number): number => Math.ceil(bytes / 8) * 8;

function padded(bytes: Uint8Array): Uint8Array {
  if (bytes.length % 8 === 0) return bytes;
  const longer = new Uint8Array(up8(bytes.length));
  longer.set(bytes);
  return longer;
}
