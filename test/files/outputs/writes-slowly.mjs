// Writes a result file and stops for good before piece number N, while what came before is in the file. Arguments: the path, the format, N.
import { writeSync } from "node:fs";
import { chain, createEngine, mean, weightedMean } from "fourfold";
import { outputFile, resultPieces } from "fourfold/files";

const [path, format, stop] = process.argv.slice(2);
const engine = await createEngine({ workers: 0 });
const shape = [1, 40, 5000];
const data = Float64Array.from({ length: 200_000 }, (_, i) => Math.sin(i));
const result = await engine.run(chain({ f: mean(), g: weightedMean("count") }), { data, shape }, { keep: "all" });
const long = await engine.run(chain({ f: mean() }), { data, shape: [200_000, 1] }, { keep: "all" });

function* pieces() {
  let n = 0;
  const wait = () => {
    writeSync(1, "waits\n");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); // until the process is killed
  };
  for (const of of [long, result])
    for (const piece of resultPieces(of, { format })) {
      if (piece.length === 0) continue;
      if (n++ === Number(stop)) wait();
      yield piece;
    }
  wait();
}

await (await outputFile(path)).write(pieces());
