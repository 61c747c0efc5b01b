// The interleaved runner: A B C A B C …, so that what disturbs the machine disturbs every case alike. Benny answers "how fast is
// this"; this answers "how many times as fast as that", which is what the targets are about.
import { cpuSeconds } from "./machine.mjs";

/** A sample is long enough for the clock and for the CPU counters. */
const SAMPLE_SECONDS_MIN = 2e-3;

/** Below this share of CPU time in wall time a case did not have its cores to itself: one thread, and each of several (which start and end apart). */
const CPU_SHARE_MIN = { one: 0.97, several: 0.9 };

/** Rounds with all cores that a ratio needs, to be taken from those alone. */
const SOUND_ROUNDS_MIN = 10;

/**
 * Runs every case once in each round. A case is { name, run, threads?, pid?, ask? }:
 *   run()   the work, called as often as fills a sample; it may return a promise
 *   ask()   instead of run: measures once elsewhere (a child process `pid`) and resolves to seconds
 *   threads how many threads should be busy (default 1); with 1 a stolen core is reported
 *   settle  milliseconds of pause after the case, for peers whose threads keep spinning
 * @returns one record for each case: seconds per call
 */
export async function interleave(cases, { samples = 31, warmups = 3 } = {}) {
  const states = [];
  for (const given of cases) states.push({ ...given, times: [], shares: [], repeats: given.ask ? 1 : await repeatsOf(given, warmups) });
  for (let round = -warmups; round < samples; round++)
    for (const state of states) {
      const { wall, cpu } = await sample(state);
      if (state.settle) await new Promise((resolve) => setTimeout(resolve, state.settle));
      if (round < 0) continue;
      state.times.push(wall / state.repeats);
      state.shares.push(cpu === undefined ? undefined : cpu / (wall * (state.threads ?? 1)));
    }
  return states.map(({ name, times, shares, threads = 1, repeats }) => {
    const told = shares.filter((share) => share !== undefined);
    const cpuShare = told.length > 0 ? quantile(told, 0.5) : undefined;
    const shareMin = threads > 1 ? CPU_SHARE_MIN.several : CPU_SHARE_MIN.one;
    const sound = shares.map((share) => share === undefined || share >= shareMin);
    const shared = cpuShare !== undefined && cpuShare < shareMin;
    return {
      name,
      seconds: quantile(times, 0.5),
      low: quantile(times, 0.25),
      high: quantile(times, 0.75),
      best: Math.min(...times),
      times,
      sound,
      threads,
      cpuShare,
      shared,
      repeats,
    };
  });
}

/**
 * How many times as fast `a` is as `b`: the median over rounds of b's time by a's, with quartiles, and by their best times.
 * Only rounds count in which both had their cores, if there are enough of those; `rounds` says how many counted;
 * `unsound` that there were not enough, so that all of them did.
 */
export function speedOf(a, b) {
  return { ...overRounds(a, b, (mine, theirs) => theirs / mine), best: b.best / a.best };
}

/** How much longer a call of `a` takes than one of `b`, in seconds: likewise. */
export function excessOf(a, b) {
  return { ...overRounds(a, b, (mine, theirs) => mine - theirs), best: a.best - b.best };
}

function overRounds(a, b, figure) {
  const all = a.times.map((time, i) => ({ value: figure(time, b.times[i]), sound: a.sound[i] && b.sound[i] }));
  const sound = all.filter((round) => round.sound);
  const enough = sound.length >= Math.min(SOUND_ROUNDS_MIN, all.length);
  const values = (enough ? sound : all).map(({ value }) => value);
  return {
    median: quantile(values, 0.5),
    low: quantile(values, 0.25),
    high: quantile(values, 0.75),
    rounds: `${values.length} of ${all.length}`,
    unsound: !enough,
  };
}

async function sample({ run, ask, pid, repeats }) {
  const cpu = cpuSeconds(pid);
  const started = performance.now();
  const told = ask ? await ask() : await repeat(run, repeats);
  const wall = told ?? (performance.now() - started) / 1000;
  const after = cpuSeconds(pid);
  return { wall, cpu: cpu === undefined || after === undefined ? undefined : after - cpu };
}

/** Awaits only what must be awaited: a microtask per call would be part of a short call's time. */
async function repeat(run, repeats) {
  for (let i = 0; i < repeats; i++) {
    const result = run();
    if (result instanceof Promise) await result;
  }
}

/** Calls that fill a sample, found after the compilers are through with them. */
async function repeatsOf({ run }, warmups) {
  let best = Number.POSITIVE_INFINITY;
  const until = performance.now() + 300;
  for (let i = 0; i < warmups || (performance.now() < until && best < SAMPLE_SECONDS_MIN); i++) {
    const started = performance.now();
    const calls = best < 1e-4 ? 1000 : 1;
    await repeat(run, calls);
    best = Math.min(best, (performance.now() - started) / 1000 / calls);
  }
  return Math.max(1, Math.ceil(SAMPLE_SECONDS_MIN / best));
}

function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = sorted[Math.floor(at)];
  return low + (sorted[Math.ceil(at)] - low) * (at % 1);
}
