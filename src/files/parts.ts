/**
 * Records cut into parts by the range of their keys, so that each part has few enough nodes for a table in memory. Records come in any order; the
 * parts are read in order of key. Full blocks stay in memory while they may, and go to disk after that.
 *
 * Why parts and no sort: exact sums need no order inside a node (contract clause 3), so a record need only come to its part, and its cost does not
 * grow with the number of records. 10^8 records of two doubles, sorted by DuckDB within 1 GiB: 68 s, where 10^7 took 3.1 s.
 */
import type { RecordBatch } from "../reduce/node-table.ts";
import type { Extent, Spill } from "./spill.ts";

/** Bytes of a block: one write, and what one part holds back at least. */
const BLOCK_BYTES = 1 << 16;

/** What a record is made of: all of it float64. */
export interface RecordShape {
  readonly words: number;
  readonly weighted: boolean;
  /** Weights of outer levels. */
  readonly constants: number;
}

/** Memory for blocks, and the records that one holds. All parts of one table share it. */
export class Blocks {
  readonly columns: number;
  readonly rows: number;
  readonly spill: Spill;
  readonly shape: RecordShape;
  readonly #bytesMax: number;
  #bytes = 0;
  readonly #free: Float64Array[] = [];

  /** @param bytesMax of full blocks that stay in memory */
  constructor(shape: RecordShape, spill: Spill, bytesMax: number) {
    this.shape = shape;
    this.columns = shape.words + 1 + (shape.weighted ? 1 : 0) + shape.constants;
    this.rows = Math.floor(BLOCK_BYTES / 8 / this.columns);
    this.spill = spill;
    this.#bytesMax = bytesMax;
  }

  /** Bytes of one block. */
  get bytes(): number {
    return 8 * this.rows * this.columns;
  }

  /** An empty block. */
  take(): Float64Array {
    return this.#free.pop() ?? new Float64Array(this.rows * this.columns);
  }

  give(block: Float64Array): void {
    this.#free.push(block);
  }

  /** Puts a full block away: in memory, or on disk, where its memory is soon free again. */
  async keep(block: Float64Array): Promise<Float64Array | Extent> {
    if (this.#bytes + block.byteLength <= this.#bytesMax) {
      this.#bytes += block.byteLength;
      return block;
    }
    return this.spill.write(bytesOf(block), () => this.give(block));
  }

  /** A block that was put away: itself, or a copy of what is on disk, which is the reader's to give back. */
  async fetch(kept: Float64Array | Extent): Promise<Float64Array> {
    if (kept instanceof Float64Array) return kept;
    const block = this.take();
    await this.spill.read(kept, bytesOf(block));
    return block;
  }

  /** Forgets what was put away. */
  drop(kept: Float64Array | Extent): void {
    if (!(kept instanceof Float64Array)) return;
    this.#bytes -= kept.byteLength;
    this.give(kept);
  }

  /** The first `n` records of a block. */
  records(block: Float64Array, n: number): RecordBatch {
    const { words, weighted, constants } = this.shape;
    const column = (c: number): Float64Array => block.subarray(c * this.rows, c * this.rows + n);
    const first = words + (weighted ? 2 : 1);
    return {
      n,
      words: Array.from({ length: words }, (_, w) => column(w)),
      values: column(words),
      weights: weighted ? column(words + 1) : undefined,
      constants: Array.from({ length: constants }, (_, c) => column(first + c)),
    };
  }
}

const bytesOf = (block: Float64Array): Uint8Array => new Uint8Array(block.buffer, block.byteOffset, block.byteLength);

/** Records whose paths agree in the words before `word`, and whose word there is in low … low + span − 1. */
export interface Range {
  readonly word: number;
  readonly low: number;
  readonly span: number;
}

/** Blocks that are read ahead. */
const READS_MAX = 8;

/** See the head of this file. */
export class Parts {
  readonly count: number;
  readonly #partsMax: number;
  readonly #range: Range;
  readonly #blocks: Blocks;
  /** Paths of a part's range: a power of two, so that the quotient is exact. */
  readonly #width: number;
  /** Of each part, the block that is being filled, the records in it, and the full ones. */
  readonly #open: (Float64Array | undefined)[];
  readonly #rows: Int32Array;
  readonly #full: (Float64Array | Extent)[][];
  #places: Int32Array = new Int32Array(0);

  /** @param parts that are wanted, at most  @param partsMax that one of them may be cut into when it has too many nodes */
  constructor(blocks: Blocks, range: Range, parts: number, partsMax: number) {
    this.#blocks = blocks;
    this.#partsMax = Math.max(2, partsMax);
    this.#range = range;
    let width = 1;
    while (Math.ceil(range.span / width) > parts) width *= 2;
    this.#width = width;
    this.count = Math.max(1, Math.ceil(range.span / width));
    this.#open = new Array<Float64Array | undefined>(this.count).fill(undefined);
    this.#rows = new Int32Array(this.count);
    this.#full = Array.from({ length: this.count }, () => []);
  }

  /** Cuts the records of a part into parts, and forgets them here. Paths that have one word in common are cut by their next. */
  async split(part: number, spans: readonly number[]): Promise<Parts> {
    const { word, low } = this.#range;
    const range: Range =
      this.#width === 1 && word + 1 < spans.length
        ? { word: word + 1, low: 0, span: spans[word + 1]! }
        : { word, low: low + part * this.#width, span: this.#width };
    const parts = new Parts(this.#blocks, range, this.#partsMax, this.#partsMax);
    for await (const batch of this.read(part)) await parts.add(batch);
    this.drop(part);
    await this.#blocks.spill.flush();
    return parts;
  }

  /** Adds records. Gives false, and adds none, where a word is out of range. */
  async add({ n, words, values, weights, constants }: RecordBatch): Promise<boolean> {
    if (this.#places.length < n) this.#places = new Int32Array(n);
    const places = this.#places;
    const { word, low } = this.#range;
    if (words.length > 0 && !placeAll(words[word]!, places, n, low, this.#width, this.count)) return false;
    const columns = [...words, values, ...(weights === undefined ? [] : [weights]), ...constants];
    for (let i = 0; i < n; ) {
      i = fillBlocks(this.#open, this.#rows, this.#blocks.rows, columns, places, i, n);
      if (i === n) break;
      const part = places[i]!;
      const block = this.#open[part];
      if (block !== undefined) this.#full[part]!.push(await this.#blocks.keep(block));
      this.#open[part] = this.#blocks.take();
      this.#rows[part] = 0;
    }
    return true;
  }

  /** The records of a part, batch by batch; each batch is good until the next. They stay until `drop`. */
  async *read(part: number): AsyncGenerator<RecordBatch, void, void> {
    const full = this.#full[part]!;
    const fetches: Promise<Float64Array>[] = [];
    try {
      for (let next = 0, at = 0; at < full.length; at++) {
        for (; next < full.length && fetches.length < READS_MAX; next++) {
          const fetch = this.#blocks.fetch(full[next]!);
          fetch.catch(() => undefined); // told when it is awaited
          fetches.push(fetch);
        }
        const block = await fetches.shift()!;
        yield this.#blocks.records(block, this.#blocks.rows);
        if (block !== full[at]) this.#blocks.give(block);
      }
    } finally {
      await Promise.allSettled(fetches);
    }
    const open = this.#open[part];
    if (open !== undefined) yield this.#blocks.records(open, this.#rows[part]!);
  }

  /** Forgets the records of a part. */
  drop(part: number): void {
    const open = this.#open[part];
    if (open !== undefined) this.#blocks.give(open);
    for (const kept of this.#full[part]!) this.#blocks.drop(kept);
    this.#open[part] = undefined;
    this.#rows[part] = 0;
    this.#full[part] = [];
  }

  /** True for a part without records. */
  isEmpty(part: number): boolean {
    return this.#open[part] === undefined;
  }
}

/** The part of each record; false where a word is out of range, or NaN. */
function placeAll(words: Float64Array, places: Int32Array, n: number, low: number, width: number, count: number): boolean {
  const scale = 1 / width; // exact: a power of two
  let inRange = true;
  for (let i = 0; i < n; i++) {
    const place = (words[i]! - low) * scale;
    if (!(place >= 0 && place < count)) inRange = false;
    places[i] = place; // which cuts off the fraction
  }
  return inRange;
}

/** Copies records into the open blocks of their parts, up to the first whose block is full or not there. Gives its place, or `n`. */
function fillBlocks(
  open: readonly (Float64Array | undefined)[],
  rows: Int32Array,
  rowsMax: number,
  columns: readonly ArrayLike<number>[],
  places: Int32Array,
  start: number,
  n: number,
): number {
  const width = columns.length;
  for (let i = start; i < n; i++) {
    const part = places[i]!;
    const block = open[part];
    const row = rows[part]!;
    if (block === undefined || row === rowsMax) return i;
    for (let c = 0, at = row; c < width; c++, at += rowsMax) block[at] = columns[c]![i]!;
    rows[part] = row + 1;
  }
  return n;
}
