import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import {
  COUNTERS,
  COUNTERS_AT,
  type Family,
  instantiateKernels,
  KERNELS,
  type KernelFamily,
  type Kernels,
  loadKernelModule,
  MOMENTS_FLAG,
  MOMENTS_WORDS,
  OVERREAD_BYTES,
  PARTS_WORDS,
  PRODUCT_WORDS,
  SCRATCH_BYTES,
  SIZE_KERNELS,
} from "../src/backends/kernels.ts";
import { TENSOR_F32 } from "../src/reduce/bound.ts";
import { chain } from "../src/reduce/chain.ts";
import { ExactSum } from "../src/reduce/exact.ts";
import { BLOCK, laneBlock } from "../src/reduce/lanes.ts";
import { PARTS_FLAG } from "../src/reduce/quotient.ts";
import { max, type Reduction, sum, weightedSum } from "../src/reduce/reductions.ts";
import { fit } from "../src/reduce/resolve.ts";
import { rowSizes, type SizeFamily, sizingOf } from "../src/reduce/sizes.ts";
import { denseTree } from "../src/reduce/tree.ts";
import type { Dtype, TypedData } from "../src/types.ts";
import { laneProduct, timesExactly } from "./products.ts";
import { type Random, random } from "./random.ts";

const ARRAYS = { f32: Float32Array, f64: Float64Array, i32: Int32Array, i16: Int16Array, i8: Int8Array, u8: Uint8Array } as const;
const isFloat = (dtype: Dtype): boolean => dtype === "f32" || dtype === "f64";
const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

// ---- Where kernels work: guards of ones (NaN, −1) around everything --------------------------------------------------------

const memory = new WebAssembly.Memory({ initial: 128, maximum: 128, shared: true });
const REGION = { x: 1 << 20, w: 4 << 20, offsets: 6 << 20, out: 7 << 20, scratch: 65536 };
let kernels: Kernels;
beforeAll(() => {
  kernels = instantiateKernels(loadKernelModule(), memory);
});

/** Copies `from` to an address that is aligned to its elements only, between guards, and returns the address. */
function put(at: number, from: TypedData | Uint32Array): number {
  const address = at + OVERREAD_BYTES + from.BYTES_PER_ELEMENT * 3;
  new Uint8Array(memory.buffer, address - OVERREAD_BYTES, from.byteLength + 2 * OVERREAD_BYTES).fill(0xff);
  new Uint8Array(memory.buffer).set(new Uint8Array(from.buffer, from.byteOffset, from.byteLength), address);
  return address;
}

/** Rows with what a kernel should make of them. */
interface Row {
  readonly kind: string;
  readonly x: TypedData;
  readonly w: Float64Array;
}

/** Runs a dense kernel on rows of one length. `shared`: all of them take row 0's weights. */
function runDense(family: Family, dtype: Dtype, rows: readonly Row[], shared: boolean): Float64Array {
  const extent = rows[0]!.x.length;
  const x = put(
    REGION.x,
    joined(
      dtype,
      rows.map((row) => row.x),
    ),
  );
  const w = put(REGION.w, joined(weightDtype(family), shared ? [rows[0]!.w] : rows.map((row) => row.w)));
  const kernel = kernels.dense(family, dtype);
  return withOut(family, rows.length, (out) => kernel(x, rows.length, extent, w, shared ? 0 : extent, out, REGION.scratch));
}

/** Runs a ragged kernel on rows of any lengths, some of them empty; neither data nor offsets start at 0. */
function runRagged(family: Family, dtype: Dtype, rows: readonly Row[]): Float64Array {
  const x = put(REGION.x, joined(dtype, [new ARRAYS[dtype](5), ...rows.map((row) => row.x)]));
  const w = put(REGION.w, joined(weightDtype(family), [new Float64Array(5).fill(nan), ...rows.map((row) => row.w)]));
  const offsets = new Uint32Array(rows.length + 1).fill(5);
  rows.forEach((row, r) => {
    offsets[r + 1] = offsets[r]! + row.x.length;
  });
  const at = put(REGION.offsets, offsets);
  const kernel = kernels.ragged(family, dtype);
  return withOut(family, rows.length, (out) => kernel(x, at, rows.length, w, out, REGION.scratch));
}

const weightDtype = (family: Family): Dtype => (family === "dot" ? "f32" : "f64");

/** Gives a kernel room for its results and returns them; nothing around them and around scratch may change. */
function withOut(family: Family, rows: number, run: (out: number) => void): Float64Array {
  const words =
    rows *
    (family.startsWith("moments") ? MOMENTS_WORDS : family.startsWith("parts") ? PARTS_WORDS : family === "product" ? PRODUCT_WORDS : 1);
  const out = put(REGION.out, new Float64Array(words));
  const scratchGuards = [
    new Uint8Array(memory.buffer, REGION.scratch - 64, 64),
    new Uint8Array(memory.buffer, REGION.scratch + SCRATCH_BYTES, 64),
  ];
  for (const guard of scratchGuards) guard.fill(0x5a);
  new Uint32Array(memory.buffer, REGION.scratch + COUNTERS_AT, COUNTERS).fill(0);
  run(out);
  const outGuards = [new Uint8Array(memory.buffer, out - 64, 64), new Uint8Array(memory.buffer, out + 8 * words, 64)];
  if (!outGuards.every((guard) => guard.every((byte) => byte === 0xff))) throw new Error(`${family} writes beside its results`);
  if (!scratchGuards.every((guard) => guard.every((byte) => byte === 0x5a))) throw new Error(`${family} writes beside its scratch`);
  return new Float64Array(memory.buffer, out, words).slice();
}

/** What the latest exact kernel counted: slow blocks, nodes that needed three terms, nodes that needed the accumulator. */
const counted = (): number[] => [...new Uint32Array(memory.buffer, REGION.scratch + COUNTERS_AT, COUNTERS)];

function joined(dtype: Dtype, parts: readonly TypedData[]): TypedData {
  const all = new ARRAYS[dtype](parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

// ---- Data ------------------------------------------------------------------------------------------------------------------

type Draw = (r: Random) => number;
const normal: Draw = (r) => Math.sqrt(-2 * Math.log(1 - r.next())) * Math.cos(2 * Math.PI * r.next());
const wide: Draw = (r) => (r.next() - 0.5) * 2 ** (r.int(2100) - 1075);
const sign: Draw = (r) => (r.int(2) ? 1 : -1);

/** Values and weights. Numbers out of a dtype's range become infinite or subnormal in f32. */
const KINDS: Readonly<Record<string, readonly [x: Draw, w: Draw]>> = {
  normal: [normal, (r) => r.next()],
  cancelling: [(r) => sign(r) * 2 ** r.int(120), (r) => 1 + r.int(3)],
  "ill-conditioned": [(r) => r.next() * sign(r) * 2 ** (r.int(80) - 40), normal],
  ties: [(r) => sign(r) * r.pick([1, 1, 2 ** -53, 2 ** -53, 2 ** -54, 2 ** -106, 2]), (r) => r.pick([1, 0.5, 2, 1])],
  zeros: [() => 0, normal],
  "zeros of both signs": [(r) => r.pick([0, -0]), (r) => sign(r)],
  "negative zeros": [() => -0, () => 1],
  subnormals: [(r) => sign(r) * 5e-324 * (1 + r.int(9)), (r) => r.pick([0.5, 1, 0.25, -1.5, 2 ** 20, 2 ** 60])],
  "products that underflow": [(r) => normal(r) * 2 ** (-530 - r.int(20)), (r) => normal(r) * 2 ** -530],
  huge: [(r) => r.pick([1, -1, 0.99, -0.99]) * 1.7976931348623157e308, (r) => r.pick([1, 1, -1, 0.5])],
  "products that overflow": [(r) => sign(r) * 2 ** (500 + r.int(30)), (r) => sign(r) * 2 ** (500 + r.int(24)) * (1 + r.next())],
  "beyond the split": [(r) => normal(r) * 2 ** 1000, (r) => normal(r) * 2 ** -400],
  "the full range": [wide, wide],
  "sprinkled specials": [
    (r) => r.pick([1.5, -2, 3, 0, -0, 5, 7, 0.1, nan, inf, -inf, 1e300, 5e-324]),
    (r) => r.pick([1, 2, 0.1, 0, -0, inf, -1]),
  ],
  "some NaN": [(r) => (r.int(5) ? normal(r) : nan), (r) => (r.int(4) ? normal(r) : inf)],
  "all NaN": [() => nan, (r) => r.pick([1, inf, nan])],
  infinities: [(r) => (r.int(9) ? normal(r) : inf), () => 1],
  "NaN weights": [normal, (r) => (r.int(20) ? normal(r) : nan)],
  prices: [(r) => r.int(1_000_000) / 128, (r) => r.int(1000)],
  decimals: [(r) => r.int(1_000_000) / 100, (r) => r.int(100) / 10],
  "float32 weights": [normal, (r) => Math.fround(r.next())],
  "one infinity": [(r) => (r.int(3000) ? normal(r) : inf), (r) => Math.fround(r.next())],
  "one NaN": [(r) => (r.int(3000) ? normal(r) : nan), (r) => Math.fround(r.next())],
  "far apart": [(r) => normal(r) * 2 ** (r.int(100) - 50), (r) => normal(r) * 2 ** (r.int(100) - 50)],
};

const INTEGER_KINDS: Readonly<Record<string, readonly [x: Draw, w: Draw]>> = {
  any: [(r) => r.int(2 ** 32), (r) => r.next()],
  small: [(r) => r.int(100), (r) => r.int(50) / 8],
  zeros: [() => 0, (r) => sign(r)],
  least: [() => -(2 ** 31) - 2 ** 15 - 2 ** 7, normal],
  greatest: [() => 2 ** 31 - 1, normal],
  "any, wide weights": [(r) => r.int(2 ** 32), wide],
  "any, special weights": [(r) => r.int(5) && r.int(2 ** 32), (r) => r.pick([1, 0.3, 2, inf, nan, -0])],
};

const kindsOf = (dtype: Dtype): [string, readonly [Draw, Draw]][] => Object.entries(isFloat(dtype) ? KINDS : INTEGER_KINDS);

function rowOf(dtype: Dtype, n: number, [kind, [x, w]]: [string, readonly [Draw, Draw]], r: Random): Row {
  const fraction = dtype === "f32" && kind === "subnormals" ? 2 ** 925 : 1;
  return { kind, x: new ARRAYS[dtype](Array.from({ length: n }, () => x(r) * fraction)), w: Float64Array.from({ length: n }, () => w(r)) };
}

/** Groups of rows of one length: every length to 130 with some kinds each, some lengths with all kinds. */
function groupsOf({ equals }: KernelFamily, dtype: Dtype): Row[][] {
  const r = random(dtype.length * 1000 + dtype.charCodeAt(0));
  const kinds = kindsOf(dtype);
  const groups: Row[][] = [];
  for (let n = 0; n <= 130; n++)
    groups.push(Array.from({ length: 1 + (n % 4) }, (_, i) => rowOf(dtype, n, kinds[(n + i * 3) % kinds.length]!, r)));
  for (const n of [0, 1, 2, 3, 4, 8, 15, 16, 17, 18, 33, 64]) groups.push(kinds.map((kind) => rowOf(dtype, n, kind, r)));
  const large = equals === "lanes" ? [1000, BLOCK - 1, BLOCK] : [BLOCK - 1, BLOCK, BLOCK + 1];
  for (const n of large) groups.push([0, 1, 2].map((i) => rowOf(dtype, n, kinds[(n * 3 + i * 7) % kinds.length]!, r)));
  return groups;
}

// ---- References --------------------------------------------------------------------------------------------------------------

/** What child i adds: a value, or a product of two. Skipped children add nothing. */
function addends(family: Family, { x, w }: Row): [number, number?][] {
  const skip = family.endsWith("Skip");
  return Array.from(x, (v, i): [number, number?] => {
    if (skip && v !== v) return [0];
    if (/weightSkip$/i.test(family)) return [w[i]!];
    if (family === "dot") return [Math.fround(w[i]!), v];
    return /weightedSum/i.test(family) ? [w[i]!, v] : [v];
  });
}

function exactly(family: Family, row: Row): ExactSum {
  const sum = new ExactSum();
  for (const [a, b] of addends(family, row)) b === undefined ? sum.add(a) : sum.addProduct(a, b);
  return sum;
}

/** The definition of each family's result, but for moments. */
function expected({ equals, family, skip }: (typeof KERNELS)[number], row: Row): number {
  if (equals === "lanes") {
    const terms = addends(family, row);
    return laneBlock(terms.length, (i) => terms[i]![0] * (terms[i]![1] ?? 1));
  }
  if (equals === "exact") return exactly(family, row).value();
  const kept = skip ? Array.from(row.x).filter((v) => v === v) : Array.from(row.x);
  if (equals === "count") return kept.length;
  const best = equals === "minimum" ? Math.min : Math.max;
  return kept.length ? kept.reduce((m, v) => best(m, v)) : nan;
}

const bitsOf = (x: number): bigint => new BigUint64Array(new Float64Array([x]).buffer)[0]!;
const QUIET_NAN = 0x7ff8000000000000n;

/** Object.is, and every NaN canonical. */
const same = (got: number, want: number): boolean => Object.is(got, want) && (want === want || bitsOf(got) === QUIET_NAN);

/** Compares words in one loop, since an expect() for each takes minutes. */
function compare(rows: readonly Row[], got: ArrayLike<number>, want: (r: number) => number, name: string): void {
  for (let r = 0; r < rows.length; r++) {
    if (same(got[r]!, want(r))) continue;
    const { kind, x, w } = rows[r]!;
    throw new Error(
      `${name}: row ${r} of ${x.length} children (${kind}) is ${got[r]}, not ${want(r)}; x = ${Array.from(x).slice(0, 20)}; w = ${Array.from(w).slice(0, 20)}`,
    );
  }
}

const NAMES = {
  lanes: "the lane sum",
  exact: "the exact sum rounded once",
  minimum: "the IEEE minimum",
  maximum: "the IEEE maximum",
  count: "the number of kept children",
};

for (const kernel of KERNELS) {
  if (kernel.equals === "moments" || kernel.equals === "parts" || kernel.equals === "product") continue;
  const { family, equals, weighted } = kernel;
  for (const dtype of kernel.dtypes) {
    describe(`${family} of ${dtype}`, () => {
      const groups = groupsOf(kernel, dtype);
      const own = groups.map((rows) => rows.map((row) => expected(kernel, row)));

      test(`${family}_dense_${dtype} equals ${NAMES[equals]}`, () => {
        groups.forEach((rows, g) => {
          compare(rows, runDense(family, dtype, rows, !weighted), (r) => own[g]![r]!, family);
        });
      });
      if (weighted)
        test(`${family}_dense_${dtype} equals ${NAMES[equals]} with shared weights`, () => {
          for (const rows of groups.filter((rows) => rows[0]!.x.length <= BLOCK)) {
            const shared = rows.map((row) => ({ ...row, w: rows[0]!.w }));
            const want = shared.map((row) => expected(kernel, row));
            compare(shared, runDense(family, dtype, rows, true), (r) => want[r]!, family);
          }
        });
      test(`${family}_ragged_${dtype} equals ${NAMES[equals]}`, () => {
        // Lengths mixed: every seventh group after another.
        for (let start = 0; start < 7; start++) {
          const mine = groups.map((_, g) => g).filter((g) => g % 7 === start);
          const rows = mine.flatMap((g) => groups[g]!);
          const want = mine.flatMap((g) => own[g]!);
          compare(rows, runRagged(family, dtype, rows), (r) => want[r]!, family);
        }
      });
    });
  }
}

// ---- Moments -----------------------------------------------------------------------------------------------------------------

/** m·2^e and n·2^f are the same number. */
function sameNumber(a: ExactSum, b: ExactSum): boolean {
  const { m, e } = a.scaled();
  const { m: n, e: f } = b.scaled();
  const low = Math.min(e, f);
  return m << BigInt(e - low) === n << BigInt(f - low);
}

function totalOf(high: number, low: number): ExactSum {
  const sum = new ExactSum();
  sum.add(high);
  sum.add(low);
  return sum;
}

for (const kernel of KERNELS) {
  if (kernel.equals !== "moments") continue;
  const { family, skip } = kernel;
  for (const dtype of kernel.dtypes) {
    describe(`${family} of ${dtype}`, () => {
      const groups = groupsOf(kernel, dtype);
      const fits = (kind: string): boolean =>
        !isFloat(dtype) || kind === "prices" || kind.includes("zeros") || (dtype === "f32" && kind === "normal");

      function check(rows: readonly Row[], words: Float64Array): void {
        rows.forEach((row, r) => {
          const kept = Array.from(row.x).filter((v) => !skip || v === v);
          const finite = kept.every(Number.isFinite);
          const [n, sh, sl, qh, ql, flag] = words.subarray(r * MOMENTS_WORDS, (r + 1) * MOMENTS_WORDS);
          const sum = new ExactSum();
          const squares = new ExactSum();
          for (const v of kept) {
            sum.add(v);
            squares.addProduct(v, v);
          }
          const fail = (what: string): never => {
            throw new Error(`${family} of ${dtype}: ${what}: ${row.x.length} children (${row.kind}): ${Array.from(row.x).slice(0, 20)}`);
          };
          if (n !== kept.length) fail(`n is ${n}`);
          if ((flag === MOMENTS_FLAG.notFinite) !== !finite) fail(`the flag is ${flag}`);
          if (flag === MOMENTS_FLAG.exact && !(sameNumber(sum, totalOf(sh!, sl!)) && sameNumber(squares, totalOf(qh!, ql!))))
            fail("inexact");
          if (flag === MOMENTS_FLAG.unfit && fits(row.kind)) fail("does not fit");
          const x = put(REGION.x, row.x);
          const slow = kernels.exactMoments(dtype, x, row.x.length, skip, REGION.scratch);
          if (slow.n !== kept.length) fail(`exactMoments: n is ${slow.n}`);
          if ((slow.sum.special() === undefined) !== finite) fail("exactMoments: special");
          if (finite && !(sameNumber(sum, slow.sum) && sameNumber(squares, slow.squares))) fail("exactMoments is inexact");
        });
      }

      test(`${family}_dense_${dtype} gives Σx and Σx² exactly, or says that it cannot`, () => {
        for (const rows of groups) check(rows, runDense(family, dtype, rows, true));
      });
      test(`${family}_ragged_${dtype} gives Σx and Σx² exactly, or says that it cannot`, () => {
        for (let start = 0; start < 7; start++) {
          const rows = groups.filter((_, g) => g % 7 === start).flat();
          check(rows, runRagged(family, dtype, rows));
        }
      });
    });
  }
}

// ---- Parts of quotients ------------------------------------------------------------------------------------------------------

for (const kernel of KERNELS) {
  if (kernel.equals !== "parts") continue;
  const { family, dtypes, weighted } = kernel;
  for (const dtype of dtypes) {
    test(`${family} of ${dtype} gives the exact sum in two parts, or as near as its flag says`, () => {
      const flags = new Set<number>();
      const check = (rows: readonly Row[], words: Float64Array): void => {
        rows.forEach((row, r) => {
          const [high, low, flag] = words.subarray(PARTS_WORDS * r, PARTS_WORDS * (r + 1));
          const sum = exactly(family, row);
          flags.add(flag!);
          const fail = (): never => {
            throw new Error(
              `${row.x.length} children (${row.kind}): ${[high, low, flag]}, not ${sum.value()}: ${Array.from(row.x).slice(0, 20)}`,
            );
          };
          if (flag === PARTS_FLAG.exact) {
            if (!sameNumber(sum, totalOf(high!, low!)) || !same(high!, sum.value())) fail();
          } else if (flag === PARTS_FLAG.near) {
            // |N − (H + L)|·2^104 ≤ |H|
            sum.subtract(high!);
            sum.subtract(low!);
            const off = sum.scaled();
            const whole = totalOf(high!, 0).scaled();
            const least = Math.min(off.e, whole.e);
            const size = (m: bigint): bigint => (m < 0n ? -m : m);
            if (size(off.m) << BigInt(off.e - least + 104) > size(whole.m) << BigInt(whole.e - least)) fail();
            if (!(Math.abs(low!) <= 2 ** -51 * Math.abs(high!))) fail();
          } else if (flag === PARTS_FLAG.notANumber ? !Number.isNaN(sum.value()) : !same(high!, sum.value())) fail();
        });
      };
      for (const rows of groupsOf(kernel, dtype)) check(rows, runDense(family, dtype, rows, !weighted));
      for (const rows of groupsOf(kernel, dtype)) check(rows, runRagged(family, dtype, rows));
      expect([...flags]).toContain(PARTS_FLAG.exact);
      if (weighted && isFloat(dtype)) expect([...flags].sort()).toEqual([0, 1, 2, 3]);
    });
  }
}

// ---- Sizes -------------------------------------------------------------------------------------------------------------------

/** A level f whose bound asks for the sizes of a family. */
const SIZED: Readonly<Record<SizeFamily, (w: Float64Array) => Reduction>> = {
  sizeSum: () => sum(),
  sizeWeighted: (w) => weightedSum(w),
  sizeSquares: (w) => weightedSum([w]),
  sizeLargest: () => max(),
};

describe.each(SIZE_KERNELS)("%s", (family) => {
  test.each(["f32", "f64", "i32", "i16", "i8", "u8"] as const)(
    `${family}_%s lies within 2^-15 of the definition, and is finite only if all children are`,
    (dtype) => {
      const r = random(dtype.length);
      const lengths = [...Array.from({ length: 40 }, (_, n) => n), 64, 1000, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1];
      for (const n of lengths)
        for (const kind of kindsOf(dtype)) {
          const rows = [rowOf(dtype, n, kind, r), rowOf(dtype, n, kind, r), rowOf(dtype, n, kind, r)];
          const x = joined(
            dtype,
            rows.map((row) => row.x),
          );
          const c = chain(SIZED[family](Float64Array.from({ length: n }, () => r.next() + 0.01)));
          const sizing = sizingOf(fit(c, denseTree(c, [3, n], undefined), "propagate", "fast"), dtype, TENSOR_F32)!;
          expect(sizing.family).toBe(family);
          const w = put(REGION.w, sizing.weights ?? new Float32Array(0));
          const at = put(REGION.x, x);
          const got = withOut("sum", 3, (out) => kernels.sizes(family, dtype)(at, 3, n, w, 0, out));
          rowSizes(sizing, x).forEach((want, row) => {
            const near = Math.abs(got[row]! - want) <= want * 2 ** -15 + n * 2 ** -149;
            const overflows = got[row] === inf && want > 3.4e38;
            const fits = Number.isFinite(want)
              ? family === "sizeLargest"
                ? Object.is(got[row], want)
                : near || overflows
              : !Number.isFinite(got[row]);
            if (!fits) throw new Error(`${n} children (${kind[0]}): ${got[row]}, not ${want}: ${Array.from(rows[row]!.x).slice(0, 20)}`);
          });
        }
    },
  );
});

// ---- Products ----------------------------------------------------------------------------------------------------------------

for (const kernel of KERNELS) {
  if (kernel.equals !== "product") continue;
  const { family } = kernel;
  for (const dtype of kernel.dtypes) {
    const groups = groupsOf(kernel, dtype);

    test(`${family} of ${dtype}: dense and ragged rows equal the lane product`, () => {
      const check = (rows: readonly Row[], words: Float64Array): void => {
        rows.forEach((row, r) => {
          const [m, e] = laneProduct(row.x);
          const got = words.subarray(PRODUCT_WORDS * r, PRODUCT_WORDS * (r + 1));
          if (!same(got[0]!, m) || !Object.is(got[1], e))
            throw new Error(`${row.x.length} children (${row.kind}): ${got} is not ${[m, e]}; x = ${Array.from(row.x).slice(0, 20)}`);
        });
      };
      for (const rows of groups) check(rows, runDense(family, dtype, rows, true));
      for (let start = 0; start < 7; start++) {
        const rows = groups.filter((_, g) => g % 7 === start).flat();
        check(rows, runRagged(family, dtype, rows));
      }
    });

    test(`${family} of ${dtype} is within n·2^-53 of the real product, beyond float64's range too`, () => {
      for (const row of groups.flat()) {
        const [m, e] = runDense(family, dtype, [row], true);
        if (row.x.some((v) => v === 0 || !Number.isFinite(v))) continue;
        // The real product is an integer times a power of two; m·2^e, too.
        const real = [...row.x].reduce((p, v) => timesExactly(p, v), { m: 1n, e: 0 });
        const ours = timesExactly({ m: 1n, e: e! }, m!);
        const low = Math.min(real.e, ours.e);
        const [a, b] = [real.m << BigInt(real.e - low), ours.m << BigInt(ours.e - low)];
        const off = a > b ? a - b : b - a;
        expect(off << 53n <= (a < 0n ? -a : a) * BigInt(row.x.length + 1)).toBe(true);
      }
    });
  }
}

// ---- More of the exact families ----------------------------------------------------------------------------------------------

test.each(["i32", "i16", "i8", "u8"] as const)("exactSum_dense_%s is exact over 200,000 of the greatest and the least", (dtype) => {
  for (const value of [2 ** 31 - 1, -(2 ** 31), 255]) {
    const x = new ARRAYS[dtype](200_000).fill(value);
    const at = put(REGION.x, x);
    const [sum] = withOut("exactSum", 1, (out) => kernels.dense("exactSum", dtype)(at, 1, x.length, 0, 0, out, REGION.scratch));
    expect(sum).toBe(x.length * x[0]!);
  }
});

/** Numbers of `bits` bits, the last of them set, from 2^least on and below 2^(most + 1): both ends always among them. */
function between(least: number, most: number, bits: number, n: number, r: Random): number[] {
  const of = (e: number): number => {
    const m = bits === 1 ? 1 : 2 ** (bits - 1) + 2 * r.int(2 ** Math.min(bits - 2, 31)) + 1;
    const shift = e - bits + 1;
    return sign(r) * m * 2 ** Math.max(shift, -1000) * 2 ** Math.min(shift + 1000, 0);
  };
  return Array.from({ length: n }, (_, i) => of(i === 0 ? least : i === n - 1 ? most : least + r.int(most - least + 1)));
}

/** A bound of how many terms a bin takes: n ≤ 2^k. */
const logOf = (n: number): number => Math.max(3, Math.ceil(Math.log2(n)));

describe("certificates of blocks", () => {
  const LENGTHS = [3, 8, 9, 16, 63, 64, 95, 96, 97, 127, 128, 129, 1024, 2047, 2048];
  const inBlock = (n: number): number => Math.max(1, Math.min(3, Math.floor(2048 / n)));

  function check(family: Family, dtype: Dtype, rows: readonly Row[], slow: number | undefined): void {
    const want = rows.map((row) => exactly(family, row).value());
    compare(rows, runDense(family, dtype, rows, false), (i) => want[i]!, family);
    if (slow !== undefined)
      expect([rows[0]!.x.length, ...counted()]).toEqual([rows[0]!.x.length, slow, expect.anything(), expect.anything()]);
    compare(rows, runRagged(family, dtype, rows), (i) => want[i]!, family);
  }
  const rowsOf = (dtype: Dtype, n: number, x: () => number[], w: () => number[]): Row[] =>
    Array.from({ length: inBlock(n) }, () => ({ kind: "certificate", x: new ARRAYS[dtype](x()), w: Float64Array.from(w()) }));

  test.each(LENGTHS)("sums of %i children are exact on both sides of one bin and of two", (n) => {
    const r = random(n);
    const k = logOf(n);
    const none = (): number[] => new Array<number>(n).fill(nan);
    for (const [dtype, bits] of [
      ["f64", 53],
      ["f32", 24],
    ] as const) {
      // One bin: E + k − L ≤ 53. All of these are within two.
      for (const by of [-1, 0, 1, 2]) {
        const few = dtype === "f64" ? 53 - k : 20;
        check(
          "exactSum",
          dtype,
          rowsOf(dtype, n, () => between(-5, -5 + 53 - k - few + by + (dtype === "f64" ? 1 : 0), few, n, r), none),
          0,
        );
      }
      // The sum of numbers of one sign is as long as it can be: plain lanes would round it more than once.
      for (let by = 0; dtype === "f64" && by < 5; by++)
        for (let draw = 0; draw < 8; draw++)
          check(
            "exactSum",
            dtype,
            rowsOf(dtype, n, () => between(0, 0, Math.min(53, 53 - k + by), n, r).map(Math.abs), none),
            0,
          );
      // Two bins: E + 2k − L ≤ 106.
      for (const by of [-1, 0, 1, 5]) {
        const spread = 106 - 2 * k - bits + by;
        check(
          "exactSum",
          dtype,
          rowsOf(dtype, n, () => between(-60, -60 + spread, bits, n, r), none),
          by > 0 ? 1 : 0,
        );
      }
    }
  });

  test.each(LENGTHS)("sums of %i products are exact on both sides of one bin and of two", (n) => {
    const r = random(n);
    const k = logOf(n);
    for (const by of [-1, 0, 1, 2]) {
      const bits = Math.floor((53 - k) / 2);
      const least = between(-7, -7, bits, n, r);
      check(
        "exactWeightedSum",
        "f64",
        rowsOf(
          "f64",
          n,
          () => between(0, Math.max(0, 53 - k - 2 * bits + by), bits, n, r),
          () => least,
        ),
        0,
      );
    }
    for (const by of [-1, 0, 1, 5]) {
      // f32 times f32: 24 + 24 bits, and a spread that is shared out.
      const spread = 106 - 2 * k - 48 + by;
      const [a, b] = [Math.floor(spread / 2), Math.ceil(spread / 2)];
      check(
        "exactWeightedSum",
        "f32",
        rowsOf(
          "f32",
          n,
          () => between(-20, -20 + a, 24, n, r),
          () => between(-9, -9 + b, 24, n, r),
        ),
        by > 0 ? 1 : 0,
      );
    }
    // A product of 53 bits is a float64, one of 54 is not. (Short rows of float64 are not scanned if their weights have many bits.)
    for (const [x, w] of [
      [29, 24],
      [30, 24],
      [26, 27],
      [27, 27],
    ] as const)
      check(
        "exactWeightedSum",
        "f64",
        rowsOf(
          "f64",
          n,
          () => between(0, 3, x, n, r),
          () => between(0, 2, w, n, r),
        ),
        x + w > 53 ? 1 : 0,
      );
  });

  test.each(LENGTHS)("sums of %i children are exact at both ends of the range", (n) => {
    const r = random(n);
    const k = logOf(n);
    const ones = (): number[] => new Array<number>(n).fill(1);
    for (const by of [-2, -1, 0, 1, 2, k, k + 1]) {
      const top = Math.min(1023, 1021 - k + by);
      check(
        "exactSum",
        "f64",
        rowsOf("f64", n, () => between(top - 2, top, 53, n, r), ones),
        undefined,
      );
      check(
        "exactSum",
        "f64",
        rowsOf("f64", n, () => between(top - 2, top, 53, n, r).map(Math.abs), ones),
        undefined,
      );
      check(
        "exactSum",
        "f64",
        rowsOf("f64", n, () => between(top, top, 1, n, r), ones),
        undefined,
      );
    }
    for (const most of [-1074, -1073, -1060, -1023, -1022, -1021, -1000, -970, -960]) {
      check(
        "exactSum",
        "f64",
        rowsOf("f64", n, () => between(-1074, most, 1, n, r), ones),
        undefined,
      );
      // Products down to 2^-1074, and below.
      const tiny = (e: number): Row[] =>
        rowsOf(
          "f64",
          n,
          () => between(e, Math.max(e, most + 500), 20, n, r),
          () => between(-500, -498, 20, n, r),
        );
      for (const e of [-535, -536, -537, -540]) check("exactWeightedSum", "f64", tiny(e), undefined);
    }
    for (const most of [-149, -148, -127, -126, -125, -100])
      check(
        "exactSum",
        "f32",
        rowsOf("f32", n, () => between(-149, most, 1, n, r), ones),
        0,
      );
  });
});

test.each(["exactSum", "exactWeightedSum", "exactSumSkip", "exactWeightedSumSkip", "exactWeightSkip"] as const)(
  "%s of long rows is the exact sum rounded once",
  (family) => {
    const r = random(5);
    for (const dtype of ["f32", "f64"] as const)
      for (const kind of kindsOf(dtype))
        for (const n of [2049, 4096, 4097, 6145]) {
          const row = rowOf(dtype, n, kind, r);
          const want = exactly(family, row).value();
          const [dense] = runDense(family, dtype, [row], true);
          const [ragged] = runRagged(family, dtype, [row]);
          if (!same(dense!, want) || !same(ragged!, want))
            throw new Error(`${family} of ${dtype}: ${n} children (${kind[0]}): ${dense} and ${ragged}, not ${want}`);
        }
  },
);

test("rows of more blocks than there is room for what they come to are exact", () => {
  const r = random(11);
  const check = (family: Family, dtype: Dtype, row: Row): void => {
    const want = exactly(family, row).value();
    expect(runDense(family, dtype, [row], true)[0]).toBe(want);
  };
  const n = 520_000;
  check("exactSum", "f32", { kind: "two bins", x: Float32Array.from({ length: n }, () => normal(r)), w: new Float64Array(1) });
  const m = 60_000;
  for (const spread of [40, 120, 200])
    check("exactWeightedSum", "f64", {
      kind: "hard",
      x: Float64Array.from({ length: m }, () => normal(r) * 2 ** r.int(spread)),
      w: Float64Array.from({ length: m }, () => normal(r)),
    });
});

test("products of 106 bits are exact on both sides of four bins", () => {
  const r = random(4);
  for (const dtype of ["f64", "f32"] as const)
    for (let spread = 30; spread < 64; spread++)
      for (let n = 2; n < 40; n += 1 + (n >> 3)) {
        const x = between(0, spread >> 1, dtype === "f64" ? 53 : 24, n, r);
        const w = between(0, (spread + 1) >> 1, 53, n, r);
        const row: Row = {
          kind: "four bins",
          x: new ARRAYS[dtype](x.map((v, i) => (w[i]! < 0 ? -Math.abs(v) : Math.abs(v)))),
          w: Float64Array.from(w),
        };
        const [high, low, flag] = runDense("partsWeightedSum", dtype, [row], false);
        const sum = exactly("partsWeightedSum", row);
        if (flag === PARTS_FLAG.exact) expect(sameNumber(sum, totalOf(high!, low!))).toBe(true);
        else if (flag === PARTS_FLAG.other) expect(high).toBe(sum.value());
        else {
          sum.subtract(high!);
          sum.subtract(low!);
          expect(Math.abs(sum.value())).toBeLessThanOrEqual(2 ** -104 * Math.abs(high!));
        }
      }
});

// ---- Sums that outlive a call --------------------------------------------------------------------------------------------------

describe.each(["f32", "f64"] as const)("accumulate of %s", (dtype) => {
  type Accumulate = (...args: number[]) => void;
  const CHUNKS = 136;
  const WORDS = CHUNKS + 3;
  let exports: Record<string, Accumulate>;
  beforeAll(() => {
    exports = new WebAssembly.Instance(loadKernelModule(), { env: { memory } }).exports as Record<string, Accumulate>;
  });

  test.each(["accumulate", "accumulateProducts"] as const)(
    "%s leaves the exact sum of all terms, and counts those that are not finite",
    (name) => {
      const r = random(name.length);
      const products = name === "accumulateProducts";
      for (const kind of kindsOf(dtype)) {
        const sum = put(REGION.out, new Float64Array(WORDS));
        const want = new ExactSum();
        // Calls of all lengths into one sum: some go term by term, some in blocks.
        for (const n of [0, 1, 2, 23, 24, 25, 100, 2047, 2048, 2049, 5000]) {
          const row = rowOf(dtype, n, kind, r);
          const x = put(REGION.x, row.x);
          const w = put(REGION.w, row.w);
          if (products) exports[`${name}_${dtype}`]!(x, w, n, sum);
          else exports[`${name}_${dtype}`]!(x, n, sum);
          for (const [i, v] of row.x.entries()) products ? want.addProduct(row.w[i]!, v) : want.add(v);
          const words = new BigInt64Array(memory.buffer, sum, WORDS);
          const m = words.slice(0, CHUNKS).reduceRight((total, chunk) => (total << 32n) + chunk, 0n);
          const [nans, positive, negative] = [...words.slice(CHUNKS)].map(Number);
          const got = ExactSum.from({
            m,
            exponent: -2148,
            nan: nans!,
            positiveInfinity: positive!,
            negativeInfinity: negative!,
            items: want.items,
          });
          expect([kind[0], n, got.parts()]).toEqual([kind[0], n, want.parts()]);
          // Carried: each chunk but the last within 32 bits.
          expect(words.slice(0, CHUNKS - 1).every((chunk) => chunk >= 0n && chunk < 2n ** 32n)).toBe(true);
        }
      }
    },
  );
});

describe("what exact kernels count", () => {
  const r = random(7);
  const bits53 = (n: number): number[] => between(-1, -1, 53, n, r);
  const cancelling = (n: number): number[] => bits53(n).flatMap((v) => [v, -v]);
  const row = (x: readonly number[], w: readonly number[]): Row => ({ kind: "made up", x: Float64Array.from(x), w: Float64Array.from(w) });
  const weights = (x: readonly number[]): number[] => x.map((_, i) => 1 + (i >> 1) * 2 ** -50);
  const FIVE = [1e300, 1e200, 1e100, 1, 1e-100];

  test.each<[string, Family, Row, number[]]>([
    ["nothing: one bin", "exactSum", row(between(0, 9, 10, 2048, r), new Array<number>(2048).fill(1)), [0, 0, 0]],
    ["nothing: two bins", "exactSum", row(between(-9, 9, 53, 4096, r), new Array<number>(4096).fill(1)), [0, 0, 0]],
    ["a slow block for each 2048 products of 106 bits", "exactWeightedSum", row(bits53(4097), bits53(4097)), [3, 0, 0]],
    ["one that takes more bins", "exactSum", row(between(-150, 9, 53, 512, r), bits53(512)), [1, 0, 0]],
    ["a slow block alone where the rounding test passes", "exactWeightedSum", row(bits53(16), bits53(16)), [1, 0, 0]],
    [
      "a tie, which takes three terms",
      "exactWeightedSum",
      row([...cancelling(4), 1, 2 ** -53], [...weights(cancelling(4)), 1, 1]),
      [1, 1, 0],
    ],
    [
      "what lies further apart than three terms",
      "exactWeightedSum",
      row([...FIVE, ...FIVE.map((v) => -v), 1e-200], [...FIVE, ...FIVE].map(() => 1 + 2 ** -40).concat(1)),
      [1, 1, 1],
    ],
    ["a long row with a NaN", "exactSum", row([...bits53(2048), nan], bits53(2049)), [1, 0, 1]],
    ["not what is skipped", "exactSumSkip", row([...bits53(2048), nan], bits53(2049)), [0, 0, 0]],
  ])("%s", (_, family, given, want) => {
    expect(runDense(family, "f64", [given], false)[0]).toBe(exactly(family, given).value());
    expect(counted()).toEqual(want);
    expect(runRagged(family, "f64", [given])[0]).toBe(exactly(family, given).value());
    expect(counted()).toEqual(want);
  });

  test("row by row: 100 zeros of random products are 100 nodes", () => {
    const rows = Array.from({ length: 100 }, () => row([1, -1, 3, -3, 2 ** -60], [0.1, 0.1, 0.3, 0.3, 0.1]));
    runDense("exactWeightedSum", "f64", rows, false);
    expect(counted()).toEqual([1, 100, 0]);
  });
});

/** Any finite float64, by sign, exponent and fraction; edges and ties often. */
const anyNumber = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.tuple(fc.integer({ min: -1074, max: 1023 }), fc.integer({ min: -3, max: 3 })).map(([e, m]) => {
    const v = m * 2 ** Math.max(e, -1022) * 2 ** (e - Math.max(e, -1022));
    return Number.isFinite(v) ? v : 0;
  }),
  fc.tuple(fc.integer({ min: -60, max: 60 }), fc.double({ min: -1, max: 1, noNaN: true })).map(([e, m]) => m * 2 ** e),
);

/** Rows whose terms nearly cancel: some products come back negated, then small ones follow. */
const illConditioned = fc
  .record({
    pairs: fc.array(fc.tuple(anyNumber, anyNumber), { minLength: 1, maxLength: 20 }),
    again: fc.boolean(),
    rest: fc.array(fc.tuple(anyNumber, anyNumber), { maxLength: 4 }),
  })
  .map(({ pairs, again, rest }) => [...pairs, ...(again ? pairs.map(([x, w]): [number, number] => [-x, w]).reverse() : []), ...rest]);

test.each(["exactSum", "exactWeightedSum"] as const)("%s is the exact sum rounded once, whatever the float64", (family) => {
  fc.assert(
    fc.property(illConditioned, (pairs) => {
      const row: Row = { kind: "generated", x: Float64Array.from(pairs, ([x]) => x), w: Float64Array.from(pairs, ([, w]) => w) };
      const want = exactly(family, row).value();
      // Two rows at once and one alone take different paths.
      const two = runDense(family, "f64", [row, row], true);
      const [one] = runRagged(family, "f64", [row]);
      return same(two[0]!, want) && same(two[1]!, want) && same(one!, want);
    }),
    { numRuns: 3000, seed: 20261122 },
  );
});

test("exactWeightedSum of f32 is the exact sum rounded once, whatever the weights", () => {
  fc.assert(
    fc.property(illConditioned, (pairs) => {
      const row: Row = { kind: "generated", x: Float32Array.from(pairs, ([x]) => x), w: Float64Array.from(pairs, ([, w]) => w) };
      const want = exactly("exactWeightedSum", row).value();
      const two = runDense("exactWeightedSum", "f32", [row, row], true);
      const [one] = runRagged("exactWeightedSum", "f32", [row]);
      return same(two[0]!, want) && same(two[1]!, want) && same(one!, want);
    }),
    { numRuns: 2000, seed: 20261122 },
  );
});

test.each(["f32", "f64"] as const)("firstNaN_%s is the index of the first NaN, or −1", (dtype) => {
  for (let n = 0; n < 40; n++)
    for (let i = -1; i < n; i++) {
      const x = new ARRAYS[dtype](n);
      if (i >= 0) x.fill(nan, i, i + 1 + (n % 3));
      expect(kernels.firstNaN(dtype, put(REGION.x, x), n)).toBe(i);
    }
});
