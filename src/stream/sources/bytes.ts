/** Where bytes come from: a path, a stream of Node or of the Web, or anything that can be iterated. One face for all of them. */
import { type FileHandle, open } from "node:fs/promises";
import type { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import { fileURLToPath } from "node:url";
import { FourfoldError, show } from "../../errors.ts";
import { CR, NEWLINE } from "./lines.ts";

/** What bytes can be read from; text is taken as UTF-8. A string is a path. */
export type BytesInput =
  | string
  | URL
  | Uint8Array
  | Readable
  | ReadableStream<Uint8Array | string>
  | AsyncIterable<Uint8Array | string>
  | Iterable<Uint8Array | string>;

/** Bytes with a name. */
export interface ByteSource {
  readonly name: string;
  /** True if it can be opened again, at any byte. */
  readonly replayable: boolean;
  /** The bytes from `from` on. It ends without an error when `signal` is aborted. Each piece may be overwritten when the next is asked for. */
  open(from: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** At most the first `bytes` bytes; only of a source that is replayable. */
  head(bytes: number): Promise<Uint8Array>;
}

/** Bytes of a file that are read in one go: about 20 µs from the page cache, and 0.3 ms of parsing. */
const PIECE_BYTES = 1 << 18;

/** @throws FourfoldError ERR_FOURFOLD_ARGUMENT if there is nothing to read from */
export function byteSource(what: string, input: BytesInput, name: string | undefined): ByteSource {
  if (typeof input === "string" || input instanceof URL) return new FileBytes(pathOf(what, input), name);
  if (input instanceof Uint8Array) return new IteratedBytes([input], name ?? what);
  if (typeof input === "object" && input !== null && (Symbol.asyncIterator in input || Symbol.iterator in input))
    return new IteratedBytes(input, name ?? ((input as unknown) === process.stdin ? "stdin" : what));
  throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `${what}: cannot read from ${show(input)}`, {
    given: input,
    expected: "a path, a Readable, a ReadableStream, or an iterable of bytes",
  });
}

/** @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function pathOf(what: string, input: string | URL): string {
  if (typeof input === "string" && input !== "" && !input.includes("\0")) return input;
  if (input instanceof URL && input.protocol === "file:") return fileURLToPath(input);
  throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `${what}: ${show(String(input))} is not the path of a file`, { given: input });
}

/** The error of a source that failed. */
export function sourceError(name: string, problem: string, cause?: unknown, fix?: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_SOURCE", `${name}: ${problem}`, {
    at: { file: name },
    ...(cause === undefined ? {} : { cause }),
    ...(fix === undefined ? {} : { fix }),
  });
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Opens a file. @throws FourfoldError ERR_FOURFOLD_SOURCE */
export async function openFile(name: string, path: string): Promise<FileHandle> {
  try {
    return await open(path);
  } catch (error) {
    throw sourceError(name, `cannot be opened: ${messageOf(error)}`, error);
  }
}

/** Checks that a reading can go on at byte `from` of a file. @throws FourfoldError ERR_FOURFOLD_SOURCE if it is not the file that was read */
export async function checkResume(name: string, handle: FileHandle, from: number): Promise<void> {
  const fix = "It was truncated or replaced since: read it from the start";
  const { size } = await handle.stat();
  if (from > size) throw sourceError(name, `has ${size} bytes, but was read up to byte ${from}`, undefined, fix);
  if (from === 0 || from === size) return;
  const around = Buffer.alloc(2);
  await handle.read(around, 0, 2, from - 1);
  // A last line may have got its line break since.
  if (around[0] !== NEWLINE && around[1] !== NEWLINE && around[1] !== CR)
    throw sourceError(name, `has no line that begins at byte ${from}, where reading ended`, undefined, fix);
}

class FileBytes implements ByteSource {
  readonly name: string;
  readonly replayable = true;
  readonly #path: string;

  constructor(path: string, name: string | undefined) {
    this.#path = path;
    this.name = name ?? path;
  }

  async *open(from: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const handle = await openFile(this.name, this.#path);
    try {
      const regular = (await handle.stat()).isFile();
      if (regular) await checkResume(this.name, handle, from);
      else if (from > 0) throw sourceError(this.name, `is not a regular file, and cannot be read from byte ${from} on`);
      const buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
      for (let at = from; !signal.aborted; ) {
        const { bytesRead } = await handle.read(buffer, 0, PIECE_BYTES, regular ? at : null);
        if (bytesRead === 0) return;
        at += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    } catch (error) {
      throw error instanceof FourfoldError ? error : sourceError(this.name, `cannot be read: ${messageOf(error)}`, error);
    } finally {
      await handle.close();
    }
  }

  async head(bytes: number): Promise<Uint8Array> {
    const handle = await openFile(this.name, this.#path);
    try {
      const buffer = Buffer.alloc(bytes);
      let at = 0;
      while (at < bytes) {
        const { bytesRead } = await handle.read(buffer, at, bytes - at, at);
        if (bytesRead === 0) break;
        at += bytesRead;
      }
      return buffer.subarray(0, at);
    } finally {
      await handle.close();
    }
  }
}

class IteratedBytes implements ByteSource {
  readonly name: string;
  readonly replayable = false;
  readonly #input: AsyncIterable<unknown> | Iterable<unknown>;
  #opened = false;

  constructor(input: AsyncIterable<unknown> | Iterable<unknown>, name: string) {
    this.#input = input;
    this.name = name;
  }

  async *open(from: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const fix = "A file can be read again: give its path";
    if (from > 0) throw sourceError(this.name, `cannot be read from byte ${from} on: what is past is gone`, undefined, fix);
    if (this.#opened) throw sourceError(this.name, "can be read only once", undefined, fix);
    this.#opened = true;
    const text = new TextPieces();
    for await (const piece of untilAborted(this.#iterator(), signal, this.name)) {
      if (piece instanceof Uint8Array) yield piece;
      else if (typeof piece === "string") yield text.bytes(piece);
      else throw sourceError(this.name, `gave ${show(piece)}, expected bytes or text`);
    }
    const rest = text.bytes("", true);
    if (rest.length > 0) yield rest;
  }

  head(): Promise<Uint8Array> {
    return Promise.resolve(new Uint8Array());
  }

  #iterator(): Items {
    try {
      return itemsOf(this.#input);
    } catch (error) {
      throw sourceError(this.name, `cannot be read: ${messageOf(error)}`, error);
    }
  }
}

/** What is read from, item by item. `stop` ends it also while an item is waited for. */
interface Items {
  next(): Promise<IteratorResult<unknown>> | IteratorResult<unknown>;
  stop(): unknown;
}

function itemsOf(input: AsyncIterable<unknown> | Iterable<unknown>): Items {
  if ("getReader" in input) {
    const reader = (input as ReadableStream<unknown>).getReader();
    return { next: () => reader.read() as Promise<IteratorResult<unknown>>, stop: () => reader.cancel() };
  }
  const items: AsyncIterator<unknown> | Iterator<unknown> =
    Symbol.asyncIterator in input ? input[Symbol.asyncIterator]() : input[Symbol.iterator]();
  // The iterators of Node's streams end only between two items: an idle stream would stay open, and with it the process.
  const stop = "destroy" in input ? () => (input as Readable).destroy() : () => items.return?.();
  return { next: () => items.next(), stop };
}

/** Text that is cut anywhere, also between the two halves of a character, as UTF-8. */
class TextPieces {
  #half = "";

  bytes(piece: string, isLast = false): Uint8Array {
    const text = this.#half + piece;
    const last = text.charCodeAt(text.length - 1);
    const cut = !isLast && last >= 0xd800 && last <= 0xdbff;
    this.#half = cut ? text.slice(-1) : "";
    return Buffer.from(cut ? text.slice(0, -1) : text);
  }
}

const STOPPED = Symbol("stopped");

/** The items of `items` until `signal` is aborted: an item that never comes is not waited for then. */
async function* untilAborted(items: Items, signal: AbortSignal, name: string): AsyncGenerator<unknown> {
  let ended = false;
  try {
    while (!signal.aborted) {
      const item = await nextOrStop(items, signal);
      if (item === STOPPED) return;
      if (item.done === true) {
        ended = true;
        return;
      }
      yield item.value;
    }
  } catch (error) {
    ended = true;
    if (signal.aborted) return;
    throw sourceError(name, `failed: ${messageOf(error)}`, error);
  } finally {
    // A source that never answers is left to itself: nobody waits for it.
    if (!ended) void Promise.resolve(items.stop()).catch(() => {});
  }
}

/** One listener for each item, and gone with it: a promise that lives as long as the signal would keep every item's reaction. */
function nextOrStop(items: Items, signal: AbortSignal): Promise<IteratorResult<unknown> | typeof STOPPED> {
  return new Promise((resolve, reject) => {
    const stop = (): void => resolve(STOPPED);
    signal.addEventListener("abort", stop, { once: true });
    const settle = <T>(then: (value: T) => void) => {
      return (value: T): void => {
        signal.removeEventListener("abort", stop);
        then(value);
      };
    };
    new Promise<IteratorResult<unknown>>((take) => take(items.next())).then(settle(resolve), settle(reject));
  });
}
