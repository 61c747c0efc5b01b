/** What makes names durable: a file that was made or renamed survives a power cut once its folder is flushed, too. */
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";

/** Errors of systems that cannot open or flush a folder: there the rename has to do. */
const UNABLE: readonly string[] = ["EISDIR", "EPERM", "EACCES", "EINVAL", "ENOTSUP"];

/** Flushes a folder's entries to the disk, where the system can. */
export async function flushFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, "r");
    await handle.sync().finally(() => handle.close());
  } catch (error) {
    if (!UNABLE.includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}

/**
 * Writes a file of `dir` whole or not at all: under the name `unfinished` first, flushed, then renamed over `name`, and the folder flushed. When it
 * resolves, the bytes are on the disk; if it throws, what was there before is as it was.
 */
export async function writeWhole(dir: string, name: string, unfinished: string, pieces: readonly Uint8Array[]): Promise<void> {
  const temporary = join(dir, unfinished);
  try {
    const file = await open(temporary, "w");
    try {
      for (const bytes of pieces) await writeAll(file, bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, join(dir, name));
    await flushFolder(dir);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
}
