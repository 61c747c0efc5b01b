/** What a window holds of its children, by its kind of reduction. Nothing is checked here: reduce/window.ts is the border. */
import { FourfoldError, show } from "../errors.ts";
import { ByteWriter } from "./bytes.ts";
import { DabaLite } from "./daba.ts";
import { writeExact } from "./encode.ts";
import { canonical } from "./exact.ts";
import { quotient } from "./node.ts";
import type { ReductionDefinition } from "./reductions.ts";
import { Ring } from "./ring.ts";
import { type ExactKind, exactState, extremeOf, type NodeState, type StateRules } from "./state.ts";
import { ExactSums } from "./sums.ts";

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

/** The groups of the exact sums of a window: Σ x or Σ w·x, and Σ w of a weighted mean or Σ x² of a variance. */
const MAIN = 0;
const SECOND = 1;

/** Exact sums, and the values and weights to take out of them again. */
export class ExactContents implements Contents {
  readonly #rules: StateRules & { readonly kind: ExactKind };
  readonly #sums = new ExactSums();
  readonly #values = numbers();
  readonly #weights: Ring<number> | undefined;

  constructor(rules: StateRules & { readonly kind: ExactKind }) {
    this.#rules = rules;
    this.#sums.grow(2);
    this.#weights = rules.kind === "weightedSum" || rules.kind === "weightedMean" ? numbers() : undefined;
  }

  push(x: number, w: number): void {
    this.#values.push(x);
    this.#weights?.push(w);
    this.#change(x, w, "add", "addProduct");
  }

  shift(): void {
    const x = this.#values.shift();
    this.#change(x, this.#weights ? this.#weights.shift() : 1, "subtract", "subtractProduct");
  }

  value(): number {
    const { kind, quotient: division } = this.#rules;
    const sums = this.#sums;
    if (kind === "variance" || (division === "real" && (kind === "mean" || kind === "weightedMean"))) return this.#state().value();
    if (kind === "mean") return quotient(sums.value(MAIN), sums.items(MAIN));
    return kind === "weightedMean" ? quotient(sums.value(MAIN), sums.value(SECOND)) : sums.value(MAIN);
  }

  encode(): Uint8Array {
    const { main, second } = this.#state();
    const bytes = new ByteWriter();
    writeExact(bytes, main);
    if (second) writeExact(bytes, second);
    return bytes.finish();
  }

  /** The children as the state of a node. */
  #state(): NodeState {
    const state = exactState(this.#rules);
    state.main.merge(this.#sums.sum(MAIN));
    state.second?.merge(this.#sums.sum(SECOND));
    return state;
  }

  /** What a child adds to the sums: that of {@link NodeState}. */
  #change(x: number, w: number, term: "add" | "subtract", product: "addProduct" | "subtractProduct"): void {
    const { kind, skip } = this.#rules;
    const sums = this.#sums;
    if (skip && x !== x) return;
    if (this.#weights) sums[product](MAIN, w, x);
    else sums[term](MAIN, kind === "count" ? 1 : x);
    if (kind === "weightedMean") sums[term](SECOND, w);
    else if (kind === "variance") sums[product](SECOND, x, x);
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
