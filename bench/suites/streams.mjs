// Throughput of windows over a stream: rows of a key and 64 float32, a weighted sum of each, sums by key and window of 1,000 rows. Against RxJS
// with a loop in JavaScript, Bytewax, and Polars and DuckDB called once for each window, on the same rows in the same run.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bufferCount, from, lastValueFrom, map, toArray } from "rxjs";
import { chain, createEngine, exactSum, sum, weightedSum } from "../../dist/index.js";
import { startChild } from "../harness/child.mjs";
import { interleave, speedOf } from "../harness/interleave.mjs";
import { check, checkRatio } from "../harness/report.mjs";
import { duckdbBatches } from "../peers/duckdb-batches.mjs";
import { peersPython, STREAMING } from "../peers/python.mjs";
import { itemsOf, KEYS, streamData, VALUES, WINDOW } from "../peers/stream-data.mjs";

const { version: RXJS_VERSION } = JSON.parse(readFileSync(new URL("../../node_modules/rxjs/package.json", import.meta.url), "utf8"));

const TARGETS = { rxjs: 5, bytewax: 5, polars: 1, duckdb: 1 };

/** Peers add in float32: what their sums may be off by, as a part of the sum of the sizes of the products. */
const ERROR_MAX = 1e-5;

/** Rows that a producer of blocks hands over at once. */
const BLOCK = 1000;

export default async function streamsSuite({ quick }) {
  const given = streamData(quick ? 40_000 : 200_000);
  const engine = await createEngine({ memoryBytesMax: 2 ** 30 });
  const single = await createEngine({ workers: 0, memoryBytesMax: 2 ** 30 });
  const peers = await startPeers(given);
  const open = [];
  try {
    const expected = expectedSums(engine, given);
    const items = itemsOf(given);
    const cases = [];
    for (const [where, own] of Object.entries({ "": engine, ", one thread": single })) {
      const ways = {
        "ring in place": ringInPlace(own, given),
        "ring, rows copied in": ringCopied(own, given),
        "foreign blocks": pushed(own, given, blocksOf(given)),
        "arrays of rows": pushed(own, given, arraysOf(items)),
        "single rows": pushed(own, given, items),
      };
      for (const [name, way] of Object.entries(ways)) {
        open.push(way);
        cases.push({ name: `${name}${where}`, run: () => way.run() });
        checkExact(name, await way.run(), expected);
      }
    }
    for (const [name, peer] of Object.entries(peers.found)) {
      checkNear(name, await peer.sums(items), expected);
      cases.push(peer.run ? { name, run: () => peer.run(items) } : { name, pid: peer.pid, ask: peer.ask });
    }
    const measured = await interleave(cases, { samples: quick ? 5 : 21, warmups: 2 });
    for (const c of measured) c.bytes = given.data.byteLength;
    return { cases: measured, checks: checksOf(measured, peers, given.rows), notes: notesOf(given, peers) };
  } finally {
    for (const way of open) await way.close();
    await peers.close();
    await Promise.all([engine.close(), single.close()]);
  }
}

function checksOf(measured, { absent }, rows) {
  const of = (name) => measured.find((c) => c.name === name);
  const ours = ["ring in place", "ring, rows copied in", "foreign blocks", "arrays of rows", "single rows"];
  const checks = [];
  for (const [peer, atLeast] of Object.entries(TARGETS))
    for (const way of ours) {
      const figure = `${way} against ${peer}`;
      // The target is for rows that arrive as a producer would write them: into the ring.
      const target = way === "ring in place" ? { atLeast } : {};
      if (absent[peer]) checks.push(check(figure, undefined, { ...target, note: absent[peer] }));
      else checks.push(checkRatio(figure, speedOf(of(way), of(peer)), target));
    }
  for (const way of ours) {
    const { seconds, shared } = of(`${way}, one thread`);
    checks.push(check(`${way}, one thread: one row`, (seconds / rows) * 1e9, { unit: "ns", unsound: shared }));
  }
  return checks;
}

function notesOf({ rows }, { versions, absent }) {
  return [
    `${rows} rows of ${VALUES} float32 and one of ${KEYS} keys; ${Object.entries(versions)
      .map((pair) => pair.join(" "))
      .join(", ")}`,
    "ours: float64 and exact sums, equal to a batch run bit by bit; the peers add in float32, RxJS's loop in float64",
    ...Object.entries(absent).map(([peer, why]) => `${peer} is absent: ${why}`),
  ];
}

// ---- Ours ----------------------------------------------------------------------------------------------------------------------

const windowed = (weights) => chain({ row: weightedSum(weights), key: sum(), all: sum() });

const OPTIONS = { frame: { shape: [VALUES], dtype: "f32" }, keys: ["key"], window: { sizeRows: WINDOW }, keep: "all" };

/** Results of a stream that stays open from one sample to the next; `next` resolves when so many more have come. */
function collect(stream) {
  let results = [];
  let wanted = Number.POSITIVE_INFINITY;
  let settle;
  const ended = (async () => {
    for await (const result of stream)
      if (results.push(result) >= wanted) {
        settle(results);
        results = [];
      }
  })();
  return {
    next: (count) => {
      wanted = count;
      return Promise.race([
        new Promise((resolve) => {
          settle = resolve;
        }),
        ended,
      ]);
    },
    ended,
  };
}

/** A ring of four buffers, each of which holds a quarter of the rows from the start: its producer wrote them in place. */
function ringInPlace(engine, given) {
  return ringOf(engine, given, (view, row, round) => round === 0 && view.set(framesAt(given, row, view.length)));
}

/** A ring whose producer copies rows in from elsewhere. */
function ringCopied(engine, given) {
  return ringOf(engine, given, (view, row) => view.set(framesAt(given, row, view.length)));
}

const framesAt = ({ data }, row, length) => data.subarray(row * VALUES, row * VALUES + length);

function ringOf(engine, { rows, codes, dictionary, weights }, write) {
  const ring = engine.frameRing([VALUES], "f32", { framesMax: rows });
  const stream = engine.stream(windowed(weights), ring, OPTIONS);
  const results = collect(stream);
  let round = 0;
  return {
    run: async () => {
      const done = results.next(rows / WINDOW);
      for (let row = 0; row < rows; ) {
        const view = ring.claim(Math.min(BLOCK, rows - row));
        if (view === undefined) {
          await ring.ready();
          continue;
        }
        write(view, row, round);
        const n = view.length / VALUES;
        ring.commit(n, { keys: [{ codes: codes.subarray(row, row + n), dictionary }] });
        row += n;
      }
      round++;
      return done;
    },
    close: async () => {
      ring.end();
      await results.ended;
    },
  };
}

/** Blocks of rows outside of engine memory. */
function blocksOf({ rows, data, codes, dictionary }) {
  return Array.from({ length: rows / BLOCK }, (_, i) => ({
    data: data.subarray(i * BLOCK * VALUES, (i + 1) * BLOCK * VALUES),
    keys: { key: { codes: codes.subarray(i * BLOCK, (i + 1) * BLOCK), dictionary } },
  }));
}

/** Rows in arrays, as a consumer of messages has them. */
function arraysOf(items) {
  return Array.from({ length: items.length / BLOCK }, (_, i) => items.slice(i * BLOCK, (i + 1) * BLOCK));
}

/** A source that hands over all items in each sample. */
function pushed(engine, { rows, weights }, items) {
  let go;
  let over = false;
  const asked = () =>
    new Promise((resolve) => {
      go = resolve;
    });
  let waiting = asked();
  async function* source() {
    for (;;) {
      await waiting;
      if (over) return;
      waiting = asked();
      yield* items;
    }
  }
  const results = collect(engine.stream(windowed(weights), source(), OPTIONS));
  return {
    run: () => {
      const done = results.next(rows / WINDOW);
      go();
      return done;
    },
    close: async () => {
      over = true;
      go();
      await results.ended;
    },
  };
}

// ---- What the sums must be -------------------------------------------------------------------------------------------------------

/** By window and key, from one batch run over all frames and an exact sum for each node: not by way of a stream. */
function expectedSums(engine, { rows, data, codes, weights }) {
  const frames = engine.runSync(chain(weightedSum(weights)), { data, shape: [rows, VALUES] }, { accuracy: "reproducible" }).values;
  return Array.from({ length: rows / WINDOW }, (_, window) => {
    const nodes = Array.from({ length: KEYS }, () => exactSum());
    const first = window * WINDOW;
    for (let row = first; row < first + WINDOW; row++) nodes[codes[row]].add(frames[row]);
    const sums = nodes.map((node) => node.value());
    const all = exactSum();
    all.addAll(Float64Array.from(sums));
    let size = 0;
    for (let i = first * VALUES; i < (first + WINDOW) * VALUES; i++) size += Math.abs(data[i] * weights[i % VALUES]);
    return { sums, all: all.value(), size };
  });
}

function checkExact(name, results, expected) {
  for (const [window, { sums, all }] of expected.entries()) {
    const nodes = [...results[window].level("key")];
    if (nodes.length !== KEYS || !nodes.every(({ value }, key) => Object.is(value, sums[key])) || !Object.is(results[window].value, all))
      throw new Error(`${name}: window ${window} has other bits than a batch run`);
  }
}

function checkNear(name, found, expected) {
  for (const [window, { sums, size }] of expected.entries())
    for (let key = 0; key < KEYS; key++)
      if (!(Math.abs(found[window][key] - sums[key]) <= ERROR_MAX * size))
        throw new Error(`${name}: window ${window}, key ${key}: ${found[window][key]}, ours ${sums[key]}`);
}

// ---- The peers -------------------------------------------------------------------------------------------------------------------

/** RxJS: a window is a buffer of 1,000 rows, reduced by a plain loop. */
function byRxjs(given) {
  const weights = Float64Array.from(given.weights);
  const close = (rows) => {
    const sums = new Map();
    for (const { keys, frame } of rows) {
      let total = 0;
      for (let i = 0; i < VALUES; i++) total += weights[i] * frame[i];
      sums.set(keys.key, (sums.get(keys.key) ?? 0) + total);
    }
    return sums;
  };
  return (items) => lastValueFrom(from(items).pipe(bufferCount(WINDOW), map(close), toArray()));
}

/** What can be started, by name: run() here, or a child process; and why the others cannot. */
async function startPeers(given) {
  const { dictionary, codes, data, weights, rows } = given;
  const byKey = (sums) => dictionary.map((key) => sums.get(key));
  const rxjs = byRxjs(given);
  const found = { rxjs: { run: rxjs, sums: async (items) => (await rxjs(items)).map(byKey) } };
  const absent = {};
  const versions = { RxJS: RXJS_VERSION };
  const closing = [];
  const duckdb = await duckdbBatches(weights);
  if (duckdb.absent) absent.duckdb = duckdb.absent;
  else {
    versions.DuckDB = duckdb.version;
    closing.push(duckdb.close);
    const all = async () => {
      const windows = [];
      for (let row = 0; row < rows; row += WINDOW) {
        const [keys, sums] = await duckdb.run(codes.subarray(row, row + WINDOW), framesAt(given, row, WINDOW * VALUES));
        const window = new Float64Array(KEYS);
        for (let i = 0; i < keys.length; i++) window[keys[i]] = sums[i];
        windows.push(window);
      }
      return windows;
    };
    found.duckdb = { run: all, sums: all };
  }
  const { python, absent: why, missing = [] } = peersPython(STREAMING);
  for (const name of STREAMING.wanted) if (why || missing.includes(name)) absent[name] = why ?? `pip install ${name} failed`;
  if (python && missing.length < STREAMING.wanted.length) {
    const folder = mkdtempSync(join(tmpdir(), "fourfold-bench-"));
    const files = [join(folder, "frames"), join(folder, "keys")];
    writeFileSync(files[0], data);
    writeFileSync(files[1], codes);
    const script = fileURLToPath(new URL("../peers/streams.py", import.meta.url));
    const child = await startChild(python, [script, ...files, String(VALUES), String(KEYS), String(WINDOW)], { POLARS_MAX_THREADS: "1" });
    rmSync(folder, { recursive: true });
    closing.push(child.close);
    Object.assign(versions, child.hello.versions);
    for (const [name, sums] of Object.entries(child.hello.sums))
      found[name] = { sums: async () => sums, pid: child.pid, ask: () => child.ask(name) };
  }
  return { found, absent, versions, close: () => Promise.all(closing.map((close) => close())) };
}
