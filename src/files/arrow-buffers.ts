/** Ranges of the buffers of an Arrow file, plain or compressed, in aligned memory. What it holds is one batch's decompressed buffers. */
import { FourfoldError } from "../errors.ts";
import type { ArrowBytes } from "./arrow-bytes.ts";
import { decompress } from "./arrow-codec.ts";
import type { StoredBuffer } from "./arrow-column.ts";

/** What holds buffers: a file, or memory. */
export interface Buffers {
  /** Bytes `from` to `from + length` of a buffer of batch `batch`, in memory of their own that starts aligned. */
  read(buffer: StoredBuffer, batch: number, from: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** Reads ranges of buffers; decompressed ones are kept until those of another batch are asked for. */
export class ArrowBuffers implements Buffers {
  readonly #file: ArrowBytes;
  #batch = -1;
  #kept = new Map<StoredBuffer, Promise<Uint8Array>>();

  constructor(file: ArrowBytes) {
    this.#file = file;
  }

  async read(buffer: StoredBuffer, batch: number, from: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const into = new Uint8Array(length);
    if (buffer.compression === undefined) this.#file.readInto(into, buffer.at + from);
    else into.set((await this.#decompressed(buffer, batch)).subarray(from, from + length));
    return into;
  }

  #decompressed(buffer: StoredBuffer, batch: number): Promise<Uint8Array> {
    if (batch !== this.#batch) {
      this.#kept = new Map();
      this.#batch = batch;
    }
    let bytes = this.#kept.get(buffer);
    if (bytes === undefined) {
      bytes = this.#decompress(buffer);
      this.#kept.set(buffer, bytes);
    }
    return bytes;
  }

  async #decompress({ at, stored, bytes, compression }: StoredBuffer): Promise<Uint8Array> {
    const { path } = this.#file;
    try {
      return await decompress(compression!, this.#file.bytes(at, stored), bytes, path);
    } catch (error) {
      if (error instanceof FourfoldError) throw error;
      throw this.#file.damaged(at, `a compressed buffer that cannot be read: ${(error as Error).message}`, error);
    }
  }
}
