/**
 * Slabs of a source whose leaves must be decoded: neighbouring parts of a pass that lie in memory together, two of them, so that one is
 * decoded while the other is reduced. It decides nothing about parts, and reduces nothing.
 */
import type { TensorSource, TypedData } from "../types.ts";

/** Bytes of one slab, unless one part alone has more. Larger ones hide no more waiting. */
const SLAB_BYTES = 8 << 20;

/** Parts `from` … `to − 1` of a pass, and their leaves. */
export interface Slab {
  readonly from: number;
  readonly to: number;
  readonly first: number;
  readonly last: number;
}

/** The slabs of a pass with so many parts, where `before(part)` is the number of leaves before a part. */
export function slabsOf(parts: number, before: (part: number) => number, bytesPerLeaf: number): readonly Slab[] {
  const slabs: Slab[] = [];
  for (let from = 0; from < parts; ) {
    const first = before(from);
    let to = from + 1;
    while (to < parts && (before(to + 1) - first) * bytesPerLeaf <= SLAB_BYTES) to++;
    slabs.push({ from, to, first, last: before(to) });
    from = to;
  }
  return slabs;
}

/** The leaves of the largest slab. */
export function slabLeavesMax(slabs: readonly Slab[]): number {
  return slabs.reduce((most, { first, last }) => Math.max(most, last - first), 0);
}

/** Yields each slab when it is decoded into the view of buffer 0 or 1 that `viewOf` gives; the next one is decoded meanwhile. */
export async function* decoded(
  source: TensorSource,
  slabs: readonly Slab[],
  viewOf: (buffer: number, leaves: number) => TypedData,
  signal: AbortSignal | undefined,
): AsyncGenerator<{ readonly slab: Slab; readonly buffer: number }, void, void> {
  const read = (i: number): Promise<void> | undefined => {
    if (i >= slabs.length) return undefined;
    const { first, last } = slabs[i]!;
    const reading = source.read(viewOf(i % 2, last - first), first, { signal });
    reading.catch(() => undefined); // told when its turn comes
    return reading;
  };
  let next = read(0);
  try {
    for (const [i, slab] of slabs.entries()) {
      await next;
      next = read(i + 1);
      yield { slab, buffer: i % 2 };
    }
  } finally {
    // The memory is given back after this.
    await next?.catch(() => undefined);
  }
}
