/** What a chain can run on, and how each kind of input becomes a tree and leaves. */
import { badOption, FourfoldError, show } from "../errors.ts";
import type { Data, Dtype, TypedData } from "../types.ts";
import type { Chain } from "./chain.ts";
import { groupRecords, type LevelKeys, type NullKeys } from "./group.ts";
import type { KeyColumn } from "./key.ts";
import { denseTree, type Offsets, readData, readRagged, type Tree } from "./tree.ts";

/** A dense tensor: the last axis is reduced by level f. */
export interface DenseInput {
  readonly data: Data;
  /** [...frames, one extent for each level], outermost first. */
  readonly shape: readonly number[];
}

/** Ragged rows: offsets[0] cuts data into rows, offsets[1] rows into g-nodes, …; a missing outer one means one node. */
export interface RaggedInput {
  readonly data: Data;
  readonly offsets?: readonly Offsets[];
}

/** Keyed records: order-free, summed exactly at every level. */
export interface KeyedInput {
  readonly values: Data;
  /** One column for each key, outermost first. */
  readonly keys: Readonly<Record<string, KeyColumn>>;
  /** The key columns that name the nodes of each level, innermost level first. Default: all of them, then one fewer at each level. */
  readonly by?: readonly (readonly string[])[];
  /** What to do with null and NaN keys. Default `"error"`. */
  readonly nullKeys?: NullKeys;
}

/** A tensor in engine memory: kernels read it where it lies. */
export interface Tensor {
  /** A view of engine memory: fill it. */
  readonly data: TypedData;
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  /** Gives the memory back; the view must not be used afterwards. */
  free(): void;
}

/** What a chain can run on. Bare numbers are one row. */
export type Input = DenseInput | RaggedInput | KeyedInput | Tensor | Data;

/** An input as its tree and its leaves. */
export interface ReadInput {
  readonly tree: Tree;
  /** The leaf values as they were given, converted to a typed array where they were none. */
  readonly data: TypedData;
  /** For keyed records: the keys of each level's nodes, and the record that stands at each leaf. */
  readonly keys: readonly LevelKeys[] | undefined;
  readonly order: Uint32Array | undefined;
}

/** True if the shape and dtype of an input say all about its tree, so that a plan for it can be used again. */
export function isDense(input: Input): input is DenseInput | Tensor {
  const { shape, offsets } = (input ?? {}) as { shape?: unknown; offsets?: unknown };
  return shape !== undefined && offsets === undefined;
}

/**
 * Reads an input. A generator that yields between slices of work, for the sake of the caller's event loop.
 * @throws FourfoldError for shapes, offsets, keys and values that do not fit
 */
export function* readInput(chain: Chain, input: Input): Generator<void, ReadInput> {
  if (isKeyed(input)) {
    checkKeyed(input);
    const data = yield* readData(input.values);
    const grouping = yield* groupRecords(chain, data.length, input.keys, keyDepths(chain, input), input.nullKeys ?? "error");
    return { ...grouping, data };
  }
  const bare = ArrayBuffer.isView(input) || Array.isArray(input);
  const {
    data: given,
    shape,
    offsets,
  } = (bare ? { data: input } : (input ?? {})) as { data?: Data; shape?: readonly number[]; offsets?: readonly Offsets[] };
  if (given === undefined)
    throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `the input is ${show(input)}`, {
      given: input,
      fix: "Give { data, shape }, { data, offsets }, { values, keys }, a tensor, or numbers",
    });
  if (shape !== undefined && offsets !== undefined)
    throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", "the input has both shape and offsets", {
      given: input,
      expected: "shape or offsets",
      fix: "Give shape where all nodes of a level have one length, offsets where they differ",
    });
  const data = yield* readData(given);
  const tree = shape === undefined ? yield* readRagged(chain, offsets ?? [], data.length) : denseTree(chain, shape, data.length);
  return { tree, data, keys: undefined, order: undefined };
}

function isKeyed(input: Input): input is KeyedInput {
  return (
    typeof input === "object" &&
    input !== null &&
    !ArrayBuffer.isView(input) &&
    !Array.isArray(input) &&
    "keys" in input &&
    "values" in input
  );
}

/** Checks the shape of keyed records. @throws FourfoldError ERR_FOURFOLD_KEYS, ERR_FOURFOLD_ARGUMENT */
export function checkKeyed({ keys, by, nullKeys }: KeyedInput): void {
  const refuse = (found: string, given: unknown, fix: string): never => {
    throw new FourfoldError("ERR_FOURFOLD_KEYS", found, { given, fix });
  };
  if (typeof keys !== "object" || keys === null)
    refuse(`the keys are ${show(keys)}`, keys, "Give an object of key columns, outermost first: keys: { state, origin }");
  for (const name of Object.keys(keys))
    if (/^(0|[1-9]\d*)$/.test(name))
      refuse(
        `key column name "${name}" is an integer, which JavaScript objects move to the front`,
        name,
        `Use a name such as "key${name}"`,
      );
  if (by !== undefined && !(Array.isArray(by) && by.every(Array.isArray)))
    refuse(`by is ${show(by)}`, by, "Give an array of key names for each level, innermost first");
  if (nullKeys !== undefined && !["error", "skip", "group"].includes(nullKeys))
    throw badOption("nullKeys", nullKeys, '"error", "skip" or "group"');
}

/** The number of key columns that name the nodes of each level. @throws FourfoldError ERR_FOURFOLD_KEYS */
export function keyDepths(chain: Chain, { keys, by }: KeyedInput): number[] {
  const names = Object.keys(keys);
  if (by === undefined) return chain.levels.map((_, i) => Math.max(0, names.length - i));
  if (by.length > chain.levels.length)
    throw new FourfoldError("ERR_FOURFOLD_KEYS", `by has ${by.length} entries for ${chain.levels.length} levels`, {
      given: by.length,
      expected: chain.levels.length,
      fix: "Give one for each level, innermost first",
    });
  let previous = names.length;
  return chain.levels.map(({ name }, i) => {
    const given = by[i] ?? [];
    const expected = names.slice(0, given.length);
    if (given.length > previous || given.some((key, k) => key !== expected[k]))
      throw new FourfoldError(
        "ERR_FOURFOLD_KEYS",
        `level "${name}": by [${given.join(", ")}], expected the first ${Math.min(given.length, previous)} of [${names.slice(0, previous).join(", ")}]`,
        {
          given,
          expected,
          fix: "A level is named by the leading keys of the level inside it",
          at: { level: name },
        },
      );
    previous = given.length;
    return given.length;
  });
}
