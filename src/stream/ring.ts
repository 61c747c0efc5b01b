/** A source that its producer writes into engine memory itself. */
import { FourfoldError } from "../errors.ts";
import type { TypedData } from "../types.ts";
import { type Columns, checkColumns } from "./columns.ts";
import type { FrameStore, Slot } from "./frames.ts";
import type { Intake } from "./intake.ts";

/** What a producer says of the frames that it wrote. */
export interface FrameColumns extends Partial<Columns> {}

/**
 * A source that a producer fills in place: `claim()` a view of engine memory, write frames into it, `commit()` them. Nothing is copied. Make
 * one with {@link Engine.frameRing} and give it to {@link Engine.stream}.
 * @example
 * const ring = engine.frameRing([64], "f32", { framesMax: 4096 });
 * const stream = engine.stream(chain(weightedSum(w)), ring, { frame: { shape: [64], dtype: "f32" } });
 * const view = ring.claim(1); // undefined while the ring is full: await ring.ready()
 * if (view) { view.set(samples); ring.commit(1); }
 */
export class FrameRing {
  readonly kind = "fourfold.ring";
  readonly shape: readonly number[];
  readonly #store: FrameStore;
  readonly #free: () => void;
  #intake: Intake | undefined;
  #clock: () => number = () => performance.now();
  #claimed: Slot | undefined;
  #onEnd: () => void = () => undefined;
  #early: { slot: Slot; columns: Columns }[] = [];
  #wanted: Wanted | undefined;
  /** Producers that wait for a stream to read the ring. */
  #waiting: (() => void)[] = [];
  /** The stream is over, and an open claim keeps the memory. */
  #freeLater = false;
  #ended = false;
  #committed = 0;

  /** @internal */
  constructor(store: FrameStore, shape: readonly number[], free: () => void) {
    this.#store = store;
    this.shape = shape;
    this.#free = free;
  }

  /** @internal */
  get store(): FrameStore {
    return this.#store;
  }

  /** The stream that reads it. @internal */
  attach(intake: Intake, wanted: Wanted, clock: () => number, onEnd: () => void): void {
    if (this.#intake)
      throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", "the ring is read by another stream already", {
        fix: "Make a ring for each stream",
      });
    this.#intake = intake;
    this.#clock = clock;
    this.#onEnd = onEnd;
    this.#wanted = wanted;
    for (const { slot, columns } of this.#early) this.#hand(slot, wantedColumns(columns, wanted));
    this.#early = [];
    if (this.#ended) onEnd();
    this.#wake();
  }

  /** The stream is over. @internal */
  detach(): void {
    this.#ended = true;
    this.#wake();
    if (this.#claimed) this.#freeLater = true;
    else this.#free();
  }

  /** Frames committed since the ring was made. */
  get committed(): number {
    return this.#committed;
  }

  /**
   * A view of engine memory for up to `frames` frames, side by side; its length says how many fit. Undefined while there is no room: under
   * overflow "block" await {@link FrameRing.ready}. A view is to be committed before the next is claimed, and not used afterwards.
   * @throws FourfoldError ERR_FOURFOLD_ARGUMENT if a claim is open, ERR_FOURFOLD_CLOSED if the ring has ended, ERR_FOURFOLD_QUEUE under
   * overflow "error"
   */
  claim(frames = 1): TypedData | undefined {
    if (this.#claimed)
      throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", "the ring has a view that is claimed and not committed", { fix: "Commit it first" });
    if (this.#ended) throw new FourfoldError("ERR_FOURFOLD_CLOSED", "the ring has ended", { fix: "Make another with engine.frameRing()" });
    if (!Number.isInteger(frames) || frames < 1)
      throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `claim: given ${frames} frames, expected a whole number from 1`, { given: frames });
    this.#claimed = this.#intake ? this.#intake.reserve(frames, this.#store.bytesPerFrame) : this.#store.claim(frames);
    return this.#claimed?.data;
  }

  /**
   * Hands over the first `frames` frames of the view that was claimed, with a key, time and weight for each where the stream has them.
   * @throws FourfoldError ERR_FOURFOLD_ARGUMENT without a claim, ERR_FOURFOLD_RECORD if a column has another length
   */
  commit(frames: number, columns: FrameColumns = {}): void {
    const slot = this.#claimed;
    if (slot === undefined || !(Number.isInteger(frames) && frames >= 0 && frames <= slot.rows))
      throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `commit: given ${frames} frames, ${slot ? slot.rows : "none"} are claimed`, {
        given: frames,
        expected: slot?.rows ?? 0,
        fix: "Claim a view, and commit at most as many frames as it holds",
      });
    if (this.#freeLater) {
      this.#claimed = undefined;
      this.#freeLater = false;
      this.#free();
      throw new FourfoldError("ERR_FOURFOLD_CLOSED", "the stream that reads the ring has ended", { fix: "Stop when the stream has ended" });
    }
    const { keys = [], times, weights, childWeights } = columns;
    const given: Columns = { keys, times, weights, childWeights };
    checkColumns(given, frames, "ring");
    const all = this.#wanted ? wantedColumns(given, this.#wanted) : given;
    this.#claimed = undefined;
    const kept = this.#store.keep(slot, frames);
    if (frames === 0) return;
    this.#committed += frames;
    if (this.#intake) this.#hand(kept, all);
    else this.#early.push({ slot: kept, columns: all });
  }

  /** Resolves when there may be room again, or the ring has ended. */
  async ready(): Promise<void> {
    if (this.#ended) return;
    if (this.#intake) await this.#intake.room();
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** No frames will come any more: the stream ends after those that are there. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#wake();
    this.#onEnd();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  #hand(slot: Slot, columns: Columns): void {
    const { bytesPerFrame } = this.#store;
    const bytes = slot.rows * bytesPerFrame;
    const { keys, times, weights, childWeights } = columns;
    this.#intake!.commit({
      keys,
      times,
      weights,
      childWeights,
      source: 0,
      rows: slot.rows,
      data: undefined,
      slot,
      bytes,
      arrivedAt: this.#clock(),
      next: undefined,
    });
  }
}

/** The columns that a stream reads with its frames. */
export interface Wanted {
  readonly keys: { readonly names: readonly string[] };
  readonly timed: boolean;
  readonly weighted: boolean;
  readonly childWeights: readonly string[];
}

/** What the stream reads of columns. @throws FourfoldError ERR_FOURFOLD_RECORD if one is missing */
function wantedColumns({ keys, times, weights, childWeights }: Columns, wanted: Wanted): Columns {
  const missing = (what: string): FourfoldError =>
    new FourfoldError("ERR_FOURFOLD_RECORD", `ring: the stream reads ${what}, and none were committed`, {
      fix: "commit(frames, { keys, times, weights, childWeights }): one entry for each frame in each column that the stream reads",
    });
  const { names } = wanted.keys;
  if (keys.length !== names.length) throw missing(`${names.length} key columns (${names.join(", ")})`);
  if (wanted.timed && times === undefined) throw missing("times");
  if (wanted.weighted && weights === undefined) throw missing("weights");
  const level = wanted.childWeights.find((name) => childWeights?.[name] === undefined);
  if (level !== undefined) throw missing(`weights for level "${level}"`);
  return { keys, times: wanted.timed ? times : undefined, weights: wanted.weighted ? weights : undefined, childWeights };
}
