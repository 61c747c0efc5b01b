/**
 * CSV (RFC 4180) with a header. Lines come first, records are made of them: a line whose last cell has an open quote goes on in the next line.
 * If such a record turns out to be none (the quote closes in the wrong place, not within `lineBytesMax`, or never), its first line is
 * rejected, and reading goes on with its second: one lost quote costs one line, not all that follow. No line is read a third time for that:
 * while a quote stays open, quotes come in pairs, so that none of those lines can leave one open by itself.
 */
import { isAscii, isUtf8 } from "node:buffer";
import { FourfoldError } from "../../errors.ts";
import type { Chunk, ReadContext, Rejected } from "../types.ts";
import { ByteHold } from "./byte-hold.ts";
import { Columns, roomFor } from "./columns.ts";
import { Header } from "./csv-header.ts";
import { type Cells, plainCells, quotedCells } from "./csv-record.ts";
import type { Decoder, Format } from "./decoder.ts";
import { type BoundFields, bindFields, lineBytesMaxOf, type SourceOptions } from "./fields.ts";
import { CR, LineCutter, type Lines, lineEnd, withoutBreak } from "./lines.ts";
import { RecordReader } from "./record.ts";
import { type Fault, REJECTED_MAX, rejected, TEXT_MAX, tooLong } from "./rejected.ts";

const QUOTE = 34;
/** Rows that are handed over together: some megabytes at most, whatever `rowsMax` says. */
const GROUP_ROWS = 8192;

/** What CSV takes beside the options of every source. */
export interface CsvOptions extends SourceOptions {
  /** What stands between cells: one ASCII character, "," unless given; "\t" reads TSV. */
  readonly delimiter?: string;
  /** The names of the columns of a source without a header line. */
  readonly columns?: readonly string[];
}

/** CSV as a format. */
export function csvFormat(options: CsvOptions): Format {
  const bytesMax = lineBytesMaxOf(options);
  return {
    name: "csv",
    seekable: true,
    // The header may be as long as a line, with a byte order mark before it and a line break after it.
    headBytes: options.columns === undefined ? bytesMax + 5 : 0,
    decoder: (source, from, head, context) => new CsvDecoder(source, from, head, options, context),
  };
}

class CsvDecoder implements Decoder {
  readonly #source: string;
  readonly #delimiter: string;
  readonly #bytesMax: number;
  readonly #rowsMax: number;
  readonly #fields: BoundFields;
  readonly #cutter: LineCutter;
  #header: Header | undefined;
  #reader: RecordReader | undefined;
  #columns: Columns | undefined;
  #refused: Rejected[] = [];
  /** Rows that the next columns take. */
  #room = 1;
  /** The lines of a record whose quote is open, the byte where it begins, and its first line. */
  readonly #open = new ByteHold();
  #openFrom = 0;
  #openLine = 0;
  /** The number of the next line, from 1. */
  #line = 1;
  /** Where the last chunk ended. */
  #next: number;

  constructor(source: string, from: number, head: Uint8Array | undefined, options: CsvOptions, context: ReadContext) {
    this.#source = source;
    this.#delimiter = options.delimiter ?? ",";
    this.#bytesMax = lineBytesMaxOf(options);
    this.#rowsMax = Math.min(context.rowsMax, GROUP_ROWS);
    this.#fields = bindFields(source, options, context);
    this.#cutter = new LineCutter(this.#bytesMax, from);
    this.#next = from;
    if (options.columns !== undefined) this.#begin(options.columns);
    else if (head !== undefined) this.#readHead(head);
  }

  get heldBytes(): number {
    return this.#cutter.heldBytes + this.#open.length;
  }

  *push(bytes: Uint8Array): Generator<Chunk> {
    for (const lines of this.#cutter.push(bytes)) yield* this.#lines(lines);
  }

  *end(): Generator<Chunk> {
    for (const lines of this.#cutter.end()) yield* this.#lines(lines);
    if (this.#open.length === 0) return;
    const next = this.#openFrom + this.#open.length;
    while (this.#open.length > 0) yield* this.#giveUp("a quote that is never closed");
    yield* this.#flush(next);
  }

  #begin(columns: readonly string[]): void {
    this.#header = new Header(this.#source, columns, this.#fields);
    this.#reader = new RecordReader(this.#header.fields);
  }

  /** Reads the header of a source that is not read from its start. */
  #readHead(head: Uint8Array): void {
    const cutter = new LineCutter(this.#bytesMax, 0);
    const parts: Buffer[] = [];
    for (const lines of [...cutter.push(head), ...cutter.end()]) {
      if (lines.kind === "long") break;
      for (let at = lines.start; at < lines.end; ) {
        const stop = lineEnd(lines.bytes, at, lines.end);
        parts.push(Buffer.from(lines.bytes.subarray(at, stop)));
        if (this.#headerOf(Buffer.concat(parts))) return;
        at = stop;
      }
    }
    throw this.#noHeader();
  }

  /** Takes a header from whole lines; false if its last cell is open, or the line is empty. */
  #headerOf(bytes: Buffer): boolean {
    const text = withoutBreak(bytes)
      .toString()
      .replace(/^\ufeff/, "");
    const cells = text === "" ? "open" : quotedCells(text, this.#delimiter);
    if (cells === "open") return false;
    if (typeof cells === "number" || !isUtf8(bytes)) throw this.#noHeader();
    this.#begin(cells);
    return true;
  }

  #noHeader(): FourfoldError {
    return new FourfoldError("ERR_FOURFOLD_COLUMN", `${this.#source}: the first line is not a header`, {
      expected: `names of columns, with ${JSON.stringify(this.#delimiter)} between them, in at most ${this.#bytesMax} bytes`,
      fix: "Name the columns with the option columns if there is no header line",
      at: { file: this.#source, line: 1 },
    });
  }

  *#lines(lines: Lines): Generator<Chunk> {
    if (lines.kind === "long") {
      if (this.#header === undefined) throw this.#noHeader();
      if (this.#open.length > 0) yield* this.#giveUp("a quote that is not closed before a line that is too long");
      this.#refuse(lines.from, lines.to, this.#line++, textOf(lines.head), tooLong("a line", lines.to - lines.from, this.#bytesMax));
      yield* this.#flush(lines.to);
      return;
    }
    const { bytes, end, from } = lines;
    const shift = from - lines.start;
    let { start } = lines;
    if (from === 0 && bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf) start += 3;
    this.#room = roomFor(this.#fields, this.#rowsMax, this.#open.length + end - start);
    const region = bytes.subarray(start, end);
    if (this.#header !== undefined && this.#open.length === 0 && isAscii(region) && !region.includes(QUOTE))
      yield* this.#plain(region.toString("latin1"), start + shift);
    else yield* this.#region(bytes, start, end, shift);
    yield* this.#flush(this.#open.length > 0 ? this.#openFrom : end + shift);
  }

  /** Reads whole lines of ASCII without quotes, where each is a record and characters are bytes. */
  *#plain(text: string, from: number): Generator<Chunk> {
    for (let at = 0; at < text.length; ) {
      const found = text.indexOf("\n", at);
      const stop = found < 0 ? text.length : found + 1;
      let end = found < 0 ? stop : found;
      if (text.charCodeAt(end - 1) === CR) end--;
      const line = this.#line++;
      if (end > at) {
        const record = text.slice(at, end);
        const fault =
          record.length > this.#bytesMax
            ? tooLong("a record", record.length, this.#bytesMax)
            : this.#cells(plainCells(record, this.#delimiter));
        if (fault !== undefined) this.#refuse(at + from, stop + from, line, record, fault);
      }
      at = stop;
      if (this.#isFull()) yield* this.#flush(at + from);
    }
  }

  /** Reads whole lines. Byte i of `bytes` is byte i + shift of the source. */
  *#region(bytes: Buffer, start: number, end: number, shift: number): Generator<Chunk> {
    for (let at = start; at < end; ) {
      const stop = lineEnd(bytes, at, end);
      const line = this.#line++;
      const slice = bytes.subarray(at, stop);
      if (this.#open.length > 0 && this.#open.length + slice.length > this.#bytesMax)
        yield* this.#giveUp(`a quote that is not closed within lineBytesMax ${this.#bytesMax}`);
      if (this.#open.length > 0) {
        this.#open.append(slice);
        // As if the line itself began inside a quote. Wrong bytes of UTF-8 hold no quotes, so that they do not matter here.
        if (quotedCells(`"${withoutBreak(slice)}`, this.#delimiter) !== "open") yield* this.#close();
      } else {
        const fault = this.#record(slice, at + shift, line);
        if (fault !== undefined) this.#refuse(at + shift, stop + shift, line, textOf(slice), fault);
      }
      at = stop;
      if (this.#isFull() && this.#open.length === 0) yield* this.#flush(at + shift);
    }
  }

  /** Reads the record in `bytes`. Leaves it open if its quote is. */
  #record(bytes: Buffer, from: number, line: number): Fault | undefined {
    const content = withoutBreak(bytes);
    if (content.length === 0) return undefined;
    if (this.#header === undefined) {
      // The header may go on over lines, too.
      if (content.length > this.#bytesMax) throw this.#noHeader();
      if (!this.#headerOf(bytes)) this.#leaveOpen(bytes, from, line);
      return undefined;
    }
    if (content.length > this.#bytesMax) return tooLong("a record", content.length, this.#bytesMax);
    if (!isUtf8(content)) return { what: "bytes that are not UTF-8", expected: "UTF-8" };
    const text = content.toString();
    const cells: Cells = content.includes(QUOTE) ? quotedCells(text, this.#delimiter) : plainCells(text, this.#delimiter);
    if (cells === "open") {
      this.#leaveOpen(bytes, from, line);
      return undefined;
    }
    if (typeof cells === "number")
      return {
        what: `a quote in the wrong place, at column ${cells}`,
        expected: "quotes round a whole cell, and doubled inside it",
        column: cells,
      };
    return this.#cells(cells);
  }

  #cells(cells: readonly string[]): Fault | undefined {
    const header = this.#header!;
    if (cells.length !== header.width)
      return {
        what: `${cells.length} cells, expected ${header.width}, as the header has`,
        given: cells.length,
        expected: `${header.width} cells`,
      };
    this.#columns ??= new Columns(header.fields, this.#room);
    return this.#reader!.add(header.record(cells), this.#columns, header.textOf);
  }

  #leaveOpen(bytes: Buffer, from: number, line: number): void {
    this.#open.append(bytes);
    this.#openFrom = from;
    this.#openLine = line;
  }

  /** Reads the open record, now that its quote is closed. */
  *#close(): Generator<Chunk> {
    const bytes = this.#open.take();
    const from = this.#openFrom;
    const line = this.#openLine;
    const fault = this.#record(bytes, from, line);
    if (fault === undefined) return;
    // A quote in the wrong place: perhaps the one that was open should not have been.
    if (typeof fault.column === "number") {
      this.#open.append(bytes);
      yield* this.#giveUp(fault.what);
    } else this.#refuse(from, from + bytes.length, line, textOf(bytes), fault);
  }

  /** Rejects the first line of the open record, and reads its other lines as records of their own. */
  *#giveUp(what: string): Generator<Chunk> {
    const bytes = this.#open.take();
    if (this.#header === undefined) throw this.#noHeader();
    const from = this.#openFrom;
    const stop = lineEnd(bytes, 0, bytes.length);
    const after = this.#line;
    this.#refuse(from, from + stop, this.#openLine, textOf(bytes.subarray(0, stop)), {
      what,
      expected: "quotes round a whole cell, and doubled inside it",
    });
    this.#line = this.#openLine + 1;
    yield* this.#region(bytes, stop, bytes.length, from);
    this.#line = after;
  }

  #refuse(from: number, to: number, line: number, text: string, fault: Fault): void {
    this.#refused.push(rejected({ source: this.#source, from, to, line }, text, fault));
  }

  #isFull(): boolean {
    return (this.#columns?.rows ?? 0) >= this.#room || this.#refused.length >= REJECTED_MAX;
  }

  /** Hands over what was read up to byte `next`. */
  *#flush(next: number): Generator<Chunk> {
    if (next === this.#next) return;
    const block = this.#columns?.block();
    const refused = this.#refused;
    const bytes = next - this.#next;
    this.#columns = undefined;
    this.#refused = [];
    this.#next = next;
    yield { block, rejected: refused, next, bytes };
  }
}

/** The text of a rejected line, as much of it as is kept: a character is at most four bytes of UTF-8. */
function textOf(bytes: Buffer): string {
  return withoutBreak(bytes).toString("utf8", 0, TEXT_MAX * 4);
}
