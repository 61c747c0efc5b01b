/** Times runs on devices, on leaves made for the purpose: what rates are measured by (calibration.ts). */
import { BYTES, type Heaps, type LeafBlock } from "./backends/memory.ts";
import { isTensorBackend } from "./backends/tfjs.ts";
import type { TimedRuns } from "./calibration.ts";
import type { Devices } from "./devices.ts";
import type { BackendName } from "./options.ts";
import type { Preparer } from "./prepare.ts";
import { fit } from "./reduce/resolve.ts";
import { denseTree } from "./reduce/tree.ts";
import type { Dtype, TypedData } from "./types.ts";

/** Measures the devices that have not been measured, or all of them. */
export async function measureDevices(devices: Devices, preparer: Preparer, heaps: Heaps, all: boolean = false): Promise<void> {
  const samples = new Samples(heaps);
  try {
    await devices.measure((device, signal) => timedRuns(device, devices, preparer, samples, signal), all);
  } finally {
    samples.free();
  }
}

function timedRuns(device: BackendName, devices: Devices, preparer: Preparer, samples: Samples, signal: AbortSignal): TimedRuns {
  return async (chain, { shape, dtype, where }, { runsMax, msMax }) => {
    const sample = samples.get(shape, dtype);
    const foreign = where === "foreign array";
    const data = foreign ? sample.slice() : sample;
    const holder = where === "device" && isTensorBackend(device) ? devices.thread(device) : undefined;
    holder?.place(data);
    const fitted = fit(chain, denseTree(chain, shape, undefined), "propagate", "fast");
    const keep = fitted.levels.map((_, i) => i === fitted.levels.length - 1);
    const way = { backend: device, split: undefined, workers: devices.workers, sync: false };
    const { executable } = preparer.prepare({ fitted, dtype, foreign, residentOn: holder && device, keep }, way);
    const taken: number[] = [];
    try {
      const until = performance.now() + msMax;
      for (let run = 0; run < runsMax && (run === 0 || performance.now() < until); run++) {
        const started = performance.now();
        const { moved } = await executable.run(data, { signal });
        if (moved) throw new Error(moved[0]!.reason);
        taken.push(performance.now() - started);
      }
    } finally {
      executable.close();
      holder?.drop(data);
    }
    return taken;
  };
}

/** Leaves of each dtype and length that is asked for, made once. */
class Samples {
  readonly #heaps: Heaps;
  readonly #made: Map<string, { readonly data: TypedData; readonly leaves: LeafBlock }> = new Map();

  constructor(heaps: Heaps) {
    this.#heaps = heaps;
  }

  get(shape: readonly number[], dtype: Dtype): TypedData {
    const length = shape.reduce((n, extent) => n * extent);
    const name = `${length} ${dtype}`;
    let sample = this.#made.get(name);
    if (sample === undefined) {
      const leaves = this.#heaps.allocateLeaves(length * BYTES[dtype]);
      const data = leaves.block.heap.view(dtype, leaves.block.at, length);
      for (let i = 0; i < length; i++) data[i] = (Math.imul(i, 0x9e3779b1) >>> 8) / 2 ** 17; // 0 … 127 and a fraction
      sample = { data, leaves };
      this.#made.set(name, sample);
    }
    return sample.data;
  }

  free(): void {
    for (const { leaves } of this.#made.values()) leaves.free();
  }
}
