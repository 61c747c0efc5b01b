// A process that rolls records up into a sink until they end or it is killed: node streams-records.mjs OPTIONS, as JSON.
// It says "flush" on stdout for each position that its sink gave, and its stats at the end.
import { writeSync } from "node:fs";
import { parquetSink } from "../../dist/files/index.js";
import { chain, createEngine, max, mean, sum } from "../../dist/index.js";
import { csvSink, ndjson, ndjsonSink, tail } from "../../dist/stream/index.js";

const { input, follow, kind, output, dir, everyMs = 0, window, until, rowsMax = 64 } = JSON.parse(process.argv[2]);
const engine = await createEngine({ backend: "reference", workers: 0 });
try {
  const fleet = chain({ site: sum(), region: mean(), fleet: max() });
  const source = follow ? tail(input, { format: "ndjson", pollMs: 5 }) : ndjson(input);
  const make = { ndjson: ndjsonSink, csv: csvSink, parquet: parquetSink };
  const sink = make[kind](output, { levels: "all" });
  const stream = engine.stream(fleet, source, {
    keys: ["region", "site"],
    keep: "all",
    window,
    rowsMax,
    queueRowsMax: 4 * rowsMax,
    ...(dir === undefined ? {} : { checkpoint: { dir, everyMs } }),
  });
  const stats = await stream.to({
    async write(results) {
      await sink.write(results);
      if (results.some(({ pane }) => pane.end === until)) stream.close();
    },
    open: (position, context) => sink.open(position, context),
    async flush() {
      const position = await sink.flush();
      writeSync(1, "flush\n");
      return position;
    },
    close: () => sink.close(),
  });
  writeSync(1, `${JSON.stringify({ rowsIn: stats.rowsIn, late: stats.late, rejected: stats.rejected })}\n`);
} catch (error) {
  writeSync(2, `${error.code}: ${error.message}\n`);
  process.exitCode = 1;
} finally {
  await engine.close();
}
