/** The sources of a stream, read side by side into the queue, and where each of them stands. */
import { FourfoldError } from "../errors.ts";
import { cutColumns } from "./columns.ts";
import { eventLoopTurn, TURN_MS_MAX } from "./event-loop.ts";
import type { Batch, Intake } from "./intake.ts";
import type { StreamSetup } from "./options.ts";
import { Positions } from "./positions.ts";
import type { FrameRing } from "./ring.ts";
import type { SourceStats } from "./stats.ts";
import type { Block, ReadContext, Reader, Rejected } from "./types.ts";

/** What feeds tell their stream. */
export interface FeedEvents {
  /** A record could not be read. What it throws ends the stream. */
  rejected(rejected: Rejected): void;
  /** A source failed, or was made to. */
  failed(error: unknown): void;
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
        () => this.#events.now(),
        () => this.#end(0, intake),
      );
    else this.#pumps = sources.map((reader, index) => this.#pump(index, reader, intake, signal));
  }

  /** Resolves when no source is being read any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#pumps);
    if ("kind" in this.#sources) this.#sources.detach();
  }

  /** The rows of a batch are where they belong: the sources stand after them. */
  passed({ segments, passed }: Batch): void {
    for (const { source, rows, next } of passed) this.positions.passed(source, rows, next);
    for (const { source, rows, next } of segments) {
      this.positions.reduced(source, rows, next);
      this.#rows[source]! += rows;
    }
  }

  async #pump(index: number, reader: Reader, intake: Intake, signal: AbortSignal): Promise<void> {
    const { keys, frame, timed, weighted, childWeights, rowsMax } = this.#setup;
    const size = frame?.values;
    const context: ReadContext = { keys: keys.names, frameValues: size, timed, weighted, childWeights, rowsMax, signal };
    const { offset, rows } = this.positions.of(index);
    // What a live source gives comes after what it gave before.
    const passed = reader.live ? offset : 0;
    let skip = reader.live ? 0 : rows;
    let turn = this.#events.now();
    try {
      for await (const { block, rejected, next: read } of reader.read(offset - passed, context)) {
        const next = passed + read;
        if (signal.aborted) break;
        for (const one of rejected) this.#events.rejected(one);
        const rest = block && skip > 0 ? without(block, skip, size ?? 1) : block;
        if (block) skip -= block.rows - (rest?.rows ?? 0);
        if (rest) await intake.put(index, rest, next, this.#events.now(), signal);
        else intake.note(index, next);
        if (this.#events.now() - turn <= TURN_MS_MAX) continue;
        // Sources that never wait would keep timers and signals from everyone else.
        await eventLoopTurn();
        turn = this.#events.now();
      }
      this.#end(index, intake);
    } catch (error) {
      this.#events.failed(error);
    }
  }

  #end(source: number, intake: Intake): void {
    this.#ended[source] = true;
    intake.end(source);
  }
}

/** A block without its first rows; undefined if none is left. */
function without(block: Block, rows: number, size: number): Block | undefined {
  if (rows >= block.rows) return undefined;
  return { ...block, ...cutColumns(block, rows, block.rows), rows: block.rows - rows, data: block.data.subarray(rows * size) };
}
