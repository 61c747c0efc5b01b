/**
 * The superaccumulator: an exact sum of float64 values and products of two, whatever they are (contract clauses 3, 8, 9).
 *
 * Fixed point: Σ chunk[i]·2^(32·i − 2148), i64 chunks of either sign. Sums of products of two float64 are multiples of 2^-2148;
 * 2^31 of them stay below 2^2080, and the 136 chunks end at 2^2204.
 */
@inline export const CHUNKS: u32 = 136;
@inline export const CHUNKS_BYTES: u32 = CHUNKS * 8;
@inline const LOWEST: i32 = -2148;
@inline const LOW32: u64 = 0xffffffff;
/** An addition changes a chunk by less than 2^34, so this many may come between two calls of carry. */
@inline export const ADDS_MAX: u32 = 1 << 28;

export function clear(chunks: usize): void {
  memory.fill(chunks, 0, CHUNKS_BYTES);
}

/** Adds (or with sign = −1 subtracts) v·2^shift, shift < 32, at the chunk. */
@inline function addShifted(chunk: usize, v: u64, shift: u64, sign: i64): void {
  const low = (v & LOW32) << shift;
  const high = (v >> 32) << shift;
  store<i64>(chunk, load<i64>(chunk) + ((<i64>(low & LOW32) ^ sign) - sign));
  store<i64>(chunk, load<i64>(chunk, 8) + ((<i64>((low >> 32) + (high & LOW32)) ^ sign) - sign), 8);
  store<i64>(chunk, load<i64>(chunk, 16) + ((<i64>(high >> 32) ^ sign) - sign), 16);
}

@inline function field(bits: u64): u32 {
  return <u32>(bits >> 52) & 0x7ff;
}

/** The integer m of a finite x = ±m·2^(max(field, 1) − 1075). */
@inline function mantissa(bits: u64): u64 {
  return (bits & 0xfffffffffffff) | (<u64>(field(bits) != 0) << 52);
}

/** Adds a finite x. */
@inline export function addNumber(chunks: usize, x: f64): void {
  const bits = reinterpret<u64>(x);
  const position = max(field(bits), 1) - 1075 - LOWEST;
  addShifted(chunks + ((position >> 5) << 3), mantissa(bits), position & 31, <i64>bits >> 63);
}

/** Adds the exact product of finite w and x, an integer of up to 106 bits. */
@inline export function addProduct(chunks: usize, w: f64, x: f64): void {
  const a = reinterpret<u64>(w);
  const b = reinterpret<u64>(x);
  const sign = <i64>(a ^ b) >> 63;
  const position = max(field(a), 1) + max(field(b), 1) - 2150 - LOWEST;
  const chunk = chunks + ((position >> 5) << 3);
  const shift = <u64>(position & 31);
  const m = mantissa(a), n = mantissa(b);
  const ml = m & LOW32, mh = m >> 32, nl = n & LOW32, nh = n >> 32;
  addShifted(chunk, ml * nl, shift, sign);
  addShifted(chunk + 8, ml * nh + mh * nl, shift, sign);
  addShifted(chunk + 16, mh * nh, shift, sign);
}

/** Brings every chunk but the last into 0 … 2^32 − 1; the last then has the sign of the whole. */
export function carry(chunks: usize): i64 {
  let over: i64 = 0;
  const last = chunks + CHUNKS_BYTES - 8;
  for (; chunks < last; chunks += 8) {
    const v = load<i64>(chunks) + over;
    store<i64>(chunks, v & LOW32);
    over = v >> 32;
  }
  over += load<i64>(last);
  store<i64>(last, over);
  return over;
}

/** RN of the whole: ties to even, gradual underflow, ±Infinity beyond the largest number; zero is +0. Negative sums are negated in place. */
export function round(chunks: usize): f64 {
  let sign: u64 = 0;
  if (carry(chunks) < 0) {
    sign = 1 << 63;
    for (let i: u32 = 0; i < CHUNKS_BYTES; i += 8) store<i64>(chunks + i, -load<i64>(chunks + i));
    carry(chunks);
  }
  let top: i32 = CHUNKS - 1;
  while (top >= 0 && load<u64>(chunks + (top << 3)) == 0) top--;
  if (top < 0) return 0;
  // The bit before the highest, then the lowest bit that the result can hold; positions count from 2^LOWEST.
  const highest = (top << 5) + 63 - <i32>clz(load<u64>(chunks + (top << 3)));
  if (highest + LOWEST > 1023) return reinterpret<f64>(sign | 0x7ff0000000000000);
  const lowest = max(highest - 52, -1074 - LOWEST);
  const chunk = chunks + ((lowest >> 5) << 3);
  const shift = <u64>(lowest & 31);
  const low = load<u64>(chunk) | (load<u64>(chunk, 8) << 32);
  let m = low >> shift;
  if (shift) m |= load<u64>(chunk, 16) << (64 - shift);
  m &= (1 << 53) - 1;
  // lowest ≥ 1074, so there are bits below it.
  const half = lowest - 1;
  const rest = chunks + ((half >> 5) << 3);
  const mask = <u64>1 << (half & 31);
  if (load<u64>(rest) & mask) {
    let sticky = (m & 1) | (load<u64>(rest) & (mask - 1));
    for (let p = chunks; !sticky && p < rest; p += 8) sticky = load<u64>(p);
    if (sticky) m++;
  }
  // With m's own bit 52 the sum of the two is the bit pattern: subnormals, carries into the exponent and Infinity included.
  return reinterpret<f64>(sign | ((<u64>(lowest + LOWEST + 1074) << 52) + m));
}
