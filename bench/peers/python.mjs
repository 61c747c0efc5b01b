// A Python with the peers, in a cache folder outside the tree: node bench/peers/python.mjs makes it ahead of the first use.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGES = ["numpy", "numba"];

/** numba trails new versions of Python and NumPy; NumPy alone is better than neither. */
const REQUIRED = ["numpy"];

/** The path of the Python, or why there is none. */
export function peersPython() {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
  const folder = join(cache, "fourfold-bench", "venv");
  const python = join(folder, ...(process.platform === "win32" ? ["Scripts", "python.exe"] : ["bin", "python"]));
  if (existsSync(python) && runs(python, "-c", `import ${REQUIRED.join(", ")}`)) return { python };
  console.log("  setting up Python peers, once …");
  if (!runs("python3", "-m", "venv", folder)) return { absent: "python3 -m venv failed" };
  const install = (packages) => runs(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...packages);
  if (!install(PACKAGES) && !install(REQUIRED)) return { absent: `pip install ${REQUIRED.join(" ")} failed` };
  return { python };
}

function runs(file, ...args) {
  return spawnSync(file, args, { stdio: "ignore" }).status === 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(peersPython());
