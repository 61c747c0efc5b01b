/**
 * The words of streams: what sources give, what windows fire, what sinks take. Shapes only. Event times are milliseconds since 1970 (UTC);
 * offsets are a source's own positions, rising: bytes of a file, lines, messages.
 */
import type { FourfoldError } from "../errors.ts";
import type { Key, KeyColumn } from "../reduce/key.ts";
import type { LevelView } from "../reduce/result.ts";
import type { RowLevel } from "../reduce/rows.ts";
import type { WeightsInput } from "../reduce/weights.ts";
import type { TypedData } from "../types.ts";

/** A column of keys as codes: entry i has the key dictionary[codes[i]]. Blocks that share one dictionary object are the fastest way in. */
export interface DictionaryColumn {
  readonly codes: Uint8Array | Uint16Array | Uint32Array | Int8Array | Int16Array | Int32Array;
  readonly dictionary: readonly Key[];
}

/** Keys of a block. */
export type StreamKeys = KeyColumn | DictionaryColumn;

/** Records, or frames of one size, in columns: entry i of each belongs to record or frame i. */
export interface Block {
  /** How many records or frames there are. */
  readonly rows: number;
  /** The values: one for each record, or the values of each frame, one frame after the other. */
  readonly data: TypedData;
  /** One column for each key of the stream, in its order. */
  readonly keys: readonly StreamKeys[];
  /** Event times; undefined where the stream has none. */
  readonly times: ArrayLike<number> | undefined;
  /** Weights of level f, which travel with their records; undefined where it has none. */
  readonly weights: ArrayLike<number> | undefined;
  /**
   * Weights of outer levels that records carry, by the name of the level: all records below one child must agree on it. They are for levels
   * made with `{ perNode: [] }`.
   */
  readonly childWeights?: Readonly<Record<string, ArrayLike<number>>> | undefined;
}

/** A record or line that could not be taken, for the dead-letter output. */
export interface Rejected {
  readonly source: string;
  /** The source's offset where it starts, and where the next one does. */
  readonly from: number;
  readonly to: number;
  /** Its line, from 1, counted from where the source was opened; undefined where there are no lines. */
  readonly line: number | undefined;
  /** Why, with code and position. */
  readonly error: FourfoldError;
  /** The text, at most its first 1,024 characters; undefined where it is none. */
  readonly text: string | undefined;
}

/** A piece of a source. */
export interface Chunk {
  /** What could be read; undefined if nothing. */
  readonly block: Block | undefined;
  readonly rejected: readonly Rejected[];
  /** Where the source goes on after this piece. */
  readonly next: number;
  /** Bytes that were read for it, as they came; 0 where there are none. */
  readonly bytes: number;
}

/** What a reader is told about the stream that it reads for. */
export interface ReadContext {
  /** Key columns, outermost first. */
  readonly keys: readonly string[];
  /** Values of one frame; undefined for a stream of records. */
  readonly frameValues: number | undefined;
  /** True if records bring an event time. */
  readonly timed: boolean;
  /** True if records bring a weight for level f. */
  readonly weighted: boolean;
  /** Outer levels whose weights come with the records. */
  readonly childWeights: readonly string[];
  /** Records in one chunk at most. */
  readonly rowsMax: number;
  readonly signal: AbortSignal;
}

/** A source as a stream reads it. */
export interface Reader {
  /** Names the source in positions, errors and checkpoints; no two readers of one stream share it. */
  readonly name: string;
  /** True if `read` can begin at any `next` that it gave. */
  readonly replayable: boolean;
  /**
   * True if all that it gives is new whenever it is read, such as what peers send. A stream that goes on from a checkpoint reads it from 0 and counts
   * its offsets on; what came meanwhile is lost.
   */
  readonly live?: boolean;
  /** Reads from an offset on; 0 is the start. It ends when the source does, and stops when the context's signal is aborted. */
  read(from: number, context: ReadContext): AsyncIterable<Chunk>;
}

/** Why a pane was fired. */
export type Timing = "early" | "on-time" | "late";

/** What one firing of a window is. */
export interface Pane {
  /** The window: event times, or positions in the stream where windows count records. −Infinity and Infinity where it has no end. */
  readonly start: number;
  readonly end: number;
  /** Firings of this window before this one. */
  readonly index: number;
  readonly timing: Timing;
  /** True if no other pane of the window will come. */
  readonly isLast: boolean;
  /** True if the pane holds what came since the last one, not all that came. */
  readonly discarding: boolean;
}

/** What a stream gives. */
export interface StreamResult {
  /**
   * Names the result: the window and the firing, or the position of the frame. A stream that goes on from a checkpoint gives the results after it
   * again, with the same ids: who keeps one result for each id has each once.
   */
  readonly id: string;
  /** The window and its firing; undefined for a frame's own result. */
  readonly pane: Pane | undefined;
  /** Which frame, counted from 0, for a frame's own result. */
  readonly frame: number | undefined;
  /** The one number of a chain that ends in one node. @throws FourfoldError ERR_FOURFOLD_FRAMES if there are several, or none */
  readonly value: number;
  /** The values of the outermost level, in order of key. */
  readonly values: Float64Array;
  readonly shape: readonly number[];
  /** Records (or frames) that were reduced, the skipped ones included. */
  readonly records: number;
  /** Changes of weights before this result: 0 until the first `setWeights()`. */
  readonly weightsVersion: number;
  /** The watermark when it was fired; −Infinity where there is none yet. */
  readonly watermark: number;
  /** The version of the numeric contract the values keep. */
  readonly contract: string;
  /** The nodes of a kept level. @throws FourfoldError ERR_FOURFOLD_LEVEL */
  level(name: string): LevelView;
  /**
   * The result under other weights of an outer level, from the nodes that were kept: no record is read again.
   * @throws FourfoldError ERR_FOURFOLD_LEVEL unless the level inside was kept; ERR_FOURFOLD_WEIGHTS
   * @example for await (const r of stream) console.log(r.value, r.whatIf("region", { byKey: { north: 2 }, missing: 1 }).value);
   */
  whatIf(level: string, weights: WeightsInput): StreamResult;
}

/** Where a sink stood when a checkpoint was made: what `open` needs to drop all that was written since. JSON. */
export type SinkPosition = Readonly<Record<string, unknown>>;

/** What a sink is told about the stream whose results it takes. */
export interface SinkContext {
  /** The levels that results keep, innermost first. For frames with a result each: the outermost, without keys. */
  readonly levels: readonly RowLevel[];
}

/** Where results go. */
export interface Sink {
  /** Begins, or goes on from a position that `flush` gave: what was written after it is dropped. */
  open?(position: SinkPosition | undefined, context: SinkContext): Promise<void>;
  /** Takes results in order. The stream waits for it. */
  write(results: readonly StreamResult[]): void | Promise<void>;
  /** Makes what was written durable, and says where that is. Without it results are given again after a crash, with the same ids. */
  flush?(): Promise<SinkPosition>;
  /** Ends: after the last result, and after an error. */
  close?(): Promise<void>;
}

/** A row that came after its window had closed, for the side output. */
export interface LateRow {
  readonly source: string;
  /** Its keys, outermost first. */
  readonly path: readonly Key[];
  readonly time: number;
  /** The record's value, or the value that the levels inside it gave a frame. */
  readonly value: number;
  readonly weight: number | undefined;
  /** The watermark that it missed. */
  readonly watermark: number;
}
