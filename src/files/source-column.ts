/** A column of a source, as it is read: what DuckDB says of it, and what was found on the way. */
import type { Column } from "./duckdb.ts";

/** A column of a source. */
export interface SourceColumn extends Column {
  /** A file of several that has no such column: whoever asks for the column is told. */
  readonly lackedBy?: string;
  /**
   * Text whose first records are integers, read as DOUBLE: later ones may be no integers, or beyond 2^53. (As BIGINT, which is what DuckDB takes
   * it for, it would round them without a word.)
   */
  readonly integers?: boolean;
}
