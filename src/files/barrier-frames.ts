/**
 * The words that a reading process and its parent exchange: frames of a kind, a length and so many bytes. A length is believed only
 * within the limits here, and a frame's bytes are held only as they come; bytes of columns are handed on without being gathered.
 */
import { FourfoldError } from "../errors.ts";

/** What a frame holds. All but `bytes` are JSON. */
export const KINDS = [
  /** To the child: what to read. */
  "read",
  /** The child is there. */
  "ready",
  /** What is there to be read, before anything of it is. */
  "present",
  "progress",
  /** The child's memory. */
  "memory",
  /** The values' type and length. */
  "values",
  /** The table but for its long columns. */
  "table",
  /** The next bytes of the column that is due. */
  "bytes",
  /** The next cells of the column that is due. */
  "cells",
  /** Rows that were left out. */
  "rejected",
  /** The reading failed. */
  "failed",
  /** The table is whole. */
  "done",
] as const;

/** What a frame holds. */
export type Kind = (typeof KINDS)[number];

const HEADER_BYTES = 5;
/** Bytes of columns in one frame: some hundred microseconds of a pipe. */
export const PIECE_BYTES: number = 1 << 18;
/** A key or the text of a rejected row may be long, and a spec has up to 1 MiB. */
const JSON_BYTES_MAX = 64 << 20;

/** A frame of plain values; integers beyond 2^53 become text. @throws FourfoldError ERR_FOURFOLD_MEMORY for one that is too long */
export function jsonFrame(kind: Exclude<Kind, "bytes">, value: unknown): Buffer[] {
  const payload = Buffer.from(JSON.stringify(value, (_, one) => (typeof one === "bigint" ? String(one) : one)));
  if (payload.length > JSON_BYTES_MAX)
    throw new FourfoldError("ERR_FOURFOLD_MEMORY", `a key or text of the files takes ${payload.length} bytes`, {
      given: payload.length,
      expected: JSON_BYTES_MAX,
      fix: "Cut it in the SQL, or leave the column out",
    });
  return [header(kind, payload.length), payload];
}

/** A frame of bytes of a column, at most {@link PIECE_BYTES}; the bytes are not copied. */
export function bytesFrame(bytes: Uint8Array): Uint8Array[] {
  return [header("bytes", bytes.length), bytes];
}

function header(kind: Kind, length: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes[0] = KINDS.indexOf(kind);
  bytes.writeUInt32LE(length, 1);
  return bytes;
}

/** What becomes of frames. */
export interface FrameTaker {
  json(kind: Exclude<Kind, "bytes">, value: unknown): void;
  /** A part of a frame of bytes, as it came. */
  bytes(part: Uint8Array): void;
}

/** Cuts what a pipe brings, in whatever pieces, into frames. @throws FourfoldError ERR_FOURFOLD_FORMAT from `push` for what is no frame */
export class FrameReader {
  readonly #taker: FrameTaker;
  readonly #header: Buffer = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  #kind: Kind = "done";
  #left = 0;
  #parts: Uint8Array[] = [];

  constructor(taker: FrameTaker) {
    this.#taker = taker;
  }

  push(data: Uint8Array): void {
    for (let at = 0; at < data.length; ) {
      if (this.#headerBytes < HEADER_BYTES) {
        this.#header[this.#headerBytes++] = data[at++]!;
        if (this.#headerBytes === HEADER_BYTES) this.#begin();
      } else {
        const part = data.subarray(at, at + Math.min(this.#left, data.length - at));
        at += part.length;
        this.#left -= part.length;
        if (this.#kind === "bytes") this.#taker.bytes(part);
        else this.#parts.push(part);
      }
      if (this.#headerBytes === HEADER_BYTES && this.#left === 0) this.#end();
    }
  }

  #begin(): void {
    const kind = KINDS[this.#header[0]!];
    const length = this.#header.readUInt32LE(1);
    if (kind === undefined) throw broken(`a frame of kind ${this.#header[0]}`);
    if (length > (kind === "bytes" ? PIECE_BYTES : JSON_BYTES_MAX)) throw broken(`a frame of ${length} bytes`);
    this.#kind = kind;
    this.#left = length;
  }

  #end(): void {
    const kind = this.#kind;
    this.#headerBytes = 0;
    if (kind === "bytes") return;
    const text = Buffer.concat(this.#parts).toString();
    this.#parts = [];
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw broken("a frame that is no JSON");
    }
    this.#taker.json(kind, value);
  }
}

/** The error of a process that does not keep to its words: its memory must be broken. */
export function broken(what: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_FORMAT", `the reader sent ${what}`, { fix: "The file may be damaged: fetch it again" });
}
