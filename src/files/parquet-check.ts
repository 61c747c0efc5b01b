/**
 * A Parquet file before anything decodes it: its metadata against its size, every page's header against the bytes of its column, and
 * the pages' checksums where they have some (parquet.thrift, `PageHeader.crc`). It decodes no values: a page without a checksum may
 * hold wrong ones.
 */
import { type FileHandle, open } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { FourfoldError, show, throwIfAborted } from "../errors.ts";
import { Thrift, ThriftError } from "./thrift.ts";

/** What was looked at. */
export interface ParquetCheck {
  readonly rows: number;
  readonly pages: number;
  /** Pages that have a checksum; all of them were right. */
  readonly checksums: number;
}

/** Magic at both ends, and the length of the metadata. */
const ENDS_BYTES = 12;
const HEAD_BYTES = 4;
/** Page headers take some 20 to 60 bytes; statistics of long texts more. */
const HEADER_BYTES = 256;
const HEADER_BYTES_MAX = 1 << 20;
const PIECE_BYTES = 1 << 20;
/** Old writers forgot the header of the dictionary when they counted a column's bytes (PARQUET-816). */
const FORGOTTEN_BYTES = 100;
/** Pages between two turns of the event loop: a millisecond or two. */
const PAGES_PER_TURN = 64;
/** Columns of all row groups; 10,000 columns in 1,000 row groups are more than any file met. */
const CHUNKS_MAX = 10_000_000;

const I32 = 5;
const I64 = 6;
const BINARY = 8;
const LIST = 9;
const STRUCT = 12;

/**
 * How many bytes of output one byte of a codec's input can stand for at most, by the number of the codec. Snappy: a copy of 64 bytes from
 * 3; gzip: 1032 (zlib.net); LZ4: 255; Zstandard: a block of 128 KiB from 4. LZO and Brotli are not bounded in any useful way.
 */
const EXPANSION: Readonly<Record<number, number>> = { 0: 1, 1: 22, 2: 1032, 3: 1 << 24, 4: 1 << 24, 5: 255, 6: 1 << 15, 7: 255 };
/** And what may come on top of it. */
const EXPANSION_BYTES = 1 << 17;

interface Chunk {
  readonly group: number;
  readonly column: string;
  readonly start: number;
  readonly end: number;
  /** As far as its last page may reach. */
  readonly most: number;
  readonly codec: number;
  readonly values: number;
}

/**
 * Checks a file. `pageBytesMax` is what one page may claim to unpack to.
 * @throws FourfoldError ERR_FOURFOLD_FORMAT with file, byte, row group and column; ERR_FOURFOLD_SOURCE
 */
export async function checkParquet(path: string, pageBytesMax: number, signal?: AbortSignal): Promise<ParquetCheck> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (cause) {
    throw new FourfoldError("ERR_FOURFOLD_SOURCE", `${show(path)} cannot be opened`, { given: path, cause, at: { file: path } });
  }
  try {
    return await new Checker(path, file, pageBytesMax, signal).check();
  } finally {
    await file.close();
  }
}

class Checker {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #pageBytesMax: number;
  readonly #signal: AbortSignal | undefined;
  #pages = 0;
  #checksums = 0;

  constructor(path: string, file: FileHandle, pageBytesMax: number, signal: AbortSignal | undefined) {
    this.#path = path;
    this.#file = file;
    this.#pageBytesMax = pageBytesMax;
    this.#signal = signal;
  }

  async check(): Promise<ParquetCheck> {
    const { size } = await this.#file.stat();
    if (size < ENDS_BYTES) throw this.#wrong(0, `${size} bytes are no Parquet file`);
    const head = await this.#read(0, HEAD_BYTES);
    const ends = await this.#read(size - 8, 8);
    if (ends.toString("latin1", 4) !== "PAR1") throw this.#wrong(size - 4, "the file does not end as a Parquet file does", "PAR1");
    if (head.toString("latin1") !== "PAR1") throw this.#wrong(0, "the file does not begin as a Parquet file does", "PAR1");
    const length = ends.readUInt32LE(0);
    if (length > size - ENDS_BYTES)
      throw this.#wrong(size - 8, `metadata of ${length} bytes, the file has ${size - ENDS_BYTES}`, size - ENDS_BYTES);
    const start = size - 8 - length;
    const { rows, chunks } = this.#metadata(await this.#read(start, length), start);
    let before = HEAD_BYTES;
    for (const chunk of chunks.toSorted((a, b) => a.start - b.start)) {
      if (chunk.start < before) throw this.#wrong(chunk.start, "the column begins inside another", before, chunk);
      before = chunk.end;
    }
    for (const chunk of chunks) await this.#pagesOf(chunk);
    return { rows, pages: this.#pages, checksums: this.#checksums };
  }

  /** The columns that the metadata tell of; `start` is their byte in the file. */
  #metadata(bytes: Buffer, start: number): { rows: number; chunks: Chunk[] } {
    const chunks: Chunk[] = [];
    let rows = -1;
    let rowsOfGroups = 0;
    let groups = 0;
    const thrift = new Thrift(bytes);
    const group = (): void => {
      let groupRows = -1;
      let columns = 0;
      thrift.struct((field, type) => {
        if (field === 1)
          return (
            thrift.expect(type, LIST) &&
            thrift.list(() => {
              columns++;
              chunks.push(this.#chunk(thrift, start, groups));
              if (chunks.length > CHUNKS_MAX) throw this.#wrong(start + thrift.at, `more than ${CHUNKS_MAX} columns`);
            }, STRUCT) >= 0
          );
        if (field !== 3) return false;
        thrift.expect(type, I64);
        groupRows = thrift.int();
        return true;
      });
      if (!(groupRows >= 0)) throw this.#wrong(start + thrift.at, `row group ${groups} has ${groupRows} rows`);
      if (columns === 0 && groupRows > 0) throw this.#wrong(start + thrift.at, `row group ${groups} has ${groupRows} rows and no columns`);
      rowsOfGroups += groupRows;
      groups++;
    };
    this.#within(start, () =>
      thrift.struct((field, type) => {
        if (field === 3) {
          thrift.expect(type, I64);
          rows = thrift.int();
          return true;
        }
        return field === 4 && thrift.expect(type, LIST) && thrift.list(group, STRUCT) >= 0;
      }),
    );
    if (rows !== rowsOfGroups) throw this.#wrong(start, `the file has ${rows} rows, its row groups ${rowsOfGroups}`, rowsOfGroups);
    return { rows, chunks };
  }

  /** A column chunk of the metadata, at byte `start` of the file. */
  #chunk(thrift: Thrift, start: number, group: number): Chunk {
    const at = start + thrift.at;
    let column = "";
    let [codec, values, bytes, data, dictionary, index] = [-1, -1, -1, -1, 0, 0];
    let known = false;
    const integer = (type: number): number => {
      thrift.expect(type, I32, I64);
      return thrift.int();
    };
    const metadata = (field: number, type: number): boolean => {
      if (field === 3) {
        thrift.expect(type, LIST);
        thrift.list(() => {
          column += (column === "" ? "" : ".") + Buffer.from(thrift.binary()).toString();
        }, BINARY);
      } else if (field === 4) codec = integer(type);
      else if (field === 5) values = integer(type);
      else if (field === 7) bytes = integer(type);
      else if (field === 9) data = integer(type);
      else if (field === 10) index = integer(type);
      else if (field === 11) dictionary = integer(type);
      else return false;
      return true;
    };
    thrift.struct((field, type) => {
      if (field === 1) throw this.#wrong(at, "the column is said to lie in another file");
      if (field !== 3) return false;
      thrift.expect(type, STRUCT);
      thrift.struct(metadata);
      known = true;
      return true;
    });
    const place = { group, column };
    if (!known) throw this.#wrong(at, "the column has no metadata", undefined, place);
    if (values === 0) return { group, column, start: HEAD_BYTES, end: HEAD_BYTES, most: HEAD_BYTES, codec, values }; // nothing of it is read
    const begin = Math.min(data, ...[dictionary, index].filter((offset) => offset > 0));
    if (!(begin >= HEAD_BYTES && bytes >= 0 && begin + bytes <= start))
      throw this.#wrong(at, `the column is said to lie at ${begin} with ${bytes} bytes, the data end at ${start}`, start, place);
    if (!(values >= 0)) throw this.#wrong(at, `the column has ${values} values`, undefined, place);
    if (!Object.hasOwn(EXPANSION, codec))
      throw this.#wrong(at, `the column is packed with codec ${codec}, which there is not`, undefined, place);
    return { group, column, start: begin, end: begin + bytes, most: Math.min(start, begin + bytes + FORGOTTEN_BYTES), codec, values };
  }

  async #pagesOf(chunk: Chunk): Promise<void> {
    let values = 0;
    for (let at = chunk.start; at < chunk.end; ) {
      const page = await this.#header(chunk, at);
      const { packed, unpacked } = page;
      const body = at + page.bytes;
      if (!(packed >= 0 && packed <= chunk.most - body))
        throw this.#wrong(at, `a page of ${packed} bytes, the column has ${chunk.end - body} left`, chunk.end - body, chunk);
      const most = chunk.codec === 0 ? packed : Math.min(packed * EXPANSION[chunk.codec]! + EXPANSION_BYTES, this.#pageBytesMax);
      if (!(unpacked >= 0 && unpacked <= most))
        throw this.#wrong(at, `a page of ${packed} bytes claims to unpack to ${unpacked}, at most ${most} are believed`, most, chunk);
      if (!(page.values >= 0 && page.levels <= Math.min(packed, unpacked)))
        throw this.#wrong(at, `a page of ${page.values} values with ${page.levels} bytes of levels`, undefined, chunk);
      if (page.crc !== undefined) await this.#checksum(chunk, body, packed, page.crc);
      if (page.data) values += page.values;
      at = body + packed;
      if (++this.#pages % PAGES_PER_TURN === 0) {
        throwIfAborted(this.#signal);
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    if (values !== chunk.values)
      throw this.#wrong(chunk.start, `the column's pages have ${values} values, it has ${chunk.values}`, values, chunk);
  }

  /** The header of the page at `at`. */
  async #header(chunk: Chunk, at: number): Promise<PageHeader> {
    for (let length = HEADER_BYTES; ; length *= 8) {
      const there = Math.min(length, chunk.most - at);
      const bytes = await this.#read(at, there);
      try {
        return readHeader(bytes);
      } catch (error) {
        if (!(error instanceof ThriftError)) throw error;
        if (!error.ended || there < length || length >= HEADER_BYTES_MAX)
          throw this.#wrong(at + error.at, `the header of a page is damaged: ${error.message}`, undefined, chunk);
      }
    }
  }

  async #checksum(chunk: Chunk, at: number, length: number, expected: number): Promise<void> {
    let crc = 0;
    for (let done = 0; done < length; ) {
      throwIfAborted(this.#signal);
      const piece = await this.#read(at + done, Math.min(PIECE_BYTES, length - done));
      crc = crc32(piece, crc);
      done += piece.length;
    }
    if (crc !== expected)
      throw this.#wrong(at, `the checksum of a page is ${hex(crc)}, its header says ${hex(expected)}`, hex(expected), chunk);
    this.#checksums++;
  }

  async #read(at: number, length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(length);
    let got = 0;
    while (got < length) {
      const { bytesRead } = await this.#file.read(bytes, got, length - got, at + got);
      if (bytesRead === 0) throw this.#wrong(at + got, "the file became shorter while it was read");
      got += bytesRead;
    }
    return bytes;
  }

  #within<T>(start: number, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof ThriftError) throw this.#wrong(start + error.at, `the metadata are damaged: ${error.message}`);
      throw error;
    }
  }

  #wrong(byte: number, what: string, expected?: unknown, chunk?: Pick<Chunk, "group" | "column">): FourfoldError {
    const place = chunk === undefined ? "" : `row group ${chunk.group}, column ${show(chunk.column)}: `;
    return new FourfoldError("ERR_FOURFOLD_FORMAT", `${this.#path}: byte ${byte}: ${place}${what}`, {
      ...(expected === undefined ? {} : { expected }),
      fix: "The file is damaged: fetch it again",
      at: { file: this.#path, index: byte, ...(chunk === undefined ? {} : { column: chunk.column }) },
    });
  }
}

/** What a page's header says. */
interface PageHeader {
  /** Of the header itself. */
  readonly bytes: number;
  readonly packed: number;
  readonly unpacked: number;
  readonly crc: number | undefined;
  readonly values: number;
  /** Bytes of levels before the values, in pages of version 2. */
  readonly levels: number;
  /** Not a dictionary or an index. */
  readonly data: boolean;
}

function readHeader(bytes: Uint8Array): PageHeader {
  const thrift = new Thrift(bytes);
  let [packed, unpacked, values, levels] = [-1, -1, -1, 0];
  let crc: number | undefined;
  let data = false;
  thrift.struct((field, type) => {
    if (field === 2 || field === 3 || field === 4) {
      thrift.expect(type, I32);
      const value = thrift.int();
      if (field === 2) unpacked = value;
      else if (field === 3) packed = value;
      else crc = value >>> 0;
      return true;
    }
    if (field === 6) values = Math.max(values, 0);
    if (field !== 5 && field !== 7 && field !== 8) return false;
    data ||= field !== 7;
    thrift.expect(type, STRUCT);
    thrift.struct((inner, innerType) => {
      const isLevels = field === 8 && (inner === 5 || inner === 6);
      if (inner !== 1 && !isLevels) return false;
      thrift.expect(innerType, I32);
      const value = thrift.int();
      if (isLevels) levels += value < 0 ? Number.POSITIVE_INFINITY : value;
      else values = value;
      return true;
    });
    return true;
  });
  return { bytes: thrift.at, packed, unpacked, crc, values, levels, data };
}

const hex = (crc: number): string => crc.toString(16).padStart(8, "0");
