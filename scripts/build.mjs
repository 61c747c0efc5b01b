// Builds dist/: the AssemblyScript kernels and the TypeScript, each by its own compiler, no bundler.
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const require = createRequire(import.meta.url);

/** Runs a package's own command file with this Node, so that no shell and no PATH matter. */
function compile(file, ...args) {
  const { status, error } = spawnSync(process.execPath, [file, ...args], { cwd: root, stdio: "inherit" });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

const bin = (name, command) => join(dirname(require.resolve(`${name}/package.json`)), command);

rmSync(join(root, "dist"), { recursive: true, force: true });
mkdirSync(join(root, "dist"), { recursive: true });
compile(bin("assemblyscript", "bin/asc.js"), "--config", "asconfig.json", "--target", "release");
compile(bin("typescript", "bin/tsc"), "-p", "tsconfig.build.json");
const schema = join(root, "src/files/spec.schema.json");
if (existsSync(schema)) copyFileSync(schema, join(root, "dist/files/spec.schema.json"));
const cli = join(root, "dist/cli/main.js");
if (existsSync(cli)) chmodSync(cli, 0o755);
