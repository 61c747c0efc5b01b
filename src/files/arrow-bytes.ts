/** An Arrow file as bytes: checked reads, and what is thrown for damage. It knows nothing of messages. */
import { readSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { NotTable } from "../arrow/flatbuffer.ts";
import { FourfoldError, throwIfAborted } from "../errors.ts";
import { becameShorter, openFile, unreadable } from "./reading.ts";

/** Bytes read between two turns of the event loop: about a millisecond from the page cache. */
export const PIECE_BYTES: number = 1 << 22;

/** Where buffers come from, for messages and for reading them where they lie. */
export interface ArrowPlace {
  /** What messages call it. */
  readonly path: string;
  /** Undefined for what is no file. */
  readonly fd: number | undefined;
  readInto(into: Uint8Array, at: number): void;
  damaged(byte: number, what: string, cause?: unknown): FourfoldError;
}

/** An open file. */
export class ArrowBytes implements ArrowPlace {
  readonly path: string;
  readonly size: number;
  readonly #handle: FileHandle;

  private constructor(path: string, handle: FileHandle, size: number) {
    this.path = path;
    this.#handle = handle;
    this.size = size;
  }

  /** @throws FourfoldError ERR_FOURFOLD_SOURCE */
  static open(path: string): Promise<ArrowBytes> {
    return openFile(path, async (handle, { size }) => new ArrowBytes(path, handle, size));
  }

  get fd(): number {
    return this.#handle.fd;
  }

  /** Fills `into` with the bytes from `at` on; they must be there. */
  readInto(into: Uint8Array, at: number): void {
    for (let got = 0; got < into.length; ) {
      let n: number;
      try {
        n = readSync(this.fd, into, got, into.length - got, at + got);
      } catch (cause) {
        throw unreadable(this.path, cause);
      }
      if (n === 0) throw becameShorter(this.path, at + got, at + into.length);
      got += n;
    }
  }

  /** Bytes `at` to `at + length`, which are compared with the file's size before anything is allocated. */
  bytes(at: number, length: number): Buffer<ArrayBuffer> {
    if (at + length > this.size) throw this.damaged(at, `${length} bytes are announced, the file has ${this.size - at} more`);
    const bytes = Buffer.from(new ArrayBuffer(length));
    this.readInto(bytes, at);
    return bytes;
  }

  /** Runs what reads untrusted bytes of the message at byte `at`: whatever it meets there is damage. */
  parse<T>(at: number, read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (error instanceof NotTable) throw this.damaged(at, error.message);
      if (error instanceof RangeError) throw this.damaged(at, "a description that points outside of itself", error);
      throw error;
    }
  }

  damaged(byte: number, what: string, cause?: unknown): FourfoldError {
    return new FourfoldError("ERR_FOURFOLD_FORMAT", `${this.path}: byte ${byte}: not an Arrow file: ${what}`, {
      expected: "Arrow's IPC file or stream format",
      fix: "The file may be truncated or damaged: fetch or write it again",
      at: { file: this.path, index: byte },
      ...(cause === undefined ? {} : { cause }),
    });
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** Lets others have turns of the event loop while bytes are handled: one for each {@link PIECE_BYTES}. */
export class Turns {
  #since = 0;

  /** @throws FourfoldError ERR_FOURFOLD_ABORTED */
  async after(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    throwIfAborted(signal);
    this.#since += bytes;
    if (this.#since < PIECE_BYTES) return;
    this.#since = 0;
    await turn();
    throwIfAborted(signal);
  }
}

/** Lets others have a turn of the event loop. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
