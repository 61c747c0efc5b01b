/**
 * Bytes cut anywhere → whole lines. What is held between two pieces is at most one line of `lineBytesMax`; of a longer line only the first
 * characters are kept while the rest goes by. Lines that lie in one piece are handed on as they lie, not copied.
 */
import { ByteHold } from "./byte-hold.ts";
import { TEXT_MAX } from "./rejected.ts";

/** The byte that ends a line, and the one that may stand before it. */
export const NEWLINE = 10;
export const CR = 13;
/** A character is at most four bytes of UTF-8, so that these hold TEXT_MAX of them. */
const HEAD_BYTES = TEXT_MAX * 4;
/** Pieces are handled in parts of at most this: larger ones would hold the event loop. */
const PART_BYTES = 1 << 18;

/** Whole lines, or one that is too long. */
export type Lines =
  /** Lines in `bytes` from `start` to `end`; each but the last of the source ends with a line break. They begin at byte `from` of the source. */
  | { readonly kind: "lines"; readonly bytes: Buffer; readonly start: number; readonly end: number; readonly from: number }
  /** A line that is longer than the limit, with how it begins. */
  | { readonly kind: "long"; readonly head: Buffer; readonly from: number; readonly to: number };

/** Cuts the pieces of one source into lines. */
export class LineCutter {
  readonly #bytesMax: number;
  /** Where the held line, or the next piece, begins. */
  #from: number;
  /** A line that has not ended. */
  readonly #held = new ByteHold();
  /** How a long line began, while it goes by, and how many bytes of it have gone by. */
  #head: Buffer | undefined;
  #skipped = 0;

  constructor(bytesMax: number, from: number) {
    this.#bytesMax = bytesMax;
    this.#from = from;
  }

  /** Bytes of a line that has not ended. */
  get heldBytes(): number {
    return this.#held.length;
  }

  /** The lines that `piece` ends. They are views of it: use them before the next call. */
  *push(piece: Uint8Array): Generator<Lines> {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    for (let at = 0; at < bytes.length; at += PART_BYTES) yield* this.#part(bytes, at, Math.min(at + PART_BYTES, bytes.length));
  }

  /** What is left when the source has ended: a line without a line break. */
  *end(): Generator<Lines> {
    if (this.#head !== undefined || this.#held.length > 0) yield this.#ended();
  }

  *#part(bytes: Buffer, start: number, end: number): Generator<Lines> {
    let at = start;
    if (this.#head !== undefined || this.#held.length > 0) {
      const found = bytes.subarray(at, end).indexOf(NEWLINE);
      const stop = found < 0 ? end : at + found + 1;
      this.#hold(bytes, at, stop);
      at = stop;
      if (found < 0) return;
      yield this.#ended();
    }
    const last = bytes.subarray(at, end).lastIndexOf(NEWLINE);
    if (last >= 0) {
      const stop = at + last + 1;
      const from = this.#from;
      this.#from += stop - at;
      yield { kind: "lines", bytes, start: at, end: stop, from };
      at = stop;
    }
    if (at < end) this.#hold(bytes, at, end);
  }

  /** Keeps bytes of a line that goes on, or that ends with them. */
  #hold(bytes: Buffer, start: number, end: number): void {
    const more = bytes.subarray(start, end);
    if (this.#head !== undefined) {
      this.#skipped += more.length;
      return;
    }
    const length = this.#held.length + more.length;
    // The line break does not count.
    if (length - (bytes[end - 1] === NEWLINE ? 1 : 0) <= this.#bytesMax) {
      this.#held.append(more);
      return;
    }
    this.#head = Buffer.concat([this.#held.bytes, more.subarray(0, HEAD_BYTES)]).subarray(0, HEAD_BYTES);
    this.#skipped = length;
    this.#held.take();
  }

  /** What was held, now that its line has ended. */
  #ended(): Lines {
    const from = this.#from;
    const head = this.#head;
    if (head !== undefined) {
      this.#from += this.#skipped;
      this.#head = undefined;
      return { kind: "long", head, from, to: this.#from };
    }
    const { bytes } = this.#held;
    this.#held.clear();
    this.#from += bytes.length;
    return { kind: "lines", bytes, start: 0, end: bytes.length, from };
  }
}

/** Where the line that begins at `at` ends, its line break included. */
export function lineEnd(bytes: Buffer, at: number, end: number): number {
  const found = bytes.indexOf(NEWLINE, at);
  return found < 0 || found >= end ? end : found + 1;
}

/** A line without its line break. */
export function withoutBreak(bytes: Buffer): Buffer {
  let end = bytes.length;
  if (end > 0 && bytes[end - 1] === NEWLINE) end--;
  if (end > 0 && bytes[end - 1] === CR) end--;
  return bytes.subarray(0, end);
}
