/** Where the backend "fourfold" differs from TensorFlow.js's cpu backend, and why: docs/tfjs.md shows this list, and tests show each entry. */

/** One difference. */
export interface Difference {
  readonly operation: string;
  readonly what: string;
  readonly why: string;
}

/** The specs of tfjs-core's operations that fail on the backend, by full name, with the reason: none. */
export const FAILING_SPECS: Readonly<Record<string, string>> = {};

/** All other differences. */
export const DIFFERENCES: Readonly<Record<string, Difference>> = {
  rounding: {
    operation: "Sum, Mean, BatchMatMul, Einsum, UnsortedSegmentSum",
    what: "The last bits of float32 results differ.",
    why: "Terms are added in sixteen float64 lanes and the sum is rounded to float32 once; the cpu backend adds in one float64 chain, rounds a mean's terms before it adds them, and rounds a product's sums every 48 terms.",
  },
  zeros: {
    operation: "Sum, Mean, BatchMatMul, Min, Max",
    what: "A sum of −0 is +0; the minimum of 0 and −0 is −0, and their maximum is 0.",
    why: "The numeric contract defines it (clause 8); on the cpu backend it hangs on the order.",
  },
  range: {
    operation: "Prod",
    what: "A float32 product whose partial products leave float64's range keeps its value.",
    why: "Exponents are kept apart. On the cpu backend such a product is 0, Infinity or NaN.",
  },
  spill: {
    operation: "UnsortedSegmentSum",
    what: "NaN and Infinity stay in their segment.",
    why: "Only a segment's own rows are added. The cpu backend adds every row to every segment, times 0 or 1, and 0 × NaN is NaN.",
  },
  order: {
    operation: "Einsum",
    what: "Two operands that share all summed dims are one product of matrices, so no product is rounded before it is added.",
    why: "The cpu backend stores all products as float32, and then sums one dim after the other.",
  },
  snapshot: {
    operation: "all of these",
    what: "Changing an array after it was given to `tf.tensor` may or may not change later results.",
    why: "A tensor that is used again has a copy in kernel memory. TensorFlow.js calls tensors immutable; the wasm backend copies at once.",
  },
};
