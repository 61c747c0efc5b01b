/** Random chains with data for the bound: every reduction, weight form, dtype and NaN policy, and values chosen to be hard. */
import { chain } from "../../src/reduce/chain.ts";
import { count, max, mean, min, type Reduction, sum, variance, weightedMean, weightedSum } from "../../src/reduce/reductions.ts";
import { type Fitted, fit as fitChain } from "../../src/reduce/resolve.ts";
import { denseTree, raggedTree, type Tree } from "../../src/reduce/tree.ts";
import type { Accuracy, NanPolicy, TypedData } from "../../src/types.ts";

export interface Case {
  readonly title: string;
  readonly fitted: Fitted;
  readonly data: TypedData;
}

/** A stream of numbers in [0, 1) that depends on the seed alone (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Flavour = "ordinary" | "cancelling" | "mixed" | "subnormal" | "wide" | "integer" | "close" | "zero";
const FLAVOURS: readonly Flavour[] = ["ordinary", "ordinary", "cancelling", "mixed", "subnormal", "wide", "integer", "close", "zero"];

/** n values of one flavour. */
export function valuesOf(flavour: Flavour, n: number, random: () => number): Float64Array {
  const signed = (): number => 2 * random() - 1;
  const out = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    if (flavour === "ordinary") out[i] = signed() + 0.5;
    else if (flavour === "cancelling") out[i] = i % 2 === 1 ? -out[i - 1]! * (1 + signed() * 1e-6) : signed() * 1e3;
    else if (flavour === "mixed") out[i] = signed() * 10 ** Math.floor(random() * 24 - 12);
    else if (flavour === "subnormal") out[i] = signed() * 2 ** -Math.floor(120 + random() * 30);
    else if (flavour === "wide") out[i] = signed() * 2 ** 40 + signed() * 2 ** -10;
    else if (flavour === "integer") out[i] = Math.round(signed() * 2 ** (4 + Math.floor(random() * 27)));
    else if (flavour === "close") out[i] = 1e4 + signed() * 1e-4;
    else out[i] = random() < 0.7 ? 0 : random() < 0.5 ? -0 : signed();
  }
  return out;
}

/** Case number `seed`. The accuracy is what the backend under test needs. */
export function randomCase(seed: number, accuracy: Accuracy = "fast"): Case {
  const random = randomFrom(seed * 2654435761 + 1);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const depth = 1 + Math.floor(random() * 4);
  const extents = Array.from({ length: depth }, (_, i) =>
    random() < 0.04 ? 0 : 1 + Math.floor(random() * (i === 0 ? (random() < 0.2 ? 90 : 12) : 4)),
  );
  const ragged = random() < 0.35;
  const frames = ragged ? [] : pick([[], [], [2], [3, 1]]);
  const nan = pick<NanPolicy>(["propagate", "propagate", "skip", "skip", "error"]);

  const shape = [...frames, ...[...extents].reverse()];
  const sizes: number[] = []; // children of each level, for one frame
  let offsets: number[][] = [];
  if (ragged) {
    offsets = raggedOffsets(extents, random);
    for (const o of offsets) sizes.push(o[o.length - 1]!);
  } else for (let i = 0; i < depth; i++) sizes.push(extents.slice(i).reduce((product, n) => product * n, 1));
  const all = frames.reduce((product, n) => product * n, 1);
  const leaves = sizes[0]! * all;

  const matrixAt = !ragged && random() < 0.25 ? Math.floor(random() * depth) : -1;
  const levels = extents.map((extent, i): Reduction => {
    const flavour = pick<Flavour>(["ordinary", "ordinary", "cancelling", "mixed", "zero", "integer", "wide", "close", "subnormal"]);
    const list = (n: number): Float64Array => {
      const values = valuesOf(flavour, n, random);
      return random() < 0.4 ? Float64Array.from(values, Math.fround) : values;
    };
    const weighted = random() < 0.7 ? weightedSum : weightedMean;
    if (i === matrixAt) return weighted(Array.from({ length: 1 + Math.floor(random() * 3) }, () => list(extent)));
    switch (Math.floor(random() * 11)) {
      case 0:
        return sum();
      case 1:
        return mean();
      case 2:
        return min();
      case 3:
        return max();
      case 4:
        return variance({ ddof: pick([0, 0, 1]) });
      case 5:
        return random() < 0.4 ? count() : mean();
      case 6:
        return weighted("count");
      case 7:
        return weighted({ perNode: list(sizes[i]! * (!ragged && random() < 0.5 ? all : 1)) });
      default:
        return ragged ? weighted({ perNode: list(sizes[i]!) }) : weighted(list(extent));
    }
  });

  const flavour = pick(FLAVOURS);
  const values = valuesOf(flavour, leaves, random);
  const dtype = pick(["f32", "f64", "f64", "i32", "u8"] as const);
  if ((dtype === "f32" || dtype === "f64") && nan !== "error") {
    const share = nan === "skip" ? 0.3 : random() < 0.1 ? 0.05 : 0;
    for (let i = 0; i < leaves; i++) if (random() < share) values[i] = random() < 0.03 ? Number.POSITIVE_INFINITY : Number.NaN;
  }
  const data =
    dtype === "f32"
      ? Float32Array.from(values)
      : dtype === "f64"
        ? values
        : dtype === "i32"
          ? Int32Array.from(values)
          : Uint8Array.from(values);

  const c = chain(...levels);
  const tree: Tree = ragged ? raggedTree(c, offsets, leaves) : denseTree(c, shape, leaves);
  const names = levels.map((level) => `${level.name}${level.weights ? `[${level.weights.form}]` : ""}`).join(" ");
  return {
    title: `case ${seed}: ${names} of ${flavour} ${dtype} ${ragged ? "ragged" : `[${shape}]`} nan ${nan}`,
    fitted: fitChain(c, tree, nan, accuracy),
    data,
  };
}

/** Offsets of every level, with empty nodes among them. */
function raggedOffsets(extents: readonly number[], random: () => number): number[][] {
  const offsets: number[][] = [];
  let nodes = 1 + Math.floor(random() * 2);
  for (const extent of [...extents].reverse()) {
    const o = [0];
    for (let i = 0; i < nodes; i++) o.push(o[i]! + (random() < 0.15 ? 0 : Math.floor(random() * (2 * extent + 1))));
    offsets.unshift(o);
    nodes = o[nodes]!;
  }
  return offsets;
}
