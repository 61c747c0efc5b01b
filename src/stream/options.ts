/** The options of a stream, and the checks at their border. */
import { badOption, checkNames, FourfoldError, show } from "../errors.ts";
import type { Chain } from "../reduce/chain.ts";
import type { NullKeys } from "../reduce/group.ts";
import { checkKeyed, keyDepths } from "../reduce/input.ts";
import type { KeyLayout, Policy } from "../reduce/layout.ts";
import { checkRecordChain } from "../reduce/record-chain.ts";
import type { Dtype, NanPolicy } from "../types.ts";
import type { Overflow } from "./intake.ts";
import type { LateRow, Rejected } from "./types.ts";
import { readWindowing, type Windowing, type WindowOptions } from "./windowing.ts";

/** Options of {@link Engine.stream}. */
export interface StreamOptions {
  /**
   * The stream's items are frames of this shape: the innermost levels of the chain, as many as the shape has axes, reduce each of them, and the
   * levels above group them by key and window. `dtype` is that of the memory where they wait, a ring's own or `"f64"` unless told: a frame with a value that it
   * cannot hold is rejected. Without `frame`, items are records.
   */
  readonly frame?: { readonly shape: readonly number[]; readonly dtype?: Dtype };
  /** The names of the key columns, outermost first. Default none. */
  readonly keys?: readonly string[];
  /** The key columns that name the nodes of each level (of those above a frame), innermost first. Default: all of them, then one fewer at each level. */
  readonly by?: readonly (readonly string[])[];
  /** What to do with null and NaN keys. Default `"error"`: their records are rejected. */
  readonly nullKeys?: NullKeys;
  /** Default `"propagate"`. Under `"error"` a row with NaN is rejected. */
  readonly nan?: NanPolicy;
  /** Default `"reproducible"`. */
  readonly accuracy?: "reproducible" | "exact";
  /** Default: one window over all that comes, which fires when the sources end. Not for frames that the chain reduces to the end. */
  readonly window?: WindowOptions;
  /** Outer levels, made with `{ perNode: [] }`, whose weights come with the records. */
  readonly childWeights?: readonly string[];
  /** Levels whose nodes are kept for {@link StreamResult.level}: their names, or `"all"`. The outermost is always kept. */
  readonly keep?: "all" | readonly string[];
  /** Rows of a batch at most. Default 65,536, or as many frames as 8 MiB hold. */
  readonly rowsMax?: number;
  /** Bytes of a batch at most. Default 8 MiB. */
  readonly bytesMax?: number;
  /** Milliseconds that a row may wait for others to come. Default 0: while the stream is free, none waits. */
  readonly delayMsMax?: number;
  /** The latency that the size of batches follows: it rises while batches are done in this time, and halves when they are not. */
  readonly latencyMsTarget?: number;
  /** Batches that may be under way at once. Default 2. */
  readonly batchesMax?: number;
  /** Records that may wait. Default four times rowsMax. Frames wait in batchesMax + 2 buffers of a batch each. */
  readonly queueRowsMax?: number;
  /** Bytes of records that may wait. Default 64 MiB. */
  readonly queueBytesMax?: number;
  /** What happens when the queue is full: sources wait (`"block"`, the default), the oldest rows are dropped and counted, or the stream ends with an error. */
  readonly overflow?: Overflow;
  /** Called for each row that comes after its window has closed. */
  readonly onLate?: (row: LateRow) => void;
  /** Called for each record that cannot be read or taken: the dead letters. */
  readonly onRejected?: (rejected: Rejected) => void;
  /** Whether a record that cannot be read or taken stops the stream. Default `"continue"`. */
  readonly onError?: "continue" | "stop";
  /** Where the stream keeps what it needs to go on after a crash, and how often it is written. Default every 1,000 ms. */
  readonly checkpoint?: { readonly dir: string; readonly everyMs?: number };
  readonly signal?: AbortSignal;
}

/** Options with their defaults. */
export interface StreamSetup {
  readonly chain: Chain;
  /** Levels that reduce a frame; 0 for records. */
  readonly rank: number;
  /** Levels above a frame; undefined if there are none, and each frame has a result of its own. */
  readonly outer: Chain | undefined;
  readonly frame: { readonly shape: readonly number[]; readonly dtype: Dtype; readonly values: number } | undefined;
  readonly keys: KeyLayout;
  readonly policy: Policy;
  readonly windowing: Windowing;
  readonly timed: boolean;
  readonly weighted: boolean;
  readonly childWeights: readonly string[];
  readonly kept: readonly boolean[];
  readonly rowsMax: number;
  readonly bytesMax: number;
  readonly delayMsMax: number;
  readonly latencyMsTarget: number | undefined;
  readonly batchesMax: number;
  readonly queueRowsMax: number;
  readonly queueBytesMax: number;
  readonly overflow: Overflow;
  readonly onLate: ((row: LateRow) => void) | undefined;
  readonly onRejected: ((rejected: Rejected) => void) | undefined;
  readonly stopOnError: boolean;
  readonly checkpoint: { readonly dir: string; readonly everyMs: number } | undefined;
  readonly signal: AbortSignal | undefined;
}

const NAMES = [
  "frame",
  "keys",
  "by",
  "nullKeys",
  "nan",
  "accuracy",
  "window",
  "childWeights",
  "keep",
  "rowsMax",
  "bytesMax",
  "delayMsMax",
  "latencyMsTarget",
  "batchesMax",
  "queueRowsMax",
  "queueBytesMax",
  "overflow",
  "onLate",
  "onRejected",
  "onError",
  "checkpoint",
  "signal",
] as const satisfies readonly (keyof StreamOptions)[];

const DTYPES: readonly Dtype[] = ["f32", "f64", "i32", "i16", "i8", "u8"];

/** Bytes of a batch: enough for all cores to be worth waking, and little enough to be done in a few milliseconds. */
const BATCH_BYTES_MAX = 8 << 20;
const BATCH_ROWS_MAX = 65_536;
const QUEUE_BYTES_MAX = 64 << 20;

/** How far ahead of the clock event times may be: a day covers every time zone. */
const FUTURE_MS_MAX = 24 * 3_600_000;

/** Reads and checks options. @throws FourfoldError ERR_FOURFOLD_ARGUMENT, and for chain, keys and window what does not fit */
export function readStreamOptions(
  chain: Chain,
  options: StreamOptions,
  bytesPer: Readonly<Record<Dtype, number>>,
  dtype: Dtype,
): StreamSetup {
  checkNames("stream", options, NAMES);
  const { nan = "propagate", accuracy = "reproducible", nullKeys = "error", overflow = "block", onError = "continue" } = options;
  oneOf("nan", nan, ["propagate", "skip", "error"]);
  oneOf("accuracy", accuracy, ["reproducible", "exact"]);
  oneOf("overflow", overflow, ["block", "latest", "error"]);
  oneOf("onError", onError, ["continue", "stop"]);
  const frame = readFrame(options.frame, chain, dtype);
  const rank = frame?.shape.length ?? 0;
  const timed = options.window?.sizeMs !== undefined;
  if (frame)
    for (const name of ["queueRowsMax", "queueBytesMax"] as const)
      if (options[name] !== undefined)
        throw new FourfoldError(
          "ERR_FOURFOLD_ARGUMENT",
          `option "${name}" is for records; frames wait in batchesMax + 2 buffers of rowsMax frames each`,
          {
            given: options[name],
            fix: "Leave it out, or set rowsMax and batchesMax",
          },
        );
  const outer = rank === chain.levels.length ? undefined : outerOf(chain, rank);
  if (!outer) refuseForFrames(options, chain);
  // A time of another unit, or a clock gone wrong, would move the watermark past all that comes after it.
  const windowing = readWindowing(timed ? { futureMsMax: FUTURE_MS_MAX, ...options.window } : options.window, timed);
  const keys = readKeys(options, outer ?? chain, nullKeys);
  const bytesPerRow = frame ? frame.values * bytesPer[frame.dtype] : 8;
  const bytesMax = limit("bytesMax", options.bytesMax, Math.max(BATCH_BYTES_MAX, bytesPerRow));
  const rowsMax = limit("rowsMax", options.rowsMax, Math.max(1, Math.min(BATCH_ROWS_MAX, Math.floor(bytesMax / bytesPerRow))));
  const batchesMax = limit("batchesMax", options.batchesMax, 2);
  return {
    chain,
    rank,
    outer,
    frame,
    keys,
    policy: { nan, accuracy, nullKeys },
    windowing,
    timed,
    weighted: outer !== undefined && outer.levels[0]!.reduction.weights?.form === "perNode",
    childWeights: readChildWeights(options.childWeights, outer),
    kept: keptOf(chain, rank, options.keep),
    rowsMax,
    bytesMax,
    delayMsMax: amount("delayMsMax", options.delayMsMax, 0),
    latencyMsTarget: options.latencyMsTarget === undefined ? undefined : amount("latencyMsTarget", options.latencyMsTarget, 0),
    batchesMax,
    queueRowsMax: limit("queueRowsMax", options.queueRowsMax, 4 * rowsMax),
    queueBytesMax: limit("queueBytesMax", options.queueBytesMax, Math.max(QUEUE_BYTES_MAX, bytesPerRow)),
    overflow,
    onLate: callback("onLate", options.onLate),
    onRejected: callback("onRejected", options.onRejected),
    stopOnError: onError === "stop",
    checkpoint: readCheckpoint(options.checkpoint),
    signal: readSignal(options.signal),
  };
}

function readFrame(given: StreamOptions["frame"], chain: Chain, otherwise: Dtype): StreamSetup["frame"] {
  if (given === undefined) return undefined;
  checkNames("stream: frame", given, ["shape", "dtype"]);
  const { shape, dtype = otherwise } = given;
  if (!Array.isArray(shape) || shape.length === 0 || !shape.every((extent) => Number.isInteger(extent) && extent > 0))
    throw badOption("frame.shape", shape, "a list of whole numbers above 0, one for each axis of a frame");
  if (shape.length > chain.levels.length)
    throw new FourfoldError("ERR_FOURFOLD_SHAPE", `frames of ${shape.length} axes for a chain of ${chain.levels.length} levels`, {
      given: shape,
      expected: chain.levels.length,
      fix: "A frame has one axis for each of the chain's innermost levels, the last one for level f",
    });
  oneOf("frame.dtype", dtype, DTYPES);
  const values = shape.reduce((product, extent) => product * extent, 1);
  if (values > VALUES_MAX) throw badOption("frame.shape", shape, `at most ${VALUES_MAX} values in a frame`);
  return { shape: [...shape], dtype, values };
}

/** Values of one frame: 512 MiB of float64. */
const VALUES_MAX = 2 ** 26;

/** The levels above a frame, as a chain over the frames' values. @throws FourfoldError for what frames cannot have there */
function outerOf(chain: Chain, rank: number): Chain {
  const outer: Chain = { levels: chain.levels.slice(rank) };
  checkRecordChain(outer);
  if (rank === 0) return outer;
  for (const { name, reduction } of outer.levels)
    if (reduction.weights?.form === "count")
      throw new FourfoldError(
        "ERR_FOURFOLD_WEIGHTS",
        `level "${name}": the weight "count" counts records, and a frame is not told how many it holds`,
        {
          given: "count",
          fix: "Frames have one size: use sum() or mean(), or stream records",
          at: { level: name },
        },
      );
  if (chain.levels.slice(0, rank).some(({ reduction }) => reduction.weights?.form === "matrix"))
    throw new FourfoldError("ERR_FOURFOLD_WEIGHTS", "a weight matrix inside frames, and levels above them", {
      given: "matrix",
      fix: "Let the chain end with the frame, or run one stream for each output",
    });
  return outer;
}

function refuseForFrames(options: StreamOptions, { levels }: Chain): void {
  for (const name of ["window", "keys", "by", "childWeights", "keep"] as const)
    if (options[name] !== undefined)
      throw new FourfoldError(
        "ERR_FOURFOLD_ARGUMENT",
        `option "${name}" is for levels above a frame, and the frame takes all ${levels.length} levels of the chain`,
        { given: options[name], fix: "Leave it out, or add a level to the chain that groups the frames: chain(weightedSum(w), sum())" },
      );
}

function readKeys(options: StreamOptions, outer: Chain, nullKeys: NullKeys): KeyLayout {
  const { keys: names = [], by } = options;
  if (!Array.isArray(names) || !names.every((name) => typeof name === "string") || new Set(names).size < names.length)
    throw badOption("keys", names, "different names of key columns, outermost first");
  const input = { values: [], keys: Object.fromEntries(names.map((name) => [name, []])), nullKeys, ...(by && { by }) };
  checkKeyed(input);
  return { names, depths: keyDepths(outer, input) };
}

function readChildWeights(given: readonly string[] = [], outer: Chain | undefined): readonly string[] {
  if (!Array.isArray(given)) throw badOption("childWeights", given, "a list of names of levels");
  const untold = outer?.levels.find(
    ({ name, reduction: { weights } }, i) => i > 0 && weights?.form === "perNode" && weights.values.length === 0 && !given.includes(name),
  );
  if (untold)
    throw new FourfoldError(
      "ERR_FOURFOLD_WEIGHTS",
      `level "${untold.name}" is made with { perNode: [] }, and nothing says where its weights are`,
      {
        fix: `Give childWeights: ["${untold.name}"] if the records bring them, or make the level with { byKey } or "count"`,
        at: { level: untold.name },
      },
    );
  for (const name of given) {
    const index = outer!.levels.findIndex((level) => level.name === name);
    const { weights } = outer!.levels[index]?.reduction ?? {};
    if (index < 1 || weights?.form !== "perNode")
      throw badOption("childWeights", name, "levels above the innermost one that are made with { perNode: [] }");
  }
  return given;
}

function keptOf({ levels }: Chain, rank: number, keep: StreamOptions["keep"]): readonly boolean[] {
  const names = levels.map(({ name }) => name);
  if (keep !== undefined && keep !== "all") {
    if (!Array.isArray(keep)) throw badOption("keep", keep, '"all" or a list of names of levels');
    for (const name of keep)
      if (!names.includes(name) || names.indexOf(name) < rank)
        throw new FourfoldError(
          "ERR_FOURFOLD_LEVEL",
          `keep: ${names.includes(name) ? `level ${show(name)} lies inside the frames, which are not kept` : `there is no level ${show(name)}`}`,
          {
            given: name,
            expected: names.slice(rank),
            fix: `The levels are ${names.slice(rank).join(", ")}`,
          },
        );
  }
  return names.slice(rank).map((name, i, all) => i === all.length - 1 || keep === "all" || (keep?.includes(name) ?? false));
}

function readCheckpoint(given: StreamOptions["checkpoint"]): StreamSetup["checkpoint"] {
  if (given === undefined) return undefined;
  checkNames("stream: checkpoint", given, ["dir", "everyMs"]);
  const { dir, everyMs = 1000 } = given;
  if (typeof dir !== "string" || dir === "") throw badOption("checkpoint.dir", dir, "the path of a folder");
  return { dir, everyMs: amount("checkpoint.everyMs", everyMs, 0) };
}

function readSignal(given: AbortSignal | undefined): AbortSignal | undefined {
  if (given !== undefined && !(given instanceof AbortSignal)) throw badOption("signal", given, "an AbortSignal");
  return given;
}

function oneOf<T>(option: string, given: T, allowed: readonly T[]): void {
  if (!allowed.includes(given)) throw badOption(option, given, allowed.map(show).join(", "));
}

function limit(option: string, given: number | undefined, otherwise: number): number {
  if (given === undefined) return otherwise;
  if (!Number.isInteger(given) || given < 1) throw badOption(option, given, "a whole number from 1");
  return given;
}

function amount(option: string, given: number | undefined, otherwise: number): number {
  if (given === undefined) return otherwise;
  if (!(given >= 0 && Number.isFinite(given))) throw badOption(option, given, "a number of milliseconds from 0");
  return given;
}

function callback<T>(option: string, given: T | undefined): T | undefined {
  if (given !== undefined && typeof given !== "function") throw badOption(option, given, "a function");
  return given;
}
