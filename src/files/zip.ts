/**
 * ZIP archives as containers of tensors (APPNOTE.TXT 6.3.10, sections 4.3 to 4.5): the directory, with ZIP64, and where a member's bytes
 * lie. An archive is untrusted: every length is checked against the file before anything is allocated, and members may not overlap.
 */
import type { FileHandle } from "node:fs/promises";
import { FourfoldError } from "../errors.ts";
import { readBytes } from "./reading.ts";

/** A member of an archive, as the directory has it. */
export interface ZipMember {
  readonly name: string;
  readonly method: number;
  readonly encrypted: boolean;
  readonly crc32: number;
  /** Its bytes in the archive, and unpacked. */
  readonly packed: number;
  readonly size: number;
  /** Where its local header begins, and the first byte that belongs to something else. */
  readonly at: number;
  readonly end: number;
}

/** How members may lie in an archive. */
export const STORED = 0;
/** Compressed by DEFLATE (RFC 1951). */
export const DEFLATED = 8;

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END_BYTES = 22;
const END64_BYTES = 56;
const LOCATOR64_BYTES = 20;
/** The end record is the last thing but for a comment of at most 65,535 bytes; a ZIP64 locator lies before it. */
const TAIL_BYTES = LOCATOR64_BYTES + END_BYTES + 0xffff;
/** A directory of more than a hundred thousand members: no archive of tensors is near it. */
const DIRECTORY_BYTES_MAX = 1 << 24;
/** DEFLATE cannot make more of a byte: 258 bytes from two codes of one bit each. */
const DEFLATE_RATIO_MAX = 1032;
/** What a 16-bit or 32-bit field holds when the true value stands in a ZIP64 record. */
const NONE16 = 0xffff;
const NONE32 = 0xffff_ffff;

/** The error for an archive that is not what it says. */
export function damagedZip(path: string, byte: number, what: string, detail: { given?: unknown; expected?: unknown } = {}): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_FORMAT", `${path}: byte ${byte}: ${what}`, {
    ...detail,
    at: { file: path, index: byte },
    fix: "The archive may be truncated or damaged: fetch or save it again",
  });
}

/** The members of an archive, in the order of the directory. @throws FourfoldError ERR_FOURFOLD_FORMAT */
export async function readZipDirectory(handle: FileHandle, path: string, size: number): Promise<ZipMember[]> {
  const { at, bytes, count } = await findDirectory(handle, path, size);
  if (at + bytes > size || bytes > DIRECTORY_BYTES_MAX || count * CENTRAL_BYTES > bytes)
    throw damagedZip(path, at, `the directory claims ${count} members in ${bytes} bytes, which cannot be`, {
      given: bytes,
      expected: size - at,
    });
  const directory = Buffer.alloc(bytes);
  await readBytes(handle, path, directory, at);
  const members: ZipMember[] = [];
  let next = 0;
  for (let i = 0; i < count; i++) {
    if (next + CENTRAL_BYTES > bytes || directory.readUInt32LE(next) !== CENTRAL)
      throw damagedZip(path, at + next, `member ${i} of the directory is missing`);
    const [names, extras, comments] = [28, 30, 32].map((field) => directory.readUInt16LE(next + field)) as [number, number, number];
    const length = CENTRAL_BYTES + names + extras + comments;
    if (next + length > bytes) throw damagedZip(path, at + next, `member ${i} of the directory is cut off`);
    members.push(memberOf(directory.subarray(next, next + length), names, extras, path, at + next, at));
    next += length;
  }
  return apart(members, path);
}

async function findDirectory(handle: FileHandle, path: string, size: number): Promise<{ at: number; bytes: number; count: number }> {
  const tail = Buffer.alloc(Math.min(size, TAIL_BYTES));
  const start = size - tail.length;
  await readBytes(handle, path, tail, start);
  let end = tail.length - END_BYTES;
  while (end >= 0 && (tail.readUInt32LE(end) !== END || end + END_BYTES + tail.readUInt16LE(end + 20) !== tail.length)) end--;
  if (end < 0) throw damagedZip(path, size, "the archive has no directory at its end");
  const count = tail.readUInt16LE(end + 10);
  const bytes = tail.readUInt32LE(end + 12);
  const at = tail.readUInt32LE(end + 16);
  const disks = tail.readUInt16LE(end + 8) !== count || tail.readUInt16LE(end + 4) !== 0;
  const locator = end - LOCATOR64_BYTES;
  if (count !== NONE16 && bytes !== NONE32 && at !== NONE32) {
    if (disks) throw damagedZip(path, start + end, "an archive in several parts is not read");
    return { at, bytes, count };
  }
  if (locator < 0 || tail.readUInt32LE(locator) !== LOCATOR64) {
    if (disks || bytes === NONE32 || at === NONE32) throw damagedZip(path, start + end, "the ZIP64 locator is missing");
    return { at, bytes, count }; // exactly 65,535 members
  }
  const record = toNumber(tail.readBigUInt64LE(locator + 8), path, start + locator);
  if (record + END64_BYTES > start + locator)
    throw damagedZip(path, start + locator, "the ZIP64 locator points behind itself", { given: record });
  const end64 = Buffer.alloc(END64_BYTES);
  await readBytes(handle, path, end64, record);
  if (end64.readUInt32LE(0) !== END64) throw damagedZip(path, record, "the ZIP64 end record is missing");
  const field = (offset: number): number => toNumber(end64.readBigUInt64LE(offset), path, record + offset);
  if (end64.readUInt32LE(16) !== 0 || field(24) !== field(32)) throw damagedZip(path, record, "an archive in several parts is not read");
  return { count: field(32), bytes: field(40), at: field(48) };
}

/** `directory` is the byte at which the directory begins: all members end before it. */
function memberOf(entry: Buffer, names: number, extras: number, path: string, byte: number, directory: number): ZipMember {
  const name = entry.toString("utf8", CENTRAL_BYTES, CENTRAL_BYTES + names);
  const extra = entry.subarray(CENTRAL_BYTES + names, CENTRAL_BYTES + names + extras);
  let wide: Buffer = Buffer.alloc(0);
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2))
    if (extra.readUInt16LE(at) === 1) wide = extra.subarray(at + 4, at + 4 + extra.readUInt16LE(at + 2));
  let used = 0;
  /** A field of 32 bits, or the next of 64 in the ZIP64 extra field, which holds only those that need it. */
  const field = (offset: number): number => {
    const value = entry.readUInt32LE(offset);
    if (value !== NONE32 || wide.length === 0) return value;
    if (used + 8 > wide.length) throw damagedZip(path, byte, "the ZIP64 field of a member is cut off", { given: name });
    used += 8;
    return toNumber(wide.readBigUInt64LE(used - 8), path, byte);
  };
  const size = field(24);
  const packed = field(20);
  const at = field(42);
  const method = entry.readUInt16LE(10);
  if (at + LOCAL_BYTES + names + packed > directory)
    throw damagedZip(path, byte, `member ${JSON.stringify(name.slice(0, 60))} claims to end behind the directory's beginning`, {
      given: at + packed,
      expected: directory,
    });
  if ((method === STORED && size !== packed) || (method === DEFLATED && size > packed * DEFLATE_RATIO_MAX))
    throw damagedZip(path, byte, `member ${JSON.stringify(name.slice(0, 60))} claims ${size} bytes from ${packed}, which cannot be`, {
      given: size,
      expected: method === STORED ? packed : `at most ${packed * DEFLATE_RATIO_MAX}`,
    });
  const encrypted = (entry.readUInt16LE(8) & 1) !== 0;
  return { name, method, encrypted, crc32: entry.readUInt32LE(16), packed, size, at, end: directory };
}

/** Refuses members that share bytes, and says where each one's neighbour begins. */
function apart(members: readonly ZipMember[], path: string): ZipMember[] {
  const byPlace = members.map((_, i) => i).sort((a, b) => members[a]!.at - members[b]!.at);
  const result = [...members];
  for (let i = 0; i + 1 < byPlace.length; i++) {
    const member = members[byPlace[i]!]!;
    const next = members[byPlace[i + 1]!]!;
    if (member.at + LOCAL_BYTES + member.packed > next.at)
      throw damagedZip(
        path,
        next.at,
        `members ${JSON.stringify(member.name.slice(0, 60))} and ${JSON.stringify(next.name.slice(0, 60))} overlap`,
      );
    result[byPlace[i]!] = { ...member, end: next.at };
  }
  return result;
}

/** The byte at which a member's packed bytes start; its local header must be the directory's. @throws FourfoldError ERR_FOURFOLD_FORMAT */
export async function memberStart(handle: FileHandle, path: string, member: ZipMember): Promise<number> {
  const { name, at, packed, end, method } = member;
  const local = Buffer.alloc(LOCAL_BYTES);
  await readBytes(handle, path, local, at);
  if (local.readUInt32LE(0) !== LOCAL) throw damagedZip(path, at, `the header of member ${JSON.stringify(name.slice(0, 60))} is missing`);
  const names = local.readUInt16LE(26);
  const start = at + LOCAL_BYTES + names + local.readUInt16LE(28);
  if (start + packed > end)
    throw damagedZip(path, at, `member ${JSON.stringify(name.slice(0, 60))} runs into what follows it`, {
      given: start + packed,
      expected: end,
    });
  const given = Buffer.alloc(names);
  await readBytes(handle, path, given, at + LOCAL_BYTES);
  if (given.toString("utf8") !== name || local.readUInt16LE(8) !== method)
    throw damagedZip(path, at, `the header of member ${JSON.stringify(name.slice(0, 60))} is not the one in the directory`);
  return start;
}

function toNumber(value: bigint, path: string, byte: number): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw damagedZip(path, byte, "a length is beyond 2^53", { given: value });
  return Number(value);
}
