/** Public names of `fourfold/stream`: where the records of a stream come from, and where its results go. */

export type { RowLevel } from "../reduce/rows.ts";
export { replayable } from "./items.ts";
export { callbackSink } from "./sinks/callback.ts";
export { csvSink } from "./sinks/csv.ts";
export { ndjsonSink } from "./sinks/ndjson.ts";
export type { TextSinkOptions } from "./sinks/text.ts";
export { arrow } from "./sources/arrow.ts";
export type { ArrowOptions } from "./sources/arrow-decoder.ts";
export type { BytesInput } from "./sources/bytes.ts";
export { csv } from "./sources/csv.ts";
export type { CsvOptions } from "./sources/csv-decoder.ts";
export type { Fields, SourceOptions } from "./sources/fields.ts";
export { type Listener, type ListenOptions, listen } from "./sources/listen.ts";
export { ndjson } from "./sources/ndjson.ts";
export type { ListenStats } from "./sources/peers.ts";
export { type TailOptions, tail } from "./sources/tail.ts";
export type { TimeUnit } from "./sources/time.ts";
export type {
  Block,
  Chunk,
  DictionaryColumn,
  Pane,
  ReadContext,
  Reader,
  Rejected,
  Sink,
  SinkPosition,
  StreamKeys,
  StreamResult,
  Timing,
} from "./types.ts";
