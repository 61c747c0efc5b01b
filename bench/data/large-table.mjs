// A synthetic table in Parquet, made by DuckDB: records of sensors in sites in regions, in no order, with a value and a weight. One sensor may have
// a share of all records. `node bench/data/large-table.mjs FILE RECORDS NODES [SHARE]`, or import writeTable.
import { fileURLToPath } from "node:url";
import { DuckDBInstance } from "@duckdb/node-api";

/** The table as SQL: `records` rows over `nodes` sensors, of which the first has `share` of all rows. */
export function tableSql(records, nodes, share = 0) {
  const drawn = `(hash(i) % ${nodes})::INTEGER`;
  const sensor = share > 0 ? `case when hash(i + 7) % 1000 < ${Math.round(share * 1000)} then 0 else ${drawn} end` : drawn;
  return `select sensor // 10000 as region, sensor // 100 as site, sensor, v, w from (
    select ${sensor} as sensor, (hash(i + 1) % 1000003)::DOUBLE / 7 as v, ((hash(i + 2) % 97) + 1)::DOUBLE / 3 as w from range(${records}) t(i))`;
}

/** Writes the table to a file. */
export async function writeTable(file, records, nodes, share) {
  const instance = await DuckDBInstance.create(":memory:", { memory_limit: "1GiB", preserve_insertion_order: "false" });
  const connection = await instance.connect();
  try {
    await connection.run(`copy (${tableSql(records, nodes, share)}) to '${file.replaceAll("'", "''")}' (format parquet)`);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** A spec over it: every weight kind that needs no other table. */
export function specOf(file) {
  return {
    source: { file },
    value: "v",
    levels: [
      { name: "sensor", by: ["region", "site", "sensor"], reduce: "weightedMean", weights: { column: "w" } },
      { name: "site", by: ["region", "site"], reduce: "weightedMean", weights: "count" },
      { name: "region", by: ["region"], reduce: "sum" },
      { name: "all", by: [], reduce: "mean" },
    ],
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , file, records, nodes, share] = process.argv;
  await writeTable(file, Number(records), Number(nodes), Number(share ?? 0));
}
