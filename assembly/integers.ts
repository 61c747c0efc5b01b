/** Sums of integers: exact in any order. */
import { firstBytes } from "./children";

/** Eight or sixteen narrow integers → four sums. */
@inline function sumToFour<T>(v: v128): v128 {
  if (sizeof<T>() == 2) return i32x4.extadd_pairwise_i16x8_s(v);
  if (isSigned<T>()) return i32x4.extadd_pairwise_i16x8_s(i16x8.extadd_pairwise_i8x16_s(v));
  return i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(v));
}

@inline function sumToTwo(four: v128): v128 {
  return i64x2.add(i64x2.extend_low_i32x4_s(four), i64x2.extend_high_i32x4_s(four));
}

/** Σ x, exact in 64 bits for n < 2^31, so in any order. */
@inline export function integerSum<T>(x: usize, n: u32): i64 {
  const tail = (n * sizeof<T>()) & 15;
  const end = x + n * sizeof<T>() - tail;
  let two = i64x2.splat(0);
  while (x < end) {
    if (sizeof<T>() == 4) {
      two = i64x2.add(two, sumToTwo(v128.load(x)));
      x += 16;
    } else {
      // 4096 vectors of two i16 per lane stay below 2^29.
      const stop = end - x > 65536 ? x + 65536 : end;
      let four = i32x4.splat(0);
      for (; x < stop; x += 16) four = i32x4.add(four, sumToFour<T>(v128.load(x)));
      two = i64x2.add(two, sumToTwo(four));
    }
  }
  if (tail) {
    const rest = v128.and(v128.load(x), firstBytes(tail));
    two = i64x2.add(two, sumToTwo(sizeof<T>() == 4 ? rest : sumToFour<T>(rest)));
  }
  return i64x2.extract_lane(two, 0) + i64x2.extract_lane(two, 1);
}
