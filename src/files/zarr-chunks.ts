/** The chunks of one Zarr array: which of them a range of leaves needs, their decoding, and the decoded ones that are kept. */
import type { ArrayMetadata, DataType, Array as ZarritaArray } from "zarrita";
import { FourfoldError, throwIfAborted } from "../errors.ts";
import type { Dtype, TypedData } from "../types.ts";
import { type Box, boxesOf, copyBox, rowMajorStrides } from "./boxes.ts";
import { ARRAY_OF, BYTES_OF, decodeItems, dtypeOf, type Int64Policy, type Items, isPlain } from "./items.ts";
import { packedBytesMax, registerBounded, type Zarrita } from "./zarr-codecs.ts";
import type { ZarrMetadata } from "./zarr-metadata.ts";
import { BOUNDED } from "./zarr-pipeline.ts";
import { type ZarrFolder, ZarrStore } from "./zarr-store.ts";

/** A decoded chunk: its items and how far apart they lie on each axis. */
interface DecodedChunk {
  readonly items: TypedData;
  readonly strides: readonly number[];
  /** Its place on the first axis. */
  readonly row: number;
}

/** See the head of this file. Calls must wait for one another. */
export class ChunkReader {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly length: number;
  readonly #zarrita: Zarrita;
  readonly #openStore: () => ZarrStore;
  readonly #metadata: ZarrMetadata;
  readonly #items: Items;
  readonly #name: string;
  readonly #memoryBytesMax: number;
  #store: ZarrStore;
  #array: ZarritaArray<DataType, ZarrStore>;
  readonly #kept = new Map<string, DecodedChunk>();
  #keptBytes = 0;

  /** @throws FourfoldError ERR_FOURFOLD_MEMORY */
  constructor(
    zarrita: Zarrita,
    folder: ZarrFolder,
    prefix: string,
    metadata: ZarrMetadata,
    { name, int64, memoryBytesMax }: { readonly name: string; readonly int64: Int64Policy; readonly memoryBytesMax: number },
  ) {
    const { type, chunks, shape, hasFill } = metadata;
    this.dtype = dtypeOf(type);
    this.shape = shape;
    this.length = shape.reduce((product, extent) => product * extent, 1);
    this.#zarrita = zarrita;
    this.#metadata = metadata;
    this.#items = { type, bigEndian: false, int64 };
    this.#name = name;
    this.#memoryBytesMax = memoryBytesMax;
    const chunkItems = chunks.reduce((product, extent) => product * extent, 1);
    const bytes = chunkItems * Math.max(BYTES_OF[type], BYTES_OF[this.dtype]);
    if (bytes > memoryBytesMax)
      throw new FourfoldError(
        "ERR_FOURFOLD_MEMORY",
        `${name}: a chunk of [${chunks.join(", ")}] needs ${bytes} bytes, ${memoryBytesMax} are allowed`,
        {
          given: bytes,
          expected: memoryBytesMax,
          at: { file: metadata.file },
          fix: "Raise memoryBytesMax",
        },
      );
    registerBounded(zarrita.registry);
    this.#openStore = () => new ZarrStore(folder, prefix, packedBytesMax(chunkItems * BYTES_OF[type]), hasFill);
    this.#store = this.#openStore();
    this.#array = this.#openArray();
  }

  #openArray(): ZarritaArray<DataType, ZarrStore> {
    return new this.#zarrita.Array(this.#store, "/", this.#metadata.document as unknown as ArrayMetadata);
  }

  async read(target: TypedData, first: number, signal: AbortSignal | undefined): Promise<void> {
    for (const box of boxesOf(this.shape, first, target.length)) await this.#readBox(box, target, signal);
  }

  /** Drops what is kept. */
  forget(): void {
    this.#kept.clear();
    this.#keptBytes = 0;
  }

  async #readBox({ from, to, at }: Box, target: TypedData, signal: AbortSignal | undefined): Promise<void> {
    const { chunks } = this.#metadata;
    const strides = rowMajorStrides(this.shape);
    const lowest = from.map((start, axis) => Math.floor(start / chunks[axis]!));
    const highest = to.map((end, axis) => Math.floor((end - 1) / chunks[axis]!));
    const coordinates = [...lowest];
    for (;;) {
      throwIfAborted(signal);
      const chunk = await this.#chunk(coordinates);
      let inChunk = 0;
      let inTarget = at;
      const extents = coordinates.map((coordinate, axis) => {
        const origin = coordinate * chunks[axis]!;
        const start = Math.max(from[axis]!, origin);
        inChunk += (start - origin) * chunk.strides[axis]!;
        inTarget += (start - from[axis]!) * strides[axis]!;
        return Math.min(to[axis]!, origin + chunks[axis]!) - start;
      });
      copyBox({ items: chunk.items, at: inChunk, strides: chunk.strides }, { items: target, at: inTarget, strides }, extents);
      let axis = coordinates.length - 1;
      for (; axis >= 0; axis--) {
        if (++coordinates[axis]! <= highest[axis]!) break;
        coordinates[axis] = lowest[axis]!;
      }
      if (axis < 0) return;
    }
  }

  async #chunk(coordinates: readonly number[]): Promise<DecodedChunk> {
    const key = coordinates.join(" ");
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept;
    const row = coordinates[0] ?? 0;
    // Reading goes from row to row of chunks. Where one row is more than may be kept, its first ones stay: to drop one for the next would
    // leave nothing of use for the next pass over the row.
    for (const [other, chunk] of this.#kept) {
      if (chunk.row === row) continue;
      this.#kept.delete(other);
      this.#keptBytes -= chunk.items.byteLength;
    }
    const chunk = await this.#decode(coordinates, row);
    if (this.#keptBytes + chunk.items.byteLength <= this.#memoryBytesMax) {
      this.#kept.set(key, chunk);
      this.#keptBytes += chunk.items.byteLength;
    }
    return chunk;
  }

  async #decode(coordinates: readonly number[], row: number): Promise<DecodedChunk> {
    if (this.#store.isFull) {
      this.#store = this.#openStore();
      this.#array = this.#openArray();
    }
    const name = `${this.#name}: chunk (${coordinates.join(", ")})`;
    const { chunks } = this.#metadata;
    let chunk: { readonly data: unknown; readonly stride: readonly number[] };
    try {
      chunk = await this.#array.getChunk([...coordinates]);
    } catch (error) {
      throw translated(error, name);
    }
    const data = chunk.data as Uint8Array<ArrayBuffer>; // or of any other type: its bytes are what counts
    const expected = chunks.reduce((product, extent) => product * extent, 1);
    if (data.length !== expected)
      throw new FourfoldError("ERR_FOURFOLD_FORMAT", `${name} has ${data.length} items, the metadata say ${expected}`, {
        given: data.length,
        expected,
        at: { file: this.#name },
        fix: "The chunk may be truncated: fetch or write it again",
      });
    if (isPlain(this.#items) && data instanceof ARRAY_OF[this.dtype]) return { items: data, strides: chunk.stride, row };
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return { ...this.#convert(bytes, chunk.stride, coordinates, name), row };
  }

  /** The part of a chunk that is in the array, as our type. What lies beyond the array's edge may hold anything, and is not looked at. */
  #convert(
    bytes: Uint8Array<ArrayBuffer>,
    stride: readonly number[],
    coordinates: readonly number[],
    name: string,
  ): { items: TypedData; strides: readonly number[] } {
    const { chunks, type } = this.#metadata;
    const extents = chunks.map((extent, axis) => Math.min(extent, this.shape[axis]! - coordinates[axis]! * extent));
    const inside = extents.every((extent, axis) => extent === chunks[axis]);
    const size = BYTES_OF[type];
    let part = bytes;
    let strides = stride;
    if (!inside) {
      strides = rowMajorStrides(extents);
      part = new Uint8Array(size * extents.reduce((product, extent) => product * extent, 1));
      // Items are moved as bytes: a last axis that is their size.
      const wide = (of: readonly number[]): number[] => [...of.map((step) => step * size), 1];
      copyBox({ items: bytes, at: 0, strides: wide(stride) }, { items: part, at: 0, strides: wide(strides) }, [...extents, size]);
    }
    const items = new ARRAY_OF[this.dtype](part.length / size);
    decodeItems(part, this.#items, items, 0, { file: name, byte: undefined, item: 0 });
    return { items, strides };
  }
}

/** What zarrita throws, and what codecs throw through it, as an error of ours. */
function translated(error: unknown, name: string): FourfoldError {
  for (let inner = error, depth = 0; inner instanceof Error && depth < 4; inner = inner.cause, depth++)
    if (inner instanceof FourfoldError) return inner;
  const message = error instanceof Error ? error.message : String(error);
  const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : "";
  return new FourfoldError("ERR_FOURFOLD_FORMAT", `${name}: ${message.replaceAll(BOUNDED, "")}${cause}`.replaceAll("\n", " "), {
    cause: error,
    fix: "The chunk may be truncated or damaged: fetch or write it again",
  });
}
