/** Engines on tensors at rest: the bits of the same leaves in memory, errors that say where, memory that does not grow with the file. */
import { closeSync, ftruncateSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { prepareResting } from "../src/at-rest.ts";
import { runReference } from "../src/backends/reference.ts";
import { WasmBackend } from "../src/backends/wasm.ts";
import { createEngine, type Engine } from "../src/engine.ts";
import { chain } from "../src/reduce/chain.ts";
import { max, mean, min, sum, variance, weightedMean, weightedSum } from "../src/reduce/reductions.ts";
import { fit } from "../src/reduce/resolve.ts";
import { finish } from "../src/reduce/slices.ts";
import { denseTree } from "../src/reduce/tree.ts";
import type { Progress, TensorSource } from "../src/types.ts";
import { failing } from "./failing.ts";
import { random } from "./random.ts";

const folder = mkdtempSync(join(tmpdir(), "fourfold-rest-"));
const engines: Engine[] = [];
afterAll(async () => {
  await Promise.all(engines.map((engine) => engine.close()));
  rmSync(folder, { recursive: true });
});

async function engineWith(workers: number, memoryBytesMax?: number): Promise<Engine> {
  const engine = await createEngine({ workers, ...(memoryBytesMax && { memoryBytesMax }) });
  engines.push(engine);
  return engine;
}

type Resting = TensorSource & { readonly fd: number };

/** A file of float64 in a shape or with offsets; `decoded` hides that it could be read as it lies. */
function resting(
  data: Float64Array,
  told: { readonly shape?: readonly number[]; readonly offsets?: readonly Uint32Array[] },
  decoded = false,
): Resting {
  const path = join(folder, `${engines.length}-${data.length}.bin`);
  writeFileSync(path, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  const fd = openSync(path, "r+");
  return {
    kind: "fourfold.tensor",
    name: path,
    dtype: "f64",
    length: data.length,
    shape: told.shape,
    offsets: told.offsets,
    segments: decoded ? undefined : [{ fd, at: 0, items: data.length }],
    read: async (target, first) => {
      readSync(fd, new Uint8Array(target.buffer, target.byteOffset, target.byteLength), 0, target.byteLength, 8 * first);
    },
    close: async () => closeSync(fd),
    fd,
  };
}

const R = random(20261123);
const numbers = (n: number): Float64Array => Float64Array.from({ length: n }, () => R.int(1e9) / 1e3 - 4e5);
const four = chain(weightedSum(numbers(96)), mean(), weightedMean(numbers(8)), max());

describe("engine.run on a tensor at rest", () => {
  test.each([
    ["on workers", 2, false],
    ["on the calling thread", 0, false],
    ["decoded, on workers", 2, true],
    ["decoded, on the calling thread", 0, true],
  ])("gives the bits of the same leaves in memory, at every level, %s", async (_, workers, decoded) => {
    const engine = await engineWith(workers);
    const shape = [2, 8, 40, 96];
    const data = numbers(2 * 2 * 8 * 40 * 96);
    const x = resting(data, { shape: [2, ...shape] }, decoded);
    const expected = await engine.run(four, { data, shape: [2, ...shape] }, { keep: "all" });
    const result = await engine.run(four, x, { keep: "all" });
    expect(result.shape).toEqual([2]);
    for (const { name } of four.levels) expect(result.level(name).values).toEqual(expected.level(name).values);
    expect(String(result.plan)).toContain("in files");
    const planned = String(await engine.planAtRest(four, x));
    expect(String(result.plan).startsWith(planned)).toBe(true);
    expect(planned).toContain(decoded ? "decoded in slabs" : "each thread reads its own ranges");
    await x.close();
  });

  test("takes ragged rows", async () => {
    const engine = await engineWith(2);
    const data = numbers(300_000);
    const cuts = [0, ...Array.from({ length: 999 }, () => R.int(data.length)).sort((a, b) => a - b), data.length];
    const offsets = [Uint32Array.from(cuts), Uint32Array.of(0, 10, 10, 700, 1000)];
    const x = resting(data, { offsets });
    const ragged = chain(sum(), min(), variance());
    const options = { accuracy: "exact", keep: "all" } as const;
    const expected = await engine.run(ragged, { data, offsets }, options);
    const result = await engine.run(ragged, x, options);
    for (const { name } of ragged.levels) expect(result.level(name).values).toEqual(expected.level(name).values);
    await x.close();
  });

  test("needs engine memory for a few pieces, not for the file", async () => {
    const small = await engineWith(2, 6 << 20);
    const data = numbers(4 << 20); // 32 MiB
    const x = resting(data, { shape: [64, 64, 1024] });
    const c = chain(sum(), mean(), sum());
    const large = await engineWith(0);
    expect((await small.run(c, x)).value).toBe((await large.run(c, { data, shape: [64, 64, 1024] })).value);
    expect(small.stats.memoryBytes).toBeLessThan(6 << 20);
    const decoded = resting(data, { shape: [64, 64, 1024] }, true);
    const error = await failing(() => small.run(c, decoded)); // two slabs of 8 MiB
    expect([error.code, error.fix]).toEqual(["ERR_FOURFOLD_MEMORY", expect.stringContaining("give the chain levels between")]);
    expect(error.message).toContain(decoded.name);
    expect(error.message).not.toContain("plain arrays");
    expect(small.stats.memoryBytes).toBeLessThan(1 << 20);
    await Promise.all([x.close(), decoded.close()]);
  });

  test("tells progress in bytes, to the end", async () => {
    const engine = await engineWith(2);
    const x = resting(numbers(1 << 20), { shape: [1024, 1024] });
    const told: Progress[] = [];
    await engine.run(chain(sum(), sum()), x, { onProgress: (progress) => told.push(progress) });
    expect(told.at(-1)).toEqual({ done: 8 << 20, total: 8 << 20, unit: "bytes" });
    await x.close();
  });

  test("of no leaves is the chain of nothing", async () => {
    const engine = await engineWith(2);
    const x = resting(new Float64Array(0), { shape: [3, 0] });
    expect((await engine.run(chain(sum()), x)).values).toEqual(Float64Array.of(0, 0, 0));
    await x.close();
  });
});

describe("a chain on more leaves than one program holds", () => {
  test.each([false, true])("is cut into pieces, which give the bits of the whole (decoded: %s)", async (hidden) => {
    const wasm = new WasmBackend({ workers: 2, memoryBytesMax: 2 ** 28, runsMax: 8, workerUrl: undefined, reclaim: () => false });
    const shape = [8, 40, 96];
    const data = numbers(2 * 8 * 40 * 96);
    const cases = [
      { c: chain(weightedSum(numbers(96)), mean(), max()), shape: [2, ...shape] },
      { c: chain(weightedMean([[...numbers(96)], [...numbers(96)]]), sum(), variance()), shape: [16, 40, 96] },
    ];
    for (const { c, shape } of cases) {
      const x = resting(data, { shape }, hidden);
      const fitted = fit(c, denseTree(c, shape, data.length), "propagate", "reproducible");
      const all = c.levels.map(() => true);
      const way = { backend: "auto", split: undefined, decided: undefined, workers: 2, sync: false } as const;
      const { plan, executable } = finish(prepareResting(wasm, fitted, x, all, way, 10_000));
      const { levels } = await executable.run(data, {});
      executable.close();
      const expected = runReference(fitted, data);
      expect(levels.map((level) => level!.values)).toEqual(expected.map(({ values }) => values));
      expect(plan.split!.pieces.length).toBeGreaterThan(3);
      expect(plan.levels.map(({ nodes }) => nodes)).toEqual(fitted.levels.map(({ nodes }) => nodes));
      expect(String(plan)).toContain("wasm 2: ");
      await x.close();
    }
    expect(wasm.heaps.bytesUsed).toBe(0);
    await wasm.close();
  });

  test.each([0, 2])("has memory for one piece at a time (%i workers)", async (workers) => {
    const wasm = new WasmBackend({ workers, memoryBytesMax: 24 << 20, runsMax: 8, workerUrl: undefined, reclaim: () => false });
    const shape = [64, 64, 1024]; // 32 MiB, in 16 pieces with slabs of 2 MiB
    const data = numbers(4 << 20);
    const x = resting(data, { shape }, true);
    const c = chain(sum(), mean(), sum());
    const fitted = fit(c, denseTree(c, shape, data.length), "propagate", "reproducible");
    const way = { backend: "auto", split: undefined, decided: undefined, workers, sync: false } as const;
    const { executable } = finish(prepareResting(wasm, fitted, x, [false, false, true], way, 1 << 18));
    const { levels } = await executable.run(data, {});
    expect(levels.at(-1)!.values).toEqual(runReference(fitted, data).at(-1)!.values);
    executable.close();
    expect(wasm.heaps.bytesUsed).toBe(0);
    await Promise.all([x.close(), wasm.close()]);
  });

  test("that cannot be cut is refused, and says why", async () => {
    const engine = await engineWith(0);
    const x: TensorSource = { ...resting(numbers(8), { shape: [8] }, true), length: 2 ** 33, shape: [2 ** 33] };
    const error = await failing(() => engine.run(chain(sum()), x));
    expect(error.code).toBe("ERR_FOURFOLD_SHAPE");
    expect(error.message).toContain("it has one row");
    await x.close();
  });

  test.each([
    ["of very many pieces", [2 ** 20, 2 ** 24], "ERR_FOURFOLD_SHAPE", "would be cut into 8192 pieces"],
    ["whose cut level alone is too large", [2 ** 32, 4], "ERR_FOURFOLD_MEMORY", 'all values of level "f" are held'],
    ["of many pieces, whose cut level is too large", [2 ** 40, 4], "ERR_FOURFOLD_MEMORY", "8796093022208 bytes"],
  ])("%s is refused at once", async (_, shape, code, message) => {
    const engine = await engineWith(0);
    const length = shape[0]! * shape[1]!;
    const segments = [{ fd: 0, at: 0, items: length }];
    const x: TensorSource = { ...resting(numbers(8), { shape: [8] }, true), dtype: "f32", length, shape, segments };
    const error = await failing(() => engine.planAtRest(chain({ f: sum(), all: sum() }), x));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(message)]);
    expect(error.fix).toEqual(expect.any(String));
    await x.close();
  });

  test("is cut so that what a piece stores stays small, and planned piece by piece", async () => {
    const wasm = new WasmBackend({ workers: 0, memoryBytesMax: 2 ** 33, runsMax: 8, workerUrl: undefined, reclaim: () => false });
    const [length, shape] = [2 ** 34, [2 ** 30, 2 ** 4]];
    const x: TensorSource = { ...resting(numbers(8), { shape: [8] }, true), dtype: "u8", length, shape };
    const c = chain(sum(), sum());
    const fitted = fit(c, denseTree(c, shape, length, length), "propagate", "reproducible");
    const way = { backend: "auto", split: undefined, decided: undefined, workers: 2, sync: false } as const;
    const preparing = prepareResting(wasm, fitted, x, [false, true], way);
    let turns = 0;
    let step = preparing.next();
    for (; !step.done; step = preparing.next()) turns++;
    const { pieces } = step.value.plan.split!;
    expect(pieces.length).toBe(16); // 2^30 values of 8 bytes, of which a piece has at most 2^26
    expect(pieces.reduce((sum, { leaves }) => sum + leaves, 0)).toBe(length);
    expect(turns).toBe(pieces.length);
    step.value.executable.close();
    await Promise.all([x.close(), wasm.close()]);
  });
});

describe("what goes wrong with a tensor at rest", () => {
  const shape = [512, 512];
  const c = chain(sum(), sum());

  test.each([2, 0])("a file that became shorter is an error with file and byte (%i workers)", async (workers) => {
    const engine = await engineWith(workers);
    const x = resting(numbers(512 * 512), { shape });
    ftruncateSync(x.fd, 1_000_000);
    const error = await failing(() => engine.run(c, x));
    expect(error.code).toBe("ERR_FOURFOLD_FORMAT");
    expect(error.message).toContain("became shorter");
    expect(error.at?.file).toBe(x.name);
    // Of several threads the first that meets the end says where it read.
    expect(error.at?.index).toBeGreaterThanOrEqual(1_000_000);
    expect(error.at?.index).toBeLessThan(8 * 512 * 512);
    expect(engine.stats.memoryBytes).toBe(0);
    await x.close();
  });

  test("a file that was closed is an error that says so", async () => {
    const engine = await engineWith(2);
    const x = resting(numbers(512 * 512), { shape });
    await x.close();
    const error = await failing(() => engine.run(c, x));
    expect(error.code).toBe("ERR_FOURFOLD_SOURCE");
    expect(error.fix).toBe("Close a tensor at rest after the last run on it");
  });

  test.each([true, false])("the first NaN is named under nan: error (decoded: %s)", async (decoded) => {
    const engine = await engineWith(2);
    const data = numbers(512 * 512);
    data[200_000] = Number.NaN;
    data[199_999] = Number.NaN;
    const x = resting(data, { shape }, decoded);
    const error = await failing(() => engine.run(c, x, { nan: "error" }));
    expect(error.code).toBe("ERR_FOURFOLD_NAN");
    expect(error.at).toMatchObject({ index: 199_999 });
    await x.close();
  });

  test("an error of the source ends the run with it, and memory is given back", async () => {
    const engine = await engineWith(2);
    const data = numbers(4 << 20);
    const broken: TensorSource = {
      ...resting(data, { shape: [4096, 1024] }, true),
      read: async (target, first) => {
        if (first > 1 << 20) throw new Error("a chunk is damaged");
        target.fill(1);
      },
    };
    await expect(engine.run(c, broken)).rejects.toThrow("a chunk is damaged");
    expect(engine.stats.memoryBytes).toBe(0);
  });

  test("an abort ends the run", async () => {
    const engine = await engineWith(2);
    const controller = new AbortController();
    const endless: TensorSource = {
      ...resting(numbers(4 << 20), { shape: [4096, 1024] }, true),
      read: async (target) => {
        target.fill(1);
        controller.abort();
      },
    };
    expect((await failing(() => engine.run(c, endless, { signal: controller.signal }))).code).toBe("ERR_FOURFOLD_ABORTED");
    expect(engine.stats.memoryBytes).toBe(0);
  });

  /** A source of ones whose first read ends when it is told to. */
  function stuck(): { readonly source: TensorSource; readonly begun: Promise<void>; readonly end: () => void } {
    let begin = (): void => undefined;
    let end = (): void => undefined;
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const source: TensorSource = {
      kind: "fourfold.tensor",
      name: "stuck",
      dtype: "f64",
      length: 4 << 20,
      shape: [4096, 1024],
      offsets: undefined,
      segments: undefined,
      read: async (target) => {
        begin();
        await ended;
        target.fill(1);
      },
      close: async () => undefined,
    };
    return { source, begun, end };
  }

  test.each([2, 0])(
    "a read that does not end is left by an abort, and holds nothing up but its own memory (%i workers)",
    async (workers) => {
      const engine = await engineWith(workers);
      const controller = new AbortController();
      const { source, begun, end } = stuck();
      const left = failing(() => engine.run(c, source, { signal: controller.signal }));
      const x = resting(new Float64Array(512 * 512).fill(1), { shape }, true);
      const after = engine.run(c, x);
      await begun;
      controller.abort();
      expect((await left).code).toBe("ERR_FOURFOLD_ABORTED");
      expect((await after).value).toBe(512 * 512);
      expect(engine.stats.memoryBytes).toBeGreaterThan(16 << 20); // two slabs, which the read may write into
      end();
      await new Promise(setImmediate);
      expect(engine.stats.memoryBytes).toBe(0);
      await x.close();
    },
  );

  test.each([2, 0])("a read that does not end is left by the closing of the engine (%i workers)", async (workers) => {
    const engine = await createEngine({ workers });
    const { source, begun } = stuck();
    const left = failing(() => engine.run(c, source));
    const waiting = failing(() => engine.run(c, source));
    await begun;
    await engine.close();
    expect([(await left).code, (await waiting).code]).toEqual(["ERR_FOURFOLD_CLOSED", "ERR_FOURFOLD_CLOSED"]);
  });

  test.each<readonly [string, object, string]>([
    ["of no name", { name: undefined }, "name is undefined"],
    ["of another dtype", { dtype: "f16" }, 'dtype is "f16"'],
    ["of a dtype that every object has", { dtype: "toString" }, 'dtype is "toString"'],
    ["without a length", { length: undefined }, "length is undefined"],
    ["of half a leaf", { length: 0.5 }, "length is 0.5"],
    ["without read", { read: undefined }, "read is undefined"],
    ["neither dense nor ragged", { shape: undefined }, "offsets is undefined, expected an array of offset arrays"],
    ["both dense and ragged", { offsets: [] }, "offsets is []"],
    ["with segments that are none", { segments: "all" }, 'segments is "all"'],
    ["with a hole for a segment", { segments: [undefined] }, "segments[0] is undefined"],
    ["with the name of a file for its number", { segments: [{ fd: "x", at: 0, items: 512 * 512 }] }, 'segments[0].fd is "x"'],
    ["with a number of no file", { segments: [{ fd: 2 ** 31, at: 0, items: 512 * 512 }] }, "segments[0].fd is 2147483648"],
    ["that starts before its file", { segments: [{ fd: 0, at: -8, items: 512 * 512 }] }, "segments[0].at is -8"],
    ["with part of an item", { segments: [{ fd: 0, at: 0, items: 1.5 }] }, "segments[0].items is 1.5"],
    ["with leaves that lie nowhere", { segments: [{ fd: 0, at: 0, items: 512 }] }, "segments is 512, expected 262144 items in all"],
    ["that cannot be held", { hold: true }, "hold is true"],
    ["whose hold has no end", { hold: () => 7 }, "hold() is 7"],
  ])("a source made by hand, %s, is refused with what would do", async (_, wrong, message) => {
    const engine = await engineWith(0);
    const source = { ...stuck().source, name: "mine", length: 512 * 512, shape, ...wrong } as TensorSource;
    const error = await failing(() => engine.run(c, source));
    expect([error.code, error.message]).toEqual(["ERR_FOURFOLD_ARGUMENT", expect.stringContaining(message)]);
    expect(error.expected).toEqual(expect.any(String));
    expect(error.fix).toEqual(expect.any(String));
    if (!("hold" in wrong)) expect((await failing(() => engine.planAtRest(c, source))).code).toBe("ERR_FOURFOLD_ARGUMENT");
  });

  test("a source made by hand may read without a promise, and is held from the call to the end of the run", async () => {
    const engine = await engineWith(0);
    const told: string[] = [];
    const fill: unknown = (target: Float64Array) => {
      told.push("read");
      target.fill(1);
    };
    const read = fill as TensorSource["read"];
    const hold = (): (() => void) => {
      told.push("hold");
      return () => told.push("release");
    };
    const source: TensorSource = { ...stuck().source, length: 512 * 512, shape, read, hold };
    const running = engine.run(c, source);
    expect(told[0]).toBe("hold");
    expect((await running).value).toBe(512 * 512);
    expect(told).toEqual(["hold", "read", "release"]);
    const refuse: unknown = () => {
      throw new Error("not here");
    };
    await expect(engine.run(c, { ...source, read: refuse as TensorSource["read"] })).rejects.toThrow("not here");
    expect(told.slice(3)).toEqual(["hold", "release"]);
    expect(engine.stats.memoryBytes).toBe(0);
  });

  test("what only leaves in memory can have is refused", async () => {
    const engine = await engineWith(0);
    const x = resting(numbers(512 * 512), { shape });
    expect((await failing(() => engine.run(c, x, { backend: "reference" }))).code).toBe("ERR_FOURFOLD_BACKEND");
    expect((await failing(() => engine.run(c, x, { errorBound: true }))).code).toBe("ERR_FOURFOLD_ARGUMENT");
    expect((await failing(() => engine.run(c, x, { split: { wasm: 1, "tfjs-cpu": 1 } }))).code).toBe("ERR_FOURFOLD_ARGUMENT");
    expect((await failing(() => engine.run(chain(sum(), sum(), sum()), x))).code).toBe("ERR_FOURFOLD_SHAPE");
    await x.close();
  });

  test("a file that changes while it is read gives some of both, and no crash", async () => {
    const engine = await engineWith(2);
    const x = resting(new Float64Array(512 * 512), { shape });
    const running = engine.run(c, x);
    writeSync(x.fd, new Uint8Array(Float64Array.of(1).buffer), 0, 8, 0);
    expect([0, 1]).toContain((await running).value);
    await x.close();
  });
});
