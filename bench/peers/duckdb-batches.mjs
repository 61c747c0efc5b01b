// DuckDB, called once for each batch. The rows come out of a table function, into which a batch is copied in one piece: appending them to a
// table first takes seven times as long. One thread: with more a batch of this size waits for them.
import { VALUES, WINDOW } from "./stream-data.mjs";

/** A call that reduces a batch to columns of keys and sums; undefined with the reason where DuckDB is not installed. */
export async function duckdbBatches(weights) {
  let duckdb;
  try {
    duckdb = await import("@duckdb/node-api");
  } catch {
    return { absent: "@duckdb/node-api is not installed" };
  }
  const { ARRAY, DuckDBInstance, DuckDBTableFunction, FLOAT, UTINYINT, version } = duckdb;
  const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  const connection = await instance.connect();
  let batch;
  connection.registerTableFunction(
    DuckDBTableFunction.create({
      name: "batch",
      bindFunction: (bind) => {
        bind.addResultColumn("key", UTINYINT);
        bind.addResultColumn("x", ARRAY(FLOAT, VALUES));
      },
      initFunction: () => undefined,
      mainFunction: (_, chunk) => {
        chunk.rowCount = batch ? WINDOW : 0;
        if (!batch) return;
        const [keys, frames] = [chunk.getColumnVector(0), chunk.getColumnVector(1)];
        keys.items.set(batch.codes);
        frames.childData.items.set(batch.data);
        keys.flush();
        frames.flush();
        batch = undefined;
      },
    }),
  );
  const dot = `array_inner_product(x, [${[...weights].join(", ")}]::FLOAT[${VALUES}])`;
  const query = await connection.prepare(`SELECT key, sum(${dot}) AS sum FROM batch() GROUP BY key`);
  return {
    version: version(),
    run: async (codes, data) => {
      batch = { codes, data };
      return (await query.runAndReadAll()).getColumns();
    },
    close: () => {
      connection.closeSync();
      instance.closeSync();
    },
  };
}
