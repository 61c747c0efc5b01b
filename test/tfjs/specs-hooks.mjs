// Module hooks for specs-child.mjs: TensorFlow.js's ES modules, whose imports lack their endings.
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const PACKAGES = /\/node_modules\/@tensorflow\/(tfjs-core|tfjs-backend-cpu)\/dist\//;

/** The packages by name are their ES modules, not their bundles. */
export async function resolve(specifier, context, next) {
  if (/^@tensorflow\/(tfjs-core|tfjs-backend-cpu)$/.test(specifier)) {
    const { url } = await next(specifier, context);
    return { url: new URL("index.js", url).href, format: "module", shortCircuit: true };
  }
  if (specifier.startsWith(".") && PACKAGES.test(context.parentURL ?? "")) {
    const url = new URL(specifier, context.parentURL).href;
    const file = [url, `${url}.js`, `${url}/index.js`].find(
      (candidate) => candidate.endsWith(".js") && existsSync(fileURLToPath(candidate)),
    );
    return { url: file, format: "module", shortCircuit: true };
  }
  return next(specifier, context);
}

export async function load(url, context, next) {
  if (!PACKAGES.test(url)) return next(url, context);
  const source = await readFile(new URL(url), "utf8");
  const head = source.includes("require(")
    ? 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);'
    : "";
  return { format: "module", source: head + source.replace("import * as seedrandom from", "import seedrandom from"), shortCircuit: true };
}
