/**
 * Takes single files out of a ZIP archive (a Python wheel or a Java archive is one), so that no unpacking program is needed.
 * Source: APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16. Archives and files below 4 GiB, stored or deflated.
 */
import { createWriteStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createInflateRaw } from "node:zlib";
import { FourfoldError } from "../errors.ts";

/** A file in an archive. */
export interface Entry {
  readonly name: string;
  /** Its bytes, unpacked. */
  readonly size: number;
  readonly method: number;
  readonly packed: number;
  /** Where its local header begins. */
  readonly at: number;
}

const END = 0x06054b50;
const CENTRAL = 0x02014b50;
const STORED = 0;
const DEFLATED = 8;

/** The files of an archive. @throws FourfoldError ERR_FOURFOLD_FORMAT */
export async function readEntries(file: string): Promise<Entry[]> {
  await using handle = await open(file);
  const { size } = await handle.stat();
  // The end record is the last thing but for a comment of at most 65,535 bytes.
  const tail = await read(handle, Math.max(0, size - 65_557), Math.min(size, 65_557));
  let end = tail.length - 22;
  while (end >= 0 && tail.readUInt32LE(end) !== END) end--;
  if (end < 0) throw damaged(file);
  const count = tail.readUInt16LE(end + 10);
  const directory = await read(handle, tail.readUInt32LE(end + 16), tail.readUInt32LE(end + 12));
  const entries: Entry[] = [];
  for (let at = 0; entries.length < count; ) {
    if (at + 46 > directory.length || directory.readUInt32LE(at) !== CENTRAL) throw damaged(file);
    const nameLength = directory.readUInt16LE(at + 28);
    entries.push({
      name: directory.toString("utf8", at + 46, at + 46 + nameLength),
      size: directory.readUInt32LE(at + 24),
      method: directory.readUInt16LE(at + 10),
      packed: directory.readUInt32LE(at + 20),
      at: directory.readUInt32LE(at + 42),
    });
    at += 46 + nameLength + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
  }
  return entries;
}

/** Unpacks one file. @throws FourfoldError ERR_FOURFOLD_FORMAT if it does not unpack to its size */
export async function unpack(
  file: string,
  entry: Entry,
  to: string,
  onBytes: (bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  await using handle = await open(file);
  const local = await read(handle, entry.at, 30);
  const start = entry.at + 30 + local.readUInt16LE(26) + local.readUInt16LE(28);
  if (entry.packed === 0 || (entry.method !== STORED && entry.method !== DEFLATED)) throw damaged(file);
  let written = 0;
  const counted = new Transform({
    transform(chunk: Buffer, _, done) {
      written += chunk.length;
      onBytes(written);
      done(null, chunk);
    },
  });
  const source = handle.createReadStream({ start, end: start + entry.packed - 1, autoClose: false, highWaterMark: 1 << 20 });
  const target = createWriteStream(to, { mode: 0o755 });
  const options = signal ? { signal } : {};
  if (entry.method === STORED) await pipeline(source, counted, target, options);
  else await pipeline(source, createInflateRaw({ chunkSize: 1 << 20 }), counted, target, options);
  if (written !== entry.size) throw damaged(file);
}

async function read(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}

function damaged(file: string): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_FORMAT", `${file} is no ZIP archive that can be read`, {
    fix: "Get the file again; it may have been cut off",
    at: { file },
  });
}
