/** Products without an error: what a rounded product lost, as a number of its own (T. Dekker 1971). */

/** 2^27 + 1: splits a float64 in two halves of 26 bits (Veltkamp). Beyond 2^996 that overflows, and the result is not finite. */
const SPLITTER = 134217729;

/** a·b − product, exactly, product being RN(a·b), if nothing underflows. */
export function productError(a: number, b: number, product: number): number {
  const ca = SPLITTER * a;
  const ah = ca - (ca - a);
  const al = a - ah;
  const cb = SPLITTER * b;
  const bh = cb - (cb - b);
  const bl = b - bh;
  return al * bl - (product - ah * bh - al * bh - ah * bl);
}
