/** The headers of a ZIP archive whose members are stored as they are (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT), with fields of 64 bits where they are needed. */

/** The most that a field of 32 bits in a ZIP archive says itself; beyond it a field of 64 bits does. */
const ZIP_FIELD_MAX = 0xffff_ffff;

/** The first day a ZIP archive can name: equal results give equal bytes. */
const ZIP_DATE = (1 << 5) | 1;

/** A member of the archive. */
export interface Member {
  readonly name: Uint8Array;
  readonly crc: number;
  readonly bytes: number;
  readonly offset: number;
}

/** Names are UTF-8. */
const FLAGS = 0x0800;

function fields(...list: readonly (readonly [value: number, bytes: 2 | 4 | 8])[]): Buffer {
  const all = Buffer.alloc(list.reduce((total, [, bytes]) => total + bytes, 0));
  let at = 0;
  for (const [value, bytes] of list) {
    if (bytes === 8) all.writeBigUInt64LE(BigInt(value), at);
    else all.writeUIntLE(value, at, bytes);
    at += bytes;
  }
  return all;
}

const capped = (value: number): number => Math.min(value, ZIP_FIELD_MAX);

/** Fields of 64 bits, where one of them is needed. */
function longFields(values: readonly number[]): Buffer {
  if (values.every((value) => value < ZIP_FIELD_MAX)) return Buffer.alloc(0);
  return Buffer.concat([fields([1, 2], [8 * values.length, 2]), fields(...values.map((value): readonly [number, 8] => [value, 8]))]);
}

/** Version 4.5 has fields of 64 bits. */
const versionFor = (long: Uint8Array): number => (long.length > 0 ? 45 : 20);

/** What stands before a member. */
export function localHeader({ name, crc, bytes }: Member): Buffer {
  const long = longFields([bytes, bytes]);
  const size = long.length > 0 ? ZIP_FIELD_MAX : bytes;
  const head = fields([0x04034b50, 4], [versionFor(long), 2], [FLAGS, 2], [0, 2], [0, 2], [ZIP_DATE, 2], [crc, 4], [size, 4], [size, 4]);
  return Buffer.concat([head, fields([name.length, 2], [long.length, 2]), name, long]);
}

function directoryEntry({ name, crc, bytes, offset }: Member): Buffer {
  const long = longFields([bytes, bytes, offset]);
  const [size, start] = long.length > 0 ? [ZIP_FIELD_MAX, ZIP_FIELD_MAX] : [bytes, offset];
  const version = versionFor(long);
  return Buffer.concat([
    fields([0x02014b50, 4], [version, 2], [version, 2], [FLAGS, 2], [0, 2], [0, 2], [ZIP_DATE, 2], [crc, 4], [size, 4], [size, 4]),
    fields([name.length, 2], [long.length, 2], [0, 2], [0, 2], [0, 2], [0, 4], [start, 4]),
    name,
    long,
  ]);
}

/** What stands after the members: where each of them is. `offset` is where it begins. */
export function directoryOf(members: readonly Member[], offset: number): Buffer {
  const directory = Buffer.concat(members.map(directoryEntry));
  return Buffer.concat([directory, endOfDirectory(members.length, directory.length, offset)]);
}

function endOfDirectory(members: number, bytes: number, offset: number): Buffer {
  const end = fields([0x06054b50, 4], [0, 2], [0, 2], [members, 2], [members, 2], [capped(bytes), 4], [capped(offset), 4], [0, 2]);
  if (offset < ZIP_FIELD_MAX) return end;
  const long = fields([0x06064b50, 4], [44, 8], [45, 2], [45, 2], [0, 4], [0, 4], [members, 8], [members, 8], [bytes, 8], [offset, 8]);
  return Buffer.concat([long, fields([0x07064b50, 4], [0, 4], [offset + bytes, 8], [1, 4]), end]);
}
