/**
 * A fitted chain as TensorFlow.js operations in float32, the fewest that say it, level by level. It knows no backend but what
 * TensorFlow.js runs on when it is called, and holds no tensor between runs.
 *
 * Values travel as one tensor [planes, nodes] for each level, planes being the outputs of a weight matrix further in, or 1.
 * A level sees its children as [planes, rows, width]: a reshape where nodes have one length, else rows padded to a common
 * width. tfjs's segment sums are not used: they cost nodes × children, and 0 × NaN spills into every other segment.
 */
import { FourfoldError } from "../errors.ts";
import { emptyValue } from "../reduce/node.ts";
import type { BuiltIn } from "../reduce/reductions.ts";
import { builtIn, type Fitted, type FittedLevel, type FittedWeights } from "../reduce/resolve.ts";
import type { LevelValues } from "../reduce/result.ts";
import { childStart } from "../reduce/tree.ts";
import type { TypedData } from "../types.ts";

/** A tensor, as far as this file uses one. Its own types, so that users need not install TensorFlow.js to compile. */
export interface Tensor {
  readonly shape: readonly number[];
  data(): Promise<ArrayLike<number>>;
  dispose(): void;
}

/** The part of `@tensorflow/tfjs-core` that this file uses. */
export interface TensorModule {
  readonly version_core: string;
  getBackend(): string;
  findBackend(name: string): unknown;
  setBackend(name: string): Promise<boolean>;
  tidy<T>(work: () => T): T;
  keep(t: Tensor): Tensor;
  tensor(values: Float32Array | Int32Array | Uint8Array, shape: number[], dtype: "float32" | "int32" | "bool"): Tensor;
  fill(shape: number[], value: number, dtype: "float32" | "int32"): Tensor;
  scalar(value: number, dtype: "float32" | "int32"): Tensor;
  cast(x: Tensor, dtype: "float32" | "int32"): Tensor;
  reshape(x: Tensor, shape: number[]): Tensor;
  concat(parts: Tensor[], axis: number): Tensor;
  gather(x: Tensor, indices: Tensor, axis: number): Tensor;
  slice(x: Tensor, begin: number[], size: number[]): Tensor;
  matMul(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): Tensor;
  transpose(x: Tensor): Tensor;
  mul(a: Tensor, b: Tensor): Tensor;
  sub(a: Tensor, b: Tensor): Tensor;
  div(a: Tensor, b: Tensor): Tensor;
  square(x: Tensor): Tensor;
  sum(x: Tensor, axis: number): Tensor;
  min(x: Tensor, axis: number): Tensor;
  max(x: Tensor, axis: number): Tensor;
  isNaN(x: Tensor): Tensor;
  logicalNot(x: Tensor): Tensor;
  greater(a: Tensor, b: Tensor): Tensor;
  where(condition: Tensor, a: Tensor, b: Tensor): Tensor;
}

/** The levels of one run, innermost first; undefined where a level was not kept. */
export type RunLevels = readonly (LevelValues | undefined)[];

/** Leaves that lie on a device: uploaded once, for many runs. */
export interface Resident {
  /** [1, leaves], float32. */
  readonly tensor: unknown;
  /** The index of the first NaN, or −1. */
  readonly firstNan: number;
  /** The leaves as they were when they were uploaded, to the bit where float32 holds them. */
  leaves(): Promise<TypedData>;
  dispose(): void;
}

/** True for leaves that lie on a device. */
export function isResident(data: TypedData | Resident): data is Resident {
  return "tensor" in data;
}

/** A kept level on its way out: what must be read from tensors, and what is known already. */
interface Pending {
  readonly planes: number;
  readonly values: Tensor | Float64Array;
  /** The kept children of each node, under `skip`. */
  readonly kept: Tensor | undefined;
  readonly records: Tensor | undefined;
}

/** The values of one level, for the level above it. */
interface Built {
  /** [planes, nodes]; NaN for a missing node. */
  readonly values: Tensor;
  readonly planes: number;
  /** Under `skip`: the kept children [planes or 1, nodes], int32. */
  readonly kept: Tensor | undefined;
  /** The kept records below each node: a tensor [planes or 1, nodes], int32, under `skip`; else from the tree, where "count" weights ask for them. */
  readonly records: Tensor | Float64Array | undefined;
}

/** The rows of a level that are reduced together: `rows` nodes, each padded to `width` children. */
interface Group {
  /** The nodes of a ragged level, ascending; undefined where all nodes of the level have the length `width`. */
  readonly nodes: Uint32Array | undefined;
  /** The first node, where there is no list. */
  readonly first: number;
  readonly rows: number;
  readonly width: number;
}

/** All tensor work of one run, synchronous: it leaves only the tensors that are to be read. */
export function buildLevels(
  tf: TensorModule,
  fitted: Fitted,
  data: TypedData | Resident,
  keep: readonly boolean[],
  hasNan: boolean | undefined,
  bytesMax: number,
): readonly (Pending | undefined)[] {
  const outermost = fitted.levels.length - 1;
  let pending: readonly (Pending | undefined)[] = [];
  tf.tidy(() => {
    const levels: Built[] = [];
    for (let index = 0; index <= outermost; index++)
      levels.push(new LevelBuild(tf, fitted, index, data, levels[index - 1], hasNan, bytesMax).run());
    // Kept last of all: an operation that throws leaves nothing behind.
    pending = levels.map((built, index) =>
      keep[index] === true || index === outermost ? pend(tf, fitted.levels[index]!, built) : undefined,
    );
  });
  return pending;
}

/** Keeps the tensors of a level beyond tidy: its own, which the level above may share. */
function pend(tf: TensorModule, level: FittedLevel, { values, planes, kept, records }: Built): Pending {
  // keep() takes a tensor out of every tidy around it, the caller's too: each is disposed once it is read.
  const held = (x: Tensor): Tensor => tf.keep(x);
  const counts = builtIn(level) === "count";
  const exact =
    counts && kept === undefined
      ? Float64Array.from({ length: planes * level.nodes }, (_, i) => lengthOf(level, i % level.nodes))
      : undefined;
  return {
    planes,
    values: exact ?? held(values),
    kept: kept && held(kept),
    records: isTensor(records) ? held(records) : undefined,
  };
}

/** Reads the values of the kept levels, and gives their tensors back. */
export async function readLevels(fitted: Fitted, pending: readonly (Pending | undefined)[]): Promise<RunLevels> {
  const tensors = new Set(pending.flatMap((p) => (p ? [p.values, p.kept, p.records] : [])).filter(isTensor));
  try {
    const read = new Map<Tensor, ArrayLike<number>>();
    await Promise.all(Array.from(tensors, async (t) => read.set(t, await t.data())));
    // Copies: data() may give memory that TensorFlow.js, or the caller, still writes to.
    const floats = (x: Tensor | Float64Array): Float64Array => (isTensor(x) ? new Float64Array(read.get(x)!) : x);
    return pending.map((p, index): LevelValues | undefined => {
      if (p === undefined) return undefined;
      const { nodes } = fitted.levels[index]!;
      const kind = builtIn(fitted.levels[index]!)!;
      const values = floats(p.values);
      const kept = p.kept && read.get(p.kept)!;
      finish(values, kept, kind);
      return { values, outputs: p.planes, records: p.records && floats(p.records).slice(0, nodes) };
    });
  } finally {
    for (const t of tensors) t.dispose();
  }
}

/** Every NaN with the contract's bits; a missing node, carried as NaN, as the empty value; counts from the integers. */
function finish(values: Float64Array, kept: ArrayLike<number> | undefined, kind: BuiltIn): void {
  const empty = emptyValue(kind);
  for (let i = 0; i < values.length; i++) {
    const n = kept?.[i % kept.length];
    if (n !== undefined && kind === "count") values[i] = n;
    else if (values[i] !== values[i]) values[i] = n === 0 ? empty : Number.NaN;
  }
}

function isTensor(x: Tensor | Float64Array | undefined): x is Tensor {
  return x !== undefined && !(x instanceof Float64Array);
}

/** One level being built. */
class LevelBuild {
  private readonly tf: TensorModule;
  private readonly level: FittedLevel;
  private readonly kind: BuiltIn;
  private readonly skip: boolean;
  /** Whether a level further out weighs by "count". */
  private readonly counted: boolean;
  private readonly data: TypedData | Resident;
  private readonly below: Built | undefined;
  /** Whether leaves hold a NaN; undefined where nobody looked. */
  private readonly hasNan: boolean | undefined;
  /** Planes of the children, and of the result. */
  private readonly planes: number;
  private readonly outputs: number;
  /** Bytes that one tensor may have. */
  private readonly bytesMax: number;

  constructor(
    tf: TensorModule,
    fitted: Fitted,
    index: number,
    data: TypedData | Resident,
    below: Built | undefined,
    hasNan: boolean | undefined,
    bytesMax: number,
  ) {
    const level = fitted.levels[index]!;
    this.tf = tf;
    this.level = level;
    this.kind = builtIn(level)!;
    this.skip = fitted.nan === "skip";
    this.counted = fitted.levels.some(({ weights }, i) => i > index && weights.form === "count");
    this.data = data;
    this.below = below;
    this.hasNan = hasNan;
    this.planes = below?.planes ?? 1;
    this.outputs = level.weights.form === "matrix" ? level.weights.rows : this.planes;
    this.bytesMax = bytesMax;
  }

  run(): Built {
    const groups = groupsOf(this.level).flatMap((group) => this.split(group));
    // Each part has a tidy of its own, so that what it needed beside its result serves the next one.
    const parts = groups.map((group) =>
      this.tf.tidy(() => (group.rows === 0 || group.width === 0 ? this.empty(group) : this.group(group))),
    );
    const values = this.join(
      groups,
      parts.map((p) => p.values),
    );
    if (!this.skip) return { values, planes: this.outputs, kept: undefined, records: this.counted ? this.recordsOfTree() : undefined };
    const kept = this.join(
      groups,
      parts.map((p) => p.kept!),
    );
    const records =
      this.below === undefined
        ? kept
        : this.join(
            groups,
            parts.map((p) => p.records!),
          );
    return { values, planes: this.outputs, kept, records };
  }

  /** A group as groups that each fit into the device's tensors. @throws FourfoldError ERR_FOURFOLD_MEMORY if a row does not */
  private split(group: Group): readonly Group[] {
    if (this.bytesMax === Number.POSITIVE_INFINITY) return [group];
    const { nodes, rows, width } = group;
    const values = Math.max(this.planes, this.outputs);
    // The level's values are one tensor, and so are its children with the one that stands for padding.
    for (const [what, bytes] of [
      ["a row", 4 * values * width],
      ["the values", 4 * values * this.level.nodes],
      ["the children", this.below ? 4 * this.planes * (this.level.children + 1) : 0],
    ] as const)
      if (bytes > this.bytesMax)
        throw new FourfoldError(
          "ERR_FOURFOLD_MEMORY",
          `level "${this.level.name}": ${what} would take ${bytes} bytes on the device, its tensors have at most ${this.bytesMax}`,
          { given: bytes, expected: this.bytesMax, fix: 'Use backend "wasm", or run fewer frames at once', at: { level: this.level.name } },
        );
    const pieceBytes = Math.min(this.bytesMax, PIECE_BYTES);
    const most = Math.max(1, Math.floor(pieceBytes / (4 * values * Math.max(1, width))));
    if (rows <= most) return [group];
    return Array.from({ length: Math.ceil(rows / most) }, (_, piece): Group => {
      const from = piece * most;
      const to = Math.min(rows, from + most);
      return { nodes: nodes?.subarray(from, to), first: from, rows: to - from, width };
    });
  }

  /** Nodes without children: their value, or NaN for missing ones. */
  private empty({ rows }: Group): Part {
    const { tf } = this;
    const value = this.skip ? Number.NaN : emptyValue(this.kind);
    const none = (planes: number): Tensor => tf.fill([planes, rows], 0, "int32");
    return {
      values: tf.tensor(new Float32Array(this.outputs * rows).fill(value), [this.outputs, rows], "float32"),
      kept: this.skip ? none(this.planes) : undefined,
      records: this.skip ? none(this.planes) : undefined,
    };
  }

  /** Reduces the nodes of one group. */
  private group(group: Group): Part {
    const { tf, kind, planes, outputs } = this;
    const { rows, width } = group;
    if (kind === "count" && !this.skip)
      return { values: tf.tensor(this.lengths(group, outputs), [outputs, rows], "float32"), kept: undefined, records: undefined };
    const x = this.children(group);
    const masked = this.skip && (this.below !== undefined || group.nodes !== undefined || this.hasNan !== false);
    const present = masked ? tf.logicalNot(tf.isNaN(x)) : undefined;
    const kept = !this.skip ? undefined : present ? tf.sum(tf.cast(present, "int32"), 2) : tf.fill([planes, rows], width, "int32");
    const n = (): Tensor => {
      if (kept) return tf.cast(kept, "float32");
      return group.nodes === undefined ? this.constant(width) : tf.tensor(this.lengths(group, 1), [1, rows], "float32");
    };
    const value = this.reduce(group, x, present, n);
    return {
      values: kept ? tf.where(tf.greater(kept, tf.scalar(0, "int32")), value, this.constant(Number.NaN)) : value,
      kept,
      records: kept && this.below ? this.recordsBelow(group, present!) : undefined,
    };
  }

  /** `n` makes the tensor of the children that count, for those who divide by it: one number, or one for each node. */
  private reduce(group: Group, x: Tensor, present: Tensor | undefined, n: () => Tensor): Tensor {
    const { tf, kind } = this;
    const filled = (fill: number): Tensor => (present ? tf.where(present, x, this.constant(fill)) : x);
    switch (kind) {
      case "sum":
        return tf.sum(filled(0), 2);
      case "mean":
        return tf.div(tf.sum(filled(0), 2), n());
      case "weightedSum":
        return this.weighted(group, filled(0), present);
      case "weightedMean": {
        const ones = present && tf.cast(present, "float32");
        return tf.div(this.weighted(group, filled(0), present), ones ? this.weighted(group, ones, present) : this.totals(group));
      }
      case "min":
      case "max":
        return this.extreme(kind, x, present);
      case "count":
        return n();
      case "variance":
        return this.variance(group, x, filled(0), present, n());
    }
  }

  /** Σ w·x over the last axis: a matrix product where it can be one. */
  private weighted(group: Group, x: Tensor, present: Tensor | undefined): Tensor {
    const { tf, planes } = this;
    const { rows, width } = group;
    const { weights } = this.level;
    // A skipped child adds 0, and 0 × Infinity is NaN: such weights are multiplied first and masked after.
    const apart = present !== undefined && !finiteWeights(weights);
    const masked = (terms: Tensor): Tensor => tf.sum(apart ? tf.where(present, terms, this.constant(0)) : terms, 2);
    switch (weights.form) {
      case "none":
        return tf.sum(x, 2);
      case "shared": {
        const w = floats(weights.values);
        if (apart) return masked(tf.mul(x, tf.tensor(w, [1, 1, width], "float32")));
        // A batch of one spares a reshape, which is an operation like any other.
        if (planes === 1) return tf.reshape(tf.matMul(x, tf.tensor(w, [1, width, 1], "float32"), false, false), [1, rows]);
        return tf.reshape(tf.matMul(tf.reshape(x, [planes * rows, width]), tf.tensor(w, [width, 1], "float32"), false, false), [
          planes,
          rows,
        ]);
      }
      case "matrix": {
        const w = floats(weights.values);
        if (apart) return masked(tf.mul(x, tf.tensor(w, [weights.rows, 1, width], "float32")));
        // The long side first takes TensorFlow half the time, the transpose included.
        return tf.transpose(tf.matMul(tf.reshape(x, [rows, width]), tf.tensor(w, [weights.rows, width], "float32"), false, true));
      }
      case "perNode":
        return masked(tf.mul(x, this.perChild(group, weights.values)));
      case "count": {
        if (this.below === undefined) return tf.sum(x, 2);
        const records = this.below.records!;
        if (records instanceof Float64Array) return tf.sum(tf.mul(x, this.perChild(group, records)), 2);
        return tf.sum(tf.mul(x, tf.cast(this.gather(group, records, 0, "int32"), "float32")), 2);
      }
    }
  }

  /** Σ w of each node where no child is skipped: known before the data, so summed in float64. [outputs or 1, rows or 1]. */
  private totals(group: Group): Tensor {
    const { tf, level } = this;
    const { weights } = level;
    const list = (values: ArrayLike<number>, shape: number[]): Tensor => tf.tensor(Float32Array.from(values), shape, "float32");
    if (weights.form === "shared") return list([total(weights.values, 0, weights.values.length)], [1, 1]);
    if (weights.form === "matrix") {
      const { extent, rows, values } = weights;
      return list(
        Array.from({ length: rows }, (_, r) => total(values, r * extent, (r + 1) * extent)),
        [rows, 1],
      );
    }
    const values = weights.form === "perNode" ? weights.values : this.below?.records;
    if (!(values instanceof Float64Array)) return list(this.lengths(group, 1), [1, group.rows]);
    const sums = new Float64Array(group.rows);
    for (let i = 0; i < group.rows; i++) {
      const node = nodeOf(group, i);
      const start = childStart(level, node) % values.length; // one frame's weights serve every frame, and no node spans two
      sums[i] = total(values, start, start + lengthOf(level, node));
    }
    return list(sums, [1, group.rows]);
  }

  /** min or max; whether TensorFlow's own let NaN through differs from backend to backend, so NaN is put in by hand. */
  private extreme(kind: "min" | "max", x: Tensor, present: Tensor | undefined): Tensor {
    const { tf } = this;
    const far = this.constant(kind === "min" ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY);
    const reduce = (values: Tensor): Tensor => (kind === "min" ? tf.min(values, 2) : tf.max(values, 2));
    if (present) return reduce(tf.where(present, x, far));
    if (this.below === undefined && this.hasNan === false) return reduce(x);
    const nan = tf.isNaN(x);
    const found = tf.greater(tf.sum(tf.cast(nan, "int32"), 2), tf.scalar(0, "int32"));
    return tf.where(found, this.constant(Number.NaN), reduce(tf.where(nan, far, x)));
  }

  /** Two passes: the mean, then the squared deviations from it. */
  private variance(group: Group, x: Tensor, filled: Tensor, present: Tensor | undefined, n: Tensor): Tensor {
    const { tf, planes, level } = this;
    const { rows } = group;
    const ddof = level.reduction.ddof ?? 0;
    const mean = tf.reshape(tf.div(tf.sum(filled, 2), n), [planes, rows, 1]);
    const inside = present ?? (group.nodes && this.inside(group));
    const deviation = tf.sub(x, mean);
    const squares = tf.sum(tf.square(inside ? tf.where(inside, deviation, this.constant(0)) : deviation), 2);
    const free = tf.sub(n, this.constant(ddof));
    return tf.where(tf.greater(free, this.constant(0)), tf.div(squares, free), this.constant(Number.NaN));
  }

  /** The children of a group as [planes, rows, width]. Padding is what the reduction ignores: NaN under `skip`, which masks it. */
  private children(group: Group): Tensor {
    const pad = this.skip
      ? Number.NaN
      : this.kind === "min"
        ? Number.POSITIVE_INFINITY
        : this.kind === "max"
          ? Number.NEGATIVE_INFINITY
          : 0;
    if (this.below) return this.gather(group, this.below.values, pad, "float32");
    if (isResident(this.data)) return this.gather(group, this.data.tensor as Tensor, pad, "float32");
    return this.perChild(group, this.data, pad);
  }

  /** Values that the host has for each child, or for each child of one frame, as [planes or 1, rows, width]. */
  private perChild(group: Group, values: ArrayLike<number>, pad: number = 0): Tensor {
    const { tf, level } = this;
    const { nodes, first, rows, width } = group;
    if (nodes === undefined && rows < level.nodes)
      return tf.tensor(floats(values, first * width, rows * width), [1, rows, width], "float32");
    if (nodes === undefined) {
      const one = tf.tensor(floats(values), [1, values.length / width, width], "float32");
      return values.length === level.children ? one : this.tile(one, level.children / values.length, rows);
    }
    const padded = new Float32Array(rows * width).fill(pad);
    for (let i = 0; i < rows; i++) {
      const start = childStart(level, nodes[i]!);
      const n = lengthOf(level, nodes[i]!);
      for (let j = 0; j < n; j++) padded[i * width + j] = values[start + j]!;
    }
    return tf.tensor(padded, [1, rows, width], "float32");
  }

  /** One frame's weights for every frame. */
  private tile(one: Tensor, frames: number, rows: number): Tensor {
    const width = one.shape[2]!;
    const flat = this.tf.reshape(one, [1, one.shape[1]! * width]);
    const repeated = this.tf.mul(flat, this.tf.fill([frames, 1], 1, "float32"));
    return this.tf.reshape(repeated, [1, rows, width]);
  }

  /** The children [planes, children] of the level below as [planes, rows, width]. */
  private gather(group: Group, below: Tensor, pad: number, dtype: "float32" | "int32"): Tensor {
    const { tf, level } = this;
    const { nodes, first, rows, width } = group;
    const planes = below.shape[0]!;
    if (nodes === undefined) {
      const own = rows < level.nodes ? tf.slice(below, [0, first * width], [planes, rows * width]) : below;
      return tf.reshape(own, [planes, rows, width]);
    }
    const padded = tf.concat([below, tf.fill([planes, 1], pad, dtype)], 1);
    const indices = new Int32Array(rows * width).fill(level.children);
    for (let i = 0; i < rows; i++) {
      const start = childStart(level, nodes[i]!);
      const n = lengthOf(level, nodes[i]!);
      for (let j = 0; j < n; j++) indices[i * width + j] = start + j;
    }
    return tf.reshape(tf.gather(padded, tf.tensor(indices, [rows * width], "int32"), 1), [planes, rows, width]);
  }

  /** Which places of a padded group hold a child. */
  private inside(group: Group): Tensor {
    const { rows, width } = group;
    const mask = new Uint8Array(rows * width);
    for (let i = 0; i < rows; i++) mask.fill(1, i * width, i * width + lengthOf(this.level, group.nodes![i]!));
    return this.tf.tensor(mask, [1, rows, width], "bool");
  }

  /** The records below each node, under `skip`: those below its kept children. */
  private recordsBelow(group: Group, present: Tensor): Tensor {
    const { tf } = this;
    const records = this.gather(group, this.below!.records as Tensor, 0, "int32");
    return tf.sum(tf.where(present, records, tf.scalar(0, "int32")), 2);
  }

  /** The records below each node where all are kept. */
  private recordsOfTree(): Float64Array {
    const { level } = this;
    const records = this.below?.records as Float64Array | undefined;
    return Float64Array.from({ length: level.nodes }, (_, node) =>
      records ? total(records, childStart(level, node), childStart(level, node + 1)) : lengthOf(level, node),
    );
  }

  /** How many children each node of a group has, for each plane. */
  private lengths(group: Group, planes: number): Float32Array {
    return Float32Array.from({ length: planes * group.rows }, (_, i) => lengthOf(this.level, nodeOf(group, i % group.rows)));
  }

  /** The groups' results [planes, rows] as one [planes, nodes], in the order of the nodes. */
  private join(groups: readonly Group[], parts: readonly Tensor[]): Tensor {
    const { tf } = this;
    if (groups.length === 1) return parts[0]!;
    if (groups[0]!.nodes === undefined) return tf.concat([...parts], 1);
    const position = new Int32Array(this.level.nodes);
    let at = 0;
    for (const { nodes } of groups) for (const node of nodes!) position[node] = at++;
    return tf.gather(tf.concat([...parts], 1), tf.tensor(position, [position.length], "int32"), 1);
  }

  private constant(value: number): Tensor {
    return this.tf.scalar(value, "float32");
  }
}

/** The result of one group. */
interface Part {
  readonly values: Tensor;
  readonly kept: Tensor | undefined;
  readonly records: Tensor | undefined;
}

/** Bytes of one tensor on a device with limits: a large input is uploaded in parts of this size, so that few of them are held at once. */
const PIECE_BYTES = 256 << 20;

/** Padding may at most double the children before rows are grouped by length. */
const PADDING_MAX = 2;

/**
 * The groups of a level: one where nodes have one length; else the empty nodes apart, and the others padded to the longest, or,
 * where that would more than double them, grouped by powers of two: padding then stays below a factor of 2, whatever the lengths.
 */
function groupsOf(level: FittedLevel): readonly Group[] {
  if (level.extent !== undefined) return [{ nodes: undefined, first: 0, rows: level.nodes, width: level.extent }];
  let longest = 0;
  let filled = 0;
  for (let node = 0; node < level.nodes; node++) {
    const n = lengthOf(level, node);
    longest = Math.max(longest, n);
    if (n > 0) filled++;
  }
  const together = filled * longest <= PADDING_MAX * level.children;
  const groups = new Map<number, number[]>();
  for (let node = 0; node < level.nodes; node++) {
    const n = lengthOf(level, node);
    const width = n === 0 ? 0 : together ? longest : Math.min(longest, 2 ** Math.ceil(Math.log2(n)));
    const nodes = groups.get(width);
    if (nodes) nodes.push(node);
    else groups.set(width, [node]);
  }
  return Array.from(groups, ([width, nodes]): Group => ({ nodes: Uint32Array.from(nodes), first: 0, rows: nodes.length, width }));
}

function nodeOf({ nodes, first }: Group, row: number): number {
  return nodes ? nodes[row]! : first + row;
}

function lengthOf(level: FittedLevel, node: number): number {
  return childStart(level, node + 1) - childStart(level, node);
}

function total(values: ArrayLike<number>, start: number, end: number): number {
  let sum = 0;
  for (let i = start; i < end; i++) sum += values[i]!;
  return sum;
}

/** Values as float32, from `from` on and cyclically; no copy where they are. */
export function floats(values: ArrayLike<number>, from: number = 0, length: number = values.length): Float32Array {
  if (values instanceof Float32Array && from + length <= values.length) return values.subarray(from, from + length);
  if (from === 0 && length === values.length) return new Float32Array(values);
  const list = new Float32Array(length);
  for (let i = 0; i < length; i++) list[i] = values[(from + i) % values.length]!;
  return list;
}

function finiteWeights(weights: FittedWeights): boolean {
  return !("values" in weights) || weights.values.every((w) => Number.isFinite(Math.fround(w)));
}
