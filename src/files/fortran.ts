/**
 * Row-major reading of items that lie in Fortran order (first index fastest). They are gathered in bands: as many leading rows as fit in
 * memory, each made of strided runs of the file. One pass over an array reads each band once, so what it costs depends on how long the
 * runs are, and memory is the band and one window of the file.
 */
import { readSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { throwIfAborted } from "../errors.ts";
import type { TypedData } from "../types.ts";
import { type Box, boxesOf, columnMajorStrides, copyRun, rowMajorStrides } from "./boxes.ts";
import { ARRAY_OF, BYTES_OF, decodeItems, dtypeOf, type Items } from "./items.ts";
import { becameShorter, unreadable } from "./reading.ts";

/** Bytes of the file that are read at once. */
const WINDOW_BYTES = 1 << 20;
/** Gaps up to this are read and thrown away: a call costs about as much as copying so many bytes. */
const GAP_BYTES = 1 << 12;
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

/** The bands of one array. Reads wait for one another, since they share the band. */
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
    const work = this.#last.then(() => this.#read(target, first, signal));
    this.#last = work.catch(() => {});
    return work;
  }

  /** Reads all of it in one pass over the file, without a band. `onBytes` is told how many have been read. */
  async readAll(target: TypedData, signal: AbortSignal | undefined, onBytes: (bytes: number) => void): Promise<void> {
    const { shape, length } = this.#layout;
    for (const box of boxesOf(shape, 0, length)) await this.#gather(box, target, signal, onBytes);
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
    const { shape } = this.#layout;
    const inFile = columnMajorStrides(shape);
    const inBand = rowMajorStrides(shape);
    const run = to[0]! - from[0]!;
    let place = 0;
    let end = 1;
    for (let axis = 0; axis < shape.length; axis++) {
      place += from[axis]! * inFile[axis]!;
      end += (to[axis]! - 1) * inFile[axis]!;
    }
    const gapBytes = (shape[0]! - run) * BYTES_OF[this.#layout.items.type];
    const window = this.#window;
    window.expect(end, gapBytes <= GAP_BYTES);
    const index = [...from];
    for (let spot = at; ; ) {
      for (let done = 0; done < run; ) {
        if (window.needs(place + done)) {
          throwIfAborted(signal);
          window.load(place + done, run - done);
          onBytes?.(window.bytesRead);
          if (window.turnIsOver()) await new Promise((resolve) => setImmediate(resolve));
        }
        const n = Math.min(run - done, window.end - (place + done));
        copyRun(window.items, place + done - window.first, 1, band, spot + done * inBand[0]!, inBand[0]!, n);
        done += n;
      }
      let axis = 1;
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

/** A stretch of the file, decoded. */
class FileWindow {
  readonly items: TypedData;
  /** The items of the file that are in it, as numbers in the order of the file. */
  first = 0;
  end = 0;
  bytesRead = 0;
  readonly #layout: FortranLayout;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #last = 0;
  #ahead = false;
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

  /** Empties it: `last` is the item after the last that will be asked for; `ahead` says that what follows a run is worth reading with it. */
  expect(last: number, ahead: boolean): void {
    this.#last = last;
    this.#ahead = ahead;
    this.first = 0;
    this.end = 0;
    this.bytesRead = 0;
  }

  needs(place: number): boolean {
    return place < this.first || place >= this.end;
  }

  load(place: number, run: number): void {
    const { handle, path, name, at, items } = this.#layout;
    const size = BYTES_OF[items.type];
    const n = Math.min(this.items.length, this.#ahead ? this.#last - place : run);
    const bytes = this.#bytes.subarray(0, n * size);
    const byte = at + place * size;
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
    decodeItems(bytes, items, this.items, 0, { file: name, byte, item: place });
    this.first = place;
    this.end = place + n;
  }

  turnIsOver(): boolean {
    if (this.#turnBytes < TURN_BYTES && this.#turnCalls < TURN_CALLS) return false;
    this.#turnBytes = 0;
    this.#turnCalls = 0;
    return true;
  }
}
