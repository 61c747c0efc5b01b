// What each operation of the backend gives, against its definition in plain loops: bits, not tolerances.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { roundRatio } from "../../src/reduce/exact.ts";
import { laneSum } from "../../src/reduce/lanes.ts";
import { ROOT } from "../child.ts";
import { timesExactly } from "../products.ts";
import { random } from "../random.ts";
import { childrenOf, on, sumOf, tf, useFourfold } from "./backend.ts";
import { DIFFERENCES } from "./differences.ts";

const r = random(20261122);
const floats = (n: number): Float32Array => Float32Array.from({ length: n }, () => (r.next() - 0.5) * 2 ** r.int(12));
const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

/** Shapes with axes: the last ones, the first ones, in the middle, with others between, of length 1, none; short and long rows. */
const REDUCTIONS: readonly (readonly [shape: number[], axes: number[]])[] = [
  [[7], [0]],
  [[100_000], [0]],
  [[3, 5], [1]],
  [[3, 5], [0]],
  [[70, 600], [0]],
  [[5000, 3], [0]],
  [[4100, 20], [0]],
  [[2, 9000], [1]],
  [
    [30, 200],
    [0, 1],
  ],
  [[20, 3, 4], [1]],
  [[3, 70, 60], [1]],
  [
    [3, 4, 5, 6],
    [1, 3],
  ],
  [
    [3, 4, 5, 6],
    [0, 2],
  ],
  [
    [3, 4, 5, 6],
    [1, 2],
  ],
  [
    [3, 4, 5, 6],
    [0, 1, 2, 3],
  ],
  [
    [1, 6, 1, 5],
    [0, 1],
  ],
  [[6, 5], []],
];

// Tensors in kernel memory (used for the third time) and in pieces.
describe.each([{ memoryBytesMax: 2 ** 30 }, { memoryBytesMax: 0 }])("with %o", (options) => {
  beforeAll(() => useFourfold(options));

  test.each(REDUCTIONS)("reductions of %j along %j equal their definitions", async (shape, axes) => {
    const x = floats(shape.reduce((a, b) => a * b, 1));
    const children = childrenOf(x, shape, axes);
    const input = tf.tensor(x, shape);
    const kept = shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
    const dropped = shape.filter((_, axis) => !axes.includes(axis));
    const definitions = {
      sum: sumOf,
      mean: (row: number[]) => Math.fround(laneSum(row.length, (i) => row[i]!) / row.length),
      min: (row: number[]) => row.reduce((m, v) => Math.min(m, v)),
      max: (row: number[]) => row.reduce((m, v) => Math.max(m, v)),
    };
    for (const [name, definition] of Object.entries(definitions)) {
      const operation = tf[name as "sum" | "mean" | "min" | "max"];
      const want = { values: children.map(definition), dtype: "float32" };
      expect(await on("fourfold", () => operation(input, axes), 3), name).toEqual({ ...want, shape: dropped });
      expect(await on("fourfold", () => operation(input, axes, true)), name).toEqual({ ...want, shape: kept });
    }
    input.dispose();
  });

  test.each(REDUCTIONS)("products of %j along %j are the real products in float32", async (shape, axes) => {
    const n = shape.reduce((p, v) => p * v, 1);
    // Mostly ones, so that the real product has few digits.
    const x = Float32Array.from({ length: n }, () => (r.int(n) < 200 ? (1 + r.next()) * (r.int(2) ? 1 : -1) : 1));
    const children = childrenOf(x, shape, axes);
    const input = tf.tensor(x, shape);
    const got = await on("fourfold", () => tf.prod(input, axes), 3);
    const want = children.map((row) => {
      const { m, e } = row.filter((v) => v !== 1).reduce(timesExactly, { m: 1n, e: 0 });
      return Math.fround(roundRatio(m, 1n, e));
    });
    expect(got.values).toEqual(want);
    input.dispose();
  });

  test("integers and booleans: sums are exact and overflow as on the cpu backend, means are float32", async () => {
    const whole = Int32Array.from({ length: 90_000 }, () => r.int(2 ** 32));
    const bits = Uint8Array.from({ length: 90_000 }, () => r.int(2));
    for (const shape of [[90_000], [300, 300], [9000, 10], [10, 9000]])
      for (const axis of shape.map((_, i) => i))
        for (const make of [() => tf.tensor(whole, shape, "int32"), () => tf.tensor(bits, shape, "bool")]) {
          const input = make();
          const copy = make();
          for (const name of ["sum", "min", "max", "prod"] as const)
            expect(await on("fourfold", () => tf[name](input, axis), 3), name).toEqual(await on("cpu", () => tf[name](copy, axis)));
          const means = await on("fourfold", () => tf.mean(input, axis), 3);
          const children = childrenOf(input.dtype === "bool" ? bits : whole, shape, [axis]);
          expect(means).toMatchObject({
            dtype: "float32",
            values: children.map((row) => Math.fround(laneSum(row.length, (i) => row[i]!) / row.length)),
          });
          input.dispose();
          copy.dispose();
        }
  });

  test("several blocks of rows and several panels of columns at once", async () => {
    const [rows, columns] = [4200, 1100];
    const x = Int16Array.from({ length: rows * columns }, () => r.int(200) - 100);
    const sums = new Array<number>(columns).fill(0);
    for (let i = 0; i < x.length; i++) sums[i % columns]! += x[i]!;
    const input = tf.tensor(Float32Array.from(x), [rows, columns]) as tf.Tensor2D;
    expect((await on("fourfold", () => tf.sum(input, 0), 3)).values).toEqual(sums);
    expect((await on("fourfold", () => tf.matMul(tf.ones([1, rows]), input), 3)).values).toEqual(sums);
    expect((await on("fourfold", () => tf.matMul(input, tf.ones([2, rows]), true, true))).values).toEqual(sums.flatMap((v) => [v, v]));
    input.dispose();
  });

  test("a tensor that was cast has the values of its dtype", async () => {
    const whole = tf.tensor([1, 2, 3, 2 ** 30], [2, 2], "int32");
    const bits = tf.tensor([1, 0, 1, 1], [2, 2], "bool");
    expect((await on("fourfold", () => tf.sum(tf.cast(whole, "float32"), 0))).values).toEqual([4, 2 ** 30]);
    expect((await on("fourfold", () => tf.prod(tf.cast(whole, "float32"), 0))).values).toEqual([3, 2 ** 31]);
    expect(await on("fourfold", () => tf.sum(tf.cast(bits, "float32"), 0))).toMatchObject({ values: [2, 1], dtype: "float32" });
    expect((await on("fourfold", () => tf.matMul(tf.cast(whole, "float32"), tf.cast(bits, "float32")))).values).toEqual([
      3,
      2,
      2 ** 30,
      2 ** 30,
    ]);
    tf.dispose([whole, bits]);
  });

  test("nothing in, what TensorFlow.js's cpu backend makes of it out", async () => {
    for (const shape of [[0], [0, 3], [3, 0]])
      for (const name of ["sum", "mean", "prod"] as const) {
        const want = await on("cpu", () => tf[name](tf.zeros(shape), 0));
        expect(await on("fourfold", () => tf[name](tf.zeros(shape), 0)), `${name} of [${shape}]`).toEqual(want);
      }
    expect((await on("fourfold", () => tf.matMul(tf.zeros([2, 0]), tf.zeros([0, 2])))).values).toEqual([0, 0, 0, 0]);
  });

  test("products with a few columns or rows are lane sums of exact products", async () => {
    for (const [m, k, n] of [
      [1, 7, 1],
      [5, 300, 1],
      [1, 300, 5],
      [30, 40, 8],
      [3, 9000, 2],
      [700, 90, 3],
      [2, 5000, 70],
      [1, 70_000, 1],
      [20, 9001, 1],
    ] as const)
      for (const transposeA of [false, true])
        for (const transposeB of [false, true]) {
          const a = floats(m * k);
          const b = floats(k * n);
          const left = tf.tensor(a, transposeA ? [k, m] : [m, k]);
          const right = tf.tensor(b, transposeB ? [n, k] : [k, n]);
          const term = (i: number, j: number, l: number): number =>
            a[transposeA ? l * m + i : i * k + l]! * b[transposeB ? j * k + l : l * n + j]!;
          const want = Array.from({ length: m * n }, (_, at) => Math.fround(laneSum(k, (l) => term(Math.floor(at / n), at % n, l))));
          const got = await on("fourfold", () => tf.matMul(left, right, transposeA, transposeB), 3);
          expect(got, `[${m}, ${k}] × [${k}, ${n}], ${transposeA}, ${transposeB}`).toEqual({
            values: want,
            shape: [m, n],
            dtype: "float32",
          });
          tf.dispose([left, right]);
        }
  });

  test("batches of products broadcast", async () => {
    const a = tf.tensor(
      Float32Array.from({ length: 3 * 2 * 70 * 60 }, () => r.int(200) - 100),
      [3, 2, 70, 60],
    );
    for (const [shape, transposeB] of [
      [[60, 2], false],
      [[3, 2, 60, 2], false],
      [[3, 2, 2, 60], true],
      [[2, 60, 40], false],
    ] as const) {
      const b = tf.tensor(
        Float32Array.from({ length: shape.reduce((p, v) => p * v, 1) }, () => r.int(200) - 100),
        [...shape],
      );
      const product = (): tf.Tensor => tf.matMul(a, b, false, transposeB);
      expect(await on("fourfold", product, 3)).toEqual(await on("cpu", product));
      b.dispose();
    }
    a.dispose();
  });

  test("dot and a tensor times itself", async () => {
    const x = floats(5000);
    const v = tf.tensor(x);
    expect((await on("fourfold", () => tf.dot(v, v), 3)).values).toEqual([Math.fround(laneSum(5000, (i) => x[i]! * x[i]!))]);
    const square = tf.tensor(x.subarray(0, 64), [8, 8]);
    const want = Array.from({ length: 64 }, (_, at) => Math.fround(laneSum(8, (i) => x[(at >> 3) * 8 + i]! * x[(at % 8) * 8 + i]!)));
    expect((await on("fourfold", () => tf.matMul(square, square, false, true), 3)).values).toEqual(want);
    tf.dispose([v, square]);
  });

  test.each(["sorted", "unsorted", "out of range"])(
    "segment sums, %s: each is the lane sum of its rows, NaN stays in its segment",
    async (kind) => {
      for (const [rows, width, segments] of [
        [1, 1, 1],
        [300, 1, 7],
        [20_000, 1, 3],
        [3000, 1, 2500],
        [300, 4, 7],
        [9000, 3, 2],
        [100, 600, 5],
      ] as const) {
        const x = floats(rows * width);
        x[0] = nan;
        const ids = Int32Array.from({ length: rows }, () => (kind === "out of range" ? r.int(2 * segments) - 2 : r.int(segments)));
        if (kind === "sorted") ids.sort();
        const want = Array.from({ length: segments * width }, (_, at) => {
          const s = Math.floor(at / width);
          return sumOf([...ids.keys()].filter((row) => ids[row] === s).map((row) => x[row * width + (at % width)]!));
        });
        const input = tf.tensor(x, width > 1 ? [rows, width] : [rows]);
        const got = await on("fourfold", () => tf.unsortedSegmentSum(input, tf.tensor1d(ids, "int32"), segments), 3);
        expect(got, `${rows} rows of ${width}`).toEqual({
          values: want,
          shape: width > 1 ? [segments, width] : [segments],
          dtype: "float32",
        });
        const whole = tf.tensor(Int32Array.from(x.map((v) => v || 0)), [rows, width], "int32");
        const sums = (): tf.Tensor => tf.unsortedSegmentSum(whole, tf.tensor1d(ids, "int32"), segments);
        const int = await on("fourfold", sums);
        expect(int.dtype).toBe("int32");
        if (rows * width * segments < 100_000) expect(int.values).toEqual((await on("cpu", sums)).values);
        tf.dispose([input, whole]);
      }
    },
  );

  const EINSUMS: readonly (readonly [equation: string, shapes: number[][]])[] = [
    ["abcd,d->abc", [[2, 3, 4, 50], [50]]],
    ["abc,c->ab", [[2, 3, 40], [40]]],
    ["ab,b->a", [[30, 400], [400]]],
    ["a,ab->b", [[300], [300, 40]]],
    [
      "ab,bc->ac",
      [
        [5, 60],
        [60, 3],
      ],
    ],
    [
      "ab,bc->ca",
      [
        [5, 60],
        [60, 3],
      ],
    ],
    [
      "ba,bc->ac",
      [
        [60, 5],
        [60, 30],
      ],
    ],
    [
      "abc,abc->",
      [
        [3, 4, 50],
        [3, 4, 50],
      ],
    ],
    [
      "abc,cb->a",
      [
        [3, 4, 50],
        [50, 4],
      ],
    ],
    [
      "abc,abd->acd",
      [
        [20, 30, 4],
        [20, 30, 50],
      ],
    ],
    [
      "abc,bcd->adb",
      [
        [7, 4, 30],
        [4, 30, 5],
      ],
    ],
    [
      "ab,ab->ab",
      [
        [7, 4],
        [7, 4],
      ],
    ],
    ["a,b->ab", [[7], [4]]],
    ["abc->b", [[6, 5, 40]]],
    ["abc->ca", [[6, 5, 40]]],
    ["ab->ba", [[6, 5]]],
  ];
  test.each(EINSUMS)("einsum %s is the sum of the products", async (equation, shapes) => {
    const [terms, result] = equation.split("->") as [string, string];
    const dims = terms.split(",");
    const inputs = shapes.map((shape) =>
      tf.tensor(
        Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => r.int(15) - 7),
        shape,
      ),
    );
    const values = inputs.map((t) => t.dataSync());
    const sizes = new Map(dims.flatMap((letters, i) => [...letters].map((dim, axis) => [dim, shapes[i]![axis]!] as const)));
    const all = [...new Set([...result, ...dims.join("")])];
    const shape = [...result].map((dim) => sizes.get(dim)!);
    const want = new Array<number>(shape.reduce((a, b) => a * b, 1)).fill(0);
    const at = new Map<string, number>();
    const flat = (letters: string): number => [...letters].reduce((index, dim) => index * sizes.get(dim)! + at.get(dim)!, 0);
    const visit = (depth: number): void => {
      if (depth === all.length) want[flat(result)]! += dims.reduce((p, letters, i) => p * values[i]![flat(letters)]!, 1);
      else for (let i = 0; i < sizes.get(all[depth]!)!; i++) visit(depth + (at.set(all[depth]!, i) ? 1 : 0));
    };
    visit(0);
    expect(await on("fourfold", () => tf.einsum(equation, ...inputs), 3)).toEqual({ values: want, shape, dtype: "float32" });
    tf.dispose(inputs);
  });

  test("einsum refuses what does not fit, as the cpu backend does", () => {
    expect(() => tf.einsum("ab,b->a", tf.ones([2, 3]), tf.ones([4]))).toThrow(/dimension/);
    expect(() => tf.einsum("ab,b", tf.ones([2, 3]), tf.ones([3]))).toThrow(/arrow/);
    expect(() => tf.matMul(tf.ones([2, 3]) as tf.Tensor2D, tf.ones([4, 2]) as tf.Tensor2D)).toThrow(/inner shapes/);
  });
});

describe("a difference from the cpu backend", () => {
  beforeAll(() => useFourfold());

  const both = async (work: () => tf.Tensor) => [(await on("fourfold", work)).values, (await on("cpu", work)).values];

  test("rounding: float64 all the way", async () => {
    const x = Float32Array.from({ length: 1000 }, (_, i) => 1 / (i + 1));
    expect(await both(() => tf.mean(tf.tensor(x)))).toEqual([[Math.fround(laneSum(1000, (i) => x[i]!) / 1000)], [expect.any(Number)]]);
    const [ours, cpus] = await both(() => tf.matMul(tf.tensor(x, [1, 1000]) as tf.Tensor2D, tf.tensor(x, [1000, 1]) as tf.Tensor2D));
    expect(ours![0]).toBe(Math.fround(laneSum(1000, (i) => x[i]! * x[i]!)));
    expect(Math.abs(cpus![0]! - ours![0]!)).toBeLessThan(1e-6);
  });

  test("zeros: the contract's", async () => {
    expect(await both(() => tf.min(tf.tensor([0, -0])))).toEqual([[-0], [0]]);
    expect(await both(() => tf.max(tf.tensor([-0, 0])))).toEqual([[0], [-0]]);
    expect((await on("fourfold", () => tf.sum(tf.tensor([-0, -0])))).values).toEqual([0]);
  });

  test("range: exponents are kept apart", async () => {
    const large = Float32Array.from({ length: 40 }, (_, i) => (i < 20 ? 1e30 : 1e-30));
    const [ours, cpus] = await both(() => tf.prod(tf.tensor(large)));
    expect(ours![0]).toBeCloseTo(1, 5);
    expect(cpus).toEqual([inf]);
    expect(
      (
        await on("fourfold", () =>
          tf.prod(
            tf.tensor([
              [1e30, -0, inf],
              [-1e30, 1e30, -2],
            ]),
            1,
          ),
        )
      ).values,
    ).toEqual([nan, inf]);
  });

  test("spill: NaN stays in its segment", async () => {
    expect(await both(() => tf.unsortedSegmentSum(tf.tensor1d([nan, 1, 2]), tf.tensor1d([0, 1, 1], "int32"), 2))).toEqual([
      [nan, 3],
      [nan, nan],
    ]);
  });

  test("order: products are not rounded before they are added", async () => {
    const a = [1 + 2 ** -20, 1];
    const b = [1 + 2 ** -20, -1];
    const [ours, cpus] = await both(() => tf.einsum("a,a->", tf.tensor(a), tf.tensor(b)));
    expect(ours).toEqual([Math.fround(2 ** -19 + 2 ** -40)]);
    expect(cpus).toEqual([2 ** -19]);
  });

  test("snapshot: an array may be copied once it is used again", async () => {
    const x = new Float32Array(10_000).fill(1);
    const t = tf.tensor(x);
    expect((await on("fourfold", () => tf.sum(t), 2)).values).toEqual([10_000]);
    x.fill(2);
    expect((await on("fourfold", () => tf.sum(t))).values).toEqual([10_000]);
    t.dispose();
  });

  test.each(Object.keys(DIFFERENCES))("%s: docs/tfjs.md shows it with its reason", (name) => {
    const { operation, what, why } = DIFFERENCES[name]!;
    expect(readFileSync(join(ROOT, "docs/tfjs.md"), "utf8")).toContain(`| ${operation} | ${what} | ${why} |`);
  });
});
