// How good the choices of backend "auto" are: every case is run on each device, and what auto chose is held against the best of them.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chain, createEngine, max, mean, sum, variance, weightedSum } from "../../dist/index.js";
import { fillData, fillWeights } from "../harness/ground.mjs";
import { check } from "../harness/report.mjs";

/** A choice within this factor of the best single device counts as good. */
const GOOD = 1.15;

const weights = (n) => fillWeights(new Float64Array(n));
const matrix = (rows, n) => Array.from({ length: rows }, (_, r) => fillWeights(new Float64Array(n), r + 1));

/** Chains over shapes, innermost extent last. */
const SHAPES = [
  [
    "4 weighted sums",
    [8, 16, 64, 512],
    () => [weightedSum(weights(512)), weightedSum(weights(64)), weightedSum(weights(16)), weightedSum(weights(8))],
  ],
  [
    "4 weighted sums",
    [8, 16, 256, 256],
    () => [weightedSum(weights(256)), weightedSum(weights(256)), weightedSum(weights(16)), weightedSum(weights(8))],
  ],
  ["sum of means", [4096, 2048], () => [mean(), sum()]],
  ["sum of means", [131072, 16], () => [mean(), sum()]],
  ["sums of frames", [64, 128, 256], () => [sum(), sum()]],
  ["one row", [1, 4194304], () => [sum(), sum()]],
  ["largest sum", [1024, 1024], () => [sum(), max()]],
  ["sum of maxima", [2048, 1024], () => [max(), sum()]],
  ["variance", [1024, 1024], () => [variance(), mean()]],
  ["variance of short rows", [65536, 16], () => [variance(), mean()]],
  ["4 outputs", [2048, 1024], () => [weightedSum(matrix(4, 1024)), sum()]],
  ["32 outputs", [2048, 1024], () => [weightedSum(matrix(32, 1024)), sum()]],
  ["256 outputs", [1024, 1024], () => [weightedSum(matrix(256, 1024)), sum()]],
  ["tiny", [16, 16], () => [sum(), sum()]],
];

const RESIDENCE = ["engine memory", "foreign array", "device"];

export default async function plannerSuite({ quick }) {
  const folder = mkdtempSync(join(tmpdir(), "fourfold-planner-"));
  const before = process.env.FOURFOLD_CALIBRATION;
  process.env.FOURFOLD_CALIBRATION = join(folder, "calibration.json");
  const engine = await createEngine();
  try {
    const { devices, failed } = await engine.calibrate();
    const names = devices.map(({ name }) => name);
    const notes = Object.entries(failed).map(([name, { reason }]) => `${name}: ${reason}`);
    if (names.length < 2) return { cases: [], checks: [], notes: [...notes, "no other device is installed: nothing to choose from"] };
    const rows = [];
    for (const [title, shape, reductions] of SHAPES)
      for (const where of RESIDENCE) rows.push(...(await compare(engine, title, shape, reductions(), where, names, quick ? 3 : 9)));
    const good = rows.filter(({ factor }) => factor <= GOOD);
    for (const { label, chosen, factor, times } of rows.sort((a, b) => b.factor - a.factor)) {
      const told = Object.entries(times).map(([name, ms]) => `${name} ${ms.toPrecision(3)} ms`);
      console.log(
        `  ${factor <= GOOD ? " " : "!"} ${factor.toFixed(2).padStart(5)}  ${label.padEnd(58)} ${chosen.padEnd(12)} ${told.join(", ")}`,
      );
    }
    const share = (100 * good.length) / rows.length;
    const many = await manyOutputs(engine, names, quick ? 1 : 5);
    return {
      cases: [],
      checks: [
        check(`choices within ${GOOD} × of the best single device`, share, { unit: "%", atLeast: 90 }),
        check(`256 outputs of 10,000 frames of 4,096: auto (${many.chosen}) against the fastest device`, many.speed, { atLeast: 0.95 }),
      ],
      notes: [...notes, `${rows.length} cases on ${names.join(" and ")}; those beyond are marked with ! above`],
    };
  } finally {
    await engine.close();
    if (before === undefined) delete process.env.FOURFOLD_CALIBRATION;
    else process.env.FOURFOLD_CALIBRATION = before;
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Many weight sets over many frames, a matrix product: auto itself, timed beside each device by name. */
async function manyOutputs(engine, names, rounds) {
  const shape = [10_000, 4096];
  const x = engine.tensor(shape, "f32");
  try {
    fillData(x.data);
    const c = chain(weightedSum(matrix(256, shape[1])));
    const taken = Object.fromEntries([...names, "auto"].map((backend) => [backend, []]));
    let chosen;
    for (let round = -1; round < rounds; round++)
      for (const backend of Object.keys(taken)) {
        const started = performance.now();
        const { plan } = await engine.run(c, x, { backend });
        if (round >= 0) taken[backend].push(performance.now() - started);
        if (backend === "auto") chosen = plan.backend;
      }
    const { auto, ...others } = Object.fromEntries(Object.entries(taken).map(([backend, times]) => [backend, median(times)]));
    return { chosen, speed: Math.min(...Object.values(others)) / auto };
  } finally {
    x.free();
  }
}

/** One case, on each device in turn, and what auto chooses for it. A copy on a device is one case for each of them. */
async function compare(engine, title, shape, reductions, where, names, rounds) {
  const holders = where === "device" ? names.filter((name) => name !== "wasm") : [undefined];
  const rows = [];
  for (const device of holders) {
    const x = engine.tensor(shape, "f32", device && { device });
    try {
      fillData(x.data);
      await x.upload?.();
      const input = where === "foreign array" ? { data: x.data.slice(), shape } : x;
      const c = chain(...reductions);
      const taken = Object.fromEntries(names.map((name) => [name, []]));
      for (let round = -1; round < rounds; round++)
        for (const name of names) {
          const started = performance.now();
          await engine.run(c, input, { backend: name });
          if (round >= 0) taken[name].push(performance.now() - started);
        }
      const times = Object.fromEntries(names.map((name) => [name, median(taken[name])]));
      const { backend } = (await engine.run(c, input)).plan;
      const factor = backend in times ? times[backend] / Math.min(...Object.values(times)) : 1;
      const label = `${title} [${shape.join(", ")}], ${device === undefined ? where : `on ${device}`}`;
      rows.push({ label, chosen: backend, factor, times });
    } finally {
      x.free();
    }
  }
  return rows;
}

function median(values) {
  return values.sort((a, b) => a - b)[values.length >> 1];
}
