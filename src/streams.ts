/** Streams, joined with what an engine has: kernels for frames, memory, the policy of batches, a clock. */
import { badOption, checkNames, FourfoldError, show } from "./errors.ts";
import type { RunOptions } from "./options.ts";
import type { Chain } from "./reduce/chain.ts";
import type { DenseInput, Tensor } from "./reduce/input.ts";
import { checkShape } from "./reduce/tree.ts";
import type { Result } from "./result.ts";
import { Batching, runsOf } from "./schedule/batching.ts";
import type { FrameRunner } from "./stream/batches.ts";
import { FrameStore } from "./stream/frames.ts";
import { itemReader, type StreamItem } from "./stream/items.ts";
import type { StreamSetup } from "./stream/options.ts";
import { FrameRing } from "./stream/ring.ts";
import { Stream } from "./stream/stream.ts";
import type { Reader } from "./stream/types.ts";
import type { Dtype, TypedData } from "./types.ts";

/** What a stream may read: iterables of items, readers such as those of `fourfold/stream`, or a ring. */
export type StreamSource = AsyncIterable<StreamItem> | Iterable<StreamItem> | ReadableStream | Reader | FrameRing;

/** A Web stream, as Node has it: an async iterable. */
interface ReadableStream {
  [Symbol.asyncIterator](): AsyncIterator<StreamItem>;
}

/** What streams read of a run's result. */
type FrameRun = Pick<Result, "values" | "level">;

/** The calls of an engine that streams need. */
export interface StreamHost {
  tensor(shape: readonly number[], dtype: Dtype): Tensor;
  run(chain: Chain, input: DenseInput, options: FrameOptions): Promise<FrameRun>;
  runSync(chain: Chain, input: DenseInput, options: FrameOptions): FrameRun;
}

type FrameOptions = Pick<RunOptions, "nan" | "accuracy">;

/** Buffers of a ring: one is filled while others wait or are reduced. */
const RING_BUFFERS = 4;

/** A stream of an engine. @throws FourfoldError ERR_FOURFOLD_ARGUMENT for what is no source */
export function openStream(host: StreamHost, setup: StreamSetup, source: StreamSource | readonly StreamSource[]): Stream {
  const sources = isList(source) ? source : [source as StreamSource];
  const ring = sources.find((one): one is FrameRing => one instanceof FrameRing);
  if (ring) checkRing(ring, setup, sources.length);
  const readers = ring ? [] : sources.map((one, i) => readerOf(one, i, sources.length));
  if (setup.checkpoint) checkReplayable(ring, readers);
  const { dtype = "f64" } = setup.frame ?? {};
  const now = (): number => performance.timeOrigin + performance.now();
  const allocate = (values: number): { data: TypedData; free(): void } => host.tensor([values], dtype);
  return new Stream(setup, ring ?? readers, {
    runner: frameRunner(host, setup),
    allocate,
    batching: new Batching(setup),
    now,
  });
}

/** A ring in memory of an engine. @throws FourfoldError ERR_FOURFOLD_ARGUMENT, and what making a tensor throws */
export function openRing(host: StreamHost, shape: readonly number[], dtype: Dtype, options: { readonly framesMax: number }): FrameRing {
  checkNames("frameRing", options, ["framesMax"]);
  const { framesMax } = options;
  if (!Number.isInteger(framesMax) || framesMax < RING_BUFFERS)
    throw badOption("framesMax", framesMax, `a whole number from ${RING_BUFFERS}`);
  checkShape(shape);
  const values = shape.reduce((product, extent) => product * extent, 1);
  const tensors = Array.from({ length: RING_BUFFERS }, () => host.tensor([Math.floor(framesMax / RING_BUFFERS) * values], dtype));
  const store = new FrameStore(
    tensors.map(({ data }) => data),
    values,
    dtype,
  );
  return new FrameRing(store, shape, () => {
    for (const tensor of tensors) tensor.free();
  });
}

/** Runs frames that lie side by side through an engine, in runs of a few sizes, each with a plan that the engine keeps. */
function frameRunner(host: StreamHost, { frame, outer, policy: { nan, accuracy } }: StreamSetup): FrameRunner {
  const { shape = [], values: size = 1 } = frame ?? {};
  const options = { nan, accuracy };
  // Levels above skip a frame of which nothing is kept (contract clause 10), and its own value does not say so.
  const marksMissing = nan === "skip" && outer !== undefined;
  const valuesOf = (chain: Chain, result: FrameRun): Float64Array => {
    if (!marksMissing) return result.values;
    const nodes = [...result.level(chain.levels.at(-1)!.name)];
    return Float64Array.from(nodes, ({ value, count }) => (count === 0 ? Number.NaN : value));
  };
  const inputs = (data: TypedData, frames: number): DenseInput[] => {
    let done = 0;
    return runsOf(frames).map((run) => {
      const input = { data: data.subarray(done * size, (done + run) * size), shape: [run, ...shape] };
      done += run;
      return input;
    });
  };
  return {
    run: async (chain, data, frames) => {
      const parts: Float64Array[] = [];
      for (const input of inputs(data, frames)) parts.push(valuesOf(chain, await host.run(chain, input, options)));
      return joined(parts);
    },
    runSync: (chain, data, frames) => joined(inputs(data, frames).map((input) => valuesOf(chain, host.runSync(chain, input, options)))),
  };
}

function joined(parts: readonly Float64Array[]): Float64Array {
  if (parts.length === 1) return parts[0]!;
  const all = new Float64Array(parts.reduce((total, { length }) => total + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** A checkpoint is of no use to a source that cannot go back: better said now than after the crash. */
function checkReplayable(ring: FrameRing | undefined, readers: readonly Reader[]): void {
  const other = ring ? "ring" : readers.find(({ replayable, live }) => !replayable && !live)?.name;
  if (other === undefined) return;
  throw new FourfoldError("ERR_FOURFOLD_SOURCE", `a checkpoint, and source "${other}" cannot go back to where the checkpoint was made`, {
    given: other,
    fix: "Read a file by its path, tail(), or replayable(name, (from) => …); or leave the checkpoint out",
  });
}

function checkRing({ shape, store }: FrameRing, { frame }: StreamSetup, sources: number): void {
  const wanted = `[${shape.join(", ")}] ${store.dtype}`;
  const given = frame ? `[${frame.shape.join(", ")}] ${frame.dtype}` : "none";
  if (sources > 1 || given !== wanted)
    throw new FourfoldError(
      "ERR_FOURFOLD_ARGUMENT",
      sources > 1 ? "a ring and other sources in one stream" : `the ring has frames of ${wanted}, the stream's option frame is ${given}`,
      {
        given,
        expected: wanted,
        fix: sources > 1 ? "Give the ring a stream of its own" : `Give frame: { shape: [${shape.join(", ")}], dtype: "${store.dtype}" }`,
      },
    );
}

/** A list of sources; a list of items is one source, which no list with a reader, a ring or an async iterable in it is. */
function isList(given: unknown): given is readonly StreamSource[] {
  return Array.isArray(given) && given.some(isSource) && given.every((one) => isSource(one) || Array.isArray(one));
}

function isSource(given: unknown): given is StreamSource {
  if (typeof given !== "object" || given === null || ArrayBuffer.isView(given)) return false;
  if (given instanceof FrameRing || isReader(given)) return true;
  return Symbol.asyncIterator in given || (Symbol.iterator in given && !Array.isArray(given));
}

function isReader(given: unknown): given is Reader {
  const { name, read } = (given ?? {}) as Partial<Reader>;
  return typeof read === "function" && typeof name === "string" && !(Symbol.asyncIterator in (given as object));
}

function readerOf(source: StreamSource, index: number, sources: number): Reader {
  if (isReader(source)) return source;
  if (typeof source === "object" && source !== null && (Symbol.asyncIterator in source || Symbol.iterator in source))
    return itemReader(sources === 1 ? "items" : `items ${index}`, source as AsyncIterable<StreamItem>);
  throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `the source is ${show(source)}`, {
    given: source,
    expected: "an iterable, a stream, a reader or a ring",
    fix: "Give an async iterable of records or frames, or what fourfold/stream makes: ndjson(process.stdin)",
  });
}
