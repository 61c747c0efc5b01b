/**
 * A folder with two generations of one thing, each a sealed file, for one process at a time. It knows nothing of what they hold.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { badOption, FourfoldError } from "../errors.ts";
import { FolderLock, type LockOptions, type LockPurpose } from "./folder-lock.ts";
import { readSealed, type Sealed, type SealedKind, unwritable, writeSealed } from "./sealed.ts";

/** What the generations are of. */
export interface GenerationKind extends SealedKind, LockPurpose {
  /** How to write less where one is too long. */
  readonly less: string;
}

/** How a store is opened. */
export interface GenerationOptions extends LockOptions {
  /** Bytes that one generation may have, written or read. */
  readonly bytesMax: number;
  /** Told of a damaged generation that the other stands in for. */
  readonly onDamaged?: ((error: FourfoldError) => void) | undefined;
}

/** A generation that could be read. */
interface Whole extends Sealed {
  readonly slot: number;
}

/** The names of the two files. Writing takes the one that the last whole generation is not in. */
const SLOTS = [0, 1] as const;

/** The generations in one folder. One call at a time. */
export class GenerationStore {
  readonly #dir: string;
  readonly #kind: GenerationKind;
  readonly #bytesMax: number;
  readonly #onDamaged: ((error: FourfoldError) => void) | undefined;
  readonly #lock: FolderLock;
  /** Where the last whole generation is, once that is known; slot −1 and sequence 0 where there is none. */
  #last: Pick<Whole, "slot" | "sequence"> | undefined;
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(dir: string, kind: GenerationKind, { bytesMax, onDamaged }: GenerationOptions, lock: FolderLock) {
    this.#dir = dir;
    this.#kind = kind;
    this.#bytesMax = bytesMax;
    this.#onDamaged = onDamaged;
    this.#lock = lock;
  }

  /**
   * Makes the folder if it is not there, and takes it for this process.
   * @throws FourfoldError of the kind's code if another process has it, or it cannot be made or written to
   */
  static async open(dir: string, kind: GenerationKind, options: GenerationOptions): Promise<GenerationStore> {
    if (typeof dir !== "string" || dir === "" || dir.includes("\0")) throw badOption("dir", dir, "the path of a folder");
    const { bytesMax } = options;
    if (!Number.isSafeInteger(bytesMax) || bytesMax < 1) throw badOption("bytesMax", bytesMax, "an integer of 1 or more");
    let lock: FolderLock | undefined;
    try {
      await mkdir(dir, { recursive: true });
      lock = await FolderLock.take(dir, kind, options);
      await rm(join(dir, unfinished(kind)), { force: true });
    } catch (error) {
      await lock?.release();
      throw unwritable(kind, dir, error, "Name a folder that this process may write to");
    }
    return new GenerationStore(dir, kind, options, lock);
  }

  /**
   * The payload of the newest whole generation; undefined if none was ever made. A damaged one is passed to `onDamaged`.
   * @throws FourfoldError of the kind's code if there are some and none is whole; it names each file and what is wrong with it
   */
  async latest(): Promise<Uint8Array | undefined> {
    const whole: Whole[] = [];
    const damaged: FourfoldError[] = [];
    for (const slot of SLOTS) {
      const found = await readSealed(join(this.#dir, this.#name(slot)), this.#kind, this.#bytesMax);
      if (found instanceof FourfoldError) damaged.push(found);
      else if (found !== undefined) whole.push({ slot, ...found });
    }
    whole.sort((a, b) => b.sequence - a.sequence);
    const newest = whole[0];
    if (newest === undefined && damaged.length > 0)
      throw new FourfoldError(this.#kind.code, damaged.map((error) => error.message).join("; "), {
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
   * Writes the next generation. When it resolves, the payload is on the disk under its name; if it fails, the one before is as it was.
   * @throws FourfoldError of the kind's code
   */
  async write(payload: Uint8Array): Promise<void> {
    const { code, noun, limit, less } = this.#kind;
    if (payload.length > this.#bytesMax)
      throw new FourfoldError(
        code,
        `the ${noun} has ${payload.length} bytes, option "${limit.option}" of ${limit.of} is ${this.#bytesMax}`,
        {
          given: payload.length,
          expected: this.#bytesMax,
          fix: `Raise ${limit.option}, or ${less}`,
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
    await this.check();
    try {
      await writeSealed(this.#dir, this.#name(next.slot), unfinished(this.#kind), this.#kind, { sequence: next.sequence, payload });
    } catch (error) {
      throw unwritable(this.#kind, this.#dir, error, `The ${this.#kind.noun} before is as it was: make room, or name another folder`);
    }
    this.#last = next;
  }

  /** @throws FourfoldError of the kind's code if the lock was taken away: another process may have the folder by now */
  async check(): Promise<void> {
    await this.#lock.check();
  }

  /** Removes both generations: the next one written is the first. */
  async clear(): Promise<void> {
    await this.check();
    for (const slot of SLOTS) await rm(join(this.#dir, this.#name(slot)), { force: true });
    this.#last = { slot: -1, sequence: 0 };
  }

  /** Gives the folder back, after a write that is under way. */
  async close(): Promise<void> {
    await this.#writing;
    await this.#lock.release();
  }

  #name(slot: number): string {
    return `${this.#kind.noun}-${slot}`;
  }
}

/** What a generation is written to until it is whole. */
const unfinished = ({ noun }: GenerationKind): string => `${noun}.tmp`;
