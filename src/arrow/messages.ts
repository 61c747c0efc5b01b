/** The frame of Arrow's messages (format/Message.fbs; "Encapsulated message format"): what both the stream and the file are made of. */
import { count, NotTable, Table } from "./flatbuffer.ts";

/** The description of a batch: far more than any schema takes. */
export const METADATA_BYTES_MAX: number = 1 << 24;
/** What stands before a message's size since Arrow 0.15. */
export const CONTINUATION = 0xffffffff;

/** Kinds of messages, by the number of their header. */
export const SCHEMA = 1;
export const DICTIONARY = 2;
export const BATCH = 3;

/** A message without its body. */
export interface Message {
  readonly kind: number;
  readonly header: Table;
  readonly bodyBytes: number;
}

/** The message that `bytes` describe. */
export function messageOf(bytes: Uint8Array): Message {
  const message = Table.root(bytes);
  const header = message.table(2);
  if (header === undefined) throw new NotTable("a message without a header");
  return { kind: message.u8(1), header, bodyBytes: count(message.i64(3)) };
}
