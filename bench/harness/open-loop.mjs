// Open loop: arrivals come when a schedule says so, whether or not the one before is done, and a latency counts from the time that the schedule
// says. A closed loop, which waits for each answer, leaves out just the arrivals that would have had to wait ("coordinated omission").
import { existsSync, readFileSync } from "node:fs";

/** Within this many milliseconds of an arrival the loop spins; timers are late by up to one. */
const SPIN_MS = 2;

/** Above this share of the time without a core that the thread wanted, the figures are other people's. */
const WAIT_SHARE_MAX = 0.03;

/** Times of a Poisson process, in milliseconds from 0: a fixed sequence. */
export function poisson(count, perMs, seed = 1) {
  let state = seed;
  let at = 0;
  return Float64Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    at -= Math.log(((state >>> 8) + 0.5) / 2 ** 24) / perMs;
    return at;
  });
}

/**
 * Calls send(i) at its time, or as soon as it can after it. `send` may return a promise to be waited for: then others are late.
 * @returns what latency(i) needs: the intended times on the clock of performance.now(), and whether this thread had its core
 */
export async function openLoop(times, send) {
  const waited = waitSeconds();
  const started = performance.now() + SPIN_MS;
  for (let i = 0; i < times.length; ) {
    const left = started + times[i] - performance.now();
    if (left <= 0) {
      const busy = send(i);
      if (busy) await busy;
      i++;
    } else if (left > SPIN_MS) await new Promise((resolve) => setTimeout(resolve, left - SPIN_MS));
    else await new Promise((resolve) => setImmediate(resolve));
  }
  const seconds = (performance.now() - started) / 1000;
  const lost = waitSeconds() - waited;
  return { intended: (i) => started + times[i], sound: !(lost / seconds > WAIT_SHARE_MAX) };
}

/** Percentiles of numbers. */
export function percentiles(values, ...percents) {
  const sorted = Float64Array.from(values).sort();
  return percents.map((percent) => sorted[Math.min(sorted.length - 1, Math.ceil((percent / 100) * sorted.length) - 1)]);
}

/** Seconds that this thread stood in line for a core; NaN where the system does not tell. */
function waitSeconds() {
  const file = `/proc/self/task/${process.pid}/schedstat`;
  return existsSync(file) ? Number(readFileSync(file, "utf8").split(" ")[1]) / 1e9 : Number.NaN;
}
