/** Records that were rejected or came late, as lines of side outputs: one JSON object each. Without a file they are counted, and the first few told. */
import type { LateRow, Rejected } from "../index.ts";
import { jsonKey, jsonNumber } from "../reduce/cells.ts";
import { finiteOrNull } from "../reduce/rows.ts";

/** A rejected record as a line: where it stands, why, and its text. */
export function rejectedLine({ source, from, to, line, error, text }: Rejected): string {
  const { code, message } = error;
  return JSON.stringify({ source, from, to, line: line ?? null, code, message, text: text ?? null });
}

/** A late record as a line. */
export function lateLine({ source, path, time, value, weight, watermark }: LateRow, keys: readonly string[]): string {
  const named = path.map((key, i) => `${JSON.stringify(keys[i]!)}:${jsonKey(key)}`).join(",");
  const weighed = weight === undefined ? "" : `,"weight":${jsonNumber(weight)}`;
  return `{"source":${JSON.stringify(source)},"keys":{${named}},"time":${jsonNumber(time)},"value":${jsonNumber(value)}${weighed},"watermark":${finiteOrNull(watermark) ?? "null"}}`;
}
