/** What a window holds of its children, by its kind of reduction. Nothing is checked here: reduce/window.ts is the border. */
import { FourfoldError, show } from "../errors.ts";
import { ByteWriter } from "./bytes.ts";
import { DabaLite } from "./daba.ts";
import { canonical } from "./exact.ts";
import type { ReductionDefinition } from "./reductions.ts";
import { Ring } from "./ring.ts";
import { type ExactKind, extremeOf, type StateRules } from "./state.ts";
import { SumStates } from "./states.ts";

/** Children in order of arrival. */
export interface Contents {
  /** Adds the youngest; the weight is read by weighted reductions alone. */
  push(x: number, w: number): void;
  /** Takes the oldest out; there must be one. */
  shift(): void;
  value(): number;
  encode(): Uint8Array;
}

const numbers = (): Ring<number> => new Ring((length) => new Float64Array(length));

/** Exact sums, as the state of one node, and the values and weights to take out of it again. */
export class ExactContents implements Contents {
  readonly #skip: boolean;
  readonly #state: SumStates;
  readonly #values = numbers();
  readonly #weights: Ring<number> | undefined;

  constructor(rules: StateRules & { readonly kind: ExactKind }) {
    this.#skip = rules.skip;
    this.#state = new SumStates(rules);
    this.#state.grow(1);
    this.#weights = rules.kind === "weightedSum" || rules.kind === "weightedMean" ? numbers() : undefined;
  }

  push(x: number, w: number): void {
    this.#values.push(x);
    this.#weights?.push(w);
    if (!(this.#skip && x !== x)) this.#state.add(0, x, w);
  }

  shift(): void {
    const x = this.#values.shift();
    const w = this.#weights ? this.#weights.shift() : 1;
    if (!(this.#skip && x !== x)) this.#state.subtract(0, x, w);
  }

  value(): number {
    return this.#state.value(0);
  }

  encode(): Uint8Array {
    const bytes = new ByteWriter();
    this.#state.write(bytes, 0);
    return bytes.finish();
  }
}

/** A minimum or maximum. Under `skip` NaN is what nothing but itself is the extreme of, which is how a window without a number looks, too. */
export class ExtremeContents implements Contents {
  readonly #partials: DabaLite<number>;

  constructor(kind: "min" | "max", skip: boolean) {
    const kept = (a: number, b: number): number => (a !== a ? b : b !== b ? a : extremeOf(kind, a, b));
    this.#partials = new DabaLite(skip ? kept : (a, b) => extremeOf(kind, a, b), numbers());
  }

  push(x: number): void {
    this.#partials.insert(x);
  }

  shift(): void {
    this.#partials.evict();
  }

  value(): number {
    return canonical(this.#partials.query() ?? Number.NaN);
  }

  encode(): Uint8Array {
    const bytes = new ByteWriter();
    bytes.float(this.value());
    return bytes.finish();
  }
}

/** A user's reduction: one state for each child, merged in order. */
export class UserContents implements Contents {
  readonly #definition: ReductionDefinition<unknown>;
  readonly #skip: boolean;
  readonly #partials: DabaLite<unknown>;
  /** The first finite child, until another one came to be merged with it as a trial. */
  #first: number | undefined;
  #tried = false;
  /** What a merge threw halfway through a change. */
  #broken: FourfoldError | undefined;

  constructor(definition: ReductionDefinition<unknown>, skip: boolean) {
    this.#definition = definition;
    this.#skip = skip;
    this.#partials = new DabaLite((left, right) => definition.merge(left, right), new Ring((length) => new Array(length)));
  }

  push(x: number): void {
    if (this.#broken) throw this.#broken;
    if (!this.#tried && Number.isFinite(x)) this.#try(x);
    const child = this.#guard(`adding ${x}`, () => this.#child(x));
    this.#change(() => this.#partials.insert(child));
  }

  shift(): void {
    this.#change(() => this.#partials.evict());
  }

  value(): number {
    return this.#guard("making the value", () => {
      const result: unknown = this.#definition.finish(this.#state());
      if (typeof result !== "number") throw new TypeError(`finish() gave ${show(result)}, expected a number`);
      return canonical(result);
    });
  }

  encode(): Uint8Array {
    if (this.#broken) throw this.#broken;
    const { name, encode } = this.#definition;
    if (!encode)
      throw new FourfoldError("ERR_FOURFOLD_REDUCTION", `window: reduction "${name}" has no encode`, { fix: "Define it with encode" });
    return this.#guard("encoding", () => this.#definition.encode!(this.#state()).slice());
  }

  #state(): unknown {
    if (this.#broken) throw this.#broken;
    return this.#partials.length === 0 ? this.#definition.init() : this.#partials.query();
  }

  #child(x: number): unknown {
    const empty = this.#definition.init();
    return this.#skip && x !== x ? empty : this.#definition.add(empty, x);
  }

  /** A merge that throws in here leaves the partials half-changed: only `clear()` helps then. */
  #change(work: () => void): void {
    if (this.#broken) throw this.#broken;
    try {
      this.#guard("merging", work);
    } catch (error) {
      this.#broken = error as FourfoldError;
      throw error;
    }
  }

  #guard<T>(what: string, work: () => T): T {
    try {
      return work();
    } catch (cause) {
      if (cause instanceof FourfoldError) throw cause;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new FourfoldError("ERR_FOURFOLD_REDUCTION", `window: reduction "${this.#definition.name}" threw while ${what}: ${why}`, {
        cause,
      });
    }
  }

  /** Tries on the first two children that differ what a window relies on: merged states are those of both children, and are left as they were. */
  #try(y: number): void {
    const x = this.#first;
    this.#first ??= y;
    if (x === undefined || x === y) return;
    this.#guard("its merge was tried", () => {
      this.#tryPair(x, y);
      this.#tryPair(y, x);
    });
    this.#tried = true;
  }

  #tryPair(x: number, y: number): void {
    const left = this.#child(x);
    const right = this.#child(y);
    this.#expectBoth(left, right, x, y);
    // Once more with each of them, which the merge above may have changed.
    this.#expectBoth(left, this.#child(x), x, x);
    this.#expectBoth(this.#child(y), right, y, y);
  }

  #expectBoth(left: unknown, right: unknown, x: number, y: number): void {
    const definition = this.#definition;
    const merged = definition.finish(definition.merge(left, right));
    const added = definition.finish(definition.add(this.#child(x), y));
    if (Object.is(merged, added)) return;
    const message = `window: reduction "${definition.name}" gives ${show(merged)} for the merged states of ${x} and ${y}, and ${show(added)} for both added to one`;
    throw new FourfoldError("ERR_FOURFOLD_REDUCTION", message, {
      given: merged,
      expected: added,
      fix: "Its merge must leave both states as they are, and its init() must be neutral",
    });
  }
}
