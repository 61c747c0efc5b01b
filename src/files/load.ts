/** From a path to a roll-up that the engine can run: reads the spec now, its data when `read` is called. */
import { readFile, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { badOption, FourfoldError } from "../errors.ts";
import type { GroupedTable, RejectedRow } from "../reduce/grouped.ts";
import type { Key } from "../reduce/key.ts";
import type { RolledUp } from "../reduce/rolled.ts";
import { Barrier } from "./barrier.ts";
import { checkLimits, type UntrustedLimits } from "./barrier-limits.ts";
import { checkOnError, type OnError, readCarefully } from "./careful.ts";
import { type DatabaseLimits, openDatabase } from "./duckdb.ts";
import { type Allowed, allowedPlaces } from "./folders.ts";
import { outgrows } from "./large-estimate.ts";
import { type RollUpOptions, rollUp } from "./large-table.ts";
import { Letters } from "./letters.ts";
import { type ReplayChunk, type ReplayOptions, replayTable, timeOf } from "./replay.ts";
import { placed } from "./source.ts";
import { filesOf } from "./source-files.ts";
import {
  type Job,
  parseSpec,
  parseStreamSpec,
  type ReadOptions,
  SPEC_BYTES_MAX,
  type SpecBody,
  type SpecContent,
  type SpecLevel,
  withoutSource,
} from "./spec.ts";
import type { SpecStream } from "./spec-stream.ts";
import { describeSpec } from "./spec-words.ts";
import { readTable } from "./table.ts";
import { readWeightTable } from "./weight-table.ts";

/** What a spec may reach and use. */
export interface LoadOptions extends UntrustedLimits {
  /** Folders and files a spec may read beside its own folder and the current folder. */
  readonly allowPaths?: readonly string[];
  /** The most memory DuckDB may take, and the most that the values may; without it DuckDB's own rule holds (80 % of the machine). */
  readonly memoryBytesMax?: number;
  /** Threads DuckDB may use; all cores without it, two for untrusted files. */
  readonly threads?: number;
  /**
   * Whether a run may keep a table that is larger than memory on disk while it rolls it up: `"auto"` (default) where the table takes more
   * than its share of `memoryBytesMax`, or of the memory that is free, by DuckDB's estimate; `"always"`; `"never"`. The bits are the same.
   * Never for tables that are read with `untrusted`, `check` or `onError`: they are read whole.
   */
  readonly spill?: "auto" | "always" | "never";
  /** The folder for that, default the system's for temporary files. What is written there goes when the run ends, however it ends. */
  readonly spillDir?: string;
  /** The most bytes that may be written there; default 64 GiB. */
  readonly spillBytesMax?: number;
  /**
   * The files may be damaged or made to do harm: they are read in a process of their own, within a deadline and a limit on memory that
   * follow from their bytes, and Parquet files are checked before. docs/security.md says what it costs and what it does not defend.
   */
  readonly untrusted?: boolean;
  /** Check files before they are read: sizes and places in Parquet files, and the checksums of their pages and of gzip files. Default: as `untrusted`. */
  readonly check?: boolean;
  /**
   * What becomes of rows of CSV and NDJSON files that cannot be converted, integers beyond 2^53, and damaged files among several:
   * `"stop"` (the default) ends the reading with an error; `"skip"` leaves them out and counts them in the table's and the result's
   * `rejected`; `"quarantine"` also appends them to the file `quarantine`. Not for sources of SQL.
   */
  readonly onError?: OnError;
  /** The file that takes rejected rows: one JSON object a line, with source, line, byte, row, column, code, message and text. */
  readonly quarantine?: string;
}

/** A spec that was read from a file. */
export interface Spec extends Job {
  /** The absolute path of the spec. */
  readonly path: string;
  readonly source: SpecContent["source"];
  readonly value: string;
  readonly nullKeys: SpecContent["nullKeys"];
  /** The files that it reads, tables of weights and parents included. @throws FourfoldError ERR_FOURFOLD_FORBIDDEN, ERR_FOURFOLD_SOURCE, ERR_FOURFOLD_SPEC */
  files(signal?: AbortSignal): Promise<readonly string[]>;
  /** Rolls a table up that does not fit in memory; undefined where it is expected to fit, unless it is known not to. */
  rollUp(options: RollUpOptions & { readonly outgrown: boolean }): Promise<RolledUp | undefined>;
}

const SPILLS = ["auto", "always", "never"];
/** The reading of untrusted files is to leave cores for others. */
const UNTRUSTED_THREADS = 2;

const barrier = new Barrier();

/** True where files are checked, or read in a process of their own, or read with gaps. */
function isCareful({ untrusted = false, check = untrusted, onError = "stop" }: LoadOptions): boolean {
  return untrusted || check || onError !== "stop";
}

/** Refuses options of the wrong type. @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function checkedOptions(options: LoadOptions): void {
  for (const key of ["memoryBytesMax", "threads", "spillBytesMax"] as const) {
    const given = options[key];
    if (given !== undefined && !(Number.isSafeInteger(given) && given > 0)) throw badOption(key, given, "a whole number above 0");
  }
  if (options.allowPaths !== undefined && !Array.isArray(options.allowPaths))
    throw badOption("allowPaths", options.allowPaths, "a list of paths");
  if (options.spill !== undefined && !SPILLS.includes(options.spill))
    throw badOption("spill", options.spill, '"auto", "always" or "never"');
  if (options.spillDir !== undefined && typeof options.spillDir !== "string") throw badOption("spillDir", options.spillDir, "a folder");
  for (const key of ["untrusted", "check"] as const)
    if (options[key] !== undefined && typeof options[key] !== "boolean") throw badOption(key, options[key], "true or false");
  checkLimits(options);
  checkOnError(options.onError);
  if ((options.onError === "quarantine") !== (options.quarantine !== undefined))
    throw badOption("quarantine", options.quarantine, 'the path of a file with onError: "quarantine", and nothing without it');
  if (!options.untrusted)
    for (const key of ["deadlineMsMax", "readBytesMax"] as const)
      if (options[key] !== undefined) throw badOption(key, options[key], "untrusted: true beside it");
  if (options.spill === "always" && isCareful(options))
    throw badOption("spill", options.spill, '"auto" or "never" beside untrusted, check and onError, which read a table whole');
}

/**
 * Reads and checks a spec; the data stay where they are until the spec runs.
 *
 * @example
 * const r = await engine.run(await loadSpec("examples/flights.json"));
 */
export async function loadSpec(path: string, options: LoadOptions = {}): Promise<Spec> {
  checkedOptions(options);
  const absolute = resolve(path);
  const text = await readText(absolute, path);
  const content = parseSpec(text, path);
  /** What DuckDB expected of the source when it was first run: asking takes some 5 % of a run over three million records. */
  let large: boolean | undefined;
  return {
    kind: "fourfold.job",
    path: absolute,
    source: content.source,
    value: content.value,
    levels: content.levels,
    nan: content.nan,
    nullKeys: content.nullKeys,
    describe: describeSpec(content),
    files: async (signal) =>
      (await filesOf(content, placesOf(absolute, options), signal)).flatMap(({ files }) => files.map(({ path: one }) => one)),
    read: async (readOptions: ReadOptions = {}): Promise<GroupedTable> => {
      const places = placesOf(absolute, options);
      const { untrusted = false, check = untrusted, onError = "stop" } = options;
      if (!isCareful(options)) return readTable(content, places, limitsOf(options), readOptions);
      const letters = options.quarantine === undefined ? undefined : new Letters("quarantine", options.quarantine);
      const onRejected = (rows: readonly RejectedRow[]): void => {
        for (const row of rows) letters!.add(JSON.stringify(row));
      };
      const care = { check, onError };
      try {
        if (untrusted) {
          const { threads = UNTRUSTED_THREADS, memoryBytesMax = null } = options;
          const limits = { ...pick(options, "deadlineMsMax"), ...pick(options, "readBytesMax") };
          const request = { text, file: path, allowed: places, nan: readOptions.nan ?? null, limits, memoryBytesMax, threads, care };
          return await barrier.read({ ...request, quarantine: letters !== undefined }, { ...readOptions, ...(letters && { onRejected }) });
        }
        return await readCarefully(content, places, care, {
          limitsFor: () => limitsOf(options),
          ...(letters && { onRejected: async (rows) => onRejected(rows) }),
          read: readOptions,
        });
      } finally {
        letters?.close();
      }
    },
    rollUp: async ({ outgrown, ...rollUpOptions }) => {
      const { spill = "auto", spillDir, spillBytesMax } = options;
      const places = placesOf(absolute, options);
      const limits = limitsOf(options);
      if (spill === "never" || isCareful(options)) return undefined; // before DuckDB has seen a file in this process
      if (spill === "auto" && !outgrown) {
        large ??= await outgrows(content, places, limits, rollUpOptions.signal);
        if (!large) return undefined;
      }
      return rollUp(content, places, { ...limits, spillDir, spillBytesMax }, rollUpOptions);
    },
  };
}

/** A spec whose records stream: from elsewhere, or from its own source by their event time. */
export interface StreamSpec {
  /** The absolute path of the spec. */
  readonly path: string;
  readonly value: string;
  /** Innermost first. */
  readonly levels: readonly SpecLevel[];
  readonly nan: SpecBody["nan"];
  readonly nullKeys: SpecBody["nullKeys"];
  readonly stream: SpecStream;
  /**
   * The weights that a level takes from a table: the path of each child's keys, and its weight.
   * @throws FourfoldError ERR_FOURFOLD_WEIGHTS for a key with two rows, and what reading a source throws
   */
  weightsOf(level: string, signal?: AbortSignal): Promise<readonly (readonly [readonly Key[], number])[]>;
  /** The records of the spec's own source by event time. @throws FourfoldError ERR_FOURFOLD_SPEC without a source or a column of event times */
  replay(options?: ReplayOptions): AsyncIterable<ReplayChunk>;
  /** An error with the place of a part of the spec, as a JSON pointer. */
  placed(error: unknown, pointer: string): unknown;
}

/**
 * Reads and checks a spec for a stream. It needs no source, unless it is replayed.
 *
 * @example
 * const spec = await loadStreamSpec("examples/flights-live.json");
 * for await (const { rows, times, values } of spec.replay()) console.log(rows, times[0], values[0]);
 */
export async function loadStreamSpec(path: string, options: LoadOptions = {}): Promise<StreamSpec> {
  checkedOptions(options);
  for (const key of ["untrusted", "check", "onError"] as const)
    if (options[key] !== undefined)
      throw badOption(key, options[key], "nothing: streams read their spec's files in this process, as they are");
  const absolute = resolve(path);
  const { source, ...body } = parseStreamSpec(await readText(absolute, path), path);
  const { value, levels, nan, nullKeys, stream, document } = body;
  return {
    path: absolute,
    value,
    levels,
    nan,
    nullKeys,
    stream,
    weightsOf: async (name, signal) => {
      const i = levels.findIndex((level) => level.name === name);
      const { weights } = levels[i] ?? {};
      if (typeof weights !== "object" || !("table" in weights))
        throw badOption("level", name, "a level that takes its weights from a table");
      const places = placesOf(absolute, options);
      const db = await openDatabase(places, limitsOf(options));
      try {
        const { byText } = await readWeightTable(db, body, i, weights, places, { signal });
        return Array.from(byText.values(), ({ key, weight }) => [key, weight] as const);
      } finally {
        db.close();
      }
    },
    replay: (replayOptions = {}) => {
      if (source === undefined) throw withoutSource(document);
      timeOf(body);
      return replayTable({ source, ...body }, placesOf(absolute, options), limitsOf(options), replayOptions);
    },
    placed: (error, pointer) => placed(error, document, pointer),
  };
}

/** Where the spec in a file may read. */
export function placesOf(spec: string, options: LoadOptions): Allowed {
  return allowedPlaces(dirname(spec), options.allowPaths ?? []);
}

/** What DuckDB may use. */
export function limitsOf(options: LoadOptions): DatabaseLimits {
  return { ...pick(options, "memoryBytesMax"), ...pick(options, "threads") };
}

function pick<K extends keyof LoadOptions>(options: LoadOptions, key: K): Pick<LoadOptions, K> | object {
  return options[key] === undefined ? {} : { [key]: options[key] };
}

/** The text of a spec. @throws FourfoldError ERR_FOURFOLD_SOURCE, ERR_FOURFOLD_SPEC */
export async function readText(absolute: string, path: string): Promise<string> {
  try {
    const { size } = await stat(absolute);
    if (size > SPEC_BYTES_MAX)
      throw new FourfoldError("ERR_FOURFOLD_SPEC", `${path} has ${size} bytes, at most ${SPEC_BYTES_MAX} are a spec`, {
        given: size,
        expected: SPEC_BYTES_MAX,
        at: { file: path },
      });
    return await readFile(absolute, "utf8");
  } catch (cause) {
    if (cause instanceof FourfoldError) throw cause;
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    throw new FourfoldError("ERR_FOURFOLD_SOURCE", missing ? `there is no spec ${absolute}` : `the spec ${absolute} cannot be read`, {
      cause,
      given: path,
      at: { file: absolute },
      ...(missing ? { fix: "Check the path" } : {}),
    });
  }
}
