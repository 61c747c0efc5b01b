/** An exact sum as bytes, and back (contract clause 15; docs/state-format.md, "Exact value"). */
import type { ByteReader, ByteWriter } from "./bytes.ts";
import { ExactSum } from "./exact.ts";

/** Bits of |M| and the least exponent: an exact sum is a multiple of 2^-2148, and 2^53 products of two float64 stay below 2^2112. */
const BITS_MAX = 2148 + 2112;
const EXPONENT_MIN = -2148;
const EXPONENT_MAX = 2112;

const SIGN = { zero: 0, positive: 1, negative: 2 } as const;

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
  for (const count of [nan, positiveInfinity, negativeInfinity, items]) to.signed(count);
}

/** Reads a sum. @throws FourfoldError ERR_FOURFOLD_STATE unless the bytes are the one encoding of a sum */
export function readExact(from: ByteReader): ExactSum {
  const sign = from.byte();
  if (sign > SIGN.negative) from.fail(`has the sign ${sign}, expected 0, 1 or 2`);
  let m = 0n;
  let exponent = 0;
  if (sign !== SIGN.zero) {
    exponent = from.signed();
    const length = from.unsigned();
    if (length > Math.ceil(BITS_MAX / 8)) from.fail(`has an M of ${length} bytes, expected at most ${Math.ceil(BITS_MAX / 8)}`);
    const magnitude = from.bytes(length);
    if (magnitude.at(-1) === 0 || (magnitude[0]! & 1) === 0) from.fail("has an M that is not odd or has a leading zero byte");
    for (const byte of magnitude.reverse()) m = (m << 8n) | BigInt(byte);
    if (exponent < EXPONENT_MIN || exponent > EXPONENT_MAX)
      from.fail(`has the exponent ${exponent}, expected ${EXPONENT_MIN} to ${EXPONENT_MAX}`);
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

/** A positive integer as bytes, lowest first, without a leading zero byte. */
function littleEndian(n: bigint): Uint8Array {
  const digits = n.toString(16);
  const length = Math.ceil(digits.length / 2);
  const padded = digits.padStart(2 * length, "0");
  return Uint8Array.from({ length }, (_, i) => Number.parseInt(padded.slice(2 * (length - 1 - i), 2 * (length - i)), 16));
}
