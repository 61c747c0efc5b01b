/**
 * The devices an engine can use beside the wasm kernels: which are installed, their threads, what they were measured at, and how
 * often they failed. It runs no chain and chooses nothing.
 */
import { totalmem } from "node:os";
import { installedVersions } from "./backends/installed.ts";
import type { Heaps } from "./backends/memory.ts";
import { TensorThread } from "./backends/tensors.ts";
import type { TensorBackendName } from "./backends/tfjs.ts";
import {
  type Calibration,
  calibrationFile,
  type Measured,
  measure,
  readCalibration,
  type TimedRuns,
  writeCalibration,
} from "./calibration.ts";
import { FourfoldError } from "./errors.ts";
import { HOME } from "./schedule/choose.ts";
import type { Device } from "./schedule/cost.ts";
import type { TypedData } from "./types.ts";

/** Failures in a row after which a device is left alone. */
const FAULTS_MAX = 3;

/** What is tried at most before a device counts as one that cannot be measured. */
const MEASURE_MS_MAX = 60_000;

/** Makes what times runs on a device, until the signal says that it has taken too long. */
export type TimedRunsOn = (device: typeof HOME | TensorBackendName, signal: AbortSignal) => TimedRuns;

/** What the devices of one engine are made from. */
export interface DevicesOptions {
  /** The tensor backends that `auto` may choose, where they are installed. */
  readonly names: readonly TensorBackendName[];
  /** Those of the engine: what the wasm kernels were measured with. */
  readonly workers: number;
  readonly memoryBytesMax: number;
  /** Engine memory, where the devices read their leaves. */
  readonly heaps: Heaps;
  /** Milliseconds that a device may take for one run. */
  readonly runMsMax: number;
}

/** See the head of this file. */
export class Devices {
  readonly #threads: Map<TensorBackendName, TensorThread> = new Map();
  readonly #faults: Map<string, number> = new Map();
  readonly #options: DevicesOptions;
  #calibration: Calibration | undefined;
  #installed: ReadonlyMap<TensorBackendName, string> | undefined;
  #measuring: Promise<void> | undefined;
  #loaded = false;

  constructor(options: DevicesOptions) {
    this.#options = options;
  }

  /** The thread of a tensor backend; it starts with its first call. */
  thread(name: TensorBackendName): TensorThread {
    let thread = this.#threads.get(name);
    if (thread === undefined) {
      thread = new TensorThread(name, this.#options.heaps, { runMsMax: this.#options.runMsMax });
      this.#threads.set(name, thread);
    }
    return thread;
  }

  /** Those of the engine. */
  get workers(): number {
    return this.#options.workers;
  }

  /** The device that holds a copy of a tensor's leaves. */
  holderOf(data: TypedData): TensorBackendName | undefined {
    for (const [name, thread] of this.#threads) if (thread.holds(data)) return name;
    return undefined;
  }

  /** What `auto` may choose from, and why it may not take the rest. Empty where no other device is installed, or measuring is off. */
  considered(): { readonly devices: readonly Device[]; readonly refused: Readonly<Record<string, string>> } {
    const refused: Record<string, string> = {};
    const devices: Device[] = [];
    if (this.#file() === undefined || this.#installedOnes().size === 0) return { devices, refused };
    const calibration = this.#load();
    for (const [name, versions] of this.#installedOnes()) {
      const measured = calibration?.devices.find((device) => device.name === name && device.versions === versions);
      const failed = calibration?.failed[name];
      const givenUp = this.givenUp(name);
      if (givenUp !== undefined) refused[name] = givenUp;
      else if (measured) devices.push(measured);
      else if (failed?.versions === versions) refused[name] = failed.reason;
      else refused[name] = "it has not been measured: npx fourfold doctor --calibrate";
    }
    const home = calibration?.devices.find((device) => device.name === HOME);
    return { devices: home && devices.length > 0 ? [home, ...devices] : [], refused };
  }

  /** True if a device is installed that `auto` may use, and has not been measured in these versions. */
  get unmeasured(): boolean {
    return this.#file() !== undefined && this.#missing().length > 0;
  }

  /** Measures the devices that need it, or all of them, and stores what was found. Calls that come meanwhile wait for the same. */
  measure(time: TimedRunsOn, all: boolean = false): Promise<void> {
    this.#measuring ??= this.#measure(time, all).finally(() => {
      this.#measuring = undefined;
    });
    return this.#measuring;
  }

  /** What was measured, for those who want to see it. */
  get calibration(): Calibration | undefined {
    return this.#load();
  }

  /** Notes how a run on a device ended. */
  noteFault(name: string): void {
    this.#faults.set(name, (this.#faults.get(name) ?? 0) + 1);
  }

  noteSuccess(name: string): void {
    this.#faults.delete(name);
  }

  /** Why a device is left alone, if it has failed too often in a row. */
  givenUp(name: string): string | undefined {
    return (this.#faults.get(name) ?? 0) >= FAULTS_MAX ? `it failed ${FAULTS_MAX} times in a row` : undefined;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#threads.values()].map((thread) => thread.close()));
  }

  async #measure(time: TimedRunsOn, all: boolean): Promise<void> {
    const stored = this.#load();
    const names = all ? [...this.#installedOnes().keys()] : this.#missing();
    const devices = (stored?.devices ?? [])
      .filter(({ name }) => name !== HOME || !all)
      .filter(({ name }) => !names.includes(name as never));
    const failed = { ...stored?.failed };
    for (const name of devices.some((device) => device.name === HOME) ? names : ([HOME, ...names] as const)) {
      const versions = name === HOME ? "" : this.#installedOnes().get(name)!;
      try {
        devices.push(await this.#measureOne(name, versions, time));
        delete failed[name];
      } catch (error) {
        if (error instanceof FourfoldError && error.code === "ERR_FOURFOLD_CLOSED") throw error; // says nothing about the device
        failed[name] = { versions, reason: `it could not be measured: ${error instanceof Error ? error.message : String(error)}` };
      }
    }
    this.#calibration = { devices, failed };
    const file = this.#file();
    if (file !== undefined) writeCalibration(file, this.#calibration);
  }

  async #measureOne(name: typeof HOME | TensorBackendName, versions: string, time: TimedRunsOn): Promise<Measured> {
    const signal = AbortSignal.timeout(MEASURE_MS_MAX);
    const atHome = name === HOME;
    const { processor, software } = atHome ? { processor: "cpu", software: false } : await this.thread(name).open();
    if (software) throw new Error("its driver is in software: the kernels do the same work on the same cores");
    const leaves = atHome ? "given" : "f32";
    const rates = await measure(time(name, signal), leaves);
    // A library holds the leaves once more, beside the engine's memory; a GPU's own memory cannot be asked for.
    const memoryBytesMax = atHome ? this.#options.memoryBytesMax : Math.floor(totalmem() / 2);
    return { name, versions, measuredAt: new Date().toISOString(), processor, memoryBytesMax, leaves, rates };
  }

  #missing(): TensorBackendName[] {
    const calibration = this.#load();
    return [...this.#installedOnes()]
      .filter(([name, versions]) => {
        const same = (found: { readonly versions: string } | undefined): boolean => found?.versions === versions;
        return !same(calibration?.devices.find((device) => device.name === name)) && !same(calibration?.failed[name]);
      })
      .map(([name]) => name);
  }

  /** Looked up once: some stats of files, nothing is imported. */
  #installedOnes(): ReadonlyMap<TensorBackendName, string> {
    this.#installed ??= new Map(
      this.#options.names.flatMap((name): [TensorBackendName, string][] => {
        const versions = installedVersions(name);
        return versions === undefined ? [] : [[name, versions]];
      }),
    );
    return this.#installed;
  }

  #load(): Calibration | undefined {
    const file = this.#file();
    if (!this.#loaded && file !== undefined) this.#calibration = readCalibration(file);
    this.#loaded = true;
    return this.#calibration;
  }

  #file(): string | undefined {
    return calibrationFile(this.#options.workers);
  }
}
