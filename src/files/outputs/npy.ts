/** The values of a result's levels as NumPy files: NPY for one level, NPZ (a ZIP archive of stored NPY files) for several. Keys are not in them. */
import { crc32 } from "node:zlib";
import { FourfoldError } from "../../errors.ts";
import { bytesOf } from "./bits.ts";
import type { ResultTable, TableLevel } from "./result-table.ts";
import { directoryOf, localHeader, type Member } from "./stored-zip.ts";

/** Nodes whose values are put in order at a time. */
const PIECE_NODES = 1 << 16;

/** The header is padded so that the values start at a multiple of this, as NumPy's own does. */
const ALIGNMENT = 64;

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
  yield directoryOf(members, offset);
}

/** A name that stays in its folder when the archive is unpacked. */
function memberName(level: string): string {
  return level.replace(/[%/\\\p{Cc}\p{Surrogate}]|^\./gu, (part) => `%${part.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
}
