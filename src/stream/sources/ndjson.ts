/** NDJSON (also called JSON Lines) as a source. */
import type { Reader } from "../types.ts";
import { type BytesInput, byteSource } from "./bytes.ts";
import { checkSourceOptions, type SourceOptions } from "./fields.ts";
import { ndjsonFormat } from "./ndjson-decoder.ts";
import { readerOf } from "./reader.ts";

/**
 * Reads records, or frames, from NDJSON: one JSON object in each line. A path can be read again from any offset that it gave; other inputs are
 * read once. A line that cannot be taken is rejected with its position and the reason, and reading goes on.
 *
 * Values are float64; `null` is NaN. Where the stream reads frames, the value field is an array of one frame's numbers.
 *
 * @throws FourfoldError ERR_FOURFOLD_ARGUMENT for options that cannot be
 * @example
 * for await (const result of engine.stream(index, ndjson(process.stdin, { fields: { time: "at" } }))) console.log(result.value);
 */
export function ndjson(input: BytesInput, options: SourceOptions = {}): Reader {
  checkSourceOptions("ndjson", options);
  return readerOf(byteSource("ndjson", input, options.name), ndjsonFormat(options));
}
