/** The leaves of an Arrow column in their order over all batches, and how they are decoded where they do not lie as they are read. */
import { arrayOf, half } from "../arrow/numbers.ts";
import { FourfoldError, throwIfAborted } from "../errors.ts";
import type { FileSegment, TypedData } from "../types.ts";
import type { Buffers } from "./arrow-buffers.ts";
import { type ArrowPlace, PIECE_BYTES, Turns } from "./arrow-bytes.ts";
import { type ColumnBatch, type LeafType, type NestedColumn, plainDtype } from "./arrow-column.ts";
import { nullsOf, type Runs } from "./arrow-lists.ts";
import type { Int64Policy } from "./items.ts";

/** Leaves decoded at one go: at most a MiB of them, and about a millisecond. */
const LEAVES_PER_ROUND = 1 << 17;
/** Beyond so many segments a table of them is larger than what it spares. */
const SEGMENTS_MAX = 1 << 16;

/** Leaves that lie one after the other in one batch. */
interface Piece {
  readonly batch: number;
  /** Its first leaf, by its place in the batch and in the whole. */
  readonly start: number;
  readonly first: number;
  readonly items: number;
}

/** What turns a leaf's number into its place, for messages. */
export type PlaceOf = (leaf: number) => { readonly row: number; readonly index: number };

/** The leaves of a column. */
export class ArrowLeaves {
  readonly length: number;
  /** Where all leaves lie, if they lie in the file as they are read. */
  readonly segments: readonly FileSegment[] | undefined;
  readonly #file: ArrowPlace;
  readonly #buffers: Buffers;
  readonly #column: NestedColumn;
  readonly #batches: readonly ColumnBatch[];
  readonly #int64: Int64Policy;
  readonly #placeOf: PlaceOf;
  // One entry for each piece, and in `first` one more.
  readonly #batch: Uint32Array;
  readonly #start: Float64Array;
  readonly #first: Float64Array;

  constructor(
    file: ArrowPlace,
    buffers: Buffers,
    column: NestedColumn,
    batches: readonly ColumnBatch[],
    kept: readonly Runs[],
    hasNulls: boolean,
    int64: Int64Policy,
    placeOf: PlaceOf,
  ) {
    this.#file = file;
    this.#buffers = buffers;
    this.#column = column;
    this.#batches = batches;
    this.#int64 = int64;
    this.#placeOf = placeOf;
    const pieces = kept.reduce((sum, { starts }) => sum + starts.length, 0);
    this.#batch = new Uint32Array(pieces);
    this.#start = new Float64Array(pieces);
    this.#first = new Float64Array(pieces + 1);
    let piece = 0;
    for (const [batch, { starts, ends }] of kept.entries())
      for (const [i, start] of starts.entries()) {
        this.#batch[piece] = batch;
        this.#start[piece] = start;
        this.#first[piece + 1] = this.#first[piece]! + ends[i]! - start;
        piece++;
      }
    this.length = this.#first[pieces]!;
    const isPlain = file.fd !== undefined && !hasNulls && plainDtype(column.leaf) !== undefined && pieces <= SEGMENTS_MAX;
    this.segments = isPlain && batches.every(({ leaf }) => leaf.values.compression === undefined) ? this.#segments() : undefined;
  }

  #segments(): FileSegment[] {
    const fd = this.#file.fd!;
    const width = (this.#column.leaf as { readonly bits: number }).bits / 8;
    return Array.from(this.#batch, (batch, i) => ({
      fd,
      at: this.#batches[batch]!.leaf.values.at + this.#start[i]! * width,
      items: this.#first[i + 1]! - this.#first[i]!,
    }));
  }

  /** Fills `target` with the leaves from `first` on, which are there. */
  async read(target: TypedData, first: number, signal: AbortSignal | undefined): Promise<void> {
    throwIfAborted(signal);
    const turns = new Turns();
    let done = 0;
    for (let i = pieceOf(this.#first, first); done < target.length; i++) {
      const inside = first + done - this.#first[i]!;
      const items = Math.min(this.#first[i + 1]! - first - done, target.length - done);
      const piece = { batch: this.#batch[i]!, start: this.#start[i]! + inside, first: first + done, items };
      await (this.segments ? this.#copy(piece, target, done, turns, signal) : this.#decode(piece, target, done, turns, signal));
      done += items;
    }
  }

  async #copy({ batch, start, items }: Piece, target: TypedData, at: number, turns: Turns, signal: AbortSignal | undefined): Promise<void> {
    const width = target.BYTES_PER_ELEMENT;
    const from = this.#batches[batch]!.leaf.values.at + start * width;
    const bytes = new Uint8Array(target.buffer, target.byteOffset + at * width, items * width);
    for (let done = 0; done < bytes.length; done += PIECE_BYTES) {
      const piece = bytes.subarray(done, done + PIECE_BYTES);
      this.#file.readInto(piece, from + done);
      await turns.after(piece.length, signal);
    }
  }

  async #decode(
    { batch, start, first, items }: Piece,
    target: TypedData,
    at: number,
    turns: Turns,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { leaf } = this.#column;
    const { values } = this.#batches[batch]!.leaf;
    for (let done = 0; done < items; done += LEAVES_PER_ROUND) {
      const n = Math.min(LEAVES_PER_ROUND, items - done);
      const from = start + done;
      const nulls = await this.#nulls(batch, from, n);
      if (leaf.kind === "bool") {
        const bits = await this.#buffers.read(values, batch, Math.floor(from / 8), Math.ceil((from + n) / 8) - Math.floor(from / 8));
        for (let i = 0, shift = from % 8; i < n; i++, shift++) target[at + done + i] = (bits[shift >> 3]! >> (shift & 7)) & 1;
      } else {
        const width = leaf.bits / 8;
        const { buffer } = await this.#buffers.read(values, batch, from * width, n * width);
        this.#convert(leaf, buffer, nulls, target.subarray(at + done, at + done + n), first + done);
      }
      if (nulls) for (let i = 0; i < n; i++) if (nulls[i]) target[at + done + i] = Number.NaN;
      await turns.after(n * target.BYTES_PER_ELEMENT, signal);
    }
  }

  /** A 1 for each of `n` leaves that is null, or lies in a list of one size that is; undefined if none can be. */
  async #nulls(batch: number, start: number, n: number): Promise<Uint8Array | undefined> {
    const { levels, leaf } = this.#batches[batch]!;
    let nulls: Uint8Array | undefined;
    const bits = async (validity: NonNullable<typeof leaf.validity>, from: number, count: number, above: Uint8Array | undefined) => {
      const byte = Math.floor(from / 8);
      const bytes = await this.#buffers.read(validity, batch, byte, Math.ceil((from + count) / 8) - byte);
      return nullsOf(bytes, from % 8, count, above);
    };
    if (leaf.validity !== undefined) nulls = await bits(leaf.validity, start, n, undefined);
    let size = 1;
    for (let i = levels.length - 1; i >= 0; i--) {
      const nesting = this.#column.levels[i]!;
      if (nesting.kind === "list") break;
      size *= nesting.size;
      const { validity } = levels[i]!;
      if (validity === undefined) continue;
      const node = Math.floor(start / size);
      const above = await bits(validity, node, Math.ceil((start + n) / size) - node, undefined);
      nulls ??= new Uint8Array(n);
      for (let k = 0; k < n; k++) nulls[k]! |= above[Math.floor((start + k) / size) - node]!;
    }
    return nulls;
  }

  #convert(
    leaf: Exclude<LeafType, { kind: "bool" }>,
    bytes: ArrayBuffer,
    nulls: Uint8Array | undefined,
    target: TypedData,
    first: number,
  ): void {
    if (leaf.kind === "float" && leaf.bits === 16) halves(new Uint16Array(bytes), target);
    else if (leaf.kind === "int" && leaf.bits === 64) {
      const beyond = integers(new Uint32Array(bytes), leaf.signed, this.#int64 === "exact", nulls, target);
      if (beyond >= 0) throw this.#beyond(new (arrayOf(leaf)!)(bytes, beyond * 8, 1)[0], first + beyond);
    } else target.set(new (arrayOf(leaf)!)(bytes, 0, target.length) as TypedData);
  }

  #beyond(given: unknown, leaf: number): FourfoldError {
    const { path } = this.#file;
    const { row, index } = this.#placeOf(leaf);
    const column = this.#column.name;
    return new FourfoldError(
      "ERR_FOURFOLD_INTEGER",
      `${path}: column ${JSON.stringify(column)}, row ${row}: item ${index} is ${given}, beyond 2^53`,
      {
        given,
        expected: "integers from -2^53 to 2^53",
        at: { file: path, column, row, index },
        fix: 'To accept rounding, set int64: "number", or write the column as float64',
      },
    );
  }
}

/** The last piece that starts at `leaf` or before. */
function pieceOf(first: Float64Array, leaf: number): number {
  let low = 0;
  let high = first.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (first[middle]! <= leaf) low = middle;
    else high = middle;
  }
  return low;
}

function halves(words: Uint16Array, target: TypedData): void {
  for (let i = 0; i < words.length; i++) target[i] = half(words[i]!);
}

/** 64-bit integers as the nearest float64, from their words, low word first; the place of the first beyond ±2^53 where they must be exact, or -1. */
function integers(words: Uint32Array, signed: boolean, exact: boolean, nulls: Uint8Array | undefined, target: TypedData): number {
  for (let i = 0, at = 0; at < words.length; i++, at += 2) {
    const low = words[at]!;
    const high = signed ? words[at + 1]! | 0 : words[at + 1]!;
    // ±2^53 itself is exact: high words from -2^21 to 2^21, the upper end only with low 0.
    if (exact && (high < -0x200000 || high > 0x200000 || (high === 0x200000 && low !== 0)) && !nulls?.[i]) return i;
    // high · 2^32 is exact, and the sum is rounded once.
    target[i] = high * 0x1_0000_0000 + low;
  }
  return -1;
}
