/**
 * Exact kernels where a mistake is easy and rare: ties that a far bit breaks, sums that just fit a bin, outliers at the end of a block.
 * What is compared with is reduce/exact.ts, itself held to Python's integers. test/kernels.test.ts has the random cases.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { COUNTERS, COUNTERS_AT, type Family, instantiateKernels, type Kernels, loadKernelModule } from "../src/backends/kernels.ts";
import { ExactSum } from "../src/reduce/exact.ts";
import { random } from "./random.ts";

const memory = new WebAssembly.Memory({ initial: 32, maximum: 32, shared: true });
const AT = { scratch: 65536, w: 1 << 18, x: 1 << 19, out: 1 << 20 };
let kernels: Kernels;
beforeAll(() => {
  kernels = instantiateKernels(loadKernelModule(), memory);
});

const counters = (): Uint32Array => new Uint32Array(memory.buffer, AT.scratch + COUNTERS_AT, COUNTERS);

/** One row through a kernel. */
function kernelOf(family: Family, x: Float64Array | Float32Array, w: Float64Array): number {
  const dtype = x instanceof Float32Array ? "f32" : "f64";
  new Uint8Array(memory.buffer, AT.x, x.byteLength).set(new Uint8Array(x.buffer, x.byteOffset, x.byteLength));
  new Float64Array(memory.buffer, AT.w, w.length).set(w);
  kernels.dense(family, dtype)(AT.x, 1, x.length, AT.w, 0, AT.out, AT.scratch);
  return new Float64Array(memory.buffer, AT.out, 1)[0]!;
}

function defined(x: ArrayLike<number>, w: ArrayLike<number> | undefined): number {
  const sum = new ExactSum();
  for (let i = 0; i < x.length; i++) {
    if (w) sum.addProduct(w[i]!, x[i]!);
    else sum.add(x[i]!);
  }
  return sum.value();
}

/** Both kernels on a row, the products by weights that leave the terms as they are and by such that do not. */
function expectExact(x: Float64Array | Float32Array, told: string): void {
  expect(kernelOf("exactSum", x, new Float64Array(x.length)), told).toBe(defined(x, undefined));
  for (const weight of [1, 0.1]) {
    const w = new Float64Array(x.length).fill(weight);
    expect(kernelOf("exactWeightedSum", x, w), `${told}, times ${weight}`).toBe(defined(x, w));
  }
}

describe("a tie is broken by a bit far below (clauses 3 and 9)", () => {
  test("in three terms", () => {
    counters().fill(0);
    for (const e of [-300, -1, 0, 52, 300])
      for (const sign of [1, -1])
        for (const odd of [0, 1])
          for (let far = 54; far < 150; far += 5)
            for (const low of [1, -1]) {
              const x = Float64Array.of(1 + odd * 2 ** -52, 2 ** -53, low * 2 ** -far).map((v) => sign * v * 2 ** e);
              expectExact(x, `${[...x]}`);
            }
    expect(counters()[1]).toBeGreaterThan(100);
  });

  test("in the superaccumulator, wherever the tie stands in its words", () => {
    counters().fill(0);
    for (let e = -40; e < 40; e++)
      for (const odd of [0, 1])
        for (const far of [54, 60, 70, 86, 90, 118, 150, 400]) {
          const wide = [2 ** 900, 2 ** -900, -(2 ** 900), -(2 ** -900)];
          const x = [wide[0]!, wide[1]!, (1 + odd * 2 ** -52) * 2 ** e, 2 ** (e - 53), 2 ** (e - far), wide[2]!, wide[3]!];
          for (const sign of [1, -1])
            expectExact(
              Float64Array.from(x, (v) => sign * v),
              `${x}`,
            );
        }
    expect(counters()[2]).toBeGreaterThan(1000);
  });

  test("and left to even where there is none", () => {
    for (let e = -40; e < 40; e++)
      for (const odd of [0, 1])
        expectExact(
          Float64Array.of(2 ** 900, 2 ** -900, (1 + odd * 2 ** -52) * 2 ** e, 2 ** (e - 53), -(2 ** 900), -(2 ** -900)),
          `2^${e}`,
        );
  });
});

describe("certificates are no more generous than they may be", () => {
  test.each([8, 64, 512, 2048])("sums of %i numbers as large as their range allows", (n) => {
    for (let bits = 50 - Math.log2(n); bits <= 53; bits++) {
      // All ones, but for the last number: the sum is odd and has bits + k bits.
      const x = new Float64Array(n).fill(2 ** bits - 1);
      x[n - 1] = 2 ** bits - 2;
      expectExact(x, `${n} of ${bits} bits`);
      expectExact(
        x.map((v) => -v * 2 ** -600),
        `${n} of ${bits} bits, small and negative`,
      );
      // Where two additions round, one after the other, only some sums show it.
      const r = random(bits);
      for (let k = 0; k < 20; k++)
        expectExact(
          x.map((v) => v - r.int(16)),
          `${n} of ${bits} bits, row ${k}`,
        );
    }
  });

  test.each([Float32Array, Float64Array])("an outlier anywhere in a row of %o is seen", (array) => {
    const r = random(3);
    const [tiny, huge] = array === Float32Array ? [2 ** -140, 2 ** 120] : [2 ** -1040, 2 ** 900];
    for (const n of [3, 15, 16, 17, 31, 33, 47, 100, 2049])
      for (let at = Math.max(0, n - 40); at < n; at++) {
        const x = new array(n).map(() => r.int(2 ** 24) / 2 ** 12);
        x[at] = tiny;
        x[(at + 1) % n] = -x[(at + 2) % n]!;
        expectExact(x, `${n}, tiny at ${at}`);
        x[at] = huge;
        expectExact(x, `${n}, huge at ${at}`);
      }
  });
});
