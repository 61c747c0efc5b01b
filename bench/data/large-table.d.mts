/** The table as SQL. */
export function tableSql(records: number, nodes: number, share?: number): string;
/** Writes the table to a Parquet file. */
export function writeTable(file: string, records: number, nodes: number, share?: number): Promise<void>;
/** A spec over it. */
export function specOf(file: string): object;
