/**
 * Arrow's IPC stream (arrow.apache.org/docs/format/Columnar.html, "IPC Streaming Format"): a schema, dictionaries and record batches, one message
 * after the other. The bytes are untrusted: a message's size is compared with its limit before its bytes are waited for, memory is taken
 * for the bytes that have come and not for those that are announced, and every buffer must lie in its message.
 */
import { count, NotTable, Table } from "../../arrow/flatbuffer.ts";
import { BATCH, CONTINUATION, DICTIONARY, METADATA_BYTES_MAX, SCHEMA } from "../../arrow/messages.ts";
import { type ArrowField, batchColumns, schemaFields } from "../../arrow/schema.ts";
import { FourfoldError } from "../../errors.ts";
import type { Key } from "../../reduce/key.ts";
import type { Chunk, ReadContext } from "../types.ts";
import { takeRows, type Wanted, wantedOf } from "./arrow-batch.ts";
import { dictionaryOf } from "./arrow-values.ts";
import { ByteHold } from "./byte-hold.ts";
import type { Decoder, Format } from "./decoder.ts";
import { type BoundFields, bindFields, type SourceOptions } from "./fields.ts";
import { REJECTED_MAX, rejected } from "./rejected.ts";

/** What Arrow takes beside the options of every source. */
export interface ArrowOptions extends SourceOptions {
  /** The largest message in bytes: 64 MiB. A larger one ends the reading. */
  readonly bodyBytesMax?: number;
}

const BODY_BYTES_MAX = 1 << 26;

/** Arrow's IPC stream as a format. */
export function arrowFormat(options: ArrowOptions): Format {
  return {
    name: "arrow",
    seekable: false,
    headBytes: 0,
    decoder: (source, _from, _head, context) => new ArrowDecoder(source, options, context),
  };
}

/** What comes next in the stream. */
type Part = "marker" | "size" | "metadata" | "body" | "nothing";

class ArrowDecoder implements Decoder {
  readonly #source: string;
  readonly #fields: BoundFields;
  readonly #bodyBytesMax: number;
  readonly #rowsMax: number;
  readonly #hold = new ByteHold();
  #part: Part = "marker";
  /** Bytes that the part has. */
  #size = 4;
  #message: Table | undefined;
  /** Bytes before the message at hand, and before the part. */
  #from = 0;
  #at = 0;
  #batch = 0;
  #schema: readonly ArrowField[] | undefined;
  #wanted: Wanted | undefined;
  readonly #dictionaries = new Map<bigint, readonly Key[]>();
  /** Bytes of the messages that each dictionary was read from. */
  readonly #dictionaryBytes = new Map<bigint, number>();

  constructor(source: string, options: ArrowOptions, context: ReadContext) {
    this.#source = source;
    this.#fields = bindFields(source, options, context);
    this.#bodyBytesMax = options.bodyBytesMax ?? BODY_BYTES_MAX;
    this.#rowsMax = context.rowsMax;
  }

  get heldBytes(): number {
    return this.#hold.length;
  }

  *push(bytes: Uint8Array): Generator<Chunk> {
    for (let at = 0; at < bytes.length; ) {
      if (this.#hasEnded()) throw this.#damaged("bytes after its end");
      const take = Math.min(bytes.length - at, this.#size - this.#hold.length);
      this.#hold.append(bytes.subarray(at, at + take));
      at += take;
      while (this.#hold.length === this.#size && !this.#hasEnded()) yield* this.#complete(this.#hold.take());
    }
  }

  *end(): Generator<Chunk> {
    const isBetween = this.#hasEnded() || (this.#part === "marker" && this.#hold.length === 0);
    if (!isBetween) throw this.#damaged(`it ends after ${this.#at + this.#hold.length} bytes, inside a message`);
    if (this.#schema === undefined && this.#at > 0) throw this.#damaged("it has no schema");
    yield* [];
  }

  /** Goes on after a part that has come whole. */
  *#complete(bytes: Buffer): Generator<Chunk> {
    this.#at += bytes.length;
    switch (this.#part) {
      case "marker":
        // Before 0.15 the size came at once.
        if (bytes.readUInt32LE(0) === CONTINUATION) this.#expect("size", 4);
        else this.#sized(bytes.readInt32LE(0));
        return;
      case "size":
        this.#sized(bytes.readInt32LE(0));
        return;
      case "metadata": {
        this.#message = this.#read(() => Table.root(bytes));
        const body = this.#read(() => count((this.#message as Table).i64(3)));
        if (body > this.#bodyBytesMax) throw this.#tooLarge(body);
        this.#expect("body", body);
        return;
      }
      case "body":
        yield* this.#take(this.#message!, bytes);
        this.#from = this.#at;
        this.#expect("marker", 4);
    }
  }

  #hasEnded(): boolean {
    return this.#part === "nothing";
  }

  #expect(part: Part, size: number): void {
    this.#part = part;
    this.#size = size;
  }

  #sized(size: number): void {
    if (size === 0) {
      this.#expect("nothing", 0);
      return;
    }
    if (size < 0 || size > METADATA_BYTES_MAX) throw this.#damaged(`it announces a description of ${size} bytes`);
    this.#expect("metadata", size);
  }

  *#take(message: Table, body: Buffer): Generator<Chunk> {
    const header = this.#read(() => message.table(2));
    const kind = this.#read(() => message.u8(1));
    if (header === undefined) throw this.#damaged("a message without a header");
    if (kind === SCHEMA) {
      if (this.#schema !== undefined) throw this.#damaged("a second schema");
      this.#schema = this.#read(() => schemaFields(header));
      this.#wanted = wantedOf(this.#source, this.#schema, this.#fields);
    } else if (kind === DICTIONARY) this.#read(() => this.#takeDictionary(header, body));
    else if (kind === BATCH) yield* this.#takeBatch(header, body);
    else throw this.#damaged(`a message of kind ${kind}`);
  }

  #takeDictionary(header: Table, body: Buffer): void {
    const id = header.i64(0);
    const field = findDictionary(this.#schema ?? [], id);
    const data = header.table(1);
    if (field === undefined || data === undefined) throw new NotTable(`dictionary ${id}, which no field has`);
    const { columns } = batchColumns(data, [{ ...field, dictionary: undefined }], body);
    const entries = dictionaryOf(columns[0]!);
    const before = header.u8(2) === 0 ? undefined : this.#dictionaries.get(id);
    const bytes = body.length + (before === undefined ? 0 : (this.#dictionaryBytes.get(id) ?? 0));
    if (bytes > this.#bodyBytesMax) throw this.#tooLarge(bytes);
    this.#dictionaryBytes.set(id, bytes);
    this.#dictionaries.set(id, before === undefined ? entries : [...before, ...entries]);
  }

  *#takeBatch(header: Table, body: Buffer): Generator<Chunk> {
    const wanted = this.#wanted;
    if (this.#schema === undefined || wanted === undefined) throw this.#damaged("records before the schema");
    const schema = this.#schema;
    const { rows, columns } = this.#read(() => batchColumns(header, schema, body));
    const batch = this.#batch++;
    let step = this.#rowsMax;
    let from = 0;
    while (from < rows) {
      const start = from;
      const stop = Math.min(start + step, rows);
      const { block, faults } = this.#read(() => takeRows(columns, wanted, this.#fields, this.#dictionaries, start, stop));
      if (faults.size > REJECTED_MAX && stop - start > REJECTED_MAX) {
        // Errors are many times their bytes: fewer at a time.
        step = REJECTED_MAX;
        continue;
      }
      from = stop;
      const isLast = from === rows;
      const refused = [...faults]
        .sort(([a], [b]) => a - b)
        .map(([row, fault]) => {
          const place = { source: this.#source, from: this.#from, to: this.#at, line: undefined, row: start + row };
          return rejected(place, undefined, { ...fault, what: `batch ${batch}: ${fault.what}` });
        });
      yield { block, rejected: refused, next: isLast ? this.#at : this.#from, bytes: isLast ? this.#at - this.#from : 0 };
    }
  }

  /** Runs what reads untrusted bytes: whatever it meets there is damage. */
  #read<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (error instanceof FourfoldError) throw error;
      if (error instanceof NotTable) throw this.#damaged(error.message);
      if (error instanceof RangeError) throw this.#damaged("a description that points outside of itself", error);
      throw error;
    }
  }

  #damaged(what: string, cause?: unknown): FourfoldError {
    return new FourfoldError("ERR_FOURFOLD_FORMAT", `${this.#source}: byte ${this.#from}: not a stream of Arrow: ${what}`, {
      expected: "Arrow's IPC stream format, without compression",
      at: { file: this.#source, index: this.#from },
      ...(cause === undefined ? {} : { cause }),
    });
  }

  #tooLarge(bytes: number): FourfoldError {
    return new FourfoldError(
      "ERR_FOURFOLD_MEMORY",
      `${this.#source}: byte ${this.#from}: a message of ${bytes} bytes, beyond bodyBytesMax ${this.#bodyBytesMax}`,
      {
        given: bytes,
        expected: `at most ${this.#bodyBytesMax} bytes`,
        fix: "Write smaller record batches, or raise bodyBytesMax",
        at: { file: this.#source, index: this.#from },
      },
    );
  }
}

function findDictionary(fields: readonly ArrowField[], id: bigint): ArrowField | undefined {
  for (const field of fields) {
    if (field.dictionary?.id === id) return field;
    const inside = findDictionary(field.children, id);
    if (inside !== undefined) return inside;
  }
  return undefined;
}
