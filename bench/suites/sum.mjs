// The exact sum of a Float64Array, as `exactSum()` takes it, against npm's math.sumprecise and Python's math.fsum, which give the same bits.
import { fileURLToPath } from "node:url";
import sumPrecise from "math.sumprecise";
import { exactSum, exactSums } from "../../dist/index.js";
import { startChild } from "../harness/child.mjs";
import { interleave, speedOf } from "../harness/interleave.mjs";
import { check, checkRatio } from "../harness/report.mjs";

/** What is added: numbers of one size, and numbers whose sizes differ by up to 2^600. */
const KINDS = { uniform: 0, wild: 300 };

const TARGETS = { "math.sumprecise": 5, "math.fsum": 2 };

/** Numbers of a fixed sequence, as in peers/sums.py: within ±0.5, times a power of two from −spread to spread. */
function numbers(n, spread) {
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state >>> 8;
  };
  return Float64Array.from({ length: n }, () => {
    const x = next() / 2 ** 24 + next() / 2 ** 48 - 0.5;
    return spread === 0 ? x : x * 2 ** ((next() % (2 * spread + 1)) - spread);
  });
}

/** Single additions of wild numbers take half a microsecond each: they get a hundredth of the numbers. */
const SHARE = 100;

export default async function sumSuite({ quick }) {
  const n = quick ? 1e6 : 1e7;
  const child = await startChild("python3", [
    fileURLToPath(new URL("../peers/sums.py", import.meta.url)),
    String(n),
    JSON.stringify(KINDS),
  ]);
  try {
    const checks = [];
    const all = [];
    for (const [kind, spread] of Object.entries(KINDS)) {
      const values = numbers(n, spread);
      const few = values.subarray(0, n / SHARE);
      const ours = (list) => {
        const sum = exactSum();
        sum.addAll(list);
        return sum.value();
      };
      if (ours(values) !== child.hello.results[kind])
        throw new Error(`math.fsum of ${kind}: ${child.hello.results[kind]}, ours ${ours(values)}`);
      const precise = sumPrecise(values);
      if (ours(values) !== precise) throw new Error(`math.sumprecise of ${kind}: ${precise}, ours ${ours(values)}`);
      const cases = [
        { name: `exactSum, ${kind}`, run: () => ours(values) },
        { name: `math.fsum, ${kind}`, pid: child.pid, ask: () => child.ask(kind) },
        { name: `math.sumprecise, ${kind}`, run: () => sumPrecise(values) },
        { name: `plain sum, ${kind}`, run: () => plain(values) },
        { name: `exactSum, ${kind}, one by one, of a hundredth`, run: () => oneByOne(few) },
      ];
      const measured = await interleave(cases, { samples: quick ? 5 : 11, warmups: 1 });
      for (const c of measured) c.bytes = c.name.includes("hundredth") ? few.byteLength : values.byteLength;
      const [whole, fsum, theirs, loop] = measured;
      checks.push(
        checkRatio(`${kind}: exactSum against math.sumprecise`, speedOf(whole, theirs), { atLeast: TARGETS["math.sumprecise"] }),
        checkRatio(`${kind}: exactSum against math.fsum`, speedOf(whole, fsum), { atLeast: TARGETS["math.fsum"] }),
        checkRatio(`${kind}: exactSum against a plain loop`, speedOf(whole, loop)),
        check(`${kind}: exactSum, one number`, (whole.seconds / n) * 1e9, { unit: "ns" }),
      );
      all.push(...measured);
    }
    const { cases, figure } = await groupsCase(quick);
    return {
      cases: [...all, ...cases],
      checks: [...checks, figure],
      notes: [`${n} float64; Python ${child.hello.version}`],
    };
  } finally {
    await child.close();
  }
}

function plain(values) {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum;
}

function oneByOne(values) {
  const sum = exactSum();
  for (let i = 0; i < values.length; i++) sum.add(values[i]);
  return sum.value();
}

/** Random groups of a million: what a group-by does to memory. */
async function groupsCase(quick) {
  const n = quick ? 1e6 : 4e6;
  const sums = exactSums({ groups: 1e6 });
  const values = numbers(n, 0);
  const groups = Uint32Array.from(values, (x) => (x + 0.5) * 1e6);
  const cases = await interleave([{ name: "exactSums, a million groups", run: () => sums.addAll(groups, values) }], {
    samples: quick ? 5 : 15,
    warmups: 1,
  });
  return { cases, figure: check("exactSums: one addition to a random group of a million", (cases[0].seconds / n) * 1e9, { unit: "ns" }) };
}
