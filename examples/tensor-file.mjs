// A chain over a file that may be larger than memory: each worker reads its own ranges. Here it is small, and made first.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chain, createEngine, max, mean, weightedSum } from "fourfold";
import { openTensor } from "fourfold/files";

const folder = mkdtempSync(join(tmpdir(), "fourfold-"));
const path = join(folder, "readings.f32");
writeFileSync(path, Float32Array.from({ length: 4 * 1000 * 64 }, (_, i) => (i % 64) / 4));

const engine = await createEngine({ workers: 2 });
const fleet = chain({ sensor: weightedSum(new Array(64).fill(0.5)), site: mean(), fleet: max() });
const readings = await openTensor(path, { shape: [4, 1000, 64], dtype: "f32" }); // .npy, .npz, .arrow and .zarr say it themselves
try {
  console.log(String(await engine.planAtRest(fleet, readings)));
  const { value } = await engine.run(fleet, readings);
  console.log(value);
} finally {
  await readings.close();
  await engine.close();
  rmSync(folder, { recursive: true });
}
// Prints:
// init        256,000 f32 values (… KiB) as rows, in files
//             backend wasm: each thread reads its own ranges of the file
// distribute  4 parts on the calling thread
//             1 part on the calling thread
// process     sensor: weightedSum over 4,000 nodes of 64
// aggregate   site: mean over 4 nodes of 1,000 (in the same pass)
//             fleet: max over 1 node of 4
// output      one number, accuracy fast, nan propagate
// 252
