/**
 * Bytes of states (docs/state-format.md): integers as LEB128, signed ones zigzag-folded first, in their shortest form only, so that
 * equal values have equal bytes. Readers check every length against what is there.
 */
import { FourfoldError } from "../errors.ts";

/** Groups of seven bits in the largest integer, 2^53 − 1. */
const INTEGER_BYTES_MAX = 8;

/** The bits of every NaN (contract clause 8), as two halves. */
const NAN_HIGH = 0x7ff80000;

const utf8Encoder = new TextEncoder();
const utf8Decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** True unless a string holds half of a surrogate pair, which UTF-8 cannot say. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

/** Bytes that grow as they are written. */
export class ByteWriter {
  #bytes = new Uint8Array(64);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  /** An integer from 0 to 2^53 − 1. */
  unsigned(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw unwritable(value);
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.byte((rest % 128) | 128);
    this.byte(rest);
  }

  /** An integer from −2^52 to 2^52 − 1. */
  signed(value: number): void {
    this.unsigned(value < 0 ? -2 * value - 1 : 2 * value);
  }

  bytes(values: Uint8Array): void {
    this.#reserve(values.length);
    this.#bytes.set(values, this.#length);
    this.#length += values.length;
  }

  /** A length in bytes, then UTF-8. */
  text(value: string): void {
    const utf8 = utf8Encoder.encode(value);
    this.unsigned(utf8.length);
    this.bytes(utf8);
  }

  /** A float64, little endian; every NaN with the same bits. */
  float(value: number): void {
    this.#reserve(8);
    if (value === value) this.#view.setFloat64(this.#length, value, true);
    else {
      this.#view.setUint32(this.#length, 0, true);
      this.#view.setUint32(this.#length + 4, NAN_HIGH, true);
    }
    this.#length += 8;
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + more));
    grown.set(this.#bytes);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

function unwritable(value: number): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_STATE", `the state holds the count ${value}, which its format cannot say`, {
    given: value,
    expected: "integers below 2^52 in size",
    fix: "Finish it and start another",
  });
}

/** Reads what a {@link ByteWriter} wrote; anything else is an error with its offset. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Bytes read so far. */
  get offset(): number {
    return this.#at;
  }

  /** Bytes not yet read. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  byte(): number {
    if (this.left < 1) this.fail("ends early");
    return this.#bytes[this.#at++]!;
  }

  unsigned(): number {
    let value = 0;
    let scale = 1;
    for (let count = 1; ; count++, scale *= 128) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (count > INTEGER_BYTES_MAX || value > Number.MAX_SAFE_INTEGER) this.fail("holds an integer of 2^53 or more");
      if (byte < 128) {
        if (byte === 0 && count > 1) this.fail("holds an integer that is not in its shortest form");
        return value;
      }
    }
  }

  signed(): number {
    const folded = this.unsigned();
    return folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2;
  }

  /** How many things follow that take `bytesEach` bytes or more: refused where they cannot be there. */
  count(bytesEach: number): number {
    const count = this.unsigned();
    if (count * bytesEach > this.left) this.fail(`ends early: ${count} entries announced, ${this.left} bytes left`);
    return count;
  }

  /** A view of the next bytes. */
  bytes(count: number): Uint8Array {
    if (count > this.left) this.fail(`ends early: ${count} bytes announced, ${this.left} left`);
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  text(): string {
    const utf8 = this.bytes(this.unsigned());
    try {
      return utf8Decoder.decode(utf8);
    } catch {
      return this.fail("holds text that is not UTF-8");
    }
  }

  float(): number {
    if (this.left < 8) this.fail("ends early");
    const value = this.#view.getFloat64(this.#at, true);
    if (value !== value && (this.#view.getUint32(this.#at, true) !== 0 || this.#view.getUint32(this.#at + 4, true) !== NAN_HIGH))
      this.fail("holds a NaN with other bits than 7ff8000000000000");
    this.#at += 8;
    return value;
  }

  /** Refuses bytes after the end. */
  end(): void {
    if (this.left > 0) this.fail(`has ${this.left} bytes too many`);
  }

  fail(problem: string): never {
    throw new FourfoldError("ERR_FOURFOLD_STATE", `the state ${problem} (byte ${this.#at} of ${this.#bytes.length})`, {
      given: this.#bytes,
      expected: "bytes as docs/state-format.md describes them",
      fix: "It is damaged, cut short, or no state: make it again from its source",
      at: { index: this.#at },
    });
  }
}
