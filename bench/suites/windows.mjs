// What a slide of a window costs: push, eviction and value, against a plain float64 running sum, which drifts, and against reducing the window
// again, which does not.
import { max, mean, slidingWindow, sum, variance, weightedMean } from "../../dist/index.js";
import { fillData } from "../harness/ground.mjs";
import { interleave, speedOf } from "../harness/interleave.mjs";
import { checkRatio } from "../harness/report.mjs";

const LENGTHS = [100, 100_000];
const REDUCTIONS = { sum: sum(), mean: mean(), "weighted mean": weightedMean("count"), variance: variance(), max: max() };

/** Slides of one call: enough for the clock, few enough where each adds a long window up again. */
const SLIDES = 1000;
const RECOMPUTES = { 100: 1000, 100000: 4 };

/** Prices in cents: numbers that float64 does not hold exactly, so that a running sum drifts. */
const prices = Float64Array.from(fillData(new Float64Array(1 << 17)), (x) => Math.round(1e4 * (1 + x)) / 100);
const price = (i) => prices[i & (prices.length - 1)];

export default async function windowsSuite({ quick }) {
  const cases = LENGTHS.flatMap((length) => [
    { name: `float64 running sum, ${length}`, slides: SLIDES, run: runningSum(length) },
    { name: `float64 sum again, ${length}`, slides: RECOMPUTES[length], run: sumAgain(length) },
    ...Object.entries(REDUCTIONS).map(([name, reduction]) => ({
      name: `${name}, ${length}`,
      slides: SLIDES,
      run: slides(reduction, length),
    })),
  ]);
  const measured = await interleave(cases, { samples: quick ? 7 : 31, warmups: 3 });
  // Times of one slide.
  for (const [i, c] of measured.entries()) {
    for (const field of ["seconds", "low", "high", "best"]) c[field] /= cases[i].slides;
    c.times = c.times.map((time) => time / cases[i].slides);
  }
  const of = (name, length) => measured.find((c) => c.name === `${name}, ${length}`);
  const checks = LENGTHS.flatMap((length) =>
    Object.keys(REDUCTIONS).flatMap((name) => [
      checkRatio(`${name} of ${length} against a float64 running sum`, speedOf(of(name, length), of("float64 running sum", length))),
      checkRatio(`${name} of ${length} against a float64 sum over the window`, speedOf(of(name, length), of("float64 sum again", length))),
    ]),
  );
  return { cases: measured, checks, notes: ["a slide is one push into a full window, and its value; times are for one slide"] };
}

// Each run returns its last value, so that no compiler drops the work.

function slides(reduction, length) {
  const window = slidingWindow(reduction, { countMax: length });
  for (let i = 0; i < length; i++) window.push(price(i));
  let next = length;
  return () => {
    let value = 0;
    for (let i = 0; i < SLIDES; i++) {
      window.push(price(next++));
      value = window.value();
    }
    return value;
  };
}

function runningSum(length) {
  const values = new Float64Array(length);
  let total = 0;
  let next = 0;
  return () => {
    for (let i = 0; i < SLIDES; i++) {
      const x = price(next);
      total += x - values[next % length];
      values[next++ % length] = x;
    }
    return total;
  };
}

function sumAgain(length) {
  const values = Float64Array.from({ length }, (_, i) => price(i));
  let next = length;
  return () => {
    let total = 0;
    for (let i = 0; i < RECOMPUTES[length]; i++) {
      values[next % length] = price(next++);
      total = 0;
      for (let j = 0; j < length; j++) total += values[j];
    }
    return total;
  };
}
