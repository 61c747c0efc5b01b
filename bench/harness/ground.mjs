// Kernels without an engine: a memory of their own, filled, so that a bench can call them as bare functions.
import { instantiateKernels, loadKernelModule, SCRATCH_BYTES } from "../../dist/backends/kernels.js";

const PAGE = 65536;

const ARRAYS = { f32: Float32Array, f64: Float64Array, i32: Int32Array, i16: Int16Array, i8: Int8Array, u8: Uint8Array };

/** Bytes of one value. */
export const bytesOf = (dtype) => ARRAYS[dtype].BYTES_PER_ELEMENT;

/** Numbers that look like data: a fixed sequence over the dtype's range (floats within ±0.5, integers within ±2^15). */
export function fillData(array, seed = 1) {
  const float = array instanceof Float32Array || array instanceof Float64Array;
  let state = seed;
  for (let i = 0; i < array.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    array[i] = float ? (state >>> 8) / (1 << 24) - 0.5 : state >> 16;
  }
  return array;
}

/** A kernel memory with room for `dataBytes` of data, weights, outputs and scratch; addresses of each. */
export function ground({ dataBytes, weights = 4096, outputs = 1 }) {
  const sizes = { data: dataBytes + PAGE, weights: 8 * weights + PAGE, out: 48 * outputs + PAGE, scratch: SCRATCH_BYTES + PAGE };
  const pages = Math.ceil((Object.values(sizes).reduce((a, b) => a + b) + PAGE) / PAGE) + 1;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: 65536, shared: true });
  const at = {};
  let next = PAGE;
  for (const [name, size] of Object.entries(sizes)) {
    at[name] = next;
    next += Math.ceil(size / 64) * 64;
  }
  fillWeights(new Float64Array(memory.buffer, at.weights, weights));
  return {
    kernels: instantiateKernels(loadKernelModule(), memory),
    at,
    /** Fills the data with values of a dtype. */
    fill: (dtype) => fillData(new ARRAYS[dtype](memory.buffer, at.data, dataBytes / bytesOf(dtype))),
  };
}

/** Weights 1/(i + 1), as in native/chain.c. */
export function fillWeights(weights, first = 1) {
  for (let i = 0; i < weights.length; i++) weights[i] = 1 / (i + first);
  return weights;
}
