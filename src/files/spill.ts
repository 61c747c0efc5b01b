/**
 * A private folder for what does not fit in memory: blocks of bytes in one file of ours, and whatever DuckDB writes beside it. The folder goes
 * when it is closed, and when the process dies; it knows nothing of what the bytes are.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { type FileHandle, mkdtemp, open, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { FourfoldError } from "../errors.ts";

/** Bytes on disk unless `spillBytesMax` says otherwise: 64 GiB. */
const SPILL_BYTES_MAX = 64 * 2 ** 30;
/** Writes under way at once: enough to keep a disk busy. */
const WRITES_MAX = 8;
/** How often DuckDB's own files are looked at, in blocks of ours. */
const LOOK_EVERY = 256;

/** What may be written, and where. */
export interface SpillOptions {
  /** Default: the folder of the system for temporary files. */
  readonly spillDir?: string | undefined;
  readonly spillBytesMax?: number | undefined;
}

/** A block on disk. */
export interface Extent {
  readonly at: number;
  readonly bytes: number;
}

/** See the head of this file. */
export class Spill {
  readonly folder: string;
  readonly bytesMax: number;
  readonly #watcher: ChildProcess | undefined;
  #file: FileHandle | undefined;
  #end = 0;
  #blocks = 0;
  #beside = 0;
  #failure: unknown;
  readonly #writes = new Set<Promise<void>>();

  private constructor(folder: string, bytesMax: number) {
    this.folder = folder;
    this.bytesMax = bytesMax;
    this.#watcher = watch(folder);
  }

  /** Makes the folder. @throws FourfoldError ERR_FOURFOLD_SOURCE where there can be none */
  static async open({ spillDir = tmpdir(), spillBytesMax = SPILL_BYTES_MAX }: SpillOptions): Promise<Spill> {
    try {
      return new Spill(await mkdtemp(join(resolve(spillDir), "fourfold-spill-")), spillBytesMax);
    } catch (cause) {
      throw new FourfoldError("ERR_FOURFOLD_SOURCE", `no folder for what does not fit in memory can be made in ${spillDir}`, {
        cause,
        given: spillDir,
        fix: "Give spillDir a folder that can be written",
      });
    }
  }

  /** Bytes on disk: blocks that were written, and DuckDB's files at the look that found most of them. */
  get bytes(): number {
    return this.#end + this.#beside;
  }

  /** Writes a block, or waits until one may be written. Its memory is free again when `done` was called. */
  async write(block: Uint8Array, done: () => void): Promise<Extent> {
    this.#file ??= await this.#create();
    if (this.#blocks++ % LOOK_EVERY === 0) await this.#look();
    while (this.#writes.size >= WRITES_MAX) await Promise.race(this.#writes);
    if (this.#failure !== undefined) throw this.#failure;
    const at = this.#end;
    this.#end += block.byteLength;
    if (this.bytes > this.bytesMax) throw full(this.bytes, this.bytesMax);
    const write = this.#put(block, at).then(
      () => done(),
      (error: unknown) => {
        this.#failure ??= failed(error, this.folder);
      },
    );
    this.#writes.add(write);
    void write.finally(() => this.#writes.delete(write));
    return { at, bytes: block.byteLength };
  }

  /** Waits for all writes. */
  async flush(): Promise<void> {
    await Promise.all(this.#writes);
    await this.#look();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Reads a block back. */
  async read({ at, bytes }: Extent, into: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes; ) {
      const { bytesRead } = await this.#file!.read(into, done, bytes - done, at + done);
      if (bytesRead === 0) throw failed(new Error(`the file ends at ${at + done}`), this.folder);
      done += bytesRead;
    }
  }

  /** Removes all of it. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#writes);
    await this.#file?.close();
    await rm(this.folder, { recursive: true, force: true });
    this.#watcher?.stdin?.end();
  }

  async #create(): Promise<FileHandle> {
    try {
      return await open(join(this.folder, "blocks"), "wx+", 0o600);
    } catch (cause) {
      throw failed(cause, this.folder);
    }
  }

  async #put(block: Uint8Array, at: number): Promise<void> {
    for (let done = 0; done < block.byteLength; ) {
      const { bytesWritten } = await this.#file!.write(block, done, block.byteLength - done, at + done);
      done += bytesWritten;
    }
  }

  async #look(): Promise<void> {
    const names = (await readdir(this.folder)).filter((name) => name !== "blocks");
    const sizes = await Promise.all(
      names.map((name) =>
        stat(join(this.folder, name)).then(
          ({ size }) => size,
          () => 0,
        ),
      ),
    );
    this.#beside = Math.max(
      this.#beside,
      sizes.reduce((sum, size) => sum + size, 0),
    );
  }
}

/**
 * A process of a few pages that waits for this one to end, however it ends, and then removes the folder. Without a POSIX shell
 * there is none, and a killed process leaves its folder behind.
 */
function watch(folder: string): ChildProcess | undefined {
  if (process.platform === "win32") return undefined;
  const watcher = spawn("/bin/sh", ["-c", 'cat > /dev/null; rm -rf -- "$0"', folder], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  watcher.on("error", () => undefined);
  watcher.stdin.on("error", () => undefined);
  watcher.unref();
  (watcher.stdin as unknown as { unref(): void }).unref();
  return watcher;
}

function full(given: number, expected: number): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_MEMORY", `the table takes more than ${expected} bytes on disk`, {
    given,
    expected,
    fix: "Raise spillBytesMax, or roll up in parts",
  });
}

function failed(cause: unknown, folder: string): FourfoldError {
  const { code = "", message } = cause as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG")
    return new FourfoldError("ERR_FOURFOLD_MEMORY", `the disk of ${folder} is full`, {
      cause,
      given: folder,
      fix: "Make room, or give spillDir a folder on a larger disk",
    });
  return new FourfoldError("ERR_FOURFOLD_SOURCE", `what did not fit in memory cannot be written to ${folder} and read again: ${message}`, {
    cause,
    given: folder,
    fix: "Check the disk, or give spillDir another folder",
  });
}
