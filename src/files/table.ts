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
import { FourfoldError, show } from "../errors.ts";
import type { GroupedLevel, GroupedTable } from "../reduce/grouped.ts";
import type { Key } from "../reduce/key.ts";
import type { Dtype, NanPolicy, TypedData } from "../types.ts";
import { type Database, type DatabaseLimits, openDatabase, type Watch } from "./duckdb.ts";
import type { Allowed } from "./folders.ts";
import {
  asDouble,
  keyCell,
  keySql,
  keyText,
  type NumberColumn,
  numberColumn,
  type Opened,
  openSource,
  placed,
  showKey,
  tableOf,
} from "./source.ts";
import type { ReadOptions, SpecContent, SpecLevel, SpecSource } from "./spec.ts";
import { readWeightTable } from "./weight-table.ts";

/** Bytes copied in one go: 4 MiB take about 3 ms of the event loop. */
const PIECE_BYTES = 1 << 22;
/**
 * DuckDB reads lists 2,048 at a time, whatever rows are asked for. Up to this size that is cheap (flights: 7 MB); longer lists
 * are streamed in chunks of 2,048 values instead, 0.1 µs a value. (Packing those chunks with `list` again would be faster, but
 * several threads make one list in no certain order, and here order tells which node a value belongs to.)
 */
const LISTS_BYTES_MAX = 1 << 24;
/** Rows DuckDB handles together. */
const VECTOR = 2048;
/** Offsets are 32-bit. */
const RECORDS_MAX = 2 ** 32 - 1;
const BYTES_OF: Readonly<Record<Dtype, number>> = { f64: 8, f32: 4, i32: 4, i16: 2, i8: 1, u8: 1 };

/** A level while its nodes arrive. */
class LevelBuilder {
  readonly level: SpecLevel;
  readonly depth: number;
  readonly keys: Key[][];
  readonly starts: number[] = [];
  constructor(level: SpecLevel) {
    this.level = level;
    this.depth = level.by.length;
    this.keys = level.by.map(() => []);
  }
  open(start: number, key: readonly Key[]): void {
    this.starts.push(start);
    for (let k = 0; k < this.depth; k++) (this.keys[k] as Key[]).push(key[k] as Key);
  }
  keyAt(node: number): Key[] {
    return this.keys.map((column) => column[node] as Key);
  }
}

/** A weight column above the innermost level: for each innermost node its least and greatest value, and how many are not null. */
interface ConstantWeight {
  readonly column: NumberColumn;
  readonly level: number;
  readonly low: number;
  readonly high: number;
  readonly present: number;
  readonly inexact: number | undefined;
}

/** How the source is grouped. The aggregates describe nodes; none of them adds or averages anything. */
interface Grouping {
  readonly sql: string;
  /** The columns of `grouped` beside the lists: keys first; the numbers below index them. */
  readonly columns: number;
  readonly count: number;
  readonly nulls: number;
  readonly nans: number | undefined;
  readonly inexact: number | undefined;
  readonly value: NumberColumn;
  /** The weight of each record. */
  readonly weight: NumberColumn | undefined;
  readonly constants: readonly ConstantWeight[];
}

/** The nodes of all levels, and what was found on the way. */
interface Nodes {
  readonly builders: readonly LevelBuilder[];
  /** Records of each innermost node. */
  readonly counts: readonly number[];
  readonly records: number;
  readonly nulls: number;
  /** Weights from columns, by level. */
  readonly constants: ReadonlyMap<number, readonly number[]>;
}

/** Reads and groups the source of `spec`. */
export async function readTable(spec: SpecContent, allowed: Allowed, limits: DatabaseLimits, options: ReadOptions): Promise<GroupedTable> {
  const began = performance.now();
  const db = await openDatabase(allowed, limits);
  try {
    return await new TableReader(db, spec, allowed, limits, options).read(began);
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
  const table = await new TableReader(db, spec, allowed, limits, options).read(performance.now());
  await db.execute("drop table if exists grouped", {});
  return table;
}

class TableReader {
  readonly #db: Database;
  readonly #spec: SpecContent;
  readonly #allowed: Allowed;
  readonly #limits: DatabaseLimits;
  readonly #options: ReadOptions;
  readonly #nan: NanPolicy;

  constructor(db: Database, spec: SpecContent, allowed: Allowed, limits: DatabaseLimits, options: ReadOptions) {
    this.#db = db;
    this.#spec = spec;
    this.#allowed = allowed;
    this.#limits = limits;
    this.#options = options;
    this.#nan = options.nan ?? spec.nan;
  }

  async read(began: number): Promise<GroupedTable> {
    const { signal, onProgress } = this.#options;
    const spec = this.#spec;
    const source = await openSource(this.#db, spec.source, "/source", spec.document, this.#allowed, signal);
    const watch: Watch = { signal, subject: source.subject };

    const grouping = await this.#group(source, { ...watch, onProgress });
    const { value, weight } = grouping;
    const built = await this.#nodes(source, grouping, watch);

    const memoryMax = this.#limits.memoryBytesMax;
    const type: Dtype = built.nulls > 0 ? "f64" : value.type;
    const bytes = built.records * (BYTES_OF[type] + (weight === undefined ? 0 : 8));
    if (built.records > RECORDS_MAX || (memoryMax !== undefined && bytes > memoryMax))
      throw new FourfoldError("ERR_FOURFOLD_MEMORY", `${built.records} records take ${bytes} bytes`, {
        given: built.records > RECORDS_MAX ? built.records : bytes,
        expected: built.records > RECORDS_MAX ? RECORDS_MAX : memoryMax,
        fix: "Raise memoryBytesMax, or roll up in parts",
      });
    const values = (this.#options.allocate ?? allocate)(type, built.records);
    const list = type === value.type ? "l" : "list_transform(l, x -> coalesce(x::DOUBLE, 'NaN'::DOUBLE))";
    await this.#fill(values, list, built.counts, watch);
    const weightsOfLevel = await this.#weights(built.builders, built.constants, watch);
    if (weight !== undefined) {
      const weights = new Float64Array(built.records);
      await this.#fill(weights, "lw", built.counts, watch);
      weightsOfLevel[0] = weights;
    }
    return {
      values,
      records: built.records,
      levels: spec.levels.map((level, i) =>
        grouped(
          level,
          built.builders[i] as LevelBuilder,
          i === 0 ? built.records : (built.builders[i - 1] as LevelBuilder).starts.length,
          weightsOfLevel[i],
        ),
      ),
      readMs: performance.now() - began,
    };
  }

  #at<T>(pointer: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw placed(error, this.#spec.document, pointer);
    }
  }

  #weightColumn(source: Opened, i: number, narrow: boolean): NumberColumn | undefined {
    const { weights, name } = this.#spec.levels[i] as SpecLevel;
    if (typeof weights !== "object" || !("column" in weights)) return undefined;
    return this.#at(`/levels/${i}/weights/column`, () =>
      numberColumn(source, weights.column, `the weights of level ${show(name)}`, narrow),
    );
  }

  #plan(source: Opened, narrow: boolean): Grouping {
    const { levels, nullKeys } = this.#spec;
    const keys = (levels[0] as SpecLevel).by.map((name) => this.#at("/levels/0/by", () => keySql(source, name, "a key")));
    const value = this.#at("/value", () => numberColumn(source, this.#spec.value, "the value", narrow));
    const weight = this.#weightColumn(source, 0, false);
    const names = keys.map((_, k) => `k${k}`);
    const inner = [...keys.map((sql, k) => `${sql} as k${k}`), `${value.sql} as v`];
    const outer = [...names];
    const add = (sql: string): number => outer.push(sql) - 1;
    const countIf = (test: string): string => `count(*) filter (where ${test})`;
    if (weight !== undefined) inner.push(`${asDouble(weight)} as w`);
    const count = add("count(*)");
    const nulls = add("count(*) - count(v)");
    const nans =
      this.#nan === "error" ? add(countIf(`v is null or isnan(v::DOUBLE)${weight === undefined ? "" : " or isnan(w)"}`)) : undefined;
    const tests = [value.inexact, weight?.inexact].filter((test) => test !== undefined);
    if (tests.length > 0) inner.push(`(${tests.join(" or ")}) as x`);
    const inexact = tests.length > 0 ? add(countIf("x")) : undefined;
    const constants: ConstantWeight[] = [];
    for (let level = 1; level < levels.length; level++) {
      const column = this.#weightColumn(source, level, narrow);
      if (column === undefined) continue;
      inner.push(`${column.sql} as c${level}`);
      if (column.inexact !== undefined) inner.push(`${column.inexact} as x${level}`);
      constants.push({
        column,
        level,
        low: add(`min(c${level})::DOUBLE`),
        high: add(`max(c${level})::DOUBLE`),
        present: add(`count(c${level})`),
        inexact: column.inexact === undefined ? undefined : add(countIf(`x${level}`)),
      });
    }
    const kept = nullKeys === "skip" && keys.length > 0 ? ` where ${names.map((name) => `${name} is not null`).join(" and ")}` : "";
    const by = keys.length === 0 ? "" : ` group by ${names.join(", ")} order by ${names.map((name) => `${name} nulls first`).join(", ")}`;
    const lists = weight === undefined ? "list(v) as l" : "list(v) as l, list(w) as lw";
    const described = outer.map((sql, i) => `${sql} as a${i}`).join(", ");
    const sql = `create or replace temp table grouped as select ${described}, ${lists} from (select ${inner.join(", ")} from ${tableOf(source)})${kept}${by}`;
    return { sql, columns: outer.length, count, nulls, nans, inexact, value, weight, constants };
  }

  /** Groups the source into the table `grouped`: one row for each innermost node, in key order. */
  async #group(source: Opened, watch: Watch): Promise<Grouping> {
    for (const narrow of [true, false]) {
      const plan = this.#plan(source, narrow);
      const narrowed = plan.value.narrowed || plan.constants.some(({ column }) => column.narrowed);
      if (narrow && !narrowed) continue;
      try {
        await this.#db.execute(plan.sql, watch);
        return plan;
      } catch (error) {
        // A value beyond 2^31 ends the narrow attempt, as a rule in its first rows; the wide one says what is wrong, if anything is.
        if (narrow && error instanceof FourfoldError && error.code === "ERR_FOURFOLD_FORMAT") continue;
        throw placed(error, this.#spec.document, source.pointer);
      }
    }
    throw new Error("unreachable: the wide attempt returns or throws");
  }

  /** Reads the nodes and cuts the outer levels where a key changes. */
  async #nodes(source: Opened, plan: Grouping, watch: Watch): Promise<Nodes> {
    const { levels } = this.#spec;
    const builders = levels.map((level) => new LevelBuilder(level));
    const depth = (levels[0] as SpecLevel).by.length;
    const names = (levels[0] as SpecLevel).by;
    const counts: number[] = [];
    const constants = new Map(plan.constants.map(({ level }) => [level, [] as number[]]));
    let records = 0;
    let nulls = 0;
    let previous: Key[] | undefined;
    const columns = Array.from({ length: plan.columns }, (_, i) => i);
    for await (const chunk of this.#db.chunks(`select ${columns.map((i) => `a${i}`).join(", ")} from grouped`, watch)) {
      const cells = columns.map((i) => chunk.cells(i));
      const cell = (column: number, row: number): number => Number((cells[column] as unknown[])[row]);
      for (let row = 0; row < chunk.rows; row++) {
        const key: Key[] = [];
        for (let k = 0; k < depth; k++) key.push(keyCell((cells[k] as unknown[])[row]));
        if (this.#spec.nullKeys === "error" && key.includes(null)) throw await this.#nullKey(source, names, key, watch);
        if (plan.inexact !== undefined && cell(plan.inexact, row) > 0)
          throw await this.#inexactInteger(source, [plan.value, plan.weight], names, key, watch);
        if (plan.nans !== undefined && cell(plan.nans, row) > 0) throw await this.#missingValue(source, plan, names, key, watch);
        let changed = 0; // the outermost key column that differs from the row before
        while (previous !== undefined && changed < depth && Object.is(key[changed], previous[changed])) changed++;
        const opens = (i: number): boolean => previous === undefined || changed < (builders[i] as LevelBuilder).depth;
        builders.forEach((builder, i) => {
          if (i === 0) builder.open(records, key);
          else if (opens(i)) builder.open((builders[i - 1] as LevelBuilder).starts.length - 1, key);
        });
        const n = cell(plan.count, row);
        for (const { column, level, low, high, present, inexact } of plan.constants) {
          if (inexact !== undefined && cell(inexact, row) > 0) throw await this.#inexactInteger(source, [column], names, key, watch);
          const found = constants.get(level) as number[];
          const kept = cell(present, row);
          const least = kept === 0 ? Number.NaN : cell(low, row);
          const greatest = kept === n ? cell(high, row) : Number.NaN;
          const child = builders[level - 1] as LevelBuilder;
          if (found.length < child.starts.length) found.push(least);
          const first = found.at(-1) as number;
          const other = same(first, least) ? greatest : least;
          if (!same(first, other)) throw this.#varies(level, column.name, child.keyAt(child.starts.length - 1), first, other);
        }
        counts.push(n);
        records += n;
        nulls += cell(plan.nulls, row);
        previous = key;
      }
    }
    // A level without key columns has its one node even when there are no records.
    builders.forEach((builder) => {
      if (builder.depth === 0 && builder.starts.length === 0) builder.open(0, []);
    });
    return { builders, counts, records, nulls, constants };
  }

  /** Copies the lists of `grouped` into `target`, a bounded piece at a time. */
  async #fill(target: TypedData, list: string, counts: readonly number[], watch: Watch): Promise<void> {
    const { onProgress } = this.#options;
    const piece = PIECE_BYTES / target.BYTES_PER_ELEMENT;
    let at = 0;
    const advance = (by: number): void => {
      at += by;
      onProgress?.({ done: at, total: target.length, unit: "records" });
    };
    if (mostAtOnce(counts) * target.BYTES_PER_ELEMENT > LISTS_BYTES_MAX)
      for await (const chunk of this.#db.chunks(`select unnest(${list}) from grouped`, watch)) {
        target.set(chunk.items(0), at);
        advance(chunk.rows);
      }
    else
      for (let node = 0; node < counts.length; ) {
        const first = node;
        let size = counts[node++] as number;
        while (node < counts.length && size + (counts[node] as number) <= piece) size += counts[node++] as number;
        if (size === 0) continue;
        const sql = `select ${list} from grouped where rowid >= ${first} and rowid < ${node}`;
        for await (const chunk of this.#db.chunks(sql, watch)) advance(copyLists(target, at, chunk.lists(0)));
      }
    if (at !== target.length) throw new Error(`read ${at} of ${target.length} values`);
  }

  /** The weights of each level, except per-record ones. */
  async #weights(
    builders: readonly LevelBuilder[],
    constants: ReadonlyMap<number, readonly number[]>,
    watch: Watch,
  ): Promise<(GroupedLevel["weights"] | undefined)[]> {
    const result: (GroupedLevel["weights"] | undefined)[] = [];
    for (const [i, level] of this.#spec.levels.entries()) {
      const { weights } = level;
      const constant = constants.get(i);
      if (constant !== undefined) result.push(Float64Array.from(constant));
      else if (weights === undefined || weights === "count" || i === 0) result.push(weights === "count" ? weights : undefined);
      else if ("table" in weights) result.push(await this.#tableWeights(i, weights, builders[i - 1] as LevelBuilder, watch));
      else if (!("column" in weights))
        result.push(this.#listWeights(i, weights, builders[i] as LevelBuilder, (builders[i - 1] as LevelBuilder).starts.length));
      else result.push(undefined);
      const given = result[i];
      if (this.#nan === "error" && given instanceof Float64Array) this.#refuseNanWeight(i, given, builders[i - 1] as LevelBuilder);
    }
    return result;
  }

  #listWeights(i: number, weights: readonly number[], builder: LevelBuilder, children: number): readonly number[] {
    builder.starts.forEach((start, node) => {
      const end = builder.starts[node + 1] ?? children;
      if (end - start === weights.length) return;
      const { name, by } = builder.level;
      throw placed(
        new FourfoldError(
          "ERR_FOURFOLD_WEIGHTS",
          `level ${show(name)}: ${weights.length} weights are listed, but ${showKey(by, builder.keyAt(node))} has ${end - start} children`,
          {
            given: weights.length,
            expected: end - start,
            at: { level: name, node },
            fix: "A list is shared by all nodes of its level; for weights of their own use a table",
          },
        ),
        this.#spec.document,
        `/levels/${i}/weights`,
      );
    });
    return weights;
  }

  async #tableWeights(
    i: number,
    weights: { readonly table: SpecSource; readonly value: string; readonly missing?: number },
    child: LevelBuilder,
    watch: Watch,
  ): Promise<Float64Array> {
    const { byText, fail } = await readWeightTable(this.#db, this.#spec, i, weights, this.#allowed, watch);
    const result = new Float64Array(child.starts.length);
    for (let node = 0; node < result.length; node++) {
      const key = child.keyAt(node);
      const weight = byText.get(keyText(key))?.weight ?? weights.missing;
      if (weight === undefined) {
        const [first] = byText.values();
        const like = first && `Add the row, or "missing": 0 or 1; the table's keys look like (${showKey(child.level.by, first.key)})`;
        throw fail("has no row for", key, like ?? "The table is empty");
      }
      result[node] = weight;
    }
    return result;
  }

  #refuseNanWeight(i: number, weights: Float64Array, child: LevelBuilder): void {
    const node = weights.findIndex((weight) => weight !== weight);
    if (node < 0) return;
    const { name } = this.#spec.levels[i] as SpecLevel;
    throw new FourfoldError(
      "ERR_FOURFOLD_NAN",
      `level ${show(name)}: the weight of ${child.level.name} (${showKey(child.level.by, child.keyAt(node))}) is NaN or null`,
      {
        at: { level: name, node },
        fix: 'Fill the weight in, or use nan: "propagate"',
      },
    );
  }

  #varies(i: number, column: string, key: readonly Key[], first: number, other: number): FourfoldError {
    const level = this.#spec.levels[i] as SpecLevel;
    const child = this.#spec.levels[i - 1] as SpecLevel;
    return placed(
      new FourfoldError(
        "ERR_FOURFOLD_WEIGHTS",
        `level ${show(level.name)}: column ${show(column)} is not constant within ${child.name} (${showKey(child.by, key)}): it has ${first} and ${other}`,
        {
          given: [first, other],
          expected: "one value for each child",
          at: { level: level.name, column },
          fix: `Make it constant in the SQL, e.g. max(${column}) over (partition by ${child.by.join(", ") || "true"})`,
        },
      ),
      this.#spec.document,
      `/levels/${i}/weights`,
    ) as FourfoldError;
  }

  async #inexactInteger(
    source: Opened,
    columns: readonly (NumberColumn | undefined)[],
    names: readonly string[],
    key: readonly Key[],
    watch: Watch,
  ): Promise<FourfoldError> {
    const column = columns.find((one) => one?.inexact !== undefined) as NumberColumn;
    const tests = columns.flatMap((one) => (one?.inexact === undefined ? [] : [one.inexact]));
    const row = await this.#rowWhere(source, tests.join(" or "), watch);
    return new FourfoldError(
      "ERR_FOURFOLD_INTEGER",
      `column ${show(column.name)} holds an integer beyond 2^53${row === undefined ? "" : ` in row ${row}`} (${showKey(names, key)})`,
      {
        expected: "integers from -2^53 to 2^53",
        at: { column: column.name, ...(row === undefined ? {} : { row }) },
        fix: `To accept rounding, cast it in the SQL: ${column.name}::DOUBLE`,
      },
    );
  }

  async #missingValue(
    source: Opened,
    { value, weight }: Grouping,
    names: readonly string[],
    key: readonly Key[],
    watch: Watch,
  ): Promise<FourfoldError> {
    const level = (this.#spec.levels[0] as SpecLevel).name;
    const tests = [value, weight].filter((column) => column !== undefined).map((column) => `isnan(${asDouble(column)})`);
    const row = await this.#rowWhere(source, tests.join(" or "), watch);
    return new FourfoldError(
      "ERR_FOURFOLD_NAN",
      `level ${show(level)}: a NaN or null${row === undefined ? "" : ` in row ${row}`} of column ${show(value.name)} (${showKey(names, key)})`,
      {
        at: { level, column: value.name, ...(row === undefined ? {} : { row }) },
        fix: 'Fill it in, or use nan: "skip" or "propagate"',
      },
    );
  }

  async #nullKey(source: Opened, names: readonly string[], key: readonly Key[], watch: Watch): Promise<FourfoldError> {
    const name = names[key.indexOf(null)] as string;
    const row = await this.#rowWhere(source, `(${keySql(source, name, "a key")}) is null`, watch);
    return new FourfoldError("ERR_FOURFOLD_KEYS", `key column ${show(name)} is null or NaN${row === undefined ? "" : ` in row ${row}`}`, {
      expected: "a key",
      at: { column: name, ...(row === undefined ? {} : { row }) },
      fix: 'Fill it in, or say "nullKeys": "skip" or "group"',
    });
  }

  /** The first row of the source, from 0, where `test` holds; a second reading that only errors pay for. */
  async #rowWhere(source: Opened, test: string, watch: Watch): Promise<number | undefined> {
    const sql = `select row from (select row_number() over () - 1 as row, ${test} as hit from ${tableOf(source)}) where hit order by row limit 1`;
    for await (const chunk of this.#db.chunks(sql, watch)) return Number(chunk.cells(0)[0]);
    return undefined;
  }
}

/** The most values that one read of the lists touches. */
function mostAtOnce(counts: readonly number[]): number {
  let most = 0;
  for (let from = 0; from < counts.length; from += VECTOR) {
    let sum = 0;
    for (let node = from; node < Math.min(from + VECTOR, counts.length); node++) sum += counts[node] as number;
    most = Math.max(most, sum);
  }
  return most;
}

/** Equal weights: NaN equals NaN, and -0 equals 0. */
const same = (a: number, b: number): boolean => a === b || (a !== a && b !== b);

function allocate(type: Dtype, length: number): TypedData {
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

function grouped(level: SpecLevel, builder: LevelBuilder, children: number, weights: GroupedLevel["weights"] | undefined): GroupedLevel {
  const nodes = builder.starts.length;
  const offsets = new Uint32Array(nodes + 1);
  offsets.set(builder.starts);
  offsets[nodes] = children;
  return {
    name: level.name,
    keyNames: level.by,
    // A column with one integer beyond 2^53 is a column of bigints: its keys have one type.
    keys: builder.keys.map((column) =>
      column.some((key) => typeof key === "bigint") ? column.map((key) => (typeof key === "number" ? BigInt(key) : key)) : column,
    ),
    nodes,
    offsets,
    reduce: level.reduce,
    ...(level.ddof === undefined ? {} : { ddof: level.ddof }),
    ...(weights === undefined ? {} : { weights }),
  };
}
