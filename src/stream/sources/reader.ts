/** Bytes and a format → a Reader. */
import type { Chunk, ReadContext, Reader } from "../types.ts";
import { type ByteSource, sourceError } from "./bytes.ts";
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
  if (from > 0 && !format.seekable)
    throw sourceError(
      source.name,
      `cannot be read from byte ${from} on: its format makes sense from the start only`,
      undefined,
      "Start with an empty checkpoint folder",
    );
  const head = from > 0 && source.replayable && format.headBytes > 0 ? await source.head(format.headBytes) : undefined;
  const decoder = format.decoder(source.name, from, head, context);
  for await (const piece of source.open(from, context.signal)) for (const chunk of decoder.push(piece)) yield chunk;
  // What an aborted reading holds is not the end of anything.
  if (!context.signal.aborted) yield* decoder.end();
}
