/**
 * The messages of an Arrow file, in its two formats (arrow.apache.org/docs/format/Columnar.html): the file, whose footer says where the
 * batches lie, and the stream, which is walked from message to message. Descriptions are read, bodies are not.
 */
import { NotTable, Table } from "../arrow/flatbuffer.ts";
import { BATCH, CONTINUATION, DICTIONARY, METADATA_BYTES_MAX, type Message, messageOf, SCHEMA } from "../arrow/messages.ts";
import { type ArrowField, schemaFields } from "../arrow/schema.ts";
import { FourfoldError, throwIfAborted } from "../errors.ts";
import { type ArrowBytes, turn } from "./arrow-bytes.ts";

const MAGIC = "ARROW1";
/** The magic, and two bytes that align what follows. */
const HEAD_BYTES = 8;
/** The size of the footer, and the magic again. */
const TAIL_BYTES = 10;
/** Descriptions read between two turns of the event loop. */
const MESSAGES_PER_TURN = 256;

/** A record batch: where its description and its body lie. */
export interface BatchMessage {
  readonly at: number;
  readonly header: Table;
  readonly bodyAt: number;
  readonly bodyBytes: number;
}

/** What reads the batches of a file; the schema comes first. */
export interface Visitor {
  schema(fields: readonly ArrowField[]): void;
  batch(message: BatchMessage): void;
}

/** Reads the descriptions of all batches, in their order. @throws FourfoldError ERR_FOURFOLD_FORMAT with the byte */
export async function readMessages(file: ArrowBytes, visitor: Visitor, signal: AbortSignal | undefined): Promise<void> {
  const head = file.bytes(0, Math.min(HEAD_BYTES, file.size)).toString("latin1");
  if (head.startsWith(MAGIC)) await readFooter(file, visitor, signal);
  else if (head.startsWith("PAR1") || head.startsWith("FEA1")) throw otherFormat(file, head.slice(0, 4));
  else await walkStream(file, visitor, signal);
}

function otherFormat(file: ArrowBytes, magic: string): FourfoldError {
  const [name, fix] =
    magic === "PAR1"
      ? ["Parquet", "Read it with a spec, or write it as Arrow IPC"]
      : ["Feather version 1", "Write it again with pyarrow.feather.write_feather, which writes version 2"];
  return new FourfoldError("ERR_FOURFOLD_FORMAT", `${file.path}: this is a file of ${name}, not of Arrow IPC`, {
    given: magic,
    expected: MAGIC,
    fix,
    at: { file: file.path, index: 0 },
  });
}

async function readFooter(file: ArrowBytes, visitor: Visitor, signal: AbortSignal | undefined): Promise<void> {
  const end = file.size - TAIL_BYTES;
  const tail = end < HEAD_BYTES ? undefined : file.bytes(end, TAIL_BYTES);
  if (tail?.toString("latin1", 4) !== MAGIC) throw file.damaged(file.size, `it does not end with ${MAGIC}: its end is missing`);
  const length = tail.readInt32LE(0);
  const start = end - length;
  if (length < 8 || length > METADATA_BYTES_MAX * 16 || start < HEAD_BYTES) throw file.damaged(end, `a footer of ${length} bytes`);
  const { fields, blocks } = file.parse(start, () => {
    const footer = Table.root(file.bytes(start, length));
    const schema = footer.table(1);
    if (schema === undefined) throw new NotTable("a footer without a schema");
    return { fields: schemaFields(schema), blocks: footer.blocks(3) };
  });
  visitor.schema(fields);
  checkBlocks(file, blocks, start);
  for (const [i, [at, description, body]] of blocks.entries()) {
    const { message, bytes } = readMessage(file, at);
    if (message?.kind !== BATCH)
      throw file.damaged(at, `block ${i} is a message of kind ${message?.kind ?? "end"}, expected a record batch`);
    if (bytes > description || message.bodyBytes > body) throw file.damaged(at, `block ${i} is longer than the footer says`);
    visitor.batch({ at, header: message.header, bodyAt: at + description, bodyBytes: message.bodyBytes });
    if (i % MESSAGES_PER_TURN === MESSAGES_PER_TURN - 1) await turn();
    throwIfAborted(signal);
  }
}

/** Blocks lie before the footer, and not over one another: that would make more of the bytes than there are. */
function checkBlocks(file: ArrowBytes, blocks: readonly (readonly [number, number, number])[], end: number): void {
  let free = HEAD_BYTES;
  for (const [at, description, body] of [...blocks].sort(([a], [b]) => a - b)) {
    if (at < free || description < 8 || description > METADATA_BYTES_MAX || at + description + body > end)
      throw file.damaged(end, `a block of ${description + body} bytes from byte ${at} does not lie between the others and the footer`);
    free = at + description + body;
  }
}

async function walkStream(file: ArrowBytes, visitor: Visitor, signal: AbortSignal | undefined): Promise<void> {
  let at = 0;
  for (let n = 0; at < file.size; n++) {
    const { message, bytes } = readMessage(file, at);
    if (message === undefined) {
      // The end of the stream; nothing may follow it.
      if (at + bytes !== file.size) throw file.damaged(at + bytes, "bytes after the end of the stream");
      at += bytes;
      break;
    }
    const bodyAt = at + bytes;
    if (bodyAt + message.bodyBytes > file.size)
      throw file.damaged(at, `a message of ${bytes + message.bodyBytes} bytes, the file has ${file.size - at} more`);
    if (n === 0 && message.kind !== SCHEMA) throw file.damaged(at, "it does not begin with a schema");
    if (message.kind === SCHEMA) {
      if (n > 0) throw file.damaged(at, "a second schema");
      visitor.schema(file.parse(at, () => schemaFields(message.header)));
    } else if (message.kind === BATCH) visitor.batch({ at, header: message.header, bodyAt, bodyBytes: message.bodyBytes });
    else if (message.kind !== DICTIONARY) throw file.damaged(at, `a message of kind ${message.kind}`);
    at = bodyAt + message.bodyBytes;
    if (n % MESSAGES_PER_TURN === MESSAGES_PER_TURN - 1) await turn();
    throwIfAborted(signal);
  }
  if (at === 0) throw file.damaged(0, "it is empty");
}

/** The message at byte `at` (undefined: the end of a stream), and the bytes before its body. */
function readMessage(file: ArrowBytes, at: number): { readonly message: Message | undefined; readonly bytes: number } {
  const first = file.bytes(at, 4);
  // Before 0.15 the size came at once.
  const prefix = first.readUInt32LE(0) === CONTINUATION ? 8 : 4;
  const size = prefix === 8 ? file.bytes(at + 4, 4).readInt32LE(0) : first.readInt32LE(0);
  if (size === 0) return { message: undefined, bytes: prefix };
  if (size < 0 || size > METADATA_BYTES_MAX) throw file.damaged(at, `it announces a description of ${size} bytes`);
  return { message: file.parse(at, () => messageOf(file.bytes(at + prefix, size))), bytes: prefix + size };
}
