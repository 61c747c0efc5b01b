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

/** What the decoding of slabs is given. */
export interface Decoding {
  readonly signal: AbortSignal | undefined;
  /** A view of buffer 0 or 1. */
  viewOf(buffer: number, leaves: number): TypedData;
  /** Waits for a read, unless the run ends before it does. */
  wait(reading: Promise<void>): Promise<void>;
  /** Told of each read when it begins; resolves when it writes no more. */
  onRead(writing: Promise<void>): void;
}

/** Yields each slab when it is decoded into its buffer; the next one is decoded meanwhile. A read may go on when this has ended. */
export async function* decoded(
  source: TensorSource,
  slabs: readonly Slab[],
  { signal, viewOf, wait, onRead }: Decoding,
): AsyncGenerator<{ readonly slab: Slab; readonly buffer: number }, void, void> {
  const read = (i: number): Promise<void> | undefined => {
    if (i >= slabs.length) return undefined;
    const { first, last } = slabs[i]!;
    const target = viewOf(i % 2, last - first);
    const reading = (async () => source.read(target, first, { signal }))();
    onRead(reading.catch(() => undefined)); // an error is told when its turn comes
    return reading;
  };
  let next = read(0);
  for (const [i, slab] of slabs.entries()) {
    if (next) await wait(next);
    next = read(i + 1);
    yield { slab, buffer: i % 2 };
  }
}
