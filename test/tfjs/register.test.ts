// Registering the backend, its memory, and its place among other backends.
import { beforeEach, describe, expect, test } from "vitest";
import { FourfoldError } from "../../src/errors.ts";
import { registerFourfold } from "../../src/tfjs.ts";
import { on, tf, useFourfold } from "./backend.ts";

beforeEach(() => useFourfold());

const kernelBytes = (): number => (tf.memory() as unknown as { numBytesInKernelMemory: number }).numBytesInKernelMemory;
const ones = (n: number): tf.Tensor1D => tf.tensor1d(new Float32Array(n).fill(1));

/** Uses a tensor as often as it takes to get a copy in kernel memory. */
function useTwice(t: tf.Tensor): number {
  tf.sum(t).dispose();
  return tf.tidy(() => tf.sum(t).dataSync()[0]!);
}

function errorOf(work: () => unknown): FourfoldError {
  try {
    work();
  } catch (error) {
    if (error instanceof FourfoldError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("registering", () => {
  test("makes a backend that TensorFlow.js takes by name and not by itself", async () => {
    expect(tf.getBackend()).toBe("fourfold");
    tf.removeBackend("fourfold");
    registerFourfold();
    await tf.ready();
    expect(tf.getBackend()).toBe("cpu");
    expect(await tf.setBackend("fourfold")).toBe(true);
  });

  test("twice is once", () => {
    const t = ones(10_000);
    useTwice(t);
    registerFourfold();
    registerFourfold({});
    registerFourfold({ memoryBytesMax: 2 ** 30 });
    expect(useTwice(t)).toBe(10_000);
    t.dispose();
  });

  test("with other options wants the backend removed first", async () => {
    expect(errorOf(() => registerFourfold({ memoryBytesMax: 1 }))).toMatchObject({
      code: "ERR_FOURFOLD_ARGUMENT",
      given: 1,
      expected: 2 ** 30,
    });
    tf.removeBackend("fourfold");
    registerFourfold({ memoryBytesMax: 1 });
    expect(await tf.setBackend("fourfold")).toBe(true);
  });

  test.each([-1, 1.5, Number.NaN, 2 ** 32, "1"])("refuses memoryBytesMax %j", (memoryBytesMax) => {
    expect(errorOf(() => registerFourfold({ memoryBytesMax: memoryBytesMax as number }))).toMatchObject({
      code: "ERR_FOURFOLD_ARGUMENT",
      message: expect.stringContaining("memoryBytesMax"),
    });
  });

  test("covers every kernel of the cpu backend", () => {
    const names = (backend: string): string[] =>
      tf
        .getKernelsForBackend(backend)
        .map(({ kernelName }) => kernelName)
        .sort();
    expect(names("fourfold")).toEqual(names("cpu"));
  });
});

describe("memory", () => {
  test("no tensor, no byte is left over after 10,000 operations", () => {
    const x = tf.tensor2d(new Float32Array(120 * 120).fill(1), [120, 120]);
    const vector = tf.ones([120, 1]) as tf.Tensor2D;
    const ids = tf.tensor1d(
      Int32Array.from({ length: 120 }, (_, i) => i % 5),
      "int32",
    );
    const before = tf.memory();
    for (let i = 0; i < 1250; i++)
      tf.tidy(() => {
        tf.sum(x, i % 2);
        tf.mean(x);
        tf.max(x, 0);
        tf.prod(x, 1);
        tf.matMul(x, vector, i % 3 === 0);
        tf.einsum("ab,b->a", x, tf.reshape(vector, [120]));
        tf.unsortedSegmentSum(x, ids, 5);
        tf.sum(tf.mul(x, x), [0, 1]);
      });
    expect(tf.memory()).toMatchObject({ numTensors: before.numTensors, numDataBuffers: before.numDataBuffers, numBytes: before.numBytes });
    expect(kernelBytes()).toBe(4 * 120 * 120);
    tf.dispose([x, vector, ids]);
    expect(kernelBytes()).toBe(0);
  });

  test("holds a tensor that is used again, as long as there is room, and frees it when it is disposed of", async () => {
    await useFourfold({ memoryBytesMax: 100_000 });
    const [a, b] = [ones(20_000), ones(20_000)];
    tf.sum(a).dispose();
    expect(kernelBytes()).toBe(0);
    expect(useTwice(a)).toBe(20_000);
    expect(kernelBytes()).toBe(80_000);
    expect(useTwice(b)).toBe(20_000);
    expect(kernelBytes()).toBe(80_000);
    a.dispose();
    expect(kernelBytes()).toBe(0);
    expect(useTwice(b)).toBe(20_000);
    expect(kernelBytes()).toBe(80_000);
    b.dispose();
  });

  test("grows under tensors that are in use", () => {
    const tensors = Array.from({ length: 30 }, (_, i) => tf.tensor1d(new Float32Array(100_000).fill(i)));
    for (let round = 0; round < 3; round++) for (const [i, t] of tensors.entries()) expect(useTwice(t)).toBe(100_000 * i);
    expect(kernelBytes()).toBe(30 * 400_000);
    tf.dispose(tensors);
    expect(kernelBytes()).toBe(0);
  });

  test("clones, reshapes and slices outlive the tensor they came from", () => {
    const x = tf.tensor2d(
      Float32Array.from({ length: 20_000 }, (_, i) => i % 10),
      [200, 100],
    );
    useTwice(x);
    const [copy, row, part] = [tf.clone(x), tf.reshape(x, [20_000]), tf.slice(x, [100, 0], [100, 100])];
    useTwice(part);
    x.dispose();
    const others = [ones(20_000), ones(20_000)];
    for (const t of others) useTwice(t);
    expect([useTwice(copy), useTwice(row), useTwice(part)]).toEqual([90_000, 90_000, 45_000]);
    expect(copy.dataSync()[19]).toBe(9);
    tf.dispose([copy, row, part, ...others]);
    expect(kernelBytes()).toBe(0);
  });

  test("what dataSync gives is the caller's own, whatever becomes of the tensor", () => {
    const x = ones(10_000);
    useTwice(x);
    const data = x.dataSync();
    x.dispose();
    const y = tf.tensor1d(new Float32Array(10_000).fill(2));
    useTwice(y);
    expect(data.buffer).toBeInstanceOf(ArrayBuffer);
    expect(data.every((v) => v === 1)).toBe(true);
    y.dispose();
  });

  test("an operation that throws leaves nothing behind", () => {
    const before = tf.memory().numTensors;
    const x = tf.ones([3, 4]) as tf.Tensor2D;
    expect(() => tf.matMul(x, x)).toThrow();
    expect(() => tf.sum(x, 5)).toThrow();
    x.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test("goes with the backend", async () => {
    const x = ones(10_000);
    useTwice(x);
    await tf.setBackend("cpu");
    expect(tf.sum(x).dataSync()[0]).toBe(10_000); // moves the tensor
    tf.removeBackend("fourfold");
    expect(x.dataSync()[0]).toBe(1);
    x.dispose();
  });
});

describe("beside other backends", () => {
  test("tensors move there and back", async () => {
    const x = tf.tensor2d(
      Float32Array.from({ length: 10_000 }, (_, i) => i),
      [100, 100],
    );
    const want = await on("cpu", () => tf.sum(x, 1));
    expect(await on("fourfold", () => tf.sum(x, 1), 3)).toEqual(want);
    expect(await on("cpu", () => tf.sum(x, 1))).toEqual(want);
    expect(await on("fourfold", () => tf.sum(x, 1), 3)).toEqual(want);
    x.dispose();
  });
});
