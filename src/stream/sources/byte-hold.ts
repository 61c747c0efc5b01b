/** Bytes that are held until more come. It grows by doubling, so that many small pieces cost no more than one. */

/** The first allocation. */
const BYTES_MIN = 4096;

export class ByteHold {
  #bytes: Buffer = Buffer.alloc(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The bytes, until the next change. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  append(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, this.#bytes.length * 2, BYTES_MIN));
      larger.set(this.bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = length;
  }

  /** Holds nothing. The memory is kept for what comes. */
  clear(): void {
    this.#length = 0;
  }

  /** Gives the bytes away and holds nothing. */
  take(): Buffer {
    const { bytes } = this;
    this.#bytes = Buffer.alloc(0);
    this.#length = 0;
    return bytes;
  }
}
