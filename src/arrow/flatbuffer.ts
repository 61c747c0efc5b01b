/**
 * Tables of FlatBuffers (github.com/google/flatbuffers, docs/source/internals.md), as far as Arrow's messages need them. The bytes are untrusted:
 * a DataView checks every access, and lengths are compared with the bytes that are there before anything is made of them.
 */

/** What is thrown for bytes that are no table; the decoder says it with its position. */
export class NotTable extends Error {}

/** Inline bytes of a struct in a vector; tables stand as offsets of four. */
const OFFSET_BYTES = 4;

export class Table {
  readonly #view: DataView;
  readonly #at: number;

  constructor(view: DataView, at: number) {
    this.#view = view;
    this.#at = at;
  }

  /** The table that a buffer begins with. */
  static root(bytes: Uint8Array): Table {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return new Table(view, view.getUint32(0, true));
  }

  /** Bytes of the buffer that the table stands in. */
  get bytes(): number {
    return this.#view.byteLength;
  }

  /** Where field `id` stands; 0 if it has its default. */
  #field(id: number): number {
    const table = this.#at - this.#view.getInt32(this.#at, true);
    const slot = 4 + 2 * id;
    if (slot + 2 > this.#view.getUint16(table, true)) return 0;
    const offset = this.#view.getUint16(table + slot, true);
    return offset === 0 ? 0 : this.#at + offset;
  }

  u8(id: number, otherwise = 0): number {
    const at = this.#field(id);
    return at === 0 ? otherwise : this.#view.getUint8(at);
  }

  i16(id: number, otherwise = 0): number {
    const at = this.#field(id);
    return at === 0 ? otherwise : this.#view.getInt16(at, true);
  }

  i32(id: number, otherwise = 0): number {
    const at = this.#field(id);
    return at === 0 ? otherwise : this.#view.getInt32(at, true);
  }

  i64(id: number): bigint {
    const at = this.#field(id);
    return at === 0 ? 0n : this.#view.getBigInt64(at, true);
  }

  table(id: number): Table | undefined {
    const at = this.#field(id);
    return at === 0 ? undefined : new Table(this.#view, at + this.#view.getUint32(at, true));
  }

  text(id: number): string {
    const { start, length } = this.#vector(id, 1);
    return Buffer.from(this.#view.buffer, this.#view.byteOffset + start, length).toString();
  }

  tables(id: number): Table[] {
    const { start, length } = this.#vector(id, OFFSET_BYTES);
    return Array.from({ length }, (_, i) => {
      const at = start + i * OFFSET_BYTES;
      return new Table(this.#view, at + this.#view.getUint32(at, true));
    });
  }

  /** Structs of two int64, as the nodes and buffers of a record batch are. */
  pairs(id: number): (readonly [number, number])[] {
    const { start, length } = this.#vector(id, 16);
    return Array.from({ length }, (_, i) => [
      count(this.#view.getBigInt64(start + i * 16, true)),
      count(this.#view.getBigInt64(start + i * 16 + 8, true)),
    ]);
  }

  /** A vector of int64. */
  counts(id: number): number[] {
    const { start, length } = this.#vector(id, 8);
    return Array.from({ length }, (_, i) => count(this.#view.getBigInt64(start + i * 8, true)));
  }

  /** The blocks of a file's footer: structs of an int64, an int32 with four bytes after it, and an int64. */
  blocks(id: number): (readonly [number, number, number])[] {
    const { start, length } = this.#vector(id, 24);
    return Array.from({ length }, (_, i) => {
      const at = start + i * 24;
      return [count(this.#view.getBigInt64(at, true)), this.#view.getInt32(at + 8, true), count(this.#view.getBigInt64(at + 16, true))];
    });
  }

  #vector(id: number, bytes: number): { start: number; length: number } {
    const at = this.#field(id);
    if (at === 0) return { start: 0, length: 0 };
    const start = at + this.#view.getUint32(at, true);
    const length = this.#view.getUint32(start, true);
    if (start + 4 + length * bytes > this.#view.byteLength) throw new NotTable(`a list of ${length} items is longer than the message`);
    return { start: start + 4, length };
  }
}

/** An int64 that counts something. */
export function count(value: bigint): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) throw new NotTable(`a count of ${value}`);
  return Number(value);
}
