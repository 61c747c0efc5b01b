/** Arrow's IPC stream as a source. */
import type { Reader } from "../types.ts";
import { type ArrowOptions, arrowFormat } from "./arrow-decoder.ts";
import { type BytesInput, byteSource } from "./bytes.ts";
import { checkCount, checkSourceOptions } from "./fields.ts";
import { readerOf } from "./reader.ts";

/**
 * Reads records, or frames, from an Arrow IPC stream, as `pyarrow.ipc.new_stream` writes it: without compression, and not the file format.
 *
 * Values: integers and floats; null is NaN; an int64 beyond 2^53 is rejected. Numbers without nulls are handed over as they lie in the message,
 * not copied; so are frames, in a column of fixed-size lists of numbers. Keys: text, integers, floats, booleans, and dictionaries of
 * these. Times: timestamps, dates, numbers, text. Damage ends the reading with ERR_FOURFOLD_FORMAT. It cannot be resumed.
 *
 * @throws FourfoldError ERR_FOURFOLD_ARGUMENT for options that cannot be; reading throws ERR_FOURFOLD_COLUMN if the schema does not fit,
 * ERR_FOURFOLD_MEMORY for a message beyond `bodyBytesMax`
 * @example
 * const readings = arrow(socket, { fields: { value: "celsius", time: "at" } });
 */
export function arrow(input: BytesInput, options: ArrowOptions = {}): Reader {
  checkSourceOptions("arrow", options, ["bodyBytesMax"]);
  checkCount("bodyBytesMax", options.bodyBytesMax);
  return readerOf(byteSource("arrow", input, options.name), arrowFormat(options));
}
