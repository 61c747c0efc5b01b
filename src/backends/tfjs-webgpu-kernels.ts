/**
 * WGSL programs in place of TensorFlow.js's own where those are slow or wrong: sums and extremes of rows (theirs overflow an index
 * beyond 2^31 threads), matrix products (theirs let a NaN or infinity spill into other rows, and waste most of a tile on one column),
 * and what only moves values (theirs goes through float32, which rounds integers beyond 2^24). Anything else is TensorFlow.js's.
 *
 * They are registered as kernels, so that tensor operations find them. They know nothing of chains or devices.
 */

/** A tensor as kernels see it. */
interface TensorInfo {
  readonly dataId: object;
  readonly shape: readonly number[];
  readonly dtype: string;
}

/** What TensorFlow.js's WebGPU backend makes a shader of. It declares `result`, the inputs and the uniforms; `main` is ours. */
interface Program {
  readonly variableNames: readonly string[];
  readonly outputShape: readonly number[];
  readonly workgroupSize: readonly [number, number, number];
  readonly dispatchLayout: { readonly x: readonly number[] };
  readonly dispatch: readonly [number, number, number];
  readonly uniforms: string;
  /** One for each text of {@link getUserCode}. */
  readonly shaderKey: string;
  getUserCode(): string;
}

/** The part of TensorFlow.js's WebGPU backend that runs programs. */
interface Runner {
  makeTensorInfo(shape: readonly number[], dtype: string): TensorInfo;
  disposeData(dataId: object): void;
  runWebGPUProgram(
    program: Program,
    inputs: readonly TensorInfo[],
    dtype: string,
    uniforms: readonly { readonly type: "uint32"; readonly data: number[] }[],
    output?: TensorInfo,
  ): TensorInfo;
}

/** What a kernel is called with. */
interface Call {
  readonly inputs: Readonly<Record<string, TensorInfo>>;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly backend: Runner;
}

type Kernel = (call: Call) => TensorInfo;

/** The part of `@tensorflow/tfjs-core` that keeps kernels. */
export interface KernelRegistry {
  getKernel(name: string, backend: string): { readonly kernelFunc: unknown } | undefined;
  unregisterKernel(name: string, backend: string): void;
  registerKernel(config: { kernelName: string; backendName: string; kernelFunc: unknown }): void;
}

/** A kernel of ours: undefined where TensorFlow.js's own is to run. */
type OwnKernel = (call: Call) => TensorInfo | undefined;

/** Puts our kernels before those of TensorFlow.js. Once for each TensorFlow.js: doing it again would only make calls longer. */
export function registerKernels(tf: KernelRegistry, backendName: string): void {
  for (const [kernelName, own] of Object.entries(KERNELS)) {
    const original = tf.getKernel(kernelName, backendName)?.kernelFunc as Kernel | undefined;
    if (original === undefined) throw new Error(`TensorFlow.js has no kernel ${kernelName} for ${backendName}`);
    tf.unregisterKernel(kernelName, backendName);
    tf.registerKernel({ kernelName, backendName, kernelFunc: (call: Call) => own(call) ?? original(call) });
  }
}

/** Threads of a workgroup: what every WebGPU device allows. */
const THREADS = 256;

/** Workgroups along one axis of a dispatch: what every WebGPU device allows. */
const GROUPS_MAX = 65535;

/** A program of so many workgroups, in two dimensions where one is too short. Its code is given by `shaderKey`. */
function program(
  shaderKey: string,
  variableNames: readonly string[],
  outputShape: readonly number[],
  groups: number,
  uniforms: readonly string[],
  code: string,
): Program {
  const across = Math.min(groups, GROUPS_MAX);
  return {
    variableNames,
    outputShape,
    workgroupSize: [THREADS, 1, 1],
    dispatchLayout: { x: outputShape.map((_, i) => i) },
    dispatch: [across, Math.ceil(groups / across), 1],
    uniforms: uniforms.map((uniform) => `${uniform} : u32,`).join(" "),
    shaderKey: `fourfold_${shaderKey}`,
    getUserCode: () => `
      fn groupOf() -> u32 { return workgroupId.y * numWorkgroups.x + workgroupId.x; }
      ${code}`,
  };
}

/** A program that makes each of `tasks` values from others, without arithmetic. */
function moving(
  shaderKey: string,
  variableNames: readonly string[],
  outputShape: readonly number[],
  tasks: number,
  uniforms: readonly string[],
  statement: string,
): Program {
  const code = `
    fn main(index : i32) {
      let task = groupOf() * ${THREADS}u + localId.x;
      if (task < uniforms.tasks) { ${statement} }
    }`;
  return program(shaderKey, variableNames, outputShape, Math.ceil(tasks / THREADS), ["tasks", ...uniforms], code);
}

function run(
  backend: Runner,
  what: Program,
  inputs: readonly TensorInfo[],
  dtype: string,
  uniforms: readonly number[],
  output?: TensorInfo,
): TensorInfo {
  return backend.runWebGPUProgram(
    what,
    inputs,
    dtype,
    uniforms.map((value) => ({ type: "uint32", data: [value] })),
    output,
  );
}

/** The WGSL type of a tensor's values. An input's may be another one: a cast of integers to float32 leaves them where they are. */
function typeOf(dtype: string): "f32" | "i32" {
  return dtype === "float32" ? "f32" : "i32";
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/**
 * How two partial results become one, in WGSL. Extremes are compared by their bits: a device may read subnormals as zeros where it
 * compares numbers, and would then choose any of them.
 */
const COMBINE = {
  sum: "return a + b;",
  min: "if (isnan(a) || isnan(b)) { return a + b; } return select(b, a, order(a) < order(b));",
  max: "if (isnan(a) || isnan(b)) { return a + b; } return select(b, a, order(a) > order(b));",
} as const;

/** The integer whose order is that of the number. */
const ORDER = `
  fn order(x : f32) -> i32 {
    let bits = bitcast<i32>(x);
    return bits ^ ((bits >> 31u) & 0x7fffffff);
  }`;

/** Children that one thread reads before more threads share a row. */
const CHILDREN_OF_THREAD = 8;

/** A row this long is cut into pieces where there are too few rows to occupy a device. */
const PIECE = 4096;
const TASKS_MIN = 256;

/**
 * Reduces rows of `width` ≥ 1 values: each to the sum, minimum or maximum of its values, or of their products with the weights `w`.
 * A row is shared by up to a workgroup of threads, whose results are combined as a tree. A few long rows are cut into pieces first.
 */
function reduceRows(
  backend: Runner,
  how: keyof typeof COMBINE,
  x: TensorInfo,
  width: number,
  shape: readonly number[],
  dtype: string,
  w?: TensorInfo,
): TensorInfo {
  const rows = sizeOf(shape);
  const pieces = rows < TASKS_MIN ? Math.min(Math.ceil(TASKS_MIN / Math.max(1, rows)), Math.ceil(width / PIECE)) : 1;
  const pieceWidth = Math.ceil(width / pieces);
  const lanes = Math.min(THREADS, 2 ** Math.ceil(Math.log2(Math.max(1, pieceWidth / CHILDREN_OF_THREAD))));
  const type = typeOf(dtype);
  const read = (k: string): string => `${type}(x[base + ${k}])${w ? ` * ${type}(w[${k}])` : ""}`;
  const reduced = run(
    backend,
    program(
      `${how}_${lanes}`,
      w ? ["x", "w"] : ["x"],
      pieces > 1 ? [rows, pieces] : shape,
      Math.ceil((rows * pieces * lanes) / THREADS),
      ["tasks", "width", "pieces", "pieceWidth"],
      `
      const LANES = ${lanes}u;
      ${ORDER}
      var<workgroup> partial : array<${type}, ${THREADS}>;
      fn combine(a : ${type}, b : ${type}) -> ${type} { ${COMBINE[how]} }
      fn main(index : i32) {
        let task = groupOf() * ${THREADS / lanes}u + localId.x / LANES;
        let lane = localId.x % LANES;
        let first = (task % uniforms.pieces) * uniforms.pieceWidth;
        let end = min(first + uniforms.pieceWidth, uniforms.width);
        let base = (task / uniforms.pieces) * uniforms.width;
        let within = task < uniforms.tasks;
        var k = first + lane;
        var found = ${type}();
        if (within && k < end) {
          found = ${read("k")};
          for (k = k + LANES; k < end; k = k + LANES) { found = combine(found, ${read("k")}); }
        }
        partial[localId.x] = found;
        for (var half = LANES / 2u; half > 0u; half = half / 2u) {
          workgroupBarrier();
          // A lane beyond a short row's end holds nothing.
          if (lane < half && first + lane + half < end) {
            partial[localId.x] = combine(partial[localId.x], partial[localId.x + half]);
          }
        }
        if (within && lane == 0u) { result[task] = partial[localId.x]; }
      }`,
    ),
    w ? [x, w] : [x],
    dtype,
    [rows * pieces, width, pieces, pieceWidth],
  );
  if (pieces === 1) return reduced;
  const whole = reduceRows(backend, how, reduced, pieces, shape, dtype);
  backend.disposeData(reduced.dataId);
  return whole;
}

/** A kernel of a reduction: over the last axis, of values that there are. */
function reduction(how: keyof typeof COMBINE): OwnKernel {
  return ({ inputs, attrs, backend }) => {
    const x = inputs["x"]!;
    const axes = [attrs["reductionIndices"] ?? attrs["axis"]].flat(); // Max has a name of its own for it
    const last = x.shape.length - 1;
    if (axes.length !== 1 || (axes[0] !== last && axes[0] !== -1) || attrs["keepDims"] === true || x.shape[last] === 0) return undefined;
    if (how !== "sum" && x.dtype !== "float32") return undefined;
    return reduceRows(backend, how, x, x.shape[last]!, x.shape.slice(0, last), x.dtype === "bool" ? "int32" : x.dtype);
  };
}

/** Copies values [planes, n] from column `from` on to columns `to` … of `output`. */
function copyColumns(backend: Runner, x: TensorInfo, from: number, output: TensorInfo, to: number, columns: number): void {
  const [planes, n] = x.shape as [number, number];
  if (planes * columns === 0) return;
  run(
    backend,
    moving(
      "columns",
      ["x"],
      output.shape,
      planes * columns,
      ["columns", "width", "first", "outputWidth", "outputFrom"],
      `let plane = task / uniforms.columns;
      let column = task % uniforms.columns;
      result[plane * uniforms.outputWidth + uniforms.outputFrom + column] =
        ${typeOf(output.dtype)}(x[plane * uniforms.width + uniforms.first + column]);`,
    ),
    [x],
    output.dtype,
    [planes * columns, columns, n, from, output.shape[1]!, to],
    output,
  );
}

/** One side of a workgroup's square of threads, and the depth of its tiles. */
const SIDE = 16;

/** Columns of the product that one thread computes. */
const COLUMNS_OF_THREAD = 4;

/** a [m, k] times the transpose of b [n, k]. Places beyond the end of a matrix hold zeros in a tile, and nothing is read there. */
function product(backend: Runner, a: TensorInfo, b: TensorInfo): TensorInfo {
  const [m, k] = a.shape as [number, number];
  const n = b.shape[0]!;
  const rowsOfThread = m <= SIDE ? 1 : 4;
  const [high, wide] = [SIDE * rowsOfThread, SIDE * COLUMNS_OF_THREAD];
  const load = (matrix: "a" | "b", length: "m" | "n", size: number): string => `
    for (var i = 0u; i < ${size / SIDE}u; i++) {
      let at = localId.x + i * ${THREADS}u;
      let row = ${matrix}First + at / ${SIDE}u;
      let column = depth + at % ${SIDE}u;
      var value = 0.0;
      if (row < uniforms.${length} && column < uniforms.k) { value = f32(${matrix}[row * uniforms.k + column]); }
      ${matrix}Tile[at % ${SIDE}u][at / ${SIDE}u] = value;
    }`;
  const code = `
    var<workgroup> aTile : array<array<f32, ${high}>, ${SIDE}>;
    var<workgroup> bTile : array<array<f32, ${wide}>, ${SIDE}>;
    fn main(index : i32) {
      let across = (uniforms.n + ${wide - 1}u) / ${wide}u;
      let aFirst = (groupOf() / across) * ${high}u;
      let bFirst = (groupOf() % across) * ${wide}u;
      let y = (localId.x / ${SIDE}u) * ${rowsOfThread}u;
      let x = (localId.x % ${SIDE}u) * ${COLUMNS_OF_THREAD}u;
      var sums : array<array<f32, ${COLUMNS_OF_THREAD}>, ${rowsOfThread}>;
      for (var depth = 0u; depth < uniforms.k; depth += ${SIDE}u) {
        ${load("a", "m", high)}
        ${load("b", "n", wide)}
        workgroupBarrier();
        for (var k = 0u; k < ${SIDE}u; k++) {
          for (var i = 0u; i < ${rowsOfThread}u; i++) {
            for (var j = 0u; j < ${COLUMNS_OF_THREAD}u; j++) { sums[i][j] += aTile[k][y + i] * bTile[k][x + j]; }
          }
        }
        workgroupBarrier();
      }
      for (var i = 0u; i < ${rowsOfThread}u; i++) {
        for (var j = 0u; j < ${COLUMNS_OF_THREAD}u; j++) {
          let row = aFirst + y + i;
          let column = bFirst + x + j;
          if (row < uniforms.m && column < uniforms.n) { result[row * uniforms.n + column] = sums[i][j]; }
        }
      }
    }`;
  const groups = Math.ceil(m / high) * Math.ceil(n / wide);
  const what = program(`product_${rowsOfThread}`, ["a", "b"], [m, n], groups, ["m", "n", "k"], code);
  return run(backend, what, [a, b], "float32", [m, n, k]);
}

/** Rows and columns of a matrix, or of a batch of one; empty for what is neither. */
function matrixShape({ shape }: TensorInfo): readonly number[] {
  if (shape.length === 2) return shape;
  return shape.length === 3 && shape[0] === 1 ? shape.slice(1) : [];
}

const KERNELS: Readonly<Record<string, OwnKernel>> = {
  Sum: reduction("sum"),
  Min: reduction("min"),
  Max: reduction("max"),

  /** A product with one column is a dot product for each row. */
  BatchMatMul: ({ inputs, attrs, backend }) => {
    const a = inputs["a"]!;
    const b = inputs["b"]!;
    const { transposeA, transposeB } = attrs;
    // A batch of one is a matrix, too: TensorFlow.js's own product would let a NaN or infinity into other rows.
    const [m, k] = matrixShape(a);
    const [, n] = matrixShape(b);
    if (m === undefined || n === undefined || transposeA === true || k === 0) return undefined;
    if (transposeB === true) return a.shape.length === 2 ? product(backend, a, b) : undefined;
    return n === 1 ? reduceRows(backend, "sum", a, k!, [...a.shape.slice(0, -1), 1], "float32", b) : undefined;
  },

  Select: ({ inputs, backend }) => {
    const condition = inputs["condition"]!;
    const t = inputs["t"]!;
    const e = inputs["e"]!;
    const size = sizeOf(t.shape);
    if (sizeOf(condition.shape) !== size || t.dtype !== e.dtype) return undefined;
    const type = typeOf(t.dtype);
    const statement = `if (condition[task] != 0) { result[task] = ${type}(t[task]); } else { result[task] = ${type}(e[task]); }`;
    return run(backend, moving("select", ["condition", "t", "e"], t.shape, size, [], statement), [condition, t, e], t.dtype, [size]);
  },

  GatherV2: ({ inputs, attrs, backend }) => {
    const x = inputs["x"]!;
    const indices = inputs["indices"]!;
    if (x.shape.length !== 2 || indices.shape.length !== 1 || attrs["axis"] !== 1 || attrs["batchDims"] !== 0) return undefined;
    const [planes, n] = x.shape as [number, number];
    const [columns] = indices.shape as [number];
    const from = "(task / uniforms.columns) * uniforms.width + u32(indices[task % uniforms.columns])";
    return run(
      backend,
      moving(
        "gather",
        ["x", "indices"],
        [planes, columns],
        planes * columns,
        ["columns", "width"],
        `result[task] = ${typeOf(x.dtype)}(x[${from}]);`,
      ),
      [x, indices],
      x.dtype,
      [planes * columns, columns, n],
    );
  },

  Concat: ({ inputs, attrs, backend }) => {
    const parts = Object.values(inputs);
    const first = parts[0]!;
    if (attrs["axis"] !== 1 || parts.some(({ shape, dtype }) => shape.length !== 2 || dtype !== first.dtype)) return undefined;
    const columns = parts.reduce((sum, { shape }) => sum + shape[1]!, 0);
    if (first.shape[0]! * columns === 0) return undefined;
    const output = backend.makeTensorInfo([first.shape[0]!, columns], first.dtype);
    let to = 0;
    for (const part of parts) {
      copyColumns(backend, part, 0, output, to, part.shape[1]!);
      to += part.shape[1]!;
    }
    return output;
  },

  Slice: ({ inputs, attrs, backend }) => {
    const x = inputs["x"]!;
    const begin = attrs["begin"] as readonly number[];
    const size = attrs["size"] as readonly number[];
    if (x.shape.length !== 2 || begin[0] !== 0 || size[0] !== x.shape[0] || !(size[1]! > 0) || x.shape[0] === 0) return undefined;
    const output = backend.makeTensorInfo([x.shape[0]!, size[1]!], x.dtype);
    copyColumns(backend, x, begin[1]!, output, 0, size[1]!);
    return output;
  },
};
