/** The sources of a stream, read side by side into the queue, and where each of them stands. */
import { FourfoldError } from "../errors.ts";
import { cutColumns } from "./columns.ts";
import { eventLoopTurn, TURN_MS_MAX } from "./event-loop.ts";
import type { Batch, Intake } from "./intake.ts";
import { narrow } from "./narrow.ts";
import type { StreamSetup } from "./options.ts";
import { Positions } from "./positions.ts";
import type { FrameRing } from "./ring.ts";
import type { SourceStats } from "./stats.ts";
import type { Block, Chunk, ReadContext, Reader, Rejected } from "./types.ts";

/** What feeds tell their stream. */
export interface FeedEvents {
  /** A record could not be read. What it throws ends the stream. */
  rejected(rejected: Rejected): void;
  now(): number;
}

/** See the head of this file. */
export class Feeds {
  readonly names: readonly string[];
  readonly positions: Positions;
  readonly #setup: StreamSetup;
  readonly #sources: readonly Reader[] | FrameRing;
  readonly #events: FeedEvents;
  readonly #rows: number[];
  readonly #ended: boolean[];
  #pumps: Promise<void>[] = [];
  #over = false;
  /** By source: ends its waiting for the next piece. */
  readonly #interrupts: ((() => void) | undefined)[] = [];

  /** @throws FourfoldError ERR_FOURFOLD_ARGUMENT for two sources of one name */
  constructor(setup: StreamSetup, sources: readonly Reader[] | FrameRing, events: FeedEvents) {
    this.#setup = setup;
    this.#sources = sources;
    this.#events = events;
    this.names = "kind" in sources ? ["ring"] : sources.map(({ name }) => name);
    if (new Set(this.names).size < this.names.length)
      throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `the sources are called ${this.names.map((name) => `"${name}"`).join(", ")}`, {
        given: this.names,
        fix: "Give each source a name of its own",
      });
    this.positions = new Positions(this.names.length);
    this.#rows = this.names.map(() => 0);
    this.#ended = this.names.map(() => false);
  }

  /** True if the source is a ring, which has memory of its own. */
  get isRing(): boolean {
    return "kind" in this.#sources;
  }

  /** True if no source will give more; what it gave may wait still. */
  get allEnded(): boolean {
    return this.#ended.every(Boolean);
  }

  get stats(): SourceStats[] {
    return this.names.map((name, i) => ({ name, rowsIn: this.#rows[i]!, offset: this.positions.of(i).offset, ended: this.#ended[i]! }));
  }

  /** Starts all sources, each where it stands. */
  begin(intake: Intake, signal: AbortSignal): void {
    const sources = this.#sources;
    if ("kind" in sources)
      sources.attach(
        intake,
        this.#setup,
        () => this.#events.now(),
        () => this.#end(0, intake),
      );
    else this.#pumps = sources.map((reader, index) => this.#pump(index, reader, intake, signal));
  }

  /** Ends the reading of all sources; resolves when none is being read any more, or those that are do not answer. */
  async end(): Promise<void> {
    this.#over = true;
    for (const interrupt of this.#interrupts) interrupt?.();
    await Promise.all(this.#pumps);
    if ("kind" in this.#sources) this.#sources.detach();
  }

  /** The rows of a batch are where they belong: the sources stand after them. */
  passed({ segments, passed }: Batch): void {
    for (const { source, rows, next } of passed) this.positions.passed(source, rows, next);
    for (const { source, rows, next, skipped = 0 } of segments) {
      this.positions.reduced(source, rows, next);
      if (skipped > 0) this.positions.reduced(source, skipped, undefined);
      this.#rows[source]! += rows;
    }
  }

  async #pump(index: number, reader: Reader, intake: Intake, signal: AbortSignal): Promise<void> {
    const { keys, policy, frame, timed, weighted, childWeights, rowsMax } = this.#setup;
    const size = frame?.values;
    const context: ReadContext = {
      keys: keys.names,
      nullKeys: policy.nullKeys !== "error",
      frameValues: size,
      timed,
      weighted,
      childWeights,
      rowsMax,
      signal,
    };
    const { offset, rows } = this.positions.of(index);
    // What a live source gives comes after what it gave before.
    const passed = reader.live ? offset : 0;
    let skip = reader.live ? 0 : rows;
    let turn = this.#events.now();
    try {
      const pieces = reader.read(offset - passed, context)[Symbol.asyncIterator]();
      for (;;) {
        const piece = await this.#nextOf(pieces, index);
        if (piece === undefined) return await ended(pieces);
        if (piece.done) break;
        const next = passed + piece.value.next;
        for (const one of piece.value.rejected) this.#events.rejected(one);
        const block = this.#fitting(piece.value, index);
        const rest = block && skip > 0 ? without(block, skip, size ?? 1) : block;
        if (block) skip -= block.rows - (rest?.rows ?? 0);
        if (rest) await intake.put(index, rest, next, this.#events.now(), signal);
        else intake.note(index, next, skip);
        if (this.#events.now() - turn <= TURN_MS_MAX) continue;
        // Sources that never wait would keep timers and signals from everyone else.
        await eventLoopTurn();
        turn = this.#events.now();
      }
      this.#end(index, intake);
    } catch (error) {
      // What was read before is reduced first: how much that is must not hang on when it failed.
      intake.end(index, { error });
    }
  }

  /** The next piece of a source; undefined if the stream ends first. */
  #nextOf(pieces: AsyncIterator<Chunk>, index: number): Promise<IteratorResult<Chunk> | undefined> {
    if (this.#over) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      this.#interrupts[index] = () => resolve(undefined);
      pieces.next().then(resolve, reject);
    });
  }

  /** The rows of a piece that the stream's dtype can hold. */
  #fitting({ block, next }: Chunk, index: number): Block | undefined {
    const { frame } = this.#setup;
    if (!block || !frame) return block;
    const { block: fitting, unfit } = narrow(block, frame.dtype, frame.values);
    const source = this.names[index]!;
    for (const { error } of unfit) this.#events.rejected({ source, from: next, to: next, line: undefined, error, text: undefined });
    return fitting;
  }

  #end(source: number, intake: Intake): void {
    this.#ended[source] = true;
    intake.end(source);
  }
}

/** Milliseconds that a source has to end once it was told to: one that waits for something else cannot be told. */
const END_MS_MAX = 100;

/** Tells a source to end, and waits for it a little. */
async function ended(pieces: AsyncIterator<Chunk>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, END_MS_MAX);
  });
  // What it throws now, nobody asked for.
  await Promise.race([Promise.resolve(pieces.return?.()).catch(() => undefined), late]);
  clearTimeout(timer);
}

/** A block without its first rows; undefined if none is left. */
function without(block: Block, rows: number, size: number): Block | undefined {
  if (rows >= block.rows) return undefined;
  return { ...block, ...cutColumns(block, rows, block.rows), rows: block.rows - rows, data: block.data.subarray(rows * size) };
}
