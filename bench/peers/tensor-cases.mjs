// What Fourfold's tensor backend and hand-written TensorFlow.js both compute: shapes, chains, data and weights.
import { fillData, fillWeights } from "../harness/ground.mjs";

const weighted = (levels) => new Array(levels).fill("weightedSum");

/** The innermost axis of a shape is the last; a chain names its innermost level first. `repeats`: calls in one sample. */
export const CASES = {
  "8×16×1024×512 four weighted sums": { shape: [8, 16, 1024, 512], chain: weighted(4), repeats: 1, samples: 21 },
  "8 M values as 16×16×64×512": { shape: [16, 16, 64, 512], chain: weighted(4), repeats: 4, samples: 21 },
  "8 M values sum mean max": { shape: [128, 128, 512], chain: ["sum", "mean", "max"], repeats: 4, samples: 21 },
  "10000 frames of 4096 by 256 outputs": { shape: [10_000, 4096], chain: ["matrix"], outputs: 256, repeats: 1, samples: 5 },
  "1000 values as 10×10×10": { shape: [10, 10, 10], chain: weighted(3), repeats: 20, samples: 41 },
};

/** A case's data in a plain array, or in shared memory where TensorFlow takes it without a copy. */
export function dataOf({ shape }, where) {
  const length = shape.reduce((a, b) => a * b);
  if (where !== "aligned") return fillData(new Float32Array(length));
  const pages = Math.ceil((4 * length) / 65536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  return fillData(new Float32Array(memory.buffer, 0, length));
}

/** The weights of each level, innermost first: float32 in rows. */
export function weightsOf({ shape, chain, outputs = 1 }) {
  return chain.flatMap((kind, level) => {
    const extent = shape.at(-1 - level);
    if (kind === "weightedSum") return [[fillWeights(new Float32Array(extent), level + 1)]];
    return kind === "matrix" ? [Array.from({ length: outputs }, (_, r) => fillWeights(new Float32Array(extent), r + 1))] : [];
  });
}
