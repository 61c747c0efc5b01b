// Results at rest for tests, made without the writers: Parquet by DuckDB's COPY, JSON by hand.
import { DuckDBInstance } from "@duckdb/node-api";

/** A level of the metadata. */
export interface Level {
  readonly name: string;
  readonly reduce: string;
  readonly ddof?: number;
  readonly keys: readonly string[];
  readonly weighted: boolean;
}

/** A node: its level, path, values, count and weight. */
export type Row = readonly [level: string, path: readonly unknown[], value: number | readonly number[], count: number, weight?: number];

/** Metadata over levels, innermost first. */
export function metadata(levels: readonly Level[], changes: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return { version: 1, levels, contract: "1", accuracy: "reproducible", nan: "propagate", records: 9, ...changes };
}

const json = (x: number): unknown => (Number.isFinite(x) ? x : String(x));

/** The JSON document of a result. */
export function jsonResult(meta: Record<string, unknown>, rows: readonly Row[]): string {
  const levels = (meta["levels"] as Level[]).map(({ name, keys }) => ({
    name,
    keys,
    nodes: rows
      .filter(([level]) => level === name)
      .map(([, path, value, count, weight]) => ({
        key: path.at(-1) ?? null,
        path,
        ...(typeof value === "number" ? { value: json(value) } : { value: null, values: value.map(json) }),
        count,
        ...(weight === undefined ? {} : { weight: json(weight) }),
      })),
  }));
  return JSON.stringify({ fourfold: meta, value: 0, levels });
}

const sql = (x: unknown, type: string): string => {
  if (x === undefined || x === null) return `null::${type}`;
  return `'${String(x).replaceAll("'", "''")}'::${type}`;
};

/** Runs SQL in a database of its own. */
export async function runSql(...statements: readonly string[]): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    for (const statement of statements.slice(0, -1)) await connection.run(statement);
    return (await connection.runAndReadAll(statements.at(-1)!)).getRowsJS() as unknown[][];
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** The SQL value of the metadata. */
export const kv = (meta: unknown): string => `{fourfold: '${JSON.stringify(meta).replaceAll("'", "''")}'}`;

/** Writes the Parquet file of a result. `types` are those of the key columns, VARCHAR without them. */
export async function parquetResult(
  path: string,
  meta: Record<string, unknown>,
  rows: readonly Row[],
  types: readonly string[] = [],
): Promise<void> {
  const { keys } = (meta["levels"] as Level[])[0]!;
  const outputs = Math.max(...rows.map(([, , value]) => (typeof value === "number" ? 1 : value.length)));
  const values = outputs === 1 ? ["value"] : Array.from({ length: outputs }, (_, r) => `value${r}`);
  const names = ["level", ...keys, ...values, "count", "weight"].map((name) => `"${name}"`);
  const lines = rows.map(([level, row, value, count, weight]) => {
    const own = typeof value === "number" ? [value] : value;
    const cells = [
      sql(level, "varchar"),
      ...keys.map((_, i) => sql(row[i], types[i] ?? "varchar")),
      ...values.map((_, r) => sql(own[r], "double")),
      sql(count, "bigint"),
      sql(weight, "double"),
    ];
    return `(${cells.join(", ")})`;
  });
  await runSql(
    `create table result as select * from (values ${lines.join(", ")}) as t(${names.join(", ")})`,
    `copy result to '${path.replaceAll("'", "''")}' (format parquet, kv_metadata ${kv(meta)})`,
  );
}
