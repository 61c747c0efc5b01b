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
 * const stream = engine.stream(chain(weightedSum(w)), ring);
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
  attach(intake: Intake, clock: () => number, onEnd: () => void): void {
    if (this.#intake)
      throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", "the ring is read by another stream already", {
        fix: "Make a ring for each stream",
      });
    this.#intake = intake;
    this.#clock = clock;
    this.#onEnd = onEnd;
    for (const { slot, columns } of this.#early) this.#hand(slot, columns);
    this.#early = [];
    if (this.#ended) onEnd();
  }

  /** The stream is over. @internal */
  detach(): void {
    this.#ended = true;
    this.#free();
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
    const { keys = [], times, weights, childWeights } = columns;
    const all: Columns = { keys, times, weights, childWeights };
    checkColumns(all, frames, "ring");
    this.#claimed = undefined;
    const kept = this.#store.keep(slot, frames);
    if (frames === 0) return;
    this.#committed += frames;
    if (this.#intake) this.#hand(kept, all);
    else this.#early.push({ slot: kept, columns: all });
  }

  /** Resolves when there may be room again. */
  async ready(): Promise<void> {
    await this.#intake?.room();
  }

  /** No frames will come any more: the stream ends after those that are there. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#onEnd();
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
