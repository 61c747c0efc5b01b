/** v* of contract clause 12: a chain on rational numbers, with no rounding anywhere. An oracle for tests, slow and simple. */
import { roundRatio } from "../../src/reduce/exact.ts";
import { builtIn, type Fitted } from "../../src/reduce/resolve.ts";
import { childStart } from "../../src/reduce/tree.ts";
import type { TypedData } from "../../src/types.ts";

/** The rational m / d · 2^e, d > 0. */
export interface Real {
  readonly m: bigint;
  readonly d: bigint;
  readonly e: number;
}

const word = new DataView(new ArrayBuffer(8));
const ZERO: Real = { m: 0n, d: 1n, e: 0 };

/** A finite float64 as it is. */
export function real(x: number): Real {
  word.setFloat64(0, x);
  const bits = word.getBigUint64(0);
  const field = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xfffffffffffffn;
  const size = field === 0 ? fraction : fraction | 0x10000000000000n;
  return size === 0n ? ZERO : { m: bits >> 63n ? -size : size, d: 1n, e: Math.max(field, 1) - 1075 };
}

function add(a: Real, b: Real): Real {
  if (a.m === 0n) return b;
  if (b.m === 0n) return a;
  const e = Math.min(a.e, b.e);
  const am = a.m << BigInt(a.e - e);
  const bm = b.m << BigInt(b.e - e);
  return a.d === b.d ? { m: am + bm, d: a.d, e } : { m: am * b.d + bm * a.d, d: a.d * b.d, e };
}

function negate(a: Real): Real {
  return { m: -a.m, d: a.d, e: a.e };
}

function multiply(a: Real, b: Real): Real {
  return { m: a.m * b.m, d: a.d * b.d, e: a.e + b.e };
}

function divide(a: Real, b: Real): Real {
  return b.m > 0n ? { m: a.m * b.d, d: a.d * b.m, e: a.e - b.e } : { m: -a.m * b.d, d: a.d * -b.m, e: a.e - b.e };
}

export function compare(a: Real, b: Real): number {
  const { m } = add(a, negate(b));
  return m > 0n ? 1 : m < 0n ? -1 : 0;
}

/** The nearest float64. */
export function round(a: Real): number {
  return roundRatio(a.m, a.d, a.e);
}

/** |v − exact|. */
export function distance(v: number, exact: Real): Real {
  const difference = add(real(v), negate(exact));
  return difference.m < 0n ? negate(difference) : difference;
}

/** A node's value: a real number, NaN or an infinity ("none"), or missing, which its parent skips. */
export type RealValue = Real | "none" | "missing";

/** The outermost nodes of a chain of built-in reductions on real numbers: output r of node n stands at r · nodes + n. */
export function realChain(fitted: Fitted, data: TypedData): RealValue[] {
  const skip = fitted.nan === "skip";
  let values: RealValue[] = Array.from(data, (x) => (Number.isFinite(x) ? real(x) : skip && Number.isNaN(x) ? "missing" : "none"));
  let records: number[] = values.map((v) => (v === "missing" ? 0 : 1));
  let planes = 1;
  fitted.levels.forEach((level, index) => {
    const { nodes, children, weights } = level;
    const outputs = weights.form === "matrix" ? weights.rows : planes;
    const next: RealValue[] = [];
    const nextRecords: number[] = [];
    for (let r = 0; r < outputs; r++)
      for (let node = 0; node < nodes; node++) {
        const start = childStart(level, node);
        const end = childStart(level, node + 1);
        const kept: { x: Real | "none"; w: number; records: number }[] = [];
        for (let child = start; child < end; child++) {
          const at = planes === 1 ? child : r * children + child;
          const x = values[at]!;
          if (x === "missing") continue;
          const w =
            weights.form === "none"
              ? 1
              : weights.form === "count"
                ? records[at]!
                : weights.form === "shared"
                  ? weights.values[child - start]!
                  : weights.form === "matrix"
                    ? weights.values[r * weights.extent + child - start]!
                    : weights.values[child % weights.values.length]!;
          kept.push({ x, w, records: records[at]! });
        }
        nextRecords.push(kept.reduce((total, k) => total + k.records, 0));
        next.push(skip && kept.length === 0 ? "missing" : reduce(builtIn(level)!, level.reduction.ddof ?? 0, kept, skip, index === 0));
      }
    values = next;
    records = nextRecords;
    planes = outputs;
  });
  return values;
}

type Kind = NonNullable<ReturnType<typeof builtIn>>;

function reduce(kind: Kind, ddof: number, kept: readonly { x: Real | "none"; w: number }[], skip: boolean, leaves: boolean): RealValue {
  const n = kept.length;
  // Whether a child that is not a real number is a NaN, which `skip` skips, or an infinity is not known here.
  const known = kept.every(({ x }) => x !== "none");
  if (kind === "count") return known || leaves || !skip ? real(n) : "none";
  if (!known || kept.some(({ w }) => !Number.isFinite(w))) return "none";
  const xs = kept.map(({ x }) => x as Real);
  const total = (terms: readonly Real[]): Real => terms.reduce(add, ZERO);
  const weighted = (): Real => total(xs.map((x, i) => multiply(real(kept[i]!.w), x)));
  switch (kind) {
    case "sum":
      return total(xs);
    case "weightedSum":
      return weighted();
    case "mean":
      return n === 0 ? "none" : divide(total(xs), real(n));
    case "weightedMean": {
      const w = total(kept.map((k) => real(k.w)));
      return w.m === 0n ? "none" : divide(weighted(), w);
    }
    case "min":
      return n === 0 ? "none" : xs.reduce((a, b) => (compare(b, a) < 0 ? b : a));
    case "max":
      return n === 0 ? "none" : xs.reduce((a, b) => (compare(b, a) > 0 ? b : a));
    case "variance": {
      if (n <= ddof) return skip ? "missing" : "none";
      const mean = divide(total(xs), real(n));
      const squares = xs.map((x) => add(x, negate(mean))).map((d) => multiply(d, d));
      return divide(total(squares), real(n - ddof));
    }
  }
}
