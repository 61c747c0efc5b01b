// A tree whose leaves change: node examples/live.mjs
import { chain, createEngine, max, mean, weightedMean } from "fourfold";

// 20,000 sensors of 400 sites in four regions: a site is the mean of its sensors, a region the mean of its sites by sensors.
const reading = (i) => ((i * 7919) % 1000) / 10;
const sensors = Array.from({ length: 20_000 }, (_, i) => i);
const keys = {
  region: sensors.map((i) => `region ${i % 4}`),
  site: sensors.map((i) => `site ${i % 400}`),
  sensor: sensors.map((i) => `sensor ${i}`),
};
const path = (i) => [keys.region[i], keys.site[i], keys.sensor[i]];
const fleet = chain({ site: mean(), region: weightedMean("count"), fleet: max() });

const engine = await createEngine();
try {
  const live = await engine.live(fleet, { values: sensors.map(reading), keys });
  const show = (when) => console.log(`${when.padEnd(16)} ${live.value} (${live.level("fleet").at().count} sensors)`);
  show("at first");

  const stop = live.subscribe("site", ["region 1", "site 1"], ({ previous, value }) => console.log(`  site 1: ${previous} → ${value}`));
  live.set(path(1), 1e17); // a typing error,
  show("with an error");
  live.set(path(1), 99.5); // and its correction, which leaves no trace of it
  show("corrected");
  stop();

  for (let i = 0; i < 50_000; i++) live.set(path((i * 31) % 20_000), reading(i));
  for (let i = 0; i < 500; i++) live.delete(path(i * 40 + 2));
  show("50,000 later");

  // A run over the sensors that are left: the same bits.
  const left = sensors.filter((i) => live.get(path(i)) !== undefined);
  const records = {
    values: left.map((i) => live.get(path(i))),
    keys: { region: left.map((i) => keys.region[i]), site: left.map((i) => keys.site[i]) },
  };
  console.log(`a run over them  ${(await engine.run(fleet, records)).value}`);

  const what = live.whatIf("region", { byKey: { "site 3": 5 }, missing: 1 });
  console.log(`if site 3 counted five times: ${what.value}; it is ${live.value}`);
} finally {
  await engine.close();
}

// Prints:
// at first         50.1 (20000 sensors)
//   site 1: 51.9 → 2000000000000050
// with an error    20000000000050.08 (20000 sensors)
//   site 1: 2000000000000050 → 52.052
// corrected        50.10152 (20000 sensors)
// 50,000 later     50.1 (19500 sensors)
// a run over them  50.1
// if site 3 counted five times: 50.276923076923076; it is 50.1
