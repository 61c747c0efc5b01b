/**
 * A tensor whose items lie in one file, one after the other, as NPY, stored NPZ members and raw files have them. In C order and of one of
 * our types they are segments, which workers read for themselves; otherwise they are decoded on the way. The caller has checked that the
 * items are there.
 */
import type { FileHandle } from "node:fs/promises";
import { aborted, FourfoldError, throwIfAborted } from "../errors.ts";
import type { Dtype, Progress, TensorSource, TypedData } from "../types.ts";
import { FortranBands } from "./fortran.ts";
import { Holds } from "./holds.ts";
import { ARRAY_OF, BYTES_OF, decodeItems, dtypeOf, type Items, isPlain } from "./items.ts";
import { checkTarget, readBytes } from "./reading.ts";

/** Bytes read at once: about a millisecond from the page cache, and the memory that decoding needs. */
const PIECE_BYTES = 1 << 22;

/** Where a tensor lies. */
export interface Flat {
  readonly handle: FileHandle;
  readonly path: string;
  /** What messages call it. */
  readonly name: string;
  /** The byte at which the first item starts. */
  readonly at: number;
  readonly shape: readonly number[];
  readonly length: number;
  readonly items: Items;
  readonly fortranOrder: boolean;
  /** Bytes of decoded items that may be kept where the order is Fortran's. */
  readonly memoryBytesMax: number;
}

/** How a reading is watched. */
interface Watch {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** A source that reads a {@link Flat} tensor and closes its file. */
export class FlatSource implements TensorSource {
  readonly kind = "fourfold.tensor";
  readonly name: string;
  readonly dtype: Dtype;
  readonly length: number;
  readonly shape: readonly number[];
  readonly offsets: undefined;
  readonly segments: TensorSource["segments"];
  readonly #flat: Flat;
  readonly #bands: FortranBands | undefined;
  readonly #holds: Holds;

  constructor(flat: Flat) {
    this.#flat = flat;
    this.#holds = new Holds(flat.name, () => flat.handle.close());
    this.name = flat.name;
    this.dtype = dtypeOf(flat.items.type);
    this.length = flat.length;
    this.shape = flat.shape;
    this.#bands = liesStraight(flat) ? undefined : new FortranBands(flat);
    const plain = this.#bands === undefined && isPlain(flat.items);
    this.segments = plain ? [{ fd: flat.handle.fd, at: flat.at, items: flat.length }] : undefined;
  }

  async read(target: TypedData, first: number, { signal }: Watch = {}): Promise<void> {
    checkTarget(this, target, first);
    await this.fill(target, first, { signal });
  }

  /** `read`, with progress, of a target that has been checked. */
  fill(target: TypedData, first: number, watch: Watch): Promise<void> {
    return this.#holds.during(() => this.#fill(target, first, watch));
  }

  async #fill(target: TypedData, first: number, { signal, onProgress }: Watch): Promise<void> {
    const { type } = this.#flat.items;
    const size = BYTES_OF[type];
    const total = target.length * size;
    if (this.#bands !== undefined && target.length === this.length) {
      await this.#bands.readAll(target, signal, (done) => onProgress?.({ done, total, unit: "bytes" }));
      if (signal?.aborted) throw aborted(signal);
      return;
    }
    const pieceItems = PIECE_BYTES / size;
    for (let done = 0; done < target.length; ) {
      throwIfAborted(signal);
      const n = Math.min(pieceItems, target.length - done);
      const piece = target.subarray(done, done + n);
      if (this.#bands === undefined) await this.#piece(piece, first + done);
      else await this.#bands.read(piece, first + done, signal);
      done += n;
      onProgress?.({ done: done * size, total, unit: "bytes" });
    }
    if (signal?.aborted) throw aborted(signal);
  }

  async #piece(target: TypedData, first: number): Promise<void> {
    const { handle, path, name, at, items } = this.#flat;
    const size = BYTES_OF[items.type];
    const byte = at + first * size;
    if (isPlain(items)) {
      await readBytes(handle, path, new Uint8Array(target.buffer, target.byteOffset, target.byteLength), byte);
      return;
    }
    const bytes = new Uint8Array(target.length * size);
    await readBytes(handle, path, bytes, byte);
    decodeItems(bytes, items, target, 0, { file: name, byte, item: first });
  }

  hold(): () => void {
    return this.#holds.hold();
  }

  close(): Promise<void> {
    return this.#holds.close();
  }
}

/** Whether the items lie in the file in C order: also where at most one extent is not 1. */
function liesStraight({ fortranOrder, shape, length }: Flat): boolean {
  return !fortranOrder || length === 0 || shape.filter((extent) => extent !== 1).length < 2;
}

/** The bytes of a whole tensor, if they may be held. @throws FourfoldError ERR_FOURFOLD_MEMORY */
export function wholeArray(source: TensorSource, memoryBytesMax: number | undefined): TypedData {
  const bytes = source.length * BYTES_OF[source.dtype];
  if (memoryBytesMax !== undefined && bytes > memoryBytesMax)
    throw new FourfoldError("ERR_FOURFOLD_MEMORY", `${source.name} holds ${bytes} bytes, ${memoryBytesMax} are allowed`, {
      given: bytes,
      expected: memoryBytesMax,
      fix: "Raise memoryBytesMax",
      at: { file: source.name },
    });
  return new ARRAY_OF[source.dtype](source.length);
}
