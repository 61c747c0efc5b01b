/**
 * A folder as the store that zarrita reads: the keys of one array, nothing outside the folder (symbolic links included), and no file that
 * is larger than what its chunk may be.
 */
import type { Dirent } from "node:fs";
import { readdir, realpath } from "node:fs/promises";
import { isAbsolute, join, relative, sep } from "node:path";
import { FourfoldError, show } from "../errors.ts";
import { cannotOpen, openFile, readBytes, unreadable } from "./reading.ts";

/** A document of metadata is small; one with attributes may be larger. */
const METADATA_BYTES_MAX = 1 << 24;
/** Shard indices that zarrita keeps, before it is opened anew: it forgets none. */
const INDEX_BYTES_MAX = 1 << 24;

/** A part of a file, as zarrita asks for it. */
type Range = { readonly offset: number; readonly length: number } | { readonly suffixLength: number };

/** Where arrays and groups lie. */
export class ZarrFolder {
  readonly path: string;
  readonly #real: string;

  private constructor(path: string, real: string) {
    this.path = path;
    this.#real = real;
  }

  /** @throws FourfoldError ERR_FOURFOLD_SOURCE */
  static async open(path: string): Promise<ZarrFolder> {
    try {
      return new ZarrFolder(path, await realpath(path));
    } catch (cause) {
      throw cannotOpen(path, cause);
    }
  }

  /** The real path of a file in the folder; undefined if it is not there. @throws FourfoldError ERR_FOURFOLD_FORBIDDEN */
  async place(key: string): Promise<string | undefined> {
    let real: string;
    try {
      real = await realpath(join(this.#real, key));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw unreadable(join(this.path, key), error);
    }
    const way = relative(this.#real, real);
    if (way === ".." || way.startsWith(`..${sep}`) || isAbsolute(way))
      throw new FourfoldError("ERR_FOURFOLD_FORBIDDEN", `${join(this.path, key)} leads out of the folder, to ${real}`, {
        given: key,
        at: { file: join(this.path, key) },
        fix: "Copy what the link points to into the folder",
      });
    return real;
  }

  /** A document of metadata; undefined if it is not there. @throws FourfoldError ERR_FOURFOLD_FORMAT */
  async document(key: string): Promise<unknown> {
    const bytes = await this.bytes(key, METADATA_BYTES_MAX, undefined);
    if (bytes === undefined) return undefined;
    const file = join(this.path, key);
    try {
      return JSON.parse(new TextDecoder().decode(bytes)) as unknown;
    } catch (cause) {
      throw new FourfoldError("ERR_FOURFOLD_FORMAT", `${file} is no JSON`, { cause, expected: "JSON", at: { file } });
    }
  }

  /** The bytes of a file, or of a part of it; undefined if it is not there. @throws FourfoldError ERR_FOURFOLD_FORMAT, ERR_FOURFOLD_SOURCE */
  async bytes(key: string, bytesMax: number, range: Range | undefined): Promise<Uint8Array | undefined> {
    const real = await this.place(key);
    if (real === undefined) return undefined;
    const file = join(this.path, key);
    return openFile(real, async (handle, { size }) => {
      const damaged = (what: string, given: number, expected: number): FourfoldError =>
        new FourfoldError("ERR_FOURFOLD_FORMAT", `${file} ${what}`, { given, expected, at: { file }, fix: "Fetch or write it again" });
      const at = range === undefined ? 0 : "offset" in range ? range.offset : size - range.suffixLength;
      const length = range === undefined ? size : "offset" in range ? range.length : range.suffixLength;
      if (at < 0 || at + length > size) throw damaged(`ends at byte ${size}, ${length} from byte ${at} are asked for`, size, at + length);
      if (length > bytesMax) throw damaged(`holds ${length} bytes where at most ${bytesMax} can be right`, length, bytesMax);
      const bytes = new Uint8Array(length);
      await readBytes(handle, file, bytes, at);
      await handle.close();
      return bytes;
    });
  }

  /** The folders in the folder, for messages. */
  async folders(): Promise<string[]> {
    let entries: Dirent[];
    try {
      entries = await readdir(this.#real, { withFileTypes: true });
    } catch (error) {
      throw unreadable(this.path, error);
    }
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && ["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "");
}

/** The folder of a group's member. @throws FourfoldError ERR_FOURFOLD_ARGUMENT for a name that is not one */
export function memberPath(array: string | undefined): string {
  if (array === undefined) return "";
  const steps = typeof array === "string" ? array.split("/") : [];
  if (
    steps.length === 0 ||
    steps.some((step) => step === "" || step === "." || step === ".." || step.includes("\0") || step.includes("\\"))
  )
    throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `option "array": given ${show(array)}, expected a path below the folder`, {
      given: array,
      expected: 'names with "/" between them',
    });
  return `${array}/`;
}

/** The chunks of one array, under the keys that zarrita makes of their coordinates. */
export class ZarrStore {
  readonly #folder: ZarrFolder;
  readonly #path: string;
  readonly #bytesMax: number;
  readonly #hasFill: boolean;
  /** Bytes of shard indices that have been handed out. */
  indexBytes = 0;

  /** `path` is the array's, in the folder; `bytesMax` the most that a chunk may take. */
  constructor(folder: ZarrFolder, path: string, bytesMax: number, hasFill: boolean) {
    this.#folder = folder;
    this.#path = path;
    this.#bytesMax = bytesMax;
    this.#hasFill = hasFill;
  }

  /** Whether zarrita should be opened anew, with another store. */
  get isFull(): boolean {
    return this.indexBytes > INDEX_BYTES_MAX;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const bytes = await this.#folder.bytes(this.#path + key.slice(1), this.#bytesMax, undefined);
    if (bytes === undefined && !this.#hasFill) {
      const file = join(this.#folder.path, this.#path, key);
      throw new FourfoldError("ERR_FOURFOLD_FORMAT", `${file} is missing, and there is no fill value`, { given: key, at: { file } });
    }
    return bytes;
  }

  async getRange(key: string, range: Range): Promise<Uint8Array | undefined> {
    const isIndex = "suffixLength" in range;
    const bytes = await this.#folder.bytes(this.#path + key.slice(1), isIndex ? INDEX_BYTES_MAX : this.#bytesMax, range);
    if (isIndex) this.indexBytes += bytes?.length ?? 0;
    return bytes;
  }
}
