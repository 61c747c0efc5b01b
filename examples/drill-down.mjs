// Opens a total down to the records that moved it: node examples/drill-down.mjs
import { chain, createEngine, max, mean } from "fourfold";

// Sensor readings: a site is the mean of its readings, a region the mean of its sites, the fleet is as bad as its worst region.
const records = [
  { region: "eu", site: "s1", reading: 20.5 },
  { region: "eu", site: "s1", reading: 21 },
  { region: "eu", site: "s2", reading: 19 },
  { region: "us", site: "s7", reading: 23.5 },
  { region: "us", site: "s7", reading: 88 },
  { region: "us", site: "s9", reading: 22 },
];
const values = records.map(({ reading }) => reading);
const keys = { region: records.map(({ region }) => region), site: records.map(({ site }) => site) };

const engine = await createEngine();
try {
  const fleet = chain({ site: mean(), region: mean(), fleet: max() });
  const result = await engine.run(fleet, { values, keys }, { keep: "all" });
  console.log(`fleet ${result.value}`);

  // From the top down, always into the child with the largest value.
  let node = [...result.level("fleet")][0];
  while (node !== undefined) {
    const [worst] = node.children().sort((a, b) => b.value - a.value);
    if (worst !== undefined) console.log(`  ${worst.path.join(" / ")}: ${worst.value} (records: ${worst.count})`);
    node = worst;
  }

  console.log("all sites:");
  for (const site of result.level("site")) console.log(`  ${site.path.join(" / ")}: ${site.value}`);
  console.log("one of them:", result.level("site").at("eu", "s1").value);
} finally {
  await engine.close();
}

// Prints:
// fleet 38.875
//   us: 38.875 (records: 3)
//   us / s7: 55.75 (records: 2)
//   us / s7 / 4: 88 (records: 1)
// all sites:
//   eu / s1: 20.75
//   eu / s2: 19
//   us / s7: 55.75
//   us / s9: 22
// one of them: 20.75
