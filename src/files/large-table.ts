/**
 * A spec's source that is larger than memory → closed levels. DuckDB reads, filters and joins, and tells each record's path as numbers (key-codes.ts);
 * the records are cut into parts by the range of their keys (parts.ts), on disk where they must be; part by part in order of key the nodes
 * close and climb (reduce/climb.ts). Memory does not grow with the records, and not with nodes that are not kept. table.ts is the way of
 * tables that fit, and both give the same bits.
 */
import { freemem } from "node:os";
import { FourfoldError, show, throwIfAborted } from "../errors.ts";
import { Climb, type ClimbedLevel, type ClimbLevel, type ClimbWeights, WeightError } from "../reduce/climb.ts";
import type { LevelKeys } from "../reduce/group.ts";
import type { Key } from "../reduce/key.ts";
import { codeIn, type KeyWords, keyWords } from "../reduce/key-words.ts";
import { NodeTable } from "../reduce/node-table.ts";
import { oneType, type RolledUp, rolledViews } from "../reduce/rolled.ts";
import type { StateRules } from "../reduce/state.ts";
import type { Accuracy, NanPolicy, Progress } from "../types.ts";
import { type Database, type DatabaseLimits, openDatabase, type Watch } from "./duckdb.ts";
import type { Allowed } from "./folders.ts";
import { type CodedColumn, codeColumn, joinSql, type KeyColumn, keyOfCode, kindOf, lookUp, readDictionary, wordsSql } from "./key-codes.ts";
import { inexactInteger, missingValue, nullKey, type Told, unsteady, weightError } from "./large-errors.ts";
import { type LargeWeights, largeWeights } from "./large-weights.ts";
import { Blocks, Parts, type RecordShape } from "./parts.ts";
import {
  asDouble,
  columnOf,
  keyCell,
  keySql,
  type NumberColumn,
  numberColumn,
  type Opened,
  openSource,
  placed,
  tableOf,
} from "./source.ts";
import type { SpecContent, SpecLevel } from "./spec.ts";
import { Spill, type SpillOptions } from "./spill.ts";

/** Of the memory that is free, what a table may take that was given no limit. */
const FREE_SHARE = 1 / 2;
/** Of the limit: what DuckDB may take, what blocks of records may, what the nodes of one part and its weights may. The rest is everyone's overhead. */
const SHARES = { database: 1 / 2, blocks: 1 / 8, nodes: 1 / 8 } as const;
/** A part of so many nodes has its table in the processor's cache. */
const NODES_PER_PART = 1 << 16;
/** Parts, each of which fills a block of 64 KiB. */
const PARTS_MAX = 1024;
/** Nodes of one part: no limit makes it smaller than one batch. */
const NODES_MIN = 4096;
/** A node's words, state and places in the table, times two while a table grows. */
const NODE_BYTES = 300;
/** In memory a value or weight is there twice, and a key, if all are different, as DuckDB holds it and as a text of ours. */
const RECORD_BYTES = 16;
const KEY_BYTES = 16;
/** Of the limit: what a table that is read into memory may take by this reckoning. */
const IN_MEMORY_SHARE = 1 / 2;
/** Records that are reduced before the event loop turns. */
const TURN_RECORDS = 1 << 16;

/** How a large table is rolled up. */
export interface RollUpOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  readonly nan?: NanPolicy;
  readonly accuracy: Accuracy;
  /** Levels whose nodes are kept, innermost first. */
  readonly keep: readonly boolean[];
}

/** What rolling up may use, beside the limits of the database. */
export interface LargeLimits extends DatabaseLimits, SpillOptions {
  /** For tests: few nodes for each part, and few parts. */
  readonly nodesMax?: number;
  readonly partsMax?: number;
}

/** The bytes of memory for all of it. */
export function memoryFor({ memoryBytesMax }: DatabaseLimits): number {
  return memoryBytesMax ?? freemem() * FREE_SHARE;
}

/** Rolls up the source of a spec. @throws FourfoldError as readTable does, and ERR_FOURFOLD_MEMORY beyond `spillBytesMax` */
export async function rollUp(spec: SpecContent, allowed: Allowed, limits: LargeLimits, options: RollUpOptions): Promise<RolledUp> {
  const began = performance.now();
  throwIfAborted(options.signal);
  const spill = await Spill.open(limits);
  try {
    const memory = memoryFor(limits);
    const db = await openDatabase(allowed, {
      memoryBytesMax: memory * SHARES.database,
      ...(limits.threads === undefined ? {} : { threads: limits.threads }),
      spill: { folder: spill.folder, bytesMax: spill.bytesMax },
    });
    try {
      return await new LargeTable(db, spec, allowed, limits, options, spill, memory).rollUp(began);
    } finally {
      db.close();
    }
  } finally {
    await spill.close();
  }
}

/**
 * True if a source has, as DuckDB estimates, more records than memory holds twice: grouped by DuckDB, and copied for the kernels.
 * @throws FourfoldError as reading the source does
 */
export async function outgrows(
  spec: SpecContent,
  allowed: Allowed,
  limits: DatabaseLimits,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const db = await openDatabase(allowed, limits);
  try {
    const source = await openSource(db, spec.source, "/source", spec.document, allowed, signal);
    const weights = spec.levels.filter((level) => typeof level.weights === "object" && "column" in level.weights).length;
    const bytes = RECORD_BYTES * (1 + weights) + KEY_BYTES * spec.levels[0]!.by.length;
    return (await estimate(db, tableOf(source), { signal, subject: source.subject })) * bytes > memoryFor(limits) * IN_MEMORY_SHARE;
  } finally {
    db.close();
  }
}

/** The records that DuckDB expects of some rows; 0 where it does not say. */
async function estimate(db: Database, from: string, watch: Watch): Promise<number> {
  for await (const chunk of db.chunks(`explain (format json) select * from ${from}`, watch)) {
    const found = /"Estimated Cardinality": "(\d+)"/.exec(String(chunk.cells(1)[0]));
    if (found) return Number(found[1]);
  }
  return 0;
}

/** The columns of the records, beside their keys. */
interface Columns {
  readonly keys: readonly KeyColumn[];
  readonly value: NumberColumn;
  readonly weight: NumberColumn | undefined;
  /** Weights of outer levels, with the level each is of. */
  readonly constants: readonly { readonly level: number; readonly column: NumberColumn }[];
}

class LargeTable {
  readonly #db: Database;
  readonly #spec: SpecContent;
  readonly #allowed: Allowed;
  readonly #options: RollUpOptions;
  readonly #limits: LargeLimits;
  readonly #nan: NanPolicy;
  readonly #spill: Spill;
  readonly #memory: number;

  constructor(
    db: Database,
    spec: SpecContent,
    allowed: Allowed,
    limits: LargeLimits,
    options: RollUpOptions,
    spill: Spill,
    memory: number,
  ) {
    this.#db = db;
    this.#spec = spec;
    this.#allowed = allowed;
    this.#limits = limits;
    this.#options = options;
    this.#nan = options.nan ?? spec.nan;
    this.#spill = spill;
    this.#memory = memory;
  }

  async rollUp(began: number): Promise<RolledUp> {
    const { signal } = this.#options;
    const { levels, document } = this.#spec;
    const source = await openSource(this.#db, this.#spec.source, "/source", document, this.#allowed, signal);
    const watch: Watch = { signal, subject: source.subject };
    const told: Told = { db: this.#db, document, levels, from: tableOf(source), watch };
    try {
      const columns = this.#columns(source);
      const { records, coded } = await this.#survey(told, columns);
      const layout = keyWords(coded.map(({ radix }) => radix));
      const weights = await this.#tables(told, coded, layout);
      const shape = { words: layout.spans.length, weighted: columns.weight !== undefined, constants: columns.constants.length };
      const parts = await this.#cut(told, columns, coded, layout, shape, records);
      const readMs = performance.now() - began;
      const climbed = await this.#reduce(told, parts, columns, coded, layout, shape, weights, records);
      const keys = await this.#keys(climbed, coded, layout, watch);
      const names = levels.map(({ name }) => name);
      return {
        records,
        levels: levels.map(({ name, reduce }, i) => ({ name, reduction: reduce, nodes: climbed[i]!.nodes })),
        views: rolledViews(names, records, climbed, keys, levels.at(-1)!.by.length === 0),
        parts: parts.count,
        spilledBytes: this.#spill.bytes,
        readMs,
        reduceMs: performance.now() - began - readMs,
      };
    } catch (error) {
      // What is known to be about a column or a level has its own place.
      throw error instanceof FourfoldError && error.at !== undefined ? error : placed(error, document, source.pointer);
    }
  }

  #at<T>(pointer: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw placed(error, this.#spec.document, pointer);
    }
  }

  #columns(source: Opened): Columns {
    const { levels } = this.#spec;
    const keys = levels[0]!.by.map((name): KeyColumn => {
      const sql = this.#at("/levels/0/by", () => keySql(source, name, "a key"));
      return { name, sql, kind: kindOf(columnOf(source, name, "a key")) };
    });
    const value = this.#at("/value", () => numberColumn(source, this.#spec.value, "the value", false));
    const weightOf = ({ weights, name }: SpecLevel, i: number): NumberColumn | undefined =>
      typeof weights === "object" && "column" in weights
        ? this.#at(`/levels/${i}/weights/column`, () => numberColumn(source, weights.column, `the weights of level ${show(name)}`, false))
        : undefined;
    const [weight, ...outer] = levels.map(weightOf);
    const constants = outer.flatMap((column, i) => (column === undefined ? [] : [{ level: i + 1, column }]));
    return { keys, value, weight, constants };
  }

  /** The rows that count, with keys k0, k1, … and what else is selected. */
  #rows({ from }: Told, { keys }: Columns, select: readonly string[]): string {
    const inner = [...keys.map(({ sql }, k) => `${sql} as k${k}`), ...select, "1 as one"];
    const kept = this.#spec.nullKeys === "skip" && keys.length > 0 ? ` where ${keys.map((_, k) => `k${k} is not null`).join(" and ")}` : "";
    return `(select * from (select ${inner.join(", ")} from ${from})${kept}) as s`;
  }

  /** Counts the records, looks for what is an error, and gives the keys their codes. */
  async #survey(told: Told, columns: Columns): Promise<{ readonly records: number; readonly coded: readonly CodedColumn[] }> {
    const { keys, value, weight, constants } = columns;
    const { nullKeys } = this.#spec;
    const inexact = [value.inexact, weight?.inexact].filter((test) => test !== undefined);
    const missing = this.#nan === "error" ? [value, ...(weight === undefined ? [] : [weight])].map((one) => `isnan(${asDouble(one)})`) : [];
    // In the order in which a node's troubles are told.
    const tests: readonly string[] = [
      nullKeys === "error" && keys.length > 0 ? keys.map(({ sql }) => `(${sql}) is null`).join(" or ") : "false",
      inexact.length > 0 ? inexact.join(" or ") : "false",
      missing.length > 0 ? missing.join(" or ") : "false",
      ...constants.map(({ column }) => column.inexact ?? "false"),
    ];
    const trouble = `case ${tests.map((test, t) => `when ${test} then ${t}`).join(" ")} end as t`;
    const rows = this.#rows(told, columns, [trouble]);
    const found = ["count(*)", "count(t)"];
    for (const [k, { kind }] of keys.entries()) {
      const number = kind === "boolean" ? `k${k}::INTEGER` : `k${k}`;
      found.push(`count(*) - count(k${k})`);
      if (kind === "text") found.push("null", "null", "false");
      else found.push(`min(${number})`, `max(${number})`, `coalesce(bool_and(${number} = floor(${number}::DOUBLE)), false)`);
    }
    const { onProgress } = this.#options;
    const watch: Watch = { ...told.watch, onProgress };
    let cells: unknown[] = [];
    for await (const chunk of this.#db.chunks(`select ${found.join(", ")} from ${rows}`, watch))
      cells = found.map((_, column) => chunk.cells(column)[0]);
    if (Number(cells[1]) > 0) throw await this.#trouble(told, columns, rows);
    const coded: CodedColumn[] = [];
    for (const [k, column] of keys.entries()) {
      const [nulls, least, greatest, whole] = cells.slice(2 + 4 * k);
      const range = { nulls: Number(nulls) > 0, least, greatest, whole: whole === true };
      coded.push(await codeColumn(this.#db, column, k, range, told.from, told.watch));
    }
    return { records: Number(cells[0]), coded };
  }

  /** What is wrong with the first node in order of key that has something wrong. */
  async #trouble(told: Told, { keys, value, weight, constants }: Columns, rows: string): Promise<FourfoldError> {
    const names = keys.map((_, k) => `k${k}`);
    const order = [...names.map((name) => `${name} nulls first`), "t"].join(", ");
    for await (const chunk of this.#db.chunks(
      `select ${[...names, "t"].join(", ")} from ${rows} where t is not null order by ${order} limit 1`,
      told.watch,
    )) {
      const key = names.map((_, k) => keyCell(chunk.cells(k)[0]));
      const t = Number(chunk.cells(names.length)[0]);
      if (t === 0)
        return nullKey(
          told,
          key,
          keys.map(({ sql }) => sql),
        );
      if (t === 1) return inexactInteger(told, [value, weight], key);
      if (t === 2) return missingValue(told, value, weight, key);
      return inexactInteger(told, [constants[t - 3]!.column], key);
    }
    return unsteady(told.watch.subject ?? "the source");
  }

  /** The weights that levels take from tables of their own. */
  async #tables(told: Told, coded: readonly CodedColumn[], layout: KeyWords): Promise<ReadonlyMap<number, LargeWeights>> {
    const tables = new Map<number, LargeWeights>();
    const rowsMax = Math.floor((this.#memory * SHARES.nodes) / 2 / 8 / (layout.spans.length + 1));
    for (const [i, { weights }] of this.#spec.levels.entries())
      if (typeof weights === "object" && "table" in weights)
        tables.set(i, await largeWeights(told, i, weights, coded, layout, this.#allowed, rowsMax));
    return tables;
  }

  /** Reads the records and cuts them into parts. */
  async #cut(
    told: Told,
    columns: Columns,
    coded: readonly CodedColumn[],
    layout: KeyWords,
    shape: RecordShape,
    records: number,
  ): Promise<Parts> {
    const { onProgress } = this.#options;
    const blocks = new Blocks(shape, this.#spill, this.#memory * SHARES.blocks);
    const paths = layout.spans.reduce((product, span) => product * span, 1);
    const partsMax = Math.min(
      PARTS_MAX,
      Math.max(1, Math.floor((this.#memory * SHARES.blocks) / blocks.bytes)),
      this.#limits.partsMax ?? PARTS_MAX,
    );
    const wanted = Math.min(partsMax, Math.max(1, Math.ceil(Math.min(paths, records) / NODES_PER_PART)));
    const parts = new Parts(blocks, { word: 0, low: 0, span: layout.spans[0] ?? 1 }, wanted, partsMax);
    const select = [
      `${asDouble(columns.value)} as v`,
      ...(columns.weight === undefined ? [] : [`${asDouble(columns.weight)} as w`]),
      ...columns.constants.map(({ column }, c) => `${asDouble(column)} as c${c}`),
    ];
    const named = ["s.v", ...(columns.weight === undefined ? [] : ["s.w"]), ...columns.constants.map((_, c) => `s.c${c}`)];
    const joins = coded.map((column, k) => joinSql(column, `s.k${k}`, k)).join("");
    const sql = `select ${[...wordsSql(coded, layout, "s"), ...named].join(", ")} from ${this.#rows(told, columns, select)}${joins}`;
    const first = shape.words + (shape.weighted ? 2 : 1);
    let done = 0;
    for await (const chunk of this.#db.chunksAhead(sql, told.watch)) {
      const items = (column: number): Float64Array => chunk.items(column) as Float64Array;
      const added = await parts.add({
        n: chunk.rows,
        words: layout.spans.map((_, w) => items(w)),
        values: items(shape.words),
        weights: shape.weighted ? items(shape.words + 1) : undefined,
        constants: columns.constants.map((_, c) => items(first + c)),
      });
      if (!added) throw unsteady(told.watch.subject ?? "the source");
      done += chunk.rows;
      onProgress?.({ done: Math.floor(done / 2), total: records, unit: "records" }); // half of the work
    }
    if (done !== records) throw unsteady(told.watch.subject ?? "the source");
    await this.#spill.flush();
    return parts;
  }

  /** Closes the nodes of all parts, and the levels above them. */
  async #reduce(
    told: Told,
    parts: Parts,
    columns: Columns,
    coded: readonly CodedColumn[],
    layout: KeyWords,
    shape: RecordShape,
    tables: ReadonlyMap<number, LargeWeights>,
    records: number,
  ): Promise<ClimbedLevel[]> {
    const { signal, onProgress, accuracy, keep } = this.#options;
    const { levels } = this.#spec;
    const quotient = accuracy === "exact" ? "real" : "rounded";
    const { reduce: kind, ddof = 0 } = levels[0]!;
    const rules: StateRules = { kind, ddof, quotient, skip: this.#nan === "skip" };
    const climb = new Climb(
      levels.map(
        (level, i): ClimbLevel => ({
          name: level.name,
          kind: level.reduce,
          ddof: level.ddof ?? 0,
          depth: level.by.length,
          weights: climbWeights(level, i, columns, tables.get(i)),
          kept: keep[i] === true,
        }),
      ),
      layout,
      this.#nan,
      accuracy,
    );
    const nodesMax = this.#limits.nodesMax ?? Math.max(NODES_MIN, Math.floor((this.#memory * SHARES.nodes) / NODE_BYTES));
    let done = 0;
    let turn = 0;
    const reduceParts = async (some: Parts): Promise<void> => {
      for (let part = 0; part < some.count; part++) {
        if (some.isEmpty(part) && shape.words > 0) continue;
        const table = new NodeTable(rules, shape.words, shape.constants, nodesMax);
        if (shape.words === 0) table.openOnly();
        let fits = true;
        let read = 0;
        for await (const batch of some.read(part)) {
          throwIfAborted(signal);
          fits = table.add(batch);
          if (!fits) break;
          read += batch.n;
          turn += batch.n;
          if (turn < TURN_RECORDS) continue;
          turn = 0;
          await new Promise(setImmediate);
          onProgress?.({ done: Math.floor((records + done + read) / 2), total: records, unit: "records" });
        }
        if (fits) {
          some.drop(part);
          climb.add(table.close());
          done += read;
        } else await reduceParts(await some.split(part, layout.spans));
      }
    };
    try {
      await reduceParts(parts);
      return climb.finish();
    } catch (error) {
      if (!(error instanceof WeightError)) throw error;
      const { level, kind, words } = error.trouble;
      const key = await this.#keyAt(coded, layout, words, levels[kind === "length" ? level : level - 1]!.by.length, told.watch);
      throw kind === "missing" ? tables.get(level)!.missingRow(key) : weightError(told, error.trouble, key);
    }
  }

  /** The key of a path. */
  async #keyAt(coded: readonly CodedColumn[], layout: KeyWords, words: readonly number[], depth: number, watch: Watch): Promise<Key[]> {
    const key: Key[] = [];
    for (const [k, column] of coded.slice(0, depth).entries()) {
      const place = layout.columns[k]!;
      const code = codeIn(place, words[place.word]!);
      key.push(column.dictionary === undefined ? keyOfCode(column, code) : await lookUp(this.#db, column, code, watch));
    }
    return key;
  }

  /** The keys of the levels that were kept. */
  async #keys(climbed: readonly ClimbedLevel[], coded: readonly CodedColumn[], layout: KeyWords, watch: Watch): Promise<LevelKeys[]> {
    const { levels } = this.#spec;
    const dictionaries = new Map<number, Key[]>();
    const keys: LevelKeys[] = [];
    for (const [i, { kept }] of climbed.entries()) {
      const names = levels[i]!.by;
      const columns: (readonly Key[])[] = [];
      for (let k = 0; kept !== undefined && k < names.length; k++) {
        const column = coded[k]!;
        const place = layout.columns[k]!;
        if (column.dictionary !== undefined && !dictionaries.has(k)) dictionaries.set(k, await readDictionary(this.#db, column, watch));
        const dictionary = dictionaries.get(k);
        const codes = kept.words[place.word]!;
        columns.push(
          oneType(Array.from(codes, (word) => (dictionary ? dictionary[codeIn(place, word)]! : keyOfCode(column, codeIn(place, word))))),
        );
      }
      keys.push({ names, columns });
    }
    return keys;
  }
}

/** Where the climb finds the weights of a level. */
function climbWeights({ weights }: SpecLevel, i: number, { constants }: Columns, table: LargeWeights | undefined): ClimbWeights {
  if (table !== undefined) return { form: "table", table };
  if (weights === undefined || i === 0) return { form: "none" };
  if (weights === "count") return { form: "count" };
  if ("column" in weights) return { form: "constant", at: constants.findIndex(({ level }) => level === i) };
  return { form: "list", values: weights as readonly number[] };
}
