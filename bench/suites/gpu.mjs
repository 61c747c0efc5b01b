// npm run bench:gpu: tensor operations on the GPU against the kernels on all cores, and against TensorFlow where it is set up. On a
// driver in software it proves only that the suite runs: then the inputs are small, and the results file is named after the driver.
import { chain, createEngine, weightedSum } from "../../dist/index.js";
import { fillData, fillWeights } from "../harness/ground.mjs";
import { interleave, speedOf } from "../harness/interleave.mjs";
import { machine } from "../harness/machine.mjs";
import { check, checkRatio } from "../harness/report.mjs";

/** Inputs by what the device is; outputs > 1: a weight matrix, one product of matrices for all of them. */
const INPUTS = {
  hardware: [
    { title: "four weighted sums, 256 MiB", shape: [8, 16, 1024, 512], outputs: 1 },
    { title: "four weighted sums, 4 MiB", shape: [8, 16, 64, 128], outputs: 1 },
    { title: "64 weight sets, 64 MiB", shape: [8, 16, 256, 512], outputs: 64 },
  ],
  software: [
    { title: "four weighted sums, 256 KiB", shape: [4, 8, 16, 128], outputs: 1 },
    { title: "16 weight sets, 64 KiB", shape: [2, 4, 16, 128], outputs: 16 },
  ],
};

/** float32 operations against float64 kernels: how far apart values may be, of the sum of the sizes of their terms. */
const CLOSE = 1e-4;

export default async function gpuSuite({ quick }) {
  const { cores } = machine();
  const engine = await createEngine({ workers: cores, accuracy: "fast" });
  const notes = [];
  try {
    const devices = {};
    for (const name of ["webgpu", "tensorflow"]) {
      const probe = await createEngine({ backend: name, accuracy: "fast" }).catch((error) => ({ error }));
      const version = probe.error ?? (await probe.start().catch((error) => error));
      if (version instanceof Error) notes.push(`${name} is absent: ${version.message}`);
      else devices[name] = version;
      await probe.close?.();
    }
    if (devices.webgpu === undefined) return { checks: [check("speed of webgpu against wasm", undefined, { atLeast: 1 })], notes };
    const software = devices.webgpu.includes("(software");
    console.log(`  webgpu ${devices.webgpu}`);
    if (software) notes.push("SOFTWARE DEVICE: the CPU does the GPU's work, and these figures say nothing about a GPU");
    notes.push("the runs include the upload and the error bound, which the CPU computes; the operations are upload, programs and readback");

    const cases = [];
    for (const { title, shape, outputs } of INPUTS[software ? "software" : "hardware"]) {
      const x = engine.tensor(shape, "f32");
      fillData(x.data);
      const index = chain(
        ...[...shape].reverse().map((extent, level) => {
          const weights = (output) => fillWeights(new Float64Array(extent), level + 1 + output);
          return weightedSum(level === 0 && outputs > 1 ? Array.from({ length: outputs }, (_, output) => weights(output)) : weights(0));
        }),
      );
      const expected = (await engine.run(index, x, { backend: "wasm" })).values;
      for (const backend of ["wasm", ...Object.keys(devices)]) {
        const run = () => engine.run(index, x, { backend });
        const { values, errorBounds } = await run();
        values.forEach((value, i) => {
          const off = Math.abs(value - expected[i]);
          if (off > (errorBounds?.[i] ?? CLOSE)) throw new Error(`${backend}: value ${i} of ${title} is ${off} off`);
        });
        const bytes = 4 * x.data.length;
        cases.push({ name: `${title}: ${backend}`, bytes, threads: backend === "wasm" ? cores : 1, run });
        if (backend === "wasm") continue;
        const operations = async () => (await run()).steps.find(({ name }) => name === "process").ms / 1000;
        cases.push({ name: `${title}: ${backend}, operations`, bytes, ask: operations });
      }
    }
    const measured = await interleave(cases, { samples: quick ? 3 : 21, warmups: 2 });
    measured.forEach((one, i) => {
      one.bytes = cases[i].bytes;
    });
    const of = (name) => measured.find((one) => one.name === name);
    const checks = measured
      .filter(({ name }) => !name.endsWith(": wasm"))
      .map((one) => {
        const [title, backend] = one.name.split(": ");
        return checkRatio(`${title}: speed of ${backend} against wasm`, speedOf(one, of(`${title}: wasm`)));
      });
    const adapter = devices.webgpu.replace(/^\S+ on /, "").replace(/ \(software.*/, "");
    return { cases: measured, checks, notes, device: `${software ? "software " : ""}${adapter}` };
  } finally {
    await engine.close();
  }
}
