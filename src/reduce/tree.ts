/**
 * The hierarchy of one input: for each level of a chain, how many nodes it has and which children are whose.
 * Dense tensors, ragged offsets and keyed records all become a Tree, and errors about shapes are raised here.
 */
import { FourfoldError, show } from "../errors.ts";
import type { Data, Dtype, TypedData } from "../types.ts";
import { isDetached, typedArrayName } from "./arrays.ts";
import type { Chain } from "./chain.ts";
import { finish, SLICE } from "./slices.ts";

/** The children of one level: node n has `extent` children, or those from offsets[n] to offsets[n + 1]. */
export interface TreeLevel {
  readonly name: string;
  readonly nodes: number;
  readonly children: number;
  /** The one length of every node of this level; undefined where they differ. */
  readonly extent: number | undefined;
  /** nodes + 1 offsets into the children; undefined where `extent` says it all. */
  readonly offsets: Uint32Array | undefined;
}

/** The hierarchy of one input, innermost level first. */
export interface Tree {
  /** Rows have an order and use lanes at level f; records have none and are summed exactly (clause 1). */
  readonly form: "rows" | "records";
  readonly leaves: number;
  readonly levels: readonly TreeLevel[];
  /** The shape of the outermost nodes: one entry for each axis of frames. */
  readonly frames: readonly number[];
}

/** Offsets of ragged levels, in the manner of Arrow lists: n + 1 of them for n nodes. */
export type Offsets = readonly number[] | Int32Array | Uint32Array | BigInt64Array;

/** Children of one level, and nodes: offsets and addresses in kernels are 32 bits wide. */
export const CHILDREN_MAX: number = 2 ** 32 - 1;

const DTYPES: ReadonlyMap<string | undefined, Dtype> = new Map([
  ["Float32Array", "f32"],
  ["Float64Array", "f64"],
  ["Int32Array", "i32"],
  ["Int16Array", "i16"],
  ["Int8Array", "i8"],
  ["Uint8Array", "u8"],
]);

/** The dtype of a typed array, or undefined if Fourfold does not reduce its kind. */
export function dtypeOf(data: unknown): Dtype | undefined {
  return DTYPES.get(typedArrayName(data));
}

/**
 * Leaf values as a typed array; typed arrays are read where they lie, the others are converted exactly. Yields between slices of work.
 * @throws FourfoldError ERR_FOURFOLD_DTYPE, ERR_FOURFOLD_INTEGER for a BigInt beyond ±2^53, or ERR_FOURFOLD_ARGUMENT for a transferred array
 */
export function* readData(data: Data): Generator<void, TypedData> {
  if (ArrayBuffer.isView(data) && isDetached(data))
    throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", "data is an array whose memory was transferred away", {
      given: data,
      fix: "Reduce it before it is transferred, or give a copy",
    });
  const dtype = dtypeOf(data);
  if (dtype !== undefined) return plainView(data as TypedData, dtype);
  if (Array.isArray(data) || typedArrayName(data) === "BigInt64Array") {
    const values = new Float64Array(data.length);
    for (let i = 0; i < values.length; i++) {
      const x: unknown = data[i];
      if (typeof x === "number") values[i] = x;
      else values[i] = fromBigInt(x, i, data);
      if (i % SLICE === SLICE - 1) yield;
    }
    return values;
  }
  throw new FourfoldError("ERR_FOURFOLD_DTYPE", `data is ${show(data)}, expected numbers`, {
    given: data,
    expected: "Float32Array, Float64Array, Int32Array, Int16Array, Int8Array, Uint8Array, BigInt64Array or number[]",
    fix: "Convert it, for example with Float64Array.from(data)",
  });
}

const ARRAYS = { f32: Float32Array, f64: Float64Array, i32: Int32Array, i16: Int16Array, i8: Int8Array, u8: Uint8Array } as const;

/** An array of a dtype, all zero. */
export function ofDtype(dtype: Dtype, length: number): TypedData {
  return new ARRAYS[dtype](length);
}

/** The array itself, or a plain view of it where its class is another's, whose methods may do anything. */
function plainView(data: TypedData, dtype: Dtype): TypedData {
  const Plain = ARRAYS[dtype];
  return data.constructor === Plain ? data : new Plain(data.buffer as ArrayBuffer, data.byteOffset, data.length);
}

const INTEGER_MAX = 2n ** 53n;

/** A value of a BigInt64Array as a number. */
function fromBigInt(x: unknown, index: number, data: Data): number {
  if (typeof x !== "bigint" || Array.isArray(data))
    throw new FourfoldError("ERR_FOURFOLD_DTYPE", `data[${index}] is ${show(x)}, expected a number`, {
      given: x,
      expected: "number",
      at: { index },
    });
  if (x <= INTEGER_MAX && x >= -INTEGER_MAX) return Number(x);
  throw new FourfoldError("ERR_FOURFOLD_INTEGER", `data[${index}] is ${x}, beyond ±2^53`, {
    given: x,
    expected: "an integer that float64 holds exactly",
    fix: "Scale the integers, or convert them yourself if rounding them is right",
    at: { index },
  });
}

/** Refuses what is no shape. @throws FourfoldError ERR_FOURFOLD_SHAPE */
export function checkShape(shape: unknown): asserts shape is readonly number[] {
  if (!Array.isArray(shape))
    throw shapeError(`shape is ${show(shape)}, expected an array of integers`, shape, "an array of integers of 0 or more");
  for (let axis = 0; axis < shape.length; axis++) {
    const extent: unknown = shape[axis]; // undefined where the list has a hole
    if (!Number.isSafeInteger(extent) || (extent as number) < 0)
      throw shapeError(
        `shape [${shape.join(", ")}]: axis ${axis} is ${show(extent)}, expected an integer of 0 or more`,
        shape,
        "integers of 0 or more",
        axis,
      );
  }
}

/**
 * The tree of a dense tensor of shape [...frames, D, C, B, A]: the last axis is level f. `childrenMax` is more than usual for what is cut
 * before it runs.
 * @throws FourfoldError ERR_FOURFOLD_SHAPE
 */
export function denseTree(chain: Chain, shape: readonly number[], length: number | undefined, childrenMax: number = CHILDREN_MAX): Tree {
  const { levels } = chain;
  checkShape(shape);
  if (shape.length < levels.length)
    throw shapeError(
      `shape [${shape.join(", ")}] has ${shape.length} axes, the chain has ${levels.length} levels`,
      shape,
      `${levels.length} axes or more`,
    );
  const leaves = shape.reduce((product, extent) => product * extent, 1);
  if (length !== undefined && leaves !== length)
    throw shapeError(`shape [${shape.join(", ")}] holds ${leaves} values, data has ${length}`, shape, `${length} values`);
  const frames = shape.slice(0, shape.length - levels.length);
  let nodes = 1;
  const outermostFirst: TreeLevel[] = [];
  for (const extent of frames) nodes *= extent;
  for (let i = levels.length - 1, axis = frames.length; i >= 0; i--, axis++) {
    const extent = shape[axis]!;
    const most = Math.max(nodes, nodes * extent);
    if (most > childrenMax)
      throw shapeError(
        `level "${levels[i]!.name}" (axis ${axis}): ${most} ${most > nodes ? "children" : "nodes"} in all, a level has at most ${childrenMax}`,
        shape,
        childrenMax,
        axis,
        TOO_MANY_FIX,
      );
    outermostFirst.push({ name: levels[i]!.name, nodes, children: nodes * extent, extent, offsets: undefined });
    nodes *= extent;
  }
  return { form: "rows", leaves, levels: outermostFirst.reverse(), frames };
}

/**
 * The tree of ragged rows: offsets[0] cuts data into rows, offsets[1] rows into g-nodes, …; a missing outer one means one node.
 * @throws FourfoldError ERR_FOURFOLD_OFFSETS
 */
export function raggedTree(chain: Chain, offsets: readonly Offsets[], leaves: number, form: Tree["form"] = "rows"): Tree {
  return finish(readRagged(chain, offsets, leaves, form));
}

/** {@link raggedTree}, yielding between slices of work. */
export function* readRagged(chain: Chain, offsets: readonly Offsets[], leaves: number, form: Tree["form"] = "rows"): Generator<void, Tree> {
  const { levels } = chain;
  if (!Array.isArray(offsets))
    throw new FourfoldError("ERR_FOURFOLD_OFFSETS", `the offsets are ${show(offsets)}, expected an array of offset arrays`, {
      given: offsets,
      fix: OFFSETS_FIX,
    });
  if (offsets.length > levels.length)
    throw new FourfoldError("ERR_FOURFOLD_OFFSETS", `${offsets.length} offset arrays for ${levels.length} levels`, {
      given: offsets.length,
      expected: `at most ${levels.length}`,
      fix: "Give one offset array for each level, innermost first; leave out the outer ones where there is one node",
    });
  let children = leaves;
  const tree: TreeLevel[] = [];
  for (const [i, { name }] of levels.entries()) {
    const given = offsets[i];
    checkChildren(name, children);
    const level: TreeLevel =
      given === undefined ? { name, nodes: 1, children, extent: children, offsets: undefined } : yield* cut(name, given, children);
    children = level.nodes;
    tree.push(level);
  }
  return { form, leaves, levels: tree, frames: offsets.length === levels.length ? [children] : [] };
}

function checkChildren(name: string, children: number): void {
  if (children <= CHILDREN_MAX) return;
  throw new FourfoldError("ERR_FOURFOLD_OFFSETS", `level "${name}": ${children} children in all, a level has at most ${CHILDREN_MAX}`, {
    given: children,
    expected: CHILDREN_MAX,
    fix: TOO_MANY_FIX,
    at: { level: name },
  });
}

const TOO_MANY_FIX = "Run parts of the data one after the other, and the outer levels on their values";

const OFFSETS_FIX = "Give one array of offsets for each level, innermost first: offsets: [[0, 3, 5]]";

function* cut(name: string, given: Offsets, children: number): Generator<void, TreeLevel> {
  if (!Array.isArray(given) && typedArrayName(given) === undefined)
    throw new FourfoldError("ERR_FOURFOLD_OFFSETS", `level "${name}": the offsets are ${show(given)}, expected an array`, {
      given,
      fix: OFFSETS_FIX,
      at: { level: name },
    });
  const fail = (index: number, problem: string): never => {
    throw new FourfoldError("ERR_FOURFOLD_OFFSETS", `level "${name}": offsets[${index}] is ${show(given[index])}, ${problem}`, {
      given: given[index],
      expected: `offsets from 0 to ${children} that never fall`,
      fix: "Offsets start at 0, never fall, and end at the number of children; cut the data with subarray() if it has more",
      at: { level: name, index },
    });
  };
  const nodes = given.length - 1;
  if (nodes < 0)
    throw new FourfoldError("ERR_FOURFOLD_OFFSETS", `level "${name}": the offsets are empty, expected one more than nodes`, {
      fix: "Start with 0: [0] is no node, [0, 0] one empty node",
      at: { level: name },
    });
  const offsets = new Uint32Array(nodes + 1);
  let previous = 0;
  let uniform = true;
  for (let i = 0; i <= nodes; i++) {
    const offset = typeof given[i] === "bigint" ? Number(given[i]) : (given[i] as number);
    if (!Number.isInteger(offset)) fail(i, "expected an integer");
    if (i === 0 && offset !== 0) fail(i, "expected 0");
    if (offset < previous) fail(i, `below the one before it (${previous})`);
    if (offset > children) fail(i, `past the end of ${children} children`);
    offsets[i] = offset;
    if (i > 1 && offset - previous !== offsets[1]) uniform = false;
    previous = offset;
    if (i % SLICE === SLICE - 1) yield;
  }
  if (previous !== children) fail(nodes, `expected ${children}, the number of children`);
  // Equal lengths are the dense case, which has the faster kernels and shared weights.
  return uniform
    ? { name, nodes, children, extent: offsets[1] ?? 0, offsets: undefined }
    : { name, nodes, children, extent: undefined, offsets };
}

/** The first child of `node` (node = nodes gives the end of the last). */
export function childStart(level: TreeLevel, node: number): number {
  return level.offsets === undefined ? node * level.extent! : level.offsets[node]!;
}

/** A cut of one array into rows: data for {@link Chain} with one offset array. */
export interface Distributed {
  readonly data: TypedData;
  readonly offsets: readonly [Uint32Array];
}

/**
 * Cuts data into parts as NumPy's `array_split` does: the first `length % parts` parts have one value more.
 * @throws FourfoldError ERR_FOURFOLD_ARGUMENT if parts is not an integer from 1 to 2^24; as {@link readData} for the data
 * @example distribute([1, 2, 3, 4, 5], { parts: 2 }) // rows [1, 2, 3] and [4, 5]
 */
export function distribute(data: Data, options: { readonly parts: number }): Distributed {
  const parts = (options as { readonly parts: number } | undefined | null)?.parts as number;
  if (!Number.isSafeInteger(parts) || parts < 1 || parts > 2 ** 24)
    throw new FourfoldError("ERR_FOURFOLD_ARGUMENT", `distribute: parts is ${show(parts)}, expected an integer from 1 to 2^24`, {
      given: parts,
      expected: "1 to 2^24",
    });
  const values = finish(readData(data));
  const offsets = new Uint32Array(parts + 1);
  const short = Math.floor(values.length / parts);
  const longer = values.length % parts;
  for (let i = 0; i < parts; i++) offsets[i + 1] = offsets[i]! + short + (i < longer ? 1 : 0);
  return { data: values, offsets: [offsets] };
}

const SHAPE_FIX = "A shape is [...frames, one extent for each level], outermost first; the last axis is reduced by the first level";

function shapeError(message: string, given: unknown, expected: unknown, axis?: number, fix: string = SHAPE_FIX): FourfoldError {
  return new FourfoldError("ERR_FOURFOLD_SHAPE", message, {
    given,
    expected,
    fix,
    ...(axis === undefined ? {} : { at: { axis } }),
  });
}
