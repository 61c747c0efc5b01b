/**
 * A spec's source that is larger than memory → closed levels. DuckDB reads, filters and joins, and tells each record's path as numbers (key-codes.ts);
 * the records are cut into parts by the range of their keys (parts.ts), on disk where they must be; part by part in order of key the nodes
 * close and climb (reduce/climb.ts). Memory does not grow with the records, and not with nodes that are not kept. table.ts is the way of
 * tables that fit, and both give the same bits.
 */
import { FourfoldError, throwIfAborted } from "../errors.ts";
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
import { type CodedColumn, joinSql, keyOfCode, lookUp, readDictionary, wordsSql } from "./key-codes.ts";
import { memoryFor } from "./large-estimate.ts";
import { faultOf, rowsSql, type Surveyed, survey, unsteady } from "./large-survey.ts";
import { type LargeWeights, largeWeights } from "./large-weights.ts";
import { Blocks, Parts, type RecordShape } from "./parts.ts";
import { asDouble, openSource, placed } from "./source.ts";
import type { SpecContent, SpecLevel } from "./spec.ts";
import { Spill, type SpillOptions } from "./spill.ts";
import { type RecordColumns, recordColumns } from "./table-columns.ts";
import { listLength, nanWeight } from "./weight-faults.ts";

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

/** Weights from tables of their own, by level, and the first level whose table cannot be read. */
interface Tables {
  readonly byLevel: ReadonlyMap<number, LargeWeights>;
  readonly failed: { readonly level: number; readonly error: FourfoldError } | undefined;
}

/** In place of a table that cannot be read, until that is told. */
const NO_TABLE: LargeWeights = {
  words: [],
  weights: new Float64Array(0),
  missing: 1,
  without: () => Promise.reject(new Error("unreachable: no child is without a weight")),
};

/** Errors that are not about the data. */
const UNTOLD: readonly string[] = ["ERR_FOURFOLD_ABORTED", "ERR_FOURFOLD_MEMORY"];

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
    const told: Surveyed = { db: this.#db, spec: this.#spec, source, nan: this.#nan, watch };
    try {
      const columns = recordColumns(this.#spec, source, this.#nan, false);
      const { records, coded } = await survey(told, columns);
      const layout = keyWords(coded.map(({ radix }) => radix));
      const weights = await this.#tables(told, columns, coded, layout);
      const shape = { words: layout.spans.length, weighted: columns.weight !== undefined, constants: columns.constants.length };
      const parts = await this.#cut(told, columns, coded, layout, shape, records);
      const readMs = performance.now() - began;
      const climbed = await this.#reduce(told, parts, columns, coded, layout, shape, weights, records);
      const keys = await this.#keys(climbed, coded, layout, watch);
      return {
        records,
        levels: levels.map(({ name, reduce }, i) => ({ name, reduction: reduce, nodes: climbed[i]!.nodes })),
        views: rolledViews(levels, records, climbed, keys, levels.at(-1)!.by.length === 0),
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

  /** The weights that levels take from tables of their own. An error of one waits while others may come before it. */
  async #tables(told: Surveyed, columns: RecordColumns, coded: readonly CodedColumn[], layout: KeyWords): Promise<Tables> {
    const byLevel = new Map<number, LargeWeights>();
    const rowsMax = Math.floor((this.#memory * SHARES.nodes) / 2 / 8 / (layout.spans.length + 1));
    let failed: Tables["failed"];
    let mayFail = columns.constants.length > 0;
    for (const [i, { weights }] of this.#spec.levels.entries()) {
      if (typeof weights !== "object" || "column" in weights) continue;
      if ("table" in weights) {
        if (failed === undefined)
          try {
            byLevel.set(i, await largeWeights(told, i, weights, coded, layout, this.#allowed, rowsMax));
          } catch (error) {
            if (!mayFail || !(error instanceof FourfoldError) || UNTOLD.includes(error.code)) throw error;
            failed = { level: i, error };
          }
        if (failed !== undefined) byLevel.set(i, NO_TABLE);
      }
      mayFail = true;
    }
    return { byLevel, failed };
  }

  /** Reads the records and cuts them into parts. */
  async #cut(
    told: Surveyed,
    columns: RecordColumns,
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
    const sql = `select ${[...wordsSql(coded, layout, "s"), ...named].join(", ")} from ${rowsSql(told, columns, select)}${joins}`;
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
    told: Surveyed,
    parts: Parts,
    columns: RecordColumns,
    coded: readonly CodedColumn[],
    layout: KeyWords,
    shape: RecordShape,
    { byLevel, failed }: Tables,
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
          weights: climbWeights(level, i, columns, byLevel.get(i)),
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
      const climbed = climb.finish();
      if (failed === undefined) return climbed;
    } catch (error) {
      if (!(error instanceof WeightError)) throw error;
      const { level, kind, words, index, given } = error.trouble;
      if (kind === "varies") throw await faultOf(told);
      if (failed === undefined || level < failed.level) {
        const key = await this.#keyAt(coded, layout, words, levels[kind === "length" ? level : level - 1]!.by.length, told.watch);
        if (kind === "missing") throw await byLevel.get(level)!.without(key);
        throw kind === "nan"
          ? nanWeight(this.#spec, level, index, key)
          : listLength(this.#spec, level, given as [number, number], index, key);
      }
    }
    throw failed.error;
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
function climbWeights({ weights }: SpecLevel, i: number, { constants }: RecordColumns, table: LargeWeights | undefined): ClimbWeights {
  if (table !== undefined) return { form: "table", table };
  if (weights === undefined || i === 0) return { form: "none" };
  if (weights === "count") return { form: "count" };
  if ("column" in weights) return { form: "constant", at: constants.findIndex(({ level }) => level === i) };
  return { form: "list", values: weights as readonly number[] };
}
