/** The frame of Arrow's messages (format/Message.fbs; "Encapsulated message format"): what both the stream and the file are made of. */

/** The description of a batch: far more than any schema takes. */
export const METADATA_BYTES_MAX: number = 1 << 24;
/** What stands before a message's size since Arrow 0.15. */
export const CONTINUATION = 0xffffffff;

/** Kinds of messages, by the number of their header. */
export const SCHEMA = 1;
export const DICTIONARY = 2;
export const BATCH = 3;
