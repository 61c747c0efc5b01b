/**
 * The one column of an Arrow file that is read: how it is nested, what its leaves are, and where the buffers of each batch lie. Every
 * length is compared with the bytes that are there. Of the buffers nothing is read but the sizes that compressed ones claim.
 */
import { count, NotTable } from "../arrow/flatbuffer.ts";
import { arrayOf, typeName } from "../arrow/numbers.ts";
import { type ArrowColumn, type ArrowField, type ArrowType, batchLayout, type Compression, type Span } from "../arrow/schema.ts";
import { FourfoldError, nearest, show } from "../errors.ts";
import type { Dtype } from "../types.ts";
import type { ArrowBytes } from "./arrow-bytes.ts";
import type { BatchMessage } from "./arrow-messages.ts";
import type { Int64Policy } from "./items.ts";

/** A level of lists, or of lists of one size. */
export type Nesting = { readonly kind: "list"; readonly large: boolean } | { readonly kind: "fixedList"; readonly size: number };

/** What the leaves of a column are. */
export type LeafType = Extract<ArrowType, { kind: "int" | "float" | "bool" }>;

/** A column by its schema. */
export interface NestedColumn {
  readonly index: number;
  readonly name: string;
  /** Outermost first. */
  readonly levels: readonly Nesting[];
  readonly leaf: LeafType;
}

/** A buffer in the file. */
export interface StoredBuffer {
  readonly at: number;
  /** Bytes in the file. */
  readonly stored: number;
  /** Bytes when they are read: as many as are stored, or as many as the compressed buffer claims. */
  readonly bytes: number;
  /** Undefined where the bytes lie plain. */
  readonly compression: Compression | undefined;
}

/** The most that one stored byte can become: LZ4 adds up to 255 for a byte; a block of Zstandard is 128 KiB, repeated from four bytes. */
const RATIO_MAX: Readonly<Record<Compression, number>> = { lz4: 255, zstd: 1 << 15 };
/** What a frame may hold beyond that: one block. */
const FRAME_BYTES = 1 << 17;
/** The size that a compressed buffer begins with. */
const CLAIM_BYTES = 8;

/** A buffer of a batch, with its claim. `needed` are the bytes that its values take. */
function storedBuffer(file: ArrowBytes, at: number, stored: number, compression: Compression | undefined, needed: number): StoredBuffer {
  let buffer: StoredBuffer = { at, stored, bytes: stored, compression: undefined };
  if (compression !== undefined && stored > 0) {
    if (stored < CLAIM_BYTES) throw new NotTable(`a compressed buffer of ${stored} bytes`);
    const claim = file.bytes(at, CLAIM_BYTES).readBigInt64LE(0);
    const place = { at: at + CLAIM_BYTES, stored: stored - CLAIM_BYTES };
    // -1: this one was not worth it.
    buffer = claim === -1n ? { ...place, bytes: place.stored, compression: undefined } : { ...place, bytes: count(claim), compression };
    if (buffer.bytes > buffer.stored * RATIO_MAX[compression] + FRAME_BYTES)
      throw new NotTable(`${buffer.stored} compressed bytes cannot become the ${buffer.bytes} that are claimed`);
  }
  if (buffer.bytes < needed) throw new NotTable(`a buffer of ${buffer.bytes} bytes, its values take ${needed}`);
  return buffer;
}

/** One level of one batch; `validity` is undefined where there is no null. */
export interface BatchLevel {
  readonly length: number;
  readonly validity: StoredBuffer | undefined;
  /** Of lists: length + 1 offsets. */
  readonly offsets: StoredBuffer | undefined;
}

/** The column in one batch. */
export interface ColumnBatch {
  /** Where the batch begins, for messages. */
  readonly at: number;
  readonly rows: number;
  readonly levels: readonly BatchLevel[];
  readonly leaf: { readonly length: number; readonly validity: StoredBuffer | undefined; readonly values: StoredBuffer };
}

/** How leaves of our own types lie in a file; the others are decoded. */
export function plainDtype(leaf: LeafType): Dtype | undefined {
  if (leaf.kind === "float") return leaf.bits === 64 ? "f64" : leaf.bits === 32 ? "f32" : undefined;
  if (leaf.kind === "bool") return undefined;
  if (leaf.signed) return leaf.bits === 32 ? "i32" : leaf.bits === 16 ? "i16" : leaf.bits === 8 ? "i8" : undefined;
  return leaf.bits === 8 ? "u8" : undefined;
}

/** The type that leaves are read as. A float holds the NaN of a null; an integer that may be null becomes f64. */
export function dtypeOfLeaf(leaf: LeafType, hasNulls: boolean): Dtype {
  if (leaf.kind === "float") return leaf.bits === 64 ? "f64" : "f32";
  if (hasNulls) return "f64";
  if (leaf.kind === "bool") return "u8";
  return plainDtype(leaf) ?? (leaf.bits === 16 ? "i32" : "f64");
}

/** Finds the column. @throws FourfoldError ERR_FOURFOLD_COLUMN */
export function columnOf(file: ArrowBytes, fields: readonly ArrowField[], wanted: string | undefined, int64: Int64Policy): NestedColumn {
  const names = fields.map((field) => field.name);
  const refuse = (what: string, given: unknown, fix: string): FourfoldError =>
    new FourfoldError("ERR_FOURFOLD_COLUMN", `${file.path}: ${what}`, {
      given,
      expected: names.slice(0, 40),
      fix,
      at: { file: file.path },
    });
  if (wanted === undefined && names.length !== 1)
    throw refuse(
      `it has ${names.length} columns`,
      names.length,
      `Name one with the option column: ${names.slice(0, 40).map(show).join(", ")}`,
    );
  const name = wanted ?? names[0]!;
  const places = names.flatMap((other, i) => (other === name ? [i] : []));
  if (places.length > 1)
    throw refuse(`there are ${places.length} columns ${show(name)}`, name, "Give them different names where the file is written");
  const field = fields[places[0] ?? -1];
  if (field === undefined) {
    const meant = nearest(name, names);
    const fix = meant === undefined ? "Name one of them with the option column" : `Did you mean ${show(meant)}?`;
    throw refuse(`there is no column ${show(name)}; it has ${names.slice(0, 40).map(show).join(", ")}`, name, fix);
  }
  const levels: Nesting[] = [];
  let inner = field;
  for (; ; inner = inner.children[0]!) {
    if (inner.dictionary !== undefined)
      throw refuse(
        `column ${show(name)} is a dictionary: it holds codes, which are no numbers to add up`,
        "dictionary",
        "Cast it to its values where the file is written",
      );
    const { type } = inner;
    if (type.kind === "fixedList" && type.size < 0) throw file.damaged(0, `column ${show(name)} has lists of ${type.size} values`);
    if (type.kind !== "list" && type.kind !== "fixedList") break;
    levels.push(type);
  }
  const leaf = inner.type;
  const isNumber = (leaf.kind === "int" || leaf.kind === "float") && arrayOf(leaf) !== undefined;
  if (!isNumber && leaf.kind !== "bool")
    throw refuse(
      `column ${show(name)} holds ${typeName(leaf)}, expected numbers, or lists of numbers`,
      typeName(leaf),
      "Cast it where the file is written, or name another column",
    );
  if (int64 === "reject" && leaf.kind === "int" && leaf.bits === 64)
    throw refuse(
      `column ${show(name)} holds ${typeName(leaf)}, which int64: "reject" refuses`,
      typeName(leaf),
      'Cast it where the file is written, or set int64 to "exact" or "number"',
    );
  return { index: places[0]!, name, levels, leaf: leaf as LeafType };
}

/** Where the column lies in a batch. @throws FourfoldError ERR_FOURFOLD_FORMAT if it is longer than its bytes */
export function columnBatch(file: ArrowBytes, fields: readonly ArrowField[], column: NestedColumn, message: BatchMessage): ColumnBatch {
  const { at, header, bodyAt, bodyBytes } = message;
  return file.parse(at, () => {
    const { rows, columns, compression } = batchLayout(header, fields, bodyBytes);
    const stored = ({ offset, length }: Span, needed: number): StoredBuffer =>
      storedBuffer(file, bodyAt + offset, length, compression, needed);
    let node: ArrowColumn<Span> = columns[column.index]!;
    const bitmap = (): StoredBuffer | undefined => node.validity && stored(node.validity, Math.ceil(node.length / 8));
    const levels = column.levels.map((level): BatchLevel => {
      const { length } = node;
      // A column without lists may leave its offsets out.
      const offsets = level.kind === "list" && length > 0 ? stored(node.buffers[0]!, (length + 1) * (level.large ? 8 : 4)) : undefined;
      const found: BatchLevel = { length, validity: bitmap(), offsets };
      node = node.children[0]!;
      if (level.kind === "fixedList" && length * level.size > node.length)
        throw new NotTable(`${length} lists of ${level.size} values, which has ${node.length} values`);
      // Empty lists of one size take no bytes at all: nothing but the file's size says how many there can be.
      if (level.kind === "fixedList" && level.size === 0 && length > file.size)
        throw new NotTable(`${length} lists of no values in ${file.size} bytes`);
      return found;
    });
    const { length } = node;
    const bits = column.leaf.kind === "bool" ? 1 : column.leaf.bits;
    return { at, rows, levels, leaf: { length, validity: bitmap(), values: stored(node.buffers[0]!, Math.ceil((length * bits) / 8)) } };
  });
}
