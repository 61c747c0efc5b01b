/**
 * Thrift's compact protocol, as far as Parquet's metadata need it: structs are walked field by field, and what nobody asks for is
 * skipped. Nothing is believed: no length beyond the bytes that are there, no nesting beyond a limit, and nothing is gathered.
 */

/** Nesting of Parquet's own metadata is 7. */
const DEPTH_MAX = 24;
const TRUE = 1;
const FALSE = 2;
const I8 = 3;
const DOUBLE = 7;
const BINARY = 8;
const LIST = 9;
const SET = 10;
const MAP = 11;
const STRUCT = 12;

/** What is wrong with the bytes, and where. */
export class ThriftError extends Error {
  /** The byte among those that were given. */
  readonly at: number;
  /** More bytes might mend it. */
  readonly ended: boolean;
  constructor(what: string, at: number, ended: boolean) {
    super(what);
    this.at = at;
    this.ended = ended;
  }
}

/** Reads a struct. Each method throws {@link ThriftError} for what is no Thrift. */
export class Thrift {
  readonly #bytes: Uint8Array;
  #depth = 0;
  /** The byte that is next. */
  at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.at = at;
  }

  #fail(what: string, ended = false): never {
    throw new ThriftError(what, this.at, ended);
  }

  #need(length: number): void {
    if (!(length <= this.#bytes.length - this.at))
      this.#fail(`${length} bytes are announced, ${this.#bytes.length - this.at} are left`, true);
  }

  #byte(): number {
    this.#need(1);
    return this.#bytes[this.at++]!;
  }

  /** 64 bits of which float64 keeps 53: offsets beyond lie in no file. */
  #varint(): number {
    let value = 0;
    for (let shift = 0; shift < 64; shift += 7) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    return this.#fail("a number of more than 64 bits");
  }

  /** An integer of any width. */
  int(): number {
    const value = this.#varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  binary(): Uint8Array {
    const length = this.#varint();
    this.#need(length);
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }

  /** Walks the fields of a struct; `take` reads the field and says true, or reads nothing and says false. */
  struct(take: (field: number, type: number) => boolean): void {
    if (++this.#depth > DEPTH_MAX) this.#fail(`nested deeper than ${DEPTH_MAX}`);
    for (let field = 0; ; ) {
      const head = this.#byte();
      if (head === 0) break;
      const type = head & 15;
      field = head >> 4 === 0 ? this.int() : field + (head >> 4);
      if (!take(field, type)) this.#skip(type, false);
    }
    this.#depth--;
  }

  /** Walks a list; `take` reads one item. A list is no longer than its bytes. */
  list(take: () => void, type: number): number {
    const head = this.#byte();
    const length = head >> 4 === 15 ? this.#varint() : head >> 4;
    if ((head & 15) !== type) this.#fail(`a list of type ${head & 15}, expected ${type}`);
    this.#need(length);
    for (let i = 0; i < length; i++) take();
    return length;
  }

  /** Checks the type of a field before it is read. */
  expect(type: number, ...types: readonly number[]): true {
    if (!types.includes(type)) this.#fail(`a field of type ${type}, expected ${types.join(" or ")}`);
    return true;
  }

  #skip(type: number, item: boolean): void {
    switch (type) {
      case TRUE:
      case FALSE:
        if (item) this.#byte();
        return;
      case I8:
        this.#byte();
        return;
      case 4:
      case 5:
      case 6:
        this.#varint();
        return;
      case DOUBLE:
        this.#need(8);
        this.at += 8;
        return;
      case BINARY:
        this.binary();
        return;
      case LIST:
      case SET:
        this.#skipItems();
        return;
      case MAP:
        this.#skipPairs();
        return;
      case STRUCT:
        this.struct(() => false);
        return;
      default:
        this.#fail(`a field of type ${type}`);
    }
  }

  #nested(work: () => void): void {
    if (++this.#depth > DEPTH_MAX) this.#fail(`nested deeper than ${DEPTH_MAX}`);
    work();
    this.#depth--;
  }

  #skipItems(): void {
    const head = this.#byte();
    const length = head >> 4 === 15 ? this.#varint() : head >> 4;
    this.#need(length);
    this.#nested(() => {
      for (let i = 0; i < length; i++) this.#skip(head & 15, true);
    });
  }

  #skipPairs(): void {
    const length = this.#varint();
    if (length === 0) return;
    const types = this.#byte();
    this.#need(2 * length);
    this.#nested(() => {
      for (let i = 0; i < length; i++) {
        this.#skip(types >> 4, true);
        this.#skip(types & 15, true);
      }
    });
  }
}
