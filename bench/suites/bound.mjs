// The error bound beside the true error, on ordinary data: medians over many frames. No times. What is true is found with integers of
// unlimited size, so every figure is exact up to its printing.
import { chain, createEngine, weightedSum } from "../../dist/index.js";
import { fillData, fillWeights } from "../harness/ground.mjs";
import { check } from "../harness/report.mjs";

const FRAMES = 200;

/** Weighted sums, innermost first, by their extents. */
const CHAINS = { "weightedSum of 16": [16], "weightedSum of 512": [512], "four weighted sums, 4 × 16 × 16 × 64": [64, 16, 16, 4] };

const BACKENDS = ["wasm", "tfjs-cpu", "tfjs-wasm", "tensorflow"];

/** Data as users have it: readings of either sign, prices of one sign, both float32. */
const DATA = {
  "mixed signs": (values) => fillData(values),
  prices: (values) => fillData(values).map((v) => Math.round(2000 + 1800 * v) / 16),
};

export default async function boundSuite({ quick }) {
  const frames = quick ? 20 : FRAMES;
  const checks = [];
  const notes = [`medians over ${frames} frames; weights are 1, 1/2, 1/3, … in float64, from the third on`];
  for (const backend of BACKENDS) {
    const engine = await createEngine({ workers: 0 });
    try {
      for (const [name, extents] of Object.entries(CHAINS))
        for (const [kind, fill] of Object.entries(DATA)) {
          const weights = extents.map((extent, level) => fillWeights(new Float64Array(extent), 3 + level));
          const data = fill(new Float32Array(frames * extents.reduce((a, b) => a * b)));
          const { values, errorBounds } = await engine.run(
            chain(...weights.map((w) => weightedSum(w))),
            { data, shape: [frames, ...extents.toReversed()] },
            { backend, accuracy: "fast", errorBound: true },
          );
          const truth = exactly(weights, data);
          const errors = truth.map((exact, i) => ratio(absolute(minus(exact, scaled(values[i])))));
          const sizes = truth.map((exact) => ratio(absolute(exact)));
          const broken = errors.filter((error, i) => !(error <= errorBounds[i])).length;
          if (broken > 0) throw new Error(`${backend}: ${broken} bounds violated`);
          const of = (list) => median(list.map((value, i) => value / sizes[i]));
          const slack = median(errors.map((error, i) => errorBounds[i] / error).filter(Number.isFinite));
          checks.push(
            check(`${backend}: ${name}, ${kind}: bound ÷ true error`, slack, {
              note: `relative: true error ${of(errors).toExponential(1)}, bound ${of(errorBounds).toExponential(1)}`,
            }),
          );
        }
    } catch (error) {
      if (error.code !== "ERR_FOURFOLD_BACKEND") throw error;
      notes.push(`${backend} is not installed`);
    } finally {
      await engine.close();
    }
  }
  return { checks, notes };
}

const word = new DataView(new ArrayBuffer(8));

/** A finite float64 as { m, e }: m·2^e. */
function scaled(x) {
  word.setFloat64(0, x);
  const bits = word.getBigUint64(0);
  const field = Number((bits >> 52n) & 0x7ffn);
  const size = (bits & 0xfffffffffffffn) | (field === 0 ? 0n : 1n << 52n);
  return { m: bits >> 63n ? -size : size, e: Math.max(field, 1) - 1075 };
}

function plus(a, b) {
  const e = Math.min(a.e, b.e);
  return { m: (a.m << BigInt(a.e - e)) + (b.m << BigInt(b.e - e)), e };
}

const minus = (a, b) => plus(a, { m: -b.m, e: b.e });
const absolute = ({ m, e }) => ({ m: m < 0n ? -m : m, e });

/** m·2^e to 64 bits, for printing. */
function ratio({ m, e }) {
  const drop = Math.max(0, m.toString(2).length - 64);
  return Number(m >> BigInt(drop)) * 2 ** (e + drop);
}

/** The outermost values of weighted sums, with no rounding anywhere. */
function exactly(weights, data) {
  let values = Array.from(data, scaled);
  for (const w of weights) {
    const factors = Array.from(w, scaled);
    values = Array.from({ length: values.length / w.length }, (_, node) =>
      factors.reduce(
        (sum, { m, e }, i) => {
          const x = values[node * w.length + i];
          return plus(sum, { m: m * x.m, e: e + x.e });
        },
        { m: 0n, e: 0 },
      ),
    );
  }
  return values;
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
