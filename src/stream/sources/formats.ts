/** The text formats by name, for sources that take several. */
import { badOption, show } from "../../errors.ts";
import { type ArrowOptions, arrowFormat } from "./arrow-decoder.ts";
import { CSV_OPTIONS, checkCsvOptions } from "./csv.ts";
import { type CsvOptions, csvFormat } from "./csv-decoder.ts";
import type { Format } from "./decoder.ts";
import { checkSourceOptions } from "./fields.ts";
import { ndjsonFormat } from "./ndjson-decoder.ts";

/** The formats that sources read. */
export type FormatName = "ndjson" | "csv" | "arrow";

/** The formats that sources read. */
const FORMATS: readonly FormatName[] = ["ndjson", "csv", "arrow"];

/** Options of a source that takes several formats; `delimiter` and `columns` are for CSV. */
export interface FormatOptions extends CsvOptions, ArrowOptions {
  readonly format?: FormatName;
}

/** @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function checkFormatOptions(what: string, options: FormatOptions, more: readonly string[]): void {
  checkSourceOptions(what, options, ["format", ...CSV_OPTIONS, ...more]);
  checkCsvOptions(options);
  if (options.format !== undefined && !FORMATS.includes(options.format))
    throw badOption("format", options.format, FORMATS.map(show).join(", "));
  for (const option of CSV_OPTIONS)
    if (options.format !== undefined && options.format !== "csv" && option in options) throw badOption(option, option, 'format "csv"');
}

/** A format with options. */
export function formatOf(format: FormatName, options: FormatOptions): Format {
  if (format === "arrow") return arrowFormat(options);
  return format === "csv" ? csvFormat(options) : ndjsonFormat(options);
}
