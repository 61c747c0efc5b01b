// A reduction in a module of its own, which workers import: it must have no other effects.
import { defineReduction } from "fourfold";

/** The n-th root of the product of n positive numbers, by way of their logarithms. */
export const geometricMean = defineReduction({
  name: "geometricMean",
  init: () => ({ logs: 0, n: 0 }),
  add: ({ logs, n }, x) => ({ logs: logs + Math.log(x), n: n + 1 }),
  merge: (left, right) => ({ logs: left.logs + right.logs, n: left.n + right.n }),
  finish: ({ logs, n }) => Math.exp(logs / n),
  module: import.meta.url,
});

// Prints:
