// Tensors from NPY files, against an oracle in plain loops and BigInt that follows the numeric contract clause by clause.
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { outputOf } from "../child.ts";
import { bitsOf, folderOf, fourfold, npy } from "./bin.ts";

const SHAPE = [3, 5, 7, 37] as const;
const [D, C, B, A] = SHAPE;
const x = Float32Array.from({ length: D * C * B * A }, (_, i) => Math.sin(i) * 2 ** (i % 9));
const weights = { a: A, b: B, c: C, d: D };
const vectors = Object.fromEntries(
  Object.entries(weights).map(([name, n], k) => [name, Float64Array.from({ length: n }, (_, i) => Math.cos(i * (k + 2)) / 3)]),
) as Record<keyof typeof weights, Float64Array>;
const matrix = Float64Array.from({ length: 2 * B }, (_, i) => Math.sin(i + 1));
const folder = folderOf({
  "x.npy": npy(SHAPE, x),
  "frames.npy": npy([D, C * B, A], x),
  "matrix.npy": npy([2, B], matrix),
  "cube.npy": npy([1, 1, A], vectors.a),
  ...Object.fromEntries(Object.entries(vectors).map(([name, data]) => [`${name}.npy`, npy([data.length], data)])),
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Answer {
  value: number | null;
  values: number[];
  shape: number[];
  bits: string | string[];
  errorBound?: number;
  levels: { name: string; keys: string[]; nodes: { path: number[]; value: number | null; count: number }[] }[];
}
const answer = async (...args: string[]): Promise<Answer> =>
  JSON.parse(await outputOf(fourfold(["run", ...args, "--format", "json"], { cwd: folder }))) as Answer;

/** Clause 2: sixteen lanes, then the fold. */
function lanes(row: Float32Array, w: ArrayLike<number>): number {
  const s = new Float64Array(16);
  row.forEach((value, i) => {
    s[i % 16]! += w[i]! * value;
  });
  for (const half of [8, 4, 2, 1]) for (let j = 0; j < half; j++) s[j]! += s[j + half]!;
  return s[0]!;
}

/** A float64 as an integer of 2^-400: exact for all that is met here. */
const fixed = (value: number): bigint => {
  let shift = 0;
  while (value * 2 ** shift !== Math.trunc(value * 2 ** shift)) shift++;
  return BigInt(value * 2 ** shift) << BigInt(400 - shift);
};

/** Clause 3: the exact sum of the exact products, rounded once; Number() of a BigInt rounds to nearest even. */
function exactly(values: readonly number[], w: ArrayLike<number>): number {
  const total = values.reduce((sum, value, i) => sum + fixed(value) * fixed(w[i]!), 0n);
  return Number(total) * 2 ** -400 * 2 ** -400;
}

const cut = <T>(list: readonly T[], n: number): T[][] => Array.from({ length: list.length / n }, (_, i) => list.slice(i * n, (i + 1) * n));
const ones = (n: number): Float64Array => new Float64Array(n).fill(1);
const rows = Array.from({ length: D * C * B }, (_, i) => x.subarray(i * A, (i + 1) * A));
const f = rows.map((row) => lanes(row, vectors.a));

describe("fourfold run X.npy", () => {
  test("four weighted sums have the bits of the contract, however they are run", async () => {
    const g = cut(f, B).map((node) => exactly(node, vectors.b));
    const h = cut(g, C).map((node) => exactly(node, vectors.c));
    const expected = exactly(h, vectors.d);
    for (const how of [[], ["--workers", "0"], ["--backend", "reference"], ["--workers", "3"]]) {
      const { value, bits, values, shape } = await answer("--weights", "a.npy,b.npy,c.npy,d.npy", "x.npy", ...how);
      expect({ value, bits, values, shape }).toEqual({ value: expected, bits: bitsOf(expected), values: [expected], shape: [] });
    }
  });

  test("--reduce mixes weighted levels with others, weights in their order", async () => {
    const g = cut(f, B).map((node) => exactly(node, ones(B)) / B);
    const h = cut(g, C).map((node) => exactly(node, vectors.c));
    const { value } = await answer("x.npy", "--reduce", "weightedSum,mean,weightedSum,max", "--weights", "a.npy", "--weights", "c.npy");
    expect(value).toBe(Math.max(...h));
  });

  test("axes outside the chain are frames, and a node's path is its frame and its indices", async () => {
    const { value, values, shape, bits, levels } = await answer(
      "frames.npy",
      "--reduce",
      "weightedSum,sum",
      "--weights",
      "a.npy",
      "--keep",
      "all",
    );
    const expected = cut(f, C * B).map((node) => exactly(node, ones(C * B)));
    expect({ value, values, shape, bits }).toEqual({ value: null, values: expected, shape: [D], bits: expected.map(bitsOf) });
    expect(levels.map(({ name, keys }) => [name, keys])).toEqual([
      ["f", ["frame", "f"]],
      ["g", ["frame"]],
    ]);
    expect(levels[0]!.nodes[C * B + 2]).toMatchObject({ path: [1, 2], value: f[C * B + 2], count: A });
  });

  test("a weight file of two dimensions is a matrix: one value for each row", async () => {
    const { value, values, shape } = await answer("x.npy", "--reduce", "weightedSum,weightedSum,sum,sum", "--weights", "a.npy,matrix.npy");
    const expected = [0, 1].map((r) => {
      const g = cut(f, B).map((node) => exactly(node, matrix.subarray(r * B, (r + 1) * B)));
      const h = cut(g, C).map((node) => exactly(node, ones(C)));
      return exactly(h, ones(D));
    });
    expect({ value, values, shape }).toEqual({ value: null, values: expected, shape: [2] });
  });

  test("the rows of CSV are told apart by their indices", async () => {
    const text = await outputOf(
      fourfold(["run", "x.npy", "--reduce", "sum,sum,sum,sum", "--keep", "g", "--format", "csv"], { cwd: folder }),
    );
    const lines = text.trimEnd().split("\r\n");
    expect(lines[0]).toBe("level,h,g,value,count");
    expect(lines.length).toBe(1 + D * C + 1);
    expect(lines[1 + C + 2]).toMatch(/^g,1,2,/);
  });

  test.each([
    ["weights of three dimensions", ["x.npy", "--weights", "cube.npy"], 1, "WEIGHTS", /cube\.npy have the shape \[1, 1, 37\]/],
    [
      "weights of the wrong length, with level and axis",
      ["x.npy", "--weights", "b.npy,b.npy,c.npy,d.npy"],
      1,
      "WEIGHTS",
      /level "f" \(axis 3\): extent 37, weights 7/,
    ],
    ["a file that is cut short", ["short.npy", "--reduce", "sum,sum,sum,sum"], 1, "FORMAT", /short\.npy/],
    ["a file that is no NPY", ["text.npy", "--reduce", "sum"], 1, "FORMAT", /text\.npy/],
  ] as const)("refuses %s", async (_, args, exitCode, code, expected) => {
    writeFileSync(join(folder, "short.npy"), npy(SHAPE, x).subarray(0, 4000));
    writeFileSync(join(folder, "text.npy"), "these are not the bytes you are looking for, whoever you are");
    const ended = await fourfold(["run", ...args], { cwd: folder });
    expect(ended.stderr).toMatch(/^fourfold: .+\n$/);
    expect(ended.stderr).toMatch(expected);
    expect(ended).toMatchObject({ code: exitCode, stdout: "" });
    expect(ended.stderr).toContain(`[ERR_FOURFOLD_${code}]`);
  });
});

test("tensor operations are for --accuracy fast, and their answer carries its error bound", async () => {
  const args = ["x.npy", "--weights", "a.npy,b.npy,c.npy,d.npy", "--backend", "tfjs-cpu"];
  const refused = await fourfold(["run", ...args], { cwd: folder });
  expect(refused).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("[ERR_FOURFOLD_ACCURACY]") });
  const exact = (await answer("x.npy", "--weights", "a.npy,b.npy,c.npy,d.npy", "--accuracy", "exact")).value!;
  const fast = await answer(...args, "--accuracy", "fast");
  expect(fast).toMatchObject({ backend: "tfjs-cpu", accuracy: "fast" });
  expect(Math.abs(fast.value! - exact)).toBeLessThanOrEqual(fast.errorBound!);
});
