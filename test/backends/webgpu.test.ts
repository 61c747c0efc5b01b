// A GPU through Dawn, where it is set up: npx fourfold setup webgpu. A software driver will do. Beside the suite of all tensor
// backends: what is this device's own, which is its limits, its faults, and the programs that stand in for TensorFlow.js's.
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadTfjs, type TensorBackend } from "../../src/backends/tfjs.ts";
import { loadWebgpu } from "../../src/backends/tfjs-webgpu.ts";
import { errorBound, GPU_F32 } from "../../src/reduce/bound.ts";
import { chain } from "../../src/reduce/chain.ts";
import { max, sum, weightedSum } from "../../src/reduce/reductions.ts";
import { type Fitted, fit } from "../../src/reduce/resolve.ts";
import { denseTree } from "../../src/reduce/tree.ts";
import { failing } from "../failing.ts";
import { randomCase } from "../reduce/cases.ts";
import { absence, tensorSuite } from "./tensors.ts";

const LONG = { timeout: 300_000 };

interface Device {
  destroy(): void;
  createBuffer(descriptor: { size: number; usage: number }): unknown;
}

const device = (): Device => (tf.findBackend("webgpu") as unknown as { device: Device }).device;

const absent = await absence("webgpu");
describe.skipIf(absent !== undefined)(`backend webgpu${absent === undefined ? "" : ` (skipped: ${absent})`}`, () => {
  tensorSuite("webgpu");

  const summed = (...shape: number[]): Fitted => {
    const c = chain(sum(), ...(shape.length > 1 ? [max()] : []));
    return fit(c, denseTree(c, shape, undefined), "propagate", "fast");
  };

  describe("our programs", () => {
    let before: string;
    beforeAll(async () => {
      before = tf.getBackend();
      await loadTfjs("webgpu");
      await tf.setBackend("webgpu");
    });
    afterAll(async () => {
      await tf.setBackend(before);
    });

    test("sums of integers, and what moves integers, are exact beyond 2^24", async () => {
      const big = 2 ** 24 + 1;
      const x = tf.tensor([big, 1, big, 5], [2, 2], "int32");
      const padded = tf.concat([x, tf.fill([2, 1], 7, "int32")], 1);
      for (const [got, expected] of [
        [tf.sum(x, 1), [big + 1, big + 5]],
        [padded, [big, 1, 7, big, 5, 7]],
        [tf.gather(padded, tf.tensor([2, 0], [2], "int32"), 1), [7, big, 7, big]],
        [tf.slice(padded, [0, 1], [2, 2]), [1, 7, 5, 7]],
        [tf.where(tf.greater(x, tf.scalar(3, "int32")), x, tf.scalar(0, "int32")), [big, 0, big, 5]],
      ] as const)
        expect(Array.from(await got.data())).toEqual(expected);
    });

    test("extremes of subnormals and zeros are the right ones, or zero where the device has no subnormals", async () => {
      const tiny = 2 ** -149;
      const x = tf.tensor([5 * tiny, -3 * tiny, 2 * tiny, -4 * tiny, 0, 7 * tiny], [2, 3]);
      expect([[-3, -4].map((n) => n * tiny), [0, 0]]).toContainEqual(Array.from(await tf.min(x, 1).data(), (v) => v + 0));
      expect([[5, 7].map((n) => n * tiny), [0, 0]]).toContainEqual(Array.from(await tf.max(x, 1).data(), (v) => v + 0));
    });

    test("a product keeps a NaN or an infinity in its row, whatever the extents", async () => {
      for (const [m, n, k] of [
        [1, 3, 2],
        [3, 70, 11],
        [17, 65, 33],
        [16, 64, 16],
      ] as const) {
        const a = Float32Array.from({ length: m * k }, (_, i) => (i % 7) - 3);
        const b = Float32Array.from({ length: n * k }, (_, i) => (i % 5) - 2);
        b[k] = Number.NaN;
        b[2 * k + 1] = Number.POSITIVE_INFINITY;
        const expected = Array.from({ length: m * n }, (_, at) => {
          let total = 0;
          for (let i = 0; i < k; i++) total += a[Math.floor(at / n) * k + i]! * b[(at % n) * k + i]!;
          return total;
        });
        const got = tf.matMul(tf.tensor(a, [m, k]), tf.tensor(b, [n, k]), false, true);
        // JSON-like equality does not tell +0 from −0, which is not promised.
        expect(Array.from(await got.data(), (v) => v + 0)).toEqual(expected.map((v) => v + 0));
      }
    });

    test("a few long rows, cut into pieces, and more rows than one axis of a dispatch has workgroups", LONG, async () => {
      const long = tf.tensor(
        Float32Array.from({ length: 3 * 50_001 }, (_, i) => i % 3),
        [1, 3, 50_001],
      );
      const of = (row: number): number => Array.from({ length: 50_001 }, (_, i) => (row * 50_001 + i) % 3).reduce((a, b) => a + b);
      expect(Array.from(await tf.sum(long, 2).data())).toEqual([of(0), of(1), of(2)]);
      expect(Array.from(await tf.max(long, 2).data())).toEqual([2, 2, 2]);
      const rows = 65_535 * 256 + 300;
      const many = new Float32Array(rows);
      for (let i = 0; i < rows; i++) many[i] = i & 0xffff;
      const got = (await tf.sum(tf.tensor(many, [1, rows, 1]), 2).data()) as Float32Array;
      expect(Buffer.compare(Buffer.from(got.buffer), Buffer.from(many.buffer))).toBe(0);
    });
  });

  describe("a device with small tensors", () => {
    test("gets every level in pieces: the same bits, or it is said what does not fit", LONG, async () => {
      const whole = await loadTfjs("webgpu");
      const cases = Array.from({ length: 60 }, (_, seed) => randomCase(seed));
      const all = (fitted: Fitted): boolean[] => fitted.levels.map(() => true);
      const expected = [];
      for (const { fitted, data } of cases) expected.push(await whole.run(fitted, data, all(fitted)));
      const pieces = await loadTfjs("webgpu", () => loadWebgpu({ tensorBytesMax: 256 }));
      let refused = 0;
      let cut = 0;
      for (const [i, { title, fitted, data }] of cases.entries()) {
        const found = await pieces.run(fitted, data, all(fitted)).catch((error: unknown) => error);
        if (found instanceof Error) {
          expect({ title, ...found }).toMatchObject({ code: "ERR_FOURFOLD_MEMORY", expected: 256, fix: expect.stringContaining("wasm") });
          refused++;
        } else {
          expect(found, title).toEqual(expected[i]);
          if (data.length > 64) cut++;
        }
      }
      expect(refused).toBeGreaterThan(2);
      expect(cut).toBeGreaterThan(5);
    });

    test("weights of one frame reach every frame, whichever piece it is in", async () => {
      const pieces = await loadTfjs("webgpu", () => loadWebgpu({ tensorBytesMax: 256 }));
      const c = chain(weightedSum({ perNode: [1, 2, 3, 4, 5, 6] }), max());
      const fitted = fit(c, denseTree(c, [30, 2, 3], undefined), "propagate", "fast");
      const data = Float32Array.from({ length: 180 }, (_, i) => i % 11);
      const values = (await pieces.run(fitted, data, [true]))[0]!.values;
      const expected = Array.from({ length: 60 }, (_, row) =>
        [0, 1, 2].reduce((total, i) => total + data[row * 3 + i]! * ((row % 2) * 3 + i + 1), 0),
      );
      expect(Array.from(values)).toEqual(expected);
    });
  });

  test("the memory of tensors that are gone is given back, and their like can come again", async () => {
    const backend = await loadTfjs("webgpu");
    const before = tf.getBackend();
    await tf.setBackend("webgpu");
    const gpu = tf.findBackend("webgpu") as unknown as {
      bufferManager: { numBytesAllocated: number };
      uploadToGPU(id: object): void;
    };
    const uploaded = (): tf.Tensor => {
      const x = tf.tensor(new Float32Array(80 << 20)); // more than is kept
      gpu.uploadToGPU(x.dataId);
      return x;
    };
    const large = uploaded();
    const run = async (): Promise<number> => (await backend.run(summed(3), Float32Array.of(1, 2, 3), []))[0]!.values[0]!;
    expect(await run()).toBe(6);
    expect(gpu.bufferManager.numBytesAllocated).toBeGreaterThan(320 << 20);
    large.dispose();
    expect(await run()).toBe(6);
    expect(gpu.bufferManager.numBytesAllocated).toBeLessThan(1 << 20);
    uploaded().dispose();
    expect(await run()).toBe(6);
    expect(gpu.bufferManager.numBytesAllocated).toBeLessThan(1 << 20);
    await tf.setBackend(before);
  });

  describe("a device that fails", () => {
    let nothing: TensorBackend;
    beforeAll(async () => {
      // Dawn's own device that computes nothing.
      nothing = await loadTfjs("webgpu", () => loadWebgpu({ flags: ["backend=null"] }));
    });

    test("while it runs is an error with its cause, never zeros; the next run has another device", async () => {
      const first = device();
      expect((await nothing.run(summed(3), Float32Array.of(1, 2, 3), []))[0]!.values.length).toBe(1);
      const running = failing(() => nothing.run(summed(3), Float32Array.of(1, 2, 3), []));
      first.destroy();
      const error = await running;
      expect([error.code, (error.cause as Error).message]).toEqual(["ERR_FOURFOLD_DEVICE", expect.stringMatching(/lost|destroyed/)]);
      expect(error.fix).toContain('backend "wasm"');
      expect((await nothing.run(summed(3), Float32Array.of(1, 2, 3), []))[0]!.values.length).toBe(1);
      expect(device()).not.toBe(first);
    });

    test("refuses a command: the run under way fails, whatever it read", async () => {
      const first = device();
      const running = [1, 2].map(() => failing(() => nothing.run(summed(3), Float32Array.of(1, 2, 3), [])));
      first.createBuffer({ size: 16, usage: 0 });
      for (const error of await Promise.all(running)) {
        expect(error.code).toBe("ERR_FOURFOLD_DEVICE");
        expect((error.cause as Error).message).toMatch(/usage/);
      }
      const both = await Promise.all([1, 2].map(() => nothing.run(summed(3), Float32Array.of(1, 2, 3), [])));
      expect(both.map(([level]) => level!.values.length)).toEqual([1, 1]);
      expect(device()).not.toBe(first);
    });

    test("between runs is replaced before the next one, which is right", async () => {
      const backend = await loadTfjs("webgpu");
      const first = device();
      first.destroy();
      await new Promise((next) => setTimeout(next));
      const data = Float32Array.of(1, 2, 3, 5);
      expect((await backend.run(summed(2, 2), data, []))[1]!.values).toEqual(Float64Array.of(8));
      expect(device()).not.toBe(first);
      expect(backend.arithmetic).toBe(GPU_F32);
      expect(errorBound(summed(2, 2), data, backend.arithmetic)[0]).toBeGreaterThan(0);
    });
  });
});
