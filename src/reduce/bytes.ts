/**
 * Bytes of states (docs/state-format.md): integers as LEB128, signed ones zigzag-folded first, in their shortest form only, so that
 * equal values have equal bytes. Readers check every length against what is there.
 */
import { FourfoldError } from "../errors.ts";

/** Bytes that grow as they are written. */
export class ByteWriter {
  #bytes = new Uint8Array(64);
  #length = 0;

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  /** An integer from 0 to 2^53. */
  unsigned(value: number): void {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.byte((rest % 128) | 128);
    this.byte(rest);
  }

  /** An integer within ±2^52. */
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
    const utf8 = new TextEncoder().encode(value);
    this.unsigned(utf8.length);
    this.bytes(utf8);
  }

  /** A float64, little endian. */
  float(value: number): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value, true);
    this.bytes(bytes);
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
  }
}

/** Reads what a {@link ByteWriter} wrote; anything else is an error with its offset. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
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
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (value > Number.MAX_SAFE_INTEGER) this.fail("holds an integer beyond 2^53");
      if (byte < 128) {
        if (byte === 0 && scale > 1) this.fail("holds an integer that is not in its shortest form");
        return value;
      }
    }
  }

  signed(): number {
    const folded = this.unsigned();
    return folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2;
  }

  bytes(count: number): Uint8Array {
    if (count > this.left) this.fail(`ends early: ${count} bytes announced, ${this.left} left`);
    this.#at += count;
    return this.#bytes.slice(this.#at - count, this.#at);
  }

  text(): string {
    const utf8 = this.bytes(this.unsigned());
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(utf8);
    } catch {
      return this.fail("holds text that is not UTF-8");
    }
  }

  float(): number {
    const bytes = this.bytes(8);
    return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0, true);
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
