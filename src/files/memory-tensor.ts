/** A column of an Arrow table in memory as a tensor, dense or ragged: what files give, read with the same code. */
import type { ArrowType } from "../arrow/schema.ts";
import { checkNames, FourfoldError, show } from "../errors.ts";
import { ofDtype } from "../reduce/tree.ts";
import type { TypedData } from "../types.ts";
import type { Buffers } from "./arrow-buffers.ts";
import type { ArrowPlace } from "./arrow-bytes.ts";
import { type ColumnBatch, type LeafType, type NestedColumn, type Nesting, plainDtype, type StoredBuffer } from "./arrow-column.ts";
import { readNested } from "./arrow-nested.ts";
import { type Int64Policy, int64Policy } from "./items.ts";
import { arrowChunks, arrowTable, isArrowTable, type LibraryChunk, type LibraryType } from "./memory-arrow.ts";
import { cellColumn, wrongType } from "./memory-table.ts";

/** Which column of a table becomes a tensor. */
export interface TableTensorOptions {
  readonly column: string;
  /** What becomes of 64-bit integers: `"exact"` (the default), an error beyond ±2^53; `"number"`, the nearest float64; `"reject"`, refused. */
  readonly int64?: Int64Policy;
}

/** A tensor as `engine.run` takes it: with `shape`, or with `offsets`. */
export interface TableTensor {
  /** The leaves: the table's own memory where that was possible. */
  readonly data: TypedData;
  /** [rows, …, size] where all lists have one size. */
  readonly shape?: readonly number[];
  /** Innermost first, where they have not. */
  readonly offsets?: readonly Uint32Array[];
  /** Bytes that were copied out of the table. Offsets always are. */
  readonly copiedBytes: number;
}

/**
 * Takes one column of a Table of apache-arrow or of flechette as a tensor: numbers, or lists of numbers of any depth, as
 * {@link openArrowTensor} takes those of a file. Leaves in one chunk, of a dtype Fourfold reduces and without nulls, are used as they lie.
 *
 * @throws FourfoldError ERR_FOURFOLD_COLUMN (no such column, or not of numbers), ERR_FOURFOLD_INTEGER, ERR_FOURFOLD_ARGUMENT
 * @example
 * const { data, offsets } = await tensor(table, { column: "energies" }); // List<List<float32>>
 * await engine.run(chain({ track: sum(), event: max(), all: mean() }), { data, offsets });
 */
export async function tensor(table: object, options: TableTensorOptions): Promise<TableTensor> {
  checkNames("tensor", options, ["column", "int64"]);
  const int64 = int64Policy(options.int64);
  if (!isArrowTable(table))
    throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `tensor: the table is ${show(table)}`, {
      given: table,
      expected: "a table of apache-arrow or flechette",
      fix: "Give the numbers themselves: { data, shape } or { data, offsets }",
    });
  const memory = arrowTable(table);
  cellColumn(memory, options.column, "column"); // which names what there is, if it is not there
  const chunks = arrowChunks(table, memory.names.indexOf(options.column));
  const type = table.schema.fields[memory.names.indexOf(options.column)]!.type;
  const column = nestingOf(type, options.column, int64);
  const buffers = new MemoryBuffers();
  const batches = chunks.map((chunk) => batchOf(chunk, column, buffers));
  const { leaves, dtype, shape, offsets, kept, hasNulls } = await readNested(
    buffers,
    buffers,
    column,
    batches,
    int64,
    Number.POSITIVE_INFINITY,
    undefined,
  );
  const form = shape ? { shape } : { offsets: offsets! };
  const offsetBytes = offsets?.reduce((sum, level) => sum + level.byteLength, 0) ?? 0;
  const [run] = kept;
  if (batches.length === 1 && run!.starts.length === 1 && !hasNulls && plainDtype(column.leaf) === dtype) {
    const values = leafChunk(chunks[0]!, column).values as TypedData;
    return { data: values.subarray(run!.starts[0], run!.ends[0]), ...form, copiedBytes: offsetBytes };
  }
  const data = ofDtype(dtype, leaves.length);
  await leaves.read(data, 0, undefined);
  return { data, ...form, copiedBytes: data.byteLength + offsetBytes };
}

/** Buffers that lie in memory. */
class MemoryBuffers implements Buffers, ArrowPlace {
  readonly path = "the Arrow table";
  readonly fd = undefined;
  readonly #bytes = new Map<StoredBuffer, Uint8Array>();

  store({ buffer, byteOffset, byteLength }: ArrayBufferView): StoredBuffer {
    const stored: StoredBuffer = { at: 0, stored: byteLength, bytes: byteLength, compression: undefined };
    this.#bytes.set(stored, new Uint8Array(buffer, byteOffset, byteLength));
    return stored;
  }

  async read(buffer: StoredBuffer, _batch: number, from: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(length);
    bytes.set(this.#bytes.get(buffer)!.subarray(from, from + length));
    return bytes;
  }

  readInto(): void {
    throw this.damaged(0, "memory is no file");
  }

  damaged(_byte: number, what: string): FourfoldError {
    return new FourfoldError("ERR_FOURFOLD_FORMAT", `${this.path}: ${what}`, { fix: "Make the table again" });
  }
}

/** Arrow's numbers of types (format/Schema.fbs). */
const TYPE = { int: 2, float: 3, bool: 6, list: 12, fixedList: 16, largeList: 21 } as const;

/** How a type is nested. */
function nestingOf(type: LibraryType, name: string, int64: Int64Policy): NestedColumn {
  const levels: Nesting[] = [];
  let inner = type;
  for (; ; inner = inner.children![0]!.type) {
    if (inner.typeId === TYPE.list || inner.typeId === TYPE.largeList)
      levels.push({ kind: "list", large: inner.typeId === TYPE.largeList });
    else if (inner.typeId === TYPE.fixedList) levels.push({ kind: "fixedList", size: (inner.listSize ?? inner.stride)! });
    else break;
  }
  const leaf = leafOf(inner);
  if (leaf === undefined) throw wrongType(name, "column", String(inner), "numbers, or lists of numbers", "Cast it where the table is made");
  if (int64 === "reject" && leaf.kind === "int" && leaf.bits === 64)
    throw wrongType(
      name,
      "column",
      "64-bit integers",
      'other numbers: int64 is "reject"',
      'Set int64 to "exact" or "number", or cast the column',
    );
  return { index: 0, name, levels, leaf };
}

function leafOf(type: LibraryType): LeafType | undefined {
  if (type.typeId === TYPE.bool) return { kind: "bool" };
  if (type.typeId === TYPE.float) return { kind: "float", bits: 16 << (type.precision ?? 0) } as Extract<ArrowType, { kind: "float" }>;
  if (type.typeId === TYPE.int) return { kind: "int", bits: type.bitWidth!, signed: (type.isSigned ?? type.signed)! };
  return undefined;
}

function batchOf(chunk: LibraryChunk, column: NestedColumn, buffers: MemoryBuffers): ColumnBatch {
  let node = chunk;
  const levels = column.levels.map((level) => {
    const { length, valueOffsets, offsets } = node;
    const found = {
      length,
      validity: validityOf(node, buffers),
      offsets: level.kind === "list" && length > 0 ? buffers.store((valueOffsets ?? offsets)!) : undefined,
    };
    node = node.children![0]!;
    return found;
  });
  const values = column.leaf.kind === "bool" ? shifted(node.values as Uint8Array, node.offset ?? 0, node.length) : node.values!;
  return {
    at: 0,
    rows: chunk.length,
    levels,
    leaf: { length: node.length, validity: validityOf(node, buffers), values: buffers.store(values) },
  };
}

function leafChunk(chunk: LibraryChunk, { levels }: NestedColumn): LibraryChunk {
  return levels.reduce((node) => node.children![0]!, chunk);
}

function validityOf(
  { nullCount, nullBitmap, validity, offset = 0, length }: LibraryChunk,
  buffers: MemoryBuffers,
): StoredBuffer | undefined {
  const bits = nullBitmap ?? validity;
  return nullCount === 0 || bits === undefined || bits.length === 0 ? undefined : buffers.store(shifted(bits, offset, length));
}

/** `length` bits from bit `offset` on, from the first bit on. */
function shifted(bits: Uint8Array, offset: number, length: number): Uint8Array {
  if (offset % 8 === 0) return bits.subarray(offset / 8);
  const result = new Uint8Array(Math.ceil(length / 8));
  for (let i = 0; i < length; i++) result[i >> 3]! |= ((bits[(offset + i) >> 3]! >> ((offset + i) & 7)) & 1) << (i & 7);
  return result;
}
