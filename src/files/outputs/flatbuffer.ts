/** Writes FlatBuffers, from the end to the beginning as the format wants it: what Arrow's messages are made of. */

/** A field of a table: its place in the schema, what it is, and its value; of an offset what `string`, `table` or `vector` gave. */
export type FlatField = readonly [slot: number, type: "u8" | "i16" | "i32" | "i64" | "offset", value: number];

const BYTES = { u8: 1, i16: 2, i32: 4, i64: 8, offset: 4 } as const;

/** The widest item, which the whole is padded to. */
const ALIGNMENT = 8;

/** See the head of this file. Offsets count from the end. */
export class FlatWriter {
  #bytes = new Uint8Array(1024);
  #used = 0;

  string(text: string): number {
    const utf8 = new TextEncoder().encode(text);
    this.#align(4, utf8.length + 1);
    this.#put("u8", 0);
    this.#room(utf8.length);
    this.#used += utf8.length;
    this.#bytes.set(utf8, this.#bytes.length - this.#used);
    this.#put("i32", utf8.length);
    return this.#used;
  }

  table(fields: readonly FlatField[]): number {
    const start = this.#used;
    const places: number[] = [];
    for (const [slot, type, value] of [...fields].sort((a, b) => BYTES[b[1]] - BYTES[a[1]])) {
      this.#align(BYTES[type]);
      this.#put(type, value);
      places[slot] = this.#used;
    }
    this.#align(4);
    this.#put("i32", 0);
    const table = this.#used;
    for (let slot = places.length - 1; slot >= 0; slot--) this.#put("i16", places[slot] === undefined ? 0 : table - places[slot]!);
    this.#put("i16", table - start);
    this.#put("i16", 2 * (places.length + 2));
    new DataView(this.#bytes.buffer).setInt32(this.#bytes.length - table, this.#used - table, true);
    return table;
  }

  /** A list of tables or strings. */
  vector(offsets: readonly number[]): number {
    this.#align(4, 4 * offsets.length);
    for (const offset of [...offsets].reverse()) this.#put("offset", offset);
    this.#put("i32", offsets.length);
    return this.#used;
  }

  /** A list of structs of so many int64 each; two int32 count as one. */
  structs(words: readonly number[], wordsEach: number): number {
    this.#align(4, 8 * words.length);
    this.#align(8, 8 * words.length);
    for (const word of [...words].reverse()) this.#put("i64", word);
    this.#put("i32", words.length / wordsEach);
    return this.#used;
  }

  /** All of it, with `root` as its root; as long as a multiple of eight. */
  end(root: number): Uint8Array {
    this.#align(ALIGNMENT, 4);
    this.#put("offset", root);
    return this.#bytes.slice(this.#bytes.length - this.#used);
  }

  /** Pads so that what comes after `extra` more bytes lies at a multiple of `bytes`. */
  #align(bytes: number, extra = 0): void {
    const padding = -(this.#used + extra) & (bytes - 1);
    this.#room(padding);
    this.#used += padding;
  }

  #put(type: FlatField[1], value: number): void {
    this.#room(BYTES[type]);
    this.#used += BYTES[type];
    const at = this.#bytes.length - this.#used;
    const view = new DataView(this.#bytes.buffer);
    if (type === "u8") view.setUint8(at, value);
    else if (type === "i16") view.setInt16(at, value, true);
    else if (type === "i32") view.setInt32(at, value, true);
    else if (type === "i64") view.setBigInt64(at, BigInt(value), true);
    else view.setUint32(at, this.#used - value, true);
  }

  #room(bytes: number): void {
    if (this.#used + bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#used + bytes));
    grown.set(this.#bytes, grown.length - this.#bytes.length);
    this.#bytes = grown;
  }
}
