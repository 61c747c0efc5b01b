/**
 * Where a stream's checkpoints lie: a folder with two generations, each a file that is whole or not there. It knows nothing of what they hold.
 *
 * A file: `FFCP`, format version 1, three zero bytes, sequence and length of the payload (uint64, little endian), SHA-256 of the payload, four zero
 * bytes, CRC-32 of these 60 bytes (uint32, little endian), the payload.
 */
import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { badOption, FourfoldError, systemReason } from "../errors.ts";
import { crc32 } from "../reduce/crc.ts";
import { flushFolder } from "./durable.ts";
import { FolderLock, type LockOptions } from "./folder-lock.ts";

const MAGIC = Uint8Array.from("FFCP", (letter) => letter.charCodeAt(0));
const FORMAT_VERSION = 1;
const SEQUENCE_AT = 8;
const LENGTH_AT = 16;
const HASH_AT = 24;
const CRC_AT = 60;
const HEADER_BYTES = 64;

/** The files of the two generations. Writing takes the one that the last whole checkpoint is not in. */
const FILES = ["checkpoint-0", "checkpoint-1"] as const;
/** What a checkpoint is written to until it is whole. */
const UNFINISHED = "checkpoint.tmp";

/** How a store is opened. */
export interface CheckpointOptions extends LockOptions {
  /** Bytes that one checkpoint may have, written or read. */
  readonly bytesMax: number;
  /** Told of a damaged generation that the one before stands in for. */
  readonly onDamaged?: ((error: FourfoldError) => void) | undefined;
}

/** A generation that could be read. */
interface Whole {
  readonly slot: number;
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** The checkpoints of one stream. One call at a time. */
export class CheckpointStore {
  readonly #dir: string;
  readonly #bytesMax: number;
  readonly #onDamaged: ((error: FourfoldError) => void) | undefined;
  readonly #lock: FolderLock;
  /** Where the last whole checkpoint is, once that is known; slot −1 and sequence 0 where there is none. */
  #last: Pick<Whole, "slot" | "sequence"> | undefined;
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(dir: string, { bytesMax, onDamaged }: CheckpointOptions, lock: FolderLock) {
    this.#dir = dir;
    this.#bytesMax = bytesMax;
    this.#onDamaged = onDamaged;
    this.#lock = lock;
  }

  /**
   * Makes the folder if it is not there, and takes it for this process.
   * @throws FourfoldError ERR_FOURFOLD_CHECKPOINT if another process has it, or it cannot be made or written to
   */
  static async open(dir: string, options: CheckpointOptions): Promise<CheckpointStore> {
    if (typeof dir !== "string" || dir === "" || dir.includes("\0")) throw badOption("dir", dir, "the path of a folder");
    const { bytesMax } = options;
    if (!Number.isSafeInteger(bytesMax) || bytesMax < 1) throw badOption("bytesMax", bytesMax, "an integer of 1 or more");
    let lock: FolderLock | undefined;
    try {
      await mkdir(dir, { recursive: true });
      lock = await FolderLock.take(dir, options);
      await rm(join(dir, UNFINISHED), { force: true });
    } catch (error) {
      await lock?.release();
      throw unusable(dir, error, "Name a folder that this process may write to");
    }
    return new CheckpointStore(dir, options, lock);
  }

  /**
   * The payload of the newest whole checkpoint; undefined if none was ever made. A damaged one is passed to `onDamaged`.
   * @throws FourfoldError ERR_FOURFOLD_CHECKPOINT if there are some and none is whole; it names each file and what is wrong with it
   */
  async latest(): Promise<Uint8Array | undefined> {
    const whole: Whole[] = [];
    const damaged: FourfoldError[] = [];
    for (const slot of FILES.keys()) {
      const found = await readGeneration(this.#path(slot), slot, this.#bytesMax);
      if (found instanceof FourfoldError) damaged.push(found);
      else if (found !== undefined) whole.push(found);
    }
    whole.sort((a, b) => b.sequence - a.sequence);
    const newest = whole[0];
    if (newest === undefined && damaged.length > 0)
      throw new FourfoldError("ERR_FOURFOLD_CHECKPOINT", damaged.map((error) => error.message).join("; "), {
        given: this.#dir,
        fix: `Restore one of the files, or remove the folder ${this.#dir} to start again from the beginning`,
        at: { file: damaged[0]!.at!.file! },
        cause: damaged[0],
      });
    this.#last = newest ?? { slot: -1, sequence: 0 };
    for (const error of damaged) this.#onDamaged?.(error);
    return newest?.payload;
  }

  /**
   * Writes the next checkpoint. When it resolves, the payload is on the disk under its name; if it fails, the one before is as it was.
   * @throws FourfoldError ERR_FOURFOLD_CHECKPOINT
   */
  async write(payload: Uint8Array): Promise<void> {
    if (payload.length > this.#bytesMax)
      throw new FourfoldError(
        "ERR_FOURFOLD_CHECKPOINT",
        `the checkpoint has ${payload.length} bytes, option "bytesMax" of checkpoints is ${this.#bytesMax}`,
        {
          given: payload.length,
          expected: this.#bytesMax,
          fix: "Raise bytesMax, or keep less: shorter windows, less lateness, fewer keys",
        },
      );
    const writing = this.#write(payload);
    this.#writing = writing.catch(() => {});
    await writing;
  }

  async #write(payload: Uint8Array): Promise<void> {
    if (this.#last === undefined) await this.latest();
    const { slot, sequence } = this.#last!;
    const next = { slot: slot === 0 ? 1 : 0, sequence: sequence + 1 };
    await this.#lock.check();
    const unfinished = join(this.#dir, UNFINISHED);
    try {
      const file = await open(unfinished, "w");
      try {
        await writeAll(file, await headerOf(next.sequence, payload));
        await writeAll(file, payload);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(unfinished, this.#path(next.slot));
      await flushFolder(this.#dir);
    } catch (error) {
      await rm(unfinished, { force: true }).catch(() => {});
      throw unusable(this.#dir, error, "The checkpoint before is as it was: make room, or name another folder");
    }
    this.#last = next;
  }

  /** Gives the folder back, after a write that is under way. */
  async close(): Promise<void> {
    await this.#writing;
    await this.#lock.release();
  }

  #path(slot: number): string {
    return join(this.#dir, FILES[slot]!);
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
}

async function headerOf(sequence: number, payload: Uint8Array): Promise<Uint8Array> {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  header.set(MAGIC);
  header[4] = FORMAT_VERSION;
  view.setBigUint64(SEQUENCE_AT, BigInt(sequence), true);
  view.setBigUint64(LENGTH_AT, BigInt(payload.length), true);
  header.set(await sha256(payload), HASH_AT);
  view.setUint32(CRC_AT, crc32(header.subarray(0, CRC_AT)), true);
  return header;
}

/** Megabytes are hashed on another thread, so that a stream goes on meanwhile. */
const sha256 = async (bytes: Uint8Array): Promise<Uint8Array> =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));

/**
 * A file's checkpoint; undefined if there is no such file; what is wrong with it if it is damaged. Nothing is taken on trust, least of all a
 * length. A whole one that this process may not read is thrown: an older one must not stand in for it.
 */
async function readGeneration(path: string, slot: number, bytesMax: number): Promise<Whole | FourfoldError | undefined> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, "r");
    const { size } = await file.stat();
    if (size < HEADER_BYTES) return damage(path, `it ends after ${size} bytes, inside its header`);
    const header = await readAll(file, HEADER_BYTES, 0);
    const view = new DataView(header.buffer, header.byteOffset, HEADER_BYTES);
    if (MAGIC.some((byte, i) => header[i] !== byte)) return damage(path, "it is no checkpoint: it does not start with FFCP");
    if (view.getUint32(CRC_AT, true) !== crc32(header.subarray(0, CRC_AT))) return damage(path, "the checksum of its header is wrong");
    if (header[4] !== FORMAT_VERSION)
      throw damage(
        path,
        `it has format version ${header[4]}, this package reads ${FORMAT_VERSION}: read it with the version that wrote it`,
      );
    const length = Number(view.getBigUint64(LENGTH_AT, true));
    const sequence = Number(view.getBigUint64(SEQUENCE_AT, true));
    if (size !== HEADER_BYTES + length) return damage(path, `it has ${size - HEADER_BYTES} bytes after its header, which says ${length}`);
    if (length > bytesMax)
      throw unreadable(path, `it has ${length} bytes, option "bytesMax" of checkpoints is ${bytesMax}`, "Raise bytesMax");
    const payload = await readAll(file, length, HEADER_BYTES);
    if ((await sha256(payload)).some((byte, i) => byte !== header[HASH_AT + i]))
      return damage(path, "its bytes are not those it was written with");
    return { slot, sequence, payload };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    if (code === "EIO") return damage(path, "the disk cannot read it");
    const reason = systemReason(error);
    throw reason === undefined ? error : unreadable(path, reason, "Give this process the right to read it", error);
  } finally {
    await file?.close();
  }
}

async function readAll(file: FileHandle, length: number, from: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const { bytesRead } = await file.read(bytes, at, length - at, from + at);
    if (bytesRead === 0) return bytes.subarray(0, at); // cut short meanwhile: its hash will tell
    at += bytesRead;
  }
  return bytes;
}

function damage(path: string, problem: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_CHECKPOINT", `the checkpoint ${path} is damaged: ${problem}`, { at: { file: path } });
}

function unreadable(path: string, problem: string, fix: string, cause?: unknown): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_CHECKPOINT", `the checkpoint ${path} cannot be read: ${problem}`, {
    fix,
    cause,
    at: { file: path },
  });
}

function unusable(dir: string, error: unknown, fix: string): unknown {
  const reason = systemReason(error);
  if (reason === undefined) return error;
  return new FourfoldError("ERR_FOURFOLD_CHECKPOINT", `the checkpoint in ${JSON.stringify(dir)} cannot be written: ${reason}`, {
    given: dir,
    fix,
    cause: error,
    at: { file: dir },
  });
}
