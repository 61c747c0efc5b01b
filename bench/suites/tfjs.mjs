// The embedded TensorFlow.js backend against @tensorflow/tfjs-backend-wasm as it comes up by itself in Node: the same program, the same
// data, one thread each. And how far either is from the exact result.

import { getThreadsCount } from "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import { ExactSum } from "../../dist/reduce/exact.js";
import { registerFourfold } from "../../dist/tfjs.js";
import { fillData } from "../harness/ground.mjs";
import { interleave, speedOf } from "../harness/interleave.mjs";
import { check, checkRatio } from "../harness/report.mjs";

const SIZES = [1e5, 1e6, 1e7];
const BACKENDS = ["fourfold", "wasm"];

/** tfjs-backend-wasm ends with "memory access out of bounds" in longer ones. */
const WASM_DOT_MAX = 1e6;

/** The cpu backend's segment sum takes seconds for more. */
const CPU_SEGMENTS_MAX = 1e6;

export default async function tfjsSuite({ quick }) {
  registerFourfold();
  for (const name of [...BACKENDS, "cpu"]) if (!(await tf.setBackend(name))) throw new Error(`the backend ${name} does not start`);
  const sizes = quick ? SIZES.slice(0, 2) : SIZES;
  const samples = quick ? 7 : 31;
  const cases = [];
  const checks = [];
  for (const n of sizes) {
    const operations = operationsOf(n);
    for (const [name, { on = BACKENDS, make, exact, values }] of Object.entries(operations)) {
      const title = `${name}, 10^${Math.log10(n)}`;
      const programs = Object.fromEntries(on.map((backend) => [backend, programOn(backend, make)]));
      const measured = await interleave(
        on.map((backend) => ({ name: `${title}: ${backend}`, run: programs[backend].run })),
        { samples, warmups: 3 },
      );
      for (const c of measured) c.bytes = 4 * n;
      cases.push(...measured);
      checks.push(checkRatio(`${title}: times ${on[1]}`, speedOf(measured[0], measured[1]), { atLeast: 1 }));
      if (exact && n <= 1e6) {
        const [ours, theirs] = on.map((backend) => errorOf(programs[backend].result(), exact, values));
        checks.push(
          check(`${title}: error`, ours, {
            atMost: Math.max(0.5001, theirs),
            unit: "f32 steps",
            note: `${on[1]}: ${theirs.toPrecision(3)}`,
          }),
        );
      }
      for (const { dispose } of Object.values(programs)) dispose();
    }
  }
  const threads = await tf.env().getAsync("WASM_HAS_MULTITHREAD_SUPPORT");
  const simd = await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT");
  return {
    cases,
    checks,
    notes: [
      `tfjs-backend-wasm ran its ${threads ? "threaded " : ""}${simd ? "SIMD" : "scalar"} build on ${getThreadsCount()} thread`,
      "tfjs-backend-wasm has no kernel for einsum: it runs the same sums as a reshape and a matMul; nor for unsortedSegmentSum, where the cpu backend is the peer",
      `tfjs-backend-wasm's dot of more than ${WASM_DOT_MAX} values ends with "memory access out of bounds"`,
      'tensors are made once, but for "new tensor": there each call makes one and reduces it',
    ],
  };
}

/** What is measured: `make` gives the tensors and the program; `exact` the terms of result i, `values` how its result reads. */
function operationsOf(n) {
  const side = n / 100;
  const x = fillData(new Float32Array(n));
  const near = x.map((v) => 1 + v / 1000);
  const vector = fillData(new Float32Array(side), 7);
  const rowWeights = fillData(new Float32Array(100), 9);
  const ids = Int32Array.from(x, (_, i) => (i * 7919) % 8);
  const matrix = (make) => () => {
    const t = tf.tensor(x, [100, side]);
    return { tensors: [t], ...make(t) };
  };
  const whole = () => Array.from(x, (v) => [v, 1]);
  const column = (c) => Array.from({ length: 100 }, (_, r) => [x[r * side + c], 1]);
  const row = (r, w) => Array.from({ length: side }, (_, c) => [x[r * side + c], w ? w[c] : 1]);
  return {
    sum: { make: matrix((t) => ({ run: () => tf.sum(t) })), exact: whole },
    "sum of rows": { make: matrix((t) => ({ run: () => tf.sum(t, 1) })), exact: (i) => row(i) },
    "sum of columns": { make: matrix((t) => ({ run: () => tf.sum(t, 0) })), exact: column },
    "sum of a new tensor": { make: () => ({ tensors: [], run: () => tf.tidy(() => tf.sum(tf.tensor(x))) }), exact: whole },
    mean: { make: matrix((t) => ({ run: () => tf.mean(t) })), exact: whole, values: (v) => [v, n] },
    "mean of columns": { make: matrix((t) => ({ run: () => tf.mean(t, 0) })), exact: column, values: (v) => [v, 100] },
    max: { make: matrix((t) => ({ run: () => tf.max(t) })) },
    "min of columns": { make: matrix((t) => ({ run: () => tf.min(t, 0) })) },
    prod: {
      make: () => {
        const t = tf.tensor(near);
        return { tensors: [t], run: () => tf.prod(t) };
      },
    },
    "matMul, matrix × vector": {
      make: matrix((t) => {
        const v = tf.tensor(vector, [side, 1]);
        return { tensors: [t, v], run: () => tf.matMul(t, v) };
      }),
      exact: (i) => row(i, vector),
    },
    "matMul, vector × matrix": {
      make: matrix((t) => {
        const v = tf.tensor(rowWeights, [1, 100]);
        return { tensors: [t, v], run: () => tf.matMul(v, t) };
      }),
      exact: (c) => column(c).map(([v], r) => [v, rowWeights[r]]),
    },
    "matMul, transposed matrix × vector": {
      make: matrix((t) => {
        const v = tf.tensor(rowWeights, [100, 1]);
        return { tensors: [t, v], run: () => tf.matMul(t, v, true) };
      }),
      exact: (c) => column(c).map(([v], r) => [v, rowWeights[r]]),
    },
    "matMul, matrix × 4 columns": {
      make: matrix((t) => {
        const v = tf.tensor(fillData(new Float32Array(4 * side), 5), [side, 4]);
        return { tensors: [t, v], run: () => tf.matMul(t, v) };
      }),
    },
    ...(n <= WASM_DOT_MAX && {
      dot: {
        make: () => {
          const [a, b] = [tf.tensor1d(x), tf.tensor1d(near)];
          return { tensors: [a, b], run: () => tf.dot(a, b) };
        },
        exact: () => Array.from(x, (v, i) => [v, near[i]]),
      },
    }),
    "einsum abcd,d->abc": {
      make: (backend) => {
        const t = tf.tensor(x, [4, 5, 5, side]);
        const v = tf.tensor1d(vector);
        const byMatMul = () => tf.tidy(() => tf.reshape(tf.matMul(tf.reshape(t, [100, side]), tf.reshape(v, [side, 1])), [4, 5, 5]));
        return { tensors: [t, v], run: backend === "wasm" ? byMatMul : () => tf.einsum("abcd,d->abc", t, v) };
      },
      exact: (i) => row(i, vector),
    },
    ...(n <= CPU_SEGMENTS_MAX && {
      "unsortedSegmentSum, 8 segments": {
        on: ["fourfold", "cpu"],
        make: () => {
          const [t, s] = [tf.tensor1d(x), tf.tensor1d(ids, "int32")];
          return { tensors: [t, s], run: () => tf.unsortedSegmentSum(t, s, 8) };
        },
      },
    }),
  };
}

/** One program on a backend, with its tensors there. The backend is switched by the first call of a sample. */
function programOn(backend, make) {
  const here = () => {
    if (tf.getBackend() !== backend) void tf.setBackend(backend); // at once, since the backend is there
  };
  here();
  const { tensors, run } = make(backend);
  return {
    run: () => {
      here();
      run().dispose();
    },
    result: () => {
      here();
      return tf.tidy(() => Array.from(run().dataSync()));
    },
    dispose: () => {
      here();
      tf.dispose(tensors);
    },
  };
}

/** The largest error of the first results, in steps of float32 at the exact value. */
function errorOf(results, exact, values = (v) => [v, 1]) {
  let most = 0;
  for (let i = 0; i < Math.min(results.length, 16); i++) {
    const sum = new ExactSum();
    for (const [a, b] of exact(i)) sum.addProduct(a, b);
    const [value, scale] = values(results[i]);
    const step = scale * 2 ** (Math.floor(Math.log2(Math.abs(sum.value()) / scale)) - 23);
    sum.addProduct(-value, scale);
    most = Math.max(most, Math.abs(sum.value()) / step);
  }
  return most;
}
