// What exactness costs, on one thread: outer levels against the same kernels with plain float64 merging of rows, and accuracy "exact"
// against the fast path, by what the data are like.
import { chain, createEngine, sum, weightedSum } from "../../dist/index.js";
import { ground } from "../harness/ground.mjs";
import { interleave, speedOf } from "../harness/interleave.mjs";
import { check, checkRatio } from "../harness/report.mjs";

/** Rows of one kernel call, and rows of one outer node: what the engine gives a kernel, so that results stay in cache. */
const ROWS_PER_CALL = 1024;

/** How many percent more the outer level may take if it is exact, by the length of rows. */
const OUTER_TARGETS = { 16: 60, 64: 25, 512: 5, 4096: 5 };

/** Lengths for accuracy "exact": a row of one block's length or less, and of two. */
const LENGTHS = [512, 4096];

/** Shorter rows, of which a node in doubt takes a larger part: told, without a target. */
const SHORT = [16, 64];

export default async function exactSuite({ quick }) {
  const samples = quick ? 7 : 31;
  const outer = await outerLevels((quick ? 32 : 128) * 2 ** 20, samples);
  const modes = await accuracies((quick ? 48 : 64) * 2 ** 20, samples);
  return {
    cases: [...outer.cases, ...modes.cases],
    checks: [...outer.checks, ...modes.checks],
    notes: [
      `outer levels: f32 rows into scratch, ${ROWS_PER_CALL} a call, then one outer node of them; plain merging is the float64 lane kernel, which has no exact sums at all`,
      'accuracies: engine memory larger than the cache, shared weights, runSync on the calling thread; fast is accuracy "reproducible", which runs the same kernels',
    ],
  };
}

// ---- Outer levels --------------------------------------------------------------------------------------------------------------

async function outerLevels(bytes, samples) {
  const { kernels, at, fill } = ground({ dataBytes: bytes, outputs: 2 * ROWS_PER_CALL });
  fill("f32");
  const values = bytes / 4;
  const out = at.out + 8 * ROWS_PER_CALL;
  /** Rows of `length`, and an outer node over each call's rows. */
  const levels = (length, inner, outer) => () => {
    for (let row = 0; row < values / length; row += ROWS_PER_CALL) {
      inner(at.data + 4 * length * row, ROWS_PER_CALL, length, at.weights, 0, at.out, at.scratch);
      outer(at.out, 1, ROWS_PER_CALL, at.weights, 0, out, at.scratch);
    }
  };
  const cases = Object.keys(OUTER_TARGETS)
    .map(Number)
    .flatMap((length) =>
      [
        ["weighted", "weightedSum", "exactWeightedSum"],
        ["plain", "sum", "exactSum"],
      ].flatMap(([kind, lanes, exact]) => {
        const inner = kernels.dense(lanes, "f32");
        const name = `${kind}, rows of ${length}`;
        return [
          { name: `${name}, plain merging`, run: levels(length, inner, kernels.dense(lanes, "f64")) },
          { name: `${name}, exact`, run: levels(length, inner, kernels.dense(exact, "f64")) },
        ];
      }),
    );
  const measured = await interleave(cases, { samples });
  for (const c of measured) c.bytes = bytes;
  const checks = [];
  for (let i = 0; i < measured.length; i += 2) {
    const [plain, exact] = measured.slice(i, i + 2);
    const length = Number(/rows of (\d+)/.exec(exact.name)[1]);
    const { median, low, high, best, rounds, unsound } = speedOf(plain, exact);
    const percent = (ratio) => 100 * (ratio - 1);
    checks.push(
      check(`${exact.name} outer level: time over plain merging`, percent(median), {
        atMost: OUTER_TARGETS[length],
        unit: "%",
        spread: [percent(low), percent(high)],
        best: percent(best),
        rounds,
        unsound,
      }),
    );
  }
  return { cases: measured, checks };
}

// ---- Accuracies ----------------------------------------------------------------------------------------------------------------

/** Whole numbers 0 … below − 1: a fixed sequence. */
function draws(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return Math.floor(((state >>> 0) / 2 ** 32) * below);
  };
}

/** A random number in ±0.5 with all bits of a float64. */
const full = (draw) => draw(2 ** 26) / 2 ** 26 + draw(2 ** 26) / 2 ** 52 - 0.5;

/** Values that cancel in pairs and lie 2^80 apart. */
const cancelling = (_, i) => (i & 1 ? -1 : 1) * 2 ** (((i >> 1) % 81) - 40) * (1 + ((i >> 1) % 1009) / 1024);

/** What the data are like: dtype, values, weights if any, and how much of the fast speed is to be left. */
const KINDS = {
  "unweighted f32": { dtype: "f32", x: full, atLeast: 0.5 },
  "unweighted f64": { dtype: "f64", x: full, atLeast: 0.5 },
  "quantised f32, quantised weights": { dtype: "f32", x: (draw) => draw(65536) / 128, w: (draw) => draw(1000) / 8, atLeast: 0.5 },
  "quantised f64, quantised weights": { dtype: "f64", x: (draw) => draw(1e6) / 128, w: (draw) => draw(1000) / 8, atLeast: 0.5 },
  "random f32 × f32 (two bins)": { dtype: "f32", x: full, w: (draw) => Math.fround(full(draw)), atLeast: 0.25 },
  "random f32 × f64 (hard)": { dtype: "f32", x: full, w: full, atLeast: 0.1 },
  "random f64 × f64 (hard)": { dtype: "f64", x: full, w: full, atLeast: 0.1 },
  "ill-conditioned f32 × f32 (hard)": { dtype: "f32", x: cancelling, w: (_, i) => Math.fround(1 + ((i >> 1) % 13) / 7), atLeast: 0.1 },
  "ill-conditioned f64 × f64 (hard)": { dtype: "f64", x: cancelling, w: (_, i) => 1 + ((i >> 1) % 13) / 7, atLeast: 0.1 },
};

async function accuracies(bytes, samples) {
  const engine = await createEngine({ workers: 0, memoryBytesMax: 2 ** 33 });
  const cases = [];
  const checks = [];
  try {
    for (const [kind, { dtype, x, w, atLeast }] of Object.entries(KINDS)) {
      const values = bytes / (dtype === "f64" ? 8 : 4);
      const tensor = engine.tensor([values], dtype);
      const draw = draws(7);
      for (let i = 0; i < values; i++) tensor.data[i] = x(draw, i);
      const ways = [...SHORT, ...LENGTHS].flatMap((length) => {
        const level = w ? weightedSum(weightsOf(length, w)) : sum();
        return ["fast", "exact"].map((way) => {
          const accuracy = way === "exact" ? "exact" : "reproducible";
          const plan = engine.plan(chain(level), { shape: [values / length, length], dtype, accuracy });
          return { name: `${kind}, rows of ${length}, ${way}`, run: () => plan.runSync(tensor) };
        });
      });
      const measured = await interleave(ways, { samples });
      for (const c of measured) c.bytes = bytes;
      cases.push(...measured);
      [...SHORT, ...LENGTHS].forEach((length, i) => {
        const target = LENGTHS.includes(length) ? { atLeast } : {};
        checks.push(checkRatio(`exact against fast: ${kind}, rows of ${length}`, speedOf(measured[2 * i + 1], measured[2 * i]), target));
      });
      tensor.free();
    }
  } finally {
    await engine.close();
  }
  return { cases, checks };
}

function weightsOf(length, w) {
  const draw = draws(11);
  return Float64Array.from({ length }, (_, i) => w(draw, i));
}
