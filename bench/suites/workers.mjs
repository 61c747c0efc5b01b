// From which size on the pool is faster than the calling thread: what PLAN_LIMITS.inlineBytesMax rests on.

import { WasmBackend } from "../../dist/backends/wasm.js";
import { chain, weightedSum } from "../../dist/index.js";
import { fit } from "../../dist/reduce/resolve.js";
import { strataOf } from "../../dist/reduce/strata.js";
import { denseTree } from "../../dist/reduce/tree.js";
import { makePlan, PLAN_LIMITS } from "../../dist/schedule/plan.js";
import { fillData, fillWeights } from "../harness/ground.mjs";
import { interleave, speedOf } from "../harness/interleave.mjs";
import { machine } from "../harness/machine.mjs";
import { check, checkRatio } from "../harness/report.mjs";

const KIB = [64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 65536];

export default async function workersSuite({ quick }) {
  const { cores } = machine();
  const backend = new WasmBackend({ workers: cores, memoryBytesMax: 2 ** 30, runsMax: 16, workerUrl: undefined });
  try {
    const cases = [];
    for (const kib of KIB)
      for (const [where, limits] of [
        ["caller", { ...PLAN_LIMITS, inlineBytesMax: Number.POSITIVE_INFINITY }],
        ["pool", { ...PLAN_LIMITS, inlineBytesMax: kib * 1024 - 1 }],
      ]) {
        const run = prepare(backend, kib * 1024, cores, limits);
        cases.push({ name: `${kib} KiB, ${where}`, threads: where === "pool" ? cores : 1, run });
      }
    const measured = await interleave(cases, { samples: quick ? 15 : 61 });
    measured.forEach((c, i) => {
      c.bytes = KIB[i >> 1] * 1024;
    });
    for (const c of measured) c.sound = c.times.map(() => true); // waking threads is what is measured, so cores stand idle
    const speeds = KIB.map((_, i) => speedOf(measured[2 * i + 1], measured[2 * i]));
    const checks = speeds.map((speed, i) => checkRatio(`${KIB[i]} KiB: the pool against the caller`, speed));
    const gains = KIB.findIndex((_, i) => speeds.slice(i).every(({ median }) => median > 1));
    checks.push(
      check("the pool is faster from", gains < 0 ? undefined : KIB[gains], { unit: "KiB" }),
      check("PLAN_LIMITS.inlineBytesMax", PLAN_LIMITS.inlineBytesMax / 1024, { unit: "KiB" }),
    );
    return {
      cases: measured,
      checks,
      notes: ["a chain of weighted sums over [n, 8, 16, 512] f32; each size is read again and again, so the smaller ones come from cache"],
    };
  } finally {
    await backend.close();
  }
}

/** One run of a chain on so many bytes, planned with these limits. */
function prepare(backend, bytes, workers, limits) {
  const shape = [bytes / 4 / 65536, 8, 16, 512].map((extent) => Math.max(1, extent));
  if (bytes < 4 * 65536) shape[1] = bytes / 4 / 8192;
  const index = chain(...[...shape].reverse().map((extent) => weightedSum(fillWeights(new Float64Array(extent)))));
  const fitted = fit(index, denseTree(index, shape, undefined), "propagate", "fast");
  const strata = strataOf(fitted);
  const leaves = bytes / 4;
  const plan = makePlan({
    backend: "wasm",
    reason: "measured",
    form: "rows",
    accuracy: "fast",
    nan: "propagate",
    dtype: "f32",
    bytesPerLeaf: 4,
    leaves,
    shape: [],
    levels: fitted.levels.map(({ name, nodes, extent }) => ({ name, reduction: "weightedSum", nodes, extent, callerOnly: false })),
    strata,
    keep: fitted.levels.map((_, i) => i === fitted.levels.length - 1),
    workers,
    placement: "engine memory",
    limits,
  });
  const executable = backend.prepare(fitted, strata, plan, "f32");
  const block = backend.heaps.allocate(bytes);
  const data = fillData(block.heap.view("f32", block.at, leaves));
  return () => executable.run(data, {});
}
