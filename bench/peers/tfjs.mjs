// The same chains as a user of @tensorflow/tfjs-node would write them: one tensor of the data, then an operation or two for each level.
// Reads a case's name from each line of stdin and answers its seconds. Weights are tensors that are made once.
import { createInterface } from "node:readline";
import util from "node:util";
import { CASES, dataOf, weightsOf } from "./tensor-cases.mjs";

process.env.TF_CPP_MIN_LOG_LEVEL = "2";
util.isNullOrUndefined ??= (x) => x === null || x === undefined; // Node 23 dropped it, tfjs-node 4.22 calls it
util.isArray ??= Array.isArray;
const { default: tf } = await import("@tensorflow/tfjs-node");

const ready = new Map();

/** A case by name, with its data and weights. */
function prepared(name) {
  let known = ready.get(name);
  if (known === undefined) {
    ready.clear(); // one case's data at a time
    const [title, where] = name.split(", ");
    const given = CASES[title];
    known = { ...given, data: dataOf(given, where), weights: weightsOf(given).map((w) => tf.tensor2d(w)) };
    ready.set(name, known);
  }
  return known;
}

function run({ shape, chain, data, weights }) {
  let values;
  tf.tidy(() => {
    let x = tf.tensor(data, [data.length]);
    let rows = data.length;
    chain.forEach((kind, level) => {
      const extent = shape.at(-1 - level);
      rows /= extent;
      if (kind === "weightedSum") x = tf.matMul(tf.reshape(x, [rows, extent]), tf.reshape(weights[level], [extent, 1]));
      else if (kind === "matrix") x = tf.matMul(tf.reshape(x, [rows, extent]), weights[level], false, true);
      else x = tf[kind](tf.reshape(x, [rows, extent]), 1);
    });
    values = x.dataSync(); // not returned: tidy would look for tensors in it, value by value
  });
  return values;
}

console.log(JSON.stringify({ version: tf.backend().binding.TF_Version }));
for await (const line of createInterface({ input: process.stdin })) {
  const [what, name] = line.split(": ");
  const given = prepared(name);
  if (what === "value") {
    console.log(run(given)[0]);
    continue;
  }
  const started = performance.now();
  for (let i = 0; i < given.repeats; i++) run(given);
  console.log((performance.now() - started) / 1000);
}
