/**
 * Memory for frames that wait: a few buffers of engine memory that are filled one after the other, so that the frames of a batch lie side by
 * side where kernels read them.
 */
import type { Dtype, TypedData } from "../types.ts";

/** One buffer. */
interface Buffer {
  readonly data: TypedData;
  /** Frames claimed since it was last empty. */
  filled: number;
  /** Frames claimed and not yet released. */
  held: number;
}

/** Frames side by side in one buffer. */
export class Slot {
  readonly #buffer: Buffer;
  readonly #size: number;
  /** The first frame in the buffer. */
  readonly at: number;
  readonly rows: number;

  /** @internal */
  constructor(buffer: Buffer, size: number, at: number, rows: number) {
    this.#buffer = buffer;
    this.#size = size;
    this.at = at;
    this.rows = rows;
  }

  /** Their values. */
  get data(): TypedData {
    return this.#buffer.data.subarray(this.at * this.#size, (this.at + this.rows) * this.#size);
  }

  /** Frames `from` … `to` − 1 of these. */
  part(from: number, to: number): Slot {
    return new Slot(this.#buffer, this.#size, this.at + from, to - from);
  }

  /** These frames and those of a slot that follows them. */
  with(next: Slot): Slot {
    return new Slot(this.#buffer, this.#size, this.at, this.rows + next.rows);
  }

  /** True if another slot's frames follow these. */
  isBefore(other: Slot): boolean {
    return other.#buffer === this.#buffer && other.at === this.at + this.rows;
  }

  /** The values of these frames and of those up to the end of a later slot of the same buffer. */
  through(last: Slot): TypedData {
    return this.#buffer.data.subarray(this.at * this.#size, (last.at + last.rows) * this.#size);
  }

  /** @internal */
  get buffer(): Buffer {
    return this.#buffer;
  }
}

/** See the head of this file. */
export class FrameStore {
  readonly valuesPerFrame: number;
  readonly bytesPerFrame: number;
  readonly dtype: Dtype;
  readonly #rows: number;
  readonly #free: Buffer[];
  #filling: Buffer;

  /** @param memory buffers of one length, each a whole number of frames */
  constructor(memory: readonly TypedData[], valuesPerFrame: number, dtype: Dtype) {
    const [first, ...others] = memory.map((data): Buffer => ({ data, filled: 0, held: 0 }));
    this.#filling = first!;
    this.#free = others;
    this.#rows = first!.data.length / valuesPerFrame;
    this.valuesPerFrame = valuesPerFrame;
    this.bytesPerFrame = valuesPerFrame * first!.data.BYTES_PER_ELEMENT;
    this.dtype = dtype;
  }

  /** True if there is no room. */
  get isFull(): boolean {
    return this.#filling.filled === this.#rows && this.#free.length === 0;
  }

  /** Room for up to so many frames, side by side; undefined if there is none. */
  claim(rows: number): Slot | undefined {
    if (this.#filling.filled === this.#rows) {
      const next = this.#free.pop();
      if (next === undefined) return undefined;
      this.#filling = next;
    }
    const buffer = this.#filling;
    const at = buffer.filled;
    const claimed = Math.min(rows, this.#rows - at);
    buffer.filled += claimed;
    buffer.held += claimed;
    return new Slot(buffer, this.valuesPerFrame, at, claimed);
  }

  /** Gives the end of the last claim back: only its first `rows` frames were filled. */
  keep(slot: Slot, rows: number): Slot {
    slot.buffer.filled -= slot.rows - rows;
    slot.buffer.held -= slot.rows - rows;
    return slot.part(0, rows);
  }

  /** Frames are done with. */
  release(slot: Slot): void {
    const { buffer } = slot;
    buffer.held -= slot.rows;
    if (buffer.held > 0) return;
    buffer.filled = 0;
    if (buffer !== this.#filling) this.#free.push(buffer);
  }
}
