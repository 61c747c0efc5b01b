/** The row loops of the families that are neither lanes (lanes.ts) nor exact (blocks.ts). Which code a row gets is decided by the family's type tag. */
import { CountSkip, Moments, MomentsSkip, Product, Sum } from "./children";
import { countNumbers, extremeRow } from "./extremes";
import { integerSum } from "./integers";
import { MOMENTS_BYTES, momentsRow } from "./moments";
import { PRODUCT_BYTES, productRow } from "./products";

/** Bytes that one row writes. */
@inline function resultBytes<F>(): u32 {
  if (idof<F>() == idof<Product>()) return PRODUCT_BYTES;
  return idof<F>() == idof<Moments>() || idof<F>() == idof<MomentsSkip>() ? MOMENTS_BYTES : 8;
}

/** One row of n children at x into out. */
function row<F, T>(x: usize, n: u32, out: usize): void {
  if (idof<F>() == idof<Sum>()) store<f64>(out, <f64>integerSum<T>(x, n));
  else if (idof<F>() == idof<CountSkip>()) store<f64>(out, <f64>countNumbers<T>(x, n));
  else if (resultBytes<F>() == MOMENTS_BYTES) momentsRow<F, T>(x, n, out);
  else if (idof<F>() == idof<Product>()) productRow(x, n, out);
  else store<f64>(out, extremeRow<F, T>(x, n));
}

/** Rows of equal extent, one after another. */
@inline export function dense<F, T>(x: usize, rows: u32, extent: u32, out: usize): void {
  for (; rows; rows--) {
    row<F, T>(x, extent, out);
    x += extent * sizeof<T>();
    out += resultBytes<F>();
  }
}

/** Row r holds the children offsets[r] … offsets[r + 1] − 1 of x. */
@inline export function ragged<F, T>(x: usize, offsets: usize, rows: u32, out: usize): void {
  let start = load<u32>(offsets);
  for (; rows; rows--) {
    offsets += 4;
    const end = load<u32>(offsets);
    row<F, T>(x + start * sizeof<T>(), end - start, out);
    start = end;
    out += resultBytes<F>();
  }
}
