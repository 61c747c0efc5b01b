/** An exact sum as bytes, and back (contract clause 15; docs/state-format.md, "Exact value"). */
import type { ByteReader, ByteWriter } from "./bytes.ts";
import { ExactSum } from "./exact.ts";

/** Exact sums are multiples of 2^-2148, and 2^53 products of two float64 stay below 2^2112 (clause 9). */
const EXPONENT_MIN = -2148;
const BIT_MAX = 2112;
const MAGNITUDE_BYTES_MAX = Math.ceil((BIT_MAX - EXPONENT_MIN) / 8);

const SIGN = { zero: 0, positive: 1, negative: 2 } as const;

/** Bytes that the smallest sum takes: a sign and four counts. */
export const EXACT_BYTES_MIN = 5;

/** Writes a sum: its sign; unless that is zero the exponent and |M|; then the counts of NaN, +Infinity, −Infinity and items. */
export function writeExact(to: ByteWriter, sum: ExactSum): void {
  const { m, exponent, nan, positiveInfinity, negativeInfinity, items } = sum.parts();
  to.byte(m === 0n ? SIGN.zero : m > 0n ? SIGN.positive : SIGN.negative);
  if (m !== 0n) {
    to.signed(exponent);
    const magnitude = littleEndian(m < 0n ? -m : m);
    to.unsigned(magnitude.length);
    to.bytes(magnitude);
  }
  to.signed(nan);
  to.signed(positiveInfinity);
  to.signed(negativeInfinity);
  to.signed(items);
}

/** Reads a sum. @throws FourfoldError ERR_FOURFOLD_STATE unless the bytes are the one encoding of a sum */
export function readExact(from: ByteReader): ExactSum {
  const sign = from.byte();
  if (sign > SIGN.negative) from.fail(`has the sign ${sign}, expected 0, 1 or 2`);
  let m = 0n;
  let exponent = 0;
  if (sign !== SIGN.zero) {
    exponent = from.signed();
    if (exponent < EXPONENT_MIN || exponent >= BIT_MAX)
      from.fail(`has the exponent ${exponent}, expected ${EXPONENT_MIN} to ${BIT_MAX - 1}`);
    const length = from.unsigned();
    if (length > MAGNITUDE_BYTES_MAX) from.fail(`has an M of ${length} bytes, expected at most ${MAGNITUDE_BYTES_MAX}`);
    const magnitude = from.bytes(length);
    const top = magnitude.at(-1);
    if (top === undefined || top === 0 || (magnitude[0]! & 1) === 0) from.fail("has an M that is not odd or has a leading zero byte");
    if (exponent + 8 * length - (Math.clz32(top!) - 24) > BIT_MAX) from.fail(`has a sum of 2^${BIT_MAX} or more`);
    m = fromLittleEndian(magnitude);
    if (sign === SIGN.negative) m = -m;
  }
  return ExactSum.from({
    m,
    exponent,
    nan: from.signed(),
    positiveInfinity: from.signed(),
    negativeInfinity: from.signed(),
    items: from.signed(),
  });
}

/** Most sums are short, and numbers take a third of the time of BigInts: up to 6 bytes, below 2^53, they are used instead. */
const SAFE_BYTES = 6;
const INTEGER_END = 2n ** BigInt(8 * SAFE_BYTES);

function littleEndianNumber(n: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = n; rest > 0; rest = Math.floor(rest / 256)) bytes.push(rest % 256);
  return Uint8Array.from(bytes);
}

/** A positive integer as bytes, lowest first, without a leading zero byte. */
export function littleEndian(n: bigint): Uint8Array {
  if (n < INTEGER_END) return littleEndianNumber(Number(n));
  const digits = n.toString(16);
  const length = (digits.length + 1) >> 1;
  const bytes = new Uint8Array(length);
  for (let i = 0, end = digits.length; i < length; i++, end -= 2) bytes[i] = Number.parseInt(digits.slice(Math.max(0, end - 2), end), 16);
  return bytes;
}

/** The integer of {@link littleEndian} bytes; of none: 0. */
export function fromLittleEndian(bytes: Uint8Array): bigint {
  if (bytes.length <= SAFE_BYTES) return BigInt(bytes.reduceRight((value, byte) => value * 256 + byte, 0));
  let digits = "0x0";
  for (let i = bytes.length - 1; i >= 0; i--) digits += bytes[i]!.toString(16).padStart(2, "0");
  return BigInt(digits);
}
