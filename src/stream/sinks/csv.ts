/** Results as CSV (RFC 4180): a row for each node. */
import type { Writable } from "node:stream";
import { csvRow, keyCell, numberCell, textCell } from "../../reduce/cells.ts";
import { columnsOf, finiteOrNull, type RowLevel, rowsOf } from "../../reduce/rows.ts";
import type { Sink, StreamResult } from "../types.ts";
import { type TextFormat, type TextSinkOptions, textSink } from "./text.ts";

/**
 * A sink of CSV rows under one header, appended to a file or written to a Writable. The columns are `id, start, end, timing, pane, isLast, frame,
 * watermark, weightsVersion, level`, the keys, `value` (or `value0`, `value1`, … where nodes have several outputs), `records`; they mean what they
 * mean in {@link ndjsonSink}. What a row has not is an empty cell. Texts that a spreadsheet would run as a formula get an apostrophe in front.
 *
 * A file that is there must be empty or have the same header. With checkpoints it gets each row exactly once.
 *
 * The sink throws ERR_FOURFOLD_OUTPUT where it cannot write, or the file is not as the checkpoint left it, and ERR_FOURFOLD_LEVEL for a level that the stream does not keep.
 * @throws FourfoldError ERR_FOURFOLD_ARGUMENT
 * @example await engine.stream(fleet, fileSource("readings.ndjson"), options).to(csvSink("totals.csv"));
 */
export function csvSink(to: string | URL | Writable, options: TextSinkOptions = {}): Sink {
  return textSink(to, options, CSV);
}

const CSV: TextFormat = {
  name: "csv",
  header: (levels) => csvRow(columnsOf(levels).all.map(textCell)),
  *lines(result: StreamResult, levels: readonly RowLevel[]): Iterable<string> {
    const columns = columnsOf(levels);
    const head = headOf(result);
    for (const { level, path, values, records } of rowsOf(result, levels)) {
      const keys = columns.keys.map((_, i) => (i < path.length ? keyCell(path[i]!) : ""));
      // Levels inside the one with the weight matrix have one value.
      const cells = columns.values.map((_, i) => (i < values.length ? numberCell(values[i]!) : ""));
      yield csvRow([...head, textCell(level), ...keys, ...cells, String(records)]);
    }
  },
};

function headOf({ id, pane, frame, watermark, weightsVersion }: StreamResult): string[] {
  const own = pane ? [time(pane.start), time(pane.end), pane.timing, String(pane.index), String(pane.isLast)] : ["", "", "", "", ""];
  return [textCell(id), ...own, String(frame ?? ""), time(watermark), String(weightsVersion)];
}

function time(value: number): string {
  const finite = finiteOrNull(value);
  return finite === null ? "" : numberCell(finite);
}
