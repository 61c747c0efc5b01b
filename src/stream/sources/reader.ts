/** Bytes and a format → a Reader. */
import type { Chunk, ReadContext, Reader } from "../types.ts";
import type { ByteSource } from "./bytes.ts";
import type { Format } from "./decoder.ts";

/** The reader of `source`, written in `format`. Offsets are its bytes. */
export function readerOf(source: ByteSource, format: Format): Reader {
  return {
    name: source.name,
    replayable: source.replayable && format.seekable,
    read: (from, context) => readBytes(source, format, from, context),
  };
}

async function* readBytes(source: ByteSource, format: Format, from: number, context: ReadContext): AsyncGenerator<Chunk> {
  const head = from > 0 && source.replayable && format.headBytes > 0 ? await source.head(format.headBytes) : undefined;
  const decoder = format.decoder(source.name, from, head, context);
  for await (const piece of source.open(from, context.signal)) for (const chunk of decoder.push(piece)) yield chunk;
  // What an aborted reading holds is not the end of anything.
  if (!context.signal.aborted) yield* decoder.end();
}
