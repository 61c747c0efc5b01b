/**
 * NDJSON: one JSON object in each line. Lines are parsed many at a time where that is safe, one by one where it is not.
 *
 * When it is safe: lines L1…Ln are parsed together as `[L1 \n, L2 \n, … Ln]`, if each of them begins with "{", ends with "}" and has no other
 * "{". If that is JSON, then each line is one object of its own. For let the parser stand outside all values when line i begins. Its "{" opens
 * an object, the only one that the line can open. Its last "}" is not in a string, because the string would run into the line break,
 * which strings may not hold. So it closes an object: the line's own, as nothing else is open, and with it whatever arrays were opened since.
 * The parser stands outside again when the line ends.
 */
import { isAscii, isUtf8 } from "node:buffer";
import type { Chunk, ReadContext, Rejected } from "../types.ts";
import { Columns, roomFor } from "./columns.ts";
import type { Decoder, Format } from "./decoder.ts";
import { type BoundFields, bindFields, lineBytesMaxOf, type SourceOptions } from "./fields.ts";
import { memberText, scanJson } from "./json-text.ts";
import { CR, LineCutter, type Lines, NEWLINE } from "./lines.ts";
import { RecordReader } from "./record.ts";
import { type Fault, REJECTED_MAX, rejected, tooLong, withoutStack } from "./rejected.ts";

const SPACE = 32;
const TAB = 9;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;
/** Lines that are handled together: some megabytes of objects at most, whatever `rowsMax` says. */
const GROUP_LINES = 8192;

/** NDJSON as a format. */
export function ndjsonFormat(options: SourceOptions): Format {
  return {
    name: "ndjson",
    seekable: true,
    headBytes: 0,
    decoder: (source, from, _head, context) => new NdjsonDecoder(source, from, options, context),
  };
}

class NdjsonDecoder implements Decoder {
  readonly #source: string;
  readonly #fields: BoundFields;
  readonly #reader: RecordReader;
  readonly #cutter: LineCutter;
  readonly #bytesMax: number;
  readonly #linesMax: number;
  /** Where lines of the group at hand begin, and where they end without line break and blanks. */
  readonly #starts: Int32Array;
  readonly #ends: Int32Array;
  /** The number of the next line, from 1. */
  #line = 1;
  /** Where the last chunk ended. */
  #next: number;

  constructor(source: string, from: number, options: SourceOptions, context: ReadContext) {
    this.#source = source;
    this.#fields = bindFields(source, options, context);
    this.#reader = new RecordReader(this.#fields);
    this.#bytesMax = lineBytesMaxOf(options);
    this.#cutter = new LineCutter(this.#bytesMax, from);
    this.#linesMax = Math.min(context.rowsMax, GROUP_LINES);
    this.#starts = new Int32Array(this.#linesMax);
    this.#ends = new Int32Array(this.#linesMax);
    this.#next = from;
  }

  get heldBytes(): number {
    return this.#cutter.heldBytes;
  }

  *push(bytes: Uint8Array): Generator<Chunk> {
    for (const lines of this.#cutter.push(bytes)) yield* this.#lines(lines);
  }

  *end(): Generator<Chunk> {
    for (const lines of this.#cutter.end()) yield* this.#lines(lines);
  }

  *#lines(lines: Lines): Generator<Chunk> {
    if (lines.kind === "long") {
      yield this.#chunk(undefined, [this.#long(lines.head.toString(), lines.from, lines.to, this.#line++)], lines.to);
      return;
    }
    const { bytes, end, from } = lines;
    const shift = from - lines.start;
    let { start } = lines;
    if (from === 0 && bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf) start += 3;
    while (start < end) start = yield* this.#group(bytes, start, end, shift);
  }

  /** Reads at most `linesMax` lines; returns where the next ones begin. Byte i of `bytes` is byte i + shift of the source. */
  *#group(bytes: Buffer, start: number, end: number, shift: number): Generator<Chunk, number> {
    const starts = this.#starts;
    const ends = this.#ends;
    let count = 0;
    let braces = 0;
    let simple = true;
    let at = start;
    while (at < end && count < this.#linesMax) {
      const first = at;
      let c = 0;
      for (; at < end; at++) {
        c = bytes[at]!;
        if (c === NEWLINE) break;
        if (c === OPEN_BRACE) braces++;
      }
      let stop = at++;
      while (stop > first && (bytes[stop - 1] === CR || bytes[stop - 1] === SPACE || bytes[stop - 1] === TAB)) stop--;
      if (bytes[first] !== OPEN_BRACE || bytes[stop - 1] !== CLOSE_BRACE || stop - first > this.#bytesMax) simple = false;
      starts[count] = first;
      ends[count++] = stop;
    }
    at = Math.min(at, end);
    const columns = new Columns(this.#fields, roomFor(this.#fields, count, at - start));
    const objects = simple && braces === count ? parseTogether(bytes, starts[0]!, ends[count - 1]!) : undefined;
    let refused: Rejected[] = [];
    for (let i = 0; i < count; i++) {
      const first = starts[i]!;
      const stop = ends[i]!;
      if (stop > first) {
        const to = i + 1 < count ? starts[i + 1]! : at;
        const text = (): string => bytes.toString("utf8", first, stop);
        const fault =
          objects === undefined
            ? this.#one(bytes, first, stop, columns, bytes[to - 1] === NEWLINE)
            : this.#reader.add(objects[i], columns, (field) => memberText(text(), field));
        if (fault !== undefined) {
          const place = { source: this.#source, from: first + shift, to: to + shift, line: this.#line + i };
          refused.push(fault === "long" ? this.#long(text(), place.from, place.to, place.line) : rejected(place, text(), fault));
          if (refused.length === REJECTED_MAX && i + 1 < count) {
            // Their errors are many times their bytes: they go out now, and the lines after them are read again.
            this.#line += i + 1;
            yield this.#chunk(columns, refused, to + shift);
            refused = [];
            return to;
          }
        }
      }
    }
    this.#line += count;
    yield this.#chunk(columns, refused, at + shift);
    return at;
  }

  /** Reads one line by itself. */
  #one(bytes: Buffer, start: number, end: number, columns: Columns, isWhole: boolean): Fault | "long" | undefined {
    if (end - start > this.#bytesMax) return "long";
    const slice = bytes.subarray(start, end);
    if (!isUtf8(slice)) return { what: "bytes that are not UTF-8", expected: "UTF-8" };
    const text = slice.toString();
    let record: unknown;
    try {
      record = withoutStack(() => JSON.parse(text) as unknown);
    } catch {
      return notJson(text, isWhole);
    }
    return this.#reader.add(record, columns, (field) => memberText(text, field));
  }

  #long(head: string, from: number, to: number, line: number): Rejected {
    return rejected({ source: this.#source, from, to, line }, head, tooLong("a line", to - from, this.#bytesMax));
  }

  #chunk(columns: Columns | undefined, refused: readonly Rejected[], next: number): Chunk {
    const bytes = next - this.#next;
    this.#next = next;
    return { block: columns?.block(), rejected: refused, next, bytes };
  }
}

/** The objects of lines that are safe to parse together; undefined if they are no JSON, or no UTF-8. */
function parseTogether(bytes: Buffer, start: number, end: number): unknown[] | undefined {
  const slice = bytes.subarray(start, end);
  const ascii = isAscii(slice);
  if (!ascii && !isUtf8(slice)) return undefined;
  const text = ascii ? slice.toString("latin1") : slice.toString();
  try {
    return JSON.parse(`[${text.replaceAll("\n", "\n,")}]`) as unknown[];
  } catch {
    return undefined;
  }
}

function notJson(text: string, isWhole: boolean): Fault {
  const at = scanJson(text);
  const found = at < text.length ? JSON.stringify(String.fromCodePoint(text.codePointAt(at)!)) : "the end of the line";
  return {
    what: `not JSON: ${found} at column ${at + 1}${isWhole ? "" : ", in a last line without a line break, which may have been cut off"}`,
    expected: "one JSON object in each line",
    column: at + 1,
  };
}
