// A stream whose every answer is that of the nightly batch: node examples/stream.mjs
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chain, createEngine, mean, weightedMean } from "fourfold";
import { replayable } from "fourfold/stream";

// Ten minutes of readings from six sensors at three sites, up to two seconds out of order.
const sites = ["berlin", "oslo", "turin"];
const readings = Array.from({ length: 6000 }, (_, i) => ({
  value: 20 + ((i * 7919) % 1000) / 97,
  path: [sites[i % 3], `s${i % 6}`],
  time: i * 100 + ((i * 37) % 20) * 100,
}));

// A log that can be read from any record on, as a file or a topic can. Its first reader is cut off in the middle.
const log = (stopAt) =>
  replayable("log", function* (from) {
    for (let i = from; i < readings.length; i++) {
      if (i === stopAt) throw new Error("the power is gone");
      yield readings[i];
    }
  });

const fleet = chain({ sensor: mean(), site: mean(), fleet: weightedMean("count") });
const dir = mkdtempSync(join(tmpdir(), "fourfold-example-"));
const options = {
  keys: ["site", "sensor"],
  window: { sizeMs: 120_000, everyMs: 60_000, outOfOrderMsMax: 2_000 },
  checkpoint: { dir, everyMs: 0 },
  rowsMax: 500,
  queueRowsMax: 500,
};

const engine = await createEngine();
const results = new Map();
const keep = (result) => void results.set(result.id, result); // by id: what comes twice is there once

try {
  await engine.stream(fleet, log(4000), options).to(keep);
} catch (error) {
  console.log(error.message);
}
const stats = await engine.stream(fleet, log(), options).to(keep);
console.log(`${stats.rowsIn} readings in, ${stats.late} late, ${results.size} windows`);

let same = 0;
for (const { pane, value } of results.values()) {
  const mine = readings.filter(({ time }) => time >= pane.start && time < pane.end);
  const keys = { site: mine.map(({ path }) => path[0]), sensor: mine.map(({ path }) => path[1]) };
  const batch = await engine.run(fleet, { values: mine.map((reading) => reading.value), keys });
  if (Object.is(batch.value, value)) same++;
}
console.log(`${same} of them with the bits of a batch run`);
await engine.close();
rmSync(dir, { recursive: true });

// Prints:
// the power is gone
// 6000 readings in, 0 late, 12 windows
// 12 of them with the bits of a batch run
