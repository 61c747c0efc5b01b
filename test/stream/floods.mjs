// A process whose stream is offered ten times what its consumer takes: node --expose-gc floods.mjs CASE SECONDS. It prints what became of its memory, one
// line of JSON. Run alone, since other work of a process is in its memory, too.
import { chain, createEngine, sum, weightedSum } from "../../dist/index.js";

const MIB = 2 ** 20;

/** Rows that are offered for each one that is taken. */
const TIMES_TOO_FAST = 10;

/** What engine memory holds at most: the frames' buffers. */
const MEMORY_BYTES_MAX = 64 * MIB;
/** What records in the queue hold at most: they are not in engine memory. */
const QUEUE_BYTES_MAX = 16 * MIB;

/** Part of the time that memory may grow in: compilers and the garbage collector find their sizes. */
const WARM_UP = 0.25;

/** Steps of the slope after it. */
const BUCKETS = 12;

const VALUES = 64;
const FRAME_RATE = 200_000;
const RECORD_RATE = 1_000_000;
const WINDOW = 1000;

const frames = {
  bound: "memoryBytesMax",
  rate: FRAME_RATE,
  chain: chain({ row: weightedSum(Float32Array.from({ length: VALUES }, (_, i) => 1 / (i + 1))), key: sum(), all: sum() }),
  options: { frame: { shape: [VALUES], dtype: "f32" }, keys: ["key"], window: { sizeRows: WINDOW } },
};
const records = {
  bound: "queueBytesMax",
  rate: RECORD_RATE,
  chain: chain({ key: sum(), all: sum() }),
  options: { keys: ["key"], window: { sizeMs: WINDOW }, queueBytesMax: QUEUE_BYTES_MAX, queueRowsMax: 2 ** 30 },
};

const CASES = {
  "frames in a ring, block": { ...frames, ring: true },
  "frames in a ring, latest": { ...frames, ring: true, overflow: "latest" },
  "frames in blocks, block": { ...frames, items: frameBlocks },
  "frames in blocks, latest": { ...frames, items: frameBlocks, overflow: "latest" },
  "keyed records in blocks, block": { ...records, items: recordBlocks },
  "keyed records in blocks, latest": { ...records, items: recordBlocks, overflow: "latest" },
  "keyed records one by one, latest": { ...records, rate: RECORD_RATE / 10, items: singleRecords, overflow: "latest" },
};

/** Keys that come and go: each block has some of its own. */
const keysOf = (block) => Array.from({ length: 16 }, (_, i) => `k${block}-${i}`);

function* frameBlocks() {
  const data = new Float32Array(WINDOW * VALUES).fill(1.5);
  const codes = Uint8Array.from({ length: WINDOW }, (_, i) => i % 16);
  for (let block = 0; ; block++) yield { rows: WINDOW, item: { data, keys: { key: { codes, dictionary: keysOf(block) } } } };
}

function* recordBlocks() {
  const codes = Uint8Array.from({ length: WINDOW }, (_, i) => i % 16);
  for (let block = 0; ; block++) {
    // Blocks of their own, as a reader makes them.
    const data = new Float64Array(WINDOW).fill(1.5);
    const times = Float64Array.from({ length: WINDOW }, (_, i) => block * WINDOW + i);
    yield { rows: WINDOW, item: { data, times, keys: { key: { codes, dictionary: keysOf(block) } } } };
  }
}

function* singleRecords() {
  for (let row = 0; ; row++) yield { rows: 1, item: { value: 1.5, time: row, keys: { key: `k${Math.floor(row / WINDOW)}-${row % 16}` } } };
}

const [name, seconds] = [process.argv[2], Number(process.argv[3])];
const given = CASES[name];
if (!given || !(seconds > 0)) throw new Error(`node floods.mjs CASE SECONDS; the cases are ${Object.keys(CASES).join("; ")}`);

const after = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const rss = () => process.memoryUsage.rss() / MIB;

const baseline = rss();
const engine = await createEngine({ memoryBytesMax: MEMORY_BYTES_MAX });
const started = performance.now();
const elapsed = () => (performance.now() - started) / 1000;
const over = () => elapsed() >= seconds;
/** Rows that a producer at this rate would have sent by now. */
const dueRows = () => elapsed() * given.rate;
let sent = 0;
const { overflow = "block", options } = given;

/** Frames in a ring: those that find no room are lost to this producer, as samples of a sensor are. */
async function fillRing(ring) {
  for (let block = 0; !over(); block++) {
    if (sent >= dueRows()) await after(1);
    const view = ring.claim(WINDOW);
    if (view === undefined) {
      await Promise.race([ring.ready(), after(100)]);
      continue;
    }
    view.fill(1.5);
    const rows = view.length / VALUES;
    ring.commit(rows, { keys: [{ codes: Uint8Array.from({ length: rows }, (_, i) => i % 16), dictionary: keysOf(block) }] });
    sent += rows;
  }
  ring.end();
}

async function* source() {
  for (const { rows, item } of given.items()) {
    if (over()) return;
    if (sent >= dueRows()) await after(1);
    sent += rows;
    yield item;
  }
}

const ring = given.ring && engine.frameRing([VALUES], "f32", { framesMax: (MEMORY_BYTES_MAX / 2 / 4 / VALUES) | 0 });
// Two batches under way and two buffers more: all four lie in engine memory.
const rowsMax = given.options.frame ? { rowsMax: (MEMORY_BYTES_MAX / 8 / 4 / VALUES) | 0 } : {};
const stream = engine.stream(given.chain, ring || source(), { ...options, ...rowsMax, overflow });
const filling = ring ? fillRing(ring) : undefined;

const samples = [];
const sampler = setInterval(() => samples.push([elapsed(), rss()]), 50);
/** What is in use, without garbage: it shows a leak in a minute, for which RSS, which garbage collections move by megabytes, takes ten. */
const live = [];
const span = (seconds * (1 - WARM_UP)) / BUCKETS;
const collector = setInterval(() => {
  if (elapsed() < WARM_UP * seconds + live.length * span || over()) return;
  globalThis.gc();
  globalThis.gc(); // what weak maps held goes with the second
  const { heapUsed, external } = process.memoryUsage();
  live.push([elapsed(), (heapUsed + external) / MIB]);
}, 50);
let taken = 0;
let queueBytes = 0;
for await (const result of stream) {
  taken += result.records;
  queueBytes = Math.max(queueBytes, stream.stats.queueBytes);
  // A consumer with a tenth of the producer's rate. It takes what is left at once when the time is over.
  const aheadMs = (taken / (given.rate / TIMES_TOO_FAST) - elapsed()) * 1000;
  if (aheadMs > 1 && !over()) await after(Math.min(aheadMs, 1000 * (seconds - elapsed())));
}
await filling;
clearInterval(sampler);
clearInterval(collector);
const { rowsIn, dropped } = stream.stats;
await engine.close();

const settled = samples.filter(([at]) => at >= WARM_UP * seconds && at <= seconds);
process.stdout.write(
  `${JSON.stringify({
    bound: given.bound,
    boundMiB: (given.bound === "memoryBytesMax" ? MEMORY_BYTES_MAX : QUEUE_BYTES_MAX) / MIB,
    baselineMiB: baseline,
    peakMiB: Math.max(...samples.map(([, mib]) => mib)),
    slopeMiBPerMinute: slopeOf(medians(settled)),
    liveSlopeMiBPerMinute: slopeOf(live),
    liveMiB: live.map(([, mib]) => Math.round(100 * mib) / 100),
    offered: Math.floor(seconds * given.rate),
    sent,
    rowsIn,
    dropped,
    queueMiB: queueBytes / MIB,
  })}\n`,
);

/** Medians of equal spans: single samples stand before or after a garbage collection. */
function medians(points) {
  return Array.from({ length: BUCKETS }, (_, i) => {
    const from = WARM_UP * seconds + i * span;
    const values = points.filter(([at]) => at >= from && at < from + span).map(([, mib]) => mib);
    return [from + span / 2, values.sort((a, b) => a - b)[values.length >> 1]];
  }).filter(([, mib]) => mib !== undefined);
}

/** Growth a minute, by least squares. */
function slopeOf(points) {
  const mean = (list) => list.reduce((total, x) => total + x, 0) / list.length;
  const [at, mib] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))];
  const top = points.reduce((total, [x, y]) => total + (x - at) * (y - mib), 0);
  return (60 * top) / points.reduce((total, [x]) => total + (x - at) ** 2, 0);
}
