/** What a run gives back to its caller. Nothing is computed here but what is only looked at now and then. */
import type { DeviceRun, Moved } from "./backends/backend.ts";
import type { RejectedRows } from "./reduce/grouped.ts";
import { type LevelView, levelView, onlyValue } from "./reduce/result.ts";
import { type ResultLevel, type RunLevels, resultLevels } from "./reduce/result-levels.ts";
import { explain, type PlanData, type Ran } from "./schedule/plan.ts";
import { CONTRACT_VERSION } from "./types.ts";

/** One of the five steps of a run. */
export interface RunStep {
  readonly name: "init" | "distribute" | "process" | "aggregate" | "output";
  readonly ms: number;
  /** What the step handled: values, parts, nodes, numbers. */
  readonly counts: Readonly<Record<string, number>>;
}

/** The result of a run. */
export interface Result {
  /** The one number of a chain that ran on one frame. @throws FourfoldError ERR_FOURFOLD_FRAMES if there are several, or none */
  readonly value: number;
  /** All values, row-major in `shape`. */
  readonly values: Float64Array;
  /** The frames' shape; the outputs of a weight matrix are its last axis. */
  readonly shape: readonly number[];
  /** What ran where, and what it took. `String(plan)` says it in words. */
  readonly plan: PlanData & Ran;
  /** Times and counts of init, distribute, process, aggregate and output. */
  readonly steps: readonly RunStep[];
  /**
   * |value − v*| is at most this, where v* is the chain over the real numbers; the largest of `errorBounds`.
   * Undefined unless a tensor backend ran, without `errorBound: false`, or `errorBound: true` asked for it.
   */
  readonly errorBound: number | undefined;
  /** The bound of each of `values`; NaN where there is no v*, Infinity where nothing can be said. */
  readonly errorBounds: Float64Array | undefined;
  /** Leaves that were reduced, the skipped ones included. */
  readonly records: number;
  /** What the table was read without; undefined unless `onError` of its spec asked for it. */
  readonly rejected: RejectedRows | undefined;
  /** The version of the numeric contract the values keep. */
  readonly contract: string;
  /** What the kept levels are, innermost first. */
  readonly levels: readonly ResultLevel[];
  /** The nodes of a kept level. @throws FourfoldError ERR_FOURFOLD_LEVEL */
  level(name: string): LevelView;
}

/** Milliseconds of the five steps, in their order. */
export type StepTimes = readonly [number, number, number, number, number];

/** Where a run went, as far as its plan did not say. */
export interface Where {
  readonly startedAt: number;
  readonly endedAt: number;
  readonly devices: readonly DeviceRun[] | undefined;
  readonly moved: readonly Moved[] | undefined;
}

/** A plan with how it went: the backend is what ran. */
function ranPlan(plan: PlanData, { startedAt, endedAt, devices = [], moved = [] }: Where): PlanData & Ran {
  const names = plan.backend.split("+").map((name) => (moved.some(({ from }) => from === name) ? "wasm" : name));
  const ran: Ran = {
    ranMs: endedAt - startedAt,
    devices: devices.map((run) => ({
      device: run.device,
      leaves: run.leaves,
      startedMs: run.startedAt - startedAt,
      endedMs: run.endedAt - startedAt,
    })),
    moved,
  };
  const reason = moved.length > 0 ? `what was planned for ${plan.backend}` : plan.reason;
  const told = { ...plan, ...ran, reason, backend: [...new Set(names)].join("+") };
  return Object.defineProperty(told, "toString", { value: () => explain(told, ran) });
}

/** A result. What few callers look at is made when they do: it would take longer than a small run. */
export class RunResult implements Result {
  readonly values: Float64Array;
  readonly errorBounds: Float64Array | undefined;
  readonly contract: string = CONTRACT_VERSION;
  readonly rejected: RejectedRows | undefined;
  readonly #planned: PlanData;
  readonly #levels: RunLevels;
  readonly #ms: StepTimes;
  readonly #where: Where;
  #plan: (PlanData & Ran) | undefined;

  constructor(
    planned: PlanData,
    levels: RunLevels,
    values: Float64Array,
    errorBounds: Float64Array | undefined,
    ms: StepTimes,
    where: Where,
    rejected?: RejectedRows,
  ) {
    this.rejected = rejected;
    this.values = values;
    this.errorBounds = errorBounds;
    this.#planned = planned;
    this.#levels = levels;
    this.#ms = ms;
    this.#where = where;
  }

  get plan(): PlanData & Ran {
    this.#plan ??= ranPlan(this.#planned, this.#where);
    return this.#plan;
  }

  get value(): number {
    return onlyValue(this.values, this.shape);
  }

  get errorBound(): number | undefined {
    return this.errorBounds?.reduce((most, bound) => Math.max(most, bound), 0);
  }

  get shape(): readonly number[] {
    return this.#planned.shape;
  }

  get records(): number {
    return this.#planned.leaves;
  }

  get steps(): readonly RunStep[] {
    const [init, distribute, process, aggregate, output] = this.#ms;
    const { leaves, bytesPerLeaf, phases, workers, levels, split } = this.#planned;
    const parts = split ? split.pieces.length : phases.reduce((total, phase) => total + phase.parts.length - 1, 0);
    const outer = levels.slice(1).reduce((total, { nodes }) => total + nodes, 0);
    return [
      { name: "init", ms: init, counts: { values: leaves, bytes: leaves * bytesPerLeaf } },
      { name: "distribute", ms: distribute, counts: { parts, workers } },
      { name: "process", ms: process, counts: { nodes: levels[0]!.nodes } },
      { name: "aggregate", ms: aggregate, counts: { nodes: outer } },
      { name: "output", ms: output, counts: { numbers: this.values.length } },
    ];
  }

  get levels(): readonly ResultLevel[] {
    return resultLevels(this.#levels);
  }

  level(name: string): LevelView {
    return levelView(this.#levels, name);
  }
}
