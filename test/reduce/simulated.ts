/**
 * A float32 device that is as bad as the bound allows: it adds in any order, flushes subnormals or not, rounds either way
 * or fuses products into sums, and divides with 2.5 units of error. For tests of the bound: what holds here holds for a GPU.
 */
import { emptyValue } from "../../src/reduce/node.ts";
import { builtIn, type Fitted } from "../../src/reduce/resolve.ts";
import { childStart } from "../../src/reduce/tree.ts";
import type { TypedData } from "../../src/types.ts";

export interface Habits {
  /** `nearest`, or `faithful`: one of the two neighbours, at random. */
  readonly rounding: "nearest" | "faithful";
  readonly flush: boolean;
  readonly fused: boolean;
}

const word = new DataView(new ArrayBuffer(4));

/** The float32 next to x, upwards or downwards. */
function neighbour(x: number, up: boolean): number {
  if (x === 0) return up ? 2 ** -149 : -(2 ** -149);
  word.setFloat32(0, x);
  word.setUint32(0, word.getUint32(0) + (up === x > 0 ? 1 : -1));
  return word.getFloat32(0);
}

/** The outermost values of a chain as such a device computes them. */
export function simulate(fitted: Fitted, data: TypedData, habits: Habits, random: () => number): Float64Array {
  const flushed = (x: number): number => (habits.flush && Math.abs(x) < 2 ** -126 ? 0 : x);
  const store = (x: number): number => {
    const near = Math.fround(x);
    const other = habits.rounding === "nearest" || near === x || random() < 0.5 ? near : neighbour(near, x > near);
    return flushed(other);
  };
  const read = (x: number): number => flushed(Math.fround(x));
  const multiply = (a: number, b: number): number => store(read(a) * read(b));
  const addUp = (terms: readonly number[]): number => {
    const left = terms.map(read);
    while (left.length > 1) {
      const [a] = left.splice(Math.floor(random() * left.length), 1);
      const j = random() < 0.5 ? left.length - 1 : Math.floor(random() * left.length);
      left[j] = store(a! + left[j]!);
    }
    return left[0] ?? 0;
  };
  const dot = (w: readonly number[], x: readonly number[]): number => {
    if (!habits.fused) return addUp(x.map((v, i) => multiply(w[i]!, v)));
    return x.reduce((total, v, i) => store(read(w[i]!) * read(v) + total), 0);
  };
  const divide = (a: number, b: number): number =>
    store((read(a) / read(b)) * (1 + (habits.rounding === "nearest" ? 0 : (2 * random() - 1) * 2 ** -22.7)));

  const skip = fitted.nan === "skip";
  let values: number[] = Array.from(data);
  let records: number[] = values.map((x) => (skip && Number.isNaN(x) ? 0 : 1));
  let missing: boolean[] = values.map((x) => skip && Number.isNaN(x));
  let planes = 1;
  for (const level of fitted.levels) {
    const { nodes, children, weights, reduction } = level;
    const outputs = weights.form === "matrix" ? weights.rows : planes;
    const kind = builtIn(level)!;
    const next: number[] = [];
    const nextRecords: number[] = [];
    const nextMissing: boolean[] = [];
    for (let r = 0; r < outputs; r++)
      for (let node = 0; node < nodes; node++) {
        const start = childStart(level, node);
        const x: number[] = [];
        const w: number[] = [];
        let below = 0;
        for (let child = start; child < childStart(level, node + 1); child++) {
          const at = planes === 1 ? child : r * children + child;
          if (missing[at] || (skip && Number.isNaN(values[at]!))) continue;
          below += records[at]!;
          x.push(values[at]!);
          if (weights.form === "count") w.push(records[at]!);
          else if (weights.form === "shared") w.push(weights.values[child - start]!);
          else if (weights.form === "matrix") w.push(weights.values[r * weights.extent + child - start]!);
          else if (weights.form === "perNode") w.push(weights.values[child % weights.values.length]!);
        }
        const n = x.length;
        const ddof = reduction.ddof ?? 0;
        let value = emptyValue(kind);
        if (kind === "count") value = n;
        else if (n > 0) {
          if (kind === "sum") value = addUp(x);
          else if (kind === "weightedSum") value = dot(w, x);
          else if (kind === "mean") value = divide(addUp(x), n);
          else if (kind === "weightedMean") value = divide(dot(w, x), addUp(w));
          else if (kind === "min") value = Math.min(...x.map(read));
          else if (kind === "max") value = Math.max(...x.map(read));
          else if (n > ddof) {
            const mean = divide(addUp(x), n);
            const d = x.map((v) => store(read(v) - read(mean)));
            value = divide(dot(d, d), n - ddof);
          }
        }
        next.push(value);
        nextRecords.push(below);
        nextMissing.push(skip && n === 0);
      }
    values = next;
    records = nextRecords;
    missing = nextMissing;
    planes = outputs;
  }
  return Float64Array.from(values);
}
