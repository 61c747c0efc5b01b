/**
 * A text file that a sink appends to. It can go back to a position: what was written after it is cut off, so that a stream that goes on from a
 * checkpoint writes it once. What was there before the stream stays.
 */
import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { flushFolder } from "../../durable/flush.ts";
import { FourfoldError, show, systemReason } from "../../errors.ts";
import { crc32 } from "../../reduce/crc.ts";
import type { SinkPosition } from "../types.ts";

/** Bytes before a position that must still be there. The whole file would have to be read at each start. */
const TAIL_BYTES_MAX = 4096;

const LINE_FEED = 10;

/** See the head of this file. */
export class FileOutput {
  readonly #path: string;
  readonly #kind: string;
  #file: FileHandle | undefined;
  #bytes = 0;
  #flushed: SinkPosition | undefined;
  #failed: FourfoldError | undefined;
  #named = false;

  /** `kind` is the sink's name in positions. */
  constructor(path: string, kind: string) {
    this.#path = path;
    this.#kind = kind;
  }

  /**
   * Opens the file, or makes it. A file without a position must be empty or start with `header` and end with a line; with one, it must hold
   * all that was before it.
   * @throws FourfoldError ERR_FOURFOLD_OUTPUT
   */
  async open(position: SinkPosition | undefined, header: string): Promise<void> {
    await this.#trying(async () => {
      // Neither "r+" (it makes no file) nor "a+" (it ignores positions); "wx+" first, for a file that is not there.
      this.#file = await open(this.#path, "r+").catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
        return open(this.#path, "wx+");
      });
      const found = await this.#file.stat();
      if (!found.isFile()) throw this.#error("it is no regular file", "Open it yourself and give its Writable");
      this.#bytes = position === undefined ? found.size : await this.#resumed(position, found.size);
      if (this.#bytes > 0) await this.#checkBegun(header, position === undefined);
      else if (header !== "") await this.#append(Buffer.from(header));
    }).catch(async (error: unknown) => {
      await this.close();
      throw error;
    });
  }

  /** Appends texts; if one cannot be written, none of them stay. @throws FourfoldError ERR_FOURFOLD_OUTPUT */
  async write(pieces: Iterable<string>): Promise<void> {
    const before = this.#bytes;
    await this.#trying(
      async () => {
        if (this.#file === undefined) throw this.#unopened();
        for (const piece of pieces) await this.#append(Buffer.from(piece));
      },
      async () => this.#file?.truncate(before),
    );
  }

  /** Puts all that was written on the disk, and says where that ends. @throws FourfoldError ERR_FOURFOLD_OUTPUT */
  async flush(): Promise<SinkPosition> {
    if (this.#flushed) return this.#flushed;
    await this.#trying(async () => {
      const { size } = await this.#opened.stat();
      if (size !== this.#bytes)
        throw this.#error(`it has ${size} bytes, and ${this.#bytes} were written`, "Give each stream a file of its own");
      await this.#opened.datasync();
      if (!this.#named) await flushFolder(dirname(this.#path));
      this.#named = true;
      this.#flushed = { sink: this.#kind, bytes: this.#bytes, tailCrc: await this.#tailCrc(this.#bytes) };
    });
    return this.#flushed!;
  }

  /** Flushes and closes; after an error it closes what is open. */
  async close(): Promise<void> {
    try {
      if (this.#file && !this.#failed) await this.flush();
    } finally {
      const file = this.#file;
      this.#file = undefined;
      await file?.close();
    }
  }

  get #opened(): FileHandle {
    if (this.#file) return this.#file;
    throw this.#unopened();
  }

  #unopened(): FourfoldError {
    return this.#error("it is not open", "A stream opens its sink; where you write to one yourself, open it first and close it last");
  }

  /** Cuts off what was written after a position. */
  async #resumed(position: SinkPosition, size: number): Promise<number> {
    const { sink, bytes, tailCrc } = position;
    if (sink !== this.#kind || !Number.isSafeInteger(bytes))
      throw this.#error(`the checkpoint was made with another sink (${show(sink)})`, "Use that sink, or other folders for both");
    const from = bytes as number;
    if (size < from) throw this.#error(`it has ${size} bytes, ${from} were in it at the checkpoint`, CHANGED);
    if ((await this.#tailCrc(from)) !== tailCrc)
      throw this.#error(`the bytes before byte ${from} are not those of the checkpoint`, CHANGED);
    if (size > from) await this.#opened.truncate(from);
    return from;
  }

  async #checkBegun(header: string, isNew: boolean): Promise<void> {
    const expected = Buffer.from(header);
    if (!(await this.#read(0, Math.min(expected.length, this.#bytes))).equals(expected))
      throw this.#error("it does not start with the header that these results have", "Name another file: levels or keys are not the same");
    if (isNew && (await this.#read(this.#bytes - 1, 1))[0] !== LINE_FEED)
      throw this.#error("it ends inside a line", "Complete or remove its last line, or name another file");
  }

  async #tailCrc(end: number): Promise<number> {
    const from = Math.max(0, end - TAIL_BYTES_MAX);
    return crc32(await this.#read(from, end - from));
  }

  async #read(from: number, length: number): Promise<Buffer> {
    const bytes = Buffer.alloc(length);
    for (let at = 0; at < length; ) {
      const { bytesRead } = await this.#opened.read(bytes, at, length - at, from + at);
      if (bytesRead === 0) return bytes.subarray(0, at);
      at += bytesRead;
    }
    return bytes;
  }

  async #append(bytes: Uint8Array): Promise<void> {
    this.#flushed = undefined;
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await this.#opened.write(bytes, at, bytes.length - at, this.#bytes);
      at += bytesWritten;
      this.#bytes += bytesWritten;
    }
  }

  /** Once it has failed, it stays so: what lies on the disk is known only up to the last flush. */
  async #trying(work: () => Promise<void>, undo?: () => Promise<void>): Promise<void> {
    if (this.#failed) throw this.#failed;
    try {
      await work();
    } catch (error) {
      const reason = systemReason(error);
      await undo?.().catch(() => {}); // the disk may take no call at all by now
      if (reason === undefined && !(error instanceof FourfoldError)) throw error;
      this.#failed = reason === undefined ? (error as FourfoldError) : this.#error(reason, "Make room, or name another file", error);
      throw this.#failed;
    }
  }

  #error(problem: string, fix: string, cause?: unknown): FourfoldError {
    return new FourfoldError("ERR_FOURFOLD_OUTPUT", `the sink's file ${show(this.#path)} cannot be written: ${problem}`, {
      given: this.#path,
      fix,
      at: { file: this.#path },
      ...(cause === undefined ? {} : { cause }),
    });
  }
}

const CHANGED = "It was changed after the stream stopped: restore it, or begin with another file and another folder of checkpoints";
