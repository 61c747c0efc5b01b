/**
 * The lists of the table `grouped`, copied one after the other into one memory. Lists are 2,048 to a read, whatever rows are asked for: where
 * 2,048 of them are small that is cheap (24 ns a value), and where one key has millions of records only the 2,048 around it are streamed
 * in chunks of 2,048 values instead (45 ns a value; two million records in 5,000 lists, and with half of them in one). (Packing those chunks
 * with `list` again would be faster, but several threads make one list in no certain order, and here order tells which node a value belongs to.)
 */
import type { Dtype, Progress, TypedData } from "../types.ts";
import type { Database, Watch } from "./duckdb.ts";

/** Bytes copied in one go: 4 MiB take about 3 ms of the event loop. */
const PIECE_BYTES = 1 << 22;
/** Lists that DuckDB reads together are read as such up to this size (the flights: 7 MB). */
const LISTS_BYTES_MAX = 1 << 24;
/** Rows DuckDB handles together. */
const VECTOR = 2048;

/** Copies the lists of `grouped` into `target`, a bounded piece at a time. */
export async function fillFromLists(
  db: Database,
  target: TypedData,
  list: string,
  counts: readonly number[],
  watch: Watch,
  onProgress: ((progress: Progress) => void) | undefined,
): Promise<void> {
  const bytes = target.BYTES_PER_ELEMENT;
  let at = 0;
  const advance = (by: number): void => {
    at += by;
    onProgress?.({ done: at, total: target.length, unit: "records" });
  };
  for (const { from, to, long } of stretches(counts, LISTS_BYTES_MAX / bytes)) {
    if (long) {
      const sql = `select unnest(${list}) from grouped where rowid >= ${from} and rowid < ${to}`;
      for await (const chunk of db.chunksAhead(sql, watch)) {
        target.set(chunk.items(0), at);
        advance(chunk.rows);
      }
      continue;
    }
    for (let node = from; node < to; ) {
      const first = node;
      let size = counts[node++] as number;
      while (node < to && size + (counts[node] as number) <= PIECE_BYTES / bytes) size += counts[node++] as number;
      if (size === 0) continue;
      const sql = `select ${list} from grouped where rowid >= ${first} and rowid < ${node}`;
      for await (const chunk of db.chunks(sql, watch)) advance(copyLists(target, at, chunk.lists(0)));
    }
  }
  if (at !== target.length) throw new Error(`read ${at} of ${target.length} values`);
}

/** Nodes `from` to `to` (exclusive), whose lists are long or not. */
interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly long: boolean;
}

/** Cuts the nodes where the lists of a vector begin or cease to be long. */
function stretches(counts: readonly number[], valuesMax: number): Stretch[] {
  const cut: Stretch[] = [];
  for (let from = 0; from < counts.length; from += VECTOR) {
    const to = Math.min(from + VECTOR, counts.length);
    let values = 0;
    for (let node = from; node < to; node++) values += counts[node] as number;
    const long = values > valuesMax;
    const last = cut.at(-1);
    if (last?.long === long) cut[cut.length - 1] = { ...last, to };
    else cut.push({ from, to, long });
  }
  return cut;
}

/** Copies lists one after the other; they nearly always lie so already. */
function copyLists(target: TypedData, start: number, { items, entries }: { items: ArrayLike<number>; entries: BigUint64Array }): number {
  let at = start;
  let dense = true;
  let length = 0;
  for (let i = 0; i < entries.length; i += 2) {
    if (Number(entries[i]) !== length) dense = false;
    length += Number(entries[i + 1]);
  }
  const from = items as Float64Array;
  if (dense) target.set(from.length === length ? from : from.subarray(0, length), at);
  else
    for (let i = 0; i < entries.length; i += 2) {
      const begin = Number(entries[i]);
      const end = begin + Number(entries[i + 1]);
      target.set(from.subarray(begin, end), at);
      at += end - begin;
    }
  return length;
}

/** Memory of its own. */
export function allocate(type: Dtype, length: number): TypedData {
  switch (type) {
    case "f64":
      return new Float64Array(length);
    case "f32":
      return new Float32Array(length);
    case "i32":
      return new Int32Array(length);
    case "i16":
      return new Int16Array(length);
    case "i8":
      return new Int8Array(length);
    case "u8":
      return new Uint8Array(length);
  }
}
