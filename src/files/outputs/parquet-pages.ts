/** The cells of a column as the pages of a Parquet column chunk (https://parquet.apache.org/docs/file-format/): plain, or for text a dictionary and places in it. */
import { crc32 } from "node:zlib";
import { bytesOf, packBits } from "./bits.ts";
import type { ColumnCells } from "./result-table.ts";
import { Bytes, type ThriftStruct, thriftBytes } from "./thrift.ts";
import { TextBytes } from "./utf8.ts";

/** Parquet's numbers for encodings. */
export const ENCODING = { plain: 0, rle: 3, dictionary: 8 } as const;

const PAGE = { data: 0, dictionary: 2 } as const;

/** Equal values from which a run is shorter than the values themselves; packed values come in groups of as many. */
const RUN = 8;

/** A column chunk. */
export interface Chunk {
  /** Headers and pages, in order. */
  readonly pieces: readonly Uint8Array[];
  readonly bytes: number;
  /** Bytes of the dictionary page with its header; undefined where there is none. */
  readonly dictionaryBytes: number | undefined;
}

/** The chunk of a column. */
export function chunkOf(cells: ColumnCells, nullable: boolean): Chunk {
  const rows = cells.values.length;
  const levels = nullable ? levelsOf(cells.valid, rows) : new Uint8Array(0);
  const dictionary = cells.kind === "text" ? dictionaryOf(cells) : undefined;
  const pages =
    dictionary === undefined
      ? [page(dataHeader(rows, ENCODING.plain), [levels, plain(cells)])]
      : [
          page({ 1: { i32: PAGE.dictionary }, 7: { struct: { 1: { i32: dictionary.size }, 2: { i32: ENCODING.plain } } } }, [
            dictionary.texts,
          ]),
          page(dataHeader(rows, ENCODING.dictionary), [levels, dictionary.places]),
        ];
  const pieces = pages.flat();
  const bytesIn = (list: readonly Uint8Array[]): number => list.reduce((total, { length }) => total + length, 0);
  return { pieces, bytes: bytesIn(pieces), dictionaryBytes: dictionary === undefined ? undefined : bytesIn(pages[0]!) };
}

function dataHeader(rows: number, encoding: number): ThriftStruct {
  const header = { 1: { i32: rows }, 2: { i32: encoding }, 3: { i32: ENCODING.rle }, 4: { i32: ENCODING.rle } };
  return { 1: { i32: PAGE.data }, 5: { struct: header } };
}

/** A page after its header, which has its length and checksum. */
function page(header: ThriftStruct, parts: readonly Uint8Array[]): Uint8Array[] {
  let bytes = 0;
  let crc = 0;
  for (const part of parts) {
    bytes += part.length;
    crc = crc32(part, crc);
  }
  return [thriftBytes({ ...header, 2: { i32: bytes }, 3: { i32: bytes }, 4: { i32: crc | 0 } }), ...parts];
}

/** Which cells are there, as definition levels of one bit, after their length. */
function levelsOf(valid: Uint8Array | undefined, rows: number): Uint8Array {
  const runs = hybrid(valid ?? new Uint8Array(rows).fill(1), 1);
  return Buffer.concat([bytesOf(Int32Array.of(runs.length)), runs]);
}

/** The cells that are there, one after the other. */
function plain(cells: ColumnCells): Uint8Array {
  const { valid } = cells;
  if (cells.kind === "text") return plainTexts(valid === undefined ? cells.values : cells.values.filter((_, i) => valid[i] === 1));
  const there = valid === undefined ? cells.values : (cells.values as Float64Array).filter((_, i) => valid[i] === 1);
  return cells.kind === "bool" ? packBits(there as Uint8Array) : bytesOf(there);
}

function plainTexts(texts: readonly string[]): Uint8Array {
  const bytes = new TextBytes();
  for (const text of texts) bytes.addWithLength(text);
  return bytes.end();
}

/** The different texts, and the place of each cell's; undefined where most texts come once, which are shorter plain. */
function dictionaryOf({ values, valid }: ColumnCells & { readonly kind: "text" }):
  | {
      readonly size: number;
      readonly texts: Uint8Array;
      readonly places: Uint8Array;
    }
  | undefined {
  const places = new Map<string, number>();
  const found = new Int32Array(values.length);
  let there = 0;
  for (let i = 0; i < values.length; i++) {
    if (valid?.[i] === 0) continue;
    const text = values[i]!;
    let place = places.get(text);
    if (place === undefined) {
      place = places.size;
      places.set(text, place);
    }
    found[there++] = place;
  }
  if (2 * places.size > there) return undefined;
  const width = Math.max(1, 32 - Math.clz32(places.size - 1));
  const packed = Buffer.concat([Uint8Array.of(width), hybrid(found.subarray(0, there), width)]);
  return { size: places.size, texts: plainTexts([...places.keys()]), places: packed };
}

/** Integers of `width` bits as runs of equal ones and groups of packed ones. */
function hybrid(values: Int32Array | Uint8Array, width: number): Uint8Array {
  const bytes = new Bytes();
  const runAt = (start: number): number => {
    let end = start + 1;
    while (end < values.length && values[end] === values[start]) end++;
    return end - start;
  };
  for (let i = 0; i < values.length; ) {
    const run = runAt(i);
    if (run >= RUN) {
      bytes.varint(2 * run);
      for (let bit = 0; bit < width; bit += 8) bytes.byte((values[i]! >>> bit) & 255);
      i += run;
      continue;
    }
    let end = i;
    do end += RUN;
    while (end < values.length && !startsRun(values, end));
    bytes.varint(((end - i) / RUN) * 2 + 1);
    pack(bytes, values, i, end, width);
    i = end;
  }
  return bytes.end();
}

function startsRun(values: Int32Array | Uint8Array, start: number): boolean {
  for (let i = start + 1; i < start + RUN; i++) if (values[i] !== values[start]) return false;
  return true;
}

/** The lowest bit first; zeros where the values end inside the last group. */
function pack(bytes: Bytes, values: Int32Array | Uint8Array, start: number, end: number, width: number): void {
  let held = 0;
  let bits = 0;
  for (let i = start; i < end; i++) {
    held += (values[i] ?? 0) * 2 ** bits; // at most 7 bits wait, and no place takes more than 17
    for (bits += width; bits >= 8; bits -= 8) {
      bytes.byte(held & 255);
      held = Math.floor(held / 256);
    }
  }
}
