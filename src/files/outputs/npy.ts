/** The values of a result's levels as NumPy files: NPY for one level, NPZ (a ZIP archive of stored NPY files) for several. Keys are not in them. */
import { crc32 } from "node:zlib";
import { FourfoldError } from "../../errors.ts";
import { bytesOf } from "./bits.ts";
import type { ResultTable, TableLevel } from "./result-table.ts";

/** Nodes whose values are put in order at a time. */
const PIECE_NODES = 1 << 16;

/** The header is padded so that the values start at a multiple of this, as NumPy's own does. */
const ALIGNMENT = 64;

/** The most that a field of 32 bits in a ZIP archive says itself; beyond it a field of 64 bits does. */
const ZIP_FIELD_MAX = 0xffff_ffff;

/** The first day a ZIP archive can name: equal results give equal bytes. */
const ZIP_DATE = (1 << 5) | 1;

/** @throws FourfoldError ERR_FOURFOLD_ARGUMENT for several levels */
export function npy({ levels }: ResultTable): Iterable<Uint8Array> {
  const [level, other] = levels;
  if (other !== undefined)
    throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `an NPY file holds one level, given ${levels.map(({ name }) => name).join(", ")}`, {
      given: levels.map(({ name }) => name),
      expected: "one level",
      fix: "Name one level to keep, or write NPZ, which holds several",
    });
  return arrayOf(level!);
}

/** The NPY file of a level: float64, C order, the outputs as the last axis where there are several. */
function* arrayOf(level: TableLevel): Generator<Uint8Array> {
  yield headerOf(level);
  yield* valuesOf(level);
}

function headerOf({ shape, outputs }: TableLevel): Uint8Array {
  const axes = outputs === 1 ? shape : [...shape, outputs];
  const tuple = axes.length === 1 ? `(${axes[0]},)` : `(${axes.join(", ")})`;
  const dictionary = `{'descr': '<f8', 'fortran_order': False, 'shape': ${tuple}, }`;
  const before = 10; // magic, version, length of the header
  const length = ALIGNMENT * Math.ceil((before + dictionary.length + 1) / ALIGNMENT) - before;
  const header = Buffer.alloc(before + length, " ");
  header.write("\x93NUMPY\x01\x00", 0, "latin1");
  header.writeUInt16LE(length, 8);
  header.write(dictionary, before, "latin1");
  header.write("\n", before + length - 1, "latin1");
  return header;
}

function* valuesOf({ view, outputs }: TableLevel): Generator<Uint8Array> {
  const { values, length } = view;
  for (let start = 0; start < length; start += PIECE_NODES) {
    const end = Math.min(start + PIECE_NODES, length);
    if (outputs === 1) {
      yield bytesOf(values.subarray(start, end));
      continue;
    }
    const piece = new Float64Array((end - start) * outputs);
    for (let r = 0; r < outputs; r++)
      for (let node = start; node < end; node++) piece[(node - start) * outputs + r] = values[r * length + node]!;
    yield bytesOf(piece);
  }
}

/** A member of the archive. */
interface Member {
  readonly name: Uint8Array;
  readonly crc: number;
  readonly bytes: number;
  readonly offset: number;
}

/** One member `LEVEL.npy` for each level, stored. */
export function* npz({ levels }: ResultTable): Generator<Uint8Array> {
  const members: Member[] = [];
  let offset = 0;
  for (const level of levels) {
    const name = Buffer.from(`${memberName(level.name)}.npy`, "utf8");
    let crc = 0;
    let bytes = 0;
    for (const piece of arrayOf(level)) {
      crc = crc32(piece, crc);
      bytes += piece.length;
    }
    const member = { name, crc, bytes, offset };
    const head = localHeader(member);
    members.push(member);
    yield head;
    yield* arrayOf(level);
    offset += head.length + bytes;
  }
  const directory = Buffer.concat(members.map(directoryEntry));
  yield directory;
  yield endOfDirectory(members.length, directory.length, offset);
}

/** A name that stays in its folder when the archive is unpacked. */
function memberName(level: string): string {
  return level.replace(/[%/\\\p{Cc}\p{Surrogate}]|^\./gu, (part) => `%${part.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
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

function localHeader({ name, crc, bytes }: Member): Buffer {
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

function endOfDirectory(members: number, bytes: number, offset: number): Buffer {
  const end = fields([0x06054b50, 4], [0, 2], [0, 2], [members, 2], [members, 2], [capped(bytes), 4], [capped(offset), 4], [0, 2]);
  if (offset < ZIP_FIELD_MAX) return end;
  const long = fields([0x06064b50, 4], [44, 8], [45, 2], [45, 2], [0, 4], [0, 4], [members, 8], [members, 8], [bytes, 8], [offset, 8]);
  return Buffer.concat([long, fields([0x07064b50, 4], [0, 4], [offset + bytes, 8], [1, 4]), end]);
}
