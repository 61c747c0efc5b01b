/**
 * The unpacked bytes of a deflated ZIP member, as a stream that can be read from any byte on: forward it goes on from where it is,
 * backward it starts again. It holds a few pieces at a time, never gives more bytes than the directory claims, and checks the CRC-32 when
 * it comes to the end.
 */
import type { FileHandle } from "node:fs/promises";
import { pipeline, Readable } from "node:stream";
import { crc32, createInflateRaw } from "node:zlib";
import { FourfoldError, throwIfAborted } from "../errors.ts";
import { readBytes } from "./reading.ts";
import { damagedZip, type ZipMember } from "./zip.ts";

/** Bytes taken from the file, and given by zlib, at once. */
const PIECE_BYTES = 1 << 18;

/** See the head of this file. Calls must wait for one another. */
export class InflatedMember {
  readonly #handle: FileHandle;
  readonly #path: string;
  readonly #member: ZipMember;
  readonly #start: number;
  #pieces: AsyncIterator<Buffer> | undefined;
  /** The rest of the piece that is being read, and the byte at which it starts. */
  #piece: Buffer = Buffer.alloc(0);
  #at = 0;
  #sum = 0;

  /** `start` is the byte at which the packed bytes start. */
  constructor(handle: FileHandle, path: string, member: ZipMember, start: number) {
    this.#handle = handle;
    this.#path = path;
    this.#member = member;
    this.#start = start;
  }

  /**
   * Fills `into` with the bytes from `first` on, which must be there by what the directory claims.
   * @throws FourfoldError ERR_FOURFOLD_FORMAT, ERR_FOURFOLD_SOURCE
   */
  async read(into: Uint8Array, first: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#pieces === undefined || first < this.#at) await this.#restart();
    let done = 0;
    while (done < into.length) {
      throwIfAborted(signal);
      if (this.#piece.length === 0 && !(await this.#next())) break;
      const skip = Math.min(this.#piece.length, first + done - this.#at);
      const n = Math.min(this.#piece.length - skip, into.length - done);
      into.set(this.#piece.subarray(skip, skip + n), done);
      done += n;
      this.#at += skip + n;
      this.#piece = this.#piece.subarray(skip + n);
    }
    // Behind the last byte the stream says whether it was the last, and whether all of them were right.
    if (this.#at === this.#member.size && this.#piece.length === 0) await this.#next();
  }

  /** Reads all of it, for the CRC. @throws FourfoldError ERR_FOURFOLD_FORMAT, ERR_FOURFOLD_SOURCE */
  async check(): Promise<void> {
    await this.#restart();
    while (await this.#next()) {
      this.#at += this.#piece.length;
      this.#piece = Buffer.alloc(0);
    }
  }

  async close(): Promise<void> {
    const pieces = this.#pieces;
    this.#pieces = undefined;
    await pieces?.return?.();
  }

  async #restart(): Promise<void> {
    await this.close();
    const { packed } = this.#member;
    const handle = this.#handle;
    const path = this.#path;
    const start = this.#start;
    async function* packedPieces(): AsyncGenerator<Buffer> {
      for (let at = 0; at < packed; at += PIECE_BYTES) {
        const piece = Buffer.alloc(Math.min(PIECE_BYTES, packed - at));
        await readBytes(handle, path, piece, start + at);
        yield piece;
      }
    }
    const inflate = createInflateRaw({ chunkSize: PIECE_BYTES });
    // Its errors come out of the iterator.
    pipeline(Readable.from(packedPieces(), { objectMode: true, highWaterMark: 1 }), inflate, () => {});
    this.#pieces = inflate[Symbol.asyncIterator]();
    this.#piece = Buffer.alloc(0);
    this.#at = 0;
    this.#sum = 0;
  }

  /** Takes the next piece, when the one before is used up; false at the end. */
  async #next(): Promise<boolean> {
    if (this.#pieces === undefined) return false;
    const { name, size } = this.#member;
    let result: IteratorResult<Buffer>;
    try {
      result = await this.#pieces.next();
    } catch (cause) {
      this.#pieces = undefined;
      if (cause instanceof FourfoldError) throw cause;
      throw damagedZip(this.#path, this.#start, `member ${JSON.stringify(name)} does not unpack: ${(cause as Error).message}`);
    }
    const reached = this.#at;
    if (result.done !== true) {
      this.#sum = crc32(result.value, this.#sum);
      if (reached + result.value.length > size) {
        await this.close();
        throw this.#departs(`unpacks to more than the ${size} bytes that the directory claims`, reached + result.value.length, size);
      }
      this.#piece = result.value;
      return true;
    }
    this.#pieces = undefined;
    if (reached !== size) throw this.#departs(`unpacks to ${reached} bytes, the directory claims ${size}`, reached, size);
    if (this.#sum !== this.#member.crc32)
      throw this.#departs("is damaged: its CRC-32 is not the directory's", this.#sum, this.#member.crc32);
    return false;
  }

  #departs(what: string, given: number, expected: number): FourfoldError {
    return damagedZip(this.#path, this.#start, `member ${JSON.stringify(this.#member.name)} ${what}`, { given, expected });
  }
}
