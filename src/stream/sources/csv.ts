/** CSV and its like as a source. */
import { badOption } from "../../errors.ts";
import type { Reader } from "../types.ts";
import { type BytesInput, byteSource } from "./bytes.ts";
import { type CsvOptions, csvFormat } from "./csv-decoder.ts";
import { checkSourceOptions } from "./fields.ts";
import { readerOf } from "./reader.ts";

/** The options that CSV adds. */
export const CSV_OPTIONS: readonly string[] = ["delimiter", "columns"];

/** @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function checkCsvOptions(options: CsvOptions): void {
  const { delimiter, columns } = options;
  if (delimiter !== undefined && !(typeof delimiter === "string" && /^[\t\x20-\x7e]$/.test(delimiter) && delimiter !== '"'))
    throw badOption("delimiter", delimiter, 'one ASCII character that is no quote, such as ";" or "\\t"');
  if (columns !== undefined && !(Array.isArray(columns) && columns.length > 0 && columns.every((name) => typeof name === "string")))
    throw badOption("columns", columns, "the names of the columns");
}

/**
 * Reads records from CSV (RFC 4180): a header line names the columns; cells may be quoted, and hold line breaks then. A path can be read again
 * from any offset that it gave; other inputs are read once. A record that cannot be taken is rejected with its position and the reason, and
 * reading goes on.
 *
 * Keys are text as it stands. An empty value is NaN. Where the stream reads frames, the value's cell holds a JSON array.
 *
 * @throws FourfoldError ERR_FOURFOLD_ARGUMENT for options that cannot be; reading throws ERR_FOURFOLD_COLUMN if the header lacks a column
 * @example
 * const readings = csv("readings.tsv", { delimiter: "\t", fields: { value: "celsius", keys: { site: "station" } } });
 */
export function csv(input: BytesInput, options: CsvOptions = {}): Reader {
  checkSourceOptions("csv", options, CSV_OPTIONS);
  checkCsvOptions(options);
  return readerOf(byteSource("csv", input, options.name), csvFormat(options));
}
