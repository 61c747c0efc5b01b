/** Results as NDJSON: one object for each node, a node a line. */
import type { Writable } from "node:stream";
import { jsonKey, jsonNumber, jsonNumbers } from "../../reduce/cells.ts";
import { finiteOrNull, type RowLevel, rowsOf } from "../../reduce/rows.ts";
import type { Sink, StreamResult } from "../types.ts";
import { type TextFormat, type TextSinkOptions, textSink } from "./text.ts";

/**
 * A sink of NDJSON lines, appended to a file or written to a Writable. A line for each node of the chosen levels:
 * `{"id","start","end","timing","pane","isLast","frame","watermark","weightsVersion","level","keys":{…},"value","records"}`.
 *
 * - `id` names the result, and is the same if it is given again after a crash; `id`, `level` and `keys` name the line.
 * - `start`, `end` and `watermark` are milliseconds since 1970, or positions where windows count records; `null` where there is none.
 * - Numbers read back as the same float64; NaN and the infinities are strings, bigint keys too. A node with several outputs has `"value":null` and `values`.
 * - `records` counts the node's records that were not skipped.
 *
 * With checkpoints a file gets each line exactly once: it is flushed before each, and cut back to it on a restart. A Writable gets lines again
 * that it was given after the last checkpoint; it is not ended.
 *
 * The sink throws ERR_FOURFOLD_OUTPUT where it cannot write, or the file is not as the checkpoint left it, and ERR_FOURFOLD_LEVEL for a level that the stream does not keep.
 * @throws FourfoldError ERR_FOURFOLD_ARGUMENT
 * @example await engine.stream(fleet, fileSource("readings.ndjson"), options).to(ndjsonSink("totals.ndjson", { levels: "all" }));
 */
export function ndjsonSink(to: string | URL | Writable, options: TextSinkOptions = {}): Sink {
  return textSink(to, options, NDJSON);
}

const NDJSON: TextFormat = {
  name: "ndjson",
  header: () => "",
  *lines(result: StreamResult, levels: readonly RowLevel[]): Iterable<string> {
    const head = headOf(result);
    const columns = new Map(levels.map(({ name, keys }) => [name, keys.map((key) => JSON.stringify(key))]));
    for (const { level, path, values, records } of rowsOf(result, levels)) {
      const names = columns.get(level)!;
      const keys = path.map((key, i) => `${names[i]!}:${jsonKey(key)}`).join(",");
      const value = values.length === 1 ? `"value":${jsonNumber(values[0]!)}` : `"value":null,"values":${jsonNumbers(Array.from(values))}`;
      yield `${head}"level":${JSON.stringify(level)},"keys":{${keys}},${value},"records":${records}}\n`;
    }
  },
};

function headOf({ id, pane, frame, watermark, weightsVersion }: StreamResult): string {
  const own = pane
    ? `"start":${time(pane.start)},"end":${time(pane.end)},"timing":"${pane.timing}","pane":${pane.index},"isLast":${pane.isLast}`
    : '"start":null,"end":null,"timing":null,"pane":null,"isLast":null';
  return `{"id":${JSON.stringify(id)},${own},"frame":${frame ?? null},"watermark":${time(watermark)},"weightsVersion":${weightsVersion},`;
}

function time(value: number): string {
  const finite = finiteOrNull(value);
  return finite === null ? "null" : jsonNumber(finite);
}
