/** What makes names durable: a file that was made or renamed survives a power cut once its folder is flushed, too. */
import { open } from "node:fs/promises";

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
