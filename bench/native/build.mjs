// Compiles the native ceilings into bench/native/bin and runs them: node bench/native/build.mjs [threads …]
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

function run(file, ...args) {
  const { status, error } = spawnSync(file, args, { stdio: "inherit" });
  if (error) throw new Error(`${file} did not start: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

mkdirSync(here("bin"), { recursive: true });
for (const name of ["chain", "read"])
  run("gcc", "-O3", "-march=native", "-Wall", "-Wextra", "-Wno-psabi", "-pthread", "-o", here(`bin/${name}`), here(`${name}.c`));

const threads = process.argv.length > 2 ? process.argv.slice(2) : ["1", "2"];
for (const count of threads) for (const name of ["read", "chain"]) run(here(`bin/${name}`), count);
