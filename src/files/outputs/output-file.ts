/** A file that is written whole or not at all: beside its place first, then on the disk, then under its name. It knows nothing of results. */
import { randomBytes } from "node:crypto";
import { unlinkSync } from "node:fs";
import { access, constants, type FileHandle, open, readdir, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { FourfoldError, show, systemReason, throwIfAborted } from "../../errors.ts";
import { gathered, type Pieces } from "./pieces.ts";

/** What a killed process has left is removed when it is this old: younger files may be another machine's, whose processes are not known here. */
const LEFT_MS = 600_000;

/** A place for a file. */
export interface OutputFile {
  /**
   * Writes the file. Under its name there is the old file, or none, until the new one is whole and on the disk; after an error, an abort, and
   * when the process is killed, too. Devices and pipes, which cannot be replaced, are written to directly.
   * @throws FourfoldError ERR_FOURFOLD_OUTPUT, ERR_FOURFOLD_ABORTED
   */
  write(pieces: Pieces, signal?: AbortSignal): Promise<void>;
  /** Removes at once what a write that is under way has made: for a listener to the process's `exit`. */
  discard(): void;
}

interface Target {
  /** As the caller wrote it. */
  readonly name: string;
  /** The file itself, after symbolic links. */
  readonly path: string;
  /** The permissions of the file that is replaced. */
  readonly mode: number | undefined;
  /** A device or a pipe: it cannot be replaced, only written to. */
  readonly special: boolean;
  /** The temporary files of writes that are under way. */
  readonly unfinished: Set<string>;
}

/**
 * The place of a file. What can be known to be wrong with it is found now, before the work.
 * @throws FourfoldError ERR_FOURFOLD_OUTPUT
 */
export async function outputFile(name: string): Promise<OutputFile> {
  const target = await targetOf(name);
  return {
    write: (pieces, signal) => (target.special ? straightTo(target, pieces, signal) : wholeTo(target, pieces, signal)),
    discard: () => {
      for (const path of target.unfinished) discard(path);
    },
  };
}

async function targetOf(name: string): Promise<Target> {
  try {
    const path = await realpath(name).catch(() => join(name)); // a new file has no real path yet
    const found = await stat(path).catch(() => undefined);
    if (found?.isDirectory())
      throw unwritable(name, "it is a folder", undefined, `Name a file in it, for example ${join(name, "answer.json")}`);
    const special = found !== undefined && !found.isFile();
    if (!special) {
      const folder = await stat(dirname(path)).catch(() => undefined);
      if (folder === undefined) throw unwritable(name, `there is no folder ${dirname(path)}`, undefined, "Make it first, or name another");
      if (!folder.isDirectory()) throw unwritable(name, `${dirname(path)} is not a folder`, undefined, "Name a file in a folder");
      await access(dirname(path), constants.W_OK);
    }
    return { name, path, mode: found?.isFile() ? found.mode & 0o7777 : undefined, special, unfinished: new Set() };
  } catch (error) {
    throw refusal(name, error);
  }
}

/** A temporary file beside the target, flushed to the disk, then renamed over it. */
async function wholeTo({ name, path, mode, unfinished }: Target, pieces: Pieces, signal: AbortSignal | undefined): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.${randomBytes(4).toString("hex")}.tmp`);
  unfinished.add(temporary);
  try {
    await removeLeft(path);
    const file = await open(temporary, "wx");
    try {
      if (mode !== undefined) await file.chmod(mode);
      await writeAll(file, pieces, signal);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    discard(temporary);
    throw refusal(name, error);
  } finally {
    unfinished.delete(temporary);
  }
  await flushFolder(dirname(path));
}

function discard(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It was never made, or is renamed by now.
  }
}

/** Removes what processes that were killed while they wrote the same file have left beside it. */
async function removeLeft(path: string): Promise<void> {
  const folder = dirname(path);
  const start = `.${basename(path)}.`;
  for (const name of await readdir(folder).catch(() => [])) {
    const [, pid] = (name.startsWith(start) && /^(\d{1,10})\.[0-9a-f]{8}\.tmp$/.exec(name.slice(start.length))) || [];
    if (pid === undefined || isRunning(Number(pid))) continue;
    const left = join(folder, name);
    const found = await stat(left).catch(() => undefined);
    if (found !== undefined && Date.now() - found.mtimeMs > LEFT_MS) await rm(left, { force: true }).catch(() => {});
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

async function straightTo({ name, path }: Target, pieces: Pieces, signal: AbortSignal | undefined): Promise<void> {
  try {
    const file = await open(path, "w");
    try {
      await writeAll(file, pieces, signal);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw refusal(name, error);
  }
}

async function writeAll(file: FileHandle, pieces: Pieces, signal: AbortSignal | undefined): Promise<void> {
  for (const piece of gathered(pieces)) {
    throwIfAborted(signal);
    if (piece.length > 0) await file.writeFile(piece);
    else await turn(); // the maker of the pieces works for long
  }
  throwIfAborted(signal);
}

/** The new name must survive a power cut, too. Some systems cannot open a folder: there the rename has to do. */
async function flushFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, "r");
    await handle.sync().finally(() => handle.close());
  } catch {
    // Nothing is lost but the guarantee against a power cut.
  }
}

/** What the system refused, as ours; an error of who makes the pieces stays what it is. */
function refusal(name: string, error: unknown): unknown {
  const reason = systemReason(error);
  return reason === undefined ? error : unwritable(name, reason, error);
}

function unwritable(name: string, reason: string, cause?: unknown, fix = "Name another file; nothing was changed"): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_OUTPUT", `the output ${show(name)} cannot be written: ${reason}`, {
    given: name,
    fix,
    cause,
    at: { file: name },
  });
}
