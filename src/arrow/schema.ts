/** The schema of an Arrow stream or file (arrow.apache.org/docs/format/Columnar.html; format/Schema.fbs): its fields, and how their buffers lie. */
import { show } from "../errors.ts";
import { count, NotTable, type Table } from "./flatbuffer.ts";

/** Fields nested deeper than this are refused: recursion must end. */
const DEPTH_MAX = 32;

/** A field's entry in its parent, and the least that a table takes: where its shape is told, and where its type is. */
const FIELD_BYTES_MIN = 12;
/** How often a schema may be as long as its bytes: honest writers share a few names. */
const SHARED_MAX = 4;

/** The units of times, in the order of the format. */
const UNITS = ["s", "ms", "us", "ns"] as const;

/** A type, as far as it matters here. The others are "other": they can be skipped, not read. */
export type ArrowType =
  | { readonly kind: "int"; readonly bits: number; readonly signed: boolean }
  | { readonly kind: "float"; readonly bits: number }
  | { readonly kind: "utf8"; readonly large: boolean }
  | { readonly kind: "bool" }
  | { readonly kind: "date"; readonly unit: "day" | "ms" }
  | { readonly kind: "timestamp"; readonly unit: "s" | "ms" | "us" | "ns" }
  | { readonly kind: "list"; readonly large: boolean }
  | { readonly kind: "fixedList"; readonly size: number }
  | { readonly kind: "other"; readonly name: string };

/** A field of a schema. */
export interface ArrowField {
  readonly name: string;
  readonly type: ArrowType;
  /** Buffers of its own in a record batch, its children's not counted; views have more, which the batch counts. */
  readonly buffers: number;
  readonly isView: boolean;
  readonly children: readonly ArrowField[];
  /** Set where the record batches hold codes: the id of their dictionary, and the type of the codes. `type` is that of the dictionary. */
  readonly dictionary: { readonly id: bigint; readonly codes: ArrowType } | undefined;
}

/** The types of the format by number: name, buffers. */
const TYPES: readonly (readonly [name: string, buffers: number])[] = [
  ["none", 0],
  ["null", 0],
  ["int", 2],
  ["float", 2],
  ["binary", 3],
  ["utf8", 3],
  ["bool", 2],
  ["decimal", 2],
  ["date", 2],
  ["time", 2],
  ["timestamp", 2],
  ["interval", 2],
  ["list", 2],
  ["struct", 1],
  ["union", 1],
  ["fixed-size binary", 2],
  ["fixed-size list", 1],
  ["map", 2],
  ["duration", 2],
  ["large binary", 3],
  ["large utf8", 3],
  ["large list", 2],
  ["run-end encoded", 0],
  ["binary view", 2],
  ["utf8 view", 2],
  ["list view", 3],
  ["large list view", 3],
];

const UNION = 14;
const VIEWS = [23, 24];

function intType(table: Table | undefined): ArrowType {
  return { kind: "int", bits: table?.i32(0) ?? 32, signed: table === undefined || table.u8(1) !== 0 };
}

function typeOf(number: number, table: Table | undefined): ArrowType {
  const name = TYPES[number]?.[0];
  if (name === undefined || number === 0) throw new NotTable(`a type of number ${number}`);
  if (table === undefined) throw new NotTable(`a ${name} without its type`);
  switch (name) {
    case "int":
      return intType(table);
    case "float":
      return { kind: "float", bits: 16 << table.i16(0) };
    case "utf8":
      return { kind: "utf8", large: false };
    case "large utf8":
      return { kind: "utf8", large: true };
    case "bool":
      return { kind: "bool" };
    case "date":
      return { kind: "date", unit: table.i16(0, 1) === 0 ? "day" : "ms" };
    case "timestamp": {
      const unit = UNITS[table.i16(0)];
      if (unit === undefined) throw new NotTable("a timestamp of no unit");
      return { kind: "timestamp", unit };
    }
    case "list":
      return { kind: "list", large: false };
    case "large list":
      return { kind: "list", large: true };
    case "fixed-size list":
      return { kind: "fixedList", size: table.i32(0) };
    default:
      return { kind: "other", name };
  }
}

/** Counts bytes down: tables and names may be shared, so that few bytes could describe fields without end. */
interface Budget {
  left: number;
}

function fieldOf(table: Table, depth: number, budget: Budget): ArrowField {
  if (depth > DEPTH_MAX) throw new NotTable(`fields nested deeper than ${DEPTH_MAX} levels`);
  const name = table.text(0);
  budget.left -= FIELD_BYTES_MIN + name.length;
  if (budget.left < 0) throw new NotTable("more fields than it has bytes for");
  const number = table.u8(2);
  const type = typeOf(number, table.table(3));
  const children = table.tables(5).map((child) => fieldOf(child, depth + 1, budget));
  if ((type.kind === "list" || type.kind === "fixedList") && children.length !== 1)
    throw new NotTable(`a list with ${children.length} children`);
  const encoding = table.table(4);
  // A dense union has one buffer more.
  const buffers = TYPES[number]![1] + (number === UNION && (table.table(3)?.i16(0) ?? 0) === 1 ? 1 : 0);
  return {
    name,
    type,
    buffers,
    isView: VIEWS.includes(number),
    children,
    dictionary: encoding === undefined ? undefined : { id: encoding.i64(0), codes: intType(encoding.table(1)) },
  };
}

/** The fields of a schema message. */
export function schemaFields(schema: Table): ArrowField[] {
  if (schema.i16(0) !== 0) throw new NotTable("big-endian data, which is not read");
  const budget: Budget = { left: SHARED_MAX * schema.bytes };
  return schema.tables(1).map((field) => fieldOf(field, 0, budget));
}

/** The values of one field in a record batch, and its buffers in some form. */
export interface ArrowColumn<B = Uint8Array> {
  readonly field: ArrowField;
  readonly length: number;
  /** One bit for each value, 0 for null; undefined if there is no null. */
  readonly validity: B | undefined;
  readonly buffers: readonly B[];
  readonly children: readonly ArrowColumn<B>[];
}

/** A buffer as its place in the body of its message. */
export interface Span {
  readonly offset: number;
  readonly length: number;
}

/** How the buffers of a batch are compressed: each by itself, with its size before it. */
export type Compression = "lz4" | "zstd";

/** The columns of a record batch as places in its body. */
export interface BatchLayout {
  readonly rows: number;
  readonly columns: readonly ArrowColumn<Span>[];
  readonly compression: Compression | undefined;
}

function compressionOf(table: Table | undefined): Compression | undefined {
  if (table === undefined) return undefined;
  const codec = table.u8(0);
  if (codec > 1 || table.u8(1) !== 0) throw new NotTable(`buffers compressed by method ${codec}`);
  return codec === 0 ? "lz4" : "zstd";
}

/** Where the columns of a record batch lie. Every buffer is checked to lie in the `bodyBytes` of its body. */
export function batchLayout(batch: Table, fields: readonly ArrowField[], bodyBytes: number): BatchLayout {
  const compression = compressionOf(batch.table(3));
  const rows = count(batch.i64(0));
  const nodes = batch.pairs(1);
  const places = batch.pairs(2);
  const variadic = batch.counts(4);
  let node = 0;
  let place = 0;
  let view = 0;
  const nextBuffer = (): Span => {
    const [offset, length] = places[place++] ?? [0, -1];
    if (length < 0 || offset + length > bodyBytes)
      throw new NotTable(`buffer ${place - 1} does not lie in the message's ${bodyBytes} bytes`);
    return { offset, length };
  };
  const columnOf = (field: ArrowField): ArrowColumn<Span> => {
    const [length, nulls] = nodes[node++] ?? [-1, 0];
    if (length < 0) throw new NotTable("fewer nodes than fields");
    const own = field.dictionary === undefined ? field.buffers + (field.isView ? (variadic[view++] ?? 0) : 0) : 2;
    if (own > places.length) throw new NotTable(`${own} buffers in one field`);
    const buffers = Array.from({ length: own }, nextBuffer);
    const [first] = buffers;
    const hasValidity = field.type.kind !== "other" || field.dictionary !== undefined;
    // What a compressed bitmap holds is seen when it is read.
    if (hasValidity && nulls > 0 && (first === undefined || (compression === undefined && first.length * 8 < length)))
      throw new NotTable("nulls without a bitmap");
    const children = field.dictionary === undefined ? field.children.map(columnOf) : [];
    return { field, length, validity: hasValidity && nulls > 0 ? first : undefined, buffers: buffers.slice(1), children };
  };
  const columns = fields.map(columnOf);
  for (const { length, field } of columns)
    if (length !== rows) throw new NotTable(`field ${show(field.name)} has ${length} of ${rows} rows`);
  return { rows, columns, compression };
}

/** The columns of a record batch with their bytes in `body`. */
export function batchColumns(batch: Table, fields: readonly ArrowField[], body: Uint8Array): { rows: number; columns: ArrowColumn[] } {
  if (batch.table(3) !== undefined) throw new NotTable("compressed buffers, which are not read: write the stream without compression");
  const { rows, columns } = batchLayout(batch, fields, body.length);
  const bytesOf = ({ offset, length }: Span): Uint8Array => body.subarray(offset, offset + length);
  const withBytes = ({ field, length, validity, buffers, children }: ArrowColumn<Span>): ArrowColumn => ({
    field,
    length,
    validity: validity && bytesOf(validity),
    buffers: buffers.map(bytesOf),
    children: children.map(withBytes),
  });
  return { rows, columns: columns.map(withBytes) };
}
