/** Where an answer goes: stdout, or a file that is written whole or not at all. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { unlinkSync } from "node:fs";
import { access, constants, type FileHandle, open, realpath, rename, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { FourfoldError, show, systemReason, throwIfAborted } from "../errors.ts";

/** Texts are gathered to pieces of about this many characters, so that a row does not cost a write. */
const PIECE = 1 << 16;

/** A place for an answer. */
export interface Destination {
  /** Whether its reader sees colours. */
  readonly colour: boolean;
  write(texts: Iterable<string>, signal: AbortSignal): Promise<void>;
}

/**
 * The place that --out names, or stdout. What can be known to be wrong with a file is found now, before the work.
 * @throws FourfoldError ERR_FOURFOLD_OUTPUT
 */
export async function openDestination(out: string | undefined): Promise<Destination> {
  if (out === undefined || out === "-")
    return { colour: process.stdout.isTTY === true && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb", write: toStdout };
  const target = await targetOf(out);
  return { colour: false, write: (texts, signal) => (target.special ? straightTo(target, texts, signal) : wholeTo(target, texts, signal)) };
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
}

async function targetOf(name: string): Promise<Target> {
  try {
    const path = await realpath(name).catch(() => join(name)); // a new file has no real path yet
    const found = await stat(path).catch(() => undefined);
    if (found?.isDirectory()) throw unwritable(name, "it is a folder", undefined, `Name a file in it: --out ${join(name, "answer.json")}`);
    const special = found !== undefined && !found.isFile();
    if (!special) {
      const folder = await stat(dirname(path)).catch(() => undefined);
      if (folder === undefined) throw unwritable(name, `there is no folder ${dirname(path)}`, undefined, "Make it first, or name another");
      if (!folder.isDirectory()) throw unwritable(name, `${dirname(path)} is not a folder`, undefined, "Name a file in a folder");
      await access(dirname(path), constants.W_OK);
    }
    return { name, path, mode: found?.isFile() ? found.mode & 0o7777 : undefined, special };
  } catch (error) {
    throw refusal(name, error);
  }
}

/** A temporary file beside the target, flushed to the disk, then renamed over it. */
async function wholeTo({ name, path, mode }: Target, texts: Iterable<string>, signal: AbortSignal): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.${randomBytes(4).toString("hex")}.tmp`);
  const discard = (): void => {
    try {
      unlinkSync(temporary);
    } catch {
      // It was never made, or is renamed by now.
    }
  };
  process.once("exit", discard); // a second Ctrl-C ends the process at once
  try {
    const file = await open(temporary, "wx");
    try {
      if (mode !== undefined) await file.chmod(mode);
      await writeAll(file, texts, signal);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    discard();
    throw refusal(name, error);
  } finally {
    process.off("exit", discard);
  }
  await flushFolder(dirname(path));
}

async function straightTo({ name, path }: Target, texts: Iterable<string>, signal: AbortSignal): Promise<void> {
  try {
    const file = await open(path, "w");
    try {
      await writeAll(file, texts, signal);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw refusal(name, error);
  }
}

async function writeAll(file: FileHandle, texts: Iterable<string>, signal: AbortSignal): Promise<void> {
  for (const piece of pieces(texts)) {
    throwIfAborted(signal);
    await file.writeFile(piece);
  }
  throwIfAborted(signal);
}

async function toStdout(texts: Iterable<string>, signal: AbortSignal): Promise<void> {
  for (const piece of pieces(texts)) {
    throwIfAborted(signal);
    if (!process.stdout.write(piece)) await once(process.stdout, "drain", { signal });
  }
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

function* pieces(texts: Iterable<string>): Generator<string> {
  let piece = "";
  for (const text of texts) {
    piece += text;
    if (piece.length < PIECE) continue;
    yield piece;
    piece = "";
  }
  if (piece !== "") yield piece;
}

/** What the system refused, as ours; an error of who makes the texts stays what it is. */
function refusal(name: string, error: unknown): unknown {
  const reason = systemReason(error);
  return reason === undefined ? error : unwritable(name, reason, error);
}

function unwritable(name: string, reason: string, cause?: unknown, fix = "Name another file; nothing was changed"): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_OUTPUT", `--out ${show(name)} cannot be written: ${reason}`, {
    given: name,
    fix,
    cause,
    at: { file: name },
  });
}
