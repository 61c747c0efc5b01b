/**
 * The items of tensors in files: how each type lies there, which of ours it is read as, and the decoding. Every type that is read is
 * read exactly; for 64-bit integers, which float64 does not hold beyond 2^53, there is a policy. No files are opened here.
 */
import { half } from "../arrow/numbers.ts";
import { badOption, FourfoldError } from "../errors.ts";
import type { Dtype, TypedData } from "../types.ts";

/** The type of an item in a file. 16-bit floats are read as f32, uint16 as i32, uint32 and 64-bit integers as f64, booleans as u8. */
export type FileDtype = Dtype | "f16" | "bool" | "u16" | "u32" | "i64" | "u64";

/**
 * What is done with 64-bit integers, which are read as float64: `"exact"` (an integer beyond ±2^53 is an error that names item and byte),
 * `"number"` (it becomes the nearest float64), or `"reject"` (the type is refused when the file is opened).
 */
export type Int64Policy = "exact" | "number" | "reject";

/** How the items of one tensor lie in its file, and how they are read. */
export interface Items {
  readonly type: FileDtype;
  readonly bigEndian: boolean;
  readonly int64: Int64Policy;
}

/** Where the items that are being decoded come from, for messages: the byte and the number of the first. */
export interface ItemsFrom {
  readonly file: string;
  /** Undefined where the bytes come out of a compressed chunk. */
  readonly byte: number | undefined;
  readonly item: number;
}

/** Bytes of an item. */
export const BYTES_OF: Readonly<Record<FileDtype, 1 | 2 | 4 | 8>> = {
  f64: 8,
  f32: 4,
  f16: 2,
  i64: 8,
  u64: 8,
  i32: 4,
  u32: 4,
  i16: 2,
  u16: 2,
  i8: 1,
  u8: 1,
  bool: 1,
};

/** The typed array of each of our types. */
export const ARRAY_OF: {
  readonly f64: Float64ArrayConstructor;
  readonly f32: Float32ArrayConstructor;
  readonly i32: Int32ArrayConstructor;
  readonly i16: Int16ArrayConstructor;
  readonly i8: Int8ArrayConstructor;
  readonly u8: Uint8ArrayConstructor;
} = { f64: Float64Array, f32: Float32Array, i32: Int32Array, i16: Int16Array, i8: Int8Array, u8: Uint8Array };

const READ_AS = { f16: "f32", bool: "u8", u16: "i32", u32: "f64", i64: "f64", u64: "f64" } as const;

/** The type that items of `type` are read as. */
export function dtypeOf(type: FileDtype): Dtype {
  return type in READ_AS ? READ_AS[type as keyof typeof READ_AS] : (type as Dtype);
}

/** Whether the items lie in the file as they do in memory. */
export function isPlain({ type, bigEndian }: Items): boolean {
  return dtypeOf(type) === type && (!bigEndian || BYTES_OF[type] === 1);
}

/** The int64 policy of a caller. @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function int64Policy(given: Int64Policy | undefined): Int64Policy {
  const policy = given ?? "exact";
  if (policy !== "exact" && policy !== "number" && policy !== "reject") throw badOption("int64", given, '"exact", "number" or "reject"');
  return policy;
}

/**
 * Decodes `bytes` (whole items, aligned to their size; their order is changed where they are big endian) into `target` from `at` on.
 * @throws FourfoldError ERR_FOURFOLD_INTEGER beyond 2^53, ERR_FOURFOLD_FORMAT for a boolean that is neither 0 nor 1
 */
export function decodeItems(bytes: Uint8Array<ArrayBuffer>, items: Items, target: TypedData, at: number, from: ItemsFrom): void {
  const size = BYTES_OF[items.type];
  const n = bytes.length / size;
  const { buffer, byteOffset } = bytes;
  if (items.bigEndian) swap(bytes, size);
  switch (items.type) {
    case "f16":
      halves(new Uint16Array(buffer, byteOffset, n), target, at);
      break;
    case "bool":
      booleans(bytes, target, at, from);
      break;
    case "u16":
      target.set(new Uint16Array(buffer, byteOffset, n), at);
      break;
    case "u32":
      target.set(new Uint32Array(buffer, byteOffset, n), at);
      break;
    case "i64":
    case "u64":
      integers(new Uint32Array(buffer, byteOffset, 2 * n), items, target, at, from);
      break;
    default:
      target.set(new ARRAY_OF[items.type](buffer, byteOffset, n), at);
  }
}

function swap({ buffer, byteOffset, length }: Uint8Array<ArrayBuffer>, size: 1 | 2 | 4 | 8): void {
  const bytes = Buffer.from(buffer, byteOffset, length);
  if (size === 2) bytes.swap16();
  else if (size === 4) bytes.swap32();
  else if (size === 8) bytes.swap64();
}

/** IEEE 754 binary16, which float32 holds exactly. */
function halves(words: Uint16Array, target: TypedData, at: number): void {
  for (let i = 0; i < words.length; i++) target[at + i] = half(words[i]!);
}

function booleans(bytes: Uint8Array, target: TypedData, at: number, from: ItemsFrom): void {
  for (let i = 0; i < bytes.length; i++)
    if (bytes[i]! > 1)
      throw new FourfoldError("ERR_FOURFOLD_FORMAT", `${from.file}: ${placeOf(from, i, 1)} is ${bytes[i]}, which is no boolean`, {
        given: bytes[i],
        expected: "0 or 1",
        at: { file: from.file, index: from.item + i },
      });
  target.set(bytes, at);
}

/** 64-bit integers as float64, from their words, low word first. */
function integers(words: Uint32Array, { type, int64 }: Items, target: TypedData, at: number, from: ItemsFrom): void {
  const exact = int64 !== "number";
  const signed = type === "i64";
  for (let i = 0; i < words.length; i += 2) {
    const low = words[i]!;
    const high = signed ? words[i + 1]! | 0 : words[i + 1]!;
    // ±2^53 itself is exact: high words from -2^21 to 2^21, the upper end only with low 0.
    const beyond = high < -0x200000 || high > 0x200000 || (high === 0x200000 && low !== 0);
    if (beyond && exact) throw beyondFloat64(bigOf(words, i, signed), from, i / 2);
    // high·2^32 is exact and the sum is rounded once: the nearest float64, ties to even.
    target[at + i / 2] = high * 0x1_0000_0000 + low;
  }
}

function bigOf(words: Uint32Array, i: number, signed: boolean): bigint {
  const bits = (BigInt(words[i + 1]!) << 32n) | BigInt(words[i]!);
  return signed ? BigInt.asIntN(64, bits) : bits;
}

function beyondFloat64(given: bigint, from: ItemsFrom, i: number): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_INTEGER", `${from.file}: ${placeOf(from, i, 8)} is beyond 2^53`, {
    given,
    expected: "integers from -2^53 to 2^53",
    at: { file: from.file, index: from.item + i },
    fix: 'To accept rounding, set int64: "number" or save it as float64',
  });
}

function placeOf({ byte, item }: ItemsFrom, i: number, size: number): string {
  return byte === undefined ? `item ${item + i}` : `item ${item + i} (byte ${byte + size * i})`;
}
