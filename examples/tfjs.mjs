// A TensorFlow.js program as they are written, a linear regression by gradient descent. Only two lines make it run on Fourfold's
// backend: the call of registerFourfold and its import.
import * as tf from "@tensorflow/tfjs-core";
import { registerFourfold } from "fourfold/tfjs";

registerFourfold();
await tf.setBackend("fourfold");

// Ten thousand readings of three sensors, and what they should predict.
const rows = 10_000;
const features = tf.tensor2d(
  Float32Array.from({ length: 3 * rows }, (_, i) => ((i * 7919) % 1000) / 1000),
  [rows, 3],
);
const truth = tf.tensor2d([[2], [-1], [0.5]]);
const labels = tf.matMul(features, truth);

let weights = tf.zeros([3, 1]);
for (let step = 0; step < 500; step++) {
  const better = tf.tidy(() => {
    const errors = tf.sub(tf.matMul(features, weights), labels);
    const slope = tf.div(tf.matMul(features, errors, true), rows); // xᵀ·(x·w − y) / n
    return tf.sub(weights, tf.mul(slope, 1.5));
  });
  weights.dispose();
  weights = better;
}
const loss = tf.tidy(() => tf.mean(tf.square(tf.sub(tf.matMul(features, weights), labels))).arraySync());

console.log("backend", tf.getBackend());
console.log(
  "weights",
  weights
    .arraySync()
    .map(([w]) => w.toFixed(2))
    .join(" "),
);
console.log("loss below 1e-6", loss < 1e-6);
console.log(
  "means",
  tf
    .mean(features, 0)
    .arraySync()
    .map((m) => m.toFixed(4))
    .join(" "),
);

// Prints:
// backend fourfold
// weights 2.00 -1.00 0.50
// loss below 1e-6 true
// means 0.4995 0.4995 0.4995
