/**
 * A file that grows, followed as it does. It reads what is there, then looks again: when the file system tells of a change, and every `pollMs`
 * anyway, because not every file system tells. A line is read once its line break is there.
 */
import { type FSWatcher, watch } from "node:fs";
import { type FileHandle, stat } from "node:fs/promises";
import { badOption, FourfoldError, show } from "../../errors.ts";
import type { Chunk, ReadContext, Reader } from "../types.ts";
import { checkResume, openFile, pathOf, sourceError } from "./bytes.ts";
import type { Decoder, Format } from "./decoder.ts";
import { checkCount } from "./fields.ts";
import { checkFormatOptions, type FormatOptions, formatOf } from "./formats.ts";

/** How a file is followed. */
export interface TailOptions extends FormatOptions {
  readonly format: "ndjson" | "csv";
  /** The longest time between two looks at the file: 100 ms. */
  readonly pollMs?: number;
  /**
   * What happens when the file is truncated, or another one takes its name. "error" (the default) ends the reading with
   * ERR_FOURFOLD_SOURCE, and offsets can be resumed. "follow" reads the old file to its end and goes on with the new one: offsets then count
   * on over both, so that the source cannot be resumed.
   */
  readonly rotation?: "error" | "follow";
}

const POLL_MS = 100;
/** Timers beyond this fire at once. */
const POLL_MS_MAX = 2 ** 31 - 1;
const PIECE_BYTES = 1 << 18;

/**
 * Follows the file at `path` until the stream ends it. It can be read again from any offset that it gave (not with `rotation: "follow"`).
 *
 * @throws FourfoldError ERR_FOURFOLD_ARGUMENT for options that cannot be; reading throws ERR_FOURFOLD_SOURCE
 * @example
 * const readings = tail("readings.ndjson", { format: "ndjson", fields: { time: "at" } });
 */
export function tail(path: string | URL, options: TailOptions): Reader {
  checkFormatOptions("tail", options, ["pollMs", "rotation"]);
  const { pollMs = POLL_MS, rotation = "error", format } = options;
  if (format !== "ndjson" && format !== "csv") throw badOption("format", format, '"ndjson" or "csv"');
  checkCount("pollMs", pollMs);
  if (pollMs > POLL_MS_MAX) throw badOption("pollMs", pollMs, `at most ${POLL_MS_MAX}`);
  if (rotation !== "error" && rotation !== "follow") throw badOption("rotation", rotation, '"error" or "follow"');
  const file = pathOf("tail", path);
  const name = options.name ?? file;
  return {
    name,
    replayable: rotation === "error",
    read: (from, context) => new Follower(name, file, formatOf(format, options), pollMs, rotation === "follow", context).read(from),
  };
}

class Follower {
  readonly #name: string;
  readonly #path: string;
  readonly #format: Format;
  readonly #pollMs: number;
  readonly #follows: boolean;
  readonly #context: ReadContext;

  constructor(name: string, path: string, format: Format, pollMs: number, follows: boolean, context: ReadContext) {
    this.#name = name;
    this.#path = path;
    this.#format = format;
    this.#pollMs = pollMs;
    this.#follows = follows;
    this.#context = context;
  }

  async *read(from: number): AsyncGenerator<Chunk> {
    if (this.#follows && from > 0)
      throw sourceError(this.#name, `cannot be read from byte ${from} on, with rotation "follow"`, undefined, 'Use rotation: "error"');
    let handle = await openFile(this.#name, this.#path);
    try {
      await checkResume(this.#name, handle, from);
      /** Bytes of the files before this one. */
      let before = 0;
      let at = from;
      for (;;) {
        const end = yield* this.#file(handle, await this.#decoder(handle, at), at, before);
        if (end === undefined) return;
        before += end.at;
        at = 0;
        await handle.close();
        handle = end.next;
      }
    } catch (error) {
      if (error instanceof FourfoldError) throw error;
      throw sourceError(this.#name, `cannot be read: ${error instanceof Error ? error.message : String(error)}`, error);
    } finally {
      await handle.close();
    }
  }

  async #decoder(handle: FileHandle, from: number): Promise<Decoder> {
    let head: Uint8Array | undefined;
    if (from > 0 && this.#format.headBytes > 0) {
      const buffer = Buffer.alloc(Math.min(this.#format.headBytes, from));
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
      head = buffer.subarray(0, bytesRead);
    }
    return this.#format.decoder(this.#name, from, head, this.#context);
  }

  /** Follows one file. Returns where it ended, and the one that took its place; undefined if the reading was aborted. */
  async *#file(
    handle: FileHandle,
    decoder: Decoder,
    from: number,
    before: number,
  ): AsyncGenerator<Chunk, { at: number; next: FileHandle } | undefined> {
    const buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
    const { signal } = this.#context;
    const watcher = new Watcher(this.#path, this.#pollMs, signal);
    let at = from;
    /** The file that has taken this one's name: this one is read to its end first. */
    let next: FileHandle | undefined;
    try {
      while (!signal.aborted) {
        const { bytesRead } = await handle.read(buffer, 0, PIECE_BYTES, at);
        if (bytesRead > 0) {
          at += bytesRead;
          for (const chunk of decoder.push(buffer.subarray(0, bytesRead))) yield shifted(chunk, before);
          continue;
        }
        if (next !== undefined) {
          for (const chunk of decoder.end()) yield shifted(chunk, before);
          const taken = next;
          next = undefined;
          return { at, next: taken };
        }
        next = await this.#replacement(handle, at);
        if (next === undefined) await watcher.wait();
      }
      return undefined;
    } finally {
      watcher.close();
      await next?.close();
    }
  }

  /** The file that stands at the path now, if it is not the one being read, or was cut shorter than what was read of it. */
  async #replacement(handle: FileHandle, at: number): Promise<FileHandle | undefined> {
    const own = await handle.stat({ bigint: true });
    const now = await stat(this.#path, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
      // Between the removal of a file and the making of its successor there is none.
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    const replaced = now !== undefined && (now.ino !== own.ino || now.dev !== own.dev);
    const truncated = own.size < BigInt(at);
    if (!replaced && !truncated) return undefined;
    if (!this.#follows)
      throw sourceError(
        this.#name,
        truncated
          ? `was truncated to ${own.size} bytes after ${at} had been read`
          : `was replaced by another file after ${at} bytes had been read`,
        undefined,
        `To go on with what took its place, follow it with { rotation: ${show("follow")} }`,
      );
    return now === undefined ? undefined : openFile(this.#name, this.#path);
  }
}

/** A chunk of a file as one of the files one after the other. */
function shifted(chunk: Chunk, before: number): Chunk {
  if (before === 0) return chunk;
  return {
    ...chunk,
    next: chunk.next + before,
    rejected: chunk.rejected.map((one) => ({ ...one, from: one.from + before, to: one.to + before })),
  };
}

/** Waits for a change of a file. */
class Watcher {
  readonly #pollMs: number;
  readonly #signal: AbortSignal;
  #watcher: FSWatcher | undefined;
  #changed = false;
  #wake: (() => void) | undefined;

  constructor(path: string, pollMs: number, signal: AbortSignal) {
    this.#pollMs = pollMs;
    this.#signal = signal;
    try {
      this.#watcher = watch(path, () => this.#change());
      // Without it there is still the clock.
      this.#watcher.on("error", () => this.#watcher?.close());
    } catch {
      this.#watcher = undefined;
    }
  }

  #change(): void {
    this.#changed = true;
    this.#wake?.();
  }

  /** Ends at a change since the last wait, after `pollMs`, or when the signal is aborted. */
  async wait(): Promise<void> {
    if (!this.#changed && !this.#signal.aborted)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => wake(), this.#pollMs);
        const wake = (): void => {
          clearTimeout(timer);
          this.#signal.removeEventListener("abort", wake);
          this.#wake = undefined;
          resolve();
        };
        this.#wake = wake;
        this.#signal.addEventListener("abort", wake, { once: true });
      });
    this.#changed = false;
  }

  close(): void {
    this.#watcher?.close();
  }
}
