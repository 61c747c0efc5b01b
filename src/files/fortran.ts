/**
 * Row-major reading of items that lie in Fortran order (first index fastest). They are gathered in bands: as many leading rows as fit in
 * memory, each made of strided runs of the file. One pass over an array reads each band once, so what it costs depends on how long the
 * runs are, and memory is the band and one window of the file.
 */
import { readSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { throwIfAborted } from "../errors.ts";
import type { TypedData } from "../types.ts";
import { type Box, boxesOf, columnMajorStrides, rowMajorStrides } from "./boxes.ts";
import { ARRAY_OF, BYTES_OF, decodeItems, dtypeOf, type Items } from "./items.ts";
import { becameShorter, unreadable } from "./reading.ts";

/** Bytes of the file that are read at once. */
const WINDOW_BYTES = 1 << 20;
/** Gaps up to this are read and thrown away: a call costs about as much as copying so many bytes. */
const GAP_BYTES = 1 << 12;
/** Runs that are gathered before they are moved, at least: the items of a cache line of float32, so that lines are written whole. */
const RUNS = 16;
/** A tile of the move: no more runs than a cache has ways, since runs may lie at multiples of its size. */
const TILE_RUNS = 8;
const TILE_ROWS = 64;
/** Between two turns of the event loop: about a millisecond of reading, by size or by calls. */
const TURN_BYTES = 1 << 22;
const TURN_CALLS = 512;

/** What the bands read; see Flat. */
export interface FortranLayout {
  readonly handle: FileHandle;
  readonly path: string;
  readonly name: string;
  readonly at: number;
  readonly shape: readonly number[];
  readonly length: number;
  readonly items: Items;
  readonly memoryBytesMax: number;
}

/** The bands of one array. Reads wait for one another, since they share the band and the window. */
export class FortranBands {
  readonly #layout: FortranLayout;
  readonly #bandItems: number;
  readonly #window: FileWindow;
  #band: TypedData;
  #first = 0;
  #count = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(layout: FortranLayout) {
    this.#layout = layout;
    const { shape, length, items, memoryBytesMax } = layout;
    const dtype = dtypeOf(items.type);
    const room = Math.max(1, Math.floor(memoryBytesMax / BYTES_OF[dtype]));
    // Whole rows of the outermost axis whose rows fit.
    const row = rowMajorStrides(shape).find((stride) => stride <= room) ?? 1;
    this.#bandItems = Math.min(length, Math.floor(room / row) * row);
    this.#band = new ARRAY_OF[dtype](0);
    this.#window = new FileWindow(layout);
  }

  read(target: TypedData, first: number, signal: AbortSignal | undefined): Promise<void> {
    return this.#inTurn(() => this.#read(target, first, signal));
  }

  /** Reads all of it in one pass over the file, without a band. `onBytes` is told how many have been read. */
  readAll(target: TypedData, signal: AbortSignal | undefined, onBytes: (bytes: number) => void): Promise<void> {
    const { shape, length } = this.#layout;
    return this.#inTurn(async () => {
      for (const box of boxesOf(shape, 0, length)) await this.#gather(box, target, signal, onBytes);
    });
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #read(target: TypedData, first: number, signal: AbortSignal | undefined): Promise<void> {
    for (let done = 0; done < target.length; ) {
      const at = first + done;
      if (at < this.#first || at >= this.#first + this.#count) await this.#load(at - (at % this.#bandItems), signal);
      const start = at - this.#first;
      const n = Math.min(target.length - done, this.#count - start);
      target.set(this.#band.subarray(start, start + n), done);
      done += n;
    }
  }

  async #load(first: number, signal: AbortSignal | undefined): Promise<void> {
    const { shape, length, items } = this.#layout;
    if (this.#band.length === 0) this.#band = new ARRAY_OF[dtypeOf(items.type)](this.#bandItems);
    this.#count = 0; // nothing is there until all of it is
    const count = Math.min(this.#bandItems, length - first);
    for (const box of boxesOf(shape, first, count)) await this.#gather(box, this.#band, signal);
    this.#first = first;
    this.#count = count;
  }

  /** Reads one box, in the order of the file, into its place in `band`. */
  async #gather({ from, to, at }: Box, band: TypedData, signal: AbortSignal | undefined, onBytes?: (bytes: number) => void): Promise<void> {
    const { shape, items } = this.#layout;
    const inFile = columnMajorStrides(shape);
    const inBand = rowMajorStrides(shape);
    const column = shape[0]!;
    const run = to[0]! - from[0]!;
    const runs = to[1]! - from[1]!;
    let place = 0;
    let last = 1;
    for (let axis = 0; axis < shape.length; axis++) {
      place += from[axis]! * inFile[axis]!;
      last += (to[axis]! - 1) * inFile[axis]!;
    }
    const window = this.#window;
    window.empty(last);
    // Runs near one another are read with what lies between; others one by one, and a part of each if they are long, so that many fit.
    const room = window.items.length;
    const wanted = Math.min(runs, RUNS);
    const together = (column - run) * BYTES_OF[items.type] <= GAP_BYTES && column * wanted <= room;
    const part = together ? run : Math.min(run, Math.floor(room / wanted));
    const pitch = together ? column : part;
    const most = Math.floor(room / pitch);
    const index = [...from];
    let told = 0;
    for (let spot = at; ; ) {
      for (let j = 0; j < runs; j += most) {
        const k = Math.min(most, runs - j);
        for (let i = 0; i < run; i += part) {
          throwIfAborted(signal);
          const n = Math.min(part, run - i);
          const start = place + i + j * column;
          if (together) window.hold(start, (k - 1) * column + n);
          else window.gather(start, n, column, k, pitch);
          const to0 = spot + i * inBand[0]! + j * inBand[1]!;
          transpose(window.items, start - window.first, pitch, band, to0, inBand[0]!, inBand[1]!, n, k);
          if (window.bytesRead > told) {
            told = window.bytesRead;
            onBytes?.(told);
          }
          if (window.turnIsOver()) await new Promise((resolve) => setImmediate(resolve));
        }
      }
      let axis = 2;
      for (; axis < shape.length; axis++) {
        place += inFile[axis]!;
        spot += inBand[axis]!;
        if (++index[axis]! < to[axis]!) break;
        const back = to[axis]! - from[axis]!;
        place -= back * inFile[axis]!;
        spot -= back * inBand[axis]!;
        index[axis] = from[axis]!;
      }
      if (axis >= shape.length) return;
    }
  }
}

/** Copies `k` runs of `n` items, `pitch` apart, to places `rowStride` and `runStride` apart: in tiles, so that a cache line is met once. */
function transpose(
  source: TypedData,
  from: number,
  pitch: number,
  target: TypedData,
  to: number,
  rowStride: number,
  runStride: number,
  n: number,
  k: number,
): void {
  for (let i0 = 0; i0 < n; i0 += TILE_ROWS) {
    const i1 = Math.min(n, i0 + TILE_ROWS);
    for (let j0 = 0; j0 < k; j0 += TILE_RUNS) {
      const j1 = Math.min(k, j0 + TILE_RUNS);
      for (let i = i0; i < i1; i++)
        for (let j = j0; j < j1; j++) target[to + i * rowStride + j * runStride] = source[from + j * pitch + i]!;
    }
  }
}

/** A stretch of the file, or some runs of it, decoded. */
class FileWindow {
  readonly items: TypedData;
  /** The item of the file that is first in it, as a number in the order of the file. */
  first = 0;
  bytesRead = 0;
  readonly #layout: FortranLayout;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #end = 0;
  #last = 0;
  #turnBytes = 0;
  #turnCalls = 0;

  constructor(layout: FortranLayout) {
    const { length, items } = layout;
    const size = BYTES_OF[items.type];
    const room = Math.min(WINDOW_BYTES / size, length);
    this.#layout = layout;
    this.#bytes = new Uint8Array(room * size);
    this.items = new ARRAY_OF[dtypeOf(items.type)](room);
  }

  /** Empties it; `last` is the item after the last that will be asked for. */
  empty(last: number): void {
    this.#last = last;
    this.first = 0;
    this.#end = 0;
    this.bytesRead = 0;
  }

  /** Holds items `start` to `start + n`, and reads on as far as there is room. */
  hold(start: number, n: number): void {
    if (start >= this.first && start + n <= this.#end) return;
    const count = Math.min(this.items.length, this.#last - start);
    this.#read(start, count, 0);
    this.first = start;
    this.#end = start + count;
  }

  /** Holds `k` runs of `n` items, which are `step` apart in the file, `pitch` apart from its beginning on. */
  gather(start: number, n: number, step: number, k: number, pitch: number): void {
    for (let j = 0; j < k; j++) this.#read(start + j * step, n, j * pitch);
    this.first = start;
    this.#end = 0;
  }

  #read(place: number, n: number, at: number): void {
    const { handle, path, name, at: dataStart, items } = this.#layout;
    const size = BYTES_OF[items.type];
    const bytes = this.#bytes.subarray(at * size, (at + n) * size);
    const byte = dataStart + place * size;
    for (let got = 0; got < bytes.length; ) {
      let more: number;
      try {
        more = readSync(handle.fd, bytes, got, bytes.length - got, byte + got);
      } catch (error) {
        throw unreadable(path, error);
      }
      if (more === 0) throw becameShorter(path, byte + got, byte + bytes.length);
      got += more;
      this.#turnCalls++;
    }
    this.bytesRead += bytes.length;
    this.#turnBytes += bytes.length;
    decodeItems(bytes, items, this.items, at, { file: name, byte, item: place });
  }

  turnIsOver(): boolean {
    if (this.#turnBytes < TURN_BYTES && this.#turnCalls < TURN_CALLS) return false;
    this.#turnBytes = 0;
    this.#turnCalls = 0;
    return true;
  }
}
