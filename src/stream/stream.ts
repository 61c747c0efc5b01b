/**
 * A stream: sources fill the queue, whoever is free takes a batch from it, windows take what the batch gave, and what they fire goes out in
 * order. One thread of control: a batch's results are with the consumer, and its rows in the windows, before a checkpoint says so.
 */
import { aborted, badOption, checkNames, FourfoldError, throwIfAborted } from "../errors.ts";
import { type Chain, chain as makeChain, outputsOf } from "../reduce/chain.ts";
import type { WeightsInput } from "../reduce/weights.ts";
import type { TypedData } from "../types.ts";
import { type BadFrame, type FrameRunner, type FrameValues, reduceFrames } from "./batches.ts";
import { CheckpointStore } from "./checkpoints.ts";
import { cutColumns, isDictionary } from "./columns.ts";
import { type Content, type Counts, identityOf, readContent, writeContent } from "./content.ts";
import { FrameStore } from "./frames.ts";
import { type Batch, Intake, type Segment, segmentPart } from "./intake.ts";
import type { StreamSetup } from "./options.ts";
import { Positions } from "./positions.ts";
import { FrameResult, PaneResult } from "./result.ts";
import type { FrameRing } from "./ring.ts";
import { sinkContextOf } from "./sink-context.ts";
import { CHANNELS, Latencies, type SourceStats, type StreamStats } from "./stats.ts";
import type { Block, LateRow, ReadContext, Reader, Rejected, Sink, SinkPosition, StreamResult } from "./types.ts";
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
    dueIn(waiting: { readonly rows: number; readonly bytes: number; readonly since: number }, now: number, more: boolean): number;
    done(latencyMs: number): void;
  };
  /** Milliseconds since 1970, with fractions. */
  now(): number;
}

/** Segments of one batch whose frames are under the same weights. */
interface Weighed {
  readonly chain: Chain;
  readonly version: number;
  readonly segments: Segment[];
  rows: number;
  bytes: number;
}

/** A batch under way. */
interface Running {
  readonly batch: Batch;
  readonly startedAt: number;
  /** By version of the weights inside frames: one after the other. */
  readonly reduced: readonly { readonly version: number; readonly rows: number; readonly values: FrameValues | Promise<FrameValues> }[];
}

/** Bytes of a checkpoint. */
const CHECKPOINT_BYTES_MAX = 1 << 30;

/** Milliseconds of work without a turn of the event loop. */
const TURN_MS_MAX = 4;

/** Buffers of frames, as a multiple of batches under way: one is filled meanwhile, and one is to spare where the oldest rows are dropped. */
const SPARE_BUFFERS = 2;

/**
 * What {@link Engine.stream} returns: an async iterable of results, or a source for a sink. It begins when it is first iterated, and is
 * read once.
 */
export class Stream implements AsyncIterable<StreamResult> {
  readonly #setup: StreamSetup;
  readonly #engine: StreamEngine;
  readonly #readers: readonly Reader[];
  readonly #ring: FrameRing | undefined;
  readonly #intake: Intake;
  readonly #memory: { free(): void }[] = [];
  readonly #windows: Windows | undefined;
  readonly #versions: ChainVersions;
  readonly #inner: Map<Chain, Chain> = new Map();
  readonly #positions: Positions;
  readonly #rows: number[];
  readonly #ended: boolean[];
  readonly #latencies: Latencies = new Latencies();
  /** Batches under way, the oldest first. */
  readonly #running: Running[] = [];
  readonly #stop: AbortController = new AbortController();
  readonly #counts: Counts = { rowsIn: 0, resultsOut: 0, late: 0, dropped: 0, rejected: 0, frames: 0 };
  /** Frames that were reduced, or are being reduced. */
  #framesBegun = 0;
  #batches = 0;
  #batchRows = 0;
  #checkpoints = 0;
  #checkpointAt: number | undefined;
  #droppedBefore = 0;
  /** True if something happened since the last checkpoint. */
  #changed = false;
  #begun = false;
  #failure: { readonly error: unknown } | undefined;

  /** @internal */
  constructor(setup: StreamSetup, sources: readonly Reader[] | FrameRing, engine: StreamEngine) {
    const { frame, batchesMax, rowsMax, queueRowsMax, queueBytesMax, overflow, chain } = setup;
    this.#setup = setup;
    this.#engine = engine;
    this.#versions = new ChainVersions(chain);
    const isRing = "kind" in sources;
    this.#ring = isRing ? sources : undefined;
    this.#readers = isRing ? [] : sources;
    const names = this.#names;
    if (new Set(names).size < names.length)
      throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `the sources are called ${names.map((name) => `"${name}"`).join(", ")}`, {
        given: names,
        fix: "Give each source a name of its own",
      });
    this.#positions = new Positions(names.length);
    this.#rows = names.map(() => 0);
    this.#ended = names.map(() => false);
    let store: FrameStore | undefined = this.#ring?.store;
    if (frame && !store) {
      const buffers = Array.from({ length: batchesMax + SPARE_BUFFERS }, () => engine.allocate(rowsMax * frame.values));
      this.#memory.push(...buffers);
      store = new FrameStore(
        buffers.map(({ data }) => data),
        frame.values,
        frame.dtype,
      );
    }
    const limits = store
      ? { queueRowsMax: Number.MAX_SAFE_INTEGER, queueBytesMax: Number.MAX_SAFE_INTEGER, overflow }
      : { queueRowsMax, queueBytesMax, overflow };
    this.#intake = new Intake(limits, store);
    const { outer, keys, policy, windowing, kept, rank } = setup;
    this.#windows =
      outer &&
      new Windows({
        chain: outer,
        keys,
        policy,
        windowing,
        kept,
        sources: names.length,
        chainAt: (start) => {
          const { chain: whole, version } = this.#versions.at(start);
          return { chain: outerPart(whole, rank), version };
        },
      });
  }

  /** Counts since the stream began. */
  get stats(): StreamStats {
    const { rowsIn, resultsOut, late, rejected } = this.#counts;
    return {
      rowsIn,
      resultsOut,
      late,
      dropped: this.#counts.dropped + this.#intake.dropped - this.#droppedBefore,
      rejected,
      queueRows: this.#intake.rows,
      queueBytes: this.#intake.bytes,
      batches: this.#batches,
      batchRows: this.#batchRows,
      batchRowsMax: this.#engine.batching.rows,
      latencyMs: this.#latencies.percentiles,
      watermark: this.#windows?.watermark ?? Number.NEGATIVE_INFINITY,
      openWindows: this.#windows?.openWindows ?? 0,
      openNodes: this.#windows?.openNodes ?? 0,
      weightsVersion: this.#versions.version,
      checkpoints: this.#checkpoints,
      checkpointAt: this.#checkpointAt,
      sources: this.#names.map(
        (name, i): SourceStats => ({ name, rowsIn: this.#rows[i]!, offset: this.#positions.of(i).offset, ended: this.#ended[i]! }),
      ),
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
    const index = chain.levels.findIndex(({ name }) => name === level);
    if (index === rank && this.#windows)
      throw new FourfoldError("ERR_FOURFOLD_WEIGHTS", `level "${level}": its weights come with the ${rank === 0 ? "records" : "frames"}`, {
        given: level,
        fix: "Send other weights with them, or change the weights of a level above",
        at: { level },
      });
    if (childWeights.includes(level))
      throw new FourfoldError("ERR_FOURFOLD_WEIGHTS", `level "${level}": its weights come with the records (option childWeights)`, {
        given: level,
        fix: "Leave the level out of childWeights, or send other weights with the records",
        at: { level },
      });
    this.#changed = true;
    return this.#versions.set(level, weights, from);
  }

  /**
   * Hands all results to a sink, or to a function, and ends with the stream.
   * @returns the stats at the end
   * @throws FourfoldError what a source, the sink or a limit ended the stream with
   * @example await engine.stream(fleet, ndjson("readings.ndjson"), options).to((result) => console.log(result.value));
   */
  async to(sink: Sink | ((result: StreamResult) => void | Promise<void>)): Promise<StreamStats> {
    const out: Sink = typeof sink === "function" ? { write: (results) => each(results, sink) } : sink;
    let open = false;
    try {
      for await (const results of this.#run(out, () => {
        open = true;
      }))
        await out.write(results);
    } finally {
      if (open) await out.close?.();
    }
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

  get #names(): readonly string[] {
    return this.#ring ? ["ring"] : this.#readers.map(({ name }) => name);
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
    const onAbort = (): void => {
      this.#failure ??= { error: aborted(signal!) };
      this.close();
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    let store: CheckpointStore | undefined;
    const pumps: Promise<void>[] = [];
    try {
      store = checkpoint && (await CheckpointStore.open(checkpoint.dir, { bytesMax: CHECKPOINT_BYTES_MAX, onDamaged: this.#warn }));
      const position = store && (await this.#restore(store));
      opened();
      await sink?.open?.(position, sinkContextOf(this.#setup));
      if (store) await this.#save(store, sink); // a crash before the next checkpoint must not leave what the sink was given meanwhile
      this.#begin(pumps);
      let dueAt = this.#engine.now() + (checkpoint?.everyMs ?? Number.POSITIVE_INFINITY);
      const checkpointDue = (): number => (this.#changed ? dueAt : Number.POSITIVE_INFINITY);
      for await (const results of this.#results(checkpointDue)) {
        if (results.length > 0) yield this.#given(results);
        if (!store || this.#engine.now() < checkpointDue()) continue;
        await this.#save(store, sink);
        dueAt = this.#engine.now() + checkpoint!.everyMs;
      }
      this.#throwFailure();
      if (store && !this.#stop.signal.aborted) await this.#save(store, sink);
      else await sink?.flush?.();
    } finally {
      signal?.removeEventListener("abort", onAbort);
      this.close();
      await Promise.all(pumps);
      await Promise.allSettled(this.#running.flatMap(({ reduced }) => reduced.map(({ values }) => values)));
      this.#ring?.detach();
      for (const { free } of this.#memory) free();
      await store?.close();
    }
  }

  #given(results: readonly StreamResult[]): readonly StreamResult[] {
    this.#counts.resultsOut += results.length;
    if (CHANNELS.result.hasSubscribers) for (const result of results) CHANNELS.result.publish({ stream: this, result });
    return results;
  }

  /** Results, batch by batch; an empty list when a checkpoint is due and there are none. */
  async *#results(checkpointDue: () => number): AsyncGenerator<readonly StreamResult[], void, undefined> {
    const { batchesMax } = this.#setup;
    const running = this.#running;
    for (let turn = this.#engine.now(); ; ) {
      this.#throwFailure();
      if (this.#stop.signal.aborted) return;
      if (this.#engine.now() - turn > TURN_MS_MAX) {
        // Sources that never wait would keep timers and signals from everyone else.
        await new Promise((resolve) => setImmediate(resolve));
        turn = this.#engine.now();
      }
      while (running.length < batchesMax) {
        const batch = this.#take();
        if (!batch) break;
        running.push(this.#start(batch));
      }
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
      if (fired.length > 0 || now >= checkpointDue()) {
        this.#changed ||= fired.length > 0;
        yield fired;
        continue;
      }
      if (this.#ended.every(Boolean) && this.#intake.isEmpty) return;
      await this.#intake.arrival(
        Math.min(this.#dueIn(now), (this.#windows?.nextAt() ?? Number.POSITIVE_INFINITY) - now, checkpointDue() - now),
      );
    }
  }

  #dueIn(now: number): number {
    const { rows, bytes, since, hasEnds } = this.#intake;
    if (hasEnds) return 0;
    return this.#engine.batching.dueIn({ rows, bytes, since }, now, !this.#ended.every(Boolean));
  }

  #take(): Batch | undefined {
    if (this.#intake.isEmpty || this.#dueIn(this.#engine.now()) > 0) return undefined;
    return this.#intake.take(this.#engine.batching.rows, this.#setup.bytesMax);
  }

  /** Begins to reduce a batch of frames; records go to the windows as they are. */
  #start(batch: Batch): Running {
    const startedAt = this.#engine.now();
    const { frame, rank, chain } = this.#setup;
    if (!frame || batch.rows === 0) return { batch, startedAt, reduced: [] };
    const outputs = rank === chain.levels.length ? (outputsOf(chain) ?? 1) : 1;
    const reduced = this.#sameWeights(batch).map(({ chain: whole, version, segments, rows, bytes }) => ({
      version,
      rows,
      values: reduceFrames(this.#engine.runner, this.#innerOf(whole), { segments, rows, bytes }, frame.values, outputs),
    }));
    return { batch, startedAt, reduced };
  }

  /** A batch's segments, cut where the weights inside frames change. */
  #sameWeights(batch: Batch): Weighed[] {
    const groups: Weighed[] = [];
    const add = (segment: Segment, start: number): void => {
      const { chain, version } = this.#versions.at(start);
      const last = groups.at(-1);
      if (last?.chain === chain) {
        last.segments.push(segment);
        last.rows += segment.rows;
        last.bytes += segment.bytes;
      } else groups.push({ chain, version, segments: [segment], rows: segment.rows, bytes: segment.bytes });
    };
    for (const segment of batch.segments) {
      const { rows, times } = segment;
      if (rows === 0) continue;
      const first = this.#framesBegun;
      this.#framesBegun += rows;
      const startOf = (row: number): number => (times ? times[row]! : first + row);
      if (this.#versions.isSettledAt(times ? leastOf(times) : first)) add(segment, startOf(0));
      else for (let row = 0; row < rows; row++) add(segmentPart(segment, row, row + 1), startOf(row));
    }
    return groups;
  }

  /** The levels inside frames. */
  #innerOf(whole: Chain): Chain {
    const { rank, chain } = this.#setup;
    if (rank === chain.levels.length) return whole;
    let inner = this.#inner.get(whole);
    if (inner === undefined) {
      inner = makeChain(Object.fromEntries(whole.levels.slice(0, rank).map(({ name, reduction }) => [name, reduction])));
      this.#inner.set(whole, inner);
    }
    return inner;
  }

  /** Ends a batch: its rows go into the windows, or each frame has its result. */
  async #finish({ batch, startedAt, reduced }: Running): Promise<readonly StreamResult[]> {
    const parts: { version: number; rows: number; values: FrameValues }[] = [];
    // A batch that is done already costs no turn of the event loop.
    for (const { version, rows, values } of reduced)
      parts.push({ version, rows, values: values instanceof Promise ? await values : values });
    const now = this.#engine.now();
    const results = this.#windows ? this.#addToWindows(batch, parts, now) : this.#frameResults(batch, parts);
    if (this.#setup.frame) this.#counts.frames += batch.rows;
    for (const { source, rows, next } of batch.passed) this.#positions.passed(source, rows, next);
    for (const { source, rows, next } of batch.segments) {
      this.#positions.reduced(source, rows, next);
      this.#counts.rowsIn += rows;
      this.#rows[source]! += rows;
    }
    this.#changed = true;
    this.#intake.done(batch);
    this.#measure(batch, startedAt);
    return results;
  }

  #addToWindows(batch: Batch, parts: readonly { rows: number; values: FrameValues }[], now: number): readonly StreamResult[] {
    const windows = this.#windows!;
    const { values, bad } = joinedParts(parts);
    let row = 0;
    for (const segment of batch.segments) {
      const { source, rows, data, ends } = segment;
      if (ends) {
        windows.endOf(source);
        continue;
      }
      if (rows === 0) continue;
      const own = data ?? values.subarray(row, row + rows);
      const badHere = new Map(bad.filter((one) => one.row >= row && one.row < row + rows).map((one) => [one.row - row, one.error]));
      if (badHere.size === 0) this.#addRows(segment, own, 0, rows, now);
      else
        for (let i = 0; i < rows; i++) {
          const error = badHere.get(i);
          if (error) this.#rejectRow(segment, i, error);
          else this.#addRows(segment, own.subarray(i, i + 1), i, i + 1, now);
        }
      row += rows;
    }
    windows.progress(now);
    return this.#fired();
  }

  #addRows(segment: Segment, values: TypedData, from: number, to: number, now: number): void {
    const windows = this.#windows!;
    const { watermark } = windows;
    const columns = cutColumns(segment, from, to);
    for (const { row, why } of windows.add(segment.source, { ...columns, rows: to - from, values }, now)) {
      if (why !== "late") {
        this.#rejectRow(segment, from + row, why);
        continue;
      }
      this.#counts.late++;
      const { onLate } = this.#setup;
      if (!onLate && !CHANNELS.late.hasSubscribers) continue;
      const late: LateRow = {
        source: this.#names[segment.source]!,
        path: columns.keys.map((column) => (isDictionary(column) ? column.dictionary[column.codes[row]!]! : (column[row] ?? null))),
        time: columns.times![row]!,
        value: values[row]!,
        weight: columns.weights?.[row],
        watermark,
      };
      CHANNELS.late.publish({ stream: this, late });
      onLate?.(late);
    }
  }

  #frameResults(batch: Batch, parts: readonly { version: number; rows: number; values: FrameValues }[]): readonly StreamResult[] {
    const { chain, frame } = this.#setup;
    const outputs = outputsOf(chain);
    const results: StreamResult[] = [];
    const n = outputs ?? 1;
    const shape = outputs === undefined ? [] : [outputs];
    const segments = batch.segments.flatMap((segment) => Array.from({ length: segment.rows }, (_, row) => ({ segment, row })));
    let first = 0;
    for (const { version, rows, values } of parts) {
      const bad = new Map(values.bad.map((one) => [one.row, one.error]));
      for (let row = 0; row < rows; row++) {
        const error = bad.get(row);
        if (error) {
          const { segment, row: own } = segments[first + row]!;
          this.#rejectRow(segment, own, error);
        } else
          results.push(
            new FrameResult(
              this.#counts.frames + first + row,
              values.values.subarray(row * n, (row + 1) * n),
              shape,
              frame!.values,
              version,
            ),
          );
      }
      first += rows;
    }
    return results;
  }

  #fired(): readonly StreamResult[] {
    const { policy, rank } = this.#setup;
    return (
      this.#windows
        ?.take()
        .map((fired) => new PaneResult(fired, { chain: outerPart(this.#versions.at(fired.pane.start).chain, rank), policy })) ?? []
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

  #rejectRow({ source, keys }: Segment, row: number, error: FourfoldError): void {
    const name = this.#names[source]!;
    const path = keys.map((column) => (isDictionary(column) ? column.dictionary[column.codes[row]!] : column[row]));
    const { offset, rows } = this.#positions.of(source);
    this.#reject({
      source: name,
      from: offset,
      to: offset,
      line: undefined,
      error,
      text: keys.length > 0 ? `row ${rows + row}, keys ${path.join("/")}` : undefined,
    });
  }

  #reject(rejected: Rejected): void {
    this.#counts.rejected++;
    if (CHANNELS.rejected.hasSubscribers) CHANNELS.rejected.publish({ stream: this, rejected });
    this.#setup.onRejected?.(rejected);
    if (this.#setup.stopOnError) throw rejected.error;
  }

  /** Starts the sources where the checkpoint, or nothing, left them. */
  #begin(pumps: Promise<void>[]): void {
    if (this.#ring) {
      this.#ring.attach(
        this.#intake,
        () => this.#engine.now(),
        () => this.#ends(0),
      );
      return;
    }
    for (const [index, reader] of this.#readers.entries()) pumps.push(this.#pump(index, reader));
  }

  async #pump(index: number, reader: Reader): Promise<void> {
    const { keys, frame, timed, weighted, childWeights, rowsMax } = this.#setup;
    const { signal } = this.#stop;
    const context: ReadContext = {
      keys: keys.names,
      frameValues: frame?.values,
      timed,
      weighted,
      childWeights,
      rowsMax,
      signal,
    };
    const { offset, rows } = this.#positions.of(index);
    let skip = rows;
    try {
      for await (const { block, rejected, next } of reader.read(offset, context)) {
        if (signal.aborted) break;
        for (const one of rejected) this.#reject(one);
        const rest = block && skip > 0 ? without(block, skip, frame?.values ?? 1) : block;
        if (block) skip -= block.rows - (rest?.rows ?? 0);
        if (rest) await this.#intake.put(index, rest, next, this.#engine.now(), signal);
        else this.#intake.note(index, next);
      }
      this.#ends(index);
    } catch (error) {
      this.#failure ??= { error };
      this.#wake();
    }
  }

  #ends(source: number): void {
    this.#ended[source] = true;
    this.#intake.end(source);
  }

  #wake(): void {
    this.#intake.ring();
    this.#intake.freed();
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }

  /** A checkpoint that is not whole is not the end: the one before it is. */
  readonly #warn = (error: FourfoldError): void => process.emitWarning(error);

  get #content(): Content {
    return {
      identity: identityOf(this.#setup, this.#names),
      positions: this.#positions,
      versions: this.#versions,
      windows: this.#windows,
      counts: this.#counts,
    };
  }

  async #restore(store: CheckpointStore): Promise<SinkPosition | undefined> {
    const bytes = await store.latest();
    const position = bytes && readContent(bytes, this.#content, this.#setup.checkpoint!.dir);
    this.#framesBegun = this.#counts.frames;
    return position;
  }

  async #save(store: CheckpointStore, sink: Sink | undefined): Promise<void> {
    const started = this.#engine.now();
    this.#changed = false;
    const position = await sink?.flush?.();
    this.#counts.dropped += this.#intake.dropped - this.#droppedBefore;
    this.#droppedBefore = this.#intake.dropped;
    const bytes = writeContent(this.#content, position);
    await store.write(bytes);
    this.#checkpoints++;
    this.#checkpointAt = this.#engine.now();
    if (CHANNELS.checkpoint.hasSubscribers)
      CHANNELS.checkpoint.publish({ stream: this, bytes: bytes.length, ms: this.#checkpointAt - started });
  }
}

function leastOf(numbers: ArrayLike<number>): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < numbers.length; i++) least = Math.min(least, numbers[i]!);
  return least;
}

async function each(results: readonly StreamResult[], take: (result: StreamResult) => void | Promise<void>): Promise<void> {
  for (const result of results) await take(result);
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

function joinedParts(parts: readonly { rows: number; values: FrameValues }[]): FrameValues {
  if (parts.length === 1) return parts[0]!.values;
  const values = new Float64Array(parts.reduce((total, { rows }) => total + rows, 0));
  const bad: BadFrame[] = [];
  let row = 0;
  for (const part of parts) {
    values.set(part.values.values, row);
    bad.push(...part.values.bad.map(({ row: own, error }) => ({ row: row + own, error })));
    row += part.rows;
  }
  return { values, bad };
}

/** A block without its first rows; undefined if none is left. */
function without(block: Block, rows: number, size: number): Block | undefined {
  if (rows >= block.rows) return undefined;
  return { ...block, ...cutColumns(block, rows, block.rows), rows: block.rows - rows, data: block.data.subarray(rows * size) };
}
