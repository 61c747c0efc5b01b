/**
 * A spec's source → records grouped by key, ready for a chain. DuckDB reads, filters, joins, groups and orders; it reduces
 * nothing: of a node it tells the key, the number of records and whether a weight is constant. The values come as lists, one for
 * each innermost node, which are copied one after the other; the list lengths are the offsets.
 *
 * Why lists: over the 3,000,000 flights on two cores, where DuckDB's own nested SQL took 174 to 183 ms (medians; two runs),
 * `list(value) … group by keys` took 311 ms, plain rows that still had to be grouped 380 ms (each fetch of 2,048 rows is a turn of
 * the event loop), one list of structs 560 ms. Lists of INTEGER instead of BIGINT or DOUBLE save a quarter (231 against 311 ms).
 * Rows sorted by the three text keys took 9 times the nested SQL of their run. Through a stored table the lists cost about 10 % more, but
 * are then read in pieces of known length: the memory is allocated once and no copy holds the event loop for long.
 */
import { FourfoldError } from "../errors.ts";
import type { GroupedTable } from "../reduce/grouped.ts";
import type { Dtype } from "../types.ts";
import { type Database, type DatabaseLimits, openDatabase, type Watch } from "./duckdb.ts";
import type { Allowed } from "./folders.ts";
import { openSource } from "./source.ts";
import type { ReadOptions, SpecContent } from "./spec.ts";
import { TableFaults } from "./table-faults.ts";
import { groupSource } from "./table-grouping.ts";
import { allocate, fillFromLists } from "./table-lists.ts";
import { type LevelBuilder, readNodes } from "./table-nodes.ts";
import { levelWeights } from "./table-weights.ts";

/** Offsets are 32-bit. */
const RECORDS_MAX = 2 ** 32 - 1;
const BYTES_OF: Readonly<Record<Dtype, number>> = { f64: 8, f32: 4, i32: 4, i16: 2, i8: 1, u8: 1 };

/** Reads and groups the source of `spec`. */
export async function readTable(spec: SpecContent, allowed: Allowed, limits: DatabaseLimits, options: ReadOptions): Promise<GroupedTable> {
  const began = performance.now();
  const db = await openDatabase(allowed, limits);
  try {
    return { ...(await readGroups(db, spec, allowed, limits, options)), readMs: performance.now() - began };
  } finally {
    db.close();
  }
}

/** {@link readTable} in a database that is open, and stays open without what was read: for many small sources, one after the other. */
export async function readTableIn(
  db: Database,
  spec: SpecContent,
  allowed: Allowed,
  limits: DatabaseLimits,
  options: ReadOptions,
): Promise<GroupedTable> {
  const began = performance.now();
  const table = await readGroups(db, spec, allowed, limits, options);
  await db.execute("drop table if exists grouped", {});
  return { ...table, readMs: performance.now() - began };
}

async function readGroups(
  db: Database,
  spec: SpecContent,
  allowed: Allowed,
  { memoryBytesMax: memoryMax }: DatabaseLimits,
  { signal, onProgress, nan = spec.nan, allocate: place = allocate }: ReadOptions,
): Promise<Omit<GroupedTable, "readMs">> {
  const source = await openSource(db, spec.source, "/source", spec.document, allowed, signal);
  const watch: Watch = { signal, subject: source.subject };
  const plan = await groupSource(db, spec, source, nan, { ...watch, onProgress });
  const built = await readNodes(db, spec, plan, new TableFaults(db, spec, source, watch), watch);
  const { records, counts, builders } = built;

  const type: Dtype = built.nulls > 0 ? "f64" : plan.value.type;
  const bytes = records * (BYTES_OF[type] + (plan.weight === undefined ? 0 : 8));
  if (records > RECORDS_MAX || (memoryMax !== undefined && bytes > memoryMax))
    throw new FourfoldError("ERR_FOURFOLD_MEMORY", `${records} records take ${bytes} bytes`, {
      given: records > RECORDS_MAX ? records : bytes,
      expected: records > RECORDS_MAX ? RECORDS_MAX : memoryMax,
      fix: "Raise memoryBytesMax, or roll up in parts",
    });
  const values = place(type, records);
  const list = type === plan.value.type ? "l" : "list_transform(l, x -> coalesce(x::DOUBLE, 'NaN'::DOUBLE))";
  await fillFromLists(db, values, list, counts, watch, onProgress);
  const weights = await levelWeights(db, spec, built, nan, allowed, watch);
  if (plan.weight !== undefined) {
    const own = new Float64Array(records);
    await fillFromLists(db, own, "lw", counts, watch, onProgress);
    weights[0] = own;
  }
  const childrenOf = (i: number): number => (i === 0 ? records : (builders[i - 1] as LevelBuilder).starts.length);
  return { values, records, levels: builders.map((builder, i) => builder.grouped(childrenOf(i), weights[i])) };
}
