/**
 * A stream: sources fill the queue, whoever is free takes a batch from it, windows take what the batch gave, and what they fire goes out in
 * order. One thread of control: a batch's results are with the consumer, and its rows in the windows, before a checkpoint says so.
 */
import { aborted, badOption, checkNames, FourfoldError, throwIfAborted } from "../errors.ts";
import { type Chain, outputsOf } from "../reduce/chain.ts";
import type { Key } from "../reduce/key.ts";
import type { Policy } from "../reduce/layout.ts";
import type { WeightsInput } from "../reduce/weights.ts";
import type { TypedData } from "../types.ts";
import { FrameReducer, type FrameRunner, type FrameValues, joinedValues, type Reduced } from "./batches.ts";
import { cutColumns, keyAt } from "./columns.ts";
import { type Content, type Counts, identityOf } from "./content.ts";
import { eventLoopTurn, TURN_MS_MAX } from "./event-loop.ts";
import { Feeds } from "./feeds.ts";
import { FrameStore } from "./frames.ts";
import { type Batch, Intake } from "./intake.ts";
import type { StreamSetup } from "./options.ts";
import { Recovery } from "./recovery.ts";
import { FrameResult, PaneResult } from "./result.ts";
import type { FrameRing } from "./ring.ts";
import type { Segment } from "./segment.ts";
import { sinkContextOf } from "./sink-context.ts";
import { CHANNELS, Latencies, type StreamStats } from "./stats.ts";
import type { LateRow, Reader, Rejected, Sink, StreamResult } from "./types.ts";
import { ChainVersions } from "./versions.ts";
import { Windows } from "./windows.ts";

/** What a stream takes from the engine and the clock. */
export interface StreamEngine {
  readonly runner: FrameRunner;
  /** Memory for so many values, and what gives it back. */
  allocate(values: number): { readonly data: TypedData; free(): void };
  /** The size of batches, and when the next one is due. */
  readonly batching: {
    readonly rows: number;
    dueIn(
      waiting: { readonly rows: number; readonly bytes: number; readonly since: number; readonly full: boolean },
      now: number,
      more: boolean,
    ): number;
    done(latencyMs: number): void;
  };
  /** Milliseconds since 1970, with fractions. */
  now(): number;
}

/** A batch under way. */
interface Running {
  readonly batch: Batch;
  readonly startedAt: number;
  readonly reduced: readonly Reduced[];
}

/** Frames of a batch under the same weights, reduced. */
interface Part {
  readonly version: number;
  readonly rows: number;
  readonly values: FrameValues;
}

/** Buffers of frames beside those of batches under way: one is filled meanwhile, and one is to spare where the oldest rows are dropped. */
const SPARE_BUFFERS = 2;

/**
 * What {@link Engine.stream} returns: an async iterable of results, or a source for a sink. It begins when it is first iterated, and is
 * read once.
 */
export class Stream implements AsyncIterable<StreamResult> {
  readonly #setup: StreamSetup;
  readonly #engine: StreamEngine;
  readonly #feeds: Feeds;
  readonly #intake: Intake;
  readonly #frames: FrameReducer;
  readonly #windows: Windows | undefined;
  readonly #versions: ChainVersions;
  readonly #recovery: Recovery;
  readonly #latencies: Latencies = new Latencies();
  readonly #memory: { readonly data: TypedData; free(): void }[] = [];
  /** Batches under way, the oldest first. */
  readonly #running: Running[] = [];
  readonly #stop: AbortController = new AbortController();
  readonly #counts: Counts = { rowsIn: 0, resultsOut: 0, late: 0, dropped: 0, rejected: 0, frames: 0 };
  /** Made when it is first needed: hashing the weights takes its time. */
  #identity: Content["identity"] | undefined;
  #batches = 0;
  #batchRows = 0;
  /** Rows that the queue had dropped when `#counts.dropped` was last brought up to date. */
  #droppedBefore = 0;
  #begun = false;
  #failure: { readonly error: unknown } | undefined;

  /** @internal */
  constructor(setup: StreamSetup, sources: readonly Reader[] | FrameRing, engine: StreamEngine) {
    this.#setup = setup;
    this.#engine = engine;
    this.#feeds = new Feeds(setup, sources, {
      rejected: (rejected) => this.#reject(rejected),
      now: () => engine.now(),
    });
    this.#versions = new ChainVersions(setup.chain);
    this.#frames = new FrameReducer(setup, engine.runner, this.#versions);
    this.#recovery = new Recovery(setup.checkpoint, () => engine.now());
    this.#intake = new Intake(setup, "kind" in sources ? sources.store : undefined);
    this.#windows = this.#makeWindows();
  }

  /** Counts since the stream began. */
  get stats(): StreamStats {
    const { rowsIn, resultsOut, late, rejected } = this.#counts;
    const windows = this.#windows;
    return {
      rowsIn,
      resultsOut,
      late,
      dropped: this.#dropped,
      rejected,
      queueRows: this.#intake.rows,
      queueBytes: this.#intake.bytes,
      batches: this.#batches,
      batchRows: this.#batchRows,
      batchRowsMax: this.#engine.batching.rows,
      latencyMs: this.#latencies.percentiles,
      watermark: windows?.watermark ?? Number.NEGATIVE_INFINITY,
      openWindows: windows?.openWindows ?? 0,
      openNodes: windows?.openNodes ?? 0,
      weightsVersion: this.#versions.version,
      ...this.#recovery.stats,
      sources: this.#feeds.stats,
    };
  }

  /**
   * Changes the weights of a level while the stream runs: all of them at once, for all results from then on.
   * @param options.from the change holds for windows that start then or later, and inside frames for frames of that time (or number,
   * where frames have no time); without it for all that is still to be given
   * @returns the number of the change, which results carry as `weightsVersion`
   * @throws FourfoldError ERR_FOURFOLD_LEVEL, ERR_FOURFOLD_WEIGHTS; for the innermost level of records, whose weights come with them
   * @example stream.setWeights("region", { byKey: { north: 0.4, south: 0.6 } }, { from: Date.UTC(2026, 11, 1) });
   */
  setWeights(level: string, weights: WeightsInput, options: { readonly from?: number } = {}): number {
    checkNames("setWeights", options, ["from"]);
    const { from } = options;
    if (from !== undefined && typeof from !== "number") throw badOption("from", from, "a number: a time in milliseconds, or of a frame");
    const { chain, rank, childWeights } = this.#setup;
    const refuse = (why: string, fix: string): FourfoldError =>
      new FourfoldError("ERR_FOURFOLD_WEIGHTS", `level "${level}": ${why}`, { given: level, fix, at: { level } });
    if (this.#windows && chain.levels[rank]?.name === level)
      throw refuse(
        `its weights come with the ${rank === 0 ? "records" : "frames"}`,
        "Send other weights with them, or change the weights of a level above",
      );
    if (childWeights.includes(level))
      throw refuse(
        "its weights come with the records (option childWeights)",
        "Leave the level out of childWeights, or send other weights with the records",
      );
    const version = this.#versions.set(level, weights, from);
    this.#recovery.note();
    return version;
  }

  /**
   * Hands all results to a sink, or to a function, and ends with the stream.
   * @returns the stats at the end
   * @throws FourfoldError what a source, the sink or a limit ended the stream with
   * @example await engine.stream(fleet, ndjson("readings.ndjson"), options).to((result) => console.log(result.value));
   */
  async to(sink: Sink | ((result: StreamResult) => void | Promise<void>)): Promise<StreamStats> {
    const out: Sink = typeof sink === "function" ? { write: (results) => each(results, sink) } : sink;
    if (typeof out?.write !== "function") throw badOption("sink", sink, "a function, or a sink with write(results)");
    let open = false;
    try {
      for await (const results of this.#run(out, () => {
        open = true;
      }))
        await out.write(results);
    } catch (error) {
      // What ended the stream is told, not what closing said after it.
      if (open) await Promise.resolve(out.close?.()).catch(() => undefined);
      throw error;
    }
    await out.close?.();
    return this.stats;
  }

  /** Iterates over the results; leaving the loop ends the stream. */
  async *[Symbol.asyncIterator](): AsyncGenerator<StreamResult, void, undefined> {
    for await (const results of this.#run(undefined, () => undefined)) yield* results;
  }

  /** Ends the stream: sources are closed, and nothing more is given. */
  close(): void {
    this.#stop.abort();
    this.#wake();
  }

  /** Takes memory for frames: when the stream begins, so that one that never does holds none. */
  #takeMemory(): void {
    const { frame, batchesMax, rowsMax } = this.#setup;
    if (!frame || this.#feeds.isRing) return;
    for (let i = 0; i < batchesMax + SPARE_BUFFERS; i++) this.#memory.push(this.#engine.allocate(rowsMax * frame.values));
    const buffers = this.#memory.map(({ data }) => data);
    this.#intake.useFrames(new FrameStore(buffers, frame.values, frame.dtype));
  }

  #makeWindows(): Windows | undefined {
    const { outer, keys, policy, windowing, kept, rank } = this.#setup;
    if (!outer) return undefined;
    const chainAt = (start: number): { chain: Chain; version: number } => {
      const { chain, version } = this.#versions.at(start);
      return { chain: outerPart(chain, rank), version };
    };
    return new Windows({
      chain: outer,
      keys,
      policy: outerPolicy(policy, rank),
      windowing,
      kept,
      sources: this.#feeds.names.length,
      chainAt,
    });
  }

  /** The loop. What it yields has left the stream when it is asked for more. */
  async *#run(sink: Sink | undefined, opened: () => void): AsyncGenerator<readonly StreamResult[], void, undefined> {
    if (this.#begun)
      throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", "the stream is read once, and it has begun", {
        fix: "Make another with engine.stream()",
      });
    this.#begun = true;
    const { signal, checkpoint } = this.#setup;
    throwIfAborted(signal);
    const onAbort = (): void => this.#fail(aborted(signal!));
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      this.#takeMemory();
      const position = checkpoint && (await this.#recovery.restore(this.#content));
      this.#frames.begun = this.#counts.frames;
      opened();
      await sink?.open?.(position, sinkContextOf(this.#setup));
      // A crash before the next checkpoint must not leave in the sink what it is given until then.
      if (sink && checkpoint) await this.#recovery.save(this.#content, sink, this, true);
      this.#feeds.begin(this.#intake, this.#stop.signal);
      for await (const results of this.#results()) {
        if (results.length > 0) yield this.#given(results);
        if (this.#engine.now() >= this.#recovery.dueAt) await this.#recovery.save(this.#content, sink, this);
      }
      this.#throwFailure();
      // A stream that was closed in between can go on from there, too.
      if (checkpoint) await this.#recovery.save(this.#content, sink, this, true);
      else await sink?.flush?.();
    } finally {
      signal?.removeEventListener("abort", onAbort);
      this.close();
      await this.#feeds.end();
      await Promise.allSettled(this.#running.flatMap(({ reduced }) => reduced.map(({ values }) => values)));
      for (const { free } of this.#memory) free();
      await this.#recovery.close();
    }
  }

  #given(results: readonly StreamResult[]): readonly StreamResult[] {
    this.#counts.resultsOut += results.length;
    if (CHANNELS.result.hasSubscribers) for (const result of results) CHANNELS.result.publish({ stream: this, result });
    return results;
  }

  /** Results, batch by batch; an empty list when a checkpoint is due and there are none. */
  async *#results(): AsyncGenerator<readonly StreamResult[], void, undefined> {
    const { batchesMax } = this.#setup;
    const running = this.#running;
    for (let turn = this.#engine.now(); ; ) {
      if (this.#engine.now() - turn > TURN_MS_MAX) {
        // Sources that never wait would keep timers and signals from everyone else.
        await eventLoopTurn();
        turn = this.#engine.now();
      }
      // After the turn: what failed in it rang before anybody listened. From here to arrival() nothing waits.
      this.#throwFailure();
      if (this.#stop.signal.aborted) return;
      for (let batch = this.#take(); batch; batch = running.length < batchesMax ? this.#take() : undefined)
        running.push({ batch, startedAt: this.#engine.now(), reduced: this.#frames.reduce(batch) });
      const [next] = running;
      if (next) {
        const results = await this.#finish(next);
        running.shift();
        yield results;
        continue;
      }
      const now = this.#engine.now();
      this.#windows?.progress(now);
      const fired = this.#fired();
      if (fired.length > 0 || now >= this.#recovery.dueAt) {
        yield fired;
        continue;
      }
      if (this.#feeds.allEnded && this.#intake.isEmpty) return;
      const timer = (this.#windows?.nextAt() ?? Number.POSITIVE_INFINITY) - now;
      await this.#intake.arrival(Math.min(this.#dueIn(now), timer, this.#recovery.dueAt - now));
      if (this.#intake.rows >= this.#engine.batching.rows) continue;
      // What came may be the first of many that a source has ready: they make one batch, not one each.
      await eventLoopTurn();
      turn = this.#engine.now();
    }
  }

  #dueIn(now: number): number {
    const { rows, bytes, since, hasEnds } = this.#intake;
    return hasEnds ? 0 : this.#engine.batching.dueIn({ rows, bytes, since, full: this.#intake.isFull }, now, !this.#feeds.allEnded);
  }

  #take(): Batch | undefined {
    if (this.#intake.isEmpty || this.#dueIn(this.#engine.now()) > 0) return undefined;
    return this.#intake.take(this.#engine.batching.rows, this.#setup.bytesMax);
  }

  /** Ends a batch: its rows go into the windows, or each frame has its result. */
  async #finish({ batch, startedAt, reduced }: Running): Promise<readonly StreamResult[]> {
    const parts: Part[] = [];
    // A batch that is done already costs no turn of the event loop.
    for (const { version, rows, values } of reduced)
      parts.push({ version, rows, values: values instanceof Promise ? await values : values });
    const results = this.#windows ? this.#addToWindows(this.#windows, batch, parts) : this.#frameResults(batch, parts);
    if (this.#setup.frame) this.#counts.frames += batch.rows;
    this.#counts.rowsIn += batch.rows;
    this.#feeds.passed(batch);
    this.#versions.forget(this.#leastStart());
    this.#recovery.note();
    this.#intake.done(batch);
    this.#measure(batch, startedAt);
    for (const { failure } of batch.segments) if (failure) this.#failure ??= failure;
    return results;
  }

  /** The least start of a window, or number of a frame, that may still come. */
  #leastStart(): number {
    const { axis, lateness, size } = this.#setup.windowing;
    if (!this.#windows) return this.#counts.frames;
    return axis === "none" ? Number.NEGATIVE_INFINITY : this.#windows.watermark - lateness - size;
  }

  #addToWindows(windows: Windows, batch: Batch, parts: readonly Part[]): readonly StreamResult[] {
    const now = this.#engine.now();
    const { values, bad } = joinedValues(parts);
    let first = 0;
    for (const segment of batch.segments) {
      const { source, rows, data, ends, failure } = segment;
      if (ends && !failure) windows.endOf(source);
      if (rows === 0) continue;
      const own = data ?? values.subarray(first, first + rows);
      let from = 0;
      for (const { row, error } of bad) {
        if (row < first || row >= first + rows) continue;
        this.#addRows(windows, segment, own, from, row - first, now);
        this.#rejectRow(segment, row - first, error);
        from = row - first + 1;
      }
      this.#addRows(windows, segment, own, from, rows, now);
      first += rows;
    }
    windows.progress(now);
    return this.#fired();
  }

  #addRows(windows: Windows, segment: Segment, all: TypedData, from: number, to: number, now: number): void {
    if (from === to) return;
    const { keys, times, weights, childWeights } = cutColumns(segment, from, to);
    const values = all.subarray(from, to);
    const rows = { rows: to - from, values, keys, times, weights, childWeights };
    for (const { row, why } of windows.add(segment.source, rows, now)) {
      if (why === "late") this.#late(segment, from + row, values[row]!, windows.watermark);
      else this.#rejectRow(segment, from + row, why);
    }
  }

  #late({ source, keys, times, weights }: Segment, row: number, value: number, watermark: number): void {
    this.#counts.late++;
    const { onLate } = this.#setup;
    if (!onLate && !CHANNELS.late.hasSubscribers) return;
    const path = keys.map((column) => keyAt(column, row));
    const late: LateRow = { source: this.#feeds.names[source]!, path, time: times![row]!, value, weight: weights?.[row], watermark };
    CHANNELS.late.publish({ stream: this, late });
    onLate?.(late);
  }

  #frameResults({ segments }: Batch, parts: readonly Part[]): readonly StreamResult[] {
    const { chain, frame } = this.#setup;
    const outputs = outputsOf(chain);
    const n = outputs ?? 1;
    const shape = outputs === undefined ? [] : [outputs];
    const results: StreamResult[] = [];
    let first = 0;
    for (const { version, rows, values } of parts) {
      const bad = new Map(values.bad.map(({ row, error }) => [row, error]));
      for (let row = 0; row < rows; row++) {
        const error = bad.get(row);
        if (error) this.#rejectRow(...placeOf(segments, first + row), error);
        else {
          const own = values.values.subarray(row * n, (row + 1) * n);
          results.push(new FrameResult(this.#counts.frames + first + row, own, shape, frame!.values, version));
        }
      }
      first += rows;
    }
    return results;
  }

  #fired(): readonly StreamResult[] {
    const fired = this.#windows?.take() ?? [];
    if (fired.length > 0) this.#recovery.note();
    const { policy, rank } = this.#setup;
    return fired.map(
      (one) => new PaneResult(one, { chain: outerPart(this.#versions.at(one.pane.start).chain, rank), policy: outerPolicy(policy, rank) }),
    );
  }

  #measure(batch: Batch, startedAt: number): void {
    if (batch.rows === 0) return;
    const now = this.#engine.now();
    for (const { rows, arrivedAt } of batch.segments) if (rows > 0) this.#latencies.record(now - arrivedAt);
    this.#batches++;
    this.#batchRows = batch.rows;
    const latencyMs = now - batch.since;
    this.#engine.batching.done(latencyMs);
    if (CHANNELS.batch.hasSubscribers)
      CHANNELS.batch.publish({ stream: this, rows: batch.rows, bytes: batch.bytes, ms: now - startedAt, latencyMs });
  }

  /** A row that was read and cannot be taken: its place is that of the piece that it came in, its text what it held. */
  #rejectRow({ source, keys, data, times, weights, next }: Segment, row: number, error: FourfoldError): void {
    const { names, positions } = this.#feeds;
    const { offset } = positions.of(source);
    const path = keys.map((column) => keyAt(column, row));
    const text = rowText({ path, value: data?.[row], time: times?.[row], weight: weights?.[row] });
    this.#reject({ source: names[source]!, from: offset, to: next ?? offset, line: undefined, error, text });
  }

  #reject(rejected: Rejected): void {
    this.#counts.rejected++;
    this.#recovery.note();
    if (CHANNELS.rejected.hasSubscribers) CHANNELS.rejected.publish({ stream: this, rejected });
    this.#setup.onRejected?.(rejected);
    if (this.#setup.stopOnError) throw rejected.error;
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake();
  }

  #wake(): void {
    this.#intake.ring();
    this.#intake.freed();
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }

  get #dropped(): number {
    return this.#counts.dropped + this.#intake.dropped - this.#droppedBefore;
  }

  /** What a checkpoint keeps of this stream. */
  get #content(): Content {
    this.#counts.dropped = this.#dropped;
    this.#droppedBefore = this.#intake.dropped;
    const { names, positions } = this.#feeds;
    this.#identity ??= identityOf(this.#setup, names);
    return {
      identity: this.#identity,
      positions,
      versions: this.#versions,
      windows: this.#windows,
      counts: this.#counts,
    };
  }
}

/** Characters of a dead letter's text. */
const TEXT_MAX = 1024;

/** A row in words; a frame's values are too many for them. */
function rowText(row: {
  readonly path: readonly Key[];
  readonly value: number | undefined;
  readonly time: number | undefined;
  readonly weight: number | undefined;
}): string {
  const shown = (_: string, value: unknown): unknown =>
    typeof value === "bigint" || (typeof value === "number" && !Number.isFinite(value)) ? String(value) : value;
  return JSON.stringify(row, shown).slice(0, TEXT_MAX);
}

async function each(results: readonly StreamResult[], take: (result: StreamResult) => void | Promise<void>): Promise<void> {
  for (const result of results) await take(result);
}

/** How the levels above frames read: a frame without NaN may have a NaN value, which is no leaf. */
function outerPolicy(policy: Policy, rank: number): Policy {
  return rank > 0 && policy.nan === "error" ? { ...policy, nan: "propagate" } : policy;
}

const outerParts = new WeakMap<Chain, Chain>();

/** The levels above frames, made once for each chain. */
function outerPart(whole: Chain, rank: number): Chain {
  if (rank === 0) return whole;
  let outer = outerParts.get(whole);
  if (!outer) {
    outer = { levels: whole.levels.slice(rank) };
    outerParts.set(whole, outer);
  }
  return outer;
}

/** The segment that holds a row of a batch, and its place there. */
function placeOf(segments: readonly Segment[], row: number): [Segment, number] {
  let left = row;
  for (const segment of segments) {
    if (left < segment.rows) return [segment, left];
    left -= segment.rows;
  }
  throw new RangeError(`row ${row} is in no segment`);
}
