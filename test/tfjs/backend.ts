// TensorFlow.js with the backend "fourfold" registered and set, for the tests of it.
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { laneSum } from "../../src/reduce/lanes.ts";
import { registerFourfold, type TfjsOptions } from "../../src/tfjs.ts";

export { tf };

/** Makes the backend anew and current. */
export async function useFourfold(options?: TfjsOptions): Promise<void> {
  if (tf.findBackendFactory("fourfold")) tf.removeBackend("fourfold");
  registerFourfold(options);
  if (!(await tf.setBackend("fourfold"))) throw new Error("the backend fourfold cannot be made");
}

/** What `work` gives on a backend, as numbers and shape. `times`: how often it runs, the last result counts. */
export async function on(backend: string, work: () => tf.Tensor, times = 1): Promise<{ values: number[]; shape: number[]; dtype: string }> {
  const before = tf.getBackend();
  await tf.setBackend(backend);
  try {
    return tf.tidy(() => {
      for (let i = 1; i < times; i++) work();
      const t = work();
      return { values: Array.from(t.dataSync()), shape: t.shape, dtype: t.dtype };
    });
  } finally {
    await tf.setBackend(before);
  }
}

/** The values of `x` that are reduced to each result, in the order of their indices: the results' in theirs. */
export function childrenOf(x: ArrayLike<number>, shape: readonly number[], axes: readonly number[]): number[][] {
  const results = new Map<number, number[]>();
  for (let i = 0; i < x.length; i++) {
    let rest = i;
    let node = 0;
    let stride = 1;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const at = rest % shape[axis]!;
      rest = (rest - at) / shape[axis]!;
      if (axes.includes(axis)) continue;
      node += at * stride;
      stride *= shape[axis]!;
    }
    const children = results.get(node);
    if (children) children.push(x[i]!);
    else results.set(node, [x[i]!]);
  }
  return Array.from({ length: results.size }, (_, node) => results.get(node)!);
}

/** The sum of a row as the contract defines it, in float32. */
export const sumOf = (children: readonly number[]): number => Math.fround(laneSum(children.length, (i) => children[i]!));
