/** NaN leaves under `nan: "error"`: the error, and which of several NaN it names. */
import { FourfoldError } from "../errors.ts";
import { SLICE } from "./slices.ts";

/** The error for a NaN leaf. `index` counts the values as the caller gave them. */
export function nanLeaf(level: string, index: number): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_NAN", `data[${index}] is NaN`, {
    given: Number.NaN,
    fix: 'Use nan: "skip" or "propagate", or mend the data',
    at: { level, index },
  });
}

/**
 * Throws for the first NaN leaf in the order the caller gave, which is not the order in which parts find them.
 * `order[i]` is the record at leaf i, where records were grouped; `before` leaves come before the data. Yields between slices of work.
 */
export function* refuseNaN(
  level: string,
  data: ArrayLike<number>,
  order: Uint32Array | undefined,
  before: number = 0,
): Generator<void, void> {
  let first = Number.POSITIVE_INFINITY;
  for (let i = 0; i < data.length; i++) {
    if (Number.isNaN(data[i])) {
      first = Math.min(first, order ? order[i]! : i);
      if (order === undefined) break;
    }
    if (i % SLICE === SLICE - 1) yield;
  }
  if (first < Number.POSITIVE_INFINITY) throw nanLeaf(level, before + first);
}
