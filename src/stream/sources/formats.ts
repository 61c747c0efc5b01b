/** The text formats by name, for sources that take several. */
import { badOption } from "../../errors.ts";
import { CSV_OPTIONS, checkCsvOptions } from "./csv.ts";
import { type CsvOptions, csvFormat } from "./csv-decoder.ts";
import type { Format } from "./decoder.ts";
import { checkSourceOptions } from "./fields.ts";
import { ndjsonFormat } from "./ndjson-decoder.ts";

/** Options of a source that takes several formats; `delimiter` and `columns` are for CSV. */
export interface FormatOptions extends CsvOptions {
  readonly format: string;
}

/** @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function checkFormatOptions(what: string, options: FormatOptions, more: readonly string[]): void {
  checkSourceOptions(what, options, ["format", ...CSV_OPTIONS, ...more]);
  checkCsvOptions(options);
  for (const option of CSV_OPTIONS)
    if (options.format === "ndjson" && option in options) throw badOption(option, option, 'nothing, with format "ndjson": it is for CSV');
}

/** NDJSON or CSV with options. */
export function textFormat(format: "ndjson" | "csv", options: FormatOptions): Format {
  return format === "csv" ? csvFormat(options) : ndjsonFormat(options);
}
