// Damage for files: bit flips, runs of bytes, cuts, lengths set to extremes, splices and repetitions, from a seed.
import type { Random } from "../random.ts";

/** Lengths that readers stumble over. */
const EXTREMES: readonly (readonly number[])[] = [
  [0xff, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0x7f],
  [0x00, 0x00, 0x00, 0x80],
  [0x00, 0x00, 0x00, 0x00],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xfe, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
];
/** Text that readers of text stumble over. */
const TEXTS: readonly string[] = [
  '"',
  "'",
  "\n",
  "\r",
  "\0",
  ",",
  "{",
  "[",
  "\\u",
  "\\",
  "1e999",
  "-",
  "NaN",
  "[".repeat(2000),
  '{"a":'.repeat(500),
  "9".repeat(400),
  ",".repeat(300),
  "\ufeff",
  "\u{1f600}",
];

/** A copy of `bytes`, damaged in one to three ways. Half of the places are in the last 500 bytes or the first 100, where lengths stand. */
export function mutant(bytes: Uint8Array, { int, pick }: Random): Buffer {
  let result = Buffer.from(bytes);
  for (let n = 1 + int(3); n > 0; n--) result = damaged(result, int, pick);
  return result;
}

function damaged(bytes: Buffer<ArrayBuffer>, int: Random["int"], pick: Random["pick"]): Buffer<ArrayBuffer> {
  const length = bytes.length;
  if (length === 0) return bytes;
  const place = (): number => pick([int(length), int(length), Math.max(0, length - 1 - int(500)), Math.min(length - 1, int(100))]);
  const at = place();
  const run = Math.min(length - at, 1 + int(64));
  switch (int(9)) {
    case 0:
    case 1:
      for (let n = 0; n <= int(8); n++) bytes[place()]! ^= 1 << int(8);
      return bytes;
    case 2:
      bytes.fill(pick([0, 0xff, 0x80, int(256)]), at, at + run);
      return bytes;
    case 3:
      return bytes.subarray(0, at);
    case 4:
      bytes.set(pick(EXTREMES).slice(0, length - at), at);
      return bytes;
    case 5:
      bytes.copyWithin(place(), at, at + run);
      return bytes;
    case 6:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + run)]);
    case 7:
      return Buffer.concat([bytes.subarray(0, at + run), bytes.subarray(at)]);
    default:
      return Buffer.concat([bytes.subarray(0, at), Buffer.from(pick(TEXTS)), bytes.subarray(at)]);
  }
}
