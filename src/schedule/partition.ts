/** Cuts the units of a stratum into parts of about equal work. Pure: the same input gives the same parts. */

/**
 * Boundaries of at most `parts` parts over units 0 … units: part p is [b[p], b[p + 1]). `before(u)` is the work before unit u;
 * a part ends at the first unit that completes its share, so a part is one unit at least and no part is empty.
 */
export function partition(units: number, parts: number, before: (unit: number) => number): Uint32Array {
  const total = before(units);
  const bounds = [0];
  for (let p = 1; p < parts; p++) {
    const unit = firstAtLeast(units, before, (total * p) / parts);
    if (unit > bounds.at(-1)! && unit < units) bounds.push(unit);
  }
  bounds.push(units);
  return Uint32Array.from(bounds);
}

/** Boundaries of parts that hold at most `workMax` each, where a single unit does not hold more. */
export function partitionBySize(units: number, workMax: number, before: (unit: number) => number): Uint32Array {
  const bounds = [0];
  for (let unit = 0; unit < units; ) {
    const limit = before(unit) + workMax;
    unit = Math.max(unit + 1, firstAtLeast(units, before, limit + 1) - 1);
    bounds.push(Math.min(unit, units));
  }
  if (units === 0) bounds.push(0);
  return Uint32Array.from(bounds);
}

/** The first unit u with before(u) ≥ work, or units + 1. */
export function firstAtLeast(units: number, before: (unit: number) => number, work: number): number {
  let low = 0;
  let high = units + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2); // not >>> 1: there may be 2^32 − 1 units
    if (middle <= units && before(middle) < work) low = middle + 1;
    else high = middle;
  }
  return low;
}
