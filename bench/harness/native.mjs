// The C programs of bench/native as interleaved peers; compiled when they are older than their sources.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { startChild } from "./child.mjs";

const COMPILER = process.env.CC ?? "gcc";
const FLAGS = ["-O3", "-march=native"];

/** The compiler and its flags in words; undefined where there is none. */
export function compilerVersion() {
  const { stdout } = spawnSync(COMPILER, ["-dumpfullversion"], { encoding: "utf8" });
  return stdout ? `${COMPILER} ${stdout.trim()} ${FLAGS.join(" ")}` : undefined;
}

/**
 * Starts native/NAME.c with so many threads. `small` gives it pages of 4 KiB, `plain` only what WebAssembly can say.
 * { absent } says why where there is no compiler.
 */
export async function startNative(name, threads, { small = false, plain = false } = {}) {
  const file = (path) => fileURLToPath(new URL(`../native/${path}`, import.meta.url));
  const [source, program] = [file(`${name}.c`), file(`bin/${name}${plain ? "-plain" : ""}`)];
  const written = Math.max(...[source, file("passes.h")].map((path) => statSync(path).mtimeMs));
  if (!existsSync(program) || statSync(program).mtimeMs < written) {
    mkdirSync(file("bin"), { recursive: true });
    const built = spawnSync(
      COMPILER,
      [...FLAGS, ...(plain ? ["-DPLAIN", "-ffp-contract=off"] : []), "-Wno-psabi", "-pthread", "-o", program, source],
      { stdio: "inherit" },
    );
    if (built.status !== 0) return { absent: `${COMPILER} did not build it` };
  }
  return startChild(program, [`${threads}`, "0", ...(small ? ["small"] : [])]);
}
