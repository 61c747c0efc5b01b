/**
 * What an input becomes before it can be planned: a fitted chain and leaves. It copies leaves into engine memory where they must lie
 * there, and decides nothing about where they are reduced.
 */
import { BYTES, type LeafBlock } from "./backends/memory.ts";
import type { WasmBackend } from "./backends/wasm.ts";
import { FourfoldError } from "./errors.ts";
import type { Job } from "./job.ts";
import { type EngineOptions, keptLevels, type RunOptions } from "./options.ts";
import type { Chain } from "./reduce/chain.ts";
import type { LevelKeys } from "./reduce/group.ts";
import { type RejectedRows, readGrouped } from "./reduce/grouped.ts";
import { type Input, readInput } from "./reduce/input.ts";
import { refuseNaN } from "./reduce/nan.ts";
import { type Fitted, fit } from "./reduce/resolve.ts";
import { strataOf } from "./reduce/strata.ts";
import { denseTree, dtypeOf, ofDtype, readRagged, type Tree } from "./reduce/tree.ts";
import type { Accuracy, Dtype, NanPolicy, TensorSource, TypedData } from "./types.ts";

/** A piece of a foreign array that is reduced at one go: some milliseconds. */
export const PIECE_BYTES_MAX: number = 8 << 20;

/** What an input became: all that a plan and a run need. */
export interface Problem {
  readonly chain: Chain;
  readonly fitted: Fitted;
  readonly data: TypedData;
  readonly keys: readonly LevelKeys[] | undefined;
  readonly order: Uint32Array | undefined;
  /** The leaf values as the caller gave them, for drill-down; undefined where they are gone after the run. */
  readonly given: TypedData | undefined;
  /** Engine memory that holds a copy of the data for this run. */
  readonly copy: LeafBlock | undefined;
  /** What its source left out. */
  readonly rejected?: RejectedRows | undefined;
}

/** Makes problems of inputs, with the defaults of one engine. */
export class Problems {
  readonly #wasm: WasmBackend;
  readonly #defaults: Pick<EngineOptions, "accuracy" | "nan">;

  constructor(wasm: WasmBackend, defaults: Pick<EngineOptions, "accuracy" | "nan">) {
    this.#wasm = wasm;
    this.#defaults = defaults;
  }

  nan({ nan }: RunOptions): NanPolicy {
    return nan ?? this.#defaults.nan ?? "propagate";
  }

  accuracy({ accuracy }: RunOptions, { form }: Pick<Tree, "form">): Accuracy {
    return accuracy ?? this.#defaults.accuracy ?? (form === "rows" ? "fast" : "reproducible");
  }

  /** Reads a job's records into engine memory. `check` is called when they are there, and may throw. */
  async ofJob(job: Job, { signal, onProgress, nan = job.nan, ...options }: RunOptions, check: () => void): Promise<Problem> {
    let copy: LeafBlock | undefined;
    const allocate = (dtype: Dtype, length: number): TypedData => {
      copy?.free(); // a source may think again
      copy = this.#wasm.heaps.allocateLeaves(length * BYTES[dtype]);
      return copy.block.heap.view(dtype, copy.block.at, length);
    };
    try {
      const table = await job.read({ nan, allocate, ...(signal && { signal }), ...(onProgress && { onProgress }) });
      check();
      this.#wasm.stats.bytesCopied += table.bytesCopied ?? 0;
      const { chain, tree, keys } = readGrouped(table);
      const fitted = fit(chain, tree, nan, this.accuracy(options, tree), undefined, keys);
      // The records' memory is given back after the run, so drill-down to the leaves needs a copy of its own.
      const given = keptLevels(chain, options.keep)[0] ? table.values.slice() : undefined;
      return { chain, fitted, data: table.values, keys, order: undefined, given, copy, rejected: table.rejected };
    } catch (error) {
      copy?.free();
      throw error;
    }
  }

  /** A tensor at rest as a fitted chain; its leaves stay where they are. A generator that yields between slices of work. */
  *ofResting(chain: Chain, { dtype, length, shape, offsets = [] }: TensorSource, options: RunOptions): Generator<void, Problem> {
    const tree = shape === undefined ? yield* readRagged(chain, offsets, length) : denseTree(chain, shape, length, Number.MAX_SAFE_INTEGER);
    const fitted = fit(chain, tree, this.nan(options), this.accuracy(options, tree));
    return { chain, fitted, data: ofDtype(dtype, 0), keys: undefined, order: undefined, given: undefined, copy: undefined };
  }

  /** An input as a fitted chain and leaves. A generator that yields between slices of work. */
  *ofInput(chain: Chain, input: Input, options: RunOptions): Generator<void, Problem> {
    const { tree, data, keys, order } = yield* readInput(chain, input);
    const grouped = order && { order, records: data.length };
    const fitted = fit(chain, tree, this.nan(options), this.accuracy(options, tree), grouped, keys);
    if (order === undefined && !this.#hasLongPieces(fitted, data))
      return { chain, fitted, data, keys, order, given: data, copy: undefined };
    return { chain, fitted, ...(yield* this.#place(data, order)), keys, order, given: data };
  }

  /** True for a foreign array that cannot be reduced in short pieces, because one node alone reads more: it is placed whole instead. */
  #hasLongPieces(fitted: Fitted, data: TypedData): boolean {
    if (data.byteLength <= PIECE_BYTES_MAX || this.#wasm.heaps.leavesOf(data)) return false;
    return strataOf(fitted)[0]!.childrenMax * data.BYTES_PER_ELEMENT > PIECE_BYTES_MAX;
  }

  /** Copies leaves into engine memory, in the order of their groups, where workers can read them. */
  *#place(given: TypedData, order: Uint32Array | undefined): Generator<void, { data: TypedData; copy: LeafBlock }> {
    const dtype = dtypeOf(given)!;
    const length = order?.length ?? given.length;
    const copy = this.#wasm.heaps.allocateLeaves(length * BYTES[dtype]);
    const { heap, at, bytes } = copy.block;
    const data = heap.view(dtype, at, length);
    const slice = 1 << 16;
    try {
      for (let start = 0; start < length; start += slice) {
        const end = Math.min(start + slice, length);
        if (order) for (let i = start; i < end; i++) data[i] = given[order[i]!]!;
        else data.set(given.subarray(start, end), start);
        yield;
      }
    } catch (error) {
      copy.free();
      throw error;
    }
    this.#wasm.stats.bytesCopied += bytes;
    return { data, copy };
  }
}

/** True if a NaN among the leaves is an error, and there may be one. */
export function refusesNaN({ fitted, data }: Problem): boolean {
  const dtype = dtypeOf(data);
  return fitted.nan === "error" && (dtype === "f64" || dtype === "f32");
}

/** Looks for the first NaN. @throws FourfoldError ERR_FOURFOLD_NAN with its index */
export function refuseNaNOf({ fitted, data, order }: Problem): Generator<void, void> {
  return refuseNaN(fitted.levels[0]!.name, data, order);
}

/** True for the error of a NaN under `nan: "error"`. */
export function isNaNError(error: unknown): boolean {
  return error instanceof FourfoldError && error.code === "ERR_FOURFOLD_NAN";
}
