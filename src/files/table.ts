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
import { FourfoldError, nearest, show } from "../errors.ts";
import type { GroupedLevel, GroupedTable } from "../reduce/grouped.ts";
import type { Key } from "../reduce/key.ts";
import type { Dtype, NanPolicy, TypedData } from "../types.ts";
import { type Column, type Database, type DatabaseLimits, openDatabase, type Watch } from "./duckdb.ts";
import { type Allowed, resolvePath } from "./folders.ts";
import type { JsonDocument } from "./json.ts";
import type { ReadOptions, SpecContent, SpecLevel, SpecSource } from "./spec.ts";
import { hasCollation, identifier, quoted, replacePaths, singleSelect, sqlPaths } from "./sql.ts";

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
/** Beyond it float64 does not hold every integer. */
const EXACT_MAX = "9007199254740992";

/** A source as SQL with absolute paths, and its columns. */
interface Opened {
  readonly sql: string;
  readonly columns: readonly Column[];
  /** What messages call it. */
  readonly subject: string;
  /** Its place in the spec. */
  readonly pointer: string;
  /** The SQL names a collation, which would group other texts together than the contract does. */
  readonly collated: boolean;
}

/** A column as numbers: an SQL expression, its type, and a test that is true where float64 is not exact. */
interface NumberColumn {
  readonly name: string;
  readonly sql: string;
  readonly type: Dtype;
  readonly inexact: string | undefined;
  /** A wide type read as INTEGER, which fails where it does not fit. */
  readonly narrowed: boolean;
}

const RAW_TYPES: Readonly<Record<string, Dtype>> = { TINYINT: "i8", SMALLINT: "i16", INTEGER: "i32", UTINYINT: "u8" };
const EXACT_INTEGERS = ["TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER"];
const WIDE_INTEGERS = ["BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT"];
const TEXT_KEYS = [
  "VARCHAR",
  "ENUM",
  "UUID",
  "DATE",
  "TIME",
  "TIME_TZ",
  "TIME_NS",
  "TIMESTAMP",
  "TIMESTAMP_S",
  "TIMESTAMP_MS",
  "TIMESTAMP_NS",
  "TIMESTAMP_TZ",
];
const BYTES_OF: Readonly<Record<Dtype, number>> = { f64: 8, f32: 4, i32: 4, i16: 2, i8: 1, u8: 1 };

/** `error` with the place of the part of the spec that caused it. */
function placed(error: unknown, document: JsonDocument, pointer: string): unknown {
  if (!(error instanceof FourfoldError) || error.at?.pointer !== undefined || error.code === "ERR_FOURFOLD_ABORTED") return error;
  const { fix, given, expected, cause } = error;
  const place = document.valueAt(pointer);
  const text = fix === undefined ? error.message : error.message.slice(0, -(fix.length + 2));
  return new FourfoldError(error.code, `${document.file ?? "spec"}:${place.line}:${place.column}: ${text}`, {
    given,
    expected,
    ...(fix === undefined ? {} : { fix }),
    cause: cause ?? error,
    at: { ...(document.file === undefined ? {} : { file: document.file }), ...place, ...error.at, pointer },
  });
}

async function openSource(
  db: Database,
  source: SpecSource,
  pointer: string,
  spec: SpecContent,
  allowed: Allowed,
  signal: AbortSignal | undefined,
): Promise<Opened> {
  const place = "sql" in source ? `${pointer}/sql` : `${pointer}/file`;
  try {
    if ("file" in source) {
      const file = resolvePath(source.file, allowed);
      const watch: Watch = { signal, subject: source.file };
      const sql = `from read_${source.format}(${quoted(file)})`;
      return { sql, columns: await db.columns(sql, watch), subject: source.file, pointer: place, collated: false };
    }
    const watch: Watch = { signal };
    const statement = singleSelect(await db.syntax(source.sql, watch));
    const paths = sqlPaths(source.sql, statement);
    const sql = replacePaths(source.sql, paths, (path) => resolvePath(path, allowed));
    const subject = paths.length === 1 ? (paths[0] as { path: string }).path : "the source";
    return { sql, columns: await db.columns(sql, { signal, subject }), subject, pointer: place, collated: hasCollation(statement) };
  } catch (error) {
    throw placed(error, spec.document, place);
  }
}

/** `query` takes the text as data, so that a comment or semicolon at its end cannot reach the SQL around it. */
function tableOf(opened: Opened): string {
  return `query(${quoted(opened.sql)}) as source`;
}

function columnOf(opened: Opened, name: string, role: string): Column {
  const same = opened.columns.filter((column) => column.name.toLowerCase() === name.toLowerCase());
  const exact = same.filter((column) => column.name === name);
  if (exact.length === 1 && same.length === 1) return exact[0] as Column;
  if (same.length > 1)
    throw new FourfoldError("ERR_FOURFOLD_COLUMN", `${role}: ${opened.subject} has ${same.length} columns called ${show(name)}`, {
      given: name,
      at: { column: name },
      fix: "Name the columns apart in the SQL: select a.x as left_x, …",
    });
  const names = opened.columns.map((column) => column.name);
  const meant = nearest(name, names);
  throw new FourfoldError(
    "ERR_FOURFOLD_COLUMN",
    `${role}: ${opened.subject} has no column ${show(name)}; it has ${names.slice(0, 40).join(", ")}`,
    {
      given: name,
      expected: names,
      at: { column: name },
      ...(meant === undefined ? {} : { fix: `Did you mean ${show(meant)}?` }),
    },
  );
}

const isNumeric = ({ type }: Column): boolean =>
  EXACT_INTEGERS.includes(type) || WIDE_INTEGERS.includes(type) || ["FLOAT", "DOUBLE", "DECIMAL"].includes(type);

/**
 * A column as numbers: small integers and FLOAT as they are, the rest as DOUBLE with NaN for null. `narrow` reads wide integers
 * as INTEGER, which they nearly always are: lists of 4 bytes instead of 8 save a quarter of the reading.
 */
function numberColumn(opened: Opened, name: string, role: string, narrow: boolean): NumberColumn {
  const column = columnOf(opened, name, role);
  if (!isNumeric(column)) {
    const numeric = opened.columns.filter(isNumeric).map((other) => other.name);
    throw new FourfoldError("ERR_FOURFOLD_COLUMN", `${role}: column ${show(name)} is ${column.type}, expected numbers`, {
      given: column.type,
      expected: "a numeric column",
      at: { column: name },
      fix: numeric.length === 0 ? "The source has no numeric column" : `Numeric columns: ${numeric.join(", ")}`,
    });
  }
  const reference = `source.${identifier(name)}`;
  const wide = WIDE_INTEGERS.includes(column.type);
  const raw = wide && narrow ? "i32" : Object.hasOwn(RAW_TYPES, column.type) ? RAW_TYPES[column.type] : undefined;
  if (raw !== undefined)
    return { name, sql: raw === "i32" ? `${reference}::INTEGER` : reference, type: raw, inexact: undefined, narrowed: wide };
  const sqlType = column.type === "FLOAT" ? "FLOAT" : "DOUBLE";
  const limit = exactLimit(column);
  // Through text a wide decimal becomes the nearest float64; DuckDB's own cast divides and rounds twice.
  const cast = column.type === "DECIMAL" && (column.width ?? 38) > 15 ? `${reference}::VARCHAR::DOUBLE` : `${reference}::${sqlType}`;
  return {
    name,
    sql: `coalesce(${cast}, 'NaN'::${sqlType})`,
    type: sqlType === "FLOAT" ? "f32" : "f64",
    inexact: limit === undefined ? undefined : `(${reference} > ${limit} or ${reference} < -${limit})`,
    narrowed: false,
  };
}

/** The magnitude beyond which a column may hold integers that float64 does not; undefined if it cannot reach there. */
function exactLimit({ type, width = 38, scale = 0 }: Column): string | undefined {
  return WIDE_INTEGERS.includes(type) || (type === "DECIMAL" && width - scale > 15) ? EXACT_MAX : undefined;
}

/** A key column as SQL that groups and orders as the contract says: -0 is 0, NaN is null, texts by code point. */
function keySql(opened: Opened, name: string, role: string): string {
  const column = columnOf(opened, name, role);
  const reference = `source.${identifier(name)}`;
  if (column.type === "BOOLEAN") return reference;
  if (EXACT_INTEGERS.includes(column.type) || column.type === "BIGINT") return `${reference}::BIGINT`;
  if (WIDE_INTEGERS.includes(column.type)) return `${reference}::HUGEINT`;
  if (column.type === "FLOAT" || column.type === "DOUBLE" || (column.type === "DECIMAL" && (column.width ?? 38) <= 15))
    return `case when isnan(${reference}::DOUBLE) then null else ${reference}::DOUBLE + 0.0 end`;
  if (TEXT_KEYS.includes(column.type)) return opened.collated ? `(${reference}::VARCHAR collate C)` : `${reference}::VARCHAR`;
  throw new FourfoldError("ERR_FOURFOLD_COLUMN", `${role}: column ${show(name)} is ${column.type}, which is no key`, {
    given: column.type,
    expected: "numbers, texts, booleans or dates",
    at: { column: name },
    fix: `Cast it in the SQL: ${name}::VARCHAR`,
  });
}

/** A column as float64, NaN for null. */
const asDouble = (column: NumberColumn): string => `coalesce((${column.sql})::DOUBLE, 'NaN'::DOUBLE)`;

function keyCell(cell: unknown): Key {
  if (typeof cell === "bigint") return Number.isSafeInteger(Number(cell)) ? Number(cell) : cell;
  return cell as Key;
}

/** A node's key as messages show it. */
function showKey(names: readonly string[], key: readonly Key[]): string {
  if (names.length === 0) return "the only node";
  return names.map((name, i) => `${name} ${typeof key[i] === "bigint" ? `${key[i]}` : JSON.stringify(key[i])}`).join(", ");
}

const keyText = (key: readonly Key[]): string =>
  key.map((cell) => (typeof cell === "bigint" ? `${cell}n` : JSON.stringify(cell))).join(",");

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
    const source = await openSource(this.#db, spec.source, "/source", spec, this.#allowed, signal);
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
    weights: { readonly table: SpecSource; readonly value: string },
    child: LevelBuilder,
    watch: Watch,
  ): Promise<Float64Array> {
    const level = this.#spec.levels[i] as SpecLevel;
    const pointer = `/levels/${i}/weights`;
    const opened = await openSource(this.#db, weights.table, `${pointer}/table`, this.#spec, this.#allowed, watch.signal);
    const role = `the weights of level ${show(level.name)}`;
    const keys = child.level.by.map((name) => this.#at(`${pointer}/table`, () => keySql(opened, name, role)));
    const value = this.#at(`${pointer}/value`, () => numberColumn(opened, weights.value, role, false));
    const weightOf = new Map<string, number>();
    const fail = (what: string, key: readonly Key[], fix: string): FourfoldError =>
      placed(
        new FourfoldError(
          "ERR_FOURFOLD_WEIGHTS",
          `level ${show(level.name)}: the weights table ${what} ${child.level.name} (${showKey(child.level.by, key)})`,
          {
            given: key,
            at: { level: level.name },
            fix,
          },
        ),
        this.#spec.document,
        pointer,
      ) as FourfoldError;
    const sql = `select ${[...keys, asDouble(value), value.inexact ?? "false"].join(", ")} from ${tableOf(opened)}`;
    let example: Key[] | undefined;
    try {
      for await (const chunk of this.#db.chunks(sql, { signal: watch.signal, subject: opened.subject })) {
        const cells = [...keys, "", ""].map((_, column) => chunk.cells(column));
        for (let row = 0; row < chunk.rows; row++) {
          const key = keys.map((_, k) => keyCell((cells[k] as unknown[])[row]));
          const text = keyText(key);
          if (weightOf.has(text)) throw fail("has two rows for", key, "Keep one row for each key");
          if ((cells[keys.length + 1] as unknown[])[row] === true)
            throw new FourfoldError(
              "ERR_FOURFOLD_INTEGER",
              `${role}: the weight of ${showKey(child.level.by, key)} is an integer beyond 2^53`,
              { at: { column: weights.value }, fix: "Cast it: value::DOUBLE" },
            );
          example ??= key;
          weightOf.set(text, Number((cells[keys.length] as unknown[])[row]));
        }
      }
    } catch (error) {
      throw placed(error, this.#spec.document, opened.pointer);
    }
    const result = new Float64Array(child.starts.length);
    for (let node = 0; node < result.length; node++) {
      const key = child.keyAt(node);
      const weight = weightOf.get(keyText(key));
      if (weight === undefined)
        throw fail(
          "has no row for",
          key,
          example === undefined ? "The table is empty" : `Add the row; the table's keys look like (${showKey(child.level.by, example)})`,
        );
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
