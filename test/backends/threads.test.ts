// A tensor backend's thread: what it computes is what the adapter computes, the caller's event loop stays free, and no end of a
// thread or a call leaves another one behind. These tests use the built package, as its threads do.
import { describe, expect, test } from "vitest";
import { loadKernelModule } from "../../src/backends/kernels.ts";
import { Heaps } from "../../src/backends/memory.ts";
import type { TensorBackendName } from "../../src/backends/tensor-backends.ts";
import { TensorThread } from "../../src/backends/tensors.ts";
import { loadTfjs } from "../../src/backends/tfjs.ts";
import { createEngine, type Engine } from "../../src/engine.ts";
import { errorBound } from "../../src/reduce/bound.ts";
import { chain } from "../../src/reduce/chain.ts";
import { defineReduction, max, mean, sum, weightedSum } from "../../src/reduce/reductions.ts";
import { type Fitted, fit } from "../../src/reduce/resolve.ts";
import { boundOfSizes, rowSizes, sizingOf } from "../../src/reduce/sizes.ts";
import { denseTree, dtypeOf } from "../../src/reduce/tree.ts";
import { outputOf, ROOT, runNode } from "../child.ts";
import { failing, hex } from "../failing.ts";
import { randomCase } from "../reduce/cases.ts";
import { absence } from "./tensors.ts";

const summed = (n: number): Fitted => {
  const c = chain(sum());
  return fit(c, denseTree(c, [n], undefined), "propagate", "fast");
};

const heapsOf = (): Heaps =>
  new Heaps(
    loadKernelModule(),
    2 ** 30,
    () => undefined,
    () => false,
  );

const optional = async (name: TensorBackendName): Promise<readonly [TensorBackendName, string, string | undefined]> => {
  const absent = await absence(name);
  return [name, absent === undefined ? "" : ` (skipped: ${absent})`, absent];
};
const BACKENDS = [
  ["tfjs-cpu", "", undefined] as const,
  ["tfjs-wasm", "", undefined] as const,
  await optional("tensorflow"),
  await optional("webgpu"),
];

for (const [name, note, absent] of BACKENDS)
  describe.skipIf(absent !== undefined)(`backend ${name}${note}`, () => {
    async function withEngine<T>(work: (engine: Engine) => Promise<T>): Promise<T> {
      const engine = await createEngine({ backend: name });
      try {
        return await work(engine);
      } finally {
        await engine.close();
      }
    }

    test("values and kept levels have the bits of the adapter, run on this thread, and bounds are those of sizes where they tell", {
      timeout: 180_000,
    }, async () => {
      const here = await loadTfjs(name);
      let sized = 0;
      const heaps = heapsOf();
      const thread = new TensorThread(name, heaps);
      try {
        // A GPU's programs are compiled for each of the two devices: that takes longer than all runs.
        const cases = name === "webgpu" ? 50 : 200;
        for (let seed = 0; seed < cases; seed++) {
          const { title, fitted, data } = randomCase(seed);
          const keep = fitted.levels.map((_, i) => (seed + i) % 2 === 0);
          const executable = thread.prepare(fitted, keep);
          const there = await executable.run(data, {});
          executable.close();
          const expected = await here.run(fitted, data, keep);
          expect(
            there.levels.map((level) => level && hex(level.values)),
            title,
          ).toEqual(expected.map((level) => level && hex(level.values)));
          expect(
            there.levels.map((level) => level?.records),
            title,
          ).toEqual(expected.map((level) => level?.records));
          const sizing = sizingOf(fitted, dtypeOf(data)!, here.arithmetic);
          const bounds = sizing && boundOfSizes(sizing, rowSizes(sizing, data), data);
          if (bounds === undefined) expect(hex(there.bounds!), title).toEqual(hex(errorBound(fitted, data, here.arithmetic)));
          else {
            sized++;
            // Kernels add in float32.
            const ratios = Array.from(bounds, (bound, i) => (Object.is(bound, there.bounds![i]) ? 1 : there.bounds![i]! / bound));
            expect(
              ratios.filter((ratio) => !(Math.abs(ratio - 1) < 2 ** -14)),
              title,
            ).toEqual([]);
          }
        }
        expect(sized).toBeGreaterThan(0.15 * cases);
        expect(heaps.bytesUsed).toBe(0);
      } finally {
        await thread.close();
      }
    });

    test("data of every dtype is read where it lies in engine memory, and copied from elsewhere", () =>
      withEngine(async (engine) => {
        const c = chain(weightedSum([1, 2, 3]), max());
        for (const dtype of ["f32", "f64", "i32", "i16", "i8", "u8"] as const) {
          const x = engine.tensor([2, 3], dtype);
          x.data.set([1, 2, 3, 3, 2, 1]);
          const there = await engine.run(c, x);
          const Kind = x.data.constructor as new (values: number[]) => typeof x.data;
          const own = new Kind([9, 1, 2, 3, 3, 2, 1, 9]).subarray(1, 7);
          const elsewhere = await engine.run(c, { data: own, shape: [2, 3] });
          expect([there.value, elsewhere.value, there.plan.backend, there.errorBound!]).toEqual([14, 14, name, expect.any(Number)]);
          expect(Array.from(own)).toEqual([1, 2, 3, 3, 2, 1]);
        }
      }));

    test("errorBound: false spares the bound, for a run and for a plan", () =>
      withEngine(async (engine) => {
        const c = chain(weightedSum([1, 2, 3]), max());
        const x = engine.tensor([2, 3], "f32");
        for (const nan of ["propagate", "skip"] as const) {
          const without = await engine.run(c, x, { errorBound: false, nan });
          expect([without.value, without.errorBound]).toEqual([0, undefined]);
          expect((await engine.run(c, x, { nan })).errorBound).toBeGreaterThan(0);
        }
        expect((await engine.plan(c, { shape: [2, 3], dtype: "f32", errorBound: false }).run(x)).errorBound).toBeUndefined();
      }));

    test("rows that come in pieces are measured whole, and the first NaN is named", () =>
      withEngine(async (engine) => {
        const n = 300_000; // more than one piece of the pass
        const data = Float32Array.from({ length: n }, (_, i) => (i % 1000) - 500);
        const offsets = [[0, 0, 1, 100_000, 100_001, 250_000, 250_000, n]];
        const whole = await engine.run(chain(sum()), { data, offsets });
        const own = engine.tensor([n], "f32");
        own.data.set(data);
        for (let row = 0; row + 1 < offsets[0]!.length; row++) {
          const part = own.data.subarray(offsets[0]![row], offsets[0]![row + 1]);
          const fitted = summed(part.length);
          const least = errorBound(fitted, part, (await loadTfjs(name)).arithmetic)[0]!;
          expect(whole.errorBounds![row]!).toBeGreaterThanOrEqual(least * (1 - 2 ** -12));
          expect(whole.errorBounds![row]!).toBeLessThan(Number.POSITIVE_INFINITY);
        }
        data[200_000] = Number.NaN;
        data[290_000] = Number.NaN;
        const error = await failing(() => engine.run(chain(sum()), { data, offsets }, { nan: "error" }));
        expect([error.code, error.at]).toEqual(["ERR_FOURFOLD_NAN", { level: "f", index: 200_000 }]);
        const kept = await engine.run(chain(sum()), { data, offsets }, { nan: "skip" });
        expect(kept.errorBounds!.every(Number.isFinite)).toBe(true);
        expect((await engine.run(chain(sum()), { data, offsets })).errorBounds![4]).toBeNaN();
      }));

    test("the event loop turns while operations and the bound are computed", () =>
      withEngine(async (engine) => {
        const x = engine.tensor([4, 1024, 1024], "f32");
        let turns = 0;
        let running = true;
        const turn = (): void => {
          turns++;
          if (running) setImmediate(turn);
        };
        const result = engine.run(chain(sum(), mean()), x);
        turn();
        await result;
        running = false;
        expect(turns).toBeGreaterThan(100);
      }));

    test("an aborted run rejects at once, a waiting one never starts, and the next one is right", () =>
      withEngine(async (engine) => {
        const x = engine.tensor([4, 1024, 1024], "f32");
        x.data.fill(1);
        const c = chain(sum(), max());
        const controller = new AbortController();
        const running = engine.run(c, x, { signal: controller.signal });
        const waiting = engine.run(c, x, { signal: controller.signal });
        setImmediate(() => controller.abort(new Error("enough")));
        for (const run of [running, waiting]) {
          const error = await failing(() => run);
          expect([error.code, error.cause]).toEqual(["ERR_FOURFOLD_ABORTED", new Error("enough")]);
        }
        expect((await engine.run(c, x)).values).toEqual(Float64Array.of(1024, 1024, 1024, 1024));
      }));

    test("closing the engine ends what runs and what waits", async () => {
      const engine = await createEngine({ backend: name });
      const x = engine.tensor([4, 1024, 1024], "f32");
      const runs = [engine.run(chain(sum()), x), engine.run(chain(sum()), x)].map((run) => failing(() => run));
      await engine.close();
      expect((await Promise.all(runs)).map(({ code }) => code)).toEqual(["ERR_FOURFOLD_CLOSED", "ERR_FOURFOLD_CLOSED"]);
    });

    test("what tensors cannot do is refused before anything runs", () =>
      withEngine(async (engine) => {
        const spread = defineReduction({ name: "spread", init: () => 0, add: (a) => a, merge: (a) => a, finish: (a) => a });
        const input = { data: Float32Array.of(1, 2), shape: [1, 2] };
        expect((await failing(() => engine.run(chain(sum(), spread()), input))).at).toEqual({ level: "g" });
        expect((await failing(() => engine.run(chain(sum(), sum()), input, { accuracy: "exact" }))).code).toBe("ERR_FOURFOLD_ACCURACY");
        expect((await failing(() => engine.plan(chain(sum(), spread()), { shape: [1, 2], dtype: "f32" }))).code).toBe(
          "ERR_FOURFOLD_ACCURACY",
        );
        expect((await failing(() => engine.runSync(chain(sum(), sum()), input))).code).toBe("ERR_FOURFOLD_BACKEND");
      }));

    test("an idle thread does not keep the process alive, nor does one that is never closed", async () => {
      const program = `import { chain, createEngine, sum } from ${JSON.stringify(new URL("../../dist/index.js", import.meta.url).href)};
        const engine = await createEngine({ backend: "${name}" });
        console.log((await engine.run(chain(sum()), [1, 2, 3])).value);`;
      expect(await outputOf(runNode(["--input-type=module", "--eval", program], { cwd: ROOT }))).toBe("6\n");
    });
  });

describe("a thread that is lost", () => {
  const fixture = new URL("./fixtures/tensor-thread.mjs", import.meta.url);
  test.each([
    [1, /exited with status 7/],
    [2, /thrown by the thread/],
  ])("fails the run that it had, with its cause, and is replaced for the next one (%i)", async (how, cause) => {
    const thread = new TensorThread("tensorflow", heapsOf(), { workerUrl: fixture });
    try {
      const executable = thread.prepare(summed(1), [true]);
      expect((await executable.run(Float64Array.of(5), {})).levels[0]!.values).toEqual(Float64Array.of(5));
      const first = failing(() => executable.run(Float64Array.of(how), {}));
      const second = executable.run(Float64Array.of(6), {});
      const error = await first;
      expect([error.code, (error.cause as Error).message]).toEqual(["ERR_FOURFOLD_WORKER", expect.stringMatching(cause)]);
      expect((await second).levels[0]!.values).toEqual(Float64Array.of(6));
    } finally {
      await thread.close();
    }
  });

  test("that was closed starts no other", async () => {
    const thread = new TensorThread("tensorflow", heapsOf(), { workerUrl: fixture });
    const executable = thread.prepare(summed(1), [true]);
    await thread.close();
    expect((await failing(() => executable.run(Float64Array.of(5), {}))).code).toBe("ERR_FOURFOLD_CLOSED");
    executable.close();
  });
});
