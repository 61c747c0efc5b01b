/** What stands between bytes and chunks: a format makes one decoder for each run of bytes (a file, a connection, a request). */
import type { Chunk, ReadContext } from "../types.ts";

/** Turns bytes, cut anywhere, into chunks. */
export interface Decoder {
  /** The chunks that `bytes` complete. The caller takes all of them before it calls again, and may reuse the bytes then. */
  push(bytes: Uint8Array): Iterable<Chunk>;
  /** The chunks that are left when the bytes have ended. */
  end(): Iterable<Chunk>;
  /** Bytes that are held because their record has not ended. */
  readonly heldBytes: number;
}

/** A way to write records as bytes. */
export interface Format {
  readonly name: string;
  /** True if a decoder can begin in the middle, at a `next` that another one gave. */
  readonly seekable: boolean;
  /**
   * A decoder for `source`, whose first byte is byte `from` of it. Where `from` is not 0, `head` are the first bytes of the source, at most
   * `headBytes` of them.
   */
  decoder(source: string, from: number, head: Uint8Array | undefined, context: ReadContext): Decoder;
  /** Bytes from the start of a source that a decoder needs to begin in the middle of it. */
  readonly headBytes: number;
}
