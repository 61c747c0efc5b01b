// Latency of streams in an open loop: from the time that a row was meant to come to the time that its result is with the consumer. The producer
// is on the stream's own thread, as the handler of a socket would be, and what it does takes time there, too.
import { chain, createEngine, sum, weightedSum } from "../../dist/index.js";
import { fillData, fillWeights } from "../harness/ground.mjs";
import { openLoop, percentiles, poisson } from "../harness/open-loop.mjs";
import { check } from "../harness/report.mjs";

const VALUES = 64;
const ROWS = 1000;
const WINDOW = 1000;

/** The part of saturation that is offered. */
const LOAD = 0.8;

/** What arrives while compilers and caches are warming up, as a part of a round. */
const WARM_UP = 0.2;

/** Small frames a millisecond: few enough that each finds the stream idle. */
const INLINE_PER_MS = 2;

/** Different frames that are sent in turn. */
const FRAMES = 8;

export default async function latencySuite({ quick }) {
  const engine = await createEngine({ memoryBytesMax: 2 ** 30 });
  const options = { rounds: quick ? 2 : 7, ms: quick ? 400 : 3000 };
  try {
    const large = await framesCase(engine, [ROWS, VALUES], options);
    const small = await framesCase(engine, [VALUES], { ...options, perMs: INLINE_PER_MS });
    const records = await recordsCase(engine, options);
    return {
      cases: [],
      checks: [
        ...figures(`frames of ${ROWS} × ${VALUES} at ${100 * LOAD} % of saturation`, large, { p50: { atMost: 1 }, p99: { atMost: 5 } }),
        ...figures(`frames of ${VALUES}, ${INLINE_PER_MS} a millisecond`, small, { p50: { atMost: 0.05 } }),
        ...figures(`windows of ${WINDOW} keyed records at ${100 * LOAD} % of saturation`, records, {}),
      ],
      notes: [
        `saturation in the same rounds: ${per(large, `frames of ${ROWS} × ${VALUES}`)} (${gigabytes(large)}), ${per(records, "records")}`,
        "Poisson arrivals, timed from when they were meant to come; no batching delay is asked for; a frame is copied into the ring (within its time)",
        "the latency of a window is that of its last record",
      ],
    };
  } finally {
    await engine.close();
  }
}

const gigabytes = ({ perMs }) => `${((perMs * ROWS * VALUES * 4) / 1e6).toFixed(1)} GB/s`;
const per = ({ perMs }, what) => `${Math.round(perMs * 1000).toLocaleString("en-US")} ${what} a second`;

/** Percentiles over rounds as figures, in milliseconds. */
function figures(name, { rounds }, targets) {
  const sound = rounds.filter((round) => round.sound);
  const enough = sound.length >= Math.ceil(rounds.length / 2);
  const used = enough ? sound : rounds;
  return ["p50", "p99", "p999"].map((which) => {
    const [low, median, high] = percentiles(
      used.map((round) => round[which]),
      25,
      50,
      75,
    );
    const spread = [low, high];
    const best = Math.min(...used.map((round) => round[which]));
    return check(`${name}: ${which}`, median, {
      ...targets[which],
      unit: "ms",
      spread,
      best,
      rounds: `${used.length} of ${rounds.length}`,
      unsound: !enough,
    });
  });
}

/** Rounds of one open loop each, at a rate that is given or that the saturation of the round before it leaves. */
async function measure({ rounds, ms, perMs }, { saturate, loop }) {
  const found = [];
  const rates = [];
  await saturate(ms / 2); // so that the first round finds compiled code
  for (let round = 0; round < rounds; round++) {
    const saturation = perMs ? undefined : await saturate(ms / 2);
    if (saturation) rates.push(saturation);
    const rate = perMs ?? LOAD * saturation;
    const times = poisson(Math.max(10, Math.floor(rate * ms)), rate, round + 1);
    const { latencies, sound } = await loop(times);
    const settled = latencies.slice(Math.floor(WARM_UP * latencies.length));
    const [p50, p99, p999] = percentiles(settled, 50, 99, 99.9);
    found.push({ p50, p99, p999, sound });
  }
  return { rounds: found, perMs: rates.length > 0 ? percentiles(rates, 50)[0] : perMs };
}

/** Hands results to whoever waits for so many of them. */
function reading(stream, onResult) {
  let count = 0;
  let wanted = Number.POSITIVE_INFINITY;
  let settle;
  const ended = (async () => {
    for await (const result of stream) {
      onResult(result, count);
      if (++count >= wanted) settle();
    }
  })();
  return {
    ended,
    get count() {
      return count;
    },
    until: (total) => {
      wanted = total;
      return count >= total
        ? undefined
        : Promise.race([
            new Promise((resolve) => {
              settle = resolve;
            }),
            ended,
          ]);
    },
  };
}

async function framesCase(engine, shape, options) {
  const weighted = shape.map((extent) => weightedSum(fillWeights(new Float32Array(extent)))).reverse();
  const index = chain(...weighted);
  const size = shape.reduce((a, b) => a * b);
  const frames = Array.from({ length: FRAMES }, (_, i) => fillData(new Float32Array(size), i + 1));
  const expected = frames.map((data) => engine.runSync(index, { data, shape }, { accuracy: "reproducible" }).value);
  const ring = engine.frameRing(shape, "f32", { framesMax: Math.max(64, Math.floor(2 ** 25 / (4 * size))) });
  const stream = engine.stream(index, ring, { frame: { shape } });
  let first = 0;
  let at = new Float64Array(0);
  const results = reading(stream, (result, i) => {
    if (i - first < at.length) at[i - first] = performance.now();
    if (result.value !== expected[i % FRAMES]) throw new Error(`frame ${i}: ${result.value}, a run gives ${expected[i % FRAMES]}`);
  });
  let sent = 0;
  const send = () => {
    const view = ring.claim(1);
    if (view === undefined) return ring.ready().then(send);
    view.set(frames[sent++ % FRAMES]);
    ring.commit(1);
    return undefined;
  };
  try {
    return await measure(options, {
      saturate: async (ms) => {
        const [from, started] = [sent, performance.now()];
        while (performance.now() - started < ms) {
          const full = send();
          if (full) await full;
        }
        await results.until(sent);
        return (sent - from) / (performance.now() - started);
      },
      loop: async (times) => {
        first = sent;
        at = new Float64Array(times.length);
        const { intended, sound } = await openLoop(times, send);
        await results.until(sent);
        return { latencies: at.map((when, i) => when - intended(i)), sound };
      },
    });
  } finally {
    ring.end();
    await results.ended;
  }
}

/** Records one by one, from a source that waits for them. */
async function recordsCase(engine, options) {
  const waiting = [];
  let wake = () => undefined;
  let over = false;
  async function* source() {
    for (;;) {
      while (waiting.length > 0) yield* waiting.splice(0);
      if (over) return;
      await new Promise((resolve) => {
        wake = resolve;
      });
    }
  }
  const stream = engine.stream(chain({ key: sum(), all: sum() }), source(), { keys: ["key"], window: { sizeRows: WINDOW } });
  let at = [];
  const results = reading(stream, () => at.push(performance.now()));
  let sent = 0;
  const send = () => {
    waiting.push({ value: sent, keys: { key: sent++ & 15 } });
    wake();
  };
  try {
    return await measure(options, {
      saturate: async (ms) => {
        const [from, started] = [sent, performance.now()];
        while (performance.now() - started < ms || sent % WINDOW > 0) {
          send();
          if (sent % WINDOW === 0) await results.until(sent / WINDOW - 1);
        }
        await results.until(sent / WINDOW);
        return (sent - from) / (performance.now() - started);
      },
      loop: async (times) => {
        at = [];
        const whole = times.subarray(0, times.length - (times.length % WINDOW));
        const { intended, sound } = await openLoop(whole, send);
        await results.until(sent / WINDOW);
        return { latencies: at.map((when, i) => when - intended((i + 1) * WINDOW - 1)), sound };
      },
    });
  } finally {
    over = true;
    wake();
    await results.ended;
  }
}
