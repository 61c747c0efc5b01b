/**
 * The lists of an Arrow column as offsets of ragged levels, and where the leaves lie that they keep. Offsets of batches are joined and begin
 * at 0; a null list is an empty list, and a null list of fixed size holds null values.
 */
import { FourfoldError, show, throwIfAborted } from "../errors.ts";
import { grown } from "../reduce/arrays.ts";
import type { Buffers } from "./arrow-buffers.ts";
import { type ArrowPlace, turn } from "./arrow-bytes.ts";
import type { ColumnBatch, NestedColumn, Nesting, StoredBuffer } from "./arrow-column.ts";

/** Lists read at one go, and rounds between two turns of the event loop. */
const LISTS_PER_ROUND = 1 << 16;
const ROUNDS_PER_TURN = 8;
/** Offsets of levels are 32 bits wide. */
const OFFSET_BYTES = 4;
const CHILDREN_MAX = 2 ** 32 - 1;

/** Ranges of places, each after the one before. */
export class Runs {
  readonly starts: number[] = [];
  readonly ends: number[] = [];

  add(start: number, end: number): void {
    if (end === start) return;
    const last = this.ends.length - 1;
    if (this.ends[last] === start) this.ends[last] = end;
    else {
      this.starts.push(start);
      this.ends.push(end);
    }
  }
}

/** The nodes of a level in one batch that its lists keep; `nulls` has a 1 for each of them that is null because of a list above it. */
interface Kept {
  readonly runs: Runs;
  readonly count: number;
  readonly nulls: Uint8Array | undefined;
}

/** Offsets of one level over all batches. */
class LevelOffsets {
  #array = new Uint32Array(1024);
  #length = 1;
  #total = 0;

  get array(): Uint32Array {
    return this.#array.length === this.#length ? this.#array : this.#array.slice(0, this.#length);
  }

  get length(): number {
    return this.#length;
  }

  get total(): number {
    return this.#total;
  }

  /** Room for `count` more. */
  reserve(count: number): { readonly array: Uint32Array; readonly from: number } {
    this.#array = grown(this.#array, this.#length + count);
    return { array: this.#array, from: this.#length };
  }

  added(count: number, total: number): void {
    this.#length += count;
    this.#total = total;
  }
}

/** The lists of a column. */
export interface Lists {
  /** Innermost first. */
  readonly offsets: readonly Uint32Array[];
  /** For each batch, the leaves that its lists keep, by their place in the batch. */
  readonly leaves: readonly Runs[];
}

/** Reads the lists of all batches. @throws FourfoldError ERR_FOURFOLD_FORMAT, ERR_FOURFOLD_OFFSETS, ERR_FOURFOLD_MEMORY */
export async function readLists(
  file: ArrowPlace,
  buffers: Buffers,
  column: NestedColumn,
  batches: readonly ColumnBatch[],
  memoryBytesMax: number,
  signal: AbortSignal | undefined,
): Promise<Lists> {
  const reader = new ListReader(file, buffers, column, memoryBytesMax, signal);
  const leaves: Runs[] = [];
  for (const [i, batch] of batches.entries()) leaves.push(await reader.read(batch, i));
  return { offsets: reader.offsets.map(({ array }) => array).reverse(), leaves };
}

class ListReader {
  readonly #file: ArrowPlace;
  readonly #buffers: Buffers;
  readonly #column: NestedColumn;
  readonly #memoryBytesMax: number;
  readonly #signal: AbortSignal | undefined;
  readonly offsets: readonly LevelOffsets[];
  #rounds = 0;

  constructor(file: ArrowPlace, buffers: Buffers, column: NestedColumn, memoryBytesMax: number, signal: AbortSignal | undefined) {
    this.#file = file;
    this.#buffers = buffers;
    this.#column = column;
    this.#memoryBytesMax = memoryBytesMax;
    this.#signal = signal;
    this.offsets = column.levels.map(() => new LevelOffsets());
  }

  /** The leaves that the lists of a batch keep. */
  async read(batch: ColumnBatch, index: number): Promise<Runs> {
    const all = new Runs();
    all.add(0, batch.rows);
    let kept: Kept = { runs: all, count: batch.rows, nulls: undefined };
    for (const [i, nesting] of this.#column.levels.entries()) {
      const children = batch.levels[i + 1] ?? batch.leaf;
      kept = await this.#cut(kept, nesting, batch, index, i, children.length);
    }
    return kept.runs;
  }

  /** Cuts the kept nodes of one level: adds its offsets, and tells which children are kept. */
  async #cut(kept: Kept, nesting: Nesting, batch: ColumnBatch, index: number, at: number, children: number): Promise<Kept> {
    const level = batch.levels[at]!;
    const out = this.offsets[at]!;
    const before = out.total;
    const runs = new Runs();
    // The nulls of lists of one size go down to lists in them; those of other lists are empty lists, which have nothing in them.
    const hasNulls = kept.nulls !== undefined || level.validity !== undefined;
    const isAboveLists = this.#column.levels[at + 1] !== undefined;
    const down = nesting.kind === "fixedList" && hasNulls && isAboveLists ? new Uint8Array(kept.count * nesting.size) : undefined;
    let done = 0;
    for (const [r, runStart] of kept.runs.starts.entries()) {
      const runEnd = kept.runs.ends[r]!;
      for (let start = runStart; start < runEnd; start += LISTS_PER_ROUND) {
        const n = Math.min(LISTS_PER_ROUND, runEnd - start);
        const nulls = await this.#nulls(level.validity, index, start, n, kept.nulls?.subarray(done, done + n));
        const { array, from } = this.#room(out, n);
        let { total } = out;
        if (nesting.kind === "list") {
          const offsets = await this.#offsets(level.offsets!, nesting.large, index, start, n);
          total = cutLists(offsets, nulls, array, from, total, children, runs);
          if (total < 0) throw this.#fallen(batch, start - total - 1);
        } else {
          const { size } = nesting;
          for (let i = 0; i < n; i++) array[from + i] = total += size;
          runs.add(start * size, (start + n) * size);
          if (down && nulls) for (let i = 0; i < n; i++) if (nulls[i]) down.fill(1, (done + i) * size, (done + i + 1) * size);
        }
        if (total > CHILDREN_MAX) throw this.#tooMany(total);
        out.added(n, total);
        done += n;
        if (++this.#rounds % ROUNDS_PER_TURN === 0) await turn();
        throwIfAborted(this.#signal);
      }
    }
    return { runs, count: out.total - before, nulls: down };
  }

  /** A 1 for each of `n` nodes that is null, by itself or because of a list above it. */
  async #nulls(
    validity: StoredBuffer | undefined,
    index: number,
    start: number,
    n: number,
    above: Uint8Array | undefined,
  ): Promise<Uint8Array | undefined> {
    if (validity === undefined) return above;
    return nullsOf(await this.#buffers.read(validity, index, start >> 3, ((start + n + 7) >> 3) - (start >> 3)), start & 7, n, above);
  }

  async #offsets(buffer: StoredBuffer, large: boolean, index: number, start: number, n: number): Promise<Int32Array | BigInt64Array> {
    const width = large ? 8 : 4;
    const { buffer: bytes } = await this.#buffers.read(buffer, index, start * width, (n + 1) * width);
    return large ? new BigInt64Array(bytes) : new Int32Array(bytes);
  }

  #room(out: LevelOffsets, count: number): { readonly array: Uint32Array; readonly from: number } {
    const bytes = OFFSET_BYTES * (count + this.offsets.reduce((sum, { length }) => sum + length, 0));
    if (bytes <= this.#memoryBytesMax) return out.reserve(count);
    throw new FourfoldError("ERR_FOURFOLD_MEMORY", `${this.#file.path}: its lists take more than memoryBytesMax ${this.#memoryBytesMax}`, {
      given: bytes,
      expected: `at most ${this.#memoryBytesMax} bytes`,
      fix: "Raise memoryBytesMax: a list takes four bytes",
      at: { file: this.#file.path },
    });
  }

  #fallen(batch: ColumnBatch, list: number): FourfoldError {
    return this.#file.damaged(batch.at, `column ${show(this.#column.name)}: the offsets of list ${list} fall, or point outside its values`);
  }

  #tooMany(total: number): FourfoldError {
    return new FourfoldError(
      "ERR_FOURFOLD_OFFSETS",
      `${this.#file.path}: ${total} children in one level, a level has at most ${CHILDREN_MAX}`,
      {
        given: total,
        expected: CHILDREN_MAX,
        fix: "Write parts of the data to files of their own, and run the outer levels on their values",
        at: { file: this.#file.path },
      },
    );
  }
}

/** A 1 for each of `n` bits from `shift` on that is 0, and for each that `above` has a 1 for. */
export function nullsOf(bits: Uint8Array, shift: number, n: number, above: Uint8Array | undefined): Uint8Array {
  const nulls = new Uint8Array(n);
  for (let i = 0; i < n; i++) nulls[i] = ((bits[(shift + i) >> 3]! >> ((shift + i) & 7)) & 1) ^ 1;
  if (above !== undefined) for (let i = 0; i < n; i++) nulls[i]! |= above[i]!;
  return nulls;
}

/**
 * Writes the ends of lists to `out` from `at` on, counted on from `total`, and adds what they keep of `children` to `runs`. Gives the new
 * total, or -1 - i if list i is none.
 */
function cutLists(
  offsets: Int32Array | BigInt64Array,
  nulls: Uint8Array | undefined,
  out: Uint32Array,
  at: number,
  total: number,
  children: number,
  runs: Runs,
): number {
  const n = offsets.length - 1;
  let from = Number(offsets[0]);
  let runStart = from;
  let runEnd = from;
  for (let i = 0; i < n; i++) {
    const to = Number(offsets[i + 1]);
    if (!(from >= 0 && to >= from && to <= children)) return -1 - i;
    if (nulls === undefined || nulls[i] === 0) {
      total += to - from;
      if (from !== runEnd) {
        runs.add(runStart, runEnd);
        runStart = from;
      }
      runEnd = to;
    }
    out[at + i] = total;
    from = to;
  }
  runs.add(runStart, runEnd);
  return total;
}
