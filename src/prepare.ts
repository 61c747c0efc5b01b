/**
 * Turns a fitted chain into a plan and what runs it: which devices were asked for or chosen, what each of them does. The engine keeps
 * the result for later runs; it holds no data.
 */
import type { Executable, RunOutput } from "./backends/backend.ts";
import { guarded } from "./backends/guard.ts";
import { BYTES } from "./backends/memory.ts";
import { together } from "./backends/pieces.ts";
import { runReference } from "./backends/reference.ts";
import { arithmeticOf, isTensorBackend, refuse } from "./backends/tensor-backends.ts";
import type { WasmBackend } from "./backends/wasm.ts";
import type { Devices } from "./devices.ts";
import { badOption } from "./errors.ts";
import type { BackendName } from "./options.ts";
import { builtIn, type Fitted } from "./reduce/resolve.ts";
import { strataOf } from "./reduce/strata.ts";
import { type Choice, choose, HOME } from "./schedule/choose.ts";
import { type Placement, workOf } from "./schedule/cost.ts";
import { explain, type Placed, type PlanData, planFor } from "./schedule/plan.ts";
import { deal, split, wholeReason } from "./schedule/split.ts";
import type { Dtype, TypedData } from "./types.ts";

/** What is to be run. */
export interface Task {
  readonly fitted: Fitted;
  readonly dtype: Dtype;
  readonly foreign: boolean;
  /** The device that holds a copy of the leaves. */
  readonly residentOn: string | undefined;
  /** Levels whose values are kept. */
  readonly keep: readonly boolean[];
}

/** How it was asked to be run. */
export interface Way {
  readonly backend: BackendName;
  /** Device → its share, in proportion. */
  readonly split: Readonly<Record<string, number>> | undefined;
  /** A choice that was made before, and is kept. */
  readonly decided: Choice | undefined;
  /** Threads of the wasm backend; 0 for calls that return when they are done. */
  readonly workers: number;
  readonly sync: boolean;
}

/** See the head of this file. */
export class Preparer {
  readonly #wasm: WasmBackend;
  readonly #devices: Devices;

  constructor(wasm: WasmBackend, devices: Devices) {
    this.#wasm = wasm;
    this.#devices = devices;
  }

  /** Decides where a task runs, for as long as the plan is kept, and prepares that. @throws FourfoldError for what its backend cannot do */
  prepare(task: Task, way: Way): { readonly choice: Choice; readonly plan: PlanData; readonly executable: Executable } {
    const choice = this.#choice(task, way);
    const cut = Object.keys(choice.shares).length > 1 ? split(task.fitted, choice.shares) : undefined;
    const names = cut ? cut.pieces.map(({ device }) => device) : Object.keys(choice.shares);
    const plan = planFor(placed(task), names.join("+"), way.workers, choice);
    if (cut === undefined) return { choice, plan: told(plan), executable: this.#single(task, names[0]!, way, plan) };
    const pieces = cut.pieces.map(({ device, first, last }) => ({ device, leaves: last - first }));
    const level = task.fitted.levels[cut.level]!.name;
    return { choice, plan: told({ ...plan, phases: [], split: { level, pieces } }), executable: this.#together(task, way, cut) };
  }

  /** True if `auto` might leave the wasm kernels for this task, once devices have been measured. */
  mayLeave(fitted: Fitted, way: Way): boolean {
    return way.backend === "auto" && way.split === undefined && way.decided === undefined && homeOnlyReason(fitted, way) === undefined;
  }

  #choice(task: Task, way: Way): Choice {
    const asked = (shares: Choice["shares"]): Choice => ({ shares, predictedMs: undefined, reason: "asked for", candidates: [] });
    if (way.decided !== undefined) return way.decided;
    if (way.split !== undefined) {
      for (const name of Object.keys(way.split)) if (isTensorBackend(name)) refuse(task.fitted, name);
      const whole = wholeReason(task.fitted);
      if (whole !== undefined) throw badOption("split", way.split, `a chain that can be cut: ${whole}`);
      const total = Object.values(way.split).reduce((sum, share) => sum + share, 0);
      return asked(Object.fromEntries(Object.entries(way.split).map(([name, share]) => [name, share / total])));
    }
    if (way.backend !== "auto") return asked({ [way.backend]: 1 });
    const homeOnly = homeOnlyReason(task.fitted, way);
    const { devices, refused } = this.#devices.considered(task.foreign ? this.#wasm.heaps.bytesMax : undefined);
    const work = workOf(task.fitted, task.dtype, BYTES[task.dtype], placementOf(task), task.residentOn);
    // A copy on a device is read there whole.
    const whole = task.residentOn === undefined ? wholeReason(task.fitted) : `its data is resident on ${task.residentOn}`;
    return choose(work, devices, { homeOnly, whole, refused, deal: (shares) => deal(task.fitted, shares) });
  }

  #single(task: Task, name: string, way: Way, plan: PlanData): Executable {
    const { fitted, keep, dtype } = task;
    if (name === "reference") return referenceExecutable(fitted, keep);
    if (!isTensorBackend(name)) return this.#wasm.prepare(fitted, strataOf(fitted), plan, dtype);
    const onDevice = this.#devices.thread(name).prepare(fitted, keep);
    return guarded(onDevice, () => this.#single(task, HOME, way, planFor(placed(task), HOME, way.workers)), {
      device: name,
      givenUp: () => this.#devices.givenUp(name),
      absentToo: way.backend === "auto" && way.split === undefined,
      onSuccess: () => this.#devices.noteSuccess(name),
      onFault: () => this.#devices.noteFault(name),
    });
  }

  #together(task: Task, way: Way, { pieces, level, rest }: ReturnType<typeof split>): Executable {
    const last = task.fitted.levels.length - 1;
    const part = (fitted: Fitted, name: string, keep: readonly boolean[], own: Partial<Task>): Executable => {
      const piece: Task = { ...task, fitted, keep, residentOn: undefined, ...own };
      return this.#single(piece, name, way, planFor(placed(piece), name, way.workers));
    };
    const tensors = pieces.map(({ device }) => device).filter(isTensorBackend);
    const [leastExact] = tensors.sort((a, b) => arithmeticOf(b).unit - arithmeticOf(a).unit);
    return together({
      pieces: pieces.map((piece) => ({
        ...piece,
        executable: part(piece.fitted, piece.device, task.keep.slice(0, level).concat(true), {}),
      })),
      level,
      keepLevel: task.keep[level] === true,
      rest: rest && part(rest, HOME, task.keep.slice(level + 1, last).concat(true), { dtype: "f64", foreign: true }),
      // What float32 operations may be off by is more than the kernels are: one bound holds for all.
      bounder: leastExact && this.#devices.thread(leastExact).bounder(task.fitted),
    });
  }
}

/** A plan that explains itself. */
export function told(plan: PlanData): PlanData {
  return Object.defineProperty(plan, "toString", { value: () => explain(plan) });
}

/** Why nothing but the wasm kernels may run a task, if so. */
function homeOnlyReason(fitted: Fitted, { sync }: Way): string | undefined {
  if (fitted.accuracy !== "fast") return `accuracy ${fitted.accuracy}: SIMD kernels keep the contract`;
  const mine = fitted.levels.find((level) => builtIn(level) === undefined);
  if (mine) return `reduction "${mine.reduction.name}" is no tensor operation`;
  return sync ? "other devices have no synchronous way" : undefined;
}

function placementOf({ foreign }: Task): Placement {
  return foreign ? "foreign array" : "engine memory";
}

function placed(task: Task): Placed {
  const { fitted, dtype, keep } = task;
  return { fitted, dtype, bytesPerLeaf: BYTES[dtype], placement: placementOf(task), keep };
}

function referenceExecutable(fitted: Fitted, keep: readonly boolean[]): Executable {
  const runSync = (data: TypedData): RunOutput => {
    const started = performance.now();
    const levels = runReference(fitted, data).map((level, i) => (keep[i] ? level : undefined));
    return { levels, processMs: performance.now() - started, aggregateMs: 0 };
  };
  return { runSync, run: async (data) => runSync(data), close: () => undefined };
}
