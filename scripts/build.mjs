// Builds dist/: the AssemblyScript kernels and the TypeScript, each by its own compiler, no bundler. The new dist/ takes the old
// one's place only when it is whole, so that a build that fails, or a program that runs meanwhile, never sees half of one.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const require = createRequire(import.meta.url);
const cache = join(root, ".cache");

/** Runs a package's own command file with this Node, so that no shell and no PATH matter. */
function compile(name, command, ...args) {
  const file = join(dirname(require.resolve(`${name}/package.json`)), command);
  const { status, error } = spawnSync(process.execPath, [file, ...args], { cwd: root, stdio: "inherit" });
  if (error) throw error;
  return status === 0;
}

/** Compiles the kernels, or takes those of an earlier build if nothing they depend on has changed: they take longest by far. */
function compileKernels(to) {
  const sources = readdirSync(join(root, "assembly"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const hash = createHash("sha256").update(require("assemblyscript/package.json").version);
  for (const file of [join(root, "asconfig.json"), ...sources]) hash.update(`\0${file.slice(root.length)}\0`).update(readFileSync(file));
  const kept = join(cache, `kernels-${hash.digest("hex").slice(0, 16)}.wasm`);
  if (!existsSync(kept)) {
    if (!compile("assemblyscript", "bin/asc.js", "--config", "asconfig.json", "--target", "release", "--outFile", to)) return false;
    for (const name of readdirSync(cache)) if (/^kernels-.*\.wasm$/.test(name)) rmSync(join(cache, name), { force: true });
    copyFileSync(to, `${to}.copy`);
    renameSync(`${to}.copy`, kept);
    return true;
  }
  copyFileSync(kept, to);
  return true;
}

mkdirSync(cache, { recursive: true });
const work = mkdtempSync(join(cache, "build-"));
const built = join(work, "dist");
try {
  mkdirSync(built);
  if (compileKernels(join(built, "kernels.wasm")) && compile("typescript", "bin/tsc", "-p", "tsconfig.build.json", "--outDir", built)) {
    for (const file of ["files/spec.schema.json", "cli/tensorflow.h"]) copyFileSync(join(root, "src", file), join(built, file));
    chmodSync(join(built, "cli/main.js"), 0o755);
    const dist = join(root, "dist");
    if (existsSync(dist)) renameSync(dist, join(work, "old"));
    renameSync(built, dist);
  } else {
    process.exitCode = 1;
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
