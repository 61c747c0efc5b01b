/**
 * Where a job lies: its manifest in two generations, a sealed file for each finished piece, and one for those that were merged. It knows nothing
 * of what they hold. docs/jobs.md is the reader's page.
 */
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { type GenerationKind, GenerationStore } from "../durable/generations.ts";
import { readSealed, type SealedKind, unwritable, writeSealed } from "../durable/sealed.ts";
import type { FourfoldError } from "../errors.ts";

const LIMIT = { option: "memoryBytesMax", of: "the job" };
const MANIFEST: GenerationKind = {
  magic: "FFJM",
  noun: "manifest",
  code: "ERR_FOURFOLD_JOB",
  limit: LIMIT,
  holds: ["job", "is"],
  owner: "job",
  less: "name fewer files",
};
const STATE: SealedKind = { magic: "FFJS", noun: "state", code: "ERR_FOURFOLD_JOB", limit: LIMIT };

/** The longest manifest: about 400 bytes for each file and each piece. */
const MANIFEST_BYTES_MAX = 1 << 28;

/** The merged pieces. */
const MERGED = "merged";
const PIECE = /^piece-(\d{1,9})$/;
const UNFINISHED = /^(?:piece-\d{1,9}|merged)\.tmp$/;

const pieceName = (piece: number): string => `piece-${piece}`;

/** A job's folder, taken for this process. */
export class JobFolder {
  readonly #dir: string;
  readonly #manifests: GenerationStore;

  private constructor(dir: string, manifests: GenerationStore) {
    this.#dir = dir;
    this.#manifests = manifests;
  }

  /** Makes the folder if it is not there, and takes it. @throws FourfoldError ERR_FOURFOLD_JOB if another process has it, or it cannot be written to */
  static async open(dir: string, onDamaged: (error: FourfoldError) => void): Promise<JobFolder> {
    const manifests = await GenerationStore.open(dir, MANIFEST, { bytesMax: MANIFEST_BYTES_MAX, onDamaged });
    const folder = new JobFolder(dir, manifests);
    try {
      await folder.#remove((name) => UNFINISHED.test(name));
    } catch (error) {
      await manifests.close();
      throw error;
    }
    return folder;
  }

  /** The newest manifest. @throws FourfoldError ERR_FOURFOLD_JOB if there are some and none is whole */
  manifest(): Promise<Uint8Array | undefined> {
    return this.#manifests.latest();
  }

  /** Writes the manifest. */
  writeManifest(bytes: Uint8Array): Promise<void> {
    return this.#manifests.write(bytes);
  }

  /** The numbers of the pieces that are there, in order. */
  async pieces(): Promise<number[]> {
    const names = await readdir(this.#dir);
    return names.flatMap((name) => PIECE.exec(name)?.slice(1).map(Number) ?? []).sort((a, b) => a - b);
  }

  /** True if there is a file of merged pieces. */
  async hasMerged(): Promise<boolean> {
    return (await stat(join(this.#dir, MERGED)).catch(() => undefined)) !== undefined;
  }

  /** What was written of a piece; what is wrong with it if it is damaged. */
  readPiece(piece: number): Promise<Uint8Array | FourfoldError | undefined> {
    return this.#read(pieceName(piece));
  }

  /** What was written of the merged pieces. */
  readMerged(): Promise<Uint8Array | FourfoldError | undefined> {
    return this.#read(MERGED);
  }

  /** Writes a finished piece. @throws FourfoldError ERR_FOURFOLD_JOB */
  writePiece(piece: number, payload: Uint8Array): Promise<void> {
    return this.#write(pieceName(piece), payload);
  }

  /** Writes the merged pieces. @throws FourfoldError ERR_FOURFOLD_JOB */
  writeMerged(payload: Uint8Array): Promise<void> {
    return this.#write(MERGED, payload);
  }

  async removePiece(piece: number): Promise<void> {
    await rm(join(this.#dir, pieceName(piece)), { force: true });
  }

  /** Bytes of the files in the folder. */
  async bytes(): Promise<number> {
    let bytes = 0;
    for (const name of await readdir(this.#dir)) bytes += (await stat(join(this.#dir, name)).catch(() => undefined))?.size ?? 0;
    return bytes;
  }

  /** Removes the job's files, and no others. The manifest goes first: what is left of a job without one is never used. */
  async clear(): Promise<void> {
    await this.#manifests.clear();
    await this.#remove((name) => name === MERGED || PIECE.test(name));
  }

  close(): Promise<void> {
    return this.#manifests.close();
  }

  async #remove(isMeant: (name: string) => boolean): Promise<void> {
    for (const name of await readdir(this.#dir)) if (isMeant(name)) await rm(join(this.#dir, name), { force: true });
  }

  async #read(name: string): Promise<Uint8Array | FourfoldError | undefined> {
    const found = await readSealed(join(this.#dir, name), STATE, Number.MAX_SAFE_INTEGER);
    return found === undefined || found instanceof Error ? found : found.payload;
  }

  async #write(name: string, payload: Uint8Array): Promise<void> {
    await this.#manifests.check();
    try {
      await writeSealed(this.#dir, name, `${name}.tmp`, STATE, { sequence: 0, payload });
    } catch (error) {
      throw unwritable(STATE, this.#dir, error, "What was finished before is still there: make room, and run the job again");
    }
  }
}
