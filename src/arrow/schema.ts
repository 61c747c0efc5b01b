/** The schema of an Arrow stream or file (arrow.apache.org/docs/format/Columnar.html; format/Schema.fbs): its fields, and how their buffers lie. */
import { show } from "../errors.ts";
import { count, NotTable, type Table } from "./flatbuffer.ts";

/** Fields nested deeper than this are refused: recursion must end. */
const DEPTH_MAX = 32;

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

function fieldOf(table: Table, depth: number): ArrowField {
  if (depth > DEPTH_MAX) throw new NotTable(`fields nested deeper than ${DEPTH_MAX} levels`);
  const number = table.u8(2);
  const type = typeOf(number, table.table(3));
  const children = table.tables(5).map((child) => fieldOf(child, depth + 1));
  if ((type.kind === "list" || type.kind === "fixedList") && children.length !== 1)
    throw new NotTable(`a list with ${children.length} children`);
  const encoding = table.table(4);
  // A dense union has one buffer more.
  const buffers = TYPES[number]![1] + (number === UNION && (table.table(3)?.i16(0) ?? 0) === 1 ? 1 : 0);
  return {
    name: table.text(0),
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
  return schema.tables(1).map((field) => fieldOf(field, 0));
}

/** The values of one field in a record batch. */
export interface ArrowColumn {
  readonly field: ArrowField;
  readonly length: number;
  /** One bit for each value, 0 for null; undefined if there is no null. */
  readonly validity: Uint8Array | undefined;
  readonly buffers: readonly Uint8Array[];
  readonly children: readonly ArrowColumn[];
}

/** The columns of a record batch. Every buffer is checked to lie in `body`. */
export function batchColumns(batch: Table, fields: readonly ArrowField[], body: Uint8Array): { rows: number; columns: ArrowColumn[] } {
  if (batch.table(3) !== undefined) throw new NotTable("compressed buffers, which are not read: write the stream without compression");
  const rows = count(batch.i64(0));
  const nodes = batch.pairs(1);
  const places = batch.pairs(2);
  const variadic = batch.counts(4);
  let node = 0;
  let place = 0;
  let view = 0;
  const nextBuffer = (): Uint8Array => {
    const [offset, length] = places[place++] ?? [0, -1];
    if (length < 0 || offset + length > body.length)
      throw new NotTable(`buffer ${place - 1} does not lie in the message's ${body.length} bytes`);
    return body.subarray(offset, offset + length);
  };
  const columnOf = (field: ArrowField): ArrowColumn => {
    const [length, nulls] = nodes[node++] ?? [-1, 0];
    if (length < 0) throw new NotTable("fewer nodes than fields");
    const own = field.dictionary === undefined ? field.buffers + (field.isView ? (variadic[view++] ?? 0) : 0) : 2;
    if (own > places.length) throw new NotTable(`${own} buffers in one field`);
    const buffers = Array.from({ length: own }, nextBuffer);
    const [first] = buffers;
    const hasValidity = field.type.kind !== "other" || field.dictionary !== undefined;
    if (hasValidity && nulls > 0 && (first === undefined || first.length * 8 < length)) throw new NotTable("nulls without a bitmap");
    const children = field.dictionary === undefined ? field.children.map(columnOf) : [];
    return { field, length, validity: hasValidity && nulls > 0 ? first : undefined, buffers: buffers.slice(1), children };
  };
  const columns = fields.map(columnOf);
  for (const { length, field } of columns)
    if (length !== rows) throw new NotTable(`field ${show(field.name)} has ${length} of ${rows} rows`);
  return { rows, columns };
}
