/** The files that patterns match, as DuckDB matches them. It opens none of them, and checks no path. */
import type { Database, Watch } from "./duckdb.ts";
import { quoted } from "./sql.ts";

/** The files of each pattern, in DuckDB's order, pattern after pattern. */
export async function globFiles(db: Database, patterns: readonly string[], watch: Watch): Promise<string[]> {
  const files: string[] = [];
  for (const pattern of patterns)
    for await (const chunk of db.chunks(`select file from glob(${quoted(pattern)})`, watch)) files.push(...(chunk.cells(0) as string[]));
  return files;
}
