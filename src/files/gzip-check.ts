/** Compressed files before anything reads them: DuckDB takes a .gz that is cut short, or whose checksum is wrong, for a whole one. */
import { createReadStream } from "node:fs";
import { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { aborted, FourfoldError } from "../errors.ts";

const PIECE_BYTES = 1 << 18;

/** Unpacks a .gz file to nowhere. @throws FourfoldError ERR_FOURFOLD_FORMAT if it is damaged, ERR_FOURFOLD_SOURCE if it cannot be read */
export async function checkGzip(path: string, signal?: AbortSignal): Promise<void> {
  const nowhere = new Writable({ highWaterMark: PIECE_BYTES, write: (_chunk, _encoding, done) => done() });
  try {
    await pipeline(createReadStream(path, { highWaterMark: PIECE_BYTES }), createGunzip({ chunkSize: PIECE_BYTES }), nowhere, { signal });
  } catch (cause) {
    if (signal?.aborted) throw aborted(signal);
    const { code = "", message } = cause as NodeJS.ErrnoException;
    if (!code.startsWith("Z_"))
      throw new FourfoldError("ERR_FOURFOLD_SOURCE", `${path} cannot be read: ${message}`, { given: path, cause, at: { file: path } });
    throw new FourfoldError("ERR_FOURFOLD_FORMAT", `${path} is damaged: ${message}`, {
      fix: "Fetch it again",
      cause,
      at: { file: path },
    });
  }
}
