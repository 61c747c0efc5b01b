import { describe, expect, test } from "vitest";
import { chain } from "../../src/reduce/chain.ts";
import { max, mean, sum, variance, weightedMean, weightedSum } from "../../src/reduce/reductions.ts";
import { type Fitted, fit } from "../../src/reduce/resolve.ts";
import { denseTree, raggedTree } from "../../src/reduce/tree.ts";
import { type Choice, choose, type Terms } from "../../src/schedule/choose.ts";
import { type Device, type Placement, type Work, workOf } from "../../src/schedule/cost.ts";

const GIB = 2 ** 30;

/** Two cores: 10 GB/s out of engine memory. */
const wasm: Device = {
  name: "wasm",
  processor: "cpu",
  memoryBytesMax: 8 * GIB,
  leaves: "given",
  rates: {
    fixedMs: 0.01,
    nsPerByte: 0.1,
    nsPerOperation: { sum: 0, extreme: 0, variance: 1, matrix: 0.1 },
    nsPerNode: { sum: 1, extreme: 1, variance: 1, matrix: 1 },
    moveNsPerByte: { "engine memory": 0, "foreign array": 0.2 },
    convertNsPerLeaf: 0,
  },
};

/** A card behind PCIe: 12 GB/s to get there, 1 TB/s when there. */
const gpu: Device = {
  name: "webgpu",
  processor: "gpu",
  memoryBytesMax: 4 * GIB,
  leaves: "f32",
  rates: {
    fixedMs: 1,
    nsPerByte: 0.001,
    nsPerOperation: { sum: 0, extreme: 0, variance: 0.001, matrix: 0.0002 },
    nsPerNode: { sum: 0.001, extreme: 0.001, variance: 0.001, matrix: 0.001 },
    moveNsPerByte: { "engine memory": 0.08, "foreign array": 0.28 },
    convertNsPerLeaf: 2,
  },
};

/** The native library on the same cores as the kernels. */
const tensorflow: Device = {
  ...gpu,
  name: "tensorflow",
  processor: "cpu",
  memoryBytesMax: 8 * GIB,
  rates: {
    ...gpu.rates,
    nsPerByte: 0.11,
    nsPerOperation: { sum: 0, extreme: 0.1, variance: 2, matrix: 0.02 },
    nsPerNode: { sum: 1, extreme: 1, variance: 1, matrix: 1 },
    moveNsPerByte: { "engine memory": 0, "foreign array": 0.3 },
  },
};

/** As if every share could be dealt. */
const terms: Terms = { homeOnly: undefined, whole: undefined, deal: (shares) => shares, refused: {} };
const index = chain(weightedSum(new Float64Array(512).fill(1)), weightedSum(new Float64Array(1024).fill(1)), mean(), max());
const SHAPE = [8, 16, 1024, 512];

function fitted(c = index, shape = SHAPE): Fitted {
  return fit(c, denseTree(c, shape, undefined), "propagate", "fast");
}

function work(placement: Placement = "engine memory", residentOn?: string): Work {
  return workOf(fitted(), "f32", 4, placement, residentOn);
}

/** Names and shares, to two digits. */
function told({ shares, predictedMs }: Choice): unknown {
  const rounded = Object.entries(shares).map(([name, share]) => [name, Number(share.toFixed(2))]);
  return { shares: Object.fromEntries(rounded), ms: predictedMs && Number(predictedMs.toPrecision(3)) };
}

describe("the work of a chain", () => {
  test("counts children once for each output from a matrix on, and twice where weights are summed too", () => {
    const c = chain(max(), weightedSum([Array(16).fill(1), Array(16).fill(2), Array(16).fill(3)]), weightedMean([1, 2]), variance());
    expect(workOf(fitted(c, [4, 2, 16, 32]), "f64", 8, "foreign array")).toEqual({
      leaves: 4096,
      bytesPerLeaf: 8,
      placement: "foreign array",
      residentOn: undefined,
      plain: false,
      operations: { extreme: 4096, matrix: 3 * 128, sum: 2 * 3 * 8, variance: 3 * 4 },
      nodes: { extreme: 128, matrix: 3 * 8, sum: 3 * 4, variance: 3 },
    });
  });

  test("is plain where rows of float32 have one length", () => {
    const c = chain(sum());
    const ragged = fit(c, raggedTree(c, [[0, 1, 3]], 3), "propagate", "fast");
    expect(workOf(fitted(), "f32", 4, "engine memory").plain).toBe(true);
    expect(workOf(fitted(), "u8", 1, "engine memory").plain).toBe(false);
    expect(workOf(ragged, "f32", 4, "engine memory").plain).toBe(false);
  });
});

describe("a choice", () => {
  test("takes the GPU for data that is resident there", () => {
    const choice = choose(work("engine memory", "webgpu"), [wasm, gpu], { ...terms, whole: "it has one row" });
    expect(told(choice)).toEqual({ shares: { webgpu: 1 }, ms: 1.27 });
    expect(choice.reason).toBe("predicted to end first: 1.27 ms, wasm 27 ms");
    expect(choice.candidates).toEqual([
      { device: "wasm", predictedMs: expect.closeTo(26.99, 1) },
      { device: "webgpu", predictedMs: expect.closeTo(1.27, 2) },
    ]);
  });

  test("refuses the GPU for one pass over data that lies in a plain array", () => {
    const choice = choose(
      work("foreign array"),
      [{ ...wasm, rates: { ...wasm.rates, moveNsPerByte: { ...wasm.rates.moveNsPerByte, "foreign array": 0.1 } } }, gpu],
      {
        ...terms,
        whole: "it has one row",
      },
    );
    expect(told(choice)).toEqual({ shares: { wasm: 1 }, ms: 53.8 });
    expect(choice.reason).toBe("predicted to end first");
  });

  test("takes the device whose matrix products are faster where there are many outputs", () => {
    const many = chain(weightedSum(Array.from({ length: 256 }, () => new Float64Array(4096).fill(1))));
    const w = workOf(fitted(many, [10_000, 4096]), "f32", 4, "engine memory");
    expect(told(choose(w, [wasm, tensorflow], terms))).toEqual({ shares: { tensorflow: 1 }, ms: 231 });
    expect(told(choose(work(), [wasm, tensorflow], terms))).toEqual({ shares: { wasm: 1 }, ms: 27 });
  });

  test("shares a batch between processors so that both end at once", () => {
    const near = { ...gpu, rates: { ...gpu.rates, moveNsPerByte: { "engine memory": 0.1, "foreign array": 0.3 } } };
    const choice = choose(work(), [wasm, near], terms);
    expect(told(choice)).toEqual({ shares: { wasm: 0.52, webgpu: 0.48 }, ms: 14 });
    expect(choice.reason).toBe("wasm and webgpu together end first: 14 ms predicted, wasm alone 27 ms");
    expect(choose(work(), [wasm, near], { ...terms, whole: "it has one row" }).shares).toEqual({ wasm: 1 });
  });

  test("never shares between devices on one processor, nor gives a share that does not pay for its start", () => {
    expect(choose(work(), [wasm, tensorflow], terms).shares).toEqual({ wasm: 1 });
    const slow = { ...gpu, rates: { ...gpu.rates, fixedMs: 26, moveNsPerByte: { "engine memory": 0.5, "foreign array": 0.5 } } };
    expect(choose(work(), [wasm, slow], terms).shares).toEqual({ wasm: 1 });
  });

  test("counts what can be dealt: of two frames each gets one, or one device both", () => {
    const near = { ...gpu, rates: { ...gpu.rates, moveNsPerByte: { "engine memory": 0.25, "foreign array": 0.3 } } };
    const shares = choose(work(), [wasm, near], terms).shares;
    expect(shares["wasm"]).toBeCloseTo(0.725, 2);
    const halves = (): Record<string, number> => ({ wasm: 0.5, webgpu: 0.5 });
    expect(choose(work(), [wasm, near], { ...terms, deal: halves }).shares).toEqual({ wasm: 1 }); // the slower half would end last
    expect(choose(work(), [wasm, near], { ...terms, deal: () => ({ wasm: 1 }) }).shares).toEqual({ wasm: 1 });
  });

  test("shares nothing where there is nothing to do", () => {
    const nothing = {
      ...work(),
      leaves: 0,
      operations: { sum: 0, extreme: 0, variance: 0, matrix: 0 },
      nodes: { sum: 0, extreme: 0, variance: 0, matrix: 0 },
    };
    expect(choose(nothing, [wasm, gpu], terms).shares).toEqual({ wasm: 1 });
  });

  test("shares among three processors", () => {
    const other = { ...gpu, name: "other", processor: "gpu 2" };
    const { shares, predictedMs } = choose(work(), [wasm, gpu, other], terms);
    expect(Object.keys(shares)).toEqual(["wasm", "webgpu", "other"]);
    expect(Object.values(shares).reduce((all, share) => all + share)).toBeCloseTo(1, 12);
    expect(shares["webgpu"]).toBeCloseTo(shares["other"]!, 12);
    expect(predictedMs).toBeCloseTo(1 / (1 / 26.99 + 2 / 21.87) + 0.9, 0);
  });

  test("leaves out a device that cannot hold the data, or was refused, and says so", () => {
    const small = { ...gpu, memoryBytesMax: 2 ** 20 };
    const choice = choose(work("engine memory", "webgpu"), [wasm, small], { ...terms, refused: { tensorflow: "it was lost 3 times" } });
    expect(choice.shares).toEqual({ wasm: 1 });
    expect(choice.reason).toBe("no other device can run it");
    expect(choice.candidates.slice(1)).toEqual([
      { device: "webgpu", refused: "268435456 bytes of leaves, it holds 1048576" },
      { device: "tensorflow", refused: "it was lost 3 times" },
    ]);
  });

  test("stays at home where the contract must be kept, whatever was measured, and where nothing was", () => {
    const kept = choose(work("engine memory", "webgpu"), [wasm, gpu], { ...terms, homeOnly: "accuracy reproducible" });
    expect(kept).toMatchObject({ shares: { wasm: 1 }, reason: "accuracy reproducible", candidates: [] });
    expect(choose(work(), [], terms)).toMatchObject({ shares: { wasm: 1 }, predictedMs: undefined });
  });

  test("stays at home for a gain smaller than the predictions are good for", () => {
    const even = { ...tensorflow, rates: { ...tensorflow.rates, nsPerByte: 0.091 } };
    const choice = choose(work(), [wasm, even], terms);
    expect(choice.shares).toEqual({ wasm: 1 });
    expect(choice.reason).toBe("tensorflow is predicted to gain too little to leave the contract");
  });
});
