/**
 * Where the engine runs things: what auto chooses by measured rates, batches split over backends, copies on devices, and devices that
 * fail. The device is TensorFlow.js's plain JavaScript backend, which every checkout has, or a native one; rates are declared where a
 * choice is tested.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Worker } from "node:worker_threads";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { installedVersions } from "../src/backends/installed.ts";
import { type Calibration, calibrationFile, type Measured, readCalibration, writeCalibration } from "../src/calibration.ts";
import {
  chain,
  createEngine,
  type DeviceTensor,
  defineReduction,
  type Engine,
  type EngineOptions,
  type Input,
  max,
  mean,
  min,
  sum,
  variance,
  weightedMean,
  weightedSum,
} from "../src/index.ts";
import type { Rates } from "../src/schedule/cost.ts";
import { failing, hex } from "./failing.ts";
import { random } from "./random.ts";

/** The one that FOURFOLD_NEEDS names, where that is set up. */
const DEVICE = (["tensorflow", "webgpu"] as const).find((name) => name === process.env["FOURFOLD_NEEDS"]) ?? "tfjs-cpu";
const folder = mkdtempSync(join(tmpdir(), "fourfold-devices-"));
const file = join(folder, "calibration.json");
const warnings: string[] = [];
let engine: Engine;

async function make(options: EngineOptions = {}): Promise<Engine> {
  engine = await createEngine({ workers: 2, devices: [DEVICE], ...options });
  return engine;
}

const onWarning = (warning: Error & { code?: string }): void => {
  if (warning.code === "FOURFOLD_MOVED") warnings.push(warning.message);
};

beforeEach(() => {
  rmSync(file, { force: true });
  vi.stubEnv("FOURFOLD_CALIBRATION", file);
  warnings.length = 0;
  process.on("warning", onWarning);
});

afterEach(async () => {
  await engine?.close();
  process.off("warning", onWarning);
  vi.unstubAllEnvs();
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const NOTHING: Rates = {
  fixedMs: 0,
  nsPerByte: 0,
  nsPerOperation: { sum: 0, extreme: 0, variance: 0, matrix: 0 },
  nsPerNode: { sum: 0, extreme: 0, variance: 0, matrix: 0 },
  moveNsPerByte: { "engine memory": 0, "foreign array": 0 },
  convertNsPerLeaf: 0,
};

/** Stores rates as if they had been measured. */
function declare(wasm: Partial<Rates>, device: Partial<Rates>, own: Partial<Measured> = {}): Calibration {
  const both = { processor: "cpu", memoryBytesMax: 2 ** 33, measuredAt: "2026-01-01T00:00:00.000Z" };
  const calibration: Calibration = {
    devices: [
      { ...both, name: "wasm", versions: "", leaves: "given", rates: { ...NOTHING, ...wasm } },
      { ...both, name: DEVICE, versions: installedVersions(DEVICE)!, leaves: "f32", rates: { ...NOTHING, ...device }, ...own },
    ],
    failed: {},
  };
  expect(writeCalibration(file, calibration)).toBe(true);
  return calibration;
}

const r = random(11);
const weights = (n: number): Float64Array => Float64Array.from(r.numbers(n, "plain"));
const index = chain(weightedSum(weights(32)), weightedSum(weights(64)), mean(), max());
const SHAPE = [4, 8, 64, 32];

function filled(shape: readonly number[], device?: typeof DEVICE): ReturnType<Engine["tensor"]> {
  const x = engine.tensor(shape, "f32", device && { device });
  const values = random(3).numbers(x.data.length, "plain");
  for (let i = 0; i < x.data.length; i++) x.data[i] = values[i]!;
  return x;
}

describe(`backend ${DEVICE}`, () => {
  describe("auto", () => {
    test("takes the device that is predicted to end first, and says what was predicted and what it took", async () => {
      declare({ fixedMs: 50 }, { fixedMs: 10 });
      await make();
      const x = filled(SHAPE);
      const result = await engine.run(index, x);
      const kept = await engine.run(index, x, { backend: "wasm" });
      expect(result.plan).toMatchObject({
        backend: DEVICE,
        reason: "predicted to end first: 10 ms, wasm 50 ms",
        predictedMs: 10,
        candidates: [
          { device: "wasm", predictedMs: 50 },
          { device: DEVICE, predictedMs: 10 },
        ],
        devices: [],
        moved: [],
      });
      expect(result.plan.ranMs).toBeGreaterThan(0);
      expect(Math.abs(result.value - kept.value)).toBeLessThanOrEqual(result.errorBound!);
      expect(String(result.plan)).toMatch(/^ +10 ms predicted, took [\d.]+ ms$/m);
      expect(String(engine.plan(index, { shape: SHAPE, dtype: "f32" }))).toMatch(/^ +10 ms predicted$/m);
      expect(hex((await engine.run(index, x, { accuracy: "reproducible" })).values)).toEqual(hex(kept.values));
    });

    test("keeps its decision for as long as the plan is kept", async () => {
      declare({ fixedMs: 50 }, { fixedMs: 10 });
      await make();
      const x = filled(SHAPE);
      const plan = engine.plan(index, { shape: SHAPE, dtype: "f32" });
      declare({ fixedMs: 1 }, { fixedMs: 10 });
      expect((await plan.run(x)).plan.backend).toBe(DEVICE);
      expect((await engine.run(index, x)).plan.backend).toBe(DEVICE);
    });

    test.each<[string, () => Promise<{ plan: { backend: string; reason: string } }>]>([
      ["accuracy reproducible: SIMD kernels keep the contract", async () => engine.run(index, filled(SHAPE), { accuracy: "reproducible" })],
      ["accuracy exact: SIMD kernels keep the contract", async () => engine.run(index, filled(SHAPE), { accuracy: "exact" })],
      [
        "accuracy reproducible: SIMD kernels keep the contract",
        async () => engine.run(chain(sum()), { values: [1, 2], keys: { k: ["a", "b"] } }),
      ],
      ["other devices have no synchronous way", async () => engine.runSync(index, filled(SHAPE))],
      [
        'reduction "mine" is no tensor operation',
        async () => {
          const mine = defineReduction<number>({
            name: "mine",
            init: () => 0,
            add: (s, x) => s + x,
            merge: (a, b) => a + b,
            finish: (s) => s,
          });
          return engine.run(chain(mine()), { data: [1, 2], shape: [2] });
        },
      ],
    ])("stays with the kernels: %s", async (reason, run) => {
      declare({ fixedMs: 50 }, { fixedMs: 10 });
      await make();
      expect((await run()).plan).toMatchObject({ backend: "wasm", reason });
    });

    test("splits a batch between processors, when they are, and merges what they give", async () => {
      declare({ nsPerByte: 10 }, { nsPerByte: 10 }, { processor: "gpu" });
      await make();
      const x = filled([40, 8, 64, 32]);
      const result = await engine.run(chain(weightedSum(weights(32)), mean(), max()), x);
      expect(result.plan.backend).toBe(`wasm+${DEVICE}`);
      expect(result.plan.reason).toContain(`wasm and ${DEVICE} together end first: `);
      expect(result.plan.devices.map(({ leaves }) => leaves)).toEqual([20 * 8 * 64 * 32, 20 * 8 * 64 * 32]);
    });

    test("decides a plan once, wherever the data lies that it is run on; and holds the tensor from the call on", async () => {
      declare({ nsPerByte: 1 }, { fixedMs: 0.01, moveNsPerByte: { "engine memory": 2, "foreign array": 0 } });
      await make();
      const plan = engine.plan(index, { shape: SHAPE, dtype: "f32" });
      expect(plan.backend).toBe("wasm");
      const x = filled(SHAPE);
      const foreign = { data: x.data.slice(), shape: SHAPE, dtype: "f32" as const, free: () => undefined };
      expect((await engine.run(index, foreign)).plan.backend).toBe(DEVICE);
      expect((await plan.run(foreign)).plan.backend).toBe("wasm");
      const expected = (await plan.run(x)).value;
      const running = plan.run(x);
      x.free();
      engine.tensor(SHAPE, "f32").data.fill(7);
      expect((await running).value).toBe(expected);
    });

    test("takes the device that has a copy of the data, if that makes the difference", async () => {
      declare({ nsPerByte: 1 }, { fixedMs: 0.01, moveNsPerByte: { "engine memory": 2, "foreign array": 2 } });
      await make();
      expect((await engine.run(index, filled(SHAPE))).plan.backend).toBe("wasm");
      expect((await engine.run(index, filled(SHAPE, DEVICE))).plan.backend).toBe(DEVICE);
    });

    test("has no one to compare with where no device is allowed", async () => {
      await make({ devices: [] });
      expect((await engine.run(index, filled(SHAPE))).plan).toMatchObject({
        backend: "wasm",
        reason: "SIMD kernels keep the contract in every mode",
        candidates: [],
      });
    });
  });

  describe("a forced split", () => {
    const halves = { split: { wasm: 0.5, [DEVICE]: 0.5 } } as const;

    test("runs its pieces at the same time, each on its backend", async () => {
      await make();
      const { plan, value, errorBound } = await engine.run(index, filled([4, 16, 64, 32]), halves);
      const [a, b] = plan.devices;
      expect([a!.device, b!.device]).toEqual(["wasm", DEVICE]);
      expect(Math.max(a!.startedMs, b!.startedMs)).toBeLessThan(Math.min(a!.endedMs, b!.endedMs));
      expect(plan).toMatchObject({ backend: `wasm+${DEVICE}`, reason: "asked for", split: { level: "g" } });
      const whole = await engine.run(index, filled([4, 16, 64, 32]), { backend: "wasm" });
      expect(Math.abs(value - whole.value)).toBeLessThanOrEqual(errorBound!);
      expect(String(plan)).toMatch(/^distribute {2}wasm: 65,536 values, whole nodes of level g, from [\d.]+ ms to [\d.]+ ms$/m);
    });

    test.each<[string, Parameters<Engine["run"]>[0], Input, object]>([
      ["one frame", index, { data: weights(4 * 8 * 64 * 32), shape: SHAPE }, {}],
      ["several frames", chain(sum(), min()), { data: weights(60 * 4 * 8), shape: [60, 4, 8] }, {}],
      [
        "a weight matrix below the cut",
        chain(weightedSum([weights(8), weights(8), weights(8)]), mean(), variance()),
        { data: weights(3 * 40 * 8), shape: [3, 40, 8] },
        {},
      ],
      [
        "a weight matrix above the cut",
        chain(sum(), weightedMean([weights(40), weights(40).map(Math.abs)])),
        { data: weights(40 * 8), shape: [40, 8] },
        {},
      ],
      [
        "ragged rows",
        chain(sum(), max()),
        { data: weights(100), offsets: [Array.from({ length: 41 }, (_, i) => Math.min(100, i * 3))] },
        {},
      ],
      [
        "missing values, in whole frames",
        chain(mean(), sum()),
        { data: weights(40 * 3 * 5).map((x, i) => (i % 7 < 3 ? Number.NaN : x)), shape: [40, 3, 5] },
        { nan: "skip" },
      ],
    ])("gives the kernels' values within the bound, level by level: %s", async (_, c, input, options) => {
      await make();
      const pieces = await engine.run(c, input, { ...options, ...halves, keep: "all" });
      const whole = await engine.run(c, input, { ...options, backend: "wasm", keep: "all" });
      expect(pieces.plan.devices).toHaveLength(2);
      expect(pieces.shape).toEqual(whole.shape);
      for (const [i, value] of pieces.values.entries())
        expect(Math.abs(value - whole.values[i]!)).toBeLessThanOrEqual(pieces.errorBounds![i]!);
      for (const { name } of c.levels) {
        const [own, expected] = [[...pieces.level(name)], [...whole.level(name)]];
        expect(own.map(({ path, count }) => [path, count])).toEqual(expected.map(({ path, count }) => [path, count]));
        for (const [i, { value }] of own.entries())
          expect(Math.abs(value - expected[i]!.value) <= 1e-4 * (1 + Math.abs(value)) || Number.isNaN(value)).toBe(true);
      }
    });

    test("may have three backends", async () => {
      await make();
      const x = filled([64, 4, 32]);
      const c = chain(weightedSum(weights(32)), sum());
      const whole = await engine.run(c, x, { backend: "wasm" });
      const { plan, values, errorBounds } = await engine.run(c, x, { split: { wasm: 2, [DEVICE]: 1, "tfjs-wasm": 1 } });
      expect(plan.devices.map(({ device, leaves }) => [device, leaves])).toEqual([
        ["wasm", 32 * 128],
        [DEVICE, 16 * 128],
        ["tfjs-wasm", 16 * 128],
      ]);
      for (const [i, value] of values.entries()) expect(Math.abs(value - whole.values[i]!)).toBeLessThanOrEqual(errorBounds![i]!);
    });

    test("of wasm's half alone has the bits of the kernels: the pieces meet where they should", async () => {
      await make();
      const x = filled([64, 4, 32]);
      const c = chain(sum(), sum());
      const pieces = await engine.run(c, x, { split: { wasm: 0.5, [DEVICE]: 0.5 }, keep: "all" });
      const whole = await engine.run(c, x, { backend: "wasm" });
      expect(hex(pieces.values.subarray(0, 32))).toEqual(hex(whole.values.subarray(0, 32)));
      expect(hex(pieces.values.subarray(32))).not.toEqual(hex(whole.values.subarray(32)));
    });

    test.each<[object, RegExp]>([
      [{ split: { wasm: 1 } }, /two backends or more/],
      [{ split: { wasm: 0.5, tensorflwo: 0.5 } }, /two backends or more/],
      [{ split: { wasm: 0.5, [DEVICE]: -1 } }, /two backends or more/],
      [{ split: { wasm: 0.5, [DEVICE]: 0.5 }, backend: "wasm" }, /no backend beside it/],
    ])("is refused where it says too little or too much: %j", async (options, message) => {
      await make();
      const error = await failing(() => engine.run(index, filled(SHAPE), options));
      expect(error.code).toBe("ERR_FOURFOLD_ARGUMENT");
      expect(error.message).toMatch(message);
    });

    test("finds no NaN among the values of its nodes where NaN among the leaves is an error", async () => {
      await make();
      const data = new Float32Array(40 * 3 * 4).fill(1);
      data.set([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY], 24);
      const c = chain(sum(), sum(), mean());
      const { value } = await engine.run(c, { data, shape: [1, 120, 4] }, { ...halves, nan: "error" });
      expect(value).toBeNaN();
    });

    test("gives the levels that were asked for, and no others", async () => {
      await make();
      const x = filled([4, 16, 64, 32]);
      const result = await engine.run(index, x, { ...halves, keep: ["f"] });
      expect([...result.level("f")]).toHaveLength(4 * 16 * 64);
      expect((await failing(() => result.level("g"))).code).toBe("ERR_FOURFOLD_LEVEL");
    });

    test("refuses a reduction that tensors cannot do, wherever it stands", async () => {
      await make();
      const mine = defineReduction<number>({ name: "mine", init: () => 0, add: (s, x) => s + x, merge: (a, b) => a + b, finish: (s) => s });
      const error = await failing(() => engine.run(chain(sum(), mine()), filled([64, 8]), halves));
      expect([error.code, error.given]).toEqual(["ERR_FOURFOLD_ACCURACY", "mine"]);
    });

    test("is refused where the chain cannot be cut, or the accuracy cannot be kept", async () => {
      await make();
      expect((await failing(() => engine.run(chain(sum()), filled([32]), halves))).message).toContain("it has one row");
      expect((await failing(() => engine.run(index, filled(SHAPE), { ...halves, accuracy: "exact" }))).code).toBe("ERR_FOURFOLD_ACCURACY");
    });
  });

  describe("a tensor with a copy on a device", () => {
    test("is read there as it was when it was uploaded, and by the kernels as it is", async () => {
      await make();
      const x = engine.tensor([4, 8], "f32", { device: DEVICE });
      const c = chain(sum(), sum());
      const run = async (backend: "wasm" | typeof DEVICE): Promise<number> => (await engine.run(c, x, { backend })).value;
      x.data.fill(1);
      expect(await run(DEVICE)).toBe(32); // the first run makes the copy
      x.data.fill(2);
      expect([await run(DEVICE), await run("wasm")]).toEqual([32, 64]);
      await x.upload();
      expect(await run(DEVICE)).toBe(64);
      x.free();
      expect((await failing(() => run(DEVICE))).message).toContain("the tensor was freed");
    });

    test("has the values of one without, for every dtype, ragged or with NaN", async () => {
      await make();
      const c = chain(weightedMean(weights(8).map(Math.abs)), max());
      for (const dtype of ["f32", "f64", "i32", "i16", "i8", "u8"] as const) {
        const x = engine.tensor([5, 8], dtype, { device: DEVICE });
        x.data.set(Array.from({ length: 40 }, (_, i) => (dtype.startsWith("f") && i % 11 === 0 ? Number.NaN : (i * 37) % 120)));
        for (const nan of ["propagate", "skip"] as const) {
          const there = await engine.run(c, x, { backend: DEVICE, nan });
          const copied = await engine.run(c, { data: x.data.slice(), shape: [5, 8] }, { backend: DEVICE, nan });
          expect(hex(there.values)).toEqual(hex(copied.values));
          // Sizes of rows are the kernels' in one case and their definition's in the other: upper bounds both.
          if (copied.errorBound === 0 || !Number.isFinite(copied.errorBound))
            expect(hex(there.errorBounds!)).toEqual(hex(copied.errorBounds!));
          else expect(there.errorBound! / copied.errorBound!).toBeCloseTo(1, 3);
        }
        const rows = { data: x.data, offsets: [[0, 3, 3, 10, 40]] };
        const ragged = await engine.run(chain(sum(), max()), rows, { backend: DEVICE, nan: "skip" });
        expect(ragged.value).toBe(
          (await engine.run(chain(sum(), max()), { ...rows, data: x.data.slice() }, { backend: DEVICE, nan: "skip" })).value,
        );
      }
    });

    test.each(["f32", "f64"] as const)("has the bound of what was uploaded, whatever is written to the data since (%s)", async (dtype) => {
      await make();
      const c = chain(weightedSum(weights(32)), sum());
      const x = engine.tensor([16, 32], dtype, { device: DEVICE });
      x.data.set(weights(512));
      const exact = (await engine.run(c, x, { backend: "wasm" })).value;
      await x.upload();
      x.data.fill(0);
      const { value, errorBound } = await engine.run(c, x, { backend: DEVICE });
      expect(Math.abs(value - exact)).toBeLessThanOrEqual(errorBound!);
      expect(Math.abs(value - exact)).toBeGreaterThan(0);
    });

    test("cannot be uploaded once it is freed, and gives its memory back once", async () => {
      await make();
      const used = engine.stats.memoryBytes;
      const x = engine.tensor([64, 64], "f32", { device: DEVICE });
      const uploading = x.upload();
      x.free();
      await uploading;
      expect((await failing(() => x.upload())).message).toContain("the tensor was freed");
      x.free();
      expect(engine.stats.memoryBytes).toBe(used);
      const [a, b] = [engine.tensor([64], "f32"), engine.tensor([64], "f32")];
      expect(a.data.byteOffset).not.toBe(b.data.byteOffset);
    });

    test("that hangs while it is uploaded is an error with a code", async () => {
      await make({ deviceMsMax: 1 });
      const x = filled([64, 64, 512], DEVICE) as DeviceTensor;
      const error = await failing(() => x.upload());
      expect([error.code, error.given]).toEqual(["ERR_FOURFOLD_DEVICE", 1]);
      expect((await engine.run(chain(sum(), sum()), x, { backend: "wasm" })).plan.backend).toBe("wasm");
    });

    test("finds the first NaN where NaN is an error", async () => {
      await make();
      const x = engine.tensor([40], "f32", { device: DEVICE });
      x.data[17] = Number.NaN;
      const error = await failing(() => engine.run(chain(sum()), x, { backend: DEVICE, nan: "error" }));
      expect([error.code, error.at]).toEqual(["ERR_FOURFOLD_NAN", { level: "f", index: 17 }]);
    });
  });

  // A thread that is stopped inside Dawn ends the whole process, and a driver in software is not measured: webgpu.test.ts has its faults.
  if (DEVICE !== "webgpu")
    describe("a device that fails", () => {
      const threads = new Set<Worker>();
      const onThread = (thread: Worker): void => void threads.add(thread);
      beforeEach(() => {
        threads.clear();
        process.on("worker", onThread);
      });
      afterEach(() => void process.off("worker", onThread));

      /** Ends the device's thread, which is the only one of an engine without workers, when it has a run. */
      async function endThread(): Promise<void> {
        while (threads.size === 0) await new Promise((next) => setImmediate(next));
        await Promise.all([...threads].map((thread) => thread.terminate()));
      }

      test("in the middle of a run: the run moves to the kernels, and the plan and a warning say so", async () => {
        await make({ workers: 0 });
        const x = filled([32, 64, 512]);
        const c = chain(variance(), sum());
        const run = engine.run(c, x, { backend: DEVICE });
        await endThread();
        const result = await run;
        expect(hex(result.values)).toEqual(hex((await engine.run(c, x, { backend: "wasm" })).values));
        expect(result.plan).toMatchObject({
          backend: "wasm",
          moved: [{ from: DEVICE, reason: `the thread of backend "${DEVICE}" ended in the middle of a run` }],
        });
        expect(String(result.plan)).toContain(`moved from ${DEVICE} to wasm: `);
        await new Promise((next) => setImmediate(next));
        expect(warnings).toEqual([expect.stringContaining(`A run moved from backend "${DEVICE}" to "wasm": `)]);
        expect((await engine.run(c, x, { backend: DEVICE })).plan).toMatchObject({ backend: DEVICE, moved: [] }); // another thread
      });

      test("with a piece of a split run: that piece moves, and the pieces still make the whole", async () => {
        await make({ workers: 0 });
        const x = filled([64, 32, 512]);
        const c = chain(variance(), sum());
        const run = engine.run(c, x, { split: { wasm: 0.25, [DEVICE]: 0.75 } });
        await endThread();
        const { plan, values } = await run;
        expect(plan).toMatchObject({ backend: "wasm", moved: [{ from: DEVICE }] });
        expect(plan.devices.map(({ leaves }) => leaves)).toEqual([16 * 32 * 512, 48 * 32 * 512]);
        expect(hex(values)).toEqual(hex((await engine.run(c, x, { backend: "wasm" })).values));
      });

      test("to answer in deviceMsMax: it counts as hung, and its late answer is not used", async () => {
        await make({ deviceMsMax: 1 });
        const x = filled([64, 64, 512]);
        const c = chain(variance(), sum());
        const result = await engine.run(c, x, { backend: DEVICE });
        expect(result.plan).toMatchObject({
          backend: "wasm",
          moved: [{ from: DEVICE, reason: `backend "${DEVICE}" has not answered in 1 ms` }],
        });
        expect(hex(result.values)).toEqual(hex((await engine.run(c, x, { backend: "wasm" })).values));
      });

      test("to be needed when the engine is closed: closing ends it", async () => {
        await make({ workers: 0 });
        const x = filled([64, 64, 512]);
        const run = engine.run(chain(variance(), sum()), x, { backend: DEVICE });
        while (threads.size === 0) await new Promise((next) => setImmediate(next));
        const [, closing] = [failing(() => run), engine.close()];
        await closing;
        expect((await failing(() => engine.run(chain(sum()), [1]))).code).toBe("ERR_FOURFOLD_CLOSED");
      });

      test("three times in a row is left alone", async () => {
        await make({ deviceMsMax: 1 });
        const x = filled([64, 64, 512]);
        const c = chain(variance(), sum());
        for (let i = 0; i < 3; i++) expect((await engine.run(c, x, { backend: DEVICE })).plan.backend).toBe("wasm");
        const started = threads.size;
        expect((await engine.run(c, x, { backend: DEVICE })).plan.moved).toEqual([{ from: DEVICE, reason: "it failed 3 times in a row" }]);
        expect(threads.size).toBe(started);
      });
    });

  if (DEVICE !== "webgpu")
    describe("rates", () => {
      test("are measured before the first run that is large enough, stored, and used by later engines", async () => {
        await make();
        const small = await engine.run(index, filled(SHAPE));
        expect(small.plan).toMatchObject({
          candidates: [{ device: DEVICE, refused: "it has not been measured: npx fourfold doctor --calibrate" }],
        });
        expect(readCalibration(file)).toBeUndefined();
        const c = chain(sum(), sum());
        const first = await engine.run(c, engine.tensor([1024, 65536], "u8"));
        expect(first.plan).toMatchObject({ backend: "wasm", predictedMs: expect.any(Number) });
        expect(engine.stats.runs).toBe(2);
        const measured = readCalibration(file)!;
        expect([measured.devices.map(({ name }) => name), measured.failed]).toEqual([["wasm", DEVICE], {}]);
        const [wasm, device] = first.plan.candidates!.map((candidate) => ("predictedMs" in candidate ? candidate.predictedMs : Number.NaN));
        expect(device).toBeGreaterThan(wasm!);
        await engine.close();
        await make();
        expect((await engine.run(c, engine.tensor([1024, 65536], "u8"))).plan.candidates).toEqual(first.plan.candidates);
        expect(readCalibration(file)).toEqual(measured);
      });

      test.each([["{"], ['{"format":1,"devices":[{"name":"wasm"}],"failed":{}}'], ['{"format":99,"devices":[],"failed":{}}'], ["null"]])(
        "that cannot be read are measured again: %s",
        async (text) => {
          writeFileSync(file, text);
          expect(readCalibration(file)).toBeUndefined();
        },
      );

      test("of another version of a device are not used", async () => {
        declare({ fixedMs: 50 }, { fixedMs: 10 }, { versions: "@tensorflow/tfjs-core@4.0.0" });
        await make();
        expect((await engine.run(index, filled(SHAPE))).plan).toMatchObject({
          backend: "wasm",
          candidates: [{ device: DEVICE, refused: expect.stringContaining("not been measured") }],
        });
      });

      test("are not stored half, nor is a folder that cannot be written an error", () => {
        expect(writeCalibration(join(file, "in a file"), declare({}, {}))).toBe(false);
        expect(readCalibration(file)?.devices).toHaveLength(2);
      });

      test("lie below the user's cache folder, by machine and workers, unless FOURFOLD_CALIBRATION says otherwise", () => {
        const env = { XDG_CACHE_HOME: "/cache" };
        expect(calibrationFile(2, env)).toMatch(/^\/cache\/fourfold\/calibration-[\w.-]+-2-workers-node-v[\d.]+-[\d.]+\.json$/);
        expect(calibrationFile(2, env)).not.toBe(calibrationFile(3, env));
        expect(calibrationFile(2, { ...env, FOURFOLD_CALIBRATION: "/a.json" })).toBe("/a.json");
        expect(calibrationFile(2, { ...env, FOURFOLD_CALIBRATION: "off" })).toBeUndefined();
      });
    });
});
