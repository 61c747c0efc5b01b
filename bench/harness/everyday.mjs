// The benny suites: operations per second of one case at a time, for the everyday look at what got slower.
import b from "benny";

/** Runs cases { name, run, bytes? } with benny; resolves to { name, opsPerSecond, margin, bytesPerSecond? } for each. */
export async function everyday(title, cases, { quick = false } = {}) {
  const options = quick ? { minSamples: 5, maxTime: 0.02 } : { minSamples: 20, maxTime: 0.1 };
  const { results } = await b.suite(title, ...cases.map(({ name, run }) => b.add(name, () => run)), b.configure({ cases: options }));
  return results.map(({ name, ops, margin }, i) => ({
    name,
    opsPerSecond: ops,
    margin,
    ...(cases[i].bytes && { bytesPerSecond: ops * cases[i].bytes }),
  }));
}

/** Prints what `everyday` measured. */
export function printEveryday(results) {
  const width = Math.max(...results.map(({ name }) => name.length));
  for (const { name, opsPerSecond, margin, bytesPerSecond } of results) {
    const rate = bytesPerSecond ? `${(bytesPerSecond / 1e9).toFixed(1).padStart(7)} GB/s` : "";
    console.log(
      `  ${name.padEnd(width)}  ${Math.round(opsPerSecond).toLocaleString("en-US").padStart(12)} ops/s ±${margin.toFixed(1).padStart(4)} %${rate}`,
    );
  }
}
