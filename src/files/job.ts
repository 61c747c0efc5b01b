/**
 * A roll-up that survives its process: the source is read piece by piece, each finished piece is a file, and who comes after a crash reads only what
 * is missing. What pieces come to is exact and has no order (contract clauses 3 and 15), so the bits are those of one run over all of it.
 */
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { FourfoldError, show, throwIfAborted } from "../errors.ts";
import type { Policy } from "../reduce/layout.ts";
import type { ClosedNodes } from "../reduce/open.ts";
import { resultShape } from "../reduce/resolve.ts";
import { levelView, onlyValue, outputsLast } from "../reduce/result.ts";
import { resultLevels } from "../reduce/result-levels.ts";
import { CONTRACT_VERSION } from "../types.ts";
import { type Database, type DatabaseLimits, openDatabase } from "./duckdb.ts";
import type { Allowed } from "./folders.ts";
import { closeJob, readTableWeights } from "./job-close.ts";
import { JobFolder } from "./job-folder.ts";
import { filesOf, isUnchanged, type JobInput, listInputs } from "./job-inputs.ts";
import {
  decodeManifest,
  differenceOf,
  encodeManifest,
  identityOf,
  intervalOf,
  type JobManifest,
  type JobPiece,
  type JobPlan,
  planOf,
} from "./job-manifest.ts";
import { type CheckedJobOptions, checkJobOptions, type JobOptions, type JobProgress, type JobResult } from "./job-options.ts";
import { checkPieces, cutSource, sourceOf } from "./job-pieces.ts";
import { JobState, shapeOf } from "./job-state.ts";
import { limitsOf, placesOf, readText } from "./load.ts";
import { openFiles } from "./open-files.ts";
import { placed } from "./source.ts";
import type { SourceColumn } from "./source-column.ts";
import { parseSpec, type SpecContent, type SpecLevel } from "./spec.ts";
import { readTableIn } from "./table.ts";

/** Finished pieces are merged when there are so many: few files to keep, and few to merge again after a crash. */
const MERGE_EVERY = 64;
/** A piece whose file turns out to be damaged is read again; a disk that damages it so often is no use. */
const ROUNDS_MAX = 3;
/** Memory of a merged node: its exact sums and its place among the keys. Measured, 90 to 175; arrays that grow have up to half of their room free. */
const NODE_BYTES = 224;

/**
 * Rolls up the table that a spec names, in a folder that survives the process: called again after a crash, it goes on where it stopped and gives the
 * same bits; called when it is done, it gives the result without reading the source.
 * @param path the spec
 * @throws FourfoldError ERR_FOURFOLD_JOB if the folder is in use, damaged, of a job of another spec, other options or a source that has changed since,
 * or cannot be written to; ERR_FOURFOLD_MEMORY if the nodes take more than `memoryBytesMax`; and what loadSpec() and a run throw
 * @example
 * const result = await runJob("flights.json", { dir: "night" });
 * for (const { path, value } of result.level("state")) console.log(path, value);
 */
export async function runJob(path: string, options: JobOptions): Promise<JobResult> {
  const checked = checkJobOptions(options);
  const absolute = resolve(path);
  const spec = parseSpec(await readText(absolute, path), path);
  const allowed = placesOf(absolute, options);
  const folder = await JobFolder.open(checked.dir, checked.onDamaged);
  try {
    const db = await openDatabase(allowed, limitsOf(options));
    try {
      return await new JobRun(spec, allowed, limitsOf(options), checked, folder, db).run();
    } finally {
      db.close();
    }
  } finally {
    await folder.close();
  }
}

class JobRun {
  readonly #spec: SpecContent;
  readonly #allowed: Allowed;
  readonly #limits: DatabaseLimits;
  readonly #options: CheckedJobOptions;
  readonly #folder: JobFolder;
  /** For what is asked about the source; each reader of pieces has one of its own. */
  readonly #db: Database;
  readonly #policy: Policy;
  #manifest!: JobManifest;
  #identity = "";
  #merged: JobState;
  /** Numbers of pieces whose files are there. */
  readonly #waiting = new Set<number>();
  #piecesRead = 0;
  #ofAll: Promise<readonly SourceColumn[]> | undefined;

  constructor(spec: SpecContent, allowed: Allowed, limits: DatabaseLimits, options: CheckedJobOptions, folder: JobFolder, db: Database) {
    this.#spec = spec;
    this.#allowed = allowed;
    this.#limits = limits;
    this.#options = options;
    this.#folder = folder;
    this.#db = db;
    this.#policy = { nan: options.nan ?? spec.nan, accuracy: options.accuracy, nullKeys: spec.nullKeys };
    this.#merged = this.#empty();
  }

  async run(): Promise<JobResult> {
    const { signal, fresh } = this.#options;
    let closed: ClosedNodes | undefined;
    if (fresh) await this.#folder.clear();
    await this.#begin();
    await this.#resume();
    for (let round = 1; !this.#merged.final; round++) {
      await this.#readPieces();
      await this.#mergePieces();
      if (this.#missing().length > 0) {
        if (round < ROUNDS_MAX) continue;
        throw this.#refused(
          `${this.#missing().length} of its pieces were damaged on the disk ${round} times`,
          "Name a folder on another disk",
        );
      }
      await this.#checkInputs(this.#manifest.plan);
      await readTableWeights(this.#merged, this.#db, this.#allowed, signal);
      closed = closeJob(this.#merged); // what is wrong with weights is said before anything says that the job is done
      this.#merged.final = true;
      await this.#folder.writeMerged(this.#merged.encode(this.#identity));
    }
    if (this.#manifest.status !== "done") await this.#write({ ...this.#manifest, status: "done" });
    await this.#tell();
    return this.#result(closed ?? closeJob(this.#merged));
  }

  /** Takes the folder's job, or makes one of it. */
  async #begin(): Promise<void> {
    const { signal, piecesMax, pieceRowsMax } = this.#options;
    const { source, document } = this.#spec;
    const bytes = await this.#folder.manifest();
    const files = await filesOf(this.#db, source, "/source", document, this.#allowed, signal);
    if (bytes === undefined && "file" in source) checkPieces(files.length, this.#options); // before a million files are looked at
    const now = await this.#planned([]);
    if (bytes !== undefined) {
      const found = decodeManifest(bytes, this.#options.dir);
      const difference = differenceOf(found.plan, now);
      if (difference === undefined) {
        this.#manifest = found;
        this.#identity = identityOf(found.plan);
        return;
      }
      // A job that has come to nothing yet, say because of a slip in its spec, may begin anew.
      if ((await this.#folder.hasMerged()) || (await this.#folder.pieces()).length > 0) throw this.#another(difference);
    }
    await this.#folder.clear();
    const pieces = await cutSource(this.#db, this.#spec, this.#allowed, now.inputs, files, { piecesMax, pieceRowsMax }, signal);
    const plan = { ...now, pieces };
    this.#identity = identityOf(plan);
    await this.#write({ plan, status: "running", digests: pieces.map(() => null) });
  }

  async #planned(pieces: readonly JobPiece[]): Promise<JobPlan> {
    const { signal } = this.#options;
    const inputs = await listInputs(this.#db, this.#spec, this.#allowed, signal);
    return planOf(this.#spec, this.#policy, await duckdbVersion(this.#db, signal), inputs, pieces);
  }

  /** Finds what is finished. */
  async #resume(): Promise<void> {
    const merged = await this.#folder.readMerged();
    const state = merged === undefined ? undefined : this.#decoded(merged);
    if (state !== undefined) this.#merged = state;
    for (const piece of await this.#folder.pieces())
      if (this.#isMerged(piece)) await this.#folder.removePiece(piece);
      else this.#waiting.add(piece);
    this.#checkMemory();
  }

  /** A state of this job; undefined for a damaged one, which is told of. */
  #decoded(bytes: Uint8Array | FourfoldError): JobState | undefined {
    let problem: unknown = bytes;
    if (!(bytes instanceof FourfoldError))
      try {
        return JobState.decode(bytes, this.#merged.shape, this.#identity);
      } catch (error) {
        problem = error;
      }
    if (!(problem instanceof FourfoldError)) throw problem;
    this.#options.onDamaged(problem);
    return undefined;
  }

  #isMerged(piece: number): boolean {
    const found = this.#manifest.plan.pieces[piece];
    return found !== undefined && this.#merged.provenance.relation([intervalOf(found)]) === "contained";
  }

  #missing(): number[] {
    return [...this.#manifest.plan.pieces.keys()].filter((piece) => !this.#waiting.has(piece) && !this.#isMerged(piece));
  }

  /** Reads all missing pieces, several at once; merges when many wait. The first error ends all. */
  async #readPieces(): Promise<void> {
    const { readersMax, signal } = this.#options;
    const queue = this.#missing();
    const ending = new AbortController();
    const either = signal === undefined ? ending.signal : AbortSignal.any([signal, ending.signal]);
    let failed: { readonly error: unknown } | undefined;
    let merging: Promise<void> = Promise.resolve();
    const reader = async (): Promise<void> => {
      let db: Database | undefined;
      // Whatever goes wrong here ends the other readers, too, and is told when they are through: after that the folder may be another's.
      try {
        db = await openDatabase(this.#allowed, this.#limits);
        for (let piece = queue.shift(); piece !== undefined && failed === undefined; piece = queue.shift()) {
          throwIfAborted(signal);
          await this.#readPiece(db, piece, either);
          await this.#tell();
          if (this.#waiting.size < MERGE_EVERY) continue;
          merging = merging.then(() => this.#mergePieces());
          await merging;
        }
      } catch (error) {
        failed ??= { error };
        ending.abort();
      } finally {
        db?.close();
      }
    };
    await this.#tell();
    await Promise.all(Array.from({ length: Math.min(readersMax, queue.length) }, reader));
    if (failed !== undefined) throw (failed as { error: unknown }).error;
    throwIfAborted(signal);
  }

  async #readPiece(db: Database, number: number, signal: AbortSignal): Promise<void> {
    const piece = this.#manifest.plan.pieces[number] as JobPiece;
    const inputs = this.#manifest.plan.inputs.filter(({ path }) => piece.file === null || path === piece.file);
    await this.#checkUnchanged(inputs);
    const state = this.#empty();
    const content = {
      ...this.#spec,
      source: sourceOf(this.#spec.source, piece, await this.#columns(db)),
      levels: this.#spec.levels.map(asRead),
    };
    try {
      const table = await readTableIn(db, content, this.#allowed, this.#limits, { signal, nan: this.#policy.nan });
      for (const _ of state.add(table, intervalOf(piece))) await turn(undefined, { signal });
    } catch (error) {
      throwIfAborted(this.#options.signal);
      await this.#checkUnchanged(inputs); // a file that is written to while it is read gives odd errors
      throw inPiece(error, piece);
    }
    await this.#checkUnchanged(inputs);
    await this.#folder.writePiece(number, state.encode(this.#identity));
    this.#waiting.add(number);
    this.#piecesRead++;
  }

  /** The columns of all CSV files together, looked at once. */
  #columns(db: Database): Promise<readonly SourceColumn[] | undefined> {
    const { source, document } = this.#spec;
    if ("sql" in source || (source.format !== "csv" && source.format !== "tsv")) return Promise.resolve(undefined);
    this.#ofAll ??= openFiles(db, source, this.#allowed, this.#options.signal).then(
      ({ columns }) => columns,
      (error: unknown) => {
        throw placed(error, document, "/source/file");
      },
    );
    return this.#ofAll;
  }

  /** Merges the pieces that wait, and keeps the result in their place. */
  async #mergePieces(): Promise<void> {
    const pieces = [...this.#waiting].sort((a, b) => a - b);
    if (pieces.length === 0) return;
    const digests = [...this.#manifest.digests];
    let changed = false;
    for (const piece of pieces) {
      throwIfAborted(this.#options.signal);
      const bytes = await this.#folder.readPiece(piece);
      const state = bytes === undefined ? undefined : this.#decoded(bytes);
      if (state === undefined || bytes === undefined || bytes instanceof FourfoldError) {
        await this.#folder.removePiece(piece);
        this.#waiting.delete(piece);
        continue;
      }
      const digest = createHash("sha256").update(bytes).digest("hex");
      const known = digests[piece];
      if (typeof known === "string" && known !== digest) throw this.#another(`another source: piece ${piece} gave other records before`);
      digests[piece] = digest;
      this.#merged.merge(state);
      changed = true;
      this.#checkMemory();
      await turn();
    }
    if (!changed) return;
    await this.#write({ ...this.#manifest, digests });
    await this.#folder.writeMerged(this.#merged.encode(this.#identity));
    for (const piece of pieces) {
      await this.#folder.removePiece(piece);
      this.#waiting.delete(piece);
    }
  }

  #checkMemory(): void {
    const { memoryBytesMax } = this.#options;
    const bytes = this.#merged.open.nodes * NODE_BYTES;
    if (memoryBytesMax === undefined || bytes <= memoryBytesMax) return;
    throw new FourfoldError("ERR_FOURFOLD_MEMORY", `${this.#merged.open.nodes} nodes take about ${bytes} bytes`, {
      given: bytes,
      expected: memoryBytesMax,
      fix: "Raise memoryBytesMax, or roll up in parts; the pieces that are finished are kept",
    });
  }

  async #checkUnchanged(inputs: readonly JobInput[]): Promise<void> {
    for (const input of inputs) if (!(await isUnchanged(input))) throw this.#another(`another source: ${input.path} has changed since`);
  }

  async #checkInputs(plan: JobPlan): Promise<void> {
    const difference = differenceOf(plan, await this.#planned([]));
    if (difference !== undefined) throw this.#another(difference);
  }

  async #write(manifest: JobManifest): Promise<void> {
    await this.#folder.writeManifest(encodeManifest(manifest));
    this.#manifest = manifest;
  }

  async #tell(): Promise<void> {
    const { onProgress } = this.#options;
    if (onProgress === undefined) return;
    const { pieces } = this.#manifest.plan;
    const missing = new Set(this.#missing());
    const bytesOf = (some: readonly JobPiece[]): number => some.reduce((total, { bytes }) => total + bytes, 0);
    const progress: JobProgress = {
      done: bytesOf(pieces.filter((_, piece) => !missing.has(piece))),
      total: bytesOf(pieces),
      unit: "bytes",
      pieces: pieces.length,
      piecesDone: pieces.length - missing.size,
      diskBytes: await this.#folder.bytes(),
    };
    onProgress(progress);
  }

  #empty(): JobState {
    return new JobState(shapeOf(this.#spec, this.#policy));
  }

  #another(difference: string): FourfoldError {
    const { dir } = this.#options;
    return new FourfoldError("ERR_FOURFOLD_JOB", `the job in ${show(dir)} was begun with ${difference}`, {
      given: dir,
      fix: "Add --fresh (option fresh) to start over with what is there now, or name another folder",
      at: { file: dir },
    });
  }

  #refused(problem: string, fix: string): FourfoldError {
    const { dir } = this.#options;
    return new FourfoldError("ERR_FOURFOLD_JOB", `the job in ${show(dir)}: ${problem}`, { given: dir, fix, at: { file: dir } });
  }

  #result(closed: ClosedNodes): JobResult {
    const { accuracy, nan } = this.#policy;
    const shape = resultShape(closed.tree.frames, closed.outputs);
    const values = outputsLast(closed.outermost.values, closed.outermost.outputs);
    return {
      get value() {
        return onlyValue(values, shape);
      },
      values,
      shape,
      records: closed.records,
      accuracy,
      nan,
      contract: CONTRACT_VERSION,
      levels: resultLevels({ ...closed, leaves: undefined }),
      plan: {
        backend: "states",
        accuracy,
        nan,
        form: "records",
        levels: closed.tree.levels.map(({ name, nodes }) => ({ name, nodes })),
      },
      errorBound: undefined,
      pieces: this.#manifest.plan.pieces.length,
      piecesRead: this.#piecesRead,
      level: (name) => levelView({ ...closed, leaves: undefined }, name),
    };
  }
}

/** A level as a piece reads it: of outer levels only the weights that columns give, the others are for the end. */
function asRead({ ddof, weights, ...level }: SpecLevel, i: number): SpecLevel {
  if (i > 0 && !(typeof weights === "object" && "column" in weights)) return { ...level, reduce: "sum" };
  return { ...level, ...(ddof === undefined ? {} : { ddof }), ...(weights === undefined ? {} : { weights }) };
}

/** An error of a piece, with the file and its rows: rows of a part count from the part's first. */
function inPiece(error: unknown, { file, from, to, part }: JobPiece): unknown {
  if (!(error instanceof FourfoldError) || file === null) return error;
  const { code, given, expected, fix, at, cause } = error;
  const message = fix === undefined ? error.message : error.message.slice(0, -(fix.length + 2));
  const row = at?.row === undefined ? {} : { row: at.row + (part ? from : 0) };
  return new FourfoldError(code, `${message} (in ${file}${part ? `, rows ${from} to ${to}, counted from there` : ""})`, {
    given,
    expected,
    ...(fix === undefined ? {} : { fix }),
    at: { ...at, ...row },
    cause: cause ?? error,
  });
}

async function duckdbVersion(db: Database, signal: AbortSignal | undefined): Promise<string> {
  for await (const chunk of db.chunks("select library_version from pragma_version()", { signal })) return String(chunk.cells(0)[0]);
  return "";
}
