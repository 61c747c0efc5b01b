import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chain } from "../../src/reduce/chain.ts";
import { sum } from "../../src/reduce/reductions.ts";
import { finish } from "../../src/reduce/slices.ts";
import { checkShape, childStart, denseTree, distribute, dtypeOf, raggedTree, readData } from "../../src/reduce/tree.ts";

const two = chain({ sensor: sum(), site: sum() });

describe("dtypeOf", () => {
  test("knows the dtypes that are reduced, and no others", () => {
    expect([Float32Array, Float64Array, Int32Array, Int16Array, Int8Array, Uint8Array].map((Type) => dtypeOf(new Type(0)))).toEqual([
      "f32",
      "f64",
      "i32",
      "i16",
      "i8",
      "u8",
    ]);
    expect(dtypeOf(Buffer.alloc(1))).toBe("u8");
    for (const other of [
      [],
      new Uint16Array(0),
      new Uint8ClampedArray(0),
      new BigInt64Array(0),
      new DataView(new ArrayBuffer(0)),
      null,
      "f32",
    ])
      expect(dtypeOf(other)).toBeUndefined();
  });
});

describe("readData", () => {
  test("takes typed arrays as they are, and converts the others exactly", () => {
    const f32 = Float32Array.of(1);
    expect(finish(readData(f32))).toBe(f32);
    expect(finish(readData([1, -0, 0.1]))).toEqual(Float64Array.of(1, -0, 0.1));
    expect(finish(readData(BigInt64Array.of(-(2n ** 53n), 2n ** 53n)))).toEqual(Float64Array.of(-(2 ** 53), 2 ** 53));
  });

  test("lets others in while it converts", () => {
    const work = readData(new Array(100_000).fill(1));
    let yields = 0;
    while (!work.next().done) yields++;
    expect(yields).toBeGreaterThan(10);
  });
});

describe("denseTree", () => {
  test("is innermost first; what is left of the shape are frames", () => {
    expect(denseTree(two, [5, 2, 3, 4], 120)).toEqual({
      form: "rows",
      leaves: 120,
      frames: [5, 2],
      levels: [
        { name: "sensor", nodes: 30, children: 120, extent: 4, offsets: undefined },
        { name: "site", nodes: 10, children: 30, extent: 3, offsets: undefined },
      ],
    });
  });
});

describe("raggedTree", () => {
  test("cuts data into rows and rows into nodes; a missing outer array means one node", () => {
    expect(raggedTree(two, [[0, 2, 3]], 3)).toEqual({
      form: "rows",
      leaves: 3,
      frames: [],
      levels: [
        { name: "sensor", nodes: 2, children: 3, extent: undefined, offsets: Uint32Array.of(0, 2, 3) },
        { name: "site", nodes: 1, children: 2, extent: 2, offsets: undefined },
      ],
    });
    expect(
      raggedTree(
        two,
        [
          [0, 2, 3],
          [0, 0, 2],
        ],
        3,
      ).frames,
    ).toEqual([2]);
  });

  test("of equal lengths is the dense tree", () => {
    fc.assert(
      fc.property(fc.nat(5), fc.nat(5), fc.nat(5), (nodes, rows, leaves) => {
        const cut = (n: number, each: number): number[] => Array.from({ length: n + 1 }, (_, i) => i * each);
        const ragged = raggedTree(two, [cut(nodes * rows, leaves), cut(nodes, rows)], nodes * rows * leaves);
        const dense = denseTree(two, [nodes, rows, leaves], undefined);
        // Where there are no nodes nobody can tell how long they would be.
        expect(ragged.levels.map((level, i) => ({ ...level, extent: level.nodes === 0 ? dense.levels[i]!.extent : level.extent }))).toEqual(
          dense.levels,
        );
      }),
    );
  });

  test("and its children start where the offsets say", () => {
    const [rows, site] = raggedTree(
      two,
      [
        [0, 2, 2, 7],
        [0, 3],
      ],
      7,
    ).levels;
    expect([0, 1, 2, 3].map((node) => childStart(rows!, node))).toEqual([0, 2, 2, 7]);
    expect([0, 1].map((node) => childStart(site!, node))).toEqual([0, 3]);
  });
});

describe("distribute", () => {
  test("gives parts whose lengths differ by one at most, longer ones first, as array_split does", () => {
    fc.assert(
      fc.property(fc.nat(200), fc.integer({ min: 1, max: 50 }), (n, parts) => {
        const [offsets] = distribute(new Uint8Array(n), { parts }).offsets;
        const lengths = Array.from({ length: parts }, (_, i) => offsets[i + 1]! - offsets[i]!);
        expect(offsets.at(-1)).toBe(n);
        expect(lengths).toEqual([...lengths].sort((a, b) => b - a));
        expect(lengths[0]! - lengths.at(-1)!).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe("arrays that are not what they seem", () => {
  class Mine extends Float64Array {}
  const disguised = Float64Array.of(1, 2, 3);
  disguised.constructor = Float32Array;
  const foreign: Int16Array = runInNewContext("Int16Array.of(1, 2, 3)");

  test("have the dtype of what they hold, not of what they say", () => {
    expect([Mine.of(1), disguised, foreign].map(dtypeOf)).toEqual(["f64", "f64", "i16"]);
    expect(dtypeOf({ constructor: Float64Array, length: 1, 0: 1 })).toBeUndefined();
    expect(dtypeOf(Object.create(Float64Array.prototype))).toBeUndefined();
  });

  test("are read where they lie, as plain arrays", () => {
    for (const given of [Mine.of(1, 2, 3), disguised, foreign]) {
      const read = finish(readData(given));
      expect([read.buffer === given.buffer, read.constructor === (given === foreign ? Int16Array : Float64Array), ...read]).toEqual([
        true,
        true,
        1,
        2,
        3,
      ]);
    }
    expect(finish(readData(runInNewContext("BigInt64Array.of(4n)")))).toEqual(Float64Array.of(4));
  });

  test("are refused when their memory was transferred away; an empty array is none of them", () => {
    for (const gone of [new Float64Array(3), new BigInt64Array(3)]) {
      structuredClone(gone, { transfer: [gone.buffer] });
      expect(() => finish(readData(gone))).toThrow(expect.objectContaining({ code: "ERR_FOURFOLD_ARGUMENT" }));
    }
    expect(finish(readData(new Float32Array(0)))).toHaveLength(0);
    expect(finish(readData(new Float32Array(new SharedArrayBuffer(0))))).toHaveLength(0);
  });
});

describe("limits", () => {
  const shape = (extents: number[]) => () => denseTree(two, extents, undefined);

  test("a level has fewer than 2^32 children and nodes; the error names it", () => {
    expect(denseTree(two, [1, 2 ** 32 - 1], undefined).leaves).toBe(2 ** 32 - 1);
    expect(shape([1, 2 ** 32])).toThrow('level "sensor" (axis 1): 4294967296 children in all, a level has at most 4294967295');
    expect(shape([2 ** 32, 1, 0])).toThrow('level "site" (axis 1): 4294967296 nodes in all');
    expect(shape([2 ** 53 - 1, 2 ** 53 - 1, 0])).toThrow(expect.objectContaining({ code: "ERR_FOURFOLD_SHAPE", at: { axis: 1 } }));
    expect(() => raggedTree(two, [], 2 ** 32)).toThrow(
      expect.objectContaining({ code: "ERR_FOURFOLD_OFFSETS", at: { level: "sensor" }, expected: 2 ** 32 - 1 }),
    );
    expect(() => raggedTree(two, [[0, 2 ** 32]], 2 ** 32)).toThrow('level "sensor": 4294967296 children in all');
  });

  test("a shape has no holes", () => {
    for (const holed of [Object.assign(new Array(3), { 0: 3, 2: 4 }), new Array(2)])
      expect(() => checkShape(holed)).toThrow(expect.objectContaining({ code: "ERR_FOURFOLD_SHAPE" }));
    expect(() => checkShape(Object.assign(new Array(2), { 1: 3 }))).toThrow("axis 0 is undefined");
  });

  test("offsets are a list or a typed array, and distribute says what it lacks", () => {
    const view = new DataView(new ArrayBuffer(8));
    expect(() => raggedTree(two, [view as never], 3)).toThrow(expect.objectContaining({ code: "ERR_FOURFOLD_OFFSETS" }));
    for (const options of [undefined, null, {}])
      expect(() => distribute([1, 2], options as never)).toThrow(expect.objectContaining({ code: "ERR_FOURFOLD_ARGUMENT" }));
  });
});
