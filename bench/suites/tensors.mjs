// The backend "tensorflow" against TensorFlow.js written by hand for the same operations, each in a process of its own: data in a plain
// array, which TensorFlow copies and we copy first, and in shared memory, which neither copies.
import { fileURLToPath } from "node:url";
import { chain, createEngine, max, mean, sum, weightedSum } from "../../dist/index.js";
import { startChild } from "../harness/child.mjs";
import { fillData } from "../harness/ground.mjs";
import { interleave, speedOf } from "../harness/interleave.mjs";
import { machine } from "../harness/machine.mjs";
import { checkRatio } from "../harness/report.mjs";
import { CASES, dataOf, weightsOf } from "../peers/tensor-cases.mjs";

const REDUCTIONS = { sum, mean, max };

export default async function tensorsSuite({ quick }) {
  const { cores } = machine();
  let engine;
  let child;
  try {
    engine = await createEngine({ backend: "tensorflow" });
    child = await startChild(process.execPath, [fileURLToPath(new URL("../peers/tfjs.mjs", import.meta.url))]);
  } catch (error) {
    await engine?.close();
    return { cases: [], checks: [], notes: [`skipped: ${error.message}`] };
  }
  const notes = [`TensorFlow ${child.hello.version}; "with no bound" is errorBound: false`];
  const cases = [];
  const checks = [];
  try {
    for (const [title, given] of Object.entries(CASES)) {
      const { shape, repeats, samples } = given;
      const weights = weightsOf(given);
      const index = chain(
        ...given.chain.map((kind, level) => {
          if (kind === "weightedSum") return weightedSum(weights[level][0]);
          return kind === "matrix" ? weightedSum(weights[level]) : REDUCTIONS[kind]();
        }),
      );
      for (const where of ["plain", "aligned"]) {
        const x = where === "plain" ? { data: dataOf(given, "plain"), shape } : engine.tensor(shape, "f32");
        if (where === "aligned") fillData(x.data);
        const hand = `${title}, ${where}`;
        const value = await child.ask(`value: ${hand}`);
        const ours = await engine.run(index, x);
        const bound = ours.errorBounds[0];
        if (!(Math.abs(ours.values[0] - value) <= 2 * bound))
          throw new Error(`${hand}: by hand ${value}, Fourfold ${ours.values[0]} ± ${bound}`);
        const many = (options) => async () => {
          for (let i = 0; i < repeats; i++) await engine.run(index, x, options);
        };
        const measured = await interleave(
          [
            { name: `${hand}: by hand`, threads: cores, pid: child.pid, ask: () => child.ask(`time: ${hand}`) },
            { name: `${hand}: fourfold`, threads: cores, run: many({}) },
            { name: `${hand}: with no bound`, threads: cores, run: many({ errorBound: false }) },
          ],
          { samples: quick ? 5 : samples },
        );
        for (const c of measured) {
          perCall(c, repeats);
          c.bytes = 4 * shape.reduce((a, b) => a * b);
        }
        const [byHand, fourfold, bare] = measured;
        cases.push(...measured);
        checks.push(checkRatio(`${hand}: speed against by hand`, speedOf(fourfold, byHand), { atLeast: 0.95 }));
        checks.push(checkRatio("… with no bound", speedOf(bare, byHand)));
        if (where === "aligned") x.free();
      }
    }
    return { cases, checks, notes };
  } finally {
    await engine.close();
    await child.close();
  }
}

/** A case whose sample makes several calls, per call. */
function perCall(measured, repeats) {
  measured.times = measured.times.map((time) => time / repeats);
  for (const key of ["seconds", "low", "high", "best"]) measured[key] /= repeats;
}
