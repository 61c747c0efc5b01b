/** The batches of a nested column as one tensor: its shape or offsets, and its leaves. Where the buffers lie is no matter. */
import type { Dtype } from "../types.ts";
import type { Buffers } from "./arrow-buffers.ts";
import type { ArrowPlace } from "./arrow-bytes.ts";
import { type ColumnBatch, dtypeOfLeaf, type NestedColumn } from "./arrow-column.ts";
import { ArrowLeaves, type PlaceOf } from "./arrow-leaves.ts";
import { type Lists, Runs, readLists } from "./arrow-lists.ts";
import type { Int64Policy } from "./items.ts";

/** A nested column, joined over its batches. */
export interface Nested {
  readonly dtype: Dtype;
  /** [rows, …, size] where all lists have one size. */
  readonly shape: readonly number[] | undefined;
  /** Innermost first, where they have not. */
  readonly offsets: readonly Uint32Array[] | undefined;
  readonly leaves: ArrowLeaves;
  /** For each batch, the leaves that are kept of it. */
  readonly kept: readonly Runs[];
  readonly hasNulls: boolean;
}

/** Joins the batches. @throws FourfoldError ERR_FOURFOLD_FORMAT, ERR_FOURFOLD_OFFSETS, ERR_FOURFOLD_MEMORY */
export async function readNested(
  place: ArrowPlace,
  buffers: Buffers,
  column: NestedColumn,
  batches: readonly ColumnBatch[],
  int64: Int64Policy,
  memoryBytesMax: number,
  signal: AbortSignal | undefined,
): Promise<Nested> {
  const sizes = column.levels.flatMap((level) => (level.kind === "fixedList" ? [level.size] : []));
  const isDense = sizes.length === column.levels.length;
  const inner = sizes.reduce((product, size) => product * size, 1);
  const lists = isDense ? undefined : await readLists(place, buffers, column, batches, memoryBytesMax, signal);
  const kept = lists?.leaves ?? batches.map(({ rows }) => wholeOf(rows * inner));
  const placeOf: PlaceOf = (leaf) => ({ row: lists ? rowOf(lists, leaf) : Math.floor(leaf / inner), index: leaf });
  const hasNulls = batches.some((batch) => mayBeNull(column, batch));
  const rows = batches.reduce((sum, batch) => sum + batch.rows, 0);
  return {
    dtype: dtypeOfLeaf(column.leaf, hasNulls),
    shape: isDense ? [rows, ...sizes] : undefined,
    offsets: lists?.offsets,
    leaves: new ArrowLeaves(place, buffers, column, batches, kept, hasNulls, int64, placeOf),
    kept,
    hasNulls,
  };
}

function wholeOf(leaves: number): Runs {
  const runs = new Runs();
  runs.add(0, leaves);
  return runs;
}

/** The row in which a leaf lies. */
function rowOf({ offsets }: Lists, leaf: number): number {
  let node = leaf;
  for (const level of offsets) {
    // The last node that starts at `node` or before; empty ones before it start there, too.
    let low = 0;
    let high = level.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (level[middle]! <= node) low = middle;
      else high = middle;
    }
    node = low;
  }
  return node;
}

/** True if a leaf of the batch may be null: itself, or with a list of one size that lies inside all other lists. */
function mayBeNull({ levels }: NestedColumn, batch: ColumnBatch): boolean {
  const innermost = levels.findLastIndex(({ kind }) => kind === "list");
  return batch.leaf.validity !== undefined || batch.levels.slice(innermost + 1).some(({ validity }) => validity !== undefined);
}
