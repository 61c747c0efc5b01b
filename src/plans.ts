/** Prepared plans, kept for the next run like the last one. It decides nothing about a plan but whether it is the one wanted. */
import type { Executable } from "./backends/backend.ts";
import type { Way } from "./prepare.ts";
import type { Chain } from "./reduce/chain.ts";
import type { Fitted } from "./reduce/resolve.ts";
import type { Choice } from "./schedule/choose.ts";
import type { PlanData } from "./schedule/plan.ts";

/** Plans an engine keeps; beyond it the one idle for longest goes. Each holds its weights in engine memory. */
const PLANS_MAX = 64;

/** A plan with what runs it. */
export interface Prepared {
  /** Weak: a plan must not keep alive a chain that nobody else holds. */
  readonly chain: WeakRef<Chain>;
  readonly fitted: Fitted;
  /** How it was asked to be run, and what that came to. */
  readonly way: Way;
  readonly choice: Choice;
  /** The device that held a copy of the leaves when it was planned. */
  readonly residentOn: string | undefined;
  readonly plan: PlanData;
  readonly executable: Executable;
  /** Runs under way. */
  inFlight: number;
  /** When it was last wanted, as a count of lookups. */
  wanted: number;
}

/** What decides whether a prepared plan is the right one. */
export interface Wanted extends Pick<PlanData, "dtype" | "nan" | "accuracy">, Pick<Prepared, "way" | "residentOn"> {
  readonly chain: Chain;
  readonly shape: readonly number[];
  readonly foreign: boolean;
  /** Undefined: the outermost level alone. */
  readonly keep: readonly boolean[] | undefined;
}

/** See the head of this file. */
export class PlanCache {
  readonly #plans: Prepared[] = [];
  readonly #gone: FinalizationRegistry<Prepared> = new FinalizationRegistry((prepared) => this.#remove(prepared));
  #lookups = 0;

  /** The plan for a dense input. A comparison of numbers: a key would take longer to make than a small run. */
  find(wanted: Wanted): Prepared | undefined {
    const { chain, shape, dtype, foreign, nan, accuracy, keep, way, residentOn } = wanted;
    for (const prepared of this.#plans) {
      if (prepared.chain.deref() !== chain) continue;
      const { fitted, plan } = prepared;
      if (plan.dtype !== dtype || (plan.placement === "foreign array") !== foreign) continue;
      if (plan.nan !== nan || plan.accuracy !== accuracy || prepared.residentOn !== residentOn) continue;
      if (!isSameWay(prepared.way, way)) continue;
      if (!hasShape(fitted, shape) || !keepsSame(plan.keep, keep)) continue;
      prepared.wanted = ++this.#lookups;
      return prepared;
    }
    return undefined;
  }

  /** Keeps a plan, and lets others go if there are too many. */
  add(prepared: Prepared, chain: Chain): void {
    prepared.wanted = ++this.#lookups;
    this.#plans.push(prepared);
    this.#gone.register(chain, prepared);
    while (this.#plans.length > PLANS_MAX && this.#drop(prepared));
  }

  /** Lets the plan idle for longest go. False if there is none. */
  dropOne(): boolean {
    return this.#drop(undefined);
  }

  #drop(spared: Prepared | undefined): boolean {
    let oldest: Prepared | undefined;
    for (const prepared of this.#plans) {
      if (prepared === spared || prepared.inFlight > 0) continue;
      if (oldest === undefined || prepared.wanted < oldest.wanted) oldest = prepared;
    }
    return oldest !== undefined && this.#remove(oldest);
  }

  #remove(prepared: Prepared): boolean {
    const place = this.#plans.indexOf(prepared);
    if (place < 0 || prepared.inFlight > 0) return false;
    this.#plans.splice(place, 1);
    prepared.executable.close();
    return true;
  }
}

function isSameWay(a: Way, b: Way): boolean {
  return (
    a.backend === b.backend &&
    a.workers === b.workers &&
    a.sync === b.sync &&
    isSameSplit(a.split, b.split) &&
    isSameSplit(a.decided?.shares, b.decided?.shares)
  );
}

function isSameSplit(a: Way["split"], b: Way["split"]): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

function hasShape({ tree: { frames, levels } }: Fitted, shape: readonly number[]): boolean {
  if (shape.length !== frames.length + levels.length) return false;
  for (let axis = 0; axis < frames.length; axis++) if (shape[axis] !== frames[axis]) return false;
  for (let i = 0; i < levels.length; i++) if (shape[shape.length - 1 - i] !== levels[i]!.extent) return false;
  return true;
}

function keepsSame(kept: readonly boolean[], keep: readonly boolean[] | undefined): boolean {
  for (let i = 0; i < kept.length - 1; i++) if (kept[i] !== (keep?.[i] ?? false)) return false;
  return true;
}
