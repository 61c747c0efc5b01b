// The article's program and the article's mathematics: node examples/article.mjs
import { chain, createEngine, distribute, max, mean, sum, weightedSum } from "fourfold";

const engine = await createEngine();
try {
  // The program: [1, 2, 3, 4, 5] in two parts, [1, 2, 3] and [4, 5]; their sums are 6 and 9, the mean of those is 7.5.
  const program = await engine.run(chain(sum(), mean(), max()), distribute([1, 2, 3, 4, 5], { parts: 2 }));
  console.log("sum, mean, max:", program.value);

  // The mathematics: four weighted sums, each over the results of the one before.
  const a = [0.5, 0.25, 0.25]; // f(x) = Σ aᵢ·xᵢ      the leaves of a node
  const b = [2, 1]; //            g(x) = Σ bᵢ·f(xᵢ)   the nodes of a group
  const c = [1, -1]; //           h(x) = Σ cᵢ·g(xᵢ)   the groups of a partition
  const d = [0.75, 0.25]; //      k(x) = Σ dᵢ·h(xᵢ)   the partitions of the whole
  const index = chain(weightedSum(a), weightedSum(b), weightedSum(c), weightedSum(d));
  const x = Float64Array.from({ length: 2 * 2 * 2 * 3 }, (_, i) => (i * i) % 11);

  const result = await engine.run(index, { data: x, shape: [2, 2, 2, 3] }, { keep: "all" });
  for (const { name } of index.levels) console.log(`${name}:`, [...result.level(name).values].join(" "));

  // What the run did, step by step.
  for (const { name, ms, counts } of result.steps) {
    const handled = Object.entries(counts).map(([what, n]) => `${n} ${what}`);
    console.log(`${name.padEnd(10)} ${handled.join(", ")} in ${ms.toFixed(3)} ms`);
  }
} finally {
  await engine.close();
}

// Prints:
// sum, mean, max: 7.5
// f: 1.25 6.5 5 2.25 3.75 4 5.75 0.75
// g: 9 12.25 11.5 12.25
// h: -3.25 -0.75
// k: -2.625
// init       24 values, 192 bytes in … ms
// distribute 1 parts, … workers in … ms
// process    8 nodes in … ms
// aggregate  7 nodes in … ms
// output     1 numbers in … ms
