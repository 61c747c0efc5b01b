// What a call of the engine costs beside the kernels it runs: 1,000 values, so that the call is all there is to see.
import { chain, createEngine, weightedSum } from "../../dist/index.js";
import { everyday, printEveryday } from "../harness/everyday.mjs";
import { fillData, fillWeights, ground } from "../harness/ground.mjs";
import { excessOf, interleave } from "../harness/interleave.mjs";
import { checkRatio } from "../harness/report.mjs";

const MICROSECONDS_MAX = 5;

const SHAPES = [[1000], [10, 10, 10], [2, 5, 10, 10]];

export default async function engineSuite({ quick }) {
  const engine = await createEngine();
  try {
    const groups = SHAPES.map((shape) => callsOf(engine, shape));
    const cases = await interleave(groups.flat(), { samples: quick ? 15 : 101 });
    const checks = [];
    for (const group of groups) {
      const [bare, ...calls] = group.map(({ name }) => cases.find((c) => c.name === name));
      for (const call of calls) {
        const excess = excessOf(call, bare);
        const microseconds = { ...excess };
        for (const key of ["median", "low", "high", "best"]) microseconds[key] *= 1e6;
        checks.push(checkRatio(`${call.name}, above bare kernels`, microseconds, { atMost: MICROSECONDS_MAX, unit: "µs" }));
      }
    }
    const each = await everyday("engine: 1,000 values", groups.flat(), { quick });
    printEveryday(each);
    return {
      cases,
      checks,
      everyday: each,
      notes: ["1,000 f32 values, one thread, everything in the first-level cache; a sample is as many calls as fill 2 ms."],
    };
  } finally {
    await engine.close();
  }
}

/** The bare kernel calls for one shape, and the ways to have the engine make them. */
function callsOf(engine, shape) {
  const title = `${shape.join("×")}`;
  const extents = [...shape].reverse();
  const index = chain(...extents.map((extent) => weightedSum(fillWeights(new Float64Array(extent)))));
  const tensor = engine.tensor(shape, "f32");
  fillData(tensor.data);
  const foreign = { data: Float32Array.from(tensor.data), shape };
  const plan = engine.plan(index, { shape, dtype: "f32" });
  return [
    { name: `${title} bare kernels`, run: bareCalls(extents) },
    { name: `${title} runSync, tensor`, run: () => engine.runSync(index, tensor).value },
    { name: `${title} runSync, foreign array`, run: () => engine.runSync(index, foreign).value },
    { name: `${title} plan.runSync, tensor`, run: () => plan.runSync(tensor).value },
  ];
}

/** One kernel call for each level, the output of one being the children of the next. */
function bareCalls(extents) {
  const { kernels, at, fill } = ground({ dataBytes: 4000, outputs: 1000 });
  fill("f32");
  let children = extents.reduce((a, b) => a * b);
  let x = at.data;
  let out = at.out;
  const calls = extents.map((extent, level) => {
    const kernel = level === 0 ? kernels.dense("weightedSum", "f32") : kernels.dense("exactWeightedSum", "f64");
    children /= extent;
    const call = { kernel, x, rows: children, extent, out };
    x = out;
    out += Math.ceil((8 * children) / 64) * 64 + 64;
    return call;
  });
  return () => {
    for (const { kernel, x, rows, extent, out } of calls) kernel(x, rows, extent, at.weights, 0, out, at.scratch);
  };
}
