/** Texts as UTF-8, one after the other. */
import { FourfoldError, show } from "../../errors.ts";

/** The most bytes that a unit of text takes: three; a pair of units takes four. */
const UNIT_BYTES = 3;

/** See the head of this file. */
export class TextBytes {
  #bytes = Buffer.alloc(1024);
  #used = 0;

  get length(): number {
    return this.#used;
  }

  /** @throws FourfoldError ERR_FOURFOLD_OUTPUT for text that UTF-8 cannot say: half of a surrogate pair */
  add(text: string): void {
    this.#room(UNIT_BYTES * text.length);
    const bytes = this.#bytes.write(text, this.#used, "utf8");
    // Texts of ASCII, one byte a unit, have no surrogates.
    if (bytes !== text.length && /\p{Surrogate}/u.test(text)) throw halved(text);
    this.#used += bytes;
  }

  /** A text after its length, of four bytes. */
  addWithLength(text: string): void {
    this.#room(4);
    const start = this.#used;
    this.#used += 4;
    this.add(text);
    this.#bytes.writeUInt32LE(this.#used - start - 4, start);
  }

  end(): Uint8Array {
    return this.#bytes.subarray(0, this.#used);
  }

  #room(bytes: number): void {
    if (this.#used + bytes <= this.#bytes.length) return;
    const grown = Buffer.alloc(Math.max(2 * this.#bytes.length, this.#used + bytes));
    grown.set(this.end());
    this.#bytes = grown;
  }
}

function halved(text: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_OUTPUT", `the text ${show(text)} has half of a surrogate pair, which UTF-8 cannot say`, {
    given: text,
    fix: "Write JSON or NDJSON, or make the keys well-formed: key.toWellFormed()",
  });
}
