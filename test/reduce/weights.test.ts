import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { readWeights } from "../../src/reduce/weights.ts";

describe("readWeights", () => {
  test("copies lists of every kind to float64", () => {
    const given = Float32Array.of(1, 0.1);
    const read = readWeights(given, "weightedSum");
    given[0] = 9;
    expect(read).toEqual({ form: "shared", values: Float64Array.of(1, Math.fround(0.1)) });
    expect(readWeights([], "weightedSum")).toEqual({ form: "shared", values: new Float64Array(0) });
    expect(readWeights({ perNode: [1, 2] }, "weightedSum")).toEqual({ form: "perNode", values: Float64Array.of(1, 2) });
    expect(readWeights("count", "weightedMean")).toEqual({ form: "count" });
  });

  test("lays a matrix out row by row, and its rows may be lists of any kind", () => {
    expect(readWeights([[1, 2], Float32Array.of(3, 4), Float64Array.of(5, 6)], "weightedSum")).toEqual({
      form: "matrix",
      values: Float64Array.of(1, 2, 3, 4, 5, 6),
      rows: 3,
      extent: 2,
    });
    expect(readWeights([[], []], "weightedSum")).toEqual({ form: "matrix", values: new Float64Array(0), rows: 2, extent: 0 });
  });

  test("takes NaN and infinities: what they mean is the run's policy", () => {
    expect(readWeights([Number.NaN, Number.POSITIVE_INFINITY], "weightedSum")).toMatchObject({
      values: Float64Array.of(Number.NaN, Number.POSITIVE_INFINITY),
    });
  });
});

describe("readWeights, of arrays that are not what they seem,", () => {
  test("takes subclasses and arrays of other realms by what they hold", () => {
    class Mine extends Float32Array {}
    const foreign: Float64Array = runInNewContext("Float64Array.of(1, 2)");
    expect(readWeights(foreign, "weightedSum")).toEqual({ form: "shared", values: Float64Array.of(1, 2) });
    expect(readWeights({ perNode: Mine.of(3) }, "weightedSum")).toEqual({ form: "perNode", values: Float64Array.of(3) });
    expect(readWeights([foreign, runInNewContext("[3, 4]")], "weightedSum")).toMatchObject({ form: "matrix", rows: 2, extent: 2 });
  });

  test("refuses holes and arrays that were transferred away", () => {
    const holed = (list: unknown[]): unknown[] => Object.assign(new Array(list.length + 1), list.slice(0, 1), { 2: list[1] });
    const gone = new Float64Array(3);
    structuredClone(gone, { transfer: [gone.buffer] });
    for (const bad of [
      gone,
      { perNode: gone },
      holed([
        [1, 2],
        [3, 4],
      ]),
      holed([1, 2]),
    ])
      expect(() => readWeights(bad as never, "weightedSum")).toThrow(expect.objectContaining({ code: "ERR_FOURFOLD_WEIGHTS" }));
  });
});
