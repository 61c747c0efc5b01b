/**
 * The devices an engine can use beside the wasm kernels: which are installed, their threads, what they were measured at, and how
 * often they failed. It runs no chain and chooses nothing.
 */
import { totalmem } from "node:os";
import { installedVersions } from "./backends/installed.ts";
import type { Heaps } from "./backends/memory.ts";
import type { TensorBackendName } from "./backends/tensor-backends.ts";
import { TensorThread } from "./backends/tensors.ts";
import {
  type Calibration,
  calibrationFile,
  type Failed,
  type Measured,
  measure,
  readCalibration,
  writeCalibration,
} from "./calibration.ts";
import { closed, FourfoldError } from "./errors.ts";
import { HOME } from "./schedule/choose.ts";
import type { Device } from "./schedule/cost.ts";
import type { Bench } from "./timing.ts";
import type { TypedData } from "./types.ts";

/** Failures in a row after which a device is left alone. */
const FAULTS_MAX = 3;

/** What is tried at most before a device counts as one that cannot be measured. */
const MEASURE_MS_MAX = 60_000;

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
  #bench: Bench | undefined;
  #closed = false;
  #fileFound: { readonly file: string | undefined } | undefined;

  constructor(options: DevicesOptions) {
    this.#options = options;
  }

  /** The thread of a tensor backend; it starts with its first call. */
  thread(name: TensorBackendName): TensorThread {
    if (this.#closed) throw closed();
    let thread = this.#threads.get(name);
    if (thread === undefined) {
      thread = new TensorThread(name, this.#options.heaps, { runMsMax: this.#options.runMsMax });
      this.#threads.set(name, thread);
    }
    return thread;
  }

  /** The device that holds a copy of a tensor's leaves. */
  holderOf(data: TypedData): TensorBackendName | undefined {
    for (const [name, thread] of this.#threads) if (thread.holds(data)) return name;
    return undefined;
  }

  /**
   * What `auto` may choose from, and why it may not take the rest. Empty where no other device is installed, or measuring is off.
   * @param copyBytesMax engine memory, if the leaves must be copied into it before a device can have them
   */
  considered(copyBytesMax: number | undefined): {
    readonly devices: readonly Device[];
    readonly refused: Readonly<Record<string, string>>;
  } {
    const refused: Record<string, string> = {};
    const devices: Device[] = [];
    if (this.#installedOnes().size === 0 || this.#file === undefined) return { devices, refused };
    const calibration = this.#load();
    for (const [name, versions] of this.#installedOnes()) {
      const measured = calibration?.devices.find((device) => device.name === name && device.versions === versions);
      const failed = calibration?.failed[name];
      const givenUp = this.givenUp(name);
      if (givenUp !== undefined) refused[name] = givenUp;
      else if (measured)
        devices.push({ ...measured, memoryBytesMax: Math.min(measured.memoryBytesMax, copyBytesMax ?? Number.POSITIVE_INFINITY) });
      else if (failed?.versions === versions) refused[name] = failed.reason;
      else refused[name] = "it has not been measured: npx fourfold doctor --calibrate";
    }
    const home = calibration?.devices.find((device) => device.name === HOME);
    return { devices: home && devices.length > 0 ? [home, ...devices] : [], refused };
  }

  /** True if a device is installed that `auto` may use, and has not been measured in these versions. */
  get unmeasured(): boolean {
    return this.#missing().length > 0 && this.#file !== undefined;
  }

  /** Measures the devices that need it, or all of them, and stores what was found. Calls that come meanwhile wait for the same. */
  measure(all: boolean = false): Promise<void> {
    if (this.#closed) return Promise.reject(closed());
    this.#measuring ??= this.#measure(all).finally(() => {
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
    this.#closed = true;
    await Promise.all([this.#bench?.close(), ...[...this.#threads.values()].map((thread) => thread.close())]);
  }

  async #measure(all: boolean): Promise<void> {
    const names: readonly Name[] = all ? [HOME, ...this.#installedOnes().keys()] : this.#missing();
    const devices: Measured[] = [];
    const failed: Record<string, Failed> = {};
    const lasting = new Set<string>();
    for (const name of names) {
      const versions = this.#versionsOf(name);
      try {
        devices.push(await this.#measureOne(name, versions));
      } catch (error) {
        if (this.#closed) throw closed();
        failed[name] = { versions, reason: `it could not be measured: ${error instanceof Error ? error.message : String(error)}` };
        // Only what will be so next time is stored: that a library does not load, and not that the machine was busy.
        if (error instanceof FourfoldError && error.code === "ERR_FOURFOLD_BACKEND") lasting.add(name);
      }
    }
    // Another engine may have stored some since.
    const stored = (this.#file === undefined ? undefined : readCalibration(this.#file)) ?? this.#calibration;
    const others = (stored?.devices ?? []).filter((device) => !names.includes(device.name as Name));
    const othersFailed = Object.entries(stored?.failed ?? {}).filter(([name]) => !names.includes(name as Name));
    this.#calibration = { devices: [...devices, ...others], failed: { ...Object.fromEntries(othersFailed), ...failed } };
    this.#loaded = true;
    if (this.#file === undefined) return;
    const kept = Object.entries(this.#calibration.failed).filter(([name]) => lasting.has(name) || !names.includes(name as Name));
    writeCalibration(this.#file, { devices: this.#calibration.devices, failed: Object.fromEntries(kept) });
  }

  async #measureOne(name: Name, versions: string): Promise<Measured> {
    const signal = AbortSignal.timeout(MEASURE_MS_MAX);
    const { Bench } = await import("./timing.ts"); // only those who measure load it
    if (this.#closed) throw closed();
    const bench = new Bench(name, this.#options.workers);
    this.#bench = bench;
    try {
      const { processor, software } = await bench.open();
      if (software)
        throw new FourfoldError("ERR_FOURFOLD_BACKEND", "its driver is in software: the kernels do the same work on the same cores");
      const leaves = name === HOME ? "given" : "f32";
      const rates = await measure(bench.timed(signal), leaves);
      // A library holds the leaves once more, beside the engine's memory; a GPU's own memory cannot be asked for.
      const memoryBytesMax = Math.floor(totalmem() / 2);
      return { name, versions, measuredAt: new Date().toISOString(), processor, memoryBytesMax, leaves, rates };
    } finally {
      this.#bench = undefined;
      await bench.close();
    }
  }

  /** The devices that have neither rates nor a reason why not; none if there is nothing to compare. */
  #missing(): Name[] {
    const calibration = this.#load();
    const isMissing = (name: Name): boolean => {
      const versions = this.#versionsOf(name);
      const same = (found: { readonly versions: string } | undefined): boolean => found?.versions === versions;
      return !same(calibration?.devices.find((device) => device.name === name)) && !same(calibration?.failed[name]);
    };
    const names = [...this.#installedOnes().keys()];
    return names.length === 0 ? [] : ([HOME, ...names] as const).filter(isMissing);
  }

  #versionsOf(name: Name): string {
    return name === HOME ? "" : this.#installedOnes().get(name)!;
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

  /** Where rates are stored; undefined if measuring is off. Looked up once, when it is needed: most engines never do. */
  get #file(): string | undefined {
    this.#fileFound ??= { file: calibrationFile(this.#options.workers) };
    return this.#fileFound.file;
  }

  #load(): Calibration | undefined {
    if (!this.#loaded && this.#file !== undefined) this.#calibration = readCalibration(this.#file);
    this.#loaded = true;
    return this.#calibration;
  }
}

type Name = typeof HOME | TensorBackendName;
