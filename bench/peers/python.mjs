// A Python with the peers, in a cache folder outside the tree: node bench/peers/python.mjs makes it ahead of the first use.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** numba trails new versions of Python and NumPy; NumPy alone is better than neither. */
const NUMERIC = { required: ["numpy"], wanted: ["numba"] };

/** What streams are measured against. Each may be absent for a version of Python. */
export const STREAMING = { required: ["numpy"], wanted: ["bytewax", "polars"] };

/** The path of the Python with these packages, as far as they can be had, and those that cannot; or why there is no Python. */
export function peersPython({ required, wanted } = NUMERIC) {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
  const folder = join(cache, "fourfold-bench", "venv");
  const python = join(folder, ...(process.platform === "win32" ? ["Scripts", "python.exe"] : ["bin", "python"]));
  const has = (name) => runs(python, "-c", `import ${name}`);
  if (!existsSync(python)) {
    console.log("  setting up Python peers, once …");
    if (!runs("python3", "-m", "venv", folder)) return { absent: "python3 -m venv failed" };
  }
  const missing = [...required, ...wanted].filter((name) => !has(name) && !installs(python, name));
  const absent = required.find((name) => missing.includes(name));
  return absent ? { absent: `pip install ${absent} failed` } : { python, missing };
}

function installs(python, name) {
  console.log(`  installing ${name} …`);
  return runs(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", name) && runs(python, "-c", `import ${name}`);
}

function runs(file, ...args) {
  return spawnSync(file, args, { stdio: "ignore" }).status === 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(peersPython(), peersPython(STREAMING));
