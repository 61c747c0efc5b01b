/** Writes structs in Thrift's compact protocol (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md): what Parquet's metadata is made of. */

/** A value of a struct's field. Integers are `i32` or `i64`, which are written alike but named apart. */
export type ThriftValue =
  | { readonly i8: number }
  | { readonly i32: number }
  | { readonly i64: number }
  | { readonly bool: boolean }
  | { readonly text: string }
  | { readonly struct: ThriftStruct }
  | { readonly list: readonly ThriftValue[] };

/** Fields by their numbers; undefined ones are left out. */
export type ThriftStruct = Readonly<Record<number, ThriftValue | undefined>>;

const TYPE = { true: 1, false: 2, i8: 3, i32: 5, i64: 6, text: 8, list: 9, struct: 12 } as const;

/** The bytes of a struct. */
export function thriftBytes(struct: ThriftStruct): Uint8Array {
  const bytes = new Bytes();
  putStruct(bytes, struct);
  return bytes.end();
}

function putStruct(bytes: Bytes, struct: ThriftStruct): void {
  let last = 0;
  for (const [name, value] of Object.entries(struct)) {
    if (value === undefined) continue;
    const field = Number(name);
    bytes.byte(((field - last) << 4) | typeOf(value)); // fields come in rising order, less than 16 apart
    last = field;
    if (!("bool" in value)) putValue(bytes, value);
  }
  bytes.byte(0);
}

function typeOf(value: ThriftValue): number {
  if ("bool" in value) return value.bool ? TYPE.true : TYPE.false;
  return TYPE[Object.keys(value)[0] as Exclude<keyof typeof TYPE, "true" | "false">];
}

function putValue(bytes: Bytes, value: ThriftValue): void {
  if ("i8" in value) bytes.byte(value.i8);
  else if ("i32" in value) bytes.zigzag(value.i32);
  else if ("i64" in value) bytes.zigzag(value.i64);
  else if ("bool" in value) bytes.byte(value.bool ? TYPE.true : TYPE.false);
  else if ("text" in value) bytes.text(value.text);
  else if ("struct" in value) putStruct(bytes, value.struct);
  else {
    const { list } = value;
    const type = list.length === 0 ? TYPE.struct : typeOf(list[0]!);
    bytes.byte((Math.min(list.length, 15) << 4) | type);
    if (list.length >= 15) bytes.varint(list.length);
    for (const item of list) putValue(bytes, item);
  }
}

/** Bytes that grow. */
export class Bytes {
  #bytes = new Uint8Array(256);
  #used = 0;

  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#used++] = value;
  }

  /** An integer from 0 to 2^53, seven bits a byte, the lowest first. */
  varint(value: number): void {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.byte((rest % 128) + 128);
    this.byte(rest);
  }

  /** An integer of ±2^52, the sign in the lowest bit. */
  zigzag(value: number): void {
    this.varint(value < 0 ? -2 * value - 1 : 2 * value);
  }

  text(text: string): void {
    const utf8 = new TextEncoder().encode(text);
    this.varint(utf8.length);
    this.bytes(utf8);
  }

  bytes(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  end(): Uint8Array {
    return this.#bytes.subarray(0, this.#used);
  }

  #room(bytes: number): void {
    if (this.#used + bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#used + bytes));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}
