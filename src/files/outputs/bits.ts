/** Bits in bytes, least significant first, as Arrow's bitmaps and Parquet's booleans and levels have them. */

/** The bytes of bits that are given as one byte each. */
export function packBits(bits: Uint8Array): Uint8Array {
  const packed = new Uint8Array(Math.ceil(bits.length / 8));
  for (let i = 0; i < bits.length; i++) packed[i >> 3]! |= bits[i]! << (i & 7);
  return packed;
}

/** How many of the bits are set. */
export function countBits(bits: Uint8Array): number {
  let set = 0;
  for (let i = 0; i < bits.length; i++) set += bits[i]!;
  return set;
}

/** The bytes of numbers as they lie in memory, which is little endian wherever this runs. */
export function bytesOf(numbers: BigInt64Array | Float64Array | Int32Array | Uint8Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}
