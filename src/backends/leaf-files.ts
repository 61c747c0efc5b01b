/**
 * Leaves that lie in files: read in pieces into kernel memory and walked while they are in cache, by whichever thread walks them. It
 * knows bytes and positions; what format a file has was read by whoever opened it.
 */
import { readSync } from "node:fs";
import { FourfoldError, systemReason } from "../errors.ts";
import type { FilePlace } from "./program.ts";
import { type Walker, WORD } from "./walk.ts";

/** Walks units lo … hi − 1 of the first phase, whose leaves are read into the buffer at `buffer` in as many pieces as it takes. */
export function walkFile(walker: Walker, file: LeafReader, lo: number, hi: number, words: Float64Array, buffer: number): void {
  const { bytesPerLeaf, pieceBytes } = file.place;
  const most = Math.floor(pieceBytes / bytesPerLeaf);
  for (let a = lo; a < hi; ) {
    const first = walker.leavesBefore(0, a);
    const b = walker.unitsWithin(0, a, hi, first + most);
    const last = walker.leavesBefore(0, b);
    file.read(walker.bytes(buffer, (last - first) * bytesPerLeaf), first);
    words[WORD.data] = buffer - bytesPerLeaf * first;
    walker.walk(0, a, b, words);
    a = b;
  }
}

/** Reads leaves by their positions. */
export class LeafReader {
  readonly place: FilePlace;
  /** Leaves before each segment, and in all. */
  readonly #starts: Float64Array;
  #last = 0;

  constructor(place: FilePlace) {
    this.place = place;
    this.#starts = new Float64Array(place.segments.length + 1);
    for (const [i, { items }] of place.segments.entries()) this.#starts[i + 1] = this.#starts[i]! + items;
  }

  /** Fills `bytes` with the leaves from `first` on. @throws FourfoldError ERR_FOURFOLD_SOURCE, ERR_FOURFOLD_FORMAT if the file became shorter */
  read(bytes: Uint8Array, first: number): void {
    const { segments, bytesPerLeaf } = this.place;
    let leaf = first;
    for (let done = 0; done < bytes.length; ) {
      const s = this.#segmentOf(leaf);
      const { fd, at, items } = segments[s]!;
      const skipped = leaf - this.#starts[s]!;
      const want = Math.min(bytes.length - done, (items - skipped) * bytesPerLeaf);
      this.#readAll(fd, bytes.subarray(done, done + want), at + skipped * bytesPerLeaf);
      done += want;
      leaf += want / bytesPerLeaf;
    }
  }

  /** The segment that holds a leaf: as a rule the one that was read last, or the next. */
  #segmentOf(leaf: number): number {
    const starts = this.#starts;
    const holds = (s: number): boolean => starts[s]! <= leaf && leaf < starts[s + 1]!;
    if (holds(this.#last)) return this.#last;
    let low = 0;
    let high = starts.length - 2;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (starts[middle]! <= leaf) low = middle;
      else high = middle - 1;
    }
    this.#last = low;
    return low;
  }

  #readAll(fd: number, into: Uint8Array, from: number): void {
    for (let got = 0; got < into.length; ) {
      const n = this.#readSome(fd, into, got, from + got);
      if (n === 0)
        throw new FourfoldError(
          "ERR_FOURFOLD_FORMAT",
          `${this.place.name}: byte ${from + got}: the file became shorter while it was read`,
          {
            expected: from + into.length,
            at: { file: this.place.name, index: from + got },
            fix: "Leave files alone while they are read",
          },
        );
      got += n;
    }
  }

  #readSome(fd: number, into: Uint8Array, got: number, position: number): number {
    try {
      return readSync(fd, into, got, into.length - got, position);
    } catch (cause) {
      throw new FourfoldError("ERR_FOURFOLD_SOURCE", `${this.place.name} cannot be read: ${systemReason(cause) ?? String(cause)}`, {
        cause,
        at: { file: this.place.name, index: position },
        fix: "Close a tensor at rest after the last run on it",
      });
    }
  }
}
