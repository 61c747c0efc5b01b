// What becomes of the error bound of a split run: the rest of it is tested with real backends (engine.devices.test.ts).
import { expect, test } from "vitest";
import type { Executable, RunOutput } from "../../src/backends/backend.ts";
import { together } from "../../src/backends/pieces.ts";
import { FourfoldError } from "../../src/errors.ts";
import { failing } from "../failing.ts";

const DATA = Float64Array.of(1, 2, 3, 4);

/** Pieces of two leaves each that echo them, on the kernels and on a device that may have moved. */
function pieces(bound: () => Promise<Float64Array>, moved = false): Executable {
  const executable = (name: string): Executable => ({
    runSync: undefined,
    run: async (data): Promise<RunOutput> => ({
      levels: [{ values: Float64Array.from(data), outputs: 1, records: undefined }],
      processMs: 0,
      aggregateMs: 0,
      ...(moved && name === "gpu" && { moved: [{ from: "gpu", reason: "it failed" }] }),
    }),
    close: () => undefined,
  });
  return together({
    pieces: [
      { device: "wasm", first: 0, last: 2, executable: executable("wasm") },
      { device: "gpu", first: 2, last: 4, executable: executable("gpu") },
    ],
    level: 0,
    keepLevel: true,
    rest: undefined,
    bounder: { bound, close: () => undefined },
  });
}

const refused = async (): Promise<never> => {
  throw new FourfoldError("ERR_FOURFOLD_DEVICE", "it failed");
};

test("a split run has the bound that is made for it, unless it is not wanted", async () => {
  const one = pieces(async () => Float64Array.of(0.1, 0.2, 0.3, 0.4));
  expect((await one.run(DATA, {})).bounds).toEqual(Float64Array.of(0.1, 0.2, 0.3, 0.4));
  expect((await one.run(DATA, { errorBound: false })).bounds).toBeUndefined();
});

test("a device that fails at the bound loses no value: the bound then claims nothing", async () => {
  const { levels, bounds } = await pieces(refused).run(DATA, {});
  expect(levels[0]!.values).toEqual(DATA);
  expect(bounds).toEqual(new Float64Array(4).fill(Number.POSITIVE_INFINITY));
});

test("an abort at the bound is an abort", async () => {
  const one = pieces(async () => {
    throw new FourfoldError("ERR_FOURFOLD_ABORTED", "the call was aborted");
  });
  expect((await failing(() => one.run(DATA, {}))).code).toBe("ERR_FOURFOLD_ABORTED");
});

test("where every piece of a device moved to the kernels, nothing is left to bound", async () => {
  const { bounds, moved } = await pieces(refused, true).run(DATA, {});
  expect(bounds).toBeUndefined();
  expect(moved).toEqual([{ from: "gpu", reason: "it failed" }]);
});
