// The main job: four weighted sums, 8 × 16 × 1024 × 512 float32 (256 MiB), fused, against C, NumPy and numba.
import { fileURLToPath } from "node:url";
import { chain, createEngine, weightedSum } from "../../dist/index.js";
import { startChild } from "../harness/child.mjs";
import { everyday, printEveryday } from "../harness/everyday.mjs";
import { fillData, fillWeights } from "../harness/ground.mjs";
import { interleave, speedOf } from "../harness/interleave.mjs";
import { machine } from "../harness/machine.mjs";
import { compilerVersion, startNative } from "../harness/native.mjs";
import { check, checkRatio } from "../harness/report.mjs";
import { peersPython } from "../peers/python.mjs";

const SHAPE = [8, 16, 1024, 512];
const BYTES = 4 * SHAPE.reduce((a, b) => a * b);

/** How far float64 sums in another order may be from ours, and float32 ones. */
const CLOSE = { f64: 1e-12, f32: 1e-4 };

export default async function chainSuite({ quick }) {
  const { cores } = machine();
  const notes = [`working set ${BYTES / 2 ** 20} MiB, read once per pass; ${cores} threads where not said otherwise`];
  const engine = await createEngine({ workers: cores });
  const children = [];
  try {
    const index = chain(...[...SHAPE].reverse().map((extent, level) => weightedSum(fillWeights(new Float64Array(extent), level + 1))));
    const x = engine.tensor(SHAPE, "f32");
    fillData(x.data);
    const plan = engine.plan(index, { shape: SHAPE, dtype: "f32" });
    const { value } = await plan.run(x);
    const agree = (name, theirs, close) => {
      if (Math.abs(theirs - value) > close * Math.abs(value)) throw new Error(`${name} computed ${theirs}, Fourfold ${value}`);
    };

    const cases = [
      { name: "fourfold", threads: cores, run: () => plan.run(x) },
      { name: "fourfold, 1 thread", run: () => plan.runSync(x) },
    ];
    // The same loop with what WebAssembly has (128-bit vectors, no prefetch, pages of 4 KiB) tells our code from its limits.
    const limited = { small: true, plain: true };
    const programs = [
      ["C chain", "chain", cores],
      ["C chain, 1 thread", "chain", 1],
      ["C chain as in WebAssembly", "chain", cores, limited],
      ["C chain as in WebAssembly, 1 thread", "chain", 1, limited],
      ["C read", "read", cores],
    ];
    for (const [title, name, threads, limits] of programs) {
      const child = await startNative(name, threads, limits);
      if (child.absent) {
        notes.push(`${title} is absent: ${child.absent}`);
        continue;
      }
      children.push(child);
      if (name === "chain") agree(title, child.hello.result, CLOSE.f64);
      cases.push({ name: title, threads, pid: child.pid, ask: child.ask });
    }
    const { python, absent } = peersPython();
    if (absent) notes.push(`NumPy and numba are absent: ${absent}`);
    else {
      const child = await startChild(python, [fileURLToPath(new URL("../peers/chain.py", import.meta.url))]);
      children.push(child);
      notes.push(
        Object.entries(child.hello.versions)
          .map((entry) => entry.join(" "))
          .join(", "),
      );
      if (!child.hello.versions.numba) notes.push("numba is absent: pip could not install it for this Python");
      const titles = { matmul: "NumPy @ @ @ @", matmulRows: "NumPy @, rows as one matrix", numba: "numba prange" };
      for (const [way, result] of Object.entries(child.hello.results)) {
        agree(titles[way], result, way === "numba" ? CLOSE.f64 : CLOSE.f32);
        cases.push({ name: titles[way], threads: cores, pid: child.pid, ask: () => child.ask(way), settle: 2 });
      }
    }
    const compiler = compilerVersion();
    if (compiler) notes.push(compiler);

    const measured = await interleave(cases, { samples: quick ? 11 : 81 });
    for (const c of measured) c.bytes = BYTES;
    const of = (name) => measured.find((c) => c.name === name);
    const speed = (figure, name, other, options) =>
      of(other) ? checkRatio(figure, speedOf(of(name), of(other)), options) : check(figure, undefined, options);
    const checks = [
      speed("speed against the C chain, all threads", "fourfold", "C chain", { atLeast: 0.85, goal: 0.95 }),
      speed("… with the same 128-bit vectors, no prefetch, small pages", "fourfold", "C chain as in WebAssembly"),
      speed("speed against NumPy's chain of @", "fourfold", "NumPy @ @ @ @", { atLeast: 1.2 }),
      speed("… and its rows as one matrix", "fourfold", "NumPy @, rows as one matrix"),
      speed("speed of the C chain against numba (below 1 it is no ceiling)", "C chain", "numba prange", { atLeast: 1 }),
      speed("speed against numba's parallel loop", "fourfold", "numba prange"),
      speed("speed against the C chain, 1 thread each", "fourfold, 1 thread", "C chain, 1 thread"),
      speed(
        "… with the same 128-bit vectors, no prefetch, small pages, 1 thread each",
        "fourfold, 1 thread",
        "C chain as in WebAssembly, 1 thread",
      ),
      speed("speed against a pure read in C, all threads", "fourfold", "C read"),
    ];
    const each = await everyday("chain: 8×16×1024×512 f32", [{ name: "runSync", bytes: BYTES, run: () => plan.runSync(x) }], { quick });
    printEveryday(each);
    return { cases: measured, checks, everyday: each, notes };
  } finally {
    await engine.close();
    for (const child of children) await child.close();
  }
}
