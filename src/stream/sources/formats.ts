/** The text formats by name, for sources that take several. */
import type { Format } from "./decoder.ts";
import { checkSourceOptions, type SourceOptions } from "./fields.ts";
import { ndjsonFormat } from "./ndjson-decoder.ts";

/** Options of a source that takes several formats. */
export interface FormatOptions extends SourceOptions {
  readonly format: string;
}

/** @throws FourfoldError ERR_FOURFOLD_ARGUMENT */
export function checkFormatOptions(what: string, options: FormatOptions, more: readonly string[]): void {
  checkSourceOptions(what, options, ["format", ...more]);
}

/** NDJSON or CSV with options. */
export function textFormat(_format: "ndjson" | "csv", options: FormatOptions): Format {
  return ndjsonFormat(options);
}
