/**
 * Sealed files: each is whole or not there, and says so itself. It knows nothing of what they hold.
 *
 * A file: four letters of its kind, format version 1, three zero bytes, sequence and length of the payload (uint64, little endian), SHA-256 of the
 * payload, four zero bytes, CRC-32 of these 60 bytes (uint32, little endian), the payload.
 */
import { type FileHandle, open } from "node:fs/promises";
import { type ErrorCode, FourfoldError, systemReason } from "../errors.ts";
import { crc32 } from "../reduce/crc.ts";
import { writeWhole } from "./flush.ts";

const FORMAT_VERSION = 1;
const VERSION_AT = 4;
const SEQUENCE_AT = 8;
const LENGTH_AT = 16;
const HASH_AT = 24;
const CRC_AT = 60;
const HEADER_BYTES = 64;

/** A kind of sealed file: its four letters, and how errors speak of it. */
export interface SealedKind {
  /** Four ASCII letters that its files start with. */
  readonly magic: string;
  /** Such as "checkpoint". */
  readonly noun: string;
  readonly code: ErrorCode;
  /** The option that limits its bytes, and how it is called in messages. */
  readonly limit: { readonly option: string; readonly of: string };
}

/** A sealed file that could be read. */
export interface Sealed {
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** Writes a sealed file, as {@link writeWhole} does. */
export async function writeSealed(
  dir: string,
  name: string,
  unfinished: string,
  { magic }: SealedKind,
  { sequence, payload }: Sealed,
): Promise<void> {
  await writeWhole(dir, name, unfinished, [await headerOf(magic, sequence, payload), payload]);
}

async function headerOf(magic: string, sequence: number, payload: Uint8Array): Promise<Uint8Array> {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  header.set(bytesOf(magic));
  header[VERSION_AT] = FORMAT_VERSION;
  view.setBigUint64(SEQUENCE_AT, BigInt(sequence), true);
  view.setBigUint64(LENGTH_AT, BigInt(payload.length), true);
  header.set(await sha256(payload), HASH_AT);
  view.setUint32(CRC_AT, crc32(header.subarray(0, CRC_AT)), true);
  return header;
}

const bytesOf = (magic: string): Uint8Array => Uint8Array.from(magic, (letter) => letter.charCodeAt(0));

/** Megabytes are hashed on another thread, so that others go on meanwhile. */
const sha256 = async (bytes: Uint8Array): Promise<Uint8Array> =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));

/**
 * What a sealed file holds; undefined if there is no such file; what is wrong with it if it is damaged. Nothing is taken on trust, least of all a
 * length. A whole one that this process may not read is thrown: an older one must not stand in for it.
 */
export async function readSealed(path: string, kind: SealedKind, bytesMax: number): Promise<Sealed | FourfoldError | undefined> {
  const damage = (problem: string): FourfoldError =>
    new FourfoldError(kind.code, `the ${kind.noun} ${path} is damaged: ${problem}`, { at: { file: path } });
  let file: FileHandle | undefined;
  try {
    file = await open(path, "r");
    const { size } = await file.stat();
    if (size < HEADER_BYTES) return damage(`it ends after ${size} bytes, inside its header`);
    const header = await readAll(file, HEADER_BYTES, 0);
    const view = new DataView(header.buffer, header.byteOffset, HEADER_BYTES);
    if (bytesOf(kind.magic).some((byte, i) => header[i] !== byte))
      return damage(`it is no ${kind.noun}: it does not start with ${kind.magic}`);
    if (view.getUint32(CRC_AT, true) !== crc32(header.subarray(0, CRC_AT))) return damage("the checksum of its header is wrong");
    const version = header[VERSION_AT];
    if (version !== FORMAT_VERSION)
      throw damage(`it has format version ${version}, this package reads ${FORMAT_VERSION}: read it with the version that wrote it`);
    const length = Number(view.getBigUint64(LENGTH_AT, true));
    const sequence = Number(view.getBigUint64(SEQUENCE_AT, true));
    if (size !== HEADER_BYTES + length) return damage(`it has ${size - HEADER_BYTES} bytes after its header, which says ${length}`);
    if (length > bytesMax) {
      const { option, of } = kind.limit;
      throw unreadable(kind, path, `it has ${length} bytes, option "${option}" of ${of} is ${bytesMax}`, `Raise ${option}`);
    }
    const payload = await readAll(file, length, HEADER_BYTES);
    if ((await sha256(payload)).some((byte, i) => byte !== header[HASH_AT + i]))
      return damage("its bytes are not those it was written with");
    return { sequence, payload };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    if (code === "EIO") return damage("the disk cannot read it");
    const reason = systemReason(error);
    throw reason === undefined ? error : unreadable(kind, path, reason, "Give this process the right to read it", error);
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

function unreadable({ code, noun }: SealedKind, path: string, problem: string, fix: string, cause?: unknown): FourfoldError {
  return new FourfoldError(code, `the ${noun} ${path} cannot be read: ${problem}`, { fix, cause, at: { file: path } });
}

/** What the system refused in a folder of sealed files, as ours; another error stays what it is. */
export function unwritable({ code, noun }: SealedKind, dir: string, error: unknown, fix: string): unknown {
  const reason = systemReason(error);
  if (reason === undefined) return error;
  return new FourfoldError(code, `the ${noun} in ${JSON.stringify(dir)} cannot be written: ${reason}`, {
    given: dir,
    fix,
    cause: error,
    at: { file: dir },
  });
}
